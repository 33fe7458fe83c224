"""Windows placed symmetrically: a chromosome and its reverse complement have one map, and an edit
leaves windows where they are.
"""

import cooler
import numpy as np
import pytest
from conftest import Chromosomes, make_toy_expected, make_toy_model, make_toy_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from orca_cool.errors import ModelError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.open import open_genome
from orca_cool.genome.regions import Region, n_bins
from orca_cool.genome.source import reverse_complement
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.registry import resolve
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.region import RegionMaps
from orca_cool.prediction.to_file import predict_to_file
from orca_cool.prediction.windows import by_root, centred_grid, centred_on, plan, ramp, reach, step
from orca_cool.variants import parse_edits

RESOLUTIONS = (160, 80, 40)
BINS = 16


def drawn(length, seed=0):
    return np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)


def centred_bundle(folder, **changes):
    spec = make_toy_spec(placement="centred", **changes)
    model = make_toy_model(spec)
    return load_bundle(save_bundle(folder / "centred", model, make_toy_expected(spec)))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """The modules that read single chromosomes: only they place windows symmetrically."""
    single = tuple(m for m in make_toy_spec().modules if not m.multi_chromosome)
    return centred_bundle(tmp_path_factory.mktemp("models"), modules=single)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(0, 159),
    st.sampled_from([8, 16, 128, 250]),
    st.integers(0, 4),
    st.integers(-30, 60),
)
def test_the_grid_is_its_own_mirror_image_and_covers(n, part, bins, depth, longer):
    """On whole bins; the grid of an edited chromosome begins with that of its reference."""
    top = 100 * 2**depth
    length = n * top - part * (top // 160)
    resolutions = [top // 2**k for k in range(depth + 1)]
    edited = max(1, length + longer * 100)
    before: list = []
    for k, (r, windows) in enumerate(
        zip(resolutions, plan(edited, resolutions, bins, centred=length))
    ):
        starts = centred_grid(length, length, r, bins, top=k == 0)
        total = n_bins(length, r)
        if length % top == 0:
            assert starts == sorted(total - bins - s for s in starts)
        assert starts[0] <= 0
        assert starts[-1] + bins >= total
        assert (np.diff(starts) <= max(2, step(bins, top=k == 0))).all()
        kept = centred_grid(edited, length, r, bins, top=k == 0)
        inside = [s for s in starts if s < n_bins(edited, r)]
        assert kept[: len(inside)] == inside
        assert kept[-1] + bins >= n_bins(edited, r)
        assert sorted({w.start for w in windows}) == kept
        for w in windows:
            if k:
                assert 2 * w.parent <= w.start
                assert w.start + bins <= 2 * (w.parent + bins)
                assert any((p.start, p.root) == (w.parent, w.root) for p in before)
        assert len({(w.start, w.root) for w in windows}) == len(windows)
        before = windows
    for root in by_root(plan(length, resolutions, bins, centred=length)):
        assert all(w.root == root[0][0].start for level in root for w in level)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5000), st.sampled_from([8, 16, 128, 250]))
def test_every_pair_within_reach_is_in_a_window(n, bins):
    starts = np.array(centred_grid(n, n, 1, bins, top=True))
    d = min(reach(bins) + ramp(bins), n) - 1
    i = np.arange(max(1, n - d))
    assert ((starts[None] <= i[:, None]) & (i[:, None] + d < starts[None] + bins)).any(1).all()


@pytest.mark.parametrize("bins_at_top", [1, 5, 6, 15, 17, 23, 40])
@pytest.mark.parametrize("fill", [False, True])
def test_a_chromosome_and_its_reverse_complement_have_one_map(bundle, bins_at_top, fill):
    """To float rounding; without a symmetric placement the maps differ by far more."""
    codes = drawn(bins_at_top * RESOLUTIONS[0])
    source = Chromosomes(a=codes, b=reverse_complement(codes))
    maps = RegionMaps(make_engine(bundle, source, "cpu"))
    for r in RESOLUTIONS:
        one, other = (
            maps.predict(Region(c, 0, len(codes)), r, fill=fill).values for c in ("a", "b")
        )
        np.testing.assert_allclose(one, other[::-1, ::-1], atol=2e-5)
        assert np.isfinite(np.diag(one)).all()
        assert bins_at_top < 5 or np.nanstd(one) > 1e-3


def test_the_other_placement_is_not_symmetric(toy_bundle):
    codes = drawn(10 * 160)
    source = Chromosomes(a=codes, b=reverse_complement(codes))
    maps = RegionMaps(make_engine(toy_bundle, source, "cpu"))
    one, other = (maps.predict(Region(c, 0, 1600), 160).values for c in ("a", "b"))
    assert np.nanmax(np.abs(one - other[::-1, ::-1])) > 1e-3


