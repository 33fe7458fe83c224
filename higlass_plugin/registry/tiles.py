"""Tiles of any tilesets of a server, and how far they are."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.shares import NOBODY, Client
from higlass_plugin.tiles import (
    JsonObject,
    TileError,
    TileId,
    UnknownTileset,
    failed_tile_of,
    parse_tile_id,
)
from higlass_plugin.tilesets.base import COMPUTING, PREVIEW_SECONDS, ComputedTileset, compute_tiles
from orca_cool.errors import OrcaCoolError

if TYPE_CHECKING:
    from higlass_plugin.registry.tilesets import TilesetRegistry


def tiles(
    registry: TilesetRegistry, ids: Sequence[str], wait: float | None, client: Client
) -> dict[str, JsonObject]:
    """A tile for every id, whatever it is.

    Parameters
    ----------
    wait : seconds to wait for predicted tiles; None: until they are ready. Tiles of files are
        always read at once.
    client : who asks; see :meth:`higlass_plugin.compute.scheduler.Scheduler.want`.

    Returns
    -------
    Tiles by id. One that is not ready has the message "computing" and what is known so far; one
    that cannot be made is empty and says why.
    """
    out: dict[str, JsonObject] = {}
    computed: list[tuple[TileId, ComputedTileset]] = []
    files: dict[str, list[str]] = {}
    for text in dict.fromkeys(ids):
        try:
            tile = parse_tile_id(text)
            tileset = registry[tile.uid]
        except OrcaCoolError as error:
            out[text] = failed_tile_of(text, str(error))
            continue
        if isinstance(tileset, ComputedTileset):
            computed.append((tile, tileset))
        else:
            files.setdefault(tile.uid, []).append(text)
    for uid, texts in files.items():
        out |= dict(registry.tilesets[uid].tiles(texts))
    out |= compute_tiles(computed, wait, client)
    return out


def has_file(registry: TilesetRegistry, ids: Sequence[str]) -> bool:
    """Whether any of these tiles is of a file, whose tiles need not be waited for."""
    for text in ids:
        try:
            tileset = registry[parse_tile_id(text).uid]
        except OrcaCoolError:
            continue
        if not isinstance(tileset, ComputedTileset):
            return True
    return False


def progress(registry: TilesetRegistry, ids: Sequence[str], client: Client = NOBODY) -> JsonObject:
    """Which tiles are ready and which are pending, as lists of ids; what those that are pending
    would show now, and the messages of those that failed, by id. Asking counts as asking for the
    tiles.

    Of those that are pending, ``queue`` is the place in the queue
    (:class:`~higlass_plugin.compute.queue.Place`) of the client at this address that asked for
    them; None if nothing is pending.
    """
    ready: list[str] = []
    pending: list[str] = []
    failed: dict[str, str] = {}
    shows: dict[str, str] = {}
    queued: dict[Scheduler, list[Hashable]] = {}
    end_of_previews = time.monotonic() + PREVIEW_SECONDS
    for text in dict.fromkeys(ids):
        try:
            tile = parse_tile_id(text)
            tileset = registry[tile.uid]
            if not isinstance(tileset, ComputedTileset):
                ready.append(text)
                continue
            # planned once: what a plan needs may fail at any moment, and then planning is an error
            plan = tileset.plan(tile)
        except (TileError, UnknownTileset) as error:
            failed[text] = str(error)
            continue
        message = tileset.progress(plan)
        if message is None:
            ready.append(text)
        elif message == COMPUTING:
            pending.append(text)
            queued.setdefault(tileset.scheduler, []).append(plan.key)
            if time.monotonic() < end_of_previews:
                shows[text] = tileset.shows(plan)
        else:
            failed[text] = message
    places = [scheduler.place(keys, client[0]) for scheduler, keys in queued.items()]
    last = max((place for place in places if place), key=lambda place: place.units, default=None)
    queue = None if last is None else last.to_json()
    return {"ready": ready, "pending": pending, "shows": shows, "failed": failed, "queue": queue}
