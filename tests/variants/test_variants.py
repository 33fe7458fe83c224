"""Variants: footprints, haplotypes, which reader a file gets; and the small genome that the tests
of their files share.
"""

from __future__ import annotations

import numpy as np
import pytest

from orca_cool.errors import EditError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Adjacency, Breakend, Change, Contig, Edit
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import letters_to_codes
from orca_cool.variants import (
    VARIANT_KINDS,
    Variant,
    changes_of_haplotype,
    of_changes,
    read_variants,
)
from orca_cool.variants.options import EditOptions, edited_genome

ONE = "ACGTTGCAAGGCTTAACCGGATATCGCGTA"
TWO = "TTGACCAGTACGGATCCATA"
HLA = "GGGCCCNATT"
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


class Genome:
    """A genome in memory."""

    name = "tiny"

    def __init__(self, **chroms: str):
        self.texts = chroms or {"chr1": ONE, "chr2": TWO, "HLA:1": HLA}
        self.chromsizes = {c: len(t) for c, t in self.texts.items()}

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        text = self.texts[chrom]
        return letters_to_codes(
            "N" * (min(end, 0) - min(start, 0))
            + text[max(start, 0) : max(end, 0)]
            + "N" * (max(end, len(text)) - max(start, len(text)))
        )


GENOME = Genome()


def reverse_complement(text: str) -> str:
    """The other strand."""
    return text.translate(COMPLEMENT)[::-1]


def applied(*changes: Change, source: Genome = GENOME) -> dict[str, str]:
    """Letters of every contig of the edited genome."""
    genome = apply_edits(source, changes)
    return {
        c: "".join("ACGTN"[x] for x in genome.fetch(c, 0, n)) for c, n in genome.chromsizes.items()
    }


def test_the_genome_of_these_tests_is_a_source():
    assert GENOME.fetch("chr2", -2, 3).tolist() == [4, 4, 3, 3, 2]
    assert GENOME.fetch("chr2", 18, 22).tolist() == [3, 0, 4, 4]
    assert GENOME.fetch("chr2", 21, 23).tolist() == [4, 4]
    assert GENOME.fetch("chr2", -3, -1).tolist() == [4, 4]


LETTERS = (Segment.letters("AC"),)


@pytest.mark.parametrize(
    ("changes", "span", "kind", "name"),
    [
        ([Edit("del", "chr1", 2, 9)], ("chr1", 2, 9), "DEL", "chr1:2-9 del"),
        ([Edit("dup", "chr1", 2, 9, copies=3)], ("chr1", 2, 9), "DUP", "chr1:2-9 dup x3"),
        ([Edit("inv", "chr1", 2, 9)], ("chr1", 2, 9), "INV", "chr1:2-9 inv"),
        ([Edit("ins", "chr1", 2, 2, sequence=LETTERS)], ("chr1", 2, 2), "INS", "chr1:2 ins AC"),
        (
            [Edit("sub", "chr1", 2, 3, sequence=(Segment.letters("G"),))],
            ("chr1", 2, 3),
            "SNV",
            "chr1:2-3 sub G",
        ),
        ([Edit("sub", "chr1", 2, 4, sequence=LETTERS)], ("chr1", 2, 4), "MNV", "chr1:2-4 sub AC"),
        ([Edit("sub", "chr1", 2, 5, sequence=LETTERS)], ("chr1", 2, 5), "INDEL", "chr1:2-5 sub AC"),
        (
            [Edit("sub", "chr1", 2, 5, sequence=(Segment("chr2", 0, 3),))],
            ("chr1", 2, 5),
            "EDIT",
            "chr1:2-5 sub chr2:0-3(+)",
        ),
        (
            [Adjacency(Breakend("chr2", 7, "+"), Breakend("chr1", 9, "-"))],
            ("chr2", 7, 7),
            "BND",
            "chr2:7(+)::chr1:9(-)",
        ),
        (
            [Adjacency(Breakend("chr2", 9, "-"), Breakend("chr2", 7, "+"))],
            ("chr2", 7, 9),
            "BND",
            "chr2:9(-)::chr2:7(+)",
        ),
        ([Contig("new", LETTERS)], ("new", 0, 0), "EDIT", "new = AC"),
        (
            [Edit("del", "chr1", 8, 9), Edit("del", "chr1", 2, 4)],
            ("chr1", 2, 9),
            "EDIT",
            "chr1:8-9 del; chr1:2-4 del",
        ),
        (
            [Edit("del", "chr1", 8, 9), Edit("del", "chr2", 2, 14)],
            ("chr1", 8, 9),
            "EDIT",
            "chr1:8-9 del; chr2:2-14 del",
        ),
    ],
)
def test_footprint_kind_and_name_of_changes(changes, span, kind, name):
    variant = of_changes(changes, "edit 1")
    assert (variant.chrom, variant.start, variant.end) == span
    assert (variant.kind, variant.name, variant.where) == (kind, name, "edit 1")
    assert variant.changes == tuple(changes)
    assert variant.problem == ""
    assert kind in VARIANT_KINDS


