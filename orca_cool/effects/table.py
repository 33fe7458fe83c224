"""Thousands of variants to a table of scores: streamed, and resumed exactly after any interruption.

Rows are appended to a file in a work folder beside the output; when the rows of a group of variants
are on the disk, a line of a journal (:mod:`orca_cool.journal`) says which variants they are of,
where they are, and what their checksum is. A run that is killed is repeated: it goes on where it
was, and scores again those variants whose rows are damaged. The table appears, by a rename, when it
is complete.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from orca_cool import __version__
from orca_cool.effects.align import Reference
from orca_cool.effects.scores import SCORES
from orca_cool.effects.variant_rows import (
    ABOUT,
    COLUMNS,
    Scoring,
    VariantRows,
    batch_rows,
    batch_size,
    iter_rows,
)
from orca_cool.errors import OutputError
from orca_cool.files import atomic_path, atomic_write, check_output, flush_folder
from orca_cool.journal import checksum
from orca_cool.locks import locked_outputs
from orca_cool.profile import staged
from orca_cool.unfinished import Unfinished
from orca_cool.variants import Variant

FORMAT = "orca-cool.scores"
#: Version 2 has the columns id, pos, ref and alt of the input. An unfinished table of another
#: version is not gone on with.
FORMAT_VERSION = 2
#: Of the journal of an unfinished table.
WORK_FORMAT = "orca-cool.unfinished-scores"

log = logging.getLogger(__name__)

#: (variants done, variants in all)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Summary:
    """What became of a list of variants: how many were scored, and the reasons of those that were
    not, counted.
    """

    scored: int
    unscored: dict[str, int]

    def lines(self, most: int = 10) -> list[str]:
        """The same in words: the most frequent reasons, and how many were scored."""
        total = self.scored + sum(self.unscored.values())
        out = [f"not scored: {n:,} x {reason}" for reason, n in list(self.unscored.items())[:most]]
        if len(self.unscored) > most:
            out.append(f"not scored: and {len(self.unscored) - most:,} other reasons, in the table")
        return [*out, f"{self.scored:,} of {total:,} variants scored"]


def write_table(
    reference: Reference,
    variants: Sequence[Variant],
    output: str | Path,
    scoring: Scoring,
    *,
    identity: dict[str, Any],
    force: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Score variants against the reference, and write a table, tab-separated, with a header.

    Parameters
    ----------
    identity : plain values that tell this run from another (files, settings); with them an
        unfinished run is recognised.
    force : replace the output, and start anew.
    progress : called with (variants done, variants in all).

    Returns
    -------
    Summary. Beside the table, ``output`` with ".json" appended holds the settings and the summary.

    Raises
    ------
    OutputError, EditError
    """
    output = Path(output)
    engine = reference.engine
    settings = _settings(reference, scoring, identity)
    report = progress or (lambda done, total: None)
    try:
        with locked_outputs(output):
            check_output(output, force)
            if scoring.maps is not None:
                scoring.maps.mkdir(parents=True, exist_ok=True)
            table = _Unfinished(output, settings, restart=force)
            report(table.done, len(variants))
            for start, end in list(table.todo(len(variants))):
                for first in range(start, end, batch_size(engine)):
                    some = variants[first : min(end, first + batch_size(engine))]
                    table.add(first, batch_rows(reference, some, first, scoring))
                    report(table.done, len(variants))
            return table.finish()
    except OSError as error:
        raise OutputError(
            f"cannot write {output}: {error.strerror or error}; free some space and repeat the "
            f"command to go on"
        ) from error


def _settings(reference: Reference, scoring: Scoring, identity: dict[str, Any]) -> dict[str, Any]:
    """What the table's numbers depend on, for the file beside it and to recognise its own work."""
    engine = reference.engine
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "orca_cool": __version__,
        "model": engine.spec.name,
        "model_digest": engine.digest,
        "genome": engine.source.name,
        "module": reference.module.name,
        "resolutions": list(scoring.resolutions),
        "shifts": list(scoring.shifts),
        "maps": None if scoring.maps is None else str(scoring.maps),
        **engine.numerics,
        **identity,
    }


def stream_table(
    reference: Reference,
    variants: Sequence[Variant],
    out: TextIO,
    scoring: Scoring,
    *,
    progress: Progress | None = None,
) -> Summary:
    """The same table, row by row to a text stream; what is interrupted begins anew."""
    report = progress or (lambda done, total: None)
    out.write("\t".join(COLUMNS) + "\n")
    reasons: Counter[str] = Counter()
    for done, found in enumerate(iter_rows(reference, variants, scoring), start=1):
        out.write("".join(map(row_text, found.rows)))
        out.flush()
        reasons[found.status] += 1
        report(done, len(variants))
    scored = reasons.pop("ok", 0)
    return Summary(scored, dict(reasons.most_common()))


