"""An objective on a model and a genome: the window in which it is seen, its maps, and its value.

The windows are those of ``orca-cool predict --at`` and ``orca-cool variants``: a cascade centred on
the objective's middle, to an eighth of the finest window, so that a substitution in the bin of an
objective ``row`` is scored in the same windows as by ``variants``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from orca_cool.errors import ModelError, RegionError
from orca_cool.genome.composition import gc_of_bins
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.genome.regions import Region
from orca_cool.genome.source import SequenceSource
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.phasing import Phasing
from orca_cool.model.cascade import flip_map
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.perturb.objective import Objective, PredictedMap
from orca_cool.prediction.batch_decoder import strand_window
from orca_cool.prediction.engine import Engine, StrandMaps
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.windows import Window, centred_on, zoom_top, zoom_windows
from orca_cool.prediction.zoom import EncodedZoom


@dataclass(frozen=True)
class Placed:
    """Where an objective is seen.

    Attributes
    ----------
    module, resolution : the level.
    position : what the cascade centres on, in bp.
    origin : start of the top window, in bp.
    starts : by resolution, the window's first bin from the start of the top window.
    """

    module: ModuleSpec
    resolution: int
    position: int
    origin: int
    starts: Mapping[int, int]

    @property
    def start(self) -> int:
        """Start of the level's window in bp."""
        return self.origin + self.starts[self.resolution] * self.resolution

    def top(self, spec: ModelDescription, chrom: str) -> Region:
        """The top window; it may overhang the chromosome."""
        window = spec.window(self.module.resolutions[0])
        return Region(chrom, self.origin, self.origin + window)


def place(
    spec: ModelDescription, source: SequenceSource, objective: Objective, level: str | None = None
) -> Placed:
    """The level and the window in which an objective is seen.

    Parameters
    ----------
    level : a resolution ("4000") or a window ("1M"); None: the finest level whose window holds the
        objective.

    Raises
    ------
    RegionError
        If the objective does not lie in the genome, or no window (of the level) holds it; the
        message quotes it.
    ModelError
        If there is no such level, cell type or profile.
    """
    objective.check(source.chromsizes)
    for name in objective.cell_types:
        spec.check_cell_type(name)
    modules = [m for m in spec.modules if not m.multi_chromosome]
    offered = sorted({r for m in modules for r in m.resolutions})
    if not offered:
        raise ModelError(
            f"objective {objective.text!r} is of one chromosome; every module of model "
            f"{spec.name!r} reads several"
        )
    wanted = offered if level is None else [spec.parse_level(level)]
    if objective.whole and level is None:
        if (found := _place_whole(spec, source, objective, modules, offered)) is not None:
            return found
        wanted = offered[-1:]
    for resolution in wanted:
        for module in modules:
            if resolution in module.resolutions:
                found = _placed(spec, source, objective, module, resolution)
                if found is not None:
                    return _far_enough(objective, found)
    if level is not None and wanted[0] not in offered:
        raise ModelError(f"level {level!r} of model {spec.name!r} reads several chromosomes")
    around = f" with {objective.margin} bins on either side" * (objective.margin > 0)
    raise RegionError(
        f"objective {objective.text!r} is beyond the reach of level {wanted[-1]} "
        f"({spec.label(wanted[-1])}): no window of {spec.window(wanted[-1]):,} bp on "
        f"{objective.region.chrom} holds it{around}"
    )


def _place_whole(
    spec: ModelDescription,
    source: SequenceSource,
    objective: Objective,
    modules: Sequence[ModuleSpec],
    offered: Sequence[int],
) -> Placed | None:
    """The finest level with a window that holds all of the objective's chromosome."""
    chrom = objective.region.chrom
    everything = replace(objective, region=Region(chrom, 0, source.chromsizes[chrom]))
    found = (
        _placed(spec, source, everything, module, resolution)
        for resolution in offered
        for module in modules
        if resolution in module.resolutions
    )
    return next((placed for placed in found if placed is not None), None)


