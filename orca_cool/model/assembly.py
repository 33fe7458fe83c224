"""Whether a genome is the assembly that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orca_cool.errors import GenomeError

if TYPE_CHECKING:
    from orca_cool.model.spec import ModelDescription
from orca_cool.genome.source import SequenceSource


def check_assembly(spec: ModelDescription, source: SequenceSource) -> str | None:
    """The assembly of the model that a genome agrees with.

    Returns
    -------
    The name of the first assembly in ``spec.assemblies`` whose lengths equal the source's on every
    name that both have; None (the caller warns) if the model lists no assembly, or none shares a
    name with the genome.

    Raises
    ------
    GenomeError
        If names are shared but no assembly agrees; the message quotes the first difference.
    """
    problem = ""
    for assembly, sizes in spec.assemblies.items():
        shared = [chrom for chrom in source.chromsizes if chrom in sizes]
        different = [chrom for chrom in shared if int(sizes[chrom]) != source.chromsizes[chrom]]
        if shared and not different:
            return assembly
        if different and not problem:
            chrom = different[0]
            problem = (
                f"genome {source.name!r} is not the assembly of model {spec.name!r}: {chrom} is "
                f"{source.chromsizes[chrom]:,} bp in the "
                f"genome, {int(sizes[chrom]):,} bp in {assembly}"
            )
    if problem:
        raise GenomeError(problem + f"; the model knows: {', '.join(spec.assemblies)}")
    return None
