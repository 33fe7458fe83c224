"""Objectives: the numbers that plain loops take from the same map, their derivatives, their texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import orca_cool as oc
from orca_cool.effects.scores import dot_change, log_insulation
from orca_cool.errors import ModelError, RegionError
from orca_cool.genome.regions import Region
from orca_cool.maps.contact_map import ContactMap
from orca_cool.perturb.objective import PredictedMap
from orca_cool.perturb.objective_text import parse_objective

N, R, START = 40, 1000, 20_000


def random_map(seed: int, gap: int | None = None) -> ContactMap:
    """A symmetric map of 40 bins of 1 kb from chr1:20,000; ``gap`` : a bin that is not known."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(N, N))
    values = (0.5 * (values + values.T)).astype(np.float32)
    if gap is not None:
        values[gap], values[:, gap] = np.nan, np.nan
    distance = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    region = Region("chr1", START, START + N * R)
    return ContactMap(values, 1 / (1.0 + distance), 0.01, region, R)


def at(k: int) -> str:
    """A position in bin k, not at its start."""
    return f"chr1:{START + k * R + 137:,}"


def test_pixel_and_rect_are_means_of_their_pixels():
    m = random_map(1)
    assert float(oc.objective.pixel(at(12), at(25))(m)) == pytest.approx(m.values[12, 25])
    text = (
        f"rect chr1:{START + 5 * R}-{START + 8 * R} chr1:{START + 20 * R + 1}-{START + 23 * R + 1}"
    )
    wanted = np.mean([m.values[i, j] for i in (5, 6, 7) for j in (20, 21, 22, 23)])
    assert float(parse_objective(text)(m)) == pytest.approx(wanted)


def test_a_rect_leaves_out_what_is_not_known():
    m = random_map(2, gap=21)
    text = f"rect chr1:{START + 5 * R}-{START + 6 * R} chr1:{START + 20 * R}-{START + 23 * R}"
    wanted = np.mean([m.values[5, 20], m.values[5, 22]])
    assert float(parse_objective(text)(m)) == pytest.approx(wanted)


@pytest.mark.parametrize("gap", [None, 23])
def test_dot_is_the_square_less_the_ring(gap):
    m, i, j = random_map(3, gap), 12, 25
    square, ring = [], []
    for a in range(i - 5, i + 6):
        for b in range(j - 5, j + 6):
            reach = max(abs(a - i), abs(b - j))
            if np.isfinite(m.values[a, b]):
                square += [m.values[a, b]] * (reach <= 1)
                ring += [m.values[a, b]] * (reach >= 3)
    wanted = np.mean(square) - np.mean(ring)
    found = float(oc.objective.dot(at(i), at(j))(m))
    assert found == pytest.approx(wanted, abs=1e-6)
    assert found == pytest.approx(dot_change(m.values.astype(float), i, j), abs=1e-6)


@pytest.mark.parametrize("gap", [None, 17])
def test_insulation_is_the_product_s_score_less_its_mean(gap):
    m, k = random_map(4, gap), 20

    def score(i: int) -> float:
        """log2 of the mean contact of a 10 x 10 diamond without its two diagonals."""
        values = [
            m.frequency[i - a, i + b]
            for a in range(10)
            for b in range(10)
            if a + b >= 2 and np.isfinite(m.frequency[i - a, i + b])
        ]
        return float(np.log2(np.mean(values)))

    bins = [i for i in range(9, N - 9) if i != gap]
    wanted = score(k) - np.mean([score(i) for i in bins])
    assert float(oc.objective.insulation(at(k))(m)) == pytest.approx(wanted, abs=1e-9)
    gaps = None if gap is None else np.arange(N) == gap
    track = log_insulation(m.frequency, gaps, 10)
    assert wanted == pytest.approx(track[k] - np.nanmean(track), abs=1e-9)


