"""Real human sequence through networks of the released size (reference weights): variants of a 5 Mb
contig, end to end.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from Bio.bgzf import BgzfWriter
from click.testing import CliRunner

from orca_cool.cli import main
from orca_cool.encodings.cache import EditedCache, EncodingCache
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.open import open_genome
from orca_cool.model.bundle import load_bundle
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.prediction.engine import make_engine
from orca_cool.variants import parse_edits, read_variants

pytest.importorskip("cyvcf2", reason="cyvcf2 is not installed (pip install orca-cool[variants])")


@pytest.fixture(scope="module")
def place(shared: Path, tmp_path_factory) -> Path:
    """The MHC of the COX haplotype as bgzip FASTA ``mhc.fa.gz``, and ``in.vcf``: SNV, 3 kb
    deletion, 40 kb inversion.
    """
    folder = tmp_path_factory.mktemp("human")
    found = shared / "data" / "human" / "superCOX_IIb.fas.gz"
    if not found.is_file():
        pytest.skip("no human sequence (../shared/data/human)")
    with gzip.open(found, "rt") as stream:
        letters = "".join(
            stream.read().split("\n")[1:]
        )  # its last line is 148 kb long, which an index cannot address
    with BgzfWriter(str(folder / "mhc.fa.gz"), "wb") as out:
        out.write(
            (
                ">mhc\n" + "\n".join(letters[a : a + 60] for a in range(0, len(letters), 60)) + "\n"
            ).encode()
        )
    source = open_genome(folder / "mhc.fa.gz")
    assert source.chromsizes == {"mhc": 4_947_983}

    def base(position):
        return "ACGT"[source.fetch("mhc", position - 1, position)[0]]

    ref = base(2_500_001)
    rows = [
        f"mhc\t2500001\tsnv\t{ref}\t{'A' if ref != 'A' else 'G'}\t.\t.\t.",
        f"mhc\t2520000\tdel\t{base(2_520_000)}\t<DEL>\t.\t.\tEND=2523000",
        f"mhc\t2530000\tinv\t{base(2_530_000)}\t<INV>\t.\t.\tEND=2570000",
    ]
    header = '##fileformat=VCFv4.3\n##INFO=<ID=END,Number=1,Type=Integer,Description="">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'
    (folder / "in.vcf").write_text(header + "\n".join(rows) + "\n")
    return folder


@pytest.mark.long
def test_variants_of_the_mhc_at_the_1_mb_level(place, reference_bundles):
    line = [
        "variants",
        "-q",
        str(place / "in.vcf"),
        "--model",
        str(reference_bundles["h1esc"]),
        "--genome",
        str(place / "mhc.fa.gz"),
    ]
    line += [
        "--any-genome",
        "--module",
        "1M",
        "--device",
        "cpu",
        "-o",
        str(place / "scores.tsv"),
        "--strict",
    ]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 0, result.output
    rows = pd.read_csv(place / "scores.tsv", sep="\t").set_index("name")
    assert list(rows.index) == ["snv", "del", "inv"]
    assert rows["resolution"].eq(4000).all()
    # windows are shared: 2,500,000 and 2,521,500 lie nearest to 2,480,000 (20 x 124 kb), 2,550,000
    # to 2,604,000
    assert rows["reference"].tolist() == ["mhc:2,480,000", "mhc:2,480,000", "mhc:2,604,000"]
    assert rows["pixels"].gt(30_000).all()
    scores = rows[["mse", "one_minus_r", "one_minus_scc", "log_fold_change", "decay", "insulation"]]
    assert np.isfinite(scores).all(axis=None)
    assert (scores > 0).all(axis=None)


@pytest.mark.slow
def test_an_edit_is_encoded_as_the_edited_sequence(place, reference_bundles):
    source = open_genome(place / "mhc.fa.gz")
    model = load_bundle(reference_bundles["h1esc"]).model
    encoder = FastEncoder(model.encoder)
    fine = EncodingCache(encoder, source, fine_bytes=2**28)  # as many edits of a place share it
    for variant in read_variants(place / "in.vcf", source):
        genome = apply_edits(source, variant.changes)
        for start in (variant.start // 4000 * 4000 - 20_000, variant.end // 4000 * 4000 + 1_000):
            ours = EditedCache(fine, genome).span("mhc", start, start + 40_000)
            wanted = encoder.span(
                lambda a, b, g=genome: g.fetch("mhc", a, b), start, start + 40_000
            )
            assert float((ours - wanted).abs().max() / wanted.std()) < 1e-4


@pytest.mark.long
def test_an_inversion_at_all_levels(place, reference_bundles):
    """Six levels, although the contig fills a sixth of the window: the rest is N."""
    source = open_genome(place / "mhc.fa.gz")
    engine = make_engine(load_bundle(reference_bundles["h1esc"]), source, "cpu", fine_bytes=2**30)
    genome = apply_edits(source, parse_edits("mhc:2,528,000-2,568,000 inv", source))
    module = engine.spec.module("32M")
    before = engine.zoom(module, "mhc", 2_548_000, "real")
    encoded = engine.encoded_bp
    after = engine.for_genome(genome).zoom(module, "mhc", 2_548_000, "real")
    # both ends of the inversion, both strands: the bins that see them
    assert engine.encoded_bp - encoded == 2 * (40_000 + 2 * 27 * 4000)
    assert [m.resolution for m in after] == [128_000, 64_000, 32_000, 16_000, 8_000, 4_000]
    for a, b in zip(after, before):
        assert (a.start, a.end) == (b.start, b.end)
        assert np.isfinite(a.values).all()
        assert np.abs(a.values - b.values).max() > 1e-3 * b.values.std()
