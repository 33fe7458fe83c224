"""Made-up chromosomes of the world `extrusion`: regional composition, sites of CTCF graded and
oriented, decoys, regions of compartment A, and the motif that one cell type reads.
"""

from __future__ import annotations

import numpy as np
from rules import AP1, CTCF, ETS, LOG_ODDS

from orca_cool.genome.source import letters_to_codes, reverse_complement

#: bp between planted sites of CTCF, decoys, and copies of AP1, on average.
CTCF_EVERY, DECOY_EVERY, AP1_EVERY = 45_000, 60_000, 150_000
#: bp of a region of one compartment, least and most; copies of the ETS motif per kb in A.
REGION, DENSITY = (150_000, 700_000), 1.0
#: G+C of the compartments A and B, and how much a stretch of 20 kb departs from it.
COMPOSITION = {"A": 0.47, "B": 0.39}
SPREAD, STRETCH = 0.03, 20_000


def chromosome(seed: int, number: int, length: int) -> np.ndarray:
    """uint8 codes of a chromosome; the same for the same seed, number and length."""
    rng = np.random.default_rng([seed, number])
    codes = np.empty(length, np.uint8)
    copies: list[int] = []
    start, is_a = 0, bool(rng.random() < 0.5)
    while start < length:
        end = min(length, start + int(rng.integers(*REGION)))
        for a in range(start, end, STRETCH):
            b = min(end, a + STRETCH)
            share = COMPOSITION["A" if is_a else "B"] + SPREAD * rng.standard_normal()
            p = np.array([1 - share, share, share, 1 - share]) / 2
            codes[a:b] = rng.choice(4, b - a, p=p)
        if is_a:
            copies += list(rng.integers(start, end, int(DENSITY * (end - start) / 1000)))
        start, is_a = end, not is_a
    for at in copies:
        put(rng, codes, at, letters_to_codes(ETS))
    for every, made in (
        (DECOY_EVERY, lambda: rng.permutation(site(rng, 0.8))),
        (AP1_EVERY, lambda: letters_to_codes(AP1)),
        (CTCF_EVERY, lambda: site(rng, float(rng.uniform(0.0, 1.0)))),
    ):
        for at in rng.integers(0, length, rng.poisson(length / every)):
            put(rng, codes, int(at), made())
    return codes


def site(rng: np.random.Generator, best: float) -> np.ndarray:
    """A site of CTCF: each base is the matrix's best one with probability ``best``, else drawn from
    the matrix, so that sites have all scores.
    """
    share = CTCF / CTCF.sum(1, keepdims=True)
    drawn = np.array([rng.choice(4, p=row) for row in share])
    return np.where(rng.random(len(share)) < best, LOG_ODDS.argmax(1), drawn).astype(np.uint8)


def put(rng: np.random.Generator, codes: np.ndarray, at: int, motif: np.ndarray) -> None:
    """Write a motif on a random strand."""
    piece = motif if rng.random() < 0.5 else reverse_complement(motif)
    codes[at : at + len(piece)] = piece[: max(0, len(codes) - at)]
