"""A predicted genome: the windows of its chromosomes as units of work, and what is known of its
levels.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from torch import Tensor

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.units import Preempted, TransUnit, WindowUnit
from higlass_plugin.compute.urgent import Urgent
from higlass_plugin.tiles import Axis
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.genome.regions import n_bins
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.end_to_end import placed_sizes, turns_in_place
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.levels import Settings, assign_levels, bands, expected_for, known_band
from orca_cool.prediction.patches import Patchwork, PlannedWindow
from orca_cool.prediction.root import Root
from orca_cool.prediction.windows import centred_on, plan_trans


@dataclass(frozen=True)
class Level:
    """What is expected at a resolution.

    Attributes
    ----------
    cis : (n,) contact frequency by distance in bins, plus eps. trans : the same between
        chromosomes, NaN where unknown.
    """

    cis: np.ndarray
    trans: float


class PredictedGenome:
    """A model on a genome or on an edited one, as tiles ask for it.

    Parameters
    ----------
    engine : with real edges.
    name : for messages and names.
    roots : cache of the top windows that have been read.
    urgent : when it is set, the reading of a top window makes way for something else.
    base : the same of the reference, for an edited genome.
    like : the same model on the same genome for another cell type, with which it shares windows.
    url : ``orca://`` address of its map, by which other processes know it.

    Attributes
    ----------
    owner : whose windows are computed: one of the same model and genome for all cell types.
    has_drafts : whether windows are decoded on the forward strand first, so that something can be
        shown after half of the time. Not on a GPU, which is fast and best filled with both strands.
    compartments : E1 by chromosome, once it is known.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        assembly: str,
        roots: Cache,
        urgent: Urgent,
        base: PredictedGenome | None = None,
        like: PredictedGenome | None = None,
        url: str = "",
    ):
        self.engine, self.name, self.assembly, self.url = engine, name, assembly, url
        self.base = base or self
        self.owner: PredictedGenome = self if like is None else like.owner
        self.roots, self.urgent = roots, urgent
        self.axis = Axis(engine.source.chromsizes)
        # as far as there is anything: beyond a level's own reach its tiles show the coarser levels
        everywhere = max(self.axis.chromsizes.values())
        self.settings = Settings(
            tuple(sorted({r for m in engine.spec.modules for r in m.resolutions})),
            fill_distance=everywhere,
        )
        self.assignment = assign_levels(engine.spec, self.settings)
        self.has_drafts = engine.concurrent
        self.compartments: dict[str, np.ndarray] = {}
        self._patchworks: dict[str, Patchwork] = {}
        self._units: dict[tuple[str, PlannedWindow], WindowUnit] = {}
        self._levels: dict[int, Level] = {}
        # of the sequence alone
        self._masked: dict[tuple[str, int, int, int], np.ndarray] = (
            {} if like is None else like._masked
        )
        self._lock = threading.RLock()

    __hash__ = object.__hash__

    @property
    def genome(self) -> EditedGenome | None:
        """The edited genome, None for the reference."""
        return self.engine.source if isinstance(self.engine.source, EditedGenome) else None

    def patchwork(self, chrom: str) -> Patchwork:
        """The plan of a chromosome's maps. Distances shown are those of a prediction of that
        chromosome alone.
        """
        with self._lock:
            if chrom not in self._patchworks:
                bins, length = self.engine.spec.bins, self.axis.chromsizes[chrom]
                centred = centred_on(self.engine.spec, self.engine.source, chrom)
                held, written = bands(bins, self.assignment, self.settings, [length], [centred])
                written = {r: known_band(self.level(r).cis, band) for r, band in written.items()}
                self._patchworks[chrom] = Patchwork(
                    bins, self.assignment, length, held, written, centred
                )
            return self._patchworks[chrom]

    def level(self, resolution: int) -> Level:
        """Expected of a resolution, as far as the longest chromosome reaches."""
        with self._lock:
            if resolution not in self._levels:
                module = self.assignment.module_of(resolution)
                expected_model = self.engine.expected(module)
                eps = module.layer_eps(expected_model, resolution, self.engine.spec.bins)
                longest = max(*self.axis.chromsizes.values(), *self.base.axis.chromsizes.values())
                cis = (
                    expected_for(self.engine, module, resolution, n_bins(longest, resolution)) + eps
                )
                self._levels[resolution] = Level(
                    cis, np.nan if expected_model.trans is None else expected_model.trans + eps
                )
            return self._levels[resolution]

    def masked(self, chrom: str, resolution: int, first: int, last: int) -> np.ndarray:
        """(last - first,) bool, bins that are mostly gaps of the assembly."""
        key = chrom, resolution, first, last
        if key not in self._masked:
            end = min(last * resolution, self.axis.chromsizes[chrom])
            gaps = gap_fraction(self.engine.source, chrom, first * resolution, end, resolution)
            if len(self._masked) > 4096:
                self._masked.clear()
            self._masked[key] = gaps > MAX_GAP
        return self._masked[key]

    def unit(self, chrom: str, placed: PlannedWindow) -> WindowUnit:
        """The unit that a window of a chromosome's plan is."""
        found = self._units.get((chrom, placed))
        if found is None:
            windows = [p.window for p in placed.path()]
            top, module = windows[0], self.engine.spec.module(placed.module)
            path = tuple(w.start - top.start * (top.resolution // w.resolution) for w in windows)
            found = self._units[chrom, placed] = WindowUnit(
                *self._origin(module, chrom, top.start * top.resolution), path
            )
        return found

    def _origin(
        self, module: ModuleSpec, chrom: str, root: int
    ) -> tuple[PredictedGenome, str, str, int]:
        """Whose top window one at ``root`` bp is: predicted genome, name of the module, chromosome
        and start. It is the reference's if it, with its context, is a stretch of it, in the phase
        of the base bins.
        """
        genome = self.genome
        if genome is not None and not module.multi_chromosome:
            context = self.engine.context
            window = self.engine.spec.window(module.resolutions[0])
            segments = genome.overhanging(chrom, root - context, root + window + context)
            whole = segments[0]
            if (
                len(segments) == 1
                and whole.chrom
                and whole.strand == "+"
                and (whole.start + context) % self.engine.spec.base_bin == 0
            ):
                return self.base.owner, module.name, whole.chrom, whole.start + context
        return self.owner, module.name, chrom, root

    def root(self, module: str, chrom: str, start: int) -> Root:
        """A top window, from memory or as it is to be read.

        Reading it (:attr:`~orca_cool.prediction.root.Root.strands`, when a window of it is decoded)
        raises :class:`Preempted` if something else has become urgent meanwhile; what was encoded
        stays in the encodings' cache.
        """
        key = self, module, chrom, start
        found: Root | None = self.roots.get(key)
        if found is None:
            spec = self.engine.spec.module(module)
            unread = self.engine.root(spec, chrom, start)

            def read() -> list[dict[int, Tensor]]:
                for _ in self.engine.encode_ahead(spec, chrom, start):
                    if self.urgent.is_set():
                        raise Preempted
                strands = unread.strands
                self.roots.put(key, found, unread.nbytes)
                return strands

            found = replace(unread, read=read)
            self.roots.put(key, found, 0)
        return found

    @cached_property
    def trans_pairs(self) -> dict[tuple[str, str], list[TransUnit]]:
        """The pairs of stretches that make each inter-chromosomal map of the top level, where the
        model predicts those.
        """
        out: dict[tuple[str, str], list[TransUnit]] = {}
        module = self.assignment.module_of(max(self.assignment.resolutions))
        if module.multi_chromosome and np.isfinite(self.level(module.resolutions[0]).trans):
            top = module.resolutions[0]
            spec, placed = self.engine.spec, None
            if turns_in_place(spec, module):
                placed = placed_sizes(spec, self.engine.source)
            for a, b in plan_trans(self.axis.chromsizes, spec.window(top), top, placed):
                out.setdefault((a.chrom, b.chrom), []).append(TransUnit(self, module.name, a, b))
        return out
