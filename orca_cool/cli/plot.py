"""``orca-cool plot``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import orca_cool as oc
from orca_cool.cli.help_groups import MACHINE_GROUP, MODEL_GROUP, RUN_GROUP, HelpGroup
from orca_cool.cli.options import (
    EDITS,
    JOB,
    Length,
    Verb,
    clr_weight_name_option,
    echo_each,
    edit_options,
    force_option,
    is_quiet,
    job_options,
    levels_option,
    output_option,
    refuse_given,
    say,
)
from orca_cool.errors import ModelError

if TYPE_CHECKING:
    from orca_cool.variants.options import EditOptions

STYLE = ("levels", "genes", "observed", "triangles", "vmax", "dmax")


#: In the help.
GROUPS = (
    HelpGroup(
        "Maps of a file",
        ("region", "resolution", "contact", "observed", "clr_weight_name"),
        "plot chrII.mcool -r chrII:100,000-500,000 "
        "--observed orca_cool/data/maps/yeast.10kb.mcool -o chrII.png",
    ),
    HelpGroup(
        "Maps that are predicted first",
        (*MODEL_GROUP.options, "module", "at"),
        'plot --edit "chrII:300,000-380,000 inv" -m yeast-metaphase -g example -o inversion.png',
    ),
    HelpGroup("An edited genome", EDITS),
    HelpGroup("The picture", ("output", "levels", "genes", "triangles", "vmax", "dmax")),
    MACHINE_GROUP,
    RUN_GROUP,
)


@click.command(cls=Verb, groups=GROUPS)
@click.argument("predicted", required=False)
@output_option("The picture: .png, .pdf, .svg.")
@click.option(
    "--observed", help="Measured .cool or .mcool; FILE.mcool::resolutions/10000 picks a resolution."
)
@clr_weight_name_option
@click.option(
    "--region",
    "-r",
    help="chrII or chrII:100,000-500,000 [default of an .mcool: the regions that it holds].",
)
@click.option(
    "--resolution",
    type=Length(1),
    help="Of an .mcool: resolution in bp [default: the finest that knows the whole region].",
)
@click.option(
    "--contact",
    is_flag=True,
    help="Of an .mcool: draw log10 contact frequency instead of log observed/expected.",
)
@job_options(required=False)
@edit_options
@click.option(
    "--at",
    metavar="POSITION",
    help="Centre of the windows, in the reference: chr9:110,404,000 [default: each breakpoint].",
)
@click.option(
    "--module", help="Module of the model (32M, 256M, 1M) [default: the first that has the levels]."
)
@levels_option("all of the module")
@click.option(
    "--genes",
    type=click.Path(),
    help="Genes to draw below the maps: GTF, GFF3 or BED, plain or gzip.",
)
@click.option(
    "--triangles",
    is_flag=True,
    help="Maps rotated by 45 degrees, up to half the window's distance.",
)
@click.option(
    "--vmax",
    type=click.FloatRange(min=0, min_open=True),
    help="End of the colour scale of log observed/expected.",
)
@click.option(
    "--dmax",
    type=click.FloatRange(min=0, min_open=True),
    help="End of the colour scale of the difference.",
)
@force_option
def plot(
    predicted: str | None,
    output: str,
    job: dict[str, Any],
    edits: EditOptions,
    region: str | None,
    resolution: int | None,
    contact: bool,
    at: str | None,
    module: str | None,
    force: bool,
    **style: Any,
) -> None:
    """Draw predicted maps.

    PREDICTED an .mcool of `orca-cool predict`: each region of it, or --region, above the diagonal,
    and a measured map below it. A .diff.mcool of `predict --diff`: the logarithm of alternate /
    reference.

    PREDICTED an .npz of `orca-cool variants --maps`: a variant's maps, reference, alternate and
    difference at every level. An .npz of `orca-cool predict --at`: every level of the zoom.

    Without PREDICTED, with --model and --genome: maps are predicted and drawn at every level,
    around each breakpoint of the edits, around --at, or around the middle of --region at the levels
    whose windows hold it.

    Several regions, or breakpoints that are far from each other, are pages of a .pdf, or files
    name.1.png, name.2.png, ...
    """
    if style["observed"] is None:
        refuse_given(("clr_weight_name",), "it is about the map of --observed; give that too")
    if predicted is not None:
        _refuse_useless(predicted)
        paths = oc.plot_file(
            predicted,
            output,
            region=region,
            resolution=resolution,
            contact=contact,
            force=force,
            **style,
        )
    else:
        refuse_given(("resolution", "contact"), "only for an .mcool; choose levels with --levels")
        if job["model"] is None or job["genome"] is None:
            given = "PREDICTED (an .mcool or .npz), or --model and --genome"
            raise ModelError(f"there is nothing to draw: give {given}")
        paths = oc.plot_changes(
            output,
            style=style,
            **job,
            edits=edits,
            region=region,
            at=at,
            module=module,
            force=force,
            progress=not is_quiet(),
            say=say,
        )
    echo_each(paths)


def _refuse_useless(predicted: str) -> None:
    """Options that would do nothing where a file is drawn are an error."""
    refuse_given(
        (*JOB, *EDITS, "at", "module"),
        f"nothing is predicted where {predicted!r} is drawn; leave out one or the other",
    )
    if predicted.endswith(".npz"):
        refuse_given(
            ("region", "resolution", "contact"),
            f"{predicted!r} is drawn as it is; choose with --levels alone",
        )
    else:
        refuse_given(
            ("levels", "genes", "triangles"),
            f"only where all levels are drawn, not for {predicted!r}",
        )
