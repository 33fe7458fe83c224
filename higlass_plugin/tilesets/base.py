"""What a tileset is, and the tilesets whose tiles are computed in the background."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol

import numpy as np

from higlass_plugin.compute.jobs import Job, TilePlan
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.shares import NOBODY, Client
from higlass_plugin.tiles import (
    TILE_BINS,
    VECTOR_BINS,
    Axis,
    JsonObject,
    TileError,
    TileId,
    dense_tile,
    failed_tile,
    parse_tile_id,
    with_overview,
)
from higlass_plugin.tilesets.previews import FINAL

#: Seconds of a request that may be spent on previews of tiles that are not ready.
PREVIEW_SECONDS = 0.1
#: Seconds after which a request that waits for its tiles gives up.
MAX_WAIT = 600.0

#: The message of a tile that is not ready: the front end shows it, and our page asks again.
COMPUTING = "computing"


class Tileset(Protocol):
    """What every tileset offers, predicted or read from a file (servir and higlass-python expect
    the same).

    Attributes
    ----------
    uid : identifies it on its server. name : shown over its track.
    datatype, filetype, coord_system : in HiGlass's words, such as "matrix", "cooler", "hg38".
    description : what the list of tilesets says of it.
    """

    uid: str
    name: str
    datatype: str
    filetype: str
    coord_system: str
    description: str

    def info(self) -> JsonObject:
        """HiGlass's tileset_info."""
        ...

    def tiles(self, ids: Sequence[str]) -> list[tuple[str, JsonObject]]:
        """[(id, tile)] for every id; waits until the tiles are ready."""
        ...


