"""The HTTP API: what HiGlass's front end relies on, who may do what, limits, and that nothing a
client sends is a 5xx or reads a file.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import Drawn, make_toy_expected, make_toy_model

pytest.importorskip("flask")
pytest.importorskip("clodius")

import requests
from flask import Flask
from flask.testing import FlaskClient

from higlass_plugin.files.open import open_file
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server import listen, saved_views, views
from higlass_plugin.server.app import create_app, create_blueprint
from higlass_plugin.server.http import tiles_json
from higlass_plugin.tiles import UnknownTileset, dense_tile
from orca_cool.cli import main
from orca_cool.errors import EditError
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.registry import DATA

API = "/api/v1"
SHIPPED = DATA / "maps" / "yeast.10kb.mcool"


class FakeTileset:
    """One number everywhere."""

    filetype, coord_system, description = "cooler", "toy", "a fake"

    def __init__(self, uid, datatype="matrix", chromsizes=(("a", 3000), ("b", 500))):
        self.uid, self.name, self.datatype, self.chromsizes = (
            uid,
            f"name of {uid}",
            datatype,
            chromsizes,
        )

    def info(self):
        return {
            "name": self.name,
            "datatype": self.datatype,
            "chromsizes": [list(row) for row in self.chromsizes],
        }


class FakeRegistry:
    """The interface of TilesetRegistry, with faults."""

    instance = "first"

    def __init__(self, state=None):
        self.state, self.waits, self.asked, self.broken = state, [], [], False
        self.tilesets = {uid: FakeTileset(uid) for uid in ("m1", "m2")} | {
            "v1": FakeTileset("v1", "vector")
        }
        self.edits = {}

    def __getitem__(self, uid):
        if uid not in self.tilesets:
            raise UnknownTileset(f"there is no tileset {uid!r}")
        return self.tilesets[uid]

    def listed(self):
        return list(self.tilesets.values())

    scheduler = None
    served = SimpleNamespace(each=lambda: [])

    def models(self):
        return []

    def tiles(self, ids, *, wait=0.1, client=None):
        self.waits.append(wait)
        self.asked.append(list(ids))
        if self.broken:
            raise RuntimeError("secret detail")
        return {i: dense_tile(np.full((256, 256), 1.5, np.float32)) for i in ids}

    def progress(self, ids, client):
        return {"ready": list(ids), "pending": [], "failed": {}}

    def open_url(self, url, coord_system=None, *, guest=False):
        self.asked.append((url, coord_system))
        return self.tilesets["m2"]

    def edit(self, edits, *, vcf=None, model=None, genome=None, cell_type=None, guest=False):
        if "wrong" in edits:
            raise EditError("edit 'wrong' is not understood;\n write it otherwise")
        if "broken" in edits:
            raise RuntimeError("secret detail")
        self.asked.append((edits, vcf, model, genome))
        made = SimpleNamespace(id="edit1", to_json=lambda: {"id": "edit1", "edits": edits})
        self.edits["edit1"] = made
        return made

    def edited(self, edit):
        if edit not in self.edits:
            raise UnknownTileset(f"there is no edit {edit!r}")
        return self.edits[edit]

    def drop(self, edit, *, guest=False):
        self.edited(edit)
        del self.edits[edit]

    def status(self):
        return {"queue": 3}

    def metrics(self):
        return {"queue": 3, "tiles_built_total": 7}


class Client(FlaskClient):
    """Reads answers to their end, so that files are closed."""

    def open(self, *args, **kwargs):
        return super().open(*args, buffered=True, **kwargs)


def make_client(registry, **options):
    app = create_app(registry, **options)
    app.test_client_class = Client
    return app.test_client()


@pytest.fixture
def registry():
    return FakeRegistry()


@pytest.fixture
def client(registry):
    return make_client(registry)


def error(response, status, *words):
    assert response.status_code == status
    assert response.content_type == "application/json"
    message = response.get_json()["error"]
    for word in words:
        assert word in message
    return message


# ---- the API as the front end uses it
# -------------------------------------------------------------------------------------------------


def test_tiles_by_get_of_several_tilesets(client, registry):
    answer = client.get(
        f"{API}/tiles/?d=m1.0.0.0&d=v1.0.0&d=m1.0.0.0&d=m2.1.0.0.weight&s=session",
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 200
    assert list(answer.get_json()) == ["m1.0.0.0", "v1.0.0", "m2.1.0.0.weight"]
    assert answer.get_json()["m1.0.0.0"] == dense_tile(np.full((256, 256), 1.5, np.float32))
    assert answer.headers["Cache-Control"] == "no-store"
    assert registry.waits == [0.1]


def test_tiles_by_post(client):
    body = [
        {"tilesetUid": "m1", "tileIds": ["0.0.0", "1.0.1"], "options": {"x": 1}},
        {"tilesetUid": "v1", "tileIds": ["0.0"]},
    ]
    assert list(client.post(f"{API}/tiles/", json=body).get_json()) == [
        "m1.0.0.0",
        "m1.1.0.1",
        "v1.0.0",
    ]
    # whatever the content type says
    assert (
        client.post(f"{API}/tiles/", data=json.dumps(body), content_type="text/plain").status_code
        == 200
    )


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "3",
        "{}",
        "[1]",
        '[{"tilesetUid": "m1"}]',
        '[{"tilesetUid": "m1", "tileIds": [1]}]',
        "[NaN]",
        "[" * 100_000,
    ],
)
def test_tiles_by_post_that_cannot_be_read(client, body):
    error(client.post(f"{API}/tiles/", data=body), 400, "the body")


def test_a_blocking_server_waits_until_tiles_are_there(registry):
    make_client(registry, blocking=True).get(f"{API}/tiles/?d=m1.0.0.0")
    assert registry.waits == [None]


def test_more_tiles_than_allowed(client, registry):
    ids = [f"m1.5.{x}.0" for x in range(70)]
    tiles = client.get(f"{API}/tiles/", query_string={"d": ids}).get_json()
    assert registry.asked == [ids[:64]]
    assert list(tiles) == ids
    assert [i for i in ids if "error" in tiles[i]] == ids[64:]
    assert "more than 64" in tiles[ids[64]]["error"]
    assert tiles[ids[64]]["min_value"] == "NaN"
    assert tiles[ids[64]]["dtype"] == "float32"
    assert len(base64.b64decode(tiles[ids[64]]["dense"])) == 4 * 256 * 256
    error(
        client.get(f"{API}/tiles/", query_string={"d": [f"m1.5.{x}.0" for x in range(129)]}),
        400,
        "129 tiles",
    )
    assert len(registry.asked) == 1


def test_a_failing_registry_fails_no_request_for_tiles(client, registry, caplog):
    registry.broken = True
    tiles = client.get(f"{API}/tiles/?d=m1.0.0.0&d=v1.0.0&d=nonsense")
    assert tiles.status_code == 200
    assert "secret detail" not in tiles.text
    assert "secret detail" in caplog.text
    found = tiles.get_json()
    assert "could not make" in found["m1.0.0.0"]["error"]
    assert len(found["v1.0.0"]["dense"]) < len(found["m1.0.0.0"]["dense"]) / 50
    assert "is not uid" in found["nonsense"]["error"]


def test_a_tile_that_is_no_json_fails_alone(client, registry):
    registry.tiles = lambda ids, wait, client: {
        "m1.0.0.0": {"dense": "AAAA", "min_value": float("nan")},
        "v1.0.0": [{"xStart": 1}],
    }
    found = client.get(f"{API}/tiles/?d=m1.0.0.0&d=v1.0.0").get_json()
    assert "could not write" in found["m1.0.0.0"]["error"]
    assert found["v1.0.0"] == [{"xStart": 1}]


def test_json_of_tiles_is_json():
    tile = dense_tile(
        np.arange(65536, dtype=np.float32).reshape(256, 256), error='a "quoted" \n text \ud800'
    )
    tiles = {
        "u.0.0.0": tile,
        'odd "key"': [{"fields": ["ä"]}],
        "empty": [],
        "dense is none": {"dense": None},
    }
    assert json.loads(tiles_json(tiles)) == tiles
    assert json.loads(tiles_json({})) == {}


def test_tileset_info(client):
    found = client.get(f"{API}/tileset_info/?d=m1&d=none&s=x").get_json()
    assert found["m1"] == {
        "name": "name of m1",
        "datatype": "matrix",
        "chromsizes": [["a", 3000], ["b", 500]],
    }
    assert "no tileset 'none'" in found["none"]["error"]
    assert client.get(f"{API}/tileset_info/").get_json() == {}


def test_tilesets(client):
    found = client.get(f"{API}/tilesets/?limit=10000&dt=matrix&dt=bedlike").get_json()
    assert (found["count"], found["next"], found["previous"]) == (2, None, None)
    assert [r["uuid"] for r in found["results"]] == ["m1", "m2"]
    first = found["results"][0]
    created = first.pop("created")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert first == {
        "uuid": "m1",
        "name": "name of m1",
        "filetype": "cooler",
        "datatype": "matrix",
        "coordSystem": "toy",
        "coordSystem2": "toy",
        "project": "",
        "project_name": "",
        "description": "a fake",
        "private": False,
    }
    page = client.get(f"{API}/tilesets/?limit=1&offset=1").get_json()
    assert (page["count"], [r["uuid"] for r in page["results"]]) == (3, ["m2"])
    assert [r["uuid"] for r in client.get(f"{API}/tilesets/?ac=OF+V").get_json()["results"]] == [
        "v1"
    ]
    assert client.get(f"{API}/tilesets/?t=orca").get_json()["count"] == 0
    error(client.get(f"{API}/tilesets/?limit=-1"), 400, "'-1'")


def test_chromosome_sizes(client, registry):
    table = client.get(f"{API}/chrom-sizes/?id=m1")
    assert (table.text, table.content_type) == (
        "a\t3000\nb\t500\n",
        "text/tab-separated-values; charset=utf-8",
    )
    assert client.get(f"{API}/chrom-sizes/?id=m1&type=json").get_json() == {
        "a": {"size": 3000},
        "b": {"size": 500},
    }
    assert client.get(f"{API}/chrom-sizes/?id=m1&type=json&cum=1").get_json() == {
        "a": {"size": 3000, "offset": 0},
        "b": {"size": 500, "offset": 3000},
    }
    error(client.get(f"{API}/chrom-sizes/?id=x"), 404, "'x'")
    error(client.get(f"{API}/chrom-sizes/"), 404)
    registry.tilesets["m1"].chromsizes = ()
    error(client.get(f"{API}/chrom-sizes/?id=m1"), 404, "no chromosome sizes")


def test_suggestions(client, registry):
    registry.tilesets["v1"].suggest = lambda text: [{"geneName": text}]
    assert client.get(f"{API}/suggest/?d=v1&ac=MYC").get_json() == [{"geneName": "MYC"}]
    assert client.get(f"{API}/suggest/?d=m1&ac=MYC").get_json() == []
    error(client.get(f"{API}/suggest/?d=x&ac=MYC"), 404)


def test_registering_a_url(client, registry):
    body = {"fileurl": "orca://toy/g?edit=a", "filetype": "orca", "coordSystem": "toy"}
    # the front end posts text that says it is JSON
    answer = client.post(
        f"{API}/register_url/",
        data=json.dumps(body),
        content_type="application/json; charset=utf-8",
    )
    assert answer.get_json() == {"uid": "m2"}
    assert registry.asked == [("orca://toy/g?edit=a", "toy")]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "../../etc/passwd",
        "http://localhost/x.mcool",
        "https://x/y",
        "s3://x/y",
        "",
        "orca:/x",
        "ORCA://x/y",
        None,
        3,
    ],
)
def test_no_other_url_is_registered(client, registry, url):
    error(client.post(f"{API}/register_url/", json={"fileurl": url, "filetype": "orca"}), 400)
    error(
        client.post(f"{API}/register_url/", json={"fileurl": "orca://a/b", "filetype": "cooler"}),
        400,
        "'cooler'",
    )
    assert registry.asked == []


def test_edits(client, registry):
    made = client.post(
        f"{API}/edits/", json={"edit": "a:1-2 del", "vcf": "x", "model": "m", "genome": "g"}
    )
    assert made.status_code == 201
    assert made.get_json() == {"id": "edit1", "edits": ["a:1-2 del"], "viewconf": "edit1"}
    assert registry.asked == [(["a:1-2 del"], "x", "m", "g")]
    assert client.get(f"{API}/edits/?d=edit1").get_json() == made.get_json()
    gone = client.delete(f"{API}/edits/?d=edit1")
    assert (gone.status_code, gone.data) == (204, b"")
    error(client.delete(f"{API}/edits/?d=edit1"), 404)
    error(client.get(f"{API}/edits/?d=edit1"), 404)
    assert client.post(f"{API}/edits/", json={"vcf": "x"}).get_json()["edits"] == []


def test_edits_that_are_none(client, caplog):
    assert (
        error(client.post(f"{API}/edits/", json={"edit": ["wrong"]}), 400)
        == "edit 'wrong' is not understood; write it otherwise"
    )
    for body in (
        {"edit": 3},
        {"edit": [3]},
        {"edit": ["a"], "vcf": 3},
        {"edit": "a", "model": []},
        {"edit": ["x"] * 101},
        [],
        "x",
        None,
    ):
        error(client.post(f"{API}/edits/", json=body), 400)
    caplog.clear()
    assert "secret" not in error(
        client.post(f"{API}/edits/", json={"edit": "broken"}), 500, "internal error"
    )
    assert "secret detail" in caplog.text


def test_status(client):
    assert client.get(f"{API}/status/").get_json() == {"instance": "first", "queue": 3}
    assert client.post(f"{API}/status/", json={"tiles": ["m1.0.0.0"]}).get_json() == {
        "instance": "first",
        "queue": 3,
        "progress": {"ready": ["m1.0.0.0"], "pending": [], "failed": {}},
    }
    for tiles in ("m1.0.0.0", [1], {}, ["x"] * 1001):
        error(client.post(f"{API}/status/", json={"tiles": tiles}), 400, "'tiles'")


def test_health_and_metrics(client):
    assert client.get("/healthz").get_json() == {"status": "ok"}
    client.get(f"{API}/tiles/?d=m1.0.0.0")
    client.get(f"{API}/chrom-sizes/?id=x")
    answer = client.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert 'orca_cool_requests_total{endpoint="tiles",status="200"} 1.0' in lines
    assert 'orca_cool_requests_total{endpoint="chrom_sizes",status="404"} 1.0' in lines
    assert "orca_cool_tiles_seconds_count 1.0" in lines
    assert "orca_cool_queue 3.0" in lines
    assert "orca_cool_tiles_built_total 7.0" in lines
    assert "# TYPE orca_cool_tiles_built_total counter" in lines


# ---- saved views
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [False, True])
def test_saved_views(tmp_path, kept):
    state = tmp_path if kept else None
    client = make_client(FakeRegistry(state))
    view = {"views": [{"uid": "ä"}]}
    made = client.post(f"{API}/viewconfs/", json={"viewconf": view})
    assert made.status_code == 201
    uid = made.get_json()["uid"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", uid)
    assert client.get(f"{API}/viewconfs/?d={uid}").get_json() == view
    assert client.post(f"{API}/viewconfs/", json={"uid": "mine", "viewconf": view}).get_json() == {
        "uid": "mine"
    }
    # again: nothing happens; another one: nobody's link changes
    assert (
        client.post(f"{API}/viewconfs/", json={"uid": "mine", "viewconf": view}).status_code == 201
    )
    error(
        client.post(f"{API}/viewconfs/", json={"uid": "mine", "viewconf": {}}),
        400,
        "another view 'mine'",
    )
    again = make_client(FakeRegistry(state))
    if kept:
        assert again.get(f"{API}/viewconfs/?d=mine").get_json() == view
        assert sorted(p.name for p in (tmp_path / "viewconfs").iterdir()) == sorted(
            ["mine.json", f"{uid}.json"]
        )
    else:
        error(again.get(f"{API}/viewconfs/?d=mine"), 404)


def test_views_that_are_not_saved(tmp_path):
    client = make_client(FakeRegistry(tmp_path / "state"))
    for uid in ("../x", "a/b", "", "x" * 65, "a.b", "default", "a\n", "ä", 3):
        error(client.post(f"{API}/viewconfs/", json={"uid": uid, "viewconf": {}}), 400, "uid")
    for body in ({}, {"viewconf": []}, {"viewconf": "x"}, []):
        error(client.post(f"{API}/viewconfs/", json=body), 400)
    error(client.post(f"{API}/viewconfs/", data='{"viewconf": {"x": NaN}}'), 400, "NaN is no JSON")
    error(client.post(f"{API}/viewconfs/", json={"viewconf": {"x": "y" * (1 << 18)}}), 413)
    assert not (tmp_path / "state").exists()


def test_only_the_newest_views_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_views, "MAX_VIEWCONFS", 3)
    client = make_client(FakeRegistry(tmp_path))
    for k in range(5):
        client.post(f"{API}/viewconfs/", json={"uid": f"v{k}", "viewconf": {"k": k}})
    assert sorted(p.name for p in (tmp_path / "viewconfs").iterdir()) == [
        "v2.json",
        "v3.json",
        "v4.json",
    ]
    error(client.get(f"{API}/viewconfs/?d=v1"), 404)


def test_no_other_file_is_read_as_a_view(tmp_path):
    (tmp_path / "secret.json").write_text('{"secret": 1}')
    (tmp_path / "viewconfs").mkdir()
    client = make_client(FakeRegistry(tmp_path))
    for uid in ("../secret", "..%2Fsecret", str(tmp_path / "secret"), "secret"):
        assert 'secret": 1' not in client.get(f"{API}/viewconfs/?d={uid}").text
        error(client.get(f"{API}/viewconfs/?d={uid}"), 404)


# ---- who may do what
# --------------------------------------------------------------------------------------------------

#: (method, path, body) of everything; True if a page of another origin may do it with what it
#: knows.
CALLS = [
    ("GET", "/tiles/?d=m1.0.0.0", None, True),
    ("POST", "/tiles/", [], True),
    ("GET", "/tileset_info/?d=m1", None, True),
    ("GET", "/chrom-sizes/?id=m1", None, True),
    ("GET", "/suggest/?d=m1&ac=x", None, True),
    ("POST", "/register_url/", {"fileurl": "orca://a/b"}, True),
    ("GET", "/viewconfs/?d=mine", None, True),
    ("GET", "/tilesets/", None, False),
    ("GET", "/available-chrom-sizes/", None, False),
    ("GET", "/models/", None, False),
    ("GET", "/viewconfs/?d=default", None, False),
    ("GET", "/viewconfs/", None, False),
    ("POST", "/viewconfs/", {"uid": "other", "viewconf": {}}, False),
    ("POST", "/edits/", {"edit": "a"}, False),
    ("GET", "/edits/?d=edit1", None, False),
    ("DELETE", "/edits/?d=edit1", None, False),
    ("GET", "/status/", None, False),
    ("POST", "/status/", {"tiles": []}, False),
]


@pytest.fixture
def served(registry, monkeypatch):
    """Maker of a client of an app with options, which has an edit and a saved view."""
    import higlass_plugin.server.viewconf as module

    monkeypatch.setattr(
        module, "default_viewconf", lambda registry, server, *names: {"server": server}
    )
    monkeypatch.setattr(
        module,
        "edit_viewconf",
        lambda registry, edited, server: {"server": server, "edit": edited.id},
    )

    def make(**options):
        client = make_client(registry, **options)
        headers = {"Authorization": f"Bearer {options['token']}"} if "token" in options else {}
        client.post(f"{API}/viewconfs/", json={"uid": "mine", "viewconf": {}}, headers=headers)
        client.post(f"{API}/edits/", json={"edit": "a"}, headers=headers)
        return client

    return make


@pytest.mark.parametrize(("method", "path", "body", "open_to_all"), CALLS)
def test_pages_of_other_origins(served, method, path, body, open_to_all):
    foreign = {"Origin": "https://elsewhere.example"}

    def call(headers, **options):
        return served(**options).open(API + path, method=method, json=body, headers=headers)

    assert call({}).status_code < 300
    # the test client's own, and other servers of this machine: a HiGlass, a notebook
    for origin in (
        "http://localhost",
        "http://localhost:8888",
        "http://127.0.0.1:9",
        "http://[::1]:80",
    ):
        assert call({"Origin": origin}).status_code < 300
    for origin in (
        "http://localhost.example",
        "http://127.0.0.1.example:80",
        "http://x@localhost",
        "localhost",
    ):
        assert (call({"Origin": origin}).status_code < 300) == open_to_all
    answer = call(foreign)
    # the header is there in any case: the message of a refusal can be shown
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    if open_to_all:
        assert answer.status_code < 300
    else:
        error(answer, 403, "--allow-origin https://elsewhere.example")
    assert call({"Origin": "null"}).status_code == answer.status_code
    assert call(foreign, allow_origins=["https://elsewhere.example"]).status_code < 300
    assert call(foreign, allow_origins=["*"]).status_code < 300
    assert call(foreign, allow_origins=["https://other.example"]).status_code == answer.status_code


@pytest.mark.parametrize(("method", "path", "body", "open_to_all"), CALLS)
def test_a_token_is_asked_for(served, method, path, body, open_to_all):
    def call(headers=None, query="", cookie=None):
        client = served(token="a-token-of-mine")
        if cookie:
            assert client.get(f"/?token={cookie}").status_code == 303
        return client.open(
            API + path + (("&" if "?" in path else "?") + query if query else ""),
            method=method,
            json=body,
            headers=headers,
        )

    refused = call()
    if path.startswith("/chrom-sizes/"):
        assert refused.status_code == 200  # the front end sends no header with it
    else:
        error(refused, 401, "token")
        error(call(headers={"Authorization": "Bearer another"}), 401)
        error(call(headers={"Authorization": "Basic a-token-of-mine"}), 401)
        error(call(query="token=another"), 401)
        error(call(headers={"Authorization": "Bearer \xe4"}), 401)
    elsewhere = {"Origin": "https://elsewhere.example"}
    assert call(headers={"Authorization": "Bearer a-token-of-mine"}).status_code < 300
    assert call(headers={"Authorization": "Bearer a-token-of-mine", **elsewhere}).status_code < 300
    assert call(query="token=a-token-of-mine").status_code < 300
    assert call(cookie="a-token-of-mine").status_code < 300
    # a cookie comes along by itself: it opens no more to other pages than they would have without a
    # token
    assert call(cookie="a-token-of-mine", headers=elsewhere).status_code == (
        200 if open_to_all else 403
    )


def test_the_page_takes_the_token_out_of_the_address(registry):
    client = make_client(registry, token="a-token-of-mine")
    answer = client.get("/?token=a-token-of-mine&view=abc")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/?view=abc")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert client.get("/?token=a-token-of-mine&view=//evil.example").headers["Location"] == "/"
    error(client.get("/?token=wrong"), 401)
    assert client.get("/").status_code == 200
    assert client.get("/healthz").status_code == 200
    assert make_client(registry, token="another-token").get("/metrics").status_code == 401


def test_cookies_of_two_servers_of_a_machine_do_not_meet(registry):
    names = {
        make_client(registry, token=token)
        .get(f"/?token={token}")
        .headers["Set-Cookie"]
        .partition("=")[0]
        for token in ("token-one", "token-two")
    }
    assert len(names) == 2


@pytest.mark.parametrize(("method", "path", "body", "open_to_all"), CALLS)
def test_preflights(registry, method, path, body, open_to_all):
    for options in ({}, {"token": "a-token-of-mine"}):
        answer = make_client(registry, **options).options(
            API + path,
            headers={
                "Origin": "https://elsewhere.example",
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization,content-type",
                "Access-Control-Request-Private-Network": "true",
            },
        )
        assert (answer.status_code, answer.data) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert method in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "content-type, authorization"
        assert answer.headers["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/healthz",
        "/metrics",
        "/static/index.html",
        f"{API}/tiles/?d=m1.0.0.0",
        f"{API}/tilesets/",
    ],
)
def test_only_this_machines_names_are_answered_to(registry, path):
    client = make_client(registry)
    for host in (
        "localhost",
        "localhost:8989",
        "127.0.0.1:8989",
        "[::1]:8989",
        "[::1]",
        "LOCALHOST:1",
    ):
        assert client.get(path, headers={"Host": host}).status_code == 200
    for host in (
        "evil.example",
        "evil.example:8989",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "192.168.0.1",
        "",
    ):
        answer = client.get(path, headers={"Host": host})
        error(answer, 403, "not called")
    assert (
        make_client(registry, hosts=None).get(path, headers={"Host": "evil.example"}).status_code
        == 200
    )
    ours = make_client(registry, token="a-token-of-mine")
    assert (
        ours.get(
            path, headers={"Host": "a.example", "Authorization": "Bearer a-token-of-mine"}
        ).status_code
        == 200
    )


def test_a_view_for_another_server_leads_here(served):
    client = served(allow_origins=["https://elsewhere.example"])
    assert client.get(f"{API}/viewconfs/?d=default").get_json() == {"server": "/api/v1"}
    assert client.get(f"{API}/viewconfs/?d=edit1").get_json() == {
        "server": "/api/v1",
        "edit": "edit1",
    }
    foreign = client.get(
        f"{API}/viewconfs/?d=default",
        headers={"Origin": "https://elsewhere.example", "Host": "localhost:8989"},
    )
    assert foreign.get_json() == {"server": "http://localhost:8989/api/v1"}


# ---- limits, and what is no request
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "body", "open_to_all"), CALLS)
def test_large_bodies(client, method, path, body, open_to_all):
    error(client.open(API + path, method=method, data=b"x" * 10_000_000), 413)


def test_long_queries(client):
    error(client.get(f"{API}/tiles/?d={'x' * 40_000}"), 400, "40,002 characters")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/healthz",
        "/metrics",
        "/static/index.html",
        *sorted({API + c[1].partition("?")[0] for c in CALLS}),
    ],
)
def test_wrong_methods(client, path):
    allowed = {m for m, p, *_ in CALLS if API + p.partition("?")[0] == path} or {"GET"}
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - allowed:
        error(client.open(path, method=method), 405)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/../../etc/passwd",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/..\\server.py",
        "/static/%00",
        "/static/",
        "/static",
        "/server.py",
        "/nothing<script>",
        "/api/v1/",
        "/api/v1/nothing/",
    ],
)
def test_no_other_file_is_served(client, path):
    answer = client.get(path)
    error(answer, 404)
    assert "script" not in answer.text
    assert "import" not in answer.text
    error(
        client.get("/", environ_overrides={"PATH_INFO": f"/{path}"}), 404
    )  # no redirect, whose page would tell the address


def test_addresses_without_the_last_slash(client):
    for _, path, _, _ in CALLS[:6:2]:
        path, _, query = path.partition("?")
        assert client.get(f"{API}{path.rstrip('/')}?{query}").status_code == 200


def test_nothing_that_was_sent_comes_back_as_html(client):
    evil = "<script>alert(1)</script>"
    for path in (
        f"{API}/tiles/?d={quote(evil)}",
        f"{API}/tileset_info/?d={quote(evil)}",
        f"{API}/chrom-sizes/?id={quote(evil)}",
        f"{API}/suggest/?d={quote(evil)}",
        f"{API}/viewconfs/?d={quote(evil)}",
        f"{API}/tilesets/?limit={quote(evil)}",
        f"/{quote(evil)}",
    ):
        answer = client.get(path)
        assert answer.content_type == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page(client):
    answer = client.get("/?view=abc")
    assert answer.status_code == 200
    assert answer.text == (views.STATIC / "index.html").read_text()
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == policy["style-src"] == "'self'"
    assert not any(
        word.startswith("http") or word == "*"
        for words in policy.values()
        for word in words.split()
    )
    for name in re.findall(r'(?:src|href)="(static/[^"]+)"', answer.text):
        assert client.get(f"/{name}").status_code == 200
    for path in ("/", "/static/page.js", f"{API}/tilesets/", "/nothing"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    script = client.get("/static/page.js")
    assert (
        client.get("/static/page.js", headers={"If-None-Match": script.headers["ETag"]}).status_code
        == 304
    )


def test_inside_another_app(served, registry):
    app = Flask("other")
    app.register_blueprint(create_blueprint(registry, token="a-token-of-mine"), url_prefix="/orca")
    app.test_client_class = Client
    client = app.test_client()
    headers = {"Authorization": "Bearer a-token-of-mine"}
    assert client.get("/orca/api/v1/tiles/?d=m1.0.0.0", headers=headers).status_code == 200
    assert client.get("/orca/api/v1/viewconfs/?d=default", headers=headers).get_json() == {
        "server": "/orca/api/v1"
    }
    foreign = client.get(
        "/orca/api/v1/viewconfs/?d=default", headers={**headers, "Origin": "https://x.example"}
    )
    assert foreign.get_json() == {"server": "http://localhost/orca/api/v1"}
    answer = client.get("/orca/?token=a-token-of-mine")
    assert answer.headers["Location"] == "/orca/"
    assert "Path=/orca/" in answer.headers["Set-Cookie"]
    assert client.get("/orca/static/page.js").status_code == 200
    assert client.get("/orca/api/v1/tilesets/").status_code == 200  # the cookie
    error(app.test_client().get("/orca/api/v1/tilesets/"), 401)
    assert client.get("/api/v1/tilesets/").status_code == 404


# ---- with the real registry
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A client of a server of the toy model and the shipped map, as text of an origin of
    its own.
    """
    folder = tmp_path_factory.mktemp("toy")
    model = make_toy_model()
    bundle = load_bundle(save_bundle(folder / "toy", model, make_toy_expected(model.spec)))
    with TilesetRegistry(folder / "state") as registry:
        registry.add(open_file(SHIPPED, uid=registry.uid("map")))
        registry.add_model(
            "toy",
            bundle,
            "drawn",
            Drawn({"a": 30_000, "b": 9_000}, ("a", 5000, 5300)),
            "toyAsm",
            device="cpu",
        )
        yield make_client(registry)


