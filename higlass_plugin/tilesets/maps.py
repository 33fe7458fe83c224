"""Predicted maps as tilesets: of the reference, of an edited genome in its own coordinates or in
those of its reference, and the difference of the two.

A tile has the values that ``orca-cool predict`` writes to the .mcool, laid out as clodius lays out
the tiles of a measured map.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from higlass_plugin.compute.jobs import Lookup, TilePlan
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.units import TransUnit, Unit
from higlass_plugin.tiles import TILE_BINS, Axis, BinRange, JsonObject, TileId, dense_tile
from higlass_plugin.tilesets.base import ModelTileset
from higlass_plugin.tilesets.blocks import BlockPlan, PixelBlock, dependencies_first
from higlass_plugin.tilesets.previews import is_small
from orca_cool.effects.lift import LiftedBins, lifted_bins
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import n_bins

#: The kinds of value of a map: their names in a tile id, and in the front end's menu. A tile id
#: without a name means the first, as in clodius.
TRANSFORMS = {"weight": "contact frequency", "logoe": "log observed/expected", "none": "counts"}
#: The counts of predicted files are contact frequencies times this.
PSEUDO_DEPTH = 1e5


@dataclass(frozen=True)
class _Rectangle:
    """Values for a rectangle of a tile's pixels.

    Attributes
    ----------
    rows, columns : the pixels. log_ratio : (rows, columns) log observed/expected, NaN where
        unknown.
    expected : expected contact frequency plus eps, (rows, columns) or one number.
    """

    rows: slice
    columns: slice
    log_ratio: np.ndarray
    expected: np.ndarray | np.float32


class _MapPlan(BlockPlan):
    """The plan of a tile of a map. Its values are (2, 256, 256): log observed/expected, and contact
    frequency.
    """

    def __init__(
        self,
        key: tuple[Hashable, ...],
        predicted: PredictedGenome,
        axis: Axis,
        resolution: int,
        x: int,
        y: int,
    ):
        self.key, self.predicted, self.resolution = key, predicted, resolution
        self.axis, self.position = axis, (x, y)
        columns, rows = (axis.bin_ranges(resolution, t, TILE_BINS) for t in (x, y))
        number = {chrom: k for k, chrom in enumerate(axis.chromsizes)}
        # in the order of a cooler's pixels: what comes later hides what shares its pixel, as in
        # clodius
        self.pairs = sorted(
            ((a, b) for a in rows for b in columns),
            key=lambda pair: sorted(number[bins.chrom] for bins in pair),
        )
        self.cis = {
            (a, b): PixelBlock(predicted, a.chrom, resolution, a.bins, b.bins)
            for a, b in self.pairs
            if a.chrom == b.chrom
        }
        self.trans = {
            (a, b): list(self._trans_units(a, b)) for a, b in self.pairs if a.chrom != b.chrom
        }

    def _trans_units(self, a: BinRange, b: BinRange) -> Iterator[tuple[TransUnit, bool]]:
        """Units that hold contacts of the bins of two chromosomes, and whether they must be
        transposed so that the bins of ``a`` are rows.
        """
        if self.resolution == max(self.predicted.assignment.resolutions):
            for transposed, pair in ((False, (a, b)), (True, (b, a))):
                for unit in self.predicted.trans_pairs.get((pair[0].chrom, pair[1].chrom), []):
                    if all(
                        bins.first * self.resolution < s.end
                        and s.start < bins.last * self.resolution
                        for bins, s in zip(pair, (unit.first, unit.second))
                    ):
                        yield unit, transposed

    def pixel_blocks(self) -> Iterable[PixelBlock]:
        return self.cis.values()

    def final_units(self) -> list[Unit]:
        trans = (unit for units in self.trans.values() for unit, _ in units)
        return [*super().final_units(), *trans]

    @cached_property
    def reference(self) -> BlockPlan | None:
        genome, base = self.predicted.genome, self.predicted.base
        if genome is None:
            return None
        chroms = {bins.chrom for pair in self.pairs for bins in pair}
        same_bins = all(
            base.axis.bin_ranges(self.resolution, t, TILE_BINS)
            == self.axis.bin_ranges(self.resolution, t, TILE_BINS)
            for t in self.position
        )
        if not (chroms and same_bins and is_small(genome, chroms, self.resolution)):
            return None
        return _MapPlan((), base, base.axis, self.resolution, *self.position)

    def values(self, lookup: Lookup, preview: bool) -> np.ndarray:
        out = np.full((2, TILE_BINS, TILE_BINS), np.nan, np.float32)
        for a, b in self.pairs:
            for found in (
                self._cis_rectangles(a, b, lookup, preview)
                if a.chrom == b.chrom
                else self._trans_rectangles(a, b, lookup)
            ):
                i, j, y = found.rows, found.columns, found.log_ratio
                known = np.isfinite(y)
                out[0, i, j][known] = y[known]
                out[1, i, j][known] = (np.exp(y) * found.expected)[known]
        return out

    def _cis_rectangles(
        self, a: BinRange, b: BinRange, lookup: Lookup, preview: bool
    ) -> Iterator[_Rectangle]:
        block = self.cis[a, b]
        y = block.log_ratio(lookup, preview)
        if not preview:
            block.mask(y)
        yield _Rectangle(a.pixels, b.pixels, y, block.expected.astype(np.float32))

    def _trans_rectangles(self, a: BinRange, b: BinRange, lookup: Lookup) -> Iterator[_Rectangle]:
        for unit, transposed in self.trans.get((a, b), []):
            found = lookup(unit)
            if found is not None:
                yield self._trans_rectangle(a, b, unit, found, transposed)

    def _trans_rectangle(
        self, a: BinRange, b: BinRange, unit: TransUnit, values: np.ndarray, transposed: bool
    ) -> _Rectangle:
        """The part of a unit's values that lies in the tile."""
        first, second = (unit.second, unit.first) if transposed else (unit.first, unit.second)
        values = values.T if transposed else values
        places = []
        for bins, s, n in ((a, first, values.shape[0]), (b, second, values.shape[1])):
            begin = s.start // self.resolution
            low, high = max(bins.first, begin), min(bins.last, begin + n)
            places.append(
                (
                    slice(low - begin, high - begin),
                    slice(bins.at + low - bins.first, bins.at + high - bins.first),
                    self.predicted.masked(bins.chrom, self.resolution, low, high),
                )
            )
        (from_a, to_a, masked_a), (from_b, to_b, masked_b) = places
        y = values[from_a, from_b].copy()
        y[masked_a] = np.nan
        y[:, masked_b] = np.nan
        expected = np.float32(self.predicted.level(self.resolution).trans)
        return _Rectangle(to_a, to_b, y, expected)


