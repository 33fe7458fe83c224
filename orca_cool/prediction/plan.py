"""The plan of a prediction: its steps, what each costs, and how they are shared among workers.

A step is one top window with all windows below it, or one pair of stretches of two chromosomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.prediction.end_to_end import turns_in_place
from orca_cool.prediction.levels import LevelAssignment, Settings
from orca_cool.prediction.windows import Window, by_root, centred_on, plan

#: Called with (windows done, windows in all).
Progress = Callable[[int, int], None]

#: Encoding so many bp costs about as much as decoding one pixel of a window (released sizes). Used
#: for balance alone.
PIXEL_BP = 10


@dataclass(frozen=True)
class Step:
    """A unit of work: one top window of a region with what lies below it, or a pair of stretches of
    two chromosomes.

    Attributes
    ----------
    number : place in the plan.
    levels : windows level by level, coarsest first; of a pair the one window that holds both.
    region : that the windows are predicted for; None for a pair.
    next_starts : by resolution, first bin of the first window that a later step of the region will
        bring, None if there is none: rows before it are finished.
    first, last : of its region.
    previous_end : end in bp of the region before it on the same chromosome, 0 if there is none: a
        coarse bin that both share belongs to the earlier one.
    pair : the two stretches, for contacts between chromosomes.
    """

    number: int
    module: ModuleSpec
    levels: list[list[Window]]
    region: Region | None = None
    next_starts: dict[int, int | None] | None = None
    first: bool = False
    last: bool = False
    previous_end: int = 0
    pair: tuple[Segment, Segment] | None = None

    def __len__(self) -> int:
        """Windows."""
        return sum(len(level) for level in self.levels)


@dataclass(frozen=True)
class Plan:
    """All that a prediction will do.

    Attributes
    ----------
    assignment : which module predicts which level.
    held, written : by resolution, bins of distance that the mosaic holds, and that the file's rows
        hold.
    identity : everything that decides the result; an unfinished run is recognised by it.
    """

    spec: ModelDescription
    regions: list[Region]
    settings: Settings
    assignment: LevelAssignment
    held: dict[int, int]
    written: dict[int, int]
    steps: list[Step]
    identity: dict[str, Any]

    def __len__(self) -> int:
        """Windows."""
        return sum(len(step) for step in self.steps)


def root_steps(
    spec: ModelDescription,
    source: SequenceSource,
    regions: Sequence[Region],
    assignment: LevelAssignment,
) -> list[Step]:
    """A step for each root window of each region, coarser modules first: the finer levels are
    filled from them.
    """
    steps: list[Step] = []
    for region, before in zip(regions, [None, *regions]):
        same = before is not None and before.chrom == region.chrom
        previous_end = before.end if before is not None and same else 0
        roots = _roots(spec, source, region, assignment)
        later = _next_starts(roots, assignment)
        for k, ((module, levels), next_starts) in enumerate(zip(roots, later)):
            first, last = k == 0, k == len(roots) - 1
            steps.append(
                Step(len(steps), module, levels, region, next_starts, first, last, previous_end)
            )
    return steps


#: A module, and the windows of one of its roots, level by level.
_RootWindows = tuple[ModuleSpec, list[list[Window]]]


def _roots(
    spec: ModelDescription, source: SequenceSource, region: Region, assignment: LevelAssignment
) -> list[_RootWindows]:
    """The root windows of a region, coarser modules first."""
    roots = []
    for module in reversed(assignment.modules):  # modules are listed finest first
        own = assignment.resolutions_of(module)
        if own:
            down_to = [r for r in module.resolutions if r >= min(own)]
            length = source.chromsizes[region.chrom]
            centred = centred_on(spec, source, region.chrom)
            laid = module.multi_chromosome
            levels = plan(length, down_to, spec.bins, region.start, region.end, centred, laid)
            roots += [(module, root) for root in by_root(levels)]
    # the order is stable: roots stay in order within a module
    return sorted(roots, key=lambda item: -item[0].resolutions[0])


def _next_starts(
    roots: Sequence[_RootWindows], assignment: LevelAssignment
) -> list[dict[int, int | None]]:
    """For each root, by resolution, where the first window of a later root begins."""
    later: dict[int, int | None] = dict.fromkeys(assignment.resolutions)
    out = []
    for module, levels in reversed(roots):
        out.append(dict(later))
        for window in (w for level in levels for w in level):
            if assignment.module_of(window.resolution) is module:
                known = later[window.resolution]
                later[window.resolution] = (
                    window.start if known is None else min(known, window.start)
                )
    return out[::-1]


def inputs_of_step(spec: ModelDescription, step: Step) -> int:
    """Inputs that each window of a step is predicted from, on two strands each: two for a pair
    whose chromosomes are turned in place, else one.
    """
    return 2 if step.pair is not None and turns_in_place(spec, step.module) else 1


def costs(spec: ModelDescription, steps: Sequence[Step]) -> list[float]:
    """Relative cost of each step after the ones before it: its windows, and the sequence that it is
    the first to encode.
    """
    out: list[float] = []
    chrom, encoded_to = "", 0
    for step in steps:
        top = step.module.resolutions[0]
        new = spec.window(top)
        if step.region is not None and not step.module.multi_chromosome:
            end = step.levels[0][0].start * top + new
            if step.region.chrom == chrom:
                new = min(new, max(0, end - encoded_to))
                encoded_to = max(end, encoded_to)
            else:
                chrom, encoded_to = step.region.chrom, end
        inputs = inputs_of_step(spec, step)
        out.append(inputs * (len(step) + new / (PIXEL_BP * spec.bins**2)))
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


def split(spec: ModelDescription, steps: Sequence[Step], n: int) -> list[list[Step]]:
    """Steps in ``n`` contiguous runs of about the same cost; neighbours, which share encodings,
    stay together.
    """
    return [[steps[i] for i in part] for part in slices(costs(spec, steps), n)]
