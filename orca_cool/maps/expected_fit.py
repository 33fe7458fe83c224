"""The background of a model from a measured map: balanced contact frequency by distance, averaged
and smoothed.

Source: Zhou 2022, Methods ("expected"): as measured up to 400 bins of 4 kb, beyond them lowess in
logs with a span of 0.01 up to 10,000 bins and 0.1 after; the 256 Mb module has the running minimum,
and one number between chromosomes.
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pandas as pd

from orca_cool.errors import CoolerError, OrcaCoolError, RegionError
from orca_cool.genome.regions import Region, read_view, suggestion
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.open import check_balanced, sizes_of

log = logging.getLogger(__name__)

#: Distances nearer than this, in bp, are kept as measured: 400 bins of 4 kb.
KEEP = 1_600_000
#: A distance with fewer valid pixels is not taken as measured.
MIN_PIXELS = 20
#: Up to here, in bp, lowess spans the first share of the table's distances; after it, the second.
FINE, SPANS = 40_000_000, (0.01, 0.1)
#: Lowess fits at least so many distances, but never more than the second share, however few the
#: table of a small genome has.
WINDOW = 20
#: Pixels read at once; cooltools needs about 150 bytes for each, in every process.
CHUNK = 2_000_000

#: Called with pixels read so far, and of all.
Show = Callable[[int, int], None]


@dataclass(frozen=True)
class Measured:
    """Sums over the regions of a map.

    Attributes
    ----------
    resolution : bin in bp.
    n_valid : (n,) int64, pixels at 0, 1, ... bins of distance of which neither bin is masked.
    total : (n,) float64, their balanced frequencies summed.
    trans : mean frequency between chromosomes, or None.
    """

    resolution: int
    n_valid: np.ndarray
    total: np.ndarray
    trans: float | None = None

    @property
    def average(self) -> np.ndarray:
        """(n,) mean frequency by distance, NaN where no pixel is valid."""
        return np.divide(
            self.total, self.n_valid, out=np.full(len(self.total), np.nan), where=self.n_valid > 0
        )


@dataclass(frozen=True)
class Fit:
    """What was measured, and the background that was made of it."""

    measured: Measured
    expected: ExpectedModel
    monotone: bool


def select_regions(
    clr: cooler.Cooler, exclude: Collection[str] = (), view: str | Path | None = None
) -> list[Region]:
    """Regions to measure: whole chromosomes, or a BED view's, without those of the excluded
    chromosomes.

    Raises
    ------
    RegionError
        If an excluded chromosome is not in the map, the view cannot be used, or nothing is left.
    """
    sizes = sizes_of(clr)
    for chrom in exclude:
        if chrom not in sizes:
            raise RegionError(
                f"excluded chromosome {chrom!r} is not in {clr.uri!r}; {suggestion(chrom, sizes)}"
            )
    regions = read_view(view, sizes) if view else [Region(c, 0, n, c) for c, n in sizes.items()]
    kept = [r for r in regions if r.chrom not in exclude]
    if not kept:
        whole = f"view {str(view)!r}" if view else repr(clr.uri)
        raise RegionError(
            f"every chromosome of {whole} is excluded: {', '.join(exclude)}; leave some to measure"
        )
    return kept


def measure(
    clr: cooler.Cooler,
    regions: Sequence[Region],
    *,
    trans: bool = False,
    weight: str = "weight",
    nproc: int = 1,
    show: Show | None = None,
) -> Measured:
    """Sum the balanced map by distance within each region, over all regions; optionally between
    chromosomes.

    Only rows of the regions' chromosomes are read, and nothing of another chromosome is counted. A
    bin that a region covers in part is left out (it would be counted in two). Distances 0 and 1 are
    taken as they are, ignored in balancing or not.

    Parameters
    ----------
    regions : not overlapping; names are unique.
    weight : column of multiplicative balancing weights, NaN where a bin is masked.
    nproc : processes that read.

    Raises
    ------
    CoolerError
        If the map is not balanced, cannot be read, has no finite pixel in the regions or, with
        ``trans``, none between chromosomes.
    """
    from cooltools.api.expected import blocksum_pairwise, diagsum_symm

    check_balanced(clr, weight)
    view = _whole_bins(clr, regions)
    if trans and view["chrom"].nunique() < 2:
        only = view["chrom"].iloc[0]
        raise CoolerError(
            f"{clr.uri!r}: {only!r} alone has no contacts between chromosomes; leave --trans out "
            f"or measure more"
        )
    transforms = {"balanced": functools.partial(_balanced, weight=weight)}
    pool = multiprocessing.Pool(nproc) if nproc > 1 else None
    try:
        rows = _Rows(
            clr, view["chrom"].unique(), pool.imap if pool else map, 2 if trans else 1, show
        )
        options = {
            "transforms": transforms,
            "clr_weight_name": weight,
            "chunksize": CHUNK,
            "map": rows,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of pandas, about how cooltools groups
            table = diagsum_symm(clr, view, ignore_diags=0, **options)
            between = _between(blocksum_pairwise(clr, view, **options), view) if trans else None
    except OSError as error:
        raise CoolerError(f"{clr.uri!r} cannot be read: {error}") from error
    finally:
        if pool:
            pool.terminate()
    n_valid = np.bincount(table["dist"], table["n_valid"]).astype(np.int64)
    total = np.bincount(table["dist"], table["balanced.sum"])
    chroms = _listed(view["chrom"].unique())
    if not (np.isfinite(total) & (total > 0)).any():
        raise CoolerError(
            f"{clr.uri!r} has no finite pixel in {chroms}: every bin is masked, or there are no "
            f"contacts"
        )
    if between is not None and not (between > 0 and np.isfinite(between)):
        raise CoolerError(f"{clr.uri!r} has no contacts between {chroms}; leave --trans out")
    with clr.open("r") as group:
        if trans and group[f"bins/{weight}"].attrs.get("cis_only", False):
            log.warning(
                "%s was balanced by chromosome (cis_only): between chromosomes its frequencies "
                "have no common scale",
                clr.uri,
            )
    return Measured(int(clr.binsize), n_valid, total, between)


def smooth(
    measured: Measured,
    *,
    keep: int = KEEP,
    min_pixels: int = MIN_PIXELS,
    monotone: bool | None = None,
) -> ExpectedModel:
    """ExpectedModel from the sums by distance.

    Nearer than ``keep``, and at distance 0, the averages themselves; beyond, lowess of log
    frequency on log distance. A distance with too few pixels lies on the line (in logs) between its
    neighbours; one without contacts is pooled with those that follow until there is one, so that
    sparse far distances keep their mean. After the last distance with enough pixels the table is
    NaN.

    Parameters
    ----------
    keep : bp. min_pixels : that a distance needs. monotone : running minimum; default: where there
        is a trans value.

    Raises
    ------
    CoolerError
        If no distance has enough pixels and contacts.
    """
    n_valid, total = measured.n_valid, measured.total
    usable = (n_valid >= min_pixels) & np.isfinite(total)
    contacts = usable & (total > 0)
    if not contacts.any():
        raise CoolerError(
            f"no distance at {measured.resolution} bp has contacts and {min_pixels} valid pixels "
            f"(at most {n_valid.max()}): measure more "
            "chromosomes or ask for fewer pixels (--min-pixels)"
        )
    first, end = int(np.argmax(contacts)), len(usable) - int(np.argmax(usable[::-1]))
    if first:
        log.warning(
            "%d bp: no contacts nearer than %d bins; the expected there is that of %d bins",
            measured.resolution,
            first,
            first,
        )
    where = first + np.flatnonzero(usable[first:])
    # a group ends with each distance that has contacts; those without at the very end join the last
    group = np.cumsum(contacts[where]) - contacts[where]
    group = np.minimum(group, group[contacts[where]][-1])
    pooled = (np.bincount(group, total[where]) / np.bincount(group, n_valid[where]))[group]
    nearest = contacts & (np.arange(len(total)) * measured.resolution < max(keep, 1))
    level = np.where(nearest[where], measured.average[where], pooled)
    cis = np.full(len(total), np.nan)
    # distance 0 has no log: its neighbour's value, unless it was measured
    x = np.log(np.maximum(np.arange(end), 0.5))
    line = np.interp(x, x[where], np.log(level))
    cis[:end] = np.exp(line)
    begin, far = -(-keep // measured.resolution), -(-FINE // measured.resolution)
    for a, b, span in (
        (max(begin, 1), min(far, end), SPANS[0]),
        (max(begin, far, 1), end, SPANS[1]),
    ):
        if a < b:
            cis[a:b] = np.exp(_lowess(line[1:], x[1:], span)[a - 1 : b - 1])
    cis[nearest] = measured.average[nearest]
    if monotone if monotone is not None else measured.trans is not None:
        cis = np.minimum.accumulate(cis)
    return ExpectedModel(measured.resolution, cis, measured.trans)


def fit(
    clr: cooler.Cooler,
    regions: Sequence[Region],
    *,
    trans: bool = False,
    monotone: bool | None = None,
    keep: int = KEEP,
    min_pixels: int = MIN_PIXELS,
    weight: str = "weight",
    nproc: int = 1,
    show: Show | None = None,
) -> Fit:
    """:func:`measure`, then :func:`smooth`."""
    measured = measure(clr, regions, trans=trans, weight=weight, nproc=nproc, show=show)
    decided = trans if monotone is None else monotone
    expected = smooth(measured, keep=keep, min_pixels=min_pixels, monotone=decided)
    reach = int(np.isfinite(expected.cis).sum())
    log.info(
        "%s: expected over %d bins%s",
        clr.uri,
        reach,
        "" if measured.trans is None else f", trans {measured.trans:.3g}",
    )
    return Fit(measured, expected, decided)


def fit_expected(
    clr: cooler.Cooler,
    chroms: Sequence[str],
    *,
    trans: bool = False,
    monotone: bool | None = None,
    keep: int = KEEP,
    min_pixels: int = MIN_PIXELS,
    weight: str = "weight",
    nproc: int = 1,
) -> ExpectedModel:
    """ExpectedModel of a balanced map from whole chromosomes; no other chromosome enters.

    Parameters
    ----------
    chroms : chromosomes to measure.
    trans : also the mean frequency between them.
    monotone : running minimum over distance; default: with ``trans``.
    keep : distances nearer than this (bp) stay as measured. min_pixels : valid pixels that a
        distance needs.
    weight : column of balancing weights. nproc : processes that read.

    Raises
    ------
    RegionError
        If a chromosome is not in the map, or none is given.
    CoolerError
        If the map is not balanced, cannot be read or has too few pixels.
    """
    sizes = sizes_of(clr)
    for chrom in chroms:
        if chrom not in sizes:
            raise RegionError(
                f"chromosome {chrom!r} is not in {clr.uri!r}; {suggestion(chrom, sizes)}"
            )
    regions = [Region(c, 0, n, c) for c, n in sizes.items() if c in chroms]
    if not regions:
        raise RegionError(
            f"no chromosome of {clr.uri!r} is given to measure expected by distance on"
        )
    options: dict[str, Any] = {
        "keep": keep,
        "min_pixels": min_pixels,
        "weight": weight,
        "nproc": nproc,
    }
    return fit(clr, regions, trans=trans, monotone=monotone, **options).expected


def _balanced(pixels: pd.DataFrame, weight: str) -> pd.Series:
    return pixels["count"] * pixels[f"{weight}1"] * pixels[f"{weight}2"]


def _whole_bins(clr: cooler.Cooler, regions: Iterable[Region]) -> pd.DataFrame:
    """The regions as a view of cooltools in the cooler's order, cut to the bins that lie in them;
    RegionError if none does.
    """
    order, size = {c: i for i, c in enumerate(clr.chromnames)}, clr.binsize
    rows = []
    for r in sorted(regions, key=lambda r: (order[r.chrom], r.start)):
        start = -(-r.start // size) * size
        end = r.end if r.end == clr.chromsizes[r.chrom] else r.end // size * size
        if start < end:
            rows.append((r.chrom, start, end, r.name or str(r)))
    if not rows:
        raise RegionError(
            f"no region holds a whole bin of {clr.uri!r} ({size:,} bp); take longer ones or a "
            f"finer resolution"
        )
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])


def _between(blocks: pd.DataFrame, view: pd.DataFrame) -> float:
    """Mean frequency over all blocks of a table whose two regions lie on different chromosomes; NaN
    where no pixel is valid.
    """
    chrom = dict(zip(view["name"], view["chrom"]))
    different = blocks["region1"].map(chrom) != blocks["region2"].map(chrom)
    n_valid = int(blocks.loc[different, "n_valid"].sum())
    return float(blocks.loc[different, "balanced.sum"].sum()) / n_valid if n_valid else float("nan")


class _Rows:
    """The ``map`` of cooltools' sums, cut to the pixels in rows of some chromosomes, with progress."""

    def __init__(
        self,
        clr: cooler.Cooler,
        chroms: Iterable[str],
        map_: Callable[..., Iterable[Any]],
        passes: int,
        show: Show | None,
    ):
        self._map, self._show, self._done = map_, show, 0
        self._ranges: list[list[int]] = []
        with clr.open("r") as group:
            offsets = group["indexes/bin1_offset"]
            for a, b in ([int(offsets[i]) for i in clr.extent(c)] for c in chroms):
                if self._ranges and self._ranges[-1][1] == a:
                    self._ranges[-1][1] = b
                else:
                    self._ranges.append([a, b])
        self._total = passes * sum(b - a for a, b in self._ranges)

    def __call__(
        self, job: Callable[[tuple[int, int]], Any], spans: Iterable[tuple[int, int]]
    ) -> Iterator[Any]:
        pieces = [
            (max(lo, a), min(hi, b))
            for lo, hi in spans
            for a, b in self._ranges
            if max(lo, a) < min(hi, b)
        ]
        for (a, b), result in zip(pieces, self._map(job, pieces)):
            self._done += b - a
            if self._show:
                self._show(self._done, self._total)
            yield result


def _lowess(y: np.ndarray, x: np.ndarray, span: float) -> np.ndarray:
    """Lowess of y on x, both (n,), x ascending; y itself where the span would hold fewer than three
    points.
    """
    try:
        from statsmodels.nonparametric.smoothers_lowess import lowess
    except ImportError as error:
        raise OrcaCoolError(
            f"smoothing expected by distance needs {error.name!r}: pip install 'orca-cool[train]'"
        ) from error
    share = max(span, min(WINDOW / len(x), SPANS[1]))
    if share * len(x) < 3:
        return y
    # fitted at points a tenth of the shortest window apart, straight between them: many times
    # faster
    found: np.ndarray = lowess(
        y, x, frac=share, delta=share / 10, is_sorted=True, return_sorted=False
    )
    return found


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
