"""VCF: every kind of ALT against plain strings, breakends of all orientations, genotypes, and every
bad line as one named row.
"""

from __future__ import annotations

import builtins
import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from Bio.bgzf import BgzfWriter
from hypothesis import given
from hypothesis import strategies as st
from test_variants import GENOME, ONE, TWO, Genome, applied, reverse_complement

from orca_cool.errors import EditError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.open import open_genome
from orca_cool.variants import Variant, changes_of_haplotype, read_vcf

#: Small files that once went wrong.
CASES = Path(__file__).resolve().parents[1] / "data" / "cases"

HEADER = "##fileformat=VCFv4.3\n##contig=<ID=chr1>\n##contig=<ID=chrUn>\n"
COLUMNS = "#CHROM POS ID REF ALT QUAL FILTER INFO"


def text_of(*lines: str, samples: str = "") -> str:
    """A VCF of lines with spaces for tabs, cut short to ``chrom pos id ref alt [info [format
    samples ...]]``.
    """
    rows = [COLUMNS + (f" FORMAT {samples}" if samples else "")]
    for line in lines:
        chrom, pos, name, ref, alt, info, *more = (
            [*line.split(), "."] if len(line.split()) == 5 else line.split()
        )
        rows.append(" ".join([chrom, pos, name, ref, alt, ".", ".", info, *more]))
    return HEADER + "".join(row.replace(" ", "\t") + "\n" for row in rows)


@pytest.fixture
def read(tmp_path):
    def read(
        *lines: str, samples: str = "", sample: str | None = None, source=GENOME
    ) -> list[Variant]:
        path = tmp_path / "x.vcf"
        path.write_text(text_of(*lines, samples=samples))
        return list(read_vcf(path, source, sample=sample))

    return read


def one(chrom: str, start: int, end: int, new: str) -> dict[str, str]:
    """The genome's letters with ``new`` in place of an interval."""
    texts = dict(GENOME.texts)
    texts[chrom] = texts[chrom][:start] + new + texts[chrom][end:]
    return texts


@pytest.mark.parametrize(
    ("line", "kind", "span", "expected"),
    [
        ("chr1 2 . C G", "SNV", ("chr1", 1, 2), one("chr1", 1, 2, "G")),
        ("chr1 2 . c g", "SNV", ("chr1", 1, 2), one("chr1", 1, 2, "G")),
        ("chr1 2 . CGT CAT", "SNV", ("chr1", 2, 3), one("chr1", 2, 3, "A")),
        ("chr1 2 . CG TT", "MNV", ("chr1", 1, 3), one("chr1", 1, 3, "TT")),
        ("chr1 2 . C CAA", "INDEL", ("chr1", 2, 2), one("chr1", 2, 2, "AA")),
        ("chr1 2 . CGT C", "INDEL", ("chr1", 2, 4), one("chr1", 2, 4, "")),
        ("chr1 2 . CGT CAAAAT", "INDEL", ("chr1", 2, 3), one("chr1", 2, 3, "AAAA")),
        ("chr1 1 . AC C", "INDEL", ("chr1", 0, 1), one("chr1", 0, 1, "")),
        ("chr1 30 . A ATT", "INDEL", ("chr1", 30, 30), one("chr1", 30, 30, "TT")),
        ("chr1 2 . N T", "SNV", ("chr1", 1, 2), one("chr1", 1, 2, "T")),
        ("HLA:1 7 . A G", "SNV", ("HLA:1", 6, 7), one("HLA:1", 6, 7, "G")),
        ("chr1 4 . T <DEL> END=9", "DEL", ("chr1", 4, 9), one("chr1", 4, 9, "")),
        ("chr1 4 . N <DEL:ME:ALU> END=9;SVLEN=-5", "DEL", ("chr1", 4, 9), one("chr1", 4, 9, "")),
        ("chr1 4 . T <DEL:ME> SVLEN=-5", "DEL", ("chr1", 4, 9), one("chr1", 4, 9, "")),
        ("chr1 4 . T <DEL> SVLEN=5", "DEL", ("chr1", 4, 9), one("chr1", 4, 9, "")),
        ("chr1 0 . N <DEL> END=9", "DEL", ("chr1", 0, 9), one("chr1", 0, 9, "")),
        ("chr1 4 . T <DUP> END=9", "DUP", ("chr1", 4, 9), one("chr1", 4, 9, ONE[4:9] * 2)),
        ("chr1 4 . T <DUP:TANDEM> SVLEN=5", "DUP", ("chr1", 4, 9), one("chr1", 4, 9, ONE[4:9] * 2)),
        (
            "chr1 4 . T <INV> END=9",
            "INV",
            ("chr1", 4, 9),
            one("chr1", 4, 9, reverse_complement(ONE[4:9])),
        ),
        (
            "chr1 4 . T <INV> END=30",
            "INV",
            ("chr1", 4, 30),
            one("chr1", 4, 30, reverse_complement(ONE[4:])),
        ),
        ("chr1 4 . T <INS> SVINSSEQ=ACCa", "INS", ("chr1", 4, 4), one("chr1", 4, 4, "ACCA")),
        (
            "chr1 4 . T <INS> END=4;SVLEN=4;SEQ=ACCA",
            "INS",
            ("chr1", 4, 4),
            one("chr1", 4, 4, "ACCA"),
        ),
        ("chr1 30 . A <INS> SVINSSEQ=CC", "INS", ("chr1", 30, 30), one("chr1", 30, 30, "CC")),
        ("chr1 0 . N <INS> SVINSSEQ=CC", "INS", ("chr1", 0, 0), one("chr1", 0, 0, "CC")),
    ],
)
def test_what_a_record_does(read, line, kind, span, expected):
    (variant,) = read(line)
    assert (variant.problem, variant.note) == ("", "")
    assert (variant.kind, (variant.chrom, variant.start, variant.end)) == (kind, span)
    assert variant.where == "x.vcf line 5"
    assert applied(*variant.changes) == expected


