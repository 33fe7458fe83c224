"""Edited genomes: every chromosome is a list of segments, and the whole is again a ``SequenceSource``.

Deletion, duplication, inversion, insertion and substitution replace an interval by segments (:class:`Edit`); translocations and
fusions join two cut ends (:class:`Join`); a chromosome may also be given whole (:class:`Contig`). Edits that are applied together are
all in the coordinates of the genome that they are applied to. An :class:`EditedGenome` keeps, for every chromosome of its own, the
segments of its source, so it knows where each base came from and where each went (to no place, one, or many).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from orca_cool.errors import EditError, GenomeError, RegionError
from orca_cool.genome import GAP, SequenceSource, encode, length_of, reverse_complement

KINDS = ("del", "dup", "inv", "ins", "sub")

_OTHER = {"+": "-", "-": "+"}


@dataclass(frozen=True)
class Segment:
    """``chrom[start:end]`` (0-based, end-exclusive) on ``strand`` "+" or "-"; what lies outside the chromosome is N.

    With ``literal`` it is a piece of given letters (ASCII, ACGTN) instead, and ``chrom`` is "". Without either it is all N.
    """

    chrom: str
    start: int
    end: int
    strand: str = "+"
    literal: bytes | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        if self.chrom:
            return f"{self.chrom}:{self.start:,}-{self.end:,}({self.strand})"
        return f"{self.end - self.start:,} bp of {'N' if self.literal is None else 'given sequence'}"

    @staticmethod
    def letters(text: str | bytes) -> Segment:
        """A segment of given letters, either case.

        Raises
        ------
        EditError
            If it is empty or holds anything but A, C, G, T and N.
        """
        data = (text.encode("latin-1", "replace") if isinstance(text, str) else text).upper()
        if not data:
            raise EditError("a given sequence is empty")
        if wrong := data.translate(None, b"ACGTN"):
            place = data.index(wrong[:1])
            raise EditError(
                f"the given sequence {_short(data)} holds {chr(wrong[0])!r} at letter {place + 1}; only A, C, G, T and N are sequence"
            )
        return Segment("", 0, len(data), "+", data)

    def reversed(self) -> Segment:
        return replace(self, strand=_OTHER[self.strand])

    def part(self, first: int, last: int) -> Segment:
        """Its bases ``[first, last)``, counted along it."""
        if self.strand == "+":
            return replace(self, start=self.start + first, end=self.start + last)
        return replace(self, start=self.end - last, end=self.end - first)

    def fetch(self, source: SequenceSource) -> np.ndarray:
        """uint8 codes, (len,)."""
        if self.literal is not None:
            codes = encode(self.literal[self.start : self.end])
        elif not self.chrom:
            return np.full(len(self), GAP, dtype=np.uint8)
        else:
            codes = source.fetch(self.chrom, self.start, self.end)
        return codes if self.strand == "+" else reverse_complement(codes)

    @property
    def unknown(self) -> bool:
        """True if it is all N."""
        return not self.chrom and self.literal is None

    def goes_on(self, other: Segment) -> bool:
        """True if ``other`` is what follows in the same sequence."""
        if self.unknown:
            return other.unknown
        same = (self.chrom, self.strand) == (other.chrom, other.strand) and self.literal is other.literal
        return same and (self.end == other.start if self.strand == "+" else self.start == other.end)


def merged(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The same sequence in as few segments as possible; N has neither place nor strand."""
    out: list[Segment] = []
    for s in segments:
        if not len(s):
            continue
        if out and out[-1].goes_on(s):
            a = out.pop()
            s = Segment("", 0, len(a) + len(s)) if a.unknown else replace(a, start=min(a.start, s.start), end=max(a.end, s.end))
        out.append(Segment("", 0, len(s)) if s.unknown else s)
    return tuple(out)


