"""Genomes: where sequence comes from, and the names and regions that point into it.

A :class:`SequenceSource` is anything with chromosome lengths and a ``fetch``: a FASTA file (plain
or bgzip), a .2bit file, a genome that ships with the package, or an edited genome. Coordinates are
0-based, end-exclusive, in bp.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import tempfile
import warnings
import zlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from orca_cool.errors import GenomeError, RegionError
from orca_cool.regions import suggestion

if TYPE_CHECKING:
    import torch


#: Code of every position that is not A, C, G or T, and of every position outside its chromosome.
GAP = 4

#: Shipped genomes: name -> file below ``orca_cool/data``.
SHIPPED = {"example": "genomes/example/example.fa.gz"}

#: Longest piece read from a file at a time, in bp: bounds memory, and bgzip's reader is quadratic
#: in the piece.
PIECE = 1 << 22

_CODES = np.full(256, GAP, dtype=np.uint8)
for _code, _letters in enumerate(("Aa", "Cc", "Gg", "TtUu")):
    for _letter in _letters:
        _CODES[ord(_letter)] = _code

_COMPLEMENT = np.array([3, 2, 1, 0, GAP], dtype=np.uint8)


@runtime_checkable
class SequenceSource(Protocol):
    """What the rest of the package asks of a genome.

    Attributes
    ----------
    name : short name, for messages and provenance.
    chromsizes : {chromosome: length in bp}, in the file's order.
    """

    name: str
    chromsizes: dict[str, int]

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Codes of ``[start, end)``.

        Returns
        -------
        np.ndarray of uint8, shape (end - start,): 0 A, 1 C, 2 G, 3 T, 4 anything else. Positions
        outside ``[0, length)`` are 4, so that windows may overhang a chromosome's ends.

        Raises
        ------
        GenomeError
            If there is no such chromosome; the message suggests the closest name.
        """
        ...


