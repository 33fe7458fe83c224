"""One thread that computes what tiles need: the most wanted tile first, each unit once, however
many ask for it.

A tile that is asked for becomes a job. Jobs that somebody has asked for of late go before others,
among them those that are nearly done, among equals those nearest to the middle of the view. Whoever
looks at a page asks again while a tile is missing; a job that nobody asks for any more is demoted,
and dropped after a while: what was computed for it stays in the cache.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.units import Preempted, Unit
from higlass_plugin.tiles import told
from orca_cool.errors import OrcaCoolError

logger = logging.getLogger(__name__)

#: Seconds: asked for within this, a job is wanted now; not asked for during FORGET, it is dropped;
#: a failure is remembered for RETRY.
RECENT, FORGET, RETRY = 3.0, 60.0, 30.0
#: Jobs among which units are looked for that can be computed together with those of the first.
NEIGHBOURS = 32
#: Niceness of the computing thread: requests are answered first.
NICENESS = 5


#: The value of a unit, None if it is not there yet.
Look = Callable[[Unit], Any]


class Goal(Protocol):
    """What a tile is made of."""

    key: tuple

    def units(self) -> Sequence[Unit]:
        """All that it needs, what others need first."""
        ...

    def build(self, look: Look) -> tuple[Any, int]:
        """The tile's numbers, and their size in bytes, when all units are there."""
        ...

    def preview(self, look: Look) -> np.ndarray:
        """What can be shown now, coarser levels where finer ones are not there yet; NaN elsewhere."""
        ...


@dataclass
class Job:
    """A goal that is not reached yet. ``held``: values of its units, which the cache cannot drop
    under it.
    """

    goal: Goal
    missing: OrderedDict[Unit, None]
    held: dict[Unit, Any]
    asked: float
    rank: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)


