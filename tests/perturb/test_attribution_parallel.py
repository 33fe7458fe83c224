"""Mutagenesis that ranks of torchrun or dask workers share: the files are those of one process, byte
for byte, also of a run that was stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.genome.open import open_genome
from orca_cool.model.bundle import save_bundle
from orca_cool.perturb import attributed

#: Objectives of one model and of two, by methods of bases and of units.
RUNS = {
    "ism": ["insulation a:3,010", "--method", "ism", "-m", "toy"],
    "shuffle": ["row a:3,010", "--method", "shuffle", "--width", "7", "-m", "toy"],
    "two": ["difference toy other pixel a:2,900 a:3,300", "--method", "deletion", "-m", "toy"]
    + ["-m", "other"],
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, a genome with an N, and what one process writes in ``one.KIND.*``."""
    folder = tmp_path_factory.mktemp("shared")
    for seed, name in enumerate(("toy", "other")):
        spec = make_toy_spec(name, bins=32)
        save_bundle(folder / name, make_toy_model(spec, seed), make_toy_expected(spec))
    letters = np.random.default_rng(5).choice(list("ACGT"), 6010)
    letters[3004] = "N"
    (folder / "g.fa").write_text(f">a\n{''.join(letters)}\n")
    open_genome(folder / "g.fa")  # makes the index
    before = os.getcwd()
    os.chdir(folder)
    try:
        for kind in RUNS:
            done = CliRunner().invoke(main, line(kind, f"one.{kind}"))
            assert done.exit_code == 0, done.output
    finally:
        os.chdir(before)
    return folder


def line(kind: str, output: str, *more: str) -> list[str]:
    """The verb on the command line; paths are of the working folder."""
    where = "-q -g g.fa --device cpu --any-genome".split()
    return [
        "attribute", "a:2,998-3,019", "--objective", *RUNS[kind], *where, "-o", output, *more,
    ]  # fmt: skip


def assert_same(folder: Path, kind: str, stem: str) -> None:
    expected, found = (
        {p.name[len(s) :]: p.read_bytes() for p in folder.glob(f"{s}.*")}
        for s in (f"one.{kind}", stem)
    )
    assert len(expected) >= 4
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


@pytest.mark.long  # in CI those of variants: all share their work in one way
def test_ranks_of_torchrun_write_what_one_process_writes(here):
    root = str(Path(oc.__file__).resolve().parents[1])
    run = "-m torch.distributed.run --nproc-per-node 2 --master-addr 127.0.0.1 --master-port"
    port = str(29500 + os.getpid() % 1000)
    done = subprocess.run(
        [sys.executable, *run.split(), port, "-m", "orca_cool", *line("ism", "ranks.ism")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root},
        cwd=here, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:3000]
    assert done.stdout.split().count("ranks.ism.png") == 1  # one rank prints
    assert_same(here, "ism", "ranks.ism")


@pytest.mark.long
def test_dask_workers_write_what_one_process_writes(here, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.chdir(here)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, host="127.0.0.1",
        dashboard_address=None, memory_limit=0,
    ) as cluster:  # fmt: skip
        for kind in RUNS:
            where = ("--dask", cluster.scheduler_address)
            done = CliRunner().invoke(main, line(kind, f"dask.{kind}", *where))
            assert done.exit_code == 0, done.output
            assert_same(here, kind, f"dask.{kind}")


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_that_was_stopped_goes_on(here, monkeypatch, kind):
    """What it had predicted is not predicted again."""
    monkeypatch.chdir(here)
    plain, calls = attributed.Changes.score, []

    def failing(self, group, numbers):
        calls.append((id(self.engine.bundle), group, numbers))
        if len(calls) == stop:
            raise KeyboardInterrupt
        return plain(self, group, numbers)

    stop = 6
    monkeypatch.setattr(attributed.Changes, "score", failing)
    done = CliRunner().invoke(main, line(kind, f"stopped.{kind}"))
    assert done.exit_code != 0
    first, stop = calls[:-1], -1
    calls.clear()
    done = CliRunner().invoke(main, line(kind, f"stopped.{kind}"))
    assert done.exit_code == 0, done.output
    assert len(first) == 5
    if kind != "two":  # of which each model has the same numbers
        assert not {c[1:] for c in first} & {c[1:] for c in calls}
    assert_same(here, kind, f"stopped.{kind}")


@pytest.mark.parametrize("method", ["gradient", "integrated", "expected"])
def test_gradients_are_of_one_process(here, monkeypatch, method):
    monkeypatch.chdir(here)
    arguments = line("ism", "bad", "--nproc", "2")
    arguments[arguments.index("ism")] = method
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert f"--nproc with method '{method}'" in done.output
    assert "which one process computes" in done.output
    assert not list(here.glob("bad*"))
