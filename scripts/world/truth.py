"""The truth of an edit in the simulated world: the map of the edited sequence, simulated as well.

    python scripts/world/truth.py world 'chr3:1,200,000-1,201,000 del' -o truth.npz

Writes the maps of the reference and of the edited chromosome, each in its own coordinates, and the
reference simulated a second time: how far two maps differ by chance alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from arrays import save
from contacts import Physics, frequencies
from rules import CELL_TYPES, features

from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.open import open_genome
from orca_cool.genome.source import SequenceSource
from orca_cool.variants import parse_edits


@dataclass(frozen=True)
class Truth:
    """Simulated maps of an edited chromosome.

    Attributes
    ----------
    reference, replicate : (bins, bins) contact frequencies of the reference, simulated twice.
    alternate : those of the edited chromosome, in its own coordinates.
    """

    reference: np.ndarray
    replicate: np.ndarray
    alternate: np.ndarray


def truth(
    source: SequenceSource,
    edits: str,
    cell_type: str = "a",
    resolution: int = 4000,
    physics: Physics | None = None,
    seed: int = 0,
) -> Truth:
    """Simulate a chromosome with and without edits.

    Parameters
    ----------
    source : the world's genome. edits : in the grammar of edits, on one chromosome.
    seed : the reference has it, the replicate and the alternate the next ones: no two maps share
        their chance.

    Raises
    ------
    ValueError
        If the edits change no chromosome, or several.
    """
    genome = apply_edits(source, parse_edits(edits, source))
    changed = [c for c in genome.edited if c in source.chromsizes]
    if len(changed) != 1 or len(genome.edited) != 1:
        raise ValueError(f"the edits change {', '.join(genome.edited) or 'nothing'}; edit one")
    sequences = [_codes(own, changed[0]) for own in (source, source, genome)]
    maps = [
        frequencies(features(codes, cell_type), len(codes), resolution, physics, seed + k)
        for k, codes in enumerate(sequences)
    ]
    return Truth(*maps)


def _codes(source: SequenceSource | EditedGenome, chrom: str) -> np.ndarray:
    return source.fetch(chrom, 0, source.chromsizes[chrom])


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.argument("edit")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--cell-type", default="a", show_default=True, type=click.Choice(CELL_TYPES))
@click.option("--snapshots", default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(folder: Path, edit: str, output: Path, cell_type: str, snapshots: int, seed: int) -> None:
    """Simulate EDIT in the world of FOLDER."""
    source = open_genome(str(folder / "world.fa"))
    made = truth(source, edit, cell_type, physics=Physics(snapshots=snapshots), seed=seed)
    save(
        output,
        reference=made.reference,
        replicate=made.replicate,
        alternate=made.alternate,
        edit=edit,
        cell_type=cell_type,
    )


if __name__ == "__main__":
    main()
