"""Positions of the reference in an edited genome, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import RegionError
from orca_cool.genome.edited import EditedGenome


@dataclass(frozen=True, order=True)
class Place:
    """A position, 0-based, in bp."""

    chrom: str
    position: int

    def __str__(self) -> str:
        return f"{self.chrom}:{self.position:,}"

    @property
    def text(self) -> str:
        """As objectives are written."""
        return f"{self.chrom}:{self.position}"


def into_edit(genome: EditedGenome, place: Place, resolution: int = 1) -> Place:
    """Where a position of the reference lies in an edited genome, or, if it is not there, the
    nearest base of its bin that is; of several copies, the one on the chromosome of the same name
    that lies nearest.

    Parameters
    ----------
    resolution : bp per bin.

    Raises
    ------
    RegionError
        If nothing of the bin is in the edited genome.
    """
    start = place.position // resolution * resolution
    copies = []
    for there in genome.from_reference(place.chrom, start, start + resolution):
        at = min(max(place.position, there.ref_start), there.ref_end - 1)
        forward, back = there.start + at - there.ref_start, there.end - 1 - (at - there.ref_start)
        copy = Place(there.contig, forward if there.strand == "+" else back)
        far = abs(at - place.position), copy.chrom != place.chrom
        copies.append((*far, abs(copy.position - place.position), copy))
    if not copies:
        raise RegionError(
            f"{place} is deleted or replaced by the edit, with all of its bin: the edited genome "
            f"has no contacts of it; ask that of the reference"
        )
    return min(copies)[-1]


def into_reference(genome: EditedGenome, places: Sequence[Place]) -> list[str] | None:
    """Where positions of an edited genome lie in the reference, so that :func:`into_edit` leads
    back to them; None where it does not, and of sequence that is not the reference's.
    """
    names, out = list(genome.source.chromsizes), []
    for place in places:
        chroms, positions, _ = genome.to_reference(place.chrom, np.array([place.position]))
        if chroms[0] < 0:
            return None
        origin = Place(names[chroms[0]], int(positions[0]))
        if into_edit(genome, origin) != place:
            return None
        out.append(origin.text)
    return out