@dataclass(frozen=True)
class Edit:
    """A change of ``chrom[start:end)``.

    Attributes
    ----------
    kind : "del"; "dup": ``copies`` in all, one after the other, those after the first ``inverted`` if so; "inv"; "ins": ``sequence``
        before base ``start`` (= ``end``); "sub": ``sequence`` in place of the interval.
    sequence : segments of the genome that is edited (or letters).
    of_source : ``sequence`` is of that genome's own source instead; see :meth:`EditedGenome.inverse`.
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
        extra = {"sub": f" {_sequence_text(self.sequence)}", "dup": f" x{self.copies}" * (self.copies != 2) + " inv" * self.inverted}
        return f"{self.chrom}:{self.start:,}-{self.end:,} {self.kind}{extra.get(self.kind, '')}"


@dataclass(frozen=True)
class Breakend:
    """One side of a cut of ``chrom`` before base ``position``: "+" is what lies to the left of the cut, "-" to the right.

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
        if self.side not in _OTHER:
            raise EditError(f"breakend {str(self)!r} has the side {self.side!r}; it is + (left of the cut) or - (right of it)")

    def __str__(self) -> str:
        return f"{self.chrom}:{self.position:,}({self.side})"

    @property
    def other(self) -> Breakend:
        return Breakend(self.chrom, self.position, _OTHER[self.side])


