"""Intervals read from BED and bigBed files, and labels against a base-by-base oracle."""

from __future__ import annotations

import gzip
import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higlass_plugin.files.bed import Intervals as Served
from higlass_plugin.files.chromosomes import FileError
from orca_cool.errors import TrainingError
from orca_cool.genome.intervals import Interval, PeakLabels, labels, read_bed, read_intervals

NARROW = """\
# called by hand
track type=narrowPeak name="two peaks"
browser position chrI:1-1,000

chrI\t100\t200\tp1\t0\t.\t5.1\t-1\t-1\t50
chrII\t5\t6\tp2\t1000\t-\t8.0\t-1\t-1\t0
chrI\t40\t60\tp3\t10\t+\t2.0\t-1\t-1\t3
"""
PEAKS = [
    Interval("chrI", 100, 200, "CTCF"),
    Interval("chrII", 5, 6, "CTCF", "-"),
    Interval("chrI", 40, 60, "CTCF", "+"),
]


def as_list(table: pd.DataFrame) -> list[Interval]:
    assert list(table.columns) == ["chrom", "start", "end", "kind", "strand"]
    assert table["start"].dtype == table["end"].dtype == np.int64
    return [Interval(*row) for row in table.itertuples(index=False)]


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def write_bigbed(
    path: Path, chromsizes: dict[str, int], rows: Sequence[tuple], compress: bool = True
) -> Path:
    """The smallest bigBed that UCSC's library reads: no zoom levels, one data block for each
    chromosome (Kent 2010, supplement).

    Rows are (chromosome, start, end, further columns as text ...), in any order.
    """
    names = sorted(chromsizes)
    width, fields = max(map(len, names)), max(map(len, rows))
    tree = struct.pack(
        "<4I2Q2BH", 0x78CA8C91, len(names), width, 8, len(names), 0, 1, 0, len(names)
    )
    for k, name in enumerate(names):
        tree += name.encode().ljust(width, b"\0") + struct.pack("<2I", k, chromsizes[name])
    data, leaves, offset = struct.pack("<Q", len(rows)), [], 64 + len(tree) + 8
    for k, name in enumerate(names):
        mine = sorted(row for row in rows if row[0] == name)
        block = b"".join(
            struct.pack("<3I", k, *row[1:3]) + "\t".join(row[3:]).encode() + b"\0" for row in mine
        )
        block = zlib.compress(block) if compress else block
        if mine:
            leaves.append(
                struct.pack(
                    "<4I2Q", k, mine[0][1], k, max(row[2] for row in mine), offset, len(block)
                )
            )
            data, offset = data + block, offset + len(block)
    bounds = (0, 0, len(names) - 1, max(chromsizes.values()))
    index = struct.pack(
        "<2IQ4IQ2I2BH", 0x2468ACE0, 256, len(rows), *bounds, offset, 1024, 0, 1, 0, len(leaves)
    ) + b"".join(leaves)
    magic, starts = 0x8789F2EB, (64, 64 + len(tree), offset)
    head = struct.pack(
        "<I2H3Q2H2QIQ", magic, 4, 0, *starts, fields, min(fields, 12), 0, 0, compress << 20, 0
    )
    path.write_bytes(head + tree + data + index + struct.pack("<I", magic))
    return path


@pytest.mark.parametrize("name", ["x.bed", "x.narrowPeak", "x.bed.gz", "gzip_by_content"])
def test_narrow_peaks(tmp_path, name):
    path = write(tmp_path / name, NARROW)
    if name == "gzip_by_content":
        path.write_bytes(gzip.compress(NARROW.encode()))
    assert as_list(read_intervals(path, kind="CTCF")) == PEAKS
    assert as_list(read_intervals(path, chroms=["chrII", "chrIX"], kind="CTCF")) == PEAKS[1:2]
    assert as_list(read_intervals(path, column=3))[2] == Interval("chrI", 40, 60, "p3", "+")
    assert read_bed(path, None, "CTCF", {"chrI": 1000}) == [PEAKS[0], PEAKS[2]]
    assert read_bed(path, 3, "", ["chrII"]) == [Interval("chrII", 5, 6, "p2", "-")]
    assert read_bed(path, 3, "", ["chrIX"]) == []


