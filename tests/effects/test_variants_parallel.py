"""Tables of variants that ranks of torchrun or dask workers share: the bytes are those of one
process, also after one of them was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from conftest import save_model_of_two_cell_types

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.effects import table as table_module
from orca_cool.effects.unfinished_table import Scored, UnfinishedTable
from orca_cool.genome.open import open_genome
from orca_cool.journal import Journal

#: The two cell types of the model: each has a table of its own.
TYPES = ("x", "y")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two cell types, a genome, edits of which one cannot be scored; and the tables of
    one process, "one.TYPE.tsv", with matrices.
    """
    folder = tmp_path_factory.mktemp("shared")
    save_model_of_two_cell_types(folder)
    letters = np.random.default_rng(5).choice(list("ACGT"), 6010)
    (folder / "g.fa").write_text(f">a\n{''.join(letters)}\n")
    open_genome(folder / "g.fa")  # makes the index
    edits = [f"v{k}\ta:{at}-{at + 1 + k % 3} del" for k, at in enumerate(range(400, 5600, 130))]
    edits.insert(7, "none\ta:0-6000 del")  # leaves less than a bin
    edits.insert(9, "inverted\ta:1000-3000 inv")
    (folder / "in.edits").write_text("\n".join(edits) + "\n")
    before = os.getcwd()
    os.chdir(folder)
    try:
        done = CliRunner().invoke(main, line("one.tsv", "--maps", "maps.one"))
        assert done.exit_code == 0, done.output
        assert "not scored: 1 x" in done.output
    finally:
        os.chdir(before)
    return folder


def line(output: str, *more: str, variants: str = "in.edits") -> list[str]:
    """The verb on the command line; paths are of the working folder."""
    where = "-q -m two -g g.fa --device cpu --module S".split()
    return ["variants", variants, *where, "-o", output, *more]


def torchrun(*arguments: str, ranks: int = 2) -> list[str]:
    """A command line by several ranks."""
    run = f"-m torch.distributed.run --nproc-per-node {ranks} --master-addr 127.0.0.1".split()
    port = ["--master-port", str(29500 + os.getpid() % 1000)]
    return [sys.executable, *run, *port, "-m", "orca_cool", *arguments]


def environment() -> dict[str, str]:
    """Of a subprocess: this package, one thread."""
    root = str(Path(oc.__file__).resolve().parents[1])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}


def assert_same(folder: Path, stem: str) -> None:
    """The tables, and the settings and summaries beside them, are those of one process."""
    for name in TYPES:
        found, wanted = ((folder / f"{s}.{name}.tsv").read_bytes() for s in (stem, "one"))
        assert found == wanted
        assert found.count(b"\n") > 100
        about = [(folder / f"{s}.{name}.tsv.json").read_text() for s in (stem, "one")]
        assert about[0].replace(f'"maps.{stem}"', "null") == about[1].replace('"maps.one"', "null")
    assert sorted(p.name for p in folder.glob(f"*{stem}*.partial")) == []


def assert_same_matrices(folder: Path, name: str) -> None:
    wanted = {p.name: p.read_bytes() for p in (folder / "maps.one").iterdir()}
    assert len(wanted) > 40
    assert {p.name: p.read_bytes() for p in (folder / name).iterdir()} == wanted


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, host="127.0.0.1",
        dashboard_address=None, memory_limit=0,
    ) as found:  # fmt: skip
        yield found


@pytest.mark.long
def test_ranks_of_torchrun_write_what_one_process_writes(here):
    done = subprocess.run(
        torchrun(*line("two.tsv", "--maps", "maps.two")),
        env=environment(), cwd=here, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:3000]
    # one rank prints, what there is of each cell type
    assert done.stdout.split() == ["two.x.tsv", "maps.two", "two.y.tsv"]
    assert done.stderr.count("variants scored") == 2  # of each cell type
    assert_same(here, "two")
    assert_same_matrices(here, "maps.two")


@pytest.mark.long
def test_ranks_write_to_standard_output_in_order(here):
    done = subprocess.run(
        torchrun(*line("-", "--cell-type", "x")),
        env=environment(), cwd=here, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:3000]
    assert done.stdout == (here / "one.x.tsv").read_bytes()


@pytest.mark.long
def test_dask_workers_write_what_one_process_writes(here, cluster, monkeypatch):
    """Workers of any number of threads, one of which predicts; paths are relative."""
    monkeypatch.chdir(here)
    where = ("--dask", cluster.scheduler_address)
    done = CliRunner().invoke(main, line("dask.tsv", "--maps", "maps.dask", *where))
    assert done.exit_code == 0, done.output
    assert_same(here, "dask")
    assert_same_matrices(here, "maps.dask")
    done = CliRunner().invoke(main, line("-", "--cell-type", "y", *where))
    assert done.exit_code == 0, done.output
    assert done.stdout == (here / "one.y.tsv").read_text()
    done = CliRunner().invoke(main, line("strict.tsv", "--strict", *where))
    assert done.exit_code == 2
    assert "none: " in done.output.splitlines()[-1]  # what a worker could not score is quoted
    assert not (here / "strict.x.tsv").exists()


