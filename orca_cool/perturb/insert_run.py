"""An insertion screen while it runs: site by site. What is done is kept in a journal, where a
sequence is named by the numbers of its site, source and cassette, so that a run that was killed
goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from orca_cool.effects.align import Reference
from orca_cool.effects.scores import Choices
from orca_cool.errors import EditError
from orca_cool.genome.regions import Region, few
from orca_cool.genome.source import GAP
from orca_cool.perturb.insert_job import InsertScreenJob
from orca_cool.perturb.insert_output import InsertResult, make_table
from orca_cool.perturb.insert_scores import SIGNED, scores
from orca_cool.perturb.insert_sites import Insertion, InsertSite, OverwriteSite
from orca_cool.perturb.screen_journal import Key, ScreenJournal, with_numerics
from orca_cool.perturb.screen_local import Level
from orca_cool.perturb.screen_options import read_mask
from orca_cool.perturb.screen_output import SCORE
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.job import MANY_EDITS, Opened
from orca_cool.prediction.progress import Report, no_report


class InsertScreen:
    """Sources at sites.

    Parameters
    ----------
    opened : model and genome; of a model of several cell types, for one of them.

    Raises
    ------
    EditError, RegionError
        If a source or site cannot be used, or all sources hold N.
    """

    def __init__(self, job: InsertScreenJob, opened: Opened):
        self.job, self.opened = job, opened
        self.mask = read_mask(job.mask, opened.source)
        self.genome = job.genome_of(opened.source)
        self.sources, self.sites = job.plan(opened.source, self.genome)
        self.loops = job.loops_of(self.genome)
        self.engines = self._engines()
        spec, names = opened.spec, job.names
        several = len(names) > 1
        maps = tuple(spec.cell_types.index(n) for n in names) if several else (spec.map_number,)
        module, resolution = job.chosen()
        self.level = Level(module, resolution, maps, job.strands)
        self.cassettes = job.cassettes
        shape = (len(self.sites), len(self.sources), len(self.cassettes), len(job.columns))
        self.scores = np.full(shape, np.nan)
        self.with_N = {k for k in range(len(self.sources)) if self._holds_N(k)}
        if len(self.with_N) == len(self.sources):
            raise EditError(f"all sources hold an N: {few([s.name for s in self.sources], 3)}")
        self.masked: list[Region] = []
        self.done = 0
        self.total = shape[0] * (shape[1] - len(self.with_N)) * shape[2]
        settings = job.settings(opened, self.level)
        self.settings = with_numerics(settings, self.engines[0], several)
        self.journal = ScreenJournal.of(job, self.settings)

    def _engines(self) -> list[Engine]:
        """Of the genome that is inserted into, for each cell type."""
        job, names = self.job, self.job.names
        file = self.opened.reference if job.background is None else self.genome
        first = self.opened.new_engine(file, fine_bytes=MANY_EDITS)
        if names == [SCORE]:
            return [first]
        return [first.for_cell_type(name) for name in names]  # type: ignore[attr-defined]

    def _holds_N(self, k: int) -> bool:
        source = self.sources[k]
        plain = dataclasses.replace(source, shuffle="")
        if source.gc is not None:
            return False
        return any(
            (plain.sequence(self.opened.source, c.length, 0, self.sites[0], 0) == GAP).any()
            for c in {dataclasses.replace(c, orientation="+") for c in self.cassettes}
        )

    def _scorers(self) -> Iterator[tuple[int, OverwriteSite | InsertSite]]:
        """Of each site."""
        with_e1 = SIGNED in self.job.names_of_scores
        references: list[Reference] = []
        for number, site in enumerate(self.sites):
            if self.job.overwrite:
                yield (
                    number,
                    OverwriteSite(self.engines, self.genome, site, self.level, self.mask, with_e1),
                )
            else:
                references = references or [Reference(e, self.level.module) for e in self.engines]
                yield number, InsertSite(references, site, self.level, self.mask, with_e1)

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
        for number, scorer in self._scorers():
            todo: list[Key] = []
            for key in self._keys(number):
                found = known.get(key)
                if found is not None and len(found) == self.scores.shape[-1]:
                    self.scores[key] = found
                    self.done += 1
                else:
                    todo.append(key)
            report(self.done, self.total)
            size = self.engines[0].windows_per_batch
            if todo and isinstance(scorer, OverwriteSite):
                if not all(enough for _, enough in scorer.columns):
                    self.masked.append(self.sites[number])
                    self.done += len(todo)
                    continue
            for at in range(0, len(todo), size):
                self._score(scorer, todo[at : at + size])
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

    def _score(self, scorer: OverwriteSite | InsertSite, keys: Sequence[Key]) -> None:
        """Score some sequences of a site."""
        wanted, choices = self.job.names_of_scores, Choices(loops=self.loops)
        for key, by_map in zip(keys, scorer.compared([self._insertion(key) for key in keys])):
            values: list[float] = []
            for seen in by_map:
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
