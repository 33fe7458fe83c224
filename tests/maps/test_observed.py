"""Measured maps as targets: tiles, rectangles, layouts and block means against what cooltools and
plain loops give.
"""

from __future__ import annotations

from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orca_cool.maps.observed as observed_module
from orca_cool.errors import CoolerError
from orca_cool.genome.segments import Segment
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.observed import (
    ObservedMap,
    banded_expected,
    block_mean,
    coarse_grain,
    log_ratio,
)

RES = 1000
SIZES = {"cA": 70_500, "cB": 41_000, "cC": 30_000}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sparse map of three chromosomes with masked bins; cC has no contact."""
    rng = np.random.default_rng(3)
    bins = cooler.binnify(pd.Series(SIZES), RES)
    n = len(bins)
    bins["weight"] = np.where(rng.random(n) < 0.08, np.nan, rng.uniform(0.02, 0.05, n))
    d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    same = np.equal.outer(bins["chrom"].to_numpy(str), bins["chrom"].to_numpy(str))
    counts = np.triu(rng.poisson(np.where(same, 30 / (1 + d), 0.5)))
    empty = (bins["chrom"] == "cC").to_numpy()
    counts[empty] = 0
    counts[:, empty] = 0
    i, j = np.nonzero(counts)
    file = tmp_path_factory.mktemp("observed") / "m.cool"
    cooler.create_cooler(
        str(file),
        bins,
        pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": counts[i, j]}),
        dtypes={"count": int},
    )
    return file


def whole(path: Path, chrom: str, other: str | None = None) -> np.ndarray:
    """What cooltools gives for two whole chromosomes, in a square."""
    c = cooler.Cooler(str(path))
    raw = c.matrix(balance=False).fetch(chrom, other or chrom).astype(float)
    balanced = c.matrix(balance=True).fetch(chrom, other or chrom)
    n = max(raw.shape)
    square, masked = np.zeros((n, n)), np.full((n, n), np.nan)
    square[: raw.shape[0], : raw.shape[1]], masked[: raw.shape[0], : raw.shape[1]] = raw, balanced
    return coarse_grain(masked, square, 5.0)[: raw.shape[0], : raw.shape[1]]


def test_rectangles_are_cut_from_whole_chromosomes(path):
    m = ObservedMap(path, RES)
    np.testing.assert_array_equal(m.dense(Segment("cA", 0, SIZES["cA"])), whole(path, "cA"))
    between = whole(path, "cA", "cB")
    np.testing.assert_array_equal(
        m.dense(Segment("cA", 5_000, 50_000), Segment("cB", 3_000, 20_000)), between[5:50, 3:20]
    )
    np.testing.assert_array_equal(
        m.dense(Segment("cB", 3_000, 20_000), Segment("cA", 5_000, 50_000)), between[5:50, 3:20].T
    )
    np.testing.assert_array_equal(
        m.dense(Segment("cB", 3_000, 20_000, "-"), Segment("cA", 5_000, 50_000)),
        between[5:50, 3:20].T[::-1],
    )
    over = m.dense(Segment("cA", -4_000, 10_000))
    assert np.isnan(over[:4]).all()
    np.testing.assert_array_equal(over[4:, 4:], whole(path, "cA")[:10, :10])


def test_tiles_are_parts_of_the_whole(path, monkeypatch, tmp_path):
    """With tiles of 64 bins pooling stops at 8 bins: tiles equal the whole, padded to a multiple of
    them and pooled as often.
    """
    monkeypatch.setattr(observed_module, "TILE", 64)
    tiled = ObservedMap(path, RES, cache=tmp_path)
    c = cooler.Cooler(str(path))
    raw, balanced = np.zeros((128, 128)), np.full((128, 128), np.nan)
    raw[:71, :71], balanced[:71, :71] = (
        c.matrix(balance=False).fetch("cA"),
        c.matrix(balance=True).fetch("cA"),
    )
    from cooltools.lib.numutils import adaptive_coarsegrain

    expected = adaptive_coarsegrain(balanced, raw, cutoff=5.0, max_levels=3)[:71, :71].astype(
        np.float32
    )
    got = tiled.dense(Segment("cA", 0, SIZES["cA"]))
    np.testing.assert_array_equal(got, expected)
    files = sorted(f.name for f in tmp_path.rglob("*.npy"))
    assert files == ["cA.0_cA.0.npy", "cA.0_cA.1.npy", "cA.1_cA.1.npy"]
    monkeypatch.setattr(ObservedMap, "_compute", None)  # a second reader computes nothing
    np.testing.assert_array_equal(
        ObservedMap(path, RES, cache=tmp_path).dense(Segment("cA", 0, SIZES["cA"])), expected
    )


def test_another_cutoff_or_file_has_other_tiles(path, tmp_path):
    a = ObservedMap(path, RES, 5.0, cache=tmp_path).dense(Segment("cA", 0, 70_000))
    b = ObservedMap(path, RES, 50.0, cache=tmp_path).dense(Segment("cA", 0, 70_000))
    assert not np.array_equal(a, b, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_layouts_are_rectangles_put_together(path, data):
    """Every pixel of a layout against the whole chromosomes, for any pieces, strands and
    windows.
    """
    pieces = []
    for chrom in data.draw(st.permutations(["cA", "cB"])):
        n = SIZES[chrom] // RES
        a = data.draw(st.integers(0, n - 1))
        b = data.draw(st.integers(a + 1, n))
        pieces.append(Segment(chrom, a * RES, b * RES, data.draw(st.sampled_from("+-"))))
    total = sum(len(p) for p in pieces) // RES
    start = data.draw(st.integers(0, total - 1))
    end = data.draw(st.integers(start + 1, total + 5))
    m = ObservedMap(path, RES)
    got = m.assembled(pieces, start * RES, end * RES)
    places = [
        (p.chrom, (p.start // RES + k) if p.strand == "+" else (p.end // RES - 1 - k))
        for p in pieces
        for k in range(len(p) // RES)
    ]
    maps = {(x, y): whole(path, x, y) for x in ("cA", "cB") for y in ("cA", "cB") if x <= y}
    for i in range(0, end - start, 3):
        for j in range(0, end - start, 2):
            if start + i >= total or start + j >= total:
                assert np.isnan(got[i, j])
                continue
            (c1, x), (c2, y) = places[start + i], places[start + j]
            value = maps[c1, c2][x, y] if c1 <= c2 else maps[c2, c1][y, x]
            assert got[i, j] == value or (np.isnan(got[i, j]) and np.isnan(value))


def test_excluded_chromosomes_are_never_read(path):
    m = ObservedMap(path, RES, exclude=["cB"])
    assert set(m.chromsizes) == {"cA", "cC"}
    assert m.measured() == ["cA"]
    with pytest.raises(CoolerError, match="'cB'"):
        m.dense(Segment("cB", 0, 10_000))
    with pytest.raises(CoolerError, match="'cB'"):
        m.weights("cB")


def test_block_means_by_hand():
    m = np.array([[1, 2, 3], [2, np.nan, 5], [3, 5, 7.0]])
    got = block_mean(m, 2, missing=0.5)
    assert got[0, 0] == pytest.approx(5 / 3)
    assert got[0, 1] == got[1, 0] == 4  # the column past the chromosome's end is not missing
    assert got[1, 1] == 7
    m[0, 0] = m[0, 1] = m[1, 0] = np.nan
    assert np.isnan(block_mean(m, 2, missing=0.5)[0, 0])


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.floats(0, 1), st.integers(0, 1000)
)
def test_block_means_are_plain_means(rows, columns, factor, missing, seed):
    rng = np.random.default_rng(seed)
    m = np.where(rng.random((rows, columns)) < 0.3, np.nan, rng.normal(size=(rows, columns)))
    got = block_mean(m, factor, missing)
    for i in range(got.shape[0]):
        for j in range(got.shape[1]):
            block = m[i * factor : (i + 1) * factor, j * factor : (j + 1) * factor]
            found = np.isfinite(block)
            if found.sum() >= max(1, (1 - missing) * block.size):
                assert got[i, j] == pytest.approx(block[found].mean())
            else:
                assert np.isnan(got[i, j])


def test_log_ratio_and_band_by_hand():
    background = ExpectedModel(2000, np.array([0.4, 0.2, 0.1, 0.05]))
    expected = banded_expected(background, 2000, 2, 3)
    assert expected.tolist()[0][:2] == [0.4, 0.2]
    assert np.isnan(expected[0, 2])
    m = np.array([[0.4, 0.1, 0.3], [0.1, 0.4, 0.2], [0.3, 0.2, 0.4]])
    y = log_ratio(m, expected, background.eps(2000, 2))
    assert y[0, 0] == pytest.approx(0)
    assert y[0, 1] == pytest.approx(np.log((0.1 + 0.2) / (0.2 + 0.2)), rel=1e-6)
    assert np.isnan(y[0, 2])
