"""What the figure of a zoom shows, without drawing it: rows of panels, each a map with its
breakpoints, insulation, strip of segments and genes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.effects.columns import MAX_JUNCTIONS, Column, Map, diamond_side
from orca_cool.effects.gene_track import ROW, Track
from orca_cool.genome.gene_models import lift
from orca_cool.genome.regions import Region
from orca_cool.maps.metrics import insulation_score
from orca_cool.maps.open import MapFile
from orca_cool.maps.panels import observed_panel

if TYPE_CHECKING:
    import pandas as pd

#: Heights of a strip and of an insulation plot, and gap between the axes of a panel, in inches.
STRIP, INSULATION, SPACE = 0.1, 0.42, 0.05


class Stretches:
    """The reference cut at the places that breakpoints came from. The stretches between are
    numbered, which gives each its letter and colour.
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
class Bar:
    """An interval (bp of the panel's axis) of the strip above a map.

    Attributes
    ----------
    number : of the stretch of the reference, or -1 for literal sequence, -2 for N.
    inverted : True if the stretch is reverse-complemented here.
    absent : True if no window of the alternate has the stretch.
    """

    start: int
    end: int
    number: int
    inverted: bool = False
    absent: bool = False


@dataclass
class Panel:
    """One map with what is drawn above and below it, on an axis from ``start`` to ``end`` bp of
    ``chrom``.

    Attributes
    ----------
    values, extent : (n, n) the map, and the bp of its first and last edge.
    lines : breakpoints in bp.
    tracks : insulation: name, bp of its first and last edge, (n,) values.
    box : the next finer window in bp.
    bars : the strip above the map. genes : below it.
    note : text above the map.
    """

    chrom: str
    start: int
    end: int
    values: np.ndarray
    extent: tuple[int, int]
    lines: list[int]
    tracks: list[tuple[str, tuple[int, int], np.ndarray]]
    box: tuple[int, int] | None = None
    bars: list[Bar] = field(default_factory=list)
    genes: Track | None = None
    note: str = ""


@dataclass
class Block:
    """A row of panels, one a column.

    Attributes
    ----------
    kind : "reference", "alternate", "difference" or "measured".
    label : what the row shows.
    """

    kind: str
    label: str
    panels: list[Panel]

    @property
    def rows(self) -> int:
        """Rows of genes of the panel that has most."""
        return max((p.genes.rows for p in self.panels if p.genes), default=0)

    def parts(self, map_height: float) -> list[tuple[str, float]]:
        """Names and heights in inches of a panel's axes, from the top."""
        out = [("strip", STRIP)] * any(p.bars for p in self.panels) + [
            ("map", map_height),
            ("insulation", INSULATION),
        ]
        return out + [("genes", self.rows * ROW)] * (self.rows > 0)

    def height(self, map_height: float) -> float:
        """Inches from the top of the first axes to the bottom of the last."""
        return sum(h + SPACE for _, h in self.parts(map_height)) - SPACE


def make_blocks(
    columns: Sequence[Column],
    width: float,
    genes: pd.DataFrame | None,
    observed: str | Path | MapFile | None,
) -> list[Block]:
    """All panels of a figure, row by row.

    Parameters
    ----------
    columns : the levels of one site, coarse to fine.
    width : of a panel in inches.
    genes, observed : see :func:`orca_cool.effects.figure.draw_columns`.
    """
    stretches = Stretches(columns)
    bars = [_alternate_bars(c, stretches) for c in columns]
    sides = len(columns[0].references)
    suffix = {1: [""], 2: [", left", ", right"]}.get(sides, [f" {k + 1}" for k in range(sides)])
    out = []
    for k in range(sides):
        panels = [
            _reference_panel(column, k, box, genes, width)
            for column, box in zip(columns, _next_windows([c.references[k] for c in columns]))
        ]
        if any(bars):
            present = {bar.number for some in bars for bar in some}
            for column, panel in zip(columns, panels):
                panel.bars = _reference_bars(column, panel, stretches, present)
        out.append(Block("reference", columns[0].label + suffix[k], panels))
    if alternates := [c.alternate for c in columns if c.alternate is not None]:
        upper, lower = [], []
        for column, m, own, box in zip(columns, alternates, bars, _next_windows(alternates)):
            upper.append(_alternate_panel(column, m, own, box, genes, width))
            lower.append(_difference_panel(column, m, box))
        out.append(Block("alternate", "alternate", upper))
        out.append(Block("difference", "alternate minus reference", lower))
    if observed is not None:
        for k in range(sides):
            panels = [
                _measured(observed, c.references[k], c, out[k].panels[j])
                for j, c in enumerate(columns)
            ]
            out.append(Block("measured", "measured" + suffix[k], panels))
    return out