def test_bed3_with_spaces_windows_line_ends_and_no_last_one(tmp_path):
    path = write(tmp_path / "x.bed", "\ufeffchrI 0 10\r\n\r\nchrI\t7\t9\r\ntracked\t1\t2")
    assert as_list(read_intervals(path)) == [
        Interval("chrI", 0, 10, ""),
        Interval("chrI", 7, 9, ""),
        Interval("tracked", 1, 2, ""),
    ]


def test_columns_beyond_the_standard_ones_are_no_strand(tmp_path):
    path = write(tmp_path / "x.bed", "chrI\t0\t10\ta\t0\t0.731\n")
    assert as_list(read_intervals(path, column=3)) == [Interval("chrI", 0, 10, "a", ".")]


def test_no_interval_is_an_empty_table(tmp_path):
    table = read_intervals(write(tmp_path / "x.bed", "# nothing found\n"), chroms=["chrI"])
    assert as_list(table) == []
    assert not PeakLabels(table, ["a"], {"chrI": 100}).window("chrI", 0, 100, 10).any()


@pytest.mark.parametrize("compress", [True, False])
def test_bigbed(tmp_path, compress):
    pytest.importorskip("bbi")
    rows = [
        ("chrII", 5, 6, "p2", "1000", "-"),
        ("chrI", 100, 200, "p1", "0", "."),
        ("chrI", 40, 160, "p3", "10", "+"),
    ]
    path = write_bigbed(tmp_path / "x.bb", {"chrI": 1000, "chrII": 50, "chrIII": 7}, rows, compress)
    expected = [
        Interval("chrI", 40, 160, "p3", "+"),
        Interval("chrI", 100, 200, "p1"),
        Interval("chrII", 5, 6, "p2", "-"),
    ]
    assert as_list(read_intervals(path, column=3)) == expected
    assert as_list(read_intervals(path, column=3, chroms=["chrI", "chrX"])) == expected[:2]
    assert read_bed(path, 4, "", ["chrII"]) == [Interval("chrII", 5, 6, "1000", "-")]
    with pytest.raises(
        TrainingError, match=r"'chrI\\t40\\t160\\tp3\\t10\\t\+' has no column 6; it has 6,"
    ):
        read_intervals(path, column=6)
    with pytest.raises(
        TrainingError,
        match=r"on other names.*chrI, chrII there, I, II in the genome; for 'chrI' did you mean "
        r"'I'\?",
    ):
        read_intervals(path, chroms=["I", "II"])


def test_bigbed_of_three_columns(tmp_path):
    pytest.importorskip("bbi")
    path = write_bigbed(tmp_path / "x.bb", {"chrI": 1000}, [("chrI", 0, 1000), ("chrI", 0, 3)])
    assert as_list(read_intervals(path, kind="k")) == [
        Interval("chrI", 0, 3, "k"),
        Interval("chrI", 0, 1000, "k"),
    ]


