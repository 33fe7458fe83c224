"""The numbers of what is seen, in a real browser: downloads, the prediction against the measured
map, scores in the list of variants, what to cite.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pandas as pd
import pytest
from browser import MAP, Page, Server, new_tab

import orca_cool as oc
from orca_cool.genome.source import codes_to_letters
from orca_cool.maps.weights import measured_expected

CHR_I, CHR_II = 230_208, 813_178
PLACE = "chrII:200,000-300,000", (CHR_I + 200_000, CHR_I + 300_000)


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    server = Server(tmp_path_factory.mktemp("numbers"))
    server.start()
    opened = Page(browser, server, (1000, 560)).open()
    opened.go(*PLACE)
    yield opened
    opened.close()
    server.stop()


@pytest.fixture(scope="module")
def predictor() -> oc.Predictor:
    return oc.Predictor("yeast-metaphase", "example", progress=False, device="cpu")


def choose(page: Page, what: str) -> None:
    """Open the menu of downloads, and choose what begins so."""
    open_menu(page)
    names = page.tab.eval_on_selector_all("#download-of option", "(o) => o.map((one) => one.value)")
    found = next(name for name in names if name.startswith(what))
    page.tab.select_option("#download-of", found)


def open_menu(page: Page) -> None:
    if page.tab.is_hidden("#download-menu"):
        page.tab.click("#download")


def saved(page: Page, button: str) -> tuple[str, bytes]:
    """Name and bytes of the file that a button gives."""
    with page.tab.expect_download() as download:
        page.tab.click(button)
    return download.value.suggested_filename, download.value.path().read_bytes()


def numbers(page: Page, kind: str) -> tuple[str, bytes]:
    return saved(page, f"#download-formats [data-format={kind}]")


def unforeseen(page: Page) -> list[str]:
    """What went wrong. Browsers note an answer of 503, which says that tiles are being computed."""
    return [text for text in page.problems if "503" not in text]


def interval(text: str) -> tuple[int, int]:
    """(start, end) of a region of chromosome II."""
    assert text.startswith("chrII:")
    start, end = text.removeprefix("chrII:").replace(",", "").split("-")
    return int(start), int(end)


def test_what_is_seen_is_downloaded(page: Page, predictor: oc.Predictor, tmp_path: Path) -> None:
    """Its numbers are those of Python."""
    choose(page, "Reference: yeast-metaphase, predicted")
    assert "bins of 2,000 bp" in page.tab.inner_text("#download-where")
    name, data = numbers(page, "npz")
    arrays = np.load(io.BytesIO(data), allow_pickle=False)
    about = json.loads(str(arrays["metadata"]))
    columns, rows = interval(about["region"]), interval(about.get("rows", about["region"]))
    # what is seen, to a bin
    drawn = page.drawn("reference", "predicted-weight")
    for (start, end), axis in ((columns, drawn.x), (rows, drawn.y)):
        assert start + CHR_I - 1 < axis[0] < start + CHR_I + 2000
        assert end + CHR_I - 2000 < axis[1] < end + CHR_I + 1
    low, high = min(columns[0], rows[0]), max(columns[1], rows[1])
    whole = predictor.predict(f"chrII:{low}-{high}", resolution=2000, fill=True)
    i, j = (slice((start - low) // 2000, -((low - end) // 2000)) for start, end in (rows, columns))
    expected = whole.values[i, j]
    assert arrays["values"].shape == expected.shape
    assert np.isfinite(expected).mean() > 0.9
    np.testing.assert_allclose(arrays["values"], expected, atol=1e-3)
    np.testing.assert_allclose(arrays["frequency"], whole.frequency[i, j], rtol=1e-3)
    assert "10.1038/s41588-022-01065-4" in about["cite"]

    seen = np.zeros(whole.values.shape, bool)
    seen[i, j] = True
    name, data = numbers(page, "cool")
    (tmp_path / name).write_bytes(data)
    matrix = cooler.Cooler(str(tmp_path / name)).matrix().fetch(("chrII", low, high))
    known = (seen | seen.T) & np.isfinite(whole.values)
    np.testing.assert_allclose(matrix[known], whole.frequency[known], rtol=1e-3)
    name, data = numbers(page, "mcool")
    (tmp_path / name).write_bytes(data)
    assert cooler.fileops.list_coolers(str(tmp_path / name)) == ["/resolutions/2000"]
    _, data = numbers(page, "tsv")
    table = pd.read_csv(io.BytesIO(data), sep="\t", comment="#")
    i, j = ((table[c].to_numpy() - low) // 2000 for c in ("start1", "start2"))
    assert len(table) == np.triu(known).sum()
    np.testing.assert_allclose(table.contact_frequency, whole.frequency[i, j], rtol=1e-3)

    choose(page, "Reference: yeast.10kb")
    arrays = np.load(io.BytesIO(numbers(page, "npz")[1]))
    about = json.loads(str(arrays["metadata"]))
    columns, rows = interval(about["region"]), interval(about.get("rows", about["region"]))
    clr = cooler.Cooler(f"{MAP}::resolutions/10000")
    measured = clr.matrix().fetch(("chrII", *rows), ("chrII", *columns))
    np.testing.assert_allclose(arrays["values"], measured, rtol=2e-3)
    assert page.tab.locator("#download-formats button").count() == 2  # no .cool of what is one


def test_tracks_and_letters_are_downloaded(
    page: Page, predictor: oc.Predictor, tmp_path: Path
) -> None:
    pyBigWig = pytest.importorskip("pyBigWig")
    choose(page, "Reference: insulation")
    name, data = numbers(page, "bw")
    (tmp_path / name).write_bytes(data)
    found = np.load(io.BytesIO(numbers(page, "npz")[1]))["values"]
    with pyBigWig.open(str(tmp_path / name)) as file:
        place = interval(
            name.removesuffix(".bw")
            .replace("chrII_", "chrII:")
            .replace("_", "-", 1)
            .rpartition("_")[0]
        )
        values = file.values("chrII", *place, numpy=True)[::2000]
    np.testing.assert_allclose(values, found, rtol=1e-5)
    assert np.isfinite(found).mean() > 0.8
    assert page.tab.is_disabled("#download-fasta")  # 100 kb are too many letters
    page.tab.click("#download-close")
    page.go("chrII:238,200-238,330", (CHR_I + 238_200, CHR_I + 238_330))
    choose(page, "Reference: yeast-metaphase, predicted")
    name, data = saved(page, "#download-fasta")
    head, *lines = data.decode().split("\n")
    letters = codes_to_letters(predictor.genome.source.fetch("chrII", 238_200, 238_330)).decode()
    assert (name, head) == ("chrII_238200_238330.fa", ">chrII:238200-238330")
    assert "".join(lines) == letters
    page.tab.click("#download-close")
    page.go(*PLACE)


#: A tile of the prediction is as if it were not computed yet.
UNFINISHED = """() => {
  const track = window.orcaCool.hgApi.getTrackObject("reference", "predicted-weight");
  Object.values(track.fetchedTiles)[0].tileData.computing = true;
}"""


def test_a_download_waits_until_all_is_final(page: Page) -> None:
    instance = page.state()["instance"]
    page.tab.route(
        "**/api/v1/status/",
        lambda route: route.fulfill(json={"instance": instance, "progress": {}}),
    )
    page.tab.evaluate(UNFINISHED)
    choose(page, "Reference: yeast-metaphase, predicted")
    began: list[Any] = []
    page.tab.on("download", lambda download: began.append(download))
    page.tab.click("#download-formats [data-format=npz]")
    page.wait("() => document.getElementById('download-state').textContent.startsWith('Waits')")
    assert "1 tile to be computed" in page.tab.inner_text("#download-state")
    assert began == []
    with page.tab.expect_download():
        page.tab.unroute("**/api/v1/status/")
    page.wait("() => document.getElementById('download-state').textContent.startsWith('Saved')")
    page.tab.click("#download-close")


def test_the_viewconf_opens_in_another_page(page: Page) -> None:
    open_menu(page)
    name, data = saved(page, "#download-conf")
    page.tab.click("#download-close")
    assert name == "orca.viewconf.json"
    conf = json.loads(data)
    (view,) = conf["views"]
    (centre,) = view["tracks"]["center"]
    api = f"{page.server.url}/api/v1"
    assert {track["server"] for track in centre["contents"]} == {api}
    assert conf["trackSourceServers"] == [api]
    assert centre["contents"][0]["options"]["labelPosition"] == "topRight"  # as HiGlass draws it
    tab = new_tab(page.tab.context.browser, (600, 400))
    tab.route(
        f"{page.server.url}/other",
        lambda route: route.fulfill(
            content_type="text/html",
            body='<!doctype html><div id="map" style="position: absolute; inset: 0"></div>'
            '<script type="module">import { viewer } from "./static/higlass.js"; '
            "window.viewer = viewer;</script>",
        ),
    )
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.goto(f"{page.server.url}/other")
    tab.wait_for_function("() => window.viewer")
    tab.evaluate(
        """async (conf) => {
          window.api = await window.viewer(document.getElementById("map"), conf, { bounded: true });
        }""",
        conf,
    )
    tab.wait_for_function(
        """() => {
          const track = window.api.getTrackObject("reference", "predicted-weight");
          return track?.tilesetInfo && Object.keys(track.fetchedTiles).length && !track.fetching.size;
        }"""
    )
    shown = tab.evaluate("window.api.getLocation('reference').xDomain")
    assert shown == pytest.approx(PLACE[1], abs=10)
    assert problems == []
    tab.close()


DRAWN_AGAINST = "(uid) => window.orcaCool.hgApi.getTrackObject('reference', uid)?.tilesetInfo"


def truth(predictor: oc.Predictor, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, n) log observed/expected of bins ``first`` to ``last`` of 10 kb of chromosome II,
    predicted and measured.
    """
    n = last - first
    region = f"chrII:{first * 10_000}-{last * 10_000}"
    whole = predictor.predict(region, resolution=2000, fill=True)
    frequency = whole.frequency
    expected = np.where(np.isfinite(frequency), frequency / np.exp(whole.values), np.nan)
    sums = [np.nansum(values.reshape(n, 5, n, 5), axis=(1, 3)) for values in (frequency, expected)]
    clr = cooler.Cooler(f"{MAP}::resolutions/10000")
    matrix = clr.matrix().fetch("chrII")[first:last, first:last]
    by_distance = np.append(measured_expected(clr), np.nan)
    of = by_distance[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]
    with np.errstate(divide="ignore", invalid="ignore"):
        predicted, measured = np.log(sums[0] / sums[1]), np.log(matrix / of)
    measured[~np.isfinite(measured)] = np.nan
    return predicted, measured


