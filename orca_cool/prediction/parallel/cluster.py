"""Workers of dask.distributed as helpers: on this machine, on a SLURM cluster, or wherever a
scheduler is.

Tasks are short runs of steps; their windows come back as files in the work folder, which workers
and client must both see. A worker that is lost costs the steps that it had in hand: another does
them again. Needs ``pip install orca-cool[cluster]``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Sequence
from typing import Any

import torch

from orca_cool.errors import OrcaCoolError, OutputError
from orca_cool.prediction.checkpoint import WorkFolder
from orca_cool.prediction.engine import Engine, WindowMap
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


#: Run in each local worker: Ctrl-C reaches all processes of a terminal, and the first of them stops
#: the others, which need not complain.
LEAVE_CTRL_C = """
import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
"""

#: The last job's engine and plan, in each worker process.
_kept: dict[str, tuple[Engine, Plan]] = {}


def _prepared(job: str) -> tuple[Engine, Plan]:
    """Engine and plan of a job, made once in each worker process."""
    if job not in _kept:
        _kept.clear()
        here = RegionsJob.from_json(job)
        here = dataclasses.replace(here, device=_device(here.device))
        engine = here.open().engine
        _kept[job] = engine, here.plan(engine)
    return _kept[job]


def describe(job: str) -> dict[str, str]:
    """A task: the ``numerics`` of a worker's engine for a :class:`RegionsJob` (as JSON)."""
    return _prepared(job)[0].numerics


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
    engine, plan = _prepared(job)
    steps = [plan.steps[number] for number in numbers]
    return compute_steps(engine, plan, steps, RegionsJob.from_json(job).folder)


def _device(wanted: str) -> str:
    """ "auto" or "cuda" to one of the GPUs: workers of a local cluster, which are numbered, take
    them in turn.
    """
    from distributed import get_worker

    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        name = get_worker().name
        return f"cuda:{name % torch.cuda.device_count()}" if isinstance(name, int) else "cuda"
    return wanted


def _local_cluster(count: int) -> Any:
    """``count`` processes on this machine, of one thread each for dask."""
    import dask
    import distributed

    # dask gives each worker one thread of arithmetic: share what there is
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, (os.cpu_count() or 1) // count)
    settings = {
        "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": threads,
        "distributed.worker.preload": [LEAVE_CTRL_C],
    }
    with dask.config.set(settings):
        return distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,
        )


class Dask:
    """Workers of a dask cluster; the helpers of
    :func:`orca_cool.prediction.to_file.predict_to_file`. A context manager.

    Parameters
    ----------
    where : ``local:N`` (N processes of one thread for dask on 127.0.0.1), ``slurm:N`` (N jobs of
        dask_jobqueue.SLURMCluster, as its own configuration file has it), ``tcp://host:port`` or
        ``tls://host:port``, or the path of a scheduler file (.json).
    job : what to compute.

    Raises
    ------
    OrcaCoolError
        If ``where`` is none of these, dask is not installed, or the cluster cannot be reached.
    """

    restarted = False

    def __init__(self, where: str, job: RegionsJob):
        self.where, self.job = where, job.to_json()
        self.numbers: dict[str, str] | None = None
        self._stack = contextlib.ExitStack()
        self._tasks: dict[int, int] = {}  # step -> task
        self._numbers: list[list[int]] = []
        self._futures: list[Any] = []

    def __enter__(self) -> Dask:
        kind, _, rest = self.where.partition(":")
        count = int(rest) if rest.isdigit() else 0
        if not (
            (kind in ("local", "slurm") and count > 0)
            or (kind in ("tcp", "tls") and rest.startswith("//"))
            or self.where.endswith(".json")
        ):
            raise OrcaCoolError(
                f"--dask {self.where!r} is not understood; write local:N, slurm:N, "
                f"tcp://host:port or a scheduler file (.json)"
            )
        try:
            import distributed

            self.client = self._stack.enter_context(
                distributed.Client(**self._address(kind, count))
            )
            if kind == "slurm":
                log.info("waiting for the first SLURM job")
            self.numerics = self.client.submit(describe, self.job, pure=False).result()
            self.workers = count or max(1, len(self.client.ncores()))
        except ImportError as error:
            self._stack.close()
            raise OrcaCoolError(
                f"--dask {self.where!r} needs a package that is missing ({error}); pip install "
                f"orca-cool[cluster]"
            ) from error
        except OrcaCoolError:
            self._stack.close()
            raise
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            self._stack.close()
            raise OrcaCoolError(
                f"--dask {self.where!r}: the cluster cannot be used ({error})"
            ) from error
        except BaseException:
            self._stack.close()
            raise
        return self

    def _address(self, kind: str, count: int) -> dict[str, Any]:
        """How the client finds the scheduler; a cluster of our own is started, and stopped on
        leaving.
        """
        if kind == "local":
            return {"address": self._stack.enter_context(_local_cluster(count))}
        if kind == "slurm":
            import dask_jobqueue

            cluster = self._stack.enter_context(dask_jobqueue.SLURMCluster())
            cluster.scale(jobs=count)
            return {"address": cluster}
        key = "scheduler_file" if self.where.endswith(".json") else "address"
        return {key: self.where}

    def __exit__(self, *_: Any) -> None:
        if not self.where.startswith(("local:", "slurm:")):  # workers of our own just end
            with contextlib.suppress(Exception):
                self.client.cancel(self._futures)
        self._stack.close()

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
        from distributed import CancelledError, KilledWorker

        while not self._futures[task].done():
            time.sleep(LOOK)
            self._report()
        self._report()
        try:
            self._futures[task].result()
        except KilledWorker as error:
            raise OrcaCoolError(
                f"dask workers died again and again over the same task ({error}); is their "
                f"memory enough?"
            ) from error
        except (CancelledError, OSError) as error:
            raise OrcaCoolError(
                f"--dask {self.where!r}: the cluster is lost ({error}); repeat the command to go on"
            ) from error
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
