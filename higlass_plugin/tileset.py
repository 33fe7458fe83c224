"""Predicted tilesets: what each tile is made of, and its numbers.

A tile of a map is the slice of the .mcool that ``orca-cool predict`` writes, laid out as clodius lays out a measured one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from higlass_plugin.scene import ProfileUnit, Scene, TransUnit, Unit
from higlass_plugin.scheduler import Scheduler
from higlass_plugin.tiles import TILE_BINS, VECTOR_BINS, Axis, Run, TileError, TileId, dense_tile, failed_tile, parse_tile_id, with_overview
from orca_cool.edits import EditedGenome
from orca_cool.evaluate.metrics import diamond, eigenvector
from orca_cool.frames import Images, bin_images
from orca_cool.patches import Patch, Patchwork

#: What a value is called: in a tile id, and in the front end's menu. The first is what no name means, as in clodius.
TRANSFORMS = {"weight": "contact frequency", "logoe": "log observed/expected", "none": "counts"}
#: Counts are contact frequencies times this, as in predicted files.
PSEUDO_DEPTH = 1e5
#: Side in bins of the diamond of the insulation track; pixels fewer bins apart than IGNORED are left out.
DIAMOND, IGNORED = 10, 2
#: Bins of a track worked on at once.
PIECE = 64
#: Seconds that a request may spend on showing what is there of tiles that are not ready.
PREVIEWS = 0.1
#: Seconds after which a blocking request gives up.
PATIENCE = 600.0

COMPUTING = "computing"

Look = Callable[[Unit], Any]


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


class Goal(Protocol):
    """What a tile is made of (see :class:`higlass_plugin.scheduler.Goal`)."""

    key: tuple

    def units(self) -> Sequence[Unit]: ...
    def build(self, look: Look) -> tuple[np.ndarray, int]: ...

    def preview(self, look: Look) -> np.ndarray:
        """What can be shown now, coarser levels where finer ones are not there yet; NaN elsewhere."""
        ...


class Computed:
    """What tilesets that are computed in the background have in common.

    Parameters
    ----------
    axis : chromosomes. native : resolutions that there are; coarser ones that the front end needs are empty.
    """

    filetype = "orca"
    datatype = "matrix"
    dimensions = 2
    transforms: ClassVar[dict[str, str]] = {}

    def __init__(self, scheduler: Scheduler, uid: str, name: str, axis: Axis, native: Sequence[int], coord_system: str):
        self.scheduler, self.uid, self.name, self.axis, self.coord_system = scheduler, uid, name, axis, coord_system
        self.description = ""
        self.native = sorted(native)
        self.bins = TILE_BINS if self.dimensions == 2 else VECTOR_BINS
        self.resolutions = with_overview(self.native, self.axis.length, self.bins)[::-1]  # as zoom levels count them, coarsest first

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
            info |= {"tile_size": self.bins, "max_zoom": len(self.resolutions) - 1, "shape": [self.bins, 1]}
        if self.transforms:
            info["transforms"] = [{"name": name, "value": value} for value, name in self.transforms.items()]
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
            raise TileError(f"tile id {tile.text!r} has {len(tile.position)} positions; {self.name!r} has {self.dimensions} dimensions")
        if tile.zoom >= len(self.resolutions):
            raise TileError(f"tile id {tile.text!r}: there is no zoom level {tile.zoom}; the last is {len(self.resolutions) - 1}")
        known = {"default", *self.transforms}
        if tile.transform is not None and tile.transform not in known:
            raise TileError(f"tile id {tile.text!r}: transform {tile.transform!r} is not one of {', '.join(sorted(known))}")
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
    scene : whose levels are shown, on its own axis, or with ``framed`` on that of its reference.
    """

    def __init__(self, scene: Scene, scheduler: Scheduler, uid: str, name: str, framed: bool = False):
        shown = scene.base if framed else scene
        super().__init__(scheduler, uid, name, shown.axis, scene.settings.resolutions, shown.assembly)
        self.scene = scene


