"""An edited genome's map at the reference's coordinates, pixel by pixel against a slow oracle that
knows where every base came from.
"""

from __future__ import annotations

import bioframe
import cooler
import cooltools
import h5py
import numpy as np
import pytest
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_cool.effects import difference as difference_module
from orca_cool.effects import lift
from orca_cool.effects.difference import difference, require_comparable
from orca_cool.effects.lift import lift_to_reference
from orca_cool.effects.reference_coordinates import lifted_bins, reference_regions
from orca_cool.errors import CoolerError, EditError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Adjacency, Breakend, Contig, Edit
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.regions import Region, n_bins
from orca_cool.genome.segments import Segment
from orca_cool.maps.check import check_mcool
from orca_cool.maps.coolfile import Layer, RowBlock, TransBlock, read_layer, write_mcool
from orca_cool.maps.expected import read_tables, whole_chromosomes, write_expected
from orca_cool.maps.open import open_map
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.to_file import predict_to_file

SIZES = {"a": 4_810, "b": 3_000, "c": 900}
LEVELS = (40, 80, 160)


def letters(n, seed=0):
    return Segment.letters(
        "".join("ACGT"[k] for k in np.random.default_rng(seed).integers(0, 4, n))
    )


SOURCE = Drawn(SIZES, ("b", 1_000, 1_415))
CASES = {
    "nothing": [],
    "deletion": [Edit("del", "a", 1_013, 2_401)],
    "tandem duplication": [Edit("dup", "a", 1_000, 1_370, 3)],
    "inverted duplication": [Edit("dup", "a", 1_000, 1_370, 2, True)],
    "inversion": [Edit("inv", "a", 1_013, 3_500)],
    "inversion in phase": [Edit("inv", "a", 1_000, 3_560)],
    "insertion": [Edit("ins", "a", 2_001, 2_001, sequence=(letters(517),))],
    "insertion of another chromosome": [
        Edit("ins", "a", 2_001, 2_001, sequence=(Segment("b", 500, 1_100, "-"),))
    ],
    "translocation": [Adjacency(Breakend("a", 2_013, "+"), Breakend("b", 700, "-"))],
    "inverted translocation": [Adjacency(Breakend("a", 2_013, "+"), Breakend("b", 2_200, "+"))],
    "custom": [
        Contig("x", (Segment("b", 200, 2_900, "-"), letters(300), Segment("a", 1_000, 2_000)))
    ],
    "small ones in the middles of bins": [
        Edit("del", "a", 1_019, 1_022),
        Edit("sub", "a", 1_300, 1_330, sequence=(letters(4),)),
    ],
    "two": [
        Edit("del", "a", 900, 913),
        Edit("dup", "a", 2_000, 2_200),
        Edit("inv", "b", 1_700, 2_700),
    ],
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    spec = make_toy_spec()
    return load_bundle(
        save_bundle(
            tmp_path_factory.mktemp("models") / "toy", make_toy_model(spec), make_toy_expected(spec)
        )
    )


@pytest.fixture(scope="module")
def reference(bundle):
    return make_engine(bundle, SOURCE, "cpu")


def predict(engine, path, regions=None, **changes):
    """Predict with module S (bands of 16, 16 and 11 bins); default: all chromosomes."""
    regions = regions or [Region(c, 0, n) for c, n in engine.source.chromsizes.items()]
    predict_to_file(
        engine,
        regions,
        Settings(LEVELS, modules=("S",), **changes),
        path,
        assembly=engine.source.name,
        provenance={"x": 1},
    )
    return path


def origins(genome):
    """Of every base of every contig (its chromosome's number, its position there), -1 where it is
    of none; segment by segment.
    """
    number = {c: i for i, c in enumerate(genome.source.chromsizes)}
    out = []
    for contig, segments in genome.contigs.items():
        places = [
            np.arange(s.start, s.end) if s.strand == "+" else np.arange(s.end - 1, s.start - 1, -1)
            for s in segments
        ]
        chroms = [np.full(len(s), number.get(s.chrom, -1)) for s in segments]
        assert sum(map(len, places)) == genome.chromsizes[contig]
        out.append((np.concatenate(chroms), np.concatenate(places)))
    return out


def images_of(genome, resolution):
    """{(chromosome, bin): [bin of the edited genome, ...]}, base by base."""
    offsets = np.cumsum([0, *(n_bins(n, resolution) for n in genome.chromsizes.values())])
    found = {}
    traced = origins(genome)
    for number, (chrom, length) in enumerate(genome.source.chromsizes.items()):
        present = set(
            np.concatenate([places[chroms == number] for chroms, places in traced]).tolist()
        )
        for k in range(n_bins(length, resolution)):
            bases = np.arange(k * resolution, min((k + 1) * resolution, length))
            middle = (bases[0] + bases[-1] + 1) // 2
            there = [b for b in bases.tolist() if b in present]
            middle = min(there, key=lambda b: (abs(b - middle), b), default=middle)
            found[chrom, k] = [
                offset + int(p) // resolution
                for offset, (chroms, places) in zip(offsets, traced)
                for p in np.flatnonzero((chroms == number) & (places == middle))
            ]
    return found


def dense(path, resolution, column):
    """(n, n) of a pixel column, NaN where there is no pixel."""
    clr = cooler.Cooler(f"{path}::resolutions/{resolution}")
    n = clr.info["nbins"]
    out = np.full((n, n), np.nan)
    p = clr.pixels()[:]
    out[p["bin1_id"], p["bin2_id"]] = out[p["bin2_id"], p["bin1_id"]] = p[column]
    return out


def oracle(edited, genome, resolution, copies):
    """(n, n) balanced frequencies and levels in the reference's coordinates, NaN where there is no
    pixel, and (n,) bool masked.
    """
    frequency = cooler.Cooler(f"{edited}::resolutions/{resolution}").matrix(balance=True)[:]
    levels = dense(edited, resolution, "level")
    contigs = np.repeat(
        np.arange(len(genome.chromsizes)),
        [n_bins(n, resolution) for n in genome.chromsizes.values()],
    )
    band = read_layer(f"{edited}::resolutions/{resolution}")[0].band
    lifted = {
        key: some if copies == "mean" else some[:1]
        for key, some in images_of(genome, resolution).items()
    }
    bins = list(lifted)
    gaps = np.array(
        [
            (SOURCE.codes[c][k * resolution : (k + 1) * resolution] == 4).mean() > 0.5
            for c, k in bins
        ]
    )
    masked = gaps | np.array(
        [not any(np.isfinite(levels[x, x]) for x in lifted[key]) for key in bins]
    )
    values, coarsest = np.full((2, len(bins), len(bins)), np.nan)
    for i, one in enumerate(bins):
        for j, other in enumerate(bins[i : i + band], i):
            if one[0] != other[0] or masked[i] or masked[j]:
                continue
            pairs = [
                (x, y)
                for x in lifted[one]
                for y in lifted[other]
                if contigs[x] == contigs[y] and np.isfinite(levels[x, y])
            ]
            if pairs:
                values[i, j] = values[j, i] = np.mean([frequency[pair] for pair in pairs])
                coarsest[i, j] = coarsest[j, i] = max(levels[pair] for pair in pairs)
    return values, coarsest, masked


def assert_is_the_oracles(lifted, edited, genome, copies):
    for r in LEVELS:
        uri = f"{lifted}::resolutions/{r}"
        values, levels, masked = oracle(edited, genome, r, copies)
        clr = cooler.Cooler(uri)
        assert dict(clr.chromsizes) == SIZES
        assert clr.info["genome-assembly"] == "drawn1"
        found = clr.matrix(balance=True)[:]
        np.testing.assert_array_equal(np.isnan(clr.bins()["weight"][:]), masked)
        np.testing.assert_array_equal(np.isfinite(dense(lifted, r, "count")), np.isfinite(values))
        np.testing.assert_array_equal(dense(lifted, r, "level"), levels)
        np.testing.assert_allclose(
            found[~masked][:, ~masked], np.nan_to_num(values)[~masked][:, ~masked], rtol=1e-6
        )
        pixels = clr.pixels()[:]
        assert (pixels["bin1_id"] <= pixels["bin2_id"]).all()


@pytest.mark.parametrize("name", CASES)
def test_every_pixel_is_the_oracles(reference, tmp_path, name):
    genome = apply_edits(SOURCE, CASES[name])
    edited = predict(reference.for_genome(genome), tmp_path / "x.mcool")
    for copies in ("mean", "first"):
        out = tmp_path / f"{copies}.mcool"
        paths = lift_to_reference(
            edited, genome, out, assembly="drawn1", copies=copies, metadata={"more": 5}
        )
        tables = [tmp_path / f"{copies}.expected.{r}.tsv" for r in LEVELS]
        regions = open_map(out).metadata(LEVELS[0])["regions"]
        whole = [f"{c}:0-{n:,}" for c, n in SOURCE.chromsizes.items()]
        view = [] if regions == whole else [tmp_path / f"{copies}.view.bed"]
        assert paths == [out, *tables, *view]
        assert_is_the_oracles(out, edited, genome, copies)
        report = check_mcool(out)
        assert report.valid, [r for r in report.results if r.passed is False]
        for r in LEVELS:
            layer, meta = read_layer(f"{out}::resolutions/{r}")
            source, _ = read_layer(f"{edited}::resolutions/{r}")
            assert (layer.band, layer.eps, layer.trans) == (source.band, source.eps, None)
            np.testing.assert_array_equal(layer.expected, source.expected[: len(layer.expected)])
            assert (meta["lifted_to_reference"], meta["copies"], meta["more"], meta["x"]) == (
                True,
                copies,
                5,
                1,
            )
            assert (meta["genome"], meta["edited_genome"], meta["edited_assembly"]) == (
                "drawn",
                genome.name,
                genome.name,
            )
            assert set(read_tables(out, layer, meta, cooler.Cooler(f"{out}::resolutions/{r}"))) == {
                "cis"
            }


def test_the_two_ways_with_copies_differ_where_there_are_copies(reference, tmp_path):
    genome = apply_edits(SOURCE, CASES["tandem duplication"])
    edited = predict(reference.for_genome(genome), tmp_path / "x.mcool")
    maps = []
    for copies in ("mean", "first"):
        lift_to_reference(
            edited, genome, tmp_path / f"{copies}.mcool", assembly="drawn1", copies=copies
        )
        maps.append(dense(tmp_path / f"{copies}.mcool", 40, "count"))
    known = np.isfinite(maps[0]) & np.isfinite(maps[1])
    differs = (maps[0] != maps[1]) & known
    assert differs[25:34, 25:34].any()  # 1,000 to 1,370
    assert not differs[:25, :25].any()
    assert not differs[35:, 35:].any()
    # a bin behind the copies is further from the first copies than from the last ones, beyond the
    # band even
    assert (np.isfinite(maps[0]) & ~np.isfinite(maps[1])).any()


def test_without_an_edit_it_is_the_references_map(reference, tmp_path):
    codes = "".join("ACGT"[k] for k in SOURCE.codes["a"][50:60])
    genome = apply_edits(SOURCE, [Edit("sub", "a", 50, 60, sequence=(Segment.letters(codes),))])
    regions = [Region("a", 0, 4_810), Region("b", 330, 2_000)]
    for mode in ("regularised", "contact"):
        ours = predict(
            reference.for_genome(genome), tmp_path / f"{mode}.e.mcool", regions, mode=mode
        )
        plain = predict(reference, tmp_path / f"{mode}.r.mcool", regions, mode=mode)
        lift_to_reference(ours, genome, tmp_path / f"{mode}.f.mcool", assembly="drawn1")
        difference(tmp_path / f"{mode}.f.mcool", plain, tmp_path / f"{mode}.d.mcool")
        with (
            h5py.File(tmp_path / f"{mode}.f.mcool") as one,
            h5py.File(plain) as two,
            h5py.File(tmp_path / f"{mode}.d.mcool") as three,
        ):
            for r in LEVELS:
                a, b, d = (file[f"resolutions/{r}"] for file in (one, two, three))
                for name in (
                    "pixels/bin1_id",
                    "pixels/bin2_id",
                    "pixels/count",
                    "pixels/level",
                    "bins/weight",
                    "indexes/bin1_offset",
                ):
                    np.testing.assert_array_equal(a[name][:], b[name][:], err_msg=name)
                assert len(d["pixels/count"]) == np.count_nonzero(b["pixels/count"][:]) > 100
                assert not d["pixels/count"][:].any()


def test_difference_is_the_log_ratio_of_the_two_files(reference, tmp_path):
    genome = apply_edits(SOURCE, CASES["inversion"])
    ours = predict(reference.for_genome(genome), tmp_path / "e.mcool")
    lift_to_reference(ours, genome, tmp_path / "f.mcool", assembly="drawn1")
    # a reference at another pseudo-depth, of another part and of more levels than needed
    plain = predict(
        reference,
        tmp_path / "r.mcool",
        [Region("a", 800, 4_000), Region("b", 0, 3_000)],
        pseudo_depth=3e4,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(difference_module, "CELLS", 100)  # many rounds
        assert difference(tmp_path / "f.mcool", plain, tmp_path / "d.mcool") == tmp_path / "d.mcool"
    assert cooler.fileops.is_multires_file(str(tmp_path / "d.mcool"))
    for r in LEVELS:
        clr = cooler.Cooler(f"{tmp_path / 'd.mcool'}::resolutions/{r}")
        assert dict(clr.chromsizes) == SIZES
        assert clr.info["genome-assembly"] == "drawn1"
        assert clr.info["metadata"]["format"] == "orca-cool.diff"
        assert clr.pixels()[:]["count"].dtype == np.float32
        a, b = (
            cooler.Cooler(f"{tmp_path / f'{x}.mcool'}::resolutions/{r}").matrix(balance=True)[:]
            for x in "fr"
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = np.where((a > 0) & (b > 0), np.log(a / b), 0.0)
        wanted[np.isnan(a) | np.isnan(b)] = np.nan
        np.testing.assert_allclose(clr.matrix(balance=True)[:], wanted, atol=1e-5)
        np.testing.assert_array_equal(
            np.isfinite(dense(tmp_path / "d.mcool", r, "count")), (a > 0) & (b > 0)
        )
        np.testing.assert_array_equal(
            np.isnan(clr.bins()["weight"][:]), np.isnan(wanted).all(axis=0)
        )
        assert set(clr.bins()["weight"][:].dropna()) == {1.0}
        assert np.nanmax(np.abs(wanted)) > 0.01
    report = check_mcool(tmp_path / "d.mcool")
    assert report.valid
    assert "difference of two predictions" in next(
        r.detail for r in report.results if r.name == "metadata"
    )
    assert not report.uses


def test_cooltools_runs_on_it(reference, tmp_path):
    genome = apply_edits(SOURCE, CASES["deletion"])
    edited = predict(reference.for_genome(genome), tmp_path / "x.mcool")
    lift_to_reference(edited, genome, tmp_path / "f.mcool", assembly="drawn1")
    clr = cooler.Cooler(f"{tmp_path / 'f.mcool'}::resolutions/40")
    table = cooltools.insulation(clr, [160])
    score = table["log2_insulation_score_160"].to_numpy()
    assert np.isfinite(score).sum() > 100
    assert table["is_bad_bin"].to_numpy()[26:60].all()  # 1,013 to 2,401 is deleted
    view = bioframe.make_viewframe(SIZES)
    expected = cooltools.expected_cis(clr, view_df=view)
    assert np.isfinite(expected["balanced.avg"]).any()


def test_bins_go_where_their_middle_bases_go():
    two = apply_edits(SOURCE, CASES["two"])
    genome = EditedGenome(
        SOURCE, {**two.contigs, "x": (Segment("a", -100, 200), Segment("a", 4_700, 5_000, "-"))}
    )  # they overhang
    for r, by_chrom in lifted_bins(genome, list(SIZES), LEVELS).items():
        truth = images_of(genome, r)
        for chrom, found in by_chrom.items():
            assert len(found.copies) == n_bins(SIZES[chrom], r)
            for k in range(len(found.copies)):
                assert found.places[found.first[k] : found.first[k + 1]].tolist() == truth[chrom, k]
            first = found.only_first()
            assert [first.places[a:b].tolist() for a, b in zip(first.first, first.first[1:])] == [
                truth[chrom, k][:1] for k in range(len(found.copies))
            ]


def test_regions_of_the_reference():
    def of(changes, reach, *regions, join=False):
        genome = changes if isinstance(changes, EditedGenome) else apply_edits(SOURCE, changes)
        regions = regions or [Region(c, 0, genome.chromsizes[c]) for c in genome.edited]
        return [str(r) for r in reference_regions(genome, regions, reach, join=join)]

    assert of(CASES["deletion"], 640) == [
        "a:0-1,013",
        "a:2,401-4,810",
    ]  # further apart than any pair
    assert of(CASES["deletion"], 1_389) == ["a:0-4,810"]
    assert of(CASES["deletion"], 1_388) == ["a:0-1,013", "a:2,401-4,810"]
    assert of(CASES["deletion"], 640, Region("a", 500, 1_000)) == ["a:500-1,000"]
    assert of(CASES["translocation"], 640) == [
        "a:0-2,013",
        "a:2,013-4,810",
        "b:0-700",
        "b:700-3,000",
    ]
    assert of(CASES["translocation"], 640, join=True) == ["a:0-4,810", "b:0-3,000"]
    assert of(CASES["insertion of another chromosome"], 640) == ["a:0-4,810", "b:500-1,100"]
    assert of([Contig("x", (letters(600),))], 640) == []
    assert of(EditedGenome(SOURCE, {"x": (Segment("c", -50, 2_000),)}), 640) == ["c:0-900"]


def test_what_cannot_be_shown(reference, tmp_path):
    genome = apply_edits(SOURCE, [Contig("x", (letters(600),))])
    edited = predict(reference.for_genome(genome), tmp_path / "x.mcool", [Region("x", 0, 600)])
    with pytest.raises(EditError, match=r"x:0-600.*comes from the reference"):
        lift_to_reference(edited, genome, tmp_path / "f.mcool", assembly="drawn1")
    with pytest.raises(EditError, match=r"'median'.*mean, first"):
        lift_to_reference(edited, genome, tmp_path / "f.mcool", assembly="drawn1", copies="median")
    other = apply_edits(SOURCE, CASES["deletion"])
    with pytest.raises(CoolerError, match="another genome: a has 4810 bp there, 3422 bp here"):
        lift_to_reference(edited, other, tmp_path / "f.mcool", assembly="drawn1")
    with pytest.raises(CoolerError, match="there is no file"):
        lift_to_reference(tmp_path / "none.mcool", genome, tmp_path / "f.mcool", assembly="drawn1")
    assert not list(tmp_path.glob("f.*"))


def test_maps_that_cannot_be_compared(reference, tmp_path):
    genome = apply_edits(SOURCE, CASES["inversion"])
    a = Region("a", 0, 4_810)
    ours = predict(reference.for_genome(genome), tmp_path / "e.mcool", [a])
    lift_to_reference(ours, genome, tmp_path / "f.mcool", assembly="drawn1")
    meta = read_layer(f"{tmp_path / 'f.mcool'}::resolutions/40")[1]
    plain = predict(reference, tmp_path / "r.mcool", [a])
    require_comparable(plain, LEVELS, SIZES, meta)
    for changes, message in (
        ({"model_digest": "0"}, "model_digest"),
        ({"mode": "contact"}, "mode 'regularised', not 'contact'"),
        ({"modules": {"40": "B"}}, "40 bp of module 'S', not 'B'"),
    ):
        with pytest.raises(CoolerError, match=message):
            require_comparable(plain, LEVELS, SIZES, meta | changes)
    with pytest.raises(CoolerError, match="no resolution 320; it has: 40, 80, 160"):
        require_comparable(plain, (40, 320), SIZES, meta)
    with pytest.raises(CoolerError, match="b has 3000 bp there, 3001 bp here"):
        require_comparable(plain, LEVELS, SIZES | {"b": 3_001}, meta)
    with pytest.raises(CoolerError, match="another order: a, b, c"):
        require_comparable(plain, LEVELS, dict(reversed(SIZES.items())), meta)
    elsewhere = predict(reference, tmp_path / "b.mcool", [Region("b", 0, 3_000)])
    with pytest.raises(CoolerError, match="no pixel in common"):
        difference(tmp_path / "f.mcool", elsewhere, tmp_path / "d.mcool")
    assert not list(tmp_path.glob("*d.mcool*"))


def drawn_map(genome, path, regions, random, band, mode):
    """A map of an edited genome that no model made: any numbers, masked bins and levels; contacts
    between the first two regions too.
    """
    layers, row_blocks, trans = [], {}, {}
    longest = max(max(SIZES.values()), *genome.chromsizes.values())
    for r in (40, 80):
        masked, rows = {}, []
        for chrom, length in genome.chromsizes.items():
            n = n_bins(length, r)
            mask = np.ones(n, bool)
            for region in regions:
                if region.chrom == chrom:
                    mask[region.start // r : n_bins(region.end, r)] = (
                        random.random(n_bins(region.end, r) - region.start // r) < 0.1
                    )
                    y = random.normal(size=(n, band)).astype(np.float32)
                    y[np.arange(n)[:, None] + np.arange(band) >= n] = np.nan
                    rows.append(
                        RowBlock(
                            chrom, 0, y, (r << random.integers(0, 3, y.shape)).astype(np.int32)
                        )
                    )
            masked[chrom] = mask
        layers.append(Layer(r, random.random(n_bins(longest, r)) + 0.1, 0.05, band, 0.01, masked))
        row_blocks[r] = rows
        a, b = regions[0].chrom, regions[1].chrom
        trans[r] = [
            TransBlock(
                a,
                b,
                0,
                0,
                random.normal(size=(len(masked[a]), len(masked[b]))).astype(np.float32),
                r,
            )
        ]
    told = {"regions": [str(x) for x in regions], "model": "none", "assembly": genome.name}
    write_expected(
        path, layers, dict(genome.chromsizes), whole_chromosomes(dict(genome.chromsizes)), mode, 1e5
    )
    write_mcool(
        path,
        chromsizes=dict(genome.chromsizes),
        assembly=genome.name,
        layers=layers,
        row_blocks=row_blocks.__getitem__,
        trans=trans.__getitem__,
        metadata=told,
        mode=mode,
    )
    return path


place = st.integers(0, 480)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(place, min_size=2, max_size=6, unique=True),
    st.lists(st.sampled_from(["del", "inv", "dup", "idup", "sub", "own"]), min_size=3, max_size=3),
    st.sampled_from([10, 7]),
    st.integers(1, 20),
    st.sampled_from(["mean", "first"]),
    st.sampled_from([None, 60]),
    st.sampled_from(["regularised", "contact"]),
    st.integers(0, 2**32 - 1),
)
def test_any_edits_any_map(tmp_path_factory, places, kinds, unit, band, copies, cells, mode, seed):
    sequences = {
        "sub": (letters(133),),
        "own": (Segment("a", 300, 900, "-"), Segment("", 0, 70), Segment("c", 0, 333)),
    }
    places = sorted(places)
    changes = [
        Edit(
            {"idup": "dup", "own": "sub"}.get(kind, kind),
            "a",
            p * unit,
            q * unit,
            3,
            kind == "idup",
            sequences.get(kind, ()),
        )
        for kind, p, q in zip(kinds, places[::2], places[1::2])
    ]
    genome = apply_edits(SOURCE, changes)
    regions = [Region("a", 0, genome.chromsizes["a"]), Region("b", 0, 3_000)]
    folder = tmp_path_factory.mktemp("any")
    edited = drawn_map(genome, folder / "e.mcool", regions, np.random.default_rng(seed), band, mode)
    with pytest.MonkeyPatch.context() as patch:
        if cells:  # rows a few at a time, blocks of a few rows, all of them dropped again and again
            patch.setattr(lift, "CELLS", cells)
            patch.setattr(lift, "BLOCKS", 2)
        lift_to_reference(edited, genome, folder / "f.mcool", assembly="drawn1", copies=copies)
    assert_has_the_oracles_numbers(folder / "f.mcool", edited, genome, copies)


def assert_has_the_oracles_numbers(lifted, edited, genome, copies):
    for r in (40, 80):
        values, levels, masked = oracle(edited, genome, r, copies)
        np.testing.assert_allclose(dense(lifted, r, "count"), 1e5 * values, rtol=1e-6)
        np.testing.assert_array_equal(dense(lifted, r, "level"), levels)
        np.testing.assert_array_equal(
            np.isnan(cooler.Cooler(f"{lifted}::resolutions/{r}").bins()["weight"][:]), masked
        )


def test_pairs_on_two_contigs_have_no_pixel(tmp_path):
    """Though the two contigs are neighbours in the file, and it has contacts between them."""
    genome = apply_edits(SOURCE, [Adjacency(Breakend("b", 1_500, "+"), Breakend("c", 450, "-"))])
    regions = [Region(c, 0, genome.chromsizes[c]) for c in ("der_b", "der_c")]
    edited = drawn_map(
        genome, tmp_path / "e.mcool", regions, np.random.default_rng(1), 30, "regularised"
    )
    # the last bin of der_b and the first one of der_c, which are the ends of c
    assert genome.chromsizes == {"a": 4_810, "der_b": 1_950, "der_c": 1_950}
    n = n_bins(4_810, 40) + n_bins(1_950, 40)
    assert np.isfinite(dense(edited, 40, "count")[n - 1, n])
    lift_to_reference(edited, genome, tmp_path / "f.mcool", assembly="drawn1")
    assert_has_the_oracles_numbers(tmp_path / "f.mcool", edited, genome, "mean")
    c = cooler.Cooler(f"{tmp_path / 'f.mcool'}::resolutions/40").extent("c")
    found = np.isfinite(dense(tmp_path / "f.mcool", 40, "count"))[slice(*c), slice(*c)]
    assert found[:11, :11].any()
    assert found[11:, 11:].any()
    assert not found[:11, 11:].any()
