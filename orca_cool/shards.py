"""The steps of a prediction, their split among workers, and the files in which workers leave the
windows of a step.

A step is one root window with all that lies below it, or one pair of chromosome pieces. Whoever
merges adds the very arrays that a worker computed, in the plan's order: the file is the one that a
single process writes.
"""

from __future__ import annotations

import hashlib
import io
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from orca_cool.errors import OutputError
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.levels import Chain, Settings
from orca_cool.manifest import Manifest
from orca_cool.model.spec import ModelSpec, ModuleSpec
from orca_cool.predict import Predictor, WindowMap
from orca_cool.windows import Window, by_root, plan

Progress = Callable[[int, int], None]

#: Encoding so many bp costs about as much as decoding one pixel of a window (released sizes). Used
#: for balance alone.
PIXEL_BP = 10
DIGEST = 16


@dataclass(frozen=True)
class Step:
    """One root window with what lies below it, or a pair of chromosome pieces (``pair``, with one
    window).

    ``pending``: by resolution, the first window still to come in the region. ``first``, ``last``:
    of its region. ``taken``: end in bp of the region before it on the same chromosome, 0 if there
    is none.
    """

    number: int
    module: ModuleSpec
    levels: list[list[Window]]
    region: Region | None = None
    pending: dict[int, int | None] | None = None
    first: bool = False
    last: bool = False
    taken: int = 0
    pair: tuple[Segment, Segment] | None = None

    def __len__(self) -> int:
        """Windows."""
        return sum(len(level) for level in self.levels)


@dataclass(frozen=True)
class Plan:
    """All that a prediction will do.

    Attributes
    ----------
    need, written : bins of distance that each level's mosaic holds, and that its file rows hold.
    identity : everything that decides the result: the settings of the work folder.
    """

    spec: ModelSpec
    regions: list[Region]
    settings: Settings
    chain: Chain
    need: dict[int, int]
    written: dict[int, int]
    steps: list[Step]
    identity: dict[str, Any]

    def __len__(self) -> int:
        """Windows."""
        return sum(len(step) for step in self.steps)


class Crew(Protocol):
    """Other processes that compute steps.

    Attributes
    ----------
    numbers : their ``Predictor.numbers`` (device, number types); None: the caller's own.
    again : this is another attempt of the same command, whose work is not to be thrown away.
    """

    numbers: dict[str, str] | None
    again: bool

    def start(self, plan: Plan, manifest: Manifest, progress: Progress) -> Progress:
        """Begin; the manifest is there. Returns what the caller is to report its own progress to."""
        ...

    def windows(self, step: Step) -> list[WindowMap] | None:
        """A step's windows, as soon as they are there; None if the caller is to compute them."""
        ...


def root_steps(
    spec: ModelSpec, chromsizes: dict[str, int], regions: Sequence[Region], chain: Chain
) -> list[Step]:
    """A step for each root window of each region, coarser modules first: the finer levels are
    filled from them.
    """
    steps: list[Step] = []
    for region, before in zip(regions, [None, *regions]):
        taken = before.end if before is not None and before.chrom == region.chrom else 0
        roots = []
        for module in reversed(chain.modules):  # modules are listed finest first
            mine = chain.of(module)
            if mine:
                below = [r for r in module.resolutions if r >= min(mine)]
                levels = plan(chromsizes[region.chrom], below, spec.bins, region.start, region.end)
                roots += [(module, root) for root in by_root(levels)]
        roots.sort(
            key=lambda item: -item[0].resolutions[0]
        )  # stable: roots stay in order within a module
        pending: dict[int, int | None] = dict.fromkeys(chain.resolutions)
        reverse = []
        for k, (module, levels) in reversed(list(enumerate(roots))):
            reverse.append((module, levels, dict(pending), k))
            for window in (
                w for level in levels for w in level if chain.owner(w.resolution) is module
            ):
                known = pending[window.resolution]
                pending[window.resolution] = (
                    window.start if known is None else min(known, window.start)
                )
        for module, levels, later, k in reversed(reverse):
            steps.append(
                Step(len(steps), module, levels, region, later, k == 0, k == len(roots) - 1, taken)
            )
    return steps