def test_row_is_the_mean_change_of_the_bin_s_contacts():
    before, after = random_map(5, gap=30), random_map(6)
    change = np.abs(after.log_frequency - before.log_frequency)[14]
    found = float(oc.objective.row(at(14))(after, before))
    assert found == pytest.approx(np.nanmean(change), abs=1e-9)
    assert float(oc.objective.row(at(14))(before, before)) == 0.0
    with pytest.raises(RegionError, match="compares with a reference"):
        oc.objective.row(at(14))(after)


def test_difference_is_of_two_cell_types():
    a, b = random_map(7), random_map(8)
    both = {"a": PredictedMap.of(a), "b": PredictedMap.of(b)}
    seen = PredictedMap(**(both["a"].__dict__ | {"cell_types": both}))
    objective = parse_objective(f"difference a b dot {at(12)} {at(25)}")
    one = oc.objective.dot(at(12), at(25))
    assert float(objective(seen)) == pytest.approx(float(one(a) - one(b)))
    assert objective.cell_types == ("a", "b")
    with pytest.raises(ModelError, match="no map of cell type 'c'; there are: a, b"):
        parse_objective(f"difference a c pixel {at(1)} {at(2)}")(seen)


@pytest.mark.parametrize(
    "text",
    [
        f"pixel {at(12)} {at(25)}",
        f"dot {at(12)} {at(25)}",
        f"insulation {at(20)}",
        f"row {at(14)}",
        f"rect chr1:{START + 5 * R}-{START + 8 * R} chr1:{START + 20 * R}-{START + 23 * R}",
    ],
)
def test_gradients_equal_finite_differences(text):
    objective = parse_objective(text)
    m, reference = random_map(9, gap=31), random_map(10)
    seen = PredictedMap.of(m, reference)
    values = torch.nan_to_num(seen.values).requires_grad_()

    def value(v: torch.Tensor) -> torch.Tensor:
        return objective(PredictedMap(**(seen.__dict__ | {"values": v})))

    (found,) = torch.autograd.grad(value(values), values)
    rng = np.random.default_rng(0)
    read = found.nonzero()
    some = read[rng.choice(len(read), min(len(read), 8), replace=False)].tolist()
    for i, j in [*some, [0, 39], [31, 12]]:
        step = torch.zeros_like(values)
        step[i, j] = 1e-6
        slope = float(value(values.detach() + step) - value(values.detach() - step)) / 2e-6
        assert float(found[i, j]) == pytest.approx(slope, abs=1e-7)


def test_one_s_own_objective_is_a_function():
    m = random_map(11)
    mine = oc.objective.custom(lambda p: p.values[p.bin(START + 137)].max(), "chr1:20,000-21,000")
    assert float(mine(m)) == m.values[0].max()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loop chr1:5 chr1:9", "'loop chr1:5 chr1:9' is not understood; it is one of: pixel"),
        ("", "objective '' is not understood"),
        ("pixel chr1:5", "write it as 'pixel POSITION POSITION'"),
        ("dot chr1:5 chr2:9", "is between 'chr1' and 'chr2'"),
        ("dot chr1:5 chr1:x", "position 'chr1:x' is not understood"),
        ("rect chr1:5-9 chr1:9-5", "region 'chr1:9-5' is not understood"),
        ("row chr1", "position 'chr1' is not understood"),
        ("profile CTCF", "write it as 'profile NAME POSITION'"),
        ("difference a b", "write it as 'difference TYPE TYPE OBJECTIVE'"),
        ("difference a b loop 1 2", "'loop 1 2' is not understood"),
        ("difference a b profile CTCF chr1:5", "is not one of a cell type's map"),
    ],
)
def test_texts_that_are_no_objective(text, message):
    with pytest.raises((RegionError, ModelError)) as error:
        parse_objective(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_objective_outside_of_its_map_is_an_error():
    m = random_map(12)
    for objective in (
        oc.objective.pixel("chr1:100", at(3)),
        oc.objective.insulation(at(5)),
        oc.objective.dot(at(4), at(20)),
    ):
        with pytest.raises(RegionError, match="does not lie in chr1:20,000-60,000"):
            objective(m)
    with pytest.raises(RegionError, match="in a gap"):
        oc.objective.pixel(at(7), at(9))(random_map(1, gap=9))
