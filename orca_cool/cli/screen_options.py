"""Options that several screens share: one name, one meaning, one help text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from orca_cool.cli.help_groups import MACHINE_GROUP, MODEL_GROUP, RUN_GROUP, HelpGroup
from orca_cool.cli.options import EDITS, all_options, job_options, output_option
from orca_cool.perturb.screen_options import STRANDS
from orca_cool.perturb.screen_places import AGGREGATES
from orca_cool.perturb.screen_plan import REPLACEMENTS

F = TypeVar("F", bound=Callable[..., Any])


def screen_groups(*own: HelpGroup, output: tuple[str, ...] = ()) -> tuple[HelpGroup, ...]:
    """Groups of a screen's options in its help.

    Parameters
    ----------
    own : what this screen has beside others. output : of its options those about what is written.
    """
    return (
        *own,
        MODEL_GROUP,
        HelpGroup("An edited genome", EDITS),
        HelpGroup("What is written", ("output", *output)),
        MACHINE_GROUP,
        RUN_GROUP,
    )


#: At which level of which map places are scored.
SCORE_GROUP = HelpGroup(
    "The map that is scored", ("module", "resolution", "strands", "mask", "between")
)


def screen_options(
    *,
    module: str = "the first",
    level: str = "the finest",
    strands: str = "both",
    mask: str = "What is not to count: bins that it touches.",
) -> Callable[[F], F]:
    """Decorator: what every screen has: models, genome, output, level, strands, mask, seed.

    Parameters
    ----------
    module, level, strands : the defaults, in words. mask : the help of ``--mask``.
    """
    return partial(
        all_options,
        options=[
            job_options(several=True),
            output_option("What the names of the files begin with."),
            click.option("--module", help=f"Module of the model [default: {module}]."),
            click.option(
                "--resolution",
                metavar="BP",
                help=f"Level: its resolution or window [default: {level}].",
            ),
            click.option(
                "--strands",
                type=click.Choice(STRANDS),
                help=f"Maps of both strands, averaged, or of the forward one [default: {strands}].",
            ),
            click.option("--mask", metavar="BED", help=mask),
            click.option("--seed", default=0, show_default=True, help="Of all that is drawn."),
        ],
    )


def place_options(
    what: str, *, changed: str, per_sequence: int, aggregate: str, replace: str, why: str = ""
) -> Callable[[F], F]:
    """Decorator: how the places of a screen are changed, and scored.

    Parameters
    ----------
    what : a place's name ("unit"). changed : what becomes of it ("replaced").
    per_sequence, aggregate, replace : the defaults. why : more help on ``--aggregate``.
    """
    return partial(
        all_options,
        options=[
            click.option(
                "--per-sequence",
                default=per_sequence,
                show_default=True,
                help=f"How many {what}s are {changed} together in a sequence, each of another part "
                "of the window.",
            ),
            click.option(
                "--runs", default=3, show_default=True, help=f"How often each {what} is {changed}."
            ),
            click.option(
                "--aggregate",
                type=click.Choice(tuple(AGGREGATES)),
                default=aggregate,
                show_default=True,
                help=f"What of the runs is a {what}'s score.{why}",
            ),
            click.option(
                "--replace",
                type=click.Choice(REPLACEMENTS),
                default=replace,
                show_default=True,
                help=f"By bases drawn from the window; by the {what}'s own in another order, of "
                "which dinucleotide keeps the neighbours; by N; or by nothing (needs "
                "--per-sequence 1).",
            ),
        ],
    )
