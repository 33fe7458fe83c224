"""The expected contact frequency of a model, fitted from a measured map: balanced frequency by
distance, averaged (here) and smoothed (:mod:`orca_cool.maps.expected_smooth`).
"""

from __future__ import annotations

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

from orca_cool.errors import CoolerError, RegionError
from orca_cool.genome.regions import Region, read_view, suggestion
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.expected_smooth import FINE, KEEP, MIN_PIXELS, Measured, smooth
from orca_cool.maps.open import sizes_of
from orca_cool.maps.weights import WEIGHT, BalancedCooler, has_contacts, require_contacts

log = logging.getLogger(__name__)

#: Pixels read at once; cooltools needs about 150 bytes for each, in every process.
CHUNK = 2_000_000

#: Called with pixels read so far, and of all.
Show = Callable[[int, int], None]


@dataclass(frozen=True)
class Fit:
    """What was measured, and the expected by distance that was made of it; ``monotone`` says
    whether it is a running minimum.
    """

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
    weight : column of balancing weights, if ``clr`` is not opened by one.
    nproc : processes that read.

    Raises
    ------
    CoolerError
        If the map is not balanced, cannot be read, has no finite pixel in the regions or on one of
        their chromosomes or, with ``trans``, none between chromosomes.
    """
    clr = clr if isinstance(clr, BalancedCooler) else BalancedCooler(clr.uri, weight)
    view = _whole_bins(clr, regions)
    measured = [str(c) for c in view["chrom"].unique()]
    chroms = _listed(measured)
    if trans and view["chrom"].nunique() < 2:
        raise CoolerError(
            f"{clr.uri!r}: {view['chrom'].iloc[0]!r} alone has no contacts between chromosomes; "
            f"leave --trans out or measure more"
        )
    _require_contacts(clr, measured)
    table, between = _sums(clr, view, trans, nproc, show)
    n_valid = np.bincount(table["dist"], table["n_valid"]).astype(np.int64)
    total = np.bincount(table["dist"], table["balanced.sum"])
    if not (np.isfinite(total) & (total > 0)).any():
        raise CoolerError(
            f"{clr.uri!r} has no finite pixel in {chroms}: every bin is masked, or there are no "
            f"contacts"
        )
    if between is not None and not (between > 0 and np.isfinite(between)):
        raise CoolerError(f"{clr.uri!r} has no contacts between {chroms}; leave --trans out")
    if trans and clr.attributes.get("cis_only", False):
        log.warning(
            "%s was balanced by chromosome (cis_only): between chromosomes its frequencies "
            "have no common scale",
            clr.uri,
        )
    return Measured(int(clr.binsize), n_valid, total, between)


def _require_contacts(clr: BalancedCooler, chroms: Sequence[str]) -> None:
    """CoolerError if a chromosome has bins that count, but no contacts: as zeros they would pull
    the mean down at every distance.
    """
    used = [c for c in chroms if np.isfinite(clr.weights[slice(*clr.extent(c))]).any()]
    if used and not any(has_contacts(clr, c) for c in used):
        return  # there are none at all, which has a message of its own
    advice = "leave it out (--exclude), or mask it (`cooler balance --force`)"
    require_contacts(clr, used, repr(clr.uri), advice)


def _sums(
    clr: BalancedCooler, view: pd.DataFrame, trans: bool, nproc: int, show: Show | None
) -> tuple[pd.DataFrame, float | None]:
    """Cooltools' sums of balanced frequency by distance in the regions of a view, and with
    ``trans`` the mean frequency between its chromosomes.
    """
    from cooltools.api.expected import blocksum_pairwise, diagsum_symm

    pool = multiprocessing.Pool(nproc) if nproc > 1 else None
    try:
        rows = _Rows(
            clr, view["chrom"].unique(), pool.imap if pool else map, 2 if trans else 1, show
        )
        options = {
            "transforms": {"balanced": _balanced},
            "clr_weight_name": WEIGHT,
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
    return table, between


def fit(
    clr: cooler.Cooler,
    regions: Sequence[Region],
    *,
    trans: bool = False,
    monotone: bool | None = None,
    keep: int = KEEP,
    min_pixels: int = MIN_PIXELS,
    wide_from: int = FINE,
    weight: str = "weight",
    nproc: int = 1,
    show: Show | None = None,
) -> Fit:
    """:func:`measure`, then :func:`smooth`."""
    measured = measure(clr, regions, trans=trans, weight=weight, nproc=nproc, show=show)
    decided = trans if monotone is None else monotone
    options: dict[str, Any] = {"min_pixels": min_pixels, "wide_from": wide_from}
    expected = smooth(measured, keep=keep, monotone=decided, **options)
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


def _balanced(pixels: pd.DataFrame) -> pd.Series:
    return pixels["count"] * pixels[f"{WEIGHT}1"] * pixels[f"{WEIGHT}2"]


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
    """The ``map`` of cooltools' sums, cut to pixels in rows of some chromosomes, with progress."""

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
        parts = [
            (max(lo, a), min(hi, b))
            for lo, hi in spans
            for a, b in self._ranges
            if max(lo, a) < min(hi, b)
        ]
        for (a, b), result in zip(parts, self._map(job, parts)):
            self._done += b - a
            if self._show:
                self._show(self._done, self._total)
            yield result


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
