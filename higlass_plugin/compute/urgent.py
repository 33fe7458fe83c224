"""Whether something more urgent waits than what is being computed."""

from __future__ import annotations

import multiprocessing
from typing import Protocol


class Urgent(Protocol):
    """What says so; a :class:`threading.Event` does within one process."""

    def set(self) -> None: ...

    def clear(self) -> None: ...

    def is_set(self) -> bool: ...


class SharedFlag:
    """An :class:`Urgent` that another process sees. It has no lock, which a process that is killed
    would keep.
    """

    def __init__(self) -> None:
        self._byte = multiprocessing.get_context("spawn").RawValue("b", 0)

    def set(self) -> None:
        self._byte.value = 1

    def clear(self) -> None:
        self._byte.value = 0

    def is_set(self) -> bool:
        return bool(self._byte.value)
