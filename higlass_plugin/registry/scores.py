"""Scores of variants, as ``orca-cool variants`` writes them, computed when somebody asks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from higlass_plugin.compute.score_units import ScorePlan, ScoreUnit, module_of, read
from higlass_plugin.compute.shares import Client
from higlass_plugin.tiles import JsonObject
from orca_cool.effects.scores import SCORES
from orca_cool.errors import OrcaCoolError

if TYPE_CHECKING:
    from higlass_plugin.registry.tilesets import TilesetRegistry


def scores(
    registry: TilesetRegistry,
    texts: Sequence[str],
    client: Client,
    *,
    model: str | None = None,
    genome: str | None = None,
    cell_type: str | None = None,
) -> JsonObject:
    """What is known of the scores of some variants; what is not is computed. Ask again.

    Parameters
    ----------
    texts : lines of VCF, each a variant (or several, one for each ALT).
    client : who asks; tiles that the same client waits for are computed first.
    model, genome, cell_type : of the prediction; None: the first that fits.

    Returns
    -------
    ``scores`` : for each text ``state``, "ready", "computing" or "failed", with ``variants`` (see
    :class:`~higlass_plugin.compute.score_units.ScoreUnit`) or ``error``. ``resolutions`` : the
    levels that are scored, bp. ``names`` : of the scores.

    Raises
    ------
    UrlError
        If the model, the genome or the cell type is not served.
    """
    predicted = registry.served.predicted(registry.served.reference(model, genome, cell_type))
    scheduler = registry.scheduler
    assert scheduler is not None  # something is served
    out: list[JsonObject] = []
    for number, text in enumerate(texts):
        plan = ScorePlan(ScoreUnit(predicted, text))
        found, message = scheduler.results.get(plan.key), scheduler.error(plan.key)
        if found is not None:
            out.append({"state": "ready", "variants": json.loads(str(found))})
        elif message is not None:
            out.append({"state": "failed", "error": message})
        else:
            try:
                if scheduler.plan_of(plan.key) is None:
                    read(predicted, text)  # what is no VCF is told at once
                scheduler.want([(plan, float(number))], client)
                out.append({"state": "computing"})
            except OrcaCoolError as error:
                out.append({"state": "failed", "error": " ".join(str(error).split())})
    return {
        "scores": out,
        "resolutions": list(module_of(predicted).resolutions),
        "names": list(SCORES),
    }
