"""Scores of one level, pooled over any number of windows of one chromosome or of all, in bounded
memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from orca_cool.evaluate.maps import Windowed
from orca_cool.maps.metrics import (
    Moments,
    Sample,
    compartments,
    insulation,
    shared,
    smooth,
    spearman,
)

#: What is scored against the target, in the order in which it is shown. "halves" is one half of the
#: target against the other.
PREDICTORS = ("model", "distance", "telomere", "centromere", "replicate", "halves")


@dataclass(frozen=True)
class Choices:
    """What is counted.

    Attributes
    ----------
    nearest : pixels fewer bins apart are left out.
    insulation : side of the diamond in bins. smooth : h of HiCRep's filter, in bins.
    seed : of everything random. sample : pixels drawn for Spearman's correlation; with fewer all
        are used.
    """

    nearest: int = 2
    insulation: int = 10
    smooth: int = 0
    seed: int = 1
    sample: int = 1_000_000


@dataclass(frozen=True)
class Metrics:
    """How well a predictor agrees with the target. NaN where something cannot be said.

    Attributes
    ----------
    r : Pearson's r of log observed/expected over all ``pixels`` of ``windows`` windows.
    r_window : r of single windows: mean, and 10th, 50th, 90th percentile.
    r_distance : r with the mean of each distance subtracted from both.
    spearman : rank correlation (of a random sample where there are more pixels than
        :attr:`Choices.sample`).
    scc : HiCRep's stratum-adjusted correlation of contact frequencies.
    insulation : r of the diamond insulation of log observed/expected. compartments : mean over
        windows of |r| of eigenvectors E1.
    r_contact : r of log contact frequency.
    by_distance : (bins,) r of each distance. pixels_by_distance : (bins,) pixels.
    """

    pixels: int
    windows: int
    r: float
    r_window: tuple[float, float, float, float]
    r_distance: float
    spearman: float
    scc: float
    insulation: float
    compartments: float
    r_contact: float
    by_distance: np.ndarray = field(repr=False, compare=False)
    pixels_by_distance: np.ndarray = field(repr=False, compare=False)


@dataclass(frozen=True)
class Score:
    """One level of one chromosome, or of all (``chrom`` = "all": the pixels pooled).

    Attributes
    ----------
    kind : "cis", or "trans" for pixels between chromosomes.
    found : by predictor (:data:`PREDICTORS`), over the pixels that both the model and the target
        have.
    """

    chrom: str
    resolution: int
    kind: str
    found: dict[str, Metrics]

    def _r(self, name: str) -> float | None:
        return self.found[name].r if name in self.found else None

    @property
    def r(self) -> float:
        """Pearson's r of predicted and measured log observed/expected."""
        return self.found["model"].r

    @property
    def pixels(self) -> int:
        return self.found["model"].pixels

    @property
    def telomere(self) -> float | None:
        """r of baseline (a), told distance and telomeres; None if not asked for."""
        return self._r("telomere")

    @property
    def centromere(self) -> float | None:
        """r of baseline (b), told the centromere too."""
        return self._r("centromere")

    @property
    def replicate(self) -> float | None:
        return self._r("replicate")

    @property
    def ceiling(self) -> float | None:
        """r of two binomial halves of the measured map's contacts, both treated as the target is."""
        return self._r("halves")

    @property
    def full_ceiling(self) -> float | None:
        """That r carried to the whole map's depth, sqrt(2 r / (1 + r)): the most that any
        prediction can expect to reach.
        """
        half = self._r("halves")
        return None if half is None else float(np.sqrt(max(0.0, 2 * half / (1 + half))))


