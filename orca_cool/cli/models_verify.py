"""``orca-cool models verify``."""

from __future__ import annotations

from typing import Any

import click

import orca_cool as oc
from orca_cool.cli.genome_options import genome_options
from orca_cool.cli.help_groups import MACHINE_GROUP, RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    CELL_TYPE_HELP,
    GENOME_HELP,
    STORE_HELP,
    Verb,
    clr_weight_name_option,
    echo,
    force_option,
    is_quiet,
    json_option,
    output_option,
    say,
)

CHROMS = ("chr9", "chr10")


def _remains(params: dict[str, Any]) -> str | None:
    """What a run that was stopped has left."""
    if params["store"] is None:
        return "no report was written; with --store what is encoded is kept for the next run"
    return f"no report was written; what is encoded is kept in {params['store']!r}"


#: In the help.
GROUPS = (
    HelpGroup(
        "The model, and the sequence on which approximations are measured",
        ("name", "module", "cell_type", "genome", "chrom_names", "any_genome", "at"),
        "models verify yeast-metaphase -g example --at chrII:400,000 -o report.json",
    ),
    HelpGroup("A measured map to score on", ("observed", "chroms", "windows", "clr_weight_name")),
    HelpGroup("What is written", ("output",)),
    MACHINE_GROUP,
    RUN_GROUP,
)


@click.command(cls=Verb, remains=_remains, groups=GROUPS)
@click.argument("model")
@output_option("The report (.json).")
@click.option("--map", "observed", type=click.Path(), help="Balanced .cool or .mcool to score on.")
@click.option("--genome", "-g", help=f"{GENOME_HELP} Needed with --map [default: the example].")
@click.option(
    "--chrom",
    "chroms",
    multiple=True,
    help=f"Chromosome that is scored; repeatable [default: {' and '.join(CHROMS)}].",
)
@click.option(
    "--windows",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="Top windows that are scored at most: of those of the paper's protocol every k-th.",
)
@click.option(
    "--at",
    metavar="POSITION",
    help="Where approximations are measured (chr9:110,404,000) [default: at three quarters of the "
    "first chromosome].",
)
@click.option("--module", help="Of the model [default: its first].")
@click.option("--name", help="Of released files: the model (h1esc, hff, hctnoc).")
@click.option("--cell-type", help=CELL_TYPE_HELP)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--store", type=click.Path(), help=STORE_HELP)
@genome_options
@clr_weight_name_option
@force_option
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    model: str,
    output: str,
    observed: str | None,
    chroms: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Verify a MODEL (name or folder; or the released files, a folder or a tar), and write a report
    that can be sent.

    Its files and tensors are held against what its networks need, and against the released ones if
    it has their name; what bfloat16, float16 and float16 on disk cost with its weights is measured
    on sequence of --genome; with --map its maps are scored beside what was published.

    Exit code 0: sound; 1: its tensors do not fit, which the report tells; 2: something could not be
    used, and there is no report.
    """
    from orca_cool.evaluate.verification import CONTAINS

    genome = options.pop("genome")
    found = oc.verify_model(
        model,
        output,
        map=observed,
        genome=genome,
        chroms=chroms or None,
        progress=not is_quiet(),
        say=say,
        **options,
    )
    if as_json:
        echo(found.text().rstrip())
    else:
        echo(found.table())
    say(f"{output} holds: {CONTAINS}")
    ctx.exit(0 if found.sound else 1)