class MapTileset(ModelTileset):
    """A predicted map of a genome in its own coordinates."""

    transforms = TRANSFORMS

    def plan_at(self, resolution: int, tile: TileId) -> BlockPlan:
        key = self.uid, resolution, tile.position
        return _MapPlan(key, self.predicted, self.axis, resolution, *tile.position)

    def render(self, tile: TileId, values: np.ndarray, error: str | None = None) -> JsonObject:
        shown = values[0] if tile.transform == "logoe" else values[1]
        if tile.transform == "none":
            shown = shown * np.float32(PSEUDO_DEPTH)
        return dense_tile(shown, error=error)


@dataclass(frozen=True)
class _MatchedBins:
    """Bins of a tile in the reference's coordinates, and the bins of one contig of the edited
    genome that hold the same sequence.

    Attributes
    ----------
    contig : name of the contig.
    pixels : (n,) where the bins of the reference are drawn, along an axis of the tile.
    bins : (n,) the bins of the contig.
    """

    contig: str
    pixels: np.ndarray
    bins: np.ndarray


@dataclass(frozen=True)
class _LiftedBlock:
    """Pixels of an edited genome, and where they are drawn in a tile in the reference's
    coordinates.

    Attributes
    ----------
    pair : the bins of the reference along both axes.
    rows, columns : (n,), (m,) pixels of the tile. from_rows, from_columns : for each of them the
        row or column of ``block`` that is drawn there.
    """

    pair: tuple[BinRange, BinRange]
    rows: np.ndarray
    from_rows: np.ndarray
    columns: np.ndarray
    from_columns: np.ndarray
    block: PixelBlock


