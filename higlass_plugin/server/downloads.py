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
from higlass_plugin.registry.seen import Seen
from higlass_plugin.tilesets.base import ModelTileset
from orca_cool import __version__
from orca_cool.errors import OutputError
from orca_cool.maps.bigwig import writing_bigwig
from orca_cool.maps.contact_map import ContactMap

#: What to cite with the numbers.
CITATION = (
    f"orca-cool {__version__}; Orca: Zhou, Nature Genetics 54, 725-734 (2022), "
    f"doi:10.1038/s41588-022-01065-4"
)


def _npz(seen: Seen, path: Path) -> None:
    """Arrays ``values`` and, of a contact map, ``frequency``; ``metadata`` is JSON."""
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
    start = np.arange(region.start, region.end, resolution)
    end = np.minimum(start + resolution, region.end)
    if seen.values.ndim == 1:
        known = np.isfinite(seen.values)
        table = pd.DataFrame({"chrom": region.chrom, "start": start, "end": end})
        table = table.assign(value=seen.values)[known]
    else:
        i, j = np.nonzero(np.triu(np.isfinite(seen.values)))
        one = {"chrom1": region.chrom, "start1": start[i], "end1": end[i]}
        two = {"chrom2": region.chrom, "start2": start[j], "end2": end[j]}
        values = {_value_name(seen): seen.values[i, j]}
        if seen.frequency is not None:
            values["contact_frequency"] = seen.frequency[i, j]
        table = pd.DataFrame(one | two | values)
    lines = "".join(f"# {key}: {value}\n" for key, value in about(seen).items())
    path.write_text(lines + table.to_csv(sep="\t", index=False, float_format="%.6g"))


def _cool(seen: Seen, path: Path) -> None:
    predicted, sizes = _predicted(seen)
    n = len(seen.values)
    level = predicted.level(seen.resolution).cis  # with eps, which is then 0
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    contacts = ContactMap(seen.values, level[distance], 0.0, seen.region, seen.resolution)
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
    region = seen.region
    path = folder / f"{region.chrom}_{region.start}_{region.end}_{seen.resolution}.{kind}"
    formats[kind](seen, path)
    return path


def about(seen: Seen) -> dict[str, str | int]:
    """What the numbers are, for whoever opens the file later."""
    return {
        "tileset": seen.tileset.name,
        "address": seen.tileset.description,
        "assembly": seen.tileset.coord_system,
        "region": str(seen.region),
        "bin_size": seen.resolution,
        "values": _value_name(seen),
        "cite": CITATION,
    }


def _value_name(seen: Seen) -> str:
    if seen.frequency is not None:
        return "log_observed_over_expected"
    return "value"


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
