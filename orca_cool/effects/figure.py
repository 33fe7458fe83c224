"""A zoom as one figure: reference, alternate, their difference and a measured map, a
column for each level, coarse to fine.

Below every map is its insulation, above it a strip of the segments that the sequence is made of:
each stretch of the reference between breakpoints has one colour and letter throughout the figure,
so that what was deleted, duplicated, inverted or moved is seen at once.
"""

from __future__ import annotations

import textwrap
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.effects.columns import MAX_JUNCTIONS, Column, Map, diamond_side
from orca_cool.effects.gene_track import ROW, Track
from orca_cool.errors import CoolerError
from orca_cool.genome.gene_models import lift
from orca_cool.genome.regions import Region
from orca_cool.maps.metrics import insulation_score
from orca_cool.maps.picture import bp_label, observed_panel

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colours of stretches of the reference, in turn (Okabe & Ito's, which the colour-blind can tell
#: apart).
SEGMENT_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00")
GIVEN_COLOUR = "0.25"

LINE_COLOURS = {
    "reference": "0.35",
    "alternate": "#7b3294",
    "measured": "0.35",
    "difference": "#7b3294",
}

#: Inches: width of a map's panel as a square and rotated, heights of strip and insulation, gaps and
#: margins.
SQUARE, ROTATED = 2.3, 3.2
STRIP, INSULATION, SPACE = 0.1, 0.42, 0.05
LEFT, RIGHT, TOP, BOTTOM, COLUMN_GAP, ROW_GAP = 0.75, 1.1, 0.6, 0.1, 0.28, 0.42


class _Stretches:
    """The reference cut at the places that breakpoints came from: letters and colours of the
    stretches between.
    """

    def __init__(self, columns: Sequence[Column]):
        places = {place for column in columns for place in column.origins()}
        chroms = dict.fromkeys(
            [r.chrom for c in columns for r in c.references] + sorted(chrom for chrom, _ in places)
        )
        self.cuts = {chrom: sorted(at for c, at in places if c == chrom) for chrom in chroms}
        self.first: dict[str, int] = {}
        number = 0
        for chrom, cuts in self.cuts.items():
            self.first[chrom] = number
            number += len(cuts) + 1

    def of(self, chrom: str, start: int, end: int) -> list[tuple[int, int, int]]:
        """(number, start, end) of the stretches of an interval."""
        cuts = self.cuts.get(chrom, [])
        edges = [start, *(c for c in cuts if start < c < end), end]
        return [
            (self.first.get(chrom, 0) + bisect_right(cuts, a), a, b)
            for a, b in zip(edges, edges[1:])
        ]


@dataclass(frozen=True)
class _Bar:
    """A piece of a strip; ``number`` of its stretch, or -1 for literal sequence, -2 for N."""

    start: int
    end: int
    number: int
    inverted: bool = False
    absent: bool = False


@dataclass
class _Panel:
    """One map with what is drawn above and below it, on an axis from ``start`` to ``end`` bp of
    ``chrom``.
    """

    chrom: str
    start: int
    end: int
    values: np.ndarray
    extent: tuple[int, int]
    lines: list[int]
    tracks: list[tuple[str, tuple[int, int], np.ndarray]]
    box: tuple[int, int] | None = None
    bars: list[_Bar] = field(default_factory=list)
    genes: Track | None = None
    note: str = ""


@dataclass
class _Block:
    """A row of panels; ``kind``: reference, alternate, difference, measured."""

    kind: str
    label: str
    panels: list[_Panel]

    @property
    def rows(self) -> int:
        return max((p.genes.rows for p in self.panels if p.genes), default=0)

    def parts(self, map_height: float) -> list[tuple[str, float]]:
        """Names and heights of a panel's axes, from the top."""
        out = [("strip", STRIP)] * any(p.bars for p in self.panels) + [
            ("map", map_height),
            ("insulation", INSULATION),
        ]
        return out + [("genes", self.rows * ROW)] * (self.rows > 0)

    def height(self, map_height: float) -> float:
        return sum(h + SPACE for _, h in self.parts(map_height)) - SPACE


def draw_columns(
    columns: Sequence[Column],
    *,
    title: str = "",
    triangles: bool = False,
    genes: pd.DataFrame | None = None,
    observed: str | Path | None = None,
    vmax: float | None = None,
    dmax: float | None = None,
) -> Figure:
    """Draw the levels of one place side by side.

    Rows from the top: the reference (each of its windows), the alternate, the alternate minus
    the reference, the measured map of each reference window. Without an alternate only the
    reference and the measured map.

    Parameters
    ----------
    columns : coarse to fine, all of one place.
    title : "$" is taken as it is.
    triangles : maps are rotated by 45 degrees and drawn up to half the window's distance.
    genes : as :func:`orca_cool.genome.gene_models.read_genes` returns them, in the reference; drawn below it,
        and where they went below the alternate.
    observed : .cool, .mcool or a URI; see :func:`orca_cool.maps.picture.observed_panel`.
    vmax : end of the symmetric scale of log observed/expected; default: the 98th percentile of what
        is predicted.
    dmax : end of the symmetric scale of the difference; default: its 99.5th percentile.

    Returns
    -------
    matplotlib Figure; no state of pyplot is touched. Axes are labelled "reference 2000 map",
    "alternate 2000 insulation", ...

    Raises
    ------
    CoolerError
        If the measured map cannot be read, or there is nothing to draw.
    """
    from matplotlib.figure import Figure

    blocks = _blocks(columns, ROTATED if triangles else SQUARE, genes, observed)
    width = ROTATED if triangles else SQUARE
    map_height = width / 4 if triangles else width
    # a measured map is noisier than predictions, and would leave them pale
    drawn = [
        p.values[np.isfinite(p.values)]
        for b in blocks
        if b.kind in ("reference", "alternate")
        for p in b.panels
    ]
    changes = [
        p.values[np.isfinite(p.values)] for b in blocks if b.kind == "difference" for p in b.panels
    ]
    if not any(map(len, drawn)):
        raise CoolerError(
            "there is nothing to draw: every pixel is a gap or outside its chromosome"
        )
    high = vmax or max(float(np.percentile(np.abs(np.concatenate(drawn)), 98)), 0.1)
    # a difference at the size of rounding errors is none
    most = dmax or max(
        float(np.percentile(np.abs(np.concatenate(changes)), 99.5))
        if any(map(len, changes))
        else 0.0,
        0.01,
    )
    note = "\n".join(
        textwrap.wrap(
            _note(columns, blocks), int((LEFT + len(columns) * (width + COLUMN_GAP)) / 0.046)
        )
    )
    bottom = BOTTOM + 0.11 * (1 + note.count("\n"))

    total_width = LEFT + len(columns) * (width + COLUMN_GAP) - COLUMN_GAP + RIGHT
    total_height = TOP + sum(b.height(map_height) + ROW_GAP for b in blocks) + bottom
    figure = Figure(figsize=(total_width, total_height), dpi=200)

    def text(x: float, y: float, what: str, **style: Any) -> None:
        figure.text(x / total_width, y / total_height, what, parse_math=False, **style)

    top = total_height - TOP
    for block in blocks:
        difference = block.kind == "difference"
        colours, limit = ("RdBu_r", most) if difference else ("coolwarm", high)
        for k, (panel, column) in enumerate(zip(block.panels, columns)):
            left, y = LEFT + k * (width + COLUMN_GAP), top
            axes: dict[str, Axes] = {}
            for name, height in block.parts(map_height):
                if (
                    name == "genes" and panel.genes
                ):  # what is below belongs to it, however many rows the others have
                    height = max(panel.genes.rows, 1) * ROW
                y -= height
                place = (
                    left / total_width,
                    y / total_height,
                    width / total_width,
                    height / total_height,
                )
                axes[name] = figure.add_axes(
                    place, label=f"{block.label} {column.resolution} {name}"
                )
                y -= SPACE
            _draw_map(axes["map"], panel, colours, limit, triangles=triangles)
            _draw_insulation(
                axes["insulation"],
                panel,
                _limits(blocks, k, block.kind),
                first=k == 0,
                last=k == len(columns) - 1,
            )
            if "strip" in axes:
                _draw_strip(axes["strip"], panel)
            if "genes" in axes:
                if panel.genes:
                    panel.genes.draw(axes["genes"])
                _bare(axes["genes"], panel)
                axes["genes"].spines[:].set_visible(False)
            _label_axis(axes[list(axes)[-1]], panel)
            if block is blocks[0]:
                size = f"{bp_label(panel.end - panel.start)} window, {bp_label(column.resolution)} bins"
                text(left + width / 2, top + 0.05, size, ha="center", va="bottom", fontsize=8)
        box = axes["map"].get_position()  # of the last column
        label = block.label.replace(" minus ", "\nminus ")
        text(
            0.22,
            (box.y0 + box.y1) / 2 * total_height,
            label,
            rotation=90,
            ha="center",
            va="center",
            fontsize=8,
        )
        scale = figure.add_axes(
            (box.x1 + 0.2 / total_width, box.y0, 0.1 / total_width, box.height),
            label=f"{block.label} scale",
        )
        quantity = "change of log\n(obs. / exp.)" if difference else "log (observed\n/ expected)"
        _colour_bar(
            figure, scale, colours, limit, quantity if triangles else quantity.replace("\n", " ")
        )
        top -= block.height(map_height) + ROW_GAP
    text(LEFT, total_height - 0.1, title, fontsize=9, va="top", linespacing=1.4)
    text(LEFT, BOTTOM, note, fontsize=6, va="bottom", color="0.35", linespacing=1.3)
    return figure


def _note(columns: Sequence[Column], blocks: Sequence[_Block]) -> str:
    """What a reader must know, of that which is there."""
    panels = [p for b in blocks for p in b.panels]
    bars = [bar for p in panels for bar in p.bars]
    side = diamond_side(len(columns[-1].maps[-1].values))
    of = "observed / expected" if columns[0].of_ratio else "contacts"
    out = [
        f"Insulation: log2 of the mean {of} across each bin (diamond of {side} bins), relative "
        f"to the window's mean."
    ]
    out += ["Dashed: breakpoints."] * any(p.lines for p in panels) + [
        "Outlined: the next finer window."
    ] * (len(columns) > 1)
    out += ["Hatched: unknown, outside the chromosome, or without counterpart."]
    if bars:
        out.append("Strips: stretches of the reference between breakpoints (A, B, ...)")
        out[-1] += ", < inverted" * any(
            b.inverted for b in bars
        ) + ", crossed out if no window of the alternate has it" * any(b.absent for b in bars)
        out[-1] += ", black: literal sequence" * any(b.number == -1 for b in bars) + "."
    return " ".join(out)


def _blocks(
    columns: Sequence[Column], width: float, genes: pd.DataFrame | None, observed: str | Path | None
) -> list[_Block]:
    """All panels, row by row."""
    stretches = _Stretches(columns)
    alternates = [c.alternate for c in columns if c.alternate is not None]
    bars = [_alternate_bars(c, stretches) for c in columns]
    present = {bar.number for some in bars for bar in some}
    sides = len(columns[0].references)
    suffix = (
        [""]
        if sides == 1
        else [", left", ", right"]
        if sides == 2
        else [f" {k + 1}" for k in range(sides)]
    )
    out = []
    for k in range(sides):
        boxes = [(r.start, r.end) for r in (c.references[k] for c in columns[1:])]
        panels = []
        for column, box in zip(columns, [*boxes, None]):
            r = column.references[k]
            lines = [
                at for chrom, at in column.origins() if chrom == r.chrom and r.start <= at <= r.end
            ]
            panel = _Panel(
                r.chrom,
                r.start,
                r.end,
                r.values,
                (r.start, r.end),
                lines,
                [("reference", (r.start, r.end), r.insulation)],
                box,
            )
            if any(bars):
                known = (
                    column.genome.source.chromsizes.get(r.chrom, r.end) if column.genome else r.end
                )
                inside = stretches.of(r.chrom, max(r.start, 0), min(r.end, known))
                panel.bars = [
                    _Bar(a, b, number, absent=number not in present) for number, a, b in inside
                ]
            if genes is not None:
                panel.genes = Track.of(genes, r.chrom, r.start, r.end, width)
            panels.append(panel)
        out.append(_Block("reference", "reference" + suffix[k], panels))
    if alternates:
        boxes = [(m.start, m.end) for m in alternates[1:]]
        upper, lower = [], []
        for column, m, own, box in zip(columns, alternates, bars, [*boxes, None]):
            place, lines = (m.start, m.end), column.breaks()
            lifted = (
                column.aligned_insulation
                if column.aligned_insulation is not None
                else np.full(len(m.values), np.nan)
            )
            tracks = [("reference", place, lifted), ("alternate", place, m.insulation)]
            panel = _Panel(m.chrom, *place, m.values, place, lines, tracks, box, own)
            if genes is not None and column.genome is not None:
                panel.genes = Track.of(
                    lift(genes, column.genome, m.chrom, *place), m.chrom, *place, width
                )
            upper.append(panel)
            difference = (
                column.difference
                if column.difference is not None
                else np.full(m.values.shape, np.nan)
            )
            lower.append(
                _Panel(
                    m.chrom,
                    *place,
                    difference,
                    place,
                    lines,
                    [("difference", place, m.insulation - lifted)],
                    box,
                )
            )
        out += [
            _Block("alternate", "alternate", upper),
            _Block("difference", "alternate minus reference", lower),
        ]
    if observed is not None:
        for k in range(sides):
            panels = [
                _measured(observed, c.references[k], c, out[k].panels[j])
                for j, c in enumerate(columns)
            ]
            out.append(_Block("measured", "measured" + suffix[k], panels))
    return out


def _alternate_bars(column: Column, stretches: _Stretches) -> list[_Bar]:
    """Pieces of the alternate's window; if they are many, those that are too small to be seen are
    left out.
    """
    m = column.alternate
    if m is None or column.genome is None or not column.edited:
        return []
    out = []
    at = max(m.start, 0)
    for piece in column.genome.segments(m.chrom, m.start, m.end):
        if not piece.chrom:
            found = [(-2 if piece.is_N else -1, piece.start, piece.end)]
        else:
            found = stretches.of(piece.chrom, piece.start, piece.end)
        for number, a, b in found:
            first = at + (a - piece.start if piece.strand == "+" else piece.end - b)
            out.append(
                _Bar(first, first + b - a, number, piece.strand == "-" and bool(piece.chrom))
            )
        at += len(piece)
    return (
        out
        if len(out) <= MAX_JUNCTIONS
        else [bar for bar in out if bar.end - bar.start >= (m.end - m.start) / 2000]
    )


def _measured(observed: str | Path, r: Map, column: Column, beside: _Panel) -> _Panel:
    """A measured map of a reference window, with lines and zoom box as there."""
    region = Region(r.chrom, max(r.start, 0), r.end)
    panel = observed_panel(observed, region, column.resolution)
    contact = observed_panel(observed, region, panel.resolution, contact=True)
    side = max(3, round(diamond_side(len(r.values)) * column.resolution / panel.resolution))
    track = insulation_score(10**contact.values, side)
    extent = (panel.start, panel.end)
    return _Panel(
        r.chrom,
        r.start,
        r.end,
        panel.values,
        extent,
        beside.lines,
        [("measured", extent, track)],
        beside.box,
        note=panel.label,
    )


def _limits(blocks: Sequence[_Block], k: int, kind: str) -> tuple[float, float]:
    """Range of a column's insulation axes: one for all predicted maps, another for measured ones, a
    symmetric one for the difference.
    """
    kinds = {kind} if kind in ("difference", "measured") else {"reference", "alternate"}
    tracks = [t for b in blocks if b.kind in kinds for _, _, t in b.panels[k].tracks]
    known = np.concatenate([t[np.isfinite(t)] for t in tracks])
    low, high = (float(known.min()), float(known.max())) if len(known) else (-0.1, 0.1)
    if kind == "difference":
        high = max(-low, high, 0.01)
        low = -high
    room = max(0.08 * (high - low), 0.01)
    return low - room, high + room


def _draw_map(axes: Axes, panel: _Panel, colours: str, high: float, *, triangles: bool) -> None:
    from matplotlib.patches import Polygon, Rectangle
    from matplotlib.transforms import Affine2D

    start, end = panel.start, panel.end
    size = end - start
    tall = size / 4  # half the window's distance, rotated
    style: dict[str, Any] = {
        "color": "black",
        "linewidth": 0.6,
        "linestyle": (0, (4, 3)),
        "alpha": 0.8,
    }
    outline = (
        [(start, 0), (end, 0), (end - tall, tall), (start + tall, tall)]
        if triangles
        else [(0, 0), (0, 1), (1, 1), (1, 0)]
    )
    frame = axes.transData if triangles else axes.transAxes
    unknown: dict[str, Any] = {
        "facecolor": "0.97",
        "edgecolor": "0.88",
        "hatch": "/////",
        "linewidth": 0,
        "label": "unknown",
    }
    axes.add_patch(Polygon(outline, **unknown, zorder=0, transform=frame))
    first, last = panel.extent
    image = axes.imshow(
        np.ma.masked_invalid(panel.values),
        extent=(first, last, last, first),
        cmap=colours,
        vmin=-high,
        vmax=high,
        interpolation="nearest",
        interpolation_stage="data",
        aspect="auto",
        zorder=1,
    )
    axes.set_xlim(start, end)
    if triangles:
        # column u and row v of a pixel, in bp, to the middle of the two and half their distance
        image.set_transform(Affine2D.from_values(0.5, 0.5, 0.5, -0.5, 0, 0) + axes.transData)
        axes.set_ylim(0, tall)
        for at in panel.lines:
            for way, room in ((1, end - at), (-1, at - start)):
                reach = min(tall, room / 2)
                axes.plot([at, at + way * reach], [0, reach], **style, zorder=3)
        axes.spines[["top", "left", "right"]].set_visible(False)
    else:
        axes.set_ylim(end, start)
        for at in panel.lines:
            axes.axvline(at, **style, zorder=3)
            axes.axhline(at, **style, zorder=3)
    if panel.box:
        a, b = panel.box
        corners = [(a, 0), ((a + b) / 2, (b - a) / 2), (b, 0)] if triangles else None
        box = Polygon(corners, closed=False) if corners else Rectangle((a, a), b - a, b - a)
        box.set(fill=False, edgecolor="black", linewidth=0.8, zorder=4, label="next window")
        axes.add_patch(box)
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


def _draw_insulation(
    axes: Axes, panel: _Panel, limits: tuple[float, float], *, first: bool, last: bool
) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.axhline(0, color="0.8", linewidth=0.5, zorder=0)
    for at in panel.lines:
        axes.axvline(at, color="black", linewidth=0.6, linestyle=(0, (4, 3)), alpha=0.8)
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
    _bare(axes, panel)
    axes.set_ylim(*limits)
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.tick_params(axis="y", labelsize=5, length=2, pad=1, left=True, labelleft=True)
    axes.spines[["top", "right"]].set_visible(False)
    if first:
        axes.set_ylabel("insulation\n(log2)", fontsize=5.5, labelpad=2)


def _draw_strip(axes: Axes, panel: _Panel) -> None:
    from matplotlib.patches import Rectangle

    size = panel.end - panel.start
    for bar in panel.bars:
        colour = (
            SEGMENT_COLOURS[bar.number % len(SEGMENT_COLOURS)]
            if bar.number >= 0
            else GIVEN_COLOUR
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
    _bare(axes, panel)
    axes.spines[:].set_visible(False)


def _bare(axes: Axes, panel: _Panel) -> None:
    axes.set_xlim(panel.start, panel.end)
    axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)


def _label_axis(axes: Axes, panel: _Panel) -> None:
    """Chromosome and positions below a panel's last axes."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    unit, name = (1e6, "Mb") if panel.end - panel.start >= 2_000_000 else (1e3, "kb")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / unit:,g}"))
    axes.tick_params(axis="x", labelsize=6, length=2, pad=1.5, bottom=True, labelbottom=True)
    axes.spines["bottom"].set_visible(True)
    axes.set_xlabel(f"{panel.chrom} ({name})", fontsize=6.5, labelpad=1, parse_math=False)


def _colour_bar(figure: Figure, axes: Axes, colours: str, high: float, label: str) -> None:
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
