"""A predicted map in the place of a measured one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cooler import Cooler

from orca_cool.errors import CoolerError
from orca_cool.maps.coolfile import read_layer, read_log_ratio
from orca_cool.maps.open import MapFile, open_map


@dataclass(frozen=True)
class PredictedMap:
    """A prediction that another one is compared with, each level with the same level.

    The levels of a prediction are predicted one by one: the coarse ones are no means of the finest,
    as those of a measured map are.

    Attributes
    ----------
    path : as it was given. file : the map, open.
    resolution : the finest level that is compared, in bp.
    """

    path: str
    file: MapFile
    resolution: int

    @classmethod
    def open(cls, path: str, base: int, levels: Sequence[int] | None) -> PredictedMap:
        """Open a predicted .mcool.

        Parameters
        ----------
        levels : resolutions that it must have; None: windows of any phase are asked for.

        Raises
        ------
        CoolerError
            If it lacks a level, or windows of any phase are asked for.
        """
        file = open_map(path)
        if levels is None:
            raise CoolerError(
                f"contact map {path!r} was predicted by orca-cool, and the windows of a --model do "
                f"not lie on its bins; give a measured map, or predict a file and evaluate that"
            )
        for resolution in levels:
            file.uri(resolution)
        return cls(path, file, base if base in file.uris else min(levels))

    @property
    def cooler(self) -> Cooler:
        """The finest level that is compared."""
        return self.file.balanced(self.resolution)

    @property
    def chromsizes(self) -> dict[str, int]:
        """{chromosome: bp}, in the file's order."""
        return self.file.chromsizes

    def window(self, chrom: str, start: int, end: int, resolution: int) -> np.ndarray:
        """Predicted contact frequency in a square of a chromosome.

        Parameters
        ----------
        start, end : in bp, multiples of ``resolution``; the square may go past the end of the
            chromosome.

        Returns
        -------
        (n, n) float64, NaN where nothing was predicted.
        """
        layer, _ = read_layer(self.file.uri(resolution))
        n = (end - start) // resolution
        out = np.full((n, n), np.nan)
        where = (chrom, start, min(end, self.chromsizes[chrom]))
        y = read_log_ratio(self.file.uri(resolution), where)
        d = np.abs(np.subtract.outer(np.arange(len(y)), np.arange(len(y))))
        expected = layer.by_distance(len(y))[d]
        out[: len(y), : len(y)] = np.exp(y) * (expected + layer.eps) - layer.eps
        return out
