"""The documentation site: built without a warning, whole, readable without the internet; and the
links of all pages, in the repository as on the site.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from conftest import made_once

import orca_cool

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
#: Pages that people read on a code host.
PAGES = sorted([*ROOT.glob("*.md"), *(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)])


def _build(folder: Path, *more: str) -> None:
    pytest.importorskip("sphinx")
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / "docs.sh"), f"--output={folder}", *more],
        env={**os.environ, "DOCS_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built with warnings as errors; tutorials are not executed."""
    return made_once(tmp_path_factory, "site", _build) / "html"


class _Page(HTMLParser):
    """What a page of the site has: names that links may point to, links, and what it loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.names |= {given[key] for key in ("id", "name") if key in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in given:
            self.loaded.append(given["src"])
        if tag == "link" and "href" in given and given.get("rel") not in ("index", "search"):
            self.loaded.append(given["href"])


def test_a_site_without_warnings_that_needs_no_network(site):
    pages = {path: _Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 15
    outside = {x for page in pages.values() for x in page.loaded if urlsplit(x).netloc}
    assert outside == set()
    sheets = [p.read_text(encoding="utf-8", errors="replace") for p in site.rglob("*.css")]
    assert not [x for s in sheets for x in re.findall(r"url\((?:['\"]?)(https?:[^)]*)\)", s)]


def test_a_command_that_prints_in_pieces_has_one_text():
    """A kernel hands on 100 letters of a command at a time: no word is cut, nothing is added."""
    pytest.importorskip("myst_nb")
    joined = runpy.run_path(str(DOCS / "conf.py"))["_one_text"]

    def printed(text: str, name: str = "stdout") -> dict[str, str]:
        return {"output_type": "stream", "name": name, "text": text}

    picture = {"output_type": "display_data", "data": {"text/plain": "a figure"}}
    pieces = [printed("two  \nm"), printed("late", "stderr"), picture, printed("emory \n\n")]
    before = [dict(piece) for piece in pieces]
    assert joined(pieces) == [printed("two  \nmemory \n\n"), printed("late", "stderr"), picture]
    assert pieces == before
    assert joined([]) == []


#: Pictures that the cells of a tutorial draw.
DRAWN = {"1": 2, "2": 2, "3": 0, "4": 2, "5": 1, "6": 0, "7": 0, "8": 1}


@pytest.mark.long
def test_tutorials_execute(tmp_path):
    """Every cell of every tutorial runs, and what they print and draw stands on their pages."""
    _build(tmp_path, "--execute")
    pages = sorted((tmp_path / "html" / "tutorials").glob("*.html"))
    texts = {page.name[0]: page.read_text(encoding="utf-8") for page in pages}
    assert texts.keys() == DRAWN.keys()
    for number, text in texts.items():
        assert 'class="output' in text, number
        pictures = re.findall(r'<img [^>]*src="(?:\.\./_images/|data:image/png)', text)
        assert len(pictures) == DRAWN[number], number
        assert not re.search(r"Traceback|Warning|/tmp/|<Figure size", text), number


def test_links_of_the_site_lead_somewhere(site):
    pages = {path.resolve(): _Page(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (
                parts.fragment
                and target in pages
                and unquote(parts.fragment) not in pages[target].names
            ):
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_reference_has_every_public_name_and_every_verb(site):
    from orca_cool.cli import VERBS

    python = _Page(site / "reference" / "python.html").names
    modules = {"attribute": "orca_cool.api.attribute.gradient"}
    modules |= {
        "objective": "orca_cool.api.objective.pixel",
        "screen": "orca_cool.api.screen.local",
    }
    wanted = {modules.get(name, f"orca_cool.{name}") for name in orca_cool.__all__}
    assert wanted - python == set()
    command_line = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    for verb in VERBS:
        assert f'id="orca-cool-{verb}"' in command_line, verb


def _slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts and MyST make them."""
    found: list[str] = []
    for title in re.findall(
        r"^#{1,6} +(.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M
    ):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return set(found) | set(re.findall(r"^\(([\w-]+)\)=$", text, re.M))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    prose = re.sub(r"`[^`\n]*`", "", prose)
    broken = []
    for link in re.findall(r"\]\(\s*<?([^)\s>]+)>?\s*\)", prose):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.exists():
            broken.append(f"{link}: no such file")
        elif parts.fragment and target.suffix == ".md":
            if parts.fragment not in _slugs(target.read_text(encoding="utf-8")):
                broken.append(f"{link}: no such heading")
    assert broken == []


def test_the_http_reference_lists_the_routes():
    app = pytest.importorskip("higlass_plugin.server.app")
    source = Path(app.__file__).read_text(encoding="utf-8")
    routes = {
        path: ", ".join(re.findall(r'"(\w+)"', methods))
        for path, methods in re.findall(r'route\("(/[^"]*)", [\w.]+, ([^)]*)\)', source)
    }
    text = (DOCS / "reference" / "http.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(/[^`]*)` \| ([A-Z, ]+) \|", text, re.M))
    assert len(routes) > 15
    assert listed == routes
