"""``orca-cool evaluate --akita``: the paper's comparison, against its steps written out with scipy."""

from __future__ import annotations

import json
from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter, zoom

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.evaluate.akita import in_form, without_means
from orca_cool.maps.coolfile import read_layer, read_log_ratio

N, BIN = 300, 4000
SIZE = N * BIN - 1_500
#: First bins of Akita's windows of 2,048 bp; the last one's megabase leaves the chromosome.
STARTS = (20, 60, 100, 137)


def smooth_map(seed: int, n: int) -> np.ndarray:
    y = np.random.default_rng(seed).normal(size=(n, n))
    return (gaussian_filter(y + y.T, 3) * 6).astype(np.float32)


def write_predicted(folder: Path, genome: Path, y: np.ndarray) -> None:
    """ours.mcool in a folder: one window that is the whole chromosome."""
    np.savez(folder / "ours.npz", chrom="a", start=0, end=N * BIN, values=y)
    oc.stitch_windows(
        folder / "ours.npz",
        folder / "ours.mcool",
        genome=genome,
        expected="inverse-distance",
        progress=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("akita")
    codes = np.random.default_rng(0).integers(0, 4, SIZE)
    letters = np.frombuffer(b"ACGT", np.uint8)[codes].tobytes()
    (folder / "g.fa").write_bytes(b">a\n" + letters + b"\n")
    y = smooth_map(1, N)
    write_predicted(folder, folder / "g.fa", y)
    (folder / "akita").mkdir()
    for s in STARTS:
        values = smooth_map(2, 448)
        d = np.abs(np.subtract.outer(np.arange(448), np.arange(448)))
        values[d < 2] = np.nan
        about = {"chrom": "a", "start": s * 2048, "end": (s + 448) * 2048}
        np.savez(folder / "akita" / f"{s}.npz", values=values, **about)
    write_measured(folder / "m.cool", 0.7 * y + 0.7 * smooth_map(3, N), masked=70)
    return folder


def write_measured(path, truth: np.ndarray, masked: int) -> None:
    """A balanced map whose log observed/expected is ``truth``, and a bin of it that is masked."""
    bins = cooler.binnify(pd.Series({"a": SIZE}), BIN)
    law = 1 / (1 + np.arange(N))
    bins["weight"] = np.sqrt(law[0] / (2 * law.sum() - law[0]) / 1e7)  # relative to expected
    bins.loc[[masked], "weight"] = np.nan
    i, j = np.triu_indices(N)
    count = np.rint(1e7 * np.exp(truth[i, j]) / (1 + j - i)).astype(np.int64)
    pixels = pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": count})
    cooler.create_cooler(str(path), bins, pixels, symmetric_upper=True)


def run(*arguments: object):
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments), "-q"])


def test_the_form_is_the_papers():
    y = smooth_map(5, 250).astype(float) * 3
    y[100], y[:, 100] = np.nan, np.nan
    up = zoom(y, 2, order=1, grid_mode=True, mode="nearest")
    wanted = np.clip(gaussian_filter(up, 1, truncate=2), -2, 2)[26:-26, 26:-26]
    found = in_form(y)
    assert found.shape == (448, 448)
    known = np.isfinite(found) & np.isfinite(wanted)
    assert known.mean() > 0.95
    np.testing.assert_allclose(found[known], wanted[known], atol=1e-9)
    flat = without_means(found)
    for k in (0, 7, 300):
        assert np.nanmean(np.diagonal(flat, k)) == pytest.approx(0, abs=1e-12)
        assert np.nanmean(np.diagonal(found, k)) != pytest.approx(0, abs=1e-4)


