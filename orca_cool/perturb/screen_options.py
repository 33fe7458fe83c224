"""What the options of every screen mean: the level that is screened, what does not count, and what
of it is told in the files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool import __version__
from orca_cool.errors import EditError, ModelError, RegionError
from orca_cool.files import sha256
from orca_cool.genome.regions import interval_of, suggestion
from orca_cool.genome.source import SequenceSource
from orca_cool.genome.textfile import STANDARD_INPUT, TextFile, standard_input
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription

if TYPE_CHECKING:
    from orca_cool.perturb.screen_local import Level
    from orca_cool.prediction.job import Opened

#: Of the journal of an unfinished screen.
WORK_FORMAT = "orca-cool.unfinished-screen"

#: Of which strands the maps are taken: the mean of both, or the forward one's.
STRANDS = ("both", "forward")


def require_known(option: str, value: str, known: Collection[str]) -> None:
    """EditError that quotes the value of an option if it is none of those that are known."""
    if value not in known:
        raise EditError(f"{option} {value!r} is not known; use one of {', '.join(known)}")


def check_drawing(seed: int, reencode: bool) -> None:
    """EditError if a seed is negative, or encodings are not to be used again."""
    if seed < 0:
        raise EditError(f"--seed {seed} is negative; give a whole number from 0")
    if reencode:
        raise EditError("a screen re-uses encodings; --reencode means nothing to it")


def chosen_level(
    spec: ModelDescription, name: str | None, level: str | int | None
) -> tuple[ModuleSpec, int]:
    """The module and the resolution of the level that is screened.

    Parameters
    ----------
    name : of the module; None: the model's first.
    level : its resolution or window, as text; None: the module's finest.

    Raises
    ------
    ModelError
        If the model has no such module or level.
    """
    module = spec.module(name) if name else spec.modules[0]
    resolution = module.resolutions[-1] if level is None else spec.parse_level(level)
    if resolution not in module.resolutions:
        raise ModelError(
            f"level {level!r} is not of module {module.name!r}; levels there: "
            f"{list(module.resolutions)}"
        )
    return module, resolution


def level_between(
    spec: ModelDescription, name: str | None, level: str | int | None
) -> tuple[ModuleSpec, int]:
    """The module and the resolution of its level between chromosomes: the top one.

    Parameters
    ----------
    name : of the module; None: the first that reads several chromosomes.
    level : its resolution or window, as text; None: the top level.

    Raises
    ------
    ModelError
        If the model has no such module, or the level is another.
    """
    able = [m for m in spec.modules if m.multi_chromosome]
    module = spec.module(name) if name else next(iter(able), None)
    if module is None or not module.multi_chromosome:
        names = ", ".join(m.name for m in able)
        which = f"model {spec.name!r} has none"
        if names:
            which = f"module {name!r} reads one; of model {spec.name!r} {names} could"
        raise ModelError(f"--between needs a module that reads several chromosomes; {which}")
    top = module.resolutions[0]
    if level is not None and spec.parse_level(level) != top:
        raise ModelError(
            f"level {str(level)!r}: contacts between chromosomes are of the level {top} of module "
            f"{module.name!r} alone"
        )
    return module, top


def check_between(chrom: str | None, chromsizes: Mapping[str, int]) -> None:
    """RegionError that quotes the chromosome of --between if a genome has none of that name."""
    if chrom is not None and chrom not in chromsizes:
        raise RegionError(
            f"--between {chrom!r}: there is no such chromosome; {suggestion(chrom, chromsizes)}"
        )


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


def common_settings(opened: Opened, level: Level) -> dict[str, Any]:
    """What the scores of every screen depend on, as plain values: the version, the genome and the
    level.
    """
    sizes = repr(dict(opened.source.chromsizes)).encode()
    return {
        "orca_cool": __version__,
        "genome": opened.source.name,
        "assembly": opened.file_assembly,
        "chromsizes_sha256": hashlib.sha256(sizes).hexdigest(),
        "module": level.module.name,
        "resolution": level.resolution,
        "strands": level.strands,
    }


def digest_of(path: str | None) -> str | None:
    """SHA-256 of a file of an option, or of standard input ("-"); None: there is none."""
    if path == STANDARD_INPUT:
        return hashlib.sha256(standard_input()).hexdigest()
    return None if path is None else sha256(path)
