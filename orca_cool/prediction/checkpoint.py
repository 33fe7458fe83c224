"""The work folder beside an output: what an unfinished run has done, safe against any interruption,
kill -9 included.

Every step is one checkpoint. Its arrays are written under temporary names, then renamed; then
``manifest.json``, which lists them, is replaced atomically. What the manifest does not list does
not exist.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.files import atomic_path, atomic_write, write_once

FORMAT = "orca-cool-work"
VERSION = 1
MANIFEST = "manifest.json"


def is_work_folder(folder: Path) -> bool:
    """True if a run has left a checkpoint there."""
    return (folder / MANIFEST).exists()


class WorkFolder:
    """Checkpoints of one prediction.

    Parameters
    ----------
    folder : made if missing.
    settings : everything that decides the result, plain values. A folder of other settings is
        refused.
    restart : throw away what is there.
    shared : other processes work in the folder too. The first of them makes it at once, and nothing
        in it is removed.

    Attributes
    ----------
    step : steps of the plan that are done.
    parts : names of the arrays that they have finished, in order.

    Raises
    ------
    OutputError
        If the folder holds work of other settings; the message names the first that differs. If it
        cannot be made.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], restart: bool = False, shared: bool = False
    ):
        self.folder = folder
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        if restart and folder.exists():
            shutil.rmtree(folder)
        self.step = 0
        self.parts: list[str] = []
        if shared:
            self._create()
        found = self._read()
        if found is None:
            if folder.exists() and any(folder.iterdir()):
                shutil.rmtree(folder)  # killed before its first checkpoint
        else:
            for key in sorted({*found["settings"], *self.settings}):
                old, new = found["settings"].get(key), self.settings.get(key)
                if old != new:
                    raise OutputError(
                        f"{folder} holds an unfinished run with {key} {old!r}, not {new!r}; "
                        f"repeat that run, or use --force to start anew"
                    )
            self.step = found["step"]
            self.parts = found["parts"]

    def _create(self) -> None:
        """Make the folder with the manifest of a run that has done nothing yet, unless there is
        one.
        """
        final = self.folder / MANIFEST
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_once(final, self._json())
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {error.strerror or error}") from error

    def _json(self) -> str:
        """The work as it is now."""
        text = {
            "format": FORMAT,
            "version": VERSION,
            "settings": self.settings,
            "step": self.step,
            "parts": self.parts,
        }
        return json.dumps(text)

    def _read(self) -> dict[str, Any] | None:
        try:
            found = json.loads((self.folder / MANIFEST).read_text())
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise OutputError(
                f"{self.folder / MANIFEST} cannot be read ({error}); use --force to start anew"
            ) from error
        if found.get("format") != FORMAT or found.get("version") != VERSION:
            raise OutputError(
                f"{self.folder} was left by another version of orca-cool; use --force to start anew"
            )
        return dict(found)

    def checkpoint(
        self, parts: Mapping[str, Mapping[str, np.ndarray]], state: Mapping[str, np.ndarray]
    ) -> None:
        """Add finished parts, by name, and the state from which the next step continues.

        Raises
        ------
        OutputError
            If they cannot be written (no space left, for one); earlier checkpoints stay good.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, arrays in parts.items():
                self._save(name, arrays)
            self._save(f"state{self.step + 1}", state)
            self.parts += list(parts)
            self.step += 1
            atomic_write(self.folder / MANIFEST, self._json())
        except OSError as error:
            raise OutputError(
                f"cannot write {self.folder}: {error.strerror or error}; free some space and "
                f"repeat the command to go on"
            ) from error
        (self.folder / f"state{self.step - 1}.npz").unlink(missing_ok=True)

    def _save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        named: Any = dict(arrays)
        with atomic_path(self.folder / f"{name}.npz") as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **named)

    def state(self) -> dict[str, np.ndarray]:
        """The state of the last checkpoint; empty before the first."""
        return {} if self.step == 0 else self.load(f"state{self.step}")

    def load(self, name: str) -> dict[str, np.ndarray]:
        """Arrays of one part."""
        path = self.folder / f"{name}.npz"
        try:
            with np.load(path, allow_pickle=False) as data:
                return {k: data[k] for k in data}
        except (OSError, ValueError, KeyError) as error:
            raise OutputError(
                f"{path} is missing or damaged ({error}); use --force to start anew"
            ) from error

    def remove(self) -> None:
        """Delete the folder: the output is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)
