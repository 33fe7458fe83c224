"""What a picture shows of one map over one region: predicted, measured, or the difference of two
predictions.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.genome.regions import Region
from orca_cool.maps.axes import bp_label
from orca_cool.maps.coolfile import read_count, read_layer, read_log_ratio
from orca_cool.maps.open import MAX_BINS, MapFile, open_map, whole_bins
from orca_cool.maps.weights import (
    BalancedCooler,
    ignored_diagonals,
    measured_expected,
    require_contacts,
    weight_columns,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Panel:
    """One map over a region.

    Attributes
    ----------
    label : what it is, for the corner of the picture.
    start, end : bp of the matrix' first and last edge (bins need not meet the region's borders).
    values : (n, n) float64, symmetric, NaN where unknown.
    resolution : bin in bp.
    """

    label: str
    start: int
    end: int
    values: np.ndarray
    resolution: int


def predicted_panel(
    path: str | Path | MapFile,
    region: Region,
    resolution: int | None = None,
    *,
    contact: bool = False,
) -> tuple[Panel, dict[str, Any]]:
    """A predicted map as log observed/expected (exactly what the model predicted), or as log10
    contact frequency.

    Parameters
    ----------
    path : predicted .mcool, a URI into it, or an open map.
    resolution : bin in bp; default: see :meth:`orca_cool.maps.open.MapFile.best_resolution`.

    Returns
    -------
    The panel, and the resolution's metadata. CoolerError when the file, the chromosome or the
    resolution is not there, or the map is no prediction.
    """
    file = path if isinstance(path, MapFile) else open_map(path)
    if resolution is None:
        resolution = file.best_resolution(region)
    clr = file.cooler(resolution)
    layer, metadata = read_layer(clr.uri)
    where, start, end = whole_bins(clr, region)
    values = read_log_ratio(clr.uri, where)
    if contact:
        n = len(values)
        distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        values = (values + np.log(layer.by_distance(n) + layer.eps)[distance]) / np.log(10)
    label = f"predicted: {metadata.get('model_name', 'unnamed model')}, {bp_label(resolution)}"
    return Panel(label, start, end, values, resolution), metadata


def observed_panel(
    path: str | Path | MapFile,
    region: Region,
    resolution: int | None = None,
    *,
    contact: bool = False,
) -> Panel:
    """A measured map as log observed/expected, the expected by cooltools on this chromosome
    (smoothed), or as log10 contact frequency; of a prediction, what its model predicted.

    Parameters
    ----------
    path : .cool, .mcool, a URI into it, or an open map; of a map that is not balanced the raw
        counts are drawn.
    resolution : of the map's resolutions the nearest to this is taken (default: the finest with at
        most MAX_BINS bins).

    Returns
    -------
    Panel; CoolerError when the file or the chromosome is not there, or has no contacts.
    """
    file = path if isinstance(path, MapFile) else open_map(path)
    if resolution is None:
        fit = (r for r in file.resolutions if len(region) <= MAX_BINS * r)
        resolution = min(fit, default=max(file.resolutions))
    nearest = min(file.resolutions, key=lambda r: abs(np.log(r / resolution)))
    if file.predicted:
        return predicted_panel(file, region, nearest, contact=contact)[0]
    clr = file.balanced_or_raw(nearest)
    where, start, end = whole_bins(clr, region)
    name = f"contact map {file.path!r}"
    require_contacts(clr, [region.chrom], name, "choose another chromosome, or another map")
    balanced = isinstance(clr, BalancedCooler)
    if not balanced:
        others = ", ".join(weight_columns(clr))
        hint = f" (it has {others}: --clr-weight-name)" if others else ""
        logger.warning("%s is not balanced: raw counts are drawn%s", clr.uri, hint)
    values = clr.matrix(balance=balanced).fetch(where).astype(float)
    distance = np.abs(np.subtract.outer(np.arange(len(values)), np.arange(len(values))))
    values[distance < ignored_diagonals(clr)] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        if contact:
            ratio = np.log10(values)
        else:
            ratio = np.log(values / measured_expected(clr, [region.chrom])[distance])
    ratio[~np.isfinite(ratio)] = np.nan
    name = Path(file.path.partition("::")[0]).name
    label = f"measured: {name}, {bp_label(nearest)}{'' if balanced else ', raw'}"
    return Panel(label, start, end, ratio, nearest)


def difference_panel(file: MapFile, region: Region, resolution: int | None = None) -> Panel:
    """The difference of two predictions (``orca-cool predict --diff``), ln(alternate / reference).

    Parameters
    ----------
    resolution : bin in bp; default: see :meth:`orca_cool.maps.open.MapFile.best_resolution`.
    """
    if resolution is None:
        resolution = file.best_resolution(region)
    clr = file.cooler(resolution)
    where, start, end = whole_bins(clr, region)
    about = file.metadata(resolution)
    label = f"{about.get('alternate', 'alternate')} / {about.get('reference', 'reference')}"
    values = read_count(clr.uri, where).astype(float)
    return Panel(f"{label}, {bp_label(resolution)}", start, end, values, resolution)
