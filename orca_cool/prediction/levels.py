"""Which module predicts which level, and how far from the diagonal: settled before anything
runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import ModelError
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.windows import one_window_holds, reach


@dataclass(frozen=True)
class Settings:
    """Choices of a prediction.

    Attributes
    ----------
    resolutions : levels to write, bp.
    fill_distance : bp out to which pixels are written; None: each level's band.
    modules : names of the modules to use; None: all that the resolutions need.
    mode, pseudo_depth : see :mod:`orca_cool.maps.coolfile`.
    trans : write inter-chromosomal maps at the coarsest level.
    strand_difference : write half the absolute difference of the two strands' predictions.
    """

    resolutions: tuple[int, ...]
    fill_distance: int | None = None
    modules: tuple[str, ...] | None = None
    mode: str = "regularised"
    pseudo_depth: float = 1e5
    trans: bool = False
    strand_difference: bool = False


@dataclass(frozen=True)
class LevelAssignment:
    """Which module predicts which level.

    Attributes
    ----------
    modules : in the model's order; of several that offer a resolution the first predicts it.
    resolutions : of the levels in bp, coarsest first.
    """

    modules: tuple[ModuleSpec, ...]
    resolutions: tuple[int, ...]

    def resolutions_of(self, module: ModuleSpec) -> list[int]:
        """Resolutions that ``module`` predicts, coarsest first."""
        return [
            r for r in self.resolutions if r in module.resolutions and self.module_of(r) is module
        ]

    def module_of(self, resolution: int) -> ModuleSpec:
        """The module that predicts the resolution."""
        return next(m for m in self.modules if resolution in m.resolutions)


def assign_levels(spec: ModelDescription, settings: Settings) -> LevelAssignment:
    """Decide which module predicts which level.

    Levels coarser than those asked for are kept only where they lead down to one: the coarser
    levels of a module are the parents of its finer ones. A coarser module is used where a level
    asked for is its own, or where it fills what the finer one cannot reach and is asked for.

    Raises
    ------
    ModelError
        If a level is asked for that none of the modules predicts.
    """
    names = settings.modules or tuple(m.name for m in spec.modules)
    known = [spec.module(name) for name in names]
    modules = tuple(m for m in spec.modules if m in known)
    offered = tuple(sorted({r for m in modules for r in m.resolutions}, reverse=True))
    every = LevelAssignment(modules, offered)
    used: set[int] = set()
    for resolution in settings.resolutions:
        if resolution not in offered:
            raise ModelError(
                f"none of the modules {', '.join(names)} predicts resolution {resolution}; "
                f"levels there: {sorted(offered)}"
            )
        module = every.module_of(resolution)
        used |= {r for r in every.resolutions_of(module) if r >= resolution}
    return LevelAssignment(modules, tuple(sorted(used, reverse=True)))


def bands(
    bins: int,
    assignment: LevelAssignment,
    settings: Settings,
    lengths: Sequence[int],
    centred: Sequence[int | None] = (),
) -> tuple[dict[int, int], dict[int, int]]:
    """How many bins of distance, from the diagonal on, each level reaches.

    The top level of all reaches a whole window only where one window covers every chromosome; else
    the distance that overlapping windows cover everywhere. Every finer level is filled from the
    coarser one out to its band.

    Parameters
    ----------
    bins : of a window.
    lengths : of the chromosomes, bp.
    centred : for each chromosome, see :func:`centred_on`; default: none is.

    Returns
    -------
    held, written : by resolution, bins of distance that the mosaic holds (the finer levels read
        them), and that the file's rows hold.
    """
    possible: dict[int, int] = {}
    written: dict[int, int] = {}
    coarser: int | None = None
    for r in assignment.resolutions:
        want = max(bins, 0 if settings.fill_distance is None else -(-settings.fill_distance // r))
        if coarser is None:
            laid = assignment.module_of(r).multi_chromosome
            each = zip(lengths, centred or [None] * len(lengths))
            alone = all(one_window_holds(length, r, bins, c, laid) for length, c in each)
            possible[r] = bins if alone else reach(bins)
        else:
            possible[r] = (coarser // r) * (possible[coarser] - 1) + 1
        written[r] = min(want, possible[r])
        coarser = r
    held: dict[int, int] = {}
    finer: int | None = None
    for r in reversed(assignment.resolutions):
        below = 0 if finer is None else -(-held[finer] // (r // finer)) + 1
        held[r] = min(possible[r], max(written[r], below))
        finer = r
    return held, written


def expected_for(engine: Engine, module: ModuleSpec, resolution: int, n: int) -> np.ndarray:
    """Expected contact frequency at distances 0 .. n-1 bins, float64 (n,).

    Past the table's end it is NaN; for a module that reads several chromosomes the smallest value
    holds there (the paper's rule).
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
