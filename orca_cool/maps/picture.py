"""One picture of a region: a predicted map above the diagonal, a measured map below it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cooler
import numpy as np
import pandas as pd

from orca_cool.errors import CoolerError, OutputError, RegionError
from orca_cool.files import atomic_path
from orca_cool.genome.regions import Region, parse_region
from orca_cool.maps.coolfile import read_layer, read_log_ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

#: More bins than this across a region are finer than any screen and only cost memory.
MAX_BINS = 2000

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


def resolutions(path: str | Path) -> dict[int, str]:
    """Resolution -> URI of everything in a file, finest first; of the one cooler if ``path`` is a
    URI or a .cool.

    Parameters
    ----------
    path : ``file.mcool``, ``file.mcool::4000``, ``file.mcool::resolutions/4000`` or ``file.cool``.

    Raises
    ------
    CoolerError
        If there is no such file or resolution, or it is not a cooler.
    """
    text, _, inner = str(path).partition("::")
    if not Path(text).is_file():
        raise CoolerError(f"there is no file {text!r}")
    try:
        uris = [f"{text}::{group}" for group in cooler.fileops.list_coolers(text)]
        found = {int(cooler.Cooler(uri).binsize or 0): uri for uri in uris}
    except (OSError, KeyError, ValueError) as error:
        raise CoolerError(f"{text!r} is not a cooler file: {error}") from error
    found = {r: found[r] for r in sorted(found) if r}
    if not found:
        raise CoolerError(f"{text!r} holds no cooler with bins of one size")
    if not inner:
        return found
    wanted = inner.strip("/").removeprefix("resolutions/")
    for resolution, uri in found.items():
        if wanted in (str(resolution), uri.partition("::")[2].strip("/")):
            return {resolution: uri}
    raise CoolerError(f"{text!r} has no resolution {inner!r}; it has: {', '.join(map(str, found))}")


def _extent(clr: cooler.Cooler, region: Region) -> tuple[tuple[str, int, int], int, int]:
    """The region as far as the cooler's chromosome goes, and the bp of its bins' outer edges."""
    sizes = {str(c): int(n) for c, n in clr.chromsizes.items()}
    if region.chrom not in sizes:
        raise CoolerError(
            f"{clr.uri!r} has no chromosome {region.chrom!r}; it has: {', '.join(list(sizes)[:20])}"
        )
    # Releases of one assembly differ by single corrections; whole regions must still be found in
    # both.
    end = min(region.end, sizes[region.chrom])
    if end <= region.start:
        raise CoolerError(
            f"{clr.uri!r}: {region} begins after the end of {region.chrom}, "
            f"{sizes[region.chrom]:,} bp"
        )
    binsize = int(clr.binsize or 0)
    first, last = region.start // binsize, -(-end // binsize)
    return (region.chrom, region.start, end), first * binsize, last * binsize


def predicted_panel(
    path: str | Path, region: Region, resolution: int | None = None, *, contact: bool = False
) -> tuple[Panel, dict[str, Any]]:
    """A predicted map as log observed/expected (exactly what the model said), or as log10 contact
    frequency.

    Parameters
    ----------
    path : predicted .mcool, or a URI into it.
    resolution : bin in bp; default: the finest that knows every pair of the region and has at most
        MAX_BINS bins.

    Returns
    -------
    The panel, and the resolution's metadata. CoolerError when the file, the chromosome or the
    resolution is not there.
    """
    found = resolutions(path)
    if resolution is not None and resolution not in found:
        raise CoolerError(
            f"{str(path)!r} has no resolution {resolution}; it has: {', '.join(map(str, found))}"
        )
    if resolution is None:
        size = len(region)
        knows = [
            r
            for r, uri in found.items()
            if read_layer(uri)[0].band * r >= size and size <= MAX_BINS * r
        ]
        resolution = min(knows, default=max(found))
    uri = found[resolution]
    layer, metadata = read_layer(uri)
    clr = cooler.Cooler(uri)
    where, start, end = _extent(clr, region)
    values = read_log_ratio(uri, where)
    if contact:
        n = len(values)
        distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        values = (values + np.log(layer.norm(n) + layer.eps)[distance]) / np.log(10)
    label = f"predicted: {metadata.get('model_name', 'unnamed model')}, {bp_label(resolution)}"
    return Panel(label, start, end, values, resolution), metadata


def observed_panel(
    path: str | Path, region: Region, resolution: int | None = None, *, contact: bool = False
) -> Panel:
    """A measured map as log observed/expected, the expected by cooltools on this chromosome
    (smoothed), or as log10 contact frequency.

    Parameters
    ----------
    path : .cool, .mcool or a URI into it.
    resolution : of an .mcool without ``::``, the nearest to this is taken (default: the finest with
        at most MAX_BINS bins).

    Returns
    -------
    Panel; CoolerError when the file or the chromosome is not there.
    """
    from cooltools import expected_cis

    found = resolutions(path)
    if resolution is None:
        resolution = min((r for r in found if len(region) <= MAX_BINS * r), default=max(found))
    nearest = min(found, key=lambda r: abs(np.log(r / resolution)))
    clr = cooler.Cooler(found[nearest])
    where, start, end = _extent(clr, region)
    weight = "weight" if "weight" in clr.bins().columns else None
    if weight is None:
        logger.warning("%s is not balanced: raw counts are drawn", clr.uri)
    values = clr.matrix(balance=weight or False).fetch(where).astype(float)
    distance = np.abs(np.subtract.outer(np.arange(len(values)), np.arange(len(values))))
    with clr.open("r") as group:
        ignored = int(group["bins/weight"].attrs.get("ignore_diags", 2)) if weight else 2
    values[distance < ignored] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cooltools warns of every empty diagonal
        if contact:
            ratio = np.log10(values)
        else:
            length = int(clr.chromsizes[region.chrom])
            view = pd.DataFrame(
                {"chrom": [region.chrom], "start": [0], "end": [length], "name": [region.chrom]}
            )
            table = expected_cis(
                clr,
                view_df=view,
                clr_weight_name=weight,
                ignore_diags=ignored,
                smooth=True,
                aggregate_smoothed=True,
                nproc=1,
            )
            column = "balanced.avg.smoothed" if weight else "count.avg.smoothed"
            expected = (
                table.set_index("dist")[column].reindex(np.arange(-(-length // nearest))).to_numpy()
            )
            ratio = np.log(values / expected[distance])
    ratio[~np.isfinite(ratio)] = np.nan
    return Panel(
        f"measured: {Path(str(path).partition('::')[0]).name}, "
        f"{bp_label(nearest)}{'' if weight else ', raw'}",
        start,
        end,
        ratio,
        nearest,
    )


def bp_label(value: float) -> str:
    """ "2 kb", "1.024 Mb"."""
    return (
        f"{value / 1e6:g} Mb"
        if value >= 1e6
        else f"{value / 1e3:g} kb"
        if value >= 1e3
        else f"{value:g} bp"
    )


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
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    panels = [upper, lower or upper]
    if contact and lower is not None:
        shift = np.nanmedian(upper.values) - np.nanmedian(lower.values)
        panels[1] = Panel(
            lower.label, lower.start, lower.end, lower.values + shift, lower.resolution
        )
    drawn = np.concatenate([p.values[np.isfinite(p.values)] for p in panels])
    if not len(drawn):
        raise CoolerError(
            f"there is nothing to draw in {region}: every pixel is masked or outside the band"
        )
    if contact:
        (low, high), colours = np.percentile(drawn, [2, 99.5]).tolist(), "YlOrRd"
    else:
        high = vmax or max(float(np.percentile(np.abs(drawn), 98)), 0.1)
        low, colours = -high, "coolwarm"

    figure = Figure(figsize=(7.2, 6.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("white")  # unknown; the colour map's zero is light grey
    corners = [
        (region.start, region.start),
        (region.end, region.start),
        (region.end, region.end),
        (region.start, region.end),
    ]
    for panel, triangle in zip(panels, ((0, 1, 2), (0, 3, 2))):
        image = axes.imshow(
            np.ma.masked_invalid(panel.values),
            extent=(panel.start, panel.end, panel.end, panel.start),
            cmap=colours,
            vmin=low,
            vmax=high,
            interpolation="nearest",
            interpolation_stage="data",
        )
        image.set_clip_path(_triangle(axes, [corners[k] for k in triangle]))
    axes.set_xlim(region.start, region.end)
    axes.set_ylim(region.end, region.start)
    unit, name = (1e6, "Mb") if len(region) >= 2_000_000 else (1e3, "kb")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6))
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / unit:,g}"))
    axes.set_xlabel(f"{region.chrom} ({name})")
    box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    axes.text(
        0.98,
        0.98,
        upper.label,
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=8,
        bbox=box,
    )
    if lower is not None:
        axes.text(
            0.02,
            0.02,
            lower.label,
            transform=axes.transAxes,
            ha="left",
            va="bottom",
            fontsize=8,
            bbox=box,
        )
    axes.plot([region.start, region.end], [region.start, region.end], color="0.4", linewidth=0.5)
    axes.set_title(title or str(region), fontsize=10)
    label = "log10 contact frequency" if contact else "log (observed / expected)"
    figure.colorbar(image, ax=axes, shrink=0.7, label=label, extend="both")
    return figure


def _triangle(axes: Axes, corners: list[tuple[int, int]]) -> Any:
    from matplotlib.patches import Polygon

    return Polygon(corners, closed=True, transform=axes.transData)


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
    clr = cooler.Cooler(next(iter(resolutions(predicted).values())))
    sizes = {str(c): int(n) for c, n in clr.chromsizes.items()}
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
