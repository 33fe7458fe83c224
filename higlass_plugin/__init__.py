"""Predicted contact maps in HiGlass: of any locus and any edited sequence, computed tile by tile
while somebody looks at them.

For notebooks there are :func:`view`, and for users of higlass-python :func:`tileset`,
:func:`watch` and :func:`serve`, all of :mod:`higlass_plugin.notebook`, which is loaded when one of
them is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from higlass_plugin.notebook import serve, tileset, view, watch

__all__ = ["serve", "tileset", "view", "watch"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from higlass_plugin import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
