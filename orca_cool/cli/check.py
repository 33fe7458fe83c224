"""``orca-cool check``: the validity list of a predicted .mcool, and what the file is good for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from orca_cool.cli.options import Verb, echo, json_option


def _length(bp: int) -> str:
    return f"{bp / 1e6:g} Mb" if bp >= 1_000_000 else f"{bp / 1e3:g} kb"


def _uses_of_counts(use: dict[str, Any]) -> Iterator[str]:
    """Lines about programs of cooltools that take counts for evidence."""
    dots = use["dots"]
    if dots is not None:
        fits = "yes" if dots["fits"] else "no"
        yield (
            f"cooltools dots: {fits}, it takes a --pseudo-depth of at most about "
            f"{dots['largest_pseudo_depth']:.1e} (la_exp); this one has {dots['pseudo_depth']:.1e}"
        )
    if not use["integers"]:
        yield "cooltools random-sample: no, it needs counts that are integers"


@click.command(cls=Verb, example="check chrII.mcool")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def check(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Check that a predicted .mcool is valid, and say what it is good for.

    Exit code 0: valid; 1: something in the file is wrong; 2: not an .mcool at all.
    """
    from orca_cool.maps.check import check_mcool

    report = check_mcool(file)
    if as_json:
        echo(json.dumps(dataclasses.asdict(report) | {"valid": report.valid}, indent=2))
        ctx.exit(0 if report.valid else 1)
    for r in report.results:
        word = {True: "ok", False: "FAILED", None: "skipped"}[r.passed]
        where = "file" if r.resolution is None else f"{r.resolution} bp"
        echo(f"{word:<8}{where:<13}{r.name}{': ' + r.detail if r.detail else ''}")
    for resolution, use in report.uses.items():
        echo(f"{resolution} bp, {use['pixels']:,} pixels:")
        echo(
            f"  pairs up to {_length(use['band'])}; expected up to "
            f"{_length(use['max_expected_distance'])}"
        )
        echo(f"  insulation windows up to {_length(use['largest_insulation_window'])}")
        if use["eigenvectors"] == "whole chromosomes":
            echo("  eigenvectors of whole chromosomes are meaningful")
        else:
            whole = (
                f"of {', '.join(use['whole_chromosomes'])}; else "
                if use["whole_chromosomes"]
                else ""
            )
            echo(
                f"  eigenvectors {whole}only with a view whose regions are at most "
                f"{_length(use['largest_view'])}"
            )
        echo(f"  maps between chromosomes: {'yes' if use['trans'] else 'no'}")
        for line in _uses_of_counts(use):
            echo(f"  {line}")
    failed = sum(r.passed is False for r in report.results)
    echo(f"{file}: valid" if report.valid else f"{file}: NOT valid, {failed} checks failed")
    ctx.exit(0 if report.valid else 1)
