"""Windows to rows: exact where windows agree, seamless where they do not, the same in one go or in
many.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orca_cool.genome.regions import n_bins
from orca_cool.prediction.mosaic import Mosaic, band_of, ramp_weights
from orca_cool.prediction.windows import by_root, plan, reach

BINS = 16
RES = [40, 20, 10]


def truth(resolution, i, j):
    """A smooth function of the genome, the same at every level up to the bins' grain."""
    x, y = (i + 0.5) * resolution, (j + 0.5) * resolution
    return (np.sin(x / 190) + np.cos(y / 310) + (y - x) / 500).astype(np.float32)


def run(length, start, end, bands, window_map, stop_after=None, strand_difference=False):
    levels = plan(length, RES, BINS, start, end)
    roots = by_root(levels)
    mosaic = Mosaic(RES, bands, BINS, length, start, end, strand_difference)
    out = {r: [] for r in RES}
    for k, root in enumerate(roots):
        for level in root:
            for w in level:
                y = window_map(w)
                mosaic.levels[w.resolution].add(
                    w.start, y, np.abs(y) if strand_difference else None
                )
        later = [w for other in roots[k + 1 :] for level in other for w in level]
        pending = {r: min((w.start for w in later if w.resolution == r), default=None) for r in RES}
        for r, rows in mosaic.close(pending):
            out[r].append(rows)
        if stop_after == k:  # what a killed run does: a new mosaic from the stored arrays
            state = {name: a.copy() for name, a in mosaic.state().items()}
            mosaic = Mosaic(RES, bands, BINS, length, start, end, strand_difference)
            mosaic.restore(state)
    return {
        r: (np.concatenate([x.values for x in parts]), np.concatenate([x.level for x in parts]))
        for r, parts in out.items()
    }


def from_truth(w):
    i = w.start + np.arange(BINS)
    y = truth(w.resolution, i[:, None], i[None, :])
    return np.triu(y) + np.triu(y, 1).T


def test_band_of_reads_diagonals():
    y = np.arange(36, dtype=np.float32).reshape(6, 6)
    band = band_of(y)
    assert all(band[i, d] == (y[i, i + d] if i + d < 6 else 0) for i in range(6) for d in range(6))


def test_weights_vanish_at_open_edges_only():
    open_both = ramp_weights(16, False, False)
    assert open_both[0, 0] == pytest.approx(0.5)
    assert open_both[8, 0] == 1
    assert open_both[0, 15] == pytest.approx(0.5)
    closed = ramp_weights(16, True, True)
    assert (closed[np.add.outer(np.arange(16), np.arange(16)) < 16] == 1).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(20, 4000), st.data())
def test_agreeing_windows_give_the_function_back(length, data):
    start = data.draw(st.integers(0, length - 1))
    end = data.draw(st.integers(start + 1, length))
    result = run(length, start, end, dict.fromkeys(RES, 9), from_truth)
    for r, (values, level) in result.items():
        a, b = start // r, n_bins(end, r)
        assert len(values) == b - a
        i = np.arange(a, b)[:, None]
        j = i + np.arange(values.shape[1])
        inside = j < b
        assert np.isnan(values[~inside]).all()
        assert np.isfinite(values[inside]).all()
        own = inside & (level == r)
        # a pixel that the level itself holds mixes in at most the coarser level's coarser bins
        np.testing.assert_allclose(
            values[own], truth(r, i, j)[own], atol=0.35 if r < RES[0] else 1e-5
        )
        near = inside & (j - i < 7)
        np.testing.assert_allclose(values[near], truth(r, i, j)[near], atol=1e-5)


def test_beyond_the_window_the_coarser_level_fills_exactly():
    result = run(1600, 0, 1600, {40: 11, 20: 21, 10: 41}, from_truth)
    values, level = result[10]
    coarse, coarse_level = result[20]
    i = np.arange(len(values))[:, None]
    d = np.arange(values.shape[1])[None, :]
    j = i + d
    far = (d >= BINS) & (j < len(values))
    assert far.any()
    up = coarse[i // 2, np.minimum(j // 2 - i // 2, coarse.shape[1] - 1)]
    known = far & np.isfinite(up)
    np.testing.assert_array_equal(values[known], up[known])
    np.testing.assert_array_equal(
        level[known], coarse_level[i // 2, np.minimum(j // 2 - i // 2, coarse.shape[1] - 1)][known]
    )
    assert np.isfinite(values[far]).all()
    assert {20, 40} <= set(np.unique(level[known]))


def test_windows_that_disagree_leave_no_seam():
    """Windows of constant, random heights: neighbouring pixels of the blend differ by no more than
    the ramp allows.
    """
    bins = 128
    resolutions = [40, 20, 10]
    length = 10 * 40 * bins
    rng = np.random.default_rng(1)
    mosaic = Mosaic(resolutions, dict.fromkeys(resolutions, reach(bins)), bins, length, 0, length)
    heights = []
    for level in plan(length, resolutions, bins):
        for w in level:
            heights.append(rng.uniform(-1, 1))
            mosaic.levels[w.resolution].add(
                w.start, np.full((bins, bins), heights[-1], np.float32), None
            )
    for r, rows in mosaic.close(dict.fromkeys(resolutions)):
        values = rows.values
        for axis in (0, 1):
            jump = np.abs(np.diff(values, axis=axis))
            # 16-bin ramps of three overlapping windows between -1 and 1, and the coarser level's
            # own steps on 2 x 2 blocks
            assert np.nanmax(jump) < 0.3, (r, axis)
        assert np.nanmax(np.abs(values)) <= 1 + 1e-5


@settings(deadline=None, max_examples=25)
@given(st.integers(700, 4000), st.integers(0, 12), st.booleans())
def test_interrupted_anywhere_the_rows_are_the_same_bits(length, stop, strand_difference):
    rng_map = lambda w: from_truth(w) + np.float32(np.sin(w.start * 7.1 + w.resolution))  # noqa: E731
    bands = {40: 9, 20: 16, 10: 24}
    one = run(length, 0, length, bands, rng_map, None, strand_difference)
    two = run(length, 0, length, bands, rng_map, stop, strand_difference)
    for r in RES:
        np.testing.assert_array_equal(one[r][0], two[r][0])
        np.testing.assert_array_equal(one[r][1], two[r][1])
