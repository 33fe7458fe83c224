"""UCSC .2bit files (https://genome.ucsc.edu/FAQ/FAQformat.html#format7)."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from orca_cool.errors import GenomeError
from orca_cool.genome.file_source import FileSource, few, file_stem, require_readable
from orca_cool.genome.source import GAP

logger = logging.getLogger(__name__)

# Four bases a byte, the first in the highest bits; T 0, C 1, A 2, G 3 (UCSC's description of the
# format).
_TWOBIT = np.array(
    [[(3, 1, 0, 2)[(byte >> shift) & 3] for shift in (6, 4, 2, 0)] for byte in range(256)],
    dtype=np.uint8,
)


class TwoBitSource(FileSource):
    """A UCSC .2bit file, mapped into memory and decoded where it is asked for.

    Soft masking is ignored (lower case is upper case); N blocks become code 4. Both byte orders,
    and version 1 (64-bit offsets), are read. Sequences without a base are left out, with a warning.
    The format has no checksum: a damaged base is another base.

    Raises
    ------
    GenomeError
        If the file is missing, empty, truncated, not .2bit, or holds a name twice.
    """

    def __init__(self, path: str | Path, name: str | None = None):
        self.path = require_readable(path)
        self.name = name or file_stem(self.path)
        self._data = np.memmap(self.path, dtype=np.uint8, mode="r")
        signature = self._data[:4].tobytes()
        if signature not in (b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x43"):
            raise GenomeError(
                f"genome file {str(self.path)!r} is not .2bit: it begins with {signature!r}"
            )
        self._order = "<" if signature == b"\x43\x27\x41\x1a" else ">"
        version, count = (int(x) for x in self._numbers(4, 2))
        if version not in (0, 1):
            raise GenomeError(
                f"genome file {str(self.path)!r} is .2bit version {version}; 0 and 1 can be read"
            )
        self.chromsizes: dict[str, int] = {}
        self._records: dict[str, tuple[int, np.ndarray, np.ndarray]] = {}
        self._empty: list[str] = []
        place, width = 16, 8 if version else 4
        for _ in range(count):
            letters = int(self._bytes(place, 1)[0])
            chrom = self._bytes(place + 1, letters).tobytes().decode("latin-1")
            offset = int(self._bytes(place + 1 + letters, width).view(f"{self._order}u{width}")[0])
            place += 1 + letters + width
            if chrom in self._records or chrom in self._empty:
                raise GenomeError(
                    f"genome file {str(self.path)!r} holds the sequence name {chrom!r} twice; "
                    f"rename one"
                )
            self._add(chrom, offset)
        if not self.chromsizes:
            raise GenomeError(f"genome file {str(self.path)!r} holds no sequence")
        if self._empty:
            logger.warning(
                "genome file %r: sequences without a base are left out: %s",
                str(self.path),
                few(self._empty),
            )

    def _bytes(self, place: int, count: int) -> np.ndarray:
        if place + count > len(self._data):
            raise GenomeError(
                f"genome file {str(self.path)!r} is truncated: byte {place + count:,} is needed, "
                f"it has {len(self._data):,}"
            )
        # A copy, because numbers in the file are not aligned.
        return np.array(self._data[place : place + count])

    def _numbers(self, place: int, count: int) -> np.ndarray:
        return self._bytes(place, 4 * count).view(f"{self._order}u4").astype(np.int64)

    def _add(self, chrom: str, offset: int) -> None:
        length, blocks = (int(x) for x in self._numbers(offset, 2))
        starts = self._numbers(offset + 8, blocks)
        ends = starts + self._numbers(offset + 8 + 4 * blocks, blocks)
        masks = int(self._numbers(offset + 8 + 8 * blocks, 1)[0])
        packed = offset + 16 + 8 * blocks + 8 * masks
        if packed + (length + 3) // 4 > len(self._data):
            raise GenomeError(
                f"genome file {str(self.path)!r} is truncated in {chrom!r}: byte "
                f"{packed + (length + 3) // 4:,} is needed, "
                f"it has {len(self._data):,}"
            )
        if not length:
            self._empty.append(chrom)
            return
        order = np.argsort(starts, kind="stable")
        if blocks and (int(ends.max()) > length or (starts[order][1:] < ends[order][:-1]).any()):
            raise GenomeError(
                f"genome file {str(self.path)!r} is damaged: blocks of N in {chrom!r} overlap, or "
                f"go beyond its {length:,} bp"
            )
        self._records[chrom] = packed, starts[order], ends[order]
        self.chromsizes[chrom] = length

    def _read(self, chrom: str, start: int, end: int) -> np.ndarray:
        packed, starts, ends = self._records[chrom]
        first = start // 4
        codes = _TWOBIT[self._data[packed + first : packed + (end + 3) // 4]].reshape(-1)[
            start - 4 * first : end - 4 * first
        ]
        codes = np.ascontiguousarray(codes)
        for k in range(
            int(np.searchsorted(ends, start, side="right")), int(np.searchsorted(starts, end))
        ):
            codes[max(int(starts[k]) - start, 0) : max(int(ends[k]) - start, 0)] = GAP
        return codes
