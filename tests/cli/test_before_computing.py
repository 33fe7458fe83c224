"""What can be known before anything is computed is said before torch is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: Loading torch is an error in the process that runs this.
CODE = """
import sys
class Refuse:
    def find_spec(self, name, *rest):
        assert name != "torch", "torch is loaded"
sys.meta_path.insert(0, Refuse())
from orca_cool.cli import main
main(sys.argv[1:])
"""

CASES = Path(__file__).resolve().parents[1] / "data" / "cases"
VERBS = {"predict": ["-o", "o.mcool"], "variants": ["--edit", "chrI:1,000 A>G", "-o", "o.tsv"]}


def outcome(folder: Path, *arguments: str) -> str:
    """What a verb says, which must be an error."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert not list(folder.glob("o.*"))
    return done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_genome_of_another_kind(tmp_path, verb):
    (tmp_path / "g.fa").write_bytes((CASES / "cr.fa").read_bytes())
    line = [verb, "-m", "yeast-metaphase", "-g", "g.fa", *VERBS[verb]]
    assert "classic Mac" in outcome(tmp_path, *line)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["predict", "chrII:0-900,000", "-o", "o.mcool"], "outside chrII"),
        (["predict", "--levels", "3000", "-o", "o.mcool"], "no level '3000'"),
        (["encode", "chrXX", "-o", "o.h5"], "no chromosome 'chrXX'"),
        (["plot", "--region", "chrI:0-10,000,000", "-o", "o.png"], "outside chrI"),
    ],
)
def test_what_model_and_genome_do_not_have(tmp_path, line, message):
    verb, *rest = line
    assert message in outcome(tmp_path, verb, "-m", "yeast-metaphase", "-g", "example", *rest)


def test_genome_of_another_assembly(tmp_path):
    (tmp_path / "g.fa").write_text(">chrI\n" + "ACGT" * 1000 + "\n")
    line = ["-m", "yeast-metaphase", "-g", "g.fa", "-o", "o.mcool"]
    assert "is not the assembly of model" in outcome(tmp_path, "predict", *line)
