"""The objective "e1": that of numpy's eigenvector, its derivative, its level, its sign."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from orca_cool.errors import RegionError
from orca_cool.genome.composition import gc_content
from orca_cool.genome.regions import Region
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.tracks import first_eigenvector
from orca_cool.model.bundle import save_bundle
from orca_cool.perturb.gradient import Differentiable
from orca_cool.perturb.objective import PredictedMap
from orca_cool.perturb.objective_text import parse_objective
from orca_cool.perturb.watched import Watched

N, R = 24, 1000


def checkers(seed: int, gap: int | None = None) -> tuple[ContactMap, np.ndarray]:
    """A map of 24 bins in two compartments, with noise, and a composition that follows them."""
    rng = np.random.default_rng(seed)
    side = rng.choice([-1.0, 1.0], N)
    noise = rng.normal(size=(N, N))
    values = 0.6 * np.outer(side, side) + 0.2 * (noise + noise.T)
    if gap is not None:
        values[gap], values[:, gap] = np.nan, np.nan
    m = ContactMap(values, np.ones((N, N)), 0.0, Region("chr1", 0, N * R), R)
    return m, 0.4 + 0.05 * side + 0.01 * rng.normal(size=N)


def objective(k: int):
    return parse_objective(f"e1 chr1:{k * R + 7:,}")


@pytest.mark.parametrize("gap", [None, 9])
def test_it_is_the_eigenvector_that_files_have(gap):
    m, gc = checkers(1, gap)
    wanted = first_eigenvector(np.asarray(m.values, float), gc)
    for sign in (1, -1):
        seen = PredictedMap.of(m, gc=sign * gc)
        found = [float(objective(k)(seen)) for k in range(N) if k != gap]
        np.testing.assert_allclose(found, sign * wanted[np.isfinite(wanted)], atol=1e-10)
    assert abs(wanted[np.isfinite(wanted)] @ gc[np.isfinite(wanted)]) > 1


def test_the_derivative_is_that_of_finite_differences():
    m, gc = checkers(2, gap=5)
    seen = PredictedMap.of(m, gc=gc)
    values = torch.nan_to_num(seen.values).requires_grad_()
    (found,) = torch.autograd.grad(
        objective(14)(PredictedMap(**(seen.__dict__ | {"values": values}))), values
    )
    plain = np.nan_to_num(np.asarray(m.values, float))
    known = seen.known.numpy()
    for i, j in [(14, 3), (14, 14), (2, 20), (11, 12), (5, 14)]:
        both = []
        for size in (1e-6, -1e-6):
            changed = plain.copy()
            changed[i, j] += size
            changed = np.where(known, 0.5 * (changed + changed.T), np.nan)
            both.append(first_eigenvector(changed, gc)[14])
        slope = (both[0] - both[1]) / 2e-6
        assert float(found[i, j]) == pytest.approx(slope, abs=2e-7)
    assert float(found.abs().max()) > 1e-3


def test_a_change_does_not_turn_it_over():
    """The composition says nothing, so that rounding would choose the sign."""
    m, gc = checkers(3)
    e1 = first_eigenvector(np.asarray(m.values, float), gc)
    flat = gc - np.outer(e1, e1 / N).dot(gc - gc.mean())  # no more than rounding along E1
    before = first_eigenvector(np.asarray(m.values, float), flat)
    values = m.values + 0.01 * np.add.outer(np.arange(N), np.arange(N)) / N
    after = ContactMap(values, m.expected, m.eps, m.region, R)
    for turned in (1, -1):
        opposite = turned * flat + (1e-9 * e1 if turned == 1 else 0)
        seen = PredictedMap.of(after, m, gc=opposite)
        found = [float(objective(k)(seen)) for k in range(N)]
        own = first_eigenvector(np.asarray(m.values, float), opposite)
        assert np.corrcoef(found, own)[0, 1] > 0.99
    assert np.isfinite(before).all()


def test_maps_without_e1_are_one_line():
    distance = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    region = Region("chr1", 0, N * R)
    for values, message in (
        (-0.1 * distance, "the map depends on distance alone"),
        (np.where(distance < 1e9, np.nan, 0), "means nothing"),
    ):
        m = ContactMap(values, np.ones((N, N)), 0.0, region, R)
        with pytest.raises(RegionError, match=message) as error:
            objective(3)(PredictedMap.of(m, gc=np.zeros(N)))
        assert "'e1 chr1:3,007'" in str(error.value)
    with pytest.raises(RegionError, match="needs the share of G and C"):
        objective(3)(checkers(1)[0])


# ---- of a model


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A toy model whose windows are 1,280 to 5,120 bp; chromosome b is shorter than the larger."""
    folder = tmp_path_factory.mktemp("e1")
    spec = make_toy_spec(bins=32)
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    rng = np.random.default_rng(4)
    text = ""
    for name, length in {"a": 12_000, "b": 2_400}.items():
        text += f">{name}\n" + "".join(rng.choice(list("ACGT"), length)) + "\n"
    (folder / "g.fa").write_text(text)
    return oc.Predictor(
        str(folder / "toy"), str(folder / "g.fa"), any_genome=True, progress=False, device="cpu"
    )


def test_the_level_is_the_finest_that_holds_the_chromosome(toy):
    seen = Watched(toy._engine, parse_objective("e1 b:1,000"))
    placed = seen.placed
    assert placed.resolution == 80  # 32 bins are 2,560 bp
    assert placed.start == 0
    # of the module that reads several chromosomes: 32 bins are 20,480 bp
    whole = Watched(toy._engine, parse_objective("e1 a:6,000")).placed
    assert (whole.module.name, whole.resolution) == ("G", 640)
    assert Watched(toy._engine, parse_objective("e1 a:6,000"), "160").placed.module.name == "S"
    assert Watched(toy._engine, parse_objective("e1 b:1,000"), "40").placed.resolution == 40
    # the map that is predicted around there, without what overhangs, and what its bins consist of
    m = toy.zoom(f"b:{placed.position}", module="S", edges="real")[80]
    assert m.start == 0
    wanted = first_eigenvector(
        np.asarray(m.values, float)[:30, :30], gc_content(toy.genome.source, "b", 80)
    )
    assert seen.value == pytest.approx(wanted[1_000 // 80], abs=1e-4)


def test_its_gradient_by_the_bases(toy):
    seen = Watched(toy._engine, parse_objective("e1 b:1,000"))
    function = Differentiable(seen, Region("b", 900, 1_100), torch.float64)
    _, found = function.gradient(function.bases)
    for k in found.abs().flatten().argsort(descending=True)[:3].tolist():
        step = torch.zeros_like(function.bases)
        step.view(-1)[k] = 1e-5
        slope = function.value(function.bases + step) - function.value(function.bases - step)
        assert float(found.flatten()[k]) == pytest.approx(slope / 2e-5, rel=1e-3)
