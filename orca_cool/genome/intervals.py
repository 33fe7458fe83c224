"""Intervals of BED and bigBed files, and the labels they give to bins: 1 where an interval overlaps
a bin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.errors import TrainingError, missing_package
from orca_cool.genome.regions import few, interval_of, other_names, suggestion
from orca_cool.genome.textfile import Row, TextFile

if TYPE_CHECKING:
    import pandas as pd

#: Columns of a table of intervals.
COLUMNS = ["chrom", "start", "end", "kind", "strand"]

#: First four bytes, in either byte order (UCSC's description of the formats).
_BIGBED = (b"\xeb\xf2\x89\x87", b"\x87\x89\xf2\xeb")
_BIGWIG = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")

#: Extensions of bedGraph (MACS writes .bdg).
_BEDGRAPH = (".bedgraph", ".bdg", ".bg")

_WHOLE = re.compile(r"\s*\d{1,18}\s*")

#: A number with a decimal point or an exponent: a value, where BED has a name.
_DECIMAL = re.compile(r"\s*[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?\s*")

#: chrom, start, end, kind, strand
_Values = tuple[str, int, int, str, str]


@dataclass(frozen=True)
class Interval:
    """``[start, end)`` of a chromosome in bp, 0-based; ``kind`` is the factor (peaks) or the
    feature's type.
    """

    chrom: str
    start: int
    end: int
    kind: str
    strand: str = "."


def read_intervals(
    path: str | Path,
    *,
    chroms: Iterable[str] | None = None,
    column: int | None = None,
    kind: str = "",
) -> pd.DataFrame:
    """Read BED3 or more (narrowPeak and broadPeak too), plain or gzip, or bigBed; which of them is
    told by the content.

    BEDPE and bedGraph, which begin as BED does, are refused. The file is read as all tables are
    (:mod:`orca_cool.genome.textfile`). Columns are separated by tabs, or by spaces where a line has
    no tab.

    Parameters
    ----------
    chroms : the genome's chromosomes; intervals elsewhere are left out. None keeps all.
    column : index, from 0, of the column that names the kind; None if all intervals are of
        ``kind``.

    Returns
    -------
    DataFrame with columns chrom, start, end (int64), kind, strand ("+", "-" or "."), in the file's
    order.

    Raises
    ------
    TrainingError
        If the file is missing, damaged or not BED (BEDPE and bedGraph are not), has no such column,
        or none of its chromosomes is one of ``chroms``.
    """
    import pandas as pd

    wanted = None if chroms is None else dict.fromkeys(chroms)
    rows = list(_rows(path, column, kind))
    if wanted is not None and (problem := other_names(dict.fromkeys(r[0] for r in rows), wanted)):
        raise TrainingError(f"intervals {str(path)!r} {problem}")
    table = pd.DataFrame(
        [row for row in rows if wanted is None or row[0] in wanted], columns=COLUMNS
    )
    return table.astype({"start": np.int64, "end": np.int64})


def read_bed(
    path: str | Path, column: int | None, kind: str, chroms: Iterable[str]
) -> list[Interval]:
    """Intervals on ``chroms`` of any file that :func:`read_intervals` reads.

    Parameters
    ----------
    path, column, kind : as in :func:`read_intervals`.
    chroms : some of the genome's chromosomes. That there is no interval on them is no error, since
        the file may have all of its intervals on others.

    Raises
    ------
    TrainingError
        If the file is missing, damaged or not BED, or has no such column.
    """
    wanted = set(chroms)
    return [Interval(*row) for row in _rows(path, column, kind) if row[0] in wanted]


def require_bed(row: Row) -> None:
    """Raise the error of the row's file if a line is BEDPE or bedGraph.

    Both begin as BED does; the one holds pairs of intervals, the other a signal.
    """
    fields, file = row.fields, row.file
    pairs = len(fields) >= 6 and all(_WHOLE.fullmatch(fields[k]) for k in (1, 2, 4, 5))
    strands = len(fields) >= 10 and {fields[8], fields[9]} <= {"+", "-", "."}
    if pairs and (file.extension == ".bedpe" or fields[3] == fields[0] or strands):
        raise row.error("is BEDPE, a pair of intervals; give BED, an interval a line")
    signal = file.extension in _BEDGRAPH or re.search(r"\btype=['\"]?bedGraph\b", file.track, re.I)
    if len(fields) == 4 and (signal or _DECIMAL.fullmatch(fields[3])):
        raise row.error(
            "is bedGraph, which holds a signal; give its peaks, as BED (its first three columns "
            "alone are BED, too)"
        )


def _rows(path: str | Path, column: int | None, kind: str) -> Iterator[_Values]:
    """Every interval of the file, checked."""
    file = TextFile(path, "intervals", TrainingError)
    magic = file.head[:4]
    if magic in _BIGWIG:
        raise file.error(
            "are a bigWig, which holds a signal; give its peaks, as BED, narrowPeak or bigBed"
        )
    for row in _bigbed_rows(file, magic) if magic in _BIGBED else file.rows():
        if row.number is not None:  # bigBed is no text
            require_bed(row)
        region, fields = interval_of(row), row.fields
        if column is not None and not 0 <= column < len(fields):
            raise row.error(
                f"has no column {column}; it has {len(fields)}, and the chromosome is column 0"
            )
        strand = fields[5] if len(fields) > 5 and fields[5] in ("+", "-") else "."
        label = kind if column is None else fields[column]
        yield region.chrom, region.start, region.end, label, strand


def _bigbed_rows(file: TextFile, magic: bytes) -> Iterator[Row]:
    """Intervals of a bigBed file, by chromosome, as lines without numbers."""
    try:
        import bbi
    except ImportError as error:
        raise file.error(missing_package("are bigBed, which", error, "train")) from error
    # A bigBed ends as it begins; UCSC's library ends the process where one is cut short.
    with file.path.open("rb") as binary:
        size = binary.seek(0, 2)
        binary.seek(max(size - 4, 64))  # behind the header
        if binary.read() != magic:
            raise file.error("are a bigBed that is cut short or damaged; fetch it again")
    try:
        with bbi.open(str(file.path)) as bigbed:
            for chrom in bigbed.chromsizes:
                for found in bigbed.fetch_intervals(chrom, 0, -1, iterator=True):
                    fields = [str(field) for field in found]
                    yield Row(file, None, "\t".join(fields), fields)
    except (OSError, UnicodeDecodeError) as error:
        raise file.error(f"cannot be read: {error}") from error


class _Sorted:
    """Intervals of one chromosome, sorted by kind, then by position and merged where
    they overlap or touch.

    Starts and ends then both increase, so two binary searches find all intervals that overlap a
    window, however long they are. Positions are stored as ``kind * (longest + 1) + position``, so
    that one search does for all kinds.
    """

    def __init__(self, kind: np.ndarray, start: np.ndarray, end: np.ndarray, kinds: int):
        self.size = int(end.max(initial=0))
        self.base = np.arange(kinds, dtype=np.int64) * (self.size + 1)
        order = np.lexsort((start, kind))
        first = (self.base[kind] + start)[order]
        reach = np.maximum.accumulate((self.base[kind] + end)[order])
        new = np.flatnonzero(np.r_[True, first[1:] > reach[:-1]][: len(first)])
        self.starts, self.ends = first[new], reach[np.r_[new[1:] - 1, len(reach) - 1][: len(new)]]

    def bins(
        self, start: int, end: int, bin_size: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(kind, first bin, last bin) of each interval that overlaps ``[start, end)``; bins count
        from ``start``.
        """
        a, b = (min(max(x, 0), self.size) for x in (start, end))
        found = np.searchsorted(self.ends, self.base + a, side="right")
        count = np.searchsorted(self.starts, self.base + b, side="left") - found
        kind = np.repeat(np.arange(len(self.base)), count)
        at = np.arange(len(kind)) + np.repeat(found - np.cumsum(count) + count, count)
        shift = -start - self.base[kind]
        return (
            kind,
            np.maximum(self.starts[at] + shift, 0) // bin_size,
            (np.minimum(self.ends[at] + shift, end - start) - 1) // bin_size,
        )

    def labels(self, start: int, end: int, bin_size: int) -> np.ndarray:
        """See :func:`labels`."""
        kind, first, last = self.bins(start, end, bin_size)
        change = np.zeros((len(self.base), -(-(end - start) // bin_size) + 1), dtype=np.int32)
        np.add.at(change, (kind, first), 1)
        np.add.at(change, (kind, last + 1), -1)
        return (np.cumsum(change[:, :-1], axis=1) > 0).astype(np.float32)


def _columns(
    intervals: pd.DataFrame | Iterable[Interval], kinds: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Arrays of chromosome, index of the kind, start and end of the intervals of ``kinds``."""
    import pandas as pd

    if len(set(kinds)) != len(kinds):
        raise TrainingError(f"kinds of intervals must differ from each other: {', '.join(kinds)}")
    table = (
        intervals
        if isinstance(intervals, pd.DataFrame)
        else pd.DataFrame(intervals, columns=COLUMNS)
    )
    kind = pd.Index(list(kinds), dtype=object).get_indexer(table["kind"])
    known = kind >= 0
    start, end = (table[c].to_numpy(dtype=np.int64)[known] for c in ("start", "end"))
    if len(wrong := np.flatnonzero((start < 0) | (end <= start))):
        i = wrong[0]
        raise TrainingError(
            f"the interval from {start[i]} to {end[i]} is empty, reversed or negative; an end "
            f"must lie after its start"
        )
    return table["chrom"].to_numpy(dtype=object)[known], kind[known], start, end


def labels(
    intervals: pd.DataFrame | Iterable[Interval],
    kinds: Sequence[str],
    start: int,
    end: int,
    bin_size: int,
) -> np.ndarray:
    """Label the bins of ``[start, end)`` that overlap an interval by one base or more.

    For many windows :class:`PeakLabels` is faster.

    Parameters
    ----------
    intervals : of one chromosome, as :func:`read_intervals` or :func:`read_bed` give them; those of
        other kinds are left out.
    start, end : in bp, of any phase. Bins of ``bin_size`` bp count from ``start``; the last is its
        part before ``end``.

    Returns
    -------
    np.ndarray of float32, (kinds, ceil((end - start) / bin_size)): 1 or 0.

    Raises
    ------
    TrainingError
        If the intervals are of several chromosomes, or ``kinds`` names one twice.
    """
    chrom, kind, first, last = _columns(intervals, kinds)
    if len(names := set(chrom)) > 1:
        raise TrainingError(
            f"labels of one window need the intervals of one chromosome, not of "
            f"{few(sorted(names))}"
        )
    return _Sorted(kind, first, last, len(kinds)).labels(start, end, bin_size)


class PeakLabels:
    """Intervals of a genome, prepared to label the bins of thousands of windows.

    Parameters
    ----------
    intervals : as :func:`read_intervals` or :func:`read_bed` give them; those of other kinds or on
        other chromosomes are left out. An end beyond its chromosome's is taken to be there.
    kinds : rows of the labels.
    chromsizes : {chromosome: length in bp}.

    Raises
    ------
    TrainingError
        If an interval begins beyond its chromosome's end, or ``kinds`` names one twice.
    """

    def __init__(
        self,
        intervals: pd.DataFrame | Iterable[Interval],
        kinds: Sequence[str],
        chromsizes: Mapping[str, int],
    ):
        import pandas as pd

        self.kinds, self.chromsizes = tuple(kinds), dict(chromsizes)
        chrom, kind, start, end = _columns(intervals, self.kinds)
        self._by_chrom: dict[str, _Sorted] = {}
        number = pd.Index(list(self.chromsizes), dtype=object).get_indexer(chrom)
        for k, (name, length) in enumerate(self.chromsizes.items()):
            here = number == k
            if (start[here] >= length).any():
                where = int(start[here].max())
                raise TrainingError(
                    f"an interval begins at {name}:{where:,}, which is {length:,} bp long: are "
                    f"the intervals of another assembly?"
                )
            self._by_chrom[name] = _Sorted(
                kind[here], start[here], np.minimum(end[here], length), len(self.kinds)
            )

    def window(self, chrom: str, start: int, end: int, bin_size: int) -> np.ndarray:
        """Labels of the bins of ``[start, end)``, float32, shape (kinds, bins): see :func:`labels`.

        The window may overhang the chromosome; bins outside it are 0.

        Raises
        ------
        TrainingError
            If there is no such chromosome.
        """
        if chrom not in self._by_chrom:
            raise TrainingError(
                f"there are no intervals for chromosome {chrom!r}; "
                f"{suggestion(chrom, self.chromsizes)}"
            )
        return self._by_chrom[chrom].labels(start, end, bin_size)

    def frequency(self, bin_size: int) -> np.ndarray:
        """The share of bins, over all chromosomes, that overlap an interval of each kind.

        Bins count from each chromosome's start; the last one is partial. They are counted without
        being laid out in memory.

        Returns
        -------
        np.ndarray of float64, shape (kinds,).
        """
        marked = np.zeros(len(self.kinds))
        for chrom, length in self.chromsizes.items():
            kind, first, last = self._by_chrom[chrom].bins(0, length, bin_size)
            # two intervals of a kind may end and begin in the same bin
            again = (kind[1:] == kind[:-1]) & (first[1:] == last[:-1])
            marked += np.bincount(kind, last - first + 1, len(self.kinds))
            marked -= np.bincount(kind[1:], again, len(self.kinds))
        return marked / sum(-(-length // bin_size) for length in self.chromsizes.values())
