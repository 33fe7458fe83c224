"""``orca-cool stitch``: windows of anybody's model as an .mcool for cooler, cooltools and HiGlass."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil

import cooler
import cooltools
import cooltools.lib.io
import numpy as np
import pandas as pd
import pytest
import test_window_model as window_model
from click.testing import CliRunner
from clodius.tiles import cooler as hgcooler
from given_windows import BINS, RESOLUTION, SIZES, STARTS, cut, genome, known_map, save, write_all

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.genome.regions import n_bins
from orca_cool.maps.coolfile import read_layer, read_log_ratio
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.maps.expected_named import named_expected
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.windows import by_root, plan


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Windows, their genome, and an expected table, as cooltools has it."""
    folder = tmp_path_factory.mktemp("stitch")
    genome(folder / "g.fa")
    write_all(folder / "windows")
    write_expected(folder / "expected.tsv")
    return folder


def law(n: int) -> np.ndarray:
    return 0.2 / (1.0 + np.arange(n)) ** 0.8


def write_expected(path, resolution: int = RESOLUTION) -> None:
    """A table of ``cooltools expected-cis`` of two regions, whose mean is the law."""
    d = np.arange(60)
    rows = [
        pd.DataFrame(
            {
                "region1": name,
                "region2": name,
                "dist": d,
                "dist_bp": d * resolution,
                "n_valid": count,
                "balanced.avg": np.where(d < 2, np.nan, law(60) * factor),
            }
        )
        for name, count, factor in (("x", 30, 1.2), ("y", 60, 0.9))
    ]
    pd.concat(rows).to_csv(path, sep="\t", index=False)


def run(*arguments: object):
    return CliRunner().invoke(main, ["stitch", *map(str, arguments)])


def stitched(place, name: str, windows="windows", *more: object):
    path = place / f"{name}.mcool"
    words = ("-g", place / "g.fa", "-e", place / "expected.tsv", "-o", path, "-q", *more)
    done = run(place / windows, *words)
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture(scope="module")
def whole(place):
    return stitched(place, "whole")


def uri(path) -> str:
    return f"{path}::resolutions/{RESOLUTION}"


def test_windows_of_a_known_map_make_that_map(whole):
    band = read_layer(uri(whole))[0].band
    assert band == 1 + BINS - 8  # neighbours are 8 bins apart at the most
    for chrom in SIZES:
        y, found = known_map(chrom), read_log_ratio(uri(whole), chrom)
        d = np.abs(np.subtract.outer(np.arange(len(y)), np.arange(len(y))))
        wanted = np.where(d < band, y, np.nan)
        if chrom == "c":
            wanted[10], wanted[:, 10] = np.nan, np.nan  # N
        np.testing.assert_allclose(found, wanted, atol=3e-6)


def test_other_programs_read_it(whole):
    report = oc.check_mcool(whole)
    assert report.valid, [r for r in report.results if r.passed is False]
    clr = cooler.Cooler(uri(whole))
    assert clr.chromsizes.to_dict() == SIZES
    table = cooltools.lib.io.read_expected_from_file(
        str(whole.with_name(f"whole.expected.{RESOLUTION}.tsv")),
        expected_value_cols=["balanced.avg"],
        verify_cooler=clr,
    )
    found = table[table["region1"] == "a"].sort_values("dist")["balanced.avg"].to_numpy()[:9]
    smallest = law(BINS)[-1]
    wanted = np.where(np.arange(9) < 2, law(3)[2], law(9)) + smallest
    np.testing.assert_allclose(found, wanted)
    y = known_map("a")
    frequency = clr.matrix(balance=True).fetch("a")
    np.testing.assert_allclose(
        np.diagonal(frequency, 4), np.exp(np.diagonal(y, 4)) * wanted[4], rtol=1e-5
    )
    insulation = cooltools.insulation(clr, [3 * RESOLUTION], ignore_diags=0)
    assert np.isfinite(insulation[f"log2_insulation_score_{3 * RESOLUTION}"]).sum() > 80
    about = clr.info["metadata"]
    assert (about["model"], about["stitched"]["windows"]) == ("windows", 11)
    assert oc.open_map(whole).fetch("a:0-1,000", RESOLUTION).values.shape == (10, 10)