def test_an_insertion_without_sequence_is_n_and_says_so(read):
    (variant,) = read("chr1 4 . T <INS:ME:L1> SVLEN=6")
    assert (variant.kind, variant.note) == ("INS", "sequence not given: N")
    assert applied(*variant.changes)["chr1"] == ONE[:4] + "NNNNNN" + ONE[4:]


def test_what_does_not_agree_is_noted(read):
    variants = read("chr1 4 . G <DEL> END=9", "chr1 14 . T <DEL> END=19;SVLEN=-6")
    assert [v.note for v in variants] == [
        "REF 'G' is not the genome's 'T'",
        "END is taken, though SVLEN is -6",
    ]
    assert applied(variants[1].changes[0])["chr1"] == ONE[:14] + ONE[19:]


def test_every_alt_is_a_variant_of_its_own(read):
    variants = read(
        "chr1 2 . C G,CA",
        "chr1 4 rs7 T A,<DEL>,* SVLEN=.,-5,.",
        "chr1 5 rs8 T C",
        "chr1 6 . G <DUP> END=9",
        samples="",
    )
    assert [v.name for v in variants] == [
        "chr1:2 C>G",
        "chr1:2 C>CA",
        "rs7_1",
        "rs7_2",
        "rs8",
        "chr1:6 <DUP>",
    ]
    assert [v.kind for v in variants] == ["SNV", "INDEL", "SNV", "DEL", "SNV", "DUP"]
    assert [v.where for v in variants] == [f"x.vcf line {n}" for n in (5, 5, 6, 6, 7, 8)]
    assert applied(*variants[3].changes)["chr1"] == ONE[:4] + ONE[9:]


def test_values_by_alt_and_for_all(read):
    a, b = read("chr1 4 x T <DEL>,<DUP> SVLEN=5,7")
    assert (a.end, b.end) == (9, 11)
    a, b = read("chr1 4 x T <DEL>,<INV> END=9")
    assert (a.end, b.end) == (9, 9)
    a, b = read("chr1 4 x T <INS>,<INS> SVINSSEQ=AC,GGG")
    assert [applied(*v.changes)["chr1"][4:7] for v in (a, b)] == ["ACT", "GGG"]


def test_what_is_no_variant_makes_no_row(read):
    assert (
        read("chr1 2 . C .", "chr1 3 . G *", "chr1 4 . T <NON_REF> END=9", "chr1 5 . T <*>") == []
    )
    (variant,) = read("chr1 2 . C *,G,<NON_REF>")
    assert variant.name == "chr1:2 C>G"


BAD = [
    ("chr1 2 . G T", "REF 'G' is not the genome's 'C' at chr1:2; it stands one base to the right"),
    ("chr1 4 . TTTT T", "REF 'TTTT' is not the genome's 'TTGC'"),
    ("chr1 2 . C R", "the literal sequence R holds 'R' at letter 1"),
    ("chr1 2 . C C", "nothing changes"),
    ("chr1 0 . N T", "position 0 (1-based) with REF 'N' lies outside chr1, which is 30 bp long"),
    ("chr1 31 . A T", "POS 31 lies beyond the end of chr1, which is 30 bp long"),
    ("chr1 99999999999 . A T", "POS 99,999,999,999 lies beyond the end of chr1"),
    ("chr1 30 . AC T", "lies outside chr1"),
    ("chr1 x . A T", "POS 'x' is not a position"),
    (f"chr1 {'9' * 5000} . A T", "is not a position"),
    (f"chr1 4 a T T[chr2:{'9' * 5000}[ MATEID=m1", "its mate 'm1' (line 8) names m2"),
    ("chr1 -4 . A T", "POS '-4' is not a position"),
    ("chr9 2 . A T", "there is no chromosome 'chr9'; it has: chr1, chr2"),
    ("chrUn 2 . A T", "there is no chromosome 'chrUn'"),
    ("1 2 . A T", "there is no chromosome '1'; did you mean 'chr1'?"),
    (
        "chr1 4 . T <CNV> END=9",
        "ALT type '<CNV>' is not known; DEL, DUP, INV, INS and breakends are",
    ),
    ("chr1 4 . T <CN0> END=9", "ALT type '<CN0>' is not known"),
    ("chr1 4 . T <DUP:DISPERSED> END=9", "ALT type '<DUP:DISPERSED>' is not known"),
    ("chr1 4 . T <DEL> END=3", "END 3 lies before POS 4"),
    ("chr1 4 . T <DEL> END=4", "chr1:4-4 is empty"),
    ("chr1 4 . T <DEL> END=31", "chr1:4-31 lies outside chr1"),
    ("chr1 4 . T <INV>", "neither INFO END nor SVLEN tells where the INV ends"),
    ("chr1 4 . T <DUP> SVLEN;END=.", "neither INFO END nor SVLEN tells where the DUP ends"),
    ("chr1 4 . T <DUP> END=x", "neither INFO END nor SVLEN tells where the DUP ends"),
    ("chr1 0 . N <DEL> END=30", "a chromosome cannot be empty"),
    (
        "chr1 4 . T <INS> END=4",
        "neither the inserted sequence (INFO SVINSSEQ, SEQ) nor its length (SVLEN) is given",
    ),
    ("chr1 4 . T <INS> SVINSSEQ=.;SEQ;SVLEN=.", "neither the inserted sequence"),
    ("chr1 4 . T <INS> SVLEN=0", "neither the inserted sequence"),
    ("chr1 4 . T <INS> SVINSSEQ=AXG", "AXG holds 'X'"),
    ("chr1 4 . T T.", "ALT 'T.' is a single breakend"),
    ("chr1 4 . T .GT", "ALT '.GT' is a single breakend: where it is joined to is not known"),
    ("chr1 4 a T T[chr2:7[ MATEID=a", "its mate 'a' (line 6) names a as its own mate"),
    ("chr1 4 a T T[chr2:7] MATEID=m1", "its mate 'm1' (line 8) names m2 as its own mate"),
]


