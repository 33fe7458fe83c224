"""A screen while it runs: sequences, each named by the numbers of its window and run and its own,
are predicted by one process or by several, and what is done is kept in a journal, so that a run
that was killed goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from orca_cool.errors import EditError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import Region, few, n_bins
from orca_cool.perturb.screen_between import BetweenScreen
from orca_cool.perturb.screen_drawn import Drawn
from orca_cool.perturb.screen_local import (
    DeletionScreen,
    FrameScreen,
    Level,
    Mask,
    is_masked,
    unmasked,
)
from orca_cool.perturb.screen_options import WORK_FORMAT
from orca_cool.perturb.screen_output import ScreenResult
from orca_cool.perturb.screen_places import AGGREGATES, ScreenJob
from orca_cool.perturb.screen_plan import Frame
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.item_journal import ItemJournal, Journaled, Key, with_numerics
from orca_cool.prediction.job import MANY_EDITS, Opened
from orca_cool.prediction.progress import Report, no_report
from orca_cool.prediction.sharing import ALONE, Alone, run_shared

#: What scores the sequences of a frame.
Scorer = FrameScreen | DeletionScreen | BetweenScreen


class Screen(Journaled):
    """A screen of units.

    Parameters
    ----------
    every : models on one genome; of a model of several cell types, for one of them.
    units : in the genome's order. mask : what does not count in rows.
    share : who predicts the sequences.

    Raises
    ------
    EditError
        If no unit can be scored: all hold N, or their windows are mostly masked.
    """

    def __init__(
        self,
        job: ScreenJob[Any],
        every: Sequence[Opened],
        units: Sequence[Region],
        mask: Mask,
        share: Alone = ALONE,
    ):
        self.job, self.opened, self.units, self.mask = job, every[0], units, mask
        self.share = share
        self.source = self.opened.source
        memory = MANY_EDITS // len(every)
        self.engines = [o.new_engine(o.reference, fine_bytes=memory) for o in every]
        self.types = [job.types_of(o.spec) for o in every]
        self.levels = [job.level_of(o) for o in every]
        self.frames = self._frames()
        self.scores = np.full((len(units), job.runs, len(job.names)), np.nan)
        settings = job.settings(every, self.level)
        numerics = share.numerics or self.engine.numerics
        self.settings = with_numerics(settings, numerics, several=len(job.names) > 1)
        self.skipped: list[Frame] = []
        self.n_units = self.gaps = self.done = 0
        self.sizes = self._prepare()
        self.total = sum(self.sizes)
        self.journal = ItemJournal.of(job, WORK_FORMAT, self.settings, "screen", share.restarted)
        self._at: tuple[int, list[Scorer]] = (-1, [])
        self._last: tuple[int, list[list[int]], Drawn | None] = (-1, [], None)

    @property
    def engine(self) -> Engine:
        """Of the first model."""
        return self.engines[0]

    @property
    def level(self) -> Level:
        """Of the first model; the others' differs in its maps alone."""
        return self.levels[0]

    def _frames(self) -> list[Frame]:
        level = self.level
        if self.job.replace != "delete":
            return self.job.frames(self.source, self.units)
        numbers: dict[str, list[int]] = {}  # windows are chosen deletion by deletion
        for k, unit in enumerate(self.units):
            numbers.setdefault(unit.chrom, []).append(k)
        return [Frame(chrom, 0, 0, {level.resolution: 0}, tuple(n)) for chrom, n in numbers.items()]

    def _prepare(self) -> list[int]:
        """Leave out windows that are mostly masked, score units with an N 0.

        Returns
        -------
        Sequences of each run of each window.
        """
        kept, sizes = [], []
        for frame in self.frames:
            drawn = self._drawn(frame)
            if self.job.replace != "delete" and not self._columns(frame)[1]:
                self.skipped.append(frame)
                continue
            for k in frame.units:
                if k not in drawn.codes:
                    self.scores[k] = 0.0
                    self.gaps += 1
            self.n_units += len(drawn.codes)
            kept.append(frame)
            sizes += [drawn.count] * self.job.runs
        self.frames = kept
        if not self.n_units:
            where = few(map(str, self.units), 3)
            why = "all of them hold an N"
            if self.skipped:
                seen = f"{self.job.between} is" if self.job.between else "their windows are"
                why = f"{seen} mostly N, or beyond the chromosome's end"
                if self.job.mask is not None:
                    why = f"{seen} mostly masked by {self.job.mask!r}"
            raise EditError(f"none of the units {where} can be scored: {why}")
        return sizes

    def _columns(self, frame: Frame) -> tuple[np.ndarray, bool]:
        r, n = self.level.resolution, self.opened.spec.bins
        chrom, start = frame.chrom, frame.start(r)
        if self.job.between is not None:
            chrom, start = self.job.between, 0
            n = n_bins(self.source.chromsizes[chrom], r)
        masked = is_masked(self.mask, chrom, start, r, n)
        return unmasked(self.source, masked, chrom, start, r)

    def _drawn(self, frame: Frame) -> Drawn:
        r = self.level.resolution
        start, width = frame.start(r), self.opened.spec.window(r)
        if frame.pairs:
            width = len(frame.stretch)
        if self.job.replace == "delete":
            start, width = 0, 0
        return Drawn(self.job, self.source, frame, self.units, start, width)

    def _scorers(self, frame: Frame) -> list[Scorer]:
        """One for each model."""
        if frame.pairs:
            columns, _ = self._columns(frame)
            return [
                BetweenScreen(engine, types, self.source, frame, level, columns)
                for engine, types, level in zip(self.engines, self.types, self.levels)
            ]
        if self.job.replace != "delete":
            columns, _ = self._columns(frame)
            return [
                FrameScreen(engine, self.source, frame, level, columns)
                for engine, level in zip(self.engines, self.levels)
            ]
        out: list[Scorer] = []
        for engine, types, level in zip(self.engines, self.types, self.levels):
            if isinstance(self.source, EditedGenome):
                engine = engine.for_genome(self.source)
            by_type = [engine.for_cell_type(name) for name in types]  # type: ignore[attr-defined]
            out.append(DeletionScreen(by_type or [engine], level, self.mask))
        return out

    @property
    def windows_per_batch(self) -> int:
        """How many sequences are best predicted at once."""
        return self.engine.windows_per_batch

    def key(self, group: int, number: int) -> Key:
        """A sequence by its window, its run and its own number."""
        window, run = divmod(group, self.job.runs)
        return window, run, number

    def fits(self, group: int, number: int, scores: np.ndarray) -> bool:
        """True if there is a score for each unit of the sequence and each column."""
        together, _ = self._sequences(group)
        return scores.shape == (len(together[number]), self.scores.shape[-1])

    def place(self, group: int, number: int, scores: np.ndarray) -> None:
        """Take the scores of a sequence into those of its units."""
        together, _ = self._sequences(group)
        self.scores[together[number], group % self.job.runs] = scores

    def score(self, group: int, numbers: range) -> list[np.ndarray]:
        """Scores of some sequences of one run of a window, by all models: (units, columns)."""
        window, run = divmod(group, self.job.runs)
        together, drawn = self._sequences(group)
        if self._at[0] != window:  # the reference of a window serves all of its runs
            self._at = window, self._scorers(self.frames[window])
        edits = [drawn.edits(together[j], run) for j in numbers]
        by_model = [scorer.scores(edits) for scorer in self._at[1]]
        return [np.concatenate(of_one, axis=1) for of_one in zip(*by_model)]

    def _sequences(self, group: int) -> tuple[list[list[int]], Drawn]:
        """Units of each sequence of a run of a window, by number, and what they are drawn from."""
        before, together, drawn = self._last
        window, run = divmod(group, self.job.runs)
        if drawn is None or before // self.job.runs != window:
            drawn = self._drawn(self.frames[window])
        if before != group:
            together = list(drawn.sequences(run))
        self._last = group, together, drawn
        return together, drawn

    def run(self, report: Report = no_report) -> ScreenResult:
        """Predict all sequences that are not done yet.

        Parameters
        ----------
        report : called with (sequences done, in all).

        Raises
        ------
        OutputError
            If what is done cannot be kept.
        """
        run_shared(self, self.share, report)
        return self._result()

    def _result(self) -> ScreenResult:
        import pandas as pd

        combined = AGGREGATES[self.job.aggregate](self.scores, axis=1)
        table = pd.DataFrame(
            {
                "chrom": [u.chrom for u in self.units],
                "start": [u.start for u in self.units],
                "end": [u.end for u in self.units],
            }
        )
        for name, values in zip(self.job.names, combined.T):
            table[name] = values
        return ScreenResult(table, dict(self.source.chromsizes), self.settings, self.job.overlap)

    @property
    def counts(self) -> dict[str, int]:
        """For the settings of the files."""
        return {
            "units": len(self.units),
            "units_with_N": self.gaps,
            "units_skipped": sum(len(frame.units) for frame in self.skipped),
            "windows": len(self.frames),
            "sequences": self.total,
        }

    def told(self) -> list[str]:
        """What the user should know, in lines."""
        out = []
        if self.gaps:
            out.append(f"{self.gaps:,} units hold an N and score 0")
        if skipped := sum(len(frame.units) for frame in self.skipped):
            out.append(
                f"{skipped:,} units lie in windows that are mostly masked; they have no score"
            )
        return out
