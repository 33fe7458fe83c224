"""The map of an edited genome at the coordinates of its reference.

It shows contacts of the edited genome where reads of it would be mapped to the reference. Contacts
between chromosomes of the reference are not shown, also where an edit has put them on one contig;
the edited genome's own map has them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from cachetools import LRUCache

from orca_cool.effects import COPIES
from orca_cool.effects.difference import require_chromsizes
from orca_cool.effects.reference_coordinates import LiftedBins, lifted_bins, reference_regions
from orca_cool.errors import CoolerError, EditError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.gaps import masks
from orca_cool.genome.regions import Region, n_bins, parse_region
from orca_cool.maps.coolfile import Layer, RowBlock, read_layer, write_mcool
from orca_cool.maps.expected import write_expected
from orca_cool.maps.open import open_map

#: Matrix cells worked on, or read from a file, at once; blocks of so many cells that are kept.
CELLS, BLOCKS = 1 << 19, 64


def lift_to_reference(
    edited_path: str | os.PathLike[str],
    genome: EditedGenome,
    out: str | os.PathLike[str],
    *,
    assembly: str,
    copies: str = "mean",
    metadata: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the map of an edited genome at its reference's coordinates, with expected tables.

    Frequencies are the predicted ones; expected is that of the distance in the reference. Bins are
    masked that are gaps of the reference, are nowhere in the edited genome, or only where nothing
    was predicted. A pair of bins has a pixel if places of theirs lie on one contig within the
    predicted distance.

    Parameters
    ----------
    edited_path : predicted .mcool of ``genome``; its levels, bands, mode and pseudo-depth are kept.
    assembly : name of the reference's.
    copies : what a bin shows that the edited genome has several times: "mean" of the frequencies of
        all pairs of its places, or the "first" place only.
    metadata : JSON-able, added to that of ``edited_path``.

    Returns
    -------
    The path of the .mcool and those of its tables.

    Raises
    ------
    EditError
        If ``copies`` is neither, or nothing that was predicted comes from the reference.
    CoolerError
        If the file cannot be read, or is of another genome.
    OutputError
        If the output cannot be written.
    """
    if copies not in COPIES:
        raise EditError(f"copies {copies!r} is not one of {', '.join(COPIES)}")
    sizes = dict(genome.source.chromsizes)
    edited, meta = _read_edited(edited_path, genome)
    regions = _regions(edited_path, genome, edited, meta)
    lifted = lifted_bins(genome, list(dict.fromkeys(x.chrom for x in regions)), list(edited))
    if copies == "first":
        lifted = {r: {c: x.only_first() for c, x in some.items()} for r, some in lifted.items()}
    masked = masks(genome.source, regions, list(edited))
    layers = {r: _lifted_layer(genome, edited[r], lifted[r], masked[r]) for r in edited}
    out, ordered, view = Path(out), list(layers.values()), _view(regions, sizes)
    tables = write_expected(out, ordered, sizes, view, meta["mode"], meta["pseudo_depth"])
    write_mcool(
        out,
        chromsizes=sizes,
        assembly=assembly,
        layers=ordered,
        row_blocks=lambda r: _row_blocks(edited_path, genome, edited[r], lifted[r], layers[r]),
        pseudo_depth=meta["pseudo_depth"],
        mode=meta["mode"],
        metadata=_metadata(meta, genome, regions, layers, assembly, copies) | dict(metadata or {}),
    )
    return [out, *tables]


def _metadata(
    meta: Mapping[str, Any],
    genome: EditedGenome,
    regions: Sequence[Region],
    layers: Mapping[int, Layer],
    assembly: str,
    copies: str,
) -> dict[str, Any]:
    """The edited map's metadata with what is different at the coordinates of the reference."""
    return {
        **meta,
        "assembly": assembly,
        "genome": genome.source.name,
        "edited_genome": genome.name,
        "edited_assembly": meta.get("assembly"),
        "regions": [str(x) for x in regions],
        "bands": {str(r): layer.band for r, layer in layers.items()},
        "strand_difference": False,
        "lifted_to_reference": True,
        "copies": copies,
    }


def _view(regions: Sequence[Region], sizes: Mapping[str, int]) -> list[Region]:
    """The regions as a view of cooltools; a whole chromosome has its own name."""
    whole = {Region(c, 0, n): c for c, n in sizes.items()}
    return [
        dataclasses.replace(x, name=whole.get(x, f"{x.chrom}:{x.start}-{x.end}")) for x in regions
    ]


def _read_edited(
    path: str | os.PathLike[str], genome: EditedGenome
) -> tuple[dict[int, Layer], dict[str, Any]]:
    """Layers by resolution, finest first, and the finest one's metadata; CoolerError if the file is
    not a prediction of regions of this genome.
    """
    uris = open_map(path).uris
    found = {r: read_layer(uri) for r, uri in uris.items()}
    finest = min(found)
    meta = found[finest][1]
    require_chromsizes(uris[finest], genome.chromsizes)
    if "regions" not in meta:
        raise CoolerError(f"{str(path)!r} is not a prediction of regions: its metadata names none")
    return {r: layer for r, (layer, _) in found.items()}, meta


def _regions(
    path: str | os.PathLike[str],
    genome: EditedGenome,
    edited: Mapping[int, Layer],
    meta: Mapping[str, Any],
) -> list[Region]:
    """Regions of the reference that the predicted ones came from; EditError if there are none."""
    predicted = [parse_region(text, genome.chromsizes) for text in meta["regions"]]
    reach = max(layer.band * r for r, layer in edited.items())
    regions = reference_regions(genome, predicted, reach)
    if not regions:
        raise EditError(
            f"no part of {', '.join(map(str, predicted))} of {genome.name!r} comes from the "
            f"reference"
        )
    return regions


