"""What a tile shows before it is ready: in which order, under which name, and that it is never taken
for the tile itself.
"""

from __future__ import annotations

import base64
import threading
import time

import numpy as np
import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec

from higlass_plugin.compute import units
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.units import DraftUnit, WindowUnit
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tilesets.previews import BOTH, FINAL, FORWARD, REFERENCE, Known, in_words
from orca_cool.model.bundle import load_bundle, save_bundle

SOURCE = Drawn({"a": 9_010, "b": 6_100, "c": 900}, ("b", 1_000, 1_415))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = make_toy_spec()
    folder = tmp_path_factory.mktemp("models") / "toy"
    return load_bundle(save_bundle(folder, make_toy_model(spec), make_toy_expected(spec)))


@pytest.fixture
def make(bundle):
    opened = []

    def make(**options):
        registry = TilesetRegistry(None, Limits())
        options = {"device": "cpu", "batch": 2} | options
        registry.add_model("toy", bundle, "drawn", SOURCE, "drawn", **options)
        opened.append(registry)
        return registry

    yield make
    for registry in opened:
        registry.close()


@pytest.fixture
def steps(monkeypatch):
    """Lets the scheduler compute one batch for each ``steps.release()``; ``steps.seen`` lists the
    batches.
    """
    steps = threading.Semaphore(0)
    steps.seen = []
    compute = Scheduler._compute

    def one(self, batch, worker):
        while not steps.acquire(timeout=0.02):
            if self._stopped:
                return
        steps.seen.append([unit for unit, _ in batch])
        compute(self, batch, worker)

    monkeypatch.setattr(Scheduler, "_compute", one)
    return steps


def text_of(tileset, resolution, x=0, y=0):
    return f"{tileset.uid}.{tileset.resolutions.index(resolution)}.{x}.{y}.logoe"


def numbers(tile):
    return np.frombuffer(base64.b64decode(tile["dense"]), "<f4").reshape(256, 256)


def whole(registry, text):
    return numbers(registry.tiles([text], wait=None)[text])


def watch(registry, text, steps):
    """The tile after each batch, until it is final."""
    out = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        tile = registry.tiles([text], wait=0)[text]
        out.append(tile)
        if "error" not in tile:
            return out
        before = len(steps.seen)
        steps.release()
        while len(steps.seen) == before and registry.progress([text])["pending"]:
            time.sleep(0.002)
        while registry.scheduler.workers[0].job is not None and steps._value:
            time.sleep(0.002)
    raise AssertionError("the tile is never final")


def rank(shows):
    order = ["", "coarser level", FORWARD, BOTH, FINAL]
    return max(k for k, words in enumerate(order) if shows.startswith(words))


def test_from_coarse_to_fine_then_the_forward_strand_then_the_mean(make, steps, monkeypatch):
    registry = make()
    text = text_of(registry.listed()[0], 40)
    seen = watch(registry, text, steps)
    shows = [tile["shows"] for tile in seen]
    assert [rank(s) for s in shows] == sorted(rank(s) for s in shows)
    assert {rank(s) for s in shows} >= {0, 1, 2, 4}
    coarse = [s for s in shows if rank(s) == 1]
    assert "coarser level (80 bp bins), forward strand only" in coarse
    assert all("error" in tile for tile in seen[:-1])  # whoever knows no names sees no tile
    final = numbers(seen[-1])

    # the numbers: of the forward strand alone, and of both, from a server that makes no drafts
    for take in (None, lambda pair, k: (pair[0][0, k].float().numpy(), None)):
        with monkeypatch.context() as patch:
            if take is not None:
                patch.setattr(units, "average", take)
            plain = make()
            for _, _, predicted in plain.served.each():
                predicted.has_drafts = False
            steps.release(1000)
            expected = whole(plain, text_of(plain.listed()[0], 40))
            while steps.acquire(blocking=False):
                pass
        if take is None:
            np.testing.assert_array_equal(final, expected)
        else:
            shown = numbers(next(t for t in seen if t["shows"] == FORWARD))
            # near the diagonal, of the finest windows alone: of a module that reads several
            # chromosomes both strands are shown
            near = np.abs(np.subtract.outer(np.arange(256), np.arange(256))) < 4
            known = np.isfinite(expected) & near
            assert known.sum() > 200
            np.testing.assert_array_equal(shown[known], expected[known])
            assert not np.array_equal(final[known], expected[known])


