"""The difference of two models: what each alone says, subtracted; wrong pairs."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.errors import ModelError
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import save_bundle

REGION, PIXEL = "a:5,990-6,000", "pixel a:5,700 a:6,300"
DIFFERENCE = f"difference one two {PIXEL}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two toy models with networks of their own, and a genome."""
    folder = tmp_path_factory.mktemp("two")
    for seed, name in enumerate(("one", "two")):
        spec = make_toy_spec(bins=32, name=name)
        tables = {
            r: ExpectedModel(r, t.cis * (1 + seed), t.trans)
            for r, t in make_toy_expected(spec).items()
        }
        save_bundle(folder / name, make_toy_model(spec, 1 + seed), tables)
    letters = np.random.default_rng(4).choice(list("ACGT"), 12_000)
    (folder / "g.fa").write_text(">a\n" + "".join(letters) + "\n")
    return folder


@pytest.fixture(scope="module")
def both(folder):
    return [
        oc.Predictor(
            str(folder / name), str(folder / "g.fa"), any_genome=True, progress=False, device="cpu"
        )
        for name in ("one", "two")
    ]


@pytest.mark.parametrize("method", ["gradient", "shuffle"])
def test_it_is_what_each_says_subtracted(both, method):
    ask = getattr(oc.attribute, method)
    one, two = (ask(p, REGION, PIXEL) for p in both)
    assert np.abs(one.scores - two.scores).max() > 0.01 * np.abs(one.scores).max()
    for models in (both, both[::-1]):  # the objective says which is which
        found = ask(models, REGION, DIFFERENCE)
        wanted = one.scores - two.scores
        np.testing.assert_allclose(found.scores, wanted, atol=1e-5 * np.abs(wanted).max())
        assert found.value == pytest.approx(one.value - two.value)
        assert found.about["model"] == "one less two"


def run(folder, *arguments, objective=DIFFERENCE, models=("one", "two")):
    line = ["-q", "attribute", REGION, "--objective", objective, "-g", folder / "g.fa"]
    line += [word for name in models for word in ("-m", folder / name)]
    line += ["--any-genome", *arguments]
    return CliRunner().invoke(main, [str(a) for a in line])


def test_the_verb_takes_two_models(folder, both):
    for package in ("logomaker", "pyBigWig", "pyarrow"):
        pytest.importorskip(package)
    result = run(folder, "-o", folder / "out")
    assert result.exit_code == 0, result.output
    one, two = (oc.attribute.gradient(p, REGION, PIXEL) for p in both)
    table = pd.read_csv(folder / "out.tsv.gz", sep="\t", comment="#")
    wanted = one.scores - two.scores
    np.testing.assert_allclose(table[list("ACGT")], wanted, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": PIXEL}, f"'{PIXEL}' is of one model; with two models it is written as"),
        ({"objective": f"difference one three {PIXEL}"}, "the models are 'one' and 'two'"),
        ({"models": ("one", "two", "one")}, "3 models are given; there may be one or two"),
        ({"models": ("one",)}, "no cell type 'one'"),
        ({"models": ("one", "one")}, "one' is given twice"),
        ({"more": ("--store", "here.zarr")}, "the store 'here.zarr' holds the encodings of one"),
    ],
)
def test_pairs_that_do_not_fit_are_one_line(folder, monkeypatch, changes, message):
    for package in ("logomaker", "pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    result = run(folder, "-o", folder / "bad", *changes.pop("more", ()), **changes)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert len([line for line in result.stderr.splitlines() if "warning" not in line]) == 1
    assert not list(folder.glob("bad*"))


def test_python_refuses_three_and_two_genomes(both, folder):
    with pytest.raises(ModelError, match="3 models are given"):
        oc.attribute.gradient([*both, both[0]], REGION, DIFFERENCE)
    (folder / "short.fa").write_text(">a\n" + "ACGT" * 2_900 + "\n")
    other = oc.Predictor(
        str(folder / "two"), str(folder / "short.fa"), any_genome=True, progress=False
    )
    with pytest.raises(ModelError, match="genomes 'g' and 'short'"):
        oc.attribute.gradient([both[0], other], REGION, DIFFERENCE)
