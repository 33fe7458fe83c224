"""Predicted maps in a notebook: :func:`view` shows them in one call, without higlass-python or the
internet. :func:`tileset`, :func:`watch` and :func:`serve` are for users of higlass-python::

    import higlass as hg
    import higlass_plugin

    maps = higlass_plugin.tileset("yeast-metaphase", "example")
    maps.compute("chrII:100,000-400,000")
    higlass_plugin.watch(hg.view(maps.track()).domain(x=maps.domain("chrII:100,000-400,000")).widget())

higlass-python sends a page's requests for tiles through the notebook's own connection. The page
waits 3 s for all tiles of a request together, those of other tilesets among them, and never asks
again; an exception is lost. Hence tiles are answered within a second with what is known so far,
:meth:`PredictedTileset.compute` computes tiles before they are shown, and :func:`watch` makes the
page ask again.

References
----------
higlass-python 1.4: ``higlass/tilesets.py`` (``Tileset``), ``higlass/_widget.py`` and ``widget.js``
(requests, ``reload``), ``higlass/_tileset_registry.py`` (references to tilesets are weak). HiGlass
front end 2.3: ``app/scripts/services/tile-proxy.js`` (which tiles a view asks for),
``app/scripts/api.js`` (``reload``).
"""

from higlass_plugin.notebook.errors import MissingPackage, NotebookError
from higlass_plugin.notebook.predicted import PredictedTileset, tileset
from higlass_plugin.notebook.serving import serve
from higlass_plugin.notebook.viewing import view
from higlass_plugin.notebook.watching import watch

__all__ = [
    "MissingPackage",
    "NotebookError",
    "PredictedTileset",
    "serve",
    "tileset",
    "view",
    "watch",
]
