"""An evaluation of a model whose predictions dask workers or ranks of torchrun share: the scores are
those of one process, byte for byte.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
import runs
from click.testing import CliRunner

import orca_cool as oc
from orca_cool.cli import main


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a genome, a measured map; and what one process finds, in "one"."""
    folder = runs.make_place(tmp_path_factory.mktemp("shared"))
    rng = np.random.default_rng(3)
    bins = pd.concat(
        pd.DataFrame({"chrom": c, "start": np.arange(0, n, 160)}).assign(
            end=lambda b, n=n: np.minimum(b["start"] + 160, n)
        )
        for c, n in runs.SIZES.items()
    ).reset_index(drop=True)
    i, j = np.triu_indices(len(bins))
    bins["weight"] = 1e-2
    near = rng.poisson(1e5 / (1 + np.abs(i - j)) ** 0.7)
    pixels = pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": near})
    cooler.create_cooler(str(folder / "seen.cool"), bins, pixels)
    before = os.getcwd()
    os.chdir(folder)
    try:
        done = CliRunner().invoke(main, line("one"))
        assert done.exit_code == 0, done.output
        assert "all" in done.output
    finally:
        os.chdir(before)
    return folder


def line(output: str, *more: str) -> list[str]:
    """The verb on the command line; paths are of the working folder."""
    where = "-q -m toy -g toy.fa --device cpu --any-genome --module G --trans 3".split()
    chroms = "--chrom a --chrom b --step 320".split()
    return ["evaluate", "seen.cool", *where, *chroms, "-o", output, *more]


def assert_same(folder: Path, name: str) -> None:
    for file in ("scores.tsv", "scores.json"):
        assert (folder / name / file).read_bytes() == (folder / "one" / file).read_bytes()
    assert len((folder / "one" / "scores.tsv").read_text().splitlines()) > 10


@pytest.mark.long
def test_dask_workers_find_what_one_process_finds(here, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.chdir(here)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, host="127.0.0.1",
        dashboard_address=None, memory_limit=0,
    ) as cluster:  # fmt: skip
        done = CliRunner().invoke(main, line("dask", "--dask", cluster.scheduler_address))
    assert done.exit_code == 0, done.output
    assert_same(here, "dask")


@pytest.mark.long  # in CI dask's workers are tested, and ranks of other verbs
def test_ranks_of_torchrun_find_what_one_process_finds(here):
    root = str(Path(oc.__file__).resolve().parents[1])
    run = "-m torch.distributed.run --nproc-per-node 2 --master-addr 127.0.0.1 --master-port"
    port = str(29500 + os.getpid() % 1000)
    done = subprocess.run(
        [sys.executable, *run.split(), port, "-m", "orca_cool", *line("ranks", "--json")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root},
        cwd=here, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:3000]
    assert done.stdout.count('"scores"') == 1  # one rank prints
    assert_same(here, "ranks")


def test_only_a_model_is_shared(here, monkeypatch):
    monkeypatch.chdir(here)
    done = CliRunner().invoke(main, "evaluate a.mcool seen.cool --chrom a --nproc 2".split())
    assert done.exit_code == 2
    assert "--nproc" in done.output
    assert "needs --model" in done.output
