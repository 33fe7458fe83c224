"""Predicted tilesets for higlass-python."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, combinations_with_replacement
from typing import Any, Unpack

from tqdm.auto import tqdm

from higlass_plugin.clodius_tiles import (
    Options,
    OptionWords,
    failed_tiles,
    open_tileset,
    options_of,
    registry,
)
from higlass_plugin.notebook.errors import MissingPackage, NotebookError
from higlass_plugin.registry.address import Address, address_of
from higlass_plugin.server.viewconf_parts import ATTRIBUTION, LINEAR, SCORES, VALUES
from higlass_plugin.tiles import JsonObject, TileError
from higlass_plugin.tilesets.base import COMPUTING, ComputedTileset
from higlass_plugin.tilesets.maps import TRANSFORMS
from orca_cool.errors import RegionError, missing_package
from orca_cool.genome.regions import parse_region

try:
    import higlass as hg
except ImportError as error:
    raise MissingPackage(
        missing_package("a tileset of higlass-python", error, "notebook")
    ) from error

#: Seconds that requests may wait for tiles that are being computed. The page asks its tilesets one
#: after the other, and requests that come together queue for few threads, so requests that come
#: within PAUSE of another one share this time.
WAIT, PAUSE = 1.0, 0.5


class SharedWait:
    """The time that requests may wait for their tiles, shared by those that come together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls, self._began, self._last = 0, 0.0, float("-inf")

    @contextmanager
    def share(self) -> Iterator[float]:
        """Give the seconds that a request may still wait; the request lasts as long as the
        block.
        """
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


_wait = SharedWait()


class PredictedTileset(hg.Tileset):
    """A predicted tileset for higlass-python; :func:`tileset` makes it.

    Attributes
    ----------
    name, datatype : as HiGlass shows them.
    registered : the uid under which higlass-python has registered it, once it has a track; None
        before.
    """

    def __init__(self, address: Address, options: Options):
        self._address, self._options = address, options
        self._lock = threading.Lock()
        self._unfinished: dict[str, None] = {}  # tiles that a page was given unfinished
        self._settled = 0  # how many of them have been finished since
        self.registered: str | None = None
        opened = self._open()  # now, when an error can still be seen
        self.name, self.datatype = opened.name, opened.datatype

    def _open(self) -> ComputedTileset:
        return open_tileset(self._address, self._options)

    @property
    def uid(self) -> str:
        """The uid for ``hg.remote(uid, server)`` and other users of :func:`serve`."""
        return self._open().uid

    def info(self) -> JsonObject:
        """HiGlass's ``tileset_info``."""
        return self._open().info()

    def tiles(self, tile_ids: Sequence[str], /) -> list[tuple[str, JsonObject]]:
        """[(id, tile)], within about a second. A tile that is not ready has the message "computing"
        and what is known so far. Raises nothing, because an exception would be lost.
        """
        ids = list(tile_ids)
        try:
            own = {f"{self.uid}.{text.partition('.')[2]}": text for text in ids}
            with _wait.share() as wait:
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
        """A track that shows the tileset.

        Parameters
        ----------
        type_ : HiGlass's type of track; default: what fits the tileset.
        value : of a map: "logoe" (log observed/expected, the default), "weight" (contact frequency)
            or "none" (counts).
        server : address of an HTTP server (:func:`serve`) that the page asks for tiles, instead of
            the notebook.
        kwargs : further properties of the track; ``options`` replace the defaults.

        Raises
        ------
        NotebookError
            If there is no such value.
        """
        kind, drawn = self._style(value)
        options = {**drawn, "name": self.name, **kwargs.pop("options", {})}
        if self.datatype == "vector":
            kwargs.setdefault("height", 40)
        if server is not None:
            made = hg.remote(self.uid, server).track(type_ or kind, **kwargs)
        else:
            made = super().track(type_ or kind, **kwargs)
            self.registered = made.tilesetUid
        return made.opts(inplace=True, **options)

    def _style(self, value: str | None) -> tuple[str, JsonObject]:
        """The type of track that fits the tileset, and its options; ``value`` as for
        :meth:`track`.
        """
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
            return "heatmap", VALUES["logoe"]["options"]  # both are logarithms of ratios
        looks = {**SCORES, "attribution": ATTRIBUTION}
        return "horizontal-bar", looks.get(about.track, LINEAR["vector"][2])

    def domain(self, region: str) -> tuple[int, int]:
        """Start and end of a region as HiGlass counts them, the chromosomes laid end to end, bp.

        Parameters
        ----------
        region : "chrII", "chrII:100,000-400,000"; of an edited genome in its own coordinates,
            unless the map is lifted to the reference.

        Raises
        ------
        RegionError
            If it is not understood, or does not lie in the genome.
        """
        axis = self._open().axis
        at = parse_region(region, axis.chromsizes)
        return axis.offsets[at.chrom] + at.start, axis.offsets[at.chrom] + at.end

    def compute(self, region: str, *, pixels: int = 1200) -> None:
        """Compute the tiles that a view of a region asks for, and wait for them; a bar shows the
        progress.

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
                # in short waits, so that the notebook can be interrupted
                found = registry().tiles(pending, wait=1.0)
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
        """Ids of the tiles that views of a region ask for, from a quarter of ``pixels`` wide up to
        ``pixels``.
        """
        opened = self._open()
        start, end = self.domain(region)
        origin = opened.info()["min_pos"][0]

        def zoom(width: float) -> int:
            """The finest zoom level whose bins are wider than a pixel, which HiGlass chooses."""
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
        """Number of tiles so far that were shown unfinished, and then became ready or
        failed. Asking counts as asking for the others.
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
        """Number of tiles that are shown unfinished, and are still being computed."""
        self.settled()
        return len(self._unfinished)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


#: All tilesets that were made. They are kept for good, because higlass-python has only weak
#: references to them. They are small: what is large is in the registry.
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
    cell_type: str | None = None,
    objective: str | None = None,
    resolution: str | None = None,
    **options: Unpack[OptionWords],
) -> PredictedTileset:
    """A predicted tileset for higlass-python; the same one for the same arguments.

    Parameters
    ----------
    model : a model's name or folder. genome : a file (FASTA or .2bit), or the name of a shipped
        genome ("example").
    edit : one or several edits, in the grammar of edits. vcf : lines of VCF, all of them made.
    track : "map", "insulation", "compartments", "profile" with ``profile``, the name of one of the
        model's chromatin profiles, or "attribution" with ``objective``, a text such as "insulation
        chrII:238,265", and, if need be, ``resolution``, the level at which it is read.
    lift_to_reference : show the map of an edited genome at the coordinates of its reference, NaN
        where sequence is deleted.
    difference : ln alternate / reference, at the reference's coordinates.
    cell_type : whose maps, of a model of several cell types; such a model needs one.
    options : ``device``, ``dtype``, ``force_dtype``, ``store``, ``window_store``, ``chrom_names``,
        ``any_genome``; see :class:`higlass_plugin.clodius_tiles.Options`.

    Raises
    ------
    ModelError, GenomeError, EditError, UrlError, DeviceError, StoreError
        If an argument cannot be used.
    """
    address = address_of(
        model,
        genome,
        edit,
        vcf,
        track=track,
        profile=profile or "",
        lifted=lift_to_reference or difference,
        difference=difference,
        cell_type=cell_type or "",
        objective=objective or "",
        resolution=resolution or "",
    )
    key = (address, options_of(options))
    if key not in _kept:
        _kept.setdefault(key, PredictedTileset(*key))
    return _kept[key]


def made() -> list[PredictedTileset]:
    """All tilesets that were made in this process."""
    return list(_kept.values())
