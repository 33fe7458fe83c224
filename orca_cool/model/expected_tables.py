"""Which of a model's expected tables a module's maps are relative to."""

from __future__ import annotations

from collections.abc import Mapping

from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.network_spec import ModuleSpec


def choose_table(
    tables: Mapping[int, ExpectedModel], module: ModuleSpec, base_bin: int
) -> ExpectedModel | None:
    """The table that a module's levels are relative to, None if there is none.

    A module of several chromosomes (256M) has the coarsest table that carries a trans value; a
    one-shot module (1M) the finest that averages to its bin (1 kb in the released models); any
    other the table at the base bin.
    """
    if module.multi_chromosome:
        fits = [
            r for r, b in tables.items() if b.trans is not None and module.resolutions[-1] % r == 0
        ]
        return tables[max(fits)] if fits else None
    if module.decoder is None:
        fits = [r for r in tables if module.resolutions[-1] % r == 0]
        return tables[min(fits)] if fits else None
    return tables.get(base_bin)
