"""Scores of arrays: against other implementations, hand-computed values, and what must not change
them.
"""

from __future__ import annotations

from pathlib import Path

import bioframe
import cooler
import numpy as np
import pandas as pd
import pytest
from cooltools import insulation as cooltools_insulation
from cooltools.api.eigdecomp import cis_eig
from scipy import stats

from orca_cool.maps.metrics import (
    Moments,
    Sample,
    compartments,
    diamond,
    insulation,
    moments,
    pearson,
    scc,
    shared_pixels,
    smooth,
    spearman,
)


def pair(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two correlated symmetric maps with a few unknown bins."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n, n))
    a, b = a + a.T, a + a.T + 1.5 * (b + b.T)
    a[7], a[:, 7] = np.nan, np.nan
    b[20, 25] = b[25, 20] = np.nan
    return a, b


def distance(n: int) -> np.ndarray:
    return np.abs(np.subtract.outer(np.arange(n), np.arange(n)))


def test_r_of_all_of_each_distance_and_within_distances():
    a, b = pair()
    found = moments(a, b, 2, 40)
    i, j = np.nonzero(np.triu(np.isfinite(a) & np.isfinite(b), 2) & (distance(60) <= 40))
    assert found.pixels == len(i)
    assert found.r() == pytest.approx(stats.pearsonr(a[i, j], b[i, j]).statistic, rel=1e-12)
    x, y = a[i, j].copy(), b[i, j].copy()
    for d in range(2, 41):
        at = j - i == d
        assert found.by_stratum()[d] == pytest.approx(np.corrcoef(x[at], y[at])[0, 1], rel=1e-10)
        x[at] -= x[at].mean()
        y[at] -= y[at].mean()
    assert found.within() == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-12)
    assert np.isnan(found.by_stratum()[[0, 1, 41, 59]]).all()


def test_pieces_add_up_to_the_whole():
    a, b = pair()
    a += 1e4  # sums of squares would lose the variance
    i, j = shared_pixels(a, b, 1)
    whole = Moments(60).add(a[i, j], b[i, j], j - i)
    streamed = Moments(60)
    for part in np.array_split(np.random.default_rng(1).permutation(len(i)), 23):
        streamed.merge(Moments(60).add(a[i, j][part], b[i, j][part], (j - i)[part]))
    for name in ("r", "within", "scc"):
        assert getattr(streamed, name)() == pytest.approx(getattr(whole, name)(), rel=1e-9)
    np.testing.assert_allclose(streamed.by_stratum(), whole.by_stratum(), rtol=1e-7)
    assert whole.r() == pytest.approx(stats.pearsonr(a[i, j], b[i, j]).statistic, rel=1e-9)


def test_functions_of_distance_change_no_r_within_distances():
    a, b = pair()
    trend = 3 * np.log1p(distance(60))
    before, after = moments(a, b), moments(a + trend, b - 2 * trend)
    assert after.within() == pytest.approx(before.within(), rel=1e-9)
    np.testing.assert_allclose(after.by_stratum(), before.by_stratum(), rtol=1e-7)
    assert abs(after.r() - before.r()) > 0.5
    assert moments(trend, trend).r() == pytest.approx(1)
    assert np.isnan(moments(trend, b).within())


@pytest.mark.parametrize(
    "score", [lambda a, b: pearson(a, b)[0], lambda a, b: moments(a, b).within(), scc, compartments]
)
def test_scores_are_symmetric(score):
    a, b = pair()
    assert score(a, b) == pytest.approx(score(b, a), rel=1e-12)


def test_constants_have_no_r():
    assert np.isnan(
        Moments().add(np.full(1000, 0.1), np.random.default_rng(0).normal(size=1000)).r()
    )
    assert np.isnan(Moments().add(np.array([1.0, 2.0]), np.array([1.0, 2.0])).r())
    assert np.isnan(Moments().r())


def test_spearman_is_scipys():
    rng = np.random.default_rng(2)
    x = rng.integers(0, 9, 500).astype(float)
    y = x**3 + rng.normal(0, 100, 500)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)
    assert spearman(x, np.exp(x)) == pytest.approx(1)


