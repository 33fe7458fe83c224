"""Files of contact maps, predicted or measured: the one place where they are opened.

It decides which coolers a file holds and which one a path means, which weights balance a measured
map and how they are used (:mod:`orca_cool.maps.weights`), and whether orca-cool predicted it. A
file that refers to other files, or whose links lead in a circle, is refused
(:mod:`orca_cool.maps.hdf5`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from cooler import Cooler

from orca_cool.errors import CoolerError, OrcaCoolError
from orca_cool.genome.regions import Region, parse_region
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.coolfile import (
    DIFF_FORMAT,
    FORMAT,
    read_count,
    read_layer,
    read_log_ratio,
    read_strand_difference,
)
from orca_cool.maps.hdf5 import groups_of
from orca_cool.maps.weights import (
    WEIGHT,
    BalancedCooler,
    balanced_or_raw,
    measured_expected,
    require_contacts,
)

#: More bins than this across a region are finer than any screen and only cost memory.
MAX_BINS = 2000

#: Bins of more bp than this are in no genome, and cooler has no numbers for them.
MAX_RESOLUTION = 2**31 - 1


@dataclass(frozen=True, eq=False)
class MapFile:
    """A contact map in a file, at one or more resolutions; :func:`open_map` makes it.

    Attributes
    ----------
    path : as it was given to :func:`open_map`.
    uris : resolution in bp -> URI of its cooler, finest first.
    clr_weight_name : column of balancing weights by which a measured map is read.
    """

    path: str
    uris: Mapping[int, str]
    clr_weight_name: str = WEIGHT
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
        return self.metadata(self.resolutions[0]).get("format") == FORMAT

    @property
    def difference(self) -> bool:
        """True if it is the difference of two predictions (``orca-cool predict --diff``)."""
        return self.metadata(self.resolutions[0]).get("format") == DIFF_FORMAT

    def metadata(self, resolution: int) -> dict[str, Any]:
        """What the file says about a resolution beside cooler's own attributes; empty if
        nothing.
        """
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

    def balanced(self, resolution: int) -> BalancedCooler:
        """A resolution with its balancing weights; CoolerError if it has none that can be used, or
        is the difference of two predictions.
        """
        self._require_frequencies()
        return BalancedCooler(self.uri(resolution), self.clr_weight_name)

    def balanced_or_raw(self, resolution: int) -> Cooler:
        """A resolution with its balancing weights, or as it is if it was not balanced and no column
        of weights was asked for; CoolerError as :meth:`balanced`.
        """
        self._require_frequencies()
        return balanced_or_raw(self.cooler(resolution), self.clr_weight_name)

    def _require_frequencies(self) -> None:
        if self.difference:
            raise CoolerError(
                f"contact map {self.path!r} is the difference of two predictions, ln(alternate / "
                f"reference), and has no contacts; give a measured map"
            )

    def best_resolution(self, region: Region) -> int:
        """The finest resolution that knows every pair of bins of a region (of a predicted map:
        whose band holds it) and has at most MAX_BINS bins in it; the coarsest if none does.
        """
        size = len(region)
        fit = [r for r in self.uris if size <= MAX_BINS * r]
        if self.predicted:
            fit = [r for r in fit if read_layer(self.uris[r])[0].band * r >= size]
        if self.difference:  # older ones do not say how far they reach
            bands = self.metadata(self.resolutions[0]).get("bands", {})
            fit = [r for r in fit if int(bands.get(str(r), MAX_BINS)) * r >= size]
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
            If there is no such resolution, or a measured map is not balanced, or has no contacts
            within the chromosome.

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
        kind = self.metadata(resolution).get("format")
        if kind == FORMAT:
            layer, _ = read_layer(clr.uri)
            values, eps = read_log_ratio(clr.uri, where), layer.eps
            expected = layer.by_distance(n)[distance]
            strands = read_strand_difference(clr.uri, where)
        elif kind == DIFF_FORMAT:
            values, expected = read_count(clr.uri, where), np.ones((n, n))
        else:
            clr = self.balanced(resolution)
            name = f"contact map {self.path!r}"
            require_contacts(clr, [place.chrom], name, "choose another chromosome")
            expected = self._measured_expected(clr, resolution)[distance]
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.log(clr.matrix().fetch(where) / expected)
            values[~np.isfinite(values)] = np.nan
        covered = Region(place.chrom, start, min(end, self.chromsizes[place.chrom]))
        return ContactMap(values.astype(np.float32), expected, eps, covered, resolution, strands)

    def _measured_expected(self, clr: BalancedCooler, resolution: int) -> np.ndarray:
        """:func:`measured_expected` of a resolution, measured once."""
        if resolution not in self._expected:
            self._expected[resolution] = measured_expected(clr)
        return self._expected[resolution]


def open_map(path: str | os.PathLike[str], clr_weight_name: str = WEIGHT) -> MapFile:
    """Open a .cool or .mcool, predicted or measured.

    Parameters
    ----------
    path : ``file.mcool`` or ``file.cool``; ``file.mcool::4000`` or ``file.mcool::resolutions/4000``
        for one resolution; ``file::GROUP`` for a cooler, or a map of several resolutions, anywhere
        in a file.
    clr_weight_name : of a measured map, the column of balancing weights ("weight" is that of
        ``cooler balance``; maps that were .hic have "KR", "SCALE", ...). Whether they multiply or
        divide is told by the file (its attribute ``divisive_weights``) or by the name.

    Raises
    ------
    CoolerError
        If there is no such file or resolution, it is no cooler, it holds no map with bins of one
        size, or it holds several maps and the path does not say which (the message lists them); if
        it refers to other files, or has links that lead in a circle.

    Examples
    --------
    >>> from importlib.resources import files
    >>> open_map(files("orca_cool") / "data" / "maps" / "yeast.10kb.mcool").resolutions
    (10000, 20000, 40000, 80000)
    """
    name, _, inner = str(path).partition("::")
    if not Path(name).is_file():
        raise CoolerError(f"contact map {name!r} does not exist: there is no file of that name")
    found = _coolers(name)
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
    uris = {size: f"{name}::{g}" for size, g in by_size}
    return MapFile(str(path), uris, clr_weight_name)


def hic_advice(path: str | os.PathLike[str]) -> str | None:
    """What to do with a .hic file, as a sentence about it; None if a file is something else."""
    with open(path, "rb") as file:
        if file.read(4) != b"HIC\0":
            return None
    made = shlex.quote(str(Path(path).with_suffix(".mcool")))
    return (
        f"{os.fspath(path)!r} is a .hic file; make it an .mcool with `hictk convert "
        f"{shlex.quote(os.fspath(path))} {made}`, and name its normalization (KR, SCALE, VC, ...) "
        f"with --clr-weight-name, or balance it with `cooler balance`"
    )


def cooler_groups(
    path: str | os.PathLike[str], error: type[OrcaCoolError] = CoolerError
) -> dict[str, int | None]:
    """The coolers in a file: group -> bp of its bins, None if they are of different sizes.

    Raises
    ------
    OrcaCoolError
        The ``error``, as :func:`orca_cool.maps.hdf5.check_self_contained`; if a cooler lacks a
        table.
    """
    found: dict[str, int | None] = {}
    for group in groups_of(path, error):
        if group.attrs.get("format") != "HDF5::Cooler":
            continue
        for table in ("chroms/name", "chroms/length", "bins/chrom", "bins/start", "bins/end"):
            if table not in group:
                raise error(
                    f"contact map {os.fspath(path)!r} cannot be opened, it is not a cooler file: "
                    f"{group.name} has no {table}"
                )
        size = str(group.attrs.get("bin-size"))
        known = size.isdecimal() and 0 < int(size[:11]) <= MAX_RESOLUTION
        found["/" + group.name.strip("/")] = int(size) if known else None
    return found


def _coolers(name: str) -> dict[str, int]:
    """The coolers with bins of one size in a file: group -> bp; CoolerError if there is none."""
    if advice := hic_advice(name):
        raise CoolerError(f"contact map {advice}")
    if not h5py.is_hdf5(name):
        raise CoolerError(
            f"contact map {name!r} cannot be opened, it is not a cooler file: it is no HDF5"
        )
    found = {group: size for group, size in cooler_groups(name).items() if size is not None}
    if not found:
        raise CoolerError(f"contact map {name!r} holds no cooler with bins of one size")
    return found


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
