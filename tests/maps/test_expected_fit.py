"""The background that is measured on a map: against sums by hand, against planted power laws, and
on real yeast maps.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cooler
import cooltools
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from statsmodels.nonparametric.smoothers_lowess import lowess

import orca_cool.maps.expected_fit as expected_fit
from orca_cool.cli import main
from orca_cool.errors import CoolerError, ModelError, RegionError
from orca_cool.genome.regions import Region
from orca_cool.maps.expected_files import load_expected
from orca_cool.maps.expected_fit import Measured, fit_expected, measure, select_regions, smooth
from orca_cool.maps.expected_model import ExpectedModel

RES = 1000
SIZES = {
    "chrA": 40_300,
    "chrB": 31_000,
    "held": 25_000,
    "chrC": 12_000,
}  # chrA's last bin is partial
KEPT = ["chrA", "chrB", "chrC"]


def make_map(
    path: Path, *, scale: int = 1, resolution: int = RES, **columns
) -> tuple[np.ndarray, pd.DataFrame]:
    """Write a random map with masked bins; whatever touches "held" is ``scale`` times too high.
    Returns dense counts and the bins.
    """
    rng = np.random.default_rng(7)
    bins = cooler.binnify(pd.Series(SIZES), resolution)
    n = len(bins)
    weight = rng.uniform(0.01, 0.03, n)
    weight[rng.random(n) < 0.15] = np.nan
    d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    cis = np.equal.outer(bins["chrom"].to_numpy(str), bins["chrom"].to_numpy(str))
    counts = np.triu(rng.poisson(np.where(cis, 60 / (1 + d), 2.0)))
    held = (bins["chrom"] == "held").to_numpy()
    counts = np.where(held[:, None] | held[None, :], counts * scale, counts)
    if scale > 1:
        weight[held] = 1e6
    bins = bins.assign(weight=weight, **columns)
    i, j = np.nonzero(counts)
    pixels = pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": counts[i, j]})
    cooler.create_cooler(str(path), bins, pixels, dtypes={"count": np.int64})
    return counts, bins


def by_hand(
    counts: np.ndarray, bins: pd.DataFrame, regions: list[tuple[int, int, str]]
) -> tuple[np.ndarray, np.ndarray, float]:
    """n_valid and balanced sum by distance over regions (first bin, last bin + 1, chromosome), and
    the mean between chromosomes.
    """
    w = bins["weight"].to_numpy()
    n_valid, total = np.zeros(41, dtype=int), np.zeros(41)
    pairs, between = 0, 0.0
    for k, (a, b, chrom) in enumerate(regions):
        for i in range(a, b):
            for j in range(i, b):
                if np.isfinite(w[i] * w[j]):
                    n_valid[j - i] += 1
                    total[j - i] += counts[i, j] * w[i] * w[j]
        for a2, b2, other in regions[k + 1 :]:
            if other != chrom:
                block = counts[a:b, a2:b2] * np.outer(w[a:b], w[a2:b2])
                pairs += int(np.isfinite(block).sum())
                between += float(np.nansum(block))
    return n_valid, total, between / pairs


def whole(bins: pd.DataFrame, chroms: list[str]) -> list[tuple[int, int, str]]:
    rows = {c: np.flatnonzero(bins["chrom"] == c) for c in chroms}
    return [(int(r[0]), int(r[-1]) + 1, c) for c, r in rows.items()]


@pytest.mark.parametrize("nproc", [1, 2])
def test_sums_are_those_of_the_dense_map(tmp_path, monkeypatch, nproc) -> None:
    counts, bins = make_map(tmp_path / "m.cool")
    monkeypatch.setattr(expected_fit, "CHUNK", 170)  # pieces that end within chromosomes
    clr = cooler.Cooler(str(tmp_path / "m.cool"))
    found = measure(clr, select_regions(clr, ["held"]), trans=True, nproc=nproc)
    n_valid, total, between = by_hand(counts, bins, whole(bins, KEPT))
    np.testing.assert_array_equal(found.n_valid, n_valid)
    np.testing.assert_allclose(found.total, total, rtol=1e-12)
    assert found.trans == pytest.approx(between, rel=1e-12)
    assert np.isnan(bins["weight"]).sum() > 5
    assert found.average[3] == pytest.approx(total[3] / n_valid[3], rel=1e-12)


@pytest.mark.filterwarnings("ignore:The default of observed:FutureWarning")
def test_sums_are_those_of_cooltools(tmp_path) -> None:
    make_map(tmp_path / "m.cool")
    clr = cooler.Cooler(str(tmp_path / "m.cool"))
    found = measure(clr, select_regions(clr), trans=True)
    stock = (
        cooltools.expected_cis(clr, smooth=False, ignore_diags=0, nproc=1)
        .groupby("dist")[["n_valid", "balanced.sum"]]
        .sum()
    )
    np.testing.assert_array_equal(found.n_valid, stock["n_valid"])
    np.testing.assert_allclose(found.total, stock["balanced.sum"], rtol=1e-12)
    table = cooltools.expected_trans(clr, nproc=1)
    assert found.trans == pytest.approx(
        table["balanced.sum"].sum() / table["n_valid"].sum(), rel=1e-12
    )


def test_nothing_of_an_excluded_chromosome_enters(tmp_path) -> None:
    make_map(tmp_path / "sane.cool")
    counts, bins = make_map(tmp_path / "absurd.cool", scale=10**9)
    found, read = [], []
    for name in ("sane", "absurd"):
        clr = cooler.Cooler(str(tmp_path / f"{name}.cool"))
        found.append(
            measure(clr, select_regions(clr, ["held"]), trans=True, show=lambda *x: read.append(x))
        )
    np.testing.assert_array_equal(found[0].total, found[1].total)
    assert found[0].trans == found[1].trans
    # the rows of "held" were not even read
    rows = np.count_nonzero(counts[~(bins["chrom"] == "held").to_numpy()])
    assert read[-1] == (2 * rows, 2 * rows)
    assert rows < np.count_nonzero(counts)
    with_it = measure(clr, select_regions(clr))
    assert with_it.average[0] > 1e6 * found[0].average[0]
    options = {"trans": True, "min_pixels": 5}
    np.testing.assert_array_equal(
        fit_expected(clr, KEPT, **options).cis, smooth(found[0], min_pixels=5).cis
    )


def test_a_view_is_cut_to_whole_bins(tmp_path) -> None:
    counts, bins = make_map(tmp_path / "m.cool")
    view = tmp_path / "view.bed"
    view.write_text(
        "chrC\t0\t12000\tc\nchrA\t20500\t40300\tright\nchrA\t0\t20500\tleft\nheld\t0\t25000\tno\n"
    )
    clr = cooler.Cooler(str(tmp_path / "m.cool"))
    found = measure(clr, select_regions(clr, ["held"], view), trans=True)
    a, _, c = whole(bins, KEPT)
    n_valid, total, between = by_hand(counts, bins, [(0, 20, "chrA"), (21, 41, "chrA"), c])
    assert a[:2] == (0, 41)
    assert len(found.n_valid) == 20  # no bins of one region are farther apart
    np.testing.assert_array_equal(found.n_valid, n_valid[:20])
    np.testing.assert_allclose(found.total, total[:20], rtol=1e-12)
    assert found.trans == pytest.approx(between, rel=1e-12)


def power_law(
    resolution: int, bins: int, noise: float, exponent: float = -1.1
) -> tuple[Measured, np.ndarray]:
    d = np.maximum(np.arange(bins), 0.5)
    truth = 0.1 * d**exponent
    n_valid = np.arange(bins, 0, -1) + 30
    drawn = truth * np.exp(np.random.default_rng(3).normal(0, noise, bins))
    return Measured(resolution, n_valid, drawn * n_valid), truth


def test_lowess_recovers_a_power_law() -> None:
    measured, truth = power_law(4000, 16_000, 0.2)
    found = smooth(measured).cis
    np.testing.assert_array_equal(
        found[:400], measured.average[:400]
    )  # nearer than 1.6 Mb: as measured, to the bit
    assert not np.isclose(found[400:1000], measured.average[400:1000], rtol=1e-3).all()
    d = np.arange(400, 16_000)
    assert np.polyfit(np.log(d), np.log(found[d]), 1)[0] == pytest.approx(-1.1, rel=0.02)
    off = np.log(found / truth)
    assert off[400:].std() < 0.03
    assert np.abs(off[10_500:]).max() < 0.03  # the wide span is the smoother one
    assert off[10_500:].std() < 0.6 * off[4000:9500].std()


def test_lowess_has_the_spans_of_the_paper() -> None:
    """Straight lines between fits (delta) change little; the other span would change much."""
    measured, _ = power_law(4000, 12_000, 0.2)
    found = np.log(smooth(measured).cis)
    x, y = np.log(np.arange(1, 12_000)), np.log(measured.average[1:])
    fine, wide = (lowess(y, x, frac=f, delta=f / 100, return_sorted=False) for f in (0.01, 0.1))
    near, far = np.arange(400, 10_000), np.arange(10_000, 12_000)
    assert np.abs(found[near] - fine[near - 1]).max() < 0.02
    assert (
        np.abs(found[near] - fine[near - 1]).std()
        < 0.1 * np.abs(found[near] - wide[near - 1]).std()
    )
    assert np.abs(found[far] - wide[far - 1]).max() < 0.005
    assert np.abs(found[far] - fine[far - 1]).max() > 0.02
    # the released script counts its 10,000 bins from the 400th on
    later = np.log(smooth(measured, wide_from=41_600_000).cis)
    moved, rest = np.arange(10_000, 10_400), np.arange(10_400, 12_000)
    assert np.abs(later[moved] - fine[moved - 1]).max() < 0.02
    np.testing.assert_array_equal(later[near], found[near])
    np.testing.assert_array_equal(later[rest], found[rest])


def test_keep_counts_base_pairs() -> None:
    for resolution in (1000, 3000):
        measured, _ = power_law(resolution, 600, 0.2)
        found = smooth(measured, keep=100_000).cis
        as_measured = found == measured.average
        first = -(-100_000 // resolution)
        assert as_measured[:first].all()
        assert not as_measured[first : first + 5].any()


def table(
    total: list[float], n_valid: list[int] | None = None, trans: float | None = None
) -> Measured:
    return Measured(
        1000, np.array(n_valid or [100] * len(total)), np.array(total, dtype=float), trans
    )


def test_distances_without_contacts_keep_the_mean() -> None:
    found = smooth(table([100, 50, 0, 0, 30, 10, 0])).cis
    # 2, 3 share the 30 contacts of 4 (30 / 300); the last shares those of 5 (10 / 200); what was
    # measured stays
    np.testing.assert_allclose(found, [1, 0.5, 0.1, 0.1, 0.3, 0.1, 0.05], rtol=1e-14)
    assert np.log(found).max() == 0


def test_removed_diagonals_take_the_first_that_is_there(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        found = smooth(table([0, 0, 40, 20])).cis
    np.testing.assert_allclose(found, [0.4, 0.4, 0.4, 0.2], rtol=1e-14)
    assert "no contacts nearer than 2 bins" in caplog.text


def test_too_few_pixels() -> None:
    measured = table([100, 64, 8, 4, 9.9, 1, 5], [100, 100, 19, 0, 99, 20, 19])
    found = smooth(measured).cis
    # 2 and 3 lie on the line in logs from 0.64 at 1 to 0.1 at 4; after 5 nothing has 20 pixels
    slope = np.log(0.1 / 0.64) / np.log(4)
    np.testing.assert_allclose(
        found[:6], [1, 0.64, 0.64 * 2**slope, 0.64 * 3**slope, 0.1, 0.05], rtol=1e-13
    )
    assert np.isnan(found[6:]).all()
    assert np.isfinite(smooth(measured, min_pixels=19).cis[6])
    assert smooth(measured, min_pixels=19).cis[2] == 8 / 19


def test_one_distance_is_enough() -> None:
    np.testing.assert_array_equal(smooth(table([3, 1], [100, 5]), keep=0).cis, [0.03, np.nan])


def test_monotone_is_the_running_minimum() -> None:
    sums = [20, 40, 30, 5, 8, 2]
    wanted = [0.2, 0.2, 0.2, 0.05, 0.05, 0.02]
    np.testing.assert_array_equal(smooth(table(sums)).cis, np.array(sums) / 100)
    np.testing.assert_array_equal(smooth(table(sums), monotone=True).cis, wanted)
    np.testing.assert_array_equal(
        smooth(table(sums, trans=1e-3)).cis, wanted
    )  # the default where there is trans
    np.testing.assert_array_equal(
        smooth(table(sums, trans=1e-3), monotone=False).cis, np.array(sums) / 100
    )


def test_smooth_refuses_what_has_no_pixels() -> None:
    with pytest.raises(
        CoolerError, match=r"no distance at 1000 bp has contacts and 20 valid pixels \(at most 19\)"
    ):
        smooth(table([1, 1], [19, 18]))


def test_library_errors(tmp_path) -> None:
    make_map(tmp_path / "m.cool")
    clr = cooler.Cooler(str(tmp_path / "m.cool"))
    with pytest.raises(RegionError, match="chromosome 'chrD' is not in"):
        fit_expected(clr, ["chrA", "chrD"])
    with pytest.raises(RegionError, match="no chromosome"):
        fit_expected(clr, [])
    with pytest.raises(CoolerError, match="'chrA' alone"):
        fit_expected(clr, ["chrA"], trans=True)
    with pytest.raises(RegionError, match="whole bin"):
        measure(clr, [Region("chrA", 100, 900)])


def test_weights_that_divide_give_what_their_inverses_give(tmp_path) -> None:
    make_map(tmp_path / "m.cool")
    clr = cooler.Cooler(str(tmp_path / "m.cool"))
    truth = fit_expected(clr, KEPT)
    with clr.open("r+") as group:
        weight = group["bins/weight"][:]
        group["bins/KR"] = 1 / weight  # divides by its name
        group["bins/mine"] = 1 / weight
        group["bins/mine"].attrs["divisive_weights"] = True
        group["bins/VC"] = weight
        group["bins/VC"].attrs["divisive_weights"] = False  # the file has the last word
    for name in ("KR", "mine", "VC"):
        found = fit_expected(clr, KEPT, weight=name)
        np.testing.assert_allclose(found.cis, truth.cis, rtol=1e-12)


def test_an_empty_chromosome_whose_bins_count_is_an_error(tmp_path) -> None:
    make_map(tmp_path / "m.cool")
    clr = cooler.Cooler(str(tmp_path / "m.cool"))
    bins, pixels, (a, b) = clr.bins()[:], clr.pixels()[:], clr.extent(KEPT[-1])
    inside = (pixels["bin1_id"] < b) & (pixels["bin2_id"] >= a)
    path = str(tmp_path / "empty.cool")
    cooler.create_cooler(path, bins, pixels[~inside])
    with pytest.raises(CoolerError, match=rf"no contacts within '{KEPT[-1]}'.*--exclude"):
        fit_expected(cooler.Cooler(path), KEPT)
    bins.loc[a : b - 1, "weight"] = np.nan  # as balancing would have it
    cooler.create_cooler(path, bins, pixels[~inside])
    without = fit_expected(cooler.Cooler(path), KEPT[:-1])
    np.testing.assert_array_equal(fit_expected(cooler.Cooler(path), KEPT).cis, without.cis)


# ---- the verb and its folder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["expected", "-q", *map(str, arguments)])


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    message = result.output.strip().splitlines()[-1]
    assert message.startswith("Error: ")
    for word in words:
        assert word in message


@pytest.fixture
def mcool(tmp_path) -> Path:
    """1 and 2 kb, each a random map of its own."""
    make_map(tmp_path / "a.cool")
    make_map(tmp_path / "b.cool", resolution=2000)
    path = tmp_path / "obs.mcool"
    for name, r in (("a", 1000), ("b", 2000)):
        cooler.fileops.cp(str(tmp_path / f"{name}.cool"), f"{path}::/resolutions/{r}")
    return path


def test_round_trip(mcool, tmp_path) -> None:
    out = tmp_path / "new" / "background"
    result = call(
        mcool, "-o", out, "--trans", "--exclude", "held", "--min-pixels", 5, "--keep", 5000
    )
    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(out)
    assert sorted(p.name for p in out.iterdir()) == [
        "expected.1000.tsv",
        "expected.2000.tsv",
        "expected.json",
        "expected.png",
    ]
    assert [p.name for p in out.parent.iterdir()] == ["background"]  # no temporary folder is left
    assert (out / "expected.png").read_bytes()[:4] == b"\x89PNG"
    found = load_expected(out)
    assert list(found) == [1000, 2000]
    for r, b in found.items():
        clr = cooler.Cooler(f"{mcool}::resolutions/{r}")
        truth = fit_expected(clr, KEPT, trans=r == 2000, keep=5000, min_pixels=5)
        np.testing.assert_array_equal(b.cis, truth.cis)  # to the bit
        assert b.trans == truth.trans
        measured = measure(clr, select_regions(clr, ["held"]))
        tsv = pd.read_csv(out / f"expected.{r}.tsv", sep="\t", float_precision="round_trip")
        np.testing.assert_array_equal(tsv["balanced.avg"], measured.average)
        np.testing.assert_array_equal(tsv["n_valid"], measured.n_valid)
        np.testing.assert_array_equal(tsv["dist_bp"], np.arange(len(tsv)) * r)
    assert found[1000].trans is None  # only the coarsest has it, and is monotone
    assert found[2000].trans is not None
    assert (np.diff(found[2000].cis[np.isfinite(found[2000].cis)]) <= 0).all()
    header = json.loads((out / "expected.json").read_text())
    assert (header["format"], header["version"]) == ("orca-cool-expected", 1)
    assert (header["source"], header["excluded"], header["chromosomes"]) == (
        "obs.mcool",
        ["held"],
        KEPT,
    )
    assert header["settings"] == {
        "keep": 5000,
        "min_pixels": 5,
        "clr_weight_name": "weight",
        "wide_from": 40_000_000,
    }
    assert [t["monotone"] for t in header["tables"]] == [False, True]
    assert str(tmp_path) not in (out / "expected.json").read_text()


def test_a_cool_and_repeated_excludes(tmp_path) -> None:
    make_map(tmp_path / "m.cool", scale=10**9)
    result = call(
        tmp_path / "m.cool",
        "-o",
        tmp_path / "b",
        "--exclude",
        "held",
        "--exclude",
        "chrC",
        "--monotone",
    )
    assert result.exit_code == 0, result.output
    found = load_expected(tmp_path / "b")
    clr = cooler.Cooler(str(tmp_path / "m.cool"))
    np.testing.assert_array_equal(
        found[1000].cis, fit_expected(clr, ["chrB", "chrA"], monotone=True).cis
    )
    assert found[1000].by_distance(4000, 3)[1] > 0


def test_force_replaces_backgrounds_and_nothing_else(mcool, tmp_path) -> None:
    out = tmp_path / "b"
    assert call(mcool, "-o", out, "-r", 2000).exit_code == 0
    refused(call(mcool, "-o", out, "-r", 1000), repr(str(out)), "--force")
    assert list(load_expected(out)) == [2000]
    assert call(mcool, "-o", out, "-r", 1000, "--force").exit_code == 0
    assert list(load_expected(out)) == [1000]
    other = tmp_path / "other"
    other.mkdir()
    refused(call(mcool, "-o", other, "--force"), repr(str(other)), "choose another name")


def test_bad_input_of_the_verb(mcool, tmp_path) -> None:
    out = tmp_path / "b"
    refused(call(tmp_path / "no.mcool", "-o", out), "no.mcool")
    refused(call(mcool, "-o", out, "-r", 1000, "-r", 3000), "no resolution 3000", "1000, 2000")
    refused(call(mcool, "-o", out, "--exclude", "held,chrX"), "'chrX'", "chr")
    refused(call(mcool, "-o", out, "--exclude", "chrc"), "'chrc'", "did you mean 'chrC'")
    refused(
        call(mcool, "-o", out, "--exclude", ",".join(SIZES)),
        "every chromosome",
        "chrA, chrB, held, chrC",
    )
    refused(
        call(mcool, "-o", out, "--exclude", "chrA,chrB,held", "--trans"), "'chrC' alone", "--trans"
    )
    refused(
        call(mcool, "-o", out, "--clr-weight-name", "VC"), "not balanced", "'VC'", "it has weight"
    )
    refused(call(mcool, "-o", out, "--min-pixels", 1000), "1000 valid pixels", "--min-pixels")
    view = tmp_path / "view.bed"
    view.write_text("chrA\t0\t50000\n")
    refused(call(mcool, "-o", out, "--view", view), "outside chrA")
    text = tmp_path / "text.cool"
    text.write_text("not HDF5")
    refused(call(text, "-o", out), "text.cool", "not a cooler")
    make_map(tmp_path / "masked.cool")
    with cooler.Cooler(str(tmp_path / "masked.cool")).open("r+") as group:
        group["bins/weight"][:] = np.nan
    refused(call(tmp_path / "masked.cool", "-o", out), "no finite pixel", "masked.cool")
    with cooler.Cooler(str(tmp_path / "masked.cool")).open("r+") as group:
        del group["bins/weight"]
    refused(call(tmp_path / "masked.cool", "-o", out), "not balanced", "cooler balance")
    assert not out.exists()
    assert not list(tmp_path.glob(".b*"))


def change(folder: Path, **values) -> None:
    path = folder / "expected.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def table_of(folder: Path, **values) -> None:
    change(
        folder, tables=[json.loads((folder / "expected.json").read_text())["tables"][0] | values]
    )


def cell(folder: Path, row: int, column: str, value: object) -> None:
    path = folder / "expected.1000.tsv"
    frame = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    frame.loc[row, column] = str(value)
    frame.to_csv(path, sep="\t", index=False)


def cut(folder: Path, name: str, size: int) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:size])


DAMAGE = {
    "no header": (lambda f: (f / "expected.json").unlink(), "no expected.json"),
    "half a header": (lambda f: cut(f, "expected.json", 60), "expected.json"),
    "another format": (lambda f: change(f, format="HDF5::Cooler"), "'HDF5::Cooler'"),
    "newer": (lambda f: change(f, version=2), "version 2"),
    "no version": (lambda f: change(f, version="1"), "version is '1'"),
    "no tables": (lambda f: change(f, tables=[]), "'tables'"),
    "resolution": (lambda f: table_of(f, resolution=-5), "needs a resolution"),
    "trans": (lambda f: table_of(f, trans=0), "trans at 1000 bp is 0"),
    "another place": (lambda f: table_of(f, file="../expected.1000.tsv"), "expected.1000.tsv"),
    "no table": (lambda f: (f / "expected.1000.tsv").unlink(), "there is no expected table"),
    "half a table": (lambda f: cut(f, "expected.1000.tsv", 700), "expected.1000.tsv"),
    "a number cut short": (
        lambda f: cut(f, "expected.1000.tsv", (f / "expected.1000.tsv").stat().st_size - 1),
        "truncated",
    ),
    "empty": (lambda f: cut(f, "expected.1000.tsv", 0), "expected.1000.tsv"),
    "not a number": (lambda f: cell(f, 3, "balanced.avg.smoothed", "much"), "much"),
    "not a distance": (lambda f: cell(f, 3, "dist", 2), "dist must be 0, 1"),
    "not its distance in bp": (lambda f: cell(f, 3, "dist_bp", 3001), "dist_bp"),
    "a hole": (lambda f: cell(f, 3, "balanced.avg.smoothed", "nan"), "only from some distance on"),
    "negative": (lambda f: cell(f, 3, "balanced.avg.smoothed", "-0.1"), "positive"),
    "infinite": (lambda f: cell(f, 3, "balanced.avg.smoothed", "inf"), "positive"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("folder")
    make_map(place / "m.cool")
    assert call(place / "m.cool", "-o", place / "b").exit_code == 0
    return place / "b"


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_folders_are_refused(folder, tmp_path, damage) -> None:
    copy = tmp_path / "b"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert isinstance(load_expected(copy)[1000], ExpectedModel)
    spoil, word = DAMAGE[damage]
    spoil(copy)
    with pytest.raises(ModelError) as caught:
        load_expected(copy)
    assert word in str(caught.value)
    assert str(copy) in str(caught.value)


# ---- real maps


def test_yeast_between_and_within_chromosomes(shared, caplog) -> None:
    clr = cooler.Cooler(str(shared / "data/yeast/g1.2kb.cool"))
    chroms = [c for c in clr.chromnames if c not in ("chrI", "chrII", "chrM")]
    with caplog.at_level(logging.WARNING):
        found = fit_expected(clr, chroms, trans=True, keep=40_000)
    assert "cis_only" in caplog.text  # how this map was balanced
    assert found.trans is not None
    cis = found.cis[np.isfinite(found.cis)]
    assert len(found.cis) == 766  # chrIV
    assert len(cis) > 700
    assert (np.diff(cis) <= 0).all()
    assert 0.005 * cis[10] < found.trans < 0.05 * cis[10]  # 20 kb apart
    assert found.trans < cis[100]
    # polymers in this nucleus: the contacts fall about as 1 / distance from 10 to 200 kb
    d = np.arange(5, 100)
    assert -1.6 < np.polyfit(np.log(d), np.log(cis[d]), 1)[0] < -1.0


def test_yeast_metaphase_at_every_resolution(shared, tmp_path) -> None:
    source = shared / "data/yeast/metaphase.mcool"
    result = call(source, "-o", tmp_path / "b", "--exclude", "chrI,chrII", "--keep", 40_000)
    assert result.exit_code == 0, result.output
    found = load_expected(tmp_path / "b")
    assert list(found) == [2000, 4000, 8000, 16000, 32000]
    for r, b in found.items():
        near = b.cis[1 : 300_000 // r]
        assert (np.diff(near) < 0).all(), r
    refused(call(source, "-o", tmp_path / "t", "--trans"), "no contacts between", "--trans")
