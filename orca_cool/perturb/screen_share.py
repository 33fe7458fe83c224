"""Who predicts the sequences of a screen: this process, the ranks of torchrun, or dask workers.

The sequences lie in groups, and are predicted in pieces: as many of one group at once as the engine
likes best, from the group's first on. A piece is always predicted whole, by whomever, so that the
numbers do not depend on how the work is divided, nor on where a run was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.perturb.screen_journal import Key, ScreenJournal
from orca_cool.prediction.job import Opened
from orca_cool.prediction.progress import Report

if TYPE_CHECKING:
    from orca_cool.prediction.parallel.ranks import Ranks

#: A group, and the numbers in it of the sequences that are predicted together.
Piece = tuple[int, range]

#: Called with a piece and the scores of each of its sequences.
Keep = Callable[[Piece, Sequence[np.ndarray]], None]


class Shareable(Protocol):
    """A screen, as those who share it see it.

    Attributes
    ----------
    settings : all that the scores depend on, plain values. journal : of what is done.
    total, done : sequences in all, and those that are done or need not be predicted.
    """

    settings: dict[str, Any]
    journal: ScreenJournal | None
    total: int
    done: int

    @property
    def sizes(self) -> Sequence[int]:
        """Sequences of each group."""
        ...

    @property
    def windows_per_batch(self) -> int:
        """How many sequences are best predicted at once."""
        ...

    def key(self, group: int, number: int) -> Key:
        """What a sequence is called in the journal."""
        ...

    def fits(self, group: int, number: int, scores: np.ndarray) -> bool:
        """True if scores from a journal have the shape of this sequence's."""
        ...

    def score(self, group: int, numbers: range) -> list[np.ndarray]:
        """Predict sequences together; the scores of each."""
        ...

    def place(self, group: int, number: int, scores: np.ndarray) -> None:
        """Take scores into the result."""
        ...


class Alone:
    """This process predicts all.

    Attributes
    ----------
    numerics : how those who predict compute, None: as this process's engine does.
    batch : sequences of a piece, None: as this process's engine likes best.
    rank : number of this process among those that share; the first, 0, writes the files.
    restarted : those who share were killed and have been started again.
    told : what the user should know of how they compute, in lines.
    """

    numerics: dict[str, str] | None = None
    batch: int | None = None
    rank = 0
    restarted = False
    told: tuple[str, ...] = ()

    def opened(self, opened: Opened) -> Opened:
        """Model and genome, as this process uses them."""
        return opened

    def agree(self, value: Callable[[], Any]) -> Any:
        """What is the same for all who share, made once."""
        return value()

    def predict(self, screen: Shareable, pieces: Pieces, keep: Keep, tick: Report) -> None:
        """Predict pieces, and hand on the scores of all of them.

        Parameters
        ----------
        keep : called once for each piece. tick : called with (sequences done, in all).
        """
        for piece in pieces:
            keep(piece, screen.score(*piece))
            tick(screen.done, screen.total)


#: Of a screen that nobody shares.
ALONE = Alone()


class OfRanks(Alone):
    """The ranks of torchrun: each predicts a run of neighbouring pieces, and keeps a journal of its
    own; all have the whole result in the end.
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

    def predict(self, screen: Shareable, pieces: Pieces, keep: Keep, tick: Report) -> None:
        """As :meth:`Alone.predict`; the scores of the others' pieces come at the end."""
        bounds = [len(pieces) * k // self.ranks.world for k in range(self.ranks.world + 1)]
        parts = [pieces[a:b] for a, b in zip(bounds, bounds[1:])]
        before, mine = screen.done, []
        for piece in parts[self.rank]:
            mine.append(screen.score(*piece))
            keep(piece, mine[-1])
            tick(before + self.ranks.count(len(piece[1])), screen.total)
        every = self.ranks.gather(
            mine, look=lambda: tick(before + self.ranks.count(0), screen.total)
        )
        for rank, (part, found) in enumerate(zip(parts, every)):
            for piece, scores in zip(part, found):
                if rank != self.rank:
                    take(screen, piece, scores)


def on_device(opened: Opened, **settings: Any) -> Opened:
    """The same model and genome, with some settings of their job changed."""
    import dataclasses

    return dataclasses.replace(opened, job=dataclasses.replace(opened.job, **settings))


def take(screen: Shareable, piece: Piece, scores: Sequence[np.ndarray]) -> None:
    """Take the scores of a piece into the result."""
    group, numbers = piece
    for number, values in zip(numbers, scores):
        screen.place(group, number, values)


class Pieces:
    """Groups in pieces of ``batch`` sequences, the last one of each group smaller.

    A genome has tens of millions of sequences, so that pieces are made when they are asked for.

    Parameters
    ----------
    sizes : sequences of each group.
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


def run_shared(screen: Shareable, share: Alone, report: Report) -> None:
    """Predict all sequences of a screen that are not done yet, and take all scores into it.

    Parameters
    ----------
    report : called with (sequences done, in all).

    Raises
    ------
    OutputError
        If what is done cannot be kept.
    OrcaCoolError
        If those who share the work stop, or have a screen of other settings.
    """
    journal = screen.journal

    def begun() -> tuple[dict[str, Any], int, dict[Key, Any]]:
        known = {} if journal is None else journal.begin()
        return screen.settings, share.batch or screen.windows_per_batch, known

    settings, batch, known = share.agree(begun)
    require_same(settings, screen.settings)
    if journal is not None and share.rank > 0:
        journal.begin_beside(share.rank)
    pieces = Pieces(screen.sizes, batch)
    todo = np.ones(len(pieces), dtype=bool)
    for k, piece in enumerate(pieces if known else ()):
        if (found := _known(screen, piece, known)) is not None:
            take(screen, piece, found)
            screen.done += len(found)
            todo[k] = False
    report(screen.done, screen.total)

    def keep(piece: Piece, scores: Sequence[np.ndarray]) -> None:
        take(screen, piece, scores)
        group, numbers = piece
        if journal is not None:
            for number, values in zip(numbers, scores):
                journal.add(screen.key(group, number), values)
        screen.done += len(numbers)

    share.predict(screen, pieces[todo], keep, report)


def require_same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """OutputError that names the settings in which two of those who share a screen differ."""
    differ = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    if differ:
        raise OutputError(
            f"those who share this screen differ in its settings ({', '.join(differ)}); do all of "
            f"them see the same files, and the same orca-cool?"
        )


def _known(screen: Shareable, piece: Piece, known: Mapping[Key, Any]) -> list[np.ndarray] | None:
    """What a journal has of a piece; None unless it has all."""
    group, numbers = piece
    out = []
    for number in numbers:
        found = known.get(screen.key(group, number))
        values = None if found is None else np.array(found, dtype=float)
        if values is None or not screen.fits(group, number, values):
            return None
        out.append(values)
    return out
