"""What a screen keeps while it runs: the settings that its scores depend on, and a journal of the
sequences that are done, so that a run that was killed goes on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.journal import Journal
from orca_cool.unfinished import Unfinished

if TYPE_CHECKING:
    from orca_cool.perturb.screen_base import VirtualScreenJob

#: Of the journal of an unfinished screen.
WORK_FORMAT = "orca-cool.unfinished-screen"

log = logging.getLogger(__name__)

#: What names a sequence: three numbers.
Key = tuple[int, int, int]


def with_numerics(
    settings: Mapping[str, Any], numerics: Mapping[str, str], several: bool
) -> dict[str, Any]:
    """Settings as plain values, with how the engine computes.

    Parameters
    ----------
    numerics : of the engine, or of those that compute in its place.
    several : there are several columns of scores, so that none is that of the engine's cell type.
    """
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain | {k: v for k, v in numerics.items() if not (several and k == "cell_type")}


class ScreenJournal:
    """What is done of an unfinished screen: a line for each sequence.

    Of several ranks each writes a journal of its own beside the first one's, which takes up all of
    them when the screen goes on.
    """

    def __init__(self, output: str, settings: dict[str, Any], restart: bool):
        self.run = Unfinished(Path(output), WORK_FORMAT, settings, "screen")
        self.restart = restart
        self._own = self.run.journal

    @classmethod
    def of(
        cls, job: VirtualScreenJob[Any], settings: dict[str, Any], restarted: bool = False
    ) -> ScreenJournal | None:
        """The journal of a job; None if it writes nothing.

        Parameters
        ----------
        restarted : torchrun has restarted the ranks, which go on even where the job is to begin
            anew.
        """
        restart = job.force and not restarted
        return None if job.output is None else cls(job.output, settings, restart=restart)

    def begin(self) -> dict[Key, Any]:
        """What an unfinished run has left: the scores of each of its sequences.

        Raises
        ------
        OutputError
            If it is of other settings, or cannot be written.
        """
        run = self.run
        if self.restart:
            run.remove()
        try:
            found = run.begin()
            entries = list(found.entries)
            self._tell(found.damaged, run.journal.path)
            beside = sorted(run.folder.glob("journal.*.jsonl"))
            for path in beside:
                entries += self._of_rank(path)
            if found.damaged or beside:
                run.journal.rewrite(entries)
            for path in beside:
                path.unlink()
        except OSError as error:
            raise OutputError(f"cannot write {run.folder}: {error.strerror or error}") from error
        return {tuple(e["key"]): e["scores"] for e in entries if {"key", "scores"} <= {*e}}

    def _of_rank(self, path: Path) -> list[dict[str, Any]]:
        """What the journal of another rank holds."""
        found = Journal(path, WORK_FORMAT, 1, self.run.settings).read()
        if found is None or found.settings != self.run.settings:
            return []
        self._tell(found.damaged, path)
        return found.entries

    def _tell(self, damaged: int, path: Path) -> None:
        if damaged:
            log.warning(
                "%d lines of %s are damaged; these sequences are predicted again", damaged, path
            )

    def begin_beside(self, rank: int) -> None:
        """Write to the journal of a rank other than the first, once the first has begun.

        Raises
        ------
        OutputError
            If it cannot be written: the ranks do not share the folder.
        """
        path = self.run.folder / f"journal.{rank}.jsonl"
        self._own = Journal(path, WORK_FORMAT, 1, self.run.settings)
        try:
            self._own.begin()
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror or error}; the output must be on a file "
                f"system that all ranks share"
            ) from error

    def add(self, key: Key, scores: np.ndarray) -> None:
        """Keep the scores of a sequence; they are on the disk then."""
        try:
            self._own.add({"key": list(key), "scores": scores.tolist()})
        except OSError as error:
            raise OutputError(
                f"cannot write {self._own.path}: {error.strerror or error}; free some space "
                f"and repeat the command to go on"
            ) from error