def _lifted_layer(
    genome: EditedGenome,
    layer: Layer,
    lifted: Mapping[str, LiftedBins],
    masked: dict[str, np.ndarray],
) -> Layer:
    """The layer of the reference's coordinates. Besides ``masked``, gaps and what lies outside the
    regions, bins are masked of which no place was predicted.
    """
    unknown = np.concatenate([layer.masked[c] for c in genome.chromsizes])
    for c, some in lifted.items():
        usable = ~unknown[some.places]
        owner = np.repeat(np.arange(len(some.copies)), some.copies)
        masked[c] |= np.bincount(owner[usable], minlength=len(some.copies)) == 0
    # the expected reaches as far as the genome that it was written for
    band = min(layer.band, len(layer.expected))
    return Layer(layer.resolution, layer.expected, layer.eps, band, None, masked)


def _row_blocks(
    path: str | os.PathLike[str],
    genome: EditedGenome,
    edited: Layer,
    lifted: Mapping[str, LiftedBins],
    layer: Layer,
) -> Iterator[RowBlock]:
    """All rows of one resolution at the coordinates of the reference."""
    resolution = layer.resolution
    contig = np.repeat(
        np.arange(len(genome.chromsizes)),
        [n_bins(n, resolution) for n in genome.chromsizes.values()],
    )
    step = max(1, min(layer.band, CELLS // layer.band))
    with h5py.File(path, "r") as file:
        pixels = _Band(file[f"resolutions/{resolution}"], edited.band)
        for c, some in lifted.items():
            used = np.flatnonzero(~layer.masked[c])
            for a in range(int(used[0]), int(used[-1]) + 1, step) if len(used) else ():
                b = min(a + step, int(used[-1]) + 1)
                counts, level = _moved(some, contig, pixels, a, b, layer.band)
                yield RowBlock(c, a, counts, level, count=counts)


class _Band:
    """Random access to the pixels of one resolution of a cooler, at distances below ``band`` bins,
    by row and distance. Blocks of rows are read whole; those lately used are kept.
    """

    def __init__(self, group: h5py.Group, band: int):
        self.pixels, self.band = group["pixels"], band
        self.offset = group["indexes/bin1_offset"][:]
        self.rows = max(1, CELLS // band)
        self._kept: LRUCache[int, tuple[np.ndarray, np.ndarray]] = LRUCache(BLOCKS)

    def read(self, row: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(k,) float32 counts, NaN where there is no pixel, and int32 levels."""
        counts, levels = np.empty(len(row), np.float32), np.empty(len(row), np.int32)
        blocks = row // self.rows
        for block in np.unique(blocks).tolist():
            here = np.flatnonzero(blocks == block)
            at = row[here] - block * self.rows, distance[here]
            counts[here], levels[here] = (values[at] for values in self._block(block))
        return counts, levels

    def _block(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        if k not in self._kept:
            offset = self.offset[k * self.rows : (k + 1) * self.rows + 1]
            a, b = int(offset[0]), int(offset[-1])
            row = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
            distance = self.pixels["bin2_id"][a:b] - row - k * self.rows
            near = distance < self.band  # contacts between contigs are not
            counts = np.full((len(offset) - 1, self.band), np.nan, np.float32)
            levels = np.zeros(counts.shape, np.int32)
            counts[row[near], distance[near]] = self.pixels["count"][a:b][near]
            levels[row[near], distance[near]] = self.pixels["level"][a:b][near]
            self._kept[k] = counts, levels
        block: tuple[np.ndarray, np.ndarray] = self._kept[k]
        return block


def _moved(
    lifted: LiftedBins, contig: np.ndarray, pixels: _Band, start: int, end: int, band: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``[start, end)`` of a chromosome of the source, from the pixels of the edited genome.

    Parameters
    ----------
    lifted : where the chromosome's bins went.
    contig : number of the contig of each bin of the edited genome.
    pixels : of the edited genome.
    band : number of distances in bins, from 0, of the source.

    Returns
    -------
    counts : (rows, band) float32, the mean over all pairs of places that have a pixel; NaN where
        none has.
    levels : (rows, band) int32, the coarsest of theirs.
    """
    total, number = np.zeros((end - start, band)), np.zeros((end - start, band), np.int32)
    levels = np.zeros((end - start, band), np.int32)
    copies = lifted.copies
    last = min(end + band - 1, len(copies))
    for p in range(int(copies[start:end].max(initial=0))):
        i = start + np.flatnonzero(copies[start:end] > p)
        x = lifted.places[lifted.first[i] + p]
        for q in range(int(copies[start:last].max(initial=0))):
            j = start + np.flatnonzero(copies[start:last] > q)
            y = lifted.places[lifted.first[j] + q]
            d = j - i[:, None]
            a, b = np.nonzero(
                (d >= 0)
                & (d < band)
                & (contig[x][:, None] == contig[y])
                & (np.abs(y - x[:, None]) < pixels.band)
            )
            counts, level = pixels.read(np.minimum(x[a], y[b]), np.abs(x[a] - y[b]))
            there = np.isfinite(counts)
            a, b = a[there], b[there]
            cell = i[a] - start, d[a, b]  # each at most once
            total[cell] += counts[there]
            number[cell] += 1
            levels[cell] = np.maximum(levels[cell], level[there])
    counts_ = np.full(total.shape, np.nan, np.float32)
    np.divide(total, number, out=counts_, where=number > 0, casting="same_kind")
    return counts_, levels
