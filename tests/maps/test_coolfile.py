"""What ``write_mcool`` writes is what cooler, clodius and the inverse read."""

import resource
import subprocess
import sys
from pathlib import Path

import bioframe
import cooler
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import CHROMSIZES, RESOLUTIONS, Planted, band_of, plant, write

from orca_cool.errors import CoolerError, OutputError
from orca_cool.genome.regions import n_bins
from orca_cool.maps.coolfile import (
    Layer,
    RowBlock,
    TransBlock,
    read_layer,
    read_log_ratio,
    write_mcool,
)


@pytest.fixture(scope="module")
def planted() -> Planted:
    return plant()


@pytest.fixture(scope="module")
def path(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(planted, tmp_path_factory.mktemp("coolfile") / "out.mcool", strand_difference=True)


def datasets(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, x: (
                found.update({name: x[()].tobytes()}) if isinstance(x, h5py.Dataset) else None
            )
        )
    return found


def truth(planted: Planted, chrom: str, resolution: int) -> np.ndarray:
    """(n, n) y with NaN on masked bins and from the band on."""
    layer = planted.layer(resolution)
    y = np.asarray(planted.y[chrom, resolution], np.float32).astype(float)
    i = np.arange(len(y))
    y[np.abs(i[:, None] - i) >= layer.band] = np.nan
    y[layer.masked[chrom]] = y[:, layer.masked[chrom]] = np.nan
    return y


def test_cooler_reads_it(path: Path) -> None:
    assert cooler.fileops.is_multires_file(str(path))
    assert cooler.fileops.list_coolers(str(path)) == [f"/resolutions/{r}" for r in RESOLUTIONS]
    for r in RESOLUTIONS:
        clr = cooler.Cooler(f"{path}::resolutions/{r}")
        assert dict(clr.chromsizes) == CHROMSIZES
        assert clr.info["genome-assembly"] == "planted1"
        assert clr.info["metadata"]["mode"] == "regularised"
        stock = bioframe.binnify(clr.chromsizes, r)
        bins = clr.bins()[:]
        np.testing.assert_array_equal(bins[["start", "end"]], stock[["start", "end"]])
        assert list(bins["chrom"]) == list(stock["chrom"])
        pixels = clr.pixels()[:]
        assert list(pixels.columns) == ["bin1_id", "bin2_id", "count", "level", "strand_difference"]
        assert pixels.dtypes["bin1_id"] == np.int64
        assert pixels.dtypes["count"] == np.float32
        assert (pixels["level"] == r).all()
        key = pixels["bin1_id"].to_numpy() * len(bins) + pixels["bin2_id"].to_numpy()
        assert (np.diff(key) > 0).all()
        assert (pixels["bin1_id"] <= pixels["bin2_id"]).all()
        assert clr.info["sum"] == pytest.approx(pixels["count"].to_numpy(float).sum(), rel=1e-12)
        with h5py.File(path) as file:
            group = file[f"resolutions/{r}"]
            offset = np.searchsorted(pixels["bin1_id"], np.arange(len(bins) + 1))
            np.testing.assert_array_equal(group["indexes/bin1_offset"][:], offset)
            for column in group["pixels"].values():
                assert column.compression == "gzip"
                assert column.shuffle
            assert h5py.check_enum_dtype(group["bins/chrom"].dtype) == {
                c: i for i, c in enumerate(CHROMSIZES)
            }


def test_same_table_as_stock_cooler(path: Path, tmp_path: Path) -> None:
    """Written once more by cooler itself, every dataset has the same type and values."""
    source = cooler.Cooler(f"{path}::resolutions/64000")
    copy = str(tmp_path / "copy.cool")
    columns = ["count", "level", "strand_difference"]
    types = {"count": "float32", "level": "int32", "strand_difference": "float32"}
    cooler.create_cooler(
        copy, source.bins()[:], source.pixels()[:], columns=columns, dtypes=types, ordered=True
    )
    with h5py.File(path) as a, h5py.File(copy) as b:
        for name in [
            "chroms/name",
            "chroms/length",
            "indexes/chrom_offset",
            "indexes/bin1_offset",
            "bins/chrom",
            "bins/start",
            "bins/end",
        ] + [f"pixels/{c}" for c in ("bin1_id", "bin2_id", *columns)]:
            x, y = a["resolutions/64000"][name], b[name]
            assert x.dtype == y.dtype, name
            np.testing.assert_array_equal(x[:], y[:], err_msg=name)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_inverse(planted: Planted, path: Path, resolution: int) -> None:
    uri = f"{path}::resolutions/{resolution}"
    for chrom in CHROMSIZES:
        np.testing.assert_allclose(
            read_log_ratio(uri, chrom), truth(planted, chrom, resolution), atol=1e-6
        )
    part = read_log_ratio(uri, ("chrA", 2_000_000, 6_000_000))
    a, b = 2_000_000 // resolution, n_bins(6_000_000, resolution)
    np.testing.assert_allclose(part, truth(planted, "chrA", resolution)[a:b, a:b], atol=1e-6)
    between = planted.trans[resolution].astype(float)
    layer = planted.layer(resolution)
    between[layer.masked["chrA"]] = between[:, layer.masked["chrB"]] = np.nan
    np.testing.assert_allclose(read_log_ratio(uri, "chrA", "chrB"), between, atol=1e-6)
    np.testing.assert_allclose(read_log_ratio(uri, "chrB", "chrA"), between.T, atol=1e-6)


def test_masked_bins_are_nan_and_empty(planted: Planted, path: Path) -> None:
    clr = cooler.Cooler(f"{path}::resolutions/32000")
    weight = clr.bins()["weight"][:].to_numpy()
    mask = np.concatenate([planted.layer(32_000).masked[c] for c in CHROMSIZES])
    np.testing.assert_array_equal(np.isnan(weight), mask)
    assert set(weight[~mask]) == {1 / np.sqrt(1e5)}
    pixels = clr.pixels()[:]
    assert not mask[pixels["bin1_id"]].any()
    assert not mask[pixels["bin2_id"]].any()


def test_contact_mode(planted: Planted, tmp_path: Path) -> None:
    path = write(planted, tmp_path / "c.mcool", mode="contact", trans=False)
    clr = cooler.Cooler(f"{path}::resolutions/64000")
    layer, y = planted.layer(64_000), truth(planted, "chrB", 64_000)
    n = len(y)
    norm = layer.by_distance(n)[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]
    wanted = np.maximum(np.exp(y) * (norm + layer.eps) - layer.eps, 0)
    np.testing.assert_allclose(
        clr.matrix(balance=True).fetch("chrB"), np.where(norm > 0, wanted, 0.0), rtol=2e-5
    )
    floor = np.log(layer.eps / (norm + layer.eps))
    np.testing.assert_allclose(read_log_ratio(clr.uri, "chrB"), np.maximum(y, floor), atol=1e-4)


def test_contact_mode_clips_at_zero(tmp_path: Path) -> None:
    layer = Layer(1000, np.full(10, 1e-3), 1e-3, 10, None, {})
    y = band_of(np.full((10, 10), -5.0), 10)
    row_block = RowBlock("a", 0, y, np.full(y.shape, 1000, np.int32))
    path = tmp_path / "c.mcool"
    write_mcool(
        path,
        chromsizes={"a": 10_000},
        assembly="x",
        layers=[layer],
        row_blocks=lambda _: [row_block],
        metadata={},
        mode="contact",
    )
    assert (cooler.Cooler(f"{path}::resolutions/1000").pixels()[:]["count"] == 0).all()
    np.testing.assert_allclose(read_log_ratio(f"{path}::resolutions/1000", "a"), np.log(0.5))


def test_clodius_tile_equals_the_matrix(path: Path) -> None:
    tiles = pytest.importorskip("clodius.tiles.cooler")
    with h5py.File(path) as file:
        tile = tiles.make_tiles(file["resolutions/32000"], 32_000, 0, 0)[0, 0].reshape(256, 256)
    matrix = cooler.Cooler(f"{path}::resolutions/32000").matrix(balance=True)[:256, :256]
    # clodius fills the triangle that it read; masked rows and columns are NaN in both
    upper = np.tril_indices(256)
    np.testing.assert_allclose(tile[upper], matrix.astype(np.float32)[upper], rtol=1e-6)
    assert np.isnan(tile).any()


def test_deterministic_and_independent_of_the_split(planted: Planted, tmp_path: Path) -> None:
    a = write(planted, tmp_path / "a.mcool", rows=97, strand_difference=True)
    b = write(planted, tmp_path / "b.mcool", rows=11, strand_difference=True)
    assert datasets(a) == datasets(b)
    with h5py.File(a) as x, h5py.File(b) as y:
        for r in RESOLUTIONS:
            u, v = dict(x[f"resolutions/{r}"].attrs), dict(y[f"resolutions/{r}"].attrs)
            assert {k for k in u if u[k] != v[k]} <= {"creation-date"}


def test_precision_bits(planted: Planted, path: Path, tmp_path: Path) -> None:
    rounded = write(planted, tmp_path / "r.mcool", precision_bits=12)
    a, b = (
        cooler.Cooler(f"{p}::resolutions/32000").pixels()[:]["count"].to_numpy(float)
        for p in (path, rounded)
    )
    assert 0 < np.abs(b / a - 1).max() <= 2.0**-13
    assert rounded.stat().st_size < path.stat().st_size


def test_interrupted_leaves_nothing_and_keeps_the_old_file(
    planted: Planted, tmp_path: Path
) -> None:
    path = tmp_path / "out.mcool"
    path.write_text("old")

    def broken(resolution: int):  # type: ignore[no-untyped-def]
        yield next(iter(planted.row_blocks()(resolution)))  # type: ignore[operator]
        raise ValueError("the network fell over")

    with pytest.raises(ValueError, match="fell over"):
        write_mcool(
            path,
            chromsizes=CHROMSIZES,
            assembly="x",
            layers=planted.layers,
            row_blocks=broken,
            metadata={},
        )
    assert [p.name for p in tmp_path.iterdir()] == ["out.mcool"]
    assert path.read_text() == "old"


FULL = """
import resource, signal, sys
import numpy as np
from orca_cool.maps.coolfile import Layer, RowBlock, write_mcool
from orca_cool.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
rng = np.random.default_rng(0)
row_blocks = [RowBlock("a", i, rng.normal(size=(500, 100)).astype("f4"), np.ones((500, 100), "i4")) for i in range(0, 10_000, 500)]
layer = Layer(1000, np.full(100, 1e-3), 1e-5, 100, None, {})
try:
    write_mcool(sys.argv[1], chromsizes={"a": 10_000_000}, assembly="x", layers=[layer], row_blocks=lambda _: row_blocks, metadata={})
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [1000, 300_000, 1_500_000, 3_390_000])
def test_no_space_left(tmp_path: Path, limit: int) -> None:
    """A file that may not grow behaves like a full disk: one error that names the output, nothing
    left, no crash at exit.
    """
    assert hasattr(resource, "RLIMIT_FSIZE")
    path = tmp_path / "full.mcool"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"cannot write {str(path)!r}" in done.stdout
    assert not done.stderr
    assert not list(tmp_path.iterdir())


def test_unwritable_place(planted: Planted, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"no_such_folder"):
        write_mcool(
            tmp_path / "no_such_folder" / "x.mcool",
            chromsizes=CHROMSIZES,
            assembly="x",
            layers=[],
            row_blocks=lambda _: [],
            metadata={},
        )


def layer_of(n: int = 20, band: int = 5, trans: float | None = None) -> Layer:
    return Layer(1000, np.full(n, 1e-3), 1e-5, band, trans, {})


def stripe_of(
    chrom: str = "a", start: int = 0, rows: int = 4, band: int = 5, value: float = 0.0
) -> RowBlock:
    return RowBlock(
        chrom,
        start,
        np.full((rows, band), value, np.float32),
        np.full((rows, band), 1000, np.int32),
    )


@pytest.mark.parametrize(
    ("layer", "row_blocks", "blocks", "message"),
    [
        (layer_of(), [stripe_of(start=4), stripe_of(start=0)], [], "out of order"),
        (layer_of(), [stripe_of("b"), stripe_of("a")], [], "out of order"),
        (layer_of(), [stripe_of(rows=21)], [], "outside 20 bins"),
        (layer_of(), [stripe_of(band=6)], [], "band of 5"),
        (layer_of(), [stripe_of("z")], [], "'z' is not one of a, b"),
        (layer_of(n=3), [stripe_of()], [], "at 3 bins, where no expected is known"),
        (layer_of(), [stripe_of(value=1000.0)], [], "too large"),
        (
            layer_of(),
            [],
            [TransBlock("a", "b", 0, 0, np.zeros((2, 2), np.float32), 1000)],
            "no trans expected",
        ),
        (
            layer_of(trans=1e-5),
            [],
            [TransBlock("b", "a", 0, 0, np.zeros((2, 2), np.float32), 1000)],
            "must come before",
        ),
        (
            layer_of(trans=1e-5),
            [],
            [TransBlock("a", "b", 19, 0, np.zeros((2, 2), np.float32), 1000)],
            "leaves its chromosomes",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_contradictions(
    tmp_path: Path, layer: Layer, row_blocks: list, blocks: list, message: str
) -> None:
    sizes = {"a": 20_000, "b": 10_000}
    with pytest.raises(OutputError, match=message):
        write_mcool(
            tmp_path / "x.mcool",
            chromsizes=sizes,
            assembly="x",
            layers=[layer],
            row_blocks=lambda _: row_blocks,
            trans=lambda _: blocks,
            metadata={},
        )
    assert not list(tmp_path.iterdir())


def test_settings_and_foreign_files(tmp_path: Path) -> None:
    for bad in ({"mode": "raw"}, {"pseudo_depth": -1.0}):
        with pytest.raises(OutputError, match=str(next(iter(bad.values())))):
            write_mcool(
                tmp_path / "x",
                chromsizes={"a": 10},
                assembly="x",
                layers=[],
                row_blocks=lambda _: [],
                metadata={},
                **bad,
            )  # type: ignore[arg-type]
    with pytest.raises(CoolerError, match=r"absent\.mcool"):
        read_layer(str(tmp_path / "absent.mcool::resolutions/1000"))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_mask_band_and_split_round_trips(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Random chromosomes, bands, masks, gaps, row splits and trans pieces: the dense map comes
    back.
    """
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sizes = {
        f"c{k}": data.draw(st.integers(1, 40_000)) for k in range(data.draw(st.integers(1, 4)))
    }
    n = {c: n_bins(length, 1000) for c, length in sizes.items()}
    band = data.draw(st.integers(1, 50))
    dense = {
        c: np.tril(x := rng.normal(size=(k, k)).astype(np.float32)).T + np.tril(x, -1)
        for c, k in n.items()
    }
    for x in dense.values():
        x[rng.random(x.shape) < 0.1] = np.nan
    masked = {
        c: rng.random(k) < data.draw(st.sampled_from([0.0, 0.3, 1.0]))
        for c, k in n.items()
        if rng.random() < 0.8
    }
    present = [c for c in sizes if rng.random() < 0.8]
    layer = Layer(1000, rng.random(60) + 0.1, 1e-3, band, 1e-3, masked)

    def row_blocks(_: int):  # type: ignore[no-untyped-def]
        for c in present:
            cuts = np.unique(np.concatenate([[0, n[c]], rng.integers(0, n[c] + 1, 3)]))
            rows = band_of(np.triu(dense[c]), band)
            for a, b in zip(cuts, cuts[1:]):
                yield RowBlock(c, int(a), rows[a:b], np.full(rows[a:b].shape, 1000, np.int32))

    names = list(sizes)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if rng.random() < 0.5]
    between = {p: rng.normal(size=(n[p[0]], n[p[1]])).astype(np.float32) for p in pairs}
    blocks = [
        TransBlock(*p, 0, cut, x[:, cut:], 1000)
        for p, x in between.items()
        if (cut := n[p[1]] // 2) >= 0
    ]
    blocks += [TransBlock(*p, 0, 0, x[:, : n[p[1]] // 2], 1000) for p, x in between.items()]
    path = tmp_path_factory.mktemp("any") / "x.mcool"
    write_mcool(
        path,
        chromsizes=sizes,
        assembly="x",
        layers=[layer],
        row_blocks=row_blocks,
        trans=lambda _: blocks,
        metadata={},
    )
    uri = f"{path}::resolutions/1000"
    pixels = cooler.Cooler(uri).pixels()[:]
    assert (np.diff(pixels["bin1_id"].to_numpy() * 1000 + pixels["bin2_id"].to_numpy()) > 0).all()
    for c in sizes:
        i = np.arange(n[c])
        wanted = np.triu(dense[c]).astype(float)
        wanted[np.tril_indices(n[c], -1)] = wanted.T[np.tril_indices(n[c], -1)]
        wanted[np.abs(i[:, None] - i) >= band] = np.nan
        mask = masked.get(c, np.zeros(n[c], bool))
        wanted[mask] = wanted[:, mask] = np.nan
        np.testing.assert_allclose(
            read_log_ratio(uri, c),
            wanted if c in present else np.full_like(wanted, np.nan),
            atol=1e-5,
        )
    for (a, b), x in between.items():
        wanted = x.astype(float)
        wanted[masked.get(a, np.zeros(n[a], bool))] = np.nan
        wanted[:, masked.get(b, np.zeros(n[b], bool))] = np.nan
        np.testing.assert_allclose(read_log_ratio(uri, a, b), wanted, atol=1e-5)
