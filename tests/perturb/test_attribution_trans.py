"""Attribution by modules that read several chromosomes: the value against what `predict` writes,
gradients against finite differences, changes against predictions of edited genomes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.errors import RegionError
from orca_cool.genome.composition import gc_of_bins
from orca_cool.genome.regions import Region
from orca_cool.maps.coolfile import read_log_ratio
from orca_cool.maps.tracks import first_eigenvector
from orca_cool.model.bundle import save_bundle
from orca_cool.perturb.gradient import Differentiable
from orca_cool.perturb.objective_text import parse_objective
from orca_cool.perturb.watched import Watched

#: "a" and "c" fit one input of 10,240 bp, "a" and "b" do not.
SIZES = {"a": 6_010, "b": 4_990, "c": 2_900}
PIXEL = "pixel c:1,000 a:3,000"
RECT = "rect a:2,000-4,000 c:600-1,900"
FAR = "pixel a:5,500 b:4,000"
WITHIN = "pixel c:500 c:2,500"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A toy model, one of its module of single chromosomes alone, and a genome."""
    folder = tmp_path_factory.mktemp("trans")
    spec = make_toy_spec()
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    several = make_toy_spec("several", modules=spec.modules[1:2], pyramids=spec.pyramids)
    save_bundle(folder / "several", make_toy_model(several), make_toy_expected(several))
    turned = dataclasses.replace(several, name="centred", placement="centred")
    save_bundle(folder / "centred", make_toy_model(turned), make_toy_expected(turned))
    single = make_toy_spec("single", modules=spec.modules[:1], pyramids={"p1": spec.pyramids["p1"]})
    save_bundle(folder / "single", make_toy_model(single), make_toy_expected(single))
    rng = np.random.default_rng(4)
    with open(folder / "g.fa", "w") as out:
        for name, size in SIZES.items():
            out.write(f">{name}\n" + "".join(rng.choice(list("ACGT"), size)) + "\n")
    return folder


def predictor(folder, model="several"):
    return oc.Predictor(folder / model, folder / "g.fa", any_genome=True, progress=False)


@pytest.fixture(scope="module")
def several(folder):
    return predictor(folder)


def written(one, folder, first, second):
    """Log observed/expected at 640 bp between two chromosomes, as `predict --trans` writes it."""
    path = folder / "written.mcool"
    one.to_mcool(path, [first, second], levels="640", trans=True, force=True)
    return read_log_ratio(f"{path}::resolutions/640", first, second)


def test_the_value_is_the_number_that_predict_writes(folder, tmp_path):
    one = predictor(folder, "several")
    both = written(one, tmp_path, "a", "c")
    assert both.shape == (10, 5)
    assert watched(one, PIXEL).value == pytest.approx(both[4, 1], abs=1e-5)
    assert watched(one, RECT).value == pytest.approx(both[3:7, 0:3].mean(), abs=1e-5)
    # a and b do not fit the input together: parts of at most half of it
    assert watched(one, FAR).value == pytest.approx(
        written(one, tmp_path, "a", "b")[8, 6], abs=1e-5
    )
    assert np.ptp(both) > 0.1


@pytest.mark.parametrize(("level", "a", "b"), [("640", 0, 3), ("320", 1, 7), (None, 1, 13)])
def test_the_value_within_a_chromosome_is_that_of_the_zoom(several, level, a, b):
    found = watched(several, WITHIN, level)
    assert found.placed.resolution == int(level or 160)
    m = several.zoom(f"c:{found.placed.position}", module="G", edges="real")
    assert m[found.placed.resolution].start == (0 if level else 320)
    assert found.value == pytest.approx(m[found.placed.resolution].values[a, b], abs=1e-5)
    seen = found.map_of(found.reference_values()).values
    np.testing.assert_allclose(seen[a, b], found.value, atol=1e-6)


def test_modules_of_single_chromosomes_come_first(folder):
    both = predictor(folder, "toy")
    assert watched(both, WITHIN).placed.module.name == "S"
    assert watched(both, "pixel a:100 a:5,900").placed.module.name == "G"
    # E1 is of whole chromosomes where a window holds one; of a's last bin too little is there
    found = watched(both, "e1 a:3,000")
    assert found.placed.resolution == 640
    values = both.zoom("a:3,000", module="G", edges="real")[640].values[:9, :9]
    gc = gc_of_bins(both.genome.source, "a", 0, 640, 9)
    wanted = first_eigenvector(np.asarray(values, float), gc)
    assert found.value == pytest.approx(wanted[4], abs=1e-4)


