"""Modules that read several chromosomes, with ``placement: centred``: a chromosome and its reverse
complement have one map, within it and with others, and an edit leaves all places as they are.
"""

import cooler
import numpy as np
import pytest
import torch
from conftest import Chromosomes, make_toy_expected, make_toy_model, make_toy_spec
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.plain import one_strand

from orca_cool.errors import ModelError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.regions import Region, n_bins
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import one_hot, reverse_complement
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.end_to_end import input_of, input_of_pair, mirrored, turned
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.estimate import windows_of
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.plan import costs
from orca_cool.prediction.region import RegionMaps
from orca_cool.prediction.to_file import predict_to_file, prepare
from orca_cool.prediction.windows import Window, by_root, centred_grid, plan, plan_trans
from orca_cool.variants import parse_edits

TOP, BINS, UNIT = 640, 16, 160
LEVELS = (640, 320, 160)
WINDOW = TOP * BINS


def drawn(length, seed):
    return np.random.default_rng(seed).integers(0, 4, length).astype(np.uint8)


def genome(**bp):
    return Chromosomes(**{c: drawn(n, k) for k, (c, n) in enumerate(bp.items())})


def with_turned(source, chrom):
    """The genome in which a chromosome is its own reverse complement."""
    return Chromosomes(**(source.codes | {chrom: reverse_complement(source.codes[chrom])}))


def bundle_of(folder, placement, **changes):
    several = tuple(m for m in make_toy_spec().modules if m.multi_chromosome)
    spec = make_toy_spec(placement=placement, modules=several, base_decoder=None, **changes)
    model = make_toy_model(spec)
    return load_bundle(save_bundle(folder / placement, model, make_toy_expected(spec)))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return bundle_of(tmp_path_factory.mktemp("models"), "centred")


def largest_difference(bundle, source, chrom, r):
    """Between a chromosome's map and the flipped one of its reverse complement."""
    one, other = (
        RegionMaps(make_engine(bundle, g, "cpu"))
        .predict(Region(chrom, 0, g.chromsizes[chrom]), r, fill=True)
        .values
        for g in (source, with_turned(source, chrom))
    )
    assert np.isfinite(np.diag(one)).all()
    assert np.nanstd(one) > 1e-2
    np.testing.assert_array_equal(np.isfinite(one), np.isfinite(other[::-1, ::-1]))
    return np.nanmax(np.abs(one - other[::-1, ::-1]))


@pytest.mark.parametrize("bins_at_top", [3, 7, 11, 16, 21])
def test_a_chromosome_and_its_reverse_complement_have_one_map(bundle, bins_at_top):
    """Shorter than the window of every level, of one, of none, as long as the top, longer."""
    source = genome(c=bins_at_top * TOP, d=2_222, o=3_333)
    for r in LEVELS:
        assert largest_difference(bundle, source, "c", r) < 2e-5


def test_the_other_placement_is_not_symmetric(tmp_path):
    source = genome(c=7 * TOP, d=2_222, o=3_333)
    assert largest_difference(bundle_of(tmp_path, "start"), source, "c", TOP) > 1e-2


