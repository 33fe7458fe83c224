"""Attribution: gradients against finite differences, mutagenesis against `variants`, files, errors."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.errors import ModelError, RegionError
from orca_cool.genome.regions import Region
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import save_bundle
from orca_cool.model.spec import ModelDescription, ModuleSpec
from orca_cool.perturb.gradient import Differentiable, gradient, integrated
from orca_cool.perturb.objective_text import parse_objective
from orca_cool.perturb.watched import Watched

LENGTH = 12_000
ROW, INSULATION = "row a:6,010", "insulation a:6,010"
PIXEL = "pixel a:5,700 a:6,300"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A toy model of two cell types whose window is 5,120 bp, and a genome with a few N."""
    folder = tmp_path_factory.mktemp("attribution")
    spec = make_toy_spec(bins=32, cell_types=("x", "y"), cell_type="")
    tables = {
        name: {
            r: ExpectedModel(r, t.cis * (1 + k), t.trans)
            for r, t in make_toy_expected(spec).items()
        }
        for k, name in enumerate(("x", "y"))
    }
    save_bundle(folder / "toy", make_toy_model(spec), by_cell_type=tables)
    letters = np.random.default_rng(4).choice(list("ACGT"), LENGTH)
    letters[5_990:5_993] = "N"
    (folder / "g.fa").write_text(">a\n" + "".join(letters) + "\n")
    return folder


@pytest.fixture(scope="module")
def toy(folder):
    return oc.Predictor(
        str(folder / "toy"), str(folder / "g.fa"), cell_type="x", any_genome=True, progress=False
    )


def watched(toy, text, level=None) -> Watched:
    return Watched(toy._engine, parse_objective(text), level)


# ---- gradients


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (PIXEL, None),
        (PIXEL, "160"),
        (INSULATION, None),
        ("profile b a:6,010", None),
        ("difference x y rect a:5,700-5,900 a:6,100-6,300", None),
    ],
)
def test_gradient_equals_finite_differences(toy, text, level):
    # longer than a block of the encoder (1,600 bp), so that several blocks take part
    region = Region("a", 5_000, 7_100)
    function = Differentiable(watched(toy, text, level), region, torch.float64)
    _, found = function.gradient(function.bases)
    rng = np.random.default_rng(1)
    size = 1e-5
    strong = found.abs().flatten().argsort(descending=True)[:4].tolist()
    for k in [*strong, *rng.integers(0, found.numel(), 4)]:
        step = torch.zeros_like(function.bases)
        step.view(-1)[int(k)] = size
        slope = function.value(function.bases + step) - function.value(function.bases - step)
        assert float(found.flatten()[int(k)]) == pytest.approx(
            slope / (2 * size), rel=1e-3, abs=1e-8
        )
    assert float(found.abs().max()) > 1e-5


@pytest.mark.parametrize("text", [PIXEL, INSULATION, "profile b a:6,010"])
def test_the_value_is_that_of_the_predicted_map(toy, text):
    found = watched(toy, text)
    function = Differentiable(found, Region("a", 5_900, 6_100))
    if text.startswith("profile"):
        wanted = toy.profiles("a:6,000-6,040")["b"][0]
    else:
        place = f"a:{found.placed.position}"
        m = toy.zoom(place, module="S", edges="real")[found.placed.resolution]
        wanted = float(parse_objective(text)(m))
    assert function.value(function.bases) == pytest.approx(wanted, abs=2e-5)
    assert found.value == pytest.approx(wanted, abs=1e-6)


def test_integrated_gradients_sum_to_the_difference(toy):
    region = Region("a", 5_900, 6_100)
    function = Differentiable(watched(toy, PIXEL), region)
    found, difference, missing = integrated(function)
    quarter = torch.full_like(function.bases, 0.25)
    wanted = function.value(function.bases) - function.value(quarter)
    assert abs(wanted) > 1e-3
    assert difference == pytest.approx(wanted, rel=1e-4)
    assert found.sum() == pytest.approx(wanted, rel=0.01)
    assert missing == pytest.approx(abs(found.sum() - wanted), abs=1e-5)
    assert not found[90:93].any()  # N is what the baseline has


