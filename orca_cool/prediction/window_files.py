"""Files in which one process leaves the windows of a step for the process that merges them.

The merging process adds the very arrays that the other computed, in the plan's order: the .mcool is
the one that a single process writes.
"""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.files import atomic_path
from orca_cool.prediction.checkpoint import WorkFolder
from orca_cool.prediction.engine import Engine, WindowMap
from orca_cool.prediction.many_roots import RootWindows, decode_roots
from orca_cool.prediction.plan import Plan, Progress, Step

#: Bytes of the digest at the end of a file.
DIGEST = 16


def compute(
    engine: Engine, steps: Iterable[Step], tick: Callable[[], object] = lambda: None
) -> Iterator[tuple[Step, list[WindowMap]]]:
    """The windows of steps, step by step; of each level by level, windows by start. Neighbouring
    steps are computed together (:mod:`orca_cool.prediction.many_roots`).

    Parameters
    ----------
    tick : called after each window; an exception that it raises ends all.
    """
    for pair, some in itertools.groupby(steps, lambda step: step.pair is not None):
        if pair:
            for step in some:
                assert step.pair is not None
                values, strand_difference = engine.trans(step.module, *step.pair)
                tick()
                yield step, [WindowMap(step.levels[0][0], values, strand_difference)]
            continue
        these, others = itertools.tee(some)
        roots = (RootWindows(s.module, s.region.chrom, s.levels) for s in others if s.region)
        yield from zip(these, decode_roots(engine, roots, tick))


def windows_path(folder: Path, step: Step) -> Path:
    """Where the windows of a step are left."""
    return folder / f"windows.{step.number}.npz"


def save_windows(
    folder: Path, step: Step, maps: Sequence[WindowMap], strand_difference: bool
) -> None:
    """Leave a step's windows in the work folder: arrays and, behind them, their digest; renamed
    when whole.

    Raises
    ------
    OutputError
        If the file cannot be written; nothing of it stays.
    """
    arrays: dict[str, Any] = {
        "windows": np.array([(m.window.resolution, m.window.start) for m in maps], np.int64),
        "values": np.stack([m.values for m in maps]),
    }
    if strand_difference:
        arrays["strand_difference"] = np.stack([m.strand_difference for m in maps])
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    try:
        # any number of processes may compute the same step; any of their files will do
        with atomic_path(windows_path(folder, step)) as temporary, open(temporary, "wb") as file:
            file.write(stream.getbuffer())
            file.write(_digest(stream.getbuffer()))
    except OSError as error:
        raise OutputError(
            f"cannot write {folder}: {error.strerror or error}; free some space and repeat the "
            f"command to go on"
        ) from error


def load_windows(folder: Path, step: Step, strand_difference: bool) -> list[WindowMap] | None:
    """A step's windows from the file that another process has left; None if there is none, or it is
    damaged or of another plan.

    Without ``strand_difference`` the maps' ``strand_difference`` is empty.
    """
    try:
        data = windows_path(folder, step).read_bytes()
    except OSError:
        return None
    if len(data) < DIGEST or _digest(memoryview(data)[:-DIGEST]) != data[-DIGEST:]:
        return None
    with np.load(io.BytesIO(data[:-DIGEST]), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file}
    known = {(w.resolution, w.start): w for level in step.levels for w in level}
    names = [(int(r), int(s)) for r, s in arrays["windows"]]
    if sorted(names) != sorted(known) or (strand_difference and "strand_difference" not in arrays):
        return None
    empty = np.zeros((0, 0), np.float32)
    halves = arrays["strand_difference"] if strand_difference else [empty] * len(names)
    return [
        WindowMap(known[name], values, half)
        for name, values, half in zip(names, arrays["values"], halves)
    ]


def _digest(data: memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST).digest()


def unfinished(plan: Plan, work: WorkFolder) -> list[Step]:
    """Steps that are neither merged nor left as a sound file of windows."""
    return [
        s
        for s in work.todo(plan.steps)
        if load_windows(work.folder, s, plan.settings.strand_difference) is None
    ]


def compute_steps(
    engine: Engine,
    plan: Plan,
    steps: Iterable[Step],
    folder: Path,
    progress: Progress | None = None,
) -> int:
    """Compute those of ``steps`` that are not merged and have no sound file of windows yet, and
    leave their windows in ``folder``.

    Any number of processes may do so at the same time, in the same folder, and again after any of
    them was killed.

    Parameters
    ----------
    folder : work folder, ``<output>.partial``; made if missing.
    progress : called with (windows done, windows in all) of these steps.

    Returns
    -------
    Steps that were computed.

    Raises
    ------
    OutputError
        If the folder holds work of other settings, or cannot be written.
    """
    steps = list(steps)
    work = WorkFolder(folder, plan.identity, shared=True, owner=False)
    todo = {step.number for step in work.todo(plan.steps)}
    report = progress or (lambda done, total: None)
    total, finished, computed = sum(len(s) for s in steps), 0, 0

    def tick(windows: int = 1) -> None:
        nonlocal finished
        finished += windows
        report(finished, total)

    tick(0)
    missing = []
    for step in steps:
        if (
            step.number in todo
            and load_windows(folder, step, plan.settings.strand_difference) is None
        ):
            missing.append(step)
        else:
            tick(len(step))
    for step, maps in compute(engine, missing, tick):
        save_windows(folder, step, maps, plan.settings.strand_difference)
        computed += 1
    return computed
