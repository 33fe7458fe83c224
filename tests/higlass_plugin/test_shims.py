"""Predicted tilesets in other programs: higlass-python in a notebook, and clodius's form."""

from __future__ import annotations

import base64
import gc
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec

import higlass_plugin
from higlass_plugin import clodius_tiles
from higlass_plugin.clodius_tiles import Options
from higlass_plugin.compute.units import WindowUnit
from higlass_plugin.registry.address import UrlError, parse_url
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tiles import TILE_BINS, VECTOR_BINS, TileError
from orca_cool.errors import EditError, GenomeError, ModelError, OrcaCoolError, RegionError
from orca_cool.genome.open import open_genome
from orca_cool.model.bundle import load_bundle, save_bundle

hg = pytest.importorskip("higlass")
from higlass._tileset_registry import TilesetRegistry as HiglassRegistry  # noqa: E402
from higlass._widget import JupyterTilesetClient  # noqa: E402

from higlass_plugin import notebook  # noqa: E402
from higlass_plugin.notebook import predicted as notebook_tilesets  # noqa: E402
from higlass_plugin.notebook import watching  # noqa: E402

SIZES = {"a": 14_810, "b": 9_007, "c": 500, "d": 3_013}
EDIT = "a:1,013-2,401 del"
#: EncodedZoom levels 0 .. 4 are 640, 320, 160, 80 and 40 bp; 27,330 bp are 3 tiles of 256 bins of
#: 40 bp, and one track of 1024.
FINEST, TILES = 4, 3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model's folder and a genome's file, whose names must be quoted in a URL."""
    folder = tmp_path_factory.mktemp("files")
    spec = make_toy_spec(assemblies={"drawn": SIZES})
    model = save_bundle(folder / "toy #1", make_toy_model(spec), make_toy_expected(spec))
    source = Drawn(SIZES, ("b", 1_000, 1_415))
    genome = folder / "drawn 50%.fa"
    genome.write_text(
        "".join(
            f">{c}\n{''.join('ACGTN'[code] for code in source.fetch(c, 0, n))}\n"
            for c, n in SIZES.items()
        )
    )
    return SimpleNamespace(
        model=model,
        genome=genome,
        url=f"orca://{quote(str(model), safe='')}/{quote(str(genome), safe='')}",
    )


@pytest.fixture(scope="module")
def registry(files):
    """A registry of its own, to compare with."""
    with TilesetRegistry() as registry:
        registry.add_model(
            "toy",
            load_bundle(files.model),
            "drawn",
            open_genome(files.genome),
            "drawn",
            device="cpu",
        )
        yield registry


@pytest.fixture(autouse=True)
def _afresh():
    """Every test opens its own registry of the process."""
    yield
    clodius_tiles.close()
    notebook_tilesets._kept.clear()


@pytest.fixture
def predicted(files):
    return notebook.tileset(files.model, files.genome, device="cpu")


class Gate:
    """Windows are computed when it is opened."""

    def __init__(self, monkeypatch):
        self.open = threading.Event()
        compute = WindowUnit.compute

        def slow(unit, others, above):
            assert self.open.wait(60)
            return compute(unit, others, above)

        monkeypatch.setattr(WindowUnit, "compute", slow)


@pytest.fixture
def gate(monkeypatch):
    gate = Gate(monkeypatch)
    yield gate
    gate.open.set()  # else the registry could not be closed


def numbers(tile):
    assert tile["dtype"] == "float32"
    return np.frombuffer(base64.b64decode(tile["dense"]), "<f4")


def assert_same(found, registry, url):
    """Tiles by id are those of the other registry; returns how many numbers are in them."""
    uid, seen = registry.open_url(url).uid, 0
    for text, tile in found.items():
        own = f"{uid}.{text.partition('.')[2]}"
        theirs = registry.tiles([own], wait=None)[own]
        assert "error" not in tile
        np.testing.assert_allclose(
            numbers(tile), numbers(theirs), rtol=1e-4, atol=1e-5
        )  # windows decoded in other batches
        seen += np.isfinite(numbers(tile)).sum()
    return seen


# ---- clodius


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["x.4.0.0", "x.4.0.1.logoe", "x.2.0.0.none"]),
        (f"?edit={quote(EDIT)}", ["x.4.0.0", "x.3.0.1"]),
        (f"?edit={quote(EDIT)}&value=difference", ["any-uid.4.0.0"]),
        ("?track=insulation", ["x.4.0", "x.2.0"]),
        ("?track=profile&profile=b", ["x.4.0"]),
    ],
)
def test_clodius_tiles_are_the_registrys(files, registry, query, ids):
    options = Options(device="cpu")
    found = clodius_tiles.tiles(files.url + query, ids, options)
    assert [text for text, _ in found] == ids
    assert assert_same(dict(found), registry, f"orca://toy/drawn{query}") > 100
    info = clodius_tiles.tileset_info(files.url + query, options)
    theirs = registry.open_url(f"orca://toy/drawn{query}").info()
    names = [info.pop("name"), theirs.pop("name")]
    assert names[0] == names[1].replace("toy", "toy #1")
    assert info == theirs


def test_model_and_genome_are_opened_once_whatever_they_are_called(files, monkeypatch):
    monkeypatch.chdir(files.model.parent)
    options = Options(device="cpu")
    sources = [
        files.url,
        f"orca://{quote(files.model.name)}/{quote(files.genome.name)}",
        f"orca://.%2F{quote(files.model.name)}/{files.url[7:].partition('/')[2]}",
    ]
    first = clodius_tiles.open_tileset(parse_url(files.url), options)
    assert all(
        clodius_tiles.open_tileset(parse_url(source), options) is first for source in sources
    )
    assert notebook.tileset(files.model, files.genome, device="cpu").uid == first.uid
    assert clodius_tiles.registry().models() == [("toy #1", "drawn 50%")]
    with pytest.warns(
        UserWarning,
        match=r"'drawn 50%' shares no chromosome name with the assemblies of model 'toy' \(drawn\)",
    ):
        other = clodius_tiles.open_tileset(
            parse_url(files.url), Options(device="cpu", chrom_names="add-chr")
        )
    assert clodius_tiles.registry().models() == [("toy #1", "drawn 50%"), ("toy #1-2", "drawn 50%")]
    assert next(iter(other.axis.chromsizes)) == "chra"


def test_what_was_closed_is_opened_again(files, predicted):
    before = clodius_tiles.registry()
    uid = predicted.uid
    predicted.compute("d")
    clodius_tiles.close()
    assert clodius_tiles.registry() is not before
    ((_, tile),) = predicted.tiles(["x.0.0.0"])
    assert np.isfinite(numbers(tile)).any()
    assert predicted.uid != uid


@pytest.mark.parametrize(
    ("source", "error", "quoted"),
    [
        ("orca://toy/no%2Fsuch.fa", ModelError, "toy"),
        ("http://x/y", UrlError, "http://x/y"),
        ("{url}?edit=a:5-3%20del", EditError, "a:5-3"),
        ("{url}?track=profile&profile=c", UrlError, "'c'"),
        ("{url}x", GenomeError, ".fax"),
    ],
)
def test_a_source_that_cannot_be_used(files, source, error, quoted):
    with pytest.raises(error, match=quoted.replace(".", r"\.")):
        clodius_tiles.tiles(source.format(url=files.url), ["x.0.0.0"], Options(device="cpu"))


def test_a_genome_of_another_assembly(files, tmp_path):
    genome = tmp_path / "other.fa"
    genome.write_text(f">a\n{'ACGT' * 3000}\n>b\n{'AC' * 2000}\n")
    source = f"{files.url.rpartition('/')[0]}/{quote(str(genome), safe='')}"
    with pytest.raises(GenomeError, match=r"a is 12,000 bp.*any_genome=True"):
        clodius_tiles.tileset_info(source, Options(device="cpu"))
    assert (
        clodius_tiles.tileset_info(source, Options(device="cpu", any_genome=True))["coordSystem"]
        == "other"
    )


# ---- higlass-python


def test_what_the_package_exports():
    assert higlass_plugin.tileset is notebook.tileset
    assert (higlass_plugin.watch, higlass_plugin.serve) == (notebook.watch, notebook.serve)
    with pytest.raises(AttributeError, match="no_such"):
        _ = higlass_plugin.no_such


def test_without_higlass_python(tmp_path):
    """The message names what to install; the rest of the package works."""
    (tmp_path / "higlass.py").write_text("raise ImportError('gone', name='higlass')\n")
    code = (
        "import higlass_plugin.clodius_tiles\n"
        "from orca_cool.errors import OrcaCoolError\n"
        "try: higlass_plugin.tileset\n"
        "except OrcaCoolError as error: print(isinstance(error, ImportError), error)\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]),
    }
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("True a tileset of higlass-python needs 'higlass'")
    assert "which cannot be imported (gone): pip install 'orca-cool[notebook]'" in run.stdout


def test_notebook_tiles_are_the_registrys(files, registry, predicted):
    assert isinstance(predicted, hg.Tileset)
    predicted.compute("a", pixels=600)
    ids = ["hg_1f.4.0.0", "hg_1f.4.0.1.logoe", "hg_1f.4.1.1.weight"]
    found = predicted.tiles(ids)
    assert [text for text, _ in found] == ids
    assert assert_same(dict(found), registry, "orca://toy/drawn") > 10_000
    assert predicted.info() == predicted._open().info()
    assert (predicted.name, predicted.datatype) == ("toy #1, predicted", "matrix")


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ({"edit": EDIT}, f"?edit={quote(EDIT)}"),
        ({"edit": ["a:1-3 del", "b:5-6  del"]}, "?edit=a:1-3%20del&edit=b:5-6%20del"),
        ({"vcf": "a\t100\t.\t{ref}\tGGGGG\t.\t.\t."}, None),
        ({"edit": EDIT, "lift_to_reference": True}, f"?edit={quote(EDIT)}&lift=reference"),
        ({"edit": EDIT, "difference": True}, f"?edit={quote(EDIT)}&value=difference"),
        ({"track": "insulation"}, "?track=insulation"),
        ({"edit": EDIT, "track": "compartments"}, f"?edit={quote(EDIT)}&track=compartments"),
        ({"track": "profile", "profile": "b"}, "?track=profile&profile=b"),
    ],
)
def test_arguments_mean_what_the_url_says(files, arguments, query):
    if query is None:
        base = "ACGT"[open_genome(files.genome).fetch("a", 99, 100)[0]]
        arguments = {"vcf": arguments["vcf"].replace("{ref}", base)}
        query = f"?vcf={quote(arguments['vcf'])}"
    made = notebook.tileset(files.model, files.genome, device="cpu", **arguments)
    assert made._open() is clodius_tiles.open_tileset(
        parse_url(files.url + query), Options(device="cpu")
    )
    assert made is notebook.tileset(str(files.model), str(files.genome), device="cpu", **arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "quoted"),
    [
        ({"edit": "a:99,999-100,000 del"}, EditError, "99,999"),
        ({"edit": EDIT, "lift_to_reference": True, "track": "insulation"}, UrlError, "lift"),
        ({"difference": True}, UrlError, "edited genome"),
        ({"track": "loops"}, UrlError, "loops"),
        ({"model": "no-such-model"}, ModelError, "no-such-model"),
        ({"genome": "no-such.fa"}, GenomeError, "no-such.fa"),
        ({"device": "abacus"}, OrcaCoolError, "abacus"),
    ],
)
def test_errors_come_when_the_tileset_is_made(files, arguments, error, quoted):
    with pytest.raises(error, match=quoted):
        notebook.tileset(
            **({"model": files.model, "genome": files.genome, "device": "cpu"} | arguments)
        )


def test_a_tileset_lives_as_long_as_its_track(files):
    """higlass-python's own references are weak."""
    uid = notebook.tileset(files.model, files.genome, device="cpu").track().tilesetUid
    gc.collect()
    assert HiglassRegistry.get(uid).info()["max_pos"] == [sum(SIZES.values())] * 2


