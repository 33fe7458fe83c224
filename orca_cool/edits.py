"""Edited genomes: every chromosome is a list of segments, and the whole is again a
``SequenceSource``.

Deletion, duplication, inversion, insertion and substitution replace an interval by segments
(:class:`Edit`); translocations and fusions join two cut ends (:class:`Join`); a chromosome may also
be given whole (:class:`Contig`). Edits that are applied together are all in the coordinates of the
genome that they are applied to. An :class:`EditedGenome` keeps, for every chromosome of its own,
the segments of its source, so it knows where each base came from and where each went (to no place,
one, or many).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from orca_cool.errors import EditError, GenomeError, RegionError
from orca_cool.genome import GAP, SequenceSource, encode, length_of, reverse_complement

KINDS = ("del", "dup", "inv", "ins", "sub")

OTHER = {"+": "-", "-": "+"}


@dataclass(frozen=True)
class Segment:
    """``chrom[start:end]`` (0-based, end-exclusive) on ``strand`` "+" or "-"; what lies outside the
    chromosome is N.

    With ``literal`` it is a piece of given letters (ASCII, ACGTN) instead, and ``chrom`` is "".
    Without either it is all N.
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
        return (
            f"{self.end - self.start:,} bp of {'N' if self.literal is None else 'given sequence'}"
        )

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
                f"the given sequence {_short(data)} holds {chr(wrong[0])!r} at letter "
                f"{place + 1}; only A, C, G, T and N are sequence"
            )
        return Segment("", 0, len(data), "+", data)

    def reversed(self) -> Segment:
        return replace(self, strand=OTHER[self.strand])

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
        same = (self.chrom, self.strand) == (
            other.chrom,
            other.strand,
        ) and self.literal is other.literal
        return same and (self.end == other.start if self.strand == "+" else self.start == other.end)


