"""The options of verbs whose work several processes may share."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

#: What the workers of a screen need to see.
NEEDS = "Model, genome and all files that are read must lie where the workers see them."

F = TypeVar("F", bound=Callable[..., Any])


def workers_options(verb: str, needs: str) -> Callable[[F], F]:
    """``--nproc`` and ``--dask``.

    Parameters
    ----------
    verb : as it is called: "screen local". needs : what the workers need to see, as a sentence.
    """

    def add(function: F) -> F:
        where = click.option(
            "--dask",
            metavar="WHERE",
            help="Compute on dask workers: local:N processes, slurm:N jobs (as dask-jobqueue is "
            f"configured), tcp://host:port, or a scheduler file (.json). {needs} For several GPUs "
            f"of one machine also: torchrun --nproc-per-node N -m orca_cool {verb} ...",
        )
        processes = click.option(
            "--nproc",
            "-p",
            default=1,
            show_default=True,
            type=click.IntRange(min=1),
            help="Processes on this machine (dask workers; extra `cluster`).",
        )
        return processes(where(function))

    return add


def quieten_dask() -> None:
    """dask tells each step of its workers' lives; only ``-v`` shows them."""
    if logging.getLogger().level > logging.INFO:
        os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
