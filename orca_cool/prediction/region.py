"""The map of a region, in memory: the pixels that the file of its whole chromosome has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import ModelError
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.genome.regions import Region, n_bins
from orca_cool.maps.contact_map import ContactMap
from orca_cool.prediction.engine import Engine, WindowMap
from orca_cool.prediction.levels import Settings, assign_levels, bands, expected_for, known_band
from orca_cool.prediction.patches import Patch, Patchwork, PlannedWindow, symmetric
from orca_cool.prediction.windows import Window, centred_on


@dataclass(frozen=True)
class _Plan:
    """How the maps of one chromosome are put together; ``reach``: bins shown, by resolution."""

    work: Patchwork
    reach: dict[int, int]


class RegionMaps:
    """Maps of regions of one genome.

    A pixel is that of ``orca-cool predict CHROMOSOME``: the same windows, blended in the same way.

    Parameters
    ----------
    engine : predicts the genome.
    """

    def __init__(self, engine: Engine):
        self.engine = engine
        self._plans: dict[tuple[str, bool], _Plan] = {}

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Levels of the model in bp, finest first."""
        return tuple(sorted({r for m in self.engine.spec.modules for r in m.resolutions}))

    def resolution_for(self, region: Region) -> int:
        """The finest level that predicts every pair of the region; else the coarsest."""
        reach = self._plan(region.chrom, False).reach
        fits = [r for r in self.resolutions if reach[r] * r >= len(region)]
        return min(fits, default=max(self.resolutions))

    def predict(
        self,
        region: Region,
        resolution: int | None = None,
        *,
        fill: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> ContactMap:
        """The map of a region.

        Parameters
        ----------
        resolution : a level of the model in bp; None: see :meth:`resolution_for`.
        fill : show coarser levels where this one does not reach; otherwise NaN stands there.
        progress : called with (windows done, windows in all).

        Raises
        ------
        ModelError
            If the model has no such level; the message lists those it has.
        """
        if resolution is None:
            resolution = self.resolution_for(region)
        if resolution not in self.resolutions:
            raise ModelError(
                f"model {self.engine.spec.name!r} has no level {resolution:,} bp; it has: "
                f"{', '.join(map(str, self.resolutions))}"
            )
        plan = self._plan(region.chrom, fill)
        bins = np.arange(region.start // resolution, n_bins(region.end, resolution))
        patches = plan.work.patches(resolution, bins, bins)
        found = self._decode(region.chrom, patches, progress)

        def blended(part: Callable[[WindowMap], np.ndarray]) -> np.ndarray:
            return plan.work.blend(patches, lambda placed: symmetric(part(found[_key(placed)])))

        values, difference = blended(lambda m: m.values), blended(lambda m: m.strand_difference)
        length = self.engine.source.chromsizes[region.chrom]
        start, end = int(bins[0]) * resolution, min((int(bins[-1]) + 1) * resolution, length)
        gaps = gap_fraction(self.engine.source, region.chrom, start, end, resolution) > MAX_GAP
        for matrix in (values, difference):
            matrix[gaps], matrix[:, gaps] = np.nan, np.nan
        module = plan.work.assignment.module_of(resolution)
        expected = expected_for(self.engine, module, resolution, len(bins))
        return ContactMap(
            values=values,
            expected=expected[np.abs(np.subtract.outer(bins, bins))],
            eps=module.layer_eps(self.engine.expected(module), resolution, self.engine.spec.bins),
            region=Region(region.chrom, start, end),
            resolution=resolution,
            strand_difference=difference,
        )

    def _plan(self, chrom: str, fill: bool) -> _Plan:
        if (chrom, fill) not in self._plans:
            source, spec = self.engine.source, self.engine.spec
            length = source.chromsizes[chrom]
            settings = Settings(self.resolutions, fill_distance=length if fill else None)
            levels = assign_levels(spec, settings)
            centred = centred_on(spec, source, chrom)
            held, written = bands(spec.bins, levels, settings, [length], [centred])
            for r, band in written.items():
                expected = expected_for(self.engine, levels.module_of(r), r, n_bins(length, r))
                written[r] = known_band(expected, band)
            work = Patchwork(spec.bins, levels, length, held, written, centred)
            self._plans[chrom, fill] = _Plan(work, written)
        return self._plans[chrom, fill]

    def _decode(
        self, chrom: str, patches: list[Patch], progress: Callable[[int, int], None]
    ) -> dict[tuple[str, int, int, int], WindowMap]:
        """All windows that the patches need, each with those above it decoded once."""
        needed: dict[tuple[str, int], dict[PlannedWindow, None]] = {}
        for patch in patches:
            for placed in patch.windows:
                for one in placed.path():
                    needed.setdefault((one.module, placed.path()[0].window.start), {})[one] = None
        total, done = sum(map(len, needed.values())), 0
        progress(0, total)
        found: dict[tuple[str, int, int, int], WindowMap] = {}
        for (name, _), some in needed.items():
            module = self.engine.spec.module(name)
            levels: dict[int, list[Window]] = {}
            for placed in some:
                levels.setdefault(placed.window.resolution, []).append(placed.window)
            ordered = [sorted(levels[r], key=lambda w: w.start) for r in sorted(levels)[::-1]]
            for window_map in self.engine.windows(module, chrom, ordered):
                window = window_map.window
                found[name, window.resolution, window.start, window.root] = window_map
                done += 1
                progress(done, total)
        return found


def _key(placed: PlannedWindow) -> tuple[str, int, int, int]:
    window = placed.window
    return placed.module, window.resolution, window.start, window.root
