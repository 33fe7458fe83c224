"""HiGlass's HTTP API over a registry of tilesets, and the page: a Flask app, or a blueprint for
another one.

Who may do what is told in :class:`higlass_plugin.server.access.Access`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from flask import Blueprint, Flask, Response
from werkzeug.exceptions import HTTPException

from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.access import LOOPBACK, Access
from higlass_plugin.server.analysis import Analysis
from higlass_plugin.server.http import add_security_headers, http_error, internal_error, user_error
from higlass_plugin.server.proxy import BehindProxy
from higlass_plugin.server.views import PAGE_WAIT, STATIC, Views
from orca_cool.errors import OrcaCoolError


def create_app(registry: TilesetRegistry, **options: Any) -> Flask:
    """The app: page, static files and API of a registry.

    Parameters
    ----------
    registry : :class:`higlass_plugin.registry.tilesets.TilesetRegistry`.
    options : see :func:`create_blueprint`.
    """
    app = Flask(__name__, static_folder=None)
    app.wsgi_app = BehindProxy(app.wsgi_app)  # type: ignore[assignment]
    # Flask would redirect double slashes, with a page that repeats the address
    app.url_map.merge_slashes = False
    app.register_blueprint(create_blueprint(registry, **options))
    # for what matches no route, and so is not the blueprint's
    app.register_error_handler(HTTPException, http_error)
    app.after_request(add_security_headers)
    return app


def create_blueprint(
    registry: TilesetRegistry,
    *,
    token: str | None = None,
    blocking: bool = False,
    page_wait: float = PAGE_WAIT,
    allow_origins: Sequence[str] = (),
    hosts: Collection[str] | None = LOOPBACK,
    max_body: int = 1 << 20,
) -> Blueprint:
    """The same as a blueprint, to be registered below any prefix of another app.

    Parameters
    ----------
    registry : :class:`higlass_plugin.registry.tilesets.TilesetRegistry`.
    token : who does not show it (header ``Authorization: Bearer``, ``?token=``, cookie) gets 401.
    blocking : requests for tiles wait until they are computed, for pages that do not ask again.
    page_wait : seconds that requests of such pages wait for predicted tiles otherwise, where they
        ask for no others.
    allow_origins : origins whose pages may do what this server's own page may
        ("https://resgen.io"); "*" for all.
    hosts : names under which the server may be addressed; None for any. With a token it does not
        matter.
    max_body : bytes that the body of a request may have.
    """
    access = Access(token, allow_origins, hosts, max_body)
    views = Views(registry, access, blocking, page_wait)
    blueprint = Blueprint(
        "orca_cool", __name__, static_folder=str(STATIC), static_url_path="/static"
    )

    _add_routes(blueprint, views, Analysis(registry))
    blueprint.before_request(access.admit)
    blueprint.after_request(views.finish)
    blueprint.register_error_handler(OrcaCoolError, user_error)
    blueprint.register_error_handler(HTTPException, http_error)
    blueprint.register_error_handler(Exception, internal_error)
    return blueprint


def _add_routes(blueprint: Blueprint, views: Views, analysis: Analysis) -> None:
    """Say which function answers at which address, and to which methods."""

    def route(path: str, view: Callable[[], Response], *methods: str) -> None:
        blueprint.add_url_rule(
            path,
            view.__name__,
            view,
            methods=[*methods, "OPTIONS"],
            strict_slashes=False,
            provide_automatic_options=False,
        )

    route("/", views.page, "GET")
    route("/models", views.start, "GET")
    route("/healthz", views.healthz, "GET")
    route("/metrics", views.metrics, "GET")
    route("/api/v1/tiles/", views.tiles, "GET", "POST")
    route("/api/v1/tileset_info/", views.tileset_info, "GET")
    route("/api/v1/tilesets/", views.tilesets, "GET")
    route("/api/v1/chrom-sizes/", views.chrom_sizes, "GET")
    route("/api/v1/models/", views.models, "GET")
    route("/api/v1/available-chrom-sizes/", views.available_chrom_sizes, "GET")
    route("/api/v1/suggest/", views.suggest, "GET")
    route("/api/v1/register_url/", views.register_url, "POST")
    route("/api/v1/viewconfs/", views.viewconfs, "GET", "POST")
    route("/api/v1/edits/", views.edits, "GET", "POST", "DELETE")
    route("/api/v1/status/", views.status, "GET", "POST")
    route("/api/v1/download/", analysis.download, "GET")
    route("/api/v1/compare/", analysis.compare, "GET")
    route("/api/v1/questions/", analysis.questions, "GET")
    route("/api/v1/sequence/", analysis.sequence, "GET")
    route("/api/v1/scores/", analysis.scores, "POST")
    route("/api/v1/cite/", analysis.cite, "GET")
