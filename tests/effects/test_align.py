"""Alternate and reference side by side: where windows lie, which bins are compared, and what the
scores are.
"""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Drawn, make_toy_expected, make_toy_model
from edited_genomes import EDITS, GAP, SIZES, Plain, letters, random_letters

from orca_cool.effects.align import Comparison, Reference, bin_origins, compare
from orca_cool.effects.scores import SCORES, Choices, average, score
from orca_cool.effects.sites import Site, sites
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Adjacency, Breakend, Contig, Edit
from orca_cool.genome.regions import Region
from orca_cool.genome.segments import Segment
from orca_cool.maps.contact_map import ContactMap
from orca_cool.maps.metrics import pearson
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.orca_spec import orca_spec
from orca_cool.prediction.engine import make_engine


@pytest.fixture(scope="module")
def source():
    return Drawn(SIZES, GAP)


@pytest.fixture(scope="module")
def engine(source, tmp_path_factory):
    model = make_toy_model()
    bundle = load_bundle(
        save_bundle(tmp_path_factory.mktemp("models") / "toy", model, make_toy_expected(model.spec))
    )
    return make_engine(bundle, source)


@pytest.fixture
def module(engine):
    return engine.spec.module("S")


class Sizes:
    """Chromosome lengths without sequence."""

    name = "sizes"

    def __init__(self, **chromsizes):
        self.chromsizes = chromsizes

    def fetch(self, chrom, start, end):
        return np.full(end - start, 4, np.uint8)


# lengths of hg38
HUMAN = Sizes(chr2=242_193_529, chr5=181_538_259, chr7=159_345_973, chr17=83_257_441)
SPEC = orca_spec("h1esc")
MB = 1_000_000
#: windows of the reference are centred to an eighth of 250 bins of 4 kb, rounded down
GRAIN = 31 * 4_000


def placed(*changes, module="32M"):
    return sites(apply_edits(HUMAN, changes), SPEC, SPEC.module(module))


def test_an_snv_is_seen_from_the_nearest_grain():
    (site,) = placed(Edit("sub", "chr2", 100_123_456, 100_123_457, sequence=letters("A")))
    # 100,123,456 / 124,000 = 807.4: the 807th grain
    assert site.references == (("chr2", 807 * GRAIN),)
    assert (site.contig, site.position, site.breakpoints) == (
        "chr2",
        807 * GRAIN,
        (100_123_456, 100_123_457),
    )


def test_the_papers_duplication():
    (site,) = placed(Edit("dup", "chr17", 70_845_859, 71_884_859))
    # the one breakpoint lies at the end of the first copy; bases on its sides came from 71,884,858
    # and 70,845,859, further apart than half a window of the finest level: two windows of the
    # reference
    assert site.breakpoints == (71_884_859,)
    assert site.references == (
        ("chr17", 571 * GRAIN),
        ("chr17", 580 * GRAIN),
    )  # 70,845,859 / 124,000 = 571.3; 71,884,858: 579.7
    assert (
        site.position == 580 * GRAIN
    )  # both halves of the window are as long: the left decides, which is where it was


def test_the_papers_deletion():
    (site,) = placed(Edit("del", "chr2", 220_295_000, 222_000_000))
    assert site.breakpoints == (220_295_000,)
    assert site.references == (("chr2", 1777 * GRAIN), ("chr2", 1790 * GRAIN))  # 1776.6, 1790.3
    assert site.position == 1777 * GRAIN  # left of the breakpoint coordinates are as they were


def test_the_papers_inversion():
    first, second = placed(Edit("inv", "chr2", 218_875_000, 220_155_000))
    assert (first.breakpoints, second.breakpoints) == ((218_875_000,), (220_155_000,))
    # the base right of the first breakpoint came from 220,154,999
    assert first.references == (("chr2", 1765 * GRAIN), ("chr2", 1775 * GRAIN))
    assert second.references == first.references
    assert first.position == 1765 * GRAIN
    assert second.position == 1775 * GRAIN


