"""Pictures that the page saves (PNG, SVG, PDF) against what is on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browser import Drawn, Page, Server
from pictures import Pdf, pixels, rasterised_svg, saved

CHR_I = 230_208
DELETION = "chrII:238,208-238,325 del"
#: What must be in a picture: names (as much as there is room for), axes, scales.
WORDS = (
    "Reference",
    DELETION[:12],
    "Difference",
    "YAA1",
    "insulation",
    "chrII: 200k",
    "0.03",
    "no data",
)
#: Every message of the page's Content-Security-Policy, of all documents of the page.
VIOLATIONS = """window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});"""
#: Where a track is, in pixels from the corner of the grid: [left, top, width, height].
TRACK = """([view, track]) => {
  const corner = document.getElementById("grid").getBoundingClientRect();
  const canvas = document.querySelector("#higlass canvas").getBoundingClientRect();
  const { position, dimensions } = window.orcaCool.hgApi.getTrackObject(view, track);
  return [canvas.left - corner.left + position[0], canvas.top - corner.top + position[1], ...dimensions];
}"""


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Reference, edit and difference around the centromere, under genes and the answer to a
    question.
    """
    folder = tmp_path_factory.mktemp("pictures")
    genes = folder / "genes.bed"
    genes.write_text("chrII\t200000\t215000\tYAA1\t0\t+\nchrII\t250000\t280000\tYBB1\t0\t-\n")
    server = Server(folder, genes)
    server.start()
    opened = Page(browser, server, (1100, 600))
    opened.tab.add_init_script(VIOLATIONS)
    opened.open()
    opened.edit(DELETION)
    opened.go("chrII:180k-300k", (CHR_I + 180_000, CHR_I + 300_000))
    yield opened
    opened.close()
    server.stop()


def screen(page: Page, name: str | None = None) -> np.ndarray:
    """(rows, columns, 3) 0..255 of the grid as it is on the screen, without its buttons."""
    page.tab.mouse.move(1, 1)
    left, top, width, height = page.tab.evaluate(
        """() => {
          for (const node of document.querySelectorAll("[data-screen-only]")) node.style.visibility = "hidden";
          const { left, top, width, height } = document.getElementById("grid").getBoundingClientRect();
          return [left, top, width, height];
        }"""
    )
    seen = page.picture(name)
    return seen[round(top) : round(top + height), round(left) : round(left + width)]


def maps(page: Page) -> list[Drawn]:
    (edit,) = page.state()["edits"]
    views = ("reference", f"edit-{edit}", f"difference-{edit}")
    tracks = ("predicted-weight", "edited-weight", "difference")
    return [page.drawn(view, track) for view, track in zip(views, tracks)]


def places(page: Page, rows: int) -> np.ndarray:
    """(n, 2) rows and columns of the grid's pixels in the middle of bins, away from the marks of
    breakpoints; of as many ``rows`` as are seen.
    """
    left, top = page.tab.evaluate(
        "() => { const { left, top } = document.getElementById('grid').getBoundingClientRect(); return [left, top]; }"
    )
    found = []
    for drawn in maps(page):
        marks = [drawn.pixel(*[CHR_I + at] * 2) for at in (238_208, 238_325)]
        for i, j in drawn.bins():
            at = drawn.pixel((j + 0.5) * drawn.resolution, (i + 0.5) * drawn.resolution)
            clear = all(abs(a - b) > 4 for mark in marks for a, b in zip(at, mark))
            if clear and at[0] - round(top) < rows - 30:  # below it is the value under the cursor
                found.append((at[0] - round(top), at[1] - round(left)))
    return np.array(found)


