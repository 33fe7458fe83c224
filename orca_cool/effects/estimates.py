"""What a prediction or the scoring of variants will take (``--dry-run``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cachetools import LRUCache

from orca_cool.effects.align import Reference
from orca_cool.effects.sites import Site, sites
from orca_cool.effects.variant_rows import Scoring, batch_size, genome_with
from orca_cool.errors import OrcaCoolError, RegionError
from orca_cool.genome.edited import EditedGenome
from orca_cool.maps.phasing import phasing_of
from orca_cool.model.estimate import Estimate
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.estimate import estimate_plan, rates
from orca_cool.prediction.job import Opened, Say
from orca_cool.prediction.regions_job import RegionsJob
from orca_cool.prediction.track_writer import Tracks
from orca_cool.variants import Variant

if TYPE_CHECKING:
    from orca_cool.effects.predict_job import PredictJob

#: Bytes of a row of the table.
ROW = 220
#: Bytes of a pixel of a variant's .npz: its matrices, compressed.
NPZ_PIXEL = 10


def estimate_prediction(job: PredictJob, opened: Opened, say: Say) -> Estimate:
    """What predicting regions will take.

    Raises
    ------
    RegionError
        If the job is a zoom, which is one window a level.
    """
    if job.at is not None:
        raise RegionError(
            f"--at {job.at!r} predicts one window of each level; --dry-run is about regions"
        )
    settings, regions = job.settings(opened), job.chosen_regions(opened, say)
    work = RegionsJob.of(job, regions, settings, opened.file_assembly, {}, Path(job.output), False)
    engine = opened.engine
    plan = work.plan(engine)
    job.check_tracks(opened.spec)
    Tracks(job.track_names, engine, plan, phasing_of(job.phasing_track)).check(say)
    found = estimate_plan(engine, plan)
    notes = found.notes
    if job.store is not None:
        notes += (f"what is encoded already in {job.store!r} is not subtracted",)
    if job.window_store is not None:
        notes += (f"what is decoded already in {job.window_store!r} is not subtracted",)
    if job.companions:
        notes += (f"without {', '.join(map(str, job.companions))} and a reference's prediction",)
    if job.track_names:
        notes += (f"without tracks ({', '.join(job.track_names)})",)
    seconds = found.seconds
    if job.nproc > 1:
        seconds /= job.nproc
        notes += (f"memory is that of each of {job.nproc} worker processes",)
    return dataclasses.replace(found, notes=notes, seconds=seconds)


def estimate_variants(
    engine: Engine,
    module: ModuleSpec,
    variants: Sequence[Variant],
    scoring: Scoring,
    places: Sequence[Variant] = (),
) -> Estimate:
    """What scoring variants will take. Windows are counted exactly: those of the reference that
    neighbouring variants share are predicted once.

    Parameters
    ----------
    places : matched places of the variants, which are predicted, too, and have no rows.
    """
    kept: LRUCache[tuple[str, int], bool] = LRUCache(Reference.capacity(engine.spec.bins, module))
    found = _Counted()
    found.count(engine, module, variants, scoring, kept)
    of_variants = found.sites * len(scoring.resolutions) // (1 + len(scoring.shifts)), found.failed
    found.count(engine, module, places, scoring, kept)
    levels, bins = module.resolutions, engine.spec.bins
    windows = found.zooms * len(levels)
    first = next(iter(engine.source.chromsizes))
    taken = rates(engine, {module.name: levels}, next(iter(found.stretches), (first, 0))[0])
    bp = found.bp + 2 * found.covered(engine, module)
    rows = sum(of_variants)
    maps = of_variants[0] * bins**2 * NPZ_PIXEL if scoring.maps is not None else 0
    also = (f"{len(places):,} matched places, which have no rows, are predicted, too",)
    return Estimate(
        windows=windows,
        levels=tuple(sorted(scoring.resolutions)),
        pixels=windows * bins**2,
        disk=rows * ROW * (2 if places else 1) + 800 + maps,
        work=2000 + ROW * len(places) * len(scoring.resolutions),
        memory=taken.memory + min(len(kept) * 16 * len(levels) * bins**2, 2**29),
        seconds=taken.seconds(bp, {(module.name, r): found.zooms for r in levels}),
        notes=(
            f"{len(variants):,} variants, {rows:,} rows; {of_variants[1]:,} cannot be scored",
            *(also if places else ()),
            "windows, rows and pixels (of all windows) are exact; disk and memory within a factor "
            "of 2; time, from a trial of the networks for some seconds, within a factor of 4",
        ),
    )


@dataclasses.dataclass
class _Counted:
    """What scoring will predict: zooms of either genome, sites (with each shift), variants that
    cannot be scored, bp that are encoded for edits, and where the reference is looked at.
    """

    zooms: int = 0
    sites: int = 0
    failed: int = 0
    bp: float = 0.0
    stretches: set[tuple[str, int]] = dataclasses.field(default_factory=set)

    def count(
        self,
        engine: Engine,
        module: ModuleSpec,
        variants: Sequence[Variant],
        scoring: Scoring,
        kept: LRUCache[tuple[str, int], bool],
    ) -> None:
        """Variants that are scored, in pieces as they are scored."""
        finest, step = min(scoring.resolutions), batch_size(engine)
        for at in range(0, len(variants), step):
            genomes: list[tuple[Variant, EditedGenome]] = []
            for variant in variants[at : at + step]:
                try:
                    genomes.append((variant, genome_with(variant, engine, module, finest)))
                except OrcaCoolError:
                    self.failed += 1
            for shift in (0, *scoring.shifts):
                self.add(_sites(engine, module, genomes, shift), kept)
            self.bp += sum(_edited_bp(engine, genome) for _, genome in genomes)

    def add(self, some: Sequence[Site], kept: LRUCache[tuple[str, int], bool]) -> None:
        """Sites that are compared together, beside the reference's zooms that are kept; as
        :class:`~orca_cool.effects.align.Reference` keeps them.
        """
        places = [place for site in some for place in site.references]
        missing = [place for place in dict.fromkeys(places) if place not in kept]
        for place in missing:
            kept[place] = True
        self.zooms += len(missing) + len(some)
        for place in places:
            if place not in kept:  # so many that they displaced each other
                kept[place] = True
                self.zooms += 1
            kept[place]
        self.sites += len(some)
        self.stretches |= set(places)

    def covered(self, engine: Engine, module: ModuleSpec) -> int:
        """Sequence of the reference in bp that its windows cover; each stretch counts once."""
        if module.multi_chromosome:
            return sum(engine.source.chromsizes.values())
        half, total, reached = engine.spec.window(module.resolutions[0]) // 2, 0, ("", 0)
        for chrom, middle in sorted(self.stretches):
            size = engine.source.chromsizes[chrom]
            start, end = max(0, middle - half), min(size, middle + half)
            if reached[0] == chrom:
                start = max(start, reached[1])
            total += max(0, end - start)
            reached = (chrom, max(end, start))
        return total


def _sites(
    engine: Engine, module: ModuleSpec, genomes: Sequence[tuple[Variant, EditedGenome]], shift: int
) -> list[Site]:
    """The sites of some variants, in order."""
    out: list[Site] = []
    for variant, genome in genomes:
        footprint = (variant.chrom, variant.start, max(variant.end, variant.start + 1))
        out += sites(genome, engine.spec, module, shift=shift, footprint=footprint)
    return out


def _edited_bp(engine: Engine, genome: EditedGenome) -> float:
    """Sequence that is encoded for a variant alone, over both strands: what it brings, and the
    context of its breakpoints.
    """
    new = 0
    for contig in genome.edited:
        segments = genome.segments(contig, 0, genome.chromsizes[contig])
        new += sum(len(s) for s in segments if not s.chrom) + 2 * engine.context * len(segments)
    return 2.0 * new