def _placed(
    spec: ModelDescription,
    source: SequenceSource,
    objective: Objective,
    module: ModuleSpec,
    resolution: int,
) -> Placed | None:
    """The window of a level that holds an objective, None if none does."""
    region = objective.region
    length = source.chromsizes[region.chrom]
    finest, top = module.resolutions[-1], module.resolutions[0]
    middle = (region.start + region.end - 1) // 2
    grain = max(1, spec.bins // 8) * finest
    snapped = min(round(middle / grain) * grain, (length - 1) // grain * grain)
    centred = centred_on(spec, source, region.chrom)
    for position in (snapped, middle // spec.base_bin * spec.base_bin):
        origin = zoom_top(position, length, spec.window(top), top, centred)
        starts = zoom_windows(position, origin, module.resolutions, spec.bins)
        found = Placed(module, resolution, position, origin, starts)
        if not objective.reads_map or objective.held_by(found.start, resolution, spec.bins):
            return found
    return None


def _far_enough(objective: Objective, found: Placed) -> Placed:
    region = objective.region
    first, last = ((p - found.start) // found.resolution for p in (region.start, region.end - 1))
    if last - first < objective.apart:
        raise RegionError(
            f"objective {objective.text!r}: its anchors are {last - first} bins of "
            f"{found.resolution:,} bp apart, fewer than {objective.apart}; choose a finer level or "
            f"anchors that lie further apart"
        )
    return found


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
    level : see :func:`place`.
    phasing : what E1 is oriented by.

    Attributes
    ----------
    engine, objective, placed : as given and found.

    Raises
    ------
    RegionError, ModelError
        As :func:`place`; if the objective lies in a gap.
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
        self.placed = place(self.spec, engine.source, objective, level)

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
        top = self.placed.top(self.spec, self.chrom)
        if region.chrom != top.chrom or region.start < top.start or region.end > top.end:
            length = self.engine.source.chromsizes[self.chrom]
            seen = Region(self.chrom, max(top.start, 0), min(top.end, length))
            raise RegionError(
                f"region {str(region)!r} lies outside {seen}, the sequence from which objective "
                f"{self.objective.text!r} is predicted"
            )

    # ---- maps

    @cached_property
    def reference_zoom(self) -> EncodedZoom:
        """Base encodings of the top window, of both strands."""
        return self.encoded(self.engine, self.placed.position)

    def encoded(self, engine: OrcaEngine, position: int) -> EncodedZoom:
        """The window of a genome (edited, perhaps) around a position."""
        return engine.encode_zoom(self.placed.module, self.chrom, position, engine.edges)

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
            windows = [
                strand_window(
                    module,
                    Window(r, zoom.starts[r], None if before is None else zoom.starts[before], 0),
                    reverse,
                    found[reverse],
                    None if maps is None else maps[reverse],
                    None,
                )
                for zoom, found, maps in zip(zooms, strands, above)
                for reverse in (False, True)
            ]
            maps = engine.decoder.decode(module, r, windows)
            above = list(zip(maps[::2], maps[1::2]))
            if r == self.placed.resolution:
                break
            before = r
        return [0.5 * (pair[0] + flip_map(pair[1]))[0] for pair in above if pair is not None]

    # ---- the objective

    def view(
        self,
        maps: Tensor,
        *,
        start: int | None = None,
        reference: Tensor | None = None,
        profile: Callable[[str, int], Tensor] | None = None,
        lift: Callable[[int], int] = lambda position: position,
    ) -> PredictedMap:
        """Maps (maps, n, n) as the objective sees them.

        Parameters
        ----------
        start : of the window in bp; None: that of the reference.
        reference : the reference's maps; None: those predicted here.
        """
        before = self.reference if reference is None else reference
        known = torch.from_numpy(self._known).to(maps.device)
        start = self.placed.start if start is None else start
        views = [
            PredictedMap(
                values,
                torch.from_numpy(expected).to(maps),
                known,
                self.chrom,
                start,
                self.placed.resolution,
                its.to(maps),
                profile,
                lift=lift,
                gc=self._gc,
            )
            for values, expected, its in zip(maps, self._expected, before)
        ]
        chosen = views[self.spec.map_number]
        named = dict(zip(self.spec.cell_types, views))
        return PredictedMap(**(chosen.__dict__ | {"cell_types": named}))

    @cached_property
    def _known(self) -> np.ndarray:
        """(n, n) bool, pixels outside gaps."""
        start, r = self.placed.start, self.placed.resolution
        end = start + r * self.spec.bins
        good = gap_fraction(self.engine.source, self.chrom, start, end, r) <= MAX_GAP
        return np.logical_and.outer(good, good)

    @cached_property
    def _gc(self) -> np.ndarray | None:
        """(n,) what E1 is oriented by, of each bin, of objectives that need it."""
        if not self.objective.whole:
            return None
        start, r = self.placed.start, self.placed.resolution
        return self.phasing(self.engine.source, self.chrom, start, r, self.spec.bins)

    @cached_property
    def _expected(self) -> list[np.ndarray]:
        """(n, n) expected and its pseudo-frequency, of each map."""
        r, n = self.placed.resolution, self.spec.bins
        tables = self.engine.bundle.every_expected(self.placed.module)
        return [t.expected_matrix(r, n) + t.eps(r, n) for t in tables]

    def reference_map(self) -> ContactMap:
        """The reference's map of the objective's level, NaN in gaps."""
        number, r, n = self.spec.map_number, self.placed.resolution, self.spec.bins
        values = self.reference[number].cpu().numpy().copy()
        values[~self._known] = np.nan
        table = self.engine.expected(self.placed.module)
        start = self.placed.start
        region = Region(self.chrom, start, start + r * n)
        return ContactMap(values, table.expected_matrix(r, n), table.eps(r, n), region, r)

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
