"""What an objective depends on, base by base, as a track."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from higlass_plugin.compute.attribution_units import Asked, AttributionUnit
from higlass_plugin.compute.jobs import Lookup, TilePlan
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.units import Unit
from higlass_plugin.tiles import VECTOR_BINS, TileId
from higlass_plugin.tilesets.base import ComputedTileset, ModelTileset
from higlass_plugin.tilesets.blocks import dependencies_first
from orca_cool.perturb.objective_text import parse_objective

#: Bins into which the sequence that an objective is predicted from falls at the coarsest level.
FEWEST_BINS = 16


class _AttributionPlan(TilePlan):
    def __init__(self, tileset: AttributionTileset, resolution: int, x: int):
        self.key: tuple[Hashable, ...] = tileset.uid, resolution, (x,)
        self.asked, self.resolution = tileset.asked, resolution
        reach = self.asked.reach
        self.bins = next(
            (
                bins
                for bins in tileset.axis.bin_ranges(resolution, x, VECTOR_BINS)
                if bins.chrom == reach.chrom
            ),
            None,
        )
        self.blocks = range(0)
        if self.bins is not None:
            self.blocks = self.asked.blocks(
                self.bins.first * resolution, self.bins.last * resolution
            )

    def units(self) -> list[Unit]:
        return dependencies_first(AttributionUnit(self.asked, k) for k in self.blocks)

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        values = self.preview(lookup)
        return values, values.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        out = np.full(VECTOR_BINS, np.nan, np.float32)
        if self.bins is None or not self.blocks:
            return out
        first, number = self.bins.first, self.bins.last - self.bins.first
        total, seen = np.zeros(number), np.zeros(number, dtype=bool)
        for k in self.blocks:
            where = self.asked.region(k)
            at = np.arange(where.start, where.end) // self.resolution - first
            shown = (at >= 0) & (at < number)
            found = lookup(AttributionUnit(self.asked, k))
            if found is None:
                total[at[shown]] = np.nan
                continue
            values = found if self.resolution == 1 else np.abs(found)
            total += np.bincount(at[shown], values[shown], number)
            seen[at[shown]] = True
        out[self.bins.pixels] = np.where(seen, total, np.nan)
        return out


class AttributionTileset(ModelTileset):
    """What an objective depends on: input x gradient of every base of the sequence that it is
    predicted from, as ``orca-cool attribute --method gradient`` writes it.

    At 1 bp a bin has the number of its base, positive where the base holds the objective up. Larger
    bins have the sum of the sizes of their bases' numbers, as numbers of both signs would cancel.
    Elsewhere there is nothing, and nothing is computed. Levels at which the sequence would be fewer
    than :data:`FEWEST_BINS` bins are not computed either.

    Parameters
    ----------
    objective : its text. level : resolution or window at which it is read; "" for the finest that
        holds it.

    Raises
    ------
    RegionError, ModelError
        See :class:`~higlass_plugin.compute.attribution_units.Asked`.
    """

    datatype = "vector"
    dimensions = 1

    def __init__(
        self,
        predicted: PredictedGenome,
        scheduler: Scheduler,
        uid: str,
        name: str,
        objective: str,
        level: str,
    ):
        self.predicted = predicted
        self.asked = Asked(predicted, parse_objective(objective), level or None, uid)
        native = [1]
        while 2 * native[-1] * FEWEST_BINS <= len(self.asked.reach):
            native.append(2 * native[-1])
        ComputedTileset.__init__(
            self, scheduler, uid, name, predicted.axis, native, predicted.assembly
        )

    def plan_at(self, resolution: int, tile: TileId) -> TilePlan:
        return _AttributionPlan(self, resolution, *tile.position)
