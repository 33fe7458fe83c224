"""Matched places: they match, are drawn from a seed alone, and say where too few match."""

from __future__ import annotations

import numpy as np
import pytest

from orca_cool.errors import RegionError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.nearest import GeneDistances
from orca_cool.genome.source import GAP, letters_to_codes
from orca_cool.variants import of_changes, parse_edits
from orca_cool.variants.matched import (
    FLANK,
    GC_TOLERANCE,
    MatchedPlaces,
    bodies_of,
    chromosome_class,
)

SIZES = {"chr1": 60_000, "chr2": 40_000, "chrX": 50_000, "chr1_random": 30_000, "chrM": 16_000}


class Letters:
    """A genome in memory whose G+C rises and falls along its chromosomes."""

    name = "letters"

    def __init__(self):
        rng = np.random.default_rng(3)
        self.chromsizes = dict(SIZES)
        self.codes = {}
        for chrom, n in SIZES.items():
            gc = 0.45 + 0.15 * np.sin(np.arange(n) / 3000)
            strong = rng.random(n) < gc
            pair = rng.integers(0, 2, n)
            self.codes[chrom] = np.where(strong, 1 + pair, 3 * pair).astype(np.uint8)
        self.codes["chr2"][10_000:15_000] = GAP

    def fetch(self, chrom, start, end):
        out = np.full(end - start, GAP, np.uint8)
        a, b = max(start, 0), min(end, SIZES[chrom])
        out[a - start : b - start] = self.codes[chrom][a:b]
        return out


@pytest.fixture(scope="module")
def source():
    return Letters()


def variant(text, source):
    return of_changes(parse_edits(text, source), "test")


def gc_by_hand(source, chrom, start, end):
    """Share of G+C, from letters one by one."""
    letters = ["ACGTN"[c] for c in source.fetch(chrom, max(0, start), min(end, SIZES[chrom]))]
    known = [x for x in letters if x != "N"]
    return sum(x in "GC" for x in known) / len(known)


TEXTS = (
    "chr1:20,000-20,300 del",
    "chr1:31,000-31,040 dup x3",
    "chr1:20,000-26,000 inv",
    "chr1:25,000 ins ACGTACGTAA",
    "chr2:20,000-20,004 sub GATTACA",
    "chr1:21,000-21,100 del; chr1:22,000 ins chr2:5,000-5,500(-)",
)


@pytest.mark.parametrize("text", TEXTS)
def test_matches_match(source, text):
    one, margin = variant(text, source), 4_000
    found = MatchedPlaces(source, 20, margin=margin).of(one)
    assert len(found) == 20
    (own,) = bodies_of(one.changes)
    length, gc = (
        own.end - own.start,
        gc_by_hand(source, own.chrom, own.start - FLANK, own.end + FLANK),
    )
    places = set()
    for place in found:
        (body,) = bodies_of(place.changes)
        places.add((body.chrom, body.start))
        assert (place.kind, body.end - body.start) == (one.kind, length)
        assert (place.start - body.start, place.end - body.end) == (
            one.start - own.start, one.end - own.end,
        )  # fmt: skip
        assert body.chrom in ("chr1", "chr2")
        assert margin <= body.start
        assert body.end <= SIZES[body.chrom] - margin
        there = gc_by_hand(source, body.chrom, body.start - FLANK, body.end + FLANK)
        assert abs(there - gc) <= GC_TOLERANCE
        assert (
            source.fetch(body.chrom, body.start - FLANK, body.end + FLANK) == GAP
        ).mean() <= 0.05
        assert body.chrom != own.chrom or body.end < own.start or own.end < body.start
        for change, mine in zip(place.changes, one.changes, strict=True):
            assert (change.kind, change.copies, change.sequence) == (
                mine.kind, mine.copies, mine.sequence,
            )  # fmt: skip
        assert apply_edits(source, place.changes).edited == [body.chrom]
    assert len(places) == 20


def test_a_single_base_is_replaced_where_the_same_one_stands(source):
    at = 20_000
    ref = "ACGT"[source.fetch("chr1", at, at + 1)[0]]
    alt = "ACGT"[("ACGT".index(ref) + 1) % 4]
    one = variant(f"chr1:{at + 1:,} {ref}>{alt}", source)
    for place in MatchedPlaces(source, 30).of(one):
        (change,) = place.changes
        assert "ACGT"[source.fetch(change.chrom, change.start, change.end)[0]] == ref
        assert (change.sequence[0].literal, place.kind) == (alt.encode(), "SNV")
    longer = variant("chr2:20,000-20,004 sub GATTACA", source)
    new = letters_to_codes("GATTACA")
    for place in MatchedPlaces(source, 30).of(longer):
        there = source.fetch(place.chrom, place.start, place.end)
        assert there[0] != new[0]
        assert there[-1] != new[-1]


