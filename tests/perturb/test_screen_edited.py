"""Screens that move sequence, in edited genomes: against plain predictions of FASTA files of both
genomes, aligned by hand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.model.bundle import save_bundle
from orca_cool.variants.options import EditOptions

LENGTH, R, BINS = 6010, 40, 16
#: 13 bp less, 27 more, a base changed close to the sites.
EDITS = "a:900-913 del; a:1500 ins ACGTACGTTGCATGCAAACCCGGGTTT; a:1931-1932 sub {}"
#: In the edited genome, 14 bp further on.
SITES = (2000, 2611)
INSERTED = "ACGTTGCAAGGCTTAACCGGATATCGCGAT"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a genome, the same with its edits (by Python's strings), sources and sites."""
    folder = tmp_path_factory.mktemp("edited")
    spec = make_toy_spec()
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    letters = "".join(np.random.default_rng(5).choice(list("ACGT"), LENGTH))
    (folder / "g.fa").write_text(f">a\n{letters}\n")
    (folder / "e.fa").write_text(f">a\n{edited(letters)}\n")
    (folder / "s.fa").write_text(f">s\n{INSERTED}\n")
    (folder / "sites.bed").write_text("".join(f"a\t{s}\t{s + 1}\n" for s in SITES))
    (folder / "hap.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=a>\n"
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
        f"a\t900\t.\t{letters[899:913]}\t{letters[899]}\t.\t.\t.\tGT\t1|0\n"
        f"a\t1500\t.\t{letters[1499]}\t{letters[1499]}ACGTACGTTGCATGCAAACCCGGGTTT\t.\t.\t.\tGT\t"
        "1|1\n"
        f"a\t1932\t.\t{letters[1931]}\t{other(letters[1931])}\t.\t.\t.\tGT\t1|0\n"
        f"a\t3000\t.\t{letters[2999]}\t{other(letters[2999])}\t.\t.\t.\tGT\t0|1\n"
    )
    return folder


def other(base: str) -> str:
    return "A" if base != "A" else "C"


def edited(text: str) -> str:
    inserted = "ACGTACGTTGCATGCAAACCCGGGTTT"
    return (
        text[:900] + text[913:1500] + inserted + text[1500:1931] + other(text[1931]) + text[1932:]
    )


def text_of(path: Path) -> str:
    return path.read_text().split("\n")[1]


def edits_of(here: Path) -> dict[str, EditOptions]:
    text = EDITS.format(other(text_of(here / "g.fa")[1931]))
    return {
        "--edit": EditOptions((text,)),
        "--vcf": EditOptions(vcf=str(here / "hap.vcf"), haplotype=1),
    }


def predictor(here: Path, text: str, tmp_path: Path):
    """The model on a genome of one chromosome, with nothing known of where it came from."""
    (tmp_path / "plain.fa").write_text(f">a\n{text}\n")
    return oc.Predictor(here / "toy", tmp_path / "plain.fa", device="cpu", progress=False)


def by_hand(here, tmp_path, alternate: str, start: int, gone: int, come: int):
    """Change of each row of the alternate's map, and the window's first base.

    ``gone`` bp of the edited genome are replaced by ``come`` others from ``start`` on.
    """
    before = oc.Predictor(here / "toy", here / "e.fa", device="cpu", progress=False)
    text = f"a:{start:,}-{start + gone:,} del" if gone else f"a:{start:,} ins {INSERTED}"
    site = before.compare(text, R, module="S").site
    ((_, place),) = site.references
    old = before.zoom(f"a:{place}", module="S", edges="real")[R]
    new = predictor(here, alternate, tmp_path).zoom(f"a:{site.position}", module="S", edges="real")
    new = new[R]
    change = np.full((BINS, BINS), np.nan)
    index = []
    for k in range(BINS):
        first = new.start + k * R
        bases = range(first, first + R)
        known = [b for b in bases if b < start or b >= start + come]
        middle = first + R // 2
        nearest = min(known, key=lambda b: abs(b - middle), default=None)
        if nearest is None:
            index.append(-1)
            continue
        origin = nearest if nearest < start else nearest - come + gone
        at = (origin - old.start) // R
        index.append(at if 0 <= at < BINS else -1)
    for i, p in enumerate(index):
        for j, q in enumerate(index):
            if p >= 0 and q >= 0:
                change[i, j] = float(new.values[i, j]) - float(old.values[p, q])
    return change, new.start


@pytest.mark.parametrize("kind", ["--edit", "--vcf"])
def test_an_insertion_into_an_edited_genome(here, tmp_path, kind):
    found = oc.screen.insert(
        here / "s.fa",
        here / "sites.bed",
        model=here / "toy",
        genome=here / "g.fa",
        edits=edits_of(here)[kind],
        overwrite=False,
        scores="row,mse,scd",
        module="S",
        device="cpu",
        progress=False,
    ).table
    genome = text_of(here / "e.fa")
    for row in found.itertuples():
        s, n = row.start, len(INSERTED)
        change, start = by_hand(here, tmp_path, genome[:s] + INSERTED + genome[s:], s, 0, n)
        bins = range((s - 1 - start) // R, (s + n - start) // R + 1)
        wanted = np.nanmean(np.abs(change[list(bins)]))
        assert row.row == pytest.approx(wanted, abs=2e-5)
        assert wanted > 1e-3
        upper = change[np.triu_indices(BINS)]
        assert row.mse == pytest.approx(np.nanmean(upper**2), rel=1e-3)
        assert row.scd == pytest.approx(np.sqrt(np.nansum(np.triu(change, 2) ** 2)), rel=1e-3)


@pytest.mark.parametrize("kind", ["--edit", "--vcf"])
def test_deletions_in_an_edited_genome(here, tmp_path, kind):
    found = oc.screen.local(
        "a:1,940-2,000",
        model=here / "toy",
        genome=here / "g.fa",
        edits=edits_of(here)[kind],
        replace="delete",
        unit=20,
        per_sequence=1,
        runs=1,
        module="S",
        device="cpu",
        progress=False,
    ).table
    assert len(found) == 3
    genome = text_of(here / "e.fa")
    for row in found.itertuples():
        alternate = genome[: row.start] + genome[row.end :]
        change, start = by_hand(here, tmp_path, alternate, row.start, 20, 0)
        bins = sorted({(b - start) // R for b in (row.start - 1, row.start)})
        wanted = np.nanmean(np.abs(change[bins]))
        assert row.score == pytest.approx(wanted, abs=2e-5)
        assert wanted > 1e-3


def test_the_command_line_takes_edits(here, tmp_path):
    line = ["-q", "screen", "insert", "--insert", "--sources", here / "s.fa", "--device", "cpu"]
    line += ["--sites", here / "sites.bed", "-m", here / "toy", "-g", here / "g.fa"]
    line += ["--vcf", here / "hap.vcf", "--haplotype", "1", "--module", "S", "-o", tmp_path / "o"]
    done = CliRunner().invoke(main, [str(word) for word in line])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "o.parquet").is_file()
