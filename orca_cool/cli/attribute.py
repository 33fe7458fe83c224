"""``orca-cool attribute``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import orca_cool as oc
from orca_cool.cli.help_groups import MACHINE_GROUP, MODEL_GROUP, RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    EDITS,
    Length,
    Verb,
    echo_each,
    edit_options,
    force_option,
    is_quiet,
    job_options,
    output_option,
    phasing_track_option,
    refuse_given,
    say,
)
from orca_cool.cli.unfinished import kept_beside
from orca_cool.cli.workers import NEEDS, quieten_dask, workers_options
from orca_cool.perturb.attribution import METHODS, OF_UNITS
from orca_cool.prediction.parallel import only_helps

if TYPE_CHECKING:
    from orca_cool.variants.options import EditOptions


#: In the help.
GROUPS = (
    HelpGroup(
        "What is explained, and how",
        (
            "objective",
            "method",
            "resolution",
            "width",
            "step",
            "runs",
            "baselines",
            "seed",
            "phasing_track",
        ),
        'attribute chrII:238,206-238,326 --objective "insulation chrII:238,265" --resolution 8000 '
        "-m yeast-metaphase -g example -o why",
    ),
    MODEL_GROUP,
    HelpGroup("An edited genome", EDITS),
    HelpGroup("What is written", ("output",)),
    MACHINE_GROUP,
    RUN_GROUP,
)


@click.command(cls=Verb, remains=kept_beside, groups=GROUPS)
@click.argument("region")
@click.option(
    "--objective",
    required=True,
    metavar="TEXT",
    help="What is explained: `pixel POSITION POSITION`, `dot POSITION POSITION`, `rect REGION "
    "REGION`, `insulation POSITION`, `row POSITION`, `e1 POSITION`, `profile NAME POSITION`, "
    "`difference TYPE TYPE OBJECTIVE` (two cell types, or the two models of --model).",
)
@click.option(
    "--method",
    default="gradient",
    show_default=True,
    type=click.Choice(METHODS),
    help="Input x gradient, integrated gradients (from N), expected gradients (from shuffles), "
    "every substitution (ism), or deletions or shuffles of short stretches.",
)
@click.option(
    "--resolution",
    help="Resolution (4000) or window (1M) at which the objective is read [default: the finest "
    "whose window holds it].",
)
@click.option(
    "--width", default=10, show_default=True, type=Length(1), help="Of a deletion or shuffle."
)
@click.option(
    "--step", type=Length(1), help="From one deletion or shuffle to the next [default: the width]."
)
@click.option(
    "--runs",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    help="Shuffles of each stretch, whose mean is taken.",
)
@click.option(
    "--baselines",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="Shuffles of REGION of which expected gradients take the mean.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="That shuffles are drawn from.",
)
@phasing_track_option
@job_options(several=True, windows=False)
@edit_options
@output_option("Prefix of what is written: OUT.parquet, OUT.bw, OUT.png, ...")
@workers_options("attribute", NEEDS)
@force_option
def attribute(
    region: str,
    objective: str,
    method: str,
    resolution: str | None,
    job: dict[str, Any],
    edits: EditOptions,
    output: str,
    force: bool,
    nproc: int,
    dask: str | None,
    **settings: Any,
) -> None:
    """Which bases of REGION a number of the predicted map depends on.

    Of the contact of two chromosomes (`pixel` and `rect`) REGION may be on either. REGION and the
    objective's positions are 0-based and, where the genome is edited, those of the
    edited genome. Written are OUT.tsv.gz and OUT.parquet (each base, or each stretch), OUT.bw (what
    each base contributes), OUT.A.bw to OUT.T.bw (the numbers of each base that may stand there) and
    OUT.png (logo, track, and the map with the objective drawn in).
    """
    if method not in OF_UNITS:
        refuse_given(("width", "step"), f"only for deletion and shuffle, not for {method!r}")
    if method != "shuffle":
        refuse_given(("runs",), f"only for shuffle, not for {method!r}")
    if method != "expected":
        refuse_given(("baselines",), f"only for expected, not for {method!r}")
    if method not in ("shuffle", "expected"):
        refuse_given(("seed",), f"only for shuffle and expected, not for {method!r}")
    quieten_dask()
    paths = oc.attribute.to_files(
        output,
        region=region,
        objective=objective,
        resolution=resolution,
        settings={"method": method} | settings,
        **job,
        edits=edits,
        force=force,
        nproc=nproc,
        dask=dask,
        progress=not is_quiet(),
        say=say,
    )
    if not only_helps():
        echo_each(paths)
