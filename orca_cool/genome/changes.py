"""Changes of a genome, as plain values.

* :class:`Edit`: a deletion, duplication, inversion, insertion or substitution replaces an interval
  of a chromosome by segments.
* :class:`Adjacency`: a translocation or fusion joins two cut ends (:class:`Breakend`).
* :class:`Contig`: a whole chromosome is added or replaced.

Changes that are applied together are all in the coordinates of the genome that they are applied to
(:func:`orca_cool.genome.apply_edits.apply_edits`).
"""

from __future__ import annotations

from dataclasses import dataclass

from orca_cool.errors import EditError
from orca_cool.genome.segments import OTHER, Segment, _sequence_text, reverse_complement_segments

KINDS = ("del", "dup", "inv", "ins", "sub")


@dataclass(frozen=True)
class Edit:
    """A change of ``chrom[start:end)``.

    Attributes
    ----------
    kind : "del", a deletion; "dup", a tandem duplication; "inv", an inversion; "ins", an insertion
        of ``sequence`` before base ``start`` (which is ``end``, too); "sub", a substitution of
        ``sequence`` for the interval.
    copies : of a duplication: how many there are in all.
    inverted : of a duplication: the copies after the first are reverse-complemented.
    sequence : of an insertion or substitution: segments of the genome that is edited, or literal
        sequence.
    of_source : ``sequence`` is made of segments of the source of the edited genome instead, as
        :func:`orca_cool.genome.apply_edits.inverse` needs them.
    """

    kind: str
    chrom: str
    start: int
    end: int
    copies: int = 2
    inverted: bool = False
    sequence: tuple[Segment, ...] = ()
    of_source: bool = False

    def __str__(self) -> str:
        if self.kind == "ins":
            return f"{self.chrom}:{self.start:,} ins {_sequence_text(self.sequence)}"
        extra = {
            "sub": f" {_sequence_text(self.sequence)}",
            "dup": f" x{self.copies}" * (self.copies != 2) + " inv" * self.inverted,
        }
        return f"{self.chrom}:{self.start:,}-{self.end:,} {self.kind}{extra.get(self.kind, '')}"


@dataclass(frozen=True)
class Breakend:
    """One side of a cut of ``chrom`` before base ``position``.

    Attributes
    ----------
    side : "+" for what lies to the left of the cut, "-" for what lies to the right: the strands of
        BEDPE and of Orca's own program.

    Raises
    ------
    EditError
        If ``side`` is neither.
    """

    chrom: str
    position: int
    side: str

    def __post_init__(self) -> None:
        if self.side not in OTHER:
            raise EditError(
                f"breakend {str(self)!r} has the side {self.side!r}; it is + (left of the cut) "
                f"or - (right of it)"
            )

    def __str__(self) -> str:
        return f"{self.chrom}:{self.position:,}({self.side})"

    @property
    def other(self) -> Breakend:
        """The other side of the same cut."""
        return Breakend(self.chrom, self.position, OTHER[self.side])


@dataclass(frozen=True)
class Adjacency:
    """Two breakends joined, with ``sequence`` (often none) between them.

    The new sequence reads: the first breakend's side up to its cut, ``sequence``, the second
    breakend's side from its cut on.

    The two sides that a translocation leaves over are joined to each other too (it is reciprocal),
    unless another adjacency uses them: one at the same places, or one that leads from the one
    chromosome back to the other, as in a translocation whose two adjacencies have different cuts,
    or between three chromosomes. What lies between the cuts of such adjacencies is lost, or is
    there twice.

    Between two places of one chromosome an adjacency stands for an edit (:func:`as_edit`), unless
    adjacencies to other chromosomes cut that chromosome too.
    """

    first: Breakend
    second: Breakend
    sequence: tuple[Segment, ...] = ()

    def __str__(self) -> str:
        between = f"::{_sequence_text(self.sequence)}" if self.sequence else ""
        return f"{self.first}{between}::{self.second}"


@dataclass(frozen=True)
class Contig:
    """A whole chromosome made of ``segments``: added to the genome, or in place of the one that has
    its name.
    """

    name: str
    segments: tuple[Segment, ...]

    def __str__(self) -> str:
        return f"{self.name} = {_sequence_text(self.segments)}"


Change = Edit | Adjacency | Contig


def as_edit(adjacency: Adjacency) -> Edit:
    """The edit that an adjacency of two places of one chromosome stands for.

    From the left of the first place to the right of the second it is a deletion; from right to
    left a tandem duplication; from left to left, or right to right, an inversion.

    Raises
    ------
    EditError
        If both ends are at one place and it is no insertion.
    """
    a, b = sorted((adjacency.first, adjacency.second), key=lambda e: (e.position, e.side))
    backwards = a != adjacency.first
    between = (
        tuple(reverse_complement_segments(adjacency.sequence)) if backwards else adjacency.sequence
    )
    if a.position == b.position and (a.side, b.side) != ("+", "-"):
        raise EditError(f"the adjacency {str(adjacency)!r} has both ends at one place")
    old = Segment(a.chrom, a.position, b.position)
    if (a.side, b.side) == ("+", "-"):
        if a.position == b.position:
            return Edit("ins", a.chrom, a.position, b.position, sequence=between)
        return Edit("sub" if between else "del", a.chrom, a.position, b.position, sequence=between)
    if (a.side, b.side) == ("-", "+"):
        # two copies, with the sequence between them
        sequence = (old, *reverse_complement_segments(between), old) if between else ()
        return Edit("sub" if between else "dup", a.chrom, a.position, b.position, sequence=sequence)
    if not between:
        return Edit("inv", a.chrom, a.position, b.position)
    sequence = (
        (*between, old.reverse_complement())
        if a.side == "+"
        else (old.reverse_complement(), *between)
    )
    return Edit("sub", a.chrom, a.position, b.position, sequence=sequence)
