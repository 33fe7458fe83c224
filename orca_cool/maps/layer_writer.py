"""Predicted rows -> the pixels of one resolution, sorted, for its table."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from orca_cool.errors import OutputError
from orca_cool.genome.regions import n_bins
from orca_cool.maps.hdf5_output import HDF5Output
from orca_cool.maps.pixel_table import PixelTable
from orca_cool.maps.pixels import Layer, RowBlock, TransBlock, frequency, writing
from orca_cool.profile import carried

#: pieces of rows that may be made before they are written, and matrix cells of each (12 MB)
ROWS_AHEAD = 2
BATCH = 1 << 19


class _Pixels(NamedTuple):
    """Rows, numbers of their pixels, and the pixels' columns."""

    rows: np.ndarray
    filled: np.ndarray
    columns: dict[str, np.ndarray]


class LayerWriter:
    """Writes the pixels of one resolution, sorted by (bin1, bin2), from row blocks and trans
    blocks.
    """

    def __init__(
        self,
        group: h5py.Group,
        path: Path,
        output: HDF5Output,
        layer: Layer,
        chromsizes: dict[str, int],
        mode: str,
        depth: float,
        strand_difference: bool,
        bits: int | None,
    ):
        self.layer, self.mode, self.depth, self.strand_difference, self.path = (
            layer,
            mode,
            depth,
            strand_difference,
            path,
        )
        self.chroms = list(chromsizes)
        self.nbins = np.array([n_bins(n, layer.resolution) for n in chromsizes.values()], np.int64)
        self.offset = np.concatenate([[0], np.cumsum(self.nbins)])
        self.usable = [~layer.mask(c, int(n)) for c, n in zip(self.chroms, self.nbins)]
        self.expected = layer.by_distance(layer.band)
        self.filled = np.zeros(self.offset[-1], np.int64)
        self._coming: deque[Future[_Pixels]] = deque()
        with writing(path, output):
            pixels = group.create_group("pixels")
            self.pixels = PixelTable(pixels, path, output, strand_difference, bits)

    def run(self, row_blocks: Iterable[RowBlock], blocks: Iterable[TransBlock]) -> None:
        """Write everything; ``blocks`` are held in memory, ``row_blocks`` one at a time."""
        by_chrom: dict[int, list[TransBlock]] = {}
        for block in blocks:
            i, j = self._index(block.chrom1), self._index(block.chrom2)
            if i >= j:
                raise OutputError(
                    f"trans block {block.chrom1} x {block.chrom2}: the first must come before "
                    f"the second in the file"
                )
            n1, n2 = block.values.shape
            if (
                min(block.start1, block.start2) < 0
                or block.start1 + n1 > self.nbins[i]
                or block.start2 + n2 > self.nbins[j]
            ):
                raise OutputError(
                    f"trans block {block.chrom1}:{block.start1} x {block.chrom2}:{block.start2} "
                    f"{n1} x {n2} leaves its chromosomes"
                )
            if self.layer.trans is None:
                raise OutputError(
                    f"trans block {block.chrom1} x {block.chrom2}, but the layer of "
                    f"{self.layer.resolution} bp has no trans expected"
                )
            by_chrom.setdefault(i, []).append(block)
        # columns of the next rows are made by one thread while this one writes chunks
        with ThreadPoolExecutor(1, "rows") as self._columns_of:
            at = (0, 0)
            for row_block in row_blocks:
                k = self._index(row_block.chrom)
                end = row_block.start + len(row_block.values)
                if (
                    (k, row_block.start) < at
                    or row_block.start < 0
                    or end > self.nbins[k]
                    or row_block.values.shape[1] > self.layer.band
                ):
                    raise OutputError(
                        f"row block {row_block.chrom} rows {row_block.start} to {end}, "
                        f"{row_block.values.shape[1]} wide, at {self.layer.resolution} bp: out of "
                        f"order or outside {self.nbins[k]} bins and a band of {self.layer.band}"
                    )
                self._gap(at, (k, row_block.start), by_chrom)
                self._rows(k, row_block.start, end, row_block, by_chrom.get(k, []))
                at = (k, end)
            self._gap(at, (len(self.chroms), 0), by_chrom)
            self._append(0)
        self.pixels.finish()

    def _index(self, chrom: str) -> int:
        if chrom not in self.chroms:
            raise OutputError(f"chromosome {chrom!r} is not one of {', '.join(self.chroms)}")
        return self.chroms.index(chrom)

    def _gap(
        self, begin: tuple[int, int], end: tuple[int, int], by_chrom: dict[int, list[TransBlock]]
    ) -> None:
        """Write rows between two positions, which have no row block but may have trans blocks."""
        for k in range(begin[0], min(end[0] + 1, len(self.chroms))):
            first = begin[1] if k == begin[0] else 0
            last = end[1] if k == end[0] else int(self.nbins[k])
            if k in by_chrom and first < last:
                self._rows(k, first, last, None, by_chrom[k])

    def _rows(
        self, k: int, start: int, end: int, row_block: RowBlock | None, blocks: list[TransBlock]
    ) -> None:
        partners = sorted({self._index(b.chrom2) for b in blocks})
        width = (row_block.values.shape[1] if row_block is not None else 0) + sum(
            int(self.nbins[j]) for j in partners
        )
        step = max(1, BATCH // max(1, width))
        for a in range(start, end, step):
            made = functools.partial(
                self._pixels, k, a, min(a + step, end), row_block, blocks, partners
            )
            self._coming.append(self._columns_of.submit(carried(made)))
            self._append(ROWS_AHEAD)

    def _append(self, ahead: int) -> None:
        """Append pixels, in order, until no more than ``ahead`` pieces are being made."""
        while len(self._coming) > ahead:
            rows, filled, columns = self._coming.popleft().result()
            self.filled[rows] = filled
            self.pixels.append(**columns)

    def _pixels(
        self,
        k: int,
        a: int,
        b: int,
        row_block: RowBlock | None,
        blocks: list[TransBlock],
        partners: list[int],
    ) -> _Pixels:
        """Pixels of rows ``a`` to ``b`` of a chromosome."""
        parts = [] if row_block is None else [self._cis(k, a, b, row_block)]
        parts += [
            self._trans(k, j, a, b, [x for x in blocks if x.chrom2 == self.chroms[j]])
            for j in partners
        ]
        keep, columns = parts[0]
        if len(parts) > 1:
            keep = np.concatenate([p[0] for p in parts], axis=1)
            columns = {
                n: np.concatenate([np.broadcast_to(p[1][n], p[0].shape) for p in parts], axis=1)
                for n in columns
            }
        filled = np.count_nonzero(keep, axis=1)
        # boolean selection walks row by row: exactly the order of a sorted pixel table
        chosen = {
            n: c.reshape(-1) if filled.sum() == keep.size else c[keep] for n, c in columns.items()
        }
        rows = np.arange(a, b, dtype=np.int64) + self.offset[k]
        return _Pixels(rows, filled, {"bin1_id": np.repeat(rows, filled), **chosen})

    def _cis(
        self, k: int, a: int, b: int, row_block: RowBlock
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        part = slice(a - row_block.start, b - row_block.start)
        y = np.asarray(row_block.values[part], np.float32)
        width = y.shape[1]
        usable = np.concatenate([self.usable[k][a:], np.zeros(width, bool)])
        keep = np.isfinite(y)
        keep &= np.lib.stride_tricks.sliding_window_view(usable[: b - a + width - 1], width)
        keep &= usable[: b - a, None]
        unknown = np.isnan(self.expected[:width])
        if unknown.any() and keep[:, unknown].any():
            first = int(np.argmax(unknown))
            raise OutputError(
                f"{row_block.chrom} at {self.layer.resolution} bp is predicted at {first} bins, "
                f"where no expected is known"
            )
        columns = {
            "bin2_id": np.add.outer(
                np.arange(a, b, dtype=np.int64) + self.offset[k], np.arange(width, dtype=np.int64)
            ),
            "count": (
                frequency(y, self.expected[:width], self.layer.eps, self.mode, self.depth)
                if row_block.count is None
                else np.asarray(row_block.count[part], np.float32)
            ),
            "level": np.asarray(row_block.level[part], np.int32),
        }
        if self.strand_difference:
            columns["strand_difference"] = (
                np.full(y.shape, np.nan, np.float32)
                if row_block.strand_difference is None
                else np.asarray(row_block.strand_difference[part], np.float32)
            )
        return keep, columns

    def _trans(
        self, k: int, j: int, a: int, b: int, blocks: list[TransBlock]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        shape = (b - a, int(self.nbins[j]))
        y, strand_difference, level = (
            np.full(shape, np.nan, np.float32),
            np.full(shape, np.nan, np.float32),
            np.zeros(shape, np.int32),
        )
        for block in blocks:
            first, last = max(a, block.start1), min(b, block.start1 + len(block.values))
            if first >= last:
                continue
            source = slice(first - block.start1, last - block.start1)
            target = (
                slice(first - a, last - a),
                slice(block.start2, block.start2 + block.values.shape[1]),
            )
            y[target], level[target] = block.values[source], block.level
            if block.strand_difference is not None:
                strand_difference[target] = block.strand_difference[source]
        keep = np.isfinite(y) & self.usable[k][a:b, None] & self.usable[j]
        assert self.layer.trans is not None
        columns = {
            "bin2_id": np.broadcast_to(np.arange(shape[1], dtype=np.int64) + self.offset[j], shape),
            "count": frequency(y, self.layer.trans, self.layer.eps, self.mode, self.depth),
            "level": level,
        }
        return keep, columns | (
            {"strand_difference": strand_difference} if self.strand_difference else {}
        )