@pytest.mark.parametrize(("line", "problem"), BAD)
def test_a_bad_record_is_one_row_with_a_problem(read, line, problem):
    variants = read(
        "chr2 2 good1 T A",
        line,
        "chr2 3 good2 G A",
        "chr2 4 m1 A A[chr2:8[ MATEID=m2",
        "chr2 8 m2 A ]chr2:4]A MATEID=m1",
    )
    assert [v.name for v in variants if not v.problem] == ["good1", "good2", "m1"]
    (bad,) = (v for v in variants if v.problem)
    assert bad.where == "x.vcf line 6"
    assert problem in bad.problem
    assert bad.changes == ()
    assert bad == variants[1]


def test_bad_rows_keep_what_is_known_of_them(read):
    (variant,) = read("chr1 2 rs5 GG T")
    assert (variant.name, variant.kind, variant.chrom, variant.start, variant.end) == (
        "rs5",
        "INDEL",
        "chr1",
        1,
        3,
    )
    (variant,) = read("chr1 2 . G <CNV>")
    assert (variant.name, variant.kind) == ("chr1:2 <CNV>", "EDIT")
    (variant,) = read("chr1 x . G T")
    assert (variant.name, variant.pos, variant.ref, variant.alt) == ("chr1:x G>T", None, "G", "T")
    single, other = read("chr1 4 s5 T T.", "chr1 5 s6 T .T")
    assert [(v.kind, v.id, v.pos, v.alt) for v in (single, other)] == [
        ("BND", "s5", 4, "T."),
        ("BND", "s6", 5, ".T"),
    ]


def test_the_columns_of_the_file_are_kept(read):
    lines = [
        "chr1 2 rs1 C G,CA",
        "chr1 4 . TTG <DEL> END=9",
        "chr1 12 one C C[chr2:7[ MATEID=two",
        "chr2 7 two A ]chr1:12]A MATEID=one",
        "chr2 9 alone A ]chr1:20]A",
        "chr2 10 bad G <CNV>",
    ]
    variants = read(*lines)
    assert [(v.id, v.chrom, v.pos, v.ref, v.alt) for v in variants] == [
        ("rs1", "chr1", 2, "C", "G"),
        ("rs1", "chr1", 2, "C", "CA"),
        (".", "chr1", 4, "TTG", "<DEL>"),
        ("one", "chr1", 12, "C", "C[chr2:7["),
        ("alone", "chr2", 9, "A", "]chr1:20]A"),
        ("bad", "chr2", 10, "G", "<CNV>"),
    ]
    # the interval is on that chromosome, where the record's own side is cut
    assert [(v.start, v.end) for v in variants[3:5]] == [(12, 12), (8, 8)]


# where symbolic ALTs end, in the versions of VCF


def versions(read, tmp_path, minor, *lines):
    path = tmp_path / "v.vcf"
    path.write_text(text_of(*lines).replace("VCFv4.3", f"VCFv4.{minor}"))
    return [(v.end, v.note or v.problem) for v in read_vcf(path, GENOME)]


OLD, NEW = (0, 1, 2, 3), (4, 5)


@pytest.mark.parametrize("minor", [*OLD, *NEW])
def test_one_symbolic_alt_by_version(read, tmp_path, minor):
    """Up to 4.3 END tells where it ends, then SVLEN; each where the other is missing, and a sign
    means nothing.
    """
    lines = [
        "chr1 4 . T <DEL> END=9;SVLEN=-5",
        "chr1 4 . T <DEL> END=9;SVLEN=5",
        "chr1 4 . T <DUP> SVLEN=5",
        "chr1 4 . T <INV> END=9",
        "chr1 4 . T <INV> END=9;SVLEN=0",
        "chr1 4 . T A,<DEL> END=9;SVLEN=.,-5",
    ]
    found = versions(read, tmp_path, minor, *lines)
    assert [end for end, _ in found] == [9, 9, 9, 9, 9, 4, 9]
    assert {note for _, note in found} == {""}  # nor where SVLEN is 0, as an inversion's may be
    both = "chr1 4 . T <DEL> END=9;SVLEN=-7"
    assert versions(read, tmp_path, minor, both) == [
        (9, "END is taken, though SVLEN is -7")
        if minor in OLD
        else (11, "SVLEN is taken, though END is 9")
    ]


@pytest.mark.parametrize("minor", [*OLD, *NEW])
def test_several_symbolic_alts_have_a_length_each(read, tmp_path, minor):
    """A record has one END: that of the longest."""
    two = versions(read, tmp_path, minor, "chr1 4 . T <DEL>,<DUP> SVLEN=-5,12;END=16")
    assert two == [(9, ""), (16, "")]
    two = versions(read, tmp_path, minor, "chr1 4 . T <DEL>,<DEL> SVLEN=-5,.;END=16")
    assert two[0] == (9, "")
    if minor in OLD:
        assert two[1] == (16, "SVLEN has no length for this ALT: END of the record is taken")
    else:
        assert two[1][1] == (
            "SVLEN has no length for this DEL, and END 16 is that of the longest ALT of the record"
        )
    # an ALT for all other alleles is a symbolic one, whose END it may be
    (one,) = versions(read, tmp_path, minor, "chr1 4 . T <DEL>,<*> SVLEN=5,.;END=16")
    assert one == (9, "")


