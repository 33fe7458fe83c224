"""One process at a time on each output, and who it is."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import runs
from click.testing import CliRunner

from orca_cool.cli import main
from orca_cool.errors import OutputError, StoreError
from orca_cool.locks import Owner, holding, lock_file, locked_outputs

#: Holds the locks of outputs, says so, and waits for the end of its input.
HOLDER = """
import sys
from orca_cool import locks
if sys.argv[1] == "none":
    def lockf(*_):
        raise OSError(37, "No locks available")
    locks.fcntl.lockf = lockf
with locks.locked_outputs(*sys.argv[3:], inside=sys.argv[2] == "inside"):
    print("held", flush=True)
    sys.stdin.read()
"""


def start(line: list[str]) -> subprocess.Popen[str]:
    """A process that says when it holds what it is to hold, until its input ends."""
    process = subprocess.Popen(
        line,
        env=runs.environment() | {"HDF5_USE_FILE_LOCKING": "FALSE"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


class Holder:
    """Another process that holds locks."""

    def __init__(self, *outputs: Path, kernel: bool = True, inside: bool = False):
        line = [sys.executable, "-c", HOLDER, "locks" if kernel else "none"]
        self.process = start([*line, "inside" if inside else "beside", *map(str, outputs)])

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def no_locks(monkeypatch):
    """As on a file system without locks."""

    def lockf(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", lockf)


def refused(path: Path, holder: Holder) -> str:
    with pytest.raises(OutputError) as caught, locked_outputs(path):
        pass
    text = str(caught.value)
    wanted = rf"process {holder.process.pid} on {re.escape(socket.gethostname())} \(since "
    assert re.search(wanted + r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)", text), text
    return text


def test_a_second_process_is_told_who_works_there(tmp_path):
    path = tmp_path / "o.mcool"
    with Holder(path) as holder:
        assert refused(path, holder).startswith(f"{path} is in use: process ")
        (tmp_path / "link").symlink_to(tmp_path)
        refused(tmp_path / "link" / "o.mcool", holder)
        with locked_outputs(tmp_path / "other.mcool"):
            pass
    with locked_outputs(path):
        assert lock_file(path).exists()
    assert [p.name for p in tmp_path.iterdir()] == ["link"]  # nothing is left lying around


@pytest.mark.parametrize("kernel", [True, False], ids=["locks", "no locks"])
def test_a_lock_of_the_dead_is_taken_over(tmp_path, kernel, request):
    if not kernel:
        request.getfixturevalue("no_locks")
    path = tmp_path / "o.mcool"
    holder = Holder(path, kernel=kernel)
    refused(path, holder)
    holder.kill()
    assert lock_file(path).exists()
    with locked_outputs(path):
        owner = Owner.parse(lock_file(path).read_bytes())
        assert owner is not None
        assert owner.process == os.getpid()
    assert not list(tmp_path.iterdir())


def test_without_locks_only_the_user_knows_of_other_machines(tmp_path, no_locks):
    path = tmp_path / "o.mcool"
    there = Owner("else\bwhere", 1, "2026-01-02 03:04:05", "7", "abc")
    lock_file(path).write_bytes(there.pack())
    with (
        pytest.raises(OutputError, match=r"process 1 on elsewhere \(since 2026") as caught,
        locked_outputs(path),
    ):
        pass
    assert f"if that process is gone, remove {lock_file(path)}" in str(caught.value)
    lock_file(path).write_text("{")  # not whole: nobody's
    with locked_outputs(path):
        pass


def test_a_number_of_a_process_that_is_used_again(no_locks, tmp_path):
    me = Owner.me()
    assert not me.gone
    if me.started:
        assert Owner(me.host, me.process, me.since, "1", "x").gone


def test_a_thread_may_take_it_again_another_may_not(tmp_path):
    path, seen = tmp_path / "o.mcool", []

    def other():
        try:
            with locked_outputs(path):
                seen.append("held")
        except OutputError as error:
            seen.append(str(error))

    with locked_outputs(path):
        with locked_outputs(path):
            pass
        assert lock_file(path).exists()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    other()
    assert f"process {os.getpid()} on" in seen[0]
    assert seen[1:] == ["held"]


FORK = """
import os, sys
from orca_cool.errors import OutputError
from orca_cool.locks import lock_file, locked_outputs
with locked_outputs(sys.argv[1]):
    if (child := os.fork()) == 0:
        try:
            with locked_outputs(sys.argv[1]):
                os._exit(1)
        except OutputError:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert lock_file(sys.argv[1]).exists()