@pytest.fixture(scope="module")
def opened():
    """Paths of all files that are opened from here on; a hook cannot be taken away, so it is
    switched off.
    """
    found, watching = [], [True]
    sys.addaudithook(
        lambda event, args: found.append(str(args[0])) if watching and event == "open" else None
    )
    yield found
    watching.clear()


def uids(client):
    return {r["name"]: r["uuid"] for r in client.get(f"{API}/tilesets/").get_json()["results"]}


def test_a_prediction_is_computed_while_the_page_asks(toy):
    names = uids(toy)
    tile = f"{names['toy, predicted']}.0.0.0"
    measured = f"{names['yeast.10kb.mcool']}.0.0.0"
    found = toy.get(f"{API}/tiles/?d={tile}&d={measured}").get_json()
    assert "error" not in found[measured]
    deadline = time.monotonic() + 60
    while found[tile].get("error") == "computing" and time.monotonic() < deadline:
        progress = toy.post(f"{API}/status/", json={"tiles": [tile]}).get_json()["progress"]
        assert not progress["failed"]
        found = toy.get(f"{API}/tiles/?d={tile}").get_json()
    assert "error" not in found[tile]
    assert found[tile]["max_value"] > 0


def test_chromosome_sizes_of_every_assembly(toy):
    """The search box of HiGlass up to 1.13 takes the sizes of these uids."""
    found = toy.get(f"{API}/available-chrom-sizes/").get_json()
    by_assembly = {r["coordSystem"]: r["uuid"] for r in found["results"]}
    assert found["count"] == len(found["results"]) == len(by_assembly)
    sizes = toy.get(f"{API}/chrom-sizes/?id={by_assembly['toyAsm']}&type=json&cum=1").get_json()
    assert sizes == {"a": {"size": 30_000, "offset": 0}, "b": {"size": 9_000, "offset": 30_000}}


