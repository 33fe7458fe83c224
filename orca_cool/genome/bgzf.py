"""Blocks of bgzip files (SAM specification, section 4.1): each is a gzip member of its own, with a
checksum, that says how long it is.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from orca_cool.errors import GenomeError

#: Bytes of a block before its compressed data.
HEADER = 18


def is_bgzip(head: bytes) -> bool:
    """Whether a file that begins with these bytes is bgzip: gzip with the extra field "BC"."""
    return (
        len(head) >= HEADER
        and head[:3] == b"\x1f\x8b\x08"
        and bool(head[3] & 4)
        and head[12:16] == b"BC\x02\x00"
    )


def unpack(block: bytes) -> bytes:
    """What a block holds, checked by its own CRC and length; ValueError if it is damaged."""
    try:
        return gzip.decompress(block)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise ValueError(str(error)) from error


def read_blocks(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """All blocks of a file from its beginning, in turn.

    Yields
    ------
    Where the block starts in the file, in bytes, and what it holds.

    Raises
    ------
    GenomeError
        If a block is damaged, or the file does not end with the empty block that bgzip writes last
        (a copy that was cut between two blocks looks sound otherwise).
    """
    start, data = 0, b""
    while head := file.read(HEADER):
        size = struct.unpack("<H", head[16:18])[0] + 1 if is_bgzip(head) else 0
        block = head + file.read(max(size - HEADER, 0))
        try:
            if size <= HEADER or len(block) < size:
                raise ValueError("it is no whole block of bgzip")
            data = unpack(block)
        except ValueError as error:
            raise GenomeError(
                f"genome file {str(path)!r} is damaged or truncated: the bgzip block at byte "
                f"{start:,} cannot be read ({error}); copy it again"
            ) from error
        yield start, data
        start += size
    if data:
        raise GenomeError(
            f"genome file {str(path)!r} is truncated: it lacks the empty block with which bgzip "
            f"ends a file; copy it again, or recompress it with bgzip"
        )