def test_tracks(files, predicted):
    track = predicted.track()
    assert (track.type, track.server) == ("heatmap", "jupyter")
    options = track.options
    assert (options["dataTransform"], options["heatmapValueScaling"]) == ("logoe", "linear")
    assert options["valueScaleMin"] == -options["valueScaleMax"] < 0
    assert len(options["colorRange"]) == 5
    assert options["name"] == predicted.name
    track = predicted.track(
        value="weight", height=99, options={"name": "mine", "colorRange": ["white", "black"]}
    )
    assert (track.options["dataTransform"], track.options["heatmapValueScaling"], track.height) == (
        "weight",
        "log",
        99,
    )
    assert (track.options["name"], track.options["colorRange"]) == ("mine", ["white", "black"])
    assert predicted.track("horizontal-heatmap").type == "horizontal-heatmap"
    with pytest.raises(notebook.NotebookError, match=r"'ice' is not one of weight, logoe, none"):
        predicted.track(value="ice")

    difference = notebook.tileset(files.model, files.genome, EDIT, difference=True, device="cpu")
    assert difference.track().options["heatmapValueScaling"] == "linear"
    assert "dataTransform" not in difference.track().options
    with pytest.raises(notebook.NotebookError, match=r"'weight'.*leave it out"):
        difference.track(value="weight")

    lines = [
        notebook.tileset(files.model, files.genome, device="cpu", track=name).track()
        for name in ("insulation", "compartments")
    ]
    assert {(line.type, line.height) for line in lines} == {("horizontal-bar", 40)}
    view = hg.view(predicted.track(), *lines)
    assert len(view.tracks.top) == 2
    assert len(view.tracks.center) == 1

    remote = predicted.track(server="http://127.0.0.1:8989/api/v1")
    assert (remote.server, remote.tilesetUid) == ("http://127.0.0.1:8989/api/v1", predicted.uid)
    assert remote.options["dataTransform"] == "logoe"


