"""``orca-cool screen insert``: which sequence, put at a place, changes its contacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import orca_cool as oc
from orca_cool.cli.help_groups import HelpGroup
from orca_cool.cli.options import (
    Length,
    Verb,
    echo_each,
    edit_options,
    force_option,
    is_quiet,
    phasing_track_option,
    say,
)
from orca_cool.cli.profiling import profile_option
from orca_cool.cli.screen_options import screen_groups, screen_options
from orca_cool.cli.unfinished import kept_beside
from orca_cool.cli.workers import NEEDS, quieten_dask, workers_options
from orca_cool.perturb.insert_job import PRESETS
from orca_cool.prediction.parallel import only_helps

if TYPE_CHECKING:
    from orca_cool.variants.options import EditOptions


#: In the help.
GROUPS = screen_groups(
    HelpGroup(
        "What is inserted, and where",
        (
            "sources",
            "sites",
            "overwrite",
            "lengths",
            "orientations",
            "number",
            "spacing",
            "preset",
            "seed",
        ),
        "screen insert --sources background:0.38 --lengths 1kb --sites background:0.38:2 "
        "-m yeast-metaphase -g example -o inserted",
    ),
    HelpGroup(
        "How it is scored",
        ("scores", "module", "resolution", "strands", "mask", "loops", "phasing_track"),
    ),
)


@click.command(
    cls=Verb,
    remains=kept_beside,
    groups=GROUPS,
    epilog="OUT.parquet (a row for each sequence: source x site), OUT.tsv (means of each source), "
    "OUT.SCORE.bw (the same as tracks, where sources lie in the genome and do not overlap), "
    "OUT.png (the insertion matrix), OUT.json (settings and counts). Of several cell types scores "
    "are called SCORE.TYPE, of several models SCORE.MODEL or SCORE.MODEL.TYPE.",
)
@screen_options(
    module="the first, with --preset orca 32M",
    level="the finest, with --preset orca 128000",
    mask="What does not count: bins of which it holds more than a quarter.",
)
@click.option(
    "--sources",
    multiple=True,
    required=True,
    metavar="WHAT",
    help="What is inserted: a BED or FASTA file, shuffle:FILE or dinucleotide:FILE (the same in "
    "another order, drawn anew at each site), background:GC or background:GC:N (random bases; "
    "needs --lengths). Repeatable.",
)
@click.option(
    "--sites",
    required=True,
    metavar="WHERE",
    help="A BED, whose intervals' first bases are the sites, or background:GC:N, the middles of N "
    "random chromosomes.",
)
@click.option(
    "--overwrite/--insert",
    default=True,
    show_default=True,
    help="Replace the site's bases, or move what lies behind it.",
)
@click.option(
    "--lengths",
    type=Length(1),
    multiple=True,
    help="bp around the middle of each source [default: all of it]. Repeatable.",
)
@click.option(
    "--orientations",
    default="+",
    show_default=True,
    metavar="LIST",
    help="With commas: + and - (of all copies), and patterns with a letter for each copy: >><<.",
)
@click.option(
    "--number",
    "-n",
    type=int,
    multiple=True,
    default=(1,),
    help="Copies, of + and - [default: 1]. Repeatable.",
)
@click.option(
    "--spacing",
    type=int,
    multiple=True,
    default=(0,),
    help="bp of the site's sequence between copies [default: 0]. Repeatable.",
)
@click.option(
    "--scores",
    default="row",
    show_default=True,
    metavar="LIST",
    help="With commas: row, signed, dot (first copy to last), loop_change (with --loops), "
    "insulation, insulation_at, Akita's scd and ssd and others of `orca-cool variants`.",
)
@click.option("--loops", metavar="BEDPE", help="Pairs of places, of the score loop_change.")
@phasing_track_option
@click.option(
    "--preset",
    type=click.Choice(tuple(PRESETS)),
    help="The paper's compartment activity screen: 12,800 bp, the level of 128 kb of module 32M, "
    "sites at multiples of 128 kb.",
)
@edit_options
@workers_options("screen insert", NEEDS)
@profile_option
@force_option
def insert(job: dict[str, Any], edits: EditOptions, output: str, **options: Any) -> None:
    """Put sequences at sites, and score each by how much the contacts there change.

    All combinations of sources, sites, lengths, orientations, numbers and spacings are predicted. A
    killed run goes on where it was when the same command is repeated; its work lies in OUT.partial
    until then.
    """
    from orca_cool.perturb.insert_output import paths_of

    quieten_dask()
    found = oc.screen.insert(
        **job, edits=edits, output=output, **options, progress=not is_quiet(), say=say
    )
    paths = paths_of(output, found.columns).values()
    if not only_helps():
        echo_each(path for path in paths if Path(path).exists())
