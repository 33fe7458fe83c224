"""Screens by modules that read several chromosomes, within a chromosome and between two: scores
against predictions of whole edited genomes.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec, save_model_of_two_cell_types

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.genome.segments import Segment
from orca_cool.maps.coolfile import read_log_ratio
from orca_cool.model.bundle import save_bundle
from orca_cool.prediction.windows import concatenated_chromosomes

#: "a" and "c" fit one input of 10,240 bp, "a" and "b" do not.
SIZES = {"a": 6_010, "b": 4_990, "c": 2_900}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a model of two cell types, and a genome; most of bin 2 of "b" is N."""
    folder = tmp_path_factory.mktemp("screen-trans")
    spec = make_toy_spec()
    save_bundle(folder / "toy", make_toy_model(spec), make_toy_expected(spec))
    centred = dataclasses.replace(spec, placement="centred")
    save_bundle(folder / "centred", make_toy_model(centred), make_toy_expected(centred))
    save_model_of_two_cell_types(folder)
    rng = np.random.default_rng(5)
    with open(folder / "g.fa", "w") as out:
        for name, size in SIZES.items():
            letters = rng.choice(list("ACGT"), size)
            if name == "b":
                letters[1_300:1_900] = "N"
            out.write(f">{name}\n" + "".join(letters) + "\n")
    return folder


@pytest.fixture(scope="module")
def predictor(here):
    return oc.Predictor(here / "toy", here / "g.fa", device="cpu", progress=False)


def screen(here, regions, model="toy", **options):
    return oc.screen.local(
        regions,
        model=here / model,
        genome=here / "g.fa",
        device="cpu",
        progress=False,
        **{"runs": 1, "replace": "N", "per_sequence": 1} | options,
    )


def without(predictor, *units):
    """The predictor of a genome with N in the place of units."""
    return predictor.edit("; ".join(f"{c}:{a}-{b} sub {'N' * (b - a)}" for c, a, b in units))


def written(one, folder, first, second):
    """Log observed/expected at 640 bp, (bins of first, bins of second), as predict writes it."""
    path = folder / "written.mcool"
    one.to_mcool(path, [first, second], levels="640", modules="G", trans=True, force=True)
    return read_log_ratio(f"{path}::resolutions/640", first, second)


def test_the_row_of_another_chromosome(here, predictor, tmp_path):
    """c comes behind a in the genome, so that the map is the other way round. Of a's last bin more
    than half lies beyond its end, so that it does not count.
    """
    found = screen(here, "c:1,270-1,290", between="a").table
    before = written(predictor, tmp_path, "c", "a")
    assert before.shape == (5, 10)
    for k, row in ((0, 1), (1, 2)):
        a = 1_270 + 10 * k
        after = written(without(predictor, ("c", a, a + 10)), tmp_path, "c", "a")
        expected = np.abs(after - before)[row, :9].mean()
        assert expected > 1e-4
        assert found["score"][k] == pytest.approx(expected, abs=2e-5)


def test_chromosomes_that_do_not_fit_together_and_a_mask(here, predictor, tmp_path):
    """Two parts of b beside the second part of a; bin 2 of b is a gap, bins 0 and 6 are masked."""
    mask = tmp_path / "mask.bed"
    mask.write_text("b\t10\t20\nb\t4000\t4100\na\t0\t6000\n")
    found = screen(here, "a:5,200-5,220", between="b", mask=mask, per_sequence=2).table
    edited = without(predictor, ("a", 5_200, 5_210), ("a", 5_210, 5_220))
    change = written(edited, tmp_path, "a", "b") - written(predictor, tmp_path, "a", "b")
    assert change.shape == (10, 8)
    expected = np.abs(change[8, [1, 3, 4, 5, 7]]).mean()
    assert expected > 1e-4
    assert found["score"].tolist() == pytest.approx([expected] * 2, abs=2e-5)


def test_chromosomes_placed_in_the_middle(here, tmp_path):
    """Stretches are the mirror images of themselves, as predict --trans has them."""
    predictor = oc.Predictor(here / "centred", here / "g.fa", device="cpu", progress=False)
    found = screen(here, "a:5,200-5,210", model="centred", between="b").table
    edited = without(predictor, ("a", 5_200, 5_210))
    change = written(edited, tmp_path, "a", "b") - written(predictor, tmp_path, "a", "b")
    counted = [k for k in range(8) if k != 2]  # bin 2 is a gap
    expected = np.abs(change[8, counted]).mean()
    assert expected > 1e-4
    assert found["score"].tolist() == pytest.approx([expected], abs=2e-5)


