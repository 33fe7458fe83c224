"""Measured maps as evaluation reads them: block means in bounded memory, binomial halves,
replicates, and whose genome it is.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cooler
import numpy as np

from orca_cool.errors import CoolerError, RegionError
from orca_cool.genome.regions import n_bins, suggestion
from orca_cool.genome.segments import Segment
from orca_cool.maps.observed import ObservedMap, block_mean, coarse_grain, log_ratio

logger = logging.getLogger(__name__)

#: Fine pixels that are averaged at once.
STRIP = 1 << 24


def split_counts(
    counts: np.ndarray, rng: np.random.Generator, symmetric: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Binomial halves (p = 1/2) of contact counts (n, m), int64; a symmetric matrix stays
    symmetric.
    """
    whole = np.asarray(counts).astype(np.int64)
    first = rng.binomial(np.triu(whole) if symmetric else whole, 0.5)
    if symmetric:
        first = first + np.triu(first, 1).T
    return first, whole - first


def split_half(
    raw: np.ndarray, weights: np.ndarray, cutoff: float, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Two coarse-grained maps from a binomial split of the contacts.

    Parameters
    ----------
    raw : (n, n) symmetric contact counts. weights : (n,) balancing weights, NaN where masked.
    """
    first, second = split_counts(raw, np.random.default_rng(seed), True)
    # twice, so that both halves keep the frequency that expected and eps are measured in
    maps = [
        coarse_grain(2 * half * np.outer(weights, weights), half.astype(float), cutoff)
        for half in (first, second)
    ]
    return maps[0], maps[1]


class _HalfCooler(cooler.Cooler):
    """A cooler of one binomial half of another's contacts, read as dense rectangles. A rectangle
    always gives the same half.
    """

    def __init__(self, uri: str, half: int, seed: int):
        super().__init__(uri)
        self.half, self.seed = half, seed

    def matrix(self, **options: Any) -> _HalfCooler:
        return self

    def fetch(self, first: tuple[str, int, int], second: tuple[str, int, int]) -> np.ndarray:
        """(n, m) counts between two regions."""
        rng = np.random.default_rng([self.seed, zlib.crc32(repr((*first, *second)).encode())])
        return split_counts(
            super().matrix(balance=False).fetch(first, second), rng, first == second
        )[self.half]


class HalfMap(ObservedMap):
    """One of two binomial halves of a measured map's contacts (:func:`split_half`, tile by tile),
    treated as the whole map is.

    Parameters
    ----------
    half : 0 or 1; both of one ``seed`` add up to the map. Others as in :class:`ObservedMap`.
    """

    def __init__(
        self,
        path: str | Path,
        resolution: int,
        half: int,
        cutoff: float = 5.0,
        *,
        seed: int = 1,
        cache: Path | None = None,
    ):
        super().__init__(path, resolution, cutoff, cache=cache and cache / f"half{half}.{seed}")
        with self.cooler.open("r") as group:
            kind = group["pixels/count"].dtype
        if not np.issubdtype(kind, np.integer):
            raise CoolerError(
                f"contact map {str(path)!r} holds counts of type {kind}, which cannot be split "
                f"in halves; use --no-ceiling"
            )
        self.cooler = _HalfCooler(self.cooler.uri, half, seed)

    def weights(self, chrom: str) -> np.ndarray:
        """(bins,) weights that keep the frequency of the whole map."""
        return np.sqrt(2) * super().weights(chrom)


def block_window(
    m: ObservedMap, chrom: str, start: int, end: int, resolution: int, missing: float
) -> np.ndarray:
    """Block means of a square of one chromosome, strip by strip.

    Parameters
    ----------
    start, end : bp; ``start`` a multiple of the map's bin, the length one of ``resolution``; may
        overhang the chromosome.
    missing : see :func:`orca_cool.maps.observed.block_mean`; what lies past the chromosome's end is not
        missing.

    Returns
    -------
    (n, n) float64, NaN where too much is missing.
    """
    f, n = resolution // m.resolution, (end - start) // resolution
    there = m.bins(chrom) - start // m.resolution
    out = np.full((n, n), np.nan)
    rows = max(1, STRIP // (f * f * n))
    for a in range(0, n, rows):
        b = min(a + rows, n)
        across = Segment(chrom, start + a * resolution, start + b * resolution)
        along = Segment(chrom, start + a * resolution, end)
        part = block_mean(m.dense(across, along), f, missing, (there - a * f, there - a * f))
        out[a:, a:b] = part.T
        out[a:b, a:] = part
    return out


@dataclass(frozen=True)
class Windowed:
    """One window of everything measured, as log observed/expected, (n, n) float32 each: target,
    replicate, two halves of the target.
    """

    target: np.ndarray
    replicate: np.ndarray | None
    halves: tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class Measurements:
    """The measured map, a replicate of it, its two halves, all of one bin size and treated alike."""

    observed: ObservedMap
    replicate: ObservedMap | None
    halves: tuple[HalfMap, HalfMap] | None
    missing: float

    @classmethod
    def open(
        cls,
        observed: str | Path,
        base: int,
        *,
        cutoff: float = 5.0,
        missing: float,
        replicate: str | Path | None = None,
        ceiling: bool = True,
        seed: int = 1,
        cache: Path | None = None,
    ) -> Measurements:
        """Open the files; CoolerError if one lacks the bin size ``base`` or is not balanced."""
        main = ObservedMap(observed, base, cutoff, cache=cache)
        second = None if replicate is None else ObservedMap(replicate, base, cutoff, cache=cache)
        if not ceiling:
            return cls(main, second, None, missing)
        one, two = (
            HalfMap(observed, base, half, cutoff, seed=seed, cache=cache) for half in (0, 1)
        )
        return cls(main, second, (one, two), missing)

    @property
    def name(self) -> str:
        """For messages."""
        return f"measured map {self.observed.path!r}"

    def check(self, chroms: Sequence[str], train: Sequence[str]) -> None:
        """RegionError if a chromosome is not there, or the replicate is of another assembly."""
        sizes = self.observed.chromsizes
        check_sizes([*chroms, *train], sizes, self.name, sizes, self.name, self.observed.resolution)
        if self.replicate is not None:
            other = f"replicate {self.replicate.path!r}"
            check_sizes(
                chroms, sizes, self.name, self.replicate.chromsizes, other, self.observed.resolution
            )

    def target(
        self, chrom: str, start: int, end: int, resolution: int, expected: np.ndarray, eps: float
    ) -> np.ndarray:
        """(n, n) log observed/expected of a window of the measured map alone."""
        return log_ratio(
            block_window(self.observed, chrom, start, end, resolution, self.missing), expected, eps
        )

    def window(
        self, chrom: str, start: int, end: int, resolution: int, expected: np.ndarray, eps: float
    ) -> Windowed:
        """A window ``[start, end)`` of a chromosome; ``expected`` (n, n)."""
        return self._all(
            lambda m: block_window(m, chrom, start, end, resolution, self.missing), expected, eps
        )

    def concatenated_chromosomes(
        self,
        pieces: Sequence[Segment],
        start: int,
        end: int,
        resolution: int,
        expected: np.ndarray,
        eps: float,
    ) -> Windowed:
        """A window of pieces laid end to end."""
        return self._all(
            lambda m: block_mean(
                m.assembled(pieces, start, end), resolution // m.resolution, self.missing
            ),
            expected,
            eps,
        )

    def _all(
        self, read: Callable[[ObservedMap], np.ndarray], expected: np.ndarray, eps: float
    ) -> Windowed:
        def ratio(m: ObservedMap) -> np.ndarray:
            return log_ratio(read(m), expected, eps)

        halves = None if self.halves is None else (ratio(self.halves[0]), ratio(self.halves[1]))
        return Windowed(
            ratio(self.observed), None if self.replicate is None else ratio(self.replicate), halves
        )


def check_sizes(
    chroms: Iterable[str],
    sizes: Mapping[str, int],
    name: str,
    others: Mapping[str, int],
    other: str,
    resolution: int,
) -> None:
    """Two files must be of one assembly: both have the chromosomes, of one length.

    Releases of an assembly that differ by single corrections are accepted as long as the chromosome
    has as many bins.

    Parameters
    ----------
    sizes, others : {chromosome: bp} of the files called ``name`` and ``other`` ("measured map
        'x.cool'").

    Raises
    ------
    RegionError
        Naming both, the chromosome and its lengths, or the chromosome that one lacks.
    """
    for chrom in chroms:
        for known, where in ((sizes, name), (others, other)):
            if chrom not in known:
                raise RegionError(
                    f"chromosome {chrom!r} is not in {where}; {suggestion(chrom, known)}"
                )
        a, b = int(sizes[chrom]), int(others[chrom])
        if n_bins(a, resolution) != n_bins(b, resolution):
            raise RegionError(
                f"{name} and {other} are not of one assembly: {chrom} is {a:,} bp in the first, "
                f"{b:,} bp in the second"
            )
        if a != b:
            logger.warning("%s is %d bp in %s, %d bp in %s", chrom, a, name, b, other)
