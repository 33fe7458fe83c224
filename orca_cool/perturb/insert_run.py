"""An insertion screen while it runs: site by site, by one process or by several. What is done is
kept in a journal, where a sequence is named by the numbers of its site, source and cassette, so
that a run that was killed goes on.
"""

from __future__ import annotations

import dataclasses

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
from orca_cool.perturb.screen_share import ALONE, Alone, run_shared
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.job import MANY_EDITS, Opened
from orca_cool.prediction.progress import Report, no_report


class InsertScreen:
    """Sources at sites.

    Parameters
    ----------
    opened : model and genome; of a model of several cell types, for one of them.
    share : who predicts the sequences.

    Raises
    ------
    EditError, RegionError
        If a source or site cannot be used, or all sources hold N.
    """

    def __init__(self, job: InsertScreenJob, opened: Opened, share: Alone = ALONE):
        self.job, self.opened, self.share = job, opened, share
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
        self.sequences = [
            (source, cassette)
            for source in range(len(self.sources))
            if source not in self.with_N
            for cassette in range(len(self.cassettes))
        ]
        self.total = len(self.sites) * len(self.sequences)
        self.masked, self.sizes = self._usable()
        self.done = self.total - sum(self.sizes)
        settings = job.settings(opened, self.level)
        numerics = share.numerics or self.engines[0].numerics
        self.settings = with_numerics(settings, numerics, several)
        self.journal = ScreenJournal.of(job, self.settings)
        self._at: tuple[int, OverwriteSite | InsertSite | None] = (-1, None)
        self._references: list[Reference] = []

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

    def _usable(self) -> tuple[list[Region], list[int]]:
        """The sites that lie in windows that are mostly masked, and sequences of each site."""
        masked, sizes = [], []
        for site in self.sites:
            enough = not self.job.overwrite or self._overwritten(site).enough
            if not enough:
                masked.append(site)
            sizes.append(len(self.sequences) if enough else 0)
        if len(masked) == len(self.sites):
            raise EditError(
                f"none of the sites {few(map(str, self.sites), 3)} can be scored: their windows "
                f"are mostly masked by {self.job.mask!r}, or N"
            )
        return masked, sizes

    def _overwritten(self, site: Region) -> OverwriteSite:
        with_e1 = SIGNED in self.job.names_of_scores
        return OverwriteSite(self.engines, self.genome, site, self.level, self.mask, with_e1)

    def _scorer(self, number: int) -> OverwriteSite | InsertSite:
        """Of a site; that of the last one is kept, with its reference."""
        if self._at[1] is None or self._at[0] != number:
            site = self.sites[number]
            if self.job.overwrite:
                self._at = number, self._overwritten(site)
            else:
                with_e1, module = SIGNED in self.job.names_of_scores, self.level.module
                self._references = self._references or [Reference(e, module) for e in self.engines]
                inserted = InsertSite(self._references, site, self.level, self.mask, with_e1)
                self._at = number, inserted
        assert self._at[1] is not None
        return self._at[1]

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
        run_shared(self, self.share, report)
        return self._result()

    @property
    def windows_per_batch(self) -> int:
        """How many sequences are best predicted at once."""
        return self.engines[0].windows_per_batch

    def key(self, group: int, number: int) -> Key:
        """A sequence by its site, source and cassette."""
        return group, *self.sequences[number]

    def fits(self, group: int, number: int, scores: np.ndarray) -> bool:
        """True if there is a score for each column."""
        return scores.shape == self.scores.shape[-1:]

    def place(self, group: int, number: int, scores: np.ndarray) -> None:
        """Take the scores of a sequence into the result."""
        self.scores[self.key(group, number)] = scores

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

    def score(self, group: int, numbers: range) -> list[np.ndarray]:
        """Scores of some sequences of a site."""
        wanted, choices = self.job.names_of_scores, Choices(loops=self.loops)
        insertions = [self._insertion(self.key(group, number)) for number in numbers]
        out = []
        for by_map in self._scorer(group).compared(insertions):
            values: list[float] = []
            for seen in by_map:
                values += scores(seen.found, seen.rows, seen.columns, wanted, seen.ends, choices)
            out.append(np.array(values))
        return out

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
