"""A model of several cell types: tiles are those of files of each, sequence is read once, and
addresses, lists, views and shims choose.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import hmac
from types import SimpleNamespace
from urllib.parse import quote

import cooler
import numpy as np
import pytest
from conftest import make_toy_expected, make_toy_model, make_toy_spec
from test_tilesets import SIZES, SOURCE, all_tiles, alone, clodius, lower, ours, predict

from higlass_plugin import clodius_tiles
from higlass_plugin.clodius_tiles import Options
from higlass_plugin.django_app.datafile import OrcaFile
from higlass_plugin.registry.address import UrlError, parse_url
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.app import create_app
from higlass_plugin.tiles import TILE_BINS
from orca_cool.effects.difference import difference
from orca_cool.effects.lift import lift_to_reference
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.engine import make_engine
from orca_cool.variants import parse_edits

NAMES = ("a", "b")
EDIT = "a:1,013-2,401 del"
EDIT_URL = f"edit={quote(EDIT)}"


def save(folder):
    """A toy of two cell types."""
    spec = make_toy_spec(cell_type="", cell_types=NAMES, assemblies={"drawn": SIZES})
    other = {
        40: ExpectedModel(40, 0.05 / (1.0 + np.arange(4000)) ** 0.6),
        160: ExpectedModel(160, 0.05 / (1.0 + np.arange(1000) * 4) ** 0.6, 7e-5),
    }
    tables = {"a": make_toy_expected(spec), "b": other}
    return save_bundle(folder, make_toy_model(spec), by_cell_type=tables)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save(tmp_path_factory.mktemp("models") / "toy")


def serve(path, state=None, modules=None, **limits):
    registry = TilesetRegistry(state, Limits(**limits))
    model = load_bundle(path, modules=modules)
    registry.add_model("toy", model, "drawn", SOURCE, "drawn", device="cpu")
    return registry


@pytest.fixture(scope="module")
def registry(path):
    with serve(path) as registry:
        yield registry


@pytest.fixture(scope="module")
def files(path, tmp_path_factory):
    """By cell type, what is written for it alone: of the reference, and of the edited genome."""
    folder, found = tmp_path_factory.mktemp("files"), {}
    genome = apply_edits(SOURCE, parse_edits(EDIT, SOURCE))
    for name in NAMES:
        engine = make_engine(load_bundle(path).for_cell_type(name), SOURCE, "cpu")
        made = {kind: folder / f"{name}.{kind}.mcool" for kind in ("lifted", "difference")}
        made["reference"] = predict(engine, folder / f"{name}.mcool")
        edited = engine.for_genome(genome)
        made["map"] = predict(edited, folder / f"{name}.edited.mcool", genome.edited)
        lift_to_reference(made["map"], genome, made["lifted"], assembly="drawn")
        difference(made["lifted"], made["reference"], made["difference"])
        found[name] = made
    return found


def assert_tiles_are_of(registry, uid, path, atol=1e-7):
    """Each tile is the file's, where that has a pixel that no other chromosome hides; the values
    of all.
    """
    tileset, seen = registry[uid], []
    for resolution, zoom, x, y in all_tiles(tileset):
        mine, theirs = ours(registry, uid, zoom, x, y), clodius(path, zoom, x, y)
        there = lower(theirs, x, y) & np.isfinite(theirs) & (theirs != 0)
        there &= np.outer(*(alone(tileset.axis, resolution, tile) for tile in (y, x)))
        # clodius rounds what has no NaN to float16
        np.testing.assert_allclose(mine[there], theirs[there], rtol=1e-3, atol=atol)
        seen.append(mine[there])
    return np.concatenate(seen)


def test_tiles_are_those_of_the_cell_types_own_file(registry, files):
    found = []
    for name in NAMES:
        uid = registry.open_url(f"orca://toy/drawn?cell_type={name}").uid
        found.append(assert_tiles_are_of(registry, uid, files[name]["reference"]))
        assert len(found[-1]) > 50_000
    assert not np.allclose(*found, rtol=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_tiles_of_an_edit_are_those_of_the_cell_types_own_file(registry, files, name):
    view = registry.edit([EDIT], cell_type=name)
    for kind in ("map", "lifted", "difference"):
        atol = 1e-3 if kind == "difference" else 1e-7
        found = assert_tiles_are_of(registry, view.tilesets[kind], files[name][kind], atol)
        assert len(found) > 1000
    reference = registry.open_url(f"orca://toy/drawn?cell_type={name}").uid
    mine, theirs, ratio = (
        ours(registry, uid, 4, 0, 0)
        for uid in (view.tilesets["lifted"], reference, view.tilesets["difference"])
    )
    known = np.isfinite(ratio)
    np.testing.assert_allclose(ratio[known], np.log(mine / theirs)[known], atol=1e-5)


def test_sequence_is_read_and_windows_are_decoded_once(path):
    with serve(path, modules=["S"]) as registry:

        def work(uid, zoom):
            before = registry.metrics()
            finite = np.isfinite(ours(registry, uid, zoom, 0, 0)).sum()
            after = registry.metrics()
            names = ("encoded_bp_total", "units_computed_total", "tiles_built_total")
            return finite, [after[name] - before[name] for name in names]

        maps = [registry.open_url(f"orca://toy/drawn?cell_type={name}").uid for name in NAMES]
        (_, first), (seen, second) = (work(uid, 1) for uid in maps)
        assert min(first) > 0
        assert seen > 1000
        assert second == [0, 0, 1]
        assert registry.status()["encoded_bytes"] > 0
        stages = {s["stage"]: s for s in registry.status()["stages"]}
        assert {"encoding", "decoding", "tiles"} <= set(stages)
        assert stages["encoding"]["cpu_s"] > 0
        seconds = registry.metrics()["stage_encoding_cpu_seconds_total"]
        assert seconds >= stages["encoding"]["cpu_s"]

        edits = [registry.edit([EDIT], cell_type=name) for name in NAMES]
        (_, first), (seen, second) = (work(edit.tilesets["map"], 1) for edit in edits)
        assert min(first) > 0
        assert seen > 1000
        assert second == [0, 0, 1]
        opened = [registry.edits.get(edit.id).predicted for edit in edits]
        assert opened[0].genome is opened[1].genome

        # what one of them has computed is kept for as long as the other is open
        held = [len(registry.units), len(registry.roots)]
        registry.drop(edits[0].id)
        assert [len(registry.units), len(registry.roots)] == held
        assert work(edits[1].tilesets["map"], 2)[0] > 100
        registry.drop(edits[1].id)
        base = registry[maps[0]].predicted
        assert all(unit.predicted is base for unit in registry.units._kept)
        del opened
        gc.collect()
        again = registry.edit([EDIT], cell_type="b")
        assert again.id == edits[1].id
        assert work(again.tilesets["map"], 1)[0] == seen


def test_the_list_tells_cell_types_apart(registry):
    assert [tileset.name for tileset in registry.listed()] == [
        "toy, a, predicted",
        "toy, a, insulation",
        "toy, a, compartment E1",
        "toy, a",  # the profiles a and b, which are the same for all cell types
        "toy, b",
        "toy, b, predicted",
        "toy, b, insulation",
        "toy, b, compartment E1",
    ]
    assert len({tileset.uid for tileset in registry.listed()}) == 8
    assert registry.models() == [("toy", "drawn")]
    assert registry.status()["models"] == [
        {"model": "toy", "genome": "drawn", "assembly": "drawn", "cell_types": ["a", "b"]}
    ]
    views = [registry.edit([EDIT], cell_type=name) for name in NAMES]
    assert [registry[view.tilesets["map"]].name for view in views] == [
        f"toy, {name}: {EDIT}, predicted" for name in NAMES
    ]
    assert views[0].id != views[1].id
    assert not set(views[0].tilesets.values()) & set(views[1].tilesets.values())
    assert [view.url for view in views] == [
        f"orca://toy/drawn?{EDIT_URL}&cell_type={name}" for name in NAMES
    ]
    profiles = [
        ours(registry, registry.open_url(f"orca://toy/drawn?{query}&cell_type={name}").uid, 4, 0)
        for name in NAMES
        for query in ("track=profile&profile=b",)
    ]
    assert np.isfinite(profiles[0]).sum() > 300
    assert np.array_equal(*profiles, equal_nan=True)


def test_insulation_is_of_the_cell_types_own_file(registry, files):
    """Up to a constant it is log2 of the mean in a diamond of 10 bins, without the two diagonals
    next to the bin.
    """
    apart = np.add.outer(np.arange(10), np.arange(10))
    found = []
    for name in NAMES:
        tileset = registry.open_url(f"orca://toy/drawn?track=insulation&cell_type={name}")
        found.append(ours(registry, tileset.uid, tileset.resolutions.index(80), 0)[30:90])
        clr = cooler.Cooler(f"{files[name]['reference']}::resolutions/80")
        f = clr.matrix(balance=True).fetch("a")
        squares = [f[k - 9 : k + 1, k : k + 10][::-1] for k in range(30, 90)]
        wanted = np.log2([square[apart >= 2].mean() for square in squares])
        found[-1] -= found[-1].mean()
        assert np.ptp(found[-1]) > 0.01
        np.testing.assert_allclose(found[-1], wanted - wanted.mean(), atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 0.01


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "model 'toy' has several cell types; add cell_type=NAME, one of: a, b"),
        ("?cell_type=", "has several cell types"),
        (f"?{EDIT_URL}", "has several cell types"),
        ("?cell_type=c", "model 'toy' has no cell type 'c'; it has: a, b"),
        ("?cell_type=" + "x" * 5000, "has no cell type 'xxx"),
    ],
)
def test_addresses_that_name_none(registry, query, message):
    with pytest.raises(UrlError) as error:
        registry.open_url(f"orca://toy/drawn{query}")
    assert message in str(error.value)
    assert len(str(error.value)) < 300


def test_where_none_is_named_an_edit_is_of_the_first(registry):
    assert registry.edit([EDIT]).url == f"orca://toy/drawn?{EDIT_URL}&cell_type=a"
    with pytest.raises(UrlError, match="no cell type 'c'; it has: a, b"):
        registry.edit([EDIT], cell_type="c")


def test_addresses_with_cell_types_go_round():
    url = f"orca://toy/drawn?{EDIT_URL}&cell_type=d%20e&lift=reference"
    address = parse_url(url)
    assert (address.cell_type, str(address)) == ("d e", url)
    assert parse_url(str(address.sequence)).cell_type == "d e"


def test_a_chosen_cell_type_is_served_alone(path):
    with TilesetRegistry() as registry:
        model = load_bundle(path).for_cell_type("b")
        registry.add_model("toy", model, "drawn", SOURCE, "drawn", device="cpu")
        assert registry.open_url("orca://toy/drawn?cell_type=b").name == "toy, b, predicted"
        with pytest.raises(UrlError, match="no cell type 'a'; it has: b"):
            registry.open_url("orca://toy/drawn?cell_type=a")


def test_uids_of_a_model_of_one_are_what_they_were(tmp_path):
    """HMAC-SHA256 of the address by the server's secret, as in the versions before."""
    spec = make_toy_spec()
    model = load_bundle(
        save_bundle(tmp_path / "toy", make_toy_model(spec), make_toy_expected(spec))
    )

    def uid(text):
        digest = hmac.new(b"0" * 32, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest)[:22].decode()

    (tmp_path / "state" / "edits").mkdir(parents=True)
    (tmp_path / "state" / "secret").write_bytes(b"0" * 32)
    with TilesetRegistry(tmp_path / "state") as registry:
        registry.add_model("toy", model, "drawn", SOURCE, "drawn", device="cpu")
        own = "orca://toy/drawn"
        tracks = ["?track=insulation", "?track=compartments", "?track=profile&profile=a"]
        assert [tileset.uid for tileset in registry.listed()][:4] == [
            uid(own + query) for query in ["", *tracks]
        ]
        assert registry.open_url(f"{own}?cell_type=toy").uid == uid(own)
        edited = f"{own}?{EDIT_URL}"
        found = registry.open_url(f"{own}?cell_type=toy&{EDIT_URL}")
        assert (found.uid, found.description) == (uid(edited), edited)
        assert registry.edit([EDIT], cell_type="toy").id == uid(f"edit {edited}")
        with pytest.raises(UrlError, match="model 'toy' has no cell type 'a'; it has: toy"):
            registry.open_url(f"{own}?cell_type=a")


