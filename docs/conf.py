"""How the documentation site is built: bash scripts/docs.sh.

The pages are docs/*.md, as they are read on a code host, too. What only the site has stands here:
the reference, made from docstrings and from the command line itself, and tutorials that can be
executed (``bash scripts/docs.sh --execute``).
"""

from __future__ import annotations

import os
import re
import sys
from copy import copy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from myst_nb.core import render  # noqa: E402

from orca_cool import __version__  # noqa: E402

project = "orca-cool"
author = "The orca-cool developers"
copyright = author
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
exclude_patterns = ["_build"]
root_doc = "index"

# Pages name each other's headings as code hosts do: page.md#a-heading.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

# Code cells run only where that is asked for; an error in one of them then stops the build.
nb_execution_mode = "force" if os.environ.get("ORCA_COOL_DOCS_EXECUTE") else "off"
nb_execution_raise_on_error = True
nb_execution_timeout = 3600  # seconds of a cell: a busy machine is no error
nb_execution_in_temp = True
nb_merge_streams = True  # by _one_text, below

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures say them; docstrings say what they mean
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"orca-cool {version}"
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

_ITEM = re.compile(r"^(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*) : (\S.*)$")
_NEXT = re.compile(r"(?<=[.;]) (?=\w+(?:, \w+)* : )")


def _numpy_items(lines: list[str]) -> list[str]:
    """Our docstrings in the form that napoleon reads. In "name : what it is" the text after the
    colon is no type but a description, and a line may hold several such items; what is below
    "Returns" and "Yields" is plain text.
    """
    out: list[str] = []
    section = ""
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if following and set(following) == {"-"} and line.strip():
            section = line.strip()
            if section in ("Returns", "Yields"):
                out += ["", f":{section.lower()}:"]
                continue
        if section in ("Returns", "Yields"):
            out += [f"    {line}".rstrip()] if not line or set(line) != {"-"} else []
        elif section in ("Parameters", "Attributes", "Raises"):
            out += _items(line, section)
        else:
            out.append(line)
    return out


def _items(line: str, section: str) -> list[str]:
    """A line of a section of items, as one or several."""
    if line.startswith(" ") and not _NEXT.search(line):
        return [line]
    out: list[str] = []
    for part in _NEXT.split(line):
        match = _ITEM.match(part.strip())
        if match is None:
            out.append(part if part is line else f"    {part.strip()}")
            continue
        names = match[1].split(", ") if section == "Attributes" else [match[1]]
        for name in names:
            out += [name, f"    {match[2]}"]
    return out


def _one_text(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a cell prints as one text for each stream, letter by letter. A command's output comes
    from the kernel in pieces of 100 letters, which myst_nb itself would join with line ends, in
    the middle of words.
    """
    out: list[dict[str, Any]] = []
    streams: dict[str, dict[str, Any]] = {}
    for output in outputs:
        name = output.get("name", "") if output["output_type"] == "stream" else ""
        if name and name in streams:
            streams[name]["text"] += output["text"]
            continue
        out.append(copy(output))
        if name:
            streams[name] = out[-1]
    return out


render.coalesce_streams = _one_text


def _docstring(
    app: object, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    lines[:] = _numpy_items(lines)
    if what == "property" and lines:  # else napoleon takes what stands before a colon for a type
        lines[0] = lines[0].replace(": ", " \N{EN DASH} ", 1)


#: Pages that are files of the repository's root, whose links begin there.
_OF_THE_ROOT = {"contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md"}


def _root_page(app: object, name: str, content: list[str]) -> None:
    if name in _OF_THE_ROOT:
        text = (ROOT / _OF_THE_ROOT[name]).read_text(encoding="utf-8").replace("](docs/", "](")
        for page, file in _OF_THE_ROOT.items():
            text = text.replace(f"]({file}", f"]({page}.md")
        content[0] = text


def setup(app) -> None:  # type: ignore[no-untyped-def]
    """Read docstrings before napoleon does, and pages of the root from there."""
    app.connect("autodoc-process-docstring", _docstring, priority=100)
    app.connect("source-read", _root_page)
