"""Loops of BEDPE files, on the genome's chromosomes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orca_cool.errors import EditError
from orca_cool.genome.loops import read_loops
from orca_cool.genome.open import open_genome

#: Small files that once went wrong.
CASES = Path(__file__).resolve().parents[1] / "data" / "cases"

SIZES = {"c": 100, "d": 50}


def read(tmp_path, text, chromsizes=SIZES):
    path = tmp_path / "loops.bedpe"
    path.write_text(text)
    return read_loops(path, chromsizes)


@pytest.mark.parametrize("chromsizes", [None, SIZES])
def test_middles_of_the_anchors(tmp_path, chromsizes):
    text = (
        "chrom1\tstart1\tend1\tchrom2\tstart2\tend2\nc\t10\t20\tc\t50\t70\t.\n"
        "c\t1\t3\td\t5\t9\nc\t90\t92\tc\t4\t6\nc\t7\t7\tc\t95\t104\n.\t-1\t-1\tc\t5\t9\n"
    )
    expected = (("c", 15, 60), ("c", 5, 91), ("c", 7, 99))
    assert read(tmp_path, text, chromsizes) == expected
    assert read(tmp_path, "#chr1\tx1\tx2\n" + text.replace("start1", "x1"), chromsizes) == expected
    assert read(tmp_path, "", chromsizes) == ()


def test_a_byte_order_mark_costs_no_loop():
    sizes = open_genome("example").chromsizes
    for chromsizes in (None, sizes):
        assert read_loops(CASES / "loops_bom.bedpe", chromsizes) == (
            ("chrI", 50_500, 90_500),
            ("chrI", 60_500, 120_500),
        )


def test_names_in_another_style_are_an_error_that_suggests_the_right_one(tmp_path):
    with pytest.raises(
        EditError,
        match=r"loops_other_names\.bedpe', line 1: 'I\\t50000\\t51000\\tI\\t90000\\t91000': "
        r"there is no chromosome 'I'; did you mean 'chrI'\?",
    ):
        read_loops(CASES / "loops_other_names.bedpe", open_genome("example").chromsizes)
    right = "c\t10\t20\tc\t50\t70\n"
    with pytest.raises(EditError, match=r"line 2: 'D.*no chromosome 'D'; did you mean 'd'\?"):
        read(tmp_path, right + "D\t1\t2\tD\t5\t9\n")
    with pytest.raises(EditError, match="no chromosome 'chrd'; did you mean 'd'"):
        read(tmp_path, right + "c\t1\t2\tchrd\t5\t9\n")
    with pytest.raises(
        EditError, match="are on other names than the genome's: NC_1, NC_2 there, c, d in"
    ):
        read(tmp_path, "NC_1\t10\t20\tNC_1\t50\t70\nNC_2\t1\t2\tNC_2\t5\t9\n")


def test_loops_on_chromosomes_that_the_genome_lacks_are_left_out(tmp_path, caplog):
    text = "c\t10\t20\tc\t50\t70\nscaffold7\t1\t2\tscaffold7\t5\t9\n"
    assert read(tmp_path, text) == (("c", 15, 60),)
    assert "that the genome lacks are left out (scaffold7)" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c\t10\t20\tc\t50\n", "line 1: 'c\\t10\\t20\\tc\\t50' is not BEDPE"),
        ("c\t10\t20\n", "line 1: 'c\\t10\\t20' is not BEDPE"),
        ("# x\nc\t10\t20\tc\tx\t70\n", "line 2: 'c\\t10\\t20\\tc\\tx\\t70' is not BEDPE"),
        ("c\t20\t10\tc\t50\t70\n", "is reversed: its end 10 lies before its start 20"),
        ("c\t10\t20\tc\t100\t101\n", "lies outside c, which is 100 bp long"),
        ("c\t-5\t20\tc\t50\t70\n", "lies outside c, which is 100 bp long"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, message):
    with pytest.raises(EditError, match=re.escape(message)):
        read(tmp_path, text)
    with pytest.raises(EditError, match="cannot be read"):
        read_loops(tmp_path / "none")
