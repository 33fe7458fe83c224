"""Where the bases of a FASTA file are: the index that samtools calls .fai, and .gzi for bgzip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Record(NamedTuple):
    """A sequence of a FASTA file.

    Attributes
    ----------
    length : in bp.
    offset : of its first base in the (uncompressed) file, in bytes.
    bases, width : of all its lines but the last: how many bases, and how many bytes with what ends
        the line.
    """

    length: int
    offset: int
    bases: int
    width: int

    def byte(self, position: int) -> int:
        """Where a base is in the (uncompressed) file."""
        line, column = divmod(position, self.bases)
        return self.offset + line * self.width + column


@dataclass(frozen=True)
class FastaIndex:
    """The sequences of a file, and the blocks of a bgzip file.

    Attributes
    ----------
    records : by name, in the file's order; sequences without a base are not among them.
    blocks : (n, 2) int64, of bgzip: where each block starts in the file, and in what it holds;
        None for plain text.
    notes : what is worth telling of the file, a line each.
    """

    records: dict[str, Record]
    blocks: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def fai(self) -> bytes:
        """The text of a .fai."""
        rows = ("\t".join(map(str, (name, *r))) + "\n" for name, r in self.records.items())
        return "".join(rows).encode()

    def gzi(self) -> bytes:
        """The bytes of a .gzi, which leaves out the first block; none for plain text."""
        if self.blocks is None:
            return b""
        rest = self.blocks[1:].astype("<u8")
        return len(rest).to_bytes(8, "little") + rest.tobytes()

    def files(self) -> dict[str, bytes]:
        """The files beside the FASTA, by ending."""
        return {".fai": self.fai()} | ({} if self.blocks is None else {".gzi": self.gzi()})


def parse_fai(text: bytes) -> dict[str, Record]:
    """The sequences of a .fai; those without a base are left out. ValueError if it is none."""
    records = {}
    for line in text.decode().splitlines():
        name, *numbers = line.split("\t")
        record = Record(*(int(number) for number in numbers[:4]))
        if record.length:
            records[name] = record
    return records


def parse_gzi(data: bytes) -> np.ndarray:
    """The blocks of a .gzi, (n, 2) int64 with the first one. ValueError if it is none."""
    count = int.from_bytes(data[:8], "little")
    if len(data) != 8 + 16 * count:
        raise ValueError(f"it has {len(data):,} bytes, {8 + 16 * count:,} are named")
    rest = np.frombuffer(data[8:], dtype="<u8").astype(np.int64).reshape(-1, 2)
    return np.concatenate([np.zeros((1, 2), np.int64), rest])


def difference(index: FastaIndex, ending: str, found: bytes) -> str:
    """How an index file differs from what its FASTA holds, as a text; "" if it does not.

    Parameters
    ----------
    index : made from the FASTA. ending : ".fai" or ".gzi". found : bytes of that file.
    """
    try:
        return (
            _fai_difference(index.records, parse_fai(found))
            if ending == ".fai"
            else _gzi_difference(index.blocks, parse_gzi(found))
        )
    except (ValueError, TypeError) as error:
        return f"it is damaged ({error})"


def _fai_difference(records: dict[str, Record], found: dict[str, Record]) -> str:
    for (name, record), other in zip(records.items(), found):
        if name != other:
            return f"it names {other!r} where the file has {name!r}"
        for what, mine, theirs in zip(Record._fields, record, found[name]):
            # programs differ in the line of a sequence that has one line only
            if mine != theirs and (what in ("length", "offset") or record.length > record.bases):
                return f"{what} of {name!r} is {theirs:,}, in the file {mine:,}"
    if len(records) != len(found):
        return f"it has {len(found):,} sequences, the file {len(records):,}"
    return ""


def _gzi_difference(blocks: np.ndarray | None, found: np.ndarray) -> str:
    assert blocks is not None
    at = np.minimum(np.searchsorted(blocks[:, 0], found[:, 0]), len(blocks) - 1)
    wrong = np.flatnonzero((blocks[at] != found).any(axis=1))
    if len(wrong):
        start, offset = found[wrong[0]]
        return f"it names a block at byte {start:,} for position {offset:,}, where there is none"
    return ""
