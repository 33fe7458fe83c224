"""Where the time of a run goes: seconds of wall clock and of CPU, by stage.

What takes long stands in ``with stage("decoding"):``, which does nothing unless a :class:`Profile`
is at work. Every thread is in one stage at a time: a stage within another interrupts it, so that no
second is counted twice, and all stages together never last longer than the run times its threads.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

#: The stages of this package, in the order of the table.
STAGES = (
    "start",
    "libraries",
    "opening",
    "reading sequence",
    "encoding",
    "decoding",
    "scoring",
    "merging",
    "checkpoints",
    "writing",
    "expected",
    "tracks",
    "companions",
    "tiles",
    "waiting",
)

#: What belongs to no stage, and threads that libraries start.
REST = "rest"


@dataclass(frozen=True)
class StageTime:
    """How long a stage took.

    Attributes
    ----------
    name : one of :data:`STAGES`, or :data:`REST`.
    wall : seconds of the clock, of all threads that were in it.
    cpu : seconds of CPU that these threads used.
    """

    name: str
    wall: float
    cpu: float


class Profile:
    """While the block runs, the stages of all threads of this process are timed. What other
    processes do (dask, torchrun, ``--nproc``) is not seen.

    Parameters
    ----------
    whole_process : count what the process did before the block, too, as the stage "start".

    Attributes
    ----------
    wall, cpu : seconds of the clock, and of CPU of all threads, so far.

    Examples
    --------
    >>> with oc.Profile() as profile:
    ...     m = oc.Predictor("yeast-metaphase", "example", progress=False).predict("chrI:0-100,000")
    >>> {stage.name for stage in profile.stages} >= {"opening", "encoding", "decoding"}
    True
    >>> print(profile)  # doctest: +SKIP
    """

    def __init__(self, whole_process: bool = False):
        self._whole_process = whole_process
        self._lock = threading.Lock()
        self._sums: dict[str, tuple[float, float]] = {}
        self._here = threading.local()
        self._lead: int | None = None  # the thread that runs the block
        self._led = 0.0  # seconds that it was in stages
        self._began = self._ended = (0.0, 0.0)
        self._running = False

    def __enter__(self) -> Profile:
        before = _since_start() if self._whole_process else (0.0, 0.0)
        if self._whole_process:
            self._sums["start"] = before
        self._led += before[0]
        now = time.perf_counter(), time.process_time()
        self._began = now[0] - before[0], now[1] - before[1]
        self._lead, self._running = threading.get_ident(), True
        _watch(self, True)
        return self

    def __exit__(self, *error: object) -> None:
        _watch(self, False)
        self._ended, self._running = (time.perf_counter(), time.process_time()), False

    def _now(self) -> tuple[float, float]:
        return (time.perf_counter(), time.process_time()) if self._running else self._ended

    @property
    def wall(self) -> float:
        return self._now()[0] - self._began[0]

    @property
    def cpu(self) -> float:
        return self._now()[1] - self._began[1]

    @property
    def stages(self) -> tuple[StageTime, ...]:
        """The stages that there were, in the order of :data:`STAGES`; at the end the rest."""
        with self._lock:
            sums, led = dict(self._sums), self._led
        order = sorted(sums, key=lambda name: STAGES.index(name) if name in STAGES else len(STAGES))
        found = [StageTime(name, *sums[name]) for name in order]
        cpu = self.cpu - sum(stage.cpu for stage in found)
        return (*found, StageTime(REST, max(0.0, self.wall - led), max(0.0, cpu)))

    def __str__(self) -> str:
        """The table: stage, seconds of the clock and of CPU, share of the CPU seconds."""
        rows = [*self.stages, StageTime("total", self.wall, self.cpu)]
        lines = [f"{'stage':<18}{'wall s':>9}{'CPU s':>9}{'share':>8}"]
        for row in rows:
            share = row.cpu / self.cpu if self.cpu else 0.0
            lines.append(f"{row.name:<18}{row.wall:>9.2f}{row.cpu:>9.2f}{share:>8.1%}")
        return "\n".join(lines)

    def add(self, stages: Iterable[tuple[str, float, float]]) -> None:
        """Count what another process did: name, seconds of the clock, and of CPU, of each stage."""
        with self._lock:
            for name, wall, cpu in stages:
                before = self._sums.get(name, (0.0, 0.0))
                self._sums[name] = before[0] + wall, before[1] + cpu

    # ---- called by stages, in their own threads

    def _stack(self) -> list[str]:
        if not hasattr(self._here, "stack"):
            self._here.stack, self._here.mark = [], (0.0, 0.0)
        stack: list[str] = self._here.stack
        return stack

    def _charge(self, name: str | None, now: tuple[float, float], with_wall: bool = True) -> None:
        """What this thread did since it was last looked at is a stage's; None: nobody's."""
        mark = self._here.mark
        self._here.mark = now
        if name is None:
            return
        wall, cpu = (now[0] - mark[0]) * with_wall, now[1] - mark[1]
        with self._lock:
            before = self._sums.get(name, (0.0, 0.0))
            self._sums[name] = before[0] + wall, before[1] + cpu
            self._led += wall * (threading.get_ident() == self._lead)

    def _enter(self, name: str, now: tuple[float, float]) -> None:
        stack = self._stack()
        self._charge(stack[-1] if stack else None, now)
        stack.append(name)

    def _leave(self, now: tuple[float, float], with_wall: bool = True) -> None:
        self._charge(self._stack().pop(), now, with_wall)


#: The profiles at work; hardly ever more than one.
_profiles: tuple[Profile, ...] = ()
_watching = threading.Lock()


def _watch(profile: Profile, begin: bool) -> None:
    global _profiles
    with _watching:
        others = tuple(p for p in _profiles if p is not profile)
        _profiles = (*others, profile) if begin else others


def _clocks() -> tuple[float, float]:
    """The clock, and the CPU of this thread: read once for all profiles, so that they agree."""
    return time.perf_counter(), time.thread_time()


class _Stage:
    """A thread's time in a stage."""

    def __init__(self, name: str, profiles: tuple[Profile, ...]):
        self.name, self.profiles = name, profiles

    def __enter__(self) -> None:
        now = _clocks()
        for profile in self.profiles:
            profile._enter(self.name, now)

    def __exit__(self, *error: object) -> None:
        now = _clocks()
        for profile in self.profiles:
            profile._leave(now)


