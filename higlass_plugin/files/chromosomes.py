"""Whether the chromosomes of a file are those of the genome that it is shown on."""

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
    """A file cannot be shown: it is missing, damaged, of an unknown kind, or of another genome."""


def difference(theirs: Mapping[str, int], ours: Mapping[str, int], in_place: bool = True) -> str:
    """Why a file cannot be drawn on a genome; "" if it can.

    Parameters
    ----------
    theirs, ours : {chromosome: bp} of the file and of the genome, in order.
    in_place : the file is drawn where its own chromosomes lie, so each must also begin where the
        genome's does.
    """
    shared = [chrom for chrom in theirs if chrom in ours]
    if not shared:
        return (
            f"it has no chromosome of the genome, which has {first_names(ours)}; "
            f"{suggestion(next(iter(ours)), theirs)}"
        )
    for chrom in shared:
        if abs(theirs[chrom] - ours[chrom]) > TOLERANCE * ours[chrom]:
            return f"{chrom} is {theirs[chrom]:,} bp in the file, {ours[chrom]:,} bp in the genome"
    a, b = (dict(zip(sizes, [0, *accumulate(sizes.values())])) for sizes in (theirs, ours))
    for chrom in shared if in_place else ():
        if abs(a[chrom] - b[chrom]) > TOLERANCE * ours[chrom]:
            return (
                f"{chrom} does not begin at the same place, the chromosomes being "
                f"{first_names(theirs)} in the file, {first_names(ours)} in the genome"
            )
    return ""


def first_names(names: Mapping[str, int]) -> str:
    """The first ten names, for a message."""
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