def test_a_pages_request_is_answered_in_time_while_tiles_are_computed(files, gate):
    """As higlass-python handles it: several tilesets in one request, several requests at once, few
    threads.
    """
    made = [
        notebook.tileset(files.model, files.genome, device="cpu", track=name)
        for name in ("map", "insulation", "compartments")
    ]
    uids = [tileset.track().tilesetUid for tileset in made]
    client, answers = JupyterTilesetClient(), queue.Queue()
    client.send = answers.put
    ids = [f"{uids[0]}.4.0.0.logoe", f"{uids[0]}.4.0.1.logoe", f"{uids[1]}.4.0", f"{uids[2]}.4.0"]
    for k in range(5):
        client._handle_custom_message(
            client, {"id": str(k), "payload": {"type": "tiles", "tileIds": ids}}, []
        )
    # nothing can be computed: whoever waited for it would get no answer at all (how long each may
    # wait: the next tests)
    payloads = [answers.get(timeout=30)["payload"] for _ in range(5)]
    for payload in payloads:
        assert sorted(payload) == sorted(ids)
        assert {tile["error"] for tile in payload.values()} == {"computing"}
        assert all("dense" in tile for tile in payload.values())
    assert made[0].pending() == 2
    gate.open.set()
    for tileset in made:
        tileset.compute("a", pixels=1200)
    assert [tileset.pending() for tileset in made] == [0, 0, 0]
    client._handle_custom_message(
        client, {"id": "x", "payload": {"type": "tiles", "tileIds": ids}}, []
    )
    assert not any("error" in tile for tile in answers.get(timeout=30)["payload"].values())