def test_higlass_shows_it(whole):
    """The tile of HiGlass's own reader is the frequencies."""
    info = hgcooler.tileset_info(str(whole))
    assert info["resolutions"] == (RESOLUTION,)
    ((_, tile),) = hgcooler.tiles(str(whole), ["u.0.0.0"])
    dtype = {"float16": "<f2", "float32": "<f4"}[tile["dtype"]]
    dense = np.frombuffer(base64.b64decode(tile["dense"]), dtype).reshape(256, 256)
    frequency = cooler.Cooler(uri(whole)).matrix(balance=True).fetch("a")
    shown = np.nan_to_num(dense[:59, :59].astype(float))  # the 60th bin is shared with "b"
    wanted = np.tril(np.nan_to_num(frequency[:59, :59]))  # HiGlass mirrors what lies above
    np.testing.assert_allclose(np.tril(shown), wanted, rtol=2e-3, atol=1e-4)
    assert shown.max() > 0.1


def test_the_order_and_kind_of_files_do_not_matter(place, whole):
    """Names drawn anew, and all windows in one file, backwards: the same datasets and digest."""
    (place / "drawn").mkdir()
    names = random.Random(1).sample(range(100), 11)
    for name, path in zip(names, sorted((place / "windows").iterdir())):
        (place / "drawn" / f"{name}.npz").write_bytes(path.read_bytes())
    rows = [(c, s) for c, starts in STARTS.items() for s in starts][::-1]
    write_one(place / "one.npz", rows)
    others = [stitched(place, name, name) for name in ("drawn", "one.npz")]
    for other in others:
        one, two = cooler.Cooler(uri(whole)), cooler.Cooler(uri(other))
        pd.testing.assert_frame_equal(one.pixels()[:], two.pixels()[:])
        pd.testing.assert_frame_equal(one.bins()[:], two.bins()[:])
        digests = [c.info["metadata"]["model_digest"] for c in (one, two)]
        assert digests[0] == digests[1]


def columns(rows, reverse: bool = False) -> dict[str, np.ndarray]:
    values = [cut(known_map(c), s) for c, s in rows]
    if reverse:
        values = [v[::-1, ::-1] for v in values]
    return {
        "chrom": np.array([c for c, _ in rows]),
        "start": np.array([s * RESOLUTION for _, s in rows]),
        "end": np.array([(s + BINS) * RESOLUTION for _, s in rows]),
        "values": np.stack(values),
    }


def write_one(path, rows, **more: object) -> None:
    np.savez(path, **columns(rows), **more)


def test_zarr(place, whole):
    zarr = pytest.importorskip("zarr")
    rows = [(c, s) for c, starts in STARTS.items() for s in starts]
    for version in (2, 3):
        path = place / f"v{version}.zarr"
        group = zarr.open_group(str(path), mode="w", zarr_format=version)
        for name, value in columns(rows).items():
            group.create_array(name, data=value)
        shutil.make_archive(str(path), "zip", path)
        for name in (path.name, f"{path.name}.zip"):
            other = cooler.Cooler(uri(stitched(place, f"zarr.{name}", name)))
            pd.testing.assert_frame_equal(cooler.Cooler(uri(whole)).pixels()[:], other.pixels()[:])


def test_zarr_runs_no_code(place):
    """A codec that unpickles is not read."""
    zarr = pytest.importorskip("zarr")
    path = place / "pickle.zarr"
    rows = [(c, s) for c, starts in STARTS.items() for s in starts]
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    for name, value in columns(rows).items():
        group.create_array(name, data=value)
    about = json.loads((path / "start" / ".zarray").read_text())
    about["filters"] = [{"id": "pickle", "protocol": 5}]
    (path / "start" / ".zarray").write_text(json.dumps(about))
    for file in path.glob(".zmetadata"):
        file.unlink()
    done = run(path, "-g", place / "g.fa", "-e", "inverse-distance", "-o", place / "p.mcool")
    assert done.exit_code == 2, done.output
    assert "pickle" in done.stderr
    assert "Traceback" not in done.stderr


