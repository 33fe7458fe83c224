"""The simulated world: its rules are read from the sequence, and its physics does what is said."""

from __future__ import annotations

import sys
from pathlib import Path

import cooler
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("lefsim", reason="lefsim is not installed")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "world"))

import rules
from contacts import Physics, frequencies
from make import World, make
from sequence import chromosome
from truth import truth

from orca_cool.genome.source import letters_to_codes, reverse_complement

BEST = "".join("ACGT"[k] for k in rules.LOG_ODDS.argmax(1))


def random_codes(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)


def without_sites(length: int, seed: int = 0) -> np.ndarray:
    """Sequence of A and T alone, in which no site is found."""
    return (3 * np.random.default_rng(seed).integers(0, 2, length)).astype(np.uint8)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40))
def test_scores_are_sums_of_log_odds_on_both_strands(seed, length):
    codes = random_codes(length, seed)
    scores = rules.ctcf_scores(codes)
    n = len(rules.LOG_ODDS)
    assert scores.shape == (2, max(0, length - n + 1))
    for k in range(scores.shape[1]):
        piece = codes[k : k + n]
        for strand, own in enumerate((piece, reverse_complement(piece))):
            by_hand = sum(rules.LOG_ODDS[p, base] for p, base in enumerate(own))
            assert scores[strand, k] == pytest.approx(by_hand, abs=1e-4)


def test_a_site_is_found_with_its_strand_and_strength():
    codes = without_sites(20_000)
    site = letters_to_codes(BEST)
    codes[5_000 : 5_000 + len(site)] = site
    codes[12_000 : 12_000 + len(site)] = reverse_complement(site)
    found = rules.features(codes)
    assert list(found.position) == [5_009, 12_009]
    assert list(found.stops_from_right) == [True, False]
    assert (found.strength > 0.9).all()
    weaker = codes.copy()
    weaker[5_004] = 0  # a base of the core, then another one
    assert rules.features(weaker).strength[0] < found.strength[0] - 0.01
    weaker[[5_005, 5_009, 5_012]] = 3  # and three more
    assert list(rules.features(weaker).position) == [12_009]
    codes[5_007] = 4  # N
    assert list(rules.features(codes).position) == [12_009]


def test_ap1_is_read_by_one_cell_type_alone():
    codes = without_sites(20_000)
    codes[7_000:7_010] = letters_to_codes(rules.AP1)
    assert len(rules.features(codes, "a").position) == 0
    found = rules.features(codes, "b")
    assert list(found.position) == [7_005, 7_005]
    assert set(found.stops_from_right) == {True, False}
    with pytest.raises(ValueError, match="'c' is not one of a, b"):
        rules.features(codes, "c")


def test_regions_dense_in_one_motif_are_compartment_a():
    codes = without_sites(600_000)
    for at in range(300_000, 600_000, 900):
        codes[at : at + 8] = letters_to_codes(rules.ETS)
    compartment = rules.features(codes).compartment
    assert compartment.shape == (600,)
    assert (compartment[:230] < -0.9).all()
    assert (compartment[370:] > 0.9).all()


def enrichment(values: np.ndarray, a: int, b: int) -> float:
    """ln observed/expected of 3 x 3 bins, less that of the 13 x 13 around them."""
    n = len(values)
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    expected = np.array([np.diagonal(values, d).mean() for d in range(n)])
    y = np.log(values / expected[distance])
    return float(y[a - 1 : a + 2, b - 1 : b + 2].mean() - y[a - 6 : a + 7, b - 6 : b + 7].mean())


