"""``orca-cool``: a thin click shell, one file a verb, each imported only when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from orca_cool import __version__
from orca_cool.cli.options import VerbGroup
from orca_cool.errors import OrcaCoolError, printable

#: verb -> one-line help; the command ``verb`` lives in ``orca_cool.cli.<verb>``.
VERBS = {
    "predict": "Predict contact maps and write an .mcool with expected tables.",
    "variants": "Score variants by how much they change the map.",
    "encode": "Encode a genome once and keep it, so that predictions only decode.",
    "check": "Check that a predicted .mcool is valid, and say what it is good for.",
    "models": "List, inspect, import, fetch and export models.",
    "expected": "Expected contact frequency by distance of a measured map, for training.",
    "train": "Train a model on an .mcool and a genome.",
    "evaluate": "Compare a predicted .mcool with a measured map.",
    "plot": "Draw a predicted map beside a measured one, or what an edit changes at every level.",
    "serve": "Show predicted maps in HiGlass, computed as you look, beside measured ones.",
}


class _Failure(click.ClickException):
    """Bad input: one line, exit code 2."""

    exit_code = 2


class _Verbs(VerbGroup):
    """Imports a verb's module on demand, so that ``--help`` does not pay for torch; errors become
    one line, exit 2.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = importlib.import_module(f"orca_cool.cli.{name}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OrcaCoolError as error:
            raise _Failure(printable(" ".join(str(error).split()))) from error


@click.group(cls=_Verbs)
@click.version_option(__version__, "-V", "--version")
def main() -> None:
    """Sequence models of the 3-D genome for cooler and HiGlass."""