def test_who_comes_alone_may_wait(monkeypatch):
    monkeypatch.setattr(notebook_tilesets, "PAUSE", 0.05)
    shared = notebook_tilesets.SharedWait()
    with shared.share() as wait:
        assert wait == notebook_tilesets.WAIT
        time.sleep(0.1)
        with shared.share() as beside:
            assert 0 < beside <= notebook_tilesets.WAIT - 0.1
    with shared.share() as after:
        assert after <= notebook_tilesets.WAIT - 0.1
    time.sleep(0.06)
    with shared.share() as later:
        assert later == notebook_tilesets.WAIT


def test_compute_covers_the_tiles_of_a_view(predicted):
    """Levels by HiGlass's rule: the finest whose bins are wider than a pixel."""
    assert predicted.domain("b:1,000-2,000") == (15_810, 16_810)
    # 5,000 bp on 40 .. 160 pixels are 125 .. 31.25 bp a pixel: bins of 160, 80 and 40 bp, zoom
    # levels 2 to 4.
    ids = {text.partition(".")[2] for text in predicted._ids("a:8,000-13,000", 160)}
    assert ids == {"2.0.0", "3.0.0", "4.0.0", "4.0.1", "4.1.1"}  # tiles of 40 bp bins are 10,240 bp
    predicted.compute("a:8,000-13,000", pixels=160)
    assert (
        clodius_tiles.registry().progress([f"{predicted.uid}.{text}" for text in ids])["pending"]
        == []
    )
    assert len(clodius_tiles.registry().results) == len(ids)
    computed = clodius_tiles.registry().scheduler.computed
    found = predicted.tiles([f"hg_0.{text}" for text in ids])
    assert not any("error" in tile for _, tile in found)
    assert clodius_tiles.registry().scheduler.computed == computed > 0


