"""The pixel table of one resolution in HDF5: pieces of columns -> chunks, compressed by threads."""

from __future__ import annotations

import functools
import os
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from orca_cool.errors import OutputError
from orca_cool.maps.hdf5_output import HDF5Output
from orca_cool.maps.pixels import writing

#: pixels of one HDF5 chunk: 256 kB of counts and 512 kB of bin numbers, which fit HDF5's default
#: cache; larger ones slow small range queries
CHUNK = 65536
#: threads that compress, and chunks of a table that may wait for them (1.8 MB each)
COMPRESSORS, AHEAD = 8, 4
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
