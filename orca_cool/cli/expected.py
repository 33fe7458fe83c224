"""``orca-cool expected``."""

from __future__ import annotations

from typing import Any

import click

import orca_cool as oc
from orca_cool.cli.help_groups import MACHINE_GROUP, RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    Length,
    Verb,
    clr_weight_name_option,
    echo,
    force_option,
    is_quiet,
    nproc_option,
    output_option,
)

#: In the help.
GROUPS = (
    HelpGroup(
        "What is measured of the map",
        ("resolutions", "trans", "view", "exclude", "clr_weight_name"),
        "expected orca_cool/data/maps/yeast.10kb.mcool --resolution 10000 -o expected",
    ),
    HelpGroup("How it is smoothed", ("keep", "wide_from", "monotone", "min_pixels")),
    HelpGroup("What is written", ("output",)),
    MACHINE_GROUP,
    RUN_GROUP,
)


@click.command(cls=Verb, groups=GROUPS)
@click.argument("observed")
@output_option("Folder to be made.")
@click.option(
    "--resolution",
    "-r",
    "resolutions",
    multiple=True,
    type=Length(1),
    help="In bp; repeat for more [default: all].",
)
@click.option(
    "--trans",
    is_flag=True,
    help="Also the frequency between chromosomes, at the coarsest of the resolutions.",
)
@click.option(
    "--monotone/--no-monotone",
    default=None,
    help="Never let it rise with distance [default: only where there is trans].",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="CHROM,...",
    help="Chromosomes that must not enter (those held out).",
)
@click.option("--keep", type=Length(), help="Nearer distances stay as measured [default: 1.6 Mb].")
@click.option(
    "--wide-from",
    type=Length(1),
    help="From this distance on the wide span smooths [default: 40 Mb; the released: 41.6 Mb].",
)
@click.option(
    "--min-pixels", type=click.IntRange(min=1), help="Valid pixels a distance needs [default: 20]."
)
@click.option(
    "--view",
    type=click.Path(),
    help="BED of regions to measure within [default: whole chromosomes].",
)
@clr_weight_name_option
@nproc_option
@force_option
def expected(observed: str, output: str, exclude: tuple[str, ...], **options: Any) -> None:
    """Expected contact frequency by distance of OBSERVED (a balanced .cool or .mcool), as a model
    and its training need it.

    Orca's own set: --resolution 1000 --resolution 4000 --resolution 32000 --trans --wide-from
    41.6Mb, of all chromosomes. The folder holds
    a table (TSV) per resolution, a picture of them, and expected.json, which says how they were
    made.
    """
    names = tuple(dict.fromkeys(n for text in exclude for n in text.split(",") if n))
    given = {name: value for name, value in options.items() if value is not None}
    folder = oc.measure_expected(observed, output, exclude=names, **given, progress=not is_quiet())
    echo(folder)
