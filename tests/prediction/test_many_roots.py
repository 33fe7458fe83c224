"""Windows of several roots decoded together: each after the one above it, and the same numbers."""

from __future__ import annotations

import logging
import random
import threading

import numpy as np
import pytest
import torch
from conftest import Drawn
from hypothesis import given
from hypothesis import strategies as st

from orca_cool.errors import OutputError
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.many_roots import RootWindows, decode_roots, fetching, roots_at_once
from orca_cool.prediction.ready_queue import ReadyQueue
from orca_cool.prediction.windows import by_root, plan

BINS = 16


@st.composite
def roots(draw):
    """Plans of several chromosomes, root by root."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        levels = draw(st.integers(1, 4))
        resolutions = [1000 << k for k in range(levels)][::-1]
        length = draw(st.integers(1, 6)) * BINS * resolutions[0] // 2
        found += by_root(plan(length, resolutions, BINS, 0, length))
    return found


@given(roots(), st.integers(1, 20), st.integers(1, 5), st.integers(0, 1 << 20))
def test_every_window_is_handed_out_once_and_after_the_one_above_it(levels, at_once, opened, seed):
    rng = random.Random(seed)
    queue, todo, running, finished = ReadyQueue(), list(enumerate(levels)), [], set()
    while todo or queue.roots:
        while todo and queue.roots < opened:
            queue.open(*todo.pop(0))
        while len(queue) and len(running) < at_once:
            place = queue.take()
            window, above = queue.window(place), queue.above(place)
            assert window == levels[place.root][place.level][place.number]
            assert (above is None) == (window.parent is None)
            if above is not None:
                assert (above.root, above.level, above.number) in finished
                assert levels[above.root][above.level][above.number].start == window.parent
            if rng.random() < 0.1:
                queue.give_back(place)
            else:
                running.append(place)
        assert running or len(queue)
        if running:
            place = running.pop(rng.randrange(len(running)))
            assert (place.root, place.level, place.number) not in finished
            finished.add((place.root, place.level, place.number))
            queue.done(place)
    assert len(finished) == sum(len(level) for root in levels for level in root)


@given(roots(), st.integers(1, 20))
def test_a_batch_is_of_one_kind_and_the_most_there_is(levels, most):
    queue = ReadyQueue()
    for number, root in enumerate(levels):
        queue.open(number, root)

    def kind(place):
        return queue.window(place).resolution

    seen = 0
    while queue.roots:
        expected = min(most, queue.most_alike(kind))
        places = queue.take_alike(kind, most)
        assert len(places) == len(set(places)) == expected > 0
        assert len({kind(place) for place in places}) == 1
        assert places == sorted(places)
        for place in places:
            queue.done(place)
        seen += len(places)
    assert seen == sum(len(level) for root in levels for level in root)
    assert queue.take_alike(kind, most) == []


SOURCE = Drawn({"a": 6_010, "b": 4_300, "c": 900}, ("b", 1_000, 1_400))


@pytest.fixture
def engine(toy_bundle):
    return make_engine(toy_bundle, SOURCE, "cpu")


def work(engine):
    """Roots of both modules, on all chromosomes."""
    out = []
    for module in engine.spec.modules:
        if not module.multi_chromosome:
            for chrom, length in SOURCE.chromsizes.items():
                levels = plan(length, module.resolutions, engine.spec.bins, 0, length)
                out += [RootWindows(module, chrom, root) for root in by_root(levels)]
    return out


@pytest.fixture
def threads():
    """Sets torch's number of threads, for a while."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def numbers(found):
    return [
        [(m.window, m.values.tobytes(), m.strand_difference.tobytes()) for m in r] for r in found
    ]


@pytest.mark.parametrize("count", [2, 3, 8])
def test_many_threads_give_the_numbers_of_one_in_the_order_asked_for(engine, threads, count):
    roots = work(engine)
    threads(1)
    wanted = numbers(next(decode_roots(engine, [root])) for root in roots)
    assert [[m[0] for m in root] for root in wanted] == [
        [w for level in root.levels for w in level] for root in roots
    ]
    assert numbers(decode_roots(engine, roots)) == wanted
    threads(count)
    ticks = []
    assert numbers(decode_roots(engine, iter(roots), lambda: ticks.append(None))) == wanted
    assert len(ticks) == sum(map(len, wanted))


