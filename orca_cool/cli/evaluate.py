"""``orca-cool evaluate``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

import orca_cool as oc
from orca_cool.cli.evaluate_any import of_any
from orca_cool.cli.evaluate_options import GROUPS, MEASURED, PROTOCOL, evaluate_options
from orca_cool.cli.options import JOB, Verb, echo, is_quiet, refuse_given, say
from orca_cool.cli.workers import quieten_dask
from orca_cool.errors import ModelError
from orca_cool.prediction.parallel import only_helps

if TYPE_CHECKING:
    from orca_cool.evaluate.result import Result


def _remains(params: dict[str, Any]) -> str:
    """What a run that was stopped has left: nothing of its own, but what it was told to keep."""
    if params["window_store"] is None:
        return (
            "nothing of it is kept; with --window-store FILE decoded windows are, for the next run"
        )
    return f"decoded windows are kept in {params['window_store']!r}: repeat the command to go on"


@click.command(cls=Verb, groups=GROUPS, remains=_remains)
@click.argument("maps", nargs=-1, metavar="[PREDICTED]... OBSERVED", type=click.Path())
@evaluate_options
def evaluate(
    maps: tuple[str, ...],
    chroms: tuple[str, ...],
    job: dict[str, Any],
    protocol: dict[str, Any],
    as_json: bool,
    edits: str | None,
    predicted: str | None,
    difference: bool,
    akita: tuple[str, ...],
    **options: Any,
) -> None:
    """Correlation of log observed/expected per level, beside baselines and the measured map's
    split-half ceiling: a table on standard output, and with -o FOLDER also tables and figures.

    Of a PREDICTED .mcool: whole chromosomes, pixels 2 bins apart or more, within the level's
    window; OBSERVED may then be a prediction too, which is compared level by level. Of a --model:
    the paper's protocol, zooms that tile the chromosomes, all pixels pooled.

    Of several PREDICTED, or one that another program wrote (.mcool, .cool, or windows as .npz,
    folder or Zarr group; docs/stitch.md): one table, on the pixels that all of them know. With
    --difference, of two cell types: r of the difference of their maps, and AUROC of its sign in the
    1 % of pixels where it is largest.

    Baselines are boosted trees on position alone, trained on --train: on (a) distance and
    distances from the telomeres, (b) distance from the centromere too; "beyond" is the model's
    partial r given the latter. Other columns are the model's: replicate as predictor, r with
    each distance's mean subtracted, Spearman, HiCRep's SCC, r of insulation, |r| of eigenvectors
    E1, r of log contacts and that of distance alone (d-log), and mean, 10th, 50th and 90th
    percentile of single windows' r.

    Of --edits: predicted changes of maps against true ones; docs/evaluation.md has the format.
    """
    if edits is not None:
        _of_edits(edits, predicted, job, protocol["module"], as_json, options)
        return
    if predicted is not None:
        raise ModelError(f"--predicted {predicted!r} needs --edits, the table of true changes")
    _require_maps(maps, chroms)
    train, no_ceiling = options.pop("train"), options.pop("no_ceiling")
    options |= {"train": [c for c in train.split(",") if c], "ceiling": not no_ceiling}
    options["progress"] = not is_quiet()
    if not of_any(maps, chroms, options, as_json, job["model"], difference, akita):
        _of_maps(maps, chroms, job, protocol, as_json, options)


def _of_maps(
    maps: tuple[str, ...],
    chroms: tuple[str, ...],
    job: dict[str, Any],
    protocol: dict[str, Any],
    as_json: bool,
    options: dict[str, Any],
) -> None:
    """One prediction, or a model, against a measured map."""
    from orca_cool.evaluate.report import table, to_json

    expected = options.pop("expected")
    if job["model"] is None:
        if expected is not None:
            refuse_given(["expected"], "is for several predictions, or one of another program")
        result = _of_file(maps, chroms, options)
    else:
        refuse_given(["expected"], "a --model has its own")
        refuse_given(["marks"], "is of PREDICTED files")
        for name in ("nproc", "dask"):
            job[name] = protocol.pop(name)
        for name in ("window_phase", "trans"):
            protocol[name] = protocol[name] or 0
        result = _of_model(maps, chroms, job, protocol | options)
    if not only_helps():
        as_text = json.dumps(to_json(result), indent=2, allow_nan=False) if as_json else None
        echo(table(result) if as_text is None else as_text)


def _require_maps(maps: tuple[str, ...], chroms: tuple[str, ...]) -> None:
    """What click says of parameters that are missing, which only --edits makes needless."""
    ctx = click.get_current_context()
    for name, given in (("maps", maps), ("chroms", chroms)):
        if not given:
            parameter = next(p for p in ctx.command.params if p.name == name)
            raise click.MissingParameter(ctx=ctx, param=parameter)


def _of_edits(
    table: str,
    predicted: str | None,
    job: dict[str, Any],
    module: str | None,
    as_json: bool,
    options: dict[str, Any],
) -> None:
    from orca_cool.evaluate.edit_report import edits_json, edits_table

    refuse_given(MEASURED, "not with --edits, which has no measured map")
    if predicted is not None:
        refuse_given((*JOB, "module"), "not with --predicted, which needs no model")
    elif job["model"] is None or job["genome"] is None:
        raise ModelError(
            f"--edits {table!r} needs --model and --genome, or --predicted: the changes that are "
            f"scored"
        )
    nearest = 2 if options["nearest"] is None else options["nearest"]
    result = oc.evaluate_edits(
        table,
        job.pop("model"),
        job.pop("genome"),
        predicted=predicted,
        module=module,
        nearest=nearest,
        insulation=options["insulation"],
        output=options["output"],
        force=options["force"],
        job=job,
        progress=not is_quiet(),
        say=say,
    )
    if as_json:
        echo(json.dumps(edits_json(result), indent=2, allow_nan=False))
    else:
        echo(edits_table(result))


def _of_file(maps: tuple[str, ...], chroms: tuple[str, ...], options: dict[str, Any]) -> Result:
    if len(maps) != 2:
        raise ModelError(
            f"{', '.join(map(repr, maps))}: one prediction and one measured map are needed, or "
            f"--model and one measured map"
        )
    refuse_given((*JOB, *PROTOCOL), "needs --model; a PREDICTED file is evaluated as it is")
    return oc.evaluate_files(maps[0], maps[1], chroms, **options)


def _of_model(
    maps: tuple[str, ...], chroms: tuple[str, ...], job: dict[str, Any], options: dict[str, Any]
) -> Result:
    model, genome = job.pop("model"), job.pop("genome")
    quieten_dask()
    if len(maps) != 1:
        raise ModelError(
            f"{', '.join(map(repr, maps))} and --model {model!r}: give a predicted file or "
            f"--model, not both, and one measured map"
        )
    if genome is None:
        raise ModelError(f"--model {model!r} needs --genome, the sequence to predict from")
    return oc.evaluate_model(model, genome, maps[0], chroms, job=job, say=say, **options)
