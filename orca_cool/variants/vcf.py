"""Variants of VCF files (4.x): one :class:`Variant` for each ALT, and one for each pair of
breakends, in the order of the file.

htslib (through cyvcf2) parses lines one by one, so that a line that cannot be used costs only
itself: it becomes a variant with a problem. Small variants are trimmed to what differs. The POS of
a symbolic ALT is the base before the event (:mod:`orca_cool.variants.symbolic`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orca_cool.errors import EditError, missing_package
from orca_cool.genome.changes import Adjacency, Change, Edit
from orca_cool.genome.checks import check_adjacency, check_edit
from orca_cool.genome.source import SequenceSource
from orca_cool.genome.textfile import TextFile
from orca_cool.variants import breakends, symbolic
from orca_cool.variants.assemblies import require_same_assembly
from orca_cool.variants.checks import (
    LONGEST_NAME,
    agrees,
    chrom_length,
    genome_letters,
    short,
    small_edit,
)
from orca_cool.variants.symbolic import joined
from orca_cool.variants.variant import Variant, of_changes, variants_file

COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")

#: ALTs that are no variant: none; deleted by another record; any other allele.
NOTHING = (".", "*", "<*>", "<NON_REF>")

# INFO of structural variants, under the types of the specification whatever the file's own header
# says, or does not say.
_OWN = {"END": "Integer", "SVLEN": "Integer"} | dict.fromkeys(
    ("SVTYPE", "SVINSSEQ", "SEQ", "SVCLAIM", "MATEID", "PARID"), "String"
)


def read_vcf(
    path: str | Path | TextFile, source: SequenceSource, *, sample: str | None = None
) -> Iterator[Variant]:
    """Read variants and, if asked, a sample's genotypes.

    Parameters
    ----------
    source : the genome; REF of small variants must be what it has (N agrees with all), that of
        others is noted where it differs.
    sample : a name of the header, "" for the only one, None for no genotypes.

    Returns
    -------
    Iterator of Variant. A row that cannot be used has a ``problem``; a file that is cut short ends
    with one.

    Raises
    ------
    EditError
        Before the first variant is asked for, if the file is missing or no VCF, has no header or
        not that sample, is of another assembly, or cyvcf2 is not installed.
    """
    file = variants_file(path)
    try:
        import cyvcf2
    except ImportError as error:
        raise EditError(missing_package(f"reading {str(file.path)!r}", error, "variants")) from None
    meta, columns = _header(file)
    require_same_assembly(file.name, meta, source)
    minor = re.match(r"##fileformat=VCFv4\.(\d{1,3})", meta[0])
    column = _sample_column(file, columns, sample)
    reader = _Reader(file, source, columns, column, int(minor[1]) if minor else 0)
    header = "\n".join([*reader.meta(meta), "\t".join(reader.cut(columns))]) + "\n"
    try:
        reader.htslib = cyvcf2.Writer.from_string(os.devnull, header)
    except Exception as error:  # of no class of its own
        raise EditError(
            f"the header of {str(file.path)!r} cannot be read: {short(str(error), 200)}"
        ) from error
    return reader.variants()


def _header(file: TextFile) -> tuple[list[str], list[str]]:
    """Lines that begin with ``##``, and the columns."""
    meta: list[str] = []
    for number, line in file:
        if number == 1 and not line.startswith("##fileformat=VCFv4"):
            hint = "; it is BCF: bcftools view makes VCF of it" if line.startswith("BCF") else ""
            raise EditError(
                f"{str(file.path)!r} is not VCF 4: its first line is {short(line)!r}, not "
                f"'##fileformat=VCFv4.x'{hint}"
            )
        if line.startswith("##"):
            meta.append(line)
        elif not line.strip():
            continue
        elif tuple((columns := line.split("\t"))[:8]) == COLUMNS:
            return meta, columns
        else:
            raise EditError(
                f"{str(file.path)!r} line {number}: {short(line)!r} is not the header line "
                f"'#CHROM POS ID ...' with tabs"
            )
    raise EditError(
        f"{str(file.path)!r} has no header line '#CHROM POS ID ...'"
        + (f"; it is {file.problem}" if file.problem else "")
    )


def _sample_column(file: TextFile, columns: list[str], sample: str | None) -> int | None:
    if sample is None:
        return None
    names = columns[9:]
    listed = (
        ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        or "none"
    )
    if sample == "" and len(names) != 1:
        raise EditError(
            f"{str(file.path)!r} has {len(names)} samples, so one must be named; it has: {listed}"
        )
    if sample and names.count(sample) != 1:
        raise EditError(
            f"{str(file.path)!r} has {'several samples' if sample in names else 'no sample'} "
            f"{sample!r}; it has: {listed}"
        )
    return 9 + names.index(sample) if sample else 9


