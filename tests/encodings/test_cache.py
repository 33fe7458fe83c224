"""Encodings re-used: windows, layouts and edits read what the network gives on the whole sequence,
and encode only what is new.
"""

import logging

import numpy as np
import pytest
import torch
from conftest import make_toy_model
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import plain
from stores import has

from orca_cool.encodings.cache import BlockEncoder, EncodingCache, block_encoder
from orca_cool.encodings.reuse import FineCache
from orca_cool.encodings.store import EncodingStore
from orca_cool.errors import DeviceError, ModelError
from orca_cool.genome.edited import EditedGenome
from orca_cool.genome.open import open_genome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import one_hot, reverse_complement
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.windows import by_root, plan

BASE, BLOCK, FLANK = 40, 1600, 400
SIZES = {"a": 12_030, "b": 4300, "gap": 9000}


def write_genome(path, seed=5):
    rng = np.random.default_rng(seed)
    with open(path, "w") as out:
        for name, size in SIZES.items():
            letters = rng.choice(list("ACGT"), size)
            if name == "gap":
                letters[1600:7000] = "N"
            out.write(f">{name}\n{''.join(letters)}\n")
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return open_genome(write_genome(tmp_path_factory.mktemp("genome") / "toy.fa"))


@pytest.fixture(scope="module")
def model():
    return make_toy_model()


@pytest.fixture
def cache(model, source):
    return EncodingCache(FastEncoder(model.encoder), source)


def whole(model, codes, reverse=False):
    """One pass of the plain network."""
    with torch.inference_mode():
        return model.encoder(one_hot(reverse_complement(codes) if reverse else codes)[None])[0]


def close(ours, reference):
    assert ours.shape == reference.shape
    assert float((ours - reference).abs().max() / reference.std()) < 1e-4


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("chrom", "start", "bins"),
    [("a", 0, 16), ("a", 37, 100), ("a", 290, 64), ("b", 100, 64), ("gap", 30, 150)],
)
def test_window_is_the_network_on_real_flanks(cache, model, source, chrom, start, bins, reverse):
    pad = 10 * BASE * 2
    codes = source.fetch(chrom, start * BASE - pad, (start + bins) * BASE + pad)
    close(
        cache.window(chrom, start, bins, reverse=reverse), whole(model, codes, reverse)[:, 20:-20]
    )


def test_nothing_is_encoded_twice(cache):
    cache.window("a", 0, 200)
    first = cache.encoded
    cache.window("a", 40, 160)
    assert cache.encoded == first == 5 * BLOCK
    cache.window("a", 180, 40)  # one block more
    assert cache.encoded == 6 * BLOCK


def test_unknown_sequence_is_encoded_once(model, source):
    cache = EncodingCache(FastEncoder(model.encoder), source)
    cache.window("gap", 80, 40)  # block 2 of "gap": N as far as its flanks reach
    assert cache.encoded == BLOCK
    cache.window("gap", 80, 80)  # and block 3
    cache.window("a", 400, 200)  # beyond the chromosome's end
    assert cache.encoded == BLOCK
    assert (
        BlockEncoder(FastEncoder(model.encoder), source).is_N("gap", 1) is False
    )  # its left flank shows sequence


def test_memory_is_bounded(model, source):
    cache = EncodingCache(FastEncoder(model.encoder), source, max_bytes=0)
    for start in range(0, 280, 40):
        cache.window("a", start, 40)
        assert len(cache._blocks) <= 8


