"""Predicted rows -> the sorted pixel table of one resolution, written to HDF5 chunk by chunk."""

from __future__ import annotations

import functools
import os
import zlib
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from orca_cool.errors import OutputError
from orca_cool.genome.regions import n_bins
from orca_cool.maps.hdf5_output import HDF5Output
from orca_cool.maps.pixels import Layer, RowBlock, TransBlock, frequency, writing
from orca_cool.profile import carried

#: pixels of one HDF5 chunk: 256 kB of counts and 512 kB of bin numbers, which fit HDF5's default
#: cache; larger ones slow small range queries
CHUNK = 65536
#: threads that compress, and chunks of a table that may wait for them (1.8 MB each)
COMPRESSORS, AHEAD = 8, 4
#: pieces of rows that may be made before they are written, and matrix cells of each (12 MB)
ROWS_AHEAD = 2
BATCH = 1 << 19
FILTERS: dict[str, Any] = {
    "compression": "gzip",
    "compression_opts": 1,
    "shuffle": True,
    "track_times": False,
}


class PixelTable:
    """The pixel table of one resolution: growing HDF5 columns, a chunk at a time.

    Columns are kept in the pieces in which they come. When these make a chunk, threads put them
    together, round and compress them, and the chunk is handed to HDF5 as it is (shuffle, then a
    zlib stream: what its own filters would have read back). Mantissas do not repeat, so looking for
    matches in them is lost time: run-length and Huffman coding alone takes a third of it, for the
    same size. Bin numbers do repeat.
    """

    def __init__(
        self,
        group: h5py.Group,
        path: Path,
        output: HDF5Output,
        strand_difference: bool,
        precision_bits: int | None,
    ) -> None:
        self.path, self.output, self.precision_bits = path, output, precision_bits
        types = {"bin1_id": np.int64, "bin2_id": np.int64, "count": np.float32, "level": np.int32}
        if strand_difference:
            types["strand_difference"] = np.float32
        self.columns = {
            name: group.create_dataset(
                name, shape=(0,), maxshape=(None,), chunks=(CHUNK,), dtype=dtype, **FILTERS
            )
            for name, dtype in types.items()
        }
        self.nnz, self.sum = 0, 0.0
        self._pieces: list[dict[str, np.ndarray]] = []
        self._held = 0  # pixels in the pieces
        self._waiting: deque[_Chunk] = deque()

    def append(self, **columns: np.ndarray) -> None:
        """Append columns of equal length, which nobody changes later."""
        n, at = len(columns["count"]), 0
        while at < n:
            take = min(n - at, CHUNK - self._held)
            self._pieces.append({name: c[at : at + take] for name, c in columns.items()})
            self._held += take
            at += take
            if self._held == CHUNK:
                self.flush()

    def flush(self) -> None:
        """Have what is held compressed and written: a whole chunk, or the last one."""
        pieces, n = self._pieces, self._held
        self._pieces, self._held = [], 0
        if not n:
            return
        pool = _compressors(os.getpid())
        made = {
            name: pool.submit(
                _column, [piece[name] for piece in pieces], dataset.dtype, self.precision_bits
            )
            for name, dataset in self.columns.items()
        }
        self._waiting.append(_Chunk(self.nnz, n, made))
        self.nnz += n
        self._write(AHEAD)

    def finish(self) -> None:
        """Write all that is left."""
        self.flush()
        self._write(0)

    def _write(self, ahead: int) -> None:
        """Write chunks, in order, until no more than ``ahead`` are being compressed."""
        while len(self._waiting) > ahead:
            chunk = self._waiting.popleft()
            made = {name: future.result() for name, future in chunk.columns.items()}
            if not np.isfinite(made["count"].total):
                raise OutputError(
                    f"{str(self.path)!r}: a predicted log ratio is too large to store: its "
                    f"frequency overflows float32"
                )
            # summed chunk by chunk, hence the same whatever the sizes of the row blocks were
            self.sum += made["count"].total
            with writing(self.path, self.output):
                for name, column in made.items():
                    self.columns[name].resize((chunk.start + chunk.n,))
                    self.columns[name].id.write_direct_chunk((chunk.start,), column.data)


class _Pixels(NamedTuple):
    """Rows, numbers of their pixels, and the pixels' columns."""

    rows: np.ndarray
    filled: np.ndarray
    columns: dict[str, np.ndarray]


class _Column(NamedTuple):
    """One column of a chunk: its bytes in the file, and the sum of its values as stored."""

    data: bytes
    total: float


class _Chunk(NamedTuple):
    """A chunk of all columns that is being compressed: its first pixel, how many, and the bytes."""

    start: int
    n: int
    columns: dict[str, Future[_Column]]


@functools.lru_cache(maxsize=1)
def _compressors(process: int) -> ThreadPoolExecutor:
    """Threads that compress beside the one that writes (zlib holds no lock of Python's); of
    ``process``, since threads do not outlive a fork.
    """
    return ThreadPoolExecutor(min(COMPRESSORS, os.cpu_count() or 1), "orca-cool-zlib")


def _column(pieces: list[np.ndarray], dtype: np.dtype, bits: int | None) -> _Column:
    """Pieces as one column of a chunk, rounded to ``bits`` bits of mantissa if they are float32.
    The sum is not finite if a value is not, before it is rounded.
    """
    values = np.zeros(CHUNK, dtype)  # what lies beyond the end of the last chunk is 0
    n = sum(map(len, pieces))
    np.concatenate(pieces, out=values[:n])
    total = float(values[:n].sum(dtype=np.float64)) if dtype == np.float32 else 0.0
    if bits is not None and dtype == np.float32 and np.isfinite(total):
        _round_mantissa(values, bits)
        total = float(values[:n].sum(dtype=np.float64))
    return _Column(_compress(values), total)


def _compress(values: np.ndarray) -> bytes:
    """HDF5's shuffle (bytes of equal significance together) and deflate."""
    # ascontiguousarray copies by strides; tobytes() of a transposed array goes byte by byte, eight
    # times as slow
    shuffled = np.ascontiguousarray(values.view(np.uint8).reshape(-1, values.itemsize).T).data
    strategy = zlib.Z_RLE if values.dtype.kind == "f" else zlib.Z_DEFAULT_STRATEGY
    stream = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    return stream.compress(shuffled) + stream.flush()


def _round_mantissa(values: np.ndarray, bits: int) -> None:
    """Round float32 numbers in place to ``bits`` explicit mantissa bits (relative error <=
    2**-(bits+1)).
    """
    drop = 23 - bits
    if drop <= 0:
        return
    raw = values.view(np.uint32)
    raw += np.uint32(1 << (drop - 1))
    raw &= np.uint32(0xFFFFFFFF << drop & 0xFFFFFFFF)


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
