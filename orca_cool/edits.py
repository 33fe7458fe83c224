"""Sequences made of pieces of a genome: one list of segments, which is again a ``SequenceSource``.

So far this serves the layouts of the 256M module (chromosomes laid end to end); edited genomes are the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import GenomeError
from orca_cool.genome import SequenceSource, reverse_complement


@dataclass(frozen=True)
class Segment:
    """``chrom[start:end]`` (0-based, end-exclusive) on ``strand`` "+" or "-"; what lies outside the chromosome is N."""

    chrom: str
    start: int
    end: int
    strand: str = "+"

    def __len__(self) -> int:
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.chrom}:{self.start:,}-{self.end:,}({self.strand})"

    def reversed(self) -> Segment:
        return Segment(self.chrom, self.start, self.end, "-" if self.strand == "+" else "+")


class SegmentSource:
    """A genome with one chromosome, ``name``, made of segments of another source."""

    def __init__(self, source: SequenceSource, segments: Sequence[Segment], name: str = "layout"):
        for segment in segments:
            if segment.end <= segment.start or segment.strand not in "+-":
                raise GenomeError(f"segment {segment} is empty, reversed or has no strand")
        self.source = source
        self.segments = tuple(segments)
        self.name = name
        self.chromsizes = {name: sum(len(s) for s in segments)}

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """uint8 codes of ``[start, end)``; positions outside the layout are N (4)."""
        if chrom != self.name:
            raise GenomeError(f"chromosome {chrom!r} is not in the layout {self.name!r}")
        out = np.full(end - start, 4, dtype=np.uint8)
        offset = 0
        for s in self.segments:
            a, b = max(start, offset), min(end, offset + len(s))
            if a < b:
                first, last = a - offset, b - offset
                if s.strand == "+":
                    codes = self.source.fetch(s.chrom, s.start + first, s.start + last)
                else:
                    codes = reverse_complement(self.source.fetch(s.chrom, s.end - last, s.end - first))
                out[a - start : b - start] = codes
            offset += len(s)
        return out
