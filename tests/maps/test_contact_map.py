"""``ContactMap``: what it derives from its arrays, how it is shown, and the .cool that it
writes.
"""

from __future__ import annotations

import base64
import io
import re

import cooler
import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from orca_cool.errors import CoolerError, OutputError
from orca_cool.genome.regions import Region
from orca_cool.maps.axes import axis_name
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.open import open_map

matplotlib.use("Agg")

RES = 1000


def make(
    n: int = 20,
    start: int = 5_000,
    *,
    chrom: str = "cA",
    strands: bool = True,
    end: int | None = None,
) -> ContactMap:
    """Random values with a masked bin and a lone unknown pair."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(n, n)).astype(np.float32)
    y = np.where(np.tri(n, dtype=bool), y, y.T)
    y[3] = y[:, 3] = np.nan
    y[0, 9] = y[9, 0] = np.nan
    distance = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    region = Region(chrom, start, start + n * RES if end is None else end)
    return ContactMap(
        y, 0.2 / (1.0 + distance), 1e-3, region, RES, np.abs(y) / 8 if strands else None
    )


def test_what_is_derived_by_hand():
    m = make()
    assert (m.chrom, m.start, m.end) == ("cA", 5_000, 25_000)
    assert m.frequency.dtype == np.float64
    wanted = np.exp(np.float64(m.values[4, 6])) * (0.2 / 3 + 1e-3)
    assert m.frequency[4, 6] == wanted
    assert m.log_frequency[4, 6] == pytest.approx(np.log(wanted), rel=1e-12)
    assert np.isnan(m.frequency[3]).all()
    assert m.bins.columns.tolist() == ["chrom", "start", "end"]
    assert m.bins.iloc[-1].tolist() == ["cA", 24_000, 25_000]
    short = make(end=24_300)  # the chromosome's last bin is a part of one
    assert short.bins.iloc[-1].tolist() == ["cA", 24_000, 24_300]


def test_arrays_must_fit_the_region():
    m = make()
    for change in ({"values": m.values[:5, :5]}, {"expected": m.expected[0]}):
        arrays = {"values": m.values, "expected": m.expected} | change
        with pytest.raises(CoolerError, match="the region has 20 bins"):
            ContactMap(**arrays, eps=0.0, region=m.region, resolution=RES)


def test_it_says_what_it_is():
    m = make()
    assert re.fullmatch(
        r"ContactMap\(cA:5,000-25,000, 20 x 20 bins of 1 kb, values -[\d.]+ to [\d.]+\)", repr(m)
    )
    unknown = ContactMap(np.full((2, 2), np.nan), np.ones((2, 2)), 0.0, Region("c", 0, 8), 4)
    assert repr(unknown) == "ContactMap(c:0-8, 2 x 2 bins of 4 bp, no known value)"
    for shown in (m._repr_html_(), unknown._repr_html_()):
        png = re.search(r'src="data:image/png;base64,([^"]+)"', shown)
        picture = Image.open(io.BytesIO(base64.b64decode(png[1])))
        assert min(picture.size) > 200
    assert "cA:5,000-25,000" in m._repr_html_()
    assert "&lt;c&gt;" in make(chrom="<c>")._repr_html_()


def test_plot():
    from matplotlib.figure import Figure

    m = make()
    figure = Figure()
    axes = m.plot(figure.add_subplot(), vmax=2.0, title="a title")
    (drawn,) = axes.images
    np.testing.assert_array_equal(drawn.get_array().filled(np.nan), m.values)
    assert list(drawn.get_extent()) == [5_000, 25_000, 25_000, 5_000]
    assert drawn.get_clim() == (-2.0, 2.0)
    assert (axes.get_xlim(), axes.get_ylim()) == ((5_000, 25_000), (25_000, 5_000))
    assert axes.get_title() == "a title"
    assert [a.get_ylabel() for a in figure.axes] == ["", "ln (observed / expected)"]
    contact = m.plot(Figure().add_subplot(), contact=True, colorbar=False)
    assert len(contact.figure.axes) == 1
    np.testing.assert_allclose(contact.images[0].get_array(), np.log10(m.frequency), rtol=1e-12)
    from matplotlib import pyplot

    before = len(pyplot.get_fignums())
    assert m.plot().get_xlabel() == "cA (kb)"
    assert [axis_name(c) for c in ("2", "X")] == ["chromosome 2", "chromosome X"]
    assert len(pyplot.get_fignums()) == before + 1
    pyplot.close()


# ---- the .cool


def same(a: ContactMap, b: ContactMap) -> None:
    assert (a.region, a.resolution, a.eps) == (b.region, b.resolution, b.eps)
    np.testing.assert_allclose(a.values, b.values, atol=1e-6)
    np.testing.assert_array_equal(a.expected, b.expected)
    if a.strand_difference is None:
        assert b.strand_difference is None
    else:
        np.testing.assert_array_equal(a.strand_difference, b.strand_difference)


@pytest.mark.parametrize("strands", [True, False])
def test_a_cool_holds_the_map(tmp_path, strands):
    m = make(strands=strands)
    path = m.to_cooler(tmp_path / "m.cool")
    clr = cooler.Cooler(str(path))
    assert clr.binsize == RES
    assert dict(clr.chromsizes) == {"cA": 25_000}
    balanced = clr.matrix(balance=True).fetch(str(m.region))
    known = np.isfinite(m.values)
    np.testing.assert_allclose(balanced[known], m.frequency[known], rtol=1e-6)
    # what lies before the region, and the bin that nothing is known of, are masked
    assert np.flatnonzero(clr.bins()["weight"][:].isna()).tolist() == [0, 1, 2, 3, 4, 8]
    found = open_map(path)
    assert found.predicted
    same(m, found.fetch(m.region))
    assert [p.name for p in tmp_path.iterdir()] == ["m.cool"]  # nothing else is left


def test_chromosomes_of_the_genome(tmp_path):
    sizes = {"cB": 9_000, "cA": 18_400}
    m = make()
    path = m.to_cooler(tmp_path / "m.cool", chromsizes=sizes, assembly="toy")
    clr = cooler.Cooler(str(path))
    assert dict(clr.chromsizes) == sizes
    assert clr.info["genome-assembly"] == "toy"
    inside = open_map(path).fetch("cA:5,000-18,400")  # the window overhangs its chromosome
    np.testing.assert_allclose(inside.values, m.values[:14, :14], atol=1e-6)
    left = make(start=-3_000)
    part = open_map(left.to_cooler(tmp_path / "l.cool")).fetch("cA")
    assert part.region == Region("cA", 0, 17_000)
    # the masked bin was cut off with the first three
    np.testing.assert_allclose(part.values, left.values[3:, 3:], atol=1e-6)


def test_a_window_out_of_phase_is_a_contig_of_its_own(tmp_path):
    m = make(start=4_321)
    clr = cooler.Cooler(str(m.to_cooler(tmp_path / "m.cool", chromsizes={"cA": 100_000})))
    assert dict(clr.chromsizes) == {"cA_4321_24321": 20_000}
    found = open_map(tmp_path / "m.cool").fetch("cA_4321_24321")
    np.testing.assert_allclose(found.values, m.values, atol=1e-6)


def test_what_cannot_be_written(tmp_path):
    m = make()
    path = m.to_cooler(tmp_path / "m.cool")
    with pytest.raises(OutputError, match="exists"):
        m.to_cooler(path)
    m.to_cooler(path, force=True)
    with pytest.raises(OutputError, match="does not exist"):
        m.to_cooler(tmp_path / "absent" / "m.cool")
    with pytest.raises(OutputError, match="'cA' is not one of cB"):
        m.to_cooler(tmp_path / "x.cool", chromsizes={"cB": 10})
    with pytest.raises(OutputError, match="lies outside cA, which is 4,000 bp long"):
        m.to_cooler(tmp_path / "x.cool", chromsizes={"cA": 4_000})
    trans = m.expected.copy()
    trans[:10, 10:] = trans[10:, :10] = 0.01
    several = ContactMap(m.values, trans, m.eps, m.region, RES)
    with pytest.raises(OutputError, match="several chromosomes"):
        several.to_cooler(tmp_path / "x.cool")
    assert [p.name for p in tmp_path.iterdir()] == ["m.cool"]


def test_a_measured_map_written_anew(tmp_path):
    """Its first diagonals have no expected, and are unknown."""
    bins = cooler.binnify(pd.Series({"cA": 40_000}), RES)
    bins["weight"] = 0.1
    n = len(bins)
    counts = np.triu(np.random.default_rng(2).poisson(90 / (1 + np.arange(n)), (n, n)))
    i, j = np.nonzero(counts)
    pixels = pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": counts[i, j]})
    cooler.create_cooler(str(tmp_path / "o.cool"), bins, pixels)
    m = open_map(tmp_path / "o.cool").fetch("cA:10,000-30,000")
    assert np.isfinite(m.values).any()
    same(m, open_map(m.to_cooler(tmp_path / "m.cool")).fetch(m.region))
