"""How the three threads of a prediction hand work to each other, with bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from orca_cool.prediction.engine import WindowMap
from orca_cool.prediction.plan import Step
from orca_cool.profile import stage

#: Steps that may be computed and not yet checkpointed.
BOUND = 2


class Stopped(Exception):
    """Raised in a thread when another has failed."""


class StepQueue:
    """Hands computed steps from the computing thread to the merging one, and the names of stored
    parts from that one to the writing one.

    Parameters
    ----------
    steps : number of steps of the plan.
    parts : names of the parts that an earlier run has stored already, by the number of their step.
    bound : steps that may wait to be merged.
    """

    def __init__(self, steps: int, parts: Mapping[int, Iterable[str]], bound: int = BOUND):
        self.bound = bound
        self.error: BaseException | None = None
        self._changed = threading.Condition()
        self._steps: deque[tuple[Step, list[WindowMap]]] = deque()
        self._closed = False
        self._all = steps
        self._parts = {step: list(names) for step, names in parts.items()}

    # ---- computing thread

    def put(self, step: Step, maps: list[WindowMap]) -> None:
        """Hand over a computed step; waits while ``bound`` steps are not checkpointed yet."""
        with stage("waiting"), self._changed:
            self._changed.wait_for(lambda: len(self._steps) < self.bound or self.error is not None)
            if self.error is not None:
                raise self.error
            self._steps.append((step, maps))
            self._changed.notify_all()

    def close(self) -> None:
        """No step will follow."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def check(self) -> None:
        """Raise the error of another thread."""
        if self.error is not None:
            raise self.error

    # ---- merging thread

    def steps(self) -> Iterator[tuple[Step, list[WindowMap]]]:
        """Steps as they come. One counts as held until the next is asked for; after an error those
        at hand still come.
        """
        while True:
            with stage("waiting"), self._changed:
                self._changed.wait_for(
                    lambda: self._steps or self._closed or self.error is not None
                )
                if not self._steps:
                    return
                item = self._steps[0]
            yield item
            with self._changed:
                self._steps.popleft()
                self._changed.notify_all()

    def publish(self, step: int, parts: Iterable[str]) -> None:
        """Add the names of all parts of a step, which are safely stored."""
        with self._changed:
            self._parts[step] = list(parts)
            self._changed.notify_all()

    # ---- writing thread

    def parts(self) -> Iterator[str]:
        """Names of all parts, step by step, as they are stored; Stopped after an error."""
        for step in range(self._all):
            with stage("waiting"), self._changed:
                while step not in self._parts and self.error is None:
                    self._changed.wait()
                if self.error is not None:
                    raise Stopped
                names = self._parts[step]
            yield from names

    # ---- any thread

    def stop(self, error: BaseException) -> None:
        """Stop all threads; the first error is the one that counts."""
        with self._changed:
            if self.error is None:
                self.error = error
            self._changed.notify_all()

    def guard(self, work: Callable[[], None]) -> None:
        """Run a thread's work; what it raises stops the others."""
        try:
            work()
        except Stopped:
            pass
        except BaseException as error:
            self.stop(error)
