"""What all screens are described by: models, what is changed together, and how it is scored."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from orca_cool.genome.source import SequenceSource
from orca_cool.locks import holding
from orca_cool.model.assembly import agreed_assembly
from orca_cool.model.named import absolute_name, described, open_named
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.perturb.screen_options import (
    STRANDS,
    check_drawing,
    chosen_level,
    common_settings,
    digest_of,
    read_mask,
    require_known,
)
from orca_cool.perturb.screen_output import SCORE
from orca_cool.perturb.several_models import refuse_store, require_together
from orca_cool.prediction.job import Opened, Say
from orca_cool.prediction.parallel import only_helps
from orca_cool.prediction.progress import progress_bar
from orca_cool.prediction.shared_job import PiecewiseJob, silent
from orca_cool.prediction.sharing import Alone

if TYPE_CHECKING:
    from orca_cool.perturb.insert_run import InsertScreen
    from orca_cool.perturb.screen_local import Level
    from orca_cool.perturb.screen_run import Screen

log = logging.getLogger(__name__)

J = TypeVar("J", bound="VirtualScreenJob")

#: What a screen returns.
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class VirtualScreenJob(PiecewiseJob, Generic[R]):
    """What all virtual screens have: models, a level, a mask, a seed, and files.

    Attributes
    ----------
    other_models : models that score the same sequences as ``model``, each with scores of its own.
    output : what the names of the files begin with; None: nothing is written.
    module : of the model; None: its first. resolution : of the level, or its window, as text;
        None: the finest.
    strands : "both" (the mean of their maps) or "forward"; None: both.
    mask : BED of what is not to count. seed : of all that is drawn.
    force : replace the files, and start anew.
    """

    other_models: tuple[str, ...] = ()
    output: str | None = None
    module: str | None = None
    resolution: str | int | None = None
    strands: str | None = None
    mask: str | None = None
    seed: int = 0
    force: bool = False

    @property
    def written(self) -> list[str]:
        """What the job holds the lock of."""
        return [] if self.output is None or only_helps() else [self.output]

    @property
    def files(self) -> dict[str, str | None]:
        """The files that are read beside model and genome, by option."""
        return {"mask": self.mask}

    def standalone(self: J) -> J:
        """As :meth:`Job.standalone`."""
        others = tuple(absolute_name(name) for name in self.other_models)
        return dataclasses.replace(super().standalone(), other_models=others)

    def of_worker(self: J) -> J:
        """As of any job whose work is shared."""
        return dataclasses.replace(super().of_worker(), output=None, force=False)

    def work_of(self, opened: Opened, share: Alone, say: Say) -> Screen | InsertScreen:
        """The screen, ready to run."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise what can be known to be wrong before models and genome are opened.

        Raises
        ------
        EditError, OutputError, ModelError, DeviceError, RegionError
        """
        super().check()
        require_known("--strands", self.both_or_forward, STRANDS)
        check_drawing(self.seed, self.reencode)

    def check_models(self) -> None:
        """ModelError if several models do not go together."""
        if self.other_models:
            refuse_store(self.store)
        given = [self.model, *self.other_models]
        require_together(self.specs, given, [self.chosen(spec) for spec in self.specs])

    @cached_property
    def specs(self) -> list[ModelDescription]:
        """Specifications of all models, from their headers alone."""
        return [self.spec, *map(described, self.other_models)]

    @property
    def both_or_forward(self) -> str:
        """The strands."""
        return self.strands or "both"

    @property
    def module_name(self) -> str | None:
        """The module that is asked for, if any is."""
        return self.module

    def chosen(self, spec: ModelDescription) -> tuple[ModuleSpec, int]:
        """The module and the resolution of the level that is screened.

        Raises
        ------
        ModelError
            If the model has no such module or level.
        """
        return chosen_level(spec, self.module_name, self.resolution)

    def types_of(self, spec: ModelDescription) -> list[str]:
        """Cell types of a model whose maps are all wanted; none of a model of a single map, or
        where one is chosen.
        """
        several = spec.cell_types if self.cell_type is None else ()
        return list(several) if len(several) > 1 else []

    def level_of(self, opened: Opened) -> Level:
        """What of an open model is screened."""
        from orca_cool.perturb.screen_local import Level

        module, resolution = self.chosen(opened.spec)
        types = self.types_of(opened.spec)
        maps = tuple(map(opened.spec.cell_types.index, types)) or (opened.spec.map_number,)
        return Level(module, resolution, maps, self.both_or_forward)

    @property
    def names(self) -> list[str]:
        """Columns of scores: the cell types that are wanted, "score" if there is but one; of
        several models NAME, or NAME.TYPE.
        """
        if not self.other_models:
            return self.types_of(self.spec) or [SCORE]
        out = []
        for spec in self.specs:
            types = self.types_of(spec)
            out += [f"{spec.name}.{t}" for t in types] if types else [spec.name]
        return out

    def check_inputs(self) -> None:
        """Raise what the models' headers, the genome and the files tell, before torch is loaded."""
        super().check_inputs()
        for spec in self.specs[1:]:
            if self.cell_type is not None:
                spec.check_cell_type(self.cell_type)
            agreed_assembly(spec, self.source, self.any_genome)
        self.masked(self.source)

    def masked(self, source: SequenceSource) -> dict[str, np.ndarray]:
        """Masked intervals of each chromosome: (n, 2) starts and ends."""
        return read_mask(self.mask, source)

    def open(self, say: Say = log.warning) -> Opened:
        """As :meth:`Job.open`; of a model of several cell types whose maps are all wanted, for the
        first of them.
        """
        opened = super().open(say)
        if types := self.types_of(self.spec):
            opened = opened.for_cell_type(dataclasses.replace(self, cell_type=types[0]))
        return opened

    def every(self, opened: Opened, say: Say = lambda line: None) -> list[Opened]:
        """All models, on the same genome with the same edits; the first is open."""
        from orca_cool.model.bundle import Model

        out = [opened]
        for name, spec in zip(self.other_models, self.specs[1:]):
            _, warning = agreed_assembly(spec, opened.reference, self.any_genome)
            if warning is not None:
                say(f"warning: {warning}")
            model, types = open_named(name), self.types_of(spec)
            cell_type = self.cell_type or (types[0] if types else None)
            if cell_type and isinstance(model, Model):
                model = model.for_cell_type(cell_type)
            out.append(dataclasses.replace(opened, model=model))
        return out

    @holding(lambda job: job.written)
    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> R:
        """Screen, and write the files if an output is named.

        A killed run goes on where it was when the same job is run again.

        Parameters
        ----------
        opened : the job's (first) model and genome, if they are open already.
        progress : show a progress bar. say : called with what the user should know, line by line.

        Raises
        ------
        OrcaCoolError
        """
        say = silent if only_helps() else say
        opened = self.ready(opened, say)
        with self.sharing() as share:
            return self.screen(opened, share, progress, say)

    def screen(self, opened: Opened, share: Alone, progress: bool, say: Say) -> R:
        """What :meth:`run` does when all is checked and open: score, or go on with a run that was
        killed, and write.

        Parameters
        ----------
        share : who predicts the sequences; the first of them writes the files.
        """
        screen = self.work_of(share.opened(opened), share, say)
        models = ", ".join(spec.name for spec in self.specs)
        name, shown = f"{models} {screen.level.module.name}", progress and not share.rank
        with progress_bar(shown, "sequence", name, screen.engine) as report:
            scored = screen.run(report)
        for line in (*share.told, *screen.told()):
            say(line)
        result = self.result_of(scored, opened)
        if self.output is not None and share.rank == 0:
            self.write(result, screen.counts, opened)
            screen.forget()
        return result

    def result_of(self, scored: Any, opened: Opened) -> R:
        """What :meth:`run` returns, of what the screen has scored."""
        result: R = scored
        return result

    def write(self, result: R, counts: Mapping[str, int], opened: Opened) -> None:
        """Write the files.

        Parameters
        ----------
        counts : of units and sequences, for the settings in the files.
        """
        raise NotImplementedError

    def settings(self, every: Sequence[Opened], level: Level) -> dict[str, Any]:
        """What the scores depend on: plain values."""
        names = [o.spec.name for o in every]
        digests = [o.model.digest for o in every]
        return common_settings(every[0], level) | {
            "model": names if self.other_models else names[0],
            "model_digest": digests if self.other_models else digests[0],
            "cell_types": [] if self.names == [SCORE] else self.names,
            "mask_sha256": digest_of(self.mask),
            "seed": self.seed,
        }