def merged(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The same sequence in as few segments as possible; N has neither place nor strand."""
    out: list[Segment] = []
    for s in segments:
        if not len(s):
            continue
        if out and out[-1].goes_on(s):
            a = out.pop()
            s = (
                Segment("", 0, len(a) + len(s))
                if a.unknown
                else replace(a, start=min(a.start, s.start), end=max(a.end, s.end))
            )
        out.append(Segment("", 0, len(s)) if s.unknown else s)
    return tuple(out)


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
        :func:`orca_cool.rearrange.inverse`.
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
class Join:
    """Two breakends joined, with ``sequence`` between them.

    Read from the first to the second: the first's side up to its cut, the sequence, the second's
    side away from its cut.

    The sides that a translocation or an inversion leaves over are joined too, unless other joins
    use them up: those at the same places, or those that lead from the one chromosome back to the
    other (a second join of the same chromosomes the other way round; a three-way translocation).
    What lies between the cuts of such joins is lost, or is there twice.

    Between two places of one chromosome it is an edit (:func:`within`), unless joins to other
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


Change = Edit | Join | Contig


@dataclass(frozen=True)
class Image:
    """``[start, end)`` of a contig is ``ref_start .. ref_end`` of a chromosome of the source, on
    ``strand``.
    """

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

    def __init__(
        self, source: SequenceSource, contigs: Mapping[str, Sequence[Segment]], name: str = ""
    ):
        for contig, segments in contigs.items():
            for segment in segments:
                if segment.end <= segment.start or segment.strand not in OTHER:
                    raise GenomeError(
                        f"segment {segment} of {contig!r} is empty, reversed or has no strand"
                    )
                if segment.chrom:
                    length_of(source, segment.chrom)
                elif segment.literal is not None and not 0 <= segment.start < segment.end <= len(
                    segment.literal
                ):
                    raise GenomeError(
                        f"segment {segment} of {contig!r} lies outside its "
                        f"{len(segment.literal):,} letters"
                    )
            if not segments:
                raise EditError(f"nothing is left of {contig!r}: a chromosome cannot be empty")
        self.source = source
        self.name = name or source.name
        self.contigs = {contig: merged(segments) for contig, segments in contigs.items()}
        self._ends = {
            contig: np.cumsum([len(s) for s in segments])
            for contig, segments in self.contigs.items()
        }
        self.chromsizes = {contig: int(ends[-1]) for contig, ends in self._ends.items()}

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """uint8 codes of ``[start, end)``; positions outside the chromosome are N (4)."""
        length = length_of(self, chrom)
        if end < start:
            raise RegionError(
                f"{chrom}:{start:,}-{end:,} is reversed: its end lies before its start"
            )
        out = np.full(end - start, GAP, dtype=np.uint8)
        at = max(start, 0)
        for s in self.pieces(chrom, at, min(end, length)):
            out[at - start : at - start + len(s)] = s.fetch(self.source)
            at += len(s)
        return out

    def overhanging(self, chrom: str, start: int, end: int) -> list[Segment]:
        """As :meth:`pieces`, with N for what lies outside the chromosome: they are ``end - start``
        long.

        A segment at the end of its own chromosome goes on there, since what lies beyond is N too.
        """
        length = length_of(self, chrom)
        out = self.pieces(chrom, start, end)
        left, right = max(min(end, 0) - start, 0), max(end - max(start, length), 0)
        sizes = self.source.chromsizes
        if (
            left
            and out
            and out[0].chrom
            and (out[0].start == 0 if out[0].strand == "+" else out[0].end == sizes[out[0].chrom])
        ):
            out[0], left = out[0].part(-left, len(out[0])), 0
        if (
            right
            and out
            and out[-1].chrom
            and (
                out[-1].end == sizes[out[-1].chrom] if out[-1].strand == "+" else out[-1].start == 0
            )
        ):
            out[-1], right = out[-1].part(0, len(out[-1]) + right), 0
        return [*[Segment("", 0, left)] * (left > 0), *out, *[Segment("", 0, right)] * (right > 0)]

    def flat(self, segments: Sequence[Segment]) -> list[Segment]:
        """Segments of this genome, which may overhang their chromosomes, as segments of its source."""
        out: list[Segment] = []
        for s in segments:
            if s.chrom:
                pieces = self.overhanging(s.chrom, s.start, s.end)
                out += pieces if s.strand == "+" else turned(pieces)
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
        return [
            c
            for c, segments in self.contigs.items()
            if segments != (Segment(c, 0, sizes.get(c, -1)),)
        ]

    def to_reference(
        self, chrom: str, positions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where bases came from.

        Parameters
        ----------
        positions : (k,) bp on ``chrom``.

        Returns
        -------
        chromosomes : (k,) their numbers in the order of ``source.chromsizes``; -1 for given
            sequence, N, or outside the chromosome.
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
        place = np.where(
            forward,
            np.array([s.start for s in segments])[k] + offset,
            np.array([s.end for s in segments])[k] - 1 - offset,
        )
        chroms = np.where(inside, np.array([number.get(s.chrom, -1) for s in segments])[k], -1)
        known = (chroms >= 0) & (place >= 0) & (place < sizes[chroms])
        return (
            np.where(known, chroms, -1),
            np.where(known, place, -1),
            np.where(known, np.where(forward, 1, -1), 0),
        )

    def from_reference(self, chrom: str, start: int, end: int) -> list[Image]:
        """Where an interval of the source went: to no place, one, or many; in the order of the
        contigs.
        """
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

    def __repr__(self) -> str:
        return f"EditedGenome({self.name!r}, {len(self.contigs)} sequences, edited: {', '.join(self.edited[:5]) or 'none'})"


def digest(contigs: Mapping[str, Sequence[Segment]]) -> str:
    """SHA-256 (hexadecimal) that tells lists of segments of one source apart."""
    found = hashlib.sha256()
    for contig, segments in contigs.items():
        found.update(f"\n{contig}\n".encode())
        for s in merged(segments):
            letters = b"" if s.literal is None else s.literal[s.start : s.end]
            where = f"{s.chrom}:{s.start}-{s.end}" if s.literal is None else str(len(letters))
            found.update(f"{where}{s.strand}".encode() + letters + b"\n")
    return found.hexdigest()


def fingerprint(contigs: Mapping[str, Sequence[Segment]]) -> str:
    """The first eight digits of :func:`digest`, for names."""
    return digest(contigs)[:8]


def turned(segments: Sequence[Segment]) -> list[Segment]:
    """The other strand of segments laid end to end."""
    return [s.reversed() for s in reversed(segments)]


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
