"""What a file holds is what is drawn and what cooltools can use: own regions, differences, zooms,
views beside expected tables, and what check tells of cooltools' programs.
"""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import cooler
import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from cooltools import dots, pileup, saddle
from cooltools.lib.io import read_expected_from_file, read_viewframe_from_file
from PIL import Image

from orca_cool.cli import main
from orca_cool.effects.read_maps import read_maps
from orca_cool.genome.regions import Region
from orca_cool.maps.check import check_mcool
from orca_cool.maps.coolfile import Layer, RowBlock, write_mcool
from orca_cool.maps.expected import view_path, whole_chromosomes, write_expected
from orca_cool.maps.open import open_map
from orca_cool.maps.picture import own_regions

SIZES = {"c1": 1_200_000, "c2": 603_000}
RES, BAND = 4000, 100


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def write(path: Path, regions: list[Region], depth: float = 1e5, **metadata: object) -> Path:
    """A prediction of regions of two chromosomes, with its tables and view."""
    rng = np.random.default_rng(1)
    expected = 0.2 / (np.arange(300) + 1.0)
    masked = {c: np.ones(-(-n // RES), bool) for c, n in SIZES.items()}
    rows = []
    for r in regions:
        a, b = r.start // RES, -(-r.end // RES)
        masked[r.chrom][a:b] = False
        y = 0.3 * rng.normal(size=(b - a, min(BAND, b - a))).astype(np.float32)
        y[np.arange(b - a)[:, None] + np.arange(y.shape[1]) >= b - a] = np.nan
        rows.append(RowBlock(r.chrom, a, y, np.full(y.shape, RES, np.int32)))
    layer = Layer(RES, expected[:BAND], 1e-4, BAND, None, masked)
    about = {"model_name": "m", "model_digest": "d", "model": "m", **metadata}
    view = [dataclasses.replace(r, name=str(r)) for r in regions]
    write_mcool(
        path,
        chromsizes=SIZES,
        assembly="x",
        layers=[layer],
        row_blocks=lambda r: rows,
        pseudo_depth=depth,
        metadata={"regions": [str(r) for r in regions], **about},
    )
    write_expected(path, [layer], SIZES, view, "regularised", depth)
    return path


REGIONS = [
    Region("c1", 100_000, 500_000),
    Region("c1", 600_000, 1_100_000),
    Region("c2", 0, 300_000),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("regions") / "out.mcool", REGIONS)


# ---- views


def test_cooltools_takes_the_tables_with_the_view(path):
    clr = cooler.Cooler(f"{path}::resolutions/{RES}")
    view = read_viewframe_from_file(view_path(path), clr, check_sorting=True)
    assert view[["chrom", "start", "end"]].to_numpy().tolist() == [
        [r.chrom, r.start, r.end] for r in REGIONS
    ]
    table = path.with_name(f"out.expected.{RES}.tsv")
    expected = read_expected_from_file(table, "cis", verify_view=view, verify_cooler=clr)
    track = clr.bins()[:][["chrom", "start", "end"]]
    track["E1"] = np.random.default_rng(2).normal(size=len(track))
    places = pd.DataFrame({"chrom": ["c1"] * 2, "start": [300_000, 800_000]})
    places["end"] = places["start"] + RES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sums, _ = saddle(clr, expected, track, "cis", n_bins=3, view_df=view, qrange=(0.02, 0.98))
        stack = pileup(clr, places, view_df=view, expected_df=expected, flank=20_000)
        dots(clr, expected, view_df=view, max_loci_separation=300_000, tile_size=300_000)
        assert np.isfinite(sums[1:-1, 1:-1]).all()
        assert np.isfinite(stack[0]).any()
        # observed over expected, as it was predicted: ratios around 1
        assert np.nanmedian(stack) == pytest.approx(1, abs=0.1)
        with pytest.raises(ValueError, match="expected"):  # of the view that cooltools makes itself
            pileup(clr, places, expected_df=expected, flank=20_000)


def test_whole_genomes_need_no_view(tmp_path):
    out, view = tmp_path / "whole.mcool", whole_chromosomes(SIZES)
    layer = Layer(RES, np.ones(BAND), 1e-4, BAND, None, {})
    paths = write_expected(out, [layer], SIZES, view, "regularised", 1e5)
    assert view_path(out) not in paths
    assert not view_path(out).exists()


# ---- pictures


def test_the_regions_of_a_file_are_drawn(path, tmp_path):
    assert own_regions(open_map(path)) == sorted(REGIONS, key=len, reverse=True)
    done = call("plot", path, "-o", tmp_path / "x.png")
    assert done.exit_code == 0, done.output
    assert done.output.split() == [str(tmp_path / f"x.{k}.png") for k in (1, 2, 3)]
    for k in (1, 2, 3):  # colours, not the white of what is unknown
        image = np.asarray(Image.open(tmp_path / f"x.{k}.png").convert("RGB")).astype(int)
        h, w = image.shape[:2]
        inner = image[int(0.2 * h) : int(0.8 * h), int(0.15 * w) : int(0.7 * w)]
        assert ((inner == 255).all(axis=2)).mean() < 0.2
    one = write(tmp_path / "one.mcool", REGIONS[:1])
    done = call("plot", one, "-o", tmp_path / "one.png")
    assert done.output.split() == [str(tmp_path / "one.png")]
    done = call("plot", path, "-o", tmp_path / "all.pdf")
    assert done.output.split() == [str(tmp_path / "all.pdf")]


def test_a_difference_is_drawn(path, tmp_path):
    from orca_cool.effects.difference import difference

    other = write(tmp_path / "other.mcool", REGIONS)
    with h5py.File(other, "r+") as file:
        counts = file[f"resolutions/{RES}/pixels/count"]
        counts[:] = 2 * counts[:]
    made = difference(other, path, tmp_path / "x.diff.mcool")
    done = call("plot", made, "-o", tmp_path / "d.png", "-r", "c1:600,000-1,100,000", "--dmax", 1)
    assert done.exit_code == 0, done.output
    image = np.asarray(Image.open(tmp_path / "d.png").convert("RGB")).astype(int)
    h, w = image.shape[:2]
    near = image[int(0.3 * h) : int(0.4 * h), int(0.3 * w) : int(0.4 * w)].reshape(-1, 3)
    red = (near[:, 0] > near[:, 2] + 60).mean()  # ln 2 everywhere
    assert red > 0.8
    for option, value in (("--observed", path), ("--contact", None), ("--vmax", 1)):
        words = ["plot", made, "-o", tmp_path / "e.png", option] + ([value] if value else [])
        refused = call(*words)
        assert refused.exit_code == 2
        assert f"leave out {option}" in refused.output
    refused = call("plot", path, "-o", tmp_path / "e.png", "--dmax", 1)
    assert "leave out --dmax" in refused.output


def test_a_zoom_is_drawn(tmp_path):
    rng = np.random.default_rng(3)
    arrays: dict[str, np.ndarray] = {}
    zoom = {"8000": ["c2", 400_000, 656_000], "4000": ["c2", 448_000, 576_000]}
    for name, r in (("256k", 8000), ("128k", 4000)):
        y = rng.normal(size=(32, 32)).astype(np.float32)
        arrays |= {
            f"prediction_{name}": (y + y.T) / 2,
            f"expected_{name}": np.full((32, 32), 0.1),
            f"eps_{name}": np.array(1e-3),
            f"resolution_{name}": np.array(r),
        }
    about = {"model_name": "m", "zoom": zoom, "at": 512_000, "edits": ["c2:1-2 del"]}
    about["chromsizes"] = {"c2": SIZES["c2"]}
    npz = tmp_path / "at.npz"
    np.savez(npz, metadata=np.array(json.dumps(about)), **arrays)
    title, (columns,) = read_maps(npz)
    assert title == "m: c2:512,000, c2:1-2 del"
    assert [c.resolution for c in columns] == [8000, 4000]
    (coarse,) = columns[0].references
    assert np.isnan(coarse.values[26:]).all()  # past the end of c2
    np.testing.assert_array_equal(coarse.values[:25, :25], arrays["prediction_256k"][:25, :25])
    done = call("plot", npz, "-o", tmp_path / "at.png", "--levels", "4000")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "at.png").stat().st_size > 10_000


# ---- check


def test_check_tells_what_dots_and_random_sample_take(path, tmp_path):
    use = check_mcool(path).uses[RES]
    assert use["integers"] is False
    clr = cooler.Cooler(f"{path}::resolutions/{RES}")
    pixels = clr.pixels()[:]
    far = pixels[(pixels["bin2_id"] - pixels["bin1_id"]) >= 14]  # kernels of 15 bins
    assert use["dots"]["largest_pseudo_depth"] == pytest.approx(1e5 * 8192 / far["count"].max())
    done = call("check", path)
    assert "cooltools dots: yes" in done.output
    assert "random-sample: no" in done.output
    high = write(tmp_path / "high.mcool", REGIONS, depth=1e7)
    done = call("check", high)
    assert done.exit_code == 0, done.output
    assert "cooltools dots: no" in done.output
    clr = cooler.Cooler(f"{high}::resolutions/{RES}")
    view = read_viewframe_from_file(view_path(high), clr)
    table = read_expected_from_file(high.with_name(f"high.expected.{RES}.tsv"), "cis")
    with pytest.raises(ValueError, match="la_exp"):
        dots(clr, table, view_df=view, max_loci_separation=300_000, tile_size=300_000)


@pytest.mark.parametrize("name", ["1" * 20, "0", "-5", "x" * 5000, "1.5"])
def test_check_survives_odd_names_of_resolutions(path, tmp_path, name):
    odd = tmp_path / "odd.mcool"
    odd.write_bytes(path.read_bytes())
    with h5py.File(odd, "r+") as file:
        file.copy(f"resolutions/{RES}", f"resolutions/{name}")
    done = call("check", odd)
    assert done.exit_code == 1, done.output
    assert "is not named by the bp of its bins" in done.output
    assert "Traceback" not in done.output
