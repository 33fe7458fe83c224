"""The one reader of text tables: every format gives the same in every dialect; and what is wrong
with a file, or a line of it, is said in one form.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from Bio.bgzf import BgzfWriter

from higlass_plugin.files.bed import Intervals
from orca_cool.errors import EditError, OrcaCoolError, RegionError
from orca_cool.genome.gene_models import read_genes
from orca_cool.genome.intervals import read_intervals
from orca_cool.genome.loops import read_loops
from orca_cool.genome.open import RenamedSource, open_genome
from orca_cool.genome.regions import Region, interval_of, read_view
from orca_cool.genome.textfile import BGZIP_END, TextFile, holds_data
from orca_cool.variants import read_variants

SIZES = {"c": 1000, "d": 500}


class Source:
    """A genome of A alone."""

    name, chromsizes = "plain", SIZES

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        return np.zeros(end - start, np.uint8)


def variants(path):
    found = list(read_variants(path, Source()))
    assert not [v.problem for v in found if v.problem]
    return [(v.name, v.changes) for v in found]


def names(path):
    genome = open_genome("example", str(path))
    assert isinstance(genome, RenamedSource)
    return list(genome.chromsizes)


def view(path):
    return [(str(region), region.name) for region in read_view(path, SIZES)]


BED = "c\t10\t20\tone\t0\t+\nd\t30\t400\ttwo\t5\t-\n"
BEDPE = "c\t10\t20\tc\t50\t70\nd\t5\t9\td\t200\t203\n"
GTF = 'c\tx\tgene\t11\t20\t.\t+\t.\tgene_id "one";\nd\tx\tgene\t31\t400\t.\t-\t.\tgene_id "two";\n'
GFF = "c\tx\tgene\t11\t20\t.\t+\t.\tID=1;Name=one\nd\tx\tgene\t31\t400\t.\t-\t.\tID=2\n"
VCF = (
    "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    "c\t11\tone\tA\tG\t.\t.\t.\nd\t31\ttwo\tA\tAC\t.\t.\t.\n"
)

#: format -> (reader, text, columns may be separated by spaces, lines for browsers may be there)
FORMATS: dict[str, tuple[Callable, str, bool, bool]] = {
    "view": (view, BED, True, True),
    "intervals": (lambda p: read_intervals(p, column=3).to_dict("list"), BED, True, True),
    "loops": (lambda p: read_loops(p, SIZES), BEDPE, True, True),
    "genes of BED": (lambda p: read_genes(p, Region("d", 0, 500)).to_dict("list"), BED, True, True),
    "genes of GTF": (
        lambda p: read_genes(p, Region("c", 0, 500)).to_dict("list"),
        GTF,
        False,
        True,
    ),
    "genes of GFF3": (lambda p: read_genes(p, Region("d", 0, 9)).to_dict("list"), GFF, False, True),
    "served BED": (lambda p: Intervals(p, SIZES).tiles(["u.0.0"]), BED, True, True),
    "served GTF": (lambda p: Intervals(p, SIZES).tiles(["u.0.0"]), GTF, False, True),
    "chromosome names": (names, "chrI\tI\nchrII\tII\n", False, True),
    "variants of BEDPE": (
        variants,
        "c\t10\t11\td\t20\t21\tone\t.\t+\t-\nc\t40\t41\tc\t60\t61\ttwo\t.\t+\t-\tDEL\n",
        False,
        True,
    ),
    "variants of BED": (variants, "c\t10\t20\tdel\tone\nd\t30\t40\tdup x3 inv\n", False, True),
    "variants by name": (variants, "event\tchrom\tend\tstart\ndel\tc\t20\t10\n", False, True),
    "edits": (variants, "c:10-20 del\ntwo\td:30-40 inv; d:50 ins ACGT\n", False, True),
    "VCF": (variants, VCF, False, False),
}


def bgzipped(data: bytes) -> bytes:
    out = io.BytesIO()
    writer = BgzfWriter(fileobj=out)
    writer.write(data)
    writer.flush()
    out.write(BGZIP_END)
    return out.getvalue()


def lines_between(text: str, *lines: str) -> str:
    """Lines before and behind every line; the first must stay where it is in VCF."""
    return "".join("\n".join([*lines, line]) + "\n" for line in text.splitlines())


#: dialect -> the file's bytes
DIALECTS: dict[str, Callable[[str], bytes]] = {
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "old Mac": lambda text: text.replace("\n", "\r").encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "bgzip": lambda text: bgzipped(text.encode()),
    "bzip2": lambda text: bz2.compress(text.encode()),
    "xz": lambda text: lzma.compress(text.encode()),
    "all of Windows": lambda text: gzip.compress(
        b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    ),
    "blank lines": lambda text: (text.replace("\n", "\n\n  \n") + "\n").encode(),
}
#: Those that VCF, which begins with a line of its own, has not.
EXTRA: dict[str, Callable[[str], bytes]] = {
    "comments": lambda text: lines_between(text, "# a comment", "#\tanother\t1\t2").encode(),
    "browser lines": lambda text: lines_between(
        text, 'track name="x y" description=z', "browser position c:1-100", "track"
    ).encode(),
    "all of it": lambda text: gzip.compress(
        b"\xef\xbb\xbf" + lines_between(text, "browser hide all", "", "# x").encode()
    ),
}


def extension(kind: str) -> str:
    """What tells lists of edits from other text; all else is told by the content."""
    return ".edits" if kind == "edits" else ".txt" if "by name" not in kind else ".tsv"


@pytest.fixture
def expected(tmp_path):
    """What a reader makes of the plain text."""

    def expected(kind):
        path = tmp_path / f"plain{extension(kind)}"
        path.write_text(FORMATS[kind][1])
        found = FORMATS[kind][0](path)
        assert found
        return found

    return expected


@pytest.mark.parametrize(
    ("kind", "dialect"),
    [(k, d) for k in FORMATS for d in [*DIALECTS, *EXTRA] if d in DIALECTS or FORMATS[k][3]],
)
def test_every_format_in_every_dialect(tmp_path, expected, kind, dialect):
    read, text, _, _ = FORMATS[kind]
    path = tmp_path / f"x{extension(kind)}"
    path.write_bytes((DIALECTS | EXTRA)[dialect](text))
    assert read(path) == expected(kind)


@pytest.mark.parametrize("kind", [kind for kind, (_, _, spaces, _) in FORMATS.items() if spaces])
def test_columns_between_spaces_where_the_format_allows_them(tmp_path, expected, kind):
    read, text, _, _ = FORMATS[kind]
    path = tmp_path / "x.txt"
    path.write_text(text.replace("\t", "   ", 1).replace("\t", " "))
    assert read(path) == expected(kind)


@pytest.mark.parametrize(
    "kind", [kind for kind, (_, _, spaces, _) in FORMATS.items() if not spaces]
)
def test_spaces_do_not_separate_columns_elsewhere(tmp_path, kind):
    read, text, _, _ = FORMATS[kind]
    path = tmp_path / f"x{extension(kind)}"
    path.write_text("\n".join(" ".join(line.split("\t")) for line in text.splitlines()))
    with pytest.raises((OrcaCoolError, AssertionError)):
        assert read(path) == []


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if not kind.startswith("served")])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_standard_input_can_be_read_again(monkeypatch, expected, kind, packed):
    plain = expected(kind)
    stream = io.TextIOWrapper(io.BytesIO(packed(FORMATS[kind][1].encode())))
    monkeypatch.setattr(sys, "stdin", stream)
    assert FORMATS[kind][0]("-") == plain
    assert FORMATS[kind][0](Path("-")) == plain
    assert TextFile("-").name == "standard input"


@pytest.mark.parametrize(
    # Lists of edits are told by their extension; served files stay open.
    "kind",
    [kind for kind in FORMATS if kind != "edits" and not kind.startswith("served")],
)
def test_a_pipe_is_read_once(expected, kind):
    """As a shell's <(command)."""
    reading_end, writing_end = os.pipe()
    try:
        os.write(writing_end, FORMATS[kind][1].encode())
        os.close(writing_end)
        assert FORMATS[kind][0](f"/dev/fd/{reading_end}") == expected(kind)
    finally:
        os.close(reading_end)


