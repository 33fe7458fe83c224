"""Whether a genome is the assembly that a model was trained on."""

from __future__ import annotations

from orca_cool.errors import GenomeError
from orca_cool.genome.source import SequenceSource
from orca_cool.model.spec import ModelDescription


def agreed_assembly(
    spec: ModelDescription, source: SequenceSource, any_genome: bool = False
) -> tuple[str, str | None]:
    """Name of a genome's assembly for what is predicted from it, and what the user is to be told.

    Parameters
    ----------
    any_genome : accept a genome that is not the model's assembly. Other lengths of chromosomes
        are a warning then; that no name is shared is taken as meant.

    Returns
    -------
    name : of the model's assembly that the genome agrees with, else of the genome.
    warning : why the assembly is not certain; None if it is, or need not be.

    Raises
    ------
    GenomeError
        If the genome has the chromosomes of one of the model's assemblies but not their lengths
        (without ``any_genome``); the message names both.
    """
    try:
        found = check_assembly(spec, source)
    except GenomeError as error:
        if not any_genome:
            raise GenomeError(f"{error}; use --any-genome to predict it all the same") from error
        return source.name, str(error)
    if found is None and any_genome:
        return source.name, None
    if found is None:
        known = ", ".join(spec.assemblies) or "none named"
        return source.name, (
            f"genome {source.name!r} shares no chromosome name with the assemblies of model "
            f"{spec.name!r} ({known}); --any-genome says that this is meant"
        )
    return found, None


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
