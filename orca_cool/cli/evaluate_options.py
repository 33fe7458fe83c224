"""The options of ``orca-cool evaluate``, and their groups in its help."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from orca_cool.cli.help_groups import MACHINE_GROUP, MODEL_GROUP, RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    Length,
    all_options,
    clr_weight_name_option,
    force_option,
    job_options,
    json_option,
    output_option,
)
from orca_cool.cli.workers import NEEDS, workers_options

F = TypeVar("F", bound=Callable[..., Any])

#: Options that are about a model alone, beside those of a job.
PROTOCOL = ("module", "step", "window_phase", "trans", "nproc", "dask")

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

#: In the help.
GROUPS = (
    HelpGroup(
        "Maps that are compared",
        ("chroms", "levels", "base", "clr_weight_name", "expected", "difference", "akita", "marks"),
        "evaluate predicted.mcool measured.mcool --chrom chrII --levels 2000,4000 -o scores",
    ),
    HelpGroup(
        "Baselines and ceiling",
        ("train", "features", "replicate", "no_ceiling", "cutoff", "cache", "seed"),
    ),
    HelpGroup("How maps are scored", ("nearest", "insulation", "scc_smooth")),
    HelpGroup(
        "A model, by the paper's protocol",
        (*MODEL_GROUP.options, "module", "step", "window_phase", "trans"),
        "evaluate orca_cool/data/maps/extrusion.a.mcool -m extrusion --cell-type a "
        "-g extrusion-example --chrom chr70 --levels 8000,16000",
    ),
    HelpGroup("Edits whose true changes are known, in place of maps", ("edits", "predicted")),
    HelpGroup("What is written", ("output",)),
    MACHINE_GROUP,
    RUN_GROUP,
)


#: In the order of the help.
_OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "--chrom", "chroms", multiple=True, help="Chromosome to evaluate; repeat for more."
    ),
    click.option(
        "--edits",
        type=click.Path(),
        help="Table of edits whose true changes are known, in place of maps.",
    ),
    click.option(
        "--predicted",
        type=click.Path(),
        help="With --edits: folder with ID.npz of predicted changes, in place of --model.",
    ),
    click.option(
        "--difference",
        is_flag=True,
        help="The difference of two cell types: PREDICTED_A PREDICTED_B OBSERVED_A OBSERVED_B.",
    ),
    click.option(
        "--akita",
        metavar="WINDOWS",
        multiple=True,
        type=click.Path(),
        help="Windows of 448 bins that Akita predicted: PREDICTED, brought to their form as in the "
        "paper, beside them. With --difference twice, of A and of B.",
    ),
    click.option(
        "--levels",
        help="Comma-separated resolutions in bp [default: all that the measured map can be "
        "averaged to].",
    ),
    click.option(
        "--base",
        type=Length(1),
        help="Bin of the measured map in bp [default: the prediction's or model's finest].",
    ),
    click.option(
        "--train",
        default="",
        help="Comma-separated chromosomes of the measured map that the baselines learn from.",
    ),
    click.option(
        "--features",
        type=click.Path(),
        help="BED with type 'centromere' in column 7: baseline (b), and the depletion.",
    ),
    click.option(
        "--replicate",
        type=click.Path(),
        help="Another measured map, scored as if it were a prediction.",
    ),
    click.option(
        "--no-ceiling", is_flag=True, help="Do not split the measured map's contacts in halves."
    ),
    clr_weight_name_option,
    click.option(
        "--expected",
        metavar="TABLES",
        help="Of predictions of any models: how frequency falls with distance, as `stitch` "
        "takes it [default: as the first prediction that says it has it, else as the measured "
        "map].",
    ),
    click.option(
        "--mark",
        "marks",
        multiple=True,
        metavar="NAME=FILE",
        help="BigWig (CTCF, histone marks, ...): also how well strong contacts between its "
        "regions are found. Of PREDICTED files; repeatable.",
    ),
    click.option("--cutoff", default=5.0, show_default=True, help="Of adaptive coarse-graining."),
    click.option(
        "--nearest",
        type=click.IntRange(min=0),
        help="Leave out pixels fewer bins apart [default: 2; 0 with --model and maps].",
    ),
    click.option(
        "--insulation",
        default=10,
        show_default=True,
        type=click.IntRange(min=1),
        help="Side of the insulation diamond, in bins.",
    ),
    click.option(
        "--scc-smooth",
        default=0,
        show_default=True,
        type=click.IntRange(min=0),
        help="h of HiCRep's mean filter, in bins.",
    ),
    job_options(required=False, edges="zero-padded"),
    click.option("--module", help="With --model: its module [default: its first]."),
    click.option(
        "--step",
        type=Length(1),
        help="With --model: bp between windows [default: top window / 64; / 50 of a 256M-type "
        "module].",
    ),
    click.option(
        "--window-phase",
        type=Length(),
        help="With --model: where the first window starts [default: 0].",
    ),
    click.option(
        "--trans",
        type=click.IntRange(min=1),
        help="With --model: also score contacts between chromosomes, in so many random inputs "
        "(256M-type).",
    ),
    click.option(
        "--cache",
        type=click.Path(),
        help="Folder that keeps coarse-grained tiles of measured maps for later runs.",
    ),
    click.option(
        "--seed",
        default=1,
        show_default=True,
        type=click.IntRange(min=0),
        help="Of all that is random.",
    ),
    workers_options("evaluate", f"With --model. {NEEDS}"),
    output_option("Folder for scores.tsv, scores.json and figures.", required=False),
    force_option,
    json_option,
]


def evaluate_options(function: F) -> F:
    """Decorator: all options of the verb; those of :data:`PROTOCOL` arrive as one argument
    ``protocol``, by name, and those of a job as ``job``.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **rest: Any) -> Any:
        protocol = {name: rest.pop(name) for name in PROTOCOL}
        return function(*args, protocol=protocol, **rest)

    return all_options(wrapped, _OPTIONS)  # type: ignore[return-value]