def test_scc_by_hand():
    """Distance 0: three pixels, r = 1; distance 1: two pixels, r = -1; distance 2: one pixel,
    nothing to say.
    """
    a = np.array([[1.0, 5, 0], [5, 2, 6], [0, 6, 3]])
    b = np.array([[2.0, 4, 7], [4, 4, 1], [7, 1, 6]])
    assert scc(a, b) == pytest.approx((4 / 12 * 1 + 3 / 12 * -1) / (4 / 12 + 3 / 12))


def test_scc_is_the_publications_formula():
    a, b = pair(40)
    total = weights = 0.0
    for d in range(38):
        x, y = np.diagonal(a, d), np.diagonal(b, d)
        both = np.isfinite(x) & np.isfinite(y)
        x, y = x[both], y[both]
        u, v = (stats.rankdata(k, method="ordinal") / len(x) for k in (x, y))
        w = len(x) * np.sqrt(u.var(ddof=1) * v.var(ddof=1))
        total, weights = total + w * np.corrcoef(x, y)[0, 1], weights + w
    assert scc(a, b, farthest=37) == pytest.approx(total / weights, rel=1e-12)


def test_scc_of_equal_and_opposite_maps():
    a, _ = pair()
    assert scc(a, a) == pytest.approx(1)
    assert scc(a, -a) == pytest.approx(-1)
    assert scc(a, 5 * a + distance(60)) == pytest.approx(1)
    flat = np.where(distance(60) == 3, 2.0, a)  # a distance without variance counts for nothing
    assert scc(flat, flat) == pytest.approx(1)
    assert np.isnan(scc(distance(60) * 1.0, a))
    b = np.random.default_rng(5).permutation(a.ravel()).reshape(60, 60)
    assert abs(scc(a, b)) < 0.1


def test_smoothing_takes_what_is_there():
    m = np.arange(16.0).reshape(4, 4)
    m[1, 1] = np.nan
    found = smooth(m, 1)
    assert np.isnan(found[1, 1])
    assert found[0, 0] == pytest.approx((0 + 1 + 4) / 3)
    assert found[2, 2] == pytest.approx((6 + 7 + 9 + 10 + 11 + 13 + 14 + 15) / 8)
    np.testing.assert_array_equal(smooth(m, 0), m)
    a, b = pair()
    assert scc(a, b, h=2) == pytest.approx(scc(smooth(a, 2), smooth(b, 2)))


def test_diamond_by_hand():
    m = np.arange(36.0).reshape(6, 6)
    m = m + m.T
    mean, count = diamond(m, 2, 0)
    # across bin 2: rows 1, 2 and columns 2, 3
    assert mean[2] == pytest.approx((m[1, 2] + m[1, 3] + m[2, 2] + m[2, 3]) / 4)
    assert count.tolist() == [0, 4, 4, 4, 4, 0]
    mean, count = diamond(m, 2, 2)
    assert (mean[2], count[2]) == (pytest.approx(m[1, 3]), 1)
    m[1, 3] = np.nan
    assert np.isnan(diamond(m, 2, 2)[0][2])


