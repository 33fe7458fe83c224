"""Thousands of variants to a table of scores: streamed, and resumed exactly after any interruption.

The variants are scored in pieces, by one process or by several
(:mod:`orca_cool.prediction.sharing`); what is done lies on the disk
(:mod:`orca_cool.effects.unfinished_table`) until the table is complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from orca_cool import __version__
from orca_cool.effects import GENOTYPES
from orca_cool.effects.align import Reference
from orca_cool.effects.null import place_lines, with_null
from orca_cool.effects.scores import SCORES
from orca_cool.effects.summary import summarised, summary_columns
from orca_cool.effects.table_columns import ABOUT, COLUMNS, COLUMNS_WITH_NULL
from orca_cool.effects.table_forms import Form
from orca_cool.effects.unfinished_table import LinesFrom, Scored, Summary, UnfinishedTable
from orca_cool.effects.variant_rows import Scoring, batch_rows, batch_size
from orca_cool.errors import EditError, OutputError
from orca_cool.files import check_output
from orca_cool.locks import locked_outputs
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.sharing import ALONE, Alone, Piece, run_shared
from orca_cool.variants import Variant
from orca_cool.variants.matched import MatchedPlaces

FORMAT = "orca-cool.scores"
#: Version 2 has the columns id, pos, ref and alt of the input. An unfinished table of another
#: version is not gone on with.
FORMAT_VERSION = 2

#: (variants done, variants in all)
Progress = Callable[[int, int], None]


def columns_of(null: MatchedPlaces | None = None) -> tuple[str, ...]:
    """Columns of a table of all rows."""
    return COLUMNS if null is None else COLUMNS_WITH_NULL


class Sink(Protocol):
    """Where the rows of a table go: :class:`UnfinishedTable`, :class:`Stream`."""

    def begin(self, batch: int, sizes: Sequence[int]) -> np.ndarray | None:
        """Begin, or take up what is there: (sum of sizes,) bool, items that are done."""
        ...

    def begin_beside(self, rank: int) -> None:
        """Be ready to keep what a rank other than the first does."""
        ...

    def take(self, first: int, found: Sequence[Scored]) -> None:
        """Rows of the variants from number ``first`` on, whoever scored them."""
        ...

    def keep(self, first: int, found: Sequence[Scored]) -> None:
        """Rows that this process has scored."""
        ...


class Stream:
    """A table that goes to a text stream, in order, and is kept nowhere else.

    Parameters
    ----------
    header : its first line. text : makes all its lines of those that are found, when all are
        there; None: they are its lines, and are written as they come.
    """

    def __init__(
        self, out: TextIO, header: str, text: Callable[[LinesFrom], Iterable[str]] | None = None
    ):
        self.out, self.header, self.text = out, header, text
        self.mute, self.next = False, 0
        self.statuses: Counter[str] = Counter()
        self._waiting: dict[int, Sequence[Scored]] = {}
        self._texts: list[str] = []

    def begin(self, batch: int, sizes: Sequence[int]) -> None:
        """Write the header."""
        if self.text is None:
            self.out.write(self.header)

    def begin_beside(self, rank: int) -> None:
        """Of several ranks the first one writes."""
        self.mute = True

    def take(self, first: int, found: Sequence[Scored]) -> None:
        """Write rows when all those before them are written."""
        if self.mute:
            return
        self._waiting[first] = found
        while (ready := self._waiting.pop(self.next, None)) is not None:
            self.next += len(ready)
            self.statuses.update(one.status for one in ready if one.status is not None)
            if self.text is not None:
                self._texts += [one.text for one in ready]
                continue
            self.out.write("".join(one.text for one in ready))
            self.out.flush()

    def keep(self, first: int, found: Sequence[Scored]) -> None:
        """Nothing is kept."""

    def finish(self) -> Summary:
        """Write what could not be written before all was there."""
        if self.text is not None and not self.mute:
            self.out.writelines(self.text(self._lines))
            self.out.flush()
        return Summary.of(self.statuses)

    def _lines(self, first: int, end: int) -> Iterator[str]:
        for text in self._texts[first:end]:
            yield from (f"{line}\n" for line in text.split("\n")[:-1])


class VariantsWork:
    """The scoring of variants; a :class:`~orca_cool.prediction.sharing.Shareable`.

    Parameters
    ----------
    settings : all that the numbers depend on. sink : where rows go; None: nowhere, in a process
        that only scores.
    null : draws matched places, which are scored, too: item ``k * null.number + i`` of a second
        group is place i of variant k.
    numbered : lines of the variants are kept behind their numbers.
    """

    def __init__(
        self,
        reference: Reference,
        variants: Sequence[Variant],
        scoring: Scoring,
        settings: dict[str, Any],
        sink: Sink | None = None,
        null: MatchedPlaces | None = None,
        numbered: bool = False,
    ):
        self.reference, self.variants, self.scoring = reference, variants, scoring
        self.null, self.numbered = null, numbered
        # each process has its own name for the folder of matrices
        self.settings = {k: v for k, v in settings.items() if k != "maps"}
        self.sink = sink
        self.total, self.done = sum(self.sizes), 0

    @property
    def engine(self) -> Engine:
        """Of the reference."""
        return self.reference.engine

    @property
    def sizes(self) -> Sequence[int]:
        """Of the variants, and of their matched places."""
        places = 0 if self.null is None else self.null.number
        return [len(self.variants), *([len(self.variants) * places] if places else [])]

    @property
    def windows_per_batch(self) -> int:
        """Variants that are predicted together."""
        return batch_size(self.engine)

    def score(self, group: int, numbers: range) -> list[Scored]:
        """Score variants, or matched places, together."""
        if group:
            return self._score_places(numbers)
        some = self.variants[numbers.start : numbers.stop]
        found = batch_rows(self.reference, some, numbers.start, self.scoring)
        return [Scored("".join(map(row_text, one.rows)), one.status) for one in found]

    def _score_places(self, numbers: range) -> list[Scored]:
        assert self.null is not None
        wanted = self.null.number
        there: dict[int, Variant] = {}
        for number in numbers:
            variant = self.variants[number // wanted]
            places = self.null.of(variant)
            if self.scoring.strict and len(places) < wanted:
                raise EditError(
                    f"{variant.where}: {variant.name}: only {len(places):,} of {wanted:,} matched "
                    f"places are found; ask for fewer (--null), or leave out --strict"
                )
            if number % wanted < len(places):
                there[number] = places[number % wanted]
        scoring = dataclasses.replace(self.scoring, maps=None, strict=False, store=True)
        found = dict(
            zip(there, batch_rows(self.reference, list(there.values()), 0, scoring), strict=True)
        )
        return [
            Scored(place_lines(k // wanted, k % wanted, found[k]) if k in found else "", None)
            for k in numbers
        ]

    def lines(self, kept: LinesFrom) -> Iterable[str]:
        """Lines of the table behind the numbers of their variants, with what is said of matched
        places, from those that are kept.
        """
        own = kept(0, self.sizes[0])
        if self.null is None:
            return own
        return with_null(own, kept(self.sizes[0], self.total), self.null.number)

    def begin(self, batch: int) -> list[bool]:
        """Which variants are done."""
        known = None if self.sink is None else self.sink.begin(batch, self.sizes)
        return [] if known is None else known.tolist()

    def _first(self, piece: Piece) -> int:
        """The number of a piece's first item among those of all groups."""
        return sum(self.sizes[: piece[0]]) + piece[1].start

    def begin_beside(self, rank: int) -> None:
        """As of any work."""
        if self.sink is not None:
            self.sink.begin_beside(rank)

    def take_up(self, piece: Piece, known: list[bool]) -> bool:
        """The rows are there already."""
        first = self._first(piece)
        return all(known[first : first + len(piece[1])])

    def take(self, piece: Piece, found: Sequence[Scored]) -> None:
        """As of any work."""
        if self.sink is not None:
            self.sink.take(self._first(piece), self._numbered(piece, found))

    def keep(self, piece: Piece, found: Sequence[Scored]) -> None:
        """As of any work."""
        if self.sink is not None:
            self.sink.keep(self._first(piece), self._numbered(piece, found))

    def _numbered(self, piece: Piece, found: Sequence[Scored]) -> Sequence[Scored]:
        """As they are kept."""
        if not self.numbered or piece[0]:
            return found
        return [
            Scored(re.sub("^", f"{number}\t", one.text.rstrip("\n"), flags=re.M) + "\n", one.status)
            for number, one in zip(piece[1], found)
        ]


