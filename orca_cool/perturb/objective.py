"""Objectives: numbers taken from a predicted map, differentiable in torch.

An :class:`Objective` is a function of a :class:`PredictedMap` and the interval that the map must
hold. Those that have names and texts stand in :mod:`orca_cool.perturb.named_objectives`; one's own
is a function of tensors away (:func:`custom`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.errors import RegionError
from orca_cool.genome.regions import Region, interval_problem, parse_position, parse_region

if TYPE_CHECKING:
    from torch import Tensor

    from orca_cool.maps.contact_map import ContactMap
    from orca_cool.perturb.laid import Laid

#: Longer than any chromosome: positions are held against the genome later.
ANY = 2**62


@dataclass(frozen=True)
class PredictedMap:
    """The map of one window as an objective sees it: n bins, tensors of one number type.

    A map between chromosomes has the bins of the module's whole input, whose stretches are laid end
    to end.

    Attributes
    ----------
    values : (n, n) log observed/expected, mean of both strands.
    expected : (n, n) expected contact frequency plus the pseudo-frequency, so that
        ``exp(values) * expected`` is the contact frequency.
    known : (n, n) bool, pixels that mean something; those of gaps and beyond the chromosome do not.
    chrom, start, resolution : where the first bin begins, in bp, and how long each is.
    reference : (n, n) the values of the genome before anything is changed; None: there are none.
    profile : from a profile's name and a position, its prediction there; None: there are none.
    cell_types : the same map of each cell type of the model, by name.
    lift : where a position of a chromosome lies now, if the sequence was changed.
    gc : (n,) what E1 is oriented by: the share of G and C of each bin, or a phasing track's values,
        before anything is changed; NaN where nothing is known. None: it was not looked at.
    laid : what the bins are of, in a map between chromosomes; ``start`` is then 0.
    """

    values: Tensor
    expected: Tensor
    known: Tensor
    chrom: str
    start: int
    resolution: int
    reference: Tensor | None = None
    profile: Callable[[str, int], Tensor] | None = None
    cell_types: Mapping[str, PredictedMap] = field(default_factory=dict)
    lift: Callable[[str, int], int] = lambda chrom, position: position
    gc: np.ndarray | None = None
    laid: Laid | None = None

    @property
    def frequency(self) -> Tensor:
        """(n, n) contact frequency."""
        return self.values.exp() * self.expected

    def bin(self, position: int, chrom: str | None = None) -> int:
        """The bin in which a position (bp) lies.

        Parameters
        ----------
        chrom : its chromosome; None: the map's own, or first.

        Raises
        ------
        RegionError
            If the map is between chromosomes, and holds no such position.
        """
        chrom = self.chrom if chrom is None else chrom
        at = self.lift(chrom, position)
        if self.laid is None:
            return (at - self.start) // self.resolution
        offset = self.laid.at(chrom, at)
        if offset is None:
            there = ", ".join(dict.fromkeys(s.chrom for s in self.laid.segments))
            raise RegionError(f"position {chrom}:{position:,} does not lie in the map of {there}")
        return offset // self.resolution

    @classmethod
    def of(
        cls, m: ContactMap, reference: ContactMap | None = None, gc: np.ndarray | None = None
    ) -> PredictedMap:
        """A :class:`~orca_cool.maps.contact_map.ContactMap`, in float64."""
        import torch

        values = torch.from_numpy(np.asarray(m.values, float))
        expected = torch.from_numpy(np.asarray(m.expected, float)) + m.eps
        before = None if reference is None else torch.from_numpy(reference.values.astype(float))
        known = values.isfinite() if before is None else values.isfinite() & before.isfinite()
        return cls(values, expected, known, m.chrom, m.start, m.resolution, before, gc=gc)


@dataclass(frozen=True)
class Objective:
    """A number taken from a map.

    Attributes
    ----------
    text : as it is written and quoted; its first word says what it is.
    region : what the map must hold.
    function : takes the number, a tensor without dimensions, from the map.
    margin : bins that the map must hold on either side of the region.
    apart : bins that the region's first and last base must lie apart.
    boxes : pairs of intervals (bp) of which it reads the contacts, to be drawn.
    unsigned : it says how much a map differs from the reference's: 0 there, and never less. Its
        gradient is 0 there too, or has none.
    reads_map : False if it reads a profile alone.
    cell_types : those (or the models) that it compares; empty: it is of one.
    compared : the objective of which it is the difference between the two.
    whole : it is about a whole chromosome ("e1"), and by default seen at the finest level whose
        window holds that, or, where none does, at the coarsest.
    second : what the map must hold of a second chromosome, of an objective between two. Its map is
        then that of ``orca-cool predict --trans``.

    Examples
    --------
    >>> from orca_cool.perturb.named_objectives import pixel
    >>> pixel("chrII:238,265", "chrII:302,000").region
    Region(chrom='chrII', start=238265, end=302001, name='')
    """

    text: str
    region: Region
    function: Callable[[PredictedMap], Tensor] = field(repr=False)
    margin: int = 0
    apart: int = 0
    boxes: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = ()
    unsigned: bool = False
    reads_map: bool = True
    cell_types: tuple[str, ...] = ()
    compared: Objective | None = None
    whole: bool = False
    second: Region | None = None

    def __call__(self, m: PredictedMap | ContactMap, reference: ContactMap | None = None) -> Tensor:
        """The number. ``reference`` : the map to compare with, of objectives that do.

        Raises
        ------
        RegionError
            If the map does not hold the objective, or not enough of it is known.
        """
        seen = m if isinstance(m, PredictedMap) else PredictedMap.of(m, reference)
        if self.second is not None:
            if seen.laid is None:
                raise RegionError(
                    f"objective {self.text!r} is between chromosomes; this map is of {seen.chrom}"
                )
        elif self.reads_map and not self.held_by(seen.start, seen.resolution, len(seen.values)):
            end = seen.start + seen.resolution * len(seen.values)
            raise RegionError(
                f"objective {self.text!r} does not lie in {seen.chrom}:{seen.start:,}-{end:,} with "
                f"{self.margin} bins of {seen.resolution:,} bp around it"
            )
        return self.function(seen)

    @property
    def parts(self) -> list[Region]:
        """What the map must hold, on one chromosome or on two."""
        return [self.region] if self.second is None else [self.region, self.second]

    def check(self, chromsizes: Mapping[str, int]) -> None:
        """RegionError that quotes the objective if it does not lie in a genome."""
        for where in self.parts:
            if problem := interval_problem(where.chrom, where.start, where.end, chromsizes):
                raise RegionError(f"objective {self.text!r}: {where}{problem}")

    def held_by(self, start: int, resolution: int, bins: int) -> bool:
        """Whether a window of ``bins`` bins from ``start`` bp holds it."""
        first = (self.region.start - start) // resolution
        last = (self.region.end - 1 - start) // resolution
        return first - self.margin >= 0 and last + self.margin < bins


def custom(
    function: Callable[[PredictedMap], Tensor],
    region: str,
    *,
    margin: int = 0,
    text: str = "",
    second: str | None = None,
) -> Objective:
    """An objective of one's own.

    Parameters
    ----------
    function : takes a number (a tensor without dimensions) from a :class:`PredictedMap`, with
        torch's operations, so that it has a gradient.
    region : what the map must hold ("chr9:100,000-400,000"). margin : bins beyond it.
    text : how messages and files call it.
    second : what the map must hold of another chromosome; it is then one between the two, in which
        bins are found by ``m.bin(position, chromosome)``.

    Examples
    --------
    >>> from orca_cool.perturb.objective import custom
    >>> mine = custom(lambda m: m.values[m.bin(238_265)].mean(), "chrII:238,000-239,000")
    >>> mine.text
    'custom chrII:238,000-239,000'
    """
    name = text or f"custom {region}" + (f" {second}" if second else "")
    other = region_of(name, second) if second else None
    first = region_of(name, region)
    if other is not None and other.chrom == first.chrom:
        raise RegionError(f"objective {name!r}: both regions are of {first.chrom!r}; give one")
    return Objective(name, first, function, margin, second=other)


def positions_of(text: str, *positions: str) -> tuple[list[int], str]:
    """Positions (bp), and the chromosome that they share; the error quotes the objective."""
    found = places_of(text, *positions)
    same_chromosome(text, found[0][0], found[-1][0])
    return [at for _, at in found], found[0][0]


def places_of(text: str, *positions: str) -> list[tuple[str, int]]:
    """Chromosome and position (bp) of each; the error quotes the objective."""
    found = []
    for one in positions:
        chrom = one.strip().rpartition(":")[0]
        try:
            found.append(parse_position(one, {chrom: ANY}))
        except RegionError:
            raise RegionError(
                f"objective {text!r}: position {one!r} is not understood; write it as "
                f"chr9:110,404,000"
            ) from None
    return found


def region_of(text: str, region: str) -> Region:
    """A region of an objective; the error quotes the objective."""
    chrom = region.strip().rpartition(":")[0]
    try:
        return parse_region(region, {chrom: ANY})
    except RegionError:
        raise RegionError(
            f"objective {text!r}: region {region!r} is not understood; write it as "
            f"chr9:100,000-140,000"
        ) from None


def same_chromosome(text: str, first: str, second: str) -> None:
    """RegionError if two parts of an objective lie on two chromosomes."""
    if first != second:
        raise RegionError(
            f"objective {text!r} is between {first!r} and {second!r}; only pixel and rect may be "
            f"of two chromosomes"
        )


def require_known(known: bool, text: str) -> None:
    """RegionError if what an objective reads is not known."""
    if not known:
        raise RegionError(
            f"objective {text!r} lies where the map means nothing: in a gap of the sequence, or "
            f"beyond the chromosome's end"
        )


def require_gradient(objective: Objective) -> None:
    """RegionError if an objective is one that has no gradient where nothing is changed."""
    if objective.unsigned:
        raise RegionError(
            f"objective {objective.text!r} is the size of a change, whose gradient is zero at the "
            f"reference; use --method integrated, expected or ism, or another objective"
        )


def mean_of(values: Tensor, known: Tensor) -> Tensor:
    """Mean of the known values."""
    return values.where(known, 0.0).sum() / known.sum()
