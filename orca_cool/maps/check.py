"""Is an .mcool a valid predicted map, and what is it good for?

The checks that hold for any cooler run on files of any origin; those that only a prediction can
pass are skipped where a file was measured, save one, which says that it was. Pixels are read once,
a chunk at a time. The rules are in :mod:`orca_cool.maps.check_rules`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from orca_cool.errors import CoolerError
from orca_cool.maps import check_rules as rules
from orca_cool.maps.checked_level import Level, Scan, nearest_dot, read_level, scan_pixels
from orca_cool.maps.hdf5 import check_self_contained
from orca_cool.maps.open import hic_advice

#: What readers raise on tables that are not what they should be.
DAMAGED = (
    KeyError,
    ValueError,
    IndexError,
    OSError,
    TypeError,
    AttributeError,
    OverflowError,
    RuntimeError,
)

#: Upper edge of the last bin for expected counts that cooltools' dots has: 2 ** (39 / 3), with its
#: ``n_lambda_bins`` of 40; a pixel above it is an error there.
DOTS_LIMIT = 8192


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

    def add(
        self,
        resolution: int | None,
        name: str,
        rule: Callable[..., bool],
        *arguments: object,
        skip: str = "",
    ) -> None:
        """Apply a rule; with ``skip``, which says to what it does not apply, only note that."""
        if skip:
            self.results.append(Result(resolution, name, None, f"does not apply to {skip}"))
            return
        try:
            rule(*arguments, raise_errors=True)
            self.results.append(Result(resolution, name, True))
        except (CoolerError, *DAMAGED) as error:
            # a damaged file may fail in ways that no rule foresaw; that too is a failed check
            self.results.append(Result(resolution, name, False, " ".join(str(error).split())))


def check_mcool(path: str | os.PathLike[str]) -> Report:
    """Run every check on every resolution.

    Raises
    ------
    CoolerError
        If the file is missing, is not HDF5, or is not multi-resolution at all. What is merely wrong
        is in the report.
    """
    report = Report(str(path))
    with _opened(path) as file:
        report.add(None, "multires", rules.is_multires, file)
        first: Level | None = None
        for name in sorted(
            file["resolutions"], key=lambda x: (not x.isdecimal(), len(x.lstrip("0")), x)
        ):
            try:
                level = read_level(path, name, file["resolutions"][name])
            except (CoolerError, *DAMAGED) as error:
                number = int(name) if name.isdecimal() and len(name) < 11 else None
                report.results.append(Result(number, "cooler", False, str(error)))
                continue
            first = first or level
            if _check_tables(report, level, first):
                _check_pixels(report, level)
    return report


def _check_tables(report: Report, level: Level, first: Level) -> bool:
    """Check all but the pixels; True if bins and index are such that pixels can be looked at."""
    r = level.resolution
    report.add(r, "attributes", rules.has_attributes, level)
    skip = "a difference of two predictions" if level.difference else ""
    report.add(r, "metadata", rules.has_metadata, level, skip=skip)
    report.add(r, "same genome", rules.has_same_genome, level, first)
    report.add(r, "bins", rules.has_bins, level)
    report.add(r, "weights", rules.has_weights, level)
    report.add(r, "index", rules.has_index, level)
    needed = [x for x in report.results if x.resolution == r and x.name in ("bins", "index")]
    if all(x.passed for x in needed):
        return True
    report.results.append(Result(r, "pixels", None, "not read: bins or index are wrong"))
    return False


def _check_pixels(report: Report, level: Level) -> None:
    r = level.resolution
    try:
        scan = scan_pixels(level)
    except DAMAGED as error:
        report.results.append(Result(r, "pixels", False, f"cannot be read: {error}"))
        return
    subtracted = "a difference of two predictions" if level.difference else ""
    other = "" if level.meta is not None else subtracted or "a measured map"
    report.add(r, "sorted pixels", rules.has_sorted_pixels, level, scan)
    report.add(r, "finite counts", rules.has_finite_counts, level, scan, skip=subtracted)
    report.add(r, "no masked pixels", rules.has_no_masked_pixels, level, scan, skip=other)
    report.add(r, "whole band", rules.has_whole_band, level, scan, skip=other)
    report.add(r, "expected tables", rules.has_expected_tables, level, skip=other)
    if not level.difference:
        report.uses[r] = uses_of(level, scan)


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
        "integers": bool(np.issubdtype(level.group["pixels/count"].dtype, np.integer)),
        "dots": _dots(level, scan),
    }


def _dots(level: Level, scan: Scan) -> dict[str, float | bool] | None:
    """Whether cooltools' dots can bin the expected counts of a predicted map, and up to which
    pseudo-depth; None where that is not known, as of a measured map.
    """
    if level.meta is None or "pseudo_depth" not in level.meta:
        return None
    depth = float(level.meta["pseudo_depth"])
    if nearest_dot(level.resolution) is None or not scan.brightest:
        return None
    most = depth * DOTS_LIMIT / scan.brightest
    return {"pseudo_depth": depth, "largest_pseudo_depth": most, "fits": depth <= most}


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    if Path(path).is_dir():
        raise CoolerError(f"{str(path)!r} is a folder; give an .mcool")
    if not Path(path).is_file():
        raise CoolerError(f"no such file: {str(path)!r}")
    if advice := hic_advice(path):
        raise CoolerError(advice)
    if not h5py.is_hdf5(path):
        raise CoolerError(f"{str(path)!r} is not an .mcool: it is no HDF5, or is cut short")
    check_self_contained(path)
    try:
        with h5py.File(path, "r") as file:
            levels = file.get("resolutions")
            if not isinstance(levels, h5py.Group) or not len(levels):
                raise CoolerError(
                    f"{str(path)!r} is not an .mcool: it has no /resolutions; attributes "
                    f"{dict(file.attrs)}"
                )
            yield file
    except (OSError, RuntimeError) as error:
        raise CoolerError(f"{str(path)!r} cannot be read as HDF5: {error}") from error