def _next_windows(maps: Sequence[Map]) -> list[tuple[int, int] | None]:
    """For each level the interval (bp) of the next finer one; None for the finest."""
    return [*((m.start, m.end) for m in maps[1:]), None]


def _reference_panel(
    column: Column, k: int, box: tuple[int, int] | None, genes: pd.DataFrame | None, width: float
) -> Panel:
    r = column.references[k]
    place = (r.start, r.end)
    lines = [at for chrom, at in column.origins() if chrom == r.chrom and r.start <= at <= r.end]
    tracks = [(column.label, place, r.insulation)]
    panel = Panel(r.chrom, *place, r.values, place, lines, tracks, box)
    if genes is not None:
        panel.genes = Track.of(genes, r.chrom, *place, width)
    return panel


def _reference_bars(
    column: Column, panel: Panel, stretches: Stretches, present: set[int]
) -> list[Bar]:
    """Stretches in a window of the reference; ``present`` are those that the alternate has."""
    sizes = column.genome.source.chromsizes if column.genome else {}
    end = min(panel.end, sizes.get(panel.chrom, panel.end))
    return [
        Bar(a, b, number, absent=number not in present)
        for number, a, b in stretches.of(panel.chrom, max(panel.start, 0), end)
    ]


def _alternate_panel(
    column: Column,
    m: Map,
    bars: list[Bar],
    box: tuple[int, int] | None,
    genes: pd.DataFrame | None,
    width: float,
) -> Panel:
    place = (m.start, m.end)
    tracks = [
        ("reference", place, _reference_insulation(column, m)),
        ("alternate", place, m.insulation),
    ]
    panel = Panel(m.chrom, *place, m.values, place, column.breaks(), tracks, box, bars)
    if genes is not None and column.genome is not None:
        lifted = lift(genes, column.genome, m.chrom, *place)
        panel.genes = Track.of(lifted, m.chrom, *place, width)
    return panel


def _difference_panel(column: Column, m: Map, box: tuple[int, int] | None) -> Panel:
    place = (m.start, m.end)
    values = column.difference
    if values is None:
        values = np.full(m.values.shape, np.nan)
    tracks = [("difference", place, m.insulation - _reference_insulation(column, m))]
    return Panel(m.chrom, *place, values, place, column.breaks(), tracks, box)


def _reference_insulation(column: Column, m: Map) -> np.ndarray:
    """Insulation of the reference in the alternate's bins; NaN where there is none."""
    if column.aligned_insulation is None:
        return np.full(len(m.values), np.nan)
    return column.aligned_insulation


def _alternate_bars(column: Column, stretches: Stretches) -> list[Bar]:
    """Segments of the alternate's window; if they are many, those that are too small to be seen are
    left out.
    """
    m = column.alternate
    if m is None or column.genome is None or not column.edited:
        return []
    out = []
    at = max(m.start, 0)
    for segment in column.genome.segments(m.chrom, m.start, m.end):
        if not segment.chrom:
            found = [(-2 if segment.is_N else -1, segment.start, segment.end)]
        else:
            found = stretches.of(segment.chrom, segment.start, segment.end)
        for number, a, b in found:
            first = at + (a - segment.start if segment.strand == "+" else segment.end - b)
            out.append(
                Bar(first, first + b - a, number, segment.strand == "-" and bool(segment.chrom))
            )
        at += len(segment)
    return (
        out
        if len(out) <= MAX_JUNCTIONS
        else [bar for bar in out if bar.end - bar.start >= (m.end - m.start) / 2000]
    )


def _measured(observed: str | Path | MapFile, r: Map, column: Column, panel: Panel) -> Panel:
    """The measured map of a reference window, with breakpoints and next window as in its panel."""
    region = Region(r.chrom, max(r.start, 0), r.end)
    found = observed_panel(observed, region, column.resolution)
    contact = observed_panel(observed, region, found.resolution, contact=True)
    side = max(3, round(diamond_side(len(r.values)) * column.resolution / found.resolution))
    track = insulation_score(10**contact.values, side)
    extent = (found.start, found.end)
    return Panel(
        r.chrom,
        r.start,
        r.end,
        found.values,
        extent,
        panel.lines,
        [("measured", extent, track)],
        panel.box,
        note=found.label,
    )


def insulation_limits(blocks: Sequence[Block], k: int, kind: str) -> tuple[float, float]:
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
