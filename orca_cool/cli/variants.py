"""``orca-cool variants``."""

from __future__ import annotations

import json
from typing import Any

import click

import orca_cool as oc
from orca_cool.cli.help_groups import MACHINE_GROUP, MODEL_GROUP, RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    Verb,
    document_option,
    dry_run_option,
    echo_each,
    force_option,
    is_quiet,
    job_options,
    levels_option,
    output_option,
    say,
    say_estimate,
)
from orca_cool.cli.profiling import profile_option
from orca_cool.cli.unfinished import unfinished_folder
from orca_cool.cli.workers import NEEDS, quieten_dask, workers_options
from orca_cool.effects import GENOTYPES, RANK_BY
from orca_cool.errors import OutputError
from orca_cool.prediction.parallel import only_helps

#: Exit code where a table is written, and no variant in it has scores.
NOTHING_SCORED = 1


def _remains(params: dict[str, Any]) -> str | None:
    """What a run that was stopped has left."""
    if params["output"] == "-":
        return "the table on standard output is not complete; with -o FILE a run can go on"
    return unfinished_folder(params)


GROUPS = (
    MODEL_GROUP,
    HelpGroup(
        "Variants, and how they are scored",
        ("edit", "module", "levels", "genotype", "loops", "shifts", "stop_below", "strict"),
        'variants --edit "chrII:238,208-238,325 del" -m yeast-metaphase -g example -o -',
    ),
    HelpGroup(
        "Is a score large?",
        ("null", "seed", "genes"),
        'variants --edit "chrII:238,208-238,325 del" -m yeast-metaphase -g example --null 50 -o -',
    ),
    HelpGroup(
        "What is written",
        ("output", "summary", "rank_by", "html", "maps"),
        "variants in.vcf -m h1esc -g hg38.fa --module 1M --html report.html -o scored.vcf.gz",
    ),
    MACHINE_GROUP,
    RUN_GROUP,
)


@click.command(
    cls=Verb,
    remains=_remains,
    groups=GROUPS,
    epilog="Beside OUT.tsv: OUT.tsv.json, the settings; while it is made OUT.tsv.partial, a folder "
    "with the rows that are done, which stays if the run is stopped. Beside a FASTA: its index, "
    ".fai and for bgzip .gzi.",
)
@click.argument("variants", type=click.Path(), required=False)
@job_options()
@output_option(
    "The table; its settings appear beside it. The suffix tells the form: .tsv; .parquet (extra "
    "`parquet`); .vcf or .vcf.gz: VARIANTS, a VCF, with scores as INFO fields. - is standard "
    "output."
)
@click.option(
    "--edit",
    multiple=True,
    metavar="TEXT",
    help="Score an edit, as `predict` reads it. Repeatable.",
)
@click.option(
    "--module",
    help="Module of the model (32M, 256M, 1M) [default: the first]. 1M is the cheapest by far.",
)
@levels_option("all of the module")
@click.option(
    "--loops", type=click.Path(), help="Loops (BEDPE, in the reference) whose strength is compared."
)
@click.option("--maps", type=click.Path(), help="Folder for the matrices, one .npz a variant.")
@click.option(
    "--shifts",
    default="",
    metavar="BP,...",
    help="Also score with windows moved by so much (comma-separated), and average.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="A variant that cannot be scored is an error, not a row with the reason.",
)
@click.option(
    "--stop-below",
    type=float,
    metavar="X",
    help="Leave out a variant's finer levels where no pixel's ln(observed/expected) changes by X "
    "or more at the coarsest [default: all levels].",
)
@click.option(
    "--genotype",
    default=GENOTYPES[0],
    show_default=True,
    type=click.Choice(GENOTYPES),
    help="het: one haplotype has the variant, and the mean of both haplotypes' contacts is scored; "
    "insulation and boundaries only at levels where it moves bins by less than half of one "
    "(docs/numbers.md).",
)
@click.option(
    "--null",
    default=0,
    metavar="N",
    type=click.IntRange(min=0),
    help="Also score N matched places of each variant (same kind, size, class of chromosome, G+C), "
    "and tell each score's percentile and z among theirs (docs/numbers.md). Takes N + 1 times as "
    "long.",
)
@click.option("--seed", default=0, show_default=True, help="With --null: of the places drawn.")
@click.option(
    "--genes",
    type=click.Path(),
    help="With --null: genes (GTF, GFF3, BED), whose distance is matched, too.",
)
@click.option(
    "--summary",
    is_flag=True,
    help="One row a variant: each score where it is largest, rank and percentile in this run.",
)
@click.option(
    "--rank-by",
    default=RANK_BY,
    show_default=True,
    metavar="SCORE",
    help="The score by which --summary, a VCF and --html rank.",
)
@click.option(
    "--html",
    type=click.Path(),
    help="Also write a report, one file for any browser: a table, pictures of the strongest, "
    "settings.",
)
@workers_options("variants", NEEDS)
@dry_run_option
@document_option
@profile_option
@force_option
def variants(
    job: dict[str, Any], output: str, dry_run: bool, as_json: bool, **options: Any
) -> None:
    """Score every variant of VARIANTS (VCF, BEDPE, a table of events, or a text of edits, one a
    line; - is standard input) by how much it changes the map.

    A row for each variant, level and breakpoint, with id, chrom, pos, ref and alt as VARIANTS has
    them; a variant that cannot be scored has one row with the reason. If none can be scored, the
    exit code is 1. A killed run goes on where it was when the same command is repeated. Its work
    lies in OUT.partial until then, and .OUT.lock says who works there; both may be deleted when
    nobody does.
    """
    quieten_dask()
    if dry_run:
        say_estimate(oc.score_variants(output, **job, **options, dry_run=True, say=say), as_json)
        return
    if as_json and output == "-":
        raise OutputError("--json: standard output holds the table already; give -o FILE")
    written: list[str] = []
    summary = oc.score_variants(
        output, **job, **options, progress=not is_quiet(), say=say, written=written
    )
    if as_json and not only_helps():
        click.echo(json.dumps(oc.describe_scores(written, summary), indent=1))
    elif not only_helps():
        echo_each(written)
    if not summary.scored:
        if not only_helps():
            say("Error: no variant could be scored; the column status of the table says why")
        click.get_current_context().exit(NOTHING_SCORED)
