"""Sequence from FASTA files, as edits name it: ``@FILE`` or ``@FILE:RECORD``."""

from __future__ import annotations

import gzip
import os.path
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from orca_cool.errors import EditError
from orca_cool.genome.segments import Segment


def read_record(text: str, files: bool | Path) -> Segment:
    """The record that ``FILE`` or ``FILE:RECORD`` names; without a name, the file's only one.

    Parameters
    ----------
    files : True: any file, from the working folder; False: none; a folder: files that lie in it
        (links followed), from there.

    Raises
    ------
    EditError
        If the file is not allowed, missing, damaged or not FASTA, has no such record, has it twice,
        or has several and none is named; if the record holds anything but A, C, G, T and N.
    """
    path, record = _find(text, files)
    names: list[str] = []
    found: list[str] = []
    try:
        for name, letters in _records(path):
            names.append(name)
            if record in ("", name) and len(found) < 2:
                found.append(letters)
    except (OSError, EOFError, zlib.error) as error:
        raise EditError(f"'@{text}': the file cannot be read: {error}") from error
    listed = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    if not names:
        raise EditError(f"'@{text}': the file is not FASTA: no line begins with '>'")
    if not found:
        raise EditError(f"'@{text}': there is no record {record!r}; the file has {listed}")
    if len(found) > 1 and record:
        raise EditError(f"'@{text}': the file has several records {record!r}; rename one")
    if len(found) > 1:
        raise EditError(
            f"'@{text}': the file has several records; write @FILE:RECORD with one of {listed}"
        )
    try:
        return Segment.letters(found[0])
    except EditError as error:
        raise EditError(f"'@{text}': {error}") from None


def _find(text: str, files: bool | Path) -> tuple[str, str]:
    """Path and name of the record. Names of files and of records may hold colons: the file's is the
    longest that there is.
    """
    if files is False:
        raise EditError(
            f"'@{text}': files of sequence are not allowed here; write the sequence itself"
        )
    for colon in [len(text), *(m.start() for m in reversed(list(re.finditer(":", text))))]:
        path = _allowed(text, text[:colon], files)
        if os.path.isfile(path):
            return path, text[colon + 1 :]
    raise EditError(f"'@{text}': there is no such file")


def _allowed(text: str, name: str, files: bool | Path) -> str:
    """The path of a file; whether it exists is looked up only once it is known to lie in the
    folder.
    """
    if "\0" in name:
        raise EditError(f"'@{text}': a file's name cannot hold a null character")
    if files is True:
        return name
    folder = os.path.realpath(str(files))
    path = os.path.realpath(os.path.join(folder, name))
    if os.path.commonpath([folder, path]) != folder:
        raise EditError(f"'@{text}' lies outside the folder that files of sequence may come from")
    return path


def _records(path: str) -> Iterator[tuple[str, str]]:
    """(first word of the header, letters) of every record of a FASTA file, plain or gzip."""
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    with open(path, "rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    with (
        gzip.open(path, "rt", encoding="latin-1")
        if gzipped
        else open(path, encoding="latin-1") as text
    ):
        for title, letters in SimpleFastaParser(text):
            yield (title.split() or [""])[0], letters
