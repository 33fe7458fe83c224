"""One picture of a region: a predicted map above the diagonal, a measured map below it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.errors import CoolerError, OutputError, RegionError
from orca_cool.files import atomic_path
from orca_cool.genome.regions import Region, parse_region
from orca_cool.maps.axes import (
    CONTACT_COLOURS,
    CONTACT_LABEL,
    RATIO_COLOURS,
    RATIO_LABEL,
    bp_label,
    contact_limits,
    draw_matrix,
    label_bp,
    ratio_limit,
)
from orca_cool.maps.coolfile import read_layer, read_log_ratio
from orca_cool.maps.open import (
    MAX_BINS,
    ignored_diagonals,
    measured_expected,
    open_map,
    usable_weight,
    whole_bins,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Polygon

logger = logging.getLogger(__name__)

FORMATS = ("png", "pdf", "svg", "jpg", "jpeg", "tif", "tiff", "webp")


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
    path: str | Path, region: Region, resolution: int | None = None, *, contact: bool = False
) -> tuple[Panel, dict[str, Any]]:
    """A predicted map as log observed/expected (exactly what the model predicted), or as log10
    contact frequency.

    Parameters
    ----------
    path : predicted .mcool, or a URI into it.
    resolution : bin in bp; default: see :meth:`orca_cool.maps.open.MapFile.best_resolution`.

    Returns
    -------
    The panel, and the resolution's metadata. CoolerError when the file, the chromosome or the
    resolution is not there, or the map is no prediction.
    """
    file = open_map(path)
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
    path: str | Path, region: Region, resolution: int | None = None, *, contact: bool = False
) -> Panel:
    """A measured map as log observed/expected, the expected by cooltools on this chromosome
    (smoothed), or as log10 contact frequency.

    Parameters
    ----------
    path : .cool, .mcool or a URI into it; of a map that is not balanced the raw counts are drawn.
    resolution : of the map's resolutions the nearest to this is taken (default: the finest with at
        most MAX_BINS bins).

    Returns
    -------
    Panel; CoolerError when the file or the chromosome is not there, or the balancing weights
    divide.
    """
    file = open_map(path)
    if resolution is None:
        fit = (r for r in file.resolutions if len(region) <= MAX_BINS * r)
        resolution = min(fit, default=max(file.resolutions))
    nearest = min(file.resolutions, key=lambda r: abs(np.log(r / resolution)))
    clr = file.cooler(nearest)
    where, start, end = whole_bins(clr, region)
    weight = usable_weight(clr)
    if weight is None:
        logger.warning("%s is not balanced: raw counts are drawn", clr.uri)
    values = clr.matrix(balance=weight or False).fetch(where).astype(float)
    distance = np.abs(np.subtract.outer(np.arange(len(values)), np.arange(len(values))))
    values[distance < ignored_diagonals(clr, weight)] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        if contact:
            ratio = np.log10(values)
        else:
            ratio = np.log(values / measured_expected(clr, [region.chrom])[distance])
    ratio[~np.isfinite(ratio)] = np.nan
    name = Path(str(path).partition("::")[0]).name
    label = f"measured: {name}, {bp_label(nearest)}{'' if weight else ', raw'}"
    return Panel(label, start, end, ratio, nearest)


def draw(
    region: Region,
    upper: Panel,
    lower: Panel | None = None,
    *,
    title: str = "",
    contact: bool = False,
    vmax: float | None = None,
) -> Figure:
    """Draw two maps of one region on one colour scale.

    Parameters
    ----------
    upper, lower : drawn above and below the diagonal, each by its own bp extent; without ``lower``
        the picture is symmetric.
    contact : the values are log10 contact frequencies; ``lower`` is shifted to the same median,
        since depths differ.
    vmax : end of the (symmetric) log observed/expected scale; default: the 98th percentile of what
        is drawn.

    Returns
    -------
    matplotlib Figure; no state of pyplot is touched.
    """
    from matplotlib.figure import Figure

    panels = [upper, lower or upper]
    if contact and lower is not None:
        shift = np.nanmedian(upper.values) - np.nanmedian(lower.values)
        panels[1] = replace(lower, values=lower.values + shift)
    known = np.concatenate([p.values[np.isfinite(p.values)] for p in panels])
    if not len(known):
        raise CoolerError(
            f"there is nothing to draw in {region}: every pixel is masked or outside the band"
        )
    if contact:
        limits, colours, label = contact_limits(known), CONTACT_COLOURS, CONTACT_LABEL
    else:
        high = vmax or ratio_limit(known)
        limits, colours, label = (-high, high), RATIO_COLOURS, RATIO_LABEL

    figure = Figure(figsize=(7.2, 6.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("white")  # unknown; the colour map's zero is light grey
    for panel, above in zip(panels, (True, False)):
        drawn = draw_matrix(axes, panel.values, panel.start, panel.end, colours, limits)
        drawn.set_clip_path(_triangle(axes, region, above))
    axes.set_xlim(region.start, region.end)
    axes.set_ylim(region.end, region.start)
    for axis in (axes.xaxis, axes.yaxis):
        unit = label_bp(axis, len(region), 6)
    axes.set_xlabel(f"{region.chrom} ({unit})")
    _label_corner(axes, upper.label, above=True)
    if lower is not None:
        _label_corner(axes, lower.label, above=False)
    axes.plot([region.start, region.end], [region.start, region.end], color="0.4", linewidth=0.5)
    axes.set_title(title or str(region), fontsize=10)
    figure.colorbar(drawn, ax=axes, shrink=0.7, label=label, extend="both")
    return figure


def _triangle(axes: Axes, region: Region, above: bool) -> Polygon:
    """The half of a region's square above (or below) its diagonal."""
    from matplotlib.patches import Polygon

    start, end = region.start, region.end
    corner = (end, start) if above else (start, end)
    return Polygon([(start, start), corner, (end, end)], closed=True, transform=axes.transData)


