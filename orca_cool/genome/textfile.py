"""Lines of text files, plain, gzip or bgzip, with what is known of a file that is cut short."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from orca_cool.errors import EditError

#: The empty block that ends every bgzip file (SAM specification, section 4.1.2).
BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

#: Endings of compressed files; what lies before them tells the type.
COMPRESSED = (".gz", ".bgz")


class TextFile:
    """Numbered lines of a file; it may be read several times.

    Attributes
    ----------
    name : the file's name without its folder, for messages.
    extension : in lower case, that of the text within where the file is compressed (".vcf" of
        "x.vcf.gz").
    last : number of the last whole line read so far.
    problem : after reading: why the file is not whole, "" if it is.

    Raises
    ------
    EditError
        If it is missing, a folder, empty or cannot be read.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.name = self.path.name
        self.last, self.problem = 0, ""
        endings = [e.lower() for e in self.path.suffixes]
        self.extension = next((e for e in reversed(endings) if e not in COMPRESSED), "")
        try:
            with self.path.open("rb") as file:
                head = file.read(16)
                file.seek(max(file.seek(0, 2) - len(BGZIP_END), 0))
                tail = file.read()
        except FileNotFoundError:
            raise EditError(f"file {str(path)!r} does not exist") from None
        except OSError as error:
            raise EditError(f"file {str(path)!r} cannot be read: {error.strerror}") from error
        if not head:
            raise EditError(f"file {str(path)!r} is empty")
        self._gzip = head[:2] == b"\x1f\x8b"
        # Whole bgzip blocks are lost without an error of gzip's, only the last block tells.
        self._cut = self._gzip and head[12:14] == b"BC" and tail != BGZIP_END

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """(number from 1, line without its end). A line that is cut off by the end of a damaged
        file is left out.
        """
        self.last, self.problem = 0, ""
        opener = gzip.open if self._gzip else open
        try:
            with opener(self.path, "rt", encoding="utf-8-sig", errors="replace") as file:
                for line in file:
                    if self._cut and not line.endswith("\n"):
                        break
                    self.last += 1
                    yield self.last, line.rstrip("\r\n")
            if self._cut:
                self.problem = (
                    f"truncated after line {self.last}: the end marker of bgzip is missing"
                )
        except EOFError:
            self.problem = f"truncated after line {self.last}: the compressed file ends too early"
        except (zlib.error, gzip.BadGzipFile) as error:
            self.problem = (
                f"truncated after line {self.last}: the compressed file is damaged ({error})"
            )
        except OSError as error:
            raise EditError(
                f"file {str(self.path)!r} cannot be read after line {self.last}: {error.strerror}"
            ) from error
