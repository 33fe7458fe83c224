"""Segments: stretches of a chromosome, literal letters, or N, of which sequences are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from orca_cool.errors import EditError
from orca_cool.genome.source import GAP, SequenceSource, letters_to_codes, reverse_complement

OTHER = {"+": "-", "-": "+"}


@dataclass(frozen=True)
class Segment:
    """``chrom[start:end]`` (0-based, end-exclusive) on ``strand`` "+" or "-"; what lies outside the
    chromosome is N.

    With ``literal`` it is a piece of literal letters (ASCII, ACGTN) instead, and ``chrom`` is "".
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
            f"{self.end - self.start:,} bp of {'N' if self.literal is None else 'literal sequence'}"
        )

    @staticmethod
    def letters(text: str | bytes) -> Segment:
        """A segment of literal letters, either case.

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
        return replace(self, strand=OTHER[self.strand])

    def part(self, first: int, last: int) -> Segment:
        """Its bases ``[first, last)``, counted along it."""
        if self.strand == "+":
            return replace(self, start=self.start + first, end=self.start + last)
        return replace(self, start=self.end - last, end=self.end - first)

    def fetch(self, source: SequenceSource) -> np.ndarray:
        """uint8 codes, (len,)."""
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

    def goes_on(self, other: Segment) -> bool:
        """True if ``other`` is what follows in the same sequence."""
        if self.is_N:
            return other.is_N
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
                if a.is_N
                else replace(a, start=min(a.start, s.start), end=max(a.end, s.end))
            )
        out.append(Segment("", 0, len(s)) if s.is_N else s)
    return tuple(out)


def reverse_complement_segments(segments: Sequence[Segment]) -> list[Segment]:
    """The other strand of segments laid end to end."""
    return [s.reverse_complement() for s in reversed(segments)]


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
