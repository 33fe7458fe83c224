"""Strangers and crowds: what one client may take of a server, and of what others have made."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.client import HTTPConnection

import numpy as np
import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec
from flask import Flask

from higlass_plugin.compute import scheduler as scheduler_module
from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.shares import Shares
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server import connections, listen, saved_views
from higlass_plugin.server.app import create_app
from higlass_plugin.server.places import Pace, Places
from orca_cool.errors import OrcaCoolError
from orca_cool.model.bundle import load_bundle, save_bundle

API = "/api/v1"
ELSEWHERE = {"Origin": "https://elsewhere.example"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = make_toy_spec()
    folder = tmp_path_factory.mktemp("models") / "toy"
    return load_bundle(save_bundle(folder, make_toy_model(spec), make_toy_expected(spec)))


@pytest.fixture
def make(bundle):
    opened = []

    def make(state=None, **limits):
        registry = TilesetRegistry(state, Limits(**limits))
        source = Drawn({"a": 9_010, "b": 6_100}, ("b", 1_000, 1_415))
        registry.add_model("toy", bundle, "drawn", source, "drawn", device="cpu")
        opened.append(registry)
        return registry

    yield make
    for registry in opened:
        registry.close()


def url(k: int) -> str:
    return f"orca://toy/drawn?edit=a%3A{100 + k}-{200 + k}%20del"


# ---- what the owner made stays


def test_pages_of_other_origins_make_no_edits_unless_they_are_allowed(make):
    registry = make()
    client = create_app(registry).test_client()

    def register(address, **headers):
        return client.post(f"{API}/register_url/", json={"fileurl": address}, headers=headers)

    assert register("orca://toy/drawn", **ELSEWHERE).status_code == 200
    assert register("orca://toy/drawn?track=insulation", **ELSEWHERE).status_code == 200
    own = client.post(f"{API}/edits/", json={"edit": "a:100-200 del"}).get_json()
    for k in (0, 1):  # one that is open, and one that is not: neither is told
        refused = register(url(k), **ELSEWHERE)
        assert refused.status_code == 403
        assert "--allow-origin https://elsewhere.example" in refused.get_json()["error"]
        assert register(url(k), Origin="null").status_code == 403
    assert len(registry.edits) == 1
    assert register(own["url"], Origin="http://localhost:8888").get_json() == {
        "uid": own["tilesets"]["map"]
    }
    # as a form sends it, without asking first
    body, kind = f'{{"fileurl": "{url(3)}"}}', "text/plain"
    answer = client.post(f"{API}/register_url/", data=body, content_type=kind, headers=ELSEWHERE)
    assert answer.status_code == 403


def test_what_guests_make_takes_the_place_of_nothing_else(make, tmp_path):
    registry = make(tmp_path, edits=3, saved=4, guest_edits=2, guest_saved=3)
    app = create_app(registry, allow_origins=["https://elsewhere.example"])
    client = app.test_client()
    own = [client.post(f"{API}/edits/", json={"edit": f"a:{k}-90 del"}).get_json() for k in (1, 2)]
    view = client.post(f"{API}/viewconfs/", json={"viewconf": {"own": 1}}).get_json()["uid"]
    for k in range(12):
        body = {"fileurl": url(k)} if k % 2 else {"edit": f"a:{100 + k}-{200 + k} del"}
        where = "register_url" if k % 2 else "edits"
        made = client.post(f"{API}/{where}/", json=body, headers=ELSEWHERE)
        assert made.status_code < 300
    guests = [s.edit for s in registry._state.saved() if s.guest]
    assert len(guests) == 3
    assert len(registry.edits) == 4
    for edit in own:
        assert registry.edits.get(edit["id"]) is not None
        refused = client.delete(f"{API}/edits/?d={edit['id']}", headers=ELSEWHERE)
        assert refused.status_code == 400
    assert client.delete(f"{API}/edits/?d={guests[0]}", headers=ELSEWHERE).status_code == 204
    # of many saved views, too
    for k in range(saved_views.MAX_GUEST_VIEWCONFS + 1):
        saved = client.post(f"{API}/viewconfs/", json={"viewconf": {"k": k}}, headers=ELSEWHERE)
    assert client.get(f"{API}/viewconfs/?d={view}").get_json() == {"own": 1}
    last = saved.get_json()["uid"]
    assert len(list((tmp_path / "viewconfs" / "guests").iterdir())) == 100

    # after a restart all of it is known as it was
    again = make(tmp_path, edits=3, saved=4, guest_edits=2, guest_saved=3)
    client = create_app(again).test_client()
    assert [s.edit for s in again._state.saved() if not s.guest] == [edit["id"] for edit in own]
    assert client.get(f"{API}/viewconfs/?d={view}").get_json() == {"own": 1}
    assert client.get(f"{API}/viewconfs/?d={last}").get_json() == {"k": 100}
    for edit in own:
        assert again[edit["tilesets"]["map"]].uid == edit["tilesets"]["map"]


def test_a_guests_edit_that_the_owner_makes_is_the_owners(make, tmp_path):
    registry = make(tmp_path)
    guest = registry.edit(["a:1-90 del"], guest=True)
    assert registry.edits.is_guests(guest.id)
    registry[guest.tilesets["map"]]  # asking for its tiles is not making it
    assert registry.edits.is_guests(guest.id)
    assert registry.edit(["a:1-90 del"]).id == guest.id
    assert not registry.edits.is_guests(guest.id)
    registry.edit(["a:1-90 del"], guest=True)
    assert not registry.edits.is_guests(guest.id)
    with pytest.raises(OrcaCoolError, match="may drop only"):
        registry.drop(guest.id, guest=True)
    registry.drop(guest.id)


# ---- the computing thread is shared


def test_the_one_that_has_had_least_is_next():
    shares, had = Shares(), {}
    clients = [("x", "1"), ("x", "2"), ("y", "1")]
    for _ in range(400):
        client = shares.next(clients)
        shares.charge(client, 1.0)
        had[client] = had.get(client, 0) + 1
    assert had == {("x", "1"): 100, ("x", "2"): 100, ("y", "1"): 200}
    # who comes new has neither saved up turns nor to wait for what others had
    new = ("z", "1")
    turns = [shares.next([*clients, new]) for _ in range(1)]
    shares.charge(turns[0], 3.0)
    had = {}
    for _ in range(300):
        client = shares.next([*clients, new])
        shares.charge(client, 1.0)
        had[client[0]] = had.get(client[0], 0) + 1
    assert max(had.values()) - min(had.values()) <= 4


def test_sessions_that_are_made_up_gain_nothing_from_other_addresses():
    shares, had = Shares(), {"x": 0, "y": 0}
    for k in range(400):
        client = shares.next([("x", f"{k + n}") for n in range(20)] + [("y", "")])
        shares.charge(client, 1.0)
        had[client[0]] += 1
    assert had == {"x": 200, "y": 200}


class Unit:
    """Work of a hundredth of a second."""

    needs = None

    def __init__(self, name, order):
        self.name, self.order = name, order

    @property
    def kind(self):
        return self

    def compute(self, others, above):
        time.sleep(0.01)
        self.order.append(self.name)
        return [(np.zeros(1), 8)]


class Plan:
    def __init__(self, name, order, units):
        self.key = (name,)
        self._units = [Unit(name, order) for _ in range(units)]

    def units(self):
        return self._units

    def build(self, lookup):
        return np.zeros(1), 8

    def preview(self, lookup):
        return np.zeros(1)


def test_a_long_job_is_done_beside_a_flood_of_short_ones():
    """Short jobs go first, but those of one client not before all of another's."""
    scheduler = Scheduler(Cache(1 << 20), Cache(1 << 20), 1, threading.Event())
    try:
        order, stop = [], threading.Event()

        def flood() -> None:
            for k in range(100_000):
                if stop.is_set():
                    return
                scheduler.want([(Plan(f"short {k}", order, 1), 0.0)], ("x", "flood"))
                time.sleep(0.002)

        thread = threading.Thread(target=flood)
        thread.start()
        time.sleep(0.1)
        begin, computed = time.monotonic(), len(order)
        (job,) = scheduler.want([(Plan("long", order, 20), 0.0)], ("x", "view"))
        assert job.done.wait(20)
        stop.set()
        thread.join()
        # half of the turns are its own
        assert len(order) - computed < 80, time.monotonic() - begin
    finally:
        stop.set()
        scheduler.close()


