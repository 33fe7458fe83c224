"""``orca-cool serve -p N``: predictions of other processes are those of one, and nobody waits for a
process that was killed, or for a stranger.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import psutil
import pytest
from conftest import make_toy_expected, make_toy_model, make_toy_spec

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.process import PredictingProcess, ProcessEnded
from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.compute.shares import NOBODY
from higlass_plugin.compute.units import Preempted
from higlass_plugin.compute.urgent import SharedFlag
from higlass_plugin.compute.workers import Worker, too_many
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.mutagenesis import mutagenesis
from higlass_plugin.registry.status import metrics, status
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.models import open_models
from higlass_plugin.server.options import ServeOptions
from higlass_plugin.server.processes import Opened, open_genomes
from higlass_plugin.server.serve import open_registry
from orca_cool.errors import OrcaCoolError
from orca_cool.model.bundle import save_bundle

#: Chromosome b does not begin at a multiple of a bin.
SIZES = {"a": 9_010, "b": 6_007}
EDIT = "a:3,013-4,401 del"
OBJECTIVE = "rect b:4,000-4,200 b:4,900-5,100"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    for name, more in (("toy", {}), ("two", {"cell_types": ("x", "y"), "cell_type": ""})):
        spec = make_toy_spec(name, **more)
        tables = make_toy_expected(spec)
        many = {"by_cell_type": {"x": tables, "y": tables}} if more else {}
        save_bundle(folder / name, make_toy_model(spec), None if more else tables, **many)
    rng = np.random.default_rng(6)
    text = ""
    for name, length in SIZES.items():
        text += f">{name}\n" + "".join(rng.choice(list("ACGT"), length)) + "\n"
    (folder / "g.fa").write_text(text)
    return folder


@contextlib.contextmanager
def served(folder, tmp_path, nproc, models=("toy",), **more):
    options = ServeOptions(
        models=tuple(str(folder / name) for name in models),
        genomes=(str(folder / "g.fa"),),
        any_genome=True,
        device="cpu",
        nproc=nproc,
        **more,
    )
    shared = tmp_path / f"shared-{time.monotonic_ns()}"
    shared.mkdir()
    with TilesetRegistry(None, Limits()) as registry:
        open_registry(registry, options, lambda line: None, shared)
        yield registry


def each_tile(registry, source):
    """All kinds of tiles, by what they are of."""
    tilesets = {t.description: t for t in registry.listed() if hasattr(t, "predicted")}
    for model in dict(registry.models()):
        name = f"orca://{model}/{source}"
        cell_type = "cell_type=y&" if model == "two" else ""
        edit = f"{cell_type}edit={quote(EDIT)}"
        wanted = [f"?{edit}", f"?{edit}&track=insulation", f"?{edit}&lift=reference"]
        wanted += [f"?{edit}&lift=reference&value=difference"]
        wanted += [f"?{cell_type}track=attribution&objective={quote(OBJECTIVE)}"]
        tilesets |= {name + text: registry.open_url(name + text) for text in wanted}
    for url, tileset in tilesets.items():
        last = len(tileset.resolutions) - 1
        position = ".0" if "track" in url else ".0.0"
        for zoom in sorted({0, last // 2, last}):
            yield url, f"{tileset.uid}.{zoom}{position}"
        if "track" not in url:  # between the chromosomes
            yield url, f"{tileset.uid}.{last}.0.1"


def all_of(registry):
    source = dict(registry.models())["toy"]
    texts = list(each_tile(registry, source))
    found = registry.tiles([text for _, text in texts], wait=None)
    tiles = {(url, text.split(".", 1)[1]): found[text] for url, text in texts}
    asked = registry.open_url(f"orca://toy/{source}?track=attribution&objective={quote(OBJECTIVE)}")
    while not (bases := mutagenesis(registry, asked.uid, "b:4,300-4,306", NOBODY))["ready"]:
        time.sleep(0.05)
    return tiles | {("mutagenesis", ""): {key: bases[key] for key in ("changes", "contributes")}}


def test_tiles_are_those_of_one_process(folder, tmp_path):
    with served(folder, tmp_path, 1, ("toy", "two")) as registry:
        expected = all_of(registry)
        assert status(registry)["processes"] == 0
        alone = metrics(registry)
    assert len(expected) > 30
    assert not {name: tile["error"] for name, tile in expected.items() if "error" in tile}
    with served(folder, tmp_path, 2, ("toy", "two")) as registry:
        assert all_of(registry) == expected
        found = status(registry)
        assert found["processes"] == 2
        assert found["processes_restarted"] == 0
        # nothing was computed in this process, and what the others did is known
        assert all(p.engine.encoded_bp == 0 for _, _, p in registry.served.each())
        assert all(process.encoded_bp > 0 for process in registry.processes)
        assert found["encoded_bytes"] > 0
        assert {"encoding", "decoding"} <= {s["stage"] for s in found["stages"]}
        assert metrics(registry)["encoded_bp_total"] > 0
        # what one has encoded the other finds, but for what is around an edit
        assert metrics(registry)["encoded_bp_total"] < 1.5 * alone["encoded_bp_total"]


def test_a_killed_process_is_replaced(folder, tmp_path, caplog):
    with served(folder, tmp_path, 1) as registry:
        expected = all_of(registry)
    with served(folder, tmp_path, 2) as registry:
        stop = threading.Event()

        def kill():
            rng = random.Random(1)
            while not stop.wait(1.0):
                for process in registry.processes:
                    if process._ready and rng.random() < 0.5 and process.restarts < 2:
                        with contextlib.suppress(OSError, TypeError):
                            os.kill(process.pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            for _ in range(3):  # each round computes all of it again
                registry.units.drop(lambda key: True)
                registry.results.drop(lambda key: True)
                found = all_of(registry)
                for name, tile in found.items():  # of what was killed twice that is told
                    if "error" in tile:
                        assert "predicting processes ended" in tile["error"]
                    else:
                        assert tile == expected[name]
                time.sleep(1.0)
        finally:
            stop.set()
            thread.join()
        registry.units.drop(lambda key: True)
        registry.results.drop(lambda key: True)
        registry.scheduler._errors.clear()
        assert all_of(registry) == expected
        assert status(registry)["processes_restarted"] > 0
    assert "another one begins" in caplog.text


@pytest.fixture
def process(folder, tmp_path):
    """One process, and a registry in which its units are made."""
    options = ServeOptions(
        models=(str(folder / "toy"),),
        genomes=(str(folder / "g.fa"),),
        any_genome=True,
        device="cpu",
    )
    model = open_models(options, lambda line: None)[0]
    registry = TilesetRegistry(None, Limits())
    registry.add_model("toy", model.bundle, model.source.name, model.source, "g", **model.options)
    made = PredictingProcess(
        open_genomes, Opened(options, (("float32", "float32"),), (None,)), threads=1
    )
    yield made, registry
    made.stop()
    registry.close()


def test_what_a_process_cannot_do_is_told(process, caplog):
    made, registry = process
    predicted = registry[registry.listed()[0].uid].predicted
    found = made.compute([("profile", predicted.url, "a", 0)], [None])
    block = predicted.engine.profile_block
    np.testing.assert_array_equal(found[0][0], predicted.engine.profiles("a", 0, block))
    with pytest.raises(OrcaCoolError, match="internal error: KeyError"):
        made.compute([("profile", "orca://elsewhere/g", "a", 0)], [None])
    with pytest.raises(OrcaCoolError, match="internal error: "):  # and no more of it
        made.compute([("window", predicted.url, "no module", "a", 0, (0,))], [None])
    assert "Traceback" in caplog.text
    # urgent work is made way for, where sequence is encoded
    made.urgent.set()
    with pytest.raises(Preempted):
        made.compute([("window", predicted.url, "S", "a", 0, (0,))], [(None, None)])
    made.urgent.clear()
    made.compute([("window", predicted.url, "S", "a", 0, (0,))], [(None, None)])
    # and whoever ends twice has a message
    kill = made._start

    def start():
        kill()
        os.kill(made.pid, signal.SIGKILL)

    made._start = start
    os.kill(made.pid, signal.SIGKILL)
    with pytest.raises(ProcessEnded, match="2 predicting processes ended"):
        made.compute([("profile", predicted.url, "a", 0)], [None])
    made._start = kill
    made._replace()
    made.compute([("profile", predicted.url, "a", 0)], [None])


# ---- threads that share the work, with processes that do nothing


@dataclass(frozen=True)
class Piece:
    """A unit that notes who computes it, and takes its time."""

    name: str
    log: list = field(hash=False, compare=False, repr=False)
    seconds: float = 0.0
    needs: Piece | None = None
    reads: str | None = None

    @property
    def kind(self):
        return self.name

    def compute(self, others, above):
        if self.needs is not None:
            assert above[0] == self.needs.name
        began = time.monotonic()
        time.sleep(self.seconds)
        self.log.append((self, threading.get_ident(), began, time.monotonic()))
        return [(self.name, 1)]


class Target:
    def __init__(self, key, pieces):
        self.key, self.pieces = (key,), pieces

    def units(self):
        return self.pieces

    def build(self, lookup):
        return [lookup(piece) for piece in self.pieces], 1


class Idle:
    """Stands for a process: none of these units can be sent to it."""

    def __init__(self):
        self.urgent, self.stages, self.restarts = SharedFlag(), [], 0

    def stop(self):
        pass


def new_scheduler(processes):
    return Scheduler(
        Cache(1 << 20), Cache(1 << 20), 1, threading.Event(), [Idle() for _ in range(processes)]
    )


@pytest.mark.parametrize("seed", range(5))
def test_each_unit_is_computed_once_and_after_what_it_needs(seed):
    rng, log = random.Random(seed), []
    scheduler = new_scheduler(3)
    try:
        chains = []
        for k in range(20):
            chain, root = [], f"root {rng.randrange(4)}"
            for n in range(rng.randrange(1, 6)):
                above = chain[-1] if chain else None
                chain.append(Piece(f"{k}.{n}", log, 0.002 * rng.random(), above, root))
            chains.append(chain)
        targets = []
        for k in range(30):
            some = rng.sample(chains, 3)
            pieces = [p for chain in some for p in chain[: rng.randrange(1, 6)]]
            targets.append(Target(f"tile {k}", pieces))
        jobs = scheduler.want([(target, rng.random()) for target in targets], ("x", ""))
        for job in jobs:
            assert job.done.wait(20)
        for target in targets:
            assert scheduler.results.get(target.key) == [p.name for p in target.pieces]
        assert set(Counter(p.name for p, *_ in log).values()) == {1}
        assert len({thread for _, thread, *_ in log}) > 1
        # no two read a top window at once
        first = {}
        for piece, thread, began, ended in log:
            reader, until = first.setdefault(piece.reads, (thread, ended))
            assert reader == thread or began >= until
    finally:
        scheduler.close()


def test_a_strangers_queue_delays_nobody():
    """Two threads, and one who asks for more than both could do in a minute."""
    log, scheduler = [], new_scheduler(2)
    try:
        flood = [Target(f"f{k}", [Piece(f"f{k}", log, 0.2)]) for k in range(300)]
        scheduler.want([(target, 0.0) for target in flood], ("x", "flood"))
        time.sleep(0.5)
        for k in range(5):
            pieces = [Piece(f"v{k}.{n}", log, 0.01) for n in range(5)]
            began = time.monotonic()
            (job,) = scheduler.want([(Target(f"view {k}", pieces), 0.0)], ("y", "view"))
            assert job.done.wait(10)
            # what was in hand, once, and own work
            waited = sum(1 for p, _, a, b in log if p.name[0] == "f" and b > began)
            assert waited <= 6, waited
    finally:
        scheduler.close()


def test_who_has_several_makes_way_for_who_has_none():
    def worker(since, *clients):
        made = Worker(SharedFlag())
        if clients:
            made.job, made.since = Target("", []), since
            made.job.clients = set(clients)
        return made

    a, b, c = ("x", "1"), ("x", "2"), ("y", "")
    busy = [worker(1, a), worker(2, a)]
    assert too_many(busy, [c]) is busy[1]
    assert too_many(busy, [a]) is None
    assert too_many(busy, [b]) is busy[1]  # another session at the same address
    assert too_many([worker(1, a), worker(2, c)], [b]) is None  # each has one
    several = [worker(1, a), worker(2, b), worker(3, c)]
    assert too_many(several, [("z", "")]) is several[1]  # sessions of one address count as one
    assert too_many([worker(1, a), worker(0)], [c]) is None


# ---- the command


@pytest.fixture
def command(folder, tmp_path):
    verb = [sys.executable, "-m", "orca_cool", "serve", "-m", str(folder / "toy"), "-p", "2"]
    verb += ["-g", str(folder / "g.fa"), "--any-genome", "--no-browser", "--port", "0"]
    verb += ["--state", str(tmp_path / "state")]
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    run = subprocess.Popen(
        verb, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield run
    run.kill()
    run.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_the_server(command, tmp_path, number):
    line = command.stdout.readline()
    address = line.split(": ")[-1].strip()
    with urlopen(f"{address}api/v1/tilesets/") as answer:
        assert answer.status == 200
    children = psutil.Process(command.pid).children(recursive=True)
    # of the standard library one more minds what processes share
    assert len(children) in (2, 3)
    command.send_signal(number)
    command.wait(60)
    _, alive = psutil.wait_procs(children, timeout=90)
    assert not alive
    if number != signal.SIGKILL:
        assert command.returncode == 0
        assert not list((tmp_path / "temporary").iterdir())
    assert "Traceback" not in command.stderr.read()