def test_the_case_of_two_symbolic_alts():
    variants = list(read_vcf(CASES / "symbolic-two-alts.vcf", open_genome("example")))
    assert [(v.name, v.kind, v.start, v.end - v.start, v.problem, v.note) for v in variants] == [
        ("two_1", "DEL", 300_000, 8_000, "", ""),
        ("two_2", "DUP", 300_000, 20_000, "", ""),
        ("twodel_1", "DEL", 350_000, 4_000, "", ""),
        ("twodel_2", "DEL", 350_000, 16_000, "", ""),
    ]


def test_a_copy_number_that_is_taken_for_an_adjacency_is_noted(read, tmp_path):
    lines = [f"chr1 4 . T <{kind}> SVLEN=5;SVCLAIM={claim}" for kind, claim in CLAIMS]
    assert [note for _, note in versions(read, tmp_path, 4, *lines)] == [
        "SVCLAIM=D tells a copy number alone: a deletion in place is assumed",
        "SVCLAIM=D tells a copy number alone: a duplication in tandem is assumed",
        "",
        "",
        "",
    ]


CLAIMS = [("DEL", "D"), ("DUP", "D"), ("DUP", "DJ"), ("DEL", "J"), ("INV", ".")]


def test_lines_of_another_width_are_named(tmp_path):
    path = tmp_path / "x.vcf"
    path.write_text(
        text_of("chr1 2 a C G")
        + "chr1\t3\tb\tG\n\nchr1 4 c T A . . .\n"
        + "chr1\t5\td\tT\tA\t.\t.\t.\n"
    )
    variants = list(read_vcf(path, GENOME))
    assert [(v.where, v.name) for v in variants] == [
        ("x.vcf line 5", "a"),
        ("x.vcf line 6", "chr1 3 b G"),
        ("x.vcf line 8", "chr1 4 c T A . . ."),
        ("x.vcf line 9", "d"),
    ]
    assert variants[1].problem == "it has 4 columns, the header has 8"
    assert variants[2].problem == "it has 1 columns, the header has 8"


def test_disorder_is_noted(read):
    lines = [
        "chr1 5 . T A",
        "chr1 5 . T G",
        "chr1 4 . T A",
        "chr1 6 . G A",
        "chr2 1 . T A",
        "chr1 7 . C A",
        "chr1 8 . A C",
        "chr2 2 . T A",
    ]
    variants = read(*lines)
    assert [v.note for v in variants] == [
        "",
        "",
        "not sorted",
        "",
        "",
        "not sorted",
        "",
        "not sorted",
    ]
    assert all(v.changes for v in variants)
    (variant,) = read("chr2 5 . C .", "chr1 5 . T .", "chr2 9 . N <DEL> SVLEN=3;END=13")
    assert variant.note == "not sorted; END is taken, though SVLEN is 3"


# breakends


def breakend_texts(first: str, second: str, inserted: str, p: int, q: int) -> tuple[str, str]:
    """Two VCF lines of chr1:p and chr2:q (1-based) with ``inserted`` between, read from chr1 to
    chr2.
    """
    a, b = ONE[p - 1], TWO[q - 1]
    bracket = {"+": "]", "-": "["}
    alts = []
    for base, side, letters, other_side, mate in (
        (a, first, inserted, second, f"chr2:{q}"),
        (b, second, reverse_complement(inserted), first, f"chr1:{p}"),
    ):
        k = bracket[other_side]
        # what is inserted is written on the forward strand of the record's own chromosome
        alts.append(
            f"{base}{letters}{k}{mate}{k}"
            if side == "+"
            else f"{k}{mate}{k}{reverse_complement(letters)}{base}"
        )
    return f"chr1 {p} one {a} {alts[0]} MATEID=two", f"chr2 {q} two {b} {alts[1]} MATEID=one"


def test_the_breakends_of_this_test_are_those_of_the_specification():
    assert breakend_texts("+", "-", "", 4, 7) == (
        "chr1 4 one T T[chr2:7[ MATEID=two",
        "chr2 7 two A ]chr1:4]A MATEID=one",
    )
    assert breakend_texts("+", "+", "CA", 4, 7) == (
        "chr1 4 one T TCA]chr2:7] MATEID=two",
        "chr2 7 two A ATG]chr1:4] MATEID=one",
    )
    assert breakend_texts("-", "+", "CA", 4, 7) == (
        "chr1 4 one T ]chr2:7]TGT MATEID=two",
        "chr2 7 two A ATG[chr1:4[ MATEID=one",
    )
    assert breakend_texts("-", "-", "CA", 4, 7) == (
        "chr1 4 one T [chr2:7[TGT MATEID=two",
        "chr2 7 two A [chr1:4[CAA MATEID=one",
    )


@pytest.mark.parametrize("inserted", ["", "G", "CCA"])
@pytest.mark.parametrize("sides", ["+-", "-+", "++", "--"])
def test_breakends_of_all_orientations(read, sides, inserted):
    p, q = 12, 7
    left = ONE[:p] if sides[0] == "+" else reverse_complement(ONE[p - 1 :])  # ends at the cut
    right = TWO[q - 1 :] if sides[1] == "-" else reverse_complement(TWO[:q])  # begins at the cut
    expected = left + inserted + right
    lines = breakend_texts(*sides, inserted, p, q)
    made = []
    for order in (lines, lines[::-1]):
        variants = read(*order)
        (variant,) = variants
        assert (variant.kind, variant.problem, variant.where) == ("BND", "", "x.vcf line 5")
        assert variant.name == order[0].split()[2]
        genome = applied(*variant.changes)
        assert (
            sum(text in (expected, reverse_complement(expected)) for text in genome.values()) == 1
        )
        made.append(genome)
    assert made[0] == made[1]


