"""One pass over a FASTA file: every line is looked at, and the index is made.

Positions are computed from the index, so a file whose lines are not regular, or an index that is
not of the file, would give other bases without a word. Whatever is odd is therefore found here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from orca_cool.errors import GenomeError
from orca_cool.genome.bgzf import read_blocks
from orca_cool.genome.fasta_index import FastaIndex, Record
from orca_cool.genome.file_source import few

#: Bytes that are looked at together.
CHUNK = 1 << 22

#: Longest header line in bytes.
LONGEST_HEADER = 1 << 20

#: Share of letters that are no code of a base (IUPAC) from which on a sequence is none of DNA.
FOREIGN = 0.02

_SPACE = b" \t\n\r\x0b\x0c"
_IS_SPACE = np.isin(np.arange(256), np.frombuffer(_SPACE, np.uint8))
_USUAL = b"ACGTNacgtn" + _SPACE
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_IS_FOREIGN = np.isin(np.arange(256), np.frombuffer(b"EFIJLOPQZefijlopqz", np.uint8))
_IS_WRONG = ~np.isin(np.arange(256), np.frombuffer(_LETTERS + b"-*.?~", np.uint8))


def survey(path: Path, file: BinaryIO, bgzip: bool) -> FastaIndex:
    """The index of a FASTA file, from a look at every line of it.

    As samtools reads them: white space at ends of lines is ignored, and so are empty lines after a
    sequence. Sequences without a base are left out, with a note.

    Parameters
    ----------
    path : for messages. file : at its beginning. bgzip : it is compressed.

    Raises
    ------
    GenomeError
        If it is damaged or truncated, is not FASTA, has irregular lines, holds a name twice, or
        letters of proteins; the message names the line.
    """
    lines = _Lines(path)
    blocks: list[tuple[int, int]] = []
    for data in _unpacked(file, path, blocks) if bgzip else iter(lambda: file.read(CHUNK), b""):
        lines.take(data)
    return FastaIndex(
        lines.finished(), np.array(blocks, np.int64) if bgzip else None, lines.notes()
    )


def _unpacked(file: BinaryIO, path: Path, blocks: list[tuple[int, int]]) -> Iterator[bytes]:
    """What a bgzip file holds, in chunks; ``blocks`` gets where each block starts, in the file and
    in what it holds.
    """
    offset, parts, size = 0, [], 0
    for start, data in read_blocks(file, path):
        blocks.append((start, offset))
        offset += len(data)
        parts.append(data)
        size += len(data)
        if size >= CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    blocks.pop()  # the empty one at the end
    yield b"".join(parts)


class _Lines:
    """Lines of a file, as its chunks come; a line may go over any number of them."""

    def __init__(self, path: Path):
        self.path = path
        self._at = 0  # bytes taken
        self._line = 1  # the number of the line that comes next
        self._begun = False  # a part of that line was seen, and the following is of it
        self._head: bytes | None = None
        self._bases = self._spaces = 0
        self._sequences = _Sequences(path)

    def take(self, data: bytes) -> None:
        """The next chunk."""
        array = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(array == 10)
        if not len(ends):
            self._part(data)
        else:
            self._part(data[: ends[0]])
            self._end(self._at + int(ends[0]) + 1)
            self._whole(data, array, ends[:-1] + 1, ends[1:])
            self._part(data[ends[-1] + 1 :])
        self._at += len(data)

    def finished(self) -> dict[str, Record]:
        """All sequences, after the last chunk."""
        if self._begun:
            self._end(self._at + 1)
        return self._sequences.finished()

    def notes(self) -> tuple[str, ...]:
        """What is worth telling."""
        return self._sequences.notes()

    def _part(self, part: bytes) -> None:
        """A part of a line, without its end."""
        if not part:
            return
        if not self._begun:
            self._begun = True
            self._head = b"" if part[:1] == b">" else None
        if self._head is not None:
            self._head += part
            if len(self._head) > LONGEST_HEADER:
                raise self._error("is a header of over a million bytes")
            return
        text = part.rstrip(_SPACE)
        if text:
            if self._spaces or _count_spaces(text):
                raise self._inner_space(b" " * self._spaces + text)
            self._check_bytes(text)
            self._bases += len(text)
        self._spaces += len(part) - len(text)

    def _end(self, end: int) -> None:
        """The end of the line of which parts were seen; ``end``: where the next one starts."""
        if self._head is not None:
            self._header(self._head, end)
        else:
            width = self._bases + self._spaces + 1
            self._rows(np.array([self._bases]), np.array([width]))
        self._begun, self._head, self._bases, self._spaces = False, None, 0, 0

    def _whole(self, data: bytes, array: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """Lines that lie in one chunk."""
        heads = np.flatnonzero(array[starts] == ord(">"))
        for head, after in pairwise([-1, *heads.tolist(), len(starts)]):
            if head >= 0:
                self._header(data[starts[head] : ends[head]], self._at + int(ends[head]) + 1)
            if head + 1 < after:
                self._run(data, array, starts[head + 1 : after], ends[head + 1 : after])

    def _run(self, data: bytes, array: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """Lines of sequence, one after the other."""
        bases = ends - starts
        for _ in range(4):
            spaces = (bases > 0) & _IS_SPACE[array[starts + bases - 1]]
            if not spaces.any():
                break
            bases = bases - spaces
        else:
            for k in np.flatnonzero(spaces):
                bases[k] = len(data[starts[k] : ends[k]].rstrip(_SPACE))
        piece = data[starts[0] : ends[-1]]
        if _count_spaces(piece) != int((ends - starts - bases).sum()) + len(starts) - 1:
            for a, n in zip(starts, bases):
                if _count_spaces(data[a : a + n]):
                    raise self._inner_space(data[a : a + n])
                self._line += 1
        self._check_bytes(piece)
        self._rows(bases, ends - starts + 1)

    def _header(self, head: bytes, end: int) -> None:
        text = head.rstrip(_SPACE)
        if b"\r" in text:
            raise self._inner_space(text)
        words = text[1:].split(None, 1)
        if not words:
            raise self._error("is a header without a name")
        try:
            name = words[0].decode()
        except UnicodeDecodeError as error:
            raise self._error(
                f"has the name {words[0]!r}, which is not UTF-8; rename it"
            ) from error
        if not self._sequences.begin(name, end):
            raise GenomeError(
                f"genome file {str(self.path)!r} holds the sequence name {name!r} twice; rename one"
            )
        self._line += 1

    def _rows(self, bases: np.ndarray, widths: np.ndarray) -> None:
        if not self._sequences.named and bases.any():
            raise GenomeError(
                f"genome file {str(self.path)!r} is not FASTA: line {self._line:,} is neither "
                f"empty nor a header with '>'"
            )
        if problem := self._sequences.lines(bases, widths):
            raise GenomeError(
                f"genome file {str(self.path)!r} is not regular FASTA: {problem} at or after line "
                f"{self._line:,}; all lines of a sequence but its last must be equally long (write "
                f"them anew, for example with seqkit seq -w 60)"
            )
        self._line += len(bases)

    def _check_bytes(self, piece: bytes) -> None:
        """Look at the bytes of a piece that are not the usual letters."""
        rest = piece.translate(None, _USUAL)
        if not rest:
            return
        counts = np.bincount(np.frombuffer(rest, np.uint8), minlength=256)
        wrong = np.flatnonzero(counts * _IS_WRONG)
        if len(wrong) and self._sequences.named:
            shown = ", ".join(repr(bytes([int(b)])) for b in wrong[:3])
            raise GenomeError(
                f"genome file {str(self.path)!r} holds {shown} at or after line {self._line:,}, "
                f"which is no letter of a sequence; it is damaged, or not FASTA"
            )
        self._sequences.foreign += counts * _IS_FOREIGN

    def _inner_space(self, text: bytes) -> GenomeError:
        if b"\r" in text:
            return GenomeError(
                f"genome file {str(self.path)!r} has line ends of classic Mac (CR alone) in line "
                f"{self._line:,}; convert it: tr '\\r' '\\n'"
            )
        return self._error("has white space between bases; take it out")

    def _error(self, problem: str) -> GenomeError:
        return GenomeError(f"genome file {str(self.path)!r}: line {self._line:,} {problem}")


class _Sequences:
    """The sequences of a file, as their lines come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Record] = {}
        self.empty: list[str] = []
        self.odd: list[str] = []
        self.named = False
        self._names: set[str] = set()
        self.foreign = np.zeros(256, np.int64)
        self._begin("", 0)

    def _begin(self, name: str, offset: int) -> None:
        self._name, self._offset = name, offset
        self._length = self._bases = self._width = 0
        self._ended = self._blank = False
        self.foreign[:] = 0

    def begin(self, name: str, offset: int) -> bool:
        """A header was read; False if its name was there before."""
        self._close()
        self.named = True
        self._begin(name, offset)
        new = name not in self._names
        self._names.add(name)
        return new

    def lines(self, bases: np.ndarray, widths: np.ndarray) -> str:
        """The next lines: their bases, and their bytes with what ends them. What is wrong with
        them, as a text; "" if nothing is.
        """
        filled = np.flatnonzero(bases)
        if not len(filled):
            self._blank = True
            return ""
        last = int(filled[-1])
        if self._blank or len(filled) <= last:
            return f"an empty line in {self._name!r}"
        if self._ended:
            return f"a line of {self._name!r} after a shorter one"
        if not self._bases:
            self._bases, self._width = int(bases[0]), int(widths[0])
        if (bases[:last] != self._bases).any() or (widths[:last] != self._width).any():
            return f"a line of {self._name!r} of another length than those before it"
        if bases[last] > self._bases:
            return f"the last line of {self._name!r} is longer than the others,"
        self._ended = bool(bases[last] < self._bases or widths[last] != self._width)
        self._blank = last + 1 < len(bases)
        self._length += int(bases.sum())
        return ""

    def _close(self) -> None:
        if not self.named:
            return
        if not self._length:
            self.empty.append(self._name)
            return
        letters = "".join(chr(k) for k in np.flatnonzero(self.foreign)[:6])
        share = int(self.foreign.sum()) / self._length
        if share > FOREIGN:
            raise GenomeError(
                f"genome file {str(self.path)!r}: {self._name!r} is no DNA: {share:.0%} of it are "
                f"letters of no base ({', '.join(letters)}); is it a protein?"
            )
        if letters:
            self.odd.append(f"{self._name!r} ({', '.join(letters)})")
        self.records[self._name] = Record(self._length, self._offset, self._bases, self._width)

    def finished(self) -> dict[str, Record]:
        """All sequences by name."""
        self._close()
        if not self.records:
            raise GenomeError(f"genome file {str(self.path)!r} holds no sequence")
        return self.records

    def notes(self) -> tuple[str, ...]:
        """What is worth telling: sequences that were left out, and letters that are no bases."""
        notes = []
        if self.empty:
            notes.append(f"sequences without a base are left out: {few(self.empty)}")
        if self.odd:
            notes.append(f"letters that are no code of a base are read as N: {few(self.odd)}")
        return tuple(notes)


def _count_spaces(text: bytes) -> int:
    return len(text) - len(text.translate(None, _SPACE))
