"""``--profile``: where the time of a verb went."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from orca_cool.cli.options import say
from orca_cool.profile import Profile

F = TypeVar("F", bound=Callable[..., Any])


def profile_option(function: F) -> F:
    """Decorator: with ``--profile`` a table of stages is written on standard error when the verb
    has done its work.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, profile: bool, **rest: Any) -> Any:
        if not profile:
            return function(*args, **rest)
        found = Profile(whole_process=True)
        try:
            with found:
                value = function(*args, **rest)
        except click.exceptions.Exit:  # done, with an exit code
            say(str(found))
            raise
        say(str(found))
        return value

    option = click.option(
        "--profile",
        is_flag=True,
        help="At the end say on standard error where the time of this process went, by stage.",
    )
    return option(wrapped)  # type: ignore[return-value]
