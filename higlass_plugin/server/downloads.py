"""What a view shows, as a file: .npz, .cool, .mcool, a table or a bigWig.

The format of the .cool is that of orca-cool's predictions (:meth:`ContactMap.to_cooler
<orca_cool.maps.contact_map.ContactMap.to_cooler>`): balanced values are contact frequencies, and
the expected stands beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pandas as pd

from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.registry.seen import MAX_BINS, Seen
from higlass_plugin.server.citations import CITATION
from higlass_plugin.tilesets.base import ModelTileset
from orca_cool.errors import OutputError
from orca_cool.genome.regions import Region, n_bins
from orca_cool.maps.bigwig import writing_bigwig
from orca_cool.maps.contact_map import ContactMap

#: Bins along a side of a map that is written as a table, with a line for each pair.
MAX_TABLE_BINS = 1024


def _npz(seen: Seen, path: Path) -> None:
    """Arrays ``values`` and, of a contact map, ``frequency``; ``metadata`` is JSON. Rows lie along
    y, columns along x.
    """
    arrays: dict[str, Any] = {"values": seen.values, "metadata": np.array(json.dumps(about(seen)))}
    if seen.frequency is not None:
        arrays["frequency"] = seen.frequency
    with open(path, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def _table(seen: Seen, path: Path) -> None:
    """A table with a header: of a map a row for each pair of bins of which something is known (the
    upper triangle), of a track one for each bin.
    """
    region, resolution = seen.region, seen.resolution
    if seen.values.ndim == 1:
        start = np.arange(region.start, region.end, resolution)
        end = np.minimum(start + resolution, region.end)
        known = np.isfinite(seen.values)
        table = pd.DataFrame({"chrom": region.chrom, "start": start, "end": end})
        table = table.assign(value=seen.values)[known]
    else:
        i, j = np.nonzero(np.isfinite(seen.values) & seen.once())
        if max(seen.values.shape) > MAX_TABLE_BINS:
            raise OutputError(
                f"a table of {' x '.join(f'{n:,}' for n in seen.values.shape)} bins would be very "
                f"large; take .npz, or look at {MAX_TABLE_BINS:,} bins or fewer"
            )
        sides = [_bins_of(seen.rows, seen, i), _bins_of(region, seen, j)]
        if region.chrom == seen.rows.chrom:  # the first bin of a pair is the one that comes first
            swap = sides[0]["start"] > sides[1]["start"]
            sides = [
                {key: np.where(swap, b[key], a[key]) for key in a} for a, b in (sides, sides[::-1])
            ]
        one, two = ({f"{k}{n}": v for k, v in side.items()} for n, side in enumerate(sides, 1))
        values = {_value_name(seen): seen.values[i, j]}
        if seen.frequency is not None:
            values["contact_frequency"] = seen.frequency[i, j]
        table = pd.DataFrame(one | two | values)
    lines = "".join(f"# {key}: {value}\n" for key, value in about(seen).items())
    path.write_text(lines + table.to_csv(sep="\t", index=False, float_format="%.6g"))


def _bins_of(region: Region, seen: Seen, numbers: np.ndarray) -> dict[str, Any]:
    """Chromosome, start and end of bins of a region, by their numbers in it."""
    start = region.start + numbers * seen.resolution
    end = np.minimum(start + seen.resolution, region.end)
    return {"chrom": np.full(len(numbers), region.chrom), "start": start, "end": end}


def _square(seen: Seen) -> tuple[np.ndarray, Region]:
    """(n, n) values of the square about the diagonal that holds what is seen, NaN where nothing is
    seen; and its region.
    """
    if seen.rows == seen.region:
        return seen.values, seen.region
    if seen.rows.chrom != seen.region.chrom:
        raise OutputError(
            f"{seen.rows} and {seen.region} are two chromosomes; a .cool is written of one"
        )
    start, end = (
        choose(getattr(seen.rows, side), getattr(seen.region, side))
        for choose, side in ((min, "start"), (max, "end"))
    )
    n = n_bins(end - start, seen.resolution)
    if n > MAX_BINS:
        raise OutputError(
            f"from {seen.rows} to {seen.region} there are {n:,} bins; a .cool has at most "
            f"{MAX_BINS:,}: take .npz, or look nearer to the diagonal"
        )
    out = np.full((n, n), np.nan, np.float32)
    i, j = (bins - start // seen.resolution for bins in seen.bins())
    out[np.ix_(i, j)] = seen.values
    out[np.ix_(j, i)] = np.where(np.isfinite(seen.values.T), seen.values.T, out[np.ix_(j, i)])
    return out, Region(seen.region.chrom, start, end)


def _cool(seen: Seen, path: Path) -> None:
    predicted, sizes = _predicted(seen)
    values, region = _square(seen)
    n = len(values)
    level = predicted.level(seen.resolution).cis  # with eps, which is then 0
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    contacts = ContactMap(values, level[distance], 0.0, region, seen.resolution)
    assembly = seen.tileset.coord_system
    contacts.to_cooler(path, chromsizes=sizes, assembly=assembly, force=True)


def _mcool(seen: Seen, path: Path) -> None:
    single = path.with_suffix(".cool")
    _cool(seen, single)
    cooler.zoomify_cooler(str(single), str(path), [seen.resolution], chunksize=10_000_000)


def _bigwig(seen: Seen, path: Path) -> None:
    sizes = {chrom: int(size) for chrom, size in seen.tileset.info()["chromsizes"]}
    with writing_bigwig(path, sizes) as track:
        first = seen.region.start // seen.resolution
        track.add(seen.region.chrom, first, seen.resolution, seen.values)


#: How each format is written, by what ``format=`` says; of maps, and of tracks.
MAP_FORMATS: Mapping[str, Callable[[Seen, Path], None]] = {
    "npz": _npz,
    "tsv": _table,
    "cool": _cool,
    "mcool": _mcool,
}
TRACK_FORMATS: Mapping[str, Callable[[Seen, Path], None]] = {
    "npz": _npz,
    "tsv": _table,
    "bw": _bigwig,
}


def write(seen: Seen, kind: str, folder: Path) -> Path:
    """Write a file into a folder; its name says what is in it.

    Parameters
    ----------
    kind : "npz", "tsv", and "cool" or "mcool" of a predicted map, "bw" (bigWig) of a track.

    Raises
    ------
    OutputError
        If there is no such format, or not of this tileset.
    """
    formats = MAP_FORMATS if seen.values.ndim == 2 else TRACK_FORMATS
    if kind not in formats:
        what = "a map" if seen.values.ndim == 2 else "a track"
        raise OutputError(f"format {kind[:20]!r} of {what}: there are {', '.join(formats)}")
    region, rows = seen.region, seen.rows
    name = f"{region.chrom}_{region.start}_{region.end}"
    if rows != region:
        name += f"_x_{rows.chrom}_{rows.start}_{rows.end}"
    path = folder / f"{name}_{seen.resolution}.{kind}"
    formats[kind](seen, path)
    return path


def about(seen: Seen) -> dict[str, str | int]:
    """What the numbers are, for whoever opens the file later."""
    return {
        "tileset": seen.tileset.name,
        "address": seen.tileset.description,
        "assembly": seen.tileset.coord_system,
        "region": str(seen.region),
        **({} if seen.rows == seen.region else {"rows": str(seen.rows)}),
        "bin_size": seen.resolution,
        "values": _value_name(seen),
        "cite": CITATION,
    }


def _value_name(seen: Seen) -> str:
    if seen.frequency is not None:
        return "log_observed_over_expected"
    return seen.transform.replace("-", "_") or "value"


def _predicted(seen: Seen) -> tuple[PredictedGenome, dict[str, int]]:
    """Whose expected a map is relative to, and the chromosomes of its coordinates."""
    tileset = seen.tileset
    if seen.frequency is None or not isinstance(tileset, ModelTileset):
        raise OutputError(
            f"{tileset.name!r} has no contact frequencies that are predicted here; a .cool is "
            f"written of predicted contact maps"
        )
    own = tileset.coord_system == tileset.predicted.assembly
    predicted = tileset.predicted if own else tileset.predicted.base
    return predicted, predicted.axis.chromsizes
