"""Variants of tables: BEDPE, BED with an event, a table with named columns, or one edit a line.

BEDPE
    chrom1 start1 end1 chrom2 start2 end2 name score strand1 strand2 [type]; strand + keeps what
    lies to the left of the cut.
BED
    chrom start end event [name]; the event as edits are written behind a region: ``dup x3``,
    ``ins ACGT``.
Named columns
    a header line with chrom, start, end, event and, if wanted, name and sequence.
Edits
    ``edits`` or ``name<TAB>edits`` (``.txt``, ``.edits``, or standard input), see
    :mod:`orca_cool.variants.grammar`.

All coordinates are 0-based, end-exclusive. Columns are separated by tabs, since events hold spaces.
Else the files are read as all tables are (:mod:`orca_cool.genome.textfile`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from orca_cool.errors import EditError
from orca_cool.genome.changes import Adjacency, Breakend
from orca_cool.genome.checks import check_adjacency
from orca_cool.genome.source import SequenceSource
from orca_cool.genome.textfile import TextFile, holds_data
from orca_cool.variants.checks import LONGEST_NAME, chrom_length, short
from orca_cool.variants.grammar import parse_edits, parse_event
from orca_cool.variants.variant import Variant, of_changes, variants_file

#: Types of BEDPE's eleventh column, with the strands (left, right) that tell them.
TYPES: dict[str, tuple[str, ...]] = {
    "DEL": ("+-",),
    "DUP": ("-+",),
    "INV": ("++", "--"),
    "TRA": ("+-", "-+", "++", "--"),
    "BND": ("+-", "-+", "++", "--"),
}

#: Columns that a table with names must have.
NAMED = ("chrom", "start", "end", "event")

_EVENT = re.compile(r"(del|dup|inv|ins|sub)\b", re.IGNORECASE)

_EXPECTED = (
    "expected BEDPE (chrom1 start1 end1 chrom2 start2 end2 name score strand1 strand2 [type]), "
    "BED with an event (chrom start end event "
    "[name]), a header line with chrom, start, end, event, or edits in a .txt or .edits file "
    "(edits, or name and edits); columns with tabs "
    "between them"
)


def read_table(
    path: str | Path | TextFile, source: SequenceSource, *, files: bool | Path = True
) -> Iterator[Variant]:
    """Read variants; which kind of table it is, the first line tells or, where that leaves it open,
    the file's extension.

    Parameters
    ----------
    source : the genome that they are of.
    files : files of sequence that an event may name, see
        :func:`orca_cool.variants.grammar.parse_edits`.

    Returns
    -------
    Iterator of Variant, one for each line, in order. A line that cannot be used has a ``problem``.

    Raises
    ------
    EditError
        Before the first variant is asked for, if the file is missing, empty or of none of these
        types; the message says what was expected.
    """
    file = variants_file(path)
    for number, line in file:
        names = [name.strip().lower() for name in line.lstrip("#").split("\t")]
        if set(NAMED) <= set(names):
            return _variants(file, number, _Named(source, files, names))
        if holds_data(line):
            fields = line.split("\t")
            break
    else:
        raise EditError(
            f"table {str(file.path)!r} holds no variant"
            + (f"; it is {file.problem}" if file.problem else f"; {_EXPECTED}")
        )
    if len(fields) >= 10 and all(fields[i].lower().startswith("start") for i in (1, 4)):
        return _variants(file, number, _Bedpe(source))
    if file.extension == ".bedpe" or (
        len(fields) >= 10 and all(fields[i].strip().isdecimal() for i in (1, 2, 4, 5))
    ):
        return _variants(file, number - 1, _Bedpe(source))
    if file.extension == ".bed" or (
        len(fields) >= 4 and _EVENT.match(fields[3].strip()) and fields[1].strip().isdecimal()
    ):
        return _variants(file, number - 1, _Named(source, files, [*NAMED, "name"]))
    if file.extension in (".txt", ".edits") or file.is_standard_input:
        return _variants(file, number - 1, _Lines(source, files))
    raise EditError(
        f"table {str(file.path)!r} is not understood: line {number} is {short(line, 60)!r}; "
        f"{_EXPECTED}"
    )


class _Lines:
    """Reads rows that are edits, or a name and edits."""

    def __init__(self, source: SequenceSource, files: bool | Path):
        self.source = source
        self.files = files

    def name(self, fields: Sequence[str]) -> str:
        """Name of a row's variant; "" if it has none."""
        return fields[0] if len(fields) == 2 else ""

    def variant(self, where: str, fields: Sequence[str]) -> Variant:
        if len(fields) > 2:
            raise EditError(
                f"it has {len(fields)} columns; write the edits, or a name, a tab and the edits"
            )
        changes = parse_edits(fields[-1], self.source, files=self.files)
        return of_changes(changes, where, self.name(fields))


