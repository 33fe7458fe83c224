"""Genes of a region from GTF, GFF3 or BED, and the same genes on an edited genome."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from orca_cool.errors import RegionError
from orca_cool.genome.intervals import require_bed
from orca_cool.genome.regions import Region, interval_of, suggestion
from orca_cool.genome.segments import OTHER
from orca_cool.genome.textfile import Row, TextFile

if TYPE_CHECKING:
    import pandas as pd

    from orca_cool.genome.edited import EditedGenome


logger = logging.getLogger(__name__)

#: Columns of a table of genes.
COLUMNS = ["chrom", "start", "end", "name", "strand"]

#: Attributes that name a gene, best first. "gene" holds the standard name in SGD's and NCBI's GFF3.
NAMES = ("gene_name", "gene", "Name", "gene_id", "ID")

#: Attributes that hold further names of a gene, with commas between them.
ALIASES = ("Alias", "gene_synonym", "synonyms")

#: Types of features that are genes: the Sequence Ontology's names for kinds of genes too
#: (ncRNA_gene and pseudogene of Ensembl, tRNA_gene of SGD, transposable_element_gene of TAIR).
_GENE = re.compile(r"(\w+_)?(pseudo)?gene")

#: Features of GTF from which a gene is made that has no line of its own.
_PARTS = ("transcript", "mRNA", "exon", "CDS")

#: The gene that a line of GTF is of; GFF3 writes "=", and names parents instead.
_GENE_ID = re.compile(r'(?:^|[\s;])gene_id\s+(?:"([^"]*)"|([^\s;"]+))')

#: What UCSC's genePredToGtf puts behind the id of a transcript that is found at several places.
_COPY = re.compile(r'transcript_id "[^"]*(_dup\d+)"')

#: Parts of a gene on both sides of an insertion of at most this many bp are drawn as one gene.
SHORT = 1000

#: chrom, start, end, name, strand
Gene = tuple[str, int, int, str, str]


def read_genes(path: str | Path, region: Region) -> pd.DataFrame:
    """Genes that overlap a region.

    Parameters
    ----------
    path : GTF or GFF3 (features ``gene`` and kinds of it, such as ``ncRNA_gene`` and
        ``pseudogene``; the name is the first of :data:`NAMES` that is there), or BED of at least
        four columns (strand in the sixth); the content tells which. Genes of GTF that have no line
        of their own reach from the first to the last base of their transcripts and exons.

    Returns
    -------
    DataFrame with columns chrom, start, end (0-based, end-exclusive, bp), name, strand ("+", "-" or
    "."), by start. Only the region's genes are held in memory.

    Raises
    ------
    RegionError
        If the file is missing, damaged or none of these (the message tells the line), holds no
        gene, or calls the chromosome with "chr" where the region has none, or the other way round.
    """
    import pandas as pd

    names: dict[str, None] = {}
    found: list[Gene] = []
    for _, gene in rows(path):
        chrom, start, end = gene[:3]
        names[chrom] = None
        if chrom == region.chrom and start < region.end and end > region.start:
            found.append(gene)
    if region.chrom not in names:
        other = region.chrom[3:] if region.chrom.startswith("chr") else "chr" + region.chrom
        hint = suggestion(region.chrom, names)
        message = f"genes {str(path)!r}: there is none on {region.chrom!r}; {hint}"
        if other in names:
            raise RegionError(message)
        logger.warning(message)
    table = pd.DataFrame(sorted(found, key=lambda gene: gene[1:]), columns=COLUMNS)
    return table.astype({"start": np.int64, "end": np.int64})


def rows(
    path: str | Path, features: set[str] | None = None, aliases: dict[Gene, set[str]] | None = None
) -> Iterator[tuple[int | None, Gene]]:
    """(number of the line, gene) of every gene of a file, checked; genes of GTF that have no line
    of their own come last.

    Parameters
    ----------
    path : GTF, GFF3 or BED, told by the first line that holds data.
    features : is filled with the types of the other features that there are in GTF or GFF3.
    aliases : is filled with the further names of genes of GTF or GFF3: those of :data:`NAMES` that
        are not the first, and those of :data:`ALIASES`.

    Raises
    ------
    RegionError
        As :func:`read_genes`.
    """
    file = TextFile(path, "genes", RegionError)
    features = set() if features is None else features
    bed, found, unlisted = None, False, _Unlisted()
    # GFF3 may end with the sequence itself, as FASTA.
    for row in file.rows(until="##FASTA"):
        if bed is None:
            bed = _is_bed_not_gff(row)
        gene = _of_bed(row) if bed else _of_gff(row, features, unlisted)
        if gene is not None:
            found = True
            if aliases is not None and not bed:
                aliases[gene] = _other_names(_attributes(row.fields[8])) - {gene[3]}
            yield row.number, gene
    for number, gene in unlisted.genes():
        found = True
        yield number, gene
    if not found:
        only = f", only {', '.join(sorted(features)[:10])}" if features else ""
        raise file.error(
            f"hold no gene: there is no feature 'gene'{only}; give a file that has genes, or BED"
        )


class _Unlisted:
    """Genes of GTF that have transcripts and exons, and no line of their own."""

    def __init__(self) -> None:
        self.listed: set[str] = set()
        # (gene_id, chromosome, strand, copy) -> [line, start, end, name]
        self.found: dict[tuple[str, str, str, str], list[Any]] = {}

    def add(self, row: Row, gene: str) -> None:
        """A part of the gene of that gene_id."""
        if not gene or gene in self.listed:
            return
        region, strand = _region_of_gff(row), _strand(row.fields[6])
        copy = _COPY.search(row.fields[8])
        key = (gene, region.chrom, strand, copy[1] if copy else "")
        its = self.found.setdefault(key, [row.number, region.start, region.end, ""])
        its[1:3] = min(its[1], region.start), max(its[2], region.end)
        its[3] = its[3] or _name(_attributes(row.fields[8]))

    def genes(self) -> Iterator[tuple[int | None, Gene]]:
        """In the order in which they first appear."""
        for (gene, chrom, strand, _), (number, start, end, name) in self.found.items():
            if gene not in self.listed:
                yield number, (chrom, start, end, name.strip(), strand)


def _is_bed_not_gff(row: Row) -> bool:
    if is_bed(row):
        return True
    if len(row.fields) >= 8 and _are_numbers(row.fields[3:5]):
        return False
    raise row.error("is neither GTF, GFF3 nor BED with tabs between its columns")


def is_bed(row: Row) -> bool:
    """True if the second and third column are whole numbers, as in BED.

    Raises
    ------
    OrcaCoolError
        The error of the row's file, if the line is BEDPE or bedGraph.
    """
    if not _are_numbers(row.fields[1:3]):
        return False
    require_bed(row)
    return True


def _are_numbers(fields: Sequence[str]) -> bool:
    return len(fields) == 2 and all(re.fullmatch(r"-?\d+", f.strip()) for f in fields)


def _of_bed(row: Row) -> Gene:
    require_bed(row)
    if len(row.fields) < 4:
        raise row.error("has no name: BED needs four columns here (chromosome, start, end, name)")
    region, strand = interval_of(row), row.fields[5] if len(row.fields) > 5 else "."
    return region.chrom, region.start, region.end, row.fields[3].strip(), _strand(strand)


def _of_gff(row: Row, features: set[str], unlisted: _Unlisted) -> Gene | None:
    if len(row.fields) < 9:
        raise row.error("is not GTF or GFF3: it has fewer than nine columns")
    feature, text = row.fields[2], row.fields[8]
    if not _GENE.fullmatch(feature):
        features.add(feature)
        if feature in _PARTS and (gene := _GENE_ID.search(text)):
            unlisted.add(row, gene[1] or gene[2])
        return None
    region, attributes = _region_of_gff(row), _attributes(text)
    name = _name(attributes)
    if not name:
        raise row.error(f"names no gene; it must have one of {', '.join(NAMES)}")
    unlisted.listed.add(attributes.get("gene_id", ""))
    return region.chrom, region.start, region.end, name.strip(), _strand(row.fields[6])


def _region_of_gff(row: Row) -> Region:
    return interval_of(
        row, columns=(0, 3, 4), first=1, form="GTF or GFF3: start and end are no whole numbers"
    )


def _strand(text: str) -> str:
    return text if text in ("+", "-") else "."


def _is_gff3(attributes: str) -> bool:
    return re.match(r"\s*[^\s=;]+=", attributes) is not None


def _attributes(text: str) -> dict[str, str]:
    """The ninth column of GTF or GFF3."""
    if _is_gff3(text):
        pairs = (part.strip().partition("=") for part in text.split(";"))
        return {key: unquote(value) for key, _, value in pairs}
    return {
        key: quoted or plain
        for key, quoted, plain in re.findall(r'([^\s;]+)\s+(?:"([^"]*)"|([^\s;"]+))', text)
    }


def _name(attributes: Mapping[str, str]) -> str:
    """The gene's name; "" if there is none."""
    return next((attributes[key] for key in NAMES if attributes.get(key)), "")


