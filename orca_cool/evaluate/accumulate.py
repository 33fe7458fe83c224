"""Scores of one level, summed up over any number of windows of one chromosome or of all, in bounded
memory.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from orca_cool.evaluate.maps import MeasuredWindow
from orca_cool.evaluate.result import BASELINES, PREDICTORS, Metrics, Score
from orca_cool.maps.metrics import (
    Moments,
    Sample,
    compartments,
    insulation,
    shared_pixels,
    smooth,
    spearman,
)


@dataclass(frozen=True)
class ScoreSettings:
    """Which pixels are counted, and how.

    Attributes
    ----------
    nearest : pixels fewer bins apart are left out.
    insulation : side of the insulation diamond in bins.
    smooth : h of HiCRep's mean filter in bins; 0: no filter.
    seed : of everything random.
    sample : number of pixels that are drawn for Spearman's correlation; with fewer all are used.
    """

    nearest: int = 2
    insulation: int = 10
    smooth: int = 0
    seed: int = 1
    sample: int = 1_000_000


class PredictorSums:
    """Sums from which the scores of one predictor at one level follow, window after window.

    Parameters
    ----------
    strata : number of distances that are told apart: those of 0 .. ``strata - 1`` bins.
    settings : which pixels are counted.
    seed : of this predictor's sample of pixels, beside the seed of the settings.
    trans : the pixels lie between chromosomes and have no distance.
    """

    def __init__(self, strata: int, settings: ScoreSettings, seed: int, trans: bool = False):
        self.settings, self.trans = settings, trans
        self.log, self.linear = Moments(1 if trans else strata), Moments(1 if trans else strata)
        self.contact, self.insulation = Moments(), Moments()
        self.sample = Sample(settings.sample, [settings.seed, seed])
        self.windows = 0
        self.r_window: list[float] = []
        self.compartments: list[float] = []

    def add(self, x: np.ndarray, y: np.ndarray, expected: np.ndarray, whole: bool) -> None:
        """Add one window.

        Parameters
        ----------
        x, y : (n, n) predicted and measured log observed/expected, NaN where unknown or not to be
            counted.
        expected : (n, n) log of the expected frequency.
        whole : the window is a whole window of a model, whose own r goes into
            :attr:`Metrics.r_window`.
        """
        settings = self.settings
        i, j = shared_pixels(
            x, y, 1 if self.trans else settings.nearest, None if self.trans else len(self.log.n) - 1
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
        if settings.smooth:
            u, v = (smooth(_square(len(x), i, j, m), settings.smooth)[i, j] for m in (u, v))
        self.linear.add(u, v, d)
        if np.ptp(a) == 0:
            return
        x, y = _square(len(x), i, j, a), _square(len(x), i, j, b)
        self.insulation.add(*insulation(x, y, settings.insulation))
        # the eigenvector of a map wider than its band of known pixels would show the band
        size = min(len(x), len(self.log.n))
        for k in range(0, len(x) - size + 1, size):
            self.compartments.append(
                compartments(x[k : k + size, k : k + size], y[k : k + size, k : k + size])
            )

    def merge(self, other: PredictorSums) -> None:
        """Add the windows of another chromosome."""
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


class LevelSums:
    """One level of one chromosome: the sums of each predictor.

    Parameters
    ----------
    chrom, resolution : of the level; "all" for several chromosomes.
    strata : bins of distance that the level has.
    settings : which pixels are counted.
    kind : "cis", or "trans" for pixels between chromosomes.
    """

    def __init__(
        self, chrom: str, resolution: int, strata: int, settings: ScoreSettings, kind: str = "cis"
    ):
        self.chrom, self.resolution, self.kind = chrom, resolution, kind
        self.strata, self.settings = strata, settings
        self.predictors: dict[str, PredictorSums] = {}
        self.with_model = {name: Moments() for name in BASELINES}

    def add(
        self,
        measured: MeasuredWindow,
        predictions: Mapping[str, np.ndarray],
        expected: np.ndarray,
        whole: bool = True,
    ) -> None:
        """Add one window.

        Parameters
        ----------
        measured : the window of the measured maps.
        predictions : by predictor, (n, n) log observed/expected. "model" must be there: only pixels
            that it and the measured map have are counted, for all predictors.
        expected, whole : see :meth:`PredictorSums.add`.
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
            self._sums(name).add(x, target, expected, whole)
        if self.kind == "cis":
            x = np.where(count, predictions["model"], np.nan)
            for name in set(BASELINES) & set(predictions):
                i, j = shared_pixels(x, predictions[name], self.settings.nearest, self.strata - 1)
                self.with_model[name].add(x[i, j], predictions[name][i, j])

    def _sums(self, name: str) -> PredictorSums:
        if name not in self.predictors:
            seed = zlib.crc32(f"{self.chrom} {self.resolution} {self.kind} {name}".encode())
            trans = self.kind == "trans"
            self.predictors[name] = PredictorSums(self.strata, self.settings, seed, trans)
        return self.predictors[name]

    def merge(self, other: LevelSums) -> None:
        """Add the same level of another chromosome."""
        for name, sums in other.predictors.items():
            self._sums(name).merge(sums)
        for name, sums_with_model in other.with_model.items():
            self.with_model[name].merge(sums_with_model)

    def score(self) -> Score:
        """The scores so far; 0 pixels and NaN where no pixel was seen."""
        self._sums("model")
        metrics = {
            name: self.predictors[name].metrics() for name in PREDICTORS if name in self.predictors
        }
        if "distance" in metrics:  # it predicts a constant: its r is undefined, and counts as 0
            metrics["distance"] = replace(metrics["distance"], r=0.0, r_distance=0.0, spearman=0.0)
        return Score(self.chrom, self.resolution, self.kind, metrics, self._beyond(metrics))

    def _beyond(self, metrics: Mapping[str, Metrics]) -> float | None:
        """See :attr:`Score.beyond`."""
        told = [name for name in BASELINES if name in metrics]
        if not told:
            return None
        name = told[-1]
        if not metrics["model"].pixels == metrics[name].pixels == self.with_model[name].pixels:
            return None  # the baseline is not known everywhere
        model, other, both = metrics["model"].r, metrics[name].r, self.with_model[name].r()
        rest = (1 - other**2) * (1 - both**2)
        return (model - other * both) / math.sqrt(rest) if rest > 0 else None


def pooled_scores(levels: Sequence[LevelSums]) -> list[Score]:
    """Scores of every level of every chromosome, then those of all chromosomes pooled by level
    (``chrom`` = "all"; only if there are several), then those between chromosomes.
    """
    cis = [level for level in levels if level.kind == "cis"]
    trans = [level for level in levels if level.kind == "trans"]
    totals: dict[int, LevelSums] = {}
    if len({level.chrom for level in cis}) > 1:
        for level in cis:
            r = level.resolution
            if r not in totals:
                totals[r] = LevelSums("all", r, level.strata, level.settings)
            totals[r].merge(level)
    return [level.score() for level in (*cis, *totals.values(), *trans)]


def _square(n: int, i: np.ndarray, j: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(n, n) symmetric map of pixels (i, j), NaN elsewhere."""
    out = np.full((n, n), np.nan)
    out[i, j] = values
    out[j, i] = values
    return out
