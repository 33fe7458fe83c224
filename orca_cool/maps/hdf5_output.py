"""HDF5 files that are written to a disk which may fill up.

HDF5 does not recover from a failed write: it may crash the process when the file is closed, or at
the very end. Here it writes through a file object that keeps such an error to itself; whoever
writes asks for it (:meth:`HDF5Output.check`) and stops.
"""

from __future__ import annotations

import io
import os
from typing import Any


class HDF5Output(io.FileIO):
    """A new file for ``h5py.File(HDF5Output(path), "w")``.

    Attributes
    ----------
    error : the first error of the disk; what was written since is lost.

    Raises
    ------
    OSError
        If the file cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str]):
        super().__init__(path, "w+")
        self.error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """All of ``data``, unless the disk has failed; says that it did in any case."""
        view = memoryview(data)
        size = view.nbytes
        try:
            while view and self.error is None:
                view = view[super().write(view) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        """Set the file's length, unless the disk has failed."""
        try:
            if self.error is None:
                return super().truncate(size)
        except OSError as error:
            self.error = error
        return size or 0

    def check(self) -> None:
        """Raise the first error of the disk, if there was one."""
        if self.error is not None:
            raise self.error
