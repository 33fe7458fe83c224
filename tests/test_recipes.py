"""Recipes name what pyproject.toml names, and are of the form that their programs read. None of
them is built or run here, but the Snakemake one, where Snakemake is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from orca_cool import __version__

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: What conda calls otherwise, and the extras that both recipes hold.
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base", "dask": "dask-core"}
EXTRAS = ("variants", "parquet", "cluster")


def needed() -> set[str]:
    """Packages and versions as conda writes them."""
    extras = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(text for name in EXTRAS for text in extras[name])]
    parts = [re.fullmatch(r"([\w-]+)(.*)", text) for text in texts]
    return {f"{CONDA.get(m[1], m[1])} {m[2]}" for m in parts if m is not None}


def recipe() -> dict:
    """recipe/meta.yaml as conda-build would fill it in, as far as it is filled in there."""
    text = (ROOT / "recipe" / "meta.yaml").read_text()
    values = dict(re.findall(r'{% set (\w+) = "([^"]+)" %}', text))
    text = re.sub(r"^{%.*\n", "", text, flags=re.M)
    text = re.sub(r"{{ pin_subpackage\(.*?\) }}", "pinned", text)
    text = re.sub(r"{{ (\w+) }}", lambda m: values.get(m[1], m[1].lower()), text)
    assert "{{" not in text
    return yaml.safe_load(text)


def test_the_conda_recipe():
    found = recipe()
    assert (found["package"]["name"], str(found["package"]["version"])) == (
        "orca-cool",
        __version__,
    )
    python = f"python {PROJECT['requires-python']}"
    assert set(found["requirements"]["run"]) == needed() | {python}
    assert python in found["requirements"]["host"]
    (entry,) = found["build"]["entry_points"]
    assert entry == f"orca-cool = {PROJECT['scripts']['orca-cool']}"
    assert found["build"]["noarch"] == "python"
    assert found["about"]["license"] == PROJECT["license"]
    assert (ROOT / found["about"]["license_file"]).is_file()
    assert "was not built here" in (ROOT / "recipe" / "meta.yaml").read_text()


def test_the_conda_environment():
    text = (ROOT / "environment.yml").read_text()
    found = yaml.safe_load(text)
    tools = {"pip", "setuptools >=77", f"python {PROJECT['requires-python']}"}
    assert set(found["dependencies"]) == needed() | tools
    assert found["channels"] == ["conda-forge", "bioconda"]  # in bioconda's order
    assert "Not run here" in text


def test_the_dockerfile():
    """Instructions that there are, files that there are, extras that there are."""
    text = (ROOT / "Dockerfile").read_text()
    assert "Not built here" in text
    assert "apptainer build" in text
    lines = [x for x in text.splitlines() if x.strip() and not x.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    known = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "ENTRYPOINT", "CMD"}
    assert {line.split()[0] for line in joined} == known
    assert joined[0].startswith("FROM ")
    for line in joined:
        if line.startswith("COPY"):
            assert all((ROOT / name).exists() for name in line.split()[1:-1]), line
        if line.startswith("ARG EXTRAS="):
            assert set(line.partition("=")[2].split(",")) <= set(PROJECT["optional-dependencies"])
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "**"
    copied = {n for line in joined if line.startswith("COPY") for n in line.split()[1:-1]}
    assert copied == {line[1:] for line in ignored if line.startswith("!")}


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.name)
def test_files_for_github_are_yaml(path):
    found = yaml.safe_load(path.read_text())
    if path.parent.name == "workflows":
        assert found["permissions"] == {"contents": "read"}
        matrix = found["jobs"]["wheel"]["strategy"]["matrix"]
        assert matrix["python"] == [
            c.rpartition(" ")[2] for c in PROJECT["classifiers"] if ":: Python :: 3." in c
        ]
        assert True in matrix["constraints"]
        assert False in matrix["constraints"]
        for job in found["jobs"].values():
            for step in job["steps"]:
                assert ("uses" in step) != ("run" in step)
    elif path.name != "config.yml":
        assert {"name", "description", "body"} <= set(found)
        assert all(part["type"] == "textarea" for part in found["body"])


def test_shell_of_the_recipes_is_shell():
    """Lines that bash would run, as bash reads them."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "wheel.yml").read_text())
    steps = [s for job in workflow["jobs"].values() for s in job["steps"] if "run" in s]
    scripts = [re.sub(r"\${{.*?}}", "x", step["run"]) for step in steps]
    run = re.search(r"^RUN (.*?)(?<!\\)\n", (ROOT / "Dockerfile").read_text(), re.M | re.S)
    assert run is not None
    for script in (*scripts, run[1]):
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr


def test_workflows_name_options_that_there_are():
    from orca_cool.cli import main

    texts = [
        ROOT / "examples" / "snakemake" / "Snakefile",
        ROOT / "examples" / "nextflow" / "main.nf",
    ]
    texts.append(ROOT / ".github" / "workflows" / "wheel.yml")
    for path in texts:
        text = re.sub(r'\\\n\s*|"\n\s*" ?', " ", path.read_text())
        lines = re.findall(r"orca-cool (predict|variants|check|doctor)\b([^\n]*)", text)
        assert len(lines) >= 3, path
        for verb, rest in lines:
            command = main.get_command(None, verb)
            known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
            given = re.findall(r"(?<!\S)(-{1,2}[a-z][\w-]*)", re.sub(r'"[^"]*"', "", rest))
            assert set(given) <= known, (path, verb)


@pytest.mark.long
def test_the_snakemake_example(tmp_path):
    """It runs on the example genome; repeated, nothing is left to do."""
    snakemake = shutil.which(os.environ.get("SNAKEMAKE", "snakemake"))
    if snakemake is None:
        pytest.skip("snakemake is not installed (pip install snakemake, in a venv of its own)")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "orca-cool"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orca_cool "$@"\n')
    program.chmod(0o755)
    paths = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    environment = os.environ | {"PATH": paths, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    line = [snakemake, "-s", str(ROOT / "examples" / "snakemake" / "Snakefile"), "--cores", "2"]
    line += ["--directory", str(tmp_path / "out")]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    out = tmp_path / "out"
    assert {p.name for p in (out / "maps").glob("*.mcool")} == {"chrI.mcool", "chrII.mcool"}
    rows = [row.split("\t") for row in (out / "scores.tsv").read_text().splitlines()]
    assert [row[0] for row in rows] == ["name", "centromere", "elsewhere"]
    assert rows[1][rows[0].index("rank")] == "1"
    assert "<img" in (out / "report.html").read_text()
    again = subprocess.run(line, env=environment, capture_output=True, text=True)
    assert "Nothing to be done" in again.stderr + again.stdout
