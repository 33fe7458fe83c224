"""Which rules of the simulated world a model has found: what it predicts on test chromosomes beside
what the simulation says there.

    python scripts/world/rules_found.py extrusion world chr70 chr71 chr72 -o rules.tsv

A line for each class of places: their number, the mean in the simulated map, and in the predicted
one. (1) Dots of pairs of strong CTCF sites by orientation, as ln observed/expected of 3 x 3 bins
less the ring around them (``effects.scores.dot_change``). (2) Contacts across single CTCF sites by
score, and (3) across motifs that one cell type reads, as ln of the mean contact of a diamond, less
that of places without a site. (4) The whole map: r of ln observed/expected between the prediction
and the simulated map, and between that and a second simulation, of other chance, which is what can
be expected.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pandas as pd
from contacts import frequencies
from rules import AP1, CELL_TYPES, LEAST, LOG_ODDS, ctcf_scores, features, occurrences

import orca_cool as oc
from orca_cool.effects.scores import dot_change, log_insulation
from orca_cool.files import atomic_write

RESOLUTION = 4000
#: Bits of a strong site; bins between the two of a pair; side of the diamond in bins.
STRONG, PAIRS, SIDE = 17.0, (20, 110), 10
#: A pair has no other strong site within this many bins of either of its two.
ALONE = 3
#: Classes of single sites by score in bits.
CLASSES = ((LEAST, 14.0), (14.0, 16.0), (16.0, 18.0), (18.0, 99.0))


def by_distance(frequency: np.ndarray) -> np.ndarray:
    """ln of a map over the mean at each distance."""
    n = len(frequency)
    d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # diagonals beyond a level's reach
        mean = np.array([np.nanmean(np.diagonal(frequency, k)) for k in range(n)])
    return np.asarray(np.log(frequency / mean[d]))


def agreement(a: np.ndarray, b: np.ndarray, known: np.ndarray) -> float:
    """Pearson's r of two maps over the pixels that are known, 2 bins apart or more."""
    keep = np.triu(known, 2)
    return float(np.corrcoef(by_distance(a)[keep], by_distance(b)[keep])[0, 1])


def whole(maps: dict[str, np.ndarray], cell_type: str, codes: np.ndarray) -> dict[str, object]:
    """(4), at the finest level."""
    again = frequencies(features(codes, cell_type), len(codes), RESOLUTION, seed=10**6)
    known = np.isfinite(maps["predicted"])
    own = agreement(maps["predicted"], maps["simulated"], known)
    return {
        "rule": "r of the map",
        "class": f"{RESOLUTION} bp",
        "simulated": agreement(again, maps["simulated"], known),
        "predicted": own,
    }


def places(codes: np.ndarray) -> tuple[dict[str, list[tuple[int, int]]], dict[str, list[int]]]:
    """Pairs of bins by the orientation of their sites, and bins of single sites by class."""
    scores = ctcf_scores(codes)
    strand, start = np.nonzero(scores >= LEAST)
    order = np.argsort(start)
    strand, start = strand[order], start[order]
    bits = scores[strand, start]
    bins, n = (start + len(LOG_ODDS) // 2) // RESOLUTION, len(codes) // RESOLUTION
    ap1 = (occurrences(codes, AP1) + len(AP1) // 2) // RESOLUTION
    every = np.concatenate([bins, ap1])
    strong = np.flatnonzero(bits >= STRONG)
    lone = [k for k in strong if (np.abs(bins[strong] - bins[k]) <= ALONE).sum() == 1]
    pairs: dict[str, list[tuple[int, int]]] = {"convergent": [], "tandem": [], "divergent": []}
    for a in lone:
        for b in lone:
            if PAIRS[0] <= bins[b] - bins[a] <= PAIRS[1] and 6 <= bins[a] and bins[b] < n - 6:
                kind = {(0, 1): "convergent", (1, 0): "divergent"}.get(
                    (int(strand[a]), int(strand[b])), "tandem"
                )
                pairs[kind].append((int(bins[a]), int(bins[b])))

    def alone(b: int) -> bool:
        return int((np.abs(every - b) <= SIDE).sum()) == 1 and SIDE < b < n - SIDE

    single = {
        f"CTCF {low:g} to {high:g} bits": [
            int(b) for b, s in zip(bins, bits) if low <= s < high and alone(int(b))
        ]
        for low, high in CLASSES
    }
    single["AP1"] = [int(b) for b in ap1 if alone(int(b))]
    single["none"] = [b for b in range(SIDE + 1, n - SIDE - 1) if (np.abs(every - b) > SIDE).all()]
    return pairs, single


def rows(maps: dict[str, np.ndarray], codes: np.ndarray) -> Iterator[dict[str, object]]:
    """What each place is in the simulated and in the predicted map of a chromosome."""
    pairs, single = places(codes)
    y = {name: by_distance(m) for name, m in maps.items()}
    across = {name: log_insulation(m, None, SIDE) * np.log(2) for name, m in maps.items()}
    for kind, found in pairs.items():
        for i, j in found:
            yield {"rule": "loop", "class": kind, **{k: dot_change(v, i, j) for k, v in y.items()}}
    for kind, bins in single.items():
        for b in bins:
            yield {"rule": "across", "class": kind, **{k: v[b] for k, v in across.items()}}


@click.command()
@click.argument("model")
@click.argument("world", type=click.Path(path_type=Path, exists=True))
@click.argument("chroms", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(model: str, world: Path, chroms: tuple[str, ...], output: Path) -> None:
    """Hold MODEL against the rules of WORLD on CHROMS."""
    tables = []
    for cell_type in CELL_TYPES:
        predictor = oc.Predictor(
            model, str(world / "world.fa"), cell_type=cell_type, progress=False
        )
        for chrom in chroms:
            with np.load(world / cell_type / f"{chrom}.npz") as file:
                simulated = file["frequency"].astype(float)
            predicted = predictor.predict(chrom, RESOLUTION).frequency
            codes = predictor.genome.source.fetch(chrom, 0, predictor.genome.chromsizes[chrom])
            maps = {"simulated": simulated, "predicted": predicted}
            own = pd.DataFrame([whole(maps, cell_type, codes), *rows(maps, codes)])
            tables.append(own.assign(cell_type=cell_type))
    table = pd.concat(tables)
    found = table.groupby(["rule", "class", "cell_type"])[["simulated", "predicted"]]
    means = found.mean().assign(places=found.size())
    for cell_type in CELL_TYPES:
        nothing = means.loc[("across", "none", cell_type), ["simulated", "predicted"]]
        for kind in means.loc["across"].index.get_level_values("class").unique():
            means.loc[("across", kind, cell_type), ["simulated", "predicted"]] -= nothing
    text = means.round(3).to_csv(sep="\t")
    atomic_write(output, text)
    click.echo(text, nl=False)


if __name__ == "__main__":
    main()