def test_overlaps_are_averaged_by_their_distance_from_the_edge(place, tmp_path):
    """Two windows of constants: in the overlap the weights are those of predict's own windows."""
    for k, s in enumerate((0, 8, 16)):
        save(tmp_path / f"{k}.npz", "a", s, np.full((BINS, BINS), k, np.float32))
    path = tmp_path / "x.mcool"
    done = run(tmp_path, "-g", place / "g.fa", "-e", "inverse-distance", "-o", path, "-q")
    assert done.exit_code == 0, done.output
    found = read_log_ratio(uri(path), "a")
    for i, j in ((0, 3), (8, 9), (9, 12), (14, 15), (10, 15)):
        values, weights = [], []
        for k, s in enumerate((0, 8, 16)):
            if s <= i and j < s + BINS:
                left = np.inf if s == 0 else (i - s + 1) / 2
                values.append(k)
                weights.append(min(1.0, left, (s + BINS - j) / 2))
        assert found[i, j] == pytest.approx(np.average(values, weights=weights), abs=1e-6)
    assert "cover 54% of a; bins outside of them are masked" in done.stderr
    assert "up to 800 bp apart" in done.stderr
    assert np.isnan(found[32:]).all()
    bins = cooler.Cooler(uri(path)).bins().fetch("a")["weight"].isna().to_numpy()
    assert bins.tolist() == [False] * 32 + [True] * 28


def test_windows_that_do_not_overlap_are_regions_of_their_own(place, tmp_path):
    """Scattered windows, as of a test set: all of each is kept, and cooltools has a view."""
    for k, s in enumerate((0, 16, 40)):
        save(tmp_path / f"{k}.npz", "a", s, cut(known_map("a"), s))
    path = tmp_path / "x.mcool"
    done = run(tmp_path, "-g", place / "g.fa", "-e", "inverse-distance", "-o", path, "-q")
    assert done.exit_code == 0, done.output
    assert oc.check_mcool(path).valid
    found, y = read_log_ratio(uri(path), "a"), known_map("a")
    for s in (0, 16, 40):
        np.testing.assert_allclose(
            found[s : s + BINS, s : s + BINS], y[s : s + BINS, s : s + BINS], atol=3e-6
        )
    assert np.isfinite(found).sum() == 3 * BINS**2
    view = (tmp_path / "x.view.bed").read_text().splitlines()
    assert [line.split("\t")[:3] for line in view] == [
        ["a", "0", "1600"],
        ["a", "1600", "3200"],
        ["a", "4000", "5600"],
    ]


def test_units_strands_and_what_is_unknown(place, tmp_path):
    """log2, ratios, frequencies, the reverse complement's map: the same file. Two diagonals that no
    window knows are as expected, bins that one does not know are masked.
    """
    y = known_map("b")
    table = named_expected(str(place / "expected.tsv"), RESOLUTION, BINS)
    d = np.abs(np.subtract.outer(np.arange(BINS), np.arange(BINS)))
    expected, eps = table.by_distance(RESOLUTION, BINS)[d], table.eps(RESOLUTION, BINS)
    kinds = {
        "ln": (y, {}),
        "log2": (y / np.log(2), {"units": "log2"}),
        "ratio": (np.exp(y), {"units": "ratio"}),
        "frequency": (np.exp(y) * (expected + eps) - eps, {"units": "frequency"}),
        "turned": (y[::-1, ::-1], {"strand": "-"}),
        "half": (y.astype(np.float16), {}),
    }
    kinds["frequency"][0][kinds["frequency"][0] < 0] = 0
    for name, (values, more) in kinds.items():
        save(tmp_path / f"{name}.npz", "b", 0, values, **more)
        path = tmp_path / f"{name}.mcool"
        words = ("-g", place / "g.fa", "-e", place / "expected.tsv", "-o", path, "-q")
        done = run(tmp_path / f"{name}.npz", *words)
        assert done.exit_code == 0, (name, done.output)
        wanted = y
        if name == "frequency":
            wanted = np.maximum(y, np.log(eps / (expected + eps)))
        tolerance = 2e-3 if name == "half" else 1e-5
        np.testing.assert_allclose(read_log_ratio(uri(path), "b"), wanted, atol=tolerance)
    values = y.copy()
    values[d < 2] = np.nan
    values[5], values[:, 5] = np.nan, np.nan
    save(tmp_path / "gaps.npz", "b", 0, values)
    path = tmp_path / "gaps.mcool"
    done = run(tmp_path / "gaps.npz", "-g", place / "g.fa", "-e", "inverse-distance", "-o", path)
    assert done.exit_code == 0, done.output
    assert "2 nearest distances" in done.stderr
    assert oc.check_mcool(path).valid
    found = read_log_ratio(uri(path), "b")
    assert np.isnan(found[5]).all()
    rest = np.delete(np.delete(np.where(d < 2, 0, y), 5, 0), 5, 1)
    np.testing.assert_allclose(np.delete(np.delete(found, 5, 0), 5, 1), rest, atol=1e-5)


