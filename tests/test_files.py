"""Outputs that appear whole or not at all, their modes, and the check of format and version."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys

import pytest

from orca_cool import files
from orca_cool.errors import BundleError, CoolerError
from orca_cool.files import (
    atomic_folder,
    atomic_path,
    atomic_write,
    check_format,
    replace_file,
    replace_folder,
    temporary_path,
    write_once,
)


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write(path, "älter")
    assert path.read_bytes() == "älter".encode()
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".a.txt.")
        assert temporary.suffix == ".partial"
        temporary.write_text("newer")
        assert path.read_text() == "älter"
    assert path.read_text() == "newer"
    atomic_write(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_block_that_raises_leaves_the_target_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write(path, "old")

    def half(place, error):
        place.write_text("half")
        raise error

    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        half(temporary, KeyboardInterrupt())
    with pytest.raises(ValueError, match="here"), atomic_folder(tmp_path / "f") as folder:
        half(folder / "half", ValueError("here"))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_the_target_and_nothing_else(tmp_path, monkeypatch, failing):
    path, folder = tmp_path / "a.txt", tmp_path / "f"
    atomic_write(path, "old")
    with atomic_folder(folder) as new:
        (new / "b.txt").write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, "new")
    with pytest.raises(OSError, match="No space left"), atomic_folder(folder, replace=True) as new:
        (new / "b.txt").write_text("new")
    monkeypatch.undo()
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "f"]
    assert path.read_text() == "old"
    assert (folder / "b.txt").read_text() == "old"


def test_killed_between_write_and_rename(tmp_path):
    path, folder = tmp_path / "a.txt", tmp_path / "f"
    atomic_write(path, "old")
    with atomic_folder(folder) as new:
        (new / "b.txt").write_text("old")
    program = (
        "import os, sys\n"
        "from orca_cool.files import atomic_folder, atomic_path\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "with atomic_{}(sys.argv[1]) as temporary:\n"
        "    (temporary{}).write_text('new')\n"
    )
    for kind, target, inside in (("path", path, ""), ("folder", folder, " / 'b.txt'")):
        replace = program.replace("sys.argv[1]", "sys.argv[1], replace=True") * (kind == "folder")
        text = (replace or program).format(kind, inside)
        done = subprocess.run([sys.executable, "-c", text, str(target)])
        assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert (folder / "b.txt").read_text() == "old"
    left = [name for name in os.listdir(tmp_path) if name not in ("a.txt", "f")]
    assert len(left) == 2
    assert all(name.startswith(".") and name.endswith(".partial") for name in left)


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077, 0o027])
def test_modes_follow_the_umask(tmp_path, umask, mask):
    umask(mask)
    path, folder = tmp_path / "a.txt", tmp_path / "f"
    with atomic_path(path) as temporary:
        temporary.write_text("a")
        temporary.chmod(0o600)  # as some libraries make their files
    with atomic_folder(folder) as new:
        (new / "inner").mkdir(mode=0o700)
        for file in (new / "b.txt", new / "inner" / "c.txt"):
            file.write_text("b")
            file.chmod(0o600)
    for file in (path, folder / "b.txt", folder / "inner" / "c.txt"):
        assert mode(file) == 0o666 & ~mask
    for place in (folder, folder / "inner"):
        assert mode(place) == 0o777 & ~mask
    assert sorted(os.listdir(folder)) == ["b.txt", "inner"]


def test_file_and_folder_are_flushed_before_and_after_the_rename(tmp_path, monkeypatch):
    path, calls = tmp_path / "a.txt", []
    fsync, replace = os.fsync, os.replace

    def flushed(descriptor):
        calls.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def renamed(a, b):
        calls.append("rename")
        replace(a, b)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    atomic_write(path, "a")
    temporary, rename, folder = calls
    assert os.path.basename(temporary).startswith(".a.txt.")
    assert (rename, folder) == ("rename", str(tmp_path))
    calls.clear()
    with atomic_folder(tmp_path / "f") as new:
        (new / "b.txt").write_text("b")
    assert calls == [str(new / "b.txt"), str(new), "rename", str(tmp_path)]


def test_a_file_system_that_cannot_flush_folders_will_do(tmp_path, monkeypatch):
    fsync = os.fsync

    def files_only(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    atomic_write(tmp_path / "a.txt", "a")
    assert (tmp_path / "a.txt").read_text() == "a"


def test_a_folder_is_replaced_when_asked_only(tmp_path):
    folder = tmp_path / "f"
    for text in ("one", "two"):
        with atomic_folder(folder, replace=True) as new:
            (new / text).write_text(text)
    assert os.listdir(folder) == ["two"]
    with pytest.raises(FileExistsError), atomic_folder(folder) as new:
        (new / "three").write_text("three")
    assert os.listdir(folder) == ["two"]
    assert os.listdir(tmp_path) == ["f"]


def test_a_folder_comes_back_when_the_second_rename_fails(tmp_path, monkeypatch):
    folder, new = tmp_path / "f", tmp_path / "new"
    for place in (folder, new):
        place.mkdir()
        (place / place.name).write_text("")
    replace = os.replace

    def broken(a, b):
        if str(a) == str(new):
            raise OSError(5, "Input/output error")
        replace(a, b)

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="Input/output"):
        replace_folder(new, folder)
    assert os.listdir(folder) == ["f"]
    assert sorted(os.listdir(tmp_path)) == ["f", "new"]


def test_a_file_is_written_once(tmp_path, umask, monkeypatch):
    path = tmp_path / "secret"
    umask(0o022)
    write_once(path, b"first", mode=0o600)
    write_once(path, "second")
    assert path.read_bytes() == b"first"
    assert mode(path) == 0o600

    def no_links(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    write_once(path, "second")
    write_once(tmp_path / "other", "other")
    assert path.read_bytes() == b"first"
    assert (tmp_path / "other").read_text() == "other"
    assert sorted(os.listdir(tmp_path)) == ["other", "secret"]


def test_temporary_names_differ_unless_they_are_to_be_found_again(tmp_path):
    path = tmp_path / "a.mcool"
    assert temporary_path(path) != temporary_path(path)
    assert temporary_path(path, unique=False) == tmp_path / ".a.mcool.partial"
    temporary_path(path, unique=False).write_text("a")
    replace_file(temporary_path(path, unique=False), path)
    assert os.listdir(tmp_path) == ["a.mcool"]
    assert files.sha256(path).startswith("ca978112")


def test_format_and_version():
    good = {"format": "new", "version": 2}
    assert check_format(good, "new", 2, "x", BundleError) == 2
    former = {"format": "old", "format_version": 1}
    assert check_format(former, ["new", "old"], 2, "x", BundleError, key="format_version") == 1


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "x: format is 'list', expected 'new'"),
        ({}, "x: format is None, expected 'new'"),
        ({"format": "other", "version": 1}, "x: format is 'other', expected 'new'"),
        ({"format": "new"}, "x: version is None, expected a whole number from 1 to 2"),
        ({"format": "new", "version": "1"}, "x: version is '1', expected a whole number"),
        ({"format": "new", "version": True}, "x: version is True, expected a whole number"),
        ({"format": "new", "version": 0}, "x: version is 0, expected a whole number"),
        (
            {"format": "new", "version": 3},
            "x is of format version 3; this orca-cool reads up to version 2: update orca-cool",
        ),
    ],
)
def test_another_format_or_a_newer_version_is_refused(found, message):
    with pytest.raises(CoolerError) as caught:
        check_format(found, ["new", "old"], 2, "x", CoolerError)
    assert str(caught.value).startswith(message)
