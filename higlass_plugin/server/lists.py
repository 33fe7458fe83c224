"""Lists of what a server has: tilesets, assemblies, and models, these also as a page."""

from __future__ import annotations

import time
from html import escape

from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tiles import JsonObject
from higlass_plugin.tilesets.base import Tileset

#: When the server was started: the list gives it as the time at which tilesets were made.
STARTED = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def tileset_entry(tileset: Tileset) -> JsonObject:
    """A tileset in the list, with the fields that higlass-server gives."""
    return {
        "uuid": tileset.uid,
        "name": tileset.name,
        "filetype": tileset.filetype,
        "datatype": tileset.datatype,
        "coordSystem": tileset.coord_system,
        "coordSystem2": tileset.coord_system,
        "created": STARTED,
        "project": "",
        "project_name": "",
        "description": tileset.description,
        "private": False,
    }


def plain_info(info: JsonObject) -> JsonObject:
    """The tileset_info of a track for HiGlass before 2.0 and gosling: without resolutions, each of
    which is half of the one before, but with the width that says the same.

    With resolutions they take tiles of tracks to be 256 bins wide, whatever the info says, and so
    ask for those of other places.
    """
    sizes = sorted(info.get("resolutions", ()))
    doubled = all(b == 2 * a for a, b in zip(sizes, sizes[1:]))
    if len(info.get("max_pos", ())) != 1 or "tile_size" not in info or not sizes or not doubled:
        return info
    width = {"max_width": sizes[-1] * info["tile_size"]}
    return {key: value for key, value in info.items() if key != "resolutions"} | width


def assemblies(registry: TilesetRegistry) -> list[JsonObject]:
    """Of each assembly a tileset that knows the sizes of its chromosomes: the search box of HiGlass
    up to 1.13 asks for them.
    """
    by_assembly = {
        tileset.coord_system: tileset
        for datatype in ("matrix", "chromsizes")  # the latter, where there is one
        for tileset in reversed(registry.listed())
        if tileset.datatype == datatype and tileset.coord_system
    }
    return [tileset_entry(tileset) for tileset in by_assembly.values()]


def models(registry: TilesetRegistry) -> list[JsonObject]:
    """The models that are served, each on its genome.

    Returns
    -------
    Of each its names (model, genome, assembly, cell_types), the number of chromosomes and their
    length in bp, and ``view``: the id of its first view, for ``viewconfs/?d=`` and ``?view=`` of
    the page.
    """
    out = []
    for model, genome, predicted in registry.served.each():
        out.append(
            {
                "model": model,
                "genome": genome,
                "assembly": predicted.assembly,
                "cell_types": registry.served.cell_types(model, genome),
                "chromosomes": len(predicted.axis.chromsizes),
                "length": predicted.axis.length,
                "view": model_view(registry, model, genome),
            }
        )
    return out


def model_view(registry: TilesetRegistry, model: str, genome: str) -> str:
    """The id of the first view of a model on a genome."""
    return registry.uid(f"view {model}/{genome}")


def model_of_view(registry: TilesetRegistry, view: str) -> tuple[str, str] | None:
    """(model, genome) of :func:`model_view`; None if a view is of none."""
    return next((m for m in registry.models() if model_view(registry, *m) == view), None)


def models_page(registry: TilesetRegistry) -> str:
    """The list of :func:`models` as a page in HTML, with links to their first views."""
    rows = "\n".join(
        f'<li><a href="./?view={entry["view"]}">{escape(entry["model"])} on '
        f"{escape(entry['genome'])}</a>: {escape(_described(entry))}</li>"
        for entry in models(registry)
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<title>orca-cool: models</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="static/page.css"><script src="static/theme.js"></script>'
        '</head>\n<body class="models">\n<header><h1>Predicted contact maps</h1>'
        f"{_THEMES}</header>\n<main>\n<ul>\n{rows}\n</ul>\n</main>\n</body>\n</html>\n"
    )


#: The list of models needs the style sheet of the page and the script of light and dark.
LIST_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
#: The menu of light and dark, as in the page of a map.
_THEMES = (
    '<select id="theme" aria-label="Light or dark" title="Light or dark"><option value="auto">Auto'
    '</option><option value="light">Light</option><option value="dark">Dark</option></select>'
)


def _described(entry: JsonObject) -> str:
    chromosomes, types = entry["chromosomes"], entry["cell_types"]
    noun = "chromosome" if chromosomes == 1 else "chromosomes"
    described = f"{entry['assembly']}, {chromosomes} {noun}, {entry['length']:,} bp"
    return f"{described}; {', '.join(types)}" if types else described
