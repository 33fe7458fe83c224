"""FASTA files as people have them: equal to what samtools reads, or one clear error."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pysam
import pytest
from Bio import bgzf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_cool.errors import GenomeError
from orca_cool.genome import fasta, fasta_survey, index_cache
from orca_cool.genome.fasta_index import parse_fai
from orca_cool.genome.open import open_genome
from orca_cool.genome.source import letters_to_codes

#: Small files that once went wrong.
CASES = Path(__file__).resolve().parents[1] / "data" / "cases"


def bgzip(path: Path, data: bytes) -> Path:
    with bgzf.BgzfWriter(str(path), "wb") as out:
        out.write(data)
    return path


def plain(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def as_samtools(path: Path, folder: Path) -> dict[str, str]:
    """The sequences that samtools reads; pysam.SamtoolsError if it refuses the file."""
    copy = Path(shutil.copy(path, folder / f"samtools.{path.name}"))
    Path(f"{copy}.fai").unlink(missing_ok=True)
    pysam.faidx(str(copy))
    with pysam.FastaFile(str(copy)) as file:
        return {
            name: file.fetch(name) for name in file.references if file.get_reference_length(name)
        }


def as_ours(path: Path) -> dict[str, list[int]]:
    source = open_genome(path)
    return {c: source.fetch(c, 0, n).tolist() for c, n in source.chromsizes.items()}


@pytest.fixture
def case(tmp_path):
    """A copy of a small file that once went wrong: indexes are made beside it."""
    return lambda name: Path(shutil.copy(CASES / name, tmp_path / name))


@pytest.fixture
def remembered(tmp_path, monkeypatch):
    """Indexes of small files are kept too, in the folder that this is."""
    monkeypatch.setattr(index_cache, "SMALL", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "orca-cool" / "fasta"


@pytest.mark.parametrize(
    "name", ["zero.fa", "trailspace.fa", "blanklast.fa", "latin_header.fa", "stale_renamed.fa"]
)
@pytest.mark.parametrize("compressed", [False, True])
def test_odd_files_are_read_as_samtools_reads_them(case, tmp_path, name, compressed):
    path = case(name)
    theirs = as_samtools(path, tmp_path)
    if compressed:
        path = bgzip(tmp_path / f"{name}.gz", path.read_bytes())
    assert as_ours(path) == {c: letters_to_codes(text).tolist() for c, text in theirs.items()}


def test_spaces_at_line_ends_are_no_bases(case):
    assert open_genome(case("trailspace.fa")).chromsizes == {"chrA": 241, "chrB": 180}


def test_a_record_without_sequence_is_left_out_with_a_warning(case, caplog):
    with caplog.at_level(logging.WARNING):
        assert open_genome(case("zero.fa")).chromsizes == {"s1": 60_000, "s2": 30_010, "tiny": 7}
    assert "sequences without a base are left out: empty" in caplog.text


def test_line_ends_of_classic_mac(case):
    with pytest.raises(GenomeError, match=r"classic Mac \(CR alone\) in line 1; convert it: tr"):
        open_genome(case("cr.fa"))


def test_an_index_of_another_file(case, tmp_path):
    """The index is newer than the FASTA, and names what is not in it."""
    path = case("stale_renamed.fa")
    index = case("stale_renamed.fa.fai")
    message = "does not fit its index 'stale_renamed.fa.fai': it names 'chrA' where .* 'chr1'"
    for _ in range(2):
        with pytest.raises(GenomeError, match=message):
            open_genome(path)
    index.unlink()
    assert list(open_genome(path).chromsizes) == ["chr1", "chr2", "chr3"]
    assert list(parse_fai(index.read_bytes())) == ["chr1", "chr2", "chr3"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b">a\nMKVLEEFQPIL\nWWRFLEE\n", r"'a' is no DNA: 6\d% of it are letters of no base \(E, F"),
        (b">a\nACGT ACGT\nACGTACGT\n", "line 2 has white space between bases"),
        (b">a\nACGT\n>b\nACGT\rACGT\n", r"CR alone\) in line 4"),
        (b">a\nACGT\n\nACGT\n", "not regular FASTA: an empty line in 'a'"),
        (b">a\nACG1\n", "holds b'1' at or after line 2"),
        (b">a\nACG>T\n", "holds b'>'"),
        (b">a\nAC\x00\x00\n", r"holds b'\\x00'"),
        (b">a\n>b\n", "holds no sequence"),
        (b">\nACGT\n", "line 1 is a header without a name"),
        (b">\xe9a\nACGT\n", r"line 1 has the name b'\\xe9a', which is not UTF-8"),
        (b">a\nACGT\nAC\nACGT\n", "not regular FASTA: a line of 'a'"),
        (b">a\nACGT\nACG \nA\n", "not regular FASTA: a line of 'a'"),
        (b">a\nA\n>b\n>b\nA\n", "'b' twice"),
        (b"\nACGT\n>a\nA\n", "is not FASTA"),
    ],
)
@pytest.mark.parametrize("chunk", [3, 1 << 22])
def test_what_is_no_regular_fasta(tmp_path, monkeypatch, data, message, chunk):
    monkeypatch.setattr(fasta_survey, "CHUNK", chunk)
    for path in (plain(tmp_path / "a.fa", data), bgzip(tmp_path / "a.fa.gz", data)):
        with pytest.raises(GenomeError, match=message) as error:
            open_genome(path)
        assert "\n" not in str(error.value)


def test_letters_that_are_no_bases_are_told(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        source = open_genome(plain(tmp_path / "a.fa", b">a\n" + 20 * b"ACGTACGTRY" + b"E\n"))
    assert source.fetch("a", 198, 201).tolist() == [4, 4, 4]
    assert "letters that are no code of a base are read as N: 'a' (E)" in caplog.text


line = st.text(alphabet="ACGTNacgtn", min_size=0, max_size=7)
pieces = st.lists(
    st.one_of(
        line,
        st.sampled_from(["ACGT", "ACGT", "ACGT", "ACGTT", "", " ", "AC GT", "ACGT\t", "ACGT  "]),
        st.sampled_from([">a x", ">b", ">c\tx", "> d", ">"]),
    ),
    max_size=14,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    pieces=pieces,
    newline=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    chunk=st.sampled_from([1, 3, 10, 1 << 22]),
    compressed=st.booleans(),
)
def test_what_is_accepted_is_read_right(
    tmp_path_factory, monkeypatch, pieces, newline, last, chunk, compressed
):
    monkeypatch.setattr(fasta_survey, "CHUNK", chunk)
    folder = tmp_path_factory.mktemp("f")
    data = newline.join([">first", "ACGT", *pieces]).encode() + newline.encode() * last
    path = bgzip(folder / "a.fa.gz", data) if compressed else plain(folder / "a.fa", data)
    try:
        ours = as_ours(path)
    except GenomeError:
        return
    whole: dict[str, str] = {}
    for text in data.decode().split("\n"):
        if text.startswith(">"):
            name = text[1:].split()[0]
            whole[name] = ""
        else:
            whole[name] += text.rstrip()
    assert ours == {c: letters_to_codes(text).tolist() for c, text in whole.items() if text}
    try:  # it is stricter with spaces in a last line, and with a last header without a sequence
        theirs = as_samtools(plain(folder / "b.fa", data), folder)
    except pysam.SamtoolsError:
        return
    assert ours == {c: letters_to_codes(text).tolist() for c, text in theirs.items()}


def test_a_file_is_looked_at_once(tmp_path, monkeypatch, remembered):
    text = b">c\n" + b"".join(b"ACGTTGCAAC\n" for _ in range(9000)) + b">none\n"
    looked = []
    original = fasta.survey
    monkeypatch.setattr(fasta, "survey", lambda *a: looked.append(a) or original(*a))
    for path in (plain(tmp_path / "a.fa", text), bgzip(tmp_path / "b.fa.gz", text)):
        looked.clear()
        first, second = as_ours(path), as_ours(path)
        assert first == second
        assert len(looked) == 1
        (tmp_path / "copy").write_bytes(path.read_bytes())
        os.replace(tmp_path / "copy", path)  # the same bytes, another file
        assert as_ours(path) == first
        assert len(looked) == 2
    assert len(list(remembered.iterdir())) == 4


def test_where_nothing_beside_the_file_can_be_written(tmp_path, monkeypatch, remembered):
    """Root may write everywhere, so that permissions cannot be used here."""
    path = bgzip(tmp_path / "a.fa.gz", b">c\n" + 90_000 * b"A")

    def refuse(target, data):
        raise PermissionError(13, "read-only")

    monkeypatch.setattr(fasta, "atomic_write", refuse)
    assert open_genome(path).chromsizes == {"c": 90_000}
    assert not list(tmp_path.glob("*.fai"))
    assert len(list(remembered.iterdir())) == 1
    monkeypatch.setattr(fasta, "survey", lambda *a: pytest.fail("the kept index was not used"))
    assert open_genome(path).chromsizes == {"c": 90_000}


def test_where_nothing_at_all_can_be_written(tmp_path, monkeypatch, remembered):
    path = plain(tmp_path / "a.fa", b">c\nACGT\n")

    def refuse(target, data):
        raise PermissionError(13, "read-only")

    monkeypatch.setattr(fasta, "atomic_write", refuse)
    monkeypatch.setattr(index_cache, "atomic_write", refuse)
    for _ in range(2):
        assert open_genome(path).fetch("c", 0, 4).tolist() == [0, 1, 2, 3]


def test_damage_of_a_kept_index(tmp_path, remembered):
    path = bgzip(tmp_path / "a.fa.gz", b">c\n" + 9000 * b"ACGTTGCAAC\n")
    before = as_ours(path)
    (kept,) = remembered.iterdir()
    whole = kept.read_bytes()
    for place in np.random.default_rng(0).integers(0, 8 * len(whole), 25):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        kept.write_bytes(flipped)
        assert as_ours(path) == before
        assert kept.read_bytes() == whole


def test_old_indexes_go(tmp_path, monkeypatch, remembered):
    monkeypatch.setattr(index_cache, "MOST", 3)
    for k in range(5):
        open_genome(plain(tmp_path / f"{k}.fa", b">c\nACGT\n"))
    assert len(list(remembered.iterdir())) == 3


def test_a_copy_that_was_cut_between_two_blocks(tmp_path):
    """Every block of it is sound, and so are its lines."""
    path = bgzip(tmp_path / "a.fa.gz", b">c\n" + 20_000 * b"ACGTTGCAAC\n")
    with path.open("rb") as file:
        start = [b[0] for b in bgzf.BgzfBlocks(file)][2]
    path.write_bytes(path.read_bytes()[:start])
    with pytest.raises(GenomeError, match="is truncated: it lacks the empty block"):
        open_genome(path)


def test_a_file_that_changes_after_it_was_opened(tmp_path):
    path = plain(tmp_path / "a.fa", b">c\nACGT\nACGT\n>d\nAAAA\n")
    source = open_genome(path)
    path.write_bytes(b">c\nACG\nACG\nACG\n>d\nAA\n")
    with pytest.raises(GenomeError, match="has changed since it was opened: c:0-8"):
        source.fetch("c", 0, 8)
