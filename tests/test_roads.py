"""The commands of docs/roads run as they stand, one after the other, in an empty folder that shows
what a clone shows. What is marked there as long runs with ``--long``; what needs released weights,
a cluster or a browser is marked as not run, with the reason.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROADS = sorted((ROOT / "docs" / "roads").glob("*.md"))


class Block(NamedTuple):
    """Commands of a page. run : "yes", "long", or "no, REASON"."""

    line: int
    run: str
    text: str


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    found = re.finditer(r"(?:^<!-- run: (.*?) -->\n)?^```bash\n(.*?)^```", text, re.M | re.S)
    return [Block(text.count("\n", 0, m.start(2)), m[1] or "yes", m[2]) for m in found]


def walk(path: Path, folder: Path, which: set[str]) -> None:
    """Run the blocks of a page that are to be run, each with the files of those before it."""
    for name in ("orca_cool", "examples", "tests", "scripts", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    shim = folder / ".bin"
    shim.mkdir()
    for name, words in (
        ("orca-cool", f'"{sys.executable}" -m orca_cool'),
        ("python", sys.executable),
    ):
        (shim / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (shim / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{shim}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    for block in blocks(path):
        if block.run not in which:
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        where = f"{path.name}, line {block.line}"
        assert done.returncode == 0, f"{where}:\n{block.text}\n{done.stdout}\n{done.stderr}"


def test_four_roads_say_of_every_block_whether_it_runs():
    assert [path.stem for path in ROADS] == [
        "biologist",
        "core-facility",
        "engineer",
        "method-developer",
    ]
    for path in ROADS:
        marks = {block.run for block in blocks(path)}
        assert "yes" in marks
        assert all(mark in ("yes", "long") or mark.startswith("no, ") for mark in marks), marks
    human = [b for path in ROADS for b in blocks(path) if re.search(r"h1esc|hg38", b.text)]
    assert len(human) >= 3
    assert all("needs" in block.run for block in human)


@pytest.mark.parametrize("path", ROADS, ids=lambda p: p.stem)
def test_the_short_commands_run(path, tmp_path):
    walk(path, tmp_path, {"yes"})


@pytest.mark.long
@pytest.mark.parametrize("path", ROADS, ids=lambda p: p.stem)
def test_all_commands_run(path, tmp_path):
    walk(path, tmp_path, {"yes", "long"})
