"""Predicted maps: of the reference, of an edited genome in its own and in its reference's
coordinates, and what differs.

A tile is the slice of the .mcool that ``orca-cool predict`` writes, laid out as clodius lays out a
measured one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from higlass_plugin.compute.scheduler import Goal, Look, Scheduler
from higlass_plugin.compute.units import PredictedGenome, TransUnit, Unit
from higlass_plugin.tiles import TILE_BINS, Axis, Run, TileId, dense_tile
from higlass_plugin.tilesets.base import Drawn, PixelBlock, Predicted, bins_of, in_order, place_of
from orca_cool.effects.reference_coordinates import LiftedBins, lifted_bins
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import n_bins

#: What a value is called: in a tile id, and in the front end's menu. The first is what no name
#: means, as in clodius.
TRANSFORMS = {"weight": "contact frequency", "logoe": "log observed/expected", "none": "counts"}
#: Counts are contact frequencies times this, as in predicted files.
PSEUDO_DEPTH = 1e5

#: Rows and columns of a tile, log observed/expected there, and what is expected, which broadcasts.
_Block = tuple[slice, slice, np.ndarray, Any]


class _MapGoal(Drawn):
    """A tile of a map: its value is (2, 256, 256), log observed/expected and contact frequency."""

    def __init__(
        self, key: tuple, predicted: PredictedGenome, axis: Axis, resolution: int, x: int, y: int
    ):
        self.key, self.predicted, self.resolution = key, predicted, resolution
        columns, rows = (axis.runs(resolution, t, TILE_BINS) for t in (x, y))
        number = {chrom: k for k, chrom in enumerate(axis.chromsizes)}
        # in the order of a cooler's pixels: what comes later hides what shares its pixel, as in
        # clodius
        self.blocks = sorted(
            ((a, b) for a in rows for b in columns),
            key=lambda ab: sorted(number[run.chrom] for run in ab),
        )
        self.pixel_blocks = {
            (a, b): PixelBlock(predicted, a.chrom, resolution, bins_of(a), bins_of(b))
            for a, b in self.blocks
            if a.chrom == b.chrom
        }
        self.trans = {(a, b): list(self._trans(a, b)) for a, b in self.blocks if a.chrom != b.chrom}

    def _trans(self, a: Run, b: Run) -> Iterator[tuple[TransUnit, bool]]:
        """Units that hold contacts between two chromosomes, and whether the first's bins are
        columns.
        """
        if self.resolution == max(self.predicted.assignment.resolutions):
            for turned, pair in ((False, (a, b)), (True, (b, a))):
                for unit in self.predicted.trans_pairs.get((pair[0].chrom, pair[1].chrom), []):
                    if all(
                        run.first * self.resolution < s.end and s.start < run.last * self.resolution
                        for run, s in zip(pair, (unit.first, unit.second))
                    ):
                        yield unit, turned

    def parts(self) -> Iterable[PixelBlock]:
        return self.pixel_blocks.values()

    def units(self) -> list[Unit]:
        return [*super().units(), *(unit for units in self.trans.values() for unit, _ in units)]

    def values(self, look: Look, preview: bool) -> np.ndarray:
        out = np.full((2, TILE_BINS, TILE_BINS), np.nan, np.float32)
        for a, b in self.blocks:
            for block in (
                self._cis(a, b, look, preview) if a.chrom == b.chrom else self._between(a, b, look)
            ):
                i, j, y, expected = block
                known = np.isfinite(y)
                out[0, i, j][known] = y[known]
                out[1, i, j][known] = (np.exp(y) * expected)[known]
        return out

    def _cis(self, a: Run, b: Run, look: Look, preview: bool) -> Iterator[_Block]:
        pixels = self.pixel_blocks[a, b]
        y = pixels.log_ratio(look, preview)
        if not preview:
            pixels.mask(y)
        yield place_of(a), place_of(b), y, pixels.expected.astype(np.float32)

    def _between(self, a: Run, b: Run, look: Look) -> Iterator[_Block]:
        for unit, turned in self.trans.get((a, b), []):
            found = look(unit)
            if found is not None:
                yield self._part(a, b, unit, found.T if turned else found, turned)

    def _part(self, a: Run, b: Run, unit: TransUnit, values: np.ndarray, turned: bool) -> _Block:
        first, second = (unit.second, unit.first) if turned else (unit.first, unit.second)
        places = []
        for run, s, n in ((a, first, values.shape[0]), (b, second, values.shape[1])):
            begin = s.start // self.resolution
            low, high = max(run.first, begin), min(run.last, begin + n)
            places.append(
                (
                    slice(low - begin, high - begin),
                    slice(run.at + low - run.first, run.at + high - run.first),
                    low,
                    high,
                )
            )
        (from_a, to_a, *bins_a), (from_b, to_b, *bins_b) = places
        y = values[from_a, from_b].copy()
        y[self.predicted.masked(a.chrom, self.resolution, *bins_a)] = np.nan
        y[:, self.predicted.masked(b.chrom, self.resolution, *bins_b)] = np.nan
        return to_a, to_b, y, np.float32(self.predicted.level(self.resolution).trans)


class MapTileset(Predicted):
    """A predicted map."""

    transforms = TRANSFORMS

    def make(self, resolution: int, tile: TileId) -> Goal:
        return _MapGoal(
            (self.uid, resolution, tile.position),
            self.predicted,
            self.axis,
            resolution,
            *tile.position,
        )

    def render(self, tile: TileId, values: np.ndarray, error: str | None = None) -> dict[str, Any]:
        shown = values[0] if tile.transform == "logoe" else values[1]
        return dense_tile(
            shown * np.float32(PSEUDO_DEPTH) if tile.transform == "none" else shown, error=error
        )


@dataclass(frozen=True)
class _Copies:
    """Bins along an axis of a reference's tile that have their k-th image on one contig: ``at`` in
    the tile, ``bins`` there.
    """

    contig: str
    at: np.ndarray
    bins: np.ndarray


class _LiftedGoal(Drawn):
    """A tile of an edited genome's map at the coordinates of its reference: as
    :mod:`orca_cool.effects.lift` makes the file.
    """

    def __init__(self, key: tuple, tileset: LiftedTileset, resolution: int, x: int, y: int):
        self.key, self.resolution = key, resolution
        self.tileset, self.predicted, self.base = tileset, tileset.predicted, tileset.predicted.base
        columns, rows = (tileset.axis.runs(resolution, t, TILE_BINS) for t in (x, y))
        self.blocks = [(a, b) for a in rows for b in columns if a.chrom == b.chrom]

    @cached_property
    def pixel_blocks(self) -> list[tuple[Run, Run, np.ndarray, np.ndarray, PixelBlock]]:
        """Looked up when they are needed: a tile that is there already needs none."""
        out = []
        for a, b in self.blocks:
            for one in self.tileset.copies(a, self.resolution):
                for two in self.tileset.copies(b, self.resolution):
                    if one.contig == two.contig:
                        i, at_i = np.unique(one.bins, return_inverse=True)
                        j, at_j = np.unique(two.bins, return_inverse=True)
                        pixels = PixelBlock(self.predicted, one.contig, self.resolution, i, j)
                        out.append(
                            (a, b, np.stack([one.at, at_i]), np.stack([two.at, at_j]), pixels)
                        )
        return out

    def parts(self) -> Iterable[PixelBlock]:
        return [pixels for *_, pixels in self.pixel_blocks]

    def values(self, look: Look, preview: bool) -> np.ndarray:
        total = np.zeros((TILE_BINS, TILE_BINS))
        number = np.zeros((TILE_BINS, TILE_BINS), np.int32)
        for _, _, (rows, at_rows), (columns, at_columns), pixels in self.pixel_blocks:
            f = pixels.frequency(look, preview)
            if not preview:
                pixels.mask(f)
            f = f[np.ix_(at_rows, at_columns)]
            known = np.isfinite(f)
            cells = np.ix_(rows, columns)
            total[cells] += np.where(known, f, 0)
            number[cells] += known
        mean = np.full(total.shape, np.nan, np.float32)
        np.divide(total, number, out=mean, where=number > 0, casting="same_kind")
        out = np.full((2, TILE_BINS, TILE_BINS), np.nan, np.float32)
        for a, b in self.blocks:
            i, j = place_of(a), place_of(b)
            reference = PixelBlock(self.base, a.chrom, self.resolution, bins_of(a), bins_of(b))
            f = mean[i, j].copy()
            if not preview:
                reference.mask(f)
            with np.errstate(divide="ignore"):
                y = np.log(f / reference.expected.astype(np.float32))
            # as far as either genome is predicted: an edited chromosome may be long enough, or
            # short enough, to reach less or more
            reach = [
                pixels.work.written[self.resolution]
                for one, two, *_, pixels in self.pixel_blocks
                if (one, two) == (a, b)
            ]
            far = np.abs(np.subtract.outer(reference.rows, reference.columns)) >= max(
                [reference.work.written[self.resolution], *reach]
            )
            known = np.isfinite(y) & ~far
            out[0, i, j][known], out[1, i, j][known] = y[known], f[known]
        return out


class LiftedTileset(MapTileset):
    """The map of an edited genome at the coordinates of its reference; NaN where sequence is
    deleted.
    """

    def __init__(self, predicted: PredictedGenome, scheduler: Scheduler, uid: str, name: str):
        super().__init__(predicted, scheduler, uid, name, framed=True)
        self._lifted: dict[tuple[str, int], LiftedBins] = {}

    def make(self, resolution: int, tile: TileId) -> Goal:
        return _LiftedGoal((self.uid, resolution, tile.position), self, resolution, *tile.position)

    def copies(self, run: Run, resolution: int) -> Iterator[_Copies]:
        """Where the bins of a run are in the edited genome, in the order of their bins."""
        genome = self.predicted.genome
        assert isinstance(genome, EditedGenome)
        key = run.chrom, resolution
        if key not in self._lifted:
            self._lifted[key] = lifted_bins(genome, [run.chrom], [resolution])[resolution][
                run.chrom
            ]
        lifted = self._lifted[key]
        offsets, names = self._numbers(resolution)
        number = lifted.copies[run.first : run.last]
        for k in range(int(number.max(initial=0))):
            at = np.flatnonzero(number > k)
            places = lifted.places[lifted.first[run.first + at] + k]
            contig = np.searchsorted(offsets, places, side="right") - 1
            for c in np.unique(contig):
                here = contig == c
                yield _Copies(names[c], run.at + at[here], places[here] - offsets[c])

    def _numbers(self, resolution: int) -> tuple[np.ndarray, list[str]]:
        """First bin of each contig, as a cooler counts them, and the contigs' names."""
        sizes = self.predicted.axis.chromsizes
        bins = [n_bins(n, resolution) for n in sizes.values()]
        return np.cumsum([0, *bins[:-1]]), list(sizes)


