"""What a map in a notebook shows: the reference, or the reference, an edited genome and their
difference in panes of one size with the same tracks.

Names and colour bars stand above the maps, and are drawn by the widget's own page
(``page/notebook/main.js``), so a pane begins with an empty track that leaves them room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from higlass_plugin.clodius_tiles import Options, open_tileset, registry
from higlass_plugin.notebook.errors import NotebookError
from higlass_plugin.registry.address import Address, parse_url
from higlass_plugin.registry.edits import EditedView
from higlass_plugin.server.viewconf_parts import (
    SCORES,
    VALUES,
    chromosome_labels,
    marks,
    on_axis,
    score_track,
    track,
)
from higlass_plugin.tiles import Axis, JsonObject
from higlass_plugin.tilesets.base import ComputedTileset
from orca_cool.genome.regions import Region, parse_region

#: The type of data source of a notebook (``page/notebook/channel.js``).
SOURCE = "orca-cool"
#: Height of the room for a pane's name, pixels.
HEAD = 40
#: What is drawn where nothing is predicted: grey, since white is a value of the colour scales.
MISSING = "#d0d0d0"
#: Fewest bp on both sides of an edit that are shown where no region is asked for.
MARGIN = 60_000
#: Bins of the coarsest level that are shown at most where neither region nor edit is given.
WIDEST = 500

REFERENCE, EDITED, DIFFERENCE = "reference", "edit", "difference"


@dataclass(frozen=True)
class Panes:
    """What a widget shows.

    Attributes
    ----------
    viewconf : HiGlass's, without places.
    about : by pane its name, unit and shift (bp from the reference's axis to its own), and the
        chromosomes of the reference.
    domain : start and end of what is shown at first, on the reference's axis.
    addresses : by uid, of all tilesets that are shown.
    axis : of the reference.
    """

    viewconf: JsonObject
    about: JsonObject
    domain: tuple[int, int]
    addresses: dict[str, Address]
    axis: Axis


@dataclass(frozen=True)
class Drawing:
    """How maps are drawn; see :func:`higlass_plugin.notebook.view`."""

    value: str = "logoe"
    vmax: float = 1.0
    dmax: float = 0.5
    tracks: tuple[str, ...] = ()

    def check(self) -> None:
        """NotebookError if something cannot be drawn so."""
        if self.value not in VALUES:
            raise NotebookError(f"value {self.value!r} is not one of {', '.join(VALUES)}")
        for name, limit in (("vmax", self.vmax), ("dmax", self.dmax)):
            if not limit > 0:
                raise NotebookError(f"{name} {limit!r} is no end of a scale; give more than 0")
        for name in self.tracks:
            if name not in SCORES:
                raise NotebookError(f"track {name!r} is not one of {', '.join(SCORES)}")


def make_panes(address: Address, region: str | None, drawing: Drawing, options: Options) -> Panes:
    """What a widget shows of a model, a genome and edits.

    Parameters
    ----------
    address : of the map of the edited genome, or, without edits, of the reference's; its model may
        be a folder, its genome a file.
    region : on the reference; None: around the breakpoints, or the start of the genome.

    Raises
    ------
    As :func:`higlass_plugin.notebook.view`.
    """
    drawing.check()
    base = replace(address, edits=(), vcf="")
    opened = open_tileset(base, options)
    found = parse_region(region, opened.axis.chromsizes) if region is not None else None
    edited = None
    if address.edited:
        known = parse_url(opened.description)  # by the names that the registry has for them
        edited = registry().edit(
            address.edits,
            vcf=address.vcf,
            model=known.model,
            genome=known.genome,
            cell_type=known.cell_type,
        )
    return _Panes(address, opened, drawing, options, edited).make(found)


class _Panes:
    """Makes panes; ``addresses`` fills while it does."""

    def __init__(
        self,
        address: Address,
        opened: ComputedTileset,
        drawing: Drawing,
        options: Options,
        edited: EditedView | None,
    ):
        self.own, self.opened, self.edited = address, opened, edited
        self.base = replace(address, edits=(), vcf="")
        self.drawing, self.options = drawing, options
        self.addresses: dict[str, Address] = {}

    def make(self, region: Region | None) -> Panes:
        axis = self.opened.axis
        shift = 0
        if self.edited is not None:
            shift = shift_at(self.edited, axis, region)
        names = {REFERENCE: "reference"}
        views = [self._view(REFERENCE, self.base, self._map(self.base), [])]
        if self.edited is not None:
            places = on_axis(axis, self.edited.places)
            own_places = on_axis(Axis(self.edited.contigs), self.edited.junctions)
            difference = replace(self.own, lifted=True, difference=True)
            views = [
                self._view(REFERENCE, self.base, self._map(self.base), places),
                self._view(EDITED, self.own, self._map(self.own), own_places),
                self._view(DIFFERENCE, self.base, self._difference(difference), places),
            ]
            names |= {EDITED: self.edited.name, DIFFERENCE: "edit minus reference"}
        label = {"logoe": "ln observed/expected", "weight": "contact frequency"}
        about = {
            uid: {
                "name": name,
                "unit": "ln edit/reference" if uid == DIFFERENCE else label[self.drawing.value],
                "shift": shift if uid == EDITED else 0,
            }
            for uid, name in names.items()
        }
        return Panes(
            _viewconf(views, shift),
            {"panes": about, "chromsizes": axis.rows()},
            self._domain(region),
            self.addresses,
            axis,
        )

    def _source(self, address: Address) -> JsonObject:
        """Where HiGlass gets the tiles of an address."""
        uid = open_tileset(address, self.options).uid
        self.addresses[uid] = address
        return {"data": {"type": SOURCE, "tilesetUid": uid}}

    def _map(self, address: Address) -> JsonObject:
        value = self.drawing.value
        scale: JsonObject = {**VALUES[value]["options"], "dataTransform": value}
        if value == "logoe":
            scale |= {"valueScaleMin": -self.drawing.vmax, "valueScaleMax": self.drawing.vmax}
        return self._heatmap(address, scale)

    def _difference(self, address: Address) -> JsonObject:
        limits = {"valueScaleMin": -self.drawing.dmax, "valueScaleMax": self.drawing.dmax}
        return self._heatmap(address, {**VALUES["logoe"]["options"], **limits})

    def _heatmap(self, address: Address, scale: JsonObject) -> JsonObject:
        options = {
            **scale,
            "labelPosition": "hidden",
            "colorbarPosition": "hidden",
            "backgroundColor": MISSING,
            "showMousePosition": True,
        }
        return track("heatmap", "map", self._source(address), options=options)

    def _view(
        self, uid: str, address: Address, centre: JsonObject, places: Sequence[int]
    ) -> JsonObject:
        """A pane with the axis and the tracks of an address."""
        above, left = chromosome_labels(self._source(address))
        for axis in (above, left):  # a tick every 200 pixels would be one in a small map
            axis["options"] |= {"tickPositions": "ends", "tickFormat": "plain"}
        scores = [
            score_track(name, self._source(replace(address, track=name)))
            for name in self.drawing.tracks
        ]
        return {
            "uid": uid,
            "layout": {"x": 0, "y": 0, "w": 12, "h": 12},
            "tracks": {
                "top": [track("empty", "head", {}, height=HEAD, options={}), *scores, above],
                "left": [left],
                "center": [centre],
                "whole": marks(places),
            },
        }

    def _domain(self, region: Region | None) -> tuple[int, int]:
        axis = self.opened.axis
        if region is not None:
            offset = axis.offsets[region.chrom]
            return offset + region.start, offset + region.end
        found = self.edited.breakpoints if self.edited is not None else []
        if not found:
            first = next(iter(axis.chromsizes))
            return 0, min(axis.chromsizes[first], WIDEST * self.opened.native[-1])
        chrom = found[0].chrom
        places = [b.reference for b in found if b.chrom == chrom]
        margin = max(MARGIN, max(places) - min(places))
        start = max(0, min(places) - margin)
        end = min(axis.chromsizes[chrom], max(places) + margin)
        return axis.offsets[chrom] + start, axis.offsets[chrom] + end


def shift_at(edited: EditedView, axis: Axis, region: Region | None) -> int:
    """What is added to a position of the reference for the same position in the edited genome: at
    the first breakpoint of a region, or, if it has none, of the genome.
    """
    own = Axis(edited.contigs)
    inside = [
        b
        for b in edited.breakpoints
        if region is not None
        and b.chrom == region.chrom
        and region.start <= b.reference < region.end
    ]
    for b in inside or edited.breakpoints:
        return own.offsets[b.contig] + b.position - axis.offsets[b.chrom] - b.reference
    return 0


def _viewconf(views: list[JsonObject], shift: int) -> JsonObject:
    """A viewconf of views that move together; the maps of the two genomes have one scale."""
    shifts = {view["uid"]: shift if view["uid"] == EDITED else 0 for view in views}
    several = len(views) > 1
    place: dict[str, Any] = {uid: [by, by, 1] for uid, by in shifts.items()}
    zoom: dict[str, Any] = {uid: [0, 0, 1] for uid in shifts}
    scale: dict[str, Any] = {
        f"{uid}.map": {"view": uid, "track": "map"} for uid in (REFERENCE, EDITED)
    }
    return {
        "editable": False,
        "viewEditable": False,
        "zoomFixed": False,
        "trackSourceServers": [],
        "exportViewUrl": "",
        "views": views,
        "locationLocks": _lock("place", place if several else {}),
        "zoomLocks": _lock("zoom", zoom if several else {}),
        "valueScaleLocks": _lock("scale", scale if several else {}),
    }


def _lock(uid: str, members: dict[str, Any]) -> JsonObject:
    return {
        "locksByViewUid": dict.fromkeys(members, uid),
        "locksDict": {uid: {**members, "uid": uid}} if members else {},
    }
