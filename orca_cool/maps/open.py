"""Files of contact maps, predicted or measured: the one place where they are opened.

It decides which coolers a file holds and which one a path means, whether a map is balanced by
weights that can be used, and whether orca-cool predicted it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cooler import Cooler
from cooler.fileops import list_coolers

from orca_cool.errors import CoolerError
from orca_cool.genome.regions import Region, n_bins, parse_region
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.coolfile import (
    DIFF_FORMAT,
    FORMAT,
    read_count,
    read_layer,
    read_log_ratio,
    read_strand_difference,
)

#: More bins than this across a region are finer than any screen and only cost memory.
MAX_BINS = 2000

#: Expected by distance is measured on the longest chromosomes, until they have so many bp together:
#: bounded work for any genome.
MEASURED = 300_000_000


@dataclass(frozen=True, eq=False)
class MapFile:
    """A contact map in a file, at one or more resolutions; :func:`open_map` makes it.

    Attributes
    ----------
    path : as it was given to :func:`open_map`.
    uris : resolution in bp -> URI of its cooler, finest first.
    """

    path: str
    uris: Mapping[int, str]
    _expected: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Bin sizes in bp, finest first."""
        return tuple(self.uris)

    @property
    def chromsizes(self) -> dict[str, int]:
        """{chromosome: bp}, in the file's order."""
        return sizes_of(Cooler(next(iter(self.uris.values()))))

    @property
    def predicted(self) -> bool:
        """True if orca-cool wrote the map, with its own expected frequencies; False if it was
        measured, or is the difference of two predictions.
        """
        return self._metadata(self.resolutions[0]).get("format") == FORMAT

    def _metadata(self, resolution: int) -> dict[str, Any]:
        found = self.cooler(resolution).info.get("metadata")
        return found if isinstance(found, dict) else {}

    def uri(self, resolution: int) -> str:
        """URI of a resolution's cooler; CoolerError that lists the resolutions if there is none."""
        if resolution not in self.uris and len(self.uris) == 1:
            raise CoolerError(
                f"contact map {self.path!r} has bins of {self.resolutions[0]} bp; {resolution} are "
                f"needed"
            )
        if resolution not in self.uris:
            raise CoolerError(
                f"contact map {self.path!r} has no resolution {resolution}; it has: "
                f"{', '.join(map(str, self.uris))}"
            )
        return self.uris[resolution]

    def cooler(self, resolution: int) -> Cooler:
        """A resolution, as it is; CoolerError if there is none such."""
        return Cooler(self.uri(resolution))

    def balanced(self, resolution: int, weight: str = "weight") -> Cooler:
        """A resolution that has balancing weights which multiply; CoolerError otherwise."""
        clr = self.cooler(resolution)
        check_balanced(clr, weight)
        return clr

    def best_resolution(self, region: Region) -> int:
        """The finest resolution that knows every pair of bins of a region (of a predicted map:
        whose band holds it) and has at most MAX_BINS bins in it; the coarsest if none does.
        """
        size = len(region)
        fit = [r for r in self.uris if size <= MAX_BINS * r]
        if self.predicted:
            fit = [r for r in fit if read_layer(self.uris[r])[0].band * r >= size]
        return min(fit, default=max(self.uris))

    def fetch(self, region: str | Region, resolution: int | None = None) -> ContactMap:
        """The map of a region.

        Parameters
        ----------
        region : "chrII", "chrII:100,000-400,000", or a Region; bins that it covers in part are
            included.
        resolution : bin size in bp; default: see :meth:`best_resolution`.

        Returns
        -------
        ContactMap. Of a predicted map, ``values`` are what the model predicted, and ``expected``
        and ``eps`` its own. Of a measured map, ``values`` are the log of balanced frequency over
        ``expected``, the mean balanced frequency at each distance (cooltools, smoothed, all
        chromosomes together), and ``eps`` is 0. Of a difference (``orca-cool predict --diff``),
        ``values`` are ln(alternate / reference) and ``expected`` is 1.

        Raises
        ------
        RegionError
            If the region does not lie in the map's chromosomes.
        CoolerError
            If there is no such resolution, or a measured map is not balanced.

        Examples
        --------
        >>> from importlib.resources import files
        >>> measured = open_map(files("orca_cool") / "data" / "maps" / "yeast.10kb.mcool")
        >>> measured.fetch("chrII:100,000-400,000", 10000).values.shape
        (30, 30)
        """
        text = region if isinstance(region, str) else str(region)
        place = parse_region(text, self.chromsizes)
        resolution = self.best_resolution(place) if resolution is None else resolution
        clr = self.cooler(resolution)
        where, start, end = whole_bins(clr, place)
        n = (end - start) // resolution
        distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        strands, eps = None, 0.0
        kind = self._metadata(resolution).get("format")
        if kind == FORMAT:
            layer, _ = read_layer(clr.uri)
            values, eps = read_log_ratio(clr.uri, where), layer.eps
            expected = layer.by_distance(n)[distance]
            strands = read_strand_difference(clr.uri, where)
        elif kind == DIFF_FORMAT:
            values, expected = read_count(clr.uri, where), np.ones((n, n))
        else:
            expected = self._measured_expected(resolution)[distance]
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.log(clr.matrix(balance="weight").fetch(where) / expected)
            values[~np.isfinite(values)] = np.nan
        covered = Region(place.chrom, start, min(end, self.chromsizes[place.chrom]))
        return ContactMap(values.astype(np.float32), expected, eps, covered, resolution, strands)

    def _measured_expected(self, resolution: int) -> np.ndarray:
        """:func:`measured_expected` of a resolution, measured once; CoolerError if the map is not
        balanced.
        """
        if resolution not in self._expected:
            self._expected[resolution] = measured_expected(self.balanced(resolution))
        return self._expected[resolution]


