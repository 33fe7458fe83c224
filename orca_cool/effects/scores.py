"""How much an edit changes a predicted map, as numbers for tables; all are exactly 0 where nothing
changes.

Every score compares the alternate with the reference aligned to it
(:class:`orca_cool.effects.align.Comparison`) at the pixels that both have; insulation, which looks
at what lies around a bin in each of the two, leaves out gaps and what lies beyond the ends of
chromosomes. What the paper (Zhou 2022) scores variants by is
``log_fold_change``: the mean absolute log fold change of the contacts of the variant's own bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.maps.metrics import RING, compartments, diamond, dot_parts, pearson, scc

if TYPE_CHECKING:
    from orca_cool.effects.align import Comparison

#: Columns of a table of scores, in order.
SCORES = (
    "pixels",
    "mse",
    "one_minus_r",
    "one_minus_scc",
    "log_fold_change",
    "decay",
    "insulation",
    "insulation_at",
    "boundaries_gained",
    "boundaries_lost",
    "loops",
    "loop_change",
    "compartment",
    "scd",
    "ssd",
)

#: Scores that may be negative: what they say has a direction.
SIGNED = ("insulation_at", "loop_change", "ssd")

#: Bins that the pixels of Akita's scores lie apart at least.
AKITA_APART = 2


@dataclass(frozen=True)
class Choices:
    """How scores are computed.

    Attributes
    ----------
    diamond : side of the insulation diamond in bins.
    prominence : of a minimum of insulation, in log2 units, that is called a boundary.
    near : bins within which two boundaries are one.
    loops : (chromosome, bp, bp) of the reference: the middles of pairs of anchors.
    """

    diamond: int = 10
    prominence: float = 0.1
    near: int = 2
    loops: tuple[tuple[str, int, int], ...] = ()


def score(found: Comparison, choices: Choices | None = None) -> dict[str, float]:
    """Scores of one level at one site, by the names in :data:`SCORES`.

    Returns
    -------
    pixels : pairs of bins (upper triangle) that could be compared; all else is NaN if there are
        fewer than three.
    mse : mean squared difference of log observed/expected.
    one_minus_r, one_minus_scc : of Pearson's r, and of HiCRep's stratum-adjusted r (which leaves
        out the main diagonal), of the same.
    log_fold_change : mean \\|log(alternate / reference)\\| of the contact frequencies (plus eps)
        of the touched bins with their window.
    decay : mean over distances of the \\|mean change\\| of log observed/expected of the pixels at
        that distance in the alternate, up to three quarters of the window.
    insulation : mean \\|change\\| of the insulation score (log2, less its mean over the bins that
        both have) over the window; insulation_at : its change at the touched bins, signed.
    boundaries_gained, boundaries_lost : minima of insulation that one has and the other has not,
        near bins that both have.
    loops, loop_change : loops of the list that could be compared; mean change of their strength (3
        x 3 bins against the ring around).
    compartment : 1 - \\|r\\| of the first eigenvectors; NaN in windows of fewer than 32 comparable
        bins.
    scd, ssd : Akita's squared contact differences: see :func:`akita_scores`.
    """
    choices = choices or Choices()
    a, b = found.alternate.values.astype(float), found.reference.values.astype(float)
    known = np.triu(np.isfinite(b))
    out = dict.fromkeys(SCORES, float("nan"))
    out["pixels"] = int(known.sum())
    if out["pixels"] < 3:
        return out
    same = found.unchanged
    out["mse"] = float(np.mean((a - b)[known] ** 2))
    out["one_minus_r"] = 0.0 if same else 1 - pearson(a, b, nearest=0)[0]
    out["one_minus_scc"] = 0.0 if same else 1 - scc(a, b, nearest=1)
    change = found.alternate.log_frequency - found.reference.log_frequency
    out["log_fold_change"] = _mean(np.abs(change)[found.touched])
    out["decay"] = _decay(a - b)
    return (
        out
        | _insulation(found, choices)
        | _loops(found, a - b, choices.loops)
        | {"compartment": 0.0 if same else 1 - compartments(a, b, nearest=0)}
        | akita_scores(a, b)
    )


def average(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of the finite values of each score, over shifted windows."""
    return {name: _mean(np.array([row[name] for row in rows], dtype=float)) for name in SCORES}


