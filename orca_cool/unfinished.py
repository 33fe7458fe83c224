"""The folder of an unfinished run, beside its output: what is done lies there until the output is
written, so that a run that was killed goes on when it is repeated.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orca_cool.errors import OutputError
from orca_cool.files import make_folder
from orca_cool.journal import Found, Journal

log = logging.getLogger(__name__)


class Unfinished:
    """The folder of an unfinished run, OUT.partial, with its journal.

    Parameters
    ----------
    output : what the run writes, or what the names of its files begin with.
    kind : of the journal's format.
    settings : plain values that the run's numbers depend on; a run of others does not go on here.
    noun : what the run makes, for messages: "table", "screen".
    """

    def __init__(self, output: Path, kind: str, settings: Mapping[str, Any], noun: str):
        self.noun = noun
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.folder = output.with_name(f"{output.name}.partial")
        self.journal = Journal(self.folder / "journal.jsonl", kind, 1, self.settings)

    def begin(self) -> Found:
        """Take up what an unfinished run has left; where there is none, or the first line of its
        journal is damaged, begin anew.

        Returns
        -------
        What is there; empty at the beginning.

        Raises
        ------
        OutputError
            If it is of other settings.
        OSError
            If the folder cannot be written.
        """
        found = self.journal.read()
        if found is not None and found.settings is None:
            log.warning(
                "the beginning of %s is damaged; the %s begins anew", self.journal.path, self.noun
            )
        if found is None or found.settings is None:
            self.remove()
            make_folder(self.folder)
            self.journal.begin()
            return Found(self.settings, [], 0)
        self.require_same(found.settings)
        return found

    def require_same(self, found: Mapping[str, Any]) -> None:
        """OutputError that names the settings in which those that were found differ."""
        if found != self.settings:
            differ = [k for k in self.settings if found.get(k) != self.settings[k]]
            raise OutputError(
                f"{self.folder} holds an unfinished {self.noun} of other settings "
                f"({', '.join(differ) or 'unknown'}); "
                "repeat the command that began it, or use --force to start anew"
            )

    def beside(self, path: Path) -> Journal:
        """A journal of the same run in another file, of a process that shares the work."""
        return Journal(path, self.journal.kind, self.journal.version, self.settings)

    def remove(self) -> None:
        """Remove the folder: its run is finished, or begins anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
