"""What the paper's local screen costs at the released size (random weights), with encodings used
again, against a whole window encoded and decoded for each sequence, as the original does it.

    python scripts/bench/screen.py [--device cpu] [--sequences 4] [--full 1]
    OMP_NUM_THREADS=1 python scripts/bench/screen.py --count

The screen is that of ``orca-cool screen local --preset orca``: the 1M module's 4 kb level, the
forward strand, units of 10 bp, 20 of them a sequence, three runs. So 800 kb take 4,000 sequences a
run, and 1 Mb takes 15,000 in all. A few sequences are measured, by wall clock and by the CPU time
of the process (which other work on the machine does not lengthen), and multiplied. ``re-used``:
what this package does, without the first sequence, which brings the reference. ``anew``: the same
encoder and decoders, the window of each sequence encoded from nothing. ``plain``: the formulation
to which the fast paths are held, likewise.

``--count`` measures no time: it counts the floating-point operations of a sequence, and says what
those of a whole genome would take on one H100.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from common import MB, Figures, Random, parser, released_size
from torch.utils.flop_counter import FlopCounterMode

from orca_cool.genome.regions import Region
from orca_cool.model.fast import stage
from orca_cool.model.fast.tiers import Tiers
from orca_cool.perturb.changed import changed
from orca_cool.perturb.screen_local import FrameScreen, Level, predict
from orca_cool.perturb.screen_plan import Frame, frames, replacement, sequences, tiled
from orca_cool.prediction.orca_engine import OrcaEngine

#: Units of one window, all of them scored in it.
CENTRAL = Region("chrR", 40 * MB, 40 * MB + 800_000)
UNIT, PER_SEQUENCE, RUNS = 10, 20, 3
#: Sequences of 1 Mb.
PER_MB = RUNS * MB // UNIT // PER_SEQUENCE

#: bp of chr1 to chr22 of hg38. Windows of the paper's screen begin every 800 kb of them.
AUTOSOMES = 2_875_001_522
#: Dense peak of an H100 SXM by its data sheet, floating-point operations a second, and the share of
#: it that convolutions are assumed to reach.
PEAK = {"TF32": 494.7e12, "16 bit": 989.4e12}
SHARE = 0.3


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall clock and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--device", default="cpu")
    given.add_argument("--sequences", type=int, default=4, help="measured with re-use")
    given.add_argument("--full", type=int, default=1, help="measured without")
    given.add_argument("--count", action="store_true", help="count operations, measure nothing")
    options, figures = given.parse_args(), Figures(__file__)

    model, source = released_size(), Random(chrR=100 * MB)
    module = model.spec.module("1M")
    level = Level(module, module.resolutions[-1], strands="forward")
    units = tiled([CENTRAL], UNIT, UNIT)
    every = frames(model.spec, module, level.resolution, source, units)
    frame = max(every, key=lambda f: len(f.units))
    start = frame.start(level.resolution)
    window = source.fetch("chrR", start, start + MB)
    drawn = []
    for numbers in sequences(frame.units, PER_SEQUENCE, 0, frame, 0)[: options.sequences + 1]:
        places = [units[k] for k in numbers]
        bases = [source.fetch("chrR", u.start, u.end) for u in places]
        drawn.append(
            [
                (u, replacement(codes, "sample", window, 0, frame, 0, u.start))
                for u, codes in zip(places, bases)
            ]
        )

    if options.count:
        print(count(model, source, frame, level, drawn[:2]))
        return
    engine = OrcaEngine(model, source, options.device, fine_bytes=2**30)
    columns = np.ones(model.spec.bins, bool)
    screen = FrameScreen(engine, source, frame, level, columns)
    first = timed(lambda: screen.scores(drawn[:1]))
    before = engine.encoded_bp
    wall, cpu = timed(lambda: [screen.scores([edits]) for edits in drawn[1:]])
    n = len(drawn) - 1
    read = (engine.encoded_bp - before) / n
    reused = wall / n, cpu / n

    def anew() -> None:
        for edits in drawn[: options.full]:
            genome = changed(source, edits)
            whole = OrcaEngine(model, genome, options.device, reuse=False)
            predict([whole], frame, level)

    found_anew = tuple(x / options.full for x in timed(anew))
    found_plain = timed(lambda: plain(model, module, window, options.device))
    rows = {"re-used": reused, "anew": found_anew, "plain": found_plain}
    report = {
        name: {
            "s a sequence": round(wall, 3),
            "CPU s a sequence": round(cpu, 3),
            "CPU h per Mb": round(cpu * PER_MB / 3600, 2),
            "times re-used": round(cpu / reused[1], 2),
        }
        for name, (wall, cpu) in rows.items()
    }
    about = {
        "threads": torch.get_num_threads(),
        "sequences per Mb": PER_MB,
        "first sequence, with the reference: CPU s": round(first[1], 1),
        "bp encoded a sequence, re-used": round(read),
    }
    print(json.dumps(about | report, indent=1))
    for name, row in report.items():
        figures.modelled[f"{name}: CPU h per Mb"] = row.pop("CPU h per Mb")
        figures.add(name, row)
    figures.keep(options.json)


@contextlib.contextmanager
def counting() -> Iterator[Counter[str]]:
    """Floating-point operations (a multiplication and its addition are two) by part of the network;
    Winograd, which only a CPU uses, is off.
    """
    found: Counter[str] = Counter()
    plain: dict[str, Callable[..., Any]] = {n: getattr(Tiers, n) for n in ("_chunks", "_tier2")}

    def watched(name: str, part: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            before = counter.get_total_flops()
            result = plain[name](*arguments)
            found[part] += counter.get_total_flops() - before
            return result

        return call

    many, stage.MANY = stage.MANY, 10**9
    Tiers._chunks = watched("_chunks", "fine tier")  # type: ignore[method-assign]
    Tiers._tier2 = watched("_tier2", "upper tier")  # type: ignore[method-assign]
    try:
        with FlopCounterMode(display=False) as counter:
            yield found
        found["decoder"] = counter.get_total_flops() - found.total()
    finally:
        stage.MANY = many
        for name, function in plain.items():
            setattr(Tiers, name, function)


def count(
    model: Any, source: Any, frame: Frame, level: Level, drawn: Sequence[Sequence[Any]]
) -> str:
    """A table of operations a sequence, and of hours for chr1 to chr22 on an H100.

    Parameters
    ----------
    drawn : the first sequence, which brings the reference, and one that is counted.
    """
    if torch.get_num_threads() > 1:
        raise SystemExit("what other threads do is not counted; set OMP_NUM_THREADS=1")
    reused = OrcaEngine(model, source, "cpu", fine_bytes=2**30)
    with counting():  # also makes the networks, which are made when they are first used
        screen = FrameScreen(reused, source, frame, level, np.ones(model.spec.bins, bool))
        screen.scores(drawn[:1])
    with counting() as again:
        screen.scores(drawn[1:])
    anew = OrcaEngine(model, changed(source, drawn[1]), "cpu", reuse=False)
    with counting() as whole:
        predict([anew], frame, level)
    rows = {"encodings used again": again, "each window encoded from nothing": whole}
    rows["plain formulation, each window from nothing"] = plain_count(model, level.module)
    sequences = AUTOSOMES / 800_000 * 4000 * RUNS
    lines = [
        f"{sequences / 1e6:.1f} million sequences",
        "| | fine tier | upper tier | decoder | TFLOP a sequence | "
        + " | ".join(f"hours, {name}" for name in PEAK)
        + " |",
        "|---" * (5 + len(PEAK)) + "|",
    ]
    for name, found in rows.items():
        parts = [found["fine tier"], found["upper tier"], found["decoder"], found.total()]
        hours = [found.total() * sequences / (SHARE * peak) / 3600 for peak in PEAK.values()]
        cells = [f"{x / 1e12:.3f}" for x in parts] + [f"{h:,.0f}" for h in hours]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plain_count(model: Any, module: Any) -> Counter[str]:
    """Operations of the plain formulation, of which only shapes are needed."""
    from reference import plain as reference

    networks = model.model.to("meta")
    found: Counter[str] = Counter()
    with FlopCounterMode(display=False) as counter:
        reference.encode(networks.encoder, np.zeros(MB, np.uint8), "meta")
    found["upper tier"] = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        x = torch.zeros(1, 128, 250, device="meta")
        networks.decode(module, 4000, x, torch.zeros(1, 1, 250, 250, device="meta"), None)
    found["decoder"] = counter.get_total_flops()
    return found


def plain(model: object, module: object, codes: np.ndarray, device: str) -> None:
    """One window by the plain formulation: encoded whole, decoded on the forward strand."""
    from reference import plain as reference

    networks = model.model.to(device)  # type: ignore[attr-defined]
    reference.encode(networks.encoder, codes, device)
    x = torch.randn(1, 128, 250, device=device)
    distance = torch.randn(1, 1, 250, 250, device=device)
    with torch.inference_mode():
        networks.decode(module, 4000, x, distance, None)


if __name__ == "__main__":
    main()