def test_the_papers_translocation():
    one, two = placed(
        Adjacency(Breakend("chr5", 89_411_065, "+"), Breakend("chr7", 94_378_248, "-"))
    )
    assert (one.contig, one.breakpoints) == ("der_chr5", (89_411_065,))
    assert (two.contig, two.breakpoints) == ("der_chr7", (94_378_248,))
    assert (
        set(one.references) == set(two.references) == {("chr5", 721 * GRAIN), ("chr7", 761 * GRAIN)}
    )  # 721.05, 761.1
    assert one.position == 721 * GRAIN
    assert two.position == 761 * GRAIN


def test_a_small_inversion_is_one_site_and_a_large_deletion_keeps_the_longer_side():
    (site,) = placed(Edit("inv", "chr2", 100_000_000, 100_040_000))
    assert site.breakpoints == (100_000_000, 100_040_000)
    assert len(site.references) == 1
    # 90 Mb, at levels of 32 Mb and more: an eighth of 250 bins of 128 kb is 3,968,000; 99,999,999
    # is 25.2 of them, 190,000,001 47.9. 100 Mb lie left of the breakpoint, 52 Mb right of it
    (site,) = placed(Edit("del", "chr2", 100_000_000, 190_000_001), module="256M")
    assert site.references == (("chr2", 25 * 3_968_000), ("chr2", 48 * 3_968_000))
    assert site.position == 25 * 3_968_000
    # near the start the right side is longer: its phase decides
    (site,) = placed(Edit("del", "chr2", 100_000, 350_001), module="1M")
    assert site.references == (("chr2", 2 * GRAIN),)  # (99,999 + 350,001) / 2 = 1.8 grains
    assert site.position == 2 * GRAIN - 250_001
    # windows that are moved stay in the phase of one side or the other, of that which is then
    # longer
    genome = apply_edits(HUMAN, [Edit("del", "chr2", 100_000_000, 100_250_001)])
    for shift, off in ((-4_000, 0), (-700_000, 0), (700_000, -250_001)):
        (moved,) = sites(genome, SPEC, SPEC.module("1M"), shift=shift)
        assert moved.references == (
            ("chr2", 807 * GRAIN + shift),
        )  # (99,999,999 + 100,250,001) / 2: 807.5 grains
        assert moved.position == 807 * GRAIN + shift + off


