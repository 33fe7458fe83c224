"""The tables of speed and memory in docs, made from the figures that the
benchmarks have kept (``results/``, written by ``--json``), so that they say what was measured.

    python scripts/bench/table.py             # writes them
    python scripts/bench/table.py --check     # exit code 1 where they differ from the figures

A table stands between two comments, the first of which names the scripts whose rows it has, or
``overview``. Rows are in ``table_rows.py``; a row has a cell for each processor whose figures have
what it tells. What was computed by a model and not measured is in italics.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import FORMAT, INSTRUCTIONS, RESULTS, label, slug
from table_rows import ROWS, Row

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("docs/accuracy-and-speed.md", "docs/benchmarks.md")
BEGIN, END = "<!-- made by scripts/bench/table.py: ", "<!-- end of what table.py makes -->"
_MADE = re.compile(f"{BEGIN}([a-z_ ]+) -->\n.*?{END}", re.DOTALL)
_FIGURE = re.compile(r"\{([^{}|]+)\|([^{}]+)\}")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Result:
    """Figures of one script on one processor."""

    script: str
    about: dict[str, Any]
    measured: dict[str, float]
    modelled: dict[str, float]

    @property
    def name(self) -> str:
        """As the processor's column is called."""
        return label(self.about)

    @property
    def origin(self) -> str:
        """What is known of the run."""
        a = self.about
        parts = [f"orca-cool {a['orca-cool']}", a["torch"] and f"torch {a['torch'].split('+')[0]}"]
        parts += [f"{a['cores']} cores", a["date"]]
        parts += [f"load {a['load']:g} when it ended"] if a.get("load") is not None else []
        note = f". {a['note']}" if a.get("note") else ""
        return f"{self.name}: {', '.join(filter(None, parts))}{note}"

    def cell(self, text: str) -> str | None:
        """A row's text with the figures in it; None if there is one that was not measured."""

        def known(match: re.Match[str]) -> str:
            key, form = match.groups()
            if key in self.measured:
                return format(self.measured[key], form)
            return f"*{format(self.modelled[key], form)}*"

        def optional(match: re.Match[str]) -> str:
            try:
                return _FIGURE.sub(known, match[1])
            except KeyError:
                return ""

        try:
            return _FIGURE.sub(known, _OPTIONAL.sub(optional, text))
        except KeyError:
            return None


def read(folder: Path = RESULTS) -> list[Result]:
    """All results, those of the most capable processors first, of equal ones the newest first.

    Raises
    ------
    ValueError : a file is none of ``--json``, or is not called as its script and processor are.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_text())
        if data.get("format") != FORMAT or data.get("version") != 1:
            raise ValueError(f"{path}: not a file of figures")
        if path.name != (wanted := f"{data['script']}.{slug(data['about'])}.json"):
            raise ValueError(f"{path}: should be called {wanted!r}")
        found.append(Result(*(data[k] for k in ("script", "about", "measured", "modelled"))))

    def order(result: Result) -> tuple[int, str]:
        best = result.about["instructions"]
        return (list(INSTRUCTIONS).index(best[0]) if best else 9), result.name

    return sorted(found, key=order)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def of_script(script: str, results: list[Result]) -> str:
    """All rows of a script, a column for each processor, and what is known of the runs."""
    here = [r for r in results if r.script == script]
    rows = []
    for row in (r for r in ROWS if r.script == script):
        cells = [result.cell(row.cell) or "" for result in here]
        if not any(cells):
            raise ValueError(f"{script}: {row.what!r}: no result has these figures")
        rows.append([row.what, *cells])
    origins = "\n".join(f"* {result.origin}" for result in here)
    name = f"`scripts/bench/{script}.py`" if script != "quickstart" else "`scripts/quickstart.sh`"
    return f"{table([name, *(r.name for r in here)], rows)}\n\n{origins}"


def overview(results: list[Result]) -> str:
    """The rows of the overview, each of one processor."""
    rows, last = [], ""
    for row in (r for r in ROWS if r.overview is not None):
        result = _of(row, results)
        text = result.cell(row.cell)
        if text is None:
            raise ValueError(f"{row.script}: {row.what!r}: {result.name} lacks figures of it")
        rows.append(["" if row.script == last else f"`{row.script}`", row.what, text, result.name])
        last = row.script
    return table(("script", "what", "measured", "processor"), rows)


def _of(row: Row, results: list[Result]) -> Result:
    for result in results:
        if result.script == row.script and slug(result.about) == row.overview:
            return result
    raise ValueError(f"{row.script}: no result of {row.overview!r}")


def made(text: str, results: list[Result]) -> str:
    """A page with its tables as they should be."""

    def one(match: re.Match[str]) -> str:
        names = match[1].split()
        parts = [overview(results) if n == "overview" else of_script(n, results) for n in names]
        body = "\n\n".join(parts)
        return f"{BEGIN}{match[1]} -->\n\n{body}\n\n{END}"

    return _MADE.sub(one, text)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    results, differ = read(), []
    for page in PAGES:
        path = options.root / page
        before = path.read_text()
        after = made(before, results)
        if before != after:
            differ.append(page)
            if not options.check:
                path.write_text(after)
    for page in differ:
        print(f"{page}: {'its tables are not those of the figures' if options.check else 'made'}")
    return 1 if options.check and differ else 0


if __name__ == "__main__":
    sys.exit(main())
