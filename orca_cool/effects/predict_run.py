"""One run of ``orca-cool predict``: the prediction, and the files beside it."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orca_cool.effects import COPIES, companion_path
from orca_cool.errors import EditError, OutputError
from orca_cool.files import check_output
from orca_cool.genome.regions import Region
from orca_cool.maps.phasing import phasing_of
from orca_cool.prediction import EDGES
from orca_cool.prediction.job import Opened, Say
from orca_cool.prediction.number_types import NumberTypes
from orca_cool.prediction.regions_job import RegionsJob

if TYPE_CHECKING:
    from orca_cool.effects.predict_job import PredictJob
    from orca_cool.prediction.engine import Engine
    from orca_cool.prediction.levels import Settings
    from orca_cool.prediction.parallel.ranks import Ranks
    from orca_cool.prediction.plan import Plan


@dataclass(frozen=True)
class PredictRun:
    """A run of a :class:`~orca_cool.effects.predict_job.PredictJob` on an open model and genome."""

    job: PredictJob
    opened: Opened
    settings: Settings
    regions: list[Region]
    ranks: Ranks | None
    progress: bool
    say: Say

    @property
    def output(self) -> Path:
        return Path(self.job.output)

    @property
    def assembly(self) -> str:
        return self.job.assembly or self.opened.file_assembly

    def all(self) -> list[Path]:
        """Everything that the job asks for."""
        if self.job.companions or self.job.track_names:
            return self._with_companions()
        if self.job.goes_on():
            self._require_result_of(self._whole())
            return []
        return self._prediction()

    def _whole(self) -> Plan:
        """The plan of the prediction."""
        from orca_cool.prediction.to_file import prepare

        return prepare(
            self.opened.engine,
            self.regions,
            self.settings,
            assembly=self.assembly,
            provenance=self.opened.provenance,
        )

    def _require_result_of(self, whole: Plan) -> None:
        """OutputError if the output that is there is not what the plan leads to. What a run that
        was killed after it had renamed it has left is removed.
        """
        from orca_cool.effects.companion_outputs import is_result_of
        from orca_cool.prediction.to_file import work_folder

        if not is_result_of(self.output, whole, self._numerics()):
            raise OutputError(
                f"{self.output} exists, and is another prediction than this; use --force to "
                f"replace it"
            )
        if self.ranks is None or self.ranks.rank == 0:
            shutil.rmtree(work_folder(self.output), ignore_errors=True)

    def _prediction(self) -> list[Path]:
        job, opened = self.job, self.opened
        regions = RegionsJob.of(
            job,
            self.regions,
            self.settings,
            self.assembly,
            opened.provenance,
            self.output,
            job.force,
        )
        return self._run(regions, opened.engine, self.ranks)

    def _run(self, job: RegionsJob, engine: Engine, ranks: Ranks | None) -> list[Path]:
        dask, choice = self.job.workers, self.opened.choice
        if dask is not None and (known := choice.known(job)) is not None:
            job = dataclasses.replace(job, settled=(known.dtype, known.encoder_dtype))
        paths = job.run(engine, dask=dask, ranks=ranks, progress=self.progress, say=self.say)
        if dask is not None:
            choice.learn(dataclasses.replace(job, force=False))  # of what workers have chosen
        return paths

    def _with_companions(self) -> list[Path]:
        """The prediction, and what is derived from it. What is there already, and whether there is
        anything to derive, is settled before anything is computed.
        """
        from orca_cool.effects.companion_outputs import lifted_and_difference, place_companions
        from orca_cool.prediction.track_writer import Tracks

        job, opened = self.job, self.opened
        whole = self._whole()
        phasing = phasing_of(job.phasing_track)
        tracks = Tracks(job.track_names, opened.engine, whole, phasing)
        job.check_tracks(opened.spec)
        tracks.check(self.say)
        goes_on = job.goes_on()
        if goes_on:
            self._require_result_of(whole)
        reference = self._reference_job(whole) if job.companions else None
        paths = [] if goes_on else self._prediction()
        if self.ranks is not None and self.ranks.rank > 0:
            return []
        if reference is not None:
            paths += self._run(reference, opened.reference_engine, None)

        def make(folder: Path) -> list[Path]:
            made: list[Path] = []
            if job.companions:
                assert opened.edited is not None
                made += lifted_and_difference(
                    self.output,
                    folder,
                    opened.edited.genome,
                    opened.assembly,
                    job.copies or COPIES[0],
                    self._reference_path() if job.diff else None,
                    job.companions,
                )
            beside = Path(job.profiles_beside or job.output)
            return made + tracks.write(self.output, folder, beside, self.progress)

        return paths + place_companions(self.output, make)

    def _numerics(self) -> dict[str, str]:
        """What decides the numbers, wherever they are computed."""
        job, types = self.job, NumberTypes(self.job.dtype, self.job.encoder_dtype)
        if job.workers is None:
            types = self.opened.number_types
        elif (known := self.opened.choice.known(job)) is not None:
            types = known
        used = {"dtype": types.dtype, "encoder_dtype": types.encoder_dtype}
        return used | types.given_up(job) | {"edges": job.edges or EDGES[0]}

    def _reference_path(self) -> Path:
        """The prediction of the reference that the difference is taken from."""
        given = self.job.reference
        return companion_path(self.output, "reference") if given is None else Path(given)

    def _reference_job(self, whole: Plan) -> RegionsJob | None:
        """How the reference is predicted for the difference; None if that is not needed, or done.

        Its regions are those that the edited genome's came from.

        Raises
        ------
        EditError
            If no part of the regions comes from the reference.
        CoolerError
            If the reference's prediction that was given cannot stand beside this one.
        """
        from orca_cool.effects.companion_outputs import is_result_of
        from orca_cool.effects.difference import require_comparable
        from orca_cool.effects.reference_coordinates import reference_regions

        job, opened = self.job, self.opened
        assert opened.edited is not None
        reach = max(b * r for r, b in whole.written.items() if r in self.settings.resolutions)
        regions = reference_regions(opened.edited.genome, whole.regions, reach, join=True)
        if not regions:
            raise EditError(
                f"no part of {', '.join(map(str, whole.regions))} comes from the reference; "
                f"leave out --lift-to-reference and --diff"
            )
        if job.reference is not None:
            require_comparable(
                Path(job.reference),
                self.settings.resolutions,
                opened.reference.chromsizes,
                {**whole.identity, "mode": job.mode},
            )
        if not job.diff or job.reference is not None:
            return None
        path = self._reference_path()
        base = dataclasses.replace(job, edits=type(job.edits)(), reencode=False)
        made = RegionsJob.of(
            base,
            regions,
            self.settings,
            opened.assembly,
            opened.reference_provenance,
            path,
            job.force,
        )
        plan = made.plan(opened.reference_engine)
        if path.exists() and not job.force and is_result_of(path, plan, self._numerics()):
            return None
        check_output(path, job.force)
        return made