def test_a_unit_of_several_bins_has_the_mean_of_their_rows(here, predictor, tmp_path):
    found = screen(here, "c:0-1,280", between="a", unit=1_280).table
    module = predictor._engine.spec.module("G")
    pair = Segment("a", 0, 6_400), Segment("c", 0, 3_200)
    after, before = (
        one._engine.trans(module, *pair)[0].T
        for one in (without(predictor, ("c", 0, 1_280)), predictor)
    )
    np.testing.assert_allclose(before, written(predictor, tmp_path, "c", "a"), atol=1e-5)
    expected = np.abs(after - before)[:2, :9].mean()
    assert expected > 1e-3
    assert found["score"].tolist() == pytest.approx([expected], abs=2e-5)


def test_each_cell_type_has_its_own(here):
    both = screen(here, "c:1,270-1,290", "two", between="a")
    assert both.names == ["x", "y"]
    for name in "xy":
        one = screen(here, "c:1,270-1,290", "two", between="a", cell_type=name)
        np.testing.assert_array_equal(both.table[name], one.table["score"])
    assert np.abs(both.table["x"] - both.table["y"]).min() > 0


@pytest.mark.parametrize(("resolution", "row"), [(640, 3), (320, 6)])
def test_the_row_within_a_chromosome(here, predictor, resolution, row):
    """Of a module that reads several: over the chromosome's own bins alone, of its last one only
    if half of it is there.
    """
    found = screen(here, "a:2,000-2,010", module="G", resolution=resolution).table
    engine = predictor._engine
    module = engine.spec.module("G")
    segments = concatenated_chromosomes("a", SIZES, 10_240, 160)
    assert [s.chrom for s in segments][:2] == ["a", "b"]
    maps = []
    for one in (predictor, without(predictor, ("a", 2_000, 2_010))):
        zoom = one._engine.zoom_concatenated(module, segments, {640: 0, 320: 0, 160: 0})
        maps.append(next(m.values for m in zoom if m.resolution == resolution))
    inside = round(SIZES["a"] / resolution)
    expected = np.abs(maps[1] - maps[0])[row, :inside].mean()
    assert expected > 1e-4
    assert found["score"].tolist() == pytest.approx([expected], abs=2e-5)


def test_deletions_are_compared_bin_by_bin(here, predictor):
    options = {"module": "G", "resolution": 640, "replace": "delete"}
    found = screen(here, "c:1,270-1,290", unit=20, **options).table
    c = predictor.compare("c:1,270-1,290 del", 640, module="G")
    change = np.abs(c.difference.values[c.touched].astype(float))
    assert found["score"].tolist() == pytest.approx([np.nanmean(change)], abs=2e-5)
    assert found["score"][0] > 1e-4


def test_the_verb_and_motifs(here, predictor, tmp_path):
    hits = tmp_path / "hits.bed"
    hits.write_text("c\t1270\t1280\tm\n")
    common = ["-m", here / "toy", "-g", here / "g.fa", "--device", "cpu", "--between", "a"]
    lines = {"local": ["c:1,270-1,280", "--per-sequence", 1], "motifs": ["--motifs", hits]}
    for verb, line in lines.items():
        line = ["-q", "screen", verb, *line, *common, "--runs", 1, "--replace", "N"]
        done = CliRunner().invoke(main, [*map(str, line), "-o", str(tmp_path / verb)])
        assert done.exit_code == 0, done.output
        about = json.loads((tmp_path / f"{verb}.json").read_text())
        assert (about["between"], about["module"], about["resolution"]) == ("a", "G", 640)
    score = screen(here, "c:1,270-1,280", between="a").table["score"][0]
    rows = (tmp_path / "motifs.hits.tsv").read_text().splitlines()
    hit = dict(zip(rows[0].split("\t"), rows[1].split("\t")))
    assert float(hit["score"]) == pytest.approx(score, rel=1e-5)
