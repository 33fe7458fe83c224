"""Jobs whose work several processes may share: the ranks of torchrun, or dask workers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from orca_cool.errors import OutputError
from orca_cool.prediction.job import Job
from orca_cool.prediction.parallel import is_rank

if TYPE_CHECKING:
    from orca_cool.prediction.parallel.ranks import Ranks

J = TypeVar("J", bound="SharedJob")
T = TypeVar("T")

#: Settings of a process that only merges what others compute, perhaps without their devices.
MERGES: dict[str, Any] = {
    "device": "cpu",
    "dtype": "float32",
    "encoder_dtype": "float32",
    "force_dtype": False,
    "store": None,
    "edges": None,
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
