"""Predicted tracks along the genome: insulation, compartments, chromatin profiles."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from higlass_plugin.compute.scheduler import Goal, Look, Scheduler
from higlass_plugin.compute.units import PredictedGenome, ProfileUnit, Unit
from higlass_plugin.tiles import VECTOR_BINS, Run, TileId
from higlass_plugin.tilesets.base import Drawn, PixelBlock, Predicted, bins_of, in_order, place_of
from orca_cool.genome.regions import n_bins
from orca_cool.maps.metrics import diamond, eigenvector

#: Side in bins of the diamond of the insulation track; pixels fewer bins apart than IGNORED are
#: left out.
DIAMOND, IGNORED = 10, 2
#: Bins of a track worked on at once.
PIECE = 64


class _Vector(Predicted):
    datatype = "vector"
    dimensions = 1


class _InsulationGoal(Drawn):
    def __init__(self, key: tuple, tileset: Predicted, resolution: int, x: int):
        self.key, self.resolution = key, resolution
        self.blocks: list[tuple[slice, slice, PixelBlock]] = []
        for run in tileset.axis.runs(resolution, x, VECTOR_BINS):
            bins = n_bins(tileset.axis.chromsizes[run.chrom], resolution)
            for a in range(run.first, run.last, PIECE):
                b = min(a + PIECE, run.last)
                around = np.arange(max(0, a - DIAMOND), min(bins, b + DIAMOND))
                own = slice(a - around[0], b - around[0])
                at = run.at + a - run.first
                self.blocks.append(
                    (
                        slice(at, at + b - a),
                        own,
                        PixelBlock(
                            tileset.predicted, run.chrom, resolution, around, around, 2 * DIAMOND
                        ),
                    )
                )

    def parts(self) -> Iterable[PixelBlock]:
        return [block for *_, block in self.blocks]

    def values(self, look: Look, preview: bool) -> np.ndarray:
        out = np.full(VECTOR_BINS, np.nan, np.float32)
        side = np.arange(DIAMOND)
        apart = np.add.outer(side, side)
        for at, own, block in self.blocks:
            if len(block.rows) <= apart.max():
                continue  # no diamond fits the chromosome
            f = block.frequency(look, preview).astype(float)
            if not preview:
                block.mask(f)
            mean, _ = diamond(f, DIAMOND, IGNORED)
            expected = block.predicted.level(self.resolution).cis[apart[apart >= IGNORED]].mean()
            with np.errstate(divide="ignore"):
                out[at] = np.log2(mean / expected)[own]
        return out


class InsulationTileset(_Vector):
    """Insulation: log2 of the mean contact frequency in a diamond of 10 bins, over what is expected
    there.

    cooltools' score of the same window on the predicted file is this less a constant: it divides by
    the chromosome's median instead.
    """

    def make(self, resolution: int, tile: TileId) -> Goal:
        return _InsulationGoal(
            (self.uid, resolution, tile.position), self, resolution, *tile.position
        )


class _CompartmentGoal:
    def __init__(self, key: tuple, tileset: Predicted, resolution: int, x: int):
        self.key, self.resolution, self.predicted = key, resolution, tileset.predicted
        self.runs = tileset.axis.runs(resolution, x, VECTOR_BINS)
        self.blocks: dict[str, PixelBlock] = {}
        for run in self.runs:
            level = compartment_level(tileset.predicted, run.chrom)
            if level is not None:
                bins = np.arange(n_bins(tileset.axis.chromsizes[run.chrom], level))
                self.blocks[run.chrom] = PixelBlock(tileset.predicted, run.chrom, level, bins, bins)

    def units(self) -> list[Unit]:
        known = self.predicted.compartments
        return in_order(
            unit
            for chrom, block in self.blocks.items()
            if chrom not in known
            for unit in block.units()
        )

    def build(self, look: Look) -> tuple[np.ndarray, int]:
        for chrom, block in self.blocks.items():
            if chrom not in self.predicted.compartments:
                y = block.log_ratio(look)
                block.mask(y)
                self.predicted.compartments[chrom] = _first_eigenvector(
                    y, self.predicted.gc(chrom, block.resolution)
                )
        values = self.preview(look)
        return values, values.nbytes

    def preview(self, look: Look) -> np.ndarray:
        out = np.full(VECTOR_BINS, np.nan, np.float32)
        for run in self.runs:
            known = self.predicted.compartments.get(run.chrom)
            if known is not None:
                level = self.blocks[run.chrom].resolution
                out[place_of(run)] = known[
                    np.minimum(bins_of(run) * self.resolution // level, len(known) - 1)
                ]
        return out


def compartment_level(predicted: PredictedGenome, chrom: str) -> int | None:
    """The finest resolution of which one window covers the chromosome: E1 of anything less would
    change from window to window.
    """
    fit = [
        r
        for r in predicted.settings.resolutions
        if r * predicted.engine.spec.bins >= predicted.axis.chromsizes[chrom]
    ]
    return min(fit, default=None)


def _first_eigenvector(y: np.ndarray, gc: np.ndarray) -> np.ndarray:
    """E1 of a chromosome, of mean square 1, positive where there is more G and C; NaN in masked
    bins.
    """
    out = np.full(len(y), np.nan)
    keep = np.isfinite(y).any(axis=1)
    if keep.sum() > 2:
        e1 = eigenvector(y[np.ix_(keep, keep)])
        content = np.nan_to_num(gc[keep] - np.nanmean(gc[keep]))
        out[keep] = e1 * np.sqrt(len(e1)) * (-1 if e1 @ content < 0 else 1)
    return out


class CompartmentTileset(_Vector):
    """First eigenvector (E1) of each chromosome's log observed/expected, at the finest level of
    which one window covers it.
    """

    def make(self, resolution: int, tile: TileId) -> Goal:
        return _CompartmentGoal(
            (self.uid, resolution, tile.position), self, resolution, *tile.position
        )


class _ProfileGoal:
    def __init__(self, key: tuple, tileset: ProfileTileset, resolution: int, x: int):
        self.key, self.row = key, tileset.row
        predicted = tileset.predicted
        self.factor = resolution // predicted.engine.spec.base_bin
        self.size = predicted.engine.profile_block
        self.parts: list[tuple[Run, list[ProfileUnit]]] = []
        for run in tileset.axis.runs(resolution, x, VECTOR_BINS):
            last = min(
                run.last * self.factor,
                n_bins(tileset.axis.chromsizes[run.chrom], predicted.engine.spec.base_bin),
            )
            blocks = range(run.first * self.factor // self.size, (last - 1) // self.size + 1)
            self.parts.append((run, [ProfileUnit(predicted, run.chrom, k) for k in blocks]))

    def units(self) -> list[Unit]:
        return [unit for _, units in self.parts for unit in units]

    def build(self, look: Look) -> tuple[np.ndarray, int]:
        values = self.preview(look)
        return values, values.nbytes

    def preview(self, look: Look) -> np.ndarray:
        out = np.full(VECTOR_BINS, np.nan, np.float32)
        for run, units in self.parts:
            base = np.full(len(units) * self.size, np.nan)
            for k, unit in enumerate(units):
                found = look(unit)
                if found is not None:
                    base[k * self.size : (k + 1) * self.size] = found[self.row]
            begin = run.first * self.factor - units[0].block * self.size
            length = n_bins(
                units[0].predicted.axis.chromsizes[run.chrom],
                units[0].predicted.engine.spec.base_bin,
            )
            base[length - units[0].block * self.size :] = np.nan  # beyond the chromosome
            padded = np.full((run.last - run.first) * self.factor, np.nan)
            part = base[begin : begin + len(padded)]
            padded[: len(part)] = part
            bins = padded.reshape(-1, self.factor)
            known = np.isfinite(bins)
            total, number = np.where(known, bins, 0).sum(axis=1), known.sum(axis=1)
            out[place_of(run)] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        return out


class ProfileTileset(_Vector):
    """Probabilities of one chromatin profile, from the model's profile head; coarser bins are
    means.
    """

    def __init__(
        self, predicted: PredictedGenome, scheduler: Scheduler, uid: str, name: str, profile: str
    ):
        super().__init__(predicted, scheduler, uid, name)
        self.row = predicted.engine.spec.profiles.index(profile)

    def make(self, resolution: int, tile: TileId) -> Goal:
        return _ProfileGoal((self.uid, resolution, tile.position), self, resolution, *tile.position)
