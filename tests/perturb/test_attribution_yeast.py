"""A known truth in the shipped model: what its map of metaphase depends on around CEN2 is CEN2."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import orca_cool as oc

#: The centromere of chromosome II.
CEN2 = (238_208, 238_325)
OBJECTIVE = "insulation chrII:238,265"


@pytest.fixture(scope="module")
def yeast():
    return oc.Predictor("yeast-metaphase", "example", progress=False)


def test_the_gradient_s_top_positions_lie_in_cen2(yeast):
    found = oc.attribute.gradient(yeast, "chrII:236,000-240,000", OBJECTIVE)
    top = found.top(10)
    assert all(CEN2[0] <= position < CEN2[1] for position in top), top


@pytest.mark.slow
def test_the_units_of_ten_bases_that_matter_lie_in_cen2(yeast):
    region = "chrII:238,065-238,465"
    found = oc.attribute.shuffle(yeast, region, OBJECTIVE, runs=1, seed=1)
    top = np.argsort(-np.abs(found.scores))[:2]
    assert len(found.units) == 40
    for start, end in found.units[top]:
        assert CEN2[0] < end, (start, end)
        assert start < CEN2[1], (start, end)


@pytest.mark.slow
def test_the_python_of_the_documentation_runs(tmp_path, monkeypatch):
    pytest.importorskip("logomaker", reason="logomaker is not installed (orca-cool[perturb])")
    text = (Path(__file__).parents[2] / "docs" / "attribution.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)
    assert {path.name for path in tmp_path.iterdir()} == {"cen2.bw", "cen2.parquet", "cen2.png"}
    assert np.abs(names["found"].projected).max() > 0
