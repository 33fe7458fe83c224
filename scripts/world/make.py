"""Make the simulated world `extrusion`: a genome, and a contact map of it for each cell type.

    pip install lefsim
    python scripts/world/make.py -o world --chromosomes 75 --length 4000000 --nproc 2

Writes ``world.fa``, ``world.peaks.bed`` (what its sequence holds) and, for each cell type,
``world.TYPE.mcool`` (counts drawn from the simulated frequencies, balanced by cooler) and
``TYPE/chrN.npz`` (these frequencies, without that noise). A run that was stopped goes on where it
was. Everything follows from the seed, bit for bit.

It is a simulation of known physics, for models whose reactions are to be held against the truth. No
cell has such a genome.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import cooler
import h5py
import numpy as np
import pandas as pd
from arrays import save
from contacts import Physics, frequencies
from rules import AP1, CELL_TYPES, ETS, LEAST, LOG_ODDS, ctcf_scores, features, occurrences
from sequence import chromosome
from tqdm import tqdm

from orca_cool.files import atomic_path
from orca_cool.genome.regions import n_bins

ASSEMBLY = "extrusion1"
#: Scores in bits from which on sites of CTCF are listed as a kind of their own.
GRADES = (int(LEAST), 14, 16, 18)
#: Variance of the sums of balanced rows at which balancing ends. Rows of a simulated map differ by
#: counting noise and by chromosome ends alone; the tenth of it that is usual takes 200 iterations.
TOLERANCE = 1e-4
#: Bases of a line of FASTA.
LINE = 60


@dataclass(frozen=True)
class World:
    """What is to be made.

    Attributes
    ----------
    folder : where. chromosomes, length : number of chromosomes, and bp of each.
    resolution : bp of the finest bins; levels : number of resolutions, each twice the one before.
    contacts : counts of a map for each Mb of sequence.
    """

    folder: Path
    chromosomes: int
    length: int
    resolution: int
    levels: int
    contacts: int
    seed: int
    physics: Physics

    @property
    def names(self) -> list[str]:
        """Names of the chromosomes."""
        return [f"chr{k + 1}" for k in range(self.chromosomes)]


def part_path(world: World, cell_type: str, number: int) -> Path:
    """The file of a chromosome's frequencies."""
    return world.folder / cell_type / f"chr{number + 1}.npz"


def make_part(job: tuple[World, str, int]) -> None:
    """Simulate a chromosome in a cell type, unless that is done."""
    world, cell_type, number = job
    path = part_path(world, cell_type, number)
    if path.exists():
        return
    codes = chromosome(world.seed, number, world.length)
    # cell types differ in what they read, not in their noise alone
    seed = 2 * (world.seed * 100_003 + number) + CELL_TYPES.index(cell_type)
    found = features(codes, cell_type)
    values = frequencies(found, len(codes), world.resolution, world.physics, seed)
    save(path, frequency=values.astype(np.float32))


def pixels(world: World, cell_type: str) -> Iterator[pd.DataFrame]:
    """Counts of one chromosome after another: Poisson, of the stated number in all."""
    bins = n_bins(world.length, world.resolution)
    for number in range(world.chromosomes):
        with np.load(part_path(world, cell_type, number)) as file:
            frequency = file["frequency"].astype(float)
        i, j = np.triu_indices(bins)
        mean = frequency[i, j]
        mean *= world.contacts * world.length / 1e6 / mean.sum()
        rng = np.random.default_rng([world.seed, number, CELL_TYPES.index(cell_type)])
        count = rng.poisson(mean)
        keep = count > 0
        first = number * bins
        yield pd.DataFrame(
            {"bin1_id": i[keep] + first, "bin2_id": j[keep] + first, "count": count[keep]}
        )


