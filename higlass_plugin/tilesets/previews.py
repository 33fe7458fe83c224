"""What a tile shows before it is ready, in words for who looks at it.

In this order, as far as each is known: the reference's tile for a small edit, which stays until the
edit's own is ready; a coarser level; the forward strand alone; the mean of both strands, which is
the tile itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from orca_cool.genome.edited import EditedGenome

REFERENCE = "reference, edit not computed yet"
FORWARD = "forward strand only"
BOTH = "both strands"
PART = "in part"
FINAL = "final"


class Known(NamedTuple):
    """How far a rectangle of pixels is known.

    Attributes
    ----------
    resolution : the finest level that is known everywhere in it, bp; 0 if none is.
    forward_only : whether some of it is of the forward strand alone.
    """

    resolution: int
    forward_only: bool


def in_words(resolution: int, found: Iterable[Known]) -> str:
    """What a tile shows whose rectangles are so far known; "" if nothing is.

    Parameters
    ----------
    resolution : of the tile, bp.
    """
    found = list(found)
    known = [part.resolution for part in found if part.resolution]
    if not known:
        return ""
    worst = max(known)
    said = [f"coarser level ({worst:,} bp bins)"] if worst > resolution else []
    if any(part.forward_only for part in found):
        said.append(FORWARD)
    if not said:
        said.append(BOTH)
    if len(known) < len(found) or said == [BOTH]:  # else it would be final
        said.append(PART)
    return ", ".join(said)


def is_small(genome: EditedGenome, chroms: Iterable[str], resolution: int) -> bool:
    """Whether all but a bin's worth of some chromosomes is where it is in the reference, to less
    than a bin: their maps then look like the reference's.

    Parameters
    ----------
    chroms : names, of the edited genome and of the reference. resolution : bp per bin.
    """
    return all(_is_small(genome, chrom, resolution) for chrom in chroms)


def _is_small(genome: EditedGenome, chrom: str, resolution: int) -> bool:
    if chrom not in genome.contigs or chrom not in genome.source.chromsizes:
        return False
    at = same = 0
    for segment in genome.contigs[chrom]:
        if (segment.chrom, segment.strand) == (chrom, "+") and abs(segment.start - at) < resolution:
            same += len(segment)
        at += len(segment)
    return max(at, genome.source.chromsizes[chrom]) - same <= resolution
