"""Edits written as text.

Changes are separated by ``;`` or new lines. Positions are 0-based and intervals end-exclusive, and
a place ``chr2:5`` lies before base 5, as everywhere in orca-cool; only ``REF>ALT`` is at a 1-based
position, as in VCF. Numbers may hold commas and end in k, M or G. ::

    changes  = change { ( ";" | new line ) change } ;
    change   = region "del"
             | region "dup" [ "x" copies ] [ "inv" ]    copies in all; "inv": those after the first
                                                        are reverse-complemented
             | region "inv"
             | place "ins" sequence
             | region "sub" sequence
             | place letters ">" letters                1-based; the letters before ">" must be
                                                        those of the genome
             | end "::" [ sequence "::" ] end           an adjacency
             | name "=" sequence ;                      a whole chromosome
    region   = chromosome [ ":" number "-" [ number ] ] ;
    place    = chromosome ":" number ;
    end      = chromosome ":" ( number | "end" ) strand    + keeps the left of the cut, - the right
             | chromosome ;                                end(+) of the first, 0(-) of the second
    sequence = part { "," part } ;
    part     = letters [ strand ]                       A, C, G, T, N in upper or lower case
             | number "N"                               a run of N
             | region [ strand ]
             | "@" file [ ":" record ] [ strand ] ;     FASTA
    strand   = "(+)" | "(-)" ;

Examples::

    chr2:220,295,000-222,000,000 del
    chr7:1M-1.5M dup x3 inv
    chr1:5,000 ins ACGT,100N,chr3:5-10(-),@insert.fa:record
    chr1:1,001 A>G
    chr5:89411065(+)::chr7:94378248(-)
    chrI::chrII
    plasmid = @plasmid.fa

In a sequence, what can be read as letters is letters and "100N" is a run of N, even where a
chromosome has that name: write such a chromosome as a region.

Reading takes time in proportion to the text. A search that lets two parts of a pattern share a run
of characters does not (it tries all ways to share it), so patterns here do not, and texts are cut
at their ends where those decide.
"""

from __future__ import annotations

import re
from pathlib import Path

from orca_cool.errors import EditError, RegionError
from orca_cool.genome.changes import Adjacency, Breakend, Change, Contig, Edit
from orca_cool.genome.checks import check_adjacency, check_edit
from orca_cool.genome.regions import Region, parse_length, parse_region, suggestion
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.variants.budget import Budget
from orca_cool.variants.checks import chrom_length, short, small_edit
from orca_cool.variants.fasta import read_record

#: What an edit may look like, for messages.
FORMS = (
    "REGION del, REGION dup x3 inv, REGION inv, PLACE ins SEQ, REGION sub SEQ, "
    "CHROM:POS REF>ALT, CHROM:5(+)::CHROM:9(-), NAME = SEQ"
)

_VERB = re.compile(r"\s(?=(?:del|dup|inv|ins|sub)\b)", re.IGNORECASE)
_CONTIG = re.compile(r"(?P<name>(?:(?!::)[^\s=])+)\s*=\s*(?P<sequence>.*)", re.DOTALL)
_DUP = re.compile(r"(?:x\s*(?P<copies>\d{1,6}))?\s*(?P<inverted>inv)?", re.IGNORECASE)
_RUN = re.compile(r"(?P<number>\d[\d,.]*[kMG]?(?:bp?)?)N", re.IGNORECASE)
# reference names of the SAM specification (section 1.2.1), without what this grammar uses
_NAME = re.compile(r"[0-9A-Za-z!#$%&+./:?^_|~-][0-9A-Za-z!#$%&*+./:?@^_|~-]*")


def parse_edits(
    text: str, source: SequenceSource, *, files: bool | Path = True, budget: Budget | None = None
) -> list[Change]:
    """Read edits; the grammar is this module's own description.

    Each is checked by itself; overlaps are found where they are applied
    (:func:`orca_cool.genome.apply_edits.apply_edits`).

    Parameters
    ----------
    source : the genome that they are of.
    files : True: ``@FILE`` may be any file, from the working folder; False: none; a folder: those
        in it, from there.
    budget : how much may be read; None: all.

    Raises
    ------
    EditError
        If a change is not understood or does not fit the genome; the message quotes it. If there is
        none, or the budget is exceeded.
    """
    budget = budget or Budget()
    parts = [part.strip() for part in re.split(r"[;\n]", text) if part.strip()]
    if not parts:
        raise EditError(f"{short(text)!r} holds no edit; write it as one of: {FORMS}")
    budget.spend(changes=len(parts))
    return [_change(part, source, files, budget) for part in parts]