def test_a_restart_knows_the_edits_of_each(path, tmp_path):
    with serve(path, tmp_path) as registry:
        views = [registry.edit([EDIT], cell_type=name) for name in NAMES]
    with serve(path, tmp_path) as registry:
        assert [registry.edited(view.id).to_json() for view in views] == [
            view.to_json() for view in views
        ]
        assert registry[views[1].tilesets["lifted"]].uid == views[1].tilesets["lifted"]


# ---- HTTP


@pytest.fixture(scope="module")
def client(registry):
    return create_app(registry, hosts=None).test_client()


def test_views_of_each_cell_type(registry, client):
    def orca(view):
        return view["tracks"]["center"][0]["options"]["orca"]

    def uids(view):
        found = [t for tracks in view["tracks"].values() for t in tracks]
        inner = [t for track in found for t in track.get("contents", [track])]
        marks = ("vertical-rule", "horizontal-rule")  # of breakpoints: they show no tileset
        return {t["uid"]: t["tilesetUid"] for t in inner if t["type"] not in marks}

    first = client.get("/api/v1/viewconfs/?d=default").json["views"][0]
    seen = {}
    for name in NAMES:
        query = f"d=default&model=toy&genome=drawn&cell_type={name}"
        (view,) = client.get(f"/api/v1/viewconfs/?{query}").json["views"]
        assert (orca(view)["cell_type"], orca(view)["cell_types"]) == (name, ["a", "b"])
        url = f"orca://toy/drawn?cell_type={name}"
        seen[name] = uids(view)
        assert seen[name] == {
            "predicted-logoe": registry.open_url(url).uid,
            "labels-top": registry.open_url(url).uid,
            "labels-left": registry.open_url(url).uid,
            "insulation": registry.open_url(f"{url}&track=insulation").uid,
            "compartments": registry.open_url(f"{url}&track=compartments").uid,
        }
    assert uids(first) == seen["a"]
    body = {"edit": EDIT, "cell_type": "b"}
    edit = client.post("/api/v1/edits/", json=body).json
    assert (edit["cell_type"], edit["id"]) == ("b", registry.edit([EDIT], cell_type="b").id)
    reference, own, ratio = client.get(f"/api/v1/viewconfs/?d={edit['id']}").json["views"]
    assert (orca(reference)["cell_type"], uids(reference)) == ("b", seen["b"])
    for view, kind in ((own, "map"), (ratio, "difference")):
        url = view["tracks"]["center"][0]["contents"][0]["data"]["url"]
        assert registry.open_url(url).uid == edit["tilesets"][kind]


