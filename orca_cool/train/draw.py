"""Where training windows lie: random windows, concatenated chromosomes, and windows of every level
within them. No data, no torch.

Source: Zhou 2022, Methods, "training": random windows on the target's grid and random sub-windows
at every level; the 256M input is chromosomes, whole or in part, permuted, each on a random strand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from orca_cool.genome.intervals import Interval
from orca_cool.genome.regions import n_bins
from orca_cool.genome.segments import Segment

#: Share of the pixels beyond a chromosome's ends that are taught to be 0, where windows may lie
#: there for the most part: see :func:`settle_beyond`.
BEYOND = 0.1

#: Chromosomes of a window of several that holds fewer than fit: one to so many.
FEW = 3


def draw_window(
    rng: np.random.Generator,
    chromsizes: Mapping[str, int],
    window: int,
    unit: int,
    overhang: float = 0.0,
    centred: bool = False,
) -> Segment:
    """One window of ``window`` bp on a random strand, on the grid of ``unit`` bp.

    Chromosomes are drawn by length. A window may lie past a chromosome's ends by the share
    ``overhang`` of itself. One that is larger than its chromosome contains it: half of the draws
    place the chromosome at the window's first bin, as prediction does; for a model whose windows
    are ``centred`` (:class:`~orca_cool.model.spec.ModelDescription`) it lies anywhere inside, with
    N on both sides.
    """
    names = list(chromsizes)
    share = np.array([chromsizes[c] for c in names], dtype=float)
    chrom = names[rng.choice(len(names), p=share / share.sum())]
    n, w = n_bins(chromsizes[chrom], unit), window // unit
    slack = int(overhang * w)
    if n >= w:
        first = int(rng.integers(-slack, n - w + slack + 1))
    elif centred and w - n >= 2:
        first = int(rng.integers(n - w + 1, 0))
    else:
        first = 0 if rng.random() < 0.5 else int(rng.integers(n - w - slack, slack + 1))
    return Segment(chrom, first * unit, first * unit + window, "+" if rng.random() < 0.5 else "-")


def draw_interval(
    rng: np.random.Generator, by_profile: Sequence[Sequence[Interval]], share: float
) -> Interval | None:
    """In a ``share`` of the draws an interval of a profile, each as likely; else None."""
    if not share or rng.random() >= share:
        return None
    intervals = by_profile[int(rng.integers(len(by_profile)))]
    return intervals[int(rng.integers(len(intervals)))]


def window_around(rng: np.random.Generator, place: Interval, window: int) -> Segment:
    """A window of ``window`` bp on a random strand that holds the middle of an interval."""
    start = (place.start + place.end) // 2 - int(rng.integers(0, window))
    return Segment(place.chrom, start, start + window, "+" if rng.random() < 0.5 else "-")


def draw_shifts(
    rng: np.random.Generator, shift: int, count: int, half_open: bool = False
) -> list[int]:
    """``count`` shifts of the sequence in bp, from -shift to shift, or, if ``half_open``, to
    shift - 1.
    """
    if half_open and not shift:
        return [0] * count
    return [int(rng.integers(-shift, shift + (not half_open))) for _ in range(count)]


def evenly_placed_window(
    k: int, count: int, chromsizes: Mapping[str, int], window: int, unit: int, centred: bool = False
) -> Segment:
    """The ``k``-th of ``count`` windows that are spread evenly over the chromosomes and kept inside
    them; strands alternate. A chromosome shorter than the window lies at its start, or, if windows
    are ``centred``, in its middle.
    """
    at = int((k + 0.5) / count * sum(chromsizes.values()))
    names, ends = list(chromsizes), np.cumsum(list(chromsizes.values()))
    which = int(np.searchsorted(ends, at, side="right"))
    chrom = names[which]
    at -= int(ends[which]) - chromsizes[chrom]
    room = n_bins(chromsizes[chrom], unit) - window // unit
    first = min(max((at - window // 2) // unit, 0), max(0, room))
    if centred and room < 0:
        first = room // 2
    return Segment(chrom, first * unit, first * unit + window, "+-"[k % 2])


def draw_concatenated(
    rng: np.random.Generator,
    chromsizes: Mapping[str, int],
    window: int,
    unit: int,
    first: Sequence[str] = (),
    fewer: float = 0.0,
) -> tuple[Segment, ...]:
    """Chromosomes laid end to end until ``window`` bp are full or none is left, permuted, each on a
    random strand; the last that is drawn may be a part of its chromosome.

    Parameters
    ----------
    unit : lengths and starts are multiples of it; a chromosome's incomplete last bin is left out.
    first : chromosomes that are drawn before all others.
    fewer : share of the draws that have one to ``FEW`` chromosomes, if so many fit.
    """
    most = int(rng.integers(1, FEW + 1)) if fewer and rng.random() < fewer else None
    order = [
        *rng.permutation(list(first)),
        *rng.permutation([c for c in chromsizes if c not in first]),
    ]
    pieces, room = [], window
    for name in order[:most]:
        chrom = str(name)
        size = chromsizes[chrom] // unit * unit
        part = min(size, room)
        if part <= 0:
            continue
        start = int(rng.integers(0, (size - part) // unit + 1)) * unit
        pieces.append(Segment(chrom, start, start + part, "+" if rng.random() < 0.5 else "-"))
        room -= part
    return tuple(pieces[k] for k in rng.permutation(len(pieces)))


def draw_by_length(
    rng: np.random.Generator, chromsizes: Mapping[str, int], window: int, unit: int
) -> tuple[Segment, ...]:
    """Chromosomes laid end to end until ``window`` bp are full, each drawn by its length whatever
    was drawn before, then permuted, each on a random strand.

    A chromosome that does not fit in what is left is there with a part of it that does, which may
    begin anywhere. As one may come twice, a window is always full.

    Parameters
    ----------
    chromsizes : none shorter than ``unit``, see :func:`draw_concatenated`.
    """
    names = list(chromsizes)
    share = np.array([chromsizes[c] for c in names], dtype=float)
    share /= share.sum()
    pieces, room = [], window
    while room > 0:
        chrom = names[rng.choice(len(names), p=share)]
        size = chromsizes[chrom]
        start = int(rng.integers(0, max(1, size - room))) // unit * unit
        end = min(start + room, size) // unit * unit
        pieces.append(Segment(chrom, start, end, "+" if rng.random() < 0.5 else "-"))
        room -= end - start
    return tuple(pieces[k] for k in rng.permutation(len(pieces)))


def extent(pieces: Sequence[Segment], chromsizes: Mapping[str, int]) -> tuple[int, int]:
    """Part of the window, in bp from its start, that lies in chromosomes."""
    if len(pieces) > 1:
        return 0, sum(len(p) for p in pieces)
    (p,) = pieces
    left, right = max(0, -p.start), max(0, p.end - chromsizes[p.chrom])
    return (left, len(p) - right) if p.strand == "+" else (right, len(p) - left)


def bins_of(
    chroms: Sequence[str], pieces: Sequence[Segment], resolution: int, start: int, bins: int
) -> np.ndarray:
    """(bins,) bool: bins of concatenated chromosomes that lie in some of them."""
    at = (start + np.arange(bins)) * resolution
    edges = np.cumsum([len(p) for p in pieces])
    which = np.searchsorted(edges, at, side="right")
    return np.array([k < len(pieces) and pieces[k].chrom in chroms for k in which])


def settle_beyond(
    rng: np.random.Generator,
    targets: Mapping[int, np.ndarray],
    starts: Mapping[int, int],
    inside: tuple[int, int],
    zero: Mapping[int, np.ndarray] | None = None,
) -> None:
    """Give some pixels beyond the chromosome, where nothing is measured, the target 0 (in place).

    Most of a window may lie there when a short chromosome stands in its middle. Without a target
    a decoder's output grows there without bounds, and its convolutions carry that to the pixels
    that count.

    Parameters
    ----------
    targets : by resolution, (maps, bins, bins). starts, inside : see :func:`draw_zoom`.
    zero : by resolution, what stands for 0 where the targets are contact frequencies: the expected.
    """
    for r, y in targets.items():
        middle = (starts[r] + np.arange(y.shape[-1]) + 0.5) * r
        beyond = (middle < inside[0]) | (middle >= inside[1])
        chosen = (beyond[:, None] | beyond) & (rng.random(y.shape[-2:]) < BEYOND)
        y[..., chosen] = zero[r][..., chosen] if zero else 0


def draw_zoom(
    rng: np.random.Generator,
    resolutions: Sequence[int],
    bins: int,
    inside: tuple[int, int],
    half_open: bool = False,
) -> dict[int, int]:
    """A random window at every level, each on the coarser level's bins and inside its window.

    Parameters
    ----------
    inside : ``[start, end)`` in bp of the top window that is in chromosomes: a window has half of
        itself there if it can, else as much as it can.
    half_open : a window begins at one of the first half of the coarser window's bins, and not also
        at the next.

    Returns
    -------
    By resolution, start in its own bins from the start of the top window.
    """
    starts = {resolutions[0]: 0}
    for coarse, r in zip(resolutions, resolutions[1:]):
        options = 2 * (starts[coarse] + np.arange(bins // 2 + (not half_open)))
        overlap = np.minimum((options + bins) * r, inside[1]) - np.maximum(options * r, inside[0])
        good = options[overlap >= min(overlap.max(), bins * r // 2)]
        starts[r] = int(good[rng.integers(len(good))])
    return starts


def centre_zoom(resolutions: Sequence[int], bins: int) -> dict[int, int]:
    """The windows of every level around the middle of the top window, each on the coarser level's
    bins: where two are as near to it, the one behind.

    Returns
    -------
    As :func:`draw_zoom`.
    """
    starts, middle = {resolutions[0]: 0}, resolutions[0] * bins // 2
    for coarse, r in zip(resolutions, resolutions[1:]):
        wanted = (middle - r * bins // 2) / coarse - starts[coarse]
        starts[r] = 2 * (starts[coarse] + min(max(int(np.floor(wanted + 0.5)), 0), bins // 2))
    return starts


def cut_square(m: np.ndarray, start: int, bins: int) -> np.ndarray:
    """(bins, bins) of a square matrix from ``start`` on, NaN outside it."""
    out = np.full((bins, bins), np.nan, dtype=np.float32)
    a, b = max(0, start), min(start + bins, len(m))
    if a < b:
        out[a - start : b - start, a - start : b - start] = m[a:b, a:b]
    return out


def n_inside(inside: tuple[int, int], resolution: int, bins: int) -> int:
    """Whole bins of the top window inside ``[start, end)`` bp."""
    return min(inside[1] // resolution, bins) - max(0, -(-inside[0] // resolution))
