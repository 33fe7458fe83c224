"""Computes, merges and writes a plan at the same time, with bounded memory.

The calling thread computes (and is the one that Ctrl-C reaches); one thread adds windows to the
mosaic; one writes a checkpoint of each step while the next is merged; one writes the file, waiting
for the parts of each checkpoint, which another reads ahead. An error in any of them stops all, and
is raised in the calling thread.
"""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np

from orca_cool.prediction.checkpoint import WorkFolder
from orca_cool.prediction.engine import Engine, WindowMap
from orca_cool.prediction.merger import Merger, Parts
from orca_cool.prediction.plan import Plan, Progress, Step
from orca_cool.prediction.step_queue import StepQueue
from orca_cool.prediction.window_files import compute, load_windows, windows_path
from orca_cool.profile import carried, stage

T = TypeVar("T")

#: Stored parts whose names begin with a prefix, in order; waits for those that are still to come.
PartsNamed = Callable[[str], Iterator[dict[str, np.ndarray]]]


class Helpers(Protocol):
    """Other processes that compute steps.

    Attributes
    ----------
    numerics : their ``Engine.numerics`` (device, number types); None: the caller's own.
    restarted : this is another attempt of the same command, whose work is not to be thrown away.
    """

    numerics: dict[str, str] | None
    restarted: bool

    def start(self, plan: Plan, work: WorkFolder, progress: Progress) -> Progress:
        """Begin; the work folder is there. Returns what the caller is to report its own progress
        to.
        """
        ...

    def elsewhere(self, step: Step) -> bool:
        """True if another process computes a step, or has computed it."""
        ...

    def windows(self, step: Step) -> list[WindowMap] | None:
        """The windows of such a step, as soon as they are there; None if the caller is to compute
        them.
        """
        ...


def run(
    engine: Engine,
    plan: Plan,
    work: WorkFolder,
    write: Callable[[PartsNamed], None],
    *,
    helpers: Helpers | None = None,
    progress: Progress | None = None,
) -> None:
    """Compute, merge and write every step that the work folder does not hold, whole and sound.

    Parameters
    ----------
    write : writes the file from the stored parts.
    helpers : other processes that compute steps. Without them steps are computed here, unless
        another process has left a file of their windows.
    progress : called with (windows done, windows in all).
    """
    report: Progress = progress or (lambda done, total: None)
    if helpers is not None:
        report = helpers.start(plan, work, report)
    todo = work.todo(plan.steps)
    queue = StepQueue(len(plan.steps), work.done)

    def parts_named(prefix: str) -> Iterator[dict[str, np.ndarray]]:
        names = (name for name in queue.parts() if name.startswith(prefix))
        yield from _ahead(names, work.load)

    threads = [
        threading.Thread(target=queue.guard, args=(task,), name=name)
        for name, task in (
            ("merge", lambda: _merge_all(Merger(engine, plan, work), work, queue)),
            ("write", lambda: write(parts_named)),
        )
    ]
    for thread in threads:
        thread.start()
    try:
        _compute_all(engine, plan, work, todo, queue, helpers, report)
        queue.close()
        with stage("waiting"):
            for thread in threads:  # here, too, Ctrl-C must stop them
                thread.join()
    except BaseException as error:
        queue.stop(error)
        raise
    finally:
        for thread in threads:
            thread.join()
    queue.check()


def _ahead(names: Iterable[str], load: Callable[[str], T]) -> Iterator[T]:
    """What ``load`` makes of each name, in order; of the next one while the last one is used."""
    with ThreadPoolExecutor(1, "read") as reader:
        coming: Future[T] | None = None
        for name in names:
            before, coming = coming, reader.submit(carried(functools.partial(load, name)))
            if before is not None:
                yield before.result()
            del before
        if coming is not None:
            yield coming.result()


def _merge_all(merger: Merger, work: WorkFolder, queue: StepQueue) -> None:
    """Merge steps as they are computed, and write a checkpoint of each while the next is merged."""

    def keep(step: Step, parts: Parts, state: dict[str, np.ndarray]) -> None:
        work.checkpoint(step.number, parts, state)
        windows_path(work.folder, step).unlink(missing_ok=True)
        queue.publish(step.number, list(parts))

    with ThreadPoolExecutor(1, "checkpoint") as keeper:
        kept: Future[None] | None = None
        for step, maps in queue.steps():
            if kept is not None and not merger.goes_on(step):
                kept.result()  # the step begins from what that has left
            merged = merger.add(step, maps)
            if kept is not None:
                kept.result()
            kept = keeper.submit(keep, step, *merged)
        if kept is not None:
            kept.result()


def _compute_all(
    engine: Engine,
    plan: Plan,
    work: WorkFolder,
    todo: Sequence[Step],
    queue: StepQueue,
    helpers: Helpers | None,
    report: Progress,
) -> None:
    """Compute the steps that are to do, or take their windows from others, and hand them over."""
    total, finished = len(plan), len(plan) - sum(map(len, todo))

    def tick(windows: int = 1) -> None:
        nonlocal finished
        finished += windows
        report(finished, total)
        queue.check()

    def elsewhere(step: Step) -> bool:
        if helpers is not None:
            return helpers.elsewhere(step)
        return windows_path(work.folder, step).exists()

    tick(0)
    for others, some in itertools.groupby(todo, elsewhere):
        if not others:
            for step, maps in compute(engine, some, tick):
                queue.put(step, maps)
            continue
        for step in some:
            if helpers is not None:
                found = helpers.windows(step)
            else:
                found = load_windows(work.folder, step, plan.settings.strand_difference)
            if found is None:
                ((_, found),) = compute(engine, [step], tick)
            else:
                tick(len(step))
            queue.put(step, found)
            del found
