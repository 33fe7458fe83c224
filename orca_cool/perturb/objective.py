"""Objectives: numbers taken from a predicted map, differentiable in torch.

An :class:`Objective` is a function of a :class:`PredictedMap` and the interval that the map must
hold. The ones below have names and texts; one's own is a function of tensors away
(:func:`custom`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.errors import ModelError, RegionError
from orca_cool.genome.regions import Region, interval_problem, parse_position, parse_region

if TYPE_CHECKING:
    from torch import Tensor

    from orca_cool.maps.contact_map import ContactMap

#: Bins from a dot's middle to the border of its square, and to that of the ring, which begins two
#: bins beyond the square.
DOT, RING = 1, 5

#: Bins on either side of which a diamond of insulation consists.
DIAMOND = 10

#: Longer than any chromosome: positions are held against the genome later.
_ANY = 2**62


@dataclass(frozen=True)
class PredictedMap:
    """The map of one window as an objective sees it: n bins, tensors of one number type.

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
    lift : where a position lies now, if the sequence was changed.
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
    lift: Callable[[int], int] = lambda position: position

    @property
    def frequency(self) -> Tensor:
        """(n, n) contact frequency."""
        return self.values.exp() * self.expected

    def bin(self, position: int) -> int:
        """The bin in which a position (bp) lies."""
        return (self.lift(position) - self.start) // self.resolution

    @classmethod
    def of(cls, m: ContactMap, reference: ContactMap | None = None) -> PredictedMap:
        """A :class:`~orca_cool.maps.contact_map.ContactMap`, in float64."""
        import torch

        values = torch.from_numpy(np.asarray(m.values, float))
        expected = torch.from_numpy(np.asarray(m.expected, float)) + m.eps
        before = None if reference is None else torch.from_numpy(reference.values.astype(float))
        known = values.isfinite() if before is None else values.isfinite() & before.isfinite()
        return cls(values, expected, known, m.chrom, m.start, m.resolution, before)


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
    cell_types : those that it compares; empty: it is of one.

    Examples
    --------
    >>> from orca_cool.perturb.objective import pixel
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

    def __call__(self, m: PredictedMap | ContactMap, reference: ContactMap | None = None) -> Tensor:
        """The number. ``reference`` : the map to compare with, of objectives that do.

        Raises
        ------
        RegionError
            If the map does not hold the objective, or not enough of it is known.
        """
        seen = m if isinstance(m, PredictedMap) else PredictedMap.of(m, reference)
        if self.reads_map and not self.held_by(seen.start, seen.resolution, len(seen.values)):
            end = seen.start + seen.resolution * len(seen.values)
            raise RegionError(
                f"objective {self.text!r} does not lie in {seen.chrom}:{seen.start:,}-{end:,} with "
                f"{self.margin} bins of {seen.resolution:,} bp around it"
            )
        return self.function(seen)

    def check(self, chromsizes: Mapping[str, int]) -> None:
        """RegionError that quotes the objective if it does not lie in a genome."""
        where = self.region
        if problem := interval_problem(where.chrom, where.start, where.end, chromsizes):
            raise RegionError(f"objective {self.text!r}: {where}{problem}")

    def held_by(self, start: int, resolution: int, bins: int) -> bool:
        """Whether a window of ``bins`` bins from ``start`` bp holds it."""
        first = (self.region.start - start) // resolution
        last = (self.region.end - 1 - start) // resolution
        return first - self.margin >= 0 and last + self.margin < bins


def pixel(first: str, second: str) -> Objective:
    """Log observed/expected of the two bins in which two positions ("chr9:100,000") lie.

    Raises
    ------
    RegionError
        If a position is not understood, or they lie on two chromosomes.
    """
    text = f"pixel {first} {second}"
    (a, b), chrom = _positions(text, first, second)

    def value(m: PredictedMap) -> Tensor:
        i, j = m.bin(a), m.bin(b)
        _require(bool(m.known[i, j]), text)
        return m.values[i, j]

    boxes = (((a, a + 1), (b, b + 1)),)
    return Objective(text, Region(chrom, min(a, b), max(a, b) + 1), value, boxes=boxes)


