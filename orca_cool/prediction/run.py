"""A prediction's three threads: windows are computed, merged and written at the same time, with
bounded memory.

The calling thread computes (and is the one that Ctrl-C reaches); one thread adds windows to the
mosaic and checkpoints; one writes the file, waiting for the parts of each checkpoint. An error in
any of them stops all, and is raised in the calling thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from orca_cool.genome.regions import n_bins
from orca_cool.prediction.checkpoint import WorkFolder
from orca_cool.prediction.engine import Engine, WindowMap
from orca_cool.prediction.mosaic import Mosaic, Rows
from orca_cool.prediction.plan import Plan, Progress, Step
from orca_cool.prediction.window_files import compute, load_windows, windows_path

#: Steps that may be computed and not yet checkpointed.
BOUND = 2

Parts = dict[str, dict[str, np.ndarray]]
Write = Callable[[Callable[[str], Iterator[dict[str, np.ndarray]]]], None]


class Stopped(Exception):
    """Raised in a thread when another has failed."""


class Line:
    """Hands steps from the computing thread to the merging one, and names of parts from that one to
    the writing one.
    """

    def __init__(self, parts: Sequence[str], bound: int = BOUND):
        self.bound = bound
        self.error: BaseException | None = None
        self._wake = threading.Condition()
        self._steps: deque[tuple[Step, list[WindowMap]]] = deque()
        self._more = True
        self._parts = list(parts)
        self._whole = False

    def put(self, step: Step, maps: list[WindowMap]) -> None:
        """Hand over a computed step; waits while ``bound`` steps are not checkpointed yet."""
        with self._wake:
            self._wake.wait_for(lambda: len(self._steps) < self.bound or self.error is not None)
            if self.error is not None:
                raise self.error
            self._steps.append((step, maps))
            self._wake.notify_all()

    def close(self) -> None:
        """No step will follow."""
        with self._wake:
            self._more = False
            self._wake.notify_all()

    def steps(self) -> Iterator[tuple[Step, list[WindowMap]]]:
        """Steps as they come; one counts as held until the next is asked for. After an error those
        at hand still come.
        """
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._steps or not self._more or self.error is not None)
                if not self._steps:
                    return
                item = self._steps[0]
            yield item
            with self._wake:
                self._steps.popleft()
                self._wake.notify_all()

    def publish(self, parts: Sequence[str], whole: bool) -> None:
        """Parts that are safely stored; ``whole``: there will be no other."""
        with self._wake:
            self._parts += parts
            self._whole = self._whole or whole
            self._wake.notify_all()

    def parts(self) -> Iterator[str]:
        """Names of all parts from the first, as they are stored; Stopped after an error."""
        seen = 0
        while True:
            with self._wake:
                while len(self._parts) == seen and not self._whole and self.error is None:
                    self._wake.wait()
                if self.error is not None:
                    raise Stopped
                if len(self._parts) == seen:
                    return
                name = self._parts[seen]
            seen += 1
            yield name

    def stop(self, error: BaseException) -> None:
        """Stop all threads; the first error is the one that counts."""
        with self._wake:
            if self.error is None:
                self.error = error
            self._wake.notify_all()

    def check(self) -> None:
        """Raise the error of another thread."""
        if self.error is not None:
            raise self.error

    def guard(self, work: Callable[[], None]) -> None:
        """Run a thread's work; what it raises stops the others."""
        try:
            work()
        except Stopped:
            pass
        except BaseException as error:
            self.stop(error)


