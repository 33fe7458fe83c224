"""What ``orca-cool evaluate`` does: score a predicted file, or a model, on a measured map."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from orca_cool.evaluate.options import EvaluationOptions
from orca_cool.evaluate.report import check_folder, write_folder
from orca_cool.evaluate.result import Result
from orca_cool.genome.source import length_of
from orca_cool.locks import holding, locked_outputs
from orca_cool.prediction.job import Opened, Say
from orca_cool.prediction.parallel import only_helps
from orca_cool.prediction.progress import Report, progress_bar
from orca_cool.prediction.shared_job import PiecewiseJob, silent
from orca_cool.prediction.sharing import Alone

if TYPE_CHECKING:
    from orca_cool.evaluate.akita import BesideAkita
    from orca_cool.evaluate.differences import Differences
    from orca_cool.evaluate.protocol import ModelEvaluation
    from orca_cool.evaluate.several import Compared
    from orca_cool.evaluate.shared_zooms import ZoomsWork

T = TypeVar("T", "Compared", "Differences", "BesideAkita", covariant=True)


def evaluate_file(predicted: str, options: EvaluationOptions, *, progress: bool = True) -> Result:
    """Score a predicted .mcool: whole chromosomes, within each level's window.

    Parameters
    ----------
    predicted : .mcool written by ``orca-cool predict``.
    options : the measured map, the chromosomes, how they are scored, and where the result goes.
    progress : show a progress bar.

    Raises
    ------
    RegionError, ModelError, CoolerError, OutputError
    """
    from orca_cool.evaluate.files import FileEvaluation

    with locked_outputs(*outputs(options)):
        check_output(options)
        evaluation = FileEvaluation.open(predicted, options)
        with progress_bar(progress, "level", "evaluate") as report:
            result = evaluation.run(report)
        return written(result, options)


def evaluate_several(
    predicted: Sequence[str], options: EvaluationOptions, *, progress: bool = True
) -> Compared:
    """Score predictions of any models on the pixels that all of them know.

    Parameters
    ----------
    predicted : .mcool or .cool of anybody, or windows (docs/stitch.md).
    options : the measured map, the chromosomes, how they are scored, and where the result goes.
    progress : show a progress bar.

    Raises
    ------
    RegionError, ModelError, CoolerError, WindowsError, OutputError
    """
    from orca_cool.evaluate.several import SeveralEvaluation

    return _tabled(lambda: SeveralEvaluation.open(predicted, options), "level", options, progress)


def evaluate_differences(
    predicted: Sequence[str], other: str, options: EvaluationOptions, *, progress: bool = True
) -> Differences:
    """Score the predicted difference of two cell types against the measured one.

    Parameters
    ----------
    predicted : of the two, as for :func:`evaluate_several`.
    other : the second one's measured map. options : the first one's, and the rest.
    progress : show a progress bar.

    Raises
    ------
    RegionError, ModelError, CoolerError, WindowsError, OutputError
    """
    from orca_cool.evaluate.differences import DifferenceEvaluation

    return _tabled(
        lambda: DifferenceEvaluation.open(predicted, other, options), "level", options, progress
    )


def evaluate_akita(
    ours: str, akita: str, options: EvaluationOptions, *, progress: bool = True
) -> BesideAkita:
    """Score a prediction beside Akita's windows, in the form of these.

    Parameters
    ----------
    ours : a prediction with bins of 4 kb. akita : windows (docs/stitch.md).
    options : the measured map, the chromosomes, and where the result goes.
    progress : show a progress bar.

    Raises
    ------
    RegionError, CoolerError, WindowsError, OutputError
    """
    from orca_cool.evaluate.akita import AkitaEvaluation

    return _tabled(lambda: AkitaEvaluation.open(ours, akita, options), "window", options, progress)


def evaluate_akita_difference(
    ours: Sequence[str],
    akita: Sequence[str],
    observed: Sequence[str],
    options: EvaluationOptions,
    *,
    progress: bool = True,
) -> BesideAkita:
    """The same of the difference of two cell types.

    Parameters
    ----------
    ours, akita, observed : of the two, as for :func:`evaluate_akita`.
    options : the chromosomes, and where the result goes.
    progress : show a progress bar.

    Raises
    ------
    RegionError, CoolerError, WindowsError, OutputError
    """
    from orca_cool.evaluate.akita import AkitaDifference

    def opened() -> AkitaDifference:
        return AkitaDifference.open(ours, akita, observed, options)

    return _tabled(opened, "window", options, progress)


class _Evaluation(Protocol[T]):
    """What is ready to be evaluated."""

    def run(self, report: Report) -> T:
        """Score it; ``report`` is called with (done, in all)."""
        ...


def _tabled(
    opened: Callable[[], _Evaluation[T]], unit: str, options: EvaluationOptions, progress: bool
) -> T:
    """Open what is evaluated, score it, and write its tables, where the options name a folder.

    Parameters
    ----------
    opened : called when the folder is held, and known to be free. unit : of the progress bar.
    """
    from orca_cool.evaluate.several_report import FILES, write_several

    with locked_outputs(*outputs(options)):
        if options.output is not None:
            check_folder(Path(options.output), options.force, FILES)
        evaluation = opened()
        with progress_bar(progress, unit, "evaluate") as report:
            found = evaluation.run(report)
        if options.output is not None:
            write_several(options.output, found, options.force)
        return found


@dataclass(frozen=True, kw_only=True)
class EvaluateJob(PiecewiseJob):
    """Score a model by the paper's protocol: zooms tile the chromosomes, and pixels are pooled.

    Attributes
    ----------
    against : the measured map, the chromosomes, how they are scored, and where the result goes.
    module : name of the model's module; None: its first.
    step : bp between top windows; None: 1/64 of the top window (1/50 for a multi-chromosome
        module).
    window_phase : bp at which the first top window starts.
    trans : number of random inputs in which contacts between chromosomes are scored.
    """

    against: EvaluationOptions
    module: str | None = None
    step: int | None = None
    window_phase: int = 0
    trans: int = 0

    def check_inputs(self) -> None:
        """Raise what the model's header and the genome tell, before torch is loaded."""
        super().check_inputs()
        if self.cell_type is None and self.spec.cell_types:
            self.spec.check_cell_type("")  # a measured map is of one of them
        if self.module:
            self.spec.module(self.module)
        for name in self.against.level_names:
            self.spec.parse_level(name)
        for chrom in (*self.against.scored_chroms, *self.against.training_chroms):
            length_of(self.source, chrom)

    @holding(lambda job: [] if only_helps() else outputs(job.against))
    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> Result:
        """Predict and score.

        Parameters
        ----------
        opened : the model and genome, if they are open already.
        progress : show a progress bar.
        say : see :meth:`orca_cool.prediction.job.Job.open`.

        Raises
        ------
        OrcaCoolError
            If anything that the job names cannot be used; the message says which and why.
        """
        say = silent if only_helps() else say
        check_output(self.against)
        self.check()
        if opened is None:
            self.check_inputs()
        with self.sharing() as share:  # workers make themselves ready while the model is loaded
            evaluation = self._evaluation(share.opened(self.ready(opened, say)))
            shown = progress and not share.rank
            with progress_bar(shown, "window", "evaluate") as report:
                result = evaluation.run(report, share)
            for line in share.told:
                say(line)
        return result if only_helps() else written(result, self.against)

    def _evaluation(self, opened: Opened) -> ModelEvaluation:
        """Model and measured map, open and checked."""
        from orca_cool.evaluate.protocol import ModelEvaluation

        spec = opened.spec
        return ModelEvaluation.open(
            opened.engine,
            spec.module(self.module) if self.module else spec.modules[0],
            self.against,
            step=self.step,
            phase=self.window_phase,
            trans=self.trans,
            edges=opened.zoom_edges,
        )

    def work_of(self, opened: Opened, share: Alone, say: Say) -> ZoomsWork:
        """As of any job whose work is shared."""
        return self._evaluation(opened).work(share)

    @property
    def files(self) -> dict[str, str | None]:
        """The files that are read beside model and genome."""
        names = ("observed", "features", "replicate", "cache")
        return {name: getattr(self.against, name) for name in names}

    def with_files(self, **paths: str | None) -> EvaluateJob:
        """The same job with other files."""
        against = dataclasses.replace(self.against, **paths)  # type: ignore[arg-type]
        return dataclasses.replace(self, against=against)

    def of_worker(self) -> EvaluateJob:
        """As of any job whose work is shared."""
        job = super().of_worker()
        return dataclasses.replace(job, against=dataclasses.replace(job.against, output=None))


def outputs(options: EvaluationOptions) -> list[str]:
    """The output folder, if there is to be one."""
    return [] if options.output is None else [str(options.output)]


def check_output(options: EvaluationOptions) -> None:
    """Raise OutputError before any work is done if the output folder cannot be written."""
    if options.output is not None:
        check_folder(Path(options.output), options.force)


def written(result: Result, options: EvaluationOptions) -> Result:
    """The result, after it is written to the output folder if there is to be one."""
    if options.output is not None:
        write_folder(Path(options.output), result, options.force)
    return result
