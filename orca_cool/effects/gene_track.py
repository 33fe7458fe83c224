"""Genes drawn as a track below a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


#: More rows of names than this are not drawn.
MAX_ROWS = 6

#: Where less than this share of the genes has room for its name there are no names.
LEAST_NAMED = 0.2

#: Size of names in points, height of a row and gap behind a bar or a name in inches.
FONT, ROW, GAP = 5.0, 0.09, 0.03

#: White behind what is written over bars.
BOX = {"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"}

COLOURS = {"+": "#35478c", "-": "#8c4a35", ".": "0.4"}


def pack(extents: Sequence[tuple[float, float]], most: int = MAX_ROWS) -> list[int]:
    """Sort intervals into rows in which none overlap: from left to right, each into the first row
    that is free.

    Parameters
    ----------
    extents : (start, end) of each interval.
    most : number of rows.

    Returns
    -------
    Row of each interval, from 0, in the order of ``extents``; -1 where all rows are taken.
    """
    ends = [float("-inf")] * most
    rows = [-1] * len(extents)
    for k in sorted(range(len(extents)), key=lambda k: extents[k]):
        start, end = extents[k]
        rows[k] = next((row for row, taken in enumerate(ends) if taken <= start), -1)
        if rows[k] >= 0:
            ends[rows[k]] = end
    return rows


@dataclass(frozen=True)
class Track:
    """Genes along an axis, sorted into rows so that their names do not overlap.

    Attributes
    ----------
    start, end, inches : ends of the axis in bp, and its width.
    genes : those that overlap the axis, as :func:`orca_cool.genome.gene_models.read_genes` returns
        them.
    row : of each gene; -1 for a gene without a name, of which only a tick is drawn.
    extents : (start, end) in bp of each gene's bar and name together. The name is on the right of
        its bar, or on the left where there is no room on the right. Where there is room on neither
        side it is written over the bar, in the middle of the axis, and the extent is the whole
        axis.
    """

    start: int
    end: int
    inches: float
    genes: pd.DataFrame
    row: list[int]
    extents: list[tuple[float, float]]

    @classmethod
    def of(cls, genes: pd.DataFrame, chrom: str, start: int, end: int, inches: float) -> Track:
        """The genes of ``chrom[start:end)`` on an axis that is so many inches wide."""
        here = genes[
            (genes["chrom"] == chrom) & (genes["start"] < end) & (genes["end"] > start)
        ].reset_index(drop=True)
        inch = (end - start) / inches
        extents = []
        for a, b, name in zip(
            here["start"].clip(lower=start), here["end"].clip(upper=end), here["name"]
        ):
            wide = (_width(name) + 2 * GAP) * inch
            on_the_left = (a - wide, b + GAP * inch) if a - wide >= start else (start, end)
            extents.append((a, b + wide) if b + wide <= end else on_the_left)
        row = pack(extents)
        if row.count(-1) > (1 - LEAST_NAMED) * len(row):
            row = [-1] * len(row)
        return cls(start, end, inches, here, row, extents)

    @property
    def hidden(self) -> int:
        """Genes without a name."""
        return self.row.count(-1)

    @property
    def rows(self) -> int:
        """Rows that are needed: those with names, and one for the ticks if there are any."""
        return max(self.row, default=-1) + 1 + (self.hidden > 0)

    def draw(self, axes: Axes) -> None:
        """Draw the genes on axes that are :attr:`rows` rows high."""
        from matplotlib.collections import PolyCollection

        inch = (self.end - self.start) / self.inches
        axes.set_xlim(self.start, self.end)
        axes.set_ylim(max(self.rows, 1), 0)
        named, ticks = [], []
        for gene, row, extent in zip(self.genes.itertuples(), self.row, self.extents):
            a, b = max(gene.start, self.start), min(gene.end, self.end)
            if row < 0:
                line, right = self.rows - 0.5, max(b, a + 0.004 * inch)
                ticks.append(
                    [(a, line - 0.15), (right, line - 0.15), (b, line + 0.15), (a, line + 0.15)]
                )
                continue
            right = max(b, a + 0.01 * inch)
            shape = _arrow(a, right, row + 0.5, gene.strand, 0.03 * inch)
            named.append((shape, COLOURS[gene.strand]))
            if extent == (self.start, self.end):
                at, side, ground = (self.start + self.end) / 2, "center", BOX
            elif extent[0] < a:
                at, side, ground = a - GAP * inch, "right", None
            else:
                at, side, ground = b + GAP * inch, "left", None
            axes.text(
                at,
                row + 0.5,
                gene.name,
                fontsize=FONT,
                color=COLOURS[gene.strand],
                ha=side,
                va="center_baseline",
                bbox=ground,
                clip_on=True,
                parse_math=False,
            )
        for shapes in (named, [(tick, "0.6") for tick in ticks]):
            if shapes:
                axes.add_collection(
                    PolyCollection(
                        [s for s, _ in shapes], facecolors=[c for _, c in shapes], linewidths=0
                    )
                )
        if self.hidden:
            self._count_hidden(axes)

    def _count_hidden(self, axes: Axes) -> None:
        """Write how many genes have only a tick, at the right end of the last row."""
        axes.text(
            self.end,
            self.rows - 0.5,
            f"+ {self.hidden:,} more" if self.rows > 1 else f"{self.hidden:,} genes",
            fontsize=FONT,
            color="0.35",
            ha="right",
            va="center_baseline",
            bbox=BOX,
        )


def _width(name: str) -> float:
    """Width of a name as it is drawn, in inches."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    font.set_size(100, 72)
    font.set_text(name, 0.0)
    return float(font.get_width_height()[0]) / 64 / 100 * FONT / 72


def _arrow(a: float, b: float, y: float, strand: str, point: float) -> list[tuple[float, float]]:
    """Outline of a bar from ``a`` to ``b`` around ``y`` that points along its strand."""
    h, point = 0.28, min(point, b - a)
    if strand == "+":
        return [(a, y - h), (b - point, y - h), (b, y), (b - point, y + h), (a, y + h)]
    if strand == "-":
        return [(b, y - h), (a + point, y - h), (a, y), (a + point, y + h), (b, y + h)]
    return [(a, y - h), (b, y - h), (b, y + h), (a, y + h)]
