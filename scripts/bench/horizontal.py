"""Training through long sequences: peak memory and CPU time of one forward and backward pass of the
encoder, plain and in blocks.

    python scripts/bench/horizontal.py [--sizes 0.5,1,2,4] [--plain 2] [--blocks 800,200] [--narrow
    1]

Orca's encoder with random weights, in training mode, on sequences of so many Mb, each measurement
in a process of its own. The baseline, in the same run, is one pass over the whole sequence whose
activations are kept, for sizes up to ``--plain`` Mb; ratios (of peak memory and of CPU seconds per
Mb) are to it, or, for longer sequences, to the longest of these in the same blocks.
"""

from __future__ import annotations

import dataclasses
import json
import time
from argparse import SUPPRESS

import torch
from common import Figures, apart, parser, peak
from torch import Tensor

from orca_cool.genome.source import one_hot
from orca_cool.model.encoder import Encoder
from orca_cool.model.horizontal import encode_blocks
from orca_cool.model.orca_spec import orca_spec


def one(megabases: float, block: int, narrow: int) -> dict[str, float]:
    """One forward and backward pass in blocks of ``block`` kb; 0, all at once."""
    torch.manual_seed(0)
    spec = orca_spec("h1esc").encoder
    encoder = Encoder(
        dataclasses.replace(spec, widths=tuple(w // narrow for w in spec.widths))
    ).train()
    codes = torch.randint(0, 4, (1, int(megabases * 1e6)), dtype=torch.uint8)

    def loss(x: Tensor) -> Tensor:
        y = encode_blocks(encoder, x, block=1000 * block) if block else encoder(one_hot(x[0])[None])
        return y.square().mean()

    loss(codes[:, :40_000]).backward()  # libraries are loaded and parameters have gradients
    before = peak()
    begin = time.process_time()
    loss(codes).backward()
    seconds = time.process_time() - begin
    return {"seconds": seconds, "peak": peak(), "before": before}


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--sizes", default="0.5,1,2,4", help="Mb")
    given.add_argument(
        "--plain",
        type=float,
        default=2.0,
        help="largest size of the plain pass, Mb (about 3.5 GB each)",
    )
    given.add_argument("--blocks", default="800,200", help="kb")
    given.add_argument("--narrow", type=int, default=1, help="divide the encoder's widths by this")
    given.add_argument("--one", nargs=2, type=float, help=SUPPRESS)
    options, figures = given.parse_args(), Figures(__file__)
    if options.one:
        print(json.dumps(one(options.one[0], int(options.one[1]), options.narrow)))
        return
    known: dict[
        int, tuple[str, dict[str, float]]
    ] = {}  # by block: the largest size of which the plain pass is known too
    for text in options.sizes.split(","):
        megabases, baseline = float(text), None
        for block in [0] * (megabases <= options.plain) + [
            int(b) for b in options.blocks.split(",")
        ]:
            r = apart(__file__, "--narrow", options.narrow, "--one", text, block)
            r["seconds"] /= megabases
            way = f"blocks of {block} kb" if block else "plain"
            figures.add(f"{text} Mb, {way}", r)
            line = f"{text:>4} Mb, {way:>16}: {r['seconds']:5.1f} CPU s/Mb"
            line += f", peak {r['peak']:5.2f} GB"
            line += f" ({r['before']:.2f} GB before)"
            if block == 0:
                baseline = "plain", r
            elif told := baseline or known.get(block):
                name, other = told
                line += f"; to {name}: memory {r['peak'] / other['peak']:.2f}"
                line += f", time {r['seconds'] / other['seconds']:.2f}"
                figures.add(f"{text} Mb, {way}", {"times": r["seconds"] / other["seconds"]})
            if block and (baseline or block not in known):
                known[block] = f"{text} Mb", r
            print(line, flush=True)
    figures.keep(options.json)


if __name__ == "__main__":
    main()
