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
    low, high = max(1, near // resolution), far // resolution
    across, elsewhere = [], []
    at = position // resolution
    for d in range(low, high + 1):
        v = np.diagonal(y, d)
        i = np.flatnonzero(np.isfinite(v))
        spans = (i < at) & (i + d > at)
        if spans.any() and (~spans).any():
            across.append(v[i[spans]].mean())
            elsewhere.append(v[i[~spans]].mean())
    profile = contacts_across(y, resolution, near, far)
    lowest = (np.nanargmin(profile) + 0.5) * resolution if np.isfinite(profile).any() else np.nan
    return {
        "across": float(np.mean(across)) if across else float("nan"),
        "elsewhere": float(np.mean(elsewhere)) if elsewhere else float("nan"),
        "minimum": float(lowest),
    }


def contacts_across(
    y: np.ndarray, resolution: int, near: int = NEAREST, far: int = FARTHEST
) -> np.ndarray:
    """Mean log observed/expected of the pixels that span each bin, (n,); see :func:`depletion`.

    NaN at bins with fewer than three quarters of the pixels of the best covered bin.
    """
    n = y.shape[0]
    total, count = np.zeros(n), np.zeros(n)
    for d in range(max(1, near // resolution), far // resolution + 1):
        v = np.diagonal(y, d)
        for k in np.flatnonzero(np.isfinite(v)):
            total[k + 1 : k + d] += v[k]
            count[k + 1 : k + d] += 1
    with np.errstate(invalid="ignore", divide="ignore"):
        profile: np.ndarray = np.where(count >= 0.75 * count.max(), total / count, np.nan)
    return profile


def peaks_beyond(
    profile: np.ndarray, resolution: int, known: Iterable[int], apart: int, most: int = 1
) -> list[tuple[int, float]]:
    """The highest bins of a profile that lie away from known positions, and from each other.

    Parameters
    ----------
    profile : (n,) values of bins of ``resolution`` bp; NaN is left out.
    known : positions in bp.
    apart : bins whose middle lies closer than this many bp to one of them are left out.
    most : how many are wanted.

    Returns
    -------
    (middle of the bin in bp, value), highest first; fewer if there are no more.
    """
    middles = (np.arange(len(profile)) + 0.5) * resolution
    left = np.where(np.isfinite(profile), profile, -np.inf)
    for position in known:
        left[np.abs(middles - position) < apart] = -np.inf
    found: list[tuple[int, float]] = []
    while len(found) < most and np.isfinite(left).any() and left.max() > -np.inf:
        k = int(np.argmax(left))
        found.append((int(middles[k]), float(profile[k])))
        left[np.abs(middles - middles[k]) < apart] = -np.inf
    return found
