"""Log observed/expected of a measured map, tile by tile, against cooltools and the file."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
from cooltools import expected_cis

from higlass_plugin.files.open import open_file
from higlass_plugin.registry.tilesets import TilesetRegistry
from orca_cool.errors import CoolerError
from orca_cool.maps.open import open_map
from orca_cool.maps.weights import measured_expected

MAP = Path(__file__).resolve().parents[2] / "orca_cool" / "data" / "maps" / "yeast.10kb.mcool"


@pytest.fixture
def served(tmp_path):
    clr = cooler.Cooler(f"{MAP}::resolutions/10000")
    with TilesetRegistry(tmp_path / "state") as registry:
        file = open_file(MAP, uid="file", chromsizes=dict(clr.chromsizes), assembly="sacCer3")
        registry.add(file)
        registry.add_observed(file, MAP)
        yield registry


@pytest.mark.parametrize("resolution", [10000, 20000])
def test_tiles_are_logs_of_the_maps_pixels_over_cooltools_expected(served, resolution):
    ratio = served.observed_over_expected
    clr = cooler.Cooler(f"{MAP}::resolutions/{resolution}")
    view = pd.DataFrame(
        {"chrom": clr.chromnames, "start": 0, "end": list(clr.chromsizes), "name": clr.chromnames}
    )
    table = expected_cis(clr, view_df=view, ignore_diags=2, nproc=1)
    expected = table.groupby("dist")["balanced.avg.smoothed.agg"].first()
    zoom = ratio.resolutions.index(resolution)
    text = f"{ratio.uid}.{zoom}.0.0"
    tile = served.tiles([text], wait=None)[text]
    assert "error" not in tile
    values = np.frombuffer(base64.b64decode(tile["dense"]), "<f4").reshape(256, 256)
    for run in ratio.axis.bin_ranges(resolution, 0, 256)[:2]:
        n = run.last - 1  # the last bin shares a pixel with the next chromosome's first
        m = clr.matrix().fetch(run.chrom)[:n, :n]
        d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
        with np.errstate(divide="ignore", invalid="ignore"):
            truth = np.log(m / expected.reindex(range(n)).to_numpy()[d])
        truth[~np.isfinite(truth) | (d < 2)] = np.nan
        found = values[run.at : run.at + n, run.at : run.at + n]
        assert np.isfinite(truth).sum() > 50
        np.testing.assert_allclose(
            found[1:, 1:], truth[1:, 1:], atol=2e-3
        )  # clodius may round to float16
    a, b = ratio.axis.bin_ranges(resolution, 0, 256)[:2]
    assert np.isnan(values[a.at + 1 : a.last - 1, b.at + 1 : b.at + b.last - 1]).all()


def test_the_expected_is_kept_and_measured_once(served, tmp_path, monkeypatch):
    ratio = served.observed_over_expected
    served.tiles([f"{ratio.uid}.0.0.0"], wait=None)
    (kept,) = (tmp_path / "state" / "expected").iterdir()
    monkeypatch.setattr(
        "higlass_plugin.tilesets.measured.measured_expected",
        lambda clr: pytest.fail("measured again"),
    )
    with TilesetRegistry(tmp_path / "state") as registry:
        registry.add(served["file"])
        registry.add_observed(served["file"], MAP)
        text = f"{registry.observed_over_expected.uid}.0.0.0"
        assert "error" not in registry.tiles([text], wait=None)[text]
    assert list((tmp_path / "state" / "expected").iterdir()) == [kept]


def test_a_large_genome_is_measured_on_its_longest_chromosomes(monkeypatch):
    clr = cooler.Cooler(f"{MAP}::resolutions/10000")
    whole = measured_expected(clr)
    monkeypatch.setattr("orca_cool.maps.weights.MEASURED", 1)
    longest = measured_expected(clr)
    assert len(whole) == len(longest)
    assert np.isnan(whole[:2]).all()
    assert 0 < np.nanmax(np.abs(np.log(whole / longest))) < 2


def test_without_resolutions_it_says_what_to_do(tmp_path):
    class Old:
        uid, name, coord_system = "x", "old.multires.cool", ""

        def info(self):
            return {"max_zoom": 3}

    from orca_cool.errors import OrcaCoolError

    with TilesetRegistry() as registry, pytest.raises(OrcaCoolError, match="zoomify"):
        registry.add_observed(Old(), MAP)


def test_another_column_of_weights(tmp_path):
    """Tiles and log observed/expected have the weights that are asked for."""
    path = tmp_path / "two.mcool"
    shutil.copy(MAP, path)
    for resolution in open_map(MAP).resolutions:
        with cooler.Cooler(f"{path}::resolutions/{resolution}").open("r+") as group:
            group["bins/KR"] = 2 / group["bins/weight"][:]  # of juicer: divides
    names = ["weight", "KR"]
    shown = {}
    for name in names:
        with TilesetRegistry() as registry:
            file = open_file(path, uid="file", assembly="sacCer3", clr_weight_name=name)
            registry.add(file)
            registry.add_observed(file, path)
            ids = ["file.3.0.0.weight", f"{registry.observed_over_expected.uid}.3.0.0"]
            tiles = registry.tiles(ids, wait=None)
            shown[name] = [np.frombuffer(base64.b64decode(tiles[i]["dense"]), "<f4") for i in ids]
            assert {"name": {"weight": "ICE"}.get(name, name), "value": "weight"} in file.info()[
                "transforms"
            ]
    np.testing.assert_allclose(shown["KR"][0], shown["weight"][0] / 4, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(shown["KR"][1], shown["weight"][1], rtol=1e-3, atol=1e-3)
    with pytest.raises(CoolerError, match="VC"):
        open_file(path, uid="file", assembly="sacCer3", clr_weight_name="VC")
