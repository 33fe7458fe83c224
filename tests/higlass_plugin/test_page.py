"""The page of `orca-cool serve` in a real browser, against the real server and the yeast model."""

from __future__ import annotations

import hashlib
import http.server
import json
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pytest
from browser import MAP, PATIENCE, ROOT, STATIC, Drawn, Page, Server, new_tab
from conftest import Drawn as DrawnGenome
from conftest import make_toy_expected, make_toy_model, make_toy_spec

from higlass_plugin.tiles import failed_tile
from orca_cool.model.bundle import save_bundle

CHR_I, CHR_II = 230_208, 813_178
#: The centromere of chromosome II in the example genome, 0-based.
CENTROMERE = (238_208, 238_325)
DELETION = "chrII:238,208-238,325 del"


def test_the_bundle_is_of_these_sources():
    """Whoever changes the page builds it: scripts/build_page.sh records the sums of what it read
    and what it wrote.
    """
    sums = dict(
        reversed(line.split("  ", 1)) for line in (STATIC / "SHA256SUMS").read_text().splitlines()
    )
    page = ROOT / "higlass_plugin" / "page"
    files = [
        ROOT / "scripts" / "build_page.sh",
        *page.glob("*.*"),
        *page.glob("src/*"),
        *page.glob("notebook/*"),
        *STATIC.glob("*.*"),
    ]
    assert set(sums) == {str(f.relative_to(ROOT)) for f in files}
    stale = [
        name
        for name, digest in sums.items()
        if hashlib.sha256((ROOT / name).read_bytes()).hexdigest() != digest
    ]
    assert not stale, f"run scripts/build_page.sh: {stale}"