def watched(one, text, level=None) -> Watched:
    return Watched(one._engine, parse_objective(text), level)


# ---- gradients


@pytest.mark.parametrize(
    ("text", "region"),
    [
        (PIXEL, Region("a", 2_500, 4_200)),  # longer than a block of the encoder
        (RECT, Region("c", 0, 90)),  # at the junction of the two
        (FAR, Region("b", 4_000, 4_040)),
        (WITHIN, Region("a", 20, 60)),  # behind the chromosome in the input
        ("rect c:100-900 c:1,500-2,700", Region("c", 1_480, 1_520)),
    ],
)
def test_gradient_equals_finite_differences(several, text, region):
    found = watched(several, text)
    function = Differentiable(found, region, torch.float64)
    value, slopes = function.gradient(function.bases)
    assert value == pytest.approx(found.value, abs=2e-5)
    size = 1e-5
    for k in slopes.abs().flatten().argsort(descending=True)[[0, 1, 2, 40]].tolist():
        step = torch.zeros_like(function.bases)
        step.view(-1)[k] = size
        slope = function.value(function.bases + step) - function.value(function.bases - step)
        assert float(slopes.flatten()[k]) == pytest.approx(slope / (2 * size), rel=1e-3, abs=1e-9)
    assert float(slopes.abs().max()) > 1e-6


def test_integrated_and_expected_gradients_sum_to_differences(several):
    found = oc.attribute.integrated(several, "a:3,000-3,060", PIXEL)
    assert found.scores.sum() == pytest.approx(
        found.about["difference_to_baseline"], rel=0.01, abs=1e-5
    )
    masked = several.edit(f"a:3,000-3,060 sub {'N' * 60}")
    wanted = found.value - watched(masked, PIXEL).value
    assert found.about["difference_to_baseline"] == pytest.approx(wanted, abs=1e-5)
    mean = oc.attribute.expected(several, "c:1,000-1,030", PIXEL, baselines=1, seed=2)
    assert mean.scores.shape == (30, 4)
    assert abs(mean.about["difference_to_baselines"]) > 1e-5


# ---- changes


def test_ism_is_a_prediction_of_the_edited_genome(several, tmp_path):
    for place, index in (("c:1,010", (4, 1)), ("a:3,100", (4, 1))):
        chrom, at = place.split(":")[0], int(place.split(":")[1].replace(",", ""))
        found = oc.attribute.ism(several, f"{chrom}:{at}-{at + 1}", PIXEL)
        code = int(found.codes[0])
        other = (code + 1) % 4
        edited = several.edit(f"{chrom}:{at + 1} {'ACGT'[code]}>{'ACGT'[other]}")
        change = written(edited, tmp_path, "a", "c")[index] - found.value
        assert abs(change) > 1e-5
        assert found.scores[0, other] == pytest.approx(change, abs=1e-5)
        assert found.matrix["chrom"].tolist() == [chrom]


@pytest.mark.parametrize(
    ("region", "width", "index"),
    [("a:100-120", 20, (4, 1)), ("c:100-600", 500, (4, 0)), ("c:1,500-1,540", 40, (4, 1))],
)
def test_a_deletion_is_a_prediction_of_the_edited_genome(several, tmp_path, region, width, index):
    """500 bp less, and c takes one bin less of the input, so that nothing lies where it was."""
    found = oc.attribute.deletion(several, region, PIXEL, width=width)
    edited = several.edit(f"{region} del")
    change = written(edited, tmp_path, "a", "c")[index] - found.value
    assert abs(change) > 1e-5
    assert found.scores.tolist() == pytest.approx([change], abs=1e-5)


def test_a_shuffle_on_the_second_chromosome(several, tmp_path):
    found = oc.attribute.shuffle(several, "c:1,000-1,020", PIXEL, width=20, runs=1, seed=5)
    codes = np.random.default_rng([5, 0, 1_000]).permutation(found.codes)
    edited = several.edit(f"c:1,000-1,020 sub {''.join('ACGT'[c] for c in codes)}")
    change = written(edited, tmp_path, "a", "c")[4, 1] - found.value
    assert found.scores.tolist() == pytest.approx([change], abs=1e-5)


