"""Encodings of a genome on disk, both strands, filled as they are needed: encode once, then only
decode.

An ordinary HDF5 file that any h5py reads, with one peculiarity: **its structure never changes after
it is made**. The skeleton is written under a temporary name with all its space assigned
(contiguous, early), then linked into place. From then on blocks are written and read at their known
file offsets with ``pwrite`` and ``pread``, past the HDF5 library. HDF5 itself would not do: it
keeps metadata in memory and writes it back in its own time, so a writer that is killed leaves a
file that does not open, and readers beside a writer need its SWMR mode, with one writer only. Here
a kill at any moment leaves a sound file, and any number of processes read and write.

What a reader gets is right because every block has a checksum, which is written after the block and
erased before the block is written again. A block that was torn, lost or altered in any way is no
block: it is encoded anew. Every chromosome carries the SHA-256 of the sequence that it was made
from, the file that of the encoder's weights; other sequences and weights are refused.

========================  ==========================================
========================================================== ``encodings/<chrom>``     (2, bins,
width) float16 or float32         strand 0; strand 1 is that of the reverse complement, with its
                                                                      bins in forward order
``checksums/<chrom>``     (2, blocks) uint64                          0: absent; else 2 ** 32 |
CRC-32 of the block ``sequences``             (chromosomes, 40) uint8                     SHA-256 of
the codes 0 to 4, 8 bytes of check; 0: not used yet ``chromsizes/name``,      (chromosomes,)
bp ``chromsizes/length`` ========================  ==========================================
==========================================================

``bins`` are those of whole blocks that cover [0, length + flank); beyond, and before 0, no block is
stored. All blocks were encoded with real flanks. A store of holes takes no space on most file
systems until blocks are written.
"""

from __future__ import annotations

import contextlib
import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.encodings.store.key import check_same, describe, record, record_is_sound
from orca_cool.encodings.store.layout import (
    RECORD,
    Header,
    cannot_write,
    free_bytes,
    lock_path,
    make,
    no_space,
    read_header,
    write_at,
)
from orca_cool.encodings.store.locks import ByteLocks
from orca_cool.errors import GenomeError, StoreError
from orca_cool.genome.source import SequenceSource, length_of
from orca_cool.model.encoder import Encoder

DTYPES = ("float16", "float32")
_PRESENT = 1 << 32

_log = logging.getLogger(__name__)


