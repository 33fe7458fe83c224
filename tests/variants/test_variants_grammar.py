"""Edits as text: what each form does to plain strings, what is refused and how, and that a change's
own text gives it back.
"""

from __future__ import annotations

import gzip
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_variants import GENOME, HLA, ONE, TWO, Genome, applied, reverse_complement

from orca_cool.errors import EditError
from orca_cool.genome.changes import Adjacency, Breakend, Contig, Edit
from orca_cool.genome.checks import check_adjacency, check_edit
from orca_cool.genome.segments import Segment
from orca_cool.variants.grammar import parse_edits, parse_event, parse_sequence


def edited(text: str, chrom: str = "chr1", **options) -> str:
    return applied(*parse_edits(text, GENOME, **options))[chrom]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1:4-9 del", ONE[:4] + ONE[9:]),
        ("chr1:4-9 dup", ONE[:9] + ONE[4:9] + ONE[9:]),
        ("chr1:4-9 dup x3", ONE[:9] + ONE[4:9] * 2 + ONE[9:]),
        ("chr1:4-9 dup inv", ONE[:9] + reverse_complement(ONE[4:9]) + ONE[9:]),
        ("chr1:4-9 dup x3 inv", ONE[:9] + reverse_complement(ONE[4:9]) * 2 + ONE[9:]),
        ("chr1:4-9 inv", ONE[:4] + reverse_complement(ONE[4:9]) + ONE[9:]),
        ("chr1 inv", reverse_complement(ONE)),
        ("chr1:4- del", ONE[:4]),
        ("  chr1:4 - 9   DEL ", ONE[:4] + ONE[9:]),
        ("chr1:0.004k-0.009kb del", ONE[:4] + ONE[9:]),
        ("chr1:5 ins ACGTN", ONE[:5] + "ACGTN" + ONE[5:]),
        ("chr1:5 ins acgtn", ONE[:5] + "ACGTN" + ONE[5:]),
        ("chr1:30 ins TT", ONE + "TT"),
        ("chr1:0 ins TT", "TT" + ONE),
        ("chr1:5 ins TTG(-)", ONE[:5] + "CAA" + ONE[5:]),
        ("chr1:5 ins 3N", ONE[:5] + "NNN" + ONE[5:]),
        ("chr1:5 ins chr2:5-10", ONE[:5] + TWO[5:10] + ONE[5:]),
        ("chr1:5 ins chr2:5-10(+)", ONE[:5] + TWO[5:10] + ONE[5:]),
        ("chr1:5 ins chr2:5-10(-)", ONE[:5] + reverse_complement(TWO[5:10]) + ONE[5:]),
        ("chr1:5 ins chr2", ONE[:5] + TWO + ONE[5:]),
        ("chr1:5 ins chr2(-)", ONE[:5] + reverse_complement(TWO) + ONE[5:]),
        (
            "chr1:5 ins HLA:1:1-4(-), 2N ,AC,HLA:1",
            ONE[:5] + reverse_complement(HLA[1:4]) + "NNAC" + HLA + ONE[5:],
        ),
        ("chr1:5-9 sub TTTTTTTT", ONE[:5] + "TTTTTTTT" + ONE[9:]),
        ("chr1:5-9 sub chr1:0-5(-)", ONE[:5] + reverse_complement(ONE[:5]) + ONE[9:]),
        ("chr1:2 C>T", "AT" + ONE[2:]),
        ("chr1:2 c > t", "AT" + ONE[2:]),
        ("chr1:2 CG>CTTG", "ACTTG" + ONE[3:]),
        ("chr1:2 CGT>C", "AC" + ONE[4:]),
        ("chr1:2 NG>AT", "AAT" + ONE[3:]),
        ("chr1:4-9 del; chr1:20 ins A\nchr1:1 A>G;", "G" + ONE[1:4] + ONE[9:20] + "A" + ONE[20:]),
    ],
)
def test_what_an_edit_does(text, expected):
    assert edited(text) == expected


