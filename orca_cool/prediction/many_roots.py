"""Decode the windows of several roots together, so that no core waits for the others.

A root begins with one window, and only its finest levels have windows enough for many cores, or to
fill a GPU. So windows of neighbouring roots are decoded together, each as soon as the map above it
is there: on a CPU one by one, each on a core of its own, elsewhere in batches.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from orca_cool.model.fast.threads import one_thread_each
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.engine import Engine, StrandMaps, WindowMap, average, averages
from orca_cool.prediction.ready_queue import Place, ReadyQueue
from orca_cool.prediction.root import Root
from orca_cool.prediction.window_key import key_of, stored
from orca_cool.prediction.windows import Window
from orca_cool.profile import stage, staged

logger = logging.getLogger("orca_cool.prediction")

M = TypeVar("M")


class RootWindows(NamedTuple):
    """A root, and which of its windows are wanted: level by level, the coarsest first."""

    module: ModuleSpec
    chrom: str
    levels: Sequence[Sequence[Window]]


def decode_roots(
    engine: Engine, roots: Iterable[RootWindows], tick: Callable[[], object] = lambda: None
) -> Iterator[list[WindowMap]]:
    """Predict the windows of roots.

    What a window's numbers are does not depend on the others on a CPU; on a GPU their last bits may
    depend on which windows share a batch.

    Parameters
    ----------
    tick : called after each window; an exception that it raises ends all.

    Yields
    ------
    For each root its windows, level by level, in the order in which they were given.
    """
    threads = torch.get_num_threads()
    if engine.concurrent and threads > 1:
        yield from _OneByOne(engine, roots, tick, threads).run()
    else:
        yield from _Batches(engine, roots, tick).run()


def roots_at_once(tasks: int) -> int:
    """How many roots are open at most where ``tasks`` windows can be decoded at once: enough for
    all to be busy (``scripts/bench/cores.py``), few enough for the memory of their maps.
    """
    return min(tasks, max(8, tasks // 4))


class _Roots(Generic[M]):
    """Roots that are open, and what is known of them.

    What is decoded of a window (``M``): its maps on both strands, or the map of one.

    Parameters
    ----------
    wanted : open roots until so many can be decoded, as far as memory allows.
    strands : see :meth:`ReadyQueue.open`.
    """

    def __init__(
        self,
        engine: Engine,
        roots: Iterable[RootWindows],
        tick: Callable[[], object],
        wanted: int,
        strands: int,
    ):
        self.engine, self.tick, self.wanted, self.strands = engine, tick, wanted, strands
        self.number = engine.spec.map_number
        self.queue = ReadyQueue()
        self.limit = roots_at_once(wanted)
        self._waiting = iter(roots)
        self._opened: dict[int, tuple[RootWindows, Root]] = {}
        self._next_opened, self._next_out = 0, 0
        self._maps: dict[Place, tuple[M, int]] = {}  # and how many windows still need it
        self._found: dict[int, list[list[WindowMap | None]]] = {}
        self._left: dict[int, int] = {}  # windows of each whose numbers are not there

    def kind(self, place: Place) -> tuple[str, int]:
        """What tells the network that decodes a window from others."""
        return self._opened[place.root][0].module.name, self.queue.window(place).resolution

    def open_more(self, at_hand: Callable[[], int]) -> None:
        """Open roots until there are windows enough. ``at_hand`` counts them."""
        while at_hand() < self.wanted and self.queue.roots < self.limit:
            if (work := next(self._waiting, None)) is None:
                return
            start = work.levels[0][0].start * work.module.resolutions[0]
            try:
                root = self.engine.root(work.module, work.chrom, start)
                if root.content is None:  # else it is read where one of its windows is not stored
                    _ = root.strands
            except Exception as error:
                if not is_out_of_memory(error) or not self.queue.roots:
                    raise
                self._waiting = itertools.chain([work], self._waiting)
                self.limit = max(1, self.queue.roots // 2)
                logger.warning("the memory is full: going on with %d roots at once", self.limit)
                return
            number, self._next_opened = self._next_opened, self._next_opened + 1
            self._opened[number] = work, root
            self._found[number] = [[None] * len(level) for level in work.levels]
            self._left[number] = sum(map(len, work.levels))
            self.queue.open(number, work.levels, self.strands)

    def input(self, place: Place) -> tuple[Root, Window, M | None]:
        """What a window that has been taken from the queue is decoded from: its root, and the map
        above it.
        """
        above = self.queue.above(place)
        maps = None if above is None else self._maps[above][0]
        return self._opened[place.root][1], self.queue.window(place), maps

    def decoded(self, place: Place, maps: M) -> None:
        """A window is decoded: those below it may be."""
        if (above := self.queue.above(place)) is not None:
            kept, needed = self._maps.pop(above)
            if needed > 1:
                self._maps[above] = kept, needed - 1
        if below := self.queue.below(place):
            self._maps[place] = maps, below
        self.queue.done(place)

    def add(self, place: Place, averaged: tuple[np.ndarray, np.ndarray]) -> None:
        """A window's numbers are there."""
        levels = self._opened[place.root][0].levels
        level = self._found[place.root][place.level]
        level[place.number] = WindowMap(levels[place.level][place.number], *averaged)
        self._left[place.root] -= 1
        self.tick()

    def finished(self) -> Iterator[list[WindowMap]]:
        """Roots of which all is there, in order."""
        while self._left.get(self._next_out) == 0:
            del self._left[self._next_out], self._opened[self._next_out]
            levels = self._found.pop(self._next_out)
            self._next_out += 1
            yield [m for level in levels for m in level if m is not None]


