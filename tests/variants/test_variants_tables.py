"""Tables of variants: BEDPE, BED with events, named columns, edits; each bad line as one
named row.
"""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from test_variants import GENOME, HLA, ONE, TWO, applied, reverse_complement

from orca_cool.errors import EditError
from orca_cool.genome.open import open_genome
from orca_cool.variants import Variant, read_table, read_variants

#: Small files that once went wrong.
CASES = Path(__file__).resolve().parents[1] / "data" / "cases"


@pytest.fixture
def read(tmp_path):
    def read(name: str, *lines: str) -> list[Variant]:
        path = tmp_path / name
        text = "".join(line.replace("|", "\t") + "\n" for line in lines)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        return list(read_table(path, GENOME))

    return read


# BEDPE: a 1 bp interval holds the base at the breakpoint


def bedpe(place1: str, place2: str, strands: str, *more: str, name: str = "sv") -> str:
    a, b = (
        f"{chrom}|{span.replace('-', '|')}"
        for chrom, _, span in (p.rpartition(":") for p in (place1, place2))
    )
    return "|".join([a, b, name, ".", *strands, *more])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (bedpe("chr1:4-5", "chr2:7-8", "+-"), ONE[:5] + TWO[7:]),
        (bedpe("chr1:4-5", "chr2:7-8", "++"), ONE[:5] + reverse_complement(TWO[:8])),
        (bedpe("chr1:4-5", "chr2:7-8", "-+"), TWO[:8] + ONE[4:]),
        (bedpe("chr1:4-5", "chr2:7-8", "--"), reverse_complement(ONE[4:]) + TWO[7:]),
        (bedpe("chr1:4-5", "chr2:7-8", "+-", "TRA"), ONE[:5] + TWO[7:]),
        (bedpe("chr1:4-5", "chr2:7-8", "+-", "BND", "more"), ONE[:5] + TWO[7:]),
        (bedpe("chr1:5-5", "chr2:7-7", "+-"), ONE[:5] + TWO[7:]),
        (bedpe("chr1:5-5", "chr2:7-7", "-+"), TWO[:7] + ONE[5:]),
        (bedpe("chr1:4-5", "chr1:9-10", "+-"), ONE[:5] + ONE[9:]),
        (bedpe("chr1:4-5", "chr1:9-10", "+-", "DEL"), ONE[:5] + ONE[9:]),
        (bedpe("chr1:9-10", "chr1:4-5", "-+", "DEL"), ONE[:5] + ONE[9:]),
        (bedpe("chr1:4-5", "chr1:9-10", "..", "del"), ONE[:5] + ONE[9:]),
        (bedpe("chr1:9-10", "chr1:4-5", "..", "DEL"), ONE[:5] + ONE[9:]),
        (bedpe("chr1:4-5", "chr1:9-10", "-+", "DUP"), ONE[:10] + ONE[4:10] + ONE[10:]),
        (bedpe("chr1:4-5", "chr1:9-10", "..", "DUP"), ONE[:10] + ONE[4:10] + ONE[10:]),
        (
            bedpe("chr1:4-5", "chr1:9-10", "++", "INV"),
            ONE[:5] + reverse_complement(ONE[5:10]) + ONE[10:],
        ),
        (
            bedpe("chr1:4-5", "chr1:9-10", "--", "INV"),
            ONE[:4] + reverse_complement(ONE[4:9]) + ONE[9:],
        ),
        (
            bedpe("chr1:4-5", "chr1:9-10", "..", "INV"),
            ONE[:5] + reverse_complement(ONE[5:10]) + ONE[10:],
        ),
        (bedpe("chr1:4-5", "chr1:9-10", "-+"), ONE[:10] + ONE[4:10] + ONE[10:]),
        (bedpe("chr1:4-5", "HLA:1:2-3", "+-"), ONE[:5] + HLA[2:]),
    ],
)
def test_bedpe(read, line, expected):
    for name in ("x.bedpe", "x.tsv", "x.bedpe.gz"):
        (variant,) = read(name, line)
        assert (variant.problem, variant.note, variant.name, variant.where) == (
            "",
            "",
            "sv",
            f"{name} line 1",
        )
        letters = applied(*variant.changes).values()
        assert {expected, reverse_complement(expected)} & set(letters)


