"""The boxes, the keyboard and the history of the page, in a real browser. No colours are looked at,
so the window is small: drawing is what takes time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import Page, Server

CHR_I, CHR_II = 230_208, 813_178


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("boxes")
    genes = folder / "genes.gff3"
    genes.write_text(
        "##gff-version 3\n"
        "chrI\tSGD\tgene\t50001\t70000\t.\t+\t.\tID=YAA1;Name=YAA1;gene=LONG1;Alias=OLD7\n"
        "chrII\tSGD\tgene\t300001\t301000\t.\t-\t.\tID=YBB1;Name=YBB1\n"
        "chrII\tSGD\tgene\t500001\t501000\t.\t-\t.\tID=YBB12;Name=YBB12\n"
    )
    server = Server(folder, genes)
    server.start()
    opened = Page(browser, server, (760, 420)).open()
    yield opened
    opened.close()
    server.stop()


def arrives(page: Page, start: float, end: float, axis: str = "xDomain") -> None:
    """Wait until the reference shows [start, end], within a pixel or two."""
    page.wait(
        """([start, end, axis]) => {
          const [from, to] = window.orcaCool.hgApi.getLocation("reference")[axis];
          const near = 0.02 * (end - start);
          return Math.abs(from - start) < near && Math.abs(to - end) < near && !window.orcaCool.state.moving;
        }""",
        [start, end, axis],
    )


def rest(page: Page) -> None:
    """Nobody types: the keyboard is the map's."""
    page.tab.evaluate("document.activeElement.blur()")


def go(page: Page, text: str) -> None:
    page.tab.evaluate("document.getElementById('region').focus()")
    page.tab.keyboard.type(text)
    page.tab.keyboard.press("Enter")
    rest(page)


def drop(page: Page, name: str, text: str) -> None:
    """Drop a file on the map."""
    page.tab.evaluate(
        """([name, text]) => {
          const data = new DataTransfer();
          data.items.add(new File([text], name));
          const drop = new DragEvent("drop", { dataTransfer: data, cancelable: true, bubbles: true });
          document.getElementById("higlass").dispatchEvent(drop);
        }""",
        [name, text],
    )


REGIONS = {
    "II:200000-300000": (CHR_I + 200_000, CHR_I + 300_000),
    "chrII 200000 300000": (CHR_I + 200_000, CHR_I + 300_000),
    "chrII\t200000\t300000": (CHR_I + 200_000, CHR_I + 300_000),
    "chrii:200,000..300,000": (CHR_I + 200_000, CHR_I + 300_000),
    "CHRII:0.2M-300kb": (CHR_I + 200_000, CHR_I + 300_000),
    "chrII:200,000 - 300,000": (CHR_I + 200_000, CHR_I + 300_000),
    "chrI:20,000": (15_000, 25_000),
    "i": (0, CHR_I),
    "2:200,000-300,000": (CHR_I + 200_000, CHR_I + 300_000),
    "chr1": (0, CHR_I),
}


@pytest.mark.parametrize("text", REGIONS)
def test_regions_are_read_as_they_are_written(page: Page, text: str):
    sizes = [["chrI", CHR_I], ["chrII", CHR_II]]
    found = page.tab.evaluate(
        "([text, sizes]) => window.orcaCool.parseRegion(text, sizes)", [text, sizes]
    )
    assert found == list(REGIONS[text])


def test_what_lies_past_the_end_is_cut_and_said(page: Page):
    go(page, "II:700000-900000")
    arrives(page, CHR_I + 700_000, CHR_I + CHR_II)
    assert page.tab.inner_text("#message") == "chrII ends at 813,178: shown up to there"
    go(page, "chrII:900,000-901,000")
    page.wait("() => document.getElementById('message').textContent.includes('900,000')")
    assert page.tab.inner_text("#message") == "chrII:900,000-901,000: chrII ends at 813,178"