def test_a_translocation_moves_both_ends_to_two_chromosomes(source):
    one = variant("chr1:20,000(+)::chr2:25,000(-)", source)
    found = MatchedPlaces(source, 10).of(one)
    assert len(found) == 10
    for place in found:
        (adjacency,) = place.changes
        assert {adjacency.first.chrom, adjacency.second.chrom} == {"chr1", "chr2"}
        assert (adjacency.first.side, adjacency.second.side) == ("+", "-")
        assert place.kind == "BND"


def test_classes_of_chromosomes(source):
    human = ["chr1", "chrX", "chrY", "chrM", "chrUn_KI270742v1"]
    assert [chromosome_class(c, human) for c in human] == [
        "autosome", "X", "Y", "organelle", "unplaced",
    ]  # fmt: skip
    assert chromosome_class("X", ["1", "X", "MT"]) == "X"
    assert chromosome_class("MT", ["1", "X", "MT"]) == "organelle"
    assert chromosome_class("chrX", [f"chr{r}" for r in ("I", "II", "IX", "X")]) == "autosome"
    assert chromosome_class("X", ["I", "II", "III", "IV", "V", "X"]) == "X"  # a worm's
    places = MatchedPlaces(source, 5).of(variant("chrX:20,000-20,100 del", source))
    assert {place.chrom for place in places} == {"chrX"}


def test_what_is_drawn_depends_on_the_seed_and_the_variant_alone(source):
    texts = TEXTS[:3]
    ours = MatchedPlaces(source, 8, seed=1)
    forward = {text: ours.of(variant(text, source)) for text in texts}
    other = MatchedPlaces(source, 8, seed=1)
    assert {t: other.of(variant(t, source)) for t in reversed(texts)} == forward
    seeded = MatchedPlaces(source, 8, seed=2).of(variant(texts[0], source))
    assert [p.start for p in seeded] != [p.start for p in forward[texts[0]]]
    more = MatchedPlaces(source, 16, seed=1).of(variant(texts[0], source))
    assert more[:8] == forward[texts[0]]  # more places are the same ones, and others
    letters = [
        MatchedPlaces(source, 8).of(variant(f"chr1:25,000 ins {x}", source)) for x in ("A", "C")
    ]
    assert [p.start for p in letters[0]] != [p.start for p in letters[1]]


def test_distances_to_genes_are_matched(source, tmp_path):
    genes = tmp_path / "genes.bed"
    rows = [(c, s, s + 500) for c, n in SIZES.items() for s in range(3_000, n - 1_000, 9_000)]
    genes.write_text("".join(f"{c}\t{s}\t{e}\tg{s}\n" for c, s, e in rows))
    distances = GeneDistances(genes, source)

    def by_hand(chrom, start, end):
        near = [max(s - end, start - e, 0) for c, s, e in rows if c == chrom]
        return min(near)

    rng = np.random.default_rng(1)
    for start in rng.integers(0, 59_000, 200).tolist():
        for length in (0, 1, 700):
            assert distances.of("chr1", start, start + length) == by_hand(
                "chr1", start, start + length
            )
    inside = variant("chr1:21,100-21,200 del", source)
    assert by_hand("chr1", 21_100, 21_200) == 0
    away = variant("chr1:25,500-25,600 del", source)
    own = by_hand("chr1", 25_500, 25_600)
    for one, fits in (
        (inside, lambda d: d == 0),
        (away, lambda d: own / 2 <= d <= own * 2 and d > 0),
    ):
        places = MatchedPlaces(source, 10, genes=distances).of(one)
        assert len(places) == 10
        assert all(fits(by_hand(p.chrom, p.start, p.end)) for p in places)
    (tmp_path / "other.bed").write_text("other\t1\t2\tg\n")
    with pytest.raises(RegionError, match=r"none lies on a chromosome .* 'other'"):
        GeneDistances(tmp_path / "other.bed", source)


def test_where_too_few_match_there_are_fewer(source):
    assert len(MatchedPlaces(source, 50).of(variant("chrM:2,000-15,900 del", source))) < 50
    assert MatchedPlaces(source, 5).of(variant("ring = chr1:1,000-9,000", source)) == []
