"""Scores of variants as rows in memory, for Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orca_cool.effects import GENOTYPES
from orca_cool.effects.align import Reference
from orca_cool.effects.null import rows_with_null
from orca_cool.effects.scores import Choices
from orca_cool.effects.scoring_rules import check_scoring
from orca_cool.effects.variant_rows import Scoring, iter_rows
from orca_cool.genome.loops import read_loops
from orca_cool.genome.nearest import GeneDistances
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.engine import Engine
from orca_cool.variants import Variant, read_variants
from orca_cool.variants.matched import MatchedPlaces


@dataclass(frozen=True)
class Wanted:
    """What is asked of scores; see :meth:`orca_cool.api.predictor.Predictor.iter_scores`."""

    resolutions: tuple[int, ...]
    shifts: tuple[int, ...] = ()
    loops: Path | None = None
    strict: bool = False
    stop_below: float | None = None
    genotype: str = GENOTYPES[0]
    null: int = 0
    seed: int = 0
    genes: Path | None = None

    def check(self) -> None:
        """EditError if something cannot be, alone or with something else."""
        check_scoring(
            shifts=self.shifts,
            stop_below=self.stop_below,
            genotype=self.genotype,
            null=self.null,
            seed=self.seed,
            genes=self.genes,
        )


def scored_rows(
    engine: Engine, module: ModuleSpec, variants: Path | Sequence[Variant], wanted: Wanted
) -> Iterator[dict[str, Any]]:
    """Rows of variants, by column, one variant after the other.

    Parameters
    ----------
    variants : that were read from the engine's genome, or a file of them.

    Raises
    ------
    EditError
        If the file, or what is asked for, cannot be used; with ``strict``, if a variant cannot be.
    """
    wanted.check()
    source = engine.source
    some = list(read_variants(variants, source)) if isinstance(variants, Path) else variants
    loops = () if wanted.loops is None else read_loops(wanted.loops, source.chromsizes)
    scoring = Scoring(
        wanted.resolutions,
        Choices(loops=loops),
        wanted.shifts,
        strict=wanted.strict,
        stop_below=wanted.stop_below,
        genotype=wanted.genotype,
    )
    reference = Reference(engine, module)
    if not wanted.null:
        for found in iter_rows(reference, some, scoring):
            yield from found.rows
        return
    places = MatchedPlaces(
        source,
        wanted.null,
        seed=wanted.seed,
        margin=engine.spec.window(module.resolutions[0]) // 2,
        genes=None if wanted.genes is None else GeneDistances(wanted.genes, source),
    )
    for found in rows_with_null(reference, some, scoring, places):
        yield from found.rows
