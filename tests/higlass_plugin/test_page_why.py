"""A click on a map of the page asks why: questions in words, and rows of attribution that answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browser import Page, Server
from pictures import Pdf, saved

import orca_cool as oc
from orca_cool.genome.source import codes_to_letters

CHR_I = 230_208
#: The centromere of chromosome II in the example genome, and its last 90 bp.
CENTROMERE, SEEN = (238_208, 238_325), (238_240, 238_330)

BOX = """(view) => {
  const canvas = document.querySelector("#higlass canvas").getBoundingClientRect();
  const map = window.orcaCool.hgApi.getTrackObject(view, "predicted-weight");
  return [canvas.left + map.position[0], canvas.top + map.position[1], ...map.dimensions];
}"""
#: Of the row of the first answer in a view: [its tileset, top, height, {base: value} of its tiles].
ROW = """(view) => {
  const track = window.orcaCool.hgApi.getTrackObject(view, "why-1");
  const found = {};
  for (const { tileData } of Object.values(track.fetchedTiles ?? {})) {
    const bins = [...track.tilesetInfo.resolutions].sort((a, b) => b - a)[tileData.zoomLevel];
    tileData.dense.forEach((value, k) => {
      if (Number.isFinite(value)) found[(tileData.tilePos[0] * tileData.dense.length + k) * bins] = value;
    });
  }
  return [track.tilesetUid ?? null, track.position[1], track.dimensions[1], found];
}"""
LETTERS = """() => [...document.querySelectorAll("#letters svg text")].map((text) => text.textContent).join("")"""

#: Where they are, in pixels from the corner of the grid.
LETTERS_AT = """() => {
  const corner = document.getElementById("grid").getBoundingClientRect();
  const { left, top, width, height } = document.querySelector("#letters svg").getBoundingClientRect();
  return [left - corner.left, top - corner.top, width, height];
}"""


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    server = Server(tmp_path_factory.mktemp("why"))
    server.start()
    opened = Page(browser, server, (800, 520)).open()
    opened.go("chrII:200,000-300,000", (CHR_I + 200_000, CHR_I + 300_000))
    yield opened
    opened.close()
    server.stop()


def click(page: Page, x: float, y: float) -> None:
    """Click at a place of the reference's map, as shares of its sides."""
    left, top, width, height = page.tab.evaluate(BOX, "reference")
    page.tab.mouse.click(left + x * width, top + y * height)


def test_a_pixel_is_asked_about_and_a_drag_is_not(page: Page) -> None:
    left, top, width, height = page.tab.evaluate(BOX, "reference")
    page.tab.mouse.move(left + 0.5 * width, top + 0.5 * height)
    page.tab.mouse.down()
    page.tab.mouse.move(left + 0.5 * width + 20, top + 0.5 * height, steps=2)
    page.tab.mouse.move(left + 0.5 * width, top + 0.5 * height, steps=2)
    page.tab.mouse.up()
    page.go("chrII:200,000-300,000", (CHR_I + 200_000, CHR_I + 300_000))
    assert page.tab.is_hidden("#why")
    click(page, 0.8, 0.1)
    page.wait("() => document.querySelector('#why li button')")
    first = page.tab.inner_text("#why li:first-child")
    left_of, right_of = (int(t.replace(",", "")) for t in _positions(first))
    assert left_of < CENTROMERE[0] < CENTROMERE[1] < right_of
    assert first.startswith("Why do chrII:")
    page.tab.keyboard.press("Escape")
    assert page.tab.is_hidden("#why")


def _positions(text: str) -> list[str]:
    return [part.split(" ")[0].rstrip("?") for part in text.split("chrII:")[1:]]


def test_the_answer_is_the_attribution_of_every_base(page: Page) -> None:
    """Contacts across the centromere of yeast in metaphase depend on the centromere."""
    click(page, 0.8, 0.1)
    page.wait("() => document.querySelector('#why li button')")
    words = page.tab.inner_text("#why li:first-child")
    page.tab.click("#why li:first-child button")
    page.wait("() => window.orcaCool.hgApi.getTrackObject('reference', 'why-1')?.tilesetInfo")
    page.settle()
    assert words in page.tab.inner_text("#answers")
    *_, found = page.tab.evaluate(ROW, "reference")
    bases = np.array([int(base) for base in found])
    best = bases[np.argmax(np.abs(list(found.values())))] - CHR_I
    assert CENTROMERE[0] - 500 <= best <= CENTROMERE[1] + 500

    # at base zoom its numbers are those of Python, under the letters of the genome
    page.go("chrII:238,240-238,330", (CHR_I + SEEN[0], CHR_I + SEEN[1]))
    page.wait("() => document.querySelectorAll('#letters svg text').length > 60")
    *_, found = page.tab.evaluate(ROW, "reference")
    one, other = (text.replace(",", "") for text in _positions(words))
    predictor = oc.Predictor("yeast-metaphase", "example", progress=False, device="cpu")
    objective = oc.objective.pixel(f"chrII:{one}", f"chrII:{other}")
    region = f"chrII:{SEEN[0]}-{SEEN[1]}"
    expected = oc.attribute.gradient(predictor, region, objective, resolution=2000)
    numbers = [found[str(CHR_I + at)] for at in range(*SEEN)]
    np.testing.assert_allclose(numbers, expected.projected, rtol=1e-3, atol=1e-6)
    letters = codes_to_letters(predictor.genome.source.fetch("chrII", *SEEN)).decode()
    assert letters[1:-1] in page.tab.evaluate(LETTERS)
    # and pictures have them, too
    shown = page.tab.evaluate(LETTERS)
    assert "".join(re.findall(r">([ACGT])</text>", saved(page, "svg").decode())) == shown
    text = Pdf(saved(page, "pdf")).text(*page.tab.evaluate(LETTERS_AT))
    assert sorted(re.sub("[^ACGT]", "", text)) == sorted(shown)


def test_an_edit_has_the_row_too_and_the_maps_stay_at_one_height(page: Page) -> None:
    page.go("chrII:200,000-300,000", (CHR_I + 200_000, CHR_I + 300_000))
    edit = page.edit("chrII:250,000-250,100 del")
    page.wait(f"() => window.orcaCool.hgApi.getTrackObject('edit-{edit}', 'why-1')?.tilesetInfo")
    page.settle()
    rows = [page.tab.evaluate(ROW, v) for v in ("reference", f"edit-{edit}", f"difference-{edit}")]
    assert len({(top, height) for _, top, height, _ in rows}) == 1
    assert rows[0][0] == rows[2][0] != rows[1][0]
    page.tab.click("#answers button")
    page.wait("() => !document.querySelector('#answers li')")
    conf = page.tab.evaluate("() => window.orcaCool.hgApi.getViewConfig()")
    uids = [track["uid"] for view in conf["views"] for track in view["tracks"]["top"]]
    assert not [uid for uid in uids if uid.startswith("why")]
