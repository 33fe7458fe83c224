"""Windows from the store: the numbers of a run without one, and only what is new is decoded."""

from __future__ import annotations

import dataclasses
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import Drawn, make_toy_expected, make_toy_model, make_toy_spec
from runs import arguments, assert_same, contents

from orca_cool.cli import main
from orca_cool.effects.align import Reference
from orca_cool.effects.null import rows_with_null
from orca_cool.effects.variant_rows import Scoring, iter_rows
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Edit
from orca_cool.genome.segments import Segment
from orca_cool.model.bundle import Model, load_bundle, save_bundle
from orca_cool.prediction.batch_decoder import BatchDecoder
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.window_store import WindowStore
from orca_cool.prediction.windows import by_root, plan
from orca_cool.variants import of_changes
from orca_cool.variants.matched import MatchedPlaces

SIZES = {"a": 9_010, "b": 6_100, "c": 900}
GAP = ("b", 1_000, 1_415)
CONTEXT = 400


@pytest.fixture(scope="module")
def source() -> Drawn:
    return Drawn(SIZES, GAP)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Model:
    model = make_toy_model()
    folder = tmp_path_factory.mktemp("models") / "toy"
    return load_bundle(save_bundle(folder, model, make_toy_expected(model.spec)))


@pytest.fixture
def decoded(monkeypatch) -> Counter[int]:
    """Strands of windows that are decoded, by resolution."""
    count: Counter[int] = Counter()
    decode = BatchDecoder.decode

    def counted(self, module, resolution, windows):
        count[resolution] += len(windows)
        return decode(self, module, resolution, windows)

    monkeypatch.setattr(BatchDecoder, "decode", counted)
    return count


def engine_of(bundle, source, store=None, **options):
    return make_engine(bundle, source, "cpu", window_store=store, **options)


def levels_of(bundle, name, length):
    module = bundle.spec.module(name)
    return module, by_root(
        plan(length, module.resolutions, bundle.spec.bins, laid=module.multi_chromosome)
    )


def everything(engine, name, chrom="a"):
    """Every window of a chromosome: (values, strand difference) by root, resolution and start."""
    module, roots = levels_of(engine, name, engine.source.chromsizes[chrom])
    return {
        (root[0][0].start, m.window.resolution, m.window.start): (m.values, m.strand_difference)
        for root in roots
        for m in engine.windows(module, chrom, root)
    }


def assert_equal(one, two):
    assert one.keys() == two.keys()
    for k in one:
        for a, b in zip(one[k], two[k]):
            assert a.view(np.uint32).tolist() == b.view(np.uint32).tolist()


# ---- an engine


@pytest.mark.parametrize(
    ("name", "edges"), [("S", "real"), ("S", "zero-padded"), ("G", "real"), ("B", "real")]
)
def test_what_is_stored_is_neither_encoded_nor_decoded(
    bundle, source, tmp_path, decoded, name, edges
):
    plain = everything(engine_of(bundle, source, edges=edges), name)
    with closing(WindowStore(tmp_path / "w")) as store:
        assert_equal(plain, everything(engine_of(bundle, source, store, edges=edges), name))
    decoded.clear()
    with closing(WindowStore(tmp_path / "w")) as store:
        engine = engine_of(bundle, source, store, edges=edges)
        assert_equal(plain, everything(engine, name))
        assert (engine.encoded_bp, decoded.total(), store.misses) == (0, 0, 0)
        assert store.hits == 2 * len(plain)


def test_threads_that_decode_strands_share_the_store(bundle, source, tmp_path, decoded):
    plain, threads = everything(engine_of(bundle, source), "S"), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for again in (False, True):
            decoded.clear()
            with closing(WindowStore(tmp_path / "w")) as store:
                engine = engine_of(bundle, source, store)
                assert_equal(plain, everything(engine, "S"))
                assert (store.hits, store.misses)[not again] == 2 * len(plain)
                assert decoded.total() == (0 if again else 2 * len(plain))
                assert (engine.encoded_bp == 0) is again
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["S", "G"])
def test_zooms_and_contacts_between_chromosomes(bundle, source, tmp_path, decoded, name):
    module = bundle.spec.module(name)

    def found(engine):
        for edges in ("real", "zero-padded"):
            for chrom, position in (("a", 4_321), ("b", 3_000), ("c", 450)):
                for m in engine.zoom(module, chrom, position, edges):
                    yield from (m.values, m.strand_difference, m.expected)
        if name == "G":
            yield from engine.trans(module, Segment("a", 0, 5_120), Segment("b", 0, 5_120))

    plain = list(found(engine_of(bundle, source)))
    for again in (False, True):
        decoded.clear()
        with closing(WindowStore(tmp_path / "w")) as store:
            engine = engine_of(bundle, source, store)
            for a, b in zip(plain, found(engine), strict=True):
                assert np.array_equal(a, b)
            assert (engine.encoded_bp == 0) is again
            assert (decoded.total() == 0) is again