def test_a_bigbed_that_is_cut_short_does_not_end_the_process(tmp_path):
    pytest.importorskip("bbi")
    path = write_bigbed(tmp_path / "x.bb", {"chrI": 1000}, [("chrI", 0, 1000, "a")] * 9)
    whole = path.read_bytes()
    for size in range(4, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(TrainingError, match=r"x\.bb' are a bigBed that is cut short"):
            read_intervals(path)


def test_bigbed_without_its_reader(tmp_path, monkeypatch):
    path = write_bigbed(tmp_path / "x.bb", {"chrI": 1000}, [("chrI", 0, 1000)])
    monkeypatch.setitem(sys.modules, "bbi", None)
    with pytest.raises(
        TrainingError,
        match=r"x\.bb' are bigBed, which needs 'bbi', which is not installed: pip install",
    ):
        read_intervals(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# header\nchrI\t1\t2\nchrI\t1\n", r"x\.bed', line 3: 'chrI\\t1' is not BED"),
        (
            "chrom\tstart\tend\nchrI\t1\t2\n",
            r"line 1: 'chrom\\tstart\\tend' is not BED.*a header begins with #",
        ),
        ("chrI\t1\t2.5\n", "line 1: .* is not BED"),
        ("\n\nchrI\t7\t7\n", r"line 3: 'chrI\\t7\\t7' is empty: its end must lie after its start"),
        (
            "chrI\t1\t2\nchrI\t9\t7\n",
            r"line 2: 'chrI\\t9\\t7' is reversed: its end 7 lies before its start 9",
        ),
        ("chrI\t-1\t7\n", r"line 1: 'chrI\\t-1\\t7' begins before the chromosome's first base"),
        ("chrI\t1\t2\ta\nchrI\t3\t4\n", r"line 2: 'chrI\\t3\\t4' has no column 3; it has 3,"),
        (f"chrI\t1\tx{'y' * 500}\n", f"line 1: 'chrI\\\\t1\\\\tx{'y' * 92}' is not"),
        (
            "I\t1\t2\ta\nII\t3\t4\ta\n",
            r"other names than the genome's: I, II there, chrI, chrIII in the genome; for 'I' "
            r"did you mean 'chrI'\?",
        ),
        (
            "".join(f"scaffold{k}\t1\t2\ta\n" for k in range(9)),
            r"scaffold0, .*scaffold4, \.\.\. there, chrI, chrIII in the genome",
        ),
    ],
)
def test_what_is_not_bed_is_said_with_its_line(tmp_path, text, message):
    with pytest.raises(TrainingError, match=message):
        read_intervals(
            write(tmp_path / "x.bed", text),
            chroms=["chrI", "chrIII"],
            column=3 if "a\n" in text else None,
        )


BEDPE_LINE = "chrI\t1\t20\tchrII\t30\t40\tx\t.\t+\t-\n"


@pytest.mark.parametrize(
    ("name", "text", "line", "format_"),
    [
        ("x.bedpe", "chrI\t1\t20\tchrII\t30\t40\n", 1, "BEDPE"),
        ("x.bed", "chrI\t1\t20\tchrI\t30\t40\n", 1, "BEDPE"),
        ("x.bed", "chrI 1 20 chrI 30 40\n", 1, "BEDPE"),
        ("x.bed", "chrI\t1\t9\n" + BEDPE_LINE, 2, "BEDPE"),
        ("x.bedGraph", "chrI\t1\t20\t7\n", 1, "bedGraph"),
        ("x.bdg.gz", "chrI\t1\t20\t7\n", 1, "bedGraph"),
        ("x.bed", "chrI\t1\t20\t0.00\n", 1, "bedGraph"),
        ("x.bed", "chrI\t1\t9\ta\nchrI 1 20 -1e-05\n", 2, "bedGraph"),
        ("x.txt", "track type=bedGraph name=x\nchrI\t1\t20\t7\n", 2, "bedGraph"),
        ("x.txt", 'browser hide all\ntrack name=x type="bedGraph"\nchrI\t1\t2\t7\n', 3, "bedGraph"),
    ],
)
def test_what_only_begins_as_bed_is_refused(tmp_path, name, text, line, format_):
    path = write(tmp_path / name, text)
    for read in (read_intervals, lambda p: read_bed(p, None, "", ["chrI"])):
        with pytest.raises(TrainingError, match=f"line {line}: .* is {format_}, "):
            read(path)
    if len([x for x in text.splitlines() if x.startswith("chr")]) == 1:
        with pytest.raises(FileError, match=f"line {line}: .* is {format_}, "):
            Served(path, {"chrI": 100, "chrII": 100})


