"""What the command line needs before it computes is imported without torch, and a prediction without
what it does not need: each takes a part of a second, or seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import {module}
{then}
heavy = sorted({{"torch", "safetensors.torch", "matplotlib"}} & set(sys.modules))
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    ("module", "then"),
    [
        ("orca_cool.errors", ""),
        ("orca_cool.files", ""),
        ("orca_cool.genome.open", ""),
        ("orca_cool.variants", ""),
        ("orca_cool.model.spec", ""),
        (
            "orca_cool.model.header",
            "from orca_cool.model.registry import resolve\n"
            "header = orca_cool.model.header.read_header(resolve('yeast-metaphase'))\n"
            "assert header['spec'].resolutions == (2000, 4000, 8000)",
        ),
        (
            "orca_cool.model.registry",
            "assert 'yeast-metaphase' in orca_cool.model.registry.known()",
        ),
        ("orca_cool.model.fetch", ""),
    ],
)
def test_imported_without_torch(module, then):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module, then=then)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


#: Prints what a program has loaded, at its end.
LOADED = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
"""

#: Programs as the command line runs them.
VERBS = """
from orca_cool.cli import VERBS, main
for verb in VERBS:
    main([verb, "--help"], standalone_mode=False)
"""
PREDICT = "from orca_cool.cli import main; main({line!r}, standalone_mode=False)"

#: What nothing that is only asked about itself needs.
HEAVY = {"torch", "scipy", "pandas", "cooler", "bioframe", "matplotlib", "h5py"}


def loaded(program: str) -> set[str]:
    """Names of all modules that a program has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED + program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "program",
    [
        "import orca_cool as oc; oc.__version__, dir(oc), oc.Profile",
        PREDICT.format(line=["--help"]),
        PREDICT.format(line=["predict", "--help"]),
        PREDICT.format(line=["variants", "--help"]),
    ],
)
def test_help_loads_nothing_that_computes(program: str):
    found = loaded(program)
    assert "orca_cool" in found
    unneeded = {*HEAVY, "numpy", "psutil", "tqdm", "orca_cool.api", "orca_cool.prediction.job"}
    assert not unneeded & found


def test_no_help_loads_torch_or_what_draws():
    found = loaded(VERBS)
    assert "orca_cool.cli.serve" in found
    assert not (HEAVY - {"h5py"}) & found


def test_a_prediction_loads_what_it_needs(tmp_path):
    line = ["predict", "-m", "yeast-metaphase", "-g", "example", "chrI:0-100,000", "-q"]
    line += ["-o", str(tmp_path / "x.mcool"), "--device", "cpu"]
    found = loaded(PREDICT.format(line=line))
    assert (tmp_path / "x.expected.2000.tsv").exists()
    assert {"torch", "numpy", "h5py"} <= found
    unneeded = (HEAVY - {"torch", "h5py"}) | {"cooltools", "torch._dynamo", "sympy", "psutil"}
    assert not unneeded & found
