"""What several verbs do in the same way."""

from __future__ import annotations

import click

from orca_cool.errors import GenomeError
from orca_cool.genome.source import SequenceSource
from orca_cool.model.assembly import check_assembly
from orca_cool.model.spec import ModelSpec


def assembly_of(spec: ModelSpec, source: SequenceSource, any_genome: bool) -> str:
    """Name of the assembly for the file; an unknown one is said, a mismatch is an error unless it
    is allowed.
    """
    try:
        found = check_assembly(spec, source)
    except GenomeError as error:
        if not any_genome:
            raise GenomeError(f"{error}; use --any-genome to predict it all the same") from error
        click.echo(f"warning: {error}", err=True)
        return str(source.name)
    if found is None:
        known = ", ".join(spec.assemblies) or "none named"
        click.echo(
            f"warning: genome {source.name!r} shares no chromosome name with the assemblies of "
            f"model {spec.name!r} ({known})",
            err=True,
        )
        return str(source.name)
    return str(found)
