"""Tile ids, which bins a tile shows, and how an array is written for HiGlass's front end.

Nothing here knows of models or servers. What is stated of the front end was read in higlass 2.3
(``app/scripts/services/tile-proxy.js`` and ``worker.js``), and what is stated of the layout of bins
in clodius's cooler tiles.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from orca_cool.errors import OrcaCoolError
from orca_cool.genome.regions import n_bins

#: A JSON object: HiGlass's tileset_info, one tile, a viewconf.
JsonObject = dict[str, Any]

#: Bins along each side of a 2-D tile, and bins of a 1-D tile. The front end assumes these numbers,
#: whatever tileset_info says.
TILE_BINS, VECTOR_BINS = 256, 1024
#: The front end asks for at most this many tiles along an axis, and drops the others.
MAX_TILES = 20
#: Limits of a tile id: its zoom level, its positions, and its characters. No tileset exceeds them.
MAX_ZOOM, MAX_POSITION, MAX_TEXT = 64, 2**40, 200

_UID = re.compile(r"[A-Za-z0-9_-]+")
_TRANSFORM = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class TileError(OrcaCoolError):
    """A tile id is malformed, or its tile cannot be made."""


class UnknownTileset(OrcaCoolError):
    """No tileset, or no edited genome, is served under an id."""


@dataclass(frozen=True)
class TileId:
    """A parsed tile id ``uid.z.x[.y][.transform]``.

    Attributes
    ----------
    text : the id as it was given.
    uid : of the tileset.
    zoom : zoom level; 0 is the coarsest.
    position : (x,) or (x, y), counted in tiles.
    transform : kind of value, such as "logoe"; None if the id names none.
    """

    text: str
    uid: str
    zoom: int
    position: tuple[int, ...]
    transform: str | None = None


def parse_tile_id(text: str) -> TileId:
    """Parse a tile id; TileError if it is malformed, or if its zoom or position exceeds every
    genome.
    """
    shown = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
    parts = text.split(".") if len(text) <= MAX_TEXT else []
    transform = None
    if len(parts) > 3 and _TRANSFORM.fullmatch(parts[-1]):
        transform = parts.pop()
    if (
        not 3 <= len(parts) <= 4
        or not _UID.fullmatch(parts[0])
        or not all(p.isascii() and p.isdigit() for p in parts[1:])
    ):
        raise TileError(f"tile id {shown!r} is not uid.z.x, uid.z.x.y or uid.z.x.y.transform")
    zoom, *position = map(int, parts[1:])
    if zoom > MAX_ZOOM or max(position) > MAX_POSITION:
        raise TileError(f"tile id {shown!r} lies outside every genome")
    return TileId(text, parts[0], zoom, tuple(position), transform)


def dense_tile(values: np.ndarray, *, error: str | None = None) -> JsonObject:
    """Write an array as the JSON object that the front end expects for a tile.

    Parameters
    ----------
    values : (n, n) with rows along y and columns along x, or (n,). NaN is drawn transparent.
    error : a message that the front end shows over the track. A tile with a message has an array
        too, since heatmaps crash without one.

    Returns
    -------
    ``dense`` is base64 of little-endian float32. (HiGlass reads float16 too, but contact
    frequencies below 6e-5 would be lost in it.) ``min_value`` and ``max_value`` are the string
    "NaN" if no value is finite, because JSON has no NaN.
    """
    flat = np.ascontiguousarray(values, dtype="<f4").reshape(-1)
    finite = flat[np.isfinite(flat)]
    tile: JsonObject = {
        "dense": base64.b64encode(flat.tobytes()).decode("ascii"),
        "dtype": "float32",
        "min_value": float(finite.min()) if finite.size else "NaN",
        "max_value": float(finite.max()) if finite.size else "NaN",
        "size": 1,
    }
    if error is not None:
        tile["error"] = error
    return tile


def dense_numbers(tile: JsonObject) -> np.ndarray:
    """(n,) float32 of the ``dense`` array of a tile, of ours or of clodius."""
    dtype = "<f2" if tile["dtype"] == "float16" else "<f4"
    return np.frombuffer(base64.b64decode(tile["dense"]), dtype).astype(np.float32)


def failed_tile(message: str, dimensions: int = 2) -> JsonObject:
    """A tile of NaN with a message that says why there are no values."""
    shape = (TILE_BINS, TILE_BINS) if dimensions == 2 else (VECTOR_BINS,)
    return dense_tile(np.full(shape, np.nan, np.float32), error=message)


def failed_tile_of(text: str, message: str) -> JsonObject:
    """A tile of NaN with a message, for an id whose tileset is not known.

    The id tells whether the tile has one or two dimensions. A malformed id counts as 1-D if it has
    three parts, as 1-D ids do.
    """
    try:
        dimensions = len(parse_tile_id(text).position)
    except TileError:
        dimensions = 1 if text.count(".") == 2 else 2
    return failed_tile(message, dimensions)


def public_message(error: Exception) -> str:
    """The text of an error that a client may see.

    Errors of this package are written for users. Of any other error only the type is given, because
    its text may hold paths or other details of the server.
    """
    if isinstance(error, OrcaCoolError):
        return str(error)
    return f"internal error: {type(error).__name__}"


@dataclass(frozen=True)
class BinRange:
    """The bins of one chromosome that a tile shows along one of its axes.

    Attributes
    ----------
    chrom : name of the chromosome.
    first, last : the bins ``first`` to ``last - 1`` of that chromosome.
    at : pixel of the tile, along the axis, at which bin ``first`` is drawn.
    """

    chrom: str
    first: int
    last: int
    at: int

    @property
    def bins(self) -> np.ndarray:
        """(last - first,) the numbers of the bins within their chromosome."""
        return np.arange(self.first, self.last)

    @property
    def pixels(self) -> slice:
        """The pixels of the tile at which the bins are drawn."""
        return slice(self.at, self.at + self.last - self.first)


class Axis:
    """The chromosomes of a genome laid end to end, as HiGlass and clodius lay them.

    Bins are counted anew in each chromosome. Bin b of a chromosome that begins at ``offset`` bp is
    drawn at pixel ``b + offset // resolution``. So, where a chromosome does not begin at a multiple
    of the resolution, its first bin shares a pixel with the last bin of the chromosome before, and
    hides it.

    Parameters
    ----------
    chromsizes : {chromosome: bp}, in the order of the axis.

    Attributes
    ----------
    offsets : {chromosome: bp} where each chromosome begins on the axis.
    length : bp of all chromosomes together.
    """

    def __init__(self, chromsizes: Mapping[str, int]):
        self.chromsizes = dict(chromsizes)
        ends = list(accumulate(self.chromsizes.values()))
        self.offsets = dict(zip(self.chromsizes, [0, *ends]))
        self.length = ends[-1]

    def bin_ranges(self, resolution: int, tile: int, bins: int) -> list[BinRange]:
        """The bins that tile number ``tile`` shows, in order; a tile is ``bins`` pixels wide."""
        start, found = tile * bins, []
        for chrom, size in self.chromsizes.items():
            begin = self.offsets[chrom] // resolution
            first, last = max(0, start - begin), min(n_bins(size, resolution), start + bins - begin)
            if first < last:
                found.append(BinRange(chrom, first, last, begin + first - start))
        return found

    def tiles(self, resolution: int, bins: int) -> int:
        """Number of tiles along the axis, each ``bins`` pixels wide."""
        return n_bins(self.length, resolution * bins)

    def rows(self) -> list[list[str | int]]:
        """``[[chromosome, bp], ...]``, the form of chromosome sizes in tileset_info."""
        return [[chrom, size] for chrom, size in self.chromsizes.items()]


def with_overview(resolutions: Sequence[int], length: int, bins: int) -> list[int]:
    """Add coarser resolutions until the front end can show the whole axis.

    Parameters
    ----------
    resolutions : bp per bin, of the levels that there are.
    length : bp of the axis. bins : pixels along a tile.

    Returns
    -------
    The resolutions, finest first. The coarsest one is doubled until the axis has at most MAX_TILES
    tiles.
    """
    out = sorted(resolutions)
    while length > out[-1] * bins * MAX_TILES:
        out.append(2 * out[-1])
    return out


def chrom_sizes(rows: Sequence[Sequence[Any]], cumulative: bool) -> JsonObject:
    """Chromosome sizes as the API gives them as JSON.

    Parameters
    ----------
    rows : [[chromosome, bp], ...].
    cumulative : add where each chromosome begins on the axis, as "offset".
    """
    offset, sizes = 0, {}
    for chrom, size in rows:
        sizes[chrom] = {"size": size, "offset": offset} if cumulative else {"size": size}
        offset += size
    return sizes