def parse_event(
    chrom: str,
    start: int,
    end: int,
    text: str,
    source: SequenceSource,
    *,
    files: bool | Path = True,
    budget: Budget | None = None,
) -> Edit:
    """Read what happens to ``chrom[start:end)``, as it is written behind a region: "del",
    "dup x3 inv", "ins ACGT". ``budget``: how much may be read; None: all.

    Raises
    ------
    EditError
        If it is not understood, does not fit the genome, or exceeds the budget.
    """
    budget = budget or Budget()
    verb, rest = [*text.split(maxsplit=1), "", ""][:2]
    verb, rest = verb.lower(), rest.strip()
    edit = Edit(verb, chrom, start, end)
    if verb == "dup":
        match = _DUP.fullmatch(rest)
        if not match:
            raise EditError(
                f"{short(rest)!r} behind dup is not understood; write dup, dup x3 (copies in "
                f"all), dup inv or dup x3 inv"
            )
        copies = int(match["copies"] or 2)
        budget.spend(pieces=copies)
        edit = Edit(verb, chrom, start, end, copies=copies, inverted=bool(match["inverted"]))
    elif verb in ("ins", "sub"):
        sequence = parse_sequence(rest, source, files=files, budget=budget)
        edit = Edit(verb, chrom, start, end, sequence=sequence)
    elif verb not in ("del", "inv"):
        raise EditError(
            f"{short(text)!r} is no event; write del, dup, dup x3, dup inv, inv, ins SEQ or sub SEQ"
        )
    elif rest:
        raise EditError(f"{short(rest)!r} behind {verb} is not understood; it takes nothing")
    return check_edit(source, edit)


def parse_sequence(
    text: str, source: SequenceSource, *, files: bool | Path = True, budget: Budget | None = None
) -> tuple[Segment, ...]:
    """Read a sequence such as "ACGT,100N,chr3:5-10(-),@FILE:RECORD" as segments. ``budget``: how
    much may be read; None: all.

    Raises
    ------
    EditError
        If there is none, or a part is not understood, outside its chromosome, or a file that is not
        there or not allowed. If the budget is exceeded.
    """
    if not text.strip():
        raise EditError("no sequence is given; write letters, 100N, a region or @FILE")
    parts = _parts(text)
    (budget or Budget()).spend(pieces=len(parts))
    return tuple(_part(part.strip(), source, files) for part in parts)


def _change(text: str, source: SequenceSource, files: bool | Path, budget: Budget) -> Change:
    try:
        budget.spend()
        if match := _CONTIG.fullmatch(text):
            if not _NAME.fullmatch(match["name"]):
                raise EditError(
                    f"{match['name']!r} cannot be a chromosome's name; use letters, digits and . "
                    f"_ - : | #"
                )
            sequence = parse_sequence(match["sequence"], source, files=files, budget=budget)
            return Contig(match["name"], sequence)
        if "::" in text:
            return _join(text, source, files, budget)
        if match := _VERB.search(text, 1):
            where, event = text[: match.start()].rstrip(), text[match.end() :]
            insertion = event[:3].lower() == "ins"
            at = _insertion_place(where, source) if insertion else _region(where, source)
            return parse_event(
                at.chrom, at.start, at.end, event, source, files=files, budget=budget
            )
        if small := _small(text):
            chrom, position = _place(small[0], source)
            return small_edit(source, chrom, position - 1, *small[1:])
        raise EditError(f"it is not understood; write it as one of: {FORMS}")
    except EditError as error:
        raise EditError(f"edit {short(text, 100)!r}: {short(str(error), 1000)}") from None


def _small(text: str) -> tuple[str, str, str] | None:
    """Place, REF and ALT of "chr1:1,001 A>G"; None if it is not of this form. REF may be empty
    where a space is before the ">".
    """
    before, arrow, alt = text.rpartition(">")
    head, alt = before.rstrip(), alt.strip()
    if not arrow or not head or len(alt.split()) > 1:
        return None
    where, *refs = head.rsplit(maxsplit=1)
    if refs and ">" not in refs[0]:
        return where, refs[0], alt
    return (head, "", alt) if head != before else None


def _region(text: str, source: SequenceSource) -> Region:
    try:
        return parse_region(text, source.chromsizes)
    except RegionError as error:
        message = short(str(error), 1000)
    chrom, colon, digits = text.rpartition(":")
    if colon and chrom in source.chromsizes and re.fullmatch(r"[\d,]+", digits):
        base = _number(digits)
        message = (
            f"{text!r} is one position where a stretch is needed; the base at this position is "
            f"{chrom}:{base - 1:,}-{base:,}"
        )
    raise EditError(message)


def _number(text: str) -> int:
    try:
        return parse_length(text)
    except RegionError as error:
        raise EditError(short(str(error), 1000)) from None


