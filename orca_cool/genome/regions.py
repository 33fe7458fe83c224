"""Regions and views: UCSC strings and BED files to 0-based, end-exclusive intervals of a genome's
chromosomes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pandas as pd

from orca_cool.errors import RegionError

pass


def suggestion(chrom: str, known: Mapping[str, Any]) -> str:
    """A hint at the name that was probably meant, or the names there are."""
    other = chrom[3:] if chrom.startswith("chr") else "chr" + chrom
    if other in known:
        return f"did you mean {other!r}? (--chrom-names renames a whole genome)"
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(chrom.lower(), list(lower), n=1, cutoff=0.5)
    if close:
        return f"did you mean {lower[close[0]]!r}?"
    names = list(known)
    return (
        "it has: "
        + ", ".join(names[:10])
        + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    )


@dataclass(frozen=True)
class Region:
    """``[start, end)`` of a chromosome in bp, 0-based. ``name`` is a label (a view's fourth column)
    and not compared.
    """

    chrom: str
    start: int
    end: int
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start:,}-{self.end:,}"

    def __len__(self) -> int:
        return self.end - self.start


_NUMBER = r"\s*([\d,]*\.?\d+)\s*([kKmMgG]?)[bB]?[pP]?\s*"
_SPAN = re.compile(rf"{_NUMBER}-(?:{_NUMBER})?")


def _position(digits: str, unit: str) -> int:
    # bioframe's grammar, but exact: its float arithmetic reads 1.001M as 1,000,999.
    value = (
        Decimal(digits.replace(",", "")) * {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}[unit.upper()]
    )
    if (
        value != int(value) or len(digits) > 25
    ):  # longer ones are no position, and Decimal rounds them
        raise InvalidOperation
    return int(value)


def parse_number(text: str) -> int:
    """Read "1,000", "10k" or "1.5Mb" as bp, exactly.

    Raises
    ------
    RegionError
        If it is no number, or not a whole one.
    """
    match = re.fullmatch(_NUMBER, text)
    try:
        if not match:
            raise InvalidOperation
        return _position(match[1], match[2])
    except InvalidOperation:
        raise RegionError(
            f"{text!r} is not a whole number of bp; write it as 100,000, 100k or 0.1M"
        ) from None


def _checked(
    chrom: str, start: int, end: int, chromsizes: Mapping[str, int], label: str = ""
) -> Region:
    if chrom not in chromsizes:
        raise RegionError(
            f"region {label or repr(chrom)}: there is no chromosome {chrom!r}; "
            f"{suggestion(chrom, chromsizes)}"
        )
    length = chromsizes[chrom]
    text = label or f"'{chrom}:{start:,}-{end:,}'"
    if end < start:
        raise RegionError(
            f"region {text} is reversed: its end {end:,} lies before its start {start:,}"
        )
    if end == start:
        raise RegionError(f"region {text} is empty")
    if start < 0 or end > length:
        raise RegionError(f"region {text} lies outside {chrom}, which is {length:,} bp long")
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
        start = _position(match[1], match[2])
        if match[3] is None and chrom not in chromsizes:
            return _checked(chrom, 0, 1, chromsizes, repr(text))
        end = int(chromsizes[chrom]) if match[3] is None else _position(match[3], match[4])
    except InvalidOperation:
        raise RegionError(
            f"region {text!r} is not understood; write it as chrII:100,000-200,000"
        ) from None
    return _checked(chrom, start, end, chromsizes, repr(text))


def parse_position(text: str, chromsizes: Mapping[str, int]) -> tuple[str, int]:
    """Temporary."""
    chrom, colon, digits = text.rpartition(":")
    if not colon or "-" in digits:
        raise RegionError(f"position {text!r} is not understood; write it as chr9:110,404,000")
    at = parse_number(digits)
    parse_region(f"{chrom}:{at}-{at + 1}", chromsizes)
    return chrom, at


def read_view(path: str | Path, chromsizes: Mapping[str, int]) -> list[Region]:
    """Read a view: BED3 or BED4 (chromosome, start, end, unique name), no two regions overlapping,
    as cooltools asks.

    Raises
    ------
    RegionError
        If the file cannot be read, or a region is not in the genome; the message tells the line's
        content.
    """
    import bioframe

    try:
        table = pd.read_csv(
            path,
            sep="\t",
            header=None,
            comment="#",
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=True,
        )
    except pd.errors.EmptyDataError:
        raise RegionError(f"view {str(path)!r} holds no region") from None
    except (OSError, ValueError) as error:
        raise RegionError(f"view {str(path)!r} cannot be read: {error}") from error
    if table.shape[1] < 3:
        raise RegionError(
            f"view {str(path)!r} is not BED: it has {table.shape[1]} tab-separated columns, 3 or "
            f"4 are needed"
        )
    regions = []
    for row in table.itertuples(index=False):
        label = repr("\t".join(row[:3]))
        try:
            start, end = int(row[1]), int(row[2])
        except ValueError:
            raise RegionError(f"view {str(path)!r}: {label} is not a BED line") from None
        plain = _checked(row[0], start, end, chromsizes, f"{label} of view {str(path)!r}")
        name = row[3].strip() if len(row) > 3 and row[3].strip() else f"{plain.chrom}:{start}-{end}"
        regions.append(Region(plain.chrom, start, end, name))
    frame = pd.DataFrame(
        [(r.chrom, r.start, r.end, r.name) for r in regions],
        columns=["chrom", "start", "end", "name"],
    )
    if frame["name"].duplicated().any():
        twice = frame.loc[frame["name"].duplicated(), "name"].iloc[0]
        raise RegionError(f"view {str(path)!r}: two regions are called {twice!r}")
    if bioframe.is_overlapping(frame):
        raise RegionError(
            f"view {str(path)!r}: regions overlap; merge them, or write one file each"
        )
    return regions


def n_bins(length: int, resolution: int) -> int:
    """Bins of a chromosome, the last one possibly partial, as cooler counts them."""
    return -(-length // resolution)


def merge_regions(regions: Sequence[Region], chromsizes: dict[str, int]) -> list[Region]:
    """Regions in the genome's order; RegionError if two overlap."""
    order = {c: i for i, c in enumerate(chromsizes)}
    ordered = sorted(regions, key=lambda r: (order[r.chrom], r.start))
    for a, b in zip(ordered, ordered[1:]):
        if a.chrom == b.chrom and b.start < a.end:
            raise RegionError(f"regions {a} and {b} overlap; give one region that holds both")
    return ordered
