"""Pure window planning: which windows at which level cover a region, and which window is whose
parent.

Files and HiGlass tiles use the same plan, so that a tile is a slice of the file. Windows
of every level lie on a grid fixed by the chromosome alone (never by the region asked for), at steps
of about half a window (a quarter at the top) that are whole bins of the parent level. No I/O, no
torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orca_cool.genome.regions import n_bins
from orca_cool.genome.segments import Segment


@dataclass(frozen=True)
class Window:
    """``bins`` bins of ``resolution`` bp from bin ``start`` of the chromosome.

    ``parent`` and ``root`` are the starts (in their own bins) of the window one level up, whose map
    is handed down, and of the top window, whose sequence context is used.
    """

    resolution: int
    start: int
    parent: int | None
    root: int


def step(bins: int, top: bool = False) -> int:
    """Distance in bins between windows of a level: half a window, rounded down to whole bins of the
    parent.

    The top level, which nothing coarser can fill or blend, goes by quarters: its windows are few
    and reach further so.
    """
    return 2 * (bins // 8) if top else 2 * (bins // 4)


def ramp(bins: int) -> int:
    """Bins over which a window's weight rises from its edge."""
    return max(1, bins // 8)


def reach(bins: int) -> int:
    """Distances below this many bins are predicted without a seam by overlapping top windows,
    wherever the pair lies.

    Below ``bins - step + 1`` some window holds the pair; one ramp less, and neighbouring windows
    share enough of it to blend.
    """
    return bins - step(bins, top=True) + 1 - ramp(bins)


def grid(length: int, resolution: int, bins: int, top: bool = False) -> list[int]:
    """First bins of all windows of a level on a chromosome of ``length`` bp.

    The last window is moved left so that it ends with the chromosome (it overhangs by less than one
    parent bin); a window larger than the chromosome starts at 0 and overhangs.
    """
    over = n_bins(length, resolution) - bins
    last = max(0, 2 * (-(-over // 2)))
    return [*range(0, last, step(bins, top)), last]


def plan(
    length: int, resolutions: Sequence[int], bins: int, start: int = 0, end: int | None = None
) -> list[list[Window]]:
    """Windows that predict ``[start, end)`` of a chromosome, level by level.

    Parameters
    ----------
    length : of the chromosome in bp.
    resolutions : of the levels in bp, coarsest first, each half of the one before.
    bins : bins per window.
    start, end : region in bp. Every grid window that shares a bin with it is planned, so that a
        region's pixels are those of the whole chromosome's prediction.

    Returns
    -------
    For each level its windows by start, parents contained in the level before.
    """
    end = length if end is None else end
    levels: list[list[Window]] = []
    parents: list[Window] = []
    for resolution in resolutions:
        first, last = start // resolution, n_bins(end, resolution)
        windows = []
        for s in grid(length, resolution, bins, top=not levels):
            if s >= last or s + bins <= first:
                continue
            if not levels:
                windows.append(Window(resolution, s, None, s))
                continue
            inside = [p for p in parents if 2 * p.start <= s and s + bins <= 2 * (p.start + bins)]
            # the parent that holds the window most centrally; the leftmost of equals
            best = min(inside, key=lambda p: (abs(2 * p.start + bins // 2 - s), p.start))
            windows.append(Window(resolution, s, best.start, best.root))
        levels.append(windows)
        parents = windows
    return levels


def by_root(levels: Sequence[Sequence[Window]]) -> list[list[list[Window]]]:
    """A plan cut into root windows, in order: for each root its windows level by level."""
    roots = [w.start for w in levels[0]]
    return [[[w for w in level if w.root == root] for level in levels] for root in roots]


def zoom_top(position: int, length: int, window: int, resolution: int) -> int:
    """Start of the top window of a zoom (Orca, released code), in bp, of arbitrary phase.

    Centred on ``position``; near the ends the window slides inward by whole bins of ``resolution``
    as seen from the position, so that its phase on that grid is kept. A chromosome shorter than the
    window is overhung from 0.
    """
    if length <= window:
        return 0
    start = position - window // 2
    if start < 0:
        start %= resolution
    elif start + window > length:
        start = (length - window) - ((length - window - start) % resolution)
    if start < 0 or start + window > length:  # less than one bin of room: the phase cannot be kept
        start = min(max(position - window // 2, 0), length - window)
    return start


def zoom_windows(
    position: int, top: int, resolutions: Sequence[int], bins: int, length: int | None = None
) -> dict[int, int]:
    """Windows of a zoom around ``position``.

    Parameters
    ----------
    position : in bp. top : start of the top window in bp.
    length : if given (256M module), zoom windows are kept inside the first ``length`` bp of the top
        window where they fit.

    Returns
    -------
    By resolution, start in that resolution's bins from the start of the top window: at each level
    ``clip(floor((position - window / 4 - start) / bin), 0, bins / 2)`` of the coarse level (facts
    of the released code).
    """
    starts = {resolutions[0]: 0}
    begin = 0  # bp from the start of the top window
    for coarse, fine in zip(resolutions, resolutions[1:]):
        index = (position - top - begin - coarse * bins // 4) // coarse
        if length is not None:
            index = min(index, max(0, (length - begin - fine * bins) // coarse))
        index = min(max(index, 0), bins // 2)
        begin += index * coarse
        starts[fine] = begin // fine
    return starts


def concatenated_chromosomes(
    chrom: str, chromsizes: Mapping[str, int], window: int, unit: int, start: int = 0
) -> list[Segment]:
    """The input of a 256M-type module for one chromosome: it, then others until the window is full.

    As in the paper the chromosome is rounded down to ``unit`` bp and padded with chr1 (here: "chr1"
    if it is there and another, else the longest other chromosomes in turn); what is left, in a
    small genome, is N.
    """
    size = min(chromsizes[chrom] - start, window)
    segments = [Segment(chrom, start, start + max(unit, size // unit * unit))]
    return fill_with_chromosomes(segments, chromsizes, window, unit)


def fill_with_chromosomes(
    segments: list[Segment], chromsizes: Mapping[str, int], window: int, unit: int
) -> list[Segment]:
    """Append other chromosomes, in whole ``unit`` bp, until the segments are ``window`` long or no
    chromosome is left.
    """
    used = {s.chrom for s in segments}
    room = window - sum(len(s) for s in segments)
    for other in sorted(chromsizes, key=lambda c: (c != "chr1", -chromsizes[c])):
        size = min(chromsizes[other], room) // unit * unit
        if other not in used and size > 0:
            segments = [*segments, Segment(other, 0, size)]
            room -= size
    return segments


def plan_trans(
    chromsizes: Mapping[str, int], window: int, resolution: int
) -> list[tuple[Segment, Segment]]:
    """Pairs of stretches whose contacts together make every inter-chromosomal map.

    Whole chromosomes where both fit the window, else stretches of at most half a window. They are
    rounded *up* to whole bins of the top level (N beyond the chromosome), so that the bins of both
    chromosomes lie on the bins of the window that holds them end to end.
    """

    def stretches(chrom: str, limit: int) -> list[Segment]:
        full = n_bins(chromsizes[chrom], resolution) * resolution
        return [Segment(chrom, a, min(a + limit, full)) for a in range(0, full, limit)]

    pairs = []
    names = list(chromsizes)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            both = sum(n_bins(chromsizes[c], resolution) for c in (a, b)) * resolution
            limit = window if both <= window else window // 2 // resolution * resolution
            pairs += [(x, y) for x in stretches(a, limit) for y in stretches(b, limit)]
    return pairs
