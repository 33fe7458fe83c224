"""``orca-cool doctor``."""

from __future__ import annotations

import json

import click

import orca_cool as oc
from orca_cool.cli.options import Verb, echo, json_option

#: Exit code where something that is needed is broken.
BROKEN = 1


@click.command(cls=Verb, example="doctor --offline")
@click.option("--offline", is_flag=True, help="Ask no server whether it answers.")
@json_option
def doctor(offline: bool, as_json: bool) -> None:
    """Say what is installed, on which device it runs, what space and models there are, whether
    models can be fetched, and what is missing for what.

    The exit code is 0, or 1 if something that every prediction needs is broken.
    """
    found = oc.diagnose(network=not offline)
    echo(json.dumps(found.to_dict(), indent=1) if as_json else found)
    if not found.sound:
        click.get_current_context().exit(BROKEN)
