"""Options about the genome's file, of all verbs that read one beside a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def genome_options(function: F) -> F:
    """How chromosomes are called, and whether the assembly must be the model's."""
    names = click.option(
        "--chrom-names",
        metavar="HOW",
        help="add-chr, strip-chr or a two-column TSV: rename the genome's chromosomes.",
    )
    assembly = click.option(
        "--any-genome", is_flag=True, help="Accept a genome of another assembly than the model's."
    )
    return names(assembly(function))
