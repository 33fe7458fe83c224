"""Windows of a step -> rows of the mosaic -> parts in the work folder."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from orca_cool.genome.regions import n_bins
from orca_cool.prediction.checkpoint import WorkFolder
from orca_cool.prediction.engine import Engine, WindowMap
from orca_cool.prediction.mosaic import Mosaic, Rows
from orca_cool.prediction.plan import Plan, Step
from orca_cool.profile import carried, staged

#: Arrays of parts, by the parts' names.
Parts = dict[str, dict[str, np.ndarray]]


class Merger:
    """Adds steps, in order, to their region's mosaic."""

    def __init__(self, engine: Engine, plan: Plan, work: WorkFolder):
        self.bins, self.chromsizes = engine.spec.bins, engine.source.chromsizes
        self.plan, self.work = plan, work
        self.mosaic: Mosaic | None = None
        self._before = -1  # number of the step that the mosaic holds last

    def goes_on(self, step: Step) -> bool:
        """True if a step is merged into the mosaic as it is here; otherwise it begins anew, or from
        the last checkpoint.
        """
        return step.first or (self.mosaic is not None and self._before == step.number - 1)

    @staged("merging")
    def add(self, step: Step, maps: Sequence[WindowMap]) -> tuple[Parts, dict[str, np.ndarray]]:
        """Merge a step.

        Returns
        -------
        parts : what it finished: rows of a level, or a rectangle between chromosomes.
        state : from which the next step of the region goes on; it may be kept while that is merged.
        """
        return self._trans(step, maps) if step.pair is not None else self._cis(step, maps)

    def _cis(self, step: Step, maps: Sequence[WindowMap]) -> tuple[Parts, dict[str, np.ndarray]]:
        plan, settings, region = self.plan, self.plan.settings, step.region
        assert region is not None
        assert step.next_starts is not None
        if step.first or not self.goes_on(step):
            self.mosaic = self._open_mosaic(step)
        assert self.mosaic is not None
        self._before = step.number
        by_level: dict[int, list[WindowMap]] = {}
        for found in maps:
            if plan.assignment.module_of(found.window.resolution) is step.module:
                by_level.setdefault(found.window.resolution, []).append(found)
        # half of the windows are those of the finest level, of which no other level knows yet
        with ThreadPoolExecutor(1, "finest") as other:
            finest = by_level.pop(min(by_level, default=0), [])
            adding = other.submit(carried(functools.partial(self._add, finest)))
            for windows in by_level.values():
                self._add(windows)
            adding.result()
        parts: Parts = {}
        for r, rows in self.mosaic.close(step.next_starts):
            if r in settings.resolutions and len(rows.values):
                parts[f"{r}.{step.number}"] = _part(
                    region.chrom, r, rows, plan.written[r], n_bins(step.previous_end, r)
                )
        return parts, {} if step.last else self.mosaic.state()

    def _add(self, windows: Sequence[WindowMap]) -> None:
        """Add windows of one level to the mosaic."""
        assert self.mosaic is not None
        for found in windows:
            self.mosaic.levels[found.window.resolution].add(
                found.window.start,
                found.values,
                found.strand_difference if self.plan.settings.strand_difference else None,
            )

    def _open_mosaic(self, step: Step) -> Mosaic:
        """The mosaic of a step's region: new at its first step, else as the last checkpoint left
        it.
        """
        region = step.region
        assert region is not None
        mosaic = Mosaic(
            list(self.plan.assignment.resolutions),
            self.plan.held,
            self.bins,
            self.chromsizes[region.chrom],
            region.start,
            region.end,
            self.plan.settings.strand_difference,
        )
        if not step.first:
            mosaic.restore(self.work.state())
        return mosaic

    def _trans(self, step: Step, maps: Sequence[WindowMap]) -> tuple[Parts, dict[str, np.ndarray]]:
        assert step.pair is not None
        (found,), (a, b) = maps, step.pair
        top = found.window.resolution
        part = {
            "chrom1": np.array(a.chrom),
            "chrom2": np.array(b.chrom),
            "start1": np.array(a.start // top),
            "start2": np.array(b.start // top),
            "values": found.values,
        }
        if self.plan.settings.strand_difference:
            part["strand_difference"] = found.strand_difference
        return {f"trans.{top}.{step.number}": part}, {}


def _part(
    chrom: str, resolution: int, rows: Rows, band: int, first_bin: int
) -> dict[str, np.ndarray]:
    """Rows as they are stored; those before bin ``first_bin`` belong to the region before (two
    regions may share a coarse bin).
    """
    first = min(max(0, first_bin - rows.start), len(rows.values))
    keep = (slice(first, None), slice(band))
    level, power = np.zeros(rows.values[keep].shape, np.uint8), 1
    while (coarser := rows.level[keep] >= resolution << power).any():
        level += coarser
        power += 1
    part = {
        "chrom": np.array(chrom),
        "start": np.array(rows.start + first),
        "values": rows.values[keep],
        "level": level,
    }
    if rows.strand_difference is not None:
        part["strand_difference"] = rows.strand_difference[keep]
    return part