@pytest.mark.parametrize("batch", [1, 6, 64])
def test_batches_give_the_same_numbers(toy_bundle, engine, threads, batch):
    """On a CPU, where a window's numbers do not depend on its batch."""
    wanted = numbers(decode_roots(engine, work(engine)))
    batches = make_engine(toy_bundle, SOURCE, "cpu", batch=batch)
    asked, real = [], batches.decode_windows

    def decode_windows(requests):
        assert len({(root.module.name, window.resolution) for root, window, _ in requests}) == 1
        asked.append(len(requests))
        return real(requests)

    batches.decode_windows = decode_windows
    threads(1)
    assert numbers(decode_roots(batches, work(batches))) == wanted
    assert max(asked) <= max(1, batch // 2)
    by_root_alone = sum(
        -(-len(level) // max(1, batch // 2)) for r in work(engine) for level in r.levels
    )
    if batch > 2:
        assert len(asked) < by_root_alone  # batches are fuller than a root alone fills them


def test_windows_of_several_roots_are_decoded_at_the_same_time(engine, threads):
    """A root begins with two strands of one window: with eight threads, four roots are begun."""
    threads(8)
    barrier, met, real = threading.Barrier(8, timeout=60), [], engine.decode_strand

    def decode_strand(root, window, reverse, above):
        if above is None and len(met) < 8:
            met.append((id(root), reverse))
            barrier.wait()
        return real(root, window, reverse, above)

    engine.decode_strand = decode_strand
    assert len(list(decode_roots(engine, work(engine)))) == len(work(engine))
    assert len(set(met)) == 8
    assert len({root for root, _ in met}) == 4


def test_an_error_ends_all_and_nothing_goes_on(engine, threads):
    threads(3)
    calls, real = [], engine.decode_strand

    def failing(*arguments):
        calls.append(None)
        if len(calls) == 9:
            raise OutputError("here")
        return real(*arguments)

    engine.decode_strand = failing
    with pytest.raises(OutputError, match="here"):
        list(decode_roots(engine, work(engine)))
    before = len(calls)
    assert before < sum(len(level) for root in work(engine) for level in root.levels)
    threading.Event().wait(0.1)
    assert len(calls) == before


@pytest.mark.parametrize("where", ["root", "decode_strand"])
def test_where_memory_is_full_fewer_are_done_at_once(engine, threads, caplog, where):
    """What does not fit is tried again with half as many beside it, and all is there."""
    wanted = numbers(decode_roots(engine, work(engine)))
    threads(4)
    real, lock, calls, inside = getattr(engine, where), threading.Lock(), [], []

    def full(*arguments, **options):
        with lock:
            calls.append(None)
            inside.append(None)
            fails = len(calls) == 4 if where == "root" else len(calls) < 40 and len(inside) > 1
        try:
            if fails:
                raise MemoryError
            return real(*arguments, **options)
        finally:
            with lock:
                inside.pop()

    setattr(engine, where, full)
    with caplog.at_level(logging.WARNING):
        assert numbers(decode_roots(engine, work(engine))) == wanted
    things = "roots" if where == "root" else "windows"
    assert f"the memory is full: going on with 1 {things} at once" in caplog.text


def test_one_root_too_large_for_the_memory_is_an_error(engine, threads):
    threads(2)

    def full(*arguments, **options):
        raise MemoryError("all of it")

    engine.root = full
    with pytest.raises(MemoryError, match="all of it"):
        list(decode_roots(engine, work(engine)))


def test_averages_are_those_of_each_window(engine):
    (root,) = [r for r in work(engine) if r.chrom == "c"][:1]
    top = engine.root(root.module, root.chrom, 0)
    requests = [(top, root.levels[0][0], None)] * 2
    pairs = engine.decode_windows(requests)
    for (values, difference), (forward, reverse) in zip(fetching(pairs, 0)(), pairs):
        a, b = forward[0, 0].numpy(), reverse[0, 0].numpy()[::-1, ::-1]
        np.testing.assert_array_equal(values, np.float32(0.5) * (a + b))
        np.testing.assert_array_equal(difference, np.float32(0.5) * np.abs(a - b))


def test_more_cores_open_more_roots():
    assert [roots_at_once(n) for n in (1, 2, 8, 16, 64)] == [1, 2, 8, 8, 16]


def test_a_module_of_several_chromosomes_has_one_set_of_numbers(engine, threads):
    """Its expected is made for each window: by itself, whatever is decoded beside it."""
    module = next(m for m in engine.spec.modules if m.multi_chromosome)
    length = SOURCE.chromsizes["a"]
    laid = plan(length, module.resolutions, engine.spec.bins, 0, length, None, True)
    roots = [RootWindows(module, "a", root) for root in by_root(laid)]
    threads(1)
    wanted = numbers(decode_roots(engine, roots))
    threads(4)
    assert numbers(decode_roots(engine, roots)) == wanted
