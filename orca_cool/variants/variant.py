"""Variants: what one row of a file changes in a genome, and what a haplotype carries."""

from __future__ import annotations

import sys
from bisect import bisect, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orca_cool.errors import EditError
from orca_cool.genome.changes import Adjacency, Breakend, Change, Contig, as_edit
from orca_cool.genome.textfile import TextFile

#: Kinds of variants; EDIT is what has no shorter name: several changes, a whole chromosome.
VARIANT_KINDS = ("SNV", "MNV", "INDEL", "DEL", "DUP", "INV", "INS", "BND", "EDIT")

# An interval that overlaps everything on its chromosome, insertions at both of its ends, too.
_WHOLE = (-1, sys.maxsize)


@dataclass(frozen=True)
class Variant:
    """One variant: changes that are applied together.

    Attributes
    ----------
    name : of the variant, as its file gives it, or what it does.
    where : "x.vcf line 17", "edit 2": for messages.
    chrom, start, end : the interval of the reference that changes (0-based, end-exclusive), for
        tables; of an adjacency of two chromosomes its first cut. A whole chromosome has none: 0, 0.
        What could not be read is "" and 0. Of a line of VCF the chromosome is its CHROM.
    kind : one of :data:`VARIANT_KINDS`.
    changes : of the genome that it was read with; empty if there is a problem.
    problem : why it cannot be used; "" if it can.
    note : what was assumed; "" if nothing.
    alleles : for each haplotype of the chosen sample: 1 if it carries this allele, 0 if not, None
        if that is missing; None if no sample was chosen, or it has no genotype.
    phased : True if the order of ``alleles`` says which haplotype carries it.
    id, pos, ref, alt : as the input writes them, so that results can be joined with it: of VCF its
        columns, with the one ALT that this is; of tables the name, if there is one. "" and None
        where the input has no such column.
    """

    name: str
    where: str
    chrom: str
    start: int
    end: int
    kind: str
    changes: tuple[Change, ...]
    problem: str = ""
    note: str = ""
    alleles: tuple[int | None, ...] | None = None
    phased: bool = False
    id: str = ""
    pos: int | None = None
    ref: str = ""
    alt: str = ""


def variants_file(path: str | Path | TextFile) -> TextFile:
    """A file of variants, opened; bytes that are not UTF-8 are replaced, since nothing that is
    used of such files may hold any.

    Raises
    ------
    EditError
        If it cannot be read, or is empty.
    """
    if isinstance(path, TextFile):
        return path
    file = TextFile(path, "variants", EditError, undecodable="replace")
    if not file.head:
        raise EditError(f"variants {str(path)!r}: the file is empty")
    return file


def is_vcf(file: TextFile) -> bool:
    """Whether a file of variants is VCF (or BCF), by its name or its first line."""
    _, first = next(iter(file), (0, ""))
    return file.extension in (".vcf", ".bcf") or first.startswith(
        ("##fileformat=VCF", "#CHROM\tPOS", "BCF")
    )


def of_changes(changes: Sequence[Change], where: str, name: str = "", note: str = "") -> Variant:
    """The variant of one change or more; without a name it is called as the changes are written."""
    spans = [span for change in changes for span in spans_of(change)]
    chrom = spans[0][0]
    here = [(start, end) for c, start, end in spans if c == chrom and (start, end) != _WHOLE]
    start, end = min((a for a, _ in here), default=0), max((b for _, b in here), default=0)
    if isinstance(changes[0], Adjacency) and changes[0].first.chrom != changes[0].second.chrom:
        end = start = changes[0].first.position
    kind = _kind(changes[0]) if len(changes) == 1 else "EDIT"
    return Variant(
        name or "; ".join(map(str, changes)),
        where,
        chrom,
        start,
        end,
        kind,
        tuple(changes),
        note=note,
    )


def _kind(change: Change) -> str:
    if isinstance(change, Adjacency):
        return "BND"
    if isinstance(change, Contig):
        return "EDIT"
    if change.kind != "sub":
        return change.kind.upper()
    if any(s.literal is None for s in change.sequence):
        return "EDIT"
    old, new = change.end - change.start, sum(map(len, change.sequence))
    return "INDEL" if old != new else "MNV" if old > 1 else "SNV"


