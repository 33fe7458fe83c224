"""The scores of a screen between chromosomes: how much a change of a unit changes the row of its
bin over the bins of another chromosome.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import Region
from orca_cool.genome.source import SequenceSource
from orca_cool.perturb.changed import changed
from orca_cool.perturb.screen_local import Level, unit_changes
from orca_cool.perturb.screen_plan import Frame
from orca_cool.prediction.engine import Engine


class BetweenScreen:
    """Scores units of one stretch of a chromosome by their contacts with another chromosome, as
    ``predict --trans`` has them. The reference is predicted once, when it is first needed.

    Parameters
    ----------
    engine : of the genome in its file, whose encodings are used again.
    types : cell types of a model whose maps are all wanted; none: the engine's own.
    source : the genome that is screened: that of ``engine``, or an edited one.
    frame : the stretch, and its pairs with those of the other chromosome.
    columns : (bins,) bool, bins of the other chromosome that count.
    """

    def __init__(
        self,
        engine: Engine,
        types: Sequence[str],
        source: SequenceSource,
        frame: Frame,
        level: Level,
        columns: np.ndarray,
    ):
        self.engine, self.types, self.source = engine, types, source
        self.frame, self.level, self.columns = frame, level, columns
        self._reference: np.ndarray | None = None

    @property
    def reference(self) -> np.ndarray:
        """(maps, bins of the stretch, bins of the other chromosome) of the screened genome."""
        if self._reference is None:
            self._reference = self.predicted(self.source)
        return self._reference

    def predicted(self, source: SequenceSource) -> np.ndarray:
        """As :attr:`reference`, of a genome: float32, log observed/expected."""
        engine = self.engine
        if isinstance(source, EditedGenome):
            engine = engine.for_genome(source, keep=source is self.source)
        several = [engine.for_cell_type(name) for name in self.types]  # type: ignore[attr-defined]
        return np.stack([self._between(one) for one in several or [engine]])

    def _between(self, engine: Engine) -> np.ndarray:
        """(bins of the stretch, bins of the other chromosome), whose stretches come in order."""
        parts = []
        for first, second in self.frame.pairs:
            values, _ = engine.trans(self.level.module, first, second)
            parts.append(values if first.chrom == self.frame.chrom else values.T)
        return np.concatenate(parts, axis=1)

    def scores(self, several: Sequence[Sequence[tuple[Region, np.ndarray]]]) -> list[np.ndarray]:
        """Scores of the units of several sequences.

        Parameters
        ----------
        several : for each sequence its units, with the codes that replace them.

        Returns
        -------
        For each sequence float64 (units, maps).
        """
        start, r = self.frame.origin, self.level.resolution
        reference, out = self.reference, []
        for edits in several:
            values = self.predicted(changed(self.source, edits))
            out.append(unit_changes(values, reference, edits, start, r, self.columns))
        return out
