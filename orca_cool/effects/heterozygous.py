"""Scores of a heterozygous change: one haplotype has it, the other is the reference's.

What a measurement of such cells sees is the mean of both haplotypes' contacts. So at each pixel
that both have, frequencies are averaged first, and the logarithm is taken afterwards; the log ratio
of the mean is not the mean of the log ratios. What is expected is the mean of what each haplotype
expects at its own distance, so that a change that moves pixels and does nothing else scores 0, as
it does on both haplotypes.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from orca_cool.effects.align import Comparison
from orca_cool.effects.scores import Choices, score
from orca_cool.maps.contact_map import ContactMap

#: Scores that look at what lies around a bin in each map's own coordinates. The mean of two maps
#: has coordinates of its own only where the change moves nothing; elsewhere they are NaN.
OF_COORDINATES = ("insulation", "insulation_at", "boundaries_gained", "boundaries_lost")


def heterozygous(found: Comparison) -> Comparison:
    """A comparison whose alternate is the mean of both haplotypes, at the pixels that both have.

    Parameters
    ----------
    found : an edited genome beside its reference.

    Returns
    -------
    The same with another ``alternate``: ``values`` is the natural log of
    (mean frequency + eps) / (mean expected + eps), NaN where the reference's is. Number for number
    the reference's where the two haplotypes are the same.

    Examples
    --------
    >>> c = p.compare("chrII:238,208-238,325 del", resolution=4000)  # doctest: +SKIP
    >>> heterozygous(c).scores()["mse"] < c.scores()["mse"]  # doctest: +SKIP
    True
    """
    a, b = found.alternate, found.reference
    frequency = (a.frequency + b.frequency) / 2  # both with eps
    expected = (a.expected + b.expected) / 2
    values = np.log(frequency / (expected + b.eps))
    same = (a.values == b.values) & (a.expected == b.expected)
    values = np.where(same, b.values, values).astype(np.float32)
    mean = ContactMap(values, expected, b.eps, a.region, a.resolution)
    return dataclasses.replace(found, alternate=mean)


def moves_nothing(found: Comparison) -> bool:
    """Whether the bins of the alternate are those of one map of the reference, one by one, as of
    substitutions.

    A few inserted bases may give a chromosome a bin more, of which less than half is there. It came
    from the reference's last bin, as the bin before it did, and does not count.
    """
    if len(found.bins) != 1:
        return False
    (index,) = found.bins
    there = np.flatnonzero(index >= 0)
    for last, before in ((-1, -2), (0, 1)):
        if len(there) > 2 and index[there[last]] == index[there[before]]:
            there = np.delete(there, last)
    return bool(len(there)) and len(np.unique(index[there] - there)) == 1


def score_heterozygous(found: Comparison, choices: Choices | None = None) -> dict[str, float]:
    """As :func:`orca_cool.effects.scores.score`, of the mean of both haplotypes against the
    reference; :data:`OF_COORDINATES` are NaN where the change moves sequence.
    """
    out = score(heterozygous(found), choices)
    if not moves_nothing(found):
        out |= dict.fromkeys(OF_COORDINATES, float("nan"))
    return out
