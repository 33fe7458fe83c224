"""What a sequence means in the simulated world `extrusion`: a pure function of its bases, so that
the truth of an edited sequence can be asked as well.

Three rules. (1) Sites of CTCF, found with the matrix MA0139.1 of JASPAR (Rauluseviciute et al.,
Nucleic Acids Res 2024), stop loop extrusion from one side; the higher the score, the more often.
(2) Copies of an ETS motif, dense in some regions, make these regions compartment A. (3) A motif of
ten bases stops extrusion from both sides, in one of the two cell types alone. It is a
simulation: the matrix is real, all else is made up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from orca_cool.genome.source import letters_to_codes, reverse_complement

#: Counts of A, C, G, T at the 19 positions of JASPAR MA0139.1 (CTCF).
CTCF = np.array(
    [
        (87, 291, 76, 459),
        (167, 145, 414, 187),
        (281, 49, 449, 134),
        (56, 800, 21, 36),
        (8, 903, 0, 2),
        (744, 13, 65, 91),
        (40, 528, 334, 11),
        (107, 433, 48, 324),
        (851, 11, 32, 18),
        (5, 0, 903, 3),
        (333, 3, 566, 9),
        (54, 12, 504, 341),
        (12, 0, 890, 8),
        (56, 8, 775, 71),
        (104, 733, 5, 67),
        (372, 13, 507, 17),
        (82, 482, 307, 37),
        (117, 322, 73, 396),
        (402, 181, 266, 59),
    ],
    float,
)
#: log2 of its frequencies over a quarter, with a pseudocount of one base.
LOG_ODDS = np.log2((CTCF + 0.25) / (CTCF.sum(1, keepdims=True) + 1) / 0.25)
#: Bits from which on a site binds at all; at which it stops half of the extruders that its best
#: could; over which that share rises.
LEAST, HALF, SLOPE, BEST = 12.0, 15.0, 1.2, 0.95

#: The motif of compartment A (ETS), read on both strands.
ETS = "CCGGAAGT"
#: Its copies are counted over this many bp (standard deviation of a Gaussian); copies per kb at
#: which a region is half way between B and A.
REACH, MIDDLE = 20_000, 0.5

#: The motif that only cell type "b" reads, on both strands, and the share of extruders it stops.
AP1, AP1_STRENGTH = "TGACTCAGCA", 0.9
CELL_TYPES = ("a", "b")


@dataclass(frozen=True)
class Features:
    """What a sequence holds.

    Attributes
    ----------
    position : (sites,) bp of the middle of each site that stops extrusion, ascending.
    stops_from_right : (sites,) whether it stops what comes from its right (a CTCF site on the +
        strand), or from its left.
    strength : (sites,) share of the extruders that it stops.
    compartment : (bins,) between -1 (B) and 1 (A), in bins of ``bin`` bp.
    """

    position: np.ndarray
    stops_from_right: np.ndarray
    strength: np.ndarray
    compartment: np.ndarray
    bin: int


def ctcf_scores(codes: np.ndarray) -> np.ndarray:
    """(2, n) bits of the matrix at the sites that begin at each base, on the + and - strand."""
    n = max(0, len(codes) - len(LOG_ODDS) + 1)
    table = np.hstack([LOG_ODDS, np.full((len(LOG_ODDS), 1), -1e3)]).astype(np.float32)
    out = np.zeros((2, n), np.float32)
    for k, (plus, minus) in enumerate(zip(table, table[::-1])):
        part = codes[k : k + n]
        out[0] += plus[part]
        out[1] += minus[[3, 2, 1, 0, 4]][part]
    return out


def occurrences(codes: np.ndarray, motif: str) -> np.ndarray:
    """Starts of the copies of a motif, on both strands, ascending."""
    found = []
    plus = letters_to_codes(motif)
    for wanted in (plus, reverse_complement(plus)):
        n = max(0, len(codes) - len(wanted) + 1)
        same = np.ones(n, bool)
        for k, base in enumerate(wanted):
            same &= codes[k : k + n] == base
        found.append(np.flatnonzero(same))
    return np.unique(np.concatenate(found))


def strength_of(score: np.ndarray) -> np.ndarray:
    """The share of extruders that a CTCF site of a score stops."""
    return np.asarray(BEST / (1 + np.exp(-(np.asarray(score) - HALF) / SLOPE)))


def features(codes: np.ndarray, cell_type: str = "a", bin: int = 1000) -> Features:
    """What a sequence holds in a cell type."""
    if cell_type not in CELL_TYPES:
        raise ValueError(f"cell type {cell_type!r} is not one of {', '.join(CELL_TYPES)}")
    scores = ctcf_scores(codes)
    strand, start = np.nonzero(scores >= LEAST)
    position = start + len(LOG_ODDS) // 2
    from_right = strand == 0
    strength = strength_of(scores[strand, start])
    if cell_type == "b":
        ap1 = occurrences(codes, AP1) + len(AP1) // 2
        position = np.concatenate([position, ap1, ap1])
        from_right = np.concatenate([from_right, np.repeat([True, False], len(ap1))])
        strength = np.concatenate([strength, np.full(2 * len(ap1), AP1_STRENGTH)])
    order = np.argsort(position, kind="stable")
    bins = -(-len(codes) // bin)
    copies = np.bincount(occurrences(codes, ETS) // bin, minlength=bins)[:bins].astype(float)
    density = gaussian_filter1d(copies, REACH / bin, mode="nearest") * 1000 / bin
    return Features(
        position[order],
        from_right[order],
        strength[order],
        np.tanh(2 * (density - MIDDLE) / MIDDLE),
        bin,
    )
