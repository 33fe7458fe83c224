"""What a screen refuses: one line that quotes it, exit code 2, and nothing is written."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import psutil
import pytest
from click.testing import CliRunner

from orca_cool.cli import main
from orca_cool.errors import EditError
from orca_cool.genome.regions import Region
from orca_cool.perturb.screen_plan import require_memory

BEDS = {
    "overlap.bed": "a\t100\t120\na\t110\t130\n",
    "far.bed": "q\t100\t120\n",
    "none.bed": "b\t10\t20\n",
    "all.bed": "a\t0\t9010\n",
}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q:100-200", "'q:100-200': there is no chromosome 'q'"),
        ("a:100-105", "'a:100-105' is shorter than one unit of 10 bp"),
        ("a:100-400 a:300-500", "a:100-400 and a:300-500 overlap"),
        ("a:100-9999", "'a:100-9999' lies outside a, which is 9,010 bp long"),
        ("a:100-200 --unit 0", "'0' is less than 1 bp"),
        ("a:1000-2000 --unit 1kb --module S", "does not fit the window of 640 bp"),
        ("a:100-200 --replace delete", "give --per-sequence 1"),
        ("a:100-200 --width 20 --step 10", "'a:100-120' and 'a:110-130' overlap"),
        ("--sites overlap.bed", "'a:100-120' and 'a:110-130' overlap"),
        ("--sites far.bed", "there is no chromosome 'q'"),
        ("a:100-200 --sites none.bed", "holds no site in a:100-200"),
        ("--sites missing.bed", "missing.bed"),
        ("a:100-200 --sites none.bed --width 5", "--width and --step tile a REGION"),
        ("", "give a REGION or --sites BED"),
        ("a:100-200 --preset orca", "'1M'"),
        ("a:100-200 --between z", "--between 'z': there is no such chromosome"),
        ("a:100-200 --between a", "the unit 'a:100-110' lies on the chromosome of --between 'a'"),
        ("a:100-200 --between b --module S", "module 'S' reads one; of model 'toy' G could"),
        ("a:100-200 --between b --resolution 40", "of the level 640 of module 'G' alone"),
        ("a:100-200 --between b --strands forward", "'b' is scored on both strands, not forward"),
        ("a:100-200 --between b --preset orca", "'b' is scored on both strands, not forward"),
        ("a:100-200 --between b --replace delete --per-sequence 1", "leave out --between"),
        ("a:100-200 --between b", "can be scored: b is mostly N, or beyond the chromosome's end"),
        ("a:100-200 --module S --resolution 320", "level '320' is not of module 'S'"),
        ("a:100-200 --mask all.bed", "mostly masked by 'all.bed'"),
        ("a:100-200 --runs 0", "--runs 0 is less than 1"),
        ("a:100-200 --seed -1", "--seed -1 is negative"),
        ("gap:0-100", "none of the units gap:0-10, gap:10-20, gap:20-30"),
    ],
)
def test_one_line_that_quotes_it(place, tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    for name, text in BEDS.items():
        (tmp_path / name).write_text(text)
    letters = "".join((place / "toy.fa").read_text().split(">b")[0].split("\n")[1:])
    (tmp_path / "g.fa").write_text(
        f">a\n{letters}\n>b\nACGTTGCAACGTACGGTTACGGATCC\n>gap\n{'N' * 900}\n"
    )
    before = {p.name for p in tmp_path.iterdir()}
    options = ["-m", str(place / "toy"), "-g", "g.fa", "--device", "cpu", "-o", "o"]
    done = CliRunner().invoke(main, ["-q", "screen", "local", *line.split(), *options])
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.stderr.split())
    assert done.stderr.rstrip().splitlines()[-1].startswith("Error: ")
    assert {p.name for p in tmp_path.iterdir()} - before <= {"g.fa.fai"}


def test_units_of_a_genome_that_do_not_fit_into_memory(monkeypatch):
    """Chromosome 1 of hg38 has 24,895,642 units of 10 bp; three runs are 24 bytes each."""
    chr1 = [Region("chr1", 0, 248_956_422)]
    free = SimpleNamespace(available=24_895_642 * 324)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    require_memory(chr1, 10, 10, 3)
    free.available -= 1
    with pytest.raises(EditError, match="24,895,642 units take about 8 GB of memory, 8 GB are fr"):
        require_memory(chr1, 10, 10, 3)
    free.available = 0
    require_memory([Region("chr1", 0, 9_999_990)], 10, 10, 3)  # nobody asks


def test_files_that_exist_and_a_missing_library(place, tmp_path, monkeypatch):
    options = ["-m", str(place / "toy"), "-g", str(place / "toy.fa"), "--device", "cpu"]
    line = ["-q", "screen", "local", "a:100-200", *options, "-o", str(tmp_path / "o")]
    (tmp_path / "o.bw").write_text("mine")
    done = CliRunner().invoke(main, line)
    assert done.exit_code == 2
    assert "o.bw exists; use --force to replace it" in done.stderr
    assert (tmp_path / "o.bw").read_text() == "mine"
    (tmp_path / "o.bw").unlink()
    monkeypatch.setitem(sys.modules, "pyBigWig", None)
    done = CliRunner().invoke(main, line)
    assert done.exit_code == 2
    assert "pip install 'orca-cool[perturb]'" in done.stderr
    assert not list(tmp_path.iterdir())
