"""``orca-cool encode``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import orca_cool as oc
from orca_cool.cli.genome_options import genome_options
from orca_cool.cli.help_groups import MACHINE_GROUP, MODEL_GROUP, RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    GENOME_HELP,
    MODEL_HELP,
    Verb,
    echo,
    force_option,
    is_quiet,
    output_option,
    say,
)
from orca_cool.prediction.encode_job import STORE_DTYPES


def _remains(params: dict[str, Any]) -> str | None:
    """What a run that was stopped has left."""
    if not Path(params["output"]).exists():
        return None
    how = " without --force" if params["force"] else ""
    return f"what is encoded is kept in {params['output']!r}: repeat the command{how} to go on"


#: In the help.
GROUPS = (
    MODEL_GROUP,
    HelpGroup(
        "The store",
        ("output", "store_dtype", "verify"),
        "encode chrI -m yeast-metaphase -g example -o chrI.h5",
    ),
    MACHINE_GROUP,
    RUN_GROUP,
)


@click.command(
    cls=Verb,
    remains=_remains,
    groups=GROUPS,
    epilog="Beside OUT.h5: OUT.h5.lock, an empty file by which several processes take turns, "
    "which may be deleted when nobody uses the store. Beside a FASTA: its index, .fai and for "
    "bgzip .gzi.",
)
@click.argument("regions", nargs=-1)
@click.option("--model", "-m", required=True, help=MODEL_HELP)
@click.option("--genome", "-g", required=True, help=GENOME_HELP)
@output_option("The store (.h5); one that exists is filled up.")
@click.option(
    "--dtype",
    "store_dtype",
    type=click.Choice(STORE_DTYPES),
    help="Number type on disk [default: float16, or what the store has].",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option(
    "--verify",
    is_flag=True,
    help="First read every block that is there; damaged ones are told and encoded anew.",
)
@genome_options
@force_option
def encode(output: str, **options: object) -> None:
    """Encode both strands of REGIONs (chrII, chrII:100,000-500,000; default: all chromosomes) once
    and for all, in a store.

    Whatever predicts from a store reads them instead of encoding again. A killed run goes on where
    it was when the same command is repeated, and several may fill one store at the same time; by
    OUT.lock, which stays beside it, they agree on who does what.
    """
    echo(oc.encode_genome(output, **options, progress=not is_quiet(), say=say))
