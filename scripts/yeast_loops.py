#!/usr/bin/env python
"""Loops between cohesin peaks of yeast: pairs for training, and how strong a map draws them.

    python scripts/yeast_loops.py pairs cohesin_peaks.bed > loops.bedpe
    python scripts/yeast_loops.py strength loops.bedpe predicted.mcool measured.mcool --chrom chrII

``pairs`` joins peaks in neighbouring bins to one, and pairs each with those 10 to 60 kb further on.
``strength`` prints for each map the mean strength of a dot at the pairs (mean log observed/expected
of 3 x 3 bins, less that of the 11 x 11 around them without the inner 5 x 5), at the same distances
elsewhere along the diagonal, and Pearson's r of the strengths with those of the last map.
"""

from __future__ import annotations

import argparse
from itertools import combinations

import numpy as np
from yeast_centromeres import measured_values

from orca_cool.effects.scores import dot_change
from orca_cool.genome.intervals import read_intervals
from orca_cool.genome.loops import read_loops
from orca_cool.maps.metrics import RING

#: Distances of pairs in bp.
NEAREST, FURTHEST = 10_000, 60_000

#: The pixels with which pairs are compared lie so many bins along the diagonal.
ELSEWHERE = (-12, -9, 9, 12)


def pairs(path: str) -> list[tuple[str, int, int]]:
    """(chromosome, bp, bp) of the middles of peaks 10 to 60 kb apart."""
    found: list[tuple[str, int, int]] = []
    for chrom, peaks in read_intervals(path).groupby("chrom", sort=False):
        joined: list[list[int]] = []
        for start, end in sorted(zip(peaks["start"], peaks["end"])):
            if joined and start <= joined[-1][1]:
                joined[-1][1] = max(end, joined[-1][1])
            else:
                joined.append([start, end])
        middles = [(a + b) // 2 for a, b in joined]
        near = (p for p in combinations(middles, 2) if NEAREST <= p[1] - p[0] <= FURTHEST)
        found += [(str(chrom), a, b) for a, b in near]
    return found


def strengths(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Strength of the dot at each pair of bins."""
    return np.array([dot_change(values, i, j) for i, j in at])


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("pairs")
    making.add_argument("peaks")
    scoring = verbs.add_parser("strength")
    scoring.add_argument("loops")
    scoring.add_argument("maps", nargs="+")
    scoring.add_argument("--chrom", default="chrII")
    scoring.add_argument("--resolution", type=int, default=2000)
    options = parser.parse_args()
    if options.verb == "pairs":
        for chrom, a, b in pairs(options.peaks):
            print(chrom, a - 1000, a + 1000, chrom, b - 1000, b + 1000, sep="\t")
        return
    r = options.resolution
    loops = [loop[1:] for loop in read_loops(options.loops) if loop[0] == options.chrom]
    at = np.array(loops) // r
    at = at[at[:, 1] - at[:, 0] > RING]
    maps = [measured_values(path, options.chrom, r) for path in options.maps]
    last = strengths(maps[-1], at)
    print("map", "pairs", "strength", "elsewhere", "r", sep="\t")
    for path, values in zip(options.maps, maps):
        own = strengths(values, at)
        other = np.concatenate([strengths(values, at + shift) for shift in ELSEWHERE])
        both = np.isfinite(own) & np.isfinite(last)
        r_with_last = np.corrcoef(own[both], last[both])[0, 1]
        means = f"{np.nanmean(own):.3f}\t{np.nanmean(other):.3f}\t{r_with_last:.2f}"
        print(path, np.isfinite(own).sum(), means, sep="\t")


if __name__ == "__main__":
    main()
