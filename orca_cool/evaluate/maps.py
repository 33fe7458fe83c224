"""Measured maps as evaluation reads them: block means in bounded memory, random halves of the
contacts, replicates, and whether two files are of one assembly.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.errors import CoolerError, RegionError
from orca_cool.evaluate.predicted import PredictedMap
from orca_cool.genome.regions import n_bins, suggestion
from orca_cool.genome.segments import Segment
from orca_cool.maps.observed import ObservedMap, block_mean, log_ratio
from orca_cool.maps.open import open_map
from orca_cool.maps.weights import WEIGHT, BalancedCooler, has_contacts, require_contacts

if TYPE_CHECKING:
    from orca_cool.evaluate.options import EvaluationOptions

logger = logging.getLogger(__name__)

#: What to do where a map is empty.
EMPTY = "choose other chromosomes, or another map"

#: Number of fine pixels that are averaged at once.
STRIP = 1 << 24


def split_counts(
    counts: np.ndarray, rng: np.random.Generator, symmetric: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Split contacts at random in two halves: each contact goes to either with probability 1/2.

    Parameters
    ----------
    counts : (n, m) contact counts.
    symmetric : the matrix is symmetric, and so are its halves.

    Returns
    -------
    Two (n, m) int64 that add up to the counts.
    """
    whole = np.asarray(counts).astype(np.int64)
    first = rng.binomial(np.triu(whole) if symmetric else whole, 0.5)
    if symmetric:
        first = first + np.triu(first, 1).T
    return first, whole - first


class _HalfCooler(BalancedCooler):
    """A cooler with one random half of the contacts of another, read as dense rectangles.

    The halves of a rectangle depend on the seed and the rectangle alone, so that they are the same
    whenever it is read.
    """

    def __init__(self, whole: BalancedCooler, half: int, seed: int):
        super().__init__(whole.uri, whole.column)
        self.half, self.seed = half, seed

    def matrix(self, *arguments: Any, **options: Any) -> Any:
        return self

    def fetch(self, first: tuple[str, int, int], second: tuple[str, int, int]) -> np.ndarray:
        """(n, m) counts between two regions."""
        rng = np.random.default_rng([self.seed, zlib.crc32(repr((*first, *second)).encode())])
        return split_counts(
            super().matrix(balance=False).fetch(first, second), rng, first == second
        )[self.half]