def test_a_second_reading_does_not_disturb_the_first(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("one\ntwo\nthree\n")
    file = TextFile(path)
    lines = iter(file)
    assert next(lines) == (1, "one")
    assert list(file.again()) == [(1, "one"), (2, "two"), (3, "three")]
    assert file.last == 1
    assert list(lines) == [(2, "two"), (3, "three")]
    assert (file.last, file.problem) == (3, "")


def test_which_lines_hold_data():
    assert [
        holds_data(line) for line in ("", " \t", "#x", " # x", "track", "track\tx", "browser x")
    ] == [False] * 7
    assert [holds_data(line) for line in ("c\t1", "tracks\t1", "c # x", "\tx")] == [True] * 4


@pytest.mark.parametrize("extension", [".bed.gz", ".BED.bz2", ".bed", ".x.bed.xz"])
def test_the_extension_is_that_of_the_text(tmp_path, extension):
    (tmp_path / f"x{extension}").write_text("c\t1\t2\n")
    assert TextFile(tmp_path / f"x{extension}").extension == ".bed"


@pytest.mark.parametrize("pack", [gzip.compress, bgzipped, bz2.compress, lzma.compress])
def test_a_file_that_is_cut_short_is_said_after_its_whole_lines(tmp_path, pack):
    random = np.random.default_rng(1)
    lines = [f"c\t{random.integers(10**9)}\t{k}" for k in range(20_000)]
    data = pack("\n".join(lines).encode())
    path = tmp_path / "x"
    path.write_bytes(data[: len(data) // 2])
    file = TextFile(path, "view", RegionError)
    found = [line for _, line in file]
    assert found == lines[: len(found)]
    assert file.problem.startswith(f"truncated after line {len(found)}: ")
    with pytest.raises(
        RegionError, match=f"view '.*' cannot be read: truncated after line {len(found)}: "
    ):
        list(file.rows())
    path.write_bytes(data)
    assert [line for _, line in TextFile(path).lines()] == lines


def test_messages_name_what_the_file_is_its_line_and_its_text(tmp_path):
    path = tmp_path / "x.bed"
    path.write_text("# x\nc\t9\t5\t" + "y" * 200 + "\n")
    (row,) = TextFile(path, "peaks", EditError).rows()
    text = repr("c\t9\t5\t" + "y" * 94)
    with pytest.raises(EditError) as caught:
        interval_of(row, SIZES)
    assert str(caught.value) == (
        f"peaks {str(path)!r}, line 2: {text} is reversed: its end 5 lies before its start 9"
    )
    with pytest.raises(EditError) as caught:
        interval_of(row, {"chrc": 9})
    assert str(caught.value).startswith(
        f"peaks {str(path)!r}, line 2: {text}: there is no chromosome 'c'; did you mean 'chrc'?"
    )
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(EditError, match=f"^peaks '{missing}' cannot be read: "):
            TextFile(missing, "peaks", EditError)


@pytest.mark.parametrize(
    ("fields", "options", "message"),
    [
        ("c\t1", {}, "is not BED: chromosome, start, end"),
        ("c\t1\tx", {}, "is not BED"),
        ("c\t1\t2.5", {}, "is not BED"),
        (f"c\t1\t{'9' * 30}", {}, "is not BED"),
        ("c\t5\t5", {}, "is empty"),
        ("c\t-1\t5", {"chromsizes": None}, "begins before the chromosome's first base"),
        ("c\t-1\t5", {}, "lies outside c, which is 1,000 bp long"),
        ("c\t5\t1001", {}, "lies outside c, which is 1,000 bp long"),
        ("c\t1000\t1001", {"may_overhang": True}, "lies outside c, which is 1,000 bp long"),
        ("e\t5\t9", {}, "there is no chromosome 'e'; it has: c, d"),
        ("c\t0\t9", {"first": 1}, "lies outside c"),
    ],
)
def test_the_check_of_an_interval(tmp_path, fields, options, message):
    path = tmp_path / "x.bed"
    path.write_text(fields)
    (row,) = TextFile(path, "peaks", EditError).rows()
    with pytest.raises(EditError, match=message):
        interval_of(row, **({"chromsizes": SIZES} | options))


@pytest.mark.parametrize(
    ("fields", "options", "region"),
    [
        ("c\t0\t1000", {}, Region("c", 0, 1000)),
        ("c\t 5 \t9 ", {}, Region("c", 5, 9)),
        ("c\t5\t5", {"may_be_empty": True}, Region("c", 5, 5)),
        ("c\t999\t2000", {"may_overhang": True}, Region("c", 999, 2000)),
        ("c\t1\t1", {"first": 1}, Region("c", 0, 1)),
        ("5\tc\t9", {"columns": (1, 0, 2)}, Region("c", 5, 9)),
        ("z\t5\t9999", {"chromsizes": None}, Region("z", 5, 9999)),
    ],
)
def test_intervals_that_are_right(tmp_path, fields, options, region):
    path = tmp_path / "x.bed"
    path.write_text(fields)
    (row,) = TextFile(path).rows()
    assert interval_of(row, **({"chromsizes": SIZES} | options)) == region
