"""Which module predicts which level, and how far from the diagonal: settled before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import ModelError
from orca_cool.model.spec import ModuleSpec
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.windows import grid, reach


@dataclass(frozen=True)
class Settings:
    """Choices of a prediction.

    Attributes
    ----------
    resolutions : levels to write, bp. fill_distance : bp out to which pixels are written, None =
        each level's band.
    modules : names of the modules to use, None = all that the resolutions need.
    mode, pseudo_depth : see :mod:`orca_cool.maps.coolfile`. trans : write inter-chromosomal maps at the
        coarsest level.
    """

    resolutions: tuple[int, ...]
    fill_distance: int | None = None
    modules: tuple[str, ...] | None = None
    mode: str = "regularised"
    pseudo_depth: float = 1e5
    trans: bool = False
    strand_difference: bool = False


@dataclass(frozen=True)
class Chain:
    """Levels from coarse to fine and the module that predicts each."""

    modules: tuple[ModuleSpec, ...]
    resolutions: tuple[int, ...]

    def of(self, module: ModuleSpec) -> list[int]:
        """Resolutions that ``module`` contributes, coarsest first."""
        return [r for r in self.resolutions if r in module.resolutions and self.owner(r) is module]

    def owner(self, resolution: int) -> ModuleSpec:
        """The first module, in the model's order, that predicts the resolution."""
        return next(m for m in self.modules if resolution in m.resolutions)


def chain(engine: Engine, settings: Settings) -> Chain:
    """Which module predicts which level. Levels coarser than those asked for are kept only where
    they lead down to one.

    The coarser levels of a module are its zoom's parents; a coarser module is used where a level
    asked for is its own, or where it fills what the finer one cannot reach and is asked for.
    """
    spec = engine.spec
    names = settings.modules or tuple(m.name for m in spec.modules)
    known = [spec.module(name) for name in names]
    modules = [m for m in spec.modules if m in known]
    offered = tuple(sorted({r for m in modules for r in m.resolutions}, reverse=True))
    every = Chain(tuple(modules), offered)
    used: set[int] = set()
    for resolution in settings.resolutions:
        if resolution not in offered:
            raise ModelError(
                f"none of the modules {', '.join(names)} predicts resolution {resolution}; "
                f"levels there: {sorted(offered)}"
            )
        used |= {r for r in every.of(every.owner(resolution)) if r >= resolution}
    return Chain(tuple(modules), tuple(sorted(used, reverse=True)))


def bands(
    engine: Engine, chain_: Chain, settings: Settings, lengths: Sequence[int]
) -> tuple[dict[int, int], dict[int, int]]:
    """Bins of distance that each level's mosaic holds, and that its file rows hold.

    The top level of all reaches a whole window only where one window covers every chromosome; else
    the distance that overlapping windows cover everywhere. Every finer level is filled from the
    coarser one out to its band.
    """
    bins = engine.spec.bins
    held: dict[int, int] = {}
    written: dict[int, int] = {}
    coarser: int | None = None
    for r in chain_.resolutions:
        want = max(bins, 0 if settings.fill_distance is None else -(-settings.fill_distance // r))
        if coarser is None:
            alone = all(len(grid(length, r, bins, top=True)) == 1 for length in lengths)
            held[r] = bins if alone else reach(bins)
        else:
            held[r] = (coarser // r) * (held[coarser] - 1) + 1
        written[r] = min(want, held[r])
        coarser = r
    need: dict[int, int] = {}
    finer: int | None = None
    for r in reversed(chain_.resolutions):
        below = 0 if finer is None else -(-need[finer] // (r // finer)) + 1
        need[r] = min(held[r], max(written[r], below))
        finer = r
    return need, written


def expected_for(engine: Engine, module: ModuleSpec, resolution: int, n: int) -> np.ndarray:
    """(n,) expected by distance; past an assembly module's table the smallest value holds (the
    paper's rule), else NaN.
    """
    expected_model = engine.expected(module)
    expected = expected_model.by_distance(resolution, n)
    if not module.multi_chromosome:
        return expected
    smallest = np.nanmin(expected) if expected_model.trans is None else expected_model.trans
    return np.where(np.isfinite(expected), expected, smallest)


def known_band(expected: np.ndarray, band: int) -> int:
    """Bins of distance, at most ``band``, for which the expected is known."""
    known = np.isfinite(expected[:band])
    return band if known.all() else int(np.argmin(known))
