"""Regions and positions of a genome's chromosomes, written as text or in BED files; all become
0-based, end-exclusive intervals.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

from orca_cool.errors import RegionError
from orca_cool.genome.numerals import (
    are_two_chromosomes,
    in_other_numerals,
    mitochondrial,
    number_of,
)
from orca_cool.genome.textfile import Row, TextFile

#: What a BED line must be, for messages.
BED = "BED: chromosome, start, end with tabs between them (a header begins with #)"

_WHOLE_NUMBER = re.compile(r"\s*[+-]?\d{1,18}\s*")


def closest(name: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The known name that was probably meant, None if none is close.

    That is the same name with or without "chr", or in another case; the same number in Roman or
    Arabic numerals; MT for chrM; else the most similar one that is not plainly another chromosome.

    Parameters
    ----------
    cutoff : how similar it must be at least, from 0 to 1 (:func:`difflib.get_close_matches`).

    Examples
    --------
    >>> closest("chr2", ["chrI", "chrII", "chrIII"])
    'chrII'
    >>> closest("chrIII", ["chrI", "chrII"]) is None
    True
    """
    names = list(known)
    other = _other_style(name)
    if other in names:
        return other
    lower = {known_name.lower(): known_name for known_name in names}
    for text in (name.lower(), other.lower()):
        if text in lower:
            return lower[text]
    if numbered := in_other_numerals(name, names):
        # None of another number: such names look alike, and mean another chromosome
        return numbered.get(number_of(name))
    if (found := mitochondrial(name, names)) is not None:
        return found
    lower = {low: text for low, text in lower.items() if not are_two_chromosomes(name, text)}
    # names of such different lengths are never similar, and a long text takes long to compare
    low = name.lower()
    near = [n for n in lower if 2 * min(len(n), len(low)) >= cutoff * (len(n) + len(low))]
    similar = difflib.get_close_matches(low, near, n=1, cutoff=cutoff) if near else []
    return lower[similar[0]] if similar else None


def _other_style(chrom: str) -> str:
    """UCSC's name of a chromosome for Ensembl's, and the other way round: "chr1" and "1"."""
    return chrom[3:] if chrom.startswith("chr") else "chr" + chrom


def suggestion(chrom: str, known: Iterable[str]) -> str:
    """A hint at the chromosome that was probably meant, or the names there are."""
    names = list(known)
    found = closest(chrom, names)
    if found is not None:
        renamed = " (--chrom-names renames a whole genome)" * (found == _other_style(chrom))
        return f"did you mean {found!r}?{renamed}"
    return (
        "it has: "
        + ", ".join(names[:10])
        + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    )


def few(names: Iterable[str], most: int = 5) -> str:
    """The first names, for messages."""
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def other_names(there: Collection[str], genome: Collection[str]) -> str:
    """What is wrong with the chromosomes of a file, as text that follows its name; "" if one of
    them is the genome's, or there is none.

    A file may well have lines on chromosomes that a genome lacks, such as unplaced scaffolds; but
    where it has none on those that the genome has, its names are of another style.
    """
    first = next(iter(there), None)
    if first is None or not set(there).isdisjoint(genome):
        return ""
    return (
        f"are on other names than the genome's: {few(there)} there, {few(genome)} in the genome; "
        f"for {first!r} {suggestion(first, genome)}"
    )


def interval_problem(
    chrom: str,
    start: int,
    end: int,
    chromsizes: Mapping[str, int] | None = None,
    *,
    may_be_empty: bool = False,
    may_overhang: bool = False,
) -> str:
    """What is wrong with the interval ``[start, end)``, as text that follows the quoted interval;
    "" if nothing is.

    Parameters
    ----------
    chromsizes : {chromosome: bp}; None if they are not known.
    may_be_empty : an interval without bases is right.
    may_overhang : the end may lie beyond the chromosome's.
    """
    if chromsizes is not None and chrom not in chromsizes:
        return f": there is no chromosome {chrom!r}; {suggestion(chrom, chromsizes)}"
    if end < start:
        return f" is reversed: its end {end:,} lies before its start {start:,}"
    if end == start and not may_be_empty:
        return " is empty: its end must lie after its start"
    if chromsizes is None:
        return " begins before the chromosome's first base" if start < 0 else ""
    length = chromsizes[chrom]
    if start < 0 or (start >= length if may_overhang else end > length):
        return f" lies outside {chrom}, which is {length:,} bp long"
    return ""


