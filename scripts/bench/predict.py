"""Peak memory and time of a whole prediction against the chromosome's length, and the cost of one
zoom series per window.

    python scripts/bench/predict.py [--lengths 4,16,64]

A small model (128 bins of 2 kb, 4 kb, 8 kb; few channels, random weights) predicts made-up
chromosomes of so many Mb, each in a process of its own. The baseline, in the same run, is the plain
formulation: every finest window as a zoom series of its own, with its sequence encoded anew.
"""

from __future__ import annotations

import json
import tempfile
import time
from argparse import SUPPRESS
from pathlib import Path

import numpy as np
import torch
from common import Figures, Random, apart, parser, peak

from orca_cool.genome.regions import Region
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.cascade import Orca
from orca_cool.model.network_spec import DecoderSpec, EncoderSpec, ModuleSpec, PyramidSpec
from orca_cool.model.spec import ModelSpec
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.to_file import predict_to_file
from orca_cool.prediction.windows import plan


def small() -> ModelSpec:
    decoder = DecoderSpec(channels=16, width=16, bottleneck=8, dilations=(1, 2, 4, 8, 16))
    return ModelSpec(
        name="small",
        bins=128,
        encoder=EncoderSpec(
            widths=(8, 8, 16, 16, 16), pools=(1, 8, 10, 5, 5), kernel=5, block=256_000, flank=24_000
        ),
        pyramids={"p": PyramidSpec(steps=2, width=16)},
        modules=(ModuleSpec("M", (8000, 4000, 2000), ("p",), decoder),),
    )


def one(megabases: float) -> dict[str, float]:
    torch.manual_seed(0)
    length = int(megabases * 1e6)
    with tempfile.TemporaryDirectory() as folder:
        tables = {2000: ExpectedModel(2000, 0.1 / (1.0 + np.arange(length // 2000 + 1)))}
        bundle = load_bundle(save_bundle(Path(folder) / "small", Orca(small()).eval(), tables))
        engine = make_engine(bundle, Random(chrR=length), "cpu")
        start = peak()
        begin = time.perf_counter()
        predict_to_file(
            engine,
            [Region("chrR", 0, length)],
            Settings((2000, 4000, 8000)),
            Path(folder) / "x.mcool",
            assembly="random",
            provenance={},
        )
        seconds = time.perf_counter() - begin
        memory = peak()
        windows = plan(length, (8000, 4000, 2000), 128)
        begin = time.perf_counter()
        for k in range(3):
            engine.zoom(bundle.spec.modules[0], "chrR", length // 2 + k * 1001)
        plain = (time.perf_counter() - begin) / 3 * len(windows[-1])
    return {
        "seconds": seconds,
        "plain": plain,
        "peak": memory,
        "before": start,
        "windows": sum(map(len, windows)),
    }


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--lengths", default="4,16,64")
    given.add_argument("--one", type=float, help=SUPPRESS)
    options, figures = given.parse_args(), Figures(__file__)
    if options.one:
        print(json.dumps(one(options.one)))
        return
    times: list[float] = []
    for text in options.lengths.split(","):
        r = apart(__file__, "--one", text)
        ratio = {"times faster": r["plain"] / r["seconds"]}
        figures.add(f"{text} Mb", r | ratio)
        times.append(ratio["times faster"])
        print(
            f"{text:>4} Mb: {r['windows']} windows, {r['seconds']:.1f} s; plain series for every "
            f"finest window {r['plain']:.1f} s "
            f"(ratio {r['plain'] / r['seconds']:.1f}); peak {r['peak']:.2f} GB, of which "
            f"{r['before']:.2f} GB before predicting"
        )
    figures.measured |= {"least times faster": min(times), "most times faster": max(times)}
    figures.keep(options.json)


if __name__ == "__main__":
    main()