def test_hand_computed_breakends(read):
    def derived(alt: str, back: str) -> dict[str, str]:
        (variant,) = read(f"chr1 4 a T {alt} MATEID=b", f"chr2 7 b A {back} MATEID=a")
        return applied(*variant.changes)

    # ONE is ACGT|TGC..., TWO is TTGACC|A|GTACGG...
    assert derived("T[chr2:7[", "]chr1:4]A")["der_chr1"] == "ACGTAGTACGGATCCATA"
    assert derived("TC]chr2:7]", "AG]chr1:4]")["der_chr1"] == "ACGTCTGGTCAA"
    genome = derived("]chr2:7]GT", "AG[chr1:4[")
    assert "TTGACCAGTTGCAAGGCTTAACCGGATATCGCGTA" in genome.values()
    genome = derived("[chr2:7[GT", "[chr1:4[CA")
    assert {
        "TATGGATCCGTACTGTTGCAAGGCTTAACCGGATATCGCGTA",
        "TACGCGATATCCGGTTAAGCCTTGCAACAGTACGGATCCATA",
    } & set(genome.values())


def test_breakends_of_one_chromosome(read):
    a, b = "chr1 4 a T T[chr1:10[ MATEID=b", "chr1 10 b G ]chr1:4]G MATEID=a"
    (variant,) = read(a, b)
    assert (variant.kind, variant.chrom, variant.start, variant.end) == ("BND", "chr1", 4, 9)
    assert applied(*variant.changes)["chr1"] == ONE[:4] + ONE[9:]
    (variant,) = read("chr1 4 a T ]chr1:10]T PARID=b", "chr1 10 b G G[chr1:4[ PARID=a")
    assert applied(*variant.changes)["chr1"] == ONE[:10] + ONE[3:10] + ONE[10:]
    (variant,) = read("chr1 4 a T T]chr1:10] MATEID=b", "chr1 10 b G G]chr1:4] MATEID=a")
    assert applied(*variant.changes)["chr1"] == ONE[:4] + reverse_complement(ONE[4:10]) + ONE[10:]


def test_breakends_at_the_ends_of_chromosomes(read):
    # position 0 and length + 1 are the telomeres of the specification
    (variant,) = read("chr1 30 a A A[chr2:1[ MATEID=b", "chr2 1 b T ]chr1:30]T MATEID=a")
    assert ONE + TWO in applied(*variant.changes).values()
    (variant,) = read("chr1 0 a N .[chr2:7[ MATEID=b", "chr2 7 b A ]chr1:0]A MATEID=a")
    assert TWO[6:] in applied(*variant.changes).values()
    (variant,) = read("chr1 4 a T T[chr2:22[ MATEID=b", "chr2 22 b N ]chr1:4]N MATEID=a")
    assert "breakend chr2:21(-) lies outside chr2, which is 20 bp long" in variant.problem


def test_a_replaced_base_lies_between(read):
    (variant,) = read("chr1 4 a T GC[chr2:7[ MATEID=b", "chr2 7 b A ]chr1:3]GCA MATEID=a")
    assert "contradicts" not in variant.problem
    assert ONE[:3] + "GC" + TWO[6:] in applied(*variant.changes).values()


@pytest.mark.parametrize(
    ("back", "told"),
    [
        ("]chr1:5]A", "chr2:7 ]chr1:5]A"),
        ("]chr2:4]A", "chr2:7 ]chr2:4]A"),
        ("[chr1:4[A", "chr2:7 [chr1:4[A"),
        ("A]chr1:4]", "chr2:7 A]chr1:4]"),
        ("]chr1:4]CA", "chr2:7 ]chr1:4]CA"),
    ],
)
def test_mates_that_contradict_each_other_are_one_bad_row(read, back, told):
    for swap in (False, True):
        lines = ["chr1 4 a T T[chr2:7[ MATEID=b", f"chr2 7 b A {back} MATEID=a"]
        (variant,) = read(*(lines[::-1] if swap else lines))
        assert variant.changes == ()
        assert "contradicts" in variant.problem
        assert (
            swap
            or variant.problem
            == f"it tells chr1:4(+)::chr2:6(-), which its mate 'b' contradicts (line 6: {told})"
        )


def test_breakends_that_name_others(read):
    a, b, c = read(
        "chr1 4 a T T[chr2:7[ MATEID=c",
        "chr1 5 b T T[chr2:9[ MATEID=c",
        "chr2 7 c A ]chr1:4]A MATEID=a",
        "chr2 8 d G ]chr1:4]G MATEID=a",
    )
    assert (a.name, a.problem) == ("a", "")
    assert b.problem == "its mate 'c' (line 7) names a as its own mate"
    assert c.problem == "its mate 'a' (line 5) names c as its own mate"
    first, second, third = read(
        "chr1 4 a T T[chr2:7[ MATEID=b",
        "chr1 5 a T T[chr2:7[ MATEID=b",
        "chr2 7 b A ]chr1:4]A MATEID=a",
    )
    assert (
        first.problem
        == second.problem
        == third.problem
        == "several breakends have the ID 'a'; give each its own"
    )
    (variant, _) = read("chr1 4 a T T[chr2:7[,A MATEID=b", "chr2 7 b A ]chr1:4]A MATEID=a")
    assert (variant.name, variant.problem) == ("a_1", "")
    first, second = read(
        "chr1 4 a T T[chr2:7[,T]chr2:9] MATEID=b,c",
        "chr2 7 b A ]chr1:4]A MATEID=a",
        "chr2 9 c T T]chr1:4] MATEID=a",
    )
    assert [applied(*v.changes)["der_chr1"] for v in (first, second)] == [
        ONE[:4] + TWO[6:],
        ONE[:4] + reverse_complement(TWO[:9]),
    ]
    for alt in ("T[chr2:x[", "T[chr2:7]", "T[chr2:7[A", "[chr2:7[", "T[chr2["):
        (variant,) = read(f"chr1 4 a T {alt} MATEID=b", "chr2 7 b A ]chr1:4]A MATEID=a")
        assert variant.problem.startswith(f"ALT '{alt}' is no breakend; it must be t[p[")
        (variant,) = read("chr2 7 b A ]chr1:4]A MATEID=a", f"chr1 4 a T {alt} MATEID=b")
        assert variant.problem.startswith(f"its mate 'a' (line 6): ALT '{alt}' is no breakend")
    (variant,) = read("chr1 4 a T T[chr9:7[ MATEID=b", "chr9 7 b A ]chr1:4]A MATEID=a")
    assert "no chromosome 'chr9'" in variant.problem
    (variant,) = read("chr9 7 b A ]chr1:4]A MATEID=a", "chr1 4 a T T[chr9:7[ MATEID=b")
    assert "no chromosome 'chr9'" in variant.problem


