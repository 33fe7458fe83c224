"""Screens that ranks of torchrun or dask workers share: the files are those of one process, byte for
byte, also after a rank was killed.
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
from orca_cool.genome.open import open_genome
from orca_cool.journal import Journal
from orca_cool.perturb.screen_options import WORK_FORMAT
from orca_cool.prediction.sharing import Pieces

#: Three kinds of screens, each of several windows or sites and of several runs or cassettes.
SCREENS = {
    "local": "a:1,900-2,100 a:4,000-4,100 --per-sequence 3 --runs 2".split(),
    "motifs": "a:2,000-2,400 --motifs hits.bed --runs 2".split(),
    "insert": "--sources shuffle:s.fa --sources background:0.4:2 --lengths 12 --lengths 20 "
    "--sites sites.bed --orientations +,- --scores row,signed".split(),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two cell types, a genome, hits, a source and sites; and the files of each screen
    by one process in ``one.KIND.*``.
    """
    folder = tmp_path_factory.mktemp("shared")
    save_model_of_two_cell_types(folder)
    letters = np.random.default_rng(5).choice(list("ACGT"), 6010)
    letters[3000:3005] = "N"
    (folder / "g.fa").write_text(f">a\n{''.join(letters)}\n")
    open_genome(folder / "g.fa")  # makes the index
    (folder / "hits.bed").write_text("".join(f"a\t{s}\t{s + 10}\tm\n" for s in (2010, 2100, 2222)))
    (folder / "s.fa").write_text(f">s\n{''.join(letters[100:130])}\n")
    (folder / "sites.bed").write_text("a\t2000\t2001\na\t2611\t2612\na\t4000\t4001\n")
    before = os.getcwd()
    os.chdir(folder)
    try:
        for kind in SCREENS:
            done = CliRunner().invoke(main, line(kind, f"one.{kind}"))
            assert done.exit_code == 0, done.output
    finally:
        os.chdir(before)
    return folder


def line(kind: str, output: str, *more: str) -> list[str]:
    """A screen on the command line; paths are of the working folder."""
    where = "-q -m two -g g.fa --device cpu --module S".split()
    return ["screen", kind, *SCREENS[kind], *where, "-o", output, *more]


def torchrun(kind: str, output: str, *more: str) -> list[str]:
    """The same by two ranks."""
    run = (
        "-m torch.distributed.run --nproc-per-node 2 --master-addr 127.0.0.1 --master-port".split()
    )
    port = str(29500 + os.getpid() % 1000)
    return [sys.executable, *run, port, *more, "-m", "orca_cool", *line(kind, output)]


def environment() -> dict[str, str]:
    """Of a subprocess: this package, one thread."""
    root = str(Path(oc.__file__).resolve().parents[1])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}


def files(folder: Path, stem: str) -> dict[str, bytes]:
    """Bytes of the files of a screen, by what stands behind the stem."""
    return {p.name[len(stem) :]: p.read_bytes() for p in folder.glob(f"{stem}.*")}


def assert_same(folder: Path, kind: str, stem: str) -> None:
    expected = files(folder, f"one.{kind}")
    assert len(expected) >= 3
    found = files(folder, stem)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


def test_pieces_are_all_sequences_once():
    rng = np.random.default_rng(1)
    for _ in range(20):
        sizes, batch = rng.integers(0, 9, 7).tolist(), int(rng.integers(1, 5))
        pieces = Pieces(sizes, batch)
        assert len(pieces) == len(list(pieces)) == sum(-(-size // batch) for size in sizes)
        cut = int(rng.integers(0, len(pieces) + 1))
        both = [*pieces[:cut], *pieces[cut:]]
        names = [(group, number) for group, numbers in both for number in numbers]
        assert names == [(g, n) for g, size in enumerate(sizes) for n in range(size)]
        assert all(numbers.start % batch == 0 and len(numbers) <= batch for _, numbers in both)


@pytest.mark.long  # in CI those of variants: all share their work in one way
@pytest.mark.parametrize("kind", SCREENS)
def test_ranks_of_torchrun_write_what_one_process_writes(here, kind):
    done = subprocess.run(
        torchrun(kind, f"two.{kind}"), env=environment(), cwd=here, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split().count(f"two.{kind}.json") == 1  # one rank prints
    assert_same(here, kind, f"two.{kind}")


@pytest.mark.long  # in CI those of variants: all share their work in one way
def test_a_killed_rank_loses_nothing(here):
    """Both ranks keep what they do; one process goes on from there."""
    process = subprocess.Popen(
        torchrun("local", "killed"), env=environment(), cwd=here,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    beside = here / "killed.partial" / "journal.1.jsonl"
    while process.poll() is None and not (beside.exists() and beside.read_bytes().count(b"\n") > 1):
        time.sleep(0.001)
    ranks = {p.environ().get("RANK"): p for p in psutil.Process(process.pid).children()}
    ranks["1"].send_signal(signal.SIGKILL)
    assert process.wait() != 0
    assert not (here / "killed.json").exists()
    kept = Journal(beside, WORK_FORMAT, 1, {}).read()
    keys = [tuple(entry["key"]) for entry in kept.entries]
    added: list[tuple[int, ...]] = []
    plain = Journal.add

    def noting(self, entry):
        added.append(tuple(entry["key"]))
        plain(self, entry)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setattr(Journal, "add", noting)
        done = CliRunner().invoke(main, line("local", "killed"))
    assert done.exit_code == 0, done.output
    assert keys
    assert not {*keys} & {*added}  # what the killed rank had done was not done again
    assert_same(here, "local", "killed")


@pytest.mark.long
def test_dask_workers_write_what_one_process_writes(here):
    """One cluster for all three: workers of any number of threads, one of which predicts."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, processes=True, host="127.0.0.1",
            dashboard_address=None, memory_limit=0,
        ) as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):  # fmt: skip
        patch.chdir(here)
        for kind in SCREENS:
            stem = f"dask.{kind}"
            done = CliRunner().invoke(main, line(kind, stem, "--dask", cluster.scheduler_address))
            assert done.exit_code == 0, done.output
            assert_same(here, kind, stem)
        # nothing need be written, and paths may be relative
        plain = oc.screen.local(
            "a:1,900-2,000", model="two", genome="g.fa", device="cpu", module="S", progress=False,
            runs=1, dask=cluster.scheduler_address,
        ).table  # fmt: skip
        alone = oc.screen.local(
            "a:1,900-2,000", model="two", genome="g.fa", device="cpu", module="S", progress=False,
            runs=1,
        ).table  # fmt: skip
        assert plain.equals(alone)
        assert len(plain) == 10


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--dask", "here"], "--dask 'here' is not understood"),
        (["--dask", "local:2", "--nproc", "2"], "give one of them"),
        (["--nproc", "2", "--mask", "-"], "--mask '-': several processes share the work"),
        (["--nproc", "2", "--sites", "-"], "--sites '-': several processes share the work"),
    ],
)
def test_bad_input(here, monkeypatch, more, words):
    monkeypatch.chdir(here)
    done = CliRunner().invoke(main, line("local", "bad", *more))
    assert done.exit_code == 2
    assert words in done.output.strip().splitlines()[-1]
    assert files(here, "bad") == {}