def _other_names(attributes: Mapping[str, str]) -> set[str]:
    """All names of a gene."""
    texts = [attributes.get(key, "") for key in NAMES]
    texts += [name for key in ALIASES for name in attributes.get(key, "").split(",")]
    return {text.strip() for text in texts if text.strip()}


@dataclass
class _Part:
    """A part of a gene on an edited chromosome, and the same bases in the reference; all in bp."""

    start: int
    end: int
    ref_start: int
    ref_end: int

    def is_followed_by(self, other: _Part, strand: str) -> bool:
        """True if ``other``, which lies to the right on the edited chromosome, belongs to the same
        copy of the gene: it is close, and its bases come later in the gene.
        """
        in_order = (
            other.ref_start >= self.ref_end if strand == "+" else other.ref_end <= self.ref_start
        )
        return in_order and other.start - self.end <= SHORT

    def extend(self, other: _Part) -> None:
        self.end = other.end
        self.ref_start = min(self.ref_start, other.ref_start)
        self.ref_end = max(self.ref_end, other.ref_end)


def lift(
    genes: pd.DataFrame, genome: EditedGenome, contig: str, start: int, end: int
) -> pd.DataFrame:
    """Genes of the reference in a window of an edited genome, where their bases went: once for
    every copy.

    A gene has " (part)" behind its name if one of its ends was lost or lies elsewhere. It is whole
    where only bases inside it were lost, or at most :data:`SHORT` bp were inserted.

    Parameters
    ----------
    genes : as :func:`read_genes` returns them, in the reference.
    contig, start, end : the window, in bp of the edited genome.

    Returns
    -------
    DataFrame with the same columns, ``chrom`` being the contig.
    """
    import pandas as pd

    length = genome.chromsizes[contig]
    rows: list[Gene] = []
    for (index, strand), parts in _parts_of_genes(genes, genome, contig, start, end).items():
        gene = genes.loc[index]
        turns = strand == "-" and gene["strand"] != "."
        own_strand = OTHER[gene["strand"]] if turns else gene["strand"]
        for part in parts:
            # An end that the window cuts off is not missing; one that the contig lacks is.
            cut = [start > 0 and part.start == start, end < length and part.end == end]
            cut_start, cut_end = cut if strand == "+" else cut[::-1]
            whole = (part.ref_start == gene["start"] or cut_start) and (
                part.ref_end == gene["end"] or cut_end
            )
            name = gene["name"] + ("" if whole else " (part)")
            rows.append((contig, part.start, part.end, name, own_strand))
    return pd.DataFrame(sorted(rows, key=lambda row: row[1:]), columns=COLUMNS).astype(
        {"start": np.int64, "end": np.int64}
    )