@pytest.mark.parametrize("module", ["B", "S"])
def test_symmetry_of_a_module_alone(tmp_path, module):
    """Of the one-shot module, and of the cascade."""
    spec = make_toy_spec()
    bundle = centred_bundle(tmp_path, modules=(spec.module(module),))
    for n in (7, 29):
        codes = drawn(n * 160)
        source = Chromosomes(a=codes, b=reverse_complement(codes))
        maps = RegionMaps(make_engine(bundle, source, "cpu"))
        one, other = (maps.predict(Region(c, 0, len(codes)), 40).values for c in ("a", "b"))
        np.testing.assert_allclose(one, other[::-1, ::-1], atol=2e-5)


def test_the_shipped_yeast_model_draws_both_ends_alike():
    """The first 28 bins of 8 kb of chrI, and the same sequence read from its other strand."""
    codes = open_genome("example").fetch("chrI", 0, 224_000)
    bundle = load_bundle(resolve("yeast-metaphase"))
    source = Chromosomes(c=codes, r=reverse_complement(codes))
    maps = RegionMaps(make_engine(bundle, source, "cpu"))
    one, other = (maps.predict(Region(c, 0, 224_000), 8_000).values for c in ("c", "r"))
    np.testing.assert_allclose(one, other[::-1, ::-1], atol=2e-4)
    assert np.nanstd(one) > 0.05


@pytest.mark.parametrize("length", [2_080, 2_200, 9_000])
def test_a_file_holds_the_same_pixels(bundle, tmp_path, length):
    """The streaming mosaic of a file and the pixels on demand agree to the bit."""
    source = Chromosomes(a=drawn(length))
    engine = make_engine(bundle, source, "cpu")
    predict_to_file(
        engine,
        [Region("a", 0, length)],
        Settings(RESOLUTIONS[::-1], fill_distance=length),
        tmp_path / "x.mcool",
        assembly="drawn",
        provenance={},
    )
    for r in RESOLUTIONS:
        m = RegionMaps(engine).predict(Region("a", 0, length), r, fill=True)
        file = cooler.Cooler(f"{tmp_path / 'x.mcool'}::resolutions/{r}")
        written = file.matrix(balance=True).fetch("a")
        known = np.isfinite(m.values)
        assert known.mean() > 0.3
        np.testing.assert_allclose(written[known], m.frequency[known], rtol=1e-5)


def test_an_edit_leaves_the_windows_of_its_reference(bundle):
    """A deletion at the right end of a short chromosome changes neither the windows nor what they
    read on the left; centred on its own length the chromosome would move by a bin.
    """
    source = Chromosomes(a=drawn(12 * 160))
    engine = make_engine(bundle, source, "cpu")
    genome = apply_edits(source, parse_edits("a:1,500-1,820 del", source))
    edited = engine.for_genome(genome)
    assert genome.chromsizes["a"] == 10 * 160
    assert [centred_on(bundle.spec, g, "a") for g in (source, genome)] == [12 * 160] * 2
    both = [plan(g.chromsizes["a"], RESOLUTIONS, BINS, centred=12 * 160) for g in (source, genome)]
    assert both[0] == both[1]
    assert both[1] != plan(10 * 160, RESOLUTIONS, BINS, centred=10 * 160)
    module = bundle.spec.module("S")
    zooms = [e.encode_zoom(module, "a", 400, "real") for e in (engine, edited)]
    assert zooms[0].origin == zooms[1].origin == -2 * 160
    left = (1_500 + 2 * 160 - engine.context) // 40
    assert left > 20
    for one, other in zip(zooms[0].strands, zooms[1].strands):
        same = (one - other).abs().amax(0) < 1e-6
        assert same[:left].all() if one is zooms[0].strands[0] else same[-left:].all()
        assert not same.all()


def test_an_unknown_placement_is_an_error():
    with pytest.raises(ModelError, match="placement 'left' is not known; use one of start, cent"):
        make_toy_spec(placement="left").check()


def test_the_key_is_written_only_where_it_says_something():
    assert "placement" not in make_toy_spec().to_json()
    spec = make_toy_spec(placement="centred")
    assert type(spec).from_json(spec.to_json()).placement == "centred"


@settings(max_examples=20, deadline=None)
@given(st.integers(200, 2_560), st.integers(0, 2_559))
def test_a_zoom_lies_in_the_middle(length, position):
    from orca_cool.prediction.windows import zoom_top

    origin = zoom_top(min(position, length - 1), length, 2_560, 160, length)
    left, right = -origin, origin + 2_560 - n_bins(length, 160) * 160
    assert left >= 0
    assert right >= 0
    assert abs(left - right) <= 160
