"""HiGlass's HTTP API over a library of tilesets, and the page: a Flask app, or a blueprint for
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
import hmac
import json
import logging
import re
import secrets
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, request, send_from_directory
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from werkzeug.exceptions import HTTPException

from higlass_plugin.library import Library, UnknownTileset
from higlass_plugin.sessions import replace_text
from higlass_plugin.tiles import MAX_TEXT, TileError, failed_tile, parse_tile_id
from orca_cool.errors import OrcaCoolError

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"

#: Names under which a server on the loopback interface is reached.
LOOPBACK = ("localhost", "127.0.0.1", "::1")

#: Tiles of a request that are read; the front end asks for 15 at most. Requests for more than
#: REFUSED are not answered at all.
MAX_TILES, REFUSED = 64, 128
#: Characters of a query: 128 of the longest tile ids.
MAX_QUERY = 32_768
#: Seconds that a request for predicted tiles may wait for them.
WAIT = 0.1
#: Bytes of a saved view, and views that are kept; the oldest are dropped.
MAX_VIEWCONF, MAX_VIEWCONFS = 1 << 18, 1000
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


class RequestError(OrcaCoolError):
    """A request that is not answered; ``status`` is HTTP's."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


def create_app(library: Library, **options: Any) -> Flask:
    """The app: page, static files and API of a library.

    Parameters
    ----------
    library : :class:`higlass_plugin.library.Library`.
    options : see :func:`create_blueprint`.
    """
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # it redirects, with a page that repeats the address
    app.register_blueprint(create_blueprint(library, **options))
    app.register_error_handler(
        HTTPException, _http_error
    )  # what matches no route is not the blueprint's
    app.after_request(_secure)
    return app


