"""What the command line needs before it computes is imported without torch: that takes seconds."""

from __future__ import annotations

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
