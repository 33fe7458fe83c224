"""The page says what is not final, scales differences to what is seen, tells why a map is empty, and
answers by mutagenesis where single bases are seen.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browser import Page, Server

CHR_I, CHR_II = 230_208, 813_178
#: The centromere of chromosome II in the example genome.
CENTROMERE = (238_208, 238_325)
DELETION = "chrII:238,208-238,325 del"
#: Ends that the scale of a difference may have, times a power of ten.
STEPS = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8)


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("honest"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def edited(browser: Any, server: Server) -> Iterator[tuple[Page, str]]:
    """A page on which the centromere was deleted, and the edit's id."""
    opened = Page(browser, server, (1280, 720)).open()
    edit = opened.edit(DELETION)
    yield opened, edit
    opened.close()


class Held:
    """Keeps the reference's predicted tile (0, 0) from being final: it shows what ``words`` says."""

    def __init__(self, page: Page, words: str):
        self.words: str | None = words
        self.queue: dict[str, Any] = {"units": 7, "before": 12, "seconds": 21.0}
        self.names: set[str] = set()
        self.fetched = self.looked = 0
        page.tab.route("**/api/v1/tiles/**", self._tiles)
        page.tab.route("**/api/v1/status/", self._status)

    def _tiles(self, route: Any) -> None:
        answer = route.fetch()
        body = answer.json()
        for name in body:
            if re.search(r"\.0\.0\.weight$", name):
                self.names.add(name)
                self.fetched += 1
                if self.words is not None:
                    body[name] |= {"error": "computing", "shows": self.words}
        route.fulfill(response=answer, json=body)

    def _status(self, route: Any) -> None:
        self.looked += 1
        answer, names = route.fetch(), json.loads(route.request.post_data)["tiles"]
        pending = [name for name in names if self.words is not None and name in self.names]
        progress = {
            "ready": [name for name in names if name not in pending],
            "pending": pending,
            "shows": dict.fromkeys(pending, self.words or ""),
            "failed": {},
            "queue": self.queue if pending else None,
        }
        route.fulfill(response=answer, json=answer.json() | {"progress": progress})


# ---- what is not final


