"""Edited genomes through the networks: what is re-used changes nothing, and little is encoded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec
from edited_genomes import EDITS, GAP, SIZES, Plain, letters, random_letters
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orca_cool.encodings.cache import EditedCache, EncodingCache
from orca_cool.errors import EditError
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Edit
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.windows import by_root, plan

BASE = 40


@pytest.fixture(scope="module")
def source():
    return Drawn(SIZES, GAP)


@pytest.fixture(scope="module")
def model():
    return make_toy_model(make_toy_spec())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    model = make_toy_model()
    return load_bundle(
        save_bundle(tmp_path_factory.mktemp("models") / "toy", model, make_toy_expected(model.spec))
    )


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("fine", [0, 2**24])
def test_encodings_are_those_of_the_edited_sequence(model, source, name, fine):
    genome = apply_edits(source, EDITS[name])
    encoder = FastEncoder(model.encoder)
    edited = EditedCache(EncodingCache(encoder, source, fine_bytes=fine), genome)
    anew = EncodingCache(encoder, Plain(genome))
    for chrom in genome.chromsizes:
        bins = genome.chromsizes[chrom] // BASE + 20
        for reverse in (False, True):
            a, b = (c.window(chrom, -15, bins, reverse=reverse) for c in (edited, anew))
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
            a, b = (
                c.span(chrom, 1_013, 1_013 + 200 * BASE, reverse=reverse) for c in (edited, anew)
            )
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


place = st.integers(0, 600)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(place, min_size=2, max_size=6, unique=True),
    st.lists(st.sampled_from(["del", "inv", "dup", "sub"]), min_size=3, max_size=3),
    st.sampled_from([BASE, 13]),
    st.integers(-30, 300),
    st.booleans(),
)
def test_any_edits_any_window(model, source, places, kinds, unit, start, reverse):
    places = sorted(places)
    edits = [
        Edit(
            kind,
            "a",
            p * unit,
            q * unit,
            sequence=letters(random_letters(333)) if kind == "sub" else (),
        )
        for kind, p, q in zip(kinds, places[::2], places[1::2])
    ]
    try:
        genome = apply_edits(source, edits)
    except EditError:  # nothing is left of the chromosome
        assume(False)
    encoder = FastEncoder(model.encoder)
    edited = EditedCache(EncodingCache(encoder, source, fine_bytes=2**24), genome)
    anew = EncodingCache(encoder, Plain(genome))
    for phase in (0, 7):
        ours, wanted = (
            c.span("a", start * BASE + phase, (start + 64) * BASE + phase, reverse=reverse)
            for c in (edited, anew)
        )
        torch.testing.assert_close(ours, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("module", ["S", "G", "B"])
def test_maps_are_those_of_the_edited_sequence(bundle, source, name, module):
    genome = apply_edits(source, EDITS[name])
    ours, plain = make_engine(bundle, source).for_genome(genome), make_engine(bundle, Plain(genome))
    module = bundle.spec.module(module)
    chrom = genome.edited[0]
    root = by_root(plan(genome.chromsizes[chrom], module.resolutions, 16))[-1]
    for a, b in zip(
        ours.windows(module, chrom, root), plain.windows(module, chrom, root), strict=True
    ):
        assert a.window == b.window
        assert np.abs(a.values - b.values).max() < 1e-4 * b.values.std()
    for a, b in zip(ours.zoom(module, chrom, 6_013), plain.zoom(module, chrom, 6_013), strict=True):
        assert (a.start, a.end) == (b.start, b.end)
        assert np.abs(a.values - b.values).max() < 1e-4 * b.values.std()


def test_encoded_anew_the_bits_are_those_of_the_edited_fasta(bundle, source, tmp_path):
    from orca_cool.genome.open import open_genome

    genome = apply_edits(source, EDITS["aligned deletion"])
    path = tmp_path / "edited.fa"
    path.write_text(
        "".join(
            f">{c}\n" + "".join("ACGTN"[k] for k in genome.fetch(c, 0, n)) + "\n"
            for c, n in genome.chromsizes.items()
        )
    )
    module = bundle.spec.module("S")
    root = by_root(plan(genome.chromsizes["a"], module.resolutions, 16))[4]
    ours = make_engine(bundle, genome, reuse=False).windows(module, "a", root)
    for a, b in zip(
        ours, make_engine(bundle, open_genome(path)).windows(module, "a", root), strict=True
    ):
        assert np.array_equal(a.values, b.values)


def test_only_what_an_edit_touches_is_encoded(model, source):
    encoder = FastEncoder(model.encoder)
    reference = EncodingCache(encoder, source)
    for reverse in (False, True):
        reference.window("a", 0, SIZES["a"] // BASE, reverse=reverse)
        reference.window("a", -20, 20, reverse=reverse)
        reference.window("a", SIZES["a"] // BASE, 20, reverse=reverse)

    def cost(*edits):
        genome = apply_edits(source, edits)
        before = reference.encoded
        for reverse in (False, True):
            EditedCache(reference, genome).span(
                "a", -10 * BASE, genome.chromsizes["a"] // BASE * BASE, reverse=reverse
            )
        return reference.encoded - before

    sees = 2 * (2 * reference.margin + 1) * BASE
    assert cost() == 0
    assert 0 < cost(*EDITS["snv"]) <= sees
    assert 0 < cost(*EDITS["aligned deletion"]) <= sees
    assert 0 < cost(*EDITS["inversion in phase"]) <= 2 * sees
    assert 0 < cost(*EDITS["tandem duplication"]) <= 2 * sees
    assert cost(*EDITS["any deletion"]) > 10_000  # out of the phase of the grid that begins at 0


def test_no_change_is_no_edit(bundle, source):
    genome = apply_edits(
        source,
        [
            Edit(
                "sub",
                "a",
                50,
                60,
                sequence=letters("".join("ACGT"[k] for k in source.codes["a"][50:60])),
            )
        ],
    )
    assert genome.edited == []
    twice = apply_edits(apply_edits(source, EDITS["inversion"]), EDITS["inversion"])
    assert twice.edited == []
    engine = make_engine(bundle, source)
    module = bundle.spec.module("S")
    for a, b in zip(
        engine.for_genome(twice).zoom(module, "a", 12_000), engine.zoom(module, "a", 12_000)
    ):
        assert np.array_equal(a.values, b.values)