def test_whoever_waits_long_gets_turns_though_nobody_tells_who_asks(monkeypatch):
    monkeypatch.setattr(scheduler_module, "PATIENCE", 0.2)
    scheduler = Scheduler(Cache(1 << 20), Cache(1 << 20), 1, threading.Event())
    try:
        order, stop = [], threading.Event()

        def flood() -> None:
            for k in range(100_000):
                if stop.is_set():
                    return
                scheduler.want([(Plan(f"short {k}", order, 1), 0.0)])
                time.sleep(0.002)

        thread = threading.Thread(target=flood)
        thread.start()
        time.sleep(0.1)
        (job,) = scheduler.want([(Plan("long", order, 20), 0.0)])
        for _ in range(100):  # as a page that asks again
            if job.done.wait(0.2):
                break
            scheduler.is_pending(job.plan.key)
        assert job.done.is_set()
        assert order.count("long") == 20
    finally:
        stop.set()
        thread.join()
        scheduler.close()


def test_what_one_may_queue_is_bounded(monkeypatch):
    monkeypatch.setattr(scheduler_module, "MAX_OF_SESSION", 5)
    monkeypatch.setattr(scheduler_module, "MAX_OF_ADDRESS", 12)
    scheduler = Scheduler(Cache(1 << 20), Cache(1 << 20), 1, threading.Event())
    try:
        order = []
        (other,) = scheduler.want([(Plan("other", order, 500), 0.0)], ("y", ""))
        (both,) = scheduler.want([(Plan("both", order, 500), 0.0)], ("x", "0"))
        scheduler.want([(both.plan, 0.0)], ("y", ""))
        jobs = [
            scheduler.want([(Plan(f"{s} {k}", order, 500), 0.0)], ("x", f"{s}"))[0]
            for s in range(4)
            for k in range(9)
        ]
        waiting = [job for job in jobs if not job.done.is_set()]
        assert len(waiting) <= 12
        assert not other.done.is_set()
        assert not both.done.is_set()
        assert both.clients == {("y", "")}
        assert not jobs[-1].done.is_set()
    finally:
        scheduler.close()


