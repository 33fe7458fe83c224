"""Expected contact frequency by distance, as a model is trained with.

Source: Zhou 2022, Methods; released ``*.expected.res*.npy`` files (natural log of the mean balanced
frequency by distance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import ModelError


@dataclass(frozen=True)
class ExpectedModel:
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
        """Expected at distances 0 .. n-1 bins of ``resolution``: block means of the Toeplitz
        matrix, float64.

        A block at distance d bins averages the table over distances d*f-f+1 .. d*f+f-1 (f =
        resolution / base) with triangular weights; NaN where the table does not reach.
        """
        f, rest = divmod(resolution, self.resolution)
        if rest or f < 1:
            raise ModelError(
                f"expected at {self.resolution} bp cannot be averaged to {resolution} bp"
            )
        reach = max(n * f + f, len(self.cis))
        table = np.full(reach, np.nan)
        table[: len(self.cis)] = self.cis
        mirrored = np.concatenate([table[f - 1 : 0 : -1], table])
        weights = np.convolve(np.ones(f), np.ones(f)) / f**2
        steps = np.lib.stride_tricks.sliding_window_view(mirrored, 2 * f - 1)[::f][:n]
        return steps @ weights

    def eps(self, resolution: int, bins: int, *, cis_only: bool = False) -> float:
        """The pseudo-frequency of a level: the smallest expected within its window, of one
        chromosome alone if ``cis_only``.
        """
        smallest = float(np.nanmin(self.by_distance(resolution, bins)))
        return smallest if self.trans is None or cis_only else min(smallest, self.trans)

    def expected_matrix(self, resolution: int, bins: int) -> np.ndarray:
        """Expected of a window of one chromosome (in the released program ``normmat``).

        Returns
        -------
        (bins, bins) float64; past the end of the table the smallest value holds.
        """
        d = np.abs(np.subtract.outer(np.arange(bins), np.arange(bins)))
        expected = self.by_distance(resolution, bins)
        return np.where(np.isnan(expected), np.nanmin(expected), expected)[d]

    def assembled(
        self, resolution: int, segments: Sequence[tuple[str, int, int, str]], start: int, bins: int
    ) -> np.ndarray:
        """Expected of a window of chromosome segments laid end to end (256M module).

        Assembled at the table's own resolution block by block (cis by genomic distance, trans
        constant), then averaged; cis distances past the table take the smallest finite value of the
        matrix (Zhou 2022, released code).

        Parameters
        ----------
        resolution : bin of the window in bp.
        segments : (chromosome, start, end, strand) of each, in order; lengths are multiples
            of the table's bin.
        start : first base of the window from the start of the first segment, in bp; beyond the
            last segment everything is trans.
        bins : size of the window in bins of ``resolution``.

        Returns
        -------
        (bins, bins) float64, symmetric.
        """
        f = resolution // self.resolution
        n = bins * f
        chroms = np.full(n, -1)
        position = np.zeros(n, dtype=np.int64)
        names: dict[str, int] = {}
        offset = -start // self.resolution
        for chrom, first, last, strand in segments:
            size = (last - first) // self.resolution
            where = np.arange(max(0, offset), min(n, offset + size))
            inside = where - offset if strand == "+" else size - 1 - (where - offset)
            chroms[where] = names.setdefault(chrom, len(names))
            position[where] = first // self.resolution + inside
            offset += size
        trans = np.nan if self.trans is None else self.trans
        table = np.append(self.cis, np.nan)
        rows = [
            self._assembled_rows(slice(i * f, (i + 1) * f), chroms, position, table, trans)
            for i in range(bins)
        ]
        smallest = min((float(np.nanmin(r)) for r in rows if np.isfinite(r).any()), default=np.nan)
        out = np.empty((bins, bins))
        for i, row in enumerate(rows):
            out[i] = np.where(np.isnan(row), smallest, row).reshape(f, bins, f).mean(axis=(0, 2))
        return out

    def _assembled_rows(
        self, rows: slice, chroms: np.ndarray, position: np.ndarray, table: np.ndarray, trans: float
    ) -> np.ndarray:
        distance = np.minimum(np.abs(position[rows, None] - position[None, :]), len(table) - 1)
        cis = (chroms[rows, None] == chroms[None, :]) & (chroms[None, :] >= 0)
        return np.where(cis, table[distance], trans).astype(np.float32)