def test_an_edit_and_its_url_are_one(toy):
    made = toy.post(f"{API}/edits/", json={"edit": "a:1,000-2,000 del"}).get_json()
    assert made["contigs"] == {"a": 29_000, "b": 9_000}
    registered = toy.post(
        f"{API}/register_url/", json={"fileurl": made["url"], "filetype": "orca"}
    ).get_json()
    assert registered == {"uid": made["tilesets"]["map"]}
    assert toy.get(f"{API}/chrom-sizes/?id={registered['uid']}").text == "a\t29000\nb\t9000\n"
    assert registered["uid"] not in uids(toy).values()  # nobody's edits are listed
    assert toy.delete(f"{API}/edits/?d={made['id']}").status_code == 204
    assert (
        "error"
        in toy.get(f"{API}/tileset_info/?d={registered['uid']}").get_json()[registered["uid"]]
    )


@pytest.mark.parametrize(
    "url",
    [
        "orca://toy/../../etc/passwd",
        "orca:///etc/passwd",
        "orca://toy/drawn?edit=@/etc/passwd",
        "orca://toy/drawn?vcf=/etc/passwd",
        "orca://toy//etc/passwd",
    ],
)
def test_no_path_in_a_url_is_read(toy, url, opened):
    Path(__file__).read_bytes()
    assert __file__ in opened  # the hook sees what is opened
    answer = toy.post(f"{API}/register_url/", json={"fileurl": url, "filetype": "orca"})
    error(answer, 400)
    assert "root:" not in answer.text
    assert not any("passwd" in path for path in opened)


