"""Rectangles of predicted pixels, of which maps and tracks are made."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from functools import cached_property

import numpy as np

from higlass_plugin.compute.scheduler import Lookup
from higlass_plugin.compute.units import PredictedGenome, Unit
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

    def units(self) -> Iterator[Unit]:
        """The windows that the pixels are made of."""
        for patch in reversed(self.patches):
            for placed in patch.windows:
                yield self.predicted.unit(self.chrom, placed)

    def log_ratio(self, lookup: Lookup, preview: bool = False) -> np.ndarray:
        """(rows, columns) float32 log observed/expected; NaN where nothing is predicted.

        For a preview, coarser windows stand in for those that have no value yet.
        """

        number = self.predicted.engine.spec.map_number

        def values_of(placed: PlannedWindow) -> np.ndarray | None:
            found = lookup(self.predicted.unit(self.chrom, placed))
            return None if found is None else found.values[number]

        patches = self._patches(every=True) if preview else self.patches
        return self.patchwork.blend(patches, values_of)

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


class BlockPlan:
    """The plan of a tile whose values are made of pixel blocks, and which can be shown before all
    of them are computed.
    """

    key: tuple[Hashable, ...]

    def pixel_blocks(self) -> Iterable[PixelBlock]:
        """The blocks that the tile needs."""
        raise NotImplementedError

    def values(self, lookup: Lookup, preview: bool) -> np.ndarray:
        """The tile's values. A preview is not masked, because looking for gaps takes time."""
        raise NotImplementedError

    def units(self) -> list[Unit]:
        return dependencies_first(unit for block in self.pixel_blocks() for unit in block.units())

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        values = self.values(lookup, False)
        return values, values.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        return self.values(lookup, True)
