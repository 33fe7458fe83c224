"""Viewconfs, which tell HiGlass what to show: the first view of a served genome, and an edited
genome beside its reference.

The central track of every view carries ``options.orca``, which only our own page reads
(``page/src/views.js``): the role of the view, the kinds of value that it can show, and of an edit
how far it is shifted. HiGlass keeps options as they are, so that a viewconf that was exported and
imported again still has them.

References
----------
HiGlass front end 2.3, ``app/schema.json`` (viewconf), ``app/scripts/TrackRenderer.jsx`` (tracks and
their ``data``), ``app/scripts/HiGlassComponent.jsx`` (locks).
"""

from __future__ import annotations

from collections.abc import Mapping

from higlass_plugin.registry.address import Address
from higlass_plugin.registry.edits import EditedView
from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.server.viewconf_edit import EditViews
from higlass_plugin.server.viewconf_reference import REFERENCE, Locked, reference_view
from higlass_plugin.tiles import JsonObject


def default_viewconf(
    registry: TilesetRegistry,
    server: str = "/api/v1",
    model: str | None = None,
    genome: str | None = None,
    cell_type: str | None = None,
) -> JsonObject:
    """The first view of a registry: the prediction above the diagonal, the first measured map below
    it, tracks along two sides.

    Parameters
    ----------
    registry : what it lists is shown.
    server : address of the API as the front end will call it.
    model, genome, cell_type : of the prediction; None: the first that fits.

    Returns
    -------
    A viewconf with one view, ``reference``, of the prediction, or without predictions of the first
    measured map. A small genome is shown whole; of a large one a window of the finest resolution,
    away from the ends of the chromosomes, which are often gaps.

    Raises
    ------
    UrlError
        If the model, the genome or the cell type is not served.
    """
    shown = None
    if registry.models() or model or genome or cell_type:
        shown = registry.served.reference(model, genome, cell_type)
    reference = reference_view(registry, server, shown)
    return _viewconf(server, reference.locked, [reference.view])


def edit_viewconf(
    registry: TilesetRegistry, edited: EditedView, server: str = "/api/v1"
) -> JsonObject:
    """An edited genome beside its reference, and the difference of the two in the reference's
    coordinates.

    Parameters
    ----------
    registry : that made the edit.
    edited : the edited genome.
    server : as for default_viewconf.

    Returns
    -------
    A viewconf with the views ``reference``, ``edit-ID`` and ``difference-ID``, which move together.
    Locked views of HiGlass differ by a constant: the two genomes fit up to the first breakpoint,
    and from there to the next one as far as the lengths agree. The tracks of the edit name their
    ``orca://`` URL, so that a server that has forgotten the edit makes it again.
    """
    shown = Address(edited.model, edited.genome, cell_type=edited.cell_type)
    reference = reference_view(registry, server, shown)
    views = EditViews(reference, edited, server)
    alternate, difference = views.alternate(), views.difference()
    view = reference.view | {
        "layout": {"x": 0, "y": 0, "w": 4, "h": 12},
        "initialXDomain": list(views.domain),
        "initialYDomain": list(views.domain),
        "tracks": reference.view["tracks"] | {"whole": views.marks_of_reference()},
    }
    reference.locked["orca-values"].append((alternate["uid"], "edited-weight"))
    reference.locked["orca-insulation"].append((alternate["uid"], "insulation"))
    conf = _viewconf(server, reference.locked, [view, alternate, difference])
    shifts = {REFERENCE: 0, alternate["uid"]: views.shift, difference["uid"]: 0}
    conf["locationLocks"] = _locks("orca-place", {uid: [by, by, 1] for uid, by in shifts.items()})
    conf["zoomLocks"] = _locks("orca-zoom", {uid: [0, 0, 1] for uid in shifts})
    return conf


def _viewconf(server: str, locked: Locked, views: list[JsonObject]) -> JsonObject:
    """A viewconf of some views; tracks that are locked to each other have one scale of values."""
    scales: JsonObject = {"locksByViewUid": {}, "locksDict": {}}
    for uid, tracks in locked.items():
        members = {f"{view}.{track}": {"view": view, "track": track} for view, track in tracks}
        for part, entries in _locks(uid, members if len(tracks) > 1 else {}).items():
            scales[part] |= entries
    return {
        "editable": True,
        "viewEditable": False,  # no header over each view: our page has a bar
        "zoomFixed": False,
        "trackSourceServers": [server],
        "exportViewUrl": f"{server}/viewconfs/",
        "views": views,
        "zoomLocks": _locks("orca-zoom", {}),
        "locationLocks": _locks("orca-place", {}),
        "valueScaleLocks": scales,
    }


def _locks(uid: str, members: Mapping[str, object]) -> JsonObject:
    """One group of views or tracks that are locked to each other; empty if it has no members."""
    return {
        "locksByViewUid": dict.fromkeys(members, uid),
        "locksDict": {uid: {**members, "uid": uid}} if members else {},
    }
