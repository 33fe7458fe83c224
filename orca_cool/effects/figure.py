"""A zoom as one figure: reference, alternate, their difference and a measured map in rows, a column
for each level, coarse to fine.

Below every map is its insulation, above it a strip of the segments that the sequence is made of:
each stretch of the reference between breakpoints has one colour and letter throughout the figure,
so that what was deleted, duplicated, inverted or moved is seen at once.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.effects.columns import Column, diamond_side
from orca_cool.effects.figure_axes import (
    bare,
    colour_bar,
    draw_insulation,
    draw_map,
    draw_strip,
    label_axis,
)
from orca_cool.effects.figure_panels import SPACE, Block, Panel, insulation_limits, make_blocks
from orca_cool.effects.gene_track import ROW
from orca_cool.errors import CoolerError
from orca_cool.maps.axes import (
    DIFFERENCE_COLOURS,
    RATIO_COLOURS,
    RATIO_LABEL,
    bp_label,
    ratio_limit,
)
from orca_cool.maps.open import MapFile

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches: width of a map's panel as a square and rotated, gaps and margins.
SQUARE, ROTATED = 2.3, 3.2
LEFT, RIGHT, TOP, BOTTOM, COLUMN_GAP, ROW_GAP = 0.75, 1.1, 0.6, 0.1, 0.28, 0.42


def draw_columns(
    columns: Sequence[Column],
    *,
    title: str = "",
    triangles: bool = False,
    genes: pd.DataFrame | None = None,
    observed: str | Path | MapFile | None = None,
    vmax: float | None = None,
    dmax: float | None = None,
) -> Figure:
    """Draw the levels of one site side by side.

    Rows from the top: the reference (each of its windows), the alternate, the alternate minus the
    reference, the measured map of each reference window. Without an alternate: first and last.

    Parameters
    ----------
    columns : coarse to fine, all of one site.
    title : "$" is taken as it is.
    triangles : maps are rotated by 45 degrees and drawn up to half the window's distance.
    genes : as :func:`orca_cool.genome.gene_models.read_genes` returns them, in the reference;
        drawn below it, and below the alternate where the edits put them.
    observed : .cool, .mcool, a URI, or an open map; see
        :func:`orca_cool.maps.panels.observed_panel`.
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

    width = ROTATED if triangles else SQUARE
    map_height = width / 4 if triangles else width
    blocks = make_blocks(columns, width, genes, observed)
    high, most = _scales(blocks, vmax, dmax)
    characters = int((LEFT + len(columns) * (width + COLUMN_GAP)) / 0.046)
    note = "\n".join(textwrap.wrap(_note(columns, blocks), characters))
    bottom = BOTTOM + 0.11 * (1 + note.count("\n"))
    total_width = LEFT + len(columns) * (width + COLUMN_GAP) - COLUMN_GAP + RIGHT
    total_height = TOP + sum(b.height(map_height) + ROW_GAP for b in blocks) + bottom
    figure = Figure(figsize=(total_width, total_height), dpi=200)
    page = _Page(figure, total_width, total_height, width, map_height, triangles)

    top = total_height - TOP
    for block in blocks:
        scale = (DIFFERENCE_COLOURS, most) if block.kind == "difference" else (RATIO_COLOURS, high)
        _draw_block(page, block, blocks, columns, top, *scale)
        top -= block.height(map_height) + ROW_GAP
    page.text(LEFT, total_height - 0.1, title, fontsize=9, va="top", linespacing=1.4)
    page.text(LEFT, BOTTOM, note, fontsize=6, va="bottom", color="0.35", linespacing=1.3)
    return figure


def _draw_block(
    page: _Page,
    block: Block,
    blocks: Sequence[Block],
    columns: Sequence[Column],
    top: float,
    colours: str,
    limit: float,
) -> None:
    """Draw one of a figure's rows from ``top`` (inches) down, on a scale from ``-limit`` to
    ``limit``.
    """
    for k, (panel, column) in enumerate(zip(block.panels, columns)):
        axes = page.panel_axes(block, panel, column.resolution, k, top)
        draw_map(axes["map"], panel, colours, limit, triangles=page.triangles)
        limits = insulation_limits(blocks, k, block.kind)
        last = k == len(columns) - 1
        draw_insulation(axes["insulation"], panel, limits, first=k == 0, last=last)
        if "strip" in axes:
            draw_strip(axes["strip"], panel)
        if "genes" in axes:
            if panel.genes:
                panel.genes.draw(axes["genes"])
            bare(axes["genes"], panel)
            axes["genes"].spines[:].set_visible(False)
        label_axis(axes[list(axes)[-1]], panel)
        if block is blocks[0]:
            size = f"{bp_label(panel.end - panel.start)} window, {bp_label(column.resolution)} bins"
            middle = page.left(k) + page.width / 2
            page.text(middle, top + 0.05, size, ha="center", va="bottom", fontsize=8)
    page.label_row(block, axes["map"], colours, limit)


