"""``orca-cool``: a thin click shell, one file a verb, each imported only when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from orca_cool import __version__
from orca_cool.cli.guard import guarded, hidden_from_click
from orca_cool.cli.options import VerbGroup

#: verb -> one-line help; the command ``verb`` lives in ``orca_cool.cli.<verb>``.
VERBS = {
    "predict": "Predict contact maps and write an .mcool with expected tables.",
    "variants": "Score variants by how much they change the map.",
    "attribute": "Say which bases a number of the predicted map depends on.",
    "screen": "Find the base pairs that hold contacts: virtual screens.",
    "encode": "Encode a genome once and keep it, so that predictions only decode.",
    "stitch": "Join windows that any model has predicted to an .mcool with expected tables.",
    "check": "Check that a predicted .mcool is valid, and say what it is good for.",
    "models": "List, inspect, import, fetch, export, verify and remove models.",
    "expected": "Expected contact frequency by distance of a measured map, for training.",
    "train": "Train a model on an .mcool and a genome.",
    "evaluate": "Compare a predicted .mcool with a measured map.",
    "plot": "Draw a predicted map beside a measured one, or what an edit changes at every level.",
    "doctor": "Say what is installed, what works, and what is missing for what.",
    "serve": "Show predicted maps in HiGlass, computed as you look, beside measured ones.",
}


class _Verbs(VerbGroup):
    """Imports a verb's module on demand, so that ``--help`` does not pay for torch; whatever ends
    a verb becomes one line and an exit code (:mod:`orca_cool.cli.guard`).
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

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with hidden_from_click():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with hidden_from_click():
            return super().invoke(ctx)

    def main(self, args: Any = None, *rest: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command line; ``standalone_mode`` as in click: exit at the end."""
        run: Any = super().main
        if not standalone_mode:
            return run(args, *rest, standalone_mode=False, **extra)
        code = guarded(
            lambda: run(args, *rest, standalone_mode=False, **extra), own_process=args is None
        )
        sys.exit(code)


@click.group(
    cls=_Verbs, example="predict chrII:100,000-500,000 -m yeast-metaphase -g example -o chrII.mcool"
)
@click.version_option(__version__, "-V", "--version")
def main() -> None:
    """Sequence models of the 3-D genome for cooler and HiGlass."""
