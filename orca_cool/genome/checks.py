"""Whether a change fits its genome: the one check of edits and adjacencies, whoever made them.

Each ``..._problem`` returns text that follows the change as the caller quotes it, such as
" is reversed: ..." or ": an insertion is at a place, ...", and "" if nothing is wrong. Whether
several changes overlap is for :func:`orca_cool.genome.apply_edits.apply_edits` to say.
"""

from __future__ import annotations

from orca_cool.errors import EditError
from orca_cool.genome.changes import KINDS, Adjacency, Breakend, Edit, as_edit
from orca_cool.genome.regions import interval_problem
from orca_cool.genome.source import SequenceSource


def edit_problem(genome: SequenceSource, edit: Edit) -> str:
    """What is wrong with an edit: its kind or chromosome is unknown, its interval reversed, outside
    the chromosome or of the wrong width for its kind, it lacks a sequence or has too few copies.
    """
    if edit.kind not in KINDS:
        return f": edit kind {edit.kind!r} is not one of {', '.join(KINDS)}"
    if problem := interval_problem(
        edit.chrom, edit.start, edit.end, genome.chromsizes, may_be_empty=True
    ):
        return problem
    if edit.kind == "ins" and edit.start != edit.end:
        return ": an insertion is at a place, not at an interval; to replace an interval use sub"
    if edit.kind != "ins" and edit.start == edit.end:
        return " is empty; only an insertion is at a place between bases"
    if edit.kind in ("ins", "sub") and not edit.sequence:
        return " has no sequence"
    if edit.kind == "dup" and edit.copies < 2:
        return f": a duplication has at least 2 copies in all, not {edit.copies}"
    return ""


def breakend_problem(genome: SequenceSource, end: Breakend) -> str:
    """What is wrong with a breakend: its chromosome is unknown, or it lies outside it."""
    return interval_problem(
        end.chrom, end.position, end.position, genome.chromsizes, may_be_empty=True
    )


def check_edit(genome: SequenceSource, edit: Edit) -> Edit:
    """The edit itself, which must be possible alone.

    Raises
    ------
    EditError
        If something is wrong with it (:func:`edit_problem`), or it deletes a whole chromosome; the
        message begins with its interval.
    """
    interval = f"{edit.chrom}:{edit.start:,}-{edit.end:,}"
    if problem := edit_problem(genome, edit):
        raise EditError(f"{interval}{problem}")
    if edit.kind == "del" and edit.end - edit.start == genome.chromsizes[edit.chrom]:
        raise EditError(f"{interval} is the whole of {edit.chrom}: a chromosome cannot be empty")
    return edit


def check_adjacency(genome: SequenceSource, adjacency: Adjacency) -> Adjacency:
    """The adjacency itself, which must be possible alone.

    Raises
    ------
    EditError
        If a breakend lies outside its chromosome, neither keeps anything, or both are one place of
        one chromosome; if it stands for an edit with which something is wrong.
    """
    for end in (adjacency.first, adjacency.second):
        if problem := breakend_problem(genome, end):
            raise EditError(f"breakend {end}{problem}")
    if not any(_keeps_something(genome, end) for end in (adjacency.first, adjacency.second)):
        raise EditError(
            f"{adjacency.first} and {adjacency.second} both keep nothing; + keeps what lies left "
            f"of a cut, - what lies right of it"
        )
    if adjacency.first.chrom == adjacency.second.chrom:
        edit = as_edit(adjacency)
        if edit.kind == "ins" and not edit.sequence:
            raise EditError(f"{adjacency} joins what is joined already: nothing changes")
        check_edit(genome, edit)
    return adjacency


def _keeps_something(genome: SequenceSource, end: Breakend) -> bool:
    return end.position > 0 if end.side == "+" else end.position < genome.chromsizes[end.chrom]