def answer(asked: Sequence[tuple[TileId, Computed]], wait: float | None) -> dict[str, dict[str, Any]]:
    """Computed tiles by id: whole, or what is known so far with the message "computing", or empty with what went wrong.

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
        middle = {n: np.mean([t.position for t, _ in mine if len(t.position) == n], axis=0) for n in {len(t.position) for t, _ in mine}}
        jobs = scheduler.want((goal, float(np.abs(np.subtract(t.position, middle[len(t.position)])).max())) for t, goal in mine)
        while (waiting := [job for job in jobs if not job.done.is_set()]) and time.monotonic() < deadline:
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


def _in_order(needed: Iterable[Unit]) -> list[Unit]:
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


class Piece:
    """Pixels of one chromosome of a scene: ``rows`` and ``columns`` are bins, ascending, each once."""

    def __init__(self, scene: Scene, chrom: str, resolution: int, rows: np.ndarray, columns: np.ndarray, within: int | None = None):
        self.scene, self.chrom, self.resolution = scene, chrom, resolution
        self.rows, self.columns, self.within = rows, columns, within

    @cached_property
    def work(self) -> Patchwork:
        return self.scene.patchwork(self.chrom)

    @cached_property
    def patches(self) -> list[Patch]:
        return self.work.patches(self.resolution, self.rows, self.columns, within=self.within)

    def units(self) -> Iterator[Unit]:
        for patch in reversed(self.patches):
            for placed in patch.windows:
                yield self.scene.unit(self.chrom, placed)

    def log_ratio(self, look: Look, preview: bool = False) -> np.ndarray:
        """(rows, columns) float32 log observed/expected; NaN where there is none."""
        patches = self.patches
        if preview:
            patches = self.work.patches(self.resolution, self.rows, self.columns, within=self.within, every=True)

        def window(placed: Any) -> np.ndarray | None:
            found = look(self.scene.unit(self.chrom, placed))
            return None if found is None else found.values

        return self.work.blend(patches, window)

    @cached_property
    def expected(self) -> np.ndarray:
        """(rows, columns) expected plus eps."""
        return self.scene.level(self.resolution).cis[np.abs(np.subtract.outer(self.rows, self.columns))]

    def frequency(self, look: Look, preview: bool = False) -> np.ndarray:
        """(rows, columns) float32 contact frequency."""
        y = self.log_ratio(look, preview)
        return np.exp(y) * self.expected.astype(np.float32)

    def mask(self, values: np.ndarray) -> None:
        """Set masked bins to NaN, in place."""
        for bins, axis in ((self.rows, 0), (self.columns, 1)):
            masked = self.scene.masked(self.chrom, self.resolution, int(bins[0]), int(bins[-1]) + 1)[bins - bins[0]]
            if axis:
                values[:, masked] = np.nan
            else:
                values[masked] = np.nan


def _bins(run: Run) -> np.ndarray:
    return np.arange(run.first, run.last)


def _place(run: Run) -> slice:
    return slice(run.at, run.at + run.last - run.first)


#: Rows and columns of a tile, log observed/expected there, and what is expected, which broadcasts.
_Block = tuple[slice, slice, np.ndarray, Any]


class _MapGoal:
    """A tile of a map: its value is (2, 256, 256), log observed/expected and contact frequency."""

    def __init__(self, key: tuple, scene: Scene, axis: Axis, resolution: int, x: int, y: int):
        self.key, self.scene, self.resolution = key, scene, resolution
        columns, rows = (axis.runs(resolution, t, TILE_BINS) for t in (x, y))
        number = {chrom: k for k, chrom in enumerate(axis.chromsizes)}
        # in the order of a cooler's pixels: what comes later hides what shares its pixel, as in clodius
        self.blocks = sorted(((a, b) for a in rows for b in columns), key=lambda ab: sorted(number[run.chrom] for run in ab))
        self.pieces = {(a, b): Piece(scene, a.chrom, resolution, _bins(a), _bins(b)) for a, b in self.blocks if a.chrom == b.chrom}
        self.trans = {(a, b): list(self._trans(a, b)) for a, b in self.blocks if a.chrom != b.chrom}

    def _trans(self, a: Run, b: Run) -> Iterator[tuple[TransUnit, bool]]:
        """Units that hold contacts between two chromosomes, and whether the first's bins are columns."""
        if self.resolution == max(self.scene.chain.resolutions):
            for turned, pair in ((False, (a, b)), (True, (b, a))):
                for unit in self.scene.trans_pairs.get((pair[0].chrom, pair[1].chrom), []):
                    if all(
                        run.first * self.resolution < s.end and s.start < run.last * self.resolution
                        for run, s in zip(pair, (unit.first, unit.second))
                    ):
                        yield unit, turned

    def units(self) -> list[Unit]:
        cis = [unit for piece in self.pieces.values() for unit in piece.units()]
        return _in_order([*cis, *(unit for units in self.trans.values() for unit, _ in units)])

    def build(self, look: Look) -> tuple[np.ndarray, int]:
        values = self._values(look, False)
        return values, values.nbytes

    def preview(self, look: Look) -> np.ndarray:
        return self._values(look, True)

    def _values(self, look: Look, preview: bool) -> np.ndarray:
        out = np.full((2, TILE_BINS, TILE_BINS), np.nan, np.float32)
        for a, b in self.blocks:
            for block in self._cis(a, b, look, preview) if a.chrom == b.chrom else self._between(a, b, look):
                i, j, y, expected = block
                known = np.isfinite(y)
                out[0, i, j][known] = y[known]
                out[1, i, j][known] = (np.exp(y) * expected)[known]
        return out

    def _cis(self, a: Run, b: Run, look: Look, preview: bool) -> Iterator[_Block]:
        piece = self.pieces[a, b]
        y = piece.log_ratio(look, preview)
        piece.mask(y)
        yield _place(a), _place(b), y, piece.expected.astype(np.float32)

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
            places.append((slice(low - begin, high - begin), slice(run.at + low - run.first, run.at + high - run.first), low, high))
        (from_a, to_a, *bins_a), (from_b, to_b, *bins_b) = places
        y = values[from_a, from_b].copy()
        y[self.scene.masked(a.chrom, self.resolution, *bins_a)] = np.nan
        y[:, self.scene.masked(b.chrom, self.resolution, *bins_b)] = np.nan
        return to_a, to_b, y, np.float32(self.scene.level(self.resolution).trans)


