"""What a server knows: addresses, edits and their limits, restarts, failures, and who is served
first.
"""

from __future__ import annotations

import base64
import json
import stat
import threading
import time
from dataclasses import replace
from urllib.parse import quote

import numpy as np
import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.units import Preempted
from higlass_plugin.registry.address import MAX_TEXT, UrlError, parse_url
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tiles import (
    Axis,
    TileError,
    UnknownTileset,
    dense_tile,
    parse_tile_id,
    with_overview,
)
from orca_cool.errors import EditError, ModelError, OrcaCoolError
from orca_cool.model.bundle import load_bundle, save_bundle

SIZES = {"a": 9_010, "b": 6_100, "c": 900}
SOURCE = Drawn(SIZES, ("b", 1_000, 1_415))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = make_toy_spec()
    return load_bundle(
        save_bundle(
            tmp_path_factory.mktemp("models") / "toy", make_toy_model(spec), make_toy_expected(spec)
        )
    )


def make(bundle, state=None, **limits):
    registry = TilesetRegistry(state, Limits(**limits))
    registry.add_model("toy", bundle, "drawn", SOURCE, "drawn", device="cpu")
    return registry


@pytest.fixture(scope="module")
def registry(bundle):
    with make(bundle) as registry:
        yield registry


# ---- tile ids and arrays


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("abc.0.0.1", ("abc", 0, (0, 1), None)),
        ("a-_Z9.12.345.678.logoe", ("a-_Z9", 12, (345, 678), "logoe")),
        ("u.3.4", ("u", 3, (4,), None)),
        ("u.3.4.default", ("u", 3, (4,), "default")),
    ],
)
def test_ids(text, parts):
    tile = parse_tile_id(text)
    assert (tile.text, tile.uid, tile.zoom, tile.position, tile.transform) == (text, *parts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "abc",
        "abc.1",
        "a.b.c.d",
        "a.-1.0.0",
        "a.0.0.-3",
        "a.0.0.0.0",
        "a.1e3.0.0",
        "a.0. 1.0",
        "a.0.0.1.log oe",
        "a.0.0.²",
        "a b.0.0.0",
        "a.0.99999999999999999999.0",
        "a.65.0.0",
        "a.0.0.0.x.y",
        "ü.0.0.0",
        "a.0.0.0\n",
        "x" * 10_000,
        "a.0.0.1..",
    ],
)
def test_what_is_no_id(text):
    with pytest.raises(TileError) as error:
        parse_tile_id(text)
    assert len(str(error.value)) < 400


@given(st.text(max_size=300))
def test_any_text_is_an_id_or_an_error(text):
    try:
        assert parse_tile_id(text).text == text
    except TileError:
        pass


def test_numbers_survive_and_nan_is_no_json_number():
    values = np.array([[1e-7, np.nan], [-2, 3]], np.float32)
    tile = json.loads(json.dumps(dense_tile(values), allow_nan=False))
    assert np.array_equal(
        np.frombuffer(base64.b64decode(tile["dense"]), "<f4").reshape(2, 2), values, equal_nan=True
    )
    assert (tile["min_value"], tile["max_value"], tile["dtype"]) == (-2, 3, "float32")
    empty = json.loads(json.dumps(dense_tile(np.full(4, np.nan), error="why"), allow_nan=False))
    assert (empty["min_value"], empty["max_value"], empty["error"]) == ("NaN", "NaN", "why")


def test_an_axis_of_any_genome_has_few_enough_tiles():
    assert with_overview([4000, 8000], 100_000, 256) == [4000, 8000]
    levels = with_overview([4000 * 2**k for k in range(6)], 3_100_000_000, 256)
    assert 3_100_000_000 / (levels[-1] * 256) <= 20 < 3_100_000_000 / (levels[-2] * 256)
    axis = Axis({"a": 100, "b": 50})
    assert [(r.chrom, r.first, r.last, r.at) for r in axis.bin_ranges(40, 0, 4)] == [
        ("a", 0, 3, 0),
        ("b", 0, 2, 2),
    ]
    assert axis.tiles(40, 4) == 1


# ---- addresses


