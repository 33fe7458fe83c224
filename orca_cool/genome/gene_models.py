"""Genes of a region from GTF, GFF3 or BED, and the same genes on an edited genome."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np

from orca_cool.errors import RegionError
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

#: Parts of a gene on both sides of an insertion of at most this many bp are drawn as one gene.
SHORT = 1000

#: chrom, start, end, name, strand
Gene = tuple[str, int, int, str, str]


def read_genes(path: str | Path, region: Region) -> pd.DataFrame:
    """Genes that overlap a region.

    Parameters
    ----------
    path : GTF or GFF3 (features ``gene``; the name is the first of :data:`NAMES` that is there), or
        BED of at least four columns (strand in the sixth); the content tells which.

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

    features: set[str] = set()
    names: dict[str, None] = {}
    found: list[Gene] = []
    for _, gene in rows(path, features):
        chrom, start, end = gene[:3]
        names[chrom] = None
        if chrom == region.chrom and start < region.end and end > region.start:
            found.append(gene)
    if not names:
        only = f", only {', '.join(sorted(features)[:10])}" if features else ""
        raise RegionError(
            f"genes {str(path)!r}: there is no feature 'gene'{only}; give a file that has genes, "
            f"or BED"
        )
    if region.chrom not in names:
        other = region.chrom[3:] if region.chrom.startswith("chr") else "chr" + region.chrom
        hint = suggestion(region.chrom, names)
        message = f"genes {str(path)!r}: there is none on {region.chrom!r}; {hint}"
        if other in names:
            raise RegionError(message)
        logger.warning(message)
    table = pd.DataFrame(sorted(found, key=lambda gene: gene[1:]), columns=COLUMNS)
    return table.astype({"start": np.int64, "end": np.int64})


def rows(path: str | Path, features: set[str]) -> Iterator[tuple[int | None, Gene]]:
    """(number of the line, gene) of every gene of a file, checked.

    Parameters
    ----------
    path : GTF, GFF3 or BED, told by the first line that holds data.
    features : is filled with the types of the other features that there are in GTF or GFF3.

    Raises
    ------
    RegionError
        As :func:`read_genes`.
    """
    file = TextFile(path, "genes", RegionError)
    parse = None
    # GFF3 may end with the sequence itself, as FASTA.
    for row in file.rows(until="##FASTA"):
        if parse is None:
            parse = _format_of(row)
        gene = parse(row, features)
        if gene is not None:
            yield row.number, gene


def _format_of(row: Row) -> Callable[[Row, set[str]], Gene | None]:
    if is_bed(row):
        return _of_bed
    if len(row.fields) >= 8 and _are_numbers(row.fields[3:5]):
        return _of_gff
    raise row.error("is neither GTF, GFF3 nor BED with tabs between its columns")


def is_bed(row: Row) -> bool:
    """True if the second and third column are whole numbers, as in BED."""
    return _are_numbers(row.fields[1:3])


def _are_numbers(fields: Sequence[str]) -> bool:
    return len(fields) == 2 and all(re.fullmatch(r"-?\d+", f.strip()) for f in fields)


def _of_bed(row: Row, features: set[str]) -> Gene | None:
    if len(row.fields) < 4:
        raise row.error("has no name: BED needs four columns here (chromosome, start, end, name)")
    strand = row.fields[5] if len(row.fields) > 5 else "."
    return _gene(interval_of(row), row.fields[3], strand)


def _of_gff(row: Row, features: set[str]) -> Gene | None:
    if len(row.fields) < 9:
        raise row.error("is not GTF or GFF3: it has fewer than nine columns")
    if row.fields[2] != "gene":
        features.add(row.fields[2])
        return None
    region = interval_of(
        row, columns=(0, 3, 4), first=1, form="GTF or GFF3: start and end are no whole numbers"
    )
    name = _name(row.fields[8])
    if not name:
        raise row.error(f"names no gene; it must have one of {', '.join(NAMES)}")
    return _gene(region, name, row.fields[6])


def _gene(region: Region, name: str, strand: str) -> Gene:
    strand = strand if strand in ("+", "-") else "."
    return region.chrom, region.start, region.end, name.strip(), strand


def _name(attributes: str) -> str:
    """The gene's name in the ninth column of GTF or GFF3; "" if there is none."""
    if re.match(r"\s*[^\s=;]+=", attributes):
        pairs = (part.strip().partition("=") for part in attributes.split(";"))
        found = {key: unquote(value) for key, _, value in pairs}
    else:
        found = {
            key: quoted or plain
            for key, quoted, plain in re.findall(
                r'([^\s;]+)\s+(?:"([^"]*)"|([^\s;"]+))', attributes
            )
        }
    return next((found[key] for key in NAMES if found.get(key)), "")


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