def plain_scc(a: np.ndarray, b: np.ndarray, rows: range, columns: range) -> float:
    """HiCRep's SCC of two rectangles (h = 1, from two bins off the diagonal on), pair by pair."""

    def smooth(m: np.ndarray) -> np.ndarray:
        around = [
            [np.nanmean(m[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]) for j in range(m.shape[1])]
            for i in range(m.shape[0])
        ]
        return np.where(np.isfinite(m), around, np.nan)

    a, b = smooth(a), smooth(b)
    by_distance: dict[int, dict[tuple[int, int], tuple[float, float]]] = {}
    for (k, i), (n, j) in product(enumerate(rows), enumerate(columns)):
        x, y = a[k, n], b[k, n]
        if abs(i - j) >= 2 and np.isfinite(x) and np.isfinite(y):
            pair = min(i, j), max(i, j)
            of = by_distance.setdefault(abs(i - j), {})
            if i < j or pair not in of:  # of a pair that is seen twice, what is above the diagonal
                of[pair] = x, y
    weights, rs = [], []
    for of in by_distance.values():
        x, y = np.array(list(of.values())).T
        if len(x) > 1:
            weights.append(len(x) + 1)
            rs.append(np.corrcoef(x, y)[0, 1])
    return float(np.average(rs, weights=weights))