def test_the_expected_that_is_named(place, tmp_path):
    inverse = named_expected("inverse-distance", RESOLUTION, BINS).by_distance(RESOLUTION, BINS)
    np.testing.assert_allclose(inverse / inverse[0], 1 / (1 + np.arange(BINS)))
    assert inverse[0] + 2 * inverse[1:].sum() == pytest.approx(1)  # a row of a balanced map
    fine = tmp_path / "fine.tsv"
    write_expected(fine, 50)
    coarse = named_expected(str(fine), RESOLUTION, BINS)
    assert coarse.resolution == 50
    first = np.where(np.arange(60) < 2, law(3)[2], law(60))
    np.testing.assert_allclose(
        coarse.by_distance(RESOLUTION, BINS), ExpectedModel(50, first).by_distance(RESOLUTION, BINS)
    )
    for text, message in {
        "nothing": "is no folder of `orca-cool expected`",
        str(tmp_path): "is no folder of expected tables",
        str(place / "g.fa"): "has the columns",
    }.items():
        with pytest.raises(oc.OrcaCoolError, match=message):
            named_expected(text, RESOLUTION, BINS)
    with pytest.raises(oc.OrcaCoolError, match="do not make bins of 70 bp"):
        named_expected(str(place / "expected.tsv"), 70, BINS)
    with pytest.raises(oc.OrcaCoolError, match="to 60 bins of 100 bp; windows of 80"):
        named_expected(str(place / "expected.tsv"), RESOLUTION, 80)


def bad(values=None, **changes):
    """A window with something changed; None: left out."""
    about = {"chrom": "a", "start": 0, "end": 1600, "values": cut(known_map("a"), 0)}
    about |= changes | ({} if values is None else {"values": values})
    return {k: v for k, v in about.items() if v is not None}


def one_nan():
    y = cut(known_map("a"), 0)
    y[2, 14] = y[14, 2] = np.nan
    return y


