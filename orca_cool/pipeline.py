"""The whole road of ``orca-cool predict``: regions -> plans -> windows -> mosaics -> work folder -> .mcool + expected tables."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from orca_cool import __version__
from orca_cool.coolfile import write_mcool
from orca_cool.errors import ModelError, OutputError, RegionError
from orca_cool.expected import table_path, write_expected
from orca_cool.genome import gap_fraction
from orca_cool.levels import Chain, Settings, bands, chain, expected_for, known_band
from orca_cool.manifest import Manifest
from orca_cool.model.spec import ModuleSpec
from orca_cool.mosaic import Mosaic, Rows
from orca_cool.pixels import Layer, Stripe, TransBlock
from orca_cool.predict import Predictor
from orca_cool.regions import Region
from orca_cool.windows import Window, by_root, n_bins, plan, plan_trans

#: A bin is masked if more than this share of it is not A, C, G or T.
MAX_GAP = 0.5

Progress = Callable[[int, int], None]


def merge_regions(regions: Sequence[Region], chromsizes: dict[str, int]) -> list[Region]:
    """Regions in the genome's order; RegionError if two overlap."""
    order = {c: i for i, c in enumerate(chromsizes)}
    ordered = sorted(regions, key=lambda r: (order[r.chrom], r.start))
    for a, b in zip(ordered, ordered[1:]):
        if a.chrom == b.chrom and b.start < a.end:
            raise RegionError(f"regions {a} and {b} overlap; give one region that holds both")
    return ordered


def _name(region: Region, predictor: Predictor) -> str:
    """A view's name of a region: its own, else the chromosome's where it is whole, else its UCSC string."""
    whole = region.start == 0 and region.end == predictor.source.chromsizes[region.chrom]
    return region.name or (region.chrom if whole else f"{region.chrom}:{region.start}-{region.end}")


