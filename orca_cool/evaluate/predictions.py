"""Predicted maps of anybody's model as evaluation reads them: our own .mcool, any other cooler, or
windows (docs/stitch.md).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from orca_cool.errors import CoolerError
from orca_cool.evaluate.maps import EMPTY, check_sizes
from orca_cool.genome.regions import n_bins
from orca_cool.maps.coolfile import read_layer, read_log_ratio
from orca_cool.maps.given_windows import GivenWindow, GivenWindows
from orca_cool.maps.open import MapFile, open_map, sizes_of
from orca_cool.maps.weights import measured_expected, require_contacts
from orca_cool.maps.window_reader import is_zarr
from orca_cool.prediction.mosaic import ramp_weights

logger = logging.getLogger(__name__)

#: Distances in bins to which maps are compared that know all distances.
FARTHEST = 2048


class Prediction(Protocol):
    """A predicted map, whatever made it."""

    path: str

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Bins in bp, finest first."""
        ...

    def check(self, chroms: Sequence[str], sizes: Mapping[str, int], other: str, r: int) -> None:
        """Raise RegionError or CoolerError if it lacks one of the chromosomes, or has it of another
        length than another file.
        """
        ...

    def band(self, resolution: int) -> int:
        """Distances of 0 .. band - 1 bins may be known."""
        ...

    def expected(self, resolution: int) -> tuple[np.ndarray, float] | None:
        """Expected frequency by distance that it was made with, and eps; None if it says none."""
        ...

    def log_ratio(
        self, chrom: str, resolution: int, first: int, last: int, expected: np.ndarray, eps: float
    ) -> np.ndarray:
        """Predicted log observed/expected of bins ``first`` .. ``last - 1``.

        Parameters
        ----------
        expected, eps : by distance, (n,): what frequencies of windows are divided by.

        Returns
        -------
        (n, n) float, NaN where nothing is predicted.
        """
        ...


def open_prediction(path: str, chroms: Sequence[str], sizes: Mapping[str, int]) -> Prediction:
    """A predicted map by its path.

    Parameters
    ----------
    path : .mcool or .cool, or windows: .npz, a folder of them, a Zarr group.
    chroms : that are scored. sizes : chromosomes of the measured map, which windows must lie in.

    Raises
    ------
    CoolerError, WindowsError
        If it cannot be read.
    """
    place = Path(path)
    if place.suffix == ".npz" or place.is_dir() or is_zarr(place):
        return WindowsPrediction(GivenWindows.open(path, sizes, "the measured map"))
    file = open_map(path)
    if file.difference:
        raise CoolerError(
            f"contact map {path!r} is the difference of two predictions; give a predicted map"
        )
    return OurPrediction(file) if file.predicted else AnyCooler(file, chroms)


class OurPrediction:
    """A file that this package wrote: of `predict`, or of `stitch`."""

    def __init__(self, file: MapFile):
        self.path, self.file = file.path, file
        self._layers = {r: read_layer(file.uri(r))[0] for r in file.uris}

    @property
    def resolutions(self) -> tuple[int, ...]:
        """As :class:`Prediction`."""
        return self.file.resolutions

    def check(self, chroms: Sequence[str], sizes: Mapping[str, int], other: str, r: int) -> None:
        """As :class:`Prediction`."""
        name = f"predicted map {self.path!r}"
        check_sizes(chroms, sizes_of(self.file.cooler(r)), name, sizes, other, r)

    def band(self, resolution: int) -> int:
        """As :class:`Prediction`."""
        return self._layers[resolution].band

    def expected(self, resolution: int) -> tuple[np.ndarray, float] | None:
        """As :class:`Prediction`."""
        layer = self._layers[resolution]
        return layer.by_distance(layer.band), layer.eps

    def log_ratio(
        self, chrom: str, resolution: int, first: int, last: int, expected: np.ndarray, eps: float
    ) -> np.ndarray:
        """As :class:`Prediction`; the file has its own expected."""
        uri = self.file.uri(resolution)
        end = min(last * resolution, sizes_of(self.file.cooler(resolution))[chrom])
        return read_log_ratio(uri, (chrom, first * resolution, end))


