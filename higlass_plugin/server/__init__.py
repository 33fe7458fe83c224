"""HiGlass's HTTP API over a registry of tilesets, and the page that shows them."""

from higlass_plugin.server.app import create_app, create_blueprint

__all__ = ["create_app", "create_blueprint"]
