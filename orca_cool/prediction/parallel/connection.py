"""The way to the workers of dask.distributed: on this machine, on a SLURM cluster, or wherever a
scheduler is. Needs the extra ``cluster``.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from typing import Any, Self

import torch

from orca_cool.errors import OrcaCoolError, missing_package

log = logging.getLogger(__name__)

#: Run in each local worker: Ctrl-C reaches all processes of a terminal, and the first of them stops
#: the others, which need not complain.
LEAVE_CTRL_C = """
import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
"""


def device_of_worker(wanted: str) -> str:
    """ "auto" or "cuda" to one of the GPUs: workers of a local cluster, which are numbered, take
    them in turn.
    """
    from distributed import get_worker

    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        name = get_worker().name
        return f"cuda:{name % torch.cuda.device_count()}" if isinstance(name, int) else "cuda"
    return wanted


def _local_cluster(count: int) -> Any:
    """``count`` processes on this machine, of one thread each for dask."""
    import dask
    import distributed

    # dask gives each worker one thread of arithmetic: share what there is
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, (os.cpu_count() or 1) // count)
    settings = {
        # in place of dask's own, which has a low MALLOC_TRIM_THRESHOLD_, too: with it the C library
        # asks the system for every array anew, and half of the time goes into fresh pages
        "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": threads},
        "distributed.worker.preload": [LEAVE_CTRL_C],
    }
    with dask.config.set(settings):
        return distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            # any free port: None is port 8787, of which a second cluster here warns
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
        )


class Cluster:
    """A cluster and a client of it (``client``), as a context manager.

    Parameters
    ----------
    where : ``local:N`` (N processes of one thread for dask on 127.0.0.1), ``slurm:N`` (N jobs of
        dask_jobqueue.SLURMCluster, as its own configuration file has it), ``tcp://host:port`` or
        ``tls://host:port``, or the path of a scheduler file (.json).

    Raises
    ------
    OrcaCoolError
        If ``where`` is none of these, dask is not installed, or the cluster cannot be reached.
    """

    def __init__(self, where: str):
        self.where = where
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        kind, _, rest = self.where.partition(":")
        count = int(rest) if rest.isdigit() else 0
        if not (
            (kind in ("local", "slurm") and count > 0)
            or (kind in ("tcp", "tls") and rest.startswith("//"))
            or self.where.endswith(".json")
        ):
            raise OrcaCoolError(
                f"--dask {self.where!r} is not understood; write local:N, slurm:N, "
                f"tcp://host:port or a scheduler file (.json)"
            )
        try:
            import distributed

            self.client = self._stack.enter_context(
                distributed.Client(**self._address(kind, count))
            )
            if kind == "slurm":
                log.info("waiting for the first SLURM job")
            self.greet()
            self.workers = count or max(1, len(self.client.ncores()))
        except ImportError as error:
            self._stack.close()
            raise OrcaCoolError(
                missing_package(f"--dask {self.where!r}", error, "cluster")
            ) from error
        except OrcaCoolError:
            self._stack.close()
            raise
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            self._stack.close()
            raise OrcaCoolError(
                f"--dask {self.where!r}: the cluster cannot be used ({error})"
            ) from error
        except BaseException:
            self._stack.close()
            raise
        return self

    def _address(self, kind: str, count: int) -> dict[str, Any]:
        """How the client finds the scheduler; a cluster of our own is started, and stopped on
        leaving.
        """
        if kind == "local":
            return {"address": self._stack.enter_context(_local_cluster(count))}
        if kind == "slurm":
            import dask_jobqueue

            cluster = self._stack.enter_context(dask_jobqueue.SLURMCluster())
            cluster.scale(jobs=count)
            return {"address": cluster}
        key = "scheduler_file" if self.where.endswith(".json") else "address"
        return {key: self.where}

    def __exit__(self, *_: Any) -> None:
        self._stack.close()

    def greet(self) -> None:
        """Called when the client is there; what fails here is told as a fault of the cluster."""

    def cancel(self, futures: Sequence[Any]) -> None:
        """Give up tasks of a cluster that goes on without this client; workers of our own just
        end.
        """
        if not self.where.startswith(("local:", "slurm:")):
            with contextlib.suppress(Exception):
                self.client.cancel(futures)

    def result(self, future: Any) -> Any:
        """What a task returned.

        Raises
        ------
        OrcaCoolError
            If the task failed, or the cluster is lost.
        """
        from distributed import CancelledError, KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            raise OrcaCoolError(
                f"dask workers died again and again over the same task ({error}); is their "
                f"memory enough?"
            ) from error
        except (CancelledError, OSError) as error:
            raise OrcaCoolError(
                f"--dask {self.where!r}: the cluster is lost ({error}); repeat the command to go on"
            ) from error
