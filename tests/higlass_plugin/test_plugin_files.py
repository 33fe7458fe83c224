"""Real files as tilesets: tiles are clodius's own, every id is answered, and a file of another
genome is refused.
"""

from __future__ import annotations

import base64
import gzip
import os
import shutil
import threading
import warnings
from itertools import product

import cooler
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("flask")
pytest.importorskip("clodius")

from clodius.tiles import beddb, bigwig, multivec
from clodius.tiles import cooler as maps

from higlass_plugin.compute.cache import Cache
from higlass_plugin.files import bed as bed_module
from higlass_plugin.files import contact_maps
from higlass_plugin.files.bed import Intervals
from higlass_plugin.files.chromosomes import FileError, OrderedGenome, difference
from higlass_plugin.files.contact_maps import map_chromsizes
from higlass_plugin.files.open import open_file
from orca_cool.errors import CoolerError, OrcaCoolError, RegionError
from orca_cool.model.registry import DATA

SHIPPED = DATA / "maps" / "yeast.10kb.mcool"
SIZES = {"a": 100_000, "b": 50_000}


def numbers(tile):
    return np.frombuffer(
        base64.b64decode(tile["dense"]), dtype={"float16": "<f2", "float32": "<f4"}[tile["dtype"]]
    ).astype(float)


def one(tileset, text):
    return dict(tileset.tiles([text]))[text]


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    """Maker of a text file: ``bed(text, name)``."""
    folder = tmp_path_factory.mktemp("bed")

    def write(text, name="intervals.bed"):
        path = folder / name
        path.write_text(text)
        return path

    return write


# ---- maps
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", ["", ".default", ".weight", ".none"])
def test_tiles_of_a_map_are_those_of_clodius(transform):
    tileset = open_file(SHIPPED, uid="u")
    # 10, 20, 40, 80 kb of 1,043,404 bp: one tile each
    ids = [f"u.{z}.0.0{transform}" for z in range(4)]
    assert dict(tileset.tiles(ids)) == dict(maps.tiles(str(SHIPPED), ids))
    assert (tileset.datatype, tileset.filetype) == ("matrix", "cooler")


def test_tiles_of_a_larger_map_alone_and_together(shared):
    path = shared / "data" / "yeast" / "metaphase.mcool"
    # 2 kb: 5,406,488 / 512,000 is 11 tiles a side; ids in an order of their own, so that blocks
    # must be put back in order
    random = np.random.default_rng(1)
    ids = [
        f"u.4.{x}.{y}" for x, y in random.permutation(list(product(range(11), range(11))))[:40]
    ] + ["u.3.0.1", "u.0.0.0.none", "u.0.0.0"]
    expected = {i: dict(maps.tiles(str(path), [i]))[i] for i in ids}
    found = open_file(path, uid="u").tiles(ids)
    assert [i for i, _ in found] == ids
    assert dict(found) == expected
    assert np.nanmax(numbers(expected["u.0.0.0"])) > 0


@pytest.mark.parametrize("divide", [True, False])
def test_weights_that_clodius_would_misread(tmp_path, divide):
    """Weights that divide, or are infinite: the tiles are clodius's of the same map with plain
    weights.
    """
    odd, plain = tmp_path / "odd.mcool", tmp_path / "plain.mcool"
    for path in (odd, plain):
        shutil.copy(SHIPPED, path)
        with h5py.File(path, "r+") as file:
            for level in file["resolutions"].values():
                weight = level["bins/weight"]
                weight[3] = np.nan
                if path == odd and divide:
                    weight[:] = 1 / weight[:]
                    weight.attrs["divisive_weights"] = True
                if path == odd:
                    weight[3] = np.inf
    found = open_file(odd, uid="u")
    resolutions = sorted(found.info()["resolutions"], reverse=True)
    compared = 0
    for zoom, resolution in enumerate(resolutions):
        for x, y in product(range(2), range(2)):
            for transform in ("", ".weight", ".default", ".none"):
                text = f"u.{zoom}.{x}.{y}{transform}"
                truth = dict(maps.tiles(str(plain), [text]))
                if text not in truth:
                    continue
                a, b = (numbers(t).reshape(256, 256) for t in (one(found, text), truth[text]))
                # where two chromosomes share a pixel, clodius takes counts and weights as they come
                shared = shared_pixels(plain, resolution)
                for axis, k in ((0, y), (1, x)):
                    at = shared[(shared >= 256 * k) & (shared < 256 * (k + 1))] - 256 * k
                    a, b = (np.delete(m, at, axis) for m in (a, b))
                np.testing.assert_allclose(a, b, rtol=2e-3)
                compared += np.isfinite(b).sum()
    assert compared > 10_000
    finest = f"u.{len(resolutions) - 1}.0.0.weight"
    assert np.isnan(numbers(one(found, finest)).reshape(256, 256)[3]).all()


