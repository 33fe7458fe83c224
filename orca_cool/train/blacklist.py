"""Stretches of the genome that no window of one chromosome may overlap, such as ENCODE's blacklist.

Source: the released training scripts draw their windows of 1 Mb and 32 Mb anew where one overlaps
the blacklist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from orca_cool.errors import TrainingError
from orca_cool.genome.intervals import Interval
from orca_cool.genome.segments import Segment


class Blacklist:
    """Intervals that windows must not overlap; none by default."""

    def __init__(self, intervals: Iterable[Interval] = ()):
        found: dict[str, list[tuple[int, int]]] = {}
        for i in intervals:
            found.setdefault(i.chrom, []).append((i.start, i.end))
        self._by_chrom = {c: np.array(rows, dtype=np.int64) for c, rows in found.items()}

    def __bool__(self) -> bool:
        return bool(self._by_chrom)

    def overlaps(self, window: Segment) -> bool:
        """Whether an interval lies in the window, in part or whole."""
        rows = self._by_chrom.get(window.chrom)
        if rows is None:
            return False
        return bool(((rows[:, 0] < window.end) & (rows[:, 1] > window.start)).any())

    def evenly_placed_window(
        self, k: int, count: int, chromsizes: Mapping[str, int], window: int, unit: int
    ) -> Segment:
        """The ``k``-th of ``count`` windows that are spread evenly over all places, on the grid of
        ``unit`` bp, where a window overlaps no interval and lies in its chromosome; strands
        alternate.

        Raises
        ------
        TrainingError
            If there is no such place.
        """
        places = [(c, self._free(c, size, window, unit)) for c, size in chromsizes.items()]
        ends = np.cumsum([len(free) for _, free in places])
        if not ends[-1]:
            raise TrainingError(
                f"blacklist: every window of {window:,} bp on {', '.join(chromsizes)} overlaps an "
                f"interval of it; a list of few intervals is meant"
            )
        at = int((k + 0.5) / count * ends[-1])
        which = int(np.searchsorted(ends, at, side="right"))
        chrom, free = places[which]
        start = int(free[at - ends[which]]) * unit
        return Segment(chrom, start, start + window, "+-"[k % 2])

    def _free(self, chrom: str, size: int, window: int, unit: int) -> np.ndarray:
        """Starts, in ``unit`` bp, of the windows on a chromosome that overlap nothing."""
        free = np.ones(max(0, (size - window) // unit + 1), dtype=bool)
        for start, end in self._by_chrom.get(chrom, ()):
            free[max(0, (start - window) // unit + 1) : max(0, -(-end // unit))] = False
        return np.flatnonzero(free)
