"""Progress bars of long work, where somebody looks: in a terminal or a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orca_cool.prediction.engine import Engine

#: Seconds between two writings of a bar into a log.
IN_LOGS = 30.0

#: Called with (pieces done, pieces in all).
Report = Callable[[int, int], None]


def no_report(done: int, total: int) -> None:
    """A :data:`Report` that tells nobody."""


@contextmanager
def progress_bar(
    show: bool, unit: str, name: str, engine: Engine | None = None
) -> Iterator[Report]:
    """A progress bar. In a log (where the standard error stream is no terminal) it is written twice
    a minute, not with every step.

    Parameters
    ----------
    show : False: no bar at all.
    unit : what is counted ("window", "variant", "bp").
    name : shown before the bar.
    engine : what it is encoding is shown behind the bar.

    Yields
    ------
    The function to call with (done, total). What was done before the first call (by an earlier run
    that was interrupted) does not count for the speed.
    """
    from tqdm.auto import tqdm  # a tenth of a second that `--help` need not pay

    notebook = "ipykernel" in sys.modules
    live = notebook or sys.stderr.isatty()
    bar = tqdm(
        unit=unit,
        unit_scale=unit == "bp",
        desc=name,
        file=None if notebook else sys.stderr,
        disable=not show,
        delay=0 if live else 1e-9,  # not before there is a total
        mininterval=0.1 if live else IN_LOGS,
        maxinterval=10 if live else IN_LOGS,
    )
    begun = False

    def report(done: int, total: int) -> None:
        nonlocal begun
        if not begun:
            begun = True
            bar.total, bar.initial, bar.n = total, done, done
            if live:
                bar.refresh()
        bar.total = total
        bar.update(done - bar.n)

    def encoding(chrom: str, start: int, end: int, reverse: bool) -> None:
        strand = "-" if reverse else "+"
        left = f"encoding {chrom} {strand}, {(end - start) / 1e6:.1f} Mb to go"
        bar.set_postfix_str(left if end > start else "", refresh=live)

    if engine is not None:
        engine.on_encoding(encoding)
    try:
        yield report
    finally:
        bar.close()
