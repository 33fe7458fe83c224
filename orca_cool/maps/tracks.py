"""What is read off a predicted map bin by bin, in files (``orca-cool predict --tracks``) and in
HiGlass: insulation and compartments.
"""

from __future__ import annotations

import numpy as np

from orca_cool.maps.metrics import diamond, eigenvector

#: The insulation of a bin is taken from a diamond with sides of DIAMOND bins; pixels fewer than
#: IGNORED bins from the diagonal are left out.
DIAMOND, IGNORED = 10, 2


def insulation_over_expected(
    frequency: np.ndarray, expected: np.ndarray, window: int = DIAMOND
) -> np.ndarray:
    """Insulation: log2 of the mean contact frequency in a diamond, over the mean expected there.

    cooltools' insulation score with a window of as many bins differs from it by a constant for each
    chromosome, because cooltools divides by the chromosome's median instead.

    Parameters
    ----------
    frequency : (n, n) symmetric, NaN where unknown.
    expected : (at least 2 * window - 1,) frequency by distance in bins, as ``frequency`` has it.
    window : side of the diamond in bins.

    Returns
    -------
    (n,) float64; NaN where the diamond does not lie in the map or nothing in it is known, -inf
    where all that is known is 0.

    Examples
    --------
    >>> expected = 1 / (1 + np.arange(40.0))
    >>> d = np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    >>> insulation_over_expected(2 * expected[d], expected)[20]  # twice the expected
    np.float64(1.0)
    """
    side = np.arange(window)
    apart = np.add.outer(side, side)
    mean, _ = diamond(frequency, window, IGNORED)
    if len(frequency) < 2 * window - 1:  # no diamond fits, and the expected may be as short
        return mean
    with np.errstate(divide="ignore"):
        score: np.ndarray = np.log2(mean / expected[apart[apart >= IGNORED]].mean())
    return score


def first_eigenvector(y: np.ndarray, gc: np.ndarray) -> np.ndarray:
    """The first eigenvector (E1) of a map of log observed/expected: its compartments.

    Parameters
    ----------
    y : (n, n), NaN where unknown; bins without any known pixel are masked.
    gc : (n,) share of G and C (:func:`orca_cool.genome.composition.gc_content`), which decides the
        sign.

    Returns
    -------
    (n,) float64, its mean square is 1, and it is positive in bins rich in G and C; NaN in masked
    bins, everywhere with fewer than three others.
    """
    out = np.full(len(y), np.nan)
    keep = np.isfinite(y).any(axis=1)
    if keep.sum() > 2:
        e1 = eigenvector(y[np.ix_(keep, keep)])
        content = np.nan_to_num(gc[keep] - np.nanmean(gc[keep]))
        out[keep] = e1 * np.sqrt(len(e1)) * (-1 if e1 @ content < 0 else 1)
    return out
