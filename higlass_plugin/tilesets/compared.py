"""A predicted map against a measured one, on a grid of bins that both can be brought to: the two,
their difference, and one divided by the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from higlass_plugin.compute.jobs import Lookup, TilePlan
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.units import Unit
from higlass_plugin.tiles import TILE_BINS, Axis, BinRange, JsonObject, TileId, dense_tile
from higlass_plugin.tilesets.blocks import dependencies_first
from higlass_plugin.tilesets.division import DivisionTileset, Part, gather, joined
from higlass_plugin.tilesets.maps import MapTileset
from higlass_plugin.tilesets.measured import ExpectedUnit, RatioTileset, tile_values

#: The kinds of value: their names in a tile id, and in the front end's menu. A tile id without a
#: name means the first.
TRANSFORMS = {
    "difference": "log observed/expected, predicted - measured",
    "divided": "contact frequency, predicted / measured",
    "predicted": "predicted contact frequency",
    "measured": "measured contact frequency",
    "predicted-logoe": "predicted log observed/expected",
    "measured-logoe": "measured log observed/expected",
}


class _ComparedPart(Part):
    """What one of the maps has for a tile of the comparison.

    Parameters
    ----------
    expected : measures what is expected of a measured map; None of a predicted one, whose tiles
        tell.
    others : as of a part of a division.
    """

    def __init__(
        self,
        expected: ExpectedUnit | None,
        place: tuple[Axis, int, int],
        tileset: MapTileset | RatioTileset,
        rows: Sequence[BinRange],
        columns: Sequence[BinRange],
    ):
        self.expected = expected
        drawn = tileset.file if isinstance(tileset, RatioTileset) else tileset
        super().__init__(drawn, *place, rows, columns)

    def both(self, lookup: Lookup) -> np.ndarray:
        """(2, 256, 256) float32 of the comparison's bins: contact frequency, and what is expected
        of the same pixels, so that what is unknown is left out of both.
        """
        frequency, tiles = {}, {}
        for x, y in self.positions():
            if self.expected is None:
                ratio, found = self.plans[x, y].build(lookup)[0]
                tiles[x, y] = found / np.exp(ratio)
            else:
                found = tile_values(self.tileset, self.zoom, x, y, "weight")
            frequency[x, y] = found
        out = np.full((2, TILE_BINS, TILE_BINS), np.nan, np.float32)
        for a in self.rows:
            for b in self.columns:
                own = gather(frequency, self.pixels(a), self.pixels(b))
                if self.expected is None:
                    expected = gather(tiles, self.pixels(a), self.pixels(b))
                else:
                    expected = self._measured(lookup(self.expected), a, b)
                expected = np.where(np.isfinite(own), expected, np.nan)
                for kind, values in enumerate((own, expected)):
                    made = joined(values, self.n)
                    height, width = made.shape
                    out[kind, a.at : a.at + height, b.at : b.at + width] = made
        return out

    def _measured(self, expected: np.ndarray, a: BinRange, b: BinRange) -> np.ndarray:
        """What is expected of the map's own bins, of which two ranges of the comparison's are made;
        NaN between chromosomes, and at distances of which nothing is known.
        """
        rows, columns = self.own_bins(a), self.own_bins(b)
        if a.chrom != b.chrom:
            return np.full((len(rows), len(columns)), np.nan)
        distance = np.abs(np.subtract.outer(rows, columns))
        found: np.ndarray = np.append(expected, np.nan)[np.minimum(distance, len(expected))]
        return found


@dataclass
class _ComparedPlan(TilePlan):
    """The plan of a tile of the comparison. Its values are (4, 256, 256): predicted and measured
    contact frequency, and log observed/expected of both.
    """

    key: tuple[Hashable, ...]
    parts: tuple[_ComparedPart, _ComparedPart]

    def units(self) -> list[Unit]:
        predicted, measured = self.parts
        windows = (u for plan in predicted.plans.values() for u in plan.final_units())
        expected = [measured.expected] if measured.expected is not None else []
        return [*dependencies_first(windows), *expected]

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        found = [part.both(lookup) for part in self.parts]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = [np.log(frequency / expected) for frequency, expected in found]
        values = np.stack([frequency for frequency, _ in found] + ratios)
        values[~np.isfinite(values)] = np.nan
        return values, values.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        # what is not known yet of a prediction may be shown coarser, which says nothing of how well
        # it agrees
        return np.full((4, TILE_BINS, TILE_BINS), np.nan, np.float32)


class ComparedTileset(DivisionTileset):
    """A predicted map against a measured one, in bins to which whole bins of both are joined.

    Of joined bins, log observed/expected is that of the sums of what is observed and of what is
    expected in them. Where nothing was measured there is no logarithm, and no value.

    Parameters
    ----------
    predicted : the tileset of the prediction.
    measured : log observed/expected of the measured map.
    scheduler : of predictions.

    Raises
    ------
    NotDivisible
        As of a division.
    """

    transforms: ClassVar[dict[str, str]] = TRANSFORMS

    def __init__(
        self, predicted: MapTileset, measured: RatioTileset, scheduler: Scheduler, uid: str
    ):
        super().__init__(predicted, measured.file, scheduler, uid)
        self.predicted_map, self.measured_map = predicted, measured
        self.name = f"{predicted.name}, against {measured.file.name}"

    def plan_at(self, resolution: int, tile: TileId) -> TilePlan:
        x, y = tile.position
        columns, rows = (self.axis.bin_ranges(resolution, t, TILE_BINS) for t in (x, y))
        ours, theirs = self.grid[resolution]
        # another scheduler measures, since that takes minutes for a large file
        self.measured_map.want_expected(theirs)
        parts = (
            _ComparedPart(
                None, (self.axes[0], ours, resolution // ours), self.predicted_map, rows, columns
            ),
            _ComparedPart(
                self.measured_map.expected(theirs),
                (self.axes[1], theirs, resolution // theirs),
                self.measured_map,
                rows,
                columns,
            ),
        )
        return _ComparedPlan((self.uid, resolution, tile.position), parts)

    def render(self, tile: TileId, values: np.ndarray, error: str | None = None) -> JsonObject:
        predicted, measured, ours, theirs = values
        kind = tile.transform
        if kind == "divided":
            shown = np.full_like(predicted, np.nan)
            np.divide(predicted, measured, out=shown, where=measured > 0)
        else:
            plain = {
                "predicted": predicted,
                "measured": measured,
                "predicted-logoe": ours,
                "measured-logoe": theirs,
            }
            shown = plain[kind] if kind in plain else ours - theirs
        return dense_tile(shown, error=error)