def write_table(
    reference: Reference,
    variants: Sequence[Variant],
    output: str | Path,
    scoring: Scoring,
    *,
    identity: dict[str, Any],
    force: bool = False,
    progress: Progress | None = None,
    share: Alone = ALONE,
    null: MatchedPlaces | None = None,
    form: Form | None = None,
) -> Summary:
    """Score variants against the reference, and write a table, tab-separated, with a header.

    Parameters
    ----------
    identity : plain values that tell this run from another (files, settings); with them an
        unfinished run is recognised.
    force : replace the output, and start anew.
    progress : called with (variants done, variants in all).
    share : who scores the variants; the first of them writes the table.
    null : draws matched places, among whose scores each variant's are told
        (:mod:`orca_cool.effects.null`).
    form : how the table is written; None: a TSV of all rows.

    Returns
    -------
    Summary. Beside the table, ``output`` with ".json" appended holds the settings and the summary.

    Raises
    ------
    OutputError, EditError
    """
    output, form = Path(output), form or Form(str(output))
    settings = settings_of(reference, scoring, identity, share)
    lock = contextlib.nullcontext() if share.rank else locked_outputs(output)
    numbered = null is not None or not form.is_plain
    try:
        with lock:
            check_output(output, force)
            if scoring.maps is not None:
                scoring.maps.mkdir(parents=True, exist_ok=True)
            kept = settings | form.settings
            table = UnfinishedTable(output, kept, restart=force and not share.restarted)
            work = VariantsWork(reference, variants, scoring, settings, table, null, numbered)
            run_shared(work, share, progress or (lambda done, total: None))
            columns = columns_of(null)

            def put(lines: LinesFrom, path: Path) -> None:
                form.write(reported(work, form, lines, kept), columns, path)

            header = "\t".join(columns) + "\n"
            summary: Summary = share.agree(lambda: table.finish(header, put if numbered else None))
            return summary
    except OSError as error:
        raise OutputError(
            f"cannot write {output}: {error.strerror or error}; free some space and repeat the "
            f"command to go on"
        ) from error


