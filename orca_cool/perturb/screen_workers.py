"""Dask workers that predict the sequences of a screen. Scores come back with the tasks; the files
that a screen reads must lie where all workers see them.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from orca_cool.perturb.insert_run import InsertScreen
from orca_cool.perturb.screen_base import VirtualScreenJob, silent
from orca_cool.perturb.screen_run import Screen
from orca_cool.perturb.screen_share import (
    Alone,
    Keep,
    Piece,
    Pieces,
    Shareable,
    on_device,
    require_same,
)
from orca_cool.prediction.job import Opened
from orca_cool.prediction.number_types import Choice, settled_by
from orca_cool.prediction.parallel.connection import Cluster, device_of_worker
from orca_cool.prediction.progress import Report
from orca_cool.prediction.shared_job import MERGES

#: Sequences of a task, as far as pieces allow: more, and a lost worker or a run that is killed
#: costs more; fewer, and more time goes into handing them out.
PER_TASK = 32
#: Tasks at hand for each worker.
AT_HAND = 2

#: The last job's screen in each worker process, of whose threads one predicts at a time.
_kept: dict[str, Screen | InsertScreen] = {}
_one = threading.Lock()


def _prepared(kind: type[VirtualScreenJob], text: str) -> Screen | InsertScreen:
    """The screen of a job, made once in each worker process."""
    if text not in _kept:
        _kept.clear()
        job = kind.from_json(text)
        job = dataclasses.replace(job, device=device_of_worker(job.device))
        _kept[text] = job.screen_of(job.open(silent), Alone(), silent)
    return _kept[text]


def describe(
    kind: type[VirtualScreenJob], text: str
) -> tuple[dict[str, str], int, tuple[str, ...]]:
    """A task: how a worker computes, how many sequences it likes best to predict at once, and what
    the user should know of its number types.
    """
    with _one:
        screen = _prepared(kind, text)
        engine = screen.engine
        return engine.numerics, screen.windows_per_batch, screen.opened.number_types.told


def work(
    kind: type[VirtualScreenJob], text: str, settings: Mapping[str, Any], pieces: Sequence[Piece]
) -> list[list[np.ndarray]]:
    """A task: predict pieces of a screen.

    Parameters
    ----------
    kind, text : class of the job, and the job as JSON.
    settings : of the screen; OutputError if this worker's are others.

    Returns
    -------
    For each piece the scores of each sequence.
    """
    with _one:
        screen = _prepared(kind, text)
        require_same(settings, screen.settings)
        return [screen.score(*piece) for piece in pieces]


class OfWorkers(Cluster, Alone):
    """The workers of a dask cluster; a context manager.

    Parameters
    ----------
    where : see :class:`~orca_cool.prediction.parallel.connection.Cluster`.
    job : the screen.
    """

    def __init__(self, where: str, job: VirtualScreenJob):
        super().__init__(where)
        known = Choice().known(job)
        self._alone = dataclasses.replace(
            job.standalone(),
            nproc=1,
            dask=None,
            force=False,
            settled=None if known is None else (known.dtype, known.encoder_dtype),
        )
        self.kind, self.text = type(job), self._alone.to_json()
        self._futures: dict[Any, list[Piece]] = {}

    def greet(self) -> None:
        """Learn of a worker how it computes; the others do as it does."""
        asked = self.client.submit(describe, self.kind, self.text, pure=False)
        self.numerics, self.batch, self.told = asked.result()
        settled = settled_by(self._alone, self.numerics)
        self.text = dataclasses.replace(self._alone, settled=settled).to_json()

    def __exit__(self, *raised: Any) -> None:
        self.cancel(list(self._futures))
        super().__exit__(*raised)

    def opened(self, opened: Opened) -> Opened:
        """On this machine's processor: here nothing is predicted."""
        return on_device(opened, **MERGES)

    def predict(self, screen: Shareable, pieces: Pieces, keep: Keep, tick: Report) -> None:
        """As :meth:`Alone.predict`; tasks are handed out as others are done, so that all workers
        have some at hand.
        """
        from distributed import wait

        tasks = self._tasks(pieces)
        while True:
            room = max(1, len(self.client.ncores()), self.workers) * AT_HAND - len(self._futures)
            for part in islice(tasks, max(0, room)):
                task = self.client.submit(
                    work, self.kind, self.text, screen.settings, part, retries=2, pure=False
                )
                self._futures[task] = part
            if not self._futures:
                return
            for task in wait(list(self._futures), return_when="FIRST_COMPLETED").done:
                found = self.result(task)
                for piece, scores in zip(self._futures.pop(task), found):
                    keep(piece, scores)
                tick(screen.done, screen.total)

    def _tasks(self, pieces: Pieces) -> Iterator[list[Piece]]:
        """Runs of neighbouring pieces, which share a window; no fewer than there are workers."""
        assert self.batch is not None
        fair = -(-len(pieces) // (self.workers * AT_HAND))
        size = max(1, min(fair, PER_TASK // self.batch))
        every = iter(pieces)
        while part := list(islice(every, size)):
            yield part
