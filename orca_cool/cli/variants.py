"""``orca-cool variants``."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import click
from tqdm import tqdm

from orca_cool.cli.common import assembly_of
from orca_cool.effects.scores import Choices
from orca_cool.effects.table import score_variants
from orca_cool.errors import EditError, ModelError
from orca_cool.files import check_output
from orca_cool.genome.loops import read_loops
from orca_cool.genome.open import open_genome
from orca_cool.model.bundle import load_bundle
from orca_cool.model.registry import resolve
from orca_cool.prediction.engine import DTYPES, EDGES, ENCODER_DTYPES, Engine
from orca_cool.variants import read_variants


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("variants", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "-m",
    required=True,
    help="A model's name (see `orca-cool models list`) or its folder.",
)
@click.option(
    "--genome",
    "-g",
    required=True,
    help="FASTA (plain or bgzip), .2bit, or the name of a shipped genome (`example`).",
)
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="The table (.tsv); settings appear beside it.",
)
@click.option(
    "--module",
    help="Module of the model (32M, 256M, 1M); default: the first. 1M is the cheapest by far.",
)
@click.option(
    "--levels",
    help="Comma-separated resolutions (4000) or windows (1M) to score; default: all of the module.",
)
@click.option(
    "--loops",
    type=click.Path(path_type=Path),
    help="Loops (BEDPE, in the reference) whose strength is compared.",
)
@click.option(
    "--maps", type=click.Path(path_type=Path), help="Folder for the matrices, one .npz a variant."
)
@click.option(
    "--shifts",
    default="",
    help="Comma-separated bp: also score with windows moved by so much, and average.",
)
@click.option(
    "--edges",
    default="real",
    show_default=True,
    type=click.Choice(EDGES),
    help="Ends of windows: real sequence, or zero padding.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="A variant that cannot be scored is an error, not a row with the reason.",
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
    "--store",
    type=click.Path(path_type=Path),
    help="Encodings of the reference on disk (`orca-cool encode`).",
)
@click.option(
    "--chrom-names", help="add-chr, strip-chr or a two-column TSV: rename the genome's chromosomes."
)
@click.option(
    "--any-genome", is_flag=True, help="Accept a genome of another assembly than the model's."
)
@click.option(
    "--force", is_flag=True, help="Replace the output, and start anew instead of resuming."
)
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def variants(
    variants: Path,
    model: str,
    genome: str,
    output: Path,
    module: str | None,
    levels: str | None,
    loops: Path | None,
    maps: Path | None,
    shifts: str,
    edges: str,
    strict: bool,
    device: str,
    dtype: str,
    encoder_dtype: str,
    store: Path | None,
    chrom_names: str | None,
    any_genome: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Score every variant of VARIANTS (VCF, BEDPE, a table of events, or a text of edits, one a
    line) by how much it changes the map.

    A row for each variant, level and breakpoint; a variant that cannot be scored has one row with
    the reason. A killed run goes on where it was when the same command is repeated.
    """
    check_output(output, force)
    moved = _shifts(shifts)
    bundle = load_bundle(resolve(model))
    spec = bundle.spec
    source = open_genome(genome, chrom_names)
    assembly = assembly_of(spec, source, any_genome)
    chosen = spec.module(module) if module else spec.modules[0]
    wanted = (
        tuple(spec.parse_level(text) for text in levels.split(","))
        if levels
        else chosen.resolutions
    )
    for resolution in wanted:
        if resolution not in chosen.resolutions:
            raise ModelError(
                f"level {resolution} is not of module {chosen.name!r}; levels there: "
                f"{list(chosen.resolutions)}"
            )
    found = list(read_variants(variants, source))
    if not found:
        raise EditError(f"{str(variants)!r} holds no variant")
    bad = [v for v in found if v.problem]
    if bad and strict:
        raise EditError(
            f"{bad[0].where}: {bad[0].name}: {bad[0].problem}"
            + (f" (and {len(bad) - 1:,} more)" if len(bad) > 1 else "")
        )
    engine = Engine(
        bundle,
        source,
        device,
        dtype,
        encoder_dtype=encoder_dtype,
        store=store,
        edges=edges,
        fine_bytes=2**30,
    )
    if (strand := _say_approximation(engine)) is not None:
        click.echo(strand, err=True)
    identity = {
        "variants": variants.name,
        "variants_sha256": _digest(variants),
        "assembly": assembly,
        "loops": None if loops is None else loops.name,
        "chromsizes_sha256": hashlib.sha256(repr(source.chromsizes).encode()).hexdigest(),
    }
    with tqdm(
        total=len(found),
        unit="variant",
        disable=quiet,
        file=sys.stderr,
        desc=f"{spec.name} {chosen.name}",
    ) as bar:
        summary = score_variants(
            engine,
            chosen,
            found,
            output,
            resolutions=wanted,
            identity=identity,
            choices=Choices(loops=read_loops(loops, source.chromsizes) if loops else ()),
            shifts=moved,
            maps=maps,
            strict=strict,
            force=force,
            progress=lambda done, total: bar.update(done - bar.n) and None,
        )
    for reason, count in list(summary.unscored.items())[:10]:
        click.echo(f"not scored: {count:,} x {reason}", err=True)
    if len(summary.unscored) > 10:
        click.echo(
            f"not scored: and {len(summary.unscored) - 10:,} other reasons, in the table", err=True
        )
    click.echo(f"{summary.scored:,} of {len(found):,} variants scored", err=True)
    click.echo(output)


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while part := stream.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def _shifts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part.replace("_", "")) for part in text.split(",") if part.strip())
    except ValueError:
        raise EditError(
            f"--shifts {text!r} is not a list of whole numbers of bp, such as -1000,1000"
        ) from None


def _say_approximation(engine: Engine) -> str | None:
    """A line if numbers are approximate; what that costs is measured by `predict`."""
    kinds = [k for k in (engine.dtype, engine.encoder_dtype) if k != "float32"]
    return (
        f"approximate numbers: {', '.join(kinds)} (run `orca-cool predict` with them to see by "
        f"how much)"
        if kinds
        else None
    )
