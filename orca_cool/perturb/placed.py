"""Where an objective is seen: the level, the window, and what the window's input consists of.

The windows are those of ``orca-cool predict --at`` and ``orca-cool variants``: a cascade centred on
the objective's middle, to an eighth of the finest window, so that a substitution in the bin of an
objective ``row`` is scored in the same windows as by ``variants``. An objective between two
chromosomes is seen in the window of ``predict --trans``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orca_cool.errors import ModelError, RegionError
from orca_cool.genome.regions import Region, few
from orca_cool.genome.segments import Segment
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.perturb.laid import Laid, pair_of
from orca_cool.perturb.objective import Objective
from orca_cool.prediction.end_to_end import input_around, input_of_pair
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.windows import centred_on, zoom_top, zoom_windows


@dataclass(frozen=True)
class Placed:
    """Where an objective is seen.

    Attributes
    ----------
    module, resolution : the level.
    position : what the cascade centres on, in bp; of an objective between chromosomes it means
        nothing.
    origin : start of the top window, in bp.
    starts : by resolution, the window's first bin from the start of the top window.
    segments : what the top window consists of, of a module that reads several chromosomes: their
        stretches, laid end to end. Of an objective between two they come first.
    """

    module: ModuleSpec
    resolution: int
    position: int
    origin: int
    starts: Mapping[int, int]
    segments: tuple[Segment, ...] = ()

    @property
    def start(self) -> int:
        """Start of the level's window in bp."""
        return self.origin + self.starts[self.resolution] * self.resolution

    @property
    def laid(self) -> Laid | None:
        """The input, of a module that reads several chromosomes."""
        return Laid(self.segments) if self.segments else None

    def sequence(
        self, spec: ModelDescription, chrom: str, chromsizes: Mapping[str, int]
    ) -> list[Region]:
        """The sequence from which the map is predicted, as far as chromosomes have it.

        Parameters
        ----------
        chrom : of the objective.
        """
        if self.laid is not None:
            return list(self.laid.regions(chromsizes))
        end = self.origin + spec.window(self.module.resolutions[0])
        return [Region(chrom, max(self.origin, 0), min(end, chromsizes[chrom]))]


def place(engine: OrcaEngine, objective: Objective, level: str | None = None) -> Placed:
    """The level and the window in which an objective is seen.

    Modules of a single chromosome come first; those that read several are asked where none of them
    holds the objective, and for objectives between chromosomes, at their top level.

    Parameters
    ----------
    engine : model and genome.
    level : a resolution ("4000") or a window ("1M"); None: the finest level whose window holds the
        objective.

    Raises
    ------
    RegionError
        If the objective does not lie in the genome, or no window (of the level) holds it; the
        message quotes it.
    ModelError
        If there is no such level, cell type or profile, or the objective is between chromosomes,
        and no module reads several.
    """
    spec = engine.spec
    objective.check(engine.source.chromsizes)
    for name in objective.cell_types:
        spec.check_cell_type(name)
    wanted = None if level is None else spec.parse_level(level)
    if objective.second is not None:
        return _between(engine, objective, wanted)
    groups = [
        [m for m in spec.modules if m.multi_chromosome is several] for several in (False, True)
    ]
    found = None
    if objective.whole and wanted is None:
        whole = Region(objective.region.chrom, 0, engine.source.chromsizes[objective.region.chrom])
        found = _first(engine, replace(objective, region=whole), groups)
        if found is None:
            wanted = _levels(next(group for group in groups if group))[-1]
    if found is None:
        found = _first(engine, objective, groups, wanted)
    if found is not None:
        return _far_enough(objective, found)
    tried = wanted or max(r for m in spec.modules for r in m.resolutions)
    around = f" with {objective.margin} bins on either side" * (objective.margin > 0)
    raise RegionError(
        f"objective {objective.text!r} is beyond the reach of level {tried} "
        f"({spec.label(tried)}): no window of {spec.window(tried):,} bp on "
        f"{objective.region.chrom} holds it{around}"
    )


def _levels(modules: Sequence[ModuleSpec]) -> list[int]:
    """The resolutions of modules, finest first."""
    return sorted({r for m in modules for r in m.resolutions})


def _first(
    engine: OrcaEngine,
    objective: Objective,
    groups: Sequence[Sequence[ModuleSpec]],
    wanted: int | None = None,
) -> Placed | None:
    """The window of the first level that holds an objective, of the first group of modules that has
    one; None if none has.
    """
    found = (
        _placed(engine, objective, module, resolution)
        for modules in groups
        for resolution in _levels(modules)
        for module in modules
        if resolution in module.resolutions and wanted in (None, resolution)
    )
    return next((placed for placed in found if placed is not None), None)


def _placed(
    engine: OrcaEngine, objective: Objective, module: ModuleSpec, resolution: int
) -> Placed | None:
    """The window of a level that holds an objective, None if none does."""
    spec, region = engine.spec, objective.region
    length = engine.source.chromsizes[region.chrom]
    finest, top = module.resolutions[-1], module.resolutions[0]
    middle = (region.start + region.end - 1) // 2
    grain = max(1, spec.bins // 8) * finest
    snapped = min(round(middle / grain) * grain, (length - 1) // grain * grain)
    for position in (snapped, middle // spec.base_bin * spec.base_bin):
        segments: list[Segment] = []
        if module.multi_chromosome:
            unit = engine.expected(module).resolution
            origin, segments = input_around(
                spec, engine.source, module, unit, region.chrom, position
            )
        else:
            centred = centred_on(spec, engine.source, region.chrom)
            origin = zoom_top(position, length, spec.window(top), top, centred)
        inside = len(segments[0]) if segments else None
        starts = zoom_windows(position, origin, module.resolutions, spec.bins, inside)
        found = Placed(module, resolution, position, origin, starts, tuple(segments))
        if not objective.reads_map or objective.held_by(found.start, resolution, spec.bins):
            return found
    return None


def _between(engine: OrcaEngine, objective: Objective, wanted: int | None) -> Placed:
    """The window in which an objective between two chromosomes is seen."""
    spec, names = engine.spec, " and ".join(part.chrom for part in objective.parts)
    modules = [m for m in spec.modules if m.multi_chromosome]
    if not modules:
        raise ModelError(
            f"objective {objective.text!r} is between {names}, and no module of model "
            f"{spec.name!r} reads several chromosomes ({few(m.name for m in spec.modules)}); take "
            f"a model that has one, such as 256M of Orca's or 2560k of yeast-deep"
        )
    tops = [m.resolutions[0] for m in modules]
    if wanted is not None and wanted not in tops:
        raise ModelError(
            f"objective {objective.text!r} is between {names}, of which there is the level "
            f"{', '.join(map(str, tops))} alone (module {few(m.name for m in modules)}), not "
            f"{wanted}"
        )
    module = modules[0 if wanted is None else tops.index(wanted)]
    top = module.resolutions[0]
    pair = pair_of(spec, module, engine.source, objective.parts)
    if pair is None:
        raise RegionError(
            f"objective {objective.text!r} lies in several windows: {names} do not fit one of "
            f"{spec.window(top):,} bp together and are predicted in parts; take smaller regions"
        )
    unit = engine.expected(module).resolution
    segments = input_of_pair(spec, engine.source, module, unit, pair)
    return Placed(module, top, 0, 0, {top: 0}, tuple(segments))


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
