"""One zoom around a position, as the released program predicts it, to files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from orca_cool.genome.regions import parse_position
from orca_cool.prediction.job import Opened, Say
from orca_cool.prediction.progress import progress_bar
from orca_cool.prediction.windows import by_root, centred_on, plan

if TYPE_CHECKING:
    from orca_cool.model.network_spec import ModuleSpec
    from orca_cool.model.spec import ModelDescription
    from orca_cool.prediction.levels import Settings


def predict_zoom(
    opened: Opened,
    settings: Settings,
    at: str,
    output: Path,
    *,
    snap: bool,
    edges: str,
    assembly: str,
    force: bool,
    progress: bool,
    say: Say,
) -> list[Path]:
    """Predict all levels around a position, and write them as named arrays and as an .mcool.

    Parameters
    ----------
    at : the position ("chr9:110,404,000"). snap : move it to the nearest base bin, where stored
        encodings serve.
    edges : "zero-padded" as in the released program, or "real".
    assembly : name of the predicted genome's assembly in the file.

    Returns
    -------
    Paths of the .mcool, the .npz and the expected tables.

    Raises
    ------
    RegionError, OutputError
    """
    from orca_cool.prediction.kept_errors import told_errors
    from orca_cool.prediction.zoom_files import zoom_to_files

    spec, source, engine = opened.spec, opened.source, opened.engine
    chrom, position = parse_position(at, source.chromsizes)
    length = source.chromsizes[chrom]
    module, settings = _module_of(spec, settings)
    if snap:
        position = _snapped(chrom, position, spec, length, say)
    with progress_bar(progress, "zoom", spec.name, engine) as report:
        maps = engine.zoom(module, chrom, position, edges)
        report(1, 1)
    centred, laid = centred_on(spec, source, chrom), module.multi_chromosome
    windows = plan(length, module.resolutions, spec.bins, position, position + 1, centred, laid)
    levels = next(levels for levels in by_root(windows) if levels[-1])
    for line in told_errors(engine, module, chrom, levels):
        say(line)
    return zoom_to_files(
        engine,
        module,
        maps,
        settings,
        output,
        assembly=assembly,
        provenance={**opened.provenance, "at": position},
        force=force,
    )


def _module_of(spec: ModelDescription, settings: Settings) -> tuple[ModuleSpec, Settings]:
    """The first module that has all levels asked for, else the first one with those it has."""
    names = settings.modules
    wanted = set(settings.resolutions)
    for module in spec.modules:
        if (names is None or module.name in names) and wanted <= set(module.resolutions):
            return module, settings
    module = spec.module(names[0]) if names else spec.modules[0]
    levels = tuple(r for r in settings.resolutions if r in module.resolutions)
    return module, dataclasses.replace(settings, resolutions=levels, fill_distance=None)


def _snapped(chrom: str, position: int, spec: ModelDescription, length: int, say: Say) -> int:
    """The nearest position whose windows lie on the chromosome's base bins."""
    base = spec.base_bin
    snapped = min(round(position / base), (length - 1) // base) * base
    if snapped != position:
        say(f"snapped {chrom}:{position:,} to {chrom}:{snapped:,}, by {snapped - position:+,} bp")
    return snapped
