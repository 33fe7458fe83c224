"""``orca-cool encode``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click
from tqdm import tqdm

from orca_cool.cli.common import assembly_of
from orca_cool.encodings.cache import block_encoder
from orca_cool.encodings.store import DTYPES, EncodingStore, build, verify
from orca_cool.encodings.store.layout import is_store
from orca_cool.errors import OutputError
from orca_cool.genome.open import open_genome
from orca_cool.genome.regions import Region, parse_region
from orca_cool.model.bundle import load_bundle
from orca_cool.model.registry import resolve
from orca_cool.prediction.device import resolve_device


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("regions", nargs=-1)
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
    help="The store (.h5); one that exists is filled up.",
)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    help="Number type on disk [default: float16, or what the store has].",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--verify",
    "check",
    is_flag=True,
    help="First read every block that is there; damaged ones are told and encoded anew.",
)
@click.option("--force", is_flag=True, help="Delete the store that is there and start anew.")
@click.option(
    "--chrom-names", help="add-chr, strip-chr or a two-column TSV: rename the genome's chromosomes."
)
@click.option(
    "--any-genome", is_flag=True, help="Accept a genome of another assembly than the model's."
)
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def encode(
    regions: tuple[str, ...],
    model: str,
    genome: str,
    output: Path,
    dtype: str | None,
    device: str,
    check: bool,
    force: bool,
    chrom_names: str | None,
    any_genome: bool,
    quiet: bool,
) -> None:
    """Encode both strands of REGIONs (chrII, chrII:100,000-500,000; default: all chromosomes) once
    and for all, in a store.

    Whatever predicts from a store reads them instead of encoding again. A killed run goes on where
    it was when the same command is repeated, and several may fill one store at the same time.
    """
    target = resolve_device(device)
    if output.is_dir():
        raise OutputError(f"the output {str(output)!r} is a folder; give a file")
    bundle = load_bundle(resolve(model))
    source = open_genome(genome, chrom_names)
    chosen: list[Region] | None = [
        parse_region(text, source.chromsizes) for text in regions
    ] or None
    assembly_of(bundle.spec, source, any_genome)
    if force and output.exists():
        if not is_store(output):
            raise OutputError(
                f"{output} exists and is not a store of encodings; choose another name"
            )
        output.unlink()
    with EncodingStore.open(
        output, bundle.model.encoder, source, model_name=bundle.spec.name, dtype=dtype
    ) as store:
        if check:
            with _bar("verify", quiet) as show:
                damaged = verify(store, chosen, show)
            for block in damaged:
                click.echo(f"damaged: {block}", err=True)
            click.echo(f"{len(damaged)} damaged block{'s' if len(damaged) != 1 else ''}", err=True)
        encoder = bundle.model.encoder.to(target).eval()
        with _bar(bundle.spec.name, quiet) as show:
            build(store, block_encoder(encoder, source, target), chosen, show)
    click.echo(output)


class _bar:
    """A progress bar in bp, as the function that :func:`build` and :func:`verify` call."""

    def __init__(self, name: str, quiet: bool):
        self._bar = tqdm(unit="bp", unit_scale=True, disable=quiet, file=sys.stderr, desc=name)
        self._begun = False

    def __enter__(self) -> Callable[[int, int], None]:
        return self._show

    def _show(self, done: int, total: int) -> None:
        if not self._begun:  # what earlier runs did must not count for the speed
            self._begun = True
            self._bar.total, self._bar.initial, self._bar.n = total, done, done
            self._bar.refresh()
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
