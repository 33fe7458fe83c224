"""One process at a time on each output: locks that tell who holds them.

The lock of an output ``out.mcool`` is the file ``.out.mcool.lock`` beside it, which is removed when
its holder is done. POSIX record locks (``fcntl``) hold it: the kernel takes them back when a
process dies, they work on NFS too, whatever HDF5 does about locks, and a forked child does not
inherit them. The file says who holds it. On a file system without such locks what the file says is
the lock: it is taken over where the process that it names is of this machine, and is gone.

POSIX locks do not exclude threads of one process from each other, and closing any descriptor of a
file drops all of the process's locks on it: hence the table of what this process holds, in which a
thread may hold a lock several times.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from orca_cool.errors import OrcaCoolError, OutputError

#: What ``fcntl`` says on a file system without locks.
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)

#: What making a file says where a folder cannot be written, whatever its permissions are.
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT)

#: Seconds for which a new holder on a file system without locks waits before it looks whether
#: another was faster.
_SETTLE = 0.3

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Attributes
    ----------
    host, process : name of the machine, and number of the process there.
    since : when it took the lock, local time. started : when the process began, as the system
        tells it ("" where it does not): numbers of processes are used again.
    token : tells two holds of one process apart.
    """

    host: str
    process: int
    since: str
    started: str
    token: str

    @classmethod
    def me(cls) -> Owner:
        """This process, now."""
        now = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
        process = os.getpid()
        return cls(socket.gethostname(), process, now, _started(process), secrets.token_hex(4))

    @classmethod
    def parse(cls, text: bytes) -> Owner | None:
        """What :meth:`pack` wrote; None if that is not there, or not whole."""
        try:
            owner = cls(**json.loads(text.rstrip(b"\0")))
        except (ValueError, TypeError, RecursionError):
            return None
        fields = (owner.host, owner.since, owner.started, owner.token)
        whole = isinstance(owner.process, int) and owner.process > 0
        return owner if whole and all(isinstance(value, str) for value in fields) else None

    def pack(self) -> bytes:
        """As a line of a lock file."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @property
    def gone(self) -> bool:
        """True if the process was one of this machine, and has ended."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except OSError:  # of another user
            pass
        return self.started != _started(self.process)

    def __str__(self) -> str:
        host = "".join(c for c in self.host if c.isprintable())[:64]
        since = "".join(c for c in self.since if c.isprintable())[:32]
        return f"process {self.process} on {host} (since {since})"


