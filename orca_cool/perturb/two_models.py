"""An objective of one model less that of another's. All methods are linear in the objective: what
it depends on is the difference of what each depends on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.errors import ModelError
from orca_cool.perturb.attribution import Attribution
from orca_cool.perturb.objective_text import parse_objective
from orca_cool.perturb.several_models import refuse_store

if TYPE_CHECKING:
    from orca_cool.perturb.objective import Objective
    from orca_cool.prediction.job import Job, Opened


def check_models(text: str, first: Job, second: Job) -> None:
    """See, from their headers, whether an objective is of the models of two jobs.

    Raises
    ------
    ModelError
        If it does not name both; one has several cell types, and none is chosen; both are one
        model; or there is a store of encodings, which are of one model.
    """
    if first.model == second.model:
        raise ModelError(f"model {first.model!r} is given twice; it does not differ from itself")
    refuse_store(first.store)
    for job in (first, second):
        if job.spec.cell_types and job.cell_type is None:
            raise ModelError(
                f"model {job.spec.name!r} has several cell types, and objective {text!r} is of two "
                f"models; choose one with --cell-type: {', '.join(job.spec.cell_types)}"
            )
    _order(parse_objective(text), [(j.model, j.spec.name) for j in (first, second)])


def in_order(objective: Objective, both: Sequence[Opened]) -> tuple[Opened, Opened]:
    """Two open models in the order in which an objective names them.

    Raises
    ------
    ModelError
        If there are not two, it does not name them, or their genomes differ.
    """
    if len(both) != 2:
        raise ModelError(f"{len(both)} models are given; there may be one or two")
    order = _order(objective, [(one.job.model, one.spec.name) for one in both])
    first, second = both[order[0]], both[order[1]]
    if dict(first.source.chromsizes) != dict(second.source.chromsizes):
        raise ModelError(
            f"objective {objective.text!r}: genomes {first.source.name!r} and "
            f"{second.source.name!r} of the two models differ"
        )
    return first, second


def _order(objective: Objective, models: Sequence[tuple[str, str]]) -> tuple[int, int]:
    """Which of two models (as given, and by its own name) the first and second name are."""
    wanted = objective.cell_types
    if not wanted:
        raise ModelError(
            f"objective {objective.text!r} is of one model; with two models it is written as "
            f"'difference MODEL MODEL OBJECTIVE'"
        )
    known = [{given, Path(given).name, name} for given, name in models]
    for order in ((0, 1), (1, 0)):
        if all(name in known[k] for name, k in zip(wanted, order)):
            return order
    raise ModelError(
        f"objective {objective.text!r} names {wanted[0]!r} and {wanted[1]!r}; the models are "
        f"{models[0][1]!r} and {models[1][1]!r}"
    )


def difference_of(first: Attribution, second: Attribution, objective: Objective) -> Attribution:
    """The attribution of the difference of two models' objective.

    Parameters
    ----------
    first, second : of the same method, region and inner objective. objective : the difference.

    Raises
    ------
    ModelError
        If they are of maps of two resolutions, or of different sequence.
    """
    one, two = first.map.resolution, second.map.resolution
    if one != two:
        raise ModelError(
            f"objective {objective.text!r} is seen at {one:,} bp in the first model and at {two:,} "
            f"bp in the second; choose a level of both with --resolution"
        )
    if not np.array_equal(first.codes, second.codes):
        raise ModelError(f"objective {objective.text!r}: the sequence of {first.region} differs")
    about = {f"{name} of first model": value for name, value in first.about.items()}
    about |= {f"{name} of second model": value for name, value in second.about.items()}
    names = " less ".join(str(one.about.get("model", "?")) for one in (first, second))
    return dataclasses.replace(
        first,
        objective=objective,
        scores=first.scores - second.scores,
        value=first.value - second.value,
        about=about | {"model": names},
    )
