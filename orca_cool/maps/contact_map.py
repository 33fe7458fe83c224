"""``ContactMap``: a square of a contact map, predicted or measured, with what is needed to read it
as observed/expected or as contact frequency.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orca_cool import __version__
from orca_cool.errors import CoolerError, OutputError
from orca_cool.files import check_output
from orca_cool.genome.regions import Region, n_bins
from orca_cool.maps.axes import (
    CONTACT_COLOURS,
    CONTACT_LABEL,
    MISSING,
    RATIO_COLOURS,
    RATIO_LABEL,
    axis_name,
    bp_label,
    contact_limits,
    draw_matrix,
    label_bp,
    picture_html,
    ratio_limit,
)
from orca_cool.maps.coolfile import write_cool
from orca_cool.maps.pixels import Layer, RowBlock

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage


@dataclass(frozen=True, eq=False, repr=False)
class ContactMap:
    """A contact map of one region, in n bins of one size.

    The one type of all maps: what a model predicts for a window, a level of a zoom, the alternate,
    the reference and their difference, and what is read from a file.

    Parameters
    ----------
    values : (n, n) float32, symmetric: natural log((observed + eps) / (expected + eps)); NaN where
        unknown (masked bins, pixels outside the predicted band, pairs without contacts).
    expected : (n, n) float64: contact frequency that is expected of each pair of bins, by their
        distance or, between chromosomes, one number; NaN where unknown.
    eps : the pseudo-frequency that regularises the ratio; 0 in measured maps.
    region : what the n bins cover, in bp, 0-based, end-exclusive. A window may overhang its
        chromosome on either side. The last bin is shorter where the region ends within it.
    resolution : size of a bin in bp.
    strand_difference : (n, n) float32 or None: half the absolute difference between the predictions
        for the two strands, of which ``values`` is the mean.

    Raises
    ------
    CoolerError
        If the arrays are not squares of as many bins as the region has.

    Notes
    -----
    Source of the log ratio and of ``eps``: Zhou 2022 (Nature Genetics 54, 725), Methods.

    Examples
    --------
    >>> import numpy as np
    >>> from orca_cool.genome.regions import Region
    >>> m = ContactMap(
    ...     values=np.zeros((3, 3), np.float32),
    ...     expected=np.full((3, 3), 0.25),
    ...     eps=0.0,
    ...     region=Region("chrII", 4000, 10000),
    ...     resolution=2000,
    ... )
    >>> m
    ContactMap(chrII:4,000-10,000, 3 x 3 bins of 2 kb, values 0 to 0)
    >>> float(m.frequency[0, 2])
    0.25
    >>> m.bins["start"].tolist()
    [4000, 6000, 8000]
    """

    values: np.ndarray
    expected: np.ndarray
    eps: float
    region: Region
    resolution: int
    strand_difference: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = n_bins(len(self.region), self.resolution)
        for name in ("values", "expected", "strand_difference"):
            array = getattr(self, name)
            if array is not None and array.shape != (n, n):
                raise CoolerError(
                    f"{name} of {self.region} at {self.resolution} bp has shape {array.shape}; the "
                    f"region has {n} bins"
                )

    @property
    def chrom(self) -> str:
        """The region's chromosome."""
        return self.region.chrom

    @property
    def start(self) -> int:
        """First base of the first bin, 0-based."""
        return self.region.start

    @property
    def end(self) -> int:
        """End of the last bin, exclusive."""
        return self.region.end

    @property
    def frequency(self) -> np.ndarray:
        """(n, n) float64 contact frequency: exp(values) * (expected + eps), or observed + eps."""
        return np.exp(self.values.astype(float)) * (self.expected + self.eps)

    @property
    def log_frequency(self) -> np.ndarray:
        """(n, n) float64 natural log of :attr:`frequency`."""
        return self.values + np.log(self.expected + self.eps)

    @property
    def bins(self) -> pd.DataFrame:
        """Bins of the rows (and columns) as bioframe has intervals: chrom, start, end."""
        import pandas as pd  # a prediction to a file does without

        start = self.start + self.resolution * np.arange(len(self.values))
        end = np.minimum(start + self.resolution, self.end)
        return pd.DataFrame({"chrom": self.chrom, "start": start, "end": end})

    def __repr__(self) -> str:
        n, known = len(self.values), self.values[np.isfinite(self.values)]
        found = f"values {known.min():.3g} to {known.max():.3g}" if len(known) else "no known value"
        return f"ContactMap({self.region}, {n} x {n} bins of {bp_label(self.resolution)}, {found})"

    def _repr_html_(self) -> str:
        """What a notebook shows: size, region, resolution and the picture."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4.6, 3.9), dpi=100, layout="constrained")
        self.plot(figure.add_subplot())
        return picture_html(figure, repr(self), f"contact map of {self.region}")

    def plot(
        self,
        ax: Axes | None = None,
        *,
        contact: bool = False,
        vmax: float | None = None,
        title: str | None = None,
        colorbar: bool = True,
    ) -> Axes:
        """Draw the map.

        Parameters
        ----------
        ax : axes to draw on; by default a new figure of pyplot, which a notebook shows.
        contact : draw log10 contact frequency instead of log observed/expected.
        vmax : end of the symmetric scale of log observed/expected; default: the 98th percentile.
        title : default: the region.

        Returns
        -------
        The axes, in bp; the map's diagonal runs from the upper left to the lower right. Grey: no
        value is known.
        """
        if ax is None:
            from matplotlib import pyplot

            _, ax = pyplot.subplots(layout="constrained")
        if contact:
            values, colours, label = self.log_frequency / np.log(10), CONTACT_COLOURS, CONTACT_LABEL
            limits = contact_limits(values) if np.isfinite(values).any() else (-1.0, 0.0)
        else:
            values, colours, label = self.values, RATIO_COLOURS, RATIO_LABEL
            high = vmax or ratio_limit(values)
            limits = (-high, high)
        drawn = draw_values(ax, self, values, colours, limits)
        ax.set_title(str(self.region) if title is None else title, fontsize=10)
        if colorbar and ax.figure is not None:
            ax.figure.colorbar(drawn, ax=ax, shrink=0.7, label=label, extend="both")
        return ax

    def to_cooler(
        self,
        path: str | os.PathLike[str],
        *,
        chromsizes: Mapping[str, int] | None = None,
        assembly: str = "unknown",
        pseudo_depth: float = 1e5,
        force: bool = False,
    ) -> Path:
        """Write the map as a single-resolution .cool whose balanced values are :attr:`frequency`.

        Counts are ``pseudo_depth`` times the frequency, weights ``1 / sqrt(pseudo_depth)``.
        Expected and eps are stored too: ``open_map(path).fetch(...)`` gives :attr:`values` back.
        Bins without any known value are masked, and so is all that lies outside the region.

        Parameters
        ----------
        chromsizes : {chromosome: bp} of the genome, in its order. Bins that overhang the chromosome
            are left out. Default: the region's chromosome alone, which ends with the region.
        assembly : name of the genome's assembly.
        pseudo_depth : see above.
        force : replace a file that exists.

        Returns
        -------
        The path. Where the region does not start on a bin of its chromosome, the file has one
        contig named ``chrom_start_end``, which begins at 0.

        Raises
        ------
        OutputError
            If the file exists or cannot be written, or if the expected frequency does not depend on
            distance alone (a window of several chromosomes), which a cooler cannot hold.
        """
        path = Path(path)
        check_output(path, force)
        chrom, first, sizes = self._contig(chromsizes)
        cut = max(-first, 0)
        stop = min(len(self.values), n_bins(sizes[chrom], self.resolution) - first)
        if cut >= stop:
            raise OutputError(
                f"{self.region} lies outside {chrom}, which is {sizes[chrom]:,} bp long"
            )
        known = np.isfinite(self.values[cut:stop, cut:stop]).any(axis=0)
        masked = {c: np.ones(n_bins(n, self.resolution), dtype=bool) for c, n in sizes.items()}
        masked[chrom][first + cut : first + stop] = ~known
        expected = self._expected_by_distance()
        layer = Layer(self.resolution, expected, self.eps, len(expected), None, masked)
        rows = self._rows(chrom, first, cut, stop)
        write_cool(
            path,
            chromsizes=sizes,
            assembly=assembly,
            layer=layer,
            row_blocks=[rows],
            pseudo_depth=pseudo_depth,
            metadata={"orca_cool": __version__, "map_of": str(self.region)},
            strand_difference=rows.strand_difference is not None,
        )
        return path

    def _rows(self, chrom: str, first: int, cut: int, stop: int) -> RowBlock:
        """Rows and columns ``cut`` to ``stop`` as a writer takes them: by row and distance. Bin 0
        of the map is bin ``first`` of the contig ``chrom``.
        """
        column = np.add.outer(np.arange(cut, stop), np.arange(stop - cut))

        def banded(square: np.ndarray) -> np.ndarray:
            row = np.arange(cut, stop)[:, None]
            inside = square[row, np.minimum(column, stop - 1)].astype(np.float32)
            return np.where(column < stop, inside, np.float32(np.nan))

        difference = None if self.strand_difference is None else banded(self.strand_difference)
        levels = np.full(column.shape, self.resolution, np.int32)
        return RowBlock(chrom, first + cut, banded(self.values), levels, difference)

    def _contig(self, chromsizes: Mapping[str, int] | None) -> tuple[str, int, dict[str, int]]:
        """Contig of a file of this map, its bin that is the map's first, all contigs' lengths."""
        if self.start % self.resolution:
            name = f"{self.chrom}_{self.start}_{self.end}"
            return name, 0, {name: len(self.region)}
        if chromsizes is None:
            return self.chrom, self.start // self.resolution, {self.chrom: self.end}
        if self.chrom not in chromsizes:
            raise OutputError(
                f"chromosome {self.chrom!r} is not one of {', '.join(list(chromsizes)[:10])}"
            )
        return self.chrom, self.start // self.resolution, dict(chromsizes)

    def _expected_by_distance(self) -> np.ndarray:
        """(n,) expected at 0, 1, ... bins of distance; OutputError if it depends on more."""
        n = len(self.expected)
        distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        known = np.isfinite(self.expected)
        table = np.full(n, np.nan)
        table[distance[known]] = self.expected[known]
        # windows of several chromosomes are averaged in float32, also within a chromosome
        if not np.allclose(table[distance[known]], self.expected[known], rtol=1e-5, atol=0):
            raise OutputError(
                f"{self.region} at {self.resolution} bp: the expected frequency does not depend on "
                f"distance alone (the window holds several chromosomes), and a cooler can hold no "
                f"other; write it with `orca-cool predict`"
            )
        return table


def draw_values(
    ax: Axes, m: ContactMap, values: np.ndarray, colours: str, limits: tuple[float, float]
) -> AxesImage:
    """Draw values of a map's pixels with axes in bp of its chromosome, grey where there is none."""
    ax.set_facecolor(MISSING)
    drawn = draw_matrix(ax, values, m.start, m.start + m.resolution * len(values), colours, limits)
    ax.set_xlim(m.start, m.end)
    ax.set_ylim(m.end, m.start)
    for axis in (ax.xaxis, ax.yaxis):
        unit = label_bp(axis, len(m.region), 6)
    ax.set_xlabel(f"{axis_name(m.chrom)} ({unit})", parse_math=False)
    return drawn
