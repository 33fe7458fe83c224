"""Tiles are slices of predicted files (with ``--fill-distance`` of the whole chromosome), laid out
as clodius lays them out.
"""

from __future__ import annotations

import base64
import itertools
import threading

import clodius.tiles.cooler as clodius_cooler
import cooler
import cooltools
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec

from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tiles import TILE_BINS, VECTOR_BINS
from orca_cool.effects.difference import difference
from orca_cool.effects.lift import lift_to_reference
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.regions import Region
from orca_cool.maps.coolfile import read_log_ratio
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.to_file import predict_to_file
from orca_cool.variants import parse_edits

#: No chromosome begins on a bin of the others', the last tile of every axis is partial, and one
#: chromosome is less than a coarse bin.
SIZES = {"a": 14_810, "b": 9_007, "c": 500, "d": 3_013}
LEVELS = (40, 80, 160, 320, 640)
EDITS = {
    "deletion": "a:1,013-2,401 del",
    "duplication": "a:3,000-3,370 dup x3",
    "inversion and insertion": "a:1,000-3,500 inv; b:2,001 ins ACGTTTGACC,a:300-900(-)",
    "translocation": "a:2,013(+)::b:700(-)",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = make_toy_spec()
    return load_bundle(
        save_bundle(
            tmp_path_factory.mktemp("models") / "toy", make_toy_model(spec), make_toy_expected(spec)
        )
    )


SOURCE = Drawn(SIZES, ("b", 1_000, 1_415))


@pytest.fixture(scope="module")
def registry(bundle):
    with TilesetRegistry() as registry:
        registry.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
        yield registry


def predict(engine, path, regions=None, trans=False):
    chromsizes = engine.source.chromsizes
    regions = [Region(c, 0, chromsizes[c]) for c in regions or chromsizes]
    predict_to_file(
        engine,
        regions,
        Settings(LEVELS, fill_distance=20_000, trans=trans),
        path,
        assembly=engine.source.name,
        provenance={"x": 1},
    )
    return path


@pytest.fixture(scope="module")
def whole(bundle, tmp_path_factory):
    """The file of the whole genome, without contacts between chromosomes."""
    return predict(
        make_engine(bundle, SOURCE, "cpu"), tmp_path_factory.mktemp("files") / "whole.mcool"
    )


def numbers(tile):
    return np.frombuffer(
        base64.b64decode(tile["dense"]), {"float16": "<f2", "float32": "<f4"}[tile["dtype"]]
    ).astype(np.float32)


def ours(registry, uid, *parts):
    text = ".".join(map(str, [uid, *parts]))
    tile = registry.tiles([text], wait=None)[text]
    assert "error" not in tile, tile["error"]
    values = numbers(tile)
    finite = values[np.isfinite(values)]
    assert tile["min_value"] == ("NaN" if not len(finite) else finite.min())
    assert tile["max_value"] == ("NaN" if not len(finite) else finite.max())
    return values.reshape(TILE_BINS, TILE_BINS) if len(values) == TILE_BINS**2 else values


def clodius(path, *parts):
    """clodius's tile, row = y; NaN where a bin is masked, 0 where there is no pixel."""
    ((_, tile),) = clodius_cooler.tiles(str(path), [".".join(map(str, ["x", *parts]))])
    return numbers(tile).reshape(TILE_BINS, TILE_BINS)


def assert_close(mine, theirs, path, *parts):
    """Equal to rounding; clodius rounds tiles without NaN to float16."""
    ((_, tile),) = clodius_cooler.tiles(str(path), [".".join(map(str, ["x", *parts]))])
    half = tile["dtype"] == "float16"
    np.testing.assert_allclose(mine, theirs, rtol=1e-3 if half else 1e-5, atol=1e-7 if half else 0)


def uid_of(registry, datatype="matrix", name="predicted"):
    return next(t.uid for t in registry.listed() if t.datatype == datatype and name in t.name)


def all_tiles(tileset):
    for zoom, resolution in enumerate(tileset.resolutions):
        for x, y in itertools.combinations_with_replacement(
            range(tileset.axis.tiles(resolution, TILE_BINS)), 2
        ):
            yield resolution, zoom, x, y


def lower(values, x, y):
    """What clodius gives: below the diagonal."""
    return np.tril(np.ones(values.shape, bool)) if x == y else np.ones(values.shape, bool)


def alone(axis, resolution, tile):
    """(256,) bool, pixels of an axis that one chromosome has for itself."""
    owners = np.zeros(TILE_BINS, int)
    for run in axis.bin_ranges(resolution, tile, TILE_BINS):
        owners[run.at : run.at + run.last - run.first] += 1
    return owners == 1


@pytest.mark.parametrize("transform", ["weight", "none", "default"])
def test_tiles_of_the_whole_genomes_file(registry, whole, transform):
    uid = uid_of(registry)
    seen = 0
    for resolution, zoom, x, y in all_tiles(registry[uid]):
        mine, theirs = (
            ours(registry, uid, zoom, x, y, transform),
            clodius(whole, zoom, x, y, transform),
        )
        if transform == "none":  # clodius does not mask counts
            theirs = np.where(np.isnan(clodius(whole, zoom, x, y)), np.nan, theirs)
        there = lower(theirs, x, y) & np.isfinite(theirs) & (theirs != 0)
        if (
            resolution == LEVELS[-1]
            # where contacts with the next chromosome, which this file lacks, may hide the last
            # bin's
        ):
            there &= np.outer(
                alone(registry[uid].axis, resolution, y), alone(registry[uid].axis, resolution, x)
            )
        assert_close(mine[there], theirs[there], whole, zoom, x, y, transform)
        assert np.isnan(mine[np.isnan(theirs)]).all()
        seen += there.sum()
    assert seen > 50_000


def test_contacts_between_chromosomes(registry, bundle, tmp_path):
    path = predict(make_engine(bundle, SOURCE, "cpu"), tmp_path / "all.mcool", trans=True)
    axis = registry[uid_of(registry)].axis
    mine, theirs = ours(registry, uid_of(registry), 0, 0, 0), clodius(path, 0, 0, 0)
    own = alone(axis, LEVELS[-1], 0)
    there = lower(theirs, 0, 0) & np.isfinite(theirs) & (theirs != 0) & np.outer(own, own)
    np.testing.assert_allclose(mine[there], theirs[there], rtol=1e-5)
    a, b = (
        next(r for r in axis.bin_ranges(LEVELS[-1], 0, TILE_BINS) if r.chrom == c) for c in "ad"
    )
    assert np.isfinite(mine[b.at + 1 : b.at + 4, a.at : a.at + 20]).all()
    assert np.array_equal(mine, mine.T, equal_nan=True)


@pytest.mark.parametrize("chrom", SIZES)
def test_tiles_have_the_pixels_of_the_chromosomes_own_file_and_no_others(
    registry, bundle, tmp_path, chrom
):
    path = predict(make_engine(bundle, SOURCE, "cpu"), tmp_path / "one.mcool", [chrom])
    uid = uid_of(registry)
    axis = registry[uid].axis
    seen = 0
    for resolution, zoom, x, y in all_tiles(registry[uid]):
        mine, theirs = ours(registry, uid, zoom, x, y), clodius(path, zoom, x, y)
        kept = lower(theirs, x, y) & np.outer(
            alone(axis, resolution, y), alone(axis, resolution, x)
        )
        own = np.zeros_like(kept)
        for b, a in itertools.product(
            axis.bin_ranges(resolution, x, TILE_BINS), axis.bin_ranges(resolution, y, TILE_BINS)
        ):
            own[a.at : a.at + a.last - a.first, b.at : b.at + b.last - b.first] |= (
                a.chrom == b.chrom == chrom
            )
        kept &= own
        there = kept & np.isfinite(mine)
        assert np.array_equal(there, kept & np.isfinite(theirs) & (theirs != 0))
        assert_close(mine[there], theirs[there], path, zoom, x, y)
        seen += there.sum()
    assert seen


def test_log_observed_over_expected_is_the_models_output(registry, bundle, tmp_path):
    path = predict(make_engine(bundle, SOURCE, "cpu"), tmp_path / "a.mcool", ["a"])
    uid = uid_of(registry)
    for resolution in LEVELS:
        zoom = registry[uid].resolutions.index(resolution)
        run = registry[uid].axis.bin_ranges(resolution, 0, TILE_BINS)[0]
        last = min(run.last, SIZES["a"] // resolution)  # without the last bin, which may be hidden
        known = read_log_ratio(f"{path}::resolutions/{resolution}", f"a:0-{last * resolution}")
        np.testing.assert_allclose(
            ours(registry, uid, zoom, 0, 0, "logoe")[:last, :last], known, atol=2e-5
        )


def test_a_tile_is_the_transpose_of_its_mirror(registry):
    uid = uid_of(registry)
    assert np.array_equal(
        ours(registry, uid, 4, 0, 1), ours(registry, uid, 4, 1, 0).T, equal_nan=True
    )
    square = ours(registry, uid, 4, 0, 0)
    assert np.isfinite(square).sum() > 5000
    assert np.array_equal(square, square.T, equal_nan=True)


def test_where_clodius_puts_the_bins_of_a_measured_map(registry, tmp_path):
    """Every bin of every chromosome, by a cooler whose diagonal holds the bins' own numbers."""
    for resolution in LEVELS:
        bins = cooler.binnify(pd.Series(SIZES), resolution)
        bins["weight"] = 1.0
        k = np.arange(len(bins))
        pixels = {"bin1_id": k, "bin2_id": k, "count": k + 1.0}
        cooler.create_cooler(
            f"{tmp_path}/m.mcool::resolutions/{resolution}",
            bins,
            pd.DataFrame(pixels),
            dtypes={"count": float},
            mode="a",
        )
    axis = registry[uid_of(registry)].axis
    for zoom, resolution in enumerate(sorted(LEVELS, reverse=True)):
        first = np.cumsum([0, *(-(-n // resolution) for n in SIZES.values())])
        for x in range(axis.tiles(resolution, TILE_BINS)):
            diagonal = np.zeros(TILE_BINS)
            for run in axis.bin_ranges(resolution, x, TILE_BINS):
                diagonal[run.at : run.at + run.last - run.first] = (
                    first[list(SIZES).index(run.chrom)] + np.arange(run.first, run.last) + 1
                )
            theirs = np.nan_to_num(np.diagonal(clodius(tmp_path / "m.mcool", zoom, x, x)))
            assert np.array_equal(diagonal, theirs)


@pytest.mark.parametrize("name", EDITS)
def test_tiles_of_an_edited_genome_are_its_files(registry, bundle, whole, tmp_path, name):
    view = registry.edit([EDITS[name]])
    genome = apply_edits(SOURCE, parse_edits(EDITS[name], SOURCE))
    assert view.contigs == genome.chromsizes
    engine = make_engine(bundle, SOURCE, "cpu").for_genome(genome)
    path = predict(engine, tmp_path / "edited.mcool", genome.edited)
    lift_to_reference(path, genome, tmp_path / "frame.mcool", assembly="drawn")
    difference(tmp_path / "frame.mcool", whole, tmp_path / "difference.mcool")
    for kind, file in (
        ("map", path),
        ("lifted", tmp_path / "frame.mcool"),
        ("difference", tmp_path / "difference.mcool"),
    ):
        seen = 0
        tileset = registry[view.tilesets[kind]]
        for resolution, zoom, x, y in all_tiles(tileset):
            mine, theirs = (
                ours(registry, view.tilesets[kind], zoom, x, y),
                clodius(file, zoom, x, y),
            )
            there = lower(theirs, x, y) & np.isfinite(theirs) & (theirs != 0)
            there &= np.outer(
                alone(tileset.axis, resolution, y), alone(tileset.axis, resolution, x)
            )
            # encodings of an edit are its own to rounding alone; clodius rounds what has no NaN to
            # float16
            np.testing.assert_allclose(
                mine[there], theirs[there], rtol=1e-3, atol=1e-3 if kind == "difference" else 1e-7
            )
            seen += there.sum()
        assert seen > 1000


def test_what_an_edit_leaves_alone_is_not_computed_again(bundle):
    """Of windows in one chromosome; those that hold several (module G) see the edit
    wherever it is.
    """
    with TilesetRegistry() as registry:
        registry.add_model(
            "toy", load_bundle(bundle.path, modules=["S"]), "drawn", SOURCE, "drawn", device="cpu"
        )
        base = uid_of(registry)
        reference = ours(registry, base, 2, 0, 0)
        view = registry.edit(["b:2,000-2,040 del"])
        before = registry.scheduler.computed
        mine = ours(registry, view.tilesets["map"], 2, 0, 0)  # of chromosome a alone
        assert registry.scheduler.computed == before
        assert np.isfinite(mine).sum() > 5_000
        assert np.array_equal(mine, reference, equal_nan=True)


def test_no_difference_without_a_change(registry):
    view = registry.edit(["a:2,000-3,000 sub a:2,000-3,000"])
    values = ours(registry, view.tilesets["difference"], 4, 0, 0)
    assert np.isfinite(values).sum() > 1000
    assert (values[np.isfinite(values)] == 0).all()


def test_insulation_is_cooltools_less_a_constant(registry, whole, monkeypatch):
    monkeypatch.setattr(
        "higlass_plugin.tilesets.tracks.DIAMOND", 6
    )  # which the toy's band of 16 bins holds
    uid = uid_of(registry, "vector", "insulation")
    resolution = 40
    zoom = registry[uid].resolutions.index(resolution)
    table = cooltools.insulation(
        cooler.Cooler(f"{whole}::resolutions/{resolution}"),
        [6 * resolution],
        ignore_diags=2,
        min_dist_bad_bin=0,
    )
    mine = np.concatenate(
        [
            ours(registry, uid, zoom, x)
            for x in range(registry[uid].axis.tiles(resolution, VECTOR_BINS))
        ]
    )
    for chrom in ("a", "b"):
        theirs = table[table["chrom"] == chrom][
            f"log2_insulation_score_{6 * resolution}"
        ].to_numpy()
        begin = registry[uid].axis.offsets[chrom] // resolution
        found = mine[begin : begin + len(theirs)]
        both = np.isfinite(theirs) & np.isfinite(found)
        assert both.sum() > 0.8 * len(theirs)
        apart = (found - theirs)[both]
        assert apart.std() < 1e-4
        assert np.std(theirs[both]) > 0.02


def test_chromosomes_that_are_too_short_for_a_score_have_none(bundle):
    with TilesetRegistry() as registry:
        registry.add_model(
            "toy", bundle, "short", Drawn({"a": 700, "b": 250}, ("a", 0, 40)), "short", device="cpu"
        )
        for name in ("insulation", "compartment"):
            uid = uid_of(registry, "vector", name)
            for zoom in range(len(LEVELS)):
                tile = registry.tiles([f"{uid}.{zoom}.0"], wait=None)[f"{uid}.{zoom}.0"]
                assert "error" not in tile, tile["error"]
                assert np.isnan(numbers(tile)[25:]).all()


def test_compartments_are_the_eigenvector_of_the_chromosomes_map(registry, bundle, tmp_path):
    path = predict(make_engine(bundle, SOURCE, "cpu"), tmp_path / "d.mcool", ["d"])
    uid = uid_of(registry, "vector", "compartment")
    resolution = 320  # 16 bins are 5,120 bp
    zoom = registry[uid].resolutions.index(resolution)
    axis = registry[uid].axis
    run = next(
        r
        for r in axis.bin_ranges(
            resolution, axis.offsets["d"] // resolution // VECTOR_BINS, VECTOR_BINS
        )
        if r.chrom == "d"
    )
    mine = ours(registry, uid, zoom, axis.offsets["d"] // resolution // VECTOR_BINS)[
        run.at : run.at + run.last - run.first
    ]
    clr = cooler.Cooler(f"{path}::resolutions/{resolution}")
    view = pd.DataFrame({"chrom": ["d"], "start": [0], "end": [SIZES["d"]], "name": ["d"]})
    _, vectors = cooltools.eigs_cis(
        clr, view_df=view, n_eigs=1, ignore_diags=0, clip_percentile=100
    )
    theirs = vectors[vectors["chrom"] == "d"]["E1"].to_numpy()
    both = np.isfinite(mine) & np.isfinite(theirs)
    assert both.sum() > 5
    assert abs(np.corrcoef(mine[both], theirs[both])[0, 1]) > 0.999


def test_profiles_are_the_heads(registry, bundle):
    engine = make_engine(bundle, SOURCE, "cpu")
    uid = uid_of(registry, "vector", ", b")
    with torch.inference_mode():
        x = [engine.encodings.window("a", 0, 370, reverse=r)[None] for r in (False, True)]
        y = 0.5 * (engine.model.final_1d(x[0]) + engine.model.final_1d(x[1]).flip(-1))
    expected = y[0, 1].numpy()
    zoom = registry[uid].resolutions.index(40)
    mine = ours(registry, uid, zoom, 0)
    np.testing.assert_allclose(mine[:370], expected[:370], atol=1e-6)
    coarse = ours(registry, uid, registry[uid].resolutions.index(160), 0)
    np.testing.assert_allclose(coarse[:92], expected[:368].reshape(-1, 4).mean(axis=1), atol=1e-6)


def test_several_clients_at_once_get_what_one_gets(bundle):
    """Each unit is computed once, however many ask."""
    with TilesetRegistry() as registry:
        registry.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
        uid = uid_of(registry)
        texts = [f"{uid}.4.{x}.{y}" for x in range(2) for y in range(x, 3)]
        found = [None] * 8
        threads = [
            threading.Thread(
                target=lambda k=k: found.__setitem__(
                    k, registry.tiles(texts[k % 3 :] + texts[: k % 3], wait=None)
                )
            )
            for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(f == found[0] for f in found)
        units = set()
        for text in texts:
            from higlass_plugin.tiles import parse_tile_id

            units |= set(registry[uid].plan(parse_tile_id(text)).final_units())
        assert registry.scheduler.computed == len(units)