# breakends that no mate confirms

ALONE = "no MATEID: the join is taken from this record alone"


@pytest.mark.parametrize("inserted", ["", "G", "CCA"])
@pytest.mark.parametrize("sides", ["+-", "-+", "++", "--"])
def test_a_breakend_without_mate_is_the_join_of_the_pair(read, sides, inserted):
    """Either record of a pair, alone, and with a MATEID whose record is not in the file."""
    lines = breakend_texts(*sides, inserted, 12, 7)
    (paired,) = read(*lines)
    wanted = sorted(applied(*paired.changes).values())
    for line, mate in zip(lines, ("two", "one")):
        alone, filtered = read(line.rsplit(" ", 1)[0])[0], read(line)[0]
        assert alone.note == ALONE
        assert filtered.note == (
            f"no breakend in the file has the ID of its mate, {mate!r}: the join is taken from "
            f"this record alone"
        )
        for variant in (alone, filtered):
            assert (variant.kind, variant.problem) == ("BND", "")
            made = applied(*variant.changes).values()
            either = {text for x in made for text in (x, reverse_complement(x))}
            assert set(wanted) <= either
            assert len(made) == len(wanted)
        # both without MATEID: a pair is one variant, at its first record
    first, second = (line.rsplit(" ", 1)[0] for line in lines)
    (variant,) = read(first, second)
    assert (variant.name, variant.note) == (
        "one",
        "no MATEID: its mate is line 6, which tells the same join",
    )
    (variant,) = read(second.replace(" two ", " . "), first.replace(" one ", " . "))
    assert variant.name.startswith("chr2:7 ")


def test_breakends_that_only_look_like_mates_are_variants_of_their_own(read):
    variants = read(
        "chr1 4 a T T[chr2:7[",
        "chr1 4 b T T[chr2:7[",  # told twice from one side
        "chr2 7 c A ]chr1:4]CA",  # another sequence between
        "chr2 7 d A [chr1:4[A",  # another side
        "chr2 8 e G ]chr1:4]G",
        "chr1 9 f A A[chr2:3[ MATEID=g",  # confirms g, not h
        "chr2 3 g G ]chr1:9]G MATEID=f",
        "chr2 3 h G ]chr1:9]G",
    )
    assert [v.name for v in variants] == ["a", "b", "c", "d", "e", "f", "h"]
    assert [v.note == ALONE for v in variants] == [True] * 5 + [False, True]
    assert not any(v.problem for v in variants)


def test_the_case_of_breakends_told_once(tmp_path):
    source = open_genome("example")
    variants = list(read_vcf(CASES / "bnd-single-records.vcf", source))
    assert [v.name for v in variants] == ["s1", "s2", "s3", "s4", "s5", "s6"]
    assert [str(v.changes[0]) for v in variants[:4]] == [
        "chrII:300,000(+)::chrI:100,000(-)",
        "chrI:120,000(+)::chrII:304,999(-)",
        "chrII:309,000(+)::chrI:130,000(+)",
        "chrI:139,999(-)::chrII:309,499(-)",
    ]
    assert {v.note for v in variants[:4]} == {ALONE}
    assert [v.problem for v in variants[4:]] == [
        f"ALT {alt!r} is a single breakend: where it is joined to is not known"
        for alt in ("T.", ".G")
    ]
    assert [(v.chrom, v.start) for v in variants[:2]] == [("chrII", 300_000), ("chrII", 304_999)]
    changes, problems = changes_of_haplotype(
        [replace(v, alleles=(1,), phased=True) for v in variants[:1]], 1
    )
    assert (len(changes), problems) == (1, [])


# genotypes


def test_genotypes_of_the_sample_that_is_asked_for(read):
    lines = [
        "chr1 2 . C G . GT:DP 0|1:3 1/1:4",
        "chr1 3 . G A,T . GT 1|2 0/2",
        "chr1 4 . T A . DP:AD 1:2 2:3",
        "chr1 5 . T A . GT . ./1",
        "chr1 6 . G A . GT 1 0/1/1",
        "chr1 7 . C <CNV> . GT 1|0 0|1",
        "chr1 8 . A C . GT |0|1 /0/1",
    ]
    first = read(*lines, samples="mum dad", sample="mum")
    assert [(v.alleles, v.phased) for v in first] == [
        ((0, 1), True),
        ((1, 0), True),
        ((0, 1), True),
        (None, False),
        ((None,), False),
        ((1,), False),
        ((1, 0), True),
        ((0, 1), True),
    ]
    second = read(*lines, samples="mum dad", sample="dad")
    assert [(v.alleles, v.phased) for v in second] == [
        ((1, 1), False),
        ((0, 0), False),
        ((0, 1), False),
        (None, False),
        ((None, 1), False),
        ((0, 1, 1), False),
        ((0, 1), True),
        ((0, 1), False),
    ]
    assert {v.alleles for v in read(*lines, samples="mum dad")} == {None}
    changes, problems = changes_of_haplotype(first, 2)
    assert applied(*changes)["chr1"] == "AGTTTGCC" + ONE[8:]
    assert problems == ["x.vcf line 7: it has no genotype"]
    changes, problems = changes_of_haplotype(first, 1)
    assert applied(*changes)["chr1"] == "ACATTACA" + ONE[8:]
    assert [p.split(":")[0] for p in problems] == ["x.vcf line 7", "x.vcf line 8", "x.vcf line 10"]


