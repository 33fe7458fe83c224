"""Log observed/expected of a measured map, tile by tile, for the half of the view that lies across
the prediction's.
"""

from __future__ import annotations

import base64
import hashlib
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pandas as pd

from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.tiles import TILE_BINS, Axis, TileError, TileId
from higlass_plugin.tilesets.base import Computed, Tileset
from orca_cool.errors import OrcaCoolError
from orca_cool.files import atomic_path
from orca_cool.genome.regions import n_bins

#: The expected is measured on the longest chromosomes, until they have so many bp together: bounded
#: work for any genome.
MEASURED = 300_000_000


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
            values = measure_expected(cooler.Cooler(f"{self.path}::resolutions/{self.resolution}"))
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                with atomic_path(kept) as temporary, open(temporary, "wb") as stream:
                    np.save(stream, values, allow_pickle=False)
        return [(values, values.nbytes)]


def measure_expected(clr: cooler.Cooler) -> np.ndarray:
    """(n,) mean balanced contact frequency (raw, if the map is not balanced) by distance in bins;
    NaN where it is not known.
    """
    from cooltools import expected_cis

    sizes = clr.chromsizes.sort_values(ascending=False, kind="stable")
    chosen = sizes[(sizes.cumsum() - sizes) < MEASURED]
    names = [c for c in clr.chromnames if c in chosen.index]
    view = pd.DataFrame(
        {"chrom": names, "start": 0, "end": [int(clr.chromsizes[c]) for c in names], "name": names}
    )
    weight = "weight" if "weight" in clr.bins().columns else None
    with clr.open("r") as group:
        ignored = int(group["bins/weight"].attrs.get("ignore_diags", 2)) if weight else 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cooltools warns of every empty diagonal
        table = expected_cis(
            clr,
            view_df=view,
            clr_weight_name=weight,
            ignore_diags=ignored,
            smooth=True,
            aggregate_smoothed=True,
            nproc=1,
        )
    column = ("balanced" if weight else "count") + ".avg.smoothed.agg"
    by_distance = table.groupby("dist")[column].max()  # the same in every region
    expected = by_distance.reindex(
        np.arange(n_bins(int(sizes.iloc[0]), int(clr.binsize or 1)))
    ).to_numpy(float)
    expected[:ignored] = np.nan  # what smoothing leaks onto them
    return expected


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
