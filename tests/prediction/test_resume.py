"""A prediction computes, merges and writes at the same time: whatever fails or is killed, it goes
on to the same file.
"""

import signal
import threading
import time

import numpy as np
import processes
import pytest
import runs
import torch

from orca_cool.errors import OutputError
from orca_cool.prediction import mcool_writer
from orca_cool.prediction.checkpoint import WorkFolder
from orca_cool.prediction.merger import Merger
from orca_cool.prediction.step_queue import BOUND, StepQueue, Stopped
from orca_cool.prediction.to_file import work_folder


@pytest.fixture(scope="module")
def whole(place, engine):
    """Written in one go."""
    runs.write(place, place / "whole.mcool", engine_=engine)
    return place / "whole.mcool"


def left(folder):
    """Names in the output's folder: nothing but the work folder may stay after a failure."""
    return [p.name for p in folder.iterdir()]


def test_a_slow_writer_changes_nothing_and_waits_for_what_comes(
    place, engine, whole, tmp_path, monkeypatch
):
    """The finest level is written while windows are still to come."""
    seen, real = [], mcool_writer.RowBlock

    def slow(*arguments):
        seen.append((threading.current_thread().name, arguments[1], done[-1]))
        time.sleep(0.01)
        return real(*arguments)

    done = []
    monkeypatch.setattr(mcool_writer, "RowBlock", slow)
    runs.write(
        place, tmp_path / "x.mcool", engine_=engine, progress=lambda n, total: done.append(n)
    )
    runs.assert_same(tmp_path / "x.mcool", whole)
    assert {name for name, _, _ in seen} == {"write"}
    assert seen[0][2] < done[-1]


def test_memory_is_bounded(place, engine, whole, tmp_path, monkeypatch):
    """However slow merging is, no more than BOUND computed steps wait for it."""
    handed, merged, most, real = [], [], [], Merger.add
    second = threading.Event()  # a second step was computed: the first is merged only after it

    def slow(self, step, maps):
        assert second.wait(60)
        time.sleep(0.02)
        out = real(self, step, maps)
        merged.append(step.number)
        return out

    def put(self, step, maps):
        real_put(self, step, maps)
        handed.append(step.number)
        most.append(len(handed) - len(merged))
        if len(handed) > 1:
            second.set()

    real_put = StepQueue.put
    monkeypatch.setattr(Merger, "add", slow)
    monkeypatch.setattr(StepQueue, "put", put)
    runs.write(place, tmp_path / "x.mcool", engine_=engine)
    assert merged == handed == list(range(len(handed)))
    assert max(most) <= BOUND  # and a second step was computed while the first was merged
    assert max(most) > 1
    runs.assert_same(tmp_path / "x.mcool", whole)


def test_parts_reach_the_writer_in_order_or_stop_it():
    queue = StepQueue(4, {0: ["a"], 2: ["c"]})
    got, stopped = [], []

    def read():
        try:
            for name in queue.parts():
                got.append(name)
        except Stopped:
            stopped.append(True)

    thread = threading.Thread(target=read)
    thread.start()
    queue.publish(1, ["b"])
    queue.publish(3, [])
    thread.join(10)
    assert (got, stopped) == (["a", "b", "c"], [])
    queue = StepQueue(1, {})
    thread = threading.Thread(target=read)
    thread.start()
    queue.stop(ValueError("first"))
    queue.stop(ValueError("second"))
    thread.join(10)
    assert stopped == [True]
    with pytest.raises(ValueError, match="first"):
        queue.put(None, [])


class Interrupted(BaseException):
    """As KeyboardInterrupt, which pytest would take for its own."""