def test_ends_that_are_no_chromosomes_are_breakpoints():
    (site,) = placed(Edit("del", "chr2", 0, 5_000_000), module="1M")
    assert site.breakpoints == (0,)
    assert site.references == (("chr2", 40 * GRAIN),)  # 5,000,000 / 124,000 = 40.3
    assert site.position == 40 * GRAIN - 5_000_000
    (site,) = placed(Edit("del", "chr17", 80_000_000, 83_257_441), module="1M")
    assert site.breakpoints == (80_000_000,)
    assert site.references == (("chr17", 645 * GRAIN),)  # 79,999,999: 645.2
    assert site.position == 645 * GRAIN
    (site,) = placed(Contig("chr17", (Segment("chr17", 0, 83_257_441, "-"),)), module="1M")
    assert site.breakpoints == (83_257_441 // 2,)


def oracle(genome, contig, m, names):
    """For each bin the base in its middle, traced through the letters' own addresses."""
    breakpoints = genome.to_reference(contig, np.arange(m.start, m.end))
    return [
        (int(breakpoints[0][k]), int(breakpoints[1][k]))
        for k in range(m.resolution // 2, m.end - m.start, m.resolution)
    ]


@pytest.mark.parametrize("name", EDITS)
def test_bins_are_compared_with_those_that_they_came_from(engine, source, module, name):
    genome = apply_edits(source, EDITS[name])
    reference = Reference(engine, module)
    (found,) = compare(reference, [genome])
    assert found
    plain = make_engine(engine.bundle, Plain(genome))
    for k, c in enumerate(found):
        maps = plain.zoom(module, c.site.contig, c.site.position, "real")
        own = maps[k % len(maps)]
        assert (own.start, own.resolution) == (c.alternate.start, c.resolution)
        assert np.abs(own.values - c.alternate.values).max() < 1e-4 * own.values.std()
        for r, (chrom, position) in zip(c.references, c.site.references):
            again = engine.zoom(module, chrom, position, "real")[k % len(maps)]
            assert np.array_equal(again.values, r.values)
        traced = oracle(genome, c.site.contig, c.alternate, list(SIZES))
        n = len(traced)
        for i in range(n):
            for j in range(n):
                if traced[i][0] < 0 or traced[j][0] < 0:
                    continue  # tested below
                wanted = np.nan
                for r in c.references:
                    number = list(SIZES).index(r.chrom)
                    p, q = (
                        (traced[x][1] - r.start) // r.resolution if traced[x][0] == number else -1
                        for x in (i, j)
                    )
                    if 0 <= p < n and 0 <= q < n and not np.isfinite(wanted):
                        gaps = [
                            (
                                source.fetch(
                                    r.chrom,
                                    r.start + x * r.resolution,
                                    r.start + (x + 1) * r.resolution,
                                )
                                == 4
                            ).mean()
                            > 0.5
                            for x in (p, q)
                        ]
                        wanted = np.nan if any(gaps) else r.values[p, q]
                np.testing.assert_equal(c.reference.values[i, j], wanted)


def test_a_bin_whose_middle_is_given_takes_the_nearest_base():
    source = Drawn(SIZES, GAP)
    # bin 10 of 160 bp: 1600 to 1760, middle 1680
    genome = apply_edits(source, [Edit("sub", "a", 1650, 1700, sequence=(Segment("", 0, 50),))])
    chroms, places = bin_origins(genome, "a", 0, 160, 20)
    assert places[10] == 1700  # 20 bp away; 1649 is 31
    assert chroms[10] == 0
    genome = apply_edits(source, [Edit("ins", "a", 1600, 1600, sequence=(Segment("", 0, 320),))])
    chroms, places = bin_origins(genome, "a", 0, 160, 20)
    assert chroms[10:12].tolist() == [-1, -1]
    assert places[12] == 1680


def test_touched_bins(engine, source, module):
    genome = apply_edits(
        source, [Edit("ins", "a", 12_000, 12_000, sequence=letters(random_letters(300)))]
    )
    found = [c for c in compare(Reference(engine, module), [genome])[0] if c.resolution == 40]
    (c,) = found
    bins = c.alternate.start + 40 * np.flatnonzero(c.touched)
    assert bins.tolist() == list(range(12_000, 12_300, 40))


def test_no_change_is_exactly_nothing(engine, source, module):
    same = letters("".join("ACGT"[k] for k in source.codes["a"][12_000:12_010]))
    genome = apply_edits(source, [Edit("sub", "a", 12_000, 12_010, sequence=same)])
    assert compare(Reference(engine, module), [genome]) == [[]]
    (found,) = compare(Reference(engine, module), [genome], footprints=[("a", 12_000, 12_010)])
    assert [c.resolution for c in found] == [160, 80, 40]
    for c in found:
        assert c.unchanged
        values = score(c, Choices(diamond=3))
        assert values.pop("pixels") == 16 * 17 / 2
        assert values.pop("loops") == 0
        assert np.isnan(values.pop("loop_change"))
        assert set(values.values()) == {0.0}


def test_scores_by_hand(engine, source, module):
    genome = apply_edits(source, EDITS["snv"])
    (found,) = compare(Reference(engine, module), [genome])
    for c in found:
        a, b = c.alternate.values.astype(float), c.references[0].values.astype(float)
        assert np.array_equal(c.reference.values, b)  # an SNV moves nothing
        upper = np.triu_indices(16)
        values = score(c, Choices(diamond=3))
        assert values["mse"] == pytest.approx(np.mean((a - b)[upper] ** 2))
        assert values["one_minus_r"] == pytest.approx(1 - pearson(a, b, nearest=0)[0])
        assert values["mse"] > 0
        np.testing.assert_equal(c.scores(Choices(diamond=3)), values)
        d = c.difference
        assert (d.region, d.resolution) == (c.alternate.region, c.resolution)
        np.testing.assert_allclose(d.values, a - b, atol=1e-6)
        # at the same distance the expected cancels: the fold change of observed/expected is that of
        # the frequency
        fold = c.alternate.frequency / c.references[0].frequency
        np.testing.assert_allclose(d.frequency, fold, rtol=1e-5)
        (bin_,) = np.flatnonzero(c.touched)
        assert bin_ == (12_000 - c.alternate.start) // c.resolution
        # at the same distance the expected cancels
        assert values["log_fold_change"] == pytest.approx(np.abs(a - b)[bin_].mean(), rel=1e-5)
        by_distance = [abs(np.diagonal(a, d).mean() - np.diagonal(b, d).mean()) for d in range(12)]
        assert values["decay"] == pytest.approx(np.mean(by_distance), rel=1e-5)


def crafted(alternate, resolution=1000):
    """A comparison of maps given by hand, on one chromosome without gaps; the expected is 1."""
    y, z = alternate
    n = len(y)
    region = Region("c", 0, n * resolution)
    maps = [ContactMap(v, np.ones_like(v), 0.0, region, resolution) for v in (y, z)]
    touched = np.zeros(n, dtype=bool)
    touched[n // 2] = True
    site = Site("c", (n * resolution // 2,), 0, (("c", 0),))
    return Comparison(site, *maps, (maps[1],), (np.arange(n),), touched)


def blocks(n, *borders):
    """Domains with contacts e within and 1 between."""
    label = np.searchsorted(borders, np.arange(n), side="right")
    return np.where(label[:, None] == label[None, :], 1.0, 0.0)


def test_boundaries_are_gained_and_lost():
    n = 60
    moved = score(crafted((blocks(n, 20, 44), blocks(n, 20, 36))), Choices(diamond=5, near=2))
    assert (moved["boundaries_gained"], moved["boundaries_lost"]) == (1, 1)
    near = score(crafted((blocks(n, 20, 37), blocks(n, 20, 36))), Choices(diamond=5, near=2))
    assert (near["boundaries_gained"], near["boundaries_lost"]) == (0, 0)
    gone = score(crafted((blocks(n, 30), blocks(n, 30)[::-1, ::-1] * 0)), Choices(diamond=5))
    assert (gone["boundaries_gained"], gone["boundaries_lost"]) == (1, 0)
    assert gone["insulation_at"] < -0.5  # less contact across the bin in the middle


def test_loops_and_compartments():
    n = 60
    before = np.zeros((n, n))
    after = before.copy()
    after[19:22, 39:42] = after[39:42, 19:22] = 2.0
    loops = (
        ("c", 20_500, 40_500),
        ("c", 5_500, 30_500),
        ("d", 20_500, 40_500),
        ("c", 20_500, 22_500),
        ("c", 1_500, 40_500),
    )
    values = score(crafted((after, before)), Choices(diamond=5, loops=loops))
    assert (
        values["loops"] == 2
    )  # of one the anchors are too close, of one the ring leaves the map, one is elsewhere
    assert values["loop_change"] == pytest.approx((2.0 + 0.0) / 2)
    sign = np.where(np.arange(n) // 10 % 2, 1.0, -1.0)
    turned = np.where(np.arange(n) // 15 % 2, 1.0, -1.0)
    a, b = 0.5 * np.outer(sign, sign), 0.5 * np.outer(turned, turned)
    assert score(crafted((a, 0.9 * a)), Choices(diamond=5))["compartment"] < 0.01
    assert score(crafted((a, b)), Choices(diamond=5))["compartment"] > 0.5


def test_shifted_windows_are_averaged(engine, source, module):
    genome = apply_edits(source, EDITS["snv"])
    reference = Reference(engine, module)
    by_shift = [compare(reference, [genome], shift=s, keep=[40])[0][0] for s in (0, 80, -13)]
    starts = [c.alternate.start for c in by_shift]
    assert starts[1:] == [starts[0] + 80, starts[0] - 13]
    scores = [score(c) for c in by_shift]
    mean = average(scores)
    assert set(mean) == set(SCORES)
    assert mean["mse"] == pytest.approx(np.mean([s["mse"] for s in scores]))


def test_each_window_of_the_reference_is_predicted_once(engine, source, module):
    reference = Reference(engine, module)
    genomes = [
        apply_edits(source, [Edit("sub", "a", p, p + 1, sequence=letters("N"))])
        for p in range(12_000, 12_040, 4)
    ]
    together = compare(reference, genomes)
    assert reference.predicted == 1
    assert len(together) == 10
    for genome, found in zip(genomes, together):  # and one by one the numbers are the same
        (alone,) = compare(reference, [genome])
        for a, b in zip(found, alone, strict=True):
            assert np.array_equal(a.alternate.values, b.alternate.values)
    assert reference.predicted == 1
