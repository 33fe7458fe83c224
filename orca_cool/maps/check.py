"""Is an .mcool a valid predicted map, and what is it good for? One predicate per check, each with a
``raise_errors`` switch.

The checks that hold for any cooler run on files of any origin; those that only a prediction can
pass are skipped where a file was measured, save one, which says that it was. Pixels are read once,
a chunk at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bioframe
import cooler
import h5py
import numpy as np
from scipy.signal import fftconvolve

from orca_cool.errors import CoolerError
from orca_cool.maps.coolfile import DIFF_FORMAT, FORMAT, MODES, read_layer
from orca_cool.maps.expected import read_tables

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
BALANCE = "ignore_diags divisive_weights cis_only converged scale var tol mad_max min_count min_nnz".split()
OURS = ("format_version", "model", "mode", "pseudo_depth", "eps", "band")
STEP = 1 << 20


@dataclass(frozen=True)
class Result:
    """One check: ``passed`` is None where it does not apply; ``detail`` says what is wrong, or why
    it was skipped.
    """

    resolution: int | None
    name: str
    passed: bool | None
    detail: str = ""


@dataclass
class Report:
    """All checks of a file, and what it is good for (resolution -> facts)."""

    path: str
    results: list[Result] = field(default_factory=list)
    uses: dict[int, dict] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether no check failed."""
        return all(r.passed is not False for r in self.results)


