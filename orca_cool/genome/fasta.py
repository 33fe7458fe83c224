"""FASTA files, plain or bgzip, read through samtools' indexes."""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np

from orca_cool.errors import GenomeError
from orca_cool.files import replace_file
from orca_cool.genome.file_source import FileSource, file_stem, require_readable
from orca_cool.genome.source import BASE_CODES


class FastaSource(FileSource):
    """A FASTA file, plain or bgzip, read through its index (.fai, and .gzi for bgzip).

    A missing or stale index is built: beside the file where that can be written, else in a cache
    folder. Indexes are samtools' own format. Names are the first word of each header.

    Parameters
    ----------
    path : the file.
    name : name for messages and provenance; default: the file's name without extensions.
    trust_index : read the index beside the file whatever its time stamp says (shipped data:
        installers set times as they like).

    Raises
    ------
    GenomeError
        If the file is missing, empty, damaged, not FASTA, gzip but not bgzip, or holds a name
        twice.
    """

    def __init__(self, path: str | Path, name: str | None = None, *, trust_index: bool = False):
        from pyfaidx import Faidx

        self.path = require_readable(path)
        self.name = name or file_stem(self.path)
        bgzip = self._check_compression()
        if not bgzip and self.path.suffix.lower() in (".gz", ".bgz"):
            raise GenomeError(
                f"genome file {str(self.path)!r} is called {self.path.suffix} but is not "
                f"compressed; rename it"
            )
        stem = self._index_stem(bgzip, trust_index)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # "index is older": judged above
                self._faidx = Faidx(
                    str(self.path),
                    indexname=stem + ".fai",
                    gzi_indexname=stem + ".gzi",
                    as_raw=True,
                    rebuild=False,
                    build_index=False,
                )
                if bgzip:
                    self._faidx.read_gzi()
        except (OSError, ValueError, IndexError, struct.error, zlib.error, AssertionError) as error:
            raise GenomeError(
                f"genome file {str(self.path)!r}: index {stem + '.fai'!r} cannot be used "
                f"({error}); delete it"
            ) from error
        self.chromsizes: dict[str, int] = {k: int(v.rlen) for k, v in self._faidx.index.items()}
        self._regular: set[str] = set()  # chromosomes whose lines were looked at
        if not self.chromsizes:
            raise GenomeError(f"genome file {str(self.path)!r} holds no sequence")

    def _check_compression(self) -> bool:
        """True for bgzip, False for plain text; GenomeError for anything else."""
        with self.path.open("rb") as file:
            head = file.read(18)
        if head[:2] == b"\x1f\x8b":
            # A bgzip block is a gzip member with the extra field "BC" (SAM specification, section
            # 4.1).
            if len(head) < 18 or not head[3] & 4 or head[12:14] != b"BC":
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
        if head.lstrip()[:1] not in (b">", b";"):
            raise GenomeError(
                f"genome file {str(self.path)!r} is not FASTA: it begins with {head[:12]!r}, not "
                f"with '>'"
            )
        return False

    def _index_stem(self, bgzip: bool, trust_index: bool) -> str:
        """Path of a usable index without its .fai / .gzi, building one where there is none."""
        endings = (".fai", ".gzi") if bgzip else (".fai",)
        stat = self.path.stat()
        key = hashlib.sha256(
            f"{self.path.resolve()}\n{stat.st_size}\n{stat.st_mtime_ns}".encode()
        ).hexdigest()[:24]
        folder = (
            Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orca-cool" / "fai"
        )
        places = [
            str(self.path),
            str(folder / key),
            str(Path(tempfile.gettempdir()) / f"orca-cool-fai-{os.getuid()}" / key),
        ]
        for place in places:
            found = [Path(place + ending) for ending in endings]
            if all(f.is_file() and f.stat().st_size for f in found):
                # A cached index carries the file's size and time in its name, so only those beside
                # the file can be stale.
                if (
                    place != places[0]
                    or trust_index
                    or all(f.stat().st_mtime >= stat.st_mtime for f in found)
                ):
                    return place
        problem: OSError | None = None
        for place in places:
            try:
                Path(place).parent.mkdir(parents=True, exist_ok=True)
                self._build_index(place, endings)
                return place
            except OSError as error:
                problem = error
        raise GenomeError(
            f"genome file {str(self.path)!r}: its index can be written nowhere ({problem})"
        )

    def _build_index(self, place: str, endings: tuple[str, ...]) -> None:
        """Build the index at ``place`` and move it there whole, so that other processes never see
        half of one.

        Raises
        ------
        OSError
            If ``place`` cannot be written.
        GenomeError
            If the file is to blame.
        """
        from pyfaidx import Faidx, FastaIndexingError

        with tempfile.TemporaryDirectory(prefix=".fai-", dir=Path(place).parent) as folder:
            temporary = str(Path(folder) / "index")
            try:
                Faidx(
                    str(self.path),
                    indexname=temporary + ".fai",
                    gzi_indexname=temporary + ".gzi",
                    as_raw=True,
                ).close()
            except FastaIndexingError as error:
                raise GenomeError(
                    f"genome file {str(self.path)!r} is not regular FASTA: {error}"
                ) from error
            except (
                ValueError,
                RuntimeError,
                struct.error,
                zlib.error,
                EOFError,
                IndexError,
            ) as error:
                if "Duplicate key" in str(error):
                    twice = str(error).split('"')[1]
                    raise GenomeError(
                        f"genome file {str(self.path)!r} holds the sequence name {twice!r} "
                        f"twice; rename one"
                    ) from error
                raise GenomeError(
                    f"genome file {str(self.path)!r} is damaged or truncated: {error}"
                ) from error
            except OSError as error:
                if (
                    error.errno is None
                ):  # pyfaidx and Bio.bgzf raise a bare OSError for damaged bgzip files
                    raise GenomeError(
                        f"genome file {str(self.path)!r} is damaged or truncated: {error}"
                    ) from error
                raise
            for ending in reversed(endings):  # .fai last: it is the one that others look for first
                replace_file(temporary + ending, place + ending)

    def _read(self, chrom: str, start: int, end: int) -> np.ndarray:
        if chrom not in self._regular:
            # pyfaidx lets a longer last line pass, and would then find bases of that line at wrong
            # places
            last = self.chromsizes[chrom]
            first = max(0, last - 3 * int(self._faidx.index[chrom].lenc))
            spans = [(first, last), (first, last - 1), (last - 1, last)]
            texts = [self._text(chrom, a, b) for a, b in spans if a < b]
            if (
                any(
                    len(text) != b - a
                    for text, (a, b) in zip(texts, [s for s in spans if s[0] < s[1]])
                )
                or ">" in texts[-1]
            ):
                raise GenomeError(
                    f"genome file {str(self.path)!r} is not regular FASTA: the last line of "
                    f"{chrom!r} is longer than the others; or "
                    "the file is truncated or its index is of another file (delete the .fai and "
                    ".gzi beside it)"
                )
            self._regular.add(chrom)
        return BASE_CODES[
            np.frombuffer(
                self._text(chrom, start, end).encode("latin-1", "replace"), dtype=np.uint8
            )
        ]

    def _text(self, chrom: str, start: int, end: int) -> str:
        try:
            return str(self._faidx.fetch(chrom, start + 1, end))
        except (
            OSError,
            ValueError,
            RuntimeError,
            struct.error,
            zlib.error,
        ) as error:  # Bio.bgzf: RuntimeError
            raise GenomeError(
                f"genome file {str(self.path)!r} is damaged at {chrom}:{start:,}-{end:,}: {error}"
            ) from error
