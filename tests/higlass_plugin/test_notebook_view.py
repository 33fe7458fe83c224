"""``higlass_plugin.view``: what it shows, and the messages between its page and the kernel; in a
real notebook it is tested in test_notebook_page.py.
"""

from __future__ import annotations

import queue
import re
import threading

import pytest

pytest.importorskip("anywidget")
pytest.importorskip("higlass")

import higlass_plugin
from higlass_plugin import clodius_tiles
from higlass_plugin.notebook import widget as widgets
from higlass_plugin.notebook.panes import MISSING, shift_at
from higlass_plugin.tiles import Axis
from orca_cool.errors import OrcaCoolError, RegionError
from orca_cool.genome.regions import Region

CHR_I, CHR_II = 230_208, 813_178
DELETION = "chrII:238,208-238,325 del"
REGION = "chrII:180,000-300,000"


def view(region=REGION, **options):
    return higlass_plugin.view("yeast-metaphase", "example", region, device="cpu", **options)


@pytest.fixture(scope="module", autouse=True)
def close():
    yield
    clodius_tiles.close()


@pytest.fixture(scope="module")
def edited():
    return view(edit=DELETION, tracks=["insulation"])


@pytest.fixture
def sent(edited, monkeypatch):
    """What the kernel sends to the page."""
    messages = queue.Queue()
    monkeypatch.setattr(
        edited, "send", lambda content, buffers=None: messages.put((content, buffers))
    )
    return messages


def test_three_panes_of_the_same_tracks(edited):
    views = edited._viewconf["views"]
    assert [v["uid"] for v in views] == ["reference", "edit", "difference"]
    shapes = {
        tuple(
            (side, track["type"], track["uid"], track.get("height"), track.get("width"))
            for side in ("top", "left", "center")
            for track in v["tracks"][side]
        )
        for v in views
    }
    assert len(shapes) == 1  # so that rows of pixels are the same rows of all maps
    names = [edited._about["panes"][v["uid"]]["name"] for v in views]
    assert names == ["reference", DELETION, "edit minus reference"]
    tilesets = [v["tracks"]["center"][0]["data"]["tilesetUid"] for v in views]
    assert len(set(tilesets)) == 3
    assert set(tilesets) <= set(edited._addresses)
    for v in views:
        (centre,) = v["tracks"]["center"]
        assert centre["options"]["backgroundColor"] == MISSING
        assert "http" not in str(v)  # no server
        marks = {t.get("x") for t in v["tracks"]["whole"]} - {None}
        ends = {238_208} if v["uid"] == "edit" else {238_208, 238_325}
        assert marks == {CHR_I + at for at in ends}
    assert edited._viewconf["valueScaleLocks"]["locksByViewUid"] == {
        "reference.map": "scale",
        "edit.map": "scale",
    }


def test_one_pane_without_an_edit():
    shown = view(value="weight")
    (only,) = shown._viewconf["views"]
    assert only["tracks"]["center"][0]["options"]["dataTransform"] == "weight"
    assert shown._about["panes"]["reference"]["unit"] == "contact frequency"
    assert shown._viewconf["locationLocks"] == {"locksByViewUid": {}, "locksDict": {}}


def test_places():
    shown = view()
    assert shown.region == REGION
    assert shown._domain == [CHR_I + 180_000, CHR_I + 300_000]
    shown.region = "chrI:1,000-2,000"
    assert shown._domain == [1000, 2000]
    shown._domain = [200_000.4, CHR_I + 10_000.2]  # as a page moves it
    assert shown.region == "chrI:200,000-chrII:10,000"
    shown._domain = [0.0, float(CHR_I)]
    assert shown.region == f"chrI:0-{CHR_I:,}"
    with pytest.raises(RegionError, match="'chrX'"):
        shown.region = "chrX:1-2"
    assert shown.region == f"chrI:0-{CHR_I:,}"
    assert view(region=None).region == f"chrI:0-{CHR_I:,}"
    around = view(region=None, edit=DELETION)
    assert around.region == "chrII:178,208-298,325"
    assert repr(around) == (
        f"<MapWidget: yeast-metaphase on example, {DELETION}, chrII:178,208-298,325>"
    )