def test_r_of_each_window(place, tmp_path):
    words = ("--akita", place / "akita", "--chrom", "a", "--cutoff", 0)
    maps = (place / "ours.mcool", place / "m.cool")
    done = run(*maps, *words, "--json", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    layer, _ = read_layer(f"{place}/ours.mcool::resolutions/{BIN}")
    observed = cooler.Cooler(str(place / "m.cool")).matrix(balance=True).fetch("a")
    d = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    target = np.log((observed + layer.eps) / (layer.by_distance(N)[d] + layer.eps))
    ours = read_log_ratio(f"{place}/ours.mcool::resolutions/{BIN}", "a")
    assert len(result["windows"]) == 3
    for s, found in zip(STARTS, result["windows"]):
        assert f"a:{s * 2048:,}-" in found["place"]
        first = round((s + 224) * 2048 / BIN) - 125
        cut = slice(first, first + 250)
        with np.load(place / "akita" / f"{s}.npz") as file:
            theirs = file["values"].astype(float)
        x, a, y = (
            without_means(m) for m in (in_form(ours[cut, cut]), theirs, in_form(target[cut, cut]))
        )
        known = np.isfinite(x) & np.isfinite(a) & np.isfinite(y)
        assert found["ours"] == pytest.approx(np.corrcoef(x[known], y[known])[0, 1], abs=1e-4)
        assert found["akita"] == pytest.approx(np.corrcoef(a[known], y[known])[0, 1], abs=1e-4)
        assert found["ours"] > 0.5 > found["akita"]
    scores = {s["prediction"]: s for s in result["scores"]}
    mean = np.mean([w["ours"] for w in result["windows"]])
    assert scores["ours"]["mean"] == pytest.approx(mean)
    table = run(*maps, *words).stdout.splitlines()
    assert table[0].split()[:3] == ["prediction", "windows", "mean"]
    assert table[-2] == "published, H1-ESC, mean: Akita 0.621, Orca 0.771"


def test_what_does_not_fit_is_named(place, tmp_path):
    maps = (place / "ours.mcool", place / "m.cool", "--chrom", "a")
    small = tmp_path / "small.npz"
    np.savez(small, chrom="a", start=0, end=16 * 2048, values=np.zeros((16, 16)))
    coarse = tmp_path / "coarse.npz"
    np.savez(coarse, chrom="a", start=0, end=16 * 8000, values=np.zeros((16, 16)))
    for arguments, message in (
        ((*maps, "--akita", small), "have 16 bins; Akita's have 448"),
        ((coarse, *maps[1:], "--akita", place / "akita"), "has bins of 8000 bp; 4000 are needed"),
        ((*maps, "--akita", place / "akita", "--train", "a"), "means nothing with --akita"),
        ((*maps[1:], "--akita", place / "akita"), "--akita with 1 maps"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, (arguments, done.output)
        assert message in done.stderr, done.stderr


def test_the_difference_of_two_cell_types(place, tmp_path):
    """Predicted differences are of maps without their means, the measured one has its taken off."""
    y = smooth_map(11, N)
    write_predicted(tmp_path, place / "g.fa", y)
    (tmp_path / "akita").mkdir()
    for s in STARTS:
        about = {"chrom": "a", "start": s * 2048, "end": (s + 448) * 2048}
        np.savez(tmp_path / "akita" / f"{s}.npz", values=smooth_map(12, 448), **about)
    write_measured(tmp_path / "m.cool", 0.7 * y + 0.7 * smooth_map(13, N), masked=110)
    sides = (place, tmp_path)
    maps = [side / name for name in ("ours.mcool", "m.cool") for side in sides]
    akita = [word for side in sides for word in ("--akita", side / "akita")]
    words = ("--chrom", "a", "--cutoff", 0, "--difference")
    done = run(*maps, *akita, *words, "--json", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["provenance"]["way"] == "akita-difference"
    d = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    assert len(result["windows"]) == 3
    for s, found in zip(STARTS, result["windows"]):
        first = round((s + 224) * 2048 / BIN) - 125
        cut = slice(first, first + 250)
        x, a, t = [], [], []
        for side in sides:
            layer, _ = read_layer(f"{side}/ours.mcool::resolutions/{BIN}")
            observed = cooler.Cooler(str(side / "m.cool")).matrix(balance=True).fetch("a")
            target = np.log((observed + layer.eps) / (layer.by_distance(N)[d] + layer.eps))
            ours = read_log_ratio(f"{side}/ours.mcool::resolutions/{BIN}", "a")
            with np.load(side / "akita" / f"{s}.npz") as file:
                a.append(without_means(file["values"].astype(float)))
            x.append(without_means(in_form(ours[cut, cut])))
            t.append(in_form(target[cut, cut]))
        x, a, t = x[0] - x[1], a[0] - a[1], without_means(t[0] - t[1])
        known = np.isfinite(x) & np.isfinite(a) & np.isfinite(t)
        assert found["ours"] == pytest.approx(np.corrcoef(x[known], t[known])[0, 1], abs=1e-4)
        assert found["akita"] == pytest.approx(np.corrcoef(a[known], t[known])[0, 1], abs=1e-4)
        assert found["ours"] > 0.5 > found["akita"]
    table = run(*maps, *akita, *words).stdout.splitlines()
    assert table[-1] == "published, H1-ESC - HFF, mean: Akita 0.133, Orca 0.349"
    (tmp_path / "akita" / f"{STARTS[1]}.npz").unlink()
    for arguments, message in (
        ((*maps, *akita, *words), r"akita' have none at a:122,880-1,040,384; of both cell types"),
        ((*maps, *akita[:2], *words), "with --difference it is given twice, of A and of B"),
        ((*maps[:2], *akita, *words), "--difference of 2 maps: two predictions"),
        ((*maps[::2], *akita, *words[:-1]), "it is given once; of the difference of two"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, (arguments, done.output)
        assert message in done.stderr, done.stderr
