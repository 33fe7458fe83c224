"""The attribution of an objective as units of work: the gradient at the base encodings of its
window, and from there the bases, block by block.

A tile needs the first and the blocks that it shows, so that a close view costs a block, and all of
the window is only carried back to the bases where somebody looks at all of it.

Mutagenesis of bases that somebody looks at closely: the objective's map as it is, and the
substitutions of some bases at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.units import Preempted
from orca_cool.errors import RegionError
from orca_cool.genome.regions import Region, n_bins
from orca_cool.perturb.gradient import Differentiable
from orca_cool.perturb.ism import of_bases, substitutions, values
from orca_cool.perturb.objective import Objective, require_gradient
from orca_cool.perturb.watched import Watched

if TYPE_CHECKING:
    from torch import Tensor

#: Bases whose substitutions are one unit of work: three predictions for each.
BASES = 2


class Asked:
    """An objective that is asked of a predicted genome.

    Parameters
    ----------
    predicted : whose map it is taken from. uid : of its tileset.
    level : see :func:`orca_cool.perturb.watched.place`.

    Attributes
    ----------
    reach : the sequence that it is predicted from. block : bp of a block.

    Raises
    ------
    RegionError, ModelError
        If the objective does not lie in the genome, no window holds it, or it has no gradient.
    """

    def __init__(
        self, predicted: PredictedGenome, objective: Objective, level: str | None, uid: str
    ):
        require_gradient(objective)
        self.predicted, self.objective, self.level, self.uid = predicted, objective, level, uid
        if objective.second is not None:
            raise RegionError(
                f"objective {objective.text!r} is between chromosomes, and a track of attribution "
                f"is of one; orca-cool attribute writes it"
            )
        watched = self.watched()
        self.placed = watched.placed
        # of several chromosomes that are read together the objective's own comes first
        self.reach = watched.sequence[0]
        spec = predicted.engine.spec
        self.block: int = spec.encoder.block  # type: ignore[attr-defined]

    def watched(self) -> Watched:
        """The objective with nothing computed yet. What it keeps goes with it: the caches of a
        server hold the units' values, and nothing else.
        """
        return Watched(self.predicted.engine, self.objective, self.level)

    def region(self, block: int) -> Region:
        """The bases of a block."""
        start = self.reach.start + block * self.block
        return Region(self.reach.chrom, start, min(start + self.block, self.reach.end))

    def bases(self, first: int) -> Region:
        """The bases that are substituted in one unit of work, from ``first * BASES`` on."""
        start = max(first * BASES, self.reach.start)
        return Region(self.reach.chrom, start, min((first + 1) * BASES, self.reach.end))

    def blocks(self, start: int, end: int) -> range:
        """The blocks that an interval in bp touches."""
        a, b = max(start, self.reach.start), min(end, self.reach.end)
        if a >= b:
            return range(0)
        first = (a - self.reach.start) // self.block
        return range(first, n_bins(b - self.reach.start, self.block))


class _OfObjective:
    """A unit of what is asked of an objective, computed by itself."""

    asked: Asked

    @property
    def predicted(self) -> PredictedGenome:
        """Whose unit it is."""
        return self.asked.predicted

    @property
    def kind(self) -> Hashable:
        return self


@dataclass(frozen=True)
class EncodingGradientUnit(_OfObjective):
    """The gradient of an objective at the base encodings of its window: a tensor (width, bins) for
    each strand, in the forward order of bins.
    """

    asked: Asked

    needs = None

    def compute(
        self, others: Sequence[EncodingGradientUnit], above: Sequence[None]
    ) -> list[tuple[list[Tensor], int]]:
        asked = self.asked
        _encode(asked)
        anywhere = Region(asked.reach.chrom, asked.reach.start, asked.reach.start + 1)
        found = Differentiable(asked.watched(), anywhere).gradient_at_encodings()
        return [(found, sum(g.numel() * g.element_size() for g in found))]


@dataclass(frozen=True)
class AttributionUnit(_OfObjective):
    """What the bases of a block contribute to an objective, as ``OUT.bw`` of ``orca-cool attribute
    --method gradient`` has it: (bp,) float32 input x gradient.
    """

    asked: Asked
    block: int

    @property
    def needs(self) -> EncodingGradientUnit:
        return EncodingGradientUnit(self.asked)

    def compute(
        self, others: Sequence[AttributionUnit], above: Sequence[list[Tensor]]
    ) -> list[tuple[np.ndarray, int]]:
        function = Differentiable(self.asked.watched(), self.asked.region(self.block))
        slope = function.gradient_through(above[0])
        values = (function.bases * slope).sum(dim=0).float().cpu().numpy()
        if not np.isfinite(values).all():
            raise RegionError(
                f"objective {self.asked.objective.text!r} has no finite gradient in "
                f"{self.asked.region(self.block)}"
            )
        return [(values, values.nbytes)]


@dataclass(frozen=True)
class UnchangedUnit(_OfObjective):
    """The maps (maps, n, n) from which an objective is taken, before anything is changed; a list of
    one tensor.
    """

    asked: Asked

    needs = None

    def compute(
        self, others: Sequence[UnchangedUnit], above: Sequence[None]
    ) -> list[tuple[list[Tensor], int]]:
        _encode(self.asked)
        maps = self.asked.watched().reference
        return [([maps], maps.numel() * maps.element_size())]


@dataclass(frozen=True)
class MutagenesisUnit(_OfObjective):
    """By how much an objective changes where each of some bases is substituted, as
    ``orca-cool attribute --method ism`` has it: (bases, 4) float64, 0 for the base that is there,
    NaN where that is N.
    """

    asked: Asked
    first: int

    @property
    def needs(self) -> UnchangedUnit:
        return UnchangedUnit(self.asked)

    def compute(
        self, others: Sequence[MutagenesisUnit], above: Sequence[list[Tensor]]
    ) -> list[tuple[np.ndarray, int]]:
        watched, region = self.asked.watched(), self.asked.bases(self.first)
        (watched.reference,) = above[0]
        codes = watched.engine.source.fetch(region.chrom, region.start, region.end)
        changed = values(watched, substitutions(codes, region))
        found = of_bases(codes, np.array(changed) - watched.value)
        return [(found, found.nbytes)]


def _encode(asked: Asked) -> None:
    """Encode the sequence from which an objective is predicted, into the engine's cache. That makes
    way for what is more urgent; what is done stays in the cache.
    """
    predicted, placed = asked.predicted, asked.placed
    for _ in predicted.engine.encode_ahead(placed.module, asked.reach.chrom, placed.origin):
        if predicted.urgent.is_set():
            raise Preempted


#: The units of attributions.
ATTRIBUTION = (EncodingGradientUnit, AttributionUnit, UnchangedUnit, MutagenesisUnit)
