"""What the figure of a zoom shows: one column a level, with the maps of the reference and of an
edited genome and their insulation.

Columns come from predictions (:meth:`Column.of_zoom`, :func:`compared`) or from a file of maps
(:func:`orca_cool.effects.read_maps.read_maps`);
:func:`orca_cool.effects.figure.draw_columns` draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.effects.scores import log_insulation
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.contact_map import ContactMap

if TYPE_CHECKING:
    from orca_cool.effects.align import Comparison, Reference
    from orca_cool.effects.sites import Site

#: Side of the insulation diamond in bins, as scores take it; maps of fewer than 80 bins have a
#: smaller one.
DIAMOND = 10

#: Where a window has more junctions than this (a haplotype's), only those that the figure is about
#: are marked.
MAX_JUNCTIONS = 24


@dataclass(frozen=True)
class Map:
    """A map of ``chrom[start:end)`` (bp) as it is drawn.

    Attributes
    ----------
    values : (n, n) float64 log observed/expected, NaN where unknown.
    insulation : (n,) insulation score in log2 units, NaN where unknown.
    """

    chrom: str
    start: int
    end: int
    values: np.ndarray
    insulation: np.ndarray


@dataclass(frozen=True)
class Column:
    """One level at one site.

    Attributes
    ----------
    resolution : bin in bp.
    references : maps of the reference; two where the parts that are joined lie far from each other.
    alternate : map of the edited genome, if there is one.
    aligned, aligned_insulation : (n, n) and (n,), the reference's map and insulation in the
        alternate's bins, NaN where there is none.
    breakpoints : those that the figure is about, in bp of the alternate's contig.
    genome : the edited genome.
    of_ratio : True if insulation is that of observed/expected, False if of contact frequency.
    label : what the figure calls the maps of ``references``.
    """

    resolution: int
    references: tuple[Map, ...]
    alternate: Map | None = None
    aligned: np.ndarray | None = None
    aligned_insulation: np.ndarray | None = None
    breakpoints: tuple[int, ...] = ()
    genome: EditedGenome | None = None
    of_ratio: bool = False
    label: str = "reference"

    @classmethod
    def of_zoom(cls, m: ContactMap, source: SequenceSource) -> Column:
        """A level of a zoom without an edit."""
        return cls(m.resolution, (_map(m, source),))

    @classmethod
    def of_comparison(cls, found: Comparison, genome: EditedGenome) -> Column:
        """A level of an edited genome beside its reference."""
        references = tuple(_map(r, genome.source) for r in found.references)
        aligned = found.reference.values.astype(float)
        insulation = lifted_insulation([r.insulation for r in references], found.bins, len(aligned))
        return cls(
            found.resolution,
            references,
            _map(found.alternate, genome),
            aligned,
            insulation,
            found.site.breakpoints,
            genome,
        )

    @property
    def difference(self) -> np.ndarray | None:
        """(n, n) alternate minus reference, NaN where they cannot be compared."""
        if self.alternate is None or self.aligned is None:
            return None
        return self.alternate.values - self.aligned

    @property
    def maps(self) -> list[Map]:
        """The maps of the reference, then that of the alternate."""
        return [*self.references, *([self.alternate] if self.alternate else [])]

    def places(self) -> list[tuple[str, int, int]]:
        """(chromosome, start, end) of all of the reference that is drawn, the alternate's segments
        included.
        """
        m = self.alternate
        segments = (
            self.genome.segments(m.chrom, m.start, m.end)
            if m is not None and self.genome is not None and self.edited
            else []
        )
        return [(r.chrom, r.start, r.end) for r in self.references] + [
            (s.chrom, s.start, s.end) for s in segments if s.chrom
        ]

    @property
    def edited(self) -> bool:
        """True if the alternate's chromosome is an edited one, whose segments are known."""
        return (
            self.genome is not None
            and self.alternate is not None
            and self.alternate.chrom in self.genome.edited
        )

    def breaks(self) -> list[int]:
        """Breakpoints that are drawn in the alternate's window, in bp of its contig.

        All junctions in the window (``breakpoints`` alone if there are more than MAX_JUNCTIONS),
        and ends of the contig that are not ends of a chromosome of the reference.
        """
        m, places = self.alternate, list(self.breakpoints)
        if m is None:
            return []
        if self.genome is not None and self.edited:
            junctions = [j for j in self.genome.junctions(m.chrom) if m.start <= j <= m.end]
            # the site of a chromosome that is one segment as a whole is no breakpoint
            real = [
                b for b in places if b in (0, self.genome.chromsizes[m.chrom]) or b in junctions
            ]
            places = sorted({*real, *junctions}) if len(junctions) <= MAX_JUNCTIONS else real
        return [b for b in places if m.start <= b <= m.end]

    def origins(self) -> list[tuple[str, int]]:
        """(chromosome, bp) of the reference that the bases on both sides of :meth:`breaks` came
        from.
        """
        m = self.alternate
        if m is None:
            return []
        if self.genome is None or not self.edited:
            return [(m.chrom, b) for b in self.breaks()]
        found: dict[tuple[str, int], None] = {}
        for b in self.breaks():
            left, right = (
                self.genome.segments(m.chrom, b - 1, b),
                self.genome.segments(m.chrom, b, b + 1),
            )
            for side, last in ((left, True), (right, False)):
                for s in side:
                    if s.chrom:
                        found[s.chrom, s.end if (s.strand == "+") == last else s.start] = None
        return list(found)


def diamond_side(bins: int) -> int:
    """Side of the insulation diamond in a map of so many bins."""
    return min(DIAMOND, max(2, bins // 8))


def _map(m: ContactMap, source: SequenceSource) -> Map:
    """A predicted map as it is drawn: bins that are mostly gap, or lie outside the chromosome, are
    predicted too, but mean nothing, and are masked.
    """
    return masked(
        m.chrom,
        m.start,
        m.end,
        m.values,
        m.frequency,
        gap_fraction(source, m.chrom, m.start, m.end, m.resolution) > MAX_GAP,
    )


def masked(
    chrom: str, start: int, end: int, values: np.ndarray, contact: np.ndarray, unknown: np.ndarray
) -> Map:
    """A map as it is drawn, with the insulation of ``contact``, (n, n), as scores take it; bins
    that are ``unknown``, (n,) bool, are masked.
    """
    values = np.where(unknown[:, None] | unknown[None, :], np.nan, values.astype(float))
    track = log_insulation(contact, unknown, diamond_side(len(values)))
    known = np.isfinite(track)
    return Map(chrom, start, end, values, track - (track[known].mean() if known.any() else 0.0))


def lifted_insulation(
    tracks: Sequence[np.ndarray], bins: Sequence[np.ndarray], n: int
) -> np.ndarray:
    """Insulation of the reference in the alternate's bins: of the first reference map that knows
    it.
    """
    out = np.full(n, np.nan)
    for track, index in zip(tracks, bins):
        here = (index >= 0) & ~np.isfinite(out)
        out[here] = track[index[here]]
    return out


def compared(
    reference: Reference, genome: EditedGenome, site: Site, levels: Sequence[int]
) -> list[Column]:
    """Predict the levels of one site of an edited genome beside its reference, coarse to fine."""
    from orca_cool.effects.align import compare_at

    return [
        Column.of_comparison(c, genome) for c in compare_at(reference, genome, site, keep=levels)
    ]
