"""What a screen does, before anything is predicted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from conftest import Drawn, make_toy_spec

from orca_cool.errors import EditError, RegionError
from orca_cool.genome.regions import Region
from orca_cool.perturb.screen_plan import (
    Frame,
    dinucleotide_shuffle,
    frames,
    replacement,
    require_apart,
    sequences,
    tiled,
)

FRAME = Frame("a", 4480, 3200, {160: 0}, ())
WINDOW = np.random.default_rng(1).integers(0, 4, 3000).astype(np.uint8)


@pytest.mark.parametrize(("units", "together"), [(80, 20), (83, 20), (5, 20), (7, 1), (1, 3)])
def test_every_unit_is_in_one_sequence_of_a_run_and_each_sequence_has_one_of_every_block(
    units, together
):
    numbers = list(range(100, 100 + units))
    found = sequences(numbers, together, 0, FRAME, 0)
    assert Counter(k for s in found for k in s) == Counter(numbers)
    size = -(-units // together)  # of a block
    assert len(found) == size
    for sequence in found:
        blocks = [(k - 100) // size for k in sequence]
        assert blocks == sorted(set(blocks))


def test_orders_and_bases_depend_on_seed_window_run_and_unit_alone():
    numbers = list(range(40))
    assert sequences(numbers, 4, 3, FRAME, 1) == sequences(numbers, 4, 3, FRAME, 1)
    other = Frame("a", 4960, 3680, {160: 0}, ())
    orders = [
        sequences(numbers, 4, *rest)
        for rest in ((3, FRAME, 1), (4, FRAME, 1), (3, FRAME, 2), (3, other, 1))
    ]
    assert len({str(order) for order in orders}) == 4
    # each block has an order of its own
    assert len({tuple(k % 10 for k in column) for column in zip(*orders[0])}) == 4

    codes = WINDOW[:50]
    drawn = {s: replacement(codes, "sample", WINDOW, 3, FRAME, 1, s) for s in range(20)}
    for s in reversed(range(20)):  # in another order, as another worker would
        np.testing.assert_array_equal(
            drawn[s], replacement(codes, "sample", WINDOW, 3, FRAME, 1, s)
        )
    assert len({d.tobytes() for d in drawn.values()}) == 20
    again = replacement(codes, "sample", WINDOW, 3, FRAME, 2, 0)
    assert not np.array_equal(drawn[0], again)


def test_a_sample_has_the_composition_of_its_window():
    window = np.repeat([0, 1, 2, 3], [600, 100, 100, 200]).astype(np.uint8)
    found = replacement(np.zeros(20_000, np.uint8), "sample", window, 0, FRAME, 0, 0)
    share = np.bincount(found, minlength=4) / len(found)
    np.testing.assert_allclose(share, [0.6, 0.1, 0.1, 0.2], atol=0.015)  # four standard errors


def test_shuffles_keep_what_they_say():
    rng = np.random.default_rng(2)
    changed = 0
    for n in (1, 2, 3, 10, 57):
        codes = rng.integers(0, 4, n).astype(np.uint8)
        shuffled = replacement(codes, "shuffle", WINDOW, 0, FRAME, 0, n)
        assert Counter(shuffled.tolist()) == Counter(codes.tolist())
        pairs = replacement(codes, "dinucleotide", WINDOW, 0, FRAME, 0, n)
        assert Counter(zip(pairs, pairs[1:])) == Counter(zip(codes, codes[1:]))
        assert (pairs[0], pairs[-1], len(pairs)) == (codes[0], codes[-1], n)
        changed += not np.array_equal(pairs, codes)
    assert changed >= 2
    assert replacement(WINDOW[:4], "N", WINDOW, 0, FRAME, 0, 0).tolist() == [4] * 4
    assert len(replacement(WINDOW[:4], "delete", WINDOW, 0, FRAME, 0, 0)) == 0


def test_a_dinucleotide_shuffle_draws_every_sequence_equally_often():
    codes = np.array([0, 1, 0, 2, 0, 1, 1, 0], np.uint8)
    pairs = Counter(zip(codes.tolist(), codes[1:].tolist()))

    def walks(at: list[int], left: Counter) -> list[tuple[int, ...]]:
        if not left:
            return [tuple(at)]
        return [w for p in left if p[0] == at[-1] for w in walks([*at, p[1]], left - Counter([p]))]

    every = {w for w in walks([0], pairs) if w[-1] == 0}
    rng = np.random.default_rng(4)
    found = Counter(tuple(dinucleotide_shuffle(codes, rng).tolist()) for _ in range(3000))
    assert set(found) == every
    assert len(every) > 4
    expected = 3000 / len(every)
    assert max(abs(n - expected) for n in found.values()) < 5 * expected**0.5


def test_units_lie_in_the_middle_of_their_windows():
    spec, source = make_toy_spec(), Drawn({"a": 9010, "b": 1500}, ("a", 0, 0))
    module = spec.module("S")
    units = tiled([Region("a", 0, 9010), Region("b", 0, 1500)], 10, 10)
    assert len(units) == 901 + 150
    found = frames(spec, module, 40, source, units)
    assert sorted(k for f in found for k in f.units) == list(range(len(units)))
    for frame in found:
        start, length = frame.start(40), source.chromsizes[frame.chrom]
        assert frame.origin % 160 == 0
        for a, b in zip((160, 80), (80, 40)):  # each window inside the one above it
            assert 0 <= frame.start(b) - frame.start(a) <= 8 * a
        for k in frame.units:
            unit = units[k]
            assert unit.chrom == frame.chrom
            assert start <= unit.start
            assert unit.end <= start + 640
            from_ends = min(unit.start, length - unit.end)
            if from_ends > 640:  # 0.8 of a window, to whole bins of the top level
                assert min(unit.start - start, start + 640 - unit.end) >= 40


def test_tiles():
    region = Region("a", 100, 135)
    assert [(u.start, u.end) for u in tiled([region], 10, 10)] == [
        (100, 110),
        (110, 120),
        (120, 130),
    ]
    assert [(u.start, u.end) for u in tiled([region], 20, 5)] == [
        (100, 120),
        (105, 125),
        (110, 130),
        (115, 135),
    ]
    with pytest.raises(RegionError, match=r"'a:100-135' is shorter than one unit of 36 bp"):
        tiled([region], 36, 36)
    with pytest.raises(EditError, match=r"'a:100-120' and 'a:105-125' overlap"):
        require_apart(tiled([region], 20, 5))
