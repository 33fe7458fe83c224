"""Symbolic ALTs of VCF: ``<DEL>``, ``<DUP>``, ``<INV>`` and ``<INS>``, and where they end.

Up to version 4.3 END of the record tells it. From version 4.4 on SVLEN has a length for each ALT
and decides: END is that of the longest ALT (4.4), or deprecated (4.5). Where a record has several
symbolic ALTs SVLEN decides in every version, since a record has one END. The sign of SVLEN does not
matter: up to 4.3 that of a deletion is negative.
"""

from __future__ import annotations

import re
from typing import Any

from orca_cool.errors import EditError
from orca_cool.genome.changes import Edit
from orca_cool.genome.segments import Segment

_SYMBOLIC = re.compile(
    r"<(?P<kind>DEL|INS)(:ME(:[^>]+)?)?>|<(?P<dup>DUP)(:TANDEM)?>|<(?P<inv>INV)>"
)

#: The minor version of VCF 4 from which on SVLEN decides (VCF specification 4.4, section 3).
LENGTHS_DECIDE = 4


def kind_of(alt: str) -> str:
    """DEL, INS, DUP or INV; "" if an ALT is none of these."""
    match = _SYMBOLIC.fullmatch(alt)
    return (match["kind"] or match["dup"] or match["inv"]) if match else ""


def joined(*notes: str) -> str:
    """Notes as one text."""
    return "; ".join(filter(None, notes))


def edit_of(
    kind: str, chrom: str, position: int, i: int, record: Any, *, several: bool, minor: int
) -> tuple[Edit, str]:
    """The edit of a symbolic ALT, and a note of what was assumed.

    Parameters
    ----------
    kind : as :func:`kind_of` tells it.
    position : POS; it is 1-based and the base before the event, so that is the event's 0-based
        start.
    i : number of the ALT, from 0.
    record : as cyvcf2 reads it.
    several : the record has other symbolic ALTs.
    minor : of the version of VCF 4.

    Raises
    ------
    EditError
        If the record does not tell where the ALT ends, or what is inserted.
    """
    if kind == "INS":
        return _insertion(chrom, position, i, record)
    end, note = _end(kind, position, i, record, several, minor)
    return Edit(kind.lower(), chrom, position, end), note


def _insertion(chrom: str, position: int, i: int, record: Any) -> tuple[Edit, str]:
    """The edit of a symbolic insertion, and a note if its sequence is not known."""
    letters = _value(record, "SVINSSEQ", i) or _value(record, "SEQ", i)
    size = abs(_value(record, "SVLEN", i) or 0)
    if not letters and not size:
        raise EditError(
            "neither the inserted sequence (INFO SVINSSEQ, SEQ) nor its length (SVLEN) is given"
        )
    sequence = Segment.letters(letters) if letters else Segment("", 0, size)
    edit = Edit("ins", chrom, position, position, sequence=(sequence,))
    return edit, "" if letters else "sequence not given: N"


def _end(
    kind: str, position: int, i: int, record: Any, several: bool, minor: int
) -> tuple[int, str]:
    """Where a symbolic ALT ends, in bp of its chromosome, and a note of what was assumed."""
    end, length = _value(record, "END", i), _value(record, "SVLEN", i)
    size = abs(length or 0)
    notes = []
    if _value(record, "SVCLAIM", i) == "D" and kind in ("DEL", "DUP"):
        assumed = "deletion in place" if kind == "DEL" else "duplication in tandem"
        notes.append(f"SVCLAIM=D tells a copy number alone: a {assumed} is assumed")
    if size and (several or minor >= LENGTHS_DECIDE or end is None):
        if end not in (None, position + size) and not several:
            notes.append(f"SVLEN is taken, though END is {end:,}")
        return position + size, joined(*notes)
    if end is None:
        raise EditError(f"neither INFO END nor SVLEN tells where the {kind} ends")
    if several and minor >= LENGTHS_DECIDE:
        raise EditError(
            f"SVLEN has no length for this {kind}, and END {end:,} is that of the longest ALT of "
            f"the record"
        )
    if end < position:
        raise EditError(f"END {end:,} lies before POS {position:,}")
    if several:
        notes.append("SVLEN has no length for this ALT: END of the record is taken")
    # The strict meaning of SVLEN up to 4.3 is what ALT is longer than REF: 0 of an inversion.
    elif length is not None and end - position != size and not (kind == "INV" and length == 0):
        notes.append(f"END is taken, though SVLEN is {length:,}")
    return end, joined(*notes)


def _value(record: Any, key: str, i: int) -> Any:
    """The INFO field ``key`` for ALT ``i`` (from 0); a field with one value holds for every ALT."""
    value = record.INFO.get(key)
    if isinstance(value, str):
        values = tuple(None if v == "." else v for v in value.split(","))
        value = values[0] if len(values) == 1 else values
    if isinstance(value, tuple):
        return value[i] if i < len(value) else None
    return None if isinstance(value, bool) else value  # False: the key stands without a value
