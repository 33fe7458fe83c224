"""Units of work: the windows of predicted genomes, contacts between chromosomes, profiles.

A unit is the smallest thing that is computed and kept. Where the top window of an edited genome,
with all the sequence that it depends on, is a stretch of the reference, its windows are units of
the reference: they are computed once for all edits that leave them alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from orca_cool.genome.segments import Segment
from orca_cool.prediction.engine import Engine, Request, StrandMaps, average
from orca_cool.prediction.patches import symmetric
from orca_cool.prediction.root import Root
from orca_cool.prediction.windows import Window

if TYPE_CHECKING:
    from higlass_plugin.compute.predicted import PredictedGenome


class Unit(Hashable, Protocol):
    """A piece of work. Equal units are one."""

    @property
    def needs(self) -> Unit | None:
        """What must be there first."""
        ...

    @property
    def kind(self) -> Hashable:
        """Units of the same kind may be computed together."""
        ...

    def compute(self, others: Sequence[Any], above: Sequence[Any]) -> list[tuple[Any, int]]:
        """Values, and their sizes in bytes, of ``others`` (units of this kind, this one among
        them); ``above``: what each needs.

        A unit that has a ``draft``, a unit whose value is shown until its own is there, gets a pair
        instead: what it needs, and the draft's value, None if that is not there. A draft says by
        ``final`` whose it is; once that one has a value, nobody needs the draft.
        """
        ...


@dataclass(frozen=True)
class WindowMaps:
    """A decoded window.

    Attributes
    ----------
    values : (maps, bins, bins) float32, symmetric, a map for each cell type of the model: the mean
        of the strands that are decoded.
    strands : those, for the windows below and for the strand that is still to be decoded; None
        where neither is left.
    """

    values: np.ndarray
    strands: StrandMaps | None

    @property
    def forward_only(self) -> bool:
        """Whether it is of the forward strand alone."""
        return self.strands is not None and len(self.strands) == 1


@dataclass(frozen=True)
class WindowUnit:
    """A window of a chromosome.

    Attributes
    ----------
    predicted : whose window it is.
    module : name of the module that predicts it.
    root : start of its top window in bp.
    path : starts of the windows above it, from the top, and of itself, each in its own bins from
        the start of the top window.
    """

    predicted: PredictedGenome
    module: str
    chrom: str
    root: int
    path: tuple[int, ...]

    @property
    def needs(self) -> WindowUnit | None:
        return replace(self, path=self.path[:-1]) if len(self.path) > 1 else None

    @property
    def kind(self) -> Hashable:
        return self.predicted.base.name, self.module, len(self.path)

    @property
    def reads(self) -> Hashable:
        """The top window that it is decoded from."""
        return self.predicted, self.module, self.chrom, self.root

    @property
    def draft(self) -> DraftUnit | None:
        """The same window on the forward strand, where that is worth showing first."""
        return DraftUnit(self) if self.predicted.has_drafts else None

    @property
    def resolution(self) -> int:
        """bp per bin."""
        module = self.predicted.engine.spec.module(self.module)
        return module.resolutions[len(self.path) - 1]

    def request(self, root: Root, strands: StrandMaps | None) -> Request:
        """What the engine is asked for; ``strands``: of the window above it."""
        above = self.path[-2] if strands is not None else None
        return root, Window(self.resolution, self.path[-1], above, 0), strands

    def compute(
        self,
        others: Sequence[WindowUnit],
        above: Sequence[tuple[WindowMaps | None, WindowMaps | None]],
    ) -> list[tuple[WindowMaps, int]]:
        """See :meth:`Unit.compute`; ``above``: of each what it needs, and its draft."""
        engine = self.predicted.engine
        pairs: list[StrandMaps] = [draft.strands or () if draft else () for _, draft in above]
        for known in (0, 1):  # strands that the draft has
            which = [k for k, pair in enumerate(pairs) if len(pair) == known]
            requests = []
            for k in which:
                unit, (parent, _) = others[k], above[k]
                root = unit.predicted.root(unit.module, unit.chrom, unit.root)
                requests.append(unit.request(root, parent.strands if parent else None))
            if requests:
                decoded = engine.decode_windows(requests, only=True if known else None)
                for k, pair in zip(which, decoded):
                    pairs[k] = (*pairs[k], *pair)
        module = engine.spec.module(self.module)
        finest = self.resolution == module.resolutions[-1]
        return [_maps(engine, pair, keep=not finest) for pair in pairs]


@dataclass(frozen=True)
class DraftUnit:
    """A window on the forward strand, which is shown until the mean of both strands is there.

    A window is decoded on one core. So where there are too few windows for all cores, as at the
    coarse levels, the reverse strand is decoded beside it, and the value has both. So it has of a
    module that reads several chromosomes, whose numbers depend on what is decoded together.
    """

    final: WindowUnit

    @property
    def predicted(self) -> PredictedGenome:
        """Whose unit it is."""
        return self.final.predicted

    @property
    def needs(self) -> DraftUnit | None:
        above = self.final.needs
        return None if above is None else DraftUnit(above)

    @property
    def kind(self) -> Hashable:
        return "draft", self.final.kind

    @property
    def reads(self) -> Hashable:
        return self.final.reads

    def compute(
        self, others: Sequence[DraftUnit], above: Sequence[WindowMaps | None]
    ) -> list[tuple[WindowMaps, int]]:
        engine = self.predicted.engine
        windows = [unit.final for unit in others]
        roots = [w.predicted.root(w.module, w.chrom, w.root) for w in windows]
        forward_only = not roots[0].module.multi_chromosome and (
            2 * len(others) > engine.windows_per_batch
            or any(parent is not None and parent.forward_only for parent in above)
        )
        requests = [
            window.request(root, parent.strands if parent else None)
            for window, root, parent in zip(windows, roots, above)
        ]
        pairs = engine.decode_windows(requests, only=False if forward_only else None)
        return [_maps(engine, pair, keep=True) for pair in pairs]


def _maps(engine: Engine, pair: StrandMaps, keep: bool) -> tuple[WindowMaps, int]:
    """A decoded window and its size in bytes; ``keep``: with its strands."""
    values = np.stack([symmetric(average(pair, k)[0]) for k in range(engine.spec.n_maps)])
    kept = sum(strand.nbytes for strand in pair) if keep else 0
    return WindowMaps(values, pair if keep else None), values.nbytes + kept


@dataclass(frozen=True)
class TransUnit:
    """Stretches of two chromosomes; its value is (bins of first, bins of second) float32 log
    observed/expected at the module's top level.
    """

    predicted: PredictedGenome
    module: str
    first: Segment
    second: Segment

    needs = None

    @property
    def kind(self) -> Hashable:
        return self

    def compute(
        self, others: Sequence[TransUnit], above: Sequence[None]
    ) -> list[tuple[np.ndarray, int]]:
        engine = self.predicted.engine
        values, _ = engine.trans(engine.spec.module(self.module), self.first, self.second)
        return [(values, values.nbytes)]


@dataclass(frozen=True)
class ProfileUnit:
    """Predicted chromatin profiles of one of the engine's blocks of base bins: (profiles, bins)
    float32, both strands' mean.
    """

    predicted: PredictedGenome
    chrom: str
    block: int

    needs = None

    @property
    def kind(self) -> Hashable:
        return self

    def compute(
        self, others: Sequence[ProfileUnit], above: Sequence[None]
    ) -> list[tuple[np.ndarray, int]]:
        size = self.predicted.engine.profile_block
        values = self.predicted.engine.profiles(self.chrom, self.block * size, size)
        return [(values, values.nbytes)]


class Preempted(Exception):
    """Something more urgent has come; the unit that was begun will be asked for again."""
