"""The models that ``orca-cool serve`` opens, and the genomes that they predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from higlass_plugin.files.chromosomes import OrderedGenome, difference
from higlass_plugin.files.contact_maps import map_chromsizes
from higlass_plugin.registry.served import types_of
from higlass_plugin.server.options import ServeOptions
from orca_cool.encodings.store import EncodingStore
from orca_cool.errors import GenomeError
from orca_cool.genome.open import open_genome
from orca_cool.genome.source import SequenceSource
from orca_cool.model.assembly import agreed_assembly
from orca_cool.model.bundle import Model, load_bundle
from orca_cool.model.registry import resolve
from orca_cool.model.window_model import WindowModel
from orca_cool.prediction.device import resolve_device
from orca_cool.prediction.number_types import check_types
from orca_cool.prediction.window_store import WindowStore


@dataclass(frozen=True)
class ServedModel:
    """A model that is open.

    Attributes
    ----------
    name : by which it is served.
    source : the genome. assembly : name of its coordinate system.
    options : of its engines, see :func:`~higlass_plugin.registry.served.engines_of`.
    """

    name: str
    bundle: WindowModel
    source: SequenceSource
    assembly: str
    options: dict[str, Any]


def open_models(
    options: ServeOptions,
    say: Callable[[str], None],
    types: Sequence[tuple[str, str]] | None = None,
) -> list[ServedModel]:
    """Open models and genomes.

    If a measured map has a genome's chromosomes in another order, they are served in that order, so
    that map and prediction can share an axis.

    Parameters
    ----------
    say : called with each message for the user.
    types : number types of each model's decoders and encoder, if they were chosen before.
    """
    resolve_device(options.device)
    check_types(options.dtype, options.encoder_dtype, options.force_dtype)
    genomes = options.genomes
    if len(genomes) not in (1, len(options.models)):
        raise GenomeError(
            f"{len(genomes)} --genome for {len(options.models)} --model; give one for all, or one "
            f"for each, in their order"
        )
    bundles = [load_bundle(resolve(model)) for model in options.models]
    opened_genomes = {name: open_genome(name, options.chrom_names) for name in genomes}
    sources = [opened_genomes[genomes[k % len(genomes)]] for k in range(len(bundles))]
    assemblies = []
    for bundle, source in zip(bundles, sources):
        assembly, warning = agreed_assembly(bundle.spec, source, options.any_genome)
        assemblies.append(assembly)
        if warning is not None:
            say(f"warning: {warning}")
    ordered = {id(source): _in_order_of_maps(source, options.files, say) for source in sources}
    windows = None
    if options.window_store is not None:
        windows = WindowStore(
            options.window_store, dtype=options.window_store_dtype, size=options.window_store_size
        )
    asked = options.device, options.dtype, options.encoder_dtype
    if types is None and not options.force_dtype:
        types = [types_of(bundle, *asked, say) for bundle in bundles]
    opened = []
    for k, (name, bundle) in enumerate(zip(options.models, bundles)):
        dtype, encoder_dtype = types[k] if types is not None else asked[1:]
        engine = {
            "device": options.device,
            "dtype": dtype,
            "encoder_dtype": encoder_dtype,
            "force_dtype": True,
            "store": options.stores[k] if options.stores else None,
            "window_store": windows,
        }
        source = ordered[id(sources[k])]
        opened.append(ServedModel(Path(name).name, bundle, source, assemblies[k], engine))
    return opened


def with_shared_encodings(models: Sequence[ServedModel], folder: Path) -> list[ServedModel]:
    """The same models, those without a store of encodings with one in a folder, so that what one
    process encodes is there for all. It keeps float32, which changes no number.
    """
    out = []
    for k, model in enumerate(models):
        if model.options["store"] is None and isinstance(model.bundle, Model):
            path = folder / f"encodings-{k}.h5"
            EncodingStore.open(
                path,
                model.bundle.model.encoder,
                model.source,
                model_name=model.bundle.spec.name,
                dtype="float32",
                encoder_dtype=model.options["encoder_dtype"],
            ).close()
            model = replace(model, options=model.options | {"store": path})
        out.append(model)
    return out


def _in_order_of_maps(
    source: SequenceSource, files: tuple[Path, ...], say: Callable[[str], None]
) -> SequenceSource:
    for order in map(map_chromsizes, files):
        if order is None:
            continue
        if not difference(order, source.chromsizes):
            return source
        ordered = OrderedGenome(source, order)
        if not difference(order, ordered.chromsizes):
            say(f"chromosomes in the order of the measured map: {', '.join(ordered.chromsizes)}")
            return ordered
    return source
