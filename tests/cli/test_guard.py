"""Whatever ends a verb is one line and an exit code: full disks, closed pipes, no memory, signals,
and what nobody has foreseen.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import runs
from click.testing import CliRunner

from orca_cool.cli import main, signals
from orca_cool.cli.evaluate import evaluate


@pytest.fixture(scope="module")
def predicted(place):
    """The whole toy genome, predicted."""
    runs.write(place, place / "whole.mcool")
    return place / "whole.mcool"


def orca(line: str | list, *, shell: str = "", limits=None, **environment):
    """``orca-cool`` with redirections of a shell."""
    words = line.split() if isinstance(line, str) else line
    command = ["bash", "-c", f'"$@" {shell}', "bash", sys.executable, "-m", "orca_cool", *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=runs.environment() | environment,
        timeout=300,
        check=False,
        preexec_fn=limits,
    )


def goes_on(place, out, predicted):
    """Repeated, the prediction ends as one that nothing has stopped."""
    again = CliRunner().invoke(main, runs.arguments(place, out))
    assert again.exit_code == 0, again.output
    runs.assert_same(out, predicted)


def said(text):
    """Lines on standard error, without the toy model's that its genome may be another."""
    return [line for line in text.splitlines() if not line.startswith("warning: genome 'toy'")]


def one_line(done, code, *words):
    """The command ended with a code and one line that says why."""
    assert done.returncode == code, done.stderr
    (line,) = said(done.stderr)
    for word in words:
        assert word in line


# -- standard output


@pytest.mark.parametrize(
    ("shell", "reason", "unbuffered"),
    [
        (">&-", "Bad file descriptor", ""),
        (">/dev/full", "No space left on device", ""),
        (">/dev/full", "No space left on device", "1"),
    ],
)
def test_standard_output_closed_or_full(shell, reason, unbuffered):
    done = orca("models list", shell=shell, PYTHONUNBUFFERED=unbuffered)
    one_line(done, 2, f"Error: cannot write to standard output: {reason}")


def test_help_without_standard_output():
    one_line(orca("predict --help", shell=">&-"), 2, "cannot write to standard output")


def test_a_reader_that_goes_is_no_error():
    """`| head`: silence and the code of a process that SIGPIPE ended, as for cat."""
    done = orca("models list", shell="| true; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr, done.stdout) == (141, "", "")


def test_closed_standard_error_loses_messages_and_nothing_else(predicted):
    done = orca(["check", str(predicted)], shell="2>&-")
    assert done.returncode == 0
    assert "valid" in done.stdout
    assert orca("models info nothing", shell="2>/dev/full").returncode == 2


# -- no space, no memory


def file_size(limit):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


@pytest.mark.parametrize("share", [0.02, 0.9])
def test_a_disk_that_is_full_while_predicting(place, predicted, tmp_path, share):
    """`ulimit -f`: nothing half-written, no crash of HDF5, and the run goes on afterwards."""
    out = tmp_path / "x.mcool"
    limits = file_size(int(predicted.stat().st_size * share))
    done = orca(runs.arguments(place, out), limits=limits)
    one_line(done, 2, "Error: cannot write", "File too large; free some space and repeat")
    assert {p.name for p in tmp_path.iterdir() if p.suffix != ".tsv"} <= {"x.mcool.partial"}
    if share == 0.9:
        goes_on(place, out, predicted)


def test_a_disk_that_is_full_while_a_store_is_made(place, tmp_path):
    line = ["encode", "-q", "-m", place / "toy", "-g", place / "toy.fa", "-o", tmp_path / "x.h5"]
    done = orca([str(word) for word in line], limits=file_size(4000))
    one_line(done, 2, "cannot write", "x.h5", "File too large")
    assert not list(tmp_path.iterdir())


def test_too_little_memory(place, tmp_path):
    """`ulimit -v`: what cannot be loaded is told as such."""
    limit = 400 << 20
    done = orca(
        runs.arguments(place, tmp_path / "x.mcool"),
        limits=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    one_line(done, 2, "Error: out of memory (ulimit -v is 0.42 GB)")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 4000000000000 bytes. Error code 12"
        ),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        OSError(12, "Cannot allocate memory"),
        ValueError("Unable to create dataset (memory allocation failed for raw data chunk)"),
    ],
)
def test_ways_to_say_that_there_is_no_memory(monkeypatch, error):
    result = failing(monkeypatch, error)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: out of memory")
    assert len(result.stderr.splitlines()) == 1


