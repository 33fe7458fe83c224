"""``orca-cool evaluate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from orca_cool.errors import ModelError
from orca_cool.evaluate.report import check_folder, table, to_json, write_folder
from orca_cool.evaluate.result import Result
from orca_cool.evaluate.tally import Choices
from orca_cool.prediction.orca_engine import DTYPES, EDGES, ENCODER_DTYPES


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument(
    "maps", nargs=-1, required=True, metavar="[PREDICTED] OBSERVED", type=click.Path(path_type=Path)
)
@click.option(
    "--chrom",
    "chroms",
    multiple=True,
    required=True,
    help="Chromosome to evaluate; repeat for more.",
)
@click.option(
    "--level",
    "levels",
    multiple=True,
    help="Resolution in bp; default: all that the measured map can be averaged to.",
)
@click.option(
    "--base",
    type=click.IntRange(min=1),
    help="Bin of the measured map in bp [default: the prediction's or model's finest].",
)
@click.option(
    "--train",
    default="",
    help="Comma-separated chromosomes of the measured map that the baselines learn from.",
)
@click.option(
    "--features",
    type=click.Path(path_type=Path),
    help="BED with type 'centromere' in column 7: baseline (b), and the depletion.",
)
@click.option(
    "--replicate",
    type=click.Path(path_type=Path),
    help="Another measured map, scored as if it were a prediction.",
)
@click.option(
    "--no-ceiling", is_flag=True, help="Do not split the measured map's contacts in halves."
)
@click.option("--cutoff", default=5.0, show_default=True, help="Of adaptive coarse-graining.")
@click.option(
    "--nearest",
    type=click.IntRange(min=0),
    help="Leave out pixels fewer bins apart [default: 2; 0 with --model].",
)
@click.option(
    "--insulation",
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="Side of the insulation diamond, in bins.",
)
@click.option(
    "--scc-smooth",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="h of HiCRep's mean filter, in bins.",
)
@click.option(
    "--model",
    "-m",
    help="A model's name or folder: evaluate it by the paper's protocol, without a PREDICTED file.",
)
@click.option("--genome", "-g", help="With --model: FASTA, .2bit, or the name of a shipped genome.")
@click.option("--module", help="Module of the model [default: its first].")
@click.option(
    "--step",
    type=click.IntRange(min=1),
    help="bp between windows [default: top window / 64; / 50 of a 256M-type module].",
)
@click.option(
    "--window-phase",
    type=click.IntRange(min=0),
    help="bp at which the first window starts [default: 0].",
)
@click.option(
    "--trans",
    type=click.IntRange(min=1),
    help="Also score contacts between chromosomes, in so many random inputs (256M-type).",
)
@click.option(
    "--edges",
    type=click.Choice(EDGES),
    help="Ends of windows: zero padding at their ends, or real sequence [default: zero-padded].",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--dtype",
    default="float32",
    show_default=True,
    type=click.Choice(DTYPES),
    help="Of the decoders.",
)
@click.option(
    "--encoder-dtype",
    default="float32",
    show_default=True,
    type=click.Choice(ENCODER_DTYPES),
    help="Of the encoder.",
)
@click.option(
    "--store", type=click.Path(path_type=Path), help="Encodings on disk (`orca-cool encode`)."
)
@click.option(
    "--chrom-names", help="add-chr, strip-chr or a two-column TSV: rename the genome's chromosomes."
)
@click.option(
    "--any-genome", is_flag=True, help="Accept a genome of another assembly than the model's."
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="Folder that keeps coarse-grained tiles of measured maps for later runs.",
)
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    help="Of all that is random.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="Folder for scores.tsv, scores.json and figures.",
)
@click.option("--force", is_flag=True, help="Replace the output folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def evaluate(
    maps: tuple[Path, ...],
    chroms: tuple[str, ...],
    levels: tuple[str, ...],
    base: int | None,
    train: str,
    features: Path | None,
    replicate: Path | None,
    no_ceiling: bool,
    cutoff: float,
    nearest: int | None,
    insulation: int,
    scc_smooth: int,
    model: str | None,
    genome: str | None,
    module: str | None,
    step: int | None,
    window_phase: int | None,
    trans: int | None,
    edges: str | None,
    device: str,
    dtype: str,
    encoder_dtype: str,
    store: Path | None,
    chrom_names: str | None,
    any_genome: bool,
    cache: Path | None,
    seed: int,
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Correlation of log observed/expected per level, beside baselines and the measured map's
    split-half ceiling.

    Of a PREDICTED .mcool: whole chromosomes, pixels 2 bins apart or more, within the level's
    window. Of a --model: the paper's protocol, zoom that tile the chromosomes, all pixels
    pooled.

    Baselines are boosted trees on position alone, learnt from --train: (a) told distance and
    distance from the telomeres, (b) told the centromere too. Columns after these are the model's:
    replicate as engine, r with each distance's mean subtracted, Spearman, HiCRep's SCC, r of
    insulation, |r| of eigenvectors E1, r of log contacts and that of distance alone (d-log), and
    mean, 10th, 50th and 90th percentile of single windows' r.
    """
    only = {
        "genome": genome,
        "module": module,
        "step": step,
        "window-phase": window_phase,
        "trans": trans,
        "edges": edges,
        "store": store,
    }
    given = ", ".join(map(repr, map(str, maps)))
    if model is None and len(maps) != 2:
        raise ModelError(
            f"{given}: one prediction and one measured map are needed, or --model and one "
            f"measured map"
        )
    if model is not None and len(maps) != 1:
        raise ModelError(
            f"{given} and --model {model!r}: give a predicted file or --model, not both, and one "
            f"measured map"
        )
    if model is None:
        for name, value in only.items():
            if value is not None:
                raise ModelError(
                    f"--{name} {value} needs --model; a PREDICTED file is evaluated as it is"
                )
    elif genome is None:
        raise ModelError(f"--model {model!r} needs --genome, the sequence to predict from")
    if output is not None:
        check_folder(output, force)
    if nearest is None:
        nearest = 2 if model is None else 0
    with tqdm(unit="window", disable=quiet, file=sys.stderr, leave=False, delay=1) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        options: dict[str, Any] = {
            "base": base,
            "cutoff": cutoff,
            "train": [c for c in train.split(",") if c],
            "features": features,
            "replicate": replicate,
            "ceiling": not no_ceiling,
            "cache": cache,
            "choices": Choices(nearest, insulation, scc_smooth, seed),
            "progress": show,
        }
        if model is None:
            result = _files(maps[0], maps[1], chroms, levels, options)
        else:
            engine = {
                "device": device,
                "dtype": dtype,
                "encoder_dtype": encoder_dtype,
                "store": store,
            }
            options |= {
                "step": step,
                "phase": window_phase or 0,
                "trans": trans or 0,
                "edges": edges or "zero-padded",
            }
            result = _model(
                model,
                str(genome),
                maps[0],
                chroms,
                levels,
                module,
                chrom_names,
                any_genome,
                engine,
                options,
            )
    if output is not None:
        write_folder(output, result, force)
    click.echo(json.dumps(to_json(result), indent=2, allow_nan=False) if as_json else table(result))


