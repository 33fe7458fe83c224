"""``orca-cool screen``: virtual screens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import orca_cool as oc
from orca_cool.cli.help_groups import HelpGroup
from orca_cool.cli.options import (
    Length,
    Verb,
    VerbGroup,
    echo_each,
    edit_options,
    force_option,
    is_quiet,
    say,
)
from orca_cool.cli.profiling import profile_option
from orca_cool.cli.screen_insert import insert
from orca_cool.cli.screen_options import SCORE_GROUP, place_options, screen_groups, screen_options
from orca_cool.cli.unfinished import kept_beside
from orca_cool.cli.workers import NEEDS, quieten_dask, workers_options
from orca_cool.perturb.motif_job import THRESHOLD
from orca_cool.perturb.screen_job import PRESETS
from orca_cool.prediction.parallel import only_helps

if TYPE_CHECKING:
    from orca_cool.variants.options import EditOptions

_between = click.option(
    "--between",
    metavar="CHROM",
    help="Score the contacts with this other chromosome, at the top level of a module that reads "
    "several [default: those within the unit's own].",
)


#: How a place is changed.
_CHANGED = ("per_sequence", "runs", "aggregate", "replace", "seed")
LOCAL = screen_groups(
    HelpGroup(
        "Units, and what replaces them",
        ("unit", "width", "step", "sites", *_CHANGED, "preset"),
        "screen local chrII:238,100-238,400 --per-sequence 1 -m yeast-metaphase -g example -o cen2",
    ),
    SCORE_GROUP,
    output=("top", "flank"),
)
MOTIFS = screen_groups(
    HelpGroup(
        "Motifs, and how their hits are knocked out",
        ("motifs", "threshold", *_CHANGED),
        "screen motifs chr70:0-1,000,000 --motifs ctcf.jaspar --runs 1 -m extrusion "
        "-g extrusion-example -o ctcf",
    ),
    SCORE_GROUP,
)


@click.group(
    cls=VerbGroup,
    example="screen local chrII:238,100-238,400 --per-sequence 1 -m yeast-metaphase -g example "
    "-o cen2",
)
def screen() -> None:
    """Ask a model which base pairs its maps hang on: virtual screens."""


screen.add_command(insert)


@screen.command(
    cls=Verb,
    remains=kept_beside,
    groups=LOCAL,
    epilog="OUT.bw and OUT.bedgraph.gz (OUT.TYPE.bw ... of several cell types, OUT.MODEL.bw or "
    "OUT.MODEL.TYPE.bw ... of several models), OUT.json (settings and counts), OUT.top.tsv and "
    "OUT.top.fa (the strongest units and the sequence around them).",
)
@click.argument("regions", metavar="[REGION]...", nargs=-1)
@screen_options(
    module="the first, with --preset orca 1M", strands="both, with --preset orca forward"
)
@click.option("--unit", type=Length(1), default=10, show_default=True, help="Bases of a unit.")
@click.option("--width", type=Length(1), help="Tile with units so wide ... [default: --unit].")
@click.option("--step", type=Length(1), help="... every so many bp [default: the width].")
@place_options(
    "unit",
    changed="replaced",
    per_sequence=20,
    aggregate="min",
    replace="sample",
    why=" The minimum leaves out those that only share sequences with a strong one.",
)
@_between
@click.option("--sites", metavar="BED", help="Score these places alone, each a unit.")
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    help="As in the paper: module 1M, forward strand.",
)
@click.option(
    "--top", default=100, show_default=True, type=click.IntRange(0), help="Units in OUT.top.*."
)
@click.option(
    "--flank", type=Length(), default=50, show_default=True, help="bp around them in OUT.top.fa."
)
@edit_options
@workers_options("screen local", NEEDS)
@profile_option
@force_option
def local(
    regions: tuple[str, ...], job: dict[str, Any], edits: EditOptions, **options: Any
) -> None:
    """Score every unit of the REGIONs by how much its bin's contacts change when it is replaced.

    The score is the mean change, without its sign, of ln(observed/expected) over the row of the
    unit's bin. A killed run goes on where it was when the same command is repeated; its work lies
    in OUT.partial until then.
    """
    from orca_cool.perturb.screen_output import paths_of

    quieten_dask()
    found = oc.screen.local(
        regions, **job, edits=edits, **options, progress=not is_quiet(), say=say
    )
    if not only_helps():
        echo_each(paths_of(options["output"], found.names).values())


@screen.command(
    cls=Verb,
    remains=kept_beside,
    groups=MOTIFS,
    epilog="OUT.motifs.tsv (a row for each motif and comparison: motif, A, B, n, mean_A, mean_B, "
    "difference, p, q), OUT.hits.tsv (each hit with its scores and its background's), OUT.json "
    "(settings and counts).",
)
@click.argument("regions", metavar="[REGION]...", nargs=-1)
@screen_options()
@click.option(
    "--motifs",
    metavar="FILE",
    required=True,
    help="Matrices of JASPAR or MEME, looked for in the REGIONs on both strands; or a BED of hits "
    "with the motif's name in column 4.",
)
@click.option(
    "--threshold",
    type=float,
    help="Largest p-value of a hit, among bases of the REGIONs' composition; for matrices only "
    f"[default: {THRESHOLD}].",
)
@place_options("place", changed="knocked out", per_sequence=1, aggregate="mean", replace="shuffle")
@_between
@edit_options
@workers_options("screen motifs", NEEDS)
@profile_option
@force_option
def motifs(
    regions: tuple[str, ...], job: dict[str, Any], edits: EditOptions, **options: Any
) -> None:
    """Knock out each hit of motifs, and a matched background of each: per motif, how much its
    contacts change, and in which cell type.

    A background is a place in the same REGION, as wide and as rich in G+C, that overlaps no hit.
    With several models or cell types all score the same sequences. A killed run goes on where it
    was when the same command is repeated; its work lies in OUT.partial until then.
    """
    from orca_cool.perturb.motif_result import paths_of

    quieten_dask()
    oc.screen.motifs(regions, **job, edits=edits, **options, progress=not is_quiet(), say=say)
    first, *others = paths_of(options["output"])
    if not only_helps():
        echo_each([*others, first])
