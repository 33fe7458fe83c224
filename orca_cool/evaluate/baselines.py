"""Baselines that predict from position alone (:mod:`orca_cool.maps.positional`), learnt from the
measured map of the training chromosomes, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from orca_cool.errors import RegionError
from orca_cool.genome.regions import n_bins
from orca_cool.maps.positional import Chromosome, Positional

#: Number of pixels of a level that the baselines learn from; if there are more, a random sample.
LIMIT = 4_000_000

#: Number of rows of a square that are not the next square's.
ROWS = 2048

#: (chromosome, resolution, start, end in bp) -> (n, n) measured log observed/expected.
Target = Callable[[str, int, int, int], np.ndarray]


def check_training(chroms: Iterable[str], train: Iterable[str]) -> None:
    """Raise RegionError if a chromosome is to be evaluated and to train the baselines."""
    both = set(chroms) & set(train)
    if both:
        raise RegionError(
            f"chromosome {min(both)!r} is to be evaluated and to train the baselines; leave it "
            f"out of --train"
        )


def squares(n: int, band: int) -> list[tuple[int, int, int]]:
    """Squares along the diagonal that together hold every pixel of a band.

    Parameters
    ----------
    n : bins of the chromosome.
    band : pixels fewer than so many bins apart are in the band.

    Returns
    -------
    (start, end, own) of each square, in bins. Neighbouring squares overlap: a pixel whose two bins
    are both ``own`` bins or more from ``start`` belongs to the next square.
    """
    out = []
    for a in range(0, n, ROWS):
        b = min(a + ROWS + band, n)
        out.append((a, b, b - a if b == n else ROWS))
        if b == n:
            break
    return out


def fit_baselines(
    target: Target,
    lengths: Mapping[str, int],
    centromeres: Mapping[str, int],
    bands: Mapping[int, int],
    seed: int,
) -> dict[str, Positional]:
    """Train the baselines on the measured map of the training chromosomes.

    Parameters
    ----------
    target : gives the measured map.
    lengths : of the training chromosomes, in bp. Without any there are no baselines.
    centromeres : centres of centromeres in bp, of the chromosomes where they are known.
    bands : by resolution, the number of distances, in bins, that are learnt.
    seed : of the random sample of pixels.

    Returns
    -------
    By name: "telomere" predicts from the distance of two bins and their distances from the
    chromosome ends; "centromere" also from their distances from the centromere, and is there only
    if the centromere of a training chromosome is known.
    """
    models = {}
    if lengths:
        models["telomere"] = Positional(False, max(bands.values()))
    if set(lengths) & set(centromeres):
        models["centromere"] = Positional(True, max(bands.values()))
    rng = np.random.default_rng(seed)
    for r, band in bands.items():
        share = LIMIT / max(1, sum(n_bins(size, r) * band for size in lengths.values()))
        parts = []
        for chrom, size in lengths.items():
            for a, b, own in squares(n_bins(size, r), band):
                y = target(chrom, r, a * r, b * r)
                y[own:, own:] = np.nan
                found = np.tril(np.triu(np.isfinite(y)), band - 1)
                if share < 1:
                    found &= rng.random(found.shape) < share
                i, j = np.nonzero(found)
                parts.append((Chromosome(size, centromeres.get(chrom)), i + a, j + a, y[i, j]))
        for name, model in models.items():
            model.fit_pixels(
                r, [p for p in parts if name == "telomere" or p[0].centromere is not None]
            )
    return models


def baseline_windows(
    models: Mapping[str, Positional], chrom: Chromosome, resolution: int, n: int, start: int
) -> dict[str, np.ndarray]:
    """What the baselines predict for one window.

    Parameters
    ----------
    models : see :func:`fit_baselines`.
    resolution, n, start : bin in bp, number of bins, and start in bp of the window.

    Returns
    -------
    By name, (n, n) log observed/expected; "centromere" only where the chromosome's is known.
    """
    known = {
        name: m for name, m in models.items() if name == "telomere" or chrom.centromere is not None
    }
    return {name: m.predict(chrom, resolution, n, start) for name, m in known.items()}
