"""``orca-cool evaluate``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

import orca_cool as oc
from orca_cool.cli.evaluate_any import PROTOCOL, of_any
from orca_cool.cli.options import (
    JOB,
    Length,
    Verb,
    clr_weight_name_option,
    echo,
    force_option,
    is_quiet,
    job_options,
    json_option,
    output_option,
    refuse_given,
    say,
)
from orca_cool.cli.workers import NEEDS, quieten_dask, workers_options
from orca_cool.errors import ModelError
from orca_cool.prediction.parallel import only_helps

if TYPE_CHECKING:
    from orca_cool.evaluate.result import Result

#: Options that are about measured maps alone.
MEASURED = (
    "maps",
    "difference",
    "akita",
    "chroms",
    "levels",
    "base",
    "train",
    "features",
    "replicate",
    "no_ceiling",
    "clr_weight_name",
    "expected",
    "marks",
    "cutoff",
    "scc_smooth",
    *PROTOCOL[1:],
    "cache",
    "seed",
)


@click.command(cls=Verb)
@click.argument("maps", nargs=-1, metavar="[PREDICTED]... OBSERVED", type=click.Path())
@click.option("--chrom", "chroms", multiple=True, help="Chromosome to evaluate; repeat for more.")
@click.option(
    "--edits",
    type=click.Path(),
    help="Table of edits whose true changes are known, in place of maps.",
)
@click.option(
    "--predicted",
    type=click.Path(),
    help="With --edits: folder with ID.npz of predicted changes, in place of --model.",
)
@click.option(
    "--difference",
    is_flag=True,
    help="The difference of two cell types: PREDICTED_A PREDICTED_B OBSERVED_A OBSERVED_B.",
)
@click.option(
    "--akita",
    metavar="WINDOWS",
    multiple=True,
    type=click.Path(),
    help="Windows of 448 bins that Akita predicted: PREDICTED, brought to their form as in the "
    "paper, beside them. With --difference twice, of A and of B.",
)
@click.option(
    "--levels",
    help="Comma-separated resolutions in bp [default: all that the measured map can be averaged "
    "to].",
)
@click.option(
    "--base",
    type=Length(1),
    help="Bin of the measured map in bp [default: the prediction's or model's finest].",
)
@click.option(
    "--train",
    default="",
    help="Comma-separated chromosomes of the measured map that the baselines learn from.",
)
@click.option(
    "--features",
    type=click.Path(),
    help="BED with type 'centromere' in column 7: baseline (b), and the depletion.",
)
@click.option(
    "--replicate",
    type=click.Path(),
    help="Another measured map, scored as if it were a prediction.",
)
@click.option(
    "--no-ceiling", is_flag=True, help="Do not split the measured map's contacts in halves."
)
@clr_weight_name_option
@click.option(
    "--expected",
    metavar="TABLES",
    help="Of predictions of any models: how frequency falls with distance, as `stitch` takes it "
    "[default: as the first prediction that says it has it, else as the measured map].",
)
@click.option(
    "--mark",
    "marks",
    multiple=True,
    metavar="NAME=FILE",
    help="BigWig (CTCF, histone marks, ...): also how well strong contacts between its regions are "
    "found. Of PREDICTED files; repeatable.",
)
@click.option("--cutoff", default=5.0, show_default=True, help="Of adaptive coarse-graining.")
@click.option(
    "--nearest",
    type=click.IntRange(min=0),
    help="Leave out pixels fewer bins apart [default: 2; 0 with --model and maps].",
)
@click.option(
    "--insulation",
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="Side of the insulation diamond, in bins.",
)
@click.option(
    "--scc-smooth",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="h of HiCRep's mean filter, in bins.",
)
@job_options(required=False, edges="zero-padded")
@click.option("--module", help="With --model: its module [default: its first].")
@click.option(
    "--step",
    type=Length(1),
    help="With --model: bp between windows [default: top window / 64; / 50 of a 256M-type module].",
)
@click.option(
    "--window-phase",
    type=Length(),
    help="With --model: where the first window starts [default: 0].",
)
@click.option(
    "--trans",
    type=click.IntRange(min=1),
    help="With --model: also score contacts between chromosomes, in so many random inputs "
    "(256M-type).",
)
@click.option(
    "--cache",
    type=click.Path(),
    help="Folder that keeps coarse-grained tiles of measured maps for later runs.",
)
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    help="Of all that is random.",
)
@workers_options("evaluate", f"With --model. {NEEDS}")
@output_option("Folder for scores.tsv, scores.json and figures.", required=False)
@force_option
@json_option
def evaluate(
    maps: tuple[str, ...],
    chroms: tuple[str, ...],
    train: str,
    no_ceiling: bool,
    job: dict[str, Any],
    as_json: bool,
    module: str | None,
    step: int | None,
    window_phase: int | None,
    trans: int | None,
    nproc: int,
    dask: str | None,
    edits: str | None,
    predicted: str | None,
    difference: bool,
    akita: tuple[str, ...],
    **options: Any,
) -> None:
    """Correlation of log observed/expected per level, beside baselines and the measured map's
    split-half ceiling.

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

    Of --edits: predicted changes of maps against true ones; docs/training.md has the format.
    """
    if edits is not None:
        _of_edits(edits, predicted, job, module, as_json, options)
        return
    if predicted is not None:
        raise ModelError(f"--predicted {predicted!r} needs --edits, the table of true changes")
    _require_maps(maps, chroms)
    from orca_cool.evaluate.report import table, to_json

    shared: dict[str, Any] = {
        **options,
        "train": [c for c in train.split(",") if c],
        "ceiling": not no_ceiling,
        "progress": not is_quiet(),
    }
    if of_any(maps, chroms, shared, as_json, job["model"], difference, akita):
        return
    if job["model"] is None:
        if shared.pop("expected") is not None:
            refuse_given(["expected"], "is for several predictions, or one of another program")
        result = _of_file(maps, chroms, shared)
    else:
        refuse_given(["expected"], "a --model has its own")
        refuse_given(["marks"], "is of PREDICTED files")
        del shared["expected"]
        protocol = {"module": module, "step": step}
        protocol |= {"window_phase": window_phase or 0, "trans": trans or 0}
        work = job | {"nproc": nproc, "dask": dask}
        result = _of_model(maps, chroms, work, protocol | shared)
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
