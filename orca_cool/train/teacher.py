"""A teacher for small genomes: what position explains, on chromosomes assembled from training
sequence.

A handful of measured chromosomes cannot teach where a structure is drawn apart from which structure
it is. Boosted trees on positions (:mod:`orca_cool.maps.positional`), fitted to the training
chromosomes, draw the map of any made-up chromosome: with ends of real ones, and a functional
centromere at a random place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orca_cool.genome.regions import n_bins
from orca_cool.genome.source import reverse_complement
from orca_cool.maps.positional import Chromosome, Positional
from orca_cool.train.transplants import TrainingGenome


def assemble(
    rng: np.random.Generator,
    genome: TrainingGenome,
    teacher: Positional,
    resolutions: Sequence[int],
    lengths: tuple[int, int],
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """One made-up chromosome.

    Parameters
    ----------
    lengths : smallest and largest length in bp; no chromosome is longer than the one that it is
        made from.

    Returns
    -------
    uint8 codes (bp,), and by resolution its (n, n) log observed/expected as the teacher has it.
    """
    negative = genome.drawn_negative(rng)
    chrom = genome.chroms[rng.choice(len(genome.chroms), p=genome.share)]
    if negative is not None:
        chrom = negative.chrom
    native = genome.codes[chrom]
    length = min(len(native), int(rng.integers(*lengths)))
    first, last = 0, len(native) - length
    if negative is not None:  # the piece that is cut out holds it
        first, last = max(first, negative.end - length), min(last, negative.start)
    start = int(rng.integers(first, max(first, last) + 1))
    codes = native[start : start + length].copy()
    cen = genome.centromeres.get(chrom)
    if cen is not None and start < cen.end and cen.start < start + length:
        genome.erase(rng, codes, cen.start - start, cen.end - start)
    for left in (True, False):
        donor = genome.codes[genome.chroms[int(rng.integers(len(genome.chroms)))]]
        tip = int(rng.integers(5_000, 20_000))
        end = donor[:tip] if rng.random() < 0.5 else reverse_complement(donor[-tip:])
        if left:
            codes[:tip] = end
        else:
            codes[-tip:] = reverse_complement(end)
    centre = int(rng.uniform(0.12, 0.88) * length)
    genome.paste(rng, codes, centre)
    where = Chromosome(length, centre)
    return codes, {r: teacher.predict(where, r, n_bins(length, r)) for r in resolutions}