def test_bad_edits_of_the_real_registry(toy):
    error(toy.post(f"{API}/edits/", json={"edit": "a:1-40,000 del"}), 400, "40,000")
    error(toy.post(f"{API}/edits/", json={"edit": "@/etc/passwd"}), 400)
    error(toy.post(f"{API}/edits/", json={"edit": "a:1-2 del", "model": "none"}), 400, "none")
    error(toy.post(f"{API}/edits/", json={}), 400)


# ---- the verb
# --------------------------------------------------------------------------------------------------

SERVE = [
    "serve",
    "--model",
    "yeast-metaphase",
    "--genome",
    "example",
    "--no-browser",
    "--port",
    "0",
]


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--with", "none.mcool"], "'none.mcool' does not exist"),
        (["--model", "none"], "'none'"),
        (["--genome", "none.fa"], "'none.fa'"),
        (["--host", "0.0.0.0"], "--token"),
        (["--host", "192.168.0.1"], "--token"),
        (["--token", "a-token-of-mine"], "--token-file"),
        (["--token-file", "no.such.file"], "'no.such.file'"),
        (["--token-file", __file__], "8 to 200 letters"),
        (["--token-file", __file__, "--token", "auto"], "contradict"),
        (["--host", "no.such.host.invalid", "--token", "auto"], "no.such.host.invalid"),
        (["--store", "a", "--store", "b"], "2 --store for 1 --model"),
        (["--model", "yeast-metaphase"], "served twice"),
        (["--device", "quantum"], "'quantum'"),
    ],
)
def test_one_line_for_what_cannot_be_served(tmp_path, extra, words):
    line = [part for part in SERVE if extra[0] != "--genome" or part not in ("--genome", "example")]
    if extra == ["--model", "none"]:
        line = [part for part in line if part not in ("--model", "yeast-metaphase")]
    result = CliRunner().invoke(main, [*line, *extra, "--state", str(tmp_path / "state")])
    assert result.exit_code == 2, result.output
    assert words in result.output.splitlines()[-1]
    assert "Traceback" not in result.output


