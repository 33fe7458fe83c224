"""What can be known before anything is computed is said before torch is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

#: Loading torch is an error in the process that runs this. Its lines come as JSON; so do exit codes
#: and what is said.
CODE = """
import json, sys
class Refuse:
    def find_spec(self, name, *rest):
        assert name != "torch", "torch is loaded"
sys.meta_path.insert(0, Refuse())
from click.testing import CliRunner
from orca_cool.cli import main
done = [CliRunner().invoke(main, line) for line in json.loads(sys.argv[1])]
print(json.dumps([(one.exit_code, one.stderr) for one in done]))
"""

CASES = Path(__file__).resolve().parents[1] / "data" / "cases"
YEAST = "-m", "yeast-metaphase", "-g"

#: (command line, what is said)
LINES = [
    (["predict", *YEAST, "cr.fa", "-o", "o.mcool"], "classic Mac"),
    (["variants", *YEAST, "cr.fa", "--edit", "chrI:1,000 A>G", "-o", "o.tsv"], "classic Mac"),
    (["predict", *YEAST, "example", "chrII:0-900,000", "-o", "o.mcool"], "outside chrII"),
    (["predict", *YEAST, "example", "--levels", "3000", "-o", "o.mcool"], "no level '3000'"),
    (["encode", *YEAST, "example", "chrXX", "-o", "o.h5"], "no chromosome 'chrXX'"),
    (["plot", *YEAST, "example", "--region", "chrI:0-10,000,000", "-o", "o.png"], "outside chrI"),
    (["predict", *YEAST, "other.fa", "-o", "o.mcool"], "is not the assembly of model"),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> list[tuple[int, str]]:
    """Exit code and standard error of each line, all in one process that has no torch."""
    folder = tmp_path_factory.mktemp("before")
    (folder / "cr.fa").write_bytes((CASES / "cr.fa").read_bytes())
    (folder / "other.fa").write_text(">chrI\n" + "ACGT" * 1000 + "\n")
    lines = json.dumps([line for line, _ in LINES])
    done = subprocess.run(
        [sys.executable, "-c", CODE, lines], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not list(folder.glob("o.*"))
    return json.loads(done.stdout)


@pytest.mark.parametrize("number", range(len(LINES)), ids=[" ".join(line) for line, _ in LINES])
def test_it_is_said_before_torch_is_loaded(outcomes, number):
    code, said = outcomes[number]
    assert code == 2, said
    assert LINES[number][1] in said
