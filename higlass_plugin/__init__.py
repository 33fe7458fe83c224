"""Predicted contact maps in HiGlass: tiles computed as somebody looks, of any locus and any edited
sequence.

In a notebook: :func:`tileset`, :func:`watch` and :func:`serve` of :mod:`higlass_plugin.notebook`,
which are loaded when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from higlass_plugin.notebook import serve, tileset, watch

__all__ = ["serve", "tileset", "watch"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from higlass_plugin import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