def reported(
    work: VariantsWork, form: Form, kept: LinesFrom, settings: dict[str, Any]
) -> Iterable[str]:
    """Lines of the table behind the numbers of their variants; the report is written, if one is
    asked for.
    """
    lines = work.lines(kept)
    if form.html is None:
        return lines
    from orca_cool.effects.html_report import pictures_of, write_report

    lines, columns = list(lines), columns_of(work.null)
    names = summary_columns(columns)
    rows = [dict(zip(names, row)) for row in summarised(lines, columns, form.rank_by)]
    pictures = pictures_of(work.reference, work.variants, rows)
    write_report(Path(form.html), rows, settings, pictures, form.rank_by)
    return lines


def settings_of(
    reference: Reference, scoring: Scoring, identity: dict[str, Any], share: Alone = ALONE
) -> dict[str, Any]:
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
        **({} if scoring.stop_below is None else {"stop_below": scoring.stop_below}),
        **({} if scoring.genotype == GENOTYPES[0] else {"genotype": scoring.genotype}),
        **(share.numerics or engine.numerics),
        **identity,
    }


def stream_table(
    reference: Reference,
    variants: Sequence[Variant],
    out: TextIO,
    scoring: Scoring,
    *,
    identity: dict[str, Any],
    progress: Progress | None = None,
    share: Alone = ALONE,
    null: MatchedPlaces | None = None,
    form: Form | None = None,
) -> Summary:
    """The same table, row by row to a text stream (with a null, or another form, when all is
    there); what is interrupted begins anew.
    """
    form = form or Form("-")
    numbered = null is not None or not form.is_plain
    settings, columns = settings_of(reference, scoring, identity, share), columns_of(null)
    work = VariantsWork(reference, variants, scoring, settings, None, null, numbered)

    def text(kept: LinesFrom) -> Iterable[str]:
        return form.text(reported(work, form, kept, settings | form.settings), columns)

    stream = Stream(out, "\t".join(columns) + "\n", text if numbered else None)
    work.sink = stream
    run_shared(work, share, progress or (lambda done, total: None))
    summary: Summary = share.agree(stream.finish)
    return summary


def row_text(row: dict[str, Any]) -> str:
    """A row as a line of the table."""
    about = ["" if row[name] is None else str(row[name]) for name in ABOUT]
    values = ["nan" if math.isnan(row[name]) else f"{row[name]:.8g}" for name in SCORES]
    fields = [*about, *values, row["status"]]
    return "\t".join(re.sub(r"\s+", " ", text) for text in fields) + "\n"