class _OneByOne(_Roots[Tensor]):
    """Each strand of each window by a thread of its own."""

    def __init__(
        self, engine: Engine, roots: Iterable[RootWindows], tick: Callable[[], object], threads: int
    ):
        super().__init__(engine, roots, tick, wanted=threads, strands=2)
        # twice as many as threads, so that none is idle while this thread encodes
        self.at_once = 2 * threads
        self._running: dict[Future[Tensor], Place] = {}
        self._alone: Place | None = None  # what was begun when nothing else was at work
        self._strands: dict[Place, Tensor] = {}  # of windows of which the other is not there

    def run(self) -> Iterator[list[WindowMap]]:
        pool = one_thread_each()
        try:
            while True:
                self.open_more(lambda: len(self.queue) + len(self._running))
                if not len(self.queue) and not self._running:
                    return
                while len(self.queue) and len(self._running) < self.at_once:
                    place = self.queue.take()
                    self._alone = None if self._running else place
                    root, window, above = self.input(place)
                    strand = root, window, place.strand == 1, above
                    store, cpu = self.engine.window_store, torch.device("cpu")
                    if (known := stored(store, [key_of(*strand)], cpu)[0]) is not None:
                        self._have(place, known)
                        yield from self.finished()
                        continue
                    _ = root.strands  # read by this thread, with all cores
                    self._running[pool.submit(self.engine.decode_strand, *strand)] = place
                if not self._running:
                    continue
                with stage("waiting"):
                    done = wait(self._running, return_when=FIRST_COMPLETED).done
                for future in done:
                    self._take(future)
                yield from self.finished()
        finally:
            for future in self._running:
                future.cancel()
            wait(self._running)

    def _take(self, future: Future[Tensor]) -> None:
        place = self._running.pop(future)
        try:
            found = future.result()
        except Exception as error:
            if not is_out_of_memory(error) or (self.at_once == 1 and place == self._alone):
                raise
            self.queue.give_back(place)
            self.at_once = max(1, min(self.at_once, len(self._running) + 1) // 2)
            logger.warning("the memory is full: going on with %d windows at once", self.at_once)
            return
        self._have(place, found)

    def _have(self, place: Place, found: Tensor) -> None:
        self.decoded(place, found)
        other = place._replace(strand=1 - place.strand)
        if other in self._strands:
            pair = self._strands.pop(other), found
            self.add(place, average(pair if place.strand else pair[::-1], self.number))
        else:
            self._strands[place] = found


class _Batches(_Roots[StrandMaps]):
    """As many windows at once as the engine likes best, of one network; while the next batch is
    computed, the numbers of the last one are fetched.
    """

    def __init__(self, engine: Engine, roots: Iterable[RootWindows], tick: Callable[[], object]):
        super().__init__(engine, roots, tick, wanted=engine.windows_per_batch, strands=1)

    def run(self) -> Iterator[list[WindowMap]]:
        before: tuple[list[Place], Fetch] | None = None
        while True:
            self.open_more(lambda: self.queue.most_alike(self.kind))
            places = self.queue.take_alike(self.kind, self.engine.windows_per_batch)
            now = None
            if places:
                pairs = self.engine.decode_windows([self.input(place) for place in places])
                now = places, fetching(pairs, self.number)
                for place, pair in zip(places, pairs):
                    self.decoded(place, pair)
            if before is not None:
                for place, averaged in zip(before[0], before[1]()):
                    self.add(place, averaged)
                yield from self.finished()
            if now is None:
                return
            before = now


#: Waits for the averages of some windows, and returns them.
Fetch = Callable[[], list[tuple[np.ndarray, np.ndarray]]]


@staged("decoding")
def fetching(pairs: Sequence[StrandMaps], number: int) -> Fetch:
    """Begin to fetch the averages of windows from their device; on a GPU this waits for nothing,
    and what is computed next goes on beside it.
    """
    if pairs[0][0].device.type != "cuda":
        return lambda: [average(pair, number) for pair in pairs]
    both = averages(pairs, number)
    stream = _copies(both[0].device)
    stream.wait_stream(torch.cuda.current_stream(both[0].device))
    with torch.cuda.stream(stream):
        here = [torch.empty(y.shape, dtype=y.dtype, pin_memory=True) for y in both]
        for target, y in zip(here, both):
            target.copy_(y, non_blocking=True)
            y.record_stream(stream)
        event = stream.record_event()

    @staged("decoding")
    def fetch() -> list[tuple[np.ndarray, np.ndarray]]:
        event.synchronize()
        # copies, as pinned memory is scarce
        return [(a.numpy().copy(), b.numpy().copy()) for a, b in zip(*here)]

    return fetch


@functools.lru_cache
def _copies(device: torch.device) -> torch.cuda.Stream:
    """The stream of a GPU in which numbers are fetched."""
    return torch.cuda.Stream(device)


def is_out_of_memory(error: BaseException) -> bool:
    """True of what numpy and torch raise where memory is full, on any device."""
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "not enough memory" in str(error)
    )
