"""An objective on a model and a genome: its maps and its value, in the window in which it is seen
(:mod:`orca_cool.perturb.placed`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from orca_cool.encodings.reuse import CONCATENATED
from orca_cool.errors import ModelError, RegionError
from orca_cool.genome.composition import gc_of_bins
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.genome.regions import Region, few
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.phasing import Phasing
from orca_cool.model.cascade import flip_map
from orca_cool.model.spec import ModelDescription
from orca_cool.perturb.laid import Laid, known_between, pair_of
from orca_cool.perturb.objective import Objective, PredictedMap
from orca_cool.perturb.placed import place
from orca_cool.prediction.batch_decoder import plain, strand_window
from orca_cool.prediction.end_to_end import input_of_pair
from orca_cool.prediction.engine import Engine, StrandMaps
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.windows import Window
from orca_cool.prediction.zoom import EncodedZoom

#: Where a position of a chromosome lies after a change.
Lift = Callable[[str, int], int]


def nothing_moved(chrom: str, position: int) -> int:
    """Positions of a genome of which nothing was changed."""
    return position


def require_orca(engine: Engine, objective: Objective) -> OrcaEngine:
    """The engine, if it can be attributed to; else ModelError."""
    if not isinstance(engine, OrcaEngine):
        raise ModelError(
            f"objective {objective.text!r} cannot be attributed: model {engine.spec.name!r} "
            f"predicts whole windows by itself"
        )
    return engine


class Watched:
    """An objective, the engine that predicts it, and the window in which it is seen.

    Parameters
    ----------
    level : see :func:`orca_cool.perturb.placed.place`.
    phasing : what E1 is oriented by.

    Attributes
    ----------
    engine, objective, placed : as given and found.

    Raises
    ------
    RegionError, ModelError
        As :func:`~orca_cool.perturb.placed.place`; if the objective lies in a gap.
    """

    def __init__(
        self,
        engine: Engine,
        objective: Objective,
        level: str | None = None,
        phasing: Phasing = gc_of_bins,
    ):
        self.engine = require_orca(engine, objective)
        self.objective, self.phasing = objective, phasing
        self.placed = place(self.engine, objective, level)
        if self.placed.segments and self.spec.placement == "centred":
            raise ModelError(
                f"objective {objective.text!r}: module {self.placed.module.name!r} reads several "
                f"chromosomes and model {self.spec.name!r} places them 'centred', which cannot be "
                f"attributed yet; take one placed 'start'"
            )

    @property
    def spec(self) -> ModelDescription:
        """The model's bins, levels and names."""
        return self.engine.spec

    @property
    def chrom(self) -> str:
        """The objective's chromosome."""
        return self.objective.region.chrom

    def require_inside(self, region: Region) -> None:
        """RegionError if a region does not lie in the sequence that the map is predicted from."""
        seen = self.sequence
        if not any(
            region.chrom == s.chrom and s.start <= region.start and region.end <= s.end
            for s in seen
        ):
            raise RegionError(
                f"region {str(region)!r} lies outside {few(map(str, seen), 4)}, the sequence from "
                f"which objective {self.objective.text!r} is predicted"
            )

    @property
    def pair(self) -> Laid | None:
        """The two stretches between which an objective of two chromosomes is seen."""
        return None if self.objective.second is None else Laid(self.placed.segments[:2])

    @cached_property
    def sequence(self) -> list[Region]:
        """The sequence that the map is predicted from: one region, or those that lie end to end."""
        return self.placed.sequence(self.spec, self.chrom, self.engine.source.chromsizes)

    # ---- maps

    @cached_property
    def reference_zoom(self) -> EncodedZoom:
        """Base encodings of the top window, of both strands."""
        return self.encoded(self.engine, self.placed.position)

    def encoded(self, engine: OrcaEngine, position: int, lift: Lift = nothing_moved) -> EncodedZoom:
        """The window of a genome (edited, perhaps) around a position.

        Parameters
        ----------
        lift : where positions lie in that genome, of an objective between chromosomes.
        """
        module = self.placed.module
        if self.objective.second is None:
            return engine.encode_zoom(module, self.chrom, position, engine.edges)
        parts = [
            Region(r.chrom, lift(r.chrom, r.start), lift(r.chrom, r.end - 1) + 1)
            for r in self.objective.parts
        ]
        pair = pair_of(self.spec, module, engine.source, parts)
        if pair is None:
            raise RegionError(
                f"objective {self.objective.text!r} lies in several windows where sequence is "
                f"deleted; take smaller regions"
            )
        top, unit = module.resolutions[0], engine.expected(module).resolution
        segments = input_of_pair(self.spec, engine.source, module, unit, pair)
        read = partial(engine.concatenated, segments, self.spec.window(top))
        return EncodedZoom(CONCATENATED, read, {top: 0}, 0, segments, {top: 0})

    @cached_property
    def reference(self) -> Tensor:
        """(maps, n, n) float32 of the genome before anything is changed."""
        (found,) = self.decoded([self.reference_zoom])
        return found.clone()  # which may take part in a graph

    @torch.inference_mode()
    def decoded(self, zooms: Sequence[EncodedZoom]) -> list[Tensor]:
        """Maps (maps, n, n) of the objective's level, mean of both strands."""
        engine, module = self.engine, self.placed.module
        strands = [
            [engine.cascade.encodings(module, base[None]) for base in zoom.strands]
            for zoom in zooms
        ]
        above: list[StrandMaps | None] = [None for _ in zooms]
        before: int | None = None
        for r in module.resolutions:
            windows = []
            for zoom, found, maps in zip(zooms, strands, above):
                parent = None if before is None else zoom.starts[before]
                w = Window(r, zoom.starts[r], parent, 0)
                forward, reverse = (
                    strand_window(module, w, s, found[s], maps[s] if maps else None, zoom.segments)
                    for s in (False, True)
                )
                there = zoom.reverse_expected_starts[r]
                windows += [forward, dataclasses.replace(reverse, expected_start=there)]
            decoded = engine.decoder.decode(module, r, windows)
            above = list(zip(decoded[::2], decoded[1::2]))
            if r == self.placed.resolution:
                break
            before = r
        return [0.5 * (pair[0] + flip_map(pair[1]))[0] for pair in above if pair is not None]

    # ---- the objective

    def view(
        self,
        maps: Tensor,
        *,
        zoom: EncodedZoom | None = None,
        reference: Tensor | None = None,
        profile: Callable[[str, int], Tensor] | None = None,
        lift: Lift = nothing_moved,
        source: SequenceSource | None = None,
    ) -> PredictedMap:
        """Maps (maps, n, n) as the objective sees them.

        Parameters
        ----------
        zoom : whose maps they are; None: the reference's.
        reference : the reference's maps; None: those predicted here.
        lift : where positions lie now. source : the changed genome; None: the reference's.
        """
        before = self.reference if reference is None else reference
        placed, start, laid, known = self.placed, self.placed.start, None, self._known
        if self.objective.second is not None:
            laid = Laid(placed.segments if zoom is None else tuple(zoom.segments or ()))
            if source is not None and [*map(len, laid.segments)] != [*map(len, placed.segments)]:
                known = self._known_of(source, laid.segments)
        elif zoom is not None:
            start = zoom.origin + zoom.starts[placed.resolution] * placed.resolution
        there = torch.from_numpy(known).to(maps.device)
        views = [
            PredictedMap(
                values,
                torch.from_numpy(expected).to(maps),
                there,
                self.chrom,
                start,
                placed.resolution,
                its.to(maps),
                profile,
                lift=lift,
                gc=self._gc,
                laid=laid,
            )
            for values, expected, its in zip(maps, self._expected, before)
        ]
        chosen = views[self.spec.map_number]
        named = dict(zip(self.spec.cell_types, views))
        return PredictedMap(**(chosen.__dict__ | {"cell_types": named}))

    @cached_property
    def _known(self) -> np.ndarray:
        """(n, n) bool, pixels outside gaps."""
        return self._known_of(self.engine.source, self.placed.segments)

    def _known_of(self, source: SequenceSource, segments: Sequence[Segment]) -> np.ndarray:
        """(n, n) bool, pixels outside gaps, in bins of a genome."""
        start, r, n = self.placed.start, self.placed.resolution, self.spec.bins
        if self.objective.second is not None:
            good = known_between(source, segments[:2], r, n)
        else:
            good = gap_fraction(source, self.chrom, start, start + r * n, r) <= MAX_GAP
        return np.logical_and.outer(good, good)

    @cached_property
    def _gc(self) -> np.ndarray | None:
        """(n,) what E1 is oriented by, of each bin, of objectives that need it."""
        if not self.objective.whole:
            return None
        start, r = self.placed.start, self.placed.resolution
        return self.phasing(self.engine.source, self.chrom, start, r, self.spec.bins)

    @cached_property
    def _tables(self) -> list[tuple[np.ndarray, float]]:
        """(n, n) expected and its pseudo-frequency, of each map."""
        placed, r, n = self.placed, self.placed.resolution, self.spec.bins
        tables = self.engine.bundle.every_expected(placed.module)
        pieces, begin = plain(placed.segments), placed.starts[r] * r
        found = []
        for t in tables:
            e = t.assembled(r, pieces, begin, n) if pieces else t.expected_matrix(r, n)
            found.append((e, placed.module.window_eps(t.eps(r, n), e)))
        return found

    @cached_property
    def _expected(self) -> list[np.ndarray]:
        """(n, n) expected plus its pseudo-frequency, of each map."""
        return [expected + eps for expected, eps in self._tables]

    def reference_values(self) -> np.ndarray:
        """(n, n) float32 of the objective's level before anything is changed, NaN in gaps."""
        values: np.ndarray = self.reference[self.spec.map_number].cpu().numpy().copy()
        values[~self._known] = np.nan
        return values

    def map_of(self, values: np.ndarray) -> ContactMap:
        """The map with :meth:`reference_values`; of an objective between chromosomes that of the
        two stretches, laid end to end ("concatenated").
        """
        number, r, n = self.spec.map_number, self.placed.resolution, self.spec.bins
        expected, eps = self._tables[number]
        chrom, start = self.chrom, self.placed.start
        if self.pair is not None:
            chrom, n = CONCATENATED, len(self.pair) // r
        region = Region(chrom, start, start + r * n)
        return ContactMap(values[:n, :n], expected[:n, :n], eps, region, r)

    def profile_of(self, engine: OrcaEngine) -> Callable[[str, int], Tensor]:
        """Profiles of a genome (edited, perhaps) at a position."""

        def value(name: str, position: int) -> Tensor:
            k = self.profile_number(name)
            found = engine.profiles(self.chrom, position // self.spec.base_bin, 1)
            return torch.tensor(float(found[k, 0]))

        return value

    def profile_number(self, name: str) -> int:
        """Which of the model's profiles has this name; ModelError lists them."""
        if name not in self.spec.profiles:
            known = ", ".join(self.spec.profiles) or "none"
            raise ModelError(
                f"objective {self.objective.text!r}: model {self.spec.name!r} has no profile "
                f"{name!r}; it has: {known}"
            )
        return self.spec.profiles.index(name)

    @cached_property
    def value(self) -> float:
        """The objective of the genome before anything is changed."""
        return float(
            self.objective(self.view(self.reference, profile=self.profile_of(self.engine)))
        )