# -- what nobody has foreseen


def failing(monkeypatch, error, *options):
    """A verb in which an error is raised that is none of ours."""

    def fail():
        raise error

    monkeypatch.setattr("orca_cool.model.registry.known", fail)
    return CliRunner().invoke(main, ["models", "list", *options])


def test_an_unexpected_error_says_how_to_report_it(monkeypatch):
    monkeypatch.delenv("ORCA_COOL_DEBUG", raising=False)
    result = failing(monkeypatch, KeyError("odd\nthing"))
    assert result.exit_code == 70
    assert len(result.stderr.splitlines()) == 1
    for part in ("unexpected KeyError", "odd", "orca-cool 0.", "please report", "-vv"):
        assert part in result.stderr


@pytest.mark.parametrize("how", ["-vv", "ORCA_COOL_DEBUG"])
def test_where_an_error_came_from(monkeypatch, how):
    if how != "-vv":
        monkeypatch.setenv(how, "1")
    result = failing(monkeypatch, KeyError("odd"), *["-vv"] * (how == "-vv"))
    assert result.exit_code == 70
    assert "Traceback (most recent call last)" in result.stderr
    assert "in fail" in result.stderr


def test_errors_of_the_system_are_no_defects(monkeypatch):
    result = failing(monkeypatch, OSError(28, "No space left on device", "some/file"))
    assert result.exit_code == 2
    assert "'some/file': No space left on device; free some space" in result.stderr
    assert failing(monkeypatch, FileNotFoundError(2, "absent", "x")).exit_code == 70


def test_handlers_of_signals_are_put_back(monkeypatch):
    before = [signal.getsignal(number) for number in signals.STOPPING]
    CliRunner().invoke(main, ["models", "list"])
    assert [signal.getsignal(number) for number in signals.STOPPING] == before


# -- Ctrl-C and SIGTERM