def told(page: Page) -> dict[str, float]:
    """The numbers that the page tells, once they are of what is seen."""
    page.wait(
        """() => document.querySelector('#agreement-text b') &&
          !document.getElementById('agreement').classList.contains('old')"""
    )
    text = page.tab.inner_text("#agreement-text").replace("\n", " ")
    r, scc_, at_distance = map(float, re.findall(r"(?:r|SCC|distance) (-?[\d.]+)", text)[:3])
    pairs = int(re.search(r"of ([\d,]+) pairs of bins of 10,000 bp", text)[1].replace(",", ""))
    return {"r": r, "scc": scc_, "at_distance": at_distance, "pairs": pairs}


def test_predicted_against_measured(page: Page, predictor: oc.Predictor) -> None:
    page.go("chrII:200,000-400,000", (CHR_I + 200_000, CHR_I + 400_000))
    page.tab.click("#against")
    page.wait(DRAWN_AGAINST, "against-difference")
    page.settle()
    drawn = page.drawn("reference", "against-difference")
    assert drawn.resolution == 10_000
    found = told(page)
    page.picture("against-measured")

    columns, rows = (
        range(round(axis[0] - CHR_I) // 10_000, -(-round(axis[1] - CHR_I) // 10_000))
        for axis in (drawn.x, drawn.y)
    )
    first = min(columns.start, rows.start)
    predicted, measured = truth(predictor, first, max(columns.stop, rows.stop))
    seen = np.zeros(predicted.shape, bool)
    seen[np.ix_(np.array(rows) - first, np.array(columns) - first)] = True
    known = np.triu((seen | seen.T) & np.isfinite(predicted) & np.isfinite(measured), 2)
    assert found["pairs"] == known.sum() > 100
    r = np.corrcoef(predicted[known], measured[known])[0, 1]
    assert found["r"] == pytest.approx(r, abs=0.006)
    place = np.ix_(np.array(rows) - first, np.array(columns) - first)
    expected = plain_scc(predicted[place], measured[place], rows, columns)
    assert found["scc"] == pytest.approx(expected, abs=0.006)
    # the map itself shows the difference of the two
    for i, j in ((30, 22), (35, 31), (27, 24)):
        value = drawn.value(i + CHR_I // 10_000, j + CHR_I // 10_000)
        expected = predicted[i - first, j - first] - measured[i - first, j - first]
        assert value == pytest.approx(expected, abs=5e-3, nan_ok=True)

    # of what is seen: elsewhere they are others
    before = page.tab.inner_text("#agreement-text")
    page.go("chrII:500,000-700,000", (CHR_I + 500_000, CHR_I + 700_000))
    page.wait("(text) => document.getElementById('agreement-text').innerText !== text", before)
    assert told(page)["r"] != found["r"]
    page.tab.select_option("#agreement-kind", "against-divided")
    page.wait(DRAWN_AGAINST, "against-divided")
    page.settle()
    divided = page.drawn("reference", "against-divided")
    assert (divided.low, divided.high, divided.scaling) == (0.25, 4, "log")
    assert divided.value(CHR_I // 10_000 + 58, CHR_I // 10_000 + 53) > 0
    page.tab.select_option("#agreement-kind", "against-both")
    page.wait(DRAWN_AGAINST, "measured-against")
    page.settle()
    halves = [page.drawn("reference", f"{half}-against") for half in ("predicted", "measured")]
    assert {half.resolution for half in halves} == {10_000}
    assert (halves[0].low, halves[0].high) == pytest.approx((halves[1].low, halves[1].high))

    page.go("chrII:540,000-560,000", (CHR_I + 540_000, CHR_I + 560_000))
    page.wait(
        "() => document.getElementById('agreement-text').textContent.startsWith('Too little')"
    )
    page.tab.click("#agreement-close")
    page.wait("() => document.getElementById('agreement').hidden")
    assert page.tab.input_value("#value") == "weight"
    assert unforeseen(page) == []


VARIANTS = [
    "chrII\t300000\tfar\tN\t<DEL>\t.\tPASS\tSVTYPE=DEL;END=300050",
    "chrII\t238208\tcentromere\tN\t<DEL>\t.\tPASS\tSVTYPE=DEL;END=238325",
    "chrI\t100000\tturned\tN\t<INV>\t.\tPASS\tSVTYPE=INV;END=120000",
    "chrII\t238210\twrong\tGGGGGG\tA\t.\tPASS\t.",
]


def test_the_list_of_variants_has_their_scores(
    page: Page, predictor: oc.Predictor, tmp_path: Path
) -> None:
    page.go(*PLACE)
    text = "\n".join(VARIANTS) + "\n"
    page.tab.evaluate(
        """(text) => {
          const data = new DataTransfer();
          data.items.add(new File([text], "four.vcf"));
          document.getElementById("higlass").dispatchEvent(
            new DragEvent("drop", { dataTransfer: data, cancelable: true, bubbles: true }));
        }""",
        text,
    )
    page.tab.wait_for_selector("#list li .score")
    page.wait("() => window.orcaCool.state.edits.length === 1")
    page.wait("() => document.getElementById('list-state').textContent === ''")

    (tmp_path / "four.vcf").write_text(
        "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + text
    )
    table = predictor.score_variants(tmp_path / "four.vcf")
    scores = {row[: row.find(" ")]: row for row in listed(page)}
    assert list(scores) == ["far", "centromere", "turned", "wrong"]
    assert scores["wrong"] == "wrong no score"
    expected = table.groupby("id").log_fold_change.max()
    for name in ("far", "centromere", "turned"):
        value = float(scores[name].split(" ")[1])
        assert value == pytest.approx(expected[name], rel=6e-3), name
    page.tab.select_option("#list-score", "mse")
    page.tab.select_option("#list-level", "4000")
    at = table[table.resolution == 4000].groupby("id").mse.max()
    scores = {row[: row.find(" ")]: float(row.split(" ")[1]) for row in listed(page)[:3]}
    for name, value in scores.items():
        assert value == pytest.approx(at[name], rel=6e-3), name

    page.tab.click("#list-sort")
    order = [row.split(" ")[0] for row in listed(page)]
    assert order == [*sorted(scores, key=lambda name: -scores[name]), "wrong"]
    page.picture("list-with-scores")
    # the keyboard walks through them as they are listed
    page.tab.evaluate("document.activeElement.blur()")
    current = page.tab.inner_text("#list li[aria-current] button")
    assert current == "far"
    (first,) = page.state()["edits"]
    page.tab.keyboard.press("k" if order.index("far") else "j")
    other = order[order.index("far") - 1] if order.index("far") else order[1]
    page.wait("(old) => window.orcaCool.state.edits[0] !== old", first)
    assert len(page.state()["edits"]) == 1  # it has taken the other one's place
    assert page.tab.inner_text("#list li[aria-current] button") == other
    page.settle()
    # what an edit changes can be downloaded, too; it is of no .cool
    choose(page, "Difference: ln ")
    arrays = np.load(io.BytesIO(numbers(page, "npz")[1]))
    assert "frequency" not in arrays
    assert np.isfinite(arrays["values"]).mean() > 0.5
    choose(page, f"{page.tab.inner_text('#edits li.shown .name')}: ")
    formats = page.tab.eval_on_selector_all(
        "#download-formats button", "(list) => list.map((one) => one.dataset.format)"
    )
    assert formats == ["npz", "tsv", "cool", "mcool"]
    page.tab.click("#download-close")
    asked = len([url for _, url in page.requests if "/scores/" in url])
    page.tab.click("#list button[title='Close the list']")
    page.tab.wait_for_timeout(1500)
    assert len([url for _, url in page.requests if "/scores/" in url]) == asked
    page.tab.click("#edits li:last-child button:last-child")
    page.wait("() => window.orcaCool.state.edits.length === 0")
    assert unforeseen(page) == []


def listed(page: Page) -> list[str]:
    """The rows of the list, each as its name and its score."""
    rows: list[str] = page.tab.eval_on_selector_all(
        "#list li",
        "(rows) => rows.map((row) => `${row.querySelector('button').textContent} ${row.querySelector('.score').textContent}`)",
    )
    return rows


def test_what_to_cite(page: Page) -> None:
    page.tab.click("#cite")
    page.tab.wait_for_selector("#cite-dialog[open]")
    text = page.tab.inner_text("#cite-dialog")
    assert f"orca-cool {oc.__version__}, model yeast-metaphase (digest " in text
    for doi in (
        "10.1038/s41588-022-01065-4",
        "10.1093/bioinformatics/btz540",
        "10.1186/s13059-018-1486-1",
    ):
        assert f"doi:{doi}" in text
    page.picture("cite")
    page.tab.click("#cite-close")
    assert page.tab.is_hidden("#cite-dialog")


def test_what_does_not_change_is_asked_for_once(page: Page) -> None:
    """Infos of tilesets, and the viewconf while the mouse moves."""
    page.go(*PLACE)
    drawn = page.drawn("reference", "predicted-weight")
    for share in (0.75, 0.8):
        page.tab.mouse.click(drawn.left + share * drawn.width, drawn.top + 0.1 * drawn.height)
        page.wait("() => document.querySelector('#why li button')")
        page.tab.keyboard.press("Escape")
    asked = [url for _, url in page.requests if "tileset_info" in url and "&s=" not in url]
    assert len(asked) == len(set(asked)) > 0
    page.tab.evaluate(
        """() => {
          const { hgApi } = window.orcaCool;
          const read = hgApi.getViewConfig;
          window.reads = 0;
          hgApi.getViewConfig = (...given) => {
            window.reads += 1;
            return read(...given);
          };
        }"""
    )
    began = page.tab.evaluate("performance.now()")
    for k in range(30):
        page.tab.mouse.move(drawn.left + 50 + 4 * k, drawn.top + 60)
    seconds = (page.tab.evaluate("performance.now()") - began) / 1000
    page.wait("() => document.getElementById('readout').textContent")
    assert (
        page.tab.evaluate("window.reads") <= 2 + seconds
    )  # twice in four seconds, and the history


@pytest.mark.parametrize("size", [(1280, 720), (390, 844)])
def test_the_bar_has_room(page: Page, size: tuple[int, int]) -> None:
    tab = page.tab
    tab.set_viewport_size(dict(zip(("width", "height"), size)))
    page.wait("() => window.orcaCool.state.ready")
    page.settle()
    wide = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert tab.evaluate(wide)
    tab.click("#download")
    assert tab.evaluate(wide)
    box = tab.locator("#download-menu").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size[0]
    assert box["y"] + box["height"] <= size[1]
    page.picture(f"downloads-{size[0]}")
    tab.click("#download-close")
