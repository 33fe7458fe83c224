"""Cut the example that ships with the package out of the simulated world: a test chromosome of the
model `extrusion`, and its map in both cell types.

    python scripts/world/example.py world -o orca_cool/data

Writes ``genomes/extrusion-example/`` (bgzip FASTA with indexes) and ``maps/extrusion.TYPE.mcool``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import cooler
from Bio import bgzf
from rules import CELL_TYPES

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cut_map import cut_map

from orca_cool.genome.fasta import FastaSource
from orca_cool.genome.open import open_genome

NAME = "extrusion-example"
ASSEMBLY = "extrusion1"


def write_genome(world: Path, chrom: str, folder: Path) -> Path:
    """A chromosome as bgzip FASTA with .fai and .gzi."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.fa.gz"
    for old in folder.glob(f"{path.name}*"):
        old.unlink()
    source = open_genome(str(world / "world.fa"))
    letters = bytes(b"ACGTN"[code] for code in source.fetch(chrom, 0, source.chromsizes[chrom]))
    with bgzf.BgzfWriter(str(path), "wb", compresslevel=9) as out:
        out.write(f">{chrom}\n".encode())
        for at in range(0, len(letters), 60):
            out.write(letters[at : at + 60] + b"\n")
    FastaSource(path)  # writes the indexes
    return path


def write_map(world: Path, cell_type: str, chrom: str, folder: Path) -> Path:
    """The map of a chromosome, with the weights of the whole."""
    path = folder / f"extrusion.{cell_type}.mcool"
    path.unlink(missing_ok=True)
    whole = world / f"world.{cell_type}.mcool"
    for uri in cooler.fileops.list_coolers(str(whole)):
        clr = cooler.Cooler(f"{whole}::{uri}")
        with clr.open("r") as group:
            stats = dict(group["bins/weight"].attrs)
        kept = {k: v for k, v in stats.items() if k in ("ignore_diags", "mad_max", "min_nnz")}
        metadata = {**(clr.info.get("metadata") or {}), "chromosomes": [chrom]}
        weights = clr.bins()[:]["weight"].to_numpy()
        about = {"assembly": ASSEMBLY, "metadata": metadata}
        cut_map(clr, [chrom], f"{path}::{uri}", weights, kept, **about)
    return path


@click.command()
@click.argument("world", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--chrom", default="chr70", show_default=True)
def main(world: Path, output: Path, chrom: str) -> None:
    """Cut the example out of the made world in folder WORLD."""
    click.echo(write_genome(world, chrom, output / "genomes" / NAME))
    for cell_type in CELL_TYPES:
        click.echo(write_map(world, cell_type, chrom, output / "maps"))


if __name__ == "__main__":
    main()
