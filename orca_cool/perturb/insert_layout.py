"""Where the windows of an insertion screen lie, and whether what is inserted fits them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orca_cool.errors import EditError, RegionError
from orca_cool.genome.regions import Region
from orca_cool.genome.source import GAP, SequenceSource
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.perturb.insert_sources import Source
from orca_cool.perturb.screen_plan import Frame, top_origin
from orca_cool.prediction.windows import centred_on, zoom_windows

if TYPE_CHECKING:
    from orca_cool.perturb.insert_job import InsertScreenJob


def frame_of(
    spec: ModelDescription,
    module: ModuleSpec,
    resolution: int,
    source: SequenceSource,
    site: Region,
    number: int = 0,
) -> Frame:
    """The windows of a site that is overwritten: centred on its first base, to a bin of the top
    level, as far as the chromosome's ends allow.
    """
    top, length = module.resolutions[0], source.chromsizes[site.chrom]
    position = min((site.start + top // 2) // top * top, (length - 1) // top * top)
    centred = centred_on(spec, source, site.chrom)
    origin = top_origin(position, length, spec.window(top), top, centred)
    levels = module.resolutions[: module.resolutions.index(resolution) + 1]
    starts = zoom_windows(position, origin, levels, spec.bins)
    return Frame(site.chrom, position, origin, starts, (number,))


def require_layout(
    job: InsertScreenJob,
    sources: Sequence[Source],
    source: SequenceSource,
    sites: Sequence[Region],
    genome: SequenceSource,
) -> None:
    """Raise if a source has not the length that is asked for, or does not fit a site.

    Parameters
    ----------
    source : the genome of the sources. genome : that of the sites.

    Raises
    ------
    EditError, RegionError
        The message quotes the source or the site.
    """
    span, what, moved = 0, "", 0
    for one in sources:
        for cassette in job.cassettes:
            length = one.check(source, cassette.length)
            moved = max(moved, cassette.span(length) - cassette.number * length)
            if cassette.span(length) > span:
                copies = f", {cassette.number} copies" if cassette.number > 1 else ""
                span, what = cassette.span(length), f"source {one.name!r}{copies}"
    for site in sites:
        if job.overwrite:
            first, last = site.start, site.start + span
        else:
            first, last = max(site.start - 1, 0), site.start + moved + 1
        if last > genome.chromsizes[site.chrom]:
            raise RegionError(
                f"the site {str(site)!r} lies too near to the end of {site.chrom}, which is "
                f"{genome.chromsizes[site.chrom]:,} bp long, for {what} of {span:,} bp"
            )
        _require_fits(job, site, genome, what, span)
        if (genome.fetch(site.chrom, first, last) == GAP).any():
            raise RegionError(
                f"the site {str(site)!r} lies in N: there is one in {site.chrom}:{first:,}-{last:,}"
            )


def _require_fits(
    job: InsertScreenJob, site: Region, genome: SequenceSource, what: str, span: int
) -> None:
    """EditError if ``span`` bp at a site are longer than what its window holds."""
    module, resolution = job.chosen(job.spec)
    if job.overwrite:
        window = job.spec.window(resolution)
        start = frame_of(job.spec, module, resolution, genome, site).start(resolution)
        held = start + window - site.start
        where = f"the window of {window:,} bp around it holds behind its first base"
    else:
        held = job.spec.window(module.resolutions[-1]) // 2
        where = f"half of the finest window of module {module.name!r} holds"
    if span > held:
        raise EditError(
            f"{what} is {span:,} bp long, more than the {held:,} bp at the site {str(site)!r} that "
            f"{where}"
        )
