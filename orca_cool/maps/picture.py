"""One picture of a region: a predicted map above the diagonal, a measured map below it; or the
difference of two predictions.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.errors import CoolerError, OutputError, RegionError
from orca_cool.files import atomic_path
from orca_cool.genome.regions import Region, parse_region
from orca_cool.maps.axes import (
    CONTACT_COLOURS,
    CONTACT_LABEL,
    DIFFERENCE_COLOURS,
    DIFFERENCE_LABEL,
    RATIO_COLOURS,
    RATIO_LABEL,
    axis_name,
    bp_label,
    contact_limits,
    draw_matrix,
    label_bp,
    ratio_limit,
)
from orca_cool.maps.open import MapFile, open_map
from orca_cool.maps.panels import Panel, difference_panel, observed_panel, predicted_panel
from orca_cool.maps.weights import WEIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Polygon

logger = logging.getLogger(__name__)

#: Regions of a file that are drawn, each on a page; of more, the longest one.
MAX_PAGES = 24

FORMATS = ("png", "pdf", "svg", "jpg", "jpeg", "tif", "tiff", "webp")


def draw(
    region: Region,
    upper: Panel,
    lower: Panel | None = None,
    *,
    title: str = "",
    contact: bool = False,
    difference: bool = False,
    vmax: float | None = None,
) -> Figure:
    """Draw two maps of one region on one colour scale.

    Parameters
    ----------
    upper, lower : drawn above and below the diagonal, each by its own bp extent; without ``lower``
        the picture is symmetric.
    contact : the values are log10 contact frequencies; ``lower`` is shifted to the same median,
        since depths differ.
    difference : the values are logs of alternate / reference.
    vmax : end of the (symmetric) scale of log observed/expected, or of the difference; default:
        the 98th (99.5th) percentile of what is drawn.

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
    limits, colours, label = _scale(known, contact, difference, vmax)
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
    unknown = not all(np.isfinite(p.values).all() for p in panels)
    place = f"{axis_name(region.chrom)} ({unit})" + "\nwhite: no value" * unknown
    axes.set_xlabel(place, parse_math=False)
    _label_corner(axes, upper.label, above=True)
    if lower is not None:
        _label_corner(axes, lower.label, above=False)
    axes.plot([region.start, region.end], [region.start, region.end], color="0.4", linewidth=0.5)
    axes.set_title(title or str(region), fontsize=10)
    figure.colorbar(drawn, ax=axes, shrink=0.7, label=label, extend="both")
    return figure


def _scale(
    known: np.ndarray, contact: bool, difference: bool, vmax: float | None
) -> tuple[tuple[float, float], str, str]:
    """Limits, colour map and label of the values that are drawn; see :func:`draw`."""
    if contact:
        return contact_limits(known), CONTACT_COLOURS, CONTACT_LABEL
    if difference:
        # a difference at the size of rounding errors is none
        high = vmax or max(float(np.percentile(np.abs(known), 99.5)), 0.01)
        return (-high, high), DIFFERENCE_COLOURS, DIFFERENCE_LABEL
    high = vmax or ratio_limit(known)
    return (-high, high), RATIO_COLOURS, RATIO_LABEL


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


def own_regions(file: MapFile) -> list[Region]:
    """What a predicted file holds: the regions, or the window of a zoom, that its metadata name,
    the longest first; its longest chromosome if they name none.
    """
    sizes, about = file.chromsizes, file.metadata(file.resolutions[0])
    found = []
    for text in about.get("regions", ()):
        with contextlib.suppress(RegionError):  # of another genome than the file's is no region
            found.append(parse_region(text, sizes))
    windows = [w for w in about.get("zoom", about.get("series", {})).values() if w[0] in sizes]
    if windows:
        chrom, start, end = max(windows, key=lambda w: w[2] - w[1])
        found.append(Region(chrom, max(start, 0), min(end, sizes[chrom])))
    if not found:
        longest = max(sizes, key=lambda c: sizes[c])
        found = [Region(longest, 0, sizes[longest])]
    return sorted(found, key=len, reverse=True)


