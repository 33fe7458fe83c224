"""Pixels on demand are those of the mosaic, bit for bit, and need no more windows than those that
hold them.
"""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import make_toy_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from orca_cool.genome.regions import Region, n_bins
from orca_cool.prediction.levels import LevelAssignment
from orca_cool.prediction.mosaic import Mosaic
from orca_cool.prediction.patches import Patchwork, symmetric
from orca_cool.prediction.plan import root_steps

SPEC = make_toy_spec()
ASSIGNMENTS = {
    "S": LevelAssignment((SPEC.module("S"),), (160, 80, 40)),
    "S and G": LevelAssignment((SPEC.module("S"), SPEC.module("G")), (640, 320, 160, 80, 40)),
}


def drawn(placed):
    """A map for every window, unlike any other's, and not symmetric below the diagonal."""
    window = placed.window
    # starts may be negative
    key = [window.resolution, 10_000 + window.start, 10_000 + window.root, len(placed.module)]
    return np.random.default_rng(key).normal(size=(SPEC.bins, SPEC.bins)).astype(np.float32)


def bands_of(assignment, length, centred=None):
    """As orca_cool.prediction.levels.bands for one chromosome whose levels are all asked for."""
    from orca_cool.prediction.levels import Settings, bands

    chosen = Settings(tuple(sorted(assignment.resolutions)))
    return bands(SPEC.bins, assignment, chosen, [length], [centred])


def whole(assignment, length, held, written, centred=None):
    """By resolution, the whole map (n, n) from the streaming mosaic, NaN where it has no pixel."""
    work = Patchwork(SPEC.bins, assignment, length, held, written, centred)
    placed = {
        (r, p.window.start, p.window.root): p for r, level in work.windows.items() for p in level
    }
    region = Region("a", 0, length)
    mosaic = Mosaic(list(assignment.resolutions), held, SPEC.bins, length, 0, length)
    out = {r: np.full((n_bins(length, r),) * 2, np.nan, np.float32) for r in assignment.resolutions}
    source = SimpleNamespace(name="drawn", chromsizes={"a": length})
    spec = SPEC if centred is None else dataclasses.replace(SPEC, placement="centred")
    for step in root_steps(spec, source, [region], assignment):
        for window in (w for level in step.levels for w in level):
            if assignment.module_of(window.resolution) is step.module:
                mosaic.levels[window.resolution].add(
                    window.start, drawn(placed[window.resolution, window.start, window.root])
                )
        for r, rows in mosaic.close(step.next_starts):
            for k, row in enumerate(rows.values):
                i, n = rows.start + k, min(written[r], len(out[r]) - rows.start - k)
                out[r][i, i : i + n] = out[r][i : i + n, i] = row[:n]
    return work, out


@pytest.mark.parametrize("name", ASSIGNMENTS)
@pytest.mark.parametrize("length", [40, 1_440, 2_000, 2_560, 9_990, 30_017])
@pytest.mark.parametrize("placement", ["start", "centred"])
def test_every_pixel_is_the_mosaics(name, length, placement):
    assignment, centred = ASSIGNMENTS[name], length if placement == "centred" else None
    held, written = bands_of(assignment, length, centred)
    work, maps = whole(assignment, length, held, written, centred)
    for r, expected in maps.items():
        assert np.isfinite(expected).any()
        bins = np.arange(n_bins(length, r))
        patches = work.patches(r, bins, bins)
        found = work.blend(patches, lambda placed: symmetric(drawn(placed)))
        assert np.array_equal(found, expected, equal_nan=True), (
            r,
            np.nanmax(np.abs(found - expected)),
        )


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_rows_and_columns(data):
    assignment, length = (
        ASSIGNMENTS[data.draw(st.sampled_from(sorted(ASSIGNMENTS)))],
        data.draw(st.integers(41, 12_000)),
    )
    held, written = bands_of(assignment, length)
    work, maps = whole(assignment, length, held, written)
    r = data.draw(st.sampled_from(assignment.resolutions))
    total = n_bins(length, r)

    def some():
        if data.draw(st.booleans()):
            first = data.draw(st.integers(0, total - 1))
            return np.arange(first, data.draw(st.integers(first + 1, total)))
        return np.array(
            sorted(data.draw(st.sets(st.integers(0, total - 1), min_size=1, max_size=40)))
        )

    rows, columns, within = some(), some(), data.draw(st.none() | st.integers(1, 40))
    asked = set()

    def look(placed):
        asked.add(placed)
        return symmetric(drawn(placed))

    patches = work.patches(r, rows, columns, within=within)
    found = work.blend(patches, look)
    wanted = np.abs(np.subtract.outer(rows, columns)) < (within or total)
    expected = maps[r][np.ix_(rows, columns)]
    assert np.array_equal(found[wanted], expected[wanted], equal_nan=True)
    # nothing is asked for in vain: without any one of the windows some wanted pixel is another
    assert asked == {p for patch in patches for p in patch.windows}
    for placed in list(asked)[:5]:
        without = work.blend(
            patches, lambda p, gone=placed: None if p == gone else symmetric(drawn(p))
        )
        assert not np.array_equal(without[wanted], found[wanted], equal_nan=True)


def test_coarser_levels_show_until_the_finer_ones_are_there():
    assignment, length = ASSIGNMENTS["S"], 2_000
    work = Patchwork(SPEC.bins, assignment, length, *bands_of(assignment, length))
    bins = np.arange(20, 36)
    patches = work.patches(40, bins, bins, every=True)
    nothing = work.blend(patches, lambda placed: None)
    assert np.isnan(nothing).all()
    top = work.blend(
        patches,
        lambda placed: symmetric(drawn(placed)) if placed.window.resolution == 160 else None,
    )
    there = work.blend(
        work.patches(160, np.arange(5, 9), np.arange(5, 9)), lambda placed: symmetric(drawn(placed))
    )
    assert np.allclose(top, np.kron(there, np.ones((4, 4))), rtol=1e-6)


def test_a_window_near_the_diagonal_needs_few():
    """A patch inside one window's full weight needs that window alone, and what is above it only to
    decode it.
    """
    assignment = ASSIGNMENTS["S"]
    work = Patchwork(SPEC.bins, assignment, 2_560, *bands_of(assignment, 2_560))
    level = work.windows[40]
    middle = level[3].window.start + np.arange(6, 10)
    patches = work.patches(40, middle, middle)
    assert [p.resolution for p in patches] == [40]
    assert {p.window.start for p in patches[0].windows} <= {
        level[2].window.start,
        level[3].window.start,
        level[4].window.start,
    }
    path = level[3].path()
    assert [p.window.resolution for p in path] == [160, 80, 40]
