"""The difference of two predicted maps: ln(alternate / reference), as an .mcool."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cooler
import h5py
import numpy as np
import pandas as pd

from orca_cool.errors import CoolerError, OutputError
from orca_cool.files import replace_file, temporary_path
from orca_cool.maps.coolfile import BALANCED, DIFF_FORMAT, read_layer
from orca_cool.maps.open import open_map, sizes_of
from orca_cool.maps.pixels import writing

try:
    import resource
except ImportError:  # Windows has no limit of this kind
    resource = None  # type: ignore[assignment]

DIFF_FORMAT_VERSION = 1

#: Pixels read at once.
CELLS = 1 << 19


def require_chromsizes(uri: str, wanted: Mapping[str, int]) -> None:
    """CoolerError that names the first difference if a cooler's chromosomes are not these, in this
    order.
    """
    found = sizes_of(cooler.Cooler(uri))
    if list(found.items()) == list(wanted.items()):
        return
    for c in [*wanted, *found]:
        if found.get(c) != wanted.get(c):
            raise CoolerError(
                f"{uri!r} is of another genome: {c} has {found.get(c, 'no')} bp there, "
                f"{wanted.get(c, 'no')} bp here"
            )
    raise CoolerError(
        f"{uri!r} has the chromosomes in another order: {', '.join(list(found)[:10])}"
    )


def require_comparable(
    path: str | os.PathLike[str],
    levels: Sequence[int],
    chromsizes: Mapping[str, int],
    wanted: Mapping[str, Any],
) -> None:
    """Check that a predicted map can stand beside another.

    Parameters
    ----------
    path : the map.
    levels, chromsizes : resolutions, and chromosomes with their lengths, that it must have.
    wanted : metadata of the other, of which ``model_digest``, ``mode`` and the levels' ``modules``
        must be the same.

    Raises
    ------
    CoolerError
        If it cannot be read, or they differ; the message names what.
    """
    file = open_map(path)
    for r in levels:
        uri = file.uri(r)
        meta = read_layer(uri)[1]
        require_chromsizes(uri, chromsizes)
        for key in ("model_digest", "mode"):
            if meta.get(key) != wanted.get(key):
                raise CoolerError(
                    f"{str(path)!r} has {key} {meta.get(key)!r}, not {wanted.get(key)!r}; "
                    f"predict it with the same settings"
                )
        ours, theirs = ((x.get("modules") or {}).get(str(r)) for x in (wanted, meta))
        if ours != theirs:
            raise CoolerError(
                f"{str(path)!r} has {r} bp of module {theirs!r}, not {ours!r}; predict it with "
                f"the same settings"
            )


def difference(
    alternate: str | os.PathLike[str],
    reference: str | os.PathLike[str],
    out: str | os.PathLike[str],
) -> Path:
    """Write the natural logarithm of alternate / reference contact frequency, for every pixel
    that both maps have.

    ``count`` is the logarithm itself (float32; 0 where nothing changed) and ``weight`` 1, so that
    raw and balanced values are the same; a bin that is masked in either map is NaN. A frequency of
    0 (mode "contact") has no logarithm and no pixel.

    Parameters
    ----------
    alternate : predicted .mcool at the reference's coordinates
        (:func:`orca_cool.effects.lift.lift_to_reference`); its levels are written.
    reference : predicted .mcool of the same model with at least these levels.
    out : the file; it appears whole or not at all.

    Raises
    ------
    CoolerError
        If a file cannot be read, or they differ in more than their numbers; if they have no pixel
        in common.
    OutputError
        If the output cannot be written.
    """
    out = Path(out)
    levels = open_map(alternate).uris
    meta = read_layer(levels[min(levels)])[1]
    require_comparable(reference, list(levels), sizes_of(cooler.Cooler(levels[min(levels)])), meta)
    other = read_layer(f"{reference}::resolutions/{min(levels)}")[1]
    scale = other["pseudo_depth"] / meta["pseudo_depth"]
    about = _metadata(meta, alternate, reference)
    _check_space(out, max(os.path.getsize(path) for path in (alternate, reference)))
    temporary = temporary_path(out)
    nnz = 0
    try:
        with writing(out):
            for k, r in enumerate(levels):
                mode = "a" if k else "w"
                nnz += _write_level(temporary, mode, alternate, reference, r, scale, about)
            with h5py.File(temporary, "r+") as file:
                file.attrs.update(
                    {"format": "HDF5::MCOOL", "format-version": 2, "bin-type": "fixed"}
                )
                for group in file["resolutions"].values():
                    group["bins/weight"].attrs.update(BALANCED)
        if not nnz:
            raise CoolerError(
                f"{str(alternate)!r} and {str(reference)!r} have no pixel in common; predict "
                f"the same regions"
            )
        with writing(out):
            replace_file(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return out


def _check_space(out: Path, wanted: int) -> None:
    """OutputError if the disk has less room than a file of about the same pixels takes. Known
    before, because HDF5 may crash the process where a write fails.
    """
    free = shutil.disk_usage(out.parent).free
    if resource is not None:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        free = free if limit == resource.RLIM_INFINITY else min(free, limit)
    if wanted > free:
        raise OutputError(
            f"{str(out)!r} needs about {wanted / 1e6:.1f} MB; {free / 1e6:.1f} MB can be written "
            f"there"
        )


def _metadata(
    meta: Mapping[str, Any], alternate: str | os.PathLike[str], reference: str | os.PathLike[str]
) -> dict[str, Any]:
    """The alternate's metadata, without what holds for one level or for what is divided."""
    dropped = ("eps", "band", "trans", "pseudo_depth", "precision_bits")
    return {k: v for k, v in meta.items() if k not in dropped} | {
        "format": DIFF_FORMAT,
        "format_version": DIFF_FORMAT_VERSION,
        "value": "ln(alternate / reference)",
        "alternate": Path(alternate).name,
        "reference": Path(reference).name,
    }


