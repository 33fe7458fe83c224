"""Options that edit the genome, shared by verbs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from orca_cool.variants.options import EditOptions

#: Problems that are said one by one.
SAID = 10


def edit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the options, which arrive as one argument ``edits`` (:class:`EditOptions`)."""

    @functools.wraps(function)
    def wrapped(
        *args: Any,
        edit: tuple[str, ...],
        vcf: str | None,
        haplotype: int | None,
        sample: str | None,
        seqstr: str | None,
        strict: bool,
        **rest: Any,
    ) -> Any:
        return function(
            *args, edits=EditOptions(edit, vcf, haplotype, sample, seqstr, strict), **rest
        )

    for option in reversed(
        [
            click.option(
                "--edit",
                multiple=True,
                metavar="TEXT",
                help="Edit the genome: `chr2:220,295,000-222,000,000 del`, `... dup x3`, `... "
                "inv`, `chr1:5,000 ins ACGT`, "
                "`chr1:1,001 A>G`, `chr5:8M(+)::chr7:9M(-)`; several with `;`. @FILE reads them "
                "from a file. Repeatable.",
            ),
            click.option(
                "--vcf", metavar="FILE", help="Apply the variants of a VCF (or BEDPE, or table)."
            ),
            click.option(
                "--haplotype",
                type=int,
                metavar="K",
                help="With --vcf: only what haplotype K (1, 2) of a sample carries.",
            ),
            click.option(
                "--sample",
                metavar="NAME",
                help="With --haplotype: the sample [default: the only one].",
            ),
            click.option(
                "--seqstr",
                metavar="TEXT",
                help="Add chromosomes in Seqstr's notation; @FILE reads it from a file.",
            ),
            click.option(
                "--strict",
                is_flag=True,
                help="With --vcf: a variant that cannot be used is an error, not a warning.",
            ),
        ]
    ):
        wrapped = option(wrapped)
    return wrapped


def say_problems(problems: list[str]) -> None:
    """Warnings on stderr: the first few, and how many there are."""
    for line in problems[:SAID]:
        click.echo(f"warning: not applied: {' '.join(line.split())}", err=True)
    if len(problems) > SAID:
        click.echo(
            f"warning: and {len(problems) - SAID:,} more, {len(problems):,} in all, that are not "
            f"applied",
            err=True,
        )
