"""What says that a prediction of several cell types has begun, and not ended: those of its files
that are finished are its own, and the others are still to come.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool.errors import OutputError
from orca_cool.journal import Journal
from orca_cool.locks import locked_outputs
from orca_cool.prediction.parallel import only_helps

if TYPE_CHECKING:
    from orca_cool.effects.predict_job import PredictJob

FORMAT, VERSION = "orca-cool-cell-types", 1

#: Fields of a job that say where and how it runs, not what comes out.
_FREE = ("force", "nproc", "dask", "device", "store", "of_unfinished", "settled")


@dataclass(frozen=True)
class TypesRun:
    """A prediction of several cell types, "X.<cell type>.mcool" each.

    While it runs there is the file :attr:`note`, a journal that holds the settings; a killed run
    leaves it.

    Attributes
    ----------
    output : "X.mcool", which is not written.
    settings : what is predicted, plain values.
    """

    output: Path
    settings: dict[str, Any]

    @classmethod
    def of(cls, job: PredictJob) -> TypesRun:
        """The run of a job of all cell types."""
        fields = json.loads(job.to_json())
        return cls(Path(job.output), {k: v for k, v in fields.items() if k not in _FREE})

    @property
    def note(self) -> Path:
        """The file that is there while the run is not finished."""
        return note_path(self.output)

    @property
    def _journal(self) -> Journal:
        return Journal(self.note, FORMAT, VERSION, self.settings)

    def is_unfinished(self) -> bool:
        """True if a run of the same settings has begun and not ended.

        Raises
        ------
        OutputError
            If the note is there, and cannot be read.
        """
        found = self._journal.read()
        return found is not None and found.settings == self.settings

    @contextlib.contextmanager
    def noted(self, jobs: Sequence[PredictJob]) -> Iterator[None]:
        """The run, as a ``with`` block: noted before it begins; the note goes when it ends well.

        Parameters
        ----------
        jobs : one for each cell type. Of a single one nothing is noted.

        Raises
        ------
        OutputError
            If another process is at work there, or the note cannot be written.
        OrcaCoolError
            If something else is wrong with one of the jobs: nothing is noted then, so that files of
            others which stand in the way are not taken for the run's.
        """
        if len(jobs) < 2 or only_helps():
            yield
            return
        with locked_outputs(self.output):
            for job in jobs:
                job.check_inputs()
            try:
                if not self.is_unfinished():
                    self._journal.rewrite([])
            except OSError as error:
                raise OutputError(f"cannot write {self.note}: {error.strerror or error}") from error
            yield
            self.note.unlink(missing_ok=True)


def note_path(output: Path) -> Path:
    """The note of an unfinished run of several cell types, beside what stands for its outputs."""
    return output.with_name(output.name + ".cell_types.partial")
