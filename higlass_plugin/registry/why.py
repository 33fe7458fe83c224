"""What can be asked of a place on a predicted map: "why is this pixel what it is?", as objectives
whose attribution is a track (``orca://...?track=attribution&objective=...``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from higlass_plugin.compute.attribution_units import Asked
from higlass_plugin.registry.address import Address, parse_url
from higlass_plugin.tiles import JsonObject
from higlass_plugin.tilesets.maps import DifferenceTileset, LiftedTileset, MapTileset
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


@dataclass(frozen=True)
class _Question:
    """An objective, and what it asks in words."""

    objective: str
    words: str


def questions(
    registry: TilesetRegistry, uid: str, first: str, second: str, resolution: int
) -> JsonObject:
    """What can be asked of a pixel.

    Parameters
    ----------
    uid : of a predicted map in the coordinates of its own genome.
    first, second : its two positions ("chrII:238,265"), of one chromosome.
    resolution : bp per bin of the level that is looked at.

    Returns
    -------
    ``questions`` : a list of ``objective``, ``words``, and ``url``, whose tileset is the track;
    those that the model cannot answer there are left out. ``about`` : the place in words.
    ``without`` : why there are none, "" if there are some.

    Raises
    ------
    OrcaCoolError
        If the tileset is no predicted map in its own coordinates, has no such level, or the
        positions are none of its genome.
    """
    tileset = registry[uid]
    if isinstance(tileset, LiftedTileset | DifferenceTileset) or not isinstance(
        tileset, MapTileset
    ):
        raise OrcaCoolError(
            f"{tileset.name!r} is not a predicted map in the coordinates of its own genome; ask "
            f"that of the reference, or of the edit"
        )
    if resolution not in tileset.native:
        have = ", ".join(f"{r:,}" for r in tileset.native)
        raise OrcaCoolError(f"{tileset.name!r} has no bins of {resolution:,} bp; it has: {have}")
    sizes = tileset.axis.chromsizes
    places = [parse_position(text, sizes) for text in (first, second)]
    (one, a), (other, b) = places
    about = f"{one}:{a:,} and {other}:{b:,}, bins of {bp_label(resolution)}"
    if one != other:
        why = "the two positions lie on two chromosomes; orca-cool attribute answers that"
        return {"about": about, "questions": [], "without": why}
    own = parse_url(tileset.description).sequence
    found, reasons = [], []
    for question in _asked(one, min(a, b), max(a, b), resolution, sizes[one]):
        try:
            Asked(tileset.predicted, parse_objective(question.objective), str(resolution), "")
        except OrcaCoolError as error:
            reasons.append(str(error))
        else:
            url = _track(own, question.objective, resolution)
            found.append({"objective": question.objective, "words": question.words, "url": url})
    return {"about": about, "questions": found, "without": "" if found else reasons[0]}


def _asked(chrom: str, a: int, b: int, resolution: int, size: int) -> Iterator[_Question]:
    """Questions of two positions of a chromosome of ``size`` bp, the most likely one first."""

    def at(position: int) -> str:
        return f"{chrom}:{position}"

    def words(position: int) -> str:
        return f"{chrom}:{position:,}"

    def around(position: int) -> str:
        k = position // resolution
        start, end = max(0, k - AROUND) * resolution, min((k + AROUND + 1) * resolution, size)
        return f"{chrom}:{start}-{end}"

    if b // resolution - a // resolution >= APART:
        pair = f"{words(a)} and {words(b)}"
        yield _Question(f"pixel {at(a)} {at(b)}", f"Why do {pair} touch as often as they do?")
        yield _Question(
            f"dot {at(a)} {at(b)}",
            f"Why is there a dot (or none): do {pair} touch more often than their surroundings?",
        )
        yield _Question(
            f"rect {around(a)} {around(b)}",
            f"Why do the {2 * AROUND + 1} bins around {words(a)} touch those around {words(b)}?",
        )
    for position in dict.fromkeys((a, b)):
        yield _Question(
            f"insulation {at(position)}", f"Why is there a boundary (or none) at {words(position)}?"
        )


def _track(own: Address, objective: str, resolution: int) -> str:
    asked = replace(own, track="attribution", objective=objective, resolution=str(resolution))
    return str(asked)
