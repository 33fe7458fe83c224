"""In-silico mutagenesis of the bases that somebody looks at, as a page asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from higlass_plugin.compute.shares import Client
from higlass_plugin.tiles import JsonObject
from higlass_plugin.tilesets.attribution import AttributionTileset
from higlass_plugin.tilesets.mutagenesis import MutagenesisPlan
from orca_cool.errors import OrcaCoolError
from orca_cool.genome.regions import parse_region

if TYPE_CHECKING:
    from higlass_plugin.registry.tilesets import TilesetRegistry


def mutagenesis(registry: TilesetRegistry, uid: str, where: str, client: Client) -> JsonObject:
    """The change of an objective by every substitution of the bases of a region, as far as it is
    computed. What is missing is computed in the background, as tiles are, by its turn; whoever
    stops asking is not waited for.

    Parameters
    ----------
    uid : of an attribution.
    where : the region, of at most :data:`~higlass_plugin.tilesets.mutagenesis.MOST` bases.

    Returns
    -------
    ``region``, ``ready``; ``known`` : number of its bases that are settled. ``changes`` : for each
    base [A, C, G, T], the change by each, 0 for the base that is there; null where nothing is
    known, or never will be: N, and sequence from which the objective is not predicted.
    ``contributes`` : for each base minus the mean of the four, as ``orca-cool attribute`` has it.
    ``queue`` : see :func:`higlass_plugin.registry.tiles.progress`.

    Raises
    ------
    OrcaCoolError
        If the tileset is no attribution, the region is none of its genome or too long, or it cannot
        be computed.
    """
    tileset = registry[uid]
    if not isinstance(tileset, AttributionTileset):
        raise OrcaCoolError(f"{tileset.name!r} is no attribution, of which there is mutagenesis")
    plan = MutagenesisPlan(tileset, parse_region(where, tileset.axis.chromsizes))
    scheduler = tileset.scheduler
    scheduler.want([(plan, 0.0)], client)
    error = scheduler.error(plan.key)
    if error is not None:
        raise OrcaCoolError(error)
    values, known = scheduler.results.get(plan.key), len(plan.region)
    ready = values is not None
    if values is None:
        known, values = plan.known(scheduler.lookup), plan.preview(scheduler.lookup)
    place = scheduler.place([plan.key], client[0])
    return {
        "region": str(plan.region),
        "ready": ready,
        "known": known,
        "changes": [_numbers(base) for base in values],
        "contributes": _numbers(-values.astype(float).mean(axis=1)),
        "queue": None if place is None else place.to_json(),
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    """Numbers as JSON has them, which has no NaN."""
    return [float(value) if np.isfinite(value) else None for value in values]
