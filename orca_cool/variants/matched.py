"""Matched places: where else in the genome the same change could be made, to say how large a score
is among those of changes like it.

A matched place of a variant is the same changes, moved: the same lengths, the same kinds, the same
inserted letters. What is matched, and how closely, is written down in docs/numbers.md; the numbers
are the constants below. Which places are drawn is a pure function of the seed, the genome and the
variant's changes, so that it depends neither on the other variants nor on who draws them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from cachetools import LRUCache

from orca_cool.genome.changes import Adjacency, Breakend, Change, Contig, Edit
from orca_cool.genome.nearest import GeneDistances
from orca_cool.genome.source import GAP, SequenceSource
from orca_cool.variants.variant import Variant, spans_of

#: Largest difference of the shares of G+C.
GC_TOLERANCE = 0.02
#: Bases on either side of what changes in which G+C is counted, too.
FLANK = 500
#: By how much more of a place than of the variant may be N.
N_TOLERANCE = 0.05
#: Two distances to the nearest gene match if the larger is at most so many times the smaller, or
#: they differ by at most :data:`NEAR` bp. Inside a gene matches inside a gene only.
TIMES = 2.0
NEAR = 1000
#: Places that are drawn at most for each that is wanted.
DRAWS = 200

#: Variants whose places are remembered.
_REMEMBERED = 64

_SEX = ("X", "Y", "Z", "W")
_ORGANELLES = ("M", "MT", "MITO", "MITOCHONDRION", "PT", "CHLOROPLAST")


def chromosome_class(name: str, names: Iterable[str]) -> str:
    """What kind of chromosome a name stands for: places are matched within a class.

    Parameters
    ----------
    names : of all chromosomes of the genome; where there is a chromosome IX, X is the number ten.

    Returns
    -------
    "X", "Y", "Z" or "W"; "organelle" for chrM, MT, Mito and Pt; "unplaced" for names with an
    underscore, as UCSC calls scaffolds and alternate loci; "autosome" for all others.

    Examples
    --------
    >>> chromosome_class("chrX", ["chr1", "chrX"]), chromosome_class("chrX", ["chrIX", "chrX"])
    ('X', 'autosome')
    """
    bare = _bare(name)
    if "_" in name:
        return "unplaced"
    if bare in _ORGANELLES:
        return "organelle"
    roman = any(_bare(other) == "IX" for other in names)
    return bare if bare in _SEX and not roman else "autosome"


def _bare(name: str) -> str:
    return name.upper().removeprefix("CHR")


@dataclass(frozen=True)
class Body:
    """What a variant changes on one chromosome, and is moved as one piece.

    Attributes
    ----------
    chrom, start, end : from the first to the last base that changes; of an insertion or a cut
        ``end`` is ``start``.
    """

    chrom: str
    start: int
    end: int


def bodies_of(changes: Sequence[Change]) -> list[Body]:
    """The bodies of a variant, one for each chromosome; none where it changes a whole one."""
    if any(isinstance(change, Contig) for change in changes):
        return []
    hulls: dict[str, tuple[int, int]] = {}
    for change in changes:
        for chrom, start, end in spans_of(change):
            a, b = hulls.get(chrom, (start, end))
            hulls[chrom] = min(a, start), max(b, end)
    return [Body(chrom, *hull) for chrom, hull in hulls.items()]


class MatchedPlaces:
    """Draws matched places of variants.

    Parameters
    ----------
    source : the genome.
    number : of places for each variant.
    seed : of what is drawn.
    margin : bp to the chromosome's ends that a place keeps, unless the variant lies nearer: half of
        the coarsest window that is predicted.
    genes : if given, distances to the nearest gene are matched, too.
    """

    def __init__(
        self,
        source: SequenceSource,
        number: int,
        *,
        seed: int = 0,
        margin: int = 0,
        genes: GeneDistances | None = None,
    ):
        self.source, self.number, self.seed = source, number, seed
        self.margin, self.genes = margin, genes
        names = list(source.chromsizes)
        self._class = {name: chromosome_class(name, names) for name in names}
        self._kept: LRUCache[str, list[Variant]] = LRUCache(_REMEMBERED)
        self._lock = threading.Lock()

    def of(self, variant: Variant) -> list[Variant]:
        """Up to ``number`` distinct matched places of a variant, in the order in which they are
        drawn; fewer where too few places match, none for a variant with a problem or one that
        changes whole chromosomes.
        """
        text = f"{variant.kind} {'; '.join(map(_written, variant.changes))}"
        with self._lock:
            found = self._kept.get(text)
        if found is None:
            found = self._drawn(variant, text)
            with self._lock:
                self._kept[text] = found
        return found

    def _drawn(self, variant: Variant, text: str) -> list[Variant]:
        bodies = bodies_of(variant.changes)
        if variant.problem or not bodies:
            return []
        digest = hashlib.sha256(text.encode()).digest()
        rng = np.random.default_rng([self.seed, int.from_bytes(digest[:8], "big")])
        wanted = [_Wanted.of(self, body) for body in bodies]
        out: list[Variant] = []
        seen = {tuple((body.chrom, body.start) for body in bodies)}
        for _ in range(DRAWS * self.number):
            places = [one.draw(rng) for one in wanted]
            key = tuple((p.chrom, p.start) for p in places if p is not None)
            if len(key) < len(places) or key in seen or len({c for c, _ in key}) < len(key):
                continue
            seen.add(key)
            moved = self._moved(variant, bodies, [p for p in places if p is not None])
            if moved is not None:
                out.append(moved)
                if len(out) == self.number:
                    break
        return out

    def _moved(
        self, variant: Variant, bodies: Sequence[Body], places: Sequence[Body]
    ) -> Variant | None:
        """The variant elsewhere; None where its letters would not change that place as they change
        its own.
        """
        to = {body.chrom: place for body, place in zip(bodies, places)}
        by = {body.chrom: to[body.chrom].start - body.start for body in bodies}
        changes: list[Change] = []
        for change in variant.changes:
            if isinstance(change, Adjacency):
                first, second = (
                    Breakend(to[e.chrom].chrom, e.position + by[e.chrom], e.side)
                    for e in (change.first, change.second)
                )
                changes.append(Adjacency(first, second, change.sequence))
                continue
            assert isinstance(change, Edit)
            moved = replace(
                change,
                chrom=to[change.chrom].chrom,
                start=change.start + by[change.chrom],
                end=change.end + by[change.chrom],
            )
            if not self._changes_alike(change, moved):
                return None
            changes.append(moved)
        place = to[variant.chrom] if variant.chrom in to else places[0]
        shift = by.get(variant.chrom, 0)
        return replace(
            variant,
            chrom=place.chrom,
            start=variant.start + shift,
            end=variant.end + shift,
            changes=tuple(changes),
            note="",
        )

    def _changes_alike(self, change: Edit, moved: Edit) -> bool:
        """Of a substitution by letters: one base is replaced where the same base stands; of longer
        ones the first and the last letter differ from what stands there, so that as much changes.
        """
        literal = [segment for segment in change.sequence if segment.literal is not None]
        if change.kind != "sub" or len(literal) != len(change.sequence) or not literal:
            return True
        new = np.concatenate([segment.fetch(self.source) for segment in change.sequence])
        there = self.source.fetch(moved.chrom, moved.start, moved.end)
        if len(new) == len(there) == 1:
            own = self.source.fetch(change.chrom, change.start, change.end)
            return bool(there[0] != new[0] and there[0] == own[0])
        return bool(there[0] != new[0] and there[-1] != new[-1])


@dataclass(frozen=True)
class Traits:
    """What is matched: the shares of G+C (of A, C, G and T) and of N, distance to a gene in bp."""

    gc: float
    n: float
    distance: float

    def match(self, other: Traits) -> bool:
        """Whether a place with the ``other`` traits matches."""
        if abs(self.gc - other.gc) > GC_TOLERANCE or other.n > self.n + N_TOLERANCE:
            return False
        near, far = sorted((self.distance, other.distance))
        if near == far or near == 0:
            return near == far
        return far <= TIMES * near or far - near <= NEAR


def traits(source: SequenceSource, body: Body, genes: GeneDistances | None = None) -> Traits:
    """What is matched of a place: G+C and N from :data:`FLANK` bp before it to :data:`FLANK` bp
    behind it.
    """
    start, end = max(0, body.start - FLANK), min(source.chromsizes[body.chrom], body.end + FLANK)
    counts = np.bincount(source.fetch(body.chrom, start, end), minlength=GAP + 1)
    known = int(counts[:GAP].sum())
    gc = float(counts[1] + counts[2]) / known if known else 0.5
    distance = 0.0 if genes is None else genes.of(body.chrom, body.start, body.end)
    return Traits(gc, 1 - known / max(1, end - start), distance)


@dataclass(frozen=True)
class _Wanted:
    """What a place for one body must be like, and where one may lie.

    Attributes
    ----------
    chroms, firsts, counts : chromosomes of the same class on which there is room, on each the first
        start, and the number of starts.
    """

    of_all: MatchedPlaces
    body: Body
    traits: Traits
    chroms: tuple[str, ...]
    firsts: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, of_all: MatchedPlaces, body: Body) -> _Wanted:
        sizes, kinds = of_all.source.chromsizes, of_all._class
        length = body.end - body.start
        margin = max(0, min(of_all.margin, body.start, sizes[body.chrom] - body.end))
        rooms = [
            (chrom, margin, size - 2 * margin - length + 1)
            for chrom, size in sizes.items()
            if kinds[chrom] == kinds[body.chrom] and size - 2 * margin - length >= 0
        ]
        found = traits(of_all.source, body, of_all.genes)
        chroms, firsts, counts = zip(*rooms)  # the body's own is always among them
        return cls(of_all, body, found, chroms, firsts, counts)

    def draw(self, rng: np.random.Generator) -> Body | None:
        """A place from all that there are, each as likely; None unless it matches."""
        number, own = int(rng.integers(sum(self.counts))), self.body
        which = int(np.searchsorted(np.cumsum(self.counts), number, side="right"))
        chrom = self.chroms[which]
        start = self.firsts[which] + number - sum(self.counts[:which])
        end = start + own.end - own.start
        if chrom == own.chrom and start <= own.end and own.start <= end:
            return None  # it overlaps or touches the variant
        place = Body(chrom, start, end)
        there = traits(self.of_all.source, place, self.of_all.genes)
        return place if self.traits.match(there) else None


def _written(change: Change) -> str:
    """A change as text that holds all of it, inserted letters too."""
    return repr(change) + "".join(
        s.literal[s.start : s.end].decode("ascii")
        for s in getattr(change, "sequence", ())
        if s.literal is not None
    )
