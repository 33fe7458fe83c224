"""The processes that predict for ``orca-cool serve -p N``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.process import PredictingProcess
from higlass_plugin.compute.urgent import Urgent
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.open_genomes import OpenGenomes
from higlass_plugin.registry.served import ServedModels, engines_of
from higlass_plugin.server.models import ServedModel, open_models
from higlass_plugin.server.options import ServeOptions
from orca_cool.model import heap
from orca_cool.prediction.device import resolve_device


@dataclass(frozen=True)
class Opened:
    """What a predicting process opens.

    Attributes
    ----------
    options : of the server, with the device of this process.
    types : number types of each model, as the server has chosen them.
    stores : of encodings, of each model; None of one that does not encode.
    """

    options: ServeOptions
    types: tuple[tuple[str, str], ...]
    stores: tuple[Path | None, ...]


def start_processes(
    options: ServeOptions, models: Sequence[ServedModel]
) -> list[PredictingProcess]:
    """Start ``options.nproc`` processes with the models of a server open. They take the GPUs of the
    machine in turn, or share the cores.
    """
    types = tuple((model.options["dtype"], model.options["encoder_dtype"]) for model in models)
    stores = tuple(model.options["store"] for model in models)
    threads = max(1, torch.get_num_threads() // options.nproc)
    return [
        PredictingProcess(
            open_genomes,
            Opened(replace(options, device=_device(options.device, k)), types, stores),
            threads,
        )
        for k in range(options.nproc)
    ]


def _device(wanted: str, number: int) -> str:
    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{number % torch.cuda.device_count()}"
    return wanted


def open_genomes(opened: Opened, urgent: Urgent) -> OpenGenomes:
    """Open the models, in the process that predicts."""
    heap.use_few_heaps()
    options, limits = opened.options, Limits(cache_bytes=opened.options.cache_bytes)
    # of top windows, of which the server itself has none then
    roots, served = Cache(limits.cache_bytes // 4 // options.nproc), ServedModels()
    models = open_models(options, lambda _: None, opened.types)
    for model, store in zip(models, opened.stores):
        engines = engines_of(model.bundle, model.source, **model.options | {"store": store})
        served.add(model.name, model.source.name, engines, model.assembly, roots, urgent)
    return OpenGenomes(served, roots, urgent, resolve_device(options.device), limits)
