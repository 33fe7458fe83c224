"""Whether a VCF is of the genome that it is used with, as far as its header tells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from orca_cool.errors import EditError
from orca_cool.genome.source import SequenceSource

#: Lengths in bp by which assemblies are told (UCSC's chromosome sizes), and how headers name them.
ASSEMBLIES: dict[str, tuple[str, dict[str, int]]] = {
    "hg19": (
        r"hg19|grch37|hs37|b37|human_g1k_v37",
        {"1": 249_250_621, "2": 243_199_373, "10": 135_534_747, "22": 51_304_566, "X": 155_270_560},
    ),
    "hg38": (
        r"hg38|grch38",
        {"1": 248_956_422, "2": 242_193_529, "10": 133_797_422, "22": 50_818_468, "X": 156_040_895},
    ),
    "mm10": (r"mm10|grcm38", {"1": 195_471_971, "2": 182_113_224, "X": 171_031_299}),
    "mm39": (r"mm39|grcm39", {"1": 195_154_279, "2": 181_755_017, "X": 169_476_592}),
}

_CONTIG = re.compile(r"##contig=<(?=.*?\bID=([^,>]+))(?=.*?\blength=(\d+))")
_NAMED = re.compile(r"##(?:reference|assembly)=(.*)", re.IGNORECASE)


def require_same_assembly(name: str, meta: Sequence[str], source: SequenceSource) -> None:
    """Hold what a header says of its genome against the genome.

    Parameters
    ----------
    name : of the file, for messages. meta : its lines that begin with ``##``.

    Raises
    ------
    EditError
        If most of the chromosomes that both have ("1" is "chr1") differ in length, or ``reference``
        or ``assembly`` names another assembly than the genome's lengths tell. The message quotes
        the difference, and the command that lifts the file where both assemblies are known.
    """
    declared = {_bare(m[1]): int(m[2]) for line in meta if (m := _CONTIG.match(line))}
    sizes = {_bare(chrom): size for chrom, size in source.chromsizes.items()}
    shared = [c for c in declared if c in sizes and c not in ("M", "MT")]
    different = [c for c in shared if declared[c] != sizes[c]]
    theirs, ours = assembly_of(declared), assembly_of(sizes)
    if different and 2 * len(different) > len(shared):
        chrom = different[0]
        told = (
            f"its header says that chromosome {chrom} is {declared[chrom]:,} bp long{_as(theirs)}, "
            f"in genome {source.name!r} it is {sizes[chrom]:,} bp long{_as(ours)}"
        )
        raise EditError(f"{name} is of another assembly: {told}; {_way(name, theirs, ours)}")
    named = _named(meta)
    if ours is not None and named is not None and theirs is None and named[0] != ours:
        raise EditError(
            f"{name} is of another assembly: its header says {named[1]!r} ({named[0]}), genome "
            f"{source.name!r} is {ours}; {_way(name, named[0], ours)}"
        )


def assembly_of(sizes: Mapping[str, int]) -> str | None:
    """The known assembly whose lengths chromosomes have; None if it is none of them.

    Parameters
    ----------
    sizes : bp by name, without "chr".
    """
    for assembly, (_, lengths) in ASSEMBLIES.items():
        shared = [c for c in lengths if c in sizes]
        if shared and all(sizes[c] == lengths[c] for c in shared):
            return assembly
    return None


def _named(meta: Sequence[str]) -> tuple[str, str] | None:
    """The assembly that a header names, and the text that does; None if it is none, or several."""
    found = {
        assembly: m[1].strip()
        for line in meta
        if (m := _NAMED.match(line))
        for assembly, (pattern, _) in ASSEMBLIES.items()
        if re.search(rf"(?<![a-z0-9])({pattern})(?![0-9])", m[1].lower())
    }
    return next(iter(found.items())) if len(found) == 1 else None


def _way(name: str, theirs: str | None, ours: str | None) -> str:
    """What to do, in words."""
    lift = "lift the file to the genome's assembly"
    if theirs is not None and ours is not None and theirs[:2] == ours[:2]:
        chain = f"{theirs}To{ours[0].upper()}{ours[1:]}.over.chain.gz"
        out = re.sub(r"(\.vcf)?(\.b?gz|\.bz2|\.xz)?$", f".{ours}.vcf", name, count=1)
        lift = f"lift it with `CrossMap vcf {chain} {name} {ours}.fa {out}` (chain files: UCSC)"
    return (
        f"{lift}; if it has been lifted and only its header is old, "
        f"`bcftools reheader --fai GENOME.fa.fai` mends that"
    )


def _as(assembly: str | None) -> str:
    return "" if assembly is None else f" ({assembly})"


def _bare(chrom: str) -> str:
    return chrom[3:] if chrom.lower().startswith("chr") else chrom
