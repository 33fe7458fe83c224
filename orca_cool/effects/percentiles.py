"""Where a number stands among others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def percentile(value: float, null: Sequence[float] | np.ndarray) -> float:
    """The share, in percent, of the numbers of a null that lie below a value; those that equal it
    count half.

    Parameters
    ----------
    null : NaN among them do not count.

    Returns
    -------
    NaN if the value is NaN, or nothing is left of the null. The same as
    ``scipy.stats.percentileofscore(null, value, kind="mean")``.

    Examples
    --------
    >>> percentile(3.0, [1.0, 2.0, 3.0, 4.0])
    62.5
    """
    known = np.asarray(null, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known) or math.isnan(value):
        return float("nan")
    return float(100 * (np.sum(known < value) + 0.5 * np.sum(known == value)) / len(known))


def z_score(value: float, null: Sequence[float] | np.ndarray) -> float:
    """How many standard deviations (with n - 1) a value lies above the mean of a null.

    Parameters
    ----------
    null : NaN among them do not count.

    Returns
    -------
    NaN if the value is NaN, or the null has fewer than two numbers, or all of them are the same.

    Examples
    --------
    >>> z_score(3.0, [0.0, 1.0, 2.0])
    2.0
    """
    known = np.asarray(null, dtype=float)
    known = known[np.isfinite(known)]
    if len(known) < 2 or math.isnan(value) or known.min() == known.max():
        return float("nan")
    return float((value - known.mean()) / known.std(ddof=1))
