"""Sites: the places at which an edited genome is looked at beside its reference.

A window of the alternate is centred on a breakpoint, or on several that lie close together; the
reference's windows on the places that the bases at the breakpoint came from: one window for a small
change, two for a large deletion or a translocation. The alternate's window is shifted to where the
longest stretch of reference in it falls on the reference window's bins, so that this stretch is
compared bin by bin exactly, and none of it is encoded anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from orca_cool.errors import EditError
from orca_cool.genome.edited import EditedGenome
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription


@dataclass(frozen=True)
class Site:
    """A place at which an edited genome is looked at.

    Attributes
    ----------
    contig : contig of the edited genome.
    breakpoints : the contig's breakpoints (bp) that the place is about.
    position : bp of the contig that the alternate's windows centre on, as far as its ends allow.
    references : (chromosome, bp) of the source that the reference's windows centre on.
    """

    contig: str
    breakpoints: tuple[int, ...]
    position: int
    references: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return f"{self.contig}:{(self.breakpoints[0] + self.breakpoints[-1]) // 2:,}"


def sites(
    genome: EditedGenome,
    spec: ModelDescription,
    module: ModuleSpec,
    *,
    shift: int = 0,
    footprint: tuple[str, int, int] | None = None,
) -> list[Site]:
    """Places at which an edited genome is to be looked at.

    Breakpoints of one contig that fit into half a window of the module's finest level share a
    place. The reference's windows are centred to the nearest eighth of that window, so that
    variants which lie close together share them.

    Parameters
    ----------
    shift : bp by which all windows are moved.
    footprint : interval of the reference to look at where nothing is changed.
    """
    window = spec.window(module.resolutions[-1])
    grain = max(1, spec.bins // 8) * module.resolutions[-1]
    breakpoints_of = {contig: _breakpoints(genome, contig) for contig in genome.edited}
    if not breakpoints_of and footprint is not None:
        breakpoints_of = {footprint[0]: list(footprint[1:])}
    out = []
    for contig, breakpoints in breakpoints_of.items():
        for group in _clusters(breakpoints, window // 2):
            references = [
                (chrom, _snapped(genome, chrom, middle, grain) + shift)
                for chrom, middle in _origins(genome, contig, group, window // 2)
            ]
            middle = (group[0] + group[-1]) // 2 + shift
            position = _in_phase(
                genome, contig, middle, spec.window(module.resolutions[0]), window // 2, references
            )
            out.append(
                Site(
                    contig,
                    tuple(group),
                    middle if position is None else position,
                    tuple(references),
                )
            )
    return out


def _breakpoints(genome: EditedGenome, contig: str) -> list[int]:
    """Breakpoints of a contig in bp; its ends too where they are not those of a chromosome."""
    first, last, length = (
        genome.contigs[contig][0],
        genome.contigs[contig][-1],
        genome.chromsizes[contig],
    )
    ends = {c: (0, size) for c, size in genome.source.chromsizes.items()}
    breakpoints = genome.junctions(contig)
    if (first.start if first.strand == "+" else first.end) not in ends.get(first.chrom, ()):
        breakpoints.insert(0, 0)
    if (last.end if last.strand == "+" else last.start) not in ends.get(last.chrom, ()):
        breakpoints.append(length)
    # a chromosome whose whole sequence is reverse-complemented has no breakpoint, but is changed
    return breakpoints or [length // 2]


def _clusters(sorted_places: Sequence[int], widest: int) -> list[list[int]]:
    """Groups of places of which the first and the last are at most ``widest`` bp apart."""
    out: list[list[int]] = []
    for place in sorted_places:
        if out and place - out[-1][0] <= widest:
            out[-1].append(place)
        else:
            out.append([place])
    return out


def _origins(
    genome: EditedGenome, contig: str, breakpoints: Sequence[int], widest: int
) -> Iterator[tuple[str, int]]:
    """(chromosome, bp) of the source around which the bases on both sides of breakpoints lie; those
    at most ``widest`` bp apart are one place, in their middle.
    """
    names = list(genome.source.chromsizes)
    around = np.array([b + side for b in breakpoints for side in (-1, 0)])
    chroms, places, _ = genome.to_reference(contig, around)
    for number in dict.fromkeys(int(c) for c in chroms if c >= 0):
        for near in _clusters(sorted(places[chroms == number].tolist()), widest):
            yield names[number], (near[0] + near[-1]) // 2


def _snapped(genome: EditedGenome, chrom: str, position: int, grain: int) -> int:
    """The nearest multiple of ``grain`` that lies in the chromosome of the source."""
    last = (genome.source.chromsizes[chrom] - 1) // grain * grain
    return min(round(position / grain) * grain, last)


def _in_phase(
    genome: EditedGenome,
    contig: str,
    middle: int,
    window: int,
    near: int,
    references: Sequence[tuple[str, int]],
) -> int | None:
    """The position, at most ``near`` bp from ``middle``, at which the longest segment of the window
    would have a reference position if it went on; None if there is none.
    """
    start, end = max(middle - window // 2, 0), middle + window // 2
    best: tuple[int, int] | None = None
    at = start
    for segment in genome.segments(contig, start, end):
        for chrom, place in references:
            if segment.chrom == chrom and (best is None or len(segment) > best[0]):
                there = at + (
                    place - segment.start if segment.strand == "+" else segment.end - place
                )
                if abs(there - middle) <= near:
                    best = (len(segment), there)
        at += len(segment)
    return None if best is None else best[1]


def site_at(genome: EditedGenome, chrom: str, position: int, grain: int = 1) -> Site:
    """The place of an edited genome where a base of the reference went (the first of its copies).

    Parameters
    ----------
    chrom, position : of the reference, in bp.
    grain : both windows are centred where the reference has a multiple of this.

    Raises
    ------
    EditError
        If the edits leave nothing of that base, or change nothing on the contig that it is on now.
    """
    place = f"{chrom}:{position:,}"
    lifted = genome.from_reference(chrom, position, position + 1)
    if not lifted:
        raise EditError(
            f"the edits leave nothing of {place}; choose another place, or none to see the "
            f"breakpoints"
        )
    interval = next((i for i in lifted if i.contig in genome.edited), None)
    if interval is None:
        raise EditError(
            f"the edits change nothing on {lifted[0].contig}, where {place} is; they change "
            f"{', '.join(genome.edited)}"
        )
    back = position % grain
    there = interval.start - back if interval.strand == "+" else interval.end + back
    nearest = min(genome.junctions(interval.contig), key=lambda j: abs(j - there), default=there)
    return Site(interval.contig, (nearest,), there, ((chrom, position - back),))


def around(genome: EditedGenome, site: Site, reach: int) -> list[tuple[str, int, int]]:
    """Intervals (chromosome, start, end) of the reference that windows of at most ``reach`` bp on
    either side of a site show.
    """
    places = [(chrom, at - reach, at + reach) for chrom, at in site.references]
    segments = genome.segments(site.contig, site.position - reach, site.position + reach)
    return places + [(s.chrom, s.start, s.end) for s in segments if s.chrom]
