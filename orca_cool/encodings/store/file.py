"""The bytes of a store that is open: checksums, sequence records and blocks at their offsets."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.encodings.store.key import check_same, record_is_sound
from orca_cool.encodings.store.layout import RECORD, Header, cannot_write, read_header, write_at
from orca_cool.errors import StoreError
from orca_cool.genome.source import SequenceSource

_log = logging.getLogger(__name__)


class StoreFile:
    """A store's file, read with ``pread`` and written with ``pwrite``.

    Chromosomes and block numbers are not checked here: :class:`EncodingStore` does that.
    """

    def __init__(self, path: Path, descriptor: int, header: Header, read_only: bool):
        self.path, self.header, self.read_only = path, header, read_only
        self.block_bytes = header.block_bytes()
        self._descriptor = descriptor
        self._rows = {chrom: i for i, chrom in enumerate(header.chromsizes)}
        self._warned: set[tuple[Any, ...]] = set()

    @classmethod
    def open(
        cls,
        path: Path,
        about: dict[str, Any],
        source: SequenceSource,
        dtype: str | None,
        read_only: bool,
    ) -> StoreFile:
        """Open a file that exists, and check that it is the store that is asked for.

        Parameters
        ----------
        about : the attributes that a store of this model and genome would have.
        dtype : the number type that it must have; None: any.

        Raises
        ------
        StoreError
            If it cannot be opened, is damaged, or is of another model, genome or number type.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY if read_only else os.O_RDWR)
        except OSError as error:
            readable = not read_only and os.access(path, os.R_OK) and path.is_file()
            hint = "; it can only be read" if readable else ""
            raise StoreError(
                f"store {str(path)!r} cannot be opened: {error.strerror or error}{hint}"
            ) from error
        try:
            header = read_header(descriptor, path)
            check_same(path, header, about, source, dtype)
            short = header.size - os.fstat(descriptor).st_size
            if short > 0:
                _log.warning(
                    "%s lacks its last %s bytes: blocks that lay there are encoded anew",
                    path,
                    f"{short:,}",
                )
                if not read_only:  # what was lost reads as zeros, and fails its checksum
                    os.ftruncate(descriptor, header.size)
        except OSError as error:
            os.close(descriptor)
            raise cannot_write(path, error) from error
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, header, read_only)

    def has_name(self) -> bool:
        """True if the file of that name is this one, and no other that took its place."""
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(self._descriptor))

    def close(self) -> None:
        """Flush what was written and close the file; StoreError if the system could not
        write it.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        try:
            if not self.read_only:
                os.fsync(descriptor)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        finally:
            os.close(descriptor)

    def warn(self, key: tuple[Any, ...], text: str) -> None:
        """Log a warning about this file, each ``key`` once."""
        if key not in self._warned:
            self._warned.add(key)
            _log.warning("%s: %s", self.path, text)

    # -- sequence records

    def row(self, chrom: str) -> int:
        """Number of a chromosome in the file."""
        return self._rows[chrom]

    def record(self, chrom: str) -> bytes:
        """A chromosome's sequence record as it is now; other processes may write it."""
        return os.pread(self._descriptor, RECORD, self._record_offset(chrom))

    def sound_record(self, chrom: str, found: bytes | None = None) -> bool:
        """Whether a chromosome has a record that is not damaged. Without one, none of its blocks
        count.
        """
        found = self.record(chrom) if found is None else found
        if not any(found):
            return False
        if not record_is_sound(found):
            self.warn(
                ("record", chrom),
                f"the sequence record of {chrom} is damaged; its blocks are encoded anew",
            )
            return False
        return True

    def write_record(self, chrom: str, record: bytes) -> None:
        """Begin a chromosome: forget all of its blocks, then record its sequence."""
        if self.checksums(chrom).any():  # there is no telling what they were made from
            self._put(bytes(16 * self._blocks(chrom)), self.header.checksums[chrom])
        self._put(record, self._record_offset(chrom))

    # -- blocks

    def checksums(self, chrom: str) -> np.ndarray:
        """(2, blocks) uint64, the checksums as they are; 0 where there is no block."""
        size = 16 * self._blocks(chrom)
        data = os.pread(self._descriptor, size, self.header.checksums[chrom])
        return np.frombuffer(data.ljust(size, b"\0"), dtype="<u8").reshape(2, -1)

    def checksum(self, chrom: str, k: int, reverse: bool) -> int:
        """The checksum of one block."""
        data = os.pread(self._descriptor, 8, self._checksum_offset(chrom, k, reverse))
        return int.from_bytes(data, "little")

    def write_checksum(self, chrom: str, k: int, reverse: bool, value: int) -> None:
        """Write the checksum of one block; 0 marks it as absent."""
        self._put(value.to_bytes(8, "little"), self._checksum_offset(chrom, k, reverse))

    def block(self, chrom: str, k: int, reverse: bool) -> bytes:
        """The bytes of one block; fewer at the end of a file that was cut short."""
        return os.pread(self._descriptor, self.block_bytes, self._block_offset(chrom, k, reverse))

    def write_block(self, chrom: str, k: int, reverse: bool, data: bytes) -> None:
        """Write the bytes of one block."""
        self._put(data, self._block_offset(chrom, k, reverse))

    def _blocks(self, chrom: str) -> int:
        return self.header.chromsizes[chrom][1]

    def _record_offset(self, chrom: str) -> int:
        return self.header.sequences + RECORD * self._rows[chrom]

    def _checksum_offset(self, chrom: str, k: int, reverse: bool) -> int:
        return self.header.checksums[chrom] + 8 * (self._blocks(chrom) * reverse + k)

    def _block_offset(self, chrom: str, k: int, reverse: bool) -> int:
        return self.header.encodings[chrom] + self.block_bytes * (self._blocks(chrom) * reverse + k)

    def _put(self, data: bytes, offset: int) -> None:
        if self.read_only:
            raise StoreError(f"store {self.path} was opened for reading only")
        try:
            write_at(self._descriptor, data, offset)
        except OSError as error:
            raise cannot_write(self.path, error) from error
