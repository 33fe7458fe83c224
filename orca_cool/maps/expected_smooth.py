"""Measured contact frequency by distance -> a smooth expected table.

Source: Zhou 2022, Methods ("expected"): as measured up to 400 bins of 4 kb, beyond them lowess in
logs with a span of 0.01 up to 10,000 bins and 0.1 after; the 256 Mb module has the running minimum,
and one number between chromosomes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import CoolerError, OrcaCoolError, missing_package
from orca_cool.maps.expected_model import ExpectedModel

log = logging.getLogger(__name__)

#: Distances nearer than this, in bp, are kept as measured: 400 bins of 4 kb.
KEEP = 1_600_000
#: A distance with fewer valid pixels is not taken as measured.
MIN_PIXELS = 20
#: Up to here, in bp, lowess spans the first share of the table's distances; after it, the second:
#: 10,000 bins of 4 kb (Methods), which the released script counts from the 400th on.
FINE, SPANS = 40_000_000, (0.01, 0.1)
#: Lowess fits at least so many distances, but never more than the second share, however few the
#: table of a small genome has.
WINDOW = 20


@dataclass(frozen=True)
class Measured:
    """Sums over the regions of a map.

    Attributes
    ----------
    resolution : bin in bp.
    n_valid : (n,) int64, pixels at 0, 1, ... bins of distance of which neither bin is masked.
    total : (n,) float64, their balanced frequencies summed.
    trans : mean frequency between chromosomes, or None.
    """

    resolution: int
    n_valid: np.ndarray
    total: np.ndarray
    trans: float | None = None

    @property
    def average(self) -> np.ndarray:
        """(n,) mean frequency by distance, NaN where no pixel is valid."""
        return np.divide(
            self.total, self.n_valid, out=np.full(len(self.total), np.nan), where=self.n_valid > 0
        )


def smooth(
    measured: Measured,
    *,
    keep: int = KEEP,
    min_pixels: int = MIN_PIXELS,
    monotone: bool | None = None,
    wide_from: int = FINE,
) -> ExpectedModel:
    """Smooth what was measured into the expected contact frequency by distance.

    Nearer than ``keep``, and at distance 0, the result is the measured average itself; beyond, it
    is lowess of log frequency on log distance. A distance with too few pixels lies on the straight
    line (in logs) between its neighbours; one without contacts is pooled with those that follow
    until there is one, so that sparse far distances keep their mean. After the last distance with
    enough pixels the table is NaN.

    Parameters
    ----------
    measured : sums over the regions of a map.
    keep : distances nearer than this, in bp, stay as measured.
    min_pixels : valid pixels that a distance needs to be taken as measured.
    monotone : take the running minimum; default: where there is a trans value.
    wide_from : from here on, in bp, lowess has its wide span; 41.6 Mb in the released script.

    Raises
    ------
    CoolerError
        If no distance has enough pixels and contacts.
    """
    n_valid, total = measured.n_valid, measured.total
    usable = (n_valid >= min_pixels) & np.isfinite(total)
    contacts = usable & (total > 0)
    if not contacts.any():
        raise CoolerError(
            f"no distance at {measured.resolution} bp has contacts and {min_pixels} valid pixels "
            f"(at most {n_valid.max()}): measure more "
            "chromosomes or ask for fewer pixels (--min-pixels)"
        )
    first, end = int(np.argmax(contacts)), len(usable) - int(np.argmax(usable[::-1]))
    if first:
        log.warning(
            "%d bp: no contacts nearer than %d bins; the expected there is that of %d bins",
            *(measured.resolution, first, first),
        )
    nearest = contacts & (np.arange(len(total)) * measured.resolution < max(keep, 1))
    cis = np.full(len(total), np.nan)
    # distance 0 has no log: its neighbour's value, unless it was measured
    x = np.log(np.maximum(np.arange(end), 0.5))
    where = first + np.flatnonzero(usable[first:])
    level = np.where(nearest[where], measured.average[where], _pooled(measured, where, contacts))
    line = np.interp(x, x[where], np.log(level))
    cis[:end] = np.exp(line)
    begin, far = (-(-bp // measured.resolution) for bp in (max(keep, 1), wide_from))
    for a, b, span in ((begin, min(far, end), SPANS[0]), (max(begin, far), end, SPANS[1])):
        if a < b:
            cis[a:b] = np.exp(_lowess(line[1:], x[1:], span)[a - 1 : b - 1])
    cis[nearest] = measured.average[nearest]
    if monotone if monotone is not None else measured.trans is not None:
        cis = np.minimum.accumulate(cis)
    return ExpectedModel(measured.resolution, cis, measured.trans)


def _pooled(measured: Measured, where: np.ndarray, contacts: np.ndarray) -> np.ndarray:
    """Mean frequency at the distances ``where``, those without contacts pooled with what follows.

    A group ends with each distance that has contacts (``contacts``, (n,) bool); distances without
    any at the very end join the last group.
    """
    group = np.cumsum(contacts[where]) - contacts[where]
    group = np.minimum(group, group[contacts[where]][-1])
    total, n_valid = measured.total[where], measured.n_valid[where]
    pooled: np.ndarray = (np.bincount(group, total) / np.bincount(group, n_valid))[group]
    return pooled


def _lowess(y: np.ndarray, x: np.ndarray, span: float) -> np.ndarray:
    """Lowess of y on x, both (n,), x ascending; y itself where the span would hold fewer than three
    points.
    """
    try:
        from statsmodels.nonparametric.smoothers_lowess import lowess
    except ImportError as error:
        raise OrcaCoolError(
            missing_package("smoothing expected by distance", error, "train")
        ) from error
    share = max(span, min(WINDOW / len(x), SPANS[1]))
    if share * len(x) < 3:
        return y
    # fitted at points a tenth of the shortest window apart, straight between them: many times
    # faster
    found: np.ndarray = lowess(
        y, x, frac=share, delta=share / 10, is_sorted=True, return_sorted=False
    )
    return found