def test_addresses_go_round():
    url = "orca://my%20model/hg38.fa?edit=chr1%3A1-2%20del&edit=chr2%3A3%20A%3EG&lift=reference&value=difference"
    address = parse_url(url)
    assert address.model == "my model"
    assert address.edits == ("chr1:1-2 del", "chr2:3 A>G")
    assert address.difference
    assert str(address) == url
    assert parse_url(url.replace("lift=", "frame=")) == address  # as version 0.1 wrote it
    assert parse_url(str(address.sequence)).sequence == address.sequence
    path = replace(address, model="/models/a b", genome="x/hg38.fa")
    assert parse_url(str(path)) == path


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://toy/drawn",
        "orca://toy",
        "orca:///drawn",
        "orca://toy/drawn#x",
        "orca://toy/drawn?edit",
        "orca://toy/drawn?file=/etc/passwd",
        "orca://toy/drawn?track=secret",
        "orca://toy/drawn?frame=reference",
        "orca://toy/drawn?track=profile",
        "orca://toy/drawn?profile=a",
        "orca://toy/drawn?edit=a:1-2 del&track=insulation&frame=reference",
        "orca://[::1/drawn",
        "orca://toy/drawn?" + "edit=x&" * 300,
        "file:///etc/passwd",
        "orca://toy/../../etc/passwd",
        "x" * 10**6,
    ],
)
def test_what_is_no_address(registry, url):
    with pytest.raises(UrlError) as error:
        registry.open_url(url)
    assert len(str(error.value)) < 700


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_address_or_edit_is_answered(registry, path, edit):
    for url in (
        path,
        f"orca://{path}",
        f"orca://toy/drawn?edit={quote(edit)}",
        f"orca://toy/drawn?vcf={quote(edit)}",
    ):
        try:
            registry.open_url(url)
        except OrcaCoolError:
            pass


def test_coordinate_systems_are_checked(registry):
    assert registry.open_url("orca://toy/drawn", "drawn") is registry.open_url("orca://toy/drawn")
    with pytest.raises(UrlError, match="hg38"):
        registry.open_url("orca://toy/drawn", "hg38")


# ---- edits


def test_an_edit_tells_where_it_is(registry):
    view = registry.edit(["a:1,000-2,000 del; b:3,000 ins ACGTACGT"])
    assert view.contigs == {"a": 8_010, "b": 6_108, "c": 900}
    assert view.edited == ["a", "b"]
    assert view.junctions == {"a": [1000], "b": [3000, 3008]}
    assert view.places == {"a": [1000, 2000], "b": [3000]}
    scores = {"insulation", "compartments"}
    differences = {f"{score}-difference" for score in scores}
    assert set(view.tilesets) == {"map", "lifted", "difference", *scores, *differences}
    assert registry[view.tilesets["map"]].coord_system == view.assembly
    assert view.assembly.startswith("drawn.")
    assert registry[view.tilesets["lifted"]].coord_system == "drawn"
    assert registry[view.tilesets["map"]].info()["chromsizes"] == [
        ["a", 8_010],
        ["b", 6_108],
        ["c", 900],
    ]
    assert registry.edit(["a:1,000-2,000  del; b:3,000 ins ACGTACGT"]) is view
    assert json.loads(json.dumps(view.to_json()))["id"] == view.id
    assert not {t.uid for t in registry.listed()} & set(view.tilesets.values())


def test_lines_of_vcf(registry):
    letters = "".join("ACGT"[k] for k in SOURCE.codes["a"][99:102])
    other = next(x for x in "ACGT" if x != letters[0])
    line = f"a 100 . {letters[0]} {other} . PASS ."
    view = registry.edit([], vcf=line)
    assert view.edits == [str(c) for c in registry.edit([f"a:100 {letters[0]}>{other}"]).edits]
    symbolic = registry.edit([], vcf="a\t1001\t.\tN\t<DEL>\t.\t.\tSVTYPE=DEL;END=2000\n")
    assert symbolic.contigs["a"] == 9_010 - 999
    wrong = next(x for x in "ACGT" if x != letters[0])
    with pytest.raises(EditError) as error:
        registry.edit([], vcf=f"a 100 . {wrong} {letters[0]} . . .")
    assert "/tmp" not in str(error.value)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ("a:1,000-2,000 dle", "dle"),
        ("z:1-2 del", "'z'"),
        ("a:9,000-9,999 del", "9,999"),
        ("a:5 ins @/etc/passwd", "file"),
        ("c:0-890 del", "less than one bin"),
        ("a:0-9,000 dup x100", "at most"),
        ("a:5 ins " + "A" * MAX_TEXT, "characters"),
        ("; ".join(f"a:{k} ins A" for k in range(1, 1500)), "changes"),
        ("", "no edit"),
    ],
)
def test_edits_that_cannot_be_made(registry, edit, why):
    with pytest.raises(EditError, match=why) as error:
        registry.edit([edit])
    assert "root:" not in str(error.value)


