"""Edited genomes beside their reference from coarse to fine, as long as something changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from orca_cool.effects.align import Comparison, Reference, compared_at
from orca_cool.effects.sites import Site, sites
from orca_cool.genome.edited import EditedGenome
from orca_cool.maps.contact_map import ContactMap
from orca_cool.prediction.zoom import EncodedZoom


@dataclass(frozen=True)
class Skipped:
    """A level that is not predicted, since none above it changes enough.

    Attributes
    ----------
    largest : the largest change at the levels above.
    """

    site: Site
    resolution: int
    largest: float


def largest_change(found: Comparison) -> float:
    """The largest \\|change\\| of log observed/expected of a pixel that can be compared; infinite
    where none can.
    """
    change = np.abs(found.difference.values)
    return float(np.nanmax(change)) if np.isfinite(change).any() else float("inf")


@dataclass
class _Looked:
    """A site of an edited genome, from coarse to fine."""

    genome: EditedGenome
    site: Site
    found: list[Comparison] = field(default_factory=list)
    largest: float = 0.0


def compare_until(
    reference: Reference,
    genomes: Sequence[EditedGenome],
    below: float,
    *,
    footprints: Sequence[tuple[str, int, int] | None],
    keep: Sequence[int],
) -> list[list[Comparison | Skipped]]:
    """As :func:`~orca_cool.effects.align.compare`, level by level: the finer levels of a site are
    left out where none above them has a pixel whose log observed/expected changes by ``below`` or
    more, so that the coarsest level decides. Those of the reference are predicted where a site
    needs them.

    Parameters
    ----------
    genomes, footprints, keep : see :func:`~orca_cool.effects.align.compare`.
    """
    engine, module = reference.engine, reference.module
    of_genomes = [
        sites(genome, engine.spec, module, footprint=footprint)
        for genome, footprint in zip(genomes, footprints, strict=True)
    ]
    looked = [_Looked(genome, site) for genome, some in zip(genomes, of_genomes) for site in some]
    places = dict.fromkeys(p for one in looked for p in one.site.references)
    new = [place for place in places if not reference.has(place)]
    zooms = [engine.encode_zoom(module, *place, engine.edges) for place in new]
    zooms += [_encoded(reference, one) for one in looked]

    def look(out: Sequence[Sequence[ContactMap]]) -> list[bool]:
        """Compare the level that has come; which zooms go on."""
        beside, maps = dict(zip(new, out)), out[len(new) :]
        going: list[bool] = []
        for one, its in zip(looked, maps):
            number = len(one.found)
            if number == len(its):  # it stopped at a coarser level
                going.append(False)
                continue
            own = [
                _with_gaps(reference, beside[place][number])
                if place in beside
                else reference.level(place, number)
                for place in one.site.references
            ]
            one.found.append(compared_at(one.genome, one.site, its[number], own))
            one.largest = max(one.largest, largest_change(one.found[-1]))
            going.append(one.largest >= below)
        needed = {p for one, goes in zip(looked, going) if goes for p in one.site.references}
        return [place in needed for place in new] + going

    if zooms:
        for place, maps in zip(new, engine.decode_zooms(module, zooms, look)):
            reference.keep(place, maps)
    rest = iter(looked)
    return [
        [row for _ in some for row in _rows(next(rest), module.resolutions, keep)]
        for some in of_genomes
    ]


def _with_gaps(reference: Reference, m: ContactMap) -> tuple[ContactMap, np.ndarray]:
    return m, reference.gaps(m)


def _encoded(reference: Reference, one: _Looked) -> EncodedZoom:
    engine = reference.engine.for_genome(one.genome)
    return engine.encode_zoom(reference.module, one.site.contig, one.site.position, engine.edges)


def _rows(
    one: _Looked, resolutions: Sequence[int], keep: Sequence[int]
) -> list[Comparison | Skipped]:
    """What is told of a site: the levels that are wanted."""
    out: list[Comparison | Skipped] = [c for c in one.found if c.resolution in keep]
    left = resolutions[len(one.found) :]
    return out + [Skipped(one.site, r, one.largest) for r in left if r in keep]
