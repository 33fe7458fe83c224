"""Screens of motifs: scores of hits and backgrounds, the table of motifs, and a known truth."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import save_model_of_two_cell_types
from scipy.stats import mannwhitneyu, spearmanr, wilcoxon

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.genome.regions import Region
from orca_cool.journal import Journal
from orca_cool.perturb.screen_plan import apart

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "world"))

import rules

REGION = "a:2,000-2,400"
#: Two motifs; hits of the second overlap each other and one of the first.
HITS = [
    *("first", 2010), *("first", 2100), *("first", 2222), *("first", 2300),
    *("second", 2104), *("second", 2111), *("second", 2350),
]  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two cell types, a genome, and a BED of hits of 10 bp."""
    folder = tmp_path_factory.mktemp("motifs")
    save_model_of_two_cell_types(folder)
    letters = np.random.default_rng(5).choice(list("ACGT"), 6010)
    (folder / "g.fa").write_text(f">a\n{''.join(letters)}\n")
    rows = zip(HITS[::2], HITS[1::2])
    (folder / "hits.bed").write_text("".join(f"a\t{s}\t{s + 10}\t{m}\t3.5\t-\n" for m, s in rows))
    return folder


def screen(here: Path, regions=REGION, **options):
    options = {"module": "S", "runs": 2, "device": "cpu", "motifs": here / "hits.bed"} | options
    return oc.screen.motifs(
        regions, model=here / "two", genome=here / "g.fa", progress=False, **options
    )


def test_hits_and_backgrounds_score_as_sites_and_the_table_compares_them(here, tmp_path):
    out = tmp_path / "o"
    found = screen(here, output=out)
    assert found.names == ["x", "y"]
    hits = found.hits
    assert sorted(zip(hits["motif"], hits["start"])) == sorted(zip(HITS[::2], HITS[1::2]))
    assert set(hits["strand"]) == {"-"}
    assert set(hits["bits"]) == {3.5}

    places = [*zip(hits["start"], hits["end"])]
    places += [*zip(hits["background_start"], hits["background_end"])]
    bed = tmp_path / "sites.bed"
    bed.write_text("".join(f"a\t{a}\t{b}\n" for a, b in dict.fromkeys(places)))
    sites = oc.screen.local(
        model=here / "two", genome=here / "g.fa", sites=bed, per_sequence=1, runs=2, module="S",
        replace="shuffle", aggregate="mean", device="cpu", progress=False,
    ).table.set_index("start")  # fmt: skip
    for name in "xy":
        for column, at in ((name, "start"), (f"{name}.background", "background_start")):
            np.testing.assert_array_equal(hits[column], sites[name].loc[hits[at]])
    assert sites["x"].min() > 1e-4

    table = found.table
    assert list(table.columns) == "motif A B n mean_A mean_B difference p q".split()
    assert Counter(zip(table["A"], table["B"])) == {
        ("x", "x.background"): 2,
        ("y", "y.background"): 2,
        ("x", "y"): 2,
    }
    for row in table.itertuples():
        its = hits[hits["motif"] == row.motif]
        if row.B == "y":
            a, b = (its[n] - its[f"{n}.background"] for n in "xy")
            p = wilcoxon(a, b).pvalue
        else:
            a, b = its[row.A], its[row.B]
            p = mannwhitneyu(a, b).pvalue
        assert row.n == len(its)
        np.testing.assert_allclose(
            [row.mean_A, row.mean_B, row.difference, row.p],
            [np.mean(a), np.mean(b), np.mean(a) - np.mean(b), p],
        )
    for _, part in table.groupby(["A", "B"]):
        small, large = sorted(part["p"])
        np.testing.assert_allclose(sorted(part["q"]), [min(2 * small, large), large])

    assert {p.name for p in tmp_path.iterdir()} == {
        *("o.motifs.tsv", "o.hits.tsv", "o.json", "sites.bed")
    }
    pd.testing.assert_frame_equal(pd.read_csv(f"{out}.motifs.tsv", sep="\t"), table, rtol=1e-6)
    read = pd.read_csv(f"{out}.hits.tsv", sep="\t")
    np.testing.assert_allclose(read["x.background"], hits["x.background"], rtol=1e-6)
    about = json.loads((tmp_path / "o.json").read_text())
    wanted = {"hits": 7, "motifs": 2, "hits_without_background": 0, "units": 14, "sequences": 28}
    assert wanted.items() <= about.items()