def test_the_least_recently_used_edit_makes_room(bundle):
    with make(bundle, edits=2) as registry:
        views = [registry.edit([f"a:{k},000-{k},040 del"]) for k in (1, 2)]
        registry.tiles([views[0].tilesets["map"] + ".4.0.0"], wait=None)  # used after the second
        units = len(registry.units)
        base = registry[registry.listed()[0].uid].predicted
        assert any(unit.predicted is not base for unit in registry.units._kept)
        registry.edit(["a:3,000-3,040 del"])
        assert registry.status()["edits"] == 2
        assert views[0].id == registry.edited(views[0].id).id
        assert len(registry.units) == units
        registry.edit(["a:4,000-4,040 del"])
        registry.edit(["a:5,000-5,040 del"])
        assert all(
            unit.predicted is base for unit in registry.units._kept
        )  # windows that the edit left alone stay
        # its tiles can still be asked for: it is opened again
        tile = registry.tiles([views[0].tilesets["map"] + ".4.0.0"], wait=None)
        assert "error" not in next(iter(tile.values()))


def test_so_many_edits_are_remembered(bundle, tmp_path):
    with make(bundle, tmp_path, edits=1, saved=3) as registry:
        views = [registry.edit([f"a:{k},000-{k},040 del"]) for k in range(1, 6)]
        assert {path.stem for path in (tmp_path / "edits").iterdir()} == {
            view.id for view in views[-3:]
        }
        assert registry[views[2].tilesets["lifted"]].uid == views[2].tilesets["lifted"]
        with pytest.raises(UnknownTileset):
            registry[views[1].tilesets["lifted"]]


def test_a_dropped_edit_is_gone(bundle, tmp_path):
    with make(bundle, tmp_path) as registry:
        view = registry.edit(["a:1,000-2,000 del"])
        registry.drop(view.id)
        with pytest.raises(UnknownTileset):
            registry[view.tilesets["map"]]
        with pytest.raises(UnknownTileset):
            registry.drop(view.id)
        assert list((tmp_path / "edits").iterdir()) == []


def test_a_restart_knows_uids_and_edits(bundle, tmp_path):
    with make(bundle, tmp_path) as registry:
        view = registry.edit(["a:1,000-2,000 del"])
        texts = [
            uid + ".4.0.0"
            for kind, uid in view.tilesets.items()
            if kind in ("map", "lifted", "difference")
        ]
        before = registry.tiles(texts, wait=None)
        uids = [t.uid for t in registry.listed()]
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    with make(bundle, tmp_path) as registry:
        assert [t.uid for t in registry.listed()] == uids
        assert registry.status()["edits"] == 0
        assert registry.tiles(texts, wait=None) == before
        assert registry.edited(view.id).to_json() == view.to_json()
    with make(bundle) as registry:  # another secret, other uids
        assert not set(uids) & {t.uid for t in registry.listed()}
    saved = next((tmp_path / "edits").iterdir())
    saved.write_text("{not json")
    with make(bundle, tmp_path) as registry, pytest.raises(UnknownTileset):
        registry[view.tilesets["map"]]


def test_old_edits_are_forgotten(bundle, tmp_path):
    with make(bundle, tmp_path) as registry:
        view = registry.edit(["a:1,000-2,000 del"])
    saved = tmp_path / "edits" / f"{view.id}.json"
    saved.write_text(json.dumps({"url": view.url, "used": time.time() - 8 * 86400}))
    with make(bundle, tmp_path) as registry, pytest.raises(UnknownTileset):
        registry.edited(view.id)
    assert not saved.exists()


def test_a_state_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OrcaCoolError, match="state folder"):
        TilesetRegistry(tmp_path / "file")


# ---- tiles


def test_every_id_is_answered(registry):
    uid = registry.listed()[0].uid
    vector = next(t.uid for t in registry.listed() if t.datatype == "vector")
    ids = [
        "",
        "x",
        "nobody.0.0.0",
        f"{uid}.0.0",
        f"{uid}.40.0.0",
        f"{uid}.0.7.7",
        f"{uid}.0.0.0.volume",
        f"{vector}.0.0.0",
        f"{vector}.4.9999",
    ]
    found = registry.tiles(ids)
    assert set(found) == set(ids)
    for tile in found.values():
        assert tile["error"]
        assert set(np.frombuffer(base64.b64decode(tile["dense"]), "<f4").view(np.int32)) == {
            np.float32(np.nan).view(np.int32)
        }
    assert "zoom level 40" in found[f"{uid}.40.0.0"]["error"]
    progress = registry.progress(ids)
    assert set(progress["failed"]) == set(ids)


