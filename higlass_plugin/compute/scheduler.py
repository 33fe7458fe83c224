"""Computes what tiles need: the most wanted tile first, each unit of work once, however many tiles
need it. One thread does, or several, each with a process of its own (``workers.py``).

A tile that is asked for becomes a job. Jobs that were asked for within the last seconds go first.
Among them it is the turn of the client that has had least so far (``shares.py``); of its
jobs those that have no picture yet go first (their drafts are missing: the forward strand of their
windows), then those with the fewest units left; among those the ones nearest to the middle of the
view. Where a job has waited for long, every other turn is its, whatever is asked for meanwhile.
A page asks again for as long as a tile is missing, so a job that nobody asks for any more falls
behind, and is dropped after a while. What was computed for it stays in the cache.

Of several threads, each takes what no other has in hand. A top window is read by one of them; the
others take windows below it once it has been, and find its encodings in a store that they share.
While somebody waits for whom none works, nobody keeps two (:func:`~workers.too_many`).
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

from cachetools import LRUCache

from higlass_plugin.compute.batches import next_batch
from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.jobs import Job, TilePlan
from higlass_plugin.compute.process import NICENESS, PredictingProcess
from higlass_plugin.compute.shares import NOBODY, Client, Shares
from higlass_plugin.compute.units import Preempted, Unit
from higlass_plugin.compute.urgent import Urgent
from higlass_plugin.compute.workers import Needing, Worker, too_many
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
#: Messages of failed tiles that are kept, and top windows that are known to have been read.
MAX_ERRORS, MAX_READ = 4096, 4096


class Scheduler:
    """Computes tiles in the background.

    Parameters
    ----------
    units : cache of the values of units.
    results : cache of the values of tiles, by the keys of their plans.
    units_per_batch : number of units of one kind that are computed at once, at most.
    urgent : set by the scheduler while a more urgent job waits; long computations look at it, and
        raise :class:`Preempted` if it is set.
    processes : compute in place of this one, if there are any; each has an ``urgent`` of its own.
    elsewhere : classes of units that another scheduler of the same caches computes: tiles that need
        them wait until they have values.

    Attributes
    ----------
    after : called when something was computed.
    computed : number of units computed. built : number of tiles. failed : number of failed tiles.
    busy : seconds spent computing. profile : the stages of that.
    workers : the threads.
    """

    def __init__(
        self,
        units: Cache,
        results: Cache,
        units_per_batch: int,
        urgent: Urgent,
        processes: Sequence[PredictingProcess] = (),
        elsewhere: tuple[type, ...] = (),
    ):
        self.units, self.results = units, results
        self.units_per_batch, self.elsewhere = units_per_batch, elsewhere
        self.after: Callable[[], None] = lambda: None
        self.computed, self.failed, self.built = 0, 0, 0
        self.busy = 0.0
        self.profile = Profile()
        self._jobs: dict[Hashable, Job] = {}
        self._errors: dict[Hashable, tuple[str, float]] = {}
        self._read: LRUCache[Hashable, bool] = LRUCache(MAX_READ)
        self._shares, self._turns = Shares(), 0
        self._usual = 0.0  # seconds that a turn takes
        # the job that waits longest, while it is its turn, and since when it is
        self._patient: Job | None = None
        self._patient_since = 0.0
        self._wake = threading.Condition()
        self._stopped = False
        self.workers = [Worker(p.urgent, p) for p in processes] or [Worker(urgent)]
        for worker in self.workers:
            worker.thread = threading.Thread(
                target=self._run, args=(worker,), name="predictions", daemon=True
            )
            worker.thread.start()

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

    def look_again(self) -> None:
        """Look whether there is something to do: a unit of ``elsewhere`` may have a value."""
        with self._wake:
            self._wake.notify_all()

    def close(self) -> None:
        """Stop: this process's thread after the batch that it computes, other processes at once.
        All jobs are dropped.
        """
        with self._wake:
            self._stopped = True
            for job in list(self._jobs.values()):
                self._finish(job)
            self._wake.notify_all()
        for worker in self.workers:
            worker.urgent.set()
            if worker.process is not None:
                worker.process.stop()
        for worker in self.workers:
            worker.thread.join()

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

    def _next_job(self, busy: set[Hashable]) -> Job | None:
        """The job whose turn it is, but for those with keys in ``busy``; None if there is none."""
        now = time.monotonic()
        there = [job for key, job in self._jobs.items() if key not in busy]
        recent = [job for job in there if now - job.asked <= RECENT]
        waiting = recent or there
        if not waiting:
            return None
        everyone = {c for job in self._jobs.values() for c in job.clients}
        client = self._shares.next({c for job in waiting for c in job.clients}, everyone)
        neighbours = [job for job in waiting if any(c[0] == client[0] for c in job.clients)]
        oldest = min(neighbours, key=lambda job: (job.later, job.began))
        if self._patient in recent and now - self._patient_since < SLICE:
            return self._patient
        self._patient = None
        chosen = min((job for job in waiting if client in job.clients), key=self._priority)
        long = now - oldest.began > PATIENCE and chosen.began - oldest.began > TOGETHER
        waits = long and not oldest.later
        if self._turns % 2 == 0 and waits:
            self._patient, self._patient_since = oldest, now
            return oldest
        return chosen

    def _priority(self, job: Job) -> tuple[bool, bool, bool, int, float]:
        """Sorts jobs; the smallest is computed first."""
        first = next(iter(job.missing), None)
        has_picture = first is not None and not hasattr(first, "final")
        stale = time.monotonic() - job.asked > RECENT
        return stale, job.later, has_picture, len(job.missing), job.distance

    def _preempt(self) -> None:
        """Have workers make way if another job is wanted, and theirs is not any more, or has had
        its time while other clients wait, or is one of several of a client while others have none.
        """
        now, hands = time.monotonic(), [worker.job for worker in self.workers]
        if None in hands:
            return
        wanted = [j for j in self._jobs.values() if now - j.asked <= RECENT and j not in hands]
        for worker, job in zip(self.workers, hands):
            assert job is not None
            unwanted = now - job.asked > RECENT
            # somebody's tiles go before the scores that the same client has asked for
            if job.later and any(
                not other.later and not other.clients.isdisjoint(job.clients) for other in wanted
            ):
                worker.urgent.set()
            if not unwanted and now - worker.since <= SLICE:
                continue
            if any(unwanted or other.clients.isdisjoint(job.clients) for other in wanted):
                worker.urgent.set()
        if len(hands) > 1 and wanted:
            surplus = too_many(self.workers, [c for job in wanted for c in job.clients])
            if surplus is not None:
                surplus.urgent.set()

    def _run(self, worker: Worker) -> None:
        # Linux has a niceness for each thread; the threads that torch starts inherit this one's
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        with self.profile if worker is self.workers[0] else contextlib.nullcontext():
            while (job := self._begin(worker)) is not None:
                try:
                    if worker.batch:
                        self._compute([(unit, above) for unit, above, _ in worker.batch], worker)
                    else:
                        self._build(job)
                except Preempted:
                    pass
                except Exception as error:  # a tile that fails must not end the thread
                    if not isinstance(error, OrcaCoolError):
                        logger.exception("a tile cannot be computed")
                    self._fail(job, error)
                self._end(worker)

    def _begin(self, worker: Worker) -> Job | None:
        """Wait until there is something to do, and give it to a worker. Returns the job whose turn
        it is; None if the worker should stop.
        """
        with self._wake:
            self._wake.wait_for(lambda: self._stopped or self._give(worker))
            return None if self._stopped else worker.job

    def _give(self, worker: Worker) -> bool:
        """Give a worker what to do; False if there is nothing that no other has in hand."""
        now = time.monotonic()
        for old in [job for job in self._jobs.values() if now - job.asked > FORGET]:
            self._finish(old)
        # tiles that are being built
        busy: set[Hashable] = {w.job.plan.key for w in self.workers if w.job and not w.batch}
        while (job := self._next_job(busy)) is not None:
            batch = next_batch(
                job,
                sorted((j for j in self._jobs.values() if j is not job), key=self._priority),
                self.units,
                self.workers,
                self.units_per_batch,
                self.elsewhere,
            )
            if batch is None:
                busy.add(job.plan.key)
                continue
            worker.job, worker.batch, worker.since = job, batch, time.monotonic()
            reads = {getattr(unit, "reads", None) for unit, _, _ in batch} - {None}
            worker.reads = frozenset(r for r in reads if r not in self._read)
            worker.urgent.clear()
            self._turns += 1
            # of several threads each is given its turn before the others' are known to the end
            worker.charged = self._usual if len(self.workers) > 1 else 0.0
            self._charge(worker.payers, worker.charged)
            return True
        return False

    def _end(self, worker: Worker) -> None:
        """Take note of what a worker has done, and that it has nothing in hand."""
        took = time.monotonic() - worker.since
        with self._wake:
            self.busy += took
            self._usual += 0.1 * (took - self._usual)
            self._charge(worker.payers, took - worker.charged)
            worker.job, worker.batch, worker.reads = None, (), frozenset()
            self._wake.notify_all()
        self.after()

    def _charge(self, payers: Sequence[Job], seconds: float) -> None:
        for payer in payers:
            for client in payer.clients:
                self._shares.charge(client, seconds / len(payers) / len(payer.clients))

    def _compute(self, batch: Sequence[Needing], worker: Worker) -> None:
        """Compute units, and give their values to the cache and to all jobs that need them."""
        values = worker.compute(batch)
        if worker.process is not None:
            self.profile.add(worker.process.stages)
        with self._wake:
            self._read.update(dict.fromkeys(worker.reads, True))
        for (unit, _), (value, nbytes) in zip(batch, values):
            self.units.put(unit, value, nbytes)
            draft = getattr(unit, "draft", None)
            with self._wake:
                self.computed += not hasattr(unit, "final")  # a draft is no window of its own
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
        with self._wake:
            self.built += 1
            self._finish(job)

    def _fail(self, job: Job, error: Exception) -> None:
        with self._wake:
            self.failed += 1
            self._errors[job.plan.key] = public_message(error), time.monotonic()
            while len(self._errors) > MAX_ERRORS:
                self._errors.pop(next(iter(self._errors)))
            self._finish(job)
