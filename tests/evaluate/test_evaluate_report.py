"""The verb from end to end: both ways in, the folder that it writes, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import make_toy_expected, make_toy_model
from PIL import Image
from test_evaluate_protocol import SIZES, noise, score_model, write_map

from orca_cool.cli import main
from orca_cool.errors import OutputError
from orca_cool.evaluate import report as report_module
from orca_cool.evaluate.report import FILES, table, to_json, write_folder
from orca_cool.genome.open import open_genome
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.registry import resolve
from orca_cool.prediction.engine import make_engine


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the model ``toy``, its genome ``toy.fa`` and a measured map ``m.cool``."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(7)
    (folder / "toy.fa").write_text(
        "".join(f">{c}\n{''.join(rng.choice(list('ACGT'), n))}\n" for c, n in SIZES.items())
    )
    model = make_toy_model()
    save_bundle(folder / "toy", model, make_toy_expected(model.spec))
    rng = np.random.default_rng(2)
    trans = {
        (a, b): rng.gamma(2, 1e-5, (len(x), len(y)))
        for (a, _), x in noise().items()
        for (b, _), y in noise().items()
        if a < b
    }
    write_map(folder / "m.cool", 40, noise() | trans)
    (folder / "features.bed").write_text(
        "".join(f"{c}\t2500\t2600\tCEN\t0\t+\tcentromere\n" for c in SIZES)
    )
    return folder


@pytest.fixture(scope="module")
def result(place):
    """Two chromosomes, cis and trans, all baselines."""
    engine = make_engine(load_bundle(place / "toy"), open_genome(place / "toy.fa"), "cpu")
    options = {
        "train": ("b",),
        "features": str(place / "features.bed"),
        "replicate": str(place / "m.cool"),
        "trans": 2,
        "step": 2560,
        "base": 40,
    }
    return score_model(engine, engine.spec.module("G"), place / "m.cool", ["a", "c"], **options)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def test_folder_holds_what_was_found(result, tmp_path):
    out = write_folder(tmp_path / "out", result)
    assert sorted(p.name for p in out.iterdir()) == sorted(FILES)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    for name in ("levels.png", "distance.png", "examples.png"):
        image = np.asarray(Image.open(out / name).convert("L"))
        assert min(image.shape) > 200
        assert image.std() > 5
    with open(out / "scores.tsv", newline="") as stream:
        lines = list(csv.DictReader(stream, delimiter="\t"))
    expected = {
        (s.chrom, s.kind, s.resolution, name): m
        for s in result.scores
        for name, m in s.metrics.items()
    }
    assert len(lines) == len(expected)
    for line in lines:
        m = expected[line["chrom"], line["kind"], int(line["resolution"]), line["predictor"]]
        assert float(line["r"]) == pytest.approx(m.r, rel=1e-5, nan_ok=True)
        assert float(line["scc"]) == pytest.approx(m.scc, rel=1e-5, nan_ok=True)
        assert int(line["pixels"]) == m.pixels
    assert {line["predictor"] for line in lines} == {
        "model",
        "distance",
        "telomere",
        "centromere",
        "replicate",
        "halves",
    }
    with open(out / "by_distance.tsv", newline="") as stream:
        lines = list(csv.DictReader(stream, delimiter="\t"))
    by_distance = [
        d for d in lines if (d["chrom"], d["predictor"], d["resolution"]) == ("all", "model", "160")
    ]
    model = expected["all", "cis", 160, "model"]
    assert sum(int(d["pixels"]) for d in by_distance) == model.pixels
    assert float(by_distance[2]["r"]) == pytest.approx(model.by_distance[2], rel=1e-5)
    assert by_distance[2]["distance"] == "320"


def test_json_says_how_it_was_made(result, place):
    data = json.loads(json.dumps(to_json(result), allow_nan=False))
    assert data["provenance"]["model_digest"] == load_bundle(place / "toy").digest
    assert (
        data["provenance"]["step"],
        data["provenance"]["seed"],
        data["provenance"]["module"],
    ) == (2560, 1, "G")
    assert {(s["chrom"], s["kind"]) for s in data["scores"]} == {
        ("a", "cis"),
        ("c", "cis"),
        ("all", "cis"),
        ("all", "trans"),
    }
    for s in (
        s for s in data["scores"] if s["pixels"]
    ):  # no random window may lie between chromosomes
        assert s["replicate"] == pytest.approx(1)
        assert 0 < s["ceiling"] < s["full_ceiling"] < 1
        assert s["kind"] == "cis" or s["telomere"] is s["centromere"] is s["scc"] is None


def test_table_has_a_line_for_each_level(result):
    lines = table(result).splitlines()
    assert len(lines) == 1 + len(result.scores)
    assert lines[0].split()[:9] == [
        "chrom",
        "bin",
        "r",
        "(a)",
        "tel",
        "(b)",
        "+cen",
        "halves",
        "ceiling",
    ]
    assert len({len(line) for line in lines}) == 1
    first = result.scores[0]
    assert lines[1].split()[:3] == ["a", str(first.resolution), f"{first.r:.3f}"]
    assert lines[-1].startswith("trans")


def test_folder_is_replaced_whole_or_not_at_all(result, tmp_path, monkeypatch):
    out = write_folder(tmp_path / "out", result)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    with pytest.raises(OutputError, match="exists; use --force"):
        write_folder(out, result)

    def fail(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(report_module, "distance_figure", fail)
        for name in ("out", "new"):
            with pytest.raises(OutputError, match=f"cannot write .*{name}.*No space"):
                write_folder(tmp_path / name, result, force=True)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    (out / "scores.tsv").write_text("old")
    write_folder(out, result, force=True)
    assert (out / "scores.tsv").read_bytes() == before["scores.tsv"]
    (out / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"'thesis.txt', which no evaluation wrote"):
        write_folder(out, result, force=True)
    assert (out / "thesis.txt").read_text() == "precious"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="no folder"):
        write_folder(tmp_path / "file", result, force=True)
    with pytest.raises(OutputError, match="does not exist"):
        write_folder(tmp_path / "none" / "out", result)


def test_both_ways_in(place, tmp_path):
    """A prediction's file and the model itself; a window's prediction is the same but for the blend
    of windows.
    """
    predicted = tmp_path / "p.mcool"
    line = [
        "predict",
        "-q",
        "-m",
        place / "toy",
        "-g",
        place / "toy.fa",
        "--module",
        "S",
        "-o",
        predicted,
        "a",
    ]
    assert CliRunner().invoke(main, [str(a) for a in line]).exit_code == 0
    files = run(
        "-q",
        predicted,
        place / "m.cool",
        "--chrom",
        "a",
        "--no-ceiling",
        "--json",
        "-o",
        tmp_path / "files",
    )
    assert files.exit_code == 0, files.output
    direct = run(
        "-q",
        "--model",
        place / "toy",
        "--genome",
        place / "toy.fa",
        place / "m.cool",
        "--chrom",
        "a",
        "--no-ceiling",
        "--json",
        "--step",
        2560,
        "--levels",
        160,
        "--nearest",
        2,
        "-o",
        tmp_path / "direct",
    )
    assert direct.exit_code == 0, direct.output
    one, two = json.loads(files.stdout), json.loads(direct.stdout)
    assert one["provenance"]["way"] == "files"
    assert two["provenance"]["way"] == "model"
    assert [s["resolution"] for s in one["scores"]] == [40, 80, 160]
    assert [s["resolution"] for s in two["scores"]] == [160]
    assert two["scores"][0]["windows"] == 3
    assert two["scores"][0]["pixels"] == 3 * 14 * 15 // 2
    assert json.loads((tmp_path / "direct" / "scores.json").read_text()) == two
    again = run(
        "--model",
        place / "toy",
        "--genome",
        place / "toy.fa",
        place / "m.cool",
        "--chrom",
        "a",
        "-o",
        tmp_path / "direct",
    )
    assert again.exit_code == 2
    assert "direct' exists; use --force" in again.output


def test_a_run_can_be_repeated_and_its_tiles_kept(place, tmp_path):
    line = [
        "-q",
        "--model",
        place / "toy",
        "--genome",
        place / "toy.fa",
        place / "m.cool",
        "--chrom",
        "a",
        "--step",
        5120,
    ]
    plain, first, second = (
        run(*line),
        run(*line, "--cache", tmp_path / "tiles"),
        run(*line, "--cache", tmp_path / "tiles"),
    )
    assert plain.exit_code == first.exit_code == second.exit_code == 0, plain.output
    assert plain.stdout == first.stdout == second.stdout
    assert len(list((tmp_path / "tiles").rglob("*.npy"))) == 3  # the map and its halves


BAD = [
    (["m.cool"], "'m.cool': one prediction and one measured map are needed, or --model"),
    (
        ["p.mcool", "m.cool", "--model", "toy"],
        "--model 'toy': give a predicted file or --model, not both",
    ),
    (["a", "b", "c"], "contact map 'c' does not exist"),
    (["m.cool", "--model", "toy"], "--model 'toy' needs --genome"),
    (["p.mcool", "m.cool", "--step", "40"], "--step '40': needs --model"),
    (["p.mcool", "m.cool", "--trans", "3"], "--trans '3': needs --model"),
    (["none.mcool", "m.cool"], "'none.mcool'"),
    (["m.cool", "--model", "toy", "--genome", "toy.fa", "--features", "none.bed"], "none.bed"),
    (["m.cool", "m.cool", "--levels", "1M"], "--levels '1M' is not a resolution"),
    (["m.cool", "--model", "toy", "--genome", "toy.fa", "--levels", "7"], "no level '7'"),
    (
        ["m.cool", "--model", "toy", "--genome", "toy.fa", "--module", "X"],
        "no module 'X'; it has: S, G, B",
    ),
    (
        ["m.cool", "--model", "toy", "--genome", "toy.fa", "--step", "50"],
        "--step 50 is not a multiple",
    ),
    (["none.cool", "--model", "toy", "--genome", "toy.fa"], "'none.cool' does not exist"),
    (
        ["m.cool", "--model", "toy", "--genome", "toy.fa", "--replicate", "none.cool"],
        "'none.cool' does not exist",
    ),
    (
        ["m.cool", "--model", "toy", "--genome", "toy.fa", "--train", "b,a"],
        "'a' is to be evaluated and to train",
    ),
]


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_bad_lines_are_one_line(place, monkeypatch, arguments, words):
    monkeypatch.chdir(place)
    found = run("--chrom", "a", *arguments)
    assert found.exit_code == 2, found.output
    assert words in found.output
    assert (
        len(
            [
                line
                for line in found.output.strip().splitlines()
                if not line.startswith("warning: genome 'toy'")
            ]
        )
        == 1
    )


def test_shipped_model_by_the_papers_protocol(shared):
    """Validation chromosome chrVIII, every fourth window: r near that of the shipped model's file,
    below its ceiling and above distance.
    """
    data = shared / "data" / "yeast"
    if not (data / "metaphase.mcool").is_file():
        pytest.skip("no measured yeast map (../shared/data/yeast)")
    bundle = load_bundle(resolve("yeast-metaphase"))
    engine = make_engine(bundle, open_genome(data / "sacCer3.2bit"), "cpu")
    module = engine.spec.modules[0]
    found = score_model(engine, module, data / "metaphase.mcool", ["chrVIII"], step=64_000)
    assert [s.resolution for s in found.scores] == sorted(module.resolutions)
    reported = engine.spec.metrics["chrVIII"]
    for s in found.scores:
        m = s.metrics["model"]
        assert reported[str(s.resolution)] - 0.2 < s.r < s.ceiling
        assert m.r_contact > s.metrics["distance"].r_contact > 0.9
        assert m.scc > 0.3
        assert m.insulation > 0.2
    assert found.scores[-1].r == pytest.approx(
        reported[str(module.resolutions[0])], abs=0.03
    )  # one window holds the chromosome
