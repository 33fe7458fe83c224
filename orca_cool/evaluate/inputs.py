"""The inputs on which a model is scored: zooms that tile a chromosome, and random segments of
several chromosomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.genome.segments import Segment
from orca_cool.prediction.windows import zoom_top, zoom_windows


@dataclass(frozen=True)
class TilingZoom:
    """One of the zooms that tile a chromosome.

    Attributes
    ----------
    position : where the zoom is centred, in bp.
    new_windows : by resolution, the start in bp of the window that no earlier zoom had; a level
        whose window an earlier zoom had too is left out.
    """

    position: int
    new_windows: dict[int, int]


def tile_chromosome(
    length: int,
    resolutions: Sequence[int],
    bins: int,
    step: int,
    phase: int = 0,
    unit: int = 1,
    within: int | None = None,
    centred: int | None = None,
) -> list[TilingZoom]:
    """Zooms that tile a chromosome, such that every window comes once.

    Top windows start at ``phase``, ``phase + step``, ... and each zoom goes to the centre of its
    top window; the last top window slides inward. Where one top window holds the whole chromosome,
    the positions zoomed to tile the chromosome instead.

    Parameters
    ----------
    length : of the chromosome in bp.
    resolutions, bins : of the levels in bp, coarsest first; bins along every map.
    step, phase : distance of the top windows, and start of the first, in bp.
    unit : bin of the measured map in bp. A top window that does not start on such a bin (one that
        could not slide inward by whole bins) is left out.
    within : for a multi-chromosome module, the number of bp at the start of its input that are
        the chromosome's; zooms are kept within them. None for other modules.
    centred : see :func:`orca_cool.prediction.windows.centred_on`.
    """
    window = resolutions[0] * bins
    if length <= window or within is not None:
        positions = range(phase, length if within is None else within, step)
    else:
        positions = range(phase + window // 2, length - window // 2 + step, step)
    zooms = []
    seen: set[tuple[int, int]] = set()
    for position in positions:
        top = 0
        if within is None:
            top = zoom_top(position, length, window, resolutions[0], centred)
        if top % unit:
            continue
        starts = {
            r: top + s * r
            for r, s in zoom_windows(position, top, resolutions, bins, within).items()
        }
        new = {r: s for r, s in starts.items() if (r, s) not in seen}
        seen |= set(new.items())
        if new:
            zooms.append(TilingZoom(position, new))
    return zooms


def draw_segments(
    rng: np.random.Generator, chromsizes: Mapping[str, int], window: int, unit: int
) -> list[Segment]:
    """A random input for contacts between chromosomes: segments of different chromosomes.

    Each segment is a quarter to half of a window long (a chromosome shorter than that is taken
    whole), and segments are added until less than a quarter of the window is left or no chromosome
    is. Their order, place and strand are random.

    Parameters
    ----------
    chromsizes : chromosomes to draw from, with their lengths in bp.
    window : length of the input in bp.
    unit : starts and lengths of the segments are multiples of it, in bp.
    """
    room, quarter = window // unit, -(-window // (4 * unit))
    segments = []
    for name in rng.permutation(list(chromsizes)):
        size = chromsizes[str(name)] // unit
        most = room if room <= window // (2 * unit) else min(window // (2 * unit), room - quarter)
        least = most if most == room else quarter
        part = min(int(rng.integers(least, max(most, least) + 1)), size)
        if part > 0:
            start = int(rng.integers(0, size - part + 1)) * unit
            strand = "+" if rng.random() < 0.5 else "-"
            segments.append(Segment(str(name), start, start + part * unit, strand))
            room -= part
        if room < quarter:
            break
    return segments


def pixels_between_chromosomes(
    segments: Sequence[Segment], start: int, resolution: int, bins: int
) -> np.ndarray:
    """Which pixels of a window lie between two different chromosomes.

    Parameters
    ----------
    segments : of chromosomes, laid end to end.
    start : of the window in bp, from the start of the first segment.
    resolution, bins : of the window.

    Returns
    -------
    (bins, bins) bool. A bin that lies in two segments, or past the last, belongs to no chromosome
    and all its pixels are False.
    """
    edges = np.cumsum([0, *map(len, segments)])
    left = start + np.arange(bins) * resolution
    first, last = (
        np.searchsorted(edges, at, side="right") - 1 for at in (left, left + resolution - 1)
    )
    names = {c: k for k, c in enumerate(dict.fromkeys(s.chrom for s in segments))}
    owner = np.array([*(names[s.chrom] for s in segments), -1])[np.minimum(first, len(segments))]
    owner[first != last] = -1
    return (owner[:, None] != owner[None, :]) & (owner[:, None] >= 0) & (owner[None, :] >= 0)
