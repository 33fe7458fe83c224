"""What tilesets are, and what those have in common that are computed in the background."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from higlass_plugin.compute.scheduler import Goal, Look, Scheduler
from higlass_plugin.compute.units import PredictedGenome, Unit
from higlass_plugin.tiles import (
    TILE_BINS,
    VECTOR_BINS,
    Axis,
    Run,
    TileError,
    TileId,
    dense_tile,
    failed_tile,
    parse_tile_id,
    with_overview,
)
from orca_cool.prediction.patches import Patch, Patchwork

#: Seconds that a request may spend on showing what is there of tiles that are not ready.
PREVIEWS = 0.1
#: Seconds after which a blocking request gives up.
PATIENCE = 600.0

COMPUTING = "computing"


class Tileset(Protocol):
    """What every tileset is, whoever serves it (the shape that servir and higlass-python know)."""

    uid: str
    name: str
    datatype: str
    filetype: str
    coord_system: str
    description: str

    def info(self) -> dict[str, Any]:
        """The tileset_info of HiGlass."""
        ...

    def tiles(self, ids: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
        """Tiles by id; waits until they are there."""
        ...


class Computed:
    """What tilesets that are computed in the background have in common.

    Parameters
    ----------
    axis : chromosomes. native : resolutions that there are; coarser ones that the front end needs
        are empty.
    """

    filetype = "orca"
    datatype = "matrix"
    dimensions = 2
    transforms: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        scheduler: Scheduler,
        uid: str,
        name: str,
        axis: Axis,
        native: Sequence[int],
        coord_system: str,
    ):
        self.scheduler, self.uid, self.name, self.axis, self.coord_system = (
            scheduler,
            uid,
            name,
            axis,
            coord_system,
        )
        self.description = ""
        self.native = sorted(native)
        self.bins = TILE_BINS if self.dimensions == 2 else VECTOR_BINS
        self.resolutions = with_overview(self.native, self.axis.length, self.bins)[
            ::-1
        ]  # as zoom levels count them, coarsest first

    def info(self) -> dict[str, Any]:
        flat = self.dimensions == 1
        info: dict[str, Any] = {
            "name": self.name,
            "datatype": self.datatype,
            "coordSystem": self.coord_system,
            "coordSystem2": self.coord_system,
            "min_pos": [0] if flat else [1, 1],
            "max_pos": [self.axis.length] * self.dimensions,
            "chromsizes": self.axis.rows(),
            "resolutions": sorted(self.resolutions),
            "bins_per_dimension": self.bins,
        }
        if flat:
            info |= {
                "tile_size": self.bins,
                "max_zoom": len(self.resolutions) - 1,
                "shape": [self.bins, 1],
            }
        if self.transforms:
            info["transforms"] = [
                {"name": name, "value": value} for value, name in self.transforms.items()
            ]
        return info

    def tiles(self, ids: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
        asked: list[tuple[TileId, Computed]] = []
        out: dict[str, dict[str, Any]] = {}
        for text in ids:
            try:
                asked.append((parse_tile_id(text), self))
            except TileError as error:
                out[text] = failed_tile(str(error), self.dimensions)
        out |= answer(asked, None)
        return list(out.items())

    def goal(self, tile: TileId) -> Goal:
        """What a tile is made of; TileError if there is no such tile."""
        if len(tile.position) != self.dimensions:
            raise TileError(
                f"tile id {tile.text!r} has {len(tile.position)} positions; {self.name!r} has "
                f"{self.dimensions} dimensions"
            )
        if tile.zoom >= len(self.resolutions):
            raise TileError(
                f"tile id {tile.text!r}: there is no zoom level {tile.zoom}; the last is "
                f"{len(self.resolutions) - 1}"
            )
        known = {"default", *self.transforms}
        if tile.transform is not None and tile.transform not in known:
            raise TileError(
                f"tile id {tile.text!r}: transform {tile.transform!r} is not one of "
                f"{', '.join(sorted(known))}"
            )
        resolution = self.resolutions[tile.zoom]
        if max(tile.position) >= self.axis.tiles(resolution, self.bins):
            raise TileError(f"tile id {tile.text!r} lies outside the genome")
        if resolution > self.native[-1]:
            raise TileError(f"zoom in: the coarsest level has bins of {self.native[-1]:,} bp")
        return self.make(resolution, tile)

    def make(self, resolution: int, tile: TileId) -> Goal:
        raise NotImplementedError

    def render(self, tile: TileId, values: np.ndarray, error: str | None = None) -> dict[str, Any]:
        """A tile as it is sent."""
        return dense_tile(values, error=error)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Predicted(Computed):
    """What predicted tilesets have in common.

    Parameters
    ----------
    predicted : whose levels are shown, on its own axis, or with ``framed`` on that of its reference.
    """

    def __init__(
        self,
        predicted: PredictedGenome,
        scheduler: Scheduler,
        uid: str,
        name: str,
        framed: bool = False,
    ):
        shown = predicted.base if framed else predicted
        super().__init__(
            scheduler, uid, name, shown.axis, predicted.settings.resolutions, shown.assembly
        )
        self.predicted = predicted


def answer(
    asked: Sequence[tuple[TileId, Computed]], wait: float | None
) -> dict[str, dict[str, Any]]:
    """Computed tiles by id: whole, or what is known so far with the message "computing", or empty
    with what went wrong.

    Parameters
    ----------
    wait : seconds to wait for those that are not there; None: until they are.
    """
    deadline = time.monotonic() + (PATIENCE if wait is None else wait)
    out: dict[str, dict[str, Any]] = {}
    goals: list[tuple[TileId, Computed, Goal]] = []
    for tile, tileset in asked:
        try:
            goals.append((tile, tileset, tileset.goal(tile)))
        except TileError as error:
            out[tile.text] = failed_tile(str(error), tileset.dimensions)
    for scheduler in {tileset.scheduler for _, tileset, _ in goals}:
        mine = [(tile, goal) for tile, tileset, goal in goals if tileset.scheduler is scheduler]
        middle = {
            n: np.mean([t.position for t, _ in mine if len(t.position) == n], axis=0)
            for n in {len(t.position) for t, _ in mine}
        }
        jobs = scheduler.want(
            (goal, float(np.abs(np.subtract(t.position, middle[len(t.position)])).max()))
            for t, goal in mine
        )
        while (
            waiting := [job for job in jobs if not job.done.is_set()]
        ) and time.monotonic() < deadline:
            if not waiting[0].done.wait(min(1.0, max(0.0, deadline - time.monotonic()))):
                for job in waiting:
                    scheduler.is_pending(job.goal.key)  # asking keeps it wanted
    previews = time.monotonic() + PREVIEWS
    for tile, tileset, goal in goals:
        values = tileset.scheduler.results.get(goal.key)
        problem = None
        if values is None:
            problem = tileset.scheduler.error(goal.key)
            if problem is not None or time.monotonic() > previews:
                out[tile.text] = failed_tile(problem or COMPUTING, tileset.dimensions)
                continue
            problem, values = COMPUTING, goal.preview(tileset.scheduler.look)
        out[tile.text] = tileset.render(tile, values, problem)
    return out


def in_order(needed: Iterable[Unit]) -> list[Unit]:
    """Units with all that they need before them, each once."""
    out: dict[Unit, None] = {}

    def add(unit: Unit) -> None:
        if unit not in out:
            if unit.needs is not None:
                add(unit.needs)
            out[unit] = None

    for unit in needed:
        add(unit)
    return list(out)


class PixelBlock:
    """Pixels of one chromosome of a predicted: ``rows`` and ``columns`` are bins, ascending, each once."""

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
    def work(self) -> Patchwork:
        return self.predicted.patchwork(self.chrom)

    @cached_property
    def patches(self) -> list[Patch]:
        return self.work.patches(self.resolution, self.rows, self.columns, within=self.within)

    def units(self) -> Iterator[Unit]:
        for patch in reversed(self.patches):
            for placed in patch.windows:
                yield self.predicted.unit(self.chrom, placed)

    def log_ratio(self, look: Look, preview: bool = False) -> np.ndarray:
        """(rows, columns) float32 log observed/expected; NaN where there is none."""
        patches = self.patches
        if preview:
            patches = self.work.patches(
                self.resolution, self.rows, self.columns, within=self.within, every=True
            )

        def window(placed: Any) -> np.ndarray | None:
            found = look(self.predicted.unit(self.chrom, placed))
            return None if found is None else found.values

        return self.work.blend(patches, window)

    @cached_property
    def expected(self) -> np.ndarray:
        """(rows, columns) expected plus eps."""
        return self.predicted.level(self.resolution).cis[
            np.abs(np.subtract.outer(self.rows, self.columns))
        ]

    def frequency(self, look: Look, preview: bool = False) -> np.ndarray:
        """(rows, columns) float32 contact frequency."""
        y = self.log_ratio(look, preview)
        return np.exp(y) * self.expected.astype(np.float32)

    def mask(self, values: np.ndarray) -> None:
        """Set masked bins to NaN, in place."""
        rows, columns = (
            self.predicted.masked(self.chrom, self.resolution, int(bins[0]), int(bins[-1]) + 1)[
                bins - bins[0]
            ]
            for bins in (self.rows, self.columns)
        )
        values[rows], values[:, columns] = np.nan, np.nan


class Drawn:
    """A goal that is drawn of blocks, whole or with what is there of them."""

    key: tuple

    def parts(self) -> Iterable[PixelBlock]:
        """The blocks that it needs."""
        raise NotImplementedError

    def values(self, look: Look, preview: bool) -> np.ndarray:
        """Its numbers; for a preview without what must be read for them."""
        raise NotImplementedError

    def units(self) -> list[Unit]:
        return in_order(unit for block in self.parts() for unit in block.units())

    def build(self, look: Look) -> tuple[np.ndarray, int]:
        values = self.values(look, False)
        return values, values.nbytes

    def preview(self, look: Look) -> np.ndarray:
        return self.values(look, True)


def bins_of(run: Run) -> np.ndarray:
    return np.arange(run.first, run.last)


def place_of(run: Run) -> slice:
    return slice(run.at, run.at + run.last - run.first)
