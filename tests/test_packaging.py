"""A wheel holds everything that the package needs at run time, and nothing that can run code when
it is read.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from orca_cool.errors import how_to_install

ROOT = Path(__file__).resolve().parents[1]
SKIP = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of a copy, so that nothing stale in build/ gets in and nothing is left behind."""
    pytest.importorskip("setuptools", "77")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("orca_cool", "higlass_plugin"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=SKIP)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(out),
        str(source),
    ]
    subprocess.run(command, check=True)
    (path,) = out.glob("*.whl")
    return path


def test_wheel_holds_the_package_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    folders = (ROOT / "orca_cool" / "data", ROOT / "higlass_plugin" / "static")
    data = {
        str(p.relative_to(ROOT))
        for f in folders
        for p in f.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert "higlass_plugin/static/page.js" in data
    assert not data - names
    assert not [n for n in names if n.endswith((".pkl", ".pickle", ".pt", ".pth", ".npy"))]
    assert not [n for n in names if n.startswith(("tests/", "scripts/", "higlass_plugin/page/"))]
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert wheel.stat().st_size < 20_000_000


def test_installed_wheel_works(wheel, tmp_path):
    target = tmp_path / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--target",
        str(target),
        str(wheel),
    ]
    subprocess.run(command, check=True)
    before = {p for p in target.rglob("*") if "__pycache__" not in p.parts}
    code = (
        "import orca_cool, orca_cool.genome.open as g; print(orca_cool.__file__);"
        "s = g.open_genome('example'); print(s.fetch('chrII', 0, 813178).size)"
    )
    environment = {**os.environ, "PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    where, size = run.stdout.split()
    assert Path(where).is_relative_to(target)
    assert size == "813178"
    assert {
        p for p in target.rglob("*") if "__pycache__" not in p.parts
    } == before  # the shipped indexes were used as they are
    run = subprocess.run(
        [sys.executable, "-m", "orca_cool", "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "predict" in run.stdout
    # what messages of missing packages name: no index has orca-cool, and none is asked for it
    hint = shlex.split(how_to_install("zarr").partition(",")[0])
    command = [sys.executable, "-m", *hint, "--no-index", "--no-deps", "--dry-run"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "Requirement already satisfied: orca-cool[zarr]" in run.stdout


def test_constraints_pin_what_the_package_asks_for():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {}
    for line in (ROOT / "scripts" / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            pins[canonicalize_name(name)] = version
    extras = project["optional-dependencies"]
    for text in project["dependencies"] + extras["train"] + extras["serve"] + extras["test"]:
        wanted = Requirement(text)
        if canonicalize_name(wanted.name) == "orca-cool":
            continue
        assert wanted.specifier.contains(pins[canonicalize_name(wanted.name)]), text