def test_the_lock_file_names_no_host():
    lock = json.loads((ROOT / "higlass_plugin" / "page" / "package-lock.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert all(
        "integrity" in package and "resolved" not in package for package in packages.values()
    )
    named = {
        name: packages[f"node_modules/{name}"]["version"]
        for name in ("higlass", "react", "pixi.js")
    }
    assert named == {"higlass": "2.3.5", "react": "17.0.2", "pixi.js": "6.5.10"}


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    genes = folder / "genes.bed"
    genes.write_text(
        "chrI\t50000\t70000\tYAA1\t0\t+\nchrII\t300000\t301000\tYBB1\t0\t-\nchrII\t500000\t501000\tYBB12\t9\t-\n"
    )
    made = Server(folder, genes)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def page(browser: Any, server: Server) -> Iterator[Page]:
    """One page for the tests that look at the first view: loading it takes longer than they do."""
    opened = Page(browser, server).open()
    opened.settle()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def edited(browser: Any, server: Server) -> Iterator[tuple[Page, str]]:
    """A page on which the deletion was typed, and the edit's id."""
    opened = Page(browser, server).open()
    edit = opened.edit(DELETION)
    for view in ("reference", f"difference-{edit}"):  # at once in view, 60 kb on both sides
        domain = opened.tab.evaluate(
            "(view) => window.orcaCool.hgApi.getLocation(view).xDomain", view
        )
        assert domain == pytest.approx(
            [CHR_I + CENTROMERE[0] - 60_000, CHR_I + CENTROMERE[1] + 60_000], abs=1000
        )
    yield opened, edit
    opened.close()


def eventually(page: Page, check: Callable[[np.ndarray], Any], name: str | None = None) -> Any:
    """What ``check`` makes of the screen, looked at until it holds: what is drawn lags behind what
    the page says of itself.
    """
    deadline = time.monotonic() + PATIENCE / 2000
    while True:
        try:
            return check(page.picture(name))
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        page.tab.wait_for_timeout(300)


def compare(
    page: Page,
    view: str,
    track: str,
    keep: Callable[[Drawn, int, int], bool],
    value: Any = None,
    name: str | None = None,
) -> tuple[Drawn, np.ndarray]:
    """Assert that a heatmap's pixels have the colours of their values: the heatmap, and the values,
    of pairs of bins to ``keep``.
    """

    def check(picture: np.ndarray) -> tuple[Drawn, np.ndarray]:
        drawn = page.drawn(view, track)
        return drawn, colours(
            drawn,
            picture,
            value or drawn.value,
            [(i, j) for i, j in drawn.bins() if keep(drawn, i, j)],
        )

    return eventually(page, check, name)


def colours(
    drawn: Drawn,
    picture: np.ndarray,
    value: Callable[[int, int], float],
    bins: list[tuple[int, int]],
) -> np.ndarray:
    """Assert that pixels have the colours of their values; the values, of pairs of bins (of y, of
    x).
    """
    values = np.array([value(i, j) for i, j in bins])
    expected = drawn.colours(values)
    found = np.array(
        [
            picture[drawn.pixel((j + 0.5) * drawn.resolution, (i + 0.5) * drawn.resolution)]
            for i, j in bins
        ]
    )
    wrong = np.abs(found - expected).max(axis=1) > 4  # a step of the colour scale is up to 3
    assert len(bins) >= 50
    assert not wrong.any(), list(zip(np.array(bins)[wrong], expected[wrong], found[wrong]))[:5]
    assert np.ptp(expected, axis=0).max() > 30, "all of one colour: nothing was tested"
    return values


@cache
def _map() -> np.ndarray:
    return cooler.Cooler(f"{MAP}::resolutions/10000").matrix(balance=True)[:]


def measured(i: int, j: int) -> float:
    """The measured map itself: chrI has 23 bins and 221 bp, so the file's 24th bin shares a pixel
    with chrII's first, which hides it.
    """
    i, j = (k if k < 23 else k + 1 for k in (i, j))
    return float(_map()[i, j])


def test_the_page_loads_without_an_error(page: Page):
    assert page.problems == []
    assert page.tab.title() == "yeast-metaphase · example"
    assert page.tab.inner_text("#message") == ""
    assert page.tab.is_hidden("#cell-type")
    hosts = {url.split("/")[2] for _, url in page.requests if url.startswith("http")}
    assert hosts == {f"127.0.0.1:{page.server.port}"}
    page.picture("whole-genome")


REGIONS = {
    "chrII:150k-450k": (CHR_I + 150_000, CHR_I + 450_000),
    "chrI:10,000-210,000": (10_000, 210_000),
    "chrII:500000-800000": (CHR_I + 500_000, CHR_I + 800_000),
    "chrI:130k-chrII:170k": (130_000, CHR_I + 170_000),
}


@pytest.mark.parametrize("region", REGIONS)
def test_both_halves_have_the_colours_of_their_matrices(page: Page, region: str):
    page.go(region, REGIONS[region])
    name = f"halves-{REGIONS[region][0]}"
    above, values = compare(
        page,
        "reference",
        "predicted-weight",
        lambda drawn, i, j: j - i > 10_000 // drawn.resolution,
        name=name,
    )
    assert above.resolution == 2000
    assert (
        np.isfinite(values).mean() > 0.5
    )  # between chromosomes nothing is predicted, and nothing is drawn

    below, _ = compare(page, "reference", "measured-weight", lambda drawn, i, j: i > j, measured)
    assert below.resolution == 10_000


def test_log_observed_over_expected(page: Page):
    page.tab.select_option("#value", "logoe")
    page.go("chrII:150k-450k", REGIONS["chrII:150k-450k"])
    drawn, values = compare(
        page,
        "reference",
        "predicted-logoe",
        lambda drawn, i, j: j - i > 5,
        name="log-observed-expected",
    )
    assert values.min() < 0 < values.max()
    assert (drawn.low, drawn.high, drawn.scaling) == (-1, 1, "linear")
    page.tab.select_option("#value", "weight")
    page.settle()


def test_another_place_computes_new_tiles(page: Page):
    """Nothing is computed before it is looked at: of a far place, tiles are asked for when it is
    gone to.
    """
    page.go("chrI:100k-160k", (100_000, 160_000))
    before, asked = page.problems.copy(), len(page.requests)
    page.go("chrII:700k-760k", (CHR_I + 700_000, CHR_I + 760_000))
    drawn = page.drawn("reference", "predicted-weight")
    new = [url for _, url in page.requests[asked:] if f"{drawn.tileset}.{drawn.zoom}." in url]
    tile = (CHR_I + 730_000) // (256 * drawn.resolution)
    assert any(f"{drawn.tileset}.{drawn.zoom}.{tile}.{tile}" in url for url in new)
    compare(page, "reference", "predicted-weight", lambda drawn, i, j: j - i > 5)
    assert page.problems == before


def test_regions_and_their_names(page: Page):
    def call(name: str, argument: Any) -> Any:
        return page.tab.evaluate(
            f"(given) => window.orcaCool.{name}(given, [['chrI', {CHR_I}], ['chrII', {CHR_II}]])",
            argument,
        )

    assert call("parseRegion", "chrII") == [CHR_I, CHR_I + CHR_II]
    assert call("parseRegion", " chrI:1,000-2.5k ") == [1000, 2500]
    assert call("parseRegion", "chrI:200k-chrII:10,000") == [200_000, CHR_I + 10_000]
    assert call("parseRegion", "chrII:800k-1M") == [CHR_I + 800_000, CHR_I + CHR_II]
    for nothing in ("", "chrIII", "chrI:5-4", "chrI:400k-500k", "chrI:x-y", "chrII:1-chrI:5"):
        assert call("parseRegion", nothing) is None, nothing
    assert call("formatRegion", [CHR_I, CHR_I + 5000]) == "chrII:0-5,000"
    assert call("formatRegion", [1000.4, CHR_I]) == f"chrI:1,000-{CHR_I:,}"
    assert call("formatRegion", [-1e6, 1e9]) == f"chrI:0-chrII:{CHR_II:,}"


def test_genes_are_found_by_name(page: Page):
    page.go(
        "ybb1", (CHR_I + 290_000, CHR_I + 311_000)
    )  # the name itself, and not the one that begins so
    page.go("yaa", (10_000, 110_000))  # a long one with twice its length on both sides
    assert page.tab.inner_text("#message") == ""


def test_what_is_no_place_and_no_edit_is_told_in_words(page: Page):
    before = page.tab.evaluate("window.orcaCool.hgApi.getLocation('reference').xDomain")
    page.tab.fill("#region", "chrXL:1-2")
    page.tab.press("#region", "Enter")
    page.tab.wait_for_selector("#message:visible")
    assert page.tab.inner_text("#message").startswith("chrXL:1-2: there is no chromosome chrXL")
    page.tab.fill("#edit", "chrII:5-4 <b>del</b>")
    page.tab.click("#apply")
    page.wait(
        "() => document.getElementById('message').textContent.includes('<b>')"
    )  # quoted, as text
    assert page.tab.query_selector("#message b") is None
    assert page.tab.evaluate("window.orcaCool.hgApi.getLocation('reference').xDomain") == before
    assert page.state()["edits"] == []


def test_an_edit_is_shown_beside_the_reference(edited: tuple[Page, str]):
    page, edit = edited
    page.tab.select_option("#value", "weight")
    page.go("chrII:180k-300k", (CHR_I + 180_000, CHR_I + 300_000))
    own, difference = f"edit-{edit}", f"difference-{edit}"
    view = page.tab.evaluate("window.orcaCool.hgApi.getViewConfig()")
    assert [v["uid"] for v in view["views"]] == ["reference", own, difference]

    breakpoint_bin = (CHR_I + CENTROMERE[0]) // 2000

    def clear(drawn: Drawn, i: int, j: int) -> bool:  # of the marks
        lines = [drawn.pixel(*[CHR_I + place] * 2) for place in CENTROMERE]
        at = drawn.pixel((j + 0.5) * drawn.resolution, (i + 0.5) * drawn.resolution)
        return i != j and all(abs(a - b) > 3 for line in lines for a, b in zip(at, line))

    # one scale for both maps, the colours of each are its own matrix's, and so are those of the
    # difference
    alternate, _ = compare(page, own, "edited-weight", clear, name="centromere-deleted")
    ratio, _ = compare(page, difference, "difference", clear)
    reference = page.drawn("reference", "predicted-weight")
    assert (alternate.low, alternate.high) == pytest.approx((reference.low, reference.high))
    # what is lost: the centromere's insulation of the arms, at all distances across it ...
    across = [ratio.value(breakpoint_bin - k, breakpoint_bin + k) for k in range(10, 25)]
    assert min(across) > 0.1
    # ... and nothing on the other chromosome, nor far away on its own
    page.go("chrI:50k-150k", (50_000, 150_000))
    elsewhere = page.drawn(difference, "difference")
    values = np.array([elsewhere.value(i, j) for i, j in elsewhere.bins()])
    assert len(values) > 500
    assert np.abs(values).max() < 1e-3

    def no_difference(picture: np.ndarray) -> None:
        seen = [
            picture[elsewhere.pixel((j + 0.5) * 2000, (i + 0.5) * 2000)]
            for i, j in elsewhere.bins()
        ]
        assert np.abs(np.array(seen) - 247).max() <= 4  # #f7f7f7

    eventually(page, no_difference)
    far = (CHR_I + 700_000) // 2000
    assert max(abs(ratio.value(far + i, far + j)) for i in range(20) for j in range(20)) < 0.02
    assert page.problems == []


def test_the_value_under_the_cursor(page: Page):
    """With its two bins, above the diagonal of the prediction, below it of the measured map."""
    page.tab.select_option("#value", "weight")
    page.go("chrII:150k-450k", REGIONS["chrII:150k-450k"])
    above = page.drawn("reference", "predicted-weight")
    for x, y, one, other, value in (
        (341_000, 281_000, "340,000-342,000", "280,000-282,000", None),
        (281_000, 345_000, "280,000-290,000", "340,000-350,000", measured),
    ):
        row, column = above.pixel(CHR_I + x, CHR_I + y)
        page.tab.mouse.move(column, row)
        page.wait(
            "(text) => document.getElementById('readout').textContent.startsWith(text)",
            f"chrII:{one} × chrII:{other}: contact frequency ",
        )
        shown = float(page.tab.inner_text("#readout").rpartition(" ")[2])
        if value is None:
            expected = above.value((CHR_I + y) // 2000, (CHR_I + x) // 2000)
        else:
            expected = value(CHR_I // 10_000 + y // 10_000, CHR_I // 10_000 + x // 10_000)
        assert shown == pytest.approx(expected, rel=0.05)
    page.tab.mouse.move(1, 1)
    page.wait("() => document.getElementById('readout').textContent === ''")


def _rows_of(picture: np.ndarray, drawn: Drawn, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows of the picture in which a colour is seen in more than two fifths of a map's width."""
    part = picture[:, int(drawn.left) : int(drawn.left + drawn.width)]
    return np.flatnonzero((np.abs(part - colour).max(axis=2) <= 12).mean(axis=1) > 0.4)


def test_panes_are_of_one_grid(edited: tuple[Page, str]):
    """A feature can be followed across: breakpoint, genes and maps stand at one height, and what
    names them stands outside the maps.
    """
    page, edit = edited
    page.tab.select_option("#value", "weight")
    page.go("chrII:180k-300k", (CHR_I + 180_000, CHR_I + 300_000))
    panes = ("reference", f"edit-{edit}", f"difference-{edit}")
    maps = [
        page.drawn(view, track)
        for view, track in zip(panes, ("predicted-weight", "edited-weight", "difference"))
    ]

    def breakpoint_at_one_height(picture: np.ndarray) -> None:
        found = [_rows_of(picture, drawn, (0x21, 0x66, 0xAC)) for drawn in maps]
        assert all(len(rows) for rows in found), "the breakpoint is marked in every pane"
        heights = [rows.mean() for rows in found]
        assert np.ptp(heights) <= 1, heights
        row, _ = maps[0].pixel(*[CHR_I + CENTROMERE[0]] * 2)
        assert heights[0] == pytest.approx(row, abs=1.5)

    eventually(page, breakpoint_at_one_height, "one-grid")
    row_of = """([view, track]) => {
      const { position, dimensions } = window.orcaCool.hgApi.getTrackObject(view, track);
      return [position[1], dimensions[1]];
    }"""
    for track in ("along-0", "insulation", "compartments"):
        rows = [page.tab.evaluate(row_of, [view, track]) for view in panes]
        assert rows[0] == rows[1] == rows[2], track
    assert len({(drawn.top, drawn.height) for drawn in maps}) == 1
    assert np.ptp([drawn.width for drawn in maps]) <= 1

    # insulation is on one scale in both genomes
    scale = (
        "([view]) => window.orcaCool.hgApi.getTrackObject(view, 'insulation').valueScale.domain()"
    )
    assert page.tab.evaluate(scale, [panes[0]]) == page.tab.evaluate(scale, [panes[1]])

    box = """(selector) => [...document.querySelectorAll(selector)].map((e) => {
      const { left, right, top, bottom } = e.getBoundingClientRect();
      return [left, right, top, bottom];
    })"""
    titles = page.tab.evaluate(box, ".pane")
    for (left, right, _, bottom), drawn in zip(titles, maps):
        assert bottom <= drawn.top
        assert left <= drawn.left + drawn.width / 2 <= right
    assert all(right <= maps[0].left for _, right, _, _ in page.tab.evaluate(box, "#rows span"))
    scales = page.tab.evaluate(box, ".scale")
    assert len(scales) == 3  # predicted, measured (of other bins), and the difference
    assert all(left >= maps[2].left + maps[2].width for left, _, _, _ in scales)
    titles = page.tab.eval_on_selector_all(".pane b", "(all) => all.map((b) => b.textContent)")
    assert titles == ["Reference", DELETION, "Difference"]
    assert page.problems == []


def test_several_edits_move_together_and_are_closed(edited: tuple[Page, str]):
    page, first = edited
    page.tab.evaluate(
        """(text) => {
          const data = new DataTransfer();
          data.items.add(new File([text], "variant.vcf"));
          document.getElementById("edit").dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true, bubbles: true }));
        }""",
        # VCF counts from 1 and tells the base before
        "chrI\t100000\t.\tN\t<DEL>\t.\tPASS\tSVTYPE=DEL;END=104000\n",
    )
    page.wait(
        "() => window.orcaCool.state.edits.length === 2 || "
        "document.getElementById('message').textContent"
    )
    assert page.tab.inner_text("#message") == ""
    names = page.tab.eval_on_selector_all(
        "#edits .name", "(names) => names.map((n) => n.textContent)"
    )
    assert names == [DELETION, "chrI:100,000-104,000 del"]
    page.settle()
    page.picture("two-edits")
    second = page.state()["edits"][1]
    assert page.state()["shown"] == second
    views = ["reference", f"edit-{second}", f"difference-{second}"]
    shown = "window.orcaCool.hgApi.getViewConfig().views.map((view) => view.uid)"
    assert page.tab.evaluate(shown) == views, "one edit is seen, the other one is a tab"

    page.go("chrI:40k-90k", (40_000, 90_000))
    where = "(views) => views.map((view) => window.orcaCool.hgApi.getLocation(view).xDomain.reduce((a, b) => (a + b) / 2))"
    before = np.array(page.tab.evaluate(where, views))
    assert before == pytest.approx(
        np.full(3, before[0]), abs=20
    )  # left of the breakpoints the genomes are the same
    # a drag on the reference moves all, by the same number of bases
    drawn = page.drawn("reference", "predicted-weight")
    x, y = drawn.left + drawn.width / 2, drawn.top + drawn.height / 2
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    page.tab.mouse.move(x - 40, y, steps=2)
    page.tab.mouse.up()
    page.wait(
        "([view, before]) => Math.abs(window.orcaCool.hgApi.getLocation(view).xDomain[0] - "
        "before) > 1000",
        ["reference", 40_000],
    )
    page.settle()
    moved = np.array(page.tab.evaluate(where, views)) - before
    assert moved == pytest.approx(np.full(3, 40 / drawn.width * 50_000), rel=0.05)

    # the other edit is shown at the place that is looked at
    at = page.tab.evaluate("window.orcaCool.hgApi.getLocation('reference').xDomain")
    page.tab.click("#edits li:nth-child(1) .name")
    page.wait("(edit) => window.orcaCool.state.shown === edit", first)
    page.settle()
    assert page.tab.evaluate(shown) == ["reference", f"edit-{first}", f"difference-{first}"]
    assert page.tab.evaluate(
        "window.orcaCool.hgApi.getLocation('reference').xDomain"
    ) == pytest.approx(at, abs=500)

    page.tab.click("#edits li:nth-child(2) button:last-child")
    page.wait("() => window.orcaCool.state.edits.length === 1")
    page.settle()
    assert page.state()["shown"] == first
    conf = page.tab.evaluate("window.orcaCool.hgApi.getViewConfig()")
    assert second not in json.dumps(
        [conf["locationLocks"], conf["zoomLocks"], conf["valueScaleLocks"]]
    )
    assert page.problems == []
    with pytest.raises(OSError, match="404"):
        page.server.get(f"/api/v1/edits/?d={second}")


@pytest.fixture
def blank(browser: Any, server: Server) -> Iterator[Page]:
    """A tab in which nothing is open yet."""
    opened = Page(browser, server)
    yield opened
    opened.close()


def test_only_what_became_ready_is_fetched_again(blank: Page):
    """Two tiles are held back: the page waits without a word over the map, then fetches these two
    alone; one of them has failed.
    """
    page = blank
    held: dict[str, str] = {}  # full ids, and how far they are
    asked: list[str] = []

    def tiles(route: Any) -> None:
        answer = route.fetch()
        body = answer.json()
        for name in body:
            parts = name.split(".")
            # the predicted map has a transform in its ids, and these two tiles lie on the diagonal
            if parts[-1] == "weight" and parts[-2] == parts[-3] in ("0", "1"):
                held.setdefault(name, "pending")
            asked.append(name)
            if held.get(name) == "pending":
                body[name] = failed_tile("computing")
            elif held.get(name) == "failed":
                body[name] = failed_tile("out of ink")
        route.fulfill(response=answer, json=body)

    def status(route: Any) -> None:
        body = json.loads(route.request.post_data)
        answer = route.fetch()
        progress: dict[str, Any] = {"ready": [], "pending": [], "failed": {}}
        for name in body["tiles"]:
            if held.get(name) == "failed":
                progress["failed"][name] = "out of ink"
            else:
                progress["pending" if held.get(name) == "pending" else "ready"].append(name)
        route.fulfill(response=answer, json=answer.json() | {"progress": progress})

    page.tab.route("**/api/v1/tiles/**", tiles)
    page.tab.route("**/api/v1/status/", status)
    page.open()
    page.wait("() => window.orcaCool.state.computing === 2")
    assert page.tab.inner_text("#progress") == "computing 2 tiles"
    track = "window.orcaCool.hgApi.getTrackObject('reference', 'predicted-weight')"
    assert page.tab.evaluate(f"{track}.errorText.text") == ""
    page.tab.evaluate(
        f"window.before = new Map(Object.entries({track}.fetchedTiles).map(([id, tile]) => [id, "
        f"tile.graphics]))"
    )
    compare(
        page, "reference", "measured-weight", lambda drawn, i, j: i > j, measured, "waiting"
    )  # beside it the measured map is there

    asked.clear()
    first, second = sorted(held)
    held[first] = "ready"
    page.wait("() => window.orcaCool.state.computing === 1")
    held[second] = "failed"
    page.settle()
    assert asked == [first, second]
    assert page.tab.evaluate(f"{track}.errorText.text") == "out of ink"
    kept = f"Object.entries({track}.fetchedTiles).every(([id, tile]) => tile.graphics === window.before.get(id))"
    assert page.tab.evaluate(kept), (
        "tiles are changed where they are: taken out and put back, they would flicker"
    )
    page.go("chrII:150k-400k", (CHR_I + 150_000, CHR_I + 400_000))
    drawn, _ = compare(
        page, "reference", "predicted-weight", lambda drawn, i, j: i < j - 5 < 250
    )  # the first is there ...
    bins = [(i, j) for i, j in drawn.bins() if 256 < i < j]  # ... and the second is not
    assert len(bins) > 100

    missing = drawn.colours(np.array([np.nan]))[0]
    assert missing.tolist() == [0xD5, 0xD9, 0xE0], "no colour of the scale: nothing is not zero"

    def nothing(picture: np.ndarray) -> None:
        empty = [
            (picture[drawn.pixel((j + 0.5) * 2000, (i + 0.5) * 2000)] == missing).all()
            for i, j in bins
        ]
        assert np.mean(empty) > 0.9, "but for the message nothing is drawn there"

    eventually(page, nothing)


def test_the_views_are_valid(page: Page):
    """By HiGlass's own schema, so that other viewers take them, too."""
    edit = page.tab.evaluate(
        """async (text) => (await fetch("/api/v1/edits/", { method: "POST", body: JSON.stringify({ edit: text }) })).json()""",
        DELETION,
    )
    for name in ("default", edit["viewconf"]):
        conf = page.server.get(f"/api/v1/viewconfs/?d={name}")
        assert page.tab.evaluate(
            "(conf) => window.orcaCool.hgApi.validateViewConfig(conf, { verbose: true })", conf
        ), name


def test_a_link_brings_the_views_back(blank: Page, edited: tuple[Page, str]):
    page, edit = edited
    page.tab.select_option("#value", "logoe")
    page.go("chrII:180k-290k", (CHR_I + 180_000, CHR_I + 290_000))
    page.tab.click("#link")
    page.tab.wait_for_selector("#shared:visible")
    url = page.tab.input_value("#shared-url")
    assert url.startswith(f"{page.server.url}/?view=")
    saved = page.server.get(f"/api/v1/viewconfs/?d={url.partition('=')[2]}")
    assert str(page.server.port) not in json.dumps(saved), (
        "a link must work under another address too"
    )

    # of a server of several models the page leads to their list
    assert page.tab.is_hidden("#models")
    several = 2 * page.server.get("/api/v1/models/")["models"]
    blank.tab.route("**/api/v1/models/", lambda route: route.fulfill(json={"models": several}))
    again = blank.open(url.removeprefix(page.server.url))
    again.settle()
    assert again.tab.get_attribute("#models:visible", "href") == "models"
    assert edit in again.state()["edits"]
    assert again.tab.input_value("#value") == "logoe"
    for view, track in (
        ("reference", "predicted-logoe"),
        (f"edit-{edit}", "edited-logoe"),
        (f"difference-{edit}", "difference"),
    ):
        ours, theirs = page.drawn(view, track), again.drawn(view, track)
        assert theirs.x == pytest.approx(ours.x, abs=500)
        assert theirs.tileset == ours.tileset
    assert again.problems == []


def test_the_server_is_killed_and_comes_back(edited: tuple[Page, str], server: Server):
    page, edit = edited
    page.tab.select_option("#value", "weight")
    page.settle()
    before = page.drawn(f"edit-{edit}", "edited-weight")
    server.stop(signal.SIGKILL)
    page.tab.wait_for_selector("#banner:visible")
    page.picture("server-gone")
    # meanwhile the user goes elsewhere, where nothing is loaded yet
    page.tab.fill("#region", "chrII:600k-700k")
    page.tab.press("#region", "Enter")
    server.start()
    page.wait("() => window.orcaCool.state.connected && window.orcaCool.state.reloads > 0")
    page.settle()
    assert page.tab.is_hidden("#banner")
    assert edit in page.state()["edits"]
    drawn, _ = compare(
        page,
        f"edit-{edit}",
        "edited-weight",
        lambda drawn, i, j: abs(i - j) > 5,
        name="server-back",
    )
    assert drawn.tileset == before.tileset
    assert drawn.x[0] == pytest.approx(CHR_I + 600_000, abs=2000)


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The origin of another server, with nothing but HiGlass itself on it."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                body = b"<!doctype html><link rel=icon href=data:,><div id=map style='width:700px;height:600px'></div>"
                body += b"<script src=page.js type=module></script>"
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(body)
            else:
                super().do_GET()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(STATIC))
    ) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def test_another_higlass_shows_it_by_url(browser: Any, server: Server, elsewhere: str):
    """HiGlass as it is, on a page of another origin: it registers the orca:// URL, asks for tiles,
    and reloads until they are there.
    """
    tab = new_tab(browser, (720, 620))
    problems: list[str] = []
    posts: list[tuple[str, int]] = []
    tab.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on(
        "response",
        lambda r: posts.append((r.url, r.status)) if r.request.method == "POST" else None,
    )
    tab.goto(f"{elsewhere}/")
    data = {
        "server": f"{server.url}/api/v1",
        "url": "orca://yeast-metaphase/example?edit=chrI%3A100000-104000%20del",
        "filetype": "orca",
        "coordSystem": "S288C-example",
    }
    options = {
        "dataTransform": "logoe",
        "heatmapValueScaling": "linear",
        "valueScaleMin": -1,
        "valueScaleMax": 1,
    }
    options |= {
        "colorRange": ["#0000ff", "#ffffff", "#ff0000"],
        "colorbarPosition": "hidden",
        "labelPosition": "hidden",
    }
    view = {
        "uid": "v",
        "initialXDomain": [60_000, 140_000],
        "initialYDomain": [60_000, 140_000],
        "layout": {"x": 0, "y": 0, "w": 12, "h": 12},
        "tracks": {"center": [{"type": "heatmap", "uid": "t", "data": data, "options": options}]},
    }
    tab.evaluate(
        """async (view) => {
          window.orcaCool.hgApi = await window.orcaCool.viewer(document.getElementById("map"), { views: [view] }, { bounded: true });
        }""",
        view,
    )
    tab.wait_for_function("() => window.orcaCool.hgApi.getTrackObject('v', 't')?.tilesetInfo")
    tab.wait_for_function(
        """() => {
          const track = window.orcaCool.hgApi.getTrackObject("v", "t");
          if (!track.areAllVisibleTilesLoaded() || track.fetching.size || track.renderingTiles.size) return false;
          if (Object.values(track.fetchedTiles).every((tile) => !tile.tileData.error)) return true;
          window.orcaCool.hgApi.reload();
          return false;
        }""",
        polling=500,
    )
    tab.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    assert posts == [(f"{server.url}/api/v1/register_url/", 200)]
    assert problems == []
    other = Page.__new__(Page)
    other.tab, other.server = tab, server
    _, values = compare(other, "v", "t", lambda drawn, i, j: i != j, name="another-higlass")
    assert values.min() < 0 < values.max()
    tab.close()


@pytest.mark.parametrize("stops", [(1, 2), pytest.param((1, 2, 3, 0), marks=pytest.mark.long)])
def test_every_breakpoint_of_an_edit_can_be_gone_to(
    browser: Any, server: Server, stops: tuple[int, ...]
):
    """The views stay aligned at the breakpoint that is looked at, on whatever chromosome."""
    page = Page(browser, server, (480, 320)).open()
    edit = page.edit("chrI:50,000-60,000 del; chrII:300,000-310,000 inv")
    expected = [  # in the reference, and in the edited genome
        (50_000, 50_000),
        (60_000, 50_000),
        (CHR_I + 300_000, CHR_I + 290_000),
        (CHR_I + 310_000, CHR_I + 300_000),
    ]
    seen = [page.tab.inner_text("#edits .stop")]
    for n in stops:
        page.tab.click("#edits button[title='Next breakpoint']")
        page.wait(
            "(text) => document.querySelector('#edits .stop').textContent === text", f"{n + 1}/4"
        )
        page.settle()
        seen.append(page.tab.inner_text("#edits .stop"))
        for view, place in zip(("reference", f"edit-{edit}", f"difference-{edit}"), (0, 1, 0)):
            for axis in ("xDomain", "yDomain"):
                domain = page.tab.evaluate(
                    "([view, axis]) => window.orcaCool.hgApi.getLocation(view)[axis]", [view, axis]
                )
                assert np.mean(domain) == pytest.approx(expected[n][place], abs=500), (view, axis)
    page.picture(f"breakpoint-{stops[-1] + 1}")
    assert seen == ["1/4", *(f"{n + 1}/4" for n in stops)]
    assert page.problems == []
    page.close()


def test_maps_of_different_bins_are_divided_on_one_grid(browser: Any, server: Server):
    """HiGlass itself would divide tiles that show different places. The prediction has bins of 2,
    4 and 8 kb, the measured map of 10 kb and more.
    """
    names = {t["name"]: t["uuid"] for t in server.get("/api/v1/tilesets/")["results"]}
    api = f"{server.url}/api/v1"
    children = [
        {"server": api, "tilesetUid": names[name]}
        for name in ("yeast-metaphase, predicted", MAP.name)
    ]
    divided = {
        "type": "heatmap",
        "uid": "ratio",
        "options": {
            "heatmapValueScaling": "log",
            "colorRange": ["#2166ac", "#f7f7f7", "#b2182b"],
            "labelPosition": "topRight",
        },
        "data": {"type": "divided", "children": children},
    }
    place = [CHR_I + 200_000, CHR_I + 700_000]
    view = {
        "uid": "a",
        "layout": {"x": 0, "y": 0, "w": 12, "h": 12},
        "initialXDomain": place,
        "initialYDomain": place,
        "tracks": {"center": [{"uid": "c", "type": "combined", "contents": [divided]}]},
    }
    conf = {"editable": True, "trackSourceServers": [api], "views": [view]}
    request = urllib.request.Request(
        f"{api}/viewconfs/",
        json.dumps({"viewconf": conf}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        saved = json.load(answer)["uid"]
    page = Page(browser, server).open(f"/?view={saved}")
    page.settle()
    drawn, values = compare(page, "a", "ratio", lambda drawn, i, j: True, name="divided")
    assert drawn.resolution == 10_000
    assert np.isfinite(values).mean() > 0.9
    assert page.tab.inner_text("#message") == ""
    assert page.problems == []
    page.close()


@pytest.fixture
def two_types(browser: Any, tmp_path: Path) -> Iterator[Server]:
    """A server of a toy model of the cell types "a" and "b"."""
    sizes = {"chrA": 14_810, "chrB": 9_007}
    source = DrawnGenome(sizes, ("chrB", 1_000, 1_415))
    genome = tmp_path / "drawn.fa"
    letters = {c: "".join("ACGTN"[k] for k in source.fetch(c, 0, n)) for c, n in sizes.items()}
    genome.write_text("".join(f">{chrom}\n{text}\n" for chrom, text in letters.items()))
    spec = make_toy_spec(cell_type="", cell_types=("a", "b"), assemblies={"drawn": sizes})
    tables = {name: make_toy_expected(spec) for name in spec.cell_types}
    model = save_bundle(tmp_path / "toy", make_toy_model(spec), by_cell_type=tables)
    made = Server(tmp_path, model=str(model), genome=str(genome))
    made.start()
    yield made
    made.stop()


def _between(first: int, last: int, _: Drawn, i: int, j: int) -> bool:
    return first <= min(i, j) and max(i, j) < last


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.long)])
def test_the_menu_switches_cell_types(browser: Any, two_types: Server, again: bool):
    """Maps, tracks, the edit and the difference are those of the cell type that is chosen, at the
    place that was looked at; a link brings them back: the tilesets and the place, and where this
    may take long the colours ``again``.
    """
    uids = {t["name"]: t["uuid"] for t in two_types.get("/api/v1/tilesets/")["results"]}
    page = Page(browser, two_types, (960, 480)).open()
    page.settle()
    menu = "(select) => [...select.options].map((option) => option.value)"
    assert page.tab.eval_on_selector("#cell-type", menu) == ["a", "b"]
    assert page.tab.input_value("#cell-type") == "a"
    edit = page.edit("chrA:5,013-5,401 del")
    page.go("chrA:3,000-7,000", (3_000, 7_000))

    def tilesets(cell_type: str, edit: str) -> dict[tuple[str, str], str]:
        """The tileset that each map must be drawn of; asserts it of the track that is no map."""
        made = two_types.get(f"/api/v1/edits/?d={edit}")
        assert made["cell_type"] == cell_type
        track = "window.orcaCool.hgApi.getTrackObject('reference', 'insulation').tilesetUid"
        assert page.tab.evaluate(track) == uids[f"toy, {cell_type}, insulation"]
        return {
            ("reference", "predicted-logoe"): uids[f"toy, {cell_type}, predicted"],
            (f"edit-{edit}", "edited-logoe"): made["tilesets"]["map"],
            (f"difference-{edit}", "difference"): made["tilesets"]["difference"],
        }

    def shown(cell_type: str, edit: str) -> np.ndarray:
        """What is drawn has the colours of the cell type's tiles; the values of the map."""
        values = {}
        for (view, track), tileset in tilesets(cell_type, edit).items():
            # not where breakpoints are drawn; nor, of the difference, where there is hardly any
            keep = partial(_between, *((138, 300) if track == "difference" else (0, 110)))
            drawn, values[track] = compare(page, view, track, keep, name=f"{cell_type}-{track}")
            assert drawn.tileset == tileset
            assert drawn.resolution == 40
        return values["predicted-logoe"]

    before = shown("a", edit)
    page.tab.select_option("#cell-type", "b")
    page.wait(
        "(old) => window.orcaCool.state.edits.length === 1 "
        "&& window.orcaCool.state.edits[0] !== old",
        edit,
    )
    page.wait("() => !document.getElementById('cell-type').disabled")
    page.settle()
    assert page.tab.inner_text("#message") == ""
    assert page.tab.input_value("#cell-type") == "b"
    (other,) = page.state()["edits"]
    where = page.tab.evaluate("window.orcaCool.hgApi.getLocation('reference').xDomain")
    assert where == pytest.approx([3_000, 7_000], abs=50)
    after = shown("b", other)
    parts = np.linspace(0, 1, 11)
    assert np.abs(np.quantile(before, parts) - np.quantile(after, parts)).max() > 0.1

    # back, and forward again
    page.wait("() => history.state?.orca?.cell_type === 'b'")
    for step, cell_type, expected in (("back", "a", edit), ("forward", "b", other)):
        page.tab.evaluate(f"history.{step}()")
        page.wait(
            "([type, edits]) => document.getElementById('cell-type').value === type "
            "&& String(window.orcaCool.state.edits) === edits && !window.orcaCool.state.moving",
            [cell_type, expected],
        )
        page.settle()
        assert (
            page.drawn("reference", "predicted-logoe").tileset
            == (uids[f"toy, {cell_type}, predicted"])
        )

    page.tab.click("#link")
    page.tab.wait_for_selector("#shared:visible")
    url = page.tab.input_value("#shared-url")
    page.close()
    page = Page(browser, two_types, (960, 480)).open(url.removeprefix(two_types.url))
    page.settle()
    assert page.tab.input_value("#cell-type") == "b"
    assert page.state()["edits"] == [other]
    where = page.tab.evaluate("window.orcaCool.hgApi.getLocation('reference').xDomain")
    assert where == pytest.approx([3_000, 7_000], abs=50)
    for (view, track), tileset in tilesets("b", other).items():
        assert page.drawn(view, track).tileset == tileset
    if again:
        shown("b", other)

    # a further edit is of what is shown
    further = page.edit("chrB:3,000-3,400 inv")
    assert two_types.get(f"/api/v1/edits/?d={further}")["cell_type"] == "b"
    assert page.problems == []
    page.close()
