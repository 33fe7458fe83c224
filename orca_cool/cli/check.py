"""``orca-cool check``: the validity list of a predicted .mcool, and what the file is good for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from orca_cool.cli.options import Verb, echo, json_option


def _length(bp: int) -> str:
    return f"{bp / 1e6:g} Mb" if bp >= 1_000_000 else f"{bp / 1e3:g} kb"


@click.command(cls=Verb)
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
    failed = sum(r.passed is False for r in report.results)
    echo(f"{file}: valid" if report.valid else f"{file}: NOT valid, {failed} checks failed")
    ctx.exit(0 if report.valid else 1)