def rect(first: str, second: str) -> Objective:
    """Mean log observed/expected of the bins that two regions ("chr9:100,000-140,000") touch.

    Raises
    ------
    RegionError
        If a region is not understood, or they lie on two chromosomes.
    """
    text = f"rect {first} {second}"
    one, two = (_region(text, part) for part in (first, second))
    _same_chromosome(text, one.chrom, two.chrom)

    def value(m: PredictedMap) -> Tensor:
        i, j = (slice(m.bin(r.start), m.bin(r.end - 1) + 1) for r in (one, two))
        known = m.known[i, j]
        _require(bool(known.any()), text)
        return _mean(m.values[i, j], known)

    region = Region(one.chrom, min(one.start, two.start), max(one.end, two.end))
    boxes = (((one.start, one.end), (two.start, two.end)),)
    return Objective(text, region, value, boxes=boxes)


def dot(first: str, second: str) -> Objective:
    """A loop's strength: mean log observed/expected of the 3 x 3 bins around the pixel of two
    positions, less that of the 11 x 11 bins around it without the inner 5 x 5, as loops of
    ``orca-cool variants --loops`` are scored.

    Raises
    ------
    RegionError
        If a position is not understood, or they lie on two chromosomes.
    """
    text = f"dot {first} {second}"
    (a, b), chrom = _positions(text, first, second)
    outside = np.ones((2 * RING + 1,) * 2, dtype=bool)
    outside[RING - DOT - 1 : RING + DOT + 2, RING - DOT - 1 : RING + DOT + 2] = False
    square = np.zeros_like(outside)
    square[RING - DOT : RING + DOT + 1, RING - DOT : RING + DOT + 1] = True

    def value(m: PredictedMap) -> Tensor:
        i, j = (slice(m.bin(p) - RING, m.bin(p) + RING + 1) for p in (a, b))
        around, known = m.values[i, j], m.known[i, j]
        parts = [known & known.new_tensor(part) for part in (square, outside)]
        enough = all(2 * int(p.sum()) >= part.sum() for p, part in zip(parts, (square, outside)))
        _require(enough, text)
        return _mean(around, parts[0]) - _mean(around, parts[1])

    region, boxes = Region(chrom, min(a, b), max(a, b) + 1), (((a, a + 1), (b, b + 1)),)
    return Objective(text, region, value, margin=RING, apart=RING + 1, boxes=boxes)


def insulation(position: str) -> Objective:
    """The insulation score of a position's bin: log2 of the mean contact frequency across it, in a
    diamond of 10 bins, less its mean over the window. Low at a boundary.

    The change of it is ``insulation_at`` of ``orca-cool variants``.

    Raises
    ------
    RegionError
        If the position is not understood.
    """
    text = f"insulation {position}"
    (at,), chrom = _positions(text, position)

    def value(m: PredictedMap) -> Tensor:
        n, side = len(m.values), DIAMOND
        bins = np.arange(side - 1, n - side + 1)
        a, b = (x.ravel() for x in np.meshgrid(np.arange(side), np.arange(side), indexing="ij"))
        a, b = a[a + b >= 2], b[a + b >= 2]  # the two nearest diagonals are left out
        rows, columns = bins[:, None] - a, bins[:, None] + b
        known = m.known[rows, columns]
        count = known.sum(dim=1)
        total = m.frequency[rows, columns].where(known, 0.0).sum(dim=1)
        good = (2 * count >= len(a)) & m.known.diagonal()[bins]
        k = m.bin(at) - bins[0]
        _require(bool(good[k]), text)
        score = (total / count.clamp(min=1)).where(good, 1.0).log2()
        return score[k] - _mean(score, good)

    return Objective(
        text, Region(chrom, at, at + 1), value, margin=DIAMOND - 1, boxes=(((at, at + 1),) * 2,)
    )


def row(position: str) -> Objective:
    """How much the contacts of a position's bin change: mean absolute difference of its row from
    the reference's, in natural log, as the paper scores variants (``log_fold_change`` of
    ``orca-cool variants``).

    Raises
    ------
    RegionError
        If the position is not understood.
    """
    text = f"row {position}"
    (at,), chrom = _positions(text, position)

    def value(m: PredictedMap) -> Tensor:
        if m.reference is None:
            raise RegionError(f"objective {text!r} compares with a reference, and there is none")
        k = m.bin(at)
        _require(bool(m.known[k].any()), text)
        return _mean((m.values[k] - m.reference[k]).abs(), m.known[k])

    boxes = (((at, at + 1), (-_ANY, _ANY)),)
    return Objective(text, Region(chrom, at, at + 1), value, boxes=boxes, unsigned=True)


