"""The truth of hundreds of edits of the simulated world: a benchmark for
``orca-cool evaluate --edits``.

    python scripts/world/edits.py world -o bench --chrom chr70 --chrom chr71 --sets 10 --nproc 2

Writes ``edits.tsv``, a row for each edit in a cell type, and ``maps/ID.npz`` for each row, which
the documentation of evaluation describes. A run that was stopped goes on where it was, and one with
more ``--sets`` adds to what is there. Everything follows from the seed.

Edits of one set lie more than 500 kb apart on one edited chromosome. It is simulated twice, the
unedited one four times, and no two simulations share their chance. ``change1`` = ln(alternate 1 /
reference 1) and ``change2`` = ln(alternate 2 / reference 2), at the coordinates of the reference:
bins that the edit removes are NaN, of a pair of bins that the alternate has several times it is the
mean frequency.

Whether an edit changes its stretch (column ``changes``) is read from the simulations alone. Noise
is independent in the two replicates, an effect is not: the mean over all pixels of change1 x
change2, each averaged over 5 x 5 bins before, is 0 but for chance without an effect, and the mean
square of the effect with one. An edit changes if it has more than 99 of 100 stretches have in which
nothing was edited: the same stretches with references 3 and 4 in place of the two alternates.
"""

from __future__ import annotations

import csv
import io
import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import numpy as np
from arrays import save
from contacts import Physics, frequencies
from draw import Chromosome, Drawn
from rules import CELL_TYPES, features
from scipy.ndimage import uniform_filter
from scipy.sparse import csr_array
from tqdm import tqdm

from orca_cool.effects.reference_coordinates import lifted_bins
from orca_cool.files import atomic_write
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.open import open_genome
from orca_cool.genome.source import SequenceSource
from orca_cool.variants import parse_edits

#: Simulations of an edited chromosome, and of an unedited one.
ALTERNATES, REFERENCES = 2, 4
#: Bins over which changes are averaged, distance from which on pixels count, and the share of
#: unedited stretches that an edit must exceed, when it is asked whether it changes anything.
SMOOTH, NEAREST, SURE = 5, 2, 0.99
COLUMNS = (
    "id",
    "kind",
    "cell_type",
    "chrom",
    "start",
    "end",
    "resolution",
    "edit",
    "changes",
    "edges",
    "dots",
    "maps",
)


@dataclass(frozen=True)
class Bench:
    """What is to be made.

    Attributes
    ----------
    world, folder : of the genome, and of the benchmark.
    chroms : that are edited. sets : edited versions of each.
    bins, resolution : of a stretch. seed : of edits and simulations.
    """

    world: Path
    folder: Path
    chroms: tuple[str, ...]
    sets: int
    physics: Physics
    seed: int = 1
    bins: int = 128
    resolution: int = 4000

    @property
    def source(self) -> SequenceSource:
        """The world's genome."""
        return _opened(self.world)

    def chromosome(self, chrom: str) -> Chromosome:
        """What edits are drawn from."""
        return Chromosome(self.source, chrom, self.seed, self.bins, self.resolution)

    def chance(self, chrom: str, cell_type: str, number: int, replicate: int) -> int:
        """The seed of a simulation; ``number`` 0 is the unedited chromosome."""
        place = list(self.source.chromsizes).index(chrom)
        words = [self.seed, place, CELL_TYPES.index(cell_type), number, replicate]
        return int(np.random.SeedSequence(words).generate_state(1)[0])

    def simulated(self, chrom: str, cell_type: str, replicate: int) -> Path:
        """The file of an unedited chromosome."""
        return self.folder / "unedited" / f"{chrom}.{cell_type}.{replicate}.npz"


@cache
def _opened(world: Path) -> SequenceSource:
    return open_genome(str(world / "world.fa"))


@dataclass(frozen=True)
class Row:
    """An edit in a cell type: a row of the table."""

    chrom: str
    cell_type: str
    number: int
    place: int
    drawn: Drawn
    dots: tuple[tuple[int, int], ...]

    @property
    def id(self) -> str:
        """Its name, which is that of its file."""
        return f"{self.chrom}.{self.number:02d}.{self.place}.{self.drawn.kind}.{self.cell_type}"

    def file(self, bench: Bench) -> Path:
        """Its maps."""
        return bench.folder / "maps" / f"{self.id}.npz"


