"""A model against a measured map by the paper's protocol: zoom that tile the test
chromosomes, all pixels of a level pooled.

Source: Zhou 2022, Methods: 32 Mb windows at steps of 0.5 Mb, zooms into each centre; coarse pixels
with more than 25 % of their fine values missing are skipped. The 256M module: zooms at steps of
5,120 kb within the chromosome; and between chromosomes, random inputs of pieces of 64 to 128 Mb.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from orca_cool import __version__
from orca_cool.errors import ModelError, RegionError
from orca_cool.evaluate.baselines import (
    baseline_windows,
    centromeres,
    check_training,
    fit_baselines,
)
from orca_cool.evaluate.maps import Measurements, check_sizes
from orca_cool.evaluate.result import Example, Result, pooled
from orca_cool.evaluate.tally import Choices, Tally
from orca_cool.genome.regions import n_bins
from orca_cool.genome.segments import Segment
from orca_cool.maps.positional import Chromosome, Positional
from orca_cool.model.spec import ModuleSpec
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.windows import (
    concatenated_chromosomes,
    fill_with_chromosomes,
    zoom_top,
    zoom_windows,
)

#: Zooms of which examples are drawn.
EXAMPLES = 3


@dataclass(frozen=True)
class Stop:
    """One zoom of a tiling: its position in bp and, by resolution, where the windows that no
    earlier one had start, in bp.
    """

    position: int
    fresh: dict[int, int]


def tile(
    length: int,
    resolutions: Sequence[int],
    bins: int,
    step: int,
    phase: int = 0,
    unit: int = 1,
    own: int | None = None,
) -> list[Stop]:
    """Positions and windows of the zooms that tile a chromosome of ``length`` bp.

    Top windows start at ``phase``, ``phase + step``, ... and the zoom zooms into the centre of
    each; the last slides inward. Where one top window holds the chromosome, the positions zoomed
    into tile the chromosome instead. A window comes once.

    Parameters
    ----------
    resolutions, bins : of the levels, coarsest first, and of every map.
    unit : bin of the measured map; a window that does not start on it (one that could not slide in
        phase) is left out.
    own : for an assembly module, the chromosome's part of the input in bp, at its start, within
        which zooms are kept.
    """
    window = resolutions[0] * bins
    if length <= window or own is not None:
        positions = range(phase, length if own is None else own, step)
    else:
        positions = range(phase + window // 2, length - window // 2 + step, step)
    stops, seen = [], set()
    for position in positions:
        top = 0 if own is not None else zoom_top(position, length, window, resolutions[0])
        if top % unit:
            continue
        starts = {
            r: top + s * r for r, s in zoom_windows(position, top, resolutions, bins, own).items()
        }
        fresh = {r: s for r, s in starts.items() if (r, s) not in seen}
        seen |= set(fresh.items())
        if fresh:
            stops.append(Stop(position, fresh))
    return stops


def draw_trans(
    rng: np.random.Generator, chromsizes: Mapping[str, int], window: int, unit: int
) -> list[Segment]:
    """Pieces of different chromosomes, a quarter to half of a window each, until less than that is
    left or no chromosome is.

    A chromosome shorter than its piece comes whole. Order, place and strand are random; starts and
    lengths are multiples of ``unit``.
    """
    room, quarter = window // unit, -(-window // (4 * unit))
    pieces = []
    for name in rng.permutation(list(chromsizes)):
        size = chromsizes[str(name)] // unit
        most = room if room <= window // (2 * unit) else min(window // (2 * unit), room - quarter)
        least = most if most == room else quarter
        part = min(int(rng.integers(least, max(most, least) + 1)), size)
        if part > 0:
            start = int(rng.integers(0, size - part + 1)) * unit
            pieces.append(
                Segment(str(name), start, start + part * unit, "+" if rng.random() < 0.5 else "-")
            )
            room -= part
        if room < quarter:
            break
    return pieces


def between(pieces: Sequence[Segment], start: int, resolution: int, bins: int) -> np.ndarray:
    """(bins, bins) bool: pixels between different chromosomes, of a window from ``start`` bp of
    pieces laid end to end.

    A bin that lies in two pieces, or past the last, has none.
    """
    edges = np.cumsum([0, *map(len, pieces)])
    left = start + np.arange(bins) * resolution
    first, last = (
        np.searchsorted(edges, at, side="right") - 1 for at in (left, left + resolution - 1)
    )
    names = {c: k for k, c in enumerate(dict.fromkeys(p.chrom for p in pieces))}
    owner = np.array([*(names[p.chrom] for p in pieces), -1])[np.minimum(first, len(pieces))]
    owner[first != last] = -1
    return (owner[:, None] != owner[None, :]) & (owner[:, None] >= 0) & (owner[None, :] >= 0)


def evaluate_model(
    engine: Engine,
    module: ModuleSpec,
    observed: str | Path,
    chroms: Iterable[str],
    *,
    resolutions: Iterable[int] = (),
    base: int | None = None,
    step: int | None = None,
    phase: int = 0,
    trans: int = 0,
    cutoff: float = 5.0,
    missing: float = 0.25,
    train: Iterable[str] = (),
    features: str | Path | None = None,
    replicate: str | Path | None = None,
    ceiling: bool = True,
    cache: Path | None = None,
    edges: str = "zero-padded",
    choices: Choices = Choices(nearest=0),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Result:
    """Scores of every level of a module on every chromosome.

    Parameters
    ----------
    resolutions : levels to score; default: all of the module that are multiples of ``base``.
    base : bin of the measured map that targets are averaged from; default: the bin of the module's
        background.
    step : distance of windows in bp, whole bins of ``base``; default: top window / 64, of an
        assembly module / 50 (in whole bins).
    phase : start of the first window in bp, whole bins.
    trans : random inputs of several of the chromosomes, of which the pixels between chromosomes are
        scored (assembly modules).
    edges : see :meth:`orca_cool.prediction.engine.Engine.zoom`. Others: see
        :func:`orca_cool.evaluate.files.evaluate_files`.

    Raises
    ------
    RegionError : a chromosome is not there, of another length, or in ``train`` too; a step or phase
        that is not whole bins.
    CoolerError, ModelError : a resolution that is not there, a map that is not balanced, ``trans``
        without an assembly module.
    """
    chroms, train = list(dict.fromkeys(chroms)), list(dict.fromkeys(train))
    check_training(chroms, train)
    spec, expected_model = engine.spec, engine.expected(module)
    base = expected_model.resolution if base is None else base
    window = spec.window(module.resolutions[0])
    if step is None:
        step = max(1, round(window / (50 if module.multi_chromosome else 64) / base)) * base
    for name, value in (("--step", step), ("--window-phase", phase)):
        if value % base:
            raise RegionError(
                f"{name} {value} is not a multiple of the measured map's bin, {base} bp (--base)"
            )
    if trans and not module.multi_chromosome:
        raise ModelError(
            f"module {module.name!r} of model {spec.name!r} does not predict contacts between "
            f"chromosomes; leave --trans out"
        )
    if trans and len(chroms) < 2:
        raise RegionError(
            f"--trans {trans} needs two chromosomes or more, not {', '.join(chroms)} alone"
        )
    levels = _levels(engine, module, resolutions, base)
    maps = Measurements.open(
        observed,
        base,
        cutoff=cutoff,
        missing=missing,
        replicate=replicate,
        ceiling=ceiling,
        seed=choices.seed,
        cache=cache,
    )
    sizes, genome = maps.observed.chromsizes, engine.source.chromsizes
    check_sizes([*chroms, *train], genome, f"genome {engine.source.name!r}", sizes, maps.name, base)
    maps.check(chroms, train)
    run = _Run(
        engine,
        module,
        maps,
        levels,
        choices,
        edges,
        centromeres(features, [*chroms, *train]) if features else {},
    )
    tours = {
        c: tile(genome[c], module.resolutions, spec.bins, step, phase, base, run.own(c))
        for c in chroms
    }
    for c, tour in tours.items():
        if not tour:
            raise RegionError(
                f"no window of {window:,} bp lies in {c} of {genome[c]:,} bp at --step {step} "
                f"and --window-phase {phase}"
            )
    models = fit_baselines(
        run.target,
        {c: sizes[c] for c in train},
        run.middle,
        dict.fromkeys(levels, spec.bins),
        choices.seed,
    )
    stops = [(c, stop) for c, tour in tours.items() for stop in tour]
    shown = {(k * len(stops) + len(stops) // 2) // EXAMPLES for k in range(EXAMPLES)}
    tallies = {(c, r): Tally(c, r, spec.bins, choices) for c in chroms for r in levels}
    examples: list[Example] = []
    for k, (c, stop) in enumerate(stops):
        examples += run.zoom(c, stop, models, {r: tallies[c, r] for r in levels}, k in shown)
        progress(k + 1, len(stops) + trans)
    found = list(tallies.values())
    if trans:
        rng = np.random.default_rng(choices.seed)
        across = {r: Tally("all", r, 1, choices, "trans") for r in levels}
        for k in range(trans):
            drawn = run.between(rng, {c: genome[c] for c in chroms}, across)
            examples += [] if k else drawn
            progress(len(stops) + k + 1, len(stops) + trans)
        found += across.values()
    provenance = {
        "orca_cool": __version__,
        "way": "model",
        "model": spec.name,
        "model_digest": engine.digest,
        "module": module.name,
        "genome": engine.source.name,
        "observed": Path(str(observed)).name,
        "chroms": chroms,
        "levels": list(levels),
        "base": base,
        "step": step,
        "phase": phase,
        "trans": trans,
        "cutoff": cutoff,
        "missing": missing,
        "train": train,
        "replicate": None if replicate is None else Path(replicate).name,
        **engine.numerics,
        "edges": edges,
        **asdict(choices),
    }
    return Result(pooled(found), provenance, {}, examples)


def _levels(
    engine: Engine, module: ModuleSpec, resolutions: Iterable[int], base: int
) -> tuple[int, ...]:
    """Levels to score, finest first."""
    there = f"module {module.name!r} of model {engine.spec.name!r} has: {', '.join(map(str, module.resolutions))}"
    wanted = sorted(resolutions) or sorted(r for r in module.resolutions if r % base == 0)
    for r in wanted:
        if r not in module.resolutions:
            raise ModelError(f"there is no level {r}; {there}")
        if r % base:
            raise ModelError(f"bins of {base} bp (--base) cannot be averaged to level {r}")
    if not wanted:
        raise ModelError(f"no level is a multiple of {base} bp (--base); {there}")
    return tuple(wanted)


@dataclass(frozen=True)
class _Run:
    """What all windows of an evaluation share. ``middle``: centromeres."""

    engine: Engine
    module: ModuleSpec
    maps: Measurements
    levels: tuple[int, ...]
    choices: Choices
    edges: str
    middle: Mapping[str, int]

    def own(self, chrom: str) -> int | None:
        """bp of an assembly module's input that are the chromosome's."""
        if not self.module.multi_chromosome:
            return None
        window = self.engine.spec.window(self.module.resolutions[0])
        return len(
            concatenated_chromosomes(
                chrom,
                self.engine.source.chromsizes,
                window,
                self.engine.expected(self.module).resolution,
            )[0]
        )

    def target(self, chrom: str, resolution: int, start: int, end: int) -> np.ndarray:
        """Measured log observed/expected of any square of a chromosome; beyond the level's window
        as at its edge.
        """
        n, bins = (end - start) // resolution, self.engine.spec.bins
        expected_model = self.engine.expected(self.module)
        d = np.minimum(np.abs(np.subtract.outer(np.arange(n), np.arange(n))), bins - 1)
        return self.maps.target(
            chrom,
            start,
            end,
            resolution,
            expected_model.expected_matrix(resolution, bins)[0][d],
            expected_model.eps(resolution, bins),
        )

    def zoom(
        self,
        chrom: str,
        stop: Stop,
        models: Mapping[str, Positional],
        tallies: Mapping[int, Tally],
        shown: bool,
    ) -> list[Example]:
        """Score one zoom within a chromosome; returns its windows if they are to be
        ``shown``.
        """
        own = self.own(chrom)
        length = self.maps.observed.chromsizes[chrom]
        place = Chromosome(length, self.middle.get(chrom))
        examples = []
        for m in self.engine.zoom(self.module, chrom, stop.position, self.edges):
            r = m.resolution
            if r not in tallies or not (shown or r in stop.fresh):
                continue
            n = min(
                len(m.values), n_bins(length - m.start, r) if own is None else (own - m.start) // r
            )
            values, expected = m.values[:n, :n], m.expected[:n, :n]
            seen = self.maps.window(chrom, m.start, m.start + n * r, r, expected, m.eps)
            if r in stop.fresh:
                told = baseline_windows(models, place, r, n, m.start)
                tallies[r].add(seen, {"model": values, **told}, np.log(expected + m.eps))
            if shown:
                examples.append(Example(f"{chrom}:{stop.position:,}", r, values, seen.target))
        return examples

    def between(
        self, rng: np.random.Generator, chromsizes: Mapping[str, int], tallies: Mapping[int, Tally]
    ) -> list[Example]:
        """Score the pixels between chromosomes of one random input; returns its windows."""
        spec = self.engine.spec
        unit = math.lcm(self.engine.expected(self.module).resolution, self.maps.observed.resolution)
        window = spec.window(self.module.resolutions[0])
        pieces = draw_trans(rng, chromsizes, window, unit)
        starts = {self.module.resolutions[0]: 0}
        for coarse, r in zip(self.module.resolutions, self.module.resolutions[1:]):
            starts[r] = 2 * (starts[coarse] + int(rng.integers(0, spec.bins // 2 + 1)))
        examples = []
        whole = fill_with_chromosomes(pieces, self.engine.source.chromsizes, window, unit)
        for m in self.engine.zoom_concatenated(self.module, whole, starts):
            if m.resolution in tallies:
                seen = self.maps.concatenated_chromosomes(
                    pieces, m.start, m.end, m.resolution, m.expected, m.eps
                )
                examples.append(Example("between chromosomes", m.resolution, m.values, seen.target))
                trans = np.where(
                    between(pieces, m.start, m.resolution, spec.bins), seen.target, np.nan
                )
                tallies[m.resolution].add(
                    replace(seen, target=trans), {"model": m.values}, np.log(m.expected + m.eps)
                )
        return examples
