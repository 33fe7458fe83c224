"""The work folder beside an output: what an unfinished run has done, safe against any interruption,
kill -9 and a power cut included.

Every step is one checkpoint. Its arrays are written under temporary names, flushed and renamed;
then a line of the journal (:mod:`orca_cool.journal`) names them with their checksums. What the
journal does not name does not exist. When a run goes on, every array is held against its checksum:
a step of which one is damaged is computed again, as are the steps before it in its region, from
which its mosaic is rebuilt.
"""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.files import atomic_write, make_folder
from orca_cool.journal import Journal, checksum
from orca_cool.prediction.plan import Step
from orca_cool.profile import carried, staged

FORMAT = "orca-cool-work"
#: Version 1 had no checksums; its folders are begun anew.
VERSION = 2
JOURNAL = "journal.jsonl"
#: Where version 1 kept its settings.
FORMER = "manifest.json"

_PART = re.compile(r"(?:trans\.)?[0-9]{1,12}\.([0-9]{1,9})")

_log = logging.getLogger(__name__)


def is_work_folder(folder: Path) -> bool:
    """True if a run has left a checkpoint there."""
    return any((folder / name).exists() for name in (JOURNAL, FORMER))


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
    owner : this process merges, and holds the output's lock: it looks for damage, tells it, and
        makes the journal say so. The others read the journal only.

    Attributes
    ----------
    done : steps of the plan that are done and sound, each with the checksums of its arrays by name.

    Raises
    ------
    OutputError
        If the folder holds work of other settings; the message names the first that differs. If it
        cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        restart: bool = False,
        shared: bool = False,
        owner: bool = True,
    ):
        self.folder = folder
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.done: dict[int, dict[str, str]] = {}
        self._states: dict[int, str | None] = {}  # checksums, of steps that are done
        self._journal = Journal(folder / JOURNAL, FORMAT, VERSION, self.settings)
        self._owner = owner
        if restart and folder.exists():
            shutil.rmtree(folder)
        if owner and self._is_former():
            _log.warning("%s was left by a former version; it is begun anew", folder)
            shutil.rmtree(folder)
        if shared:
            self._create()
        self._open(shared)

    def _is_former(self) -> bool:
        """True of a folder of version 1 with these settings; OutputError if it has others."""
        if self._journal.path.exists():
            return False
        try:
            found = json.loads((self.folder / FORMER).read_text())["settings"]
        except FileNotFoundError:
            return False
        except (ValueError, KeyError, TypeError, OSError):
            return True
        self._require_same(dict(found))
        return True

    def _open(self, shared: bool) -> None:
        """Read the journal, and as its owner hold what it names against the checksums."""
        found = self._journal.read()
        if found is not None and found.settings is None:
            if not self._owner:
                raise OutputError(
                    f"the beginning of {self._journal.path} is damaged; repeat the command that "
                    f"writes the output, which begins the run anew"
                )
            _log.warning("the beginning of %s is damaged; the run begins anew", self._journal.path)
            shutil.rmtree(self.folder)
            found = None
            if shared:
                self._create()
        if found is None or found.settings is None:
            if not shared and self.folder.exists() and any(self.folder.iterdir()):
                shutil.rmtree(self.folder)  # killed before its first checkpoint
            return
        self._require_same(found.settings)
        strange = found.damaged + sum(not self._take(entry) for entry in found.entries)
        if not self._owner:
            return
        frontier = self.frontier
        lost = [f"{name}.npz" for step in sorted(self.done) for name in self._drop_damaged(step)]
        if frontier and self.frontier == frontier and not self._has_state():
            lost.append(f"state.{self.frontier - 1}.npz")
        if strange or lost:
            pieces = ([f"lines of the journal: {strange}"] if strange else []) + lost
            more = f" and {len(pieces) - 5} more" if len(pieces) > 5 else ""
            _log.warning(
                "%s is damaged (%s%s); these pieces are computed again",
                self.folder,
                ", ".join(pieces[:5]),
                more,
            )
            self._journal.rewrite(map(self._entry, sorted(self.done)))

    def _require_same(self, found: dict[str, Any]) -> None:
        for key in sorted({*found, *self.settings}):
            old, new = found.get(key), self.settings.get(key)
            if old != new:
                raise OutputError(
                    f"{self.folder} holds an unfinished run with {key} {old!r}, not {new!r}; "
                    f"repeat that run, or use --force to start anew"
                )

    def _take(self, entry: Mapping[str, Any]) -> bool:
        """Count an entry of the journal; False if it is none of ours. Names are those that this
        package gives: an entry cannot name a file elsewhere.
        """
        step, parts, state = entry.get("step"), entry.get("parts"), entry.get("state")
        if not isinstance(step, int) or step < 0 or not isinstance(parts, dict):
            return False
        names = [_PART.fullmatch(name) for name in parts]
        if not all(match and int(match[1]) == step for match in names):
            return False
        self.done[step], self._states[step] = parts, state
        return True

    def _drop_damaged(self, step: int) -> list[str]:
        """Names of a step's arrays that are not as they were written; with any, it is not done."""
        lost = [
            name for name, digest in self.done[step].items() if self._read(name, digest) is None
        ]
        if lost:
            del self.done[step], self._states[step]
        return lost

    def _read(self, name: str, digest: str) -> bytes | None:
        """The file of some arrays; None if it is not there as it was written."""
        try:
            data = (self.folder / f"{name}.npz").read_bytes()
        except OSError:
            return None
        return data if checksum(data) == digest else None

    def _has_state(self) -> bool:
        """True if the step after the last one can go on from its state, or needs none."""
        last = self.frontier - 1
        digest = self._states.get(last)
        return digest is None or self._read(f"state.{last}", digest) is not None

    def _create(self) -> None:
        """Make the folder with the journal of a run that has done nothing yet, unless there is
        one.
        """
        try:
            make_folder(self.folder)
            self._journal.begin()
        except OSError as error:
            raise OutputError(f"cannot write {self.folder}: {error.strerror or error}") from error

    @property
    def frontier(self) -> int:
        """Number of the first step that no run has come to yet."""
        return max(self.done, default=-1) + 1

    def todo(self, steps: Sequence[Step]) -> list[Step]:
        """Those steps of a plan that are to be computed, in order.

        Parameters
        ----------
        steps : all of the plan's.
        """
        frontier = min(self.frontier, len(steps))
        lost = [n for n in range(frontier) if n not in self.done]
        if frontier and not self._has_state():
            lost.append(frontier - 1)
        again: set[int] = set()
        for last in lost:
            first = last
            while steps[first].pair is None and not steps[first].first:
                first -= 1
            again.update(range(first, last + 1))
        return [steps[n] for n in sorted(again)] + list(steps[frontier:])

    @staged("checkpoints")
    def checkpoint(
        self,
        step: int,
        parts: Mapping[str, Mapping[str, np.ndarray]],
        state: Mapping[str, np.ndarray],
    ) -> None:
        """Add a finished step: its arrays, by name, and the state from which the next one goes on.

        Of a step that is done already, and only led to one that is not, nothing is written.

        Raises
        ------
        OutputError
            If they cannot be written (no space left, for one); earlier checkpoints stay good.
        """
        last = step + 1 >= self.frontier
        if step in self.done and not (last and not self._has_state()):
            return
        try:
            make_folder(self.folder)
            self._journal.begin()
            with ThreadPoolExecutor(1, "state") as other:  # the state is as large as the parts
                kept = carried(lambda: self._save(f"state.{step}", state))
                keeping = other.submit(kept) if state and last else None
                digests = self.done.get(step) or {n: self._save(n, p) for n, p in parts.items()}
                digest = None if keeping is None else keeping.result()
            self._journal.add({"step": step, "parts": digests, "state": digest})
        except OSError as error:
            raise OutputError(
                f"cannot write {self.folder}: {error.strerror or error}; free some space and "
                f"repeat the command to go on"
            ) from error
        self.done[step], self._states[step] = digests, digest
        if last:
            (self.folder / f"state.{step - 1}.npz").unlink(missing_ok=True)

    def _entry(self, step: int) -> dict[str, Any]:
        """A step as a line of the journal."""
        return {"step": step, "parts": self.done[step], "state": self._states[step]}

    def _save(self, name: str, arrays: Mapping[str, np.ndarray]) -> str:
        """Write arrays; the checksum of the file."""
        named: Any = dict(arrays)
        stream = io.BytesIO()
        np.savez(stream, **named)
        data = stream.getbuffer()
        with ThreadPoolExecutor(1, "checksum") as other:  # takes as long as writing
            digest = other.submit(carried(lambda: checksum(data)))
            atomic_write(self.folder / f"{name}.npz", data)
            return digest.result()

    def state(self) -> dict[str, np.ndarray]:
        """The state of the last step that is done; empty before the first."""
        last = self.frontier - 1
        digest = self._states.get(last)
        return {} if digest is None else self._load(f"state.{last}", digest)

    def load(self, name: str) -> dict[str, np.ndarray]:
        """Arrays of one part."""
        step = int(name.rpartition(".")[2])
        return self._load(name, self.done[step][name])

    def _load(self, name: str, digest: str) -> dict[str, np.ndarray]:
        data = self._read(name, digest)
        if data is None:
            raise OutputError(
                f"{self.folder / name}.npz is missing or damaged; repeat the command, which "
                f"computes it again"
            )
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {k: arrays[k] for k in arrays}

    def remove(self) -> None:
        """Delete the folder: the output is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)
