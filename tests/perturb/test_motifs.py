"""Matrices, their exact p-values, where they hit, and the backgrounds of hits."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from conftest import Drawn

from orca_cool.errors import EditError
from orca_cool.genome.regions import Region
from orca_cool.genome.source import letters_to_codes, reverse_complement
from orca_cool.perturb.motif_sites import find_sites
from orca_cool.perturb.motifs import PARTS, Motif, Tail, composition, read_matrices, scan

COUNTS = np.array([[90, 2, 5, 3], [1, 80, 9, 10], [30, 30, 30, 10], [0, 5, 0, 95], [7, 0, 93, 0]])
SKEWED = np.array([0.3, 0.2, 0.2, 0.3])
JASPAR = """>MA0001.1 FIRST
A [ 90  1 30  0  7 ]
C [  2 80 30  5  0 ]
G [  5  9 30  0 93 ]
T [  3 10 10 95  0 ]
"""
MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MA0001.1 FIRST
letter-probability matrix: alength= 4 w= 5 nsites= 100 E= 0
 0.90 0.02 0.05 0.03
 0.01 0.80 0.09 0.10
 0.30 0.30 0.30 0.10
 0.00 0.05 0.00 0.95
 0.07 0.00 0.93 0.00
URL http://example.org

MOTIF second
letter-probability matrix: alength= 4 w= 2
 1 0 0 0
 0.25 0.25 0.25 0.25
"""


def by_hand(codes: np.ndarray, background: np.ndarray) -> float:
    """log2 odds of a place, in bits."""
    total = 0.0
    for k, base in enumerate(codes):
        n = COUNTS[k].sum()
        total += np.log2((COUNTS[k, base] + background[base]) / (n + 1) / background[base])
    return total


@pytest.mark.parametrize("background", [np.full(4, 0.25), SKEWED])
def test_p_values_are_those_of_all_sequences(background):
    motif = Motif("m", COUNTS.astype(float))
    table = motif.table(background)
    tail = Tail.of(table, background)
    every = np.array(list(product(range(4), repeat=5)))
    scores = table[np.arange(5), every].sum(axis=1)
    np.testing.assert_allclose(
        scores / PARTS, [by_hand(codes, background) for codes in every], atol=2.5 / PARTS
    )
    weight = background[every].prod(axis=1)
    expected = [weight[scores >= s].sum() for s in scores]
    np.testing.assert_allclose(tail.p_value(scores), expected, rtol=1e-9)
    for threshold in (1e-1, 1e-2, 2e-3):
        cutoff = tail.cutoff(threshold)
        assert weight[scores >= cutoff].sum() <= threshold
        assert weight[scores >= cutoff - 1].sum() > threshold
    assert tail.cutoff(1e-9) == scores.max() + 1


def test_hits_on_both_strands_and_none_with_an_N():
    table = Motif("m", COUNTS.astype(float)).table(SKEWED)
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, 3000).astype(np.uint8)
    codes[rng.integers(0, 3000, 40)] = 4
    cutoff = Tail.of(table, SKEWED).cutoff(0.01)
    expected = []
    for k in range(len(codes) - 4):
        place = codes[k : k + 5]
        if (place == 4).any():
            continue
        plus, minus = (
            int(sum(table[i, b] for i, b in enumerate(p)))
            for p in (place, reverse_complement(place))
        )
        if max(plus, minus) >= cutoff:
            expected.append((k, "+" if plus >= minus else "-", max(plus, minus)))
    assert scan(table, codes, cutoff) == expected
    assert {strand for _, strand, _ in expected} == {"+", "-"}
    assert scan(table, codes[:4], cutoff) == []


def test_composition_is_of_both_strands():
    found = composition([letters_to_codes("A" * 700 + "C" * 300 + "N" * 50)])
    np.testing.assert_allclose(found, [0.35, 0.15, 0.15, 0.35], atol=1e-3)