@dataclass
class _Reader:
    """What is known while a file is read from its first to its last line."""

    file: TextFile
    source: SequenceSource
    columns: list[str]
    sample: int | None  # index of its column
    minor: int  # of the version of VCF 4
    htslib: Any = None
    contigs: set[str] = field(default_factory=set)
    breakends: breakends.Table | None = None  # read at the first one: most files have none
    seen: dict[str, int] = field(
        default_factory=dict
    )  # position of the last record by chromosome, the present one last

    def meta(self, lines: list[str]) -> list[str]:
        """Lines of the header for htslib: those of the file, the genome's chromosomes (without
        which it warns), and the types of the INFO and FORMAT fields that are used.
        """
        own = tuple(f"##INFO=<ID={key}," for key in _OWN) + ("##FORMAT=<ID=GT,",)
        declared = [m[1] for line in lines if (m := re.match(r"##contig=<ID=([^,>]+)", line))]
        self.contigs = {*self.source.chromsizes, *declared}
        kept = [
            line for line in lines if not line.startswith(own) and not line.startswith("##contig=")
        ]
        return [
            *kept,
            *(
                f'##INFO=<ID={key},Number=.,Type={kind},Description="{key}">'
                for key, kind in _OWN.items()
            ),
            '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
            *(
                f"##contig=<ID={name}>"
                for name in dict.fromkeys([*self.source.chromsizes, *declared])
            ),
        ]

    def cut(self, fields: list[str]) -> list[str]:
        """The columns that are needed, with one sample at most, so that a file of thousands of
        samples takes no longer than a file of one.
        """
        return fields[:8] if self.sample is None else [*fields[:9], fields[self.sample]]

    def variants(self) -> Iterator[Variant]:
        try:
            for number, line in self.file:
                if not line.startswith("#") and line.strip():
                    yield from self._line(number, line)
            if self.file.problem:
                where = f"{self.file.name} line {self.file.last + 1}"
                yield Variant("", where, "", 0, 0, "EDIT", (), problem=self.file.problem)
        finally:
            self.htslib.close()

    def _line(self, number: int, line: str) -> Iterator[Variant]:
        where = f"{self.file.name} line {number}"
        fields = line.split("\t")
        bad = Variant(short(" ".join(line.split()), LONGEST_NAME), where, "", 0, 0, "EDIT", ())
        if len(fields) != len(self.columns):
            yield replace(
                bad, problem=f"it has {len(fields)} columns, the header has {len(self.columns)}"
            )
            return
        chrom, pos, name, ref, alts = fields[:5]
        bad = replace(bad, name=_label(fields, alts), chrom=chrom, id=name, ref=ref, alt=alts)
        if not re.fullmatch("[0-9]{1,18}", pos):
            yield replace(bad, problem=f"POS {short(pos)!r} is not a position")
            return
        bad = replace(bad, pos=int(pos))
        note = self._order(chrom, int(pos))
        record, alleles = None, None
        if chrom in self.contigs:
            try:
                record = self.htslib.variant_from_string("\t".join(self._cells(fields)))
                alleles = (
                    record.genotypes[0]
                    if self.sample is not None and "GT" in record.FORMAT
                    else None
                )
            except Exception as error:  # of no class of its own
                reason = str(error).rpartition("(")[2].rstrip(")")
                yield replace(bad, problem=f"htslib cannot parse the line ({short(reason)})")
                return
        start = max(int(pos) - 1, 0)
        bad = replace(bad, start=start, end=start + len(ref))
        for i, alt in enumerate(alts.split(",")):
            if alt in NOTHING:
                continue
            label = _label(fields, alt) + f"_{i + 1}" * (name != "." and "," in alts)
            one = replace(bad, name=label, kind=_kind(ref, alt), alt=alt)
            try:
                made = self._change(number, fields, i, alt, record)
                if made is None:
                    continue
                variant = _changed(one, *made, note)
            except EditError as error:
                variant = replace(one, problem=str(error))
            if alleles is not None:
                called = tuple(None if a < 0 else int(a == i + 1) for a in alleles[:-1])
                variant = replace(variant, alleles=called, phased=bool(alleles[-1]))
            yield variant

    def _cells(self, fields: list[str]) -> list[str]:
        """What htslib reads of a line."""
        cells = self.cut(fields)
        # htslib warns of every FILTER and INFO that the header does not declare
        info = [e for e in cells[7].split(";") if e.partition("=")[0] in _OWN]
        cells[6:8] = [".", ";".join(info) or "."]
        # VCF 4.4 may tell the phase of the first allele too, which htslib of today's cyvcf2 does
        # not parse
        return cells if self.sample is None else [*cells[:9], cells[9].lstrip("/|")]

    def _order(self, chrom: str, position: int) -> str:
        """The note "not sorted" if a position lies before the last one, or a chromosome recurs."""
        last = next(reversed(self.seen), chrom)
        wrong = position < self.seen.get(chrom, 0) or (chrom != last and chrom in self.seen)
        self.seen.pop(chrom, None)
        self.seen[chrom] = position
        return "not sorted" if wrong else ""

    def _change(
        self, number: int, fields: list[str], i: int, alt: str, record: Any
    ) -> tuple[Change, str] | None:
        """The change of an ALT, and a note of what was assumed.

        None for a breakend whose mate comes earlier in the file: the pair's variant is there.
        """
        chrom, position, ref = fields[0], int(fields[1]), fields[3]
        if breakends.is_breakend(alt):
            if self.breakends is None:
                self.breakends = breakends.scan(self.file.again())
            own = breakends.record_of(number, fields)
            assert own is not None
            told = breakends.told_by(own, i, self.breakends, self.source)
            if told is None:
                return None
            adjacency = check_adjacency(self.source, told[0])
            return adjacency, joined(told[1], self._ref_note(chrom, position, ref))
        length = chrom_length(self.source, chrom)
        if position > length:
            raise EditError(
                f"POS {position:,} lies beyond the end of {chrom}, which is {length:,} bp long"
            )
        if kind := symbolic.kind_of(alt):
            several = sum(other[:1] == "<" for other in fields[4].split(",")) > 1
            edit, note = symbolic.edit_of(
                kind, chrom, position, i, record, several=several, minor=self.minor
            )
            return check_edit(self.source, edit), joined(note, self._ref_note(chrom, position, ref))
        if alt.startswith("<"):
            known = "DEL, DUP, INV, INS and breakends are"
            raise EditError(f"ALT type {short(alt)!r} is not known; {known}")
        if _is_single_breakend(alt):
            raise EditError(
                f"ALT {short(alt)!r} is a single breakend: where it is joined to is not known"
            )
        return small_edit(self.source, chrom, position - 1, ref, alt), ""

    def _ref_note(self, chrom: str, position: int, ref: str) -> str:
        there = genome_letters(self.source, chrom, position - 1, position - 1 + len(ref))
        return (
            "" if agrees(ref, there) else f"REF {short(ref)!r} is not the genome's {short(there)!r}"
        )