@dataclass(frozen=True)
class Region:
    """``[start, end)`` of a chromosome in bp, 0-based.

    ``name`` is a label (the fourth column of a view); it plays no part in comparisons.
    """

    chrom: str
    start: int
    end: int
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start:,}-{self.end:,}"

    def __len__(self) -> int:
        return self.end - self.start


# "++" and "*+" never give back what they took: no text makes the search go back and forth
_NUMBER = r"\s*+([\d,]*+(?:\.\d++|(?<=\d)))\s*+([kKmMgG]?)[bB]?[pP]?\s*+"
_SPAN = re.compile(rf"{_NUMBER}-(?:{_NUMBER})?")


def _in_bp(digits: str, unit: str) -> int:
    # What is longer is no position, Decimal would round it, and it would take long.
    if len(digits) > 25:
        raise InvalidOperation
    # The grammar of bioframe, but exact: its float arithmetic reads 1.001M as 1,000,999.
    value = (
        Decimal(digits.replace(",", "")) * {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}[unit.upper()]
    )
    if value != int(value):
        raise InvalidOperation
    return int(value)


def parse_length(text: str) -> int:
    """Read "100,000", "100kb", "0.1M" or "1.5 Mb" as bp, exactly.

    Raises
    ------
    RegionError
        If it is no number, or not a whole number of bp.
    """
    match = re.fullmatch(_NUMBER, text)
    try:
        if not match:
            raise InvalidOperation
        return _in_bp(match[1], match[2])
    except InvalidOperation:
        raise RegionError(
            f"{text!r} is not a whole number of bp; write it as 100,000, 100k or 0.1M"
        ) from None


def parse_position(text: str, chromsizes: Mapping[str, int]) -> tuple[str, int]:
    """Read the position of a base: "chr9:110,404,000", "chrI:100k" or "chrI:0.1Mb".

    Names of chromosomes may hold colons: the last one is before the number.

    Returns
    -------
    The chromosome, and the 0-based position in bp, ``0 <= position < length``.

    Raises
    ------
    RegionError
        If it is not understood, names no chromosome, or lies beyond the chromosome's last base.
    """
    chrom, colon, digits = text.strip().rpartition(":")
    try:
        if not colon:
            raise RegionError
        position = parse_length(digits)
    except RegionError:
        raise RegionError(
            f"position {text!r} is not understood; write it as chr9:110,404,000"
        ) from None
    if problem := interval_problem(chrom, position, position + 1, chromsizes):
        raise RegionError(f"position {text!r}{problem}")
    return chrom, position


def _checked(
    chrom: str, start: int, end: int, chromsizes: Mapping[str, int], quoted: str
) -> Region:
    if problem := interval_problem(chrom, start, end, chromsizes):
        raise RegionError(f"region {quoted}{problem}")
    return Region(chrom, start, end)


def parse_region(text: str, chromsizes: Mapping[str, int]) -> Region:
    """Read "chrII", "chrII:100,000-200,000", "chrII:100k-0.2M" or "chrII:100k-" (to the end).

    The grammar is bioframe.parse_region's; names may hold colons.

    Raises
    ------
    RegionError
        If it does not parse, names no chromosome, is reversed or empty, or leaves its chromosome.
    """
    stripped = text.strip()
    if stripped in chromsizes:
        return Region(stripped, 0, int(chromsizes[stripped]))
    chrom, colon, span = stripped.rpartition(":")
    if not colon:
        if not stripped:
            raise RegionError(f"region {text!r} is empty; write it as chrII:100,000-200,000")
        return _checked(stripped, 0, 1, chromsizes, repr(text))
    match = _SPAN.fullmatch(span)
    try:
        if not match:
            raise InvalidOperation
        start = _in_bp(match[1], match[2])
        if match[3] is None and chrom not in chromsizes:
            return _checked(chrom, 0, 1, chromsizes, repr(text))
        end = int(chromsizes[chrom]) if match[3] is None else _in_bp(match[3], match[4])
    except InvalidOperation:
        raise RegionError(
            f"region {text!r} is not understood; write it as chrII:100,000-200,000"
        ) from None
    return _checked(chrom, start, end, chromsizes, repr(text))


