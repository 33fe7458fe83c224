"""The tilesets of two contact maps: one divided by the other, and a prediction against a measured
map.
"""

from __future__ import annotations

from higlass_plugin.compute.scheduler import Scheduler
from higlass_plugin.registry.address import COMPARED
from higlass_plugin.tilesets.base import ModelTileset, Tileset
from higlass_plugin.tilesets.compared import ComparedTileset
from higlass_plugin.tilesets.division import DivisionTileset, NotDivisible
from higlass_plugin.tilesets.maps import MapTileset
from higlass_plugin.tilesets.measured import RatioTileset


def tileset_of_two(
    url: str,
    one: Tileset,
    other: Tileset,
    predicting: Scheduler | None,
    measuring: Scheduler,
    uid: str,
) -> Tileset:
    """The tileset of two maps.

    Parameters
    ----------
    url : ``divided://`` or ``compared://``, and the maps.
    one, other : the maps.
    predicting, measuring : the schedulers of predictions, None if there are none, and of what is
        measured on files.
    uid : of the tileset.

    Raises
    ------
    NotDivisible
        If they cannot be brought to one grid of bins, or are not a prediction and log
        observed/expected of a measured map, which are compared.
    """
    if not url.startswith(COMPARED):
        predicted = any(isinstance(tileset, ModelTileset) for tileset in (one, other))
        scheduler = (predicting if predicted else None) or measuring
        return DivisionTileset(one, other, scheduler, uid)
    if not isinstance(one, MapTileset) or not isinstance(other, RatioTileset):
        raise NotDivisible(
            f"{one.name!r} and {other.name!r} are not a predicted contact map and log "
            f"observed/expected of a measured one, which are compared"
        )
    assert predicting is not None  # something is predicted
    return ComparedTileset(one, other, predicting, uid)