class ComputedTileset:
    """A tileset whose tiles are computed in the background by a scheduler.

    Parameters
    ----------
    scheduler : computes the tiles.
    uid, name, coord_system : see :class:`Tileset`.
    axis : the chromosomes.
    native : bp per bin of the levels that can be computed. The front end may need coarser levels to
        show the whole genome; their tiles are empty.
    """

    filetype = "orca"
    datatype = "matrix"
    dimensions = 2
    #: What tile ids may name behind the position, and what the front end's menu calls it.
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
        self.scheduler, self.uid, self.name = scheduler, uid, name
        self.axis, self.coord_system = axis, coord_system
        self.description = ""
        self.native = sorted(native)
        self.bins = TILE_BINS if self.dimensions == 2 else VECTOR_BINS
        # by zoom level: the coarsest first
        self.resolutions = with_overview(self.native, self.axis.length, self.bins)[::-1]

    def info(self) -> JsonObject:
        """HiGlass's tileset_info."""
        flat = self.dimensions == 1
        info: JsonObject = {
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

    def tiles(self, ids: Sequence[str]) -> list[tuple[str, JsonObject]]:
        """[(id, tile)] for every id; waits until the tiles are ready."""
        requests: list[tuple[TileId, ComputedTileset]] = []
        out: dict[str, JsonObject] = {}
        for text in ids:
            try:
                requests.append((parse_tile_id(text), self))
            except TileError as error:
                out[text] = failed_tile(str(error), self.dimensions)
        out |= compute_tiles(requests, None)
        return list(out.items())

    def plan(self, tile: TileId) -> TilePlan:
        """The plan of a tile; TileError if the tileset has no such tile."""
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
        return self.plan_at(resolution, tile)

    def plan_at(self, resolution: int, tile: TileId) -> TilePlan:
        """The plan of a tile that exists; ``resolution`` is the bp per bin of its zoom level."""
        raise NotImplementedError

    def progress(self, plan: TilePlan) -> str | None:
        """None if a planned tile is ready, "computing" if it is not, else why it failed."""
        key = plan.key
        if key in self.scheduler.results:
            return None
        message = self.scheduler.error(key)
        if message is None and self.scheduler.is_pending(key):
            return COMPUTING
        # without a message the job was dropped meanwhile: "ready" makes the page ask again
        return message

    def shows(self, plan: TilePlan) -> str:
        """What is shown of a tile that is being computed, in words (:mod:`.previews`); "" if it is
        nothing, or if nobody computes the tile.
        """
        asked = self.scheduler.plan_of(plan.key)
        return "" if asked is None else asked.shows(self.scheduler.lookup)

    def render(self, tile: TileId, values: np.ndarray, error: str | None = None) -> JsonObject:
        """The tile as it is sent, of the values that its plan has built."""
        return dense_tile(values, error=error)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class ModelTileset(ComputedTileset):
    """A tileset of a model's predictions of a genome.

    Parameters
    ----------
    predicted : the model and the genome; its levels are shown.
    lifted : show an edited genome at the coordinates of its reference, not in its own.

    Attributes
    ----------
    shown : the genome whose coordinates are shown.
    """

    def __init__(
        self,
        predicted: PredictedGenome,
        scheduler: Scheduler,
        uid: str,
        name: str,
        lifted: bool = False,
    ):
        shown = predicted.base if lifted else predicted
        super().__init__(
            scheduler, uid, name, shown.axis, predicted.settings.resolutions, shown.assembly
        )
        self.predicted, self.shown = predicted, shown

    def info(self) -> JsonObject:
        """HiGlass's tileset_info. A map also tells how far there are contacts, for whoever asks why
        there are none: ``reach``, the distance in bp from which on nothing is predicted, by
        chromosome, and ``between``, bp per bin of the level that has contacts between chromosomes,
        None if none has.
        """
        if self.dimensions == 1:
            return super().info()
        between = self.shown.between if self.shown is self.predicted else None
        return super().info() | {"reach": self.shown.reach, "between": between}


def compute_tiles(
    requests: Iterable[tuple[TileId, ComputedTileset]], wait: float | None, client: Client = NOBODY
) -> dict[str, JsonObject]:
    """Compute tiles of any tilesets.

    Parameters
    ----------
    requests : ids and their tilesets.
    wait : seconds to wait for tiles that are not ready; None: until they are, MAX_WAIT at most.
    client : who asks; see :meth:`~higlass_plugin.compute.scheduler.Scheduler.want`.

    Returns
    -------
    Tiles by id. "shows" says in words what a tile shows (:mod:`.previews`), "final" if it is ready.
    One that is not has the message "computing" and the values that are known so far; one that
    failed is empty and its message says why.
    """
    deadline = time.monotonic() + (MAX_WAIT if wait is None else wait)
    out: dict[str, JsonObject] = {}
    plans: list[tuple[TileId, ComputedTileset, TilePlan]] = []
    for tile, tileset in requests:
        try:
            plans.append((tile, tileset, tileset.plan(tile)))
        except TileError as error:
            out[tile.text] = failed_tile(str(error), tileset.dimensions)
    for scheduler in {tileset.scheduler for _, tileset, _ in plans}:
        own = [(tile, plan) for tile, tileset, plan in plans if tileset.scheduler is scheduler]
        _wait(scheduler, scheduler.want(_with_distances(own), client), deadline)
    end_of_previews = time.monotonic() + PREVIEW_SECONDS
    for tile, tileset, plan in plans:
        values = tileset.scheduler.results.get(plan.key)
        message, shows = None, FINAL
        if values is None:
            message = tileset.scheduler.error(plan.key)
            if message is not None or time.monotonic() > end_of_previews:
                out[tile.text] = failed_tile(message or COMPUTING, tileset.dimensions)
                if message is None:  # there was no time to look
                    out[tile.text]["shows"] = ""
                continue
            # said first: what becomes known meanwhile makes the picture better than its name
            lookup = tileset.scheduler.lookup
            shows = plan.shows(lookup)
            message, values = COMPUTING, plan.preview(lookup)
        out[tile.text] = tileset.render(tile, values, message) | {"shows": shows}
    return out


def _with_distances(plans: Sequence[tuple[TileId, TilePlan]]) -> list[tuple[TilePlan, float]]:
    """The plans, each with its distance in tiles from the middle of those asked for together."""
    middle = {
        n: np.mean([tile.position for tile, _ in plans if len(tile.position) == n], axis=0)
        for n in {len(tile.position) for tile, _ in plans}
    }
    return [
        (plan, float(np.abs(np.subtract(tile.position, middle[len(tile.position)])).max()))
        for tile, plan in plans
    ]


def _wait(scheduler: Scheduler, jobs: Sequence[Job], deadline: float) -> None:
    """Wait until jobs are done, or for the deadline; meanwhile they stay wanted."""
    while (
        waiting := [job for job in jobs if not job.done.is_set()]
    ) and time.monotonic() < deadline:
        waiting[0].done.wait(min(1.0, max(0.0, deadline - time.monotonic())))
        # also where a job was done: many that each take less than a second must not let the last
        # ones be forgotten
        for job in waiting:
            scheduler.is_pending(job.plan.key)  # asking keeps it wanted
