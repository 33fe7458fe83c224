"""The threads of a scheduler, each of which computes here or has a process that does."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from higlass_plugin.compute.jobs import Job
from higlass_plugin.compute.plain_units import to_plain
from higlass_plugin.compute.process import PredictingProcess
from higlass_plugin.compute.shares import Client
from higlass_plugin.compute.units import Unit
from higlass_plugin.compute.urgent import Urgent
from orca_cool.prediction.engine import Engine

#: A unit, and the value of what it needs.
Needing = tuple[Unit, Any]


@dataclass(eq=False)
class Worker:
    """One of the threads that compute.

    Attributes
    ----------
    urgent : set while something more urgent waits: what it computes then makes way where it can.
    process : computes the units in place of this process; None: the thread does.
    job : whose turn it is; None if it has nothing to do. since : when that began.
    batch : the units in hand, each with what it needs, and the job that it is computed for; empty:
        the tile of ``job`` is built.
    reads : the top windows of these units that nobody has read yet.
    charged : seconds that its clients were charged beforehand.
    """

    urgent: Urgent
    process: PredictingProcess | None = None
    job: Job | None = None
    since: float = 0.0
    batch: Sequence[tuple[Unit, Any, Job]] = ()
    reads: frozenset[Hashable] = frozenset()
    charged: float = 0.0
    thread: threading.Thread = field(init=False)

    @property
    def payers(self) -> list[Job]:
        """The jobs that it works for: one for each unit in hand."""
        payers = [payer for _, _, payer in self.batch]
        return payers or ([self.job] if self.job is not None else [])

    @property
    def clients(self) -> set[Client]:
        """Who asked for what it does."""
        return {client for payer in self.payers for client in payer.clients}

    def compute(self, batch: Sequence[Needing]) -> list[tuple[Any, int]]:
        """Values of units of one kind, and their sizes in bytes; see :meth:`Unit.compute`."""
        units, above = [unit for unit, _ in batch], [needed for _, needed in batch]
        if self.process is not None:
            plain = [to_plain(unit) for unit in units]
            if None not in plain:
                return self.process.compute([p for p in plain if p is not None], above)
        return units[0].compute(units, above)


def units_at_once(engine: Engine, processes: int) -> int:
    """How many windows a worker should compute at once: of several processes on a CPU each has a
    part of the cores, so that the windows of one view are for all of them.
    """
    size = engine.windows_per_batch
    return max(1, size // max(1, processes)) if engine.concurrent else size


def too_many(workers: Iterable[Worker], waiting: Iterable[Client]) -> Worker | None:
    """The worker that should make way, where somebody waits who has none, and somebody else has
    several: of these the one that began last. Addresses are compared first, then sessions.
    """
    busy, waiting = [w for w in workers if w.job is not None], list(waiting)
    for length in (1, 2):  # of an address, and of a session at one
        have = Counter(part for w in busy for part in {c[:length] for c in w.clients})
        if all(c[:length] in have for c in waiting):
            continue
        theirs = [w for w in busy if all(have[c[:length]] > 1 for c in w.clients)]
        if theirs:
            return max(theirs, key=lambda w: w.since)
    return None