def test_kinds_and_names_of_bedpe(read):
    types = [("+-", "DEL"), ("-+", "DUP"), ("--", "INV"), ("++", "BND"), ("++", "other")]
    variants = read(
        "x.bedpe",
        *(bedpe("chr1:4-5", "chr1:9-10", s, t) for s, t in types),
        bedpe("chr1:4-5", "chr2:9-10", "++", "TRA", name="."),
    )
    assert [v.kind for v in variants] == ["DEL", "DUP", "INV", "BND", "BND", "BND"]
    assert [(v.chrom, v.start, v.end) for v in variants[:3]] == [
        ("chr1", 5, 9),
        ("chr1", 4, 10),
        ("chr1", 4, 9),
    ]
    assert variants[5].name == "chr1:5(+)::chr2:10(+)"


def test_wide_breakends_are_cut_in_the_middle_and_say_so(read):
    (variant,) = read("x.bedpe", bedpe("chr1:4-10", "chr2:5-10", "+-"))
    assert ONE[:7] + TWO[7:] in applied(*variant.changes).values()
    assert (
        variant.note
        == "breakend 1 is 6 bp wide: its middle is taken; breakend 2 is 5 bp wide: its middle is "
        "taken"
    )
    (variant,) = read("x.bedpe", bedpe("chr1:4-5", "chr2:5-7", "+-"))
    assert variant.note == "breakend 2 is 2 bp wide: its middle is taken"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("chr1|4|5|chr2|7|8|sv", "it has 7 columns; BEDPE has 10 or more"),
        (
            bedpe("chr1:4-5", "chr2:7-8", ".."),
            "strands '.' and '.' do not tell which sides are joined",
        ),
        (bedpe("chr1:4-5", "chr2:7-8", "..", "TRA"), "strands '.' and '.'"),
        (bedpe("chr1:4-5", "chr2:7-8", "+."), "strands '+' and '.'"),
        (bedpe("chr1:4-5", "chr1:9-10", "+.", "DEL"), "strands '+' and '.'"),
        (bedpe("chr1:4-5", "chr2:7-8", "+x"), "strands '+' and 'x'"),
        (
            bedpe("chr1:4-5", "chr1:9-10", "-+", "DEL"),
            "strands - and + contradict type DEL, which from left to right is + and -",
        ),
        (bedpe("chr1:9-10", "chr1:4-5", "+-", "DEL"), "strands + and - contradict type DEL"),
        (
            bedpe("chr1:4-5", "chr1:9-10", "+-", "INV"),
            "contradict type INV, which from left to right is + and + or - and -",
        ),
        (bedpe("chr1:4-5", "chr1:9-10", "++", "DUP"), "contradict type DUP"),
        (
            bedpe("chr1:4-5", "chr2:9-10", "+-", "DEL"),
            "type DEL is within one chromosome, not chr1 and chr2",
        ),
        (
            bedpe("chr1:4-5", "chr1:9-10", "+-", "TRA"),
            "type TRA is of two chromosomes, not chr1 and chr1",
        ),
        (bedpe("chr1:4-5", "chr7:9-10", "+-"), "there is no chromosome 'chr7'"),
        (
            bedpe("chr1:4-5", "chr2:20-21", "+-"),
            "breakend chr2:20-21 lies outside chr2, which is 20 bp long",
        ),
        (bedpe("chr1:5-4", "chr2:7-8", "+-"), "breakend chr1:5-4 is reversed"),
        (bedpe("chr1:4-5", "chr2:x-8", "+-"), "start 'x' is not a position"),
        ("chr1|4|5|.|-1|-1|sv|.|+|-", "no chromosome '.'"),
        ("chr1|4|5|chr2|-1|-1|sv|.|+|-", "start '-1' is not a position"),
        (bedpe("chr1:5-5", "chr1:5-5", "++"), "both ends at one place"),
        (bedpe("chr1:5-5", "chr1:5-5", "+-"), "nothing changes"),
        (bedpe("chr1:0-0", "chr2:20-20", "+-"), "both keep nothing"),
    ],
)
def test_bad_lines_of_bedpe(read, line, problem):
    first, bad, last = read(
        "x.bedpe",
        "# made by hand",
        bedpe("chr1:4-5", "chr2:7-8", "+-"),
        "",
        line,
        bedpe("chr1:4-5", "chr2:7-8", "++"),
    )
    assert (first.where, bad.where, last.where) == (
        "x.bedpe line 2",
        "x.bedpe line 4",
        "x.bedpe line 5",
    )
    assert (first.problem, last.problem) == ("", "")
    assert problem in bad.problem
    assert bad.changes == ()


