"""One thread that computes what tiles need: the most wanted tile first, each unit of work once,
however many tiles need it.

A tile that is asked for becomes a job. Jobs that were asked for within the last seconds go first.
Among them it is the turn of the client that has had least of the thread (``shares.py``); of its
jobs those that have no picture yet go first (their drafts are missing: the forward strand of their
windows), then those with the fewest units left; among those the ones nearest to the middle of the
view. Where a job has waited for long, every other turn is its, whatever is asked for meanwhile.
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
from typing import Any

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.jobs import Job, TilePlan
from higlass_plugin.compute.shares import NOBODY, Client, Shares
from higlass_plugin.compute.units import Preempted, Unit
from higlass_plugin.tiles import public_message
from orca_cool.errors import OrcaCoolError
from orca_cool.profile import Profile, stage

logger = logging.getLogger(__name__)

#: Seconds. A job is wanted now if it was asked for within RECENT; it is dropped if it was not asked
#: for during FORGET; a tile that failed is not tried again before RETRY.
RECENT, FORGET, RETRY = 3.0, 60.0, 30.0
#: Seconds. Jobs that began within TOGETHER are of one view, where none waits for another.
TOGETHER = 1.0
#: Seconds. A job is computed for SLICE at once, where it can be interrupted, while other clients
#: wait; one that has waited for PATIENCE gets turns of its own.
SLICE, PATIENCE = 10.0, 5.0
#: Jobs that a session may have, and an address with all its sessions: more than any page asks for.
#: Of more, those that were asked for longest ago are dropped.
MAX_OF_SESSION, MAX_OF_ADDRESS = 256, 1024
#: Number of other jobs that are searched for units to compute in one batch with those of the first.
NEIGHBOURS = 32
#: Niceness of the computing thread, so that requests are answered first.
NICENESS = 5
#: Messages of failed tiles that are kept.
MAX_ERRORS = 4096


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
    busy : seconds spent computing. profile : the stages of that.
    """

    def __init__(self, units: Cache, results: Cache, units_per_batch: int, urgent: threading.Event):
        self.units, self.results = units, results
        self.units_per_batch, self.urgent = units_per_batch, urgent
        self.computed, self.failed, self.built = 0, 0, 0
        self.busy = 0.0
        self.profile = Profile()
        self._jobs: dict[Hashable, Job] = {}
        self._errors: dict[Hashable, tuple[str, float]] = {}
        self._current: Job | None = None
        self._shares, self._turns, self._since = Shares(), 0, 0.0
        # the job that waits longest, while it is its turn, and since when it is
        self._patient: Job | None = None
        self._patient_since = 0.0
        self._wake = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Number of jobs that are not finished."""
        return len(self._jobs)

    def want(self, plans: Iterable[tuple[TilePlan, float]], client: Client = NOBODY) -> list[Job]:
        """Ask for tiles.

        Parameters
        ----------
        plans : the plan of each tile, with its distance from the middle of the view in tiles.
        client : who asks. The thread is shared by clients, and each may have a number of jobs.

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
                if client not in job.clients:
                    job.clients.add(client)
                    self._drop_surplus(client)
                job.asked, job.distance = time.monotonic(), distance
                if self._stopped:
                    self._finish(job)
                self._preempt()
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

    def plan_of(self, key: Hashable) -> TilePlan | None:
        """The plan of a tile that is being computed, None if it is not."""
        job = self._jobs.get(key)
        return None if job is None else job.plan

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

    def _drop_surplus(self, client: Client) -> None:
        """Drop the jobs that a client has too many, those that were asked for longest ago. One that
        others ask for, too, stays theirs.
        """
        if len(self._jobs) <= MAX_OF_SESSION:
            return
        for part, most in ((client, MAX_OF_SESSION), (client[:1], MAX_OF_ADDRESS)):
            own = [
                job
                for job in self._jobs.values()
                if any(c[: len(part)] == part for c in job.clients)
            ]
            for job in sorted(own, key=lambda job: job.asked)[: max(0, len(own) - most)]:
                job.clients = {c for c in job.clients if c[: len(part)] != part}
                if not job.clients:
                    self._finish(job)

    def _next_job(self) -> Job:
        """The job whose turn it is; there is one."""
        now = time.monotonic()
        recent = [job for job in self._jobs.values() if now - job.asked <= RECENT]
        waiting = recent or list(self._jobs.values())
        client = self._shares.next({c for job in waiting for c in job.clients})
        there = [job for job in waiting if any(c[0] == client[0] for c in job.clients)]
        oldest = min(there, key=lambda job: job.began)
        self._turns += 1
        if self._patient in recent and now - self._patient_since < SLICE:
            return self._patient
        self._patient = None
        chosen = min((job for job in waiting if client in job.clients), key=self._priority)
        waits = now - oldest.began > PATIENCE and chosen.began - oldest.began > TOGETHER
        if self._turns % 2 == 0 and waits:
            self._patient, self._patient_since = oldest, now
            return oldest
        return chosen

    def _priority(self, job: Job) -> tuple[bool, bool, int, float]:
        """Sorts jobs; the smallest is computed first."""
        first = next(iter(job.missing), None)
        has_picture = first is not None and not hasattr(first, "final")
        stale = time.monotonic() - job.asked > RECENT
        return stale, has_picture, len(job.missing), job.distance

    def _preempt(self) -> None:
        """Set ``urgent`` if another job is wanted, and the one being computed is not any more or
        has had its time while other clients wait.
        """
        current, now = self._current, time.monotonic()
        if current is None:
            return
        had_its_time = now - self._since > SLICE
        unwanted = now - current.asked > RECENT
        if any(
            now - job.asked <= RECENT and (unwanted or job.clients.isdisjoint(current.clients))
            for job in (self._jobs.values() if unwanted or had_its_time else ())
        ):
            self.urgent.set()

    def _run(self) -> None:
        # Linux has a niceness for each thread; the threads that torch starts inherit this one's
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        with self.profile:
            self._work()

    def _work(self) -> None:
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
                job = self._current = self._next_job()
                self.urgent.clear()
            began = self._since = time.monotonic()
            payers = [job]
            try:
                batch = self._next_batch(job)
                if batch:
                    payers = [payer for _, _, payer in batch]
                    self._compute([(unit, above) for unit, above, _ in batch])
                else:
                    self._build(job)
            except Preempted:
                pass
            except Exception as error:  # a tile that fails must not end the thread
                if not isinstance(error, OrcaCoolError):
                    logger.exception("a tile cannot be computed")
                self._fail(job, error)
            took = time.monotonic() - began
            self.busy += took
            with self._wake:
                for payer in payers:
                    for client in payer.clients:
                        self._shares.charge(client, took / len(payers) / len(payer.clients))
                self._current = None

    def _next_batch(self, job: Job) -> list[tuple[Unit, Any, Job]]:
        """Units to compute at once, each with the value of the unit that it needs, and the job that
        it is computed for.

        The units are those of ``job``, and units of the same kind of other jobs. The list is empty
        if all units of ``job`` have values.
        """
        batch: OrderedDict[Unit, tuple[Any, Job]] = OrderedDict()
        kind: Hashable = None
        with self._wake:
            others = sorted((j for j in self._jobs.values() if j is not job), key=self._priority)
        for j in [job, *others[:NEIGHBOURS]]:
            for unit in list(j.missing):
                if self._known(j, unit) is not None or (batch and unit.kind != kind):
                    continue
                above = None if unit.needs is None else self._known(j, unit.needs)
                if unit.needs is not None and above is None:
                    if not batch:
                        # the cache has dropped what this unit needs: that is computed again first
                        j.missing[unit.needs] = None
                        j.missing.move_to_end(unit.needs, last=False)
                        return self._next_batch(job)
                    continue
                kind = unit.kind
                if hasattr(unit, "draft"):
                    above = above, None if unit.draft is None else self._value(j, unit.draft)
                batch.setdefault(unit, (above, j))
                if len(batch) >= self.units_per_batch:
                    return [(unit, *rest) for unit, rest in batch.items()]
            if not batch:
                return []
        return [(unit, *rest) for unit, rest in batch.items()]

    def _value(self, job: Job, unit: Unit) -> Any:
        """The value of a unit, which the job holds from now on; None if there is none."""
        value = job.held.get(unit)
        if value is None:
            value = self.units.get(unit)
            if value is not None:
                job.held[unit] = value
                job.missing.pop(unit, None)
        return value

    def _known(self, job: Job, unit: Unit) -> Any:
        """The value of a unit; of a draft that of its window, if it is there."""
        final = getattr(unit, "final", None)
        value = None if final is None else self._value(job, final)
        if value is None:
            return self._value(job, unit)
        job.missing.pop(unit, None)
        return value

    def _compute(self, batch: Sequence[tuple[Unit, Any]]) -> None:
        """Compute units, and give their values to the cache and to all jobs that need them."""
        units, above = [unit for unit, _ in batch], [needed for _, needed in batch]
        for unit, (value, nbytes) in zip(units, units[0].compute(units, above)):
            self.units.put(unit, value, nbytes)
            self.computed += not hasattr(unit, "final")  # a draft is no window of its own
            draft = getattr(unit, "draft", None)
            with self._wake:
                for job in self._jobs.values():
                    if unit in job.missing:
                        job.held[unit] = value
                        job.missing.pop(unit)
                    if draft is not None:  # nobody needs it any more
                        job.missing.pop(draft, None)
                        job.held.pop(draft, None)
            if draft is not None:
                self.units.discard(draft)

    def _build(self, job: Job) -> None:
        with stage("tiles"):
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