def test_an_edited_genome_is_attributed(several, tmp_path):
    """Positions are those of the edited genome."""
    edited = several.edit("c:200-300 del")
    found = watched(edited, "pixel a:3,000 c:900")
    assert found.value == pytest.approx(written(edited, tmp_path, "a", "c")[4, 1], abs=1e-5)
    function = Differentiable(found, Region("c", 150, 250))
    assert function.value(function.bases) == pytest.approx(found.value, abs=2e-5)


# ---- one's own, and files


def test_an_objective_of_ones_own_between_chromosomes(several):
    mine = oc.objective.custom(
        lambda m: m.values[m.bin(3_000, "a"), m.bin(1_000, "c")],
        "a:3,000-3,001",
        second="c:1,000-1,001",
    )
    assert watched(several, PIXEL).value == pytest.approx(Watched(several._engine, mine).value)
    with pytest.raises(RegionError, match=r"both regions are of 'a'"):
        oc.objective.custom(lambda m: m.values[0, 0], "a:1-2", second="a:5-6")
    m = several.zoom("a:3,000", module="G")[640]
    with pytest.raises(RegionError, match=r"is between chromosomes; this map is of a"):
        parse_objective(PIXEL)(m)


def run(folder, objective, region, *more, model="several"):
    line = ["-q", "attribute", region, "--objective", objective, "-m", folder / model]
    line += ["-g", folder / "g.fa", "--any-genome", "--device", "cpu", *more]
    return CliRunner().invoke(main, [str(a) for a in line])


def test_the_verb_writes_both_chromosomes(several, folder, tmp_path):
    for package in ("logomaker", "pyBigWig", "pyarrow"):
        pytest.importorskip(package)
    for chrom in "ac":
        out = tmp_path / chrom
        done = run(folder, PIXEL, f"{chrom}:1,000-1,040", "-o", out)
        assert done.exit_code == 0, done.output
        table = pd.read_csv(f"{out}.tsv.gz", sep="\t", comment="#")
        wanted = oc.attribute.gradient(several, f"{chrom}:1,000-1,040", PIXEL)
        np.testing.assert_allclose(table[list("ACGT")], wanted.scores, rtol=1e-4, atol=1e-9)
        assert set(table["chrom"]) == {chrom}
    figure = wanted.plot()
    axes = figure.axes[2]
    assert [text.get_text() for text in axes.texts] == ["a", "c"]
    assert "end to end" in axes.get_xlabel()
    # a takes 10 bins of the drawn map, c the next: pixel (4, 11) of it, on both sides
    corners = sorted(tuple(patch.get_xy()) for patch in axes.patches)
    assert corners == [(4 * 640, 11 * 640), (11 * 640, 4 * 640)]


@pytest.mark.parametrize(
    ("objective", "region", "more", "model", "message"),
    [
        ("pixel a:10 d:10", "a:1-9", [], "several", "there is no chromosome 'd'"),
        ("pixel a:10 c:2,900", "a:1-9", [], "several", "lies outside c, which is 2,900 bp long"),
        (PIXEL, "b:4,000-4,010", [], "several", "'b:4,000-4,010' lies outside a:0-6,010, c:0-2,9"),
        (PIXEL, "a:1-9", ["--resolution", "160"], "several", "the level 640 alone (module G)"),
        (PIXEL, "a:1-9", [], "centred", "places them 'centred', which cannot be attributed yet"),
        (PIXEL, "a:1-9", [], "single", "no module of model 'single' reads several"),
        (
            "rect a:5,000-5,300 b:10-90",
            "a:1-9",
            [],
            "several",
            "lies in several windows: a and b do not fit",
        ),
        ("dot a:1 c:1", "a:1-9", [], "several", "only pixel and rect may be of two chromosomes"),
    ],
)
def test_bad_input_is_one_line(folder, tmp_path, objective, region, more, model, message):
    for package in ("logomaker", "pyBigWig", "pyarrow"):
        pytest.importorskip(package)
    done = run(folder, objective, region, *more, "-o", tmp_path / "o", model=model)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert len([line for line in done.stderr.splitlines() if "warning" not in line]) == 1
    assert not list(tmp_path.iterdir())
