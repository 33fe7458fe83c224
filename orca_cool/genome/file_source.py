"""What readers of sequence files have in common: clipping, padding, and reading chunk by chunk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from orca_cool.errors import GenomeError, RegionError
from orca_cool.genome.source import GAP, PIECE, length_of
from orca_cool.profile import staged


class FileSource:
    """Base of the genomes that are files: clips, pads, and reads long intervals chunk by chunk."""

    name: str
    chromsizes: dict[str, int]

    def _read(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Codes of an interval that lies in the chromosome and is at most PIECE bp long."""
        raise NotImplementedError

    @staged("reading sequence")
    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """See :meth:`SequenceSource.fetch`."""
        length = length_of(self, chrom)
        start, end = int(start), int(end)
        if end < start:
            raise RegionError(
                f"{chrom}:{start:,}-{end:,} is reversed: its end lies before its start"
            )
        codes = np.full(end - start, GAP, dtype=np.uint8)
        for a in range(max(start, 0), min(end, length), PIECE):
            b = min(a + PIECE, end, length)
            chunk = self._read(chrom, a, b)
            if len(chunk) != b - a:
                raise GenomeError(
                    f"genome {self.name!r}: {chrom}:{a:,}-{b:,} gave {len(chunk):,} of {b - a:,} "
                    f"bp; the file is truncated or its "
                    "index is of another file (delete the .fai and .gzi beside it)"
                )
            codes[a - start : b - start] = chunk
        return codes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self.chromsizes)} sequences)"


def require_readable(path: str | Path) -> Path:
    """The path of a genome file; GenomeError if it is a folder, missing, empty or not readable."""
    path = Path(path)
    if path.is_dir():
        raise GenomeError(f"genome file {str(path)!r} is a folder; give a FASTA or .2bit file")
    if not path.exists():
        raise GenomeError(f"genome file {str(path)!r} does not exist")
    try:
        empty = path.stat().st_size == 0
        with path.open("rb"):
            pass
    except OSError as error:
        raise GenomeError(f"genome file {str(path)!r} cannot be read: {error.strerror}") from error
    if empty:
        raise GenomeError(f"genome file {str(path)!r} is empty")
    return path


def file_stem(path: Path) -> str:
    """A file's name without the extensions of sequence files: "hg38" of "hg38.fa.gz"."""
    return (
        re.sub(r"\.(fa|fasta|fna|fas|2bit)(\.b?gz)?$|\.b?gz$", "", path.name, flags=re.IGNORECASE)
        or path.name
    )


def few(names: Sequence[str], most: int = 5) -> str:
    """Names for a message: the first ones, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" * (len(names) > most))