def _started(process: int) -> str:
    """When a process began, in ticks since the machine did; "" where the system does not say."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


@dataclass
class _Held:
    owner: Owner
    thread: int
    descriptor: int
    times: int = 1
    process: int = field(default_factory=os.getpid)


_TABLE = threading.Lock()
_HELD: dict[str, _Held] = {}


class _Busy(Exception):
    """Another holds the lock. ``remove``: the file to remove if that process is gone."""

    def __init__(self, owner: Owner | None, remove: Path | None = None):
        self.owner, self.remove = owner, remove


def lock_file(output: Path, inside: bool = False) -> Path:
    """The lock file of an output, a file or a folder: beside it, or in the folder."""
    output = Path(os.path.abspath(output))
    if inside:
        return Path(os.path.realpath(output)) / ".lock"
    return Path(os.path.realpath(output.parent)) / f".{output.name}.lock"


@contextlib.contextmanager
def locked_outputs(*outputs: str | os.PathLike[str], inside: bool = False) -> Iterator[None]:
    """Hold the locks of some outputs, files or folders, for a ``with`` block.

    A thread that holds a lock may take it again. Where the folder of an output does not exist or
    cannot be written there is nothing to hold: whoever writes there says so.

    Parameters
    ----------
    inside : the outputs are folders that exist, and grow in place; what is beside them need not be
        writable.

    Raises
    ------
    OutputError
        If another process or thread holds one of them; the message says who.

    Examples
    --------
    >>> with locked_outputs("table.tsv"):
    ...     write_table("table.tsv")
    """
    paths = {lock_file(Path(output), inside): Path(output) for output in outputs}
    taken: list[Path] = []
    try:
        for lock in sorted(paths):
            if not os.access(lock.parent, os.W_OK):
                continue
            try:
                _take(lock)
            except _Busy as busy:
                raise in_use(paths[lock], busy.owner, busy.remove) from None
            except OSError as error:
                why = f"cannot be written: {error.strerror or error}"
                if error.errno in UNWRITABLE:
                    why = f"the folder {str(lock.parent)!r} {why}; needed for {paths[lock].name!r}"
                else:
                    why = f"the lock file {lock} {why}"
                raise OutputError(why) from error
            taken.append(lock)
        yield
    finally:
        for lock in reversed(taken):
            _release(lock)


def holding(
    outputs: Callable[[Any], Iterable[str | os.PathLike[str]]],
) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Decorator of a method that works on outputs: it holds their locks (:func:`locked_outputs`).

    Parameters
    ----------
    outputs : called with the method's object.
    """

    def decorate(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        @functools.wraps(method)
        def held(self: S, /, *arguments: P.args, **options: P.kwargs) -> R:
            with locked_outputs(*outputs(self)):
                return method(self, *arguments, **options)

        return held

    return decorate


def in_use(
    path: Path,
    owner: Owner | None,
    remove: Path | None = None,
    error: type[OrcaCoolError] = OutputError,
) -> OrcaCoolError:
    """The error for an output on which another works. ``remove`` : its lock file, where only the
    user can know that the other is gone.
    """
    who = "another process" if owner is None else str(owner)
    gone = "" if remove is None else f"; if that process is gone, remove {remove}"
    return error(
        f"{path} is in use: {who} is at work there; wait until it has ended, or choose another "
        f"output{gone}"
    )


def _take(lock: Path) -> None:
    """Hold a lock, or hold it once more; _Busy if another thread or process does."""
    with _TABLE:
        held = _HELD.get(str(lock))
        if held is not None and held.process == os.getpid():
            if held.thread != threading.get_ident():
                raise _Busy(held.owner)
            held.times += 1
            return
        owner = Owner.me()
        descriptor = _lock(lock, owner)
        _HELD[str(lock)] = _Held(owner, threading.get_ident(), descriptor)


def _release(lock: Path) -> None:
    """Give up one hold; with the last one the file goes."""
    with _TABLE:
        held = _HELD.get(str(lock))
        if held is None or held.process != os.getpid():  # a child of the holder
            return
        held.times -= 1
        if held.times:
            return
        del _HELD[str(lock)]
        with contextlib.suppress(OSError):
            if held.descriptor >= 0 or Owner.parse(lock.read_bytes()) == held.owner:
                lock.unlink()  # before it is unlocked: whoever opened it meanwhile looks again
        if held.descriptor >= 0:
            os.close(held.descriptor)


def _lock(lock: Path, owner: Owner) -> int:
    """Lock the file, and write who does; its descriptor, -1 on a file system without locks."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_file(lock, descriptor):
                with contextlib.suppress(OSError):  # a full disk: held, though nobody is told
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, owner.pack(), 0)
                return descriptor
        except OSError as error:
            busy = error.errno in (errno.EACCES, errno.EAGAIN)
            found = _read(descriptor) if busy else None
            os.close(descriptor)
            if busy:
                raise _Busy(found) from None
            if error.errno not in NO_LOCKS:
                raise
            return _lock_by_name(lock, owner)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the one before has just removed it


def _lock_by_name(lock: Path, owner: Owner) -> int:
    """The lock where the kernel has none: the file that names the holder."""
    found = Owner.parse(lock.read_bytes())
    if found is not None and not found.gone:
        raise _Busy(found, None if found.host == owner.host else lock)
    mine = lock.with_name(f"{lock.name}.{owner.token}")
    mine.write_bytes(owner.pack())
    os.replace(mine, lock)
    time.sleep(_SETTLE)  # another may have found the same
    if (now := Owner.parse(lock.read_bytes())) != owner:
        raise _Busy(now)
    return -1


def _is_file(path: Path, descriptor: int) -> bool:
    """True if a name is that of an open file."""
    try:
        named = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))


def _read(descriptor: int) -> Owner | None:
    """Who a lock file names; whoever has just locked it may not have written that yet."""
    for _ in range(20):
        if (owner := Owner.parse(os.pread(descriptor, 4096, 0))) is not None:
            return owner
        time.sleep(0.01)
    return None
