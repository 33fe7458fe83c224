"""The picture of an attribution: a logo, a track, and the map with the objective drawn in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from orca_cool.maps.axes import label_bp
from orca_cool.maps.metrics import DOT
from orca_cool.perturb.attribution import OF_UNITS, Attribution, import_logomaker
from orca_cool.perturb.named_objectives import DIAMOND

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from orca_cool.perturb.laid import Laid

#: What stands at the logo's and the track's axis.
_LABELS = {
    "gradient": "input x gradient",
    "integrated": "integrated gradients",
    "expected": "expected gradients",
    "ism": "mean effect of the base",
    "deletion": "- change by deletion",
    "shuffle": "- change by shuffling",
}


def draw_attribution(found: Attribution, letters: int = 120) -> Figure:
    """The picture of an attribution.

    Parameters
    ----------
    letters : bases that the logo shows at most: those around the strongest.

    Raises
    ------
    OutputError
        If logomaker is missing.
    """
    logomaker = import_logomaker()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8.5), dpi=120, layout="constrained")
    grid = figure.add_gridspec(3, 3, height_ratios=(1, 1, 3.4), width_ratios=(1, 4, 1))
    values = np.nan_to_num(found.projected)
    first = strongest(values, letters)
    last = min(first + letters, len(values))
    _logo(logomaker, figure.add_subplot(grid[0, :]), found, values, first, last)
    _track(figure.add_subplot(grid[1, :]), found, values, first, last)
    axes = found.map.plot(figure.add_subplot(grid[2, 1]), title="")
    if found.laid is not None:
        _chromosomes(axes, found.laid)
    _objective(axes, found)
    model = found.about.get("model", "")
    figure.suptitle(
        f"{found.objective.text} = {found.value:.4g}: {found.method} of {found.region}\n{model}, "
        f"{found.map.resolution:,} bp, mean of both strands",
        fontsize=11,
    )
    return figure


def strongest(values: np.ndarray, width: int) -> int:
    """First index of the window of ``width`` values whose sizes have the largest sum."""
    if len(values) <= width:
        return 0
    total = np.concatenate([[0.0], np.abs(values).cumsum()])
    return int(np.argmax(total[width:] - total[:-width]))


def _logo(
    logomaker: Any, axes: Axes, found: Attribution, values: np.ndarray, first: int, last: int
) -> None:
    """Letters as high as what their bases contribute."""
    start = found.region.start + first
    heights = np.zeros((last - first, 4))
    codes = found.codes[first:last]
    known = np.flatnonzero(codes < 4)
    heights[known, codes[known]] = values[first:last][known]
    table = pd.DataFrame(heights, columns=list("ACGT"), index=np.arange(start, start + len(codes)))
    logomaker.Logo(table, ax=axes, color_scheme="classic", show_spines=False)
    axes.set_xlim(start - 0.5, start + len(codes) - 0.5)
    axes.set_ylabel(_LABELS[found.method], fontsize=8)
    ticks = np.linspace(start, start + len(codes) - 1, 6).astype(int)
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks], fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel(f"{found.region.chrom} (bp)", fontsize=8)


def _track(axes: Axes, found: Attribution, values: np.ndarray, first: int, last: int) -> None:
    """What every base of the region contributes; what the logo shows is shaded."""
    region = found.region
    at = np.arange(region.start, region.end)
    if found.method in OF_UNITS:
        axes.fill_between(at, values, step="post", color="tab:blue", linewidth=0)
    else:
        axes.vlines(at, np.minimum(values, 0), np.maximum(values, 0), color="tab:blue", lw=0.7)
    axes.axhline(0, color="0.5", lw=0.5)
    if last - first < len(values):
        axes.axvspan(region.start + first, region.start + last, color="0.88", zorder=0)
    axes.set_xlim(region.start, region.end)
    axes.ticklabel_format(axis="x", useOffset=False, style="plain")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.tick_params(labelsize=8)
    axes.set_ylabel(_LABELS[found.method], fontsize=8)


def _chromosomes(axes: Axes, laid: Laid) -> None:
    """A line where one chromosome ends and the other begins, and their names."""
    at = 0
    for s in laid.segments:
        for line in (axes.axvline, axes.axhline):
            line(at, color="0.3", lw=0.8)
        axes.text(at + len(s) / 2, 1.01, s.chrom, transform=axes.get_xaxis_transform(), ha="center")
        at += len(s)
    names = " and ".join(f"{s.chrom}:{s.start:,}-{s.end:,}" for s in laid.segments)
    unit = axes.get_xlabel().rpartition(" ")[2]
    axes.set_xlabel(f"{names}, end to end {unit}", fontsize=8)


def _objective(axes: Axes, found: Attribution) -> None:
    """The bins that the objective reads, and where the region lies, on both sides of the
    diagonal.
    """
    from matplotlib.patches import Rectangle

    m, r = found.map, found.map.resolution
    words = found.objective.text.split()  # of a difference, those of what is compared
    wider = DOT * ("dot" in words)
    laid, parts = found.laid, found.objective.parts
    for one, two in found.objective.boxes:
        spans = []
        for (a, b), part in zip((one, two), (parts[0], parts[-1])):
            moved = 0 if laid is None else (laid.at(part.chrom, a) or 0) - a
            a, b = a + moved, b + moved
            low = max((a - m.start) // r - wider, 0)
            high = min(-(-(b - m.start) // r) + wider, len(m.values))
            spans.append((m.start + low * r, (high - low) * r))
        (x, width), (y, height) = spans
        if "insulation" in words:
            y, width, height = x - (DIAMOND - 1) * r, DIAMOND * r, DIAMOND * r
        for corner, w, h in (((x, y), width, height), ((y, x), height, width)):
            axes.add_patch(Rectangle(corner, w, h, fill=False, edgecolor="black", lw=1.4))
    at: float | None = (found.region.start + found.region.end) / 2
    if laid is not None:
        at = laid.at(found.region.chrom, (found.region.start + found.region.end) // 2)
    elif found.region.chrom != m.chrom:
        at = None
    if at is None:  # it lies behind what is drawn
        return
    axes.plot([at], [at], marker="x", color="tab:green", ms=8, mew=2, ls="none")
    label_bp(axes.xaxis, len(m.region), 6)