def test_a_cell_type_that_is_not_there_is_told(client):
    for answer in (
        client.get("/api/v1/viewconfs/?d=default&cell_type=c"),
        client.post("/api/v1/edits/", json={"edit": EDIT, "cell_type": "c"}),
        client.post(
            "/api/v1/register_url/",
            json={"fileurl": "orca://toy/drawn?cell_type=c", "filetype": "orca"},
        ),
    ):
        assert answer.status_code == 400
        assert answer.json["error"] == "model 'toy' has no cell type 'c'; it has: a, b"
    url = {"fileurl": "orca://toy/drawn", "filetype": "orca"}
    answer = client.post("/api/v1/register_url/", json=url)
    assert (answer.status_code, "one of: a, b" in answer.json["error"]) == (400, True)


# ---- other servers


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    file = tmp_path_factory.mktemp("genome") / "drawn.fa"
    letters = {c: "".join("ACGTN"[k] for k in SOURCE.fetch(c, 0, n)) for c, n in SIZES.items()}
    file.write_text("".join(f">{chrom}\n{text}\n" for chrom, text in letters.items()))
    return file


@pytest.fixture
def shims(path, genome):
    yield SimpleNamespace(
        url=f"orca://{quote(str(path), safe='')}/{quote(str(genome), safe='')}",
        options=Options(device="cpu"),
    )
    clodius_tiles.close()


