"""A given track decides the sign of E1 in place of G+C: its inverse turns over objective, track and
score.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyBigWig
import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.model.bundle import save_bundle

SIZES = {"a": 6010, "b": 600}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a genome, and tracks of 10 bp: the share of A and T (a bigWig), that of G and C (a
    bedGraph), one of chromosome c alone, and one of the first bases alone.
    """
    folder = tmp_path_factory.mktemp("phasing")
    spec = make_toy_spec()
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    random = np.random.default_rng(5)
    genome = {c: "".join(random.choice(list("ACGT"), n)) for c, n in SIZES.items()}
    (folder / "g.fa").write_text("".join(f">{c}\n{text}\n" for c, text in genome.items()))
    rows = [
        (c, k, k + 10, sum(x in "GC" for x in text[k : k + 10]) / 10)
        for c, text in genome.items()
        for k in range(0, len(text), 10)
    ]
    (folder / "gc.bedgraph").write_text("".join(f"{c}\t{s}\t{e}\t{v}\n" for c, s, e, v in rows))
    with pyBigWig.open(str(folder / "at.bw"), "w") as out:
        out.addHeader(list(SIZES.items()))
        for c in SIZES:
            _, starts, ends, values = zip(*(row for row in rows if row[0] == c), strict=True)
            out.addEntries(
                [c] * len(starts), list(starts), ends=list(ends), values=[1 - v for v in values]
            )
    (folder / "c.bedgraph").write_text("c\t0\t100\t0.5\n")
    (folder / "start.bedgraph").write_text("a\t0\t10\t0.5\nb\t0\t10\t0.5\n")
    (folder / "peaks.bed").write_text("a\t0\t10\tpeak\n")
    (folder / "s.fa").write_text(f">s\n{genome['a'][5000:5030]}\n")
    (folder / "sites.bed").write_text("a\t2000\t2001\na\t2611\t2612\n")
    return folder


@pytest.fixture(scope="module")
def predictor(here):
    return oc.Predictor(here / "toy", here / "g.fa", device="cpu", progress=False)


def test_an_objective_is_turned_over(here, predictor):
    found = {
        name: oc.attribute.gradient(
            predictor, "b:100-160", "e1 b:130", phasing_track=here / name if name else None
        )
        for name in ("", "gc.bedgraph", "at.bw")
    }
    plain = found[""]
    assert np.abs(plain.scores).max() > 1e-4
    assert plain.value != 0
    np.testing.assert_array_equal(found["gc.bedgraph"].scores, plain.scores)
    np.testing.assert_array_equal(found["at.bw"].scores, -plain.scores)
    assert (found["gc.bedgraph"].value, found["at.bw"].value) == (plain.value, -plain.value)
    assert Path(found["at.bw"].about["phasing_track"]).name == "at.bw"


def test_a_score_is_turned_over(here):
    def signed(**options):
        return oc.screen.insert(
            here / "s.fa",
            here / "sites.bed",
            model=here / "toy",
            genome=here / "g.fa",
            module="S",
            scores="signed",
            device="cpu",
            progress=False,
            **options,
        ).table["signed"]

    for overwrite in (True, False):
        plain = signed(overwrite=overwrite)
        assert plain.abs().min() > 1e-5
        for name, sign in (("gc.bedgraph", 1), ("at.bw", -1)):
            found = signed(overwrite=overwrite, phasing_track=here / name)
            np.testing.assert_array_equal(found, sign * plain)


def test_a_track_is_turned_over(here, tmp_path):
    tracks = {}
    for name in ("", "gc.bedgraph", "at.bw"):
        out = tmp_path / f"x{name}.mcool"
        line = ["predict", "-q", "b", "-m", here / "toy", "-g", here / "g.fa", "--device", "cpu"]
        line += ["--tracks", "e1", "-o", out, *(["--phasing-track", here / name] if name else [])]
        done = CliRunner().invoke(main, [str(word) for word in line])
        assert done.exit_code == 0, done.output
        with pyBigWig.open(str(tmp_path / f"x{name}.e1.bw")) as file:
            tracks[name] = np.array(file.values("b", 0, SIZES["b"]))
    assert np.nanmax(np.abs(tracks[""])) > 0.1
    np.testing.assert_array_equal(tracks["gc.bedgraph"], tracks[""])
    np.testing.assert_array_equal(tracks["at.bw"], -tracks[""])


PREDICT = "predict b --tracks e1 -o o.mcool"
ATTRIBUTE = "attribute b:100-160 --objective e1_b:130 -o o"
INSERT = "screen insert --sources s.fa --sites sites.bed --scores signed --module S -o o"


@pytest.mark.parametrize("line", [PREDICT, ATTRIBUTE, INSERT, f"{INSERT} --insert"])
@pytest.mark.parametrize(
    ("track", "words"),
    [
        ("c.bedgraph", "phasing track 'c.bedgraph' has no chromosome"),
        ("start.bedgraph", "so that E1 has no sign there"),
        ("peaks.bed", "'peak' is no number"),
        ("missing.bw", "'missing.bw' cannot be read"),
        ("g.fa", "is not bedGraph"),
    ],
)
def test_tracks_that_cannot_be_used(here, tmp_path, monkeypatch, line, track, words):
    monkeypatch.chdir(here)
    before = set(here.iterdir())
    words_of = [word.replace("e1_", "e1 ") for word in line.split()]
    more = ["-m", "toy", "-g", "g.fa", "--device", "cpu", "--phasing-track", track]
    done = CliRunner().invoke(main, [*words_of, *more, "-q"])
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.stderr.split())
    assert done.stderr.rstrip().splitlines()[-1].startswith("Error: ")
    assert set(here.iterdir()) - before <= {here / "g.fa.fai"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (PREDICT.replace("e1", "insulation"), "'at.bw' orients E1; it needs --tracks e1"),
        (ATTRIBUTE.replace("e1", "row"), "which objective 'row b:130' does not read"),
        (INSERT.replace("signed", "row"), "is for the score signed"),
        (INSERT.replace("sites.bed", "background:0.4:2"), "is for the score signed"),
    ],
)
def test_where_it_would_do_nothing_it_is_an_error(here, monkeypatch, line, words):
    monkeypatch.chdir(here)
    words_of = [word.replace("row_", "row ") for word in line.split()]
    if "attribute" in line:
        words_of += ["--method", "ism"]
    more = ["-m", "toy", "-g", "g.fa", "--device", "cpu", "--phasing-track", "at.bw"]
    done = CliRunner().invoke(main, [*words_of, *more, "-q"])
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.stderr.split())
