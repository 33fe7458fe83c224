"""Predicted maps -> a multi-resolution cooler, each resolution written natively, pixel by pixel in
order.

What is stored, and why: ``count = N * F`` as float32 and a constant ``weight = 1 / sqrt(N)``, so
that the balanced value is the predicted contact frequency F while tools that look at raw counts
still find numbers of a plausible size. Written with h5py directly: the numbers arrive sorted, and
cooler's own route through data frames costs several times as much.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from orca_cool import __version__
from orca_cool.errors import CoolerError, OutputError
from orca_cool.files import check_format, replace_file, temporary_path
from orca_cool.maps.hdf5_output import HDF5Output
from orca_cool.maps.layer_writer import LayerWriter
from orca_cool.maps.pixel_table import FILTERS
from orca_cool.maps.pixels import Layer, RowBlock, TransBlock, frequency, writing

__all__ = [
    "Layer",
    "RowBlock",
    "TransBlock",
    "frequency",
    "read_layer",
    "read_log_ratio",
    "write_cool",
    "write_mcool",
]

FORMAT = "orca-cool.mcool"
#: Version 2 calls `strand_difference` what version 1 called `spread`, and `zoom` what it called
#: `series`; both are read.
FORMAT_VERSION = 2
#: of the difference of two maps (:mod:`orca_cool.effects.difference`), which is no prediction
DIFF_FORMAT = "orca-cool.diff"
MODES = ("regularised", "contact")
#: attributes of `cooler balance`, whose absence makes cooltools insulation fail; nothing was
#: filtered, hence the zeros
BALANCED: dict[str, Any] = {
    "ignore_diags": 2,
    "divisive_weights": False,
    "cis_only": False,
    "converged": True,
    "scale": 1.0,
    "var": 0.0,
    "tol": 1e-5,
    "mad_max": 0,
    "min_count": 0,
    "min_nnz": 0,
}


def _write_bins(
    group: h5py.Group, writer: LayerWriter, chromsizes: dict[str, int], depth: float
) -> None:
    """Chromosomes, bins with their weights, and the index, in cooler's own types."""
    names = np.array(writer.chroms, dtype="S")
    chroms, bins, indexes = (
        group.create_group("chroms"),
        group.create_group("bins"),
        group.create_group("indexes"),
    )
    chroms.create_dataset("name", data=names, **FILTERS)
    chroms.create_dataset("length", data=np.array(list(chromsizes.values()), np.int32), **FILTERS)
    resolution = writer.layer.resolution
    ids = np.repeat(np.arange(len(names), dtype=np.int32), writer.nbins)
    start = np.concatenate([np.arange(n, dtype=np.int64) * resolution for n in writer.nbins])
    end = np.minimum(
        start + resolution, np.repeat(np.array(list(chromsizes.values()), np.int64), writer.nbins)
    )
    try:
        enum = h5py.enum_dtype({c: i for i, c in enumerate(writer.chroms)}, basetype=np.int32)
        bins.create_dataset("chrom", data=ids, dtype=enum, **FILTERS)
    except ValueError:
        # too many names for one HDF5 header: cooler then stores plain numbers and says where the
        # names are
        bins.create_dataset("chrom", data=ids, **FILTERS).attrs["enum_path"] = "/chroms/name"
    bins.create_dataset("start", data=start.astype(np.int32), **FILTERS)
    bins.create_dataset("end", data=end.astype(np.int32), **FILTERS)
    weight = np.where(np.concatenate(writer.usable), 1 / np.sqrt(depth), np.nan)
    bins.create_dataset("weight", data=weight, **FILTERS).attrs.update(BALANCED)
    indexes.create_dataset("chrom_offset", data=writer.offset.astype(np.int64), **FILTERS)
    indexes.create_dataset(
        "bin1_offset",
        data=np.concatenate([[0], np.cumsum(writer.filled)]).astype(np.int64),
        **FILTERS,
    )


