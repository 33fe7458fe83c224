"""Log observed/expected of a measured map as a tileset, for the half of a view that lies across the
diagonal from the prediction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from higlass_plugin.compute.jobs import Lookup, TilePlan
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.units import Unit
from higlass_plugin.files.contact_maps import dense_values
from higlass_plugin.files.tileset import FileTileset
from higlass_plugin.tiles import TILE_BINS, Axis, BinRange, TileError, TileId
from higlass_plugin.tilesets.base import ComputedTileset, Tileset
from orca_cool.errors import OrcaCoolError
from orca_cool.files import atomic_path
from orca_cool.maps.open import open_map
from orca_cool.maps.weights import WEIGHT, is_adjusted, measured_expected


@dataclass(frozen=True)
class ExpectedUnit:
    """The expected contact frequency of a measured map; its value is (n,) float64 by distance in
    bins, see :func:`~orca_cool.maps.weights.measured_expected`.

    Attributes
    ----------
    path : of the .mcool. resolution : bp per bin.
    folder : where values are kept, because measuring a large map takes minutes; None: nowhere.
    clr_weight_name : the map's column of balancing weights.
    """

    path: Path
    resolution: int
    folder: Path | None
    clr_weight_name: str = WEIGHT

    needs = None

    @property
    def kind(self) -> Hashable:
        return self

    def compute(
        self, others: Sequence[ExpectedUnit], above: Sequence[None]
    ) -> list[tuple[np.ndarray, int]]:
        clr = open_map(self.path, self.clr_weight_name).balanced_or_raw(self.resolution)
        kept = None if self.folder is None else self._kept_in(self.folder, is_adjusted(clr))
        if kept is not None and kept.is_file():
            values: np.ndarray = np.load(kept, allow_pickle=False)
        else:
            values = measured_expected(clr)
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(kept) as temporary, open(temporary, "wb") as stream:
                    np.save(stream, values, allow_pickle=False)
        return [(values, values.nbytes)]

    def _kept_in(self, folder: Path, adjusted: bool) -> Path:
        """The file that keeps the values for as long as the map's file stays as it is. Weights that
        are ``adjusted`` were once used as they are in the file.
        """
        file = self.path.stat()
        key = repr((str(self.path.resolve()), file.st_mtime_ns, file.st_size, self.resolution))
        key += " adjusted" if adjusted else ""
        key += "" if self.clr_weight_name == WEIGHT else f" {self.clr_weight_name}"
        return folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"


def tile_values(file: Tileset, zoom: int, x: int, y: int, transform: str) -> np.ndarray:
    """(256, 256) float32 of a tile of a contact map's file; TileError if the tile has an error.

    Of a tile on the diagonal clodius gives the lower triangle, from which the other one follows.
    """
    ((_, found),) = file.tiles([f"{file.uid}.{zoom}.{x}.{y}.{transform}"])
    values = dense_values(found)
    return np.where(np.tri(TILE_BINS, dtype=bool), values, values.T) if x == y else values


class _RatioPlan(TilePlan):
    """The plan of a tile of log observed/expected: the file's tile over the expected."""

    def __init__(
        self, key: tuple[Hashable, ...], tileset: RatioTileset, resolution: int, tile: TileId
    ):
        self.key, self.tileset, self.resolution, self.tile = key, tileset, resolution, tile
        self.unit = tileset.expected(resolution)

    def units(self) -> list[Unit]:
        return [self.unit]

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        # a distance that is not known, or is beyond the end, has NaN
        expected = np.append(lookup(self.unit), np.nan)
        x, y = self.tile.position
        values = tile_values(self.tileset.file, self.tile.zoom, x, y, self.tileset.transform)
        out = np.full((TILE_BINS, TILE_BINS), np.nan, np.float32)
        columns, rows = (
            self.tileset.axis.bin_ranges(self.resolution, t, TILE_BINS) for t in (x, y)
        )
        for a in rows:
            for b in columns:
                if a.chrom == b.chrom:
                    out[a.pixels, b.pixels] = _log_ratio(values, expected, a, b)
        return out, out.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        return np.full((TILE_BINS, TILE_BINS), np.nan, np.float32)


class _ExpectedPlan(TilePlan):
    """What is expected at a level of a map, measured where no tile of it is asked for."""

    def __init__(self, unit: ExpectedUnit, key: tuple[Hashable, ...]):
        self.unit, self.key = unit, key

    def units(self) -> list[Unit]:
        return [self.unit]

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        values: np.ndarray = lookup(self.unit)
        return values, values.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        return np.empty(0)


def _log_ratio(values: np.ndarray, expected: np.ndarray, a: BinRange, b: BinRange) -> np.ndarray:
    """ln of the values of a tile over the expected, for bins of one chromosome; NaN where that is
    not finite. The last entry of ``expected`` stands for all distances from there on.
    """
    distance = np.abs(np.subtract.outer(a.bins, b.bins))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(
            values[a.pixels, b.pixels] / expected[np.minimum(distance, len(expected) - 1)]
        )
    return np.where(np.isfinite(ratio), ratio, np.nan)


class RatioTileset(ComputedTileset):
    """ln of observed over expected of a measured map; NaN where nothing was observed.

    Parameters
    ----------
    file : the tileset of the map. path : its .mcool.
    folder : where measured expected frequencies are kept; None: nowhere.

    Raises
    ------
    OrcaCoolError
        If the map's zoom levels are not given by their bp per bin.
    """

    filetype = "cooler"

    def __init__(
        self, file: FileTileset, path: Path, scheduler: Scheduler, uid: str, folder: Path | None
    ):
        info = file.info()
        if "resolutions" not in info:
            raise OrcaCoolError(
                f"{file.name!r} has no resolutions in bp; make it an .mcool with `cooler zoomify`"
            )
        super().__init__(
            scheduler,
            uid,
            f"{file.name}, log observed/expected",
            Axis({chrom: int(size) for chrom, size in info["chromsizes"]}),
            info["resolutions"],
            file.coord_system,
        )
        # the zoom levels of the file, and no others
        self.resolutions = sorted(self.native, reverse=True)
        self.file, self.path, self.folder = file, path, folder
        balanced = any(t["value"] == "weight" for t in info.get("transforms", ()))
        self.transform = "weight" if balanced else "none"

    def expected(self, resolution: int) -> ExpectedUnit:
        """The unit that measures what is expected at a level of the map."""
        return ExpectedUnit(self.path, resolution, self.folder, self.file.clr_weight_name)

    def want_expected(self, resolution: int) -> None:
        """Have the expected of a level measured, if it has not been; TileError if it cannot be."""
        unit = self.expected(resolution)
        plan = _ExpectedPlan(unit, (self.uid, "expected", resolution))
        if unit in self.scheduler.units:
            return
        if (message := self.scheduler.error(plan.key)) is not None:
            raise TileError(message)
        self.scheduler.results.discard(plan.key)  # what it was made of is gone
        self.scheduler.want([(plan, 0.0)])

    def plan_at(self, resolution: int, tile: TileId) -> TilePlan:
        return _RatioPlan((self.uid, resolution, tile.position), self, resolution, tile)
