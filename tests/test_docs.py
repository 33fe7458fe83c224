"""The Python of the documentation runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orca_cool.maps.given_windows import GivenWindows

DOCS = Path(__file__).resolve().parents[1] / "docs"


def snippets(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)


def test_a_working_day(tmp_path, monkeypatch):
    """The blocks of docs/python.md, one after the other, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    blocks = snippets(DOCS / "python.md")
    assert len(blocks) >= 10
    names: dict[str, object] = {"__name__": "docs"}
    for number, block in enumerate(blocks, start=1):
        try:
            exec(compile(block, f"docs/python.md, block {number}", "exec"), names)
        except Exception as error:
            pytest.fail(f"block {number} of docs/python.md: {error!r}\n{block}")
    written = {path.name for path in tmp_path.iterdir()}
    assert {"chrII.png", "chrII.mcool", "scores.tsv", "deleted.diff.mcool", "gc.mcool"} <= written


def test_the_ten_lines_of_readme(tmp_path, monkeypatch):
    """README's Python, in an empty folder: two pictures and a file."""
    monkeypatch.chdir(tmp_path)
    (block,) = snippets(DOCS.parent / "README.md")
    assert len(block.splitlines()) <= 12
    exec(compile(block, "README.md", "exec"), {"__name__": "docs"})
    written = {path.name for path in tmp_path.iterdir()}
    assert {"chrII.png", "deletion.png", "no-centromere.mcool"} <= written


def test_windows_are_written_as_described(tmp_path, monkeypatch):
    """The block of docs/stitch.md makes a window that `stitch` reads."""
    monkeypatch.chdir(tmp_path)
    (block,) = snippets(DOCS / "stitch.md")
    exec(compile(block, "docs/stitch.md", "exec"), {"__name__": "docs"})
    given = GivenWindows.open("chr9-8388608.npz", {"chr9": 138_394_717}, "hg38")
    (window,) = given.windows
    assert (given.resolution, given.bins, window.start) == (2048, 448, 4096 + 32)


def test_contributing_names_files_that_exist():
    root = DOCS.parent
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = [
        path.relative_to(root).as_posix()
        for folder in ("orca_cool", "higlass_plugin", "tests", "scripts")
        for path in (root / folder).rglob("*")
    ]
    named = set(re.findall(r"`([\w/.]+\.(?:py|sh|toml|json))`", text)) - {"pyproject.toml"}
    assert len(named) > 30
    missing = [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)]
    assert missing == []
