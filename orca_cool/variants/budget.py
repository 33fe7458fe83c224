"""How much may be read of a text that a stranger has sent."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from orca_cool.errors import EditError


@dataclass
class Budget:
    """What the texts that are read with it may ask for, all together.

    It is spent before the work is done that it stands for.

    Attributes
    ----------
    changes : number of changes.
    pieces : number of segments that they bring: parts of sequences, copies of duplications.
    seconds : of processor time, of the thread that makes the budget and reads with it.

    Raises
    ------
    EditError
        By each of its methods, where it is exceeded.
    """

    changes: float = math.inf
    pieces: float = math.inf
    seconds: float = math.inf

    def __post_init__(self) -> None:
        self._left = {"changes": self.changes, "pieces": self.pieces}
        self._until = time.thread_time() + self.seconds

    def spend(self, *, changes: int = 0, pieces: int = 0) -> None:
        """Account for changes and pieces that are about to be read, and look at the clock."""
        for what, number in (("changes", changes), ("pieces", pieces)):
            self._left[what] -= number
            if self._left[what] < 0:
                limit = getattr(self, what)
                there = f"{limit - self._left[what]:,.0f}"
                raise EditError(
                    f"there are {there} {what} or more; at most {limit:,} are read at once"
                )
        if time.thread_time() > self._until:
            raise EditError(
                f"the edits take more than {self.seconds:g} s to read; make fewer at once"
            )
