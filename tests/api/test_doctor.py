"""`orca-cool doctor`: what it finds where all is well, and where something is not; completion."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import urllib.error

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

import orca_cool as oc
from orca_cool.api import doctor
from orca_cool.cli import main
from orca_cool.model import registry


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCA_COOL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*args, code=0):
    done = CliRunner().invoke(main, ["doctor", "--offline", *args])
    assert done.exit_code == code, done.output
    return done.stdout


def test_all_is_well_here():
    text = run()
    for part in ("versions", "device", "disk", "models", "extras"):
        assert f"\n{part}\n" in f"\n{text}"
    assert "network" not in text
    told = json.loads(run("--json"))
    assert told["sound"]
    assert told["format"] == "orca-cool.doctor"
    by_name = {check["name"]: check for check in told["checks"]}
    assert by_name["torch"]["said"] == importlib.metadata.version("torch")
    assert by_name["yeast-metaphase"]["status"] == "ok"
    assert "h1esc" in next(n for n, c in by_name.items() if c["status"] == "missing" and "hff" in n)


def test_a_missing_package_is_told_by_what_it_is_for(monkeypatch):
    real = importlib.metadata.version
    absent = {"cyvcf2", "flask"}

    def version(name):
        if name in absent:
            raise importlib.metadata.PackageNotFoundError(name)
        return {"anywidget": "0.1"}.get(name) or real(name)

    requires = ["numpy>=1.26", "cooler>=0.10", "cyvcf2>=0.31; extra == 'variants'"]
    requires += ["flask>=3.1; extra == 'serve'", "anywidget>=0.9.6; extra == 'notebook'"]
    requires += ["orca-cool[serve]; extra == 'notebook'", "pytest; extra == 'test'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: requires)
    monkeypatch.setattr(importlib.metadata, "version", version)
    by_name = {check.name: check for check in oc.diagnose(network=False).checks}
    assert by_name["variants"].status == "missing"
    assert "for VCF files: cyvcf2 missing or too old" in by_name["variants"].said
    assert "in a clone pip install '.[variants]'" in by_name["variants"].said
    assert "flask" in by_name["serve"].said
    assert "anywidget" in by_name["notebook"].said
    run()  # nothing that a prediction needs
    absent.add("cooler")
    assert "broken   cooler: is not installed" in run(code=1)
    assert not oc.diagnose(network=False).sound


def test_a_damaged_model(home, toy_bundle):
    path = registry.import_bundle(toy_bundle.path, registry.user_models(), "mine")
    with open(path / "weights.safetensors", "r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert "note     mine: is damaged" in run()  # one's own: other models predict


@pytest.mark.parametrize(
    "error", [None, urllib.error.URLError("no route"), TimeoutError("timed out")]
)
def test_the_network(monkeypatch, error):
    asked = []

    class Answer:
        def __enter__(self):
            return self

        def __exit__(self, *raised):
            return None

    def urlopen(request, timeout):
        asked.append((request.full_url, request.get_method()))
        if error is not None:
            raise error
        return Answer()

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    found = [check for check in oc.diagnose().checks if check.part == "network"]
    assert found
    assert {check.status for check in found} == {"ok" if error is None else "missing"}
    assert all(method == "HEAD" for _, method in asked)
    hosts = {"/".join(a.urls[0].split("/")[:3]) for a, _ in registry.fetchable().values()}
    assert {url for url, _ in asked} == hosts
    assert doctor.BROKEN not in {check.status for check in found}


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("orca-cool pre", ["predict"]),
        ("orca-cool models ad", ["add-path"]),
        ("orca-cool variants --nul", ["--null"]),
        ("orca-cool predict --model yeast-d", ["yeast-deep"]),
        ("orca-cool predict --genome exa", ["example"]),
    ],
)
def test_a_shell_completes(words, completed):
    *arguments, incomplete = words.split()[1:]
    shell = BashComplete(main, {}, "orca-cool", "_ORCA_COOL_COMPLETE")
    found = shell.get_completions(arguments, incomplete)
    assert [item.value for item in found] == completed


def test_the_script_of_a_shell(monkeypatch):
    monkeypatch.setenv("_ORCA_COOL_COMPLETE", "zsh_source")
    done = subprocess.run([sys.executable, "-m", "orca_cool"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "compdef" in done.stdout
