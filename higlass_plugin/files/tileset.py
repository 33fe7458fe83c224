"""The tiles of a file.

clodius's functions trust the tile ids that they are given: a zoom that the file lacks raises an
exception or is left out of the answer, and a position far beyond the end makes them ask for all
memory. So ids are checked here first, one thread at a time reads, tiles are kept in a cache, and
every id is answered: a tile that cannot be read has an error that says why.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from higlass_plugin.compute.cache import Cache
from higlass_plugin.tiles import TILE_BINS, JsonObject, TileError, TileId, dense_tile, parse_tile_id
from orca_cool.maps.weights import WEIGHT

logger = logging.getLogger(__name__)

#: Bytes of tiles kept for a file that is given no cache.
CACHE_BYTES = 64 << 20

#: Tiles of a map are read in blocks of BLOCK x BLOCK, so that the pixels of neighbours are looked
#: up together.
BLOCK = 4

#: Number of names that a search gives at most.
MAX_FOUND = 10

#: The transforms of tile ids that the front end's menu always has, whatever tileset_info says.
DEFAULT, NONE = "default", "none"

#: clodius's tile function of one file: (ids) -> [(id, tile)].
Reader = Callable[[list[str]], Sequence[tuple[str, Any]]]
#: Searches names that begin with a text in lower case: [(fields of a BED line, score)], best first.
Finder = Callable[[str], list[tuple[list[str], float]]]


class FileTileset:
    """A file as a tileset. Made by :func:`higlass_plugin.files.open.open_file`.

    Parameters
    ----------
    uid, name, datatype, filetype, coord_system, description : see
        :class:`~higlass_plugin.tilesets.base.Tileset`.
    info : the tileset_info as clodius gives it, with ``chromsizes``.
    read : clodius's function; it is called with ids that exist, by one thread at a time.
    cache : of encoded tiles, which other files may share; None: one of its own.
    dimensions : numbers of positions that an id may have.
    find : searches the names in the file; None if it has none.

    Attributes
    ----------
    map : path of the .mcool, if the file is a contact map; else None.
    clr_weight_name : column of its balancing weights.
    """

    def __init__(
        self,
        uid: str,
        name: str,
        datatype: str,
        filetype: str,
        coord_system: str,
        description: str,
        info: JsonObject,
        read: Reader,
        cache: Cache | None,
        dimensions: tuple[int, ...],
        find: Finder | None = None,
    ):
        self.uid, self.name, self.datatype, self.filetype = uid, name, datatype, filetype
        self.coord_system, self.description = coord_system, description
        names = {
            "name": name,
            "datatype": datatype,
            "coordSystem": coord_system,
            "coordSystem2": coord_system,
        }
        self._info: JsonObject = json.loads(json.dumps({**info, **names}, default=_plain))
        self.map: Path | None = None
        self.clr_weight_name = WEIGHT
        self._read, self._dimensions, self._find = read, dimensions, find
        self._cache = Cache(CACHE_BYTES) if cache is None else cache
        self._lock = threading.Lock()

    def info(self) -> JsonObject:
        """HiGlass's tileset_info."""
        return dict(self._info)

    @property
    def has_names(self) -> bool:
        """Whether names can be searched."""
        return self._find is not None

    def tiles(self, ids: Sequence[str]) -> list[tuple[str, Any]]:
        """A tile for every id, in their order.

        Returns
        -------
        [(id, tile)]. The tiles are those of clodius. One that cannot be read is NaN, with the
        reason as ``error``; of tilesets of intervals it is an empty list.
        """
        found: dict[str, Any] = {}
        wanted: dict[str, TileId] = {}
        for text in ids:
            try:
                wanted[text] = self._checked(parse_tile_id(text))
            except TileError as error:
                found[text] = self._failed(str(error))
        exact = {text: _exact(tile) for text, tile in wanted.items()}
        tiles = {e: self._cache.get((self.uid, e)) for e in exact.values()}
        missing = {e: wanted[text] for text, e in exact.items() if tiles[e] is None}
        if missing:
            # HDF5 lets only one thread read anyway; a thread that has waited may find in the cache
            # what another one has read
            with self._lock:
                again = {e: self._cache.get((self.uid, e)) for e in missing}
                tiles |= again
                tiles |= self._fetch({e: tile for e, tile in missing.items() if again[e] is None})
        return [(text, found[text] if text in found else tiles[exact[text]]) for text in ids]

    def suggest(self, text: str) -> list[JsonObject]:
        """Names that begin with a text, best first: ``[{chr, txStart, txEnd, score,
        geneName}]``.
        """
        if self._find is None or not text:
            return []
        return [
            {
                "chr": fields[0],
                "txStart": int(fields[1]),
                "txEnd": int(fields[2]),
                "score": score,
                "geneName": fields[3],
            }
            for fields, score in self._find(text.lower())[:MAX_FOUND]
        ]

    def _checked(self, tile: TileId) -> TileId:
        """The tile id; TileError if the file has no such tile."""
        if len(tile.position) not in self._dimensions:
            raise TileError(
                f"tile id {tile.text!r} has {len(tile.position)} positions; a {self.datatype} "
                f"tile has {self._dimensions[0]}"
            )
        along = self._tiles_along(tile.zoom)
        if along is None:
            raise TileError(f"tile id {tile.text!r}: {self.name!r} has no zoom {tile.zoom}")
        if max(tile.position) >= along:
            raise TileError(
                f"tile id {tile.text!r} lies behind the end of {self.name!r}, which has "
                f"{along:,} tiles at that zoom"
            )
        if (
            self.datatype == "matrix"
            and tile.transform is not None
            and tile.transform.lower() not in (DEFAULT, NONE)
        ):
            known = [t["value"] for t in self._info.get("transforms", ())]
            if tile.transform not in known:
                raise TileError(
                    f"tile id {tile.text!r}: {self.name!r} has no transform {tile.transform!r}; "
                    f"it has: {', '.join(known) or NONE}"
                )
        return tile

    def _tiles_along(self, zoom: int) -> int | None:
        """Number of tiles along an axis; None if there is no such zoom."""
        if "resolutions" in self._info:
            resolutions = sorted(self._info["resolutions"], reverse=True)
            bins = self._info.get("tile_size", TILE_BINS)
            return (
                math.ceil(self._info["max_pos"][0] / (bins * resolutions[zoom]))
                if zoom < len(resolutions)
                else None
            )
        return 2**zoom if zoom <= self._info.get("max_zoom", -1) else None

    def _fetch(self, missing: Mapping[str, TileId]) -> dict[str, Any]:
        """Read tiles that exist, in blocks; where a block fails, one by one."""
        out: dict[str, Any] = {}
        for block in _blocks(missing):
            try:
                out |= self._read_block(block)
                continue
            except Exception as error:
                if len(block) == 1:
                    logger.warning("%s: tile %s cannot be read: %r", self.name, block[0], error)
                    out[block[0]] = self._failed(
                        f"{self.name}: this tile cannot be read ({type(error).__name__})"
                    )
                    continue
            for one in block:
                out |= self._fetch({one: missing[one]})
        return out

    def _read_block(self, block: list[str]) -> dict[str, Any]:
        """Read tiles, and keep them in the cache."""
        tiles = {key: _finite(tile) for key, tile in self._read(block)}
        if lost := [key for key in block if key not in tiles]:
            raise LookupError(f"no answer for {lost[0]}")
        for key in block:
            nbytes = (
                len(tiles[key]["dense"])
                if isinstance(tiles[key], dict)
                else len(json.dumps(tiles[key]))
            )
            self._cache.put((self.uid, key), tiles[key], nbytes)
        return {key: tiles[key] for key in block}

    def _failed(self, message: str) -> JsonObject | list[JsonObject]:
        """A tile without values that says why, in the form that the datatype has."""
        shapes = {
            "matrix": [TILE_BINS, TILE_BINS],
            "vector": [self._info.get("tile_size")],
            "multivec": self._info.get("shape", [])[::-1],
        }
        if self.datatype not in shapes:
            return []
        shape = shapes[self.datatype]
        tile = dense_tile(np.full(shape, np.nan, np.float32), error=message)
        return {**tile, "shape": shape} if self.datatype == "multivec" else tile


def _plain(value: np.generic | np.ndarray) -> object:
    """A number or array of numpy for json."""
    return value.tolist()


def _exact(tile: TileId) -> str:
    """The id as clodius would write it, without leading zeros: it answers with that one, whatever
    it was asked for.
    """
    parts = [tile.uid, str(tile.zoom), *map(str, tile.position)]
    if tile.transform is not None:
        parts.append(
            tile.transform.lower() if tile.transform.lower() in (DEFAULT, NONE) else tile.transform
        )
    return ".".join(parts)


def _blocks(tiles: Mapping[str, TileId]) -> list[list[str]]:
    """The ids in groups of one zoom and transform that are near each other, so that what clodius
    reads at once stays small.
    """

    def place(key: str) -> tuple[int | str, ...]:
        tile = tiles[key]
        return tile.zoom, tile.transform or "", *(p // BLOCK for p in tile.position)

    return [list(block) for _, block in groupby(sorted(tiles, key=place), key=place)]


def _finite(tile: Any) -> Any:
    """A tile whose extremes are "NaN" where they are not finite, because JSON has no infinity. A
    map that is divided by a balancing weight of 0 has such extremes.
    """
    if isinstance(tile, dict):
        return {
            k: "NaN" if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in tile.items()
        }
    return tile