class MapTileset(Predicted):
    """A predicted map."""

    transforms = TRANSFORMS

    def make(self, resolution: int, tile: TileId) -> Goal:
        return _MapGoal((self.uid, resolution, tile.position), self.scene, self.axis, resolution, *tile.position)

    def render(self, tile: TileId, values: np.ndarray, error: str | None = None) -> dict[str, Any]:
        shown = values[0] if tile.transform == "logoe" else values[1]
        return dense_tile(shown * np.float32(PSEUDO_DEPTH) if tile.transform == "none" else shown, error=error)


@dataclass(frozen=True)
class _Copies:
    """Bins along an axis of a reference's tile that have their k-th image on one contig: ``at`` in the tile, ``bins`` there."""

    contig: str
    at: np.ndarray
    bins: np.ndarray


class _FrameGoal:
    """A tile of an edited genome's map at the coordinates of its reference: as :mod:`orca_cool.frames` makes the file."""

    def __init__(self, key: tuple, tileset: FrameTileset, resolution: int, x: int, y: int):
        self.key, self.resolution = key, resolution
        self.scene, self.base = tileset.scene, tileset.scene.base
        self.pieces: list[tuple[Run, Run, np.ndarray, np.ndarray, Piece]] = []
        columns, rows = (tileset.axis.runs(resolution, t, TILE_BINS) for t in (x, y))
        self.blocks = [(a, b) for a in rows for b in columns if a.chrom == b.chrom]
        for a, b in self.blocks:
            for one in tileset.copies(a, resolution):
                for two in tileset.copies(b, resolution):
                    if one.contig == two.contig:
                        i, at_i = np.unique(one.bins, return_inverse=True)
                        j, at_j = np.unique(two.bins, return_inverse=True)
                        piece = Piece(self.scene, one.contig, resolution, i, j)
                        self.pieces.append((a, b, np.stack([one.at, at_i]), np.stack([two.at, at_j]), piece))

    def units(self) -> list[Unit]:
        return _in_order(unit for *_, piece in self.pieces for unit in piece.units())

    def build(self, look: Look) -> tuple[np.ndarray, int]:
        values = self.values(look, False)
        return values, values.nbytes

    def preview(self, look: Look) -> np.ndarray:
        return self.values(look, True)

    def values(self, look: Look, preview: bool) -> np.ndarray:
        total = np.zeros((TILE_BINS, TILE_BINS))
        number = np.zeros((TILE_BINS, TILE_BINS), np.int32)
        for _, _, (rows, at_rows), (columns, at_columns), piece in self.pieces:
            f = piece.frequency(look, preview)
            piece.mask(f)
            f = f[np.ix_(at_rows, at_columns)]
            known = np.isfinite(f)
            cells = np.ix_(rows, columns)
            total[cells] += np.where(known, f, 0)
            number[cells] += known
        mean = np.full(total.shape, np.nan, np.float32)
        np.divide(total, number, out=mean, where=number > 0, casting="same_kind")
        out = np.full((2, TILE_BINS, TILE_BINS), np.nan, np.float32)
        for a, b in self.blocks:
            i, j = _place(a), _place(b)
            reference = Piece(self.base, a.chrom, self.resolution, _bins(a), _bins(b))
            f = mean[i, j].copy()
            reference.mask(f)
            with np.errstate(divide="ignore"):
                y = np.log(f / reference.expected.astype(np.float32))
            far = np.abs(np.subtract.outer(reference.rows, reference.columns)) >= reference.work.written[self.resolution]
            known = np.isfinite(y) & ~far
            out[0, i, j][known], out[1, i, j][known] = y[known], f[known]
        return out


