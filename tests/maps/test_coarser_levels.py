"""Coarser levels of stitched windows: against block means by numpy, cooler's coarsening, cooltools'
reader of expected tables and HiGlass's reader of tiles.
"""

from __future__ import annotations

import base64

import cooler
import cooltools
import cooltools.lib.io
import numpy as np
import pytest
from clodius.tiles import cooler as hgcooler

import orca_cool as oc
from orca_cool.genome.regions import n_bins
from orca_cool.maps.coarser_levels import halved
from orca_cool.maps.coolfile import read_layer, read_log_ratio

R, BINS, STEP = 100, 32, 7
SIZES = {"a": 41_970, "b": 3_250, "c": 9_050}
#: First bins of windows: all of "a" and "b", of "c" two stretches that meet within a coarser bin.
STARTS = {"a": [*range(0, 388, STEP), 388], "b": [0, 1], "c": [0, 7, 33, 40]}
LEVELS = (R, 2 * R, 4 * R)
#: Bins of "a" that are N, and one that no window knows.
GAP, UNKNOWN = slice(40, 45), 101


def law(n: int) -> np.ndarray:
    return 0.2 / (1.0 + np.arange(n)) ** 0.8


def known_map(chrom: str) -> np.ndarray:
    n = n_bins(SIZES[chrom], R)
    y = np.random.default_rng(n).normal(size=(n, n)).astype(np.float32)
    return np.triu(y) + np.triu(y, 1).T


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coarser")
    letters = np.frombuffer(b"ACGTN", np.uint8)
    rng = np.random.default_rng(1)
    with open(folder / "g.fa", "wb") as file:
        for chrom, size in SIZES.items():
            codes = rng.integers(0, 4, size)
            if chrom == "a":
                codes[GAP.start * R : GAP.stop * R] = 4
            file.write(b">" + chrom.encode() + b"\n" + letters[codes].tobytes() + b"\n")
    rows = [(c, s) for c, starts in STARTS.items() for s in starts]
    values = np.full((len(rows), BINS, BINS), np.nan, np.float32)
    for k, (c, s) in enumerate(rows):
        y = known_map(c)
        if c == "a":
            y[UNKNOWN], y[:, UNKNOWN] = np.nan, np.nan
        part = y[s : s + BINS, s : s + BINS]
        values[k, : len(part), : len(part)] = part
    start = np.array([s * R for _, s in rows])
    about = {"chrom": np.array([c for c, _ in rows]), "start": start, "end": start + BINS * R}
    np.savez(folder / "w.npz", values=values, **about)
    table = "region1\tregion2\tdist\tdist_bp\tn_valid\tbalanced.avg\n"
    table += "".join(f"a\ta\t{d}\t{d * R}\t9\t{f:.17g}\n" for d, f in enumerate(law(BINS)))
    (folder / "e.tsv").write_text(table)
    told: list[str] = []
    oc.stitch_windows(
        folder / "w.npz",
        folder / "x.mcool",
        genome=folder / "g.fa",
        expected=folder / "e.tsv",
        progress=False,
        say=told.append,
    )
    assert told[-1].endswith("means of these pixels in bins of 200, 400 bp")
    return folder / "x.mcool"


def uri(path, resolution: int) -> str:
    return f"{path}::resolutions/{resolution}"