@pytest.mark.parametrize(
    "line",
    [
        "chrI\t1\t20\t7",  # a name may be a number
        "chrI\t1\t20\tpeak\t30\t40",
        "chrI\t1\t20\tpeak\t0.5",
        "chrI\t1\t20\tx\t30\t+\t1\t20\t0",
        "chrI\t1\t20\tx\t30\t.\t2.5\t-1\t3.1\t9",
        "chrI\t1\t20\t3e",
    ],
)
def test_what_looks_a_little_like_bedpe_or_bedgraph_is_bed(tmp_path, line):
    path = write(tmp_path / "x.bed", f"track name=bedGraph_of_mine\n{line}\n")
    assert [(i.start, i.end) for i in as_list(read_intervals(path))] == [(1, 20)]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(TrainingError, match=r"missing\.bed' cannot be read: No such file"):
        read_intervals(tmp_path / "missing.bed")
    with pytest.raises(TrainingError, match="cannot be read: Is a directory"):
        read_intervals(tmp_path)
    cut = tmp_path / "x.bed.gz"
    cut.write_bytes(gzip.compress(NARROW.encode())[:-12])
    with pytest.raises(TrainingError, match=r"x\.bed\.gz' cannot be read: truncated after line \d"):
        read_intervals(cut)
    (tmp_path / "x.bw").write_bytes(struct.pack("<I", 0x888FFC26) + bytes(100))
    with pytest.raises(TrainingError, match="are a bigWig, which holds a signal"):
        read_intervals(tmp_path / "x.bw")
    (tmp_path / "x.bin").write_bytes(b"\x93\xff\xfe\x00" * 30)
    with pytest.raises(
        TrainingError, match=r"x\.bin' cannot be read: not text \(UTF-8\) after line 0"
    ):
        read_intervals(tmp_path / "x.bin")


