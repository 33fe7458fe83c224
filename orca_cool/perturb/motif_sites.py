"""Which places a screen of motifs knocks out: hits, and a matched background of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import EditError
from orca_cool.genome.regions import Region, interval_of
from orca_cool.genome.source import GAP, SequenceSource
from orca_cool.genome.textfile import TextFile
from orca_cool.perturb.motifs import PARTS, Motif, Tail, composition, read_matrices, scan
from orca_cool.perturb.screen_plan import rng_of

#: How far the share of G+C of a background may be from its hit's.
TOLERANCE = 0.05

#: Places that are drawn before it is said that a hit has no background.
TRIES, _AT_ONCE = 100_000, 1000

#: Of a drawing; see :mod:`orca_cool.perturb.screen_plan`.
_BACKGROUND = 3


@dataclass(frozen=True)
class Hit:
    """A place where a motif is.

    Attributes
    ----------
    strand : "+", "-" or "." (not known).
    score : bits of the matrix, or column 5 of the BED; NaN: none. p : its p-value; NaN: none.
    """

    where: Region
    motif: str
    strand: str = "."
    score: float = float("nan")
    p: float = float("nan")


@dataclass(frozen=True)
class Sites:
    """What is knocked out.

    Attributes
    ----------
    hits : in the genome's order. backgrounds : of each, a place or None.
    units : all these places, each once, in the genome's order.
    told : what the user should know, in lines.
    """

    hits: list[Hit]
    backgrounds: list[Region | None]
    units: list[Region]
    told: list[str]


def find_sites(
    path: str,
    regions: Sequence[Region],
    source: SequenceSource,
    threshold: float,
    seed: int,
    wanted: str = "the regions",
) -> Sites:
    """Hits of motifs and their backgrounds.

    Parameters
    ----------
    path : motifs of JASPAR or MEME, which are looked for in the regions on both strands; or a BED
        of hits, with the motif's name in column 4.
    regions : in the genome's order; none: of a BED all hits, with backgrounds from anywhere on
        their chromosomes.
    threshold : p-value of hits at the most. seed : that backgrounds are drawn from.
    wanted : what the regions are called in messages.

    Raises
    ------
    EditError
        If the file is none of these, or there is no hit.
    """
    told: list[str] = []
    motifs = read_matrices(path)
    if motifs is None:
        hits = _bed(path, source, told)
        if regions:
            hits = [h for h in hits if _holding(regions, h.where) is not None]
        else:
            chroms = {h.where.chrom for h in hits}
            sizes = source.chromsizes
            regions = [Region(c, 0, n) for c, n in sizes.items() if c in chroms]
    else:
        hits = _scanned(motifs, regions, source, threshold, told)
    if not hits:
        hint = "" if motifs is None else "; give a larger --threshold"
        raise EditError(f"motifs file {path!r} has no hit in {wanted}{hint}")
    order = {chrom: k for k, chrom in enumerate(source.chromsizes)}

    def place(r: Region) -> tuple[int, int, int]:
        return order[r.chrom], r.start, r.end

    hits.sort(key=lambda h: (*place(h.where), h.motif))
    backgrounds = _backgrounds(hits, regions, source, seed)
    if lacking := backgrounds.count(None):
        told.append(f"{lacking:,} hits have no place of their G+C beside them as background")
    places = {(r.chrom, r.start, r.end): r for r in [h.where for h in hits] + backgrounds if r}
    return Sites(hits, backgrounds, sorted(places.values(), key=place), told)


def _scanned(
    motifs: Sequence[Motif],
    regions: Sequence[Region],
    source: SequenceSource,
    threshold: float,
    told: list[str],
) -> list[Hit]:
    """The hits of matrices, against the composition of the regions."""
    hits: list[Hit] = []
    sequences = [source.fetch(r.chrom, r.start, r.end) for r in regions]
    background = composition(sequences)
    for motif in motifs:
        table = motif.table(background)
        tail = Tail.of(table, background)
        cutoff = tail.cutoff(threshold)
        found = [
            (Region(r.chrom, r.start + k, r.start + k + len(table)), strand, score)
            for r, codes in zip(regions, sequences)
            for k, strand, score in scan(table, codes, cutoff)
        ]
        if not found:
            told.append(f"motif {motif.name!r} has no hit with p <= {threshold:g}")
        p = tail.p_value(np.array([score for _, _, score in found], int))
        hits += [
            Hit(where, motif.name, strand, score / PARTS, float(one))
            for (where, strand, score), one in zip(found, p)
        ]
    return hits


def _bed(path: str, source: SequenceSource, told: list[str]) -> list[Hit]:
    file = TextFile(path, "motifs file", EditError)
    form = "JASPAR (>ID), MEME (MEME version 4), or BED with the motif's name in column 4"
    hits, gaps = [], 0
    for row in file.rows():
        if len(row.fields) < 4 or not row.fields[3].strip():
            raise row.error(f"is neither {form}")
        where = interval_of(row, source.chromsizes, form=form)
        if (source.fetch(where.chrom, where.start, where.end) == GAP).any():
            gaps += 1
            continue
        strand = row.fields[5] if len(row.fields) > 5 and row.fields[5] in ("+", "-") else "."
        try:
            score = float(row.fields[4]) if len(row.fields) > 4 else float("nan")
        except ValueError:
            score = float("nan")
        hits.append(Hit(where, row.fields[3].strip(), strand, score))
    if gaps:
        told.append(f"{gaps:,} hits hold an N and are left out")
    return hits


def _holding(regions: Sequence[Region], where: Region) -> int | None:
    """Number of the region that holds a place whole."""
    for k, r in enumerate(regions):
        if r.chrom == where.chrom and r.start <= where.start and where.end <= r.end:
            return k
    return None


def _backgrounds(
    hits: Sequence[Hit], regions: Sequence[Region], source: SequenceSource, seed: int
) -> list[Region | None]:
    """For each hit a place of its width and G+C in its region that overlaps no hit and no other
    background; those of hits of one place are one. A pure function of the arguments.
    """
    by_region: dict[int, list[Region]] = {}
    for hit in hits:
        number = _holding(regions, hit.where)
        assert number is not None
        by_region.setdefault(number, []).append(hit.where)
    found: dict[Region, Region | None] = {}
    for number, places in by_region.items():
        region = regions[number]
        codes = source.fetch(region.chrom, region.start, region.end)
        free = codes != GAP
        for place in places:
            free[place.start - region.start : place.end - region.start] = False
        for place in dict.fromkeys(places):
            found[place] = _background(place, region, codes, free, seed)
    return [found[hit.where] for hit in hits]


def _background(
    place: Region, region: Region, codes: np.ndarray, free: np.ndarray, seed: int
) -> Region | None:
    """One background; ``free`` is changed where it lies."""
    width = len(place)
    at = place.start - region.start
    is_gc = (codes == 1) | (codes == 2)
    wanted = is_gc[at : at + width].mean()
    rng = rng_of(seed, place.chrom, _BACKGROUND, place.start, place.end)
    for _ in range(TRIES // _AT_ONCE):
        starts = rng.integers(0, len(codes) - width + 1, _AT_ONCE)
        within = starts[:, None] + np.arange(width)
        gc = is_gc[within].mean(axis=1)
        good = free[within].all(axis=1) & (np.abs(gc - wanted) <= TOLERANCE + 1e-9)
        if good.any():
            start = int(starts[np.flatnonzero(good)[0]])
            free[start : start + width] = False
            return Region(region.chrom, region.start + start, region.start + start + width)
    return None


def counted(sites: Sites) -> Mapping[str, int]:
    """For the settings of the files."""
    return {
        "hits": len(sites.hits),
        "motifs": len({h.motif for h in sites.hits}),
        "hits_without_background": sites.backgrounds.count(None),
    }