def test_other_weights_and_numerics_do_not_meet(bundle, source, tmp_path):
    spec = make_toy_spec()
    other = load_bundle(
        save_bundle(tmp_path / "m" / "toy", make_toy_model(spec, seed=2), make_toy_expected(spec))
    )
    expected = make_toy_expected(spec)
    table = expected[40]
    doubled = load_bundle(
        save_bundle(
            tmp_path / "n" / "toy",
            make_toy_model(spec),
            expected | {40: dataclasses.replace(table, cis=2 * table.cis)},
        )
    )
    with closing(WindowStore(tmp_path / "w")) as store:
        everything(engine_of(bundle, source, store), "S")
        for model, options in (
            (other, {}),
            (doubled, {}),
            (bundle, {"edges": "zero-padded"}),
            (bundle, {"dtype": "bfloat16"}),
        ):
            before = store.hits
            found = everything(engine_of(model, source, store, **options), "S")
            assert store.hits == before
            assert_equal(found, everything(engine_of(model, source, **options), "S"))


def test_float16_is_rounded_the_same_from_the_store_and_without(bundle, source, tmp_path):
    plain = everything(engine_of(bundle, source), "S")
    with closing(WindowStore(tmp_path / "w", dtype="float16")) as store:
        engine = engine_of(bundle, source, store)
        assert engine.numerics["windows"] == "float16"
        first, again = everything(engine, "S"), everything(engine, "S")
        assert store.hits == store.misses == 2 * len(plain)
    assert_equal(first, again)
    spread = np.std([v for v, _ in plain.values()])
    off = max(np.abs(first[k][0] - plain[k][0]).max() for k in plain)
    assert 0 < off < 0.01 * spread
    with closing(WindowStore(tmp_path / "w")) as store:  # the exact ones are others
        assert_equal(plain, everything(engine_of(bundle, source, store), "S"))
        assert store.hits == 0


def test_one_strand_is_stored_by_itself(bundle, source, tmp_path):
    module = bundle.spec.module("S")
    window = levels_of(bundle, "S", 9_010)[1][2][0][0]
    start = window.start * 160
    with closing(WindowStore(tmp_path / "w")) as store:
        engine = engine_of(bundle, source, store)
        for only, strands in ((True, 1), (False, 2), (True, 1)):
            root = engine.root(module, "a", start, only)
            (maps,) = engine.decode_windows([(root, window, None)])
            assert len(maps) == strands
        assert (store.hits, store.misses) == (1, 3)


def test_cell_types_share_their_windows(source, tmp_path, decoded):
    from conftest import save_model_of_two_cell_types

    save_model_of_two_cell_types(tmp_path)
    model = load_bundle(tmp_path / "two")
    with closing(WindowStore(tmp_path / "w")) as store:
        everything(engine_of(model.for_cell_type("x"), source, store), "S")
        decoded.clear()
        found = everything(engine_of(model.for_cell_type("y"), source, store), "S")
        assert not decoded
    assert_equal(found, everything(engine_of(model.for_cell_type("y"), source), "S"))


# ---- edited genomes


def substitution(source, position, by=1):
    """The edit of a base (1-based) of chromosome a to another."""
    letter = "ACGT"[(int(source.codes["a"][position - 1]) + by) % 4]
    return Edit("sub", "a", position - 1, position, sequence=(Segment.letters(letter),))


def touched(bundle, roots, first, last):
    """Windows of the roots that see any of ``[first, last)``."""
    top = 160 * bundle.spec.bins
    return sum(
        sum(map(len, root))
        for root in roots
        if root[0][0].start * 160 - CONTEXT < last
        and first < root[0][0].start * 160 + top + CONTEXT
    )


@pytest.mark.parametrize("position", [1, 4_444])
def test_an_edit_decodes_what_sees_it(bundle, source, tmp_path, decoded, position):
    genome = apply_edits(source, [substitution(source, position)])
    _, roots = levels_of(bundle, "S", SIZES["a"])
    with closing(WindowStore(tmp_path / "w")) as store:
        engine = engine_of(bundle, source, store)
        assert engine.context == CONTEXT
        everything(engine, "S")
        decoded.clear()
        found = everything(engine.for_genome(genome), "S")
    assert decoded.total() == 2 * touched(bundle, roots, position - 1, position)
    assert 0 < decoded.total() < 2 * sum(len(level) for root in roots for level in root)
    assert_equal(found, everything(engine_of(bundle, source).for_genome(genome), "S"))


