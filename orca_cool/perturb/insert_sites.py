"""A site of an insertion screen: its reference, predicted once, and the comparisons of edited
genomes with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orca_cool.effects.align import Comparison, Reference, compare
from orca_cool.effects.sites import Site, sites
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import Region
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.phasing import Phasing
from orca_cool.maps.tracks import first_eigenvector
from orca_cool.perturb.changed import changed, unchanged
from orca_cool.perturb.insert_layout import frame_of
from orca_cool.perturb.insert_plan import Cassette, inserting, oriented, overwriting
from orca_cool.perturb.insert_scores import Columns
from orca_cool.perturb.screen_local import Level, Mask, bins_of, predict, unmasked
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.windows import centred_on, zoom_top, zoom_windows

#: A bin is masked if more than this share of it is: 8 of the 32 fine bins of the paper's.
MASKED = 0.25


@dataclass(frozen=True)
class Insertion:
    """What is put at a site.

    Attributes
    ----------
    cassette : how. copies : their codes, uint8, all of one length, not on their strands yet.
    """

    cassette: Cassette
    copies: list[np.ndarray]

    @property
    def length(self) -> int:
        """Of each copy in bp."""
        return len(self.copies[0])


@dataclass(frozen=True)
class Seen:
    """An insertion in the map of one cell type.

    Attributes
    ----------
    found : the map beside its reference.
    rows : (n,) bool, the bins of what was inserted. ends : bins of the first and the last copy.
    columns : what counts, in the bins of the reference.
    """

    found: Comparison
    rows: np.ndarray
    ends: tuple[int, int]
    columns: Columns


def counted(
    source: SequenceSource, mask: Mask, chrom: str, start: int, resolution: int, n: int
) -> tuple[np.ndarray, bool]:
    """(n,) bool, bins of a reference's window that count, and whether they are half of those in the
    chromosome.
    """
    masked = masked_share(mask, chrom, start, resolution, n) > MASKED
    return unmasked(source, masked, chrom, start, resolution)


def columns_of(
    source: SequenceSource, keep: np.ndarray, m: ContactMap, phasing: Phasing | None
) -> Columns:
    """What the bins of a reference's map are.

    Parameters
    ----------
    keep : (n,) bool, those that count.
    phasing : what the first eigenvector is oriented by; None: it is not needed.
    """
    e1 = None
    if phasing is not None:
        y = np.where(np.logical_and.outer(keep, keep), m.values, np.nan).astype(float)
        e1 = first_eigenvector(y, phasing(source, m.chrom, m.start, m.resolution, len(y)))
    return Columns(keep, e1)


def masked_share(mask: Mask, chrom: str, start: int, resolution: int, n: int) -> np.ndarray:
    """(n,) share of each bin that intervals of a mask hold; what two of them hold counts once.

    Examples
    --------
    >>> masked_share({"a": np.array([(5, 25), (10, 12)])}, "a", 0, 10, 3).tolist()
    [0.5, 1.0, 0.5]
    """
    covered, reached = np.zeros(n), start
    for a, b in sorted(map(tuple, mask.get(chrom, np.zeros((0, 2), dtype=int)).tolist())):
        a, b = max(a, reached), min(b, start + n * resolution)
        reached = max(reached, b)
        for k in range((a - start) // resolution, -(-(b - start) // resolution) if b > a else 0):
            low = start + k * resolution
            covered[k] += min(b, low + resolution) - max(a, low)
    return covered / resolution


class OverwriteSite:
    """A site whose bases are overwritten: the windows of the reference and of the edited genomes
    are the same, bin by bin.

    Parameters
    ----------
    engines : of the genome in its file, one for each cell type; the first one predicts.
    source : the genome that is screened: that of the engines, or an edited one.
    phasing : what E1 is oriented by; None: it is not needed.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        source: SequenceSource,
        site: Region,
        level: Level,
        mask: Mask,
        phasing: Phasing | None,
    ):
        self.engines, self.source, self.site, self.level = engines, source, site, level
        self.mask, self.phasing = mask, phasing
        spec = engines[0].spec
        self.frame = frame_of(spec, level.module, level.resolution, source, site)
        self.start = self.frame.start(level.resolution)

    @cached_property
    def reference(self) -> list[ContactMap]:
        """Maps of each cell type."""
        engine = self.engines[0]
        if isinstance(self.source, EditedGenome):
            engine = engine.for_genome(self.source)
        (values,) = predict([engine], self.frame, self.level)
        return self._maps(values)

    @cached_property
    def _counted(self) -> tuple[np.ndarray, bool]:
        r, n = self.level.resolution, self.engines[0].spec.bins
        return counted(self.source, self.mask, self.site.chrom, self.start, r, n)

    @property
    def is_masked(self) -> bool:
        """Whether too little of the window counts for a score."""
        return not self._counted[1]

    @cached_property
    def columns(self) -> list[Columns]:
        """What counts in the maps of each cell type."""
        keep, _ = self._counted
        return [columns_of(self.source, keep, m, self.phasing) for m in self.reference]

    def _maps(self, values: np.ndarray) -> list[ContactMap]:
        r, n = self.level.resolution, values.shape[-1]
        region = Region(self.site.chrom, self.start, self.start + r * n)
        tables = [engine.expected(self.level.module) for engine in self.engines]
        return [
            ContactMap(v, t.expected_matrix(r, n), t.eps(r, n), region, r)
            for v, t in zip(values, tables)
        ]

    def compared(self, several: Sequence[Insertion]) -> list[list[Seen]]:
        """Insertions, which are predicted together, each in the map of each cell type."""
        parts = [
            overwriting(self.source, self.site, oriented(one.copies, one.cassette), one.cassette)
            for one in several
        ]
        engine = self.engines[0]
        genomes = [engine.for_genome(changed(self.source, edits), keep=False) for edits in parts]
        return [
            [self._seen(edits, k, m) for k, m in enumerate(self._maps(values))]
            for edits, values in zip(parts, predict(genomes, self.frame, self.level))
        ]

    def _seen(self, edits: Sequence[tuple[Region, np.ndarray]], k: int, m: ContactMap) -> Seen:
        r, n = m.resolution, len(m.values)
        columns = self.columns[k]
        rows, touched = np.zeros((2, n), dtype=bool)
        for unit, _ in edits:
            rows[bins_of(unit, self.start, r)] = True
            touched[(unit.start - self.start) // r : (unit.end - 1 - self.start) // r + 1] = True
        before = self.reference[k]
        values = np.where(np.logical_and.outer(columns.keep, columns.keep), before.values, np.nan)
        known = ContactMap(values, before.expected, before.eps, before.region, r)
        units = [unit for unit, _ in edits]
        breakpoints = tuple(sorted({b for u in units for b in (u.start, u.end)}))
        place = (self.site.chrom, self.frame.position)
        at = Site(self.site.chrom, breakpoints, self.frame.position, (place,))
        bins, gaps = np.arange(n), ~columns.keep
        found = Comparison(at, m, known, (before,), (bins,), touched, (gaps, gaps))
        middles = [((u.start + u.end) // 2 - self.start) // r for u in (units[0], units[-1])]
        return Seen(found, rows, (middles[0], middles[1]), columns)


class InsertSite:
    """A site at which sequence is inserted: what lies behind it moves, and bins are compared in the
    windows of ``orca-cool variants``.

    Parameters
    ----------
    references : of the genome that is screened, edited or not; one for each cell type.
    phasing : what E1 is oriented by; None: it is not needed.
    """

    def __init__(
        self,
        references: Sequence[Reference],
        site: Region,
        level: Level,
        mask: Mask,
        phasing: Phasing | None,
    ):
        self.references, self.site, self.level = references, site, level
        self.mask, self.phasing = mask, phasing
        self.source = references[0].engine.source
        self._counted: dict[int, tuple[np.ndarray, bool]] = {}
        self._columns: dict[tuple[int, int], Columns] = {}

    @cached_property
    def _unchanged(self) -> EditedGenome:
        return unchanged(self.source)

    def _genome(self, one: Insertion) -> EditedGenome:
        edits = inserting(self.site, oriented(one.copies, one.cassette), one.cassette)
        return apply_edits(self._unchanged, edits, name=f"{self.source.name}.screened")

    def _counted_from(self, start: int) -> tuple[np.ndarray, bool]:
        if start not in self._counted:
            r, n = self.level.resolution, self.references[0].engine.spec.bins
            found = counted(self.source, self.mask, self.site.chrom, start, r, n)
            self._counted[start] = found
        return self._counted[start]

    def start_of(self, one: Insertion) -> int:
        """Where the reference's window begins, in bp."""
        spec, module = self.references[0].engine.spec, self.level.module
        (place, *_) = sites(self._genome(one), spec, module)
        chrom, position = place.references[0]
        top, length = module.resolutions[0], self.source.chromsizes[chrom]
        centred = centred_on(spec, self.source, chrom)
        origin = zoom_top(position, length, spec.window(top), top, centred)
        r = self.level.resolution
        return origin + zoom_windows(position, origin, module.resolutions, spec.bins)[r] * r

    def is_masked(self, one: Insertion) -> bool:
        """Whether too little of the reference's window counts for a score."""
        return not self._counted_from(self.start_of(one))[1]

    def compared(self, several: Sequence[Insertion]) -> list[list[Seen]]:
        """As :meth:`OverwriteSite.compared`."""
        genomes = [self._genome(one) for one in several]
        by_map = [
            compare(reference, genomes, keep=(self.level.resolution,))
            for reference in self.references
        ]
        return [
            [self._seen(one, k, found[number][0]) for k, found in enumerate(by_map)]
            for number, one in enumerate(several)
        ]

    def _seen(self, one: Insertion, k: int, found: Comparison) -> Seen:
        own = found.references[0]
        key = (k, own.start)
        if key not in self._columns:
            keep, _ = self._counted_from(own.start)
            self._columns[key] = columns_of(self.source, keep, own, self.phasing)
        first = self.site.start - found.alternate.start
        rows = np.zeros(len(found.touched), dtype=bool)
        middles = []
        for at in one.cassette.starts(one.length):
            begin, r = first + at, found.resolution
            # from the base before a copy to the one behind it: both are the reference's
            rows[max((begin - 1) // r, 0) : (begin + one.length) // r + 1] = True
            middles.append((begin + one.length // 2) // r)
        return Seen(found, rows, (middles[0], middles[-1]), self._columns[key])
