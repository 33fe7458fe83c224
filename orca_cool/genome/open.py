"""Open a genome by path or name, under the chromosome names that are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import numpy as np

from orca_cool.errors import GenomeError
from orca_cool.genome.fasta import FastaSource
from orca_cool.genome.file_source import require_readable
from orca_cool.genome.source import SequenceSource, length_of
from orca_cool.genome.textfile import TextFile
from orca_cool.genome.twobit import TwoBitSource

#: Shipped genomes: name -> file below ``orca_cool/data``.
SHIPPED = {
    "example": "genomes/example/example.fa.gz",
    "extrusion-example": "genomes/extrusion-example/extrusion-example.fa.gz",
}


class RenamedSource:
    """A genome under other chromosome names.

    Parameters
    ----------
    source : the genome.
    names : {name there: wanted name}; chromosomes that it does not list keep theirs.

    Raises
    ------
    GenomeError
        If ``names`` holds a chromosome that the source lacks, or two sequences would get one name.
    """

    def __init__(self, source: SequenceSource, names: Mapping[str, str]):
        self.source = source
        self.name = source.name
        for old in names:
            length_of(source, old)
        self._old: dict[str, str] = {}
        for old in source.chromsizes:
            new = names.get(old, old)
            if new in self._old:
                raise GenomeError(
                    f"genome {source.name!r}: {self._old[new]!r} and {old!r} would both be "
                    f"called {new!r}"
                )
            self._old[new] = old
        self.chromsizes: dict[str, int] = {
            new: source.chromsizes[old] for new, old in self._old.items()
        }

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        """See :meth:`SequenceSource.fetch`."""
        length_of(self, chrom)
        return self.source.fetch(self._old[chrom], start, end)

    def __repr__(self) -> str:
        return f"RenamedSource({self.source!r})"


def _read_names(path: str) -> dict[str, str]:
    """{genome's name: wanted name} of a TSV."""
    try:
        names = {}
        for row in TextFile(path, "chromosome names", GenomeError).rows(spaces=False):
            columns = [column.strip() for column in row.fields]
            if len(columns) != 2 or not all(columns):
                raise row.error("is not two names with a tab between them")
            names[columns[0]] = columns[1]
        return names
    except GenomeError as error:
        raise GenomeError(
            f"{error}; give 'add-chr', 'strip-chr' or a two-column TSV (genome's name, wanted name)"
        ) from None


def _renaming(source: SequenceSource, chrom_names: str) -> dict[str, str]:
    """{genome's name: wanted name} that ``chrom_names`` of :func:`open_genome` asks for."""
    if chrom_names == "add-chr":
        names = {old: "chr" + old for old in source.chromsizes if not old.startswith("chr")}
    elif chrom_names == "strip-chr":
        names = {
            old: old[3:] for old in source.chromsizes if old.startswith("chr") and len(old) > 3
        }
    else:
        names = _read_names(chrom_names)
    if not names:
        raise GenomeError(
            f"chromosome names {chrom_names!r} would rename nothing in genome {source.name!r}"
        )
    return names


def open_genome(path_or_name: str | Path, chrom_names: str | None = None) -> SequenceSource:
    """Open a FASTA (plain or bgzip) or .2bit file, or a genome that ships with the package.

    Parameters
    ----------
    path_or_name : a path, or a name of :data:`SHIPPED` ("example"). A name wins over a file of the
        same name (write "./example" then).
    chrom_names : None, "add-chr", "strip-chr", or the path of a two-column TSV (genome's name,
        wanted name).

    Raises
    ------
    GenomeError
        If it is neither, or cannot be read; the message lists the shipped genomes.
    """
    text = str(path_or_name)
    source: SequenceSource
    if isinstance(path_or_name, str) and text in SHIPPED:
        path = Path(str(resources.files("orca_cool") / "data" / SHIPPED[text]))
        source = FastaSource(path, name=text)
    elif not Path(text).exists():
        raise GenomeError(
            f"genome {text!r} is neither a file nor a shipped genome ({', '.join(SHIPPED)})"
        )
    else:
        path = require_readable(text)
        with path.open("rb") as file:
            twobit = file.read(4) in (b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x43")
        source = (
            TwoBitSource(path) if twobit or path.suffix.lower() == ".2bit" else FastaSource(path)
        )
    return RenamedSource(source, _renaming(source, chrom_names)) if chrom_names else source
