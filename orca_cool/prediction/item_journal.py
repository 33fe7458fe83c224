"""What shared work keeps while it runs, where its items are few numbers each: a journal of those
that are done, a line for each, so that a run that was killed goes on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.journal import Journal
from orca_cool.prediction.sharing import Piece
from orca_cool.unfinished import Unfinished

log = logging.getLogger(__name__)

#: What names an item: numbers.
Key = tuple[int, ...]


def with_numerics(
    settings: Mapping[str, Any], numerics: Mapping[str, str], several: bool
) -> dict[str, Any]:
    """Settings as plain values, with how the engine computes.

    Parameters
    ----------
    numerics : of the engine, or of those that compute in its place.
    several : there are several columns of scores, so that none is that of the engine's cell type.
    """
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain | {k: v for k, v in numerics.items() if not (several and k == "cell_type")}


class KeptJob(Protocol):
    """What a job says of the output beside which its unfinished work lies."""

    @property
    def output(self) -> str | None:
        """What the names of the files begin with; None: nothing is written."""
        ...

    @property
    def force(self) -> bool:
        """Begin anew."""
        ...


class ItemJournal:
    """What is done of unfinished work: a line for each item.

    Of several ranks each writes a journal of its own beside the first one's, which takes up all of
    them when the work goes on.

    Parameters
    ----------
    kind : of the journal's format. noun : what the run makes, for messages.
    """

    def __init__(self, output: str, kind: str, settings: dict[str, Any], noun: str, restart: bool):
        self.run = Unfinished(Path(output), kind, settings, noun)
        self.restart = restart
        self._own = self.run.journal

    @classmethod
    def of(
        cls, job: KeptJob, kind: str, settings: dict[str, Any], noun: str, restarted: bool = False
    ) -> ItemJournal | None:
        """The journal of a job; None if it writes nothing.

        Parameters
        ----------
        restarted : torchrun has restarted the ranks, which go on even where the job is to begin
            anew.
        """
        restart = job.force and not restarted
        return None if job.output is None else cls(job.output, kind, settings, noun, restart)

    def begin(self) -> dict[Key, Any]:
        """What an unfinished run has left: the scores of each of its items.

        Raises
        ------
        OutputError
            If it is of other settings, or cannot be written.
        """
        run = self.run
        if self.restart:
            run.remove()
        try:
            found = run.begin()
            entries = list(found.entries)
            self._tell(found.damaged, run.journal.path)
            beside = sorted(run.folder.glob("journal.*.jsonl"))
            for path in beside:
                its = run.beside(path).read()
                if its is not None and its.settings == run.settings:
                    self._tell(its.damaged, path)
                    entries += its.entries
            if found.damaged or beside:
                run.journal.rewrite(entries)
            for path in beside:
                path.unlink()
        except OSError as error:
            raise OutputError(f"cannot write {run.folder}: {error.strerror or error}") from error
        return {tuple(e["key"]): e["scores"] for e in entries if {"key", "scores"} <= {*e}}

    def _tell(self, damaged: int, path: Path) -> None:
        if damaged:
            log.warning(
                "%d lines of %s are damaged; these sequences are predicted again", damaged, path
            )

    def begin_beside(self, rank: int) -> None:
        """Write to the journal of a rank other than the first, once the first has begun.

        Raises
        ------
        OutputError
            If it cannot be written: the ranks do not share the folder.
        """
        self._own = begin_journal_of(self.run, rank)

    def add(self, key: Key, scores: np.ndarray) -> None:
        """Keep the scores of an item; they are on the disk then."""
        try:
            self._own.add({"key": list(key), "scores": scores.tolist()})
        except OSError as error:
            raise OutputError(
                f"cannot write {self._own.path}: {error.strerror or error}; free some space "
                f"and repeat the command to go on"
            ) from error


def begin_journal_of(run: Unfinished, rank: int) -> Journal:
    """The journal of a rank other than the first, with its first line.

    Raises
    ------
    OutputError
        If it cannot be written: the ranks do not share the folder.
    """
    journal = run.beside(run.folder / f"journal.{rank}.jsonl")
    try:
        journal.begin()
    except OSError as error:
        raise OutputError(
            f"cannot write {journal.path}: {error.strerror or error}; the output must be on a file "
            f"system that all ranks share"
        ) from error
    return journal


class Journaled:
    """How :class:`~orca_cool.prediction.sharing.Shareable` work whose items are few numbers each
    is kept and gone on with.

    Attributes
    ----------
    journal : None: nothing is kept.
    """

    journal: ItemJournal | None

    def key(self, group: int, number: int) -> Key:
        """What an item is called in the journal."""
        raise NotImplementedError

    def fits(self, group: int, number: int, scores: np.ndarray) -> bool:
        """True if scores from a journal have the shape of this item's."""
        raise NotImplementedError

    def place(self, group: int, number: int, scores: np.ndarray) -> None:
        """Take the scores of an item into the result."""
        raise NotImplementedError

    def begin(self, batch: int) -> dict[Key, Any]:
        """As :meth:`Shareable.begin`: the scores of each item by its key."""
        return {} if self.journal is None else self.journal.begin()

    def begin_beside(self, rank: int) -> None:
        """As :meth:`Shareable.begin_beside`."""
        if self.journal is not None:
            self.journal.begin_beside(rank)

    def take_up(self, piece: Piece, known: Mapping[Key, Any]) -> bool:
        """As :meth:`Shareable.take_up`."""
        group, numbers = piece
        out = []
        for number in numbers:
            found = known.get(self.key(group, number))
            values = None if found is None else np.array(found, dtype=float)
            if values is None or not self.fits(group, number, values):
                return False
            out.append(values)
        self.take(piece, out)
        return True

    def take(self, piece: Piece, found: Sequence[np.ndarray]) -> None:
        """As :meth:`Shareable.take`."""
        group, numbers = piece
        for number, values in zip(numbers, found):
            self.place(group, number, values)

    def keep(self, piece: Piece, found: Sequence[np.ndarray]) -> None:
        """As :meth:`Shareable.keep`."""
        group, numbers = piece
        if self.journal is not None:
            for number, values in zip(numbers, found):
                self.journal.add(self.key(group, number), values)

    def forget(self) -> None:
        """Remove what was kept of the run; its files are written."""
        if self.journal is not None:
            self.journal.run.remove()
