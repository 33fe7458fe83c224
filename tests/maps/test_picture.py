"""The picture: upper half from the prediction, lower half from the measured map, each by its own bp
extent.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from orca_cool.cli import main
from orca_cool.errors import CoolerError, OutputError, RegionError
from orca_cool.genome.regions import Region
from orca_cool.maps.axes import DIFFERENCE_LABEL, axis_name
from orca_cool.maps.coolfile import Layer, RowBlock, write_mcool
from orca_cool.maps.panels import Panel, observed_panel, predicted_panel
from orca_cool.maps.picture import draw, plot_maps

SIZES = {"chrI": 230_208, "chrII": 813_178}
MEASURED = Path(str(resources.files("orca_cool") / "data" / "maps" / "yeast.10kb.mcool"))


def write_prediction(path: Path, value: float) -> Path:
    """y = ``value`` everywhere, at 8 kb (whole chromosomes) and 4 kb (256 kb band)."""
    layers, rows = [], {}
    for resolution, band in ((4000, 64), (8000, 128)):
        layers.append(
            Layer(resolution, 1 / (1 + np.arange(band, dtype=float)), 1e-4, band, None, {})
        )
        rows[resolution] = []
        for chrom, size in SIZES.items():
            n = -(-size // resolution)
            width = min(band, n)
            y = np.full((n, width), value, np.float32)
            y[np.arange(n)[:, None] + np.arange(width) >= n] = np.nan
            rows[resolution].append(RowBlock(chrom, 0, y, np.full(y.shape, resolution, np.int32)))
    write_mcool(
        path,
        chromsizes=SIZES,
        layers=layers,
        row_blocks=lambda r: iter(rows[r]),
        assembly="example",
        mode="regularised",
        pseudo_depth=1e5,
        metadata={"model_name": "a-model"},
    )
    return path


@pytest.fixture(scope="module")
def predictions(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("plot")
    return [write_prediction(folder / f"{k}.mcool", v) for k, v in enumerate((0.9, -0.9))]


def halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels well inside the upper right and the lower left of the map, without the labels."""
    image = np.asarray(Image.open(path).convert("RGB")).astype(int)
    h, w = image.shape[:2]
    return image[int(0.25 * h) : int(0.45 * h), int(0.5 * w) : int(0.7 * w)], image[
        int(0.6 * h) : int(0.8 * h), int(0.2 * w) : int(0.35 * w)
    ]


def test_halves_come_from_the_two_maps(predictions, tmp_path):
    pictures = []
    for k, path in enumerate(predictions):
        (out,) = plot_maps(path, tmp_path / f"{k}.png", MEASURED, "chrII", vmax=1.0)
        pictures.append(halves(out))
    (up0, low0), (up1, low1) = pictures
    assert up0.reshape(-1, 3).std(0).max() < 3  # one value everywhere: one colour
    assert up0[..., 0].mean() > up0[..., 2].mean() + 50  # +0.9 is red
    assert up1[..., 2].mean() > up1[..., 0].mean() + 50  # -0.9 is blue
    np.testing.assert_array_equal(low0, low1)  # the measured half does not know the prediction
    assert low0.reshape(-1, 3).std(0).max() > 10


def test_one_colour_scale_and_orientation(tmp_path):
    region = Region("c", 0, 100_000)
    up = np.full((10, 10), 0.0)
    up[2, 7] = up[7, 2] = 1.0  # bins 20-30 kb x 70-80 kb
    low = np.full((5, 5), 0.0)
    low[1, 4] = low[4, 1] = 1.0  # 20-40 kb x 80-100 kb, other resolution
    figure = draw(
        region, Panel("up", 0, 100_000, up, 10_000), Panel("low", 0, 100_000, low, 20_000), vmax=1.0
    )
    out = tmp_path / "o.png"
    figure.savefig(out)
    image = np.asarray(Image.open(out).convert("RGB")).astype(int)
    axes = figure.axes[0]
    height = image.shape[0]

    def colour(x: float, y: float) -> np.ndarray:
        a, b = axes.transData.transform((x, y))
        return image[round(height - b), round(a)]

    red, neutral = colour(75_000, 25_000), colour(75_000, 45_000)
    assert red[0] > red[2] + 100
    assert abs(neutral[0] - neutral[2]) < 10
    np.testing.assert_array_equal(
        colour(30_000, 88_000), red
    )  # the same value has the same colour below
    np.testing.assert_array_equal(
        colour(25_000, 75_000), neutral
    )  # the upper map's pixel is not mirrored into the lower half
    np.testing.assert_array_equal(colour(94_000, 22_000), neutral)


