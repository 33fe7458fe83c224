"""Signals that ask a verb to stop, and its way out."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from types import FrameType

#: What is added to a signal's number for the exit code.
SIGNAL = 128
#: Signals that stop a verb, if the process does not ignore them already (nohup).
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds in which the same signal counts once: `timeout` and terminals may send it twice.
TWICE = 1.0


class Stop(KeyboardInterrupt):
    """A signal that asks the process to stop; libraries treat it as Ctrl-C."""


def is_debugging() -> bool:
    """Whether -vv or the environment asks for tracebacks."""
    return bool(os.environ.get("ORCA_COOL_DEBUG")) or logging.getLogger().level == logging.DEBUG


_stopping = threading.Event()


def is_stopping() -> bool:
    """Whether this process was told to stop. A library may have turned what the signal raised into
    an error of its own.
    """
    return _stopping.is_set()


def _rank() -> int:
    """The number of this process among those of torchrun or Lightning; 0 outside of them."""
    text = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
    return int(text) if text.isdigit() else 0


class Signals:
    """While the block runs, SIGINT, SIGTERM and SIGHUP raise :class:`Stop` in the main thread, so
    that everything is put in order on the way out. A second signal, after a second or more, ends
    the process and its children at once.

    Attributes
    ----------
    received : number of the first signal, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._process = os.getpid()
        self._at = 0.0
        self._dropped = False
        self._hook = sys.unraisablehook
        self._children: list = []
        self._before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in STOPPING:
            handler = signal.getsignal(number)
            if handler in (signal.SIG_IGN, None):
                continue
            self._before[number] = handler
            # a rank that only helps waits inside of torch, where no handler runs: it just ends, and
            # the first rank speaks for all
            signal.signal(number, signal.SIG_DFL if _rank() else self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        _stopping.clear()
        if self.received:
            logging.disable(logging.NOTSET)
            sys.unraisablehook = self._hook

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked worker, which leaves order to its parent
            raise Stop
        if self.received is None:
            self.received, self._at = number, time.monotonic()
            self._children = _descendants()
            if not is_debugging():
                logging.disable(logging.CRITICAL)  # what libraries say of their sudden end
            sys.unraisablehook = self._unraisable
            _stopping.set()
            raise Stop
        if self._dropped:
            self._dropped = False
            raise Stop
        if time.monotonic() - self._at > TWICE:
            self.end_children()
            os._exit(SIGNAL + number)

    def _unraisable(self, dropped: sys.UnraisableHookArgs) -> None:
        """Called with an exception that Python drops, because it was raised while an object was
        destroyed. If that is what stops the process, the signal is sent again.
        """
        if isinstance(dropped.exc_value, Stop) and os.getpid() == self._process:
            self._dropped = True
            threading.Timer(0.1, os.kill, [self._process, self.received]).start()
        elif is_debugging():
            self._hook(dropped)

    def end_children(self) -> None:
        """End the processes that this one has started and that the way out has not ended."""
        import psutil

        for child in {*self._children, *_descendants()}:
            with contextlib.suppress(psutil.Error):
                # it cleans up behind this process, and ends by itself after it
                if "multiprocessing.resource_tracker" not in " ".join(child.cmdline()):
                    child.kill()


def _descendants() -> list:
    """All processes below this one (psutil.Process)."""
    import psutil

    try:
        return psutil.Process().children(recursive=True)
    except psutil.Error:
        return []
