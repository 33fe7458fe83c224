"""What a valid .mcool must be like: one predicate a rule, each with a ``raise_errors`` switch.

A predicate returns True or False; with ``raise_errors`` it raises a CoolerError that names the
first offender instead of returning False.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from orca_cool.errors import CoolerError
from orca_cool.maps.checked_level import Level, Scan
from orca_cool.maps.coolfile import BALANCED, FORMAT, MODES, read_layer
from orca_cool.maps.expected import pairs_by_distance, read_tables

ATTRIBUTES: dict[str, Any] = {
    "format": "HDF5::Cooler",
    "format-version": 3,
    "bin-type": "fixed",
    "storage-mode": "symmetric-upper",
}
ROOT: dict[str, Any] = {"format": "HDF5::MCOOL", "format-version": 2, "bin-type": "fixed"}
PRESENT = (
    "bin-size",
    "nbins",
    "nchroms",
    "nnz",
    "sum",
    "genome-assembly",
    "generated-by",
    "metadata",
    "creation-date",
)
BALANCE = tuple(BALANCED)
OURS = ("format_version", "model", "mode", "pseudo_depth", "eps", "band")


def _judge(problem: str, raise_errors: bool) -> bool:
    if problem and raise_errors:
        raise CoolerError(problem)
    return not problem


def is_multires(file: h5py.File, raise_errors: bool = False) -> bool:
    """Root attributes of a multi-resolution cooler, and a cooler in every resolution."""
    attrs = dict(file.attrs)
    problem = ""
    for key, value in ROOT.items():
        if attrs.get(key) != value:
            problem = problem or f"root attribute {key!r} is {attrs.get(key)!r}, not {value!r}"
    for name, group in file["resolutions"].items():
        if group.attrs.get("bin-size") is not None and str(group.attrs["bin-size"]) != name:
            problem = problem or f"resolutions/{name} has bin-size {group.attrs['bin-size']!r}"
    return _judge(problem, raise_errors)


def has_attributes(level: Level, raise_errors: bool = False) -> bool:
    """The attributes that cooler writes, with the values that they must have."""
    attrs = level.group.attrs
    wrong = [
        f"{k!r} is {attrs.get(k)!r}, not {v!r}" for k, v in ATTRIBUTES.items() if attrs.get(k) != v
    ]
    wrong += [f"{k!r} is missing" for k in PRESENT if k not in attrs]
    return _judge("; ".join(f"attribute {w}" for w in wrong), raise_errors)


def has_same_genome(level: Level, first: Level, raise_errors: bool = False) -> bool:
    """The same chromosomes, lengths and assembly as the first resolution."""
    problem = ""
    if level.chroms != first.chroms or not np.array_equal(level.lengths, first.lengths):
        problem = (
            f"chromosomes {_genome(level)} differ from {_genome(first)} at {first.resolution} bp"
        )
    mine, other = (x.group.attrs.get("genome-assembly") for x in (level, first))
    if mine != other:
        problem = problem or f"assembly {mine!r} differs from {other!r} at {first.resolution} bp"
    return _judge(problem, raise_errors)


def _genome(level: Level) -> str:
    pairs = [f"{c}:{n}" for c, n in zip(level.chroms, level.lengths)]
    return ", ".join(pairs[:4]) + (f" and {len(pairs) - 4} more" if len(pairs) > 4 else "")


def has_bins(level: Level, raise_errors: bool = False) -> bool:
    """Bins tile every chromosome; the last one ends at its end."""
    bins, n = level.group["bins"], level.nbins
    start = np.concatenate([np.arange(k) * level.resolution for k in n])
    chrom = np.repeat(np.arange(len(n)), n)
    truth = {
        "chrom": chrom,
        "start": start,
        "end": np.minimum(start + level.resolution, level.lengths[chrom]),
    }
    problem = ""
    for name, values in truth.items():
        found = bins[name][:]
        if found.shape != values.shape:
            problem = (
                problem or f"bins/{name} has {len(found)} bins, the chromosomes need {len(values)}"
            )
        elif (found != values).any():
            i = int(np.argmax(found != values))
            problem = problem or f"bins/{name} of bin {i} is {found[i]}, not {values[i]}"
    return _judge(problem, raise_errors)


def has_weights(level: Level, raise_errors: bool = False) -> bool:
    """``bins/weight`` with the attributes of ``cooler balance``; in a prediction 1 /
    sqrt(pseudo-depth) or NaN.
    """
    if level.weight is None:
        return _judge(
            "bins/weight is missing: cooltools and HiGlass would read raw counts", raise_errors
        )
    missing = [k for k in BALANCE if k not in level.group["bins/weight"].attrs]
    problem = f"bins/weight lacks the attributes {', '.join(missing)}" if missing else ""
    if level.meta is not None and "pseudo_depth" in level.meta:
        constant = 1 / np.sqrt(level.meta["pseudo_depth"])
        wrong = level.usable & ~np.isclose(level.weight, constant, rtol=1e-12)
        if wrong.any():
            i = int(np.argmax(wrong))
            problem = (
                problem
                or f"weight of bin {i} is {level.weight[i]!r}, not {constant!r} = 1 / "
                f"sqrt(pseudo-depth)"
            )
    return _judge(problem, raise_errors)


def has_index(level: Level, raise_errors: bool = False) -> bool:
    """Offsets are monotone and agree with the tables; all pixel columns are as long as ``nnz``."""
    pixels, offset = level.group["pixels"], level.group["indexes/bin1_offset"][:]
    nnz, starts = len(pixels["bin1_id"]), np.concatenate([[0], np.cumsum(level.nbins)])
    problem = "".join(
        f"pixels/{c} has {len(d)} rows, bin1_id {nnz}; " for c, d in pixels.items() if len(d) != nnz
    )
    if level.group.attrs.get("nnz") != nnz:
        problem = (
            problem
            or f"attribute 'nnz' is {level.group.attrs.get('nnz')!r}, there are {nnz} pixels"
        )
    if not np.array_equal(level.group["indexes/chrom_offset"][:], starts):
        problem = problem or "indexes/chrom_offset does not agree with the chromosomes"
    if (
        len(offset) != starts[-1] + 1
        or offset[0] != 0
        or offset[-1] != nnz
        or (np.diff(offset) < 0).any()
    ):
        problem = (
            problem or f"indexes/bin1_offset does not rise from 0 to {nnz} over {starts[-1]} bins"
        )
    return _judge(problem, raise_errors)


def has_sorted_pixels(level: Level, scan: Scan, raise_errors: bool = False) -> bool:
    """Pixels are sorted, unique, in the upper triangle, inside the bins, and as the index says."""
    return _judge(
        scan.unsorted
        and f"{scan.unsorted} is not where it must be (sorted, unique, upper triangle, as indexed)",
        raise_errors,
    )


def has_finite_counts(level: Level, scan: Scan, raise_errors: bool = False) -> bool:
    """Counts are finite and not negative, and add up to the attribute ``sum``."""
    problem = scan.count and f"{scan.count} is negative or not finite"
    total = level.group.attrs.get("sum")
    if total is None or not np.isclose(float(total), scan.total, rtol=1e-6):
        problem = problem or f"attribute 'sum' is {total!r}, the counts add up to {scan.total!r}"
    return _judge(problem, raise_errors)


def has_no_masked_pixels(level: Level, scan: Scan, raise_errors: bool = False) -> bool:
    """No pixel on a bin whose weight is NaN."""
    return _judge(scan.masked and f"{scan.masked} lies on a masked bin", raise_errors)


def has_whole_band(level: Level, scan: Scan, raise_errors: bool = False) -> bool:
    """Every pair of unmasked bins of one region within the band is there, and none beyond it.

    At the coordinates of a reference pairs may lack that an edit has moved apart.
    """
    assert level.meta is not None
    band, valid = int(level.meta["band"]), np.zeros(len(scan.by_distance), np.int64)
    ends = np.cumsum(level.nbins)
    for a, b in zip(ends - level.nbins, ends):
        for k in np.unique(level.region[a:b]):
            usable = level.usable[a:b] & (level.region[a:b] == k) & (k >= 0)
            valid[: b - a] += pairs_by_distance(usable)
    lacking = (scan.by_distance != valid)[:band]
    problem = (
        f"a pixel at distance {scan.largest} bins lies beyond the band of {band}"
        if scan.largest >= band
        else ""
    )
    lifted = level.meta.get("lifted_to_reference") or level.meta.get("frame") == "reference"
    if lacking.any() and not lifted:
        d = int(np.argmax(lacking))
        problem = (
            problem
            or f"{scan.by_distance[d]} pixels at distance {d} bins, but {valid[d]} pairs of "
            f"unmasked bins"
        )
    return _judge(problem, raise_errors)


def has_metadata(level: Level, raise_errors: bool = False) -> bool:
    """The metadata of a prediction: everything needed to invert it."""
    if level.meta is None:
        return _judge(
            f"not a prediction of orca-cool: the metadata has no format {FORMAT!r}", raise_errors
        )
    missing = [k for k in OURS if k not in level.meta]
    problem = f"metadata lacks {', '.join(missing)}" if missing else ""
    if level.meta.get("mode") not in MODES:
        problem = problem or f"metadata has mode {level.meta.get('mode')!r}"
    if "orca_cool/expected" not in level.group:
        problem = problem or "the expected by distance, orca_cool/expected, is missing"
    return _judge(problem, raise_errors)


def has_expected_tables(level: Level, raise_errors: bool = False) -> bool:
    """The tables beside the file are what cooltools reads, and hold the expected that the file was
    made with.
    """
    import cooler

    path = level.uri.split("::")[0]
    problem = ""
    try:
        layer, meta = read_layer(level.uri)
        read_tables(path, layer, meta, cooler.Cooler(level.uri))
    except CoolerError as error:
        problem = str(error)
    return _judge(problem, raise_errors)
