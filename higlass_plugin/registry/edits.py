"""Edited genomes that a server has open: made from what a client sends, within limits."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from higlass_plugin.registry.address import MAX_CHANGES, MAX_GROWTH, MAX_TEXT, Address
from orca_cool.errors import EditError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Change
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.source import SequenceSource
from orca_cool.variants import changes_of_haplotype, parse_edits, read_variants

#: Longest list of contigs or segments that is told.
MAX_SEGMENTS = 20_000

_VCF = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@dataclass
class EditedView:
    """An edited genome that is open: what its page needs to know. Fields are described in
    :meth:`to_json`'s names.

    Attributes
    ----------
    id : of the edit. url : of its map. assembly : its name. edits : what was asked for. problems :
        variants that could not be used.
    contigs : chromsizes of the edited genome; edited : those that are not as they were.
    junctions : by edited contig, bp where two pieces meet. places : by chromosome of the reference,
        bp of the breakpoints there.
    tilesets : uids: "map", "insulation", "compartments" in its own coordinates; "lifted",
        "difference" in the reference's.
    """

    id: str
    name: str
    url: str
    assembly: str
    model: str
    genome: str
    edits: list[str]
    problems: list[str]
    contigs: dict[str, int]
    edited: list[str]
    junctions: dict[str, list[int]]
    places: dict[str, list[int]]
    tilesets: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def edited_genome(
    address: Address, source: SequenceSource, least: int
) -> tuple[EditedGenome, list[Change], list[str]]:
    """The genome that an address asks for, its changes, and the variants of its VCF lines that
    cannot be used.

    No file is read whatever the edits say.

    Parameters
    ----------
    least : bp that every edited chromosome must have.

    Raises
    ------
    EditError
        If an edit is not understood or cannot be made, or asks for too much.
    """
    size = sum(map(len, address.edits)) + len(address.vcf)
    if size > MAX_TEXT:
        raise EditError(f"the edits have {size:,} characters; at most {MAX_TEXT:,} are read")
    changes: list[Change] = []
    problems: list[str] = []
    for text in address.edits:
        changes += parse_edits(text, source, files=False)
    if address.vcf:
        found, problems = _of_vcf(address.vcf, source)
        changes += found
    if not changes:
        raise EditError(
            problems[0] if problems else "there is no edit; write one as chrII:238,208-238,325 del"
        )
    if len(changes) > MAX_CHANGES:
        raise EditError(
            f"there are {len(changes):,} changes; at most {MAX_CHANGES:,} are made at once"
        )
    genome = apply_edits(source, changes)
    length, limit = sum(genome.chromsizes.values()), MAX_GROWTH * sum(source.chromsizes.values())
    if length > limit:
        raise EditError(f"the edited genome has {length:,} bp; at most {limit:,} are shown")
    if sum(map(len, genome.contigs.values())) > MAX_SEGMENTS:
        raise EditError(f"the edited genome is of more than {MAX_SEGMENTS:,} pieces")
    for contig in genome.edited:
        if genome.chromsizes[contig] < least:
            raise EditError(
                f"the edits leave {genome.chromsizes[contig]:,} bp of {contig!r}, less than one "
                f"bin of {least:,} bp"
            )
    return genome, changes, problems


def _of_vcf(text: str, source: SequenceSource) -> tuple[list[Change], list[str]]:
    """Changes that lines of VCF, with or without a header, ask for: all of them together."""
    lines = text.replace("\r\n", "\n").strip("\n")
    if not lines.startswith("#"):
        # what is typed or pasted has lost its tabs more often than not
        lines = _VCF + "\n".join(
            "\t".join(line.split(None, 7)) for line in lines.split("\n") if line.strip()
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.vcf"
        path.write_text(lines + "\n", encoding="utf-8", errors="replace")
        try:
            return changes_of_haplotype(
                (replace(v, alleles=(1,), phased=True) for v in read_variants(path, source)), 1
            )
        except EditError as error:
            raise EditError(
                str(error)
                .replace(repr(str(path)), "the VCF text")
                .replace(str(path), "the VCF text")
            ) from error


def places_of(genome: EditedGenome) -> dict[str, list[int]]:
    """Where on the source the edited contigs were cut, by chromosome, bp."""
    found: dict[str, set[int]] = {}
    for contig in genome.edited:
        for s in genome.contigs[contig]:
            if s.chrom:
                ends = {s.start, s.end} - {0, genome.source.chromsizes[s.chrom]}
                found.setdefault(s.chrom, set()).update(ends)
    return {chrom: sorted(found[chrom]) for chrom in genome.source.chromsizes if found.get(chrom)}


def changed(edits: Sequence[str], changes: Sequence[Change]) -> str:
    """A short name of what was changed."""
    texts = (
        [str(change) for change in changes]
        if len(changes) < 4
        else [str(changes[0]), f"and {len(changes) - 1:,} more"]
    )
    name = "; ".join(texts or edits)
    return name if len(name) <= 80 else f"{name[:77]}..."