def test_convergent_sites_make_loops_tandem_ones_fewer_divergent_ones_none():
    length, places = 1_200_000, (500_000, 700_000)
    found = {}
    for name, (one, two) in {
        "convergent": (True, False),
        "tandem": (True, True),
        "divergent": (False, True),
    }.items():
        sites = rules.Features(
            np.array(places), np.array([one, two]), np.array([0.95, 0.95]), np.zeros(1200), 1000
        )
        values = [
            frequencies(sites, length, 4000, Physics(snapshots=300), seed) for seed in range(2)
        ]
        found[name] = enrichment(sum(values), *(p // 4000 for p in places))
    assert found["convergent"] > 0.7
    assert found["convergent"] > 1.5 * found["tandem"] > 0
    assert found["divergent"] < 0.2


def across(values: np.ndarray, at: int) -> float:
    """Contacts across a bin, between 8 and 40 bins away on both sides."""
    return float(np.log(values[at - 40 : at - 8, at + 8 : at + 40]).mean())


def test_deleting_a_strong_pair_of_sites_removes_its_boundary():
    length, middle = 1_200_000, 600_000
    codes = without_sites(length)
    site = letters_to_codes(BEST)
    # divergent: one stops what comes from the left, the other what comes from the right
    codes[middle - 3_000 : middle - 3_000 + len(site)] = reverse_complement(site)
    codes[middle + 3_000 : middle + 3_000 + len(site)] = site
    edited = codes.copy()
    edited[middle - 3_000 : middle + 3_100] = without_sites(6_100, 5)
    there, gone, again = (
        across(
            frequencies(rules.features(c), length, 4000, Physics(snapshots=400), seed),
            middle // 4000,
        )
        for c, seed in ((codes, 1), (edited, 1), (edited, 2))
    )
    assert gone - there > 0.3
    assert abs(gone - again) < 0.5 * (gone - there), "a replicate differs by less than the edit"


class Chromosome:
    """One chromosome in memory."""

    name = "made"

    def __init__(self, codes: np.ndarray):
        self.codes, self.chromsizes = codes, {"c": len(codes)}

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        return self.codes[start:end]


def test_the_truth_of_an_edit_changes_where_it_is_and_elsewhere_by_chance_alone():
    length, left, right = 1_200_000, 300_000, 500_000
    codes, site = without_sites(length), letters_to_codes(BEST)
    codes[left : left + len(site)] = site
    codes[right : right + len(site)] = reverse_complement(site)
    source = Chromosome(codes)
    found = truth(source, f"c:{right - 100}-{right + 200} del", physics=Physics(snapshots=300))
    loop = left // 4000, right // 4000
    there, chance, gone = (
        enrichment(m[:300, :300], *loop)
        for m in (found.reference, found.replicate, found.alternate[:300, :300])
    )
    assert there > 0.7
    assert abs(there - chance) < 0.3
    assert gone < 0.4 * there
    far = [np.log(m[200:290, 200:290]).mean() for m in (found.reference, found.alternate)]
    assert abs(far[0] - far[1]) < 0.1
    with pytest.raises(ValueError, match="the edits change nothing"):
        truth(source, "c:1000-1001 sub " + "ACGT"[codes[1000]])


def test_everything_follows_from_the_seed():
    one, two, other = (chromosome(s, 3, 50_000) for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    found = rules.features(chromosome(1, 0, 400_000))
    maps = [frequencies(found, 400_000, 4000, Physics(snapshots=5), seed) for seed in (1, 1, 2)]
    assert np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])


@pytest.mark.filterwarnings("ignore")
def test_a_small_world_is_made_and_goes_on(tmp_path):
    world = World(tmp_path, 2, 600_000, 4000, 3, 200_000, 1, Physics(snapshots=10))
    make(world)
    first = {p.name: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")}
    assert len(first) == 2
    for cell_type in rules.CELL_TYPES:
        for resolution in (4000, 8000, 16000):
            clr = cooler.Cooler(f"{tmp_path}/world.{cell_type}.mcool::resolutions/{resolution}")
            matrix = clr.matrix().fetch("chr2")
            assert np.isfinite(matrix).mean() > 0.8
        assert clr.info["metadata"]["simulated"]
        total = cooler.Cooler(f"{tmp_path}/world.{cell_type}.mcool::resolutions/4000").info["sum"]
        assert total == pytest.approx(240_000, rel=0.02)
    text = (tmp_path / "world.fa").read_text().split(">")[2].split("\n", 1)[1].replace("\n", "")
    assert text == "".join("ACGT"[c] for c in chromosome(1, 1, 600_000))
    before = (tmp_path / "world.a.mcool").read_bytes()
    (tmp_path / "a" / "chr2.npz").unlink()
    make(world)
    again = {p.name: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")}
    assert again["chr1.npz"] == first["chr1.npz"]
    matrices = [cooler.Cooler(f"{tmp_path}/world.a.mcool::resolutions/4000").matrix()[:]]
    (tmp_path / "old.mcool").write_bytes(before)
    matrices.append(cooler.Cooler(f"{tmp_path}/old.mcool::resolutions/4000").matrix()[:])
    np.testing.assert_array_equal(*matrices)
