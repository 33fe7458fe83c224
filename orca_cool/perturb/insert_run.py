"""An insertion screen while it runs: site by site. What is done is kept in a journal, where a
sequence is named by the numbers of its site, source and cassette, so that a run that was killed
goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orca_cool.effects.align import Reference
from orca_cool.effects.scores import Choices
from orca_cool.errors import EditError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import Region, few
from orca_cool.genome.source import GAP
from orca_cool.maps.phasing import phasing_of
from orca_cool.perturb.insert_job import InsertScreenJob
from orca_cool.perturb.insert_output import InsertResult, make_table
from orca_cool.perturb.insert_scores import SIGNED, scores
from orca_cool.perturb.insert_sites import Insertion, InsertSite, OverwriteSite
from orca_cool.perturb.screen_journal import Key, ScreenJournal, with_numerics
from orca_cool.perturb.screen_local import Level
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.job import MANY_EDITS, Opened
from orca_cool.prediction.progress import Report, no_report


@dataclass(frozen=True)
class OfModel:
    """What one model predicts with.

    Attributes
    ----------
    engines : one for each cell type; of the genome in its file where sites are overwritten, else of
        the genome that is screened.
    level : that is screened.
    """

    engines: list[Engine]
    level: Level

    @cached_property
    def references(self) -> list[Reference]:
        """Zooms of the genome that is screened, each predicted once."""
        return [Reference(engine, self.level.module) for engine in self.engines]


class InsertScreen:
    """Sources at sites.

    Parameters
    ----------
    every : models on one genome; of a model of several cell types, for one of them.

    Raises
    ------
    EditError, RegionError
        If a source or site cannot be used, or all sources hold N.
    """

    def __init__(self, job: InsertScreenJob, every: Sequence[Opened]):
        self.job, self.opened = job, every[0]
        source = self.opened.source
        self.mask = job.masked(source)
        self.genome = job.genome_of(source)
        self.sources, self.sites = job.plan(source, self.genome)
        self.loops = job.loops_of(self.genome)
        with_e1 = SIGNED in job.names_of_scores
        self.phasing = phasing_of(job.phasing_track) if with_e1 else None
        self.models = [self._of_model(o, MANY_EDITS // len(every)) for o in every]
        self.cassettes = job.cassettes
        shape = (len(self.sites), len(self.sources), len(self.cassettes), len(job.columns))
        self.scores = np.full(shape, np.nan)
        self.with_N = {k for k in range(len(self.sources)) if self._holds_N(k)}
        if len(self.with_N) == len(self.sources):
            raise EditError(f"all sources hold an N: {few([s.name for s in self.sources], 3)}")
        self.masked: list[Region] = []
        self.done = 0
        self.total = shape[0] * (shape[1] - len(self.with_N)) * shape[2]
        settings = job.settings(every, self.level)
        self.settings = with_numerics(settings, self.engine, several=len(job.names) > 1)
        if job.phasing_track is not None:
            self._check_phasing()
        self.journal = ScreenJournal.of(job, self.settings)

    @property
    def engine(self) -> Engine:
        """Of the first model."""
        return self.models[0].engines[0]

    @property
    def level(self) -> Level:
        """Of the first model; the others' differs in its maps alone."""
        return self.models[0].level

    def _of_model(self, opened: Opened, memory: int) -> OfModel:
        job, types = self.job, self.job.types_of(opened.spec)
        file = opened.reference if job.background is None else self.genome
        engine = opened.new_engine(file, fine_bytes=memory)
        if not job.overwrite and isinstance(self.genome, EditedGenome):
            engine = engine.for_genome(self.genome)
        by_type = [engine.for_cell_type(name) for name in types]  # type: ignore[attr-defined]
        return OfModel(by_type or [engine], job.level_of(opened))

    def _holds_N(self, k: int) -> bool:
        source = self.sources[k]
        plain = dataclasses.replace(source, shuffle="")
        if source.gc is not None:
            return False
        return any(
            (plain.sequence(self.opened.source, c.length, 0, self.sites[0], 0) == GAP).any()
            for c in {dataclasses.replace(c, orientation="+") for c in self.cassettes}
        )

    def _check_phasing(self) -> None:
        """See, before anything is predicted, whether a track orients E1 at the sites."""
        assert self.phasing is not None
        for number, site in enumerate(self.sites):
            scorer, key = self._scorers(site)[0], next(self._keys(number))
            if not self._is_masked(scorer, key):
                start = (
                    scorer.start
                    if isinstance(scorer, OverwriteSite)
                    else scorer.start_of(self._insertion(key))
                )
                r, n = self.level.resolution, self.engine.spec.bins
                self.phasing(self.genome, site.chrom, start, r, n)

    def _scorers(self, site: Region) -> list[OverwriteSite | InsertSite]:
        """Of a site, one for each model."""
        mask, phasing = self.mask, self.phasing
        if self.job.overwrite:
            return [
                OverwriteSite(m.engines, self.genome, site, m.level, mask, phasing)
                for m in self.models
            ]
        return [InsertSite(m.references, site, m.level, mask, phasing) for m in self.models]

    def _is_masked(self, scorer: OverwriteSite | InsertSite, key: Key) -> bool:
        """Whether too little of a sequence's window counts for a score."""
        if isinstance(scorer, OverwriteSite):
            return scorer.is_masked
        return scorer.is_masked(self._insertion(key))

    def run(self, report: Report = no_report) -> InsertResult:
        """Predict all sequences that are not done yet.

        Parameters
        ----------
        report : called with (sequences done, in all).

        Raises
        ------
        OutputError
            If what is done cannot be kept.
        """
        known = {} if self.journal is None else self.journal.begin()
        for number, site in enumerate(self.sites):
            scorers, masked = self._scorers(site), 0
            todo: list[Key] = []
            keys = list(self._keys(number))
            for key in keys:
                found = known.get(key)
                if found is not None and len(found) == self.scores.shape[-1]:
                    self.scores[key] = found
                elif self._is_masked(scorers[0], key):  # so it is of every model
                    masked += 1
                else:
                    todo.append(key)
            if masked == len(keys):
                self.masked.append(site)
            self.done += len(keys) - len(todo)
            report(self.done, self.total)
            size = self.engine.windows_per_batch
            for at in range(0, len(todo), size):
                self._score(scorers, todo[at : at + size])
                report(self.done, self.total)
        if len(self.masked) == len(self.sites):
            raise EditError(
                f"none of the sites {few(map(str, self.sites), 3)} can be scored: their windows "
                f"are mostly masked by {self.job.mask!r}, or N"
            )
        return self._result()

    def _keys(self, site: int) -> Iterator[Key]:
        for source in range(len(self.sources)):
            if source not in self.with_N:
                for cassette in range(len(self.cassettes)):
                    yield site, source, cassette

    def _insertion(self, key: Key) -> Insertion:
        site, source, number = self.sites[key[0]], self.sources[key[1]], key[2]
        cassette = self.cassettes[number]
        return Insertion(
            cassette,
            [
                source.sequence(self.opened.source, cassette.length, self.job.seed, site, copy)
                for copy in range(cassette.number)
            ],
        )

    def _score(self, scorers: Sequence[OverwriteSite | InsertSite], keys: Sequence[Key]) -> None:
        """Score some sequences of a site, by all models."""
        wanted, choices = self.job.names_of_scores, Choices(loops=self.loops)
        several = [self._insertion(key) for key in keys]
        for key, *by_model in zip(keys, *(scorer.compared(several) for scorer in scorers)):
            values: list[float] = []
            for seen in (seen for by_map in by_model for seen in by_map):
                values += scores(seen.found, seen.rows, seen.columns, wanted, seen.ends, choices)
            self.scores[key] = values
            if self.journal is not None:
                self.journal.add(key, np.array(values))
            self.done += 1

    def _result(self) -> InsertResult:
        lengths = [
            [source.own_length() if c.length is None else c.length for c in self.cassettes]
            for source in self.sources
        ]
        table = make_table(
            self.sources, self.sites, self.cassettes, lengths, self.job.columns, self.scores
        )
        own = self.opened.source.chromsizes
        return InsertResult(table, tuple(self.job.columns), dict(own), self.settings)

    @property
    def counts(self) -> dict[str, int]:
        """For the settings of the files."""
        return {
            "n_sources": len(self.sources),
            "sources_with_N": len(self.with_N),
            "n_sites": len(self.sites),
            "sites_masked": len(self.masked),
            "sequences": self.total,
        }

    def told(self) -> list[str]:
        """What the user should know, in lines."""
        out = []
        if self.with_N:
            names = few([self.sources[k].name for k in sorted(self.with_N)], 3)
            out.append(f"{len(self.with_N):,} sources hold an N and have no score: {names}")
        if self.masked:
            out.append(
                f"{len(self.masked):,} sites lie in windows that are mostly masked or N; they have "
                f"no score: {few(map(str, self.masked), 3)}"
            )
        return out

    def forget(self) -> None:
        """Remove what was kept of the run; its files are written."""
        if self.journal is not None:
            self.journal.run.remove()
