"""Pictures that the page saves, as pixels and texts."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from browser import Page


def saved(page: Page, button: str, **choice: str) -> bytes:
    """What a button saves; ``choice`` is made in menus before, by their ids."""
    for name, value in choice.items():
        page.tab.select_option(f"#{name.replace('_', '-')}", value)
    with page.tab.expect_download() as download:
        page.tab.click(f"#{button}")
    assert page.tab.is_hidden("#message"), page.tab.inner_text("#message")
    assert download.value.suggested_filename == f"orca.{button}"
    found = Path(download.value.path()).read_bytes()
    folder = os.environ.get("ORCA_COOL_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = "-".join(("saved", *choice.values()))
        (Path(folder) / f"{name}.{button}").write_bytes(found)
    return found


def pixels(png: bytes) -> np.ndarray:
    """(rows, columns, 3) 0..255 of a PNG."""
    return np.round(255 * matplotlib.image.imread(io.BytesIO(png), format="png")[..., :3])


def rasterised_svg(browser: Any, svg: bytes, width: int, height: int) -> np.ndarray:
    """An SVG as the browser draws it as an image, in a tab of its own."""
    tab = browser.new_page(viewport={"width": width, "height": height})
    source = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    tab.set_content(f'<body style="margin:0"><img style="display:block" src="{source}">')
    tab.wait_for_function("() => document.images[0].complete && document.images[0].naturalWidth")
    png = tab.screenshot()
    tab.close()
    return pixels(png)


class Pdf:
    """The only page of a PDF, as PDFium reads it."""

    def __init__(self, pdf: bytes):
        pdfium = pytest.importorskip("pypdfium2")
        (self._page,) = pdfium.PdfDocument(pdf)

    def pixels(self) -> np.ndarray:
        """(rows, columns, 3) 0..255, at 96 pixels an inch, as on the screen."""
        image = self._page.render(scale=96 / 72).to_numpy()  # blue, green, red
        return image[..., 2::-1].astype(float)

    def text(self, left: float, top: float, width: float, height: float) -> str:
        """The text in a rectangle, in pixels of the screen."""
        high = self._page.get_height()
        edges = (left, high / 0.75 - top - height, left + width, high / 0.75 - top)
        return self._page.get_textpage().get_text_bounded(*(0.75 * edge for edge in edges))
