"""Objectives of ``oc.attribute``: numbers taken from a predicted map, differentiable in torch.

>>> import orca_cool as oc
>>> oc.objective.pixel("chrII:238,265", "chrII:302,000").text
'pixel chrII:238,265 chrII:302,000'
"""

from __future__ import annotations

from orca_cool.perturb.named_objectives import (
    difference,
    dot,
    e1,
    insulation,
    pixel,
    profile,
    rect,
    row,
)
from orca_cool.perturb.objective import Objective, PredictedMap, custom
from orca_cool.perturb.objective_text import parse_objective as parse

__all__ = [
    "Objective",
    "PredictedMap",
    "custom",
    "difference",
    "dot",
    "e1",
    "insulation",
    "parse",
    "pixel",
    "profile",
    "rect",
    "row",
]
