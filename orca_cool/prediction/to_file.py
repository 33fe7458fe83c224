"""The whole road of ``orca-cool predict``: regions -> plan -> windows -> mosaics -> work folder ->
.mcool + expected tables.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from orca_cool import __version__
from orca_cool.errors import ModelError, OutputError
from orca_cool.files import check_output
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.gaps import masks
from orca_cool.genome.regions import Region, merge_regions, n_bins
from orca_cool.maps.coolfile import write_mcool
from orca_cool.maps.expected import table_path, write_expected
from orca_cool.maps.pixels import Layer, RowBlock, TransBlock
from orca_cool.prediction.checkpoint import WorkFolder
from orca_cool.prediction.engine import Engine
from orca_cool.prediction.levels import Chain, Settings, bands, chain, expected_for, known_band
from orca_cool.prediction.plan import Plan, Progress, Step, root_steps
from orca_cool.prediction.run import Crew, run
from orca_cool.prediction.windows import Window, plan_trans


def _name(region: Region, engine: Engine) -> str:
    """A view's name of a region: its own, else the chromosome's where it is whole, else its UCSC
    string.
    """
    whole = region.start == 0 and region.end == engine.source.chromsizes[region.chrom]
    return region.name or (region.chrom if whole else f"{region.chrom}:{region.start}-{region.end}")


def layers(
    engine: Engine,
    chain_: Chain,
    written: dict[int, int],
    regions: Sequence[Region],
    settings: Settings,
) -> list[Layer]:
    """What the file needs besides its pixels, for every resolution that is written, finest first."""
    bins = engine.spec.bins
    source = engine.source
    longest = max(source.chromsizes.values())
    if isinstance(
        source, EditedGenome
    ):  # its map may be shown at the coordinates of its reference, which reach further
        longest = max(longest, *source.source.chromsizes.values())
    masked = masks(source, regions, settings.resolutions)
    out = []
    for r in sorted(settings.resolutions):
        module = chain_.owner(r)
        expected_model = engine.expected(module)
        trans = (
            expected_model.trans
            if settings.trans and module.multi_chromosome and r == module.resolutions[0]
            else None
        )
        expected = expected_for(engine, module, r, n_bins(longest, r))
        written[r] = known_band(expected, written[r])
        out.append(Layer(r, expected, expected_model.eps(r, bins), written[r], trans, masked[r]))
    return out


def prepare(
    engine: Engine,
    regions: Sequence[Region],
    settings: Settings,
    *,
    assembly: str,
    provenance: dict[str, Any],
    numbers: dict[str, str] | None = None,
) -> Plan:
    """Settle all that a prediction will do, before anything is computed or written.

    Parameters
    ----------
    numbers : as ``engine.numerics``, of those who compute the windows, if it is not the
        engine.

    Raises
    ------
    RegionError, ModelError
    """
    chain_ = chain(engine, settings)
    sizes = dict(engine.source.chromsizes)
    regions = merge_regions(regions, sizes)
    need, written = bands(engine, chain_, settings, [sizes[r.chrom] for r in regions])
    steps = root_steps(engine.spec, sizes, regions, chain_)
    if settings.trans:
        steps += _trans_steps(engine, regions, chain_, settings, len(steps))
    identity = {
        "orca_cool": __version__,
        "model": engine.spec.name,
        "model_digest": engine.bundle.digest,
        "genome": engine.source.name,
        "chromsizes": sizes,
        "assembly": assembly,
        "regions": [str(r) for r in regions],
        "resolutions": list(chain_.resolutions),
        "written": sorted(settings.resolutions),
        "modules": {str(r): chain_.owner(r).name for r in chain_.resolutions},
        "fill_distance": settings.fill_distance,
        "trans": settings.trans,
        "strand_difference": settings.strand_difference,
        **(numbers or engine.numerics),
        **provenance,
    }
    return Plan(engine.spec, regions, settings, chain_, need, written, steps, identity)


def _trans_steps(
    engine: Engine, regions: Sequence[Region], chain_: Chain, settings: Settings, first: int
) -> list[Step]:
    """A step for each pair of chromosome pieces."""
    coarsest = max(settings.resolutions)
    module = chain_.owner(coarsest)
    if not module.multi_chromosome:
        raise ModelError(
            f"no module of model {engine.spec.name!r} predicts contacts between chromosomes "
            f"at {coarsest} bp; leave --trans out"
        )
    top = module.resolutions[0]
    if top not in settings.resolutions:
        raise ModelError(f"--trans writes the level {top} bp; add it to --levels")
    whole = {r.chrom: engine.source.chromsizes[r.chrom] for r in regions}
    pairs = plan_trans(whole, engine.spec.window(top), top)
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
    crew: Crew | None = None,
) -> list[Path]:
    """Predict regions and write ``output`` (.mcool) with its expected tables.

    Parameters
    ----------
    force : replace the output, and start anew instead of going on.
    progress : called with (windows done, windows in all).
    crew : other processes that compute windows (:mod:`orca_cool.prediction.parallel.cluster`); the file's datasets are
        those that one process writes.

    Returns
    -------
    Paths written: the .mcool and the tables. They appear when they are complete; a killed run goes
    on from its last checkpoint (one top window) when it is repeated. Bits may depend on the device
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
        numbers=crew.numbers if crew else None,
    )
    folder = work_folder(output)
    tables = [table_path(output, r) for r in sorted(settings.resolutions)]
    # a run that was killed at its very end has left tables of its own
    check_output(output, force, also=[] if (folder / "manifest.json").exists() else tables)
    layers_ = layers(engine, plan.chain, plan.written, plan.regions, settings)
    _check_space(output, layers_, plan.regions, settings)
    rows = [(r.chrom, r.start, r.end, _name(r, engine)) for r in plan.regions]
    view = pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])
    work = WorkFolder(
        folder, plan.identity, restart=force and not (crew and crew.again), shared=crew is not None
    )

    metadata = {k: v for k, v in plan.identity.items() if k != "chromsizes"}
    metadata |= {
        "bands": {str(layer.resolution): layer.band for layer in layers_},
        "cell_type": engine.spec.cell_type,
        "licence": engine.spec.licence,
    }
    coarsest = layers_[-1].resolution
    paths: list[Path] = []

    def write(named: Callable[[str], Iterator[dict[str, np.ndarray]]]) -> None:
        def row_blocks(resolution: int) -> Iterator[RowBlock]:
            for part in named(f"{resolution}."):
                level = resolution << part["level"].astype(np.int32)
                yield RowBlock(
                    str(part["chrom"]),
                    int(part["start"]),
                    part["values"],
                    level,
                    part.get("strand_difference"),
                )
            if (
                resolution == coarsest
            ):  # the last one: the .mcool is renamed next, and its tables are there before it
                paths.extend(
                    write_expected(
                        output,
                        layers_,
                        engine.source.chromsizes,
                        view,
                        settings.mode,
                        settings.pseudo_depth,
                    )
                )

        def trans(resolution: int) -> Iterator[TransBlock]:
            if resolution != coarsest:
                return  # at once: these blocks come last of all, and other resolutions have none
            for part in named(f"trans.{resolution}."):
                a, b = str(part["chrom1"]), str(part["chrom2"])
                yield TransBlock(
                    a,
                    b,
                    int(part["start1"]),
                    int(part["start2"]),
                    part["values"],
                    resolution,
                    part.get("strand_difference"),
                )

        try:
            write_mcool(
                output,
                chromsizes=dict(engine.source.chromsizes),
                assembly=assembly,
                layers=layers_,
                row_blocks=row_blocks,
                trans=trans if settings.trans else None,
                pseudo_depth=settings.pseudo_depth,
                mode=settings.mode,
                metadata=metadata,
                strand_difference=settings.strand_difference,
            )
        except OSError as error:
            raise OutputError(
                f"cannot write {output}: {error.strerror or error}; free some space and repeat "
                f"the command to go on"
            ) from error

    run(engine, plan, work, write, crew=crew, progress=progress)
    work.remove()
    return [output, *paths]


def _check_space(
    output: Path, layers_: Sequence[Layer], regions: Sequence[Region], settings: Settings
) -> None:
    pixels = sum(
        layer.band * n_bins(r.end - r.start, layer.resolution) for layer in layers_ for r in regions
    )
    wanted = pixels * (
        5 + 4 * settings.strand_difference + 5
    )  # work folder, then the file at about half of this
    free = shutil.disk_usage(output.parent).free
    if wanted > free:
        raise OutputError(
            f"{output} needs about {wanted / 1e9:.1f} GB while it is made; {free / 1e9:.1f} GB "
            f"are free ({os.strerror(errno.ENOSPC)})"
        )
