"""Genes from files, where edits put them, and their track: nothing overlaps, nothing leaves the
axes.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from higlass_plugin.files.bed import Intervals
from orca_cool.effects.gene_track import COLOURS, MAX_ROWS, ROW, Track, pack
from orca_cool.errors import OrcaCoolError, RegionError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Adjacency, Breakend, Contig, Edit
from orca_cool.genome.gene_models import COLUMNS, lift, read_genes, spans
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment

#: Of chromosomes c (10 kb) and d (5 kb).
GENES = [
    ("c", 100, 900, "alpha", "+"),
    ("c", 2_000, 3_000, "beta;1", "+"),
    ("c", 4_000, 4_500, "gamma", "-"),
    ("c", 6_000, 7_000, "delta", "."),
    ("d", 500, 800, "epsilon", "-"),
]


def table(rows):
    return pd.DataFrame(rows, columns=COLUMNS).astype({"start": np.int64, "end": np.int64})


def gtf():
    lines = ["#!genome-build toy"]
    for k, (chrom, start, end, name, strand) in enumerate(GENES):
        about = f'gene_id "G{k}"; gene_version "1"; gene_name "{name}";'
        lines += [
            f"{chrom}\tx\t{f}\t{start + 1}\t{end}\t.\t{strand}\t.\t{about}"
            for f in ("gene", "transcript", "exon")
        ]
    return "\n".join(lines) + "\n"


def gff3():
    lines = ["##gff-version 3", "c\tx\tchromosome\t1\t10000\t.\t.\t.\tID=c", ""]
    for k, (chrom, start, end, name, strand) in enumerate(GENES):
        quoted = name.replace(";", "%3B")
        lines += [
            f"{chrom}\tx\tgene\t{start + 1}\t{end}\t.\t{strand}\t.\tID=gene{k};Name={quoted};biotype=protein_coding"
        ]
        lines += [f"{chrom}\tx\tmRNA\t{start + 1}\t{end}\t.\t{strand}\t.\tID=t{k};Parent=gene{k}"]
    return "\n".join([*lines, "###", "##FASTA", ">c", "ACGT"]) + "\n"


def bed():
    lines = ["track name=genes", "browser position c:1-100", "# genes"]
    return (
        "\n".join(
            [*lines, *(f"{c}\t{a}\t{b}\t{name}\t0\t{strand}" for c, a, b, name, strand in GENES)]
        )
        + "\r\n"
    )


FORMATS = {"gtf": gtf, "gff3": gff3, "bed": bed}


#: Small files that once went wrong.
CASES = Path(__file__).resolve().parents[1] / "data" / "cases"


def write(path, text):
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_every_format_gives_the_same_genes(tmp_path, kind, packed):
    path = write(tmp_path / f"genes.{kind}{packed}", FORMATS[kind]())
    pd.testing.assert_frame_equal(read_genes(path, Region("c", 0, 10_000)), table(GENES[:4]))
    pd.testing.assert_frame_equal(read_genes(path, Region("d", 0, 5_000)), table(GENES[4:]))
    # what it is is told by the content, not by the name
    other = path.rename(tmp_path / "genes.txt")
    assert list(read_genes(other, Region("c", 0, 10_000))["name"]) == [
        "alpha",
        "beta;1",
        "gamma",
        "delta",
    ]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("start", "end", "names"),
    [
        (900, 2_000, []),  # alpha ends before it, beta begins after it
        (899, 2_000, ["alpha"]),
        (900, 2_001, ["beta;1"]),
        (2_400, 2_500, ["beta;1"]),
        (7_000, 10_000, []),
    ],
)
def test_genes_that_overlap_the_region(tmp_path, kind, start, end, names):
    found = read_genes(write(tmp_path / "genes", FORMATS[kind]()), Region("c", start, end))
    assert list(found["name"]) == names
    assert list(found.columns) == COLUMNS
    assert (found["start"].dtype, found["end"].dtype) == (np.int64, np.int64)


def test_names_by_rank_of_the_attributes(tmp_path):
    attributes = {
        'gene_id "x"; gene "y";': "y",
        'gene_id "x"; gene_name "";': "x",
        "gene_id plain; level 2;": "plain",
        "ID=x;Name=y": "y",
        "ID=x;Name=y;gene=z": "z",
        "ID=x": "x",
    }
    lines = [
        f"c\tx\tgene\t{10 * k + 1}\t{10 * k + 5}\t.\t+\t.\t{text}"
        for k, text in enumerate(attributes)
    ]
    found = read_genes(write(tmp_path / "genes", "\n".join(lines)), Region("c", 0, 100))
    assert list(found["name"]) == list(attributes.values())
    assert list(found["start"]) == [0, 10, 20, 30, 40, 50]


def test_kinds_of_genes_of_ensembl():
    found = read_genes(CASES / "ens.gff3", Region("chrII", 0, 20_000))
    assert found.values.tolist() == [
        ["chrII", 1_000, 5_000, "A,A1", "+"],
        ["chrII", 7_000, 7_100, "SNR1", "+"],
        ["chrII", 8_000, 8_100, "PS1", "+"],
        ["chrII", 9_000, 9_500, "gene:Q", "."],
    ]


def test_what_is_a_gene_by_its_type(tmp_path):
    genes = ["gene", "pseudogene", "ncRNA_gene", "tRNA_gene", "transposable_element_gene"]
    others = [
        "mRNA",
        "gene_segment",
        "V_gene_segment",
        "pseudogenic_transcript",
        "biological_region",
    ]
    text = "".join(f"c\tx\t{f}\t1\t9\t.\t+\t.\tID={f}\n" for f in genes + others)
    found = read_genes(write(tmp_path / "x.gff3", text), Region("c", 0, 10))
    assert sorted(found["name"]) == sorted(genes)


def gtf_line(feature, start, end, about, chrom="c", strand="+"):
    return f"{chrom}\tx\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{about}\n"


def test_genes_of_gtf_without_lines_of_their_own(tmp_path):
    """They reach over all of their transcripts and exons, as gffutils infers them."""
    found = read_genes(CASES / "ucsc_notgene.gtf", Region("chrII", 0, 10_000))
    assert found.values.tolist() == [["chrII", 1_000, 5_000, "YBL1", "+"]]
    one, two = 'gene_id "G1"; transcript_id "T1"; gene_name "one";', 'gene_id "G2";'
    text = (
        gtf_line("exon", 51, 60, one)
        + gtf_line("exon", 11, 20, one)
        + gtf_line("exon", 91, 99, two, strand="-")
        + gtf_line("CDS", 12, 95, 'gene_id "G1"; transcript_id "T2";')
        + gtf_line("exon", 5, 9, one, chrom="d")
        + gtf_line("start_codon", 1, 3, 'gene_id "G4";')
        # found at two places: genePredToGtf gives the copies' transcripts names of their own
        + gtf_line("exon", 11, 20, 'gene_id "G5"; transcript_id "N";')
        + gtf_line("exon", 9001, 9020, 'gene_id "G5"; transcript_id "N_dup1";')
        # has its line, behind its exon
        + gtf_line("exon", 31, 40, 'gene_id "G3";')
        + gtf_line("gene", 31, 45, 'gene_id "G3"; gene_name "three";')
        + gtf_line("exon", 46, 48, 'gene_id "G3";')
    )
    path = write(tmp_path / "x.gtf", text)
    assert read_genes(path, Region("c", 0, 10_000)).values.tolist() == [
        ["c", 10, 20, "G5", "+"],
        ["c", 10, 95, "one", "+"],
        ["c", 30, 45, "three", "+"],
        ["c", 90, 99, "G2", "-"],
        ["c", 9_000, 9_020, "G5", "+"],
    ]
    served = Intervals(path, {"c": 10_000, "d": 100})
    assert sorted(served.names) == ["g2", "g5", "g5", "one", "one", "three"]
    assert served.datatype == "gene-annotation"


def test_genes_without_gene_lines_are_those_of_the_lines(tmp_path):
    """A GTF of random genes, and the same without its gene lines."""
    random, lines = np.random.default_rng(5), []
    for k in range(60):
        start, strand = int(random.integers(1, 9_000)), "+-"[k % 2]
        ends = sorted(random.choice(900, 6, replace=False) + start)
        about = f'gene_id "G{k}"; gene_name "g{k}";'
        lines.append(("gene", gtf_line("gene", ends[0], ends[-1], about, strand=strand)))
        for j in (0, 2, 4):
            exon = f'{about} transcript_id "T{k}";'
            lines.append(("exon", gtf_line("exon", ends[j], ends[j + 1], exon, strand=strand)))
    whole = write(tmp_path / "whole.gtf", "".join(text for _, text in lines))
    random.shuffle(lines)
    bare = write(tmp_path / "bare.gtf", "".join(text for kind, text in lines if kind == "exon"))
    region = Region("c", 2_000, 7_000)
    pd.testing.assert_frame_equal(read_genes(bare, region), read_genes(whole, region))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("c\t10\t20\tc\t30\t40\n", ["line 1", "is BEDPE, a pair of intervals"]),
        ("c\t10\t20\tx\nc\t20\t30\t0.5\n", ["line 2", "is bedGraph, which holds a signal"]),
        ("c\tx\tmRNA\t1\t20\t.\t+\t.\tID=x;gene_id=y\n", ["no feature 'gene', only mRNA"]),
        ("c\t10\t20\tx\nc\t30\t30\ty\n", ["line 2", r"c\t30\t30\ty", "end must lie after"]),
        ("c\t10\t20\tx\nc\t30\t20\ty\n", ["line 2", "reversed"]),
        ("# head\nc\t-1\t20\tx\n", ["line 2", "begins before the chromosome's first base"]),
        ("c\t10\t20\tx\nc\tten\t20\ty\n", ["line 2", r"'c\tten\t20\ty' is not BED"]),
        ("c\t10\t20\n", ["line 1", "four columns"]),
        ("hello\n", ["line 1", "'hello'", "neither GTF, GFF3 nor BED"]),
        ("c\tx\tgene\t1\t20\t.\t+\t.\n", ["line 1", "fewer than nine columns"]),
        (
            "c\tx\tgene\t0\t20\t.\t+\t.\tID=x\n",
            ["line 1", "begins before the chromosome's first base"],
        ),
        (
            "c\tx\tgene\t1\t20\t.\t+\t.\tID=x\n\nc\tx\tgene\t1\t20\t.\t+\t.\tcolour=red\n",
            ["line 3", "names no gene", "gene_name"],
        ),
        ("c\tx\texon\t1\t20\t.\t+\t.\tID=x\n", ["no feature 'gene'", "only exon"]),
        ("", ["no feature 'gene'"]),
        ("chrc\t10\t20\tx\n", ["none on 'c'", "did you mean 'chrc'?"]),
        (b"\xff\xfe\x00\x01", ["not text (UTF-8) after line 0"]),
        (
            gzip.compress(b"c\t10\t20\tx\n" * 1000, mtime=0)[:-20],
            ["cannot be read: truncated after line"],
        ),
    ],
)
def test_what_is_wrong_and_where(tmp_path, text, words):
    path = tmp_path / "genes.bed"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RegionError) as caught:
        read_genes(path, Region("c", 0, 1000))
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_a_file_that_is_not_there_and_a_chromosome_without_genes(tmp_path, caplog):
    with pytest.raises(OrcaCoolError, match="No such file"):
        read_genes(tmp_path / "none.gtf", Region("c", 0, 100))
    path = write(tmp_path / "genes.bed", bed())
    assert read_genes(path, Region("e", 0, 100)).empty
    assert "there is none on 'e'" in caplog.text


intervals = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 25)).map(lambda p: (p[0], p[0] + p[1])),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(intervals, st.integers(1, 8))
def test_rows_never_overlap_and_none_stays_free(extents, most):
    rows = pack(extents, most)
    assert len(rows) == len(extents)
    assert all(-1 <= row < most for row in rows)
    for k, (start, end) in enumerate(extents):
        others = {rows[j] for j, (a, b) in enumerate(extents) if j != k and a < end and start < b}
        if rows[k] >= 0:
            assert rows[k] not in others
        # every row above it (all rows, where it has none) is taken at its start by one that begins
        # no later
        earlier = {rows[j] for j, (a, b) in enumerate(extents) if j != k and a <= start < b}
        assert set(range(rows[k] if rows[k] >= 0 else most)) <= earlier


def test_rows_by_hand():
    assert pack([(0, 10), (5, 15), (10, 20), (12, 13), (15, 16)]) == [0, 1, 0, 2, 1]
    assert pack([(5, 9), (0, 6)], 1) == [-1, 0]
    assert pack([(0, 9)] * 8) == [0, 1, 2, 3, 4, 5, -1, -1]
    assert pack([]) == []


class Sizes:
    """Chromosome lengths without sequence."""

    def __init__(self):
        self.name, self.chromsizes = "sizes", {"c": 10_000, "d": 5_000}

    def fetch(self, chrom, start, end):
        return np.full(end - start, 4, np.uint8)


def lifted(*changes, contig="c", window=None):
    genome = apply_edits(Sizes(), changes)
    found = lift(table(GENES), genome, contig, *(window or (0, genome.chromsizes[contig])))
    assert set(found["chrom"]) <= {contig}
    return [(r.start, r.end, r.name, r.strand) for r in found.itertuples(index=False)]


ALPHA = (100, 900, "alpha", "+")


def given_letters(n):
    return (Segment.letters("A" * n),)


def test_no_change_moves_no_gene():
    assert lifted() == [row[1:] for row in GENES[:4]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # beta loses its end, gamma its beginning; 1,700 bp are gone
        (
            Edit("del", "c", 2_500, 4_200),
            [
                ALPHA,
                (2_000, 2_500, "beta;1 (part)", "+"),
                (2_500, 2_800, "gamma (part)", "-"),
                (4_300, 5_300, "delta", "."),
            ],
        ),
        # nor is a gene whole that the chromosome's new end cuts
        (
            Edit("del", "c", 0, 500),
            [
                (0, 400, "alpha (part)", "+"),
                (1_500, 2_500, "beta;1", "+"),
                (3_500, 4_000, "gamma", "-"),
                (5_500, 6_500, "delta", "."),
            ],
        ),
        (
            Edit("del", "c", 6_500, 10_000),
            [ALPHA, *[row[1:] for row in GENES[1:3]], (6_000, 6_500, "delta (part)", ".")],
        ),
        # what is lost inside a gene leaves it whole
        (
            Edit("del", "c", 2_200, 2_400),
            [
                ALPHA,
                (2_000, 2_800, "beta;1", "+"),
                (3_800, 4_300, "gamma", "-"),
                (5_800, 6_800, "delta", "."),
            ],
        ),
        # one gene is gone
        (
            Edit("del", "c", 1_900, 3_900),
            [ALPHA, (2_000, 2_500, "gamma", "-"), (4_000, 5_000, "delta", ".")],
        ),
        # position p becomes 6,500 - p, and strands turn
        (
            Edit("inv", "c", 1_500, 5_000),
            [
                ALPHA,
                (2_000, 2_500, "gamma", "+"),
                (3_500, 4_500, "beta;1", "-"),
                (6_000, 7_000, "delta", "."),
            ],
        ),
        # an end of beta turns: p becomes 7,400 - p
        (
            Edit("inv", "c", 2_400, 5_000),
            [
                ALPHA,
                (2_000, 2_400, "beta;1 (part)", "+"),
                (2_900, 3_400, "gamma", "+"),
                (4_400, 5_000, "beta;1 (part)", "-"),
                (6_000, 7_000, "delta", "."),
            ],
        ),
        # a gene of no strand has none when turned
        (
            Edit("inv", "c", 6_000, 7_000),
            [ALPHA, *[row[1:] for row in GENES[1:3]], (6_000, 7_000, "delta", ".")],
        ),
        # beta is there twice, 1,200 bp apart
        (
            Edit("dup", "c", 1_900, 3_100),
            [
                ALPHA,
                (2_000, 3_000, "beta;1", "+"),
                (3_200, 4_200, "beta;1", "+"),
                (5_200, 5_700, "gamma", "-"),
                (7_200, 8_200, "delta", "."),
            ],
        ),
        # and once more, turned: 1,900 to 3,100 in 3,100 to 4,300, p becomes 6,200 - p
        (
            Edit("dup", "c", 1_900, 3_100, 2, True),
            [
                ALPHA,
                (2_000, 3_000, "beta;1", "+"),
                (3_200, 4_200, "beta;1", "-"),
                (5_200, 5_700, "gamma", "-"),
                (7_200, 8_200, "delta", "."),
            ],
        ),
        # beta is whole before the copy of its second half
        (
            Edit("dup", "c", 2_500, 3_500),
            [
                ALPHA,
                (2_000, 3_000, "beta;1", "+"),
                (3_500, 4_000, "beta;1 (part)", "+"),
                (5_000, 5_500, "gamma", "-"),
                (7_000, 8_000, "delta", "."),
            ],
        ),
        # literal sequence of at most 1,000 bp leaves a gene one
        (
            Edit("ins", "c", 2_500, 2_500, sequence=given_letters(1_000)),
            [
                ALPHA,
                (2_000, 4_000, "beta;1", "+"),
                (5_000, 5_500, "gamma", "-"),
                (7_000, 8_000, "delta", "."),
            ],
        ),
        (
            Edit("ins", "c", 2_500, 2_500, sequence=given_letters(1_001)),
            [
                ALPHA,
                (2_000, 2_500, "beta;1 (part)", "+"),
                (3_501, 4_001, "beta;1 (part)", "+"),
                (5_001, 5_501, "gamma", "-"),
                (7_001, 8_001, "delta", "."),
            ],
        ),
        # a gene comes with sequence of another place
        (
            Edit("ins", "c", 5_000, 5_000, sequence=(Segment("d", 400, 900, "-"),)),
            [
                ALPHA,
                *[row[1:] for row in GENES[1:3]],
                (5_100, 5_400, "epsilon", "+"),
                (6_500, 7_500, "delta", "."),
            ],
        ),
        # p becomes 10,000 - p
        (
            Contig("c", (Segment("c", 0, 10_000, "-"),)),
            [
                (3_000, 4_000, "delta", "."),
                (5_500, 6_000, "gamma", "+"),
                (7_000, 8_000, "beta;1", "-"),
                (9_100, 9_900, "alpha", "-"),
            ],
        ),
    ],
)
def test_where_genes_go(change, expected):
    assert lifted(change) == expected


def test_genes_of_a_translocation():
    join = Adjacency(Breakend("c", 2_500, "+"), Breakend("d", 600, "-"))
    assert lifted(join, contig="der_c") == [
        ALPHA,
        (2_000, 2_500, "beta;1 (part)", "+"),
        (2_500, 2_700, "epsilon (part)", "-"),
    ]
    assert lifted(join, contig="der_d") == [
        (500, 600, "epsilon (part)", "-"),
        (600, 1_100, "beta;1 (part)", "+"),
        (2_100, 2_600, "gamma", "-"),
        (4_100, 5_100, "delta", "."),
    ]


def test_what_only_the_window_cuts_off_is_not_missing():
    change = Edit("del", "c", 4_200, 5_000)
    assert lifted(change, window=(2_200, 2_600)) == [(2_200, 2_600, "beta;1", "+")]
    # gamma: the window cuts its first bases, its last are deleted
    assert lifted(change, window=(4_100, 4_300)) == [(4_100, 4_200, "gamma (part)", "-")]
    # turned, its first bases are on the right: 4,000 to 4,500 are 5,500 to 6,000
    turned = Contig("c", (Segment("c", 0, 10_000, "-"),))
    assert lifted(turned, window=(5_700, 10_000))[0] == (5_700, 6_000, "gamma", "+")
    assert lifted(turned, window=(-500, 4_000)) == [(3_000, 4_000, "delta", ".")]


def test_spans():
    places = [("d", 10, 20), ("c", -50, 100), ("c", 400, 500), ("c", 30, 450)]
    assert spans(places) == [Region("c", 0, 500), Region("d", 10, 20)]


def drawn(genes, start=0, end=1_000, inches=2.3):
    """A track, its axes and what they show; the axes are as wide as the track thinks they are."""
    track = Track.of(table(genes), "c", start, end, inches)
    figure = Figure(figsize=(inches + 2, 2), dpi=200)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (1 / (inches + 2), 0.2, inches / (inches + 2), max(track.rows, 1) * ROW / 2)
    )
    track.draw(axes)
    canvas.draw()
    return track, axes


def crowd(n=60, seed=4):
    random = np.random.default_rng(seed)
    out = []
    for k in range(n):
        a = int(random.integers(-50, 1_000))
        out.append(
            (
                "c",
                max(a, 0),
                max(a, 0) + int(random.integers(1, 120)),
                f"gene{k}" if k % 7 else f"a long $name$ {k}",
                "+-."[k % 3],
            )
        )
    return out


def test_names_stay_inside_the_axes_and_do_not_touch():
    genes = [*crowd(), ("c", 30, 5_000, "nearly all of it", "+"), ("d", 0, 10, "elsewhere", "+")]
    track, axes = drawn(genes)
    assert "elsewhere" not in list(track.genes["name"])
    assert (track.row.count(-1), track.rows) == (track.hidden, MAX_ROWS + 1)
    assert 0 < track.hidden < len(track.row)
    texts = {text.get_text(): text for text in axes.texts}
    assert len(texts) == len(axes.texts) == len(track.row) - track.hidden + 1
    assert f"+ {track.hidden} more" in texts
    assert "nearly all of it" in texts
    frame = axes.get_window_extent()
    boxes = {name: text.get_window_extent() for name, text in texts.items()}
    for name, box in boxes.items():
        assert frame.x0 - 1 <= box.x0 < box.x1 <= frame.x1 + 1, name
    rows = dict(zip(track.genes["name"], track.row))
    named = [(rows[name], box.x0, box.x1) for name, box in boxes.items() if name in rows]
    for k, (row, a, b) in enumerate(named):
        for other, c, d in named[k + 1 :]:
            assert row != other or b <= c or d <= a


def test_bars_point_along_their_strand():
    _, axes = drawn(
        [
            ("c", 100, 300, "f", "+"),
            ("c", 400, 600, "r", "-"),
            ("c", 700, 800, "n", "."),
            ("c", 950, 2_000, "e", "+"),
        ]
    )
    (bars,) = axes.collections
    shapes = [path.vertices[:-1] for path in bars.get_paths()]
    assert [(s[:, 0].min(), s[:, 0].max()) for s in shapes] == [
        (100, 300),
        (400, 600),
        (700, 800),
        (950, 1_000),
    ]
    for shape, tip in zip(shapes, (300, 400, None, 1_000)):
        points = [x for x, y in shape if y == pytest.approx(0.5)]  # the middle of row 0
        assert points == ([] if tip is None else [tip])
    np.testing.assert_allclose(bars.get_facecolors(), [to_rgba(COLOURS[s]) for s in "+-.+"])
    where = {text.get_text(): (text.get_position()[0], text.get_ha()) for text in axes.texts}
    assert where["f"][0] > 300
    assert where["f"][1] == "left"
    assert where["e"][0] < 950  # no room on the right
    assert where["e"][1] == "right"


def test_a_gene_without_room_on_either_side_has_its_name_in_the_middle():
    track, axes = drawn([("c", 30, 5_000, "nearly all of it", "+"), ("c", 300, 310, "other", "-")])
    assert track.row == [0, 1]
    (name, _) = axes.texts
    assert (name.get_text(), name.get_position(), name.get_ha()) == (
        "nearly all of it",
        (500, 0.5),
        "center",
    )
    frame, box = axes.get_window_extent(), name.get_window_extent()
    assert frame.x0 < box.x0 < box.x1 < frame.x1


def test_too_many_genes_for_names():
    track, axes = drawn([("c", 500, 510, f"a gene with a name {k}", "+") for k in range(40)])
    # 6 of 40 are less than a fifth
    assert set(track.row) == {-1}
    assert (track.rows, track.hidden) == (1, 40)
    assert [text.get_text() for text in axes.texts] == ["40 genes"]
    empty, axes = drawn([])
    assert (empty.rows, empty.hidden, list(axes.texts)) == (0, 0, [])
