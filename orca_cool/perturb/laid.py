"""The input of a module that reads several chromosomes (256M): stretches of them laid end to end.

Which stretches, and in which order, is what ``orca-cool predict`` decides: of one chromosome's map
the chromosome, then others until the window is full; of the contacts between two (``--trans``) both
in the genome's order, whole where they fit the window together, and then others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.prediction.end_to_end import placed_sizes, turns_in_place
from orca_cool.prediction.windows import plan_trans

if TYPE_CHECKING:
    from orca_cool.model.network_spec import ModuleSpec
    from orca_cool.model.spec import ModelDescription


@dataclass(frozen=True)
class Laid:
    """Stretches of chromosomes laid end to end.

    Attributes
    ----------
    segments : the stretches in order, all on the + strand; the last bases of one may lie beyond its
        chromosome, where all is N.

    Examples
    --------
    >>> laid = Laid((Segment("a", 0, 1000), Segment("b", 0, 400)))
    >>> laid.at("b", 50), laid.at("b", 500)
    (1050, None)
    """

    segments: tuple[Segment, ...]

    def __len__(self) -> int:
        """bp."""
        return sum(len(s) for s in self.segments)

    def at(self, chrom: str, position: int) -> int | None:
        """Where a base (bp of its chromosome) lies, in bp from the start of the first stretch; None
        if it is not there.
        """
        offset = 0
        for s in self.segments:
            if s.chrom == chrom and s.start <= position < s.end:
                return offset + position - s.start
            offset += len(s)
        return None

    def span(self, region: Region) -> int | None:
        """Where a region begins; None unless one stretch holds all of it."""
        first, last = self.at(region.chrom, region.start), self.at(region.chrom, region.end - 1)
        whole = first is not None and last is not None and last - first == len(region) - 1
        return first if whole else None

    def regions(self, chromsizes: Mapping[str, int]) -> Iterator[Region]:
        """The stretches, without what lies beyond their chromosomes."""
        for s in self.segments:
            yield Region(s.chrom, s.start, min(s.end, chromsizes[s.chrom]))

    def genome(self, source: SequenceSource) -> EditedGenome:
        """The sequence, as the one chromosome "concatenated" of a genome.

        Parameters
        ----------
        source : the genome of which these are stretches; it may be an edited one.
        """
        from orca_cool.encodings.reuse import CONCATENATED

        if isinstance(source, EditedGenome):
            return EditedGenome(source.source, {CONCATENATED: source.flat(self.segments)})
        return EditedGenome(source, {CONCATENATED: self.segments})


def between(
    spec: ModelDescription, module: ModuleSpec, source: SequenceSource, first: str, second: str
) -> list[tuple[Segment, Segment]]:
    """The pairs of stretches of which ``predict --trans`` makes the map between two chromosomes.

    Parameters
    ----------
    module : one that reads several chromosomes.
    first, second : chromosomes, in any order; stretches come in the genome's.
    """
    sizes = {c: n for c, n in source.chromsizes.items() if c in (first, second)}
    placed = placed_sizes(spec, source) if turns_in_place(spec, module) else None
    top = module.resolutions[0]
    return plan_trans(sizes, spec.window(top), top, placed)


def pair_of(
    spec: ModelDescription, module: ModuleSpec, source: SequenceSource, parts: Sequence[Region]
) -> tuple[Segment, Segment] | None:
    """The pair of stretches (:func:`between`) that holds parts of two chromosomes whole; None if
    they lie in several.
    """
    first, second = parts
    for pair in between(spec, module, source, first.chrom, second.chrom):
        laid = Laid(pair)
        if all(laid.span(part) is not None for part in parts):
            return pair
    return None


def known_between(
    source: SequenceSource, pair: Sequence[Segment], resolution: int, bins: int
) -> np.ndarray:
    """(bins,) bool, bins of two stretches laid end to end that are not mostly gap, and not beyond
    their chromosomes; False behind them.
    """
    found = [gap_fraction(source, s.chrom, s.start, s.end, resolution) <= MAX_GAP for s in pair]
    out = np.zeros(bins, dtype=bool)
    known = np.concatenate(found)[:bins]
    out[: len(known)] = known
    return out