def interval_of(
    row: Row,
    chromsizes: Mapping[str, int] | None = None,
    *,
    columns: tuple[int, int, int] = (0, 1, 2),
    first: int = 0,
    form: str = BED,
    may_be_empty: bool = False,
    may_overhang: bool = False,
) -> Region:
    """The interval of a line of a table, checked: the one check of all formats.

    Parameters
    ----------
    chromsizes : {chromosome: bp}; None if they are not known.
    columns : indices, from 0, of chromosome, start and end.
    first : number of a chromosome's first base: 0 where ends are exclusive (BED, BEDPE), 1 where
        they are inclusive (GTF, GFF3).
    form : what the line must be, for messages.
    may_be_empty, may_overhang : as in :func:`interval_problem`.

    Raises
    ------
    OrcaCoolError
        The error of the row's file, if the line lacks a column or a number, or the interval is
        reversed, empty, negative, or outside its chromosome or on none; it quotes the line.
    """
    try:
        chrom, start, end = (row.fields[k] for k in columns)
        if not (_WHOLE_NUMBER.fullmatch(start) and _WHOLE_NUMBER.fullmatch(end)):
            raise ValueError
    except (IndexError, ValueError):
        raise row.error(f"is not {form}") from None
    region = Region(chrom.strip(), int(start) - first, int(end))
    problem = interval_problem(
        region.chrom,
        region.start,
        region.end,
        chromsizes,
        may_be_empty=may_be_empty,
        may_overhang=may_overhang,
    )
    if problem:
        raise row.error(problem)
    return region


def read_view(path: str | Path, chromsizes: Mapping[str, int]) -> list[Region]:
    """Read a view: BED3 or BED4 (chromosome, start, end, unique name), no two regions overlapping,
    as cooltools asks.

    Raises
    ------
    RegionError
        If the file cannot be read or holds no region, a region is not in the genome (the message
        quotes the line), two overlap or have the same name.
    """
    file = TextFile(path, "view", RegionError)
    regions = []
    for row in file.rows(trailing_comments=True):
        region = interval_of(row, chromsizes)
        name = row.fields[3].strip() if len(row.fields) > 3 else ""
        regions.append(
            Region(
                region.chrom,
                region.start,
                region.end,
                name or f"{region.chrom}:{region.start}-{region.end}",
            )
        )
    if not regions:
        raise file.error("holds no region")
    names = Counter(region.name for region in regions)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise file.error(f"has two regions that are called {name!r}")
    if pair := _overlapping(regions, chromsizes):
        raise file.error(
            f"has regions that overlap, {pair[0]} and {pair[1]}; merge them, or write one file each"
        )
    return regions


def n_bins(length: int, resolution: int) -> int:
    """Bins of a chromosome, the last one possibly partial, as cooler counts them."""
    return -(-length // resolution)


def merge_regions(regions: Sequence[Region], chromsizes: Mapping[str, int]) -> list[Region]:
    """Regions in the genome's order; RegionError if two overlap."""
    if pair := _overlapping(regions, chromsizes):
        raise RegionError(
            f"regions {pair[0]} and {pair[1]} overlap; give one region that holds both"
        )
    return _in_order(regions, chromsizes)


def _in_order(regions: Sequence[Region], chromsizes: Mapping[str, int]) -> list[Region]:
    order = {c: i for i, c in enumerate(chromsizes)}
    return sorted(regions, key=lambda r: (order[r.chrom], r.start))


def _overlapping(
    regions: Sequence[Region], chromsizes: Mapping[str, int]
) -> tuple[Region, Region] | None:
    """The first two regions that share a base."""
    ordered = _in_order(regions, chromsizes)
    return next(
        ((a, b) for a, b in zip(ordered, ordered[1:]) if a.chrom == b.chrom and b.start < a.end),
        None,
    )
