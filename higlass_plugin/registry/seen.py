"""What a view shows, as numbers: the values of a tileset in a region, taken from its tiles, so that
they are the ones on the screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from higlass_plugin.compute.shares import Client
from higlass_plugin.tiles import TILE_BINS, VECTOR_BINS, Axis, JsonObject, dense_numbers
from higlass_plugin.tilesets.base import COMPUTING, Tileset
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.regions import Region, few, n_bins, parse_region
from orca_cool.maps.metrics import Moments, smooth

if TYPE_CHECKING:
    from higlass_plugin.registry.tilesets import TilesetRegistry

#: Bins that a region may have along a side, of a map and of a track: more than a screen shows.
MAX_BINS, MAX_TRACK_BINS = 2048, 16_384
#: Regions that are compared together: the chromosomes of a view.
MAX_REGIONS = 64
#: Bins by which HiCRep's maps are smoothed before they are compared, and bins from the diagonal
#: that are left out of both correlations.
SMOOTHED, NEAREST = 1, 2


class NotComputedYet(OrcaCoolError):
    """Tiles of the region are still being computed: ask again."""

    status = 503


@dataclass(frozen=True)
class Seen:
    """The values of a tileset in a region.

    Attributes
    ----------
    tileset : whose values they are.
    region : along x, in bp, of whole bins but at the chromosome's end. resolution : bp per bin.
    values : (rows, columns) float32 of a map: natural log of observed/expected, or of
        alternate/reference, or what ``transform`` says; (columns,) of a track. NaN where unknown.
    frequency : (rows, columns) float32 contact frequency; None where the tileset has none.
    rows : the region along y; the same as ``region`` unless the two axes look at two places.
    transform : the kind of value that was asked for by name; "" if none was.
    """

    tileset: Tileset
    region: Region
    resolution: int
    values: np.ndarray
    frequency: np.ndarray | None
    rows: Region
    transform: str = ""

    def bins(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows,) and (columns,) numbers of the bins of a map along y and x, from the start of
        their chromosomes.
        """
        height, width = self.values.shape
        y, x = (where.start // self.resolution for where in (self.rows, self.region))
        return y + np.arange(height), x + np.arange(width)

    def once(self) -> np.ndarray:
        """(rows, columns) bool: every pair of bins that is seen, once. Of one that is seen on both
        sides of the diagonal it is the pixel above that.
        """
        i, j = self.bins()
        if self.rows.chrom != self.region.chrom:
            return np.ones(self.values.shape, bool)
        twice = np.isin(i, j)[:, None] & np.isin(j, i) & (i[:, None] > j)
        return ~twice


def seen(
    registry: TilesetRegistry,
    uid: str,
    region: str,
    resolution: int,
    *,
    wait: float,
    client: Client,
    rows: str = "",
    transform: str = "",
) -> Seen:
    """The values of a tileset in a region.

    Parameters
    ----------
    uid : of the tileset. region : "chrII:200,000-300,000"; it is widened to whole bins.
    resolution : bp per bin, one of the tileset's own.
    wait : seconds to wait for tiles that are not computed yet.
    client : who asks.
    rows : the region along y of a map; "" for the same.
    transform : one of the tileset's kinds of value; "" for log observed/expected and contact
        frequency where it has both, else for its first.

    Raises
    ------
    OrcaCoolError
        If the tileset has no bins of that size or the region is none of its genome or too large; if
        a tile cannot be computed.
    NotComputedYet
        If tiles are not there after ``wait``.
    """
    tileset = registry[uid]
    info = tileset.info()
    sizes = {chrom: int(size) for chrom, size in info.get("chromsizes") or ()}
    levels = sorted(map(int, info.get("resolutions") or ()))
    if not sizes or resolution not in levels:
        have = few([f"{r:,}" for r in levels], 12) if levels and sizes else "none in bp"
        raise OrcaCoolError(f"{tileset.name!r} has no bins of {resolution:,} bp; it has: {have}")
    kinds = {t["value"] for t in info.get("transforms", ())}
    if transform and transform not in kinds:
        have = few(sorted(kinds), 12) or "none"
        raise OrcaCoolError(f"{tileset.name!r} has no values {transform[:40]!r}; it has: {have}")
    flat = tileset.datatype != "matrix"
    most = MAX_TRACK_BINS if flat else MAX_BINS
    along = _Side(region, sizes, resolution, most)
    down = along if flat or not rows else _Side(rows, sizes, resolution, most)
    zoom = len(levels) - 1 - levels.index(resolution)  # zoom level 0 is the coarsest

    def read(kind: str) -> np.ndarray:
        start, end = f"{uid}.{zoom}", f".{kind}" if kind else ""
        if flat:
            return _vector(registry, start, end, along.pixels, wait, client)
        return _rectangle(registry, start, end, down.pixels, along.pixels, wait, client)

    about = tileset, along.region, resolution
    if transform or flat or not {"logoe", "weight"} <= kinds:
        return Seen(*about, read(transform), None, down.region, transform)
    return Seen(*about, read("logoe"), read("weight"), down.region)


class _Side:
    """The bins that a region touches: the region widened to them, and their pixels on the axis."""

    def __init__(self, text: str, sizes: dict[str, int], resolution: int, most: int):
        asked = parse_region(text, sizes)
        first, last = asked.start // resolution, n_bins(asked.end, resolution)
        if last - first > most:
            raise OrcaCoolError(
                f"{asked} has {last - first:,} bins of {resolution:,} bp; at most {most:,} are "
                f"given at once"
            )
        end = min(last * resolution, sizes[asked.chrom])
        self.region = Region(asked.chrom, first * resolution, end)
        begin = Axis(sizes).offsets[asked.chrom] // resolution
        self.pixels = np.arange(begin + first, begin + last)


def compared(pairs: Sequence[tuple[Seen, Seen]]) -> JsonObject:
    """How well two maps agree where they are seen.

    Parameters
    ----------
    pairs : both maps in each region that is seen, of one resolution.

    Returns
    -------
    ``r`` : Pearson's r of the values, from NEAREST bins off the diagonal on; ``r_at_distance`` : of
    the same after the mean of each distance is subtracted from both; ``scc`` : HiCRep's
    stratum-adjusted correlation, smoothed by SMOOTHED bins; ``pixels`` : the pairs of bins that are
    known in both, each counted once. A number that cannot be told is None.
    """
    values, smoothed = Moments(MAX_BINS), Moments(MAX_BINS)
    for one, other in pairs:
        if one.values.ndim != 2 or one.values.shape != other.values.shape:
            raise OrcaCoolError(
                f"{one.tileset.name!r} and {other.tileset.name!r} are not two maps of the same bins"
            )
        if one.rows.chrom != one.region.chrom:
            raise OrcaCoolError(
                f"{one.rows} and {one.region} are two chromosomes; maps are compared within one"
            )
        i, j = one.bins()
        distance = np.abs(np.subtract.outer(i, j))
        use = one.once() & (distance >= NEAREST)
        a, b = one.values.astype(float), other.values.astype(float)
        for sums, x, y in ((values, a, b), (smoothed, smooth(a, SMOOTHED), smooth(b, SMOOTHED))):
            known = use & np.isfinite(x) & np.isfinite(y)
            sums.add(x[known], y[known], np.minimum(distance[known], MAX_BINS - 1))
    numbers = {"r": values.r(), "r_at_distance": values.within(), "scc": smoothed.scc()}
    return {
        "regions": [[str(one.region), str(one.rows)] for one, _ in pairs],
        "resolution": pairs[0][0].resolution,
        "pixels": values.pixels,
        **{name: float(x) if math.isfinite(x) else None for name, x in numbers.items()},
    }


def _rectangle(
    registry: TilesetRegistry,
    start: str,
    end: str,
    rows: np.ndarray,
    columns: np.ndarray,
    wait: float,
    client: Client,
) -> np.ndarray:
    """(rows, columns) values at pixels of the axis, of the tiles on and above the diagonal."""
    along, down = (np.unique(pixels // TILE_BINS).tolist() for pixels in (columns, rows))
    ids = {
        (x, y): f"{start}.{x}.{y}{end}"
        for x, y in sorted({(min(x, y), max(x, y)) for x in along for y in down})
    }
    tiles = _tiles(registry, list(ids.values()), wait, client)
    out = np.empty((len(rows), len(columns)), np.float32)
    for y in down:
        for x in along:
            tile = tiles[ids[min(x, y), max(x, y)]].reshape(TILE_BINS, TILE_BINS)
            if x == y:  # of such a tile clodius gives the lower triangle
                tile = np.where(np.tri(TILE_BINS, dtype=bool), tile, tile.T)
            elif x > y:
                tile = tile.T
            i, j = (np.flatnonzero(p // TILE_BINS == n) for p, n in ((rows, y), (columns, x)))
            out[np.ix_(i, j)] = tile[np.ix_(rows[i] % TILE_BINS, columns[j] % TILE_BINS)]
    return out


def _vector(
    registry: TilesetRegistry, start: str, end: str, pixels: np.ndarray, wait: float, client: Client
) -> np.ndarray:
    """(n,) values at pixels of the axis."""
    numbers = np.unique(pixels // VECTOR_BINS).tolist()
    tiles = _tiles(registry, [f"{start}.{x}{end}" for x in numbers], wait, client)
    line = np.concatenate(list(tiles.values()))
    return line[pixels - VECTOR_BINS * numbers[0]]


def _tiles(
    registry: TilesetRegistry, ids: list[str], wait: float, client: Client
) -> dict[str, np.ndarray]:
    """The numbers of tiles, in the order of ``ids``."""
    found = registry.tiles(ids, wait=wait, client=client)
    late = [text for text in ids if found[text].get("error") == COMPUTING]
    if late:
        raise NotComputedYet(f"{len(late)} of {len(ids)} tiles are not computed yet; ask again")
    for text in ids:
        if "error" in found[text]:
            raise OrcaCoolError(found[text]["error"])
    return {text: dense_numbers(found[text]) for text in ids}
