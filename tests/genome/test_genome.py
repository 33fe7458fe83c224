"""Genomes: every source equals plain strings; bad files and names give one clear error."""

from __future__ import annotations

import os
import random
import shutil
import struct
from pathlib import Path

import bioframe
import numpy as np
import pytest
import torch
from Bio import bgzf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_cool.errors import GenomeError, RegionError
from orca_cool.genome import fasta, gaps, regions
from orca_cool.genome import source as source_module
from orca_cool.genome.bgzf import unpack
from orca_cool.genome.open import RenamedSource, open_genome
from orca_cool.genome.regions import Region, parse_region
from orca_cool.genome.source import SequenceSource
from orca_cool.genome.twobit import TwoBitSource
from orca_cool.model.assembly import agreed_assembly, check_assembly
from orca_cool.model.spec import ModelSpec

LETTERS = {"A": 0, "C": 1, "G": 2, "T": 3}

#: Small files that once went wrong.
CASES = Path(__file__).resolve().parents[1] / "data" / "cases"


def oracle(text: str, start: int, end: int) -> list[int]:
    return [LETTERS.get(text[i].upper(), 4) if 0 <= i < len(text) else 4 for i in range(start, end)]


def write_fasta(
    path: Path, sequences: dict[str, str], width: int = 60, newline: str = "\n", last: bool = True
) -> Path:
    text = "".join(
        f">{name} a remark{newline}"
        + "".join(seq[i : i + width] + newline for i in range(0, len(seq), width))
        for name, seq in sequences.items()
    )
    data = (text if last else text.rstrip("\r\n")).encode()
    if path.suffix == ".gz":
        with bgzf.BgzfWriter(str(path), "wb") as out:
            out.write(data)
    else:
        path.write_bytes(data)
    return path


def write_twobit(path: Path, sequences: dict[str, str], order: str = "<", version: int = 0) -> Path:
    """An independent writer of the format: N blocks from runs of N, one mask block a sequence."""
    records = []
    for seq in sequences.values():
        starts = [i for i, c in enumerate(seq) if c == "N" and (i == 0 or seq[i - 1] != "N")]
        sizes = [len(seq[i:]) - len(seq[i:].lstrip("N")) for i in starts]
        record = struct.pack(f"{order}2I", len(seq), len(starts)) + struct.pack(
            f"{order}{2 * len(starts)}I", *starts, *sizes
        )
        record += struct.pack(f"{order}4I", 1, 0, len(seq), 0)
        codes = ["TCAG".find(c.upper()) % 4 if c.upper() in "TCAG" else 0 for c in seq] + [0] * (
            -len(seq) % 4
        )
        record += bytes(
            codes[i] << 6 | codes[i + 1] << 4 | codes[i + 2] << 2 | codes[i + 3]
            for i in range(0, len(codes), 4)
        )
        records.append(record)
    index, place = b"", 16 + sum(1 + len(n) + (8 if version else 4) for n in sequences)
    for name, record in zip(sequences, records):
        index += (
            bytes([len(name)])
            + name.encode()
            + struct.pack(f"{order}{'Q' if version else 'I'}", place)
        )
        place += len(record)
    path.write_bytes(
        struct.pack(f"{order}4I", 0x1A412743, version, len(sequences), 0)
        + index
        + b"".join(records)
    )
    return path


texts = st.text(alphabet="ACGTacgtN", min_size=1, max_size=150)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    first=texts,
    second=texts,
    width=st.integers(1, 70),
    newline=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    spans=st.lists(st.tuples(st.integers(-30, 180), st.integers(0, 150)), min_size=1, max_size=8),
)
def test_every_source_equals_the_string(
    tmp_path_factory, first, second, width, newline, last, spans
):
    folder = tmp_path_factory.mktemp("g")
    sequences = {"chr1": first, "chr2": second}
    sources: list[SequenceSource] = [
        open_genome(write_fasta(folder / "a.fa", sequences, width, newline, last)),
        open_genome(write_fasta(folder / "b.fa.gz", sequences, width, newline, last)),
        open_genome(write_twobit(folder / "c.2bit", sequences)),
        open_genome(write_twobit(folder / "d.2bit", sequences, order=">", version=1)),
    ]
    for source in sources:
        assert source.chromsizes == {"chr1": len(first), "chr2": len(second)}
        assert isinstance(source, SequenceSource)
        for chrom, text in sequences.items():
            for start, size in spans:
                codes = source.fetch(chrom, start, start + size)
                assert codes.dtype == np.uint8
                assert codes.tolist() == oracle(text, start, start + size), source


