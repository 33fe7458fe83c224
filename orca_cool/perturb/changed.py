"""The genomes of screens and mutagenesis: other bases in some places, or none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Edit
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource, codes_to_letters


def unchanged(source: SequenceSource) -> EditedGenome:
    """The genome with nothing changed, whose bases are its own: what is made of it by edits is
    compared with it, and with no other, also where it is an edited one.
    """
    return EditedGenome(
        source, {c: (Segment(c, 0, n),) for c, n in source.chromsizes.items()}, source.name
    )


def changed(source: SequenceSource, edits: Sequence[tuple[Region, np.ndarray]]) -> EditedGenome:
    """The genome with other bases in the place of units; of an edited one, made of segments of its
    own source.

    Parameters
    ----------
    edits : a unit, and the codes that replace it; none of them: the unit is deleted. Where they are
        what stands there, nothing is changed.
    """
    changes = []
    for unit, codes in edits:
        if not len(codes):
            changes.append(Edit("del", unit.chrom, unit.start, unit.end))
        elif not np.array_equal(codes, source.fetch(unit.chrom, unit.start, unit.end)):
            text = (Segment.letters(codes_to_letters(codes)),)
            changes.append(Edit("sub", unit.chrom, unit.start, unit.end, sequence=text))
    return apply_edits(source, changes, name=f"{source.name}.changed")
