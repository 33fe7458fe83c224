"""The file of decoded windows: what is read is what was written, whatever happens to the file."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orca_cool.errors import StoreError
from orca_cool.prediction import window_store
from orca_cool.prediction.window_store import WindowStore, check_window_store


def key(k: int) -> bytes:
    return k.to_bytes(32, "big")


def window(k: int, symmetric: bool = True) -> np.ndarray:
    """The maps (2, 20, 20) of a window, different for each ``k``."""
    y = np.random.default_rng(k).standard_normal((2, 20, 20)).astype(np.float32)
    return 0.5 * y + 0.5 * y.transpose(0, 2, 1) if symmetric else y


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "windows.db"


def filled(path: Path, n: int = 40) -> Path:
    with closing(WindowStore(path)) as store:
        for k in range(n):
            store.add([key(k)], [window(k)])
    return path


# ---- what is read is what was written


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (2, 5, 5), elements=st.floats(width=32)), st.booleans())
def test_bits_come_back(tmp_path_factory, values, symmetric):
    if symmetric:
        lower = np.tril_indices(5, -1)
        values[:, lower[0], lower[1]] = values.transpose(0, 2, 1)[:, lower[0], lower[1]]
    with closing(WindowStore(tmp_path_factory.mktemp("s") / "w")) as store:
        store.add([key(1)], [values])
        (found, none) = store.get([key(1), key(2)])
    assert found.view(np.uint32).tolist() == values.view(np.uint32).tolist()
    assert none is None


def test_symmetric_maps_take_half_the_room():
    whole, half = (len(window_store._packed(key(0), window(0, s), "float32")) for s in (0, 1))
    head = window_store._HEAD.size + window_store._CHECKSUM
    assert whole - head == 4 * 2 * 400
    assert half - head == 4 * 2 * 210
    assert len(window_store._packed(key(0), window(0), "float16")) - head == 2 * 2 * 210


def test_float16_rounds_whether_windows_are_stored_or_not(path):
    with closing(WindowStore(path, dtype="float16")) as store:
        rounded = store.rounded(window(3))
        assert np.abs(rounded - window(3)).max() <= 2**-11 * np.abs(window(3)).max()
        store.add([key(3)], [rounded])
        assert np.array_equal(store.get([key(3)])[0], rounded)
        assert np.array_equal(store.rounded(rounded), rounded)
        with pytest.raises(StoreError, match="reach 70000, more than float16 holds"):
            store.rounded(np.full((1, 2, 2), 7e4, np.float32))
    with closing(WindowStore(path)) as store:
        assert store.rounded(window(3)).tolist() == window(3).tolist()


# ---- its size


def test_the_least_recently_used_make_room(path, monkeypatch):
    now = [10_000.0]
    monkeypatch.setattr(window_store.time, "time", lambda: now[0])
    monkeypatch.setattr(window_store, "_TOLD_AT", 1)
    with closing(WindowStore(path, size=0.001)) as store:  # 1 MB
        for k in range(1000):
            now[0] += 10_000
            store.add([key(k)], [window(k)])
            assert store.get([key(0)])[0] is not None  # it is used all the time
    assert path.stat().st_size <= 1.1e6
    with closing(WindowStore(path)) as store:
        there = [y is not None for y in store.get([key(k) for k in range(1000)])]
    assert there[0]
    assert there[-1]
    first = there.index(True, 1)
    assert 100 < first < 999  # those in between went by age
    assert all(there[first:])


# ---- what cannot be used


def test_what_is_no_store_is_refused_and_left_as_it_is(tmp_path):
    text, other = tmp_path / "notes.txt", tmp_path / "other.db"
    text.write_text("no database\n" * 500)
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    for path, why in ((text, "is no window store, or is damaged"), (other, "format is None")):
        before = path.read_bytes()
        with pytest.raises(StoreError, match=why) as error:
            WindowStore(path)
        assert str(path) in str(error.value)
        assert path.read_bytes() == before


def test_a_newer_version_is_refused(path):
    filled(path, 1)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE about SET value = 99 WHERE name = 'version'")
    database.close()
    with pytest.raises(StoreError, match="of format version 99; this orca-cool reads up to"):
        WindowStore(path)


def test_paths_and_numbers_that_cannot_be(tmp_path):
    for arguments, why in (
        ((str(tmp_path / "none" / "w"), "float32", 8), "there is no folder"),
        ((str(tmp_path), "float32", 8), "is a folder; give a file"),
        ((str(tmp_path / "w"), "float64", 8), "'float64' of stored windows is not known"),
        ((str(tmp_path / "w"), "float32", 0), "a window store of 0 GB holds nothing"),
        ((None, "float16", 8.0), "they need --window-store"),
        ((None, "float32", 2.0), "they need --window-store"),
    ):
        with pytest.raises(StoreError, match=why):
            check_window_store(*arguments)


# ---- what happens to a file


def readable(path: Path, n: int = 40) -> int:
    """Entries that can still be read, all of which are right; -1: the file is refused."""
    try:
        with closing(WindowStore(path)) as store:
            found = store.get([key(k) for k in range(n)])
    except StoreError:
        return -1
    for k, values in enumerate(found):
        assert values is None or np.array_equal(values, window(k))
    return sum(values is not None for values in found)


def test_flipped_bytes_never_give_wrong_numbers(path, tmp_path):
    whole = bytearray(filled(path).read_bytes())
    draw, counts = random.Random(1), []
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(draw.choice([1, 1, 20])):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        copy = tmp_path / "copy.db"
        copy.write_bytes(data)
        counts.append(readable(copy))
    assert counts.count(39) > 20  # mostly one entry is lost, and no more


def test_cut_files_never_give_wrong_numbers(path, tmp_path):
    whole = filled(path).read_bytes()
    for size in [*range(0, len(whole), 9973), 1, 100, 511]:
        copy = tmp_path / "copy.db"
        copy.write_bytes(whole[:size])
        assert readable(copy) < 40
        copy.unlink()
        Path(f"{copy}-journal").unlink(missing_ok=True)


def test_a_damaged_window_is_replaced(path, caplog):
    filled(path, 3)
    data = path.read_bytes()
    inside = window(1)[0][np.triu_indices(20)].astype("<f4").tobytes()[200:240]
    assert data.count(inside) == 1
    path.write_bytes(data.replace(inside, bytes(40)))
    with closing(WindowStore(path)) as store:
        assert [y is None for y in store.get([key(0), key(1), key(2)])] == [False, True, False]
        assert "is damaged; it is decoded again" in caplog.text
        store.add([key(1)], [window(1)])
        assert np.array_equal(store.get([key(1)])[0], window(1))


def test_a_file_that_turns_out_damaged_is_used_no_more(path, caplog):
    filled(path)
    store = WindowStore(path)
    with open(path, "r+b") as file:  # all but the first page
        file.seek(window_store._PAGE)
        file.write(os.urandom(path.stat().st_size - window_store._PAGE))
    store._database.close()
    store._database = store._connect()
    assert store.get([key(1)]) == [None]
    assert "going on without it" in caplog.text
    store.add([key(1)], [window(1)])
    assert store.get([key(1)]) == [None]


def test_a_file_that_can_only_be_read(path, caplog, monkeypatch):
    filled(path)
    path.chmod(0o444)
    before = path.read_bytes()
    monkeypatch.setattr(window_store.os, "access", lambda *_: False)  # root may write anything
    with closing(WindowStore(path)) as store:
        assert "can only be read" in caplog.text
        assert np.array_equal(store.get([key(7)])[0], window(7))
        store.add([key(99)], [window(99)])
        assert store.get([key(99)]) == [None]
    assert path.read_bytes() == before


def test_a_full_disk_only_ends_the_adding(path, caplog):
    with closing(WindowStore(path)) as store:
        store.add([key(0)], [window(0)])
        store._database.execute("PRAGMA max_page_count = 10")
        for k in range(1, 40):
            store.add([key(k)], [window(k)])
        assert caplog.text.count("cannot be added to (database or disk is full)") == 1
        assert np.array_equal(store.get([key(0)])[0], window(0))
    assert 1 <= readable(path) < 40


# ---- several processes


def _fill(path: Path, numbers: range) -> None:
    with closing(WindowStore(path)) as store:
        for k in numbers:
            store.add([key(k)], [window(k)])


def test_many_make_and_fill_one_file_at_once(path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_fill, args=(path, range(k, k + 20))) for k in (0, 10, 20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert readable(path) == 40


def test_a_fork_has_a_connection_of_its_own(path):
    with closing(WindowStore(path)) as store:
        store.add([key(0)], [window(0)])
        child = os.fork()
        if not child:
            store.add([key(1)], [window(1)])
            ok = all(y is not None for y in store.get([key(0), key(1)]))
            os._exit(0 if ok else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert all(y is not None for y in store.get([key(0), key(1)]))


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from test_window_store import WindowStore, closing, key, window
with closing(WindowStore({path!r})) as store:
    for k in range(100000):
        store.add([key(k % 40)], [window(k % 40)])
        print(k, flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_killed_while_writing(path, seed):
    program = WRITER.format(tests=str(Path(__file__).parent), path=str(path))
    written = 0
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        for _ in range(5):
            written = max(written, int(writer.stdout.readline()) + 1)
        time.sleep(random.Random(seed).random() * 0.05)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert readable(path) >= min(written, 40)