def shared_pixels(path, resolution):
    """Pixels in which clodius draws bins of two chromosomes."""
    sizes = cooler.Cooler(f"{path}::resolutions/{resolution}").chromsizes
    return np.cumsum(sizes.to_numpy(np.int64))[:-1] // resolution


def test_info_of_a_map():
    info = open_file(SHIPPED, uid="u", name="measured", assembly="sacCer").info()
    assert info["resolutions"] == [10_000, 20_000, 40_000, 80_000]
    assert info["chromsizes"] == [["chrI", 230_221], ["chrII", 813_183]]
    assert info["min_pos"] == [1, 1]
    assert info["max_pos"] == [1_043_404, 1_043_404]
    assert info["transforms"] == [{"name": "ICE", "value": "weight"}]
    assert (info["name"], info["datatype"], info["coordSystem"], info["coordSystem2"]) == (
        "measured",
        "matrix",
        "sacCer",
        "sacCer",
    )


BAD = {
    "u.4.0.0": "no zoom 4",
    "u.99.0.0": "outside",
    "u.0.1.0": "behind the end",
    "u.3.3000000.0": "behind the end",  # given this, clodius asks for all memory
    "u.3.0.1099511627776": "behind the end",
    "u.3.-1.0": "is not uid",
    "u.3.0": "positions",
    "u.3.0.0.KR": "it has: weight",
    "u.3.0.0.1": "is not uid",
    "u": "is not uid",
    "": "is not uid",
    "u.0x1.0.0": "is not uid",
    "u.3.0.0." + "x" * 1000: "is not uid",
    "../../etc/passwd.0.0.0": "is not uid",
}


def test_every_id_of_a_map_is_answered():
    tiles = dict(open_file(SHIPPED, uid="u").tiles([*BAD, "u.0.0.0"]))
    assert list(tiles) == [*BAD, "u.0.0.0"]
    for text, words in BAD.items():
        assert words in tiles[text]["error"]
        assert np.isnan(numbers(tiles[text])).all()
        assert len(numbers(tiles[text])) == 256 * 256
        assert (tiles[text]["min_value"], tiles[text]["max_value"]) == ("NaN", "NaN")
    assert "error" not in tiles["u.0.0.0"]


def test_ids_that_mean_the_same_tile_are_all_answered():
    tileset = open_file(SHIPPED, uid="u")
    tiles = dict(
        tileset.tiles(["u.1.0.0", "u.01.00.0", "u.1.0.0.default", "u.1.0.0.None", "u.1.0.0.none"])
    )
    assert tiles["u.01.00.0"] == tiles["u.1.0.0"] == tiles["u.1.0.0.default"]
    assert tiles["u.1.0.0.None"] == tiles["u.1.0.0.none"] != tiles["u.1.0.0"]


