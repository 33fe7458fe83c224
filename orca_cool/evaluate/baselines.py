"""What position alone predicts (:mod:`orca_cool.maps.positional`), learnt from the measured map's
training chromosomes, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from orca_cool.errors import RegionError
from orca_cool.genome.intervals import read_bed
from orca_cool.genome.regions import n_bins
from orca_cool.maps.positional import Chromosome, Positional

#: Pixels of a level that the baselines learn from; of more a random sample.
LIMIT = 4_000_000

#: Rows of a square.
ROWS = 2048

#: (chromosome, resolution, start, end in bp) -> (n, n) measured log observed/expected.
Target = Callable[[str, int, int, int], np.ndarray]


def centromeres(features: str | Path, chroms: Iterable[str]) -> dict[str, int]:
    """Centre of the centromere of each chromosome, from a BED file whose seventh column is
    "centromere" there.
    """
    return {
        i.chrom: (i.start + i.end) // 2
        for i in read_bed(Path(features), 6, "", chroms)
        if i.kind == "centromere"
    }


def check_training(chroms: Iterable[str], train: Iterable[str]) -> None:
    """RegionError if a chromosome is to be evaluated and to train the baselines."""
    both = set(chroms) & set(train)
    if both:
        raise RegionError(
            f"chromosome {min(both)!r} is to be evaluated and to train the baselines; leave it "
            f"out of --train"
        )


def squares(n: int, band: int) -> list[tuple[int, int, int]]:
    """Squares on the diagonal that hold every pixel of a band of n bins: (first bin, last bin + 1,
    own).

    A pixel whose both bins are ``own`` or more bins from the first is the next square's.
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
    middle: Mapping[str, int],
    bands: Mapping[int, int],
    seed: int,
) -> dict[str, Positional]:
    """Baselines "telomere", told distance and telomeres, and "centromere", told the centromere too
    (where any is known).

    Parameters
    ----------
    lengths : of the training chromosomes, in bp; none, no baselines. middle : centres of
        centromeres.
    bands : bins of distance by resolution.
    """
    models = {}
    if lengths:
        models["telomere"] = Positional(False, max(bands.values()))
    if set(lengths) & set(middle):
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
                parts.append((Chromosome(size, middle.get(chrom)), i + a, j + a, y[i, j]))
        for name, model in models.items():
            model.fit_pixels(
                r, [p for p in parts if name == "telomere" or p[0].centromere is not None]
            )
    return models


def baseline_windows(
    models: Mapping[str, Positional], chrom: Chromosome, resolution: int, n: int, start: int
) -> dict[str, np.ndarray]:
    """By name, (n, n) log observed/expected of a window from ``start`` bp; the centromere's only
    where it is known.
    """
    known = {
        name: m for name, m in models.items() if name == "telomere" or chrom.centromere is not None
    }
    return {name: m.predict(chrom, resolution, n, start) for name, m in known.items()}
