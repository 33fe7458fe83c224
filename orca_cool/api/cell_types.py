"""One job for each cell type of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from orca_cool.prediction.job import J, Say
from orca_cool.profile import stage


def each_cell_type(job: J) -> list[J]:
    """The job for each cell type that is wanted, all of them checked before the first runs."""
    job.check()
    jobs = job.each_cell_type()
    for one in jobs:
        one.check()
    return jobs


def run_each(jobs: Sequence[Any], progress: bool, say: Say) -> Iterator[Any]:
    """What the jobs return, one after the other. Those of several cell types share the model and
    what it has encoded, unless several processes do the work.
    """
    first, *others = jobs
    if not others:
        yield first.run(progress=progress, say=say)
        return
    first.check_inputs()
    with stage("libraries"):
        from orca_cool.prediction.parallel.ranks import Ranks

    if getattr(first, "workers", None) or Ranks.from_environment():
        for job in jobs:
            yield job.run(progress=progress, say=say)
        return
    opened = first.open(say)
    yield first.run(opened, progress=progress, say=say)
    for job in others:
        yield job.run(opened.for_cell_type(job), progress=progress, say=say)