def test_units_that_overlap_never_share_a_sequence(here):
    units = [Region("a", s, s + 10) for s in (0, 4, 8, 10, 14, 40)]
    found = apart(units, range(6))
    assert sorted(k for layer in found for k in layer) == list(range(6))
    for layer in found:
        assert all(units[a].end <= units[b].start for a, b in zip(layer, layer[1:]))
    both = screen(here, per_sequence=3, cell_type="x")
    assert both.names == ["score"]
    assert np.isfinite(both.hits[["score", "score.background"]].to_numpy()).all()
    assert list(both.table["B"].unique()) == ["score.background"]


class Stop(BaseException):
    """As a kill: nothing catches it."""


def test_killed_and_gone_on_is_as_not_killed(here, tmp_path, monkeypatch):
    options = {"per_sequence": 3, "cell_type": "y"}
    screen(here, output=tmp_path / "whole", **options)
    add, done = Journal.add, []

    def stopping(self, entry):
        add(self, entry)
        done.append(entry)
        if len(done) == 4:
            raise Stop

    monkeypatch.setattr(Journal, "add", stopping)
    with pytest.raises(Stop):
        screen(here, output=tmp_path / "cut", **options)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("cut")] == ["cut.partial"]
    screen(here, output=tmp_path / "cut", **options)
    assert len(done) == json.loads((tmp_path / "whole.json").read_text())["sequences"]
    for end in ("motifs.tsv", "hits.tsv", "json"):
        assert (tmp_path / f"cut.{end}").read_bytes() == (tmp_path / f"whole.{end}").read_bytes()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("# nothing\nMA0139 CTCF\n", REGION, "'MA0139 CTCF' is neither JASPAR (>ID), MEME"),
        (">m\nA [ 1 ]\nC [ 1 ]\nG [ 1 ]\nT [ 1 ]\n", "", "give a REGION in which to look"),
        (">m\nA [ 1 ]\nC [ 1 ]\nG [ 1 ]\nT [ 1 ]\n", REGION, "has no hit in a:2,000-2,400"),
        (
            ">m\nA [ 1 ]\nC [ 1 ]\nG [ 1 ]\nT [ 1 ]\n",
            f"{REGION} --threshold 2",
            "--threshold 2.0 is no p-value",
        ),
        ("a\t10\t20\tm\n", REGION, "has no hit in a:2,000-2,400"),
        ("a\t10\t20\tm\n", "a:1-7,000", "'a:1-7,000' lies outside a, which is 6,010 bp long"),
    ],
)
def test_one_line_that_quotes_it(here, tmp_path, text, line, words):
    motifs = tmp_path / "m.txt"
    motifs.write_text(text)
    options = ["-m", str(here / "two"), "-g", str(here / "g.fa"), "-o", str(tmp_path / "o")]
    command = ["-q", "screen", "motifs", *line.split(), "--motifs", str(motifs), *options]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.stderr.split())
    assert [p.name for p in tmp_path.iterdir()] == ["m.txt"]


def write_ctcf(path: Path) -> Path:
    """The matrix by whose rules the simulated world was made, as JASPAR writes it."""
    rows = (" ".join(f"{n:.0f}" for n in column) for column in rules.CTCF.T)
    lines = [f"{base} [ {row} ]" for base, row in zip("ACGT", rows)]
    path.write_text("\n".join([">MA0139.1 CTCF", *lines]) + "\n")
    return path


@pytest.mark.slow
def test_the_motif_of_the_simulated_world_holds_its_contacts_and_the_more_the_stronger(tmp_path):
    """Its model was never shown the matrix."""
    found = oc.screen.motifs(
        "chr70:500,000-800,000",
        motifs=write_ctcf(tmp_path / "ctcf.jaspar"),
        model="extrusion",
        genome="extrusion-example",
        cell_type="a",
        runs=1,
        device="cpu",
        progress=False,
    )
    (row,) = found.table.itertuples()
    assert row.motif == "MA0139.1 CTCF"
    assert row.n >= 10
    assert row.mean_A > 20 * row.mean_B
    assert row.q < 1e-3
    # the rule of the world: bits of its own matrix, against a quarter of each base
    genome = oc.open_genome("extrusion-example").source
    codes = [genome.fetch(h.chrom, h.start, h.end) for h in found.hits.itertuples()]
    bits = np.array([rules.ctcf_scores(c).max() for c in codes])
    assert spearmanr(bits, found.hits["score"]).statistic > 0.7
    strength = rules.strength_of(bits)
    strong, weak = (found.hits["score"][part].mean() for part in (strength > 0.8, strength < 0.2))
    assert strong > 3 * weak
