"""Locks on single bytes of a file beside the data: claims among processes that the kernel takes
back when the claimer dies.

POSIX record locks (``fcntl``) are used because they work on NFS too and because a killed process
leaves none behind. They have two traps. Closing *any* descriptor of a file drops all of the
process's locks on it: hence a file that nothing else opens (never the HDF5 file, which any reader
in the same process may open and close), and one descriptor a process that stays open. And they do
not exclude threads of one process from each other: hence the set of held bytes.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from orca_cool.locks import Owner

#: Byte that is locked while a user enters or a store is replaced; the users' own bytes follow it.
GUARD = 1 << 40
#: Processes that may be told by name, and bytes of the lock file for each name.
USERS, NAME = 256, 512

_log = logging.getLogger(__name__)


@dataclass
class _File:
    descriptor: int
    held: set[int] = field(default_factory=set)
    useless: bool = False  # this file system has no locks, as was said in the log


_STATE = threading.Condition()
#: By process too: a fork inherits this table, but no lock.
_FILES: dict[tuple[int, str], _File] = {}


class ByteLocks:
    """Exclusive advisory locks, one a byte.

    Where locks are not to be had (a file system without them, a folder that cannot be written)
    every lock is granted and the log says so once: they save work here, sound data never depends on
    them.

    Parameters
    ----------
    path : of the lock file, made when a lock is first asked for. It stays: deleting a lock file
        that others may hold is a race.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)

    def acquire(self, byte: int, *, wait: bool = False) -> bool:
        """Lock one byte; False if another process, thread or object holds it (never with
        ``wait``).
        """
        file = self._file()
        if file is None:
            return True
        with _STATE:
            while byte in file.held:
                if not wait:
                    return False
                _STATE.wait()
            file.held.add(byte)
        try:
            if not file.useless:
                fcntl.lockf(
                    file.descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, byte
                )
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                self._drop(file, byte)
                return False
            file.useless = True
            _log.warning(
                "%s cannot be locked (%s): processes that fill the same file may do the same "
                "work twice",
                self.path,
                error,
            )
        except BaseException:  # a KeyboardInterrupt while waiting
            self._drop(file, byte)
            raise
        return True

    def release(self, byte: int) -> None:
        """Unlock a byte that was acquired by this process."""
        file = _FILES.get(self._key())
        if file is None or byte not in file.held:
            return
        if not file.useless:
            fcntl.lockf(file.descriptor, fcntl.LOCK_UN, 1, byte)
        self._drop(file, byte)

    @staticmethod
    def _drop(file: _File, byte: int) -> None:
        with _STATE:
            file.held.discard(byte)
            _STATE.notify_all()

    def _key(self) -> tuple[int, str]:
        return os.getpid(), os.path.realpath(self.path)

    def _file(self) -> _File | None:
        key = self._key()
        with _STATE:
            file = _FILES.get(key)
            if file is None:
                try:
                    file = _File(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666))
                except OSError as error:
                    _log.info("%s cannot be made (%s): no locks", self.path, error)
                    return None
                _FILES[key] = file
            return file

    @property
    def useless(self) -> bool:
        """True if a lock was asked for, and the file system turned out to have none."""
        file = self._file()
        return file is not None and file.useless

    def write(self, data: bytes, offset: int) -> None:
        """Write into the lock file; nothing if there is none, or the disk is full."""
        file = self._file()
        if file is not None:
            with suppress(OSError):
                os.pwrite(file.descriptor, data, offset)

    def read(self, size: int, offset: int) -> bytes:
        """What is written there."""
        file = self._file()
        return b"" if file is None else os.pread(file.descriptor, size, offset)


class Users:
    """Those who have a store open for writing: each holds a byte of the lock file, and leaves its
    name in the file.

    Parameters
    ----------
    locks : of the store.
    """

    def __init__(self, locks: ByteLocks):
        self._locks = locks
        self._place: tuple[int, int] | None = None  # of which process

    def enter(self) -> None:
        """Count this object as a user, until :meth:`leave`; waits while the store is replaced."""
        self._locks.acquire(GUARD, wait=True)
        try:
            for place in range(USERS):
                if self._locks.acquire(GUARD + 1 + place):
                    self._locks.write(Owner.me().pack().ljust(NAME, b"\0"), place * NAME)
                    self._place = os.getpid(), place
                    return
        finally:
            self._locks.release(GUARD)

    def leave(self) -> None:
        """Count no more."""
        process, place = self._place or (0, 0)
        if process == os.getpid():  # and not a child of the user
            self._locks.write(bytes(NAME), place * NAME)
            self._locks.release(GUARD + 1 + place)
        self._place = None

    @contextmanager
    def nobody(self) -> Iterator[Owner | bool]:
        """Keep users out for a block, which is given one who is in already (True: of unknown name),
        or False.
        """
        self._locks.acquire(GUARD, wait=True)
        try:
            found: Owner | bool = False
            for place in range(USERS):
                owner = Owner.parse(self._locks.read(NAME, place * NAME))
                if not self._locks.acquire(GUARD + 1 + place):
                    found = owner or True
                    break
                self._locks.release(GUARD + 1 + place)
                if self._locks.useless and owner is not None and not owner.gone:
                    found = owner  # the name is all that there is
                    break
            yield found
        finally:
            self._locks.release(GUARD)
