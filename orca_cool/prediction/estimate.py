"""What a prediction will take: windows and pixels counted, memory and time from a short trial of
the networks on this machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psutil
import torch

from orca_cool.genome.regions import n_bins
from orca_cool.maps.pixels import Layer
from orca_cool.model.estimate import Estimate
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.end_to_end import input_of, second_strand
from orca_cool.prediction.engine import Engine, average
from orca_cool.prediction.many_roots import roots_at_once
from orca_cool.prediction.mcool_writer import layers
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.plan import Plan, inputs_of_step
from orca_cool.prediction.root import Root
from orca_cool.prediction.step_queue import BOUND
from orca_cool.prediction.windows import Window

#: Bytes of a pixel in the .mcool, compressed; and of a bin, at each level (whole yeast genome).
PIXEL, BIN = 5.3, 6.0
#: Seconds a pixel to merge, compress and write, on one core of 2.5 GHz.
WRITING = 3e-7
#: Seconds that a trial of the encoder, and one of all decoders, may take; what has begun is
#: finished.
TRIAL = 3.0

#: A level of a module.
Level = tuple[str, int]


@dataclass(frozen=True)
class Rates:
    """What the networks take on this machine.

    Attributes
    ----------
    per_bp : seconds to encode a base pair of one strand.
    per_window : by module and resolution, seconds to decode a window, both strands.
    memory : bytes of this process at its largest, model and networks at work included.
    """

    per_bp: float
    per_window: Mapping[Level, float]
    memory: int

    def seconds(self, bp: float, windows: Mapping[Level, int]) -> float:
        """Seconds to encode so much sequence (over both strands), and to decode so many windows."""
        return self.per_bp * bp + sum(self.per_window[k] * n for k, n in windows.items())


def rates(engine: Engine, levels: Mapping[str, Sequence[int]], chrom: str) -> Rates:
    """Try the networks for a few seconds.

    Parameters
    ----------
    levels : by module, the resolutions that will be decoded. chrom : whose sequence is encoded.
    """
    spec, per_window = engine.spec, {}
    finest = min((spec.module(name) for name in levels), key=lambda m: m.resolutions[0])
    before, begun = engine.encoded_bp, time.perf_counter()
    for _ in engine.encode_ahead(finest, chrom, 0):
        if time.perf_counter() - begun > TRIAL:
            break
    encoded = engine.encoded_bp - before
    if not encoded:  # a module of several chromosomes alone, or a model without an encoder
        _ = engine.root(finest, chrom, 0).strands
        encoded = max(1, engine.encoded_bp - before)
    per_bp = (time.perf_counter() - begun) / encoded
    begun, last = time.perf_counter(), 0.0
    for name, resolutions in levels.items():
        module = spec.module(name)
        root = _trial_root(engine, module, chrom)
        above = None
        for r in module.resolutions:
            if r not in resolutions:
                continue
            size = engine.windows_per_batch
            requests = [(root, Window(r, 0, None if above is None else 0, 0), above)] * size
            if time.perf_counter() - begun < TRIAL or not last:
                if above is None:
                    engine.decode_windows(requests)  # the first is slower than all others
                at = time.perf_counter()
                above = engine.decode_windows(requests)[0]
                average(above, 0)
                last = (time.perf_counter() - at) / size
            per_window[name, r] = last
    return Rates(per_bp, per_window, largest())


def _trial_root(engine: Engine, module: ModuleSpec, chrom: str) -> Root:
    """A top window of random encodings; of a model without an encoder a real one."""
    if not isinstance(engine, OrcaEngine):
        return engine.root(module, chrom, 0)
    spec, window = engine.spec, engine.spec.window(module.resolutions[0])
    segments = None
    if module.multi_chromosome:
        unit = engine.expected(module).resolution
        segments = input_of(spec, engine.source, module, unit, chrom)
    other = second_strand(spec, module, segments)
    shape = spec.encoder.widths[-1], window // spec.base_bin
    random = torch.randn(shape, device=engine.device)
    return engine._root(module, lambda: [random, random], segments, other)


def largest() -> int:
    """Bytes of memory that this process has had at most so far."""
    try:
        import resource
    except ImportError:
        return int(psutil.Process().memory_info().rss)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def estimate_plan(engine: Engine, plan: Plan) -> Estimate:
    """What a plan will take. Nothing is written.

    Windows and pixels are those of the file that the plan makes; disk and memory were within a
    factor of 2, time within a factor of 3 on the machines where they were compared.
    """
    written = layers(engine, plan)
    counts = windows_of(plan)
    levels: dict[str, list[int]] = {}
    for name, r in counts:
        levels.setdefault(name, []).append(r)
    found = rates(engine, levels, plan.regions[0].chrom)
    pixels = count_pixels(plan, written, engine.source.chromsizes)
    cells = sum(
        n_bins(r.end - r.start, x.resolution) * x.band for x in written for r in plan.regions
    )
    bins = sum(n_bins(n, x.resolution) for x in written for n in engine.source.chromsizes.values())
    both = plan.settings.strand_difference
    bp = encoded_bp(engine, plan)
    return Estimate(
        windows=len(plan),
        levels=tuple(x.resolution for x in written),
        pixels=pixels,
        disk=int(pixels * (PIXEL + 4 * both) + bins * BIN + 30_000 * len(written)),
        work=int(cells * (5 + 4 * both)) + _state_bytes(plan),
        memory=found.memory + _encodings_bytes(engine, bp) + _merging_bytes(plan),
        seconds=found.seconds(bp, counts) + WRITING * pixels,
        notes=(
            "windows and pixels are exact; disk and memory within a factor of 2; time, from a "
            "trial of the networks for some seconds, within a factor of 3",
        ),
    )


def windows_of(plan: Plan) -> dict[Level, int]:
    """Number of windows to decode by module and resolution; one that is the mean of two inputs
    counts twice.
    """
    counts: dict[Level, int] = {}
    for step in plan.steps:
        inputs = inputs_of_step(plan.spec, step)
        for level in step.levels:
            for window in level:
                key = (step.module.name, window.resolution)
                counts[key] = counts.get(key, 0) + inputs
    return counts


def count_pixels(plan: Plan, written: Sequence[Layer], chromsizes: Mapping[str, int]) -> int:
    """Pixels of the .mcool: pairs of bins of a region within the band, none of them masked, and the
    rectangles between chromosomes.
    """
    total = 0
    for layer in written:
        r, last = layer.resolution, None
        usable = {c: ~layer.mask(c, n_bins(n, r)) for c, n in chromsizes.items()}
        for region in plan.regions:
            first, end = region.start // r, n_bins(region.end, r)
            known = np.concatenate([[0], np.cumsum(usable[region.chrom])])
            before = n_bins(last.end, r) if last is not None and last.chrom == region.chrom else 0
            rows = np.arange(max(first, before), end)
            reached = known[np.minimum(rows + layer.band, end)] - known[rows]
            total += int(reached[usable[region.chrom][rows]].sum())
            last = region
        if layer.trans is not None:
            for one, two in (step.pair for step in plan.steps if step.pair is not None):
                a, b = (
                    int(usable[s.chrom][s.start // r : s.start // r + len(s) // r].sum())
                    for s in (one, two)
                )
                total += a * b
    return total


def encoded_bp(engine: Engine, plan: Plan) -> int:
    """Sequence that the top windows cover, over both strands; each stretch counts once."""
    spec, sizes, covered = engine.spec, engine.source.chromsizes, dict[str, list[tuple[int, int]]]()
    several = False
    for step in plan.steps:
        several |= step.module.multi_chromosome
        if step.region is not None and not step.module.multi_chromosome:
            top = step.module.resolutions[0]
            start = step.levels[0][0].start * top
            end = min(start + spec.window(top), sizes[step.region.chrom])
            covered.setdefault(step.region.chrom, []).append((start, end))
    total = 0
    for stretches in covered.values():
        reached = 0
        for start, end in sorted(stretches):
            total += max(0, end - max(start, reached))
            reached = max(reached, end)
    return 2 * (sum(sizes.values()) if several else total)


def _encodings_bytes(engine: Engine, bp: int) -> int:
    """Memory of the encodings that are kept."""
    if not isinstance(engine, OrcaEngine) or engine.device.type != "cpu":
        return 0
    cache, spec = engine.encodings, engine.spec
    one = 4 * spec.encoder.widths[-1]
    return int(min(cache.max_blocks * cache.size, bp // spec.base_bin) * one)


def _merging_bytes(plan: Plan) -> int:
    """Memory of steps that are computed together or wait, and of rows that are not finished."""
    bins, largest_step = plan.spec.bins, max(len(step) for step in plan.steps)
    at_once = roots_at_once(torch.get_num_threads())
    return 8 * bins**2 * largest_step * (BOUND + at_once) + 3 * _state_bytes(plan)


def _state_bytes(plan: Plan) -> int:
    """Rows of all levels that later windows may still change."""
    planes = 5 if plan.settings.strand_difference else 4
    return sum(
        4 * planes * 2 * plan.spec.bins * min(band, 2 * plan.spec.bins)
        for band in plan.held.values()
    )
