"""An edited genome beside its reference: windows of both around every breakpoint, aligned bin by
bin.

A window of the alternate is centred on a breakpoint (or on several that lie close together), the
reference's on the places that the bases at the breakpoint came from: one window for a small change,
two for a large deletion or a translocation. The alternate's window lies where the longest stretch
of reference in it falls on the reference window's bins, so that this stretch is compared bin by bin
exactly, and none of it is encoded anew. Any other bin is compared with the reference bin in which
its middle lies (or, if that is literal sequence, the base nearest to its middle that came from the
reference).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache

from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.model.spec import ModelSpec, ModuleSpec
from orca_cool.prediction.engine import EncodedZoom, Engine, ZoomMap


@dataclass(frozen=True)
class Site:
    """A place at which an edited genome is looked at.

    Attributes
    ----------
    contig, breakpoints : of the edited genome, and the breakpoints (bp) that the place is about.
    position : bp that the alternate's windows centre on, as far as the chromosome's ends allow.
    references : (chromosome, bp) of the source that the reference's windows centre on.
    """

    contig: str
    breakpoints: tuple[int, ...]
    position: int
    references: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return f"{self.contig}:{(self.breakpoints[0] + self.breakpoints[-1]) // 2:,}"


@dataclass(frozen=True)
class Comparison:
    """One level at one site; n bins a map, all of it in the alternate's bins.

    Attributes
    ----------
    alternate : the map of the edited genome. references : the reference's maps, in their own
        frames.
    reference : (n, n) float64 log observed/expected of the reference at the places that the
        alternate's bins came from, NaN where there is none.
    reference_log : (n, n) log contact frequency (plus eps) of the reference at those places;
        alternate_log : of the alternate.
    bins : for each of ``references``, (n,) the bin of it that each bin of the alternate came
        from, -1 where none.
    touched : (n,) bool, bins that hold literal sequence, or a base next to a breakpoint between two
        pieces of the reference.
    """

    site: Site
    resolution: int
    alternate: ZoomMap
    references: tuple[ZoomMap, ...]
    reference: np.ndarray
    reference_log: np.ndarray
    alternate_log: np.ndarray
    bins: tuple[np.ndarray, ...]
    touched: np.ndarray

    @property
    def unchanged(self) -> bool:
        """True if the two maps are the same number for number, wherever they can be compared."""
        known = np.isfinite(self.reference)
        return bool(known.any()) and np.array_equal(
            self.alternate.values[known], self.reference[known]
        )


def sites(
    genome: EditedGenome,
    spec: ModelSpec,
    module: ModuleSpec,
    *,
    shift: int = 0,
    footprint: tuple[str, int, int] | None = None,
) -> list[Site]:
    """Places at which an edited genome is to be looked at.

    Breakpoints of one contig that fit into half a window of the module's finest level share a
    place. The reference's windows are centred to the nearest eighth of that window, so that
    variants which lie close together share them.

    Parameters
    ----------
    shift : bp by which all windows are moved.
    footprint : interval of the reference to look at where nothing is changed.
    """
    window = spec.window(module.resolutions[-1])
    grain = max(1, spec.bins // 8) * module.resolutions[-1]
    names = list(genome.source.chromsizes)
    places_of = {contig: _breakpoints(genome, contig) for contig in genome.edited}
    if not places_of and footprint is not None:
        places_of = {footprint[0]: list(footprint[1:])}
    out = []
    for contig, breakpoints in places_of.items():
        for group in _clusters(breakpoints, window // 2):
            around = np.array([m + side for m in group for side in (-1, 0)])
            chroms, places, _ = genome.to_reference(contig, around)
            references: list[tuple[str, int]] = []
            for number in dict.fromkeys(int(c) for c in chroms if c >= 0):
                for near in _clusters(sorted(places[chroms == number].tolist()), window // 2):
                    middle = (near[0] + near[-1]) // 2
                    snapped = min(
                        round(middle / grain) * grain,
                        (genome.source.chromsizes[names[number]] - 1) // grain * grain,
                    )
                    references.append((names[number], snapped + shift))
            middle = (group[0] + group[-1]) // 2 + shift
            position = _in_phase(
                genome, contig, middle, spec.window(module.resolutions[0]), window // 2, references
            )
            out.append(
                Site(
                    contig,
                    tuple(group),
                    middle if position is None else position,
                    tuple(references),
                )
            )
    return out


def _breakpoints(genome: EditedGenome, contig: str) -> list[int]:
    """Breakpoints of a contig in bp; its ends too where they are not those of a chromosome."""
    first, last, length = (
        genome.contigs[contig][0],
        genome.contigs[contig][-1],
        genome.chromsizes[contig],
    )
    ends = {c: (0, size) for c, size in genome.source.chromsizes.items()}
    breakpoints = genome.junctions(contig)
    if (first.start if first.strand == "+" else first.end) not in ends.get(first.chrom, ()):
        breakpoints.insert(0, 0)
    if (last.end if last.strand == "+" else last.start) not in ends.get(last.chrom, ()):
        breakpoints.append(length)
    return breakpoints or [
        length // 2
    ]  # a chromosome that is turned whole has no breakpoint but is changed


def _clusters(sorted_places: Sequence[int], widest: int) -> list[list[int]]:
    out: list[list[int]] = []
    for place in sorted_places:
        if out and place - out[-1][0] <= widest:
            out[-1].append(place)
        else:
            out.append([place])
    return out


def _in_phase(
    genome: EditedGenome,
    contig: str,
    middle: int,
    window: int,
    near: int,
    references: Sequence[tuple[str, int]],
) -> int | None:
    """The position, at most ``near`` from ``middle``, that is one of the reference positions as the
    longest stretch in the window goes.
    """
    start, end = max(middle - window // 2, 0), middle + window // 2
    best: tuple[int, int] | None = None
    at = start
    for piece in genome.segments(contig, start, end):
        for chrom, place in references:
            if piece.chrom == chrom and (best is None or len(piece) > best[0]):
                # where the piece, going on, would have the reference position
                there = at + place - piece.start if piece.strand == "+" else at + piece.end - place
                if abs(there - middle) <= near:
                    best = (len(piece), there)
        at += len(piece)
    return None if best is None else best[1]


class Reference:
    """EncodedZoom of the reference, each predicted once: those lately asked for are kept."""

    def __init__(self, engine: Engine, module: ModuleSpec, max_bytes: int = 2**29):
        self.engine, self.module = engine, module
        one = engine.spec.bins**2 * len(module.resolutions) * 16
        self._kept: LRUCache[tuple[str, int], tuple[list[ZoomMap], list[np.ndarray]]] = LRUCache(
            max(4, max_bytes // one)
        )
        self.predicted = 0  # zoom predicted so far

    def prepare(self, wanted: Iterable[tuple[str, int]]) -> None:
        """Predict those that are not at hand, together."""
        missing = [w for w in dict.fromkeys(wanted) if w not in self._kept]
        zooms = [self.engine.encode_zoom(self.module, *w, self.engine.edges) for w in missing]
        for place, maps in zip(missing, self.engine.decode(self.module, zooms) if zooms else ()):
            self._kept[place] = maps, [self._gaps(m) for m in maps]
            self.predicted += 1

    def get(self, place: tuple[str, int]) -> tuple[list[ZoomMap], list[np.ndarray]]:
        """Maps by level, and for each (n,) bool: bins that are mostly gap."""
        self.prepare([place])
        found: tuple[list[ZoomMap], list[np.ndarray]] = self._kept[place]
        return found

    def _gaps(self, m: ZoomMap) -> np.ndarray:
        return gap_fraction(self.engine.source, m.chrom, m.start, m.end, m.resolution) > MAX_GAP


def compare(
    reference: Reference,
    genomes: Sequence[EditedGenome],
    *,
    footprints: Sequence[tuple[str, int, int] | None] | None = None,
    shift: int = 0,
    keep: Sequence[int] | None = None,
) -> list[list[Comparison]]:
    """Windows of edited genomes beside those of their reference.

    Parameters
    ----------
    genomes : edited genomes of the reference engine's source; they are decoded together.
    footprints, shift : see :func:`sites`.
    keep : resolutions that are wanted; all of the module's are predicted, since the coarse ones
        lead to the fine.

    Returns
    -------
    For each genome, for each of its sites, level by level. Nothing for a genome that is the
    reference itself, without a footprint.
    """
    engine, module = reference.engine, reference.module
    footprints = footprints or [None] * len(genomes)
    found = [
        sites(g, engine.spec, module, shift=shift, footprint=f)
        for g, f in zip(genomes, footprints, strict=True)
    ]
    reference.prepare(place for some in found for site in some for place in site.references)
    zooms: list[EncodedZoom] = []
    for genome, some in zip(genomes, found):
        edited = engine.for_genome(genome)
        zooms += [
            edited.encode_zoom(module, site.contig, site.position, edited.edges) for site in some
        ]
    zoom = iter(engine.decode(module, zooms) if zooms else ())
    return [
        [c for site in some for c in _beside(reference, genome, site, next(zoom), keep)]
        for genome, some in zip(genomes, found)
    ]


def compare_at(
    reference: Reference, genome: EditedGenome, site: Site, keep: Sequence[int] | None = None
) -> list[Comparison]:
    """As :func:`compare`, of one genome at a place of the caller's choice."""
    engine, module = reference.engine.for_genome(genome), reference.module
    (zoom,) = engine.decode(
        module, [engine.encode_zoom(module, site.contig, site.position, engine.edges)]
    )
    return _beside(reference, genome, site, zoom, keep)


