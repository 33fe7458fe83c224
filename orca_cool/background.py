"""Expected contact frequency by distance: the model's background.

Source: Zhou 2022, Methods; released ``*.expected.res*.npy`` files (natural log of the mean balanced frequency by distance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orca_cool.errors import ModelError


@dataclass(frozen=True)
class Background:
    """Mean balanced contact frequency by distance, at one base resolution.

    Attributes
    ----------
    resolution : bin of the table in bp.
    cis : (n,) frequency at 0, 1, 2, ... bins of distance; NaN where not measured (only at the end).
    trans : frequency between chromosomes, or None.
    """

    resolution: int
    cis: np.ndarray
    trans: float | None = None

    def by_distance(self, resolution: int, n: int) -> np.ndarray:
        """Expected at distances 0 .. n-1 bins of ``resolution``: block means of the Toeplitz matrix, float64.

        A block at distance d bins averages the table over distances d*f-f+1 .. d*f+f-1 (f = resolution / base) with
        triangular weights; NaN where the table does not reach.
        """
        f, rest = divmod(resolution, self.resolution)
        if rest or f < 1:
            raise ModelError(f"background at {self.resolution} bp cannot be averaged to {resolution} bp")
        reach = max(n * f + f, len(self.cis))
        table = np.full(reach, np.nan)
        table[: len(self.cis)] = self.cis
        mirrored = np.concatenate([table[f - 1 : 0 : -1], table])
        weights = np.convolve(np.ones(f), np.ones(f)) / f**2
        steps = np.lib.stride_tricks.sliding_window_view(mirrored, 2 * f - 1)[::f][:n]
        return steps @ weights

    def eps(self, resolution: int, bins: int) -> float:
        """The pseudo-frequency of a level: the smallest expected within its window."""
        smallest = float(np.nanmin(self.by_distance(resolution, bins)))
        return smallest if self.trans is None else min(smallest, self.trans)

    def normmat(self, resolution: int, bins: int) -> np.ndarray:
        """(bins, bins) expected of one window of one chromosome."""
        d = np.abs(np.subtract.outer(np.arange(bins), np.arange(bins)))
        expected = self.by_distance(resolution, bins)
        return np.where(np.isnan(expected), np.nanmin(expected), expected)[d]

    def assembled(self, resolution: int, segments: list[int], bins: int, length: int) -> np.ndarray:
        """(bins, bins) expected of a window made of chromosome pieces laid end to end (256M module).

        Parameters
        ----------
        segments : identity of the chromosome of every ``self.resolution`` bin of the window, length ``bins * f``.
        """
        raise NotImplementedError