def test_diamond_is_cooltools(tmp_path: Path):
    """log2 of the mean contact, but for a constant, at every bin whose diamond lies within the
    chromosome.
    """
    rng, n, size, window = np.random.default_rng(4), 120, 1000, 8
    bins = cooler.binnify(pd.Series({"c": n * size}), size)
    bins["weight"] = rng.uniform(0.05, 0.2, n)
    bins.loc[[30, 31, 77], "weight"] = np.nan
    i, j = np.triu_indices(n)
    counts = rng.poisson(500 / (1 + j - i) * (1 + ((i // 25) == (j // 25))))
    pixels = pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": counts})
    cooler.create_cooler(
        str(tmp_path / "m.cool"), bins, pixels[pixels["count"] > 0], dtypes={"count": int}
    )
    with cooler.Cooler(str(tmp_path / "m.cool")).open("r+") as group:
        group["bins/weight"].attrs["ignore_diags"] = 2
    c = cooler.Cooler(str(tmp_path / "m.cool"))
    view = bioframe.make_viewframe(c.chromsizes)
    table = cooltools_insulation(c, [window * size], view_df=view, ignore_diags=2)
    theirs = table[f"log2_insulation_score_{window * size}"].to_numpy()
    mean, count = diamond(c.matrix(balance=True)[:], window, 2)
    inner = np.arange(window - 1, n - window + 1)
    np.testing.assert_array_equal(
        count[inner], table[f"n_valid_pixels_{window * size}"].to_numpy()[inner]
    )
    difference = np.log2(mean[inner]) - theirs[inner]
    assert np.isfinite(theirs[inner]).sum() > 90
    np.testing.assert_allclose(
        difference[np.isfinite(theirs[inner])], np.nanmedian(difference), atol=1e-9
    )


def test_insulation_looks_at_the_pixels_that_both_have():
    a, b = pair()
    x, y = insulation(a, a, 5)
    np.testing.assert_array_equal(x, y)
    x, y = insulation(a, b, 5)
    masked = np.where(np.isfinite(b), a, np.nan)
    np.testing.assert_allclose(
        x, diamond(masked, 5)[0][[k for k in range(4, 56) if diamond(masked, 5)[1][k] >= 11]]
    )
    assert len(insulation(a, b, 31)[0]) == 0  # no diamond lies within


def checkerboard(n: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    state = np.where((np.arange(n) // 10) % 2, 1.0, -1.0)
    noise = rng.normal(0, 0.2, (n, n))
    return state, 0.5 * np.outer(state, state) + noise + noise.T


def test_compartments_are_found_whatever_their_sign():
    state, y = checkerboard()
    _, z = checkerboard(seed=1)
    assert compartments(y, z) > 0.95
    assert compartments(y, z - 0.8 * np.log1p(distance(80))) > 0.95
    rng = np.random.default_rng(3)
    other = rng.permutation(state)
    assert compartments(y, 0.5 * np.outer(other, other) + rng.normal(0, 0.01, y.shape)) < 0.5
    assert np.isnan(compartments(y[:31, :31], z[:31, :31]))
    assert np.isnan(compartments(y, np.zeros_like(y)))
    y[:60] = np.nan  # bins without pixels do not count, and then there are too few
    y[:, :60] = np.nan
    assert np.isnan(compartments(y, z))


def test_compartments_are_cooltools():
    _, y = checkerboard()
    _, z = checkerboard(seed=1)
    values, vectors = zip(*(cis_eig(np.exp(m), n_eigs=1) for m in (y, z)))
    assert np.isfinite(values).all()
    theirs = abs(np.corrcoef(vectors[0][0], vectors[1][0])[0, 1])
    assert compartments(y, z) == pytest.approx(
        theirs, abs=0.002
    )  # cooltools puts 1 on the diagonals that are left out here


def test_sample_keeps_everything_that_fits():
    one = Sample(100)
    one.add(np.arange(60.0), -np.arange(60.0))
    one.add(np.arange(60.0, 90), -np.arange(60.0, 90))
    x, y = one.pairs
    assert sorted(x) == list(range(90))
    np.testing.assert_array_equal(y, -x)


def test_sample_is_bounded_uniform_and_repeatable():
    def draw(seed: int) -> Sample:
        one, two = Sample(2000, seed), Sample(2000, seed + 100)
        for k in range(40):
            (one if k % 2 else two).add(np.arange(k * 500, (k + 1) * 500), np.zeros(500))
        one.merge(two)
        assert sum(r.shape[1] for r in one._rows) <= 4000
        return one

    x, _ = draw(1).pairs
    assert len(x) == len(set(x)) == 2000
    assert stats.kstest(x / 20000, "uniform").pvalue > 0.001
    np.testing.assert_array_equal(x, draw(1).pairs[0])
    assert not np.array_equal(x, draw(2).pairs[0])
