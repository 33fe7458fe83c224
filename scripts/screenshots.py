"""Makes the pictures of the page in README and docs anew, in a real Chromium:

    python scripts/screenshots.py            # all
    python scripts/screenshots.py film       # only the recording

docs/browser.png (an edit beside its reference), docs/browser-dark.png, docs/browser-levels.png (all
levels side by side) and docs/browser.gif, a recording of half a minute: open, drag, delete,
difference, why. Needs playwright and a Chromium, as the tests of the page do.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import FLAGS, Page, Server, chromium  # noqa: E402

DOCS = ROOT / "docs"
CHR_I = 230_208
DELETION = "chrII:238,208-238,325 del"
SIZE = {"width": 1280, "height": 720}
FILM = {"width": 960, "height": 540}

#: What a recording shows of the hand that moves the mouse, and what is said.
STAGE = """(() => {
  const styled = (node, styles) => Object.assign(node.style, styles);
  const made = (styles) => {
    const node = document.createElement("div");
    node.setAttribute("aria-hidden", "true");
    styled(node, { position: "fixed", zIndex: 1000, pointerEvents: "none", ...styles });
    document.body.append(node);
    return node;
  };
  document.addEventListener("DOMContentLoaded", () => {
    const words = made({
      left: "50%", bottom: "34px", transform: "translateX(-50%)", padding: "6px 14px",
      borderRadius: "6px", background: "#10151d", color: "#fff", whiteSpace: "nowrap",
      font: "600 17px system-ui, sans-serif", visibility: "hidden",
    });
    const hand = made({
      width: "16px", height: "16px", margin: "-8px", borderRadius: "50%", left: "480px",
      top: "300px", border: "2px solid #fff", background: "#f5a623", boxShadow: "0 0 3px #000",
    });
    const press = (down) => styled(hand, {
      background: down ? "#d0021b" : "#f5a623", transform: down ? "scale(0.75)" : "",
    });
    const follow = ({ clientX: x, clientY: y }) => styled(hand, { left: `${x}px`, top: `${y}px` });
    addEventListener("mousemove", follow, true);
    addEventListener("pointerdown", () => press(true), true);
    addEventListener("pointerup", () => press(false), true);
    window.say = (text) => {
      words.textContent = text;
      styled(words, { visibility: text ? "visible" : "hidden" });
    };
  });
})()"""


def region_of(page: Page, text: str, start: int, end: int) -> None:
    page.go(text, (CHR_I + start, CHR_I + end))


class Film:
    """A recording of a tab, frame by frame: what is held long is one frame, so that nothing depends
    on how fast the page is drawn.

    Parameters
    ----------
    page : what is recorded. The mouse is moved by :meth:`move`.
    """

    def __init__(self, page: Page):
        self.page, self.tab = page, page.tab
        self.frames: list[tuple[Image.Image, int]] = []
        self.at = (480.0, 300.0)

    def take(self, seconds: float) -> None:
        """What is seen, for some seconds."""
        picture = Image.open(io.BytesIO(self.tab.screenshot())).convert("RGB")
        self.frames.append((picture, round(1000 * seconds)))

    def say(self, text: str, seconds: float = 0.0) -> None:
        """Put words below the maps."""
        self.tab.evaluate("(text) => window.say(text)", text)
        if seconds:
            self.take(seconds)

    def move(self, x: float, y: float, seconds: float = 0.5, steps: int = 5) -> None:
        """Move the mouse, with a frame for each step."""
        (left, top), n = self.at, max(1, steps)
        for k in range(1, n + 1):
            self.tab.mouse.move(left + (x - left) * k / n, top + (y - top) * k / n)
            self.take(seconds / n)
        self.at = (x, y)

    def click(self, selector: str, seconds: float = 0.4) -> None:
        """Move to an element, and click it."""
        box = self.tab.locator(selector).bounding_box()
        self.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, 0.5)
        self.press(seconds)

    def press(self, seconds: float = 0.4) -> None:
        self.tab.mouse.down()
        self.take(0.15)
        self.tab.mouse.up()
        self.take(seconds)

    def seconds(self) -> float:
        return sum(duration for _, duration in self.frames) / 1000

    def save(self, path: Path, colours: int = 192) -> None:
        """As a GIF with one palette, that of all frames together."""
        width, height = self.frames[0][0].size
        few = self.frames[:: max(1, len(self.frames) // 12)]
        together = Image.new("RGB", (width, height * len(few)))
        for k, (picture, _) in enumerate(few):
            together.paste(picture, (0, k * height))
        palette = together.quantize(colours, method=Image.Quantize.MAXCOVERAGE)
        still = Image.Dither.NONE
        flat = [picture.quantize(palette=palette, dither=still) for picture, _ in self.frames]
        durations = [duration for _, duration in self.frames]
        flat[0].save(
            path, save_all=True, append_images=flat[1:], duration=durations, loop=0, optimize=False
        )


def record(page: Page) -> Film:
    """Open, drag, delete, difference, why."""
    film = Film(page)
    page.tab.select_option("#value", "logoe")
    region_of(page, "chrII:140,000-340,000", 140_000, 340_000)
    film.say("Above the diagonal: predicted from sequence, as you look. Below: measured.", 4.0)
    drawn = page.drawn("reference", "predicted-logoe")

    film.say("Drag with Shift over what you want to edit …", 1.0)
    start, stop = (drawn.pixel(CHR_I + x, CHR_I + 300_000)[1] for x in (230_000, 246_000))
    row = drawn.top + 0.35 * drawn.height
    film.move(start, row, 0.8)
    page.tab.keyboard.down("Shift")
    page.tab.mouse.down()
    film.move(stop, row, 1.0, 6)
    page.tab.mouse.up()
    page.tab.keyboard.up("Shift")
    page.tab.wait_for_selector("#this-menu:visible")
    film.take(0.8)

    film.say("… and delete it: here, the centromere of chromosome II.")
    film.click("[data-kind=del]", 0.8)
    film.click("#apply", 0.3)
    page.wait("() => window.orcaCool.state.edits.length === 1")
    page.settle()
    film.say("The edited genome, predicted beside its reference …", 3.0)

    (edit,) = page.state()["edits"]
    difference = page.drawn(f"difference-{edit}", "difference")
    film.say("… and what that changes: the arms touch again across the breakpoint.")
    for x, y in ((300_000, 200_000), (260_000, 215_000)):
        row, column = difference.pixel(CHR_I + x, CHR_I + y)
        film.move(column, row, 0.8)
        page.wait("() => document.getElementById('readout').textContent")
        film.take(1.4)

    film.say("Why? Click on the map of the reference, and choose a question.")
    reference = page.drawn("reference", "predicted-logoe")
    row, column = reference.pixel(CHR_I + 290_000, CHR_I + 200_000)
    film.move(column, row, 1.0)
    film.press(0.2)
    page.wait("() => document.querySelector('#why li button')")
    film.take(1.8)
    film.click("#why li:first-child button", 0.3)
    page.wait("() => window.orcaCool.hgApi.getTrackObject('reference', 'why-1')?.tilesetInfo")
    page.settle()
    film.say("The answer: what each base contributes. It is the centromere.", 3.0)
    return closer(film)


def closer(film: Film) -> Film:
    """Go to the bases that answer."""
    film.page.tab.evaluate("document.activeElement.blur()")
    place = (236_265, 240_265)
    region_of(film.page, "chrII:{:,}-{:,}".format(*place), *place)
    film.take(1.5)
    region_of(film.page, "chrII:238,294-238,328", 238_294, 238_328)  # letters of 5 pixels
    film.page.wait("() => document.querySelectorAll('#letters text').length > 20")
    film.say("Closer, they are letters.", 3.0)
    return film


def stills(page: Page) -> Iterator[str]:
    """The names of pictures, each when what it shows is on the screen."""
    page.tab.select_option("#value", "logoe")
    region_of(page, "chrII:140,000-340,000", 140_000, 340_000)
    page.edit(DELETION)
    yield "browser"
    page.tab.emulate_media(color_scheme="dark")
    page.wait("() => getComputedStyle(document.body).backgroundColor === 'rgb(22, 25, 31)'")
    page.settle()
    yield "browser-dark"
    page.tab.emulate_media(color_scheme="light")
    page.settle()
    page.tab.click("#all-levels")
    page.wait("() => document.querySelectorAll('#levels .pane').length === 9")
    page.settle()
    yield "browser-levels"


@contextmanager
def opened(size: dict[str, int], script: str | None = None) -> Iterator[Page]:
    """The page of a server of the example, in a window of some size; ``script`` runs in it."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder))
        server.start()
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            page = Page(browser, server, (size["width"], size["height"]))
            if script:
                page.tab.add_init_script(script)
            page.open().settle()
            yield page
            assert page.problems == [], page.problems
        finally:
            browser.close()
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["all", "stills", "film"], default="all")
    parser.add_argument("-o", "--output", type=Path, default=DOCS, help="folder (docs)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.what != "film":
        with opened(SIZE) as page:
            for name in stills(page):
                page.tab.mouse.move(1, 1)
                page.tab.wait_for_timeout(500)
                picture = Image.open(io.BytesIO(page.tab.screenshot())).convert("RGB")
                picture.save(options.output / f"{name}.png", optimize=True)
    if options.what != "stills":
        with opened(FILM, STAGE) as page:
            film = record(page)
        film.save(options.output / "browser.gif")
        print(f"{film.seconds():.1f} s, {(options.output / 'browser.gif').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