def _place(text: str, source: SequenceSource) -> tuple[str, int]:
    """Chromosome and position of "chr2:5"; whether it lies in the chromosome is checked with the
    change, since it depends on its kind.
    """
    chrom, colon, digits = text.rpartition(":")
    if not colon:
        raise EditError(f"{text!r} is no place; write it as chr2:1,000")
    chrom_length(source, chrom)
    if "-" in digits:
        raise EditError(
            f"{text!r} is an interval where a place is needed, as {chrom}:1,000; to replace an "
            f"interval use sub"
        )
    return chrom, _number(digits)


def _insertion_place(text: str, source: SequenceSource) -> Region:
    chrom, position = _place(text, source)
    return Region(chrom, position, position)


def _join(text: str, source: SequenceSource, files: bool | Path, budget: Budget) -> Adjacency:
    ends = text.split("::")
    if len(ends) not in (2, 3):
        raise EditError(
            f"it has {len(ends)} parts between '::'; write A::B, or A::SEQ::B with sequence between"
        )
    between = parse_sequence(ends[1], source, files=files, budget=budget) if len(ends) == 3 else ()
    return check_adjacency(
        source,
        Adjacency(_end(ends[0].strip(), source, "+"), _end(ends[-1].strip(), source, "-"), between),
    )


def _end(text: str, source: SequenceSource, side: str) -> Breakend:
    """The breakend of "chr5:100(+)", or of a chromosome's name alone: then its end on ``side``."""
    if text in source.chromsizes:
        return Breakend(text, source.chromsizes[text] if side == "+" else 0, side)
    what, strand = _stranded(text)
    if strand is None:
        chrom, colon, _ = text.rpartition(":")
        chrom_length(source, chrom if colon else text)
        raise EditError(
            f"{text!r} has no side; write {text}(+) to keep what lies left of the cut, {text}(-) "
            f"for the right"
        )
    chrom, colon, position = what.rpartition(":")
    if colon and position.strip().lower() == "end":
        return Breakend(chrom, chrom_length(source, chrom), strand)
    return Breakend(*_place(what, source), strand)


def _stranded(text: str) -> tuple[str, str | None]:
    """What is before a final "(+)" or "(-)", and its strand; the text and None without one."""
    return (text[:-3].rstrip(), text[-2]) if text.endswith(("(+)", "(-)")) else (text, None)


def _parts(text: str) -> list[str]:
    """The parts of a sequence: between commas, except those within a number.

    A number goes on behind a comma with three digits. It began behind a colon or a "-" of a region,
    or the part begins with it (a run of N).
    """
    parts: list[list[str]] = []
    # of the part that was read last: whether a colon is in it, whether it ends in a number of a
    # region, and whether it is nothing but a number
    colon = number = alone = False
    for piece in text.split(","):
        begins = bool(parts) and piece[:3].isdecimal() and not piece[3:4].isdecimal()
        joins = begins and len(piece) >= 3 and piece[3:4] != ":"
        digits = len(piece) == 3 and piece.isdecimal()
        if joins and (
            (alone and (digits or re.fullmatch(r"\d{3}N\s*", piece, re.IGNORECASE)))
            or (number and not _RUN.fullmatch(piece.strip()))
        ):
            parts[-1].append(piece)
            alone = alone and digits
        else:
            parts.append([piece])
            bare = piece.lstrip()
            alone, colon, joins = bare.isdecimal() and len(bare) <= 3, False, False
        if not (joins and digits):
            end = re.search(r"[:-]\s*\d{1,3}$", piece) if piece[-1:].isdecimal() else None
            number = end is not None and (end[0][0] == ":" or colon or ":" in piece[: end.start()])
        colon = colon or ":" in piece
    return [",".join(part) for part in parts]


def _part(text: str, source: SequenceSource, files: bool | Path) -> Segment:
    what, strand = _stranded(text)
    if re.fullmatch("[ACGTN]+", what, re.IGNORECASE):
        segment = Segment.letters(what)
    elif run := _RUN.fullmatch(what):
        length = _number(run["number"])
        if not length:
            raise EditError(f"{text!r} is empty")
        return Segment("", 0, length)
    elif what.startswith("@"):
        segment = read_record(what[1:], files)
    elif ":" in what or what in source.chromsizes:
        region = _region(what, source)
        segment = Segment(region.chrom, region.start, region.end)
    elif not what:
        raise EditError("a part of the sequence is empty: there is a comma too many")
    else:
        hint = suggestion(what, source.chromsizes)
        raise EditError(
            f"{short(what)!r} is neither sequence (A, C, G, T, N) nor a chromosome; {hint}"
        )
    return segment.reverse_complement() if strand == "-" else segment