@pytest.mark.parametrize("where", ["encode", "decode", "merge", "checkpoint", "write", "progress"])
def test_an_error_in_any_thread_is_raised_and_the_run_goes_on(
    place, engine, whole, tmp_path, monkeypatch, where
):
    output, threads = tmp_path / "x.mcool", threading.active_count()
    error = Interrupted("here") if where == "progress" else OutputError("here")
    names = []

    def failing(real, after):
        def call(*arguments, **options):
            names.append(threading.current_thread().name)
            if len(names) == after:
                raise error
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        progress = None
        if where == "encode":
            patch.setattr(type(engine), "root", failing(type(engine).root, 5))
        elif where == "decode":
            name = "decode_windows" if torch.get_num_threads() == 1 else "decode_strand"
            patch.setattr(type(engine), name, failing(getattr(type(engine), name), 30))
        elif where == "merge":
            patch.setattr(Merger, "add", failing(Merger.add, 5))
        elif where == "checkpoint":
            patch.setattr(WorkFolder, "checkpoint", failing(WorkFolder.checkpoint, 5))
        elif where == "write":
            patch.setattr(mcool_writer, "RowBlock", failing(mcool_writer.RowBlock, 3))
        else:
            progress = failing(lambda done, total: None, 40)
        with pytest.raises(type(error), match="here"):
            runs.write(place, output, engine_=engine, progress=progress)
    if where != "decode" or torch.get_num_threads() == 1:
        threads_of = {"merge": "merge", "checkpoint": "checkpoint_0", "write": "write"}
        assert set(names) == {threads_of.get(where, "MainThread")}
    else:
        assert all(name.startswith("orca-cool") for name in names)
    assert threading.active_count() == threads  # all have ended
    assert left(tmp_path) == ["x.mcool.partial"]
    seen = []
    runs.write(place, output, engine_=engine, progress=lambda done, total: seen.append(done))
    assert seen[0] > 0  # it went on
    runs.assert_same(output, whole)
    assert not work_folder(output).exists()


def test_a_full_disk_stops_the_writer_and_leaves_nothing_half_written(
    place, engine, whole, tmp_path, monkeypatch
):
    output = tmp_path / "x.mcool"
    with monkeypatch.context() as patch:

        def full(*arguments, **options):
            raise OSError(28, "No space left on device")

        patch.setattr(
            mcool_writer, "write_expected", full
        )  # at the very end, when all pixels are written
        with pytest.raises(
            OutputError, match="No space left on device; free some space and repeat"
        ):
            runs.write(place, output, engine_=engine)
    assert left(tmp_path) == ["x.mcool.partial"]
    seen = []
    runs.write(
        place, output, engine_=engine, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[0][0] == seen[0][1]  # nothing was computed again
    runs.assert_same(output, whole)


def test_killed_after_its_tables_were_written(place, engine, whole, tmp_path, monkeypatch):
    """Tables of an unfinished run are its own; without one they are somebody's, and stay."""
    output = tmp_path / "x.mcool"
    with monkeypatch.context() as patch:
        real = mcool_writer.write_expected

        def late(*arguments):
            real(*arguments)
            raise Interrupted

        patch.setattr(mcool_writer, "write_expected", late)
        with pytest.raises(Interrupted):
            runs.write(place, output, engine_=engine)
    assert (tmp_path / "x.expected.40.tsv").exists()
    runs.write(place, output, engine_=engine)
    runs.assert_same(output, whole)
    output.unlink()
    with pytest.raises(OutputError, match=r"x\.expected\.40\.tsv exists"):
        runs.write(place, output, engine_=engine)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, *(pytest.param(k, marks=pytest.mark.long) for k in (2, 3))])
def test_killed_at_random_moments(place, whole, tmp_path, seed):
    """kill -9 whenever, again and again, then to the end: the same bytes."""
    rng = np.random.default_rng(seed)
    line, output = runs.arguments(place, tmp_path / "x.mcool"), tmp_path / "x.mcool"
    killed = 0
    work = work_folder(output) / "journal.jsonl"
    for _ in range(3):
        before = work.stat().st_mtime_ns if work.exists() else 0
        process = processes.start(processes.orca, *line)
        # from the first new checkpoint on, at any moment of computing, merging or writing
        while process.exitcode is None and not (
            work.exists() and work.stat().st_mtime_ns != before
        ):
            time.sleep(0.001)
        time.sleep(float(rng.uniform(0, 0.15)))
        process.kill()
        killed += processes.ended(process) == -signal.SIGKILL
        if output.exists():
            break
    assert killed
    if not output.exists():
        assert processes.ended(processes.start(processes.orca, *line)) == 0
    runs.assert_same(output, whole)