class _Source:
    """Clipping, padding and piecewise reading, shared by the file sources."""

    name: str
    chromsizes: dict[str, int]

    def _read(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Codes of a piece that lies in the chromosome and is at most PIECE long."""
        raise NotImplementedError

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
            piece = self._read(chrom, a, b)
            if len(piece) != b - a:
                raise GenomeError(
                    f"genome {self.name!r}: {chrom}:{a:,}-{b:,} gave {len(piece):,} of {b - a:,} "
                    f"bp; the file is truncated or its "
                    "index is of another file (delete the .fai and .gzi beside it)"
                )
            codes[a - start : b - start] = piece
        return codes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self.chromsizes)} sequences)"


def length_of(source: SequenceSource, chrom: str) -> int:
    """Length of a chromosome in bp; GenomeError with a suggestion if there is none of that name."""
    try:
        return source.chromsizes[chrom]
    except KeyError:
        raise GenomeError(
            f"genome {source.name!r} has no chromosome {chrom!r}; "
            f"{suggestion(chrom, source.chromsizes)}"
        ) from None


def _readable(path: str | Path) -> Path:
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


def _stem(path: Path) -> str:
    return (
        re.sub(r"\.(fa|fasta|fna|fas|2bit)(\.b?gz)?$|\.b?gz$", "", path.name, flags=re.IGNORECASE)
        or path.name
    )


class FastaSource(_Source):
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
    GenomeError If the file is missing, empty, damaged, not FASTA, gzip but not bgzip, or holds a
        name twice.
    """

    def __init__(self, path: str | Path, name: str | None = None, *, trust_index: bool = False):
        from pyfaidx import Faidx

        self.path = _readable(path)
        self.name = name or _stem(self.path)
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
                os.replace(temporary + ending, place + ending)

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
        return _CODES[
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


# Four bases a byte, the first in the highest bits; T 0, C 1, A 2, G 3 (UCSC's description of the
# format).
_TWOBIT = np.array(
    [[(3, 1, 0, 2)[(byte >> shift) & 3] for shift in (6, 4, 2, 0)] for byte in range(256)],
    dtype=np.uint8,
)


class TwoBitSource(_Source):
    """A UCSC .2bit file, mapped into memory and decoded where it is asked for.

    Soft masking is ignored (lower case is upper case); N blocks become code 4. Both byte orders,
    and version 1 (64-bit offsets), are read.

    Raises
    ------
    GenomeError
        If the file is missing, empty, truncated, not .2bit, or holds a name twice.
    """

    def __init__(self, path: str | Path, name: str | None = None):
        self.path = _readable(path)
        self.name = name or _stem(self.path)
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
        place, width = 16, 8 if version else 4
        for _ in range(count):
            letters = int(self._bytes(place, 1)[0])
            chrom = self._bytes(place + 1, letters).tobytes().decode("latin-1")
            offset = int(self._bytes(place + 1 + letters, width).view(f"{self._order}u{width}")[0])
            place += 1 + letters + width
            if chrom in self._records:
                raise GenomeError(
                    f"genome file {str(self.path)!r} holds the sequence name {chrom!r} twice; "
                    f"rename one"
                )
            self._add(chrom, offset)
        if not self.chromsizes:
            raise GenomeError(f"genome file {str(self.path)!r} holds no sequence")

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
        order = np.argsort(starts, kind="stable")
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


class RenamedSource:
    """A source under other chromosome names, asked for explicitly.

    Parameters
    ----------
    source : the source.
    names : {name in the source: name wanted}; sequences that it does not list keep theirs.

    Raises
    ------
    GenomeError
        If ``names`` holds a chromosome that the source lacks, or two sequences would get one name.
    """

    def __init__(self, source: SequenceSource, names: Mapping[str, str]):
        self.source = source
        self.name = source.name
        for old in names:
            length_of(source, old)
        self._old: dict[str, str] = {}
        for old in source.chromsizes:
            new = names.get(old, old)
            if new in self._old:
                raise GenomeError(
                    f"genome {source.name!r}: {self._old[new]!r} and {old!r} would both be "
                    f"called {new!r}"
                )
            self._old[new] = old
        self.chromsizes: dict[str, int] = {
            new: source.chromsizes[old] for new, old in self._old.items()
        }

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """See :meth:`SequenceSource.fetch`."""
        length_of(self, chrom)
        return self.source.fetch(self._old[chrom], start, end)

    def __repr__(self) -> str:
        return f"RenamedSource({self.source!r})"


def _renaming(source: SequenceSource, chrom_names: str) -> dict[str, str]:
    if chrom_names == "add-chr":
        names = {old: "chr" + old for old in source.chromsizes if not old.startswith("chr")}
    elif chrom_names == "strip-chr":
        names = {
            old: old[3:] for old in source.chromsizes if old.startswith("chr") and len(old) > 3
        }
    else:
        try:
            lines = Path(chrom_names).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise GenomeError(
                f"chromosome names {chrom_names!r}: not 'add-chr', 'strip-chr' or a readable "
                f"two-column TSV (genome's name, wanted name)"
            ) from error
        names = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            columns = line.split("\t")
            if len(columns) != 2 or not all(c.strip() for c in columns):
                raise GenomeError(
                    f"{chrom_names!r} line {number}: {line!r} is not two names with a tab "
                    f"between them"
                )
            names[columns[0].strip()] = columns[1].strip()
    if not names:
        raise GenomeError(
            f"chromosome names {chrom_names!r} would rename nothing in genome {source.name!r}"
        )
    return names


def open_genome(path_or_name: str | Path, chrom_names: str | None = None) -> SequenceSource:
    """Open a FASTA (plain or bgzip) or .2bit file, or a genome that ships with the package.

    Parameters
    ----------
    path_or_name : a path, or a name of :data:`SHIPPED` ("example"). A name wins over a file of the
        same name (write "./example" then).
    chrom_names : None, "add-chr", "strip-chr", or the path of a two-column TSV (genome's name,
        wanted name).

    Raises
    ------
    GenomeError
        If it is neither, or cannot be read; the message lists the shipped genomes.
    """
    text = str(path_or_name)
    source: SequenceSource
    if isinstance(path_or_name, str) and text in SHIPPED:
        path = Path(str(resources.files("orca_cool") / "data" / SHIPPED[text]))
        source = FastaSource(path, name=text, trust_index=True)
    elif not Path(text).exists():
        raise GenomeError(
            f"genome {text!r} is neither a file nor a shipped genome ({', '.join(SHIPPED)})"
        )
    else:
        path = _readable(text)
        with path.open("rb") as file:
            twobit = file.read(4) in (b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x43")
        source = (
            TwoBitSource(path) if twobit or path.suffix.lower() == ".2bit" else FastaSource(path)
        )
    return RenamedSource(source, _renaming(source, chrom_names)) if chrom_names else source


def one_hot(
    codes: np.ndarray | torch.Tensor,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Codes to channels A, C, G, T.

    Parameters
    ----------
    codes : uint8, shape (L,), values 0 to 4. Only these bytes travel to the device; the tensor is
        built there.
    device, dtype : of the result; float32 by default.

    Returns
    -------
    torch.Tensor, shape (4, L): 1 in the base's channel; 0.25 everywhere where the code is 4.
    """
    import torch

    plain = (
        codes
        if isinstance(codes, torch.Tensor)
        else torch.from_numpy(np.ascontiguousarray(codes, dtype=np.uint8))
    )
    plain = plain.to(device)
    out = (plain[None, :] == torch.arange(4, dtype=torch.uint8, device=plain.device)[:, None]).to(
        dtype or torch.float32
    )
    return out.masked_fill_((plain == GAP)[None, :], 0.25)


def encode(text: str | bytes) -> np.ndarray:
    """Letters to codes: either case, U as T; IUPAC codes and everything else 4. Shape (len(text),),
    uint8.
    """
    data = text.encode("latin-1", "replace") if isinstance(text, str) else text
    return _CODES[np.frombuffer(data, dtype=np.uint8)]


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Codes of the other strand, read in its own direction; same shape (L,), uint8."""
    return np.ascontiguousarray(_COMPLEMENT[codes[::-1]])


def gap_fraction(
    source: SequenceSource, chrom: str, start: int, end: int, binsize: int
) -> np.ndarray:
    """Fraction of positions that are not A, C, G or T, by bin, read in bounded pieces.

    Returns
    -------
    np.ndarray of float64, shape (ceil((end - start) / binsize),): bins count from ``start``; the
    last is the fraction of its part before ``end``. Positions outside the chromosome are gaps.
    """
    bins = -(-(end - start) // binsize)
    out = np.zeros(bins)
    step = max(PIECE // binsize, 1)
    for first in range(0, bins, step):
        a, b = start + first * binsize, min(start + (first + step) * binsize, end)
        gaps = source.fetch(chrom, a, b) == GAP
        edges = np.arange(0, b - a, binsize)
        widths = np.diff(np.append(edges, b - a))
        out[first : first + len(edges)] = np.add.reduceat(gaps, edges, dtype=np.int64) / widths
    return out
