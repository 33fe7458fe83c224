"""Rebuild the example that ships with the package, from two registry packages on disk.

    npm pack @gmod/jbrowse@1.16.6 pip download --no-binary cooler --no-deps cooler==0.11.0 python
    scripts/make_example_data.py --jbrowse gmod-jbrowse-1.16.6.tgz --cooler cooler-0.11.0.tar.gz

Writes ``genomes/example/`` (sequence and indexes) and ``maps/`` (measured map, its licence) below
``orca_cool/data``.
"""

from __future__ import annotations

import gzip
import tarfile
import tempfile
from pathlib import Path

import click
import cooler
from Bio import bgzf
from cut_map import cut_map

from orca_cool.genome.fasta import FastaSource

CHROMS = ("chrI", "chrII")
LENGTHS = {"chrI": 230_208, "chrII": 813_178}
SCAFFOLDS = "package/sample_data/raw/yeast_scaffolds"
MAP = "cooler-0.11.0/tests/data/yeast.10kb.cool"
BASE = 10_000
#: Coarser than this, chrI has fewer than three bins and balancing masks most of the genome.
RESOLUTIONS = (10_000, 20_000, 40_000, 80_000)


def _member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        if file is None:
            raise click.ClickException(f"{archive} holds no file {name}")
        return file.read()


def make_genome(jbrowse: Path, folder: Path) -> None:
    """chrI and chrII as one bgzip FASTA with .fai and .gzi."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "example.fa.gz"
    for old in folder.glob("example.fa.gz*"):
        old.unlink()
    with bgzf.BgzfWriter(str(path), "wb", compresslevel=9) as out:
        for name in ("chr1.fa.gz", "chr2.fa.gzip"):
            out.write(gzip.decompress(_member(jbrowse, f"{SCAFFOLDS}/{name}")))
    sizes = FastaSource(path).chromsizes
    if sizes != LENGTHS:
        raise click.ClickException(f"lengths {sizes} differ from {LENGTHS}")


def make_map(sdist: Path, folder: Path) -> None:
    """chrI and chrII (cis and trans) at every resolution, with weights from balancing the whole
    genome at that resolution.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "LICENSE.cooler").write_bytes(_member(sdist, "cooler-0.11.0/LICENSE"))
    out = folder / "yeast.10kb.mcool"
    out.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source.cool"
        source.write_bytes(_member(sdist, MAP))
        whole = Path(temporary) / "whole.mcool"
        cooler.zoomify_cooler(
            str(source), str(whole), resolutions=list(RESOLUTIONS), chunksize=10_000_000
        )
        for resolution in RESOLUTIONS:
            clr = cooler.Cooler(f"{whole}::resolutions/{resolution}")
            # The 10 kb counts lack their first two diagonals, so the first two of every coarser
            # level are incomplete.
            weights, stats = cooler.balance_cooler(
                clr, ignore_diags=2, min_nnz=10 if resolution == BASE else 5, mad_max=5
            )
            about = {"origin": f"{MAP}, chrI and chrII", "licence": "BSD-3-Clause"}
            uri = f"{out}::resolutions/{resolution}"
            cut_map(clr, CHROMS, uri, weights, stats, assembly="sacCer", metadata=about)


@click.command()
@click.option(
    "--jbrowse",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="gmod-jbrowse-1.16.6.tgz",
)
@click.option(
    "--cooler",
    "sdist",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="cooler-0.11.0.tar.gz",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(__file__).parents[1] / "orca_cool" / "data",
)
def main(jbrowse: Path, sdist: Path, output: Path) -> None:
    """Rebuild the example genome and its measured map."""
    make_genome(jbrowse, output / "genomes" / "example")
    make_map(sdist, output / "maps")
    click.echo(f"written below {output}")


if __name__ == "__main__":
    main()
