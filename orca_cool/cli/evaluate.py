"""``orca-cool evaluate``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("predicted", type=click.Path(path_type=Path))
@click.argument("observed", type=click.Path(path_type=Path))
@click.option("--chrom", "chroms", multiple=True, required=True, help="Chromosome to evaluate; repeat for more.")
@click.option("--level", "levels", multiple=True, type=int, help="Resolution in bp; default: all that the measured map can be averaged to.")
@click.option("--base", default=2000, show_default=True, help="Bin of the measured map in bp.")
@click.option("--train", default="", help="Comma-separated chromosomes of the measured map that the baselines learn from.")
@click.option(
    "--features", type=click.Path(path_type=Path), help="BED with type 'centromere' in column 7: baseline (b), and the depletion."
)
@click.option("--cutoff", default=5.0, show_default=True, help="Of adaptive coarse-graining.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(
    predicted: Path,
    observed: Path,
    chroms: tuple[str, ...],
    levels: tuple[int, ...],
    base: int,
    train: str,
    features: Path | None,
    cutoff: float,
    as_json: bool,
) -> None:
    """Pearson's r of log observed/expected per level, beside baselines and the measured map's split-half ceiling.

    Baselines are boosted trees on position alone, learnt from --train: (a) told distance and distance from the telomeres,
    (b) told the centromere too. Pixels 2 bins apart or more, within the level's window.
    """
    from orca_cool.evaluate import evaluate as run

    options = {"resolutions": levels, "base": base, "cutoff": cutoff, "features": features}
    scores, drawn = run(predicted, observed, chroms, train=[c for c in train.split(",") if c], **options)  # type: ignore[arg-type]
    if as_json:
        click.echo(json.dumps({"scores": [dataclasses.asdict(s) for s in scores], "centromeres": drawn}, indent=2))
        return
    click.echo(f"{'chrom':<10}{'bin':>7}{'r':>8}{'(a) tel':>9}{'(b) +cen':>10}{'halves':>8}{'ceiling':>9}{'pixels':>10}")
    for s in scores:
        numbers = [s.telomere, s.centromere, s.ceiling, s.full_ceiling]
        a, b, half, full = ("-" if v is None else f"{v:.3f}" for v in numbers)
        click.echo(f"{s.chrom:<10}{s.resolution:>7}{s.r:>8.3f}{a:>9}{b:>10}{half:>8}{full:>9}{s.pixels:>10,}")
    for chrom, d in drawn.items():
        click.echo(
            f"{chrom} centromere at {d['at']:,.0f}: across it {d['across']:+.3f} (elsewhere {d['elsewhere']:+.3f}), strongest depletion at "
            f"{d['minimum']:,.0f}; measured {d['measured_across']:+.3f} ({d['measured_elsewhere']:+.3f}), {d['measured_minimum']:,.0f}"
        )
