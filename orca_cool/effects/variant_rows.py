"""Rows of a table of variants: the scores of every level and breakpoint of each variant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from orca_cool.effects import GENOTYPES
from orca_cool.effects.align import Comparison, Reference, compare
from orca_cool.effects.heterozygous import score_heterozygous
from orca_cool.effects.maps_file import save_maps
from orca_cool.effects.scores import SCORES, Choices, average, score
from orca_cool.effects.sites import sites
from orca_cool.effects.stop_below import Skipped, compare_until
from orca_cool.errors import EditError, OrcaCoolError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.edited import EditedGenome
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.engine import Engine
from orca_cool.profile import staged
from orca_cool.variants import Variant

#: A variant with breakpoints at more places than this is a haplotype, whose map `orca-cool predict`
#: makes.
MAX_SITES = 64


@dataclass(frozen=True)
class Scoring:
    """How variants are scored.

    Attributes
    ----------
    resolutions : levels of the module, in bp.
    choices : how scores are taken.
    shifts : bp by which windows are moved, besides 0; scores are averaged over all.
    maps : folder for the matrices, one .npz for each variant; None: they are not kept.
    strict : the first variant that cannot be scored is an error.
    stop_below : finer levels are left out where no pixel's log observed/expected changes by so much
        at the coarsest (:mod:`orca_cool.effects.stop_below`); None: none are.
    genotype : one of :data:`orca_cool.effects.GENOTYPES`; of "het" scores are those of the
        mean of both haplotypes (:mod:`orca_cool.effects.heterozygous`).
    store : windows of edited genomes are added to the window store, too: they will be asked for
        again.
    """

    resolutions: tuple[int, ...]
    choices: Choices = field(default_factory=Choices)
    shifts: tuple[int, ...] = ()
    maps: Path | None = None
    strict: bool = False
    stop_below: float | None = None
    genotype: str = GENOTYPES[0]
    store: bool = False


@dataclass(frozen=True)
class VariantRows:
    """What became of one variant: its rows, by column, and "ok" or why it could not be scored."""

    rows: list[dict[str, Any]]
    status: str


def genome_with(
    variant: Variant, engine: Engine, module: ModuleSpec, resolution: int
) -> EditedGenome:
    """The genome with one variant; EditError with the reason if it cannot be scored at
    ``resolution``.
    """
    if variant.problem:
        raise EditError(variant.problem)
    genome = apply_edits(engine.source, variant.changes)
    for contig in genome.edited:
        if genome.chromsizes[contig] < resolution:
            raise EditError(
                f"{contig} would be {genome.chromsizes[contig]:,} bp, shorter than one bin of "
                f"{resolution:,} bp"
            )
    if (places := len(sites(genome, engine.spec, module))) > MAX_SITES:
        raise EditError(
            f"it has breakpoints at {places:,} places, more than {MAX_SITES}; predict it with "
            f"`orca-cool predict --edit`"
        )
    return genome


def batch_size(engine: Engine) -> int:
    """Variants that are predicted together."""
    return engine.windows_per_batch


def iter_rows(
    reference: Reference, variants: Iterable[Variant], scoring: Scoring
) -> Iterator[VariantRows]:
    """Score variants one by one against the reference, in their order.

    Parameters
    ----------
    reference : of the module whose levels are scored; it keeps what neighbouring variants share.

    Raises
    ------
    EditError
        With ``scoring.strict``, if a variant cannot be scored.
    """
    first, rest = 0, iter(variants)
    while some := list(islice(rest, batch_size(reference.engine))):
        yield from batch_rows(reference, some, first, scoring)
        first += len(some)


@staged("scoring")
def batch_rows(
    reference: Reference, variants: Sequence[Variant], first: int, scoring: Scoring
) -> list[VariantRows]:
    """Score a few variants together. ``first`` is the number of variants before them."""
    genomes: dict[int, EditedGenome] = {}
    failed: dict[int, str] = {}
    for k, variant in enumerate(variants):
        try:
            finest = min(scoring.resolutions)
            genomes[k] = genome_with(variant, reference.engine, reference.module, finest)
        except OrcaCoolError as error:
            if scoring.strict:
                raise EditError(f"{variant.where}: {variant.name}: {error}") from error
            failed[k] = " ".join(str(error).split())
    footprints = [
        (variants[k].chrom, variants[k].start, max(variants[k].end, variants[k].start + 1))
        for k in genomes
    ]
    of_scored = iter(_compared(reference, list(genomes.values()), footprints, scoring))
    out = []
    for k, variant in enumerate(variants):
        if k in failed:
            row = _row(variant, reference.module, None, {}, failed[k])
            out.append(VariantRows([row], failed[k]))
            continue
        found = next(of_scored)
        out.append(_scored(variant, genomes[k], reference.module, found, scoring))
        if scoring.maps is not None:
            path = scoring.maps / f"{first + k + 1:06d}_{_safe(variant.name)}.npz"
            there = [c for c in found[0] if isinstance(c, Comparison)]
            save_maps(path, variant, genomes[k], there)
    return out


def _compared(
    reference: Reference,
    genomes: Sequence[EditedGenome],
    footprints: Sequence[tuple[str, int, int]],
    scoring: Scoring,
) -> Iterable[Sequence[Sequence[Comparison | Skipped]]]:
    """For each genome, for each shift of the windows, its levels and sites."""
    if scoring.stop_below is not None:
        found = compare_until(
            reference, genomes, scoring.stop_below, footprints=footprints, keep=scoring.resolutions
        )
        return [[one] for one in found]
    by_shift = [
        compare(
            reference,
            genomes,
            footprints=footprints,
            shift=shift,
            keep=scoring.resolutions,
            store=scoring.store,
        )
        for shift in (0, *scoring.shifts)
    ]
    return zip(*by_shift, strict=True)


def _scored(
    variant: Variant,
    genome: EditedGenome,
    module: ModuleSpec,
    found: Sequence[Sequence[Comparison | Skipped]],
    scoring: Scoring,
) -> VariantRows:
    """Rows of a variant from its comparisons, one list a shift of the windows."""
    ok = "ok" if genome.edited else "ok: the sequence is the reference's"
    status = "; ".join(filter(None, [ok, variant.note]))
    rows = []
    for same in zip(*found):
        if isinstance(same[0], Skipped):
            why = (
                f"not predicted: at the levels above no pixel changes by more than "
                f"{same[0].largest:.3g}, less than --stop-below {scoring.stop_below:g}"
            )
            rows.append(_row(variant, module, same[0], {}, why))
            continue
        taken = score if scoring.genotype == GENOTYPES[0] else score_heterozygous
        scores = average([taken(c, scoring.choices) for c in same])
        rows.append(_row(variant, module, same[0], scores, status))
    return VariantRows(rows, "ok")


def _row(
    variant: Variant,
    module: ModuleSpec,
    found: Comparison | Skipped | None,
    scores: dict[str, float],
    status: str,
) -> dict[str, Any]:
    """One row by column; without a comparison resolution, site and reference are None, and so is
    pos where the input has none.
    """
    row: dict[str, Any] = {
        "name": variant.name,
        "id": variant.id,
        "chrom": variant.chrom,
        "pos": variant.pos,
        "ref": variant.ref,
        "alt": variant.alt,
        "start": variant.start,
        "end": variant.end,
        "kind": variant.kind,
        "changes": "; ".join(map(str, variant.changes)),
        "where": variant.where,
        "module": module.name,
        "resolution": None,
        "site": None,
        "reference": None,
    }
    if found is not None:
        places = ",".join(f"{c}:{p:,}" for c, p in found.site.references)
        row |= {"resolution": found.resolution, "site": str(found.site), "reference": places}
    return row | {name: scores.get(name, float("nan")) for name in SCORES} | {"status": status}


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name)[:60] or "variant"