def run(
    engine: Engine,
    plan: Plan,
    work: WorkFolder,
    write: Write,
    *,
    crew: Crew | None = None,
    progress: Progress | None = None,
) -> None:
    """Compute, merge and write every step that the work does not hold yet.

    Parameters
    ----------
    write : writes the file; it is given ``named(prefix)``, the stored parts whose names begin with
        ``prefix``, in order. That iterator waits for parts that are still to come.
    crew : other processes that compute steps; without it steps are computed here unless a worker
        has left a file of their windows.
    """
    total, finished = len(plan), sum(len(step) for step in plan.steps[: work.step])
    report: Progress = progress or (lambda done, total: None)
    if crew is not None:
        report = crew.start(plan, work, report)
    report(finished, total)
    todo = plan.steps[work.step :]
    line = Line(work.parts)
    if not todo:
        line.publish([], whole=True)

    def named(prefix: str) -> Iterator[dict[str, np.ndarray]]:
        for name in line.parts():
            if name.startswith(prefix):
                yield work.load(name)

    def merge() -> None:
        merger = Merger(engine, plan, work)
        for step, maps in line.steps():
            line.publish(merger.add(step, maps), whole=step is todo[-1])

    threads = [
        threading.Thread(target=line.guard, args=(work,), name=name)
        for name, work in (("merge", merge), ("write", lambda: write(named)))
    ]
    for thread in threads:
        thread.start()
    try:
        for step in todo:
            maps = (
                crew.windows(step)
                if crew is not None
                else load_windows(work.folder, step, plan.settings.strand_difference)
            )
            line.check()
            if maps is not None:
                finished += len(step)
                report(finished, total)
            else:
                maps = []
                for found in compute(engine, step):
                    maps.append(found)
                    finished += 1
                    report(finished, total)
                    line.check()
            line.put(step, maps)
            del maps
        line.close()
        for thread in threads:
            thread.join()
    except BaseException as error:
        line.stop(error)
        raise
    finally:
        for thread in threads:
            thread.join()
    line.check()


class Merger:
    """Adds steps, in order, to their region's mosaic, and checkpoints each."""

    def __init__(self, engine: Engine, plan: Plan, work: WorkFolder):
        self.bins, self.chromsizes = engine.spec.bins, engine.source.chromsizes
        self.plan, self.work = plan, work
        self.mosaic: Mosaic | None = None

    def add(self, step: Step, maps: Sequence[WindowMap]) -> list[str]:
        """Merge and checkpoint a step; the names of its parts."""
        parts, state = self._trans(step, maps) if step.pair is not None else self._cis(step, maps)
        self.work.checkpoint(parts, state)
        windows_path(self.work.folder, step).unlink(missing_ok=True)
        return list(parts)

    def _cis(self, step: Step, maps: Sequence[WindowMap]) -> tuple[Parts, dict[str, np.ndarray]]:
        plan, settings, region = self.plan, self.plan.settings, step.region
        assert region is not None
        assert step.pending is not None
        if step.first or self.mosaic is None:
            length = self.chromsizes[region.chrom]
            self.mosaic = Mosaic(
                list(plan.chain.resolutions),
                plan.need,
                self.bins,
                length,
                region.start,
                region.end,
                settings.strand_difference,
            )
            if not step.first:
                self.mosaic.restore(self.work.state())
        for found in maps:
            r = found.window.resolution
            if plan.chain.owner(r) is step.module:
                self.mosaic.levels[r].add(
                    found.window.start,
                    found.values,
                    found.strand_difference if settings.strand_difference else None,
                )
        parts: Parts = {}
        for r, rows in self.mosaic.close(step.pending):
            if r in settings.resolutions and len(rows.values):
                parts[f"{r}.{step.number}"] = _part(
                    region.chrom, r, rows, plan.written[r], n_bins(step.taken, r)
                )
        return parts, {} if step.last else self.mosaic.state()

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


def _part(chrom: str, resolution: int, rows: Rows, band: int, taken: int) -> dict[str, np.ndarray]:
    """Rows as they are stored; those before bin ``taken`` belong to the region before (two regions
    may share a coarse bin).
    """
    first = min(max(0, taken - rows.start), len(rows.values))
    keep = (slice(first, None), slice(band))
    level = np.round(np.log2(rows.level[keep] / resolution)).astype(np.uint8)
    part = {
        "chrom": np.array(chrom),
        "start": np.array(rows.start + first),
        "values": rows.values[keep],
        "level": level,
    }
    if rows.strand_difference is not None:
        part["strand_difference"] = rows.strand_difference[keep]
    return part


class Crew(Protocol):
    """Other processes that compute steps.

    Attributes
    ----------
    numbers : their ``Engine.numbers`` (device, number types); None: the caller's own.
    again : this is another attempt of the same command, whose work is not to be thrown away.
    """

    numbers: dict[str, str] | None
    again: bool

    def start(self, plan: Plan, work: WorkFolder, progress: Progress) -> Progress:
        """Begin; the work is there. Returns what the caller is to report its own progress to."""
        ...

    def windows(self, step: Step) -> list[WindowMap] | None:
        """A step's windows, as soon as they are there; None if the caller is to compute them."""
        ...
