"""An edited genome beside its reference: windows of both at the same sites, aligned bin by bin.

A bin of the alternate is compared with the reference bin in which the base in its middle lies (or,
if that base is literal sequence, the base nearest to the middle that came from the reference).
Where the windows go is decided in :mod:`orca_cool.effects.sites`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from cachetools import LRUCache

from orca_cool.effects.scores import Choices, score
from orca_cool.effects.sites import Site, sites
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.maps.axes import bp_label, picture_html
from orca_cool.maps.contact_map import ContactMap
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.zoom import EncodedZoom

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Comparison:
    """One level at one site: maps of the alternate and of the reference in the same n bins.

    Attributes
    ----------
    site : the place.
    alternate : the map of the edited genome.
    reference : the map of the reference at the places that the alternate's bins came from: row i
        and column j are the reference's pixel between the origins of bins i and j. NaN where there
        is none, or it is mostly gap. Its region is the alternate's, since the bins are.
    references : the reference's own maps, in its own coordinates; two or more where parts that are
        joined in the alternate lie far from each other in the reference.
    bins : for each of ``references``, (n,) the bin of it that each bin of the alternate came from,
        -1 where none.
    touched : (n,) bool, bins that hold literal sequence, or a base next to a breakpoint between two
        segments of the reference.
    gaps : for the alternate's map, then for each of ``references``, (n,) bool: bins that are mostly
        gap or lie outside the chromosome, where a model predicts too, but nothing is meant. Empty:
        none is.
    """

    site: Site
    alternate: ContactMap
    reference: ContactMap
    references: tuple[ContactMap, ...]
    bins: tuple[np.ndarray, ...]
    touched: np.ndarray
    gaps: tuple[np.ndarray, ...] = ()

    @property
    def resolution(self) -> int:
        """Size of a bin in bp."""
        return self.alternate.resolution

    @property
    def difference(self) -> ContactMap:
        """Alternate minus reference. ``values`` is the change of log observed/expected, NaN where
        the two cannot be compared; ``expected`` is 1, so that ``frequency`` is the fold change of
        observed/expected.
        """
        values = self.alternate.values - self.reference.values
        ones = np.ones(values.shape)
        return ContactMap(values, ones, 0.0, self.alternate.region, self.resolution)

    @property
    def unchanged(self) -> bool:
        """True if the two maps are the same number for number, wherever they can be compared."""
        known = np.isfinite(self.reference.values)
        return bool(known.any()) and np.array_equal(
            self.alternate.values[known], self.reference.values[known]
        )

    def scores(self, choices: Choices | None = None) -> dict[str, float]:
        """How much the map changes: see :func:`orca_cool.effects.scores.score`."""
        return score(self, choices)

    def plot(
        self, *, vmax: float | None = None, dmax: float | None = None, title: str | None = None
    ) -> Figure:
        """Draw reference, alternate and difference side by side; see
        :func:`orca_cool.effects.comparison_figure.draw_comparison`.
        """
        from orca_cool.effects.comparison_figure import draw_comparison

        return draw_comparison(self, vmax=vmax, dmax=dmax, title=title)

    def __repr__(self) -> str:
        place = f"{self.alternate.region}, {bp_label(self.resolution)} bins"
        return f"Comparison(around {self.site}: {place})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the place and the picture."""
        return picture_html(self.plot(), repr(self), f"maps around {self.site}")


