"""Predicted tilesets of this process by URL, in the form of the modules of ``clodius.tiles``:
``tileset_info`` and ``tiles``.

A source is an ``orca://MODEL/GENOME?edit=...`` URL, as :func:`higlass_plugin.registry.address.parse_url` reads it. It comes from a program on this
machine, not from a web page, so that MODEL may also be the folder of a model and GENOME a file, both URL-quoted::

    orca://yeast-metaphase/%2Fdata%2FsacCer3.fa?edit=chrII:238,208-238,325%20del

All sources share one :class:`~higlass_plugin.registry.tilesets.TilesetRegistry`: a model on a genome is opened once,
and what was computed is kept for all.
"""

from __future__ import annotations

import atexit
import logging
import threading
import warnings
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from higlass_plugin.registry.address import Address, parse_url
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tiles import failed_by_id, told
from higlass_plugin.tilesets.base import Computed
from orca_cool.errors import GenomeError, OrcaCoolError
from orca_cool.genome.open import SHIPPED, open_genome
from orca_cool.genome.source import SequenceSource
from orca_cool.model.assembly import check_assembly
from orca_cool.model.bundle import load_bundle
from orca_cool.model.registry import resolve
from orca_cool.model.spec import ModelSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How a model is opened. With other options the same model is opened anew: its numbers differ.

    Attributes
    ----------
    device : "auto", "cpu", "cuda" or "cuda:N". dtype : of the decoders, as in ``orca-cool
        predict``.
    store : folder of encodings (``orca-cool encode``).
    chrom_names : "add-chr", "strip-chr" or a two-column TSV: renames the genome's chromosomes.
    any_genome : accept a genome of another assembly than the model's.
    """

    device: str = "auto"
    dtype: str = "float32"
    store: str | None = None
    chrom_names: str | None = None
    any_genome: bool = False


DEFAULTS = Options()

_lock = threading.RLock()
_library: TilesetRegistry | None = None
#: Names of a model and a genome in the registry: by what was asked for, and by where that is on
#: disk.
_names: dict[Hashable, tuple[str, str]] = {}


def tileset_info(source: str, options: Options = DEFAULTS) -> dict[str, Any]:
    """HiGlass's ``tileset_info`` of a source.

    Raises
    ------
    UrlError, EditError, ModelError, GenomeError
        If the URL, an edit in it, the model or the genome cannot be used.
    """
    return open_tileset(parse_url(source), options).info()


def tiles(
    source: str, ids: Iterable[str], options: Options = DEFAULTS
) -> list[tuple[str, dict[str, Any]]]:
    """Tiles of a source, as clodius gives them: ``[(id, tile), ...]``. Waits until they are
    computed, ten minutes at most.

    Parameters
    ----------
    ids : ``uid.z.x.y``, ``uid.z.x.y.transform`` or ``uid.z.x``; any uid will do.

    Returns
    -------
    A tile that cannot be made is empty, and its ``error`` says why.

    Raises
    ------
    As :func:`tileset_info`.
    """
    return open_tileset(parse_url(source), options).tiles(list(ids))


def registry() -> TilesetRegistry:
    """The registry of this process, made when it is first asked for."""
    global _library
    found = _library  # without the lock, which is held while a model is opened
    if found is None:
        with _lock:
            found = _library = _library or TilesetRegistry()
    return found


def close() -> None:
    """Stop computing, and forget all that is open; whoever asks again opens it again. Called at
    exit.
    """
    global _library
    with _lock:
        if _library is not None:
            _library.close()
        _library = None
        _names.clear()


atexit.register(close)


def open_tileset(address: Address, options: Options = DEFAULTS) -> Computed:
    """The tileset of an address whose model may be a folder, and whose genome may be a file.

    Opened again each time, it is never one of an edit that has made room for others.

    Raises
    ------
    As :func:`tileset_info`.
    """
    asked = address.model, address.genome, options
    model, genome = _names.get(asked) or _open(*asked)
    found = registry().open_url(str(replace(address, model=model, genome=genome)))
    assert isinstance(found, Computed)
    return found


def failed_tiles(ids: Iterable[str], error: Exception) -> list[tuple[str, dict[str, Any]]]:
    """Tiles that say what went wrong, for servers in which an exception would take other tilesets'
    tiles with it, or be lost.
    """
    if not isinstance(error, OrcaCoolError):
        logger.error("tiles cannot be made", exc_info=error)
    return [(text, failed_by_id(text, told(error))) for text in ids]


def _open(model: str, genome: str, options: Options) -> tuple[str, str]:
    """Names in the registry of a model and a genome, which are opened if they are not."""
    with _lock:
        folder = resolve(model).resolve()
        there = folder, genome if genome in SHIPPED else Path(genome).resolve(), options
        if there not in _names:
            bundle, source = load_bundle(folder), open_genome(genome, options.chrom_names)
            assembly = _assembly(bundle.spec, source, options.any_genome)
            name, n = folder.name, 1
            while (
                name,
                source.name,
            ) in registry().models():  # another folder's, or opened with other options
                n += 1
                name = f"{folder.name}-{n}"
            more = {} if options.store is None else {"store": options.store}
            registry().add_model(
                name,
                bundle,
                source.name,
                source,
                assembly,
                device=options.device,
                dtype=options.dtype,
                **more,
            )
            _names[there] = name, source.name
        return _names.setdefault((model, genome, options), _names[there])


def _assembly(spec: ModelSpec, source: SequenceSource, any_genome: bool) -> str:
    """Name of the assembly; a genome of another one than the model's is an error, and an unknown
    one is said, unless any will do.
    """
    try:
        found = check_assembly(spec, source)
    except GenomeError as error:
        if not any_genome:
            raise GenomeError(f"{error}; any_genome=True predicts it all the same") from error
        return source.name
    if found is None and not any_genome:
        known = ", ".join(spec.assemblies) or "none named"
        text = f"genome {source.name!r} shares no chromosome name with the assemblies of model {spec.name!r} ({known})"
        warnings.warn(text, stacklevel=2)
    return found or source.name
