"""What a writer of predicted maps is fed with: rows of the band along the diagonal, rectangles
between chromosomes, and what a resolution needs besides.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.maps.hdf5_output import HDF5Output


@dataclass(frozen=True)
class RowBlock:
    """Some rows of the band of one chromosome at one resolution.

    Attributes
    ----------
    chrom : chromosome.
    start : first row, bin index within the chromosome.
    values : (rows, band) float32, y = log(observed / expected) of pair (start + r, start + r + d);
        NaN = absent.
    level : (rows, band) int32, resolution in bp of the level that predicted the pixel.
    strand_difference : (rows, band) float32 or None, half the absolute difference between the
        strands' y.
    count : (rows, band) float32 or None, counts that are known already and stored as they are; of
        ``values`` only NaN counts then.
    """

    chrom: str
    start: int
    values: np.ndarray
    level: np.ndarray
    strand_difference: np.ndarray | None = None
    count: np.ndarray | None = None


@dataclass(frozen=True)
class TransBlock:
    """A rectangle between two chromosomes, ``chrom1`` before ``chrom2`` in the file's order.

    Attributes
    ----------
    start1, start2 : first row and column, bin index within each chromosome.
    values : (n1, n2) float32 y; NaN = absent.
    level : resolution in bp of the level that predicted it.
    strand_difference : (n1, n2) float32 or None.
    """

    chrom1: str
    chrom2: str
    start1: int
    start2: int
    values: np.ndarray
    level: int
    strand_difference: np.ndarray | None = None


@dataclass(frozen=True)
class Layer:
    """What one resolution needs besides its pixels.

    Attributes
    ----------
    resolution : bin in bp.
    expected : (n,) float64 contact frequency by distance in bins, without eps; NaN where unknown.
    eps : pseudo-frequency of the level.
    band : pixels are written for distances < band (bins).
    trans : expected between chromosomes without eps, or None.
    masked : chromosome -> (nbins,) bool, True = masked bin (N, outside the view); a chromosome left
        out has none.
    """

    resolution: int
    expected: np.ndarray
    eps: float
    band: int
    trans: float | None
    masked: dict[str, np.ndarray]

    def by_distance(self, n: int) -> np.ndarray:
        """(n,) expected without eps at distances 0 .. n-1, NaN from the band on."""
        out = np.full(n, np.nan)
        m = min(n, self.band, len(self.expected))
        out[:m] = self.expected[:m]
        return out

    def mask(self, chrom: str, nbins: int) -> np.ndarray:
        """(nbins,) bool, True = masked; OutputError when the layer's mask has another length."""
        mask = np.asarray(self.masked.get(chrom, np.zeros(nbins, bool)), bool)
        if mask.shape != (nbins,):
            raise OutputError(
                f"mask of {chrom} at {self.resolution} bp has shape {mask.shape}, the chromosome "
                f"has {nbins} bins"
            )
        return mask


def frequency(
    y: np.ndarray, expected: np.ndarray | float, eps: float, mode: str, depth: float
) -> np.ndarray:
    """depth * F of log ratios y, in the number type of y (``expected`` without eps, broadcast
    against y).
    """
    scale = np.asarray(depth * (np.asarray(expected, np.float64) + eps), y.dtype)
    out = np.exp(y)
    out *= scale
    if mode == "contact":
        out -= y.dtype.type(depth * eps)
        np.maximum(out, 0, out=out)
    return out


@contextlib.contextmanager
def writing(path: Path, output: HDF5Output | None = None) -> Iterator[None]:
    """Turn what HDF5 raises when it cannot write (OSError; RuntimeError for late flushes), and what
    ``output`` has met, into an OutputError.
    """
    error: OSError | RuntimeError
    try:
        yield
        if output is not None:
            output.check()
    except (OSError, RuntimeError) as raised:
        error = raised if output is None else output.error or raised
        number = error.errno if isinstance(error, OSError) else None
        full = number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        hint = "; free some space and repeat the command to go on" if full else ""
        raise OutputError(f"cannot write {str(path)!r}: {_reason(error)}{hint}") from error


def _reason(error: OSError | RuntimeError) -> str:
    """What the system says, if it is the system that says it, else HDF5's text."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
