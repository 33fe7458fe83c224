"""HiGlass pages other than our own, which do not ask again for tiles that were not ready."""

from __future__ import annotations

import base64
import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from conftest import Drawn, make_toy_expected, make_toy_model

from higlass_plugin.compute.units import WindowUnit
from higlass_plugin.files.open import open_file
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server import connections, listen, views
from higlass_plugin.server.app import create_app
from higlass_plugin.server.lists import plain_info
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.registry import DATA

SHIPPED = DATA / "maps" / "yeast.10kb.mcool"
#: Seconds that no test waits for.
LONG = 3600.0
ELSEWHERE = {"Origin": "https://higlass.example"}


class Gate:
    """Windows are computed while it is open."""

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


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    model = make_toy_model()
    folder = tmp_path_factory.mktemp("model") / "toy"
    return load_bundle(save_bundle(folder, model, make_toy_expected(model.spec)))


@pytest.fixture
def serve(bundle, gate):
    """Makes a server that listens; the gate is open when it is closed."""
    made = []

    def serve(**options):
        registry = TilesetRegistry()
        registry.add(open_file(SHIPPED, uid="measured"))
        genome = Drawn({"a": 30_000, "b": 9_000}, ("a", 5000, 5300))
        registry.add_model("toy", bundle, "drawn", genome, "toyAsm", device="cpu")
        listening = listen.listen("127.0.0.1", 0)
        server = connections.make_server(create_app(registry, **options), listening, 16)
        loop = {"timeout": 0.2, "map": server._map}
        thread = threading.Thread(target=server.asyncore.loop, kwargs=loop)
        thread.start()
        made.append((registry, server, thread))
        uid = registry.open_url("orca://toy/drawn").uid
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def get(*ids, path="api/v1/tiles/", **headers):
            query = "&".join(f"d={text}" for text in ids)
            request = urllib.request.Request(f"{address}/{path}?{query}", headers=headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)

        return SimpleNamespace(
            registry=registry, address=address, get=get, tile=f"{uid}.0.0.0", file="measured.0.0.0"
        )

    yield serve
    gate.open.set()
    for registry, server, thread in made:
        server.asyncore.close_all(server._map)
        server.task_dispatcher.shutdown()
        thread.join(10)
        registry.close()


def wait_until_asked(server):
    while not len(server.registry.scheduler):
        threading.Event().wait(0.01)


def test_an_answer_waits_for_predicted_tiles(serve, gate):
    server = serve(page_wait=LONG)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(server.get, server.tile, **ELSEWHERE)
        wait_until_asked(server)
        # our own page, which does ask again, and a program are answered meanwhile
        assert server.get(server.tile)[server.tile]["error"] == "computing"
        own = {"Origin": server.address, "Referer": f"{server.address}/?view=x"}
        assert server.get(server.tile, **own)[server.tile]["error"] == "computing"
        assert not asked.done()
        gate.open.set()
        tile = asked.result(60)[server.tile]
    assert tile["shows"] == "final"
    assert "error" not in tile


def test_files_never_wait(serve):
    """A request has one answer: one that asks for a file too does not wait for predictions."""
    server = serve(page_wait=LONG)
    found = server.get(server.tile, server.file, "no-such.0.0.0", **ELSEWHERE)
    assert found[server.tile]["error"] == "computing"
    assert found[server.file]["dtype"] in ("float16", "float32")
    assert "error" not in found[server.file]
    assert "error" not in server.get(server.file, **ELSEWHERE)[server.file]


def test_an_answer_waits_up_to_a_bound(serve):
    server = serve(page_wait=0.3)
    assert server.get(server.tile, **ELSEWHERE)[server.tile]["error"] == "computing"


def test_pages_of_this_origin_that_are_not_ours(serve, gate):
    """Behind a proxy another page may have our origin: it tells its address, and ours does not."""
    server = serve(page_wait=LONG)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(server.get, server.tile, Referer=f"{server.address}/higlass/app")
        wait_until_asked(server)
        with pytest.raises(TimeoutError):
            asked.result(0.5)
        gate.open.set()
        assert asked.result(60)[server.tile]["shows"] == "final"


@pytest.mark.parametrize("limit", ["PAGE_WAITING", "ALL_PAGES_WAITING"])
def test_waiting_pages_do_not_keep_all_threads(serve, gate, monkeypatch, limit):
    monkeypatch.setattr(views, limit, 1)
    server = serve(page_wait=LONG)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(server.get, server.tile, **ELSEWHERE)
        wait_until_asked(server)
        assert server.get(server.tile, **ELSEWHERE)[server.tile]["error"] == "computing"
        gate.open.set()
        assert "error" not in asked.result(60)[server.tile]