def _files(
    predicted: Path,
    observed: Path,
    chroms: tuple[str, ...],
    levels: tuple[str, ...],
    options: dict[str, Any],
) -> Result:
    from orca_cool.evaluate.files import evaluate_files

    for level in levels:
        if not level.isdigit():
            raise ModelError(f"--level {level!r} is not a resolution in bp")
    return evaluate_files(predicted, observed, chroms, resolutions=map(int, levels), **options)


def _model(
    model: str,
    genome: str,
    observed: Path,
    chroms: tuple[str, ...],
    levels: tuple[str, ...],
    module: str | None,
    chrom_names: str | None,
    any_genome: bool,
    engine: dict[str, Any],
    options: dict[str, Any],
) -> Result:
    from orca_cool.cli.common import assembly_of
    from orca_cool.evaluate.protocol import evaluate_model
    from orca_cool.genome.open import open_genome
    from orca_cool.model.bundle import load_bundle
    from orca_cool.model.registry import resolve
    from orca_cool.prediction.engine import make_engine

    bundle = load_bundle(resolve(model))
    chosen = bundle.spec.module(module) if module else bundle.spec.modules[0]
    source = open_genome(genome, chrom_names)
    assembly_of(bundle.spec, source, any_genome)
    wanted = [bundle.spec.parse_level(level) for level in levels]
    return evaluate_model(
        make_engine(bundle, source, **engine),
        chosen,
        observed,
        chroms,
        resolutions=wanted,
        **options,
    )