def test_a_header_of_bedpe_is_skipped(read):
    header = "chrom1|start1|end1|chrom2|start2|end2|name|score|strand1|strand2"
    for name in ("x.bedpe", "x.tsv"):
        (variant,) = read(name, header, bedpe("chr1:4-5", "chr2:7-8", "+-"))
        assert (variant.where, variant.problem) == (f"{name} line 2", "")


# BED and named columns


EVENTS = [
    ("chr1|4|9|del", ONE[:4] + ONE[9:]),
    ("chr1|4|9|dup", ONE[:9] + ONE[4:9] + ONE[9:]),
    ("chr1|4|9|dup x3 inv", ONE[:9] + reverse_complement(ONE[4:9]) * 2 + ONE[9:]),
    ("chr1|4|9|INV", ONE[:4] + reverse_complement(ONE[4:9]) + ONE[9:]),
    ("chr1|4|4|ins ACGT", ONE[:4] + "ACGT" + ONE[4:]),
    ("chr1|4|9|sub chr2:0-3(-),AC", ONE[:4] + "CAAAC" + ONE[9:]),
]


@pytest.mark.parametrize(("line", "expected"), EVENTS)
def test_bed_with_events(read, line, expected):
    for name in ("x.bed", "x.bed.gz", "x.tsv", "x"):
        plain, named = read(name, "track name=x", line, line + "|its name")
        assert applied(*plain.changes)["chr1"] == applied(*named.changes)["chr1"] == expected
        assert (plain.where, named.name) == (f"{name} line 2", "its name")
        assert plain.name == str(plain.changes[0])


@pytest.mark.parametrize(("line", "expected"), EVENTS)
def test_named_columns(read, line, expected):
    chrom, start, end, event = line.split("|")
    for name in ("x.tsv", "x.txt", "x.bed"):
        (variant,) = read(
            name, "name|event|Chrom|START|end|other", f"n|{event}|{chrom}|{start}|{end}|x"
        )
        assert applied(*variant.changes)["chr1"] == expected
        assert (variant.name, variant.where) == ("n", f"{name} line 2")


def test_a_column_of_sequence(read):
    variants = read(
        "x.tsv",
        "# a comment",
        "#chrom|start|end|event|sequence",
        "chr1|4|4|ins|acg",
        "chr1|4|9|del|.",
        "chr1|4|9|inv|",
        "chr1|4|9|sub|2N",
    )
    assert [v.problem for v in variants] == [""] * 4
    assert applied(*variants[0].changes)["chr1"] == ONE[:4] + "ACG" + ONE[4:]
    assert applied(*variants[3].changes)["chr1"] == ONE[:4] + "NN" + ONE[9:]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("chr1|4|9", "it has nothing for event; columns are chrom, start, end, event, name"),
        ("chr1 4 9 del", "it has nothing for start, end, event"),
        ("chr1|x|9|del", "start 'x' is not a position"),
        (f"chr1|4|{'9' * 5000}|del", "is not a position"),
        ("chr1|4|-9|del", "end '-9' is not a position"),
        ("chr1|4|9|dele", "'dele' is no event; write del, dup"),
        ("chr1|4|9|dup x0", "at least 2 copies"),
        ("chr1|9|4|del", "chr1:9-4 is reversed"),
        ("chr1|4|4|del", "chr1:4-4 is empty"),
        ("chr1|4|9|ins A", "an insertion is at a place, not at an interval"),
        ("chr1|4|4|ins", "no sequence is given"),
        ("chr1|4|31|del", "chr1:4-31 lies outside chr1, which is 30 bp long"),
        ("chr7|4|9|del", "there is no chromosome 'chr7'"),
        ("chr1|4|9|sub chr2:0-30", "outside chr2"),
    ],
)
def test_bad_lines_of_bed(read, line, problem):
    first, bad, last = read("x.bed", "chr1|4|9|del", line, "chr1|4|9|inv")
    assert (first.problem, last.problem, bad.where, bad.changes) == ("", "", "x.bed line 2", ())
    assert problem in bad.problem


# edits


