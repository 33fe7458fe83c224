"""``orca-cool stitch``."""

from __future__ import annotations

from typing import Any

import click

import orca_cool as oc
from orca_cool.cli.help_groups import RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    GENOME_HELP,
    Verb,
    echo_each,
    force_option,
    is_quiet,
    mode_option,
    output_option,
    pseudo_depth_option,
    say,
)

#: In the help.
GROUPS = (
    HelpGroup(
        "Genome, and what the windows are relative to",
        ("genome", "chrom_names", "expected"),
        "stitch windows -g example -e inverse-distance --name theirs -o theirs.mcool",
    ),
    HelpGroup(
        "What is written",
        ("output", "mode", "pseudo_depth", "name", "cell_type", "licence", "assembly"),
    ),
    RUN_GROUP,
)


@click.command(cls=Verb, groups=GROUPS)
@click.argument("windows", type=click.Path())
@click.option("--genome", "-g", required=True, help=GENOME_HELP)
@click.option(
    "--chrom-names",
    metavar="HOW",
    help="add-chr, strip-chr or a two-column TSV: rename the genome's chromosomes.",
)
@output_option("The .mcool; expected tables appear beside it.")
@click.option(
    "--expected",
    "-e",
    required=True,
    metavar="TABLES",
    help="How contact frequency falls with distance in the data that the model was trained on: a "
    "folder of `orca-cool expected`, a table of `cooltools expected-cis`, or inverse-distance, a "
    "plain law for looking at maps.",
)
@click.option("--name", help="Of the model, for the file [default: that of WINDOWS].")
@click.option("--cell-type", default="", help="For the file: whose maps these are.")
@click.option("--licence", default="", help="For the file: terms of the model.")
@click.option("--assembly", help="Name of the assembly in the file [default: the genome's].")
@mode_option
@pseudo_depth_option
@force_option
def stitch(windows: str, output: str, **options: Any) -> None:
    """Join WINDOWS that any model has predicted to an .mcool, with expected tables, for cooltools
    and HiGlass.

    WINDOWS is a folder of .npz files, one .npz, or a Zarr group, with the arrays chrom, start, end
    and values (docs/stitch.md). Overlaps are averaged as those of `predict` are; the order of files
    does not matter.
    """
    paths = oc.stitch_windows(windows, output, **options, progress=not is_quiet(), say=say)
    echo_each(paths)
