"""From FASTA to .mcool with a toy model: windows, whole files, regions, resume, zoom series,
contacts between chromosomes.
"""

import json

import cooler
import cooltools.lib.io
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_toy_expected, make_toy_model
from reference.plain import one_strand

from orca_cool.errors import DeviceError, ModelError, OutputError, RegionError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.open import open_genome
from orca_cool.genome.regions import Region
from orca_cool.genome.source import one_hot, reverse_complement
from orca_cool.maps.coolfile import read_log_ratio
from orca_cool.model.cascade import flip_map, mirror
from orca_cool.prediction import to_file as pipeline
from orca_cool.prediction.device import resolve_device
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.to_file import predict_to_file
from orca_cool.prediction.windows import by_root, concatenated_chromosomes, plan
from orca_cool.prediction.zoom_files import zoom_to_files

SIZES = {"a": 6010, "b": 4300, "c": 900}


@pytest.fixture
def genome(tmp_path):
    rng = np.random.default_rng(3)
    path = tmp_path / "toy.fa"
    with open(path, "w") as out:
        for name, size in SIZES.items():
            letters = rng.choice(list("ACGTacgtR"), size, p=[0.12] * 8 + [0.04])
            if name == "b":
                letters[1000:1400] = "N"
            out.write(f">{name}\n" + "".join(letters) + "\n")
    return open_genome(path)


@pytest.fixture
def engine(toy_bundle, genome):
    return make_engine(toy_bundle, genome, "cpu")


def settings(**changes):
    return Settings(**({"resolutions": (40, 80, 160)} | changes))


def everything(source):
    return [Region(c, 0, n) for c, n in source.chromsizes.items()]


def write(engine, path, regions=None, force=False, progress=None, **changes):
    regions = everything(engine.source) if regions is None else regions
    return predict_to_file(
        engine,
        regions,
        settings(**changes),
        path,
        assembly="toy",
        provenance={},
        force=force,
        progress=progress,
    )