def plot_maps(
    predicted: str | Path,
    out: str | Path,
    observed: str | Path | None = None,
    region: str | None = None,
    resolution: int | None = None,
    *,
    contact: bool = False,
    vmax: float | None = None,
    dmax: float | None = None,
    clr_weight_name: str = WEIGHT,
    force: bool = False,
) -> list[Path]:
    """Write a picture of each region: prediction above the diagonal, measured map below it. Of the
    difference of two predictions (``orca-cool predict --diff``) the picture is symmetric.

    Parameters
    ----------
    predicted : predicted .mcool, a difference, or a URI into one.
    out : picture; its ending (png, pdf, svg, ...) says the format. Several regions are pages of a
        .pdf, or files name.1.png, name.2.png, ...
    observed : .cool, .mcool or a URI; its resolution and chromosome lengths may differ from the
        prediction's.
    region : "chrII:100,000-500,000"; default: the regions that the file holds (of more than
        MAX_PAGES the longest).
    resolution : of the prediction, in bp; see :func:`orca_cool.maps.panels.predicted_panel`.
    vmax, dmax : ends of the scales of log observed/expected, and of a difference.
    clr_weight_name : column of balancing weights of ``observed``.

    Returns
    -------
    The paths. Nothing is left behind when it fails.

    Raises
    ------
    OutputError, CoolerError, RegionError
        If a picture exists (without ``force``) or cannot be written; if a map or the region cannot
        be read; if a measured map, or contact frequency, is to be drawn beside a difference.
    """
    picture_paths(out, 1, force=True)  # a wrong ending or folder
    file = open_map(predicted)
    _refuse_useless(file, observed, contact, vmax, dmax)
    below = None if observed is None else open_map(observed, clr_weight_name)
    places = own_regions(file)
    if region is not None:
        places = [parse_region(region, file.chromsizes)]
    elif len(places) > MAX_PAGES:
        logger.warning(
            "%s holds %d regions: the longest is drawn; choose others with --region",
            file.path,
            len(places),
        )
        places = places[:1]
    paths = picture_paths(out, len(places), force)
    limit = dmax if file.difference else vmax
    figures = (_figure(file, place, below, resolution, contact, limit) for place in places)
    save_figures(figures, paths)
    return paths


def _refuse_useless(
    file: MapFile,
    observed: str | Path | None,
    contact: bool,
    vmax: float | None,
    dmax: float | None,
) -> None:
    """CoolerError for options that would do nothing for this kind of file."""
    if file.difference:
        useless = {"--observed": observed is not None, "--contact": contact, "--vmax": vmax}
        why = "is the difference of two predictions, and has no contacts to draw"
    else:
        useless = {"--dmax": dmax}
        why = "is no difference of two predictions"
    if given := [name for name, value in useless.items() if value]:
        raise CoolerError(f"{file.path!r} {why}; leave out {' and '.join(given)}")


def _figure(
    file: MapFile,
    place: Region,
    observed: MapFile | None,
    resolution: int | None,
    contact: bool,
    vmax: float | None,
) -> Figure:
    """The picture of one region; see :func:`plot_maps`."""
    if file.difference:
        upper = difference_panel(file, place, resolution)
        about = file.metadata(upper.resolution)
    else:
        upper, about = predicted_panel(file, place, resolution, contact=contact)
    if len(place) < 4 * upper.resolution:
        raise RegionError(
            f"region {str(place)!r} has fewer than four bins of {upper.resolution:,} bp; take a "
            f"longer one or a finer resolution"
        )
    lower = None
    if observed is not None:
        lower = observed_panel(observed, place, upper.resolution, contact=contact)
    model = about.get("model_name", "unnamed model")
    what = f"{model} at {bp_label(upper.resolution)}"
    title = f"{what}{', difference' if file.difference else ''}\n{place}"
    difference = file.difference
    return draw(place, upper, lower, title=title, contact=contact, difference=difference, vmax=vmax)


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
