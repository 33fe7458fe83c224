"""Where an edited genome differs from its reference: for each breakpoint, the place in both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.segments import Segment


@dataclass(frozen=True)
class Breakpoint:
    """A place at which the edited genome departs from the reference.

    Attributes
    ----------
    contig, position : in the edited genome, bp.
    chrom, reference : in the reference, bp.
    """

    contig: str
    position: int
    chrom: str
    reference: int


@dataclass(frozen=True)
class _Side:
    """The end of a segment at a junction.

    Attributes
    ----------
    chrom, at : of the reference, bp. in_place : the segment lies where it lies in the reference,
        between the segments that it has there as neighbours.
    """

    chrom: str
    at: int
    in_place: bool


def breakpoints(genome: EditedGenome) -> list[Breakpoint]:
    """All breakpoints of an edited genome, in the order of its contigs.

    A deletion has two: both ends of what is lost, which are one place of the edited genome. An
    insertion has two as well, both ends of what is new, which are one place of the reference; where
    a copied sequence was copied from, the reference is as it was, so that no breakpoint is there. A
    translocation has one on each chromosome.
    """
    kept = _Kept(genome)
    return list(
        dict.fromkeys(b for contig in genome.edited for b in _of_contig(genome, contig, kept))
    )


def places(found: Sequence[Breakpoint], genome: EditedGenome) -> dict[str, list[int]]:
    """{chromosome: bp} of the breakpoints in the reference, ascending, for chromosomes with any."""
    by_chrom: dict[str, set[int]] = {}
    for b in found:
        by_chrom.setdefault(b.chrom, set()).add(b.reference)
    return {c: sorted(by_chrom[c]) for c in genome.source.chromsizes if c in by_chrom}


class _Kept:
    """Which neighbouring bases of the reference are still neighbours in an edited genome."""

    def __init__(self, genome: EditedGenome):
        starts: dict[str, list[int]] = {}
        ends: dict[str, list[int]] = {}
        for segments in genome.contigs.values():
            for s in segments:
                starts.setdefault(s.chrom, []).append(s.start)
                ends.setdefault(s.chrom, []).append(s.end)
        self._starts = {chrom: np.sort(values) for chrom, values in starts.items()}
        self._ends = {chrom: np.sort(values) for chrom, values in ends.items()}

    def __call__(self, chrom: str, at: int) -> bool:
        """Whether some segment holds the bases on both sides of a position."""
        begun = np.searchsorted(self._starts[chrom], at)
        return bool(begun > np.searchsorted(self._ends[chrom], at, side="right"))


def _of_contig(genome: EditedGenome, contig: str, kept: _Kept) -> Iterator[Breakpoint]:
    segments = genome.contigs[contig]
    main = _main(segments)
    in_place = _in_place(segments, main)
    shown: list[_Side] = []
    positions = [0, *genome.junctions(contig), genome.chromsizes[contig]]
    for k, position in enumerate(positions):
        sides = []
        if k > 0:
            before = segments[k - 1]
            end = before.end if before.strand == "+" else before.start
            sides.append(_Side(before.chrom, end, in_place[k - 1]))
        if k < len(segments):
            after = segments[k]
            start = after.start if after.strand == "+" else after.end
            sides.append(_Side(after.chrom, start, in_place[k]))
        sides = [side for side in sides if side.chrom]
        inner = [s for s in sides if 0 < s.at < genome.source.chromsizes[s.chrom]]
        if not inner and k in (0, len(segments)):
            continue  # the end of a chromosome, or of new sequence
        # between two pieces of new sequence, the reference is where it was before them
        shown = _looked_at(inner or sides, main, kept) or shown[-1:] or sides[:1]
        for side in shown:
            yield Breakpoint(contig, position, side.chrom, side.at)


def _looked_at(sides: Sequence[_Side], main: tuple[str, str], kept: _Kept) -> list[_Side]:
    """The ends of segments at which the reference is to be looked at: those of segments in place,
    and those of other chromosomes that are broken there.

    Parameters
    ----------
    main : chromosome and strand of most of the contig.
    """
    broken = [s for s in sides if not kept(s.chrom, s.at)]
    found = [s for s in sides if s.in_place or (s in broken and s.chrom != main[0])]
    return found or broken


def _main(segments: Sequence[Segment]) -> tuple[str, str]:
    """The chromosome and the strand of which most bp of a contig are."""
    bp: dict[tuple[str, str], int] = {}
    for s in segments:
        bp[s.chrom, s.strand] = bp.get((s.chrom, s.strand), 0) + s.end - s.start
    return max(bp, key=lambda own: (bool(own[0]), bp[own]))


def _in_place(segments: Sequence[Segment], main: tuple[str, str]) -> np.ndarray:
    """(segments,) whether each is where it is in the reference: the segments of one chromosome and
    strand, in the order that they have there, which are the most bp together.
    """
    own = np.array([k for k, s in enumerate(segments) if (s.chrom, s.strand) == main])
    sign = 1 if main[1] == "+" else -1
    span = np.array([sorted((sign * segments[k].start, sign * segments[k].end)) for k in own])
    best = np.zeros(len(own), np.int64)  # bp of the best order that ends with a segment
    before = np.full(len(own), -1)
    for k, (start, end) in enumerate(span):
        fits = np.flatnonzero((span[:k] <= (start, end)).all(axis=1))
        best[k] = end - start
        if len(fits):
            before[k] = fits[np.argmax(best[fits])]
            best[k] += best[before[k]]
    out = np.zeros(len(segments), bool)
    k = int(np.argmax(best))
    while k >= 0:
        out[own[k]] = True
        k = int(before[k])
    return out
