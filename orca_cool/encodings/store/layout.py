"""The file of an encoding store: its layout, how it is made, and how damage to its structure is
recognised.

A plain HDF5 file behind an HDF5 "user block", a stretch at the beginning that HDF5 skips. The user
block repeats the attributes and holds the file offset of every table, so that this package finds
its way without HDF5::

    magic (8 bytes) | length of the header (8) | SHA-256 of length and header (32) | header (JSON) |
    zeros

The header names the SHA-256 of all bytes behind the user block that never change: everything that
is not checksums, sequence records or encodings. Those three carry checksums of their own
(:mod:`orca_cool.encodings.store`).
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
import struct
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from orca_cool.encodings.store.locks import ByteLocks
from orca_cool.errors import StoreError
from orca_cool.files import check_format, replace_file, temporary_path

FORMAT = "orca-cool-encodings"
VERSION = 1
MAGIC = b"ORCAENC\n"
#: Bytes of a sequence record: SHA-256 of a chromosome's codes, and 8 bytes that tell a damaged
#: record.
RECORD = 40
_HEAD = len(MAGIC) + 8 + 32


@dataclass(frozen=True)
class Header:
    """What a store is of, and where its tables lie.

    Attributes
    ----------
    about : the HDF5 attributes.
    chromsizes : {chromosome: (bp, blocks)}, in the order of the file.
    sequences, checksums, encodings : offsets in the file in bytes; the latter two by chromosome.
    size : bytes of the whole file.
    fixed : SHA-256 of the bytes behind the user block that never change.
    """

    about: dict[str, Any]
    chromsizes: dict[str, tuple[int, int]]
    sequences: int
    checksums: dict[str, int]
    encodings: dict[str, int]
    size: int
    userblock: int
    fixed: str

    def block_bytes(self) -> int:
        """Bytes of one block of one strand."""
        return (
            int(self.about["block"] // self.about["base_bin"] * self.about["width"])
            * np.dtype(self.about["dtype"]).itemsize
        )

    def changing(self) -> list[tuple[int, int]]:
        """(offset, bytes) of all that is written after the file was made, by offset."""
        parts = [(self.sequences, RECORD * len(self.chromsizes))]
        for chrom, (_, blocks) in self.chromsizes.items():
            parts += [
                (self.checksums[chrom], 16 * blocks),
                (self.encodings[chrom], 2 * blocks * self.block_bytes()),
            ]
        return sorted(parts)

    def hash_fixed(self, fd: int) -> str:
        """SHA-256 of what never changes, as it is in the file now."""
        sha = hashlib.sha256()
        start = self.userblock
        for offset, size in [*self.changing(), (self.size, 0)]:
            while start < offset:
                piece = os.pread(fd, min(offset - start, 1 << 24), start)
                if not piece:  # truncated
                    break
                sha.update(piece)
                start += len(piece)
            start = offset + size
        return sha.hexdigest()

    def pack(self) -> bytes:
        """The header as it stands in the user block."""
        text = json.dumps(asdict(self)).encode()
        length = struct.pack("<Q", len(text))
        return MAGIC + length + hashlib.sha256(length + text).digest() + text


def read_header(fd: int, path: Path) -> Header:
    """Read and verify the header and the structure of an open file.

    Raises
    ------
    StoreError
        If it is no store, of a newer format, or damaged where it cannot be mended.
    """
    remedy = "delete it, or let `orca-cool encode --force` make it anew"
    head = os.pread(fd, _HEAD, 0)
    if head[: len(MAGIC)] != MAGIC:
        raise StoreError(
            f"{path} is not a store of encodings, or its beginning is damaged: give another "
            f"file, or {remedy}"
        )
    length = head[len(MAGIC) : len(MAGIC) + 8]
    size = struct.unpack("<Q", length)[0] if len(length) == 8 else 0
    text = os.pread(fd, size, _HEAD) if size <= os.fstat(fd).st_size else b""
    if hashlib.sha256(length + text).digest() != head[len(MAGIC) + 8 :]:
        raise StoreError(f"{path} is damaged: the checksum of its header does not fit; {remedy}")
    plain = json.loads(text)
    check_format(plain["about"], FORMAT, VERSION, path, StoreError)
    header = Header(
        **{**plain, "chromsizes": {c: (n, b) for c, (n, b) in plain["chromsizes"].items()}}
    )
    if header.hash_fixed(fd) != header.fixed:
        raise StoreError(f"{path} is damaged: the checksum of its structure does not fit; {remedy}")
    return header


def is_store(path: Path) -> bool:
    """True of a store, also one whose first bytes are damaged as long as it is HDF5: a file that
    may be replaced when asked to.
    """
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC or h5py.is_hdf5(path)
    except OSError:
        return False


def make(path: Path, about: Mapping[str, Any], chromsizes: Mapping[str, tuple[int, int]]) -> None:
    """Make an empty store; if another process is faster, its store stays.

    Parameters
    ----------
    about : attributes; "dtype", "block", "base_bin" and "width" give the shapes.
    chromsizes : {chromosome: (bp, blocks)}.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    temporary = temporary_path(path)
    try:
        for old in path.parent.glob(
            f".{glob.escape(path.name)}.*.partial"
        ):  # of a process that was killed just here
            with contextlib.suppress(FileNotFoundError):  # another clears it away too
                if time.time() - old.stat().st_mtime > 3600:
                    old.unlink()
        header = _skeleton(temporary, about, chromsizes)
        fd = os.open(temporary, os.O_RDWR)
        try:
            for offset, size in header.changing():
                if (
                    offset not in header.encodings.values()
                ):  # those may stay holes: no checksum, no block
                    write_at(fd, bytes(size), offset)
            header = Header(**{**vars(header), "fixed": header.hash_fixed(fd)})
            write_at(fd, header.pack(), 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        _publish(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> None:
    """Give a file its name unless the name is taken: a rename would put an empty store in place of
    one that others fill.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in (
            errno.EPERM,
            errno.ENOTSUP,
            errno.EOPNOTSUPP,
            errno.ENOSYS,
            errno.EMLINK,
        ):
            raise
        # a file system without hard links (exFAT, some network mounts)
        lock = ByteLocks(lock_path(path))
        lock.acquire(0, wait=True)
        try:
            if not path.exists():
                replace_file(temporary, path)
        finally:
            lock.release(0)


def _skeleton(
    path: Path, about: Mapping[str, Any], chromsizes: Mapping[str, tuple[int, int]]
) -> Header:
    """Write the HDF5 structure, all space assigned, nothing of the encodings written: on most file
    systems a file of holes.
    """
    far = 1 << 62  # as long as any offset when written out
    zeros = dict.fromkeys(chromsizes, far)
    longest = Header(dict(about), dict(chromsizes), far, zeros, zeros, far, far, "0" * 64).pack()
    userblock = max(512, 1 << (len(longest) - 1).bit_length())
    bins, width, dtype = (
        about["block"] // about["base_bin"],
        about["width"],
        np.dtype(about["dtype"]),
    )
    early = _allocated_early()

    def table(group: h5py.Group, name: str, shape: tuple[int, ...], kind: np.dtype) -> int:
        return int(
            h5py.h5d.create(
                group.id,
                name.encode(),
                h5py.h5t.py_create(kind),
                h5py.h5s.create_simple(shape),
                dcpl=early,
            ).get_offset()
        )

    # one piece for all metadata, before the data: a file cut short then loses encodings only
    pieces: dict[str, Any] = {
        "userblock_size": userblock,
        "meta_block_size": (1 << 14) + 2048 * len(chromsizes),
        "libver": ("earliest", "v110"),
    }
    data_bytes = sum(
        2 * blocks * (8 + bins * width * dtype.itemsize) + RECORD
        for _, blocks in chromsizes.values()
    )
    _require_room(path, userblock + pieces["meta_block_size"], data_bytes)
    with h5py.File(path, "w", **pieces) as file:
        file.attrs.update(about)
        file["chromsizes/name"] = np.array([c.encode() for c in chromsizes])
        file["chromsizes/length"] = np.array([n for n, _ in chromsizes.values()], dtype=np.int64)
        sequences = table(file, "sequences", (len(chromsizes), RECORD), np.dtype("u1"))
        sums, data = file.create_group("checksums"), file.create_group("encodings")
        checksums = {
            c: table(sums, _link(c), (2, blocks), np.dtype("<u8"))
            for c, (_, blocks) in chromsizes.items()
        }
        encodings = {
            c: table(data, _link(c), (2, blocks * bins, width), dtype.newbyteorder("<"))
            for c, (_, blocks) in chromsizes.items()
        }
    header = Header(
        dict(about), dict(chromsizes), sequences, checksums, encodings, 0, userblock, ""
    )
    size = max(path.stat().st_size, *(offset + size for offset, size in header.changing()))
    os.truncate(path, size)
    return Header(**{**vars(header), "size": size})


def _allocated_early() -> h5py.h5p.PropDCID:
    """Data sets in one piece, whose space is assigned when they are made, and not filled."""
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_layout(h5py.h5d.CONTIGUOUS)
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return early


def _require_room(path: Path, metadata: int, data: int) -> None:
    """OSError if the disk does not take a file of so many bytes of metadata, and holes for the
    data: HDF5 may crash the process when it meets that itself.
    """
    with open(path, "wb") as file:
        file.write(bytes(metadata))
        file.truncate(metadata + data)


def _link(chrom: str) -> str:
    """A chromosome's name as the name of an HDF5 link, which cannot hold "/" nor be "."."""
    name = chrom.replace("%", "%25").replace("/", "%2F")
    return "%2E" if name == "." else name


def lock_path(path: Path) -> Path:
    """The lock file of a store."""
    return path.with_name(path.name + ".lock")


def write_at(fd: int, data: bytes, offset: int) -> None:
    """All of ``data`` at ``offset``: a single call may write less when the disk is nearly full."""
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        view, offset = view[done:], offset + done


def free_bytes(path: Path) -> int:
    """Free bytes on the disk of a file."""
    return shutil.disk_usage(path.parent).free


def cannot_write(path: Path, error: OSError) -> StoreError:
    """The error for a write that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(path)
    return StoreError(f"cannot write {path}: {error.strerror or error}")


def no_space(path: Path, needed: int | None = None) -> StoreError:
    """The error for a disk without room for ``needed`` bytes (None: not known how many)."""
    want = "" if needed is None else f", {needed / 1e6:,.1f} MB are needed"
    try:
        free = f"{free_bytes(path) / 1e6:,.1f} MB free"
    except OSError:
        free = "free space unknown"
    return StoreError(
        f"no space left on the disk of {path} ({free}{want}); what is stored stays good: free "
        f"some space and repeat the command to go on"
    )
