"""orca-cool: sequence models of the 3-D genome for the cooler and HiGlass ecosystem.

Everything below is imported when it is used for the first time: ``import orca_cool`` loads neither
torch nor cooler.

    >>> import orca_cool as oc
    >>> p = oc.Predictor("yeast-metaphase", "example")
    >>> p.predict("chrII:200,000-280,000").values.shape
    (40, 40)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orca_cool.api import (
        Genome,
        Predictor,
        attribute,
        check_mcool,
        describe_prediction,
        describe_scores,
        diagnose,
        encode_genome,
        evaluate_beside_akita,
        evaluate_difference,
        evaluate_edits,
        evaluate_files,
        evaluate_model,
        evaluate_predictions,
        load_model,
        measure_expected,
        objective,
        open_genome,
        parse_edits,
        plot_changes,
        plot_file,
        predict_to_mcool,
        read_variants,
        score_variants,
        screen,
        stitch_windows,
        verify_model,
    )
    from orca_cool.effects.align import Comparison
    from orca_cool.errors import OrcaCoolError
    from orca_cool.maps.contact_map import ContactMap
    from orca_cool.maps.open import MapFile, open_map
    from orca_cool.model.window_model import WindowModel
    from orca_cool.profile import Profile

__version__ = "0.2.0"

__all__ = [
    "Comparison",
    "ContactMap",
    "Genome",
    "MapFile",
    "OrcaCoolError",
    "Predictor",
    "Profile",
    "WindowModel",
    "attribute",
    "check_mcool",
    "describe_prediction",
    "describe_scores",
    "diagnose",
    "encode_genome",
    "evaluate_beside_akita",
    "evaluate_difference",
    "evaluate_edits",
    "evaluate_files",
    "evaluate_model",
    "evaluate_predictions",
    "load_model",
    "measure_expected",
    "objective",
    "open_genome",
    "open_map",
    "parse_edits",
    "plot_changes",
    "plot_file",
    "predict_to_mcool",
    "read_variants",
    "score_variants",
    "screen",
    "stitch_windows",
    "verify_model",
]

#: Where those live that do not live in :mod:`orca_cool.api`.
_HOMES = {
    "Comparison": "orca_cool.effects.align",
    "ContactMap": "orca_cool.maps.contact_map",
    "MapFile": "orca_cool.maps.open",
    "OrcaCoolError": "orca_cool.errors",
    "Profile": "orca_cool.profile",
    "WindowModel": "orca_cool.model.window_model",
    "open_map": "orca_cool.maps.open",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "orca_cool.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
