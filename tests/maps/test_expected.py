"""The expected tables are what cooltools reads, and its analyses recover what was planted."""

from pathlib import Path

import bioframe
import cooler
import cooltools
import numpy as np
import pandas as pd
import pytest
from cooltools.api.dotfinder import recommend_kernels
from cooltools.lib.io import read_expected_from_file
from planted import BAND, CHROMSIZES, LOOPS, RESOLUTIONS, Planted, plant, write

from orca_cool.errors import CoolerError, OutputError
from orca_cool.genome.regions import Region
from orca_cool.maps.coolfile import Layer, read_layer
from orca_cool.maps.expected import (
    expected_cis,
    expected_trans,
    pairs_by_distance,
    read_tables,
    table_path,
    view_path,
    whole_chromosomes,
    write_expected,
)

pytestmark = pytest.mark.filterwarnings("ignore")
VIEW = bioframe.make_viewframe(CHROMSIZES)


@pytest.fixture(scope="module")
def planted() -> Planted:
    return plant()


@pytest.fixture(scope="module")
def path(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(planted, tmp_path_factory.mktemp("expected") / "out.mcool")


def opened(path: Path, resolution: int) -> cooler.Cooler:
    return cooler.Cooler(f"{path}::resolutions/{resolution}")


def table(path: Path, resolution: int) -> pd.DataFrame:
    return read_expected_from_file(
        table_path(path, resolution), verify_view=VIEW, verify_cooler=opened(path, resolution)
    )


def views(mb: int) -> pd.DataFrame:
    """Pieces of ``mb`` megabases, those left over dropped."""
    rows = [
        (c, a, a + mb * 1_000_000)
        for c, n in CHROMSIZES.items()
        for a in range(0, n - mb * 1_000_000 + 1, mb * 1_000_000)
    ]
    return pd.DataFrame(
        [(*r, f"{r[0]}:{r[1]}-{r[2]}") for r in rows], columns=["chrom", "start", "end", "name"]
    )


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_cooltools_accepts_the_tables(planted: Planted, path: Path, resolution: int) -> None:
    clr, layer = opened(path, resolution), planted.layer(resolution)
    cis = table(path, resolution)
    assert len(cis) == clr.info["nbins"]
    np.testing.assert_array_equal(cis["balanced.avg"].isna(), cis["dist"] >= BAND)
    # n_valid as cooltools counts it (the cooler's weights), on the diagonals that it does not
    # ignore
    stock = cooltools.expected_cis(clr, view_df=VIEW, smooth=False, ignore_diags=0)
    np.testing.assert_array_equal(cis["n_valid"], stock["n_valid"])
    np.testing.assert_array_equal(cis["n_total"], stock["n_total"])
    np.testing.assert_allclose(
        cis["balanced.sum"], cis["balanced.avg"] * cis["n_valid"], rtol=1e-12
    )
    np.testing.assert_allclose(cis["count.avg"], cis["balanced.avg"] * 1e5, rtol=1e-12)
    trans = read_expected_from_file(
        table_path(path, resolution, "expected-trans"),
        contact_type="trans",
        verify_view=VIEW,
        verify_cooler=clr,
    )
    stock_trans = cooltools.expected_trans(clr)
    assert list(trans["n_valid"]) == list(stock_trans["n_valid"])
    assert trans["balanced.avg"].tolist() == [layer.trans + layer.eps]  # type: ignore[operator]


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_log_observed_over_expected_is_the_prediction(
    planted: Planted, path: Path, resolution: int
) -> None:
    """Through cooltools' own fetcher, not through our inverse."""
    snipper = cooltools.api.snipping.ObsExpSnipper(
        opened(path, resolution), table(path, resolution), view_df=VIEW, min_diag=None
    )
    for chrom in CHROMSIZES:
        snipped = snipper.snip(
            snipper.select(chrom, chrom), chrom, chrom, (0, CHROMSIZES[chrom], 0, CHROMSIZES[chrom])
        )
        with np.errstate(divide="ignore"):
            found = np.log(snipped)
        y = np.asarray(planted.y[chrom, resolution])
        mask = planted.layer(resolution).masked[chrom]
        distance = np.abs(np.subtract.outer(np.arange(len(y)), np.arange(len(y))))
        inside = (distance < BAND) & ~mask & ~mask[:, None]
        # cooltools' snipping leaves the partial last bin out
        n = len(found)
        assert n >= len(y) - 1
        np.testing.assert_allclose(found[inside[:n, :n]], y[:n, :n][inside[:n, :n]], atol=2e-6)


def test_views_by_region_and_modes(planted: Planted, tmp_path: Path) -> None:
    rows = [
        ("chrA", 1_000_000, 5_000_000, "left"),
        ("chrA", 5_000_000, 16_000_300, "right"),
        ("chrB", 0, 64_000, "small"),
    ]
    regions = [Region(*row) for row in rows]
    view = pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])
    path = write(planted, tmp_path / "v.mcool", trans=False)
    for mode in ("regularised", "contact"):
        write_expected(path, planted.layers, CHROMSIZES, regions, mode, 1e5)
        for r in RESOLUTIONS:
            layer = planted.layer(r)
            read = read_expected_from_file(
                table_path(path, r), verify_view=view, verify_cooler=opened(path, r)
            )
            values = read.set_index(["region1", "dist"])["balanced.avg"]
            wanted = layer.expected[3] + (layer.eps if mode == "regularised" else 0)
            assert values["left", 3] == pytest.approx(wanted, rel=1e-14)
            trans = read_expected_from_file(
                table_path(path, r, "expected-trans"),
                contact_type="trans",
                verify_view=view,
                verify_cooler=opened(path, r),
            )
            assert list(zip(trans["region1"], trans["region2"])) == [
                ("left", "small"),
                ("right", "small"),
            ]


