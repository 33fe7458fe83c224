"""What ``orca-cool attribute`` does: an objective, attributed to the bases of a region."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.errors import DeviceError, ModelError, OutputError, RegionError, StoreError
from orca_cool.files import check_output
from orca_cool.genome.regions import Region, parse_region
from orca_cool.locks import holding
from orca_cool.maps.bigwig import import_pybigwig, require_room
from orca_cool.maps.phasing import PhasingTrack, phasing_of
from orca_cool.maps.picture import save_figures
from orca_cool.model.window_model import ENCODE
from orca_cool.perturb.attribution import METHODS, OF_BASES, OF_UNITS, Attribution, import_logomaker
from orca_cool.perturb.objective import require_gradient
from orca_cool.perturb.objective_text import parse_objective
from orca_cool.perturb.parquet import import_pyarrow
from orca_cool.perturb.two_models import check_models, difference_of, in_order
from orca_cool.prediction.job import MANY_EDITS, Job, Opened, Say
from orca_cool.prediction.progress import Report, progress_bar

if TYPE_CHECKING:
    from orca_cool.perturb.objective import Objective
    from orca_cool.perturb.watched import Watched

#: Longest region of methods that predict each change by itself, in bp.
LONGEST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How an objective is attributed.

    Attributes
    ----------
    method : one of :data:`~orca_cool.perturb.attribution.METHODS`.
    width, step : of deletions and shuffles, in bp; step None: the width.
    runs : shuffles of each unit, whose mean is taken. baselines : of expected gradients.
    seed : that shuffles and baselines are drawn from.
    phasing_track : bigWig or bedGraph that E1 is oriented by; None: the share of G and C.
    """

    method: str = "gradient"
    width: int = 10
    step: int | None = None
    runs: int = 3
    baselines: int = 20
    seed: int = 0
    phasing_track: str | None = None

    def check(self) -> None:
        """Raise what is wrong.

        Raises
        ------
        ModelError, RegionError
        """
        if self.method not in METHODS:
            raise ModelError(f"method {self.method!r} is not one of {', '.join(METHODS)}")
        if self.width < 1 or (self.step is not None and self.step < 1) or self.runs < 1:
            step = self.width if self.step is None else self.step
            raise RegionError(
                f"width {self.width}, step {step} and runs {self.runs} must be at least 1"
            )
        if self.baselines < 1:
            raise RegionError(f"baselines {self.baselines} must be at least 1")
        if self.seed < 0:
            raise RegionError(f"seed {self.seed} must be 0 or more")

    def check_objective(self, objective: Objective) -> None:
        """ModelError if there is a phasing track, and nothing that it would orient."""
        if self.phasing_track is not None and not objective.whole:
            raise ModelError(
                f"phasing track {self.phasing_track!r} orients E1, which objective "
                f"{objective.text!r} does not read; leave it out"
            )


