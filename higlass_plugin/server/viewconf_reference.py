"""The view of the reference: the prediction above the diagonal, a measured map below it, and tracks
along two sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.registry.address import Address, compared_url
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.viewconf_parts import (
    AGAINST,
    LINEAR,
    LOWER,
    MISSING,
    SCORES,
    UPPER,
    VALUES,
    chromosome_labels,
    maps_track,
    score_track,
    track,
)
from higlass_plugin.tiles import TILE_BINS, Axis, JsonObject
from higlass_plugin.tilesets.base import Tileset
from higlass_plugin.tilesets.division import NotDivisible
from higlass_plugin.tilesets.measured import RatioTileset

#: A genome up to this length is shown whole at first, bp.
WHOLE_GENOME = 20_000_000

REFERENCE = "reference"
#: The halves of a view of both maps.
PAIR = ("predicted", "measured")

#: (view, track) that have one scale of values, by the name of what they show.
Locked = dict[str, list[tuple[str, str]]]


@dataclass(frozen=True)
class ReferenceView:
    """The view of the reference.

    Attributes
    ----------
    view : as it stands in a viewconf.
    locked : tracks that tracks of other views can share their scale with.
    value : the kind of value that is shown first; None if there is no map.
    assembly, chromsizes : of the view's axis; "" and {} if there is no map.
    """

    view: JsonObject
    locked: Locked
    value: str | None
    assembly: str
    chromsizes: dict[str, int]


def reference_view(registry: TilesetRegistry, server: str, shown: Address | None) -> ReferenceView:
    """The view of the reference.

    Parameters
    ----------
    registry : what it lists is shown.
    server : address of the API as the front end will call it.
    shown : address of the prediction; None if there is none.
    """
    prediction = None if shown is None else registry.open_url(str(shown))
    listed = _beside(registry, prediction)
    measured = next((t for t in listed if t.filetype != "orca" and t.datatype == "matrix"), None)
    main = prediction or measured

    # Larger bins have larger frequencies, so that a colour scale is right for one size of bins: the
    # measured map is not shown at bins finer than the prediction's.
    zoom = None if prediction is None or measured is None else _common_zoom(prediction, measured)
    maps = _Maps(server, prediction, measured, registry.observed_over_expected, zoom)
    values = {value: maps.of(value) for value in VALUES}
    values = {value: found for value, found in values.items() if found["contents"]}
    first = next(reversed(values), None)
    value = "weight" if "weight" in values and measured is not None else first
    against = _against(registry, server, prediction)
    values |= against

    orca: JsonObject = {
        "role": REFERENCE,
        "shift": 0,
        "suggest": next((t.uid for t in listed if t.datatype == "gene-annotation"), None),
        "search": [t.uid for t in listed if getattr(t, "has_names", False)],
    }
    domain = [0, 1]
    if main is not None:
        info = main.info()
        orca |= {"chromsizes": info["chromsizes"], "assembly": main.coord_system}
        domain = _first_domain(dict(info["chromsizes"]), min(info["resolutions"]))
    if shown is not None:
        orca |= {"model": shown.model, "genome": shown.genome}
        orca |= {"levels": _levels(registry.served.predicted(shown))}
        if shown.cell_type:
            known = registry.served.cell_types(shown.model, shown.genome)
            orca |= {"cell_type": shown.cell_type, "cell_types": known}
    top, left = _side_tracks(registry, server, main, shown)
    view = {
        "uid": REFERENCE,
        "layout": {"x": 0, "y": 0, "w": 12, "h": 12},
        "initialXDomain": list(domain),
        "initialYDomain": list(domain),
        "tracks": {
            "top": top,
            "left": left,
            "center": [maps_track(values, value, orca)] if values else [],
        },
    }
    locked = _locked(prediction is not None, zoom is not None, bool(against))
    chromsizes = dict(orca.get("chromsizes", ()))
    return ReferenceView(view, locked, value, orca.get("assembly", ""), chromsizes)


def _side_tracks(
    registry: TilesetRegistry, server: str, main: Tileset | None, shown: Address | None
) -> tuple[list[JsonObject], list[JsonObject]]:
    """The tracks above the map and at its left: chromosomes, files, predicted scores.

    Parameters
    ----------
    main : the map; None if there is none.
    shown : address of the prediction; None if there is none.
    """
    top: list[JsonObject] = []
    left: list[JsonObject] = []
    if main is not None:
        above, beside = chromosome_labels(_source(server, main))
        top.append(above)
        left.append(beside)
    files = [t for t in _beside(registry, main) if t.filetype != "orca" and t.datatype in LINEAR]
    for n, tileset in enumerate(files):
        kind, height, options = LINEAR[tileset.datatype]
        options = {"name": tileset.name, **options}
        source = _source(server, tileset)
        top.append(track(kind, f"along-{n}", source, height=height, options=options))
    if shown is not None:
        for name in SCORES:
            score = registry.open_url(str(replace(shown, track=name)))
            top.append(score_track(name, _source(server, score)))
    return top, left


def _source(server: str, tileset: Tileset) -> JsonObject:
    """Where the tiles of a tileset come from, as properties of a track."""
    return {"server": server, "tilesetUid": tileset.uid}


@dataclass(frozen=True)
class _Maps:
    """The maps of the reference's view.

    Attributes
    ----------
    ratios : log observed/expected of the measured map.
    zoom : zoom level beyond which the measured map is not shown; None: no limit.
    """

    server: str
    prediction: Tileset | None
    measured: Tileset | None
    ratios: Tileset | None
    zoom: int | None

    def of(self, value: str) -> JsonObject:
        """The label of a kind of value, and the maps that show it."""
        contents = []
        if self.prediction is not None:
            name = f"predicted-{value}"
            options = {"extent": "upper-right", "dataTransform": value, **UPPER}
            contents.append(self._map(self.prediction, value, name, options))
        below = self.measured if value == "weight" else self.ratios
        if below is not None:
            limit = {} if self.zoom is None else {"maxZoom": self.zoom}
            options = {"extent": "lower-left", **limit, **LOWER}
            contents.append(self._map(below, value, f"measured-{value}", options))
        if len(contents) == 1:
            contents[0]["options"] |= {"extent": "full", "backgroundColor": MISSING}
        return {"label": VALUES[value]["label"], "contents": contents}

    def _map(self, tileset: Tileset, value: str, uid: str, options: JsonObject) -> JsonObject:
        drawn = {**VALUES[value]["options"], "name": tileset.name, **options}
        return track("heatmap", uid, _source(self.server, tileset), options=drawn)


def _levels(predicted: PredictedGenome) -> list[list[int]]:
    """[bin, window], bp, of each level that is predicted, the coarsest first."""
    spec = predicted.engine.spec
    return [[r, spec.window(r)] for r in sorted(predicted.assignment.resolutions, reverse=True)]


def _against(
    registry: TilesetRegistry, server: str, prediction: Tileset | None
) -> dict[str, JsonObject]:
    """Kinds of value that show a prediction against the measured map; none where there are not
    both, or they have no bins in common.
    """
    measured = registry.observed_over_expected
    if prediction is None or not isinstance(measured, RatioTileset):
        return {}
    url = compared_url(prediction.uid, measured.uid)
    try:
        tileset = registry.open_url(url)
    except NotDivisible:
        return {}
    data = {"server": server, "url": url, "filetype": "orca", "coordSystem": tileset.coord_system}

    def drawn(value: str, uid: str, transform: str, **options: Any) -> JsonObject:
        own = {**AGAINST[value]["options"], "dataTransform": transform, **options}
        return track("heatmap", uid, {"data": data}, options=own)

    both = [
        drawn(
            "against-both",
            f"{half}-against",
            half,
            name=f"{half}, bins of both",
            extent=extent,
            **at,
        )
        for half, extent, at in (
            ("predicted", "upper-right", UPPER),
            ("measured", "lower-left", LOWER),
        )
    ]
    contents = {"against-both": both}
    for kind in ("difference", "divided"):
        value = f"against-{kind}"
        name = f"{AGAINST[value]['label']}, bins of both"
        contents[value] = [drawn(value, value, kind, name=name, extent="full", **UPPER)]
    return {
        value: {"label": about["label"], "scale": about["scale"], "contents": contents[value]}
        for value, about in AGAINST.items()
    }


def _locked(predicted: bool, comparable: bool, against: bool) -> Locked:
    """The tracks that may share a scale.

    Parameters
    ----------
    predicted : there is a prediction.
    comparable : there is a measured map, which has bins of the prediction's size.
    against : both are shown in bins of one size, too.
    """
    halves = [name for name, there in zip(PAIR, (predicted, comparable)) if there]
    return {
        "orca-values": [(REFERENCE, f"{half}-weight") for half in halves],
        "orca-against": [(REFERENCE, f"{half}-against") for half in PAIR] if against else [],
        "orca-insulation": [(REFERENCE, "insulation")] if predicted else [],
    }


def _first_domain(chromsizes: Mapping[str, int], finest: int) -> list[int]:
    """What a view shows at first: a small genome whole, else a tile of the finest resolution away
    from the ends of the longest chromosome, which are often gaps.
    """
    axis = Axis(chromsizes)
    if axis.length <= WHOLE_GENOME:
        return [0, axis.length]
    longest = max(chromsizes, key=lambda chrom: chromsizes[chrom])
    start = axis.offsets[longest] + chromsizes[longest] // 4
    return [start, start + TILE_BINS * finest]


def _common_zoom(prediction: Tileset, measured: Tileset) -> int | None:
    """The zoom level at which a measured map has the prediction's finest bins; None if it has none
    of that size.
    """
    finest = min(prediction.info()["resolutions"])
    sizes: list[int] = sorted(measured.info()["resolutions"], reverse=True)
    return sizes.index(finest) if finest in sizes else None


def _beside(registry: TilesetRegistry, main: Tileset | None) -> list[Tileset]:
    """What is listed of the assembly of a map, or of none that is told; all where the server has
    one assembly, or where there is no map.
    """
    if main is None or len(registry.models()) < 2:
        return registry.listed()
    if len({predicted.assembly for _, _, predicted in registry.served.each()}) < 2:
        return registry.listed()
    return [t for t in registry.listed() if t.coord_system in ("", main.coord_system)]
