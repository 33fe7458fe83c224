"""Which units are computed next for a tile, and which of other tiles together with them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.jobs import Job
from higlass_plugin.compute.units import Unit
from higlass_plugin.compute.workers import Worker

#: Number of other jobs that are searched for units to compute in one batch with those of the first.
NEIGHBOURS = 32


def next_batch(
    job: Job,
    others: Sequence[Job],
    cache: Cache,
    workers: Iterable[Worker],
    most: int,
    elsewhere: tuple[type, ...] = (),
) -> Sequence[tuple[Unit, Any, Job]] | None:
    """Units to compute at once, each with the value of the unit that it needs, and the job that it
    is computed for.

    Parameters
    ----------
    job : whose turn it is.
    others : jobs whose units of the same kind are computed with those of ``job``.
    cache : of the values of units.
    workers : what they have in hand is left to them.
    most : number of units.
    elsewhere : classes of units that are not computed here.

    Returns
    -------
    The units; none if all units of ``job`` have values, None if it must wait for other workers.
    """
    batch: OrderedDict[Unit, tuple[Any, Job]] = OrderedDict()
    kind: Hashable = None
    # what others have in hand, and what waits for that
    held_up = {unit for worker in workers for unit, _, _ in worker.batch}
    read_now = {root for worker in workers for root in worker.reads}
    for j in [job, *others[:NEIGHBOURS]]:
        for unit in list(j.missing):
            if known(j, unit, cache) is not None or (batch and unit.kind != kind):
                continue
            if isinstance(unit, elsewhere):
                continue
            draft = getattr(unit, "draft", None)
            if held_up & {unit, draft} or getattr(unit, "reads", None) in read_now:
                held_up.add(unit)
                continue
            above = None if unit.needs is None else known(j, unit.needs, cache)
            if unit.needs is not None and above is None:
                if unit.needs in held_up:
                    held_up.add(unit)
                elif not batch:
                    # the cache has dropped what this unit needs: that is computed again first
                    j.missing[unit.needs] = None
                    j.missing.move_to_end(unit.needs, last=False)
                    return next_batch(job, others, cache, workers, most, elsewhere)
                continue
            kind = unit.kind
            if hasattr(unit, "draft"):
                above = above, None if draft is None else value(j, draft, cache)
            batch.setdefault(unit, (above, j))
            if len(batch) >= most:
                return [(unit, *rest) for unit, rest in batch.items()]
        if not batch:
            return None if job.missing else ()
    return [(unit, *rest) for unit, rest in batch.items()]


def value(job: Job, unit: Unit, cache: Cache) -> Any:
    """The value of a unit, which the job holds from now on; None if there is none."""
    found = job.held.get(unit)
    if found is None:
        found = cache.get(unit)
        if found is not None:
            job.held[unit] = found
            job.missing.pop(unit, None)
    return found


def known(job: Job, unit: Unit, cache: Cache) -> Any:
    """The value of a unit; of a draft that of its window, if it is there."""
    final = getattr(unit, "final", None)
    found = None if final is None else value(job, final, cache)
    if found is None:
        return value(job, unit, cache)
    job.missing.pop(unit, None)
    return found
