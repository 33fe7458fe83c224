"""A shipped genome laid end to end as often as a window needs: sequence for trials where no genome
is given.
"""

from __future__ import annotations

import numpy as np

from orca_cool.genome.open import open_genome
from orca_cool.genome.source import GAP, length_of


class RepeatedExample:
    """The chromosomes of the shipped genome "example", repeated.

    Parameters
    ----------
    length : of its only chromosome, "example", in bp.
    """

    name = "example, repeated"

    def __init__(self, length: int):
        source = open_genome("example")
        self._codes = np.concatenate([source.fetch(c, 0, n) for c, n in source.chromsizes.items()])
        self.chromsizes = {"example": length}

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """See :meth:`orca_cool.genome.source.SequenceSource.fetch`."""
        length = length_of(self, chrom)
        at = np.arange(start, end)
        codes = self._codes[at % len(self._codes)]
        codes[(at < 0) | (at >= length)] = GAP
        return codes
