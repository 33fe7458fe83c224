"""One thread that computes what tiles need: the most wanted tile first, each unit of work once,
however many tiles need it.

A tile that is asked for becomes a job. Jobs that were asked for within the last seconds go first;
among them those with the fewest units left; among those the ones nearest to the middle of the view.
A page asks again for as long as a tile is missing, so a job that nobody asks for any more falls
behind, and is dropped after a while. What was computed for it stays in the cache.
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
from higlass_plugin.tiles import public_message
from orca_cool.errors import OrcaCoolError

logger = logging.getLogger(__name__)

#: Seconds. A job is wanted now if it was asked for within RECENT; it is dropped if it was not asked
#: for during FORGET; a tile that failed is not tried again before RETRY.
RECENT, FORGET, RETRY = 3.0, 60.0, 30.0
#: Number of other jobs that are searched for units to compute in one batch with those of the first.
NEIGHBOURS = 32
#: Niceness of the computing thread, so that requests are answered first.
NICENESS = 5
#: Messages of failed tiles that are kept.
MAX_ERRORS = 4096

#: Gives the value of a unit, None if it has not been computed.
Lookup = Callable[[Unit], Any]


class TilePlan(Protocol):
    """What a tile is made of: the units of work that it needs, and how its numbers follow from
    their values.

    Attributes
    ----------
    key : identifies the tile among all tiles of a server; its first element is the tileset's uid.
    """

    key: tuple[Hashable, ...]

    def units(self) -> Sequence[Unit]:
        """All units that the tile needs, each after the one that it needs itself."""
        ...

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        """The tile's values and their size in bytes, once all units have values."""
        ...

    def preview(self, lookup: Lookup) -> np.ndarray:
        """The values that can be shown now: those of coarser levels where finer ones have not been
        computed, NaN where there is nothing yet.
        """
        ...


@dataclass
class Job:
    """A tile that is being computed.

    Attributes
    ----------
    plan : of the tile.
    missing : units that have no value yet, in the order in which they are to be computed.
    held : values of the other units. The job keeps them, so that the cache cannot drop what is
        still needed.
    asked : when the tile was last asked for, in seconds of the monotonic clock.
    distance : from the middle of the view, in tiles.
    done : set when the tile is ready, has failed, or was dropped.
    """

    plan: TilePlan
    missing: OrderedDict[Unit, None]
    held: dict[Unit, Any]
    asked: float
    distance: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)


