"""What one client may take of the server's threads and of its processor time."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from higlass_plugin.compute.shares import Client

#: Of a processor, what the answers to all requests may take while predictions are computed. Python
#: runs one thread at a time: what requests take, the computing thread must wait for.
REQUESTS = 0.5
#: Seconds over which use is averaged, and by which an answer is delayed at most.
AVERAGED, DELAY = 2.0, 2.0
#: Sessions that an address may have before they count as one.
SESSIONS = 32


class Places:
    """A number of places for each address, so that one cannot keep all threads of the server busy.
    Thread-safe.

    Parameters
    ----------
    each : number of places of an address.
    """

    def __init__(self, each: int):
        self.each = each
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def take(self, address: str) -> Iterator[bool]:
        """Take a place for as long as the context lasts: False if none is free."""
        with self._lock:
            free = self._taken[address] < self.each
            self._taken[address] += free
        try:
            yield free
        finally:
            with self._lock:
                self._taken[address] -= free
                if not self._taken[address]:
                    del self._taken[address]


class Pace:
    """Who takes more than a share of the processor is answered later. Thread-safe.

    The answers to all requests together may take REQUESTS of a processor. Each address that asks
    has an equal share of it, and each session an equal share of its address's.
    """

    def __init__(self) -> None:
        self._used: dict[Client, tuple[float, float]] = {}  # decayed seconds, and when that was
        self._lock = threading.Lock()

    def delay(self, client: Client, seconds: float) -> float:
        """Note the processor time that a request has taken; the seconds that its answer waits."""
        now = time.monotonic()
        with self._lock:
            used, at = self._used.get(client, (0.0, now))
            self._used[client] = used * _decay(now - at) + seconds, now
            rates = {c: u * _decay(now - t) / AVERAGED for c, (u, t) in self._used.items()}
            self._used = {c: self._used[c] for c, rate in rates.items() if rate > 1e-3}
        if sum(rates.values()) <= REQUESTS:
            return 0.0
        own = {c: rate for c, rate in rates.items() if c[0] == client[0]}
        share = REQUESTS / len({c[0] for c in rates})
        if sum(own.values()) <= share:
            return 0.0
        if len(own) > SESSIONS:
            over = sum(own.values()) / share
        else:
            over = own[client] / (share / len(own))
        return min(DELAY, max(0.0, AVERAGED * (over - 1)))


def _decay(seconds: float) -> float:
    return math.exp(-seconds / AVERAGED)
