"""Chromosomes laid end to end: the input of a module that reads several, and its second strand.

As Orca has it (``placement: start``), the second strand is the reverse complement of the whole
input: the chromosome whose map is predicted lies at the input's beginning on one strand and behind
the others on the other. With ``placement: centred`` it is turned in its own place instead: the
second strand is [rc(c), others] for [c, others]. A chromosome and its reverse complement then have
the same two inputs, hence one map. No I/O, no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orca_cool.errors import ModelError
from orca_cool.genome.regions import n_bins
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.prediction.windows import centred_on, concatenated_chromosomes, fill_with_chromosomes


def turns_in_place(spec: ModelDescription, module: ModuleSpec) -> bool:
    """Whether the second strand of a module's input has chromosomes turned in their own places."""
    return module.multi_chromosome and spec.placement == "centred"


def placed_sizes(spec: ModelDescription, source: SequenceSource) -> dict[str, int]:
    """Lengths in bp by which chromosomes are placed: where a model's placement is centred, those of
    the reference for an edited genome.
    """
    return {c: centred_on(spec, source, c) or n for c, n in source.chromsizes.items()}


def input_of(
    spec: ModelDescription,
    source: SequenceSource,
    module: ModuleSpec,
    unit: int,
    chrom: str,
    start: int = 0,
) -> list[Segment]:
    """The input of a module that reads several chromosomes, for the map of one: it, from ``start``
    bp on, then others until the window is full.

    Where chromosomes are turned in place it is rounded up to whole bins of the top level, with N
    behind it, so that it has the same bins on both strands; of an edited genome it takes the place
    of its reference at least, so that what follows stays where it is.

    Parameters
    ----------
    unit : bin of the expected in bp, to which others are rounded down (and the chromosome itself,
        where it is not turned in place).
    """
    top, sizes = module.resolutions[0], source.chromsizes
    window = spec.window(top)
    if not turns_in_place(spec, module):
        return concatenated_chromosomes(chrom, sizes, window, unit, start)
    placed = placed_sizes(spec, source)
    end = n_bins(max(placed[chrom], sizes[chrom]), top) * top
    first = Segment(chrom, start, min(end, start + window))
    return fill_with_chromosomes([first], placed, window, unit)


def input_around(
    spec: ModelDescription,
    source: SequenceSource,
    module: ModuleSpec,
    unit: int,
    chrom: str,
    position: int,
) -> tuple[int, list[Segment]]:
    """Where the input for a chromosome's map around a position begins on it, and the input
    (:func:`input_of`): on one longer than the window, the part around the position.

    Parameters
    ----------
    unit : bin of the expected in bp. position : in bp.

    Returns
    -------
    origin : in bp. segments : of the input.
    """
    window, length, origin = spec.window(module.resolutions[0]), source.chromsizes[chrom], 0
    if length > window:  # a fused chromosome, say
        origin = min(max(position - window // 2, 0), length - window) // unit * unit
    return origin, input_of(spec, source, module, unit, chrom, origin)


def input_of_pair(
    spec: ModelDescription,
    source: SequenceSource,
    module: ModuleSpec,
    unit: int,
    pair: tuple[Segment, Segment],
) -> list[Segment]:
    """The input for the contacts between stretches of two chromosomes: both, then others.

    Of an edited genome a whole chromosome takes the place of its reference at least, where
    chromosomes are turned in place and there is room.
    """
    top, sizes, pieces = module.resolutions[0], source.chromsizes, list(pair)
    window = spec.window(top)
    if not turns_in_place(spec, module):
        return fill_with_chromosomes(pieces, sizes, window, unit)
    placed = placed_sizes(spec, source)
    kept = [
        Segment(s.chrom, 0, max(s.end, n_bins(placed[s.chrom], top) * top))
        if s.start == 0 and s.end >= sizes[s.chrom]
        else s
        for s in pair
    ]
    if sum(map(len, kept)) <= window:
        pieces = kept
    return fill_with_chromosomes(pieces, placed, window, unit)


def turned(segments: Sequence[Segment], *which: int) -> list[Segment]:
    """Segments, those of these numbers as their reverse complement in their own place."""
    return [s.reverse_complement() if k in which else s for k, s in enumerate(segments)]


def second_strand(
    spec: ModelDescription, module: ModuleSpec, segments: Sequence[Segment] | None
) -> list[Segment] | None:
    """The second strand of the input for a chromosome's map, where it is not the reverse complement
    of the whole.
    """
    if segments is None or not turns_in_place(spec, module):
        return None
    return turned(segments, 0)


def inputs_of_pair(
    spec: ModelDescription, module: ModuleSpec, segments: list[Segment]
) -> list[tuple[list[Segment], list[Segment] | None]]:
    """The inputs whose maps are averaged for the contacts between the first two segments: both
    strands of each, where the second of None is the reverse complement of the whole.

    Where chromosomes are turned in place there are two, so that each of the two is read on either
    strand beside either strand of the other.
    """
    if not turns_in_place(spec, module):
        return [(segments, None)]
    return [(segments, turned(segments, 0, 1)), (turned(segments, 0), turned(segments, 1))]


def between(
    maps: Sequence[tuple[np.ndarray, np.ndarray]], bins: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """The contacts between the first two segments of an input, from the maps of its inputs.

    Parameters
    ----------
    maps : for each of :func:`inputs_of_pair` the mean of its two strands and half their difference,
        (bins, bins) each.
    bins : of the two segments.

    Returns
    -------
    values, strand_difference : (bins of the first, bins of the second). Of two inputs the mean and
        the standard deviation of all four strands.
    """
    a, b = bins
    blocks = [[y[:a, a : a + b] for y in one] for one in maps]
    values, strand_difference = blocks[0]
    if len(blocks) == 1:
        return values, strand_difference
    across, spread = (y[::-1] for y in blocks[1])
    half = 0.5 * (values - across)
    difference: np.ndarray = np.sqrt(0.5 * (strand_difference**2 + spread**2) + half**2)
    return 0.5 * (values + across), difference


def mirrored(
    segments: Sequence[Segment], other: Sequence[Segment], resolution: int, start: int, bins: int
) -> tuple[int, np.ndarray | None]:
    """Where a window lies on the strand on which some segments are turned in their own place.

    A window inside such a segment has its mirror image inside it. One that holds it whole stays
    where it is, and only the segment's bins change places. Plans and zooms have no others: windows
    are kept inside the chromosome where it is long enough, and begin with it where it is not.

    Parameters
    ----------
    segments, other : the input on both strands; those that differ are turned.
    resolution, start, bins : of the window: in bp, from the start of the input.

    Returns
    -------
    start : of the window on the other strand, in bins.
    order : (bins,) which of its bins there are the window's bins here, in turn; the same the other
        way round. None: all of them, backwards.

    Raises
    ------
    ModelError
        If the window ends in the midst of a segment that is turned, and begins outside it.
    """
    order, end = np.arange(bins), 0
    for here, there in zip(segments, other):
        begin, end = end, end + len(here)
        if here == there:
            continue
        a, b = begin // resolution - start, end // resolution - start
        if a <= 0 and bins <= b:
            return start + a + b - bins, None
        if 0 <= a and b <= bins:
            order[a:b] = order[a:b][::-1].copy()
        elif a < bins and b > 0:
            raise ModelError(
                f"the window of {bins} bins of {resolution} bp from bin {start} of its input ends "
                f"in the midst of {here}, which has no mirror image; keep it inside {here.chrom}"
            )
    return start, order
