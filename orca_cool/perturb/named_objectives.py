"""The objectives that have names: each a function that makes one, of positions ("chr9:100,000") or
regions ("chr9:100,000-140,000").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.errors import ModelError, RegionError
from orca_cool.genome.regions import Region
from orca_cool.maps.metrics import RING, dot_parts
from orca_cool.perturb.compartment import e1_at
from orca_cool.perturb.objective import (
    ANY,
    Objective,
    PredictedMap,
    mean_of,
    places_of,
    positions_of,
    region_of,
    require_known,
)

if TYPE_CHECKING:
    from torch import Tensor

#: Bins on either side of which a diamond of insulation consists.
DIAMOND = 10


def pixel(first: str, second: str) -> Objective:
    """Log observed/expected of the two bins in which two positions ("chr9:100,000") lie, which may
    be of two chromosomes.

    Raises
    ------
    RegionError
        If a position is not understood.
    """
    text = f"pixel {first} {second}"
    (one, a), (two, b) = places_of(text, first, second)

    def value(m: PredictedMap) -> Tensor:
        i, j = m.bin(a, one), m.bin(b, two)
        require_known(bool(m.known[i, j]), text)
        return m.values[i, j]

    return _of_two(text, value, Region(one, a, a + 1), Region(two, b, b + 1))


def _of_two(
    text: str, value: Callable[[PredictedMap], Tensor], one: Region, two: Region
) -> Objective:
    """An objective of the contacts of two regions, of one chromosome or of two."""
    boxes = (((one.start, one.end), (two.start, two.end)),)
    if one.chrom != two.chrom:
        return Objective(text, one, value, boxes=boxes, second=two)
    region = Region(one.chrom, min(one.start, two.start), max(one.end, two.end))
    return Objective(text, region, value, boxes=boxes)


def rect(first: str, second: str) -> Objective:
    """Mean log observed/expected of the bins that two regions ("chr9:100,000-140,000") touch; they
    may be of two chromosomes.

    Raises
    ------
    RegionError
        If a region is not understood.
    """
    text = f"rect {first} {second}"
    one, two = (region_of(text, part) for part in (first, second))

    def value(m: PredictedMap) -> Tensor:
        i, j = (slice(m.bin(r.start, r.chrom), m.bin(r.end - 1, r.chrom) + 1) for r in (one, two))
        known = m.known[i, j]
        require_known(bool(known.any()), text)
        return mean_of(m.values[i, j], known)

    return _of_two(text, value, one, two)


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
    (a, b), chrom = positions_of(text, first, second)
    both = dot_parts()

    def value(m: PredictedMap) -> Tensor:
        i, j = (slice(m.bin(p) - RING, m.bin(p) + RING + 1) for p in (a, b))
        around, known = m.values[i, j], m.known[i, j]
        parts = [known & known.new_tensor(part) for part in both]
        enough = all(2 * int(p.sum()) >= part.sum() for p, part in zip(parts, both))
        require_known(enough, text)
        return mean_of(around, parts[0]) - mean_of(around, parts[1])

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
    (at,), chrom = positions_of(text, position)

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
        require_known(bool(good[k]), text)
        score = (total / count.clamp(min=1)).where(good, 1.0).log2()
        return score[k] - mean_of(score, good)

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
    (at,), chrom = positions_of(text, position)

    def value(m: PredictedMap) -> Tensor:
        if m.reference is None:
            raise RegionError(f"objective {text!r} compares with a reference, and there is none")
        k = m.bin(at)
        require_known(bool(m.known[k].any()), text)
        return mean_of((m.values[k] - m.reference[k]).abs(), m.known[k])

    boxes = (((at, at + 1), (-ANY, ANY)),)
    return Objective(text, Region(chrom, at, at + 1), value, boxes=boxes, unsigned=True)


def e1(position: str) -> Objective:
    """The compartment of a position's bin: its value in the first eigenvector (E1) of the map,
    which has a mean square of 1 and is positive where G and C are frequent
    (:func:`orca_cool.maps.tracks.first_eigenvector`, as ``predict --tracks e1`` writes it). Where
    something is changed, it is turned as the reference's.

    By default the map is that of the finest level whose window holds the whole chromosome, or of
    the coarsest level; at another one it is E1 of that window alone.

    Raises
    ------
    RegionError
        If the position is not understood.
    """
    text = f"e1 {position}"
    (at,), chrom = positions_of(text, position)

    def value(m: PredictedMap) -> Tensor:
        if m.gc is None:
            raise RegionError(f"objective {text!r} needs the share of G and C of the map's bins")
        k = m.bin(at)
        require_known(bool(m.known[k].any()), text)
        try:
            return e1_at(m.values, m.known, k, m.gc, m.reference)
        except RegionError as error:
            raise RegionError(f"objective {text!r}: there is no E1, as {error}") from None

    boxes = (((at, at + 1), (-ANY, ANY)),)
    return Objective(text, Region(chrom, at, at + 1), value, boxes=boxes, whole=True)


def profile(name: str, position: str) -> Objective:
    """A predicted chromatin profile (0 to 1) at a position's base bin.

    Raises
    ------
    RegionError
        If the position is not understood.
    """
    text = f"profile {name} {position}"
    (at,), chrom = positions_of(text, position)

    def value(m: PredictedMap) -> Tensor:
        if m.profile is None:
            raise ModelError(f"objective {text!r}: a contact map has no chromatin profiles")
        return m.profile(name, m.lift(chrom, at))

    return Objective(text, Region(chrom, at, at + 1), value, reads_map=False)


def difference(first: str, second: str, objective: Objective) -> Objective:
    """An objective of one cell type's map less that of another's; of two models if there are two.

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

    return dataclasses.replace(
        objective, text=text, function=value, cell_types=(first, second), compared=objective
    )
