"""HiGlass pages other than our own, which do not ask again for tiles that were not ready."""

from __future__ import annotations

import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from conftest import Drawn, make_toy_expected, make_toy_model

from higlass_plugin.compute.units import WindowUnit
from higlass_plugin.files.open import open_file
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server import connections, listen, views
from higlass_plugin.server.app import create_app
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
