"""What a second process gains where many variants are scored: ``orca-cool variants`` on SNVs drawn
over a shipped genome, with a shipped model, as one process of one thread, as one of several
threads, and with ``-p``; and, as the most that ``-p`` could reach on these cores, as that many
commands of one thread at once that know nothing of each other.

    python scripts/bench/processes.py [--variants 1000] [--processes 2] [--rounds 3] [--brief]

Each is a whole command, from the start of Python to the table in its place. They take turns, round
by round, so that other work on the machine is shared by all; ratios are of the medians and of the
rounds. Beside wall clock stands the CPU time of all processes, which other work does not lengthen:
what ``-p`` takes more of it than one thread is what sharing costs. It is told whether the table of
``-p`` is that of one thread, byte for byte. ``--brief`` leaves out the several threads and the
separate commands.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import Figures, parser

import orca_cool as oc
from orca_cool.genome.source import codes_to_letters

#: bp at the ends of chromosomes in which no variant is drawn.
MARGIN = 1000


def snvs(genome: str, count: int, seed: int = 1) -> str:
    """Substitutions drawn evenly over a genome, as a text of edits in its order."""
    source = oc.open_genome(genome).source
    rng, sizes = np.random.default_rng(seed), dict(source.chromsizes)
    long = {c: n for c, n in sizes.items() if n > 2 * MARGIN}
    share = np.array(list(long.values()), float)
    order = list(long)
    places = sorted(
        (order.index(c), int(rng.integers(MARGIN, long[c] - MARGIN)))
        for c in rng.choice(order, count, p=share / share.sum())
    )
    lines = []
    for k, at in places:
        before = codes_to_letters(source.fetch(order[k], at, at + 1)).decode()
        after = rng.choice([b for b in "ACGT" if b != before])
        lines.append(f"{order[k]}:{at + 1:,} {before}>{after}")
    return "".join(f"{line}\n" for line in lines)


def cpu() -> float:
    """CPU seconds of all processes that this one has started, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(arguments: list[str], threads: int, *outputs: Path) -> tuple[float, float]:
    """Seconds of ``orca-cool variants``, once for each output and all at once, each in a process of
    its own; and their CPU seconds.
    """
    command = [sys.executable, "-m", "orca_cool", "variants", "-q", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    begin, before = time.perf_counter(), cpu()
    runs = [
        subprocess.Popen(
            [*command, "--force", "-o", str(output)],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for output in outputs
    ]  # fmt: skip
    if any([run.wait() for run in runs]):
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - begin, cpu() - before


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--model", default="yeast-deep")
    given.add_argument("--genome", default="example")
    given.add_argument("--variants", type=int, default=1000)
    given.add_argument("--processes", type=int, default=2)
    given.add_argument("--rounds", type=int, default=3)
    given.add_argument("--brief", action="store_true")
    options, figures = given.parse_args(), Figures(__file__)
    n = options.processes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.edits").write_text(snvs(options.genome, options.variants))
        given = [str(folder / "in.edits"), "-m", options.model, "-g", options.genome]
        given += ["--device", "cpu"]
        ways = {"one thread": (given, 1), f"-p {n}": ([*given, "-p", str(n)], 1)}
        if not options.brief:
            ways[f"{n} threads"] = (given, n)
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        used: dict[str, list[float]] = {way: [] for way in ways}
        apart: list[float] = []
        for _ in range(options.rounds):
            for k, (way, (arguments, threads)) in enumerate(ways.items()):
                wall, cpu_seconds = timed(arguments, threads, folder / f"{k}.tsv")
                seconds[way].append(wall)
                used[way].append(cpu_seconds)
            if not options.brief:
                apart.append(timed(given, 1, *(folder / f"apart.{k}.tsv" for k in range(n)))[0])
        tables = {way: (folder / f"{k}.tsv").read_bytes() for k, way in enumerate(ways)}
    same = {way: table == tables["one thread"] for way, table in tables.items()}
    middle = {way: statistics.median(found) for way, found in seconds.items()}
    shared = f"-p {n}"
    report = {
        "model": options.model,
        "variants": options.variants,
        "seconds": {way: [round(s, 2) for s in found] for way, found in seconds.items()},
        "CPU seconds": {way: [round(s, 2) for s in found] for way, found in used.items()},
        "median": {way: round(s, 2) for way, s in middle.items()},
        "variants a second": {way: round(options.variants / s, 2) for way, s in middle.items()},
        f"times {shared}, of medians": {
            way: round(s / middle[shared], 3) for way, s in middle.items() if way != shared
        },
        f"times {shared}, round by round": {
            way: [round(a / b, 3) for a, b in zip(found, seconds[shared])]
            for way, found in seconds.items()
            if way != shared
        },
        "table is that of one thread": same,
    }
    if apart:
        ceiling = n * middle["one thread"] / statistics.median(apart)
        report[f"times {n} separate commands at once"] = round(ceiling, 3)
        figures.add(f"{n} separate commands at once", {"times": ceiling})
    print(json.dumps(report, indent=1))
    for way in seconds:
        figures.add(way, {"seconds": middle[way], "CPU s": statistics.median(used[way])})
        figures.add(way, {"variants/s": options.variants / middle[way]})
        if way != shared:
            figures.add(f"{shared} against {way}", {"times": middle[way] / middle[shared]})
    figures.measured |= {"table is the same": int(all(same.values()))}
    figures.keep(options.json)


if __name__ == "__main__":
    main()
