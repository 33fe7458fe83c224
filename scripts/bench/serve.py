"""Tiles: how long a view takes, how many tiles a second, and how a server bears many who look at
it.

    python scripts/bench/serve.py [--parts view,cache,load,released] [--clients 50] [--seconds 60]
    [--device cpu]

``view`` (yeast model, example genome): all tiles of a view 400 kb wide, from nothing (the model
just loaded), again, elsewhere, of the whole genome, and after an edit. ``cache``: tiles a second
out of the cache, as JSON, against clodius on the predicted file (the baseline; its own module, a
warm file). ``load``: a server as ``orca-cool serve`` starts it; clients pan in measured and
predicted maps every two seconds, as HiGlass asks (one request a view, then progress), and edits are
made all the time so that predictions never cease. ``released``: networks of the released size
(random weights), a view of 1 Mb at 4 kb in a drawn chromosome, from nothing, again, with stored
encodings, moved, and after an SNV; of each when a page that asks twice a second has a picture of
all tiles (the coarse levels; all levels on the forward strand; the whole), with stored encodings
also without drafts (both strands at once, the baseline). Every measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from common import MB, Figures, apart, options_of, parser

ROOT = Path(__file__).resolve().parents[2]
MAP = ROOT / "orca_cool" / "data" / "maps" / "yeast.10kb.mcool"


def registry(model: str = "yeast-metaphase", **options):
    """A registry that serves a shipped model on the example genome."""
    from higlass_plugin.registry.tilesets import TilesetRegistry
    from orca_cool.genome.open import open_genome
    from orca_cool.model.bundle import load_bundle
    from orca_cool.model.registry import resolve

    found = TilesetRegistry()
    found.add_model(
        model,
        load_bundle(resolve(model)),
        "example",
        open_genome("example"),
        "S288C-example",
        **options,
    )
    return found


def view(tileset, start: int, end: int, pixels: int = 800) -> list[str]:
    """The tiles that HiGlass asks for, of a square view of ``[start, end)`` so many pixels wide:
    the finest bins of a pixel or more.
    """
    resolution = min(
        (r for r in tileset.native if (end - start) / r < pixels), default=tileset.native[-1]
    )
    zoom, width = tileset.resolutions.index(resolution), resolution * 256
    along = range(
        max(0, start) // width, min(-(-end // width), tileset.axis.tiles(resolution, 256))
    )
    return [f"{tileset.uid}.{zoom}.{x}.{y}.logoe" for x in along for y in along if x <= y]


def seconds(served, ids: list[str]) -> float:
    begin = time.perf_counter()
    tiles = served.tiles(ids, wait=None)
    assert not any("error" in tile for tile in tiles.values()), next(
        t["error"] for t in tiles.values() if "error" in t
    )
    return time.perf_counter() - begin


def watched(served, ids: list[str], name: str) -> dict[str, float]:
    """Seconds until a page that asks twice a second shows something of all tiles, all of them at
    their own resolution, and all of them whole.
    """
    from higlass_plugin.tilesets.previews import FINAL, FORWARD, REFERENCE

    begin = time.perf_counter()
    shows = {text: tile["shows"] for text, tile in served.tiles(ids).items()}
    found: dict[str, float] = {}
    stages = {
        "first picture": lambda said: bool(said),
        "own resolution": lambda said: said in (FORWARD, REFERENCE, FINAL),
        "whole": lambda said: said == FINAL,
    }
    while True:
        for stage, reached in stages.items():
            if all(map(reached, shows.values())):
                found.setdefault(f"{name}, {stage}", time.perf_counter() - begin)
        if len(found) == len(stages):
            return found
        time.sleep(0.5)
        progress = served.progress([text for text, said in shows.items() if said != FINAL])
        assert not progress["failed"], progress["failed"]
        changed = [text for text, said in progress["shows"].items() if said != shows[text]]
        tiles = served.tiles([*progress["ready"], *changed])
        shows |= {text: tile["shows"] for text, tile in tiles.items()}


def views(options: argparse.Namespace) -> dict[str, float]:
    begin = time.perf_counter()
    served = registry(device=options.device)
    found = {"opened": time.perf_counter() - begin}
    shown = served.listed()[0]
    near, moved, whole = (0, 400_000), (500_000, 900_000), (0, shown.axis.length)
    found["400 kb, from nothing"] = seconds(served, view(shown, *near))
    found["again"] = seconds(served, view(shown, *near))
    found["moved to another chromosome"] = seconds(served, view(shown, *moved))
    found["whole genome"] = seconds(served, view(shown, *whole))
    edited = served.edit(["chrII:238,208-238,325 del"])
    for kind in ("map", "difference"):
        ids = [
            text.replace(shown.uid, edited.tilesets[kind]).removesuffix(".logoe")
            for text in view(shown, *moved)
        ]
        found[f"400 kb of an edit, {kind}"] = seconds(served, ids)
    served.close()
    return found


def cache(options: argparse.Namespace) -> dict[str, float]:
    """Tiles a second, encoded as JSON."""
    from clodius.tiles import cooler as clodius

    served = registry(device=options.device)
    shown = served.listed()[0]
    ids = [text.removesuffix(".logoe") for text in view(shown, 0, shown.axis.length, 4000)]
    seconds(served, ids)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "example.mcool"
        command = [
            sys.executable,
            "-m",
            "orca_cool",
            "predict",
            "-q",
            "--model",
            "yeast-metaphase",
            "--genome",
            "example",
            "-o",
            str(file),
        ]
        subprocess.run(command, check=True, capture_output=True)
        clodius.tiles(str(file), ids)

        def rate(tiles) -> float:
            done, begin = 0, time.perf_counter()
            while time.perf_counter() - begin < 5:
                json.dumps(dict(tiles()))
                done += len(ids)
            return done / (time.perf_counter() - begin)

        return {
            "clodius": rate(lambda: clodius.tiles(str(file), ids)),
            "cache": rate(lambda: served.tiles(ids)),
            "tiles": len(ids),
        }


def released(options: argparse.Namespace) -> dict[str, float]:
    from common import Random, released_size

    from higlass_plugin.registry.tilesets import TilesetRegistry

    bundle, source = released_size(), Random(chrR=100 * MB)
    found: dict[str, float] = {}
    drawn = None
    with tempfile.TemporaryDirectory() as folder:
        for case in ("from nothing", "stored encodings, no drafts", "stored encodings"):
            with TilesetRegistry() as served:
                store = Path(folder) / "r.h5"
                served.add_model(
                    "released",
                    bundle,
                    "drawn",
                    source,
                    "drawn",
                    device=options.device,
                    dtype=options.dtype,
                    store=store,
                )
                shown = served.listed()[0]
                for _, _, predicted in served.served.each():
                    predicted.has_drafts &= not case.endswith("no drafts")
                found |= watched(served, view(shown, 40 * MB, 41 * MB), f"1 Mb, {case}")
                # uids differ from one registry to the next
                tiles = list(served.tiles(view(shown, 40 * MB, 41 * MB)).values())
                assert drawn in (None, tiles), "drafts change a tile"
                drawn = tiles if case != "from nothing" else None
                if case != "stored encodings":
                    found[f"again, {case}"] = seconds(served, view(shown, 40 * MB, 41 * MB))
                    continue
                found |= watched(served, view(shown, 41 * MB, 42 * MB), "moved by its width")
                edited = served.edit([f"chrR:{40 * MB + MB // 2}-{40 * MB + MB // 2 + 1} sub 1N"])
                ids = [
                    text.replace(shown.uid, edited.tilesets["map"])
                    for text in view(shown, 40 * MB, 41 * MB)
                ]
                found |= watched(served, ids, "1 Mb, with a base substituted")
    return found


class Client:
    """Somebody who looks: asks for the tiles of a view, then for progress until they are there,
    then moves.
    """

    def __init__(
        self, port: int, number: int, tilesets: dict[str, tuple[str, list[int], int]], until: float
    ):
        self.port, self.random, self.tilesets, self.until = (
            port,
            random.Random(number),
            tilesets,
            until,
        )
        self.latency: dict[str, list[float]] = {"measured": [], "predicted": [], "progress": []}
        self.errors: list[str] = []
        self.whole = self.tiles = 0

    def ask(
        self, connection: HTTPConnection, kind: str, method: str, path: str, body: str | None = None
    ):
        begin = time.perf_counter()
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        raw = answer.read()
        self.latency[kind].append(time.perf_counter() - begin)
        if answer.status >= 400:
            self.errors.append(f"{answer.status} {raw[:200]!r}")
        return raw

    def run(self) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        time.sleep(self.random.random() * 2)
        while time.time() < self.until:
            begin = time.time()
            try:
                pending: list[str] = []
                for kind in ("measured", "predicted"):
                    raw = self.ask(
                        connection,
                        kind,
                        "GET",
                        "/api/v1/tiles/?" + "&".join(f"d={i}" for i in self.view(kind)) + "&s=x",
                    )
                    tiles = json.loads(raw)
                    self.tiles += len(tiles)
                    for text, tile in tiles.items():
                        if tile.get("error") == "computing":
                            pending.append(text)
                        elif "error" in tile:
                            self.errors.append(tile["error"])
                        else:
                            self.whole += 1
                if pending:
                    self.ask(
                        connection,
                        "progress",
                        "POST",
                        "/api/v1/status/",
                        json.dumps({"tiles": pending}),
                    )
            except (OSError, HTTPException, ValueError) as error:
                self.errors.append(repr(error))
                connection.close()
            time.sleep(max(0.0, 2 - (time.time() - begin)))

    def view(self, kind: str) -> list[str]:
        """Four tiles around a place, on and off the diagonal."""
        uid, resolutions, length = self.tilesets[kind]
        if kind == "predicted" and self.random.random() < 0.5:
            uid = self.tilesets["edited"][0]
        zoom = self.random.randrange(len(resolutions))
        along = -(-length // (256 * sorted(resolutions, reverse=True)[zoom]))
        x = self.random.randrange(along)
        return sorted(
            {
                f"{uid}.{zoom}.{min(a, along - 1)}.{min(b, along - 1)}"
                for a, b in ((x, x), (x, x + 1), (x + 1, x + 1))
            }
        )


def load(options: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "orca_cool",
            "serve",
            "--model",
            "yeast-metaphase",
            "--genome",
            "example",
            "--with",
            str(MAP),
            "--no-browser",
            "--port",
            "0",
            "--state",
            folder,
            "--cache-bytes",
            str(2**28),
        ]
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
        try:
            assert server.stdout is not None
            address = next(m[0] for line in server.stdout if (m := re.search(r"http://\S+", line)))
            return _load(options, server.pid, urlsplit(address).port or 0)
        finally:
            server.terminate()
            server.wait()


def _load(options: argparse.Namespace, pid: int, port: int) -> dict[str, float]:
    def call(method: str, path: str, body: dict | None = None) -> dict:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(
            method, path, json.dumps(body) if body else None, {"content-type": "application/json"}
        )
        return dict(json.loads(connection.getresponse().read()))

    tilesets: dict[str, tuple[str, list[int], int]] = {}
    for item in call("GET", "/api/v1/tilesets/?dt=matrix")["results"]:
        uid = item["uuid"]
        info = call("GET", f"/api/v1/tileset_info/?d={uid}")[uid]
        kind = "measured" if item["filetype"] == "cooler" else "predicted"
        tilesets.setdefault(kind, (uid, info["resolutions"], info["max_pos"][0]))
    until = time.time() + options.seconds
    edits = 0

    def edit() -> None:
        nonlocal edits
        place = random.Random(0)
        while time.time() < until:
            start = place.randrange(100_000, 700_000)
            made = call("POST", "/api/v1/edits/", {"edit": f"chrII:{start}-{start + 5000} del"})
            tilesets["edited"] = made["tilesets"]["map"], *tilesets["predicted"][1:]
            edits += 1
            time.sleep(4)

    tilesets["edited"] = tilesets["predicted"]
    clients = [Client(port, k, tilesets, until) for k in range(options.clients)]
    threads = [threading.Thread(target=c.run) for c in clients] + [threading.Thread(target=edit)]
    for thread in threads:
        thread.start()
    peak = 0.0
    while time.time() < until:
        peak = max(peak, _memory(pid))
        time.sleep(0.5)
    for thread in threads:
        thread.join()
    errors = [e for c in clients for e in c.errors]
    for error in errors[:3]:
        print(error, file=sys.stderr)
    found: dict[str, float] = {"errors": len(errors), "edits": edits, "peak GB": peak}
    found["tiles/s"] = sum(c.tiles for c in clients) / options.seconds
    found["whole at once"] = sum(c.whole for c in clients) / max(1, sum(c.tiles for c in clients))
    status = call("GET", "/api/v1/status/")
    found["windows computed"] = status["computed"]
    for kind in ("measured", "predicted", "progress"):
        times = np.array([t for c in clients for t in c.latency[kind]])
        if len(times):
            found |= {f"{kind} p{q}": float(np.percentile(times, q)) for q in (50, 95, 100)}
    return found


def _memory(pid: int) -> float:
    """Resident GB of a process, where the system tells (Linux)."""
    try:
        return next(
            int(line.split()[1]) / 1e6
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
    except (OSError, StopIteration):
        return float("nan")


MEASUREMENTS = {"view": views, "cache": cache, "load": load, "released": released}


def main() -> None:
    given = parser(__doc__)
    given.add_argument("--device", default="cpu")
    given.add_argument("--dtype", default="float32", help="of the decoders, for `released`")
    given.add_argument("--clients", type=int, default=50)
    given.add_argument("--seconds", type=float, default=60)
    given.add_argument("--parts", default="view,cache,load,released")
    given.add_argument("--run", choices=MEASUREMENTS, help=argparse.SUPPRESS)
    options, figures = given.parse_args(), Figures(__file__)
    if options.run:
        print(json.dumps(MEASUREMENTS[options.run](options)))
        return
    arguments = options_of(options, "device", "dtype", "clients", "seconds")
    for part in options.parts.split(","):
        found = apart(__file__, "--run", part, *arguments)
        in_ms = {f"{k} ms": 1000 * v for k, v in found.items() if re.search(r" p\d+$", k)}
        figures.add(part, {k: v for k, v in found.items() if f"{k} ms" not in in_ms} | in_ms)
        if part == "cache":
            ratio = found["cache"] / found["clodius"]
            figures.add(part, {"ratio": ratio})
            print(
                f"tiles as JSON: {found['cache']:.0f}/s from the cache, clodius on the file "
                f"{found['clodius']:.0f}/s: {ratio:.1f} times",
                flush=True,
            )
        elif part == "load":
            print(
                f"{options.clients} clients, {options.seconds:.0f} s: {found['errors']:.0f} "
                f"errors, {found['tiles/s']:.0f} tiles/s, "
                f"{found['edits']:.0f} edits, {found['windows computed']:.0f} windows computed, "
                f"peak {found['peak GB']:.2f} GB; "
                f"{found['whole at once']:.0%} of tiles whole at once"
            )
            for kind in ("measured", "predicted", "progress"):
                if f"{kind} p50" in found:
                    times = ", ".join(f"{1000 * found[f'{kind} p{q}']:.0f}" for q in (50, 95, 100))
                    print(f"  {kind} requests, ms (median, 95 %, longest): {times}", flush=True)
        else:
            for name, value in found.items():
                print(f"{part}: {name}: {value:.3f} s", flush=True)
            if part == "released":
                before = found["1 Mb, stored encodings, no drafts, whole"]
                for stage in ("first picture", "own resolution", "whole"):
                    ratio = found[f"1 Mb, stored encodings, {stage}"] / before
                    figures.add(part, {f"{stage}, of the whole without drafts": ratio})
                    print(f"released: {stage}: {ratio:.2f} of the whole without drafts")
    figures.keep(options.json)


if __name__ == "__main__":
    main()
