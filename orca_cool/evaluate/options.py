"""The options that both kinds of evaluation share, of a predicted file and of a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orca_cool import __version__
from orca_cool.evaluate.accumulate import ScoreSettings
from orca_cool.maps.weights import WEIGHT


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """What a prediction is compared with, and how.

    The values are plain, so that a job that holds them can be sent to another process.

    Attributes
    ----------
    observed : balanced .cool or .mcool, the measured map. For a predicted file it may be another
        prediction, which is compared level by level.
    clr_weight_name : column of balancing weights of the measured maps.
    expected : of predictions of any models: how contact frequency falls with distance
        (:func:`orca_cool.maps.expected_named.named_expected`); None: as the first prediction that
        says it has it, else as the measured map has it.
    marks : of predictions of any models: NAME=FILE of bigWigs, by which kinds of regions are told
        apart (:mod:`orca_cool.evaluate.region_types`).
    chroms : chromosomes that are scored; one that is named twice is scored once.
    levels : comma-separated resolutions in bp (with a model also windows, "1M"); None: all that the
        measured map can be averaged to.
    base : bin of the measured map in bp, which is averaged to the levels; None: the finest of the
        predicted file, or the bin of the model's expected.
    cutoff : of adaptive coarse-graining of the measured map, in contacts.
    missing : largest share of missing fine pixels in a coarse pixel that is scored; None: 0.5 for a
        file, 0.25 for a model (as in the paper).
    train : chromosomes of the measured map that the baselines learn from; none: no baselines.
    features : BED with type 'centromere' in column 7, for the baseline that knows the centromere
        and, with a file, for the depletion across centromeres; None: neither.
    replicate : another measured map, scored as if it were a prediction.
    ceiling : also score one random half of the measured contacts against the other half, which
        shows how much of the measured map can be predicted at all.
    cache : folder that keeps coarse-grained tiles of measured maps for later runs.
    nearest : pixels fewer bins apart are left out; None: 2 for a file, 0 for a model.
    insulation : side of the insulation diamond in bins.
    scc_smooth : h of HiCRep's mean filter in bins; 0: no filter.
    seed : of everything random.
    output : folder for scores.tsv, scores.json and figures; None: nothing is written.
    force : replace the output folder if it exists.
    """

    observed: str
    chroms: tuple[str, ...]
    levels: str | None = None
    base: int | None = None
    cutoff: float = 5.0
    missing: float | None = None
    train: tuple[str, ...] = ()
    features: str | None = None
    replicate: str | None = None
    ceiling: bool = True
    cache: str | None = None
    nearest: int | None = None
    insulation: int = 10
    scc_smooth: int = 0
    seed: int = 1
    output: str | None = None
    force: bool = False
    clr_weight_name: str = WEIGHT
    expected: str | None = None
    marks: tuple[str, ...] = ()

    @property
    def scored_chroms(self) -> list[str]:
        """The chromosomes that are scored, each once."""
        return list(dict.fromkeys(self.chroms))

    @property
    def training_chroms(self) -> list[str]:
        """The chromosomes that the baselines learn from, each once."""
        return list(dict.fromkeys(self.train))

    @property
    def level_names(self) -> list[str]:
        """The levels that were asked for, as they were written; empty: all."""
        return [part.strip() for part in (self.levels or "").split(",") if part.strip()]

    def score_settings(self, nearest: int) -> ScoreSettings:
        """How scores are counted; ``nearest`` is used where the options do not say it."""
        return ScoreSettings(
            nearest=nearest if self.nearest is None else self.nearest,
            insulation=self.insulation,
            smooth=self.scc_smooth,
            seed=self.seed,
        )

    def provenance(
        self, kind: dict[str, Any], base: int, missing: float, settings: ScoreSettings
    ) -> dict[str, Any]:
        """How an evaluation was made, JSON-able; files by their names alone.

        Parameters
        ----------
        kind : what only this kind of evaluation has to say.
        base, missing, settings : as used, with the defaults filled in.
        """
        return {
            "orca_cool": __version__,
            **kind,
            "observed": Path(self.observed).name,
            "clr_weight_name": self.clr_weight_name,
            "chroms": self.scored_chroms,
            "base": base,
            "cutoff": self.cutoff,
            "missing": missing,
            "train": self.training_chroms,
            "replicate": None if self.replicate is None else Path(self.replicate).name,
            **asdict(settings),
        }
