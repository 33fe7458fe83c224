"""Which frequency is added to observed and expected before the logarithm, of modules that read
several chromosomes: by the level's table, or the smallest expected of the window.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from conftest import Chromosomes, make_toy_expected, make_toy_model, make_toy_spec

from orca_cool.errors import ModelError
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.orca_spec import orca_spec
from orca_cool.model.spec import ModelSpec
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.region import RegionMaps

TRANS = 2e-5


def engine_of(folder: Path, eps: str) -> OrcaEngine:
    spec = make_toy_spec()
    modules = tuple(dataclasses.replace(m, eps=eps) for m in spec.modules if m.multi_chromosome)
    spec = dataclasses.replace(spec, modules=modules, base_decoder=None)
    rng = np.random.default_rng(1)
    codes = {c: rng.integers(0, 4, n).astype(np.uint8) for c, n in (("a", 20_480), ("b", 9_600))}
    model = load_bundle(save_bundle(folder / eps, make_toy_model(spec), make_toy_expected(spec)))
    return make_engine(model, Chromosomes(**codes), "cpu")  # type: ignore[return-value]


def test_a_zoom_has_the_eps_of_its_window(tmp_path):
    """Values are the same; by the window the eps is the smallest expected that it has, within a
    chromosome many times that between chromosomes.
    """
    found = {}
    for eps in ("table", "window"):
        engine = engine_of(tmp_path, eps)
        module = engine.spec.module("G")
        segments = [Segment("a", 0, 5_120), Segment("b", 0, 5_120)]
        ends = {640: 0, 320: 0, 160: 0}
        middle = {640: 0, 320: 8, 160: 24}
        found[eps] = [engine.zoom_concatenated(module, segments, s) for s in (ends, middle)]
    for by_table, by_window in zip(*found.values()):
        for one, other in zip(by_table, by_window):
            np.testing.assert_array_equal(one.values, other.values)
            assert one.eps <= TRANS
            assert other.eps == other.expected.min()
    within, across = found["window"]
    assert [m.eps > 10 * TRANS for m in within] == [False, True, True]
    assert all(m.eps == pytest.approx(TRANS, rel=0.01) for m in across)


def test_levels_put_together_have_the_eps_of_windows_inside_a_chromosome(tmp_path):
    found = {}
    for eps in ("table", "window"):
        engine = engine_of(tmp_path, eps)
        maps = RegionMaps(engine)
        found[eps] = {r: maps.predict(Region("a", 0, 9_600), r).eps for r in (640, 320, 160)}
        table = engine.expected(engine.spec.module("G"))
    assert found["table"] == pytest.approx(dict.fromkeys((640, 320, 160), TRANS), rel=1e-9)
    assert found["window"][640] == pytest.approx(TRANS, rel=1e-9)
    for r in (320, 160):
        smallest = np.nanmin(table.by_distance(r, 16))
        assert found["window"][r] == pytest.approx(smallest, rel=1e-12)
        assert smallest > 5 * TRANS


def test_bundles_without_the_key_have_the_eps_of_the_table(tmp_path):
    spec = make_toy_spec()
    plain = spec.to_json()
    assert all("eps" not in m for m in plain["modules"])
    assert [m.eps for m in ModelSpec.from_json(plain).modules] == ["table"] * 3
    modules = [dataclasses.replace(m, eps="window") for m in spec.modules]
    changed = dataclasses.replace(spec, modules=tuple(modules))
    assert ModelSpec.from_json(changed.to_json()) == changed
    plain["modules"][1]["eps"] = "smallest"
    with pytest.raises(ModelError, match="eps must be 'table' or 'window', not 'smallest'"):
        ModelSpec.from_json(plain)


def test_the_released_256M_module_has_the_eps_of_its_windows():
    eps = {m.name: m.eps for m in orca_spec("h1esc").modules}
    assert eps == {"32M": "table", "256M": "window", "1M": "table"}
