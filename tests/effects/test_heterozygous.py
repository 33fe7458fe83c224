"""Scores of heterozygous changes, recomputed by hand from the two predicted maps."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.effects.align import bin_origins
from orca_cool.effects.heterozygous import (
    OF_COORDINATES,
    heterozygous,
    moves_nothing,
    score_heterozygous,
)
from orca_cool.effects.scores import SCORES
from orca_cool.errors import EditError
from orca_cool.genome.apply_edits import apply_edits

DELETION, SWAP = "a:4,000-4,200 del", "a:4,101-4,103 sub AC"


@pytest.fixture(scope="module")
def predictor(place):
    return oc.Predictor(str(place / "toy"), str(place / "toy.fa"), device="cpu", progress=False)


def by_hand(c):
    """Log observed/expected of the mean of both haplotypes, pixel by pixel, with floats alone."""
    a, b = c.alternate, c.reference
    n = len(a.values)
    out = np.full((n, n), math.nan)
    for i in range(n):
        for j in range(n):
            if math.isnan(b.values[i, j]):
                continue
            of_a = math.exp(float(a.values[i, j])) * (a.expected[i, j] + a.eps)
            of_b = math.exp(float(b.values[i, j])) * (b.expected[i, j] + b.eps)
            expected = (a.expected[i, j] + b.expected[i, j]) / 2
            out[i, j] = math.log((of_a + of_b) / 2 / (expected + b.eps))
    return out


@pytest.mark.parametrize("edit", [DELETION, "a:3,000-3,200 inv", "b:3,000 ins GATTACA", SWAP])
@pytest.mark.parametrize("resolution", [160, 40])
def test_scores_are_those_of_the_mean_map(predictor, edit, resolution):
    c = predictor.compare(edit, resolution, module="S")
    mean, found = by_hand(c), score_heterozygous(c)
    known = np.triu(np.isfinite(mean))
    assert known.sum() > 50
    change = mean - c.reference.values
    assert found["pixels"] == known.sum()
    assert found["mse"] == pytest.approx(np.mean(change[known] ** 2), rel=1e-4)
    r = np.corrcoef(mean[known], c.reference.values[known])[0, 1]
    assert found["one_minus_r"] == pytest.approx(1 - r, rel=1e-3, abs=1e-7)
    apart = known & (np.subtract(*np.indices(known.shape)) <= -2)
    assert found["scd"] == pytest.approx(np.sqrt((change[apart] ** 2).sum()), rel=1e-4)
    # frequencies alone: half of the fold change, less one, of the haplotype
    fold = np.exp(c.alternate.log_frequency - c.reference.log_frequency)
    touched = np.abs(np.log((1 + fold) / 2))[c.touched]
    assert found["log_fold_change"] == pytest.approx(touched[np.isfinite(touched)].mean(), rel=1e-4)
    assert found["mse"] < c.scores()["mse"]
    assert heterozygous(c).reference is c.reference


def test_scores_of_a_map_s_own_coordinates(predictor):
    """Insulation and boundaries are defined where nothing moves."""
    moved = score_heterozygous(predictor.compare(DELETION, 40, module="S"))
    assert all(math.isnan(moved[name]) for name in OF_COORDINATES)
    c = predictor.compare(SWAP, 40, module="S")
    swapped, own = score_heterozygous(c), c.scores()
    assert {name for name in SCORES if math.isnan(swapped[name])} == {
        name for name in SCORES if math.isnan(own[name])
    }
    turned = score_heterozygous(predictor.compare("a:3,900-4,100 inv", 40, module="S"))
    assert math.isnan(turned["insulation"])


def test_insulation_of_a_slight_change_is_half_as_much():
    """Of a map that is large enough for it; half of a small change of frequencies is half the
    change of their logarithm.
    """
    yeast = oc.Predictor("yeast-metaphase", "example", device="cpu", progress=False)
    c = yeast.compare("chrII:238,260-238,264 inv", 8000)
    both, one = c.scores(), score_heterozygous(c)
    for name in ("insulation", "insulation_at"):
        assert both[name] > 1e-4
        assert one[name] == pytest.approx(both[name] / 2, rel=0.01)


@pytest.mark.parametrize(
    ("length", "edit", "moved"),
    [
        (6400, "a:3,001 ins GATTACAGAT", False),
        (6400, "a:6,391 ins GATTACAGAT", False),
        (6410, "a:3,001-3,010 del", False),
        (6390, "a:3,001 ins GATTACAGAT", False),
        (6400, f"a:3,001 ins {'ACGT' * 25}", True),
        (6400, "a:3,001-3,100 inv", False),
        (6400, "a:3,001-3,400 inv", True),
    ],
)
def test_a_last_bin_of_few_bases_moves_nothing(tmp_path, length, edit, moved):
    """In bins of 160 bp a chromosome of 40 bins gets one more of 10 bp, which came from the 40th,
    as another did; one that ends with a bin of 10 bp loses it.
    """
    (tmp_path / "g.fa").write_text(f">a\n{'ACGTTGCAAC' * (length // 10)}\n")
    genome = oc.open_genome(str(tmp_path / "g.fa"))
    edited = apply_edits(genome, oc.parse_edits(edit, genome))
    _, places = bin_origins(edited, "a", 0, 160, 44)
    index = np.where(places >= 0, places // 160, -1)
    assert (index[40] >= 0) == (edited.chromsizes["a"] > 6400)
    assert moves_nothing(SimpleNamespace(bins=(index,))) != moved
    assert not moves_nothing(SimpleNamespace(bins=(np.full(44, -1),)))


def test_nothing_changes_where_nothing_differs(predictor):
    c = predictor.compare(SWAP, 40, module="S")
    same = type(c)(c.site, c.reference, c.reference, c.references, c.bins, c.touched, c.gaps)
    found = heterozygous(same)
    np.testing.assert_array_equal(found.alternate.values, c.reference.values)
    assert score_heterozygous(same)["mse"] == 0
    assert score_heterozygous(same)["log_fold_change"] == 0


def test_the_table(place, predictor, tmp_path):
    (place / "het.edits").write_text(f"del\t{DELETION}\nsub\t{SWAP}\n")
    line = ["variants", str(place / "het.edits"), "-q", "-m", str(place / "toy"), "--device", "cpu"]
    line += ["-g", str(place / "toy.fa"), "-o"]
    done = CliRunner().invoke(main, [*line, "-", "--genotype", "het"])
    assert done.exit_code == 0, done.output
    rows = [dict(zip(*pair)) for pair in _pairs(done.stdout)]
    found = predictor.score_variants(place / "het.edits", genotype="het")
    for row, ours in zip(rows, found.to_dict("records"), strict=True):
        for name in SCORES:
            assert float(row[name]) == pytest.approx(ours[name], rel=1e-4, abs=1e-9, nan_ok=True)
    for edit, name in ((DELETION, "del"), (SWAP, "sub")):
        c = predictor.compare(edit, 40, module="S")
        (row,) = [r for r in rows if r["name"] == name and r["resolution"] == "40"]
        assert float(row["mse"]) == pytest.approx(score_heterozygous(c)["mse"], rel=1e-3)
    assert (
        CliRunner().invoke(main, [*line, str(tmp_path / "x.tsv"), "--genotype", "het"]).exit_code
        == 0
    )
    assert '"genotype": "het"' in (tmp_path / "x.tsv.json").read_text()
    with pytest.raises(EditError, match="genotype 'one' is not known"):
        predictor.score_variants(place / "het.edits", genotype="one")


def _pairs(text):
    header, *lines = (line.split("\t") for line in text.splitlines())
    return [(header, line) for line in lines]