def create_blueprint(
    library: Library,
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
    library : :class:`higlass_plugin.library.Library`.
    token : who does not show it (header ``Authorization: Bearer``, ``?token=``, cookie) gets 401.
    blocking : requests for tiles wait until they are computed, for pages that do not ask again.
    allow_origins : origins whose pages may do what this server's own page may
        ("https://resgen.io"); "*" for all.
    hosts : names under which the server may be addressed; None for any. With a token it does not
        matter.
    max_body : bytes of a request's body.
    """
    origins = frozenset(origin.rstrip("/") for origin in allow_origins)
    api = _Api(library, token, blocking, origins, hosts, max_body)
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
    blueprint.register_error_handler(OrcaCoolError, _user_error)
    blueprint.register_error_handler(HTTPException, _http_error)
    blueprint.register_error_handler(Exception, _internal_error)
    return blueprint


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; ``port`` 0 is any that is free. OSError if the address cannot be used."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a server that is started again need not wait
        found.bind(address)
        found.listen(1024)
    except OSError:
        found.close()
        raise
    return found


def run(app: Flask, listening: socket.socket, threads: int) -> None:
    """Serve until the process is told to stop (SystemExit or KeyboardInterrupt in the main thread),
    with waitress.
    """
    import waitress

    logging.getLogger("waitress.queue").setLevel(
        logging.ERROR
    )  # it warns of every request that waits for a thread
    waitress.create_server(
        app,
        sockets=[listening],
        threads=threads,
        ident=None,
        connection_limit=1000,
        asyncore_use_poll=True,  # select() ends at 1024 descriptors
        outbuf_overflow=64 << 20,  # a response is kept in memory, not in a temporary file
        max_request_body_size=64
        << 20,  # above this waitress refuses by itself; the app's own limit says so in JSON
    ).run()


class _Api:
    """The views, and what they share."""

    #: What any page may do; "viewconfs" for a view whose id it knows.
    OPEN = frozenset({"tiles", "tileset_info", "chrom_sizes", "suggest", "register_url"})

    def __init__(
        self,
        library: Library,
        token: str | None,
        blocking: bool,
        allow_origins: frozenset[str],
        hosts: Collection[str] | None,
        max_body: int,
    ):
        self.library, self.token, self.blocking, self.max_body = library, token, blocking, max_body
        self.allow_origins = allow_origins
        self.hosts = (
            None if hosts is None or token is not None else {host.lower() for host in hosts}
        )
        # cookies do not know ports: servers of several tokens on one machine keep theirs apart
        self.cookie = f"orca_cool_{hashlib.sha256((token or '').encode()).hexdigest()[:12]}"
        self.saved = _Viewconfs(None if library.state is None else library.state / "viewconfs")
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "orca_cool_requests",
            "Requests answered.",
            ["endpoint", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "orca_cool_tiles_seconds",
            "Seconds that requests for tiles took.",
            buckets=(0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1, 3, 10, 60, 600),
            registry=self.registry,
        )
        self.registry.register(_LibraryMetrics(library))

    # ---- before and after every request
    # ------------------------------------------------------------------------------------------

    def admit(self) -> Response | None:
        """Who may not, or asks for too much, gets no further."""
        request.max_content_length = self.max_body
        if self.hosts is not None and _hostname(request.host) not in self.hosts:
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
            return _empty(204)
        endpoint = _endpoint()
        if endpoint in ("page", "static", "healthz"):
            return None
        shown = self.token is not None and any(
            _same(given, self.token) for given in _given_tokens()
        )
        if (
            self.token is not None
            and not shown
            and endpoint != "chrom_sizes"
            and not _same(request.cookies.get(self.cookie), self.token)
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
        return self.token is None and _hostname(origin.partition("://")[2]) in LOOPBACK

    def finish(self, response: Response) -> Response:
        """Headers, and a line in the statistics."""
        self.requests.labels(_endpoint() or "none", response.status_code).inc()
        if _endpoint() not in ("page", "static", "healthz", "metrics"):
            # without credentials: what a cookie opens is for pages of this server alone
            response.headers["Access-Control-Allow-Origin"] = "*"
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE, OPTIONS"
                response.headers["Access-Control-Allow-Headers"] = "content-type, authorization"
                response.headers["Access-Control-Max-Age"] = "86400"
                if "Access-Control-Request-Private-Network" in request.headers:
                    response.headers["Access-Control-Allow-Private-Network"] = "true"
            response.headers["Cache-Control"] = "no-store"
        return _secure(response)

    # ---- the page
    # ------------------------------------------------------------------------------------------------------------------

    def page(self) -> Response:
        given = request.args.get("token")
        if self.token is not None and given is not None:
            if not _same(given, self.token):
                raise RequestError(
                    "this is not the token of this server; open the address that it printed", 401
                )
            view = request.args.get("view", "")
            # the token does not stay in the address, where histories and screenshots keep it
            answer = _empty(303)
            answer.headers["Location"] = (
                f"{_prefix()}/{f'?view={view}' if _ID.fullmatch(view) else ''}"
            )
            answer.set_cookie(
                self.cookie, self.token, httponly=True, samesite="Strict", path=f"{_prefix()}/"
            )
            return answer
        answer = send_from_directory(STATIC, "index.html")
        answer.headers["Content-Security-Policy"] = CSP
        return answer

    def healthz(self) -> Response:
        return _json({"status": "ok"})

    def metrics(self) -> Response:
        return Response(
            generate_latest(self.registry), content_type="text/plain; version=0.0.4; charset=utf-8"
        )

    # ---- HiGlass's API
    # ---------------------------------------------------------------------------------------------------------------

    def tiles(self) -> Response:
        """``GET ?d=ID&d=ID``, or ``POST [{tilesetUid, tileIds}]``. Every id gets a tile."""
        began = time.perf_counter()
        ids = request.args.getlist("d") if request.method == "GET" else _posted_ids(_body())
        ids = list(dict.fromkeys(ids))
        if len(ids) > REFUSED:
            raise RequestError(f"{len(ids):,} tiles are asked for at once; {MAX_TILES} are allowed")
        try:
            found = self.library.tiles(ids[:MAX_TILES], wait=None if self.blocking else WAIT)
        except Exception:  # of several tilesets in one request none may suffer from another
            logger.exception("tiles")
            found = {}
        tiles = {
            i: found[i] if i in found else _failed(i, "the server could not make this tile")
            for i in ids[:MAX_TILES]
        }
        tiles |= {
            i: _failed(i, f"more than {MAX_TILES} tiles are asked for at once")
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
                found[uid] = self.library[uid].info()
            except OrcaCoolError as error:
                found[uid] = {"error": str(error)}
        return _json(found)

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
            for tileset in self.library.listed()
            if (not types or tileset.datatype in types)
            and filetype in (None, tileset.filetype)
            and part in tileset.name.lower()
        ]
        first = _number("offset", 0)
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
            for tileset in fit[first : first + _number("limit", 10_000)]
        ]
        return _json({"count": len(fit), "next": None, "previous": None, "results": results})

    def chrom_sizes(self) -> Response:
        """``?id=UID``: a table; with ``type=json`` an object, with ``cum=1`` also where each
        chromosome begins.
        """
        rows = self.library[request.args.get("id", "")].info().get("chromsizes")
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
        return _json(sizes)

    def suggest(self) -> Response:
        """``?d=UID&ac=TEXT``: genes whose name begins so; none of a tileset without names."""
        tileset = self.library[request.args.get("d", "")]
        find = getattr(tileset, "suggest", None)
        return _json(find(request.args.get("ac", "")[:MAX_TEXT]) if find else [])

    def register_url(self) -> Response:
        """``{fileurl, filetype: "orca", coordSystem}``: the uid of a prediction. No file is read
        for it, whatever it is called.
        """
        body = _object(_body())
        url, filetype, coord_system = (
            _text(body, key) for key in ("fileurl", "filetype", "coordSystem")
        )
        if filetype not in (None, "orca"):
            raise RequestError(f"filetype {filetype[:MAX_TEXT]!r} cannot be registered; 'orca' can")
        if url is None or not url.startswith("orca://"):
            raise RequestError(
                f"url {(url or '')[:MAX_TEXT]!r} is not of the form "
                f"orca://MODEL/GENOME?edit=...; files are given with --with"
            )
        return _json({"uid": self.library.open_url(url, coord_system).uid})

    def viewconfs(self) -> Response:
        """``GET ?d=ID``: "default", that of an edit, or a saved one. ``POST {uid?, viewconf}``
        saves one.
        """
        if request.method == "POST":
            body = _object(_body())
            uid = _text(body, "uid")
            if uid is not None and (not _ID.fullmatch(uid) or uid == "default"):
                raise RequestError(
                    f"uid {uid[:MAX_TEXT]!r} is not 1 to 64 letters, digits, '-' and '_', or is "
                    f"taken"
                )
            return _json({"uid": self.saved.put(uid, body.get("viewconf"))}, 201)
        uid = request.args.get("d", "default")
        saved = self.saved.get(uid)
        if saved is not None:
            return _json(saved)
        from higlass_plugin.viewconf import default_viewconf, edit_viewconf

        # a page of another server gets addresses that lead here
        origin = request.headers.get("Origin")
        server = (
            f"{_prefix()}/api/v1"
            if origin is None or self._is_own(origin)
            else f"{request.host_url.rstrip('/')}{_prefix()}/api/v1"
        )
        if uid == "default":
            return _json(default_viewconf(self.library, server=server))
        return _json(edit_viewconf(self.library, self.library.edited(uid), server=server))

    # ---- edits and progress
    # ------------------------------------------------------------------------------------------------------------

    def edits(self) -> Response:
        """``POST {edit, vcf, model, genome}`` edits a genome; ``GET`` and ``DELETE ?d=ID``."""
        if request.method == "POST":
            body = _object(_body())
            texts = body.get("edit") or []
            texts = [texts] if isinstance(texts, str) else texts
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise RequestError("'edit' is neither a text nor a list of texts")
            if len(texts) > MAX_EDITS:
                raise RequestError(f"'edit' has {len(texts):,} texts; {MAX_EDITS} are allowed")
            vcf, model, genome = (_text(body, key) for key in ("vcf", "model", "genome"))
            edited = self.library.edit(texts, vcf=vcf, model=model, genome=genome)
            return _json(edited.to_json() | {"viewconf": edited.id}, 201)
        uid = request.args.get("d", "")
        if request.method == "DELETE":
            self.library.drop(uid)
            return _empty(204)
        edited = self.library.edited(uid)
        return _json(edited.to_json() | {"viewconf": edited.id})

    def status(self) -> Response:
        """What the server does; ``POST {tiles: [ids]}`` also how far these are."""
        status = {"instance": self.library.instance, **self.library.status()}
        if request.method == "POST":
            ids = _object(_body()).get("tiles", [])
            if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
                raise RequestError("'tiles' is not a list of tile ids")
            if len(ids) > MAX_ASKED:
                raise RequestError(f"'tiles' has {len(ids):,} ids; {MAX_ASKED:,} are allowed")
            status["progress"] = self.library.progress(ids)
        return _json(status)


#: When the tilesets came to be, for the list.
STARTED = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class _LibraryMetrics:
    """``Library.metrics()`` for Prometheus."""

    def __init__(self, library: Library):
        self.library = library

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for name, value in self.library.metrics().items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield kind(f"orca_cool_{name}", name.replace("_", " "), value=value)


class _Viewconfs:
    """Saved views, the newest MAX_VIEWCONFS: one file each in a folder, or in memory."""

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()
        if folder is not None and folder.is_dir():
            for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
                self._kept[path.stem] = ""

    def get(self, uid: str) -> Any:
        """The view, None if there is none."""
        with self._lock:
            text = self._text(uid)
        return None if text is None else json.loads(text)

    def put(self, uid: str | None, viewconf: Any) -> str:
        """Keep a view, under a new id if none is given; RequestError if it is none, is too large,
        or the id is another view's.
        """
        if not isinstance(viewconf, dict):
            raise RequestError("'viewconf' is missing, or is no object")
        text = json.dumps(viewconf)
        if len(text) > MAX_VIEWCONF:
            raise RequestError(
                f"the view has {len(text):,} bytes; {MAX_VIEWCONF:,} are allowed", 413
            )
        uid = uid or secrets.token_urlsafe(12)
        with self._lock:
            there = self._text(uid)
            if there not in (None, text):
                raise RequestError(f"there is another view {uid!r}; leave out the uid")
            if there is None:
                if self.folder is not None:
                    self.folder.mkdir(parents=True, exist_ok=True)
                    replace_text(self.folder / f"{uid}.json", text)
                self._kept[uid] = text if self.folder is None else ""
            while len(self._kept) > MAX_VIEWCONFS:
                oldest, _ = self._kept.popitem(last=False)
                if self.folder is not None:
                    (self.folder / f"{oldest}.json").unlink(missing_ok=True)
        return uid

    def _text(self, uid: str) -> str | None:
        """What is kept, of an id that is known: no other file is looked at."""
        if uid not in self._kept or self.folder is None:
            return self._kept.get(uid)
        try:
            return (self.folder / f"{uid}.json").read_text(encoding="utf-8")
        except OSError:
            return None


def tiles_json(tiles: Mapping[str, Any]) -> bytes:
    """``json.dumps(tiles)``, but base64 is put in as it is: nothing in it needs a second look, and
    it is nearly all there is.
    """
    parts = []
    for key, tile in tiles.items():
        try:
            dense = tile.get("dense") if isinstance(tile, dict) else None
            rest = json.dumps(
                {k: v for k, v in tile.items() if k != "dense"} if dense else tile, allow_nan=False
            )
        except (TypeError, ValueError):
            logger.exception("tile %s is no JSON", key)
            tile = _failed(key, "the server could not write this tile")
            dense, rest = None, json.dumps(tile)
        parts += [
            ",",
            json.dumps(key),
            ":",
            *((rest[:-1], ',"dense":"', dense, '"}') if dense else (rest,)),
        ]
    return f"{{{''.join(parts[1:])}}}".encode()


def _failed(text: str, message: str) -> Any:
    """A tile with a message, of the dimensions that its id speaks of."""
    try:
        return failed_tile(message, len(parse_tile_id(text).position))
    except TileError as error:
        return failed_tile(str(error))


def _posted_ids(body: Any) -> list[str]:
    if not isinstance(body, list):
        raise RequestError("the body is not a list of {tilesetUid, tileIds}")
    ids = []
    for part in body:
        uid, tiles = (
            (part.get("tilesetUid"), part.get("tileIds"))
            if isinstance(part, dict)
            else (None, None)
        )
        if (
            not isinstance(uid, str)
            or not isinstance(tiles, list)
            or not all(isinstance(tile, str) for tile in tiles)
        ):
            raise RequestError("the body is not a list of {tilesetUid, tileIds}")
        ids += [f"{uid}.{tile}" for tile in tiles]
    return ids


def _body() -> Any:
    """The request's JSON, whatever its content type says."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    try:
        body = json.loads(request.get_data(), parse_constant=refuse)
        json.dumps(
            body, ensure_ascii=False
        ).encode()  # half a character (\\ud800) is JSON, but can be written to no file
        return body
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is no JSON: {str(error)[:MAX_TEXT]}") from None


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise RequestError("the body is no JSON object")
    return body


def _text(body: Mapping[str, Any], key: str) -> str | None:
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{key!r} is no text")
    return value


def _number(key: str, default: int) -> int:
    text = request.args.get(key, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise RequestError(f"{key} {text[:MAX_TEXT]!r} is no number")
    return int(text)


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, allow_nan=False), status, content_type="application/json")


