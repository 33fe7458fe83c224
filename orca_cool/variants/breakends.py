"""Breakends of VCF (BND): pairs of records that tell one adjacency, each from its own side (VCF
specification, section 5.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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


def scan(file: TextFile) -> dict[str, Record | None]:
    """All breakends of a file by their id; None for an id that several records have."""
    found: dict[str, Record | None] = {}
    for number, line in file:
        if (
            not line.startswith("#")
            and (record := record_of(number, line.split("\t", 7)))
            and record.id != "."
        ):
            found[record.id] = None if record.id in found else record
    return found


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


def paired(
    record: Record, number: int, table: Mapping[str, Record | None], source: SequenceSource
) -> Adjacency | None:
    """The adjacency of ALT ``number`` (from 0) and its mate; None if the mate comes first in the
    file, since a pair is one variant, at its first record.

    Raises
    ------
    EditError
        If it has no mate, the mate's record is not in the file, or the two contradict each other.
    """
    mate_id = record.mates[number] if number < len(record.mates) else "."
    if mate_id == ".":
        raise EditError("BND without mate: INFO has no MATEID")
    if mate_id not in table:
        raise EditError(f"BND without mate: no breakend in the file has the ID {mate_id!r}")
    mate = table[mate_id]
    if mate is None or table.get(record.id, record) is None:
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
                return adjacency
        except EditError as error:
            raise EditError(f"its mate {mate_id!r} (line {mate.line}): {error}") from None
    told = f"{mate.chrom}:{mate.position} {short(','.join(mate.alts))}"
    raise EditError(
        f"it tells {adjacency}, which its mate {mate_id!r} contradicts (line {mate.line}: {told})"
    )


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
