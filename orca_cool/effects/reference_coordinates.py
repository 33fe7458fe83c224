"""Where the bins and regions of a reference are in an edited genome, and back.

Every bin of the reference is looked up, by its middle base, in the edited genome, where it is in no
place, one, or many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import Region, n_bins
from orca_cool.genome.segments import Segment


@dataclass(frozen=True)
class LiftedBins:
    """Where the bins of a chromosome of the source are in an edited genome.

    Attributes
    ----------
    first : (bins + 1,) int64; bin i of the chromosome went to ``places[first[i] : first[i + 1]]``,
        in the order of the contigs.
    places : int64, bins of the edited genome, numbered through all contigs as in its cooler.
    """

    first: np.ndarray
    places: np.ndarray

    @property
    def copies(self) -> np.ndarray:
        """(bins,) number of places that each bin went to."""
        return np.diff(self.first)

    def only_first(self) -> LiftedBins:
        """Each bin with the first of its places alone."""
        some = self.copies > 0
        return LiftedBins(
            np.concatenate([[0], np.cumsum(some)]), self.places[self.first[:-1][some]]
        )


def lifted_bins(
    genome: EditedGenome, chroms: Sequence[str], resolutions: Sequence[int]
) -> dict[int, dict[str, LiftedBins]]:
    """Where all bins of chromosomes of the source went, by resolution (bp) and chromosome.

    A bin goes where its middle base is in the edited genome, or, if the edits leave nothing of that
    base, where the nearest base of the bin is of which they leave something.
    """
    rows: dict[str, list[tuple[int, int, int, int, bool]]] = {chrom: [] for chrom in chroms}
    for number, segments in enumerate(genome.contigs.values()):
        offset = 0
        for s in segments:
            if s.chrom in rows:
                rows[s.chrom].append((s.start, s.end, number, offset, s.strand == "+"))
            offset += len(s)
    segments_of = {
        chrom: np.array(found, np.int64).reshape(-1, 5).T for chrom, found in rows.items()
    }
    return {
        r: {chrom: _lifted_bins(genome, chrom, r, segments_of[chrom]) for chrom in chroms}
        for r in resolutions
    }


def _lifted_bins(
    genome: EditedGenome, chrom: str, resolution: int, segments: np.ndarray
) -> LiftedBins:
    """LiftedBins of one chromosome.

    Parameters
    ----------
    segments : (5, k) int64, the segments that come from the chromosome: start, end, number of the
        contig, offset in it, 1 if forward.
    """
    length = genome.source.chromsizes[chrom]
    start = np.arange(0, length, resolution)
    middle = (start + np.minimum(start + resolution, length)) // 2
    bins = np.array([n_bins(n, resolution) for n in genome.chromsizes.values()])
    begin, end, contig, offset, forward = segments
    middle = _present(start, np.minimum(start + resolution, length), middle, begin, end)
    a, b = np.searchsorted(middle, begin), np.searchsorted(middle, end)
    which = np.repeat(np.arange(len(begin)), b - a)  # segment of each place
    own = np.arange(len(which)) - np.repeat(np.cumsum(b - a) - b, b - a)  # bin that went there
    along = np.where(forward[which] == 1, middle[own] - begin[which], end[which] - 1 - middle[own])
    places = (np.cumsum(bins) - bins)[contig[which]] + (offset[which] + along) // resolution
    order = np.argsort(own, kind="stable")
    return LiftedBins(np.searchsorted(own[order], np.arange(len(middle) + 1)), places[order])


def _present(
    start: np.ndarray, stop: np.ndarray, middle: np.ndarray, begin: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """The base of each bin that tells where it went: of the bases in a segment (``begin``, ``end``)
    the one nearest to the middle, the left of two. It stays the middle where no base of the bin is
    in a segment.
    """
    # segments that have begun at a base less those that have ended: 0 outside of all
    begin, end = np.sort(begin), np.sort(end)
    begun, ended = np.searchsorted(begin, middle, "right"), np.searchsorted(end, middle, "right")
    far = np.iinfo(np.int64).max
    left, right = np.append(-1, end - 1)[ended], np.append(begin, far)[begun]
    from_left, from_right = (
        np.where(left >= start, middle - left, far),
        np.where(right < stop, right - middle, far),
    )
    found = np.minimum(from_left, from_right) < far
    return np.where(
        (begun == ended) & found, np.where(from_left <= from_right, left, right), middle
    )


def reference_regions(
    genome: EditedGenome, regions: Sequence[Region], reach: int, *, join: bool = False
) -> list[Region]:
    """Where regions of an edited genome came from.

    Segments of one region that are less than ``reach`` apart are one region of the source, with
    what lies between them, since the map has pairs across a deletion. Segments of different regions
    are joined only where they overlap, or, with ``join``, where they touch.

    Parameters
    ----------
    reach : bp; pairs further apart are in no map.

    Returns
    -------
    Regions of the source in its order; none if all is literal sequence.
    """
    spans: list[tuple[str, int, int]] = []
    for region in regions:
        segments = [s for s in genome.segments(region.chrom, region.start, region.end) if s.chrom]
        spans += _joined([_inside(s, genome) for s in segments], reach)
    order = {c: i for i, c in enumerate(genome.source.chromsizes)}
    found = _joined(spans, int(join))
    return [Region(*span) for span in sorted(found, key=lambda s: (order[s[0]], s[1]))]


def _inside(s: Segment, genome: EditedGenome) -> tuple[str, int, int]:
    """A segment without what overhangs its chromosome."""
    return s.chrom, max(s.start, 0), min(s.end, genome.source.chromsizes[s.chrom])


def _joined(spans: Sequence[tuple[str, int, int]], gap: int) -> list[tuple[str, int, int]]:
    """Intervals, sorted; those less than ``gap`` apart, or that overlap, are one."""
    out: list[tuple[str, int, int]] = []
    for chrom, start, end in sorted(span for span in spans if span[1] < span[2]):
        if out and out[-1][0] == chrom and start < out[-1][2] + gap:
            start, end = out[-1][1], max(out.pop()[2], end)
        out.append((chrom, start, end))
    return out
