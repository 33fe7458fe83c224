"""How copies of a sequence are put at a site: their orientations, number and distance, as edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from orca_cool.errors import EditError
from orca_cool.genome.changes import Edit
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource, codes_to_letters, reverse_complement

#: The letters of patterns, as strands.
_STRANDS = {"+": "+", "-": "-", ">": "+", "<": "-"}


@dataclass(frozen=True)
class Cassette:
    """Copies of a sequence, one behind the other.

    Attributes
    ----------
    length : of each copy in bp; None: as the source is.
    orientation : "+" or "-", of all copies, or a pattern with a letter for each copy (``>><<``).
    number : of copies. spacing : bp of the genome between a copy and the next.
    """

    length: int | None = None
    orientation: str = "+"
    number: int = 1
    spacing: int = 0

    @property
    def strands(self) -> list[str]:
        """ "+" or "-" of each copy."""
        pattern = self.orientation
        return [_STRANDS[c] for c in (pattern * self.number if len(pattern) == 1 else pattern)]

    def starts(self, length: int) -> list[int]:
        """First base of each copy of ``length`` bp, in bp from that of the first."""
        return [k * (length + self.spacing) for k in range(self.number)]

    def span(self, length: int) -> int:
        """From the first base of the first copy to the last one of the last, in bp."""
        return self.number * length + (self.number - 1) * self.spacing


def cassettes(
    lengths: Sequence[int], orientations: str, number: Sequence[int], spacing: Sequence[int]
) -> list[Cassette]:
    """All combinations, each once.

    Parameters
    ----------
    lengths : in bp; none: each source has its own.
    orientations : with commas between them: "+" and "-" are taken with each ``number``, patterns
        of several letters have their own.

    Raises
    ------
    EditError
        If one of them is not understood, or would do nothing.

    Examples
    --------
    >>> [(c.orientation, c.number) for c in cassettes((), "+,>><<", (1, 2), (0,))]
    [('+', 1), ('+', 2), ('>><<', 4)]
    """
    patterns = [p.strip() for p in orientations.split(",")]
    for pattern in patterns:
        if not pattern or set(pattern) - set(_STRANDS):
            raise EditError(
                f"--orientations {orientations!r} is not understood at {pattern!r}; write + and -, "
                f"or a letter for each copy: >><<"
            )
    for name, values, least in (
        ("lengths", lengths, 1),
        ("number", number, 1),
        ("spacing", spacing, 0),
    ):
        for value in values:
            if value < least:
                why = "; copies would overlap" if name == "spacing" else ""
                raise EditError(f"--{name} {value} is less than {least}{why}")
    if all(len(p) > 1 for p in patterns) and tuple(number) != (1,):
        raise EditError(
            f"--number {number[0]} means nothing to --orientations {orientations!r}, whose letters "
            f"are the copies"
        )
    found = []
    for pattern, length, bp in product(patterns, lengths or (None,), spacing):
        for n in (len(pattern),) if len(pattern) > 1 else number:
            found.append(Cassette(length, pattern, n, bp if n > 1 else 0))
    if any(spacing) and all(c.number == 1 for c in found):
        raise EditError(
            f"--spacing {max(spacing)} means nothing to a single copy; give --number or a pattern "
            f"such as >><<"
        )
    return list(dict.fromkeys(found))


def oriented(copies: Sequence[np.ndarray], cassette: Cassette) -> list[np.ndarray]:
    """The copies on their strands."""
    return [
        reverse_complement(codes) if strand == "-" else codes
        for codes, strand in zip(copies, cassette.strands)
    ]


def overwriting(
    genome: SequenceSource, site: Region, copies: Sequence[np.ndarray], cassette: Cassette
) -> list[tuple[Region, np.ndarray]]:
    """What each copy replaces, from the site's first base on: its length stays.

    Parameters
    ----------
    copies : codes, all of one length, on their strands.
    """
    length = len(copies[0])
    starts = [site.start + s for s in cassette.starts(length)]
    return [(Region(site.chrom, s, s + length), codes) for s, codes in zip(starts, copies)]


def inserting(site: Region, copies: Sequence[np.ndarray], cassette: Cassette) -> list[Edit]:
    """Insertions before the site's first base, and before the bases ``spacing`` bp further on."""
    if cassette.spacing == 0:
        copies = [np.concatenate(list(copies))]
    out = []
    for k, codes in enumerate(copies):
        at = site.start + k * cassette.spacing
        text = (Segment.letters(codes_to_letters(codes)),)
        out.append(Edit("ins", site.chrom, at, at, sequence=text))
    return out
