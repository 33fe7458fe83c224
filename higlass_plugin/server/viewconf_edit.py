"""The views of an edited genome: in its own coordinates, and what differs from the reference."""

from __future__ import annotations

from collections.abc import Mapping
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


class EditViews:
    """The views of an edited genome beside that of its reference.

    Parameters
    ----------
    reference : the reference's view.
    edited : the edited genome.
    server : address of the API as the front end will call it.

    Attributes
    ----------
    domain : start and end of what is shown at first, on the reference's axis.
    shift : what is added to a position of the reference for the same position in the edited genome,
        left of the first breakpoint.
    """

    def __init__(self, reference: ReferenceView, edited: EditedView, server: str):
        self.edited, self.server = edited, server
        self.assembly, self.value = reference.assembly, reference.value
        self.axis, self.edited_axis = Axis(reference.chromsizes), Axis(edited.contigs)
        self.junctions = on_axis(self.edited_axis, edited.junctions)
        self.shift = self._shift()
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
        scores = [
            score_track(name, self._source(replace(own, track=name)))
            for name in SCORES
            if name in self.edited.tilesets
        ]
        orca = {"role": "edit", "shift": self.shift, **self._shared()}
        return {
            "uid": f"edit-{self.edited.id}",
            "layout": {"x": 4, "y": 0, "w": 4, "h": 12},
            "initialXDomain": [position + self.shift for position in self.domain],
            "initialYDomain": [position + self.shift for position in self.domain],
            "tracks": {
                "top": [above, *scores],
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
                "top": [above],
                "left": [left],
                "center": [centre],
                "whole": marks(on_axis(self.axis, self.edited.places)),
            },
        }

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
        extent = _extent(self.axis, self.edited.places)
        if extent is None:
            # chromosomes were joined end to end, which leaves no breakpoint in the reference
            place = min(self.junctions[0], self.axis.length) if self.junctions else 0
            extent = place, place
        start, end = extent
        margin = max(MARGIN, end - start)
        return [max(0, start - margin), min(self.axis.length, end + margin)]

    def _shift(self) -> int:
        edited = self.edited
        extent = _extent(self.axis, edited.places)
        if extent is None:
            return 0
        first = next(chrom for chrom, positions in edited.places.items() if positions)
        # the contig with the name of the chromosome comes first, if it is still there
        for contig in sorted(edited.junctions, key=lambda contig: contig != first):
            if edited.junctions[contig]:
                offset = self.edited_axis.offsets[contig]
                return offset + min(edited.junctions[contig]) - extent[0]
        return 0


def _extent(axis: Axis, places: Mapping[str, list[int]]) -> tuple[int, int] | None:
    """First and last position, on the axis, of the first chromosome that has any. Those of other
    chromosomes are marked, but no view could show both.
    """
    for chrom, positions in places.items():
        if positions:
            return axis.offsets[chrom] + min(positions), axis.offsets[chrom] + max(positions)
    return None
