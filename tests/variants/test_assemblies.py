"""A VCF of another assembly than the genome's is refused, with the command that lifts it."""

from __future__ import annotations

import bioframe
import pytest

from orca_cool.errors import EditError
from orca_cool.variants.assemblies import ASSEMBLIES, assembly_of, require_same_assembly
from orca_cool.variants.vcf import read_vcf


class Sizes:
    name = "g.fa"

    def __init__(self, sizes):
        self.chromsizes = dict(sizes)


def sizes_of(assembly, prefix="chr"):
    table = bioframe.assembly_info(assembly, roles="all", units="all").chromsizes
    return {prefix + c.removeprefix("chr"): int(n) for c, n in table.items() if "_" not in c}


def header(sizes):
    return [f"##contig=<ID={c},length={n}>" for c, n in sizes.items()]


HG38 = Sizes(sizes_of("hg38"))


@pytest.mark.parametrize("assembly", sorted(ASSEMBLIES))
def test_lengths_are_those_of_bioframe(assembly):
    sizes = sizes_of(assembly, prefix="")
    for chrom, length in ASSEMBLIES[assembly][1].items():
        assert sizes[chrom] == length
    assert assembly_of(sizes) == assembly


@pytest.mark.parametrize("prefix", ["chr", ""])
def test_hg19_is_refused_for_hg38(prefix):
    with pytest.raises(EditError) as error:
        require_same_assembly("in.vcf.gz", header(sizes_of("hg19", prefix)), HG38)
    said = str(error.value)
    assert "in.vcf.gz is of another assembly" in said
    assert "chromosome 1 is 249,250,621 bp long (hg19)" in said
    assert "248,956,422 bp long (hg38)" in said
    assert "`CrossMap vcf hg19ToHg38.over.chain.gz in.vcf.gz hg38.fa in.hg38.vcf`" in said
    assert "bcftools reheader --fai" in said


def test_the_same_assembly_is_taken():
    require_same_assembly("in.vcf", header(sizes_of("hg38")), HG38)
    require_same_assembly("in.vcf", header(sizes_of("hg38", "")), HG38)
    require_same_assembly("in.vcf", ["##contig=<ID=chr1>", "##fileformat=VCFv4.2"], HG38)
    few = {"chr1": 248956422, "chrM": 16571}  # hg19's chrM was another one; most decide
    require_same_assembly("in.vcf", header(few), HG38)
    require_same_assembly("in.vcf", header({"scaffold7": 5}), HG38)


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("##reference=file:///data/Homo_sapiens.GRCh37.fa", True),
        ("##reference=human_g1k_v37.fasta", True),
        ("##assembly=hg19", True),
        ("##reference=GRCh38_full_analysis_set.fa", False),
        ("##reference=ours.fa", False),
        ("##reference=hg19_lifted_to_hg38.fa", False),
    ],
)
def test_what_the_header_names(line, refused):
    if not refused:
        require_same_assembly("in.vcf", [line], HG38)
        return
    with pytest.raises(EditError, match=r"its header says .* \(hg19\), genome 'g.fa' is hg38"):
        require_same_assembly("in.vcf", [line], HG38)


def test_other_genomes(tmp_path):
    source = Sizes({"a": 1000, "b": 500})
    (tmp_path / "x.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=a,length=900>\n"
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    )
    with pytest.raises(
        EditError, match=r"chromosome a is 900 bp long, in genome .g\.fa. it is 1,000"
    ):
        read_vcf(tmp_path / "x.vcf", source)