def profile(name: str, position: str) -> Objective:
    """A predicted chromatin profile (0 to 1) at a position's base bin.

    Raises
    ------
    RegionError
        If the position is not understood.
    """
    text = f"profile {name} {position}"
    (at,), chrom = _positions(text, position)

    def value(m: PredictedMap) -> Tensor:
        if m.profile is None:
            raise ModelError(f"objective {text!r}: a contact map has no chromatin profiles")
        return m.profile(name, m.lift(at))

    return Objective(text, Region(chrom, at, at + 1), value, reads_map=False)


def difference(first: str, second: str, objective: Objective) -> Objective:
    """An objective of one cell type's map less that of another's, of one model.

    Raises
    ------
    ModelError
        If the objective compares cell types already, or reads no map.
    """
    text = f"difference {first} {second} {objective.text}"
    if objective.cell_types or not objective.reads_map:
        raise ModelError(f"objective {text!r}: {objective.text!r} is not one of a cell type's map")

    def value(m: PredictedMap) -> Tensor:
        for name in (first, second):
            if name not in m.cell_types:
                known = ", ".join(m.cell_types) or "no others"
                raise ModelError(
                    f"objective {text!r}: there is no map of cell type {name!r}; there are: {known}"
                )
        one, two = (objective.function(m.cell_types[name]) for name in (first, second))
        return one - two

    return Objective(
        text,
        objective.region,
        value,
        objective.margin,
        objective.apart,
        objective.boxes,
        objective.unsigned,
        cell_types=(first, second),
    )


def custom(
    function: Callable[[PredictedMap], Tensor], region: str, *, margin: int = 0, text: str = ""
) -> Objective:
    """An objective of one's own.

    Parameters
    ----------
    function : takes a number (a tensor without dimensions) from a :class:`PredictedMap`, with
        torch's operations, so that it has a gradient.
    region : what the map must hold ("chr9:100,000-400,000"). margin : bins beyond it.
    text : how messages and files call it.

    Examples
    --------
    >>> from orca_cool.perturb.objective import custom
    >>> mine = custom(lambda m: m.values[m.bin(238_265)].mean(), "chrII:238,000-239,000")
    >>> mine.text
    'custom chrII:238,000-239,000'
    """
    name = text or f"custom {region}"
    return Objective(name, _region(name, region), function, margin)


def _positions(text: str, *positions: str) -> tuple[list[int], str]:
    """Positions (bp), and the chromosome that they share; the error quotes the objective."""
    found = []
    for one in positions:
        chrom = one.strip().rpartition(":")[0]
        try:
            found.append(parse_position(one, {chrom: _ANY}))
        except RegionError:
            raise RegionError(
                f"objective {text!r}: position {one!r} is not understood; write it as "
                f"chr9:110,404,000"
            ) from None
    _same_chromosome(text, found[0][0], found[-1][0])
    return [at for _, at in found], found[0][0]


def _region(text: str, region: str) -> Region:
    chrom = region.strip().rpartition(":")[0]
    try:
        return parse_region(region, {chrom: _ANY})
    except RegionError:
        raise RegionError(
            f"objective {text!r}: region {region!r} is not understood; write it as "
            f"chr9:100,000-140,000"
        ) from None


def _same_chromosome(text: str, first: str, second: str) -> None:
    if first != second:
        raise RegionError(
            f"objective {text!r} is between {first!r} and {second!r}; objectives are of one "
            f"chromosome"
        )


def _require(known: bool, text: str) -> None:
    """RegionError if what an objective reads is not known."""
    if not known:
        raise RegionError(
            f"objective {text!r} lies where the map means nothing: in a gap of the sequence, or "
            f"beyond the chromosome's end"
        )


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean of the known values."""
    return values.where(known, 0.0).sum() / known.sum()
