"""What ``orca-cool evaluate --edits`` does: score predicted changes of maps on true ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool import __version__
from orca_cool.errors import EditError
from orca_cool.evaluate.edit_table import TrueEdit, Truths, read_edits, read_predicted
from orca_cool.locks import holding, locked_outputs
from orca_cool.model.window_model import ENCODE
from orca_cool.prediction.job import MANY_EDITS, Job, Opened, Say
from orca_cool.prediction.progress import progress_bar

if TYPE_CHECKING:
    from orca_cool.evaluate.edit_report import EditResult


@dataclass(frozen=True, kw_only=True)
class EditsOptions:
    """What predicted changes are compared with, and how.

    Attributes
    ----------
    table : of edits with their true changes (:mod:`orca_cool.evaluate.edit_table`).
    nearest : pixels fewer bins apart are left out. insulation : side of the insulation diamond in
        bins.
    output : folder for edits.tsv, scores.tsv, scores.json and the figure; None: nothing is written.
    force : replace the output folder if it exists.
    """

    table: str
    nearest: int = 2
    insulation: int = 10
    output: str | None = None
    force: bool = False

    @property
    def outputs(self) -> list[str]:
        """The output folder, if there is to be one."""
        return [] if self.output is None else [self.output]


@dataclass(frozen=True, kw_only=True)
class EvaluateEditsJob(Job):
    """Score a model on edits whose true changes are known.

    Attributes
    ----------
    against : the table, how it is scored, and where the result goes.
    module : name of the model's module; None: for each edit the first that has its resolution.
    """

    against: EditsOptions
    module: str | None = None

    @cached_property
    def table(self) -> list[TrueEdit]:
        """The edits."""
        return read_edits(self.against.table)

    @cached_property
    def _truths(self) -> Truths:
        """Their true changes."""
        return Truths()

    def check_inputs(self) -> None:
        """Raise what the table, the model's header and the genome tell, before torch is loaded."""
        from orca_cool.evaluate.edit_changes import check_cell_type, edited_genome, module_of

        super().check_inputs()
        for edit in self.table:
            module_of(self.spec, edit, self.module)
            check_cell_type(self.spec, edit)
            edited_genome(edit, self.source)
            self._truths.check(edit)

    @holding(lambda job: job.against.outputs)
    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> EditResult:
        """Predict and score.

        Parameters
        ----------
        opened : the model and genome, if they are open already.
        progress : show a progress bar. say : see :meth:`orca_cool.prediction.job.Job.open`.

        Raises
        ------
        OrcaCoolError
            If anything that the job names cannot be used; the message says which and why.
        """
        _check_output(self.against)
        opened = self.ready(opened, say)
        spec = opened.spec
        about = {
            "model": spec.name,
            "model_digest": opened.model.digest,
            "genome": Path(self.genome).name,
        }
        with progress_bar(progress, "edit", f"{spec.name} edits") as report:
            changes = self._changes(opened)
            return _scored(self.table, changes, self._truths, self.against, about, report)

    def _changes(self, opened: Opened) -> Iterator[tuple[TrueEdit, np.ndarray]]:
        """The predicted change of each edit; those of a cell type and a module together."""
        from orca_cool.evaluate.edit_changes import (
            check_cell_type,
            for_cell_type,
            module_of,
            predicted_changes,
        )

        groups: dict[tuple[str, str], list[TrueEdit]] = {}
        for edit in self.table:
            check_cell_type(opened.spec, edit)
            module = module_of(opened.spec, edit, self.module)
            groups.setdefault((edit.cell_type, module.name), []).append(edit)
        for (cell_type, name), edits in groups.items():
            own = dataclasses.replace(opened, model=for_cell_type(opened.model, cell_type))
            kept = MANY_EDITS if ENCODE in own.model.capabilities else 0
            engine = own.new_engine(opened.reference, fine_bytes=kept)
            yield from predicted_changes(engine, engine.spec.module(name), edits)


def evaluate_predicted_edits(
    folder: str | Path, options: EditsOptions, *, progress: bool = True
) -> EditResult:
    """Score changes that somebody has predicted: ``folder/ID.npz`` with an array ``change`` for
    each row of the table.

    Raises
    ------
    EditError, OutputError
    """
    if not Path(folder).is_dir():
        raise EditError(f"--predicted {str(folder)!r} is no folder")
    with locked_outputs(*options.outputs):
        _check_output(options)
        table = read_edits(options.table)
        changes = ((edit, read_predicted(edit, Path(folder))) for edit in table)
        about = {"predicted": Path(folder).name}
        with progress_bar(progress, "edit", "edits") as report:
            return _scored(table, changes, Truths(), options, about, report)


def _check_output(options: EditsOptions) -> None:
    from orca_cool.evaluate.edit_report import FILES
    from orca_cool.evaluate.report import check_folder

    if options.output is not None:
        check_folder(Path(options.output), options.force, FILES)


def _scored(
    table: list[TrueEdit],
    changes: Iterable[tuple[TrueEdit, np.ndarray]],
    truths: Truths,
    options: EditsOptions,
    about: dict[str, Any],
    report: Callable[[int, int], None],
) -> EditResult:
    """Scores of predicted changes, written if they are to be."""
    from orca_cool.evaluate.edit_report import EditResult, Examples, write_edits
    from orca_cool.evaluate.edit_scores import numbers_of, scores

    found, examples = {}, Examples()
    report(0, len(table))
    for done, (edit, change) in enumerate(changes, start=1):
        true = truths.take(edit)
        found[edit.id] = numbers_of(
            edit, true, change, nearest=options.nearest, side=options.insulation
        )
        examples.offer(found[edit.id], true.mean, change)
        report(done, len(table))
    numbers = [found[edit.id] for edit in table]
    provenance = {
        "orca_cool": __version__,
        **about,
        "table": Path(options.table).name,
        **{k: v for k, v in asdict(options).items() if k in ("nearest", "insulation")},
    }
    result = EditResult(numbers, scores(numbers), provenance, examples.chosen)
    if options.output is not None:
        write_edits(Path(options.output), result, options.force)
    return result
