"""A prediction against a measured map, held against plain numpy on the pixels of both."""

from __future__ import annotations

import threading

import cooler
import numpy as np
import pytest
from conftest import make_toy_expected, make_toy_model, make_toy_spec
from test_division import SIZES, SOURCE, coarsened, ratio, write_map

from higlass_plugin.compute.shares import Client
from higlass_plugin.files.open import open_file
from higlass_plugin.registry.address import compared_url
from higlass_plugin.registry.seen import seen
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.app import create_app
from higlass_plugin.server.viewconf import default_viewconf
from higlass_plugin.tiles import TileError, dense_numbers
from higlass_plugin.tilesets import measured
from higlass_plugin.tilesets.division import NotDivisible
from orca_cool.maps.metrics import scc
from orca_cool.maps.weights import measured_expected
from orca_cool.model.bundle import load_bundle, save_bundle

#: Of the comparison: five bins of the prediction (80 bp), four of the measured map (100 bp).
BIN = 400
ME: Client = ("here", "s")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    spec = make_toy_spec()
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    write_map(folder / "measured.mcool", 100, 7)
    return folder


def served(folder, *, predicted=True):
    registry = TilesetRegistry()
    file = open_file(folder / "measured.mcool", uid="measured", chromsizes=SIZES, assembly="drawn")
    registry.add(file)
    registry.add_observed(file, folder / "measured.mcool")
    if predicted:
        bundle = load_bundle(folder / "toy")
        registry.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
    return registry


@pytest.fixture(scope="module")
def registry(folder):
    with served(folder) as registry:
        yield registry


@pytest.fixture(scope="module")
def tileset(registry):
    url = compared_url("orca://toy/drawn", registry.observed_over_expected.uid)
    return registry.open_url(url)


def whole(registry, tileset, resolution, kind=""):
    """(bins, bins) values of a whole genome of at most 256 bins."""
    zoom = sorted(tileset.info()["resolutions"], reverse=True).index(resolution)
    text = f"{tileset.uid}.{zoom}.0.0" + (f".{kind}" if kind else "")
    tile = registry.tiles([text], wait=None)[text]
    assert "error" not in tile, tile["error"]
    n = sum(SIZES.values()) // resolution
    return dense_numbers(tile).reshape(256, 256)[:n, :n]


def expected_of(registry):
    """(140, 140) what is expected of the measured map's bins; NaN between chromosomes."""
    clr = cooler.Cooler(f"{registry['measured'].map}::resolutions/100")
    by_distance = np.append(measured_expected(clr), np.nan)
    chrom, at = np.divmod(np.arange(140), 80)
    distance = np.abs(np.subtract.outer(at, at))
    found = by_distance[np.minimum(distance, len(by_distance) - 1)]
    return np.where(chrom[:, None] == chrom, found, np.nan)


def truth(registry):
    """Frequencies of both on the bins of the comparison, and log observed/expected of both."""
    predicted = registry.open_url("orca://toy/drawn")
    frequency = whole(registry, predicted, 80, "weight")[:175, :175]
    log_ratio = whole(registry, predicted, 80, "logoe")[:175, :175]
    observed = cooler.Cooler(f"{registry['measured'].map}::resolutions/100").matrix()[:]
    expected = np.where(np.isfinite(observed), expected_of(registry), np.nan)
    ours, theirs = coarsened(frequency, 5), coarsened(observed, 4)
    with np.errstate(divide="ignore"):
        a = np.log(ours / coarsened(frequency / np.exp(log_ratio), 5))
        b = np.log(theirs / coarsened(expected, 4))
    b[~np.isfinite(b)] = np.nan
    return ours, theirs, a, b


def test_both_maps_are_on_the_bins_of_the_measured_one(registry, tileset):
    assert tileset.grid[BIN] == (80, 100)
    ours, theirs, a, b = truth(registry)
    shown = {
        "": a - b,
        "difference": a - b,
        "divided": ratio(ours, theirs),
        "predicted": ours,
        "measured": theirs,
        "predicted-logoe": a,
        "measured-logoe": b,
    }
    for kind, values in shown.items():
        found = whole(registry, tileset, BIN, kind)
        np.testing.assert_allclose(found, values, rtol=2e-3, atol=2e-3, err_msg=kind)
    assert np.isfinite(a - b).sum() > 50


