"""What a server does and holds, as numbers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from higlass_plugin.tiles import JsonObject
from orca_cool.profile import REST

if TYPE_CHECKING:
    from higlass_plugin.registry.tilesets import TilesetRegistry


def status(registry: TilesetRegistry) -> JsonObject:
    """What the status page shows: models, numbers of tilesets and jobs, and the use of the
    caches.
    """
    caches = {"windows": registry.units, "tiles": registry.results, "encodings": registry.roots}
    scheduler = registry.scheduler
    return {
        "instance": registry.instance,
        "uptime_s": round(time.time() - registry.began, 1),
        "models": [
            {
                "model": model,
                "genome": genome,
                "assembly": predicted.assembly,
                "cell_types": registry.served.cell_types(model, genome),
            }
            for model, genome, predicted in registry.served.each()
        ],
        "edits": len(registry.edits),
        "tilesets": len(registry.tilesets),
        "queue": 0 if scheduler is None else len(scheduler),
        "computed": 0 if scheduler is None else scheduler.computed,
        "failed": 0 if scheduler is None else scheduler.failed,
        # those that compute in place of the server's own, and how many were replaced
        "processes": len(registry.processes),
        "processes_restarted": sum(process.restarts for process in registry.processes),
        # what was computed, in seconds of the clock and of CPU
        "stages": []
        if scheduler is None
        else [
            {"stage": s.name, "wall_s": round(s.wall, 3), "cpu_s": round(s.cpu, 3)}
            for s in scheduler.profile.stages
            if s.name != REST  # the time in which nothing was asked for, and other threads
        ],
        # of the sequence, in the models' own caches
        "encoded_bytes": sum(
            encodings.nbytes
            for _, _, predicted in registry.served.each()
            if (encodings := getattr(predicted.engine, "encodings", None)) is not None
        )
        + sum(process.encoded_bytes for process in registry.processes),
        "caches": {
            k: {"bytes": c.nbytes, "max_bytes": c.max_bytes, "hits": c.hits, "misses": c.misses}
            for k, c in caches.items()
        },
    }


def metrics(registry: TilesetRegistry) -> dict[str, float]:
    """The numbers of :func:`status` and a few more, by name; names of sums end in "_total"."""
    found = status(registry)
    out: dict[str, float] = {k: found[k] for k in ("uptime_s", "edits", "tilesets", "queue")}
    out["encoded_bytes"] = found["encoded_bytes"]
    out |= {"units_computed_total": found["computed"], "tiles_failed_total": found["failed"]}
    out["processes_restarted_total"] = found["processes_restarted"]
    for s in found["stages"]:
        name = s["stage"].replace(" ", "_")
        out |= {f"stage_{name}_cpu_seconds_total": s["cpu_s"]}
        out |= {f"stage_{name}_seconds_total": s["wall_s"]}
    if registry.scheduler is not None:
        out |= {
            "tiles_built_total": registry.scheduler.built,
            "compute_seconds_total": registry.scheduler.busy,
            "encoded_bp_total": sum(p.engine.encoded_bp for _, _, p in registry.served.each())
            + sum(process.encoded_bp for process in registry.processes),
        }
    for name, cache in found["caches"].items():
        out |= {
            f"cache_{name}_bytes": cache["bytes"],
            f"cache_{name}_hits_total": cache["hits"],
            f"cache_{name}_misses_total": cache["misses"],
        }
    return out
