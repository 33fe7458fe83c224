"""Options of the store of decoded windows, of all verbs that predict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from orca_cool.prediction import WINDOW_DTYPES, WINDOW_STORE_SIZE

F = TypeVar("F", bound=Callable[..., Any])

#: Names of the options, which are fields of a job.
WINDOW_STORE = ("window_store", "window_store_dtype", "window_store_size")


def window_store_options(function: F) -> F:
    """Decorator: where decoded windows are kept, how exactly, and how many."""
    options = [
        click.option(
            "--window-store",
            type=click.Path(),
            help="File of decoded windows: read from it, and add what it lacks. Of any models and "
            "genomes; what fits is found by its content.",
        ),
        click.option(
            "--window-store-dtype",
            default=WINDOW_DTYPES[0],
            show_default=True,
            type=click.Choice(WINDOW_DTYPES),
            help="Number type of stored windows; with float16 all windows are rounded to it.",
        ),
        click.option(
            "--window-store-size",
            metavar="GB",
            default=WINDOW_STORE_SIZE,
            show_default=True,
            type=click.FloatRange(min=0, min_open=True),
            help="Gigabytes that the file takes at most; the windows least recently used make "
            "room.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function
