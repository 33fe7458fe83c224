"""What all pictures of contact maps share: the colours, the scale, how a matrix and an axis in bp
are drawn.
"""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

#: Colour maps of log observed/expected (symmetric around 0) and of log10 contact frequency.
RATIO_COLOURS, CONTACT_COLOURS = "coolwarm", "YlOrRd"

#: Labels of the colour bars of the two.
RATIO_LABEL, CONTACT_LABEL = "ln (observed / expected)", "log10 contact frequency"

#: Colour map of a difference of two predictions, and label of its colour bar.
DIFFERENCE_COLOURS, DIFFERENCE_LABEL = "RdBu_r", "ln (alternate / reference)"


#: What is drawn where a map has no value: a grey that none of the colour maps has.
MISSING = "0.65"


def bp_label(value: float) -> str:
    """A length in bp as people write it: "2 kb", "1.024 Mb"."""
    return (
        f"{value / 1e6:g} Mb"
        if value >= 1e6
        else f"{value / 1e3:g} kb"
        if value >= 1e3
        else f"{value:g} bp"
    )


def ratio_limit(values: np.ndarray) -> float:
    """End of the symmetric colour scale of log observed/expected: the 98th percentile of the finite
    values' size, at least 0.1.
    """
    known = np.abs(values[np.isfinite(values)])
    return max(float(np.percentile(known, 98)), 0.1) if len(known) else 0.1


def contact_limits(values: np.ndarray) -> tuple[float, float]:
    """Ends of the colour scale of log10 contact frequency: the 2nd and the 99.5th percentile of the
    finite values.
    """
    low, high = np.percentile(values[np.isfinite(values)], [2, 99.5]).tolist()
    return low, high


def axis_name(chrom: str) -> str:
    """A chromosome as an axis is named: "chrII" as it is, "2" (which might be a length) and "X"
    (which might be the axis) as "chromosome 2" and "chromosome X".
    """
    return f"chromosome {chrom}" if chrom.isdigit() or chrom in ("X", "Y") else chrom


def draw_matrix(
    axes: Axes,
    values: np.ndarray,
    start: int,
    end: int,
    colours: str,
    limits: tuple[float, float],
    **style: Any,
) -> AxesImage:
    """Draw a square matrix whose rows and columns are bins from ``start`` to ``end`` bp, the first
    row at the top. NaN is transparent.
    """
    return axes.imshow(
        np.ma.masked_invalid(values),
        extent=(start, end, end, start),
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
        interpolation_stage="data",
        **style,
    )


def label_bp(axis: Axis, length: int, ticks: int) -> str:
    """Put at most about ``ticks`` tick labels on an axis of ``length`` bp, in kb or Mb; returns
    which of the two.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    unit, name = (1e6, "Mb") if length >= 2_000_000 else (1e3, "kb")
    axis.set_major_locator(MaxNLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / unit:,g}"))
    return name


def picture_html(figure: Figure, caption: str, alt: str) -> str:
    """A figure as a notebook shows it: a line of text, and below it a PNG of twice the figure's
    pixels, for screens that have them.
    """
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=2 * figure.dpi)
    picture = base64.b64encode(png.getvalue()).decode()
    width = round(figure.get_figwidth() * figure.dpi)
    return (
        f"<div><code>{html.escape(caption)}</code><br>"
        f'<img alt="{html.escape(alt)}" style="width: {width}px; max-width: 100%" '
        f'src="data:image/png;base64,{picture}"></div>'
    )
