"""What the screens of places are described by: units of a few bp, or hits of motifs, that are
changed one after the other, several in a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.errors import EditError
from orca_cool.files import check_output
from orca_cool.genome.regions import Region
from orca_cool.genome.source import SequenceSource
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.perturb.screen_base import R, VirtualScreenJob
from orca_cool.perturb.screen_options import check_between, level_between, require_known
from orca_cool.perturb.screen_plan import REPLACEMENTS, Frame, frames, frames_between
from orca_cool.prediction.job import Opened, Say
from orca_cool.prediction.sharing import Alone

if TYPE_CHECKING:
    from orca_cool.perturb.screen_local import Level
    from orca_cool.perturb.screen_run import Screen

#: How the scores of several runs become one.
AGGREGATES: dict[str, Callable[..., Any]] = {"min": np.min, "mean": np.mean, "median": np.median}


@dataclass(frozen=True, kw_only=True)
class ScreenJob(VirtualScreenJob[R]):
    """Score places of a genome by how much the contacts of their bins change without them.

    A place's score: with b its bin, the mean over unmasked bins c of its window of
    \\|mutated[b, c] - reference[b, c]\\| in natural log of observed/expected.

    Attributes
    ----------
    regions : what is screened.
    per_sequence : places changed together in one sequence. runs : how often all of it is done.
    aggregate : of the runs: "min", "mean" or "median".
    replace : what stands in the place of a unit: one of
        :data:`orca_cool.perturb.screen_plan.REPLACEMENTS`.
    between : chromosome; the score is that of the row of a unit's bin over the bins of this other
        chromosome, at the top level of a module that reads several. None: over those of its window.
    """

    regions: tuple[str, ...] = ()
    per_sequence: int = 20
    runs: int = 3
    aggregate: str = "min"
    replace: str = "sample"
    between: str | None = None

    def check(self) -> None:
        """As :meth:`VirtualScreenJob.check`."""
        super().check()
        require_known("--aggregate", self.aggregate, AGGREGATES)
        require_known("--replace", self.replace, REPLACEMENTS)
        for name in ("per_sequence", "runs"):
            if getattr(self, name) < 1:
                option = f"--{name.replace('_', '-')}"
                raise EditError(f"{option} {getattr(self, name)} is less than 1")
        self._check_deletion()
        if self.between is not None:
            self._check_between()
        self.check_models()
        if self.output is not None:
            first, *others = self.paths()
            check_output(first, self.force, others)

    def _check_deletion(self) -> None:
        if self.replace != "delete":
            return
        if self.per_sequence != 1:
            raise EditError(
                f"--replace delete moves what lies behind it, so that it needs one site a "
                f"sequence, not {self.per_sequence}: give --per-sequence 1"
            )
        if self.both_or_forward != "both":
            raise EditError("--replace delete is scored on both strands; leave out --strands")

    def _check_between(self) -> None:
        if self.replace == "delete":
            raise EditError(
                "--replace delete moves what lies behind it against the bins; leave out --between"
            )
        if self.both_or_forward != "both":
            raise EditError(
                f"--between {self.between!r} is scored on both strands, not {self.both_or_forward}"
            )

    def chosen(self, spec: ModelDescription) -> tuple[ModuleSpec, int]:
        """As :meth:`VirtualScreenJob.chosen`; between chromosomes the top level of a module that
        reads several.
        """
        if self.between is not None:
            return level_between(spec, self.module_name, self.resolution)
        return super().chosen(spec)

    def frames(self, source: SequenceSource, units: Sequence[Region]) -> list[Frame]:
        """The windows that score units of a genome.

        Raises
        ------
        EditError, RegionError
            If a unit does not fit its window, or lies on the chromosome of ``between``.
        """
        module, resolution = self.chosen(self.spec)
        if self.between is None:
            return frames(self.spec, module, resolution, source, units)
        check_between(self.between, source.chromsizes)
        return frames_between(self.spec, module, source, units, self.between)

    def check_inputs(self) -> None:
        """As :meth:`VirtualScreenJob.check_inputs`."""
        super().check_inputs()
        if not self.edits:
            check_between(self.between, self.source.chromsizes)

    @property
    def overlap(self) -> int | None:
        """bp between units that overlap their neighbours; None: they do not."""
        return None

    def paths(self) -> list[Path]:
        """What is written; the file with the settings first."""
        raise NotImplementedError

    def units_of(self, opened: Opened) -> Sequence[Region]:
        """What is scored, in the genome's order."""
        raise NotImplementedError

    def work_of(self, opened: Opened, share: Alone, say: Say) -> Screen:
        """As of any screen."""
        from orca_cool.perturb.screen_run import Screen

        every = self.every(opened, say)
        return Screen(self, every, self.units_of(opened), self.masked(opened.source), share)

    def settings(self, every: Sequence[Opened], level: Level) -> dict[str, Any]:
        """What the scores depend on: plain values."""
        return super().settings(every, level) | {
            "regions": list(self.regions),
            "per_sequence": self.per_sequence,
            "runs": self.runs,
            "aggregate": self.aggregate,
            "replace": self.replace,
            **({} if self.between is None else {"between": self.between}),
        }