class FrameTileset(MapTileset):
    """The map of an edited genome at the coordinates of its reference; NaN where sequence is deleted."""

    def __init__(self, scene: Scene, scheduler: Scheduler, uid: str, name: str):
        super().__init__(scene, scheduler, uid, name, framed=True)
        self._images: dict[tuple[str, int], Images] = {}

    def make(self, resolution: int, tile: TileId) -> Goal:
        return _FrameGoal((self.uid, resolution, tile.position), self, resolution, *tile.position)

    def copies(self, run: Run, resolution: int) -> Iterator[_Copies]:
        """Where the bins of a run are in the edited genome, in the order of their images."""
        genome = self.scene.genome
        assert isinstance(genome, EditedGenome)
        key = run.chrom, resolution
        if key not in self._images:
            self._images[key] = bin_images(genome, [run.chrom], [resolution])[resolution][run.chrom]
        images = self._images[key]
        offsets, names = self._numbers(resolution)
        number = images.copies[run.first : run.last]
        for k in range(int(number.max(initial=0))):
            at = np.flatnonzero(number > k)
            places = images.places[images.first[run.first + at] + k]
            contig = np.searchsorted(offsets, places, side="right") - 1
            for c in np.unique(contig):
                here = contig == c
                yield _Copies(names[c], run.at + at[here], places[here] - offsets[c])

    def _numbers(self, resolution: int) -> tuple[np.ndarray, list[str]]:
        """First bin of each contig, as a cooler counts them, and the contigs' names."""
        sizes = self.scene.axis.chromsizes
        bins = [-(-n // resolution) for n in sizes.values()]
        return np.cumsum([0, *bins[:-1]]), list(sizes)


class _DifferenceGoal:
    """A tile of ln(alternative / reference)."""

    def __init__(self, key: tuple, frame: Goal, reference: Goal):
        self.key, self.frame, self.reference = key, frame, reference

    def units(self) -> list[Unit]:
        return _in_order([*self.frame.units(), *self.reference.units()])

    def build(self, look: Look) -> tuple[np.ndarray, int]:
        values = np.log(self.frame.build(look)[0][1] / self.reference.build(look)[0][1])
        return values, values.nbytes

    def preview(self, look: Look) -> np.ndarray:
        return np.full((TILE_BINS, TILE_BINS), np.nan, np.float32)  # of coarser and finer levels it would be no difference of genomes


class DifferenceTileset(Predicted):
    """ln of the contact frequency of an edited genome over that of its reference, at the reference's coordinates."""

    def __init__(self, scene: Scene, scheduler: Scheduler, uid: str, name: str):
        super().__init__(scene, scheduler, uid, name, framed=True)
        self.frame = FrameTileset(scene, scheduler, uid, name)
        self.reference = MapTileset(scene.base, scheduler, uid, name)

    def make(self, resolution: int, tile: TileId) -> Goal:
        key = self.uid, resolution, tile.position
        return _DifferenceGoal(key, self.frame.make(resolution, tile), self.reference.make(resolution, tile))


class _Vector(Predicted):
    datatype = "vector"
    dimensions = 1


class _InsulationGoal:
    def __init__(self, key: tuple, tileset: Predicted, resolution: int, x: int):
        self.key, self.resolution = key, resolution
        self.pieces: list[tuple[slice, slice, Piece]] = []
        for run in tileset.axis.runs(resolution, x, VECTOR_BINS):
            bins = -(-tileset.axis.chromsizes[run.chrom] // resolution)
            for a in range(run.first, run.last, PIECE):
                b = min(a + PIECE, run.last)
                around = np.arange(max(0, a - DIAMOND), min(bins, b + DIAMOND))
                own = slice(a - around[0], b - around[0])
                at = run.at + a - run.first
                self.pieces.append((slice(at, at + b - a), own, Piece(tileset.scene, run.chrom, resolution, around, around, 2 * DIAMOND)))

    def units(self) -> list[Unit]:
        return _in_order(unit for *_, piece in self.pieces for unit in piece.units())

    def build(self, look: Look) -> tuple[np.ndarray, int]:
        values = self._values(look, False)
        return values, values.nbytes

    def preview(self, look: Look) -> np.ndarray:
        return self._values(look, True)

    def _values(self, look: Look, preview: bool) -> np.ndarray:
        out = np.full(VECTOR_BINS, np.nan, np.float32)
        side = np.arange(DIAMOND)
        apart = np.add.outer(side, side)
        for at, own, piece in self.pieces:
            f = piece.frequency(look, preview).astype(float)
            piece.mask(f)
            mean, _ = diamond(f, DIAMOND, IGNORED)
            expected = piece.scene.level(self.resolution).cis[apart[apart >= IGNORED]].mean()
            with np.errstate(divide="ignore"):
                out[at] = np.log2(mean / expected)[own]
        return out


class InsulationTileset(_Vector):
    """Insulation: log2 of the mean contact frequency in a diamond of 10 bins, over what is expected there.

    cooltools' score of the same window on the predicted file is this less a constant: it divides by the chromosome's median instead.
    """

    def make(self, resolution: int, tile: TileId) -> Goal:
        return _InsulationGoal((self.uid, resolution, tile.position), self, resolution, *tile.position)


class _CompartmentGoal:
    def __init__(self, key: tuple, tileset: Predicted, resolution: int, x: int):
        self.key, self.resolution, self.scene = key, resolution, tileset.scene
        self.runs = tileset.axis.runs(resolution, x, VECTOR_BINS)
        self.pieces: dict[str, Piece] = {}
        for run in self.runs:
            level = compartment_level(tileset.scene, run.chrom)
            if level is not None:
                bins = np.arange(-(-tileset.axis.chromsizes[run.chrom] // level))
                self.pieces[run.chrom] = Piece(tileset.scene, run.chrom, level, bins, bins)

    def units(self) -> list[Unit]:
        known = self.scene.compartments
        return _in_order(unit for chrom, piece in self.pieces.items() if chrom not in known for unit in piece.units())

    def build(self, look: Look) -> tuple[np.ndarray, int]:
        for chrom, piece in self.pieces.items():
            if chrom not in self.scene.compartments:
                y = piece.log_ratio(look)
                piece.mask(y)
                self.scene.compartments[chrom] = _first_eigenvector(y, self.scene.gc(chrom, piece.resolution))
        values = self.preview(look)
        return values, values.nbytes

    def preview(self, look: Look) -> np.ndarray:
        out = np.full(VECTOR_BINS, np.nan, np.float32)
        for run in self.runs:
            known = self.scene.compartments.get(run.chrom)
            if known is not None:
                level = self.pieces[run.chrom].resolution
                out[_place(run)] = known[np.minimum(_bins(run) * self.resolution // level, len(known) - 1)]
        return out


def compartment_level(scene: Scene, chrom: str) -> int | None:
    """The finest resolution of which one window covers the chromosome: E1 of anything less would change from window to window."""
    fit = [r for r in scene.settings.resolutions if r * scene.predictor.spec.bins >= scene.axis.chromsizes[chrom]]
    return min(fit, default=None)


def _first_eigenvector(y: np.ndarray, gc: np.ndarray) -> np.ndarray:
    """E1 of a chromosome, of mean square 1, positive where there is more G and C; NaN in masked bins."""
    out = np.full(len(y), np.nan)
    keep = np.isfinite(y).any(axis=1)
    if keep.sum() > 2:
        e1 = eigenvector(y[np.ix_(keep, keep)])
        content = np.nan_to_num(gc[keep] - np.nanmean(gc[keep]))
        out[keep] = e1 * np.sqrt(len(e1)) * (-1 if e1 @ content < 0 else 1)
    return out


class CompartmentTileset(_Vector):
    """First eigenvector (E1) of each chromosome's log observed/expected, at the finest level of which one window covers it."""

    def make(self, resolution: int, tile: TileId) -> Goal:
        return _CompartmentGoal((self.uid, resolution, tile.position), self, resolution, *tile.position)


class _ProfileGoal:
    def __init__(self, key: tuple, tileset: ProfileTileset, resolution: int, x: int):
        self.key, self.row = key, tileset.row
        scene = tileset.scene
        self.factor = resolution // scene.predictor.spec.base_bin
        self.size = scene.predictor.encodings.size
        self.parts: list[tuple[Run, list[ProfileUnit]]] = []
        for run in tileset.axis.runs(resolution, x, VECTOR_BINS):
            last = min(run.last * self.factor, -(-tileset.axis.chromsizes[run.chrom] // scene.predictor.spec.base_bin))
            blocks = range(run.first * self.factor // self.size, (last - 1) // self.size + 1)
            self.parts.append((run, [ProfileUnit(scene, run.chrom, k) for k in blocks]))

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
            length = -(-units[0].scene.axis.chromsizes[run.chrom] // units[0].scene.predictor.spec.base_bin)
            base[length - units[0].block * self.size :] = np.nan  # beyond the chromosome
            padded = np.full((run.last - run.first) * self.factor, np.nan)
            part = base[begin : begin + len(padded)]
            padded[: len(part)] = part
            bins = padded.reshape(-1, self.factor)
            known = np.isfinite(bins)
            total, number = np.where(known, bins, 0).sum(axis=1), known.sum(axis=1)
            out[_place(run)] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        return out


class ProfileTileset(_Vector):
    """Probabilities of one chromatin profile, from the model's profile head; coarser bins are means."""

    def __init__(self, scene: Scene, scheduler: Scheduler, uid: str, name: str, profile: str):
        super().__init__(scene, scheduler, uid, name)
        self.row = scene.predictor.spec.profiles.index(profile)

    def make(self, resolution: int, tile: TileId) -> Goal:
        return _ProfileGoal((self.uid, resolution, tile.position), self, resolution, *tile.position)