def test_suggestions_while_typing(page: Page):
    """Genes by their names and other names; the keyboard chooses one."""
    page.tab.evaluate("document.getElementById('region').focus()")
    page.tab.keyboard.type("ybb")
    page.tab.wait_for_selector("#suggestions:visible")
    names = "(list) => list.map((b) => b.textContent)"
    assert page.tab.eval_on_selector_all("#suggestions b", names) == ["YBB1", "YBB12"]
    page.tab.keyboard.press("ArrowDown")
    page.tab.keyboard.press("ArrowDown")
    chosen = page.tab.get_attribute("#region", "aria-activedescendant")
    assert page.tab.get_attribute(f"#{chosen}", "aria-selected") == "true"
    page.tab.keyboard.press("Enter")
    arrives(page, CHR_I + 490_000, CHR_I + 511_000)
    assert page.tab.is_hidden("#suggestions")
    go(page, "old7")  # an alias
    arrives(page, 10_000, 110_000)


def test_the_keyboard_moves_and_zooms(page: Page):
    go(page, "chrII:400,000-440,000")
    start, end = CHR_I + 400_000, CHR_I + 440_000
    arrives(page, start, end)
    page.tab.keyboard.press("ArrowRight")
    arrives(page, start + 10_000, end + 10_000)
    page.tab.keyboard.press("+")
    arrives(page, start + 20_000, end)
    page.tab.keyboard.press("-")
    arrives(page, start + 10_000, end + 10_000)
    page.tab.keyboard.press("/")
    assert page.tab.evaluate("document.activeElement.id") == "region"
    page.tab.keyboard.press("ArrowRight")  # of the box now
    rest(page)
    arrives(page, start + 10_000, end + 10_000)
    page.tab.keyboard.press("?")
    assert page.tab.is_visible("#help")
    page.tab.keyboard.press("Escape")
    assert page.tab.is_hidden("#help")


def test_back_and_undo(page: Page):
    """Places and edits are entries of the browser's history."""
    depth = "() => history.state?.depth ?? 0"
    go(page, "chrII:100,000-140,000")
    arrives(page, CHR_I + 100_000, CHR_I + 140_000)
    page.wait("() => Math.abs(history.state?.orca.x[0] - 330208) < 1000")
    before = page.tab.evaluate(depth)
    go(page, "chrII:600,000-640,000")
    arrives(page, CHR_I + 600_000, CHR_I + 640_000)
    page.wait("(n) => history.state.depth === n", before + 1)
    page.tab.keyboard.press("u")
    arrives(page, CHR_I + 100_000, CHR_I + 140_000)

    page.tab.fill("#edit", "chrII:120,000-121,000 del")
    page.tab.press("#edit", "Enter")
    page.wait("() => window.orcaCool.state.edits.length === 1")
    rest(page)
    arrives(page, CHR_I + 100_000, CHR_I + 140_000)  # what was looked at has the breakpoint in it
    page.wait("() => history.state.orca.shown !== null")
    page.tab.evaluate("history.back()")
    page.wait("() => window.orcaCool.state.edits.length === 0")
    arrives(page, CHR_I + 100_000, CHR_I + 140_000)
    page.tab.evaluate("history.forward()")
    page.wait("() => window.orcaCool.state.shown !== null")
    arrives(page, CHR_I + 100_000, CHR_I + 140_000)
    # a page that is loaded again shows what it showed
    rest(page)
    page.tab.reload()
    page.wait("() => window.orcaCool?.state.ready")
    assert len(page.state()["edits"]) == 1
    arrives(page, CHR_I + 100_000, CHR_I + 140_000)
    page.wait("() => document.getElementById('region').value.startsWith('chrII:100,000')")
    page.tab.click("#edits li button:last-child")
    page.wait("() => window.orcaCool.state.edits.length === 0")
    assert page.problems == []


