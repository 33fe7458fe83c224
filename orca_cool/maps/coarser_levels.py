"""Coarser levels of a map that was predicted at a single resolution, for zooming out: bins of each
level are twice as large as those of the level before, and the contact frequency of a pixel is the
mean of those of the pixels that it holds.

Frequencies and what is expected of the same pixels are added up separately. So where some pixels
are unknown, as at masked bins, the others are held against what is expected of them alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from orca_cool.genome.regions import Region, n_bins
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.pixels import Layer, RowBlock, writing

#: Distances, in bins from 0 on, that a level must know at least.
LEAST = 4

#: Bins along a tile of HiGlass: a level on which the whole genome is one tile is the last.
TILE = 256


def coarser_layers(
    fine: Layer, table: ExpectedModel, regions: Sequence[Region], chromsizes: Mapping[str, int]
) -> list[Layer]:
    """The levels that are coarser than a predicted one, finest first.

    There are levels until the whole genome is one tile of HiGlass, or so few distances are left
    that a level would show nothing. Eps is that of the predicted level: it is part of its
    frequencies.

    Parameters
    ----------
    fine : the predicted level.
    table : its expected, of which the coarser levels have block means, as far as it has some.
    regions : what is predicted, in the order of the file.
    chromsizes : chromosome to length in bp.

    Examples
    --------
    >>> fine = Layer(1000, np.ones(400), 0.1, 40, None, {"a": np.zeros(400, bool)})
    >>> table = ExpectedModel(1000, np.ones(400))
    >>> whole = [Region("a", 0, 400_000)]
    >>> [(c.resolution, c.band) for c in coarser_layers(fine, table, whole, {"a": 400_000})]
    [(2000, 20)]
    """
    out: list[Layer] = []
    before = fine
    while sum(n_bins(size, before.resolution) for size in chromsizes.values()) > TILE:
        r, factor = 2 * before.resolution, 2 * before.resolution // fine.resolution
        if fine.band // factor < LEAST:
            break
        masked = {c: _masked(fine, c, regions, n_bins(n, r), factor) for c, n in chromsizes.items()}
        expected = table.by_distance(r, -(-len(fine.expected) // factor))
        before = Layer(r, expected, fine.eps, fine.band // factor, None, masked)
        out.append(before)
    return out


def _masked(
    fine: Layer, chrom: str, regions: Sequence[Region], bins: int, factor: int
) -> np.ndarray:
    """(bins,) bool: of those bins less than half is known. A bin that two regions share is the
    first one's, as everywhere.
    """
    fine_mask = np.asarray(fine.masked[chrom], bool)
    known = np.zeros(bins)
    for region in reversed([r for r in regions if r.chrom == chrom]):
        first, last = region.start // fine.resolution, n_bins(region.end, fine.resolution)
        inside = np.zeros(bins * factor)
        inside[first:last] = ~fine_mask[first:last]
        own = slice(first // factor, -(-last // factor))
        known[own] = inside.reshape(bins, factor).sum(axis=1)[own]
    sizes = np.minimum(factor, len(fine_mask) - np.arange(bins) * factor)
    return np.asarray(2 * known < sizes)


def halved(sums: np.ndarray) -> np.ndarray:
    """Sums over pixels of bins twice as large.

    Parameters
    ----------
    sums : (k, rows, band), by row and by distance, of symmetric maps; the first row is even, and
        their number too.

    Returns
    -------
    (k, rows / 2, band // 2). A pixel on the diagonal holds what lies above and below it.
    """
    even, odd, n = sums[:, 0::2], sums[:, 1::2], sums.shape[-1] // 2
    out = even[..., 0 : 2 * n : 2] + even[..., 1 : 2 * n : 2] + odd[..., 0 : 2 * n : 2]
    out[..., 1:] += odd[..., 1 : 2 * n - 1 : 2]
    out[..., 0] += even[..., 1]
    return np.asarray(out)


class _Gathered:
    """Rows of one level, made of those of the level before as these go by.

    Parameters
    ----------
    layer : the level.
    path : of the file that is being written; what is gathered lies beside it, without a name.
    """

    def __init__(self, layer: Layer, path: Path):
        self.layer, self._path = layer, path
        self._chrom, self._first = "", 0
        self._rows = np.zeros((2, 0, 0))  # of the level before, from an even row on
        self._blocks: list[tuple[str, int, int]] = []
        self._file: IO[bytes] | None = None

    def add(self, chrom: str, first: int, sums: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Take rows of the level before, in order.

        Yields
        ------
        Rows of this level that are complete: the first one's number, and their sums.
        """
        if chrom != self._chrom or first != self._first + self._rows.shape[1]:
            yield from self.rest()
            self._chrom, self._first = chrom, first // 2 * 2
            self._rows = np.zeros((2, first % 2, sums.shape[2]))
        self._rows = np.concatenate([self._rows, sums], axis=1)
        whole = self._rows.shape[1] // 2 * 2
        if whole:
            done, at = self._rows[:, :whole], self._first
            self._rows, self._first = self._rows[:, whole:], at + whole
            yield self._keep(at // 2, halved(done))

    def rest(self) -> Iterator[tuple[int, np.ndarray]]:
        """The row that waits for another which never comes."""
        if self._rows.shape[1]:
            done = np.concatenate([self._rows, np.zeros_like(self._rows)], axis=1)
            self._rows = self._rows[:, :0]
            yield self._keep(self._first // 2, halved(done))

    @property
    def chrom(self) -> str:
        """The chromosome whose rows go by."""
        return self._chrom

    def _keep(self, first: int, sums: np.ndarray) -> tuple[int, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            y = np.log(sums[0] / sums[1]).astype(np.float32)
        self._blocks.append((self._chrom, first, len(y)))
        with writing(self._path):
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._path.parent)
            self._file.write(y.tobytes())
        return first, sums

    def blocks(self, level: int) -> Iterator[RowBlock]:
        """All rows, in order.

        Parameters
        ----------
        level : resolution of the level that was predicted, in bp.
        """
        if self._file is None:
            return
        band = self.layer.band
        with self._file as file:
            with writing(self._path):
                file.seek(0)
            for chrom, first, rows in self._blocks:
                with writing(self._path):
                    data = file.read(4 * rows * band)
                y = np.frombuffer(data, np.float32).reshape(rows, band)
                yield RowBlock(chrom, first, y, np.full(y.shape, level, np.int32))


class CoarserRows:
    """Rows of the coarser levels, gathered while those of the predicted level are written.

    Parameters
    ----------
    fine : the predicted level. layers : the coarser ones, see :func:`coarser_layers`.
    path : of the file that is being written.
    """

    def __init__(self, fine: Layer, layers: Sequence[Layer], path: Path):
        self._fine = fine
        self._levels = [_Gathered(layer, path) for layer in layers]
        self._expected = fine.expected[: fine.band] + fine.eps

    def watched(self, blocks: Iterable[RowBlock]) -> Iterator[RowBlock]:
        """The rows of the predicted level as they are, taken note of."""
        for block in blocks:
            if self._levels:
                self._pass(0, block.chrom, block.start, self._sums(block))
            yield block
        for k, level in enumerate(self._levels):
            for first, sums in level.rest():
                self._pass(k + 1, level.chrom, first, sums)

    def rows(self, resolution: int) -> Iterator[RowBlock]:
        """The rows of a coarser level, once those of the predicted one have been written."""
        level = next(g for g in self._levels if g.layer.resolution == resolution)
        return level.blocks(self._fine.resolution)

    def _pass(self, k: int, chrom: str, first: int, sums: np.ndarray) -> None:
        """Hand rows to a level, and what that completes to the next."""
        if k < len(self._levels):
            for start, done in self._levels[k].add(chrom, first, sums):
                self._pass(k + 1, self._levels[k].chrom, start, done)

    def _sums(self, block: RowBlock) -> np.ndarray:
        """(2, rows, band): frequencies, and what is expected, 0 where unknown."""
        rows, width = block.values.shape
        masked = np.asarray(self._fine.masked[block.chrom], bool)
        at = block.start + np.arange(rows)
        other = at[:, None] + np.arange(width)
        known = np.isfinite(block.values) & ~masked[at][:, None] & (other < len(masked))
        known &= ~masked[np.minimum(other, len(masked) - 1)]
        out = np.zeros((2, rows, self._fine.band))
        out[1, :, :width] = np.where(known, self._expected[:width], 0)
        y = np.where(known, block.values, np.float32(0)).astype(float)
        out[0, :, :width] = out[1, :, :width] * np.exp(y)
        return out
