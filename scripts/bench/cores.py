"""What many cores gain where the windows of neighbouring roots are decoded together.

Measured on the cores here: four roots of the 32M module (released size, random weights and
encodings, so that decoding alone is timed; the upper levels, where cores idle), each root by itself
and all together. Modelled: the same queue (:mod:`orca_cool.prediction.ready_queue`) with a made-up
clock, from the seconds that windows took in that run; held against the measured run first, then
asked for chromosome 1 of hg38 on many cores. The prediction's own threads then run that chromosome
with networks that only wait, some part as long. What is in neither: encoding, and cores that slow
each other down.

    python scripts/bench/cores.py
    python scripts/bench/cores.py --model-only   # the model with the seconds of docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import heapq
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from common import Figures, Random, parser, released_size

from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.many_roots import RootWindows, decode_roots, roots_at_once
from orca_cool.prediction.ready_queue import ReadyQueue
from orca_cool.prediction.root import Root
from orca_cool.prediction.windows import Window, by_root, plan

CHR1, BINS = 248_956_422, 250
LEVELS = tuple(128_000 >> k for k in range(6))
#: Seconds of one strand on one core, finest level and others (docs/benchmarks.md).
SECONDS = {r: 1.68 for r in LEVELS} | {4000: 2.73}

Levels = Sequence[Sequence[Window]]


def model(
    roots: Sequence[Levels], threads: int, seconds: Mapping[int, float], most: int
) -> tuple[float, float]:
    """The queue with a made-up clock.

    Parameters
    ----------
    seconds : of one strand of a window, by resolution. most : roots that are open at once.

    Returns
    -------
    Seconds from the first window to the last, and the share of them that a core is busy.
    """
    queue, running, now, busy = ReadyQueue(), [], 0.0, 0.0
    waiting, count = list(enumerate(roots))[::-1], 0
    while True:
        while len(queue) + len(running) < threads and queue.roots < most and waiting:
            queue.open(*waiting.pop(), strands=2)
        while len(queue) and len(running) < threads:
            place = queue.take()
            took = seconds[queue.window(place).resolution]
            heapq.heappush(running, (now + took, count, place))
            busy, count = busy + took, count + 1
        if not running:
            return now, busy / (threads * now)
        now, _, place = heapq.heappop(running)
        queue.done(place)


def by_itself(
    roots: Sequence[Levels], threads: int, seconds: Mapping[int, float]
) -> tuple[float, float]:
    """As :func:`model`, each root when the one before it is done."""
    found = [model([root], threads, seconds, 1) for root in roots]
    total = sum(took for took, _ in found)
    return total, sum(took * share for took, share in found) / total


def measured(options: argparse.Namespace, figures: Figures) -> dict[int, float]:
    """Print what is measured here; seconds of a strand of a window with all cores busy."""
    bundle = released_size()
    engine = make_engine(bundle, Random(a=CHR1), "cpu")
    module = bundle.spec.module("32M")
    resolutions = LEVELS[: options.levels]
    levels = plan(CHR1, resolutions, BINS, 0, CHR1)
    roots = [RootWindows(module, "a", root) for root in by_root(levels)[: options.roots]]
    base = torch.randn(128, 8000, generator=torch.Generator().manual_seed(1))
    opened = engine._root(module, lambda: [base, base.flip(1)], None)
    engine.root = lambda *_: opened  # type: ignore[method-assign]
    took: dict[int, list[float]] = defaultdict(list)
    lock, real = threading.Lock(), engine.decode_strand

    def timed(root, window, reverse, above):
        at = time.perf_counter()
        found = real(root, window, reverse, above)
        with lock:
            took[window.resolution].append(time.perf_counter() - at)
        return found

    engine.decode_strand = timed  # type: ignore[method-assign]
    threads = torch.get_num_threads()
    list(decode_roots(engine, roots[:1]))  # networks are made, and pages touched

    def clock(work: Callable[[], object]) -> tuple[float, dict[int, float], float]:
        took.clear()
        at = time.perf_counter()
        work()
        wall = time.perf_counter() - at
        busy = sum(map(sum, took.values())) / (threads * wall)
        return wall, {r: float(np.mean(s)) for r, s in took.items()}, busy

    ways = {
        "each root by itself": lambda: [list(decode_roots(engine, [root])) for root in roots],
        "together": lambda: list(decode_roots(engine, roots)),
    }
    plans = [root.levels for root in roots]
    print(f"{threads} threads, {len(roots)} roots of {sum(map(len, plans[0]))} windows, seconds:")
    for name, work in ways.items():
        wall, mean, busy = min((clock(work) for _ in range(options.repeats)), key=lambda r: r[0])
        most = roots_at_once(threads)
        if name == "together":
            told, share = model(plans, threads, mean, most)
        else:
            told, share = by_itself(plans, threads, mean)
        print(
            f"  {name:20} {wall:6.1f} measured (cores busy {busy:.2f}), {told:6.1f} by the model "
            f"(busy {share:.2f}): {told / wall:.2f} of it"
        )
        figures.add(name, {"seconds": wall, "busy": busy})
        figures.modelled |= {
            f"{name}: seconds by the model": told,
            f"{name}: busy by the model": share,
            f"{name}: by the model of measured": told / wall,
        }
    return {r: mean.get(r, mean[max(mean)]) for r in LEVELS} | {4000: mean[max(mean)] * 1.6}


def waiting(roots: Sequence[Levels], threads: int, seconds: Mapping[int, float]) -> float:
    """Share of the time in which the threads of a prediction are busy, with networks that wait for
    a part of the seconds that they would take: such a part that it takes as long for any number.
    """
    scale = threads / 200
    bundle = released_size()
    engine = make_engine(bundle, Random(a=CHR1), "cpu")
    module, nothing = bundle.spec.module("32M"), torch.zeros(1, 1, BINS, BINS)
    engine.root = lambda *_: Root(module, list)  # type: ignore[method-assign]
    lock, total = threading.Lock(), 0.0

    def wait(root: Root, window: Window, *_: object) -> torch.Tensor:
        nonlocal total
        time.sleep(scale * seconds[window.resolution])
        with lock:
            total += scale * seconds[window.resolution]
        return nothing

    engine.decode_strand = wait  # type: ignore[method-assign]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        at = time.perf_counter()
        for _ in decode_roots(engine, [RootWindows(module, "a", levels) for levels in roots]):
            pass
        return total / (threads * (time.perf_counter() - at))
    finally:
        torch.set_num_threads(before)


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--roots", type=int, default=4)
    given.add_argument("--levels", type=int, default=3)
    given.add_argument("--repeats", type=int, default=2)
    given.add_argument("--model-only", action="store_true")
    options, figures = given.parse_args(), Figures(__file__)
    seconds = SECONDS if options.model_only else measured(options, figures)
    roots = by_root(plan(CHR1, LEVELS, BINS, 0, CHR1))
    print(f"model, chr1 of hg38, {len(roots)} roots, six levels: share of the time cores are busy")
    print("  cores   each root by itself   together   (waiting threads)   roots at once   gain")
    for cores in (8, 16, 32, 64):
        alone, together = (
            by_itself(roots, cores, seconds),
            model(roots, cores, seconds, roots_at_once(cores)),
        )
        idle = waiting(roots, cores, seconds)
        print(
            f"  {cores:5} {alone[1]:21.2f} {together[1]:10.2f} {idle:19.2f} "
            f"{roots_at_once(cores):15} {alone[0] / together[0]:6.2f}"
        )
        figures.add(f"{cores} cores", {"waiting": idle})
        shares = {"by itself": alone[1], "together": together[1], "gain": alone[0] / together[0]}
        figures.modelled |= {f"{cores} cores: {name}": value for name, value in shares.items()}
    figures.keep(options.json)


if __name__ == "__main__":
    main()