_NOTHING: AbstractContextManager[None] = contextlib.nullcontext()


def stage(name: str) -> AbstractContextManager[None]:
    """A block that is a stage of the work. It must not hold a ``yield``: whoever asks for the next
    value would be counted.

    Parameters
    ----------
    name : one of :data:`STAGES`.
    """
    return _Stage(name, _profiles) if _profiles else _NOTHING


def staged(name: str) -> Callable[[F], F]:
    """Decorator: all of a function is a stage. It must not be a generator."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: Any, **options: Any) -> Any:
            with stage(name):
                return function(*args, **options)

        return wrapped  # type: ignore[return-value]

    return decorate


def carried(call: Callable[[], T]) -> Callable[[], T]:
    """A call that another thread makes for this one: it belongs to the stage that this one is in.
    Only its CPU counts, since the clock is that of the thread that waits.
    """
    in_stage = [(p, stack[-1]) for p in _profiles if (stack := p._stack())]
    if not in_stage:
        return call

    def made() -> T:
        now = _clocks()
        for profile, name in in_stage:
            profile._enter(name, now)
        try:
            return call()
        finally:
            now = _clocks()
            for profile, _ in in_stage:
                profile._leave(now, with_wall=False)

    return made


def _since_start() -> tuple[float, float]:
    """Seconds of the clock and of CPU since this process was started."""
    import psutil  # which only a profile of a whole process needs

    return max(0.0, time.time() - psutil.Process().create_time()), time.process_time()