def _beside(
    reference: Reference,
    genome: EditedGenome,
    site: Site,
    zoom: Sequence[ZoomMap],
    keep: Sequence[int] | None,
) -> list[Comparison]:
    """A zoom of an edited genome beside those of its reference, level by level."""
    own = [reference.get(place) for place in site.references]
    levels = [
        (m, [(maps[k], gaps[k]) for maps, gaps in own])
        for k, m in enumerate(zoom)
        if keep is None or m.resolution in keep
    ]
    return [_aligned(genome, site, m, references) for m, references in levels]


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
        for piece in genome.segments(contig, at, int(first[k]) + resolution):
            base = min(max(int(middles[k]), at), at + len(piece) - 1)
            if piece.chrom and abs(base - middles[k]) < nearest:
                nearest = abs(base - int(middles[k]))
                chroms[k] = names[piece.chrom]
                places[k] = piece.part(base - at, base - at + 1).start
            at += len(piece)
    return chroms, places


def _aligned(
    genome: EditedGenome, site: Site, m: ZoomMap, own: Sequence[tuple[ZoomMap, np.ndarray]]
) -> Comparison:
    """A level's map of an edited genome beside maps of its reference (each with (n,) bool: bins
    that are mostly gap).
    """
    n = len(m.values)
    chroms, places = bin_origins(genome, site.contig, m.start, m.resolution, n)
    names = list(genome.source.chromsizes)
    reference, log = np.full((n, n), np.nan), np.full((n, n), np.nan)
    bins = []
    for r, gaps in own:
        index = np.where(chroms == names.index(r.chrom), (places - r.start) // r.resolution, -1)
        index = np.where((index >= 0) & (index < n), index, -1)
        bins.append(index)
        known = (index >= 0) & ~gaps[index]
        new = known[:, None] & known[None, :] & ~np.isfinite(reference)
        i, j = np.nonzero(new)
        reference[i, j] = r.values[index[i], index[j]]
        log[i, j] = reference[i, j] + np.log(r.expected[index[i], index[j]] + r.eps)
    touched = np.zeros(n, dtype=bool)
    for mark in site.breakpoints:
        sides = genome.segments(site.contig, mark - 1, mark + 1)
        if all(piece.chrom for piece in sides):
            bases = np.array(
                [b for b in (mark - 1, mark) if 0 <= b < genome.chromsizes[site.contig]]
            )
            k = (bases - m.start) // m.resolution
            touched[k[(k >= 0) & (k < n)]] = True
    at = max(m.start, 0)
    for piece in genome.segments(site.contig, m.start, m.end):
        if not piece.chrom:
            touched[
                (at - m.start) // m.resolution : (at + len(piece) - 1 - m.start) // m.resolution + 1
            ] = True
        at += len(piece)
    alternate_log = m.values + np.log(m.expected + m.eps)
    return Comparison(
        site,
        m.resolution,
        m,
        tuple(r for r, _ in own),
        reference,
        log,
        alternate_log,
        tuple(bins),
        touched,
    )
