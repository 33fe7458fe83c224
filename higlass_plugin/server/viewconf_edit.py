"""The views of an edited genome: in its own coordinates, and what differs from the reference."""

from __future__ import annotations

from dataclasses import replace

from higlass_plugin.registry.address import Address, parse_url
from higlass_plugin.registry.edits import EditedView
from higlass_plugin.server.viewconf_parts import (
    SCORES,
    UPPER,
    VALUES,
    chromosome_labels,
    maps_track,
    marks,
    on_axis,
    score_track,
    track,
)
from higlass_plugin.server.viewconf_reference import ReferenceView
from higlass_plugin.tiles import Axis, JsonObject

#: Fewest bp on both sides of an edit that its first view shows.
MARGIN = 60_000
#: Breakpoints that the page can go to at most: nobody steps through more.
MAX_STOPS = 1000


class EditViews:
    """The views of an edited genome beside that of its reference.

    Parameters
    ----------
    reference : the reference's view.
    edited : the edited genome.
    server : address of the API as the front end will call it.

    Attributes
    ----------
    stops : [position on the reference's axis, on that of the edited genome] of each breakpoint.
    domain : start and end of what is shown at first, on the reference's axis: all breakpoints of
        the first chromosome that has any. Those of others are stops too, but no view could show
        both.
    shift : what is added to a position of the reference for the same position in the edited genome,
        at the first breakpoint.
    """

    def __init__(self, reference: ReferenceView, edited: EditedView, server: str):
        self.edited, self.server = edited, server
        self.assembly, self.value = reference.assembly, reference.value
        self.rows = reference.view["tracks"]["top"]
        self.axis, self.edited_axis = Axis(reference.chromsizes), Axis(edited.contigs)
        self.junctions = on_axis(self.edited_axis, edited.junctions)
        self.stops = [
            [
                self.axis.offsets[b.chrom] + b.reference,
                self.edited_axis.offsets[b.contig] + b.position,
            ]
            for b in edited.breakpoints[:MAX_STOPS]
        ]
        self.shift = self.stops[0][1] - self.stops[0][0] if self.stops else 0
        self.domain = self._domain()

    def alternate(self) -> JsonObject:
        """The view of the edited genome in its own coordinates."""
        own = parse_url(self.edited.url)
        values = {}
        for value, drawn in VALUES.items():
            options = {
                **drawn["options"],
                "dataTransform": value,
                "name": self.edited.name,
                **UPPER,
            }
            content = track("heatmap", f"edited-{value}", self._source(own), options=options)
            values[value] = {"label": drawn["label"], "contents": [content]}
        above, left = chromosome_labels(self._source(own))
        rows = [self._own_row(row, own) for row in self.rows if row["uid"] != above["uid"]]
        orca = {"role": "edit", "shift": self.shift, "stops": self.stops, **self._shared()}
        return {
            "uid": f"edit-{self.edited.id}",
            "layout": {"x": 4, "y": 0, "w": 4, "h": 12},
            "initialXDomain": [position + self.shift for position in self.domain],
            "initialYDomain": [position + self.shift for position in self.domain],
            "tracks": {
                "top": [above, *rows],
                "left": [left],
                "center": [maps_track(values, self.value, orca)],
                "whole": marks(self.junctions),
            },
        }

    def difference(self) -> JsonObject:
        """The view of ln(alternate / reference) in the reference's coordinates."""
        lifted = replace(parse_url(self.edited.url), lifted=True)
        name = f"ln {self.edited.name} / reference"
        options = {**VALUES["logoe"]["options"], "name": name, **UPPER}
        source = self._source(replace(lifted, difference=True))
        above, left = chromosome_labels(self._source(lifted))
        rows = [self._row_of_difference(row) for row in self.rows if row["uid"] != above["uid"]]
        centre = {
            "type": "combined",
            "uid": "maps",
            "contents": [track("heatmap", "difference", source, options=options)],
            "options": {"orca": {"role": "difference", "shift": 0, **self._shared()}},
        }
        return {
            "uid": f"difference-{self.edited.id}",
            "layout": {"x": 8, "y": 0, "w": 4, "h": 12},
            "initialXDomain": list(self.domain),
            "initialYDomain": list(self.domain),
            "tracks": {
                "top": [above, *rows],
                "left": [left],
                "center": [centre],
                "whole": self.marks_of_reference(),
            },
        }

    def marks_of_reference(self) -> list[JsonObject]:
        """Lines at the breakpoints in the reference's coordinates."""
        return marks(on_axis(self.axis, self.edited.places))

    def _own_row(self, row: JsonObject, own: Address) -> JsonObject:
        """What the edited genome has in the place of a track above the reference's map. A row that
        it has nothing for is left empty, so that the maps of all views stand at one height.
        """
        name = row["uid"]
        if name in SCORES and name in self.edited.tilesets:
            return score_track(name, self._source(replace(own, track=name)))
        if f"file-{row.get('tilesetUid')}" in self.edited.tilesets:
            source = self._source(replace(own, track="file", file=row["tilesetUid"]))
            return {k: v for k, v in row.items() if k not in ("server", "tilesetUid")} | source
        return {"type": "empty", "uid": name, "height": row["height"]}

    def _row_of_difference(self, row: JsonObject) -> JsonObject:
        """What the view of the difference has in the place of a track above the reference's map:
        files as they are, and what the edit changes of a score.
        """
        name = row["uid"]
        if name not in SCORES:
            return row
        if f"{name}-difference" not in self.edited.tilesets:
            return {"type": "empty", "uid": name, "height": row["height"]}
        changed = replace(parse_url(self.edited.url), lifted=True, difference=True, track=name)
        return score_track(name, self._source(changed), difference=True)

    def _source(self, address: Address) -> JsonObject:
        """Where the tiles of an address come from. It names the URL, not the uid, so that a server
        that has forgotten the edit makes it again.
        """
        data = {
            "server": self.server,
            "url": str(address),
            "filetype": "orca",
            "coordSystem": self.assembly if address.lifted else self.edited.assembly,
        }
        return {"data": data}

    def _shared(self) -> JsonObject:
        """What our page needs to know of the edit in both views."""
        return {
            "id": self.edited.id,
            "name": self.edited.name,
            "url": self.edited.url,
            "viewconf": self.edited.id,
            "domain": self.domain,
        }

    def _domain(self) -> list[int]:
        first = self.edited.breakpoints[0].chrom if self.edited.breakpoints else None
        shown = [
            self.axis.offsets[b.chrom] + b.reference
            for b in self.edited.breakpoints
            if b.chrom == first
        ]
        start, end = min(shown, default=0), max(shown, default=0)
        margin = max(MARGIN, end - start)
        return [max(0, start - margin), min(self.axis.length, end + margin)]
