"""How files are written and recognised: outputs that appear whole or not at all, digests, and the
check of a file's format and version.

Every file and folder of the package is written under a temporary name beside its target
(``.<name>.<random>.partial``), flushed to the disk, and renamed. A process that is killed, or a
disk that is full, therefore leaves the target as it was.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orca_cool.errors import OrcaCoolError, OutputError

#: Ending of every temporary name.
PARTIAL = ".partial"


def cache_folders(kind: str) -> list[Path]:
    """Where this user's files of a kind that can be made again are kept, the first that can be
    written. Of a folder only what is the user's own is to be believed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [
        cache / "orca-cool" / kind,
        Path(tempfile.gettempdir()) / f"orca-cool-{kind}-{os.getuid()}",
    ]


def check_output(output: Path, force: bool, also: Sequence[Path] = ()) -> None:
    """OutputError if an output exists (and not ``force``), or its folder does not."""
    if not output.parent.is_dir():
        raise OutputError(f"the folder of the output {str(output)!r} does not exist")
    if output.is_dir():
        raise OutputError(f"the output {str(output)!r} is a folder")
    for path in (output, *also):
        if path.exists() and not force:
            raise OutputError(f"{path} exists; use --force to replace it")
    if not os.access(output.parent, os.W_OK):
        raise OutputError(f"the folder of the output {str(output)!r} is not writable")


def temporary_path(path: str | os.PathLike[str], *, unique: bool = True) -> Path:
    """The name under which ``path`` is written before it is renamed.

    Parameters
    ----------
    unique : another name at each call, so that any number of processes may write the same file at
        once. Without it the name is fixed: what a killed process left is overwritten by the next
        one, which matters for files of gigabytes.
    """
    path = Path(path)
    token = f".{secrets.token_hex(4)}" if unique else ""
    return path.with_name(f".{path.name}{token}{PARTIAL}")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file that appears whole or not at all: ``with atomic_path("a.tsv") as temporary``.

    The temporary file exists, empty, when the block begins; the block writes it by its name. When
    the block ends, the file is put in the place of ``path`` (:func:`replace_file`), with the mode
    that the umask gives a new file, even if the block's library made a private one. When the block
    raises, the temporary file is removed and ``path`` stays as it was.

    Raises
    ------
    OSError
        If the file cannot be made, flushed or renamed.

    Examples
    --------
    >>> with atomic_path("table.tsv") as temporary:
    ...     table.to_csv(temporary, sep="\\t")
    """
    temporary = temporary_path(path)
    try:
        mode = _make_empty(temporary)
        yield temporary
        temporary.chmod(mode)
        replace_file(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _make_empty(path: Path, mode: int = 0o666) -> int:
    """Make an empty file; the mode that the umask left of ``mode``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder, with those above it, unless it is there; its name is on the disk then."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        flush_folder(path.parent)


def atomic_write(path: str | os.PathLike[str], data: str | bytes | memoryview) -> None:
    """Write a whole file by :func:`atomic_path`; text as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def write_once(path: str | os.PathLike[str], data: str | bytes, mode: int = 0o666) -> None:
    """Write a whole file unless there is one: of several processes the first wins.

    Parameters
    ----------
    mode : of the file, before the umask.
    """
    path, temporary = Path(path), temporary_path(path)
    try:
        _make_empty(temporary, mode)
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        _flush(temporary)
        try:
            os.link(temporary, path)  # unlike a rename, fails if another process was faster
        except FileExistsError:
            return
        except OSError:  # a file system without links
            if not path.exists():
                os.replace(temporary, path)
        flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str], *, replace: bool = False) -> Iterator[Path]:
    """A folder that appears whole or not at all: ``with atomic_folder("model") as temporary``.

    The temporary folder exists, empty, when the block begins. When the block ends it is put in the
    place of ``path`` (:func:`replace_folder`). When the block raises, it is removed and ``path``
    stays as it was.

    Parameters
    ----------
    replace : put the new folder in the place of one that exists; otherwise that is an error.

    Raises
    ------
    OSError
        If the folder cannot be made, flushed or renamed; FileExistsError if it exists.
    """
    path, temporary = Path(path), temporary_path(path)
    try:
        temporary.mkdir()
        yield temporary
        if not replace and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "the folder exists", str(path))
        replace_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_file(new: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Put the file ``new`` in the place of ``path`` (same file system), safely on the disk.

    Without the flush before the rename, a machine that loses its power could keep the new name and
    not the data; without that of the folder it could lose the name.
    """
    _flush(new)
    os.replace(new, path)
    flush_folder(Path(path).parent)


def replace_folder(new: Path, folder: Path) -> None:
    """Put the folder ``new`` in the place of ``folder`` (same file system), which may exist.

    Folders and files in it get the modes that the umask gives new ones, even if a library made them
    private.
    """
    probe = new / PARTIAL
    mode = _make_empty(probe)
    probe.unlink()
    for root, _, names in os.walk(new):
        os.chmod(root, mode | (mode & 0o444) >> 2)
        for name in names:
            os.chmod(os.path.join(root, name), mode)
            _flush(os.path.join(root, name))
        flush_folder(root)
    if not folder.exists():
        os.replace(new, folder)
    else:
        # A folder that is not empty cannot be renamed over: step aside first, and come back if the
        # second rename fails.
        aside = temporary_path(folder)
        os.replace(folder, aside)
        try:
            os.replace(new, folder)
        except OSError:
            os.replace(aside, folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)
    flush_folder(folder.parent)


def _flush(path: str | os.PathLike[str], flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: str | os.PathLike[str]) -> None:
    """Flush the names in a folder, where the file system and the folder's mode allow it."""
    try:
        _flush(path, os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_format(
    found: object,
    formats: str | Sequence[str],
    version: int,
    path: str | os.PathLike[str],
    error: type[OrcaCoolError],
    *,
    key: str = "version",
) -> int:
    """Check the format and version that a file names, before anything else of it is read.

    Parameters
    ----------
    found : what was read; a mapping with "format" and ``key`` if all is well.
    formats : name of the format, or names (the first is today's, the others are former ones).
    version : the newest version that can be read; the first is 1.
    path : of the file, as messages are to show it.
    error : class of the error.
    key : name of the version's entry.

    Returns
    -------
    The version.

    Raises
    ------
    OrcaCoolError
        ``error``, if the format is another, the version no whole number, or newer than ``version``.
    """
    formats = [formats] if isinstance(formats, str) else list(formats)
    header: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    if header.get("format") not in formats:
        shown = header.get("format") if isinstance(found, Mapping) else type(found).__name__
        raise error(f"{path}: format is {shown!r}, expected {formats[0]!r}")
    number = header.get(key)
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise error(f"{path}: version is {number!r}, expected a whole number from 1 to {version}")
    if number > version:
        raise error(
            f"{path} is of format version {number}; this orca-cool reads up to version "
            f"{version}: update orca-cool"
        )
    return number