def test_progress_tells_what_would_be_shown(make, steps):
    registry = make()
    text = text_of(registry.listed()[0], 40)
    assert registry.tiles([text], wait=0)[text]["shows"] == ""
    assert registry.progress([text])["shows"] == {text: ""}
    steps.release()
    deadline = time.monotonic() + 30
    while not registry.progress([text])["shows"][text]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    said = registry.progress([text])["shows"][text]
    assert said == "coarser level (640 bp bins), in part"
    assert registry.tiles([text], wait=0)[text]["shows"] == said
    steps.release(1000)
    assert registry.tiles([text], wait=None)[text]["shows"] == FINAL
    assert registry.progress([text])["shows"] == {}


@pytest.mark.parametrize("kind", ["map", "lifted"])
def test_a_small_edit_shows_the_reference_until_it_is_computed(make, steps, kind):
    registry = make()
    shown = registry.listed()[0]
    text = text_of(shown, 40)
    steps.release(1000)
    reference = whole(registry, text)
    while steps.acquire(blocking=False):
        pass
    for edit, small in (("a:4,001-4,002 sub 1N", True), ("a:4,001-4,500 del", False)):
        edited = registry.edit([edit])
        own = text.replace(shown.uid, edited.tilesets[kind])
        tile = registry.tiles([own], wait=0)[own]
        assert tile["error"] == "computing"
        assert (tile["shows"] == REFERENCE) == small
        assert (registry.progress([own])["shows"][own] == REFERENCE) == small
        if not small:
            continue
        np.testing.assert_array_equal(numbers(tile), reference)
        assert registry[edited.tilesets[kind]].plan is not None
        seen = watch(registry, own, steps)
        assert {tile["shows"] for tile in seen} == {REFERENCE, FINAL}
        assert not np.array_equal(numbers(seen[-1]), reference, equal_nan=True)
        difference = text.replace(shown.uid, edited.tilesets["difference"]).removesuffix(".logoe")
        steps.release(1000)
        assert np.nanmax(np.abs(whole(registry, difference))) > 0
        while steps.acquire(blocking=False):
            pass


def test_a_difference_is_shown_when_it_is_known(make, steps):
    registry = make()
    shown = registry.listed()[0]
    steps.release(1000)
    whole(registry, text_of(shown, 40))
    while steps.acquire(blocking=False):
        pass
    edited = registry.edit(["a:4,001-4,002 sub 1N"])
    text = text_of(registry[edited.tilesets["difference"]], 40).removesuffix(".logoe")
    seen = watch(registry, text, steps)
    assert {tile["shows"] for tile in seen} == {"", FINAL}
    assert all(np.isnan(numbers(tile)).all() for tile in seen[:-1])
    assert not any(
        isinstance(u, DraftUnit) for batch in steps.seen for u in batch if u.predicted.genome
    )


def test_what_is_provisional_is_kept_nowhere(make, steps):
    registry = make()
    tileset = registry.listed()[0]
    text = text_of(tileset, 40)
    for tile in watch(registry, text, steps)[:-1]:
        assert tile["shows"] != FINAL
    assert len(registry.results) == 1
    assert registry.tiles([text], wait=0)[text]["shows"] == FINAL
    assert not any(isinstance(unit, DraftUnit) for unit in registry.units._kept)  # all replaced


def test_a_view_is_shown_as_a_whole_before_the_reverse_strand_is_decoded(make, steps):
    registry = make()
    tileset = registry.listed()[0]
    ids = [text_of(tileset, 40, k, k) for k in range(2)]
    registry.tiles(ids, wait=0)
    steps.release(10_000)
    assert all(t["shows"] == FINAL for t in registry.tiles(ids, wait=None).values())
    kinds = [type(batch[0]) for batch in steps.seen]
    assert kinds.count(DraftUnit) > 2
    assert kinds.count(WindowUnit) > 2
    first = kinds.index(WindowUnit)
    # what was begun before the second tile was asked for is finished; nothing else comes between
    assert DraftUnit not in kinds[first:]


def test_idle_cores_decode_the_reverse_strand_beside_the_forward_one(make, steps):
    """With room for many windows at once drafts have both strands, and the mean costs nothing."""
    one, many = make(), make(batch=64)
    steps.release(10_000)
    values = [whole(registry, text_of(registry.listed()[0], 40)) for registry in (one, many)]
    np.testing.assert_array_equal(*values)
    assert one.scheduler.computed == many.scheduler.computed


def test_words():
    assert in_words(40, []) == ""
    assert in_words(40, [Known(0, False)]) == ""
    assert in_words(40, [Known(40, True), Known(40, False)]) == FORWARD
    assert in_words(40, [Known(40, False), Known(0, False)]) == "both strands, in part"
    assert in_words(40, [Known(40, True), Known(0, False)]) == "forward strand only, in part"
    assert in_words(40, [Known(40, True), Known(8000, False)]) == (
        "coarser level (8,000 bp bins), forward strand only"
    )