def _scales(blocks: Sequence[Block], vmax: float | None, dmax: float | None) -> tuple[float, float]:
    """Ends of the colour scales of log observed/expected and of the difference; CoolerError if
    there is nothing to draw.
    """

    def known(*kinds: str) -> np.ndarray:
        values = [
            p.values[np.isfinite(p.values)] for b in blocks if b.kind in kinds for p in b.panels
        ]
        return np.concatenate(values) if values else np.zeros(0)

    # a measured map is noisier than predictions, and would leave them pale
    predicted = known("reference", "alternate")
    if not len(predicted):
        raise CoolerError(
            "there is nothing to draw: every pixel is a gap or outside its chromosome"
        )
    changes = np.abs(known("difference"))
    # a difference at the size of rounding errors is none
    most = max(float(np.percentile(changes, 99.5)) if len(changes) else 0.0, 0.01)
    return vmax or ratio_limit(predicted), dmax or most


@dataclass(frozen=True)
class _Page:
    """A figure that is measured in inches from its lower left corner.

    Attributes
    ----------
    total_width, total_height : of the figure.
    width, map_height : of a panel, and of a map.
    triangles : True if maps are rotated.
    """

    figure: Figure
    total_width: float
    total_height: float
    width: float
    map_height: float
    triangles: bool

    def left(self, k: int) -> float:
        """Left edge of column ``k``."""
        return LEFT + k * (self.width + COLUMN_GAP)

    def text(self, x: float, y: float, what: str, **style: Any) -> None:
        """Write text, in which "$" is taken as it is."""
        self.figure.text(
            x / self.total_width, y / self.total_height, what, parse_math=False, **style
        )

    def panel_axes(
        self, block: Block, panel: Panel, resolution: int, k: int, top: float
    ) -> dict[str, Axes]:
        """New axes of a panel of column ``k`` from ``top`` down, by name."""
        y = top
        axes: dict[str, Axes] = {}
        for name, height in block.parts(self.map_height):
            # below the genes is the axis: as near as they end, however many rows the others have
            if name == "genes" and panel.genes:
                height = max(panel.genes.rows, 1) * ROW
            y -= height
            place = (
                self.left(k) / self.total_width,
                y / self.total_height,
                self.width / self.total_width,
                height / self.total_height,
            )
            axes[name] = self.figure.add_axes(place, label=f"{block.label} {resolution} {name}")
            y -= SPACE
        return axes

    def label_row(self, block: Block, last: Axes, colours: str, limit: float) -> None:
        """Write what a row shows on its left, and draw its colour bar on its right, beside
        ``last``, the map in the last column.
        """
        box = last.get_position()
        self.text(
            0.22,
            (box.y0 + box.y1) / 2 * self.total_height,
            block.label.replace(" minus ", "\nminus "),
            rotation=90,
            ha="center",
            va="center",
            fontsize=8,
        )
        scale = self.figure.add_axes(
            (box.x1 + 0.2 / self.total_width, box.y0, 0.1 / self.total_width, box.height),
            label=f"{block.label} scale",
        )
        if block.kind == "difference":
            quantity = "change of ln\n(obs. / exp.)"
        else:
            quantity = RATIO_LABEL.replace("observed ", "observed\n")
        colour_bar(
            self.figure,
            scale,
            colours,
            limit,
            quantity if self.triangles else quantity.replace("\n", " "),
        )


def _note(columns: Sequence[Column], blocks: Sequence[Block]) -> str:
    """What a reader must know of what is drawn, in small print below the figure."""
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
        out.append(
            "Strips: stretches of the reference between breakpoints (A, B, ...; not compartments)"
        )
        out[-1] += ", < inverted" * any(
            b.inverted for b in bars
        ) + ", crossed out if no window of the alternate has it" * any(b.absent for b in bars)
        out[-1] += ", black: literal sequence" * any(b.number == -1 for b in bars) + "."
    return " ".join(out)
