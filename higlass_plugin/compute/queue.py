"""How far the tiles of a client are from being ready: how much stands before them in the queue, and
how long that will take, by the seconds that such units have taken here.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cachetools import LRUCache

from higlass_plugin.compute.jobs import Job
from higlass_plugin.compute.shares import Client
from higlass_plugin.compute.units import Unit
from higlass_plugin.compute.workers import Worker

#: Share of the newest measurement in the moving mean of the seconds that a unit takes.
NEWEST = 0.3
#: Seconds for which a count of the queue is used again: a page asks twice a second.
COUNTED = 1.0
#: Kinds of units whose seconds are remembered.
MAX_KINDS = 1024


@dataclass(frozen=True)
class Place:
    """A client's place in the queue.

    Attributes
    ----------
    units : that its tiles still need. before : of other clients, that are computed before the last
        of those, where all clients get equal shares.
    seconds : until the last of them is computed; None if nothing was measured yet, or if what is
        being computed has taken longer already than all of it should.
    """

    units: int
    before: int
    seconds: float | None

    def to_json(self) -> dict[str, int | float | None]:
        """As the server's answers have it."""
        seconds = None if self.seconds is None else round(self.seconds, 1)
        return {"units": self.units, "before": self.before, "seconds": seconds}


class Rates:
    """The seconds that units take, by their kind: moving means of what was measured."""

    def __init__(self) -> None:
        self._seconds: LRUCache[Hashable, float] = LRUCache(MAX_KINDS)

    def note(self, units: Sequence[Unit], reads: bool, seconds: float) -> None:
        """Take note of a batch of units of one kind.

        Parameters
        ----------
        reads : whether their top windows had to be read, which takes longest.
        seconds : that the batch took.
        """
        each = seconds / len(units)
        for key in _keys(units[0], reads):
            before = self._seconds.get(key, each)
            self._seconds[key] = before + NEWEST * (each - before)

    def of(self, unit: Unit, reads: bool) -> float:
        """Seconds that a unit takes: measured of its kind, or else of what is most like it; NaN if
        nothing was measured.
        """
        known = (self._seconds[key] for key in _keys(unit, reads) if key in self._seconds)
        return next(known, math.nan)


def _keys(unit: Unit, reads: bool) -> list[Hashable]:
    """What a unit's seconds are kept by, the closest first."""
    # some units are a kind of their own, and never computed twice
    own = [] if unit.kind is unit else [(unit.kind, reads)]
    return [*own, (type(unit), reads), type(unit), "any"]


@dataclass
class _Waiting:
    """What a client waits for: a number of units, each once, and their seconds. A draft, which is
    shown until its window is there, is no unit of its own, but takes its time.
    """

    units: int = 0
    seconds: float = 0.0


class Queue:
    """Counts what clients wait for. The caller serialises the calls.

    Parameters
    ----------
    workers : number of those who compute.

    Attributes
    ----------
    rates : the seconds that units take.
    """

    def __init__(self, workers: int):
        self.rates = Rates()
        self._workers = workers
        self._counted = -math.inf
        self._waiting: dict[Client, _Waiting] = {}

    def place_of(
        self,
        keys: Iterable[Hashable],
        address: str,
        jobs: Mapping[Hashable, Job],
        recent: float,
        read: Collection[Hashable],
        workers: Iterable[Worker],
    ) -> Place | None:
        """How far tiles are from being ready: the place of the client at an address who asked for
        most of them; None if none of them is being computed.

        Parameters
        ----------
        jobs : by key. recent : seconds since it was last asked for that a job is wanted.
        read : top windows that have been read already. workers : who compute.
        """
        asked = [job for key in keys if (job := jobs.get(key)) is not None]
        every = Counter(client for job in asked for client in job.clients)
        own = {client: n for client, n in every.items() if client[0] == address} or every
        if not own:
            return None
        now = time.monotonic()
        spent = sum(now - worker.since for worker in workers if worker.batch)
        wanted = (job for job in jobs.values() if now - job.asked <= recent)
        return self.place(max(own, key=own.__getitem__), wanted, read, spent)

    def place(
        self, client: Client, jobs: Iterable[Job], read: Collection[Hashable], spent: float
    ) -> Place | None:
        """A client's place; None if it waits for nothing.

        Parameters
        ----------
        jobs : all that are wanted now. read : top windows that have been read already.
        spent : seconds that were spent already on what is in hand.
        """
        now = time.monotonic()
        if now - self._counted > COUNTED or client not in self._waiting:
            self._waiting, self._counted = self._count(jobs, read), now
        own = self._waiting.get(client)
        if own is None:
            return None
        beside, elsewhere = [], defaultdict[str, list[_Waiting]](list)
        for other, waits in self._waiting.items():
            if other[0] != client[0]:
                elsewhere[other[0]].append(waits)
            elif other != client:
                beside.append(waits)
        units = _until_done(
            own.units,
            [waits.units for waits in beside],
            [sum(waits.units for waits in each) for each in elsewhere.values()],
        )
        seconds = _until_done(
            own.seconds,
            [waits.seconds for waits in beside],
            [sum(waits.seconds for waits in each) for each in elsewhere.values()],
        )
        left = (seconds - spent) / self._workers
        return Place(own.units, round(units) - own.units, left if left >= 0 else None)

    def _count(self, jobs: Iterable[Job], read: Collection[Hashable]) -> dict[Client, _Waiting]:
        """What each client waits for."""
        found: dict[Client, _Waiting] = {}
        units: dict[Client, set[Unit]] = defaultdict(set)
        for job in jobs:
            for client in job.clients:
                units[client].update(job.missing)
        for client, wanted in units.items():
            found[client] = waits = _Waiting()
            unread: set[Hashable] = set()
            for unit in wanted:
                reads = getattr(unit, "reads", None)
                first = reads is not None and reads not in read and reads not in unread
                if first:
                    unread.add(reads)
                waits.units += not hasattr(unit, "final")
                waits.seconds += self.rates.of(unit, first)
        return found


def _until_done(own: float, beside: Iterable[float], elsewhere: Iterable[float]) -> float:
    """What is computed until all of a client's is, where everybody has an equal share.

    Parameters
    ----------
    own : of the client. beside : of each other session of its address. elsewhere : of each other
        address; their shares are equal first, those of sessions within.
    """
    address = own + sum(min(own, other) for other in beside)
    return address + sum(min(address, other) for other in elsewhere)
