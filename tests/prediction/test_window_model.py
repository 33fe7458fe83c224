"""Another kind of model: one window of sequence in, its central map out, no cascade. It is planned,
written, checked, edited and served as Orca is.
"""

from __future__ import annotations

import base64

import cooler
import cooltools.lib.io
import numpy as np
import pytest
import torch
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec
from edited_genomes import Plain

from higlass_plugin.registry.tilesets import TilesetRegistry
from higlass_plugin.tiles import TILE_BINS
from orca_cool.effects.align import Reference, compare
from orca_cool.errors import GenomeError, ModelError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Edit
from orca_cool.genome.regions import Region, n_bins
from orca_cool.genome.source import reverse_complement
from orca_cool.maps.check import check_mcool
from orca_cool.maps.coolfile import read_log_ratio
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import Model, load_bundle, save_bundle
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from orca_cool.model.window_model import ENCODE
from orca_cool.prediction.engine import average, make_engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.orca_engine import OrcaEngine
from orca_cool.prediction.to_file import predict_to_file
from orca_cool.prediction.window_engine import WindowEngine
from orca_cool.prediction.windows import by_root, plan

BINS, RESOLUTION, CONTEXT = 16, 40, 200
#: "b" fits one window, "a" and "c" do not.
SIZES = {"a": 3_010, "b": 600, "c": 1_333}
SOURCE = Drawn(SIZES, ("c", 700, 790))


class Akita:
    """Random convolutions; each module has one resolution, and the context is cut off at the end.

    Parameters
    ----------
    resolutions : of the modules, the first is preferred.
    """

    digest = "0" * 64
    context = CONTEXT
    capabilities: frozenset[str] = frozenset()

    def __init__(self, *resolutions: int):
        resolutions = resolutions or (RESOLUTION,)
        modules = tuple(ModuleSpec(f"akita{r}", (r,)) for r in resolutions)
        self.spec = ModelDescription(
            "akita-like", BINS, modules, cell_type="toy cells", licence="Apache-2.0"
        )
        random = np.random.default_rng(5)
        self.filters = torch.from_numpy(random.normal(size=(6, 4, 161)) / 8).float()
        self.mixing = torch.from_numpy(random.normal(size=6)).float()

    def expected(self, module):
        return ExpectedModel(20, 0.1 / (1.0 + np.arange(400)) ** 0.9)

    def predict(self, codes):
        resolution = (codes.shape[1] - 2 * CONTEXT) // BINS
        x = torch.nn.functional.one_hot(torch.from_numpy(codes).long(), 5)[..., :4].float()
        y = torch.relu(torch.nn.functional.conv1d(x.transpose(1, 2), self.filters, padding=80))
        y = y[..., CONTEXT:-CONTEXT].unflatten(-1, (BINS, resolution)).mean(-1)
        pairs = torch.tanh(y[..., :, None] + y[..., None, :]) - torch.tanh(
            (y[..., :, None] - y[..., None, :]).abs()
        )
        return torch.einsum("c,ncij->nij", self.mixing, pairs).numpy()


def settings(*resolutions, **changes):
    return Settings(resolutions or (RESOLUTION,), **changes)


def write(engine, path, chroms=None, **changes):
    sizes = {c: n for c, n in engine.source.chromsizes.items() if c in (chroms or [c])}
    predict_to_file(
        engine,
        [Region(c, 0, n) for c, n in sizes.items()],
        settings(*sorted(engine.spec.resolutions), strand_difference=True, **changes),
        path,
        assembly="drawn",
        provenance={"made_by": "a test"},
    )
    return path


def direct(model, source, chrom, start, resolution=RESOLUTION):
    """A window's map, and half the strands' difference, without an engine."""
    size = source.chromsizes[chrom]
    first, last = start - CONTEXT, start + BINS * resolution + CONTEXT
    codes = np.full(last - first, 4, np.uint8)
    codes[max(0, -first) : min(last, size) - first] = source.fetch(
        chrom, max(0, first), min(last, size)
    )
    forward = model.predict(codes[None])[0]
    reverse = model.predict(reverse_complement(codes)[None])[0][::-1, ::-1]
    return (forward + reverse) / 2, np.abs(forward - reverse) / 2


