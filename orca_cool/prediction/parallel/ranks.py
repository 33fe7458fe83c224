"""The ranks of ``torchrun`` as helpers: each takes a slice of the work, rank 0 merges and writes.

``torchrun --nproc-per-node 4 -m orca_cool predict ...``; a rank that dies makes torchrun stop all,
and the same command goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from orca_cool.errors import OrcaCoolError
from orca_cool.prediction.checkpoint import WorkFolder
from orca_cool.prediction.engine import Engine, WindowMap
from orca_cool.prediction.parallel import is_rank, is_restarted
from orca_cool.prediction.plan import Plan, Progress, Step, split
from orca_cool.prediction.window_files import compute_steps, load_windows, unfinished, windows_path

T = TypeVar("T")

#: A rank may wait for the others as long as they compute.
PATIENCE = timedelta(days=365)
#: Seconds between two looks at what the others have done.
LOOK = 0.5
#: Seconds that a rank waits for the others when all is done; one that has failed does not come.
FAREWELL = 60.0


class Ranks:
    """One of several processes that torchrun started; on rank 0 the helpers of
    :func:`orca_cool.prediction.to_file.predict_to_file`.

    Parameters
    ----------
    rank, world : number of this process, and of all processes.
    local : rank on this node, which is the number of its GPU.
    restarted : torchrun has restarted the processes.
    """

    #: How often the ranks have met in this process: each counts for itself, and all alike.
    _meetings = 0
    #: Likewise, how often something was asked that is the same for all.
    _asked = 0

    numerics = None  # every rank's are those of rank 0: the work folder's settings say so

    def __init__(self, rank: int, world: int, local: int, restarted: bool = False):
        self.rank, self.world, self.local = rank, world, local
        self.restarted = restarted
        self._share: list[list[Step]] = []
        self._files: dict[int, Step] = {}  # steps to come from files
        self._waited = False

    @classmethod
    def from_environment(cls) -> Ranks | None:
        """The rank that the environment names; None outside torchrun, or if there is one process
        only.
        """
        if not is_rank():
            return None
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        rank, world, local = (int(os.environ[name]) for name in names)
        return cls(rank, world, local, is_restarted())

    def device_name(self, wanted: str) -> str:
        """ "auto" or "cuda" to this rank's own GPU, where there are any; other names as they
        are.
        """
        if wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available()):
            return f"cuda:{self.local}"
        return wanted

    def __enter__(self) -> Ranks:
        with _peers():
            store, rank, world = _shared_store()
            Ranks._meetings += 1
            # a store of its own for each meeting: the addresses of the one before lead nowhere
            self._store = dist.PrefixStore(f"meeting/{Ranks._meetings}", store)
            dist.init_process_group(
                "gloo", store=self._store, rank=rank, world_size=world, timeout=PATIENCE
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        with contextlib.suppress(Exception):
            if kind is None and self.rank == 0 and not self._waited:
                dist.barrier()  # the others wait there
            if kind is None:
                self._leave_together()
            dist.destroy_process_group()

    def _leave_together(self) -> None:
        """Hang up when nobody listens any more: what a rank has sent is lost to those that have not
        yet read it when it goes.
        """
        self._store.add("leaving", 1)
        last = time.monotonic() + FAREWELL
        while int(self._store.add("leaving", 0)) < self.world and time.monotonic() < last:
            time.sleep(0.01)

    def agree(self, value: Any) -> Any:
        """Rank 0's value, on every rank; OrcaCoolError if rank 0 has stopped."""
        found = [value]
        with _peers():
            dist.broadcast_object_list(found, 0)
        return found[0]

    def count(self, number: int) -> int:
        """Add to what the ranks have done together; all of it."""
        with _peers():
            return int(self._store.add("done", number))

    def gather(self, value: Any, look: Callable[[], object]) -> list[Any]:
        """The values of all ranks, on every rank; OrcaCoolError if one has stopped.

        Parameters
        ----------
        look : called again and again while the others are at work.
        """
        with _peers():
            barrier = dist.barrier(async_op=True)
            while not barrier.is_completed():
                time.sleep(LOOK)
                look()
            barrier.wait()
            found: list[Any] = [None] * self.world
            dist.all_gather_object(found, value)
        self._waited = True
        return found

    def work(self, engine: Engine, plan: Plan, folder: Path) -> None:
        """Ranks other than 0: compute this rank's slice. OutputError as
        :func:`orca_cool.prediction.window_files.compute_steps`.
        """
        compute_steps(engine, plan, self._agree(plan, [])[self.rank], folder)
        with _peers():
            dist.barrier()

    def start(self, plan: Plan, work: WorkFolder, progress: Progress) -> Progress:
        """Rank 0: tell the others what there is to do. Windows that they have done count as
        done.
        """
        self._share = self._agree(plan, unfinished(plan, work))
        mine = {step.number for step in self._share[0]}
        self._files = {
            step.number: step for step in work.todo(plan.steps) if step.number not in mine
        }
        self._theirs = {step.number for part in self._share[1:] for step in part}
        looked, found = 0.0, 0

        def report(done: int, total: int) -> None:
            nonlocal looked, found
            self._last = (done, total)
            if self._waited or time.monotonic() - looked > LOOK:
                found = sum(
                    len(step)
                    for step in self._files.values()
                    if windows_path(work.folder, step).exists()
                )
                looked = time.monotonic()
            progress(done + found, total)

        self._last, self._report = (0, 0), report
        self._load = lambda step: load_windows(work.folder, step, plan.settings.strand_difference)
        return report

    def elsewhere(self, step: Step) -> bool:
        """Rank 0: true unless the step is in its own slice."""
        return step.number in self._files

    def windows(self, step: Step) -> list[WindowMap] | None:
        """Rank 0: the first step of another rank waits until all are done; a step without a sound
        file is the caller's.
        """
        if step.number in self._theirs and not self._waited:
            self._wait()
        self._files.pop(step.number, None)
        return self._load(step)

    def _wait(self) -> None:
        with _peers():
            barrier = dist.barrier(async_op=True)
            while not barrier.is_completed():
                time.sleep(LOOK)
                self._report(*self._last)
            barrier.wait()
        self._waited = True

    def _agree(self, plan: Plan, todo: Sequence[Step]) -> list[list[Step]]:
        """The steps of every rank, from rank 0's list of what is to do; the others wait for it."""
        flags = torch.zeros(len(plan.steps), dtype=torch.uint8)
        flags[[step.number for step in todo]] = 1
        with _peers():
            dist.broadcast(flags, 0)
        return split(
            plan.spec, [step for step, flag in zip(plan.steps, flags.tolist()) if flag], self.world
        )


