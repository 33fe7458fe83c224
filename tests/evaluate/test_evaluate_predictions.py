"""``orca-cool evaluate PREDICTED... MEASURED``: predictions of any models beside each other, on the
pixels that all of them know.
"""

from __future__ import annotations

import json
import warnings

import cooler
import cooltools
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from given_windows import BINS, RESOLUTION, SIZES, STARTS, cut, genome, known_map, save, write_all

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.genome.regions import n_bins
from orca_cool.maps.coolfile import read_layer, read_log_ratio

CHROMS = ("a", "c")


def truth(chrom: str) -> np.ndarray:
    """Measured log observed/expected: what two of the predictions know, and noise."""
    return (0.5 * known_map(chrom, 1) + 0.4 * known_map(chrom, 2) + 0.6 * known_map(chrom, 3)) / 2


def write_cooler(path, values, factor: float, mask: dict[str, list[int]], weights: bool = True):
    """A cooler of frequencies exp(values) * factor / (1 + d), as counts and weights."""
    bins = cooler.binnify(pd.Series(SIZES), RESOLUTION)
    offset, rows = 0, []
    weight = np.full(len(bins), 0.01)
    for chrom, size in SIZES.items():
        n = n_bins(size, RESOLUTION)
        y = values(chrom)
        i, j = np.triu_indices(n)
        count = np.rint(1e4 * factor * np.exp(y[i, j]) / (1 + j - i)).astype(np.int64)
        rows.append(pd.DataFrame({"bin1_id": i + offset, "bin2_id": j + offset, "count": count}))
        weight[[offset + k for k in mask.get(chrom, [])]] = np.nan
        offset += n
    if weights:
        bins["weight"] = weight
    cooler.create_cooler(str(path), bins, pd.concat(rows), symmetric_upper=True)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    genome(folder / "g.fa")
    write_all(folder / "ours", 1)
    write_all(folder / "windows", 2)
    gap = cut(known_map("a", 2), 20)
    gap[7], gap[:, 7] = np.nan, np.nan  # bin 27 of "a"
    save(folder / "windows" / "a3.npz", "a", 20, gap)
    oc.stitch_windows(
        folder / "ours",
        folder / "ours.mcool",
        genome=folder / "g.fa",
        expected="inverse-distance",
        progress=False,
    )
    write_cooler(folder / "plain.cool", lambda c: known_map(c, 3), 0.3, {"a": [40]})
    write_cooler(folder / "measured.cool", truth, 1.0, {"a": [3], "c": [20]})
    return folder


def run(*arguments: object):
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments), "-q"])


def target(place, chrom: str, band: int, ours="ours.mcool", measured="measured.cool") -> np.ndarray:
    """Measured log observed/expected, by the definition."""
    layer, _ = read_layer(f"{place}/{ours}::resolutions/{RESOLUTION}")
    clr = cooler.Cooler(str(place / measured))
    observed = clr.matrix(balance=True).fetch(chrom)
    d = np.abs(np.subtract.outer(np.arange(len(observed)), np.arange(len(observed))))
    expected = np.where(
        d < band, layer.by_distance(max(len(d), band))[np.minimum(d, band - 1)], np.nan
    )
    return np.log((observed + layer.eps) / (expected + layer.eps))