def test_small_edits_are_trimmed():
    assert parse_edits("chr1:2 CGT>CAT", GENOME) == [
        Edit("sub", "chr1", 2, 3, sequence=(Segment.letters("A"),))
    ]
    assert parse_edits("chr1:2 CG>CAG", GENOME) == [
        Edit("ins", "chr1", 2, 2, sequence=(Segment.letters("A"),))
    ]
    assert parse_edits("chr1:2 CGT>CT", GENOME) == [Edit("del", "chr1", 2, 3)]


@pytest.mark.parametrize(
    ("text", "contig", "expected"),
    [
        ("chr1:5(+)::chr2:8(-)", "der_chr1", ONE[:5] + TWO[8:]),
        ("chr1:5(+)::ACC::chr2:8(-)", "der_chr1", ONE[:5] + "ACC" + TWO[8:]),
        (
            "chr1:5(+)::2N,HLA:1:0-3(-)::chr2:8(+)",
            "der_chr1",
            ONE[:5] + "NN" + reverse_complement(HLA[:3]) + reverse_complement(TWO[:8]),
        ),
        ("chr1:5(-)::ACC::chr2:8(+)", "der_chr2", TWO[:8] + "GGT" + ONE[5:]),
        ("chr1:5(+)::HLA:1:4(-)", "der_chr1", ONE[:5] + HLA[4:]),
        ("chr1::chr2", "der_chr1", ONE + TWO),
        ("chr1:end(+)::chr2:0(-)", "der_chr1", ONE + TWO),
        ("chr1:END(+) :: chr2:end(+)", "der_chr1", ONE + reverse_complement(TWO)),
        ("chr1::ACC::chr2", "der_chr1", ONE + "ACC" + TWO),
        ("chr1:5(+)::chr1:9(-)", "chr1", ONE[:5] + ONE[9:]),
        ("new = ACGT,chr2:2-4(-)", "new", "ACGT" + reverse_complement(TWO[2:4])),
        ("new=chr2", "new", TWO),
        ("chr2 = chr1:3-5", "chr2", ONE[3:5]),
    ],
)
def test_what_joins_and_chromosomes_do(text, contig, expected):
    assert applied(*parse_edits(text, GENOME))[contig] == expected


def test_numbers_with_commas_stand_beside_commas_between_parts():
    genome = Genome(chr1="ACGT" * 1000, **{"2": "TTGA" * 500})
    sequence = parse_sequence(
        "chr1:1,000-2,001(-),1,200N,chr1:3,000-3,100,100N,2:5-1,005,ACG,chr1:1,000-1,500", genome
    )
    assert sequence == (
        Segment("chr1", 1000, 2001, "-"),
        Segment("", 0, 1200),
        Segment("chr1", 3000, 3100),
        Segment("", 0, 100),
        Segment("2", 5, 1005),
        Segment.letters("ACG"),
        Segment("chr1", 1000, 1500),
    )
    assert parse_edits("chr1:1k-1.5k del", genome) == [Edit("del", "chr1", 1000, 1500)]


def test_letters_win_over_a_chromosome_of_that_name():
    genome = Genome(CAT="GGG", chr1="ACGT")
    assert parse_sequence("CAT,CAT:0-3", genome) == (Segment.letters("CAT"), Segment("CAT", 0, 3))


def test_the_paper_s_translocation_is_read():
    sizes = {"chr5": 180_915_260, "chr7": 159_138_663, "chr2": 243_199_373}

    class Sizes:
        name, chromsizes = "hg19", sizes

    text = "chr5:89411065(+)::chr7:94378248(-); chr2:220,295,000-222,000,000 del"
    assert parse_edits(text, Sizes()) == [
        Adjacency(Breakend("chr5", 89_411_065, "+"), Breakend("chr7", 94_378_248, "-")),
        Edit("del", "chr2", 220_295_000, 222_000_000),
    ]


