"""What an edit changes of a predicted score, at the coordinates of the reference."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from higlass_plugin.compute.jobs import Lookup, TilePlan
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.units import Unit
from higlass_plugin.tiles import VECTOR_BINS, TileId
from higlass_plugin.tilesets.base import ModelTileset
from higlass_plugin.tilesets.blocks import BlockPlan, dependencies_first
from higlass_plugin.tilesets.maps import LiftedTileset


class _ScoreDifferencePlan(TilePlan):
    def __init__(
        self,
        key: tuple[Hashable, ...],
        tileset: ScoreDifferenceTileset,
        resolution: int,
        tile: TileId,
    ):
        self.key = key
        self.reference = tileset.reference.plan_at(resolution, tile)
        # (pixels of this tile, tile of the edited genome, pixels of that one)
        self.parts: list[tuple[np.ndarray, int, np.ndarray]] = []
        self.alternate: dict[int, TilePlan] = {}
        axis = tileset.alternate.axis
        for bins in tileset.axis.bin_ranges(resolution, tile.position[0], VECTOR_BINS):
            for matched in tileset.lifted.matched_bins(bins, resolution):
                places = axis.offsets[matched.contig] // resolution + matched.bins
                for n in np.unique(places // VECTOR_BINS):
                    here = places // VECTOR_BINS == n
                    self.parts.append((matched.pixels[here], int(n), places[here] % VECTOR_BINS))
                    if int(n) not in self.alternate:
                        there = replace(tile, position=(int(n),))
                        self.alternate[int(n)] = tileset.alternate.plan_at(resolution, there)

    def units(self) -> list[Unit]:
        plans = [self.reference, *self.alternate.values()]
        # nothing is shown before both are there, so drafts would be of no use
        return dependencies_first(
            unit
            for plan in plans
            for unit in (plan.final_units() if isinstance(plan, BlockPlan) else plan.units())
        )

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        tiles = {n: plan.build(lookup)[0] for n, plan in self.alternate.items()}
        total, number = np.zeros(VECTOR_BINS), np.zeros(VECTOR_BINS)
        for pixels, n, at in self.parts:
            values = tiles[n][at]
            known = np.isfinite(values)
            total[pixels[known]] += values[known]
            number[pixels[known]] += 1
        mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        values = (mean - self.reference.build(lookup)[0]).astype(np.float32)
        return values, values.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        # the two genomes may be known at different levels, whose difference would mean nothing
        return np.full(VECTOR_BINS, np.nan, np.float32)


class ScoreDifferenceTileset(ModelTileset):
    """A predicted score of an edited genome less that of its reference, in the reference's
    coordinates: of a bin that has several copies in the edited genome, the mean of the copies; of
    one that is deleted, nothing.

    Parameters
    ----------
    kind : the class of the score's tileset.
    """

    datatype = "vector"
    dimensions = 1

    def __init__(
        self,
        predicted: PredictedGenome,
        scheduler: Scheduler,
        uid: str,
        name: str,
        kind: type[ModelTileset],
    ):
        super().__init__(predicted, scheduler, uid, name, lifted=True)
        self.lifted = LiftedTileset(predicted, scheduler, uid, name)
        self.alternate = kind(predicted, scheduler, uid, name)
        self.reference = kind(predicted.base, scheduler, uid, name)

    def plan_at(self, resolution: int, tile: TileId) -> TilePlan:
        return _ScoreDifferencePlan((self.uid, resolution, tile.position), self, resolution, tile)
