"""Seqstr: sequences composed of intervals, variants and letters, one on each line
(github.com/jzhoulab/Seqstr). ::

    <name>[hg38]chr7:5530575-5530625 -, @chr7 5530575 C T, @chr7 5530576 GC A;TTAAccggGGNaa

Sections are separated by ``;``. Coordinates are 0-based, end-exclusive, and those of modifiers
(``@chrom position reference alternate``) are 0-based too, on the forward strand of the unchanged
reference; ``-`` behind the interval then takes the reverse complement of the whole section. Unlike
in the original, letters must be A, C, G, T or N.
"""

from __future__ import annotations

import re

from orca_cool.errors import EditError, RegionError
from orca_cool.genome.changes import Contig
from orca_cool.genome.regions import parse_region
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import SequenceSource
from orca_cool.variants.checks import agrees, genome_letters, short

_NAME = re.compile(r"<(?P<name>[^<>]*)>(?P<rest>.*)", re.DOTALL)
_INTERVAL = re.compile(
    r"(?:\[(?P<assembly>[^\]]*)\])?+\s*+(?P<region>.+:\d++-\d++)(?:\s+(?P<strand>[+-]))?"
)
_MODIFIER = re.compile(
    r"@(?P<chrom>\S+)\s+(?P<position>\d{1,18})\s+(?P<ref>[A-Za-z]+)\s+(?P<alt>[A-Za-z]+)"
)


def parse_seqstr(text: str, source: SequenceSource, *, assembly: str | None = None) -> list[Contig]:
    r"""Read sequences; lines are separated by new lines or by the two characters ``\n``.

    Parameters
    ----------
    source : the genome that the intervals are of.
    assembly : its name; one in brackets must then be the same.

    Returns
    -------
    A chromosome for each line that is not blank, called as ``<name>`` says or by its number, from
    0.

    Raises
    ------
    EditError
        If a section is not understood or outside the genome, a reference allele is not the
        genome's, modifiers overlap, two sequences have one name or one has a chromosome's, or there
        is no sequence. The message quotes the section.
    """
    contigs: list[Contig] = []
    names: set[str] = set()
    for line in re.split(r"\n|\\n", text):
        if not line.strip():
            continue
        match = _NAME.fullmatch(line.strip())
        name, rest = (match["name"].strip(), match["rest"]) if match else (str(len(contigs)), line)
        if not re.fullmatch(r"[^\s,;=()]+", name):
            raise EditError(f"sequence name {name!r} is empty or holds a space or one of , ; = ( )")
        if name in source.chromsizes or name in names:
            other = "a chromosome" if name in source.chromsizes else "another sequence"
            raise EditError(
                f"sequence {short(line)!r} would have the name of {other}, {name!r}; begin it "
                f"with <name>, another one"
            )
        segments: list[Segment] = []
        for section in rest.split(";"):
            if section.strip():
                try:
                    segments += _section(section.strip(), source, assembly)
                except (EditError, RegionError) as error:
                    raise EditError(
                        f"section {short(section.strip(), 60)!r} of sequence {name!r}: {error}"
                    ) from None
        if not segments:
            raise EditError(f"sequence {name!r} is empty")
        contigs.append(Contig(name, tuple(segments)))
        names.add(name)
    if not contigs:
        raise EditError(
            f"{text!r} holds no sequence; write it as <name>chr7:5530575-5530625 -;ACGT"
        )
    return contigs


def _section(text: str, source: SequenceSource, assembly: str | None) -> list[Segment]:
    interval, *modifiers = (part.strip() for part in text.split(","))
    match = _INTERVAL.fullmatch(interval)
    if not match:
        if modifiers or not interval.isalpha():
            raise EditError(
                f"{short(interval)!r} is neither letters nor an interval; write "
                f"[hg38]chr7:5530575-5530625 -"
            )
        return [Segment.letters(interval)]
    if assembly is not None and match["assembly"] not in (None, assembly):
        raise EditError(f"it is of assembly {match['assembly']!r}, the genome is {assembly!r}")
    region = parse_region(match["region"], source.chromsizes)
    out: list[Segment] = []
    at = region.start
    for start, end, alt, quoted in sorted(
        _modifier(m, region.chrom, source) for m in modifiers if m
    ):
        if start < region.start or end > region.end:
            raise EditError(f"modifier {quoted!r} lies outside the interval {region}")
        if start < at:
            raise EditError(f"modifier {quoted!r} overlaps the one before it")
        out += [Segment(region.chrom, at, start)] * (start > at) + [Segment.letters(alt)]
        at = end
    out += [Segment(region.chrom, at, region.end)] * (region.end > at)
    return [s.reverse_complement() for s in reversed(out)] if match["strand"] == "-" else out


def _modifier(text: str, chrom: str, source: SequenceSource) -> tuple[int, int, str, str]:
    """(start, end, alternate, text) of "@chr7 5530575 C T"."""
    match = _MODIFIER.fullmatch(text)
    if not match:
        raise EditError(
            f"{short(text)!r} is no modifier; write @{chrom} 5530575 C T (position 0-based, "
            f"reference, alternate)"
        )
    if match["chrom"] != chrom:
        raise EditError(f"modifier {text!r} is on {match['chrom']!r}, its interval on {chrom!r}")
    start, ref = int(match["position"]), match["ref"].upper()
    there = genome_letters(source, chrom, start, start + len(ref))
    if not agrees(ref, there):
        raise EditError(
            f"modifier {text!r}: reference {short(ref)!r} is not the genome's {short(there)!r} "
            f"at {chrom}:{start:,} (0-based)"
        )
    return start, start + len(ref), match["alt"], text