REFUSED = [
    ("", "holds no edit"),
    (" ; \n", "holds no edit"),
    ("chr1", "not understood; write it as one of: REGION del"),
    ("chr1:4-9 delete", "not understood"),
    (
        "chr1:1,0 del",
        "'chr1:1,0' is one position where a stretch is needed; the base at this position is "
        "chr1:9-10",
    ),
    ("chr1:4-9 del now", "'now' behind del is not understood"),
    ("chr1:4-9 inv x2", "'x2' behind inv"),
    ("chr1:4-9 dup 3", "'3' behind dup is not understood; write dup, dup x3"),
    ("chr1:4-9 dup x1", "at least 2 copies in all, not 1"),
    ("chr1:9-4 del", "reversed: its end 4 lies before its start 9"),
    ("chr1:4-4 del", "empty"),
    ("chr1:4-31 del", "outside chr1, which is 30 bp long"),
    ("chr1 del", "a chromosome cannot be empty"),
    ("chr1:0-30 del", "a chromosome cannot be empty"),
    ("chr1:4 del", "'chr1:4' is one position"),
    ("chr1:x-9 del", "not understood"),
    ("Chr1:4-9 del", "no chromosome 'Chr1'; did you mean 'chr1'?"),
    ("1:4-9 dup", "no chromosome '1'; did you mean 'chr1'?"),
    ("chr1:31 ins A", "outside chr1, which is 30 bp long"),
    (
        "chr1:4-9 ins A",
        "interval where a place is needed, as chr1:1,000; to replace an interval use sub",
    ),
    ("chr1:4 ins", "no sequence is given"),
    ("chr1:4-9 sub", "no sequence is given"),
    ("chr1 ins A", "is no place; write it as chr2:1,000"),
    ("chr1:1.5 ins A", "'1.5' is not a whole number of bp"),
    ("chrQ:4 ins A", "no chromosome 'chrQ'"),
    ("chr1:4 ins ACGU", "'ACGU' is neither sequence .* nor a chromosome"),
    ("chr1:4 ins chr22", "'chr22' is neither .*a chromosome; it has: chr1, chr2, HLA:1"),
    ("chr1:4 ins AC,,GT", "a comma too many"),
    ("chr1:4 ins 0N", "'0N' is empty"),
    ("chr1:4 ins chr2:9-4", "reversed"),
    ("chr1:4 ins chr2:9-40(-)", "outside chr2, which is 20 bp long"),
    ("chr1:4 ins chr3:9-40(-)", "no chromosome 'chr3'"),
    (
        "chr1:2 A>G",
        "REF 'A' is not the genome's 'C' at chr1:2; it stands one base to the left: positions "
        "here are 1-based, not 0-based",
    ),
    (
        "chr1:2 G>A",
        "REF 'G' is not the genome's 'C' at chr1:2; it stands one base to the right: positions",
    ),
    (
        "chr1:22 A>G",
        "REF 'A' is not the genome's 'T' at chr1:22; it stands one base to the left and the "
        "right: positions",
    ),
    ("chr1:2 TT>A", "REF 'TT' is not the genome's 'CG' at chr1:2$"),
    ("chr1:2 CX>A", "CX holds 'X' at letter 2; only A, C, G, T and N"),
    ("chr1:2 C>A,G", "holds ','"),
    ("chr1:2 >A", "empty"),
    ("chr1:2 C>C", "nothing changes"),
    ("chr1:0 A>C", "position 0 .*outside chr1"),
    ("chr1:30 AC>C", "position 30 .*outside chr1"),
    ("chr1:5(+)::chr2:21(-)", r"breakend chr2:21\(-\) lies outside chr2, which is 20 bp long"),
    ("chr1:5::chr2:8(-)", r"'chr1:5' has no side; write chr1:5\(\+\)"),
    ("chr1:5(+)::chr3:8(-)", "no chromosome 'chr3'; it has: chr1, chr2"),
    ("chr1:5(+)::chr3", "no chromosome 'chr3'; it has: chr1, chr2"),
    ("chr3:end(+)::chr1", "no chromosome 'chr3'"),
    ("chr1:5(+)::", "no chromosome ''"),
    ("chr1::A::C::chr2", "4 parts between '::'"),
    ("chr1::::chr2", "no sequence is given"),
    ("chr1:0(+)::chr2:20(-)", "both keep nothing"),
    ("chr1:5(+)::chr1:5(+)", "both ends at one place"),
    ("chr1:5(+)::chr1:5(-)", "joined already"),
    ("a,b = ACG", "'a,b' cannot be a chromosome's name"),
    ("new =", "no sequence is given"),
    ("chr1:4 ins @absent.fa", "'@absent.fa': there is no such file"),
    ("chr1:4 ins @", "no such file"),
    ("chr1:4 ins @a\0b", "null character"),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_what_is_refused_is_quoted(text, problem):
    with pytest.raises(EditError, match=problem) as error:
        parse_edits(f"chr2:1-2 del; {text}; chr2:4-5 del" if text.strip(" ;\n") else text, GENOME)
    if text.strip(" ;\n"):
        assert str(error.value).startswith(f"edit {text!r}: ")


def test_long_edits_are_quoted_short():
    with pytest.raises(EditError) as error:
        parse_edits("chr1:99 ins " + "A" * 10_000, GENOME)
    assert len(str(error.value)) < 300


def test_an_event_alone():
    assert parse_event("chr1", 4, 9, " dup  x4 ", GENOME) == Edit("dup", "chr1", 4, 9, copies=4)
    assert parse_event("chr1", 4, 4, "ins\tAC", GENOME) == Edit(
        "ins", "chr1", 4, 4, sequence=(Segment.letters("AC"),)
    )
    for start, end, text, problem in [
        (4, 9, "", "'' is no event"),
        (4, 9, "cnv", "'cnv' is no event; write del, dup"),
        (4, 9, "ins A", "chr1:4-9: an insertion is at a place, not at an interval"),
        (4, 4, "sub A", "chr1:4-4 is empty"),
        (9, 4, "del", "reversed"),
        (9, 34, "del", "outside chr1"),
    ]:
        with pytest.raises(EditError, match=problem):
            parse_event("chr1", start, end, text, GENOME)


# files of sequence


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "sequences"
    (folder / "sub").mkdir(parents=True)
    (folder / "one.fa").write_text(">only one\nacg\nTTN\n")
    (folder / "two.fa").write_text(
        ">a first\nAAA\n>b:1 second\nCC\nC\n>twice\nA\n>twice\nC\n>iupac\nACR\n>empty\n"
    )
    (folder / "with:colon.fa").write_text(">a\nGG\n")
    (folder / "sub" / "zip.fa.gz").write_bytes(gzip.compress(b">a\nTTT\n"))
    (folder / "text.txt").write_text("ACGT\n")
    (folder / "cut.fa.gz").write_bytes(
        gzip.compress(b">a\n" + os.urandom(4000).hex().encode())[:1000]
    )
    (tmp_path / "outside.fa").write_text(">a\nA\n")
    (folder / "link.fa").symlink_to(tmp_path / "outside.fa")
    (folder / "inner.fa").symlink_to(folder / "one.fa")
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@one.fa", "ACGTTN"),
        ("@one.fa:only", "ACGTTN"),
        ("@one.fa:only(-)", "NAACGT"),
        ("@two.fa:a", "AAA"),
        ("@two.fa:b:1", "CCC"),
        ("@with:colon.fa", "GG"),
        ("@with:colon.fa:a", "GG"),
        ("@sub/zip.fa.gz", "TTT"),
        ("@sub/../one.fa,@two.fa:a(-),AC", "ACGTTNTTTAC"),
        ("@inner.fa", "ACGTTN"),
    ],
)
def test_sequence_from_files(folder, monkeypatch, text, expected):
    assert edited(f"chr1:5 ins {text}", files=folder) == ONE[:5] + expected + ONE[5:]
    monkeypatch.chdir(folder)
    assert edited(f"new = {text}", "new") == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "@two.fa",
            "has several records; write @FILE:RECORD with one of a, b:1, twice, twice, iupac, "
            "empty",
        ),
        ("@two.fa:c", "there is no record 'c'; the file has a, b:1, twice"),
        ("@two.fa:twice", "several records 'twice'"),
        ("@two.fa:iupac", "ACR holds 'R' at letter 3"),
        ("@two.fa:empty", "a literal sequence is empty"),
        ("@text.txt", "is not FASTA: no line begins with '>'"),
        ("@cut.fa.gz", "cannot be read"),
        ("@sub", "no such file"),
        ("@none.fa:a", "'@none.fa:a': there is no such file"),
        ("@../outside.fa", "lies outside the folder"),
        ("@../absent.fa", "lies outside the folder"),
        ("@/etc/passwd", "lies outside the folder"),
        ("@link.fa", "lies outside the folder"),
        ("@sub/../../outside.fa:a", "lies outside the folder"),
    ],
)
def test_files_of_sequence_that_are_refused(folder, text, problem):
    with pytest.raises(EditError, match=problem):
        parse_edits(f"chr1:5 ins {text}", GENOME, files=folder)


