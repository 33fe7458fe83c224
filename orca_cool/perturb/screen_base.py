"""What all screens are described by: models, what is changed together, and how it is scored."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.errors import EditError, ModelError
from orca_cool.files import check_output
from orca_cool.genome.regions import Region
from orca_cool.genome.source import SequenceSource
from orca_cool.model.assembly import agreed_assembly
from orca_cool.model.header import read_header
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.registry import resolve
from orca_cool.model.spec import ModelDescription, ModelSpec
from orca_cool.perturb.screen_options import (
    STRANDS,
    check_between,
    check_drawing,
    chosen_level,
    common_settings,
    digest_of,
    level_between,
    read_mask,
    require_known,
)
from orca_cool.perturb.screen_output import SCORE, ScreenResult
from orca_cool.perturb.screen_plan import REPLACEMENTS, Frame, frames, frames_between
from orca_cool.prediction.job import Job, Opened, Say
from orca_cool.prediction.progress import progress_bar

if TYPE_CHECKING:
    from pathlib import Path

    from orca_cool.perturb.screen_local import Level
    from orca_cool.perturb.screen_run import Screen

log = logging.getLogger(__name__)

#: How the scores of several runs become one.
AGGREGATES: dict[str, Callable[..., Any]] = {"min": np.min, "mean": np.mean, "median": np.median}


@dataclass(frozen=True, kw_only=True)
class VirtualScreenJob(Job):
    """What all virtual screens have: a level, a mask, a seed, and files.

    Attributes
    ----------
    output : what the names of the files begin with; None: nothing is written.
    module : of the model; None: its first. resolution : of the level, or its window, as text;
        None: the finest.
    mask : BED of what is not to count. seed : of all that is drawn.
    force : replace the files, and start anew.
    """

    output: str | None = None
    module: str | None = None
    resolution: str | int | None = None
    mask: str | None = None
    seed: int = 0
    force: bool = False

    @property
    def written(self) -> list[str]:
        """What the job holds the lock of."""
        return [] if self.output is None else [self.output]

    def types_of(self, spec: ModelDescription) -> list[str]:
        """Cell types of a model whose maps are all wanted; none of a model of a single map, or
        where one is chosen.
        """
        several = spec.cell_types if self.cell_type is None else ()
        return list(several) if len(several) > 1 else []

    @property
    def names(self) -> list[str]:
        """Columns of scores: the cell types that are wanted, "score" if there is but one."""
        return self.types_of(self.spec) or [SCORE]

    def open(self, say: Say = log.warning) -> Opened:
        """As :meth:`Job.open`; of a model of several cell types whose maps are all wanted, for the
        first of them.
        """
        opened = super().open(say)
        if types := self.types_of(self.spec):
            opened = opened.for_cell_type(dataclasses.replace(self, cell_type=types[0]))
        return opened


@dataclass(frozen=True, kw_only=True)
class ScreenJob(VirtualScreenJob):
    """Score places of a genome by how much the contacts of their bins change without them.

    A place's score: with b its bin, the mean over unmasked bins c of its window of
    \\|mutated[b, c] - reference[b, c]\\| in natural log of observed/expected.

    Attributes
    ----------
    other_models : models that score the same sequences as ``model``, each a column of its own.
    regions : what is screened.
    per_sequence : places changed together in one sequence. runs : how often all of it is done.
    aggregate : of the runs: "min", "mean" or "median".
    replace : what stands in the place of a unit: one of
        :data:`orca_cool.perturb.screen_plan.REPLACEMENTS`.
    strands : "both" (the mean of their maps) or "forward"; None: both.
    between : chromosome; the score is that of the row of a unit's bin over the bins of this other
        chromosome, at the top level of a module that reads several. None: over those of its window.
    """

    other_models: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    per_sequence: int = 20
    runs: int = 3
    aggregate: str = "min"
    replace: str = "sample"
    strands: str | None = None
    between: str | None = None

    def check(self) -> None:
        """Raise what can be known to be wrong before models and genome are opened.

        Raises
        ------
        EditError, OutputError, ModelError, DeviceError, RegionError
        """
        super().check()
        require_known("--aggregate", self.aggregate, AGGREGATES)
        require_known("--replace", self.replace, REPLACEMENTS)
        require_known("--strands", self.both_or_forward, STRANDS)
        for name in ("per_sequence", "runs"):
            if getattr(self, name) < 1:
                option = f"--{name.replace('_', '-')}"
                raise EditError(f"{option} {getattr(self, name)} is less than 1")
        check_drawing(self.seed, self.reencode)
        self._check_deletion()
        if self.between is not None:
            self._check_between()
        self._check_models()
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
        if self.edits:
            raise EditError("--replace delete is of the genome in its file; leave out --edit")

    def _check_between(self) -> None:
        if self.replace == "delete":
            raise EditError(
                "--replace delete moves what lies behind it against the bins; leave out --between"
            )
        if self.both_or_forward != "both":
            raise EditError(
                f"--between {self.between!r} is scored on both strands, not {self.both_or_forward}"
            )

    def _check_models(self) -> None:
        """Several models must have names of their own, one assembly, and the same windows."""
        module, resolution = self.chosen(self.spec)
        first, shown = self.spec, _windows(self.spec, module, resolution)
        if self.store is not None and self.other_models:
            raise ModelError(
                f"the store {self.store!r} holds the encodings of one model; leave it out with "
                f"several"
            )
        known = {first.name: self.model}
        for spec, model in zip(self.specs[1:], self.other_models):
            if spec.name in known:
                raise ModelError(
                    f"the models {known[spec.name]!r} and {model!r} are both called {spec.name!r}, "
                    f"and so would be their scores; give each model once"
                )
            known[spec.name] = model
            a, b = list(first.assemblies), list(spec.assemblies)
            if a and b and not {*a} & {*b}:
                raise ModelError(
                    f"the models {first.name!r} ({', '.join(a)}) and {spec.name!r} "
                    f"({', '.join(b)}) are of different assemblies, so that they cannot score the "
                    f"same sequences"
                )
            found = _windows(spec, *self.chosen(spec))
            if found != shown:
                raise ModelError(
                    f"the models {first.name!r} and {spec.name!r} see different windows: {shown} "
                    f"and {found}; choose --module and --resolution so that they are the same"
                )

    @cached_property
    def specs(self) -> list[ModelSpec]:
        """Specifications of all models, from their headers alone."""
        others = [read_header(resolve(name))["spec"] for name in self.other_models]
        return [self.spec, *others]

    @property
    def both_or_forward(self) -> str:
        """The strands."""
        return self.strands or "both"

    @property
    def module_name(self) -> str | None:
        """The module that is asked for, if any is."""
        return self.module

    @property
    def names(self) -> list[str]:
        """Columns of scores: the cell types that are wanted, "score" if there is but one; of
        several models NAME, or NAME.TYPE.
        """
        if not self.other_models:
            return super().names
        out = []
        for spec in self.specs:
            types = self.types_of(spec)
            out += [f"{spec.name}.{t}" for t in types] if types else [spec.name]
        return out

    def chosen(self, spec: ModelDescription) -> tuple[ModuleSpec, int]:
        """The module and the resolution of the level that is screened.

        Raises
        ------
        ModelError
            If the model has no such module or level, or the module does not read several
            chromosomes where one between them is screened.
        """
        if self.between is not None:
            return level_between(spec, self.module_name, self.resolution)
        return chosen_level(spec, self.module_name, self.resolution)

    @property
    def overlap(self) -> int | None:
        """bp between units that overlap their neighbours; None: they do not."""
        return None

    def paths(self) -> list[Path]:
        """What is written; the file with the settings first."""
        raise NotImplementedError

    def check_inputs(self) -> None:
        """Raise what the models' headers, the genome and the files tell, before torch is loaded."""
        super().check_inputs()
        for spec in self.specs[1:]:
            if self.cell_type is not None:
                spec.check_cell_type(self.cell_type)
            agreed_assembly(spec, self.source, self.any_genome)
        self.masked(self.source)
        if not self.edits:
            check_between(self.between, self.source.chromsizes)

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

    def masked(self, source: SequenceSource) -> dict[str, np.ndarray]:
        """Masked intervals of each chromosome: (n, 2) starts and ends."""
        return read_mask(self.mask, source)

    def open_others(self, opened: Opened, say: Say = lambda line: None) -> list[Opened]:
        """The other models, on the same genome with the same edits."""
        from orca_cool.model.bundle import load_bundle

        out = []
        for name, spec in zip(self.other_models, self.specs[1:]):
            _, warning = agreed_assembly(spec, opened.reference, self.any_genome)
            if warning is not None:
                say(f"warning: {warning}")
            model, types = load_bundle(resolve(name)), self.types_of(spec)
            if cell_type := self.cell_type or (types[0] if types else None):
                model = model.for_cell_type(cell_type)
            out.append(dataclasses.replace(opened, model=model))
        return out

    def screened(
        self, opened: Opened, units: Sequence[Region], progress: bool, say: Say
    ) -> tuple[Screen, ScreenResult]:
        """Score units, which are in the genome's order, or go on with a run that was killed."""
        from orca_cool.perturb.screen_run import Screen

        every = [opened, *self.open_others(opened, say)]
        screen = Screen(self, every, units, self.masked(opened.source))
        name = f"{', '.join(o.spec.name for o in every)} {screen.level.module.name}"
        with progress_bar(progress, "sequence", name, screen.engine) as report:
            result = screen.run(report)
        for line in screen.told():
            say(line)
        return screen, result

    def settings(self, every: Sequence[Opened], level: Level) -> dict[str, Any]:
        """What the scores depend on: plain values."""
        names = [o.spec.name for o in every]
        digests = [o.model.digest for o in every]
        return common_settings(every[0], level) | {
            "model": names if self.other_models else names[0],
            "model_digest": digests if self.other_models else digests[0],
            "cell_types": [] if self.names == [SCORE] else self.names,
            "regions": list(self.regions),
            "mask_sha256": digest_of(self.mask),
            "per_sequence": self.per_sequence,
            "runs": self.runs,
            "aggregate": self.aggregate,
            "replace": self.replace,
            "seed": self.seed,
            **({} if self.between is None else {"between": self.between}),
        }


def _windows(spec: ModelDescription, module: ModuleSpec, resolution: int) -> str:
    """What decides where the windows of a screen lie, in words."""
    levels = module.resolutions[: module.resolutions.index(resolution) + 1]
    shown = ", ".join(f"{r:,}" for r in levels)
    return f"{spec.bins} bins of {shown} bp, placed {spec.placement!r}"
