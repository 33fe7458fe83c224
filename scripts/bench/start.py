"""What starting costs: CPU seconds of `--help`, and of the example's prediction by stage.

    python scripts/bench/start.py [--runs 3] [--baseline FOLDER]

Each command runs in a process of its own, several times in turn with its baseline; the least of the
runs is told, since a busy machine only adds. The baseline is another checkout (version 0.1:
`git worktree add FOLDER v0.1`); without it only what Python itself and `import torch` take is told
beside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import Figures, parser

ROOT = Path(__file__).resolve().parents[2]

HELP = ["-m", "orca_cool", "predict", "--help"]
PREDICT = ["-m", "orca_cool", "predict", "--model", "yeast-metaphase", "--genome", "example", "-q"]


def seconds(arguments: list[str], root: Path = ROOT) -> tuple[float, str]:
    """CPU seconds of a command of Python, with the package of a checkout; its standard error."""
    before = os.times()
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr}")
    after = os.times()
    used = after.children_user - before.children_user
    return used + after.children_system - before.children_system, done.stderr


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--runs", type=int, default=3)
    given.add_argument("--baseline", type=Path)
    options, figures = given.parse_args(), Figures(__file__)
    roots = {"here": ROOT} | ({"baseline": options.baseline} if options.baseline else {})
    least: dict[tuple[str, str], float] = {}
    table = ""

    def measure(what: str, which: str, arguments: list[str], root: Path) -> str:
        used, told = seconds(arguments, root)
        least[what, which] = min(used, least.get((what, which), used))
        return told

    with tempfile.TemporaryDirectory() as folder:
        for run in range(options.runs):
            measure("python -c pass", "here", ["-c", "pass"], ROOT)
            measure("import torch", "here", ["-c", "import torch"], ROOT)
            for which, root in roots.items():
                out = ["-o", f"{folder}/{which}.{run}.mcool"]
                measure("predict --help", which, HELP, root)
                measure("predict (example)", which, [*PREDICT, *out], root)
        table = seconds([*PREDICT, "-o", f"{folder}/profile.mcool", "--profile"])[1]
    for (what, which), used in least.items():
        if which == "here":
            before = least.get((what, "baseline"))
            ratio = (
                "" if before is None else f"; baseline {before:.2f} s: {used / before:.2f} of it"
            )
            print(f"{what:<18} {used:.2f} s of CPU{ratio}")
            figures.add(what, {"CPU s": used})
            if before is not None:
                figures.add(what, {"baseline, CPU s": before, "share": used / before})
    print(table)
    figures.keep(options.json)


if __name__ == "__main__":
    main()
