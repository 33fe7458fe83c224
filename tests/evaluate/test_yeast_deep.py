"""The shipped model `yeast-deep` on a chromosome that it never saw, with the package's own genome
and measured map: the figures that its bundle reports.
"""

from __future__ import annotations

from pathlib import Path

import cooler
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


def fewest(y: np.ndarray) -> tuple[int, float]:
    """The bin that has least log observed/expected with those 100 to 400 kb away, and how much
    less than the median bin.
    """
    apart = np.abs(np.subtract.outer(np.arange(len(y)), np.arange(len(y))))
    rows = np.array([np.nanmean(v) for v in np.where((apart >= 10) & (apart < 40), y, np.nan)])
    return int(np.nanargmin(rows)), float(np.nanmedian(rows) - np.nanmin(rows))


@pytest.mark.slow
def test_the_deep_model_draws_the_cross_where_the_centromere_is():
    """CEN2 (238,207 to 238,323) lies in bin 23, which has fewest contacts, measured and predicted."""
    window = oc.Predictor("yeast-deep", "example", progress=False).predict("chrII", 10_000)
    balanced = cooler.Cooler(f"{MAP}::resolutions/10000").matrix(balance=True).fetch("chrII")
    assert balanced.shape == window.values.shape
    seen = np.where(balanced > 0, balanced, np.nan)
    measured, predicted = fewest(np.log(seen / window.expected)), fewest(window.values)
    assert measured[0] == predicted[0] == 23
    assert measured[1] > predicted[1] > 0.4
