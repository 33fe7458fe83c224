"""What ``orca-cool evaluate`` does: a predicted file, or a model, held against a measured map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca_cool.errors import ModelError
from orca_cool.evaluate.report import check_folder, write_folder
from orca_cool.evaluate.result import Result
from orca_cool.evaluate.tally import Choices
from orca_cool.prediction.job import EDGES, Job, Opened, Say
from orca_cool.prediction.progress import Report, progress_bar


@dataclass(frozen=True, kw_only=True)
class Against:
    """What is evaluated against, and how.

    Attributes
    ----------
    observed : balanced .cool or .mcool, the measured map. chroms : chromosomes that are scored.
    levels : comma-separated resolutions (with a model also windows, "1M"); None: all that the
        measured map can be averaged to.
    base : bin of the measured map in bp; None: the prediction's or model's finest.
    train : chromosomes of the measured map that the baselines learn from.
    features : BED with type 'centromere' in column 7, for baseline (b) and the depletion.
    replicate : another measured map, scored as if it were a prediction.
    ceiling : split the measured map's contacts in halves, which no prediction should surpass.
    cutoff : of adaptive coarse-graining. nearest : pixels fewer bins apart are left out; None: 2
        of a file, 0 of a model.
    insulation : side of the insulation diamond in bins. scc_smooth : h of HiCRep's mean filter.
    cache : folder that keeps coarse-grained tiles of measured maps. seed : of all that is random.
    output : folder for scores.tsv, scores.json and figures; force : replace it.
    """

    observed: str
    chroms: tuple[str, ...]
    levels: str | None = None
    base: int | None = None
    train: tuple[str, ...] = ()
    features: str | None = None
    replicate: str | None = None
    ceiling: bool = True
    cutoff: float = 5.0
    nearest: int | None = None
    insulation: int = 10
    scc_smooth: int = 0
    cache: str | None = None
    seed: int = 1
    output: str | None = None
    force: bool = False

    def options(self, nearest: int, progress: Callable[[int, int], None]) -> dict[str, Any]:
        """Arguments that both kinds of evaluation share."""
        nearest = nearest if self.nearest is None else self.nearest
        return {
            "base": self.base,
            "cutoff": self.cutoff,
            "train": list(self.train),
            "features": self.features,
            "replicate": self.replicate,
            "ceiling": self.ceiling,
            "cache": None if self.cache is None else Path(self.cache),
            "choices": Choices(nearest, self.insulation, self.scc_smooth, self.seed),
            "progress": progress,
        }

    def written(self, score: Callable[[], Result]) -> Result:
        """What ``score`` finds, written to the output folder if there is to be one."""
        if self.output is not None:
            check_folder(Path(self.output), self.force)
        result = score()
        if self.output is not None:
            write_folder(Path(self.output), result, self.force)
        return result


def evaluate_file(predicted: str, against: Against, *, progress: bool = True) -> Result:
    """Scores of a predicted .mcool: whole chromosomes, within each level's window.

    Raises
    ------
    ModelError, CoolerError, OutputError
    """
    from orca_cool.evaluate.files import evaluate_files

    levels = _parts(against.levels)
    for level in levels:
        if not level.isdigit():
            raise ModelError(f"--levels {level!r} is not a resolution in bp")

    def score() -> Result:
        with progress_bar(progress, "level", "evaluate") as report:
            return evaluate_files(
                predicted,
                against.observed,
                against.chroms,
                resolutions=map(int, levels),
                **against.options(2, report),
            )

    return against.written(score)


@dataclass(frozen=True, kw_only=True)
class EvaluateJob(Job):
    """Evaluate a model by the paper's protocol: zooms that tile the chromosomes, pixels pooled.

    Attributes
    ----------
    against : the measured map, chromosomes and levels.
    module : of the model; None: its first.
    step : bp between windows; None: a 64th of the top window (a 50th of a 256M-type module's).
    window_phase : bp at which the first window starts.
    trans : inputs of random chromosome pieces in which contacts between chromosomes are scored.
    """

    against: Against
    module: str | None = None
    step: int | None = None
    window_phase: int = 0
    trans: int = 0

    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> Result:
        """Predict and score.

        Raises
        ------
        OrcaCoolError
        """
        self.check()

        def score() -> Result:
            with progress_bar(progress, "window", "evaluate") as report:
                return self._score(opened or self.open(say), report)

        return self.against.written(score)

    def _score(self, opened: Opened, report: Report) -> Result:
        from orca_cool.evaluate.protocol import evaluate_model

        spec, against = opened.spec, self.against
        module = spec.module(self.module) if self.module else spec.modules[0]
        levels = _parts(against.levels)
        return evaluate_model(
            opened.engine,
            module,
            against.observed,
            against.chroms,
            resolutions=[spec.parse_level(level) for level in levels],
            step=self.step,
            phase=self.window_phase,
            trans=self.trans,
            edges=self.edges or EDGES[1],
            **against.options(0, report),
        )


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