class Scheduler:
    """Reach goals in the background.

    Parameters
    ----------
    units, results : caches of units' values and of what goals built.
    together : units of a kind computed at once, at most.
    urgent : set while the job that is being computed should make way for another.
    """

    def __init__(self, units: Cache, results: Cache, together: int, urgent: threading.Event):
        self.units, self.results, self.windows_per_batch, self.urgent = (
            units,
            results,
            together,
            urgent,
        )
        self.computed, self.failed, self.built = 0, 0, 0
        self.busy = 0.0
        self._jobs: dict[Hashable, Job] = {}
        self._errors: dict[Hashable, tuple[str, float]] = {}
        self._at: Job | None = None
        self._wake = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Jobs that wait."""
        return len(self._jobs)

    def want(self, goals: Iterable[tuple[Goal, float]]) -> list[Job]:
        """Ask for goals, each with its distance from the middle of the view.

        Returns
        -------
        The jobs of those whose results are not there.
        """
        out = []
        for goal, rank in goals:
            if goal.key in self.results or self.error(goal.key) is not None:
                continue
            job = self._jobs.get(goal.key)
            if job is None:
                missing = OrderedDict.fromkeys(
                    goal.units()
                )  # planning takes milliseconds: outside the lock
                job = Job(goal, missing, {}, time.monotonic(), rank)
            with self._wake:
                job = self._jobs.setdefault(goal.key, job)
                job.asked, job.rank = time.monotonic(), rank
                if self._stopped:
                    self._finish(job)
                self._consider()
                self._wake.notify_all()
            out.append(job)
        return out

    def error(self, key: Hashable) -> str | None:
        """Why a goal failed a short while ago."""
        found = self._errors.get(key)
        if found is not None and time.monotonic() - found[1] > RETRY:
            self._errors.pop(key, None)
            return None
        return None if found is None else found[0]

    def is_pending(self, key: Hashable) -> bool:
        """True while there is a job; asking keeps it wanted."""
        job = self._jobs.get(key)
        if job is None:
            return False
        job.asked = time.monotonic()
        return True

    def look(self, unit: Unit) -> Any:
        """A unit's value if it is there."""
        return self.units.get(unit)

    def drop(self, unwanted: Callable[[Any], bool]) -> None:
        """Forget jobs by their keys."""
        with self._wake:
            for key in [key for key in self._jobs if unwanted(key)]:
                self._finish(self._jobs[key])

    def close(self) -> None:
        """Stop; what is being computed is finished first (one batch)."""
        with self._wake:
            self._stopped = True
            self.urgent.set()
            for job in list(self._jobs.values()):
                self._finish(job)
            self._wake.notify_all()
        self._thread.join()

    def _finish(self, job: Job) -> None:
        self._jobs.pop(job.goal.key, None)
        job.done.set()

    def _order(self, job: Job) -> tuple[bool, int, float]:
        return time.monotonic() - job.asked > RECENT, len(job.missing), job.rank

    def _consider(self) -> None:
        """Tell the computing thread to make way if what it does is not wanted any more and
        something else is.
        """
        at = self._at
        if (
            at is not None
            and time.monotonic() - at.asked > RECENT
            and any(not self._order(job)[0] for job in self._jobs.values())
        ):
            self.urgent.set()

    def _run(self) -> None:
        # of this thread and of those that it starts (torch's), where the system lets threads have a
        # niceness of their own (Linux)
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._jobs or self._stopped)
                if self._stopped:
                    return
                now = time.monotonic()
                for job in [job for job in self._jobs.values() if now - job.asked > FORGET]:
                    self._finish(job)
                if not self._jobs:
                    continue
                job = self._at = min(self._jobs.values(), key=self._order)
                self.urgent.clear()
            began = time.monotonic()
            try:
                batch = self._next(job)
                if batch:
                    self._compute(batch)
                else:
                    self._build(job)
            except Preempted:
                pass
            except Exception as error:  # one tile's failure is its own: the thread goes on
                if not isinstance(error, OrcaCoolError):
                    logger.exception("a tile cannot be computed")
                self._fail(job, error)
            self.busy += time.monotonic() - began
            self._at = None

    def _next(self, job: Job) -> list[tuple[Unit, Any]]:
        """Units to compute now, with the values of what they need: the job's first, and others of
        its kind; none if all are there.
        """
        batch: OrderedDict[Unit, Any] = OrderedDict()
        kind: Hashable = None
        with self._wake:
            others = sorted((j for j in self._jobs.values() if j is not job), key=self._order)[
                :NEIGHBOURS
            ]
        for j in [job, *others]:
            for unit in list(j.missing):
                value = self._value(j, unit)
                if value is not None:
                    continue
                if batch and unit.kind != kind:
                    continue
                above = None if unit.needs is None else self._value(j, unit.needs)
                if unit.needs is not None and above is None:
                    # of the first job what is above comes first: it was dropped from the cache
                    # meanwhile
                    if not batch:
                        j.missing[unit.needs] = None
                        j.missing.move_to_end(unit.needs, last=False)
                        return self._next(job)
                    continue
                kind = unit.kind
                batch.setdefault(unit, above)
                if len(batch) >= self.windows_per_batch:
                    return list(batch.items())
            if not batch:
                return []
        return list(batch.items())

    def _value(self, job: Job, unit: Unit) -> Any:
        """A unit's value; once seen, the job holds it."""
        value = job.held.get(unit)
        if value is None:
            value = self.units.get(unit)
            if value is not None:
                job.held[unit] = value
                job.missing.pop(unit, None)
        return value

    def _compute(self, batch: Sequence[tuple[Unit, Any]]) -> None:
        units = [unit for unit, _ in batch]
        for unit, (value, nbytes) in zip(
            units, units[0].compute(units, [above for _, above in batch])
        ):
            self.units.put(unit, value, nbytes)
            self.computed += 1
            with self._wake:
                for job in self._jobs.values():
                    if unit in job.missing:
                        job.held[unit] = value
                        job.missing.pop(unit)

    def _build(self, job: Job) -> None:
        value, nbytes = job.goal.build(job.held.get)
        self.results.put(job.goal.key, value, nbytes)
        self.built += 1
        with self._wake:
            self._finish(job)

    def _fail(self, job: Job, error: Exception) -> None:
        self.failed += 1
        with self._wake:
            self._errors[job.goal.key] = told(error), time.monotonic()
            while len(self._errors) > 4096:
                self._errors.pop(next(iter(self._errors)))
            self._finish(job)
