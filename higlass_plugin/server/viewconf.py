"""What HiGlass is told to show: the first view of a served genome, and an edited genome beside its
reference.

The centre track of every view carries ``options.orca``, which only our own page reads
(``page/src/views.js``): the view's role, the kinds of value it can show, and of an edit how far it
is shifted. HiGlass keeps options as they are, so a viewconf that was exported and imported again,
here or elsewhere, still has them.

References
----------
HiGlass front end 2.3, ``app/schema.json`` (viewconf), ``app/scripts/TrackRenderer.jsx`` (tracks and
their ``data``), ``app/scripts/HiGlassComponent.jsx`` (locks).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from higlass_plugin.registry.address import Address, parse_url
from higlass_plugin.tiles import TILE_BINS, Axis

#: A genome up to this length is shown whole at first, bp.
WHOLE_GENOME = 20_000_000
#: Fewest bp on both sides of an edit that its first view shows.
MARGIN = 60_000
#: Breakpoints that are marked in a view at most: more lines hide the map.
MAX_MARKS = 20

#: Kinds of value, by transform of the predicted tileset: what the page's switch calls them, and how
#: a map of them is drawn.
VALUES: dict[str, dict[str, Any]] = {
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

#: Tracks for real files that lie along a chromosome, by datatype: type, height in pixels, options.
LINEAR: dict[str, tuple[str, int, dict[str, Any]]] = {
    "gene-annotation": (
        "horizontal-gene-annotations",
        70,
        {"plusStrandColor": "#2166ac", "minusStrandColor": "#b2182b"},
    ),
    "bedlike": ("bedlike", 30, {"fillColor": "#555555"}),
    "vector": ("horizontal-bar", 40, {"barFillColor": "#555555"}),
    "multivec": ("horizontal-multivec", 60, {}),
}

#: Predicted tracks along a chromosome, drawn as bars: HiGlass takes every tile of a line for one of
#: 1,024 bins. E1 has mean square 1.
SCORES: dict[str, dict[str, Any]] = {
    "insulation": {"name": "insulation (log2)", "barFillColor": "#777777"},
    "compartments": {
        "name": "compartments (E1)",
        "colorRange": ["#2166ac", "#f7f7f7", "#b2182b"],
        "valueScaleMin": -2.5,
        "valueScaleMax": 2.5,
    },
}

REFERENCE = "reference"

#: (view, track) by the name of what they have in common.
Locked = dict[str, list[tuple[str, str]]]


def default_viewconf(registry: Any, server: str = "/api/v1") -> dict[str, Any]:
    """The first view of a registry: prediction above the diagonal, the first measured map below it,
    tracks along two sides.

    Parameters
    ----------
    registry : a ``higlass_plugin.registry.tilesets.TilesetRegistry``; what it lists is shown.
    server : address of the API as the front end will call it.

    Returns
    -------
    A viewconf with one view, ``reference``, of the first prediction, or without predictions of the
    first measured map. A small genome is shown whole; of a large one a window of the finest
    resolution, away from the ends of the chromosomes, which are often gaps.
    """
    view, locked = _reference(registry, server)
    return _viewconf(server, locked, [view])


def edit_viewconf(registry: Any, edited: Any, server: str = "/api/v1") -> dict[str, Any]:
    """An edited genome beside its reference, and the difference of the two in the reference's
    coordinates.

    Parameters
    ----------
    registry : the ``TilesetRegistry`` that made the edit.
    edited : a ``higlass_plugin.registry.tilesets.EditedView``.
    server : as for default_viewconf.

    Returns
    -------
    A viewconf with the views ``reference``, ``edit-ID`` and ``difference-ID``, which move together.
    Locked views of HiGlass differ by a constant: the two genomes fit up to the first breakpoint,
    and from there to the next one as far as the lengths agree. The tracks of the edit name their
    ``orca://`` URL, so that a server that has forgotten the edit makes it again.
    """
    view, locked = _reference(registry, server, (edited.model, edited.genome))
    about = view["tracks"]["center"][0]["options"]["orca"]
    assembly = about["assembly"]
    here, there = Axis(dict(about["chromsizes"])), Axis(edited.contigs)
    places, junctions = _absolute(here, edited.places), _absolute(there, edited.junctions)
    shift = _shift(here, there, edited)
    # where chromosomes are joined end to end, the reference has no breakpoint
    start, end = (
        _extent(here, edited.places) or [min(junctions[0], here.length) if junctions else 0] * 2
    )
    margin = max(MARGIN, end - start)
    domain = [max(0, start - margin), min(here.length, end + margin)]
    shared = {
        "id": edited.id,
        "name": edited.name,
        "url": edited.url,
        "viewconf": edited.id,
        "domain": domain,
    }
    own = parse_url(edited.url)
    lifted = replace(own, lifted=True)

    def track(kind: str, address: Address, uid: str, **rest: Any) -> dict[str, Any]:
        data = {
            "server": server,
            "url": str(address),
            "filetype": "orca",
            "coordSystem": assembly if address.lifted else edited.assembly,
        }
        return {"type": kind, "uid": uid, "data": data, **rest}

    def labels(address: Address) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        top = track(
            "horizontal-chromosome-labels", address, "labels-top", height=30, options=_labels()
        )
        return [top], [
            track("vertical-chromosome-labels", address, "labels-left", width=30, options=_labels())
        ]

    values = {}
    for value, drawn in VALUES.items():
        options = {**drawn["options"], "dataTransform": value, "name": edited.name, **_corner()}
        values[value] = {
            "label": drawn["label"],
            "contents": [track("heatmap", own, f"edited-{value}", options=options)],
        }
    top, left = labels(own)
    top += [
        track("horizontal-bar", replace(own, track=name), name, height=40, options=_score(options))
        for name, options in SCORES.items()
        if name in edited.tilesets
    ]
    centre = [_centre(values, about["value"], {"role": "edit", "shift": shift, **shared})]
    alternate_uid, difference_uid = f"edit-{edited.id}", f"difference-{edited.id}"
    alternate = {
        "uid": alternate_uid,
        "layout": {"x": 4, "y": 0, "w": 4, "h": 12},
        "initialXDomain": [position + shift for position in domain],
        "initialYDomain": [position + shift for position in domain],
        "tracks": {"top": top, "left": left, "center": centre, "whole": _marks(junctions)},
    }

    options = {**VALUES["logoe"]["options"], "name": f"ln {edited.name} / reference", **_corner()}
    content = track("heatmap", replace(lifted, difference=True), "difference", options=options)
    top, left = labels(lifted)
    centre = [
        {
            "type": "combined",
            "uid": "maps",
            "contents": [content],
            "options": {"orca": {"role": "difference", "shift": 0, **shared}},
        }
    ]
    difference = {
        "uid": difference_uid,
        "layout": {"x": 8, "y": 0, "w": 4, "h": 12},
        "initialXDomain": list(domain),
        "initialYDomain": list(domain),
        "tracks": {"top": top, "left": left, "center": centre, "whole": _marks(places)},
    }

    view |= {
        "layout": {"x": 0, "y": 0, "w": 4, "h": 12},
        "initialXDomain": list(domain),
        "initialYDomain": list(domain),
    }
    locked["orca-values"].append((alternate_uid, "edited-weight"))
    locked["orca-insulation"].append((alternate_uid, "insulation"))
    conf = _viewconf(server, locked, [view, alternate, difference])
    shifts = {REFERENCE: 0, alternate_uid: shift, difference_uid: 0}
    conf["locationLocks"] = _locks("orca-place", {uid: [by, by, 1] for uid, by in shifts.items()})
    conf["zoomLocks"] = _locks("orca-zoom", {uid: [0, 0, 1] for uid in shifts})
    return conf


def _reference(
    registry: Any, server: str, names: tuple[str, str] | None = None
) -> tuple[dict[str, Any], Locked]:
    """The reference's view, and what has a scale in common with other views; of a model and genome,
    or else the first ones.
    """
    listed = registry.listed()
    names = names or next(iter(registry.models()), None)
    prediction = None if names is None else registry.open_url(str(Address(*names)))
    measured = next((t for t in listed if t.filetype != "orca" and t.datatype == "matrix"), None)
    ratios = registry.observed_over_expected  # of the first measured map
    main = prediction or measured

    def track(kind: str, tileset: Any, uid: str, **rest: Any) -> dict[str, Any]:
        return {"type": kind, "uid": uid, "server": server, "tilesetUid": tileset.uid, **rest}

    def half(tileset: Any, value: str, uid: str, extent: str, **options: Any) -> dict[str, Any]:
        drawn = {**VALUES[value]["options"], "name": tileset.name, "extent": extent, **options}
        return track("heatmap", tileset, uid, options=drawn)

    # A frequency of larger bins is larger: one colour scale is right for bins of one size only.
    zoom = None if prediction is None or measured is None else _common_zoom(prediction, measured)
    limit = {} if zoom is None else {"maxZoom": zoom}
    values = {}
    for value, drawn in VALUES.items():
        contents = []
        if prediction is not None:
            contents.append(
                half(
                    prediction,
                    value,
                    f"predicted-{value}",
                    "upper-right",
                    dataTransform=value,
                    **_corner(),
                )
            )
        below = measured if value == "weight" else ratios
        if below is not None:
            contents.append(
                half(below, value, f"measured-{value}", "lower-left", **limit, **_other_corner())
            )
        if len(contents) == 1:
            contents[0]["options"] |= {"extent": "full", "backgroundColor": "white"}
        if contents:
            values[value] = {"label": drawn["label"], "contents": contents}

    shown = (
        "weight" if "weight" in values and measured is not None else next(reversed(values), None)
    )
    along = [
        (t, *LINEAR[t.datatype]) for t in listed if t.filetype != "orca" and t.datatype in LINEAR
    ]
    top = [
        track(kind, t, f"along-{n}", height=height, options={"name": t.name, **options})
        for n, (t, kind, height, options) in enumerate(along)
    ]
    orca: dict[str, Any] = {
        "role": REFERENCE,
        "suggest": next((t.uid for t in listed if t.datatype == "gene-annotation"), None),
    }
    left: list[dict[str, Any]] = []
    domain = [0, 1]
    if main is not None:
        chromsizes = main.info()["chromsizes"]
        orca |= {"chromsizes": chromsizes, "assembly": main.coord_system}
        domain = _domain(dict(chromsizes), min(main.info()["resolutions"]))
        top.insert(
            0,
            track("horizontal-chromosome-labels", main, "labels-top", height=30, options=_labels()),
        )
        left.append(
            track("vertical-chromosome-labels", main, "labels-left", width=30, options=_labels())
        )
    if names is not None:
        orca["model"], orca["genome"] = names
        top += [
            track(
                "horizontal-bar",
                registry.open_url(str(replace(Address(*names), track=name))),
                name,
                height=40,
                options=_score(options),
            )
            for name, options in SCORES.items()
        ]
    view = {
        "uid": REFERENCE,
        "layout": {"x": 0, "y": 0, "w": 12, "h": 12},
        "initialXDomain": list(domain),
        "initialYDomain": list(domain),
        "tracks": {
            "top": top,
            "left": left,
            "center": [_centre(values, shown, orca)] if values else [],
        },
    }
    maps = [
        (REFERENCE, f"{half}-weight")
        for half, there in (("predicted", prediction is not None), ("measured", zoom is not None))
        if there
    ]
    return view, {
        "orca-values": maps,
        "orca-insulation": [(REFERENCE, "insulation")] * (prediction is not None),
    }


def _viewconf(server: str, locked: Locked, views: list[dict[str, Any]]) -> dict[str, Any]:
    """A viewconf of these views; tracks that are locked to each other have one scale of values."""
    values: dict[str, Any] = {"locksByViewUid": {}, "locksDict": {}}
    for uid, tracks in locked.items():
        group = _locks(
            uid,
            {
                f"{view}.{track}": {"view": view, "track": track}
                for view, track in tracks
                if len(tracks) > 1
            },
        )
        for part, entries in group.items():
            values[part] |= entries
    return {
        "editable": True,
        "viewEditable": False,  # no header over each view: our page has a bar
        "zoomFixed": False,
        "trackSourceServers": [server],
        "exportViewUrl": f"{server}/viewconfs/",
        "views": views,
        "zoomLocks": _locks("orca-zoom", {}),
        "locationLocks": _locks("orca-place", {}),
        "valueScaleLocks": values,
    }


def _locks(uid: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """One group of locked views or tracks."""
    return {
        "locksByViewUid": dict.fromkeys(members, uid),
        "locksDict": {uid: {**members, "uid": uid}} if members else {},
    }


def _centre(
    values: Mapping[str, Any], shown: str | None, orca: Mapping[str, Any]
) -> dict[str, Any]:
    """The centre of a view: the maps of one kind of value, and for our page those of all kinds."""
    contents = values[shown]["contents"] if shown is not None else []
    return {
        "type": "combined",
        "uid": "maps",
        "contents": contents,
        "options": {"orca": {**orca, "value": shown, "values": dict(values)}},
    }


def _labels() -> dict[str, Any]:
    return {
        "color": "#555555",
        "tickPositions": "even",
        "tickFormat": "si",
        "fontIsLeftAligned": False,
        "showMousePosition": True,
    }


def _corner() -> dict[str, Any]:
    """Name and colour bar in the upper right corner."""
    shown = {
        "labelPosition": "topRight",
        "labelShowAssembly": False,
        "colorbarPosition": "topRight",
        "showMousePosition": True,
    }
    return {**shown, "backgroundColor": "white"}


def _other_corner() -> dict[str, Any]:
    """The same for the map below the diagonal. Later tracks lie above earlier ones: a background
    would hide them.
    """
    shown = {
        "labelPosition": "bottomLeft",
        "labelShowAssembly": False,
        "colorbarPosition": "hidden",
        "showMousePosition": True,
    }
    return {**shown, "backgroundColor": "transparent"}


def _score(options: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        "labelPosition": "topLeft",
        "labelShowAssembly": False,
        "axisPositionHorizontal": "hidden",
        "showMousePosition": True,
    }
    return {**options, **shown}


def _marks(positions: Iterable[int]) -> list[dict[str, Any]]:
    """Lines through a view at some places; HiGlass draws none at 0, where nothing breaks."""
    drawn = {"color": "#2166ac"}
    marks = []
    for n, at in enumerate(sorted(set(positions) - {0})[:MAX_MARKS]):
        marks.append({"type": "vertical-rule", "uid": f"break-x{n}", "x": at, "options": drawn})
        marks.append({"type": "horizontal-rule", "uid": f"break-y{n}", "y": at, "options": drawn})
    return marks


def _absolute(axis: Axis, places: Mapping[str, Iterable[int]]) -> list[int]:
    """Positions by chromosome as HiGlass counts them, the chromosomes laid end to end."""
    return [
        axis.offsets[chrom] + position
        for chrom, positions in places.items()
        for position in positions
    ]


def _extent(axis: Axis, places: Mapping[str, list[int]]) -> list[int] | None:
    """First and last place on the first chromosome that has any: those on others are marked, but no
    window shows both.
    """
    for chrom, positions in places.items():
        if positions:
            return [axis.offsets[chrom] + min(positions), axis.offsets[chrom] + max(positions)]
    return None


def _shift(here: Axis, there: Axis, edited: Any) -> int:
    """What to add to a place of the reference for the same place in the edited genome, left of the
    first breakpoint.
    """
    extent = _extent(here, edited.places)
    first = next((chrom for chrom, positions in edited.places.items() if positions), None)
    for contig in sorted(
        edited.junctions, key=lambda contig: contig != first
    ):  # the contig of the same name, if it is still there
        if edited.junctions[contig] and extent is not None:
            return there.offsets[contig] + min(edited.junctions[contig]) - extent[0]
    return 0


def _domain(chromsizes: Mapping[str, int], finest: int) -> list[int]:
    """What a first view shows."""
    axis = Axis(chromsizes)
    if axis.length <= WHOLE_GENOME:
        return [0, axis.length]
    longest = max(chromsizes, key=lambda chrom: chromsizes[chrom])
    start = axis.offsets[longest] + chromsizes[longest] // 4
    return [start, start + TILE_BINS * finest]


def _common_zoom(prediction: Any, measured: Any) -> int | None:
    """The zoom level at which a measured map has the prediction's finest bins; None if it has none
    of that size.
    """
    finest, sizes = (
        min(prediction.info()["resolutions"]),
        sorted(measured.info()["resolutions"], reverse=True),
    )
    return sizes.index(finest) if finest in sizes else None
