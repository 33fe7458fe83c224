"""The partial r given a baseline, against what is left of both maps after least squares."""

from __future__ import annotations

import numpy as np
import pytest

from orca_cool.evaluate.accumulate import LevelSums, ScoreSettings
from orca_cool.evaluate.maps import MeasuredWindow

N, NEAREST = 40, 2


def symmetric(rng: np.random.Generator) -> np.ndarray:
    m = rng.normal(size=(N, N))
    return (m + m.T) / 2


def residual(x: np.ndarray, base: np.ndarray) -> np.ndarray:
    a = np.stack([base, np.ones_like(base)], axis=1)
    return x - a @ np.linalg.lstsq(a, x, rcond=None)[0]


@pytest.fixture
def windows() -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Measured maps, with some pixels missing, and predictions: part of each is the baseline's."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(3):
        position, more, tel = symmetric(rng), symmetric(rng), symmetric(rng)
        measured = position + 0.5 * more + 0.3 * symmetric(rng)
        measured[[3, 7]] = measured[:, [3, 7]] = np.nan
        model = 0.8 * position + 0.2 * more + 0.3 * symmetric(rng)
        found.append((measured, {"model": model, "telomere": tel, "centromere": position}))
    return found


def summed(windows: list[tuple[np.ndarray, dict[str, np.ndarray]]]) -> LevelSums:
    sums = LevelSums("c1", 1000, N, ScoreSettings(nearest=NEAREST))
    for measured, predictions in windows:
        sums.add(MeasuredWindow(measured, None, None), predictions, np.zeros((N, N)))
    return sums


def pooled(windows: list[tuple[np.ndarray, dict[str, np.ndarray]]], name: str) -> float:
    """Partial r of all pixels of all windows, by numpy alone."""
    i, j = np.triu_indices(N, NEAREST)
    y = np.concatenate([m[i, j] for m, _ in windows])
    x = np.concatenate([p["model"][i, j] for _, p in windows])
    b = np.concatenate([p[name][i, j] for _, p in windows])
    ok = np.isfinite(y)
    return float(np.corrcoef(residual(x[ok], b[ok]), residual(y[ok], b[ok]))[0, 1])


def test_beyond_is_the_r_of_what_the_baseline_leaves(windows):
    score = summed(windows).score()
    assert score.beyond == pytest.approx(pooled(windows, "centromere"), abs=1e-9)
    assert 0.2 < score.beyond < score.r


def test_windows_of_chromosomes_merge(windows):
    all_of_them = summed(windows[:1])
    all_of_them.merge(summed(windows[1:]))
    assert all_of_them.score().beyond == pytest.approx(pooled(windows, "centromere"), abs=1e-9)


def test_without_centromeres_it_is_that_of_telomeres(windows):
    for _, predictions in windows:
        del predictions["centromere"]
    assert summed(windows).score().beyond == pytest.approx(pooled(windows, "telomere"), abs=1e-9)


def test_a_model_that_repeats_the_baseline_knows_nothing_beyond_it(windows):
    rng = np.random.default_rng(6)
    for _, predictions in windows:
        predictions["model"] = 2 * predictions["centromere"] + 0.1 * symmetric(rng)
    score = summed(windows).score()
    assert score.r > 0.7
    assert abs(score.beyond) < 0.1


def test_there_is_none_without_baseline_or_where_one_is_not_known_everywhere(windows):
    windows[0][1]["centromere"][5, 9] = np.nan
    assert summed(windows).score().beyond is None
    for _, predictions in windows:
        del predictions["telomere"], predictions["centromere"]
    assert summed(windows).score().beyond is None
