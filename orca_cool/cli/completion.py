"""What a shell completes beside verbs and options: names of models and genomes."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from orca_cool.errors import OrcaCoolError


def complete_models(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Models that are here; a word with a slash is a folder."""
    from orca_cool.model.registry import known

    if "/" in incomplete:
        return [CompletionItem(incomplete, type="file")]
    try:
        names = [e.name for e in known().values() if e.path is not None]
    except OrcaCoolError:  # while a line is typed nobody wants a message
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_genomes(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Shipped genomes and files."""
    from orca_cool.genome.open import SHIPPED

    names = [CompletionItem(name) for name in SHIPPED if incomplete and name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]