def test_only_samples(read):
    (variant,) = read("chr1 2 . C G . GT 0|1", samples="only", sample="")
    assert variant.alleles == (0, 1)
    with pytest.raises(EditError, match="has 2 samples, so one must be named; it has: mum, dad"):
        read("chr1 2 . C G . GT 0|1 0|1", samples="mum dad", sample="")
    with pytest.raises(EditError, match="has 0 samples, so one must be named; it has: none"):
        read("chr1 2 . C G", sample="")
    with pytest.raises(EditError, match="has no sample 'kid'; it has: mum, dad"):
        read("chr1 2 . C G . GT 0|1 0|1", samples="mum dad", sample="kid")
    with pytest.raises(EditError, match="has several samples 'mum'"):
        read("chr1 2 . C G . GT 0|1 0|1", samples="mum mum", sample="mum")


def test_a_genotype_that_does_not_parse_is_a_bad_row(read):
    first, second = read("chr1 2 a C G . GT 0|x", "chr1 3 b G A . GT 0|1", samples="s", sample="s")
    assert (first.where, first.changes) == ("x.vcf line 5", ())
    assert "htslib cannot parse the line" in first.problem
    assert (second.name, second.alleles) == ("b", (0, 1))


# files


def bgzip(path: Path, text: str, block: int = 1 << 16) -> Path:
    with BgzfWriter(str(path)) as file:
        for i in range(0, len(text), block):
            file.write(text[i : i + block])
            file.flush()
    return path


def test_compressed_files_give_the_same_rows(tmp_path):
    text = text_of(
        *(f"chr1 {p} v{p} {ONE[p - 1]} {ONE[p - 1]}AA" for p in range(1, 30)),
        *breakend_texts("+", "-", "C", 12, 7),
    )
    (tmp_path / "x.vcf").write_text(text)
    (tmp_path / "w.vcf").write_bytes(text.replace("\n", "\r\n").encode())
    (tmp_path / "x.vcf.gz").write_bytes(gzip.compress(text.encode()))
    bgzip(tmp_path / "y.vcf.gz", text, block=100)
    rows = [
        [(v.name, v.changes, v.problem) for v in read_vcf(tmp_path / n, GENOME)]
        for n in ("x.vcf", "w.vcf", "x.vcf.gz", "y.vcf.gz")
    ]
    assert len(rows[0]) == 30
    assert not any(problem for _, _, problem in rows[0])
    assert rows[0] == rows[1] == rows[2] == rows[3]


@pytest.mark.parametrize("kept", [0.5, 0.8, 0.95])
def test_a_truncated_gzip_ends_with_a_problem(tmp_path, kept):
    lines = [
        f"chr1 {p} v{p}_{n} {ONE[p - 1]} {ONE[p - 1]}AA" for n in range(100) for p in range(1, 30)
    ]
    data = gzip.compress(text_of(*lines).encode())
    path = tmp_path / "x.vcf.gz"
    path.write_bytes(data[: int(kept * len(data))])
    *good, bad = list(read_vcf(path, GENOME))
    assert 0 < len(good) < len(lines)
    assert [v.name for v in good] == [line.split()[2] for line in lines[: len(good)]]
    assert bad.problem.startswith(f"truncated after line {len(good) + 4}: ")
    assert (bad.changes, bad.where) == ((), f"x.vcf.gz line {len(good) + 5}")


def test_a_bgzip_file_that_lost_whole_blocks_ends_with_a_problem(tmp_path):
    lines = [f"chr1 {p} v{p} {ONE[p - 1]} {ONE[p - 1]}AA" for p in range(1, 30)]
    path = bgzip(tmp_path / "x.vcf.gz", text_of(*lines), block=100)
    data = path.read_bytes()
    starts = [i for i in range(len(data)) if data.startswith(b"\x1f\x8b\x08\x04", i)]
    path.write_bytes(data[: starts[-1]])  # all but the marker
    *good, bad = list(read_vcf(path, GENOME))
    assert (len(good), bad.problem) == (
        29,
        "truncated after line 33: the end marker of bgzip is missing",
    )
    path.write_bytes(data[: starts[4]])
    *good, bad = list(read_vcf(path, GENOME))
    assert (
        bad.problem == f"truncated after line {len(good) + 4}: the end marker of bgzip is missing"
    )
    assert [v.name for v in good] == [f"v{p}" for p in range(1, len(good) + 1)]
    assert 0 < len(good) < 29
    path.write_bytes(data[: starts[4] + 30])
    *good, bad = list(read_vcf(path, GENOME))
    assert "truncated after line" in bad.problem


