"""What ``orca-cool attribute`` does: an objective, attributed to the bases of a region."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.effects.parquet import import_pyarrow
from orca_cool.errors import DeviceError, ModelError, OutputError, RegionError, StoreError
from orca_cool.files import check_output
from orca_cool.genome.regions import parse_region
from orca_cool.locks import holding
from orca_cool.maps.bigwig import import_pybigwig, require_room
from orca_cool.maps.phasing import PhasingTrack
from orca_cool.maps.picture import save_figures
from orca_cool.perturb.attribution import CHANGING, METHODS, OF_BASES, Attribution, import_logomaker
from orca_cool.perturb.objective import require_gradient
from orca_cool.perturb.objective_text import parse_objective
from orca_cool.perturb.two_models import check_models, difference_of, in_order
from orca_cool.prediction.item_journal import ItemJournal
from orca_cool.prediction.job import Opened, Say
from orca_cool.prediction.parallel import is_rank, only_helps
from orca_cool.prediction.progress import progress_bar
from orca_cool.prediction.shared_job import PiecewiseJob, silent
from orca_cool.prediction.sharing import Alone, run_shared

if TYPE_CHECKING:
    from orca_cool.perturb.attributed import Changes
    from orca_cool.perturb.objective import Objective

#: Of the journal of an unfinished attribution.
WORK_FORMAT = "orca-cool.unfinished-attribution"


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
class AttributeJob(PiecewiseJob):
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
        self._check_shared()
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

    def _check_shared(self) -> None:
        """ModelError if several processes are to share what one of them computes."""
        if self.settings.method in CHANGING or not (self.workers or is_rank()):
            return
        how = "torchrun" if is_rank() else "--nproc" if self.nproc > 1 else "--dask"
        raise ModelError(
            f"{how} with method {self.settings.method!r}: a gradient goes back through the whole "
            f"of a prediction, which one process computes; leave it out, or use "
            f"{', '.join(CHANGING)}, whose changes are predicted one by one"
        )

    @property
    def files(self) -> dict[str, str | None]:
        """The files that are read beside model and genome."""
        return {"phasing_track": self.settings.phasing_track}

    def with_files(self, **paths: str | None) -> AttributeJob:
        """The same job with other files."""
        return dataclasses.replace(
            self, settings=dataclasses.replace(self.settings, phasing_track=paths["phasing_track"])
        )

    def of_worker(self) -> AttributeJob:
        """As of any job whose work is shared."""
        output = str(Path(self.output).absolute())
        return dataclasses.replace(super().of_worker(), output=output, force=True)

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

    @holding(lambda job: [] if only_helps() else [str(path) for path in job.paths()])
    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> list[Path]:
        """Attribute, and write. Of methods that predict each change by itself a run that was
        killed goes on where it was when the same job is run again.

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
        say = silent if only_helps() else say
        opened = self.ready(opened, say)
        both = [opened]
        if (other := self.other()) is not None:
            both.append(other.open(say))
        where = parse_region(self.region, opened.source.chromsizes)
        paths = self.paths()
        require_room(paths[0].parent, len(where), 1 + len(self.bases()))
        objective = parse_objective(self.objective)
        if other is None:
            found, *works = self._attributed(opened, objective, progress, say)
        else:
            found, *works = self._difference(both, objective, progress, say)
        if not only_helps():
            self._write(found)
            for work in works:
                work.forget()
        return paths

    def _attributed(
        self, opened: Opened, objective: Objective, progress: bool, say: Say, output: str = ""
    ) -> tuple[Attribution, Changes] | tuple[Attribution]:
        """Attribute an objective of one model; what is kept of the work, too, if any is.

        Parameters
        ----------
        output : beside which unfinished work is kept; else beside the job's.
        """
        from orca_cool.perturb.attributed import attributed, result_of

        said: dict[str, Any] = {"progress": progress and not only_helps(), "say": say}
        if self.settings.method not in CHANGING:
            level = self.resolution
            return (attributed(opened, self.region, objective, level, self.settings, **said),)
        job = dataclasses.replace(
            self,
            model=opened.job.model,
            other_model=None,
            objective=objective.text,
            output=output or self.output,
        )
        with job.sharing() as share:
            work = job.work_of(share.opened(opened), share, say)
            with progress_bar(
                said["progress"], "change", self.settings.method, work.engine
            ) as report:
                run_shared(work, share, report)
            for line in share.told:
                say(line)
        return result_of(work, opened, self.settings), work

    def _difference(
        self, both: Sequence[Opened], objective: Objective, progress: bool, say: Say
    ) -> tuple[Any, ...]:
        """The same of an objective that compares two models."""
        inner, found, works = objective.compared, [], []
        assert inner is not None
        for k, opened in enumerate(in_order(objective, both)):
            one, *kept = self._attributed(opened, inner, progress, say, f"{self.output}.{k + 1}")
            found.append(one)
            works += kept
        return difference_of(found[0], found[1], objective), *works

    def work_of(self, opened: Opened, share: Alone, say: Say) -> Changes:
        """The changes of the sequence, ready to be predicted."""
        from orca_cool.perturb.attributed import changes_of

        objective = parse_objective(self.objective)
        work = changes_of(opened, self.region, objective, self.resolution, self.settings, share)
        work.journal = ItemJournal.of(
            self, WORK_FORMAT, work.settings, "attribution", share.restarted
        )
        return work

    def _write(self, found: Attribution) -> None:
        """Write the tables, the tracks and the picture."""
        bases, paths = self.bases(), self.paths()
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
