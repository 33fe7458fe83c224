"""Which windows can be decoded now: those whose map above is there, of several roots at once.

Pure bookkeeping, without networks: ``scripts/bench/cores.py`` runs the same queue against a made-up
clock to tell what many cores gain.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from orca_cool.prediction.windows import Window


class Place(NamedTuple):
    """Where a window stands: its root's number, its level (0 is the coarsest), its number there,
    and the strand, if the two are decoded apart.

    In this order windows are decoded: the earliest root first, so that few are open at a time, and
    in it the coarsest, on which most others wait.
    """

    root: int
    level: int
    number: int
    strand: int = 0


class ReadyQueue:
    """Windows of the roots that are open, handed out as soon as the map above each is there.

    Examples
    --------
    >>> queue = ReadyQueue()
    >>> queue.open(0, [[Window(8, 0, None, 0)], [Window(4, 0, 0, 0), Window(4, 2, 0, 0)]])
    >>> first = queue.take()
    >>> len(queue)
    0
    >>> queue.done(first)
    >>> len(queue)
    2
    """

    def __init__(self) -> None:
        self._ready: list[Place] = []
        self._levels: dict[int, Sequence[Sequence[Window]]] = {}
        self._below: dict[Place, list[Place]] = {}
        self._above: dict[Place, Place] = {}
        self._left: dict[int, int] = {}

    def __len__(self) -> int:
        """Windows that can be decoded now and are not handed out."""
        return len(self._ready)

    @property
    def roots(self) -> int:
        """Roots that are open: not all of their windows are done."""
        return len(self._levels)

    def open(self, root: int, levels: Sequence[Sequence[Window]], strands: int = 1) -> None:
        """Add a root's windows, level by level, the coarsest first.

        Parameters
        ----------
        strands : 1 if both strands of a window are decoded together; 2 if each is by itself, from
            that strand's map above.
        """
        self._levels[root], self._left[root] = levels, strands * sum(map(len, levels))
        for strand in range(strands):
            above: dict[int, Place] = {}
            for depth, level in enumerate(levels):
                here = {}
                for number, window in enumerate(level):
                    place = here[window.start] = Place(root, depth, number, strand)
                    if window.parent is None:
                        heapq.heappush(self._ready, place)
                    else:
                        self._above[place] = above[window.parent]
                        self._below.setdefault(self._above[place], []).append(place)
                above = here

    def window(self, place: Place) -> Window:
        """The window at a place of an open root."""
        return self._levels[place.root][place.level][place.number]

    def above(self, place: Place) -> Place | None:
        """The window whose map the one at ``place`` takes."""
        return self._above.get(place)

    def below(self, place: Place) -> int:
        """How many windows take the map of the one at ``place``, which is not done."""
        return len(self._below.get(place, ()))

    def take(self) -> Place:
        """The most urgent window. IndexError if none is ready."""
        return heapq.heappop(self._ready)

    def give_back(self, place: Place) -> None:
        """A window that was taken could not be decoded now."""
        heapq.heappush(self._ready, place)

    def take_alike(self, kind: Callable[[Place], Hashable], most: int) -> list[Place]:
        """Up to ``most`` windows of the kind of which most are ready; none if none is ready."""
        alike = self._alike(kind)
        # of two kinds that fill a batch, or have as many, the more urgent one: it comes first
        chosen = max(alike.values(), key=lambda places: min(len(places), most), default=[])[:most]
        taken = set(chosen)
        self._ready = [place for place in self._ready if place not in taken]
        heapq.heapify(self._ready)
        return chosen

    def most_alike(self, kind: Callable[[Place], Hashable]) -> int:
        """How many windows are ready of the kind of which most are."""
        return max(map(len, self._alike(kind).values()), default=0)

    def _alike(self, kind: Callable[[Place], Hashable]) -> dict[Hashable, list[Place]]:
        """Ready windows by kind, the more urgent before the less."""
        alike: dict[Hashable, list[Place]] = {}
        for place in sorted(self._ready):
            alike.setdefault(kind(place), []).append(place)
        return alike

    def done(self, place: Place) -> None:
        """The map of a window is there: those below it are ready. The last one closes its root."""
        self._above.pop(place, None)
        for child in self._below.pop(place, ()):
            heapq.heappush(self._ready, child)
        self._left[place.root] -= 1
        if not self._left[place.root]:
            del self._levels[place.root], self._left[place.root]
