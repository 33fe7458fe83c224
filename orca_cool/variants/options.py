"""The options of a command line that say how the genome is edited, as plain values; and the edited
genome that they make, in this process or on a worker.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orca_cool.errors import EditError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Change
from orca_cool.genome.edited import EditedGenome, digest, fingerprint
from orca_cool.genome.source import SequenceSource
from orca_cool.genome.textfile import TextFile
from orca_cool.variants import changes_of_haplotype, parse_edits, parse_seqstr, read_variants

#: Edits, and segments of each contig, that metadata lists.
LISTED = 1000

#: Variants that cannot be applied are told one by one up to this many.
TOLD = 10


@dataclass(frozen=True)
class EditOptions:
    """Options of a command line about edits: plain values, so that they can be sent to another
    process.

    Attributes
    ----------
    edit : texts of edits, or ``@FILE`` for a file of them.
    vcf : path of a file of variants.
    haplotype, sample : of ``vcf``, whose variants are applied; None: all variants.
    seqstr : sequences as text, or ``@FILE``.
    strict : a variant that cannot be used is an error.
    """

    edit: tuple[str, ...] = ()
    vcf: str | None = None
    haplotype: int | None = None
    sample: str | None = None
    seqstr: str | None = None
    strict: bool = False

    def __bool__(self) -> bool:
        return bool(self.edit) or self.vcf is not None or self.seqstr is not None

    def require_consistent(self) -> None:
        """EditError if an option needs another that is not given."""
        if self.haplotype is not None and self.vcf is None:
            raise EditError(f"--haplotype {self.haplotype} needs --vcf FILE")
        if self.sample is not None and self.haplotype is None:
            raise EditError(f"--sample {self.sample!r} needs --vcf FILE and --haplotype K")
        if self.strict and self.vcf is None:
            raise EditError("--strict needs --vcf FILE")

    def standalone(self) -> EditOptions:
        """The same options for a process in another folder: files of text are read, and other paths
        are made absolute.
        """
        edit = tuple(_absolute_files(_text("--edit", text)) for text in self.edit)
        vcf = None if self.vcf is None else str(Path(self.vcf).absolute())
        return replace(
            self,
            edit=edit,
            vcf=vcf,
            seqstr=None if self.seqstr is None else _text("--seqstr", self.seqstr),
        )


@dataclass(frozen=True)
class Edited:
    """An edited genome.

    Attributes
    ----------
    changes : those that were applied.
    problems : a line for each variant that could not be used.
    """

    genome: EditedGenome
    changes: list[Change]
    problems: list[str]

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the changed sequence, with which the genome's name ends."""
        return fingerprint(self.genome.contigs)

    def warnings(self) -> list[str]:
        """One line for each of the first variants that are not applied, and how many there are."""
        lines = [f"warning: not applied: {' '.join(p.split())}" for p in self.problems[:TOLD]]
        if len(self.problems) > TOLD:
            lines.append(
                f"warning: and {len(self.problems) - TOLD:,} more, {len(self.problems):,} in all, "
                f"that are not applied"
            )
        return lines


def edited_genome(
    options: EditOptions, source: SequenceSource, assembly: str | None = None
) -> Edited:
    """Apply the edits of all options together to a genome, in whose coordinates all of them are.

    Parameters
    ----------
    assembly : name of the genome's assembly, if it is known; the one that Seqstr names in brackets
        must be the same.

    Raises
    ------
    EditError
        If an edit is not understood, does not fit the genome, or overlaps another; if nothing can
        be applied; with ``strict`` if a variant cannot be used.
    """
    options.require_consistent()
    changes: list[Change] = []
    problems: list[str] = []
    for text in options.edit:
        changes += parse_edits(_text("--edit", text), source)
    if options.vcf is not None:
        found, problems = _of_file(options, source)
        changes += found
        if problems and options.strict:
            raise EditError(
                problems[0]
                + (
                    f" (and {len(problems) - 1:,} more that cannot be used)"
                    if len(problems) > 1
                    else ""
                )
            )
    if options.seqstr is not None:
        changes += parse_seqstr(_text("--seqstr", options.seqstr), source, assembly=assembly)
    if not changes:
        whose = "" if options.haplotype is None else f"haplotype {options.haplotype} of "
        whose += "" if options.sample is None else f"sample {options.sample!r} of "
        reason = (
            f"; {len(problems):,} of its variants cannot be used, the first: {problems[0]}"
            if problems
            else ""
        )
        raise EditError(f"{whose}{options.vcf!r} changes nothing{reason}")
    return Edited(apply_edits(source, changes), changes, problems)


def _of_file(options: EditOptions, source: SequenceSource) -> tuple[list[Change], list[str]]:
    """The changes of the file of variants, and a line for each variant that cannot be used."""
    assert options.vcf is not None
    if options.haplotype is not None:
        return changes_of_haplotype(
            read_variants(options.vcf, source, sample=options.sample or ""), options.haplotype
        )
    # All variants: as if one haplotype carried every one of them.
    return changes_of_haplotype(
        (replace(v, alleles=(1,), phased=True) for v in read_variants(options.vcf, source)), 1
    )


def provenance_of(
    edited: Edited, options: EditOptions, assembly: str, reencode: bool
) -> dict[str, Any]:
    """What identifies a prediction of an edited genome, for the metadata of its file: plain values.

    Parameters
    ----------
    assembly : name of the reference's assembly.
    reencode : the edited genome is encoded without the encodings of the reference.
    """
    genome = edited.genome

    def listed(texts: list[str]) -> list[str]:
        return (
            texts
            if len(texts) <= LISTED
            else [*texts[:LISTED], f"and {len(texts) - LISTED:,} more"]
        )

    told: dict[str, Any] = {
        "edits": listed([str(change) for change in edited.changes]),
        "contigs_sha256": digest(genome.contigs),
        "segments": {
            contig: listed([str(s) for s in genome.contigs[contig]]) for contig in genome.edited
        },
        "reference_assembly": assembly,
        "reference_chromsizes_sha256": hashlib.sha256(
            repr(dict(genome.source.chromsizes)).encode()
        ).hexdigest(),
        "reencode": reencode,
    }
    if options.vcf is not None:
        told |= {
            "vcf": Path(options.vcf).name,
            "haplotype": options.haplotype,
            "sample": options.sample,
        }
        told |= {"not_applied": len(edited.problems)}
    return told


def _text(option: str, text: str) -> str:
    """What an option says, or the lines of the file that it names."""
    if not text.startswith("@"):
        return text
    return "\n".join(line for _, line in TextFile(text[1:], f"{option} file", EditError).lines())


def _absolute_files(text: str) -> str:
    """The text of edits, with the paths of the files of sequence that it names made absolute."""
    return re.sub(r"(?<![^\s,=:])@(?=[^/\s])", lambda _: f"@{Path.cwd()}/", text)
