"""What ``orca-cool variants`` does: variants of a file or of a command line to a table of
scores.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.effects import RANK_BY
from orca_cool.effects.scoring_rules import check_scoring
from orca_cool.effects.table_forms import Form
from orca_cool.errors import EditError, ModelError, OutputError, RegionError
from orca_cool.files import check_output, sha256
from orca_cool.genome.loops import read_loops
from orca_cool.genome.nearest import GeneDistances
from orca_cool.genome.regions import parse_length
from orca_cool.genome.source import SequenceSource
from orca_cool.locks import holding
from orca_cool.prediction.chosen import output_of_cell_type
from orca_cool.prediction.job import MANY_EDITS, Opened, Say
from orca_cool.prediction.parallel import only_helps
from orca_cool.prediction.progress import progress_bar
from orca_cool.prediction.shared_job import PiecewiseJob, silent
from orca_cool.profile import stage
from orca_cool.variants import Variant, of_changes, parse_edits, read_variants
from orca_cool.variants.matched import MatchedPlaces

if TYPE_CHECKING:
    from orca_cool.effects.align import Reference
    from orca_cool.effects.table import VariantsWork
    from orca_cool.effects.unfinished_table import Summary
    from orca_cool.effects.variant_rows import Scoring
    from orca_cool.model.estimate import Estimate
    from orca_cool.model.network_spec import ModuleSpec
    from orca_cool.model.spec import ModelDescription
    from orca_cool.prediction.sharing import Alone

#: The name of standard input and output.
STANDARD = "-"

#: What is the business of the process that writes the table.
_OF_PARENT: dict[str, Any] = {
    "output": STANDARD,
    "force": False,
    "summary": False,
    "rank_by": RANK_BY,
    "html": None,
}


@dataclass(frozen=True, kw_only=True)
class VariantsJob(PiecewiseJob):
    """Score variants by how much they change the predicted map.

    Attributes
    ----------
    output : the table; its settings appear beside it. Its suffix tells the form: .parquet; .vcf or
        .vcf.gz, the variants' own VCF with scores as INFO fields; else TSV. "-": standard output.
    variants : VCF, BEDPE, a table of events, or a text of edits, one a line; "-": standard input.
    edit : edits as text, each a variant of its own.
    module : of the model; None: its first. levels : comma-separated, of the module; None: all.
    loops : BEDPE of loops of the reference whose strength is compared.
    maps : folder for the matrices, one .npz a variant.
    shifts : comma-separated bp by which windows are also moved; scores are averaged.
    strict : a variant that cannot be scored is an error, not a row with the reason.
    stop_below : a variant's finer levels are left out where no pixel's log observed/expected
        changes by so much at the coarsest; None: none are.
    genotype : "hom", scores of a genome that has the change on both haplotypes; "het", of the mean
        of one with it and one without (:mod:`orca_cool.effects.heterozygous`).
    null : matched places of each variant that are scored, too, among whose scores each of its own
        is told by percentile and z (:mod:`orca_cool.variants.matched`); 0: none.
    summary : one row a variant, with its rank in the run. rank_by : the score that ranks.
    html : a report of the strongest variants, with pictures.
    seed : of the matched places. genes : GTF, GFF3 or BED of genes, whose distance is matched, too.
    force : replace the output, and start anew.
    """

    output: str
    variants: str | None = None
    edit: tuple[str, ...] = ()
    module: str | None = None
    levels: str | None = None
    loops: str | None = None
    maps: str | None = None
    shifts: str = ""
    strict: bool = False
    stop_below: float | None = None
    genotype: str = "hom"
    null: int = 0
    seed: int = 0
    genes: str | None = None
    summary: bool = False
    rank_by: str = RANK_BY
    html: str | None = None
    force: bool = False

    def check(self) -> None:
        """Raise what can be known to be wrong before model and genome are opened.

        Raises
        ------
        EditError, OutputError, ModelError, DeviceError
        """
        super().check()
        if self.variants is None and not self.edit:
            raise EditError("there is nothing to score: give VARIANTS or --edit")
        if self.output != STANDARD:
            check_output(Path(self.output), self.force)
        if self.maps is not None and Path(self.maps).exists() and not Path(self.maps).is_dir():
            raise OutputError(f"--maps {self.maps!r} is a file; give a folder")
        check_scoring(
            shifts=self._shifts() and self.shifts,
            stop_below=self.stop_below,
            genotype=self.genotype,
            null=self.null,
            seed=self.seed,
            genes=self.genes,
            option=self.option_of,
        )
        self.form.check()
        if self.html is not None:
            check_output(Path(self.html), self.force)
        self.chosen(self.spec)

    @property
    def paths(self) -> list[str]:
        """The tables and reports that are written, and the folder of matrices."""
        some = (self.output, self.html, self.maps)
        return [path for path in some if path is not None and path != STANDARD]

    @property
    def form(self) -> Form:
        """How the table is written."""
        return Form(self.output, self.variants, self.summary, self.rank_by, self.html)

    def each_cell_type(self) -> list[VariantsJob]:
        """As of any job; each has a report of its own, too."""
        jobs = super().each_cell_type()
        if len(jobs) == 1 or self.html is None:
            return jobs
        return [
            dataclasses.replace(job, html=output_of_cell_type(self.html, job.cell_type or ""))
            for job in jobs
        ]

    def check_inputs(self) -> None:
        """Raise what the model's header, the genome and the loops tell, before torch is loaded."""
        super().check_inputs()
        if self.loops:
            read_loops(self.loops, self.source.chromsizes)
        if self.genes:
            GeneDistances(self.genes, self.source)

    def _shifts(self) -> tuple[int, ...]:
        found = []
        for part in filter(None, (part.strip() for part in self.shifts.split(","))):
            sign = -1 if part.startswith("-") else 1
            try:
                found.append(sign * parse_length(part.lstrip("+-").replace("_", "")))
            except RegionError as error:
                raise EditError(
                    f"--shifts {self.shifts!r} is not a list of whole numbers of bp, such as "
                    f"-1000,1000"
                ) from error
        return tuple(found)

    def chosen(self, spec: ModelDescription) -> tuple[ModuleSpec, tuple[int, ...]]:
        """The module, and those of its levels that are scored."""
        module = spec.module(self.module) if self.module else spec.modules[0]
        if self.levels is None:
            return module, module.resolutions
        wanted = tuple(spec.parse_level(text) for text in self.levels.split(","))
        for resolution in wanted:
            if resolution not in module.resolutions:
                raise ModelError(
                    f"level {resolution} is not of module {module.name!r}; levels there: "
                    f"{list(module.resolutions)}"
                )
        return module, wanted

    def read(self, source: SequenceSource) -> list[Variant]:
        """The variants, in order; those that cannot be used say why.

        Raises
        ------
        EditError
            If there are none, or (with ``strict``) one of them cannot be used.
        """
        found: list[Variant] = []
        if self.variants is not None:
            found += read_variants(self.variants, source)
        for number, text in enumerate(self.edit, start=1):
            changes = parse_edits(text, source)
            found.append(of_changes(changes, f"--edit {number}", name=text.strip()))
        if not found:
            raise EditError(f"{self.variants!r} holds no variant")
        bad = [v for v in found if v.problem]
        if bad and self.strict:
            more = f" (and {len(bad) - 1:,} more)" if len(bad) > 1 else ""
            raise EditError(f"{bad[0].where}: {bad[0].name}: {bad[0].problem}{more}")
        return found

    @property
    def files(self) -> dict[str, str | None]:
        """The files that are read beside model and genome, by field."""
        return {"variants": self.variants, "loops": self.loops, "genes": self.genes}

    @staticmethod
    def option_of(name: str) -> str:
        """As of any job whose work is shared; the variants are no option."""
        return "VARIANTS" if name == "variants" else PiecewiseJob.option_of(name)

    def of_worker(self) -> VariantsJob:
        """As of any job whose work is shared; matrices are written by who scores."""
        maps = None if self.maps is None else str(Path(self.maps).absolute())
        return dataclasses.replace(super().of_worker(), **_OF_PARENT, maps=maps)

    def _written(self) -> list[str]:
        """The table, where it is a file, and the folder of matrices."""
        if only_helps():
            return []
        return self.paths

    @holding(_written)
    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> Summary:
        """Score the variants, and write the table.

        A row for each variant, level and breakpoint. A killed run goes on where it was when the
        same job is run again.

        Parameters
        ----------
        opened : the job's model and genome, if they are open already.
        progress : show a progress bar. say : called with what the user should know, line by line.

        Raises
        ------
        OrcaCoolError
        """
        say = silent if only_helps() else say
        self.check()
        if opened is None:
            self.check_inputs()
        with self.sharing() as share:  # workers make themselves ready while the model is loaded
            opened = share.opened(self.ready(opened, say))
            summary = self._table(opened, share, progress, say)
            for line in (*share.told, *summary.lines()):
                say(line)
        return summary

    def _table(self, opened: Opened, share: Alone, progress: bool, say: Say) -> Summary:
        """Score the variants, and write the table."""
        with stage("libraries"):
            from orca_cool.effects.table import stream_table, write_table

        reference, found, scoring = self._prepared(opened)
        numerics = share.numerics or reference.engine.numerics
        used = (numerics.get("dtype"), numerics.get("encoder_dtype"))
        approximate = [k for k in used if k not in (None, "float32")]
        if approximate:
            say(
                f"approximate numbers: {', '.join(map(str, approximate))} (run `orca-cool predict` "
                f"with them to see by how much)"
            )
        null = self._null(opened, reference.module)
        told: dict[str, Any] = {"identity": self._identity(opened), "share": share, "null": null}
        told["form"] = self.form
        name, shown = f"{opened.spec.name} {reference.module.name}", progress and not share.rank
        unit = "variant" if null is None else "place"
        with progress_bar(shown, unit, name, reference.engine) as bar:
            told["progress"] = bar
            if self.output == STANDARD:
                return stream_table(reference, found, sys.stdout, scoring, **told)
            return write_table(reference, found, self.output, scoring, force=self.force, **told)

    def work_of(self, opened: Opened, share: Alone, say: Say) -> VariantsWork:
        """The scoring of the variants by a worker, which writes no rows."""
        from orca_cool.effects.table import VariantsWork, settings_of

        reference, found, scoring = self._prepared(opened)
        settings = settings_of(reference, scoring, self._identity(opened), share)
        null = self._null(opened, reference.module)
        return VariantsWork(reference, found, scoring, settings, null=null)

    def _null(self, opened: Opened, module: ModuleSpec) -> MatchedPlaces | None:
        """What draws matched places, None if none are asked for."""
        if not self.null:
            return None
        genes = None if self.genes is None else GeneDistances(self.genes, opened.reference)
        margin = opened.spec.window(module.resolutions[0]) // 2
        return MatchedPlaces(
            opened.reference, self.null, seed=self.seed, margin=margin, genes=genes
        )

    def _prepared(self, opened: Opened) -> tuple[Reference, list[Variant], Scoring]:
        """The reference, the variants, and how they are scored."""
        with stage("libraries"):
            from orca_cool.effects.align import Reference

        found = self.read(opened.reference)
        module, levels = self.chosen(opened.spec)
        engine = opened.new_engine(opened.reference, fine_bytes=MANY_EDITS)
        return Reference(engine, module), found, self._scoring(levels, opened)

    def estimate(self, *, say: Say = lambda line: None) -> Estimate:
        """What :meth:`run` will compute, and what it will take; nothing is written but the index of
        a FASTA that has none.

        Raises
        ------
        OrcaCoolError
            As :meth:`run`, before it computes anything.
        """
        self.check()
        from orca_cool.effects.estimates import estimate_variants

        opened = self.without_stores().open(say)
        found = self.read(opened.reference)
        module, levels = self.chosen(opened.spec)
        scoring = self._scoring(levels, opened)
        engine = opened.new_engine(opened.reference, fine_bytes=MANY_EDITS)
        null = self._null(opened, module)
        places = [] if null is None else [p for variant in found for p in null.of(variant)]
        return estimate_variants(engine, module, found, scoring, places)

    def _scoring(self, levels: tuple[int, ...], opened: Opened) -> Scoring:
        from orca_cool.effects.scores import Choices
        from orca_cool.effects.variant_rows import Scoring

        loops: tuple[tuple[str, int, int], ...] = ()
        if self.loops:
            loops = read_loops(self.loops, opened.reference.chromsizes)
        maps = None if self.maps is None else Path(self.maps)
        choices = Choices(loops=loops)
        return Scoring(
            levels,
            choices,
            self._shifts(),
            maps,
            self.strict,
            self.stop_below,
            genotype=self.genotype,
        )

    def _identity(self, opened: Opened) -> dict[str, Any]:
        """What tells this table from another, beside model and settings."""
        path = self.variants
        if path in (None, STANDARD):
            digest = hashlib.sha256("\n".join(self.edit).encode()).hexdigest()
        else:
            digest = sha256(str(path))
        sizes = repr(opened.reference.chromsizes).encode()
        return {
            "variants": None if path is None else Path(path).name,
            "variants_sha256": digest,
            "assembly": opened.assembly,
            "loops": None if self.loops is None else Path(self.loops).name,
            "chromsizes_sha256": hashlib.sha256(sizes).hexdigest(),
            **self._null_identity(),
        }

    def _null_identity(self) -> dict[str, Any]:
        """What matched places depend on; nothing where there are none."""
        if not self.null:
            return {}
        told: dict[str, Any] = {"null": self.null, "seed": self.seed}
        if self.genes is not None:
            told |= {"genes": Path(self.genes).name, "genes_sha256": sha256(self.genes)}
        return told