def rows_of(bench: Bench) -> list[Row]:
    """All rows, chromosome by chromosome."""
    found = []
    for chrom in bench.chroms:
        chromosome = bench.chromosome(chrom)
        for number, (types, edits) in enumerate(chromosome.sets(bench.sets), start=1):
            found += [
                Row(chrom, c, number, place, drawn, tuple(chromosome.dots(drawn)))
                for c in types
                for place, drawn in enumerate(edits, start=1)
            ]
    order = {c: k for k, c in enumerate(bench.chroms)}
    return sorted(found, key=lambda r: (order[r.chrom], r.cell_type, r.number, r.place))


def make_unedited(bench: Bench, chrom: str, cell_type: str, replicate: int) -> None:
    """Simulate an unedited chromosome, unless that is done."""
    path = bench.simulated(chrom, cell_type, replicate)
    if path.exists():
        return
    codes = bench.source.fetch(chrom, 0, bench.source.chromsizes[chrom])
    seed = bench.chance(chrom, cell_type, 0, replicate)
    found = frequencies(
        features(codes, cell_type), len(codes), bench.resolution, bench.physics, seed
    )
    save(path, frequency=found.astype(np.float32))


def read_unedited(bench: Bench, chrom: str, cell_type: str) -> list[np.ndarray]:
    """(bins, bins) frequencies of all simulations of an unedited chromosome."""
    found = []
    for replicate in range(REFERENCES):
        make_unedited(bench, chrom, cell_type, replicate)
        with np.load(bench.simulated(chrom, cell_type, replicate)) as file:
            found.append(file["frequency"].astype(float))
    return found


def make_set(job: tuple[Bench, tuple[Row, ...]]) -> None:
    """Simulate an edited chromosome, and write the maps of its edits, unless that is done."""
    bench, rows = job
    if all(row.file(bench).exists() for row in rows):
        return
    chrom, cell_type, number = rows[0].chrom, rows[0].cell_type, rows[0].number
    text = "; ".join(row.drawn.edit for row in rows)
    genome = apply_edits(bench.source, parse_edits(text, bench.source))
    codes = genome.fetch(chrom, 0, genome.chromsizes[chrom])
    found = features(codes, cell_type)
    references = read_unedited(bench, chrom, cell_type)
    changes = []
    for replicate in range(ALTERNATES):
        seed = bench.chance(chrom, cell_type, number, replicate)
        alternate = frequencies(found, len(codes), bench.resolution, bench.physics, seed)
        lifted = at_reference(alternate, genome, chrom, bench.resolution)
        n = len(references[replicate])
        changes.append(np.log(lifted[:n, :n] / references[replicate]))
    mean = np.mean(references, axis=0)
    for row in rows:
        here = slice(row.drawn.stretch, row.drawn.stretch + bench.bins)
        save(
            row.file(bench),
            change1=changes[0][here, here].astype(np.float16),
            change2=changes[1][here, here].astype(np.float16),
            reference=mean[here, here].astype(np.float32),
        )


