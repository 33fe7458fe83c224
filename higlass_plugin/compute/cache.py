"""A cache that knows how many bytes it holds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Cache:
    """Values by key; what was least recently used is dropped when they take more than
    ``max_bytes``. Thread-safe.
    """

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.nbytes, self.hits, self.misses = 0, 0, 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any:
        """The value, None if it is not there."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                self.misses += 1
                return None
            self.hits += 1
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: Any, nbytes: int) -> None:
        """Keep a value; one that is larger than the whole cache is not kept."""
        with self._lock:
            self._drop(key)
            if nbytes > self.max_bytes:
                return
            self._kept[key] = value, nbytes
            self.nbytes += nbytes
            while self.nbytes > self.max_bytes:
                self._drop(next(iter(self._kept)))

    def drop(self, unwanted: Callable[[Any], bool]) -> None:
        """Drop every key that is unwanted."""
        with self._lock:
            for key in [key for key in self._kept if unwanted(key)]:
                self._drop(key)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def _drop(self, key: Hashable) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.nbytes -= found[1]