def test_insulation_finds_the_boundaries(planted: Planted, path: Path) -> None:
    window = 10 * 32_000
    found = cooltools.insulation(opened(path, 32_000), [window], view_df=VIEW)
    for chrom in CHROMSIZES:
        called = np.flatnonzero(found.loc[found["chrom"] == chrom, f"is_boundary_{window}"])
        near = [int(np.abs(called - b).min()) for b in planted.boundaries[chrom] if not 20 < b < 70]
        assert np.mean(np.array(near) <= 1) >= 0.9


def test_eigenvectors_recover_the_compartments(planted: Planted, path: Path) -> None:
    # whole chromosomes where the band covers them; views within the band where it does not
    for resolution, view in ((64_000, VIEW), (256_000, VIEW), (32_000, views(8))):
        f = resolution // RESOLUTIONS[0]
        clr = opened(path, resolution)
        bins = clr.bins()[:]
        state = np.concatenate(
            [
                [x[i : i + f].mean() for i in range(0, len(x), f)]
                for x in planted.compartments.values()
            ]
        )
        phase = bins[["chrom", "start", "end"]].assign(GC=state)
        vectors = cooltools.eigs_cis(clr, phasing_track=phase, view_df=view, n_eigs=1)[1]
        vectors = vectors.merge(phase, on=["chrom", "start"])
        for chrom, start, end, _ in view.itertuples(index=False):
            part = vectors[
                (vectors["chrom"] == chrom) & (vectors["start"] >= start) & (vectors["start"] < end)
            ].dropna(subset=["E1"])
            assert len(part) > 0.7 * (end - start) / resolution
            assert np.corrcoef(part["E1"], part["GC"])[0, 1] > 0.95, (resolution, chrom, start)


def test_saddle(planted: Planted, path: Path) -> None:
    clr = opened(path, 64_000)
    state = np.concatenate(
        [[x[i : i + 2].mean() for i in range(0, len(x), 2)] for x in planted.compartments.values()]
    )
    track = clr.bins()[:][["chrom", "start", "end"]].assign(
        E1=state + np.random.default_rng(0).normal(0, 0.01, len(state))
    )
    total, count = cooltools.saddle(
        clr,
        table(path, 64_000),
        track,
        "cis",
        n_bins=4,
        qrange=(0.02, 0.98),
        view_df=VIEW,
        max_diag=BAND - 1,
    )
    mean = total / count
    assert mean[1, 1] * mean[-2, -2] > 1.5 * mean[1, -2] ** 2