def test_integrated_gradients_of_a_change_sum_to_it(toy):
    function = Differentiable(watched(toy, ROW), Region("a", 5_950, 6_050))
    found, difference, _ = integrated(function)
    assert difference < 0  # at the genome itself nothing is changed
    assert found.sum() == pytest.approx(difference, rel=0.01)


def test_gradient_refuses_the_size_of_a_change(toy):
    with pytest.raises(RegionError, match=r"'row a:6,010'.*gradient is zero at the reference"):
        oc.attribute.gradient(toy, "a:5,900-6,100", ROW)
    assert gradient(Differentiable(watched(toy, PIXEL), Region("a", 6_000, 6_004))).shape == (4, 4)


# ---- mutagenesis


def test_ism_is_what_variants_scores(toy, folder):
    """`row` is log_fold_change, `insulation` is insulation_at, of the same substitution."""
    codes = toy.genome.source.fetch("a", 6_008, 6_012)
    lines, places = [], []
    for k, code in enumerate(codes):
        for b in range(4):
            if b != code:
                lines.append(f"v{k}{b}\ta:{6_008 + k + 1} {'ACGT'[code]}>{'ACGT'[b]}\n")
                places.append((k, b))
    (folder / "my.edits").write_text("".join(lines))
    table = toy.score_variants(str(folder / "my.edits"), module="S", resolutions=[40])
    assert (table["status"] == "ok").all()
    for text, column in ((ROW, "log_fold_change"), (INSULATION, "insulation_at")):
        found = oc.attribute.ism(toy, "a:6,008-6,012", text, resolution=40)
        mine = [found.scores[k, b] for k, b in places]
        np.testing.assert_allclose(mine, table[column], rtol=1e-3, atol=2e-6)
        assert np.abs(mine).max() > 1e-4
        assert not found.scores[np.arange(4), codes].any()


def test_ism_leaves_n_out_and_projects_on_the_reference(toy):
    found = oc.attribute.ism(toy, "a:5,989-5,994", PIXEL)
    assert np.isnan(found.scores[1:4]).all()
    assert np.isfinite(found.scores[[0, 4]]).all()
    np.testing.assert_allclose(found.projected[[0, 4]], -found.scores[[0, 4]].mean(axis=1))
    assert found.matrix["ref"].str.cat() == "".join("ACGTN"[c] for c in found.codes)


def test_a_deletion_is_a_prediction_of_the_edited_genome(toy):
    found = oc.attribute.deletion(toy, "a:6,100-6,140", PIXEL, width=20)
    assert found.matrix["start"].tolist() == [6_100, 6_120]
    where = watched(toy, PIXEL).placed
    for (start, end), change in zip(found.units, found.scores):
        edited = toy.edit(f"a:{start}-{end} del")
        # the objective's first position stays, the second moves
        moved = parse_objective("pixel a:5,700 a:6,280")
        m = edited.zoom(f"a:{where.position}", module="S", edges="real")[where.resolution]
        assert change == pytest.approx(float(moved(m)) - found.value, abs=1e-5)
    np.testing.assert_allclose(found.projected, -np.repeat(found.scores, 20))


def test_a_shuffle_is_the_mean_of_its_runs(toy):
    region = "a:6,100-6,140"
    both = oc.attribute.shuffle(toy, region, PIXEL, width=20, runs=2, seed=5)
    first = oc.attribute.shuffle(toy, region, PIXEL, width=20, runs=1, seed=5)
    alone = oc.attribute.shuffle(toy, "a:6,120-6,140", PIXEL, width=20, runs=2, seed=5)
    assert alone.scores[0] == pytest.approx(both.scores[1], abs=1e-7)
    second = []
    for start in (6_100, 6_120):
        codes = toy.genome.source.fetch("a", start, start + 20)
        new = np.random.default_rng([5, 1, start]).permutation(codes)
        text = "".join("ACGTN"[c] for c in new)
        assert sorted(new) == sorted(codes)
        where = watched(toy, PIXEL).placed
        edited = toy.edit(f"a:{start}-{start + 20} sub {text}")
        m = edited.zoom(f"a:{where.position}", module="S", edges="real")[where.resolution]
        second.append(float(parse_objective(PIXEL)(m)) - both.value)
    np.testing.assert_allclose(2 * both.scores - first.scores, second, atol=1e-5)


