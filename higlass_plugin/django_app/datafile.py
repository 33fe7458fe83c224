"""Predicted tilesets for higlass-server: its datafiles, and its views of infos and of chromosome
sizes. Nothing here needs Django.
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
from higlass_plugin.tiles import JsonObject, chrom_sizes
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
            found = self._open().tiles(ids)
        except Exception as error:
            found = failed_tiles(ids, error)
        return [(text, Unkept(tile) if "error" in tile else tile) for text, tile in found]

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


class Unkept(dict[str, Any]):
    """A tile with an error, which higlass-server shall not keep.

    It keeps every tile that it has answered in Redis, pickled and for good: also one that failed
    because a file was missing for an hour. It goes on where a tile cannot be pickled.
    """

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError(f"a tile with an error is not kept: {self['error']}")


#: What higlass-server's info of a tileset of this filetype says, as "error" since release 1.6.0,
#: and as "message" before.
UNKNOWN = "Unknown filetype orca"


def with_predicted_infos(
    view: Callable[..., Any], find: Callable[[Any, str], OrcaFile | None]
) -> Callable[..., Any]:
    """Wrap higlass-server's view ``tileset_info`` so that it has the infos of tilesets of filetype
    ``orca``.

    Parameters
    ----------
    view : answers with JSON, ``{uid: info}``. Where a tileset is missing or private the info is
        another "error", which stays as it is.
    find : of the request and a uid the datafile; None if its filetype is not ``orca``.
    """

    @functools.wraps(view)  # keeps what decorators have left on it (csrf_exempt)
    def tileset_info(request: Any, *args: Any, **kwargs: Any) -> Any:
        response = view(request, *args, **kwargs)
        if response.status_code != 200:
            return response
        infos = json.loads(response.content)
        for uid, info in infos.items():
            unknown = UNKNOWN in (info.get("error"), info.get("message"))
            file = find(request, uid) if unknown else None
            if file is not None:
                # the name and the coordSystem that the database has; of one coordSystem both axes
                given = {k: v for k, v in info.items() if k not in ("error", "message") and v}
                if "coordSystem" in given:
                    given.setdefault("coordSystem2", given["coordSystem"])
                try:
                    infos[uid] = file.tileset_info() | given
                except OrcaCoolError as error:
                    infos[uid] = {"error": str(error)} | given
        response.content = json.dumps(infos)
        return response

    return tileset_info


def with_predicted_sizes(
    view: Callable[..., Any], find: Callable[[Any, str], OrcaFile | None]
) -> Callable[..., Any]:
    """Wrap higlass-server's view of chromosome sizes, which has none of a filetype that it does not
    know. An edited genome has its own, which no other tileset of the server gives.

    Parameters
    ----------
    view : answers with a table, or with JSON if the query has ``type=json``.
    find : of the request and a uid the datafile; None if its filetype is not ``orca``, or if who
        asks may not see it.
    """

    @functools.wraps(view)
    def sizes(request: Any, *args: Any, **kwargs: Any) -> Any:
        response = view(request, *args, **kwargs)
        empty = response.status_code == 200 and response.content in (b"", b"{}")
        file = find(request, request.GET.get("id", "")) if empty else None
        if file is None:
            return response
        as_json = request.GET.get("type") == "json"
        try:
            rows = file.tileset_info()["chromsizes"]
        except OrcaCoolError as error:
            response.status_code = 500  # as the server answers where it cannot read a file
            response.content = json.dumps({"error": str(error)}) if as_json else str(error)
            return response
        if as_json:
            response.content = json.dumps(chrom_sizes(rows, bool(request.GET.get("cum"))))
        else:
            response.content = "".join(f"{chrom}\t{size}\n" for chrom, size in rows)
        return response

    return sizes
