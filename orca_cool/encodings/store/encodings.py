"""Encodings of a genome on disk, both strands, filled as they are needed: what was encoded once is
only decoded from then on.

A store is an ordinary HDF5 file that any h5py reads, with one peculiarity: **its structure never
changes after it is made**. The skeleton is written under a temporary name with all its space
assigned (contiguous, early), then linked into place. From then on blocks are written and read at
their known file offsets with ``pwrite`` and ``pread``, past the HDF5 library. HDF5 itself would not
do: it keeps metadata in memory and writes it back in its own time, so a writer that is killed
leaves a file that does not open, and readers beside a writer need its SWMR mode, with one writer
only. Here a kill at any moment leaves a sound file, and any number of processes read and write.

What a reader gets is right because every block has a checksum, which is written after the block and
erased before the block is written again. A block that was torn, lost or altered in any way counts
as absent: it is encoded anew. Every chromosome carries the SHA-256 of the sequence that it was made
from, the file that of the encoder's weights; other sequences and weights are refused.

Contents of the file:

``encodings/<chrom>``
    (2, bins, width) float16 or float32. Strand 0 is the chromosome; strand 1 its reverse
    complement, with the bins in forward order.
``checksums/<chrom>``
    (2, blocks) uint64. 0: the block is absent; otherwise 2 ** 32 | CRC-32 of the block.
``sequences``
    (chromosomes, 40) uint8. SHA-256 of the codes 0 to 4, then 8 bytes of check; 0: not used yet.
``chromsizes/name``, ``chromsizes/length``
    (chromosomes,) names, and lengths in bp.

``bins`` are those of whole blocks that cover [0, length + flank); beyond, and before 0, no block is
stored. All blocks were encoded with real flanks. The space of blocks that were never written takes
no room on most file systems.
"""

from __future__ import annotations

import contextlib
import os
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from orca_cool.encodings.store.file import StoreFile
from orca_cool.encodings.store.key import describe, record
from orca_cool.encodings.store.layout import cannot_write, free_bytes, lock_path, make, no_space
from orca_cool.encodings.store.locks import ByteLocks, Users
from orca_cool.errors import GenomeError, StoreError
from orca_cool.genome.source import SequenceSource, length_of
from orca_cool.locks import Owner, in_use
from orca_cool.model.encoder import Encoder

DTYPES = ("float16", "float32")
_PRESENT = 1 << 32