class AnyCooler:
    """A cooler of contact frequencies, balanced or not, that another program wrote. They are
    divided by their own mean at each distance; a pixel without contacts is not known.
    """

    def __init__(self, file: MapFile, chroms: Sequence[str]):
        self.path, self.file, self.chroms = file.path, file, list(chroms)
        self._expected: dict[int, np.ndarray] = {}

    @property
    def resolutions(self) -> tuple[int, ...]:
        """As :class:`Prediction`."""
        return self.file.resolutions

    def check(self, chroms: Sequence[str], sizes: Mapping[str, int], other: str, r: int) -> None:
        """As :class:`Prediction`."""
        clr, name = self.file.balanced_or_raw(r), f"predicted map {self.path!r}"
        check_sizes(chroms, sizes_of(clr), name, sizes, other, r)
        require_contacts(clr, chroms, name, EMPTY)

    def _by_distance(self, resolution: int) -> np.ndarray:
        if resolution not in self._expected:
            clr = self.file.balanced_or_raw(resolution)
            self._expected[resolution] = measured_expected(clr, self.chroms)
        return self._expected[resolution]

    def band(self, resolution: int) -> int:
        """As :class:`Prediction`: the farthest distance that has contacts."""
        known = np.flatnonzero(np.nan_to_num(self._by_distance(resolution)) > 0)
        return min(FARTHEST, int(known[-1]) + 1 if len(known) else 0)

    def expected(self, resolution: int) -> tuple[np.ndarray, float] | None:
        """None: its own mean is of what it predicts, not of what is measured."""
        return None

    def log_ratio(
        self, chrom: str, resolution: int, first: int, last: int, expected: np.ndarray, eps: float
    ) -> np.ndarray:
        """As :class:`Prediction`; divided by its own mean."""
        from orca_cool.maps.weights import BalancedCooler

        clr = self.file.balanced_or_raw(resolution)
        end = min(last * resolution, sizes_of(clr)[chrom])
        balanced = isinstance(clr, BalancedCooler)
        found = clr.matrix(balance=balanced).fetch((chrom, first * resolution, end))
        own = self._by_distance(resolution)
        d = np.abs(np.subtract.outer(np.arange(len(found)), np.arange(len(found))))
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.log(found / own[d])
        y[~np.isfinite(y)] = np.nan
        return np.asarray(y, float)


class WindowsPrediction:
    """Windows as somebody else's model made them, overlaps averaged as `stitch` does it."""

    def __init__(self, given: GivenWindows):
        self.path, self.given = given.path, given

    @property
    def resolutions(self) -> tuple[int, ...]:
        """As :class:`Prediction`."""
        return (self.given.resolution,)

    @cached_property
    def _by_chrom(self) -> dict[str, list[GivenWindow]]:
        found: dict[str, list[GivenWindow]] = {}
        for w in self.given.windows:
            found.setdefault(w.chrom, []).append(w)
        return found

    def check(self, chroms: Sequence[str], sizes: Mapping[str, int], other: str, r: int) -> None:
        """As :class:`Prediction`."""
        for chrom in chroms:
            if chrom not in self._by_chrom:
                raise CoolerError(f"windows {self.path!r} have none on chromosome {chrom!r}")

    def band(self, resolution: int) -> int:
        """As :class:`Prediction`."""
        return self.given.bins

    def expected(self, resolution: int) -> tuple[np.ndarray, float] | None:
        """As :class:`Prediction`: windows say none."""
        return None

    def log_ratio(
        self, chrom: str, resolution: int, first: int, last: int, expected: np.ndarray, eps: float
    ) -> np.ndarray:
        """As :class:`Prediction`."""
        n, bins = last - first, self.given.bins
        total = n_bins(self.given.chromsizes[chrom], resolution)
        sums, weights = np.zeros((n, n)), np.zeros((n, n))
        for w in self._by_chrom[chrom]:
            if w.end <= first or w.start >= last:
                continue
            y = self.given.log_ratio(w, expected, eps)
            weight = squared(ramp_weights(bins, w.start <= 0, w.end >= total))
            a, b = max(w.start, first), min(w.end, last)
            inner, outer = slice(a - w.start, b - w.start), slice(a - first, b - first)
            y, weight = y[inner, inner], weight[inner, inner]
            known = np.isfinite(y)
            sums[outer, outer] += np.where(known, weight * y, 0)
            weights[outer, outer] += weight * known
        return np.where(weights > 0, sums / np.where(weights > 0, weights, 1), np.nan)


def squared(rows: np.ndarray) -> np.ndarray:
    """(n, n) symmetric map of rows by distance: ``rows[i, d]`` of the pair (i, i + d)."""
    i, j = np.triu_indices(len(rows))
    out = np.zeros(rows.shape)
    out[i, j] = out[j, i] = rows[i, j - i]
    return out
