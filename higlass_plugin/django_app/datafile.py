"""What stands between higlass-server and predicted tilesets; nothing here needs Django."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from higlass_plugin.clodius_tiles import failed_tiles, open_tileset
from higlass_plugin.registry.address import MAX_TEXT, UrlError, parse_url
from higlass_plugin.tilesets.base import Computed
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.open import SHIPPED
from orca_cool.model.registry import known


class OrcaFile:
    """A tileset whose datafile is a text file with an ``orca://`` URL.

    Parameters
    ----------
    path : the datafile.
    models, genomes : folders and files by the names that a URL may call them, beside known models
        and shipped genomes.
    """

    def __init__(
        self,
        path: str | Path,
        models: Mapping[str, str] | None = None,
        genomes: Mapping[str, str] | None = None,
    ):
        self.path, self.models, self.genomes = Path(path), models or {}, genomes or {}

    def tileset_info(self) -> dict[str, Any]:
        """HiGlass's ``tileset_info``; OrcaCoolError if the URL cannot be used."""
        return self._open().info()

    def tiles(self, ids: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
        """Tiles by id; waits until they are computed. Raises nothing: it would take the tiles of
        other tilesets with it.
        """
        ids = list(ids)
        try:
            return self._open().tiles(ids)
        except Exception as error:
            return failed_tiles(ids, error)

    def _open(self) -> Computed:
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
    """What a name stands for; a path is none, so that no URL reaches other files."""
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
    """higlass-server's view ``tileset_info`` with what it does not know: the info of tilesets of
    filetype ``orca``.

    Parameters
    ----------
    view : answers with JSON, ``{uid: info}``; ``{"message": "Unknown filetype ..."}`` in the info
        of a filetype that it does not know. What may not be seen, or is not there, has an ``error``
        instead, and stays as it is.
    find : the datafile of a uid, None if it is not of filetype ``orca``.
    """

    @functools.wraps(view)  # also what decorators have left on it (csrf_exempt)
    def tileset_info(request: Any, *args: Any, **kwargs: Any) -> Any:
        response = view(request, *args, **kwargs)
        if response.status_code != 200:
            return response
        infos = json.loads(response.content)
        for uid, info in infos.items():
            file = find(uid) if "message" in info else None
            if file is not None:
                told = {
                    key: value for key, value in info.items() if key != "message" and value
                }  # name and coordSystem of the database
                try:
                    infos[uid] = file.tileset_info() | told
                except OrcaCoolError as error:
                    infos[uid] = {"error": str(error)} | told
        response.content = json.dumps(infos)
        return response

    return tileset_info
