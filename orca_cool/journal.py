"""A file of lines that is only added to: what an unfinished run has done.

Every line is JSON behind a checksum of it, and is on the disk when :meth:`Journal.add` returns. The
first one says what the file is of. A line that is not as it was written (torn, zeros after a power
cut, a damaged bit) does not count.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca_cool.errors import OutputError
from orca_cool.files import atomic_write, check_format, write_once


def checksum(data: bytes | memoryview) -> str:
    """Of a line, or of a piece that a line names: 128 bits of SHA-256, in hexadecimal. Processors
    have instructions for it, which makes it three times as fast as BLAKE2b.
    """
    return hashlib.sha256(data).hexdigest()[:32]


@dataclass(frozen=True)
class Found:
    """What a journal holds.

    Attributes
    ----------
    settings : of the run; None if the first line is damaged.
    entries : of the lines that are sound, in their order.
    damaged : number of lines that are not.
    """

    settings: dict[str, Any] | None
    entries: list[dict[str, Any]]
    damaged: int


class Journal:
    """The journal of a run.

    Parameters
    ----------
    path : of the file.
    kind, version : of the format that the first line names.
    settings : of the run, plain values.
    """

    def __init__(self, path: Path, kind: str, version: int, settings: Mapping[str, Any]):
        self.path, self.kind, self.version, self.settings = path, kind, version, dict(settings)

    def read(self) -> Found | None:
        """What is there; None if there is no file.

        Raises
        ------
        OutputError
            If it cannot be read, or is of another format or a newer version.
        """
        try:
            *lines, torn = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be read: {error.strerror or error}; use --force to start anew"
            ) from error
        header, *entries = [_parse(line) for line in lines] or [None]
        sound = [entry for entry in entries if entry is not None]
        # without its end a line does not count: the next one would be added to it
        damaged = len(entries) - len(sound) + (header is None or bool(torn))
        if header is None:
            return Found(None, sound, damaged)
        check_format(header, self.kind, self.version, self.path, OutputError)
        settings = header.get("settings")
        return Found(settings if isinstance(settings, dict) else None, sound, damaged)

    def begin(self) -> None:
        """Make the file, with its first line alone, unless there is one."""
        if not self.path.exists():
            write_once(self.path, _line(self._header()))

    def rewrite(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Put a file with these entries in the place of the one that is there."""
        atomic_write(self.path, b"".join(map(_line, [self._header(), *entries])))

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add a line.

        Raises
        ------
        OSError
        """
        with open(self.path, "ab") as stream:
            stream.write(_line(entry))
            stream.flush()
            os.fsync(stream.fileno())

    def _header(self) -> dict[str, Any]:
        return {"format": self.kind, "version": self.version, "settings": self.settings}


def settings_in(path: Path) -> dict[str, Any]:
    """Settings of the run whose journal lies there, of whatever format; empty if there is none, or
    its first line is damaged.
    """
    try:
        with open(path, "rb") as stream:
            header = _parse(stream.readline().removesuffix(b"\n"))
    except OSError:
        return {}
    settings = (header or {}).get("settings")
    return settings if isinstance(settings, dict) else {}


def _line(entry: Mapping[str, Any]) -> bytes:
    text = json.dumps(entry).encode()
    return checksum(text).encode() + b" " + text + b"\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line's entry; None if it is damaged."""
    digest, _, text = line.partition(b" ")
    if digest != checksum(text).encode():
        return None
    entry = json.loads(text)
    return entry if isinstance(entry, dict) else None
