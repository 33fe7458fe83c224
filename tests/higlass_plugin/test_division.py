"""One contact map divided by another, held against plain numpy on the maps' own pixels."""

from __future__ import annotations

import base64
from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec
from hypothesis import given
from hypothesis import strategies as st

from higlass_plugin.files.open import open_file
from higlass_plugin.registry.address import UrlError, divided_url
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tilesets.division import MAX_JOINED, NotDivisible, common_grid, joined
from orca_cool.model.bundle import load_bundle, save_bundle

#: Multiples of the bins, so that no two chromosomes share a pixel of a tile.
SIZES = {"a": 8_000, "b": 6_000}
SOURCE = Drawn(SIZES, ("b", 1_000, 1_415))


def write_map(path: Path, resolution: int, seed: int, sizes: dict[str, int] = SIZES) -> Path:
    bins = cooler.binnify(pd.Series(sizes), resolution)
    random = np.random.default_rng(seed)
    weight = random.uniform(0.5, 2, len(bins))
    weight[3] = np.nan
    i, j = np.triu_indices(len(bins))
    count = random.poisson(30 / (j - i + 1))
    pixels = pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": count})[count > 0]
    uri = f"{path}::resolutions/{resolution}"
    cooler.create_cooler(uri, bins.assign(weight=weight), pixels, dtypes={"count": int})
    return path


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    spec = make_toy_spec()
    bundle = load_bundle(save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec)))
    with TilesetRegistry() as made:
        for name, resolution in (("fine", 100), ("coarse", 250)):
            path = write_map(folder / f"{name}.mcool", resolution, resolution)
            made.add(open_file(path, uid=name, chromsizes=SIZES, assembly="drawn"))
        path = write_map(folder / "other.mcool", 100, 1, {"a": 8_000, "z": 100})
        made.add(open_file(path, uid="other"))
        made.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
        yield made


def dense(tile):
    assert "error" not in tile, tile.get("error")
    return np.frombuffer(base64.b64decode(tile["dense"]), "<f4").reshape(256, 256)


def whole(registry, tileset, resolution):
    """(bins, bins) values of a whole genome of at most 256 bins."""
    zoom = sorted(tileset.info()["resolutions"], reverse=True).index(resolution)
    text = f"{tileset.uid}.{zoom}.0.0"
    n = sum(SIZES.values()) // resolution
    return dense(registry.tiles([text], wait=None)[text])[:n, :n]


def coarsened(matrix, n):
    """n by n bins into one: the sum of the known over their share of the known, over n."""
    size = len(matrix) // n
    parts = matrix.reshape(size, n, size, n).swapaxes(1, 2).reshape(size, size, n * n)
    with np.errstate(invalid="ignore"):
        return np.nansum(parts, -1) / np.isfinite(parts).sum(-1) * n


def balanced(registry, uid, resolution):
    return cooler.Cooler(f"{registry[uid].map}::resolutions/{resolution}").matrix()[:]


def ratio(above, below):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below > 0, above / below, np.nan)


def test_two_files_of_different_bins(registry):
    tileset = registry.open_url(divided_url("fine", "coarse"))
    assert tileset.grid == {500: (100, 250)}
    found = whole(registry, tileset, 500)
    expected = ratio(
        coarsened(balanced(registry, "fine", 100), 5),
        coarsened(balanced(registry, "coarse", 250), 2),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.isfinite(found).mean() > 0.5


@pytest.mark.parametrize("by_url", [True, False])
def test_a_prediction_by_a_measured_map(registry, by_url):
    predicted = registry.open_url("orca://toy/drawn")
    name = "orca://toy/drawn" if by_url else predicted.uid
    other = registry.open_url(divided_url(name, "fine"))
    assert other.grid[200] == (40, 100)
    # 400 bp: 8,000 and 6,000 bp are whole numbers of them, and of 80 bp
    assert other.grid[400] == (80, 100)
    zoom = sorted(predicted.info()["resolutions"], reverse=True).index(80)
    text = f"{predicted.uid}.{zoom}.0.0"
    whole_map = dense(registry.tiles([text], wait=None)[text])[:175, :175]
    expected = ratio(coarsened(whole_map, 5), coarsened(balanced(registry, "fine", 100), 4))
    found = whole(registry, other, 400)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.isfinite(found).sum() > 50


def test_an_edit_is_closed_with_what_was_divided_by_it(registry):
    view = registry.edit(["a:1000-2000 del"])
    tileset = registry.open_url(divided_url(view.tilesets["lifted"], "fine"))
    assert tileset.uid in registry.tilesets
    registry.drop(view.id)
    assert tileset.uid not in registry.tilesets


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        (divided_url("orca://toy/drawn", "coarse"), NotDivisible, "cannot be joined to bins of one"),
        (divided_url("fine", "other"), NotDivisible, "'fine.mcool' has the chromosomes a, b, "),
        ("divided://fine", UrlError, "is not divided://NUMERATOR/DENOMINATOR"),
        ("divided://a/b/c", UrlError, "is not divided://NUMERATOR/DENOMINATOR"),
        (divided_url("orca://toy/drawn?track=insulation", "fine"), NotDivisible, "contact maps can"),
    ],
)  # fmt: skip
def test_what_cannot_be_divided_is_told(registry, url, error, message):
    with pytest.raises(error, match=message):
        registry.open_url(url)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=4),
    st.lists(st.integers(1, 50), min_size=1, max_size=4),
)
def test_bins_of_the_grid_are_whole_numbers_of_bins_of_both(first, second):
    for resolution, pair in common_grid(first, second).items():
        for own, among in zip(pair, (first, second)):
            assert own in among
            assert resolution % own == 0
            assert resolution // own <= MAX_JOINED
    for same in set(first) & set(second):
        assert common_grid(first, second)[same] == (same, same)


def test_the_last_bins_may_be_fewer():
    values = np.arange(25.0).reshape(5, 5)
    found = joined(values, 2)
    assert found.shape == (3, 3)
    assert found[2, 2] == 24 * 2
    assert found[0, 2] == (4 + 9) / 2 * 2