def test_how_well_they_agree_is_told(registry, tileset):
    *_, a, b = truth(registry)
    first, second = np.s_[:20, :20], np.s_[20:, 20:]
    client = create_app(registry).test_client()
    query = [("d", tileset.uid), ("resolution", BIN), ("region", "a"), ("region", "b")]
    found = client.get("/api/v1/compare/", query_string=query).get_json()
    pairs = []
    for part in (first, second):
        known = np.triu(np.isfinite(a[part]) & np.isfinite(b[part]), 2)
        pairs.append((a[part][known], b[part][known]))
    x, y = (np.concatenate(side) for side in zip(*pairs))
    assert found["pixels"] == len(x) > 30
    assert found["r"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-3)
    alone = client.get("/api/v1/compare/", query_string=query[:3]).get_json()
    assert alone["scc"] == pytest.approx(scc(a[first], b[first], 1, 2), abs=2e-3)


def test_the_expected_is_measured_beside_the_predictions(folder, monkeypatch):
    """It takes minutes for a large file: predictions are computed meanwhile."""
    gate = threading.Event()

    def slow(clr):
        gate.wait(60)
        return measured_expected(clr)

    monkeypatch.setattr(measured, "measured_expected", slow)
    with served(folder) as registry:
        one = registry.open_url(
            compared_url("orca://toy/drawn", registry.observed_over_expected.uid)
        )
        zoom = one.resolutions.index(BIN)
        text = f"{one.uid}.{zoom}.0.0"
        assert registry.tiles([text], wait=0.1, client=ME)[text]["error"] == "computing"
        other = registry.open_url("orca://toy/drawn?track=insulation")
        part = f"{other.uid}.{other.resolutions.index(40)}.0"
        assert registry.tiles([part], wait=60, client=ME)[part]["shows"] == "final"
        assert registry.progress([text])["pending"] == [text]
        gate.set()
        assert registry.tiles([text], wait=60, client=ME)[text]["shows"] == "final"

        def broken(clr):
            raise ValueError

        monkeypatch.setattr(measured, "measured_expected", broken)
        finest = f"{one.uid}.{one.resolutions.index(200)}.0.0"
        registry.units.drop(lambda unit: isinstance(unit, measured.ExpectedUnit))
        registry.tiles([finest], wait=0.1, client=ME)
        while registry.progress([finest])["pending"]:
            pass
        assert registry.progress([finest])["failed"] == {finest: "internal error: ValueError"}


def test_an_expected_that_fails_while_progress_is_asked_for(folder, monkeypatch):
    """Whether it failed before or after a question, the question has an answer."""
    gate = threading.Event()
    monkeypatch.setattr(measured, "measured_expected", lambda clr: gate.wait(20))
    with served(folder) as registry:
        one = registry.open_url(
            compared_url("orca://toy/drawn", registry.observed_over_expected.uid)
        )
        text = f"{one.uid}.{one.resolutions.index(BIN)}.0.0"
        registry.tiles([text], wait=0.0, client=ME)
        answers = iter([None, TileError("it is broken")])

        def failing(resolution):
            if (error := next(answers)) is not None:
                raise error

        monkeypatch.setattr(one.measured_map, "want_expected", failing)
        assert registry.progress([text])["pending"] == [text]
        assert registry.progress([text])["failed"] == {text: "it is broken"}
        gate.set()


def test_what_is_not_two_such_maps_is_told(registry):
    for url in (
        compared_url("measured", registry.observed_over_expected.uid),
        compared_url("orca://toy/drawn", "measured"),
    ):
        with pytest.raises(NotDivisible, match="are not a predicted contact map and log"):
            registry.open_url(url)


def test_the_page_can_show_it(registry, folder, tileset):
    conf = default_viewconf(registry)
    values = conf["views"][0]["tracks"]["center"][0]["options"]["orca"]["values"]
    assert list(values) == [
        "weight", "logoe", "against-both", "against-difference", "against-divided",
    ]  # fmt: skip
    for value in list(values)[2:]:
        for map_ in values[value]["contents"]:
            assert registry.open_url(map_["data"]["url"]) is tileset
            assert map_["options"]["dataTransform"] in tileset.transforms
    found = seen(registry, tileset.uid, "a", BIN, wait=60, client=ME, transform="divided")
    np.testing.assert_array_equal(found.values, whole(registry, tileset, BIN, "divided")[:20, :20])
    with served(folder, predicted=False) as without:
        values = default_viewconf(without)["views"][0]["tracks"]["center"][0]["options"]["orca"]
        assert list(values["values"]) == ["weight", "logoe"]