class _LiftedPlan(BlockPlan):
    """The plan of a tile of an edited genome's map in the reference's coordinates. The values are
    those of :mod:`orca_cool.effects.lift`: where a bin of the reference has several
    copies, their mean.
    """

    def __init__(
        self, key: tuple[Hashable, ...], tileset: LiftedTileset, resolution: int, x: int, y: int
    ):
        self.key, self.resolution = key, resolution
        self.tileset, self.predicted, self.base = tileset, tileset.predicted, tileset.predicted.base
        columns, rows = (tileset.axis.bin_ranges(resolution, t, TILE_BINS) for t in (x, y))
        self.position = x, y
        self.pairs = [(a, b) for a in rows for b in columns if a.chrom == b.chrom]

    @cached_property
    def lifted_blocks(self) -> list[_LiftedBlock]:
        """Made when they are first needed: a tile that is in the cache needs none."""
        out = []
        for a, b in self.pairs:
            for one in self.tileset.matched_bins(a, self.resolution):
                for two in self.tileset.matched_bins(b, self.resolution):
                    if one.contig == two.contig:
                        i, from_i = np.unique(one.bins, return_inverse=True)
                        j, from_j = np.unique(two.bins, return_inverse=True)
                        block = PixelBlock(self.predicted, one.contig, self.resolution, i, j)
                        out.append(
                            _LiftedBlock((a, b), one.pixels, from_i, two.pixels, from_j, block)
                        )
        return out

    def pixel_blocks(self) -> Iterable[PixelBlock]:
        return [lifted.block for lifted in self.lifted_blocks]

    @cached_property
    def reference(self) -> BlockPlan | None:
        genome, chroms = self.predicted.genome, {a.chrom for a, _ in self.pairs}
        if genome is None or not chroms or not is_small(genome, chroms, self.resolution):
            return None
        return _MapPlan((), self.base, self.base.axis, self.resolution, *self.position)

    def values(self, lookup: Lookup, preview: bool) -> np.ndarray:
        mean = self._mean_frequency(lookup, preview)
        out = np.full((2, TILE_BINS, TILE_BINS), np.nan, np.float32)
        for a, b in self.pairs:
            i, j = a.pixels, b.pixels
            reference = PixelBlock(self.base, a.chrom, self.resolution, a.bins, b.bins)
            f = mean[i, j].copy()
            if not preview:
                reference.mask(f)
            with np.errstate(divide="ignore"):
                y = np.log(f / reference.expected.astype(np.float32))
            # as far from the diagonal as either genome is predicted: an edit that changes the
            # length of a chromosome can change how far that is
            reach = [
                lifted.block.patchwork.written[self.resolution]
                for lifted in self.lifted_blocks
                if lifted.pair == (a, b)
            ]
            far = np.abs(np.subtract.outer(reference.rows, reference.columns)) >= max(
                [reference.patchwork.written[self.resolution], *reach]
            )
            known = np.isfinite(y) & ~far
            out[0, i, j][known], out[1, i, j][known] = y[known], f[known]
        return out

    def _mean_frequency(self, lookup: Lookup, preview: bool) -> np.ndarray:
        """(256, 256) float32 contact frequency, the mean over the copies of each pair of bins; NaN
        where there is no copy.
        """
        total = np.zeros((TILE_BINS, TILE_BINS))
        number = np.zeros((TILE_BINS, TILE_BINS), np.int32)
        for lifted in self.lifted_blocks:
            f = lifted.block.frequency(lookup, preview)
            if not preview:
                lifted.block.mask(f)
            f = f[np.ix_(lifted.from_rows, lifted.from_columns)]
            known = np.isfinite(f)
            pixels = np.ix_(lifted.rows, lifted.columns)
            total[pixels] += np.where(known, f, 0)
            number[pixels] += known
        mean = np.full(total.shape, np.nan, np.float32)
        np.divide(total, number, out=mean, where=number > 0, casting="same_kind")
        return mean