segment = st.tuples(
    st.sampled_from(["a", "b", "gap"]),
    st.integers(0, 60),
    st.integers(10, 160),
    st.sampled_from("+-"),
    st.sampled_from([0, 0, 13]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(segment, min_size=1, max_size=4), st.booleans(), st.integers(0, 60))
def test_segments_laid_end_to_end(model, source, parts, reverse, rest):
    segments = [
        Segment(c, s * BASE + phase, (s + n) * BASE + phase, strand)
        for c, s, n, strand, phase in parts
    ]
    length = sum(len(s) for s in segments) + rest * BASE
    cache = EncodingCache(FastEncoder(model.encoder), source)
    layout = EditedGenome(source, {"layout": segments})
    ours = cache.sequence(segments, length, reverse=reverse)
    close(ours, whole(model, layout.fetch("layout", 0, length), reverse))


def test_layout_encodes_only_its_junctions(cache):
    segments = [Segment("a", 0, 6400), Segment("b", 800, 4000, "-"), Segment("a", 6400, 12_000)]
    for s in segments:
        for reverse in (False, True):
            cache.window(s.chrom, s.start // BASE, len(s) // BASE, reverse=reverse)
    before = cache.encoded
    for reverse in (False, True):
        cache.sequence(segments, sum(map(len, segments)), reverse=reverse)
    assert 0 < cache.encoded - before <= 2 * (2 * 2 + 2) * cache.margin * BASE


def test_upstream_edges_are_the_padded_window(model, source, toy_bundle):
    codes = source.fetch("a", 2560, 5120)
    cache = EncodingCache(FastEncoder(model.encoder), source)
    for reverse in (False, True):
        padded = cache.sequence([Segment("a", 2560, 5120)], 2560, reverse=reverse)
        wanted = plain.encode(model.encoder, reverse_complement(codes) if reverse else codes)
        close(padded, wanted)
        real = cache.window("a", 64, 64, reverse=reverse)
        differs = np.flatnonzero(((real - wanted).abs().amax(0) > 1e-3 * wanted.std()).numpy())
        m = cache.margin
        assert set(differs) <= {*range(m), *range(64 - m, 64)}
        assert 0 in differs
        assert 63 in differs
    module = toy_bundle.spec.module("S")
    root = by_root(plan(SIZES["a"], module.resolutions, 16))[2]
    maps = {
        e: next(make_engine(toy_bundle, source, "cpu", edges=e).windows(module, "a", root)).values
        for e in ("real", "zero-padded")
    }
    origin = root[0][0].start * 160
    zoomed = make_engine(toy_bundle, source, "cpu").zoom(module, "a", origin + 1280)[0]
    assert zoomed.start == origin
    np.testing.assert_allclose(zoomed.values, maps["zero-padded"], atol=1e-5)
    assert np.abs(zoomed.values - maps["real"]).max() > 1e-3
    real = make_engine(toy_bundle, source, "cpu").zoom(module, "a", origin + 1280, edges="real")[0]
    np.testing.assert_allclose(real.values, maps["real"], atol=1e-5)
    with pytest.raises(ModelError, match="soft"):
        make_engine(toy_bundle, source, "cpu", edges="soft")


def open_store(path, model, source, **options):
    return EncodingStore.open(path, model.encoder, source, **options)


def test_store_serves_what_it_holds_and_grows(tmp_path, model, source):
    exact = EncodingCache(FastEncoder(model.encoder), source).window("a", 0, 240)
    with open_store(tmp_path / "s.h5", model, source) as store:
        fresh = EncodingCache(FastEncoder(model.encoder), source, store).window("a", 0, 120)
        again = EncodingCache(FastEncoder(model.encoder), source, store)
        assert torch.equal(
            again.window("a", 0, 120), fresh
        )  # the numbers of a run do not depend on what was stored before it
        assert again.encoded == 0
        assert torch.allclose(again.window("a", 0, 240), exact, rtol=2**-10, atol=1e-6)
        assert again.encoded == 3 * BLOCK
    with open_store(tmp_path / "s.h5", model, source, read_only=True) as store:
        reader = EncodingCache(FastEncoder(model.encoder), source, store)
        reader.window("a", 0, 280)
        assert reader.encoded == BLOCK
        assert not has(store, "a", 6, False)
    with open_store(tmp_path / "f.h5", model, source, dtype="float32") as store:
        EncodingCache(FastEncoder(model.encoder), source, store).window("a", 0, 240)
        assert torch.equal(
            EncodingCache(FastEncoder(model.encoder), source, store).window("a", 0, 240), exact
        )


def test_blocks_for_the_store_are_those_of_the_cache(cache, model, source):
    for reverse in (False, True):
        for k, values in block_encoder(model.encoder, source)("gap", 0, 5, reverse):
            y = cache.window("gap", 40 * k, 40, reverse=reverse)
            assert torch.equal(torch.from_numpy(values), (y.flip(-1) if reverse else y).T)


def test_one_pass_serves_both_modules(toy_bundle, source):
    """The assembly module reads the encodings that the other module made; pyramids run only as far
    as they are read.
    """
    engine = make_engine(toy_bundle, source, "cpu")
    spec = engine.spec
    small, wide = spec.module("S"), spec.module("G")
    for chrom, size in SIZES.items():
        for root in by_root(plan(size, small.resolutions, spec.bins)):
            list(engine.windows(small, chrom, root))
    down = []
    engine.model.pyramids["p1"].downlblocks[0].register_forward_hook(lambda *_: down.append(1))
    before = engine.encoded_bp
    for root in by_root(plan(SIZES["a"], wide.resolutions, spec.bins)):
        list(engine.windows(wide, "a", root))
    junctions = 8 * len(by_root(plan(SIZES["a"], wide.resolutions, spec.bins)))
    assert engine.encoded_bp - before <= 2 * junctions * engine.encodings.margin * BASE
    assert not down


@pytest.mark.parametrize("batch", [2, 3, 64])
def test_windows_in_batches(toy_bundle, source, batch):
    for name in ("S", "G"):
        module = toy_bundle.spec.module(name)
        root = by_root(plan(SIZES["a"], module.resolutions, 16))[0]
        one = list(make_engine(toy_bundle, source, "cpu", batch=1).windows(module, "a", root))
        many = list(make_engine(toy_bundle, source, "cpu", batch=batch).windows(module, "a", root))
        assert [m.window for m in one] == [m.window for m in many]
        for a, b in zip(one, many):
            np.testing.assert_allclose(a.values, b.values, atol=1e-5)
            np.testing.assert_allclose(a.strand_difference, b.strand_difference, atol=1e-5)


def test_full_gpu_halves_the_batch_and_goes_on(toy_bundle, source, monkeypatch, caplog):
    module = toy_bundle.spec.module("S")
    root = by_root(plan(SIZES["a"], module.resolutions, 16))[0]
    wanted = list(make_engine(toy_bundle, source, "cpu").windows(module, "a", root))
    engine = make_engine(toy_bundle, source, "cpu", batch=16)
    decode = engine.cascade.decode

    def small(module, resolution, x, prepared, coarse):
        if len(x) > room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return decode(module, resolution, x, prepared, coarse)

    monkeypatch.setattr(engine.cascade, "decode", small)
    room = 3
    with caplog.at_level(logging.WARNING):
        found = list(engine.windows(module, "a", root))
    assert engine.batch <= 3
    assert "going on with" in caplog.text
    assert [m.window for m in found] == [m.window for m in wanted]
    for a, b in zip(found, wanted):
        np.testing.assert_allclose(a.values, b.values, atol=1e-5)
    room = 0
    with pytest.raises(DeviceError, match="16 x 16 bins does not fit"):
        list(engine.windows(module, "a", root))


def test_a_gpu_too_small_for_one_chunk_is_named(cache, monkeypatch):
    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(cache.encoder.encoder, "_chunks", full)
    with pytest.raises(DeviceError, match="memory of cpu does not hold one chunk"):
        cache.window("a", 0, 40)


def test_the_error_of_an_approximation_is_measured(toy_bundle, source):
    module = toy_bundle.spec.module("S")
    root = by_root(plan(SIZES["a"], module.resolutions, 16))[0]
    assert make_engine(toy_bundle, source, "cpu").approximation_error(module, "a", root) == {}
    found = make_engine(toy_bundle, source, "cpu", "bfloat16").approximation_error(
        module, "a", root
    )
    assert list(found) == ["160", "80", "40"]
    for r, largest in found.values():
        assert 0.999 < r < 1
        assert 1e-4 < largest < 0.3


@pytest.mark.parametrize(("name", "value"), [("dtype", "float64"), ("encoder_dtype", "int8")])
def test_unknown_number_types_are_named(toy_bundle, source, name, value):
    with pytest.raises(DeviceError, match=value):
        make_engine(toy_bundle, source, "cpu", **{name: value})


def test_chunks_larger_than_the_fine_cache_are_computed_and_not_kept(model, source):
    """A cache too small for one call gives the same numbers; it holds no more than it may."""
    encoder = FastEncoder(model.encoder)
    large = FineCache(encoder, source)
    start, end = 0, 2000 // encoder.fine_bin * encoder.fine_bin
    wanted = large.read("a", False, start, end)
    for most in (1, 4 * wanted.numel() // 2):
        small = FineCache(encoder, source, most)
        for _ in range(2):
            assert torch.equal(small.read("a", False, start, end), wanted)
        assert small._chunks.currsize <= most
