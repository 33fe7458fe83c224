"""Log observed/expected of a measured map, tile by tile, for the half of the view that lies across
the prediction's.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.tiles import TILE_BINS, Axis, TileError, TileId
from higlass_plugin.tilesets.base import Computed, Tileset
from orca_cool.errors import OrcaCoolError
from orca_cool.files import atomic_path
from orca_cool.maps.open import measured_expected, open_map


@dataclass(frozen=True)
class ExpectedUnit:
    """Expected contact frequency by distance in bins of one resolution, (n,) float64, by cooltools
    (smoothed, all chromosomes together).
    """

    path: Path
    resolution: int
    folder: Path | None

    needs = None

    @property
    def kind(self) -> Hashable:
        return self

    def compute(
        self, others: Sequence[ExpectedUnit], above: Sequence[None]
    ) -> list[tuple[np.ndarray, int]]:
        kept = None
        if self.folder is not None:
            file = self.path.stat()
            key = repr((str(self.path.resolve()), file.st_mtime_ns, file.st_size, self.resolution))
            kept = self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
        if kept is not None and kept.is_file():
            values = np.load(kept, allow_pickle=False)
        else:
            values = measured_expected(open_map(self.path).cooler(self.resolution))
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(kept) as temporary, open(temporary, "wb") as stream:
                    np.save(stream, values, allow_pickle=False)
        return [(values, values.nbytes)]


class _RatioGoal:
    def __init__(self, key: tuple, tileset: RatioTileset, resolution: int, tile: TileId):
        self.key, self.tileset, self.resolution, self.tile = key, tileset, resolution, tile
        self.unit = ExpectedUnit(tileset.path, resolution, tileset.folder)

    def units(self) -> list[ExpectedUnit]:
        return [self.unit]

    def build(self, look: Callable[[Any], Any]) -> tuple[np.ndarray, int]:
        expected = look(self.unit)
        x, y = self.tile.position
        text = f"{self.tileset.file.uid}.{self.tile.zoom}.{x}.{y}.{self.tileset.transform}"
        ((_, found),) = self.tileset.file.tiles([text])
        if "error" in found:
            raise TileError(found["error"])
        dtype = "<f2" if found["dtype"] == "float16" else "<f4"
        values = (
            np.frombuffer(base64.b64decode(found["dense"]), dtype)
            .astype(np.float32)
            .reshape(TILE_BINS, TILE_BINS)
        )
        if x == y:  # clodius gives the lower triangle of a tile on the diagonal
            values = np.where(np.tri(TILE_BINS, dtype=bool), values, values.T)
        out = np.full((TILE_BINS, TILE_BINS), np.nan, np.float32)
        columns, rows = (self.tileset.axis.runs(self.resolution, t, TILE_BINS) for t in (x, y))
        for a in rows:
            for b in columns:
                if a.chrom == b.chrom:
                    i, j = (slice(r.at, r.at + r.last - r.first) for r in (a, b))
                    distance = np.abs(
                        np.subtract.outer(np.arange(a.first, a.last), np.arange(b.first, b.last))
                    )
                    with np.errstate(divide="ignore", invalid="ignore"):
                        ratio = np.log(
                            values[i, j]
                            / np.append(expected, np.nan)[np.minimum(distance, len(expected))]
                        )
                    out[i, j] = np.where(np.isfinite(ratio), ratio, np.nan)
        return out, out.nbytes

    def preview(self, look: Callable[[Any], Any]) -> np.ndarray:
        return np.full((TILE_BINS, TILE_BINS), np.nan, np.float32)


class RatioTileset(Computed):
    """ln of observed over expected of a measured map; NaN where nothing was observed.

    Parameters
    ----------
    file : the map's tileset. path : its .mcool. folder : where measured expecteds are kept; None:
        nowhere.
    """

    filetype = "cooler"

    def __init__(
        self, file: Tileset, path: Path, scheduler: Scheduler, uid: str, folder: Path | None
    ):
        info = file.info()
        if "resolutions" not in info:
            raise OrcaCoolError(
                f"{file.name!r} has no resolutions in bp; make it an .mcool with `cooler zoomify`"
            )
        axis = Axis({chrom: int(size) for chrom, size in info["chromsizes"]})
        super().__init__(
            scheduler,
            uid,
            f"{file.name}, log observed/expected",
            axis,
            info["resolutions"],
            file.coord_system,
        )
        self.resolutions = sorted(
            self.native, reverse=True
        )  # the file's zoom levels, whatever they are
        self.file, self.path, self.folder = file, path, folder
        self.transform = (
            "weight" if any(t["value"] == "weight" for t in info.get("transforms", ())) else "none"
        )

    def make(self, resolution: int, tile: TileId) -> _RatioGoal:
        return _RatioGoal((self.uid, resolution, tile.position), self, resolution, tile)