def test_a_tile_that_is_not_ready_is_answered_at_once_and_reported_when_it_is(bundle, monkeypatch):
    with make(bundle) as registry:
        hold = threading.Event()
        compute = type(registry.scheduler)._compute

        def slow(self, *batch):
            hold.wait()
            compute(self, *batch)

        monkeypatch.setattr(type(registry.scheduler), "_compute", slow)
        text = registry.listed()[0].uid + ".4.0.0"
        try:
            tile = registry.tiles([text], wait=0.05)[text]  # while nothing can be computed
            progress = registry.progress([text])
        finally:  # else the registry could not be closed
            hold.set()
        assert tile["error"] == "computing"
        assert progress.pop("queue")["units"] > 0
        assert progress == {"ready": [], "pending": [text], "shows": {text: ""}, "failed": {}}
        while registry.progress([text])["pending"]:
            time.sleep(0.01)
        assert registry.progress([text])["ready"] == [text]
        assert "error" not in registry.tiles([text], wait=0)[text]


def test_who_waits_for_many_tiles_keeps_all_of_them_wanted(bundle, monkeypatch):
    monkeypatch.setattr("higlass_plugin.compute.scheduler.FORGET", 1.5)
    with make(bundle) as registry:
        build = type(registry.scheduler)._build
        monkeypatch.setattr(
            type(registry.scheduler),
            "_build",
            lambda self, job: (time.sleep(1.2), build(self, job)),
        )
        uid = registry.listed()[0].uid
        found = registry.tiles([f"{uid}.{zoom}.0.0" for zoom in range(4)], wait=None)
        assert not [tile["error"] for tile in found.values() if "error" in tile]


def test_what_is_there_is_shown_meanwhile(bundle, monkeypatch):
    """The coarser level, upsampled, until the finest is there."""
    with make(bundle) as registry:
        uid = registry.listed()[0].uid
        resolutions = registry[uid].resolutions
        # S predicts 160, 80, 40: of a tile of 160 only the coarse windows are decoded
        registry.tiles([f"{uid}.{resolutions.index(160)}.0.0.logoe"], wait=None)
        monkeypatch.setattr(
            type(registry.scheduler),
            "_compute",
            lambda self, *batch: time.sleep(0.01) or (_ for _ in ()).throw(Preempted()),
        )
        text = f"{uid}.{resolutions.index(40)}.0.0.logoe"
        tile = registry.tiles([text], wait=0)[text]
        assert tile["error"] == "computing"
        values = np.frombuffer(base64.b64decode(tile["dense"]), "<f4").reshape(256, 256)
        coarse = registry.tiles([f"{uid}.{resolutions.index(160)}.0.0.logoe"], wait=0)
        coarse = np.frombuffer(
            base64.b64decode(next(iter(coarse.values()))["dense"]), "<f4"
        ).reshape(256, 256)
        near = np.abs(np.subtract.outer(np.arange(200), np.arange(200))) < 8
        expected = np.repeat(np.repeat(coarse, 4, 0), 4, 1)[:200, :200]
        assert np.isfinite(values[:200, :200][near]).mean() > 0.9
        both = near & np.isfinite(values[:200, :200])
        np.testing.assert_allclose(values[:200, :200][both], expected[both], atol=1e-5)


def test_a_window_that_fails_is_one_tiles_message(bundle, monkeypatch):
    with make(bundle) as registry:
        uid = registry.listed()[0].uid
        fetch = SOURCE.fetch

        def broken(chrom, start, end):
            if chrom == "b":
                raise ModelError("chromosome 'b' cannot be read")
            return fetch(chrom, start, end)

        monkeypatch.setattr(SOURCE, "fetch", broken)
        zoom = registry[uid].resolutions.index(40)
        whole, broke = f"{uid}.{zoom}.0.0", f"{uid}.{zoom}.1.1"
        found = registry.tiles([whole, broke], wait=None)
        assert found[broke]["error"] == "chromosome 'b' cannot be read"
        assert registry.progress([broke])["failed"] == {broke: "chromosome 'b' cannot be read"}
        monkeypatch.setattr(SOURCE, "fetch", fetch)
        registry.scheduler._errors.clear()  # what RETRY seconds do
        assert "error" not in registry.tiles([broke], wait=None)[broke]


