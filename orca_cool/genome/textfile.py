"""The one reader of text tables: lines of BED, BEDPE, GTF, GFF3, TSV, VCF and lists of edits.

Whatever table a user gives is read by :class:`TextFile`, so all of them may be compressed (gzip,
bgzip, bzip2 or xz, told by the content), begin with a byte order mark, have the line ends of Unix,
Windows or old Macs, hold blank lines, comments and the ``track`` and ``browser`` lines of genome
browsers, and come from standard input or a pipe. What the columns mean is the business of each
format's own reader.
"""

from __future__ import annotations

import bz2
import contextlib
import copy
import gzip
import io
import lzma
import re
import sys
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

from orca_cool.errors import OrcaCoolError

#: The path that stands for standard input.
STANDARD_INPUT = "-"

#: The empty block that ends every bgzip file (SAM specification, section 4.1.2).
BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

#: Extensions of compressed files; the extension before them tells the format.
COMPRESSED = (".gz", ".bgz", ".bz2", ".xz")

#: First words of the lines by which genome browsers are told how to draw a file.
BROWSER_LINES = ("track", "browser")

#: A line is quoted in a message up to this many characters.
QUOTED = 100

_standard_inputs: weakref.WeakKeyDictionary[object, bytes] = weakref.WeakKeyDictionary()


def standard_input() -> bytes:
    """All of standard input, which is read once and kept, so that it can be asked for again."""
    if sys.stdin not in _standard_inputs:
        _standard_inputs[sys.stdin] = sys.stdin.buffer.read()
    return _standard_inputs[sys.stdin]


def holds_data(line: str) -> bool:
    """False for blank lines, comments (``#``), and ``track`` and ``browser`` lines."""
    words = line.split(maxsplit=1)
    return bool(words) and not words[0].startswith("#") and words[0] not in BROWSER_LINES


