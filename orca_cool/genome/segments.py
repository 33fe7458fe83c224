"""Segments: the stretches that the chromosomes of an edited genome are made of.

A segment is an interval of a chromosome of the source, literal sequence (letters that no chromosome
has there), or a run of N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from orca_cool.errors import EditError
from orca_cool.genome.source import GAP, SequenceSource, letters_to_codes, reverse_complement

#: The opposite strand, or side of a cut.
OTHER = {"+": "-", "-": "+"}


@dataclass(frozen=True)
class Segment:
    """A stretch of sequence: of a chromosome, of literal letters, or of N.

    Attributes
    ----------
    chrom : the chromosome; "" for literal sequence and for N.
    start, end : 0-based, end-exclusive interval in bp, of the chromosome (what lies outside it is
        N) or of ``literal``; of N only the length counts.
    strand : "+", or "-" for the reverse complement of the interval.
    literal : the letters (ASCII, ACGTN) that the interval is of; None if it is not literal
        sequence.
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
            f"{self.end - self.start:,} bp of {'N' if self.literal is None else 'literal sequence'}"
        )

    @staticmethod
    def letters(text: str | bytes) -> Segment:
        """A segment of literal sequence, in upper or lower case.

        Raises
        ------
        EditError
            If it is empty or holds anything but A, C, G, T and N.
        """
        data = (text.encode("latin-1", "replace") if isinstance(text, str) else text).upper()
        if not data:
            raise EditError("a literal sequence is empty")
        if wrong := data.translate(None, b"ACGTN"):
            place = data.index(wrong[:1])
            raise EditError(
                f"the literal sequence {_short(data)} holds {chr(wrong[0])!r} at letter "
                f"{place + 1}; only A, C, G, T and N are sequence"
            )
        return Segment("", 0, len(data), "+", data)

    def reverse_complement(self) -> Segment:
        """The same stretch on the other strand."""
        return replace(self, strand=OTHER[self.strand])

    def part(self, first: int, last: int) -> Segment:
        """The segment of its bases ``[first, last)``, counted along its strand."""
        if self.strand == "+":
            return replace(self, start=self.start + first, end=self.start + last)
        return replace(self, start=self.end - last, end=self.end - first)

    def fetch(self, source: SequenceSource) -> np.ndarray:
        """Codes of its bases, read along its strand: uint8, shape (len,), see
        :mod:`orca_cool.genome.source`.
        """
        if self.literal is not None:
            codes = letters_to_codes(self.literal[self.start : self.end])
        elif not self.chrom:
            return np.full(len(self), GAP, dtype=np.uint8)
        else:
            codes = source.fetch(self.chrom, self.start, self.end)
        return codes if self.strand == "+" else reverse_complement(codes)

    @property
    def is_N(self) -> bool:
        """True if it is all N."""
        return not self.chrom and self.literal is None

    def is_followed_by(self, other: Segment) -> bool:
        """True if ``other`` begins where this one ends in the same sequence, on the same strand."""
        if self.is_N:
            return other.is_N
        same = (self.chrom, self.strand) == (
            other.chrom,
            other.strand,
        ) and self.literal is other.literal
        return same and (self.end == other.start if self.strand == "+" else self.start == other.end)


def merged(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """The same sequence in as few segments as possible.

    Empty segments are left out, and runs of N begin at 0 on the + strand.
    """
    out: list[Segment] = []
    for s in segments:
        if not len(s):
            continue
        if out and out[-1].is_followed_by(s):
            a = out.pop()
            s = (
                Segment("", 0, len(a) + len(s))
                if a.is_N
                else replace(a, start=min(a.start, s.start), end=max(a.end, s.end))
            )
        out.append(Segment("", 0, len(s)) if s.is_N else s)
    return tuple(out)


def reverse_complement_segments(segments: Sequence[Segment]) -> list[Segment]:
    """The other strand of segments laid end to end."""
    return [s.reverse_complement() for s in reversed(segments)]


def _sequence_text(segments: Sequence[Segment]) -> str:
    """Segments as edits write them: "ACGT,100N,chr3:5-10(-)"."""

    def one(s: Segment) -> str:
        if s.literal is not None:
            text = s.literal[s.start : s.end].decode("ascii")
            return _short(text) + ("" if s.strand == "+" else "(-)")
        return f"{s.end - s.start}N" if not s.chrom else str(s)

    return ",".join(map(one, segments))


def _short(text: str | bytes) -> str:
    text = text if isinstance(text, str) else text.decode("latin-1")
    return text if len(text) <= 30 else f"{text[:20]}... ({len(text):,} bp)"