def _label_corner(axes: Axes, text: str, *, above: bool) -> None:
    """What the half above (or below) the diagonal shows, in its corner."""
    axes.text(
        *((0.98, 0.98) if above else (0.02, 0.02)),
        text,
        transform=axes.transAxes,
        ha="right" if above else "left",
        va="top" if above else "bottom",
        fontsize=8,
        bbox={
            "boxstyle": "round,pad=0.3",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.85,
        },
    )


def plot_maps(
    predicted: str | Path,
    out: str | Path,
    observed: str | Path | None = None,
    region: str | None = None,
    resolution: int | None = None,
    *,
    contact: bool = False,
    vmax: float | None = None,
    force: bool = False,
) -> Path:
    """Write one picture: prediction above the diagonal, measured map below it.

    Parameters
    ----------
    predicted : predicted .mcool, or a URI into it.
    out : picture; its ending (png, pdf, svg, ...) says the format.
    observed : .cool, .mcool or a URI; its resolution and chromosome lengths may differ from the
        prediction's.
    region : "chrII:100,000-500,000"; default: the file's longest chromosome.
    resolution : of the prediction, in bp; see :func:`predicted_panel`.

    Returns
    -------
    The path. Nothing is left behind when it fails.

    Raises
    ------
    OutputError, CoolerError, RegionError If the picture exists (without ``force``) or cannot be
        written; if a map or the region cannot be read.
    """
    (path,) = picture_paths(out, 1, force)
    sizes = open_map(predicted).chromsizes
    place = parse_region(
        region if region is not None else max(sizes, key=lambda c: sizes[c]), sizes
    )
    upper, metadata = predicted_panel(predicted, place, resolution, contact=contact)
    if len(place) < 4 * upper.resolution:
        raise RegionError(
            f"region {str(place)!r} has fewer than four bins of {upper.resolution:,} bp; take a "
            f"longer one or a finer resolution"
        )
    lower = (
        None
        if observed is None
        else observed_panel(observed, place, upper.resolution, contact=contact)
    )
    title = (
        f"{metadata.get('model_name', 'unnamed model')} at {bp_label(upper.resolution)}\n{place}"
    )
    figure = draw(place, upper, lower, title=title, contact=contact, vmax=vmax)
    save_figures([figure], [path])
    return path


def picture_paths(out: str | Path, figures: int, force: bool = False) -> list[Path]:
    """Files that so many figures are written to: one .pdf of as many pages, else ``name.1.png``,
    ``name.2.png``, ...

    Raises
    ------
    OutputError
        If the ending is no known format, the folder does not exist, or a file does (without
        ``force``).
    """
    path = Path(out)
    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise OutputError(
            f"the picture {str(path)!r} must end in one of: {', '.join('.' + f for f in FORMATS)}"
        )
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")
    one = figures == 1 or path.suffix.lower() == ".pdf"
    paths = (
        [path]
        if one
        else [path.with_name(f"{path.stem}.{k}{path.suffix}") for k in range(1, figures + 1)]
    )
    for p in paths:
        if p.exists() and not force:
            raise OutputError(f"the output {str(p)!r} exists; use --force to replace it")
    return paths


def save_figures(figures: Iterable[Figure], paths: Sequence[Path]) -> None:
    """Write figures, one to each path, or all as pages of the only path, a .pdf. Text stays text in
    .svg and .pdf.

    Figures are taken one by one, so that a generator holds no more than one. Each file appears by a
    rename when it is complete.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages

    waiting = iter(figures)
    for path in paths:
        kind = path.suffix.lower().removeprefix(".")
        try:
            with (
                rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}),
                atomic_path(path) as temporary,
            ):
                if kind == "pdf":
                    with PdfPages(temporary) as pages:
                        for figure in waiting:
                            pages.savefig(figure)
                else:
                    next(waiting).savefig(temporary, format=kind)
        except OSError as error:
            raise OutputError(f"cannot write {str(path)!r}: {error}") from error
