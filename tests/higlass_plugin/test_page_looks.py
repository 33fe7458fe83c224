"""The looks of the page in a real browser: dark, in windows of all sizes, all levels side by side,
and for those who cannot see it as others do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browser import Drawn, Page, Server
from pictures import pixels, saved

import orca_cool as oc

CHR_I, CHR_II = 230_208, 813_178
#: The centromere of chromosome II in the example genome, 0-based.
CENTROMERE = (238_208, 238_325)
DELETION, OTHER = "chrII:238,208-238,325 del", "chrII:250,000-260,000 inv"
#: The ground of the page.
LIGHT, DARK = (255, 255, 255), (0x16, 0x19, 0x1F)
#: Bins and windows of the model's levels.
LEVELS = [(8000, 1_024_000), (4000, 512_000), (2000, 256_000)]
PHONE = (390, 844)

CONF = "() => window.orcaCool.hgApi.getViewConfig()"

#: Boxes of what stands on the page: [name, left, top, right, bottom] of texts and of maps.
BOXES = """() => {
  const found = [];
  const add = (name, { left, top, right, bottom }) => right > left && bottom > top && found.push([name, left, top, right, bottom]);
  const texts = "header h1, header input, header select, header button, #progress, .pane b, .pane .state, .pane .note, #rows span, .scale figcaption, "
    + ".scale .bar span, .missing, #edits li, #edits li button, #readout, #levels-note, #levels .row";
  for (const node of document.querySelectorAll(texts)) {
    if (node.checkVisibility({ visibilityProperty: true }) && (node.matches("input, select, #readout") || node.textContent)) {
      const name = node.id || `${node.className || node.tagName} ${node.textContent.slice(0, 20)}`;
      if (node.matches("#rows span")) { // it is as high as its row: where its text is counts
        const range = document.createRange();
        range.selectNodeContents(node);
        add(name, range.getBoundingClientRect());
      } else add(name, node.getBoundingClientRect());
    }
  }
  const canvas = document.querySelector("#higlass canvas").getBoundingClientRect();
  const frame = document.getElementById("window").getBoundingClientRect();
  for (const view of window.orcaCool.hgApi.getViewConfig().views) {
    const [map] = view.tracks.center[0].contents;
    const { position, dimensions } = window.orcaCool.hgApi.getTrackObject(view.uid, map.uid);
    const [left, top] = [canvas.left + position[0], canvas.top + position[1]];
    const [right, bottom] = [left + dimensions[0], top + dimensions[1]];
    add(`map ${view.uid}`, { left, top: Math.max(top, frame.top), right, bottom: Math.min(bottom, frame.bottom) });
  }
  return found;
}"""


@pytest.fixture(scope="module")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("looks")
    genes = folder / "genes.bed"
    genes.write_text(
        "chrI\t50000\t70000\tYAA1\t0\t+\nchrII\t200000\t201000\tYBB1\t0\t-\n"
        "chrII\t270000\t271000\tYBB12\t9\t+\n"
    )
    made = Server(folder, genes)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def page(browser: Any, server: Server) -> Iterator[Page]:
    """The page at a region, without an edit."""
    opened = Page(browser, server, (800, 520)).open()
    opened.go("chrII:180k-300k", (CHR_I + 180_000, CHR_I + 300_000))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def edited(browser: Any, server: Server) -> Iterator[tuple[Page, list[str]]]:
    """A page on which two edits are open, of which the first is shown."""
    opened = Page(browser, server, (960, 540)).open()
    opened.go("chrII:180k-300k", (CHR_I + 180_000, CHR_I + 300_000))
    edits = [opened.edit(OTHER), opened.edit(DELETION)]
    yield opened, edits
    opened.close()


def resize(page: Page, size: tuple[int, int]) -> None:
    """Give the page's window another size, and wait until all is drawn in it."""
    page.tab.set_viewport_size(dict(zip(("width", "height"), size)))
    page.wait(
        """([width, height]) => innerWidth === width && innerHeight === height
          && window.orcaCool.hgApi.getViewConfig().views.every(({ uid }) => window.orcaCool.hgApi.getComponent().tiledPlots[uid]?.trackRenderer)""",
        list(size),
    )
    page.settle()