def open_map(path: str | os.PathLike[str]) -> MapFile:
    """Open a .cool or .mcool, predicted or measured.

    Parameters
    ----------
    path : ``file.mcool`` or ``file.cool``; ``file.mcool::4000`` or ``file.mcool::resolutions/4000``
        for one resolution; ``file::GROUP`` for a cooler, or a map of several resolutions, anywhere
        in a file.

    Raises
    ------
    CoolerError
        If there is no such file or resolution, it is no cooler, it holds no map with bins of one
        size, or it holds several maps and the path does not say which (the message lists them).

    Examples
    --------
    >>> from importlib.resources import files
    >>> open_map(files("orca_cool") / "data" / "maps" / "yeast.10kb.mcool").resolutions
    (10000, 20000, 40000, 80000)
    """
    name, _, inner = str(path).partition("::")
    if not Path(name).is_file():
        raise CoolerError(f"contact map {name!r} does not exist: there is no file of that name")
    try:
        groups = ["/" + g.strip("/") for g in list_coolers(name)]
        sizes = {g: Cooler(f"{name}::{g}").binsize for g in groups}
    except (OSError, KeyError, ValueError) as error:
        raise CoolerError(
            f"contact map {name!r} cannot be opened, it is not a cooler file: {error}"
        ) from error
    found = {g: int(size) for g, size in sizes.items() if size}
    if not found:
        raise CoolerError(f"contact map {name!r} holds no cooler with bins of one size")
    chosen = _chosen(found, inner.strip("/")) if inner else found
    if not chosen:
        have = ", ".join(str(r) for r in sorted(set(found.values())))
        raise CoolerError(f"contact map {name!r} has no resolution {inner!r}; it has: {have}")
    if not _is_one_map(chosen):
        listed = ", ".join(f"{name}::{g}" for g in list(chosen)[:10])
        more = f" and {len(chosen) - 10} more" if len(chosen) > 10 else ""
        raise CoolerError(
            f"contact map {str(path)!r} holds several maps; give the path of one: {listed}{more}"
        )
    by_size = sorted((size, g) for g, size in chosen.items())
    return MapFile(str(path), {size: f"{name}::{g}" for size, g in by_size})


def _chosen(found: Mapping[str, int], inner: str) -> dict[str, int]:
    """Of the coolers (group -> bin size) those that ``inner``, the part of a path behind ``::``,
    means: the cooler itself, a resolution, or all that lies below a group.
    """
    exact = {g: n for g, n in found.items() if g.strip("/") in (inner, f"resolutions/{inner}")}
    below = {g: n for g, n in found.items() if g.startswith(f"/{inner}/")}
    of_size = {g: n for g, n in found.items() if str(n) == inner.removeprefix("resolutions/")}
    return exact or below or of_size


def _is_one_map(found: Mapping[str, int]) -> bool:
    """True for a single cooler, and for the resolutions of one map: groups that are numbered and
    lie side by side, of different bin sizes.
    """
    parents = {g.rpartition("/")[0] for g in found}
    numbered = all(g.rpartition("/")[2].isdigit() for g in found)
    different = len(set(found.values())) == len(found)
    return len(found) == 1 or (len(parents) == 1 and numbered and different)


