"""Dask workers that do pieces of shared work. What they find comes back with the tasks; the files
that a job reads must lie where all workers see them.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from orca_cool.prediction.job import Opened
from orca_cool.prediction.number_types import Choice, settled_by
from orca_cool.prediction.parallel.connection import Cluster, device_of_worker
from orca_cool.prediction.progress import Report
from orca_cool.prediction.shared_job import MERGES, PiecewiseJob, silent
from orca_cool.prediction.sharing import (
    ALONE,
    Alone,
    Keep,
    Piece,
    Pieces,
    Shareable,
    on_device,
    require_same,
)

#: Items of a task, as far as pieces allow: more, and a lost worker or a run that is killed costs
#: more; fewer, and more time goes into handing them out.
PER_TASK = 32
#: Tasks at hand for each worker.
AT_HAND = 2

#: The last job's work in each worker process, of whose threads one predicts at a time.
_kept: dict[str, tuple[Shareable, Opened]] = {}
_one = threading.Lock()


def _prepared(kind: type[PiecewiseJob], text: str) -> tuple[Shareable, Opened]:
    """The work of a job, its model and genome, made once in each worker process."""
    if text not in _kept:
        _kept.clear()
        job = kind.from_json(text)
        job = dataclasses.replace(job, device=device_of_worker(job.device))
        opened = job.open(silent)
        _kept[text] = job.work_of(opened, ALONE, silent), opened
    return _kept[text]


#: How a worker computes, how many items it likes best to predict at once, and what the user should
#: know of its number types.
Answer = tuple[dict[str, str], int, tuple[str, ...]]


def describe(kind: type[PiecewiseJob], text: str) -> Answer:
    """A task: what a worker says of itself."""
    with _one:
        prepared, opened = _prepared(kind, text)
        engine = prepared.engine
        return engine.numerics, prepared.windows_per_batch, opened.number_types.told


def work(
    kind: type[PiecewiseJob], text: str, settings: Mapping[str, Any], pieces: Sequence[Piece]
) -> list[list[Any]]:
    """A task: predict pieces of a job's work.

    Parameters
    ----------
    kind, text : class of the job, and the job as JSON.
    settings : of the work; OutputError if this worker's are others.

    Returns
    -------
    For each piece what was found of each item.
    """
    with _one:
        prepared, _ = _prepared(kind, text)
        require_same(settings, prepared.settings)
        return [prepared.score(*piece) for piece in pieces]


class OfWorkers(Cluster, Alone):
    """The workers of a dask cluster; a context manager.

    Parameters
    ----------
    where : see :class:`~orca_cool.prediction.parallel.connection.Cluster`.
    job : what to compute.
    """

    def __init__(self, where: str, job: PiecewiseJob):
        super().__init__(where)
        known = Choice().known(job)
        settled = None if known is None else (known.dtype, known.encoder_dtype)
        self._of_worker = dataclasses.replace(job.of_worker(), settled=settled)
        self.kind, self.text = type(job), self._of_worker.to_json()
        self._futures: dict[Any, list[Piece]] = {}
        self._said: Answer | None = None

    def greet(self) -> None:
        """Ask a worker how it computes; it answers while this process makes itself ready, and the
        others do as it does.
        """
        self._asked = self.client.submit(describe, self.kind, self.text, pure=False)

    def _answer(self) -> Answer:
        if self._said is None:
            self._said = self.result(self._asked)
            settled = settled_by(self._of_worker, self._said[0])
            if settled is not None:
                self.text = dataclasses.replace(self._of_worker, settled=settled).to_json()
        return self._said

    @property
    def numerics(self) -> dict[str, str]:
        """How the workers compute."""
        return self._answer()[0]

    @property
    def batch(self) -> int:
        """Items of a piece, as the workers like best."""
        return self._answer()[1]

    @property
    def told(self) -> tuple[str, ...]:
        """What the user should know of their number types."""
        return self._answer()[2]

    def __exit__(self, *raised: Any) -> None:
        self.cancel(list(self._futures))
        super().__exit__(*raised)

    def opened(self, opened: Opened) -> Opened:
        """On this machine's processor: here nothing is predicted."""
        return on_device(opened, **MERGES)

    def predict(self, shared: Shareable, pieces: Pieces, keep: Keep, tick: Report) -> None:
        """As :meth:`Alone.predict`; tasks are handed out as others are done, so that all workers
        have some at hand.
        """
        from distributed import wait

        tasks = self._tasks(pieces)
        while True:
            room = max(1, len(self.client.ncores()), self.workers) * AT_HAND - len(self._futures)
            for part in islice(tasks, max(0, room)):
                task = self.client.submit(
                    work, self.kind, self.text, shared.settings, part, retries=2, pure=False
                )
                self._futures[task] = part
            if not self._futures:
                return
            for task in wait(list(self._futures), return_when="FIRST_COMPLETED").done:
                found = self.result(task)
                for piece, its in zip(self._futures.pop(task), found):
                    keep(piece, its)
                tick(shared.done, shared.total)

    def _tasks(self, pieces: Pieces) -> Iterator[list[Piece]]:
        """Runs of neighbouring pieces, which share a window; towards the end they are shorter, so
        that all workers end together.
        """
        every, left = iter(pieces), len(pieces)
        while left:
            fair = -(-left // (self.workers * AT_HAND))
            part = list(islice(every, max(1, min(fair, PER_TASK // self.batch))))
            left -= len(part)
            yield part