def predicted(place, chrom: str) -> dict[str, np.ndarray]:
    """What each prediction says, by plain means."""
    n = n_bins(SIZES[chrom], RESOLUTION)
    out = {"ours": read_log_ratio(f"{place}/ours.mcool::resolutions/{RESOLUTION}", chrom)}
    windows = known_map(chrom, 2).astype(float)  # windows of one map agree where they overlap
    covered = np.zeros((n, n), bool)
    for k, s in enumerate(STARTS[chrom]):
        with np.load(place / "windows" / f"{chrom}{k}.npz") as file:
            known = np.isfinite(file["values"])[: n - s, : n - s]
        covered[s : s + BINS, s : s + BINS] |= known
    out["windows"] = np.where(covered, windows, np.nan)
    clr = cooler.Cooler(str(place / "plain.cool"))
    view = pd.DataFrame(
        {"chrom": CHROMS, "start": 0, "end": [SIZES[c] for c in CHROMS], "name": CHROMS}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = cooltools.expected_cis(
            clr, view_df=view, smooth=True, aggregate_smoothed=True, ignore_diags=2
        )
    own = (
        table.groupby("dist")["balanced.avg.smoothed.agg"].max().reindex(np.arange(100)).to_numpy()
    )
    own[:2] = np.nan
    d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    with np.errstate(divide="ignore"):
        y = np.log(clr.matrix(balance=True).fetch(chrom) / own[d])
    out["plain"] = np.where(np.isfinite(y), y, np.nan)
    return out


def paths(place) -> list:
    return [place / "ours.mcool", place / "windows", place / "plain.cool"]


def test_r_is_numpys_on_the_pixels_that_all_know(place, tmp_path):
    words = ("--chrom", "a", "--chrom", "c", "--cutoff", 0, "--no-ceiling", "-o", tmp_path / "out")
    done = run(*paths(place), place / "measured.cool", *words, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    found = {(s["chrom"], s["prediction"]): s for s in result["scores"]}
    band = result["provenance"]["bands"][str(RESOLUTION)]
    assert band == 9
    pooled: dict[str, list] = {name: [] for name in ("ours", "windows", "plain")}
    for chrom in CHROMS:
        maps = predicted(place, chrom)
        y = target(place, chrom, band)
        known = np.logical_and.reduce([np.isfinite(m) for m in (*maps.values(), y)])
        i, j = np.nonzero(np.triu(known, 2))
        if chrom == "a":
            assert {3, 40} & {*i, *j} == set()  # 27 is unknown to one window alone
        for name, x in maps.items():
            score = found[chrom, name]
            assert score["pixels"] == len(i) > 100
            assert score["r"] == pytest.approx(np.corrcoef(x[i, j], y[i, j])[0, 1], abs=1e-5)
            pooled[name].append((x[i, j], y[i, j]))
    for name, parts in pooled.items():
        x, y = (np.concatenate(v) for v in zip(*parts))
        assert found["all", name]["r"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-5)
        assert found["all", name]["r"] > 0.3
    table = (tmp_path / "out" / "scores.tsv").read_text().splitlines()
    assert table[0].split("\t")[:5] == ["chrom", "kind", "resolution", "prediction", "r"]
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == result


def test_the_order_does_not_matter_and_one_alone_has_its_own_pixels(place):
    options = {"cutoff": 0.0, "ceiling": False, "progress": False, "expected": "inverse-distance"}
    measured = place / "measured.cool"
    one = oc.evaluate_predictions(paths(place), measured, CHROMS, **options)
    two = oc.evaluate_predictions(paths(place)[::-1], measured, CHROMS, **options)
    assert list(one.scores) == ["ours", "windows", "plain"]
    for name, scores in one.scores.items():
        for a, b in zip(scores, two.scores[name]):
            assert (a.chrom, a.pixels) == (b.chrom, b.pixels)
            assert a.r == pytest.approx(b.r, abs=1e-12)
    alone = oc.evaluate_predictions([place / "windows"], measured, CHROMS, **options)
    assert alone.scores["windows"][0].pixels > one.scores["windows"][0].pixels


def test_one_of_ours_is_scored_as_before(place):
    """The table of several agrees with that of one file, which also has what only it knows."""
    measured = place / "measured.cool"
    options = {"cutoff": 0.0, "ceiling": False, "progress": False}
    alone = oc.evaluate_files(place / "ours.mcool", measured, CHROMS, **options)
    several = oc.evaluate_predictions([place / "ours.mcool"], measured, CHROMS, **options)
    for a, b in zip(alone.scores, several.scores["ours"], strict=True):
        assert a.pixels == b.pixels
        assert a.r == pytest.approx(b.r, abs=1e-12)
        assert a.metrics["model"].scc == pytest.approx(b.metrics["model"].scc)


def test_the_table_and_what_is_not_of_a_prediction(place):
    more = ("--chrom", "a", "--cutoff", 0, "--replicate", place / "measured.cool")
    done = run(*paths(place), place / "measured.cool", *more, "--train", "c")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    names = [line.split()[2] for line in lines[1:]]
    assert names == ["ours", "windows", "plain", "(telomere)", "(replicate)", "(halves)"]
    replicate = lines[1 + names.index("(replicate)")].split()
    assert replicate[3] == "1.000"
    assert "relative to its own mean" not in done.stderr
    windows = run(place / "windows", place / "measured.cool", *more[:4], "--no-ceiling")
    assert windows.exit_code == 0, windows.output
    assert windows.stdout.splitlines()[1].split()[2] == "windows"


def test_what_does_not_fit_is_named(place, tmp_path):
    measured, more = place / "measured.cool", ("--chrom", "a", "--no-ceiling")
    folder = tmp_path / "coarse"
    folder.mkdir()
    values = cut(known_map("a"), 0)
    np.savez(folder / "x.npz", chrom="a", start=0, end=150 * BINS, values=values)
    np.savez(tmp_path / "lost.npz", values=values)
    (tmp_path / "ours").mkdir()
    for arguments, message in (
        ((place / "ours.mcool", folder, measured), "no level is scored: predictions have"),
        ((folder, measured), "the measured map 100 bp"),
        ((tmp_path / "lost.npz", measured), "lost.npz has no 'chrom' and no 'start' and no 'end'"),
        ((tmp_path / "ours", measured), "the folder holds no .npz"),
        ((place / "ours.mcool", place / "ours.mcool", measured), "is given twice"),
        ((*paths(place), measured, "--levels", "200"), "level 200 is not in all predictions"),
        ((*paths(place), measured, "--step", "100"), "needs --model"),
        ((place / "ours.mcool", measured, "--expected", "x"), "is for several predictions"),
        ((place / "windows", measured, "--expected", "x"), "is no folder of `orca-cool expected`"),
        ((measured,), "one prediction and one measured map are needed"),
    ):
        done = run(*arguments, *more)
        assert done.exit_code == 2, (arguments, done.output)
        assert message in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    only = tmp_path / "only"
    only.mkdir()
    save(only / "x.npz", "b", 0, cut(known_map("b"), 0))
    done = run(only, measured, *more)
    assert "have none on chromosome 'a'" in done.stderr
