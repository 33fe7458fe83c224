"""Jobs whose work several processes may share: the ranks of torchrun, or dask workers."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from orca_cool.errors import EditError, OutputError
from orca_cool.genome.textfile import STANDARD_INPUT
from orca_cool.prediction import WINDOW_DTYPES, WINDOW_STORE_SIZE
from orca_cool.prediction.job import Job, Opened, Say
from orca_cool.prediction.parallel import is_rank

if TYPE_CHECKING:
    from orca_cool.prediction.parallel.ranks import Ranks
    from orca_cool.prediction.sharing import Alone, Shareable

J = TypeVar("J", bound="SharedJob")
P = TypeVar("P", bound="PiecewiseJob")
T = TypeVar("T")

#: Settings of a process that only merges what others compute, perhaps without their devices.
MERGES: dict[str, Any] = {
    "device": "cpu",
    "dtype": "float32",
    "encoder_dtype": "float32",
    "force_dtype": False,
    "store": None,
    "edges": None,
    "window_store": None,
    "window_store_dtype": WINDOW_DTYPES[0],
    "window_store_size": WINDOW_STORE_SIZE,
}


@dataclass(frozen=True, kw_only=True)
class SharedJob(Job):
    """A job of one process or of several.

    Attributes
    ----------
    nproc : processes of this machine. dask : compute on dask workers there: "local:N", "slurm:N",
        "tcp://host:port" or a scheduler file (.json).
    """

    nproc: int = 1
    dask: str | None = None

    @property
    def workers(self) -> str | None:
        """Where dask workers compute, None if this process does."""
        return f"local:{self.nproc}" if self.nproc > 1 else self.dask

    def check(self) -> None:
        """As :meth:`Job.check`."""
        super().check()
        if self.nproc > 1 and self.dask is not None:
            raise OutputError(f"--nproc {self.nproc} and --dask {self.dask!r}: give one of them")

    def agreed(self, value: Callable[[], T]) -> T:
        """As rank 0 of torchrun has it; without ranks, as this process has it."""
        if not is_rank():
            return value()
        from orca_cool.prediction.parallel.ranks import Ranks, same_for_all

        ranks = Ranks.from_environment()
        assert ranks is not None
        return same_for_all(ranks, value)

    def as_shared(self: J, ranks: Ranks | None) -> J:
        """The job as this process does it, one of several or not.

        Raises
        ------
        OutputError
            If there are both dask workers and ranks.
        DeviceError
            If this process's device does not exist.
        """
        from orca_cool.prediction.device import resolve_device

        if self.workers is not None:
            if ranks is not None:
                raise OutputError(
                    f"--dask {self.workers!r} and torchrun are two ways to share the work; "
                    f"choose one"
                )
            return dataclasses.replace(self, **MERGES)
        if ranks is None:
            resolve_device(self.device)
            return self
        device = ranks.device_name(self.device)
        resolve_device(device)
        return dataclasses.replace(self, device=device)


def silent(line: str) -> None:
    """Tell nobody: of several ranks only the first speaks."""


@dataclass(frozen=True, kw_only=True)
class PiecewiseJob(SharedJob):
    """A shared job of many items, of which what is found is merged in order
    (:mod:`orca_cool.prediction.sharing`).
    """

    @property
    def files(self) -> dict[str, str | None]:
        """The files that are read beside model and genome, by field."""
        return {}

    def check(self) -> None:
        """As :meth:`SharedJob.check`; EditError of a file that only one process could read."""
        super().check()
        if self.workers is not None or is_rank():
            for name, path in self.files.items():
                if path == STANDARD_INPUT:
                    raise EditError(
                        f"{self.option_of(name)} {path!r}: several processes share the work, and "
                        f"standard input is read by one; give a file"
                    )

    @staticmethod
    def option_of(name: str) -> str:
        """How the command line calls a field."""
        return f"--{name.replace('_', '-')}"

    def standalone(self: P) -> P:
        """As :meth:`Job.standalone`."""
        paths = {n: None if p is None else str(Path(p).absolute()) for n, p in self.files.items()}
        return super().standalone().with_files(**paths)

    def with_files(self: P, **paths: str | None) -> P:
        """The same job with other :attr:`files`."""
        return dataclasses.replace(self, **paths)  # type: ignore[arg-type]

    def of_worker(self: P) -> P:
        """The job as a worker of another process does it, which writes nothing by itself."""
        return dataclasses.replace(self.standalone(), nproc=1, dask=None)

    @contextlib.contextmanager
    def sharing(self) -> Iterator[Alone]:
        """Those who share the work, as a ``with`` block.

        Raises
        ------
        OrcaCoolError
            If dask workers cannot be reached, or there are ranks of torchrun, too.
        """
        from orca_cool.prediction.parallel.ranks import Ranks
        from orca_cool.prediction.sharing import Alone, OfRanks

        ranks = Ranks.from_environment()
        job = self.as_shared(ranks)
        if self.workers is not None:
            from orca_cool.prediction.parallel.workers import OfWorkers

            with OfWorkers(self.workers, self) as workers:
                yield workers
        elif ranks is not None:
            with ranks:
                yield OfRanks(ranks, job.device)
        else:
            yield Alone()

    def work_of(self, opened: Opened, share: Alone, say: Say) -> Shareable:
        """The work, ready to run.

        Parameters
        ----------
        opened : the job's (first) model and genome. share : who predicts.
        say : called with what the user should know, line by line.
        """
        raise NotImplementedError
