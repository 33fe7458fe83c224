"""What the window store saves at the released size (random weights), in one run: seconds to predict
a stretch of a chromosome at every level of a module

* without a store, which is the baseline,
* with an empty store, which it fills,
* with that store, by another process,
* with one base changed.

    python scripts/bench/stored.py [--module 1M] [--mb 4] [--dtype float16]

With them: bytes of a window in the file, so of a whole genome, and the seconds to find by content
what a top window of 32 Mb is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from common import MB, Figures, Random, apart, options_of, parser, released_size

from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Edit
from orca_cool.genome.segments import Segment
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.window_store import WindowStore
from orca_cool.prediction.windows import by_root, plan

#: Windows of six levels of the whole human genome at half-window steps.
HG38_WINDOWS = 12_206


def run(options: argparse.Namespace) -> dict[str, float]:
    """Predict once, as a process of its own."""
    source = Random(chrR=int(options.mb * MB))
    store = None
    if options.store is not None:
        store = WindowStore(options.store, dtype=options.dtype)
    engine = OrcaEngine(released_size(), source, options.device, window_store=store)
    if options.edited:
        base = Edit("sub", "chrR", 500_000, 500_001, sequence=(Segment.letters("N"),))
        engine = engine.for_genome(apply_edits(source, [base]))
    module = engine.spec.module(options.module)
    levels = plan(source.chromsizes["chrR"], module.resolutions, engine.spec.bins)
    begin = time.perf_counter()
    windows = sum(1 for root in by_root(levels) for _ in engine.windows(module, "chrR", root))
    seconds = time.perf_counter() - begin
    found = {"seconds": seconds, "windows": windows, "encoded Mb": engine.encoded_bp / 2 / MB}
    if store is not None:
        found |= {"found": store.hits / 2, "bytes": Path(options.store).stat().st_size}
    return found


def hashing(options: argparse.Namespace) -> dict[str, float]:
    """Seconds to digest the content of a top window of the 32M module."""
    with tempfile.TemporaryDirectory() as folder:
        store = WindowStore(Path(folder) / "w")
        engine = OrcaEngine(released_size(), Random(chrR=40 * MB), "cpu", window_store=store)
        root = engine.root(engine.spec.module("32M"), "chrR", 0)
        drawing = time.perf_counter()
        engine.source.fetch("chrR", 0, 32 * MB)
        begin = time.perf_counter()
        assert root.content is not None
        assert len(root.content.digest) == 32
        return {"seconds": time.perf_counter() - begin, "of which drawing": begin - drawing}


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--module", default="1M")
    given.add_argument("--mb", type=float, default=4)
    given.add_argument("--dtype", default="float32")
    given.add_argument("--device", default="cpu")
    given.add_argument("--run", choices=["predict", "hash"], help=argparse.SUPPRESS)
    given.add_argument("--store", help=argparse.SUPPRESS)
    given.add_argument("--edited", action="store_true", help=argparse.SUPPRESS)
    options, figures = given.parse_args(), Figures(__file__)
    if options.run is not None:
        print(json.dumps((run if options.run == "predict" else hashing)(options)))
        return
    base = ["--run", "predict", *options_of(options, "module", "mb", "dtype", "device")]
    with tempfile.TemporaryDirectory() as folder:
        store = ["--store", str(Path(folder) / "windows.db")]
        found = {
            "without a store": apart(__file__, *base),
            "with an empty one": apart(__file__, *base, *store),
            "with the filled one": apart(__file__, *base, *store),
            "one base changed": apart(__file__, *base, *store, "--edited"),
        }
    first = found["without a store"]["seconds"]
    for name, one in found.items():
        figures.add(name, one | {"times": first / one["seconds"]})
        print(f"{name:20}  {first / one['seconds']:8.2f} x  {json.dumps(one)}")
    filled = found["with the filled one"]
    each = filled["bytes"] / filled["windows"]
    print(f"{each / 1000:.0f} kB a window: hg38, six levels, {each * HG38_WINDOWS / 1e9:.2f} GB")
    digest = apart(__file__, "--run", "hash")
    print(f"content of 32 Mb: {json.dumps(digest)}")
    figures.add("content of 32 Mb", digest)
    figures.measured["kB a window"] = each / 1000
    figures.modelled["hg38, six levels: GB"] = each * HG38_WINDOWS / 1e9
    figures.keep(options.json)


if __name__ == "__main__":
    main()