def test_a_port_in_use(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, [*SERVE[:-1], str(port), "--state", str(tmp_path)])
    assert result.exit_code == 2
    assert f"port {port} of '127.0.0.1'" in result.output
    assert result.output.count("\n") == 1


def start(folder, *extra):
    """A server process and its address, with the token if there is one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orca_cool", *SERVE, "--state", str(folder / "state"), *extra],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        # a test run in the background ignores it, and would hand that down
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if "http" not in line:
        process.kill()
        raise AssertionError(process.communicate()[1])
    return process, line.rpartition(": ")[2].strip()


def test_it_serves_with_a_token_until_it_is_told_to_stop(tmp_path):
    process, url = start(tmp_path, "--token", "auto", "--with", str(SHIPPED))
    try:
        token = url.partition("?token=")[2]
        base = url.partition("?")[0]
        assert re.fullmatch(r"[A-Za-z0-9_-]{32}", token)
        with requests.Session() as session:  # one connection: it is kept alive
            assert requests.get(f"{base}api/v1/tilesets/").status_code == 401
            page = session.get(url)
            assert page.status_code == 200
            assert page.url == base
            names = {
                r["name"]: r["uuid"]
                for r in session.get(f"{base}api/v1/tilesets/").json()["results"]
            }
            assert {"yeast.10kb.mcool", "yeast-metaphase, predicted"} <= set(names)
            tile = f"{names['yeast.10kb.mcool']}.3.0.0"
            ours = session.get(f"{base}api/v1/tiles/", params={"d": tile})
            from clodius.tiles import cooler as maps

            assert ours.json() == {tile: dict(maps.tiles(str(SHIPPED), [tile]))[tile]}
            assert ours.raw.version == 11
            assert "Server" not in ours.headers
            made = session.post(
                f"{base}api/v1/edits/", json={"edit": "chrII:238,208-238,325 del"}
            ).json()
            assert session.post(f"{base}api/v1/edits/", data=b"x" * 10_000_000).status_code == 413
            assert (
                session.post(f"{base}api/v1/edits/", data=iter([b"x" * 1_000_000] * 3)).status_code
                == 413
            )  # in chunks, without a length
            uid = session.post(f"{base}api/v1/viewconfs/", json={"viewconf": {"a": 1}}).json()[
                "uid"
            ]
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
        assert "Traceback" not in err
        assert err.strip().endswith("stopped")
    finally:
        process.kill()
    # a second run knows the uids, the edit and the saved view
    process, url = start(tmp_path, "--with", str(SHIPPED))
    try:
        assert url.endswith("/")
        assert names == {
            r["name"]: r["uuid"] for r in requests.get(f"{url}api/v1/tilesets/").json()["results"]
        }
        assert requests.get(f"{url}api/v1/viewconfs/?d={uid}").json() == {"a": 1}
        assert requests.get(f"{url}api/v1/edits/?d={made['id']}").json()["url"] == made["url"]
        assert requests.get(f"{url}healthz", headers={"Host": "evil.example"}).status_code == 403
        process.terminate()
        _, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
    finally:
        process.kill()


def test_the_genome_takes_the_order_of_the_map(tmp_path, monkeypatch):
    """A FASTA in another order than the map beside it."""
    from orca_cool.genome.open import open_genome

    example = open_genome("example")
    letters = np.frombuffer(b"ACGTN", np.uint8)
    with open(tmp_path / "turned.fa", "wb") as out:
        for chrom in reversed(example.chromsizes):
            out.write(
                b">"
                + chrom.encode()
                + b"\n"
                + letters[example.fetch(chrom, 0, example.chromsizes[chrom])].tobytes()
                + b"\n"
            )
    monkeypatch.setattr(
        listen, "run", lambda app, listening, threads, stopping: served.append((app, threads))
    )
    served = []
    result = CliRunner().invoke(
        main,
        [
            "serve",
            "--model",
            "yeast-metaphase",
            "--genome",
            str(tmp_path / "turned.fa"),
            "--with",
            str(SHIPPED),
            "--no-browser",
            "--port",
            "0",
            "--state",
            str(tmp_path / "state"),
            "--device",
            "cpu",
        ],
    )
    assert result.exit_code == 0, result.output
    assert "in the order of the measured map: chrI, chrII" in result.output
    app = served[0][0]
    app.test_client_class = Client
    client = app.test_client()
    assert (
        client.get(f"{API}/chrom-sizes/?id={uids(client)['yeast-metaphase, predicted']}").text
        == "chrI\t230208\nchrII\t813178\n"
    )


def test_the_browser_is_opened_unless_it_is_not_wanted(tmp_path, monkeypatch):
    opened, done = [], threading.Event()
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or done.set())
    monkeypatch.setattr(listen, "run", lambda app, listening, threads, stopping: None)
    line = [
        "serve",
        "-m",
        "yeast-metaphase",
        "-g",
        "example",
        "--port",
        "0",
        "--state",
        str(tmp_path),
        "--device",
        "cpu",
    ]
    monkeypatch.setenv("ORCA_COOL_TOKEN", "a-token-of-mine")
    result = CliRunner().invoke(main, [*line, "--no-browser"])
    assert result.exit_code == 0, result.output
    assert opened == []
    assert CliRunner().invoke(main, line).exit_code == 0
    assert done.wait(10)
    # the token stands in a file of the user's own, not in the browser's command line
    assert "token" not in opened[0]
    file = Path(opened[0].removeprefix("file://"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    page = r'content="0;url=http://127\.0\.0\.1:\d+/\?token=a-token-of-mine"'
    assert re.search(page, file.read_text())
    file.unlink()


def test_a_server_stops_though_what_the_signal_raised_was_dropped():
    """As it is where Python was about to destroy an object."""

    told = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(
            target=listen.run, args=(Flask("x"), listening, 1, told), daemon=True
        )
        thread.start()
        told.set()
        thread.join(30)
    assert not thread.is_alive()
