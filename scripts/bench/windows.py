"""How many windows a second a prediction can take in, whatever computes them: networks stubbed out.

A released-size prediction (32M module, six levels, 250 bins, random genome) in which maps are there
at once, and windows are planned, averaged, merged into the mosaic and written, with the expected
tables, as always. CPU seconds of each stage a window; what limits a fast GPU is the slowest thread:
one merges, one writes checkpoints, one the file. The sequence is drawn once and repeats, so that
drawing is no part of it.

    python scripts/bench/windows.py
"""

from __future__ import annotations

import itertools
import tempfile
import time
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


#: Stages that each have a thread of their own.
THREADS = ("merging", "checkpoints", "writing")


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
) -> tuple[int, float, Profile]:
    """Predict a chromosome of ``length`` bp with the first module, its networks stubbed out.

    Returns
    -------
    Windows, seconds, and where these went.
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
        with Profile() as profile:
            wall = predict(Path(folder) / "x.mcool", length)
    return done[0], wall, profile


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--megabases", type=int, default=100)
    given.add_argument("--strand-difference", action="store_true")
    options, figures = given.parse_args(), Figures(__file__)
    windows, wall, profile = stubbed(
        released_size(), "cpu", options.megabases * MB, strand_difference=options.strand_difference
    )
    print(profile)
    print(f"{windows:,} windows in {wall:.1f} s: {windows / wall:,.0f} a second")
    used = {stage.name: 1000 * stage.cpu / windows for stage in profile.stages}
    for name, each in used.items():
        print(f"  {name:12} {each:6.2f} ms of CPU a window")
    slowest = max(THREADS, key=lambda name: used[name])
    print(f"the slowest thread ({slowest}) bears {1000 / used[slowest]:,.0f} windows a second")
    figures.add("stubbed", {"windows": windows, "windows/s": windows / wall})
    figures.add("slowest thread", {"windows/s": 1000 / used[slowest]})
    figures.add("ms of CPU a window", used | {"all": sum(used.values())})
    figures.keep(options.json)


if __name__ == "__main__":
    main()
