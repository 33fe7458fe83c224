"""Evaluation: numbers on synthetic maps whose answers are known, and the shipped model on
chromosomes it never saw.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from orca_cool.cli import main
from orca_cool.errors import CoolerError, RegionError
from orca_cool.evaluate.baselines import fit_baselines, squares
from orca_cool.evaluate.centromeres import depletion
from orca_cool.evaluate.files import FileEvaluation
from orca_cool.evaluate.maps import MeasuredMaps
from orca_cool.evaluate.options import EvaluationOptions
from orca_cool.evaluate.result import Result
from orca_cool.maps.coolfile import Layer, RowBlock, write_mcool
from orca_cool.maps.metrics import pearson
from orca_cool.maps.positional import Chromosome, Positional, features
from orca_cool.model.bundle import load_bundle

BIN, BAND = 2000, 32
SIZES = {"c1": 120_000, "c2": 100_500, "c3": 110_000}
DATA = Path(__file__).parents[3] / "shared" / "data" / "yeast"
MODEL = Path(__file__).parents[2] / "orca_cool" / "data" / "models" / "yeast-metaphase"


def score_file(predicted: Path, observed: Path, chroms: Iterable[str], **options: Any) -> Result:
    """A predicted file scored; ``options``: see EvaluationOptions."""
    options = EvaluationOptions(observed=str(observed), chroms=tuple(chroms), **options)
    return FileEvaluation.open(str(predicted), options).run()


def n_bins(chrom: str) -> int:
    return -(-SIZES[chrom] // BIN)


def truth(chrom: str) -> np.ndarray:
    """A cross at 40 % of the chromosome on a smooth wave."""
    n = n_bins(chrom)
    i = np.arange(n)
    at = int(0.4 * n)
    spans = np.minimum.outer(i, i) < at
    spans &= np.maximum.outer(i, i) > at
    wave = np.sin(i / 4.0)
    return np.where(spans, -0.6, 0.1) + 0.15 * np.add.outer(wave, wave)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    folder = tmp_path_factory.mktemp("evaluate")
    expected = 0.2 / (np.arange(200) + 1.0)
    rng = np.random.default_rng(0)
    bins = cooler.binnify(pd.Series(SIZES), BIN)
    bins["weight"] = 0.01
    rows, first = [], 0
    for c in SIZES:
        n = n_bins(c)
        i, j = np.triu_indices(n)
        mean = expected[j - i] * np.exp(truth(c)[i, j]) / 1e-4
        rows.append(
            pd.DataFrame({"bin1_id": first + i, "bin2_id": first + j, "count": rng.poisson(mean)})
        )
        first += n
    pixels = pd.concat(rows)
    observed = folder / "observed.cool"
    cooler.create_cooler(str(observed), bins, pixels[pixels["count"] > 0], dtypes={"count": int})

    def row_blocks(resolution: int) -> list[RowBlock]:
        found = []
        for c in SIZES:
            y = truth(c)
            n = len(y)
            i, j = np.arange(n)[:, None], np.arange(n)[:, None] + np.arange(BAND)
            values = np.where(j < n, y[i, np.minimum(j, n - 1)], np.nan).astype(np.float32)
            found.append(RowBlock(c, 0, values, np.full(values.shape, resolution, np.int32)))
        return found

    predicted = folder / "predicted.mcool"
    layer = Layer(BIN, expected[:BAND], 1e-4, BAND, None, {})
    write_mcool(
        predicted,
        chromsizes=SIZES,
        assembly="toy",
        layers=[layer],
        row_blocks=row_blocks,
        metadata={},
    )
    marks = folder / "features.bed"
    marks.write_text(
        "".join(
            f"{c}\t{int(0.4 * n_bins(c)) * BIN + 900}\t{int(0.4 * n_bins(c)) * BIN + 1000}\tCEN\t0\t+\tcentromere\n"
            for c in SIZES
        )
    )
    return predicted, observed, marks


def test_evaluate_from_files(files):
    predicted, observed, marks = files
    result = score_file(
        predicted, observed, ["c1"], base=BIN, train=("c2", "c3"), features=str(marks)
    )
    (s,) = result.scores
    assert s.r == s.metrics["model"].r
    assert s.resolution == BIN
    assert s.pixels == sum(n_bins("c1") - d for d in range(2, BAND))
    assert s.r > 0.9
    assert s.telomere is not None
    assert s.centromere is not None
    assert s.telomere < s.centromere < s.r
    assert s.ceiling is not None
    assert s.full_ceiling is not None
    assert 0.5 < s.ceiling < s.full_ceiling < 1
    assert s.full_ceiling == pytest.approx(np.sqrt(2 * s.ceiling / (1 + s.ceiling)))
    d = result.centromeres["c1"]
    assert d["across"] < d["elsewhere"] - 0.5
    assert abs(d["minimum"] - d["at"]) <= 5 * BIN


def test_command_line(files):
    predicted, observed, marks = files
    result = CliRunner().invoke(
        main,
        [
            "evaluate",
            str(predicted),
            str(observed),
            "--chrom",
            "c1",
            "--features",
            str(marks),
            "--json",
            "-q",
        ],
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["scores"][0]["r"] > 0.9
    result = CliRunner().invoke(main, ["evaluate", str(predicted), str(observed), "--chrom", "c1"])
    assert "ceiling" in result.output
    for bad, word in (
        (["--chrom", "c9"], "c9"),
        (["--chrom", "c1", "--levels", "3000"], "3000"),
        (["--chrom", "c1", "--base", "1000"], "1000"),
        (["--chrom", "c1", "--train", "c1"], "c1"),
    ):
        result = CliRunner().invoke(main, ["evaluate", str(predicted), str(observed), *bad])
        assert result.exit_code == 2, bad
        assert word in result.output
    result = CliRunner().invoke(
        main, ["evaluate", str(predicted.parent / "none.mcool"), str(observed), "--chrom", "c1"]
    )
    assert result.exit_code == 2


def test_pearson_by_hand():
    a = np.arange(25.0).reshape(5, 5)
    b = a.copy()
    b[0, 2] = np.nan
    assert pearson(a, -b, 2) == (pytest.approx(-1), 5)
    assert np.isnan(pearson(a, np.ones((5, 5)))[0])


def test_depletion_by_hand():
    y = np.zeros((60, 60))
    y[:30, 31:] = -1
    d = depletion(y, 1000, 30_500, 5000, 20_000)
    assert d["across"] == -1
    assert d["elsewhere"] == 0
    assert abs(d["minimum"] - 30_500) <= 1000


def test_positional_features_do_not_know_left_from_right():
    c, m = Chromosome(500_000, 200_000), Chromosome(500_000, 300_000)
    i, j = np.array([10, 60]), np.array([100, 140])
    np.testing.assert_allclose(features(c, 2000, i, j), features(c, 2000, j, i))
    np.testing.assert_allclose(
        features(c, 2000, i, j), features(m, 2000, 249 - j, 249 - i), rtol=1e-5
    )
    assert features(Chromosome(500_000), 2000, i, j).shape == (2, 3)


def test_positional_learns_the_cross():
    n = 80

    def level(at: int) -> np.ndarray:
        i = np.arange(n)
        return np.where((np.minimum.outer(i, i) < at) & (np.maximum.outer(i, i) > at), -1.0, 0.0)

    model = Positional(True, 64).fit(
        [(Chromosome(n * BIN, a * BIN + 1000), {BIN: level(a)}) for a in (20, 30, 40)]
    )
    assert pearson(model.predict(Chromosome(n * BIN, 51_000), BIN, n), level(25))[0] > 0.9


def test_positional_of_a_window_is_a_slice_of_the_chromosomes():
    rng = np.random.default_rng(0)
    model = Positional(True, 40).fit(
        [(Chromosome(160_000, 70_000), {BIN: rng.normal(size=(80, 80))})]
    )
    whole = model.predict(Chromosome(160_000, 70_000), BIN, 80)
    np.testing.assert_array_equal(
        model.predict(Chromosome(160_000, 70_000), BIN, 30, 10 * BIN), whole[10:40, 10:40]
    )


@pytest.mark.parametrize(("n", "band"), [(5, 8), (2049, 128), (5000, 250), (4096, 1), (6000, 7000)])
def test_squares_hold_every_pixel_of_the_band_once(n, band):
    count = np.zeros((n, n), np.int8)
    for a, b, own in squares(n, band):
        assert b - a <= 2048 + band
        part = np.ones((b - a, b - a), np.int8)
        part[own:, own:] = 0
        count[a:b, a:b] += part
    d = np.abs(np.subtract.outer(np.arange(n, dtype=np.int16), np.arange(n, dtype=np.int16)))
    assert (count[d < band] == 1).all()


def test_a_chromosome_in_squares_is_the_chromosome(files, monkeypatch):
    predicted, observed, _ = files
    options = {"base": BIN, "train": ("c3",), "ceiling": False}
    (whole,) = score_file(predicted, observed, ["c1"], **options).scores
    monkeypatch.setattr("orca_cool.evaluate.baselines.ROWS", 9)
    monkeypatch.setattr("orca_cool.evaluate.maps.STRIP", 70)
    (parts,) = score_file(predicted, observed, ["c1"], **options).scores
    assert parts.metrics["model"].windows > whole.metrics["model"].windows == 1
    for name, m in parts.metrics.items():
        one = whole.metrics[name]
        assert m.pixels == one.pixels
        for score in ("r", "r_distance", "scc", "spearman", "r_contact"):
            assert getattr(m, score) == pytest.approx(
                getattr(one, score), rel=1e-3 if name == "telomere" else 1e-6, nan_ok=True
            )
        np.testing.assert_array_equal(m.pixels_by_distance, one.pixels_by_distance)


def test_chromosomes_are_pooled(files):
    predicted, observed, marks = files
    result = score_file(
        predicted,
        observed,
        ["c1", "c2", "c1"],
        base=BIN,
        features=str(marks),
        replicate=str(observed),
    )
    one, two, both = result.scores
    assert (one.chrom, two.chrom, both.chrom) == ("c1", "c2", "all")
    assert both.pixels == one.pixels + two.pixels
    assert min(one.r, two.r) - 0.05 < both.r < max(one.r, two.r) + 0.05
    assert both.replicate == pytest.approx(1)
    assert both.metrics["replicate"].scc == pytest.approx(1)
    assert both.metrics["distance"].r == 0
    assert both.metrics["distance"].r_contact < both.metrics["model"].r_contact
    assert set(result.centromeres) == {"c1", "c2"}
    assert {e.place for e in result.examples} == {"c1:30,000", "c1:60,000", "c2:75,375"}
    assert both.metrics["model"].insulation > 0.9
    assert both.metrics["model"].compartments > 0.5


def test_baselines_learn_from_a_sample_of_many_pixels(monkeypatch):
    def cross(chrom: str, resolution: int, start: int, end: int) -> np.ndarray:
        i = np.arange(start // BIN, end // BIN)
        return np.where((np.minimum.outer(i, i) < 40) & (np.maximum.outer(i, i) > 40), -1.0, 0.0)

    monkeypatch.setattr("orca_cool.evaluate.baselines.LIMIT", 3000)
    seen = []
    monkeypatch.setattr(
        Positional, "fit_pixels", lambda self, r, parts: seen.append(sum(len(y) for *_, y in parts))
    )
    fit_baselines(cross, {"x": 400_000, "y": 300_000}, {"x": 80_000}, {BIN: 50}, 1)
    assert 2500 < seen[0] < 3500  # (a), of both
    assert 1400 < seen[1] < 2100  # (b), where the centromere is known


def test_bad_files_are_named(files, tmp_path):
    predicted, observed, _ = files
    bins = cooler.binnify(pd.Series(SIZES), BIN)
    pixel = pd.DataFrame({"bin1_id": [0], "bin2_id": [1], "count": [1]})
    cooler.create_cooler(str(tmp_path / "raw.cool"), bins, pixel)
    longer = cooler.binnify(pd.Series(SIZES | {"c1": 150_000}), BIN).assign(weight=1.0)
    cooler.create_cooler(str(tmp_path / "longer.cool"), longer, pixel)
    for error, words, arguments in (
        (CoolerError, "not balanced", (predicted, tmp_path / "raw.cool", ["c1"])),
        (
            CoolerError,
            "raw.cool.*was not written by orca-cool",
            (tmp_path / "raw.cool", observed, ["c1"]),
        ),
        (
            RegionError,
            "predicted.mcool.*longer.cool.*not of one assembly: c1 is 120,000 bp",
            (predicted, tmp_path / "longer.cool", ["c1"]),
        ),
        (
            RegionError,
            "'C1' is not in .*observed.cool.*did you mean 'c1'",
            (predicted, observed, ["C1"]),
        ),
    ):
        with pytest.raises(error, match=words):
            score_file(*arguments, base=BIN)
    with pytest.raises(RegionError, match=r"observed.cool.*longer.cool.*not of one assembly"):
        score_file(predicted, observed, ["c1"], base=BIN, replicate=str(tmp_path / "longer.cool"))


@pytest.mark.slow
@pytest.mark.skipif(
    not DATA.is_dir(),
    reason="needs the measured yeast map beside the repository (../shared/data/yeast)",
)
def test_shipped_model_reaches_its_reported_r(tmp_path):
    """On chrII, which training never read: r as reported, and above both baselines; the cross where
    the centromere is.
    """
    out = tmp_path / "out.mcool"
    genome, observed, marks = DATA / "sacCer3.2bit", DATA / "metaphase.mcool", DATA / "features.bed"
    result = CliRunner().invoke(
        main,
        ["predict", "--model", "yeast-metaphase", "--genome", str(genome), "-o", str(out), "chrII"],
    )
    assert result.exit_code == 0, result.output
    train = ("chrIII", "chrV", "chrVI", "chrIX", "chrX", "chrXI", "chrXIV")
    found = score_file(out, observed, ["chrII"], train=train, features=str(marks))
    reported = load_bundle(MODEL).spec.metrics["chrII"]
    assert {str(s.resolution) for s in found.scores} == set(reported)
    for s in found.scores:
        assert s.r == pytest.approx(reported[str(s.resolution)], abs=0.01)
        assert s.telomere is not None
        assert s.r > s.telomere + 0.2
    d = found.centromeres["chrII"]
    assert d["across"] < d["elsewhere"] - 0.2
    assert abs(d["minimum"] - d["at"]) < 10_000


# ---- maps of others


CASES = Path(__file__).parents[1] / "data" / "cases"


@pytest.fixture(scope="module")
def yeast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up prediction of yeast's chrI and chrII, whose levels are independent of each
    other.
    """
    sizes = dict(cooler.Cooler(f"{CASES / 'divisive.mcool'}::resolutions/8000").chromsizes)
    rng = np.random.default_rng(4)
    layers, rows = [], {}
    for r, band in ((4000, 64), (8000, 60)):
        layers.append(Layer(r, 0.2 / (np.arange(band) + 1.0), 1e-4, band, None, {}))
        rows[r] = []
        for c, size in sizes.items():
            n = -(-size // r)
            y = rng.normal(size=(n, min(band, n))).astype(np.float32)
            y[np.arange(n)[:, None] + np.arange(y.shape[1]) >= n] = np.nan
            rows[r].append(RowBlock(c, 0, y, np.full(y.shape, r, np.int32)))
    path = tmp_path_factory.mktemp("yeast") / "E.mcool"
    write_mcool(
        path,
        chromsizes={c: int(n) for c, n in sizes.items()},
        assembly="x",
        layers=layers,
        row_blocks=lambda r: rows[r],
        metadata={},
    )
    return path


def test_weights_that_divide_score_as_their_inverses(yeast, tmp_path):
    plain = tmp_path / "plain.mcool"
    for r in (4000, 8000):
        clr = cooler.Cooler(f"{CASES / 'divisive.mcool'}::resolutions/{r}")
        bins = clr.bins()[:]
        bins["weight"] = 1 / bins["weight"]
        cooler.create_cooler(f"{plain}::resolutions/{r}", bins, clr.pixels()[:], mode="a")
    one, two = (
        score_file(yeast, path, ["chrII"], base=4000) for path in (CASES / "divisive.mcool", plain)
    )
    for a, b in zip(one.scores, two.scores):
        assert (a.resolution, a.pixels) == (b.resolution, b.pixels)
        assert a.r == pytest.approx(b.r, abs=1e-6)
        assert a.ceiling == pytest.approx(b.ceiling, abs=1e-6)


def test_a_chromosome_without_contacts_has_no_ceiling(yeast, caplog):
    with pytest.raises(CoolerError, match="no contacts within 'chrII'"):
        score_file(yeast, CASES / "nochrII.cool", ["chrII"])
    for options in ({"train": ("chrII",)}, {"replicate": str(CASES / "nochrII.cool")}):
        chroms, observed = ["chrI"], CASES / "nochrII.cool"
        if "replicate" in options:
            chroms, observed = ["chrII"], CASES / "plain.cool"
        with pytest.raises(CoolerError, match="no contacts within 'chrII'"):
            score_file(yeast, observed, chroms, **options)


def test_a_prediction_is_compared_level_by_level(yeast, caplog):
    result = score_file(yeast, yeast, ["chrI", "chrII"], replicate=str(yeast), train=())
    assert "compared level by level" in caplog.text
    assert {s.resolution for s in result.scores} == {4000, 8000}
    for s in result.scores:
        assert s.r == pytest.approx(1, abs=1e-6)
        assert s.replicate == pytest.approx(1, abs=1e-6)
        assert s.ceiling is None
    with pytest.raises(CoolerError, match="bins of 4000 bp; 8000 are needed"):
        score_file(yeast, f"{yeast}::resolutions/4000", ["chrII"])


def test_a_model_is_not_held_against_a_prediction(yeast, tmp_path):
    options = EvaluationOptions(observed=str(yeast), chroms=("chrII",))
    with pytest.raises(CoolerError, match="was predicted by orca-cool"):
        MeasuredMaps.open(options, 4000, 0.25)