@pytest.mark.long
def test_a_killed_worker_s_share_is_done_by_another(here, cluster):
    process = subprocess.Popen(
        [sys.executable, "-m", "orca_cool", *line("lost.tsv", "--dask", cluster.scheduler_address)],
        env=environment(), cwd=here, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for_lines(process, here / "lost.x.tsv.partial" / "journal.jsonl", 2)
    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    assert_same(here, "lost")


@pytest.mark.long
def test_a_killed_rank_loses_nothing(here):
    """Both ranks keep what they do; one process goes on from there."""
    process = subprocess.Popen(
        torchrun(*line("killed.tsv")), env=environment(), cwd=here,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    beside = here / "killed.x.tsv.partial" / "journal.1.jsonl"
    wait_for_lines(process, beside, 3)
    ranks = {p.environ().get("RANK"): p for p in psutil.Process(process.pid).children()}
    ranks["1"].send_signal(signal.SIGKILL)
    assert process.wait() != 0
    assert not (here / "killed.x.tsv").exists()
    kept = {
        e["first"] for e in Journal(beside, "orca-cool.unfinished-scores", 1, {}).read().entries
    }
    again: list[int] = []
    plain = table_module.batch_rows

    def noting(reference, some, first, scoring):
        again.append(first)
        return plain(reference, some, first, scoring)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setattr(table_module, "batch_rows", noting)
        done = CliRunner().invoke(main, line("killed.tsv"))
    assert done.exit_code == 0, done.output
    assert kept
    of_first = again[: len(again) - 42]  # the second cell type's table begins anew
    assert not kept & {*of_first}  # what the killed rank had done was not done again
    assert_same(here, "killed")


def wait_for_lines(process: subprocess.Popen, path: Path, lines: int) -> None:
    """Until a file of a running process has more than so many lines."""
    while process.poll() is None and not (path.exists() and path.read_bytes().count(b"\n") > lines):
        time.sleep(0.001)


@pytest.mark.parametrize("seed", range(20))
def test_a_run_goes_on_with_another_number_of_processes(tmp_path, seed):
    """Then a piece is another run of variants: those of which all is there are kept, in order."""
    rng = np.random.default_rng(seed)
    total, before, after = int(rng.integers(1, 40)), *map(int, rng.integers(1, 7, 2))
    lines = [Scored(f"{k} {'x' * (k % 3)}\n", "ok") for k in range(total)]

    def pieces(batch):
        return [(first, lines[first : first + batch]) for first in range(0, total, batch)]

    out = tmp_path / "t.tsv"
    table = UnfinishedTable(out, {"file": "x"}, restart=False)
    assert table.begin(before, [total]) is None
    kept = [piece for piece in pieces(before) if rng.random() < 0.7]
    for k in rng.permutation(len(kept)):
        table.take(*kept[k])
    there = {first + k for first, some in kept for k in range(len(some))}
    beside = UnfinishedTable(out, {"file": "x"}, restart=False)
    beside.begin_beside(1)  # another rank has done two more
    for piece in [p for p in pieces(before) if p[0] not in there][:2]:
        beside.keep(*piece)
        there |= {piece[0] + k for k in range(len(piece[1]))}
    table = UnfinishedTable(out, {"file": "x"}, restart=False)
    known = table.begin(after, [total])
    known = np.zeros(total, bool) if known is None else known
    assert {*np.flatnonzero(known)} <= there
    for first, some in pieces(after):
        done = known[first : first + len(some)]
        assert done.all() or not done.any()
        if before == after:
            assert done.all() == ({*range(first, first + len(some))} <= there)
        if not done.any():
            table.take(first, some)
    assert table.finish("head\n").scored == total
    assert out.read_text() == "head\n" + "".join(one.text for one in lines)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.tsv", "t.tsv.json"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--dask", "here"], "--dask 'here' is not understood"),
        (["--dask", "local:2", "--nproc", "2"], "give one of them"),
        (["--nproc", "2", "--loops", "-"], "--loops '-': several processes share the work"),
    ],
)
def test_bad_input(here, monkeypatch, more, words):
    monkeypatch.chdir(here)
    done = CliRunner().invoke(main, line("bad.tsv", *more))
    assert done.exit_code == 2
    assert words in done.output.strip().splitlines()[-1]
    assert not list(here.glob("bad*"))


def test_standard_input_is_of_one_process(here, monkeypatch):
    monkeypatch.chdir(here)
    done = CliRunner().invoke(main, line("bad.tsv", "--nproc", "2", variants="-"))
    assert done.exit_code == 2
    assert "VARIANTS '-': several processes share the work" in done.output