CASES = {
    "no coordinates": (
        bad(chrom=None, start=None, end=None),
        "bad.npz has no 'chrom' and no 'start'",
    ),
    "no map": (bad(values=None) | {"values": np.zeros(3)}, r"values have shape \(3,\)"),
    "not square": (bad(values=np.zeros((3, 4))), r"a map has shape \(3, 4\)"),
    "off the bins": (
        bad(start=50, end=1650),
        "no multiple of the bin, 100 bp, so that windows do not",
    ),
    "no whole bins": (bad(end=1601), "1,601 bp are not 16 bins"),
    "other bins": (bad(end=3200), "16 bins of 200 bp; a0.npz has 16 bins of 100 bp"),
    "other size": (bad(values=cut(known_map("a"), 0, 12), end=1200), "12 bins of 100 bp; a0.npz"),
    "no such chromosome": (bad(chrom="A"), "no chromosome 'A' in genome 'g'; did you mean 'a'"),
    "beyond": (bad(chrom="b", start=800, end=2400), "goes beyond the ends of b, which is 1,600 bp"),
    "outside": (bad(start=6000, end=7600), "lies outside of a, which is 5,970 bp"),
    "not symmetric": (bad(values=np.arange(256.0).reshape(16, 16)), "is not symmetric"),
    "one hole": (bad(values=one_nan()), "row 2, column 14 is NaN"),
    "infinite": (bad(values=np.full((16, 16), np.inf)), "values are infinite"),
    "units": (bad(units="log10"), "units 'log10' are not known; use ln, log2"),
    "below 0": (bad(units="ratio"), "of units 'ratio' are below 0"),
    "strand": (bad(strand="x"), "strand 'x' is neither"),
    "text": (bad(start="zero"), "start is 'zero', expected whole numbers"),
    "lengths": (bad(chrom=np.array(["a", "a"])), r"chrom has shape \(2,\), expected \(1,\)"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_named_and_nothing_is_written(place, tmp_path, name):
    arrays, message = CASES[name]
    folder = tmp_path / "w"
    folder.mkdir()
    save(folder / "a0.npz", "a", 0, cut(known_map("a"), 0))
    np.savez(folder / "bad.npz", **arrays)
    refused(place, tmp_path, folder, message)


def refused(place, tmp_path, folder, message, *more):
    words = (
        "-g",
        place / "g.fa",
        "-e",
        "inverse-distance",
        "-o",
        tmp_path / "x.mcool",
        "-q",
        *more,
    )
    done = run(folder, *words)
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.strip().splitlines()
    assert re.search(message, line), line
    assert not list(tmp_path.glob("*x.*"))


def test_files_that_are_no_windows(place, tmp_path):
    folder = tmp_path / "w"
    folder.mkdir()
    refused(place, tmp_path, folder, "holds no .npz; windows are a folder of .npz")
    refused(place, tmp_path, tmp_path / "none", "does not exist")
    refused(place, tmp_path, place / "g.fa", "is no .npz and no Zarr group")
    whole = (place / "windows" / "a0.npz").read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    refused(place, tmp_path, folder, "cut.npz cannot be read as an .npz")
    np.savez(folder / "cut.npz", **bad(chrom=np.array([{"a": 1}], dtype=object)))
    refused(place, tmp_path, folder, "cut.npz cannot be read as an .npz: Object arrays")
    np.save(folder / "cut.npy", np.zeros((4, 4)))
    (folder / "cut.npy").rename(folder / "cut.npz")
    refused(place, tmp_path, folder, "cut.npz has no 'chrom' and no 'start'")
    write_all(folder)
    (folder / "cut.npz").unlink()
    (tmp_path / "x.mcool").write_text("mine")
    done = run(folder, "-g", place / "g.fa", "-e", "inverse-distance", "-o", tmp_path / "x.mcool")
    assert done.exit_code == 2
    assert "use --force to replace it" in done.stderr
    assert (tmp_path / "x.mcool").read_text() == "mine"


def test_windows_of_predict_make_the_file_of_predict(tmp_path):
    """A model's own windows, written to files and stitched: where both files know a pair, it is the
    same.
    """
    model, letters = window_model.Akita(), np.frombuffer(b"ACGTN", np.uint8)
    sizes, r = window_model.SIZES, window_model.RESOLUTION
    source = window_model.SOURCE
    engine = make_engine(model, source)
    ours = window_model.write(engine, tmp_path / "ours.mcool")
    with open(tmp_path / "g.fa", "wb") as file:
        for chrom, size in sizes.items():
            file.write(b">" + chrom.encode() + b"\n")
            file.write(letters[source.fetch(chrom, 0, size)].tobytes() + b"\n")
    folder = tmp_path / "w"
    folder.mkdir()
    for chrom, size in sizes.items():
        n = n_bins(size, r)
        for (window,) in (level for (level,) in by_root(plan(size, (r,), window_model.BINS))):
            values = window_model.direct(model, source, chrom, window.start * r)[0].copy()
            values[n - window.start :], values[:, n - window.start :] = np.nan, np.nan
            about = {"chrom": chrom, "start": window.start * r}
            about["end"] = (window.start + window_model.BINS) * r
            np.savez(folder / f"{chrom}{window.start}.npz", values=values, **about)
    path = tmp_path / "stitched.mcool"
    done = run(folder, "-g", tmp_path / "g.fa", "-e", "inverse-distance", "-o", path, "-q")
    assert done.exit_code == 0, done.output
    for chrom in sizes:
        one, two = (read_log_ratio(f"{p}::resolutions/{r}", chrom) for p in (ours, path))
        both = np.isfinite(one) & np.isfinite(two)
        assert both.sum() > 0.9 * np.isfinite(one).sum() > 100
        np.testing.assert_allclose(one[both], two[both], atol=5e-6)