class LiftedTileset(MapTileset):
    """The map of an edited genome in the coordinates of its reference; NaN where sequence is
    deleted.
    """

    def __init__(self, predicted: PredictedGenome, scheduler: Scheduler, uid: str, name: str):
        super().__init__(predicted, scheduler, uid, name, lifted=True)
        self._lifted: dict[tuple[str, int], LiftedBins] = {}

    def plan_at(self, resolution: int, tile: TileId) -> BlockPlan:
        key = self.uid, resolution, tile.position
        return _LiftedPlan(key, self, resolution, *tile.position)

    def matched_bins(self, bins: BinRange, resolution: int) -> Iterator[_MatchedBins]:
        """The bins of the edited genome that hold the sequence of bins of the reference.

        A bin of the reference that has several copies appears in several results, once for each.
        """
        genome = self.predicted.genome
        assert isinstance(genome, EditedGenome)
        key = bins.chrom, resolution
        if key not in self._lifted:
            self._lifted[key] = lifted_bins(genome, [bins.chrom], [resolution])[resolution][
                bins.chrom
            ]
        lifted = self._lifted[key]
        offsets, names = self._first_bins(resolution)
        copies = lifted.copies[bins.first : bins.last]
        for k in range(int(copies.max(initial=0))):
            at = np.flatnonzero(copies > k)
            places = lifted.places[lifted.first[bins.first + at] + k]
            contig = np.searchsorted(offsets, places, side="right") - 1
            for c in np.unique(contig):
                here = contig == c
                yield _MatchedBins(names[c], bins.at + at[here], places[here] - offsets[c])

    def _first_bins(self, resolution: int) -> tuple[np.ndarray, list[str]]:
        """The number of each contig's first bin, as a cooler counts bins, and the contigs'
        names.
        """
        sizes = self.predicted.axis.chromsizes
        numbers = [n_bins(n, resolution) for n in sizes.values()]
        return np.cumsum([0, *numbers[:-1]]), list(sizes)


class _DifferencePlan(TilePlan):
    """The plan of a tile of ln(alternate / reference); its values are (256, 256)."""

    def __init__(self, key: tuple[Hashable, ...], lifted: BlockPlan, reference: BlockPlan):
        self.key, self.lifted, self.reference = key, lifted, reference

    def units(self) -> list[Unit]:
        # nothing is shown before both are there, so drafts would be of no use
        return dependencies_first([*self.lifted.final_units(), *self.reference.final_units()])

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        (_, alternate), (_, reference) = (
            plan.build(lookup)[0] for plan in (self.lifted, self.reference)
        )
        values = np.log(alternate / reference)
        return values, values.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        # the two genomes may be known at different levels, whose difference would mean nothing
        return np.full((TILE_BINS, TILE_BINS), np.nan, np.float32)


class DifferenceTileset(ModelTileset):
    """ln of the contact frequency of an edited genome over that of its reference, in the
    reference's coordinates.
    """

    def __init__(self, predicted: PredictedGenome, scheduler: Scheduler, uid: str, name: str):
        super().__init__(predicted, scheduler, uid, name, lifted=True)
        self.lifted = LiftedTileset(predicted, scheduler, uid, name)
        self.reference = MapTileset(predicted.base, scheduler, uid, name)

    def plan_at(self, resolution: int, tile: TileId) -> TilePlan:
        plans = (made.plan_at(resolution, tile) for made in (self.lifted, self.reference))
        return _DifferencePlan((self.uid, resolution, tile.position), *plans)
