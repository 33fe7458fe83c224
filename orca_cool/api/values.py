"""Models, genomes, edits and variants, as values to hold in a hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orca_cool.genome.changes import Change
from orca_cool.genome.open import open_genome as open_source
from orca_cool.genome.source import SequenceSource, codes_to_letters
from orca_cool.variants import Variant
from orca_cool.variants import parse_edits as parse
from orca_cool.variants import read_variants as read

if TYPE_CHECKING:
    from orca_cool.model.bundle import Model


class Genome:
    """A genome that is open.

    Attributes
    ----------
    name : short name, for messages and files.
    chromsizes : {chromosome: length in bp}, in the file's order.
    source : what the rest of the package reads (:class:`orca_cool.genome.source.SequenceSource`).

    Examples
    --------
    >>> genome = oc.open_genome("example")
    >>> genome.chromsizes["chrII"]
    813178
    >>> genome.fetch("chrII", 238_207, 238_217)
    'AATCATGTGA'
    """

    def __init__(self, source: SequenceSource):
        self.source = source

    @property
    def name(self) -> str:
        """Short name of the genome."""
        return self.source.name

    @property
    def chromsizes(self) -> dict[str, int]:
        """{chromosome: length in bp}, in the file's order."""
        return dict(self.source.chromsizes)

    def fetch(self, chrom: str, start: int, end: int) -> str:
        """Letters A, C, G, T and N of ``[start, end)`` (0-based, bp); N outside the chromosome.

        Raises
        ------
        GenomeError
            If there is no such chromosome; the message suggests the closest name.
        RegionError
            If the end lies before the start.
        """
        return codes_to_letters(self.source.fetch(chrom, start, end)).decode("ascii")

    def __repr__(self) -> str:
        total = sum(self.source.chromsizes.values())
        return f"<Genome {self.name!r}: {len(self.chromsizes)} sequences, {total:,} bp>"


def open_genome(path_or_name: str | Path, chrom_names: str | None = None) -> Genome:
    """Open a genome.

    Parameters
    ----------
    path_or_name : FASTA (plain or bgzip), .2bit, or the name of a genome that ships with the
        package ("example": yeast chromosomes I and II).
    chrom_names : rename chromosomes: "add-chr", "strip-chr", or a two-column TSV (the genome's
        name, the wanted name).

    Raises
    ------
    GenomeError
        If it cannot be read; the message says why.

    Examples
    --------
    >>> oc.open_genome("example")
    <Genome 'example': 2 sequences, 1,043,386 bp>
    """
    return Genome(open_source(path_or_name, chrom_names))


def load_model(name_or_path: str | os.PathLike[str]) -> Model:
    """Load a model.

    Parameters
    ----------
    name_or_path : a model's name (``orca-cool models list``), or its folder.

    Returns
    -------
    The model: ``.name``, ``.modules``, ``.levels`` (bp, finest first), ``.cell_types``,
    ``.profiles``, ``.licence``.

    Raises
    ------
    ModelError, BundleError
        If there is no such model, or it is damaged; the message lists the known ones.

    Examples
    --------
    >>> oc.load_model("yeast-metaphase").levels
    (2000, 4000, 8000)
    """
    from orca_cool.model.bundle import load_bundle
    from orca_cool.model.registry import resolve

    return load_bundle(resolve(name_or_path))


def parse_edits(text: str, genome: Genome) -> list[Change]:
    """Read edits of a genome.

    Parameters
    ----------
    text : one edit or several, separated by ``;`` or line ends: ``chrI:1,000-2,000 del``, ``inv``,
        ``dup``, ``chrI:5,000 ins ACGT``, ``chrI:1,001 A>G``, ``chrI:5,000(+)::chrII:9,000(-)``.

    Raises
    ------
    EditError
        If an edit is not understood or does not fit the genome; the message quotes it.

    Examples
    --------
    >>> [str(edit) for edit in oc.parse_edits("chrI:5,000 ins ACGT", oc.open_genome("example"))]
    ['chrI:5,000 ins ACGT']
    """
    return parse(text, genome.source)


def read_variants(path: str | Path, genome: Genome, *, sample: str | None = None) -> list[Variant]:
    """Read a file of variants: VCF, BEDPE, a table of events, or a text of edits, one a line.

    Parameters
    ----------
    sample : of a VCF: read its genotypes too.

    Returns
    -------
    The variants in the file's order; one that cannot be used says why in ``.problem``.

    Raises
    ------
    EditError
        If the file cannot be read.

    Examples
    --------
    >>> [v.name for v in oc.read_variants("in.edits", oc.open_genome("example"))]
    ['deletion']
    """
    return list(read(path, genome.source, sample=sample))
