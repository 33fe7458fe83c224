"""What files say cannot move the cursor of a terminal, colour it, or turn letters round."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from orca_cool.cli import main
from orca_cool.errors import printable

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt\x00"


@given(st.text())
def test_nothing_that_controls_a_terminal_is_left(text):
    shown = printable(text)
    assert not {unicodedata.category(c) for c in shown if c not in "\n\t"} & {"Cc", "Cf", "Cs"}
    shown.encode()
    if text.isprintable():
        assert shown == text


def test_what_is_escaped():
    assert printable("chrI\t5\nμ É 染") == "chrI\t5\nμ É 染"
    assert printable(EVIL) == ("\\x1b]0;owned\\x07\\x1b[2J\\u009b31m\\u202etxt\\x00")
    assert printable("\r\x7f\ud800") == "\\r\\u007f\\ud800"


@pytest.mark.parametrize("line", [["predict", "-m", "yeast-metaphase", "-o", "o.mcool"]])
def test_an_error_that_quotes_a_file(line, tmp_path):
    fasta = tmp_path / "evil.fa"
    fasta.write_text(f">chr{EVIL}\nACGT\n", encoding="utf-8")
    done = CliRunner().invoke(main, [*line, "-g", str(fasta), f"no{EVIL}"])
    assert done.exit_code == 2
    assert not set("\x1b\x07\x9b\u202e\x00") & set(done.output)


def test_models_info_shows_what_a_file_says_safely(tmp_path):
    """A model folder of somebody else, of which the text is shown."""
    from orca_cool.model.registry import resolve

    source, folder = resolve("yeast-metaphase"), tmp_path / "evil"
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    spec = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    text = json.dumps(spec, ensure_ascii=False, indent=1)
    licence = spec.get("spec", spec).get("licence", "")
    assert licence
    evil = json.dumps(licence)[1:-1]
    (folder / "model.json").write_text(text.replace(evil, "\u202e\x9b31m"), encoding="utf-8")
    for extra in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "orca_cool", "models", "info", str(folder), *extra],
            capture_output=True,
            text=True,
        )
        assert not set("\x9b\u202e") & set(done.stdout + done.stderr)
    assert "\u202e\x9b31m" in json.dumps(json.loads(done.stdout), ensure_ascii=False)
