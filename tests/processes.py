"""Processes of their own to kill, without the seconds in which Python loads torch: they are forked off a
server that has loaded it already, and has no threads.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    ["torch", "orca_cool.cli", "orca_cool.effects.predict_job", "orca_cool.model.bundle"]
)


def start(target: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """A process that calls ``target``, a function of a module that can be imported."""
    process = _forks.Process(target=target, args=arguments)
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """Its exit code, negative for a signal."""
    process.join(300)
    code = process.exitcode
    if code is None:
        process.kill()
    assert code is not None, "it does not end"
    return code


def orca(*line: str) -> None:
    """``orca-cool``, to be called in a process of its own."""
    from orca_cool.cli import main

    main(list(line))
