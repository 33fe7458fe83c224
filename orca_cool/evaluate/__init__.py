"""How good is a model: correlations with a measured map by level, beside baselines and the map's
own ceiling.

``evaluate_files`` compares a predicted .mcool, ``evaluate_model`` runs the paper's protocol. Names
are imported when they are asked for: training needs :mod:`orca_cool.maps.metrics` alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orca_cool.evaluate.baselines import centromeres
    from orca_cool.evaluate.files import depletion, evaluate, evaluate_files
    from orca_cool.evaluate.maps import split_half
    from orca_cool.evaluate.protocol import evaluate_model
    from orca_cool.evaluate.report import write_folder
    from orca_cool.evaluate.result import Result
    from orca_cool.evaluate.tally import Choices, Metrics, Score

__all__ = [
    "Choices",
    "Metrics",
    "Result",
    "Score",
    "centromeres",
    "depletion",
    "evaluate",
    "evaluate_files",
    "evaluate_model",
    "split_half",
    "write_folder",
]

_HOMES = {
    "baselines": ("centromeres",),
    "files": ("depletion", "evaluate", "evaluate_files"),
    "maps": ("split_half",),
    "protocol": ("evaluate_model",),
    "report": ("write_folder",),
    "result": ("Result",),
    "tally": ("Choices", "Metrics", "Score"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
