"""Indexes of FASTA files that were looked at once, kept in the user's cache folder.

A kept index is named by the file's path, size, times and inode, so that a file that has changed is
looked at anew, and carries a digest of itself. Files beside a FASTA (.fai, .gzi) are for other
programs: they are held against what the FASTA holds, and never believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from orca_cool.errors import GenomeError, OrcaCoolError
from orca_cool.files import atomic_write, cache_folders, check_format
from orca_cool.genome.fasta_index import FastaIndex, parse_fai, parse_gzi

FORMAT = "orca-cool-fasta-index"
VERSION = 1

#: Files that are smaller are looked at each time, in milliseconds.
SMALL = 1 << 20

#: How many indexes are kept in a folder; the oldest go.
MOST = 256


def kept(path: Path, stat: os.stat_result) -> FastaIndex | None:
    """The index of a file that is as it was; None if there is none, or a damaged one."""
    for folder in cache_folders("fasta") if stat.st_size >= SMALL else ():
        try:
            if folder.stat().st_uid == os.getuid():  # a folder for all users has anybody's files
                return _parse((folder / _key(path, stat)).read_bytes(), path)
        except (OSError, ValueError, TypeError, KeyError, OrcaCoolError):
            continue
    return None


def keep(path: Path, stat: os.stat_result, index: FastaIndex) -> None:
    """Keep an index where that is possible."""
    body = index.fai() + index.gzi()
    head = {
        "format": FORMAT,
        "version": VERSION,
        "fai": len(index.fai()),
        "bgzip": index.blocks is not None,
        "notes": list(index.notes),
    }
    head["sha256"] = _digest(head, body)
    for folder in cache_folders("fasta") if stat.st_size >= SMALL else ():
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid == os.getuid():
                atomic_write(folder / _key(path, stat), json.dumps(head).encode() + b"\n" + body)
                _tidy(folder)
                return


def _parse(data: bytes, path: Path) -> FastaIndex:
    line, _, body = data.partition(b"\n")
    head = json.loads(line)
    check_format(head, FORMAT, VERSION, path, GenomeError)
    if head.pop("sha256") != _digest(head, body):
        raise ValueError("damaged")
    records = parse_fai(body[: head["fai"]])
    blocks = parse_gzi(body[head["fai"] :]) if head["bgzip"] else None
    return FastaIndex(records, blocks, tuple(head["notes"]))


def _digest(head: dict[str, object], body: bytes) -> str:
    text = json.dumps(head, sort_keys=True).encode()
    return hashlib.sha256(text + b"\n" + body).hexdigest()


def _key(path: Path, stat: os.stat_result) -> str:
    plain = (path.resolve(), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return hashlib.sha256("\n".join(map(str, plain)).encode()).hexdigest()[:32]


def _tidy(folder: Path) -> None:
    """Remove the oldest, beyond :data:`MOST`."""
    files = sorted(folder.iterdir(), key=lambda f: f.stat().st_mtime)
    for file in files[:-MOST]:
        file.unlink(missing_ok=True)
