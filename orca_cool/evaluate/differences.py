"""Differences between two cell types, predicted against measured: r, and whether the strongest of
them go the right way (Zhou 2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.errors import CoolerError, ModelError
from orca_cool.evaluate.baselines import squares
from orca_cool.evaluate.files import MISSING, NEAREST, resolution_of
from orca_cool.evaluate.maps import MeasuredMaps, check_sizes
from orca_cool.evaluate.options import EvaluationOptions
from orca_cool.evaluate.predictions import Prediction, open_prediction
from orca_cool.evaluate.several import Level, base_of, common_levels, level_of
from orca_cool.genome.regions import n_bins
from orca_cool.maps.metrics import Moments, Sample, shared_pixels
from orca_cool.maps.open import open_map
from orca_cool.prediction.progress import Report, no_report

#: The share of pixels, those with the largest measured differences, whose direction is looked at.
TOP = 0.01

#: Pixels of a level that AUROC is computed of; if there are more, a random sample.
SAMPLE = 8_000_000


@dataclass(frozen=True)
class DifferenceScore:
    """How well the difference of two cell types is predicted at one level.

    Attributes
    ----------
    chrom : the chromosome; "all" for all of them. resolution : in bp.
    pixels : that all four maps know.
    r : Pearson's r of predicted and measured difference of log observed/expected.
    auroc : of the measured difference's sign by the predicted difference, among the
        :data:`TOP` of pixels with the largest measured difference; NaN if they all have one sign.
    top : number of those pixels.
    """

    chrom: str
    resolution: int
    pixels: int
    r: float
    auroc: float
    top: int


@dataclass
class Differences:
    """What the evaluation of a difference finds: a score of each level of each chromosome, and of
    all chromosomes pooled; how it was made.
    """

    scores: list[DifferenceScore]
    provenance: dict[str, Any]

    def rows(self) -> Iterator[dict[str, Any]]:
        """The scores as plain values, None for NaN."""
        for score in self.scores:
            plain = asdict(score)
            yield {k: None if v != v else v for k, v in plain.items()}


def auroc_of_top(predicted: np.ndarray, measured: np.ndarray) -> tuple[float, int]:
    """AUROC of the sign of the largest measured differences by the predicted ones, and how many
    they are.
    """
    from sklearn.metrics import roc_auc_score

    if not len(measured):
        return float("nan"), 0
    size = np.abs(measured)
    top = size > np.quantile(size, 1 - TOP)
    up = measured[top] > 0
    if not top.any() or up.all() or not up.any():
        return float("nan"), int(top.sum())
    return float(roc_auc_score(up, predicted[top])), int(top.sum())


class _Sums:
    """Sums of one level, window after window."""

    def __init__(self, seed: list[int]):
        self.moments, self.sample = Moments(), Sample(SAMPLE, seed)

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        self.moments.add(x, y)
        self.sample.add(x, y)

    def score(self, chrom: str, resolution: int) -> DifferenceScore:
        auroc, top = auroc_of_top(*self.sample.pairs)
        moments = self.moments
        return DifferenceScore(chrom, resolution, moments.pixels, moments.r(), auroc, top)


@dataclass(frozen=True)
class _Side:
    """One cell type: its prediction, its measured map, and its levels."""

    prediction: Prediction
    maps: MeasuredMaps
    levels: dict[int, Level]

    def both(self, chrom: str, r: int, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and measured log observed/expected of a square."""
        level = self.levels[r]
        x = self.prediction.log_ratio(chrom, r, a, b, level.expected, level.eps)
        y = self.maps.target(chrom, a * r, b * r, r, level.matrix(b - a), level.eps)
        return x, y


@dataclass(frozen=True)
class DifferenceEvaluation:
    """Two predictions and two measured maps, open and checked; :meth:`run` scores them."""

    sides: tuple[_Side, _Side]
    options: EvaluationOptions
    other: str
    predicted: tuple[str, str]

    @classmethod
    def open(
        cls, predicted: Sequence[str], other: str, options: EvaluationOptions
    ) -> DifferenceEvaluation:
        """Open the files and check that they fit together.

        Parameters
        ----------
        predicted : of the two cell types. other : the second one's measured map; that of the first
            is the options'.

        Raises
        ------
        ModelError
            If the two predictions, or the two measured maps, are one file.
        """
        for kind, one, two in (
            ("prediction", *predicted),
            ("measured map", options.observed, other),
        ):
            if one == two:
                raise ModelError(f"{kind} {one!r} is given twice; a difference is of two")
        chroms = options.scored_chroms
        asked = [resolution_of(level) for level in options.level_names]
        observed = [open_map(path) for path in (options.observed, other)]
        sizes = observed[0].chromsizes
        predictions = [open_prediction(path, chroms, sizes) for path in predicted]
        fine = sorted(set(observed[0].uris) & set(observed[1].uris))
        if not fine:
            raise CoolerError(
                f"measured maps {options.observed!r} and {other!r} have no bins in common"
            )
        wanted = common_levels(predictions, asked, options.base, fine)
        base = options.base or base_of(fine, wanted)
        missing = MISSING if options.missing is None else options.missing
        sides = []
        for prediction, path in zip(predictions, (options.observed, other)):
            own = replace(options, observed=path, ceiling=False, replicate=None)
            maps = MeasuredMaps.open(own, base, missing, wanted)
            maps.check(chroms, ())
            theirs = maps.observed.chromsizes
            check_sizes(
                chroms, theirs, maps.name, sizes, f"measured map {options.observed!r}", base
            )
            for r in wanted:
                prediction.check(chroms, sizes, maps.name, r)
            levels = {r: level_of(r, [prediction], own, maps) for r in wanted}
            sides.append(_Side(prediction, maps, levels))
        return cls((sides[0], sides[1]), options, other, (predicted[0], predicted[1]))

    def run(self, progress: Report = no_report) -> Differences:
        """Score every level of every chromosome.

        Parameters
        ----------
        progress : called with the number of levels of chromosomes that are done, and of all.
        """
        options, sizes = self.options, self.sides[0].maps.observed.chromsizes
        chroms, levels = options.scored_chroms, list(self.sides[0].levels)
        nearest = options.score_settings(NEAREST).nearest
        scores, done = [], 0
        totals = {r: _Sums([options.seed, r]) for r in levels}
        for c in chroms:
            for r in levels:
                band = min(side.levels[r].band for side in self.sides)
                sums = _Sums([options.seed, r])
                for a, b, own in squares(n_bins(sizes[c], r), band):
                    (x1, y1), (x2, y2) = (side.both(c, r, a, b) for side in self.sides)
                    x, y = x1 - x2, y1 - y2
                    x[own:, own:] = np.nan
                    i, j = shared_pixels(x, y, nearest, band - 1)
                    for part in (sums, totals[r]):
                        part.add(x[i, j], y[i, j])
                scores.append(sums.score(c, r))
                done += 1
                progress(done, len(chroms) * len(levels))
        if len(chroms) > 1:
            scores += [totals[r].score("all", r) for r in levels]
        return Differences(scores, self.provenance())

    def provenance(self) -> dict[str, Any]:
        """How the evaluation was made, JSON-able."""
        kind = {
            "way": "difference",
            "predicted": [Path(path).name for path in self.predicted],
            "observed_other": Path(self.other).name,
            "levels": list(self.sides[0].levels),
            "top": TOP,
        }
        maps = self.sides[0].maps
        settings = self.options.score_settings(NEAREST)
        return self.options.provenance(kind, maps.observed.resolution, maps.missing, settings)