def _write_level(
    path: Path,
    mode: str,
    alternate: str | os.PathLike[str],
    reference: str | os.PathLike[str],
    resolution: int,
    scale: float,
    metadata: dict[str, Any],
) -> int:
    """Write one resolution of the difference; the number of its pixels."""
    level = f"resolutions/{resolution}"
    clr, uri = cooler.Cooler(f"{alternate}::{level}"), f"{path}::{level}"
    with h5py.File(alternate, "r") as one, h5py.File(reference, "r") as two:
        a, b = one[level], two[level]
        bins = clr.bins()[["chrom", "start", "end"]][:]
        masked = np.isnan(a["bins/weight"][:]) | np.isnan(b["bins/weight"][:])
        bins["weight"] = np.where(masked, np.nan, 1.0)
        cooler.create_cooler(
            uri,
            bins,
            _log_ratios(a, b, masked, scale),
            columns=["count"],
            dtypes={"count": np.float32},
            ordered=True,
            assembly=clr.info["genome-assembly"],
            metadata=metadata,
            mode=mode,
        )
    return int(cooler.Cooler(uri).info["nnz"])


def _log_ratios(
    a: h5py.Group, b: h5py.Group, masked: np.ndarray, scale: float
) -> Iterator[pd.DataFrame]:
    """Pixels that two resolutions with the same bins have both, as ln(a / b * scale), some rows at
    a time.
    """
    n = len(masked)
    offsets = [group["indexes/bin1_offset"][:] for group in (a, b)]
    cuts = np.unique(
        np.concatenate(
            [np.searchsorted(o, np.arange(0, o[-1], CELLS), side="left") for o in offsets]
            + [[0, n]]
        )
    )
    for start, end in zip(cuts, cuts[1:]):
        keys: list[np.ndarray] = []
        counts: list[np.ndarray] = []
        for group, offset in zip((a, b), offsets):
            part = slice(int(offset[start]), int(offset[end]))
            keys.append(group["pixels/bin1_id"][part] * n + group["pixels/bin2_id"][part])
            counts.append(group["pixels/count"][part].astype(np.float64))
        key, i, j = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
        x, y = counts[0][i], counts[1][j]
        bin1, bin2 = key // n, key % n
        keep = (x > 0) & (y > 0) & ~masked[bin1] & ~masked[bin2]
        x, y = x[keep], y[keep]
        # where they are equal the quotient is 1 and its logarithm 0, to the last bit
        yield pd.DataFrame(
            {
                "bin1_id": bin1[keep],
                "bin2_id": bin2[keep],
                "count": np.log(x / y * scale).astype(np.float32),
            }
        )
