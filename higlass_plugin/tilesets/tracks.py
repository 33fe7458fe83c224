"""Predicted tracks along the genome as tilesets: insulation, compartments, chromatin profiles."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from higlass_plugin.compute.jobs import Lookup, TilePlan
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.units import ProfileUnit, Unit
from higlass_plugin.tiles import VECTOR_BINS, BinRange, TileId
from higlass_plugin.tilesets.base import ModelTileset
from higlass_plugin.tilesets.blocks import BlockPlan, PixelBlock, dependencies_first
from orca_cool.genome.composition import gc_content
from orca_cool.genome.regions import n_bins
from orca_cool.maps.tracks import DIAMOND, first_eigenvector, insulation_over_expected

#: Number of bins of the insulation track that are computed from one block of pixels.
BLOCK_BINS = 64


class _Track(ModelTileset):
    datatype = "vector"
    dimensions = 1


@dataclass(frozen=True)
class _InsulationBlock:
    """A block of pixels around the diagonal, and what is taken from it.

    Attributes
    ----------
    pixels : of the tile. own : the bins of the block that are drawn there; the others only lie in
        their diamonds.
    """

    pixels: slice
    own: slice
    block: PixelBlock


class _InsulationPlan(BlockPlan):
    def __init__(self, key: tuple[Hashable, ...], tileset: ModelTileset, resolution: int, x: int):
        self.key, self.resolution, self.predicted = key, resolution, tileset.predicted
        self.blocks: list[_InsulationBlock] = []
        for bins in tileset.axis.bin_ranges(resolution, x, VECTOR_BINS):
            length = n_bins(tileset.axis.chromsizes[bins.chrom], resolution)
            for a in range(bins.first, bins.last, BLOCK_BINS):
                b = min(a + BLOCK_BINS, bins.last)
                around = np.arange(max(0, a - DIAMOND), min(length, b + DIAMOND))
                at = bins.at + a - bins.first
                self.blocks.append(
                    _InsulationBlock(
                        slice(at, at + b - a),
                        slice(a - around[0], b - around[0]),
                        PixelBlock(
                            self.predicted, bins.chrom, resolution, around, around, 2 * DIAMOND
                        ),
                    )
                )

    def pixel_blocks(self) -> Iterable[PixelBlock]:
        return [part.block for part in self.blocks]

    def values(self, lookup: Lookup, preview: bool) -> np.ndarray:
        out = np.full(VECTOR_BINS, np.nan, np.float32)
        expected = self.predicted.level(self.resolution).cis
        for part in self.blocks:
            if len(part.block.rows) < 2 * DIAMOND - 1:
                continue  # no diamond fits the chromosome
            f = part.block.frequency(lookup, preview).astype(float)
            if not preview:
                part.block.mask(f)
            out[part.pixels] = insulation_over_expected(f, expected, DIAMOND)[part.own]
        return out


class InsulationTileset(_Track):
    """Insulation: log2 of the mean contact frequency in a diamond of 10 bins on the diagonal, over
    the mean expected there.

    cooltools' insulation score of the predicted file, with a window of the same size, differs from
    it by a constant, because cooltools divides by the chromosome's median instead.
    """

    def plan_at(self, resolution: int, tile: TileId) -> TilePlan:
        key = self.uid, resolution, tile.position
        return _InsulationPlan(key, self, resolution, *tile.position)


class _CompartmentPlan(TilePlan):
    def __init__(self, key: tuple[Hashable, ...], tileset: ModelTileset, resolution: int, x: int):
        self.key, self.resolution, self.predicted = key, resolution, tileset.predicted
        self.bin_ranges = tileset.axis.bin_ranges(resolution, x, VECTOR_BINS)
        self.blocks: dict[str, PixelBlock] = {}  # the whole map of each chromosome
        for chrom in (bins.chrom for bins in self.bin_ranges):
            level = compartment_level(self.predicted, chrom)
            if level is not None:
                every = np.arange(n_bins(tileset.axis.chromsizes[chrom], level))
                self.blocks[chrom] = PixelBlock(self.predicted, chrom, level, every, every)

    def units(self) -> list[Unit]:
        known = self.predicted.compartments
        return dependencies_first(
            unit
            for chrom, block in self.blocks.items()
            if chrom not in known
            for unit in block.units()
        )

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        for chrom, block in self.blocks.items():
            if chrom not in self.predicted.compartments:
                y = block.log_ratio(lookup)
                block.mask(y)
                self.predicted.compartments[chrom] = first_eigenvector(
                    y, gc_content(self.predicted.engine.source, chrom, block.resolution)
                )
        values = self.preview(lookup)
        return values, values.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        out = np.full(VECTOR_BINS, np.nan, np.float32)
        for bins in self.bin_ranges:
            known = self.predicted.compartments.get(bins.chrom)
            if known is not None:
                level = self.blocks[bins.chrom].resolution
                at = bins.bins * self.resolution // level
                out[bins.pixels] = known[np.minimum(at, len(known) - 1)]
        return out


def compartment_level(predicted: PredictedGenome, chrom: str) -> int | None:
    """The finest resolution at which one window covers the whole chromosome, None if there is none.

    The eigenvector of a part of a chromosome would change from window to window.
    """
    fit = [
        r
        for r in predicted.settings.resolutions
        if r * predicted.engine.spec.bins >= predicted.axis.chromsizes[chrom]
    ]
    return min(fit, default=None)


class CompartmentTileset(_Track):
    """Compartments: the first eigenvector (E1) of each chromosome's log observed/expected, at the
    finest level at which one window covers the chromosome.
    """

    def plan_at(self, resolution: int, tile: TileId) -> TilePlan:
        key = self.uid, resolution, tile.position
        return _CompartmentPlan(key, self, resolution, *tile.position)


class _ProfilePlan(TilePlan):
    def __init__(self, key: tuple[Hashable, ...], tileset: ProfileTileset, resolution: int, x: int):
        self.key, self.profile, self.predicted = key, tileset.profile, tileset.predicted
        self.base_bin = self.predicted.engine.spec.base_bin
        self.factor = resolution // self.base_bin  # base bins in a bin of the tile
        self.size = self.predicted.engine.profile_block  # base bins in a unit
        self.parts: list[tuple[BinRange, list[ProfileUnit]]] = []
        for bins in tileset.axis.bin_ranges(resolution, x, VECTOR_BINS):
            last = min(bins.last * self.factor, self._base_bins(bins.chrom))
            blocks = range(bins.first * self.factor // self.size, (last - 1) // self.size + 1)
            # profiles do not depend on the cell type
            units = [ProfileUnit(self.predicted.owner, bins.chrom, k) for k in blocks]
            self.parts.append((bins, units))

    def _base_bins(self, chrom: str) -> int:
        """Number of base bins of a chromosome."""
        return n_bins(self.predicted.axis.chromsizes[chrom], self.base_bin)

    def units(self) -> list[Unit]:
        return [unit for _, units in self.parts for unit in units]

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        values = self.preview(lookup)
        return values, values.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        out = np.full(VECTOR_BINS, np.nan, np.float32)
        for bins, units in self.parts:
            base = np.full(len(units) * self.size, np.nan)
            for k, unit in enumerate(units):
                found = lookup(unit)
                if found is not None:
                    base[k * self.size : (k + 1) * self.size] = found[self.profile]
            first = units[0].block * self.size  # the base bin at which ``base`` begins
            base[self._base_bins(bins.chrom) - first :] = np.nan  # beyond the chromosome
            padded = np.full((bins.last - bins.first) * self.factor, np.nan)
            begin = bins.first * self.factor - first
            part = base[begin : begin + len(padded)]
            padded[: len(part)] = part
            grouped = padded.reshape(-1, self.factor)
            known = np.isfinite(grouped)
            total, number = np.where(known, grouped, 0).sum(axis=1), known.sum(axis=1)
            out[bins.pixels] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        return out


class ProfileTileset(_Track):
    """Probabilities of one chromatin profile, from the model's profile head. A bin larger than the
    model's base bin has their mean.

    Parameters
    ----------
    profile : name of the profile in the model's specification.
    """

    def __init__(
        self, predicted: PredictedGenome, scheduler: Scheduler, uid: str, name: str, profile: str
    ):
        super().__init__(predicted, scheduler, uid, name)
        self.profile = predicted.engine.spec.profiles.index(profile)

    def plan_at(self, resolution: int, tile: TileId) -> TilePlan:
        key = self.uid, resolution, tile.position
        return _ProfilePlan(key, self, resolution, *tile.position)