def spans_of(change: Change) -> list[tuple[str, int, int]]:
    """Intervals of the reference that a change claims; that of a cut or an insertion is empty."""
    if isinstance(change, Contig):
        return [(change.name, *_WHOLE)]
    if isinstance(change, Adjacency):
        if change.first.chrom != change.second.chrom:
            return [(e.chrom, e.position, e.position) for e in (change.first, change.second)]
        change = as_edit(change)
    return [(change.chrom, change.start, change.end)]


def changes_of_haplotype(variants: Iterable[Variant], k: int) -> tuple[list[Change], list[str]]:
    """The changes that haplotype ``k`` of a sample carries.

    Phase is taken as it stands in the file: haplotype 1 is the first allele throughout, phase sets
    (PS) are not looked at. A chromosome with fewer alleles (X in a male) has them on the first
    haplotypes.

    Parameters
    ----------
    variants : read with a sample.
    k : from 1.

    Returns
    -------
    changes : those of variants that the haplotype carries; they do not overlap.
    problems : a line for each variant left out that the haplotype carries or may carry, by its
        ``where``: unusable, heterozygous and unphased, without genotype, or overlapping an earlier
        one.

    Raises
    ------
    EditError
        If no genotype has ``k`` alleles.
    """
    if k < 1:
        raise EditError(f"haplotype {k} does not exist; they count from 1")
    changes: list[Change] = []
    problems: list[str] = []
    taken = _Taken()
    ploidy = 0
    for variant in variants:
        alleles = variant.alleles
        ploidy = max(ploidy, len(alleles or ()))
        unsure = alleles is None or (not variant.phased and len(set(alleles)) > 1)
        if alleles is not None and not unsure and (k > len(alleles) or alleles[k - 1] == 0):
            continue
        if variant.problem:
            problem = variant.problem
        elif alleles is None:
            problem = "it has no genotype"
        elif unsure:
            problem = "its genotype is not phased, so which haplotype carries it is not known"
        elif alleles[k - 1] is None:
            problem = "its genotype is missing"
        elif other := taken.conflict(variant.changes):
            problem = f"it overlaps {other}"
        else:
            taken.add(variant)
            changes += variant.changes
            continue
        problems.append(f"{variant.where}: {problem}")
    if k > ploidy > 0:
        raise EditError(
            f"haplotype {k} does not exist: the genotypes have {ploidy} "
            f"allele{'s' * (ploidy > 1)} at most"
        )
    return changes, problems


class _Taken:
    """Intervals and breakends that variants have claimed."""

    def __init__(self) -> None:
        self.intervals: dict[str, list[tuple[int, int, str]]] = defaultdict(
            list
        )  # by chromosome; sorted, not overlapping
        self.breakends: dict[Breakend, str] = {}

    def conflict(self, changes: Sequence[Change]) -> str:
        """``where`` of a variant that claims a part of what the changes claim; "" if none does."""
        for chrom, start, end in (span for change in changes for span in spans_of(change)):
            there = self.intervals[chrom]
            at = bisect(there, (start, end))
            # Those that are claimed do not overlap, so only the two beside can. An empty one
            # overlaps what it lies strictly inside.
            for a, b, where in there[max(at - 1, 0) : at + 1]:
                if a < end and start < b:
                    return where
        return next((self.breakends[e] for e in _breakends(changes) if e in self.breakends), "")

    def add(self, variant: Variant) -> None:
        for chrom, start, end in (span for change in variant.changes for span in spans_of(change)):
            insort(self.intervals[chrom], (start, end, variant.where))
        self.breakends |= dict.fromkeys(_breakends(variant.changes), variant.where)


def _breakends(changes: Sequence[Change]) -> list[Breakend]:
    return [
        e
        for c in changes
        if isinstance(c, Adjacency) and c.first.chrom != c.second.chrom
        for e in (c.first, c.second)
    ]