def carried(
    line: int,
    alleles: tuple[int | None, ...] | None,
    phased: bool,
    *changes: Change,
    problem: str = "",
) -> Variant:
    return Variant(
        f"v{line}",
        f"x.vcf line {line}",
        "chr1",
        0,
        0,
        "DEL",
        changes,
        problem=problem,
        alleles=alleles,
        phased=phased,
    )


def deletion(start: int, end: int) -> Edit:
    return Edit("del", "chr1", start, end)


def test_haplotypes_have_what_is_phased_and_what_is_homozygous():
    a, b, c, d, e = (deletion(3 * i, 3 * i + 1) for i in range(5))
    variants = [
        carried(1, (1, 0), True, a),
        carried(2, (0, 1), True, b),
        carried(3, (1, 1), False, c),
        carried(4, (0, 0), False, d),
        carried(5, (1, 0), False, e),
    ]
    unphased = (
        "x.vcf line 5: its genotype is not phased, so which haplotype carries it is not known"
    )
    assert changes_of_haplotype(variants, 1) == ([a, c], [unphased])
    assert changes_of_haplotype(variants, 2) == ([b, c], [unphased])


def test_haplotypes_of_other_ploidies():
    a, b = deletion(0, 1), deletion(2, 3)
    variants = [carried(1, (1,), False, a), carried(2, (0, 1, 1), True, b)]
    assert changes_of_haplotype(variants, 1) == ([a], [])
    assert changes_of_haplotype(variants, 2) == ([b], [])
    assert changes_of_haplotype(variants, 3) == ([b], [])
    with pytest.raises(
        EditError, match="haplotype 4 does not exist: the genotypes have 3 alleles at most"
    ):
        changes_of_haplotype(variants, 4)
    with pytest.raises(
        EditError, match="haplotype 2 does not exist: the genotypes have 1 allele at most"
    ):
        changes_of_haplotype(variants[:1], 2)
    with pytest.raises(EditError, match="haplotype 0 does not exist"):
        changes_of_haplotype(variants, 0)


def test_a_haplotype_names_what_it_cannot_use():
    a = deletion(0, 1)
    variants = [
        carried(1, None, False, a),
        carried(2, (None, None), False, a),
        carried(3, (None, 1), False, a),
        carried(4, (None, 1), True, a),
        carried(5, (1, 1), True, problem="it is bad"),
        carried(6, (0, 0), True, problem="it is bad, but not carried"),
        carried(7, None, False, problem="it is bad too"),
    ]
    changes, problems = changes_of_haplotype(variants, 1)
    assert changes == []
    assert problems == [
        "x.vcf line 1: it has no genotype",
        "x.vcf line 2: its genotype is missing",
        "x.vcf line 3: its genotype is not phased, so which haplotype carries it is not known",
        "x.vcf line 4: its genotype is missing",
        "x.vcf line 5: it is bad",
        "x.vcf line 7: it is bad too",
    ]
    assert changes_of_haplotype(variants, 2)[0] == [a]


INSERTION = Edit("ins", "chr1", 10, 10, sequence=LETTERS)
JOIN = Adjacency(Breakend("chr1", 10, "+"), Breakend("chr2", 5, "-"))


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        (deletion(5, 10), deletion(10, 15), False),
        (deletion(5, 10), deletion(9, 15), True),
        (deletion(5, 10), deletion(2, 6), True),
        (deletion(5, 10), deletion(5, 10), True),
        (deletion(5, 10), deletion(6, 7), True),
        (deletion(6, 7), deletion(5, 10), True),
        (deletion(5, 10), Edit("del", "chr2", 5, 10), False),
        (deletion(5, 10), INSERTION, False),
        (deletion(10, 15), INSERTION, False),
        (deletion(9, 11), INSERTION, True),
        (INSERTION, deletion(9, 11), True),
        (INSERTION, INSERTION, False),
        (deletion(9, 11), JOIN, True),
        (JOIN, deletion(9, 11), True),
        (JOIN, Edit("inv", "chr2", 4, 6), True),
        (JOIN, deletion(10, 11), False),
        (JOIN, Adjacency(Breakend("chr1", 10, "+"), Breakend("chr2", 9, "+")), True),
        (JOIN, Adjacency(Breakend("chr2", 5, "+"), Breakend("chr1", 10, "-")), False),
        (deletion(5, 12), Adjacency(Breakend("chr1", 10, "+"), Breakend("chr1", 20, "-")), True),
        (deletion(5, 10), Adjacency(Breakend("chr1", 10, "+"), Breakend("chr1", 20, "-")), False),
        (Contig("chr1", LETTERS), Edit("ins", "chr1", 0, 0, sequence=LETTERS), True),
        (Contig("chr1", LETTERS), Contig("chr1", LETTERS), True),
        (JOIN, Contig("chr2", LETTERS), True),
        (Contig("new", LETTERS), deletion(0, 4), False),
    ],
)
def test_of_overlapping_changes_the_later_is_left_out(first, second, overlap):
    variants = [carried(1, (1, 1), True, first), carried(2, (1, 1), True, second)]
    changes, problems = changes_of_haplotype(variants, 1)
    assert changes == ([first] if overlap else [first, second])
    assert problems == (["x.vcf line 2: it overlaps x.vcf line 1"] if overlap else [])
    # the rule is the one by which a genome refuses changes
    if overlap:
        with pytest.raises(EditError):
            apply_edits(GENOME, [first, second])
    else:
        apply_edits(GENOME, [first, second])