def blocks(m: np.ndarray, k: int) -> np.ndarray:
    """(n, n, k, k) the pixels of each coarser one, NaN beyond the chromosome."""
    n = -(-len(m) // k)
    out = np.full((n * k, n * k), np.nan)
    out[: len(m), : len(m)] = m
    return out.reshape(n, k, n, k).swapaxes(1, 2)


def test_a_pixel_is_the_mean_of_those_it_holds(path):
    """Frequencies, for cooler and HiGlass; where all are known. Cooler's own sums say the same."""
    assert [read_layer(uri(path, r))[0].band for r in LEVELS] == [26, 13, 6]
    fine = cooler.Cooler(uri(path, R))
    for k, r in ((2, LEVELS[1]), (4, LEVELS[2])):
        band = read_layer(uri(path, r))[0].band
        cooler.coarsen_cooler(fine.uri, str(path.with_name(f"k{k}.cool")), k, chunksize=10_000)
        sums = cooler.Cooler(str(path.with_name(f"k{k}.cool")))
        for chrom in SIZES:
            whole = blocks(fine.matrix(balance=True).fetch(chrom), k)
            found = cooler.Cooler(uri(path, r)).matrix(balance=True).fetch(chrom)
            counts = cooler.Cooler(uri(path, r)).matrix(balance=False).fetch(chrom)
            d = np.abs(np.subtract.outer(*2 * [np.arange(len(found))]))
            known = (whole > 0).all(axis=(2, 3)) & (d < band)  # absent pixels are 0 or NaN
            assert known.sum() > 5 * len(found) - 100
            np.testing.assert_allclose(found[known], whole.mean(axis=(2, 3))[known], rtol=2e-6)
            apart = known & (d > 0)  # cooler adds half of a pixel on the diagonal
            total = sums.matrix(balance=False).fetch(chrom)
            np.testing.assert_allclose(counts[apart] * k * k, total[apart], rtol=2e-6)


def test_where_some_are_unknown_the_others_are_held_against_what_is_expected_of_them(path):
    """N, a bin that no window knows, the ends, and two stretches that share a coarser bin."""
    layer, _ = read_layer(uri(path, R))
    stretches = {"a": [(0, 420)], "b": [(0, 33)], "c": [(0, 39), (39, 72)]}
    for k, r in ((2, LEVELS[1]), (4, LEVELS[2])):
        band = read_layer(uri(path, r))[0].band
        for chrom in SIZES:
            y, n = known_map(chrom), n_bins(SIZES[chrom], R)
            usable = np.zeros(n, bool)
            if chrom == "a":
                usable[:] = True
                usable[GAP], usable[UNKNOWN] = False, False
            same = np.zeros((n, n), bool)
            first = np.full(-(-n // k), -1)
            for number, (a, b) in list(enumerate(stretches[chrom]))[::-1]:
                same[a:b, a:b] = True
                usable[a:b] |= chrom != "a"
                first[a // k : -(-b // k)] = number
            d = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
            there = same & usable[:, None] & usable & (d < 26)
            weight = np.where(there, (law(BINS) + layer.eps)[np.minimum(d, 31)], np.nan)
            f = np.nansum(blocks(np.exp(y) * weight, k), axis=(2, 3))
            e = np.nansum(blocks(weight, k), axis=(2, 3))
            with np.errstate(invalid="ignore", divide="ignore"):
                wanted = np.log(f / e)
            share = np.zeros(len(first))
            for i in range(len(first)):
                if first[i] >= 0:
                    a, b = stretches[chrom][first[i]]
                    own = np.arange(max(i * k, a), min(i * k + k, b))
                    share[i] = usable[own].sum() / min(k, n - i * k)
            masked = share < 0.5
            wanted[masked], wanted[:, masked] = np.nan, np.nan
            far = np.abs(np.subtract.outer(*2 * [np.arange(len(first))])) >= band
            wanted[far] = np.nan
            found = read_log_ratio(uri(path, r), chrom)
            np.testing.assert_allclose(found, wanted, atol=3e-6)
            weights = cooler.Cooler(uri(path, r)).bins().fetch(chrom)["weight"]
            assert weights.isna().to_list() == masked.tolist()
    bins = cooler.Cooler(uri(path, 400)).bins().fetch("a")["weight"].isna()
    assert bins[bins].index.to_list() == [10]  # N from bin 40 to 44: one of four in bin 11


def test_cooltools_and_the_check_take_every_level(path):
    report = oc.check_mcool(path)
    assert report.valid, [r for r in report.results if r.passed is False]
    view = cooltools.lib.io.read_viewframe_from_file(str(path.with_name("x.view.bed")))
    eps = read_layer(uri(path, R))[0].eps
    mirrored = law(BINS)[np.abs(np.arange(-31, 32))]
    for r in LEVELS:
        clr, k = cooler.Cooler(uri(path, r)), r // R
        table = cooltools.lib.io.read_expected_from_file(
            str(path.with_name(f"x.expected.{r}.tsv")),
            expected_value_cols=["balanced.avg"],
            verify_view=view,
            verify_cooler=clr,
        )
        found = table[table["region1"] == "a"].sort_values("dist")["balanced.avg"].to_numpy()
        band = read_layer(uri(path, r))[0].band
        for d in range(band):
            pairs = [mirrored[31 + d * k + j - i] for i in range(k) for j in range(k)]
            assert found[d] == pytest.approx(np.mean(pairs) + eps, rel=1e-12)
        assert np.isnan(found[band:]).all()
        insulation = cooltools.insulation(clr, [2 * r], view_df=view, ignore_diags=0)
        assert np.isfinite(insulation[f"log2_insulation_score_{2 * r}"]).sum() > 0.9 * 420 / k
    about = cooler.Cooler(uri(path, 400)).info["metadata"]
    assert about["resolutions"] == list(LEVELS)
    assert about["stitched"]["resolution"] == R


def test_higlass_zooms_out(path):
    """The tile of each zoom level is the level's frequencies."""
    info = hgcooler.tileset_info(str(path))
    assert sorted(info["resolutions"]) == list(LEVELS)
    for zoom, r in enumerate(sorted(LEVELS, reverse=True)):
        ((_, tile),) = hgcooler.tiles(str(path), [f"u.{zoom}.0.0"])
        dtype = {"float16": "<f2", "float32": "<f4"}[tile["dtype"]]
        dense = np.frombuffer(base64.b64decode(tile["dense"]), dtype).reshape(256, 256)
        n = min(256, SIZES["a"] // r)
        wanted = cooler.Cooler(uri(path, r)).matrix(balance=True).fetch("a")[:n, :n]
        shown = np.tril(np.nan_to_num(dense[:n, :n].astype(float)))
        np.testing.assert_allclose(shown, np.tril(np.nan_to_num(wanted)), rtol=2e-3, atol=1e-4)
        assert shown.max() > 0.1


def test_pixels_are_added_up_two_by_two():
    """Any band, from rows by distance, as from whole matrices."""
    rng = np.random.default_rng(2)
    for band in (4, 5, 8):
        m = rng.normal(size=(12, 12))
        m = m + m.T
        rows = np.zeros((1, 12, band))
        for i in range(12):
            part = m[i, i : i + band]
            rows[0, i, : len(part)] = part
        found = halved(rows)[0]
        assert found.shape == (6, band // 2)
        for i in range(6):
            for d in range(min(band // 2, 6 - i)):
                block = m[2 * i : 2 * i + 2, 2 * (i + d) : 2 * (i + d) + 2]
                assert found[i, d] == pytest.approx(block.sum())
