"""The outermost layer of the command line: whatever ends a verb becomes one line and an exit code.

===== ==========================================================================================
code  meaning
===== ==========================================================================================
0     done
1     done, and the answer is no (`check`: not valid; `variants`: none could be scored)
2     not done: wrong input, an output that is there, no space, no memory, closed standard output
70    a defect of orca-cool (``EX_SOFTWARE`` of sysexits.h); the line says how to report it
129   the terminal was closed (SIGHUP)
130   Ctrl-C (SIGINT)
141   whoever read standard output has gone (`| head`), without a word, as for any Unix tool
143   SIGTERM
===== ==========================================================================================

``-vv``, or ``ORCA_COOL_DEBUG=1`` in the environment, also shows where an error came from.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import click

from orca_cool import __version__
from orca_cool.cli.signals import SIGNAL, Signals, is_debugging
from orca_cool.errors import OrcaCoolError, printable

NOT_DONE, DEFECT = 2, 70

#: Errors of the system that are no defect of the program.
SURROUNDINGS = {
    getattr(errno, name)
    for name in (
        "ENOSPC EDQUOT EFBIG EIO EROFS EACCES EPERM EMFILE ENFILE ENOMEM EAGAIN ENAMETOOLONG "
        "ESTALE ELOOP ENOLCK ETIMEDOUT EBADF"
    ).split()
    if hasattr(errno, name)
}
#: Those that more space cures.
NO_SPACE = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
#: How libraries say that there is no memory, beside MemoryError.
NO_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "memory allocation failed",
    "unable to allocate",
    "failed to map segment",
    "can't start new thread",
    "bad_alloc",
    "could not create a primitive",  # oneDNN
    "resource temporarily unavailable",
)


class Stopped(Exception):
    """A verb was stopped; its text says what became of the work."""


class Hidden(Exception):
    """Carries what click would otherwise translate by itself (closed pipes, Ctrl-C)."""

    def __init__(self, error: BaseException):
        super().__init__(str(error))
        self.error = error


@contextlib.contextmanager
def hidden_from_click() -> Iterator[None]:
    """Let closed pipes and Ctrl-C reach :func:`guarded` as they are."""
    try:
        yield
    except (OSError, KeyboardInterrupt) as error:
        raise Hidden(error) from error


def guarded(run: Callable[[], int | None], *, own_process: bool) -> int:
    """Run a verb, and turn whatever ends it into one line and an exit code.

    Parameters
    ----------
    run : returns the exit code, None for 0.
    own_process : nothing but ``run`` happens in this process: where memory has run out it may be
        ended at once.

    Returns
    -------
    The exit code.
    """
    if own_process:
        _open_standard_streams()
        _watch_standard_streams()
    with Signals() as signals:
        try:
            code = run() or 0
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
        except BaseException as error:
            code, memory = _told(error, signals.received)
            if signals.received:
                signals.end_children()
    if signals.received and own_process and not is_debugging():
        _to_nowhere(2)  # likewise what threads and destructors say
    if memory and own_process:
        # libraries that met the end of memory (HDF5) may crash when they clean up
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    return code


def _told(error: BaseException, received: int | None) -> tuple[int, bool]:
    """Say what has happened; the exit code, and whether memory has run out."""
    if isinstance(error, Hidden):
        error = error.error
    if isinstance(error, SystemExit) and not received:
        return (error.code if isinstance(error.code, int) else int(error.code is not None)), False
    if isinstance(error, StreamError) and not received:
        _abandon_streams()
        if error.errno == errno.EPIPE:
            return SIGNAL + signal.SIGPIPE, False
        _line(f"cannot write to standard output: {error.strerror}")
        return NOT_DONE, False
    if is_debugging() and not isinstance(error, click.ClickException | click.Abort):
        with contextlib.suppress(OSError, ValueError):
            traceback.print_exception(error)
    if received or isinstance(error, KeyboardInterrupt | Stopped):
        _line(str(error) if isinstance(error, Stopped) else "stopped; nothing was written", "")
        return SIGNAL + (received or signal.SIGINT), False
    if isinstance(error, click.ClickException):
        with contextlib.suppress(OSError):
            error.show()
        return error.exit_code, False
    if isinstance(error, click.Abort | EOFError):
        _line("aborted", "")
        return 1, False
    if isinstance(error, OrcaCoolError):
        _line(str(error))
        return NOT_DONE, False
    return _unforeseen(error)


def _unforeseen(error: BaseException) -> tuple[int, bool]:
    """The same for what no code of ours has turned into an error of its own."""
    if _is_memory(error):
        text = f" ({_first_line(error)})" if str(error) else ""
        _line(
            f"out of memory{_memory_limit()}{text}; give it more, or use fewer processes, levels "
            "or chromosomes at a time"
        )
        return NOT_DONE, True
    if isinstance(error, OSError) and error.errno in SURROUNDINGS:
        name = f"{str(error.filename)!r}: " if error.filename else ""
        space = "; free some space, and repeat the command" if error.errno in NO_SPACE else ""
        _line(f"{name}{error.strerror or _first_line(error)}{space}")
        return NOT_DONE, False
    _line(
        f"unexpected {type(error).__name__}: {_first_line(error)}. This is a defect of orca-cool "
        f"{__version__} (Python {platform.python_version()}, {platform.system()}): please report "
        "it to its developers with this line, the command, and what the command says with -vv"
    )
    return DEFECT, False


def _first_line(error: BaseException) -> str:
    """The error in at most 300 characters of one line."""
    text = " ".join(str(error).split()).rstrip(".") or "no message"
    return text if len(text) <= 300 else text[:300] + "..."


def _is_memory(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, is about memory."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        text = str(error).lower()
        if isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError | ImportError | OSError | ValueError)
            and any(words in text for words in NO_MEMORY)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def _memory_limit() -> str:
    """The limit of the process (``ulimit -v``), if it has one."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, OSError, ValueError):
        return ""
    return "" if limit == resource.RLIM_INFINITY else f" (ulimit -v is {limit / 1e9:.2f} GB)"


def _line(text: str, before: str = "Error: ") -> None:
    """One line on standard error, if that can still be written."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(before + printable(" ".join(text.split())), err=True)


# -- standard streams


def _open_standard_streams() -> None:
    """Give closed standard streams a descriptor: the next file that is opened would become one of
    them, and what libraries print would go into it.

    Standard output that is closed cannot be written, and that is told, as other tools do; standard
    error that is closed swallows what is written.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False, buffering=1)


class StreamError(OSError):
    """Standard output cannot be written, or nobody reads standard output or error any more."""


class _Stream(io.FileIO):
    """A standard stream whose errors can be told from those of files and of other pipes. What
    standard error cannot take (a full disk, closed) is lost: the work itself is more important.
    """

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if self.fileno() == 2 and error.errno != errno.EPIPE:
                return len(data)
            raise StreamError(error.errno, error.strerror) from error


def _watch_standard_streams() -> None:
    """Have what is printed go through :class:`_Stream`."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        now = getattr(sys, name)
        with contextlib.suppress(AttributeError, OSError, ValueError):
            now.flush()
            watched = io.TextIOWrapper(
                io.BufferedWriter(_Stream(number, "w", closefd=False)),
                encoding=now.encoding,
                errors=now.errors,
                line_buffering=now.line_buffering or now.write_through,
            )
            setattr(sys, name, watched)


def _abandon_streams() -> None:
    """Send what is still to be written to standard output and error nowhere, where it cannot be
    written.
    """
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                _to_nowhere(number)
                stream.flush()


def _to_nowhere(number: int) -> None:
    """Send what is still written to a descriptor nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