class TextFile:
    """Numbered lines of a text file, which may be read several times.

    Iteration gives ``(number from 1, line without its end)`` for every line. A file that is cut
    short or damaged gives its whole lines and leaves the reason in ``problem``; :meth:`lines` and
    :meth:`rows` raise it.

    Parameters
    ----------
    path : the file, or "-" for standard input.
    noun : what the user gave the file as, for messages: "view", "loops", "genes".
    error : class of the errors that are raised.
    undecodable : what to do with bytes that are not UTF-8: "strict", the file is not text; or
        "replace" them.

    Attributes
    ----------
    name : the file's name without its folder, for messages.
    extension : in lower case; of a compressed file, the one before that of the compression (".vcf"
        of "x.vcf.gz"). "" for standard input.
    head : the first 16 bytes, by which binary formats are told.
    last : number of the last whole line read so far.
    problem : after reading: why the file is not whole, "" if it is.
    track : the last ``track`` line that :meth:`lines` came by, which may tell the format of the
        lines behind it; "" if there was none.

    Raises
    ------
    OrcaCoolError
        ``error``, if the file is missing, a folder or cannot be read.
    """

    def __init__(
        self,
        path: str | Path,
        noun: str = "file",
        error: type[OrcaCoolError] = OrcaCoolError,
        *,
        undecodable: str = "strict",
    ):
        self.path = Path(path)
        self.noun, self.error_class, self.undecodable = noun, error, undecodable
        self.last, self.problem, self.track = 0, "", ""
        self.is_standard_input = str(path) == STANDARD_INPUT
        self.name = "standard input" if self.is_standard_input else self.path.name
        extensions = [e.lower() for e in self.path.suffixes]
        self.extension = next((e for e in reversed(extensions) if e not in COMPRESSED), "")
        self._content: bytes | None = None  # of what can be read only once
        try:
            if self.is_standard_input:
                self._content = standard_input()
            else:
                with self.path.open("rb") as file:
                    if not file.seekable():
                        self._content = file.read()
            with self._binary() as file:
                self.head = file.read(16)
                file.seek(max(file.seek(0, 2) - len(BGZIP_END), 0))
                tail = file.read()
        except OSError as problem:
            raise self.error(f"cannot be read: {problem.strerror}") from problem
        # gzip does not notice that whole blocks of bgzip are missing: only the last block tells.
        self._cut = self.head[:2] == b"\x1f\x8b" and self.head[12:14] == b"BC" and tail != BGZIP_END

    def error(self, problem: str) -> OrcaCoolError:
        """The error to raise: "view 'x.bed' holds no region" of the problem "holds no region"."""
        return self.error_class(f"{self.noun} {str(self.path)!r} {problem}")

    def again(self) -> TextFile:
        """The same file, for a second reading while the first is under way."""
        return copy.copy(self)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        self.last, self.problem = 0, ""
        try:
            with self._text() as text:
                for line in text:
                    if self._cut and not line.endswith("\n"):
                        break  # the damaged file ends within this line
                    self.last += 1
                    yield self.last, line.rstrip("\r\n")
            if self._cut:
                self.problem = f"{self._truncated()}: the end marker of bgzip is missing"
        except EOFError:
            self.problem = f"{self._truncated()}: the compressed file ends too early"
        except UnicodeDecodeError:
            self.problem = f"not text (UTF-8) after line {self.last}"
        except (zlib.error, lzma.LZMAError, OSError) as problem:
            if isinstance(problem, OSError) and problem.errno is not None:
                raise self.error(
                    f"cannot be read after line {self.last}: {problem.strerror}"
                ) from problem
            self.problem = f"{self._truncated()}: the compressed file is damaged ({problem})"

    def lines(self, until: str | None = None) -> Iterator[tuple[int, str]]:
        """(number, line) of the lines that hold data (:func:`holds_data`).

        Parameters
        ----------
        until : stop at a line that begins so.

        Raises
        ------
        OrcaCoolError
            Behind the last whole line, if the file is cut short, damaged or not text.
        """
        self.track = ""
        for number, line in self:
            if until is not None and line.startswith(until):
                return
            if holds_data(line):
                yield number, line
            elif line.split(maxsplit=1)[:1] == ["track"]:
                self.track = line
        if self.problem:
            raise self.error(f"cannot be read: {self.problem}")

    def rows(
        self, *, spaces: bool = True, trailing_comments: bool = False, until: str | None = None
    ) -> Iterator[Row]:
        """The lines that hold data, in columns.

        Parameters
        ----------
        spaces : columns are separated by spaces in a line that has no tab; else always by tabs.
        trailing_comments : leave out a ``#`` that follows white space, and what follows it.
        until : as in :meth:`lines`.

        Raises
        ------
        OrcaCoolError
            As :meth:`lines`.
        """
        for number, line in self.lines(until):
            plain = re.split(r"\s#", line, maxsplit=1)[0] if trailing_comments else line
            tabs = "\t" in plain or not spaces
            yield Row(self, number, line, plain.split("\t") if tabs else plain.split())

    def _truncated(self) -> str:
        return f"truncated after line {self.last}"

    def _binary(self) -> BinaryIO:
        return self.path.open("rb") if self._content is None else io.BytesIO(self._content)

    @contextlib.contextmanager
    def _text(self) -> Iterator[IO[str]]:
        """The decompressed text."""
        with contextlib.ExitStack() as stack:
            plain: IO[bytes] = stack.enter_context(self._binary())
            if self.head[:2] == b"\x1f\x8b":
                plain = stack.enter_context(cast(BinaryIO, gzip.open(plain)))
            elif self.head[:3] == b"BZh" and self.head[4:10] == b"1AY&SY":
                plain = stack.enter_context(bz2.open(plain))
            elif self.head[:6] == b"\xfd7zXZ\x00":
                plain = stack.enter_context(lzma.open(plain))
            # Without newline=, every kind of line end is turned into "\n".
            yield stack.enter_context(
                io.TextIOWrapper(plain, encoding="utf-8-sig", errors=self.undecodable)
            )


class Row(NamedTuple):
    """A line of a table.

    Attributes
    ----------
    file : that it is of.
    number : of the line, from 1; None in binary formats.
    text : the whole line.
    fields : its columns.
    """

    file: TextFile
    number: int | None
    text: str
    fields: list[str]

    def error(self, problem: str) -> OrcaCoolError:
        """The error to raise, which quotes the line.

        Parameters
        ----------
        problem : what follows the quoted line: "is not BED", or ": there is no such chromosome".
        """
        where = "" if self.number is None else f", line {self.number}"
        space = "" if problem.startswith((" ", ":")) else " "
        return self.file.error_class(
            f"{self.file.noun} {str(self.file.path)!r}{where}: {self.text[:QUOTED]!r}"
            f"{space}{problem}"
        )
