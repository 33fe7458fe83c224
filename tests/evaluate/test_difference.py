"""``orca-cool evaluate --difference``: two cell types, predicted and measured, against plain numpy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from given_windows import RESOLUTION, genome, known_map, write_all
from test_evaluate_predictions import target, write_cooler

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.evaluate.differences import auroc_of_top
from orca_cool.maps.coolfile import read_log_ratio

CHROMS = ("a", "c")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Cell types 1 and 2: each a file of ours, and a measured map that is half of it and noise."""
    folder = tmp_path_factory.mktemp("difference")
    genome(folder / "g.fa")
    for k in (1, 2):
        write_all(folder / f"w{k}", k)
        oc.stitch_windows(
            folder / f"w{k}",
            folder / f"p{k}.mcool",
            genome=folder / "g.fa",
            expected="inverse-distance",
            progress=False,
        )

        def measured(chrom, k=k):
            return 0.5 * known_map(chrom, k) + 0.5 * known_map(chrom, k + 2)

        write_cooler(folder / f"m{k}.cool", measured, 1.0, {"a": [3 * k]})
    return folder


def run(*arguments: object):
    return CliRunner().invoke(main, ["evaluate", "--difference", *map(str, arguments), "-q"])


def test_r_and_auroc_are_plain_ones(place, tmp_path):
    maps = [place / name for name in ("p1.mcool", "p2.mcool", "m1.cool", "m2.cool")]
    words = ("--chrom", "a", "--chrom", "c", "--cutoff", 0, "--json", "-o", tmp_path / "out")
    done = run(*maps, *words)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    found = {s["chrom"]: s for s in result["scores"]}
    pooled = []
    for chrom in CHROMS:
        x1, x2 = (
            read_log_ratio(f"{place}/p{k}.mcool::resolutions/{RESOLUTION}", chrom) for k in (1, 2)
        )
        y1, y2 = (target(place, chrom, 9, f"p{k}.mcool", f"m{k}.cool") for k in (1, 2))
        x, y = x1 - x2, y1 - y2
        i, j = np.nonzero(np.triu(np.isfinite(x) & np.isfinite(y), 2))
        assert found[chrom]["pixels"] == len(i)
        assert found[chrom]["r"] == pytest.approx(np.corrcoef(x[i, j], y[i, j])[0, 1], abs=1e-5)
        pooled.append((x[i, j], y[i, j]))
    x, y = (np.concatenate(v) for v in zip(*pooled))
    top = np.abs(y) > np.quantile(np.abs(y), 0.99)
    up, down = x[top & (y > 0)], x[top & (y < 0)]
    wins = np.mean(up[:, None] > down) + np.mean(up[:, None] == down) / 2
    assert found["all"]["auroc"] == pytest.approx(wins, abs=1e-9)
    assert found["all"]["top"] == top.sum() > 3
    assert found["all"]["r"] > 0.5
    assert (tmp_path / "out" / "scores.tsv").read_text().startswith("chrom\tresolution\tr\tauroc")
    same = oc.evaluate_difference(maps[:2], maps[2:], CHROMS, cutoff=0.0, progress=False, nearest=2)
    assert list(same.rows()) == result["scores"]


def test_auroc_of_top():
    y = np.r_[np.linspace(-1, 1, 1001) * 0.1, 3 + np.arange(6), -3 - np.arange(6)]
    assert auroc_of_top(y, y)[0] == 1
    assert auroc_of_top(-y, y)[0] == 0
    assert np.isnan(auroc_of_top(y, np.abs(y))[0])
    assert np.isnan(auroc_of_top(y[:0], y[:0])[0])


def test_what_does_not_fit_is_named(place):
    one, two, a, b = (place / name for name in ("p1.mcool", "p2.mcool", "m1.cool", "m2.cool"))
    for arguments, message in (
        ((one, two, a), "--difference of 3 maps: two predictions and two measured maps"),
        ((one, two, a, b, "--train", "c"), "means nothing with --difference"),
        ((one, two, a, b, "--levels", "300"), "level 300 is not in all predictions"),
        ((one, two, a, place / "none.cool"), "does not exist"),
        ((one, one, a, b), "p1.mcool' is given twice; a difference is of two"),
        ((one, two, a, a), "measured map '"),
    ):
        done = run(*arguments, "--chrom", "a")
        assert done.exit_code == 2, (arguments, done.output)
        assert message in done.stderr
