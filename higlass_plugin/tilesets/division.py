"""One contact map divided by another, on a grid of bins that both can be brought to.

HiGlass divides two maps tile by tile (``"data": {"type": "divided", "children": [...]}``), which
compares the same places only where both have the same resolutions. A prediction has those of its
model and a measured map has its own, so the server divides them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from higlass_plugin.compute.jobs import Lookup, TilePlan
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.units import Unit
from higlass_plugin.tiles import TILE_BINS, Axis, BinRange, TileId
from higlass_plugin.tilesets.base import ComputedTileset, Tileset
from higlass_plugin.tilesets.blocks import BlockPlan, dependencies_first
from higlass_plugin.tilesets.maps import MapTileset
from higlass_plugin.tilesets.measured import tile_values
from orca_cool.errors import OrcaCoolError

#: Bins of a map, along each axis, that are joined into one bin of the comparison at most: a tile is
#: made of this number of tiles squared.
MAX_JOINED = 10


class NotDivisible(OrcaCoolError):
    """Two tilesets are not two contact maps of one genome that can be brought to one grid."""


def common_grid(first: Sequence[int], second: Sequence[int]) -> dict[int, tuple[int, int]]:
    """The resolutions to which two maps can be brought by joining whole bins.

    Parameters
    ----------
    first, second : resolutions of the two maps, bp per bin.

    Returns
    -------
    {bp per bin: (resolution of the first map, of the second)}, finest first. Of the resolutions of
    a map that divide it, the coarsest is taken. At most MAX_JOINED bins are joined along an axis.

    Examples
    --------
    >>> common_grid([2000, 4000], [10000, 20000])
    {10000: (2000, 10000), 20000: (4000, 20000)}
    """
    found = {}
    for resolution in sorted({math.lcm(a, b) for a in first for b in second}):
        pair = [max((r for r in own if resolution % r == 0), default=0) for own in (first, second)]
        if all(r and resolution // r <= MAX_JOINED for r in pair):
            found[resolution] = (pair[0], pair[1])
    return found


def joined(values: np.ndarray, n: int) -> np.ndarray:
    """Join n by n bins of a balanced map into one.

    Rows of a balanced map have the sum 1 at every resolution, so the contact frequency of joined
    bins is n times the mean of theirs. A map that was balanced after joining differs a little,
    since its weights then come from the joined counts.

    Parameters
    ----------
    values : (rows, columns) contact frequencies, NaN where unknown, which the mean leaves out.
    n : number of bins; the last rows and columns may be of fewer.

    Returns
    -------
    (ceil(rows / n), ceil(columns / n)) float32.
    """
    if n == 1:
        return values.astype(np.float32, copy=False)
    shape = [-(-size // n) for size in values.shape]
    padded = np.full([size * n for size in shape], np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    parts = padded.reshape(shape[0], n, shape[1], n)
    known = np.isfinite(parts)
    number = known.sum((1, 3))
    total = np.where(known, parts, 0).sum((1, 3))
    out = np.full(shape, np.nan, np.float32)
    np.divide(total * n, number, out=out, where=number > 0, casting="same_kind")
    return out


class Part:
    """The values that one map has for a tile of the comparison.

    Parameters
    ----------
    tileset : of the map. resolution : of its own bins, bp. n : bins that are joined along an axis.
    rows, columns : bins of the comparison, by chromosome.
    """

    def __init__(
        self,
        tileset: Tileset,
        axis: Axis,
        resolution: int,
        n: int,
        rows: Sequence[BinRange],
        columns: Sequence[BinRange],
    ):
        self.tileset, self.axis, self.resolution, self.n = tileset, axis, resolution, n
        self.rows, self.columns = rows, columns
        sizes = sorted(tileset.info()["resolutions"], reverse=True)
        self.zoom = sizes.index(resolution)
        self.plans: dict[tuple[int, int], BlockPlan] = {}
        if isinstance(tileset, MapTileset):
            self.plans = {
                (x, y): tileset.plan_at(resolution, TileId("", tileset.uid, self.zoom, (x, y)))
                for x, y in self.positions()
            }

    def pixels(self, bins: BinRange) -> np.ndarray:
        """Where the map's own bins, of which a range of the comparison's is made, are drawn."""
        return self.own_bins(bins) + self.axis.offsets[bins.chrom] // self.resolution

    def own_bins(self, bins: BinRange) -> np.ndarray:
        """The numbers of the map's own bins of which a range of the comparison's is made."""
        size = self.axis.chromsizes[bins.chrom]
        return np.arange(bins.first * self.n, min(bins.last * self.n, -(-size // self.resolution)))

    def positions(self) -> Iterator[tuple[int, int]]:
        """Positions of the map's tiles that are needed, none below the diagonal."""
        along = [
            {int(t) for bins in ranges for t in np.unique(self.pixels(bins) // TILE_BINS)}
            for ranges in (self.rows, self.columns)
        ]
        yield from sorted({(min(x, y), max(x, y)) for y in along[0] for x in along[1]})

    def values(self, lookup: Lookup) -> np.ndarray:
        """(256, 256) float32 contact frequency of the comparison's bins."""
        tiles = {position: self._tile(*position, lookup) for position in self.positions()}
        out = np.full((TILE_BINS, TILE_BINS), np.nan, np.float32)
        for a in self.rows:
            for b in self.columns:
                own = gather(tiles, self.pixels(a), self.pixels(b))
                made = joined(own, self.n)
                # a map whose chromosome is some bp shorter may lack the last bin
                rows, columns = made.shape
                out[a.at : a.at + rows, b.at : b.at + columns] = made
        return out

    def _tile(self, x: int, y: int, lookup: Lookup) -> np.ndarray:
        if self.plans:
            values: np.ndarray = self.plans[x, y].build(lookup)[0][1]
            return values
        return tile_values(self.tileset, self.zoom, x, y, "weight")


def gather(
    tiles: Mapping[tuple[int, int], np.ndarray], rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """(rows, columns) values at pixels of a map, of tiles on and above the diagonal."""
    out = np.empty((len(rows), len(columns)), np.float32)
    for y in np.unique(rows // TILE_BINS):
        for x in np.unique(columns // TILE_BINS):
            tile = tiles[x, y] if x <= y else tiles[y, x].T
            i, j = rows // TILE_BINS == y, columns // TILE_BINS == x
            out[np.ix_(i, j)] = tile[np.ix_(rows[i] % TILE_BINS, columns[j] % TILE_BINS)]
    return out


@dataclass
class _DivisionPlan(TilePlan):
    """The plan of a tile of the comparison; its values are (256, 256)."""

    key: tuple[Hashable, ...]
    parts: tuple[Part, Part]

    def units(self) -> list[Unit]:
        return dependencies_first(
            unit
            for part in self.parts
            for plan in part.plans.values()
            for unit in plan.final_units()
        )

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        above, below = (part.values(lookup) for part in self.parts)
        values = np.full_like(above, np.nan)
        np.divide(above, below, out=values, where=np.isfinite(above) & (below > 0))
        return values, values.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        # what is not yet known of a map may be shown coarser, which has no meaning in a ratio
        return np.full((TILE_BINS, TILE_BINS), np.nan, np.float32)


class DivisionTileset(ComputedTileset):
    """The contact frequency of one map divided by that of another; NaN where either is unknown or
    the divisor is 0.

    Parameters
    ----------
    numerator, denominator : tilesets of two contact maps; predicted, or of a file.
    scheduler : of predictions, where one of them is predicted.

    Raises
    ------
    NotDivisible
        If a tileset is not a balanced contact map, their chromosomes differ, or no whole numbers of
        their bins have one size.
    """

    def __init__(self, numerator: Tileset, denominator: Tileset, scheduler: Scheduler, uid: str):
        self.maps = numerator, denominator
        self.axes = tuple(_axis_of(tileset) for tileset in self.maps)
        names = [list(axis.chromsizes) for axis in self.axes]
        if names[0] != names[1]:
            raise NotDivisible(
                f"{numerator.name!r} has the chromosomes {_some(names[0])}, {denominator.name!r} "
                f"has {_some(names[1])}: they cannot be compared"
            )
        sizes = [list(map(int, tileset.info()["resolutions"])) for tileset in self.maps]
        computed = [
            tileset.native if isinstance(tileset, ComputedTileset) else own
            for tileset, own in zip(self.maps, sizes)
        ]
        self.grid = common_grid(*computed)
        if not self.grid:
            raise NotDivisible(
                f"bins of {numerator.name!r} ({_some(sizes[0])} bp) and of {denominator.name!r} "
                f"({_some(sizes[1])} bp) cannot be joined to bins of one size"
            )
        name = f"{numerator.name} / {denominator.name}"
        super().__init__(
            scheduler, uid, name, self.axes[0], list(self.grid), numerator.coord_system
        )

    def plan_at(self, resolution: int, tile: TileId) -> TilePlan:
        x, y = tile.position
        columns, rows = (self.axis.bin_ranges(resolution, t, TILE_BINS) for t in (x, y))
        first, second = (
            Part(tileset, axis, own, resolution // own, rows, columns)
            for tileset, axis, own in zip(self.maps, self.axes, self.grid[resolution])
        )
        return _DivisionPlan((self.uid, resolution, tile.position), (first, second))


def _axis_of(tileset: Tileset) -> Axis:
    """The chromosomes of a balanced contact map; NotDivisible if the tileset is none."""
    info = tileset.info()
    if (
        tileset.datatype != "matrix"
        or "resolutions" not in info
        or (isinstance(tileset, ComputedTileset) and not isinstance(tileset, MapTileset))
    ):
        raise NotDivisible(
            f"{tileset.name!r} is not a contact map with resolutions in bp; contact maps can be "
            f"divided"
        )
    if not any(t["value"] == "weight" for t in info.get("transforms", ())):
        raise NotDivisible(
            f"{tileset.name!r} has no balancing weights; `cooler balance` makes them"
        )
    return Axis({chrom: int(size) for chrom, size in info["chromsizes"]})


def _some(items: Sequence[object]) -> str:
    """The first of some names or numbers, as text."""
    shown = ", ".join(f"{x:,}" if isinstance(x, int) else str(x) for x in items[:5])
    return shown + (f" and {len(items) - 5:,} more" if len(items) > 5 else "")
