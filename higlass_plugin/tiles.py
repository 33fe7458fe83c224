"""Tile ids, the arithmetic of tiles, and how HiGlass wants an array written. No model, no server.

Facts of the front end (higlass 2.3, ``app/scripts/services/tile-proxy.js`` and ``worker.js``) and
of clodius's cooler tiles.
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

#: Bins of a 2-D tile's side, and of a 1-D tile: what the front end takes for granted, whatever
#: tileset_info says.
TILE_BINS, VECTOR_BINS = 256, 1024
#: Tiles along an axis that the front end asks for at most; it drops the others.
MAX_TILES = 20
#: Of the numbers and texts in an id: nothing that exists is larger.
MAX_ZOOM, MAX_POSITION, MAX_TEXT = 64, 2**40, 200

_UID = re.compile(r"[A-Za-z0-9_-]+")
_TRANSFORM = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class TileError(OrcaCoolError):
    """A tile id is not one, or its tile cannot be made."""


@dataclass(frozen=True)
class TileId:
    """``uid.z.x[.y][.transform]``: ``text`` is the id as it was given, ``position`` (x,) or (x, y)
    in tiles.
    """

    text: str
    uid: str
    zoom: int
    position: tuple[int, ...]
    transform: str | None = None


def parse_tile_id(text: str) -> TileId:
    """An id's parts; TileError if it is malformed, or a number in it is negative or absurdly large."""
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


def dense_tile(values: np.ndarray, *, error: str | None = None) -> dict[str, Any]:
    """A tile of numbers as the front end reads it.

    Parameters
    ----------
    values : (n, n), row = y and column = x, or (n,); NaN draws as transparent.
    error : shown over the track; the array beside it keeps a heatmap from crashing.

    Returns
    -------
    ``dense`` base64 of little-endian float32: contact frequencies below 6e-5 would not survive the
    float16 that is allowed too; ``min_value`` and ``max_value``, the string "NaN" where there is no
    number (a bare NaN is no JSON).
    """
    flat = np.ascontiguousarray(values, dtype="<f4").reshape(-1)
    finite = flat[np.isfinite(flat)]
    tile: dict[str, Any] = {
        "dense": base64.b64encode(flat.tobytes()).decode("ascii"),
        "dtype": "float32",
        "min_value": float(finite.min()) if finite.size else "NaN",
        "max_value": float(finite.max()) if finite.size else "NaN",
        "size": 1,
    }
    if error is not None:
        tile["error"] = error
    return tile


def failed_tile(error: str, dimensions: int = 2) -> dict[str, Any]:
    """A tile without a number that says why."""
    shape = (TILE_BINS, TILE_BINS) if dimensions == 2 else (VECTOR_BINS,)
    return dense_tile(np.full(shape, np.nan, np.float32), error=error)


def failed_by_id(text: str, error: str) -> dict[str, Any]:
    """A tile that says why, of the dimensions that its id, good or bad, seems to speak of."""
    return failed_tile(error, 1 if text.count(".") == 2 else 2)


def told(error: Exception) -> str:
    """What a client is told of an error: a user's own in words, of any other its kind alone."""
    return (
        str(error)
        if isinstance(error, OrcaCoolError)
        else f"internal error: {type(error).__name__}"
    )


@dataclass(frozen=True)
class Run:
    """Bins of one chromosome along an axis of a tile: bins ``first`` .. ``last - 1`` are drawn at
    ``at`` .. of the tile.
    """

    chrom: str
    first: int
    last: int
    at: int


class Axis:
    """Chromosomes laid end to end, as HiGlass and clodius lay them.

    Bins begin anew with each chromosome, and bin b of a chromosome at ``offset`` is drawn at pixel
    ``b + offset // resolution``: where a chromosome does not begin on a whole bin, its first bin
    shares a pixel with the last one of the chromosome before, and hides it.
    """

    def __init__(self, chromsizes: Mapping[str, int]):
        self.chromsizes = dict(chromsizes)
        ends = list(accumulate(self.chromsizes.values()))
        self.offsets = dict(zip(self.chromsizes, [0, *ends]))
        self.length = ends[-1]

    def runs(self, resolution: int, tile: int, bins: int) -> list[Run]:
        """What is drawn in a tile of so many bins, in order."""
        start, found = tile * bins, []
        for chrom, size in self.chromsizes.items():
            begin = self.offsets[chrom] // resolution
            first, last = max(0, start - begin), min(n_bins(size, resolution), start + bins - begin)
            if first < last:
                found.append(Run(chrom, first, last, begin + first - start))
        return found

    def tiles(self, resolution: int, bins: int) -> int:
        """Tiles along the axis."""
        return n_bins(self.length, resolution * bins)

    def rows(self) -> list[list[Any]]:
        """``[[chromosome, length], ...]``, as tileset_info gives them."""
        return [[chrom, size] for chrom, size in self.chromsizes.items()]


def with_overview(resolutions: Sequence[int], length: int, bins: int) -> list[int]:
    """Resolutions, finest first, and above them doubled ones until the axis has no more tiles than
    the front end asks for.
    """
    out = sorted(resolutions)
    while length > out[-1] * bins * MAX_TILES:
        out.append(2 * out[-1])
    return out