def at_reference(
    values: np.ndarray, genome: EditedGenome, chrom: str, resolution: int
) -> np.ndarray:
    """The map of an edited chromosome at the coordinates of its reference.

    Parameters
    ----------
    values : (bins of the edited chromosome, the same) contact frequency.

    Returns
    -------
    (bins of the reference, the same): NaN of what is in no place, the mean over all pairs of places
    of what is in several.
    """
    lifted = lifted_bins(genome, [chrom], [resolution])[resolution][chrom]
    before = list(genome.chromsizes).index(chrom)
    first = sum(-(-size // resolution) for size in list(genome.chromsizes.values())[:before])
    places = lifted.places - first
    rows = np.repeat(np.arange(len(lifted.copies)), lifted.copies)
    known = (places >= 0) & (places < len(values))
    weight = csr_array(
        (np.ones(known.sum()), (rows[known], places[known])),
        shape=(len(lifted.copies), len(values)),
    )
    copies = np.asarray(weight.sum(axis=1)).ravel()
    number = np.outer(copies, copies)
    total = (weight @ (weight @ values).T).T
    return np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)


def agreement(one: np.ndarray, two: np.ndarray) -> float:
    """Mean of the product of two smoothed changes over the pixels that both know."""
    known = np.isfinite(one) & np.isfinite(two)
    share = uniform_filter(known.astype(float), SMOOTH, mode="constant")
    smooth = [
        uniform_filter(np.where(known, x, 0.0), SMOOTH, mode="constant") / np.maximum(share, 1e-9)
        for x in (one, two)
    ]
    pixels = np.triu(known, NEAREST)
    return float((smooth[0] * smooth[1])[pixels].mean())


def write_table(bench: Bench, rows: Sequence[Row]) -> None:
    """The table of those rows whose maps are there."""
    done = [row for row in rows if row.file(bench).exists()]
    found, nothing = [], []
    unedited: dict[tuple[str, str], list[np.ndarray]] = {}
    for row in sorted(done, key=lambda r: (r.chrom, r.cell_type)):
        if (key := (row.chrom, row.cell_type)) not in unedited:
            unedited = {key: [np.log(x) for x in read_unedited(bench, *key)]}
        here = slice(row.drawn.stretch, row.drawn.stretch + bench.bins)
        one, two, three, four = (x[here, here] for x in unedited[key])
        nothing.append(agreement(three - one, four - two))
        with np.load(row.file(bench)) as file:
            found.append((row, agreement(*(file[k].astype(float) for k in ("change1", "change2")))))
    least = float(np.quantile(nothing, SURE))
    changes = {row.id: int(value > least) for row, value in found}
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n")
    table.writerow(COLUMNS)
    for row in done:
        table.writerow(_fields(bench, row, changes[row.id]))
    atomic_write(bench.folder / "edits.tsv", text.getvalue())


def _fields(bench: Bench, row: Row, changes: int) -> list[object]:
    first = row.drawn.stretch
    bins = sorted({place // bench.resolution - first for place in row.drawn.edges})
    return [
        row.id,
        row.drawn.kind,
        row.cell_type,
        row.chrom,
        first * bench.resolution,
        (first + bench.bins) * bench.resolution,
        bench.resolution,
        row.drawn.edit,
        changes,
        ",".join(map(str, bins)),
        ",".join(f"{i}-{j}" for i, j in row.dots),
        f"maps/{row.id}.npz",
    ]


def make(bench: Bench, nproc: int = 1) -> None:
    """Make all files of a benchmark."""
    bench.folder.mkdir(parents=True, exist_ok=True)
    rows = rows_of(bench)
    sets: dict[tuple[str, str, int], tuple[Row, ...]] = {}
    for row in rows:
        key = row.chrom, row.cell_type, row.number
        sets[key] = (*sets.get(key, ()), row)
    jobs = [(bench, some) for some in sets.values()]
    with multiprocessing.get_context("spawn").Pool(nproc) as pool:
        for _ in tqdm(pool.imap_unordered(make_set, jobs), total=len(jobs), unit="set"):
            pass
    write_table(bench, rows)


@click.command()
@click.argument("world", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--output", "folder", required=True, type=click.Path(path_type=Path))
@click.option("--chrom", "chroms", multiple=True, required=True, help="That is edited; repeat.")
@click.option("--sets", default=10, show_default=True, help="Edited versions of a chromosome.")
@click.option("--snapshots", default=300, show_default=True, help="Of each simulation.")
@click.option("--bins", default=128, show_default=True, help="Of the stretch around an edit.")
@click.option("--resolution", default=4000, show_default=True, help="bp of a bin.")
@click.option("--seed", default=1, show_default=True)
@click.option("--nproc", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--table-only", is_flag=True, help="Simulate nothing: the table of what is there.")
def main(snapshots: int, nproc: int, table_only: bool, **options: object) -> None:
    """Draw edits in the genome of the folder WORLD, and simulate their truth."""
    bench = Bench(physics=Physics(snapshots=snapshots), **options)
    if table_only:
        write_table(bench, rows_of(bench))
    else:
        make(bench, nproc)


if __name__ == "__main__":
    main()
