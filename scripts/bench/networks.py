"""Time of the networks at the released size (random weights), each against its plain formulation in the same run.

    python scripts/bench/networks.py [--device cpu] [--megabases 2] [--repeats 3]

Prints seconds per Mb of encoder and per window of decoders, and peak memory of the encoder in one pass and in blocks.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

from orca_cool.encode import encode_span
from orca_cool.genome import one_hot
from orca_cool.model.cascade import Orca
from orca_cool.model.spec import orca_spec


def timed(function, repeats: int, device: torch.device) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def peak(megabases: float, blocks: bool) -> float:
    """Peak memory in GB of a process that encodes once."""
    out = subprocess.run(
        [sys.executable, __file__, "--peak", "blocks" if blocks else "plain", "--megabases", str(megabases)],
        capture_output=True,
        check=True,
    )
    return float(out.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--megabases", type=float, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peak", choices=["plain", "blocks"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.manual_seed(0)
    spec = orca_spec("h1esc")
    model = Orca(spec).eval().to(device)
    size = int(options.megabases * 1e6)
    codes = np.random.default_rng(0).integers(0, 4, size, dtype=np.uint8)

    def plain():
        with torch.inference_mode():
            return model.encoder(one_hot(codes, device)[None])[0]

    def blocks():
        return encode_span(model.encoder, lambda a, b: codes[a:b], 0, size, ends=True, device=device)

    if options.peak:
        plain() if options.peak == "plain" else blocks()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
        return
    difference = (plain() - blocks()).abs().max() / plain().std()
    one, two = timed(plain, options.repeats, device), timed(blocks, options.repeats, device)
    print(f"threads {torch.get_num_threads()}, {options.megabases} Mb, median of {options.repeats}")
    print(f"encoder, one pass    {one / options.megabases:8.3f} s/Mb")
    print(f"encoder, in blocks   {two / options.megabases:8.3f} s/Mb   ratio {two / one:.2f}   max|difference| {difference:.1e} sd")
    if device.type == "cpu":
        for megabases in (options.megabases, 2 * options.megabases):
            a, b = peak(megabases, False), peak(megabases, True)
            print(f"peak memory, {megabases:g} Mb: one pass {a:.2f} GB, blocks {b:.2f} GB   ratio {b / a:.2f}")
    module = spec.module("32M")
    x = torch.randn(1, 128, 250, device=device)
    distance = torch.randn(1, 1, 250, 250, device=device)
    coarse = torch.randn(1, 1, 125, 125, device=device)
    results = {}
    for name, dtype in (("float32", None), ("bfloat16", torch.bfloat16)):

        def decode(resolution: int, dtype=dtype):
            with torch.inference_mode(), torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None):
                return model.decode(module, resolution, x, distance, coarse).float()

        decode(8000)
        results[name] = (
            decode(8000),
            timed(lambda decode=decode: decode(8000), options.repeats, device),
            timed(lambda decode=decode: decode(4000), options.repeats, device),
        )
    (y, a, b), (z, c, d) = results["float32"], results["bfloat16"]
    print(f"decoder, float32     {a:8.3f} s/window; finest level (Decoder + Decoder_1m) {b:.3f} s/window")
    error = (y - z).abs().max() / y.std()
    print(
        f"decoder, bfloat16    {c:8.3f} s/window   ratio {c / a:.2f}; finest {d:.3f}   ratio {d / b:.2f}   max|difference| {error:.1e} sd"
    )


if __name__ == "__main__":
    main()
