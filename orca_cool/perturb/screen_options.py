"""What the options of every screen mean: the level that is screened, and what does not count."""

from __future__ import annotations

import numpy as np

from orca_cool.errors import ModelError, RegionError
from orca_cool.genome.regions import interval_of
from orca_cool.genome.source import SequenceSource
from orca_cool.genome.textfile import TextFile
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription


def chosen_level(
    spec: ModelDescription, name: str | None, level: str | int | None, kind: str
) -> tuple[ModuleSpec, int]:
    """The module and the resolution of the level that is screened.

    Parameters
    ----------
    name : of the module; None: the model's first.
    level : its resolution or window, as text; None: the module's finest.
    kind : of screen, for messages: "local".

    Raises
    ------
    ModelError
        If the model has no such module or level, or the module reads several chromosomes.
    """
    module = spec.module(name) if name else spec.modules[0]
    if module.multi_chromosome:
        raise ModelError(
            f"module {module.name!r} reads several chromosomes; a screen ({kind}) needs one of a "
            f"single chromosome"
        )
    resolution = module.resolutions[-1] if level is None else spec.parse_level(level)
    if resolution not in module.resolutions:
        raise ModelError(
            f"level {level!r} is not of module {module.name!r}; levels there: "
            f"{list(module.resolutions)}"
        )
    return module, resolution


def read_mask(path: str | None, source: SequenceSource) -> dict[str, np.ndarray]:
    """Masked intervals (bp) of each chromosome of a BED: (n, 2) starts and ends.

    Parameters
    ----------
    path : None: nothing is masked.

    Raises
    ------
    RegionError
        If the file cannot be read, or an interval is not in the genome; the message quotes it.
    """
    if path is None:
        return {}
    found: dict[str, list[tuple[int, int]]] = {}
    for row in TextFile(path, "mask", RegionError).rows():
        region = interval_of(row, source.chromsizes, may_overhang=True)
        found.setdefault(region.chrom, []).append((region.start, region.end))
    return {chrom: np.array(rows) for chrom, rows in found.items()}
