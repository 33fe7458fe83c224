"""Decoded windows on disk: what was decoded once, from the same sequence with the same networks, is
read from then on.

A store is one SQLite database. Its entries are strands of windows, each found by a digest of all
that its numbers depend on (:mod:`orca_cool.prediction.window_key`); so one file may serve any
models, genomes, edits and number types, and what does not fit is not found. Any number of processes
may read and write it at once, and a kill at any moment leaves it sound: SQLite sees to both, in one
file with a rollback journal (its write-ahead log does not work on network file systems).

What a reader gets is right because each entry has a checksum over its key and its numbers. A
damaged entry counts as absent, and is replaced. Where the database as a whole is damaged, full or
locked, the run goes on without it, since nothing depends on it but time.

Tables of the file:

``about``
    Name and version of the format.
``windows``
    ``number``, ``key``, and ``used``, the time at which an entry was lately used (seconds; it is
    brought up to date once an hour). The least recently used entries are deleted when the file
    reaches its size.
``maps``
    ``number``, and ``data``: a header (:data:`_HEAD`), the numbers, and 16 bytes of checksum. Of
    symmetric maps, as those of Orca's decoders are, the upper triangle, row by row.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import struct
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from orca_cool.errors import StoreError
from orca_cool.files import check_format
from orca_cool.prediction import WINDOW_DTYPES, WINDOW_STORE_SIZE

FORMAT, VERSION = "orca-cool.windows", 1

#: Whether a triangle, number of the type, maps, bins.
_HEAD = struct.Struct("<BBHH")
_CHECKSUM = 16
_SCHEMA = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value NOT NULL)",
    "CREATE TABLE windows (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, used INTEGER)",
    "CREATE INDEX by_use ON windows (used)",
    "CREATE TABLE maps (number INTEGER PRIMARY KEY, data BLOB NOT NULL)",
)
_PAGE = 1 << 14  # bytes: an entry of the released size takes 8 or 16 pages
_PATIENCE = 60.0  # seconds to wait for another process that writes
_FRESH = 3600  # seconds for which the time of use is not brought up to date
_TOLD_AT = 64  # times of use that are written together
_AT_ONCE = 500  # keys of a question

_log = logging.getLogger(__name__)


def check_window_store(path: str | None, dtype: str, size: float) -> None:
    """Raise what can be known to be wrong about the options without opening anything.

    Raises
    ------
    StoreError
    """
    if dtype not in WINDOW_DTYPES:
        raise StoreError(
            f"number type {dtype!r} of stored windows is not known; use one of "
            f"{', '.join(WINDOW_DTYPES)}"
        )
    if not size > 0:
        raise StoreError(f"a window store of {size:g} GB holds nothing; give more than 0")
    if path is None:
        if dtype != WINDOW_DTYPES[0] or size != WINDOW_STORE_SIZE:
            raise StoreError(
                "--window-store-dtype and --window-store-size are about a store of windows; they "
                "need --window-store"
            )
        return
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise StoreError(
            f"window store {path!r} cannot be made: there is no folder {str(folder)!r}; make it "
            f"first"
        )
    if Path(path).is_dir():
        raise StoreError(f"window store {path!r} is a folder; give a file")


class WindowStore:
    """An open store. Threads may share one; so may processes, each with an object of its own.

    Parameters
    ----------
    path : of the file; it is made if there is none. One that can only be read is only read.
    dtype : "float32"; with "float16" all decoded windows are rounded, whether they come from the
        store or not, so that a run and its repetition see the same numbers.
    size : gigabytes that the file takes at most.

    Attributes
    ----------
    hits, misses : strands of windows that were found, and that were not. read_only : nothing is
        added.

    Raises
    ------
    StoreError
        If it cannot be opened or made, is no window store, is damaged, or of a newer version.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        dtype: str = "float32",
        size: float = WINDOW_STORE_SIZE,
    ):
        check_window_store(os.fspath(path), dtype, size)
        self.path, self.dtype, self.max_bytes = Path(path), dtype, int(size * 1e9)
        self.hits = self.misses = 0
        self.read_only = self.path.exists() and not os.access(self.path, os.W_OK)
        self._usable = True
        self._stale: list[int] = []
        self._lock = threading.RLock()
        self._process = os.getpid()
        try:
            self._database = self._connect()
            self._begin()
        except sqlite3.DatabaseError as error:
            raise self._refused(error) from error
        if self.read_only:
            _log.warning("%s can only be read: nothing is added to it", self.path)

    # ---- windows

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """Maps as they come back from the store: float32, rounded to its number type.

        Raises
        ------
        StoreError
            If they do not fit it.
        """
        if self.dtype == "float32":
            return values
        with np.errstate(over="ignore"):
            found = values.astype(np.float16).astype(np.float32)
        if np.isfinite(values).all() and not np.isfinite(found).all():
            raise StoreError(
                f"maps of this model reach {np.abs(values).max():g}, more than float16 holds; "
                f"leave out --window-store-dtype"
            )
        return found

    def get(self, keys: Sequence[bytes]) -> list[np.ndarray | None]:
        """Entries by key, (maps, bins, bins) float32; None where there is none, or it is
        damaged.
        """
        with self._lock:
            rows = self._rows(list(dict.fromkeys(keys)))
        found: dict[bytes, np.ndarray] = {}
        for key, data in rows.items():
            values = _unpacked(key, data)
            if values is None:
                _log.warning(
                    "%s: a window (%s) is damaged; it is decoded again", self.path, key.hex()[:12]
                )
            else:
                found[key] = values
        out = [found.get(key) for key in keys]
        absent = sum(values is None for values in out)
        self.misses += absent
        self.hits += len(out) - absent
        return out

    def add(self, keys: Sequence[bytes], maps: Sequence[np.ndarray]) -> None:
        """Add entries, (maps, bins, bins) float32 each, in the place of those of the same key;
        the least recently used make room.
        """
        if self.read_only or not self._usable or not keys:
            return
        packed = [(key, _packed(key, values, self.dtype)) for key, values in zip(keys, maps)]
        with self._lock:
            try:
                self._reconnect_in_child()
                with _Transaction(self._database) as database:
                    now = int(time.time())
                    for key, data in packed:
                        database.execute(
                            "INSERT INTO windows (key, used) VALUES (?, ?) "
                            "ON CONFLICT (key) DO UPDATE SET used = excluded.used",
                            (key, now),
                        )
                        database.execute(
                            "INSERT OR REPLACE INTO maps "
                            "SELECT number, ? FROM windows WHERE key = ?",
                            (data, key),
                        )
                    self._bring_up_to_date(database, now)
                    self._make_room(database)
            except sqlite3.DatabaseError as error:
                self.read_only = True
                _log.warning(
                    "%s cannot be added to (%s): what is decoded is not kept", self.path, error
                )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._usable = False
            self._database.close()

    # ---- the database

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self.read_only else "rwc"
        database = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=False,
        )
        # NORMAL: a machine that loses its power may lose the file, never make a wrong number
        for pragma in (
            f"page_size = {_PAGE}",
            "synchronous = NORMAL",
            "trusted_schema = OFF",
            "cell_size_check = ON",
        ):
            database.execute(f"PRAGMA {pragma}")
        return database

    def _begin(self) -> None:
        """Make the tables of a new file; hold those of another against the format."""
        tables = "SELECT count(*) FROM sqlite_master"
        if not self.read_only and not self._database.execute(tables).fetchone()[0]:
            with _Transaction(self._database) as database:
                if not database.execute(tables).fetchone()[0]:  # else another process was faster
                    for statement in _SCHEMA:
                        database.execute(statement)
                    database.executemany(
                        "INSERT INTO about VALUES (?, ?)",
                        [("format", FORMAT), ("version", VERSION)],
                    )
        try:
            about = dict(self._database.execute("SELECT name, value FROM about").fetchall())
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):
                raise
            about = {}
        check_format(about, FORMAT, VERSION, self.path, StoreError)

    def _refused(self, error: sqlite3.DatabaseError) -> StoreError:
        """The error for a file that cannot be used."""
        if isinstance(error, sqlite3.OperationalError):
            return StoreError(f"window store {str(self.path)!r} cannot be opened: {error}")
        return StoreError(
            f"{str(self.path)!r} is no window store, or is damaged ({error}); give another file, "
            f"or delete it if it is one"
        )

    def _reconnect_in_child(self) -> None:
        """A connection must not be carried over a fork."""
        if os.getpid() != self._process:
            self._database, self._process = self._connect(), os.getpid()

    def _rows(self, keys: list[bytes]) -> dict[bytes, bytes]:
        if not self._usable:
            return {}
        rows: dict[bytes, bytes] = {}
        try:
            self._reconnect_in_child()
            now = int(time.time())
            for at in range(0, len(keys), _AT_ONCE):
                part = keys[at : at + _AT_ONCE]
                for key, number, used, data in self._database.execute(
                    "SELECT key, number, used, data FROM windows JOIN maps USING (number) "
                    f"WHERE key IN ({','.join('?' * len(part))})",
                    part,
                ):
                    rows[bytes(key)] = bytes(data)
                    if now - used > _FRESH:
                        self._stale.append(number)
            if len(self._stale) >= _TOLD_AT and not self.read_only:
                with _Transaction(self._database) as database:
                    self._bring_up_to_date(database, now)
        except (sqlite3.DatabaseError, TypeError, ValueError) as error:
            self._usable = False
            _log.warning(
                "%s is damaged or cannot be read (%s): going on without it; delete it, and it is "
                "made anew",
                self.path,
                error,
            )
            return {}
        return rows

    def _bring_up_to_date(self, database: sqlite3.Connection, now: int) -> None:
        """Write when entries were used."""
        stale, self._stale = self._stale, []
        database.executemany(
            "UPDATE windows SET used = ? WHERE number = ?", [(now, n) for n in stale]
        )

    def _make_room(self, database: sqlite3.Connection) -> None:
        """Delete the least recently used entries, a tenth of all at a time, while the file's are
        larger than they may be. What is deleted is filled again, so the file itself stays.
        """
        while self._used_bytes(database) > self.max_bytes:
            count = database.execute("SELECT count(*) FROM windows").fetchone()[0]
            if not count:
                return
            oldest = "SELECT number FROM windows ORDER BY used, number LIMIT ?"
            least = max(1, count // 10)
            database.execute(f"DELETE FROM maps WHERE number IN ({oldest})", (least,))
            database.execute(f"DELETE FROM windows WHERE number IN ({oldest})", (least,))

    @staticmethod
    def _used_bytes(database: sqlite3.Connection) -> int:
        pages, free, size = (
            database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


def numerics_of(store: WindowStore | None) -> dict[str, str]:
    """What a store does to the numbers of a prediction: nothing, or rounding."""
    return {} if store is None or store.dtype == "float32" else {"windows": store.dtype}


class _Transaction:
    """A block whose changes count together or not at all: ``with _Transaction(database) as d``."""

    def __init__(self, database: sqlite3.Connection):
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        self._database.execute("BEGIN IMMEDIATE")
        return self._database

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._database.execute("COMMIT")
        elif self._database.in_transaction:
            self._database.execute("ROLLBACK")


@lru_cache(maxsize=4)
def _triangle(bins: int) -> np.ndarray:
    """Flat indices of the upper triangle of a map, row by row."""
    rows, columns = np.triu_indices(bins)
    return rows * bins + columns


def _packed(key: bytes, values: np.ndarray, dtype: str) -> bytes:
    """An entry's data."""
    maps, bins = values.shape[:2]
    kept = np.ascontiguousarray(values, dtype=dtype).reshape(maps, -1)
    # bit for bit, so that -0 and 0 are told apart
    bits = kept.view(np.uint32 if dtype == "float32" else np.uint16).reshape(maps, bins, bins)
    symmetric = bool((bits == bits.transpose(0, 2, 1)).all())
    if symmetric:
        kept = kept[:, _triangle(bins)]
    head = _HEAD.pack(symmetric, WINDOW_DTYPES.index(dtype), maps, bins)
    data = head + np.ascontiguousarray(kept, dtype=np.dtype(dtype).newbyteorder("<")).tobytes()
    return data + _checksum(key, data)


def _unpacked(key: bytes, data: bytes) -> np.ndarray | None:
    """(maps, bins, bins) float32; None if it is not as it was written."""
    body, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
    if len(body) < _HEAD.size or _checksum(key, body) != checksum:
        return None
    symmetric, number, maps, bins = _HEAD.unpack_from(body)
    kind = np.dtype(WINDOW_DTYPES[number]).newbyteorder("<")
    kept = np.frombuffer(body, dtype=kind, offset=_HEAD.size).astype(np.float32)
    if not symmetric:
        return kept.reshape(maps, bins, bins)
    out = np.empty((maps, bins * bins), dtype=np.float32)
    upper = _triangle(bins)
    rows, columns = np.divmod(upper, bins)
    out[:, upper] = out[:, columns * bins + rows] = kept.reshape(maps, -1)
    return out.reshape(maps, bins, bins)


def _checksum(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECKSUM, key=key[:64]).digest()
