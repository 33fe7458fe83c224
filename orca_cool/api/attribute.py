"""Which bases a number of a predicted map depends on: ``oc.attribute.gradient(p, region,
objective)`` and the other methods, all with one result.

    >>> import orca_cool as oc
    >>> p = oc.Predictor("yeast-metaphase", "example", progress=False)
    >>> found = oc.attribute.gradient(p, "chrII:238,207-238,325", "insulation chrII:238,265")
    >>> found.projected.shape
    (118,)
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.api.cell_types import each_cell_type, run_each
from orca_cool.errors import ModelError
from orca_cool.genome.regions import Region
from orca_cool.perturb.objective_text import parse_objective
from orca_cool.prediction.job import Say

if TYPE_CHECKING:
    from orca_cool.api.predictor import Predictor
    from orca_cool.perturb.attribution import Attribution
    from orca_cool.perturb.objective import Objective

__all__ = ["deletion", "expected", "gradient", "integrated", "ism", "shuffle", "to_files"]

logger = logging.getLogger(__name__)


def gradient(
    predictor: Predictor | Sequence[Predictor],
    region: str | Region,
    objective: str | Objective,
    *,
    resolution: str | int | None = None,
    phasing_track: str | Path | None = None,
) -> Attribution:
    """The gradient of an objective with respect to the one-hot bases of a region, through both
    strands and all levels; ``projected`` is input x gradient.

    Parameters
    ----------
    predictor : of the genome (edited or not) and cell type; a list of two models' of the objective
        "difference MODEL MODEL OBJECTIVE".
    region : whose bases are looked at; inside the window from which the map is predicted.
    objective : a text ("dot chr9:100,000 chr9:400,000"), or of :mod:`orca_cool.api.objective`.
    resolution : of the level, or its window; None: the finest whose window holds the objective.
    phasing_track : bigWig or bedGraph that an objective "e1" is oriented by; None: the share of G
        and C.

    Raises
    ------
    RegionError, ModelError
        If region, objective or resolution cannot be used; an objective that is the size of a change
        ("row") has no gradient where nothing is changed.
    """
    return _attributed(predictor, region, objective, resolution, phasing_track, method="gradient")


def integrated(
    predictor: Predictor | Sequence[Predictor],
    region: str | Region,
    objective: str | Objective,
    *,
    resolution: str | int | None = None,
    phasing_track: str | Path | None = None,
) -> Attribution:
    """Integrated gradients from a baseline in which the region is N: they sum to the objective's
    difference to it, within 1 %. Parameters as in :func:`gradient`.
    """
    return _attributed(predictor, region, objective, resolution, phasing_track, method="integrated")


def expected(
    predictor: Predictor | Sequence[Predictor],
    region: str | Region,
    objective: str | Objective,
    *,
    resolution: str | int | None = None,
    phasing_track: str | Path | None = None,
    baselines: int = 20,
    seed: int = 0,
) -> Attribution:
    """Expected gradients: as :func:`integrated`, but against shuffles of the region that keep the
    count of every pair of neighbours, with one random step on the way from each. Unbiased for any
    number; the sum tends to the objective less its mean over the shuffles, and
    ``about["standard_error_of_sum"]`` tells how near it is.

    Parameters
    ----------
    baselines : shuffles; each takes a gradient and a prediction. seed : that they are drawn from.
        Other parameters as in :func:`gradient`.
    """
    chosen: dict[str, Any] = {"method": "expected", "baselines": baselines, "seed": seed}
    return _attributed(predictor, region, objective, resolution, phasing_track, **chosen)


def ism(
    predictor: Predictor | Sequence[Predictor],
    region: str | Region,
    objective: str | Objective,
    *,
    resolution: str | int | None = None,
    phasing_track: str | Path | None = None,
) -> Attribution:
    """In-silico saturation mutagenesis: the change of an objective by every substitution of every
    base. Parameters as in :func:`gradient`.
    """
    return _attributed(predictor, region, objective, resolution, phasing_track, method="ism")


def deletion(
    predictor: Predictor | Sequence[Predictor],
    region: str | Region,
    objective: str | Objective,
    *,
    resolution: str | int | None = None,
    phasing_track: str | Path | None = None,
    width: int = 10,
    step: int | None = None,
) -> Attribution:
    """The change of an objective by deleting ``width`` bp at every ``step`` bp (None: the width).
    Other parameters as in :func:`gradient`.
    """
    chosen: dict[str, Any] = {"method": "deletion", "width": width, "step": step}
    return _attributed(predictor, region, objective, resolution, phasing_track, **chosen)


def shuffle(
    predictor: Predictor | Sequence[Predictor],
    region: str | Region,
    objective: str | Objective,
    *,
    resolution: str | int | None = None,
    phasing_track: str | Path | None = None,
    width: int = 10,
    step: int | None = None,
    runs: int = 3,
    seed: int = 0,
) -> Attribution:
    """The mean change of an objective by shuffling the bases of ``width`` bp, ``runs`` times, at
    every ``step`` bp (None: the width). Other parameters as in :func:`gradient`.
    """
    chosen: dict[str, Any] = {"method": "shuffle", "width": width, "step": step}
    return _attributed(
        predictor, region, objective, resolution, phasing_track, **chosen, runs=runs, seed=seed
    )


def to_files(
    output: str | Path,
    *,
    model: str | Path | Sequence[str | Path],
    settings: dict[str, Any] | None = None,
    progress: bool = True,
    say: Say = lambda line: None,
    **options: Any,
) -> list[Path]:
    """Attribute and write OUT.tsv.gz, OUT.parquet, OUT.bw, OUT.A.bw ... OUT.T.bw and OUT.png
    (``orca-cool attribute``).

    Parameters
    ----------
    output : OUT; of a model of several cell types, unless one is chosen, OUT.TYPE for each.
    settings : see :class:`orca_cool.perturb.attribute_job.Settings`: method, width, ...
    progress : show a progress bar. say : called with what the user should know, line by line.
    model : a name or folder, or a list of two, whose difference the objective is.
    options : see :class:`orca_cool.perturb.attribute_job.AttributeJob`; ``region``, ``objective``
        and ``genome`` are needed.

    Returns
    -------
    Paths written.

    Raises
    ------
    OrcaCoolError
        If anything about it is wrong; the message quotes what.
    """
    from orca_cool.perturb.attribute_job import AttributeJob, Settings

    models = [str(name) for name in ([model] if isinstance(model, str | Path) else model)]
    if not 1 <= len(models) <= 2:
        raise ModelError(f"{len(models)} models are given; there may be one or two")
    job = AttributeJob(
        output=str(output),
        model=models[0],
        other_model=models[1] if len(models) == 2 else None,
        settings=Settings(**(settings or {})),
        **options,
    )
    jobs = each_cell_type(job)
    return [path for paths in run_each(jobs, progress, say) for path in paths]


def _attributed(
    predictor: Predictor | Sequence[Predictor],
    region: str | Region,
    objective: str | Objective,
    resolution: str | int | None,
    phasing_track: str | Path | None,
    **settings: Any,
) -> Attribution:
    from orca_cool.perturb.attribute_job import Settings
    from orca_cool.perturb.attributed import explained

    wanted = parse_objective(objective) if isinstance(objective, str) else objective
    several = list(predictor) if isinstance(predictor, Sequence) else [predictor]
    return explained(
        [one._opened for one in several],
        region,
        wanted,
        None if resolution is None else str(resolution),
        Settings(
            **settings, phasing_track=None if phasing_track is None else os.fspath(phasing_track)
        ),
        progress=all(one.progress for one in several),
        say=logger.warning,
    )
