"""The examples of public docstrings do what they say, with the data that ship."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import orca_cool as oc

#: Modules whose functions and classes are the public API (docs/reference/python.md).
MODULES = ["orca_cool", "orca_cool.errors", "higlass_plugin.notebook"]
MODULES += [f"orca_cool.api.{name}" for name in ("attribute", "maps", "objective", "predictions")]
MODULES += [f"orca_cool.api.{name}" for name in ("predictor", "screen", "stitch", "values")]
MODULES += [f"orca_cool.api.{name}" for name in ("verbs", "verify")]


def _examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for one in finder.find(module, name):
            found[one.name] = one
    for name in oc.__all__:
        thing = getattr(oc, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            home = importlib.import_module(thing.__module__)
            for one in finder.find(thing, f"{thing.__module__}.{thing.__qualname__}", home):
                found[one.name] = one
    return sorted((one for one in found.values() if one.examples), key=lambda one: one.name)


@pytest.fixture(scope="module")
def names():
    """What examples use without saying so: the package, a model on a genome."""
    return {"oc": oc, "p": oc.Predictor("yeast-metaphase", "example", progress=False)}


def test_many_public_docstrings_have_examples():
    runs = [e for one in _examples() for e in one.examples if not e.options.get(doctest.SKIP)]
    assert len(runs) >= 38


@pytest.mark.parametrize("example", _examples(), ids=lambda one: one.name)
def test_example(example, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in.edits").write_text("deletion\tchrII:238,208-238,325 del\n")
    example.globs = example.globs | names
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    result = runner.run(example, out=said.append)
    assert result.failed == 0, "".join(said)
