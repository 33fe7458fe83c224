"""Workers of dask.distributed as helpers: on this machine, on a SLURM cluster, or wherever a
scheduler is.

Tasks are short runs of steps; their windows come back as files in the work folder, which workers
and client must both see. A worker that is lost costs the steps that it had in hand: another does
them again. Needs the extra ``cluster``.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Sequence
from typing import Any

from orca_cool.errors import OutputError
from orca_cool.prediction.checkpoint import WorkFolder
from orca_cool.prediction.engine import WindowMap
from orca_cool.prediction.job import Opened
from orca_cool.prediction.number_types import settled_by
from orca_cool.prediction.parallel.connection import Cluster, device_of_worker
from orca_cool.prediction.plan import Plan, Progress, Step, split
from orca_cool.prediction.regions_job import RegionsJob
from orca_cool.prediction.window_files import compute_steps, load_windows, unfinished, windows_path

log = logging.getLogger(__name__)

#: Tasks per worker: more, and a lost worker costs less; fewer, and neighbours share more encodings.
TASKS = 4
#: Seconds between two looks at a task, and for which a file may be on its way through a network
#: file system.
LOOK, LAG = 0.05, 90.0
#: Attempts at a task whose files turn out to be damaged.
ATTEMPTS = 3

#: The last job's model and genome, and its plan, in each worker process.
_kept: dict[str, tuple[Opened, Plan]] = {}


def _prepared(job: str) -> tuple[Opened, Plan]:
    """Model, genome and plan of a job, made once in each worker process."""
    if job not in _kept:
        _kept.clear()
        here = RegionsJob.from_json(job)
        here = dataclasses.replace(here, device=device_of_worker(here.device))
        opened = here.open()
        _kept[job] = opened, here.plan(opened.engine)
    return _kept[job]


def describe(job: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """A task: the ``numerics`` of a worker's engine for a :class:`RegionsJob` (as JSON), and what
    the user should know of its number types.
    """
    opened, _ = _prepared(job)
    return opened.engine.numerics, opened.number_types.told


def work(job: str, numbers: Sequence[int]) -> int:
    """A task: compute steps of a job and leave their windows in its folder.

    Parameters
    ----------
    job : a :class:`RegionsJob` as JSON.
    numbers : of the steps.

    Returns
    -------
    Steps that were computed.
    """
    opened, plan = _prepared(job)
    steps = [plan.steps[number] for number in numbers]
    return compute_steps(opened.engine, plan, steps, RegionsJob.from_json(job).folder)


class Dask(Cluster):
    """Workers of a dask cluster; the helpers of
    :func:`orca_cool.prediction.to_file.predict_to_file`. A context manager.

    Parameters
    ----------
    where : see :class:`~orca_cool.prediction.parallel.connection.Cluster`.
    job : what to compute.

    Attributes
    ----------
    told : what the user should know of the workers' number types, in lines.

    Raises
    ------
    OrcaCoolError
        If ``where`` is none of these, dask is not installed, or the cluster cannot be reached.
    """

    restarted = False

    def __init__(self, where: str, job: RegionsJob):
        super().__init__(where)
        self._of_all, self.job = job, job.to_json()
        self._tasks: dict[int, int] = {}  # step -> task
        self._numbers: list[list[int]] = []
        self._futures: list[Any] = []

    def greet(self) -> None:
        """Learn of a worker how it computes; the others do as it does."""
        self.numerics, self.told = self.client.submit(describe, self.job, pure=False).result()
        settled = settled_by(self._of_all, self.numerics)
        self.job = dataclasses.replace(self._of_all, settled=settled).to_json()

    def __exit__(self, *raised: Any) -> None:
        self.cancel(self._futures)
        super().__exit__(*raised)

    def start(self, plan: Plan, work: WorkFolder, progress: Progress) -> Progress:
        """Submit what is to do, first steps first. Progress counts the windows of finished
        tasks.
        """
        todo = unfinished(plan, work)
        self._folder, self._strand_difference, self._progress = (
            work.folder,
            plan.settings.strand_difference,
            progress,
        )
        for part in split(plan.spec, todo, TASKS * self.workers):
            if part:
                self._tasks |= {step.number: len(self._numbers) for step in part}
                self._numbers.append([step.number for step in part])
        self._futures = [self._submit(numbers) for numbers in self._numbers]
        self._windows = [sum(len(plan.steps[n]) for n in numbers) for numbers in self._numbers]
        self._total, self._before = len(plan), len(plan) - sum(self._windows)
        self._report()
        return lambda done, total: None

    def elsewhere(self, step: Step) -> bool:
        """True: workers compute all steps that no former run has left as a file."""
        return True

    def windows(self, step: Step) -> list[WindowMap] | None:
        """A step's windows once its task is done.

        Raises
        ------
        OrcaCoolError
            If the task failed, or its files do not arrive.
        """
        task = self._tasks.get(step.number)
        for _ in range(ATTEMPTS):
            if task is not None:
                self._wait(task, step)
            maps = load_windows(self._folder, step, self._strand_difference)
            if maps is not None or task is None:
                return maps
            log.warning("the windows of step %d are damaged; they are computed again", step.number)
            self._futures[task] = self._submit([step.number])
        raise OutputError(
            f"{windows_path(self._folder, step)} is damaged each time it is written; is the disk "
            f"full, or failing?"
        )

    def _submit(self, numbers: list[int]) -> Any:
        return self.client.submit(work, self.job, numbers, retries=2, pure=False)

    def _wait(self, task: int, step: Step) -> None:
        while not self._futures[task].done():
            time.sleep(LOOK)
            self._report()
        self._report()
        self.result(self._futures[task])
        # a network file system may show a file late; a folder that the workers do not share never
        # does
        path, last = windows_path(self._folder, step), time.monotonic() + LAG
        while path.name not in os.listdir(self._folder):
            if time.monotonic() > last:
                raise OutputError(
                    f"{path} does not appear: the output must be on a file system that this "
                    f"machine and the workers share"
                )
            time.sleep(LOOK)

    def _report(self) -> None:
        done = sum(
            windows
            for windows, future in zip(self._windows, self._futures)
            if future.status == "finished"
        )
        self._progress(self._before + done, self._total)
