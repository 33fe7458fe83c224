"""The mosaic's pixels on demand: any rows and columns of a chromosome, from the windows that they
need and no others.

:mod:`orca_cool.prediction.mosaic` makes whole maps, row by row. Here are the same pixels for a tile
or a patch of one: same plan, weights, fill and order of additions, hence the same bits. No I/O, no
torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from orca_cool.genome.regions import n_bins
from orca_cool.prediction.levels import LevelAssignment
from orca_cool.prediction.mosaic import ramp_weights
from orca_cool.prediction.windows import Window, plan


@dataclass(frozen=True)
class PlannedWindow:
    """A window of a chromosome's plan.

    Attributes
    ----------
    module : name of the module that predicts it.
    parent : the window one level up in which it lies; None at the top.
    """

    module: str
    window: Window
    parent: PlannedWindow | None = field(repr=False)

    def path(self) -> list[PlannedWindow]:
        """The windows above it, from the top, and itself."""
        return [*(self.parent.path() if self.parent else []), self]


@dataclass(frozen=True)
class Patch:
    """What one level contributes to the pixels that were asked for.

    Attributes
    ----------
    rows, columns : bins of the level, ascending, each once.
    windows : those that hold one of these pixels, by start.
    """

    resolution: int
    rows: np.ndarray
    columns: np.ndarray
    windows: list[PlannedWindow]


#: Looks up a window's map, (bins, bins) float32, symmetric; None if it is not there yet.
Look = Callable[[PlannedWindow], np.ndarray | None]


def symmetric(values: np.ndarray) -> np.ndarray:
    """A window's map as the mosaic reads it: its upper triangle, on both sides."""
    upper = np.triu(values)
    return upper + np.triu(values, 1).T


