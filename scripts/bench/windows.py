"""How many windows a second a prediction can take in, whatever computes them: networks stubbed out.

A released-size prediction (32M module, six levels, 250 bins, random genome) in which maps are there
at once, and windows are planned, averaged, merged into the mosaic and written, with the expected
tables, as always. CPU seconds of each stage a window, and of each thread; what limits a fast GPU is
the slowest thread: one hands windows on, two merge, three write checkpoints, one reads these, one
makes rows of pixels, one writes them; those that compress, as many as there are cores, up to eight,
are not told apart. The sequence is drawn once and repeats, so that drawing is no part of it.

    python scripts/bench/windows.py
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from common import MB, Figures, Random, parser, released_size

from orca_cool.genome.regions import Region
from orca_cool.model.bundle import Model
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.root import Root
from orca_cool.prediction.to_file import predict_to_file
from orca_cool.profile import Profile

#: Maps of the stub, a few different ones.
MAPS = 8


@contextlib.contextmanager
def timed_threads() -> Iterator[Counter[str]]:
    """CPU seconds by name of the threads that begin and end in the block, and of this one."""
    used: Counter[str] = Counter()
    run = threading.Thread.run

    def timed(thread: threading.Thread) -> None:
        begin = time.thread_time()
        try:
            run(thread)
        finally:
            used[thread.name.rstrip("_0123456789")] += time.thread_time() - begin

    threading.Thread.run = timed  # type: ignore[method-assign]
    begin = time.thread_time()
    try:
        yield used
    finally:
        used["first"] = time.thread_time() - begin
        threading.Thread.run = run  # type: ignore[method-assign]


class Repeating(Random):
    """A genome whose sequence is drawn once, and repeats."""

    drawn = Random(piece=16 * MB).fetch("piece", 0, 16 * MB)

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        begin, size = start % len(self.drawn), end - start
        if begin + size <= len(self.drawn):
            return self.drawn[begin : begin + size]
        return np.resize(np.roll(self.drawn, -begin), size)


def stubbed(
    bundle: Model, device: str, length: int, *, strand_difference: bool = False
) -> tuple[int, float, Profile, Counter[str]]:
    """Predict a chromosome of ``length`` bp with the first module, its networks stubbed out.

    Returns
    -------
    Windows, seconds, where these went, and CPU seconds by thread.
    """
    engine = make_engine(bundle, Repeating(chr1=length), device)
    bins, generator = bundle.spec.bins, torch.Generator().manual_seed(1)
    maps = [torch.randn(1, 1, bins, bins, generator=generator) for _ in range(MAPS)]
    maps = [(y + y.transpose(2, 3)).to(device) for y in maps]
    count = itertools.count()
    engine.root = lambda module, *_: Root(module, list)  # type: ignore[method-assign, assignment]
    engine.decode_strand = lambda *_: maps[next(count) % MAPS]  # type: ignore[method-assign]
    engine.decode_windows = lambda requests: [  # type: ignore[method-assign, assignment]
        (maps[next(count) % MAPS], maps[next(count) % MAPS]) for _ in requests
    ]
    module = bundle.spec.modules[0]
    settings = Settings(
        tuple(sorted(module.resolutions)),
        strand_difference=strand_difference,
        modules=(module.name,),
    )
    done = [0]

    def predict(path: Path, end: int) -> float:
        at = time.perf_counter()
        predict_to_file(
            engine,
            [Region("chr1", 0, end)],
            settings,
            path,
            assembly="random",
            provenance={},
            progress=lambda windows, total: done.__setitem__(0, total),
        )
        return time.perf_counter() - at

    with tempfile.TemporaryDirectory() as folder:
        # libraries are loaded, and threads begun
        predict(Path(folder) / "first.mcool", module.resolutions[-1] * bins)
        with Profile() as profile, timed_threads() as threads:
            wall = predict(Path(folder) / "x.mcool", length)
    return done[0], wall, profile, threads


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--megabases", type=int, default=100)
    given.add_argument("--strand-difference", action="store_true")
    options, figures = given.parse_args(), Figures(__file__)
    windows, wall, profile, threads = stubbed(
        released_size(), "cpu", options.megabases * MB, strand_difference=options.strand_difference
    )
    print(profile)
    print(f"{windows:,} windows in {wall:.1f} s: {windows / wall:,.0f} a second")
    used = {stage.name: 1000 * stage.cpu / windows for stage in profile.stages}
    for name, each in used.items():
        print(f"  {name:12} {each:6.2f} ms of CPU a window")
    of_threads = {name: 1000 * cpu / windows for name, cpu in threads.items()}
    for name, each in of_threads.items():
        print(f"  thread {name:12} {each:6.2f} ms of CPU a window")
    slowest = max(of_threads, key=lambda name: of_threads[name])
    print(
        f"the slowest thread ({slowest}) bears {1000 / of_threads[slowest]:,.0f} windows a second"
    )
    figures.add("stubbed", {"windows": windows, "windows/s": windows / wall})
    figures.add("slowest thread", {"windows/s": 1000 / of_threads[slowest]})
    figures.add("ms of CPU a window, by thread", of_threads)
    figures.add("ms of CPU a window", used | {"all": sum(used.values())})
    figures.keep(options.json)


if __name__ == "__main__":
    main()