class Pool:
    """One predictor at one level: streamed sums.

    Parameters
    ----------
    strata : distances in bins, as many as the level has. trans : pixels have no distance.
    """

    def __init__(self, strata: int, choices: Choices, seed: int, trans: bool = False):
        self.choices, self.trans = choices, trans
        self.log, self.linear = Moments(1 if trans else strata), Moments(1 if trans else strata)
        self.contact, self.insulation = Moments(), Moments()
        self.sample = Sample(choices.sample, [choices.seed, seed])
        self.windows = 0
        self.r_window: list[float] = []
        self.compartments: list[float] = []

    def add(self, x: np.ndarray, y: np.ndarray, expected: np.ndarray, whole: bool) -> None:
        """Add one window.

        Parameters
        ----------
        x, y : (n, n) predicted and measured log observed/expected, NaN where unknown or not to be
            counted.
        expected : (n, n) log of the expected frequency. whole : the window's own r is of interest.
        """
        c = self.choices
        i, j = shared(
            x, y, 1 if self.trans else c.nearest, None if self.trans else len(self.log.n) - 1
        )
        if not len(i):
            return
        a, b, e = x[i, j].astype(float), y[i, j].astype(float), expected[i, j]
        d = None if self.trans else j - i
        one = Moments(len(self.log.n)).add(a, b, d)
        self.windows += 1
        if whole:
            self.r_window.append(one.r())
        self.log.merge(one)
        self.sample.add(a, b)
        self.contact.add(a + e, b + e)
        if self.trans:
            return
        u, v = np.exp(a + e), np.exp(b + e)
        if c.smooth:
            u, v = (smooth(_square(len(x), i, j, m), c.smooth)[i, j] for m in (u, v))
        self.linear.add(u, v, d)
        if np.ptp(a) == 0:
            return
        x, y = _square(len(x), i, j, a), _square(len(x), i, j, b)
        self.insulation.add(*insulation(x, y, c.insulation))
        # an eigenvector of a map wider than its band would show the band
        size = min(len(x), len(self.log.n))
        for k in range(0, len(x) - size + 1, size):
            self.compartments.append(
                compartments(x[k : k + size, k : k + size], y[k : k + size, k : k + size])
            )

    def merge(self, other: Pool) -> None:
        """Add what another pool has seen."""
        self.windows += other.windows
        self.r_window += other.r_window
        self.compartments += other.compartments
        for mine, its in zip(self._sums(), other._sums()):
            mine.merge(its)
        self.sample.merge(other.sample)

    def _sums(self) -> tuple[Moments, ...]:
        return self.log, self.linear, self.contact, self.insulation

    def metrics(self) -> Metrics:
        """The scores so far."""
        each = np.array([r for r in self.r_window if np.isfinite(r)])
        bands = np.array([r for r in self.compartments if np.isfinite(r)])
        nan = float("nan")
        single = (
            (float(each.mean()), *np.percentile(each, (10, 50, 90)).tolist())
            if len(each)
            else (nan, nan, nan, nan)
        )
        return Metrics(
            pixels=self.log.pixels,
            windows=self.windows,
            r=self.log.r(),
            r_window=single,
            r_distance=nan if self.trans else self.log.within(),
            spearman=spearman(*self.sample.pairs),
            scc=nan if self.trans else self.linear.scc(),
            insulation=self.insulation.r(),
            compartments=float(bands.mean()) if len(bands) else nan,
            r_contact=self.contact.r(),
            by_distance=self.log.by_stratum(),
            pixels_by_distance=self.log.n.astype(int),
        )


class Tally:
    """One level of one chromosome: a pool for each predictor.

    Parameters
    ----------
    strata : bins of distance of the level. kind : "cis" or "trans".
    """

    def __init__(
        self, chrom: str, resolution: int, strata: int, choices: Choices, kind: str = "cis"
    ):
        self.chrom, self.resolution, self.strata, self.choices, self.kind = (
            chrom,
            resolution,
            strata,
            choices,
            kind,
        )
        self.pools: dict[str, Pool] = {}

    def add(
        self,
        measured: Windowed,
        predictions: Mapping[str, np.ndarray],
        expected: np.ndarray,
        whole: bool = True,
    ) -> None:
        """Add one window.

        Parameters
        ----------
        predictions : by predictor, (n, n) log observed/expected; "model" is there, and only pixels
            that it and the target have count.
        expected, whole : see :meth:`Pool.add`.
        """
        count = np.isfinite(predictions["model"]) & np.isfinite(measured.target)
        y = np.where(count, measured.target, np.nan)
        pairs = {name: (x, y) for name, x in predictions.items()}
        if self.kind == "cis":
            pairs["distance"] = (np.zeros_like(y), y)
        if measured.replicate is not None:
            pairs["replicate"] = (measured.replicate, y)
        if measured.halves is not None:
            pairs["halves"] = (measured.halves[0], np.where(count, measured.halves[1], np.nan))
        for name, (x, target) in pairs.items():
            self._pool(name).add(x, target, expected, whole)

    def _pool(self, name: str) -> Pool:
        if name not in self.pools:
            seed = zlib.crc32(f"{self.chrom} {self.resolution} {self.kind} {name}".encode())
            self.pools[name] = Pool(self.strata, self.choices, seed, self.kind == "trans")
        return self.pools[name]

    def merge(self, other: Tally) -> None:
        """Add another chromosome's."""
        for name, pool in other.pools.items():
            self._pool(name).merge(pool)

    def score(self) -> Score:
        """The scores so far; empty pools where no pixel was seen."""
        self._pool("model")
        found = {name: self.pools[name].metrics() for name in PREDICTORS if name in self.pools}
        if "distance" in found:  # a constant: undefined, and as good as nothing
            found["distance"] = replace(found["distance"], r=0.0, r_distance=0.0, spearman=0.0)
        return Score(self.chrom, self.resolution, self.kind, found)


def _square(n: int, i: np.ndarray, j: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = np.full((n, n), np.nan)
    out[i, j] = values
    out[j, i] = values
    return out
