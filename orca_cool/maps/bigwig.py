"""Tracks as bigWig files, which HiGlass, genome browsers and deepTools read."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from orca_cool.errors import OutputError, missing_package

#: Bytes of a file at the most: of each bin, its share of the summaries included, and of the rest.
BIN, REST = 20, 1 << 16


def import_pybigwig() -> ModuleType:
    """The library that writes bigWigs.

    Raises
    ------
    OutputError
        If it is not installed; the message says how to install it.
    """
    try:
        import pyBigWig
    except ImportError as error:
        raise OutputError(missing_package("a bigWig", error, "perturb")) from None
    module: ModuleType = pyBigWig
    return module


def require_room(folder: Path, bins: int, files: int = 1) -> None:
    """See whether the disk has room for bigWigs. pyBigWig does not survive a disk that is full, so
    this has to be asked before.

    Parameters
    ----------
    folder : where they will be. bins : of each file that have a value, at the most.
    files : how many.

    Raises
    ------
    OutputError
    """
    wanted, free = files * (bins * BIN + REST), shutil.disk_usage(folder).free
    if wanted > free:
        raise OutputError(
            f"bigWigs in {str(folder)!r} need about {wanted / 1e6:,.1f} MB; {free / 1e6:,.1f} MB "
            f"are free ({os.strerror(errno.ENOSPC)})"
        )


class BigWig:
    """A bigWig that is being written; :func:`writing_bigwig` makes it.

    Attributes
    ----------
    covered : bases that have a value so far.
    """

    def __init__(self, path: Path, chromsizes: Mapping[str, int]):
        self.path, self.chromsizes, self.covered = path, dict(chromsizes), 0
        with _errors_of(path):
            self._file = import_pybigwig().open(str(path), "w")
            # readers look names up in a tree, which is sorted
            self._file.addHeader(sorted(self.chromsizes.items()))

    def add(self, chrom: str, first: int, resolution: int, values: np.ndarray) -> None:
        """Add bins of a chromosome behind those that are there; chromosomes come sorted by name.

        Parameters
        ----------
        first : number of the first bin. resolution : bin in bp.
        values : (n,) numbers; bins that are not finite have no value. The last bin of a chromosome
            ends with it.
        """
        size = self.chromsizes[chrom]
        values = np.asarray(values, dtype=np.float64)
        edges = np.flatnonzero(np.diff(np.isfinite(values), prepend=False, append=False))
        for a, b in edges.reshape(-1, 2).tolist():
            start, end = (first + a) * resolution, min((first + b) * resolution, size)
            whole = (end - start) // resolution  # bins of one run are of one size
            last = start + whole * resolution
            run = values[a:b].tolist()  # the library may have been built without numpy
            with _errors_of(self.path):
                if whole:
                    self._file.addEntries(
                        chrom, start, values=run[:whole], span=resolution, step=resolution
                    )
                if last < end:
                    self._file.addEntries([chrom], [last], ends=[end], values=run[-1:])
            self.covered += end - start

    def add_intervals(
        self, chrom: str, starts: np.ndarray, ends: np.ndarray, values: np.ndarray
    ) -> None:
        """Add intervals (bp) that do not overlap, in order, as :meth:`add` adds bins.

        Parameters
        ----------
        values : (n,) finite numbers.
        """
        with _errors_of(self.path):
            self._file.addEntries(
                [chrom] * len(values),
                np.asarray(starts).tolist(),
                ends=np.asarray(ends).tolist(),
                values=np.asarray(values, dtype=float).tolist(),
            )
        self.covered += int(np.sum(ends - starts))

    def close(self) -> None:
        """Write what is left, and look whether all of it is there."""
        with _errors_of(self.path):
            self._file.close()
            with import_pybigwig().open(str(self.path)) as written:
                found = written.header()["nBasesCovered"]
        if found != self.covered:
            raise OutputError(
                f"cannot write {str(self.path)!r}: {found:,} of {self.covered:,} bp were written; "
                f"is the disk full?"
            )


@contextmanager
def writing_bigwig(path: Path, chromsizes: Mapping[str, int]) -> Iterator[BigWig]:
    """Write a bigWig: ``with writing_bigwig(path, chromsizes) as track: track.add(...)``.

    Nothing is held in memory but a block of what is written. Ask for room before
    (:func:`require_room`). The file is not renamed when it is
    done: write it under a temporary name, or in a folder that is put in place.

    Parameters
    ----------
    chromsizes : {chromosome: bp}.

    Raises
    ------
    OutputError
        If the file cannot be written, has no value at all (which readers take for a damaged file),
        or pyBigWig is not installed.

    Examples
    --------
    >>> with writing_bigwig(Path("x.bw"), {"chrI": 230_218}) as track:  # doctest: +SKIP
    ...     track.add("chrI", 0, 1000, np.arange(231.0))
    """
    track = BigWig(path, chromsizes)
    yield track
    if not track.covered:
        raise OutputError(f"{path.name} would have no value in any bin; it is not written")
    track.close()


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Turn what the library raises into an OutputError."""
    try:
        yield
    except RuntimeError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error}") from error
