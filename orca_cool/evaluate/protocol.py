"""Score a model on a measured map by the paper's protocol: zooms tile the test chromosomes, and all
pixels of a level are pooled.

Source: Zhou 2022, Methods. Windows of 32 Mb at steps of 0.5 Mb, with zooms into each centre; coarse
pixels with more than 25 % of their fine values missing are skipped. For the 256M module: zooms at
steps of 5,120 kb within the chromosome, and, for contacts between chromosomes, random inputs made
of segments of 64 to 128 Mb, with zooms into the centre of the input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from orca_cool.errors import ModelError, RegionError
from orca_cool.evaluate.accumulate import LevelSums, pooled_scores
from orca_cool.evaluate.baselines import baseline_windows, check_training
from orca_cool.evaluate.centromeres import read_centromeres
from orca_cool.evaluate.inputs import (
    TilingZoom,
    draw_segments,
    pixels_between_chromosomes,
    tile_chromosome,
)
from orca_cool.evaluate.maps import MeasuredMaps, check_sizes
from orca_cool.evaluate.options import EvaluationOptions
from orca_cool.evaluate.result import Example, Result
from orca_cool.evaluate.shared_zooms import ZoomsWork
from orca_cool.genome.regions import n_bins
from orca_cool.genome.segments import Segment
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.positional import Chromosome, Positional
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.end_to_end import input_of, turns_in_place
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.progress import Report, no_report
from orca_cool.prediction.sharing import ALONE, Alone, run_shared
from orca_cool.prediction.windows import centred_on, fill_with_chromosomes

#: Defaults of the paper's protocol: all pixels are scored, and a coarse pixel of which more than
#: this share is missing is not.
NEAREST, MISSING = 0, 0.25

#: Top windows overlap: there are so many steps to a window, by default.
STEPS_PER_WINDOW, STEPS_PER_MULTI_CHROMOSOME_WINDOW = 64, 50


@dataclass(frozen=True)
class ModelEvaluation:
    """A model and a measured map, open and checked, ready to be scored by :meth:`run`.

    Attributes
    ----------
    engine, module : the model on its genome, and the module that is scored.
    options : the measured map, the chromosomes, and how they are scored.
    maps : the measured maps, open.
    levels : resolutions in bp that are scored, finest first.
    centromeres : by chromosome, the centre of its centromere in bp, where it is known.
    step, phase : distance of the top windows, and start of the first, in bp.
    trans : number of random inputs in which contacts between chromosomes are scored.
    edges : what the model reads beyond chromosome ends, see
        :meth:`orca_cool.prediction.engine.Engine.zoom`.
    zooms : by chromosome, the zooms that tile it.
    """

    engine: Engine
    module: ModuleSpec
    options: EvaluationOptions
    maps: MeasuredMaps
    levels: tuple[int, ...]
    centromeres: Mapping[str, int]
    step: int
    phase: int
    trans: int
    edges: str
    zooms: Mapping[str, Sequence[TilingZoom]]

    @classmethod
    def open(
        cls,
        engine: Engine,
        module: ModuleSpec,
        options: EvaluationOptions,
        *,
        step: int | None = None,
        phase: int = 0,
        trans: int = 0,
        edges: str = "zero-padded",
    ) -> ModelEvaluation:
        """Open the measured maps and check that everything fits together.

        Parameters
        ----------
        step : in bp, whole bins of the measured map; None: 1/64 of the top window (1/50 for a
            multi-chromosome module), rounded to whole bins.
        phase : in bp, whole bins of the measured map.
        trans : needs a multi-chromosome module.
        engine, module, options, edges : see :class:`ModelEvaluation`.

        Raises
        ------
        RegionError
            If a chromosome is not there, of another length, or is to train the baselines too; if
            step or phase are not whole bins.
        CoolerError
            If a measured map cannot be read, lacks the bin size, or is not balanced.
        ModelError If the model lacks a level, or ``trans`` is given for a module that reads one
            chromosome.
        """
        chroms, train = options.scored_chroms, options.training_chroms
        check_training(chroms, train)
        base = engine.expected(module).resolution if options.base is None else options.base
        if step is None:
            step = default_step(engine.spec.window(module.resolutions[0]), module, base)
        check_protocol(engine, module, chroms, base, step, phase, trans)
        levels = scored_levels(engine, module, options.level_names, base)
        missing = MISSING if options.missing is None else options.missing
        maps = MeasuredMaps.open(options, base, missing)
        genome, sizes = engine.source.chromsizes, maps.observed.chromsizes
        name = f"genome {engine.source.name!r}"
        check_sizes([*chroms, *train], genome, name, sizes, maps.name, base)
        maps.check(chroms, train)
        if trans:
            maps.check_between(chroms)
        centromeres = read_centromeres(options.features, [*chroms, *train])
        zooms = tiling_zooms(engine, module, chroms, base, step, phase)
        return cls(
            engine, module, options, maps, levels, centromeres, step, phase, trans, edges, zooms
        )

    @property
    def nearest(self) -> int:
        """Pixels fewer bins apart are left out, where the options do not say otherwise."""
        return NEAREST

    def run(self, progress: Report = no_report, share: Alone = ALONE) -> Result:
        """Predict and score.

        Parameters
        ----------
        progress : called with the number of zooms and random inputs that are done, and of all.
        share : who predicts; the first of them scores.
        """
        work = self.work(share)
        run_shared(work, share, lambda done, total: progress(done, total) if done else None)
        result: Result = share.agree(
            lambda: Result(pooled_scores(work.levels), self.provenance(share), {}, work.examples)
        )
        return result

    def work(self, share: Alone = ALONE) -> ZoomsWork:
        """What is predicted, ready to be shared."""
        about = {k: v for k, v in self.provenance(share).items() if k != "observed"}
        return ZoomsWork(self, about)

    def provenance(self, share: Alone = ALONE) -> dict[str, object]:
        """How the evaluation was made, JSON-able."""
        kind = {
            "way": "model",
            "model": self.engine.spec.name,
            "model_digest": self.engine.digest,
            "module": self.module.name,
            "genome": self.engine.source.name,
            "levels": list(self.levels),
            "step": self.step,
            "phase": self.phase,
            "trans": self.trans,
            **(share.numerics or self.engine.numerics),
            "edges": self.edges,
        }
        settings = self.options.score_settings(NEAREST)
        base = self.maps.observed.resolution
        return self.options.provenance(kind, base, self.maps.missing, settings)

    def target(self, chrom: str, resolution: int, start: int, end: int) -> np.ndarray:
        """(n, n) measured log observed/expected of a square of a chromosome of any size.

        Pixels farther apart than the level's window is wide are divided by the expected at the
        largest distance within it.
        """
        n, bins = (end - start) // resolution, self.engine.spec.bins
        model, module = self.engine.expected(self.module), self.module
        d = np.minimum(np.abs(np.subtract.outer(np.arange(n), np.arange(n))), bins - 1)
        expected = model.expected_matrix(resolution, bins)[0][d]
        return self.maps.target(
            chrom, start, end, resolution, expected, module.layer_eps(model, resolution, bins)
        )

    def score_zoom(
        self,
        chrom: str,
        zoom: TilingZoom,
        maps: Sequence[ContactMap],
        place: Chromosome,
        baselines: Mapping[str, Positional],
        sums: Mapping[int, LevelSums],
        shown: bool,
    ) -> list[Example]:
        """Add the new windows of one zoom within a chromosome to the sums of their levels.

        Parameters
        ----------
        maps : of the zoom: those that are new, or all if they are ``shown``.

        Returns
        -------
        All windows of the zoom as examples, if they are to be ``shown``.
        """
        within = scored_length(self.engine, self.module, chrom)
        examples = []
        for m in maps:
            r = m.resolution
            if r not in sums or not (shown or r in zoom.new_windows):
                continue
            length = n_bins(place.length - m.start, r)
            if within is not None and not turns_in_place(self.engine.spec, self.module):
                length = (within - m.start) // r
            n = min(len(m.values), length)
            values, expected = m.values[:n, :n], m.expected[:n, :n]
            measured = self.maps.window(chrom, m.start, m.start + n * r, r, expected, m.eps)
            if r in zoom.new_windows:
                predictions = {"model": values, **baseline_windows(baselines, place, r, n, m.start)}
                sums[r].add(measured, predictions, np.log(expected + m.eps))
            if shown:
                examples.append(Example(f"{chrom}:{zoom.position:,}", r, values, measured.target))
        return examples

    def draw_input(
        self, rng: np.random.Generator
    ) -> tuple[list[Segment], list[Segment], dict[int, int]]:
        """One random input of several chromosomes.

        Returns
        -------
        Its segments; those and what the rest is filled with; the start of the window of each level,
        in bins: each in the centre of the one above it.
        """
        spec, source = self.engine.spec, self.engine.source
        unit = math.lcm(self.engine.expected(self.module).resolution, self.maps.observed.resolution)
        resolutions = self.module.resolutions
        window = spec.window(resolutions[0])
        chroms = {c: source.chromsizes[c] for c in self.options.scored_chroms}
        segments = draw_segments(rng, chroms, window, unit)
        starts = {resolutions[0]: 0}
        for coarse, r in zip(resolutions, resolutions[1:]):
            starts[r] = 2 * (starts[coarse] + spec.bins // 4)
        filled = fill_with_chromosomes(segments, source.chromsizes, window, unit)
        return segments, filled, starts

    def score_between_chromosomes(
        self, segments: Sequence[Segment], maps: Sequence[ContactMap], sums: Mapping[int, LevelSums]
    ) -> list[Example]:
        """Add the pixels between chromosomes of one random input to the sums of their levels.

        Parameters
        ----------
        segments : of :meth:`draw_input`. maps : that are predicted from it.

        Returns
        -------
        Its windows as examples.
        """
        examples = []
        for m in maps:
            r = m.resolution
            measured = self.maps.window_of_segments(segments, m.start, m.end, r, m.expected, m.eps)
            examples.append(Example("between chromosomes", r, m.values, measured.target))
            between = pixels_between_chromosomes(segments, m.start, r, self.engine.spec.bins)
            target = np.where(between, measured.target, np.nan)
            sums[r].add(
                replace(measured, target=target), {"model": m.values}, np.log(m.expected + m.eps)
            )
        return examples


def default_step(window: int, module: ModuleSpec, base: int) -> int:
    """Distance of top windows of ``window`` bp, in bp, as in the paper; whole bins of ``base``."""
    steps = STEPS_PER_MULTI_CHROMOSOME_WINDOW if module.multi_chromosome else STEPS_PER_WINDOW
    return max(1, round(window / steps / base)) * base


def check_protocol(
    engine: Engine,
    module: ModuleSpec,
    chroms: Sequence[str],
    base: int,
    step: int,
    phase: int,
    trans: int,
) -> None:
    """Raise RegionError if step or phase are not whole bins, RegionError or ModelError if contacts
    between chromosomes are asked for where there are none.
    """
    for name, value in (("--step", step), ("--window-phase", phase)):
        if value % base:
            raise RegionError(
                f"{name} {value} is not a multiple of the measured map's bin, {base} bp (--base)"
            )
    if trans and not module.multi_chromosome:
        raise ModelError(
            f"module {module.name!r} of model {engine.spec.name!r} does not predict contacts "
            f"between chromosomes; leave --trans out"
        )
    if trans and len(chroms) < 2:
        raise RegionError(
            f"--trans {trans} needs two chromosomes or more, not {', '.join(chroms)} alone"
        )


def tiling_zooms(
    engine: Engine, module: ModuleSpec, chroms: Sequence[str], base: int, step: int, phase: int
) -> dict[str, list[TilingZoom]]:
    """The zooms that tile each chromosome; RegionError if there is one without any."""
    sizes, resolutions, bins = engine.source.chromsizes, module.resolutions, engine.spec.bins
    zooms = {}
    for c in chroms:
        within = scored_length(engine, module, c)
        centred = centred_on(engine.spec, engine.source, c)
        zooms[c] = tile_chromosome(sizes[c], resolutions, bins, step, phase, base, within, centred)
        if not zooms[c]:
            window = engine.spec.window(resolutions[0])
            raise RegionError(
                f"no window of {window:,} bp lies in {c} of {sizes[c]:,} bp at --step {step} "
                f"and --window-phase {phase}"
            )
    return zooms


def scored_levels(
    engine: Engine, module: ModuleSpec, names: Sequence[str], base: int
) -> tuple[int, ...]:
    """Resolutions of the levels to score in bp, finest first.

    Parameters
    ----------
    names : the levels that were asked for, "4000" or "1M"; none: all that are multiples of
        ``base``.

    Raises
    ------
    ModelError
        If the module has no such level, or bins of ``base`` bp cannot be averaged to it.
    """
    known = ", ".join(map(str, module.resolutions))
    there = f"module {module.name!r} of model {engine.spec.name!r} has: {known}"
    wanted = [engine.spec.parse_level(name) for name in names]
    for r in wanted:
        if r not in module.resolutions:
            raise ModelError(f"there is no level {r}; {there}")
        if r % base:
            raise ModelError(f"bins of {base} bp (--base) cannot be averaged to level {r}")
    levels = sorted(wanted or [r for r in module.resolutions if r % base == 0])
    if not levels:
        raise ModelError(f"no level is a multiple of {base} bp (--base); {there}")
    return tuple(levels)


def scored_length(engine: Engine, module: ModuleSpec, chrom: str) -> int | None:
    """Number of bp at the start of a multi-chromosome module's input that are the chromosome's, the
    rest being other chromosomes; None for a module that reads one chromosome.
    """
    if not module.multi_chromosome:
        return None
    unit = engine.expected(module).resolution
    return len(input_of(engine.spec, engine.source, module, unit, chrom)[0])