def datasets(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def same(one, two):
    a, b = datasets(one), datasets(two)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_windows_equal_the_plain_networks(engine, genome):
    """Block-wise encodings and shared parents change nothing: each window as the networks give it
    on N-padded sequence.
    """
    spec, model = engine.spec, engine.model
    module = spec.module("S")
    root = by_root(plan(SIZES["a"], module.resolutions, spec.bins))[2]
    top = root[0][0].start * 160
    pad = 4000
    codes = genome.fetch("a", top - pad, top + 2560 + pad)
    distances = {
        r: torch.from_numpy(
            np.log(engine.expected(module).expected_matrix(r, 16)).astype(np.float32)
        )[None, None]
        for r in module.resolutions
    }
    with torch.inference_mode():
        forward = model.encoder(one_hot(codes)[None])[..., pad // 40 : -pad // 40]
        reverse = model.encoder(one_hot(reverse_complement(codes))[None])[
            ..., pad // 40 : -pad // 40
        ]
        found = {
            (m.window.resolution, m.window.start): m for m in engine.windows(module, "a", root)
        }
        assert len(found) == sum(len(level) for level in root)
        for fine in root[2]:
            middle = next(w for w in root[1] if w.start == fine.parent)
            starts = {
                160: 0,
                80: middle.start - root[0][0].start * 2,
                40: fine.start - root[0][0].start * 4,
            }
            one = one_strand(model, module, forward, distances, starts)
            two = one_strand(model, module, reverse, distances, mirror(starts, 16, 16))
            for r, w in ((160, root[0][0]), (80, middle), (40, fine)):
                expected = 0.5 * (one[r] + flip_map(two[r]))[0, 0].numpy()
                got = found[r, w.start]
                np.testing.assert_allclose(got.values, expected, atol=1e-4)
                np.testing.assert_allclose(
                    got.strand_difference,
                    0.5 * (one[r] - flip_map(two[r])).abs()[0, 0].numpy(),
                    atol=1e-4,
                )


def test_every_block_is_encoded_once(engine, tmp_path):
    write(engine, tmp_path / "x.mcool")
    blocks = sum(-(-(n + 400) // 1600) for n in SIZES.values())
    assert engine.encoded_bp <= 1600 * (2 * (blocks + len(SIZES)) + 2)


def test_file_holds_the_prediction(engine, tmp_path):
    path = tmp_path / "x.mcool"
    paths = write(engine, path, strand_difference=True)
    assert [p.name for p in paths] == [
        "x.mcool",
        "x.expected.40.tsv",
        "x.expected.80.tsv",
        "x.expected.160.tsv",
    ]
    assert not (tmp_path / "x.mcool.partial").exists()
    assert cooler.fileops.list_coolers(str(path)) == [
        "/resolutions/40",
        "/resolutions/80",
        "/resolutions/160",
    ]
    # chromosome c (900 bp) fits one window of the finest three levels only partly: level 80 is one
    # window, 1280 bp
    root = by_root(plan(SIZES["c"], (160, 80, 40), 16))[0]
    maps = {
        m.window.resolution: m
        for m in engine.windows(engine.spec.module("S"), "c", root)
        if m.window.start == 0
    }
    clr = cooler.Cooler(f"{path}::resolutions/80")
    y = read_log_ratio(f"{path}::resolutions/80", "c")
    np.testing.assert_allclose(y, maps[80].values[: len(y), : len(y)], atol=2e-6)
    table = cooltools.lib.io.read_expected_from_file(
        str(tmp_path / "x.expected.80.tsv"), expected_value_cols=["balanced.avg"], verify_cooler=clr
    )
    expected = table[table.region1 == "c"].sort_values("dist")["balanced.avg"].to_numpy()
    balanced = clr.matrix(balance=True).fetch("c")
    d = np.abs(np.subtract.outer(np.arange(len(y)), np.arange(len(y))))
    np.testing.assert_allclose(np.log(balanced / expected[d]), y, atol=2e-6)
    pixels = clr.pixels()[:]
    assert set(pixels) >= {"level", "strand_difference"}
    assert set(pixels.level) == {80, 160} or set(pixels.level) == {80}
    masked = cooler.Cooler(f"{path}::resolutions/40").bins().fetch("b").weight.isna().to_numpy()
    np.testing.assert_array_equal(np.flatnonzero(masked), np.arange(25, 35))
    meta = clr.info["metadata"]
    assert (meta["model"], meta["model_digest"], meta["mode"]) == (
        "toy",
        engine.digest,
        "regularised",
    )


def test_region_is_the_slice_of_the_whole(engine, tmp_path):
    write(engine, tmp_path / "whole.mcool", fill_distance=1600)
    region = Region("a", 1990, 4555)
    write(engine, tmp_path / "part.mcool", [region], fill_distance=1600)
    for r in (40, 80, 160):
        whole, part = (
            read_log_ratio(f"{tmp_path / n}.mcool::resolutions/{r}", ("a", 1990, 4555))
            for n in ("whole", "part")
        )
        assert np.isfinite(part).any()
        np.testing.assert_allclose(part, whole, atol=1e-6)
        outside = (
            cooler.Cooler(f"{tmp_path / 'part.mcool'}::resolutions/{r}")
            .bins()
            .fetch(("a", 0, 1980 // r * r - r))
        )
        assert outside.weight.isna().all()


def test_two_regions_may_share_a_coarse_bin(engine, tmp_path):
    write(engine, tmp_path / "x.mcool", [Region("a", 0, 2000), Region("a", 2000, 4000)])
    pixels = cooler.Cooler(f"{tmp_path / 'x.mcool'}::resolutions/160").pixels()[:]
    assert not pixels.duplicated(["bin1_id", "bin2_id"]).any()
    with pytest.raises(RegionError, match=r"a:0-2,000 and a:1,999-4,000 overlap"):
        write(engine, tmp_path / "y.mcool", [Region("a", 1999, 4000), Region("a", 0, 2000)])


class Killed(BaseException):
    """Stands for kill -9: nothing may catch it."""


@pytest.mark.parametrize("after", [1, 9, 30, 60])
def test_resumed_file_is_the_same(engine, tmp_path, after):
    write(
        engine,
        tmp_path / "one.mcool",
        modules=("S", "G"),
        trans=True,
        strand_difference=True,
        resolutions=(40, 80, 160, 320, 640),
    )

    def kill(done, total):
        if done == after:
            raise Killed

    choice = {
        "modules": ("S", "G"),
        "trans": True,
        "strand_difference": True,
        "resolutions": (40, 80, 160, 320, 640),
    }
    with pytest.raises(Killed):
        write(engine, tmp_path / "two.mcool", progress=kill, **choice)
    assert not (tmp_path / "two.mcool").exists()
    seen = []
    write(
        engine,
        tmp_path / "two.mcool",
        progress=lambda done, total: seen.append((done, total)),
        **choice,
    )
    if after >= 30:
        assert seen[0][0] > 0  # it went on, it did not start over
    assert seen[-1][0] == seen[-1][1]
    same(tmp_path / "one.mcool", tmp_path / "two.mcool")


def test_unfinished_work_of_other_settings_is_refused(engine, tmp_path):
    def kill(done, total):
        if done == 40:
            raise Killed

    with pytest.raises(Killed):
        write(engine, tmp_path / "x.mcool", progress=kill)
    with pytest.raises(OutputError, match="fill_distance None, not 900"):
        write(engine, tmp_path / "x.mcool", fill_distance=900)
    write(engine, tmp_path / "x.mcool", fill_distance=900, force=True)


def test_levels_of_two_modules_are_one_chain(engine, tmp_path):
    path = tmp_path / "x.mcool"
    write(engine, path, resolutions=(40, 80, 160, 320, 640), fill_distance=3000)
    used = set()
    for r in (40, 80, 160, 320, 640):
        clr = cooler.Cooler(f"{path}::resolutions/{r}")
        assert clr.info["metadata"]["modules"][str(r)] == ("G" if r > 160 else "S")
        used |= set(clr.pixels()[:].level)
        y = read_log_ratio(f"{path}::resolutions/{r}", "a")
        d = np.abs(np.subtract.outer(np.arange(len(y)), np.arange(len(y))))
        assert np.isfinite(y[d * r < 2900]).all()
    assert used == {40, 80, 160, 320, 640}


def test_only_coarse_levels_run_only_their_module(engine, tmp_path, monkeypatch):
    seen, decoded, decode = [], set(), engine.cascade.decode
    monkeypatch.setattr(
        engine.cascade,
        "decode",
        lambda module, r, *rest: decoded.add((module.name, r)) or decode(module, r, *rest),
    )
    write(engine, tmp_path / "x.mcool", resolutions=(640,), progress=lambda d, t: seen.append(t))
    assert set(seen) == {3}  # one window for each chromosome
    assert decoded == {("G", 640)}


def test_trans_blocks_lie_where_they_belong(engine, tmp_path):
    path = tmp_path / "x.mcool"
    paths = write(engine, path, resolutions=(640,), trans=True)
    assert tmp_path / "x.expected-trans.640.tsv" in paths
    module = engine.spec.module("G")
    pairs = pipeline.plan_trans(SIZES, 10_240, 640)
    assert len(pairs) > 3  # a and b do not fit one layout whole
    clr = cooler.Cooler(f"{path}::resolutions/640")
    background = engine.expected(module)
    eps = background.eps(640, 16)
    for a, b in pairs:
        y = engine.trans(module, a, b)[0]
        got = clr.matrix(balance=True).fetch(a.chrom, b.chrom)[
            a.start // 640 : a.end // 640, b.start // 640 : b.end // 640
        ]
        np.testing.assert_allclose(got, np.exp(y) * (background.trans + eps), rtol=1e-5)
    table = pd.read_csv(tmp_path / "x.expected-trans.640.tsv", sep="\t")
    np.testing.assert_allclose(table["balanced.avg"], background.trans + eps)


def test_series_is_the_plain_zoom_of_its_own_window(engine, genome, tmp_path):
    module, model = engine.spec.module("S"), engine.model
    maps = engine.zoom(module, "a", 3001)
    origin = 3001 - 1280
    assert [(m.resolution, m.start) for m in maps] == [
        (160, origin),
        (80, origin + 4 * 160),
        (40, origin + 4 * 160 + 4 * 80),
    ]
    codes = genome.fetch("a", origin, origin + 2560)
    starts = {160: 0, 80: 8, 40: 24}
    distances = {
        r: torch.from_numpy(
            np.log(engine.expected(module).expected_matrix(r, 16)).astype(np.float32)
        )[None, None]
        for r in starts
    }
    with torch.inference_mode():
        one = one_strand(model, module, model.encoder(one_hot(codes)[None]), distances, starts)
        two = one_strand(
            model,
            module,
            model.encoder(one_hot(reverse_complement(codes))[None]),
            distances,
            mirror(starts, 16, 16),
        )
    for m in maps:
        np.testing.assert_allclose(
            m.values,
            0.5 * (one[m.resolution] + flip_map(two[m.resolution]))[0, 0].numpy(),
            atol=1e-4,
        )
    paths = zoom_to_files(
        engine,
        engine.spec.module("S"),
        maps,
        settings(),
        tmp_path / "s.mcool",
        assembly="toy",
        provenance={"at": 3001},
    )
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        for m in maps:
            label = engine.spec.label(m.resolution)
            np.testing.assert_array_equal(arrays[f"prediction_{label}"], m.values)
            assert arrays[f"region_{label}"].tolist() == [m.start, m.end]
        assert json.loads(str(arrays["metadata"]))["at"] == 3001
    contig = f"a_{origin}_{origin + 2560}"
    for m in maps:
        y = read_log_ratio(
            f"{tmp_path / 's.mcool'}::resolutions/{m.resolution}",
            (contig, m.start - origin, m.end - origin),
        )
        np.testing.assert_allclose(y, m.values, atol=2e-6)
    names = [*(f"s.expected.{m.resolution}.tsv" for m in reversed(maps)), "s.view.bed"]
    assert [p.name for p in paths] == ["s.mcool", "s.npz", *names]


def test_aligned_series_lies_on_the_chromosome(engine, tmp_path):
    maps = engine.zoom(engine.spec.module("S"), "a", 1280 + 1600)
    zoom_to_files(
        engine,
        engine.spec.module("S"),
        maps,
        settings(),
        tmp_path / "s.mcool",
        assembly="toy",
        provenance={},
    )
    top = maps[0]
    y = read_log_ratio(f"{tmp_path / 's.mcool'}::resolutions/160", ("a", top.start, top.end))
    np.testing.assert_allclose(y, top.values, atol=2e-6)


def test_series_in_an_assembly_module(engine, tmp_path):
    maps = engine.zoom(engine.spec.module("G"), "b", 2000)
    assert [m.resolution for m in maps] == [640, 320, 160]
    assert maps[1].start == 0  # kept inside the chromosome where it fits, else at its start
    assert all(np.isfinite(m.values).all() for m in maps)
    module = engine.spec.module("G")
    zoom_to_files(
        engine,
        module,
        maps,
        settings(resolutions=(160, 320, 640)),
        tmp_path / "g.mcool",
        assembly="toy",
        provenance={},
    )
    for m in maps:  # what lies in the padding chromosome is not in the file
        y = read_log_ratio(f"{tmp_path / 'g.mcool'}::resolutions/{m.resolution}", "b")
        first = m.start // m.resolution
        n = min(16, len(y) - first)
        inside = np.isfinite(y[first : first + n, first : first + n])
        np.testing.assert_allclose(
            y[first : first + n, first : first + n][inside], m.values[:n, :n][inside], atol=2e-6
        )
        assert inside.mean() > 0.6


def test_series_in_an_assembly_module_is_the_plain_zoom(engine, genome):
    """As the released program has it: on the reverse strand the background of the mirrored window,
    flipped.
    """
    module, model = engine.spec.module("G"), engine.model
    background, window = engine.expected(module), 16 * 640
    maps = engine.zoom(module, "b", 2000)
    pieces = concatenated_chromosomes("b", genome.chromsizes, window, background.resolution)
    assert len(pieces) > 1
    starts = {m.resolution: m.start // m.resolution for m in maps}
    mirrored = mirror(starts, 16, 16)
    assert mirrored != starts
    plain = [(s.chrom, s.start, s.end, s.strand) for s in pieces]

    def distances(where):
        logs = {
            r: np.log(background.assembled(r, plain, s * r, 16)).astype(np.float32)
            for r, s in where.items()
        }
        return {r: torch.from_numpy(y)[None, None] for r, y in logs.items()}

    source = EditedGenome(genome, {"layout": pieces})
    codes = source.fetch("layout", 0, window)
    with torch.inference_mode():
        one = one_strand(
            model, module, model.encoder(one_hot(codes)[None]), distances(starts), starts
        )
        flipped = {r: flip_map(d) for r, d in distances(mirrored).items()}
        two = one_strand(
            model,
            module,
            model.encoder(one_hot(reverse_complement(codes))[None]),
            flipped,
            mirrored,
        )
    for m in maps:
        np.testing.assert_allclose(
            m.values,
            0.5 * (one[m.resolution] + flip_map(two[m.resolution]))[0, 0].numpy(),
            atol=1e-4,
        )
        np.testing.assert_allclose(
            m.expected, background.assembled(m.resolution, plain, m.start, 16)
        )


def test_bfloat16_is_close_and_not_the_same(toy_bundle, genome):
    root = by_root(plan(SIZES["a"], (160, 80, 40), 16))[0]
    module = toy_bundle.spec.module("S")
    exact = [m.values for m in make_engine(toy_bundle, genome, "cpu").windows(module, "a", root)]
    rough = [
        m.values
        for m in make_engine(toy_bundle, genome, "cpu", "bfloat16").windows(module, "a", root)
    ]
    a, b = np.stack(exact), np.stack(rough)
    assert not np.array_equal(a, b)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.999


def test_unusable_choices_are_named(engine, tmp_path):
    with pytest.raises(DeviceError, match="cuda:99"):
        resolve_device("cuda:99")
    with pytest.raises(DeviceError, match="tpu7"):
        resolve_device("tpu7")
    with pytest.raises(ModelError, match="leave --trans out"):
        write(engine, tmp_path / "x.mcool", trans=True)
    with pytest.raises(ModelError, match="resolution 50"):
        write(engine, tmp_path / "x.mcool", resolutions=(50,))
    (tmp_path / "there.mcool").write_text("mine")
    with pytest.raises(OutputError, match=r"there\.mcool exists"):
        write(engine, tmp_path / "there.mcool")
    assert (tmp_path / "there.mcool").read_text() == "mine"
    with pytest.raises(OutputError, match="does not exist"):
        write(engine, tmp_path / "nowhere" / "x.mcool")


def test_no_space_left_is_said_and_nothing_is_half_written(engine, tmp_path, monkeypatch):
    class Usage:
        free = 1000

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.shutil, "disk_usage", lambda path: Usage)
        with pytest.raises(OutputError, match="No space left"):
            write(engine, tmp_path / "x.mcool")
    before = sorted(p.name for p in tmp_path.iterdir())
    real = np.savez
    count = []

    def full(stream, **arrays):
        count.append(1)
        if len(count) > 6:
            raise OSError(28, "No space left on device")
        real(stream, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(OutputError, match="No space left"):
            write(engine, tmp_path / "x.mcool")
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".partial") == before
    write(engine, tmp_path / "x.mcool")  # and it goes on


def test_model_is_not_changed_by_its_toy(toy_bundle):
    """The fixture's weights are those of conftest: what other tests compare with."""
    fresh = make_toy_model(toy_bundle.spec).state_dict()
    assert all(
        torch.equal(v, fresh[k])
        for k, v in toy_bundle.model.state_dict().items()
        if not k.endswith("num_batches_tracked")
    )
    assert make_toy_expected().keys() == toy_bundle.expected_tables.keys()
