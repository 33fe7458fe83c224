"""``orca-cool expected``."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from tqdm import tqdm

import orca_cool
from orca_cool.maps.expected_files import check_target, save_expected
from orca_cool.maps.expected_fit import KEEP, MIN_PIXELS, fit, select_regions
from orca_cool.maps.open import open_map


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("observed")
@click.option(
    "--output", "-o", required=True, type=click.Path(path_type=Path), help="Folder to be made."
)
@click.option(
    "--resolution",
    "-r",
    "wanted",
    multiple=True,
    type=click.IntRange(min=1),
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
    "excluded",
    multiple=True,
    metavar="CHROM,...",
    help="Chromosomes that must not enter (those held out).",
)
@click.option(
    "--keep",
    default=KEEP,
    show_default=True,
    type=click.IntRange(min=0),
    help="Nearer distances (bp) stay as measured.",
)
@click.option(
    "--min-pixels",
    default=MIN_PIXELS,
    show_default=True,
    type=click.IntRange(min=1),
    help="Valid pixels a distance needs.",
)
@click.option(
    "--view",
    type=click.Path(path_type=Path),
    help="BED of regions to measure within [default: whole chromosomes].",
)
@click.option(
    "--clr-weight-name",
    "weight",
    default="weight",
    show_default=True,
    help="Column of balancing weights.",
)
@click.option(
    "--nproc",
    "-p",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Processes that read.",
)
@click.option("--force", is_flag=True, help="Replace a folder of expected_tables that is there.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def expected(
    observed: str,
    output: Path,
    wanted: tuple[int, ...],
    trans: bool,
    monotone: bool | None,
    excluded: tuple[str, ...],
    keep: int,
    min_pixels: int,
    view: Path | None,
    weight: str,
    nproc: int,
    force: bool,
    quiet: bool,
) -> None:
    """Expected contact frequency by distance of OBSERVED (a balanced .cool or .mcool): the
    expected table that a model needs.

    Orca's own set: --resolution 1000 --resolution 4000 --resolution 32000 --trans. The folder holds
    a table (TSV) per resolution, a picture of them, and expected.json, which says how they were
    made.
    """
    check_target(output, force)
    file = open_map(observed)
    exclude = list(dict.fromkeys(name for text in excluded for name in text.split(",") if name))
    # the coarsest first: it is read in no time, and has the trans value, so that what is wrong
    # shows early; and all before anything is computed
    levels = sorted(set(wanted) or file.resolutions, reverse=True)
    for resolution in levels:
        file.uri(resolution)
    chosen = {r: file.balanced(r, weight) for r in levels}
    regions = {}
    for r, clr in chosen.items():
        regions[r] = select_regions(clr, exclude, view)
    fits = []
    for r, clr in chosen.items():
        with tqdm(
            unit="px", unit_scale=True, disable=quiet, file=sys.stderr, desc=f"{r} bp"
        ) as bar:

            def show(done: int, total: int, bar: tqdm = bar) -> None:
                bar.total = total
                bar.update(done - bar.n)

            between = trans and r == max(chosen)
            one = fit(
                clr,
                regions[r],
                trans=between,
                monotone=monotone,
                keep=keep,
                min_pixels=min_pixels,
                weight=weight,
                nproc=nproc,
                show=show,
            )
        fits.append(one)
    finest = regions[min(chosen)]
    about = {
        "generated_by": f"orca-cool {orca_cool.__version__}",
        "source": Path(observed.partition("::")[0]).name,
        "chromosomes": list(dict.fromkeys(x.chrom for x in finest)),
        "excluded": exclude,
        "view": [str(x) for x in finest] if view else None,
        "settings": {"keep": keep, "min_pixels": min_pixels, "clr_weight_name": weight},
    }
    click.echo(save_expected(output, fits, about, force=force))
