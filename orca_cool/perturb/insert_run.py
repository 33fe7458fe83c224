"""An insertion screen while it runs: site by site, by one process or by several. What is done is
kept in a journal, where a sequence is named by the numbers of its site, source and cassette, so
that a run that was killed goes on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
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
from orca_cool.perturb.screen_local import Level
from orca_cool.perturb.screen_options import WORK_FORMAT
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.item_journal import ItemJournal, Journaled, Key, with_numerics
from orca_cool.prediction.job import MANY_EDITS, Opened
from orca_cool.prediction.progress import Report, no_report
from orca_cool.prediction.sharing import ALONE, Alone, run_shared


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


class InsertScreen(Journaled):
    """Sources at sites.

    Parameters
    ----------
    every : models on one genome; of a model of several cell types, for one of them.
    share : who predicts the sequences.

    Raises
    ------
    EditError, RegionError
        If a source or site cannot be used, or all sources hold N.
    """

    def __init__(self, job: InsertScreenJob, every: Sequence[Opened], share: Alone = ALONE):
        self.job, self.opened, self.share = job, every[0], share
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
        self.sequences = [
            (source, cassette)
            for source in range(len(self.sources))
            if source not in self.with_N
            for cassette in range(len(self.cassettes))
        ]
        self.total = len(self.sites) * len(self.sequences)
        self._at: tuple[int, list[OverwriteSite | InsertSite]] = (-1, [])
        self.masked: list[Region] = []
        self.usable = self._usable()
        self.sizes = list(map(len, self.usable))
        self.done = self.total - sum(self.sizes)
        settings = job.settings(every, self.level)
        numerics = share.numerics or self.engine.numerics
        self.settings = with_numerics(settings, numerics, several=len(job.names) > 1)
        self.journal = ItemJournal.of(job, WORK_FORMAT, self.settings, "screen", share.restarted)

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

    def _usable(self) -> list[list[tuple[int, int]]]:
        """Of each site the sequences, by source and cassette, in whose windows enough bins count,
        and note the sites that have none.

        Raises
        ------
        EditError
            If no site has any, or a phasing track does not orient E1 in a window.
        """
        out = []
        for number, site in enumerate(self.sites):
            usable = self._usable_at(number)
            if not usable:
                self.masked.append(site)
            elif self.job.phasing_track is not None:
                self._check_phasing(number, *usable[0])
            out.append(usable)
        if len(self.masked) == len(self.sites):
            raise EditError(
                f"none of the sites {few(map(str, self.sites), 3)} can be scored: their windows "
                f"are mostly masked by {self.job.mask!r}, or N"
            )
        return out

    def _usable_at(self, number: int) -> list[tuple[int, int]]:
        scorer = self._scorers(number)[0]  # windows are those of every model
        if isinstance(scorer, OverwriteSite):
            return [] if scorer.is_masked else self.sequences
        masked: dict[tuple[int, int | None], bool] = {}
        out = []
        for source, cassette in self.sequences:
            length = self.cassettes[cassette].length or self.sources[source].own_length()
            shape = cassette, length  # where the window lies depends on no base
            if shape not in masked:
                masked[shape] = scorer.is_masked(self._insertion((number, source, cassette)))
            if not masked[shape]:
                out.append((source, cassette))
        return out

    def _check_phasing(self, number: int, source: int, cassette: int) -> None:
        """See, before anything is predicted, whether the track orients E1 at a site."""
        assert self.phasing is not None
        scorer = self._scorers(number)[0]
        start = (
            scorer.start
            if isinstance(scorer, OverwriteSite)
            else scorer.start_of(self._insertion((number, source, cassette)))
        )
        r, n = self.level.resolution, self.engine.spec.bins
        self.phasing(self.genome, self.sites[number].chrom, start, r, n)

    def _scorers(self, number: int) -> list[OverwriteSite | InsertSite]:
        """Of a site, one for each model; those of the last one are kept, with its reference."""
        if self._at[0] != number:
            site, mask, phasing = self.sites[number], self.mask, self.phasing
            made: list[OverwriteSite | InsertSite] = []
            for m in self.models:
                if self.job.overwrite:
                    one = OverwriteSite(m.engines, self.genome, site, m.level, mask, phasing)
                    made.append(one)
                else:
                    made.append(InsertSite(m.references, site, m.level, mask, phasing))
            self._at = number, made
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
        return self.engine.windows_per_batch

    def key(self, group: int, number: int) -> Key:
        """A sequence by its site, source and cassette."""
        return group, *self.usable[group][number]

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
        """Scores of some sequences of a site, by all models."""
        wanted, choices = self.job.names_of_scores, Choices(loops=self.loops)
        insertions = [self._insertion(self.key(group, number)) for number in numbers]
        out = []
        for by_model in zip(*(scorer.compared(insertions) for scorer in self._scorers(group))):
            values: list[float] = []
            for seen in (seen for by_map in by_model for seen in by_map):
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
