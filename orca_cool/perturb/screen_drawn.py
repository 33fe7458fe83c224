"""What is drawn in one window of a screen: which units share a sequence, and their new bases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from orca_cool.genome.regions import Region
from orca_cool.genome.source import GAP, SequenceSource
from orca_cool.perturb.screen_places import ScreenJob
from orca_cool.perturb.screen_plan import Frame, apart, replacement, sequences


@dataclass(frozen=True)
class Drawn:
    """The units of one frame that can be changed, and what is put in their place.

    Attributes
    ----------
    job : whose settings count. source : the screened genome.
    units : all units of the screen. width : of the frame's window in bp; start : its first base.
    """

    job: ScreenJob[Any]
    source: SequenceSource
    frame: Frame
    units: Sequence[Region]
    start: int
    width: int

    @cached_property
    def codes(self) -> dict[int, np.ndarray]:
        """By number, the bases of the units without an N."""
        chrom = self.frame.chrom
        found = {
            k: self.source.fetch(chrom, self.units[k].start, self.units[k].end)
            for k in self.frame.units
        }
        return {k: codes for k, codes in found.items() if not (codes == GAP).any()}

    @cached_property
    def window(self) -> np.ndarray:
        """The bases A, C, G and T of the window."""
        codes = self.source.fetch(self.frame.chrom, self.start, self.start + self.width)
        return codes[codes != GAP]

    @cached_property
    def layers(self) -> list[list[int]]:
        """The units that can be changed, by number; those of a layer do not overlap."""
        return apart(self.units, list(self.codes)) if self.job.per_sequence > 1 else [[*self.codes]]

    @property
    def count(self) -> int:
        """Sequences of a run."""
        return sum(-(-len(layer) // self.job.per_sequence) for layer in self.layers)

    def sequences(self, run: int) -> list[list[int]]:
        """The units of each sequence of a run, by number."""
        job, frame = self.job, self.frame
        out = []
        for number, layer in enumerate(self.layers):
            out += sequences(layer, job.per_sequence, job.seed, frame, run, number)
        return out

    def edits(self, together: Sequence[int], run: int) -> list[tuple[Region, np.ndarray]]:
        """Units by number, and what replaces each of them in a run."""
        return [(self.units[k], self._replaced(k, run)) for k in together]

    def _replaced(self, k: int, run: int) -> np.ndarray:
        start, job = self.units[k].start, self.job
        codes = self.codes[k]
        return replacement(codes, job.replace, self.window, job.seed, self.frame, run, start)