@pytest.mark.parametrize("suffix", ["fa", "fa.gz"])
def test_long_sequences_are_read_in_pieces(tmp_path, monkeypatch, suffix):
    text = "".join(np.random.default_rng(0).choice(list("ACGTN"), 200_000))
    source = open_genome(write_fasta(tmp_path / f"a.{suffix}", {"c": text}))
    monkeypatch.setattr(source_module, "PIECE", 7001)
    assert (source.fetch("c", -10, 200_010)[10:-10] == source_module.letters_to_codes(text)).all()


def test_iupac_and_case(tmp_path):
    source = open_genome(write_fasta(tmp_path / "a.fa", {"c": "acgtRYSWKMBDHVnN-*U"}))
    assert source.fetch("c", 0, 19).tolist() == [0, 1, 2, 3] + [4] * 14 + [3]


def test_a_region_costs_that_region(tmp_path, monkeypatch):
    source = open_genome(write_fasta(tmp_path / "a.fa.gz", {"c": "ACGT" * 500_000}))
    loaded = []
    monkeypatch.setattr(fasta, "unpack", lambda block: loaded.append(1) or unpack(block))
    source.fetch("c", 1_900_000, 1_900_100)
    assert 1 <= len(loaded) <= 2


def test_the_index_is_samtools_own(tmp_path):
    pysam = pytest.importorskip("pysam")
    text = "".join(np.random.default_rng(1).choice(list("ACGT"), 300_000))
    path = write_fasta(tmp_path / "a.fa.gz", {"x": text[:1000], "c": text})
    open_genome(path)
    ours = {e: Path(f"{path}{e}").read_bytes() for e in (".fai", ".gzi")}
    with pysam.FastaFile(str(path)) as file:
        assert file.fetch("c", 150_000, 150_050) == text[150_000:150_050]
    for ending in ours:
        Path(f"{path}{ending}").unlink()
    pysam.faidx(str(path))
    assert {e: Path(f"{path}{e}").read_bytes() for e in (".fai", ".gzi")} == ours
    assert (open_genome(path).fetch("c", 0, 300_000) == source_module.letters_to_codes(text)).all()


def test_stale_index_is_rebuilt(tmp_path):
    path = write_fasta(tmp_path / "a.fa", {"c": "ACGT"})
    open_genome(path)
    write_fasta(path, {"d": "GGGGGGG"})
    os.utime(f"{path}.fai", (1, 1))
    assert open_genome(path).chromsizes == {"d": 7}


def test_the_example_genome_ships():
    source = open_genome("example")
    assert source.name == "example"
    assert source.chromsizes == {"chrI": 230_208, "chrII": 813_178}
    codes = source.fetch("chrII", 0, 813_178)
    assert np.bincount(codes, minlength=5).argmax() in (0, 3)  # yeast is AT-rich
    assert (codes < 4).all()
    # the 120 bp centromere of chrII: CDEI (RTCACRTG), 78 to 86 bp almost all A and T, CDEIII with
    # CCGAA
    text = "".join("ACGTN"[c] for c in codes[238_150:238_400])
    assert "TCACATG" in text or "CATGTGA" in text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "absent.fa", "neither a file nor a shipped genome"),
        (lambda p: p, "is a folder"),
        (lambda p: _bytes(p / "a.fa", b""), "is empty"),
        (lambda p: _bytes(p / "a.fa", b"hello\nworld\n"), "is not FASTA"),
        (lambda p: _bytes(p / "a.fa", b"\x89HDF\r\n\x1a\n" + bytes(100)), "is not FASTA"),
        (lambda p: _bytes(p / "a.fa", b">c\nACGT\nAC\nACGT\n"), "not regular FASTA"),
        (
            lambda p: write_fasta(p / "a.fa", {"c": "ACGT"}).rename(p / "a.fa.gz"),
            "is not compressed",
        ),
        (lambda p: _bytes(p / "a.fa", b">c\nACGT\n>d\nA\n>c\nAC\n"), "'c' twice"),
        (lambda p: _gzip(p / "a.fa.gz"), "plain gzip"),
        (lambda p: _cut(write_fasta(p / "a.fa.gz", {"c": random_text(50_000)}), 5000), "truncated"),
        (lambda p: _cut(write_twobit(p / "a.2bit", {"c": "ACGTN" * 5000}), 2000), "truncated"),
        (lambda p: _cut(write_twobit(p / "a.2bit", {"c": "ACGTN" * 5000}), 18), "truncated"),
        (lambda p: _bytes(p / "a.2bit", b">c\nACGT\n"), "is not .2bit"),
        (
            lambda p: _bytes(p / "a.2bit", b"\x43\x27\x41\x1a" + struct.pack("<3I", 7, 1, 0)),
            "version 7",
        ),
    ],
)
def test_bad_files(tmp_path, make, message):
    path = make(tmp_path)
    with pytest.raises(GenomeError, match=message) as error:
        open_genome(path)
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


