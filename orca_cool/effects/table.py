"""Thousands of variants to a table of scores: streamed, and resumed exactly after any interruption.

Rows are appended to a file in a work folder beside the output; after the rows of a group of
variants a line of a journal says how many variants are done and how long the file is. A run that is
killed is repeated: the file is cut to the length that the journal's last line says, and the run
goes on from there. The table appears, by a rename, when it is complete.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

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
from orca_cool.files import atomic_write, check_output, replace_file
from orca_cool.variants import Variant

FORMAT = "orca-cool.scores"
#: Version 2 has the columns id, pos, ref and alt of the input. An unfinished table of another
#: version is not gone on with.
FORMAT_VERSION = 2

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
    settings = {
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
    check_output(output, force)
    if scoring.maps is not None:
        scoring.maps.mkdir(parents=True, exist_ok=True)
    journal = _Journal(output, settings, restart=force)
    report = progress or (lambda done, total: None)
    try:
        report(journal.done, len(variants))
        while journal.done < len(variants):
            some = variants[journal.done : journal.done + batch_size(engine)]
            journal.add(batch_rows(reference, some, journal.done, scoring))
            report(journal.done, len(variants))
        return journal.finish()
    except OSError as error:
        raise OutputError(
            f"cannot write {output}: {error.strerror or error}; free some space and repeat the "
            f"command to go on"
        ) from error


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


class _Journal:
    """The unfinished table and how much of it is certain."""

    def __init__(self, output: Path, settings: dict[str, Any], restart: bool):
        self.output, self.settings = output, settings
        self.folder = output.with_name(output.name + ".partial")
        self.rows, self.path = self.folder / "rows.tsv", self.folder / "journal.jsonl"
        self.done, self.scored = 0, 0
        self.unscored: Counter[str] = Counter()
        if restart:
            shutil.rmtree(self.folder, ignore_errors=True)
        entries = self._read()
        try:
            self.folder.mkdir(exist_ok=True)
            if not entries:
                self.rows.write_text("\t".join(COLUMNS) + "\n")
                self.path.write_text(
                    json.dumps({"settings": settings, "bytes": self.rows.stat().st_size}) + "\n"
                )
                return
            if entries[0]["settings"] != json.loads(json.dumps(settings)):
                differ = [
                    k
                    for k in settings
                    if entries[0]["settings"].get(k) != json.loads(json.dumps(settings[k]))
                ]
                raise OutputError(
                    f"{self.folder} holds an unfinished table of other settings "
                    f"({', '.join(differ) or 'unknown'}); "
                    "repeat the command that began it, or use --force to start anew"
                )
            for entry in entries[1:]:
                self.done += entry["variants"]
                self.scored += entry["scored"]
                self.unscored.update(entry["unscored"])
            os.truncate(self.rows, entries[-1]["bytes"])
            # the journal's own last line may be torn, and what is added must begin a line
            whole = "".join(json.dumps(entry) + "\n" for entry in entries)
            atomic_write(self.path, whole)
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {error.strerror or error}") from error

    def _read(self) -> list[dict[str, Any]]:
        """Whole lines of the journal; none if the run had not begun."""
        try:
            lines = self.path.read_text().splitlines()
            size = self.rows.stat().st_size
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise OutputError(
                f"{self.path} cannot be read ({error}); use --force to start anew"
            ) from error
        entries = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                break
            if (
                entry["bytes"] > size
            ):  # a machine that lost its power may have kept the journal and not the rows
                break
            entries.append(entry)
        return entries

    def add(self, found: Iterable[VariantRows]) -> None:
        """Rows of the next variants."""
        found = list(found)
        with open(self.rows, "a") as stream:
            stream.write("".join(row_text(row) for one in found for row in one.rows))
            stream.flush()
            size = os.fstat(stream.fileno()).st_size
        reasons = Counter(one.status for one in found if one.status != "ok")
        scored = len(found) - sum(reasons.values())
        entry = {"variants": len(found), "scored": scored, "unscored": dict(reasons), "bytes": size}
        with open(self.path, "a") as stream:
            stream.write(json.dumps(entry) + "\n")
        self.done += len(found)
        self.scored += scored
        self.unscored.update(reasons)

    def finish(self) -> Summary:
        """Put the table in its place."""
        summary = Summary(self.scored, dict(self.unscored.most_common()))
        beside = self.output.with_name(self.output.name + ".json")
        about = self.settings | {"scored": summary.scored, "unscored": summary.unscored}
        atomic_write(beside, json.dumps(about, indent=1) + "\n")
        replace_file(self.rows, self.output)
        shutil.rmtree(self.folder, ignore_errors=True)
        return summary
