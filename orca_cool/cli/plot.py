"""``orca-cool plot``."""

from __future__ import annotations

from pathlib import Path

import click

from orca_cool.plot import plot_maps


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("predicted")
@click.option("--observed", help="Measured .cool or .mcool, drawn below the diagonal; FILE.mcool::resolutions/10000 picks a resolution.")
@click.option("--region", "-r", help="chrII or chrII:100,000-500,000 [default: the longest chromosome].")
@click.option("--resolution", type=int, help="Resolution of the prediction in bp [default: the finest that knows the whole region].")
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="The picture: .png, .pdf, .svg.")
@click.option("--contact", is_flag=True, help="Draw log10 contact frequency instead of log observed/expected.")
@click.option("--vmax", type=click.FloatRange(min=0, min_open=True), help="End of the colour scale of log observed/expected.")
@click.option("--force", is_flag=True, help="Replace the picture if it exists.")
def plot(
    predicted: str,
    observed: str | None,
    region: str | None,
    resolution: int | None,
    output: Path,
    contact: bool,
    vmax: float | None,
    force: bool,
) -> None:
    """Draw PREDICTED (an .mcool of `orca-cool predict`) above the diagonal, and a measured map below it."""
    click.echo(plot_maps(predicted, output, observed, region, resolution, contact=contact, vmax=vmax, force=force))