def dense(tile):
    return np.frombuffer(base64.b64decode(tile["dense"]), "<f4").reshape(TILE_BINS, TILE_BINS)


def assert_is(tile, registry, name):
    uid = registry.open_url(f"orca://toy/drawn?cell_type={name}").uid
    np.testing.assert_allclose(dense(tile), ours(registry, uid, 4, 0, 0), rtol=1e-4)


def test_clodius_and_higlass_server_choose_by_the_url(
    path, genome, registry, shims, tmp_path, monkeypatch
):
    monkeypatch.setattr("higlass_plugin.django_app.datafile.open_tileset", _on_cpu)
    for name in NAMES:
        url = f"{shims.url}?cell_type={name}"
        ((_, tile),) = clodius_tiles.tiles(url, ["x.4.0.0"], shims.options)
        assert_is(tile, registry, name)
        assert clodius_tiles.tileset_info(url, shims.options)["name"] == f"toy, {name}, predicted"
        datafile = tmp_path / f"{name}.orca"
        datafile.write_text(f"orca://mine/drawn?cell_type={name}\n")
        file = OrcaFile(datafile, {"mine": str(path)}, {"drawn": str(genome)})
        ((_, tile),) = file.tiles(["x.4.0.0"])
        assert_is(tile, registry, name)
    with pytest.raises(UrlError, match="one of: a, b"):
        clodius_tiles.tileset_info(shims.url, shims.options)
    assert clodius_tiles.registry().models() == [("toy", "drawn")]


def _on_cpu(address):
    return clodius_tiles.open_tileset(address, Options(device="cpu"))


def test_a_notebook_chooses(path, genome, registry, shims):
    pytest.importorskip("higlass")
    from higlass_plugin import notebook

    made = {name: notebook.tileset(path, genome, cell_type=name, device="cpu") for name in NAMES}
    for name, tileset in made.items():
        assert tileset.name == f"toy, {name}, predicted"
        tileset.compute("a:0-10,000", pixels=256)
        ((_, tile),) = tileset.tiles(["x.4.0.0"])
        assert_is(tile, registry, name)
    assert made["a"].uid != made["b"].uid
    assert notebook.tileset(path, genome, cell_type="a", device="cpu") is made["a"]
    with pytest.raises(UrlError, match="one of: a, b"):
        notebook.tileset(path, genome, device="cpu")
    with pytest.raises(UrlError, match="no cell type 'c'; it has: a, b"):
        notebook.tileset(path, genome, cell_type="c", device="cpu")
