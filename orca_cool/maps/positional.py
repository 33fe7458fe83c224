"""What can be predicted of a map from the position of a pixel alone, without sequence: the
baselines of the evaluation, and the teacher of the first stage of map training.

Gradient-boosted trees (scikit-learn's HistGradientBoostingRegressor) are fitted to the log
observed/expected of the training chromosomes. Their features are (a) the distance of the two bins
and their distances from the telomeres; (b) the same, and where the bins lie from the centromere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Chromosome:
    """Length of a chromosome and, if it is known, centre of its centromere, in bp."""

    length: int
    centromere: int | None = None


def features(chrom: Chromosome, resolution: int, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """(pixels, 3 or 8) float32 features of pixels (i, j), equal for (j, i).

    Logarithms (of kb + 2) of the distance and of the nearer and farther bin's distance from its
    telomere; with a centromere also those from the centromere, whether the pixel spans it, both
    arms' lengths in order of i and j.
    """
    x, y = (np.minimum(i, j) + 0.5) * resolution, (np.maximum(i, j) + 0.5) * resolution

    def kb(v: np.ndarray | float) -> np.ndarray:
        return np.log(np.maximum(np.asarray(v, dtype=float), 0) / 1000 + 2)

    tx, ty = np.minimum(x, chrom.length - x), np.minimum(y, chrom.length - y)
    columns = [kb(y - x), kb(np.minimum(tx, ty)), kb(np.maximum(tx, ty))]
    if chrom.centromere is not None:
        c = float(chrom.centromere)
        cx, cy = np.abs(x - c), np.abs(y - c)
        spans = (x < c) & (y > c)
        # arm length of the bin nearer to the centromere and of the other
        ax, ay = np.where(x < c, c, chrom.length - c), np.where(y < c, c, chrom.length - c)
        near = cx <= cy
        columns += [kb(np.minimum(cx, cy)), kb(np.maximum(cx, cy)), spans.astype(float)]
        columns += [kb(np.where(near, ax, ay)), kb(np.where(near, ay, ax))]
    return np.stack(columns, axis=1).astype(np.float32)


class Positional:
    """One regressor per resolution.

    Parameters
    ----------
    told_centromere : use the features of the centromere too.
    bins : the band: pixels at so many bins of distance or more are neither fitted nor predicted.
    leaves, iterations, seed : of the regressor.
    """

    def __init__(
        self,
        told_centromere: bool,
        bins: int,
        leaves: int = 31,
        iterations: int = 150,
        seed: int = 1,
    ):
        self.told_centromere, self.bins = told_centromere, bins
        self._options: dict[str, Any] = {
            "max_leaf_nodes": leaves,
            "max_iter": iterations,
            "learning_rate": 0.06,
            "min_samples_leaf": 200,
            "l2_regularization": 1.0,
            "random_state": seed,
            "early_stopping": False,
        }
        self._models: dict[int, Any] = {}

    def _chrom(self, chrom: Chromosome) -> Chromosome:
        return chrom if self.told_centromere else Chromosome(chrom.length)

    def fit(self, targets: Iterable[tuple[Chromosome, Mapping[int, np.ndarray]]]) -> Positional:
        """Fit on (chromosome, log observed/expected (n, n) by resolution) of the training
        chromosomes.
        """
        pairs = list(targets)
        for resolution in pairs[0][1]:
            self.fit_pixels(
                resolution, (self._pixels(chrom, levels[resolution]) for chrom, levels in pairs)
            )
        return self

    def _pixels(
        self, chrom: Chromosome, y: np.ndarray
    ) -> tuple[Chromosome, np.ndarray, np.ndarray, np.ndarray]:
        i, j = np.nonzero(np.triu(np.isfinite(y)))
        near = j - i < self.bins
        return chrom, i[near], j[near], y[i[near], j[near]]

    def fit_pixels(
        self,
        resolution: int,
        parts: Iterable[tuple[Chromosome, np.ndarray, np.ndarray, np.ndarray]],
    ) -> None:
        """Fit one level on (chromosome, rows, columns, log observed/expected), arrays (k,) each,
        rows and columns in its bins.
        """
        from sklearn.ensemble import HistGradientBoostingRegressor

        pairs = [(features(self._chrom(chrom), resolution, i, j), y) for chrom, i, j, y in parts]
        model = HistGradientBoostingRegressor(**self._options)
        self._models[resolution] = model.fit(
            np.concatenate([x for x, _ in pairs]), np.concatenate([y for _, y in pairs])
        )

    def predict(self, chrom: Chromosome, resolution: int, n: int, start: int = 0) -> np.ndarray:
        """(n, n) float32 log observed/expected of a window from ``start`` bp, of any phase; NaN
        beyond the band of ``bins``.
        """
        i, j = np.triu_indices(n)
        near = j - i < self.bins
        i, j = i[near], j[near]
        out = np.full((n, n), np.nan, dtype=np.float32)
        at = start / resolution
        out[i, j] = self._models[resolution].predict(
            features(self._chrom(chrom), resolution, i + at, j + at)
        )
        out[j, i] = out[i, j]
        return out