"""


def test_a_child_neither_holds_nor_releases_it(tmp_path):
    line = [sys.executable, "-c", FORK, str(tmp_path / "o.mcool")]
    subprocess.run(line, env=runs.environment(), check=True)


COUNT = """
import sys, time
from pathlib import Path
from orca_cool.errors import OutputError
from orca_cool.locks import locked_outputs
count = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    while True:
        try:
            with locked_outputs(count):
                n = int(count.read_text())
                time.sleep(0.0005)
                count.write_text(str(n + 1))
            break
        except OutputError:
            time.sleep(0.0005)
"""


def test_many_processes_take_turns(tmp_path):
    """The file is removed each time: nobody may hold a lock on a file that has gone."""
    count = tmp_path / "count"
    count.write_text("0")
    line = [sys.executable, "-c", COUNT, str(count), "50"]
    processes = [subprocess.Popen(line, env=runs.environment()) for _ in range(4)]
    assert [p.wait(120) for p in processes] == [0] * 4
    assert count.read_text() == "200"


def test_what_cannot_be_locked(tmp_path):
    with locked_outputs(tmp_path / "none" / "o.mcool"):  # its verb says what is wrong
        pass
    lock_file(tmp_path / "o.mcool").symlink_to(tmp_path / "precious")
    (tmp_path / "precious").write_text("precious")
    with (
        pytest.raises(OutputError, match="cannot be written"),
        locked_outputs(tmp_path / "o.mcool"),
    ):
        pass
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOENT])
def test_a_folder_that_only_seems_writable_is_named(tmp_path, monkeypatch, code):
    """As of /proc, or of a network file system on which root is nobody."""

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("orca_cool.locks._take", refuse)
    words = rf"the folder '{tmp_path}' cannot be written: {os.strerror(code)}; needed for 'x\.tsv'"
    with pytest.raises(OutputError, match=words), locked_outputs(tmp_path / "x.tsv"):
        pass


def test_a_method_holds_what_its_object_names(tmp_path):
    class Job:
        output = tmp_path / "o.txt"

        @holding(lambda job: [job.output])
        def run(self, text: str) -> bool:
            """Say whether it is held."""
            return lock_file(self.output).exists() and text == "x"

    assert Job().run("x")
    assert Job.run.__doc__ == "Say whether it is held."
    assert not list(tmp_path.iterdir())


VERBS = {
    "predict": ("predict -m toy -g toy.fa -o o.mcool", "o.mcool"),
    "predict --at": ("predict -m toy -g toy.fa --at a:100 -o q.mcool", "q.npz"),
    "predict --diff": (
        "predict -m toy -g toy.fa --edit a:9-12_del --diff -o d.mcool",
        "d.reference.mcool",
    ),
    "predict --lift": (
        "predict -m toy -g toy.fa --edit a:9-12_del --lift-to-reference -o l.mcool",
        "l.lifted.mcool",
    ),
    "variants": ("variants v.vcf -m toy -g toy.fa -o v.tsv", "v.tsv"),
    "variants --maps": ("variants v.vcf -m toy -g toy.fa -o w.tsv --maps maps", "maps"),
    "evaluate": ("evaluate p.mcool m.mcool --chrom a -o e", "e"),
    "expected": ("expected m.mcool -o x", "x"),
    "stitch": ("stitch w -g toy.fa -e inverse-distance -o s.mcool", "s.mcool"),
    "attribute": (
        "attribute a:4000-4020 --objective pixel_a:3900_a:4100 -m toy -g toy.fa -o t",
        "t.tsv.gz",
    ),
    "plot": ("plot p.mcool -o p.png", "p.png"),
    "plot --at": ("plot -m toy -g toy.fa --at a:100 -o p.png", "p.png"),
}


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A folder with outputs of all verbs, on which another process works."""
    folder = tmp_path_factory.mktemp("held")
    names = sorted({name for _, name in VERBS.values()})
    with Holder(*(folder / name for name in names)) as holder:
        yield folder, holder


