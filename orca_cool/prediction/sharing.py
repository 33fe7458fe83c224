"""Work of many items (the sequences of a screen, the variants of a table) that one process does, or
several share: the ranks of torchrun, or dask workers.

The items lie in groups, and are predicted in pieces: as many of one group at once as the engine
likes best, from the group's first on. A piece is always predicted whole, by whomever, so that the
numbers do not depend on how the work is divided, nor on where a run was killed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.prediction.job import Opened
from orca_cool.prediction.progress import Report

if TYPE_CHECKING:
    from orca_cool.prediction.engine import Engine
    from orca_cool.prediction.parallel.ranks import Ranks

#: A group, and the numbers in it of the items that are predicted together.
Piece = tuple[int, range]

#: Called with a piece and what was found of each of its items.
Keep = Callable[[Piece, Sequence[Any]], None]


class Shareable(Protocol):
    """Work, as those who share it see it.

    Attributes
    ----------
    settings : all that the numbers depend on, plain values.
    total, done : items in all, and those that are done or need not be predicted.
    """

    settings: dict[str, Any]
    total: int
    done: int

    @property
    def engine(self) -> Engine:
        """What this process predicts with."""
        ...

    @property
    def sizes(self) -> Sequence[int]:
        """Items of each group."""
        ...

    @property
    def windows_per_batch(self) -> int:
        """How many items are best predicted at once."""
        ...

    def score(self, group: int, numbers: range) -> list[Any]:
        """Predict items together; what is found of each, plain values or arrays."""
        ...

    def begin(self, batch: int) -> Any:
        """Take up, as the first of those who share, what an unfinished run has left.

        Parameters
        ----------
        batch : items of a piece.

        Returns
        -------
        What is known of it, plain values; nothing (None, or empty) where it is nothing.

        Raises
        ------
        OutputError
            If it is of other settings, or cannot be written.
        """
        ...

    def begin_beside(self, rank: int) -> None:
        """Be ready to keep what a rank other than the first does, once the first has begun."""
        ...

    def take_up(self, piece: Piece, known: Any) -> bool:
        """Take a piece of an unfinished run into the result; False unless all of it is known."""
        ...

    def take(self, piece: Piece, found: Sequence[Any]) -> None:
        """Take what was found of a piece, by whomever, into the result."""
        ...

    def keep(self, piece: Piece, found: Sequence[Any]) -> None:
        """Keep what this process (or a worker of its) has found of a piece: it is on the disk
        then.
        """
        ...


class Alone:
    """This process predicts all.

    Attributes
    ----------
    numerics : how those who predict compute, None: as this process's engine does.
    batch : items of a piece, None: as this process's engine likes best.
    rank : number of this process among those that share; the first, 0, writes the files.
    restarted : those who share were killed and have been started again.
    told : what the user should know of how they compute, in lines.
    """

    rank = 0
    restarted = False

    @property
    def numerics(self) -> dict[str, str] | None:
        return None

    @property
    def batch(self) -> int | None:
        return None

    @property
    def told(self) -> tuple[str, ...]:
        return ()

    def opened(self, opened: Opened) -> Opened:
        """Model and genome, as this process uses them."""
        return opened

    def agree(self, value: Callable[[], Any]) -> Any:
        """What is the same for all who share, made once."""
        return value()

    def predict(self, work: Shareable, pieces: Pieces, keep: Keep, tick: Report) -> None:
        """Predict pieces, and hand on what is found of all of them.

        Parameters
        ----------
        keep : called once for each piece. tick : called with (items done, in all).
        """
        for piece in pieces:
            keep(piece, work.score(*piece))
            tick(work.done, work.total)


#: Of work that nobody shares.
ALONE = Alone()


class OfRanks(Alone):
    """The ranks of torchrun: each predicts a run of neighbouring pieces, and keeps what it does
    for itself; all have the whole result in the end.
    """

    def __init__(self, ranks: Ranks, device: str):
        self.ranks, self.rank, self.device = ranks, ranks.rank, device
        self.restarted = ranks.restarted

    def opened(self, opened: Opened) -> Opened:
        """On this rank's own device."""
        return on_device(opened, device=self.device)

    def agree(self, value: Callable[[], Any]) -> Any:
        """As rank 0 has it."""
        return self.ranks.agree(value() if self.rank == 0 else None)

    def predict(self, work: Shareable, pieces: Pieces, keep: Keep, tick: Report) -> None:
        """As :meth:`Alone.predict`; what the others have found comes at the end."""
        bounds = [len(pieces) * k // self.ranks.world for k in range(self.ranks.world + 1)]
        parts = [pieces[a:b] for a, b in zip(bounds, bounds[1:])]
        before, mine = work.done, []
        for piece in parts[self.rank]:
            mine.append(work.score(*piece))
            keep(piece, mine[-1])
            tick(before + self.ranks.count(len(piece[1])), work.total)
        every = self.ranks.gather(mine, look=lambda: tick(before + self.ranks.count(0), work.total))
        for rank, (part, found) in enumerate(zip(parts, every)):
            for piece, its in zip(part, found):
                if rank != self.rank:
                    work.take(piece, its)


def on_device(opened: Opened, **settings: Any) -> Opened:
    """The same model and genome, with some settings of their job changed."""
    return dataclasses.replace(opened, job=dataclasses.replace(opened.job, **settings))


class Pieces:
    """Groups in pieces of ``batch`` items, the last one of each group smaller.

    A genome has tens of millions of sequences, so that pieces are made when they are asked for.

    Parameters
    ----------
    sizes : items of each group.
    chosen : numbers of some of the pieces; None: all of them.

    Examples
    --------
    >>> list(Pieces([3, 0, 1], 2))
    [(0, range(0, 2)), (0, range(2, 3)), (2, range(0, 1))]
    >>> list(Pieces([3, 0, 1], 2)[1:])
    [(0, range(2, 3)), (2, range(0, 1))]
    """

    def __init__(self, sizes: Sequence[int], batch: int, chosen: np.ndarray | None = None):
        self.sizes, self.batch = sizes, batch
        self._ends = np.cumsum([-(-size // batch) for size in sizes])
        self._chosen = np.arange(self._ends[-1] if len(sizes) else 0) if chosen is None else chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __iter__(self) -> Iterator[Piece]:
        for number in self._chosen:
            group = int(np.searchsorted(self._ends, number, side="right"))
            size = self.sizes[group]
            ahead = -(-size // self.batch) - int(self._ends[group] - number)
            first = ahead * self.batch
            yield group, range(first, min(first + self.batch, size))

    def __getitem__(self, part: slice | np.ndarray) -> Pieces:
        return Pieces(self.sizes, self.batch, self._chosen[part])


def run_shared(work: Shareable, share: Alone, report: Report) -> None:
    """Predict all items that are not done yet, and take all that is found into the result.

    Parameters
    ----------
    report : called with (items done, in all).

    Raises
    ------
    OutputError
        If what is done cannot be kept.
    OrcaCoolError
        If those who share the work stop, or have work of other settings.
    """

    def begun() -> tuple[dict[str, Any], int, Any]:
        batch = share.batch or work.windows_per_batch
        return work.settings, batch, work.begin(batch)

    settings, batch, known = share.agree(begun)
    require_same(settings, work.settings)
    if share.rank > 0:
        work.begin_beside(share.rank)
    pieces = Pieces(work.sizes, batch)
    todo = np.ones(len(pieces), dtype=bool)
    for k, piece in enumerate(pieces if known else ()):
        if work.take_up(piece, known):
            work.done += len(piece[1])
            todo[k] = False
    report(work.done, work.total)

    def keep(piece: Piece, found: Sequence[Any]) -> None:
        work.take(piece, found)
        work.keep(piece, found)
        work.done += len(piece[1])

    share.predict(work, pieces[todo], keep, report)


def require_same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """OutputError that names the settings in which two of those who share work differ."""
    differ = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    if differ:
        raise OutputError(
            f"those who share this work differ in its settings ({', '.join(differ)}); do all of "
            f"them see the same files, and the same orca-cool?"
        )
