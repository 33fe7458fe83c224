"""A comparison draws itself: three maps in the same bins."""

from __future__ import annotations

import base64
import dataclasses
import io
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

from orca_cool.effects.align import Comparison
from orca_cool.effects.sites import Site
from orca_cool.genome.regions import Region
from orca_cool.maps.contact_map import ContactMap

N, RES = 20, 1000
REGION = Region("cA", 5000, 5000 + N * RES)


def a_map(values: np.ndarray) -> ContactMap:
    return ContactMap(values.astype(np.float32), np.ones((N, N)), 0.0, REGION, RES)


@pytest.fixture
def comparison() -> Comparison:
    rng = np.random.default_rng(3)
    reference, alternate = rng.normal(size=(2, N, N))
    reference[4], reference[:, 4] = np.nan, np.nan
    site = Site("cA", (12_000, 14_000, 90_000), 13_000, (("cA", 13_000),))
    maps = [a_map(values + values.T) for values in (alternate, reference)]
    return Comparison(site, *maps, (maps[1],), (np.arange(N),), np.zeros(N, bool))


def test_three_maps_side_by_side(comparison: Comparison):
    figure = comparison.plot(dmax=0.5)
    axes = [ax for ax in figure.axes if ax.images]
    shown = [ax.images[0] for ax in axes]
    wanted = [m.values for m in (comparison.reference, comparison.alternate, comparison.difference)]
    for image, values in zip(shown, wanted, strict=True):
        np.testing.assert_array_equal(image.get_array().filled(np.nan), values)
    assert shown[0].get_clim() == shown[1].get_clim()
    assert shown[2].get_clim() == (-0.5, 0.5)
    for ax in axes:
        assert ax.get_xlabel() == "cA (kb)"
        assert ax.get_xlim() == (5_000, 25_000)
        drawn = {line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1}
        assert drawn == {12_000, 14_000}  # the third breakpoint lies elsewhere
    labels = [ax.get_ylabel() for ax in figure.axes if not ax.images and ax.get_ylabel()]
    assert labels == ["ln (observed / expected)"] * 2 + ["ln (alternate / reference)"]


def test_gaps_of_the_edited_genome_are_not_drawn(comparison: Comparison):
    """Neither their values, nor do these stretch the scale; the comparison keeps them."""
    gaps = np.zeros(N, bool)
    gaps[:3] = True
    values = comparison.alternate.values.copy()
    values[gaps] = values[:, gaps] = 1000.0
    edited = dataclasses.replace(comparison, alternate=a_map(values), gaps=(gaps,))
    figure = edited.plot()
    alternate = figure.axes[1].images[0]
    unknown = np.isnan(alternate.get_array().filled(np.nan))
    np.testing.assert_array_equal(unknown, gaps[:, None] | gaps)
    assert alternate.get_clim()[1] < 100
    assert (edited.alternate.values == values).all()


def test_what_is_not_known_is_grey(comparison: Comparison):
    figure = comparison.plot()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    ax = figure.axes[0]
    for bins, unknown in (((4, 10), True), ((15, 4), True), ((15, 17), False)):
        x, y = ax.transData.transform([REGION.start + (k + 0.5) * RES for k in bins])
        colour = pixels[pixels.shape[0] - 1 - int(y), int(x)]
        assert (np.abs(colour - 166).max() <= 1) == unknown, bins


def test_axes_end_where_the_chromosome_does(comparison: Comparison):
    gaps = np.zeros(N, bool)
    gaps[[0, 1, 7, 19]] = True
    found = dataclasses.replace(comparison, gaps=(gaps, gaps))
    axes = [ax for ax in found.plot().axes if ax.images]
    for ax in axes:
        assert ax.get_xlim() == (REGION.start + 2 * RES, REGION.start + 19 * RES)
        assert ax.get_ylim() == (REGION.start + 19 * RES, REGION.start + 2 * RES)


def test_a_notebook_shows_it(comparison: Comparison):
    assert repr(comparison) == f"Comparison(around {comparison.site}: cA:5,000-25,000, 1 kb bins)"
    shown = comparison._repr_html_()
    png = re.search(r'src="data:image/png;base64,([^"]+)"', shown)
    assert png is not None
    rows, columns = imread(io.BytesIO(base64.b64decode(png[1]))).shape[:2]
    assert columns > 3 * 600
    assert columns > 2 * rows


def test_a_comparison_without_a_known_value_is_drawn(comparison: Comparison):
    nothing = a_map(np.full((N, N), np.nan))
    empty = Comparison(comparison.site, nothing, nothing, (), (), np.zeros(N, bool))
    assert "base64" in empty._repr_html_()
