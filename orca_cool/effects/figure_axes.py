"""How the parts of a panel are drawn: map, insulation, strip of segments, axis and colour bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.effects.figure_panels import Panel
from orca_cool.maps.axes import axis_name, draw_matrix, label_bp

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours of stretches of the reference, in turn (Okabe & Ito's, which the colour-blind can tell
#: apart), and of literal sequence.
SEGMENT_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00")
LITERAL_COLOUR = "0.25"

LINE_COLOURS = {
    "reference": "0.35",
    "predicted": "0.35",
    "alternate": "#7b3294",
    "measured": "0.35",
    "difference": "#7b3294",
}

#: How breakpoints are drawn.
DASHED: dict[str, Any] = {
    "color": "black",
    "linewidth": 0.6,
    "linestyle": (0, (4, 3)),
    "alpha": 0.8,
}


def draw_map(axes: Axes, panel: Panel, colours: str, high: float, *, triangles: bool) -> None:
    """Draw a panel's map on a scale from ``-high`` to ``high``, as a square, or rotated by 45
    degrees up to half the window's distance.
    """
    start, end = panel.start, panel.end
    _hatch_unknown(axes, panel, triangles)
    drawn = draw_matrix(
        axes, panel.values, *panel.extent, colours, (-high, high), aspect="auto", zorder=1
    )
    axes.set_xlim(start, end)
    if triangles:
        from matplotlib.transforms import Affine2D

        # column u and row v of a pixel, in bp, to the middle of the two and half their distance
        drawn.set_transform(Affine2D.from_values(0.5, 0.5, 0.5, -0.5, 0, 0) + axes.transData)
        tall = _rotated_height(panel)
        axes.set_ylim(0, tall)
        for at in panel.lines:
            for way, room in ((1, end - at), (-1, at - start)):
                reach = min(tall, room / 2)
                axes.plot([at, at + way * reach], [0, reach], **DASHED, zorder=3)
        axes.spines[["top", "left", "right"]].set_visible(False)
    else:
        axes.set_ylim(end, start)
        for at in panel.lines:
            axes.axvline(at, **DASHED, zorder=3)
            axes.axhline(at, **DASHED, zorder=3)
    if panel.box:
        _outline_next_window(axes, panel.box, triangles)
    if panel.note:
        axes.text(
            0,
            1.01,
            panel.note,
            transform=axes.transAxes,
            va="bottom",
            fontsize=5.5,
            parse_math=False,
        )
    axes.set_xticks([])
    axes.set_yticks([])


def _rotated_height(panel: Panel) -> float:
    """Half the window's distance, rotated, in bp of the axis."""
    return (panel.end - panel.start) / 4


def _hatch_unknown(axes: Axes, panel: Panel, triangles: bool) -> None:
    """Hatch all of the map's place; what is known is drawn over it."""
    from matplotlib.patches import Polygon

    start, end, tall = panel.start, panel.end, _rotated_height(panel)
    outline = (
        [(start, 0), (end, 0), (end - tall, tall), (start + tall, tall)]
        if triangles
        else [(0, 0), (0, 1), (1, 1), (1, 0)]
    )
    style: dict[str, Any] = {
        "facecolor": "0.97",
        "edgecolor": "0.88",
        "hatch": "/////",
        "linewidth": 0,
        "label": "unknown",
    }
    transform = axes.transData if triangles else axes.transAxes
    axes.add_patch(Polygon(outline, **style, zorder=0, transform=transform))


def _outline_next_window(axes: Axes, box: tuple[int, int], triangles: bool) -> None:
    from matplotlib.patches import Polygon, Rectangle

    a, b = box
    outline = (
        Polygon([(a, 0), ((a + b) / 2, (b - a) / 2), (b, 0)], closed=False)
        if triangles
        else Rectangle((a, a), b - a, b - a)
    )
    outline.set(fill=False, edgecolor="black", linewidth=0.8, zorder=4, label="next window")
    axes.add_patch(outline)


