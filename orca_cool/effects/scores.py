"""How much an edit changes a predicted map, as numbers for tables; all are exactly 0 where nothing
changes.

Every score compares the alternate with the reference aligned to it
(:class:`orca_cool.effects.align.Comparison`). What the paper (Zhou 2022) scores variants by is
``log_fold_change``: the mean absolute log fold change of the contacts of the variant's own bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.maps.metrics import compartments, insulation_score, pearson, scc

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
)


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
    one_minus_r, one_minus_scc : of Pearson's r, and of HiCRep's stratum-adjusted r, of the same.
    log_fold_change : mean \\|log(alternate / reference)\\| of the contact frequencies (plus eps)
        of the touched bins with their window.
    decay : mean over distances of the \\|change\\| of the mean log observed/expected at that
        distance.
    insulation : mean \\|change\\| of the insulation score (log2) over the window; insulation_at :
        its change at the touched bins, signed.
    boundaries_gained, boundaries_lost : minima of insulation that one has and the other has not.
    loops, loop_change : loops of the list that could be compared; mean change of their strength (3
        x 3 bins against the ring around).
    compartment : 1 - \\|r\\| of the first eigenvectors; NaN in windows of fewer than 32 comparable
        bins.
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
    out["one_minus_scc"] = 0.0 if same else 1 - scc(a, b)
    change = found.alternate.log_frequency - found.reference.log_frequency
    out["log_fold_change"] = _mean(np.abs(change)[found.touched])
    out["decay"] = _decay(found)
    return (
        out
        | _insulation(found, choices)
        | _loops(found, choices)
        | {"compartment": 0.0 if same else 1 - compartments(a, b, nearest=0)}
    )


def average(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of the finite values of each score, over shifted windows."""
    return {name: _mean(np.array([row[name] for row in rows], dtype=float)) for name in SCORES}


def _mean(values: np.ndarray) -> float:
    """Mean of the finite values; NaN if there is none."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def _decay(found: Comparison) -> float:
    """Change of the mean log observed/expected by distance: at each distance, pairs of the
    alternate against pairs of the reference that are as far apart in the reference, among the bins
    compared.
    """
    if found.unchanged:
        return 0.0
    n = len(found.reference.values)
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    there = np.isfinite(found.reference.values)
    own = _by_distance(found.alternate.values[there], distance[there], n)
    total, count = np.zeros(n), np.zeros(n)
    for r, index in zip(found.references, found.bins):
        used = np.unique(index[index >= 0])
        part = r.values[np.ix_(used, used)]
        far = np.abs(np.subtract.outer(used, used))
        total += np.bincount(far.ravel(), part.ravel(), n)[:n]
        count += np.bincount(far.ravel(), minlength=n)[:n]
    other = np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    return _mean(np.abs(own - other)[: 3 * n // 4])


def _by_distance(values: np.ndarray, distance: np.ndarray, n: int) -> np.ndarray:
    """(n,) mean of values, (k,), by their distance in bins; NaN where there is none."""
    count = np.bincount(distance, minlength=n)[:n]
    return np.divide(
        np.bincount(distance, values, n)[:n], count, out=np.full(n, np.nan), where=count > 0
    )


def _minima(track: np.ndarray, prominence: float) -> np.ndarray:
    """Bins of the minima of an insulation track, (n,) with NaN at the ends."""
    from scipy.signal import find_peaks

    known = np.flatnonzero(np.isfinite(track))
    if not len(known):
        return known
    peaks, _ = find_peaks(-track[known[0] : known[-1] + 1], prominence=prominence)
    return np.asarray(peaks + known[0])


def _insulation(found: Comparison, choices: Choices) -> dict[str, float]:
    """Scores of insulation: computed in each map's own bins, compared where bins correspond."""
    m = found.alternate
    own = insulation_score(m.frequency, choices.diamond)
    n = len(own)
    other, minima = np.full(n, np.nan), np.zeros(n, dtype=bool)
    seen = np.zeros(
        n, dtype=bool
    )  # bins of which the reference's insulation is known, hence its boundaries
    for r, index in zip(found.references, found.bins):
        track = insulation_score(r.frequency, choices.diamond)
        here = (index >= 0) & ~seen
        here[here] = np.isfinite(track[index[here]])
        other[here] = track[index[here]]
        minima[here] = np.isin(index[here], _minima(track, choices.prominence))
        seen |= here
    seen &= np.isfinite(own)
    boundaries = _minima(own, choices.prominence)
    before = np.flatnonzero(minima & seen)
    boundaries = boundaries[seen[boundaries]]

    def only(these: np.ndarray, those: np.ndarray) -> int:
        return int(sum(not len(those) or np.abs(those - k).min() > choices.near for k in these))

    change = own - other
    return {
        "insulation": _mean(np.abs(change)),
        "insulation_at": _mean(change[found.touched]),
        "boundaries_gained": only(boundaries, before),
        "boundaries_lost": only(before, boundaries),
    }


def _strength(y: np.ndarray, i: int, j: int) -> float:
    """Mean of 3 x 3 bins less that of the ring from 5 x 5 to 11 x 11 around them; NaN at the map's
    edge.
    """
    n = len(y)
    if not (5 <= min(i, j) and max(i, j) < n - 5):
        return float("nan")
    square = y[i - 5 : i + 6, j - 5 : j + 6].astype(float)
    ring = np.ones((11, 11), dtype=bool)
    ring[3:8, 3:8] = False
    return float(square[4:7, 4:7].mean() - square[ring].mean())


def _loops(found: Comparison, choices: Choices) -> dict[str, float]:
    """Scores of the listed loops whose two anchors both maps have."""
    changes = []
    for r, index in zip(found.references, found.bins):
        where = {int(k): i for i, k in enumerate(index) if k >= 0}  # of several copies the last
        for chrom, first, second in choices.loops:
            if chrom != r.chrom:
                continue
            p, q = (first - r.start) // r.resolution, (second - r.start) // r.resolution
            if q - p > 5 and p in where and q in where:
                changes.append(
                    _strength(found.alternate.values, where[p], where[q])
                    - _strength(r.values, p, q)
                )
    values = np.array(changes)[np.isfinite(changes)] if changes else np.array([])
    return {"loops": len(values), "loop_change": _mean(values)}
