"""The one opener of maps: which coolers a path means, whose weights can be used, and what is read
of predicted, measured and subtracted maps.
"""

from __future__ import annotations

import logging
import pickle
import warnings
from importlib import resources
from pathlib import Path

import cooler
import h5py
import numpy as np
import pandas as pd
import pytest
from cooltools import expected_cis

from orca_cool.effects.difference import difference
from orca_cool.errors import CoolerError, RegionError
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.maps.coolfile import Layer, RowBlock, read_log_ratio, write_mcool
from orca_cool.maps.expected_fit import fit_expected
from orca_cool.maps.observed import ObservedMap
from orca_cool.maps.open import open_map
from orca_cool.maps.panels import observed_panel

SIZES = {"cA": 70_500, "cB": 41_000}
MEASURED = Path(str(resources.files("orca_cool") / "data" / "maps" / "yeast.10kb.mcool"))


def write_measured(uri: str, resolution: int = 1000, weight: str | None = "weight") -> None:
    """A sparse map with masked bins."""
    rng = np.random.default_rng(3)
    bins = cooler.binnify(pd.Series(SIZES), resolution)
    n = len(bins)
    if weight is not None:
        bins[weight] = np.where(rng.random(n) < 0.08, np.nan, rng.uniform(0.02, 0.05, n))
    counts = np.triu(rng.poisson(30 / (1 + np.abs(np.subtract.outer(np.arange(n), np.arange(n))))))
    i, j = np.nonzero(counts)
    pixels = pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": counts[i, j]})
    cooler.create_cooler(uri, bins, pixels, dtypes={"count": int}, mode="a")


def write_predicted(path: Path, seed: int, strands: bool = True) -> Path:
    """Two levels with bands narrower than the chromosomes, and a masked bin."""
    rng = np.random.default_rng(seed)
    rows: dict[int, list[RowBlock]] = {}
    layers = []
    for resolution, band in ((1000, 20), (2000, 25)):
        bins = {c: -(-n // resolution) for c, n in SIZES.items()}
        masked = {c: np.arange(n) == 5 for c, n in bins.items()}
        expected = 0.1 / (1 + np.arange(band))
        layers.append(Layer(resolution, expected, 1e-3, band, None, masked))
        rows[resolution] = []
        for c, n in bins.items():
            y = rng.normal(size=(n, band)).astype(np.float32)
            y[np.arange(n)[:, None] + np.arange(band) >= n] = np.nan
            level = np.full(y.shape, resolution, np.int32)
            rows[resolution].append(RowBlock(c, 0, y, level, np.abs(y) if strands else None))
    write_mcool(
        path,
        chromsizes=SIZES,
        assembly="x",
        layers=layers,
        row_blocks=lambda r: iter(rows[r]),
        metadata={"model_digest": "d"},
        strand_difference=strands,
    )
    return path


# ---- which coolers a path means


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open")
    write_measured(str(folder / "one.cool"))
    for r in (1000, 2000):
        write_measured(f"{folder / 'many.mcool'}::resolutions/{r}", r)
        for strain in ("wt", "mutant"):
            write_measured(f"{folder / 'strains.mcool'}::{strain}/resolutions/{r}", r)
    return folder


@pytest.mark.parametrize(
    ("path", "resolutions"),
    [
        ("one.cool", (1000,)),
        ("one.cool::/", (1000,)),
        ("one.cool::1000", (1000,)),
        ("many.mcool", (1000, 2000)),
        ("many.mcool::2000", (2000,)),
        ("many.mcool::resolutions/2000", (2000,)),
        ("many.mcool::/resolutions/2000", (2000,)),
        ("strains.mcool::wt", (1000, 2000)),
        ("strains.mcool::mutant/resolutions/2000", (2000,)),
    ],
)
def test_a_path_means_one_map(place, path, resolutions):
    found = open_map(place / path)
    assert found.resolutions == resolutions
    assert found.chromsizes == SIZES
    assert not found.predicted
    for r in resolutions:
        assert found.cooler(r).binsize == r
        assert found.balanced(r).uri == found.uri(r)
    if "mutant" in path:
        assert found.uri(2000).endswith("::/mutant/resolutions/2000")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent.cool", r"absent\.cool' does not exist"),
        ("text.cool", "not a cooler file"),
        ("many.mcool::5000", "no resolution '5000'; it has: 1000, 2000"),
        ("strains.mcool", r"several maps; .*::/mutant/resolutions/1000, .*::/wt/resolutions/2000"),
        ("strains.mcool::1000", "several maps"),
        ("variable.cool", "no cooler with bins of one size"),
    ],
)
def test_what_cannot_be_opened(place, path, message):
    (place / "text.cool").write_text("no")
    bins = pd.DataFrame({"chrom": ["c"] * 3, "start": [0, 10, 50], "end": [10, 50, 100]})
    pixels = pd.DataFrame({"bin1_id": [0], "bin2_id": [1], "count": [1]})
    cooler.create_cooler(str(place / "variable.cool"), bins, pixels)
    with pytest.raises(CoolerError, match=message) as caught:
        open_map(place / path)
    assert "\n" not in str(caught.value)


