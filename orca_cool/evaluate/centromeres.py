"""Centromeres: where they are, and how strongly contacts across one are depleted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from orca_cool.genome.intervals import read_bed

#: Pixels from 10 kb to 100 kb apart show the depletion across a point centromere.
NEAREST, FARTHEST = 10_000, 100_000


def read_centromeres(features: str | Path | None, chroms: Iterable[str]) -> dict[str, int]:
    """Centre of the centromere of each chromosome in bp, from a BED file whose seventh column is
    "centromere" there; without a file none is known.
    """
    if features is None:
        return {}
    return {
        i.chrom: (i.start + i.end) // 2
        for i in read_bed(Path(features), 6, "", chroms)
        if i.kind == "centromere"
    }


def depletion(
    y: np.ndarray, resolution: int, position: int, near: int = NEAREST, far: int = FARTHEST
) -> dict[str, float]:
    """How strongly contacts across ``position`` are depleted, and where the depletion is strongest.

    Parameters
    ----------
    y : (n, n) log observed/expected of one chromosome.
    resolution : of the map in bp.
    position : in bp from the start of the map.
    near, far : only pixels between these distances in bp are used.

    Returns
    -------
    ``across``: mean of the pixels that span the position; ``elsewhere``: mean of the other pixels.
    Both are means of the means of single distances, over the distances that both have. ``minimum``:
    centre in bp of the bin across which the mean is lowest, among bins with at least three quarters
    of the pixels of the best covered bin. NaN where there are no such pixels.
    """
    n = y.shape[0]
    low, high = max(1, near // resolution), far // resolution
    total, count = np.zeros(n), np.zeros(n)
    across, elsewhere = [], []
    at = position // resolution
    for d in range(low, high + 1):
        v = np.diagonal(y, d)
        i = np.flatnonzero(np.isfinite(v))
        spans = (i < at) & (i + d > at)
        if spans.any() and (~spans).any():
            across.append(v[i[spans]].mean())
            elsewhere.append(v[i[~spans]].mean())
        for k in i:
            total[k + 1 : k + d] += v[k]
            count[k + 1 : k + d] += 1
    most = count.max()
    with np.errstate(invalid="ignore", divide="ignore"):
        profile = np.where(count >= 0.75 * most, total / count, np.nan)
    lowest = (np.nanargmin(profile) + 0.5) * resolution if np.isfinite(profile).any() else np.nan
    return {
        "across": float(np.mean(across)) if across else float("nan"),
        "elsewhere": float(np.mean(elsewhere)) if elsewhere else float("nan"),
        "minimum": float(lowest),
    }
