"""Breakends of VCF (BND): records that tell an adjacency, each from its own side (VCF
specification, section 5.4).

A bracketed ALT tells the whole adjacency. The mate's record, where there is one, tells it again
from the other side: a pair is one variant, at its first record, and the two must agree. Sniffles
and DELLY write each adjacency once and without MATEID, and a filter may have removed a mate: then
the one record is taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import EditError
from orca_cool.genome.changes import Adjacency, Breakend
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.genome.textfile import TextFile
from orca_cool.variants.checks import agrees, short

_BND = re.compile(
    r"(?P<left>[^\[\]]*)(?P<bracket>[\[\]])(?P<chrom>.+):(?P<position>\d{1,18})(?P=bracket)"
    r"(?P<right>[^\[\]]*)"
)


@dataclass(frozen=True)
class Record:
    """A line that holds breakends.

    Attributes
    ----------
    position : POS, 1-based.
    mates : the ids in MATEID (or PARID), one for each of ``alts``.
    """

    line: int
    chrom: str
    position: int
    id: str
    ref: str
    alts: tuple[str, ...]
    mates: tuple[str, ...]

    def mate(self, number: int) -> str:
        """The id of the mate of ALT ``number`` (from 0); "" if none is named."""
        mate = self.mates[number] if number < len(self.mates) else "."
        return "" if mate == "." else mate


def is_breakend(alt: str) -> bool:
    """True for an ALT that holds the position of a mate in brackets."""
    return "[" in alt or "]" in alt


def record_of(line: int, fields: Sequence[str]) -> Record | None:
    """The breakends of a line, from its columns; None if it has none or lacks columns."""
    if len(fields) < 8 or not is_breakend(fields[4]) or not re.fullmatch("[0-9]{1,18}", fields[1]):
        return None
    info = dict(entry.partition("=")[::2] for entry in fields[7].split("\t")[0].split(";"))
    mates = info.get("MATEID") or info.get("PARID")
    return Record(
        line,
        chrom=fields[0],
        position=int(fields[1]),
        id=fields[2],
        ref=fields[3],
        alts=tuple(fields[4].split(",")),
        mates=tuple(mates.split(",")) if mates else (),
    )


@dataclass(frozen=True)
class Table:
    """All breakends of a file.

    Attributes
    ----------
    by_id : by their id; None for an id that several records have.
    unmated : records and their adjacencies, of the ALTs that name no mate, by their two breakends.
    """

    by_id: dict[str, Record | None]
    unmated: dict[frozenset[Breakend], list[tuple[Record, Adjacency]]]


def scan(file: TextFile) -> Table:
    """Read all breakends of a file."""
    table = Table({}, {})
    for number, line in file:
        if line.startswith("#") or not (record := record_of(number, line.split("\t", 7))):
            continue
        if record.id != ".":
            table.by_id[record.id] = None if record.id in table.by_id else record
        for k, alt in enumerate(record.alts):
            if record.mate(k) or not is_breakend(alt):
                continue
            try:
                adjacency = join_of(record, alt)
            except EditError:
                continue  # is told where the record itself is read
            ends = frozenset((adjacency.first, adjacency.second))
            table.unmated.setdefault(ends, []).append((record, adjacency))
    return table


def join_of(record: Record, alt: str) -> Adjacency:
    """The adjacency that one ALT describes, in the direction in which its inserted bases are read.

    REF at POS is replaced by the letters beside the brackets; where they begin (or end) with REF,
    that base stays the genome's and only the others lie between the breakends.

    Raises
    ------
    EditError
        If ALT is not one of ``t[p[``, ``t]p]``, ``]p]t``, ``[p[t``.
    """
    match = _BND.fullmatch(alt)
    if not match or bool(match["left"]) == bool(match["right"]):
        raise EditError(
            f"ALT {short(alt)!r} is no breakend; it must be t[p[, t]p], ]p]t or [p[t with "
            f"letters t and p as chr2:1000"
        )
    forward = bool(match["left"])  # the record's own side lies left of its cut
    letters, ref = match["left"] or match["right"], record.ref
    letters = ref if letters == "." else letters  # POS 0, before the first base
    size = len(ref)
    if agrees(letters[:size] if forward else letters[-size:], ref):
        inserted = letters[size:] if forward else letters[:-size]
        cut = record.position - 1 + (size if forward else 0)
    else:
        inserted = letters
        cut = record.position - 1 + (0 if forward else size)
    between = (Segment.letters(inserted),) if inserted else ()
    own = Breakend(record.chrom, cut, "+" if forward else "-")
    mate_left = match["bracket"] == "]"
    mate = Breakend(
        match["chrom"], int(match["position"]) - (0 if mate_left else 1), "+" if mate_left else "-"
    )
    return Adjacency(own, mate, between) if forward else Adjacency(mate, own, between)


def told_by(
    record: Record, number: int, table: Table, source: SequenceSource
) -> tuple[Adjacency, str] | None:
    """The adjacency of ALT ``number`` (from 0), and a note if there is no mate that confirms it.

    None if its mate comes first in the file, since a pair is one variant, at its first record.

    Raises
    ------
    EditError
        If ALT is no breakend, or it and its mate contradict each other.
    """
    mate_id = record.mate(number)
    if not mate_id:
        return _unmated(record, number, table, source)
    if mate_id not in table.by_id:
        return join_of(record, record.alts[number]), (
            f"no breakend in the file has the ID of its mate, {mate_id!r}: the join is taken from "
            f"this record alone"
        )
    mate = table.by_id[mate_id]
    if mate is None or table.by_id.get(record.id, record) is None:
        raise EditError(
            f"several breakends have the ID {(mate_id if mate is None else record.id)!r}; give "
            f"each its own"
        )
    if record.id not in mate.mates or mate.line == record.line:
        raise EditError(
            f"its mate {mate_id!r} (line {mate.line}) names "
            f"{', '.join(mate.mates) or 'no record'} as its own mate"
        )
    if mate.line < record.line:
        return None
    adjacency = join_of(record, record.alts[number])
    for alt, back in zip(mate.alts, mate.mates):
        try:
            if back == record.id and _same(adjacency, join_of(mate, alt), source):
                return adjacency, ""
        except EditError as error:
            raise EditError(f"its mate {mate_id!r} (line {mate.line}): {error}") from None
    told = f"{mate.chrom}:{mate.position} {short(','.join(mate.alts))}"
    raise EditError(
        f"it tells {adjacency}, which its mate {mate_id!r} contradicts (line {mate.line}: {told})"
    )


def _unmated(
    record: Record, number: int, table: Table, source: SequenceSource
) -> tuple[Adjacency, str] | None:
    """As :func:`told_by`, of an ALT that names no mate: another one that names none either, and
    tells the same from the other side, is its mate.
    """
    adjacency = join_of(record, record.alts[number])
    ends = frozenset((adjacency.first, adjacency.second))
    mates = [
        other.line
        for other, its in table.unmated.get(ends, ())
        if (other.chrom, other.position) != (record.chrom, record.position)
        and _same(adjacency, its, source)
    ]
    if mates and min(mates) < record.line:
        return None
    if mates:
        return adjacency, f"no MATEID: its mate is line {min(mates)}, which tells the same join"
    return adjacency, "no MATEID: the join is taken from this record alone"


def _same(a: Adjacency, b: Adjacency, source: SequenceSource) -> bool:
    """True if two adjacencies are the same, whichever end each is read from."""
    from_other_end = Adjacency(
        b.second, b.first, tuple(s.reverse_complement() for s in reversed(b.sequence))
    )
    return any(
        (a.first, a.second) == (x.first, x.second) and _letters(a, source) == _letters(x, source)
        for x in (b, from_other_end)
    )


def _letters(adjacency: Adjacency, source: SequenceSource) -> bytes:
    return np.concatenate(
        [np.empty(0, np.uint8), *(s.fetch(source) for s in adjacency.sequence)]
    ).tobytes()