@dataclass(frozen=True)
class Join:
    """Two breakends joined, with ``sequence`` between them.

    Read from the first to the second: the first's side up to its cut, the sequence, the second's side away from its cut.

    The sides that a translocation or an inversion leaves over are joined too, unless other joins use them up: those at the same
    places, or those that lead from the one chromosome back to the other (a second join of the same chromosomes the other way round; a
    three-way translocation). What lies between the cuts of such joins is lost, or is there twice.

    Between two places of one chromosome it is an edit (:func:`within`), unless joins to other chromosomes cut that chromosome too.
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


Change = Edit | Join | Contig


@dataclass(frozen=True)
class Image:
    """``[start, end)`` of a contig is ``ref_start .. ref_end`` of a chromosome of the source, on ``strand``."""

    contig: str
    start: int
    end: int
    ref_start: int
    ref_end: int
    strand: str


class EditedGenome:
    """Chromosomes made of segments of a source; itself a :class:`~orca_cool.genome.SequenceSource`.

    Parameters
    ----------
    source : the genome that segments refer to.
    contigs : {name: segments in order}.
    name : for messages and provenance.

    Attributes
    ----------
    contigs : {name: segments}, in as few segments as possible.
    chromsizes : {name: bp}.

    Raises
    ------
    GenomeError, EditError
        If a segment is empty, reversed, or of an unknown chromosome; if a contig has no sequence.
    """

    def __init__(self, source: SequenceSource, contigs: Mapping[str, Sequence[Segment]], name: str = ""):
        for contig, segments in contigs.items():
            for segment in segments:
                if segment.end <= segment.start or segment.strand not in _OTHER:
                    raise GenomeError(f"segment {segment} of {contig!r} is empty, reversed or has no strand")
                if segment.chrom:
                    length_of(source, segment.chrom)
                elif segment.literal is not None and not 0 <= segment.start < segment.end <= len(segment.literal):
                    raise GenomeError(f"segment {segment} of {contig!r} lies outside its {len(segment.literal):,} letters")
            if not segments:
                raise EditError(f"nothing is left of {contig!r}: a chromosome cannot be empty")
        self.source = source
        self.name = name or source.name
        self.contigs = {contig: merged(segments) for contig, segments in contigs.items()}
        self._ends = {contig: np.cumsum([len(s) for s in segments]) for contig, segments in self.contigs.items()}
        self.chromsizes = {contig: int(ends[-1]) for contig, ends in self._ends.items()}

    @classmethod
    def of(cls, source: SequenceSource, changes: Sequence[Change] = (), name: str = "") -> EditedGenome:
        """A genome with changes, all in its coordinates. Its source is the genome, or the genome's own where that is edited already.

        Raises
        ------
        EditError
            If changes overlap, lie outside their chromosomes, or leave nothing of one; the message quotes them.
        """
        start = source if isinstance(source, EditedGenome) else cls(source, {c: (Segment(c, 0, n),) for c, n in source.chromsizes.items()})
        contigs = _Changes(start, changes).contigs()
        return cls(start.source, contigs, name or f"{start.source.name}.{fingerprint(contigs)}")

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """uint8 codes of ``[start, end)``; positions outside the chromosome are N (4)."""
        length = length_of(self, chrom)
        if end < start:
            raise RegionError(f"{chrom}:{start:,}-{end:,} is reversed: its end lies before its start")
        out = np.full(end - start, GAP, dtype=np.uint8)
        at = max(start, 0)
        for s in self.pieces(chrom, at, min(end, length)):
            out[at - start : at - start + len(s)] = s.fetch(self.source)
            at += len(s)
        return out

    def overhanging(self, chrom: str, start: int, end: int) -> list[Segment]:
        """As :meth:`pieces`, with N for what lies outside the chromosome: they are ``end - start`` long.

        A segment at the end of its own chromosome goes on there, since what lies beyond is N too.
        """
        length = length_of(self, chrom)
        out = self.pieces(chrom, start, end)
        left, right = max(min(end, 0) - start, 0), max(end - max(start, length), 0)
        sizes = self.source.chromsizes
        if left and out and out[0].chrom and (out[0].start == 0 if out[0].strand == "+" else out[0].end == sizes[out[0].chrom]):
            out[0], left = out[0].part(-left, len(out[0])), 0
        if right and out and out[-1].chrom and (out[-1].end == sizes[out[-1].chrom] if out[-1].strand == "+" else out[-1].start == 0):
            out[-1], right = out[-1].part(0, len(out[-1]) + right), 0
        return [*[Segment("", 0, left)] * (left > 0), *out, *[Segment("", 0, right)] * (right > 0)]

    def flat(self, segments: Sequence[Segment]) -> list[Segment]:
        """Segments of this genome, which may overhang their chromosomes, as segments of its source."""
        out: list[Segment] = []
        for s in segments:
            if s.chrom:
                pieces = self.overhanging(s.chrom, s.start, s.end)
                out += pieces if s.strand == "+" else _turned(pieces)
            else:
                out.append(s)
        return out

    def pieces(self, chrom: str, start: int, end: int) -> list[Segment]:
        """Segments of the source that make ``[start, end)``, which is cut at the chromosome's ends."""
        length = length_of(self, chrom)
        start, end = max(start, 0), min(end, length)
        out: list[Segment] = []
        if start >= end:
            return out
        ends, segments = self._ends[chrom], self.contigs[chrom]
        k = int(np.searchsorted(ends, start, side="right"))
        while start < end:
            first = int(ends[k]) - len(segments[k])
            stop = min(end, int(ends[k]))
            out.append(segments[k].part(start - first, stop - first))
            start, k = stop, k + 1
        return out

    def junctions(self, chrom: str) -> list[int]:
        """Positions in bp where one segment ends and the next begins."""
        length_of(self, chrom)
        return [int(e) for e in self._ends[chrom][:-1]]

    @property
    def edited(self) -> list[str]:
        """Names of the contigs that are not whole chromosomes of the source under their own names."""
        sizes = self.source.chromsizes
        return [c for c, segments in self.contigs.items() if segments != (Segment(c, 0, sizes.get(c, -1)),)]

    def to_reference(self, chrom: str, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where bases came from.

        Parameters
        ----------
        positions : (k,) bp on ``chrom``.

        Returns
        -------
        chromosomes : (k,) their numbers in the order of ``source.chromsizes``; -1 for given sequence, N, or outside the chromosome.
        positions : (k,) bp there, -1 where there is none.
        strands : (k,) 1, -1, or 0 where there is none.
        """
        positions = np.asarray(positions, dtype=np.int64)
        length = length_of(self, chrom)
        number = {c: i for i, c in enumerate(self.source.chromsizes)}
        sizes = np.array(list(self.source.chromsizes.values()))
        segments, ends = self.contigs[chrom], self._ends[chrom]
        inside = (positions >= 0) & (positions < length)
        k = np.minimum(np.searchsorted(ends, positions, side="right"), len(segments) - 1)
        offset = positions - (ends[k] - np.array([len(s) for s in segments])[k])
        forward = np.array([s.strand == "+" for s in segments])[k]
        place = np.where(forward, np.array([s.start for s in segments])[k] + offset, np.array([s.end for s in segments])[k] - 1 - offset)
        chroms = np.where(inside, np.array([number.get(s.chrom, -1) for s in segments])[k], -1)
        known = (chroms >= 0) & (place >= 0) & (place < sizes[chroms])
        return np.where(known, chroms, -1), np.where(known, place, -1), np.where(known, np.where(forward, 1, -1), 0)

    def from_reference(self, chrom: str, start: int, end: int) -> list[Image]:
        """Where an interval of the source went: to no place, one, or many; in the order of the contigs."""
        start, end = max(start, 0), min(end, length_of(self.source, chrom))
        out = []
        for contig, segments in self.contigs.items():
            offset = 0
            for s in segments:
                a, b = max(s.start, start), min(s.end, end)
                if s.chrom == chrom and a < b:
                    first = offset + (a - s.start if s.strand == "+" else s.end - b)
                    out.append(Image(contig, first, first + b - a, a, b, s.strand))
                offset += len(s)
        return out

    def inverse(self, changes: Sequence[Edit]) -> list[Edit]:
        """Edits of the genome that ``changes`` make of this one, which give this one back.

        Raises
        ------
        EditError
            As :meth:`of`; if they join chromosomes or give one whole.
        """
        sorted_out = _Changes(self, changes)
        if sorted_out.joined or sorted_out.given:
            raise EditError("only edits within chromosomes have an inverse, not translocations and custom chromosomes; keep the genome")
        out = []
        for chrom, edits in sorted_out.edits.items():
            shift = 0
            for edit in edits:
                size = sum(len(s) for s in _replacement(self, edit))
                old = tuple(self.pieces(chrom, edit.start, edit.end))
                a = edit.start + shift
                kind = "del" if not old else "ins" if not size else "sub"
                out.append(Edit(kind, chrom, a, a + size, sequence=old, of_source=True))
                shift += size - (edit.end - edit.start)
        return out

    def __repr__(self) -> str:
        return f"EditedGenome({self.name!r}, {len(self.contigs)} sequences, edited: {', '.join(self.edited[:5]) or 'none'})"


def fingerprint(contigs: Mapping[str, Sequence[Segment]]) -> str:
    """Eight hexadecimal digits that tell lists of segments apart."""
    digest = hashlib.sha256()
    for contig, segments in contigs.items():
        digest.update(f"\n{contig}\n".encode())
        for s in merged(segments):
            digest.update(f"{s.chrom}:{s.start}-{s.end}{s.strand}".encode() + (s.literal or b"") + b"\n")
    return digest.hexdigest()[:8]


class _Changes:
    """Changes sorted out: edits by chromosome, joined breakends, contigs."""

    def __init__(self, genome: EditedGenome, changes: Sequence[Change]):
        self.genome = genome
        self.edits: dict[str, list[Edit]] = defaultdict(list)
        self.joined: dict[Breakend, tuple[Breakend, tuple[Segment, ...]]] = {}
        self.given: dict[str, tuple[Segment, ...]] = {}
        joins = [change for change in changes if isinstance(change, Join)]
        cut = {end.chrom for join in joins if join.first.chrom != join.second.chrom for end in (join.first, join.second)}
        for change in changes:
            if isinstance(change, Contig):
                if change.name in self.given:
                    raise EditError(f"chromosome {change.name!r} is given twice")
                if not change.segments:
                    raise EditError(f"chromosome {change.name!r} is given without a sequence")
                self.given[change.name] = tuple(_flat(genome, change.segments, str(change)))
            elif not isinstance(change, Join) or change.first.chrom not in cut:
                edit = within(change) if isinstance(change, Join) else change
                self._check(edit)
                self.edits[edit.chrom].append(edit)
        for chrom, edits in self.edits.items():
            edits.sort(key=lambda e: (e.start, e.end))
            for a, b in zip(edits, edits[1:]):
                if b.start < a.end:
                    raise EditError(f"edits overlap: {str(a)!r} and {str(b)!r}; write one edit of the interval that holds both")
            if chrom in self.given:
                raise EditError(f"{chrom!r} is both edited ({str(edits[0])!r}) and given whole")
        joins = [join for join in joins if join.first.chrom in cut]
        for join in joins:
            self._join(join)
        self._reciprocal(joins)

    def _check(self, edit: Edit) -> None:
        length = _length(self.genome, edit.chrom, edit)
        if edit.kind not in KINDS:
            raise EditError(f"edit kind {edit.kind!r} is not one of {', '.join(KINDS)}")
        if edit.end < edit.start:
            raise EditError(f"edit {str(edit)!r} is reversed: its end {edit.end:,} lies before its start {edit.start:,}")
        if edit.start < 0 or edit.end > length:
            raise EditError(f"edit {str(edit)!r} lies outside {edit.chrom}, which is {length:,} bp long")
        if (edit.kind == "ins") != (edit.start == edit.end):
            raise EditError(
                f"edit {str(edit)!r} has an empty interval; only an insertion is at a place between bases"
                if edit.start == edit.end
                else f"edit {str(edit)!r}: an insertion is at a place, not at an interval; to replace an interval use sub"
            )
        if edit.kind in ("ins", "sub") and not edit.sequence:
            raise EditError(f"edit {str(edit)!r} has no sequence")
        if not edit.of_source:
            _flat(self.genome, edit.sequence, str(edit))
        if edit.kind == "dup" and edit.copies < 2:
            raise EditError(f"edit {str(edit)!r}: a duplication has at least 2 copies, not {edit.copies}")

    def _join(self, join: Join) -> None:
        if join.first.chrom == join.second.chrom:
            within(join)
        between = tuple(_flat(self.genome, join.sequence, str(join)))
        for a, b, sequence in ((join.first, join.second, between), (join.second, join.first, tuple(_turned(between)))):
            length = _length(self.genome, a.chrom, join)
            if not 0 <= a.position <= length:
                raise EditError(f"breakend {a} of {str(join)!r} lies outside {a.chrom}, which is {length:,} bp long")
            if a.chrom in self.given:
                raise EditError(f"{a.chrom!r} is both joined ({str(join)!r}) and given whole")
            for edit in self.edits.get(a.chrom, ()):
                if edit.start < a.position < edit.end:
                    raise EditError(f"edits overlap: the cut of {str(join)!r} lies inside {str(edit)!r}")
            if a in self.joined:
                raise EditError(f"breakend {a} is joined twice: to {self.joined[a][0]} and to {b}")
            self.joined[a] = (b, sequence)

    def _reciprocal(self, joins: Sequence[Join]) -> None:
        """Join the sides that translocations and inversions leave over, unless other joins use them up."""
        used_up = [_used_up(join, joins) for join in joins]
        for join, used in zip(joins, used_up):
            a, b = join.first.other, join.second.other
            if not used and not {a, b} & self.joined.keys():
                self.joined[a], self.joined[b] = (b, ()), (a, ())

    def contigs(self) -> dict[str, list[Segment]]:
        """Segments of the source, by contig, in the order of the chromosomes."""
        sizes = self.genome.chromsizes
        derived = self._derived()
        out: dict[str, list[Segment]] = {}
        for chrom in [*sizes, *(name for name in self.given if name not in sizes)]:
            name = chrom
            if chrom in self.given:
                segments = list(self.given[chrom])
            elif chrom in derived:
                if not derived[chrom]:  # nothing lay beyond a cut at a chromosome's very end
                    continue
                name, segments = self._named(chrom, derived)
            else:
                segments = self._between(chrom, 0, sizes[chrom])
            if not segments:
                raise EditError(f"nothing is left of {chrom!r}: {'; '.join(map(str, self.edits[chrom]))}")
            if name in out:
                raise EditError(f"two chromosomes would be called {name!r}; give the custom one another name")
            out[name] = segments
        return out

    def _named(self, chrom: str, derived: Mapping[str, list[Segment]]) -> tuple[str, list[Segment]]:
        """A derivative chromosome is called "der_" and one of those that it is made of; one that is whole again has its old name."""
        one, *more = merged(derived[chrom])
        whole = Segment(one.chrom, 0, self.genome.source.chromsizes.get(one.chrom, -1))
        free = one.chrom in derived or one.chrom not in self.genome.chromsizes
        if free and not more and one in (whole, whole.reversed()):
            return one.chrom, [whole]
        return f"der_{chrom}", derived[chrom]

    def _lies_in(self, edit: Edit, start: int, end: int) -> bool:
        """An insertion at ``end`` belongs to what follows, if anything does."""
        last = start < end == self.genome.chromsizes[edit.chrom]
        return start <= edit.start and edit.end <= end and (edit.start < end or last)

    def _between(self, chrom: str, start: int, end: int) -> list[Segment]:
        """Segments of ``[start, end)`` with its edits."""
        out: list[Segment] = []
        at = start
        for edit in self.edits.get(chrom, ()):
            if self._lies_in(edit, start, end):
                out += self.genome.pieces(chrom, at, edit.start)
                out += _replacement(self.genome, edit)
                at = edit.end
        return out + self.genome.pieces(chrom, at, end)

    def _fragments(self, chrom: str) -> list[tuple[int, int]]:
        """What the cuts make of a chromosome, from left to right: from each joined right side to the next joined left side.

        Where the two sides of a cut are joined at different places, what lies between them is in no fragment, or in two.
        """
        size = self.genome.chromsizes[chrom]
        places = {side: sorted(b.position for b in self.joined if (b.chrom, b.side) == (chrom, side)) for side in "+-"}
        loose = [str(b.other) for b in self.joined if b.chrom == chrom and b.other not in self.joined]
        if len(places["+"]) != len(places["-"]):
            raise EditError(f"a side of a cut of {chrom} is joined to nothing ({', '.join(loose)}); join it too")
        fragments = list(zip([0, *places["-"]], [*places["+"], size]))
        if any(start >= end for start, end in fragments[1:-1]):
            raise EditError(f"the joins that leave {', '.join(loose)} over contradict each other, or what others make of {chrom}")
        for edit in self.edits.get(chrom, ()):
            if not any(self._lies_in(edit, *fragment) for fragment in fragments):
                raise EditError(f"edit {str(edit)!r} changes what the joins leave out of {chrom}")
        return fragments

    def _derived(self) -> dict[str, list[Segment]]:
        """Derivative chromosomes, in the place of one each of the chromosomes that they are made of; those that are empty too.

        A walk leads from each free end along the fragment, and over each joined side to the one that it is joined to.
        """
        fragments = {chrom: self._fragments(chrom) for chrom in self.genome.chromsizes if any(b.chrom == chrom for b in self.joined)}
        number: dict[Breakend, int] = {}  # of the fragment that a joined side belongs to
        for chrom, pieces in fragments.items():
            number |= {Breakend(chrom, start, "-"): k for k, (start, _) in enumerate(pieces) if k}
            number |= {Breakend(chrom, end, "+"): k for k, (_, end) in enumerate(pieces[:-1])}
        made: dict[tuple[str, bool], list[Segment]] = {}  # by both free ends: chromosome, True for the right end
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
                    piece = self._between(at, start, end)
                    out += piece if forward else _turned(piece)
                    if k == (len(fragments[at]) - 1 if forward else 0):
                        break
                    there, sequence = self.joined[Breakend(at, end, "+") if forward else Breakend(at, start, "-")]
                    out += sequence
                    at, k, forward = there.chrom, number[there], there.side == "-"
                made[chrom, right] = made[at, forward] = out
                opposite[chrom, right], opposite[at, forward] = (at, forward), (chrom, right)
        if used < sum(map(len, fragments.values())):
            raise EditError("the joins run in a circle; circular chromosomes are not predicted")
        # Each chromosome has two free ends, and so has each derivative: going from end to end, each finds a chromosome of its own.
        found: dict[str, list[Segment]] = {}
        for chrom in fragments:
            free = (chrom, not made[chrom, False])  # the end that has something
            while free[0] not in found:
                found[free[0]] = made[free]
                at, right = opposite[free]
                free = (at, not right)
        return {chrom: found[chrom] for chrom in fragments}


def _used_up(join: Join, joins: Sequence[Join]) -> bool:
    """True if joins, each once, lead from the side that is left over of the second chromosome to that of the first, at any places.

    Those of a deletion or duplication within a chromosome are one that leads to the other: what is cut out is not closed up.
    """
    goal = (join.first.chrom, join.first.side)
    ways: list[tuple[tuple[str, str], tuple[Join, ...]]] = [((join.second.chrom, join.second.other.side), (join,))]
    reached = {ways[0][0]}
    for at, path in ways:
        for other in joins:
            for near, far in ((other.first, other.second), (other.second, other.first)):
                there = (far.chrom, far.other.side)
                if (near.chrom, near.side) == at and there not in reached and other not in path:
                    reached.add(there)
                    ways.append((there, (*path, other)))
    return goal in reached


def within(join: Join) -> Edit:
    """A join of two places of one chromosome as the edit that it stands for.

    Left to right: a deletion; right to left: a tandem duplication; left to left or right to right: an inversion.
    """
    a, b = sorted((join.first, join.second), key=lambda e: (e.position, e.side))
    turned = a != join.first
    between = tuple(_turned(join.sequence)) if turned else join.sequence
    if a.position == b.position and (a.side, b.side) != ("+", "-"):
        raise EditError(f"the join {str(join)!r} has both ends at one place")
    old = Segment(a.chrom, a.position, b.position)
    if (a.side, b.side) == ("+", "-"):
        if a.position == b.position:
            return Edit("ins", a.chrom, a.position, b.position, sequence=between)
        return Edit("sub" if between else "del", a.chrom, a.position, b.position, sequence=between)
    if (a.side, b.side) == ("-", "+"):
        # from the second's left side, over what lies between, to the first's right side
        sequence = (old, *_turned(between), old) if between else ()
        return Edit("sub" if between else "dup", a.chrom, a.position, b.position, sequence=sequence)
    if not between:
        return Edit("inv", a.chrom, a.position, b.position)
    sequence = (*between, old.reversed()) if a.side == "+" else (old.reversed(), *between)
    return Edit("sub", a.chrom, a.position, b.position, sequence=sequence)


def _replacement(genome: EditedGenome, edit: Edit) -> list[Segment]:
    """Segments of the genome's source that take the interval's place."""
    old = genome.pieces(edit.chrom, edit.start, edit.end)
    if edit.kind == "del":
        return []
    if edit.kind == "inv":
        return _turned(old)
    if edit.kind == "dup":
        return old + (_turned(old) if edit.inverted else old) * (edit.copies - 1)
    if edit.of_source:
        return list(edit.sequence)
    new = _flat(genome, edit.sequence, str(edit))
    return _trimmed(genome, edit, new[0]) if edit.kind == "sub" and len(new) == 1 and new[0].literal is not None else new


def _trimmed(genome: EditedGenome, edit: Edit, new: Segment) -> list[Segment]:
    """Given letters without what they have in common with the interval at both ends: that stays the genome's own."""
    chrom, start, end = edit.chrom, edit.start, edit.end
    letters = new.fetch(genome)
    shorter = min(end - start, len(new))  # no more of the interval is read: it may be most of a chromosome
    head = _alike(genome.fetch(chrom, start, start + shorter), letters[:shorter])
    rest = shorter - head
    tail = _alike(genome.fetch(chrom, end - rest, end)[::-1], letters[len(new) - rest :][::-1])
    core = [new.part(head, len(new) - tail)] if head + tail < len(new) else []
    return [*genome.pieces(chrom, start, start + head), *core, *genome.pieces(chrom, end - tail, end)]


def _alike(a: np.ndarray, b: np.ndarray) -> int:
    """How many of the first codes are the same."""
    differ = np.flatnonzero(a != b)
    return int(differ[0]) if len(differ) else len(a)


def _flat(genome: EditedGenome, segments: Sequence[Segment], what: str) -> list[Segment]:
    """Segments of an edited genome as segments of its source."""
    for s in segments:
        length = _length(genome, s.chrom, what) if s.chrom else s.end if s.literal is None else len(s.literal)
        if not 0 <= s.start < s.end <= length or s.strand not in _OTHER:
            where = f"{s.chrom}, which is {length:,} bp long" if s.chrom else "its letters"
            raise EditError(f"{s} of {what!r} is empty, reversed, has no strand, or lies outside {where}")
    return genome.flat(segments)


def _turned(segments: Sequence[Segment]) -> list[Segment]:
    return [s.reversed() for s in reversed(segments)]


def _length(genome: EditedGenome, chrom: str, what: object) -> int:
    try:
        return length_of(genome, chrom)
    except GenomeError as error:
        raise EditError(f"{str(what)!r}: {error}") from None


def _sequence_text(segments: Sequence[Segment]) -> str:
    def one(s: Segment) -> str:
        if s.literal is not None:
            text = s.literal[s.start : s.end].decode("ascii")
            return _short(text) + ("" if s.strand == "+" else "(-)")
        return f"{s.end - s.start}N" if not s.chrom else str(s)

    return ",".join(map(one, segments))


def _short(text: str | bytes) -> str:
    text = text if isinstance(text, str) else text.decode("latin-1")
    return text if len(text) <= 30 else f"{text[:20]}... ({len(text):,} bp)"
