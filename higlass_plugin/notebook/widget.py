"""The widget that shows predicted maps in a notebook, with all that its page needs.

The page's JavaScript and the tiles come through the widget's own connection to the kernel (a
Jupyter comm); ``page/notebook/channel.js`` lists the messages. Nothing is fetched from the internet
and no port is opened, so that it works wherever widgets work. A tile that is not ready is answered
with what is known so far; the page says which tiles it draws unfinished, and a thread sends what
becomes of them, also while the kernel runs a cell.

References
----------
anywidget 0.9, "Anywidget Front-End Module" (``render``, ``model.send``); ipykernel, ``comm``:
messages of a comm are answered when the kernel runs no cell (or, in ipykernel 7 with JupyterLab
4.4, at any time).
"""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from higlass_plugin.clodius_tiles import Options, failed_tiles, open_tileset, registry
from higlass_plugin.notebook.errors import MissingPackage, NotebookError
from higlass_plugin.notebook.panes import Panes
from higlass_plugin.tiles import JsonObject, parse_tile_id, public_message
from orca_cool.errors import missing_package
from orca_cool.genome.regions import parse_region

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise MissingPackage(missing_package("a map in a notebook", error, "notebook")) from error

STATIC = Path(__file__).parents[1] / "static"

#: Seconds that an answer waits for tiles that are being computed.
WAIT = 0.2
#: Seconds between two looks at the tiles that pages draw unfinished.
EVERY = 0.4
#: Tiles in one message that nobody asked for.
TOGETHER = 8

_answering = ThreadPoolExecutor(4, "notebook")


@cache
def bundle() -> tuple[tuple[bytes, bytes], str]:
    """The page's JavaScript, that of HiGlass and what draws with it, and the digest of both."""
    higlass, own = ((STATIC / name).read_bytes() for name in ("higlass.js", "notebook.js"))
    return (higlass, own), hashlib.sha256(higlass + own).hexdigest()


class MapWidget(anywidget.AnyWidget):
    """Predicted maps in a notebook; :func:`higlass_plugin.view` makes it.

    Attributes
    ----------
    region : what is shown, on the reference, such as "chrII:100,000-400,000". It follows the mouse,
        and where it is set the maps go.
    """

    _esm = (STATIC / "notebook-loader.js").read_text(encoding="utf-8")
    _bundle = traitlets.Unicode().tag(sync=True)
    _viewconf = traitlets.Dict().tag(sync=True)
    _about = traitlets.Dict().tag(sync=True)
    _domain = traitlets.List(traitlets.Float()).tag(sync=True)

    def __init__(self, panes: Panes, options: Options, words: str):
        super().__init__(
            _bundle=bundle()[1],
            _viewconf=panes.viewconf,
            _about=panes.about,
            _domain=[float(position) for position in panes.domain],
        )
        self._axis, self._addresses = panes.axis, panes.addresses
        self._options, self._words = options, words
        self._lock = threading.Lock()
        #: By page, the tiles that it draws unfinished, and what it shows of each, in words.
        self._waiting: dict[str, dict[str, str]] = {}
        self._following = False
        self.on_msg(lambda _widget, message, _buffers: _answering.submit(self._receive, message))

    @property
    def region(self) -> str:
        """What is shown, on the reference: "chrII:100,000-400,000"."""
        start, end = (min(max(p, 0), self._axis.length) for p in self._domain)
        first, last = self._place(start, False), self._place(end, True)
        if first[0] == last[0]:
            return f"{first[0]}:{first[1]:,}-{last[1]:,}"
        return f"{first[0]}:{first[1]:,}-{last[0]}:{last[1]:,}"

    @region.setter
    def region(self, region: str) -> None:
        found = parse_region(region, self._axis.chromsizes)
        offset = self._axis.offsets[found.chrom]
        self._domain = [float(offset + found.start), float(offset + found.end)]

    def _place(self, position: float, is_end: bool) -> tuple[str, int]:
        """Chromosome and bp of a position on the axis; an end belongs to what lies before it."""
        chrom = next(iter(self._axis.offsets))
        for name, offset in self._axis.offsets.items():
            if offset < position or (offset == position and not is_end):
                chrom = name
        return chrom, round(position) - self._axis.offsets[chrom]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._words}, {self.region}>"

    # ---- messages of pages

    def _receive(self, message: JsonObject) -> None:
        """Answer a message of a page. Nothing is raised, because it would be lost."""
        kind, asked = message.get("kind"), message.get("id")
        if kind == "waiting":
            self._wait_for(message["page"], message["tiles"])
            return
        try:
            if kind == "bundle":
                self.send({"id": asked}, list(bundle()[0]))
            elif kind == "info":
                self.send({"id": asked, "answer": self._info(message["uid"])})
            elif kind == "tiles":
                self.send({"id": asked, "answer": self._tiles(message["tiles"])})
            else:
                raise NotebookError(f"a page asks for {kind!r}, which is not known")
        except Exception as error:
            self.send({"id": asked, "error": public_message(error)})

    def _info(self, uid: str) -> JsonObject:
        if uid not in self._addresses:
            raise NotebookError(f"tileset {uid!r} is not shown here")
        return open_tileset(self._addresses[uid], self._options).info()

    def _tiles(self, ids: list[str], wait: float = WAIT) -> JsonObject:
        """{id: tile} of tilesets that are shown."""
        try:
            for uid in {parse_tile_id(text).uid for text in ids}:
                self._info(uid)  # opens a genome that was closed because nobody looked at it
            return registry().tiles(ids, wait=wait)
        except Exception as error:
            return dict(failed_tiles(ids, error))

    # ---- tiles that become ready

    def _wait_for(self, page: str, tiles: dict[str, str]) -> None:
        with self._lock:
            self._waiting.pop(page, None)
            if tiles:
                self._waiting[page] = dict(tiles)
            if not self._waiting or self._following:
                return
            self._following = True
        threading.Thread(target=self._follow, name="follow", daemon=True).start()

    def _follow(self) -> None:
        """Send tiles as they become ready, or show more, until no page waits for any."""
        while True:
            time.sleep(EVERY)
            with self._lock:
                if not self._waiting or self.comm is None:  # a closed widget has none
                    self._following = False
                    return
                waiting = {text: w for of in self._waiting.values() for text, w in of.items()}
            found = registry().progress(list(waiting))
            better = [text for text, words in found["shows"].items() if words]
            changed = [*found["ready"], *found["failed"]]
            changed += [text for text in better if found["shows"][text] != waiting[text]]
            for n in range(0, len(changed), TOGETHER):
                self._push(changed[n : n + TOGETHER])

    def _push(self, ids: list[str]) -> None:
        tiles = self._tiles(ids, wait=0)
        self.send({"kind": "tiles", "tiles": tiles})
        with self._lock:
            for waiting in self._waiting.values():
                for text in waiting.keys() & tiles.keys():
                    waiting[text] = tiles[text].get("shows", "")
                    if waiting[text] == "final" or "shows" not in tiles[text]:
                        del waiting[text]
            self._waiting = {page: of for page, of in self._waiting.items() if of}