def test_an_edited_genome_is_attributed(toy):
    edited = toy.edit("a:6,300-6,310 del")
    found = oc.attribute.ism(edited, "a:6,000-6,001", PIXEL)
    where = watched(edited, PIXEL).placed
    code = int(toy.genome.source.fetch("a", 6_000, 6_001)[0])
    other = (code + 1) % 4
    both = toy.edit(f"a:6,300-6,310 del; a:6,001 {'ACGT'[code]}>{'ACGT'[other]}")
    m = both.zoom(f"a:{where.position}", module="S", edges="real")[where.resolution]
    wanted = float(parse_objective(PIXEL)(m)) - found.value
    assert found.scores[0, other] == pytest.approx(wanted, abs=1e-5)


# ---- files


def run(folder, *arguments, region="a:5,980-6,020", objective=PIXEL):
    line = ["-q", "attribute", region, "--objective", objective, "-m", folder / "toy"]
    line += ["-g", folder / "g.fa", "--any-genome", *arguments]
    return CliRunner().invoke(main, [str(a) for a in line])


def test_the_verb_writes_table_track_and_picture_for_each_cell_type(toy, folder):
    pytest.importorskip("logomaker", reason="logomaker is not installed (orca-cool[perturb])")
    pybigwig = pytest.importorskip("pyBigWig")
    parquet = pytest.importorskip("pyarrow.parquet")
    result = run(folder, "-o", folder / "out")
    assert result.exit_code == 0, result.output
    endings = (".tsv.gz", ".parquet", ".bw", *(f".{b}.bw" for b in "ACGT"), ".png")
    names = [f"out.{cell_type}{ending}" for cell_type in "xy" for ending in endings]
    assert [line.rsplit("/", 1)[1] for line in result.stdout.splitlines()] == names
    wanted = oc.attribute.gradient(toy, "a:5,980-6,020", PIXEL)
    table = pd.read_csv(folder / "out.x.tsv.gz", sep="\t", comment="#")
    np.testing.assert_allclose(table[list("ACGT")], wanted.scores, rtol=1e-4, atol=1e-9)
    assert table["start"].tolist() == list(range(5_980, 6_020))
    exact = parquet.read_table(folder / "out.x.parquet")
    about = json.loads(exact.schema.metadata[b"orca_cool"])
    assert about["objective"] == PIXEL
    assert about["format"] == "orca-cool attribution"
    np.testing.assert_allclose(
        exact.to_pandas()[list("ACGT")], wanted.scores, rtol=1e-5, atol=1e-12
    )
    for k, base in enumerate("ACGT"):
        with pybigwig.open(str(folder / f"out.x.{base}.bw")) as track:
            values = track.values("a", 5_980, 6_020)
        np.testing.assert_allclose(values, wanted.scores[:, k], rtol=1e-4, atol=1e-9)
    with pybigwig.open(str(folder / "out.x.bw")) as track:
        assert track.chroms() == {"a": LENGTH}
        values = track.values("a", 5_980, 6_020)
        np.testing.assert_allclose(values, wanted.projected, rtol=1e-4, atol=1e-9)
        assert track.values("a", 5_979, 5_980) == pytest.approx([np.nan], nan_ok=True)
    assert (folder / "out.x.png").read_bytes()[:4] == b"\x89PNG"
    assert not list(folder.glob(".*partial"))
    again = run(folder, "-o", folder / "out")
    assert again.exit_code == 2
    assert "exists; use --force" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        ([], {"objective": "dot a:100 b:200"}, "'a' and 'b'; only pixel and rect may be of two"),
        ([], {"objective": "pixel a:100 b:200"}, "b:200-201: there is no chromosome 'b'"),
        ([], {"objective": "pixel a:100 a:20,000"}, "lies outside a, which is 12,000 bp long"),
        ([], {"objective": "pixel b:100 b:200"}, "there is no chromosome 'b'"),
        (
            ["--resolution", "160"],
            {"objective": "pixel a:100 a:9,000"},
            "'pixel a:100 a:9,000' is beyond the reach",
        ),
        (
            ["--resolution", "40"],
            {"objective": "pixel a:5,000 a:7,000"},
            "beyond the reach of level 40",
        ),
        (["--resolution", "41"], {}, "no level '41'"),
        ([], {"objective": "dot a:6,000 a:6,100"}, "2 bins of 40 bp apart, fewer than 6"),
        ([], {"objective": "pixel a:5,991 a:6,300", "region": "a:10-90"}, "'a:10-90' lies outside"),
        ([], {"objective": "profile z a:6,000"}, "no profile 'z'; it has: a, b"),
        ([], {"objective": "difference x z pixel a:1 a:2"}, "no cell type 'z'; it has: x, y"),
        ([], {"objective": ROW}, "gradient is zero at the reference"),
        ([], {"region": "a:90-10"}, "'a:90-10' is reversed"),
        (["--width", "5"], {}, "only for deletion and shuffle, not for 'gradient'"),
        (["--method", "ism", "--seed", "5"], {}, "only for shuffle and expected, not for 'ism'"),
        (["--baselines", "5"], {}, "only for expected, not for 'gradient'"),
        (["--dtype", "bfloat16"], {}, "'bfloat16': gradients are float32"),
        (["--cell-type", "y"], {"objective": "difference x y pixel a:1 a:2"}, "leave out cell"),
        (["--method", "deletion", "--width", "50"], {}, "shorter than one unit of 50 bp"),
    ],
)
def test_bad_input_is_one_line_that_quotes_it(folder, monkeypatch, arguments, changes, message):
    for package in ("logomaker", "pyarrow", "pyarrow.parquet"):  # which come last
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    cell_type = [] if "difference" in changes.get("objective", "") else ["--cell-type", "x"]
    result = run(folder, "-o", folder / "bad", *cell_type, *arguments, **changes)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert len([line for line in result.stderr.splitlines() if "warning" not in line]) == 1
    assert not list(folder.glob("bad*"))