def test_a_damaged_gzip_ends_with_a_problem(tmp_path):
    data = bytearray(gzip.compress(text_of("chr1 2 a C G").encode()))
    data[-6] ^= 1  # its checksum
    (tmp_path / "x.vcf.gz").write_bytes(data)
    good, bad = read_vcf(tmp_path / "x.vcf.gz", GENOME)
    assert (good.name, good.problem) == ("a", "")
    assert "the compressed file is damaged" in bad.problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"chr1\t2\t5\n", r"is not VCF 4: its first line is 'chr1\\t2\\t5'"),
        (b"##fileformat=VCFv3.3\n", "is not VCF 4"),
        (b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n", "is not VCF 4"),
        (b"##fileformat=VCFv4.2\n##x=y\n", "has no header line '#CHROM POS ID ...'"),
        (b"##fileformat=VCFv4.2\nchr1\t2\t.\tA\tC\t.\t.\t.\n", "line 2: .* is not the header line"),
        (b"##fileformat=VCFv4.2\n#CHROM POS ID REF ALT QUAL FILTER INFO\n", "line 2: .* with tabs"),
        (b"BCF\2\2\0\0\0", "it is BCF: bcftools view makes VCF of it"),
        (
            gzip.compress(b"##fileformat=VCFv4.2\n" + bytes(range(256)) * 9)[:150],
            "no header line .*truncated after line|line 2: ",
        ),
        (b"\x1f\x8b", "is not VCF 4|no header line .*truncated"),
        (b"PK\3\4\0\0", "is not VCF 4"),
    ],
)
def test_files_that_are_no_vcf(tmp_path, content, problem):
    (tmp_path / "x.vcf").write_bytes(content)
    with pytest.raises(EditError, match=problem):
        read_vcf(tmp_path / "x.vcf", GENOME)  # at once, not at the first row


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(EditError, match=r"x\.vcf' cannot be read: No such file"):
        read_vcf(tmp_path / "x.vcf", GENOME)
    with pytest.raises(EditError, match="cannot be read: Is a directory"):
        read_vcf(tmp_path, GENOME)


def test_without_cyvcf2_its_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.vcf").write_text(text_of())
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "cyvcf2":
            raise ModuleNotFoundError(name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(EditError, match=r"needs 'cyvcf2'.*pip install 'orca-cool\[variants\]'"):
        read_vcf(tmp_path / "x.vcf", GENOME)


def test_htslib_says_nothing_of_sound_files(read, capfd):
    structural = ["chr1 4 . T <DEL> END=9;SVLEN=-5;SVTYPE=DEL", "chr2 4 . A <INS> SVINSSEQ=A;SEQ=A"]
    variants = read(
        "chr1 2 . C G",
        *structural,
        "chrUn 2 . A C",
        "chr99 2 . A C",
        *breakend_texts("+", "-", "", 12, 7),
        "chr1 9 . A A[chr2:3[ SVTYPE=BND;CHR2=chr2;STRANDS=+-;PRECISE",
    )
    assert len(variants) == 7
    assert capfd.readouterr().err == ""


def test_a_header_s_own_types_do_not_matter(tmp_path):
    text = text_of("chr1 4 . T <DEL> SVLEN=-5", "chr1 14 . T <DEL> END=19", "chr1 22 . T C")
    odd = '##INFO=<ID=SVLEN,Number=1,Type=String,Description="x">\n##INFO=<ID=END,Number=1,Type=Float,Description="x">\n##INFO=<ID=broken\n'
    (tmp_path / "x.vcf").write_text(text.replace(HEADER, HEADER + odd))
    a, b, c = read_vcf(tmp_path / "x.vcf", GENOME)
    assert [(v.start, v.end, v.problem) for v in (a, b, c)] == [
        (4, 9, ""),
        (14, 19, ""),
        (21, 22, ""),
    ]


def test_rows_are_read_as_they_are_asked_for(tmp_path):
    path = tmp_path / "x.vcf"
    path.write_text(text_of("chr1 2 a C G", "chr1 3 b G A"))
    rows = read_vcf(path, GENOME)
    assert next(rows).name == "a"
    rows.close()


@given(
    st.lists(
        st.tuples(st.integers(1, 25), st.integers(1, 5), st.text("ACGT", min_size=1, max_size=6)),
        max_size=5,
    )
)
def test_small_variants_against_a_string(tmp_path_factory, raw):
    rows = sorted({p: (size, alt) for p, size, alt in raw}.items())
    lines = [f"chr1 {p} . {ONE[p - 1 : p - 1 + size]} {alt}" for p, (size, alt) in rows]
    path = tmp_path_factory.mktemp("vcf") / "x.vcf"
    path.write_text(text_of(*lines))
    for variant, (p, (size, alt)) in zip(read_vcf(path, GENOME), rows, strict=True):
        expected = ONE[: p - 1] + alt + ONE[p - 1 + size :]
        assert (
            (applied(*variant.changes)["chr1"] == expected)
            if variant.changes
            else (expected == ONE)
        )


def test_a_haplotype_of_phased_small_variants_is_that_of_a_string(tmp_path):
    """Both haplotypes of random phased variants, built letter by letter."""
    random = np.random.default_rng(2)
    text = "".join(random.choice(list("ACGT"), 4000))
    lines, ends = [], ["", ""]
    at = 0
    for start in range(10, 3990, 12):
        ref = text[start : start + int(random.integers(1, 6))]
        alt = "".join(random.choice(list("ACGT"), int(random.integers(1, 6))))
        if alt == ref:
            continue
        genotype = [int(x) for x in random.integers(0, 2, 2)]
        lines.append(f"chrZ {start + 1} . {ref} {alt} . GT {genotype[0]}|{genotype[1]}")
        for h in (0, 1):
            ends[h] += text[at:start] + (alt if genotype[h] else ref)
        at = start + len(ref)
    genome = Genome(chrZ=text)
    (tmp_path / "x.vcf").write_text(text_of(*lines, samples="s"))
    variants = list(read_vcf(tmp_path / "x.vcf", genome, sample=""))
    for h in (0, 1):
        changes, problems = changes_of_haplotype(variants, h + 1)
        assert problems == []
        edited = apply_edits(genome, changes)
        letters = "".join("ACGTN"[x] for x in edited.fetch("chrZ", 0, edited.chromsizes["chrZ"]))
        assert letters == ends[h] + text[at:]
