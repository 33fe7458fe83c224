"""The parts that viewconfs are made of: how maps and tracks are drawn, and what marks
breakpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from higlass_plugin.tiles import Axis, JsonObject

#: Breakpoints that are marked in a view at most: more lines would hide the map.
MAX_MARKS = 20

#: The kinds of value of a map, by transform of the predicted tileset: the name in the page's
#: switch, and how a map of them is drawn.
VALUES: dict[str, JsonObject] = {
    "weight": {
        "label": "contact frequency",
        "options": {
            "heatmapValueScaling": "log",
            "colorRange": ["white", "rgba(245,166,35,1.0)", "rgba(208,2,27,1.0)", "black"],
        },
    },
    "logoe": {
        "label": "log observed/expected",
        "options": {
            "heatmapValueScaling": "linear",
            "colorRange": ["#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b"],
            "valueScaleMin": -1.0,
            "valueScaleMax": 1.0,
        },
    },
}

#: The kinds of value of a prediction against a measured map, on bins of both: the name in the
#: page's switch, what stands beside the colour scale, and how it is drawn.
AGAINST: dict[str, JsonObject] = {
    "against-both": {
        "label": "predicted and measured, same bins",
        "scale": "contact frequency",
        "options": VALUES["weight"]["options"],
    },
    "against-difference": {
        "label": "predicted - measured",
        "scale": "predicted - measured (ln)",
        "options": VALUES["logoe"]["options"],
    },
    "against-divided": {
        "label": "predicted / measured",
        "scale": "predicted / measured",
        "options": {
            **VALUES["logoe"]["options"],
            "heatmapValueScaling": "log",
            "valueScaleMin": 0.25,
            "valueScaleMax": 4.0,
        },
    },
}

#: How files that lie along a chromosome are drawn, by datatype: type of track, height in pixels,
#: options.
LINEAR: dict[str, tuple[str, int, JsonObject]] = {
    "gene-annotation": (
        "horizontal-gene-annotations",
        70,
        {"plusStrandColor": "#2166ac", "minusStrandColor": "#b2182b"},
    ),
    "bedlike": ("bedlike", 30, {"fillColor": "#555555"}),
    "vector": ("horizontal-bar", 40, {"barFillColor": "#555555"}),
    "multivec": ("horizontal-multivec", 60, {}),
}

#: How predicted tracks are drawn. They are bars, because HiGlass takes every tile of a line for one
#: of 1,024 bins. The mean square of E1 is 1.
SCORES: dict[str, JsonObject] = {
    "insulation": {"name": "insulation (log2)", "barFillColor": "#777777"},
    "compartments": {
        "name": "compartments (E1)",
        "colorRange": ["#2166ac", "#f7f7f7", "#b2182b"],
        "barFillColor": "#777777",  # in pictures that HiGlass saves, which leave out the range
        "valueScaleMin": -2.5,
        "valueScaleMax": 2.5,
    },
}

#: How the difference of two predicted scores is drawn: alternate less reference.
CHANGES: dict[str, JsonObject] = {
    "insulation": {
        "name": "change of insulation (log2)",
        "colorRange": ["#2166ac", "#f7f7f7", "#b2182b"],
        "barFillColor": "#777777",  # in pictures that HiGlass saves, which leave out the range
        "valueScaleMin": -1.0,
        "valueScaleMax": 1.0,
    },
    "compartments": {
        "name": "change of compartments (E1)",
        "colorRange": ["#2166ac", "#f7f7f7", "#b2182b"],
        "barFillColor": "#777777",  # in pictures that HiGlass saves, which leave out the range
        "valueScaleMin": -2.5,
        "valueScaleMax": 2.5,
    },
}

#: How the track of an attribution is drawn, which no view shows by itself.
ATTRIBUTION: JsonObject = {"name": "attribution", "barFillColor": "#1b7837"}

_LABELS = {
    "color": "#555555",
    "tickPositions": "even",
    "tickFormat": "si",
    "fontIsLeftAligned": False,
    "showMousePosition": True,
}


def _map_options(name: str, color_bar: str, background: str) -> JsonObject:
    return {
        "labelPosition": name,
        "labelShowAssembly": False,
        "colorbarPosition": color_bar,
        "showMousePosition": True,
        "backgroundColor": background,
    }


#: What is seen where a map has no value: no colour of any scale, so that it is not taken for zero.
MISSING = "#d5d9e0"

#: Options of a map above the diagonal, or of a whole one: its name and colour bar are at the upper
#: right.
UPPER = _map_options("topRight", "topRight", MISSING)
#: Options of a map below the diagonal. It is drawn over the other one, which a background would
#: hide.
LOWER = _map_options("bottomLeft", "hidden", "transparent")


def track(kind: str, uid: str, source: JsonObject, **rest: Any) -> JsonObject:
    """A track.

    Parameters
    ----------
    kind : HiGlass's type of track. uid : of the track.
    source : where its tiles come from, as properties of the track.
    rest : further properties, such as ``options``.
    """
    return {"type": kind, "uid": uid, **source, **rest}


def chromosome_labels(source: JsonObject) -> tuple[JsonObject, JsonObject]:
    """The tracks above and at the left of a map that name the chromosomes."""
    return (
        track("horizontal-chromosome-labels", "labels-top", source, height=30, options={**_LABELS}),
        track("vertical-chromosome-labels", "labels-left", source, width=30, options={**_LABELS}),
    )


def score_track(name: str, source: JsonObject, difference: bool = False) -> JsonObject:
    """The track of a predicted score, one of SCORES, or of its ``difference`` between two
    genomes.
    """
    options = {
        **(CHANGES if difference else SCORES)[name],
        "labelPosition": "topLeft",
        "labelShowAssembly": False,
        "axisPositionHorizontal": "right",
        "showMousePosition": True,
    }
    return track("horizontal-bar", name, source, height=40, options=options)


def maps_track(values: Mapping[str, JsonObject], shown: str | None, orca: JsonObject) -> JsonObject:
    """The central track of a view.

    Parameters
    ----------
    values : by kind of value, the label and the maps. Our page can switch between them.
    shown : the kind that is shown first.
    orca : what else our page needs to know of the view.
    """
    return {
        "type": "combined",
        "uid": "maps",
        "contents": values[shown]["contents"] if shown is not None else [],
        "options": {"orca": {**orca, "value": shown, "values": dict(values)}},
    }


def marks(positions: Iterable[int]) -> list[JsonObject]:
    """Lines through a view at some positions, bp. HiGlass draws none at 0, and no breakpoint is
    there.
    """
    drawn = {"color": "#2166ac"}
    found = []
    for n, at in enumerate(sorted(set(positions) - {0})[:MAX_MARKS]):
        found.append({"type": "vertical-rule", "uid": f"break-x{n}", "x": at, "options": drawn})
        found.append({"type": "horizontal-rule", "uid": f"break-y{n}", "y": at, "options": drawn})
    return found


def on_axis(axis: Axis, places: Mapping[str, Iterable[int]]) -> list[int]:
    """Positions by chromosome as positions on the axis, where chromosomes lie end to end."""
    return [
        axis.offsets[chrom] + position
        for chrom, positions in places.items()
        for position in positions
    ]
