"""The sequence that an edit puts in place of its interval, as segments of the genome's source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orca_cool.errors import EditError, GenomeError
from orca_cool.genome.changes import Edit
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.segments import OTHER, Segment, reverse_complement_segments
from orca_cool.genome.source import length_of


def replacement(genome: EditedGenome, edit: Edit) -> list[Segment]:
    """Segments of the genome's source that take the place of the edit's interval."""
    old = genome.segments(edit.chrom, edit.start, edit.end)
    if edit.kind == "del":
        return []
    if edit.kind == "inv":
        return reverse_complement_segments(old)
    if edit.kind == "dup":
        return old + (reverse_complement_segments(old) if edit.inverted else old) * (
            edit.copies - 1
        )
    if edit.of_source:
        return list(edit.sequence)
    new = to_source(genome, edit.sequence, str(edit))
    return (
        _trimmed(genome, edit, new[0])
        if edit.kind == "sub" and len(new) == 1 and new[0].literal is not None
        else new
    )


def _trimmed(genome: EditedGenome, edit: Edit, new: Segment) -> list[Segment]:
    """Literal sequence that replaces an interval: what it has in common with the interval at both
    ends stays the genome's own.
    """
    chrom, start, end = edit.chrom, edit.start, edit.end
    letters = new.fetch(genome)
    shorter = min(
        end - start, len(new)
    )  # no more of the interval is read: it may be most of a chromosome
    head = _alike(genome.fetch(chrom, start, start + shorter), letters[:shorter])
    rest = shorter - head
    tail = _alike(genome.fetch(chrom, end - rest, end)[::-1], letters[len(new) - rest :][::-1])
    core = [new.part(head, len(new) - tail)] if head + tail < len(new) else []
    return [
        *genome.segments(chrom, start, start + head),
        *core,
        *genome.segments(chrom, end - tail, end),
    ]


def _alike(a: np.ndarray, b: np.ndarray) -> int:
    """How many codes at the beginning are the same."""
    differ = np.flatnonzero(a != b)
    return int(differ[0]) if len(differ) else len(a)


def to_source(genome: EditedGenome, segments: Sequence[Segment], what: str) -> list[Segment]:
    """Segments of an edited genome as segments of its source.

    Raises
    ------
    EditError
        If one does not lie in the genome; the message quotes ``what`` it is of.
    """
    for s in segments:
        length = (
            require_chrom(genome, s.chrom, what)
            if s.chrom
            else s.end
            if s.literal is None
            else len(s.literal)
        )
        if not 0 <= s.start < s.end <= length or s.strand not in OTHER:
            where = f"{s.chrom}, which is {length:,} bp long" if s.chrom else "its letters"
            raise EditError(
                f"{s} of {what!r} is empty, reversed, has no strand, or lies outside {where}"
            )
    return genome.flat(segments)


def require_chrom(genome: EditedGenome, chrom: str, what: object) -> int:
    """Length of a chromosome in bp; EditError, which quotes ``what`` names it, if there is none."""
    try:
        return length_of(genome, chrom)
    except GenomeError as error:
        raise EditError(f"{str(what)!r}: {error}") from None
