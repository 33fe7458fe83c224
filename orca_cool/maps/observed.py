"""Measured maps as targets of training and evaluation: balanced, adaptively coarse-grained,
averaged to any level, as log observed/expected.

Coarse-graining dominates the cost of a training sample, so it is done in square tiles on a grid
fixed by the chromosomes, each computed once and kept on disk.

Source: Zhou 2022, Methods; ``cooltools.lib.numutils.adaptive_coarsegrain`` (Akita, Fudenberg 2020).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from orca_cool.errors import CoolerError
from orca_cool.files import atomic_path
from orca_cool.genome.regions import n_bins, suggestion
from orca_cool.genome.segments import Segment
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.open import open_map
from orca_cool.maps.weights import WEIGHT, is_adjusted

#: Bins of a tile. Coarse-graining pools at most 8 times and stops at 8 bins, so a tile of 2,048
#: gets what a whole chromosome gets.
TILE = 2048

#: How often windows that are coarse-grained by themselves are pooled at most, as in the released
#: training scripts, and their smallest side there.
WINDOW_LEVELS, SMALLEST = 12, 9

#: Bytes of tiles kept in memory, per map and process, where there is no cache on disk.
KEEP = 512 << 20


def coarse_grain(
    balanced: np.ndarray, raw: np.ndarray, cutoff: float, levels: int = 8
) -> np.ndarray:
    """Adaptive coarse-graining of a dense square (n, n), pooled at most ``levels`` times; float32,
    NaN in masked rows and columns.
    """
    from cooltools.lib.numutils import adaptive_coarsegrain

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # means of empty squares
        y = adaptive_coarsegrain(balanced, raw, cutoff=cutoff, max_levels=levels)
    return np.asarray(y, dtype=np.float32)


def block_mean(
    m: np.ndarray, factor: int, missing: float, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Means of ``factor`` x ``factor`` blocks of (n, m), ignoring NaN; both are padded with NaN to
    multiples of ``factor``.

    Parameters
    ----------
    missing : a block with more than this share of NaN becomes NaN.
    size : rows and columns that exist, default all: what lies past a chromosome's end is not
        missing, the last bin is judged by the part that exists.
    """
    rows, columns = (-(-s // factor) for s in m.shape)
    full = m
    if m.shape != (rows * factor, columns * factor):
        full = np.full((rows * factor, columns * factor), np.nan, dtype=m.dtype)
        full[: m.shape[0], : m.shape[1]] = m
    found = np.isfinite(full)
    count = _sums(found, factor, np.int32)
    total = _sums(np.where(found, full, 0), factor, np.float64)
    there = [
        np.clip(s - factor * np.arange(k), 0, factor)
        for s, k in zip(size or m.shape, (rows, columns))
    ]
    enough = count >= np.maximum(1, (1 - missing) * np.outer(*there))
    return np.where(enough, total / np.maximum(count, 1), np.nan)


def _sums(m: np.ndarray, factor: int, kind: type) -> np.ndarray:
    """Sums of ``factor`` x ``factor`` blocks. Rows are added first: that is several times faster
    than adding strided columns.
    """
    rows, columns = (s // factor for s in m.shape)
    tall = m.reshape(rows, factor, -1).sum(axis=1, dtype=kind)
    return np.asarray(tall.reshape(rows, columns, factor).sum(axis=2))


def log_ratio(observed: np.ndarray, expected: np.ndarray, eps: float) -> np.ndarray:
    """log((observed + eps) / (expected + eps)), natural log, float32, same shape (Zhou 2022,
    Methods).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log((observed + eps) / (expected + eps)).astype(np.float32)


def banded_expected(
    expected_model: ExpectedModel, resolution: int, bins: int, n: int
) -> np.ndarray:
    """(n, n) expected of a whole chromosome; NaN from ``bins`` bins of distance on, which no window
    of the level holds.
    """
    d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.where(
        d < bins,
        expected_model.expected_matrix(resolution, bins)[0][np.minimum(d, bins - 1)],
        np.nan,
    )


class ObservedMap:
    """One resolution of a measured map, coarse-grained, read in any rectangle.

    Parameters
    ----------
    path : .cool, or .mcool that has the resolution.
    cutoff : of adaptive coarse-graining.
    cache : folder for tiles (about 16 MB each), shared by any number of processes and runs; None
        keeps the last ones in memory.
    exclude : chromosomes that are never read; asking for one is an error.
    clr_weight_name : column of balancing weights.

    Attributes
    ----------
    chromsizes : {chromosome: bp} of all chromosomes that may be read.
    """

    def __init__(
        self,
        path: str | Path,
        resolution: int,
        cutoff: float = 5.0,
        *,
        cache: Path | None = None,
        exclude: Iterable[str] = (),
        clr_weight_name: str = WEIGHT,
    ):
        self.cooler = open_map(path, clr_weight_name).balanced(resolution)
        self.path, self.resolution, self.cutoff = str(path), resolution, cutoff
        refused = set(exclude)
        self.chromsizes = {
            str(c): int(n) for c, n in self.cooler.chromsizes.items() if c not in refused
        }
        self._weights: dict[str, np.ndarray] = {}
        self._kept: LRUCache[tuple[str, int, str, int], np.ndarray] = LRUCache(
            KEEP, getsizeof=lambda tile: tile.nbytes
        )
        self._folder: Path | None = None
        if cache is not None:
            stat = Path(self.path.partition("::")[0]).stat()
            facts = f"{stat.st_size} {stat.st_mtime_ns} {resolution} {cutoff} {TILE}"
            facts += self.cooler.uri.partition("::")[2] if "::" in self.path else ""
            facts += f" {clr_weight_name}" if clr_weight_name != WEIGHT else ""
            facts += " adjusted" if is_adjusted(self.cooler) else ""
            self._folder = Path(cache) / hashlib.sha256(facts.encode()).hexdigest()[:16]

    def bins(self, chrom: str) -> int:
        """Bins of a chromosome; CoolerError with a suggestion if it may not be read."""
        if chrom not in self.chromsizes:
            raise CoolerError(
                f"contact map {self.path!r}: no chromosome {chrom!r} to read; "
                f"{suggestion(chrom, self.chromsizes)}"
            )
        return n_bins(self.chromsizes[chrom], self.resolution)

    def weights(self, chrom: str) -> np.ndarray:
        """(bins,) balancing weights, NaN where masked."""
        if chrom not in self._weights:
            self.bins(chrom)
            self._weights[chrom] = self.cooler.weights[slice(*self.cooler.extent(chrom))]
        return self._weights[chrom]

    def measured(self) -> list[str]:
        """Chromosomes that may be read and have any contact."""
        with self.cooler.open("r") as group:
            offsets = group["indexes/bin1_offset"][:]
        ends = {
            c: (int(self.cooler.offset(c)), int(self.cooler.offset(c)) + self.bins(c))
            for c in self.chromsizes
        }
        return [c for c, (a, b) in ends.items() if offsets[b] > offsets[a]]

    def dense(self, first: Segment, second: Segment | None = None) -> np.ndarray:
        """Coarse-grained balanced frequency between two segments, each in its own direction.

        Parameters
        ----------
        first, second : segments whose starts are multiples of the resolution; they may overhang
            their chromosomes. Default of the second: the first, for a square.

        Returns
        -------
        (bins of first, bins of second) float32; NaN where masked, past the chromosomes, or where no
        scale has enough contacts.
        """
        second = first if second is None else second
        size = {s.chrom: self.bins(s.chrom) for s in (first, second)}
        order = list(self.chromsizes)
        swap = order.index(first.chrom) > order.index(
            second.chrom
        )  # tiles are kept once, in the file's order
        a, b = (second, first) if swap else (first, second)
        (r0, r1), (c0, c1) = (
            (s.start // self.resolution, n_bins(s.end, self.resolution)) for s in (a, b)
        )
        out = np.full((r1 - r0, c1 - c0), np.nan, dtype=np.float32)
        n, m = size[a.chrom], size[b.chrom]
        for i in range(max(r0, 0) // TILE, n_bins(min(r1, n), TILE) if r0 < n else 0):
            for j in range(max(c0, 0) // TILE, n_bins(min(c1, m), TILE) if c0 < m else 0):
                lower = a.chrom == b.chrom and i > j
                tile = (
                    self._tile(a.chrom, j, b.chrom, i).T
                    if lower
                    else self._tile(a.chrom, i, b.chrom, j)
                )
                y0, y1 = max(r0, i * TILE), min(r1, i * TILE + tile.shape[0])
                x0, x1 = max(c0, j * TILE), min(c1, j * TILE + tile.shape[1])
                out[y0 - r0 : y1 - r0, x0 - c0 : x1 - c0] = tile[
                    y0 - i * TILE : y1 - i * TILE, x0 - j * TILE : x1 - j * TILE
                ]
        out = out.T if swap else out
        return out[:: -1 if first.strand == "-" else 1, :: -1 if second.strand == "-" else 1]

    def assembled(self, segments: Sequence[Segment], start: int, end: int) -> np.ndarray:
        """Frequency of a window of segments laid end to end.

        Parameters
        ----------
        segments : in order; their lengths are multiples of the resolution.
        start, end : of the window, in bp from the start of the first segment, multiples of the
            resolution.

        Returns
        -------
        (n, n) float32, NaN past the last segment.
        """
        n = (end - start) // self.resolution
        out = np.full((n, n), np.nan, dtype=np.float32)
        inside: list[tuple[int, Segment]] = []
        offset = -start
        for segment in segments:
            a, b = max(offset, 0), min(offset + len(segment), end - start)
            if a < b:
                left, right = a - offset, offset + len(segment) - b
                lo, hi = (left, right) if segment.strand == "+" else (right, left)
                inside.append(
                    (
                        a // self.resolution,
                        Segment(
                            segment.chrom, segment.start + lo, segment.end - hi, segment.strand
                        ),
                    )
                )
            offset += len(segment)
        for k, (at, first) in enumerate(inside):
            for there, second in inside[k:]:
                y = self.dense(first, second)
                out[at : at + y.shape[0], there : there + y.shape[1]] = y
                out[there : there + y.shape[1], at : at + y.shape[0]] = y.T
        return out

    def windows_anew(self, segments: Sequence[Segment]) -> np.ndarray:
        """Frequency of segments laid end to end, as :meth:`assembled` of all of them, but with each
        pair of segments coarse-grained by itself, on a grid that begins with them, and pooled up to
        ``WINDOW_LEVELS`` times.

        Returns
        -------
        (n, n) float32, NaN past chromosome ends.
        """
        edges = np.cumsum([0, *(len(s) // self.resolution for s in segments)])
        out = np.full((edges[-1], edges[-1]), np.nan, dtype=np.float32)
        for i, first in enumerate(segments):
            for j, second in enumerate(segments[i:], i):
                y = self._pair_anew(first, second)
                y = y[:: -1 if first.strand == "-" else 1, :: -1 if second.strand == "-" else 1]
                out[edges[i] : edges[i + 1], edges[j] : edges[j + 1]] = y
                out[edges[j] : edges[j + 1], edges[i] : edges[i + 1]] = y.T
        return out

    def _pair_anew(self, first: Segment, second: Segment) -> np.ndarray:
        """Two segments, both in the direction of their chromosomes, coarse-grained by themselves.

        What lies past a chromosome's end is NaN, as in a map that is padded before it is
        coarse-grained.
        """
        shape = tuple(len(s) // self.resolution for s in (first, second))
        size = max(*shape, SMALLEST)
        raw, balanced = np.zeros((size, size)), np.full((size, size), np.nan)
        places, ranges, weights = [], [], []
        for s, n in zip((first, second), shape):
            begin = s.start // self.resolution
            a, b = max(begin, 0), min(begin + n, self.bins(s.chrom))
            if a >= b:
                return np.full(shape, np.nan, dtype=np.float32)
            places.append(slice(a - begin, b - begin))
            end = min(b * self.resolution, self.chromsizes[s.chrom])
            ranges.append((s.chrom, a * self.resolution, end))
            weights.append(self.weights(s.chrom)[a:b])
        raw[tuple(places)] = self.cooler.matrix(balance=False).fetch(*ranges)
        balanced[tuple(places)] = raw[tuple(places)] * np.outer(*weights)
        y = coarse_grain(balanced, raw, self.cutoff, WINDOW_LEVELS)
        return y[: shape[0], : shape[1]]

    def _tile(self, chrom1: str, i: int, chrom2: str, j: int) -> np.ndarray:
        """Tile (i, j) of two chromosomes in the file's order, from memory or disk, or computed."""
        key = (chrom1, i, chrom2, j)
        kept: np.ndarray | None = self._kept.get(key)
        if kept is not None:
            return kept
        file = self._folder / f"{chrom1}.{i}_{chrom2}.{j}.npy" if self._folder else None
        if file is not None and file.is_file():
            tile: np.ndarray = np.load(file, mmap_mode="r")
        else:
            tile = self._compute(chrom1, i, chrom2, j)
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(file) as part, open(part, "wb") as out:
                    np.save(out, tile)
        self._kept[key] = tile
        return tile

    def _compute(self, chrom1: str, i: int, chrom2: str, j: int) -> np.ndarray:
        n, m = self.bins(chrom1), self.bins(chrom2)
        rows, columns = min(TILE, n - i * TILE), min(TILE, m - j * TILE)
        # cooltools wants squares; a chromosome of several tiles gets whole ones, so that all are
        # pooled alike
        size = TILE if max(n, m) > TILE else max(n, m)
        r = self.resolution
        ranges = [
            (c, k * TILE * r, min((k * TILE + count) * r, self.chromsizes[c]))
            for c, k, count in ((chrom1, i, rows), (chrom2, j, columns))
        ]
        raw = np.zeros((size, size))
        raw[:rows, :columns] = self.cooler.matrix(balance=False).fetch(*ranges)
        balanced = np.full((size, size), np.nan)
        w = [
            self.weights(c)[k * TILE : k * TILE + count]
            for c, k, count in ((chrom1, i, rows), (chrom2, j, columns))
        ]
        balanced[:rows, :columns] = raw[:rows, :columns] * np.outer(*w)
        return coarse_grain(balanced, raw, self.cutoff)[:rows, :columns]