def test_jaspar_and_meme_say_the_same(tmp_path):
    (tmp_path / "a.jaspar").write_text("# a comment\n" + JASPAR)
    bare = "\n".join(line.strip("ACGT []") for line in JASPAR.splitlines()[1:])
    (tmp_path / "b.pfm").write_text(f">bare\n{bare}\n")
    (tmp_path / "c.meme").write_text(MEME)
    (jaspar,), (pfm,) = (read_matrices(str(tmp_path / n)) for n in ("a.jaspar", "b.pfm"))
    first, second = read_matrices(str(tmp_path / "c.meme"))
    assert [jaspar.name, pfm.name] == ["MA0001.1 FIRST", "bare"]
    assert [first.name, second.name] == ["MA0001.1 FIRST", "second"]
    for motif in (jaspar, pfm, first):
        np.testing.assert_allclose(motif.counts, COUNTS)
    np.testing.assert_allclose(second.counts, 20 * np.array([[1, 0, 0, 0], [0.25] * 4]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no motif"),
        (JASPAR.replace(">", ""), "'MA0001.1 FIRST' is neither JASPAR (>ID), MEME"),
        ("a\t100\t110\n", r"'a\t100\t110' is neither JASPAR (>ID), MEME"),
        ("q\t100\t110\tm\n", "there is no chromosome 'q'"),
        (JASPAR.replace("C [", "G ["), "the counts of C belong here"),
        (JASPAR.replace(" 80", ""), "has 4 counts, the line of A has 5"),
        (JASPAR.replace(" 80", " x"), "is not JASPAR: counts of one base"),
        (JASPAR.replace(" 80", " -8"), "none of them negative"),
        (JASPAR + JASPAR, "holds the motif 'MA0001.1 FIRST' twice"),
        ("\n".join(JASPAR.splitlines()[:4]), "four lines of counts follow"),
        (MEME.replace("ALPHABET= ACGT", "ALPHABET= ACDEFG"), "is of another alphabet"),
        (MEME.replace("0.90 0.02", "0.90 0.22"), "which sum to 1"),
        (MEME.replace("w= 5", "w= five"), "alength= 4 w= WIDTH"),
        (MEME.replace("w= 2", "w= 3"), "says w= 3, but 2 lines follow"),
        ("MEME version 4\n", "holds no motif"),
    ],
)
def test_files_of_another_format(tmp_path, text, words):
    path = tmp_path / "m.txt"
    path.write_text(text)
    source = Drawn({"a": 5000}, ("a", 0, 0))
    with pytest.raises(EditError) as caught:
        find_sites(str(path), [Region("a", 0, 5000)], source, 1e-2, 0)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_backgrounds_are_as_wide_and_as_rich_and_beside_hits(tmp_path):
    path = Path(tmp_path / "m.jaspar")
    path.write_text(JASPAR)
    source = Drawn({"a": 9000, "b": 9000}, ("a", 3000, 3400))
    regions = [Region("a", 1000, 8000), Region("b", 0, 5000)]
    found = find_sites(str(path), regions, source, 3e-3, 7)
    assert len(found.hits) > 20
    assert any(h.where.chrom == "b" for h in found.hits)
    taken: list[Region] = [h.where for h in found.hits]
    for hit, beside in zip(found.hits, found.backgrounds):
        assert hit.p <= 3e-3
        where = next(r for r in regions if r.chrom == hit.where.chrom)
        assert beside.chrom == where.chrom
        assert where.start <= beside.start
        assert beside.end <= where.end
        a, b = (source.fetch(r.chrom, r.start, r.end) for r in (hit.where, beside))
        assert len(a) == len(b) == 5
        assert np.isin(a, (1, 2)).sum() == np.isin(b, (1, 2)).sum()
        assert not (b == 4).any()
        assert all(r.chrom != beside.chrom or r.end <= beside.start or beside.end <= r.start
                   for r in taken)  # fmt: skip
        taken.append(beside)
    again = find_sites(str(path), regions, source, 3e-3, 7)
    assert (again.hits, again.backgrounds) == (found.hits, found.backgrounds)
    other = find_sites(str(path), regions, source, 3e-3, 8)
    assert other.hits == found.hits
    assert other.backgrounds != found.backgrounds
    # the hits of one region are the same without the other, and so are their backgrounds
    bed = tmp_path / "hits.bed"
    lines = [f"{h.where.chrom}\t{h.where.start}\t{h.where.end}\tFIRST\n" for h in found.hits]
    bed.write_text("".join(lines) + "a\t3000\t3010\tgap\n")
    given = find_sites(str(bed), regions, source, 0.5, 7)
    assert [h.where for h in given.hits] == [h.where for h in found.hits]
    assert given.backgrounds == found.backgrounds
    assert given.told == ["1 hits hold an N and are left out"]
    one = find_sites(str(bed), regions[1:], source, 0.5, 7)
    assert one.backgrounds == [b for b in found.backgrounds if b.chrom == "b"]


def test_a_hit_without_a_place_of_its_composition_has_no_background(tmp_path):
    class AllA:
        name, chromsizes = "g", {"a": 500}

        def fetch(self, chrom, start, end):
            codes = np.zeros(500, np.uint8)
            codes[100:110] = 1
            return codes[start:end]

    bed = tmp_path / "hits.bed"
    bed.write_text("a\t100\t110\tm\t0\t-\n")
    found = find_sites(str(bed), [], AllA(), 0.5, 0)
    assert found.backgrounds == [None]
    assert found.hits[0].strand == "-"
    assert found.told == ["1 hits have no place of their G+C beside them as background"]
