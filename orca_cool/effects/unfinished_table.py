"""What an unfinished table of variants leaves on the disk, so that a run that was killed goes on.

Rows are appended to a file in a work folder beside the output; when the rows of a group of variants
are on the disk, a line of a journal (:mod:`orca_cool.journal`) says which variants they are of,
where they are, and what their checksum is. A run that is killed is repeated: it goes on where it
was, and scores again those variants whose rows are damaged. The table appears, by a rename, when it
is complete.

Of several ranks each but the first writes rows and a journal of its own, which the first takes up
when the run goes on.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.files import atomic_path, atomic_write, flush_folder
from orca_cool.journal import checksum
from orca_cool.prediction.item_journal import begin_journal_of
from orca_cool.profile import staged
from orca_cool.unfinished import Unfinished

#: Of the journal of an unfinished table.
WORK_FORMAT = "orca-cool.unfinished-scores"

log = logging.getLogger(__name__)

#: Lines that are kept of the items from one number up to another.
LinesFrom = Callable[[int, int], Iterable[str]]
#: Writes a table, made of lines that are kept, to a file.
Put = Callable[[LinesFrom, Path], None]


@dataclass(frozen=True)
class Scored:
    """What became of one variant: its rows as lines of the table, and "ok" or why it could not be
    scored; of one of its matched places lines of its scores, and no status.
    """

    text: str
    status: str | None


@dataclass(frozen=True)
class Summary:
    """What became of a list of variants: how many were scored, and the reasons of those that were
    not, counted.
    """

    scored: int
    unscored: dict[str, int]

    @classmethod
    def of(cls, statuses: Counter[str]) -> Summary:
        """Of statuses that are counted."""
        reasons = Counter({status: n for status, n in statuses.items() if status != "ok"})
        return cls(statuses["ok"], dict(reasons.most_common()))

    def lines(self, most: int = 10) -> list[str]:
        """The same in words: the most frequent reasons, and how many were scored."""
        total = self.scored + sum(self.unscored.values())
        out = [f"not scored: {n:,} x {reason}" for reason, n in list(self.unscored.items())[:most]]
        if len(self.unscored) > most:
            out.append(f"not scored: and {len(self.unscored) - most:,} other reasons, in the table")
        return [*out, f"{self.scored:,} of {total:,} variants scored"]


class UnfinishedTable:
    """The work folder of a table: blocks of rows, and a journal that says where each is and what
    its checksum is.

    Blocks are known by the first of their variants. One that is damaged is left out, and scored
    again; rows are put in order when the table is finished.

    Parameters
    ----------
    restart : begin anew.
    """

    def __init__(self, output: Path, settings: dict[str, Any], restart: bool):
        self.output, self.restart, self.rank = output, restart, 0
        self.run = Unfinished(output, WORK_FORMAT, settings, "table")
        self.settings, self.journal = self.run.settings, self.run.journal
        self.rows = self.run.folder / "rows.tsv"
        self.blocks: dict[int, dict[str, Any]] = {}

    def begin(self, batch: int, sizes: Sequence[int]) -> np.ndarray | None:
        """Take up what an unfinished run has left, or begin.

        Parameters
        ----------
        batch : variants of a piece. sizes : of the groups: variants, and their matched places, if
            there are any, which are numbered behind them.

        Returns
        -------
        (sum of sizes,) bool, those whose rows are there; None: none are.

        Raises
        ------
        OutputError
            If it is of other settings, or cannot be written.
        """
        if self.restart or self._is_former():
            self.run.remove()
        try:
            self._open()
            return self._whole_pieces(batch, sizes) if self.blocks else None
        except OSError as error:
            raise OutputError(
                f"cannot write {self.run.folder}: {error.strerror or error}"
            ) from error

    def _open(self) -> None:
        found = self.run.begin()
        lost = found.damaged
        with open(self.rows, "a+b") as stream:
            for entry in found.entries:
                if is_block(entry) and rows_of(entry, stream) is not None:
                    self.blocks[entry["first"]] = entry
                else:
                    lost += 1
        beside = sorted(self.run.folder.glob("journal.*.jsonl"))
        for path in beside:
            lost += self._take_up(path)
        if lost:
            log.warning(
                "%s is damaged (%d of its blocks of rows or lines of its journal); these variants "
                "are scored again",
                self.run.folder,
                lost,
            )
        if lost or beside:
            self._rewrite()
        for path in beside:
            path.unlink()
            self._rows_beside(path).unlink(missing_ok=True)

    def _take_up(self, path: Path) -> int:
        """Take the blocks of another rank into the first one's rows; the number of damaged ones."""
        found, source = self.run.beside(path).read(), self._rows_beside(path)
        if found is None or found.settings != self.settings or not source.exists():
            return 0
        lost = found.damaged
        with open(source, "rb") as stream:
            for entry in found.entries:
                data = rows_of(entry, stream) if is_block(entry) else None
                if data is None:
                    lost += 1
                elif entry["first"] not in self.blocks:
                    self.blocks[entry["first"]] = entry | {"at": self._append(data)}
        return lost

    @staticmethod
    def _rows_beside(journal: Path) -> Path:
        """Where the rows of another rank's journal are."""
        return journal.with_name(journal.name.replace("journal", "rows").replace(".jsonl", ".tsv"))

    def _whole_pieces(self, batch: int, sizes: Sequence[int]) -> np.ndarray:
        """Leave out blocks that lie across the edge of a piece of which something is missing: with
        another number of processes a piece may be another run of variants.
        """
        begins = np.cumsum([0, *sizes])
        while True:
            known = np.zeros(begins[-1], bool)
            for first, entry in self.blocks.items():
                known[first : first + entry["variants"]] = True
            whole = np.concatenate([_whole(known[a:b], batch) for a, b in pairwise(begins)])
            across = [
                first
                for first, entry in self.blocks.items()
                if not whole[first : first + entry["variants"]].all()
            ]
            if not across:
                return whole
            for first in across:
                del self.blocks[first]
            self._rewrite()

    def _rewrite(self) -> None:
        self.journal.rewrite(self.blocks[first] for first in sorted(self.blocks))

    def _is_former(self) -> bool:
        """True of what a version without checksums left; OutputError if it is of other settings."""
        try:
            with open(self.journal.path, "rb") as stream:
                settings = json.loads(stream.readline())["settings"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        self.run.require_same(dict(settings))
        log.warning("%s was left by a former version; the table begins anew", self.run.folder)
        return True

    def begin_beside(self, rank: int) -> None:
        """Write the rows of a rank other than the first to files of their own, once the first has
        begun.

        Raises
        ------
        OutputError
            If they cannot be written: the ranks do not share the folder.
        """
        self.rank = rank
        self.journal = begin_journal_of(self.run, rank)
        self.rows = self._rows_beside(self.journal.path)

    def take(self, first: int, found: Sequence[Scored]) -> None:
        """Rows of the variants from number ``first`` on, whoever scored them: the first of the
        ranks has all of them.
        """
        if self.rank == 0:
            self.add(first, found)

    def keep(self, first: int, found: Sequence[Scored]) -> None:
        """Rows that this rank has scored."""
        if self.rank > 0:
            self.add(first, found)

    @staged("writing")
    def add(self, first: int, found: Sequence[Scored]) -> None:
        """Rows of some variants; they are on the disk before the journal names them."""
        data = "".join(one.text for one in found).encode()
        at = self._append(data)
        flush_folder(self.run.folder)
        reasons = Counter(one.status for one in found if one.status not in ("ok", None))
        entry = {
            "first": first,
            "variants": len(found),
            "scored": sum(one.status == "ok" for one in found),
            "unscored": dict(reasons),
            "at": at,
            "bytes": len(data),
            "checksum": checksum(data),
        }
        self.journal.add(entry)
        self.blocks[first] = entry

    def _append(self, data: bytes) -> int:
        """Add to the file of rows; where."""
        with open(self.rows, "ab") as stream:
            at = stream.seek(0, os.SEEK_END)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        return at

    @staged("writing")
    def finish(self, header: str, put: Put | None = None) -> Summary:
        """Put the table in its place.

        Parameters
        ----------
        header : its first line.
        put : writes the table, from the lines that are kept, to the file that it is given; None:
            they are its lines.
        """
        entries = [self.blocks[first] for first in sorted(self.blocks)]
        statuses: Counter[str] = Counter()
        for entry in entries:
            statuses.update({"ok": entry["scored"], **entry["unscored"]})
        summary = Summary.of(statuses)
        beside = self.output.with_name(self.output.name + ".json")
        about = self.settings | {"scored": summary.scored, "unscored": summary.unscored}
        with atomic_path(self.output) as temporary:
            with open(self.rows, "a+b") as rows:
                if put is not None:
                    put(self._lines_from(rows), temporary)
                else:
                    with open(temporary, "wb") as stream:
                        stream.write(header.encode())
                        stream.writelines(self._blocks_in(entries, rows))
            atomic_write(beside, json.dumps(about, indent=1) + "\n")
        self.run.remove()
        return summary

    def _lines_from(self, rows: BinaryIO) -> LinesFrom:
        """How to read the lines of those items that have a number in a range."""

        def lines(first: int, end: int) -> Iterator[str]:
            entries = [self.blocks[k] for k in sorted(self.blocks) if first <= k < end]
            for block in self._blocks_in(entries, rows):
                yield from (f"{line}\n" for line in block.decode().split("\n")[:-1])

        return lines

    def _blocks_in(self, entries: Sequence[dict[str, Any]], rows: BinaryIO) -> Iterator[bytes]:
        for entry in entries:
            if (block := rows_of(entry, rows)) is None:
                raise OutputError(
                    f"{self.rows} is damaged; repeat the command, which scores again what is lost"
                )
            yield block


def _whole(known: np.ndarray, batch: int) -> np.ndarray:
    """(n,) bool of a group: those whose whole piece of ``batch`` is known."""
    full = np.pad(known, (0, -len(known) % batch), constant_values=True)
    whole: np.ndarray = np.repeat(full.reshape(-1, batch).all(axis=1), batch)[: len(known)]
    return whole


#: Fields of a block in the journal that are numbers, none of them negative.
_NUMBERS = ("first", "variants", "scored", "at", "bytes")


def is_block(entry: dict[str, Any]) -> bool:
    """True of an entry of the journal that says where a block of rows is."""
    whole = all(isinstance(entry.get(k), int) and entry[k] >= 0 for k in _NUMBERS)
    return whole and entry["variants"] > 0 and isinstance(entry.get("unscored"), dict)


def rows_of(entry: dict[str, Any], stream: BinaryIO) -> bytes | None:
    """A block's rows; None if they are not as they were written."""
    stream.seek(entry["at"])
    rows = stream.read(entry["bytes"])
    return rows if checksum(rows) == entry.get("checksum") else None
