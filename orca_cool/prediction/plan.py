"""The plan of a prediction: its steps, what each costs, and how they are shared among workers.

A step is one top window with all windows below it, or one pair of chromosome pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.model.spec import ModelSpec, ModuleSpec
from orca_cool.prediction.levels import Chain, Settings
from orca_cool.prediction.windows import Window, by_root, plan

Progress = Callable[[int, int], None]

#: Encoding so many bp costs about as much as decoding one pixel of a window (released sizes). Used
#: for balance alone.
PIXEL_BP = 10


@dataclass(frozen=True)
class Step:
    """One root window with what lies below it, or a pair of chromosome pieces (``pair``, with one
    window).

    ``pending``: by resolution, the first window still to come in the region. ``first``, ``last``:
    of its region. ``taken``: end in bp of the region before it on the same chromosome, 0 if there
    is none.
    """

    number: int
    module: ModuleSpec
    levels: list[list[Window]]
    region: Region | None = None
    pending: dict[int, int | None] | None = None
    first: bool = False
    last: bool = False
    taken: int = 0
    pair: tuple[Segment, Segment] | None = None

    def __len__(self) -> int:
        """Windows."""
        return sum(len(level) for level in self.levels)


@dataclass(frozen=True)
class Plan:
    """All that a prediction will do.

    Attributes
    ----------
    need, written : bins of distance that each level's mosaic holds, and that its file rows hold.
    identity : everything that decides the result: the settings of the work folder.
    """

    spec: ModelSpec
    regions: list[Region]
    settings: Settings
    chain: Chain
    need: dict[int, int]
    written: dict[int, int]
    steps: list[Step]
    identity: dict[str, Any]

    def __len__(self) -> int:
        """Windows."""
        return sum(len(step) for step in self.steps)


def root_steps(
    spec: ModelSpec, chromsizes: dict[str, int], regions: Sequence[Region], chain: Chain
) -> list[Step]:
    """A step for each root window of each region, coarser modules first: the finer levels are
    filled from them.
    """
    steps: list[Step] = []
    for region, before in zip(regions, [None, *regions]):
        taken = before.end if before is not None and before.chrom == region.chrom else 0
        roots = []
        for module in reversed(chain.modules):  # modules are listed finest first
            mine = chain.of(module)
            if mine:
                below = [r for r in module.resolutions if r >= min(mine)]
                levels = plan(chromsizes[region.chrom], below, spec.bins, region.start, region.end)
                roots += [(module, root) for root in by_root(levels)]
        roots.sort(
            key=lambda item: -item[0].resolutions[0]
        )  # stable: roots stay in order within a module
        pending: dict[int, int | None] = dict.fromkeys(chain.resolutions)
        reverse = []
        for k, (module, levels) in reversed(list(enumerate(roots))):
            reverse.append((module, levels, dict(pending), k))
            for window in (
                w for level in levels for w in level if chain.owner(w.resolution) is module
            ):
                known = pending[window.resolution]
                pending[window.resolution] = (
                    window.start if known is None else min(known, window.start)
                )
        for module, levels, later, k in reversed(reverse):
            steps.append(
                Step(len(steps), module, levels, region, later, k == 0, k == len(roots) - 1, taken)
            )
    return steps


def costs(spec: ModelSpec, steps: Sequence[Step]) -> list[float]:
    """Relative cost of each step after the ones before it: its windows, and the sequence that it is
    the first to encode.
    """
    out, known = [], ("", 0)
    for step in steps:
        top = step.module.resolutions[0]
        new = spec.window(top)
        if step.region is not None and not step.module.multi_chromosome:
            end = step.levels[0][0].start * top + new
            if known[0] == step.region.chrom:
                new = min(new, max(0, end - known[1]))
            known = (step.region.chrom, max(end, known[1] if known[0] == step.region.chrom else 0))
        out.append(len(step) + new / (PIXEL_BP * spec.bins**2))
    return out


def slices(cost: Sequence[float], n: int) -> list[range]:
    """``n`` contiguous ranges (some possibly empty) that cover all steps once; none costs more than
    its fair share plus one step.
    """
    total = float(sum(cost))
    middles = np.cumsum(cost) - np.asarray(cost, float) / 2
    owner = (
        np.minimum((n * middles / total).astype(int), n - 1)
        if total > 0
        else np.zeros(len(cost), int)
    )
    edges = np.searchsorted(owner, np.arange(n + 1))
    return [range(int(a), int(b)) for a, b in zip(edges, edges[1:])]


def split(spec: ModelSpec, steps: Sequence[Step], n: int) -> list[list[Step]]:
    """Steps in ``n`` contiguous runs of about the same cost; neighbours, which share encodings,
    stay together.
    """
    return [[steps[i] for i in part] for part in slices(costs(spec, steps), n)]
