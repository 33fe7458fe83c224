"""What an edit changes at one place and level, as a user looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orca_cool.effects.align import Comparison as Aligned
from orca_cool.effects.scores import Choices, score
from orca_cool.genome.regions import Region
from orca_cool.maps.contact_map import ContactMap


@dataclass(frozen=True)
class Comparison:
    """An edited genome's map beside its reference's, at one place and one level.

    All maps have the bins of the alternate (edited) sequence: the reference's pixels stand where
    the bases that they belong to are in the edited genome, NaN where a bin is inserted or the
    reference's windows do not reach.

    Attributes
    ----------
    aligned : the maps as they were predicted, and how their bins correspond.
    """

    aligned: Aligned

    @property
    def site(self) -> str:
        """Where on the edited genome: the middle of the breakpoints ("chrII:238,208")."""
        return str(self.aligned.site)

    @property
    def breakpoints(self) -> tuple[int, ...]:
        """Breakpoints in bp, on the edited chromosome."""
        return self.aligned.site.breakpoints

    @property
    def resolution(self) -> int:
        """Bin in bp."""
        return self.aligned.resolution

    @property
    def region(self) -> Region:
        """The window, on the edited chromosome; it may overhang its ends."""
        return self.alternate.region

    @property
    def alternate(self) -> ContactMap:
        """The map of the edited genome."""
        return self.aligned.alternate

    @cached_property
    def reference(self) -> ContactMap:
        """The map of the reference, in the bins of the alternate."""
        found, own = self.aligned, self.aligned.alternate
        expected = np.exp(found.reference_log - found.reference) - own.eps
        return ContactMap(
            values=found.reference.astype(np.float32),
            expected=expected,
            eps=own.eps,
            region=own.region,
            resolution=own.resolution,
            strand_difference=None,
        )

    @cached_property
    def difference(self) -> ContactMap:
        """``.values`` are ln(alternate / reference) of the contact frequencies; ``.expected`` is the
        reference's frequency, so that ``.frequency`` is the alternate's.
        """
        found, own = self.aligned, self.aligned.alternate
        return ContactMap(
            values=(found.alternate_log - found.reference_log).astype(np.float32),
            expected=np.exp(found.reference_log),
            eps=0.0,
            region=own.region,
            resolution=own.resolution,
            strand_difference=None,
        )

    def scores(self, choices: Choices | None = None) -> dict[str, float]:
        """Numbers for what changed, as in the table of ``orca-cool variants``.

        See :func:`orca_cool.effects.scores.score` for what each of them is. All are 0 where nothing
        changes.
        """
        return score(self.aligned, choices)

    def __repr__(self) -> str:
        return f"<Comparison at {self.site}, {self.resolution:,} bp>"
