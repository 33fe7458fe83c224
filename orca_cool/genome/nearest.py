"""How far places lie from the nearest gene."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from orca_cool.errors import RegionError
from orca_cool.genome import gene_models
from orca_cool.genome.regions import suggestion
from orca_cool.genome.source import SequenceSource


class GeneDistances:
    """Distances of intervals to the nearest gene.

    Parameters
    ----------
    path : GTF, GFF3 or BED (:func:`orca_cool.genome.gene_models.read_genes`).
    source : the genome whose chromosomes the genes lie on.

    Raises
    ------
    RegionError
        If the file cannot be read, or none of its genes lies on a chromosome of the genome.
    """

    def __init__(self, path: str | Path, source: SequenceSource):
        found: dict[str, list[tuple[int, int]]] = {}
        for _, (chrom, start, end, *_) in gene_models.rows(path):
            found.setdefault(chrom, []).append((start, end))
        if not found.keys() & source.chromsizes.keys():
            first = next(iter(found))
            raise RegionError(
                f"genes {str(path)!r}: none lies on a chromosome of genome {source.name!r}; they "
                f"lie on {first!r}; {suggestion(first, source.chromsizes)}"
            )
        self._starts: dict[str, np.ndarray] = {}
        self._ends: dict[str, np.ndarray] = {}
        for chrom, genes in found.items():
            sorted_genes = np.array(sorted(genes), dtype=np.int64)
            self._starts[chrom] = sorted_genes[:, 0]
            self._ends[chrom] = np.maximum.accumulate(sorted_genes[:, 1])

    def of(self, chrom: str, start: int, end: int) -> float:
        """Bases between ``chrom[start:end)`` and the nearest gene: 0 where they overlap or touch;
        infinite on a chromosome without genes.
        """
        if chrom not in self._starts:
            return math.inf
        starts, ends = self._starts[chrom], self._ends[chrom]
        before = int(np.searchsorted(starts, max(end, start + 1), side="left"))
        left = max(0, start - int(ends[before - 1])) if before else math.inf
        right = int(starts[before]) - end if before < len(starts) else math.inf
        return float(min(left, right))
