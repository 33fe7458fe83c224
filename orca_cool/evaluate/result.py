"""What an evaluation finds: scores by chromosome and level, and their rows in tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: What is scored against the measured map, in the order in which it is shown. "distance": the
#: expected alone. "telomere": the baseline that knows distances and where the chromosome ends.
#: "centromere": the one that knows the centromere too. "halves": one half of the measured contacts,
#: scored against the other half.
PREDICTORS = ("model", "distance", "telomere", "centromere", "replicate", "halves")

#: Those that predict from position alone, the one that is told most last.
BASELINES = ("telomere", "centromere")


@dataclass(frozen=True)
class Metrics:
    """How well one predictor agrees with the measured map at one level.

    All numbers but the counts are correlations, from -1 to 1, and NaN where they are not defined
    (too few pixels, no variance, or no distance, as between chromosomes).

    Attributes
    ----------
    pixels : number of pixels that are compared.
    windows : number of windows that they come from.
    r : Pearson's r of log observed/expected over all pixels.
    r_window : r within single windows: mean, and 10th, 50th and 90th percentile over the windows.
        NaN where whole chromosomes are scored.
    r_distance : Pearson's r after the mean of each distance is subtracted from both maps.
    spearman : rank correlation of log observed/expected; of a random sample where there are many
        pixels.
    scc : HiCRep's stratum-adjusted correlation of contact frequencies.
    insulation : Pearson's r of the diamond insulation of log observed/expected.
    compartments : absolute r of the eigenvectors E1, mean over the windows.
    r_contact : Pearson's r of log contact frequency; high for every prediction, as it is ruled by
        distance.
    by_distance : (bins,) Pearson's r of log observed/expected at each distance of 0, 1, ... bins.
    pixels_by_distance : (bins,) number of pixels at each distance.
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
    """The scores of one level of one chromosome, or of all chromosomes with their pixels pooled.

    Attributes
    ----------
    chrom : the chromosome; "all" for all of them.
    resolution : of the level: its bin in bp.
    kind : "cis" for pixels within a chromosome, "trans" for pixels between chromosomes.
    metrics : by predictor (:data:`PREDICTORS`), over the pixels that both the model and the
        measured map have. "model" is always there, the others where they were asked for.
    beyond : partial correlation of predicted and measured log observed/expected given what the
        baseline that is told most (:data:`BASELINES`) predicts: r of what is left of both when a
        line in its prediction is taken off each. It is above 0 where the model knows something
        that the baseline does not. None without a baseline, or where it is not known everywhere.
    """

    chrom: str
    resolution: int
    kind: str
    metrics: dict[str, Metrics]
    beyond: float | None = None

    def _r(self, predictor: str) -> float | None:
        return self.metrics[predictor].r if predictor in self.metrics else None

    @property
    def r(self) -> float:
        """Pearson's r of predicted and measured log observed/expected."""
        return self.metrics["model"].r

    @property
    def pixels(self) -> int:
        """Number of pixels that the prediction is scored on."""
        return self.metrics["model"].pixels

    @property
    def telomere(self) -> float | None:
        """Pearson's r of the baseline that knows distances and telomeres; None if there is none."""
        return self._r("telomere")

    @property
    def centromere(self) -> float | None:
        """Pearson's r of the baseline that knows the centromere too; None if there is none."""
        return self._r("centromere")

    @property
    def replicate(self) -> float | None:
        """Pearson's r of the replicate; None if there is none."""
        return self._r("replicate")

    @property
    def ceiling(self) -> float | None:
        """Pearson's r of two random halves of the measured contacts; None if not asked for."""
        return self._r("halves")

    @property
    def full_ceiling(self) -> float | None:
        """The r of the halves carried to the depth of the whole map, sqrt(2 r / (1 + r)): the most
        that any prediction can expect to reach. None if not asked for.
        """
        half = self._r("halves")
        return None if half is None else float(np.sqrt(max(0.0, 2 * half / (1 + half))))


@dataclass(frozen=True)
class Example:
    """One window as a picture shows it.

    Attributes
    ----------
    place : what the window is of, "chrII:238,000" or "between chromosomes".
    resolution : bin in bp.
    predicted, observed : (n, n) log observed/expected, NaN where unknown.
    """

    place: str
    resolution: int
    predicted: np.ndarray
    observed: np.ndarray


@dataclass
class Result:
    """What an evaluation finds; ``result.scores[0].r`` is Pearson's r of its first level.

    Attributes
    ----------
    scores : one for each chromosome and level, then, if there are several chromosomes, one for each
        level with all chromosomes pooled, then those between chromosomes.
    provenance : how the evaluation was made: versions, files, model, options; JSON-able.
    centromeres : by chromosome, contacts across its centromere: ``at``, its centre in bp;
        ``across``, ``elsewhere``, mean log observed/expected of pixels that span it and of others;
        ``minimum``, where contacts across a bin are fewest, in bp; and the last three of the
        measured map, ``measured_across`` and so on. Empty unless a file was evaluated with
        centromeres.
    examples : windows to look at, at every level around a few places.
    """

    scores: list[Score]
    provenance: dict[str, Any]
    centromeres: dict[str, dict[str, float]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)


#: Columns of scores.tsv after chrom, kind, resolution and predictor.
COLUMNS = (
    "r",
    "r_distance",
    "spearman",
    "scc",
    "insulation",
    "compartments",
    "r_contact",
    "r_window_mean",
    "r_window_p10",
    "r_window_p50",
    "r_window_p90",
    "windows",
    "pixels",
)


def row(m: Metrics) -> dict[str, float | int | None]:
    """The numbers of one predictor by :data:`COLUMNS`, None for NaN."""
    values = (
        m.r,
        m.r_distance,
        m.spearman,
        m.scc,
        m.insulation,
        m.compartments,
        m.r_contact,
        *m.r_window,
    )
    plain: dict[str, float | int | None] = {
        k: v if np.isfinite(v) else None for k, v in zip(COLUMNS, values)
    }
    return plain | {"windows": m.windows, "pixels": m.pixels}


def rows(scores: list[Score]) -> Iterator[dict[str, Any]]:
    """One row for each chromosome, kind, level and predictor."""
    for s in scores:
        for name, m in s.metrics.items():
            yield {
                "chrom": s.chrom,
                "kind": s.kind,
                "resolution": s.resolution,
                "predictor": name,
                **row(m),
            }