class HalfMap(ObservedMap):
    """One random half of a measured map's contacts, coarse-grained as the whole map is.

    Its frequencies are doubled, so that they have the size of the whole map's, in which expected
    and eps are measured.

    Parameters
    ----------
    half : 0 or 1; the two halves of one ``seed`` add up to the map. The other parameters are those
        of :class:`ObservedMap`.

    Raises
    ------
    CoolerError
        If the counts are not integers.
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
        clr_weight_name: str = WEIGHT,
    ):
        folder = cache and cache / f"half{half}.{seed}"
        super().__init__(path, resolution, cutoff, cache=folder, clr_weight_name=clr_weight_name)
        with self.cooler.open("r") as group:
            kind = group["pixels/count"].dtype
        if not np.issubdtype(kind, np.integer):
            raise CoolerError(
                f"contact map {str(path)!r} holds counts of type {kind}, which cannot be split "
                f"in halves; use --no-ceiling"
            )
        self.cooler = _HalfCooler(self.cooler, half, seed)

    def weights(self, chrom: str) -> np.ndarray:
        """(bins,) weights that double the frequency of the half, so that it is that of the
        whole.
        """
        return np.sqrt(2) * super().weights(chrom)


def block_window(
    m: ObservedMap | PredictedMap, chrom: str, start: int, end: int, resolution: int, missing: float
) -> np.ndarray:
    """Block means of a square of one chromosome, computed strip by strip to bound memory. Of a
    predicted map, what it has at that resolution.

    Parameters
    ----------
    start, end : in bp. ``start`` is a multiple of the map's bin, the length one of ``resolution``;
        the square may go past the end of the chromosome.
    missing : largest share of missing fine pixels, see
        :func:`orca_cool.maps.observed.block_mean`; what lies past the end of the chromosome does
        not count as missing.

    Returns
    -------
    (n, n) float64, NaN where too much is missing.
    """
    if isinstance(m, PredictedMap):
        return m.window(chrom, start, end, resolution)
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
class MeasuredWindow:
    """One window of all measured maps, as (n, n) float32 log observed/expected.

    Attributes
    ----------
    target : the measured map.
    replicate : another one, or None.
    halves : two random halves of the measured map's contacts, or None.
    """

    target: np.ndarray
    replicate: np.ndarray | None
    halves: tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class MeasuredMaps:
    """The measured map and what it is read beside: all of one bin size, and treated alike.

    Attributes
    ----------
    observed : the measured map.
    replicate : another measured map, or None.
    halves : two random halves of the measured map's contacts, or None.
    missing : largest share of missing fine pixels in a coarse pixel that is used.
    """

    observed: ObservedMap | PredictedMap
    replicate: ObservedMap | PredictedMap | None
    halves: tuple[HalfMap, HalfMap] | None
    missing: float

    @classmethod
    def open(
        cls,
        options: EvaluationOptions,
        base: int,
        missing: float,
        levels: Sequence[int] | None = None,
    ) -> MeasuredMaps:
        """Open the files.

        Parameters
        ----------
        options : the measured map, its replicate, and how they are treated.
        base : bin in bp that all of them must have.
        missing : see :class:`MeasuredMaps`.
        levels : resolutions in bp whose windows lie on the bins of the chromosomes, so that a
            predicted map can stand for a measured one, level by level; None: it cannot.

        Raises
        ------
        CoolerError
            If a file cannot be read, lacks the bin size or is not balanced, or is predicted and
            cannot be.
        """
        cache = None if options.cache is None else Path(options.cache)
        treated: dict[str, Any] = {"cache": cache, "clr_weight_name": options.clr_weight_name}

        def opened(path: str) -> ObservedMap | PredictedMap:
            if open_map(path).predicted:
                return PredictedMap.open(path, base, levels)
            return ObservedMap(path, base, options.cutoff, **treated)

        observed = opened(options.observed)
        replicate = None if options.replicate is None else opened(options.replicate)
        if isinstance(observed, PredictedMap):
            logger.warning(
                "%s was predicted: it is compared level by level, and has no split halves",
                observed.path,
            )
        if not options.ceiling or isinstance(observed, PredictedMap):
            return cls(observed, replicate, None, missing)
        one, two = (
            HalfMap(options.observed, base, half, options.cutoff, seed=options.seed, **treated)
            for half in (0, 1)
        )
        return cls(observed, replicate, (one, two), missing)

    @property
    def name(self) -> str:
        """The measured map as messages call it."""
        return f"measured map {self.observed.path!r}"

    def check(self, chroms: Sequence[str], train: Sequence[str]) -> None:
        """Raise RegionError if a chromosome is not there, or if the replicate is of another
        assembly; CoolerError if a map has no contacts within a chromosome.
        """
        sizes = self.observed.chromsizes
        check_sizes([*chroms, *train], sizes, self.name, sizes, self.name, self.observed.resolution)
        if self.replicate is not None:
            other = f"replicate {self.replicate.path!r}"
            check_sizes(
                chroms, sizes, self.name, self.replicate.chromsizes, other, self.observed.resolution
            )
            require_contacts(self.replicate.cooler, chroms, other, EMPTY)
        require_contacts(self.observed.cooler, [*chroms, *train], self.name, EMPTY)

    def check_between(self, chroms: Sequence[str]) -> None:
        """Raise CoolerError if the measured map has no contacts between a chromosome and others."""
        for chrom in chroms:
            if not has_contacts(self.observed.cooler, chrom, between=True):
                raise CoolerError(
                    f"{self.name} has no contacts between {chrom!r} and other chromosomes; leave "
                    f"--trans out, or {EMPTY}"
                )

    def target(
        self, chrom: str, start: int, end: int, resolution: int, expected: np.ndarray, eps: float
    ) -> np.ndarray:
        """(n, n) log observed/expected of a window of the measured map alone; see
        :meth:`window`.
        """
        return log_ratio(
            block_window(self.observed, chrom, start, end, resolution, self.missing), expected, eps
        )

    def window(
        self, chrom: str, start: int, end: int, resolution: int, expected: np.ndarray, eps: float
    ) -> MeasuredWindow:
        """A window of a chromosome in all maps.

        Parameters
        ----------
        start, end : 0-based, end-exclusive, in bp.
        resolution : bin of the window in bp, a multiple of the maps' bin.
        expected : (n, n) expected contact frequency.
        eps : frequency that is added to observed and expected before the logarithm.
        """
        return self._window(
            lambda m: block_window(m, chrom, start, end, resolution, self.missing), expected, eps
        )

    def window_of_segments(
        self,
        segments: Sequence[Segment],
        start: int,
        end: int,
        resolution: int,
        expected: np.ndarray,
        eps: float,
    ) -> MeasuredWindow:
        """A window of segments of chromosomes laid end to end; see :meth:`window`."""

        def read(m: ObservedMap | PredictedMap) -> np.ndarray:
            assert isinstance(m, ObservedMap)  # as it was opened
            fine = m.assembled(segments, start, end)
            return block_mean(fine, resolution // m.resolution, self.missing)

        return self._window(read, expected, eps)

    def _window(
        self,
        read: Callable[[ObservedMap | PredictedMap], np.ndarray],
        expected: np.ndarray,
        eps: float,
    ) -> MeasuredWindow:
        def ratio(m: ObservedMap | PredictedMap) -> np.ndarray:
            return log_ratio(read(m), expected, eps)

        halves = None if self.halves is None else (ratio(self.halves[0]), ratio(self.halves[1]))
        return MeasuredWindow(
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
    """Check that two files are of one assembly: both have the chromosomes, of one length.

    Releases of an assembly differ by single bases here and there, so that a chromosome of another
    length is accepted, with a warning, as long as it has the same number of bins.

    Parameters
    ----------
    sizes, others : by chromosome, its length in bp in the two files.
    name, other : what the two files are called in messages ("measured map 'x.cool'").
    resolution : bin in bp.

    Raises
    ------
    RegionError
        Naming both files, the chromosome and its lengths, or the chromosome that one lacks.
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
