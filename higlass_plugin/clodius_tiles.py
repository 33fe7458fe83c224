"""Predicted tilesets of this process by URL, with the functions that modules of ``clodius.tiles``
have: ``tileset_info`` and ``tiles``.

A source is an ``orca://MODEL/GENOME?edit=...`` URL, see
:func:`higlass_plugin.registry.address.parse_url`. It comes from a program on this machine, not from
a web page, so MODEL may also be the folder of a model and GENOME a file, both URL-quoted::

    orca://yeast-metaphase/%2Fdata%2FsacCer3.fa?edit=chrII:238,208-238,325%20del

Of a model of several cell types a URL says which: ``&cell_type=NAME``.

All sources share one :class:`~higlass_plugin.registry.tilesets.TilesetRegistry`: a model on a
genome is opened once, and what was computed is kept for all.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import warnings
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from higlass_plugin.registry.address import Address, parse_url
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tiles import JsonObject, failed_tile_of, public_message
from higlass_plugin.tilesets.base import ComputedTileset
from orca_cool.errors import GenomeError, OrcaCoolError
from orca_cool.genome.open import SHIPPED, open_genome
from orca_cool.genome.source import SequenceSource
from orca_cool.model.assembly import agreed_assembly
from orca_cool.model.bundle import load_bundle
from orca_cool.model.registry import resolve
from orca_cool.model.spec import ModelSpec
from orca_cool.prediction.window_store import WindowStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How a model is opened. The same model with other options is opened again, because its numbers
    differ.

    Attributes
    ----------
    device : "auto", "cpu", "cuda", "cuda:N" or "mps".
    dtype : number type of the decoders, as in ``orca-cool predict``; one that is slower than
        float32 gives way to it.
    store : folder of encodings (``orca-cool encode``).
    chrom_names : "add-chr", "strip-chr" or a two-column TSV: renames the genome's chromosomes.
    any_genome : accept a genome of another assembly than the model's.
    force_dtype : take ``dtype`` all the same.
    window_store : file of decoded windows to read from and add to.
    """

    device: str = "auto"
    dtype: str = "float32"
    store: str | None = None
    chrom_names: str | None = None
    any_genome: bool = False
    force_dtype: bool = False
    window_store: str | None = None


DEFAULTS = Options()


class OptionWords(TypedDict, total=False):
    """The fields of :class:`Options` as keyword arguments; paths may be objects."""

    device: str
    dtype: str
    store: str | os.PathLike[str] | None
    chrom_names: str | None
    any_genome: bool
    force_dtype: bool
    window_store: str | os.PathLike[str] | None


def options_of(words: OptionWords) -> Options:
    """The options that keyword arguments say.

    Raises
    ------
    TypeError
        If one of them is none of :class:`Options`.
    """
    found = Options(**words)  # type: ignore[arg-type]
    stores = {
        name: os.fspath(path)
        for name in ("store", "window_store")
        if (path := getattr(found, name)) is not None
    }
    return replace(found, **stores)


_lock = threading.RLock()
_registry: TilesetRegistry | None = None
#: The names that a model and a genome have in the registry, both by what was asked for and by where
#: that is on disk.
_names: dict[Hashable, tuple[str, str]] = {}


def tileset_info(source: str, options: Options = DEFAULTS) -> JsonObject:
    """HiGlass's ``tileset_info`` of a source.

    Raises
    ------
    UrlError, EditError, ModelError, GenomeError
        If the URL, an edit in it, the model or the genome cannot be used.
    """
    return open_tileset(parse_url(source), options).info()


def tiles(
    source: str, ids: Iterable[str], options: Options = DEFAULTS
) -> list[tuple[str, JsonObject]]:
    """Tiles of a source. Waits until they are computed, ten minutes at most.

    Parameters
    ----------
    ids : ``uid.z.x.y``, ``uid.z.x.y.transform`` or ``uid.z.x``; any uid will do.

    Returns
    -------
    ``[(id, tile), ...]``, as clodius gives them. A tile that cannot be made is empty, and its
    ``error`` says why.

    Raises
    ------
    As :func:`tileset_info`.
    """
    return open_tileset(parse_url(source), options).tiles(list(ids))


def registry() -> TilesetRegistry:
    """The registry of this process, made when it is first asked for."""
    global _registry
    found = _registry  # without the lock, which is held while a model is opened
    if found is None:
        with _lock:
            found = _registry = _registry or TilesetRegistry()
    return found


def close() -> None:
    """Stop computing, and close all models and genomes. Called at exit; sources that are asked for
    later are opened again.
    """
    global _registry
    with _lock:
        if _registry is not None:
            _registry.close()
        _registry = None
        _names.clear()


atexit.register(close)


def open_tileset(address: Address, options: Options = DEFAULTS) -> ComputedTileset:
    """The tileset of an address whose model may be a folder, and whose genome may be a file.

    It should be opened again before each use: an edited genome that nobody used for a while may
    have been closed.

    Raises
    ------
    As :func:`tileset_info`.
    """
    asked = address.model, address.genome, options
    model, genome = _names.get(asked) or _open(*asked)
    found = registry().open_url(str(replace(address, model=model, genome=genome)))
    assert isinstance(found, ComputedTileset)
    return found


def failed_tiles(ids: Iterable[str], error: Exception) -> list[tuple[str, JsonObject]]:
    """Tiles whose ``error`` tells of an exception, for servers in which the exception itself would
    be lost, or would fail the tiles of other tilesets.
    """
    if not isinstance(error, OrcaCoolError):
        logger.error("tiles cannot be made", exc_info=error)
    return [(text, failed_tile_of(text, public_message(error))) for text in ids]


def _open(model: str, genome: str, options: Options) -> tuple[str, str]:
    """Open a model and a genome if they are not open; returns their names in the registry."""
    with _lock:
        folder = resolve(model).resolve()
        there = folder, genome if genome in SHIPPED else Path(genome).resolve(), options
        if there not in _names:
            bundle, source = load_bundle(folder), open_genome(genome, options.chrom_names)
            assembly = _assembly(bundle.spec, source, options.any_genome)
            name, n = folder.name, 1
            # the name may be that of another folder, or of other options
            while (name, source.name) in registry().models():
                n += 1
                name = f"{folder.name}-{n}"
            windows = None if options.window_store is None else WindowStore(options.window_store)
            registry().add_model(
                name,
                bundle,
                source.name,
                source,
                assembly,
                device=options.device,
                dtype=options.dtype,
                force_dtype=options.force_dtype,
                store=options.store,
                window_store=windows,
            )
            _names[there] = name, source.name
        return _names.setdefault((model, genome, options), _names[there])


def _assembly(spec: ModelSpec, source: SequenceSource, any_genome: bool) -> str:
    """The name of the genome's assembly. Another assembly than the model's is an error, and one
    that is not known a warning, unless ``any_genome``.
    """
    try:
        name, warning = agreed_assembly(spec, source, any_genome)
    except GenomeError as error:
        raise GenomeError(str(error).replace("--any-genome", "any_genome=True")) from error
    if warning is not None and not any_genome:
        warnings.warn(warning, stacklevel=2)
    return name
