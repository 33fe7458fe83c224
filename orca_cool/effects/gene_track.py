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

COLOURS = {"+": "#35478c", "-": "#8c4a35", ".": "0.4"}


def pack(extents: Sequence[tuple[float, float]], most: int = MAX_ROWS) -> list[int]:
    """A row for each interval, so that none overlap in a row: from left to right, each in the first
    that is free.

    Returns
    -------
    Rows from 0, in the order of ``extents``; -1 where all ``most`` rows are taken.
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
    """Genes of an axis from ``start`` to ``end`` bp, ``inches`` wide, sorted into rows with their
    names.

    Attributes
    ----------
    genes : those that overlap the axis. row : of each, -1 for those of which there is only a tick,
        and their number.
    extents : of bar and name in bp; the name is on the right of its bar, or on the left where there
        is no room. Where there is room on neither side it is on the bar, in the middle of the axis,
        which is all taken.
    """

    start: int
    end: int
    inches: float
    genes: pd.DataFrame
    row: list[int]
    extents: list[tuple[float, float]]

    @classmethod
    def of(cls, genes: pd.DataFrame, chrom: str, start: int, end: int, inches: float) -> Track:
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
        return max(self.row, default=-1) + 1 + (self.hidden > 0)

    def draw(self, axes: Axes) -> None:
        """Draw it on axes that are :attr:`rows` rows high."""
        from matplotlib.collections import PolyCollection

        inch = (self.end - self.start) / self.inches
        axes.set_xlim(self.start, self.end)
        axes.set_ylim(max(self.rows, 1), 0)
        box = {"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"}
        named, ticks = [], []
        for gene, row, extent in zip(self.genes.itertuples(), self.row, self.extents):
            a, b = max(gene.start, self.start), min(gene.end, self.end)
            colour = COLOURS[gene.strand]
            if row < 0:
                line = self.rows - 0.5
                ticks.append(
                    (
                        [
                            (a, line - 0.15),
                            (max(b, a + 0.004 * inch), line - 0.15),
                            (b, line + 0.15),
                            (a, line + 0.15),
                        ],
                        "0.6",
                    )
                )
                continue
            named.append(
                (_arrow(a, max(b, a + 0.01 * inch), row + 0.5, gene.strand, 0.03 * inch), colour)
            )
            if extent == (self.start, self.end):
                at, side, ground = (self.start + self.end) / 2, "center", box
            elif extent[0] < a:
                at, side, ground = a - GAP * inch, "right", None
            else:
                at, side, ground = b + GAP * inch, "left", None
            axes.text(
                at,
                row + 0.5,
                gene.name,
                fontsize=FONT,
                color=colour,
                ha=side,
                va="center_baseline",
                bbox=ground,
                clip_on=True,
                parse_math=False,
            )
        for shapes in (named, ticks):
            if shapes:
                axes.add_collection(
                    PolyCollection(
                        [s for s, _ in shapes], facecolors=[c for _, c in shapes], linewidths=0
                    )
                )
        if self.hidden:
            what = f"+ {self.hidden:,} more" if self.rows > 1 else f"{self.hidden:,} genes"
            axes.text(
                self.end,
                self.rows - 0.5,
                what,
                fontsize=FONT,
                color="0.35",
                ha="right",
                va="center_baseline",
                bbox=box,
            )


def _width(name: str) -> float:
    """Of a name as it is drawn, in inches."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    font.set_size(100, 72)
    font.set_text(name, 0.0)
    return float(font.get_width_height()[0]) / 64 / 100 * FONT / 72


def _arrow(a: float, b: float, y: float, strand: str, point: float) -> list[tuple[float, float]]:
    """A bar that points along its strand."""
    h, point = 0.28, min(point, b - a)
    if strand == "+":
        return [(a, y - h), (b - point, y - h), (b, y), (b - point, y + h), (a, y + h)]
    if strand == "-":
        return [(b, y - h), (a + point, y - h), (a, y), (a + point, y + h), (b, y + h)]
    return [(a, y - h), (b, y - h), (b, y + h), (a, y + h)]
