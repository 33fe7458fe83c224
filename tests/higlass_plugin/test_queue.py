"""The place in the queue, and the time that is left by what was measured."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec

from higlass_plugin.compute import queue as queue_module
from higlass_plugin.compute.jobs import Job
from higlass_plugin.compute.queue import Place, Queue
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.app import create_app
from orca_cool.model.bundle import load_bundle, save_bundle


@dataclass(frozen=True)
class Piece:
    """A unit of work."""

    number: int
    kind: str = "piece"
    reads: str | None = None


@dataclass(frozen=True)
class Sketch:
    """What is shown until a piece is there."""

    final: Piece
    kind: str = "sketch"


def wanted(units, *clients):
    return Job(None, OrderedDict.fromkeys(units), {}, 0.0, clients=set(clients))


A, B, C1, C2 = ("a", ""), ("b", ""), ("c", "1"), ("c", "2")


def jobs():
    return [
        wanted([Piece(k) for k in range(3)], A),
        wanted([Piece(k) for k in range(1, 4)], A),  # two of these are the same
        wanted([Piece(k) for k in range(10, 20)], B),
        wanted([Piece(20)], C1),
        wanted([Piece(21), Piece(22)], C2),
    ]


def test_everybody_has_an_equal_share_of_what_stands_before():
    def place(client):
        return Queue(1).place(client, jobs(), (), 0.0)

    assert place(A) == Place(4, 4 + 3, None)
    assert place(B) == Place(10, 4 + 3, None)
    # within its address one of the other session's first, then as much of each other address
    assert place(C1) == Place(1, 1 + 2 + 2, None)
    assert Queue(1).place(("d", ""), jobs(), (), 0.0) is None


def test_the_time_left_is_that_of_such_units():
    queue = Queue(1)
    queue.rates.note([Piece(0), Piece(1)], False, 1.0)
    assert queue.place(A, jobs(), (), 0.0) == Place(4, 7, 5.5)
    assert queue.place(A, jobs(), (), 2.0).seconds == 3.5  # of what is in hand
    assert queue.place(A, jobs(), (), 6.0).seconds is None  # it takes longer than it should
    two = Queue(2)
    two.rates.note([Piece(0)], False, 0.5)
    assert two.place(A, jobs(), (), 0.0).seconds == 2.75
    # a moving mean
    queue.rates.note([Piece(0)], False, 1.5)
    assert queue.rates.of(Piece(5), False) == pytest.approx(0.5 + queue_module.NEWEST)


def test_windows_that_must_be_read_and_sketches_have_their_own_time():
    queue = Queue(1)
    queue.rates.note([Piece(0, reads="root")], True, 10.0)
    queue.rates.note([Piece(1, reads="root")], False, 1.0)
    units = [Piece(k, reads="other") for k in range(3)]
    assert queue.place(A, [wanted(units, A)], (), 0.0) == Place(3, 0, 12.0)  # one reads for all
    queue = Queue(1)
    queue.rates.note([Piece(0, reads="root")], True, 10.0)
    queue.rates.note([Piece(1, reads="root")], False, 1.0)
    queue.rates.note([Sketch(Piece(1))], False, 0.5)
    found = queue.place(A, [wanted([Sketch(units[0]), *units], A)], {"other"}, 0.0)
    assert found == Place(3, 0, 3.5)  # a sketch is no window of its own
    # what was never computed is taken to be like what was
    assert queue.rates.of(Piece(1, "new"), False) == 1.0


# ---- as the server tells it


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = make_toy_spec()
    folder = tmp_path_factory.mktemp("models") / "toy"
    return load_bundle(save_bundle(folder, make_toy_model(spec), make_toy_expected(spec)))


def test_progress_says_the_place_in_the_queue(bundle, monkeypatch):
    steps, done, free = threading.Semaphore(0), threading.Semaphore(0), threading.Event()
    compute = Scheduler._compute

    def one(self, batch, worker):
        while not free.is_set() and not steps.acquire(timeout=0.02):
            if self._stopped:
                return
        compute(self, batch, worker)
        done.release()

    monkeypatch.setattr(Scheduler, "_compute", one)
    monkeypatch.setattr(queue_module, "COUNTED", 0.0)
    with TilesetRegistry() as registry:
        source = Drawn({"a": 9_010, "b": 6_100}, ("b", 1_000, 1_415))
        registry.add_model("toy", bundle, "drawn", source, "drawn", device="cpu", batch=2)
        client = create_app(registry).test_client()
        tileset = registry.listed()[0]
        text = f"{tileset.uid}.{tileset.resolutions.index(40)}.0.0.weight"
        other = registry.open_url("orca://toy/drawn?edit=a%3A100-200%20del")
        strange = f"{other.uid}.{tileset.resolutions.index(40)}.0.0.weight"

        def queue(tile, address="127.0.0.1"):
            environ = {"REMOTE_ADDR": address}
            answer = client.post(
                "/api/v1/status/", json={"tiles": [tile]}, environ_overrides=environ
            )
            return answer.get_json()["progress"]["queue"]

        assert queue(text) is None  # nobody has asked for it
        client.get("/api/v1/tiles/", query_string={"d": text, "s": "x"})
        first = queue(text)
        assert first["units"] > 2
        assert (first["before"], first["seconds"]) == (0, None)
        elsewhere = {"REMOTE_ADDR": "10.0.0.7"}
        client.get("/api/v1/tiles/", query_string={"d": strange}, environ_overrides=elsewhere)
        now, theirs = queue(text), queue(strange, "10.0.0.7")
        assert now["before"] == min(now["units"], theirs["units"])
        steps.release()
        assert done.acquire(timeout=60)
        after = queue(text)
        assert after["seconds"] >= 0
        assert after["units"] + queue(strange, "10.0.0.7")["units"] <= (
            now["units"] + theirs["units"]
        )
        free.set()
        registry.tiles([text, strange], wait=None)
        assert queue(text) is None
