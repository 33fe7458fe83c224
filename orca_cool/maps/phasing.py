"""What decides the sign of E1: the share of G and C, or a track that the user gives, as the
``--phasing-track`` of cooltools does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from orca_cool.errors import RegionError
from orca_cool.genome.composition import gc_of_bins
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import interval_of, suggestion
from orca_cool.genome.source import SequenceSource
from orca_cool.genome.textfile import TextFile
from orca_cool.maps.bigwig import import_pybigwig

#: (genome, chromosome, start in bp, bin in bp, number of bins) -> (bins,) float64, NaN where not
#: known: E1 is positive where it is high. :func:`orca_cool.genome.composition.gc_of_bins` is one.
Phasing = Callable[[SequenceSource, str, int, int, int], np.ndarray]

#: First four bytes of a bigWig, in either byte order.
_BIGWIG = (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26")

_FORM = "bedGraph: chromosome, start, end, value"


def phasing_of(path: str | Path | None) -> Phasing:
    """What E1 is oriented by: a track, or the share of G and C where none is given.

    Raises
    ------
    RegionError, OutputError
        As :class:`PhasingTrack`.
    """
    return gc_of_bins if path is None else PhasingTrack(path)


class PhasingTrack:
    """A track in the coordinates of a genome's file, averaged over bins; of an edited genome, the
    values go with the sequence.

    Parameters
    ----------
    path : a bigWig (told by its content), or bedGraph, plain or compressed. A header whose second
        column is "start" is skipped, and so are values that are no finite numbers.

    Raises
    ------
    RegionError
        If the file cannot be read, is of another format, has two intervals that overlap, or no
        value.
    OutputError
        If it is a bigWig and pyBigWig is not installed.

    Examples
    --------
    >>> track = PhasingTrack("H3K27ac.bw")  # doctest: +SKIP
    >>> track(genome, "chrII", 0, 8000, 10)  # doctest: +SKIP
    """

    def __init__(self, path: str | Path):
        self.file = TextFile(path, "phasing track", RegionError)
        self._sums: Callable[[str, int, int], tuple[float, float]]
        if self.file.head[:4] in _BIGWIG:
            self._read_bigwig()
        else:
            self._read_bedgraph()

    def require(self, chrom: str) -> None:
        """RegionError if the track has not this chromosome."""
        if chrom not in self.chroms:
            raise self.file.error(
                f"has no chromosome {chrom!r}; {suggestion(chrom, sorted(self.chroms))}"
            )

    def __call__(
        self, source: SequenceSource, chrom: str, start: int, resolution: int, n: int
    ) -> np.ndarray:
        """The mean over each bin, weighted by bp.

        Parameters
        ----------
        source : genome. start, resolution : first base and size of the bins in bp; they may
            overhang the chromosome. n : how many there are.

        Returns
        -------
        (n,) float64, NaN in bins without a value.

        Raises
        ------
        RegionError
            If the track has not the chromosome, or there are not two values that differ, so that it
            gives no direction.
        """
        out = np.full(n, np.nan)
        for k in range(n):
            first = start + k * resolution
            parts = []
            for name, a, b in _places(source, chrom, first, first + resolution):
                self.require(name)
                parts.append(self._sums(name, a, b))
            total, covered = np.sum(parts, axis=0) if parts else (0.0, 0.0)
            if covered > 0:
                out[k] = total / covered
        known = out[np.isfinite(out)]
        where = f"{chrom}:{max(start, 0):,}-{start + n * resolution:,}"
        if not len(known):
            raise self.file.error(f"has no values in {where}, so that E1 has no sign there")
        if known.min() == known.max():
            raise self.file.error(
                f"has the value {known[0]:g} all over {where}, so that E1 has no sign there"
            )
        return out

    def _read_bigwig(self) -> None:
        try:
            track = import_pybigwig().open(str(self.file.path))
            self.chroms = frozenset(track.chroms())
        except RuntimeError as error:
            raise self.file.error(f"is a bigWig that cannot be read: {error}") from error

        def sums(chrom: str, start: int, end: int) -> tuple[float, float]:
            end = min(end, track.chroms(chrom))
            if start >= end:
                return 0.0, 0.0
            try:
                rows = track.intervals(chrom, start, end) or ()
            except RuntimeError as error:
                raise self.file.error(f"is a bigWig that cannot be read: {error}") from error
            known = [  # NaN: bases without a value
                (min(b, end) - max(a, start), value) for a, b, value in rows if math.isfinite(value)
            ]
            return sum(n * value for n, value in known), float(sum(n for n, _ in known))

        self._sums = sums

    def _read_bedgraph(self) -> None:
        rows: dict[str, list[tuple[int, int, float]]] = {}
        for count, row in enumerate(self.file.rows()):
            fields = [field.strip() for field in row.fields]
            if count == 0 and fields[1:2] == ["start"]:
                continue
            if len(fields) != 4:
                raise row.error(f"is not {_FORM}; nor is the file a bigWig")
            region = interval_of(row, form=_FORM)
            try:
                value = float(fields[3] or "nan")
            except ValueError:
                raise row.error(f"is not {_FORM}; {fields[3]!r} is no number") from None
            rows.setdefault(region.chrom, [])
            if math.isfinite(value):
                rows[region.chrom].append((region.start, region.end, value))
        if not any(rows.values()):
            raise self.file.error("has no value")
        self.chroms = frozenset(rows)
        tables = {chrom: self._table(chrom, found) for chrom, found in rows.items()}

        def up_to(chrom: str, position: int) -> np.ndarray:
            """Sum of the values of all bases before a position, and how many have one."""
            starts, ends, values, before = tables[chrom]
            k = int(np.searchsorted(starts, position, side="right")) - 1
            if k < 0:
                return np.zeros(2)
            inside = min(position, int(ends[k])) - int(starts[k])
            found: np.ndarray = before[k] + inside * np.array([values[k], 1.0])
            return found

        def sums(chrom: str, start: int, end: int) -> tuple[float, float]:
            total, covered = up_to(chrom, end) - up_to(chrom, start)
            return float(total), float(covered)

        self._sums = sums

    def _table(
        self, chrom: str, rows: list[tuple[int, int, float]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Starts, ends and values of a chromosome, in order, and the sums before each."""
        rows.sort()
        starts, ends = np.array([r[:2] for r in rows], dtype=np.int64).reshape(-1, 2).T
        values = np.array([r[2] for r in rows], dtype=float)
        if (k := int(np.argmax(np.append(starts[1:] < ends[:-1], True)))) < len(rows) - 1:
            raise self.file.error(
                f"has two values for the same bases: {chrom}:{starts[k]:,}-{ends[k]:,} and "
                f"{chrom}:{starts[k + 1]:,}-{ends[k + 1]:,} overlap"
            )
        sizes = ends - starts
        steps = np.stack([sizes * values, sizes.astype(float)], axis=1)
        return starts, ends, values, np.cumsum(np.vstack([np.zeros((1, 2)), steps]), axis=0)


def _places(
    source: SequenceSource, chrom: str, start: int, end: int
) -> Iterator[tuple[str, int, int]]:
    """Where the bases of an interval lie in the genome's file: (chromosome, start, end)."""
    if isinstance(source, EditedGenome):
        for segment in source.segments(chrom, start, end):
            if segment.chrom:
                yield from _places(source.source, segment.chrom, segment.start, segment.end)
    elif (a := max(start, 0)) < (b := min(end, source.chromsizes[chrom])):
        yield chrom, a, b
