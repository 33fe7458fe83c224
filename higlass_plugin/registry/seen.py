"""What a view shows, as numbers: the values of a tileset in a region, taken from its tiles, so that
they are the ones on the screen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from higlass_plugin.compute.shares import Client
from higlass_plugin.tiles import TILE_BINS, VECTOR_BINS, Axis, JsonObject, dense_numbers
from higlass_plugin.tilesets.base import COMPUTING, Tileset
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.regions import Region, few, n_bins, parse_region
from orca_cool.maps.metrics import moments, scc

if TYPE_CHECKING:
    from higlass_plugin.registry.tilesets import TilesetRegistry

#: Bins that a region may have along a side: more than a screen shows.
MAX_BINS = 1024
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
    region : in bp, of whole bins but at the chromosome's end. resolution : bp per bin.
    values : (n, n) float32 symmetric of a map: natural log of observed/expected, or of
        alternate/reference; (n,) of a track. NaN where unknown.
    frequency : (n, n) float32 contact frequency; None where the tileset has none.
    """

    tileset: Tileset
    region: Region
    resolution: int
    values: np.ndarray
    frequency: np.ndarray | None = None


def seen(
    registry: TilesetRegistry,
    uid: str,
    region: str,
    resolution: int,
    *,
    wait: float,
    client: Client,
) -> Seen:
    """The values of a tileset in a region.

    Parameters
    ----------
    uid : of the tileset. region : "chrII:200,000-300,000"; it is widened to whole bins.
    resolution : bp per bin, one of the tileset's own.
    wait : seconds to wait for tiles that are not computed yet.
    client : who asks.

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
    asked = parse_region(region, sizes)
    first, last = asked.start // resolution, n_bins(asked.end, resolution)
    if last - first > MAX_BINS:
        raise OrcaCoolError(
            f"{asked} has {last - first:,} bins of {resolution:,} bp; at most {MAX_BINS:,} are "
            f"given at once"
        )
    whole = Region(asked.chrom, first * resolution, min(last * resolution, sizes[asked.chrom]))
    begin = Axis(sizes).offsets[asked.chrom] // resolution
    pixels = np.arange(begin + first, begin + last)
    zoom = len(levels) - 1 - levels.index(resolution)  # zoom level 0 is the coarsest
    kinds = {t["value"] for t in info.get("transforms", ())}
    flat = tileset.datatype != "matrix"

    def read(transform: str | None) -> np.ndarray:
        end = "" if transform is None else f".{transform}"
        made = _vector if flat else _square
        return made(registry, f"{uid}.{zoom}", end, pixels, wait, client)

    if flat or not {"logoe", "weight"} <= kinds:
        return Seen(tileset, whole, resolution, read(None))
    return Seen(tileset, whole, resolution, read("logoe"), read("weight"))


def compared(one: Seen, other: Seen) -> JsonObject:
    """How well two maps of one region agree.

    Returns
    -------
    ``r`` : Pearson's r of the values, from NEAREST bins off the diagonal on; ``scc`` : HiCRep's
    stratum-adjusted correlation, smoothed by SMOOTHED bins; ``pixels`` : how many are known in
    both. A number that cannot be told is None.
    """
    if one.values.ndim != 2 or one.values.shape != other.values.shape:
        raise OrcaCoolError(
            f"{one.tileset.name!r} and {other.tileset.name!r} are not two maps of the same bins"
        )
    a, b = one.values.astype(float), other.values.astype(float)
    found = moments(a, b, NEAREST)
    numbers = {"r": found.r(), "scc": scc(a, b, SMOOTHED, NEAREST)}
    return {
        "region": str(one.region),
        "resolution": one.resolution,
        "pixels": found.pixels,
        **{name: float(x) if math.isfinite(x) else None for name, x in numbers.items()},
    }


def _square(
    registry: TilesetRegistry, start: str, end: str, pixels: np.ndarray, wait: float, client: Client
) -> np.ndarray:
    """(n, n) values at pixels of the axis, of the tiles on and above the diagonal."""
    numbers = np.unique(pixels // TILE_BINS).tolist()
    ids = {(x, y): f"{start}.{x}.{y}{end}" for x in numbers for y in numbers if x <= y}
    tiles = _tiles(registry, list(ids.values()), wait, client)
    out = np.empty((len(pixels), len(pixels)), np.float32)
    for (x, y), text in ids.items():
        tile = tiles[text].reshape(TILE_BINS, TILE_BINS)
        if x == y:  # of such a tile clodius gives the lower triangle
            tile = np.where(np.tri(TILE_BINS, dtype=bool), tile, tile.T)
        rows, columns = (np.flatnonzero(pixels // TILE_BINS == number) for number in (y, x))
        part = tile[np.ix_(pixels[rows] % TILE_BINS, pixels[columns] % TILE_BINS)]
        out[np.ix_(rows, columns)] = part
        out[np.ix_(columns, rows)] = part.T
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
