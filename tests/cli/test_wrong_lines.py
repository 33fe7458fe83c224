"""Command lines as they are typed in haste: one line that says what to do, exit code 2, no file."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from orca_cool.cli import main

MAP = Path(__file__).resolve().parents[2] / "orca_cool" / "data" / "maps" / "yeast.10kb.mcool"
ON = "-m yeast-metaphase -g example"
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
FILES = {
    "empty.vcf": "",
    "header.vcf": HEADER,
    "fake.vcf.gz": "no gzip at all",
    "text.mcool": "hello",
    "bad.bed": "chrII\t100\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("haste")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "nothing").mkdir()
    return folder


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("predic chrII", "No such command 'predic'. Did you mean 'predict'?"),
        ("xyzzy", "No such command 'xyzzy'. There are: predict, variants"),
        (f"predict chr2 {ON} -o x.mcool", "no chromosome 'chr2'; did you mean 'chrII'?"),
        ("predict chrII -m example -g yeast-metaphase -o x.mcool", "that is a genome (--genome)"),
        ("predict chrII -m hg38.fa.gz -g h1esc -o x.mcool", "that is a genome (--genome)"),
        (f"predict chrII {ON} --levels 2kb -o x.mcool", "no level '2kb'; it has: 2000 (256k)"),
        (f"predict {ON} --view bad.bed -o x.mcool", "bad.bed', line 1"),
        (f"predict {ON} --vcf empty.vcf -o x.mcool", "the file is empty"),
        (f"predict chrII {ON} -o x.txt", "must end in .mcool"),
        (f"variants header.vcf {ON} -o t.tsv", "'header.vcf' holds no variant"),
        (f"variants fake.vcf.gz {ON} -o t.tsv", "'fake.vcf.gz' is not VCF 4"),
        (f'variants --edit "chrII:5 A>G" {ON} --module 3M -o t.tsv', "no module '3M'"),
        (
            f'variants --edit "chrII:5 A>G" {ON} --summary --rank-by best -o t.tsv',
            "log_fold_change",
        ),
        ("check nothing", "'nothing' is a folder; give an .mcool"),
        ("check text.mcool", "'text.mcool' is not an .mcool: it is no HDF5"),
        ("models import nothing", "give the folder of the released resources or of a model"),
        ("models import text.mcool", "is not a sound tar archive: it is none, in no compression"),
        ("models export yeast-metaphase -o x.tar.gz", "is written as a folder or a .zip"),
        ("expected MAP --exclude chr2 -o e", "did you mean 'chrII'?"),
        ("plot MAP -o p.png", "a measured map where one is asked for (plot --observed)"),
        ("serve -m yeast-metaphase -g example --with text.mcool --port 0", "it is no HDF5"),
        (f"variants header.vcf {ON} --haplotype x -o t.tsv", "Did you mean '--genotype'?"),
        (f"predict chrII {ON} --threads 2 -o x.mcool", "Did you mean '--nproc'?"),
        (f"predict chrII {ON} --levle 2000 -o x.mcool", "Did you mean '--levels'?"),
        (f"predict chrII {ON} --zzz -o x.mcool", "Error: No such option '--zzz'."),
        (f"predict chrXVII {ON} -o x.mcool", "no chromosome 'chrXVII'; it has: chrI, chrII"),
    ],
)
def test_wrong_lines(folder, tmp_path, monkeypatch, line, words):
    pytest.importorskip("cyvcf2")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ORCA_COOL_HOME", str(tmp_path))
    done = CliRunner().invoke(main, shlex.split(line.replace("MAP", str(MAP))))
    assert done.exit_code == 2, done.output
    last = done.output.replace("\r", "\n").strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert words in last
    assert len(last) < 1000
    assert {path.name for path in folder.iterdir()} == {*FILES, "nothing"}