@dataclass(frozen=True, kw_only=True)
class AttributeJob(Job):
    """Attribute an objective to the bases of a region, and write tables, tracks and a picture.

    Attributes
    ----------
    output : prefix of what is written: OUT.tsv.gz, OUT.parquet, OUT.bw, OUT.png and, of methods
        that have a number for each base, OUT.A.bw ... OUT.T.bw.
    other_model : the second of two models, whose difference the objective is; it names both.
    region : whose bases are looked at ("chrII:238,000-239,000").
    objective : as :func:`orca_cool.perturb.objective_text.parse_objective` reads it.
    resolution : of the level at which it is read; None: the finest whose window holds it.
    settings : method, and what it needs.
    force : replace files that are there.
    """

    output: str
    region: str
    objective: str
    resolution: str | None = None
    settings: Settings = Settings()
    other_model: str | None = None
    force: bool = False

    def check(self) -> None:
        """Raise what can be known to be wrong before model and genome are opened.

        Raises
        ------
        RegionError, ModelError, OutputError, DeviceError
        """
        super().check()
        if self.window_store is not None:
            raise StoreError(
                f"window store {self.window_store!r}: attribution stores no windows; leave it out"
            )
        self.settings.check()
        objective = parse_objective(self.objective)
        self.settings.check_objective(objective)
        approximate = [t for t in (self.dtype, self.encoder_dtype) if t != "float32"]
        if approximate and self.settings.method in ("gradient", "integrated", "expected"):
            raise DeviceError(
                f"number type {approximate[0]!r}: gradients are float32; leave it out, or use "
                f"--method ism"
            )
        if self.settings.method == "gradient":
            require_gradient(objective)
        if self.other_model is not None:
            if not objective.cell_types:
                raise ModelError(
                    f"objective {self.objective!r} is of one model; with two models it is written "
                    f"as 'difference MODEL MODEL OBJECTIVE'"
                )
        elif objective.cell_types and self.cell_type not in (None, objective.cell_types[0]):
            raise ModelError(
                f"objective {self.objective!r} names its cell types; leave out cell type "
                f"{self.cell_type!r}"
            )
        for path in self.paths():
            check_output(path, self.force)
        import_pybigwig()
        import_pyarrow()
        import_logomaker()

    def bases(self) -> list[str]:
        """The bases of which there are tracks."""
        return list("ACGT") if self.settings.method in OF_BASES else []

    def paths(self) -> list[Path]:
        """What is written: two tables, the tracks, the picture."""
        tracks = [".bw", *(f".{base}.bw" for base in self.bases())]
        endings = [".tsv.gz", ".parquet", *tracks, ".png"]
        return [Path(f"{self.output}{ending}") for ending in endings]

    def other(self) -> AttributeJob | None:
        """The job of the second model."""
        if self.other_model is None:
            return None
        return dataclasses.replace(self, model=self.other_model, other_model=None)

    def each_cell_type(self) -> list[AttributeJob]:
        """The job once for each cell type that is wanted; of an objective that compares two, once
        (its map is the first one's).
        """
        names = parse_objective(self.objective).cell_types
        if self.other_model is not None:
            return [self]
        if names:
            return [dataclasses.replace(self, cell_type=names[0])]
        if self.cell_type is not None or not self.spec.cell_types:
            return [self]
        return [
            dataclasses.replace(self, cell_type=name, output=f"{self.output}.{name}")
            for name in self.spec.cell_types
        ]

    def check_inputs(self) -> None:
        """Raise what the model's header and the genome tell, before torch is loaded."""
        super().check_inputs()
        if (other := self.other()) is not None:
            other.check_inputs()
            check_models(self.objective, self, other)
        if self.resolution is not None:
            self.spec.parse_level(self.resolution)
        track, objective = self.settings.phasing_track, parse_objective(self.objective)
        phasing = None if track is None else PhasingTrack(track)
        if not self.edits:
            objective.check(self.source.chromsizes)
            parse_region(self.region, self.source.chromsizes)
            if phasing is not None:
                phasing.require(objective.region.chrom)

    @holding(lambda job: [str(path) for path in job.paths()])
    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> list[Path]:
        """Attribute, and write.

        Parameters
        ----------
        opened : the job's model and genome, if they are open already.
        progress : show a progress bar. say : called with what the user should know, line by line.

        Returns
        -------
        Paths of the tables, the bigWigs and the picture.

        Raises
        ------
        OrcaCoolError
        """
        opened = self.ready(opened, say)
        both = [opened]
        if (other := self.other()) is not None:
            both.append(other.open(say))
        where = parse_region(self.region, opened.source.chromsizes)
        bases, paths = self.bases(), self.paths()
        require_room(paths[0].parent, len(where), 1 + len(bases))
        objective = parse_objective(self.objective)
        found = explained(
            both, where, objective, self.resolution, self.settings, progress=progress, say=say
        )
        table, parquet, track, *others, picture = paths
        try:
            found.to_tsv(table, force=True)
            found.to_parquet(parquet, force=True)
            found.to_bigwig(track, force=True)
            for base, path in zip(bases, others, strict=True):
                found.to_bigwig(path, base=base, force=True)
            save_figures([found.plot()], [picture])
        except OSError as error:
            raise OutputError(f"cannot write {self.output!r}: {error}") from error
        return paths


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
    """What an objective of an open model and genome depends on.

    Parameters
    ----------
    region : whose bases are looked at.
    level : see :class:`AttributeJob`.

    Raises
    ------
    RegionError, ModelError
        If region or objective cannot be used; the message quotes it.
    """
    from orca_cool.perturb.watched import Watched

    settings.check()
    settings.check_objective(objective)
    if ENCODE not in opened.model.capabilities:
        raise ModelError(
            f"objective {objective.text!r} cannot be attributed: model {opened.spec.name!r} "
            f"predicts whole windows by itself"
        )
    source = opened.source
    where = parse_region(region, source.chromsizes) if isinstance(region, str) else region
    many = settings.method in ("ism", *OF_UNITS)
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
    with progress_bar(progress, "change" if many else "step", settings.method, engine) as report:
        scores, units, told = _scores(watched, where, settings, report, say)
    return Attribution(
        settings.method,
        objective,
        where,
        source.fetch(where.chrom, where.start, where.end),
        scores,
        watched.value,
        watched.reference_map(),
        dict(source.chromsizes),
        np.array(units, int).reshape(-1, 2),
        _about(opened, settings) | told,
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


def _scores(
    watched: Watched, where: Region, settings: Settings, report: Report, say: Say
) -> tuple[np.ndarray, list[tuple[int, int]], dict[str, Any]]:
    """Scores, units, and what else the method tells."""
    from orca_cool.perturb.expected_gradient import expected
    from orca_cool.perturb.gradient import Differentiable, gradient, integrated
    from orca_cool.perturb.ism import deletions, shuffles, substitutions, units

    method = settings.method
    if method == "gradient":
        report(0, 1)
        slope = gradient(Differentiable(watched, where))
        report(1, 1)
        return slope, [], {}
    if method == "integrated":
        found, difference, missing = integrated(Differentiable(watched, where), progress=report)
        if missing > max(0.01 * abs(difference), 1e-5):
            say(
                f"warning: integrated gradients sum to {found.sum():.4g}, the objective differs "
                f"from the baseline's by {difference:.4g}"
            )
        return found, [], {"difference_to_baseline": difference, "sum_differs_by": missing}
    if method == "expected":
        mean = expected(Differentiable(watched, where), settings.baselines, settings.seed, report)
        told: dict[str, Any] = {"baselines": settings.baselines, "seed": settings.seed}
        told |= {"difference_to_baselines": mean.difference, "sum": float(mean.scores.sum())}
        return mean.scores, [], told | {"standard_error_of_sum": mean.error}
    if method == "ism":
        return substitutions(watched, where, report), [], {}
    step = settings.width if settings.step is None else settings.step
    chosen = units(where, settings.width, step)
    about = {"width": settings.width, "step": step}
    if method == "deletion":
        return deletions(watched, where.chrom, chosen, report), chosen, about
    runs, seed = settings.runs, settings.seed
    found = shuffles(watched, where.chrom, chosen, runs=runs, seed=seed, progress=report)
    return found, chosen, about | {"runs": runs, "seed": seed}
