"""Make an edited genome from the edits that a client sends, within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from higlass_plugin.compute.vcf_text import variants_of_text
from higlass_plugin.registry.address import MAX_CHANGES, MAX_GROWTH, MAX_TEXT, Address
from higlass_plugin.registry.breakpoints import Breakpoint
from higlass_plugin.tiles import JsonObject
from orca_cool.errors import EditError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Adjacency, Change, Contig, Edit
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.source import SequenceSource
from orca_cool.variants import changes_of_haplotype, parse_edits
from orca_cool.variants.budget import Budget

#: Segments that an edited genome may have, all contigs together; parts of sequences and copies that
#: its edits may name; seconds of processor time that they may take to read, which none within the
#: other limits has been seen to need.
MAX_SEGMENTS, MAX_PIECES, MAX_SECONDS = 20_000, 4_000, 2.0


@dataclass
class EditedView:
    """What a client needs to know of an open edited genome; :meth:`to_json` has the same names.

    Attributes
    ----------
    id : of the edit. name : short, as shown. url : ``orca://`` address of its map.
    assembly : name of its coordinate system.
    model, genome : names of the model and of the reference. cell_type : whose maps, of a model of
        several cell types; "" of a model of one.
    edits : the changes that were made, as texts. problems : variants of the VCF lines that could
        not be used.
    contigs : {contig: bp} of the edited genome. edited : contigs that differ from the reference.
    junctions : by edited contig, bp at which two segments meet.
    places : by chromosome of the reference, bp of the breakpoints.
    breakpoints : each breakpoint in both genomes, in the order of the contigs.
    tilesets : uids of "map", "insulation" and "compartments" in its own coordinates, and of
        "lifted" and "difference" in those of the reference.
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
    breakpoints: list[Breakpoint]
    cell_type: str = ""
    tilesets: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The fields as a JSON object."""
        return asdict(self)


def edited_genome(
    address: Address, source: SequenceSource, least: int
) -> tuple[EditedGenome, list[Change], list[str]]:
    """Make the edited genome that an address asks for. No file is read, whatever the edits say.

    Parameters
    ----------
    address : its edits and its lines of VCF are made together.
    source : the reference.
    least : bp that every edited chromosome must have: the size of the smallest bin.

    Returns
    -------
    genome : the edited genome.
    changes : that were made.
    problems : one message for each variant of the VCF lines that could not be used.

    Raises
    ------
    EditError
        If an edit is not understood or cannot be made, if there is none, or if they exceed the
        limits.
    """
    size = sum(map(len, address.edits)) + len(address.vcf)
    if size > MAX_TEXT:
        raise EditError(f"the edits have {size:,} characters; at most {MAX_TEXT:,} are read")
    budget = Budget(changes=MAX_CHANGES, pieces=MAX_PIECES, seconds=MAX_SECONDS)
    changes: list[Change] = []
    problems: list[str] = []
    for text in address.edits:
        changes += parse_edits(text, source, files=False, budget=budget)
    if address.vcf:
        found, problems = _changes_of_vcf(address.vcf, source, budget)
        changes += found
    if not changes:
        raise EditError(
            problems[0] if problems else "there is no edit; write one as chrII:238,208-238,325 del"
        )
    _check_growth(changes, source)
    budget.spend()
    genome = apply_edits(source, changes)
    budget.spend()
    _check_size(genome, least)
    return genome, changes, problems


def _check_growth(changes: Sequence[Change], source: SequenceSource) -> None:
    """EditError if the edits bring more sequence than an edited genome may have, before it is
    made.
    """
    brought = 0
    for change in changes:
        if isinstance(change, Edit):
            brought += sum(map(len, change.sequence))
            if change.kind == "dup":
                brought += (change.copies - 1) * (change.end - change.start)
        elif isinstance(change, Contig):
            brought += sum(map(len, change.segments))
        elif isinstance(change, Adjacency):
            brought += sum(map(len, change.sequence))
    limit = MAX_GROWTH * sum(source.chromsizes.values())
    if brought > limit:
        raise EditError(f"the edits bring {brought:,} bp; genomes of at most {limit:,} are shown")


def _check_size(genome: EditedGenome, least: int) -> None:
    """EditError if an edited genome is too long, has too many segments, or a contig too short."""
    source = genome.source
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


def _changes_of_vcf(
    text: str, source: SequenceSource, budget: Budget
) -> tuple[list[Change], list[str]]:
    """The changes that lines of VCF make, and messages on variants that cannot be used.

    All variants are made on one copy, whatever their genotypes.
    """
    found = variants_of_text(text, source, budget)
    return changes_of_haplotype((replace(v, alleles=(1,), phased=True) for v in found), 1)


def short_name(address: Address, changes: Sequence[Change]) -> str:
    """What was changed, in at most 80 characters: as it was typed; of VCF lines, in the grammar of
    edits.

    Parameters
    ----------
    changes : all that were made.
    """
    texts = list(address.edits)
    if address.vcf:
        texts += ["variants of the VCF"] if texts else [str(change) for change in changes]
    if len(texts) > 3:
        texts = [texts[0], f"and {len(texts) - 1:,} more"]
    name = "; ".join(texts)
    return name if len(name) <= 80 else f"{name[:77]}..."
