"""How many windows a second a prediction can take in, whatever computes them: networks stubbed out.

A released-size prediction (32M module, six levels, 250 bins, random genome) in which maps are there
at once, and windows are planned, averaged, merged into the mosaic and written, with the expected
tables, as always. CPU seconds of each stage a window; what limits a fast GPU is the slowest thread.

    python scripts/bench/windows.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from common import Random, released_size

from orca_cool.genome.regions import Region
from orca_cool.prediction.engine import Root, make_engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.to_file import predict_to_file
from orca_cool.profile import Profile

#: Maps of the stub, a few different ones.
MAPS = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabases", type=int, default=100)
    parser.add_argument("--strand-difference", action="store_true")
    options = parser.parse_args()
    length = options.megabases * 1_000_000
    bundle = released_size()
    engine = make_engine(bundle, Random(chr1=length), "cpu")
    bins, generator = bundle.spec.bins, torch.Generator().manual_seed(1)
    maps = [torch.randn(1, 1, bins, bins, generator=generator) for _ in range(MAPS)]
    maps = [y + y.transpose(2, 3) for y in maps]
    count = iter(range(1 << 30))
    engine.root = lambda module, *_: Root(module, [])  # type: ignore[method-assign, assignment]
    engine.decode_strand = lambda *_: maps[next(count) % MAPS]  # type: ignore[method-assign]
    engine.decode_windows = lambda requests: [  # type: ignore[method-assign, assignment]
        (maps[next(count) % MAPS], maps[next(count) % MAPS]) for _ in requests
    ]
    module = bundle.spec.module("32M")
    settings = Settings(module.resolutions, strand_difference=options.strand_difference)
    done = [0]
    with tempfile.TemporaryDirectory() as folder, Profile() as profile:
        at = time.perf_counter()
        predict_to_file(
            engine,
            [Region("chr1", 0, length)],
            settings,
            Path(folder) / "x.mcool",
            assembly="random",
            provenance={},
            progress=lambda windows, total: done.__setitem__(0, total),
        )
        wall = time.perf_counter() - at
    windows = done[0]
    print(profile)
    print(f"{windows:,} windows in {wall:.1f} s: {windows / wall:,.0f} a second")
    for stage in profile.stages:
        print(f"  {stage.name:12} {1000 * stage.cpu / windows:6.2f} ms of CPU a window")


if __name__ == "__main__":
    main()
