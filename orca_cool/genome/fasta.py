"""FASTA files, plain or bgzip."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from orca_cool.errors import GenomeError
from orca_cool.files import atomic_write
from orca_cool.genome import index_cache
from orca_cool.genome.bgzf import HEADER, is_bgzip, unpack
from orca_cool.genome.fasta_index import FastaIndex, difference
from orca_cool.genome.fasta_survey import survey
from orca_cool.genome.file_source import FileSource, file_stem, require_readable
from orca_cool.genome.source import BASE_CODES

logger = logging.getLogger(__name__)

#: Blocks of a bgzip file (64 kB or less each) that are kept unpacked.
BLOCKS = 16


class FastaSource(FileSource):
    """A FASTA file, plain or bgzip.

    When a file is opened for the first time, all of it is read once: its lines are looked at, the
    checksum of every bgzip block is compared, and its index is made and kept in the user's cache
    folder (:mod:`orca_cool.genome.index_cache`). Indexes of samtools beside the file (.fai, and
    .gzi for bgzip) must fit it; missing ones are written there if that is possible. Names are the
    first word of each header. Sequences without a base are left out, with a warning.

    Parameters
    ----------
    path : the file.
    name : name for messages and provenance; default: the file's name without extensions.

    Raises
    ------
    GenomeError
        If the file is missing, empty, damaged, not FASTA, gzip but not bgzip, holds a name twice or
        a protein, or if an index beside it, no older than it, is of another file.
    """

    def __init__(self, path: str | Path, name: str | None = None):
        self.path = require_readable(path)
        self.name = name or file_stem(self.path)
        self._bgzip = self._check_compression()
        if not self._bgzip and self.path.suffix.lower() in (".gz", ".bgz"):
            raise GenomeError(
                f"genome file {str(self.path)!r} is called {self.path.suffix} but is not "
                f"compressed; rename it"
            )
        self._descriptor = os.open(self.path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        index = self._index()
        self._records = index.records
        self._blocks = index.blocks
        self._unpacked: LRUCache[int, bytes] = LRUCache(BLOCKS)
        self._lock = threading.Lock()
        self.chromsizes: dict[str, int] = {n: r.length for n, r in index.records.items()}
        for note in index.notes:
            logger.warning("genome file %r: %s", str(self.path), note)

    def _check_compression(self) -> bool:
        """True for bgzip, False for plain text; GenomeError for anything else."""
        with self.path.open("rb") as file:
            head = file.read(HEADER)
        if head[:2] == b"\x1f\x8b":
            if not is_bgzip(head):
                raise GenomeError(
                    f"genome file {str(self.path)!r} is plain gzip, which cannot be read in "
                    f"pieces; recompress it: "
                    f"gunzip {self.path.name} && bgzip {self.path.stem}"
                )
            if self.path.suffix.lower() not in (".gz", ".bgz"):
                raise GenomeError(
                    f"genome file {str(self.path)!r} is bgzip but is not called .gz; rename it"
                )
            return True
        if head[:2] in (b"BZ", b"PK") or head[:4] == b"\x28\xb5\x2f\xfd":
            raise GenomeError(
                f"genome file {str(self.path)!r} is compressed, but not with bgzip; decompress "
                f"it or use bgzip"
            )
        if head.lstrip()[:1] != b">":
            raise GenomeError(
                f"genome file {str(self.path)!r} is not FASTA: it begins with {head[:12]!r}, not "
                f"with '>'"
            )
        return False

    def _index(self) -> FastaIndex:
        """The index of the file as it is now, and those beside it made or held against it."""
        stat = os.fstat(self._descriptor)
        found = index_cache.kept(self.path, stat)
        index = found or self._survey(stat)
        for ending, data in index.files().items():
            self._beside(ending, data, index, stat)
        if found is None:
            index_cache.keep(self.path, stat, index)
        return index

    def _survey(self, stat: os.stat_result) -> FastaIndex:
        with open(self._descriptor, "rb", closefd=False) as file:
            index = survey(self.path, file, self._bgzip)
        now = os.fstat(self._descriptor)
        if (now.st_size, now.st_mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            raise GenomeError(f"genome file {str(self.path)!r} was written while it was read")
        return index

    def _beside(self, ending: str, data: bytes, index: FastaIndex, stat: os.stat_result) -> None:
        """Hold an index file beside the FASTA against it; write it if it is missing, or of a former
        state of the file.
        """
        path = Path(f"{self.path}{ending}")
        try:
            time, found = path.stat().st_mtime_ns, path.read_bytes()
        except OSError:
            time, found = 0, b""
        if found == data or (found and not (problem := difference(index, ending, found))):
            return
        if found and time >= stat.st_mtime_ns:
            raise GenomeError(
                f"genome file {str(self.path)!r} does not fit its index {path.name!r}: {problem}; "
                f"the file is truncated or its index is of another file (then delete the index, "
                f"which is made anew)"
            )
        with contextlib.suppress(OSError):
            atomic_write(path, data)

    def _read(self, chrom: str, start: int, end: int) -> np.ndarray:
        record = self._records[chrom]
        first, last = record.byte(start), record.byte(end - 1) + 1
        data = self._bytes(first, last)
        # Lines are the rows of a table, whose first and last row are filled up.
        lead = start % record.bases
        rows = -(-(lead + len(data)) // record.width)
        table = np.full(rows * record.width, ord("\n"), np.uint8)
        table[lead : lead + len(data)] = np.frombuffer(data, np.uint8)
        columns = table.reshape(rows, record.width)[:, : record.bases]
        bases = columns.reshape(-1)[lead : lead + end - start]
        if len(data) != last - first or (bases <= ord(" ")).any() or (bases == ord(">")).any():
            raise GenomeError(
                f"genome file {str(self.path)!r} has changed since it was opened: "
                f"{chrom}:{start:,}-{end:,} is not where it was"
            )
        return BASE_CODES[bases]

    def _bytes(self, first: int, last: int) -> bytes:
        """Bytes ``[first, last)`` of what the file holds; fewer if it ends before."""
        if self._blocks is None:
            return os.pread(self._descriptor, last - first, first)
        offsets = self._blocks[:, 1]
        a = int(np.searchsorted(offsets, first, side="right")) - 1
        b = int(np.searchsorted(offsets, last, side="left"))
        data = b"".join(self._block(k) for k in range(a, b))
        return data[first - int(offsets[a]) : last - int(offsets[a])]

    def _block(self, number: int) -> bytes:
        """What a block of a bgzip file holds."""
        with self._lock:
            if (known := self._unpacked.get(number)) is not None:
                return known
        assert self._blocks is not None
        start, offset = (int(x) for x in self._blocks[number])
        following = self._blocks[number + 1 : number + 2]
        size = int(following[0, 0]) - start if len(following) else 1 << 16
        packed = os.pread(self._descriptor, size, start)
        try:
            data = unpack(packed)
            if len(following) and len(data) != int(following[0, 1]) - offset:
                raise ValueError("it holds another number of bytes than when it was first read")
        except ValueError as error:
            raise GenomeError(
                f"genome file {str(self.path)!r} is damaged in the bgzip block at byte "
                f"{start:,}: {error}; copy it again"
            ) from error
        with self._lock:
            self._unpacked[number] = data
        return data
