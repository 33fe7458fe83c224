"""Thousands of variants to a table of scores: streamed, and resumed exactly after any interruption.

The variants are scored in pieces, by one process or by several
(:mod:`orca_cool.prediction.sharing`); what is done lies on the disk
(:mod:`orca_cool.effects.unfinished_table`) until the table is complete.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from orca_cool import __version__
from orca_cool.effects.align import Reference
from orca_cool.effects.scores import SCORES
from orca_cool.effects.unfinished_table import Scored, Summary, UnfinishedTable
from orca_cool.effects.variant_rows import ABOUT, COLUMNS, Scoring, batch_rows, batch_size
from orca_cool.errors import OutputError
from orca_cool.files import check_output
from orca_cool.locks import locked_outputs
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.sharing import ALONE, Alone, Piece, run_shared
from orca_cool.variants import Variant

FORMAT = "orca-cool.scores"
#: Version 2 has the columns id, pos, ref and alt of the input. An unfinished table of another
#: version is not gone on with.
FORMAT_VERSION = 2

#: (variants done, variants in all)
Progress = Callable[[int, int], None]

#: The first line of a table.
HEADER = "\t".join(COLUMNS) + "\n"


class Sink(Protocol):
    """Where the rows of a table go: :class:`UnfinishedTable`, :class:`Stream`."""

    def begin(self, batch: int, total: int) -> np.ndarray | None:
        """Begin, or take up what is there: (total,) bool, variants that are done."""
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
    """A table that goes to a text stream, in order, and is kept nowhere else."""

    def __init__(self, out: TextIO):
        self.out, self.mute, self.next = out, False, 0
        self.statuses: Counter[str] = Counter()
        self._waiting: dict[int, Sequence[Scored]] = {}

    def begin(self, batch: int, total: int) -> None:
        """Write the header."""
        self.out.write(HEADER)

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
            self.statuses.update(one.status for one in ready)
            self.out.write("".join(one.text for one in ready))
            self.out.flush()

    def keep(self, first: int, found: Sequence[Scored]) -> None:
        """Nothing is kept."""


class VariantsWork:
    """The scoring of variants; a :class:`~orca_cool.prediction.sharing.Shareable`.

    Parameters
    ----------
    settings : all that the numbers depend on. sink : where rows go; None: nowhere, in a process
        that only scores.
    """

    def __init__(
        self,
        reference: Reference,
        variants: Sequence[Variant],
        scoring: Scoring,
        settings: dict[str, Any],
        sink: Sink | None = None,
    ):
        self.reference, self.variants, self.scoring = reference, variants, scoring
        # each process has its own name for the folder of matrices
        self.settings = {k: v for k, v in settings.items() if k != "maps"}
        self.sink = sink
        self.total, self.done = len(variants), 0

    @property
    def engine(self) -> Engine:
        """Of the reference."""
        return self.reference.engine

    @property
    def sizes(self) -> Sequence[int]:
        """Of the one group."""
        return [len(self.variants)]

    @property
    def windows_per_batch(self) -> int:
        """Variants that are predicted together."""
        return batch_size(self.engine)

    def score(self, group: int, numbers: range) -> list[Scored]:
        """Score variants together."""
        some = self.variants[numbers.start : numbers.stop]
        found = batch_rows(self.reference, some, numbers.start, self.scoring)
        return [Scored("".join(map(row_text, one.rows)), one.status) for one in found]

    def begin(self, batch: int) -> list[bool]:
        """Which variants are done."""
        known = None if self.sink is None else self.sink.begin(batch, self.total)
        return [] if known is None else known.tolist()

    def begin_beside(self, rank: int) -> None:
        """As of any work."""
        if self.sink is not None:
            self.sink.begin_beside(rank)

    def take_up(self, piece: Piece, known: list[bool]) -> bool:
        """The rows are there already."""
        return all(known[piece[1].start : piece[1].stop])

    def take(self, piece: Piece, found: Sequence[Scored]) -> None:
        """As of any work."""
        if self.sink is not None:
            self.sink.take(piece[1].start, found)

    def keep(self, piece: Piece, found: Sequence[Scored]) -> None:
        """As of any work."""
        if self.sink is not None:
            self.sink.keep(piece[1].start, found)


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
) -> Summary:
    """Score variants against the reference, and write a table, tab-separated, with a header.

    Parameters
    ----------
    identity : plain values that tell this run from another (files, settings); with them an
        unfinished run is recognised.
    force : replace the output, and start anew.
    progress : called with (variants done, variants in all).
    share : who scores the variants; the first of them writes the table.

    Returns
    -------
    Summary. Beside the table, ``output`` with ".json" appended holds the settings and the summary.

    Raises
    ------
    OutputError, EditError
    """
    output = Path(output)
    settings = settings_of(reference, scoring, identity, share)
    lock = contextlib.nullcontext() if share.rank else locked_outputs(output)
    try:
        with lock:
            check_output(output, force)
            if scoring.maps is not None:
                scoring.maps.mkdir(parents=True, exist_ok=True)
            table = UnfinishedTable(output, settings, restart=force and not share.restarted)
            work = VariantsWork(reference, variants, scoring, settings, table)
            run_shared(work, share, progress or (lambda done, total: None))
            summary: Summary = share.agree(lambda: table.finish(HEADER))
            return summary
    except OSError as error:
        raise OutputError(
            f"cannot write {output}: {error.strerror or error}; free some space and repeat the "
            f"command to go on"
        ) from error


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
) -> Summary:
    """The same table, row by row to a text stream; what is interrupted begins anew."""
    stream, settings = Stream(out), settings_of(reference, scoring, identity, share)
    work = VariantsWork(reference, variants, scoring, settings, stream)
    run_shared(work, share, progress or (lambda done, total: None))
    summary: Summary = share.agree(lambda: Summary.of(stream.statuses))
    return summary


def row_text(row: dict[str, Any]) -> str:
    """A row as a line of the table."""
    about = ["" if row[name] is None else str(row[name]) for name in ABOUT]
    values = ["nan" if math.isnan(row[name]) else f"{row[name]:.8g}" for name in SCORES]
    fields = [*about, *values, row["status"]]
    return "\t".join(re.sub(r"\s+", " ", text) for text in fields) + "\n"