class _Named(_Lines):
    """Reads rows that are an interval and its event, in columns that have ``names``."""

    def __init__(self, source: SequenceSource, files: bool | Path, names: Sequence[str]):
        super().__init__(source, files)
        self.names = names

    def name(self, fields: Sequence[str]) -> str:
        """Name of a row's variant; "" if it has none."""
        return _name(dict(zip(self.names, fields)).get("name", ""))

    def variant(self, where: str, fields: Sequence[str]) -> Variant:
        row = dict(zip(self.names, fields))
        if missing := [name for name in NAMED if not row.get(name)]:
            raise EditError(
                f"it has nothing for {', '.join(missing)}; columns are {', '.join(self.names)}, "
                f"with tabs between them"
            )
        chrom_length(self.source, row["chrom"])
        start, end = _number(row["start"], "start"), _number(row["end"], "end")
        event = row["event"]
        if row.get("sequence", ".") not in ("", "."):
            event += f" {row['sequence']}"
        change = parse_event(row["chrom"], start, end, event, self.source, files=self.files)
        return of_changes([change], where, self.name(fields))


class _Bedpe:
    """Reads rows that are two breakends."""

    def __init__(self, source: SequenceSource):
        self.source = source

    def name(self, fields: Sequence[str]) -> str:
        """Name of a row's variant; "" if it has none."""
        return _name(fields[6]) if len(fields) > 6 else ""

    def variant(self, where: str, fields: Sequence[str]) -> Variant:
        if len(fields) < 10:
            raise EditError(
                f"it has {len(fields)} columns; BEDPE has 10 or more, the strands ninth and "
                f"tenth, with tabs between them"
            )
        places = [self._interval(fields[i : i + 3]) for i in (0, 3)]
        type_ = fields[10].upper() if len(fields) > 10 and fields[10].upper() in TYPES else ""
        sides = _sides(fields, places, type_)
        notes = []
        ends = []
        for number, ((chrom, start, end), side) in enumerate(zip(places, sides), 1):
            if end - start > 1:
                notes.append(f"breakend {number} is {end - start:,} bp wide: its middle is taken")
                position = (start + end) // 2
            else:
                position = end if side == "+" else start
            ends.append(Breakend(chrom, position, side))
        adjacency = check_adjacency(self.source, Adjacency(ends[0], ends[1]))
        variant = of_changes([adjacency], where, self.name(fields), "; ".join(notes))
        return replace(variant, kind=type_ if type_ in ("DEL", "DUP", "INV") else "BND")

    def _interval(self, fields: Sequence[str]) -> tuple[str, int, int]:
        chrom = fields[0]
        length = chrom_length(self.source, chrom)
        start, end = _number(fields[1], "start"), _number(fields[2], "end")
        if not start <= end <= length:
            problem = (
                "is reversed"
                if end < start
                else f"lies outside {chrom}, which is {length:,} bp long"
            )
            raise EditError(f"breakend {chrom}:{start:,}-{end:,} {problem}")
        return chrom, start, end


def _sides(fields: Sequence[str], places: Sequence[tuple[str, int, int]], type_: str) -> str:
    """Strands of the two breakends, "+-" for example; where they are missing, those that the type
    implies.
    """
    (chrom, *first), (other, *second) = places
    # The strands of a type are those from left to right.
    right_to_left = chrom == other and second < first
    strands = fields[8] + fields[9]
    if type_ in ("DEL", "DUP", "INV", "TRA") and (chrom == other) == (type_ == "TRA"):
        raise EditError(
            f"type {type_} is "
            f"{'of two chromosomes' if type_ == 'TRA' else 'within one chromosome'}, not {chrom} "
            f"and {other}"
        )
    if fields[8] in ("+", "-") and fields[9] in ("+", "-"):
        if type_ and (strands[::-1] if right_to_left else strands) not in TYPES[type_]:
            right = " or ".join(f"{pair[0]} and {pair[1]}" for pair in TYPES[type_])
            raise EditError(
                f"strands {fields[8]} and {fields[9]} contradict type {type_}, which from left "
                f"to right is {right}"
            )
        return strands
    if strands.strip(".") or type_ not in ("DEL", "DUP", "INV"):
        raise EditError(
            f"strands {fields[8]!r} and {fields[9]!r} do not tell which sides are joined; + is "
            f"left of the cut, - right"
        )
    return TYPES[type_][0][::-1] if right_to_left else TYPES[type_][0]


def _name(text: str) -> str:
    return "" if text == "." else text


def _number(text: str, what: str) -> int:
    plain = text.replace(",", "")
    if not re.fullmatch("[0-9]{1,18}", plain):
        raise EditError(
            f"{what} {short(text)!r} is not a position; it must be a whole number, 0-based"
        )
    return int(plain)


def _variants(file: TextFile, after: int, rows: _Lines | _Bedpe) -> Iterator[Variant]:
    """Variants of the lines after number ``after``."""
    for number, line in file:
        if number <= after or not holds_data(line):
            continue
        where = f"{file.name} line {number}"
        fields = [field.strip() for field in line.split("\t")]
        name = rows.name(fields)
        try:
            yield replace(rows.variant(where, fields), id=name)
        except EditError as error:
            # Its text is all by which the user may know a line that has no name.
            called = name or short(" ".join(line.split()), LONGEST_NAME)
            yield Variant(called, where, "", 0, 0, "EDIT", (), problem=str(error), id=name)
    if file.problem:
        yield Variant(
            "", f"{file.name} line {file.last + 1}", "", 0, 0, "EDIT", (), problem=file.problem
        )