def begin(page: Page, size: tuple[int, int], levels: bool = False) -> None:
    """The reference alone, all its levels or one map, whatever the test before has left."""
    resize(page, size)
    while page.state()["edits"]:
        number = len(page.state()["edits"])
        page.tab.click("#edits li button:last-child")
        page.wait(f"() => window.orcaCool.state.edits.length < {number}")
    page.tab.select_option("#value", "logoe" if levels else "weight")
    if (page.tab.get_attribute("#all-levels", "aria-pressed") == "true") != levels:
        page.tab.click("#all-levels")
    page.wait(f"{CONF[6:]}.views.length === {3 if levels else 1}")
    page.settle()


def in_colours(page: Page, scheme: str) -> None:
    """The browser asks for light or dark."""
    page.tab.emulate_media(color_scheme=scheme)
    page.wait(
        """(scheme) => matchMedia(`(prefers-color-scheme: ${scheme})`).matches
          && window.orcaCool.state.dark === (scheme === "dark")""",
        scheme,
    )
    page.settle()


def ground(page: Page) -> tuple[int, ...]:
    """The ground of HiGlass on the screen: at the corner of its axes."""
    x, y = page.tab.evaluate(
        """() => {
          const { left, top } = document.querySelector("#higlass canvas").getBoundingClientRect();
          return [left, top];
        }"""
    )
    return tuple(int(v) for v in page.picture()[int(y) + 3, int(x) + 3])


def list_of_models(page: Page) -> Any:
    """The list of models in another tab of the same browser."""
    with page.tab.expect_popup() as opened:
        page.tab.evaluate("() => { window.open('models'); }")
    opened.value.wait_for_load_state()
    return opened.value


def wrong_colours(drawn: Drawn, picture: np.ndarray) -> tuple[int, int]:
    """Of how many pairs of bins the screen has another colour than that of their value, and how
    many were looked at.
    """
    bins = [(i, j) for i, j in drawn.bins() if abs(i - j) > 2]
    values = np.array([drawn.value(i, j) for i, j in bins])
    r = drawn.resolution
    found = [picture[drawn.pixel((j + 0.5) * r, (i + 0.5) * r)] for i, j in bins]
    wrong = np.abs(np.array(found) - drawn.colours(values)).max(axis=1) > 6
    return int(wrong.sum()), len(bins)


# ---- dark


def test_the_page_is_dark_where_the_browser_asks_for_it_and_maps_keep_their_colours(page: Page):
    in_colours(page, "light")
    assert ground(page) == LIGHT
    in_colours(page, "dark")
    assert ground(page) == DARK
    body = "getComputedStyle(document.body).backgroundColor"
    assert page.tab.evaluate(body) == "rgb({}, {}, {})".format(*DARK)
    picture = page.picture("dark")
    drawn = page.drawn("reference", "predicted-weight")
    bins = [(i, j) for i, j in drawn.bins() if j - i > 5]
    values = np.array([drawn.value(i, j) for i, j in bins])
    r = drawn.resolution
    found = [picture[drawn.pixel((j + 0.5) * r, (i + 0.5) * r)] for i, j in bins]
    np.testing.assert_allclose(found, drawn.colours(values), atol=4)
    assert drawn.ground == "#d5d9e0"  # what has no value, as on a light page
    assert page.problems == []


def _luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb", as WCAG defines it."""
    parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(one: str, other: str) -> float:
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("scheme", "on"), [("light", "#ffffff"), ("dark", "#16191f")])
def test_tracks_can_be_read_on_their_ground(page: Page, scheme: str, on: str):
    """Words with a contrast of 4.5 at least, bars and genes with 3, as WCAG asks for."""
    in_colours(page, scheme)
    (view,) = page.tab.evaluate(CONF)["views"]
    rows = [track for side in ("top", "left") for track in view["tracks"][side]]
    assert len(rows) == 5
    for track in rows:
        options = track["options"]
        words = {"color", "plusStrandColor", "minusStrandColor"} & set(options)  # names of genes
        for name in {"barFillColor", "fillColor"} & set(options) | words:
            least = 4.5 if name in words else 3
            assert _contrast(options[name], on) >= least, (track["uid"], name, options[name])


