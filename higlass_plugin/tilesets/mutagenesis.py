"""What an objective depends on where somebody looks at single bases: its change by every
substitution, in the place of the gradient.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from higlass_plugin.compute.attribution_units import BASES, MutagenesisUnit, UnchangedUnit
from higlass_plugin.compute.jobs import Lookup, TilePlan
from higlass_plugin.compute.units import Unit
from higlass_plugin.tilesets.attribution import AttributionTileset
from orca_cool.errors import RegionError
from orca_cool.genome.regions import Region, n_bins

#: Bases that are looked at together at most: three predictions of the window are made for each.
MOST = 64


class MutagenesisPlan(TilePlan):
    """The change of an objective by every substitution of the bases of a region: (bases, 4)
    float32, see :class:`~higlass_plugin.compute.attribution_units.MutagenesisUnit`. NaN for bases
    from which the objective is not predicted.

    Parameters
    ----------
    tileset : of the objective. region : of its genome.

    Raises
    ------
    RegionError
        If the region has more than :data:`MOST` bases.
    """

    def __init__(self, tileset: AttributionTileset, region: Region):
        if len(region) > MOST:
            raise RegionError(
                f"{region} has {len(region):,} bp; substitutions of at most {MOST} are predicted "
                f"at once"
            )
        self.asked, self.region = tileset.asked, region
        self.key: tuple[Hashable, ...] = tileset.uid, "mutagenesis", str(region)
        reach = self.asked.reach
        first, last = max(region.start, reach.start), min(region.end, reach.end)
        self.numbers = range(0)
        if region.chrom == reach.chrom and first < last:
            self.numbers = range(first // BASES, n_bins(last, BASES))

    def units(self) -> list[Unit]:
        changed = [MutagenesisUnit(self.asked, k) for k in self.numbers]
        return [UnchangedUnit(self.asked), *changed] if changed else []

    def build(self, lookup: Lookup) -> tuple[np.ndarray, int]:
        values = self.preview(lookup)
        return values, values.nbytes

    def preview(self, lookup: Lookup) -> np.ndarray:
        out = np.full((len(self.region), 4), np.nan, np.float32)
        for k in self.numbers:
            found = lookup(MutagenesisUnit(self.asked, k))
            if found is None:
                continue
            where = self.asked.bases(k)
            a, b = max(where.start, self.region.start), min(where.end, self.region.end)
            at = slice(a - self.region.start, b - self.region.start)
            out[at] = found[a - where.start : b - where.start]
        return out

    def known(self, lookup: Lookup) -> int:
        """How many of the region's bases are settled: computed, or not to be computed."""
        missing = 0
        for k in self.numbers:
            if lookup(MutagenesisUnit(self.asked, k)) is None:
                where = self.asked.bases(k)
                missing += min(where.end, self.region.end) - max(where.start, self.region.start)
        return len(self.region) - missing