def test_files_of_sequence_can_be_off_limits(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for text in ("@one.fa", "@absent.fa", f"@{folder}/one.fa"):
        with pytest.raises(EditError, match="files of sequence are not allowed here"):
            parse_edits(f"chr1:5 ins {text}", GENOME, files=False)
    assert edited("chr1:5 ins @../outside.fa:a", files=True) == ONE[:5] + "A" + ONE[5:]
    with pytest.raises(EditError, match="lies outside the folder"):
        parse_edits("chr1:5 ins @../outside.fa:a", GENOME, files=str(folder))  # type: ignore[arg-type]


# round trips


@st.composite
def spans(draw, empty: bool = False):
    chrom = draw(st.sampled_from(list(GENOME.chromsizes)))
    size = GENOME.chromsizes[chrom]
    start = draw(st.integers(0, size if empty else size - 1))
    return chrom, start, start if empty else draw(st.integers(start + 1, size))


LETTERS = st.text("ACGTN", min_size=1, max_size=30).map(Segment.letters)
SEGMENTS = st.one_of(
    LETTERS,
    LETTERS.map(Segment.reverse_complement),
    st.integers(1, 10**7).map(lambda n: Segment("", 0, n)),
    st.builds(lambda span, strand: Segment(*span, strand), spans(), st.sampled_from("+-")),
)
SEQUENCES = st.lists(SEGMENTS, min_size=1, max_size=4).map(tuple)
EDITS = st.one_of(
    st.builds(lambda s, kind: Edit(kind, *s), spans(), st.sampled_from(["del", "inv"])),
    st.builds(
        lambda s, n, inverted: Edit("dup", *s, copies=n, inverted=inverted),
        spans(),
        st.integers(2, 12),
        st.booleans(),
    ),
    st.builds(lambda s, letters: Edit("ins", *s, sequence=letters), spans(empty=True), SEQUENCES),
    st.builds(lambda s, letters: Edit("sub", *s, sequence=letters), spans(), SEQUENCES),
)
BREAKENDS = st.builds(
    lambda span, side: Breakend(span[0], span[1], side), spans(empty=True), st.sampled_from("+-")
)
JOINS = st.builds(Adjacency, BREAKENDS, BREAKENDS, st.one_of(st.just(()), SEQUENCES))
CONTIGS = st.builds(
    Contig,
    st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.:|-]{0,8}\Z").filter(lambda n: "::" not in n),
    SEQUENCES,
)