def test_the_choice_is_remembered_and_is_followed_by_the_list_of_models(page: Page):
    in_colours(page, "light")
    page.tab.select_option("#theme", "dark")
    page.wait("() => window.orcaCool.state.dark")
    page.settle()
    assert ground(page) == DARK
    listed = list_of_models(page)
    body = "getComputedStyle(document.body).backgroundColor"
    assert listed.evaluate(body) == "rgb({}, {}, {})".format(*DARK)
    assert listed.input_value("#theme") == "dark"
    listed.select_option("#theme", "auto")
    assert listed.evaluate(body) == "rgb(255, 255, 255)"
    listed.close()
    page.wait("() => document.getElementById('theme').value === 'auto'")  # in the other tab, too
    page.wait("() => !window.orcaCool.state.dark")
    page.settle()
    assert ground(page) == LIGHT


def _look(conf: dict[str, Any]) -> list[dict[str, Any]]:
    """All options of tracks that are colours, in their order."""
    found: list[dict[str, Any]] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            found.extend([value["options"]] if isinstance(value.get("options"), dict) else [])
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)

    collect(conf["views"])
    chosen = re.compile("olor$|Range$|^stroke$|backgroundColor")
    return [{k: v for k, v in options.items() if chosen.search(k)} for options in found]


def test_links_and_pictures_of_a_dark_page_are_light(page: Page):
    """What is sent to others is as the server made it."""
    found = []
    for scheme in ("light", "dark"):
        in_colours(page, scheme)
        page.tab.click("#link")
        page.tab.wait_for_selector("#shared:visible")
        saved = page.tab.input_value("#shared-url").partition("=")[2]
        page.tab.click("#shared-close")
        conf = page.server.get(f"/api/v1/viewconfs/?d={saved}")
        with page.tab.expect_download() as download:
            page.tab.click("#svg")
        svg = download.value.path().read_text()
        with page.tab.expect_download() as download:
            page.tab.click("#png")
        png = pixels(download.value.path().read_bytes())
        found.append((conf, svg, png))
    (_, day, first), (dark, night, second) = found
    assert "#16191f" not in json.dumps(dark) + night
    first_page = page.server.get("/api/v1/viewconfs/?d=default")
    for ours, theirs in zip(_look(dark), _look(first_page), strict=False):
        assert theirs.items() <= ours.items()
    colour = re.compile(r"#[0-9a-f]{6}\b|rgb\([^)]*\)", re.I)
    assert set(colour.findall(night)) == set(colour.findall(day))
    assert tuple(second[2, 2]) == (255, 255, 255)
    assert first.shape == second.shape
    assert (np.abs(first - second).max(axis=2) > 25).mean() < 0.01
    in_colours(page, "light")


# ---- all levels side by side


def _levels(page: Page, views: str = "reference") -> list[dict[str, Any]]:
    """The views of the levels, the coarsest first."""
    return [v for v in page.tab.evaluate(CONF)["views"] if v["uid"].startswith(views)]


def _centres(page: Page, view: str = "reference") -> list[float]:
    found = [
        page.tab.evaluate("(v) => window.orcaCool.hgApi.getLocation(v)", f"{view}-{r}")
        for r, _ in LEVELS
    ]
    return [float(np.mean(place[axis])) for place in found for axis in ("xDomain", "yDomain")]


def test_all_levels_are_shown_around_one_position(page: Page):
    """Each in its own bins, with the colours of its own tiles, in a window of its own size."""
    begin(page, (960, 540))
    page.go("chrII:350k-450k", (CHR_I + 350_000, CHR_I + 450_000))
    begin(page, (960, 540), levels=True)
    assert page.tab.get_attribute("#all-levels", "aria-pressed") == "true"
    names = page.tab.eval_on_selector_all("#levels .pane b", "(all) => all.map((b) => b.innerText)")
    assert names == ["1.024 Mb, 8 kb bins", "512 kb, 4 kb bins", "256 kb, 2 kb bins"]
    assert page.tab.inner_text("#levels-at") == "chrII:400,000"
    # the coarsest window is larger than the chromosome, which lies in its middle
    middle = CHR_I + CHR_II / 2
    assert _centres(page) == pytest.approx([middle] * 2 + [CHR_I + 400_000] * 4, abs=200)

    picture = page.picture("all-levels")
    for resolution, window in LEVELS:
        drawn = page.drawn(f"reference-{resolution}", "predicted-logoe")
        assert drawn.resolution == resolution
        assert drawn.width == pytest.approx(drawn.height, abs=2)
        assert drawn.x[1] - drawn.x[0] == pytest.approx(window, rel=0.01)
        wrong, number = wrong_colours(drawn, picture)
        assert number > 1000
        # a bin may be narrower than two pixels, and its middle lie on the edge of one
        assert wrong / number < 0.03
    assert page.problems == []