def stopped(line, number, ready, *, group: bool):
    """Send a signal to a verb (or its process group, as a terminal does) once ``ready()``; no
    process that it has started may be left.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "orca_cool", *map(str, line)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=runs.environment(),
        start_new_session=True,
        # a test run in the background ignores it, and would hand that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    family, begun = set(), time.monotonic()
    while not ready(process) and process.poll() is None and time.monotonic() - begun < 200:
        time.sleep(0.005)
    if process.poll() is None:
        family |= set(psutil.Process(process.pid).children(recursive=True))
        (os.killpg if group else os.kill)(process.pid, number)
    _, text = process.communicate(timeout=200)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive, [p.cmdline() for p in alive]
    return process.returncode, said(text), len(family)


def has_steps(out: Path):
    folder = out.with_name(out.name + ".partial")
    return lambda process: any(int(p.name.split(".")[1]) > 1 for p in folder.glob("state.*.npz"))


@pytest.mark.parametrize(
    ("number", "group", "code"), [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143)]
)
def test_a_prediction_that_is_stopped_says_how_to_go_on(
    place, predicted, tmp_path, number, group, code
):
    out = tmp_path / "x.mcool"
    line = runs.arguments(place, out)
    assert stopped(line, number, has_steps(out), group=group)[:2] == (
        code,
        [f"stopped; what is done is kept in '{out}.partial': repeat the command to go on"],
    )
    assert [p.name for p in tmp_path.iterdir() if p.suffix != ".tsv"] == ["x.mcool.partial"]
    goes_on(place, out, predicted)


def test_stopped_before_anything_is_done(place, tmp_path):
    """Also while modules are loaded."""
    out = tmp_path / "x.mcool"
    loaded = time.monotonic() + 1.5
    code, lines, _ = stopped(
        runs.arguments(place, out), signal.SIGINT, lambda _: time.monotonic() > loaded, group=True
    )
    assert (code, lines) == (130, ["stopped; nothing was written"])
    assert not list(tmp_path.iterdir())


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "group"),
    # a terminal's Ctrl-C reaches the workers by itself: the other is the harder
    [(signal.SIGINT, True), (signal.SIGTERM, False)],
)
def test_no_worker_is_left(place, tmp_path, number, group):
    pytest.importorskip("distributed")
    out = tmp_path / "x.mcool"

    def working(process):
        return any(out.with_name(out.name + ".partial").glob("windows.*.npz"))

    code, lines, family = stopped(
        [*runs.arguments(place, out), "--nproc", "2"], number, working, group=group
    )
    assert family > 1
    assert code == 128 + number
    assert len(lines) == 1, "\n".join(lines)
    assert lines[0].startswith("stopped; what is done is kept in")


def test_variants_and_encode(place, tmp_path):
    text = "".join(f"a:{1000 + 7 * i}-{1100 + 7 * i} del\n" for i in range(400))
    (tmp_path / "v.txt").write_text(text)
    model = ["-q", "-m", place / "toy", "-g", place / "toy.fa", "--device", "cpu"]
    out = tmp_path / "v.tsv"
    code, lines, _ = stopped(
        ["variants", tmp_path / "v.txt", *model, "-o", out],
        signal.SIGTERM,
        lambda _: out.with_name("v.tsv.partial").exists(),
        group=False,
    )
    assert (code, lines) == (
        143,
        [f"stopped; what is done is kept in '{out}.partial': repeat the command to go on"],
    )
    with open(tmp_path / "long.fa", "w") as file:
        file.write(">a\n" + "ACGTTGCA" * 500_000 + "\n")
    model[4] = tmp_path / "long.fa"
    code, lines, _ = stopped(
        ["encode", *model, "-o", tmp_path / "s.h5"],
        signal.SIGINT,
        lambda _: (tmp_path / "s.h5").exists(),
        group=True,
    )
    assert code == 130
    assert lines[-1].endswith("repeat the command to go on")


@pytest.mark.parametrize("verb", ["predict", "variants", "encode", "models fetch", "train run"])
def test_help_lists_what_is_left_beside_the_output(verb):
    text = CliRunner().invoke(main, [*verb.split(), "--help"]).output
    names = {
        "predict": (".partial", ".expected.*.tsv", ".fai"),
        "variants": (".partial", ".json"),
        "encode": (".h5.lock",),
        "models fetch": (".part",),
        "train run": ("checkpoints", "tensorboard", "cache"),
    }
    assert all(name in "".join(text.split()) for name in names[verb])


@pytest.mark.parametrize("kept", [None, "w.orca"])
def test_an_evaluation_that_is_stopped_says_what_helps_the_next(kept):
    said = evaluate.remains({"window_store": kept})
    assert ("'w.orca'" in said) is (kept is not None)
    assert ("--window-store" in said) is (kept is None)


def test_useless_options_are_quoted_with_their_values(predicted):
    line = f"plot {predicted} -o x.png --at a:100 --strict --levels 40 --edit x --edit y".split()
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 2
    assert "--edit 'x' --edit 'y', --strict, --at 'a:100': nothing is predicted" in result.stderr


DROPPED = """
import os, signal, sys, time, threading
from orca_cool.cli.guard import guarded

class Slow:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)  # Python drops what is raised here
        time.sleep(0.1)

def run():
    Slow()
    time.sleep(60)

sys.exit(guarded(run, own_process=True))
"""


def test_a_stop_that_python_drops_is_asked_for_again():
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", DROPPED], capture_output=True, text=True, env=runs.environment()
    )
    assert (done.returncode, done.stderr) == (143, "stopped; nothing was written\n")
    assert time.monotonic() - begun < 50