def test_files_may_be_dropped_anywhere(page: Page):
    variants = [
        "chrI\t100000\t.\tN\t<DEL>\t.\tPASS\tSVTYPE=DEL;END=104000",
        "chrII\t500000\tturned\tN\t<INV>\t.\tPASS\tSVTYPE=INV;END=520000",
    ]
    drop(page, "two.vcf", "\n".join(variants) + "\n")
    page.wait("() => window.orcaCool.state.edits.length === 1")
    names = "(list) => list.map((b) => b.textContent)"
    listed = page.tab.eval_on_selector_all("#list li button", names)
    assert listed == ["chrI:100,000 N><DEL>", "turned"]
    # walking shows one after the other; what is chosen by its name is shown beside what is open
    page.tab.click("#list button[title='Next of the list']")
    page.wait("() => document.querySelector('#edits .name')?.textContent.startsWith('chrII:')")
    named = page.tab.eval_on_selector_all("#edits .name", names)
    assert named == ["chrII:500,000-520,000 inv"]
    page.tab.click("#list li:first-child button")
    page.wait("() => window.orcaCool.state.edits.length === 2")
    named = page.tab.eval_on_selector_all("#edits .name", names)
    assert named == ["chrII:500,000-520,000 inv", "chrI:100,000-104,000 del"]
    for left in (1, 0):
        page.tab.click("#edits li:last-child button:last-child")
        page.wait("(n) => window.orcaCool.state.edits.length === n", left)

    drop(page, "places.bed", "track name=x\nchrII\t300000\t340000\tmiddle\nchrI\t5000\t9000\n")
    arrives(page, CHR_I + 260_000, CHR_I + 380_000)
    listed = page.tab.eval_on_selector_all("#list li button", names)
    assert listed == ["middle chrII:300000-340000", "chrI:5000-9000"]
    page.tab.click("#list button[title='Close the list']")

    drop(page, "two.fa", ">one\nACGT\n>two\nGGGG\n")
    page.wait("() => document.getElementById('message').textContent.includes('has 2 sequences')")
    drop(page, "piece.fa", ">piece\nACGTAC\nGGG\n")
    page.wait("() => document.getElementById('edit').value.endsWith(' ins ACGTACGGG')")
    assert page.tab.input_value("#edit").startswith("chrII:3")
    rest(page)
    assert page.problems == []


def test_a_region_that_is_dragged_over_fills_the_box_of_edits(page: Page):
    go(page, "chrII:400,000-440,000")
    arrives(page, CHR_I + 400_000, CHR_I + 440_000)
    page.settle()
    drawn = page.drawn("reference", "predicted-weight")
    x, y = drawn.left + drawn.width / 4, drawn.top + drawn.height / 2
    page.tab.keyboard.down("Shift")
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    page.tab.mouse.move(x + drawn.width / 2, y + 20, steps=3)
    page.tab.mouse.up()
    page.tab.keyboard.up("Shift")
    page.tab.wait_for_selector("#this-menu:visible")
    name = page.tab.inner_text("#this-name")
    chrom, _, rest_of_it = name.partition(":")
    ends = [int(text.replace(",", "")) for text in rest_of_it.split("-")]
    assert chrom == "chrII"
    assert ends == pytest.approx([410_000, 430_000], abs=2 * 40_000 / drawn.width)
    arrives(page, CHR_I + 400_000, CHR_I + 440_000)  # the map itself was not dragged
    for kind, text in {
        "del": f"{name} del",
        "ins": f"chrII:{rest_of_it.split('-')[0]} ins SEQUENCE",
        "move": f"{name} del; chrII:PLACE ins {name}",
    }.items():
        page.tab.evaluate("document.getElementById('this-menu').hidden || 0")
        page.tab.evaluate(f"document.querySelector('[data-kind={kind}]').click()")
        assert page.tab.input_value("#edit") == text
        page.tab.fill("#region", name)
        page.tab.evaluate("document.getElementById('this').click()")
    rest(page)
    assert page.problems == []


def test_an_edit_elsewhere_is_gone_to(page: Page):
    """And it opens where it was inserted, not where the sequence was copied from."""
    go(page, "chrII:400,000-440,000")
    arrives(page, CHR_I + 400_000, CHR_I + 440_000)
    page.tab.fill("#edit", "chrII:300,000 ins chrI:50,000-51,000")
    page.tab.press("#edit", "Enter")
    page.wait("() => window.orcaCool.state.edits.length === 1")
    rest(page)
    arrives(page, CHR_I + 280_000, CHR_I + 320_000)
    (edit,) = page.state()["edits"]
    own: Any = page.tab.evaluate(
        "(view) => window.orcaCool.hgApi.getLocation(view).xDomain", f"edit-{edit}"
    )
    assert own == pytest.approx([CHR_I + 280_000, CHR_I + 320_000], abs=1_000)
    assert page.problems == []