def joined(model, source, chrom, resolution=RESOLUTION):
    """(n, n) the chromosome's map, pixel by pixel from the rules: windows a quarter apart; a
    window's weight rises over two bins from each edge that is not the chromosome's own.
    """
    n = n_bins(source.chromsizes[chrom], resolution)
    over = max(0, n - BINS + (n - BINS) % 2)
    starts = sorted({*range(0, over, BINS // 4), over})
    maps = {s: direct(model, source, chrom, s * resolution, resolution)[0] for s in starts}
    out = np.full((n, n), np.nan)
    reach = BINS - BINS // 4 + 1 - 2  # of every pair so near some window holds it, and a ramp more
    for i in range(n):
        for j in range(i, min(n, i + reach)):
            values, weights = [], []
            for s in starts:
                if s <= i and j < s + BINS:
                    left = np.inf if s == 0 else (i - s + 1) / 2
                    right = np.inf if s + BINS >= n else (s + BINS - j) / 2
                    values.append(maps[s][i - s, j - s])
                    weights.append(min(1.0, left, right))
            out[i, j] = out[j, i] = np.average(values, weights=weights)
    return out


@pytest.fixture(scope="module")
def model():
    return Akita()


@pytest.fixture(scope="module")
def engine(model):
    return make_engine(model, SOURCE)


@pytest.fixture(scope="module")
def whole(engine, tmp_path_factory):
    return write(engine, tmp_path_factory.mktemp("akita") / "x.mcool")


def test_the_file_holds_the_windows_joined(model, engine, whole):
    assert isinstance(engine, WindowEngine)
    uri = f"{whole}::resolutions/{RESOLUTION}"
    for chrom in SIZES:
        found = read_log_ratio(uri, chrom)
        wanted = joined(model, SOURCE, chrom)
        masked = cooler.Cooler(uri).bins().fetch(chrom)["weight"].isna().to_numpy()
        assert masked.sum() == {"a": 0, "b": 0, "c": 2}[chrom]  # bins that are mostly N
        wanted[masked], wanted[:, masked] = np.nan, np.nan
        np.testing.assert_allclose(found, wanted, atol=2e-6)
        assert np.isfinite(found).sum() > 200
        assert np.nanstd(found) > 0.1


def test_what_one_window_covers_is_that_windows_map(model, engine, tmp_path):
    path = write(engine, tmp_path / "b.mcool", ["b"])
    uri, n = f"{path}::resolutions/{RESOLUTION}", n_bins(SIZES["b"], RESOLUTION)
    y, difference = direct(model, SOURCE, "b", 0)
    np.testing.assert_allclose(read_log_ratio(uri, "b"), y[:n, :n], atol=2e-6)
    pixels, first = cooler.Cooler(uri).pixels()[:], cooler.Cooler(uri).offset("b")
    i, j = pixels["bin1_id"] - first, pixels["bin2_id"] - first
    assert len(pixels) == n * (n + 1) // 2
    np.testing.assert_allclose(pixels["strand_difference"], difference[i, j], atol=2e-6)
    assert difference.max() > 0.05


def test_a_window_sees_its_context(model, engine):
    """An exchanged base beyond the window changes its map; one beyond the context does not."""
    module = model.spec.modules[0]
    before = next(engine.windows(module, "a", by_root(plan(3_010, (40,), BINS))[2])).values
    end = (8 + BINS) * RESOLUTION
    for place, same in ((end + 50, False), (end + CONTEXT + 1, True)):
        edited = engine.for_genome(apply_edits(SOURCE, [Edit("inv", "a", place, place + 1)]))
        after = next(edited.windows(module, "a", by_root(plan(3_010, (40,), BINS))[2])).values
        assert np.array_equal(before, after) is same


def test_the_file_is_valid_and_cooltools_reads_its_expected(model, whole):
    report = check_mcool(str(whole))
    assert report.valid, [r for r in report.results if r.passed is False]
    clr = cooler.Cooler(f"{whole}::resolutions/{RESOLUTION}")
    table = cooltools.lib.io.read_expected_from_file(
        str(whole.with_name(f"x.expected.{RESOLUTION}.tsv")),
        expected_value_cols=["balanced.avg"],
        verify_cooler=clr,
    )
    own = model.expected(model.spec.modules[0])
    band = table[table["region1"] == "a"].sort_values("dist")["balanced.avg"].to_numpy()
    known = np.isfinite(band)
    wanted = own.by_distance(RESOLUTION, len(band)) + own.eps(RESOLUTION, BINS)
    np.testing.assert_allclose(band[known], wanted[known])
    assert known.sum() == 11
    found = clr.info["metadata"]
    assert (found["model"], found["model_digest"]) == ("akita-like", model.digest)
    assert (found["cell_type"], found["licence"]) == ("toy cells", "Apache-2.0")


def test_finer_levels_are_filled_from_coarser_ones(tmp_path):
    """Two resolutions, each predicted by itself; the fine map goes on where the coarse one
    reaches.
    """
    model = Akita(40, 160)
    path = write(make_engine(model, SOURCE, batch=2), tmp_path / "x.mcool", fill_distance=1_500)
    assert check_mcool(str(path)).valid
    for r in (40, 160):
        found, wanted = (
            read_log_ratio(f"{path}::resolutions/{r}", "a"),
            joined(model, SOURCE, "a", r),
        )
        np.testing.assert_allclose(found[:5, :5], wanted[:5, :5], atol=2e-6)
    pixels = cooler.Cooler(f"{path}::resolutions/40").pixels()[:]
    assert set(pixels["level"]) == {40, 160}
    far = pixels[(pixels["bin1_id"] == 0) & (pixels["bin2_id"] == 35)]
    assert far["level"].to_list() == [160]
    y = read_log_ratio(f"{path}::resolutions/40", "a")[0, 35]
    assert y == pytest.approx(read_log_ratio(f"{path}::resolutions/160", "a")[0, 8], abs=2e-6)


EDITS = [
    [Edit("del", "a", 1_013, 1_401)],
    [Edit("inv", "c", 100, 900)],
    [Edit("dup", "b", 130, 270)],
]


@pytest.mark.parametrize("edits", EDITS, ids=["deletion", "inversion", "duplication"])
def test_an_edited_genome_is_predicted_by_whole_windows(model, engine, tmp_path, edits):
    genome = apply_edits(SOURCE, edits)
    path = write(engine.for_genome(genome), tmp_path / "e.mcool")
    assert check_mcool(str(path)).valid
    same = write(make_engine(model, Plain(genome)), tmp_path / "p.mcool")
    (chrom,) = genome.edited
    uri = f"{path}::resolutions/{RESOLUTION}"
    found = read_log_ratio(uri, chrom)
    there = np.isfinite(found)
    assert there.any()
    np.testing.assert_allclose(found[there], joined(model, Plain(genome), chrom)[there], atol=2e-6)
    np.testing.assert_array_equal(found, read_log_ratio(f"{same}::resolutions/{RESOLUTION}", chrom))


def test_zooms_and_comparisons(model, engine):
    """Windows of any phase, and an edited genome beside its reference."""
    module = model.spec.modules[0]
    (zoom,) = engine.zoom(module, "a", 1_503)
    assert (zoom.start, zoom.end) == (1_503 - 320, 1_503 + 320)
    y, difference = direct(model, SOURCE, "a", zoom.start)
    np.testing.assert_allclose(zoom.values, y, atol=1e-6)
    np.testing.assert_allclose(zoom.strand_difference, difference, atol=1e-6)
    np.testing.assert_allclose(zoom.expected[0], model.expected(module).by_distance(40, BINS))
    genome = apply_edits(SOURCE, EDITS[0])
    ((found,),) = compare(Reference(engine, module), [genome])
    y, _ = direct(model, Plain(genome), "a", found.alternate.start)
    np.testing.assert_allclose(found.alternate.values, y, atol=1e-6)
    assert np.isfinite(found.reference.values).any()


def tile(registry, uid, *parts):
    text = ".".join(map(str, [uid, *parts]))
    found = registry.tiles([text], wait=None)[text]
    assert "error" not in found, found["error"]
    dtype = {"float16": "<f2", "float32": "<f4"}[found["dtype"]]
    values = np.frombuffer(base64.b64decode(found["dense"]), dtype)
    return values.astype(float).reshape(TILE_BINS, TILE_BINS)


def whole_axis(path, sizes):
    """log observed/expected of the first tile of the finest level, from the file."""
    out = np.full((TILE_BINS, TILE_BINS), np.nan)
    offset = 0
    for chrom, size in sizes.items():
        y = read_log_ratio(f"{path}::resolutions/{RESOLUTION}", chrom)
        at = offset // RESOLUTION
        out[at : at + len(y), at : at + len(y)] = np.where(
            np.isfinite(y), y, out[at : at + len(y), at : at + len(y)]
        )
        offset += size
    return out


def test_tiles_are_the_file(model, engine, whole, tmp_path):
    with TilesetRegistry() as registry:
        registry.add_model("akita", model, "drawn", SOURCE, "drawn")
        names = [t.name for t in registry.listed()]
        assert len(names) == 3, names  # the map, insulation, compartments; it has no profiles
        uid = next(t.uid for t in registry.listed() if t.datatype == "matrix")
        zoom = registry[uid].resolutions.index(RESOLUTION)
        wanted = whole_axis(whole, SIZES)
        found = tile(registry, uid, zoom, 0, 0, "logoe")
        both = np.isfinite(wanted)
        assert both.sum() > 1_000
        np.testing.assert_allclose(found[both], wanted[both], rtol=1e-3, atol=1e-3)
        # an edit; the windows that it leaves alone, context and all, are not predicted again
        before = registry.scheduler.computed
        view = registry.edit(["a:2,600-2,640 del"])
        found = tile(registry, view.tilesets["map"], zoom, 0, 0, "logoe")
        genome = apply_edits(SOURCE, [Edit("del", "a", 2_600, 2_640)])
        wanted = whole_axis(
            write(engine.for_genome(genome), tmp_path / "e.mcool"), genome.chromsizes
        )
        both = np.isfinite(wanted)
        np.testing.assert_allclose(found[both], wanted[both], rtol=1e-3, atol=1e-3)
        again = registry.scheduler.computed - before
        assert 0 < again < 8 < before
        assert registry.metrics()["encoded_bp_total"] > 0


class WithoutEncoder(Model):
    """A bundle that does not say that it can encode."""

    capabilities = frozenset()


@pytest.mark.parametrize("name", ["B", "S"])
def test_orca_by_whole_windows_is_orca(tmp_path, name):
    """At a module's top level both engines read the same sequence: equal to rounding."""
    spec = make_toy_spec()
    folder = save_bundle(tmp_path / "toy", make_toy_model(spec), make_toy_expected(spec))
    bundle = load_bundle(folder, modules=[name])
    plain = WithoutEncoder(
        bundle.spec, bundle.model, bundle.expected_tables, bundle.digest, bundle.path
    )
    orca, windows = make_engine(bundle, SOURCE, "cpu"), make_engine(plain, SOURCE)
    assert isinstance(orca, OrcaEngine)
    assert isinstance(windows, WindowEngine)
    assert windows.context >= orca.context > 0
    module = bundle.spec.module(name)
    top = module.resolutions[0]
    for chrom, size in SIZES.items():
        for root in by_root(plan(size, (top,), BINS)):
            (a,), (b,) = (list(e.windows(module, chrom, root)) for e in (orca, windows))
            np.testing.assert_allclose(a.values, b.values, atol=1e-5)
            np.testing.assert_allclose(a.strand_difference, b.strand_difference, atol=1e-5)
            assert a.values.std() > 0.02
    with pytest.raises(ModelError, match="no module whose top window"):
        plain.predict(np.zeros((1, 1_000), np.uint8))


def test_batches_change_nothing(model):
    module = model.spec.modules[0]
    one, many = (make_engine(model, SOURCE, batch=b) for b in (2, 64))
    requests = [
        (one.root(module, "a", w.start * 40), w, None)
        for (level,) in by_root(plan(3_010, (40,), BINS))
        for w in level
    ]
    for a, b in zip(one.decode_windows(requests), many.decode_windows(requests), strict=True):
        np.testing.assert_allclose(average(a, 0), average(b, 0), atol=1e-6)


def test_what_it_cannot_do_is_said(model, engine, tmp_path):
    with pytest.raises(ModelError, match="leave --trans out"):
        write(engine, tmp_path / "x.mcool", trans=True)
    for name, value in {"store": "x.h5", "dtype": "bfloat16", "nonsense": 1}.items():
        with pytest.raises(ModelError, match=f"{name} '?{value}'? means nothing to model 'akita"):
            make_engine(model, SOURCE, **{name: value})
    with pytest.raises(ModelError, match="'zero-padded' mean nothing"):
        engine.zoom(model.spec.modules[0], "a", 1_000, "zero-padded")
    with pytest.raises(ModelError, match="no chromatin profiles"):
        engine.profiles("a", 0, 10)
    with pytest.raises(GenomeError, match="is not an edited 'drawn'"):
        engine.for_genome(apply_edits(Drawn(SIZES, ("a", 0, 1)), EDITS[0]))
    claims = Akita()
    claims.capabilities = frozenset({ENCODE})
    with pytest.raises(ModelError, match="names the capability 'encode'"):
        make_engine(claims, SOURCE)
    several = Akita()
    modules = (ModuleSpec("wide", (40,), multi_chromosome=True),)
    several.spec = ModelDescription("wide one", BINS, modules)
    with pytest.raises(ModelError, match="'wide' of model 'wide one' reads several"):
        make_engine(several, SOURCE)
    several.spec = ModelDescription("odd", 15, model.spec.modules)
    with pytest.raises(ModelError, match="must be even, not 15"):
        make_engine(several, SOURCE)


def test_maps_of_another_shape_are_refused(engine):
    class Wrong(Akita):
        def predict(self, codes):
            return super().predict(codes)[:, :-1]

    wrong = make_engine(Wrong(), SOURCE)
    with pytest.raises(ModelError, match=r"maps of shape \(2, 15, 16\) from codes of shape"):
        next(wrong.windows(wrong.spec.modules[0], "b", by_root(plan(600, (40,), BINS))[0]))