def same_for_all(ranks: Ranks, value: Callable[[], T]) -> T:
    """What rank 0 makes, on every rank. All ranks call this, whether they have met or not.

    Parameters
    ----------
    value : makes it: plain values, as JSON has them.

    Raises
    ------
    OrcaCoolError
        If rank 0 has stopped.
    """
    if dist.is_initialized():
        found: T = ranks.agree(value() if ranks.rank == 0 else None)
        return found
    made = value() if ranks.rank == 0 else None
    with _peers():
        store, _, _ = _shared_store()
        Ranks._asked += 1
        key = f"same for all/{Ranks._asked}"
        if ranks.rank == 0:
            store.set(key, json.dumps(made))
        store.wait([key], PATIENCE)
        found = json.loads(store.get(key))
    return found


def _shared_store() -> tuple[Any, int, int]:
    """The store of torchrun that all ranks see, this rank, and their number."""
    store, rank, world = next(dist.rendezvous("env://", timeout=PATIENCE))
    if os.environ.get("GROUP_WORLD_SIZE") == "1":
        # torchrun's store on a single node lives on through restarts, with the addresses of ranks
        # that are dead
        restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = dist.PrefixStore(f"orca-cool/{restart}", store)
    return store, rank, world


@contextlib.contextmanager
def _peers() -> Iterator[None]:
    """What torch raises when another rank is gone, as one error."""
    try:
        yield
    except RuntimeError as error:
        raise OrcaCoolError(
            f"another rank has stopped ({str(error).splitlines()[0]}); repeat the command to go on"
        ) from error