def test_a_model_of_whole_windows_is_refused(toy):
    class Flat:
        spec = ModelDescription("flat", bins=8, modules=(ModuleSpec("w", (40,)),))
        digest, context, capabilities = "0" * 64, 0, frozenset()

        def expected(self, module):
            return ExpectedModel(40, np.full(8, 0.1))

        def predict(self, codes):
            return np.zeros((len(codes), 8, 8), np.float32)

    flat = oc.Predictor(Flat(), toy.genome, any_genome=True, progress=False)
    for method in (oc.attribute.gradient, oc.attribute.ism):
        with pytest.raises(ModelError, match="'flat' predicts whole windows by itself"):
            method(flat, "a:5,980-6,020", PIXEL)


@pytest.mark.parametrize("package", ["logomaker", "pyBigWig", "pyarrow"])
def test_a_missing_package_names_the_extra(folder, monkeypatch, package):
    for other in ("logomaker", "pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, other, ModuleType(other))
    monkeypatch.setitem(sys.modules, package, None)
    result = run(folder, "-o", folder / "none", "--cell-type", "x")
    assert result.exit_code == 2
    extra = "parquet" if package == "pyarrow" else "perturb"
    assert f"'{package}', which is not installed: pip install 'orca-cool[{extra}]'" in result.stderr