def test_dots_finds_the_loops(path: Path) -> None:
    view, expected = VIEW[VIEW["chrom"] == "chrA"], table(path, 32_000)
    found = cooltools.dots(
        opened(path, 32_000),
        expected[expected["region1"] == "chrA"],
        view_df=view,
        kernels={k: v for k, v in recommend_kernels(10_000).items() if k in ("donut", "lowleft")},
        max_loci_separation=3_000_000,
        clustering_radius=100_000,
        cluster_filtering=False,
    )
    called = {
        (a // 32_000, b // 32_000)
        for c, a, b in found[["chrom1", "start1", "start2"]].itertuples(index=False)
        if c == "chrA"
    }
    for i, j in LOOPS:
        assert any(abs(a - i) <= 1 and abs(b - j) <= 1 for a, b in called), (i, j, sorted(called))


def test_pileup(path: Path) -> None:
    anchors = pd.DataFrame(
        [
            ("chrA", i * 32_000, (i + 1) * 32_000, "chrA", j * 32_000, (j + 1) * 32_000)
            for i, j in LOOPS
        ]
    )
    anchors.columns = pd.Index(["chrom1", "start1", "end1", "chrom2", "start2", "end2"])
    stack = cooltools.pileup(
        opened(path, 32_000),
        anchors,
        view_df=VIEW,
        expected_df=table(path, 32_000),
        flank=5 * 32_000,
    )
    mean = np.nanmean(stack, axis=0)
    corners = np.mean([mean[:3, :3].mean(), mean[-3:, -3:].mean(), mean[:3, -3:].mean()])
    assert mean[4:7, 4:7].mean() > 2.5 * corners


def test_tables_are_written_as_pandas_writes_them(planted: Planted, tmp_path: Path) -> None:
    """To the byte: numbers, NaN, and names that need quotes."""
    view = [Region("chrA", 0, 999_000, 'a "b"'), Region("chrB", 32_000, 1_000_000, "c\td")]
    layer = planted.layers[0]
    out = tmp_path / "x.mcool"
    for path, tables in zip(
        write_expected(out, [layer], CHROMSIZES, view, "regularised", 3e5),
        (
            expected_cis(layer, CHROMSIZES, view, "regularised", 3e5),
            [expected_trans(layer, CHROMSIZES, view, "regularised", 3e5)],
        ),
    ):
        stock = pd.concat([pd.DataFrame(t).infer_objects() for t in tables], ignore_index=True)
        assert stock["n_valid"].dtype == np.int64
        stock.to_csv(tmp_path / "t", sep="\t", index=False, na_rep="nan", float_format="%.17g")
        assert path.read_bytes() == (tmp_path / "t").read_bytes()
    rows = pd.DataFrame([(r.chrom, r.start, r.end, r.name) for r in view])
    rows.to_csv(tmp_path / "t", sep="\t", index=False, header=False)
    assert view_path(out).read_bytes() == (tmp_path / "t").read_bytes()


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 1000, 40_961])
def test_pairs_by_distance_are_counted_exactly(n: int) -> None:
    usable = np.random.default_rng(n).random(n) < 0.8
    pairs = np.correlate(usable.astype(np.int64), usable.astype(np.int64), "full")[n - 1 :]
    np.testing.assert_array_equal(pairs_by_distance(usable), pairs)
    everything = pairs_by_distance(np.ones(n, bool))
    np.testing.assert_array_equal(everything, n - np.arange(n))


def test_bad_input(planted: Planted, path: Path, tmp_path: Path) -> None:
    layer = Layer(1000, np.ones(5), 1e-3, 5, None, {})
    with pytest.raises(OutputError, match="1000 bp has no expected between"):
        expected_trans(layer, CHROMSIZES, whole_chromosomes(CHROMSIZES), "contact", 1e5)
    for row in (("chrZ", 0, 5, "z"), ("chrA", 5, 5, "empty"), ("chrA", 0, 16_000_301, "long")):
        with pytest.raises(OutputError, match=row[3]):
            expected_cis(layer, CHROMSIZES, [Region(*row)], "contact", 1e5)
    with pytest.raises(OutputError, match="absent"):
        write_expected(
            tmp_path / "absent" / "x.mcool",
            [layer],
            CHROMSIZES,
            whole_chromosomes(CHROMSIZES),
            "contact",
            1e5,
        )
    layer, meta = read_layer(opened(path, 64_000).uri)
    assert set(read_tables(path, layer, meta, opened(path, 64_000))) == {"cis", "trans"}
    with pytest.raises(CoolerError, match="there is no expected table"):
        read_tables(tmp_path / "x.mcool", layer, meta, opened(path, 64_000))
