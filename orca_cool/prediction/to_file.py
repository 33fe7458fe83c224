"""The whole way of ``orca-cool predict``: regions -> plan -> windows -> mosaics -> work folder ->
.mcool + expected tables.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orca_cool import __version__
from orca_cool.errors import ModelError, OutputError
from orca_cool.files import check_output
from orca_cool.genome.regions import Region, merge_regions, n_bins
from orca_cool.locks import locked_outputs
from orca_cool.maps.expected import table_path, view_path
from orca_cool.maps.pixels import Layer
from orca_cool.model.spec import PLACEMENTS
from orca_cool.prediction.checkpoint import WorkFolder, is_work_folder
from orca_cool.prediction.end_to_end import placed_sizes, turns_in_place
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.levels import LevelAssignment, Settings, assign_levels, bands
from orca_cool.prediction.mcool_writer import McoolWriter, layers
from orca_cool.prediction.plan import Plan, Progress, Step, root_steps
from orca_cool.prediction.run import Helpers, run
from orca_cool.prediction.windows import Window, centred_on, plan_trans


def prepare(
    engine: Engine,
    regions: Sequence[Region],
    settings: Settings,
    *,
    assembly: str,
    provenance: dict[str, Any],
    numerics: dict[str, str] | None = None,
) -> Plan:
    """Settle all that a prediction will do, before anything is computed or written.

    Parameters
    ----------
    provenance : plain values that go into the file's metadata.
    numerics : as ``engine.numerics``, of those who compute the windows, if it is not the engine.

    Raises
    ------
    RegionError, ModelError
    """
    spec, source = engine.spec, engine.source
    assignment = assign_levels(spec, settings)
    sizes = dict(source.chromsizes)
    regions = merge_regions(regions, sizes)
    held, written = bands(
        spec.bins,
        assignment,
        settings,
        [sizes[r.chrom] for r in regions],
        [centred_on(spec, source, r.chrom) for r in regions],
    )
    steps = root_steps(spec, source, regions, assignment)
    if settings.trans:
        steps += _trans_steps(engine, regions, assignment, settings, len(steps))
    identity = {
        "orca_cool": __version__,
        "model": spec.name,
        "model_digest": engine.digest,
        "genome": source.name,
        "chromsizes": sizes,
        "assembly": assembly,
        "regions": [str(r) for r in regions],
        "resolutions": list(assignment.resolutions),
        "written": sorted(settings.resolutions),
        "modules": {str(r): assignment.module_of(r).name for r in assignment.resolutions},
        "fill_distance": settings.fill_distance,
        "trans": settings.trans,
        "strand_difference": settings.strand_difference,
        **(numerics or engine.numerics),
        **provenance,
    }
    if spec.placement != PLACEMENTS[0]:  # the digest is that of the weights alone
        identity["placement"] = spec.placement
    return Plan(spec, regions, settings, assignment, held, written, steps, identity)


def _trans_steps(
    engine: Engine,
    regions: Sequence[Region],
    assignment: LevelAssignment,
    settings: Settings,
    first: int,
) -> list[Step]:
    """A step for each pair of stretches of two chromosomes, numbered from ``first``."""
    coarsest = max(settings.resolutions)
    module = assignment.module_of(coarsest)
    if not module.multi_chromosome:
        raise ModelError(
            f"no module of model {engine.spec.name!r} predicts contacts between chromosomes "
            f"at {coarsest} bp; leave --trans out"
        )
    top = module.resolutions[0]
    if top not in settings.resolutions:
        raise ModelError(f"--trans writes the level {top} bp; add it to --levels")
    whole = {r.chrom: engine.source.chromsizes[r.chrom] for r in regions}
    pairs = plan_trans(
        whole,
        engine.spec.window(top),
        top,
        placed_sizes(engine.spec, engine.source) if turns_in_place(engine.spec, module) else None,
    )
    return [
        Step(number, module, [[Window(top, 0, None, 0)]], pair=pair)
        for number, pair in enumerate(pairs, start=first)
    ]


def work_folder(output: Path) -> Path:
    """The folder of an unfinished prediction, beside its output."""
    return output.with_name(output.name + ".partial")


def predict_to_file(
    engine: Engine,
    regions: Sequence[Region],
    settings: Settings,
    output: str | Path,
    *,
    assembly: str,
    provenance: dict[str, Any],
    force: bool = False,
    progress: Progress | None = None,
    helpers: Helpers | None = None,
) -> list[Path]:
    """Predict regions and write ``output`` (.mcool) with its expected tables.

    Parameters
    ----------
    provenance : plain values that go into the file's metadata.
    force : replace the output, and start anew instead of going on.
    progress : called with (windows done, windows in all).
    helpers : other processes that compute windows (:mod:`orca_cool.prediction.parallel`); the
        file's datasets are those that one process writes.

    Returns
    -------
    Paths written: the .mcool and the tables. They appear when they are complete; a killed run goes
    on from its last checkpoint (one top window) when it is repeated, and computes again what has
    been damaged since. Bits may depend on the device
    and its libraries, on a CPU also on the number of threads: what is equal is equal for the same
    of these.

    Raises
    ------
    OutputError, RegionError, ModelError, GenomeError
    """
    output = Path(output)
    plan = prepare(
        engine,
        regions,
        settings,
        assembly=assembly,
        provenance=provenance,
        numerics=helpers.numerics if helpers else None,
    )
    with locked_outputs(output):
        folder = work_folder(output)
        tables = [table_path(output, r) for r in sorted(settings.resolutions)]
        tables.append(view_path(output))
        # a run that was killed at its very end has left tables of its own
        begun = is_work_folder(folder)
        check_output(output, force, also=[] if begun else tables)
        written = layers(engine, plan)
        coarser = [table_path(output, x.resolution) for x in written[len(tables) - 1 :]]
        check_output(output, force, also=[] if begun else coarser)
        writer = McoolWriter(engine, plan, written, output, assembly)
        _check_space(output, writer.layers, plan.regions, settings)
        restart = force and not (helpers and helpers.restarted)
        work = WorkFolder(folder, plan.identity, restart=restart, shared=helpers is not None)
        run(engine, plan, work, writer.write, helpers=helpers, progress=progress)
        work.remove()
    return [output, *writer.tables]


def _check_space(
    output: Path, layers_: Sequence[Layer], regions: Sequence[Region], settings: Settings
) -> None:
    """OutputError if the disk has less room than the work folder and the file will need."""
    pixels = sum(
        layer.band * n_bins(r.end - r.start, layer.resolution) for layer in layers_ for r in regions
    )
    # bytes a pixel: 5 (9 with the strands' difference) in the work folder, then about half of that
    # in the file
    wanted = pixels * (5 + 4 * settings.strand_difference + 5)
    free = shutil.disk_usage(output.parent).free
    if wanted > free:
        raise OutputError(
            f"{output} needs about {wanted / 1e9:.1f} GB while it is made; {free / 1e9:.1f} GB "
            f"are free ({os.strerror(errno.ENOSPC)})"
        )
