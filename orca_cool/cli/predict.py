"""``orca-cool predict``."""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import orca_cool as oc
from orca_cool.cli.help_groups import MACHINE_GROUP, MODEL_GROUP, RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    EDITS,
    Length,
    Verb,
    document_option,
    dry_run_option,
    echo_each,
    edit_options,
    force_option,
    is_quiet,
    job_options,
    levels_option,
    mode_option,
    output_option,
    phasing_track_option,
    pseudo_depth_option,
    say,
    say_estimate,
)
from orca_cool.cli.profiling import profile_option
from orca_cool.cli.unfinished import unfinished_folder
from orca_cool.cli.workers import quieten_dask, workers_options
from orca_cool.effects import COPIES
from orca_cool.prediction.parallel import only_helps

if TYPE_CHECKING:
    from orca_cool.variants.options import EditOptions


def _remains(params: dict[str, Any]) -> str | None:
    """What a prediction that was stopped has left."""
    from orca_cool.effects.types_run import note_path

    if params["at"] is not None:
        return None
    output = Path(params["output"])
    companions = params["lift_to_reference"] or params["diff"] or params["tracks"]
    finished = sorted(output.parent.glob(f"{glob.escape(output.stem)}.*.mcool"))
    of_types = finished[:1] if note_path(output).exists() else []
    return unfinished_folder(params, *[output] * bool(companions), *of_types)


GROUPS = (
    MODEL_GROUP,
    HelpGroup(
        "What is predicted",
        ("view", "at", "snap", "levels", "modules", "mode", "trans", "fill_distance"),
        "predict chrII:100,000-500,000 -m yeast-metaphase -g example -o chrII.mcool",
    ),
    HelpGroup(
        "An edited genome",
        (*EDITS, "reencode", "lift_to_reference", "copies", "diff", "reference"),
        'predict --edit "chrI:9,000-9,900 del" --diff -m yeast-metaphase -g example -o del.mcool',
    ),
    HelpGroup(
        "What is written",
        ("output", "pseudo_depth", "strand_difference", "assembly", "tracks", "phasing_track"),
        "predict chrII -m yeast-metaphase -g example --tracks insulation -o chrII.mcool",
    ),
    MACHINE_GROUP,
    RUN_GROUP,
)


@click.command(
    cls=Verb,
    remains=_remains,
    groups=GROUPS,
    epilog="Beside OUT.mcool: OUT.expected.*.tsv; while it is made OUT.mcool.partial, a folder "
    "with what is done, which stays if the run is stopped, and .OUT.mcool.partial; of several cell "
    "types also OUT.mcool.cell_types.partial, a note that not all are done. Beside a FASTA: its "
    "index, .fai and for bgzip .gzi.",
)
@click.argument("regions", nargs=-1)
@job_options(edges="real; zero-padded with --at")
@output_option("The .mcool; expected tables appear beside it.")
@click.option("--view", type=click.Path(), help="Regions from a BED3/BED4 file.")
@click.option(
    "--at",
    metavar="POSITION",
    help="One zoom around a position (chr9:110,404,000), all levels, as the released program "
    "predicts it. Writes .npz and .mcool.",
)
@click.option(
    "--snap",
    is_flag=True,
    help="With --at: move to the nearest base bin, where stored encodings serve; says by how much.",
)
@levels_option()
@click.option(
    "--module",
    "modules",
    help="Comma-separated modules of the model (32M, 256M, 1M) [default: all that the levels "
    "need].",
)
@mode_option
@pseudo_depth_option
@click.option(
    "--fill-distance",
    type=Length(1),
    help="Distance out to which coarser levels fill finer ones [default: each level's own reach].",
)
@click.option(
    "--trans",
    is_flag=True,
    help="Also contacts between chromosomes, at the coarsest level of a 256M-type module.",
)
@click.option(
    "--strand-difference",
    is_flag=True,
    help="Also write half the difference of the two strands' predictions, as a column.",
)
@edit_options
@click.option(
    "--assembly",
    help="Name of the assembly in the file [default: the genome's; of an edited genome with a "
    "fingerprint].",
)
@click.option(
    "--reencode",
    is_flag=True,
    help="Encode an edited genome anew, bit for bit as its FASTA would be; re-use differs by "
    "rounding.",
)
@click.option(
    "--lift-to-reference",
    is_flag=True,
    help="Also write OUT.lifted.mcool: the edited genome's contacts at the coordinates of the "
    "reference.",
)
@click.option(
    "--copies",
    type=click.Choice(COPIES),
    help="At those coordinates, what a duplicated bin shows of its copies [default: mean].",
)
@click.option(
    "--diff",
    is_flag=True,
    help="Also write OUT.diff.mcool: ln(alternate / reference) at the coordinates of the "
    "reference.",
)
@click.option(
    "--reference",
    type=click.Path(),
    help="With --diff: the reference's prediction [default: made as OUT.reference.mcool].",
)
@click.option(
    "--tracks",
    metavar="LIST",
    help="Also write bigWigs, comma-separated: insulation and e1 (OUT.insulation.bw, OUT.e1.bw), "
    "profiles (OUT.PROFILE.bw for each chromatin profile of the model). Extra "
    "`perturb`.",
)
@phasing_track_option
@workers_options("predict", "The output must be on a file system that all of them see.")
@dry_run_option
@document_option
@profile_option
@force_option
def predict(
    job: dict[str, Any],
    edits: EditOptions,
    output: str,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Predict contact maps of REGIONs (chrII, chrII:100,000-500,000; default: all chromosomes) as
    an .mcool.

    With --edit, --vcf or --seqstr the genome is edited first: REGIONs are of the edited genome
    (default: its edited chromosomes).

    A killed run goes on where it was when the same command is repeated, on one process or several.
    Its work lies in OUT.partial until then, and .OUT.lock says who works there; both may be deleted
    when nobody does.
    """
    if dry_run:
        say_estimate(
            oc.predict_to_mcool(output, **job, edits=edits, **options, dry_run=True, say=say),
            as_json,
        )
        return
    quieten_dask()
    paths = oc.predict_to_mcool(
        output, **job, edits=edits, **options, progress=not is_quiet(), say=say
    )
    if as_json and not only_helps():
        click.echo(json.dumps(oc.describe_prediction(paths), indent=1))
        return
    echo_each(paths)
