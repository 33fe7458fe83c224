"""Assembly gaps: the share of bases that are not A, C, G or T, and the bins masked for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orca_cool.genome.regions import Region, n_bins
from orca_cool.genome.source import GAP, PIECE, SequenceSource


def gap_fraction(
    source: SequenceSource, chrom: str, start: int, end: int, binsize: int
) -> np.ndarray:
    """Fraction of positions that are not A, C, G or T, by bin; the sequence is read chunk by chunk.

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
        if not gaps.any():  # most of a genome
            continue
        edges = np.arange(0, b - a, binsize)
        widths = np.diff(np.append(edges, b - a))
        out[first : first + len(edges)] = np.add.reduceat(gaps, edges, dtype=np.int64) / widths
    return out


#: A bin is masked if more than this share of it is not A, C, G or T.
MAX_GAP = 0.5


def masks(
    source: SequenceSource, regions: Sequence[Region], resolutions: Sequence[int]
) -> dict[int, dict[str, np.ndarray]]:
    """Masked bins: assembly gaps (:data:`MAX_GAP`), and whatever lies outside the regions.

    Parameters
    ----------
    resolutions : bin sizes in bp, multiples of the finest. The sequence is read once, at the
        finest; the counts of the others are sums of its counts.

    Returns
    -------
    {resolution: {chromosome: bool array, one value a bin, True where it is masked}}.
    """
    sizes = source.chromsizes
    masked = {
        r: {c: np.ones(n_bins(size, r), dtype=bool) for c, size in sizes.items()}
        for r in resolutions
    }
    finest, coarsest = min(resolutions), max(resolutions)
    for region in regions:
        start = region.start // coarsest * coarsest
        end = min(n_bins(region.end, coarsest) * coarsest, sizes[region.chrom])
        widths = np.minimum(finest, end - np.arange(start, end, finest))
        counts = np.rint(gap_fraction(source, region.chrom, start, end, finest) * widths)
        for r in resolutions:
            edges = np.arange(0, len(counts), r // finest)
            gaps = np.add.reduceat(counts, edges) / np.add.reduceat(widths, edges) > MAX_GAP
            a, b = region.start // r, n_bins(region.end, r)
            masked[r][region.chrom][a:b] = gaps[a - start // r : b - start // r]
    return masked
