"""Predicted tilesets in a notebook, for higlass-python::

    import higlass as hg
    import higlass_plugin

    maps = higlass_plugin.tileset("yeast-metaphase", "example")
    maps.compute("chrII:100,000-400,000")
    higlass_plugin.watch(hg.view(maps.track()).domain(x=maps.domain("chrII:100,000-400,000")).widget())

higlass-python sends a page's requests for tiles through the notebook's own connection. The page
waits 3 s for all tiles of a request together, those of other tilesets among them, and never asks
again; an exception is lost. Hence tiles are answered within a second with what is there,
:meth:`PredictedTileset.compute` computes tiles before they are shown, and :func:`watch` makes the
page ask again.

References
----------
higlass-python 1.4: ``higlass/tilesets.py`` (``Tileset``), ``higlass/_widget.py`` and ``widget.js``
(requests, ``reload``), ``higlass/_tileset_registry.py`` (references to tilesets are weak). HiGlass
front end 2.3: ``app/scripts/services/tile-proxy.js`` (which tiles a view asks for),
``app/scripts/api.js`` (``reload``).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, combinations_with_replacement
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from higlass_plugin.clodius_tiles import Options, failed_tiles, open_tileset, registry
from higlass_plugin.registry.address import Address, tidy
from higlass_plugin.server import access, listen
from higlass_plugin.server.viewconf_parts import LINEAR, SCORES, VALUES
from higlass_plugin.tiles import TileError
from higlass_plugin.tilesets.base import COMPUTING, ComputedTileset
from higlass_plugin.tilesets.maps import TRANSFORMS
from orca_cool.errors import OrcaCoolError, RegionError
from orca_cool.genome.regions import parse_region


class NotebookError(OrcaCoolError):
    """What a notebook asks for cannot be shown."""


class MissingPackage(NotebookError, ImportError):
    """A package that notebooks need is not installed."""


try:
    import higlass as hg
except ImportError as error:
    raise MissingPackage(
        f"{error.name!r} cannot be imported; install what notebooks need: pip install "
        f"higlass-python"
    ) from error

#: Seconds that a page's request may wait for tiles that are being computed; a request that comes
#: within PAUSE of another shares its time: the tilesets of a page are asked one after the other,
#: and requests that come together queue for few threads.
WAIT, PAUSE = 1.0, 0.5
#: Seconds between two looks at what has become ready.
EVERY = 2.0
#: Threads of the HTTP server: requests that wait for their tiles take one each.
THREADS = 64


class _Patience:
    """Time to wait, shared by all calls that come together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls, self._began, self._last = 0, 0.0, float("-inf")

    @contextmanager
    def share(self) -> Iterator[float]:
        """Seconds that a call may still wait."""
        with self._lock:
            now = time.monotonic()
            if not self._calls and now - self._last > PAUSE:
                self._began = now
            self._calls += 1
        try:
            yield max(0.0, self._began + WAIT - now)
        finally:
            with self._lock:
                self._calls -= 1
                self._last = time.monotonic()


_patience = _Patience()


