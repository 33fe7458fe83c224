"""Changes of a genome: edits of an interval, adjacencies that join two breakends, chromosomes given whole.

Deletion, duplication, inversion, insertion and substitution replace an interval by segments
(:class:`Edit`); translocations and fusions join two cut ends (:class:`Adjacency`); a chromosome may also be
given whole (:class:`Contig`). Changes that are applied together are all in the coordinates of the genome
that they are applied to.
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
    kind : "del"; "dup": ``copies`` in all, one after the other, those after the first ``inverted``
        if so; "inv"; "ins": ``sequence`` before base ``start`` (= ``end``); "sub": ``sequence`` in
        place of the interval.
    sequence : segments of the genome that is edited (or letters).
    of_source : ``sequence`` is of that genome's own source instead; see
        :func:`orca_cool.genome.apply_edits.inverse`.
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
    """One side of a cut of ``chrom`` before base ``position``: "+" is what lies to the left of the
    cut, "-" to the right.

    These are the strands of BEDPE and of Orca's own program.

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
        return Breakend(self.chrom, self.position, OTHER[self.side])


@dataclass(frozen=True)
class Adjacency:
    """Two breakends joined, with ``sequence`` between them.

    Read from the first to the second: the first's side up to its cut, the sequence, the second's
    side away from its cut.

    The sides that a translocation or an inversion leaves over are joined too, unless other adjacencies
    use them up: those at the same places, or those that lead from the one chromosome back to the
    other (a second adjacency of the same chromosomes the other way round; a three-way translocation).
    What lies between the cuts of such adjacencies is lost, or is there twice.

    Between two places of one chromosome it is an edit (:func:`as_edit`), unless adjacencies to other
    chromosomes cut that chromosome too.
    """

    first: Breakend
    second: Breakend
    sequence: tuple[Segment, ...] = ()

    def __str__(self) -> str:
        between = f"::{_sequence_text(self.sequence)}" if self.sequence else ""
        return f"{self.first}{between}::{self.second}"


@dataclass(frozen=True)
class Contig:
    """A chromosome given whole, added to the genome, or put in the place of one of the same name."""

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
        # from the second's left side, over what lies between, to the first's right side
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