def masks(predictor: Predictor, regions: Sequence[Region], resolutions: Sequence[int]) -> dict[int, dict[str, np.ndarray]]:
    """Masked bins by resolution and chromosome: assembly gaps, and whatever lies outside the regions.

    The sequence is read once, at the finest resolution; the others, its multiples, add up its counts.
    """
    sizes = predictor.source.chromsizes
    masked = {r: {c: np.ones(n_bins(size, r), dtype=bool) for c, size in sizes.items()} for r in resolutions}
    finest, coarsest = min(resolutions), max(resolutions)
    for region in regions:
        start = region.start // coarsest * coarsest
        end = min(n_bins(region.end, coarsest) * coarsest, sizes[region.chrom])
        widths = np.minimum(finest, end - np.arange(start, end, finest))
        counts = np.rint(gap_fraction(predictor.source, region.chrom, start, end, finest) * widths)
        for r in resolutions:
            edges = np.arange(0, len(counts), r // finest)
            gaps = np.add.reduceat(counts, edges) / np.add.reduceat(widths, edges) > MAX_GAP
            a, b = region.start // r, n_bins(region.end, r)
            masked[r][region.chrom][a:b] = gaps[a - start // r : b - start // r]
    return masked


def layers(predictor: Predictor, chain_: Chain, written: dict[int, int], regions: Sequence[Region], settings: Settings) -> list[Layer]:
    """What the file needs besides its pixels, for every resolution that is written, finest first."""
    bins = predictor.spec.bins
    longest = max(predictor.source.chromsizes.values())
    masked = masks(predictor, regions, settings.resolutions)
    out = []
    for r in sorted(settings.resolutions):
        module = chain_.owner(r)
        background = predictor.background(module)
        trans = background.trans if settings.trans and module.assembly and r == module.resolutions[0] else None
        expected = expected_for(predictor, module, r, n_bins(longest, r))
        written[r] = known_band(expected, written[r])
        out.append(Layer(r, expected, background.eps(r, bins), written[r], trans, masked[r]))
    return out


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
) -> list[Path]:
    """Predict regions and write ``output`` (.mcool) with its expected tables.

    Parameters
    ----------
    progress : called with (windows done, windows in all).

    Returns
    -------
    Paths written: the .mcool and the tables. They appear when they are complete; a killed run goes on from its last
    checkpoint (one top window) when it is repeated.

    Raises
    ------
    OutputError, RegionError, ModelError, GenomeError
    """
    output = Path(output)
    chain_ = chain(predictor, settings)
    tables = [table_path(output, r) for r in sorted(settings.resolutions)]
    check_output(output, force, also=tables)
    regions = merge_regions(regions, predictor.source.chromsizes)
    lengths = [predictor.source.chromsizes[r.chrom] for r in regions]
    need, written = bands(predictor, chain_, settings, lengths)
    layers_ = layers(predictor, chain_, written, regions, settings)
    _check_space(output, layers_, regions, settings)
    view = pd.DataFrame([(r.chrom, r.start, r.end, _name(r, predictor)) for r in regions], columns=["chrom", "start", "end", "name"])

    everything = {
        "orca_cool": __version__,
        "model": predictor.spec.name,
        "model_digest": predictor.bundle.digest,
        "genome": predictor.source.name,
        "chromsizes": dict(predictor.source.chromsizes),
        "assembly": assembly,
        "regions": [str(r) for r in regions],
        "resolutions": list(chain_.resolutions),
        "written": sorted(settings.resolutions),
        "modules": {str(r): chain_.owner(r).name for r in chain_.resolutions},
        "fill_distance": settings.fill_distance,
        "trans": settings.trans,
        "spread": settings.spread,
        "device": predictor.device.type,
        "dtype": predictor.dtype,
        **provenance,
    }
    manifest = Manifest(output.with_name(output.name + ".partial"), everything, restart=force)
    run(predictor, regions, chain_, need, written, settings, manifest, progress)

    metadata = {k: v for k, v in everything.items() if k != "chromsizes"}
    metadata |= {
        "bands": {str(layer.resolution): layer.band for layer in layers_},
        "cell_type": predictor.spec.cell_type,
        "licence": predictor.spec.licence,
    }

    def stripes(resolution: int) -> Iterator[Stripe]:
        for part in manifest.named(f"{resolution}."):
            chrom = str(part["chrom"])
            spread = part.get("spread")
            yield Stripe(chrom, int(part["start"]), part["values"], resolution << part["level"].astype(np.int32), spread)

    def trans(resolution: int) -> Iterator[TransBlock]:
        for part in manifest.named(f"trans.{resolution}."):
            a, b = str(part["chrom1"]), str(part["chrom2"])
            yield TransBlock(a, b, int(part["start1"]), int(part["start2"]), part["values"], resolution, part.get("spread"))

    try:
        paths = write_expected(output, layers_, predictor.source.chromsizes, view, settings.mode, settings.pseudo_depth)
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
        raise OutputError(f"cannot write {output}: {error.strerror or error}; free some space and repeat the command to go on") from error
    manifest.remove()
    return [output, *paths]


def run(
    predictor: Predictor,
    regions: Sequence[Region],
    chain_: Chain,
    need: dict[int, int],
    written: dict[int, int],
    settings: Settings,
    manifest: Manifest,
    progress: Progress | None = None,
) -> None:
    """Compute every step that the manifest does not hold yet: a step is one root window, or one pair of chromosome pieces."""
    steps = _steps(predictor, regions, chain_)
    pairs = []
    if settings.trans:
        coarsest = max(settings.resolutions)
        module = chain_.owner(coarsest)
        if not module.assembly:
            raise ModelError(
                f"no module of model {predictor.spec.name!r} predicts contacts between chromosomes at {coarsest} bp; leave --trans out"
            )
        top = module.resolutions[0]
        if top not in settings.resolutions:
            raise ModelError(f"--trans writes the level {top} bp; add it to --levels")
        whole = {r.chrom: predictor.source.chromsizes[r.chrom] for r in regions}
        pairs = plan_trans(whole, predictor.spec.window(top), top)
    total = sum(len(level) for step in steps for level in step.levels) + len(pairs)
    finished = sum(len(level) for step in steps[: manifest.step] for level in step.levels) + max(0, manifest.step - len(steps))
    report = progress or (lambda done, total: None)
    report(finished, total)

    mosaic: Mosaic | None = None
    for number, step in enumerate(steps):
        if number < manifest.step:
            continue
        if step.first or mosaic is None:
            bins = predictor.spec.bins
            length = predictor.source.chromsizes[step.region.chrom]
            mosaic = Mosaic(list(chain_.resolutions), need, bins, length, step.region.start, step.region.end, settings.spread)
            if not step.first:
                mosaic.restore(manifest.state())
        parts: dict[str, dict[str, np.ndarray]] = {}
        for predicted in predictor.windows(step.module, step.region.chrom, step.levels):
            r = predicted.window.resolution
            if chain_.owner(r) is step.module:
                mosaic.levels[r].add(predicted.window.start, predicted.values, predicted.spread if settings.spread else None)
            finished += 1
            report(finished, total)
        for r, rows in mosaic.close(step.pending):
            if r in settings.resolutions and len(rows.values):
                parts[f"{r}.{number}"] = _part(step.region.chrom, r, rows, written[r], n_bins(step.taken, r))
        manifest.checkpoint(parts, {} if step.last else mosaic.state())

    for number, (a, b) in enumerate(pairs, start=len(steps)):
        if number < manifest.step:
            continue
        top = max(settings.resolutions)
        values, spread = predictor.trans(chain_.owner(top), a, b)
        part = {
            "chrom1": np.array(a.chrom), "chrom2": np.array(b.chrom),
            "start1": np.array(a.start // top), "start2": np.array(b.start // top), "values": values,
        }  # fmt: skip
        if settings.spread:
            part["spread"] = spread
        manifest.checkpoint({f"trans.{top}.{number}": part}, {})
        finished += 1
        report(finished, total)


@dataclass(frozen=True)
class _Step:
    """One root window with what lies below it.

    ``pending``: by resolution, the first window still to come in the region. ``taken``: end in bp of the region before it on
    the same chromosome, 0 if there is none.
    """

    region: Region
    module: ModuleSpec
    levels: list[list[Window]]
    pending: dict[int, int | None]
    first: bool
    last: bool
    taken: int


def _steps(predictor: Predictor, regions: Sequence[Region], chain_: Chain) -> list[_Step]:
    steps = []
    spec = predictor.spec
    for region, before in zip(regions, [None, *regions]):
        length = predictor.source.chromsizes[region.chrom]
        taken = before.end if before is not None and before.chrom == region.chrom else 0
        roots = []
        for module in reversed(chain_.modules):  # modules are listed finest first; the coarser one fills the finer
            mine = chain_.of(module)
            if mine:
                below = [r for r in module.resolutions if r >= min(mine)]
                roots += [(module, root) for root in by_root(plan(length, below, spec.bins, region.start, region.end))]
        roots.sort(key=lambda item: -item[0].resolutions[0])  # stable: roots stay in order within a module
        for k, (module, levels) in enumerate(roots):
            pending: dict[int, int | None] = {}
            for r in chain_.resolutions:
                rest = [
                    w.start for m, later in roots[k + 1 :] if chain_.owner(r) is m for level in later for w in level if w.resolution == r
                ]
                pending[r] = min(rest) if rest else None
            steps.append(_Step(region, module, levels, pending, k == 0, k == len(roots) - 1, taken))
    return steps


def _part(chrom: str, resolution: int, rows: Rows, band: int, taken: int) -> dict[str, np.ndarray]:
    """Rows as they are stored; those before bin ``taken`` belong to the region before (two regions may share a coarse bin)."""
    first = min(max(0, taken - rows.start), len(rows.values))
    keep = (slice(first, None), slice(band))
    level = np.round(np.log2(rows.level[keep] / resolution)).astype(np.uint8)
    part = {"chrom": np.array(chrom), "start": np.array(rows.start + first), "values": rows.values[keep], "level": level}
    if rows.spread is not None:
        part["spread"] = rows.spread[keep]
    return part


def check_output(output: Path, force: bool, also: Sequence[Path] = ()) -> None:
    """OutputError if an output exists (and not ``force``), or its folder does not."""
    if not output.parent.is_dir():
        raise OutputError(f"the folder of the output {str(output)!r} does not exist")
    if output.is_dir():
        raise OutputError(f"the output {str(output)!r} is a folder")
    for path in (output, *also):
        if path.exists() and not force:
            raise OutputError(f"{path} exists; use --force to replace it")
    if not os.access(output.parent, os.W_OK):
        raise OutputError(f"the folder of the output {str(output)!r} is not writable")


def _check_space(output: Path, layers_: Sequence[Layer], regions: Sequence[Region], settings: Settings) -> None:
    pixels = sum(layer.band * n_bins(r.end - r.start, layer.resolution) for layer in layers_ for r in regions)
    wanted = pixels * (5 + 4 * settings.spread + 5)  # work folder, then the file at about half of this
    free = shutil.disk_usage(output.parent).free
    if wanted > free:
        raise OutputError(
            f"{output} needs about {wanted / 1e9:.1f} GB while it is made; {free / 1e9:.1f} GB are free ({os.strerror(errno.ENOSPC)})"
        )