def random_text(length: int) -> str:
    return "".join(np.random.default_rng(length).choice(list("ACGT"), length))


def _bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _gzip(path: Path) -> Path:
    import gzip

    return _bytes(path, gzip.compress(b">c\nACGT\n"))


def _cut(path: Path, size: int) -> Path:
    return _bytes(path, path.read_bytes()[:size])


def test_damage_found_while_reading(tmp_path):
    path = write_fasta(tmp_path / "a.fa.gz", {"c": random_text(300_000)})
    open_genome(path)
    data = bytearray(path.read_bytes())
    data[40_000:40_100] = bytes(100)
    path.write_bytes(data)
    os.utime(path, (1, 1))  # older than its index: the damage is met while reading
    with pytest.raises(GenomeError, match="damaged"):
        open_genome(path).fetch("c", 0, 300_000)


def test_truncated_under_its_index(tmp_path):
    path = write_fasta(tmp_path / "a.fa", {"c": "ACGT" * 1000})
    open_genome(path)
    _cut(path, 500)
    os.utime(path, (1, 1))
    with pytest.raises(GenomeError, match="truncated or its index"):
        open_genome(path).fetch("c", 0, 4000)


def test_names_are_suggested_and_never_matched_silently(tmp_path):
    path = write_fasta(tmp_path / "a.fa", {"1": "ACGT", "chrII": "GG"})
    source = open_genome(path)
    with pytest.raises(GenomeError, match="did you mean '1'"):
        source.fetch("chr1", 0, 1)
    with pytest.raises(GenomeError, match="did you mean 'chrII'"):
        source.fetch("chrii", 0, 1)
    with pytest.raises(GenomeError, match="it has: 1, chrII"):
        source.fetch("zebra", 0, 1)
    assert list(open_genome(path, "add-chr").chromsizes) == ["chr1", "chrII"]
    assert open_genome(path, "add-chr").fetch("chr1", 0, 4).tolist() == [0, 1, 2, 3]
    assert list(open_genome(path, "strip-chr").chromsizes) == ["1", "II"]
    table = tmp_path / "names.tsv"
    table.write_text("# old\tnew\n1\tone\n")
    assert list(open_genome(path, str(table)).chromsizes) == ["one", "chrII"]
    table.write_text("1\tchrII\n")
    with pytest.raises(GenomeError, match="both be called 'chrII'"):
        open_genome(path, str(table))
    table.write_text("9\tx\n")
    with pytest.raises(GenomeError, match="no chromosome '9'"):
        open_genome(path, str(table))
    table.write_text("1 x\n")
    with pytest.raises(GenomeError, match="line 1"):
        open_genome(path, str(table))
    with pytest.raises(GenomeError, match="'nonsense'"):
        open_genome(path, "nonsense")
    with pytest.raises(GenomeError, match="rename nothing"):
        open_genome("example", "add-chr")
    with pytest.raises(GenomeError, match="no chromosome '1'"):
        open_genome(path, "add-chr").fetch("1", 0, 1)
    assert isinstance(open_genome(path, "add-chr"), RenamedSource)


def test_a_table_of_names_with_a_byte_order_mark(tmp_path):
    path = write_fasta(tmp_path / "ncbi.fa", {"NC_001133.9": "ACGT"})
    assert open_genome(path, str(CASES / "map_bom.tsv")).chromsizes == {"chrI": 4}