def draw_insulation(
    axes: Axes, panel: Panel, limits: tuple[float, float], *, first: bool, last: bool
) -> None:
    """Draw a panel's insulation; the y axis is labelled in the first column, lines in the last."""
    from matplotlib.ticker import MaxNLocator

    axes.axhline(0, color="0.8", linewidth=0.5, zorder=0)
    for at in panel.lines:
        axes.axvline(at, **DASHED)
    for row, (name, (start, end), track) in enumerate(panel.tracks):
        width = (end - start) / len(track)
        axes.plot(
            start + width * (np.arange(len(track)) + 0.5),
            track,
            color=LINE_COLOURS[name],
            linewidth=0.9,
            label=name,
        )
        if last:
            axes.text(
                1.03,
                0.95 - 0.3 * row,
                name,
                color=LINE_COLOURS[name],
                transform=axes.transAxes,
                fontsize=6,
                va="top",
            )
    bare(axes, panel)
    axes.set_ylim(*limits)
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.tick_params(axis="y", labelsize=5, length=2, pad=1, left=True, labelleft=True)
    axes.spines[["top", "right"]].set_visible(False)
    if first:
        axes.set_ylabel("insulation\n(log2)", fontsize=5.5, labelpad=2)


def draw_strip(axes: Axes, panel: Panel) -> None:
    """Draw the segments of a panel as coloured bars with letters."""
    from matplotlib.patches import Rectangle

    size = panel.end - panel.start
    for bar in panel.bars:
        colour = (
            SEGMENT_COLOURS[bar.number % len(SEGMENT_COLOURS)]
            if bar.number >= 0
            else LITERAL_COLOUR
            if bar.number == -1
            else "white"
        )
        hatch = "xxxxx" if bar.absent else "/////" if bar.number == -2 else None
        edge = "white" if bar.absent else "0.6"
        width, middle = bar.end - bar.start, (bar.start + bar.end) / 2
        drawn = max(width, size / 120)  # a small one is to be seen all the same
        small = drawn > width
        axes.add_patch(
            Rectangle(
                (middle - drawn / 2, 0),
                drawn,
                1,
                facecolor=colour,
                edgecolor=edge,
                hatch=hatch,
                linewidth=0,
                zorder=1 + small,
            )
        )
        if bar.inverted and width >= 0.1 * size:
            step = size / 24
            places = np.arange(bar.start + step / 2, bar.end, step)
            places = places[np.abs(places - middle) > step / 2]  # room for the letter
            axes.plot(
                places,
                np.full(len(places), 0.5),
                linestyle="none",
                marker="<",
                markersize=2.5,
                color="0.1",
                markeredgewidth=0,
            )
        if width > 0.03 * size and 0 <= bar.number < 26:
            letter = ("<" if bar.inverted and width < 0.1 * size else "") + chr(
                ord("A") + bar.number
            )
            axes.text(
                middle,
                0.45,
                letter,
                fontsize=5.5,
                ha="center",
                va="center_baseline",
                weight="bold",
                clip_on=True,
            )
    axes.set_ylim(0, 1)
    bare(axes, panel)
    axes.spines[:].set_visible(False)


def bare(axes: Axes, panel: Panel) -> None:
    """Set a panel's axis, without ticks."""
    axes.set_xlim(panel.start, panel.end)
    axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)


def label_axis(axes: Axes, panel: Panel) -> None:
    """Write chromosome and positions below a panel's last axes."""
    unit = label_bp(axes.xaxis, panel.end - panel.start, 4)
    axes.tick_params(axis="x", labelsize=6, length=2, pad=1.5, bottom=True, labelbottom=True)
    axes.spines["bottom"].set_visible(True)
    axes.set_xlabel(
        f"{axis_name(panel.chrom)} ({unit})", fontsize=6.5, labelpad=1, parse_math=False
    )


def colour_bar(figure: Figure, axes: Axes, colours: str, high: float, label: str) -> None:
    """Draw a colour bar from ``-high`` to ``high``."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator

    bar = figure.colorbar(
        ScalarMappable(Normalize(-high, high), colours),
        cax=axes,
        extend="both",
        ticks=MaxNLocator(5),
    )
    bar.set_label(label, fontsize=6.5, linespacing=1.1)
    axes.tick_params(labelsize=6, length=2)