def test_who_takes_more_than_a_share_is_answered_later():
    pace = Pace()
    assert pace.delay(("x", "1"), 0.5) == 0  # a burst is nothing
    for _ in range(20):
        flood = pace.delay(("x", "1"), 0.3)
    assert flood == pytest.approx(2.0)
    assert pace.delay(("x", "2"), 0.01) == 0
    assert pace.delay(("y", ""), 0.05) == 0
    for k in range(60):  # sessions that are made up count as one
        made_up = pace.delay(("x", f"s{k}"), 0.1)
    assert made_up == pytest.approx(2.0)
    assert pace.delay(("y", ""), 0.05) == 0


def test_places():
    places = Places(2)
    with places.take("x") as one, places.take("x") as two, places.take("x") as three:
        assert (one, two, three) == (True, True, False)
        with places.take("y") as other:
            assert other
    with places.take("x") as again:
        assert again


# ---- connections


@pytest.fixture
def server(monkeypatch):
    """A server with few connections, and its port."""
    app = Flask(__name__)
    app.add_url_rule("/", "root", lambda: "there")
    monkeypatch.setattr(connections, "CONNECTIONS", 40)
    monkeypatch.setattr(connections, "HEADER", 1.0)
    monkeypatch.setattr(connections, "BODY", 2.0)
    listening = listen.listen("127.0.0.1", 0)
    made = connections.make_server(app, listening, 4)
    thread = threading.Thread(target=made.asyncore.loop, kwargs={"timeout": 0.2, "map": made._map})
    thread.start()
    yield listening.getsockname()[1]
    made.asyncore.close_all(made._map)
    made.task_dispatcher.shutdown()
    thread.join(10)


def half(port: int, data: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.sendall(data)
    return sock


def get(port: int) -> float:
    begin = time.monotonic()
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"there"
    connection.close()
    return time.monotonic() - begin


def test_half_open_connections_keep_nobody_out(server):
    begun = [half(server, b"GET / HTTP/1.1\r\nHost: x\r\nX-") for _ in range(100)]
    assert get(server) < 5
    begun += [half(server, b"") for _ in range(100)]
    assert get(server) < 5
    for sock in begun:
        sock.close()


def test_a_request_that_does_not_come_to_its_end_is_given_up(server):
    slow = half(server, b"GET / HTTP/1.1\r\nHost: x\r\nX-")
    body = half(server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
    kept = HTTPConnection("127.0.0.1", server, timeout=30)
    kept.request("GET", "/")
    assert kept.getresponse().read() == b"there"
    begin = time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() < begin + 15:
            slow.sendall(b"x")  # one after the other, never the end
            time.sleep(0.1)
    assert time.monotonic() - begin < 15
    body.settimeout(15)
    assert body.recv(1) == b""
    slow.close()
    body.close()
    kept.request("GET", "/")  # a connection that is kept alive is not given up
    assert kept.getresponse().read() == b"there"
    kept.close()