class EncodingStore:
    """An open store; made by :meth:`open`. Threads and processes may share one.

    Attributes
    ----------
    path : of the file.
    header : what the store is of, and where its tables lie.
    dtype : "float16" or "float32", on disk; blocks are given and taken as float32.
    block, block_bins, width : bp of a block, its bins, channels.
    read_only : nothing is written, and :meth:`claim` grants nothing.
    """

    def __init__(self, file: StoreFile, source: SequenceSource, users: Users):
        self._file, self._source = file, source
        self._leave = weakref.finalize(self, users.leave)
        self.path, self.header, self.read_only = file.path, file.header, file.read_only
        about = file.header.about
        self.dtype = str(about["dtype"])
        self.block, self.width = int(about["block"]), int(about["width"])
        self.block_bins = self.block // int(about["base_bin"])
        self._type = np.dtype(self.dtype).newbyteorder("<")
        self._records: dict[str, bytes] = {}  # of the genome, by chromosome
        self._locks = ByteLocks(lock_path(file.path))
        # bytes of the lock file: 0 making the store, then one a chromosome (its record), then one a
        # block
        self._first_lock: dict[str, int] = {}
        place = 1 + len(file.header.chromsizes)
        for chrom, (_, blocks) in file.header.chromsizes.items():
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
        encoder_dtype: str = "float32",
        create: bool = True,
        read_only: bool = False,
    ) -> EncodingStore:
        """Open a store, or make an empty one.

        Parameters
        ----------
        encoder, source : what the encodings are of.
        model_name : for messages and the file's attributes.
        dtype : "float16" or "float32"; None takes what the store has, float16 for a new one.
        encoder_dtype : in which the encodings are computed; those of others lie in other stores.
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
        about = describe(encoder, source, model_name, dtype or DTYPES[0], encoder_dtype)
        spec = encoder.spec
        if not path.exists() and (read_only or not create):
            raise StoreError(f"there is no store {str(path)!r}; `orca-cool encode` makes it")
        users = Users(ByteLocks(lock_path(path)))
        blocks = {c: (n, -(-(n + spec.flank) // spec.block)) for c, n in source.chromsizes.items()}
        while True:
            if not path.exists():
                make(path, about, blocks)
            file = StoreFile.open(path, about, source, dtype, read_only)
            if not read_only:
                users.enter()
                if not file.has_name():  # it was replaced just now
                    users.leave()
                    file.close()
                    continue
            return cls(file, source, users)

    @staticmethod
    def delete(path: str | os.PathLike[str]) -> None:
        """Delete a store that nobody writes to.

        Raises
        ------
        StoreError
            If a process has it open for writing (the message says which), or it cannot be deleted.
        """
        path = Path(path)
        with Users(ByteLocks(lock_path(path))).nobody() as user:
            if user:
                raise in_use(path, user if isinstance(user, Owner) else None, error=StoreError)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise cannot_write(path, error) from error

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
        try:
            self._file.close()
        finally:
            self._leave()

    def blocks(self, chrom: str) -> int:
        """How many blocks a chromosome has; they are numbered from 0."""
        try:
            return self.header.chromsizes[chrom][1]
        except KeyError:
            length_of(self._source, chrom)  # the error with a suggestion
            raise GenomeError(f"store {self.path} has no chromosome {chrom!r}") from None

    def present(self, chrom: str) -> np.ndarray:
        """Which blocks of a chromosome have a checksum: (2, blocks) bool, forward strand first.

        The blocks themselves, and the sequence, are verified by :meth:`read`.
        """
        blocks = self.blocks(chrom)
        if not self._file.sound_record(chrom):
            return np.zeros((2, blocks), dtype=bool)
        return (self._file.checksums(chrom) >> np.uint64(32)) == 1

    def checksums(self, chrom: str) -> np.ndarray:
        """(2, blocks) uint64, the checksums as they are; 0 where there is no block."""
        self.blocks(chrom)
        return self._file.checksums(chrom)

    def read(self, chrom: str, k: int, reverse: bool) -> np.ndarray | None:
        """One block, verified.

        Returns
        -------
        (block_bins, width) float32 in forward order of bins, with ``reverse`` too; None if it is
        absent or damaged (the log warns of that), or lies outside what a store holds.

        Raises
        ------
        StoreError
            If the store was made from another sequence.
        """
        if not 0 <= k < self.blocks(chrom) or not self._same_sequence(chrom):
            return None
        for _ in range(3):
            checksum = self._file.checksum(chrom, k, reverse)
            if checksum == 0:
                return None
            data = self._file.block(chrom, k, reverse)
            if len(data) == self._file.block_bytes and checksum == _PRESENT | zlib.crc32(data):
                values = np.frombuffer(data, dtype=self._type)
                return values.reshape(self.block_bins, self.width).astype(np.float32)
            # a checksum that has changed: another process is writing the block just now
            if checksum == self._file.checksum(chrom, k, reverse):
                self._file.warn(
                    ("block", chrom, k, reverse),
                    f"block {self.describe(chrom, k, reverse)} is damaged; encoded anew",
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
        if self._file.checksum(chrom, k, reverse):
            self._file.write_checksum(chrom, k, reverse, 0)
        self._file.write_block(chrom, k, reverse, data)
        self._file.write_checksum(chrom, k, reverse, _PRESENT | zlib.crc32(data))

    def forget(self, chrom: str, k: int, reverse: bool) -> None:
        """Mark a block as absent."""
        self._writable()
        self.blocks(chrom)
        self._file.write_checksum(chrom, k, reverse, 0)

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
        lock = 1 + self._file.row(chrom)
        # two processes with different genomes must not both find the record empty
        self._locks.acquire(lock, wait=True)
        try:
            if not self._same_sequence(chrom):
                self._file.write_record(chrom, self._record(chrom))
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
        needed = blocks * self._file.block_bytes
        if needed > free_bytes(self.path):
            raise no_space(self.path, needed)

    def describe(self, chrom: str, k: int, reverse: bool) -> str:
        """A block in words, for messages: "chr9:0-800,000, reverse strand"."""
        strand = "reverse" if reverse else "forward"
        return f"{chrom}:{k * self.block:,}-{(k + 1) * self.block:,}, {strand} strand"

    def _same_sequence(self, chrom: str) -> bool:
        """True if the record fits the genome, False if there is none; read each time, as other
        processes may write it.
        """
        self.blocks(chrom)
        found = self._file.record(chrom)
        if found == self._records.get(chrom):
            return True
        if not self._file.sound_record(chrom, found):
            return False
        if found != self._record(chrom):
            genome = self.header.about["genome"]
            raise StoreError(
                f"{chrom} of {self.path} was made from another sequence (genome {genome!r}) than "
                f"that of {self._source.name!r}; "
                "give another file, or let `orca-cool encode --force` make it anew"
            )
        return True

    def _record(self, chrom: str) -> bytes:
        """The record of the genome's own sequence."""
        if chrom not in self._records:
            self._records[chrom] = record(self._source, chrom)
        return self._records[chrom]

    def _writable(self) -> None:
        if self.read_only:
            raise StoreError(f"store {self.path} was opened for reading only")