@pytest.mark.parametrize("force", [False, True], ids=["", "force"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_refused_while_another_works_there(held, place, monkeypatch, verb, force):
    folder, holder = held
    monkeypatch.chdir(folder)
    line, name = VERBS[verb]
    words = line.replace("toy", str(place / "toy")).split() + ["--force"] * force
    result = CliRunner().invoke(main, [word.replace("_", " ") for word in words])
    assert result.exit_code == 2, result.output
    assert f"Error: {name} is in use: process {holder.process.pid} on " in result.output
    left = {p.name for p in folder.iterdir()}
    assert left == {lock_file(Path(n)).name for _, n in VERBS.values()}


def test_train_is_refused_while_another_trains_there(tmp_path):
    import toy_training
    import yaml

    pytest.importorskip("lightning")
    config = toy_training.toy_config(tmp_path)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "run").mkdir()
    with Holder(tmp_path / "run", inside=True) as holder:
        line = ["train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "run")]
        result = CliRunner().invoke(main, line)
        assert result.exit_code == 2, result.output
        assert f"run is in use: process {holder.process.pid} on " in result.output
        assert [p.name for p in (tmp_path / "run").iterdir()] == [".lock"]


def test_models_are_not_imported_over_one_another(tmp_path, place):
    with Holder(tmp_path / "toy") as holder:
        line = ["models", "import", str(place / "toy"), "-o", str(tmp_path)]
        for words in (line, [*line, "--force"]):
            result = CliRunner().invoke(main, words)
            assert result.exit_code == 2, result.output
            assert f"toy is in use: process {holder.process.pid} on " in result.output
    assert not list(tmp_path.iterdir())


USER = """
import sys
from pathlib import Path
import runs
from orca_cool.encodings.store import EncodingStore
from orca_cool.model.bundle import load_bundle
place = Path(sys.argv[1])
engine = runs.engine(place)
encoder = load_bundle(place / "toy").model.encoder
with EncodingStore.open(sys.argv[2], encoder, engine.source):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_store_that_others_write_to_is_not_replaced(tmp_path, place):
    """Several fill one store; none deletes it under the others."""
    store = tmp_path / "s.h5"
    user = start([sys.executable, "-c", USER, str(place), str(store)])
    number = store.stat().st_ino
    line = ["encode", "-q", "-m", str(place / "toy"), "-g", str(place / "toy.fa"), "-o", str(store)]
    result = CliRunner().invoke(main, [*line, "c"])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(main, [*line, "--force"])
    assert result.exit_code == 2, result.output
    assert f"s.h5 is in use: process {user.pid} on " in result.output
    assert store.stat().st_ino == number
    user.send_signal(signal.SIGKILL)
    user.communicate()
    with open(store, "rb"):  # so that its number is not given to the next
        result = CliRunner().invoke(main, [*line, "c", "--force"])
        assert result.exit_code == 0, result.output
        assert store.stat().st_ino != number


def test_users_of_a_store_without_locks_are_known_by_name(tmp_path, no_locks):
    from orca_cool.encodings.store.encodings import EncodingStore
    from orca_cool.encodings.store.layout import lock_path
    from orca_cool.encodings.store.locks import ByteLocks, Users

    path = tmp_path / "s.h5"
    path.write_bytes(b"")
    users = Users(ByteLocks(lock_path(path)))
    users.enter()
    with pytest.raises(StoreError, match=rf"s\.h5 is in use: process {os.getpid()} on "):
        EncodingStore.delete(path)
    users.leave()
    EncodingStore.delete(path)
    assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("lead", [0.0, 3.0])
def test_two_predictions_of_one_file(place, tmp_path, lead):
    """Where HDF5 locks nothing: one of them writes the file, the other is told."""
    runs.write(place, place / "whole.mcool", force=True)
    environment = runs.environment() | {"HDF5_USE_FILE_LOCKING": "FALSE"}
    line, output = runs.command(place, tmp_path / "o.mcool"), tmp_path / "o.mcool"
    processes = []
    for _ in range(2):
        processes.append(
            subprocess.Popen(
                line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        )
        time.sleep(lead)
    errors = [p.communicate()[1] for p in processes]
    assert sorted(p.returncode for p in processes) == [0, 2], errors
    text = next(e for p, e in zip(processes, errors) if p.returncode == 2)
    assert "is in use" in text or "exists; use --force" in text  # the first may have ended
    runs.assert_same(output, place / "whole.mcool")
    assert not [p for p in tmp_path.iterdir() if "lock" in p.name or "partial" in p.name]