def akita_scores(alternate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """SCD and SSD, the scores of Akita (Fudenberg, Kelley and Pollard 2020), over the pairs of bins
    that both maps have, two bins apart or more, as Akita's maps do.

    They are sums, so that they compare maps of one size only, with the same bins known.

    Parameters
    ----------
    alternate, reference : (n, n) natural log of observed/expected; a pixel that is NaN in one of
        them does not count.

    Returns
    -------
    scd : root of the sum of the squared differences, as ``bin/akita_scd.py`` of calico/basenji and
        ``calculate_SCD`` of akita_utils (on symmetric maps, each pair twice, with a half) define
        it.
    ssd : root of the sum of the squares of the alternate, less that of the reference, as
        ``bin/akita_scd.py`` defines it: positive where the map's structure grows. (A former version
        of akita_utils called the difference of the plain sums SSD.)
        Both NaN if there is no such pair.

    Examples
    --------
    >>> before, after = np.zeros((2, 4, 4))
    >>> after[0, 2:] = 3, 4
    >>> akita_scores(after, before)
    {'scd': 5.0, 'ssd': 5.0}
    """
    known = np.triu(np.isfinite(alternate) & np.isfinite(reference), AKITA_APART)
    if not known.any():
        return {"scd": float("nan"), "ssd": float("nan")}
    a, b = alternate[known], reference[known]
    size = np.linalg.norm
    return {"scd": float(size(a - b)), "ssd": float(size(a) - size(b))}


def _mean(values: np.ndarray) -> float:
    """Mean of the finite values; NaN if there is none."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def _decay(change: np.ndarray) -> float:
    """Change of the mean log observed/expected by distance; both sides are of the same pixels.

    Parameters
    ----------
    change : (n, n) of log observed/expected, NaN where it is not known.
    """
    n = len(change)
    i, j = np.nonzero(np.triu(np.isfinite(change)))
    count = np.bincount(j - i, minlength=n)
    total = np.bincount(j - i, change[i, j], n)
    by_distance = np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    return _mean(np.abs(by_distance)[: 3 * n // 4])


def _minima(track: np.ndarray, prominence: float) -> np.ndarray:
    """Bins of the minima of an insulation track, (n,) with NaN at the ends and in gaps."""
    from scipy.signal import find_peaks

    known = np.flatnonzero(np.isfinite(track))
    found = [known[:0]]
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        if len(run) > 2:
            peaks, _ = find_peaks(-track[run], prominence=prominence)
            found.append(run[peaks])
    return np.concatenate(found)


def log_insulation(frequency: np.ndarray, gaps: np.ndarray | None, side: int) -> np.ndarray:
    """(n,) log2 of the mean contact across each bin; NaN in gaps, where less than half of the
    diamond is known, and where it does not lie in the map.

    Parameters
    ----------
    frequency : (n, n) contact frequency.
    gaps : (n,) bool, bins that are not known; None: none.
    side : of the diamond in bins.
    """
    known = np.ones(len(frequency), dtype=bool) if gaps is None else ~gaps
    mean, count = diamond(np.where(known[:, None] & known, frequency, np.nan), side)
    most = side**2 - 3  # the diamond leaves out the two diagonals nearest to the main one
    enough = known & (count > 0) & (2 * count >= most)
    return np.log2(np.where(enough, mean, np.nan))


def _insulation(found: Comparison, choices: Choices) -> dict[str, float]:
    """Scores of insulation: computed in each map's own bins, compared where bins correspond.

    Where no breakpoint lies in a diamond, that of the alternate and that of the reference hold the
    same pixels, since gaps are the same bins in both.
    """
    gaps = found.gaps or [None] * (1 + len(found.references))
    own = log_insulation(found.alternate.frequency, gaps[0], choices.diamond)
    boundaries = _minima(own, choices.prominence)
    n = len(own)
    change = np.full(n, np.nan)
    gained, lost = 0, 0
    for r, index, its in zip(found.references, found.bins, gaps[1:]):
        track = log_insulation(r.frequency, its, choices.diamond)
        here = np.flatnonzero((index >= 0) & ~np.isfinite(change) & np.isfinite(own))
        here = here[np.isfinite(track[index[here]])]
        change[here] = own[here] - track[index[here]]
        before = _minima(track, choices.prominence)
        # Each is looked for in the other's own map, where it may lie beyond what corresponds.
        gained += _missing(index[np.intersect1d(boundaries, here)], before, choices.near)
        lost += _missing(here[np.isin(index[here], before)], boundaries, choices.near)
    change -= _mean(change)
    if found.unchanged:  # what is left is rounding, or lies beyond what can be compared
        change, gained, lost = change * 0, 0, 0
    return {
        "insulation": _mean(np.abs(change)),
        "insulation_at": _mean(change[found.touched]),
        "boundaries_gained": gained,
        "boundaries_lost": lost,
    }


def _missing(these: np.ndarray, those: np.ndarray, near: int) -> int:
    """How many of these bins have none of those within ``near`` bins."""
    return int(sum(not len(those) or np.abs(those - k).min() > near for k in these))


def dot_change(change: np.ndarray, i: int, j: int) -> float:
    """Change of the mean of 3 x 3 bins less that of the ring from 5 x 5 to 11 x 11 around them.

    Parameters
    ----------
    change : (n, n) of log observed/expected, NaN where it is not known.

    Returns
    -------
    NaN at the map's edge, and where less than half of the square or of the ring is known.
    """
    n = len(change)
    if not (RING <= min(i, j) and max(i, j) < n - RING):
        return float("nan")
    around = change[i - RING : i + RING + 1, j - RING : j + RING + 1]
    square, ring = (around[part] for part in dot_parts())
    if any(2 * np.isfinite(part).sum() < len(part) for part in (square, ring)):
        return float("nan")
    return float(np.nanmean(square) - np.nanmean(ring))


def _loops(
    found: Comparison, change: np.ndarray, loops: Sequence[tuple[str, int, int]]
) -> dict[str, float]:
    """Scores of the listed loops whose two anchors both maps have.

    Parameters
    ----------
    change : (n, n) of log observed/expected, NaN where it is not known.
    loops : as in :class:`Choices`.
    """
    changes: dict[int, float] = {}
    for r, index in zip(found.references, found.bins):
        where = {int(k): i for i, k in enumerate(index) if k >= 0}  # of several copies the last
        for number, (chrom, first, second) in enumerate(loops):
            # Windows of the reference may overlap: a loop that two of them show is one.
            if chrom != r.chrom or number in changes:
                continue
            p, q = (first - r.start) // r.resolution, (second - r.start) // r.resolution
            if q - p > RING and p in where and q in where:
                strength = dot_change(change, where[p], where[q])
                if np.isfinite(strength):
                    changes[number] = strength
    return {"loops": len(changes), "loop_change": _mean(np.array(list(changes.values())))}