def test_a_click_moves_the_finer_levels_and_back_undoes_it(page: Page):
    begin(page, (960, 540), levels=True)
    page.wait("() => history.state?.orca?.series && !window.orcaCool.state.moving")
    before = _centres(page)
    drawn = page.drawn("reference-8000", "predicted-logoe")
    row, column = drawn.pixel(CHR_I + 300_000, CHR_I + 200_000)  # a dot: the middle of its places
    page.tab.mouse.click(column, row)
    page.wait("() => document.getElementById('levels-at').textContent.startsWith('chrII:2')")
    page.settle()
    after = _centres(page)
    assert after[:2] == pytest.approx(before[:2])
    assert after[2:] == pytest.approx([CHR_I + 250_000] * 4, abs=8000)
    # only a place that is stayed at can be gone back to
    page.wait("() => Math.abs(history.state.orca.series.at[4000] - 480208) < 8000")

    drawn = page.drawn("reference-4000", "predicted-logoe")
    row, column = drawn.pixel(CHR_I + 150_000, CHR_I + 150_000)
    page.tab.mouse.click(column, row)
    page.wait("() => document.getElementById('levels-at').textContent.startsWith('chrII:1')")
    page.settle()
    last = _centres(page)
    assert last[2:4] == pytest.approx(after[2:4])  # its own level stays
    assert last[4:] == pytest.approx([CHR_I + 150_000] * 2, abs=4000)

    page.wait("() => Math.abs(history.state.orca.series.at[2000] - 380208) < 4000")
    page.tab.click("#undo")
    page.wait("() => document.getElementById('levels-at').textContent.startsWith('chrII:2')")
    page.settle()
    assert _centres(page) == pytest.approx(after, abs=200)
    # a place that is typed is one for all levels
    page.tab.fill("#region", "chrII:550,000-650,000")
    page.tab.press("#region", "Enter")
    page.wait("() => document.getElementById('levels-at').textContent === 'chrII:600,000'")
    page.settle()
    # the window of 512 kb ends with the chromosome
    ends = CHR_I + CHR_II - 256_000
    assert _centres(page)[2:] == pytest.approx([ends] * 2 + [CHR_I + 600_000] * 2, abs=400)
    assert page.problems == []


def test_an_edit_has_its_levels_below_and_one_map_is_shown_again(page: Page):
    begin(page, (1000, 1080), levels=True)  # two pixels a bin
    edit = page.edit(DELETION)
    page.wait(f"{CONF[6:]}.views.length === 9")
    page.settle()
    views = ["reference", f"edit-{edit}", f"difference-{edit}"]
    uids = [f"{view}-{r}" for view in views for r, _ in LEVELS]
    assert [view["uid"] for view in page.tab.evaluate(CONF)["views"]] == uids
    maps = [
        page.drawn(f"{view}-{r}", name)
        for view, name in zip(views, ("predicted-logoe", "edited-logoe", "difference"))
        for r, _ in LEVELS
    ]
    grid = np.array([[d.left, d.top, d.width, d.height, d.resolution] for d in maps])
    grid = grid.reshape(3, 3, 5)
    assert np.ptp(grid[:, :, 0], axis=0) == pytest.approx(0)  # levels below each other
    assert np.ptp(grid[:, :, 1], axis=1) == pytest.approx(0)
    assert grid[:, :, 4].tolist() == [[r for r, _ in LEVELS]] * 3
    picture = page.picture("all-levels-of-an-edit")
    wrong, number = wrong_colours(maps[5], picture)
    assert wrong / number < 0.1, "the edited map at its finest level"
    # saved pictures name the rows, too, read from below
    svg = saved(page, "svg").decode()
    for words in ("reference", DELETION, "difference"):
        upwards = rf'<text transform="matrix\(0 -1 1 0 [^>]*>{re.escape(words)}<'
        assert re.search(upwards, svg), words
    # the breakpoint is where the levels look
    assert page.tab.inner_text("#levels-at").startswith("chrII:238,2")

    page.tab.click("#all-levels")
    page.wait(f"{CONF[6:]}.views.length === 3")
    page.settle()
    assert [view["uid"] for view in page.tab.evaluate(CONF)["views"]] == views
    assert page.tab.is_hidden("#levels")
    assert page.problems == []


