"""What each address of the server answers."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flask import Response, g, request, send_from_directory

from higlass_plugin.registry.address import PAIRS, is_edited
from higlass_plugin.registry.tiles import has_file
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server import viewconf
from higlass_plugin.server.access import Access, is_token
from higlass_plugin.server.http import (
    MAX_TILES,
    REFUSED,
    RequestError,
    add_security_headers,
    client,
    empty_response,
    endpoint_name,
    json_body,
    json_response,
    mount_prefix,
    number_argument,
    posted_tile_ids,
    refused_tile,
    require_object,
    text_field,
    tiles_json,
)
from higlass_plugin.server.lists import (
    LIST_CSP,
    assemblies,
    model_of_view,
    models,
    models_page,
    plain_info,
    tileset_entry,
)
from higlass_plugin.server.metrics import Metrics
from higlass_plugin.server.places import Pace, Places
from higlass_plugin.server.saved_views import SavedViews
from higlass_plugin.tiles import MAX_TEXT, JsonObject, chrom_sizes
from orca_cool.errors import OrcaCoolError

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parents[1] / "static"
#: Seconds that a request for predicted tiles waits for them, unless the server is blocking: one of
#: our own page or of a program, which can ask again, and one of another page.
WAIT, PAGE_WAIT = 0.1, 2.0
#: Requests of one address that wait for tiles at once (further ones are answered at once, with what
#: is there), and that make edits at once (further ones are told to try again).
MAX_WAITING, MAX_EDITING = 48, 8
#: Requests of other pages that wait at once for PAGE_WAIT (further ones for WAIT): of one address,
#: and of all together, since each keeps a thread of the server.
PAGE_WAITING, ALL_PAGES_WAITING = 12, 32
#: Limits of a request: texts of an edit, and tiles whose progress is asked for.
MAX_EDITS, MAX_ASKED = 100, 1000

#: The page needs its own script and style sheet, pictures that it draws itself (data:, blob:) and
#: HiGlass's worker (blob:). Pixi compiles the text of its shaders, hence 'unsafe-eval'.
CSP = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; img-src 'self' data: "
    "blob:; connect-src 'self'; "
    "worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Views:
    """The functions that answer requests; the routes to them are in
    :func:`higlass_plugin.server.app.create_blueprint`.

    Parameters
    ----------
    registry : the tilesets.
    access : the token and its cookie.
    blocking : requests for tiles wait until they are computed.
    page_wait : seconds that a request of another page than our own waits for them.
    """

    def __init__(
        self,
        registry: TilesetRegistry,
        access: Access,
        blocking: bool,
        page_wait: float = PAGE_WAIT,
    ):
        self.registry, self.access, self.blocking = registry, access, blocking
        self.page_wait = page_wait
        self.pages, self.all_pages = Places(PAGE_WAITING), Places(ALL_PAGES_WAITING)
        self.saved = SavedViews(None if registry.state is None else registry.state / "viewconfs")
        self.counts = Metrics(registry)
        self.waiting, self.editing = Places(MAX_WAITING), Places(MAX_EDITING)
        self.pace = Pace()

    def finish(self, response: Response) -> Response:
        """Count a request, and add the headers that every answer has."""
        self.counts.requests.labels(endpoint_name() or "none", response.status_code).inc()
        if endpoint_name() not in ("page", "static", "healthz", "metrics"):
            self._pace()
            # "*" excludes credentials: only pages of this server can use the cookie
            response.headers["Access-Control-Allow-Origin"] = "*"
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE, OPTIONS"
                response.headers["Access-Control-Allow-Headers"] = "content-type, authorization"
                response.headers["Access-Control-Max-Age"] = "86400"
                if "Access-Control-Request-Private-Network" in request.headers:
                    response.headers["Access-Control-Allow-Private-Network"] = "true"
            response.headers["Cache-Control"] = "no-store"
        return add_security_headers(response)

    def _pace(self) -> None:
        """Delay an answer whose client takes more than its share while predictions are computed."""
        delay = self.pace.delay(client(), time.thread_time() - g.get("began", time.thread_time()))
        scheduler = self.registry.scheduler
        if delay and scheduler is not None and len(scheduler):
            time.sleep(delay)

    # ---- the page, and what watches over the server

    def page(self) -> Response:
        """The page. With ``?token=`` the token is put into a cookie, and the browser is sent to the
        address without it, because histories and screenshots keep addresses.
        """
        view = request.args.get("view", "")
        entered = self._entered(f"?view={view}" if _ID.fullmatch(view) else "")
        if entered is not None:
            return entered
        answer = send_from_directory(STATIC, "index.html")
        answer.headers["Content-Security-Policy"] = CSP
        return answer

    def start(self) -> Response:
        """The page that lists the models, with links to their first views."""
        entered = self._entered("models")
        allowed = {"Content-Security-Policy": LIST_CSP}
        page = models_page(self.registry)
        return entered or Response(page, content_type="text/html", headers=allowed)

    def _entered(self, to: str) -> Response | None:
        """Of a request with ``?token=`` the answer that sets the cookie and leads to an address
        below the server's own; None if no token is given, or needed.
        """
        given, token = request.args.get("token"), self.access.token
        if token is None or given is None:
            return None
        if not is_token(given, token):
            raise RequestError(
                "this is not the token of this server; open the address that it printed", 401
            )
        answer, path = empty_response(303), f"{mount_prefix()}/"
        answer.headers["Location"] = path + to
        answer.set_cookie(self.access.cookie, token, httponly=True, samesite="Strict", path=path)
        return answer

    def healthz(self) -> Response:
        """``{"status": "ok"}``, for whoever checks that the server is up."""
        return json_response({"status": "ok"})

    def metrics(self) -> Response:
        """The metrics in the text format of Prometheus."""
        return Response(self.counts.text(), content_type="text/plain; version=0.0.4; charset=utf-8")

    # ---- HiGlass's API

    def tiles(self) -> Response:
        """``GET ?d=ID&d=ID``, or ``POST [{tilesetUid, tileIds}]``. Every id gets a tile."""
        began = time.perf_counter()
        ids = request.args.getlist("d") if request.method == "GET" else posted_tile_ids(json_body())
        ids = list(dict.fromkeys(ids))
        if len(ids) > REFUSED:
            raise RequestError(f"{len(ids):,} tiles are asked for at once; {MAX_TILES} are allowed")
        try:
            with self._wait(ids[:MAX_TILES]) as wait:
                found = self.registry.tiles(ids[:MAX_TILES], wait=wait, client=client())
        except Exception:  # one request may ask for tiles of several tilesets: each gets an answer
            logger.exception("tiles")
            found = {}
        tiles = {
            i: found[i] if i in found else refused_tile(i, "the server could not make this tile")
            for i in ids[:MAX_TILES]
        }
        tiles |= {
            i: refused_tile(i, f"more than {MAX_TILES} tiles are asked for at once")
            for i in ids[MAX_TILES:]
        }
        answer = Response(tiles_json(tiles), content_type="application/json")
        self.counts.tile_seconds.observe(time.perf_counter() - began)
        return answer

    @contextmanager
    def _wait(self, ids: Sequence[str]) -> Iterator[float | None]:
        """Seconds that the request may wait for predicted tiles; None: until they are computed.

        A page other than our own does not ask again for what is missing, so its requests wait
        longer. One in which tiles of files are asked for too does not: they have one answer, and
        files shall not wait for predictions.
        """
        address = client()[0]
        with self.waiting.take(address) as free:
            if not free:
                yield 0.0
            elif self.blocking:
                yield None
            elif not self.access.is_other_page() or has_file(self.registry, ids):
                yield WAIT
            else:
                with self.pages.take(address) as own, self.all_pages.take("") as any_place:
                    yield self.page_wait if own and any_place else WAIT

    def tileset_info(self) -> Response:
        """``?d=UID&d=UID``: the info of each, or ``{"error": ...}``."""
        found: JsonObject = {}
        for uid in request.args.getlist("d")[:MAX_TILES]:
            try:
                info = self.registry[uid].info()
                found[uid] = plain_info(info) if self.access.is_other_page() else info
            except OrcaCoolError as error:
                found[uid] = {"error": str(error)}
        return json_response(found)

    def tilesets(self) -> Response:
        """The list of tilesets; ``dt`` (datatypes), ``t`` (filetype) and ``ac`` (part of the name)
        choose among them, ``offset`` and ``limit`` a part of the list.
        """
        types, filetype = request.args.getlist("dt"), request.args.get("t")
        part = request.args.get("ac", "").lower()
        fit = [
            tileset
            for tileset in self.registry.listed()
            if (not types or tileset.datatype in types)
            and filetype in (None, tileset.filetype)
            and part in tileset.name.lower()
        ]
        first = number_argument("offset", 0)
        results = [tileset_entry(t) for t in fit[first : first + number_argument("limit", 10_000)]]
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
        cumulative = request.args.get("cum") not in (None, "0", "")
        return json_response(chrom_sizes(rows, cumulative))

    def models(self) -> Response:
        """What is served, see :func:`higlass_plugin.server.lists.models`."""
        return json_response({"models": models(self.registry)})

    def available_chrom_sizes(self) -> Response:
        """Of each assembly a tileset of which :meth:`chrom_sizes` knows the sizes: the search box
        of HiGlass up to 1.13 asks for them.
        """
        results = assemblies(self.registry)
        return json_response({"count": len(results), "results": results})

    def suggest(self) -> Response:
        """``?d=UID&ac=TEXT``: genes whose names begin with the text; none of a tileset without
        names.
        """
        tileset = self.registry[request.args.get("d", "")]
        find = getattr(tileset, "suggest", None)
        return json_response(find(request.args.get("ac", "")[:MAX_TEXT]) if find else [])

    def register_url(self) -> Response:
        """``{fileurl, filetype: "orca", coordSystem}``: the uid of a prediction, or of one map
        divided by another or compared with it. No file is opened for it, whatever the URL is. Of an
        edit, it is for those that may edit.
        """
        body = require_object(json_body())
        url, filetype, coord_system = (
            text_field(body, key) for key in ("fileurl", "filetype", "coordSystem")
        )
        if filetype not in (None, "orca"):
            raise RequestError(f"filetype {filetype[:MAX_TEXT]!r} cannot be registered; 'orca' can")
        if url is None or not url.startswith(("orca://", *PAIRS)):
            raise RequestError(
                f"url {(url or '')[:MAX_TEXT]!r} is not of the form "
                f"orca://MODEL/GENOME?edit=..., divided://UID/UID or compared://UID/UID; files are "
                f"given with --with"
            )
        if is_edited(url):
            self.access.check_edits()
        guest = self.access.is_guest()
        with self.editing.take(client()[0]) as free:
            _require_place(free)
            tileset = self.registry.open_url(url, coord_system, guest=guest)
        return json_response({"uid": tileset.uid})

    def viewconfs(self) -> Response:
        """``GET ?d=ID``: "default" (of ``model``, ``genome`` and ``cell_type``, or of the first),
        that of a listed model, of an edit, or a saved one. ``POST {uid?, viewconf}`` saves one.
        """
        if request.method == "POST":
            return self._save_viewconf()
        uid = request.args.get("d", "default")
        saved = self.saved.get(uid)
        if saved is not None:
            return json_response(saved)
        # a page of another server must fetch its tiles from here
        origin = request.headers.get("Origin")
        own = origin is None or self.access.is_own_origin(origin)
        host = "" if own else request.host_url.rstrip("/")
        server = f"{host}{mount_prefix()}/api/v1"
        if uid == "default":
            names = (request.args.get(name) for name in ("model", "genome", "cell_type"))
            return json_response(viewconf.default_viewconf(self.registry, server, *names))
        listed = model_of_view(self.registry, uid)
        if listed is not None:
            return json_response(viewconf.default_viewconf(self.registry, server, *listed))
        edited = self.registry.edited(uid)
        return json_response(viewconf.edit_viewconf(self.registry, edited, server))

    def _save_viewconf(self) -> Response:
        body = require_object(json_body())
        uid = text_field(body, "uid")
        if uid is not None and (not _ID.fullmatch(uid) or uid == "default"):
            raise RequestError(
                f"uid {uid[:MAX_TEXT]!r} is not 1 to 64 letters, digits, '-' and '_', or is taken"
            )
        viewconf = body.get("viewconf")
        return json_response({"uid": self.saved.put(uid, viewconf, self.access.is_guest())}, 201)

    # ---- edited genomes, and progress

    def edits(self) -> Response:
        """``POST {edit, vcf, model, genome, cell_type}`` edits a genome; ``GET ?d=ID`` tells of an
        edited one; ``DELETE ?d=ID`` drops it.
        """
        if request.method == "POST":
            return self._make_edit()
        uid = request.args.get("d", "")
        if request.method == "DELETE":
            self.registry.drop(uid, guest=self.access.is_guest())
            return empty_response(204)
        edited = self.registry.edited(uid)
        return json_response(edited.to_json() | {"viewconf": edited.id})

    def _make_edit(self) -> Response:
        body = require_object(json_body())
        texts = body.get("edit") or []
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise RequestError("'edit' is neither a text nor a list of texts")
        if len(texts) > MAX_EDITS:
            raise RequestError(f"'edit' has {len(texts):,} texts; {MAX_EDITS} are allowed")
        vcf = text_field(body, "vcf")
        names = {key: text_field(body, key) for key in ("model", "genome", "cell_type")}
        guest = self.access.is_guest()
        with self.editing.take(client()[0]) as free:
            _require_place(free)
            edited = self.registry.edit(texts, vcf=vcf, guest=guest, **names)
        return json_response(edited.to_json() | {"viewconf": edited.id}, 201)

    def status(self) -> Response:
        """What the server does; ``POST {tiles: [ids]}`` also which of these tiles are ready."""
        status = {"instance": self.registry.instance, **self.registry.status()}
        if request.method == "POST":
            ids = require_object(json_body()).get("tiles", [])
            if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
                raise RequestError("'tiles' is not a list of tile ids")
            if len(ids) > MAX_ASKED:
                raise RequestError(f"'tiles' has {len(ids):,} ids; {MAX_ASKED:,} are allowed")
            status["progress"] = self.registry.progress(ids, client())
        return json_response(status)


def _require_place(free: bool) -> None:
    """RequestError if there is none."""
    if not free:
        raise RequestError(
            f"{MAX_EDITING} edits of this address are being made; try again when they are", 429
        )
