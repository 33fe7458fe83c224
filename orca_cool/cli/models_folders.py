"""``orca-cool models add-path``, ``remove-path`` and ``remove``."""

from __future__ import annotations

import click

from orca_cool.cli.options import Verb, echo, say
from orca_cool.errors import OutputError


@click.command("add-path", cls=Verb, example="models add-path /data/orca-models")
@click.argument("folder", type=click.Path())
def add_path(folder: str) -> None:
    """Have the models of FOLDER known, as by their names; it may be one that several users share.

    Your own models come before those of added folders, and these before shipped ones. Nothing is
    copied. For all users of a machine the variable ORCA_COOL_MODEL_PATH does the same.
    """
    from orca_cool.model.folders import add_folder

    found = add_folder(folder)
    for path in found:
        echo(f"{path.name}\t{path}")
    if not found:
        say(f"warning: there is no model in {folder} yet")


@click.command("remove-path", cls=Verb, example="models remove-path /data/orca-models")
@click.argument("folder", type=click.Path())
def remove_path(folder: str) -> None:
    """Have the models of an added FOLDER no longer known; its files stay."""
    from orca_cool.model.folders import forget_folder

    forget_folder(folder)


@click.command(cls=Verb, example="models remove mine --yes")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Delete it.")
def remove(name: str, yes: bool) -> None:
    """Delete your model NAME from this machine. Shipped and shared models are never deleted."""
    from orca_cool.model.folders import bundles_in, remove_model, user_models

    path = user_models() / name
    if not yes and path in bundles_in(user_models()):
        size = sum(p.stat().st_size for p in path.iterdir()) / 1e6
        raise OutputError(f"nothing is deleted yet: --yes deletes {path} ({size:,.1f} MB)")
    echo(remove_model(name))
