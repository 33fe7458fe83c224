"""``-q`` and ``-v``: what is said while a verb runs."""

from __future__ import annotations

import logging

import click

from orca_cool.errors import printable

#: Keys of ``Context.meta``, which a verb shares with the group before it.
QUIET, VERBOSE = "orca_cool.quiet", "orca_cool.verbose"


def _set_quiet(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.meta[QUIET] = ctx.meta.get(QUIET, False) or value


def _set_verbose(ctx: click.Context, parameter: click.Parameter, value: int) -> None:
    ctx.meta[VERBOSE] = ctx.meta.get(VERBOSE, 0) + value
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(ctx.meta[VERBOSE], 2)]
    logging.basicConfig()
    for handler in logging.getLogger().handlers:
        if type(handler.formatter) is logging.Formatter:
            handler.setFormatter(_Printable("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger().setLevel(level)


class _Printable(logging.Formatter):
    """Messages hold what files say."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def verbosity_options() -> list[click.Option]:
    """``-q`` and ``-v``, which stand before a verb or behind it."""
    return [
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_set_quiet,
            help="No progress bars.",
        ),
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_set_verbose,
            help="Say more; twice for debugging.",
        ),
    ]