def test_a_resolution_that_is_not_there_is_named(place):
    with pytest.raises(CoolerError, match="no resolution 5000; it has: 1000, 2000"):
        open_map(place / "many.mcool").cooler(5000)
    with pytest.raises(CoolerError, match="bins of 1000 bp; 5000 are needed"):
        ObservedMap(place / "one.cool", 5000)


# ---- weights


def test_a_map_must_be_balanced(place):
    write_measured(str(place / "raw.cool"), weight=None)
    write_measured(str(place / "kr.cool"), weight="KR")
    with pytest.raises(CoolerError, match="not balanced: it has no column 'weight'"):
        open_map(place / "raw.cool").balanced(1000)
    with pytest.raises(CoolerError, match=r"not balanced: .* it has KR"):
        ObservedMap(place / "kr.cool", 1000)
    with pytest.raises(CoolerError, match="not balanced"):
        open_map(place / "raw.cool").fetch("cA")


def test_weights_that_divide_read_as_their_inverses_wherever_a_map_is_read(place):
    path, plain = place / "divisive.cool", place / "plain.cool"
    for p in (path, plain):
        write_measured(str(p))
    with h5py.File(path, "r+") as file:
        file["bins/weight"][:] = 1 / file["bins/weight"][:]
        file["bins/weight"].attrs["divisive_weights"] = True
    region = Region("cA", 0, 50_000)
    for read in (
        lambda p: open_map(p).balanced(1000).weights,
        lambda p: open_map(p).balanced(1000).bins()["weight"][3:20],
        lambda p: open_map(p).balanced(1000).matrix().fetch("cA"),
        lambda p: open_map(p).fetch("cA").values,
        lambda p: ObservedMap(p, 1000).dense(Segment("cA", 0, 50_000)),
        lambda p: observed_panel(p, region).values,
        lambda p: observed_panel(p, region, contact=True).values,
        lambda p: fit_expected(cooler.Cooler(str(p)), ["cA", "cB"], min_pixels=1).cis,
    ):
        np.testing.assert_allclose(read(path), read(plain), rtol=1e-5, atol=1e-7)


def test_weights_that_are_no_numbers_mask_their_bins(place, caplog):
    path, plain = place / "odd.cool", place / "masked.cool"
    for p, odd in ((path, (np.inf, -np.inf, 0.0, -1.0)), (plain, (np.nan,) * 4)):
        write_measured(str(p))
        with h5py.File(p, "r+") as file:
            for k, value in enumerate(odd):
                file["bins/weight"][20 + k] = value
    with caplog.at_level(logging.WARNING):
        clr = open_map(path).balanced(1000)
        open_map(path).balanced(1000)
    assert np.isnan(clr.weights[20:24]).all()
    told = [r.getMessage() for r in caplog.records]
    assert len(told) == 1
    assert "4 of 112 bins of" in told[0]
    np.testing.assert_array_equal(
        open_map(path).fetch("cA").values, open_map(plain).fetch("cA").values
    )
    np.testing.assert_array_equal(
        ObservedMap(path, 1000).dense(Segment("cA", 0, 70_000)),
        ObservedMap(plain, 1000).dense(Segment("cA", 0, 70_000)),
    )


def test_the_balanced_cooler_is_read_as_any_cooler_is(place):
    plain = cooler.Cooler(f"{place / 'many.mcool'}::resolutions/1000")
    clr = open_map(place / "many.mcool").balanced(1000)
    pd.testing.assert_frame_equal(clr.bins()[:], plain.bins()[:])
    pd.testing.assert_frame_equal(clr.bins().fetch("cB"), plain.bins().fetch("cB"))
    pd.testing.assert_frame_equal(
        clr.bins()[["weight", "start"]][5:9], plain.bins()[["weight", "start"]][5:9]
    )
    pd.testing.assert_series_equal(clr.bins()["weight"][5:9], plain.bins()["weight"][5:9])
    pd.testing.assert_series_equal(clr.bins()["end"][5:9], plain.bins()["end"][5:9])
    assert list(clr.bins().columns) == list(plain.bins().columns)
    np.testing.assert_array_equal(clr.matrix()[3:30, 10:60], plain.matrix()[3:30, 10:60])
    np.testing.assert_array_equal(
        clr.matrix(balance=False).fetch("cA", "cB"), plain.matrix(balance=False).fetch("cA", "cB")
    )
    with pytest.raises(NotImplementedError):
        clr.matrix(sparse=True)
    again = pickle.loads(pickle.dumps(clr))  # as to another process
    np.testing.assert_array_equal(again.weights, clr.weights)


