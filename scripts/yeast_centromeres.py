#!/usr/bin/env python
"""Where a yeast model sees centromeres: a line for each chromosome, and a BED of the places that
look like one and are none.

    python scripts/yeast_centromeres.py MODEL GENOME features.bed -o negatives.bed [--observed MAP]

A centromere shows twice: in the profile head (probability that a bin holds one) and in the map
(contacts across it, 10 to 100 kb apart, are depleted). The BED (chrom, start, end, where it was
seen) can be given to training as ``negatives``, which shows these places more often. Test
chromosomes may stand in it: training reads its own chromosomes only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import orca_cool as oc
from orca_cool.evaluate.centromeres import contacts_across, peaks_beyond, read_centromeres
from orca_cool.files import atomic_write
from orca_cool.genome.regions import n_bins

#: A place further than this from the centromere, in bp, is another place.
APART = 60_000

#: Bins of a profile that are asked for at once.
BINS = 500


def centromere_probability(predictor: oc.Predictor, chrom: str) -> np.ndarray:
    """(bins,) what the profile head says of each base bin."""
    engine = predictor._engine
    row = engine.spec.profiles.index("centromere")
    total = n_bins(engine.source.chromsizes[chrom], engine.spec.base_bin)
    parts = [
        engine.profiles(chrom, first, min(BINS, total - first))[row]
        for first in range(0, total, BINS)
    ]
    return np.concatenate(parts)


def measured_values(path: str, chrom: str, resolution: int) -> np.ndarray | None:
    """(n, n) log observed/expected of a measured chromosome; None if the map lacks it."""
    import cooler

    file = cooler.Cooler(f"{path}::resolutions/{resolution}")
    if chrom not in file.chromnames:
        return None
    y = file.matrix(balance=True).fetch(chrom)
    for d in range(len(y)):
        i = np.arange(len(y) - d)
        mean = np.nanmean(y[i, i + d]) if np.isfinite(y[i, i + d]).any() else np.nan
        y[i, i + d] /= mean if mean else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.log(y)
    y[~np.isfinite(y)] = np.nan
    return y


def of_chromosome(
    predictor: oc.Predictor, chrom: str, at: int, resolution: int, observed: str | None
) -> tuple[dict[str, object], list[tuple[int, float]], list[tuple[int, float]]]:
    """The chromosome's line, and its strongest other places in the head and in the map."""
    head, base = centromere_probability(predictor, chrom), predictor._engine.spec.base_bin
    y = predictor.predict(f"{chrom}", resolution=resolution).values
    depth = contacts_across(y, resolution)
    near = slice(max(0, at // resolution - 2), at // resolution + 3)
    in_head = peaks_beyond(head, base, [at], APART, most=20)
    in_map = [(p, -v) for p, v in peaks_beyond(-depth, resolution, [at], APART, most=20)]
    row: dict[str, object] = {
        "chrom": chrom,
        "centromere": at,
        "probability": round(float(head[max(0, at // base - 1) : at // base + 2].max()), 3),
        "predicted_depth": round(float(np.nanmin(depth[near])), 3),
        "next_probability": round(in_head[0][1], 3),
        "next_probability_at": in_head[0][0],
        "next_depth": round(in_map[0][1], 3) if in_map else np.nan,
        "next_depth_at": in_map[0][0] if in_map else -1,
    }
    measured = None if observed is None else measured_values(observed, chrom, resolution)
    if measured is not None:
        across = contacts_across(measured, resolution)
        row["measured_depth"] = round(float(np.nanmin(across[near])), 3)
        if in_map:
            row["measured_at_next_depth"] = round(float(across[in_map[0][0] // resolution]), 3)
    return row, in_head, in_map


def main() -> None:
    """Read the options, write the table to standard output and the BED."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("genome")
    parser.add_argument("features", help='BED with type "centromere" in its seventh column')
    parser.add_argument("-o", "--output", type=Path, required=True, help="BED of false positives")
    parser.add_argument("--observed", help="measured .mcool, for the depths beside the predicted")
    parser.add_argument("--resolution", type=int, default=4000)
    parser.add_argument("--probability", type=float, default=0.2, help="of a false positive")
    parser.add_argument("--share", type=float, default=0.5, help="of the mean centromere's depth")
    options = parser.parse_args()
    predictor = oc.Predictor(oc.load_model(options.model), oc.open_genome(options.genome))
    where = read_centromeres(options.features, predictor._engine.source.chromsizes)
    rows, heads, maps = [], {}, {}
    for chrom, at in where.items():
        row, heads[chrom], maps[chrom] = of_chromosome(
            predictor, chrom, at, options.resolution, options.observed
        )
        rows.append(row)
        print(chrom, file=sys.stderr)
    table = pd.DataFrame(rows)
    limit = options.share * table["predicted_depth"].mean()
    seen = [
        (chrom, p, kind)
        for kind, found, good in (
            ("head", heads, lambda v: v >= options.probability),
            ("map", maps, lambda v: v <= limit),
        )
        for chrom, places in found.items()
        for p, v in places
        if good(v)
    ]
    table.to_csv(sys.stdout, sep="\t", index=False)
    in_head, in_map = (sum(kind == k for *_, kind in seen) for k in ("head", "map"))
    print(
        f"# places that look like a centromere and are none: {in_head} in the profile head "
        f"(probability {options.probability:g} or more), {in_map} in the map (depth {limit:.3f} or "
        f"less)"
    )
    lines = [f"{c}\t{max(0, p - 1000)}\t{p + 1000}\t{kind}\n" for c, p, kind in sorted(seen)]
    atomic_write(options.output, "".join(lines))


if __name__ == "__main__":
    main()
