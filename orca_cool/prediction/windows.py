"""Pure window planning: which windows at which level cover a region, and which window is whose
parent.

Files and HiGlass tiles use the same plan, so that a tile is a slice of the file. Windows
of every level lie on a grid fixed by the chromosome alone (never by the region asked for), at steps
of about half a window (a quarter at the top) that are whole bins of the parent level. No I/O, no
torch.

There are two grids (``ModelDescription.placement``). Windows of a model with the placement "start"
begin at the chromosome's first bin, as Orca's do; a chromosome shorter than the top window then
ends inside it, while its start lies on the window's border. With the placement "centred" the grid
is its own mirror image: a short chromosome lies in the middle of its window, with N on both sides,
and a chromosome and its reverse complement have the same windows. A module that reads several
chromosomes (``laid``: it lays them end to end) has the chromosome first and others behind it, on
either grid; where it is short its windows begin at its first bin
(:mod:`orca_cool.prediction.end_to_end`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import n_bins
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.model.spec import ModelDescription


def centred_on(spec: ModelDescription, source: SequenceSource, chrom: str) -> int | None:
    """Length in bp of the chromosome about whose middle the windows on ``chrom`` are placed; None
    if they begin at its first bin.

    An edited chromosome keeps the windows of its reference, so that what no edit touches is
    predicted as before.
    """
    if spec.placement != "centred":
        return None
    length = source.chromsizes[chrom]
    while isinstance(source, EditedGenome):
        source = source.source
    return source.chromsizes.get(chrom, length)


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


def centred_grid(
    length: int, centred: int, resolution: int, bins: int, top: bool = False, laid: bool = False
) -> list[int]:
    """First bins of all windows of a level on a chromosome, placed symmetrically about its middle.

    A chromosome shorter than the window lies in the middle of it; where what is left cannot be
    shared evenly there are two windows, the two nearest ones, whose maps are averaged. On a longer
    one the windows are spread evenly, the first and the last ending with the chromosome.

    Parameters
    ----------
    length : of the chromosome in bp.
    centred : length in bp of the chromosome about whose middle the grid is symmetric: that of the
        reference for an edited chromosome, whose windows then stay where they are. What an edit
        adds is covered by further windows on the right.
    resolution, bins : of the level in bp; of a window.
    top : True for the coarsest level. Windows of the others start on bins of their parents, that
        is on even bins.
    laid : other chromosomes follow: one shorter than the window begins with it.
    """
    unit = 1 if top else 2
    n, total = n_bins(centred, resolution), n_bins(length, resolution)
    over = n - bins
    if over <= 0:
        starts = [0] if laid else sorted(set(_nearest(over, unit)))
    else:
        # an even number of windows: none lies in the middle, so each has a mirror image
        half = (-(-over // (step(bins, top) - unit)) + 2) // 2
        left = [unit * round(k * over / (2 * half - 1) / unit) for k in range(half)]
        starts = sorted({*left, *(-(-(over - s) // unit) * unit for s in left)})
    starts = [s for s in starts if s < total]
    while starts[-1] + bins < total:
        rest = -(-(total - bins) // 2) * 2
        starts.append(min(starts[-1] + step(bins, top), rest))
    return starts


def _nearest(over: int, unit: int) -> tuple[int, int]:
    """The multiples of ``unit`` nearest to ``over / 2`` from below and from above."""
    below = over // (2 * unit) * unit
    return below, below if 2 * below == over else below + unit


def plan(
    length: int,
    resolutions: Sequence[int],
    bins: int,
    start: int = 0,
    end: int | None = None,
    centred: int | None = None,
    laid: bool = False,
) -> list[list[Window]]:
    """Windows that predict ``[start, end)`` of a chromosome, level by level.

    Parameters
    ----------
    length : of the chromosome in bp.
    resolutions : of the levels in bp, coarsest first, each half of the one before.
    bins : bins per window.
    start, end : region in bp. Every grid window that shares a bin with it is planned, so that a
        region's pixels are those of the whole chromosome's prediction.
    centred : None: windows begin at the chromosome's first bin. Otherwise they are placed
        symmetrically on a chromosome of so many bp (:func:`centred_grid`).
    laid : for a module that reads several chromosomes.

    Returns
    -------
    For each level its windows by start, parents contained in the level before. Where windows are
    centred, one in the middle may come twice, with either of two parents.
    """
    end = length if end is None else end
    levels: list[list[Window]] = []
    parents: list[Window] = []
    for resolution in resolutions:
        first, last = start // resolution, n_bins(end, resolution)
        windows = []
        for s in _starts(length, resolution, bins, not levels, centred, laid):
            if s >= last or s + bins <= first:
                continue
            if not levels:
                windows.append(Window(resolution, s, None, s))
                continue
            side = -1 if centred is None else 2 * s - (n_bins(centred, resolution) - bins)
            for p in _parents(s, parents, bins, side):
                windows.append(Window(resolution, s, p.start, p.root))
        levels.append(windows)
        parents = windows
    return levels


def _starts(
    length: int, resolution: int, bins: int, top: bool, centred: int | None, laid: bool
) -> list[int]:
    if centred is None:
        return grid(length, resolution, bins, top)
    return centred_grid(length, centred, resolution, bins, top, laid)


def one_window_holds(
    length: int, resolution: int, bins: int, centred: int | None = None, laid: bool = False
) -> bool:
    """Whether every top window of a chromosome holds all of it."""
    total = n_bins(length, resolution)
    starts = _starts(length, resolution, bins, True, centred, laid)
    return all(s <= 0 and s + bins >= total for s in starts)


def _parents(start: int, parents: Sequence[Window], bins: int, side: int) -> list[Window]:
    """The windows one level up that hold a window most centrally.

    Parameters
    ----------
    side : negative: of equals the leftmost is taken; positive: the rightmost; 0, for a window that
        is its own mirror image: both.
    """
    inside = [p for p in parents if 2 * p.start <= start and start + bins <= 2 * (p.start + bins)]
    nearest = min(abs(2 * p.start + bins // 2 - start) for p in inside)
    equals = [p for p in inside if abs(2 * p.start + bins // 2 - start) == nearest]
    equals.sort(key=lambda p: (p.start, p.root))
    if side:
        return equals[:1] if side < 0 else equals[-1:]
    # within one root the leftmost: this happens only where the chromosome ends within a bin
    return equals[:1] if equals[0].root == equals[-1].root else [equals[0], equals[-1]]


def by_root(levels: Sequence[Sequence[Window]]) -> list[list[list[Window]]]:
    """A plan cut into root windows, in order: for each root its windows level by level."""
    roots = [w.start for w in levels[0]]
    return [[[w for w in level if w.root == root] for level in levels] for root in roots]


def zoom_top(
    position: int, length: int, window: int, resolution: int, centred: int | None = None
) -> int:
    """Start of the top window of a zoom (Orca, released code), in bp, of arbitrary phase.

    Centred on ``position``; near the ends the window slides inward by whole bins of ``resolution``
    as seen from the position, so that its phase on that grid is kept. A chromosome shorter than the
    window is overhung from 0, or, where windows are ``centred`` (:func:`plan`), lies in the middle
    of it, to a bin.
    """
    if length <= window:
        if centred is None:
            return 0
        bins = window // resolution
        first, _ = _nearest(min(0, n_bins(centred, resolution) - bins), 1)
        # an edited chromosome may be too long for the place of its reference
        return max(first, n_bins(length, resolution) - bins) * resolution
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
    chromsizes: Mapping[str, int],
    window: int,
    resolution: int,
    centred: Mapping[str, int] | None = None,
) -> list[tuple[Segment, Segment]]:
    """Pairs of stretches whose contacts together make every inter-chromosomal map.

    Whole chromosomes where both fit the window, else stretches of at most half a window. They are
    rounded *up* to whole bins of the top level (N beyond the chromosome), so that the bins of both
    chromosomes lie on the bins of the window that holds them end to end.

    Parameters
    ----------
    centred : for each chromosome the length by which it is cut, such that the stretches are their
        own mirror image (:func:`centred_on`); what an edit adds is cut off on the right.
    """
    placed = chromsizes if centred is None else centred

    def longest(chrom: str) -> int:
        return n_bins(max(chromsizes[chrom], placed[chrom]), resolution)

    def stretches(chrom: str, limit: int) -> list[Segment]:
        total, most = n_bins(chromsizes[chrom], resolution), limit // resolution
        if centred is None:
            edges = list(range(0, total, most))
        else:
            edges = [0]
            for size in _symmetric_parts(n_bins(centred[chrom], resolution), most):
                edges.append(edges[-1] + size)
            if longest(chrom) <= most:
                edges = [0]
            edges += range(edges[-1] + most, total, most)
        edges = [*(e for e in edges if e < total), total]
        return [Segment(chrom, a * resolution, b * resolution) for a, b in zip(edges, edges[1:])]

    pairs = []
    names = list(chromsizes)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            both = (longest(a) + longest(b)) * resolution
            limit = window if both <= window else window // 2 // resolution * resolution
            pairs += [(x, y) for x in stretches(a, limit) for y in stretches(b, limit)]
    return pairs


def _symmetric_parts(n: int, most: int) -> list[int]:
    """``n`` bins cut into parts of at most ``most``, the same from the left and from the right."""
    count = -(-n // most)
    count += count % 2 == 0 and n % 2  # an odd number has a middle
    size, rest = divmod(n, count)
    parts = [size] * count
    parts[count // 2] += rest % 2
    for k in range(rest // 2):
        parts[k] += 1
        parts[-1 - k] += 1
    return parts
