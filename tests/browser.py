"""A server and a browser for the tests of the page: start, wait, and what colour a pixel must have.

Nothing here waits for a time: software WebGL on a busy machine is slow by fits and starts, so waits
are for what the page says of itself.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "higlass_plugin" / "static"
MAP = ROOT / "orca_cool" / "data" / "maps" / "yeast.10kb.mcool"

#: Software WebGL, and no way out: every name but this machine's own is unknown.
FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]

#: What runs the command line so that its predictions do not give way to other processes: beside
#: other tests the page would wait for them for minutes.
EAGER = "import os; os.setpriority = lambda *given: None; from orca_cool.__main__ import run; run()"

#: Milliseconds that anything may take: far more than it does.
PATIENCE = 120_000

#: The page is at rest: every track has its visible tiles, and all are finished.
SETTLED = """() => {
  const page = window.orcaCool;
  if (!page?.state.ready || page.state.moving || page.state.computing || !page.state.connected) return false;
  const tracks = page.tiledTracks().filter((track) => track.dataFetcher.dataConfig.server);
  return tracks.length > 0 && tracks.every((track) => {
    if (!track.tilesetInfo) return false;
    track.calculateVisibleTiles(); // else those of the place before
    return track.areAllVisibleTilesLoaded() && !track.fetching.size
      && Object.values(track.fetchedTiles).every((tile) => !tile.tileData.computing);
  });
}"""

#: What a page is still at.
UNSETTLED = """() => {
  const { ready, moving, computing, connected, queue } = window.orcaCool.state;
  const tracks = window.orcaCool.tiledTracks().filter((track) => track.dataFetcher.dataConfig.server);
  const all = tracks.map((track) => ({
    uid: track.id,
    hasInfo: Boolean(track.tilesetInfo),
    visible: [...track.visibleTileIds ?? []].join(" "),
    fetching: [...track.fetching].join(" "),
    computing: Object.values(track.fetchedTiles).filter((t) => t.tileData.computing).map((t) => t.remoteId).join(" "),
    isLoaded: track.areAllVisibleTilesLoaded(),
  }));
  const open = all.filter((t) => !t.hasInfo || t.fetching || t.computing || !t.isLoaded);
  return JSON.stringify({ ready, moving, computing, connected, queue, open });
}"""

#: Software WebGL takes most of the time of a test: the page may draw ten times a second, which
#: changes nothing of what it draws.
FEW_FRAMES = """(() => {
  let waiting = new Map(), last = 0, timer = null;
  const draw = window.requestAnimationFrame.bind(window);
  const run = (now) => {
    timer = null;
    const asked = waiting;
    waiting = new Map();
    for (const action of asked.values()) action(now);
  };
  window.requestAnimationFrame = (action) => {
    waiting.set(last += 1, action);
    timer ??= setTimeout(() => draw(run), 100);
    return last;
  };
  window.cancelAnimationFrame = (number) => waiting.delete(number);
})()"""

#: Edges in WebGL are drawn without smoothing: in software that is a third of the time of a page, and
#: pixels inside what is drawn have the same colours.
SHARP_EDGES = """(() => {
  const get = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, options = {}) {
    return get.call(this, kind, kind.startsWith("webgl") ? { ...options, antialias: false } : options);
  };
})()"""

#: Pixi writes shaders for as many textures as the card has units, mostly 16, and software WebGL
#: compiles them anew for every combination that is drawn: that took most of the time of a test. With
#: one unit the same is drawn in more calls.
SMALL_SHADERS = """(() => {
  for (const { prototype } of [WebGLRenderingContext, WebGL2RenderingContext]) {
    const get = prototype.getParameter;
    prototype.getParameter = function (name) {
      return name === prototype.MAX_TEXTURE_IMAGE_UNITS ? 1 : get.call(this, name);
    };
  }
})()"""

DRAWN = """([view, uid]) => {
  const track = window.orcaCool.hgApi.getTrackObject(view, uid);
  const seen = window.orcaCool.hgApi.getViewConfig().views.find(({ uid }) => uid === view);
  const grounds = (seen?.tracks.center?.[0]?.contents ?? []).map(({ options }) => options?.backgroundColor);
  const canvas = document.querySelector("canvas").getBoundingClientRect();
  return {
    left: canvas.left + track.position[0], top: canvas.top + track.position[1],
    width: track.dimensions[0], height: track.dimensions[1],
    x: track._xScale.domain(), y: track._yScale.domain(),
    tileset: track.tilesetUid, zoom: track.zoomLevel, resolutions: track.tilesetInfo.resolutions,
    transform: track.options.dataTransform ?? null, scale: track.options.colorRange,
    low: track.limitedValueScale.domain()[0], high: track.limitedValueScale.domain()[1],
    scaling: track.options.heatmapValueScaling,
    labelled: (track.options.labelPosition ?? "hidden") !== "hidden",
    ground: grounds.find((colour) => colour && colour !== "transparent") ?? "white",
  };
}"""


def chromium() -> str | None:
    """Path of a Chromium, None if there is none."""
    return (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """``orca-cool serve`` on the example genome, with the measured map and other files; or of
    another model and genome, with ``files`` alone.
    """

    def __init__(
        self, folder: Path, *files: Path, model: str = "yeast-metaphase", genome: str = "example"
    ):
        self.folder, self.port, self.model, self.genome = folder, free_port(), model, genome
        self.files = [MAP, *files] if genome == "example" else list(files)
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-c",
            EAGER,
            "serve",
            "--model",
            self.model,
            "--genome",
            self.genome,
        ]
        command += [word for file in self.files for word in ("--with", str(file))]
        command += [
            "--no-browser",
            "--port",
            str(self.port),
            "--state",
            str(self.folder / "state"),
            "--device",
            "cpu",
        ]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                if self.get("/healthz") == {"status": "ok"}:
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server does not start")

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(60)
            self.process = None

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.load(answer)


@cache
def _array(url: str, tile: str) -> np.ndarray:
    """(256, 256) numbers of a finished tile."""
    with urllib.request.urlopen(f"{url}/api/v1/tiles/?d={tile}", timeout=60) as answer:
        found = json.load(answer)[tile]
    assert "error" not in found, found["error"]
    return np.frombuffer(
        base64.b64decode(found["dense"]), "<f2" if found["dtype"] == "float16" else "<f4"
    ).reshape(256, 256)


@dataclass(frozen=True)
class Drawn:
    """A heatmap as it is on the screen: where (pixels of the page), what (HiGlass's coordinates),
    and with which colours.
    """

    url: str
    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    tileset: str
    zoom: int
    resolutions: list[int]
    transform: str | None
    scale: list[str]
    low: float
    high: float
    scaling: str
    ground: str
    labelled: bool

    @property
    def resolution(self) -> int:
        return sorted(self.resolutions, reverse=True)[self.zoom]

    def pixel(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of the screenshot's pixel that holds a place."""
        across = self.left + (x - self.x[0]) / (self.x[1] - self.x[0]) * self.width
        down = self.top + (y - self.y[0]) / (self.y[1] - self.y[0]) * self.height
        return int(down), int(across)

    def bins(self) -> list[tuple[int, int]]:
        """(bin of y, bin of x) of which at least the middle is seen, and no label or colour bar
        covers it.
        """
        found = []
        for j in range(int(self.x[0] // self.resolution) + 1, int(self.x[1] // self.resolution)):
            for i in range(
                int(self.y[0] // self.resolution) + 1, int(self.y[1] // self.resolution)
            ):
                row, column = self.pixel((j + 0.5) * self.resolution, (i + 0.5) * self.resolution)
                from_right, from_top, from_bottom = (
                    self.left + self.width - column,
                    row - self.top,
                    self.top + self.height - row,
                )
                bar, name = from_right < 90 and from_top < 215, from_right < 420 and from_top < 60
                other_name = column < self.left + 240 and from_bottom < 50
                inside = (
                    self.left + 3 < column and from_right > 3 and from_top > 3 and from_bottom > 3
                )
                covered = self.labelled and (bar or name or other_name)
                if inside and not covered and min(i, j) >= 0:
                    found.append((i, j))
        return found

    def value(self, i: int, j: int) -> float:
        """What the server says of a pair of bins of a symmetric map; below the diagonal it is told
        of y >= x.
        """
        i, j = max(i, j), min(i, j)
        name = f"{self.tileset}.{self.zoom}.{j // 256}.{i // 256}"
        return float(
            _array(self.url, f"{name}.{self.transform}" if self.transform else name)[
                i % 256, j % 256
            ]
        )

    def colours(self, values: np.ndarray) -> np.ndarray:
        """(n, 3) RGB that HiGlass gives n values: 255 steps from low to high, the colours laid out
        evenly; where there is no value, the ground is seen.
        """
        none = np.isnan(values)
        low, high, v = self.low, self.high, np.where(none, 1.0, values)
        if self.scaling == "log":
            # no contacts have the lowest colour, as all below the scale
            low, high, v = np.log(low), np.log(high), np.log(np.maximum(v, low))
        step = 254 - np.clip(np.floor(254 * (high - v) / (high - low)), 0, 254)
        stops = np.array([_rgb(c) for c in self.scale])
        places = np.linspace(0, 255, len(stops))
        found = np.stack([np.interp(step, places, channel) for channel in stops.T], axis=-1)
        found[none] = _rgb(self.ground)
        return found


def _rgb(text: str) -> tuple[float, ...]:
    named = {"white": (255.0, 255.0, 255.0), "black": (0.0, 0.0, 0.0)}
    if text.startswith("#"):
        return tuple(float(int(text[k : k + 2], 16)) for k in (1, 3, 5))
    return named.get(text) or tuple(map(float, re.findall(r"[\d.]+", text)[:3]))


def kept_picture(tab: Any, name: str | None = None) -> np.ndarray:
    """(rows, columns, 3) 0..255 of what a tab shows; kept under a name in $ORCA_COOL_SCREENSHOTS,
    if that is set.
    """
    png = tab.screenshot()
    folder = os.environ.get("ORCA_COOL_SCREENSHOTS")
    if folder and name:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(png)
    return np.round(255 * matplotlib.image.imread(io.BytesIO(png), format="png")[..., :3])


def new_tab(browser: Any, size: tuple[int, int]) -> Any:
    """A tab of a size that is patient, and draws what it must."""
    tab = browser.new_page(viewport=dict(zip(("width", "height"), size)))
    tab.set_default_timeout(PATIENCE)
    for script in (FEW_FRAMES, SHARP_EDGES, SMALL_SHADERS):
        tab.add_init_script(script)
    return tab


class Page:
    """The page in a browser tab, and what went wrong in it. WebGL in software costs by the pixel: a
    tab of which no colours are asked may be small.
    """

    def __init__(self, browser: Any, server: Server, size: tuple[int, int] = (960, 640)):
        self.server = server
        self.tab = new_tab(browser, size)
        self.problems: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.tab.on(
            "console",
            lambda message: self.problems.append(message.text) if message.type == "error" else None,
        )
        self.tab.on("pageerror", lambda error: self.problems.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append((request.method, request.url)))

    def open(self, path: str = "/") -> Page:
        self.tab.goto(self.server.url + path)
        self.wait("() => window.orcaCool?.state.ready")
        return self

    def state(self) -> dict[str, Any]:
        return self.tab.evaluate("window.orcaCool.state")

    def wait(self, condition: str, argument: Any = None) -> None:
        # asking at every frame would draw frames for nothing, on the cores that compute tiles
        self.tab.wait_for_function(condition, arg=argument, polling=100)

    def settle(self) -> None:
        """Wait until all is computed and drawn."""
        try:
            self.wait(SETTLED)
        except Exception as error:
            raise AssertionError(f"not at rest: {self.tab.evaluate(UNSETTLED)}") from error
        self.tab.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def go(self, region: str, domain: tuple[float, float], view: str = "reference") -> None:
        """Type a region; ``domain`` is where that is."""
        self.tab.fill("#region", region)
        self.tab.press("#region", "Enter")
        self.wait(
            """([view, start, end]) => {
              const [from, to] = window.orcaCool.hgApi.getLocation(view).xDomain;
              return Math.abs(from - start) < 10 && Math.abs(to - end) < 10;
            }""",
            [view, *domain],
        )
        self.settle()

    def edit(self, text: str) -> str:
        """Type an edit; its id, when its views are there."""
        before = set(self.state()["edits"])
        self.tab.fill("#edit", text)
        self.tab.click("#apply")
        self.wait("(n) => window.orcaCool.state.edits.length === n", len(before) + 1)
        self.settle()
        (new,) = set(self.state()["edits"]) - before
        return new

    def drawn(self, view: str, track: str) -> Drawn:
        return Drawn(self.server.url, **self.tab.evaluate(DRAWN, [view, track]))

    def picture(self, name: str | None = None) -> np.ndarray:
        """(rows, columns, 3) 0..255 of what is seen; kept under a name in $ORCA_COOL_SCREENSHOTS,
        if that is set.
        """
        return kept_picture(self.tab, name)

    def close(self) -> None:
        # a handler that still answers a request of a closed tab would fail in the next test
        self.tab.unroute_all(behavior="wait")
        self.tab.close()
