"""Predicted tilesets for higlass-server: its datafiles, and its view of infos. Nothing here needs
Django.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from higlass_plugin.clodius_tiles import failed_tiles, open_tileset
from higlass_plugin.registry.address import MAX_TEXT, UrlError, parse_url
from higlass_plugin.tiles import JsonObject
from higlass_plugin.tilesets.base import ComputedTileset
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.open import SHIPPED
from orca_cool.model.registry import known


class OrcaFile:
    """A tileset whose datafile is a text file with an ``orca://`` URL.

    Parameters
    ----------
    path : the datafile.
    models, genomes : the folders and files that a URL may name, by their names there; known models
        and shipped genomes may be named too.
    """

    def __init__(
        self,
        path: str | Path,
        models: Mapping[str, str] | None = None,
        genomes: Mapping[str, str] | None = None,
    ):
        self.path, self.models, self.genomes = Path(path), models or {}, genomes or {}

    def tileset_info(self) -> JsonObject:
        """HiGlass's ``tileset_info``; OrcaCoolError if the URL cannot be used."""
        return self._open().info()

    def tiles(self, ids: Iterable[str]) -> list[tuple[str, JsonObject]]:
        """[(id, tile)]; waits until the tiles are computed. Raises nothing, because an exception
        would fail the tiles of other tilesets too.
        """
        ids = list(ids)
        try:
            return self._open().tiles(ids)
        except Exception as error:
            return failed_tiles(ids, error)

    def _open(self) -> ComputedTileset:
        try:
            with self.path.open(encoding="utf-8") as file:
                address = parse_url(file.read(4 * MAX_TEXT + 1).strip())
        except (OSError, ValueError) as error:
            raise UrlError(
                f"datafile {self.path.name!r} cannot be read: "
                f"{getattr(error, 'strerror', None) or error}"
            ) from error
        model = _named("model", address.model, self.models, known())
        return open_tileset(
            replace(
                address, model=model, genome=_named("genome", address.genome, self.genomes, SHIPPED)
            )
        )


def _named(kind: str, name: str, given: Mapping[str, str], own: Collection[str]) -> str:
    """The folder or file that a name in a URL stands for; UrlError if the name is not served.

    A path is not a name, so that a URL cannot reach other files.

    Parameters
    ----------
    kind : "model" or "genome", for the message. given : folders or files by name. own : names that
        orca-cool knows.
    """
    if name not in given and name not in own:
        names = ", ".join(sorted({*given, *own}))
        raise UrlError(
            f"{kind} {name[:100]!r} is not served here; known: {names}; "
            f"settings.ORCA_COOL_{kind.upper()}S adds others"
        )
    return str(given.get(name, name))


def with_predictions(
    view: Callable[..., Any], find: Callable[[str], OrcaFile | None]
) -> Callable[..., Any]:
    """Wrap higlass-server's view ``tileset_info`` so that it has the infos of tilesets of filetype
    ``orca``.

    Parameters
    ----------
    view : answers with JSON, ``{uid: info}``; an info of a filetype that it does not know has a
        "message". Where a tileset is missing or private, there is an "error" instead, which stays
        as it is.
    find : the datafile of a uid; None if its filetype is not ``orca``.
    """

    @functools.wraps(view)  # keeps what decorators have left on it (csrf_exempt)
    def tileset_info(request: Any, *args: Any, **kwargs: Any) -> Any:
        response = view(request, *args, **kwargs)
        if response.status_code != 200:
            return response
        infos = json.loads(response.content)
        for uid, info in infos.items():
            file = find(uid) if "message" in info else None
            if file is not None:
                # the name and the coordSystem that the database has
                given = {key: value for key, value in info.items() if key != "message" and value}
                try:
                    infos[uid] = file.tileset_info() | given
                except OrcaCoolError as error:
                    infos[uid] = {"error": str(error)} | given
        response.content = json.dumps(infos)
        return response

    return tileset_info
