"""What a window of one level is compared with, and which windows hold enough of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from orca_cool.genome.segments import Segment
from orca_cool.maps.observed import block_mean, log_ratio
from orca_cool.train.batch import Batch
from orca_cool.train.draw import cut_square, n_inside
from orca_cool.train.settings import Stage

if TYPE_CHECKING:
    from orca_cool.train.samples import StageData


@dataclass(frozen=True)
class LevelTarget:
    """A map in a window of one level.

    Attributes
    ----------
    observed : (bins, bins) contact frequency, NaN where unknown.
    expected : (bins, bins).
    eps : frequency that is added to both before the logarithm.
    found : share of the window's pixels that the map has at its own resolution.
    """

    observed: np.ndarray
    expected: np.ndarray
    eps: float
    found: float

    @property
    def log_ratio(self) -> np.ndarray:
        """(bins, bins) float32 log observed/expected."""
        return log_ratio(self.observed, self.expected, self.eps)


def level_target(
    data: StageData,
    name: str,
    pieces: tuple[Segment, ...],
    resolution: int,
    start: int,
    whole: np.ndarray | None = None,
) -> LevelTarget:
    """A map in a window of one level.

    Parameters
    ----------
    name : of the map. pieces : where the top window lies.
    start : bins from the start of the top window.
    whole : the map in the top window at its own resolution, if that is known.
    """
    assert data.module is not None
    observed, table = data.observed[name], data.expected_tables[name]
    bins, r = data.spec.bins, resolution
    f = r // observed.resolution
    if whole is None:
        fine = observed.assembled(pieces, start * r, (start + bins) * r)
    else:
        fine = cut_square(whole, start * f, bins * f)
    mean = block_mean(fine, f, data.block_missing)
    if data.module.multi_chromosome:
        segments = [(p.chrom, p.start, p.end, p.strand) for p in pieces]
        e = table.assembled(r, segments, start * r, bins)
    else:
        e = data.expected_matrix(name, r)
    eps = data.module.window_eps(table.eps(r, bins), e)
    return LevelTarget(mean, e, eps, float(np.isfinite(fine).mean()))


def enough(
    stage: Stage, top: list[LevelTarget], inside: tuple[int, int], resolution: int, held: bool
) -> bool:
    """Whether enough of a window is measured, by the stage's ``missing`` (in training) or
    ``validation_missing`` and ``missing_of``, in all of some maps.

    Parameters
    ----------
    top : of the top level, whose bin is ``resolution`` bp; by map.
    inside : ``[start, end)`` in bp of the window that lies in chromosomes.
    held : of validation.
    """
    allowed = stage.validation_missing if held else stage.missing
    if stage.missing_of == "map":
        return min(t.found for t in top) >= max(1 - allowed, np.finfo(float).tiny)
    there = n_inside(inside, resolution, len(top[0].observed))
    least = max(1.0, (1 - allowed) * there**2)
    return bool(there) and min(int(np.isfinite(t.observed).sum()) for t in top) >= least


def with_common_eps(batch: Batch, smallest: Callable[[Tensor], Tensor]) -> Batch:
    """A batch whose targets are contact frequencies -> one whose targets are log observed/expected,
    with one eps for each level: the smallest expected of all the windows.

    Parameters
    ----------
    smallest : the smallest of a number over all ranks.
    """
    targets = {}
    for r, observed in batch.targets.items():
        expected = batch.expected[r].double().exp()
        eps = smallest(expected.min())
        targets[r] = torch.log((observed.double() + eps) / (expected + eps)).float()
    return batch.with_targets(targets)
