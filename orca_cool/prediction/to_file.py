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
from orca_cool.maps.pixels import Layer, Stripe, TransBlock
from orca_cool.prediction.checkpoint import Manifest
from orca_cool.prediction.engine import Predictor
from orca_cool.prediction.levels import Chain, Settings, bands, chain, expected_for, known_band
from orca_cool.prediction.plan import Plan, Progress, Step, root_steps
from orca_cool.prediction.run import Crew, run
from orca_cool.prediction.windows import Window, plan_trans


def _name(region: Region, predictor: Predictor) -> str:
    """A view's name of a region: its own, else the chromosome's where it is whole, else its UCSC
    string.
    """
    whole = region.start == 0 and region.end == predictor.source.chromsizes[region.chrom]
    return region.name or (region.chrom if whole else f"{region.chrom}:{region.start}-{region.end}")


def layers(
    predictor: Predictor,
    chain_: Chain,
    written: dict[int, int],
    regions: Sequence[Region],
    settings: Settings,
) -> list[Layer]:
    """What the file needs besides its pixels, for every resolution that is written, finest first."""
    bins = predictor.spec.bins
    source = predictor.source
    longest = max(source.chromsizes.values())
    if isinstance(
        source, EditedGenome
    ):  # its map may be shown at the coordinates of its reference, which reach further
        longest = max(longest, *source.source.chromsizes.values())
    masked = masks(source, regions, settings.resolutions)
    out = []
    for r in sorted(settings.resolutions):
        module = chain_.owner(r)
        background = predictor.background(module)
        trans = (
            background.trans
            if settings.trans and module.assembly and r == module.resolutions[0]
            else None
        )
        expected = expected_for(predictor, module, r, n_bins(longest, r))
        written[r] = known_band(expected, written[r])
        out.append(Layer(r, expected, background.eps(r, bins), written[r], trans, masked[r]))
    return out


def prepare(
    predictor: Predictor,
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
    numbers : as ``predictor.numbers``, of those who compute the windows, if it is not the
        predictor.

    Raises
    ------
    RegionError, ModelError
    """
    chain_ = chain(predictor, settings)
    sizes = dict(predictor.source.chromsizes)
    regions = merge_regions(regions, sizes)
    need, written = bands(predictor, chain_, settings, [sizes[r.chrom] for r in regions])
    steps = root_steps(predictor.spec, sizes, regions, chain_)
    if settings.trans:
        steps += _trans_steps(predictor, regions, chain_, settings, len(steps))
    identity = {
        "orca_cool": __version__,
        "model": predictor.spec.name,
        "model_digest": predictor.bundle.digest,
        "genome": predictor.source.name,
        "chromsizes": sizes,
        "assembly": assembly,
        "regions": [str(r) for r in regions],
        "resolutions": list(chain_.resolutions),
        "written": sorted(settings.resolutions),
        "modules": {str(r): chain_.owner(r).name for r in chain_.resolutions},
        "fill_distance": settings.fill_distance,
        "trans": settings.trans,
        "spread": settings.spread,
        **(numbers or predictor.numbers),
        **provenance,
    }
    return Plan(predictor.spec, regions, settings, chain_, need, written, steps, identity)


def _trans_steps(
    predictor: Predictor, regions: Sequence[Region], chain_: Chain, settings: Settings, first: int
) -> list[Step]:
    """A step for each pair of chromosome pieces."""
    coarsest = max(settings.resolutions)
    module = chain_.owner(coarsest)
    if not module.assembly:
        raise ModelError(
            f"no module of model {predictor.spec.name!r} predicts contacts between chromosomes "
            f"at {coarsest} bp; leave --trans out"
        )
    top = module.resolutions[0]
    if top not in settings.resolutions:
        raise ModelError(f"--trans writes the level {top} bp; add it to --levels")
    whole = {r.chrom: predictor.source.chromsizes[r.chrom] for r in regions}
    pairs = plan_trans(whole, predictor.spec.window(top), top)
    return [
        Step(number, module, [[Window(top, 0, None, 0)]], pair=pair)
        for number, pair in enumerate(pairs, start=first)
    ]


def work_folder(output: Path) -> Path:
    """The folder of an unfinished prediction, beside its output."""
    return output.with_name(output.name + ".partial")


def predict_to_file(
    predictor: Predictor,
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
        predictor,
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
    layers_ = layers(predictor, plan.chain, plan.written, plan.regions, settings)
    _check_space(output, layers_, plan.regions, settings)
    rows = [(r.chrom, r.start, r.end, _name(r, predictor)) for r in plan.regions]
    view = pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])
    manifest = Manifest(
        folder, plan.identity, restart=force and not (crew and crew.again), shared=crew is not None
    )

    metadata = {k: v for k, v in plan.identity.items() if k != "chromsizes"}
    metadata |= {
        "bands": {str(layer.resolution): layer.band for layer in layers_},
        "cell_type": predictor.spec.cell_type,
        "licence": predictor.spec.licence,
    }
    coarsest = layers_[-1].resolution
    paths: list[Path] = []

    def write(named: Callable[[str], Iterator[dict[str, np.ndarray]]]) -> None:
        def stripes(resolution: int) -> Iterator[Stripe]:
            for part in named(f"{resolution}."):
                level = resolution << part["level"].astype(np.int32)
                yield Stripe(
                    str(part["chrom"]),
                    int(part["start"]),
                    part["values"],
                    level,
                    part.get("spread"),
                )
            if (
                resolution == coarsest
            ):  # the last one: the .mcool is renamed next, and its tables are there before it
                paths.extend(
                    write_expected(
                        output,
                        layers_,
                        predictor.source.chromsizes,
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
                    part.get("spread"),
                )

        try:
            write_mcool(
                output,
                chromsizes=dict(predictor.source.chromsizes),
                assembly=assembly,
                layers=layers_,
                stripes=stripes,
                trans=trans if settings.trans else None,
                pseudo_depth=settings.pseudo_depth,
                mode=settings.mode,
                metadata=metadata,
                spread=settings.spread,
            )
        except OSError as error:
            raise OutputError(
                f"cannot write {output}: {error.strerror or error}; free some space and repeat "
                f"the command to go on"
            ) from error

    run(predictor, plan, manifest, write, crew=crew, progress=progress)
    manifest.remove()
    return [output, *paths]


def _check_space(
    output: Path, layers_: Sequence[Layer], regions: Sequence[Region], settings: Settings
) -> None:
    pixels = sum(
        layer.band * n_bins(r.end - r.start, layer.resolution) for layer in layers_ for r in regions
    )
    wanted = pixels * (
        5 + 4 * settings.spread + 5
    )  # work folder, then the file at about half of this
    free = shutil.disk_usage(output.parent).free
    if wanted > free:
        raise OutputError(
            f"{output} needs about {wanted / 1e9:.1f} GB while it is made; {free / 1e9:.1f} GB "
            f"are free ({os.strerror(errno.ENOSPC)})"
        )
