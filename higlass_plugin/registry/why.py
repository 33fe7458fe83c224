"""What can be asked of a place on a predicted map: "why is this pixel what it is?", as objectives
whose attribution is a track (``orca://...?track=attribution&objective=...``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from higlass_plugin.compute.attribution_units import Asked
from higlass_plugin.registry.address import Address, parse_url
from higlass_plugin.registry.lifted_places import Place, into_edit, into_reference
from higlass_plugin.tiles import JsonObject
from higlass_plugin.tilesets.base import ModelTileset
from higlass_plugin.tilesets.maps import DifferenceTileset, MapTileset
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.regions import parse_position
from orca_cool.maps.axes import bp_label
from orca_cool.perturb.objective_text import parse_objective

if TYPE_CHECKING:
    from higlass_plugin.registry.tilesets import TilesetRegistry

#: Bins between two positions from which on they are a pair, and not one place.
APART = 3
#: Bins on either side of a position of which a square of contacts consists.
AROUND = 2


#: What is told of questions about what an edit changes: an attribution is of one genome, and what
#: differs between two is seen by comparing theirs.
COMPARED = (
    "Answered by two rows: which bases hold it in the reference, and which in the edited genome. "
    "Where the two rows differ is why the maps do."
)


@dataclass(frozen=True)
class _Question:
    """An objective, the name of its row in the coordinates that are shown, what it asks in words,
    and what it asks of the change by an edit.
    """

    objective: str
    name: str
    words: str
    compared: str


def questions(
    registry: TilesetRegistry, uid: str, first: str, second: str, resolution: int
) -> JsonObject:
    """What can be asked of a pixel.

    A pixel at the reference's coordinates of what an edit makes (its map there, or the difference)
    is asked about where it lies in the edited genome.

    Parameters
    ----------
    uid : of a predicted map, or of the difference of two.
    first, second : its two positions ("chrII:238,265"), of one chromosome.
    resolution : bp per bin of the level that is looked at.

    Returns
    -------
    ``questions`` : a list of ``objective``, ``name`` (what its row is called, in the coordinates
    that are shown), ``words``, and ``url``, whose tileset is the track; those that the model cannot
    answer there are left out. ``about`` : the place in words.
    ``reference`` : the two positions ("chrII:238265") in the reference; None where they are not
    there, or, of an edited genome's own coordinates, are there and in the edit several times.
    ``note`` : what the rows that answer show, "" if that needs no words.
    ``without`` : why there are none, "" if there are some.

    Raises
    ------
    OrcaCoolError
        If the tileset is no predicted map, has no such level, or the positions are none of its
        genome.
    """
    tileset = registry[uid]
    if not isinstance(tileset, MapTileset | DifferenceTileset):
        raise OrcaCoolError(
            f"{tileset.name!r} is not a predicted map; ask that of the reference, or of the edit"
        )
    if resolution not in tileset.native:
        have = ", ".join(f"{r:,}" for r in tileset.native)
        raise OrcaCoolError(f"{tileset.name!r} has no bins of {resolution:,} bp; it has: {have}")
    sizes = tileset.axis.chromsizes
    shown = sorted(Place(*parse_position(text, sizes)) for text in (first, second))
    answer: JsonObject = {
        "about": f"{shown[0]} and {shown[1]}, bins of {bp_label(resolution)}",
        "questions": [],
        "reference": _in_reference(tileset, shown),
        "note": COMPARED if isinstance(tileset, DifferenceTileset) else "",
        "without": "",
    }
    try:
        places = _predicted(tileset, shown, resolution)
    except OrcaCoolError as error:
        return answer | {"without": str(error)}
    if places != shown:
        answer["about"] += f"; in the edited genome {places[0]} and {places[1]}"
    found, reasons = _answerable(tileset, places, shown, resolution)
    return answer | {"questions": found, "without": "" if found else reasons[0]}


def _answerable(
    tileset: ModelTileset, places: Sequence[Place], shown: Sequence[Place], resolution: int
) -> tuple[list[JsonObject], list[str]]:
    """The questions of two positions that the model can answer, and why it cannot answer others.

    Parameters
    ----------
    places, shown : see :func:`_asked`.
    """
    own = parse_url(tileset.description).sequence
    size = tileset.predicted.axis.chromsizes[places[0].chrom]
    found: list[JsonObject] = []
    reasons: list[str] = []
    for question in _asked(places, shown, resolution, size):
        try:
            objective = parse_objective(question.objective)
            Asked(tileset.predicted, objective, str(resolution), "")
        except OrcaCoolError as error:
            reasons.append(str(error))
        else:
            url = _track(own, question.objective, resolution)
            compared = isinstance(tileset, DifferenceTileset)
            words = question.compared if compared else question.words
            named = {"objective": question.objective, "name": question.name}
            found.append(named | {"words": words, "url": url})
    return found, reasons


def _in_reference(tileset: ModelTileset, shown: Sequence[Place]) -> list[str] | None:
    """Where positions of a tileset's axis lie in the reference."""
    genome = tileset.predicted.genome
    if genome is None or tileset.shown is not tileset.predicted:
        return [place.text for place in shown]
    return into_reference(genome, shown)


def _predicted(tileset: ModelTileset, shown: Sequence[Place], resolution: int) -> list[Place]:
    """Where positions of a tileset's axis lie in the genome that is predicted; OrcaCoolError where
    nothing can be asked of them.
    """
    genome, places = tileset.predicted.genome, list(shown)
    if genome is not None and tileset.shown is not tileset.predicted:
        places = [into_edit(genome, place, resolution) for place in shown]
    if places[0].chrom != places[1].chrom:
        raise OrcaCoolError(
            "the two positions lie on two chromosomes; orca-cool attribute answers that"
        )
    return places


def _asked(
    places: Sequence[Place], shown: Sequence[Place], resolution: int, size: int
) -> Iterator[_Question]:
    """Questions of two positions of a chromosome of ``size`` bp, the most likely one first.

    Parameters
    ----------
    places : in the genome that is predicted. shown : what words call them.
    """
    (one, other), (first, second) = shown, places

    def around(place: Place) -> str:
        k = place.position // resolution
        start, end = max(0, k - AROUND) * resolution, min((k + AROUND + 1) * resolution, size)
        return f"{place.chrom}:{start}-{end}"

    if abs(second.position // resolution - first.position // resolution) >= APART:
        pair, bins = f"{one} and {other}", f"the {2 * AROUND + 1} bins around"
        yield _Question(
            f"pixel {first.text} {second.text}",
            f"pixel {one.text} {other.text}",
            f"Why do {pair} touch as often as they do?",
            f"Why does the edit change how often {pair} touch?",
        )
        yield _Question(
            f"dot {first.text} {second.text}",
            f"dot {one.text} {other.text}",
            f"Why is there a dot (or none): do {pair} touch more often than their surroundings?",
            f"Why does the edit change a dot: how often {pair} touch, over their surroundings?",
        )
        yield _Question(
            f"rect {around(first)} {around(second)}",
            f"bins around {one.text} and {other.text}",
            f"Why do {bins} {one} touch those around {other}?",
            f"Why does the edit change how often {bins} {one} touch those around {other}?",
        )
    for place, name in dict(zip((first, second), (one, other))).items():
        yield _Question(
            f"insulation {place.text}",
            f"insulation {name.text}",
            f"Why is there a boundary (or none) at {name}?",
            f"Why does the edit change the boundary (or none) at {name}?",
        )


def _track(own: Address, objective: str, resolution: int) -> str:
    asked = replace(own, track="attribution", objective=objective, resolution=str(resolution))
    return str(asked)
