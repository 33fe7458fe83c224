"""How an objective is attributed: by gradients, in one go; or by many changes of the sequence, each
predicted by itself, which several processes may share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool import __version__
from orca_cool.errors import ModelError, RegionError
from orca_cool.files import sha256
from orca_cool.genome.regions import Region, parse_region
from orca_cool.maps.phasing import phasing_of
from orca_cool.model.window_model import ENCODE
from orca_cool.perturb.attribution import CHANGING, Attribution
from orca_cool.perturb.expected_gradient import expected
from orca_cool.perturb.gradient import Differentiable, gradient, integrated
from orca_cool.perturb.ism import (
    Replaced,
    deletions,
    of_bases,
    shuffles,
    substitutions,
    units,
    values,
)
from orca_cool.perturb.objective import Objective
from orca_cool.perturb.two_models import difference_of, in_order
from orca_cool.perturb.watched import Watched
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.item_journal import ItemJournal, Journaled, Key, with_numerics
from orca_cool.prediction.job import MANY_EDITS, Opened, Say
from orca_cool.prediction.progress import Report, progress_bar
from orca_cool.prediction.sharing import ALONE, Alone, run_shared

if TYPE_CHECKING:
    from orca_cool.perturb.attribute_job import Settings

#: Longest region of methods that predict each change by itself, in bp.
LONGEST = 1_000_000

#: Groups of the items of the work: the genome as it is, and its changes.
UNCHANGED, CHANGED = 0, 1


class Changes(Journaled):
    """An objective where nothing is changed, and how much each of some changes changes it; a
    :class:`~orca_cool.prediction.sharing.Shareable`.

    Parameters
    ----------
    region : whose bases are changed. edits : the changes.
    settings : all that the numbers depend on, plain values.

    Attributes
    ----------
    value : the objective where nothing is changed. map : (n, n) values from which it is taken.
    found : (edits,) by how much each changes it.
    """

    def __init__(
        self,
        watched: Watched,
        region: Region,
        edits: Sequence[Replaced],
        settings: dict[str, Any],
        journal: ItemJournal | None = None,
    ):
        self.watched, self.region, self.edits = watched, region, edits
        self.settings, self.journal = settings, journal
        self.total, self.done = 1 + len(edits), 0
        self.value, self.map = float("nan"), np.zeros((0, 0), np.float32)
        self.found = np.full(len(edits), np.nan)

    @property
    def engine(self) -> Engine:
        """Of the genome that is changed."""
        return self.watched.engine

    @property
    def sizes(self) -> Sequence[int]:
        """The genome as it is, and its changes."""
        return [1, len(self.edits)]

    @property
    def windows_per_batch(self) -> int:
        """How many changes are best predicted at once."""
        return self.engine.windows_per_batch

    def key(self, group: int, number: int) -> Key:
        """An item by its group and number."""
        return group, number

    def fits(self, group: int, number: int, scores: np.ndarray) -> bool:
        """True if there is one number, or value and map."""
        return scores.shape == (1 if group == CHANGED else 1 + self.engine.spec.bins**2,)

    def place(self, group: int, number: int, scores: np.ndarray) -> None:
        """Take what was found of an item into the result."""
        if group == CHANGED:
            self.found[number] = scores[0]
            return
        n = self.engine.spec.bins
        self.value, self.map = float(scores[0]), scores[1:].reshape(n, n).astype(np.float32)

    def score(self, group: int, numbers: range) -> list[np.ndarray]:
        """The change of the objective by some changes together, or what it is without any."""
        before = self.watched.value
        if group == CHANGED:
            some = self.edits[numbers.start : numbers.stop]
            return [np.array([value - before]) for value in values(self.watched, some)]
        seen = self.watched.reference_values().astype(float)
        return [np.concatenate([[before], seen.ravel()])]


def explained(
    both: Sequence[Opened],
    region: str | Region,
    objective: Objective,
    level: str | None,
    settings: Settings,
    *,
    progress: bool = False,
    say: Say = lambda line: None,
) -> Attribution:
    """What an objective depends on; of two models, which it then compares, the difference of what
    its inner one depends on in each.

    Parameters
    ----------
    both : one model and genome, or two.

    Raises
    ------
    RegionError, ModelError
        As :func:`attributed`, or if the two do not fit.
    """
    if len(both) == 1:
        return attributed(both[0], region, objective, level, settings, progress=progress, say=say)
    first, second = in_order(objective, both)
    inner = objective.compared
    assert inner is not None
    found = [
        attributed(one, region, inner, level, settings, progress=progress, say=say)
        for one in (first, second)
    ]
    return difference_of(found[0], found[1], objective)


def attributed(
    opened: Opened,
    region: str | Region,
    objective: Objective,
    level: str | None,
    settings: Settings,
    *,
    progress: bool = False,
    say: Say = lambda line: None,
) -> Attribution:
    """What an objective of an open model and genome depends on, by this process alone.

    Parameters
    ----------
    region : whose bases are looked at.
    level : see :class:`~orca_cool.perturb.attribute_job.AttributeJob`.

    Raises
    ------
    RegionError, ModelError
        If region or objective cannot be used; the message quotes it.
    """
    if settings.method in CHANGING:
        work = changes_of(opened, region, objective, level, settings)
        with progress_bar(progress, "change", settings.method, work.engine) as report:
            run_shared(work, ALONE, report)
        return result_of(work, opened, settings)
    watched, where = _watched(opened, region, objective, level, settings)
    with progress_bar(progress, "step", settings.method, watched.engine) as report:
        scores, told = _by_gradient(watched, where, settings, report, say)
    seen = watched.value, watched.map_of(watched.reference_values())
    return _attribution(opened, watched, where, settings, scores, *seen, told=told)


def changes_of(
    opened: Opened,
    region: str | Region,
    objective: Objective,
    level: str | None,
    settings: Settings,
    share: Alone = ALONE,
) -> Changes:
    """The changes by which methods of :data:`~orca_cool.perturb.attribution.CHANGING` attribute, to
    be predicted.

    Raises
    ------
    RegionError, ModelError
        As :func:`attributed`.
    """
    watched, where = _watched(opened, region, objective, level, settings)
    source = opened.source
    sizes = repr(dict(source.chromsizes)).encode()
    about = {
        "orca_cool": __version__,
        "model": opened.spec.name,
        "model_digest": opened.model.digest,
        "genome": source.name,
        "assembly": opened.file_assembly,
        "chromsizes_sha256": hashlib.sha256(sizes).hexdigest(),
        "objective": objective.text,
        "region": str(where),
        "resolution": watched.placed.resolution,
        "method": settings.method,
        "intervals": [settings.width, settings.step],
        "runs": settings.runs,
        "seed": settings.seed,
        "phasing_track_sha256": settings.phasing_track and sha256(settings.phasing_track),
    }
    numerics = share.numerics or watched.engine.numerics
    settled = with_numerics(about, numerics, several=False)
    if settings.method == "ism":
        codes = source.fetch(where.chrom, where.start, where.end)
        return Changes(watched, where, substitutions(codes, where), settled)
    chosen = _units(where, settings)
    if settings.method == "deletion":
        return Changes(watched, where, deletions(where.chrom, chosen), settled)
    drawn = shuffles(source, where.chrom, chosen, runs=settings.runs, seed=settings.seed)
    return Changes(watched, where, drawn, settled)


def result_of(work: Changes, opened: Opened, settings: Settings) -> Attribution:
    """What the changes tell, when all of them are predicted."""
    where, found, chosen = work.region, work.found, []
    told: dict[str, Any] = {}
    if settings.method == "ism":
        found = of_bases(opened.source.fetch(where.chrom, where.start, where.end), found)
    else:
        chosen = _units(where, settings)
        told = {"width": settings.width, "step": settings.step or settings.width}
    if settings.method == "shuffle":
        found = found.reshape(len(chosen), settings.runs).mean(axis=1)
        told |= {"runs": settings.runs, "seed": settings.seed}
    seen = work.value, work.watched.map_of(work.map)
    return _attribution(opened, work.watched, where, settings, found, *seen, chosen, told)


def _units(where: Region, settings: Settings) -> list[tuple[int, int]]:
    return units(where, settings.width, settings.step or settings.width)


def _watched(
    opened: Opened,
    region: str | Region,
    objective: Objective,
    level: str | None,
    settings: Settings,
) -> tuple[Watched, Region]:
    """The objective in its window, and the region whose bases are looked at."""
    settings.check()
    settings.check_objective(objective)
    if ENCODE not in opened.model.capabilities:
        raise ModelError(
            f"objective {objective.text!r} cannot be attributed: model {opened.spec.name!r} "
            f"predicts whole windows by itself"
        )
    source = opened.source
    where = parse_region(region, source.chromsizes) if isinstance(region, str) else region
    many = settings.method in CHANGING
    if many and len(where) > LONGEST:
        raise RegionError(
            f"region {str(where)!r} is longer than {LONGEST:,} bp, which method "
            f"{settings.method!r} would change one by one; take a part of it, or --method gradient"
        )
    engine = opened.new_engine(opened.reference, fine_bytes=MANY_EDITS * many)
    if opened.edited is not None:
        engine = engine.for_genome(opened.edited.genome)
    watched = Watched(engine, objective, level, phasing_of(settings.phasing_track))
    watched.require_inside(where)
    return watched, where


def _attribution(
    opened: Opened,
    watched: Watched,
    where: Region,
    settings: Settings,
    scores: np.ndarray,
    value: float,
    seen: Any,
    chosen: Sequence[tuple[int, int]] = (),
    told: dict[str, Any] | None = None,
) -> Attribution:
    source = opened.source
    return Attribution(
        settings.method,
        watched.objective,
        where,
        source.fetch(where.chrom, where.start, where.end),
        scores,
        value,
        seen,
        dict(source.chromsizes),
        np.array(chosen, int).reshape(-1, 2),
        _about(opened, settings) | (told or {}),
        watched.pair,
    )


def _about(opened: Opened, settings: Settings) -> dict[str, Any]:
    """Model, genome, and what E1 is oriented by, as plain values."""
    out: dict[str, Any] = {key: str(value) for key, value in opened.provenance.items()}
    cell_type = opened.spec.cell_type if opened.spec.cell_types else ""
    out["model"] = f"{opened.spec.name}{f', {cell_type}' * bool(cell_type)}"
    if settings.phasing_track is not None:
        out["phasing_track"] = settings.phasing_track
    return out


def _by_gradient(
    watched: Watched, where: Region, settings: Settings, report: Report, say: Say
) -> tuple[np.ndarray, dict[str, Any]]:
    """Scores of the bases, and what else the method tells."""
    if settings.method == "gradient":
        report(0, 1)
        slope = gradient(Differentiable(watched, where))
        report(1, 1)
        return slope, {}
    if settings.method == "integrated":
        found, difference, missing = integrated(Differentiable(watched, where), progress=report)
        if missing > max(0.01 * abs(difference), 1e-5):
            say(
                f"warning: integrated gradients sum to {found.sum():.4g}, the objective differs "
                f"from the baseline's by {difference:.4g}"
            )
        return found, {"difference_to_baseline": difference, "sum_differs_by": missing}
    mean = expected(Differentiable(watched, where), settings.baselines, settings.seed, report)
    told: dict[str, Any] = {"baselines": settings.baselines, "seed": settings.seed}
    told |= {"difference_to_baselines": mean.difference, "sum": float(mean.scores.sum())}
    return mean.scores, told | {"standard_error_of_sum": mean.error}
