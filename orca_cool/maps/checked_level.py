"""One resolution of a file that is being checked: its tables, and what one pass over its pixels
finds.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field

import bioframe
import h5py
import numpy as np

from orca_cool.errors import CoolerError
from orca_cool.maps.coolfile import DIFF_FORMAT, FORMAT
from orca_cool.maps.open import MAX_RESOLUTION

#: Pixels that are read at once.
STEP = 1 << 20

#: Half widths of the kernels that cooltools' dots takes by itself, by the finest bin in bp from
#: which on it does, and the coarsest bin for which it has any (``recommend_kernels`` of its
#: ``dotfinder``).
KERNELS = {4000: 7, 8000: 5, 18000: 3}
COARSEST = 28_000


def nearest_dot(resolution: int) -> int | None:
    """Bins between the nearest two loci that cooltools' dots looks at with its own kernels, which
    must not reach across the diagonal; None where it has no kernels for such bins.
    """
    found = [half for finest, half in KERNELS.items() if finest <= resolution <= COARSEST]
    return 2 * found[-1] if found else None


@dataclass(frozen=True)
class Level:
    """One resolution without its pixels.

    Attributes
    ----------
    uri, group : where it is, and the open HDF5 group.
    resolution : size of a bin in bp.
    chroms, lengths : names, and (chromosomes,) int64 lengths in bp.
    weight : (bins,) balancing weights, NaN where masked; None if there is no such column.
    meta : the metadata if orca-cool predicted the map, else None.
    difference : True if it holds the difference of two predictions.
    region : (bins,) int, number of the predicted region that holds the bin, -1 outside of all.
    """

    uri: str
    group: h5py.Group
    resolution: int
    chroms: list[str]
    lengths: np.ndarray
    weight: np.ndarray | None
    meta: dict | None
    difference: bool
    region: np.ndarray

    @property
    def nbins(self) -> np.ndarray:
        """(chromosomes,) number of bins of each, from the lengths."""
        return -(-self.lengths // self.resolution)

    @property
    def usable(self) -> np.ndarray:
        """(bins,) bool, True where a bin is not masked."""
        return (
            ~np.isnan(self.weight)
            if self.weight is not None
            else np.ones(int(self.nbins.sum()), bool)
        )


@dataclass
class Scan:
    """What one pass over the pixels of a resolution found.

    Attributes
    ----------
    unsorted, count, masked : the first pixel out of order, with a count that is negative or not
        finite, and on a masked bin; "" if there is none.
    total : sum of the counts.
    trans : number of pixels between chromosomes.
    largest : largest distance within a chromosome in bins, -1 if there is no pixel.
    by_distance : number of pixels within a predicted region, by distance in bins.
    brightest : largest count within a chromosome at the distances of :func:`nearest_dot`; 0 if
        there is none.
    """

    unsorted: str = ""
    count: str = ""
    masked: str = ""
    total: float = 0.0
    trans: int = 0
    largest: int = -1
    by_distance: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    brightest: float = 0.0


def read_level(path: str | os.PathLike[str], name: str, group: h5py.Group) -> Level:
    """A resolution without its pixels; CoolerError where even that is impossible."""
    try:
        if not (name.isdecimal() and 0 < int(name[:11]) <= MAX_RESOLUTION):
            raise CoolerError(f"resolutions/{name[:40]} is not named by the bp of its bins")
        resolution = int(name)
        chroms = [c.decode() for c in group["chroms/name"][:]]
        lengths = group["chroms/length"][:].astype(np.int64)
        needed, there = int((-(-lengths // resolution)).sum()), len(group["bins/start"])
        if (lengths < 1).any() or needed > 10 * there + 1000:
            raise CoolerError(f"resolutions/{name} has {there} bins, its chromosomes need {needed}")
        weight = group["bins/weight"][:] if "weight" in group["bins"] else None
        for required in (
            "bins/chrom",
            "bins/start",
            "bins/end",
            "indexes/chrom_offset",
            "indexes/bin1_offset",
        ):
            group[required]
        for required in ("bin1_id", "bin2_id", "count"):
            group["pixels"][required]
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise CoolerError(f"resolutions/{name} is not a cooler: {error}") from error
    try:
        meta = json.loads(group.attrs.get("metadata", "{}"))
    except (TypeError, ValueError):
        meta = {}
    ours = meta if isinstance(meta, dict) and meta.get("format") == FORMAT else None
    n = -(-lengths // resolution)
    region = np.repeat(np.arange(len(n)), n)
    if ours and ours.get("regions"):
        region = np.full(int(n.sum()), -1)
        starts = dict(zip(chroms, np.cumsum(n) - n))
        for k, text in reversed(
            list(enumerate(ours["regions"]))
        ):  # a bin that two regions share is the first one's
            chrom, start, end = bioframe.parse_region(text, dict(zip(chroms, lengths)))
            region[starts[chrom] + start // resolution : starts[chrom] - (-end // resolution)] = k
    difference = isinstance(meta, dict) and meta.get("format") == DIFF_FORMAT
    uri = f"{path}::resolutions/{name}"
    return Level(uri, group, resolution, chroms, lengths, weight, ours, difference, region)


def scan_pixels(level: Level) -> Scan:
    """One pass over the pixels, ``STEP`` at a time."""
    pixels, scan, usable = level.group["pixels"], Scan(), level.usable
    offset, n = level.group["indexes/bin1_offset"][:], int(level.nbins.sum())
    chrom, previous = np.repeat(np.arange(len(level.nbins)), level.nbins), -1
    widest = int(level.nbins.max())
    scan.by_distance = np.zeros(widest, np.int64)
    for a in range(0, len(pixels["bin1_id"]), STEP):
        i, j, count = (pixels[c][a : a + STEP] for c in ("bin1_id", "bin2_id", "count"))

        def first(
            wrong: np.ndarray,
            a: int = a,
            i: np.ndarray = i,
            j: np.ndarray = j,
            count: np.ndarray = count,
        ) -> str:
            k = int(np.argmax(wrong))
            return f"pixel {a + k} ({i[k]}, {j[k]}) = {count[k]}" if wrong.any() else ""

        key = np.concatenate([[previous], i.astype(np.int64) * n + j])
        previous = int(key[-1])
        inside = (i >= 0) & (j >= i) & (j < n)
        scan.unsorted = scan.unsorted or first(~inside | (np.diff(key) <= 0))
        i0, j0 = np.where(inside, i, 0), np.where(inside, j, 0)
        indexed = (offset[np.minimum(i0, len(offset) - 2)] <= a + np.arange(len(i))) & (
            a + np.arange(len(i)) < offset[i0 + 1]
        )
        scan.unsorted = scan.unsorted or first(~indexed)
        scan.count = scan.count or first(~(np.isfinite(count) & (count >= 0)))
        scan.masked = scan.masked or first(inside & ~(usable[i0] & usable[j0]))
        cis = chrom[i0] == chrom[j0]
        scan.trans += int((~cis).sum())
        d = (j0 - i0)[cis & inside]
        scan.largest = max(scan.largest, int(d.max(initial=-1)))
        if (nearest := nearest_dot(level.resolution)) is not None:
            far = count[cis & inside][d >= nearest]
            scan.brightest = max(scan.brightest, float(far.max(initial=0)))
        scan.by_distance += np.bincount(
            (j0 - i0)[cis & inside & (level.region[i0] == level.region[j0])], minlength=widest
        )
        scan.total += float(count.sum(dtype=np.float64))
    return scan
