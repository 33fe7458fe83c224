"""Files in HDF5: contact maps (.mcool, .cool), and multivecs (.mv5)."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from higlass_plugin.files.chromosomes import FileError
from higlass_plugin.files.request import OpenRequest
from higlass_plugin.files.tileset import FileTileset, Reader
from higlass_plugin.tiles import TILE_BINS, JsonObject, TileError, dense_numbers, parse_tile_id
from orca_cool.errors import CoolerError
from orca_cool.files import atomic_path
from orca_cool.maps.open import cooler_groups, open_map
from orca_cool.maps.weights import WEIGHT, BalancedCooler, is_adjusted
from orca_cool.model.folders import home

logger = logging.getLogger(__name__)

#: Pixels of a .cool that is coarsened when it is opened; of more that takes longer than a minute.
MAX_PIXELS = 20_000_000


def open_hdf5(request: OpenRequest) -> FileTileset:
    """The tileset of a contact map or of a multivec.

    Raises
    ------
    FileError
        If its chromosomes are not the genome's, it holds maps that are not one map's resolutions,
        or it refers to other files.
    CoolerError
        If a .cool cannot be coarsened.
    """
    from clodius.tiles import cooler as maps
    from clodius.tiles import multivec

    path, source = request.path, str(request.path)
    groups = list(cooler_groups(source, FileError))
    request.check((map_chromsizes(source) or {}).items())  # before anything is coarsened
    if groups == ["/"]:
        path = zoomified(request.path, request.folder)
        source, groups = str(path), ["/resolutions/"]
    if groups and all(group.startswith("/resolutions/") for group in groups):
        info = dict(maps.tileset_info(source))
        # clodius takes the transforms from a set
        info["transforms"] = sorted(info.get("transforms", ()), key=lambda t: str(t["value"]))
        read = _reader(source, request.clr_weight_name)
        if request.clr_weight_name != WEIGHT:  # which the front end calls by the usual name
            others = [t for t in info["transforms"] if t["value"] != WEIGHT]
            info["transforms"] = [{"name": request.clr_weight_name, "value": WEIGHT}, *others]
        found = request.tileset("matrix", "cooler", info, read, (2,))
        found.map, found.clr_weight_name = path, request.clr_weight_name
        return found
    if groups:
        raise FileError(
            f"file {source!r} holds coolers that are not resolutions of one map "
            f"({groups[0]}); give an .mcool"
        )
    # a multivec, which refers to no other file either
    info = multivec.tileset_info(source)
    info["chromsizes"] = _multivec_chromsizes(source)
    request.check(info["chromsizes"])
    return request.tileset("multivec", "multivec", info, lambda ids: multivec.tiles(source, ids))


def _reader(source: str, clr_weight_name: str) -> Reader:
    """Clodius's tiles of an .mcool; those with weights through
    :class:`~orca_cool.maps.weights.BalancedCooler` where clodius would take weights that divide, or
    are infinite, for others, or another column than it takes.

    Raises
    ------
    CoolerError
        If a resolution lacks the column, unless that is the usual one.
    """
    from clodius.tiles import cooler as maps
    from clodius.tiles.format import format_dense_tile

    file = open_map(source, clr_weight_name)
    named = clr_weight_name != WEIGHT
    weights: dict[int, _TileWeights] = {}
    for resolution in file.resolutions:
        # not symmetric: clodius can show it all the same
        with contextlib.nullcontext() if named else contextlib.suppress(CoolerError):
            clr = file.balanced_or_raw(resolution)
            if isinstance(clr, BalancedCooler) and (named or is_adjusted(clr)):
                weights[resolution] = _TileWeights.of(clr)
    zooms = sorted(file.resolutions, reverse=True)

    def read(ids: list[str]) -> list[tuple[str, Any]]:
        tiles = {text: parse_tile_id(text) for text in ids}
        raw: dict[str, str] = {}  # id of the counts -> id that was asked for
        for text, tile in tiles.items():
            balanced = tile.transform in (None, "default", "weight")
            if balanced and zooms[tile.zoom] in weights:
                x, y = tile.position
                raw[f"{text.partition('.')[0]}.{tile.zoom}.{x}.{y}.none"] = text
        plain = [text for text in ids if text not in raw.values()]
        found = list(maps.tiles(source, plain)) if plain else []
        for key, counts in maps.tiles(source, list(raw)) if raw else ():
            tile = tiles[raw[key]]
            x, y = tile.position
            own = weights[zooms[tile.zoom]]
            values = dense_values(counts) * np.outer(own.along(y), own.along(x))
            found.append((raw[key], format_dense_tile(values.astype(np.float32).ravel())))
        return found

    return read if weights else lambda ids: maps.tiles(source, ids)


@dataclass(frozen=True)
class _TileWeights:
    """The weights of one resolution along the axis of tiles.

    Attributes
    ----------
    pixels : (bins,) number of the pixel, from the start of the axis, in which clodius draws a bin.
    weights : (bins,) that multiply, NaN where a bin is masked.
    """

    pixels: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, clr: BalancedCooler) -> _TileWeights:
        bins = clr.bins()[["chrom", "start"]][:]
        sizes = clr.chromsizes
        before = dict(zip(sizes.index, np.cumsum(sizes.to_numpy(np.int64)) - sizes.to_numpy()))
        starts = bins["chrom"].astype(object).map(before).to_numpy(np.int64)
        pixels = (starts + bins["start"].to_numpy(np.int64)) // int(clr.binsize or 1)
        return cls(pixels, clr.weights)

    def along(self, tile: int) -> np.ndarray:
        """(256,) weights of the pixels of a tile, NaN where one of its bins is masked, and past the
        end.
        """
        a, b = np.searchsorted(self.pixels, [tile * TILE_BINS, (tile + 1) * TILE_BINS])
        at, own = self.pixels[a:b] - tile * TILE_BINS, self.weights[a:b]
        out = np.full(TILE_BINS, np.nan)
        out[at] = own
        out[at[np.isnan(own)]] = np.nan
        return out


def dense_values(tile: JsonObject) -> np.ndarray:
    """(256, 256) float32 of a dense tile; TileError if the tile has an error."""
    if "error" in tile:
        raise TileError(tile["error"])
    return dense_numbers(tile).reshape(TILE_BINS, TILE_BINS)


def map_chromsizes(path: str | Path) -> dict[str, int] | None:
    """{chromosome: bp} of a contact map, in its order; None if the file is something else, or
    cannot be read.
    """
    try:
        return open_map(path).chromsizes
    except CoolerError:
        return None


def zoomified(path: Path, folder: Path | None) -> Path:
    """Coarsen a .cool of one resolution, because HiGlass needs coarser levels.

    Parameters
    ----------
    path : the .cool. folder : where the result is kept; None: ``maps`` in the user's folder.

    Returns
    -------
    Path of the .mcool. It is made once, and used for as long as the .cool stays as it is.

    Raises
    ------
    CoolerError
        If the bins are not of one size, or there are more than MAX_PIXELS pixels.
    """
    import cooler
    from clodius.tiles.cooler import get_zoom_resolutions

    base = cooler.Cooler(str(path))
    if base.binsize is None:
        raise CoolerError(
            f"contact map {str(path)!r} has bins of different sizes, which HiGlass cannot show"
        )
    command = (
        f"`cooler zoomify{' --balance' if 'weight' in base.bins().columns else ''} {path.name}`"
    )
    if base.info["nnz"] > MAX_PIXELS:
        raise CoolerError(
            f"contact map {str(path)!r} has one resolution, and HiGlass needs several: run "
            f"{command} and give the .mcool"
        )
    stat = path.stat()
    facts = hashlib.sha256(
        f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()
    ).hexdigest()[:16]
    folder = home() / "maps" if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{path.stem}.{facts}.mcool"
    if not made.exists():
        logger.warning(
            "%s has one resolution: coarsening it for HiGlass (%s does that once and for all)",
            path.name,
            command,
        )
        with atomic_path(made) as part:
            resolutions = get_zoom_resolutions(base.chromsizes, base.binsize)
            cooler.zoomify_cooler(str(path), str(part), resolutions, chunksize=1_000_000)
            if "weight" in base.bins().columns:
                for resolution in resolutions[1:]:
                    cooler.balance_cooler(
                        cooler.Cooler(f"{part}::resolutions/{resolution}"), store=True
                    )
    return made


def _multivec_chromsizes(path: str) -> list[list[str | int]]:
    import h5py

    with h5py.File(path, "r") as file:
        names = [c.decode() if isinstance(c, bytes) else str(c) for c in file["chroms"]["name"][:]]
        return [[c, int(n)] for c, n in zip(names, file["chroms"]["length"][:])]