# ---- what is read


def test_a_prediction_is_read_as_it_was_written(tmp_path):
    path = write_predicted(tmp_path / "p.mcool", 1)
    found = open_map(path)
    assert found.predicted
    assert found.resolutions == (1000, 2000)
    m = found.fetch("cA:3,100-15,000", 1000)
    assert (m.region, m.resolution, m.eps) == (Region("cA", 3_000, 15_000), 1000, 1e-3)
    assert (m.values.dtype, m.expected.dtype) == (np.float32, np.float64)
    truth = read_log_ratio(found.uri(1000), ("cA", 3_100, 15_000))
    np.testing.assert_array_equal(m.values, truth.astype(np.float32))
    np.testing.assert_array_equal(m.strand_difference, m.strand_difference.T)
    known = np.isfinite(m.values)
    assert (~known).sum() == 2 * 12 - 1  # bin 5 is masked
    # written with |y| as the difference
    np.testing.assert_allclose(m.strand_difference[known], np.abs(m.values[known]), atol=1e-6)
    balanced = found.cooler(1000).matrix(balance=True).fetch(("cA", 3_100, 15_000))
    np.testing.assert_allclose(m.frequency[known], balanced[known], rtol=1e-6)
    whole = found.fetch("cB", 1000)
    assert whole.region == Region("cB", 0, 41_000)
    assert np.isnan(whole.expected[0, 20])  # beyond the band


def test_the_finest_resolution_that_knows_the_region_is_taken(tmp_path):
    found = open_map(write_predicted(tmp_path / "p.mcool", 1))
    assert found.fetch("cA:0-20,000").resolution == 1000
    assert found.fetch("cA:0-21,000").resolution == 2000
    assert found.fetch("cA").resolution == 2000  # none knows all of it: the coarsest
    assert open_map(MEASURED).fetch("chrII").resolution == 10_000


def test_a_difference_is_read_as_it_is(tmp_path):
    one, two = (write_predicted(tmp_path / f"{k}.mcool", k) for k in (1, 2))
    found = open_map(difference(one, two, tmp_path / "diff.mcool"))
    assert not found.predicted
    m = found.fetch("cA:0-15,000", 1000)
    a, b = (open_map(p).fetch("cA:0-15,000", 1000) for p in (one, two))
    np.testing.assert_allclose(m.values, np.log(a.frequency / b.frequency), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(m.frequency, a.frequency / b.frequency, rtol=1e-4)


def check_measured(path: Path, resolution: int, chrom: str) -> None:
    """A fetched region is balanced frequency over cooltools' own expected."""
    clr = cooler.Cooler(f"{path}::resolutions/{resolution}")
    names = clr.chromnames
    view = pd.DataFrame({"chrom": names, "start": 0, "end": list(clr.chromsizes), "name": names})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = expected_cis(clr, view_df=view, ignore_diags=2, nproc=1)
    expected = table.groupby("dist")["balanced.avg.smoothed.agg"].first()
    m = open_map(path).fetch(f"{chrom}:{3 * resolution}-{60 * resolution}", resolution)
    observed = clr.matrix(balance=True).fetch((chrom, 3 * resolution, 60 * resolution))
    d = np.abs(np.subtract.outer(np.arange(57), np.arange(57)))
    with np.errstate(divide="ignore", invalid="ignore"):
        truth = np.log(observed / expected.reindex(range(57)).to_numpy()[d])
    truth[~np.isfinite(truth) | (d < 2)] = np.nan
    assert np.isfinite(truth).sum() > 1000
    np.testing.assert_array_equal(m.values, truth.astype(np.float32))
    assert m.eps == 0
    known = np.isfinite(m.values)
    np.testing.assert_allclose(m.frequency[known], observed[known], rtol=1e-6)


def test_a_measured_map_is_frequency_over_cooltools_expected():
    check_measured(MEASURED, 10_000, "chrII")


def test_real_data(shared):
    path = shared / "data" / "yeast" / "metaphase.mcool"
    if not path.is_file():
        pytest.skip("no yeast data")
    check_measured(path, 8000, "chrII")


def test_what_cannot_be_fetched(place):
    found = open_map(place / "many.mcool")
    with pytest.raises(RegionError, match="no chromosome 'cX'"):
        found.fetch("cX")
    with pytest.raises(RegionError, match="70,500 bp long"):
        found.fetch(Region("cA", 0, 80_000))
    with pytest.raises(CoolerError, match="no resolution 3000"):
        found.fetch("cA", 3000)


def test_raw_counts_are_drawn_with_a_warning(place, caplog):
    write_measured(str(place / "counts.cool"), weight=None)
    with caplog.at_level(logging.WARNING):
        assert observed_panel(place / "counts.cool", Region("cA", 0, 50_000)).label.endswith("raw")
    assert "not balanced" in caplog.text