def check_balanced(clr: Cooler, weight: str = "weight") -> None:
    """CoolerError unless a map has bins of one size, its upper triangle, and a column of balancing
    weights that multiply.
    """
    if clr.binsize is None or clr.storage_mode != "symmetric-upper":
        raise CoolerError(
            f"{clr.uri!r} is not a symmetric map with bins of one size; expected by distance needs "
            f"one"
        )
    columns = [str(c) for c in clr.bins().columns if c not in ("chrom", "start", "end")]
    if weight not in columns:
        hint = f"; it has {', '.join(columns)} (--clr-weight-name)" if columns else ""
        raise CoolerError(
            f"{clr.uri!r} is not balanced: it has no column {weight!r} (run `cooler balance`){hint}"
        )
    _require_multiplicative(clr, weight)


def usable_weight(clr: Cooler) -> str | None:
    """The column of balancing weights, "weight", or None for a map that is not balanced, of which
    raw counts must serve; CoolerError for weights that divide.
    """
    if "weight" not in clr.bins().columns:
        return None
    _require_multiplicative(clr, "weight")
    return "weight"


def _require_multiplicative(clr: Cooler, weight: str) -> None:
    from cooltools.lib.schemas import DIVISIVE_WEIGHTS_4DN

    with clr.open("r") as group:
        divisive = bool(group[f"bins/{weight}"].attrs.get("divisive_weights", False))
    if divisive or weight in DIVISIVE_WEIGHTS_4DN:
        raise CoolerError(
            f"the weights {weight!r} of {clr.uri!r} divide; multiplicative ones are needed (run "
            f"`cooler balance`)"
        )


def ignored_diagonals(clr: Cooler, weight: str | None) -> int:
    """Diagonals, from the main one, that balancing left out; 2 where the map does not say."""
    if weight is None:
        return 2
    with clr.open("r") as group:
        return int(group[f"bins/{weight}"].attrs.get("ignore_diags", 2))


def measured_expected(clr: Cooler, chroms: Sequence[str] | None = None) -> np.ndarray:
    """Mean frequency by distance of a measured map (``cooltools.expected_cis``, smoothed).

    Parameters
    ----------
    clr : balanced by multiplicative weights; of a map that is not balanced the raw counts are used.
    chroms : chromosomes that are measured, together; default: the longest, until they have MEASURED
        bp together.

    Returns
    -------
    (n,) float64 for 0, 1, ... bins of distance, to the end of the longest chromosome of the map;
    NaN where it is not known, and on the diagonals that balancing left out.
    """
    from cooltools import expected_cis

    sizes = sizes_of(clr)
    if chroms is None:
        ordered = clr.chromsizes.sort_values(ascending=False, kind="stable")
        chosen = ordered[(ordered.cumsum() - ordered) < MEASURED].index
        chroms = [c for c in sizes if c in chosen]
    view = pd.DataFrame(
        {"chrom": chroms, "start": 0, "end": [sizes[c] for c in chroms], "name": chroms}
    )
    weight = usable_weight(clr)
    ignored = ignored_diagonals(clr, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cooltools warns of every empty diagonal
        table = expected_cis(
            clr,
            view_df=view,
            clr_weight_name=weight,
            ignore_diags=ignored,
            smooth=True,
            aggregate_smoothed=True,
            nproc=1,
        )
    column = ("balanced" if weight else "count") + ".avg.smoothed.agg"
    by_distance = table.groupby("dist")[column].max()  # the same in every region
    longest = n_bins(max(sizes.values()), int(clr.binsize or 1))
    expected = by_distance.reindex(np.arange(longest)).to_numpy(float)
    expected[:ignored] = np.nan  # what smoothing leaks onto them
    return expected


def sizes_of(clr: Cooler) -> dict[str, int]:
    """{chromosome: bp} of a cooler, in its order."""
    return {str(c): int(n) for c, n in clr.chromsizes.items()}


def whole_bins(clr: Cooler, region: Region) -> tuple[tuple[str, int, int], int, int]:
    """The region as far as the cooler's chromosome goes, and the bp of its bins' outer edges."""
    sizes = sizes_of(clr)
    if region.chrom not in sizes:
        raise CoolerError(
            f"{clr.uri!r} has no chromosome {region.chrom!r}; it has: {', '.join(list(sizes)[:20])}"
        )
    # Releases of one assembly differ by single corrections; whole regions must still be found in
    # both.
    end = min(region.end, sizes[region.chrom])
    if end <= region.start:
        raise CoolerError(
            f"{clr.uri!r}: {region} begins after the end of {region.chrom}, "
            f"{sizes[region.chrom]:,} bp"
        )
    binsize = int(clr.binsize or 0)
    first, last = region.start // binsize, -(-end // binsize)
    return (region.chrom, region.start, end), first * binsize, last * binsize