def _empty(status: int) -> Response:
    answer = Response(status=status)
    del answer.headers["Content-Type"]  # Flask's is HTML's
    return answer


def _endpoint() -> str | None:
    """Name of the view, without the blueprint's."""
    return request.endpoint.rpartition(".")[2] if request.endpoint else None


def _prefix() -> str:
    """What the app or the blueprint is mounted below."""
    rule = request.url_rule.rule if request.url_rule else ""
    own = next(
        (mark for mark in ("/api/v1/", "/static/", "/healthz", "/metrics") if mark in rule), "/"
    )
    return request.script_root + rule[: rule.rindex(own)] if rule else request.script_root


def _given_tokens() -> list[str]:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return [value.strip() if kind.lower() == "bearer" else "", request.args.get("token", "")]


def _same(given: str | None, token: str) -> bool:
    return given is not None and hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), token.encode()
    )


def _hostname(host: str) -> str:
    """Without port and brackets, in lower case."""
    return (
        (
            host.rpartition(":")[0]
            if re.search(r":[0-9]*$", host) and not host.endswith("]")
            else host
        )
        .strip("[]")
        .lower()
    )


def _secure(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault(
        "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
    )
    return response


def _user_error(error: OrcaCoolError) -> Response:
    status = 404 if isinstance(error, UnknownTileset) else getattr(error, "status", 400)
    return _json({"error": " ".join(str(error).split())}, status)


def _http_error(error: HTTPException) -> Response:
    return _json({"error": error.description or error.name}, error.code or 400)


def _internal_error(error: Exception) -> Response:
    logger.error("%s %r", request.method, request.path, exc_info=error)
    return _json({"error": "internal error; the server's log says more"}, 500)