class EncodingStore:
    """An open store; made by :meth:`open`. Threads and processes may share one.

    Attributes
    ----------
    path : of the file.
    dtype : "float16" or "float32", on disk; blocks are given and taken as float32.
    block, block_bins, width : bp of a block, its bins, channels.
    read_only : nothing is written, and :meth:`claim` grants nothing.
    """

    def __init__(
        self, path: Path, fd: int, header: Header, source: SequenceSource, read_only: bool
    ):
        self.path, self.read_only, self.header = path, read_only, header
        self.dtype = str(header.about["dtype"])
        self.block, self.width = int(header.about["block"]), int(header.about["width"])
        self.block_bins = self.block // int(header.about["base_bin"])
        self._fd, self._source = fd, source
        self._type = np.dtype(self.dtype).newbyteorder("<")
        self._bytes = header.block_bytes()
        self._rows = {chrom: i for i, chrom in enumerate(header.chromsizes)}
        self._expected: dict[str, bytes] = {}
        self._warned: set[tuple[Any, ...]] = set()
        self._locks = ByteLocks(lock_path(path))
        # bytes of the lock file: 0 making the store, then one a chromosome (its record), then one a
        # block
        self._first_lock: dict[str, int] = {}
        place = 1 + len(self._rows)
        for chrom, (_, blocks) in header.chromsizes.items():
            self._first_lock[chrom] = place
            place += blocks

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        encoder: Encoder,
        source: SequenceSource,
        *,
        model_name: str = "",
        dtype: str | None = None,
        create: bool = True,
        read_only: bool = False,
    ) -> EncodingStore:
        """Open a store, or make an empty one.

        Parameters
        ----------
        encoder, source : what the encodings are of.
        model_name : for messages and the file's attributes.
        dtype : "float16" or "float32"; None takes what the store has, float16 for a new one.
        create : make the store if there is none (never with ``read_only``).

        Raises
        ------
        StoreError
            If there is none and none is to be made, if it is of other weights, chromosomes or
            number type than asked for, if its structure is damaged, or if it cannot be read or
            written.
        """
        path = Path(path)
        if dtype is not None and dtype not in DTYPES:
            raise StoreError(
                f"number type {dtype!r} of a store is not supported; use one of {', '.join(DTYPES)}"
            )
        if not path.parent.is_dir():
            raise StoreError(
                f"store {str(path)!r} cannot be made: there is no folder {str(path.parent)!r}; "
                f"make it first"
            )
        about = describe(encoder, source, model_name, dtype or DTYPES[0])
        spec = encoder.spec
        if not path.exists():
            if read_only or not create:
                raise StoreError(f"there is no store {str(path)!r}; `orca-cool encode` makes it")
            make(
                path,
                about,
                {c: (n, -(-(n + spec.flank) // spec.block)) for c, n in source.chromsizes.items()},
            )
        try:
            fd = os.open(path, os.O_RDONLY if read_only else os.O_RDWR)
        except OSError as error:
            hint = (
                ""
                if read_only
                else "; it can only be read"
                if os.access(path, os.R_OK) and path.is_file()
                else ""
            )
            raise StoreError(
                f"store {str(path)!r} cannot be opened: {error.strerror or error}{hint}"
            ) from error
        try:
            header = read_header(fd, path)
            check_same(path, header, about, source, dtype)
            short = header.size - os.fstat(fd).st_size
            if short > 0:
                _log.warning(
                    "%s lacks its last %s bytes: blocks that lay there are encoded anew",
                    path,
                    f"{short:,}",
                )
                if not read_only:
                    os.ftruncate(
                        fd, header.size
                    )  # to its full length; what was lost reads as zeros and fails its checksum
        except OSError as error:
            os.close(fd)
            raise cannot_write(path, error) from error
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd, header, source, read_only)

    def __enter__(self) -> EncodingStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hand what was written to the disk and close the file.

        Raises
        ------
        StoreError
            If the system could not write it after all (network file systems say so only now).
        """
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            if not self.read_only:
                os.fsync(fd)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        finally:
            os.close(fd)

    def blocks(self, chrom: str) -> int:
        """Blocks of a chromosome; they are numbered from 0."""
        try:
            return self.header.chromsizes[chrom][1]
        except KeyError:
            length_of(self._source, chrom)  # the error with a suggestion
            raise GenomeError(f"store {self.path} has no chromosome {chrom!r}") from None

    def present(self, chrom: str) -> np.ndarray:
        """Which blocks of a chromosome have a checksum: (2, blocks) bool, forward strand first.

        The blocks themselves, and the sequence, are verified by :meth:`read`.
        """
        if not self._sound(chrom):
            return np.zeros((2, self.blocks(chrom)), dtype=bool)
        return (self.entries(chrom) >> np.uint64(32)) == 1

    def entries(self, chrom: str) -> np.ndarray:
        """(2, blocks) uint64, the checksums as they are; 0 where no block is claimed to be."""
        size = 16 * self.blocks(chrom)
        data = os.pread(self._fd, size, self.header.checksums[chrom])
        return np.frombuffer(data.ljust(size, b"\0"), dtype="<u8").reshape(2, -1)

    def read(self, chrom: str, k: int, reverse: bool) -> np.ndarray | None:
        """One block, verified.

        Returns
        -------
        (block_bins, width) float32 in forward order of bins, with ``reverse`` too; None if it is
        absent or damaged (a warning tells), or lies outside what a store holds.

        Raises
        ------
        StoreError
            If the store was made from another sequence.
        """
        if not 0 <= k < self.blocks(chrom) or not self._same_sequence(chrom):
            return None
        for _ in range(3):
            entry = self._entry(chrom, k, reverse)
            if entry == 0:
                return None
            data = os.pread(self._fd, self._bytes, self._data_offset(chrom, k, reverse))
            if len(data) == self._bytes and entry == _PRESENT | zlib.crc32(data):
                return (
                    np.frombuffer(data, dtype=self._type)
                    .reshape(self.block_bins, self.width)
                    .astype(np.float32)
                )
            if entry == self._entry(
                chrom, k, reverse
            ):  # else another process is writing it just now
                self._warn(
                    ("block", chrom, k, reverse),
                    f"{self.path}: block {self.describe(chrom, k, reverse)} is damaged; encoded "
                    f"anew",
                )
                return None
        return None

    def write(self, chrom: str, k: int, reverse: bool, values: np.ndarray) -> None:
        """Store one block, (block_bins, width) in forward order of bins.

        Raises
        ------
        StoreError
            If the values do not fit the number type, the disk is full or cannot be written, the
            store was opened for reading only, or was made from another sequence. Blocks written
            before stay good.
        """
        self._writable()
        if not 0 <= k < self.blocks(chrom):
            raise ValueError(f"{chrom} has blocks 0 to {self.blocks(chrom) - 1}, not {k}")
        if np.shape(values) != (self.block_bins, self.width):
            raise ValueError(
                f"a block is ({self.block_bins}, {self.width}), not {np.shape(values)}"
            )
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(values, dtype=self._type)
        if not np.isfinite(stored).all():
            where = self.describe(chrom, k, reverse)
            if np.isfinite(values).all():
                raise StoreError(
                    f"encodings of {where} reach {np.abs(values).max():g}, more than float16 "
                    f"holds; make a store with --dtype float32"
                )
            raise StoreError(
                f"encodings of {where} are not finite (NaN or infinity): the model's weights "
                f"cannot be right"
            )
        data = stored.tobytes()
        self.prepare(chrom)
        place = self._entry_offset(chrom, k, reverse)
        if self._entry(chrom, k, reverse):
            self._put(bytes(8), place)
        self._put(data, self._data_offset(chrom, k, reverse))
        self._put((_PRESENT | zlib.crc32(data)).to_bytes(8, "little"), place)

    def forget(self, chrom: str, k: int, reverse: bool) -> None:
        """Mark a block as absent."""
        self._writable()
        self._put(bytes(8), self._entry_offset(chrom, k, reverse))

    def prepare(self, chrom: str) -> None:
        """Record which sequence a chromosome has, or compare it with the record; :meth:`write` does
        so by itself.

        Raises
        ------
        StoreError
            If the store was made from another sequence.
        """
        if self._same_sequence(chrom):
            return
        self._writable()
        lock = 1 + self._rows[chrom]
        self._locks.acquire(
            lock, wait=True
        )  # two processes with different genomes must not both find the record empty
        try:
            if not self._same_sequence(chrom):
                # With no valid record there is no telling what blocks are of; normally there are
                # none.
                if self.entries(chrom).any():
                    self._put(bytes(16 * self.blocks(chrom)), self.header.checksums[chrom])
                self._put(self._wanted_record(chrom), self._record_offset(chrom))
        finally:
            self._locks.release(lock)

    @contextlib.contextmanager
    def claim(self, chrom: str, k: int) -> Iterator[bool]:
        """Ask to be the one that encodes block ``k`` of both strands: ``with store.claim(chrom, k)
        as mine``.

        False if another process or thread has it. Claims end with the ``with``, or with the process
        however it dies. They only spare work: two writers of one block do no harm.
        """
        if self.read_only:
            yield False
            return
        lock = self._first_lock[chrom] + k
        mine = self._locks.acquire(lock)
        try:
            yield mine
        finally:
            if mine:
                self._locks.release(lock)

    def check_space(self, blocks: int) -> None:
        """StoreError if the disk has no room for so many more blocks of one strand."""
        needed = blocks * self._bytes
        if needed > free_bytes(self.path):
            raise no_space(self.path, needed)

    def describe(self, chrom: str, k: int, reverse: bool) -> str:
        """ "chr9:0-800,000, reverse strand" of a block, for messages."""
        return f"{chrom}:{k * self.block:,}-{(k + 1) * self.block:,}, {'reverse' if reverse else 'forward'} strand"

    def _sound(self, chrom: str, found: bytes | None = None) -> bool:
        """Whether a chromosome has a record that is not damaged. Without one, none of its blocks
        count.
        """
        found = os.pread(self._fd, RECORD, self._record_offset(chrom)) if found is None else found
        if not any(found):
            return False
        if not record_is_sound(found):
            self._warn(
                ("record", chrom),
                f"{self.path}: the sequence record of {chrom} is damaged; its blocks are encoded "
                f"anew",
            )
            return False
        return True

    def _same_sequence(self, chrom: str) -> bool:
        """True if the record fits the genome, False if there is none; read each time, as other
        processes may write it.
        """
        found = os.pread(self._fd, RECORD, self._record_offset(chrom))
        if found == self._expected.get(chrom):
            return True
        if not self._sound(chrom, found):
            return False
        if found != self._wanted_record(chrom):
            genome = self.header.about["genome"]
            raise StoreError(
                f"{chrom} of {self.path} was made from another sequence (genome {genome!r}) than "
                f"that of {self._source.name!r}; "
                "give another file, or let `orca-cool encode --force` make it anew"
            )
        return True

    def _wanted_record(self, chrom: str) -> bytes:
        if chrom not in self._expected:
            self._expected[chrom] = record(self._source, chrom)
        return self._expected[chrom]

    def _entry(self, chrom: str, k: int, reverse: bool) -> int:
        return int.from_bytes(
            os.pread(self._fd, 8, self._entry_offset(chrom, k, reverse)), "little"
        )

    def _record_offset(self, chrom: str) -> int:
        self.blocks(chrom)
        return self.header.sequences + RECORD * self._rows[chrom]

    def _entry_offset(self, chrom: str, k: int, reverse: bool) -> int:
        return self.header.checksums[chrom] + 8 * (self.blocks(chrom) * reverse + k)

    def _data_offset(self, chrom: str, k: int, reverse: bool) -> int:
        return self.header.encodings[chrom] + self._bytes * (self.blocks(chrom) * reverse + k)

    def _put(self, data: bytes, offset: int) -> None:
        try:
            write_at(self._fd, data, offset)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _writable(self) -> None:
        if self.read_only:
            raise StoreError(f"store {self.path} was opened for reading only")

    def _warn(self, key: tuple[Any, ...], text: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            _log.warning("%s", text)