def _parts_of_genes(
    genes: pd.DataFrame, genome: EditedGenome, contig: str, start: int, end: int
) -> dict[tuple[int, str], list[_Part]]:
    """Parts of each gene in a window, from left to right, by the gene's row and the strand on which
    its reference is read there; parts of one copy are one.
    """
    by_chrom = {chrom: table for chrom, table in genes.groupby("chrom")}
    parts: dict[tuple[int, str], list[_Part]] = {}
    at = max(start, 0)
    for s in genome.segments(contig, start, end):
        table = by_chrom.get(s.chrom) if s.chrom else None
        if table is not None:
            a = np.maximum(table["start"].to_numpy(), s.start)
            b = np.minimum(table["end"].to_numpy(), s.end)
            for k in np.flatnonzero(a < b):
                first = at + int(a[k] - s.start if s.strand == "+" else s.end - b[k])
                part = _Part(first, first + int(b[k] - a[k]), int(a[k]), int(b[k]))
                known = parts.setdefault((int(table.index[k]), s.strand), [])
                if known and known[-1].is_followed_by(part, s.strand):
                    known[-1].extend(part)
                else:
                    known.append(part)
        at += len(s)
    return parts


def spans(places: Sequence[tuple[str, int, int]]) -> list[Region]:
    """One region for each chromosome, from the first to the last base of its intervals.

    Parameters
    ----------
    places : (chromosome, start, end) of each interval, in bp.
    """
    out = []
    for chrom, group in itertools.groupby(sorted(places), key=lambda place: place[0]):
        several = list(group)
        out.append(Region(chrom, max(0, several[0][1]), max(end for _, _, end in several)))
    return out
