"""Independent pieces of work on the CPU's cores: one piece a core, each on one thread.

A piece that fits a core's own cache runs faster there by itself than many cores run it together,
and small operations, which torch does not split, then cost no core its time.
"""

from __future__ import annotations

import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from orca_cool.profile import carried

T = TypeVar("T")


def ahead(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Results of ``calls``, in order, as many at once as torch has threads here, and not many more
    held than that.

    The calls themselves are made (and ``calls`` is iterated) in the thread that asks.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from (call() for call in calls)
        return
    pool = one_thread_each()
    waiting: deque[Future[T]] = deque()
    try:
        for call in calls:
            waiting.append(pool.submit(carried(call)))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def one_thread_each() -> ThreadPoolExecutor:
    """As many threads as torch has here, each of which computes by itself."""
    return _pool(torch.get_num_threads(), os.getpid())


@functools.lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads in each of which torch uses that thread alone; of ``process``, since threads do not
    outlive a fork.
    """
    barrier = threading.Barrier(threads)

    def single() -> None:
        # The number is the process's for threads that have not computed yet, and a thread's own
        # once it has: compute something large enough to be split, and only then (below) give the
        # process its number back.
        torch.set_num_threads(1)
        barrier.wait()
        torch.ones(1 << 17).add_(1)
        barrier.wait()

    pool = ThreadPoolExecutor(threads, "orca-cool")
    for future in [pool.submit(single) for _ in range(threads)]:
        future.result()
    torch.set_num_threads(threads)
    return pool
