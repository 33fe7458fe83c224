"""The map of an edited genome at the coordinates of its reference, and the difference of two maps.

:func:`lift_to_reference` shows contacts of the edited genome where reads of it would be mapped to
the reference: every bin of the reference is looked up, by its middle base, in the edited genome,
where it is in no place, one, or many. Contacts between chromosomes of the reference are not shown,
also where an edit has put them on one contig; the edited genome's own map has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cooler
import h5py
import numpy as np
import pandas as pd
from cachetools import LRUCache

from orca_cool.errors import CoolerError, EditError
from orca_cool.files import replace_file, temporary_path
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.gaps import masks
from orca_cool.genome.regions import Region, n_bins, parse_region
from orca_cool.genome.segments import Segment
from orca_cool.maps.coolfile import BALANCED, DIFF_FORMAT, Layer, RowBlock, read_layer, write_mcool
from orca_cool.maps.expected import write_expected
from orca_cool.maps.open import open_map, sizes_of
from orca_cool.maps.pixels import writing

COPIES = ("mean", "first")

DIFF_FORMAT_VERSION = 1

#: Matrix cells worked on, or read from a file, at once; blocks of so many cells that are kept.
CELLS, BLOCKS = 1 << 19, 64


@dataclass(frozen=True)
class LiftedBins:
    """Where the bins of a chromosome of the source are in an edited genome.

    Attributes
    ----------
    first : (bins + 1,) int64; the lifted of bin i are ``places[first[i] : first[i + 1]]``, in the
        order of the contigs.
    places : int64, bins of the edited genome, numbered through all contigs as in its cooler.
    """

    first: np.ndarray
    places: np.ndarray

    @property
    def copies(self) -> np.ndarray:
        """(bins,) lifted of each bin."""
        return np.diff(self.first)

    def only_first(self) -> LiftedBins:
        """Of each bin its first image alone."""
        some = self.copies > 0
        return LiftedBins(
            np.concatenate([[0], np.cumsum(some)]), self.places[self.first[:-1][some]]
        )


def lifted_bins(
    genome: EditedGenome, chroms: Sequence[str], resolutions: Sequence[int]
) -> dict[int, dict[str, LiftedBins]]:
    """LiftedBins of all bins of chromosomes of the source, by resolution (bp) and chromosome.

    Each is where the bin's middle base is, or, if that base is nowhere, the nearest base of the bin
    that is somewhere.
    """
    rows: dict[str, list[tuple[int, int, int, int, bool]]] = {chrom: [] for chrom in chroms}
    for number, segments in enumerate(genome.contigs.values()):
        offset = 0
        for s in segments:
            if s.chrom in rows:
                rows[s.chrom].append((s.start, s.end, number, offset, s.strand == "+"))
            offset += len(s)
    pieces = {chrom: np.array(found, np.int64).reshape(-1, 5).T for chrom, found in rows.items()}
    return {
        r: {chrom: _lifted_bins(genome, chrom, r, pieces[chrom]) for chrom in chroms}
        for r in resolutions
    }


def _lifted_bins(
    genome: EditedGenome, chrom: str, resolution: int, pieces: np.ndarray
) -> LiftedBins:
    """LiftedBins of one chromosome; rows of ``pieces``: start, end, number of the contig, offset in it,
    1 if forward.
    """
    length = genome.source.chromsizes[chrom]
    start = np.arange(0, length, resolution)
    middle = (start + np.minimum(start + resolution, length)) // 2
    bins = np.array([n_bins(n, resolution) for n in genome.chromsizes.values()])
    begin, end, contig, offset, forward = pieces
    middle = _present(start, np.minimum(start + resolution, length), middle, begin, end)
    a, b = np.searchsorted(middle, begin), np.searchsorted(middle, end)
    which = np.repeat(np.arange(len(begin)), b - a)  # piece of each image
    own = np.arange(len(which)) - np.repeat(np.cumsum(b - a) - b, b - a)  # bin of the chromosome
    along = np.where(forward[which] == 1, middle[own] - begin[which], end[which] - 1 - middle[own])
    places = (np.cumsum(bins) - bins)[contig[which]] + (offset[which] + along) // resolution
    order = np.argsort(own, kind="stable")
    return LiftedBins(np.searchsorted(own[order], np.arange(len(middle) + 1)), places[order])


def _present(
    start: np.ndarray, stop: np.ndarray, middle: np.ndarray, begin: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """The base of each bin that tells where it went: of those in a piece (``begin``, ``end``) the
    nearest to the middle, the left of two.

    Where no base of the bin is in a piece it stays the middle.
    """
    # how many pieces have begun at a base less those that have ended: 0 in no piece
    begin, end = np.sort(begin), np.sort(end)
    begun, ended = np.searchsorted(begin, middle, "right"), np.searchsorted(end, middle, "right")
    far = np.iinfo(np.int64).max
    left, right = np.append(-1, end - 1)[ended], np.append(begin, far)[begun]
    from_left, from_right = (
        np.where(left >= start, middle - left, far),
        np.where(right < stop, right - middle, far),
    )
    found = np.minimum(from_left, from_right) < far
    return np.where(
        (begun == ended) & found, np.where(from_left <= from_right, left, right), middle
    )


def reference_regions(
    genome: EditedGenome, regions: Sequence[Region], reach: int, *, join: bool = False
) -> list[Region]:
    """Where regions of an edited genome came from.

    Pieces of one region that are less than ``reach`` apart are one region of the source, with what
    lies between them: pairs across a deletion are there. Pieces of different regions are only where
    they overlap; with ``join`` also where they touch.

    Parameters
    ----------
    reach : bp; pairs further apart are in no map.

    Returns
    -------
    Regions of the source in its order; none if all is literal sequence.
    """
    spans: list[tuple[str, int, int]] = []
    for region in regions:
        pieces = [s for s in genome.segments(region.chrom, region.start, region.end) if s.chrom]
        spans += _joined([_inside(s, genome) for s in pieces], reach)
    order = {c: i for i, c in enumerate(genome.source.chromsizes)}
    found = _joined(spans, int(join))
    return [Region(*span) for span in sorted(found, key=lambda s: (order[s[0]], s[1]))]


def _inside(s: Segment, genome: EditedGenome) -> tuple[str, int, int]:
    """A segment without what overhangs its chromosome."""
    return s.chrom, max(s.start, 0), min(s.end, genome.source.chromsizes[s.chrom])


def _joined(spans: Sequence[tuple[str, int, int]], gap: int) -> list[tuple[str, int, int]]:
    """Intervals, sorted; those less than ``gap`` apart, or that overlap, are one."""
    out: list[tuple[str, int, int]] = []
    for chrom, start, end in sorted(span for span in spans if span[1] < span[2]):
        if out and out[-1][0] == chrom and start < out[-1][2] + gap:
            start, end = out[-1][1], max(out.pop()[2], end)
        out.append((chrom, start, end))
    return out


class _Band:
    """Pixels of one resolution of a cooler at distances below ``band`` bins, by row and distance;
    blocks lately used are kept.
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
            near = distance < self.band  # not all of them, where there are contacts between contigs
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
    """Rows ``[start, end)`` of a chromosome of the source.

    Parameters
    ----------
    contig : number of the contig of each bin of the edited genome.
    band : distances in bins, from 0, of the source.

    Returns
    -------
    counts : (rows, band) float32, the mean over all pairs of lifted that have a pixel; NaN where
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


def lift_to_reference(
    edited_path: str | os.PathLike[str],
    genome: EditedGenome,
    out: str | os.PathLike[str],
    *,
    assembly: str,
    copies: str = "mean",
    metadata: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the predicted map of an edited genome at the coordinates of its reference, with
    expected tables.

    Frequencies are the predicted ones; what is expected is that of the distance in the reference.
    Bins are masked that are gaps of the reference, have no image, or none that was predicted; there
    is no pixel for pairs of which no lifted lie on one contig within the predicted distance.

    Parameters
    ----------
    edited_path : predicted .mcool of ``genome``; its levels, bands, mode and pseudo-depth are kept.
    assembly : name of the reference's.
    copies : what a bin shows that is there several times: "mean" of the frequencies of all pairs of
        its lifted, or "first" image only.
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
    source, sizes = genome.source, dict(genome.source.chromsizes)
    uris = open_map(edited_path).uris
    found = {r: read_layer(uri) for r, uri in uris.items()}
    meta = found[min(found)][1]
    _require_chromsizes(uris[min(uris)], genome.chromsizes)
    if "regions" not in meta:
        raise CoolerError(
            f"{str(edited_path)!r} is not a prediction of regions: its metadata names none"
        )
    predicted = [parse_region(text, genome.chromsizes) for text in meta["regions"]]
    regions = reference_regions(
        genome, predicted, max(layer.band * r for r, (layer, _) in found.items())
    )
    if not regions:
        raise EditError(
            f"no part of {', '.join(map(str, predicted))} of {genome.name!r} comes from the "
            f"reference"
        )
    masked = masks(source, regions, list(found))
    lifted = lifted_bins(genome, list(dict.fromkeys(x.chrom for x in regions)), list(found))
    layers = []
    for r, (layer, _) in found.items():
        unknown = np.concatenate([layer.masked[c] for c in genome.chromsizes])
        if copies == "first":
            lifted[r] = {c: some.only_first() for c, some in lifted[r].items()}
        for c, some in lifted[r].items():
            usable = ~unknown[some.places]
            owner = np.repeat(np.arange(len(some.copies)), some.copies)
            masked[r][c] |= np.bincount(owner[usable], minlength=len(some.copies)) == 0
        # the expected reaches as far as the genome that it was written for
        layers.append(
            Layer(
                r, layer.expected, layer.eps, min(layer.band, len(layer.expected)), None, masked[r]
            )
        )

    def row_blocks(resolution: int) -> Iterator[RowBlock]:
        layer = next(x for x in layers if x.resolution == resolution)
        contig = np.repeat(
            np.arange(len(genome.chromsizes)),
            [n_bins(n, resolution) for n in genome.chromsizes.values()],
        )
        step = max(1, min(layer.band, CELLS // layer.band))
        with h5py.File(edited_path, "r") as file:
            pixels = _Band(file[f"resolutions/{resolution}"], found[resolution][0].band)
            for c, some in lifted[resolution].items():
                used = np.flatnonzero(~layer.masked[c])
                for a in range(int(used[0]), int(used[-1]) + 1, step) if len(used) else ():
                    b = min(a + step, int(used[-1]) + 1)
                    counts, level = _moved(some, contig, pixels, a, b, layer.band)
                    yield RowBlock(c, a, counts, level, count=counts)

    whole = {Region(c, 0, n): c for c, n in sizes.items()}
    rows = [
        (x.chrom, x.start, x.end, whole.get(x, f"{x.chrom}:{x.start}-{x.end}")) for x in regions
    ]
    view = pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])
    told = {
        **meta,
        "assembly": assembly,
        "genome": source.name,
        "edited_genome": genome.name,
        "edited_assembly": meta.get("assembly"),
    }
    told |= {
        "regions": [str(x) for x in regions],
        "bands": {str(x.resolution): x.band for x in layers},
        "strand_difference": False,
    }
    told |= {"lifted_to_reference": True, "copies": copies, **(metadata or {})}
    out = Path(out)
    tables = write_expected(out, layers, sizes, view, meta["mode"], meta["pseudo_depth"])
    write_mcool(
        out,
        chromsizes=sizes,
        assembly=assembly,
        layers=layers,
        row_blocks=row_blocks,
        pseudo_depth=meta["pseudo_depth"],
        mode=meta["mode"],
        metadata=told,
    )
    return [out, *tables]


def _require_chromsizes(uri: str, wanted: Mapping[str, int]) -> None:
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
    levels, chromsizes : that it must have.
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
        _require_chromsizes(uri, chromsizes)
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
    alternate : predicted .mcool in the reference's frame (:func:`lift_to_reference`); its levels
        are written.
    reference : predicted .mcool of the same model with at least these levels.

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
    first = cooler.Cooler(levels[min(levels)])
    sizes = sizes_of(first)
    require_comparable(reference, list(levels), sizes, meta)
    other = read_layer(f"{reference}::resolutions/{min(levels)}")[1]
    told = {
        **meta,
        "format": DIFF_FORMAT,
        "format_version": DIFF_FORMAT_VERSION,
        "value": "ln(alternate / reference)",
    }
    told |= {"alternate": Path(alternate).name, "reference": Path(reference).name}
    for key in (
        "eps",
        "band",
        "trans",
        "pseudo_depth",
        "precision_bits",
    ):  # of one level, or of what is divided
        told.pop(key, None)
    temporary = temporary_path(out)
    nnz = 0
    try:
        with writing(out):
            for k, r in enumerate(levels):
                with h5py.File(alternate, "r") as one, h5py.File(reference, "r") as two:
                    a, b = one[f"resolutions/{r}"], two[f"resolutions/{r}"]
                    bins = cooler.Cooler(levels[r]).bins()[["chrom", "start", "end"]][:]
                    masked = np.isnan(a["bins/weight"][:]) | np.isnan(b["bins/weight"][:])
                    bins["weight"] = np.where(masked, np.nan, 1.0)
                    scale = other["pseudo_depth"] / meta["pseudo_depth"]
                    uri = f"{temporary}::resolutions/{r}"
                    cooler.create_cooler(
                        uri,
                        bins,
                        _log_ratios(a, b, masked, scale),
                        columns=["count"],
                        dtypes={"count": np.float32},
                        ordered=True,
                        assembly=first.info["genome-assembly"],
                        metadata=told,
                        mode="a" if k else "w",
                    )
                nnz += cooler.Cooler(uri).info["nnz"]
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


def _log_ratios(
    a: h5py.Group, b: h5py.Group, masked: np.ndarray, scale: float
) -> Iterator[pd.DataFrame]:
    """Pixels of two resolutions with the same bins, rows by rows."""
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