def fits(change) -> bool:
    try:
        if isinstance(change, Edit):
            check_edit(GENOME, change)
        elif isinstance(change, Adjacency):
            check_adjacency(GENOME, change)
    except EditError:
        return False
    return True


@given(
    st.lists(st.one_of(EDITS, JOINS, CONTIGS).filter(fits), min_size=1, max_size=3),
    st.sampled_from(["; ", ";", "\n"]),
)
def test_the_text_of_a_change_gives_it_back(changes, separator):
    assert parse_edits(separator.join(map(str, changes)), GENOME) == changes


@given(st.one_of(st.text(), st.text("chr12:(+-)::ins del dup x,>=@N;ACGT\n 0", max_size=30)))
def test_any_text_is_read_or_refused(text):
    try:
        changes = parse_edits(text, GENOME, files=False)
    except EditError:
        return
    assert parse_edits("; ".join(map(str, changes)), GENOME) == changes


@pytest.mark.parametrize(
    "text",
    [
        "chr1:{} ins A",
        "chr1:1-{} del",
        "chr1:4-9 dup x{}",
        "chr1:{} A>C",
        "chr1:{}(+)::chr2",
        "x = {}N",
        "x = chr1:1-{}",
    ],
)
def test_numbers_beyond_all_bounds_are_refused(text):
    with pytest.raises(EditError):
        parse_edits(text.format("1" * 5000), GENOME)