def assert_alike(seen: np.ndarray, found: np.ndarray, page: Page, times: int, steps: int) -> None:
    """Assert that a picture with ``times`` the screen's pixels has the screen's colours, to
    ``steps`` of 255: in the middle of bins, and on the whole.
    """
    height, width = seen.shape[:2]
    assert found.shape[:2] == pytest.approx((height * times, width * times), abs=times)
    rows, columns = places(page, height).T
    expected = seen[rows, columns]
    middle = found[rows * times + times // 2, columns * times + times // 2]
    assert len(rows) > 1000
    assert np.ptp(expected, axis=0).max() > 100
    off = np.abs(middle - expected).max(axis=1)
    assert np.mean(off <= steps) > 0.995, np.flatnonzero(off > steps)[:5]
    # everything else: the means of squares of 8 pixels, since letters and lines are smoothed
    # differently
    ours, theirs = (_squares(picture, 8 * n) for picture, n in ((seen, 1), (found, times)))
    rows, columns = (min(a, b) for a, b in zip(ours.shape[:2], theirs.shape[:2]))
    off = np.abs(ours[:rows, :columns] - theirs[:rows, :columns]).max(axis=2)
    assert np.quantile(off, 0.95) <= 12
    assert off.max() <= 60, np.argwhere(off > 60)[:5]


def _squares(picture: np.ndarray, side: int) -> np.ndarray:
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    cut = picture[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
    return cut.mean(axis=(1, 3))


def assert_bars(seen: np.ndarray, found: np.ndarray, page: Page, times: int) -> None:
    """Assert that the compartment bars are blue where they are on the screen, and nothing is
    green.
    """
    left, top, width, height = page.tab.evaluate(TRACK, ["reference", "compartments"])
    rows = slice(round(top) + 2, round(top + height) - 2)
    columns = slice(round(left) + 2, round(left + width) - 40)  # the axis is at the right
    area = found[times // 2 :: times, times // 2 :: times]
    ours, theirs = seen[rows, columns], area[rows, columns]
    blue = ours[..., 2] - ours[..., 0] > 40
    assert blue.mean() > 0.1
    assert np.mean(theirs[..., 2] - theirs[..., 0] > 20, where=blue) > 0.95
    green = theirs[..., 1] - np.maximum(theirs[..., 0], theirs[..., 2])
    assert green.max() < 25


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_png_equals_the_screen(page: Page, times: int) -> None:
    seen = screen(page, "picture-screen")
    found = pixels(saved(page, "png", png_scale=str(times)))
    assert_alike(seen, found, page, times, steps=4)
    assert_bars(seen, found, page, times)


def test_an_svg_equals_the_screen(page: Page, browser: Any) -> None:
    seen, svg = screen(page), saved(page, "svg")
    found = rasterised_svg(browser, svg, seen.shape[1], seen.shape[0])
    assert_alike(seen, found, page, 1, steps=4)
    assert_bars(seen, found, page, 1)
    text = svg.decode()
    for words in (
        "Reference",
        DELETION,
        "Difference",
        "YAA1",
        "insulation",
        "chrII: 200k",
        "no data",
    ):
        assert f">{words}" in text, words
    assert "style=" not in text
    assert "http" not in text.replace("http://www.w3.org/", ""), "it refers to nothing outside"


def test_a_pdf_equals_the_screen(page: Page) -> None:
    seen, pdf = screen(page), Pdf(saved(page, "pdf"))
    found, text = pdf.pixels(), pdf.text(0, 0, seen.shape[1], seen.shape[0])
    assert_alike(seen, found, page, 1, steps=8)
    assert_bars(seen, found, page, 1)
    for words in WORDS:
        assert words in text, words


def test_nothing_is_refused_while_pictures_are_saved(page: Page) -> None:
    """By the page's Content-Security-Policy, in the whole session so far."""
    for button in ("png", "svg", "pdf"):
        saved(page, button)
    assert page.tab.evaluate("window.violations") == []
    assert page.problems == []
    refused = page.tab.evaluate(
        """() => new Promise((done) => {
          document.addEventListener("securitypolicyviolation", () => done(window.violations.length));
          document.body.setAttribute("style", "color: red");
        })"""
    )
    assert refused == 1  # so that it would have been noticed