def costs(spec: ModelSpec, steps: Sequence[Step]) -> list[float]:
    """Relative cost of each step after the ones before it: its windows, and the sequence that it is
    the first to encode.
    """
    out, known = [], ("", 0)
    for step in steps:
        top = step.module.resolutions[0]
        new = spec.window(top)
        if step.region is not None and not step.module.assembly:
            end = step.levels[0][0].start * top + new
            if known[0] == step.region.chrom:
                new = min(new, max(0, end - known[1]))
            known = (step.region.chrom, max(end, known[1] if known[0] == step.region.chrom else 0))
        out.append(len(step) + new / (PIXEL_BP * spec.bins**2))
    return out


def slices(cost: Sequence[float], n: int) -> list[range]:
    """``n`` contiguous ranges (some possibly empty) that cover all steps once; none costs more than
    its fair share plus one step.
    """
    total = float(sum(cost))
    middles = np.cumsum(cost) - np.asarray(cost, float) / 2
    owner = (
        np.minimum((n * middles / total).astype(int), n - 1)
        if total > 0
        else np.zeros(len(cost), int)
    )
    edges = np.searchsorted(owner, np.arange(n + 1))
    return [range(int(a), int(b)) for a, b in zip(edges, edges[1:])]


def split(spec: ModelSpec, steps: Sequence[Step], n: int) -> list[list[Step]]:
    """Steps in ``n`` contiguous runs of about the same cost; neighbours, which share encodings,
    stay together.
    """
    return [[steps[i] for i in part] for part in slices(costs(spec, steps), n)]


def compute(predictor: Predictor, step: Step) -> Iterator[WindowMap]:
    """A step's windows, level by level, windows by start."""
    if step.pair is not None:
        values, spread = predictor.trans(step.module, *step.pair)
        yield WindowMap(step.levels[0][0], values, spread)
    else:
        assert step.region is not None
        yield from predictor.windows(step.module, step.region.chrom, step.levels)


def windows_path(folder: Path, step: Step) -> Path:
    """Where a worker leaves the windows of a step."""
    return folder / f"windows.{step.number}.npz"


def save_windows(folder: Path, step: Step, maps: Sequence[WindowMap], spread: bool) -> None:
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
    if spread:
        arrays["spread"] = np.stack([m.spread for m in maps])
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    # any number of processes may compute the same step; each has a name of its own, and any of them
    # will do
    temporary = folder / f"windows.{step.number}.{uuid.uuid4().hex}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(stream.getbuffer())
            file.write(_digest(stream.getbuffer()))
        os.replace(temporary, windows_path(folder, step))
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {folder}: {error.strerror or error}; free some space and repeat the "
            f"command to go on"
        ) from error


def load_windows(folder: Path, step: Step, spread: bool) -> list[WindowMap] | None:
    """A step's windows from a worker's file; None if there is none, or it is damaged or of another
    plan.

    Without ``spread`` the maps' ``spread`` is empty.
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
    if sorted(names) != sorted(known) or (spread and "spread" not in arrays):
        return None
    none = np.zeros((0, 0), np.float32)
    halves = arrays["spread"] if spread else [none] * len(names)
    return [
        WindowMap(known[name], values, half)
        for name, values, half in zip(names, arrays["values"], halves)
    ]


def _digest(data: memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST).digest()


def unfinished(plan: Plan, manifest: Manifest) -> list[Step]:
    """Steps that are neither merged nor left as a sound file of windows."""
    return [
        s
        for s in plan.steps[manifest.step :]
        if load_windows(manifest.folder, s, plan.settings.spread) is None
    ]


def compute_shard(
    predictor: Predictor,
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
    manifest = Manifest(folder, plan.identity, shared=True)
    report = progress or (lambda done, total: None)
    total, finished, computed = sum(len(s) for s in steps), 0, 0
    report(finished, total)
    for step in steps:
        if (
            step.number < manifest.step
            or load_windows(folder, step, plan.settings.spread) is not None
        ):
            finished += len(step)
            report(finished, total)
            continue
        maps = []
        for found in compute(predictor, step):
            maps.append(found)
            finished += 1
            report(finished, total)
        save_windows(folder, step, maps, plan.settings.spread)
        computed += 1
    return computed
