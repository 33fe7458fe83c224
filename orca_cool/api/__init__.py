"""The public API: one function for each verb of the command line, and the objects behind them.

``import orca_cool as oc`` gives all of it (:mod:`orca_cool`), and costs nothing until it is used:
what needs torch is imported when it is called.
"""

from orca_cool.api import attribute, objective, screen
from orca_cool.api.doctor import diagnose
from orca_cool.api.documents import describe_prediction, describe_scores
from orca_cool.api.predictions import (
    evaluate_beside_akita,
    evaluate_difference,
    evaluate_predictions,
)
from orca_cool.api.predictor import Predictor
from orca_cool.api.stitch import stitch_windows
from orca_cool.api.values import Genome, load_model, open_genome, parse_edits, read_variants
from orca_cool.api.verbs import (
    check_mcool,
    encode_genome,
    evaluate_edits,
    evaluate_files,
    evaluate_model,
    measure_expected,
    plot_changes,
    plot_file,
    predict_to_mcool,
    score_variants,
)
from orca_cool.api.verify import verify_model

__all__ = [
    "Genome",
    "Predictor",
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