def test_tiles_are_read_once_and_kept_within_bounds(monkeypatch):
    read = []
    real = maps.tiles
    monkeypatch.setattr(maps, "tiles", lambda path, ids: read.extend(ids) or real(path, ids))
    cache = Cache(800_000)  # two tiles of 349,528 bytes
    tileset = open_file(SHIPPED, uid="u", cache=cache)
    threads = [
        threading.Thread(target=tileset.tiles, args=(["u.0.0.0", "u.1.0.0"],)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read) == ["u.0.0.0", "u.1.0.0"]
    tileset.tiles(["u.2.0.0", "u.1.0.0", "u.2.0.0"])
    assert read[2:] == ["u.2.0.0"]
    assert cache.nbytes == 2 * 349_528
    tileset.tiles(["u.0.0.0"])  # was dropped
    assert read[3:] == ["u.0.0.0"]


def test_of_several_tiles_only_the_damaged_one_fails(shared, monkeypatch, caplog):
    path = shared / "data" / "yeast" / "metaphase.mcool"
    real = maps.tiles

    def damaged(path, ids):
        if "u.4.1.1" in ids:
            raise OSError("Can't synchronously read data")
        return real(path, ids)

    ids = [f"u.4.{x}.{y}" for x in range(3) for y in range(3)]
    expected = dict(real(str(path), ids))
    monkeypatch.setattr(maps, "tiles", damaged)
    tiles = dict(open_file(path, uid="u").tiles(ids))
    assert {i for i in ids if "error" in tiles[i]} == {"u.4.1.1"}
    assert "OSError" in tiles["u.4.1.1"]["error"]
    assert all(tiles[i] == expected[i] for i in ids if i != "u.4.1.1")
    assert "u.4.1.1" in caplog.text


def test_a_tile_that_the_reader_leaves_out_is_a_failed_one(monkeypatch):
    monkeypatch.setattr(maps, "tiles", lambda path, ids: [])
    assert "cannot be read" in one(open_file(SHIPPED, uid="u"), "u.0.0.0")["error"]


def test_infinite_extremes_are_json(monkeypatch):
    tile = {
        "dense": "",
        "dtype": "float32",
        "min_value": float("-inf"),
        "max_value": float("inf"),
        "size": 1,
    }
    monkeypatch.setattr(maps, "tiles", lambda path, ids: [(i, tile) for i in ids])
    found = one(open_file(SHIPPED, uid="u"), "u.0.0.0")
    assert (found["min_value"], found["max_value"]) == ("NaN", "NaN")


def single(path):
    """The shipped map's 10 kb alone, as a .cool."""
    cooler.fileops.cp(f"{SHIPPED}::resolutions/10000", str(path))
    return path


def test_a_cool_is_coarsened_once(tmp_path, caplog):
    path = single(tmp_path / "one.cool")
    tileset = open_file(path, uid="u", folder=tmp_path / "maps")
    assert "cooler zoomify --balance one.cool" in caplog.text
    # 10 kb * 2^k until one tile holds 1,043,404 bp: 10 kb does
    assert tileset.info()["resolutions"] == [10_000]
    assert one(tileset, "u.0.0.0") == dict(maps.tiles(str(SHIPPED), ["v.3.0.0"]))["v.3.0.0"]
    made = list((tmp_path / "maps").iterdir())
    assert len(made) == 1
    before = made[0].stat().st_mtime_ns
    open_file(path, uid="v", folder=tmp_path / "maps")
    assert [p.stat().st_mtime_ns for p in (tmp_path / "maps").iterdir()] == [before]
    os.utime(path)  # another file now
    open_file(path, uid="w", folder=tmp_path / "maps")
    assert len(list((tmp_path / "maps").iterdir())) == 2


def test_levels_of_a_cool_are_sums_and_balanced(tmp_path):
    bins = cooler.binnify(cooler.util.pd.Series({"a": 600_000}), 1000)
    random = np.random.default_rng(2)
    i = np.repeat(np.arange(600), 5)
    pixels = cooler.util.pd.DataFrame(
        {"bin1_id": i, "bin2_id": np.minimum(i + np.tile(np.arange(5), 600), 599)}
    )
    pixels["count"] = random.integers(1, 50, len(pixels))
    path = tmp_path / "one.cool"
    cooler.create_cooler(
        str(path), bins, pixels.drop_duplicates(["bin1_id", "bin2_id"]), ordered=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cooler.balance_cooler(
            cooler.Cooler(str(path)), store=True, ignore_diags=0, mad_max=0, min_nnz=0
        )
        tileset = open_file(path, uid="u", folder=tmp_path)
    # 1 kb * 256 = 256 kb; 4 kb * 256 holds 600 kb
    assert tileset.info()["resolutions"] == [1000, 2000, 4000]
    assert tileset.info()["transforms"] == [{"name": "ICE", "value": "weight"}]
    fine = cooler.Cooler(str(path)).matrix(balance=False)[:]
    sums = (
        np.triu(fine).reshape(150, 4, 150, 4).sum(axis=(1, 3))
    )  # a pixel of the file is one of the upper half
    coarse = numbers(one(tileset, "u.0.0.0.none")).reshape(256, 256)[:150, :150]
    assert np.array_equal(
        coarse.T, sums
    )  # columns are x, and a tile on the diagonal has its lower left alone
    weight = cooler.Cooler(f"{next(tmp_path.glob('one.*.mcool'))}::resolutions/4000").bins()[
        "weight"
    ][:]
    balanced = numbers(one(tileset, "u.0.0.0")).reshape(256, 256)[:150, :150]
    assert np.allclose(balanced.T, sums * np.outer(weight, weight), rtol=1e-3, equal_nan=True)


def test_a_large_cool_is_refused_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(contact_maps, "MAX_PIXELS", 10)
    with pytest.raises(CoolerError, match=r"cooler zoomify --balance one\.cool"):
        open_file(single(tmp_path / "one.cool"), uid="u", folder=tmp_path / "maps")
    assert not (tmp_path / "maps").exists()


# ---- the genome
# --------------------------------------------------------------------------------------------------


def test_the_shipped_map_fits_the_shipped_genome_and_no_other():
    # releases of one assembly: 13 and 5 bp apart
    open_file(SHIPPED, uid="u", chromsizes={"chrI": 230_208, "chrII": 813_178})
    with pytest.raises(
        FileError, match=r"chrI is 230,221 bp in the file, 230,321 bp in the genome.*--any-genome"
    ):
        open_file(
            SHIPPED, uid="u", chromsizes={"chrI": 230_321, "chrII": 813_178}, assembly="other"
        )
    with pytest.raises(FileError, match=r"did you mean 'chrI'"):
        open_file(SHIPPED, uid="u", chromsizes={"I": 230_221, "II": 813_183})
    with pytest.raises(
        FileError,
        match=r"does not begin at the same place.*chrI, chrII in the file, chrII, chrI in the "
        r"genome",
    ):
        open_file(SHIPPED, uid="u", chromsizes={"chrII": 813_183, "chrI": 230_221})
    assert open_file(SHIPPED, uid="u", chromsizes={"I": 1}, any_genome=True).info()["chromsizes"][
        0
    ] == ["chrI", 230_221]


def test_what_may_differ():
    ours = {"a": 10_000, "b": 20_000}
    assert difference({"a": 10_000}, ours) == ""  # the rest is not in the file
    assert difference({"a": 10_000, "b": 20_000, "m": 5}, ours) == ""
    assert difference({"a": 10_001, "b": 20_002}, ours) == ""
    assert "a is 10,002 bp" in difference({"a": 10_002}, ours)
    assert "b does not begin" in difference({"m": 5, "b": 20_000}, ours)
    assert difference({"m": 5, "b": 20_000}, ours, in_place=False) == ""
    # hg19 and hg38: chr1
    assert difference({"chr1": 249_250_621}, {"chr1": 248_956_422})


def test_a_genome_in_the_order_of_a_map():
    class Source:
        def __init__(self):
            self.name, self.chromsizes = "g", {"chrX": 7, "chrII": 813_183, "chrI": 230_221}

        def fetch(self, chrom, start, end):
            return np.full(end - start, len(chrom), np.uint8)

    order = map_chromsizes(SHIPPED)
    assert difference(order, Source().chromsizes)
    genome = OrderedGenome(Source(), order)
    assert list(genome.chromsizes.items()) == [("chrI", 230_221), ("chrII", 813_183), ("chrX", 7)]
    assert difference(order, genome.chromsizes) == ""
    assert genome.fetch("chrII", 3, 5).tolist() == [5, 5]
    assert genome.name == "g"


def test_other_files_have_no_order(bed, tmp_path):
    assert map_chromsizes(bed("a\t1\t2\n")) is None
    assert map_chromsizes(tmp_path / "none.mcool") is None


# ---- bigWig
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def signal(tmp_path_factory):
    """A bigWig: a is 1 up to 50 kb, then 3; b is 5 from 1,024 to 2,048 bp."""
    pyBigWig = pytest.importorskip("pyBigWig")
    path = tmp_path_factory.mktemp("bw") / "signal.bw"
    out = pyBigWig.open(str(path), "w")
    out.addHeader([("a", 100_000), ("b", 50_000)])
    out.addEntries(
        ["a", "a", "b"], [0, 50_000, 1024], ends=[50_000, 100_000, 2048], values=[1.0, 3.0, 5.0]
    )
    out.close()
    return path


def test_tiles_of_a_bigwig_lie_as_the_genome_does(signal):
    genome = {"b": 50_000, "a": 100_000, "c": 10_000}
    tileset = open_file(signal, uid="u", chromsizes=genome)
    info = tileset.info()
    # 160,000 bp in tiles of 1,024 bp: 2^8 of them
    assert (info["max_zoom"], info["max_width"], info["tile_size"]) == (8, 1024 * 256, 1024)
    assert (tileset.datatype, tileset.filetype) == ("vector", "bigwig")
    assert info["chromsizes"] == [["b", 50_000], ["a", 100_000], ["c", 10_000]]
    ids = [f"u.8.{x}" for x in (0, 1, 48, 49, 150, 156)] + [
        "u.0.0",
        "u.3.2",
        "u.3.2.max",
        "u.5.4.minMax",
    ]
    tiles = dict(tileset.tiles(ids))
    assert tiles == dict(
        bigwig.tiles(str(signal), ids, chromsizes=[[c, n] for c, n in genome.items()])
    )
    assert (numbers(tiles["u.8.1"]) == 5).all()  # bp 1,024 to 2,048 of b, which comes first here
    assert np.isnan(numbers(tiles["u.8.0"])).all()
    assert (numbers(tiles["u.8.49"]) == 1).all()  # 50,176 - 50,000 = 176 bp of a


def test_bigwig_ids_that_are_none(signal):
    tileset = open_file(signal, uid="u", chromsizes=SIZES)
    tiles = dict(tileset.tiles(["u.9.0", "u.8.256", "u.0.0.0", "u.8.0"]))
    assert "no zoom 9" in tiles["u.9.0"]["error"]
    assert "256 tiles at that zoom" in tiles["u.8.256"]["error"]
    assert "2 positions" in tiles["u.0.0.0"]["error"]
    assert np.isnan(numbers(tiles["u.9.0"])).all()
    assert len(numbers(tiles["u.9.0"])) == 1024
    assert "error" not in tiles["u.8.0"]


def test_a_bigwig_that_is_cut_off_does_not_end_the_process(signal, tmp_path):
    whole = signal.read_bytes()
    for size in (10, 64, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.bw").write_bytes(whole[:size])
        with pytest.raises(FileError, match=r"cut\.bw' is cut off"):
            open_file(tmp_path / "cut.bw", uid="u", chromsizes=SIZES)


def test_a_bigwig_of_another_genome(signal):
    with pytest.raises(FileError, match="b is 50,000 bp in the file, 60,000 bp in the genome"):
        open_file(signal, uid="u", chromsizes={"a": 100_000, "b": 60_000})
    assert open_file(signal, uid="u").info()["chromsizes"] == [["a", 100_000], ["b", 50_000]]


# ---- genes and intervals
# --------------------------------------------------------------------------------------------------


def test_intervals_of_bed(bed):
    path = bed(
        "track name=x\n# "
        "comment\na\t10\t20\tone\t0\t.\nb\t100\t300\ttwo\t0\t.\nz\t1\t2\tlost\t0\t.\n"
    )
    tileset = open_file(path, uid="u", chromsizes=SIZES, assembly="toy")
    # 150,000 bp in tiles of 1,024 bp: 2^8 of them
    assert tileset.info()["max_zoom"] == 8
    assert (tileset.datatype, tileset.filetype) == ("bedlike", "beddb")
    entries = one(tileset, "u.0.0")
    assert [
        (e["xStart"], e["xEnd"], e["chrOffset"], e["fields"], e["importance"]) for e in entries
    ] == [
        (10, 20, 0, ["a", "10", "20", "one", "0", "."], 10.0),
        (100_100, 100_300, 100_000, ["b", "100", "300", "two", "0", "."], 200.0),
    ]
    assert [e["fields"][3] for e in one(tileset, "u.8.97")] == ["two"]  # 99,328 to 100,352
    assert one(tileset, "u.8.98") == []
    assert dict(tileset.tiles(["u.9.0", "u.8.256", "x"])) == {"u.9.0": [], "u.8.256": [], "x": []}


def test_genes_of_bed_have_what_a_gene_track_draws(bed):
    twelve = "a\t1000\t5000\tABC1\t7\t-\t1200\t4800\t0\t2\t500,1000,\t0,3000,"
    tileset = open_file(bed(f"{twelve}\nb\t10\t90\tabc2\t8\t+\n"), uid="u", chromsizes=SIZES)
    assert tileset.datatype == "gene-annotation"
    first, second = (entry["fields"] for entry in one(tileset, "u.0.0"))
    assert first[:6] == ["a", "1000", "5000", "ABC1", "7", "-"]
    assert first[10:] == ["1200", "4800", "1000,4000", "1500,5000"]
    assert second[10:] == ["10", "90", "10", "90"]
    ragged = open_file(bed("a\t10\t20\tg\t0\t+\na\t30\t40\th\n"), uid="u", chromsizes=SIZES)
    assert ragged.datatype == "bedlike"  # a gene needs its six columns
    odd = open_file(
        bed("a\t10\t20\tg\t0\t.\t0\t0\t0\t1\tx\t0\na\t30\t40\th\t0\t-\n"), uid="u", chromsizes=SIZES
    )
    assert [e["fields"][5] + e["fields"][12] for e in one(odd, "u.0.0")] == [
        "+10",
        "-30",
    ]  # without a strand it would not be drawn
    # the score says what is important
    assert tileset.suggest("ABC") == [
        {"chr": "b", "txStart": 10, "txEnd": 90, "score": 8.0, "geneName": "abc2"},
        {"chr": "a", "txStart": 1000, "txEnd": 5000, "score": 7.0, "geneName": "ABC1"},
    ]
    assert [found["geneName"] for found in tileset.suggest("abc1")] == ["ABC1"]
    assert tileset.suggest("") == tileset.suggest("bc") == []


def test_genes_of_gtf_and_gff3(bed):
    gtf = 'a\tx\tgene\t101\t200\t.\t-\t.\tgene_id "g1"; gene_name "ABC1";\na\tx\texon\t101\t150\t.\t-\t.\tgene_id "g1";\n'
    gff = "##gff-version 3\na\tx\tgene\t101\t200\t.\t-\t.\tID=g1;Name=ABC1\n"
    for text, name in ((gtf, "x.gtf"), (gff, "x.gff3")):
        tileset = open_file(bed(text, name), uid="u", chromsizes=SIZES)
        assert tileset.datatype == "gene-annotation"
        assert [e["fields"][:6] for e in one(tileset, "u.0.0")] == [
            ["a", "100", "200", "ABC1", "0", "-"]
        ]


def test_gzip_is_read(tmp_path):
    path = tmp_path / "x.bed.gz"
    path.write_bytes(gzip.compress(b"a\t10\t20\n"))
    assert [e["fields"] for e in one(open_file(path, uid="u", chromsizes=SIZES), "u.0.0")] == [
        ["a", "10", "20"]
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 149_000), st.integers(1, 1000), st.integers(0, 3)),
        min_size=1,
        max_size=400,
    )
)
def test_what_is_drawn_far_out_is_drawn_further_in(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("bed") / "x.bed"
    path.write_text(
        "".join(f"a\t{s}\t{s + n}\t{k}\t{score}\n" for k, (s, n, score) in enumerate(rows))
    )
    few = 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bed_module, "MAX_DRAWN", few)
        bed = Intervals(path, {"a": 150_000})
    seen = []
    for zoom in range(bed.max_zoom + 1):
        tiles = dict(bed.tiles([f"u.{zoom}.{x}" for x in range(2**zoom)]))
        seen.append({e["uid"] for tile in tiles.values() for e in tile})
        width = bed.info("")["max_width"] / 2**zoom
        if zoom < bed.max_zoom:
            for text, tile in tiles.items():
                x = int(text.split(".")[2])
                assert (
                    sum(x * width <= (e["xStart"] + e["xEnd"]) // 2 < (x + 1) * width for e in tile)
                    <= few
                )
    assert all(far <= near for far, near in zip(seen, seen[1:]))
    assert len(seen[0]) == min(few, len(rows))
    assert seen[-1] == {str(k) for k in range(len(rows))}
    # the most important are those that are seen from afar
    shown, hidden = (
        [bed.importance[k] for k in range(len(rows)) if (str(k) in seen[0]) == there]
        for there in (True, False)
    )
    assert min(shown) >= max(hidden, default=0)


@pytest.fixture(scope="module")
def aggregated(tmp_path_factory):
    """(BED, .beddb that clodius makes of it) with 300 random intervals on SIZES, none left out."""
    aggregate = pytest.importorskip("clodius.cli.aggregate")
    folder = tmp_path_factory.mktemp("beddb")
    (folder / "sizes.tsv").write_text("".join(f"{c}\t{n}\n" for c, n in SIZES.items()))
    random = np.random.default_rng(4)
    lines = []
    for k in range(300):
        chrom = random.choice(list(SIZES))
        start = int(random.integers(0, SIZES[chrom] - 3000))
        lines.append(
            f"{chrom}\t{start}\t{start + int(random.integers(1, 3000))}\tname{k}\t0\t{random.choice(['+', '-'])}\n"
        )
    (folder / "x.bed").write_text("".join(lines))
    aggregate._bedfile(
        str(folder / "x.bed"),
        str(folder / "x.beddb"),
        "toy",
        "size",
        False,
        None,
        10_000,
        1024,
        "\t",
        str(folder / "sizes.tsv"),
        0,
    )
    return folder / "x.bed", folder / "x.beddb"


def test_bed_is_tiled_as_clodius_tiles_it(aggregated, monkeypatch):
    monkeypatch.setattr(bed_module, "MAX_DRAWN", 10_000)
    tileset = open_file(aggregated[0], uid="u", chromsizes=SIZES)
    ids = [f"u.{z}.{x}" for z in range(9) for x in range(0, 2**z, 1 + z)]
    theirs = dict(beddb.tiles(str(aggregated[1]), ids))
    assert sum(map(len, theirs.values())) > 1000

    def told(tile):
        return sorted(
            (e["xStart"], e["xEnd"], e["chrOffset"], e["name"], e["importance"], *e["fields"][:6])
            for e in tile
        )

    for text, tile in tileset.tiles(ids):
        assert told(tile) == told(theirs[text])
    info = beddb.tileset_info(str(aggregated[1]))
    assert {k: tileset.info()[k] for k in ("max_zoom", "max_width", "tile_size", "zoom_step")} == {
        k: info[k] for k in ("max_zoom", "max_width", "tile_size", "zoom_step")
    }


def test_beddb(aggregated):
    tileset = open_file(aggregated[1], uid="u", chromsizes=SIZES)
    ids = ["u.0.0", "u.3.4", "u.8.7"]
    assert dict(tileset.tiles(ids)) == dict(beddb.tiles(str(aggregated[1]), ids))
    assert dict(tileset.tiles(["u.9.0", "u.3.8", "u.0.0.0"])) == {
        "u.9.0": [],
        "u.3.8": [],
        "u.0.0.0": [],
    }
    assert (tileset.datatype, tileset.filetype) == ("bedlike", "beddb")
    found = tileset.suggest("NAME29")
    assert found[0]["geneName"] == "name29"
    assert {f["geneName"] for f in found[1:]} <= {f"name29{k}" for k in range(10)}
    assert len(found) == 10
    assert (
        tileset.suggest("a\t")
        == tileset.suggest("%")
        == tileset.suggest("_")
        == tileset.suggest("'")
        == []
    )
    with pytest.raises(FileError, match="a is 100,000 bp"):
        open_file(aggregated[1], uid="u", chromsizes={"a": 90_000})


def test_two_dimensional_intervals(tmp_path):
    aggregate = pytest.importorskip("clodius.cli.aggregate")
    (tmp_path / "sizes.tsv").write_text("a\t100000\nb\t50000\n")
    (tmp_path / "x.bedpe").write_text("a\t1000\t2000\ta\t5000\t7000\n")
    aggregate._bedpe(
        str(tmp_path / "x.bedpe"),
        str(tmp_path / "x.bed2ddb"),
        "toy",
        None,
        chromsizes_filename=str(tmp_path / "sizes.tsv"),
    )
    tileset = open_file(tmp_path / "x.bed2ddb", uid="u", chromsizes=SIZES)
    assert (tileset.datatype, tileset.filetype) == ("2d-rectangle-domains", "bed2ddb")
    entry = one(tileset, "u.0.0.0")[0]
    assert (entry["xStart"], entry["xEnd"], entry["yStart"], entry["yEnd"]) == (
        1000,
        2000,
        5000,
        7000,
    )
    assert one(tileset, "u.0.0")[0]["xStart"] == 1000
    assert one(tileset, "u.8.200.200") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\t10\t20\na\t30\t20\n", "line 2: 'a.t30.t20' is reversed"),
        ("a\t10\t20\na\tx\t20\n", "line 2"),
        ("a\t10\t20\na\n", "line 2"),
        ("a\t99990\t100200\n", "line 1: ends at 100,200 bp of a, which is 100,000 bp"),
        ("chra\t10\t20\n", "nothing on the chromosomes of the genome, a, b; did you mean 'chra'"),
        ("# nothing\n", "it is empty"),
    ],
)
def test_bed_that_is_none(bed, text, words):
    with pytest.raises((FileError, RegionError), match=words):
        open_file(bed(text), uid="u", chromsizes=SIZES)


