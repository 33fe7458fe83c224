"""Scores are of the same pixels on both sides: against plain loops, cooltools and hicrep, with gaps,
ends of chromosomes and every kind of edit.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bioframe
import cooler
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from conftest import Drawn, make_toy_expected, make_toy_model
from cooltools import insulation as cooltools_insulation
from edited_genomes import EDITS, GAP, SIZES, letters

from orca_cool.effects.align import Comparison, Reference, compare
from orca_cool.effects.scores import Choices, score
from orca_cool.effects.sites import Site
from orca_cool.genome.apply_edits import apply_edits
from orca_cool.genome.changes import Edit
from orca_cool.genome.gaps import MAX_GAP, gap_fraction
from orca_cool.genome.regions import Region
from orca_cool.maps.contact_map import ContactMap
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.engine import make_engine

CHOICES = Choices(diamond=3)

#: Edits beside a gap, and at the ends of chromosomes, where windows overhang.
AT_EDGES = {
    "beside a gap": [Edit("sub", "b", 3_900, 3_901, sequence=letters("A"))],
    "behind a gap": [Edit("del", "b", 6_600, 6_640)],
    "at the start": [Edit("sub", "a", 40, 41, sequence=letters("A"))],
    "at the end": [Edit("del", "a", 23_900, 23_940)],
}


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory):
    """{edit: its comparisons}."""
    model = make_toy_model()
    folder = save_bundle(tmp_path_factory.mktemp("m") / "toy", model, make_toy_expected(model.spec))
    source = Drawn(SIZES, GAP)
    engine = make_engine(load_bundle(folder), source)
    reference = Reference(engine, engine.spec.module("S"))
    edits = EDITS | AT_EDGES
    genomes = {name: apply_edits(source, changes) for name, changes in edits.items()}
    return {name: (g, compare(reference, [g])[0]) for name, g in genomes.items()}


@pytest.mark.parametrize("name", EDITS | AT_EDGES)
def test_decay_is_of_the_pixels_that_mse_is_of(comparisons, name):
    for c in comparisons[name][1]:
        a, b, n = c.alternate.values.astype(float), c.reference.values, len(c.touched)
        by_distance: dict[int, list[float]] = {}
        for i in range(n):
            for j in range(i, n):
                if np.isfinite(b[i, j]):
                    by_distance.setdefault(j - i, []).append(a[i, j] - float(b[i, j]))
        found = score(c, CHOICES)
        if found["pixels"] < 3:
            continue
        near = [abs(np.mean(v)) for d, v in by_distance.items() if d < 3 * n // 4]
        np.testing.assert_allclose(found["decay"], np.mean(near) if near else np.nan, rtol=1e-9)
        most = max(abs(x) for v in by_distance.values() for x in v)
        assert not found["decay"] > most


@pytest.mark.parametrize("name", EDITS | AT_EDGES)
def test_what_is_predicted_in_gaps_and_beyond_ends_does_not_count(comparisons, name):
    """Other numbers there, and every score is the same."""
    rng = np.random.default_rng(1)

    def spoiled(m, gaps):
        values = m.values.copy()
        noise = rng.normal(0, 3, values.shape)
        values[gaps], values[:, gaps] = noise[gaps], noise[:, gaps]
        return replace(m, values=values)

    for c in comparisons[name][1]:
        maps = [spoiled(m, g) for m, g in zip((c.alternate, *c.references), c.gaps, strict=True)]
        other = replace(c, alternate=maps[0], references=tuple(maps[1:]))
        choices = Choices(diamond=3, loops=(("a", 11_700, 12_100), ("b", 3_700, 4_000)))
        given = [k for k in np.flatnonzero(c.gaps[0]) if np.isfinite(c.reference.values[k]).any()]
        assert not given  # what is compared is no gap
        np.testing.assert_equal(score(other, choices), score(c, choices))


@pytest.mark.parametrize("name", EDITS | AT_EDGES)
def test_gaps_are_those_of_the_sequence(comparisons, name):
    """Of the reference where a bin came from it, else of the edited genome."""
    genome, found = comparisons[name]
    for c in found:
        m = c.alternate
        own = gap_fraction(genome, m.chrom, m.start, m.end, m.resolution) > MAX_GAP
        wanted = own.copy()
        for index, gaps in reversed(list(zip(c.bins, c.gaps[1:]))):
            wanted[index >= 0] = gaps[index[index >= 0]]
        np.testing.assert_array_equal(c.gaps[0], wanted)
        # bins of an event of no whole number of bins are off by half a bin at most
        assert (c.gaps[0] != own).sum() <= 4


@pytest.mark.parametrize("name", ["snv", "two", *AT_EDGES])
def test_insulation_is_cooltools(comparisons, name, tmp_path):
    """Of each map alone, with its gaps masked, where bins correspond."""
    compared = 0
    for c in comparisons[name][1]:
        tracks = [
            _insulation_of_cooltools(m, gaps, tmp_path / "m.cool")
            for m, gaps in zip((c.alternate, *c.references), c.gaps)
        ]
        change = np.full(len(c.touched), np.nan)
        for track, index in zip(tracks[1:], c.bins):
            here = (index >= 0) & ~np.isfinite(change)
            change[here] = tracks[0][here] - track[index[here]]
        if not np.isfinite(change).any():
            continue
        change -= np.nanmean(change)
        found = score(c, CHOICES)
        assert found["insulation"] == pytest.approx(np.nanmean(np.abs(change)), rel=1e-6)
        wanted = change[c.touched & np.isfinite(change)]
        if len(wanted):
            assert found["insulation_at"] == pytest.approx(wanted.mean(), rel=1e-6, abs=1e-12)
        compared += int(np.isfinite(change).sum())
    assert compared > 10


def _insulation_of_cooltools(m: ContactMap, gaps: np.ndarray, path: Path) -> np.ndarray:
    """(n,) log2 of a map's insulation, with a diamond of 3 bins; NaN at the ends of the map."""
    n, size, side = len(gaps), 1000, 3
    bins = cooler.binnify(pd.Series({"c": n * size}), size)
    bins["weight"] = np.where(gaps, np.nan, 1.0)
    i, j = np.triu_indices(n)
    pixels = pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": m.frequency[i, j]})
    cooler.create_cooler(str(path), bins, pixels, dtypes={"count": float})
    with cooler.Cooler(str(path)).open("r+") as group:
        group["bins/weight"].attrs["ignore_diags"] = 2
    c = cooler.Cooler(str(path))
    view = bioframe.make_viewframe(c.chromsizes)
    table = cooltools_insulation(
        c, [side * size], view_df=view, ignore_diags=2, min_frac_valid_pixels=0.5
    )
    track = table[f"log2_insulation_score_{side * size}"].to_numpy().copy()
    valid = table[f"n_valid_pixels_{side * size}"].to_numpy()
    track[gaps | (2 * valid < side**2 - 3)] = np.nan
    track[: side - 1] = track[n - side + 1 :] = np.nan
    return track


