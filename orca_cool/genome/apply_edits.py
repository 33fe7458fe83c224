"""Changes applied to a genome: the segments of the chromosomes that they make of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from orca_cool.errors import EditError
from orca_cool.genome.changes import Adjacency, Breakend, Change, Contig, Edit, as_edit
from orca_cool.genome.checks import breakend_problem, edit_problem
from orca_cool.genome.edited import EditedGenome, fingerprint
from orca_cool.genome.replacement import replacement, require_chrom, to_source
from orca_cool.genome.segments import Segment, merged, reverse_complement_segments
from orca_cool.genome.source import SequenceSource


def apply_edits(
    source: SequenceSource, changes: Sequence[Change] = (), name: str = ""
) -> EditedGenome:
    """Apply changes, which are all in the coordinates of the unchanged genome, to it together.

    Parameters
    ----------
    source : the genome. If it is edited already, the result is made of segments of its own source.
    changes : edits, adjacencies and whole chromosomes.
    name : of the new genome; default: the source's, with a fingerprint of the changed sequence.

    Raises
    ------
    EditError
        If changes overlap, lie outside their chromosomes, or leave nothing of one; the message
        quotes them.
    """
    whole = {c: (Segment(c, 0, n),) for c, n in source.chromsizes.items()}
    start = source if isinstance(source, EditedGenome) else EditedGenome(source, whole)
    contigs = Changes(start, changes).contigs()
    return EditedGenome(
        start.source, contigs, name or f"{start.source.name}.{fingerprint(contigs)}"
    )


def inverse(genome: EditedGenome, changes: Sequence[Edit]) -> list[Edit]:
    """Edits that undo ``changes``: applied to the genome that ``changes`` make of ``genome``, they
    give ``genome`` back.

    Raises
    ------
    EditError
        As :func:`apply_edits`; if the changes join chromosomes, or add or replace a whole one.
    """
    sorted_out = Changes(genome, changes)
    if sorted_out.joined or sorted_out.whole:
        raise EditError(
            "only edits within chromosomes have an inverse, not translocations and custom "
            "chromosomes; keep the genome"
        )
    out = []
    for chrom, edits in sorted_out.edits.items():
        shift = 0
        for edit in edits:
            size = sum(len(s) for s in replacement(genome, edit))
            old = tuple(genome.segments(chrom, edit.start, edit.end))
            a = edit.start + shift
            kind = "del" if not old else "ins" if not size else "sub"
            out.append(Edit(kind, chrom, a, a + size, sequence=old, of_source=True))
            shift += size - (edit.end - edit.start)
    return out


class Changes:
    """Changes sorted by what they do, and checked against the genome and each other.

    Attributes
    ----------
    edits : by chromosome, from left to right; adjacencies within a chromosome are among them.
    joined : breakend -> (the breakend that it is joined to, the sequence between them); every
        adjacency is there from both of its ends.
    whole : name -> segments of the source, of the chromosomes that are added or replaced.

    Raises
    ------
    EditError
        If a change does not fit the genome, or two contradict each other.
    """

    def __init__(self, genome: EditedGenome, changes: Sequence[Change]):
        self.genome = genome
        self.edits: dict[str, list[Edit]] = defaultdict(list)
        self.joined: dict[Breakend, tuple[Breakend, tuple[Segment, ...]]] = {}
        self.whole: dict[str, tuple[Segment, ...]] = {}
        adjacencies = [change for change in changes if isinstance(change, Adjacency)]
        cut = {
            end.chrom
            for adjacency in adjacencies
            if adjacency.first.chrom != adjacency.second.chrom
            for end in (adjacency.first, adjacency.second)
        }
        for change in changes:
            if isinstance(change, Contig):
                if change.name in self.whole:
                    raise EditError(f"chromosome {change.name!r} is given twice")
                if not change.segments:
                    raise EditError(f"chromosome {change.name!r} is given without a sequence")
                self.whole[change.name] = tuple(to_source(genome, change.segments, str(change)))
            elif not isinstance(change, Adjacency) or change.first.chrom not in cut:
                edit = as_edit(change) if isinstance(change, Adjacency) else change
                self._check(edit)
                self.edits[edit.chrom].append(edit)
        for chrom, edits in self.edits.items():
            edits.sort(key=lambda e: (e.start, e.end))
            for a, b in zip(edits, edits[1:]):
                if b.start < a.end:
                    raise EditError(
                        f"edits overlap: {str(a)!r} and {str(b)!r}; write one edit of the "
                        f"interval that holds both"
                    )
            if chrom in self.whole:
                raise EditError(f"{chrom!r} is both edited ({str(edits[0])!r}) and given whole")
        adjacencies = [adjacency for adjacency in adjacencies if adjacency.first.chrom in cut]
        for adjacency in adjacencies:
            self._join(adjacency)
        self._reciprocal(adjacencies)

    def _check(self, edit: Edit) -> None:
        require_chrom(self.genome, edit.chrom, edit)
        if problem := edit_problem(self.genome, edit):
            raise EditError(f"edit {str(edit)!r}{problem}")
        if not edit.of_source:
            to_source(self.genome, edit.sequence, str(edit))

    def _join(self, adjacency: Adjacency) -> None:
        if adjacency.first.chrom == adjacency.second.chrom:
            as_edit(adjacency)  # an error where both ends are at one place
        between = tuple(to_source(self.genome, adjacency.sequence, str(adjacency)))
        for a, b, sequence in (
            (adjacency.first, adjacency.second, between),
            (adjacency.second, adjacency.first, tuple(reverse_complement_segments(between))),
        ):
            require_chrom(self.genome, a.chrom, adjacency)
            if problem := breakend_problem(self.genome, a):
                raise EditError(f"breakend {a} of {str(adjacency)!r}{problem}")
            if a.chrom in self.whole:
                raise EditError(f"{a.chrom!r} is both joined ({str(adjacency)!r}) and given whole")
            for edit in self.edits.get(a.chrom, ()):
                if edit.start < a.position < edit.end:
                    raise EditError(
                        f"edits overlap: the cut of {str(adjacency)!r} lies inside {str(edit)!r}"
                    )
            if a in self.joined:
                raise EditError(f"breakend {a} is joined twice: to {self.joined[a][0]} and to {b}")
            self.joined[a] = (b, sequence)

    def _reciprocal(self, adjacencies: Sequence[Adjacency]) -> None:
        """Join to each other the two sides that an adjacency leaves over, unless other adjacencies
        use them (see :class:`Adjacency`).
        """
        leading = _leading(adjacencies)
        used_up = [_used_up(adjacency, leading) for adjacency in adjacencies]
        for adjacency, used in zip(adjacencies, used_up):
            a, b = adjacency.first.other, adjacency.second.other
            if not used and not {a, b} & self.joined.keys():
                self.joined[a], self.joined[b] = (b, ()), (a, ())

    def contigs(self) -> dict[str, list[Segment]]:
        """Segments of the source that make each new chromosome, in the order of the old ones."""
        sizes = self.genome.chromsizes
        derived = self._derived()
        out: dict[str, list[Segment]] = {}
        for chrom in [*sizes, *(name for name in self.whole if name not in sizes)]:
            name = chrom
            if chrom in self.whole:
                segments = list(self.whole[chrom])
            elif chrom in derived:
                if not derived[chrom]:  # nothing lay beyond a cut at a chromosome's very end
                    continue
                name, segments = self._named(chrom, derived)
            else:
                segments = self._between(chrom, 0, sizes[chrom])
            if not segments:
                raise EditError(
                    f"nothing is left of {chrom!r}: {'; '.join(map(str, self.edits[chrom]))}"
                )
            if name in out:
                raise EditError(
                    f"two chromosomes would be called {name!r}; give the custom one another name"
                )
            out[name] = segments
        return out

    def _named(self, chrom: str, derived: Mapping[str, list[Segment]]) -> tuple[str, list[Segment]]:
        """Name and segments of the derivative chromosome that takes the place of ``chrom``: "der_"
        and that name; one that is a whole chromosome of the source again has its old name.
        """
        one, *more = merged(derived[chrom])
        whole = Segment(one.chrom, 0, self.genome.source.chromsizes.get(one.chrom, -1))
        free = one.chrom in derived or one.chrom not in self.genome.chromsizes
        if free and not more and one in (whole, whole.reverse_complement()):
            return one.chrom, [whole]
        return f"der_{chrom}", derived[chrom]

    def _lies_in(self, edit: Edit, start: int, end: int) -> bool:
        """True if an edit lies in the fragment ``[start, end)``.

        An insertion at ``end`` belongs to the next fragment, if there is one.
        """
        last = start < end == self.genome.chromsizes[edit.chrom]
        return start <= edit.start and edit.end <= end and (edit.start < end or last)

    def _between(self, chrom: str, start: int, end: int) -> list[Segment]:
        """Segments of the source that make ``[start, end)`` with the edits that lie in it."""
        out: list[Segment] = []
        at = start
        for edit in self.edits.get(chrom, ()):
            if self._lies_in(edit, start, end):
                out += self.genome.segments(chrom, at, edit.start)
                out += replacement(self.genome, edit)
                at = edit.end
        return out + self.genome.segments(chrom, at, end)

    def _fragments(self, chrom: str) -> list[tuple[int, int]]:
        """What the cuts make of a chromosome, from left to right: from each joined right side to
        the next joined left side.

        Where the two sides of a cut are joined at different places, what lies between them is in no
        fragment, or in two.
        """
        size = self.genome.chromsizes[chrom]
        places = {
            side: sorted(b.position for b in self.joined if (b.chrom, b.side) == (chrom, side))
            for side in "+-"
        }
        loose = [
            str(b.other) for b in self.joined if b.chrom == chrom and b.other not in self.joined
        ]
        if len(places["+"]) != len(places["-"]):
            raise EditError(
                f"a side of a cut of {chrom} is joined to nothing ({', '.join(loose)}); join it too"
            )
        fragments = list(zip([0, *places["-"]], [*places["+"], size]))
        if any(start >= end for start, end in fragments[1:-1]):
            raise EditError(
                f"the adjacencies that leave {', '.join(loose)} over contradict each other, or "
                f"what others make of {chrom}"
            )
        for edit in self.edits.get(chrom, ()):
            if not any(self._lies_in(edit, *fragment) for fragment in fragments):
                raise EditError(
                    f"edit {str(edit)!r} changes what the adjacencies leave out of {chrom}"
                )
        return fragments

    def _derived(self) -> dict[str, list[Segment]]:
        """Segments of the derivative chromosomes (those that are empty too), each under the name of
        one of the chromosomes that it is made of.

        From each end of a chromosome a walk leads along its fragments, and from each joined side
        to the one that it is joined to, until it comes to an end of a chromosome.
        """
        fragments = {
            chrom: self._fragments(chrom)
            for chrom in self.genome.chromsizes
            if any(b.chrom == chrom for b in self.joined)
        }
        number: dict[Breakend, int] = {}  # of the fragment that a joined side belongs to
        for chrom, spans in fragments.items():
            number |= {Breakend(chrom, start, "-"): k for k, (start, _) in enumerate(spans) if k}
            number |= {Breakend(chrom, end, "+"): k for k, (_, end) in enumerate(spans[:-1])}
        made: dict[
            tuple[str, bool], list[Segment]
        ] = {}  # by both free ends: chromosome, True for the right end
        opposite: dict[tuple[str, bool], tuple[str, bool]] = {}
        used = 0
        for right in (False, True):  # left ends first: strands stay as they are
            for chrom in fragments:
                if (chrom, right) in made:
                    continue
                at, k, forward = chrom, len(fragments[chrom]) - 1 if right else 0, not right
                out: list[Segment] = []
                while True:
                    used += 1
                    start, end = fragments[at][k]
                    part = self._between(at, start, end)
                    out += part if forward else reverse_complement_segments(part)
                    if k == (len(fragments[at]) - 1 if forward else 0):
                        break
                    there, sequence = self.joined[
                        Breakend(at, end, "+") if forward else Breakend(at, start, "-")
                    ]
                    out += sequence
                    at, k, forward = there.chrom, number[there], there.side == "-"
                made[chrom, right] = made[at, forward] = out
                opposite[chrom, right], opposite[at, forward] = (at, forward), (chrom, right)
        if used < sum(map(len, fragments.values())):
            raise EditError(
                "the adjacencies run in a circle; circular chromosomes are not predicted"
            )
        # Each chromosome has two free ends, and so has each derivative: going from end to end, each
        # finds a chromosome of its own.
        found: dict[str, list[Segment]] = {}
        for chrom in fragments:
            free = (chrom, not made[chrom, False])  # the end that has something
            while free[0] not in found:
                found[free[0]] = made[free]
                at, right = opposite[free]
                free = (at, not right)
        return {chrom: found[chrom] for chrom in fragments}


#: A chromosome and the side of its cut that is left over.
_Place = tuple[str, str]


def _leading(
    adjacencies: Sequence[Adjacency],
) -> dict[_Place, dict[_Place, list[tuple[int, Adjacency]]]]:
    """For each end of adjacencies, where they lead from there, and by which of them, with their
    numbers.
    """
    out: dict[_Place, dict[_Place, list[tuple[int, Adjacency]]]] = defaultdict(dict)
    for k, adjacency in enumerate(adjacencies):
        ends = (adjacency.first, adjacency.second)
        for n, (near, far) in enumerate((ends, ends[::-1])):
            there = (far.chrom, far.other.side)
            by = out[near.chrom, near.side].setdefault(there, [])
            by.append((2 * k + n, adjacency))
    return out


def _used_up(
    adjacency: Adjacency, leading: Mapping[_Place, Mapping[_Place, list[tuple[int, Adjacency]]]]
) -> bool:
    """True if other adjacencies use the two sides that this one leaves over.

    That is so if a path over adjacencies, each taken once and at whatever places, leads from the
    side that is left over of the second chromosome to that of the first. The two adjacencies that
    cut a piece out of a chromosome and insert it elsewhere form such a path: the ends of the
    piece are not joined into a circle. ``leading``: see :func:`_leading`.
    """
    goal = (adjacency.first.chrom, adjacency.first.side)
    ways: list[tuple[_Place, tuple[Adjacency, ...]]] = [
        ((adjacency.second.chrom, adjacency.second.other.side), (adjacency,))
    ]
    reached = {ways[0][0]}
    for at, path in ways:
        steps = []
        for there, by in leading.get(at, {}).items():
            if there not in reached:
                # the path is short, so that one of the first is not on it
                taken = next(((k, other) for k, other in by if other not in path), None)
                steps += [] if taken is None else [(taken[0], there, taken[1])]
        for _, there, other in sorted(steps, key=lambda step: step[0]):
            reached.add(there)
            ways.append((there, (*path, other)))
    return goal in reached
