"""The public API: one function for each verb of the command line, and the objects behind them.

``import orca_cool as oc`` gives all of it (:mod:`orca_cool`), and costs nothing until it is used:
what needs torch is imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from orca_cool.api.cell_types import each_cell_type, run_each
from orca_cool.errors import ModelError
from orca_cool.locks import locked_outputs
from orca_cool.model.estimate import together
from orca_cool.prediction.job import Say

if TYPE_CHECKING:
    from orca_cool.effects.unfinished_table import Summary
    from orca_cool.evaluate.edit_report import EditResult
    from orca_cool.evaluate.result import Result
    from orca_cool.maps.check import Report
    from orca_cool.model.estimate import Estimate


def _silent(line: str) -> None:
    """Tell nobody."""


@overload
def predict_to_mcool(
    output: str | Path, *, dry_run: Literal[True], say: Say = ..., **options: Any
) -> Estimate: ...
@overload
def predict_to_mcool(
    output: str | Path,
    *,
    dry_run: Literal[False] = ...,
    progress: bool = ...,
    say: Say = ...,
    **options: Any,
) -> list[Path]: ...
def predict_to_mcool(
    output: str | Path,
    *,
    dry_run: bool = False,
    progress: bool = True,
    say: Say = _silent,
    **options: Any,
) -> list[Path] | Estimate:
    """Predict contact maps and write them as an .mcool with expected tables.

    Parameters
    ----------
    output : the .mcool; of a model of several cell types, unless ``cell_type`` chooses one,
        "X.mcool" stands for "X.<cell type>.mcool" of each.
    dry_run : compute and write nothing; tell what would be computed, and what it takes.
    progress : show a progress bar. say : called with what the user should know, line by line.
    options : see :class:`orca_cool.effects.predict_job.PredictJob`; ``model`` and ``genome`` are
        needed.

    Returns
    -------
    Paths written; with ``dry_run`` an :class:`~orca_cool.model.estimate.Estimate`.

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what.

    Examples
    --------
    >>> oc.predict_to_mcool(
    ...     "out.mcool", model="yeast-metaphase", genome="example", regions=["chrII"]
    ... )  # doctest: +SKIP
    """
    from orca_cool.effects.predict_job import PredictJob
    from orca_cool.effects.types_run import TypesRun

    whole = PredictJob(output=str(output), **_plain(options))
    jobs = each_cell_type(whole)
    if dry_run:
        return together([job.estimate(say=say) for job in jobs])
    with TypesRun.of(whole).noted(jobs):
        return [path for paths in run_each(jobs, progress, say) for path in paths]


@overload
def score_variants(
    output: str | Path, *, dry_run: Literal[True], say: Say = ..., **options: Any
) -> Estimate: ...
@overload
def score_variants(
    output: str | Path,
    *,
    dry_run: Literal[False] = ...,
    progress: bool = ...,
    say: Say = ...,
    written: list[str] | None = ...,
    **options: Any,
) -> Summary: ...
def score_variants(
    output: str | Path,
    *,
    dry_run: bool = False,
    progress: bool = True,
    say: Say = _silent,
    written: list[str] | None = None,
    **options: Any,
) -> Summary | Estimate:
    """Score variants, and write the table (``orca-cool variants``).

    Parameters
    ----------
    output : the table (.tsv, .parquet, .vcf, .vcf.gz), or "-" for standard output.
    dry_run : compute and write nothing; tell what would be computed, and what it takes.
    written : is filled with the paths that are written.
    options : see :class:`orca_cool.effects.variants_job.VariantsJob`.

    Returns
    -------
    How many were scored, and why others were not; with ``dry_run`` an
    :class:`~orca_cool.model.estimate.Estimate`.
    """
    from orca_cool.effects.variants_job import VariantsJob

    jobs = each_cell_type(VariantsJob(output=str(output), **_plain(options)))
    if dry_run:
        return together([job.estimate(say=say) for job in jobs])
    *_, last = run_each(jobs, progress, say)
    if written is not None:
        written += dict.fromkeys(path for job in jobs for path in job.paths)
    return last  # which variants can be scored does not depend on the cell type


def check_mcool(path: str | Path) -> Report:
    """Whether a predicted .mcool is valid, and what it is good for (``orca-cool check``).

    Parameters
    ----------
    path : the .mcool.

    Returns
    -------
    Report: ``.valid``, ``.results`` (one a check and resolution), ``.uses`` (facts by resolution:
    distances that are known, largest insulation window, whether eigenvectors make sense).

    Raises
    ------
    CoolerError
        If it is no .mcool at all.

    Examples
    --------
    >>> oc.check_mcool("out.mcool").valid  # doctest: +SKIP
    True
    """
    from orca_cool.maps import check

    return check.check_mcool(path)


def encode_genome(
    output: str | Path, *, progress: bool = True, say: Say = _silent, **options: Any
) -> Path:
    """Encode a genome once and keep it, so that predictions only decode (``orca-cool encode``).

    Parameters
    ----------
    output : the store (.h5).
    options : see :class:`orca_cool.prediction.encode_job.EncodeJob`.
    """
    from orca_cool.prediction.encode_job import EncodeJob

    return EncodeJob(output=str(output), **_plain(options)).run(progress=progress, say=say)


def measure_expected(
    observed: str | Path, output: str | Path, *, progress: bool = True, **options: Any
) -> Path:
    """Expected contact frequency by distance of a measured map (``orca-cool expected``).

    Parameters
    ----------
    observed : balanced .cool or .mcool. output : folder to be made.
    options : see :class:`orca_cool.maps.expected_job.ExpectedJob`.
    """
    from orca_cool.maps.expected_job import ExpectedJob
    from orca_cool.prediction.progress import progress_bar

    job = ExpectedJob(observed=str(observed), output=str(output), **_plain(options))
    return job.run(partial(progress_bar, progress, "px"))


def evaluate_files(
    predicted: str | Path,
    observed: str | Path,
    chroms: Sequence[str],
    *,
    progress: bool = True,
    **options: Any,
) -> Result:
    """Hold a predicted .mcool against a measured map (``orca-cool evaluate``).

    Parameters
    ----------
    options : fields of :class:`orca_cool.evaluate.options.EvaluationOptions`.
    """
    from orca_cool.evaluate.job import evaluate_file
    from orca_cool.evaluate.options import EvaluationOptions

    against = EvaluationOptions(observed=str(observed), chroms=tuple(chroms), **_plain(options))
    return evaluate_file(str(predicted), against, progress=progress)


def evaluate_model(
    model: str,
    genome: str,
    observed: str | Path,
    chroms: Sequence[str],
    *,
    module: str | None = None,
    step: int | None = None,
    window_phase: int = 0,
    trans: int = 0,
    job: dict[str, Any] | None = None,
    progress: bool = True,
    say: Say = _silent,
    **options: Any,
) -> Result:
    """Hold a model against a measured map by the paper's protocol (``orca-cool evaluate -m``).

    Parameters
    ----------
    module, step, window_phase, trans : see :class:`orca_cool.evaluate.job.EvaluateJob`.
    job : further fields of :class:`orca_cool.prediction.job.Job` (device, store, ...).
    options : fields of :class:`orca_cool.evaluate.options.EvaluationOptions`.
    """
    from orca_cool.evaluate.job import EvaluateJob
    from orca_cool.evaluate.options import EvaluationOptions

    against = EvaluationOptions(observed=str(observed), chroms=tuple(chroms), **_plain(options))
    work = EvaluateJob(
        model=model,
        genome=genome,
        against=against,
        module=module,
        step=step,
        window_phase=window_phase,
        trans=trans,
        **(job or {}),
    )
    return work.run(progress=progress, say=say)


def evaluate_edits(
    table: str | Path,
    model: str | None = None,
    genome: str | None = None,
    *,
    predicted: str | Path | None = None,
    module: str | None = None,
    job: dict[str, Any] | None = None,
    progress: bool = True,
    say: Say = _silent,
    **options: Any,
) -> EditResult:
    """Hold predicted changes of maps against true ones (``orca-cool evaluate --edits``).

    Parameters
    ----------
    table : of edits with their true changes (docs/evaluation.md has the format).
    model, genome : that predict. predicted : in their place a folder with a file ``ID.npz`` for
        each row, which holds the predicted change.
    module : of the model; None: for each edit the first that has its resolution.
    job : further fields of :class:`orca_cool.prediction.job.Job` (device, store, ...).
    options : fields of :class:`orca_cool.evaluate.edit_job.EditsOptions`.

    Returns
    -------
    EditResult: ``.scores`` of all edits and of each kind, ``.numbers`` of each edit.

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what.

    Examples
    --------
    >>> oc.evaluate_edits("bench/edits.tsv", predicted="mine").scores[0].pixels.r  # doctest: +SKIP
    """
    from orca_cool.evaluate.edit_job import EditsOptions, EvaluateEditsJob, evaluate_predicted_edits

    against = EditsOptions(table=str(table), **_plain(options))
    if predicted is not None:
        if model is not None or genome is not None:
            raise ModelError(f"predicted {str(predicted)!r} takes the place of model and genome")
        return evaluate_predicted_edits(predicted, against, progress=progress)
    if model is None or genome is None:
        raise ModelError(f"edits {str(table)!r} need a model and a genome, or predicted changes")
    work = EvaluateEditsJob(
        model=model, genome=genome, against=against, module=module, **(job or {})
    )
    return work.run(progress=progress, say=say)


def plot_changes(
    output: str | Path,
    *,
    style: dict[str, Any] | None = None,
    progress: bool = True,
    say: Say = _silent,
    **options: Any,
) -> list[Path]:
    """Predict and draw what an edit changes, or a place of the reference, at every level.

    Parameters
    ----------
    output : the picture (.png, .pdf, .svg).
    style : see :class:`orca_cool.effects.plot_job.Style`.
    options : see :class:`orca_cool.effects.plot_job.PlotJob`.
    """
    from orca_cool.effects.plot_job import PlotJob, Style

    jobs = each_cell_type(
        PlotJob(output=str(output), style=Style(**(style or {})), **_plain(options))
    )
    return [path for paths in run_each(jobs, progress, say) for path in paths]


def plot_file(
    predicted: str | Path,
    output: str | Path,
    *,
    region: str | None = None,
    resolution: int | None = None,
    contact: bool = False,
    force: bool = False,
    **style: Any,
) -> list[Path]:
    """Draw a predicted .mcool beside a measured map, a difference (.diff.mcool), or the matrices of
    a variant or a zoom (.npz).

    Parameters
    ----------
    region, resolution, contact : of an .mcool: what is drawn.
    style : see :class:`orca_cool.effects.plot_job.Style`.
    """
    from orca_cool.effects.plot_job import Style, plot_variant
    from orca_cool.maps.picture import plot_maps

    drawn = Style(**_plain(style))
    with locked_outputs(output):
        if str(predicted).endswith(".npz"):
            if region or resolution or contact:
                raise ModelError(
                    f"{str(predicted)!r} is drawn as it is; choose with --levels alone"
                )
            return plot_variant(str(predicted), str(output), drawn, force=force)
        return plot_maps(
            str(predicted),
            Path(output),
            drawn.observed,
            region,
            resolution,
            contact=contact,
            vmax=drawn.vmax,
            dmax=drawn.dmax,
            clr_weight_name=drawn.clr_weight_name,
            force=force,
        )


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Paths as text and lists as tuples, as the jobs have them."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return str(value)
        return tuple(map(plain, value)) if isinstance(value, list | tuple) else value

    return {name: plain(value) for name, value in options.items()}
