"""Training windows: where they may lie, for any genome; and samples as pure functions of
their key.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_training import SIZES, codes, toy_config

from orca_cool.errors import CoolerError, GenomeError, TrainingError
from orca_cool.genome.intervals import Interval
from orca_cool.genome.open import open_genome
from orca_cool.genome.segments import Segment
from orca_cool.genome.source import GAP, reverse_complement
from orca_cool.maps.observed import block_mean, log_ratio
from orca_cool.train import samples as samples_module
from orca_cool.train.batch import Failure, Sample, batches, collate
from orca_cool.train.config import parse_config
from orca_cool.train.draw import (
    draw_concatenated,
    draw_window,
    draw_zoom,
    evenly_placed_window,
    extent,
    window_around,
)
from orca_cool.train.peaks import convergent
from orca_cool.train.samples import TRAIN, VALIDATION, StageData
from orca_cool.train.settings import Transplants
from orca_cool.train.setup import Run
from orca_cool.train.teacher import assemble
from orca_cool.train.transplants import TrainingGenome

LENGTHS = st.dictionaries(st.sampled_from("abcde"), st.integers(3_000, 90_000), min_size=1)


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.integers(1, 40), st.sampled_from([0.0, 0.125, 0.25]), st.integers(0, 10_000))
def test_windows_lie_on_the_grid_and_in_their_chromosome(sizes, w, overhang, seed):
    unit = 1000
    s = draw_window(np.random.default_rng(seed), sizes, w * unit, unit, overhang)
    n = -(-sizes[s.chrom] // unit)
    assert len(s) == w * unit
    assert s.start % unit == 0
    slack = int(overhang * w) * unit
    if n >= w:
        assert -slack <= s.start
        assert s.end <= n * unit + slack
    else:  # it contains the chromosome, but for the slack
        assert s.start <= slack
        assert s.end >= n * unit - slack


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.integers(1, 300), st.integers(0, 10_000))
def test_concatenated_chromosomes_fill_the_window_with_each_chromosome_once(sizes, w, seed):
    unit = 1000
    pieces = draw_concatenated(np.random.default_rng(seed), sizes, w * unit, unit)
    assert len({p.chrom for p in pieces}) == len(pieces)
    room = sum(n // unit * unit for n in sizes.values())
    assert sum(len(p) for p in pieces) == min(w * unit, room)
    for p in pieces:
        assert 0 <= p.start
        assert p.end <= sizes[p.chrom]
        assert p.start % unit == len(p) % unit == 0
    cut = [p for p in pieces if len(p) < sizes[p.chrom] // unit * unit]
    assert len(cut) <= 1  # whole chromosomes, but for one that does not fit


def test_a_share_of_the_concatenated_windows_holds_one_to_three_chromosomes():
    sizes, first = {f"c{k}": 100_000 for k in range(12)}, ("c3", "c4")
    rng = np.random.default_rng(1)
    counts = [len(draw_concatenated(rng, sizes, 10**6, 1000, first, 0.4)) for _ in range(2000)]
    n = np.bincount(counts, minlength=11)
    assert n[[1, 2, 3, 10]].sum() == 2000  # else ten of them fill the window
    assert 0.36 < n[1:4].sum() / 2000 < 0.44
    assert n[1:4].min() > 0.8 * n[1:4].max()
    alone = [draw_concatenated(rng, sizes, 10**6, 1000, first, 1.0) for _ in range(200)]
    assert {p[0].chrom for p in alone if len(p) == 1} == set(first)
    assert all(p.start == 0 and len(p) == 100_000 for pieces in alone for p in pieces)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.integers(1, 64), st.integers(0, 10_000))
def test_zooms_are_nested_and_see_sequence(first, length, seed):
    bins, resolutions = 16, (4000, 2000, 1000)
    inside = (first * 1000, min((first + length) * 1000, 64_000))
    if inside[0] >= inside[1]:
        return
    starts = draw_zoom(np.random.default_rng(seed), resolutions, bins, inside)
    assert starts[4000] == 0
    for coarse, r in zip(resolutions, resolutions[1:]):
        assert starts[r] % 2 == 0
        assert 2 * starts[coarse] <= starts[r]
        assert starts[r] + bins <= 2 * (starts[coarse] + bins)
    seen = min((starts[1000] + bins) * 1000, inside[1]) - max(starts[1000] * 1000, inside[0])
    assert seen > 0


@settings(max_examples=200, deadline=None)
@given(LENGTHS, st.integers(3, 200), st.integers(0, 10_000))
def test_centred_models_never_see_a_short_chromosome_at_the_border(sizes, w, seed):
    """On its border a window is padded with zeros, which N is not."""
    s = draw_window(np.random.default_rng(seed), sizes, w * 1000, 1000, centred=True)
    n = -(-sizes[s.chrom] // 1000)
    if w - n >= 2:
        assert s.start < 0
        assert s.end > n * 1000


def test_centred_models_are_validated_with_short_chromosomes_in_the_middle():
    s = evenly_placed_window(0, 1, {"a": 10_000}, 16_000, 1000, centred=True)
    assert (s.start, s.end) == (-3_000, 13_000)
    assert evenly_placed_window(0, 1, {"a": 10_000}, 16_000, 1000).start == 0


@given(st.integers(0, 5_000), st.integers(1, 500), st.integers(1, 4_000), st.integers(0, 99))
def test_a_window_around_a_place_holds_its_middle(start, length, window, seed):
    place = Interval("a", start, start + length, "", "+")
    s = window_around(np.random.default_rng(seed), place, window)
    assert len(s) == window
    assert s.start <= start + length // 2 < s.end


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_places_that_are_no_centromere_are_shown_as_often_as_asked(tmp_path, share):
    toy_config(tmp_path)
    source, place = open_genome(tmp_path / "g.fa"), Interval("c2", 9_000, 9_100, "", "+")
    elsewhere = Interval("c4", 5_000, 5_100, "", "+")  # no training chromosome
    centromeres = [
        Interval(c, SIZES[c] // 2, SIZES[c] // 2 + 118, "centromere", "+") for c in ("c1", "c2")
    ]
    chosen = Transplants(negatives=share)
    genome = TrainingGenome(source, ("c1", "c2"), centromeres, chosen, [place, elsewhere])
    rng = np.random.default_rng(1)
    drawn = [genome.drawn_negative(rng) for _ in range(400)]
    assert {i for i in drawn if i is not None} <= {place}
    assert np.mean([i is not None for i in drawn]) == pytest.approx(share, abs=0.08)


def test_a_made_up_chromosome_holds_the_place_that_is_none(tmp_path):
    toy_config(tmp_path)
    source = open_genome(tmp_path / "g.fa")
    chrom = max(SIZES, key=lambda c: SIZES[c])
    length = SIZES[chrom]
    place = Interval(chrom, int(0.3 * length), int(0.3 * length) + 60, "", "+")
    centromere = Interval(chrom, length // 2, length // 2 + 118, "centromere", "+")
    chosen = Transplants(negatives=1.0, flank=20)
    genome = TrainingGenome(source, (chrom,), [centromere], chosen, [place])

    class Teacher:
        def predict(self, where, resolution, bins):
            return np.zeros((bins, bins))

    wanted = bytes(source.fetch(chrom, place.start, place.end))
    lengths = int(0.5 * length), int(0.8 * length)
    held = 0
    for seed in range(40):
        codes, maps = assemble(np.random.default_rng(seed), genome, Teacher(), [1000], lengths)
        assert lengths[0] <= len(codes) <= lengths[1]
        assert maps[1000].shape == (-(-len(codes) // 1000),) * 2
        held += wanted in bytes(codes)
    # not where the new centromere or the ends of other chromosomes have been put on it
    assert held > 20


def test_every_start_of_a_long_chromosome_is_drawn():
    rng = np.random.default_rng(0)
    drawn = {
        (s.start, s.strand)
        for s in (draw_window(rng, {"a": 10_000}, 8000, 1000) for _ in range(200))
    }
    assert drawn == {(a, strand) for a in (0, 1000, 2000) for strand in "+-"}


def test_validation_windows_are_spread_over_the_chromosomes():
    windows = [
        evenly_placed_window(k, 6, {"a": 40_000, "b": 20_000}, 16_000, 1000) for k in range(6)
    ]
    assert [w.chrom for w in windows] == list("aaaabb")
    assert all(0 <= w.start and w.end <= {"a": 40_000, "b": 20_000}[w.chrom] for w in windows)
    assert len({(w.chrom, w.start) for w in windows}) == 6
    assert {w.strand for w in windows} == {"+", "-"}


def test_extent_by_hand():
    sizes = {"a": 10_000}
    assert extent([Segment("a", -2000, 14_000)], sizes) == (2000, 12_000)
    assert extent([Segment("a", -2000, 14_000, "-")], sizes) == (4000, 14_000)
    assert extent([Segment("a", 0, 3000), Segment("b", 0, 4000)], sizes) == (0, 7000)


# -- samples
# --------------------------------------------------------------------------------------------------


def stage_data(tmp_path, number: int, **changes) -> StageData:
    config = toy_config(tmp_path)
    config["stages"][number].update(changes)
    return Run(
        parse_config(config, tmp_path), tmp_path / "run", open_genome(tmp_path / "g.fa")
    ).data(number)


def same(a: Sample, b: Sample) -> bool:
    equal = np.array_equal(a.codes, b.codes) and a.starts == b.starts and a.where == b.where
    return equal and all(
        np.array_equal(a.targets[r], b.targets[r], equal_nan=True) for r in a.targets
    )


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_sample_is_a_function_of_its_key(tmp_path, number):
    data = stage_data(tmp_path, number)
    keys = [(TRAIN, s, i) for s in range(3) for i in range(2)]
    first = [data[k] for k in keys]
    assert all(isinstance(s, Sample) for s in first)
    again = [data[k] for k in reversed(keys)][::-1]
    assert all(same(a, b) for a, b in zip(first, again))
    assert not same(first[0], first[1])
    loaded = list(batches(data.loader([keys[:2], keys[2:4], keys[4:]], workers=2, pin=False)))
    assert [w for b in loaded for w in b.where] == [s.where for s in first]
    np.testing.assert_array_equal(
        torch.cat([b.codes for b in loaded]).numpy(), np.stack([s.codes for s in first])
    )


def test_targets_and_sequence_are_those_of_the_window(tmp_path):
    """Against the map and genome read plainly, for windows of either strand."""
    data = stage_data(tmp_path, 1, shift=0)
    data.encodings_kept = False
    m, background, genome = data.observed["m"], data.expected_tables["m"], codes()
    strands = set()
    for i in range(20):
        s = data[TRAIN, 0, i]
        chrom, _, rest = s.where.partition(" ")[2].partition(":")
        start, end = (int(x.replace(",", "")) for x in rest[: rest.index("(")].rsplit("-", 1))
        strand = rest[-2]
        strands.add(strand)
        plain = genome[chrom][start:end]
        np.testing.assert_array_equal(
            s.codes, plain if strand == "+" else reverse_complement(plain)
        )
        whole = m.dense(Segment(chrom, start, end))
        whole = whole if strand == "+" else whole[::-1, ::-1]
        for r, y in s.targets.items():
            f = r // 2000
            fine = whole[
                s.starts[r] * f : (s.starts[r] + 16) * f, s.starts[r] * f : (s.starts[r] + 16) * f
            ]
            expected = log_ratio(
                block_mean(fine, f, 0.5), background.expected_matrix(r, 16), background.eps(r, 16)
            )
            np.testing.assert_array_equal(y, expected[None])
    assert strands == {"+", "-"}


def test_shifted_sequence_slides_against_its_target(tmp_path):
    shifted = [stage_data(tmp_path, 1, shift=200)[TRAIN, 0, i] for i in range(6)]
    moved = [int(s.where.rsplit(" ", 1)[1]) for s in shifted if "shifted" in s.where]
    assert moved
    assert all(-200 <= m <= 200 for m in moved)
    s = next(s for s in shifted if "shifted" in s.where and "(+)" in s.where)
    chrom, _, rest = s.where.split(" ")[1].partition(":")
    start = int(rest[: rest.index("-", 1)].replace(",", "")) + int(s.where.rsplit(" ", 1)[1])
    np.testing.assert_array_equal(
        s.codes[200:-200], codes()[chrom][start + 200 : start + len(s.codes) - 200]
    )


def test_samples_of_concatenated_chromosomes_have_cis_and_trans_and_their_own_expected(tmp_path):
    data = stage_data(tmp_path, 2)
    s = data[TRAIN, 0, 0]
    assert s.where.count(":") >= 2
    background = data.expected_tables["m"]
    assert background.trans is not None
    assert float(np.exp(s.expected[8000]).min()) == pytest.approx(background.trans, rel=0.3)
    assert np.isfinite(s.targets[8000]).mean() > 0.9
    held = data[VALIDATION, 0, 0]
    assert "c3" in held.where
    known = np.isfinite(held.targets[8000][0])
    assert 0 < known.mean() < 1  # pixels between two training chromosomes are not validated on
    row = known.diagonal()
    assert known[row].any(axis=1).all()
    assert not known[np.ix_(~row, ~row)].any()


def test_flanks_are_real_sequence_and_unknown_past_the_ends(tmp_path):
    data = stage_data(tmp_path, 1, shift=0, flank=10_000)
    data.encodings_kept = False
    for i in range(20):
        s = data[TRAIN, 0, i]
        chrom, _, rest = s.where.partition(" ")[2].partition(":")
        start = int(rest[: rest.index("-", 1)].replace(",", ""))
        whole = np.concatenate(
            [np.full(20_000, GAP, np.uint8), codes()[chrom], np.full(80_000, GAP, np.uint8)]
        )
        plain = whole[start + 10_000 : start + 10_000 + 64_000 + 20_000]
        np.testing.assert_array_equal(
            s.codes, plain if rest[-2] == "+" else reverse_complement(plain)
        )


def test_nothing_of_test_chromosomes_is_read(tmp_path, monkeypatch):
    read: set[str] = set()
    real = samples_module._source

    class Spy:
        def fetch(self, chrom, start, end):
            read.add(chrom)
            return real(tmp_path / "g.fa", 0).fetch(chrom, start, end)

    datas = [stage_data(tmp_path, k) for k in range(3)]
    monkeypatch.setattr(samples_module, "_source", lambda path, pid: Spy())
    for data in datas:
        for i in range(12):
            assert isinstance(data[TRAIN, 0, i], Sample)
            assert isinstance(data[VALIDATION, 0, i % 2], Sample)
        with pytest.raises(CoolerError, match="'c4'"):
            data.observed["m"].bins("c4")
    assert read == {"c1", "c2", "c3"}
    read.clear()
    for data in datas:
        for i in range(12):
            data[TRAIN, 1, i]
    assert read == {"c1", "c2"}


def test_labels_follow_the_strand(tmp_path):
    data = stage_data(tmp_path, 0, shift=0)
    assert data.peaks is not None
    strands = set()
    for i in range(20):
        s = data[TRAIN, 0, i]
        chrom, _, rest = s.where.partition(" ")[2].partition(":")
        start, end = (int(x.replace(",", "")) for x in rest[: rest.index("(")].rsplit("-", 1))
        plain = data.peaks.window(chrom, start, end, 2000)
        assert plain.shape == (2, 16)
        strands.add(rest[-2])
        np.testing.assert_array_equal(s.labels, plain if rest[-2] == "+" else plain[:, ::-1])
    assert strands == {"+", "-"}


def test_windows_with_too_many_missing_pixels_are_rejected(tmp_path):
    from toy_training import write_map

    config = toy_config(tmp_path)
    bins = sum(-(-n // 2000) for n in SIZES.values())
    weight = np.full(bins, 0.01)
    weight[:30] = np.nan  # the first 60 kb of c1: windows of 32 kb there are empty
    write_map(tmp_path / "m.mcool", weight=weight)
    config["stages"][0]["missing"] = 0.2
    data = Run(
        parse_config(config, tmp_path), tmp_path / "run", open_genome(tmp_path / "g.fa")
    ).data(0)
    for i in range(30):
        assert np.isfinite(data[TRAIN, 0, i].targets[2000]).mean() >= 0.8
    weight[:88] = np.nan  # c1 and c2 whole
    write_map(tmp_path / "m.mcool", weight=weight)
    with pytest.raises((TrainingError, CoolerError)):
        data = Run(
            parse_config(config, tmp_path), tmp_path / "run2", open_genome(tmp_path / "g.fa")
        ).data(0)
    full = stage_data(tmp_path, 0)  # its background is measured before the map goes
    del full
    good = np.full(bins, 0.01)
    write_map(tmp_path / "m.mcool", weight=good)
    data = Run(
        parse_config(config, tmp_path), tmp_path / "run3", open_genome(tmp_path / "g.fa")
    ).data(0)
    data.observed["m"]._weights = {
        "c1": np.full(48, np.nan),
        "c2": np.full(40, np.nan),
        "c3": np.full(36, 0.01),
    }
    data.observed["m"]._folder = None
    failed = data[TRAIN, 0, 0]
    assert isinstance(failed, Failure)
    assert "none of 200 windows" in failed.message
    assert "c1, c2" in failed.message
    assert collate([failed]) is failed


def test_genome_and_map_must_agree(tmp_path):
    config = toy_config(tmp_path)
    text = (tmp_path / "g.fa").read_text()
    (tmp_path / "g.fa").write_text(text.replace(">c1", ">chr1"))
    with pytest.raises(GenomeError, match=r"m\.mcool' has chromosome 'c1', genome 'g' does not"):
        Run(parse_config(config, tmp_path), tmp_path / "run", open_genome(tmp_path / "g.fa")).data(
            0
        )
    excluding = parse_config(
        {**config, "exclude": ["c1"]}, tmp_path
    )  # a scaffold that the map alone has
    assert set(
        Run(excluding, tmp_path / "run", open_genome(tmp_path / "g.fa"))
        .data(0)
        .observed["m"]
        .chromsizes
    ) == {"c2", "c3"}
    with pytest.raises(TrainingError, match=r"'c7' is neither in genome 'g' nor in map"):
        Run(
            parse_config({**config, "exclude": ["c1", "c7"]}, tmp_path),
            tmp_path / "run",
            open_genome(tmp_path / "g.fa"),
        ).data(0)
    (tmp_path / "h.fa").write_text(text[:4] + "A" + text[4:])
    with pytest.raises(
        GenomeError, match=r"c1 is 96,000 bp in map .*m\.mcool', 96,001 bp in genome 'h'"
    ):
        Run(parse_config(config, tmp_path), tmp_path / "run", open_genome(tmp_path / "h.fa")).data(
            0
        )


def test_convergent_genes_by_hand():
    genes = [
        Interval("a", 0, 100, "gene", "+"),
        Interval("a", 300, 400, "gene", "-"),
        Interval("a", 500, 600, "gene", "-"),
    ]
    assert convergent([*genes, Interval("b", 0, 10, "gene", "+")]) == [
        Interval("a", 200, 201, "convergent")
    ]