class Reference:
    """Zooms of the reference, each predicted once; those lately asked for are kept.

    Parameters
    ----------
    engine, module : that predict them.
    max_bytes : of maps that are kept.

    Attributes
    ----------
    predicted : number of zooms predicted so far.
    """

    def __init__(self, engine: Engine, module: ModuleSpec, max_bytes: int = 2**29):
        self.engine, self.module = engine, module
        self._kept: LRUCache[tuple[str, int], tuple[list[ContactMap], list[np.ndarray]]] = LRUCache(
            self.capacity(engine.spec.bins, module, max_bytes)
        )
        self.predicted = 0

    @staticmethod
    def capacity(bins: int, module: ModuleSpec, max_bytes: int = 2**29) -> int:
        """Number of zooms that are kept."""
        return max(4, max_bytes // (bins**2 * len(module.resolutions) * 16))

    def prepare(self, wanted: Iterable[tuple[str, int]]) -> None:
        """Predict those that are not at hand, together."""
        missing = [w for w in dict.fromkeys(wanted) if not self._is_whole(w)]
        zooms = [self.engine.encode_zoom(self.module, *w, self.engine.edges) for w in missing]
        for place, maps in zip(
            missing, self.engine.decode_zooms(self.module, zooms) if zooms else ()
        ):
            self.keep(place, maps)

    def keep(self, place: tuple[str, int], maps: list[ContactMap]) -> None:
        """Have a zoom at hand, or its coarse levels."""
        self._kept[place] = maps, [self.gaps(m) for m in maps]
        self.predicted += 1

    def _is_whole(self, place: tuple[str, int]) -> bool:
        return place in self._kept and len(self._kept[place][0]) == len(self.module.resolutions)

    def has(self, place: tuple[str, int]) -> bool:
        """True if a zoom, or its coarse levels, are at hand."""
        return place in self._kept

    def level(self, place: tuple[str, int], number: int) -> tuple[ContactMap, np.ndarray]:
        """The map of one level and its gaps; a zoom of which only coarser ones are at hand is
        predicted whole.
        """
        maps, gaps = self._kept.get(place, ([], []))
        if number >= len(maps):
            maps, gaps = self.get(place)
        return maps[number], gaps[number]

    def get(self, place: tuple[str, int]) -> tuple[list[ContactMap], list[np.ndarray]]:
        """Maps by level, and for each (n,) bool: bins that are mostly gap."""
        self.prepare([place])
        found: tuple[list[ContactMap], list[np.ndarray]] = self._kept[place]
        return found

    def gaps(self, m: ContactMap) -> np.ndarray:
        """(n,) bool: bins of a map that are mostly gap."""
        return gap_fraction(self.engine.source, m.chrom, m.start, m.end, m.resolution) > MAX_GAP


def compare(
    reference: Reference,
    genomes: Sequence[EditedGenome],
    *,
    footprints: Sequence[tuple[str, int, int] | None] | None = None,
    shift: int | Sequence[int] = 0,
    keep: Sequence[int] | None = None,
    store: bool = False,
) -> list[list[Comparison]]:
    """Windows of edited genomes beside those of their reference.

    Parameters
    ----------
    genomes : edited genomes of the reference engine's source; they are decoded together.
    footprints, shift : see :func:`orca_cool.effects.sites.sites`; a shift of all genomes, or one
        for each.
    keep : resolutions that are wanted; all of the module's are predicted, since the coarse ones
        lead to the fine.
    store : what is decoded of the edited genomes is added to the window store, where there is one.

    Returns
    -------
    For each genome, for each of its sites, level by level. Nothing for a genome that is the
    reference itself, without a footprint.
    """
    engine, module = reference.engine, reference.module
    footprints = footprints or [None] * len(genomes)
    shifts = [shift] * len(genomes) if isinstance(shift, int) else shift
    found = [
        sites(g, engine.spec, module, shift=s, footprint=f)
        for g, f, s in zip(genomes, footprints, shifts, strict=True)
    ]
    reference.prepare(place for some in found for site in some for place in site.references)
    zooms: list[EncodedZoom] = []
    for genome, some in zip(genomes, found):
        edited = engine.for_genome(genome, keep=store)
        zooms += [
            edited.encode_zoom(module, site.contig, site.position, edited.edges) for site in some
        ]
    decoded = iter(engine.decode_zooms(module, zooms) if zooms else ())
    return [
        [c for site in some for c in _compared(reference, genome, site, next(decoded), keep)]
        for genome, some in zip(genomes, found)
    ]


def compare_at(
    reference: Reference, genome: EditedGenome, site: Site, keep: Sequence[int] | None = None
) -> list[Comparison]:
    """As :func:`compare`, of one genome at a site of the caller's choice."""
    engine, module = reference.engine.for_genome(genome, keep=False), reference.module
    (zoom,) = engine.decode_zooms(
        module, [engine.encode_zoom(module, site.contig, site.position, engine.edges)]
    )
    return _compared(reference, genome, site, zoom, keep)


def _compared(
    reference: Reference,
    genome: EditedGenome,
    site: Site,
    zoom: Sequence[ContactMap],
    keep: Sequence[int] | None,
) -> list[Comparison]:
    """A zoom of an edited genome beside those of its reference, level by level."""
    own = [reference.get(place) for place in site.references]
    return [
        compared_at(genome, site, m, [(maps[k], gaps[k]) for maps, gaps in own])
        for k, m in enumerate(zoom)
        if keep is None or m.resolution in keep
    ]


def bin_origins(
    genome: EditedGenome, contig: str, start: int, resolution: int, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where bins of an edited genome came from: the base in their middle, or the one nearest to it
    that has a place in the source.

    Parameters
    ----------
    start : of the first bin in bp; bins may overhang the contig.

    Returns
    -------
    chromosomes, positions : (n,) as :meth:`EditedGenome.to_reference`, -1 where no base of the bin
        has a place.
    """
    first = start + resolution * np.arange(n)
    middles = first + resolution // 2
    chroms, places, _ = genome.to_reference(contig, middles)
    names = {c: i for i, c in enumerate(genome.source.chromsizes)}
    for k in np.flatnonzero(
        (chroms < 0) & (first < genome.chromsizes[contig]) & (first + resolution > 0)
    ):
        at = max(int(first[k]), 0)
        nearest = resolution
        for segment in genome.segments(contig, at, int(first[k]) + resolution):
            base = min(max(int(middles[k]), at), at + len(segment) - 1)
            if segment.chrom and abs(base - middles[k]) < nearest:
                nearest = abs(base - int(middles[k]))
                chroms[k] = names[segment.chrom]
                places[k] = segment.part(base - at, base - at + 1).start
            at += len(segment)
    return chroms, places


def compared_at(
    genome: EditedGenome, site: Site, m: ContactMap, own: Sequence[tuple[ContactMap, np.ndarray]]
) -> Comparison:
    """A level's map of an edited genome beside maps of its reference (each with (n,) bool: bins
    that are mostly gap). A pixel that two of them have is the first one's.
    """
    n = len(m.values)
    chroms, places = bin_origins(genome, site.contig, m.start, m.resolution, n)
    names = list(genome.source.chromsizes)
    values, expected = np.full((n, n), np.nan, np.float32), np.full((n, n), np.nan)
    bins = []
    for r, gaps in own:
        index = np.where(chroms == names.index(r.chrom), (places - r.start) // r.resolution, -1)
        index = np.where((index >= 0) & (index < n), index, -1)
        bins.append(index)
        known = (index >= 0) & ~gaps[index]
        new = known[:, None] & known[None, :] & ~np.isfinite(values)
        i, j = np.nonzero(new)
        values[i, j] = r.values[index[i], index[j]]
        expected[i, j] = r.expected[index[i], index[j]]
    # eps is one number per level of a model
    reference = ContactMap(values, expected, m.eps, m.region, m.resolution)
    touched = _touched(genome, site, m)
    its = [gaps for _, gaps in own]
    alternate_gaps = _gaps(genome, m, list(zip(bins, its)))
    return Comparison(
        site, m, reference, tuple(r for r, _ in own), tuple(bins), touched, (alternate_gaps, *its)
    )


def _gaps(
    genome: EditedGenome, m: ContactMap, own: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """(n,) bool, bins of a map of an edited genome that are mostly gap, or outside its contig.

    A bin that came from a bin of the reference is a gap where that is, so that what is masked in
    one map is masked in the other, and little sequence is read.

    Parameters
    ----------
    own : for each map of the reference, (n,) its bin that each bin came from, and its gaps.
    """
    n, resolution = len(m.values), m.resolution
    gaps, open_ = np.ones(n, dtype=bool), np.ones(n, dtype=bool)
    for index, its in own:
        here = open_ & (index >= 0)
        gaps[here] = its[index[here]]
        open_ &= ~here
    first = m.start + resolution * np.arange(n)
    open_ &= (first < genome.chromsizes[m.chrom]) & (first + resolution > 0)
    left = np.flatnonzero(open_)
    for run in np.split(left, np.flatnonzero(np.diff(left) > 1) + 1):
        if len(run):
            a, b = int(first[run[0]]), int(first[run[-1]]) + resolution
            gaps[run] = gap_fraction(genome, m.chrom, a, b, resolution) > MAX_GAP
    return gaps


def _touched(genome: EditedGenome, site: Site, m: ContactMap) -> np.ndarray:
    """(n,) bool, bins of a map of an edited genome that an edit has touched; see
    :class:`Comparison`.
    """
    touched = np.zeros(len(m.values), dtype=bool)
    for breakpoint_ in site.breakpoints:
        sides = genome.segments(site.contig, breakpoint_ - 1, breakpoint_ + 1)
        if all(segment.chrom for segment in sides):
            bases = np.array(
                [
                    b
                    for b in (breakpoint_ - 1, breakpoint_)
                    if 0 <= b < genome.chromsizes[site.contig]
                ]
            )
            k = (bases - m.start) // m.resolution
            touched[k[(k >= 0) & (k < len(touched))]] = True
    at = max(m.start, 0)
    for segment in genome.segments(site.contig, m.start, m.end):
        if not segment.chrom:
            first = (at - m.start) // m.resolution
            last = (at + len(segment) - 1 - m.start) // m.resolution
            touched[first : last + 1] = True
        at += len(segment)
    return touched
