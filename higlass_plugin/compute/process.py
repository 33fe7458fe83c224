"""A process that computes units for the server's, so that its queue and its processor or GPU are
its own. It is told units in plain form (:mod:`higlass_plugin.compute.plain_units`), opens the
genomes that they are of, and answers with their values.

Units are computed as they are in the server itself, so that the numbers are the same. A process
that ends is replaced, and what it had in hand is computed again.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import torch

from higlass_plugin.compute.plain_units import PlainUnit, from_plain, with_arrays, with_tensors
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.units import Preempted
from higlass_plugin.compute.urgent import SharedFlag, Urgent
from higlass_plugin.tiles import public_message
from orca_cool.errors import OrcaCoolError
from orca_cool.profile import REST, Profile

logger = logging.getLogger(__name__)

#: Niceness of those who compute, so that requests are answered first.
NICENESS = 5
#: How often what a process had in hand when it ended is given to another one.
TRIES = 2


class ProcessEnded(OrcaCoolError):
    """A predicting process ended, and so did the one after it."""


class OpenGenomes(Protocol):
    """The predicted genomes that a process has open."""

    @property
    def device(self) -> torch.device:
        """Where the networks run."""
        ...

    @property
    def encoded(self) -> tuple[int, int]:
        """bp encoded so far, and bytes of encodings in memory."""
        ...

    def predicted(self, url: str) -> PredictedGenome:
        """The predicted genome of an ``orca://`` URL."""
        ...


#: Opens what a process predicts; it can be sent to another process, as can what it is called with.
Opener = Callable[[Any, Urgent], OpenGenomes]


class PredictingProcess:
    """A process that computes units, and the next one where it ends.

    Parameters
    ----------
    opener, options : ``opener(options, urgent)`` is called there.
    threads : of arithmetic that it uses.

    Attributes
    ----------
    urgent : set it, and what is computed makes way where it can.
    restarts : how often a process was replaced.
    encoded_bp : sequence in bp that it has encoded. encoded_bytes : of encodings in its memory.
    stages : (name, seconds of the clock, seconds of CPU) of what was computed last.
    """

    def __init__(self, opener: Opener, options: Any, threads: int):
        self.urgent = SharedFlag()
        self.restarts, self.encoded_bp, self.encoded_bytes = 0, 0, 0
        self.stages: list[tuple[str, float, float]] = []
        self._what = opener, options, threads
        self._lock, self._stopped = threading.Lock(), False
        self._start()

    @property
    def pid(self) -> int | None:
        """Its number on this machine."""
        return self._process.pid

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, there = context.Pipe()
        self._process = context.Process(
            target=_run, args=(there, self.urgent, *self._what), name="predictions", daemon=True
        )
        self._ready, self._earlier = False, self.encoded_bp
        self._process.start()
        there.close()  # or its end would not be noticed

    def compute(self, plain: Sequence[PlainUnit], above: Sequence[Any]) -> list[tuple[Any, int]]:
        """Values of units of one kind, and their sizes in bytes.

        Parameters
        ----------
        plain : the units. above : what each needs, see :meth:`Unit.compute`.

        Raises
        ------
        Preempted
            If ``urgent`` was set, or the process was stopped.
        ProcessEnded
            If it ended, and so did its successor.
        OrcaCoolError
            If they cannot be computed.
        """
        for _ in range(TRIES):
            try:
                return self._ask(plain, above)
            except (EOFError, OSError):
                self._replace()
        raise ProcessEnded(
            f"{TRIES} predicting processes ended while they computed this; is there enough memory?"
        )

    def _ask(self, plain: Sequence[PlainUnit], above: Sequence[Any]) -> list[tuple[Any, int]]:
        if not self._ready:
            self._connection.recv()
            self._ready = True
        self._connection.send((list(plain), list(above)))
        kind, found, (encoded, self.encoded_bytes), self.stages = self._connection.recv()
        self.encoded_bp = self._earlier + encoded
        if kind == "preempted":
            raise Preempted
        if kind == "error":
            raise OrcaCoolError(found)
        if kind == "unforeseen":
            message, told = found
            logger.error("a predicting process cannot compute a tile\n%s", told)
            raise OrcaCoolError(message)
        values: list[tuple[Any, int]] = found
        return values

    def _replace(self) -> None:
        """Start another process in the place of one that ended."""
        self._process.join(5)
        with self._lock:
            if self._stopped:
                raise Preempted
            logger.warning(
                "a predicting process ended (exit code %s); another one begins",
                self._process.exitcode,
            )
            self._end()
            self.restarts += 1
            self._start()

    def _end(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def stop(self) -> None:
        """End the process, whatever it does."""
        with self._lock:
            self._stopped = True
            self._process.kill()


# ---- in the other process


def _run(
    connection: Connection, urgent: Urgent, opener: Opener, options: Any, threads: int
) -> None:
    """Open genomes, and compute units until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, which ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    torch.set_num_threads(threads)
    genomes = opener(options, urgent)
    connection.send("ready")
    while True:
        try:
            plain, above = connection.recv()
        except EOFError:
            return
        with Profile() as profile:
            kind, found = _answer(genomes, plain, above)
        stages = [(s.name, s.wall, s.cpu) for s in profile.stages if s.name != REST]
        connection.send((kind, found, genomes.encoded, stages))


def _answer(
    genomes: OpenGenomes, plain: Sequence[PlainUnit], above: Sequence[Any]
) -> tuple[str, Any]:
    """What became of units, in a word, and their values, or why there are none."""
    try:
        units = [from_plain(one, genomes.predicted) for one in plain]
        needed = [with_tensors(one, genomes.device) for one in above]
        values = units[0].compute(units, needed)
        return "values", [(with_arrays(value), nbytes) for value, nbytes in values]
    except Preempted:
        return "preempted", None
    except OrcaCoolError as error:
        return "error", str(error)
    except Exception as error:  # a tile that fails must not end the process
        return "unforeseen", (public_message(error), traceback.format_exc())


def _end_with_parent() -> None:
    """End this process when the server's has ended, however that came."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