def test_bed_needs_a_genome_and_may_be_of_another(bed):
    path = bed("a\t10\t100200\n")
    with pytest.raises(FileError, match="give the genome's"):
        open_file(path, uid="u")
    assert (
        one(open_file(path, uid="u", chromsizes=SIZES, any_genome=True), "u.0.0")[0]["xEnd"]
        == 100_200
    )


# ---- others
# --------------------------------------------------------------------------------------------------


def test_multivec(tmp_path):
    from clodius.multivec import create_multivec_multires

    random = np.random.default_rng(6)
    with h5py.File(tmp_path / "base.h5", "w") as base:
        for chrom, size in SIZES.items():
            base[chrom] = random.random((size // 1000, 3))
        create_multivec_multires(
            base,
            chromsizes=list(SIZES.items()),
            agg=lambda x: x.T.reshape((x.shape[1], -1, 2)).sum(axis=2).T,
            starting_resolution=1000,
            tile_size=64,
            output_file=str(tmp_path / "x.mv5"),
            row_infos=[b"r1", b"r2", b"r3"],
        ).close()
    tileset = open_file(tmp_path / "x.mv5", uid="u", chromsizes=SIZES)
    assert (tileset.datatype, tileset.filetype) == ("multivec", "multivec")
    assert tileset.info()["chromsizes"] == [["a", 100_000], ["b", 50_000]]
    last = len(tileset.info()["resolutions"]) - 1
    ids = ["u.0.0", f"u.{last}.0", f"u.{last}.2"]  # 150 bins of 1 kb: three tiles of 64
    tiles = dict(tileset.tiles(ids))
    assert tiles == dict(multivec.tiles(str(tmp_path / "x.mv5"), ids))
    failed = one(tileset, f"u.{last}.3")
    assert "behind the end" in failed["error"]
    assert failed["shape"] == [3, 64]
    assert np.isnan(numbers(failed)).all()
    assert len(numbers(failed)) == 192


def test_chromosome_sizes(bed):
    tileset = open_file(bed("a\t100000\nb\t50000\n", "x.sizes"), uid="u", chromsizes=SIZES)
    assert (tileset.datatype, tileset.filetype) == ("chromsizes", "chromsizes-tsv")
    assert tileset.info()["chromsizes"] == [["a", 100_000], ["b", 50_000]]
    assert tileset.tiles(["u.0.0"]) == [("u.0.0", [])]
    with pytest.raises(FileError, match="a is 100,000 bp in the file, 9 bp in the genome"):
        open_file(bed("a\t100000\nb\t50000\n", "x.sizes"), uid="u", chromsizes={"a": 9})


def test_files_that_are_none(tmp_path, bed):
    def refused(path, words, error=FileError):
        with pytest.raises(error, match=words):
            open_file(path, uid="u", chromsizes=SIZES)

    refused(tmp_path / "none.mcool", r"none\.mcool' does not exist")
    refused(tmp_path, "cannot be read: Is a directory")
    refused(bed("", "empty"), "is empty")
    refused(bed("hello world\n"), "neither GTF", RegionError)
    for name, content in {
        "cut.mcool": SHIPPED.read_bytes()[:5000],
        "cut.bw": b"\x26\xfc\x8f\x88" + bytes(60),
        "short.bw": b"\x26\xfc\x8f\x88",
        "cut.beddb": b"SQLite format 3\0" + bytes(200),
        "bytes": bytes(range(256)),
    }.items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, name, OrcaCoolError)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    refused(tmp_path / "other.h5", r"other\.h5")
    (tmp_path / "x.bb").write_bytes(b"\xeb\xf2\x89\x87" + bytes(60))
    refused(tmp_path / "x.bb", "bigBedToBed")
    for cell in ("a", "b"):
        cooler.fileops.cp(f"{SHIPPED}::resolutions/80000", f"{tmp_path / 'x.scool'}::cells/{cell}")
    with pytest.raises(FileError, match="not resolutions of one map"):
        open_file(tmp_path / "x.scool", uid="u")


def test_genes_are_found_by_their_other_names(tmp_path):
    """Standard and systematic names, ids and aliases of GFF3 and GTF; the name itself comes first,
    then who has it as an alias.
    """
    gff = tmp_path / "genes.gff3"
    gff.write_text(
        "##gff-version 3\n"
        "a\tSGD\tgene\t101\t200\t.\t+\t.\tID=YAL001C;Name=YAL001C;gene=TFC3;Alias=TSV115,FUN24\n"
        "a\tSGD\tgene\t301\t400\t.\t-\t.\tID=YAL002W;gene=VPS8;Alias=TFC3\n"
    )
    tileset = open_file(gff, uid="u", chromsizes=SIZES)
    for text, names in {
        "tfc3": ["TFC3", "VPS8"],
        "fun": ["TFC3"],
        "YAL00": ["TFC3", "VPS8"],
        "yal002w": ["VPS8"],
        "nothing": [],
    }.items():
        assert [gene["geneName"] for gene in tileset.suggest(text)] == names, text
    gtf = tmp_path / "genes.gtf"
    gtf.write_text(
        'a\tx\tgene\t101\t200\t.\t+\t.\tgene_id "ENSG1"; gene_name "ABC"; gene_synonym "OLD";\n'
    )
    tileset = open_file(gtf, uid="v", chromsizes=SIZES)
    assert [[g["geneName"] for g in tileset.suggest(t)] for t in ("ensg1", "old")] == [["ABC"]] * 2