def write_mcool(
    path: str | os.PathLike[str],
    *,
    chromsizes: dict[str, int],
    assembly: str,
    layers: Sequence[Layer],
    row_blocks: Callable[[int], Iterable[RowBlock]],
    trans: Callable[[int], Iterable[TransBlock]] | None = None,
    pseudo_depth: float = 1e5,
    mode: str = "regularised",
    metadata: dict,
    strand_difference: bool = False,
    precision_bits: int | None = None,
) -> None:
    """Write an .mcool: to a temporary name beside ``path``, renamed when it is whole; an existing
    file is replaced.

    Parameters
    ----------
    chromsizes : chromosome -> length in bp, in the file's order.
    layers : one per resolution.
    row_blocks : resolution -> row blocks in the order of (chromosome, start), rows never repeated,
        chromosomes may be absent.
    trans : resolution -> rectangles between chromosomes, any order, never overlapping; held in
        memory.
    pseudo_depth : N of ``count = N * F``, ``weight = 1 / sqrt(N)``.
    mode : "regularised", F = exp(y) (expected + eps), or "contact", F = max(exp(y) (expected + eps)
        - eps, 0).
    metadata : JSON-able; stored in every resolution together with what is needed to invert the
        numbers.
    strand_difference : write the column ``strand_difference``, NaN where a row block has none.
    precision_bits : round counts to so many mantissa bits (12: half the size, relative error
        1.2e-4).

    Raises
    ------
    OutputError : the file cannot be written (no space, no permission), or row blocks, masks or
        settings contradict each other.
    """
    final = Path(path)
    settings = _Settings(
        chromsizes, assembly, mode, pseudo_depth, metadata, strand_difference, precision_bits
    )
    with _new_file(final) as (file, output):
        with writing(final, output):
            file.attrs.update({"format": "HDF5::MCOOL", "format-version": 2, "bin-type": "fixed"})
        for layer in layers:
            with writing(final, output):
                group = file.create_group(f"resolutions/{layer.resolution}")
            rows = row_blocks(layer.resolution)
            between = () if trans is None else trans(layer.resolution)
            _write_cooler(group, final, output, layer, rows, between, settings)


def write_cool(
    path: str | os.PathLike[str],
    *,
    chromsizes: dict[str, int],
    assembly: str,
    layer: Layer,
    row_blocks: Iterable[RowBlock],
    pseudo_depth: float = 1e5,
    mode: str = "regularised",
    metadata: dict,
    strand_difference: bool = False,
) -> None:
    """Write one resolution as a .cool; parameters and errors are those of :func:`write_mcool`."""
    final = Path(path)
    settings = _Settings(chromsizes, assembly, mode, pseudo_depth, metadata, strand_difference)
    with _new_file(final) as (file, output):
        _write_cooler(file, final, output, layer, row_blocks, (), settings)


@dataclass(frozen=True)
class _Settings:
    """What all resolutions of a file have in common; see :func:`write_mcool`."""

    chromsizes: dict[str, int]
    assembly: str
    mode: str
    pseudo_depth: float
    metadata: dict
    strand_difference: bool
    precision_bits: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise OutputError(f"mode {self.mode!r} is not one of {', '.join(MODES)}")
        if not (np.isfinite(self.pseudo_depth) and self.pseudo_depth > 0):
            raise OutputError(f"pseudo-depth {self.pseudo_depth!r} is not a positive number")


@contextlib.contextmanager
def _new_file(final: Path) -> Iterator[tuple[h5py.File, HDF5Output]]:
    """An HDF5 file under a temporary name, renamed to ``final`` when the block ends without an
    error, removed otherwise; and its bytes, which know whether the disk has failed.
    """
    temporary = temporary_path(final, unique=False)
    with writing(final):
        output = HDF5Output(temporary)
    file = h5py.File(output, "w")
    try:
        yield file, output
        with writing(final, output):
            file.close()
            output.close()
        with writing(final):
            replace_file(temporary, final)
    except BaseException:
        # a disk that is full fails again while closing; what matters is the first error, and that
        # nothing is left
        with contextlib.suppress(Exception):
            file.close()
        output.close()
        temporary.unlink(missing_ok=True)
        raise


def _write_cooler(
    group: h5py.Group,
    final: Path,
    output: HDF5Output,
    layer: Layer,
    row_blocks: Iterable[RowBlock],
    trans: Iterable[TransBlock],
    settings: _Settings,
) -> None:
    """One resolution: pixels first, then bins, index and attributes, which depend on them."""
    writer = LayerWriter(
        group,
        final,
        output,
        layer,
        settings.chromsizes,
        settings.mode,
        settings.pseudo_depth,
        settings.strand_difference,
        settings.precision_bits,
    )
    writer.run(row_blocks, trans)
    ours = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mode": settings.mode,
        "pseudo_depth": float(settings.pseudo_depth),
        "eps": float(layer.eps),
        "band": int(layer.band),
        "trans": None if layer.trans is None else float(layer.trans),
        "precision_bits": settings.precision_bits,
    }
    created = datetime.now(UTC).replace(tzinfo=None)
    with writing(final, output):
        _write_bins(group, writer, settings.chromsizes, settings.pseudo_depth)
        # outside cooler's own groups, so that no reader meets it unasked
        group.create_dataset(
            "orca_cool/expected",
            data=layer.by_distance(min(layer.band, len(layer.expected))),
            track_times=False,
        )
        group.attrs.update(
            {
                "format": "HDF5::Cooler",
                "format-version": 3,
                "format-url": "https://github.com/open2c/cooler",
                "bin-type": "fixed",
                "bin-size": layer.resolution,
                "storage-mode": "symmetric-upper",
                "nchroms": len(settings.chromsizes),
                "nbins": int(writer.offset[-1]),
                "nnz": writer.pixels.nnz,
                "sum": writer.pixels.sum,
                "genome-assembly": settings.assembly,
                "generated-by": f"orca-cool {__version__}",
                "metadata": json.dumps(settings.metadata | ours),
                "creation-date": created.isoformat(timespec="microseconds"),
            }
        )


