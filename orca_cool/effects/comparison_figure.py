"""A comparison as one picture: the reference, the edited genome and their difference side by side,
in the same bins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orca_cool.maps.axes import (
    DIFFERENCE_COLOURS,
    DIFFERENCE_LABEL,
    RATIO_COLOURS,
    RATIO_LABEL,
    bp_label,
    ratio_limit,
)
from orca_cool.maps.contact_map import draw_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from orca_cool.effects.align import Comparison

#: A difference is drawn on a scale of at least this, as one of the size of rounding errors is none.
LEAST = 0.01


def draw_comparison(
    c: Comparison, *, vmax: float | None = None, dmax: float | None = None, title: str | None = None
) -> Figure:
    """Draw a comparison.

    Parameters
    ----------
    vmax : end of the symmetric scale of log observed/expected, one for both maps; default: the 98th
        percentile of both. dmax : of the difference; default: its 99.5th percentile.
    title : default: the place and the size of the bins.

    Returns
    -------
    matplotlib Figure of three maps with axes in bp of the edited genome; dashed lines mark the
    breakpoints. What lies in gaps or beyond the chromosome's ends, where a model predicts too but
    nothing is meant, is grey, and cut off at the ends of the window. No state of pyplot is touched.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 4.0), dpi=100, layout="constrained")
    axes = figure.subplots(1, 3)
    alternate, (start, end) = _without_gaps(c)
    high = vmax or ratio_limit(np.stack([c.reference.values, alternate]))
    difference = c.difference
    changes = np.abs(difference.values[np.isfinite(difference.values)])
    most = dmax or max(float(np.percentile(changes, 99.5)) if len(changes) else 0.0, LEAST)
    panels = (
        ("reference, in the edit's bins", c.reference.values, RATIO_COLOURS, high, RATIO_LABEL),
        ("edit", alternate, RATIO_COLOURS, high, RATIO_LABEL),
        ("edit minus reference", difference.values, DIFFERENCE_COLOURS, most, DIFFERENCE_LABEL),
    )
    m = c.alternate
    for ax, (name, values, colours, limit, label) in zip(axes, panels):
        drawn = draw_values(ax, m, values, colours, (-limit, limit))
        ax.set_title(name, fontsize=10)
        ax.set_xlim(start, end)
        ax.set_ylim(end, start)
        for at in c.site.breakpoints:
            if start < at < end:
                style = {"color": "black", "linewidth": 0.7, "linestyle": (0, (4, 3))}
                ax.axvline(at, **style)
                ax.axhline(at, **style)
        figure.colorbar(drawn, ax=ax, shrink=0.75, label=label, extend="both")
    shown = f"{c.site}, {bp_label(c.resolution)} bins" if title is None else title
    figure.suptitle(shown, fontsize=11, parse_math=False)
    return figure


def _without_gaps(c: Comparison) -> tuple[np.ndarray, tuple[int, int]]:
    """(n, n) the alternate's values, NaN in its gaps and beyond the chromosome; and the stretch in
    bp from the first to the last bin that is none, all of the window if every bin is one.
    """
    m, values = c.alternate, np.array(c.alternate.values)
    gaps = c.gaps[0] if c.gaps else np.zeros(len(values), dtype=bool)
    values[gaps] = np.nan
    values[:, gaps] = np.nan
    inside = np.flatnonzero(~gaps)
    first, last = (int(inside[0]), int(inside[-1])) if len(inside) else (0, len(gaps) - 1)
    return values, (m.start + m.resolution * first, m.start + m.resolution * (last + 1))
