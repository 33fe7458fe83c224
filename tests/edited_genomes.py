"""Edited genomes that several tests predict: a drawn genome, and one edit of every kind."""

from __future__ import annotations

import numpy as np

from orca_cool.genome.changes import Adjacency, Breakend, Contig, Edit
from orca_cool.genome.segments import Segment

SIZES = {"a": 24_000, "b": 9_000}
GAP = ("b", 4_000, 6_500)


class Plain:
    """The same sequence without a word of where it came from."""

    def __init__(self, genome):
        self.name, self.chromsizes, self.fetch = "plain", genome.chromsizes, genome.fetch


def letters(text):
    return (Segment.letters(text),)


def random_letters(n, seed=0):
    return "".join("ACGT"[k] for k in np.random.default_rng(seed).integers(0, 4, n))


EDITS = {
    "snv": [Edit("sub", "a", 12_000, 12_001, sequence=letters("N"))],
    "aligned deletion": [Edit("del", "a", 8_000, 12_000)],
    "any deletion": [Edit("del", "a", 8_013, 9_990)],
    "deletion at the start": [Edit("del", "a", 0, 777)],
    "deletion at the end": [Edit("del", "a", 20_001, 24_000)],
    "inversion": [Edit("inv", "a", 5_000, 15_000)],
    "inversion in phase": [Edit("inv", "a", 5_000, 15_040)],
    "tandem duplication": [Edit("dup", "a", 4_000, 10_000, 3)],
    "inverted duplication": [Edit("dup", "a", 4_000, 10_013, 2, True)],
    "insertion": [Edit("ins", "a", 9_001, 9_001, sequence=letters(random_letters(4_017)))],
    "insertion of N": [Edit("ins", "a", 9_001, 9_001, sequence=(Segment("", 0, 5_000),))],
    "translocation": [Adjacency(Breakend("a", 12_001, "+"), Breakend("b", 3_000, "-"))],
    "inverted translocation": [Adjacency(Breakend("a", 12_001, "+"), Breakend("b", 3_000, "+"))],
    "custom": [
        Contig(
            "a",
            (
                Segment("b", 200, 8_000, "-"),
                *letters(random_letters(300)),
                Segment("a", 3_000, 20_000),
            ),
        )
    ],
    "two": [
        Edit("del", "a", 6_000, 6_013),
        Edit("sub", "a", 16_000, 16_013, sequence=letters(random_letters(26))),
    ],
}
