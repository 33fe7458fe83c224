"""Whether a file's chromosomes are the genome's."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

import numpy as np

from orca_cool.errors import OrcaCoolError
from orca_cool.genome.regions import suggestion
from orca_cool.genome.source import SequenceSource

#: Chromosomes of a file and of the genome may differ by this share of their length, in length and
#: in where they begin: releases of one assembly do (13 bp of yeast's chrI), different assemblies
#: differ ten times more (hg19 and hg38: 0.1 % and above).
TOLERANCE = 1e-4


class FileError(OrcaCoolError):
    """A file that cannot be shown: missing, damaged, of an unknown kind, or of another genome."""


def difference(theirs: Mapping[str, int], ours: Mapping[str, int], in_place: bool = True) -> str:
    """What keeps a file from being drawn on a genome; "" if nothing does.

    Parameters
    ----------
    theirs, ours : {chromosome: bp} of the file and of the genome, in order.
    in_place : the file is drawn where its own chromosomes lie, so each must also begin where the
        genome's does.
    """
    shared = [chrom for chrom in theirs if chrom in ours]
    if not shared:
        return (
            f"it has no chromosome of the genome, which has {some(ours)}; "
            f"{suggestion(next(iter(ours)), theirs)}"
        )
    for chrom in shared:
        if abs(theirs[chrom] - ours[chrom]) > TOLERANCE * ours[chrom]:
            return f"{chrom} is {theirs[chrom]:,} bp in the file, {ours[chrom]:,} bp in the genome"
    a, b = (dict(zip(sizes, [0, *accumulate(sizes.values())])) for sizes in (theirs, ours))
    for chrom in shared if in_place else ():
        if abs(a[chrom] - b[chrom]) > TOLERANCE * ours[chrom]:
            return (
                f"{chrom} does not begin at the same place, the chromosomes being {some(theirs)} "
                f"in the file, {some(ours)} in the genome"
            )
    return ""


def some(names: Mapping[str, int]) -> str:
    return ", ".join(list(names)[:10]) + (", ..." if len(names) > 10 else "")


class OrderedGenome:
    """A genome whose chromosomes lie in the order of a measured map, so that the two can be drawn
    on one axis; the others follow.
    """

    def __init__(self, source: SequenceSource, order: Mapping[str, int]):
        self.source, self.name = source, source.name
        first = [chrom for chrom in order if chrom in source.chromsizes]
        self.chromsizes: dict[str, int] = {
            c: source.chromsizes[c]
            for c in [*first, *(c for c in source.chromsizes if c not in order)]
        }

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """See :meth:`orca_cool.genome.source.SequenceSource.fetch`."""
        return self.source.fetch(chrom, start, end)