def test_overlaps_are_found_among_many_in_any_order():
    random = np.random.default_rng(5)
    kept: list[Edit] = []
    variants, expected = [], []
    for line in range(400):
        start = int(random.integers(0, 500))
        end = start + int(random.integers(0, 6))
        edit = (
            Edit("ins", "chr1", start, end, sequence=LETTERS)
            if start == end
            else deletion(start, end)
        )
        variants.append(carried(line, (1,), True, edit))
        if any(k.start < end and start < k.end for k in kept):
            expected.append(line)
        else:
            kept.append(edit)
    changes, problems = changes_of_haplotype(variants, 1)
    assert changes == kept
    assert [int(p.split(":")[0].split()[-1]) for p in problems] == expected
    assert 50 < len(expected) < 350


def test_a_variant_of_several_changes_is_left_out_whole():
    variants = [
        carried(1, (1,), True, deletion(5, 10)),
        carried(2, (1,), True, deletion(20, 22), deletion(6, 7)),
    ]
    assert changes_of_haplotype(variants, 1)[0] == [deletion(5, 10)]
    variants.append(carried(3, (1,), True, deletion(20, 22)))
    assert changes_of_haplotype(variants, 1)[0] == [deletion(5, 10), deletion(20, 22)]


VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\nchr1\t2\trs1\tC\tG\t.\t.\t.\tGT\t0|1\n"


def test_the_reader_is_told_by_name_and_content(tmp_path):
    for name in ("x.vcf", "x.txt", "x"):
        (tmp_path / name).write_text(VCF)
        (variant,) = read_variants(tmp_path / name, GENOME)
        assert (variant.name, variant.kind, variant.alleles) == ("rs1", "SNV", None)
        (variant,) = read_variants(tmp_path / name, GENOME, sample="s")
        assert (variant.alleles, variant.phased) == ((0, 1), True)
    (tmp_path / "x.bed").write_text("chr1\t2\t5\tinv\n")
    (variant,) = read_variants(tmp_path / "x.bed", GENOME)
    assert variant.kind == "INV"
    with pytest.raises(EditError, match="only VCF has samples"):
        read_variants(tmp_path / "x.bed", GENOME, sample="s")
    (tmp_path / "y.vcf").write_text("chr1\t2\t5\tinv\n")
    with pytest.raises(EditError, match=r"y\.vcf' is not VCF 4: its first line is"):
        read_variants(tmp_path / "y.vcf", GENOME)
    with pytest.raises(EditError, match=r"absent\.vcf' cannot be read: No such file"):
        read_variants(tmp_path / "absent.vcf", GENOME)


def test_files_of_sequence_can_be_refused_in_tables(tmp_path):
    (tmp_path / "s.fa").write_text(">s\nACG\n")
    (tmp_path / "x.edits").write_text(f"chr1:2 ins @{tmp_path / 's.fa'}\n")
    (tmp_path / "y.edits").write_text("chr1:2 ins @s.fa\n")
    (variant,) = read_variants(tmp_path / "x.edits", GENOME)
    assert applied(*variant.changes)["chr1"] == ONE[:2] + "ACG" + ONE[2:]
    (variant,) = read_variants(tmp_path / "x.edits", GENOME, files=False)
    assert "files of sequence are not allowed" in variant.problem
    (variant,) = read_variants(tmp_path / "y.edits", GENOME, files=tmp_path)
    assert applied(*variant.changes)["chr1"] == ONE[:2] + "ACG" + ONE[2:]


def test_files_of_edits_are_read_as_every_table(tmp_path):
    path = tmp_path / "edits.txt"
    path.write_bytes(b"\xef\xbb\xbf# both alleles\r\nchr1:4-9 del\r\n\r\nchr2:1-2 inv\r\n")
    found = edited_genome(EditOptions(edit=(f"@{path}", "chr1:20-21 del")), GENOME)
    assert [str(c) for c in found.changes] == ["chr1:4-9 del", "chr2:1-2 inv", "chr1:20-21 del"]
    with pytest.raises(EditError, match=r"--edit file '.*absent' cannot be read: No such file"):
        edited_genome(EditOptions(edit=(f"@{tmp_path / 'absent'}",)), GENOME)