def test_what_cannot_be_computed_is_told(predicted, monkeypatch):
    with pytest.raises(RegionError, match=r"'e:1-2'"):
        predicted.compute("e:1-2")
    monkeypatch.setattr(
        WindowUnit, "compute", lambda *_: (_ for _ in ()).throw(OrcaCoolError("no such luck"))
    )
    with pytest.raises(
        TileError, match=r"5 of 5 tiles of 'a:8,000-13,000' cannot be computed: no such luck"
    ):
        predicted.compute("a:8,000-13,000", pixels=160)
    ((_, tile),) = predicted.tiles(["hg_0.4.0.0"])
    assert tile["error"] == "no such luck"
    assert len(numbers(tile)) == TILE_BINS**2
    assert "there is no zoom level 9" in predicted.tiles(["hg_0.9.0.0"])[0][1]["error"]


def test_a_region_of_which_nothing_is_shown(files, tmp_path):
    """Of 4 Mb HiGlass's 20 tiles have bins of 1,280 bp, twice the coarsest level of the model."""
    (tmp_path / "long.fa").write_text(f">z\n{'ACGT' * 1_000_000}\n")
    long = notebook.tileset(files.model, tmp_path / "long.fa", device="cpu", any_genome=True)
    assert long.info()["resolutions"][-2:] == [640, 1280]
    with pytest.raises(
        RegionError, match=r"'z:0-12,800' is too wide: 20 pixels show up to 12,800 bp"
    ):
        long.compute("z:0-12,800", pixels=20)
    assert [text.partition(".")[2] for text in long._ids("z:0-12,799", 20)] == ["1.0.0"]