def test_one_hot(device):
    codes = np.array([0, 1, 2, 3, 4, 0], dtype=np.uint8)
    hot = source_module.one_hot(codes, device)
    assert hot.shape == (4, 6)
    assert hot.dtype == torch.float32
    assert hot.device.type == device.type
    assert hot.T.tolist() == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0.25] * 4,
        [1, 0, 0, 0],
    ]
    assert source_module.one_hot(codes, device, torch.float16).dtype == torch.float16
    other = source_module.one_hot(source_module.reverse_complement(codes), device)
    assert torch.equal(other, hot.flip(0, 1))


SIZES = {"chrII": 813_184, "HLA:A*01:01": 3000, "1": 500}


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("chrII", ("chrII", 0, 813_184)),
        (" chrII:100,000-200,000 ", ("chrII", 100_000, 200_000)),
        ("chrII:100k-0.2M", ("chrII", 100_000, 200_000)),
        ("chrII:100kb-0.2Mb", ("chrII", 100_000, 200_000)),
        ("chrII:16.001k-20k", ("chrII", 16_001, 20_000)),
        ("chrII:800,000-", ("chrII", 800_000, 813_184)),
        ("HLA:A*01:01", ("HLA:A*01:01", 0, 3000)),
        ("HLA:A*01:01:10-20", ("HLA:A*01:01", 10, 20)),
    ],
)
def test_regions(text, region):
    parsed = parse_region(text, SIZES)
    assert (parsed.chrom, parsed.start, parsed.end) == region
    if not text.startswith("HLA"):
        assert bioframe.parse_region(text.strip(), SIZES) == region
    assert parse_region(str(parsed), SIZES) == parsed


def test_regions_print_as_written():
    assert str(Region("chr9", 94_904_000, 126_904_000)) == "chr9:94,904,000-126,904,000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chrI:1-2", "no chromosome 'chrI'; it has: chrII"),
        ("chr1", "did you mean '1'"),
        ("chr1:5-", "did you mean '1'"),
        ("chrII:200,000-100,000", "is reversed"),
        ("chrII:5-5", "is empty"),
        ("", "is empty"),
        ("chrII:0-813,185", "outside chrII, which is 813,184 bp long"),
        ("chrII:-5-10", "not understood"),
        ("chrII:1-2foo", "not understood"),
        ("chrII:100", "not understood"),
        ("chrII:a-b", "not understood"),
        ("chrII:1.0005k-2k", "not understood"),
    ],
)
def test_bad_regions(text, message):
    with pytest.raises(RegionError, match=message):
        parse_region(text, SIZES)


def test_views(tmp_path):
    path = tmp_path / "v.bed"
    path.write_text("# a view\nchrII\t0\t1000\tleft\n1\t10\t20\tother\n")
    assert regions.read_view(path, SIZES) == [Region("chrII", 0, 1000), Region("1", 10, 20)]
    assert [r.name for r in regions.read_view(path, SIZES)] == ["left", "other"]
    path.write_text("chrII\t0\t1000\n")
    assert regions.read_view(path, SIZES)[0].name == "chrII:0-1000"
    for text, message in [
        ("", "holds no region"),
        ("chrII,0,1000\n", "not BED"),
        ("chrII\tx\t1000\n", "is not BED"),
        ("chrII\t0\t900000\n", "813,184 bp long"),
        ("chr3\t0\t9\n", "no chromosome 'chr3'"),
        ("1\t0\t9\ta\n1\t20\t30\ta\n", "called 'a'"),
        ("1\t0\t9\ta\n1\t5\t30\tb\n", "overlap"),
    ]:
        path.write_text(text)
        with pytest.raises(RegionError, match=message):
            regions.read_view(path, SIZES)
    with pytest.raises(RegionError, match="cannot be read"):
        regions.read_view(tmp_path / "absent.bed", SIZES)


def test_a_view_with_a_track_line_comments_and_names_with_a_hash(tmp_path):
    sizes = open_genome("example").chromsizes
    (region,) = regions.read_view(CASES / "view_track.bed", sizes)
    assert (region, region.name) == (Region("chrI", 0, 100_000), "a")
    path = tmp_path / "v.bed"
    path.write_text("chrI 0 10 a#1 # the first\nchrI\t10\t20\ta#2\nchrI\t20\t30\t# no name\n")
    names = [region.name for region in regions.read_view(path, sizes)]
    assert names == ["a#1", "a#2", "chrI:20-30"]


