"""HiGlass's HTTP API over a registry of tilesets, and the page that shows them.

:func:`create_app` and :func:`create_blueprint` are loaded when they are first asked for: other
modules of this package need less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from higlass_plugin.server.app import create_app, create_blueprint

__all__ = ["create_app", "create_blueprint"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from higlass_plugin.server import app

        return getattr(app, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