class Scheduler:
    """Computes tiles in a background thread.

    Parameters
    ----------
    units : cache of the values of units.
    results : cache of the values of tiles, by the keys of their plans.
    units_per_batch : number of units of one kind that are computed at once, at most.
    urgent : set by the scheduler while a more urgent job waits; long computations look at it, and
        raise :class:`Preempted` if it is set.

    Attributes
    ----------
    computed : number of units computed. built : number of tiles. failed : number of failed tiles.
    busy : seconds spent computing.
    """

    def __init__(self, units: Cache, results: Cache, units_per_batch: int, urgent: threading.Event):
        self.units, self.results = units, results
        self.units_per_batch, self.urgent = units_per_batch, urgent
        self.computed, self.failed, self.built = 0, 0, 0
        self.busy = 0.0
        self._jobs: dict[Hashable, Job] = {}
        self._errors: dict[Hashable, tuple[str, float]] = {}
        self._current: Job | None = None
        self._wake = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Number of jobs that are not finished."""
        return len(self._jobs)

    def want(self, plans: Iterable[tuple[TilePlan, float]]) -> list[Job]:
        """Ask for tiles.

        Parameters
        ----------
        plans : the plan of each tile, with its distance from the middle of the view in tiles.

        Returns
        -------
        The jobs of those tiles that are not ready and did not fail a short while ago.
        """
        jobs = []
        for plan, distance in plans:
            if plan.key in self.results or self.error(plan.key) is not None:
                continue
            job = self._jobs.get(plan.key)
            if job is None:
                # planning takes milliseconds, so it is done outside the lock
                missing = OrderedDict.fromkeys(plan.units())
                job = Job(plan, missing, {}, time.monotonic(), distance)
            with self._wake:
                job = self._jobs.setdefault(plan.key, job)
                job.asked, job.distance = time.monotonic(), distance
                if self._stopped:
                    self._finish(job)
                self._preempt_unwanted()
                self._wake.notify_all()
            jobs.append(job)
        return jobs

    def error(self, key: Hashable) -> str | None:
        """Why a tile failed within the last RETRY seconds; None if it did not."""
        found = self._errors.get(key)
        if found is not None and time.monotonic() - found[1] > RETRY:
            self._errors.pop(key, None)
            return None
        return None if found is None else found[0]

    def is_pending(self, key: Hashable) -> bool:
        """Whether a tile is being computed. Asking counts as asking for the tile."""
        job = self._jobs.get(key)
        if job is None:
            return False
        job.asked = time.monotonic()
        return True

    def lookup(self, unit: Unit) -> Any:
        """The cached value of a unit; None if there is none."""
        return self.units.get(unit)

    def drop(self, unwanted: Callable[[Any], bool]) -> None:
        """Drop the jobs of tiles whose key ``unwanted`` returns True for."""
        with self._wake:
            for key in [key for key in self._jobs if unwanted(key)]:
                self._finish(self._jobs[key])

    def close(self) -> None:
        """Stop the thread, after the batch that is being computed. All jobs are dropped."""
        with self._wake:
            self._stopped = True
            self.urgent.set()
            for job in list(self._jobs.values()):
                self._finish(job)
            self._wake.notify_all()
        self._thread.join()

    def _finish(self, job: Job) -> None:
        self._jobs.pop(job.plan.key, None)
        job.done.set()

    def _priority(self, job: Job) -> tuple[bool, int, float]:
        """Sorts jobs; the smallest is computed first."""
        return time.monotonic() - job.asked > RECENT, len(job.missing), job.distance

    def _preempt_unwanted(self) -> None:
        """Set ``urgent`` if the job being computed is not wanted any more and another one is."""
        current = self._current
        if (
            current is not None
            and time.monotonic() - current.asked > RECENT
            and any(not self._priority(job)[0] for job in self._jobs.values())
        ):
            self.urgent.set()

    def _run(self) -> None:
        # Linux has a niceness for each thread; the threads that torch starts inherit this one's
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
                job = self._current = min(self._jobs.values(), key=self._priority)
                self.urgent.clear()
            began = time.monotonic()
            try:
                batch = self._next_batch(job)
                if batch:
                    self._compute(batch)
                else:
                    self._build(job)
            except Preempted:
                pass
            except Exception as error:  # a tile that fails must not end the thread
                if not isinstance(error, OrcaCoolError):
                    logger.exception("a tile cannot be computed")
                self._fail(job, error)
            self.busy += time.monotonic() - began
            self._current = None

    def _next_batch(self, job: Job) -> list[tuple[Unit, Any]]:
        """Units to compute at once, each with the value of the unit that it needs.

        The units are those of ``job``, and units of the same kind of other jobs. The list is empty
        if all units of ``job`` have values.
        """
        batch: OrderedDict[Unit, Any] = OrderedDict()
        kind: Hashable = None
        with self._wake:
            others = sorted((j for j in self._jobs.values() if j is not job), key=self._priority)
        for j in [job, *others[:NEIGHBOURS]]:
            for unit in list(j.missing):
                if self._value(j, unit) is not None or (batch and unit.kind != kind):
                    continue
                above = None if unit.needs is None else self._value(j, unit.needs)
                if unit.needs is not None and above is None:
                    if not batch:
                        # the cache has dropped what this unit needs: that is computed again first
                        j.missing[unit.needs] = None
                        j.missing.move_to_end(unit.needs, last=False)
                        return self._next_batch(job)
                    continue
                kind = unit.kind
                batch.setdefault(unit, above)
                if len(batch) >= self.units_per_batch:
                    return list(batch.items())
            if not batch:
                return []
        return list(batch.items())

    def _value(self, job: Job, unit: Unit) -> Any:
        """The value of a unit, which the job holds from now on; None if there is none."""
        value = job.held.get(unit)
        if value is None:
            value = self.units.get(unit)
            if value is not None:
                job.held[unit] = value
                job.missing.pop(unit, None)
        return value

    def _compute(self, batch: Sequence[tuple[Unit, Any]]) -> None:
        """Compute units, and give their values to the cache and to all jobs that need them."""
        units, above = [unit for unit, _ in batch], [needed for _, needed in batch]
        for unit, (value, nbytes) in zip(units, units[0].compute(units, above)):
            self.units.put(unit, value, nbytes)
            self.computed += 1
            with self._wake:
                for job in self._jobs.values():
                    if unit in job.missing:
                        job.held[unit] = value
                        job.missing.pop(unit)

    def _build(self, job: Job) -> None:
        value, nbytes = job.plan.build(job.held.get)
        self.results.put(job.plan.key, value, nbytes)
        self.built += 1
        with self._wake:
            self._finish(job)

    def _fail(self, job: Job, error: Exception) -> None:
        self.failed += 1
        with self._wake:
            self._errors[job.plan.key] = public_message(error), time.monotonic()
            while len(self._errors) > MAX_ERRORS:
                self._errors.pop(next(iter(self._errors)))
            self._finish(job)
