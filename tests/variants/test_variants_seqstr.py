"""Seqstr: the examples of its own description, against plain strings, and what is refused."""

from __future__ import annotations

import pytest
from test_variants import GENOME, HLA, ONE, TWO, Genome, applied, reverse_complement

from orca_cool.errors import EditError
from orca_cool.genome.changes import Contig
from orca_cool.genome.segments import Segment
from orca_cool.variants import parse_seqstr


def sequences(text: str, **options) -> dict[str, str]:
    contigs = parse_seqstr(text, GENOME, **options)
    genome = applied(*contigs)
    return {c.name: genome[c.name] for c in contigs}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[hg38]chr1:4-9 -", reverse_complement(ONE[4:9])),
        ("[hg38]chr1:4-9 +", ONE[4:9]),
        ("chr1:4-9", ONE[4:9]),
        ("TTAAccggGGNaa", "TTAACCGGGGNAA"),
        ("chr1:4-9 -;TTAA;chr2:0-3;", reverse_complement(ONE[4:9]) + "TTAA" + TWO[:3]),
        ("HLA:1:2-6 -", reverse_complement(HLA[2:6])),
        # ONE[4:9] is TGCAA
        ("chr1:4-9 +, @chr1 4 T C", "CGCAA"),
        ("chr1:4-9 +, @chr1 4 T C, @chr1 5 GC A", "CAAA"),
        ("chr1:4-9 -, @chr1 4 T C, @chr1 5 GC A", "TTTG"),
        ("chr1:4-9,@chr1 8 a ttt,@chr1 4 TG TGG", "TGGCATTT"),
        ("chr1:4-9 -, @chr1 4 TGCAA N", "N"),
        (
            "[hg38]chr1:4-9 -, @chr1 4 T C, @chr1 5 GC A;TTAAccggGGNaa;[hg38]chr2:0-17 +;TTAA;",
            "TTTG" + "TTAACCGGGGNAA" + TWO[:17] + "TTAA",
        ),
    ],
)
def test_what_a_line_composes(text, expected):
    assert sequences(text) == {"0": expected}


def test_lines_and_names():
    text = "<s1>[hg38]chr1:4-9 -\n\n<s2>chr1:4-9 +\nACGT\n<s3>A"
    assert sequences(text) == {
        "s1": reverse_complement(ONE[4:9]),
        "s2": ONE[4:9],
        "2": "ACGT",
        "s3": "A",
    }
    assert sequences(r"<s1>ACG\n<s2>chr1:4-9") == {"s1": "ACG", "s2": ONE[4:9]}
    assert parse_seqstr("<x>chr1:4-9 -", GENOME) == [Contig("x", (Segment("chr1", 4, 9, "-"),))]


def test_the_assembly_is_checked_where_one_is_named():
    assert sequences("[hg19]chr1:4-9") == {"0": ONE[4:9]}
    assert sequences("[hg38]chr1:4-9;chr2:0-2", assembly="hg38") == {"0": ONE[4:9] + TWO[:2]}
    with pytest.raises(EditError, match="it is of assembly 'hg19', the genome is 'hg38'"):
        sequences("[hg19]chr1:4-9", assembly="hg38")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' holds no sequence"),
        ("<a>", "sequence 'a' is empty"),
        ("<a>;;", "sequence 'a' is empty"),
        ("<a>ACG\n<a>AC", "would have the name of another sequence, 'a'"),
        ("<chr2>ACG", "would have the name of a chromosome, 'chr2'"),
        ("<>ACG", "sequence name '' is empty"),
        ("<a b>ACG", "sequence name 'a b' is empty or holds a space"),
        ("ACGU", "section 'ACGU' of sequence '0': the literal sequence ACGU holds 'U' at letter 4"),
        ("chr1:4-9 *", r"'chr1:4-9 \*' is neither letters nor an interval"),
        ("chr1:9-4", "reversed"),
        ("chr1:4-4", "empty"),
        ("chr1:4-31", "outside chr1"),
        ("chr7:4-9", "no chromosome 'chr7'"),
        ("chr1:4-9, @chr1 4 G C", "reference 'G' is not the genome's 'T' at chr1:4"),
        ("chr1:4-9, @chr1 3 T C", r"modifier '@chr1 3 T C' lies outside the interval chr1:4-9"),
        ("chr1:4-9, @chr1 8 AG C", "lies outside the interval"),
        (
            "chr1:4-9, @chr1 4 TG C, @chr1 5 G A",
            "modifier '@chr1 5 G A' overlaps the one before it",
        ),
        ("chr1:4-9, @chr1 5 G A, @chr1 4 TG C", "modifier '@chr1 5 G A' overlaps"),
        ("chr1:4-9, @chr2 4 T C", "is on 'chr2', its interval on 'chr1'"),
        (f"chr1:4-9, @chr1 {'4' * 5000} T C", "is no modifier"),
        (f"chr1:4-{'4' * 5000}", "not understood"),
        ("chr1:4-9, @chr1 4 T", "'@chr1 4 T' is no modifier; write @chr1 5530575 C T"),
        ("chr1:4-9, @chr1 4 T X", "holds 'X'"),
        ("ACG, @chr1 4 T C", "'ACG' is neither letters nor an interval"),
    ],
)
def test_what_is_refused(text, problem):
    with pytest.raises(EditError, match=problem):
        parse_seqstr(text, GENOME)


def test_a_number_that_is_a_chromosome_s_name_is_refused():
    with pytest.raises(
        EditError, match="would have the name of a chromosome, '1'; begin it with <name>"
    ):
        parse_seqstr("ACG\nACT", Genome(**{"1": ONE}))
