"""The picture of an evaluation on edits: changes of insulation by kind, and maps to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.evaluate.edit_scores import EditNumbers
from orca_cool.evaluate.edit_table import TrueEdit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def edits_figure(
    numbers: Sequence[EditNumbers], examples: Sequence[tuple[TrueEdit, np.ndarray, np.ndarray]]
) -> Figure:
    """Predicted against true change of insulation, a colour for each kind; beside it the changes of
    a few maps, the true one above the diagonal and the predicted one below it.

    Parameters
    ----------
    examples : (edit, true, predicted), maps (n, n) of the natural log of the fold change.
    """
    from matplotlib.figure import Figure

    columns = -(-len(examples) // 2)
    figure = Figure(figsize=(6.5 + 3 * columns, 6), dpi=130, layout="constrained")
    grid = figure.add_gridspec(1, 2, width_ratios=(6.5, max(3 * columns, 0.1)))
    left, right = figure.add_subfigure(grid[0, 0]), figure.add_subfigure(grid[0, 1])
    _insulation(left.subplots(), numbers)
    if examples:
        panels = np.ravel(right.subplots(min(2, len(examples)), columns, squeeze=False))
        for panel, (edit, true, predicted) in zip(panels, examples):
            _map(panel, edit, true, predicted)
        for panel in panels[len(examples) :]:
            panel.set_axis_off()
        right.suptitle("ln fold change of contacts: true above, predicted below", fontsize=9)
    return figure


def _insulation(axes: Axes, numbers: Sequence[EditNumbers]) -> None:
    kinds = list(dict.fromkeys(n.edit.kind for n in numbers))
    for k, kind in enumerate(kinds):
        own = [n for n in numbers if n.edit.kind == kind]
        axes.scatter(
            [n.true_insulation[0] for n in own],
            [n.insulation for n in own],
            s=14,
            color=f"C{k % 10}",
            marker="o^sD"[k // 10 % 4],
            alpha=0.7,
            linewidths=0,
            label=kind,
        )
    axes.axhline(0, color="0.7", linewidth=0.5)
    axes.axvline(0, color="0.7", linewidth=0.5)
    axes.axline((0, 0), slope=1, color="0.7", linewidth=0.5, linestyle="--")
    axes.set_xlabel("true change of insulation (ln)")
    axes.set_ylabel("predicted change of insulation (ln)")
    axes.legend(fontsize=7, frameon=False, loc="best")


def _map(axes: Axes, edit: TrueEdit, true: np.ndarray, predicted: np.ndarray) -> None:
    both = np.where(np.tri(edit.bins, k=-1, dtype=bool), predicted, true)
    finite = np.abs(true[np.isfinite(true)])
    high = max(float(np.percentile(finite, 99)), 0.1) if len(finite) else 1.0
    axes.imshow(
        np.ma.masked_invalid(both), cmap="coolwarm", vmin=-high, vmax=high, interpolation="nearest"
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{edit.kind} {edit.cell_type} ±{high:.1f}\n{edit.edit[:40]}", fontsize=7)