def test_axis_and_colour_bar_say_what_they_are_of():
    values = np.zeros((10, 10))
    values[2, 7] = values[7, 2] = np.nan
    region, panel = Region("c", 0, 100_000), Panel("up", 0, 100_000, values, 10_000)
    for choice, of in (
        ({}, "ln (observed / expected)"),
        ({"contact": True}, "log10 contact frequency"),
        ({"difference": True}, DIFFERENCE_LABEL),
    ):
        axes, bar = draw(region, panel, **choice).axes
        assert axes.get_xlabel() == f"{axis_name('c')} (kb)\nwhite: no value"
        assert bar.get_ylabel() == of


def test_levels_are_chosen_by_what_they_know(predictions):
    panel, metadata = predicted_panel(predictions[0], Region("chrII", 0, 813_178))
    assert panel.resolution == 8000  # 4 kb knows 256 kb only
    assert metadata["model_name"] == "a-model"
    assert (panel.start, panel.end) == (0, 816_000)
    assert np.nanmax(np.abs(panel.values - 0.9)) < 1e-5
    assert predicted_panel(predictions[0], Region("chrII", 100_000, 300_000))[0].resolution == 4000
    assert (
        predicted_panel(f"{predictions[0]}::resolutions/8000", Region("chrII", 100_000, 300_000))[
            0
        ].resolution
        == 8000
    )
    with pytest.raises(CoolerError, match="no resolution 2000"):
        predicted_panel(predictions[0], Region("chrII", 0, 100_000), 2000)


def test_observed_over_expected_is_cooltools(tmp_path):
    panel = observed_panel(MEASURED, Region("chrII", 0, 813_178), 8000)
    assert panel.resolution == 10_000  # the nearest
    assert (panel.start, panel.end) == (0, 820_000)
    assert abs(np.nanmean(panel.values)) < 0.3
    assert np.isnan(np.diagonal(panel.values)).all()
    # the depletion across chrII's centromere (238 kb): contacts of the left arm's end with the
    # right arm's start
    left, right = slice(18, 23), slice(25, 30)
    assert np.nanmean(panel.values[left, right]) < -0.15


def test_unbalanced_and_single_resolution(tmp_path):
    clr = cooler.Cooler(f"{MEASURED}::resolutions/10000")
    path = tmp_path / "raw.cool"
    cooler.create_cooler(str(path), clr.bins()[:][["chrom", "start", "end"]], clr.pixels()[:])
    panel = observed_panel(path, Region("chrI", 0, 230_208))
    assert panel.label.endswith("raw")
    assert np.isfinite(panel.values).sum() > 300


def test_contact_view_and_single_map(predictions, tmp_path):
    where = "chrII:100k-400k"
    (path,) = plot_maps(predictions[0], tmp_path / "a.png", MEASURED, where, contact=True)
    assert path.stat().st_size > 10_000
    (path,) = plot_maps(predictions[0], tmp_path / "b.svg")
    assert path.stat().st_size > 1000
    with pytest.raises(OutputError, match="exists; use --force"):
        plot_maps(predictions[0], tmp_path / "b.svg")
    assert plot_maps(predictions[0], tmp_path / "b.svg", force=True) == [path]


def test_bad_input(predictions, tmp_path):
    out = tmp_path / "o.png"
    bad = tmp_path / "bad.mcool"
    bad.write_text("nonsense")
    other = tmp_path / "other.cool"
    bins = pd.DataFrame({"chrom": ["2"] * 3, "start": [0, 10, 20], "end": [10, 20, 30]})
    cooler.create_cooler(
        str(other), bins, pd.DataFrame({"bin1_id": [0], "bin2_id": [1], "count": [1]})
    )
    for arguments, error, message in [
        ((tmp_path / "absent.mcool", out), CoolerError, "no file"),
        ((bad, out), CoolerError, "not a cooler file"),
        ((MEASURED, out), CoolerError, "not written by orca-cool"),
        ((predictions[0], tmp_path / "o.txt"), OutputError, "must end in"),
        ((predictions[0], tmp_path / "absent" / "o.png"), OutputError, "cannot write"),
        ((predictions[0], out, other), CoolerError, "no chromosome 'chrII'"),
        ((predictions[0], out, MEASURED, "chrII:1-900000"), RegionError, "813,178 bp long"),
        ((predictions[0], out, MEASURED, "chrII:1k-2k"), RegionError, "fewer than four bins"),
        ((predictions[0], out, f"{MEASURED}::resolutions/7"), CoolerError, "has no resolution"),
    ]:
        with pytest.raises(error, match=message):
            plot_maps(*arguments)
    assert not list(tmp_path.glob("*.png")) + list(tmp_path.glob(".*part*"))


def test_command(predictions, tmp_path):
    out = tmp_path / "o.png"
    run = CliRunner().invoke(
        main,
        ["plot", str(predictions[0]), "--observed", str(MEASURED), "-r", "chrII", "-o", str(out)],
    )
    assert run.exit_code == 0, run.output
    assert run.output.strip() == str(out)
    run = CliRunner().invoke(main, ["plot", str(predictions[0]), "-o", str(out)])
    assert run.exit_code == 2
    assert "exists" in run.output
