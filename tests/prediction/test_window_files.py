"""Sharing the work: slices, window files, and workers of every kind that are killed, against one
process, byte for byte.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import processes
import pytest
import runs
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from orca_cool.cli import main
from orca_cool.errors import OrcaCoolError, OutputError
from orca_cool.prediction.checkpoint import WorkFolder
from orca_cool.prediction.plan import costs, slices, split
from orca_cool.prediction.to_file import prepare, work_folder
from orca_cool.prediction.window_files import (
    compute,
    compute_steps,
    load_windows,
    save_windows,
    unfinished,
    windows_path,
)


@pytest.fixture(scope="module")
def plan(engine):
    return plan_of(engine)


def plan_of(engine, **changes):
    return prepare(
        engine,
        runs.regions(),
        runs.settings(**changes),
        assembly="toy",
        provenance={"model_name": "toy"},
    )


@pytest.fixture(scope="module")
def whole(place, engine):
    """What one process writes."""
    runs.write(place, place / "whole.mcool", engine_=engine)
    return place / "whole.mcool"


@given(st.lists(st.floats(0, 1e6), max_size=60), st.integers(1, 12))
def test_slices_hold_every_step_once_and_are_fair(cost, n):
    parts = slices(cost, n)
    assert len(parts) == n
    assert [i for part in parts for i in part] == list(range(len(cost)))
    limit = sum(cost) / n + max(cost, default=0)
    assert all(sum(cost[i] for i in part) <= limit * (1 + 1e-9) + 1e-9 for part in parts)


def test_cost_is_windows_and_the_sequence_that_is_new(engine, plan):
    spec = engine.spec
    cis = [step for step in plan.steps if step.module.name == "S" and step.region.chrom == "a"]
    a = costs(spec, cis)
    # top windows go by quarters of 2,560 bp: the first encodes a whole one, the next ones a quarter
    assert a[0] == pytest.approx(len(cis[0]) + 2560 / 2560)
    assert a[1] == pytest.approx(len(cis[1]) + 640 / 2560)
    assert costs(spec, cis[1:])[0] == pytest.approx(len(cis[1]) + 1)
    parts = split(spec, plan.steps, 3)
    assert [s.number for part in parts for s in part] == [s.number for s in plan.steps]
    assert all(parts)


def test_every_window_is_in_one_step(plan):
    assert [s.number for s in plan.steps] == list(range(len(plan.steps)))
    seen = [
        (s.region.chrom, s.module.name, w.resolution, w.start)
        for s in plan.steps
        if s.region
        for level in s.levels
        for w in level
    ]
    assert len(seen) == len(set(seen))
    assert sum(s.pair is not None for s in plan.steps) == len(plan) - len(seen)


@pytest.mark.parametrize("strand_difference", [False, True])
def test_window_files_hold_the_very_numbers(engine, plan, tmp_path, strand_difference):
    for step in (plan.steps[0], plan.steps[-1]):
        ((_, maps),) = compute(engine, [step])
        assert load_windows(tmp_path, step, strand_difference) is None
        save_windows(tmp_path, step, maps, strand_difference)
        found = load_windows(tmp_path, step, strand_difference)
        assert [m.window for m in found] == [m.window for m in maps]
        for one, two in zip(maps, found):
            assert one.values.dtype == two.values.dtype == np.float32
            assert one.values.tobytes() == two.values.tobytes()
            assert two.strand_difference.tobytes() == (
                one.strand_difference.tobytes() if strand_difference else b""
            )
    assert {p.name for p in tmp_path.iterdir()} == {
        windows_path(tmp_path, s).name for s in (plan.steps[0], plan.steps[-1])
    }
    # a file without strand_difference is no file for a run that wants it; nor is one of another
    # step
    assert (load_windows(tmp_path, plan.steps[0], True) is None) is (not strand_difference)
    os.replace(windows_path(tmp_path, plan.steps[-1]), windows_path(tmp_path, plan.steps[0]))
    assert load_windows(tmp_path, plan.steps[0], strand_difference) is None


def test_any_damage_to_a_window_file_is_seen(engine, plan, tmp_path):
    step = plan.steps[0]
    ((_, maps),) = compute(engine, [step])
    save_windows(tmp_path, step, maps, True)
    path = windows_path(tmp_path, step)
    data = path.read_bytes()
    rng = np.random.default_rng(1)
    for at in [0, len(data) - 1, *rng.integers(0, len(data), 60)]:
        path.write_bytes(
            data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
        )
        assert load_windows(tmp_path, step, True) is None
    for size in [0, 3, 16, len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:size])
        assert load_windows(tmp_path, step, True) is None
    path.write_bytes(data)
    assert load_windows(tmp_path, step, True) is not None


def test_damaged_and_sound_files_are_merged_into_the_same_file(
    place, engine, plan, whole, tmp_path
):
    output = tmp_path / "x.mcool"
    folder = work_folder(output)
    assert compute_steps(engine, plan, plan.steps[::2], folder) == len(plan.steps[::2])
    path = windows_path(folder, plan.steps[4])
    path.write_bytes(path.read_bytes()[:-100])
    assert unfinished(plan, WorkFolder(folder, plan.identity)) == sorted(
        [*plan.steps[1::2], plan.steps[4]], key=lambda s: s.number
    )
    assert compute_steps(engine, plan, plan.steps[:5:2], folder) == 1
    path.write_bytes(b"noise")
    seen = []
    runs.write(
        place, output, engine_=engine, progress=lambda done, total: seen.append((done, total))
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(plan), len(plan))
    runs.assert_same(output, whole)
    assert not folder.exists()


def test_a_shard_refuses_work_of_other_settings(engine, plan, tmp_path):
    folder = tmp_path / "x.mcool.partial"
    assert compute_steps(engine, plan, [], folder) == 0
    with pytest.raises(OutputError, match="fill_distance None, not 900"):
        compute_steps(engine, plan_of(engine, fill_distance=900), plan.steps[:1], folder)
    assert [p.name for p in folder.iterdir()] == ["journal.jsonl"]


def test_processes_that_make_the_folder_at_once_agree(plan, tmp_path):
    """Of several identities exactly one wins; nobody's files are removed."""
    for attempt in range(20):
        folder, won, lost = tmp_path / str(attempt), [], []
        barrier = threading.Barrier(4)

        def make(k, folder=folder, won=won, lost=lost, barrier=barrier):
            barrier.wait()
            try:
                WorkFolder(folder, {"fill_distance": k % 2}, shared=True)
                won.append(k % 2)
            except OutputError:
                lost.append(k % 2)

        threads = [threading.Thread(target=make, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == len(lost) == 2
        assert len(set(won)) == len(set(lost)) == 1
        assert [p.name for p in folder.iterdir()] == ["journal.jsonl"]


def shard(place: Path, output: Path, k: int) -> None:
    """Compute one of two parts of the steps; how many those are is written beside the output."""
    engine = runs.engine(place)
    plan = plan_of(engine)
    part = split(engine.spec, plan.steps, 2)[k]
    done = compute_steps(engine, plan, part, work_folder(output))
    output.with_name(f"done.{k}").write_text(str(done))


@pytest.mark.slow
def test_two_shards_one_killed_repeated_and_merged(place, engine, plan, whole, tmp_path):
    output = tmp_path / "x.mcool"
    parts = split(engine.spec, plan.steps, 2)
    first, second = (processes.start(shard, place, output, k) for k in range(2))
    victim = parts[1][len(parts[1]) // 3]
    while not windows_path(work_folder(output), victim).exists() and second.exitcode is None:
        time.sleep(0.001)
    second.kill()
    assert processes.ended(second) == -signal.SIGKILL
    assert processes.ended(first) == 0
    assert int((tmp_path / "done.0").read_text()) == len(parts[0])
    left = unfinished(plan, WorkFolder(work_folder(output), plan.identity))
    assert 0 < len(left) < len(parts[1])
    assert processes.ended(processes.start(shard, place, output, 1)) == 0
    # what had been done was not done again
    assert int((tmp_path / "done.1").read_text()) == len(left)
    done = []
    runs.write(place, output, engine_=engine, progress=lambda n, total: done.append(n))
    assert len(done) == len(plan.steps) + 1  # every step came from a file, at once
    runs.assert_same(output, whole)


def torchrun(place, output, *extra, ranks=2):
    line = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(ranks),
        "--master-addr",
        "127.0.0.1",
    ]
    return [
        *line,
        "--master-port",
        str(29500 + os.getpid() % 1000),
        *extra,
        "-m",
        "orca_cool",
        *runs.arguments(place, output),
    ]


@pytest.mark.long
def test_ranks_of_torchrun(place, whole, tmp_path):
    alone = CliRunner().invoke(main, runs.arguments(place, tmp_path / "one.mcool"))
    assert alone.exit_code == 0, alone.output
    # the command line does what these tests do from Python
    runs.assert_same(tmp_path / "one.mcool", whole)
    output = tmp_path / "two.mcool"
    done = subprocess.run(
        torchrun(place, output),
        env=runs.environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split().count(str(output)) == 1  # one rank prints
    runs.assert_same(output, whole)
    assert not work_folder(output).exists()


@pytest.mark.long
@pytest.mark.parametrize("restarts", [0, 1])
def test_a_rank_is_killed(place, plan, whole, tmp_path, restarts):
    """torchrun stops all, or starts all again; either way what was computed is used."""
    psutil = pytest.importorskip("psutil")
    output = tmp_path / "x.mcool"
    process = subprocess.Popen(
        torchrun(place, output, "--max-restarts", str(restarts)),
        env=runs.environment(),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    folder = work_folder(output)
    half = split(plan.spec, plan.steps, 2)[1]
    while process.poll() is None and not windows_path(folder, half[2]).exists():
        time.sleep(0.001)
    ranks = {p.environ().get("RANK"): p for p in psutil.Process(process.pid).children()}
    ranks["1"].send_signal(signal.SIGKILL)
    code = process.wait()
    assert (code == 0) is bool(restarts)
    if not restarts:
        assert not output.exists()
        assert windows_path(folder, half[0]).exists()
        again = CliRunner().invoke(main, runs.arguments(place, output))  # on one process, too
        assert again.exit_code == 0, again.output
    runs.assert_same(output, whole)


def job(place, output):
    """The run of :mod:`runs`, as it is sent to other processes."""
    from orca_cool.prediction.job import Job
    from orca_cool.prediction.regions_job import RegionsJob

    base = Job(model=str(place / "toy"), genome=str(place / "toy.fa"), device="cpu")
    return RegionsJob.of(
        base, runs.regions(), runs.settings(), "toy", {"model_name": "toy"}, output, False
    )


@pytest.mark.slow
def test_dask_loses_a_worker(place, plan, engine, whole, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    from orca_cool.prediction.parallel.cluster import Dask

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    output = tmp_path / "x.mcool"
    seen = []
    with Dask("local:2", job(place, output)) as helpers:
        pids = helpers.client.run(os.getpid)
        assert len(pids) == 2
        victim = list(pids.values())[1]
        os.kill(victim, signal.SIGSTOP)  # it takes tasks and will never finish them

        def progress(done, total):
            seen.append((done, total))
            if done > 0 and len(seen) > 1 and victim is not None and not killed:
                killed.append(done)
                os.kill(victim, signal.SIGKILL)

        killed: list[int] = []
        runs.write(place, output, engine_=engine, helpers=helpers, progress=progress)
        assert killed
        assert killed[0] < len(plan)
        assert victim not in helpers.client.run(os.getpid).values()
    assert seen[-1] == (len(plan), len(plan))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    runs.assert_same(output, whole)


@pytest.mark.long
def test_dask_from_the_command_line(place, whole, tmp_path):
    pytest.importorskip("distributed")
    output = tmp_path / "x.mcool"
    line = [*runs.command(place, output), "--dask", "local:2"]
    done = subprocess.run(
        line, env=runs.environment(), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert str(output) in done.stdout.split()
    runs.assert_same(output, whole)
    # an error on a worker is an error here, on one line
    cut = runs.command(place, tmp_path / "y.mcool")
    cut[cut.index("cpu")] = "cuda:99"
    failed = subprocess.run(
        [*cut, "--dask", "local:1"],
        env=runs.environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert failed.returncode == 2
    assert "cuda:99" in failed.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("where", ["local", "local:0", "slurm:x", "here", "tcp:host"])
def test_unusable_clusters_are_named(place, tmp_path, where):
    result = CliRunner().invoke(
        main, [*runs.arguments(place, tmp_path / "x.mcool"), "--dask", where]
    )
    assert result.exit_code == 2
    assert f"Error: --dask {where!r} is not understood" in result.output
    assert not list(tmp_path.iterdir())


def test_a_cluster_needs_its_extra(place, tmp_path, monkeypatch):
    from orca_cool.prediction.parallel.cluster import Dask

    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(OrcaCoolError, match=r"needs 'distributed'.*'orca-cool\[cluster\]'"),
        Dask("local:2", job(place, tmp_path / "x.mcool")),
    ):
        pass