def hatched(picture: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """Share of the pixels of a box (top, bottom, left, right) that have the colour of hatching."""
    part = picture[box[0] : box[1], box[2] : box[3]]
    return float((np.abs(part - 0x6F).max(axis=2) <= 24).mean())


SAYS = {
    "coarser level (8,000 bp bins)": "preliminary, 8 kb",
    "coarser level (32,000 bp bins), forward strand only, in part": (
        "preliminary, 32 kb, forward strand alone, in part"
    ),
    "forward strand only": "forward strand alone",
    "reference, edit not computed yet": "the reference's, until the edit is computed",
}


@pytest.fixture(scope="module")
def held(browser: Any, server: Server) -> Iterator[tuple[Page, Held]]:
    page = Page(browser, server)
    held = Held(page, next(iter(SAYS)))
    page.open()
    page.tab.fill("#region", "chrII:100,000-400,000")
    page.tab.press("#region", "Enter")
    page.wait(
        "([start]) => !window.orcaCool.state.moving && Math.abs(window.orcaCool.hgApi"
        ".getLocation('reference').xDomain[0] - start) < 10",
        [CHR_I + 100_000],
    )
    yield page, held
    page.close()


def test_a_preview_is_hatched_and_called_by_what_it_is(held: tuple[Page, Held]):
    page, holds = held
    for shows, words in SAYS.items():
        holds.words = shows
        page.wait("(words) => document.querySelector('.pane .state')?.textContent === words", words)
    told = "computing 1 tile; the reference's, until the edit is computed; 12 windows of others first; about 25 s left"
    page.wait("(text) => document.getElementById('progress').textContent === text", told)
    # the tile ends at 512 kb, and is drawn above the diagonal; nothing else is hatched
    drawn = page.drawn("reference", "predicted-weight")
    page.wait("() => document.querySelector('#letters .unfinished')")
    picture = page.picture("honest-preview")
    assert drawn.resolution == 2000

    def box(x: float, y: float, size: int = 20_000) -> tuple[int, int, int, int]:
        (top, left), (bottom, right) = drawn.pixel(x, y), drawn.pixel(x + size, y + size)
        return top, bottom, left, right

    # nothing that would look the same is fetched again
    fetched, looked = holds.fetched, holds.looked
    while holds.looked < looked + 3:
        page.tab.wait_for_timeout(100)
    assert holds.fetched == fetched
    assert hatched(picture, box(480_000, 420_000)) > 0.05
    assert hatched(picture, box(580_000, 420_000)) < 0.01  # of another tile
    assert hatched(picture, box(340_000, 480_000)) < 0.01  # of the measured map


def test_pictures_wait_and_may_be_taken_as_they_are(held: tuple[Page, Held]):
    page, holds = held
    holds.words = "coarser level (8,000 bp bins)"
    page.wait("() => document.querySelector('.pane .state')?.textContent === 'preliminary, 8 kb'")
    page.tab.click("#svg")
    page.wait("() => !document.getElementById('waiting').hidden")
    told = page.tab.inner_text("#waiting span")
    assert told == (
        "The picture waits for 1 tile (preliminary, 8 kb; 12 windows of others first; about 25 s left)."
    )
    page.picture("honest-waiting")
    with page.tab.expect_download() as saved:
        page.tab.click("#waiting button >> text=Take it as it is")
    assert page.tab.is_hidden("#waiting")
    assert saved.value.suggested_filename == "orca-preliminary.svg"
    text = saved.value.path().read_text()
    assert "preliminary, 8 kb" in text
    assert 'stroke="#6f6f6f"' in text
    # nobody wants it any more
    page.tab.click("#png")
    page.tab.click("#waiting button >> text=Cancel")
    assert page.tab.is_hidden("#waiting")
    # it is saved as soon as all is final, and says nothing of it
    with page.tab.expect_download() as saved:
        page.tab.click("#svg")
        page.wait("() => !document.getElementById('waiting').hidden")
        holds.words = None
    assert saved.value.suggested_filename == "orca.svg"
    text = saved.value.path().read_text()
    assert "preliminary" not in text
    assert "#6f6f6f" not in text
    assert page.tab.query_selector("#letters .unfinished") is None
    page.wait("() => document.getElementById('progress').textContent === 'final'")
    assert page.tab.inner_text("#message") == ""


# ---- the scale of the difference


def seen_sizes(page: Page, view: str) -> np.ndarray:
    """Sizes of all values of the difference that are seen at least in part."""
    drawn = page.drawn(view, "difference")
    (x0, x1), (y0, y1) = (
        (int(a // drawn.resolution), int(-(-b // drawn.resolution))) for a, b in (drawn.x, drawn.y)
    )
    last = -(-(CHR_I + CHR_II) // drawn.resolution)
    values = [
        drawn.value(i, j)
        for i in range(max(y0, 0), min(y1, last))
        for j in range(max(x0, 0), min(x1, last))
    ]
    sizes = np.abs(np.array(values))
    return sizes[np.isfinite(sizes)]


LABELS = """() => [...document.querySelectorAll("#scales .scale")].filter((scale) => scale.querySelector("button"))
  .map((scale) => [scale.querySelector("figcaption").textContent, scale.querySelector("button").textContent,
    [...scale.querySelectorAll(".bar span")].map((tick) => tick.textContent)])[0]"""


def scale_is(page: Page, view: str, low: float, high: float) -> None:
    page.wait(
        """([view, low, high]) => {
          const [a, b] = window.orcaCool.hgApi.getTrackObject(view, "difference").limitedValueScale.domain();
          return Math.abs(a - low) < 1e-9 && Math.abs(b - high) < 1e-9;
        }""",
        [view, low, high],
    )


def expected_end(sizes: np.ndarray) -> float:
    wanted = max(float(np.quantile(sizes, 0.995, method="inverted_cdf")), 0.05)
    power = 10 ** np.floor(np.log10(wanted))
    return round(float(min(s for s in (*STEPS, 10) if s * power >= wanted * 0.9999) * power), 6)


def test_the_difference_is_scaled_to_what_is_seen(edited: tuple[Page, str]):
    page, edit = edited
    view, ends = f"difference-{edit}", []
    for start, end in ((200_000, 280_000), (60_000, 180_000)):
        page.go(f"chrII:{start}-{end}", (CHR_I + start, CHR_I + end))
        high = expected_end(seen_sizes(page, view))
        scale_is(page, view, -high, high)
        page.wait(f"() => ({LABELS})()?.[2].at(-1) === '{high:g}'")
        _, button, ticks = page.tab.evaluate(LABELS)
        assert button == "scale: to what is seen"
        assert [float(text) for text in ticks] == pytest.approx(
            [-high, -high / 2, 0, high / 2, high], rel=0.05
        )
        ends.append(high)
        drawn = page.drawn(view, "difference")
        # no change has the middle colour, and both ends are as far from it
        assert np.abs(drawn.colours(np.array([0.0])) - 247).max() <= 2
    assert ends[0] != ends[1]
    assert min(ends) >= 0.05
    page.go("chrII:200,000-280,000", (CHR_I + 200_000, CHR_I + 280_000))
    page.picture("honest-difference")


#: Of each track with an axis: its height, and the upper and lower ends of the axis's numbers.
AXES = """() => window.orcaCool.tiledTracks().filter(({ axis }) => axis?.axisTexts.length).map(
  ({ axis, dimensions }) => [dimensions[1], axis.axisTexts.filter(({ visible }) => visible)
    .map(({ y, height }) => [y - height / 2, y + height / 2])])"""


def test_numbers_of_axes_stay_in_their_rows(edited: tuple[Page, str]):
    page, _ = edited
    rows = page.tab.evaluate(AXES)
    assert len(rows) >= 6  # insulation and compartments in three panes
    for height, numbers in rows:
        assert numbers
        assert min(top for top, _ in numbers) >= -0.5
        assert max(bottom for _, bottom in numbers) <= height + 0.5


def test_where_nothing_changes_the_scale_ends_at_its_floor_and_says_so(edited: tuple[Page, str]):
    page, edit = edited
    view = f"difference-{edit}"
    page.go("chrI:50k-150k", (50_000, 150_000))
    assert np.quantile(seen_sizes(page, view), 0.995) < 0.01
    scale_is(page, view, -0.05, 0.05)
    page.wait(f"() => ({LABELS})()?.[0].includes('hardly any change here')")
    page.picture("honest-floor")


def test_the_scale_can_be_fixed(edited: tuple[Page, str]):
    page, edit = edited
    view = f"difference-{edit}"
    page.go("chrII:200,000-280,000", (CHR_I + 200_000, CHR_I + 280_000))
    page.tab.click(".scale button")
    scale_is(page, view, -1, 1)
    page.wait(f"() => ({LABELS})()?.[1] === 'scale: fixed'")
    page.settle()
    page.tab.click("#link")
    page.wait("() => !document.getElementById('shared').hidden")
    link = page.tab.input_value("#shared-url")
    uid = re.search(r"view=([^&]+)", link).group(1)
    saved = page.server.get(f"/api/v1/viewconfs/?d={uid}")
    (reference, *_) = saved["views"]
    assert reference["tracks"]["center"][0]["options"]["orca"]["fixed"] is True
    page.tab.click("#shared-close")
    page.tab.click(".scale button")
    high = expected_end(seen_sizes(page, view))
    scale_is(page, view, -high, high)


# ---- why there is nothing


def test_the_cursor_says_why_there_is_nothing(edited: tuple[Page, str]):
    page, edit = edited
    page.go("chrI:130k-chrII:330k", (130_000, CHR_I + 330_000))

    def told(view: str, track: str, x: float, y: float, words: str) -> None:
        row, column = page.drawn(view, track).pixel(x, y)
        page.tab.mouse.move(column, row)
        page.wait(
            "(words) => document.getElementById('readout').textContent.endsWith(words)", words
        )

    between = "no data: this model predicts none between chromosomes"
    told("reference", "predicted-weight", CHR_I + 100_000, 200_000, between)
    told(f"edit-{edit}", "edited-weight", CHR_I + 100_000, 200_000, between)
    told(
        f"difference-{edit}",
        "difference",
        CHR_I + 100_000,
        200_000,
        "no data: contacts between chromosomes are not compared",
    )
    # at the scale of the whole chromosome: pairs that are too far apart for any window
    page.go("chrII", (CHR_I, CHR_I + CHR_II))
    far = page.server.get(
        f"/api/v1/tileset_info/?d={page.drawn('reference', 'predicted-weight').tileset}"
    )
    (info,) = far.values()
    reach = info["reach"]["chrII"]
    assert 0 < reach < CHR_II
    place = CHR_I + 40_000, CHR_I + 40_000 + (reach + CHR_II) // 2
    words = f"no data: farther apart than this model predicts ({reach / 1000:g} kb)"
    told("reference", "predicted-weight", place[1], place[0], words)
    told(f"edit-{edit}", "edited-weight", place[1], place[0], words)
    # what is deleted is not in the edit
    page.go("chrII:237,000-240,000", (CHR_I + 237_000, CHR_I + 240_000))


# ---- why it is so

BOX = """([view, track]) => {
  const canvas = document.querySelector("#higlass canvas").getBoundingClientRect();
  const map = window.orcaCool.hgApi.getTrackObject(view, track);
  return [canvas.left + map.position[0], canvas.top + map.position[1], ...map.dimensions];
}"""
#: What answers in a row of a view: the name of its tileset.
ANSWER = """async ([view, row]) => {
  const uid = window.orcaCool.hgApi.getTrackObject(view, row)?.tilesetUid;
  if (!uid) return "";
  return (await (await fetch(`api/v1/tileset_info/?d=${uid}`)).json())[uid].name;
}"""


def click(page: Page, view: str, track: str, x: float, y: float) -> str:
    """Click at a place of a map, as shares of its sides; the first question."""
    left, top, width, height = page.tab.evaluate(BOX, [view, track])
    page.tab.mouse.click(left + x * width, top + y * height)
    page.wait("() => document.querySelector('#why:not([hidden]) li button')")
    return page.tab.inner_text("#why li:first-child")


def positions(text: str) -> list[int]:
    return [int(at.replace(",", "")) for at in re.findall(r"chrII:([\d,]+)", text)]


def asked(page: Page, view: str, row: str) -> list[int]:
    """The positions of the objective that a row answers; none of a row that is empty."""
    return positions(page.tab.evaluate(ANSWER, [view, row]).partition("attribution of")[2])


def test_a_change_is_asked_about_in_both_genomes(edited: tuple[Page, str]):
    page, edit = edited
    lost = CENTROMERE[1] - CENTROMERE[0]
    own, difference = f"edit-{edit}", f"difference-{edit}"
    page.go("chrII:200,000-280,000", (CHR_I + 200_000, CHR_I + 280_000))
    words = click(page, difference, "difference", 0.8, 0.2)
    assert words.startswith("Why does the edit change how often chrII:")
    assert "two rows" in page.tab.inner_text("#why")
    first, second = positions(words)
    assert first < CENTROMERE[0] < CENTROMERE[1] < second
    page.picture("honest-why-difference")
    page.tab.click("#why li:first-child button")
    page.wait(f"() => window.orcaCool.hgApi.getTrackObject('{own}', 'why-1')?.tilesetInfo")
    page.settle()
    assert asked(page, "reference", "why-1") == [first, second]
    assert asked(page, own, "why-1") == [first, second - lost]
    assert asked(page, difference, "why-1") == [first, second]
    # the edit's own map is asked about its own coordinates, and the same place in the reference
    words = click(page, own, "edited-weight", 0.7, 0.3)
    assert words.startswith("Why do chrII:")
    first, second = positions(words)
    drawn = page.drawn(own, "edited-weight")
    assert second == pytest.approx(drawn.x[0] + 0.7 * (drawn.x[1] - drawn.x[0]) - CHR_I, abs=500)
    page.tab.click("#why li:first-child button")
    page.wait(f"() => window.orcaCool.hgApi.getTrackObject('{own}', 'why-2')?.tilesetInfo")
    page.settle()
    assert asked(page, own, "why-2") == [first, second]
    assert asked(page, "reference", "why-2") == [first, second + lost]
    page.picture("honest-why-rows")
    for left in (1, 0):
        page.tab.click("#answers button")
        page.wait("(n) => document.querySelectorAll('#answers li').length === n", left)


HEIGHTS = """() => [...document.querySelectorAll("#letters svg text")]
  .map((text) => [text.textContent, Number(/scale\\(\\S+ (\\S+)\\)/.exec(text.getAttribute("transform"))[1])])"""


@pytest.mark.long
def test_single_bases_are_answered_by_mutagenesis(held: tuple[Page, Held]):
    page, holds = held
    holds.words = None
    page.go("chrII:200,000-280,000", (CHR_I + 200_000, CHR_I + 280_000))
    click(page, "reference", "predicted-weight", 0.8, 0.2)
    page.tab.click("#why li:first-child button")
    page.wait("() => window.orcaCool.hgApi.getTrackObject('reference', 'why-1')?.tilesetInfo")
    page.settle()
    said = "document.querySelector('#letters .method')?.textContent"
    page.wait(f"() => {said}?.startsWith('gradient: sum of sizes in')")
    start, end = 238_312, 238_316  # in the third element of the centromere
    page.go(f"chrII:{start}-{end}", (CHR_I + start, CHR_I + end))
    page.wait(f"() => {said}?.startsWith('gradient; mutagenesis of ')")
    page.wait(f"() => {said} === 'mutagenesis'")
    page.settle()
    track = "window.orcaCool.hgApi.getTrackObject('reference', 'why-1')"
    seen = page.tab.evaluate(f"{track}._xScale.domain()")
    start, end = math.floor(seen[0]) - CHR_I, math.ceil(seen[1]) - CHR_I
    page.picture("honest-mutagenesis")
    uid = page.tab.evaluate(f"{track}.tilesetUid")
    found = page.server.get(f"/api/v1/mutagenesis/?d={uid}&region=chrII:{start}-{end}")
    assert found["ready"]  # nothing else was computed for it
    drawn = page.tab.evaluate(HEIGHTS)
    letters = "".join("ACGT"[row.index(0.0)] for row in found["changes"])
    assert "".join(letter for letter, _ in drawn) == letters
    sizes, heights = np.abs(found["contributes"]), np.array([height for _, height in drawn])
    np.testing.assert_allclose(heights / heights.max(), sizes / sizes.max(), rtol=1e-3)
    with page.tab.expect_download() as saved:
        page.tab.click("#svg")
    assert ">mutagenesis<" in saved.value.path().read_text()
    assert page.problems == []


def test_on_a_phone_nothing_of_this_overlaps(edited: tuple[Page, str]):
    page, _ = edited
    page.tab.set_viewport_size({"width": 390, "height": 844})
    page.settle()
    page.wait(f"() => ({LABELS})()")
    page.picture("honest-phone")
    boxes = page.tab.evaluate(
        """() => [...document.querySelectorAll("#scales figcaption, #scales button, #scales .bar")].map((node) => {
          const { left, right, top, bottom } = node.getBoundingClientRect();
          return [left, right, top, bottom];
        })"""
    )
    assert len(boxes) >= 5
    assert max(right for _, right, _, _ in boxes) <= 390
    assert max(bottom for *_, bottom in boxes) <= 844
    for n, one in enumerate(boxes):
        for other in boxes[:n]:
            apart = one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2]
            assert apart or other[3] <= one[2], (one, other)