class Patchwork:
    """The maps of one chromosome at all levels.

    Parameters
    ----------
    bins : a window's.
    assignment : which module predicts which level.
    length : of the chromosome, bp.
    held, written : by resolution, distances in bins that the mosaic holds, and that are shown
        (:func:`orca_cool.prediction.levels.bands`).
    centred : see :func:`orca_cool.prediction.windows.centred_on`.
    """

    def __init__(
        self,
        bins: int,
        assignment: LevelAssignment,
        length: int,
        held: dict[int, int],
        written: dict[int, int],
        centred: int | None = None,
    ):
        self.bins, self.assignment, self.length = bins, assignment, length
        self.centred = centred
        self.held, self.written = held, written
        self._weights: dict[tuple[int, bool, bool], np.ndarray] = {}

    @cached_property
    def windows(self) -> dict[int, list[PlannedWindow]]:
        """The windows of each level by start."""
        out: dict[int, list[PlannedWindow]] = {}
        for module in self.assignment.modules:
            own = self.assignment.resolutions_of(module)
            if not own:
                continue
            above: dict[tuple[int, int], PlannedWindow] = {}
            centred, laid = self.centred, module.multi_chromosome
            down_to = [r for r in module.resolutions if r >= min(own)]
            for level in plan(self.length, down_to, self.bins, centred=centred, laid=laid):
                placed = [
                    PlannedWindow(
                        module.name, w, None if w.parent is None else above[w.parent, w.root]
                    )
                    for w in level
                ]
                above = {(p.window.start, p.window.root): p for p in placed}
                if level[0].resolution in own:
                    out[level[0].resolution] = placed
        return out

    @cached_property
    def _starts(self) -> dict[int, np.ndarray]:
        return {r: np.array([p.window.start for p in level]) for r, level in self.windows.items()}

    def patches(
        self,
        resolution: int,
        rows: np.ndarray,
        columns: np.ndarray,
        *,
        within: int | None = None,
        every: bool = False,
    ) -> list[Patch]:
        """The windows that pixels are made of, finest level first.

        Parameters
        ----------
        rows, columns : (n,), (m,) bins of the chromosome, ascending, each once.
        within : only pairs fewer bins apart than this are wanted; None: all.
        every : list the coarser levels that the finer ones hide as well: they can be shown while
            the finer ones are not there yet.
        """
        farthest = (
            self.written[resolution] if within is None else min(within, self.written[resolution])
        )
        wanted = np.abs(np.subtract.outer(rows, columns)) < farthest
        out: list[Patch] = []
        levels = [r for r in sorted(self.assignment.resolutions) if r >= resolution]
        for r, coarser in zip(levels, [*levels[1:], None]):
            weight = np.zeros(wanted.shape, np.float32)
            used = []
            for placed, i, j in self._over(r, rows, columns):
                if wanted[i, j].any():
                    used.append(placed)
                    weight[i, j] += self._weight(placed, rows[i], columns[j])
            out.append(Patch(r, rows, columns, used))
            if coarser is None:
                break
            below = wanted if every else wanted & (weight < 1)
            if not below.any():
                break
            f = coarser // r
            rows, at_rows = np.unique(rows // f, return_inverse=True)
            columns, at_columns = np.unique(columns // f, return_inverse=True)
            fine = np.nonzero(below)
            wanted = np.zeros((len(rows), len(columns)), bool)
            wanted[at_rows[fine[0]], at_columns[fine[1]]] = True
            wanted &= np.abs(np.subtract.outer(rows, columns)) < self.held[coarser]
        return out

    def blend(self, patches: Sequence[Patch], look: Look) -> np.ndarray:
        """(n, m) float32 log observed/expected of the pixels that ``patches`` were made for; NaN
        where nothing predicts.

        Where a window is not there yet the coarser levels show, as far as they are there.
        """
        coarse: tuple[Patch, np.ndarray] | None = None
        for patch in reversed(patches):
            coarse = patch, self._level(patch, look, coarse)
        assert coarse is not None
        finest, values = coarse
        values[
            np.abs(np.subtract.outer(finest.rows, finest.columns))
            >= self.written[finest.resolution]
        ] = np.nan
        return values

    def _level(
        self, patch: Patch, look: Look, coarser: tuple[Patch, np.ndarray] | None
    ) -> np.ndarray:
        """One level's pixels, filled from the coarser one: what :meth:`LevelMosaic.close` does."""
        rows, columns, r = patch.rows, patch.columns, patch.resolution
        value = np.zeros((len(rows), len(columns)), np.float32)
        weight = np.zeros_like(value)
        used = {id(p) for p in patch.windows}
        for placed, i, j in self._over(r, rows, columns):
            y = look(placed) if id(placed) in used else None
            if y is None:
                continue
            w = self._weight(placed, rows[i], columns[j])
            value[i, j] += (
                w * y[_at(rows[i] - placed.window.start, columns[j] - placed.window.start)]
            )
            weight[i, j] += w
        distance = np.abs(np.subtract.outer(rows, columns))
        if coarser is not None:
            rest = np.maximum(np.float32(0), 1 - weight)
            above, up = coarser
            f = above.resolution // r
            up = up[
                np.ix_(
                    np.searchsorted(above.rows, rows // f),
                    np.searchsorted(above.columns, columns // f),
                )
            ]
            known = np.isfinite(up) & (
                np.abs(np.subtract.outer(rows // f, columns // f)) < self.held[above.resolution]
            )
            rest = np.where(known, rest, np.float32(0))
            value += rest * np.where(known, up, np.float32(0))
            weight += rest
        empty = (weight <= 0) | (distance >= self.held[r])
        weight[empty] = 1.0
        value /= weight
        value[empty] = np.nan
        return value

    def _over(
        self, resolution: int, rows: np.ndarray, columns: np.ndarray
    ) -> Iterator[tuple[PlannedWindow, slice, slice]]:
        """Windows that share a pixel with the patch, and its rows and columns in them."""
        if not (len(rows) and len(columns)):
            return
        starts = self._starts[resolution]
        low, high = max(rows[0], columns[0]), min(rows[-1], columns[-1])
        first, last = (
            np.searchsorted(starts, low - self.bins, side="right"),
            np.searchsorted(starts, high, side="right"),
        )
        # as files add them: one root's windows after the other's
        near = self.windows[resolution][first:last]
        for placed in sorted(near, key=lambda p: (p.window.root, p.window.start)):
            a, b = placed.window.start, placed.window.start + self.bins
            i = slice(*np.searchsorted(rows, [a, b]))
            j = slice(*np.searchsorted(columns, [a, b]))
            if i.start < i.stop and j.start < j.stop:
                yield placed, i, j

    def _weight(self, placed: PlannedWindow, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(n, m) weights of a window's pixels at bins of the chromosome."""
        start = placed.window.start
        edges = (start <= 0, start + self.bins >= n_bins(self.length, placed.window.resolution))
        key = placed.window.resolution, *edges
        if key not in self._weights:
            by_distance = ramp_weights(self.bins, *edges)
            weights = np.zeros((self.bins, self.bins), np.float32)
            for d in range(min(self.bins, self.held[placed.window.resolution])):
                k = np.arange(self.bins - d)
                weights[k, k + d] = weights[k + d, k] = by_distance[: self.bins - d, d]
            self._weights[key] = weights
        return self._weights[key][_at(rows - start, columns - start)]


def _at(rows: np.ndarray, columns: np.ndarray) -> tuple:
    """An index of all pairs; slices, which cost no copy, where bins follow each other."""
    if rows[-1] - rows[0] == len(rows) - 1 and columns[-1] - columns[0] == len(columns) - 1:
        return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return np.ix_(rows, columns)