def test_edits_one_a_line(read):
    lines = [
        "# comment",
        "chr1:4-9 del",
        "two|chr1:4-9 inv; chr2:1 T>A",
        "",
        "chr1:5(+)::chr2:8(-)",
    ]
    for name in ("x.txt", "x.edits", "x.edits.gz"):
        one, two, three = read(name, *lines)
        assert [v.where for v in (one, two, three)] == [f"{name} line {n}" for n in (2, 3, 5)]
        assert (one.name, two.name, three.kind) == ("chr1:4-9 del", "two", "BND")
        assert applied(*two.changes) == {
            "chr1": ONE[:4] + reverse_complement(ONE[4:9]) + ONE[9:],
            "chr2": "A" + TWO[1:],
            "HLA:1": HLA,
        }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("chr1:4-9 remove", "edit 'chr1:4-9 remove': it is not understood"),
        ("a|b|chr1:4-9 del", "it has 3 columns; write the edits, or a name, a tab and the edits"),
        ("a|;", "holds no edit"),
        (
            "chr1:4-9 del; chr7:1-2 del",
            "edit 'chr7:1-2 del': region 'chr7:1-2': there is no chromosome 'chr7'",
        ),
    ],
)
def test_bad_lines_of_edits(read, line, problem):
    first, bad, last = read("x.edits", "chr1:4-9 del", line, "chr1:4-9 inv")
    assert (first.problem, last.problem, bad.where, bad.changes) == ("", "", "x.edits line 2", ())
    assert problem in bad.problem


# files


@pytest.mark.parametrize("name", ["x.tsv", "x.csv", "x", "x.xlsx"])
def test_a_table_that_is_of_no_type(read, name):
    with pytest.raises(
        EditError,
        match=r"is not understood: line 2 is 'chr1,4,9,del'; expected BEDPE .*, BED with an "
        r"event .* edits in a",
    ):
        read(name, "#", "chr1,4,9,del")


def test_empty_and_missing_tables(read, tmp_path):
    with pytest.raises(EditError, match=r"x\.bed': the file is empty"):
        read("x.bed")
    with pytest.raises(EditError, match=r"x\.bed' holds no variant; expected BEDPE"):
        read("x.bed", "# nothing", "")
    with pytest.raises(EditError, match=r"absent\.bed' cannot be read: No such file"):
        read_table(tmp_path / "absent.bed", GENOME)
    assert read("x.tsv", "chrom|start|end|event") == []


def test_a_truncated_table_ends_with_a_problem(tmp_path):
    events = [
        f"chr1\t{random.Random(i).randrange(20)}\t{20 + random.Random(i).randrange(9)}\tdel\tv{i}"
        for i in range(2000)
    ]
    data = gzip.compress("\n".join(events).encode())
    path = tmp_path / "x.bed.gz"
    path.write_bytes(data[: len(data) // 2])
    *good, bad = list(read_table(path, GENOME))
    assert 0 < len(good) < 2000
    assert [v.name for v in good] == [f"v{i}" for i in range(len(good))]
    assert bad.problem == f"truncated after line {len(good)}: the compressed file ends too early"
    path.write_bytes(data[:15])
    with pytest.raises(EditError, match="holds no variant; it is truncated after line 0"):
        read_table(path, GENOME)


def test_a_line_that_cannot_be_used_and_has_no_name_is_called_by_its_text(read):
    first, second = read_variants(CASES / "unread.txt", open_genome("example"))
    assert (first.name, first.id, first.changes) == ("chrII:300,000-300,100 sub shuffle", "", ())
    assert first.problem
    assert (second.name, second.problem) == ("chrII:300,000-300,100 del", "")
    (variant,) = read("x.edits", "chr1:2-4 " + "x" * 5000)
    assert variant.name == "chr1:2-4 " + "x" * 181 + "... (5,009 letters)"


def test_names_of_the_file_are_kept_as_ids(read):
    assert [v.id for v in read("x.edits", "a\tchr1:2-4 del\nchr1:2-4 inv\n")] == ["a", ""]
    lines = "chr1\t2\t4\tdel\tfine\nchr1\t2\t4\tdell\tbad\nchr1\t2\t4\tdel\n"
    assert [v.id for v in read("x.bed", lines)] == ["fine", "bad", ""]
    (variant,) = read("x.bedpe", "chr1\t4\t5\tchr2\t9\t10\tj\t.\t+\t-\n")
    assert (variant.id, variant.pos, variant.ref, variant.alt) == ("j", None, "", "")


def test_a_line_that_cannot_be_used_keeps_its_name(read):
    assert [v.name for v in read("x.edits", "fine\tchr1:2-4 del\nbad\tchr9:2-4 del\n")] == [
        "fine",
        "bad",
    ]
    assert [
        v.name
        for v in read("x.bed", "chr1\t2\t4\tdel\tfine\nchr1\t2\t4\tdell\tbad\nchr9\t2\t4\tdel\n")
    ] == ["fine", "bad", "chr9 2 4 del"]
    assert [v.name for v in read("x.bedpe", "chr1\t4\t5\tchr9\t9\t10\tbad\t.\t+\t-\n")] == ["bad"]
