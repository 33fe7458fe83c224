"""Edited genomes: every chromosome is a list of segments of a source genome.

An :class:`EditedGenome` is itself a genome, and maps coordinates both ways: where each of its bases
came from, and where a base of the source went (to no place, one, or several).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import EditError, GenomeError, RegionError
from orca_cool.genome.segments import OTHER, Segment, merged, reverse_complement_segments
from orca_cool.genome.source import GAP, SequenceSource, length_of


@dataclass(frozen=True)
class LiftedInterval:
    """A stretch of an edited chromosome and where it lies in the source.

    Attributes
    ----------
    contig, start, end : the stretch, 0-based and end-exclusive, in bp of the edited chromosome.
    ref_start, ref_end : the same stretch in bp of the source's chromosome.
    strand : "-" if the stretch is reverse-complemented in the edited genome, else "+".
    """

    contig: str
    start: int
    end: int
    ref_start: int
    ref_end: int
    strand: str


class EditedGenome:
    """Chromosomes made of segments of a source; itself a genome
    (:class:`~orca_cool.genome.source.SequenceSource`).

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
        for s in self.segments(chrom, at, min(end, length)):
            out[at - start : at - start + len(s)] = s.fetch(self.source)
            at += len(s)
        return out

    def overhanging(self, chrom: str, start: int, end: int) -> list[Segment]:
        """Segments of the source that make ``[start, end)``, ``end - start`` bp long: as
        :meth:`segments`, with N for what lies outside the chromosome.

        Where the outermost segment ends at the end of its own chromosome, it is extended beyond
        that end instead, since what lies there is N as well: fewer segments are more often the
        same as those of another edited genome.
        """
        length = length_of(self, chrom)
        out = self.segments(chrom, start, end)
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
        """Segments of this genome in terms of its source; they may overhang chromosomes."""
        out: list[Segment] = []
        for s in segments:
            if s.chrom:
                parts = self.overhanging(s.chrom, s.start, s.end)
                out += parts if s.strand == "+" else reverse_complement_segments(parts)
            else:
                out.append(s)
        return out

    def segments(self, chrom: str, start: int, end: int) -> list[Segment]:
        """Segments of the source that make ``[start, end)``, which is clipped to the chromosome."""
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
        """Positions in bp, on an edited chromosome, where one segment ends and the next begins."""
        length_of(self, chrom)
        return [int(e) for e in self._ends[chrom][:-1]]

    @property
    def edited(self) -> list[str]:
        """Names of the contigs that are not whole, unchanged chromosomes of the source."""
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
        chromosomes : (k,) their numbers in the order of ``source.chromsizes``; -1 for literal
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

    def from_reference(self, chrom: str, start: int, end: int) -> list[LiftedInterval]:
        """Where an interval of the source went: to no place, one, or several, in the order of the
        edited chromosomes.
        """
        start, end = max(start, 0), min(end, length_of(self.source, chrom))
        out = []
        for contig, segments in self.contigs.items():
            offset = 0
            for s in segments:
                a, b = max(s.start, start), min(s.end, end)
                if s.chrom == chrom and a < b:
                    first = offset + (a - s.start if s.strand == "+" else s.end - b)
                    out.append(LiftedInterval(contig, first, first + b - a, a, b, s.strand))
                offset += len(s)
        return out

    def __repr__(self) -> str:
        edited = ", ".join(self.edited[:5]) or "none"
        return f"EditedGenome({self.name!r}, {len(self.contigs)} sequences, edited: {edited})"


def digest(contigs: Mapping[str, Sequence[Segment]]) -> str:
    """SHA-256 (hexadecimal) of contigs made of segments of one source.

    How the same sequence is split into segments does not matter.
    """
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
