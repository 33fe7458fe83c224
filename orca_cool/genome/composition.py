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
    size = source.chromsizes[chrom]
    out = np.full(n_bins(size, resolution), np.nan)
    for k in range(len(out)):
        codes = source.fetch(chrom, k * resolution, min((k + 1) * resolution, size))
        known = codes[codes != GAP]
        if len(known):
            out[k] = np.mean((known == 1) | (known == 2))
    return out