def noisy(seed, n=80, gaps=()):
    """Two maps of log observed/expected that differ a little, with unknown bins."""
    rng = np.random.default_rng(seed)
    one, two = (rng.normal(0, 0.4, (n, n)) for _ in range(2))
    a = one + one.T
    b = a + 0.3 * (two + two.T)
    for m in (a, b):
        m[list(gaps)] = m[:, list(gaps)] = np.nan
    return a, b


def crafted(a, b, resolution=1000):
    """A comparison of maps given by hand, of the same bins; the expected is 1."""
    n = len(a)
    region = Region("c", 0, n * resolution)
    maps = [ContactMap(v, np.ones_like(v), 0.0, region, resolution) for v in (a, b)]
    touched = np.arange(n) == n // 2
    site = Site("c", (n * resolution // 2,), 0, (("c", 0),))
    gaps = ~np.isfinite(np.diagonal(b))
    return Comparison(
        site, maps[0], maps[1], (maps[1],), (np.arange(n),), touched, (gaps, gaps.copy())
    )


@pytest.mark.parametrize("gaps", [(), (0, 1, 30, 31, 79)])
def test_scc_is_that_of_hicrep(gaps):
    """PyPI's hicrep without smoothing; pixels that are 0 in both are not there for it."""
    hicrep = pytest.importorskip("hicrep.hicrep")
    a, b = noisy(3, gaps=gaps)
    a += np.diag(np.linspace(-3, 3, len(a)))  # the main diagonal would tell
    theirs = hicrep.sccByDiag(*(scipy.sparse.coo_matrix(np.nan_to_num(m)) for m in (a, b)), len(a))
    found = score(crafted(a, b))
    assert found["one_minus_scc"] == pytest.approx(1 - theirs, rel=1e-9)
    assert 0.01 < found["one_minus_scc"] < 0.5


@pytest.mark.parametrize("gaps", [(), (0, 1, 30, 31, 79)])
def test_scores_of_akita_are_those_of_its_dense_maps(gaps):
    """Akita's maps are symmetric, with 0 on the two diagonals nearest to the main one."""
    a, b = noisy(5, gaps=gaps)
    n = len(a)
    near = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) < 2
    dense = [np.where(near, 0.0, np.nan_to_num(m)) for m in (a, b)]
    found = score(crafted(a, b))
    assert found["scd"] == pytest.approx(np.sqrt(((dense[0] - dense[1]) ** 2).sum() / 2))
    # and as a list of pairs, each once
    pairs = [(i, j) for i in range(n) for j in range(i + 2, n) if np.isfinite(b[i, j])]
    sums = [sum(m[i, j] ** 2 for i, j in pairs) for m in (a, b)]
    assert found["ssd"] == pytest.approx(sums[0] ** 0.5 - sums[1] ** 0.5)
    assert score(crafted(b, a))["ssd"] == pytest.approx(-found["ssd"])
    assert found["scd"] > 1 > 0.01 < abs(found["ssd"])
    # the two nearest diagonals do not count
    c = a + np.where(near, 7.0, 0.0)
    assert [score(crafted(c, a))[name] for name in ("scd", "ssd")] == [0.0, 0.0]


def test_a_map_against_itself_is_exactly_nothing():
    a, _ = noisy(4, gaps=(0, 1, 33))
    loops = (("c", 20_500, 55_500), ("c", 30_500, 60_500))
    found = score(crafted(a, a.copy()), Choices(diamond=5, loops=loops))
    assert (found.pop("pixels"), found.pop("loops")) == (77 * 78 / 2, 2)
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize("place", [("b", 3_900, 3_910), ("b", 0, 5), ("a", 23_990, 24_000)])
def test_the_same_letters_beside_gaps_and_ends_are_exactly_nothing(tmp_path, place):
    model, source = make_toy_model(), Drawn(SIZES, GAP)
    folder = save_bundle(tmp_path / "toy", model, make_toy_expected(model.spec))
    engine = make_engine(load_bundle(folder), source)
    chrom, start, end = place
    same = letters("".join("ACGT"[k] for k in source.codes[chrom][start:end]))
    genome = apply_edits(source, [Edit("sub", chrom, start, end, sequence=same)])
    (found,) = compare(
        Reference(engine, engine.spec.module("S")), [genome], footprints=[place], keep=[40, 80]
    )
    assert found
    for c in found:
        values = score(c, CHOICES)
        assert values.pop("pixels") > 3
        assert {v for v in values.values() if not np.isnan(v)} == {0.0}


def test_boundaries_beside_a_gap_need_no_counterpart_in_it():
    """A border in a gap is none; one beside it is found in both."""
    n = 60

    def domains(*borders):
        label = np.searchsorted(borders, np.arange(n), side="right")
        m = np.where(label[:, None] == label[None, :], 1.0, 0.0)
        m[28:32] = m[:, 28:32] = np.nan
        return m

    with_gap = score(crafted(domains(15, 30), domains(15)), Choices(diamond=5, near=2))
    assert (with_gap["boundaries_gained"], with_gap["boundaries_lost"]) == (0, 0)
    moved = score(crafted(domains(15, 45), domains(15)), Choices(diamond=5, near=2))
    assert (moved["boundaries_gained"], moved["boundaries_lost"]) == (1, 0)


def test_a_loop_that_two_windows_of_the_reference_show_is_one():
    a, b = noisy(6, 60)
    c = crafted(a, b)
    c = replace(c, references=c.references * 2, bins=c.bins * 2, gaps=(*c.gaps, c.gaps[1]))
    found = score(c, Choices(diamond=5, loops=(("c", 20_500, 40_500),)))
    change = (a - b)[15:26, 35:46]
    ring = np.ones((11, 11), dtype=bool)
    ring[3:8, 3:8] = False
    assert found["loops"] == 1
    assert found["loop_change"] == pytest.approx(change[4:7, 4:7].mean() - change[ring].mean())


def test_a_loop_beside_a_gap_is_compared_where_half_is_known():
    loop = (("c", 20_500, 40_500),)
    for gaps, known in (((24,), True), ((24, 25, 44), True), ((19, 20), False)):
        a, b = noisy(7, 60, gaps)
        found = score(crafted(a, b), Choices(diamond=5, loops=loop))
        assert (found["loops"], np.isfinite(found["loop_change"])) == (known, known)