def test_an_unforeseen_error_is_not_told_in_full(bundle, monkeypatch, caplog):
    with make(bundle) as registry:
        text = registry.listed()[0].uid + ".4.0.0"
        monkeypatch.setattr(type(registry.scheduler), "_compute", lambda self, *batch: 1 / 0)
        assert (
            registry.tiles([text], wait=None)[text]["error"] == "internal error: ZeroDivisionError"
        )
        assert "cannot be computed" in caplog.text


# ---- who is served first


class Step:
    """A unit that takes part in a test's order."""

    needs = None

    def __init__(self, name, order, gate=None):
        self.name, self.order, self.gate = name, order, gate
        self.kind = self

    def compute(self, others, above):
        if self.gate is not None:
            self.gate.wait()
        self.order.append(self.name)
        return [(self.name, 1)]


class Target:
    def __init__(self, name, steps):
        self.key, self.steps = (name,), steps

    def units(self):
        return self.steps

    def build(self, lookup):
        return [lookup(step) for step in self.steps], 1


def test_order_of_jobs(monkeypatch):
    """The one in hand is finished; then what was asked for of late, the nearly done first, then the
    nearest.
    """
    order, gate = [], threading.Event()
    scheduler = Scheduler(Cache(100), Cache(100), 1, threading.Event())
    try:
        scheduler.want([(Target("first", [Step("first", order, gate)]), 0)])
        while scheduler.workers[0].job is None:
            time.sleep(0.001)
        scheduler.want([(Target("long", [Step(f"long {k}", order) for k in range(3)]), 0)])
        scheduler.want(
            [(Target("far", [Step("far", order)]), 9), (Target("near", [Step("near", order)]), 1)]
        )
        old = scheduler.want([(Target("old", [Step("old", order)]), 0)])[0]
        old.asked -= 10
        gone = scheduler.want([(Target("gone", [Step("gone", order)]), 0)])[0]
        gone.asked -= 1000
        gate.set()
        assert old.done.wait(5)
        assert gone.done.wait(5)
        assert order == ["first", "near", "far", "long 0", "long 1", "long 2", "old"]
        assert scheduler.results.get(("gone",)) is None
        assert scheduler.results.get(("long",)) == ["long 0", "long 1", "long 2"]
    finally:
        scheduler.close()


def test_nobody_waits_for_a_scheduler_that_has_stopped():
    scheduler = Scheduler(Cache(100), Cache(100), 1, threading.Event())
    scheduler.close()
    (job,) = scheduler.want([(Target("late", [Step("late", [])]), 0)])
    assert job.done.is_set()
    assert not len(scheduler)


def test_a_job_holds_what_the_cache_drops():
    order = []
    scheduler = Scheduler(Cache(1), Cache(100), 1, threading.Event())  # room for one unit
    try:
        (job,) = scheduler.want([(Target("x", [Step(k, order) for k in range(5)]), 0)])
        assert job.done.wait(5)
        assert order == list(range(5))
        assert scheduler.results.get(("x",)) == list(range(5))
    finally:
        scheduler.close()


def test_encoding_makes_way_for_a_view_that_somebody_looks_at(bundle, monkeypatch):
    monkeypatch.setattr("orca_cool.prediction.orca_engine.ENCODED_AT_ONCE", 4)
    with make(bundle) as registry:
        predicted = registry[registry.listed()[0].uid].predicted
        registry.urgent.set()
        with pytest.raises(Preempted):
            _ = predicted.root("S", "a", 0).strands
        registry.urgent.clear()
        done = predicted.engine.encoded_bp
        _ = predicted.root("S", "a", 0).strands
        assert predicted.root("S", "a", 0).nbytes > 0
        assert predicted.engine.encoded_bp > done
        again = predicted.engine.encoded_bp
        _ = predicted.root("S", "a", 0).strands
        assert predicted.engine.encoded_bp == again


# ---- the cache


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60)), max_size=40))
def test_the_cache_holds_no_more_than_it_may(puts):
    cache, newest = Cache(100), {}
    for key, size in puts:
        cache.put(key, size, size)
        newest[key] = size
        assert cache.nbytes <= 100
        assert cache.get(key) == size
    assert cache.nbytes == sum(cache.get(k) for k in newest if k in cache)
    cache.put("large", 1, 101)
    assert "large" not in cache
