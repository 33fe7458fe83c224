"""Regions of a genome predicted to one file, by this process, by torchrun's ranks or by dask."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.errors import EditError
from orca_cool.genome.edited import EditedGenome, digest
from orca_cool.genome.regions import Region
from orca_cool.maps.expected import view_path
from orca_cool.prediction.job import Job, Opened, Say
from orca_cool.prediction.progress import progress_bar

if TYPE_CHECKING:
    from orca_cool.prediction.engine import Engine
    from orca_cool.prediction.levels import Settings
    from orca_cool.prediction.parallel.ranks import Ranks
    from orca_cool.prediction.plan import Plan


@dataclass(frozen=True, kw_only=True)
class RegionsJob(Job):
    """Predict regions and write them to an .mcool with its expected tables.

    Attributes
    ----------
    regions : (chromosome, start, end) of the predicted genome.
    settings : of :class:`orca_cool.prediction.levels.Settings`, as a dict.
    assembly : name of the predicted genome's assembly in the file.
    provenance : what the file's metadata say of model, genome and edits.
    output : the .mcool. force : replace it, and start anew instead of going on.
    """

    regions: tuple[tuple[str, int, int], ...]
    settings: dict[str, Any]
    assembly: str
    provenance: dict[str, Any]
    output: str
    force: bool = False

    @classmethod
    def of(
        cls,
        job: Job,
        regions: list[Region],
        settings: Settings,
        assembly: str,
        provenance: dict[str, Any],
        output: Path,
        force: bool,
    ) -> RegionsJob:
        """The regions of a job, with the job's model, genome, edits and device."""
        base = {f.name: getattr(job, f.name) for f in dataclasses.fields(Job)}
        return cls(
            **base,
            regions=tuple((r.chrom, r.start, r.end) for r in regions),
            settings=dataclasses.asdict(settings),
            assembly=assembly,
            provenance=provenance,
            output=str(output),
            force=force,
        )

    def standalone(self) -> RegionsJob:
        """The same job for a process in another working folder."""
        return dataclasses.replace(super().standalone(), output=str(Path(self.output).absolute()))

    @classmethod
    def from_json(cls, text: str) -> RegionsJob:
        """A job from the text of :meth:`to_json`."""
        plain = json.loads(text)
        regions = tuple(tuple(region) for region in plain["regions"])
        return dataclasses.replace(super().from_json(text), regions=regions)

    @property
    def folder(self) -> Path:
        """Folder of the unfinished work, beside the output."""
        from orca_cool.prediction.to_file import work_folder

        return work_folder(Path(self.output))

    def plan(self, engine: Engine) -> Plan:
        """All that is to be computed and written."""
        from orca_cool.prediction.levels import Settings
        from orca_cool.prediction.to_file import prepare

        chosen: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in self.settings.items()
        }
        regions = [Region(*row) for row in self.regions]
        return prepare(
            engine, regions, Settings(**chosen), assembly=self.assembly, provenance=self.provenance
        )

    def open(self, say: Say = lambda line: None) -> Opened:
        """Open model and genome.

        Raises
        ------
        EditError
            If the edits make another genome than where the job was made (a file that they name has
            changed).
        """
        opened = super().open(say)
        source = opened.source
        wanted = self.provenance.get("contigs_sha256")
        if isinstance(source, EditedGenome) and wanted not in (None, digest(source.contigs)):
            raise EditError(
                f"the edits make another genome here than {self.assembly!r}; have their files "
                f"changed?"
            )
        return opened

    def run(
        self,
        engine: Engine,
        *,
        dask: str | None = None,
        ranks: Ranks | None = None,
        progress: bool = True,
        say: Say = lambda line: None,
    ) -> list[Path]:
        """Predict, and write the file.

        Parameters
        ----------
        engine : of the genome that is predicted. With ``dask`` it only merges what workers compute.
        dask : where the workers are (``orca-cool predict --dask``). ranks : this process's rank
            under torchrun; all ranks but the first compute their share and write nothing.
        progress : show a progress bar. say : told what approximate number types cost.

        Returns
        -------
        Paths of the .mcool and its tables; none on a rank that only helps.
        """
        from orca_cool.prediction.to_file import predict_to_file

        helpers: Any = contextlib.nullcontext(ranks)
        if dask is not None:
            from orca_cool.prediction.parallel.cluster import Dask

            helpers = Dask(dask, self.standalone())
        elif ranks is not None:
            helpers = ranks
        plan = self.plan(engine)
        with helpers as others:
            for line in others.told if dask is not None else ():
                say(line)
            if ranks is not None and ranks.rank > 0:
                ranks.work(engine, plan, self.folder)
                return []
            with progress_bar(progress, "window", engine.spec.name, engine) as report:
                for line in _errors_told(engine, plan) if dask is None else ():
                    say(line)
                paths = predict_to_file(
                    engine,
                    plan.regions,
                    plan.settings,
                    self.output,
                    assembly=self.assembly,
                    provenance=self.provenance,
                    force=self.force,
                    progress=report,
                    helpers=others,
                )
        if (view := view_path(self.output)) in paths:
            say(
                f"cooltools (saddle, pileup, dots, insulation ...) takes the expected tables of "
                f"these regions with --view {view}"
            )
        return paths


def _errors_told(engine: Engine, plan: Plan) -> list[str]:
    """What approximate number types cost, measured at the plan's first top window."""
    from orca_cool.prediction.kept_errors import told_errors

    first = next(s for s in plan.steps if s.levels[-1] and s.region is not None)
    chrom = "" if first.region is None else first.region.chrom
    return told_errors(engine, first.module, chrom, first.levels)
