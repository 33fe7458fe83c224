"""The models that a server predicts genomes with, each with its cell types."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.urgent import Urgent
from higlass_plugin.registry.address import Address, UrlError
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.source import SequenceSource
from orca_cool.model.bundle import Model
from orca_cool.model.window_model import WindowModel
from orca_cool.prediction.engine import Engine, make_engine
from orca_cool.prediction.number_types import FLOAT32, chosen
from orca_cool.prediction.orca_engine import OrcaEngine

logger = logging.getLogger(__name__)


def engines_of(
    model: WindowModel,
    source: SequenceSource,
    *,
    dtype: str = FLOAT32,
    encoder_dtype: str = FLOAT32,
    force_dtype: bool = False,
    say: Callable[[str], None] = logger.warning,
    **options: Any,
) -> dict[str, Engine]:
    """The engines of a model on a genome by cell type, {"": engine} of a model of a single map.
    They share networks and encodings.

    Parameters
    ----------
    model : if one of its cell types is chosen, the engine of that one is made.
    dtype, encoder_dtype, force_dtype : see :class:`orca_cool.prediction.job.Job`.
    say : told what becomes of number types that are slower than float32.
    options : further arguments of :func:`~orca_cool.prediction.engine.make_engine`.
    """
    if not force_dtype:
        device = options.get("device", "auto")
        dtype, encoder_dtype = types_of(model, device, dtype, encoder_dtype, say)
    options |= {"dtype": dtype, "encoder_dtype": encoder_dtype}
    if not isinstance(model, Model) or not model.spec.cell_types:
        return {"": make_engine(model, source, **options)}
    names = (model.spec.cell_type,) if model.spec.cell_type else model.spec.cell_types
    first = make_engine(model.for_cell_type(names[0]), source, **options)
    return {name: for_cell_type(first, name) for name in names}


def types_of(
    model: WindowModel, device: str, dtype: str, encoder_dtype: str, say: Callable[[str], None]
) -> tuple[str, str]:
    """Number types of decoders and encoder: those that are asked for, or float32 where they are
    slower, which ``say`` is told.
    """
    types = chosen(model, device, dtype, encoder_dtype)
    for line in types.told:
        say(line)
    return types.dtype, types.encoder_dtype


def for_cell_type(engine: Engine, name: str) -> Engine:
    """The same engine for a cell type; itself if ``name`` is "", of a model of a single map."""
    if not name:
        return engine
    assert isinstance(engine, OrcaEngine)  # no other has several maps of a window
    return engine.for_cell_type(name)


class ServedModels:
    """Models on genomes by the names that ``orca://`` URLs call them, and their cell types."""

    def __init__(self) -> None:
        self._served: dict[tuple[str, str], dict[str, PredictedGenome]] = {}

    def add(
        self,
        model: str,
        genome: str,
        engines: dict[str, Engine],
        assembly: str,
        roots: Cache,
        urgent: Urgent,
    ) -> None:
        """Serve a model on a genome.

        Parameters
        ----------
        model, genome : their names. engines : by cell type, see :func:`engines_of`.
        assembly, roots, urgent : see :class:`~higlass_plugin.compute.units.PredictedGenome`.

        Raises
        ------
        OrcaCoolError
            If a model and a genome of these names are served.
        """
        if (model, genome) in self._served:
            raise OrcaCoolError(f"model {model!r} on genome {genome!r} is served twice")
        made: dict[str, PredictedGenome] = {}
        for cell_type, engine in engines.items():
            name = f"{model}/{genome}" + (f" ({cell_type})" if cell_type else "")
            like = next(iter(made.values()), None)
            url = str(Address(model, genome, cell_type=cell_type))
            made[cell_type] = PredictedGenome(
                engine, name, assembly, roots, urgent, like=like, url=url
            )
        self._served[model, genome] = made

    def names(self) -> list[tuple[str, str]]:
        """(model, genome) names."""
        return list(self._served)

    def cell_types(self, model: str, genome: str) -> list[str]:
        """The cell types of a model of several that are served; of any other model none."""
        return [name for name in self._served[model, genome] if name]

    def each(self) -> Iterator[tuple[str, str, PredictedGenome]]:
        """Names of model and genome, and the predictions of the reference for its first cell type,
        whose engine shares encodings with those of the others.
        """
        for (model, genome), by_cell_type in self._served.items():
            yield model, genome, next(iter(by_cell_type.values()))

    def reference(
        self, model: str | None = None, genome: str | None = None, cell_type: str | None = None
    ) -> Address:
        """The address of a reference's map; None or "" is any, and the first is taken.

        Raises
        ------
        UrlError
            If there is none.
        """
        error = self._not_served(model, genome)
        for m, g in self._served:
            if (not model or model == m) and (not genome or genome == g):
                first = next(iter(self._served[m, g]))
                try:
                    return self.canonical(Address(m, g, cell_type=cell_type or first))
                except UrlError as found:
                    error = found
        raise error

    def canonical(self, address: Address) -> Address:
        """An address as its uid is made of it: of a model of several cell types with one, of any
        other model without.

        Raises
        ------
        UrlError
            If the model is not served on the genome, has not that cell type, or has several and
            none is named.
        """
        by_cell_type = self._served.get((address.model, address.genome))
        if by_cell_type is None:
            raise self._not_served(address.model, address.genome)
        named, known = address.cell_type, list(by_cell_type)
        if named in by_cell_type:
            return address
        if "" in by_cell_type:
            known = list(filter(None, [by_cell_type[""].engine.spec.cell_type]))
            if named in known:
                return replace(address, cell_type="")
        have = ", ".join(known) or "none named"
        if not named:
            raise UrlError(
                f"model {address.model!r} has several cell types; add cell_type=NAME, one of: "
                f"{have}"
            )
        raise UrlError(f"model {address.model!r} has no cell type {named[:100]!r}; it has: {have}")

    def predicted(self, address: Address) -> PredictedGenome:
        """The predictions of the reference of an address that is canonical."""
        return self._served[address.model, address.genome][address.cell_type]

    def is_served(self, address: Address) -> bool:
        """Whether an address is canonical, and of what is served."""
        return address.cell_type in self._served.get((address.model, address.genome), {})

    def _not_served(self, model: str | None, genome: str | None) -> UrlError:
        served = ", ".join(f"{m}/{g}" for m, g in self._served) or "none"
        return UrlError(
            f"model {str(model)[:100]!r} on genome {str(genome)[:100]!r} is not served here; "
            f"served: {served}"
        )