@pytest.mark.parametrize("sizes", [(5, 4), (13, 9)], ids=["whole", "cut"])
def test_contacts_between_chromosomes_turn_with_each_of_them(bundle, sizes):
    """Of two that fit the window together, and of two that are cut into stretches."""
    source = genome(c=sizes[0] * TOP, d=sizes[1] * TOP, o=3_333)
    module = bundle.spec.module("G")

    def between(g):
        engine, c, d = make_engine(bundle, g, "cpu"), *sizes
        values, spread = np.full((2, c, d), np.nan, np.float32)
        lengths = {n: g.chromsizes[n] for n in "cd"}
        for a, b in plan_trans(lengths, WINDOW, TOP, lengths):
            at = np.s_[a.start // TOP : a.end // TOP, b.start // TOP : b.end // TOP]
            values[at], spread[at] = engine.trans(module, a, b)
        return values, spread

    for one, rows, columns in zip(
        between(source), between(with_turned(source, "c")), between(with_turned(source, "d"))
    ):
        assert np.std(one) > 1e-3
        np.testing.assert_allclose(rows[::-1], one, atol=2e-5)
        np.testing.assert_allclose(columns[:, ::-1], one, atol=2e-5)


def test_it_is_the_mean_of_the_plain_networks_on_both_inputs(bundle):
    """Of [c, others] and [rc(c), others], whose windows and pixels are laid out here by hand."""
    n = 12  # bins of c at the top: it is longer than the windows of both finer levels
    source = genome(c=n * TOP, o=3_333)
    module, model = bundle.spec.module("G"), bundle.model
    expected = bundle.expected(module)
    starts = {640: 0, 320: 6, 160: 22}
    other = {640: 0, 320: 2 * n - 6 - BINS, 160: 4 * n - 22 - BINS}
    layouts = {
        "+": np.concatenate([source.codes["c"], source.codes["o"]])[:WINDOW],
        "-": np.concatenate([reverse_complement(source.codes["c"]), source.codes["o"]])[:WINDOW],
    }
    rest = (WINDOW - n * TOP) // UNIT * UNIT
    maps = {}
    for strand, where in (("+", starts), ("-", other)):
        pieces = [("c", 0, n * TOP, strand), ("o", 0, rest, "+")]
        distances = {
            r: torch.from_numpy(
                np.log(expected.assembled(r, pieces, s * r, BINS)).astype(np.float32)
            )[None, None]
            for r, s in where.items()
        }
        with torch.inference_mode():
            base = model.encoder(one_hot(layouts[strand])[None])
            maps[strand] = one_strand(model, module, base, distances, where)
    back = {r: np.arange(BINS)[::-1] for r in LEVELS}
    back[640] = np.r_[np.arange(n)[::-1], n:BINS]
    engine = make_engine(bundle, source, "cpu")
    (zoom,) = engine.decode_zooms(module, [engine.encode_zoom(module, "c", 4_800)])
    assert {m.resolution: m.start // m.resolution for m in zoom} == starts
    for m in zoom:
        one, two = (maps[s][m.resolution][0, 0].numpy() for s in "+-")
        two = two[np.ix_(back[m.resolution], back[m.resolution])]
        np.testing.assert_allclose(m.values, 0.5 * (one + two), atol=1e-4)
        np.testing.assert_allclose(m.strand_difference, 0.5 * abs(one - two), atol=1e-4)


def test_a_file_holds_the_same_pixels(bundle, tmp_path):
    source = genome(c=11 * TOP, d=2_222)
    engine = make_engine(bundle, source, "cpu")
    regions = [Region(c, 0, n) for c, n in source.chromsizes.items()]
    wanted = Settings(LEVELS[::-1], trans=True)
    predict_to_file(engine, regions, wanted, tmp_path / "x.mcool", assembly="drawn", provenance={})
    for r in LEVELS:
        m = RegionMaps(engine).predict(regions[0], r)
        file = cooler.Cooler(f"{tmp_path / 'x.mcool'}::resolutions/{r}")
        known = np.isfinite(m.values)
        assert known.mean() > 0.3
        written = file.matrix(balance=True).fetch("c")
        np.testing.assert_allclose(written[known], m.frequency[known], rtol=1e-5)


def test_runs_of_the_two_placements_are_not_continued_by_each_other(bundle, tmp_path):
    """Their weights, hence the digest in the file, may be the same."""
    source = genome(c=7 * TOP, d=2_222)
    start = bundle_of(tmp_path, "start")
    assert start.digest == bundle.digest
    one, other = (
        prepare(
            make_engine(b, source, "cpu"),
            [Region("c", 0, 7 * TOP)],
            Settings(LEVELS),
            assembly="drawn",
            provenance={},
        ).identity
        for b in (bundle, start)
    )
    assert one != other
    assert one | {"placement": None} == other | {"placement": None}


def test_the_forward_strand_alone_is_that_of_both(bundle):
    """Of a short chromosome and of a long one, and the other is not even encoded. Encodings are the
    same bit for bit, maps to rounding: alone, a strand is decoded in a smaller batch.
    """
    source, module = genome(c=7 * TOP, d=21 * TOP), bundle.spec.module("G")
    both, alone = (make_engine(bundle, source, "cpu") for _ in range(2))
    for chrom, start in (("c", 0), ("d", 5 * TOP)):
        window = Window(TOP, start // TOP, None, start // TOP)
        one, two = (
            e.root(module, chrom, start, only) for e, only in ((both, False), (alone, True))
        )
        ((forward, reverse),) = both.decode_windows([(one, window, None)])
        ((found,),) = alone.decode_windows([(two, window, None)])
        for r, y in one.strands[0].items():
            assert torch.equal(two.strands[0][r], y)
        np.testing.assert_allclose(found.numpy(), forward.numpy(), atol=1e-5)
        assert (found - reverse).abs().max() > 1e-2
        assert len(one.turned) == len(one.segments)
        assert two.forward_only
        assert two.turned is None
    assert alone.encoded_bp < both.encoded_bp


@pytest.mark.parametrize(("placement", "inputs"), [("centred", 2), ("start", 1)])
def test_estimates_count_the_inputs_of_a_pair(tmp_path, monkeypatch, placement, inputs):
    """Windows by which time is told are those that the networks decode, both strands of each."""
    source, toy = genome(c=5 * TOP, d=4 * TOP), bundle_of(tmp_path, placement)
    engine = make_engine(toy, source, "cpu")
    regions = [Region(c, 0, n) for c, n in source.chromsizes.items()]
    wanted = Settings((TOP,), trans=True)
    work = prepare(engine, regions, wanted, assembly="drawn", provenance={})
    decoded, decode = [], engine.decoder.decode

    def counted(module, resolution, windows):
        decoded.extend(windows)
        return decode(module, resolution, windows)

    monkeypatch.setattr(engine.decoder, "decode", counted)
    for step in work.steps:
        if step.pair is None:
            list(engine.windows(step.module, step.region.chrom, step.levels))
        else:
            engine.trans(step.module, *step.pair)
    assert 2 * windows_of(work)["G", TOP] == len(decoded) == 2 * (2 + inputs)
    of_c, of_d, of_pair = costs(toy.spec, work.steps)
    assert of_c == of_d
    assert of_pair == inputs * of_c
    assert len(work) == 3


def test_an_edit_leaves_everything_in_its_place(bundle):
    """Of a chromosome that becomes shorter, the windows stay, and what follows it in the input."""
    source = genome(c=7 * TOP, d=2_222, o=3_333)
    edited = apply_edits(source, parse_edits("c:2,001-4,000 del", source))
    module, spec = bundle.spec.module("G"), bundle.spec
    before, after = (input_of(spec, g, module, UNIT, "c") for g in (source, edited))
    assert before == after
    assert [str(s) for s in before] == ["c:0-4,480(+)", "o:0-3,200(+)", "d:0-2,080(+)"]
    assert input_of(spec, source, module, UNIT, "d") == input_of(spec, edited, module, UNIT, "d")
    pairs = [plan_trans(g.chromsizes, WINDOW, TOP, source.chromsizes)[0] for g in (source, edited)]
    assert [len(pair[0]) // TOP for pair in pairs] == [7, 4]
    one, two = (input_of_pair(spec, g, module, UNIT, p) for g, p in zip((source, edited), pairs))
    assert one == two
    engine = make_engine(bundle, source, "cpu")
    strands = [e.encode_zoom(module, "c", 400).strands for e in (engine, engine.for_genome(edited))]
    same = [(a - b).abs().amax(0).numpy() < 1e-6 for a, b in zip(*strands)]
    margin, n = engine.context // 40, 7 * TOP // 40
    assert same[0][: 50 - margin].all()
    assert not same[0][50 : n - margin].all()
    for strand in same:  # what follows is the same, to the last bin
        assert strand[n + margin :].all()


def test_a_longer_edited_chromosome_is_covered(bundle):
    source = genome(c=15 * TOP, d=2_222)
    edited = apply_edits(source, parse_edits(f"c:2,000 ins {'ACGTTGCA' * 400}", source))
    assert edited.chromsizes["c"] == 20 * TOP
    maps = RegionMaps(make_engine(bundle, edited, "cpu"))
    for r in LEVELS:
        m = maps.predict(Region("c", 0, 20 * TOP), r)
        assert np.isfinite(np.diag(m.values)).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(0, 3), st.integers(-30, 30), st.sampled_from([8, 16, 50]))
def test_the_grid_is_its_own_mirror_image_and_every_window_has_one(n, depth, longer, bins):
    """Also of edited chromosomes each window lies in the chromosome's place or begins with it."""
    top = 8 * 2**depth
    length, edited = n * top, max(1, (n + longer) * top - 3)
    for size in (length, edited):
        for k, windows in enumerate(
            plan(size, [top // 2**k for k in range(depth + 1)], bins, centred=length, laid=True)
        ):
            r = top // 2**k
            starts = sorted({w.start for w in windows})
            assert starts == centred_grid(size, length, r, bins, top=k == 0, laid=True)
            assert starts[0] == 0
            assert starts[-1] + bins >= n_bins(size, r)
            if size == length and n_bins(length, r) > bins:
                assert starts == sorted(n_bins(length, r) - bins - s for s in starts)
            for w in windows:
                end = max(n, n_bins(size, top)) * (top // r)
                at, place = w.start - w.root * (top // r), end - w.root * (top // r)
                assert at == 0 or at + bins <= place or place >= bins * (top // r)
    for root in by_root(plan(length, [top], bins, centred=length, laid=True)):
        assert all(w.root == root[0][0].start for level in root for w in level)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.data())
def test_a_window_and_its_mirror_image_hold_the_same_bins(sizes, data):
    """Bins are named by chromosome and place; two of any chromosomes are turned."""
    segments = [Segment(f"c{k}", 0, 10 * n) for k, n in enumerate(sizes)]
    which = data.draw(st.sets(st.integers(0, len(sizes) - 1)))
    there = turned(segments, *which)
    names = [(s.chrom, i) for s in segments for i in range(len(s) // 10)]
    other = [
        (s.chrom, i) for s in there for i in range(len(s) // 10)[:: 1 if s.strand == "+" else -1]
    ]
    start = data.draw(st.integers(0, len(names) - 1))
    bins = data.draw(st.integers(1, len(names) - start))
    window = names[start : start + bins]
    partly = any(0 < sum(c == f"c{k}" for c, _ in window) < sizes[k] for k in which)
    if partly and len({c for c, _ in window}) > 1:
        with pytest.raises(ModelError, match="has no mirror image"):
            mirrored(segments, there, 10, start, bins)
        return
    at, order = mirrored(segments, there, 10, start, bins)
    order = np.arange(bins)[::-1] if order is None else order
    assert [other[at + k] for k in order] == window
    np.testing.assert_array_equal(order[order], np.arange(bins))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=2, max_size=4), st.integers(-90, 90))
def test_stretches_of_pairs_are_their_own_mirror_image(lengths, longer):
    sizes = {f"c{k}": n for k, n in enumerate(lengths)}
    edited = sizes | {"c0": max(1, sizes["c0"] + longer)}
    seen = {
        (a, b): np.zeros((n_bins(edited[a], 4), n_bins(edited[b], 4)), int)
        for a in edited
        for b in edited
        if a < b
    }
    for a, b in plan_trans(edited, 256, 4, sizes):
        assert len(a) + len(b) <= 256
        seen[a.chrom, b.chrom][a.start // 4 : a.end // 4, b.start // 4 : b.end // 4] += 1
    assert all((m == 1).all() for m in seen.values())
    stretches = {(a, b) for a, b in plan_trans(sizes, 256, 4, sizes)}

    def flipped(s):
        n = n_bins(sizes[s.chrom], 4) * 4
        return Segment(s.chrom, n - s.end, n - s.start)

    assert {(flipped(a), b) for a, b in stretches} == stretches
