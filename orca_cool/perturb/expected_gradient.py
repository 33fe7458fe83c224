"""Expected gradients: integrated gradients against what shuffled sequence would have done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orca_cool.genome.source import GAP, one_hot
from orca_cool.perturb.gradient import Differentiable
from orca_cool.perturb.screen_plan import dinucleotide_shuffle
from orca_cool.prediction.progress import Report, no_report


@dataclass(frozen=True)
class Expected:
    """Expected gradients, and how far their sum is from what it tends to.

    Attributes
    ----------
    scores : (L, 4) float64; their sum tends to ``difference`` with the number of baselines.
    difference : the objective less its mean over the baselines.
    error : standard error of the sum of the scores less the difference; NaN of a single baseline.
    """

    scores: np.ndarray
    difference: float
    error: float


def expected(
    function: Differentiable, baselines: int = 20, seed: int = 0, progress: Report = no_report
) -> Expected:
    """Expected gradients (Erion 2021) of an objective: the mean of (bases - baseline) x gradient,
    each at a random place on the straight way from a baseline to the bases.

    The k-th of n baselines is a shuffle of the region (:func:`shuffled`) drawn from the seed and k,
    and its gradient is taken at a share of the way that is drawn evenly from [k / n, (k + 1) / n).
    As the baselines are independent of each other, the mean is unbiased for any n; the shares,
    which together cover the whole way, only make it vary less.

    Parameters
    ----------
    function : the objective, of the region's bases.

    Examples
    --------
    >>> import orca_cool as oc
    >>> p = oc.Predictor("yeast-metaphase", "example", progress=False)
    >>> found = oc.attribute.expected(
    ...     p, "chrII:238,260-238,270", "insulation chrII:238,265", baselines=1
    ... )
    >>> found.scores.shape
    (10, 4)
    """
    region, source = function.region, function.watched.engine.source
    codes = source.fetch(region.chrom, region.start, region.end)
    x, value = function.bases, function.value(function.bases)
    total = np.zeros((4, len(codes)))
    differences, sums = [], []
    for k in range(baselines):
        progress(k, baselines)
        rng = np.random.default_rng([seed, k])
        baseline = one_hot(shuffled(codes, rng), x.device, x.dtype)
        share = (k + rng.random()) / baselines
        step = x - baseline
        _, slope = function.gradient(baseline + share * step)
        found = (step.double() * slope.double()).cpu().numpy()
        total += found
        sums.append(found.sum())
        differences.append(value - function.value(baseline))
    progress(baselines, baselines)
    off = np.subtract(sums, differences)
    error = float(np.std(off, ddof=1) / np.sqrt(baselines)) if baselines > 1 else float("nan")
    return Expected(total.T / baselines, float(np.mean(differences)), error)


def shuffled(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sequence with every stretch between N in another order that has the same count of every
    pair of neighbours.

    Parameters
    ----------
    codes : uint8 (n,); N stays where it is.

    Examples
    --------
    >>> codes = np.array([0, 1, 4, 0, 1, 0, 2, 0], np.uint8)
    >>> shuffled(codes, np.random.default_rng(1)).tolist()[:4]
    [0, 1, 4, 0]
    """
    out = codes.copy()
    edges = np.flatnonzero(np.diff(codes != GAP, prepend=False, append=False))
    for a, b in edges.reshape(-1, 2).tolist():
        out[a:b] = dinucleotide_shuffle(codes[a:b], rng)
    return out
