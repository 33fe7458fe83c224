"""Positions, lengths and near names; regions and views are tested with their genomes."""

from __future__ import annotations

import pytest

from orca_cool.errors import RegionError
from orca_cool.genome.regions import closest, parse_length, parse_position, suggestion

SIZES = {"chrI": 230_208, "chr9": 138_394_717, "HLA:A*01:01": 3000}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("chr9:110,404,000", ("chr9", 110_404_000)),
        ("chr9:110404000", ("chr9", 110_404_000)),
        (" chrI:100k ", ("chrI", 100_000)),
        ("chrI:100kb", ("chrI", 100_000)),
        ("chrI:0.1Mb", ("chrI", 100_000)),
        ("chrI:0", ("chrI", 0)),
        ("chrI:230,207", ("chrI", 230_207)),
        ("HLA:A*01:01:7", ("HLA:A*01:01", 7)),
    ],
)
def test_positions(text, place):
    assert parse_position(text, SIZES) == place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chrI", "position 'chrI' is not understood; write it as chr9:110,404,000"),
        ("", "position '' is not understood"),
        ("chrI:", "position 'chrI:' is not understood"),
        ("chrI:1-10", "position 'chrI:1-10' is not understood"),
        ("chrI:-5", "is not understood"),
        ("chrI:0.1", "is not understood"),
        ("chrI:x", "is not understood"),
        ("chrI:230,208", "position 'chrI:230,208' lies outside chrI, which is 230,208 bp long"),
        ("I:5", "position 'I:5': there is no chromosome 'I'; did you mean 'chrI'?"),
        ("zebra:5", "position 'zebra:5': there is no chromosome 'zebra'; it has: chrI"),
    ],
)
def test_what_is_no_position(text, message):
    with pytest.raises(RegionError) as caught:
        parse_position(text, SIZES)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,000", 1000),
        ("100,000", 100_000),
        ("10k", 10_000),
        ("100kb", 100_000),
        ("1Mb", 1_000_000),
        (" 1.5Mb ", 1_500_000),
        ("1.001M", 1_001_000),
        ("5 bp", 5),
        ("0", 0),
        ("2G", 2 * 10**9),
    ],
)
def test_lengths(text, value):
    assert parse_length(text) == value


@pytest.mark.parametrize("text", ["", "x", "-5", "1.5", "0.0001k", "1 000", "1e3"])
def test_what_is_no_length(text):
    with pytest.raises(
        RegionError, match=r"is not a whole number of bp; write it as 100,000, 100k or 0\.1M"
    ):
        parse_length(text)


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("1", ["chr1", "chr11"], "chr1"),
        ("chr1", ["1", "11"], "1"),
        ("CHRx", ["chr1", "chrX"], "chrX"),
        ("x", ["Chr1", "ChrX"], "ChrX"),
        ("chrXL", ["chr1", "chrX"], "chrX"),
        ("yeast-metafase", ["yeast-metaphase", "human"], "yeast-metaphase"),
        ("zebra", ["chr1", "chrX"], None),
        ("chromosome7", ["chr1", "chrX"], None),
        ("x", [], None),
        ("chr2", ["chrI", "chrII", "chrIII"], "chrII"),
        ("2", ["chrI", "chrII", "chrIII"], "chrII"),
        ("chr10", ["chrIX", "chrX", "chrXI"], "chrX"),
        ("Chr9", ["IX", "X", "XI"], "IX"),
        ("chr3", ["chrI", "chrII"], None),
        ("chrIV", ["chr3", "chr4", "chrX"], "chr4"),
        ("XVI", ["chr6", "chr16"], "chr16"),
        ("chr10", ["chr1", "chrX"], None),
        ("chr10", ["chrX", "chrY", "chrM"], None),
        ("chrI", ["1", "chrII"], None),
        ("chrIII", ["chrI", "chrII"], None),
        ("chrX", ["chrI", "chrII"], None),
        ("chrY", ["chr1", "chrX", "chrM"], None),
        ("chr22", ["chr2", "chr21", "chr20"], None),
        ("2R", ["2L", "3L"], None),
        ("MT", ["chr1", "chrM"], "chrM"),
        ("chrM", ["1", "MT"], "MT"),
        ("chr_2", ["chr1", "chr2"], "chr2"),
        ("chrlll", ["chrI", "chrII"], None),
    ],
)
def test_a_name_is_suggested_only_where_it_is_close(name, known, found):
    assert closest(name, known) == found
    hint = suggestion(name, known)
    assert hint.startswith("it has: " if found is None else f"did you mean {found!r}?")


def test_a_suggestion_tells_how_to_rename_or_what_there_is():
    assert suggestion("1", SIZES | {"chr1": 1}) == (
        "did you mean 'chr1'? (--chrom-names renames a whole genome)"
    )
    assert suggestion("zebra", [f"s{k}" for k in range(12)]).endswith("s9 and 2 more")
