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
from orca_cool.unfinished import Unfinished

if TYPE_CHECKING:
    from orca_cool.perturb.screen_base import VirtualScreenJob
    from orca_cool.prediction.engine import Engine

#: Of the journal of an unfinished screen.
WORK_FORMAT = "orca-cool.unfinished-screen"

log = logging.getLogger(__name__)

#: What names a sequence: three numbers.
Key = tuple[int, int, int]


def with_numerics(settings: Mapping[str, Any], engine: Engine, several: bool) -> dict[str, Any]:
    """Settings as plain values, with how the engine computes.

    Parameters
    ----------
    several : there are several columns of scores, so that none is that of the engine's cell type.
    """
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    numerics = engine.numerics.items()
    return plain | {k: v for k, v in numerics if not (several and k == "cell_type")}


class ScreenJournal:
    """What is done of an unfinished screen: a line for each sequence."""

    def __init__(self, output: str, settings: dict[str, Any], restart: bool):
        self.run = Unfinished(Path(output), WORK_FORMAT, settings, "screen")
        self.restart = restart

    @classmethod
    def of(cls, job: VirtualScreenJob[Any], settings: dict[str, Any]) -> ScreenJournal | None:
        """The journal of a job; None if it writes nothing."""
        return None if job.output is None else cls(job.output, settings, restart=job.force)

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
            if found.damaged:
                log.warning(
                    "%d lines of %s are damaged; these sequences are predicted again",
                    found.damaged,
                    run.journal.path,
                )
                run.journal.rewrite(found.entries)
        except OSError as error:
            raise OutputError(f"cannot write {run.folder}: {error.strerror or error}") from error
        return {tuple(e["key"]): e["scores"] for e in found.entries if {"key", "scores"} <= {*e}}

    def add(self, key: Key, scores: np.ndarray) -> None:
        """Keep the scores of a sequence; they are on the disk then."""
        try:
            self.run.journal.add({"key": list(key), "scores": scores.tolist()})
        except OSError as error:
            raise OutputError(
                f"cannot write {self.run.journal.path}: {error.strerror or error}; free some space "
                f"and repeat the command to go on"
            ) from error