@dataclass(frozen=True)
class Level:
    """One resolution, read: everything but the pixels.

    Attributes
    ----------
    meta : the metadata of a prediction of ours, or None.
    difference : it holds the difference of two predictions.
    region : (nbins,) int, number of the predicted region that holds the bin, -1 outside.
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
        """Bins of every chromosome, from their lengths."""
        return -(-self.lengths // self.resolution)

    @property
    def usable(self) -> np.ndarray:
        """(nbins,) bool, not masked."""
        return (
            ~np.isnan(self.weight)
            if self.weight is not None
            else np.ones(int(self.nbins.sum()), bool)
        )


@dataclass
class Scan:
    """What one pass over the pixels of a resolution found: the first offender of every kind, and
    pairs by distance.
    """

    unsorted: str = ""
    count: str = ""
    masked: str = ""
    total: float = 0.0
    trans: int = 0
    largest: int = -1
    by_distance: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


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
        scan.by_distance += np.bincount(
            (j0 - i0)[cis & inside & (level.region[i0] == level.region[j0])], minlength=widest
        )
        scan.total += float(count.sum(dtype=np.float64))
    return scan


def has_sorted_pixels(level: Level, scan: Scan, raise_errors: bool = False) -> bool:
    """Pixels are sorted, unique, in the upper triangle, inside the bins, and where the index says."""
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
            x = (level.usable[a:b] & (level.region[a:b] == k) & (k >= 0)).astype(float)
            valid[: b - a] += np.rint(fftconvolve(x, x[::-1])[b - a - 1 :]).astype(np.int64)
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
    path = level.uri.split("::")[0]
    problem = ""
    try:
        layer, meta = read_layer(level.uri)
        read_tables(path, layer, meta, cooler.Cooler(level.uri))
    except CoolerError as error:
        problem = str(error)
    return _judge(problem, raise_errors)


def uses_of(level: Level, scan: Scan) -> dict:
    """What a resolution is good for; distances in bp."""
    band = int(level.meta["band"]) if level.meta and "band" in level.meta else scan.largest + 1
    ends, spans = np.cumsum(level.nbins), {}
    for name, a, b in zip(level.chroms, ends - level.nbins, ends):
        used = np.flatnonzero(level.usable[a:b])
        if len(used):
            spans[name] = int(used[-1] - used[0] + 1)
    whole = [c for c, span in spans.items() if span <= band]
    widest = max(spans.values(), default=0)
    return {
        "pixels": len(level.group["pixels/bin1_id"]),
        "band": band * level.resolution,
        # a diamond of w bins on either side looks as far as 2w
        "largest_insulation_window": min(band, widest) // 2 * level.resolution,
        "max_expected_distance": max(min(band, widest) - 1, 0) * level.resolution,
        "eigenvectors": "whole chromosomes"
        if len(whole) == len(spans)
        else "views"
        if not whole
        else "some chromosomes",
        "whole_chromosomes": whole,
        "largest_view": min(band, widest) * level.resolution,
        "trans": scan.trans > 0,
    }


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    if not Path(path).is_file():
        raise CoolerError(f"no such file: {str(path)!r}")
    try:
        with h5py.File(path, "r") as file:
            if "resolutions" not in file or not len(file["resolutions"]):
                raise CoolerError(
                    f"{str(path)!r} is not an .mcool: it has no /resolutions; attributes "
                    f"{dict(file.attrs)}"
                )
            yield file
    except (OSError, RuntimeError) as error:
        raise CoolerError(f"{str(path)!r} cannot be read as HDF5: {error}") from error


def _read_level(path: str | os.PathLike[str], name: str, group: h5py.Group) -> Level:
    """A resolution without its pixels; CoolerError where even that is impossible."""
    try:
        resolution = int(name)
        chroms = [c.decode() for c in group["chroms/name"][:]]
        lengths = group["chroms/length"][:].astype(np.int64)
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
    except (KeyError, ValueError, AttributeError) as error:
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
    return Level(
        f"{path}::resolutions/{name}",
        group,
        resolution,
        chroms,
        lengths,
        weight,
        ours,
        difference,
        region,
    )


def check_mcool(path: str | os.PathLike[str]) -> Report:
    """Run every check on every resolution.

    Raises
    ------
    CoolerError : the file is missing, is not HDF5, or is not multi-resolution at all. What is
        merely wrong is in the report.
    """
    report = Report(str(path))
    kind = "a measured map"

    def run(
        resolution: int | None,
        name: str,
        check: Callable[..., bool],
        *arguments: object,
        applies: bool = True,
    ) -> None:
        if not applies:
            report.results.append(Result(resolution, name, None, f"does not apply to {kind}"))
            return
        try:
            check(*arguments, raise_errors=True)
            report.results.append(Result(resolution, name, True))
        except (CoolerError, KeyError, ValueError, IndexError, OSError) as error:
            # a damaged file may fail in ways that no check foresaw; that too is a failed check
            report.results.append(Result(resolution, name, False, " ".join(str(error).split())))

    with _opened(path) as file:
        run(None, "multires", is_multires, file)
        first: Level | None = None
        for name in sorted(
            file["resolutions"], key=lambda x: (not x.isdigit(), int(x) if x.isdigit() else 0)
        ):
            group = file["resolutions"][name]
            try:
                level = _read_level(path, name, group)
            except (CoolerError, KeyError, ValueError) as error:
                report.results.append(
                    Result(int(name) if name.isdigit() else None, "cooler", False, str(error))
                )
                continue
            first, r, ours = first or level, level.resolution, level.meta is not None
            if level.difference:
                kind = "a difference of two predictions"
            run(r, "attributes", has_attributes, level)
            run(r, "metadata", has_metadata, level, applies=not level.difference)
            run(r, "same genome", has_same_genome, level, first)
            run(r, "bins", has_bins, level)
            run(r, "weights", has_weights, level)
            run(r, "index", has_index, level)
            if not all(
                x.passed
                for x in report.results
                if x.resolution == r and x.name in ("bins", "index")
            ):
                report.results.append(
                    Result(r, "pixels", None, "not read: bins or index are wrong")
                )
                continue
            try:
                scan = scan_pixels(level)
            except (OSError, ValueError, IndexError) as error:
                report.results.append(Result(r, "pixels", False, f"cannot be read: {error}"))
                continue
            run(r, "sorted pixels", has_sorted_pixels, level, scan)
            run(r, "finite counts", has_finite_counts, level, scan, applies=not level.difference)
            run(r, "no masked pixels", has_no_masked_pixels, level, scan, applies=ours)
            run(r, "whole band", has_whole_band, level, scan, applies=ours)
            run(r, "expected tables", has_expected_tables, level, applies=ours)
            if not level.difference:
                report.uses[r] = uses_of(level, scan)
    return report