class _DifferenceGoal:
    """A tile of ln(alternate / reference)."""

    def __init__(self, key: tuple, lifted: Goal, reference: Goal):
        self.key, self.lifted, self.reference = key, lifted, reference

    def units(self) -> list[Unit]:
        return in_order([*self.lifted.units(), *self.reference.units()])

    def build(self, look: Look) -> tuple[np.ndarray, int]:
        values = np.log(self.lifted.build(look)[0][1] / self.reference.build(look)[0][1])
        return values, values.nbytes

    def preview(self, look: Look) -> np.ndarray:
        return np.full(
            (TILE_BINS, TILE_BINS), np.nan, np.float32
        )  # of coarser and finer levels it would be no difference of genomes


class DifferenceTileset(Predicted):
    """ln of the contact frequency of an edited genome over that of its reference, at the
    reference's coordinates.
    """

    def __init__(self, predicted: PredictedGenome, scheduler: Scheduler, uid: str, name: str):
        super().__init__(predicted, scheduler, uid, name, framed=True)
        self.lifted = LiftedTileset(predicted, scheduler, uid, name)
        self.reference = MapTileset(predicted.base, scheduler, uid, name)

    def make(self, resolution: int, tile: TileId) -> Goal:
        key = self.uid, resolution, tile.position
        return _DifferenceGoal(
            key, self.lifted.make(resolution, tile), self.reference.make(resolution, tile)
        )