def write_map(job: tuple[World, str]) -> Path:
    """The .mcool of a cell type."""
    world, cell_type = job
    sizes = pd.Series({name: world.length for name in world.names})
    path = world.folder / f"world.{cell_type}.mcool"
    resolutions = [world.resolution * 2**k for k in range(world.levels)]
    with atomic_path(path) as temporary:
        base = temporary.with_suffix(".cool")
        try:
            cooler.create_cooler(
                str(base),
                cooler.binnify(sizes, world.resolution),
                pixels(world, cell_type),
                dtypes={"count": np.int32},
                ordered=True,
                assembly=ASSEMBLY,
            )
            cooler.zoomify_cooler(str(base), str(temporary), resolutions, chunksize=5_000_000)
        finally:
            base.unlink(missing_ok=True)
        about = {"simulated": True, "cell_type": cell_type, **asdict(world.physics)}
        for resolution in resolutions:
            with h5py.File(temporary, "r+") as file:  # zoomify drops it
                file[f"resolutions/{resolution}"].attrs["metadata"] = json.dumps(about)
            # without contacts between chromosomes there is nothing to balance there
            clr = cooler.Cooler(f"{temporary}::resolutions/{resolution}")
            cooler.balance_cooler(clr, cis_only=True, store=True, tol=TOLERANCE)
    return path


def write_genome(world: World) -> Path:
    """The chromosomes as FASTA."""
    path = world.folder / "world.fa"
    letters = np.frombuffer(b"ACGTN", np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        for number, name in enumerate(world.names):
            text = letters[chromosome(world.seed, number, world.length)].tobytes()
            lines = (text[k : k + LINE] for k in range(0, len(text), LINE))
            out.write(f">{name}\n".encode() + b"\n".join(lines) + b"\n")
    return path


def write_peaks(world: World) -> Path:
    """What sequence holds, as a BED with the kind in its fourth column: the ChIP-seq of this world.

    Sites of CTCF by their strand, and again those of a score of at least so many bits; copies of
    the motif of compartment A, and of the one that a single cell type reads.
    """
    path = world.folder / "world.peaks.bed"
    with atomic_path(path) as temporary, temporary.open("w") as out:
        for number, name in enumerate(world.names):
            codes = chromosome(world.seed, number, world.length)
            scores = ctcf_scores(codes)
            found = [
                (int(start), int(start) + len(LOG_ODDS), f"CTCF_{bits}_bits({sign})")
                for strand, sign in enumerate("+-")
                for bits in GRADES
                for start in np.flatnonzero(scores[strand] >= bits)
            ]
            for kind, motif in (("ETS", ETS), ("AP1", AP1)):
                starts = occurrences(codes, motif)
                found += [(int(start), int(start) + len(motif), kind) for start in starts]
            out.writelines(f"{name}\t{a}\t{b}\t{kind}\n" for a, b, kind in sorted(found))
    return path


def make(world: World, nproc: int = 1) -> None:
    """Make all files of a world."""
    world.folder.mkdir(parents=True, exist_ok=True)
    write_genome(world)
    write_peaks(world)
    jobs = [(world, c, k) for k in range(world.chromosomes) for c in CELL_TYPES]
    with multiprocessing.get_context("spawn").Pool(nproc) as pool:
        for _ in tqdm(pool.imap_unordered(make_part, jobs), total=len(jobs), unit="map"):
            pass
        pool.map(write_map, [(world, cell_type) for cell_type in CELL_TYPES])


@click.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder.")
@click.option("--chromosomes", default=75, show_default=True, type=click.IntRange(min=1))
@click.option("--length", default=4_000_000, show_default=True, help="Of a chromosome, bp.")
@click.option("--resolution", default=4000, show_default=True, help="Of the finest bins, bp.")
@click.option("--levels", default=6, show_default=True, type=click.IntRange(min=1))
@click.option("--contacts", default=500_000, show_default=True, help="Counts a Mb.")
@click.option("--snapshots", default=Physics.snapshots, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--nproc", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--force", is_flag=True, help="Start anew.")
def main(output: Path, snapshots: int, nproc: int, force: bool, **options: int) -> None:
    """Make a genome and its contact maps."""
    if force:
        shutil.rmtree(output, ignore_errors=True)
    make(World(folder=output, physics=Physics(snapshots=snapshots), **options), nproc)


if __name__ == "__main__":
    main()
