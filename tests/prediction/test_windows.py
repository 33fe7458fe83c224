"""The plan: placement as in the released program, and what every plan must hold."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_cool.genome.regions import n_bins
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.prediction.windows import (
    by_root,
    concatenated_chromosomes,
    grid,
    plan,
    plan_trans,
    ramp,
    reach,
    step,
    zoom_top,
    zoom_windows,
)

ORCA_32 = [4000 * 2**k for k in range(5, -1, -1)]
ORCA_256 = [4000 * 2**k for k in range(8, 4, -1)]


@pytest.mark.parametrize(
    "name", ["h1esc_center", "h1esc_left_edge", "h1esc_offset", "h1esc_right_edge", "hctnoc_offset"]
)
def test_series_32mb_is_placed_as_in_the_original(shared, name):
    golden = np.load(shared / f"golden/cascade_32mb_{name}.npz")
    top = int(golden["wpos"]) - 16_000_000
    starts = zoom_windows(int(golden["mpos"]), top, ORCA_32, 250)
    assert [top + starts[r] * r for r in ORCA_32] == golden["start_coords"].tolist()


@pytest.mark.parametrize("name", ["one_chromosome", "translocation"])
def test_series_256mb_and_its_background_are_those_of_the_original(shared, name):
    golden = np.load(shared / f"golden/cascade_256mb_{name}.npz")
    starts = zoom_windows(int(golden["mpos"]), 0, ORCA_256, 250, int(golden["chrlen"]))
    assert [starts[r] * r for r in ORCA_256] == golden["start_coords"].tolist()
    expected = np.load(shared / "golden/expected_32kb.npz")
    background = ExpectedModel(32_000, expected["cis"], float(expected["trans"]))
    segments = json.loads(str(golden["segments"]))
    for k, r in enumerate(ORCA_256):
        ours = background.assembled(r, segments, starts[r] * r, 250)
        reference = golden["normmats"][k]
        np.testing.assert_allclose(ours, reference, rtol=1e-4)


@pytest.mark.parametrize(
    ("position", "length", "start"),
    [
        (50_000_000, 138_394_717, 34_000_000),
        (1_000_000, 138_394_717, (1_000_000 - 16_000_000) % 128_000),
        (138_000_000, 138_394_717, 106_394_717 - (106_394_717 - 122_000_000) % 128_000),
        (5_000_000, 20_000_000, 0),
    ],
)
def test_top_window_slides_inward_and_keeps_its_phase(position, length, start):
    got = zoom_top(position, length, 32_000_000, 128_000)
    assert got == start
    assert got >= 0
    if length > 32_000_000:
        assert got + 32_000_000 <= length
        assert (got - (position - 16_000_000)) % 128_000 == 0


sizes = st.integers(1, 3_000_000)
halves = st.sampled_from([8, 16, 128, 250])


@given(sizes, halves, st.integers(0, 5), st.data())
def test_plan_covers_and_nests(length, bins, depth, data):
    resolutions = [100 * 2**k for k in range(depth, -1, -1)]
    length = min(length, 30 * bins * 100)
    start = data.draw(st.integers(0, length - 1))
    end = data.draw(st.integers(start + 1, length))
    levels = plan(length, resolutions, bins, start, end)
    whole = plan(length, resolutions, bins)
    for k, (resolution, windows) in enumerate(zip(resolutions, levels)):
        starts = [w.start for w in windows]
        assert starts == sorted(set(starts))
        assert set(windows) <= set(whole[k])  # the grid does not depend on the region
        covered = np.zeros(n_bins(length, resolution) + 2 * bins, bool)
        for w in windows:
            covered[w.start : w.start + bins] = True
            if k:
                assert 2 * w.parent <= w.start
                assert w.start + bins <= 2 * (w.parent + bins)
                (parent,) = [p for p in levels[k - 1] if p.start == w.parent]
                assert parent.root == w.root
            assert (w.start * resolution - w.root * resolutions[0]) % resolution == 0
        assert covered[start // resolution : n_bins(end, resolution)].all()
    cut = by_root(levels)
    for k in range(len(levels)):
        assert [w for root in cut for w in root[k]] == levels[
            k
        ]  # cutting by root keeps every level's order


@given(st.integers(1, 5000), halves)
def test_every_pair_within_reach_is_in_a_window(n, bins):
    starts = np.array(grid(n, 1, bins, top=True))
    assert (np.diff(starts) <= step(bins, top=True)).all()
    assert starts[-1] + bins >= n
    d = min(reach(bins) + ramp(bins), n) - 1
    i = np.arange(max(1, n - d))
    assert ((starts[None] <= i[:, None]) & (i[:, None] + d < starts[None] + bins)).any(1).all()


def test_layout_pads_like_the_paper():
    sizes = {"chr1": 248_956_422, "chr2": 242_193_529, "chr21": 46_709_983}
    segments = concatenated_chromosomes("chr21", sizes, 256_000_000, 32_000)
    assert [(s.chrom, s.start, s.end) for s in segments] == [
        ("chr21", 0, 46_688_000),
        ("chr1", 0, 209_312_000),
    ]
    assert (
        sum(len(s) for s in concatenated_chromosomes("chr1", sizes, 256_000_000, 32_000))
        == 256_000_000
    )


@given(st.lists(st.integers(1, 400), min_size=2, max_size=5))
def test_trans_plan_covers_every_pair_once(lengths):
    sizes = {f"c{k}": n for k, n in enumerate(lengths)}
    seen = {
        (a, b): np.zeros((n_bins(sizes[a], 4), n_bins(sizes[b], 4)), int)
        for a in sizes
        for b in sizes
        if a < b
    }
    for a, b in plan_trans(sizes, 256, 4):
        assert len(a) + len(b) <= 256
        seen[a.chrom, b.chrom][a.start // 4 : a.end // 4, b.start // 4 : b.end // 4] += 1
    assert all((m == 1).all() for m in seen.values())
