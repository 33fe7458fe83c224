"""Small variants against the letters of their genome, and texts quoted in messages.

Messages name what is wrong without quoting the whole change: that is for the readers of each text
or file, which know how their user wrote it.
"""

from __future__ import annotations

import numpy as np

from orca_cool.errors import EditError
from orca_cool.genome.changes import Edit
from orca_cool.genome.checks import check_edit
from orca_cool.genome.regions import suggestion
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import GAP, SequenceSource, codes_to_letters, letters_to_codes

#: A line that cannot be used and has no name is called by its text, up to this many letters.
LONGEST_NAME = 200


def short(text: str, length: int = 30) -> str:
    """A text to quote in a message, shortened where it is longer than ``length``."""
    return text if len(text) <= length else f"{text[: length - 10]}... ({len(text):,} letters)"


def chrom_length(source: SequenceSource, chrom: str) -> int:
    """Length of a chromosome in bp.

    Raises
    ------
    EditError
        If the genome lacks it; the message suggests a name.
    """
    if chrom not in source.chromsizes:
        raise EditError(f"there is no chromosome {chrom!r}; {suggestion(chrom, source.chromsizes)}")
    return source.chromsizes[chrom]


def genome_letters(source: SequenceSource, chrom: str, start: int, end: int) -> str:
    """Letters ACGTN of ``chrom[start:end)``, N outside the chromosome."""
    return codes_to_letters(source.fetch(chrom, start, end)).decode("ascii")


def agrees(ref: str, there: str) -> bool:
    """True if two sequences have the same length, and the same letters (in either case) wherever
    neither has N.
    """
    a, b = letters_to_codes(ref), letters_to_codes(there)
    return len(a) == len(b) and bool(np.all((a == b) | (a == GAP) | (b == GAP)))


def _shared(a: str, b: str) -> int:
    """Length of what two texts have in common at their beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def small_edit(source: SequenceSource, chrom: str, start: int, ref: str, alt: str) -> Edit:
    """``alt`` in place of ``ref``, which is at the 0-based position ``start``, without what the two
    have in common at their ends.

    Returns
    -------
    Edit : "ins" or "del" where nothing is left of one of them, else "sub".

    Raises
    ------
    EditError
        If they hold anything but A, C, G, T, N, are the same, or ``ref`` is not what the genome has
        (N agrees with all).
    """
    ref, alt = ref.upper(), alt.upper()
    for letters in (ref, alt):
        Segment.letters(letters)
    length = chrom_length(source, chrom)
    if start < 0 or start + len(ref) > length:
        raise EditError(
            f"position {start + 1:,} (1-based) with REF {short(ref)!r} lies outside {chrom}, "
            f"which is {length:,} bp long"
        )
    there = genome_letters(source, chrom, start, start + len(ref))
    if not agrees(ref, there):
        shifts = {"left": start - 1, "right": start + 1}
        sides = [
            side
            for side, first in shifts.items()
            if genome_letters(source, chrom, first, first + len(ref)) == ref
        ]
        hint = (
            f"; it stands one base to the {' and the '.join(sides)}: positions here are 1-based, "
            f"not 0-based"
            if sides
            else ""
        )
        raise EditError(
            f"REF {short(ref)!r} is not the genome's {short(there)!r} at "
            f"{chrom}:{start + 1:,}{hint}"
        )
    if ref == alt:
        raise EditError(f"REF and ALT are both {short(ref)!r}: nothing changes")
    head = _shared(ref, alt)
    tail = _shared(ref[head:][::-1], alt[head:][::-1])
    old, new = ref[head : len(ref) - tail], alt[head : len(alt) - tail]
    kind = "ins" if not old else "sub" if new else "del"
    sequence = (Segment.letters(new),) if new else ()
    return check_edit(
        source, Edit(kind, chrom, start + head, start + head + len(old), sequence=sequence)
    )
