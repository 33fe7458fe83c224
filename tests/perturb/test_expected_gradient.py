"""Expected gradients: unbiased against all shuffles and the whole way, and their sum."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from orca_cool.errors import RegionError
from orca_cool.genome.regions import Region
from orca_cool.genome.source import one_hot
from orca_cool.model.bundle import save_bundle
from orca_cool.perturb.expected_gradient import expected, shuffled
from orca_cool.perturb.gradient import Differentiable
from orca_cool.perturb.objective_text import parse_objective
from orca_cool.perturb.watched import Watched

PIXEL, PROFILE = "pixel a:5,700 a:6,300", "profile b a:6,010"

#: ACAGACTA at 6,000: its shuffles are few enough to be listed.
SMALL, START = "ACAGACTA", 6_000


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A toy model whose window is 5,120 bp, and a genome with a few N."""
    folder = tmp_path_factory.mktemp("expected")
    spec = make_toy_spec(bins=32)
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    letters = np.random.default_rng(4).choice(list("ACGT"), 12_000)
    letters[START : START + len(SMALL)] = list(SMALL)
    letters[6_100:6_103] = "N"
    (folder / "g.fa").write_text(">a\n" + "".join(letters) + "\n")
    return oc.Predictor(
        str(folder / "toy"), str(folder / "g.fa"), any_genome=True, progress=False, device="cpu"
    )


def function(toy, region: Region, text: str = PROFILE) -> Differentiable:
    return Differentiable(Watched(toy._engine, parse_objective(text)), region)


def pairs(codes) -> list[tuple[int, int]]:
    return sorted(zip(codes[:-1], codes[1:]))


def test_a_mean_of_many_seeds_is_the_mean_over_all_shuffles_and_the_whole_way(toy):
    f = function(toy, Region("a", START, START + len(SMALL)))
    codes = toy.genome.source.fetch("a", START, START + len(SMALL))
    assert "".join("ACGT"[c] for c in codes) == SMALL
    # all sequences of the same letters with the same pairs, which also have the same ends
    every = {
        (codes[0], *middle, codes[-1])
        for middle in set(itertools.permutations(codes[1:-1].tolist()))
        if pairs((codes[0], *middle, codes[-1])) == pairs(codes)
    }
    assert len(every) == 6
    places = (np.arange(48) + 0.5) / 48  # the networks bend where a unit is switched off
    exact, differences = np.zeros((len(SMALL), 4)), []
    x = f.bases
    for baseline in every:
        b = one_hot(np.array(baseline, np.uint8))
        for place in places:
            slope = f.gradient(b + place * (x - b))[1]
            exact += ((x - b) * slope).T.double().numpy() / len(places) / len(every)
        differences.append(f.value(x) - f.value(b))
    assert exact.sum() == pytest.approx(np.mean(differences), rel=0.02)
    some = np.array([expected(f, 3, seed).scores for seed in range(60)])
    error = some.std(axis=0, ddof=1) / np.sqrt(len(some))
    assert (np.abs(some.mean(axis=0) - exact) <= 4 * error + 1e-8).all()
    assert error.max() < 0.25 * np.abs(exact).max()  # so that the line before says something


def test_the_sum_is_the_mean_difference_within_its_error(toy):
    f = function(toy, Region("a", 5_950, 6_150))
    codes = toy.genome.source.fetch("a", 5_950, 6_150)
    before = None
    for number in (4, 64):
        found = expected(f, number, seed=3)
        differences = []
        for k in range(number):
            baseline = one_hot(shuffled(codes, np.random.default_rng([3, k])))
            differences.append(f.value(f.bases) - f.value(baseline))
        assert found.difference == pytest.approx(np.mean(differences), abs=1e-6)
        assert abs(found.scores.sum() - found.difference) < 4 * found.error
        assert before is None or found.error < 0.5 * before
        before = found.error
    assert abs(found.scores.sum() - found.difference) < 0.1 * np.std(differences)


def test_n_stays_and_pairs_are_kept(toy):
    codes = toy.genome.source.fetch("a", 6_050, 6_150)
    drawn = shuffled(codes, np.random.default_rng(8))
    np.testing.assert_array_equal(np.flatnonzero(drawn == 4), [50, 51, 52])
    for part in (slice(0, 50), slice(53, 100)):
        assert pairs(drawn[part].tolist()) == pairs(codes[part].tolist())
        assert not np.array_equal(drawn[part], codes[part])
    found = oc.attribute.expected(toy, "a:6,050-6,150", PIXEL, baselines=2, seed=1)
    assert not found.scores[50:53].any()
    np.testing.assert_allclose(found.projected, found.scores.sum(axis=1))


def test_both_strands_count_alike(toy):
    """The gradient at a share of the way is that of a float64 copy, which has no blocks."""
    f = function(toy, Region("a", START, START + 30), PIXEL)
    codes = toy.genome.source.fetch("a", START, START + 30)
    rng = np.random.default_rng([7, 0])
    baseline = one_hot(shuffled(codes, rng))
    share = rng.random()
    plain = Differentiable(f.watched, f.region, torch.float64)
    step = plain.bases - baseline
    at = baseline + share * step
    size, slopes = 1e-5, torch.zeros_like(at)
    strong = step.abs().flatten().nonzero().flatten()[:12].tolist()
    for k in strong:
        change = torch.zeros_like(at)
        change.view(-1)[k] = size
        slopes.view(-1)[k] = (plain.value(at + change) - plain.value(at - change)) / (2 * size)
    wanted = (step * slopes).T.numpy()
    found = expected(f, 1, seed=7)
    looked = np.zeros((4, 30), bool)
    looked.reshape(-1)[strong] = True
    np.testing.assert_allclose(found.scores[looked.T], wanted[looked.T], rtol=1e-3, atol=1e-8)
    assert np.isnan(found.error)


def test_no_baselines_is_an_error(toy):
    with pytest.raises(RegionError, match="baselines 0 must be at least 1"):
        oc.attribute.expected(toy, "a:6,050-6,150", PIXEL, baselines=0)
