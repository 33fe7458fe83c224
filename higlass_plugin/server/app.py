"""HiGlass's HTTP API over a registry of tilesets, and the page: a Flask app, or a blueprint for
another one.

Who may do what, without a token. The server answers only to names of this machine (``hosts``), so
that no web page can reach it under a name of its own. uids cannot be guessed, so whoever knows one
may read its tiles from any page: that is how a tileset is shown in another HiGlass.
``register_url`` reaches predictions only, never a file. What tells or changes more (the list of
tilesets, the first view, edits, saved views, the status) is for pages of this machine, for
programs, and for the origins that are allowed. With a token, who shows it may do everything; nobody
else may do anything, but for the chromosome sizes of a uid, which the front end fetches without the
header that it sends otherwise.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, request, send_from_directory
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from werkzeug.exceptions import HTTPException

from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.access import LOOPBACK, given_tokens, hostname_of, same_token
from higlass_plugin.server.http import (
    MAX_QUERY,
    MAX_TILES,
    REFUSED,
    RequestError,
    add_security_headers,
    empty_response,
    endpoint_name,
    failed_tile_of,
    http_error,
    internal_error,
    json_body,
    json_response,
    mount_prefix,
    number_argument,
    posted_tile_ids,
    require_object,
    text_field,
    tiles_json,
    user_error,
)
from higlass_plugin.server.metrics import RegistryMetrics
from higlass_plugin.server.saved_views import SavedViews
from higlass_plugin.tiles import MAX_TEXT
from orca_cool.errors import OrcaCoolError

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parents[1] / "static"
#: Seconds that a request for predicted tiles may wait for them.
WAIT = 0.1
#: Texts of an edit, and tiles whose progress is asked for.
MAX_EDITS, MAX_ASKED = 100, 1000

#: The page needs its own script and style sheet, pictures that it draws itself (data:, blob:) and
#: HiGlass's worker (blob:). Pixi compiles text that it makes for its shaders, hence 'unsafe-eval'.
CSP = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; img-src 'self' data: "
    "blob:; connect-src 'self'; "
    "worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def create_app(registry: TilesetRegistry, **options: Any) -> Flask:
    """The app: page, static files and API of a registry.

    Parameters
    ----------
    registry : :class:`higlass_plugin.registry.tilesets.TilesetRegistry`.
    options : see :func:`create_blueprint`.
    """
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # it redirects, with a page that repeats the address
    app.register_blueprint(create_blueprint(registry, **options))
    app.register_error_handler(
        HTTPException, http_error
    )  # what matches no route is not the blueprint's
    app.after_request(add_security_headers)
    return app


def create_blueprint(
    registry: TilesetRegistry,
    *,
    token: str | None = None,
    blocking: bool = False,
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
    allow_origins : origins whose pages may do what this server's own page may
        ("https://resgen.io"); "*" for all.
    hosts : names under which the server may be addressed; None for any. With a token it does not
        matter.
    max_body : bytes of a request's body.
    """
    origins = frozenset(origin.rstrip("/") for origin in allow_origins)
    api = _Api(registry, token, blocking, origins, hosts, max_body)
    blueprint = Blueprint(
        "orca_cool", __name__, static_folder=str(STATIC), static_url_path="/static"
    )

    def route(path: str, view: Callable[..., Any], *methods: str) -> None:
        blueprint.add_url_rule(
            path,
            view.__name__,
            view,
            methods=[*methods, "OPTIONS"],
            strict_slashes=False,
            provide_automatic_options=False,
        )

    route("/", api.page, "GET")
    route("/healthz", api.healthz, "GET")
    route("/metrics", api.metrics, "GET")
    route("/api/v1/tiles/", api.tiles, "GET", "POST")
    route("/api/v1/tileset_info/", api.tileset_info, "GET")
    route("/api/v1/tilesets/", api.tilesets, "GET")
    route("/api/v1/chrom-sizes/", api.chrom_sizes, "GET")
    route("/api/v1/suggest/", api.suggest, "GET")
    route("/api/v1/register_url/", api.register_url, "POST")
    route("/api/v1/viewconfs/", api.viewconfs, "GET", "POST")
    route("/api/v1/edits/", api.edits, "GET", "POST", "DELETE")
    route("/api/v1/status/", api.status, "GET", "POST")
    blueprint.before_request(api.admit)
    blueprint.after_request(api.finish)
    blueprint.register_error_handler(OrcaCoolError, user_error)
    blueprint.register_error_handler(HTTPException, http_error)
    blueprint.register_error_handler(Exception, internal_error)
    return blueprint