def oracle(
    intervals: list[Interval],
    kinds: Sequence[str],
    chrom: str,
    start: int,
    end: int,
    bin_size: int,
    length: int = 10**6,
) -> np.ndarray:
    """Base by base."""
    out = np.zeros((len(kinds), -(-(end - start) // bin_size)), dtype=np.float32)
    for i in intervals:
        for base in range(max(i.start, start), min(i.end, end, length)):
            if i.chrom == chrom and i.kind in kinds:
                out[kinds.index(i.kind), (base - start) // bin_size] = 1
    return out


SIZES = {"chrI": 90, "chrII": 41, "chrIII": 3}


def interval(chrom: str) -> st.SearchStrategy[Interval]:
    # a few long ones among short ones; some touch, and some end beyond the chromosome
    start, length = st.integers(0, SIZES[chrom] - 1), st.sampled_from([1, 1, 2, 3, 10, 60])
    return st.builds(
        lambda a, n, kind: Interval(chrom, a, a + n, kind), start, length, st.sampled_from("abcx")
    )


INTERVALS = st.lists(st.sampled_from(list(SIZES)).flatmap(interval), max_size=30)


@settings(max_examples=200, deadline=None)
@given(
    INTERVALS,
    st.sampled_from(["abc", "ca", "bdac"]),
    st.integers(-30, 100),
    st.integers(0, 120),
    st.integers(1, 12),
    st.booleans(),
)
def test_labels_are_those_of_every_base(intervals, kinds, start, width, bin_size, table):
    given_as = (
        pd.DataFrame(intervals, columns=["chrom", "start", "end", "kind", "strand"])
        if table
        else intervals
    )
    marks = PeakLabels(given_as, kinds, SIZES)
    frequency, bins = np.zeros(len(kinds)), 0
    for chrom, length in SIZES.items():
        found = marks.window(chrom, start, start + width, bin_size)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(
            found, oracle(intervals, kinds, chrom, start, start + width, bin_size, length)
        )
        mine = [i for i in intervals if i.chrom == chrom]
        np.testing.assert_array_equal(
            labels(mine, kinds, start, start + width, bin_size),
            oracle(mine, kinds, chrom, start, start + width, bin_size),
        )
        whole = oracle(intervals, kinds, chrom, 0, length, bin_size, length)
        frequency, bins = frequency + whole.sum(1), bins + whole.shape[1]
    np.testing.assert_allclose(marks.frequency(bin_size), frequency / bins, rtol=1e-12)


def test_labels_by_hand():
    intervals = [
        Interval("c", 10, 20, "a"),
        Interval("c", 29, 31, "a"),
        Interval("c", 0, 10, "b"),
        Interval("c", 45, 46, "b"),
    ]
    # [10, 20) ends where a bin begins: it does not overlap that bin
    np.testing.assert_array_equal(
        labels(intervals, ["a", "b"], 0, 50, 10), [[0, 1, 1, 1, 0], [1, 0, 0, 0, 1]]
    )
    np.testing.assert_array_equal(labels(intervals, ["b", "a"], 5, 32, 10), [[1, 0, 0], [1, 1, 1]])
    np.testing.assert_array_equal(labels(intervals, ["none"], 0, 50, 10), np.zeros((1, 5)))


def test_a_long_interval_that_begins_far_to_the_left_is_found():
    intervals = [
        Interval("c", 0, 900_000, "a"),
        *(Interval("c", k, k + 1, "a") for k in range(10, 500_000, 1000)),
    ]
    marks = PeakLabels(intervals, ["a"], {"c": 1_000_000})
    np.testing.assert_array_equal(marks.window("c", 899_000, 901_000, 500), [[1, 1, 0, 0]])
    assert marks.frequency(1000) == 0.9


def test_marks_refuse_what_cannot_be_meant():
    peaks = [Interval("chrI", 89, 95, "a"), Interval("chrIV", 5, 6, "a")]
    marks = PeakLabels(peaks, ["a"], SIZES)
    assert marks.window("chrI", 80, 100, 10).tolist() == [[1, 0]]
    with pytest.raises(
        TrainingError, match=r"no intervals for chromosome 'I'; did you mean 'chrI'\?"
    ):
        marks.window("I", 0, 10, 10)
    with pytest.raises(
        TrainingError,
        match="begins at chrII:41, which is 41 bp long: are the intervals of another assembly",
    ):
        PeakLabels([Interval("chrII", 41, 42, "a")], ["a"], SIZES)
    with pytest.raises(TrainingError, match="from 5 to 5 is empty"):
        PeakLabels([Interval("chrI", 5, 5, "a")], ["a"], SIZES)
    with pytest.raises(TrainingError, match="must differ from each other: a, b, a"):
        PeakLabels(peaks, ["a", "b", "a"], SIZES)
    with pytest.raises(TrainingError, match="intervals of one chromosome, not of chrI, chrIV"):
        labels(peaks, ["a"], 0, 100, 10)


def test_real_peaks(shared):
    yeast = shared / "data" / "yeast"
    if not (yeast / "chipexo_peaks.bed.gz").is_file():
        pytest.skip("no yeast peaks (../shared/data/yeast)")
    chipexo, cohesin = (
        read_intervals(yeast / "chipexo_peaks.bed.gz", column=3),
        read_intervals(yeast / "cohesin_peaks.bed", column=3),
    )
    assert len(chipexo) == 187_506
    assert chipexo["kind"].nunique() == 381
    assert len(cohesin) == 818
    assert set(cohesin["kind"]) == {"cohesin"}
    both = pd.concat([chipexo, cohesin])
    kinds = ["cohesin", "Sko1", "Hsf1"]
    sizes = both.groupby("chrom")["end"].max().to_dict()
    marks = PeakLabels(both, kinds, sizes)
    # cohesin peaks are whole bins of 2 kb, each listed once: their share is theirs
    bins = sum(-(-n // 2000) for n in sizes.values())
    assert marks.frequency(2000)[0] * bins == pytest.approx(818)
    rng = np.random.default_rng(0)
    for _ in range(20):
        chrom = rng.choice(list(sizes))
        start, bin_size = int(rng.integers(-20_000, sizes[chrom])), int(rng.integers(100, 3000))
        found = marks.window(chrom, start, start + 40_000, bin_size)
        here = both[
            (both["chrom"] == chrom) & (both["start"] < start + 40_000) & (both["end"] > start)
        ]
        for k, kind in enumerate(kinds):
            mine = here[here["kind"] == kind]
            expected = np.zeros(found.shape[1])
            for a, b in zip(mine["start"], mine["end"]):
                edges = start + bin_size * np.arange(found.shape[1])
                expected[(edges < b) & (np.minimum(edges + bin_size, start + 40_000) > a)] = 1
            np.testing.assert_array_equal(found[k], expected)
    assert marks.window("chrII", 0, 800_000, 4000).sum(1).min() > 0