def _label(fields: list[str], alt: str) -> str:
    """What a record is called: its ID, or where it is and what it does."""
    chrom, pos, name, ref = fields[:4]
    if name != ".":
        return name
    return f"{chrom}:{pos} " + (alt if alt[:1] == "<" else f"{short(ref)}>{short(alt)}")


def _changed(variant: Variant, change: Change, more: str, note: str) -> Variant:
    """The variant of an ALT with its change, where the change is."""
    made = of_changes([change], variant.where)
    chrom, start, end = made.chrom, made.start, made.end
    if isinstance(change, Adjacency) and change.first.chrom != change.second.chrom:
        # the record's own side, not that which is read first, so that the chromosome is CHROM
        own = next(e for e in (change.first, change.second) if e.chrom == variant.chrom)
        chrom, start, end = own.chrom, own.position, own.position
    return replace(
        variant,
        chrom=chrom,
        start=start,
        end=end,
        kind=_kind(variant.ref, variant.alt, change),
        changes=(change,),
        note=joined(note, more),
    )


def _is_single_breakend(alt: str) -> bool:
    """True for ``t.`` and ``.t``: the side that it is joined to is not known."""
    return "." in alt and alt[:1] != "<" and not breakends.is_breakend(alt)


def _kind(ref: str, alt: str, change: Change | None = None) -> str:
    """Kind of a variant, one of :data:`~orca_cool.variants.variant.VARIANT_KINDS`.

    A small variant is told by its ``change``, which holds only what differs, where that is known.
    """
    if breakends.is_breakend(alt) or _is_single_breakend(alt):
        return "BND"
    if alt.startswith("<"):
        return symbolic.kind_of(alt) or "EDIT"
    if isinstance(change, Edit):
        old, new = change.end - change.start, sum(map(len, change.sequence))
    else:
        old, new = len(ref), len(alt)
    return "INDEL" if old != new else "MNV" if old > 1 else "SNV"