def test_what_the_page_says_of_levels_and_of_one_cascade_is_so():
    """The maps of the page are made of all windows of a level; `predict --at` has one window of each
    level, whose values differ a little.
    """
    predictor = oc.Predictor("yeast-metaphase", "example", progress=False, device="cpu")
    one = predictor.zoom("chrII:400,000")
    for resolution, _ in LEVELS:
        level = one[resolution]
        start = max(0, level.region.start)
        end = min(CHR_II // resolution * resolution, level.region.end)
        joined = predictor.predict(f"chrII:{start}-{end}", resolution=resolution)
        cut = (start - level.region.start) // resolution
        side = (end - start) // resolution
        ours, theirs = joined.values, level.values[cut : cut + side, cut : cut + side]
        known = np.isfinite(ours) & np.isfinite(theirs)
        known &= np.abs(np.subtract.outer(*[np.arange(side)] * 2)) >= 2
        r = np.corrcoef(ours[known], theirs[known])[0, 1]
        assert 0.9 < r
        assert np.abs(ours[known] - theirs[known]).max() > 1e-3, "else the page says too little"


# ---- windows of all sizes


def _overlaps(boxes: list[list[Any]], size: tuple[int, int]) -> list[str]:
    """What lies on something else, or is cut off at the window's edge."""
    found = []
    for name, left, top, right, bottom in boxes:
        if left < -1 or top < -1 or right > size[0] + 1 or bottom > size[1] + 1:
            found.append(f"{name} leaves the window")
    for k, (name, left, top, right, bottom) in enumerate(boxes):
        for other, *box in boxes[k + 1 :]:
            wide = min(right, box[2]) - max(left, box[0])
            high = min(bottom, box[3]) - max(top, box[1])
            if wide > 1 and high > 1:
                found.append(f"{name} on {other}: {wide:.0f} x {high:.0f}")
    return found


def no_overlaps(page: Page, size: tuple[int, int]) -> None:
    """Assert that nothing lies on anything else, but for what stands on a tab of an edit."""
    boxes = page.tab.evaluate(BOXES)
    tabs = [box for box in boxes if box[0].startswith(("LI ", "shown "))]
    names = [box for box in boxes if box not in tabs]
    inside = re.compile(r"^(name |BUTTON [‹›×])")
    assert _overlaps([box for box in names if not inside.match(box[0])] + tabs, size) == []
    assert sum(box[0].startswith("map ") for box in boxes) >= 1
    wide = page.tab.evaluate("document.documentElement.scrollWidth")
    assert wide <= size[0]


@pytest.mark.parametrize(
    "size", [(1920, 1080), (1280, 720), (960, 540), PHONE], ids=lambda s: f"{s[0]}x{s[1]}"
)
def test_nothing_overlaps(edited: tuple[Page, list[str]], size: tuple[int, int]):
    """With two edits open."""
    page, _ = edited
    resize(page, size)
    page.wait("() => document.querySelectorAll('#edits li').length === 2")
    page.wait("() => document.querySelectorAll('.scale').length >= 2")
    page.picture(f"two-edits-{size[0]}")
    no_overlaps(page, size)
    maps = [box for box in page.tab.evaluate(BOXES) if box[0].startswith("map ")]
    assert max(bottom - top for _, _, top, _, bottom in maps) >= 0.3 * size[1]
    assert page.problems == []


@pytest.mark.parametrize("size", [(1280, 720), PHONE], ids=["laptop", "phone"])
def test_nothing_overlaps_in_all_levels(page: Page, size: tuple[int, int]):
    begin(page, size, levels=True)
    page.wait("() => document.querySelectorAll('#levels .pane').length === 3")
    page.picture(f"all-levels-{size[0]}")
    no_overlaps(page, size)
    sides = [
        (box[3] - box[1], box[4] - box[2])
        for box in page.tab.evaluate(BOXES)
        if box[0].startswith("map ")
    ]
    assert len(sides) == 3
    assert all(wide == pytest.approx(high, abs=2) and wide > 120 for wide, high in sides)


# ---- for everybody


def violations(tab: Any) -> list[tuple[str, str, list[str]]]:
    """What axe-core finds that is serious or critical: rule, help, places."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(tab).response["violations"]
    return [
        (v["id"], v["help"], [node["html"][:150] for node in v["nodes"]][:5])
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(
    ("size", "scheme"), [((960, 540), "light"), (PHONE, "dark")], ids=["window-light", "phone-dark"]
)
def test_axe_finds_nothing_serious(
    edited: tuple[Page, list[str]], size: tuple[int, int], scheme: str
):
    """With two edits, with dialogs and menus open, and in all levels."""
    page, _ = edited
    resize(page, size)
    in_colours(page, scheme)
    assert violations(page.tab) == []

    page.tab.keyboard.press("Escape")
    page.tab.evaluate("document.activeElement.blur()")
    page.tab.click("#keys")
    assert page.tab.is_visible("#help")
    assert violations(page.tab) == []
    page.tab.click("#help-close")

    page.tab.click("#link")  # first, since a menu may lie over the button
    page.tab.wait_for_selector("#shared:visible")
    page.tab.click("#this")
    page.tab.fill("#region", "ybb")
    page.tab.wait_for_selector("#suggestions:visible")
    page.tab.fill("#edit", "chrII:5-4 del")
    page.tab.press("#edit", "Enter")
    page.tab.wait_for_selector("#message:visible")
    assert violations(page.tab) == []
    page.tab.click("#shared-close")
    page.tab.click("#this-close")
    page.tab.evaluate("document.getElementById('message').hidden = true")
    in_colours(page, "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_lists_and_panels(page: Page, scheme: str):
    """A list of regions, the panel that asks why, all levels, and the list of models."""
    in_colours(page, scheme)
    begin(page, (960, 540))
    page.tab.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["chrII\\t300000\\t340000\\tmiddle\\nchrI\\t5000\\t9000\\n"], "places.bed"));
          document.getElementById("higlass").dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true, bubbles: true }));
        }"""
    )
    page.tab.wait_for_selector("#list:visible")
    page.settle()
    drawn = page.drawn("reference", "predicted-weight")
    page.tab.mouse.click(drawn.left + 0.8 * drawn.width, drawn.top + 0.2 * drawn.height)
    page.wait("() => document.querySelector('#why li button')")
    assert violations(page.tab) == []
    page.tab.keyboard.press("Escape")
    page.tab.click("#list button[title='Close the list']")
    begin(page, (960, 540), levels=True)
    page.wait("() => document.querySelectorAll('#levels .pane').length === 3")
    assert violations(page.tab) == []
    listed = list_of_models(page)
    listed.emulate_media(color_scheme=scheme)
    assert violations(listed) == []
    listed.close()
    assert page.problems == []


def test_the_focus_of_the_keyboard_is_seen(page: Page):
    """Every button and box that the tab key reaches has an outline, and a name."""
    in_colours(page, "light")
    page.tab.click("#title")  # the tab key goes on from what was clicked last
    seen = []
    for _ in range(40):
        page.tab.keyboard.press("Tab")
        found = page.tab.evaluate(
            """() => {
              const node = document.activeElement;
              const { outlineStyle, outlineWidth } = getComputedStyle(node);
              return [node.closest("header") ? node.id : "", outlineStyle, parseFloat(outlineWidth)];
            }"""
        )
        if not found[0]:
            break
        seen.append(found[0])
        assert found[1] != "none", found
        assert found[2] >= 2, found
    assert {"region", "this", "edit", "apply", "all-levels", "undo", "theme", "png"} <= set(seen)