def read_layer(uri: str) -> tuple[Layer, dict]:
    """The layer and metadata of one resolution of a file of ours
    (``file.mcool::resolutions/4000``); CoolerError otherwise.
    """
    import cooler

    try:
        clr = cooler.Cooler(uri)
        meta = clr.info.get("metadata")
        if not isinstance(meta, dict) or meta.get("format") != FORMAT:
            raise CoolerError(
                f"{uri!r} was not written by orca-cool: its metadata has no format {FORMAT!r}; "
                f"give a prediction of `orca-cool predict` here, and a measured map where one is "
                f"asked for (plot --observed)"
            )
        check_format(meta, FORMAT, FORMAT_VERSION, repr(uri), CoolerError, key="format_version")
        with clr.open("r") as group:
            expected = group["orca_cool/expected"][:]
            weight = group["bins/weight"][:]
        offsets = [clr.offset((c, 0, n)) for c, n in clr.chromsizes.items()] + [len(weight)]
        masked = {c: np.isnan(weight[a:b]) for c, a, b in zip(clr.chromnames, offsets, offsets[1:])}
        return Layer(
            int(clr.binsize or 0), expected, meta["eps"], meta["band"], meta["trans"], masked
        ), meta
    except (KeyError, OSError, ValueError) as error:
        raise CoolerError(f"{uri!r} cannot be read as a predicted cooler: {error}") from error


def read_log_ratio(uri: str, region: str | tuple, region2: str | tuple | None = None) -> np.ndarray:
    """The stored prediction as y = log(observed / expected), the inverse of ``write_mcool``.

    Returns
    -------
    (n, n) float64 y of ``region``, or (n, m) between it and ``region2`` on another chromosome; NaN
    where there is no pixel. In mode "contact" a frequency clipped at 0 comes back as log(eps /
    (expected + eps)), the smallest y that such a file can hold.
    """
    import cooler

    layer, meta = read_layer(uri)
    clr = cooler.Cooler(uri)
    (a, b), (c, d) = clr.extent(region), clr.extent(region if region2 is None else region2)
    if region2 is not None and c < a:
        return read_log_ratio(uri, region2, region).T
    pixels = clr.matrix(balance=False, as_pixels=True)[a:b, c:d]
    i, j = pixels["bin1_id"].to_numpy() - a, pixels["bin2_id"].to_numpy() - c
    f = pixels["count"].to_numpy(np.float64) / meta["pseudo_depth"] + (
        layer.eps if meta["mode"] == "contact" else 0.0
    )
    expected = (
        layer.by_distance(b - a)[j - i]
        if region2 is None
        else np.full(len(i), np.nan if layer.trans is None else layer.trans)
    )
    y = np.full((b - a, d - c), np.nan)
    y[i, j] = np.log(f / (expected + layer.eps))
    if region2 is None:
        y[j, i] = y[i, j]
    return y


def read_strand_difference(uri: str, region: str | tuple) -> np.ndarray | None:
    """The column ``strand_difference`` of a region's pixels, (n, n) float32; NaN where there is no
    pixel; None if the file has no such column.
    """
    import cooler

    with cooler.Cooler(uri).open("r") as group:
        # its name in files of format version 1
        name = next((n for n in ("strand_difference", "spread") if n in group["pixels"]), None)
    return None if name is None else _read_column(uri, region, name)


def read_count(uri: str, region: str | tuple) -> np.ndarray:
    """The raw counts of a region's pixels, (n, n) float32; NaN where there is no pixel."""
    return _read_column(uri, region, "count")


def _read_column(uri: str, region: str | tuple, name: str) -> np.ndarray:
    import cooler

    clr = cooler.Cooler(uri)
    a, b = clr.extent(region)
    pixels = clr.matrix(field=name, balance=False, as_pixels=True)[a:b, a:b]
    i, j = pixels["bin1_id"].to_numpy() - a, pixels["bin2_id"].to_numpy() - a
    out = np.full((b - a, b - a), np.nan, np.float32)
    out[i, j] = out[j, i] = pixels[name].to_numpy(np.float32)
    return out
