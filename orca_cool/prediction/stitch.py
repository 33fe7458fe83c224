"""Windows that somebody else has predicted, joined: overlaps are averaged as those of this
package's own windows are (:mod:`orca_cool.prediction.mosaic`), and rows leave in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from orca_cool.genome.regions import Region, n_bins
from orca_cool.maps.given_windows import GivenWindow, GivenWindows
from orca_cool.maps.pixels import RowBlock
from orca_cool.prediction.mosaic import LevelMosaic

#: Neighbouring windows that share less than this part of a window are not joined: of so little the
#: pairs that all windows together know everywhere are next to the diagonal.
LEAST_SHARED = 1 / 4


@dataclass(frozen=True)
class Stretch:
    """Windows that are joined to one region.

    Attributes
    ----------
    region : from the first window's start to the last one's end, less what an earlier stretch has.
    windows : by start.
    """

    region: Region
    windows: list[GivenWindow]


@dataclass(frozen=True)
class Stitching:
    """How windows are joined.

    Attributes
    ----------
    given : the windows.
    stretches : in the order of the chromosomes.
    band : distances of 0 .. ``band - 1`` bins are known everywhere within a stretch.
    """

    given: GivenWindows
    stretches: list[Stretch]
    band: int

    @classmethod
    def of(cls, given: GivenWindows) -> Stitching:
        """Join neighbours; no values are read."""
        r, least = given.resolution, LEAST_SHARED * given.bins
        stretches: list[Stretch] = []
        shared = [given.bins - 1]
        for chrom, some in groupby(given.windows, key=lambda w: w.chrom):
            windows = list(some)
            total, before = n_bins(given.chromsizes[chrom], r), 0
            for run in _runs(windows, least):
                shared += [a.end - b.start for a, b in pairwise(run)]
                first, last = max(run[0].start, before, 0), min(run[-1].end, total)
                if first < last:
                    end = min(last * r, given.chromsizes[chrom])
                    stretches.append(Stretch(Region(chrom, first * r, end), run))
                    before = last
        return cls(given, stretches, min(min(shared) + 1, given.bins))

    @property
    def regions(self) -> list[Region]:
        """The stretches' regions."""
        return [stretch.region for stretch in self.stretches]

    def ready(self, w: GivenWindow, expected: np.ndarray, eps: float) -> np.ndarray:
        """(bins, bins) float32 log observed/expected of a window, 0 where it is unknown: masked
        bins are left out by whoever writes, and the nearest distances are taken to be as expected.
        """
        y = self.given.log_ratio(w, expected, eps)
        return np.where(np.isfinite(y), y, np.float32(0))

    def row_blocks(
        self, expected: np.ndarray, eps: float, tick: Callable[[], object] = lambda: None
    ) -> Iterator[RowBlock]:
        """All rows, in order.

        Parameters
        ----------
        expected, eps : see :meth:`GivenWindows.log_ratio`. tick : called after each window.
        """
        r = self.given.resolution
        for stretch in self.stretches:
            region, length = stretch.region, self.given.chromsizes[stretch.region.chrom]
            bins = self.given.bins
            level = LevelMosaic(r, bins, length, region.start, region.end, self.band)
            for w, later in zip(stretch.windows, [*stretch.windows[1:], None]):
                level.add(w.start, self.ready(w, expected, eps))
                tick()
                rows = level.close(level.last if later is None else later.start)
                level.forget(level.done)
                if len(rows.values):
                    yield RowBlock(region.chrom, rows.start, rows.values, rows.level)

    def told(self) -> list[str]:
        """What the user should know."""
        given, r = self.given, self.given.resolution
        lines = []
        covered: dict[str, int] = {}
        for region in self.regions:
            covered[region.chrom] = covered.get(region.chrom, 0) + len(region)
        parts = [c for c, n in covered.items() if n < given.chromsizes[c]]
        if parts:
            share = sum(covered[c] for c in parts) / sum(given.chromsizes[c] for c in parts)
            lines.append(
                f"windows cover {share:.0%} of {', '.join(parts[:5])}{', ...' * (len(parts) > 5)}; "
                f"bins outside of them are masked"
            )
        if self.band < given.bins:
            lines.append(
                f"pairs up to {(self.band - 1) * r:,} bp apart are known everywhere, and written; "
                f"farther ones, which only single windows know, are left out"
            )
        if given.near:
            nearest = "diagonal" if given.near == 1 else f"{given.near} nearest distances"
            lines.append(f"the {nearest} unknown to the windows: written as expected (0)")
        return lines


def _runs(windows: Sequence[GivenWindow], least: float) -> Iterator[list[GivenWindow]]:
    """Windows of a chromosome, by start, cut where neighbours share fewer than ``least`` bins."""
    run: list[GivenWindow] = []
    for w in windows:
        if run and run[-1].end - w.start < least:
            yield run
            run = []
        run.append(w)
    yield run
