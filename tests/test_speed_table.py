"""The tables of speed in docs are those of the benchmarks' files."""

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "scripts" / "bench"
RESULTS = sorted((BENCH / "results").glob("*.json"))
sys.path.insert(0, str(BENCH))

from table import made, read  # noqa: E402
from table_rows import ROWS  # noqa: E402

sys.path.remove(str(BENCH))  # where other tests' modules have namesakes


def check(root: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(BENCH / "table.py"), "--check", "--root", str(root)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_pages_have_the_tables_of_the_figures():
    done = check(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_figure_that_is_typed_in_is_found(tmp_path):
    (tmp_path / "docs").mkdir()
    for page in ("docs/accuracy-and-speed.md", "docs/benchmarks.md"):
        shutil.copy(ROOT / page, tmp_path / page)
    text = (tmp_path / "docs/accuracy-and-speed.md").read_text()
    begin = text.index("made by scripts/bench/table.py")
    place = re.compile(r"(\d+)\.(\d+) times").search(text, begin)
    assert place is not None
    (tmp_path / "docs/accuracy-and-speed.md").write_text(
        f"{text[: place.start()]}99.9{text[place.end() :]}"
    )
    done = check(tmp_path)
    assert done.returncode == 1
    assert done.stdout == "docs/accuracy-and-speed.md: its tables are not those of the figures\n"


def test_all_figures_of_a_row_are_of_files():
    """What stands in a cell beside figures holds no number."""
    for row in ROWS:
        assert re.search(r"\{[^{}|]+\|[^{}]+\}", row.cell), row
        assert not re.search(r"\d", re.sub(r"\{[^{}]*\}", "", row.cell)), row


def test_all_scripts_with_rows_stand_in_the_docs():
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    lists = re.findall(r"<!-- made by scripts/bench/table.py: ([a-z_ ]+) -->", text)
    shown = [name for names in lists for name in names.split()]
    assert sorted(shown) == sorted({row.script for row in ROWS})
    assert {path.name.split(".")[0] for path in RESULTS} == set(shown)


@pytest.mark.parametrize("path", RESULTS, ids=lambda p: p.stem)
def test_files_say_what_they_are_of(path):
    data = json.loads(path.read_text())
    assert {"processor", "instructions", "cores", "torch", "orca-cool", "date"} <= set(
        data["about"]
    )
    figures = data["measured"] | data["modelled"]
    assert len(figures) == len(data["measured"]) + len(data["modelled"]) > 0
    assert all(isinstance(x, int | float) and math.isfinite(x) for x in figures.values())


def test_what_a_model_told_is_in_italics():
    results = [r for r in read() if r.script == "train"]
    text = made(
        "<!-- made by scripts/bench/table.py: train -->\n<!-- end of what table.py makes -->",
        results,
    )
    assert re.search(r"\| \*\d+\* h \|", text)
