"""Variants and edits from texts and files: VCF, BEDPE and other tables, edit strings, Seqstr."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orca_cool.errors import EditError
from orca_cool.genome.source import SequenceSource
from orca_cool.variants.grammar import parse_edits, parse_sequence
from orca_cool.variants.seqstr import parse_seqstr
from orca_cool.variants.tables import read_table
from orca_cool.variants.variant import (
    VARIANT_KINDS,
    Variant,
    changes_of_haplotype,
    is_vcf,
    of_changes,
    variants_file,
)
from orca_cool.variants.vcf import read_vcf

__all__ = [
    "VARIANT_KINDS",
    "Variant",
    "changes_of_haplotype",
    "is_vcf",
    "of_changes",
    "parse_edits",
    "parse_seqstr",
    "parse_sequence",
    "read_table",
    "read_variants",
    "read_vcf",
]


def read_variants(
    path: str | Path,
    source: SequenceSource,
    *,
    sample: str | None = None,
    files: bool | Path = True,
) -> Iterator[Variant]:
    """Read a file of variants: VCF by its name or first line, else a table.

    Parameters
    ----------
    path : the file, or "-" for standard input, where a line that is neither VCF, BEDPE nor BED is
        taken for an edit.
    source, sample : see :func:`read_vcf`.
    files : see :func:`read_table`.

    Raises
    ------
    EditError
        As these two do, and if a sample is asked of a table.
    """
    file = variants_file(path)
    if is_vcf(file):
        return read_vcf(file, source, sample=sample)
    if sample is not None:
        raise EditError(
            f"sample {sample!r} cannot be read from {str(path)!r}: only VCF has samples"
        )
    return read_table(file, source, files=files)
