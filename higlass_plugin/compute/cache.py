"""A cache that knows how many bytes it holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any

from cachetools import LRUCache


class Cache:
    """Values by key, kept in memory up to a number of bytes. Thread-safe.

    Parameters
    ----------
    max_bytes : when the values take more, those that were least recently used are dropped.

    Attributes
    ----------
    nbytes : bytes of the values that are kept.
    hits, misses : how often :meth:`get` found a value, and how often it did not.
    """

    def __init__(self, max_bytes: int):
        self.max_bytes, self.hits, self.misses = max_bytes, 0, 0
        self._kept: LRUCache[Hashable, tuple[Any, int]] = LRUCache(
            max_bytes, getsizeof=lambda entry: entry[1]
        )
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        return int(self._kept.currsize)

    def get(self, key: Hashable) -> Any:
        """The value, None if it is not there."""
        with self._lock:
            value, _ = self._kept.get(key, (None, 0))
            self.hits += value is not None
            self.misses += value is None
            return value

    def put(self, key: Hashable, value: Any, nbytes: int) -> None:
        """Keep a value that takes ``nbytes``; one that is larger than the whole cache is
        not kept.
        """
        with self._lock:
            self._kept.pop(key, None)
            if nbytes <= self.max_bytes:
                self._kept[key] = value, nbytes

    def discard(self, key: Hashable) -> None:
        """Drop a value, if it is there."""
        with self._lock:
            self._kept.pop(key, None)

    def drop(self, unwanted: Callable[[Any], bool]) -> None:
        """Drop the values of all keys for which ``unwanted`` is true."""
        with self._lock:
            for key in [key for key in self._kept if unwanted(key)]:
                del self._kept[key]

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._kept

    def __len__(self) -> int:
        return len(self._kept)