class PredictedTileset(hg.Tileset):
    """A predicted tileset for higlass-python; :func:`tileset` makes it.

    Attributes
    ----------
    name, datatype : as HiGlass shows them.
    """

    def __init__(self, address: Address, options: Options):
        self._address, self._options = address, options
        self._lock = threading.Lock()
        self._unfinished: dict[str, None] = {}  # tiles that a page was given unfinished
        self._settled = 0
        self.registered: str | None = None  # what higlass-python calls it
        opened = self._open()  # now, while an error has somebody to see it
        self.name, self.datatype = opened.name, opened.datatype

    def _open(self) -> ComputedTileset:
        return open_tileset(self._address, self._options)

    @property
    def uid(self) -> str:
        """The uid for ``hg.remote(uid, server)`` and other users of :func:`serve`."""
        return self._open().uid

    def info(self) -> dict[str, Any]:
        """HiGlass's ``tileset_info``."""
        return self._open().info()

    def tiles(self, tile_ids: Sequence[str], /) -> list[tuple[str, dict[str, Any]]]:
        """Tiles by id, within about a second: whole, or what is known so far with the message
        "computing". Raises nothing.
        """
        ids = list(tile_ids)
        try:
            own = {f"{self.uid}.{text.partition('.')[2]}": text for text in ids}
            with _patience.share() as wait:
                found = registry().tiles(list(own), wait=wait)
        except Exception as error:
            return failed_tiles(ids, error)
        with self._lock:
            for key, tile in found.items():
                if tile.get("error") == COMPUTING:
                    self._unfinished[key] = None
                else:
                    self._unfinished.pop(key, None)
        return [(own[key], tile) for key, tile in found.items()]

    def track(
        self,
        type_: Any = None,
        /,
        *,
        value: str | None = None,
        server: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """A track of it.

        Parameters
        ----------
        type_ : HiGlass's type of track; default: what fits the tileset.
        value : of a map: "logoe" (log observed/expected, the default), "weight" (contact frequency)
            or "none" (counts).
        server : address of an HTTP server (:func:`serve`) that the page asks for tiles, instead of
            the notebook.
        kwargs : further properties of the track; ``options`` go before the defaults.

        Raises
        ------
        NotebookError
            If there is no such value.
        """
        kind, drawn = self._drawn(value)
        options = {**drawn, "name": self.name, **kwargs.pop("options", {})}
        if self.datatype == "vector":
            kwargs.setdefault("height", 40)
        if server is not None:
            made = hg.remote(self.uid, server).track(type_ or kind, **kwargs)
        else:
            made = super().track(type_ or kind, **kwargs)
            self.registered = made.tilesetUid
        return made.opts(inplace=True, **options)

    def _drawn(self, value: str | None) -> tuple[str, dict[str, Any]]:
        """Type of track and its options."""
        about = self._address
        if about.track == "map" and not about.difference:
            value = value or "logoe"
            if value not in TRANSFORMS:
                raise NotebookError(f"value {value!r} is not one of {', '.join(TRANSFORMS)}")
            return "heatmap", {
                **VALUES.get(value, VALUES["weight"])["options"],
                "dataTransform": value,
            }
        if value is not None:
            raise NotebookError(
                f"value {value!r}: {self.name!r} has one kind of value; leave it out"
            )
        if about.difference:
            return "heatmap", VALUES["logoe"]["options"]  # logarithms of ratios, both
        return "horizontal-bar", SCORES.get(about.track, LINEAR["vector"][2])

    def domain(self, region: str) -> tuple[int, int]:
        """Start and end of a region as HiGlass counts them, the chromosomes laid end to end, bp.

        Parameters
        ----------
        region : "chrII", "chrII:100,000-400,000"; of an edited genome in its own coordinates,
            unless the frame is the reference's.

        Raises
        ------
        RegionError
            If it is not understood, or does not lie in the genome.
        """
        axis = self._open().axis
        at = parse_region(region, axis.chromsizes)
        return axis.offsets[at.chrom] + at.start, axis.offsets[at.chrom] + at.end

    def compute(self, region: str, *, pixels: int = 1200) -> None:
        """Compute the tiles that a view of a region asks for, and wait for them; a bar shows how
        far it is.

        Parameters
        ----------
        region : as for :meth:`domain`.
        pixels : width of the largest view; views down to a quarter of it are covered.

        Raises
        ------
        RegionError
            If a view of the region shows nothing that is predicted, or as :meth:`domain`.
        TileError
            If tiles cannot be computed; the others are there.
        """
        pending = ids = self._ids(region, pixels)
        failed: dict[str, str] = {}
        with tqdm(total=len(ids), desc=f"{self.name}, {region}", unit="tile") as bar:
            while pending:
                found = registry().tiles(
                    pending, wait=1.0
                )  # short waits: a notebook can be interrupted between them
                problems = {key: found[key]["error"] for key in pending if "error" in found[key]}
                pending = [key for key, problem in problems.items() if problem == COMPUTING]
                failed |= {
                    key: problem for key, problem in problems.items() if problem != COMPUTING
                }
                bar.update(len(ids) - len(pending) - bar.n)
        if failed:
            raise TileError(
                f"{len(failed)} of {len(ids)} tiles of {region!r} cannot be computed: "
                f"{next(iter(failed.values()))}"
            )

    def _ids(self, region: str, pixels: int) -> list[str]:
        """Tiles that views of a region ask for that are a quarter of ``pixels`` to ``pixels`` wide."""
        opened = self._open()
        start, end = self.domain(region)
        origin = opened.info()["min_pos"][0]

        def zoom(width: float) -> int:
            """The finest level whose bins are more than a pixel wide, as HiGlass chooses it."""
            return max(
                (z for z, r in enumerate(opened.resolutions) if r * width > end - start), default=0
            )

        ids = []
        for z in range(zoom(pixels / 4), zoom(pixels) + 1):
            bp = opened.resolutions[z] * opened.bins
            if opened.resolutions[z] <= opened.native[-1]:  # coarser ones are empty
                along = range(max(0, (start - origin) // bp), -(-(end - origin) // bp))
                positions = (
                    combinations_with_replacement(along, 2)
                    if opened.dimensions == 2
                    else zip(along)
                )
                ids += [".".join(map(str, (opened.uid, z, *position))) for position in positions]
        if not ids:
            widest = opened.native[-1] * pixels
            raise RegionError(
                f"region {region!r} is too wide: {pixels} pixels show up to {widest:,} bp of "
                f"what is predicted; choose less"
            )
        return ids

    def settled(self) -> int:
        """Tiles so far that were shown unfinished and then became ready, or failed. Asking keeps
        those wanted that did not.
        """
        with self._lock:
            waiting = list(self._unfinished)
        progress = registry().progress(waiting)
        with self._lock:
            for key in chain(progress["ready"], progress["failed"]):
                if key in self._unfinished:
                    del self._unfinished[key]
                    self._settled += 1
            return self._settled

    def pending(self) -> int:
        """Tiles that are shown unfinished, and are still being computed."""
        self.settled()
        return len(self._unfinished)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


#: Tilesets that were made. They are kept for good, since higlass-python's own references do not
#: keep them; what is large is in the registry.
_kept: dict[tuple[Address, Options], PredictedTileset] = {}


def tileset(
    model: str | os.PathLike[str],
    genome: str | os.PathLike[str],
    edit: str | Sequence[str] | None = None,
    *,
    vcf: str | None = None,
    track: str = "map",
    profile: str | None = None,
    lift_to_reference: bool = False,
    difference: bool = False,
    device: str = "auto",
    dtype: str = "float32",
    store: str | os.PathLike[str] | None = None,
    chrom_names: str | None = None,
    any_genome: bool = False,
) -> PredictedTileset:
    """A predicted tileset for higlass-python; the same one for the same arguments.

    Parameters
    ----------
    model : a model's name or folder. genome : a file (FASTA or .2bit), or the name of a shipped
        genome ("example").
    edit : one or several edits, in the grammar of edits. vcf : lines of VCF, all of them made.
    track : "map", "insulation", "compartments", or "profile" with ``profile``, the name of one of
        the model's chromatin profiles.
    lift_to_reference : show the map of an edited genome at the coordinates of its reference, NaN
        where sequence is deleted.
    difference : ln alternate / reference, at the reference's coordinates.
    device, dtype, store, chrom_names, any_genome : see
        :class:`higlass_plugin.clodius_tiles.Options`.

    Raises
    ------
    ModelError, GenomeError, EditError, UrlError, DeviceError, StoreError
        If an argument cannot be used.
    """
    address = Address(
        _text(model),
        _text(genome),
        tidy([edit] if isinstance(edit, str) else edit or []),
        (vcf or "").strip("\n"),
        track,
        profile or "",
        lift_to_reference or difference,
        difference,
    )
    options = Options(
        device, dtype, None if store is None else os.fspath(store), chrom_names, any_genome
    )
    if (address, options) not in _kept:
        _kept.setdefault((address, options), PredictedTileset(address, options))
    return _kept[address, options]


def _text(name_or_path: str | os.PathLike[str]) -> str:
    """A path object is no name, whatever it looks like."""
    return name_or_path if isinstance(name_or_path, str) else str(Path(name_or_path).absolute())


def watch(widget: Any) -> Any:
    """Let a widget fetch predicted tiles again that it was given unfinished, when they are ready,
    until it is closed.

    Parameters
    ----------
    widget : of ``hg.view(...).widget()``.

    Returns
    -------
    The widget, to be shown.

    Raises
    ------
    NotebookError
        If it shows no predicted tileset.
    """
    ours = {
        tileset.registered: tileset for tileset in _kept.values() if tileset.registered is not None
    }
    shown: dict[PredictedTileset, list[dict[str, str]]] = {}
    for view in widget._viewconf["views"]:
        for track in chain.from_iterable(view["tracks"].values()):
            for part in [track, *(track.get("contents") or [])]:
                if part.get("tilesetUid") in ours:
                    shown.setdefault(ours[part["tilesetUid"]], []).append(
                        {"viewId": view["uid"], "trackId": track["uid"]}
                    )
    if not shown:
        raise NotebookError(
            "the widget shows no predicted tileset of this notebook; tileset(...).track() makes "
            "tracks of them"
        )
    threading.Thread(target=_follow, args=(widget, shown), name="watch", daemon=True).start()
    return widget


def _follow(widget: Any, shown: dict[PredictedTileset, list[dict[str, str]]]) -> None:
    seen = {tileset: tileset.settled() for tileset in shown}
    while widget.comm is not None:  # closed ones have none
        time.sleep(EVERY)
        news = {tileset: tileset.settled() for tileset in shown}
        stale = [
            track
            for tileset, tracks in shown.items()
            if news[tileset] != seen[tileset]
            for track in tracks
        ]
        if stale:
            widget.reload(*stale)
        seen = news


def serve(port: int = 0, *, hosts: Sequence[str] = (), blocking: bool = True) -> str:
    """Serve the tilesets of this process over HTTP, for pages that reach this machine but not the
    notebook's connection.

    Use the address as ``tileset.track(server=address)`` or ``hg.remote(tileset.uid, address)``. The
    server listens on this machine alone; a notebook elsewhere reaches it through a tunnel (``ssh
    -L``) or a proxy.

    Parameters
    ----------
    port : 0 finds a free one.
    hosts : names under which a proxy passes requests on, beside those of this machine.
    blocking : a request waits until its tiles are computed: pages of higlass-python do not ask
        again.

    Returns
    -------
    The address of the API, "http://127.0.0.1:PORT/api/v1".

    Raises
    ------
    MissingPackage
        If what serving needs is not installed.
    NotebookError
        If the port cannot be used.
    """
    try:
        from higlass_plugin.server import app as server
    except ImportError as error:
        raise MissingPackage(
            f"{error.name!r} cannot be imported; install what serving needs: pip install "
            f"'orca-cool[serve]'"
        ) from error
    try:
        listening = listen.listen("127.0.0.1", port)
    except (OSError, OverflowError) as error:
        raise NotebookError(
            f"port {port} cannot be listened on: {error}; choose another (0 finds a free one)"
        ) from error
    app = server.create_app(registry(), blocking=blocking, hosts={*access.LOOPBACK, *hosts})
    threading.Thread(
        target=listen.run, args=(app, listening, THREADS), name="serve", daemon=True
    ).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1"
