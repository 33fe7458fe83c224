"""What is said where a package is missing: one wording, and extras that exist."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from orca_cool.errors import missing_package

ROOT = Path(__file__).resolve().parents[1]
#: The one place of the wording, and what says how the package's own requirements are installed.
PLACES = {"orca_cool/errors.py", "orca_cool/api/doctor.py"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("orca_cool", "higlass_plugin"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "pip install" in text or "missing_package" in text or "orca-cool[" in text:
                yield path.relative_to(ROOT).as_posix(), ast.parse(text)


def test_hints_have_one_wording():
    found = {
        name
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and ("pip install" in node.value or "orca-cool[" in node.value)
    }
    assert found == PLACES


def test_hints_name_extras_that_exist():
    tomllib = pytest.importorskip("tomllib")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    calls = [
        node
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "missing_package"
    ]
    assert len(calls) >= 12
    assert {ast.literal_eval(call.args[2]) for call in calls} <= set(extras)


def test_a_package_that_is_there_and_broken():
    error = ImportError("libhts.so.3: cannot open shared object file", name="cyvcf2")
    assert missing_package("reading 'x.vcf'", error, "variants") == (
        "reading 'x.vcf' needs 'cyvcf2', which cannot be imported (libhts.so.3: cannot open "
        "shared object file): pip install 'orca-cool[variants]', in a clone pip install "
        "'.[variants]'"
    )
