"""``higlass_plugin.view`` in a real JupyterLab and a real Notebook 7 below a prefix, in a browser
that reaches this machine alone.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from browser import Drawn
from jupyter import JupyterLab, NotebookPage

from higlass_plugin import clodius_tiles

pytest.importorskip("jupyterlab")
pytest.importorskip("anywidget")

pytestmark = pytest.mark.slow

CHR_I, CHR_II = 230_208, 813_178
DELETION = "chrII:238,208-238,325 del"
CELL = f"""import higlass_plugin

w = higlass_plugin.view(
    "yeast-metaphase", "example", "chrII:200,000-270,000",
    edit="{DELETION}", vmax=0.4, device="cpu"
)
w"""
PANES = {
    "reference": "orca://yeast-metaphase/example",
    "edit": "orca://yeast-metaphase/example?edit=chrII:238,208-238,325%20del",
    "difference": "orca://yeast-metaphase/example?edit=chrII:238,208-238,325%20del&value=difference",
}
#: The colour of what is not predicted.
GREY = 208

#: All maps have their visible tiles, and all of them are final.
SETTLED = """() => {
  const map = document.querySelector(".orca-cool-map")?.orcaCool;
  if (!map?.drawing.api) return false;
  const tracks = map.tracks().filter((track) => track.options.colorRange);
  return tracks.length > 0 && !map.computing().size && tracks.every((track) => {
    if (!track.tilesetInfo) return false;
    track.calculateVisibleTiles();
    return track.areAllVisibleTilesLoaded() && !track.fetching.size;
  }) && map.drawing.progress.textContent === "final";
}"""

DRAWN = """(view) => {
  const host = document.querySelector(".orca-cool-map");
  const track = host.orcaCool.drawing.view(view);
  const canvas = host.shadowRoot.querySelector("canvas").getBoundingClientRect();
  return {
    left: canvas.left + track.position[0], top: canvas.top + track.position[1],
    width: track.dimensions[0], height: track.dimensions[1],
    x: track._xScale.domain(), y: track._yScale.domain(),
    tileset: track.tilesetUid, zoom: track.zoomLevel, resolutions: track.tilesetInfo.resolutions,
    transform: track.options.dataTransform ?? null, scale: track.options.colorRange,
    low: track.limitedValueScale.domain()[0], high: track.limitedValueScale.domain()[1],
    scaling: track.options.heatmapValueScaling, ground: track.options.backgroundColor, labelled: false,
  };
}"""


@cache
def array(url: str, position: str) -> np.ndarray:
    """(256, 256) numbers of a tile, computed in this process."""
    ((_, tile),) = clodius_tiles.tiles(
        url, [f"any.{position}"], clodius_tiles.Options(device="cpu")
    )
    assert "error" not in tile, tile["error"]
    return np.frombuffer(base64.b64decode(tile["dense"]), "<f4").reshape(256, 256)


@dataclass(frozen=True)
class InNotebook(Drawn):
    """A map on the screen; ``url`` is the address of its tileset, which this process opens too."""

    def value(self, i: int, j: int) -> float:
        i, j = max(i, j), min(i, j)
        transform = f".{self.transform}" if self.transform else ""
        tile = array(self.url, f"{self.zoom}.{j // 256}.{i // 256}{transform}")
        return float(tile[i % 256, j % 256])


@pytest.fixture(scope="module")
def lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    started = JupyterLab(tmp_path_factory.mktemp("lab"))
    try:
        started.start()
        yield started
    finally:
        started.stop()
        clodius_tiles.close()


@pytest.fixture(scope="module")
def page(browser: Any, lab: JupyterLab) -> Iterator[NotebookPage]:
    """A notebook in JupyterLab whose cell has shown the maps, all final."""
    lab.write("maps.ipynb", CELL)
    opened = NotebookPage(browser, lab)
    opened.run("maps.ipynb")
    opened.wait(SETTLED)
    yield opened
    opened.close()


def drawn(page: NotebookPage, pane: str) -> InNotebook:
    return InNotebook(PANES[pane], **page.tab.evaluate(DRAWN, pane))


def test_nothing_comes_from_elsewhere(page: NotebookPage):
    assert page.outside == []
    assert page.problems == []
    reached = page.tab.evaluate(
        "() => fetch('https://esm.sh/higlass').then(() => 'reached', () => 'refused')"
    )
    assert reached == "refused"  # so that what comes from elsewhere would have been missing
    assert page.outside == ["https://esm.sh/higlass"]
    page.outside.clear()


def test_three_squares_in_a_row(page: NotebookPage):
    maps = [drawn(page, pane) for pane in PANES]
    for one in maps:
        assert one.width == pytest.approx(one.height, abs=6)  # HiGlass rounds its rows
        across, down = np.diff(one.x)[0] / one.width, np.diff(one.y)[0] / one.height
        assert across == pytest.approx(down, rel=0.01)  # so that a bin is a square
        assert one.width > 200
        assert (one.top, one.width) == pytest.approx((maps[0].top, maps[0].width), abs=1)
        assert one.x == pytest.approx([CHR_I + 200_000, CHR_I + 270_000], abs=600)
    lefts = [one.left for one in maps]
    assert np.diff(lefts) == pytest.approx(np.diff(lefts)[0], abs=1)
    assert np.diff(lefts)[0] > maps[0].width
    words = page.tab.evaluate(
        "() => document.querySelector('.orca-cool-map').orcaCool.drawing.box.innerText"
    ).split("\n")
    for word in ("reference", DELETION, "edit minus reference", "ln observed/expected", "final"):
        assert word in words
    assert "ln edit/reference" in words


def assert_colours(page: NotebookPage, pane: str, name: str) -> None:
    """Assert that the pixels of a map have the colours of its values, when they are drawn: what is
    drawn lags behind what the page says of itself.
    """
    page.holds(lambda: _assert_colours(page, pane, name))


def _assert_colours(page: NotebookPage, pane: str, name: str) -> None:
    seen, picture = drawn(page, pane), page.picture(name)
    assert seen.resolution == 2000
    marks = [seen.pixel(CHR_I + at, CHR_I + at) for at in (238_208, 238_325)]
    values, found = [], []
    for i, j in seen.bins():
        at = seen.pixel((j + 0.5) * 2000, (i + 0.5) * 2000)
        if any(abs(a - b) <= 3 for mark in marks for a, b in zip(at, mark)):
            continue  # a line that marks a breakpoint
        values.append(seen.value(i, j))
        found.append(picture[at])
    expected = seen.colours(np.array(values))
    assert len(values) >= 300
    assert np.isfinite(values).all()
    wrong = np.abs(np.array(found) - expected).max(axis=1) > 4  # a step of the scale is up to 3
    assert not wrong.any(), list(zip(expected[wrong], np.array(found)[wrong]))[:5]
    assert np.ptp(expected, axis=0).max() > 30, "all of one colour: nothing was tested"


@pytest.mark.parametrize("pane", PANES)
def test_maps_have_the_colours_of_their_values(page: NotebookPage, pane: str):
    assert_colours(page, pane, "notebook")


def test_the_notebook_moves_the_maps_and_follows_them(page: NotebookPage):
    page.execute("w.region = 'chrI:190,000-230,208'")
    page.wait(
        "() => Math.abs(document.querySelector('.orca-cool-map').orcaCool.drawing.api"
        ".getLocation('difference').xDomain[0] - 190000) < 500"
    )
    # the page goes on over the end of the chromosome: between chromosomes nothing is predicted
    page.tab.evaluate(
        f"() => document.querySelector('.orca-cool-map').orcaCool.drawing.api"
        f".zoomTo('reference', {CHR_I - 40_000}, {CHR_I + 40_000}, {CHR_I - 40_000}, {CHR_I + 40_000}, 1)"
    )
    page.wait(
        f"() => Math.abs(document.querySelector('.orca-cool-map').orcaCool.drawing.api"
        f".getLocation('reference').xDomain[0] - {CHR_I - 40_000}) < 1000"
    )
    page.wait(SETTLED)

    def grey_between_chromosomes() -> None:
        seen, picture = drawn(page, "reference"), page.picture("notebook-two-chromosomes")
        for x, y in ((CHR_I + 15_000, CHR_I - 15_000), (CHR_I - 15_000, CHR_I + 15_000)):
            assert np.abs(picture[seen.pixel(x, y)] - GREY).max() <= 1
        within = picture[seen.pixel(CHR_I + 25_000, CHR_I + 20_000)]
        assert np.abs(within - GREY).max() > 4

    page.holds(grey_between_chromosomes)
    page.until(lambda: page.value("w.region") == f"chrI:{CHR_I - 40_000:,}-chrII:40,000")


@pytest.mark.long  # a second application of the same parts, beside the first one: up to three minutes
def test_notebook_7(browser: Any, lab: JupyterLab):
    pytest.importorskip("notebook")
    lab.write("again.ipynb", CELL)
    opened = NotebookPage(browser, lab)
    opened.run("again.ipynb", "notebooks")
    opened.wait(SETTLED)
    assert_colours(opened, "edit", "notebook-7")
    assert opened.outside == []
    # Notebook 7 has some of its own; our modules come from blob: addresses
    assert [problem for problem in opened.problems if "blob:" in problem] == []
    assert opened.tab.evaluate("window.jupyterapp.name") == "Jupyter Notebook"
    opened.close()