def test_an_error_reaches_the_page_as_tiles(predicted, monkeypatch):
    """higlass-python loses exceptions."""
    monkeypatch.setattr(
        notebook_tilesets,
        "open_tileset",
        lambda *_: (_ for _ in ()).throw(GenomeError("the file is gone")),
    )
    assert [tile["error"] for _, tile in predicted.tiles(["hg_0.0.0.0", "hg_0.1.0.0"])] == [
        "the file is gone"
    ] * 2
    monkeypatch.setattr(notebook_tilesets, "open_tileset", lambda *_: 1 / 0)
    ((text, tile),) = predicted.tiles(["hg_0.0.0"])
    assert (text, tile["error"], len(numbers(tile))) == (
        "hg_0.0.0",
        "internal error: ZeroDivisionError",
        VECTOR_BINS,
    )


def test_a_watched_widget_fetches_what_became_ready(files, predicted, gate, monkeypatch):
    monkeypatch.setattr(watching, "EVERY", 0.05)
    monkeypatch.setattr(notebook_tilesets, "WAIT", 0.0)
    insulation = notebook.tileset(files.model, files.genome, device="cpu", track="insulation")
    local, below = predicted.track(), insulation.track()
    both = hg.combine(
        local, hg.track("heatmap", server="https://example.org/api/v1", tilesetUid="x")
    )
    view = hg.view((both, "center"), below)
    widget, sent = view.widget(), queue.Queue()
    monkeypatch.setattr(widget, "send", lambda message, *_: sent.put(json.loads(message)))
    assert notebook.watch(widget) is widget
    predicted.tiles([f"{local.tilesetUid}.4.0.0"])
    time.sleep(0.3)
    assert sent.empty()  # nothing is ready
    gate.open.set()
    shown = widget._viewconf["views"][0]
    assert sent.get(timeout=30) == [
        "reload",
        [{"viewId": shown["uid"], "trackId": shown["tracks"]["center"][0]["uid"]}],
    ]
    assert "error" not in predicted.tiles([f"{local.tilesetUid}.4.0.0"])[0][1]
    widget.close()
    time.sleep(0.2)
    assert not [thread for thread in threading.enumerate() if thread.name == "watch"]
    assert sent.empty()
    with pytest.raises(notebook.NotebookError, match="shows no predicted tileset"):
        notebook.watch(
            hg.view(
                hg.track("heatmap", server="https://example.org/api/v1", tilesetUid="x")
            ).widget()
        )


def test_serve(predicted):
    pytest.importorskip("flask")
    pytest.importorskip("waitress")
    server = notebook.serve()

    def get(path, **query):
        with urllib.request.urlopen(
            f"{server}/{path}/?{urllib.parse.urlencode(query)}", timeout=60
        ) as answer:
            return json.load(answer)

    assert get("tileset_info", d=predicted.uid) == {
        predicted.uid: json.loads(json.dumps(predicted.info()))
    }
    text = f"{predicted.uid}.4.0.0.logoe"
    assert get("tiles", d=text) == clodius_tiles.registry().tiles([text], wait=0)
    port = int(server.rpartition(":")[2].partition("/")[0])
    with pytest.raises(notebook.NotebookError, match=f"port {port} cannot be listened on"):
        notebook.serve(port)


def test_ids_of_every_zoom_level_of_a_tile(predicted):
    """The ids that compute() asks for are tiles that exist, for any region and width."""
    for region, pixels in itertools.product(
        ["a", "a:14,000-14,810", "d", "b:1-2"], [30, 300, 3000]
    ):
        ids = predicted._ids(region, pixels)
        assert ids
        start, end = predicted.domain(region)
        zooms = {int(text.split(".")[1]) for text in ids}
        assert zooms == set(range(min(zooms), max(zooms) + 1))
        for text in ids:
            _, z, x, y = text.split(".")
            bp = predicted._open().resolutions[int(z)] * TILE_BINS
            assert int(x) <= int(y) < predicted._open().axis.tiles(bp // TILE_BINS, TILE_BINS)
            assert int(x) * bp < end
            assert (int(x) + 1) * bp >= start