def test_a_blocking_server_leaves_no_hole(serve, gate):
    """What heals holes: requests wait however long it takes, of any page, whatever they ask for."""
    server = serve(blocking=True, page_wait=0.0)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(server.get, server.tile, server.file, **ELSEWHERE)
        wait_until_asked(server)
        with pytest.raises(TimeoutError):
            asked.result(0.5)
        gate.open.set()
        found = asked.result(60)
    assert all("error" not in tile for tile in found.values())


# ---- what other pages ask for

#: Requests of pages in a browser, of gosling.js and of HiGlass itself, in front of a server of the
#: example: a predicted map (MAP), its insulation (TRACK), a measured map (FILE). ``json``: with the
#: header ``content-type: application/json``, for which browsers ask first (OPTIONS).
RECORDED = json.loads((Path(__file__).parents[1] / "lab_server" / "requests.json").read_text())


@pytest.mark.parametrize("page", sorted(RECORDED))
@pytest.mark.parametrize("authorization", [None, "JWT a.b.c"])  # resgen sends its own everywhere
def test_recorded_requests_of_other_pages(bundle, page, authorization):
    """Each gets what the page reads of it, from whatever site the page is."""
    with TilesetRegistry() as registry:
        registry.add(open_file(SHIPPED, uid="measured"))
        genome = Drawn({"a": 30_000, "b": 9_000}, ("a", 5000, 5300))
        registry.add_model("toy", bundle, "drawn", genome, "toyAsm", device="cpu")
        names = {
            "MAP": registry.open_url("orca://toy/drawn").uid,
            "TRACK": registry.open_url("orca://toy/drawn?track=insulation").uid,
            "FILE": "measured",
        }
        client = create_app(registry, blocking=True, allow_origins=["https://x.org"]).test_client()
        headers = {"Origin": "https://x.org"}
        headers |= {} if authorization is None else {"Authorization": authorization}
        asked = set()
        for request in RECORDED[page]:
            path = request["path"]
            for name, uid in names.items():
                path = path.replace(name, uid)
            if request["json"] or authorization:
                first = client.options(path, headers=headers)
                allowed = first.headers["Access-Control-Allow-Headers"]
                assert {"content-type", "authorization"} <= set(allowed.split(", "))
            answer = client.get(path, headers=headers)
            assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
            kind = path.split("/")[3].partition("?")[0]
            asked.add(kind)
            CHECKS[kind](answer, parse_qs(urlsplit(path).query))
        assert {"tileset_info", "tiles"} <= asked


def check_infos(answer, query):
    found = answer.get_json()
    assert list(found) == query["d"]
    for info in found.values():
        assert {"name", "datatype", "min_pos", "max_pos", "chromsizes"} <= info.keys()
        if info["datatype"] == "vector":
            # with resolutions these pages would take tiles to be 256 bins wide
            assert "resolutions" not in info
            width = info["tile_size"] * 40 * 2 ** info["max_zoom"]
            assert (info["tile_size"], info["max_width"]) == (1024, width)
        else:
            assert "resolutions" in info


def check_tiles(answer, query):
    found = answer.get_json()
    assert set(found) == set(query["d"])
    for text, tile in found.items():
        numbers = np.frombuffer(base64.b64decode(tile["dense"]), tile["dtype"])
        assert len(numbers) == (256**2 if len(text.split(".")) == 4 else 1024)


def check_sizes(answer, query):
    rows = [line.split("\t") for line in answer.text.splitlines()]
    assert rows == [["a", "30000"], ["b", "9000"]]


def check_list(answer, query):
    found = answer.get_json()
    assert found["count"] == len(found["results"])
    assert all({"uuid", "coordSystem"} <= entry.keys() for entry in found["results"])


CHECKS = {
    "tileset_info": check_infos,
    "tiles": check_tiles,
    "chrom-sizes": check_sizes,
    "tilesets": check_list,
    "available-chrom-sizes": check_list,
}


def test_tracks_are_the_same_without_resolutions():
    """A level's tiles are as wide by both descriptions."""
    info = {"max_pos": [39_000], "tile_size": 1024, "max_zoom": 2, "resolutions": [40, 80, 160]}
    plain = plain_info(info)
    assert "resolutions" not in plain
    for zoom, resolution in enumerate(sorted(info["resolutions"], reverse=True)):
        assert plain["max_width"] / 2**zoom == resolution * info["tile_size"]
    for other in (
        info | {"resolutions": [40, 120]},
        info | {"max_pos": [39_000, 39_000]},
        {"error": "no such tileset"},
    ):
        assert plain_info(other) == other
