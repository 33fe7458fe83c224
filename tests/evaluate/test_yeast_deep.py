"""The shipped model `yeast-deep` on a chromosome that it never saw, with the package's own genome
and measured map: the figures that its bundle reports.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import orca_cool as oc
from orca_cool.model.bundle import load_bundle

DATA = Path(__file__).parents[2] / "orca_cool" / "data"
MAP = DATA / "maps" / "yeast.10kb.mcool"


@pytest.mark.slow
def test_the_deep_model_reaches_its_reported_r():
    reported = load_bundle(DATA / "models" / "yeast-deep").spec.metrics["example, chrII"]
    found = oc.evaluate_model(
        "yeast-deep", "example", MAP, ["chrII"], base=10_000, ceiling=False, progress=False
    )
    assert {str(s.resolution) for s in found.scores} == set(reported) == {"10000", "20000", "40000"}
    for s in found.scores:
        assert s.r == pytest.approx(reported[str(s.resolution)], abs=0.01)


@pytest.mark.slow
def test_the_deep_model_draws_the_cross_where_the_centromere_is():
    """Fewest contacts across the bin of CEN2 (238,207 to 238,323), as in the measured map."""
    window = oc.Predictor("yeast-deep", "example", progress=False).predict("chrII", 10_000)
    y = window.values
    n = len(y)
    i, j = np.triu_indices(n, 2)
    known = np.isfinite(y[i, j]) & (j - i <= 20)
    across = [y[i, j][known & (i < k) & (j > k)].mean() for k in range(5, n - 5)]
    assert abs(5 + int(np.argmin(across)) - 23) <= 1
    assert min(across) < np.mean(across) - 0.1
