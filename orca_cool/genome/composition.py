"""What a genome's bins are made of."""

from __future__ import annotations

import numpy as np

from orca_cool.genome.regions import n_bins
from orca_cool.genome.source import GAP, SequenceSource


def gc_content(source: SequenceSource, chrom: str, resolution: int) -> np.ndarray:
    """Share of G and C among the known bases of each bin of a chromosome.

    Parameters
    ----------
    resolution : bin in bp. The sequence is read bin by bin.

    Returns
    -------
    (bins,) float64 from 0 to 1; NaN in bins without a known base.
    """
    return gc_of_bins(source, chrom, 0, resolution, n_bins(source.chromsizes[chrom], resolution))


def gc_of_bins(
    source: SequenceSource, chrom: str, start: int, resolution: int, bins: int
) -> np.ndarray:
    """The same of some bins from ``start`` bp on, which may lie beyond the chromosome."""
    out = np.full(bins, np.nan)
    for k in range(bins):
        at = start + k * resolution
        codes = source.fetch(chrom, at, at + resolution)
        known = codes[codes != GAP]
        if len(known):
            out[k] = np.mean((known == 1) | (known == 2))
    return out