def test_an_edit_is_aligned_at_the_first_breakpoint_that_is_seen():
    shown = view(edit=["chrII:100,000-110,000 del", "chrII:400,000-403,000 dup"])
    edited = clodius_tiles.registry().edit(
        ["chrII:100,000-110,000 del", "chrII:400,000-403,000 dup"]
    )
    axis = Axis({"chrI": CHR_I, "chrII": CHR_II})
    assert shown._about["panes"]["edit"]["shift"] == 0  # none is seen: at the first
    first = min((b for b in edited.breakpoints if b.reference >= 400_000), key=lambda b: b.position)
    found = shift_at(edited, axis, Region("chrII", 380_000, 420_000))
    assert found == first.position - first.reference == -10_000


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"model": "nope"}, "'nope'"),
        ({"genome": "/none.fa"}, "'/none.fa'"),
        ({"region": "chrX:1-2"}, "'chrX:1-2'"),
        ({"edit": "chrII:5-4 del"}, "'chrII:5-4 del'"),
        ({"edit": "hello"}, "'hello'"),
        ({"value": "counts"}, "'counts'"),
        ({"vmax": 0}, "vmax 0"),
        ({"dmax": -1.0}, "dmax -1.0"),
        ({"tracks": ["genes"]}, "'genes'"),
        ({"cell_type": "liver"}, "'liver'"),
        ({"device": "gpu"}, "'gpu'"),
        ({"window_store": "/none/store"}, "'/none/store'"),
    ],
)
def test_what_cannot_be_shown_is_an_error_at_once(change, text):
    given = {"model": "yeast-metaphase", "genome": "example", "region": REGION, "device": "cpu"}
    given |= change
    with pytest.raises(OrcaCoolError, match=re.escape(text)):
        higlass_plugin.view(given.pop("model"), given.pop("genome"), given.pop("region"), **given)


def test_messages_of_a_page(edited, sent):
    (uid, *_) = edited._addresses
    edited._receive({"id": "a", "kind": "info", "uid": uid})
    answer, _ = sent.get_nowait()
    assert answer["id"] == "a"
    assert answer["answer"]["chromsizes"] == [["chrI", CHR_I], ["chrII", CHR_II]]
    edited._receive({"id": "b", "kind": "bundle"})
    answer, scripts = sent.get_nowait()
    assert answer == {"id": "b"}
    static = widgets.STATIC
    assert scripts == [(static / name).read_bytes() for name in ("higlass.js", "notebook.js")]
    # what the loader replaces by the address of the other one
    assert b'from"./higlass.js"' in scripts[1]
    assert scripts[1].count(b"/higlass.js") == scripts[1].count(b'"./higlass.js"')
    for message, text in (
        ({"kind": "info", "uid": "other"}, "'other'"),
        ({"kind": "files"}, "'files'"),
        ({"kind": "info"}, "KeyError"),
    ):
        edited._receive({"id": "c", **message})
        answer, _ = sent.get_nowait()
        assert answer["id"] == "c"
        assert text in answer["error"]
    # of a tileset that is not shown there is an empty tile that says so, and no other one
    edited._receive({"id": "d", "kind": "tiles", "tiles": ["other.1.0.0"]})
    answer, _ = sent.get_nowait()
    assert "'other'" in answer["answer"]["other.1.0.0"]["error"]


def test_tiles_are_sent_when_they_are_ready(edited, sent, monkeypatch):
    monkeypatch.setattr(widgets, "WAIT", 0.0)
    monkeypatch.setattr(widgets, "EVERY", 0.02)
    centre = edited._viewconf["views"][0]["tracks"]["center"][0]
    text = f"{centre['data']['tilesetUid']}.2.1.1.logoe"
    edited._receive({"id": "e", "kind": "tiles", "tiles": [text]})
    answer, _ = sent.get_nowait()
    assert answer["answer"][text]["error"] == "computing"
    edited._receive({"kind": "waiting", "page": "one", "tiles": {text: ""}})
    while True:
        message, _ = sent.get(timeout=120)
        assert message["kind"] == "tiles"
        if message["tiles"][text]["shows"] == "final":
            break
    assert message["tiles"] == clodius_tiles.registry().tiles([text], wait=0)
    for thread in threading.enumerate():
        if thread.name == "follow":
            thread.join(30)
    assert not edited._waiting
    assert not edited._following


def test_a_closed_widget_is_not_followed(monkeypatch):
    monkeypatch.setattr(widgets, "EVERY", 0.02)
    shown = view()
    shown.close()
    shown._receive({"kind": "waiting", "page": "one", "tiles": {"x.1.0.0": ""}})
    for thread in threading.enumerate():
        if thread.name == "follow":
            thread.join(30)
    assert not shown._following
