"""Rectangles of predicted pixels, of which maps and tracks are made."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from functools import cached_property

import numpy as np

from higlass_plugin.compute.jobs import Lookup, TilePlan
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.units import Unit, WindowMaps, WindowUnit
from higlass_plugin.tilesets.previews import REFERENCE, Known, in_words
from orca_cool.prediction.patches import Patch, Patchwork, PlannedWindow


def dependencies_first(units: Iterable[Unit]) -> list[Unit]:
    """The units and all units that they need, each once, and each after the one that it needs."""
    out: dict[Unit, None] = {}

    def add(unit: Unit) -> None:
        if unit not in out:
            if unit.needs is not None:
                add(unit.needs)
            out[unit] = None

    for unit in units:
        add(unit)
    return list(out)


class PixelBlock:
    """A rectangle of pixels of one chromosome's predicted map.

    Parameters
    ----------
    predicted : the model and the genome.
    chrom, resolution : of the map.
    rows, columns : numbers of bins, ascending, each once.
    within : only pixels fewer bins than this from the diagonal are wanted; None: all.
    """

    def __init__(
        self,
        predicted: PredictedGenome,
        chrom: str,
        resolution: int,
        rows: np.ndarray,
        columns: np.ndarray,
        within: int | None = None,
    ):
        self.predicted, self.chrom, self.resolution = predicted, chrom, resolution
        self.rows, self.columns, self.within = rows, columns, within

    @cached_property
    def patchwork(self) -> Patchwork:
        """The plan of the chromosome's maps: which windows make which pixels."""
        return self.predicted.patchwork(self.chrom)

    @cached_property
    def patches(self) -> list[Patch]:
        return self._patches()

    def _patches(self, every: bool = False) -> list[Patch]:
        return self.patchwork.patches(
            self.resolution, self.rows, self.columns, within=self.within, every=every
        )

    @cached_property
    def all_patches(self) -> list[Patch]:
        """As ``patches``, with the coarser levels that the finer ones hide."""
        return self._patches(every=True)

    def units(self) -> Iterator[WindowUnit]:
        """The windows that the pixels are made of."""
        for patch in reversed(self.patches):
            for placed in patch.windows:
                yield self.predicted.unit(self.chrom, placed)

    def known(self, lookup: Lookup) -> Known | None:
        """How far the pixels are known; None if they are made of nothing."""
        if not any(patch.windows for patch in self.patches):
            return None
        forward_only = False
        for patches in ([self.patches], ([patch] for patch in self.all_patches)):
            for part in patches:
                found = [
                    _value(lookup, self.predicted.unit(self.chrom, placed))
                    for patch in part
                    for placed in patch.windows
                ]
                forward_only |= any(maps is not None and maps.forward_only for maps in found)
                if found and all(maps is not None for maps in found):
                    return Known(part[0].resolution, forward_only)
        return Known(0, forward_only)

    def log_ratio(self, lookup: Lookup, preview: bool = False) -> np.ndarray:
        """(rows, columns) float32 log observed/expected; NaN where nothing is predicted.

        For a preview, drafts and coarser windows stand in for windows that have no value yet.
        """

        number = self.predicted.engine.spec.map_number

        def values_of(placed: PlannedWindow) -> np.ndarray | None:
            unit = self.predicted.unit(self.chrom, placed)
            found = _value(lookup, unit) if preview else lookup(unit)
            return None if found is None else found.values[number]

        return self.patchwork.blend(self.all_patches if preview else self.patches, values_of)

    @cached_property
    def expected(self) -> np.ndarray:
        """(rows, columns) float64 expected contact frequency plus eps."""
        distances = np.abs(np.subtract.outer(self.rows, self.columns))
        expected: np.ndarray = self.predicted.level(self.resolution).cis[distances]
        return expected

    def frequency(self, lookup: Lookup, preview: bool = False) -> np.ndarray:
        """(rows, columns) float32 contact frequency; see :meth:`log_ratio`."""
        observed: np.ndarray = np.exp(self.log_ratio(lookup, preview))
        observed *= self.expected.astype(np.float32)
        return observed

    def mask(self, values: np.ndarray) -> None:
        """Set rows and columns of ``values`` to NaN, in place, whose bins are mostly gaps of the
        assembly.
        """
        rows, columns = (
            self.predicted.masked(self.chrom, self.resolution, int(bins[0]), int(bins[-1]) + 1)[
                bins - bins[0]
            ]
            for bins in (self.rows, self.columns)
        )
        values[rows], values[:, columns] = np.nan, np.nan


def _value(lookup: Lookup, unit: WindowUnit) -> WindowMaps | None:
    """What is known of a window: its value, else its draft's."""
    found: WindowMaps | None = lookup(unit)
    if found is None and unit.draft is not None:
        found = lookup(unit.draft)
    return found


class BlockPlan(TilePlan):
    """The plan of a tile whose values are made of pixel blocks, and which can be shown before all
    of them are computed.

    Attributes
    ----------
    resolution : of the tile, bp per bin.
    """

    key: tuple[Hashable, ...]
    resolution: int

    @property
    def reference(self) -> BlockPlan | None:
        """The plan of the same tile of the reference, where that looks almost the same; else
        None.
        """
        return None

    def pixel_blocks(self) -> Iterable[PixelBlock]:
        """The blocks that the tile needs."""
        raise NotImplementedError

    def values(self, lookup: Lookup, preview: bool) -> np.ndarray:
        """The tile's values. A preview is not masked, because looking for gaps takes time."""
        raise NotImplementedError

    def final_units(self) -> list[Unit]:
        """The units without their drafts."""
        return dependencies_first(unit for block in self.pixel_blocks() for unit in block.units())

    def units(self) -> list[Unit]:
        final = self.final_units()
        windows = [unit for unit in final if isinstance(unit, WindowUnit) and unit.draft]
        # level by level, so that there is soon something of all pixels
        windows.sort(key=lambda unit: -unit.resolution)
        return [*(unit.draft for unit in windows if unit.draft), *final]

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        values = self.values(lookup, False)
        return values, values.nbytes

    def _shown_reference(self, lookup: Lookup) -> BlockPlan | None:
        """The plan of the reference's tile, if all of its units have values."""
        plan = self.reference
        if plan is None or any(lookup(unit) is None for unit in plan.final_units()):
            return None
        return plan

    def preview(self, lookup: Lookup) -> np.ndarray:
        plan = self._shown_reference(lookup)
        return self.values(lookup, True) if plan is None else plan.values(lookup, False)

    def shows(self, lookup: Lookup) -> str:
        if self._shown_reference(lookup) is not None:
            return REFERENCE
        found = (block.known(lookup) for block in self.pixel_blocks())
        return in_words(self.resolution, filter(None, found))