def row_text(row: dict[str, Any]) -> str:
    """A row as a line of the table."""
    about = ["" if row[name] is None else str(row[name]) for name in ABOUT]
    values = ["nan" if math.isnan(row[name]) else f"{row[name]:.8g}" for name in SCORES]
    fields = [*about, *values, row["status"]]
    return "\t".join(re.sub(r"\s+", " ", text) for text in fields) + "\n"


class _Unfinished:
    """The work folder of a table: blocks of rows, and a journal that says where each is and what
    its checksum is.

    Blocks are known by the first of their variants. One that is damaged is left out, and scored
    again; rows are put in order when the table is finished.
    """

    def __init__(self, output: Path, settings: dict[str, Any], restart: bool):
        self.output = output
        self.run = Unfinished(output, WORK_FORMAT, settings, "table")
        self.settings, self.journal = self.run.settings, self.run.journal
        self.rows = self.run.folder / "rows.tsv"
        self.blocks: dict[int, dict[str, Any]] = {}
        self.done = 0  # variants
        if restart or self._is_former():
            self.run.remove()
        try:
            self._open()
        except OSError as error:
            raise OutputError(
                f"cannot write {self.run.folder}: {error.strerror or error}"
            ) from error

    def _open(self) -> None:
        """Take up what an unfinished run has left, or begin."""
        found = self.run.begin()
        lost = found.damaged
        with open(self.rows, "a+b") as stream:
            for entry in found.entries:
                if _is_block(entry) and _rows_of(entry, stream) is not None:
                    self.blocks[entry["first"]] = entry
                else:
                    lost += 1
        self.done = sum(entry["variants"] for entry in self.blocks.values())
        if lost:
            log.warning(
                "%s is damaged (%d of its blocks of rows or lines of its journal); these variants "
                "are scored again",
                self.run.folder,
                lost,
            )
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

    def todo(self, total: int) -> Iterator[tuple[int, int]]:
        """Gaps between the blocks, in order: (first variant, end)."""
        first = 0
        for start in [*sorted(self.blocks), total]:
            if first < start:
                yield first, start
            first = max(first, start + self.blocks.get(start, {"variants": 0})["variants"])

    @staged("writing")
    def add(self, first: int, found: Sequence[VariantRows]) -> None:
        """Rows of some variants; they are on the disk before the journal names them."""
        data = "".join(row_text(row) for one in found for row in one.rows).encode()
        with open(self.rows, "ab") as stream:
            at = stream.seek(0, os.SEEK_END)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        flush_folder(self.run.folder)
        reasons = Counter(one.status for one in found if one.status != "ok")
        entry = {
            "first": first,
            "variants": len(found),
            "scored": len(found) - sum(reasons.values()),
            "unscored": dict(reasons),
            "at": at,
            "bytes": len(data),
            "checksum": checksum(data),
        }
        self.journal.add(entry)
        self.blocks[first] = entry
        self.done += len(found)

    @staged("writing")
    def finish(self) -> Summary:
        """Put the table in its place."""
        entries = [self.blocks[first] for first in sorted(self.blocks)]
        unscored: Counter[str] = Counter()
        for entry in entries:
            unscored.update(entry["unscored"])
        summary = Summary(sum(e["scored"] for e in entries), dict(unscored.most_common()))
        beside = self.output.with_name(self.output.name + ".json")
        about = self.settings | {"scored": summary.scored, "unscored": summary.unscored}
        with atomic_path(self.output) as temporary:
            with open(self.rows, "a+b") as rows, open(temporary, "wb") as stream:
                stream.write(("\t".join(COLUMNS) + "\n").encode())
                for entry in entries:
                    if (block := _rows_of(entry, rows)) is None:
                        raise OutputError(
                            f"{self.rows} is damaged; repeat the command, which scores again what "
                            f"is lost"
                        )
                    stream.write(block)
            atomic_write(beside, json.dumps(about, indent=1) + "\n")
        self.run.remove()
        return summary


#: Fields of a block in the journal that are numbers, none of them negative.
_NUMBERS = ("first", "variants", "scored", "at", "bytes")


def _is_block(entry: dict[str, Any]) -> bool:
    """True of an entry of the journal that says where a block of rows is."""
    whole = all(isinstance(entry.get(k), int) and entry[k] >= 0 for k in _NUMBERS)
    return whole and entry["variants"] > 0 and isinstance(entry.get("unscored"), dict)


def _rows_of(entry: dict[str, Any], stream: BinaryIO) -> bytes | None:
    """A block's rows; None if they are not as they were written."""
    stream.seek(entry["at"])
    rows = stream.read(entry["bytes"])
    return rows if checksum(rows) == entry.get("checksum") else None