class _Api:
    """The views, and what they share."""

    #: What any page may do; "viewconfs" for a view whose id it knows.
    OPEN = frozenset({"tiles", "tileset_info", "chrom_sizes", "suggest", "register_url"})

    def __init__(
        self,
        registry: TilesetRegistry,
        token: str | None,
        blocking: bool,
        allow_origins: frozenset[str],
        hosts: Collection[str] | None,
        max_body: int,
    ):
        self.registry, self.token, self.blocking, self.max_body = (
            registry,
            token,
            blocking,
            max_body,
        )
        self.allow_origins = allow_origins
        self.hosts = (
            None if hosts is None or token is not None else {host.lower() for host in hosts}
        )
        # cookies do not know ports: servers of several tokens on one machine keep theirs apart
        self.cookie = f"orca_cool_{hashlib.sha256((token or '').encode()).hexdigest()[:12]}"
        self.saved = SavedViews(None if registry.state is None else registry.state / "viewconfs")
        self.collectors = CollectorRegistry()
        self.requests = Counter(
            "orca_cool_requests",
            "Requests answered.",
            ["endpoint", "status"],
            registry=self.collectors,
        )
        self.seconds = Histogram(
            "orca_cool_tiles_seconds",
            "Seconds that requests for tiles took.",
            buckets=(0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 3, 10, 60, 600),
            registry=self.collectors,
        )
        self.collectors.register(RegistryMetrics(registry))

    # ---- before and after every request
    # ------------------------------------------------------------------------------------------

    def admit(self) -> Response | None:
        """Who may not, or asks for too much, gets no further."""
        request.max_content_length = self.max_body
        if self.hosts is not None and hostname_of(request.host) not in self.hosts:
            raise RequestError(
                f"this server is not called {request.host[:MAX_TEXT]!r}; use http://localhost, "
                f"or start it with --token",
                403,
            )
        if len(request.query_string) > MAX_QUERY:
            raise RequestError(
                f"the query has {len(request.query_string):,} characters; {MAX_QUERY:,} are allowed"
            )
        if (request.content_length or 0) > self.max_body:
            raise RequestError(
                f"the body has {request.content_length:,} bytes; {self.max_body:,} are allowed", 413
            )
        if request.method == "OPTIONS":
            return empty_response(204)
        endpoint = endpoint_name()
        if endpoint in ("page", "static", "healthz"):
            return None
        shown = self.token is not None and any(
            same_token(given, self.token) for given in given_tokens()
        )
        if (
            self.token is not None
            and not shown
            and endpoint != "chrom_sizes"
            and not same_token(request.cookies.get(self.cookie), self.token)
        ):
            raise RequestError(
                "a token is needed: open the address that the server printed, or send "
                "`Authorization: Bearer TOKEN`",
                401,
            )
        origin = request.headers.get("Origin")
        trusted = origin is None or shown or self._is_own(origin) or self._is_here(origin)
        if origin is not None and not trusted and not self.allow_origins & {"*", origin}:
            known = (
                endpoint == "viewconfs"
                and request.method == "GET"
                and request.args.get("d", "default") != "default"
            )
            if endpoint not in self.OPEN and not known:
                raise RequestError(
                    f"pages of {origin[:MAX_TEXT]!r} may not do this; start the server with "
                    f"--allow-origin {origin[:MAX_TEXT]}",
                    403,
                )
        return None

    def _is_own(self, origin: str) -> bool:
        # not the scheme: a proxy in front may speak https
        return origin.partition("://")[2] == request.host

    def _is_here(self, origin: str) -> bool:
        """A page of another server on this machine (a HiGlass of the user's own, a notebook), where
        no token asks for more.
        """
        return self.token is None and hostname_of(origin.partition("://")[2]) in LOOPBACK

    def finish(self, response: Response) -> Response:
        """Headers, and a line in the statistics."""
        self.requests.labels(endpoint_name() or "none", response.status_code).inc()
        if endpoint_name() not in ("page", "static", "healthz", "metrics"):
            # without credentials: what a cookie opens is for pages of this server alone
            response.headers["Access-Control-Allow-Origin"] = "*"
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE, OPTIONS"
                response.headers["Access-Control-Allow-Headers"] = "content-type, authorization"
                response.headers["Access-Control-Max-Age"] = "86400"
                if "Access-Control-Request-Private-Network" in request.headers:
                    response.headers["Access-Control-Allow-Private-Network"] = "true"
            response.headers["Cache-Control"] = "no-store"
        return add_security_headers(response)

    # ---- the page
    # ------------------------------------------------------------------------------------------------------------------

    def page(self) -> Response:
        given = request.args.get("token")
        if self.token is not None and given is not None:
            if not same_token(given, self.token):
                raise RequestError(
                    "this is not the token of this server; open the address that it printed", 401
                )
            view = request.args.get("view", "")
            # the token does not stay in the address, where histories and screenshots keep it
            answer = empty_response(303)
            answer.headers["Location"] = (
                f"{mount_prefix()}/{f'?view={view}' if _ID.fullmatch(view) else ''}"
            )
            answer.set_cookie(
                self.cookie, self.token, httponly=True, samesite="Strict", path=f"{mount_prefix()}/"
            )
            return answer
        answer = send_from_directory(STATIC, "index.html")
        answer.headers["Content-Security-Policy"] = CSP
        return answer

    def healthz(self) -> Response:
        return json_response({"status": "ok"})

    def metrics(self) -> Response:
        return Response(
            generate_latest(self.collectors),
            content_type="text/plain; version=0.0.4; charset=utf-8",
        )

    # ---- HiGlass's API
    # ---------------------------------------------------------------------------------------------------------------

    def tiles(self) -> Response:
        """``GET ?d=ID&d=ID``, or ``POST [{tilesetUid, tileIds}]``. Every id gets a tile."""
        began = time.perf_counter()
        ids = request.args.getlist("d") if request.method == "GET" else posted_tile_ids(json_body())
        ids = list(dict.fromkeys(ids))
        if len(ids) > REFUSED:
            raise RequestError(f"{len(ids):,} tiles are asked for at once; {MAX_TILES} are allowed")
        try:
            found = self.registry.tiles(ids[:MAX_TILES], wait=None if self.blocking else WAIT)
        except Exception:  # of several tilesets in one request none may suffer from another
            logger.exception("tiles")
            found = {}
        tiles = {
            i: found[i] if i in found else failed_tile_of(i, "the server could not make this tile")
            for i in ids[:MAX_TILES]
        }
        tiles |= {
            i: failed_tile_of(i, f"more than {MAX_TILES} tiles are asked for at once")
            for i in ids[MAX_TILES:]
        }
        answer = Response(tiles_json(tiles), content_type="application/json")
        self.seconds.observe(time.perf_counter() - began)
        return answer

    def tileset_info(self) -> Response:
        """``?d=UID&d=UID``: the info of each, or ``{"error": ...}``."""
        found: dict[str, Any] = {}
        for uid in request.args.getlist("d")[:MAX_TILES]:
            try:
                found[uid] = self.registry[uid].info()
            except OrcaCoolError as error:
                found[uid] = {"error": str(error)}
        return json_response(found)

    def tilesets(self) -> Response:
        """The list: ``limit``, ``offset``, ``dt`` (datatypes), ``t`` (filetype), ``ac`` (part of
        the name).
        """
        types, filetype, part = (
            request.args.getlist("dt"),
            request.args.get("t"),
            request.args.get("ac", "").lower(),
        )
        fit = [
            tileset
            for tileset in self.registry.listed()
            if (not types or tileset.datatype in types)
            and filetype in (None, tileset.filetype)
            and part in tileset.name.lower()
        ]
        first = number_argument("offset", 0)
        results = [
            {
                "uuid": tileset.uid,
                "name": tileset.name,
                "filetype": tileset.filetype,
                "datatype": tileset.datatype,
                "coordSystem": tileset.coord_system,
                "coordSystem2": tileset.coord_system,
                "created": STARTED,
                "project": "",
                "project_name": "",
                "description": tileset.description,
                "private": False,
            }
            for tileset in fit[first : first + number_argument("limit", 10_000)]
        ]
        return json_response(
            {"count": len(fit), "next": None, "previous": None, "results": results}
        )

    def chrom_sizes(self) -> Response:
        """``?id=UID``: a table; with ``type=json`` an object, with ``cum=1`` also where each
        chromosome begins.
        """
        rows = self.registry[request.args.get("id", "")].info().get("chromsizes")
        if not rows:
            raise RequestError(f"tileset {request.args.get('id')!r} has no chromosome sizes", 404)
        if request.args.get("type") != "json":
            return Response(
                "".join(f"{chrom}\t{size}\n" for chrom, size in rows),
                content_type="text/tab-separated-values; charset=utf-8",
            )
        at, sizes = 0, {}
        for chrom, size in rows:
            sizes[chrom] = (
                {"size": size, "offset": at}
                if request.args.get("cum") not in (None, "0", "")
                else {"size": size}
            )
            at += size
        return json_response(sizes)

    def suggest(self) -> Response:
        """``?d=UID&ac=TEXT``: genes whose name begins so; none of a tileset without names."""
        tileset = self.registry[request.args.get("d", "")]
        find = getattr(tileset, "suggest", None)
        return json_response(find(request.args.get("ac", "")[:MAX_TEXT]) if find else [])

    def register_url(self) -> Response:
        """``{fileurl, filetype: "orca", coordSystem}``: the uid of a prediction. No file is read
        for it, whatever it is called.
        """
        body = require_object(json_body())
        url, filetype, coord_system = (
            text_field(body, key) for key in ("fileurl", "filetype", "coordSystem")
        )
        if filetype not in (None, "orca"):
            raise RequestError(f"filetype {filetype[:MAX_TEXT]!r} cannot be registered; 'orca' can")
        if url is None or not url.startswith("orca://"):
            raise RequestError(
                f"url {(url or '')[:MAX_TEXT]!r} is not of the form "
                f"orca://MODEL/GENOME?edit=...; files are given with --with"
            )
        return json_response({"uid": self.registry.open_url(url, coord_system).uid})

    def viewconfs(self) -> Response:
        """``GET ?d=ID``: "default", that of an edit, or a saved one. ``POST {uid?, viewconf}``
        saves one.
        """
        if request.method == "POST":
            body = require_object(json_body())
            uid = text_field(body, "uid")
            if uid is not None and (not _ID.fullmatch(uid) or uid == "default"):
                raise RequestError(
                    f"uid {uid[:MAX_TEXT]!r} is not 1 to 64 letters, digits, '-' and '_', or is "
                    f"taken"
                )
            return json_response({"uid": self.saved.put(uid, body.get("viewconf"))}, 201)
        uid = request.args.get("d", "default")
        saved = self.saved.get(uid)
        if saved is not None:
            return json_response(saved)
        from higlass_plugin.server.viewconf import default_viewconf, edit_viewconf

        # a page of another server gets addresses that lead here
        origin = request.headers.get("Origin")
        server = (
            f"{mount_prefix()}/api/v1"
            if origin is None or self._is_own(origin)
            else f"{request.host_url.rstrip('/')}{mount_prefix()}/api/v1"
        )
        if uid == "default":
            return json_response(default_viewconf(self.registry, server=server))
        return json_response(edit_viewconf(self.registry, self.registry.edited(uid), server=server))

    # ---- edits and progress
    # ------------------------------------------------------------------------------------------------------------

    def edits(self) -> Response:
        """``POST {edit, vcf, model, genome}`` edits a genome; ``GET`` and ``DELETE ?d=ID``."""
        if request.method == "POST":
            body = require_object(json_body())
            texts = body.get("edit") or []
            texts = [texts] if isinstance(texts, str) else texts
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise RequestError("'edit' is neither a text nor a list of texts")
            if len(texts) > MAX_EDITS:
                raise RequestError(f"'edit' has {len(texts):,} texts; {MAX_EDITS} are allowed")
            vcf, model, genome = (text_field(body, key) for key in ("vcf", "model", "genome"))
            edited = self.registry.edit(texts, vcf=vcf, model=model, genome=genome)
            return json_response(edited.to_json() | {"viewconf": edited.id}, 201)
        uid = request.args.get("d", "")
        if request.method == "DELETE":
            self.registry.drop(uid)
            return empty_response(204)
        edited = self.registry.edited(uid)
        return json_response(edited.to_json() | {"viewconf": edited.id})

    def status(self) -> Response:
        """What the server does; ``POST {tiles: [ids]}`` also how far these are."""
        status = {"instance": self.registry.instance, **self.registry.status()}
        if request.method == "POST":
            ids = require_object(json_body()).get("tiles", [])
            if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
                raise RequestError("'tiles' is not a list of tile ids")
            if len(ids) > MAX_ASKED:
                raise RequestError(f"'tiles' has {len(ids):,} ids; {MAX_ASKED:,} are allowed")
            status["progress"] = self.registry.progress(ids)
        return json_response(status)


#: When the tilesets came to be, for the list.
STARTED = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
