"""The predictions of an evaluation, which several processes may share: zooms within chromosomes and
random inputs of several. They are scored in their order by the first process, which alone reads the
measured map.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.evaluate.accumulate import LevelSums
from orca_cool.evaluate.baselines import fit_baselines
from orca_cool.evaluate.result import Example
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.positional import Chromosome, Positional
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.sharing import Piece

if TYPE_CHECKING:
    from orca_cool.evaluate.protocol import ModelEvaluation

#: Number of zooms that are kept as examples.
EXAMPLES = 3

#: Groups of what is predicted.
WITHIN, BETWEEN = 0, 1


class ZoomsWork:
    """What an evaluation predicts, and the sums of what was scored of it; a
    :class:`~orca_cool.prediction.sharing.Shareable`. Nothing is kept of a run that is killed.

    Attributes
    ----------
    levels : sums of each level of each chromosome, then of those between chromosomes.
    examples : windows that are shown.
    """

    def __init__(self, evaluation: ModelEvaluation, settings: dict[str, Any]):
        self.evaluation, self.settings = evaluation, settings
        options, bins = evaluation.options, evaluation.engine.spec.bins
        counted = options.score_settings(evaluation.nearest)
        self.zooms = [(c, zoom) for c, found in evaluation.zooms.items() for zoom in found]
        n = len(self.zooms)
        self.shown = {(k * n + n // 2) // EXAMPLES for k in range(EXAMPLES)}
        rng = np.random.default_rng(counted.seed)
        self.inputs = [evaluation.draw_input(rng) for _ in range(evaluation.trans)]
        self.cis = {
            (c, r): LevelSums(c, r, bins, counted)
            for c in options.scored_chroms
            for r in evaluation.levels
        }
        self.between = {r: LevelSums("all", r, 1, counted, "trans") for r in evaluation.levels}
        self.levels = [*self.cis.values(), *(self.between.values() if self.inputs else ())]
        self.examples: list[Example] = []
        self.total, self.done = n + len(self.inputs), 0
        self._merges, self._next = True, 0
        self._waiting: dict[int, Sequence[ContactMap]] = {}

    @property
    def engine(self) -> Engine:
        """What this process predicts with."""
        return self.evaluation.engine

    @property
    def sizes(self) -> Sequence[int]:
        """Zooms within chromosomes, and random inputs of several."""
        return [len(self.zooms), len(self.inputs)]

    @property
    def windows_per_batch(self) -> int:
        """Each zoom by itself."""
        return 1

    @cached_property
    def _baselines(self) -> dict[str, Positional]:
        evaluation, options = self.evaluation, self.evaluation.options
        sizes = evaluation.maps.observed.chromsizes
        return fit_baselines(
            evaluation.target,
            {c: sizes[c] for c in options.training_chroms},
            evaluation.centromeres,
            dict.fromkeys(evaluation.levels, self.engine.spec.bins),
            options.score_settings(evaluation.nearest).seed,
        )

    def score(self, group: int, numbers: range) -> list[list[ContactMap]]:
        """Predict: of each zoom or input the maps that are scored or shown."""
        return [self._maps(group, number) for number in numbers]

    def _maps(self, group: int, number: int) -> list[ContactMap]:
        evaluation = self.evaluation
        wanted = set(evaluation.levels)
        if group == WITHIN:
            chrom, zoom = self.zooms[number]
            found = self.engine.zoom(evaluation.module, chrom, zoom.position, evaluation.edges)
            if number not in self.shown:
                wanted &= {*zoom.new_windows}
        else:
            found = self.engine.zoom_concatenated(evaluation.module, *self.inputs[number][1:])
        return [
            dataclasses.replace(m, strand_difference=None) for m in found if m.resolution in wanted
        ]

    def begin(self, batch: int) -> None:
        """Fit the baselines, before anything is predicted."""
        _ = self._baselines

    def begin_beside(self, rank: int) -> None:
        """Of several ranks the first one scores."""
        self._merges = False

    def take_up(self, piece: Piece, known: Any) -> bool:
        """Nothing is known of an earlier run."""
        return False

    def take(self, piece: Piece, found: Sequence[list[ContactMap]]) -> None:
        """Score maps when all before them are."""
        group, numbers = piece
        if not self._merges:
            return
        for number, maps in zip(numbers, found):
            self._waiting[number + group * len(self.zooms)] = maps
        while (ready := self._waiting.pop(self._next, None)) is not None:
            self._add(self._next, ready)
            self._next += 1

    def keep(self, piece: Piece, found: Sequence[list[ContactMap]]) -> None:
        """Nothing is kept."""

    def _add(self, number: int, maps: Sequence[ContactMap]) -> None:
        evaluation, n = self.evaluation, len(self.zooms)
        if number >= n:
            windows = evaluation.score_between_chromosomes(
                self.inputs[number - n][0], maps, self.between
            )
            self.examples += windows if number == n else []
            return
        chrom, zoom = self.zooms[number]
        length = evaluation.maps.observed.chromsizes[chrom]
        place = Chromosome(length, evaluation.centromeres.get(chrom))
        sums = {r: self.cis[chrom, r] for r in evaluation.levels}
        shown = number in self.shown
        self.examples += evaluation.score_zoom(
            chrom, zoom, maps, place, self._baselines, sums, shown
        )
