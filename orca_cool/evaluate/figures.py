"""Pictures of an evaluation: r by level, r by distance, and windows to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.evaluate.result import PREDICTORS, Example, Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Of the predictors that are drawn.
LABELS = {
    "model": "model",
    "telomere": "baseline: distance, telomeres",
    "centromere": "baseline: centromere too",
    "replicate": "replicate",
    "halves": "halves of the measured map",
}
COLOURS = {"model": "C0", "telomere": "C7", "centromere": "C1", "replicate": "C2", "halves": "C3"}

#: Distances with fewer pixels are not drawn.
MIN_PIXELS = 50


def bp(value: float) -> str:
    """A length in bp as a label, "2 kb" or "1.024 Mb"."""
    return (
        f"{value / 1e6:g} Mb"
        if value >= 1e6
        else f"{value / 1e3:g} kb"
        if value >= 1e3
        else f"{value:g} bp"
    )


def totals(scores: Sequence[Score]) -> list[Score]:
    """Scores of all chromosomes pooled, or of the only chromosome; finest level first,
    trans last.
    """
    names = {s.chrom for s in scores}
    return sorted(
        (s for s in scores if s.chrom == "all" or "all" not in names),
        key=lambda s: (s.kind, s.resolution),
    )


def levels_figure(scores: Sequence[Score]) -> Figure:
    """Bars of Pearson's r at each level, of the model, the baselines, the replicate and the
    halves.
    """
    from matplotlib.figure import Figure

    shown = totals(scores)
    names = [n for n in PREDICTORS if n in LABELS and any(n in s.metrics for s in shown)]
    figure = Figure(figsize=(1.6 + 1.1 * max(4, len(shown)), 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    at, width = np.arange(len(shown)), 0.8 / len(names)
    for k, name in enumerate(names):
        heights = [s.metrics[name].r if name in s.metrics else np.nan for s in shown]
        axes.bar(
            at + (k - (len(names) - 1) / 2) * width,
            heights,
            width,
            label=LABELS[name],
            color=COLOURS[name],
        )
    axes.axhline(0, color="0.4", linewidth=0.5)
    axes.set_xticks(
        at, [f"{bp(s.resolution)}{' trans' if s.kind == 'trans' else ''}" for s in shown]
    )
    axes.set_ylabel("Pearson's r, ln (observed / expected)")
    axes.set_title(_subject(shown), fontsize=10)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def distance_figure(scores: Sequence[Score]) -> Figure:
    """Lines of Pearson's r by distance, one panel for each level."""
    from matplotlib.figure import Figure

    shown = [s for s in totals(scores) if s.kind == "cis"]
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(3.6 * columns + 0.6, 2.8 * lines + 0.8), dpi=150, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for panel, s in zip(axes, shown):
        for name in [n for n in PREDICTORS if n in LABELS and n in s.metrics]:
            m = s.metrics[name]
            d = np.flatnonzero(m.pixels_by_distance >= MIN_PIXELS)
            panel.plot(
                d * s.resolution / 1000,
                m.by_distance[d],
                color=COLOURS[name],
                linewidth=1,
                label=LABELS[name],
            )
        panel.axhline(0, color="0.4", linewidth=0.5)
        panel.set_title(bp(s.resolution), fontsize=9)
        panel.set_xlabel("distance (kb)", fontsize=8)
    for panel in axes[len(shown) :]:
        panel.set_axis_off()
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        fontsize=8,
        frameon=False,
        loc="outside lower center",
        ncols=3,
    )
    figure.supylabel("Pearson's r at a distance", fontsize=9)
    figure.suptitle(_subject(shown), fontsize=10)
    return figure


def examples_figure(examples: Sequence[Example]) -> Figure:
    """Windows as pictures, a row for each place and a column for each level, coarse to fine:
    predicted above the diagonal, measured below it.
    """
    from matplotlib.figure import Figure

    places = list(dict.fromkeys(e.place for e in examples))
    levels = sorted({e.resolution for e in examples}, reverse=True)
    figure = Figure(
        figsize=(2.4 * len(levels) + 0.8, 2.4 * len(places) + 0.6), dpi=120, layout="constrained"
    )
    axes = figure.subplots(len(places), len(levels), squeeze=False)
    for panel in axes.ravel():
        panel.set_xticks([])
        panel.set_yticks([])
    for k, level in enumerate(levels):
        column = [e for e in examples if e.resolution == level]
        values = np.concatenate(
            [m[np.isfinite(m)] for e in column for m in (e.predicted, e.observed)]
        )
        high = max(float(np.percentile(np.abs(values), 98)), 0.1) if len(values) else 1.0
        for e in column:
            panel = axes[places.index(e.place), k]
            both = np.where(np.tri(len(e.predicted), k=-1, dtype=bool), e.observed, e.predicted)
            panel.imshow(
                np.ma.masked_invalid(both),
                cmap="coolwarm",
                vmin=-high,
                vmax=high,
                interpolation="nearest",
            )
        axes[0, k].set_title(f"{bp(level)} bins, ±{high:.1f}", fontsize=8)
    for panel, place in zip(axes[:, 0], places):
        panel.set_ylabel(place, fontsize=8)
    figure.suptitle(
        "ln (observed / expected): predicted above, measured below the diagonal", fontsize=9
    )
    return figure


def _subject(shown: Sequence[Score]) -> str:
    """A title: the chromosomes that a picture is of."""
    names = {s.chrom for s in shown}
    return "all chromosomes, pixels pooled" if "all" in names else ", ".join(sorted(names))