@pytest.mark.parametrize("length", [640, 13])
def test_downstream_of_a_deletion(bundle, source, tmp_path, decoded, length):
    genome = apply_edits(source, [Edit("del", "a", 1_000, 1_000 + length)])
    with closing(WindowStore(tmp_path / "w")) as store:
        engine = engine_of(bundle, source, store)
        everything(engine, "S")
        decoded.clear()
        found = everything(engine.for_genome(genome), "S")
        anew = decoded.total()
    assert_equal(found, everything(engine_of(bundle, source).for_genome(genome), "S"))
    if length == 640:  # windows lie as those of the reference do: most are found
        assert anew < len(found)  # strands: less than half
    # of the whole sequence encoded by itself, nothing is taken but what has the same bits
    with closing(WindowStore(tmp_path / "w")) as store:
        alone = everything(engine_of(bundle, genome, store, reuse=False), "S")
    assert_equal(alone, everything(engine_of(bundle, genome, reuse=False), "S"))


def test_a_second_table_of_variants_decodes_alternates_only(bundle, source, tmp_path, decoded):
    module = bundle.spec.module("S")
    scoring = Scoring(module.resolutions)

    def rows(store, by):
        engine = engine_of(bundle, source, store, fine_bytes=2**24)
        edits = [substitution(source, p, by) for p in (1_500, 4_321, 7_777)]
        variants = [of_changes([edit], "test") for edit in edits]
        decoded.clear()
        return [
            row
            for found in iter_rows(Reference(engine, module), variants, scoring)
            for row in found.rows
        ]

    with closing(WindowStore(tmp_path / "w")) as store:
        rows(store, 1)
        assert decoded.total() == 2 * 2 * 3 * 3  # strands, genomes, places, levels
        assert store.misses == decoded.total()
        found = rows(store, 2)
        assert decoded.total() == 2 * 3 * 3
        rows(store, 2)  # alternates are looked at once: they are not kept
        assert decoded.total() == 2 * 3 * 3
    assert repr(found) == repr(rows(None, 2))


def test_matched_places_are_kept(bundle, source, tmp_path, decoded):
    """They are asked for again, with other levels or scores: a second table decodes its variants
    alone.
    """
    module = bundle.spec.module("S")
    places = MatchedPlaces(source, 3, margin=1000)

    def rows(store):
        engine = engine_of(bundle, source, store, fine_bytes=2**24)
        variants = [of_changes([Edit("del", "a", p, p + 40)], "test") for p in (2_500, 5_321)]
        reference, scoring = Reference(engine, module), Scoring(module.resolutions)
        decoded.clear()
        return [r.rows for r in rows_with_null(reference, variants, scoring, places)]

    with closing(WindowStore(tmp_path / "w")) as store:
        first = rows(store)
        assert decoded.total() > 2 * 2 * 3 * 4  # strands, variants, levels, places: and references
        assert repr(rows(store)) == repr(first)
        assert decoded.total() == 2 * 2 * 3
    assert repr(rows(None)) == repr(first)


# ---- the command line


def test_a_prediction_of_an_edited_chromosome(place, tmp_path, decoded):
    store = tmp_path / "windows.db"
    line = [*arguments(place, tmp_path / "reference.mcool"), "--window-store", str(store)]
    assert CliRunner().invoke(main, line).exit_code == 0
    both: dict[str, int] = {}
    edit = ["--edit", "a:4,000-4,640 del"]
    outputs = []
    for name, options in (("with", ["--window-store", str(store)]), ("without", [])):
        outputs.append(tmp_path / f"{name}.mcool")
        decoded.clear()
        result = CliRunner().invoke(main, [*arguments(place, outputs[-1]), *edit, *options])
        assert result.exit_code == 0, result.output
        both[name] = decoded.total()
    assert contents(outputs[0]) == contents(outputs[1])
    assert 0 < both["with"] < both["without"]


def test_the_same_prediction_twice(place, tmp_path, decoded):
    outputs = [tmp_path / f"{k}.mcool" for k in range(3)]
    store = ["--window-store", str(tmp_path / "w.db")]
    for output, options in zip(outputs, ([], store, store)):
        decoded.clear()
        result = CliRunner().invoke(main, [*arguments(place, output), *options])
        assert result.exit_code == 0, result.output
    assert not decoded
    assert_same(outputs[0], outputs[1])
    assert_same(outputs[0], outputs[2])


def test_options_that_would_do_nothing(place, tmp_path):
    for options, why in (
        (["--window-store-dtype", "float16"], "they need --window-store"),
        (["--window-store", str(tmp_path / "none" / "w")], "there is no folder"),
        (["--window-store", str(place / "toy.fa")], "is no window store"),
    ):
        result = CliRunner().invoke(main, [*arguments(place, tmp_path / "x.mcool"), *options])
        assert result.exit_code == 2
        assert why in result.output
    assert not list(Path(tmp_path).glob("x*"))