def test_check_assembly(tmp_path):
    source = open_genome(write_fasta(tmp_path / "a.fa", {"chr1": "ACGT", "extra": "A"}))
    spec = ModelSpec("m", assemblies={"old": {"chr1": 5}, "new": {"chr1": 4, "chr2": 9}})
    assert check_assembly(spec, source) == "new"
    assert check_assembly(ModelSpec("m"), source) is None
    assert check_assembly(ModelSpec("m", assemblies={"other": {"1": 4}}), source) is None
    with pytest.raises(
        GenomeError,
        match=r"genome 'a' is not the assembly of model 'm': chr1 is 4 bp in the genome, 5 bp in "
        r"old",
    ):
        check_assembly(ModelSpec("m", assemblies={"old": {"chr1": 5}}), source)


def test_what_is_warned_of_where_any_genome_is_accepted(tmp_path):
    """Other lengths, since an assembly may have been mistaken; not that all names are others."""
    source = open_genome(write_fasta(tmp_path / "a.fa", {"chr1": "ACGT"}))
    other = ModelSpec("m", assemblies={"other": {"1": 4}})
    name, warning = agreed_assembly(other, source)
    assert name == "a"
    assert "shares no chromosome name with the assemblies of model 'm' (other)" in warning
    assert agreed_assembly(other, source, any_genome=True) == ("a", None)
    longer = ModelSpec("m", assemblies={"old": {"chr1": 5}})
    name, warning = agreed_assembly(longer, source, any_genome=True)
    assert name == "a"
    assert "chr1 is 4 bp in the genome, 5 bp in old" in warning
    with pytest.raises(GenomeError, match="use --any-genome to predict it all the same"):
        agreed_assembly(longer, source)


def test_gap_fraction(tmp_path, monkeypatch):
    text = "ACGTNNNNNNACGRACGTAC" * 10 + "NNN"
    source = open_genome(write_fasta(tmp_path / "a.fa", {"c": text}))
    whole = [np.mean([x not in "ACGT" for x in text[i : i + 7]]) for i in range(0, len(text), 7)]
    assert np.allclose(gaps.gap_fraction(source, "c", 0, len(text), 7), whole)
    monkeypatch.setattr(source_module, "PIECE", 15)
    assert np.allclose(gaps.gap_fraction(source, "c", 0, len(text), 7), whole)
    assert gaps.gap_fraction(source, "c", -7, 7, 7)[0] == 1


def test_real_genome(shared):
    path = shared / "data" / "yeast" / "sacCer3.2bit"
    if not path.is_file():
        pytest.skip("no sacCer3.2bit")
    source = TwoBitSource(path)
    assert sum(source.chromsizes.values()) == 12_157_105
    py2bit = pytest.importorskip("py2bit")
    other = py2bit.open(str(path))
    for chrom in ("chrI", "chrIV", "chrM"):
        length = source.chromsizes[chrom]
        assert (
            source.fetch(chrom, 0, length) == source_module.letters_to_codes(other.sequence(chrom))
        ).all()
        assert (
            source.fetch(chrom, 1001, 5003)
            == source_module.letters_to_codes(other.sequence(chrom, 1001, 5003))
        ).all()
    example = open_genome("example")
    assert (
        example.fetch("chrII", 0, 813_178) == source.fetch("chrII", 0, 813_178)
    ).mean() > 0.25  # releases of one assembly


def test_real_bgzip(shared, tmp_path):
    plain = shared / "data" / "human" / "22_20-21M.fa.gz"
    if not plain.is_file():
        pytest.skip("no human sequence")
    import gzip

    with gzip.open(plain) as file, bgzf.BgzfWriter(str(tmp_path / "h.fa.gz"), "wb") as out:
        shutil.copyfileobj(file, out)
    source = open_genome(tmp_path / "h.fa.gz")
    (chrom,) = source.chromsizes
    codes = source.fetch(chrom, 0, source.chromsizes[chrom])
    assert abs(int((codes == 4).sum()) - 100_000) < 2000


@pytest.mark.parametrize("last", [61, 75, 119, 500])
def test_a_longer_last_line_is_no_regular_fasta(tmp_path, last):
    """An index cannot address it."""
    text = "".join(random.Random(last).choices("ACGT", k=180 + last))
    path = tmp_path / "a.fa"
    path.write_text(
        ">fine\nACGTA\nACG\n>long\n"
        + "".join(text[a : a + 60] + "\n" for a in (0, 60, 120))
        + text[180:]
        + "\n"
    )
    with pytest.raises(GenomeError, match=r"not regular FASTA: the last line of 'long'"):
        open_genome(path)
