"""The paper's protocol on a toy model: measured maps made from its own predictions, and what must
not count.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pandas as pd
import pytest
from conftest import make_toy_expected, make_toy_model

from orca_cool.errors import CoolerError, ModelError, RegionError
from orca_cool.evaluate.accumulate import LevelSums, ScoreSettings
from orca_cool.evaluate.inputs import (
    TilingZoom,
    draw_segments,
    pixels_between_chromosomes,
    tile_chromosome,
)
from orca_cool.evaluate.maps import (
    HalfMap,
    MeasuredMaps,
    MeasuredWindow,
    block_window,
    check_sizes,
    split_counts,
)
from orca_cool.evaluate.options import EvaluationOptions
from orca_cool.evaluate.protocol import ModelEvaluation
from orca_cool.evaluate.result import Result
from orca_cool.genome.open import open_genome
from orca_cool.genome.regions import n_bins
from orca_cool.genome.segments import Segment
from orca_cool.maps.observed import ObservedMap, block_mean, log_ratio
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.prediction.engine import Engine, make_engine
from orca_cool.prediction.progress import Report
from orca_cool.prediction.windows import concatenated_chromosomes, fill_with_chromosomes

SIZES = {"a": 7680, "b": 5120, "c": 9010}
SCALE = 1e7  # counts per unit of frequency: so many that coarse-graining changes nothing


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    folder = tmp_path_factory.mktemp("protocol")
    rng = np.random.default_rng(7)
    (folder / "toy.fa").write_text(
        "".join(f">{c}\n{''.join(rng.choice(list('ACGT'), n))}\n" for c, n in SIZES.items())
    )
    model = make_toy_model()
    bundle = load_bundle(save_bundle(folder / "toy", model, make_toy_expected(model.spec)))
    return make_engine(bundle, open_genome(folder / "toy.fa"), "cpu")


def score_model(
    engine: Engine,
    module: ModuleSpec,
    observed: Path,
    chroms: Iterable[str],
    *,
    step: int | None = None,
    phase: int = 0,
    trans: int = 0,
    progress: Report = lambda done, total: None,
    **options: Any,
) -> Result:
    """A model scored by the paper's protocol; ``options``: see EvaluationOptions."""
    options = EvaluationOptions(observed=str(observed), chroms=tuple(chroms), **options)
    evaluation = ModelEvaluation.open(engine, module, options, step=step, phase=phase, trans=trans)
    return evaluation.run(progress)


def write_map(
    path: Path,
    binsize: int,
    maps: Mapping[tuple[str, str], np.ndarray],
    masked=(),
    sizes: Mapping[str, int] = SIZES,
) -> Path:
    """A balanced cooler of dense frequencies between chromosomes; ``masked`` bins have no weight."""
    bins = cooler.binnify(pd.Series(dict(sizes)), binsize)
    bins["weight"] = SCALE**-0.5
    first = dict(zip(sizes, np.cumsum([0, *(n_bins(n, binsize) for n in sizes.values())]).tolist()))
    for chrom, k in masked:
        bins.loc[first[chrom] + k, "weight"] = np.nan
    parts = []
    for (c1, c2), f in maps.items():
        i, j = np.triu_indices(len(f)) if c1 == c2 else np.indices(f.shape).reshape(2, -1)
        parts.append(
            pd.DataFrame(
                {
                    "bin1_id": first[c1] + i,
                    "bin2_id": first[c2] + j,
                    "count": np.rint(f[i, j] * SCALE).astype(np.int64),
                }
            )
        )
    pixels = pd.concat(
        [pd.DataFrame({"bin1_id": [0], "bin2_id": [0], "count": [1]})] if not parts else parts
    )
    pixels = pixels.sort_values(["bin1_id", "bin2_id"])
    cooler.create_cooler(str(path), bins, pixels[pixels["count"] > 0], dtypes={"count": np.int64})
    return path


def frequency(y: np.ndarray, expected: np.ndarray, eps: float) -> np.ndarray:
    """Of a log ratio, made flatter and higher so that no frequency is below 0: that changes no r."""
    assert y.min() > -6
    return np.exp(0.3 * (y + 6)) * (expected + eps) - eps


def from_predictions(
    engine: Engine, chrom: str, level: int, base: int, change: Callable = lambda y: y
) -> np.ndarray:
    """(n, n) frequency at ``base``: in the level's windows, which do not overlap, the model's own,
    elsewhere 1e-3.
    """
    module = engine.spec.module("S")
    n, f = n_bins(SIZES[chrom], base), level // base
    whole = np.full((n + 99 * f, n + 99 * f), 1e-3)
    for position in range(1280, SIZES[chrom] - 1279, 16 * level):
        m = next(m for m in engine.zoom(module, chrom, position) if m.resolution == level)
        a = m.start // base
        whole[a : a + 16 * f, a : a + 16 * f] = np.kron(
            frequency(change(m.values), m.expected, m.eps), np.ones((f, f))
        )
    return whole[:n, :n]


@pytest.mark.parametrize("level", [160, 80, 40])
def test_a_map_made_of_the_prediction_is_predicted(engine, tmp_path, level):
    module = engine.spec.module("S")
    path = write_map(
        tmp_path / "m.cool",
        40,
        {(c, c): from_predictions(engine, c, level, 40) for c in ("a", "b")},
    )
    calls = []
    options = {"levels": str(level), "step": 16 * level, "progress": lambda *k: calls.append(k)}
    result = score_model(engine, module, path, ["a", "b"], **options)
    assert [(s.chrom, s.kind, s.resolution) for s in result.scores] == [
        ("a", "cis", level),
        ("b", "cis", level),
        ("all", "cis", level),
    ]
    for s in result.scores:
        m = s.metrics["model"]
        assert m.r > 0.99
        assert m.r_distance > 0.99
        assert m.scc > 0.95  # of frequencies, which are no straight function of the log ratio here
        assert m.spearman > 0.98
        assert m.r_window[1] > 0.99
        assert s.ceiling > 0.99
        assert np.isnan(m.compartments)  # a window of 16 bins
        assert m.r_contact > 0.8
        assert s.metrics["distance"].r == 0
    assert result.scores[2].pixels == result.scores[0].pixels + result.scores[1].pixels
    assert calls[-1] == (len(calls), len(calls))


def test_a_permuted_map_is_not(engine, tmp_path):
    """Pixels of a distance change places: the decay stays, all else is gone."""
    rng = np.random.default_rng(3)

    def shuffled(y: np.ndarray) -> np.ndarray:
        out = np.zeros_like(y)
        for d in range(len(y)):
            values = rng.permutation(np.diagonal(y, d) - np.diagonal(y, d).mean())
            k = np.arange(len(values))
            out[k, k + d] = out[k + d, k] = values
        return out

    path = write_map(
        tmp_path / "m.cool", 40, {("a", "a"): from_predictions(engine, "a", 40, 40, shuffled)}
    )
    (s,) = score_model(
        engine, engine.spec.module("S"), path, ["a"], levels="40", step=640, ceiling=False
    ).scores
    assert s.pixels > 1000
    assert abs(s.r) < 0.1
    assert abs(s.metrics["model"].r_distance) < 0.15
    assert s.ceiling is None
    assert s.metrics["distance"].r_contact > 0.9


def noise(seed: int = 0, sizes: Mapping[str, int] = SIZES) -> dict[tuple[str, str], np.ndarray]:
    """Random cis maps at 40 bp."""
    rng, out = np.random.default_rng(seed), {}
    for c, size in sizes.items():
        n = n_bins(size, 40)
        y = rng.gamma(5, 0.2, (n, n)) / (1 + np.abs(np.subtract.outer(np.arange(n), np.arange(n))))
        out[c, c] = np.triu(y) + np.triu(y, 1).T
    return out


def test_pooled_r_is_that_of_all_pixels_in_memory(engine, tmp_path):
    """Overlapping windows, four levels' steps; nothing of the streaming code takes part on the
    other side.
    """
    path, module = write_map(tmp_path / "m.cool", 40, noise()), engine.spec.module("S")
    result = score_model(engine, module, path, ["a", "c"], step=360, ceiling=False, nearest=1)
    observed = ObservedMap(path, 40)
    pixels: dict[tuple[str, int], list] = {}
    seen = set()
    for c in ("a", "c"):
        for start in range(0, SIZES[c] - 2560 + 360, 360):
            for m in engine.zoom(module, c, start + 1280):
                if (c, m.resolution, m.start) in seen:
                    continue
                seen.add((c, m.resolution, m.start))
                there = min(SIZES[c], m.end) // 40 + 1 - m.start // 40
                fine = block_mean(
                    observed.dense(Segment(c, m.start, m.end)),
                    m.resolution // 40,
                    0.25,
                    (there, there),
                )
                y = log_ratio(fine, m.expected, m.eps)
                i, j = np.nonzero(np.triu(np.isfinite(y), 1))
                pixels.setdefault((c, m.resolution), []).append(np.array([m.values[i, j], y[i, j]]))
    for s in result.scores:
        parts = list(
            itertools.chain(
                *(v for (c, r), v in pixels.items() if r == s.resolution and s.chrom in (c, "all"))
            )
        )
        x, y = np.concatenate(parts, axis=1).astype(float)
        assert s.pixels == len(x)
        assert s.metrics["model"].windows == len(parts)
        assert s.r == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-6)
        single = [np.corrcoef(p)[0, 1] for p in parts]
        expected = [np.mean(single), *np.percentile(single, (10, 50, 90))]
        assert s.metrics["model"].r_window == pytest.approx(expected, rel=1e-4)


def test_pixels_with_too_little_in_them_are_left_out(engine, tmp_path):
    """A masked fine bin is half of a bin at 80 bp, a quarter of one at 160 bp: of its pixels with
    others 50 and 25 % are missing.

    Two windows of 16 bins at each level; the bin lies in the first.
    """
    module = engine.spec.module("S")
    plain, holed = (
        write_map(tmp_path / "m.cool", 40, noise()),
        write_map(tmp_path / "holed.cool", 40, noise(), masked=[("a", 32)]),
    )
    options = {"levels": "80,160", "step": 5120, "ceiling": False}
    before = {
        s.resolution: s.pixels for s in score_model(engine, module, plain, ["a"], **options).scores
    }
    after = {
        s.resolution: s.pixels for s in score_model(engine, module, holed, ["a"], **options).scores
    }
    assert before == {80: 272, 160: 272}
    assert after == {80: 272 - 16, 160: 272 - 1}
    kept = {
        s.resolution: s.pixels
        for s in score_model(engine, module, holed, ["a"], missing=0.5, **options).scores
    }
    assert kept == {80: 272 - 1, 160: 272}


def test_tiling_of_a_long_chromosome():
    """chr8 of hg38 as in the paper; each window once, every one on the measured map's bins."""
    levels = tuple(4000 * 2**k for k in range(5, -1, -1))
    zooms = tile_chromosome(145_138_636, levels, 250, 500_000, unit=4000)
    top = [s.new_windows[128_000] for s in zooms]
    assert top[:3] == [0, 500_000, 1_000_000]
    assert len(top) == (145_138_636 - 32_000_000) // 500_000 + 2
    assert 145_138_636 - 32_000_000 - 128_000 < top[-1] <= 145_138_636 - 32_000_000
    for r in levels:
        starts = [s.new_windows[r] for s in zooms]
        assert len(set(starts)) == len(starts)
        assert all(a % 4000 == 0 and 0 <= a and a + 250 * r <= 145_138_636 for a in starts)
        assert all(abs(a + 125 * r - s.position) <= 128_000 for a, s in zip(starts, zooms[:-1]))
    shifted = tile_chromosome(145_138_636, levels, 250, 500_000, phase=200_000, unit=4000)
    assert shifted[0].new_windows[128_000] == 200_000


def test_tiling_of_a_short_chromosome():
    """One top window holds it: it comes once, and the zooms tile the chromosome."""
    zooms = tile_chromosome(6100, (640, 320, 160), 16, 160)
    assert [s.new_windows for s in zooms if 640 in s.new_windows] == [{640: 0, 320: 0, 160: 0}]
    every = [(r, a) for s in zooms for r, a in s.new_windows.items()]
    assert len(set(every)) == len(every)
    assert max(a for r, a in every if r == 160) == 4800  # centred on 6,080, the last position
    # a multi-chromosome module keeps them in the chromosome
    own = tile_chromosome(6100, (640, 320, 160), 16, 160, within=6080)
    assert max(a for s in own for r, a in s.new_windows.items() if r == 160) <= 6080 - 2560
    assert tile_chromosome(9010, (160, 80, 40), 16, 640, phase=20_000) == []


def test_a_window_that_cannot_slide_in_phase_is_left_out():
    assert tile_chromosome(2570, (160, 80, 40), 16, 40, unit=40) == [
        TilingZoom(1280, {160: 0, 80: 640, 40: 960})
    ]


@pytest.mark.parametrize("seed", range(20))
def test_random_inputs_between_chromosomes(seed):
    big = {
        f"chr{k}": size
        for k, size in enumerate((145_138_636, 138_394_717, 133_797_422, 242_193_529))
    }
    segments = draw_segments(np.random.default_rng(seed), big, 256_000_000, 32_000)
    assert 256_000_000 - 64_000_000 < sum(map(len, segments)) <= 256_000_000
    assert len({p.chrom for p in segments}) == len(segments) > 1
    for p in segments:
        assert 64_000_000 <= len(p) <= 128_000_000
        assert p.start % 32_000 == p.end % 32_000 == 0
        assert 0 <= p.start
        assert p.end <= big[p.chrom]
    small = draw_segments(np.random.default_rng(seed), SIZES, 10_240, 160)
    assert all(len(p) <= 5120 for p in small)
    assert segments == draw_segments(np.random.default_rng(seed), big, 256_000_000, 32_000)
    assert segments != draw_segments(np.random.default_rng(seed + 100), big, 256_000_000, 32_000)


def test_pixels_between_chromosomes_by_hand():
    segments = [Segment("a", 0, 300), Segment("b", 500, 700), Segment("a", 1000, 1100)]
    # bins of 100 bp from 100: a, a, b, b, a, nothing
    one = pixels_between_chromosomes(segments, 100, 100, 6)
    a, b = [0, 1, 4], [2, 3]
    expected = np.zeros((6, 6), bool)
    expected[np.ix_(a, b)] = expected[np.ix_(b, a)] = True
    np.testing.assert_array_equal(one, expected)
    # bins of 200 bp: a; a and b; b and a; nothing
    assert not pixels_between_chromosomes(segments, 0, 200, 4).any()


def test_contacts_between_chromosomes_of_the_prediction_are_predicted(engine, tmp_path):
    """The map is the model's own prediction of the very input that the seed draws, put in place
    strand by strand; cis is noise.
    """
    module, seed = engine.spec.module("G"), 5
    segments = draw_segments(np.random.default_rng(seed), {c: SIZES[c] for c in "abc"}, 10_240, 160)
    assert {p.strand for p in segments} == {"+", "-"}
    filled = fill_with_chromosomes(list(segments), SIZES, 10_240, 160)
    (top, *_) = engine.zoom_concatenated(module, filled, {640: 0, 320: 0, 160: 0})
    f = np.kron(frequency(top.values, top.expected, top.eps), np.ones((4, 4)))
    names = list(SIZES)
    maps = {
        k: np.full((n_bins(SIZES[k[0]], 160), n_bins(SIZES[k[1]], 160)), 1e-3)
        for k in itertools.combinations(names, 2)
    }
    rng = np.random.default_rng(0)
    maps |= {(c, c): (lambda y: y + y.T)(rng.random((n_bins(SIZES[c], 160),) * 2)) for c in names}
    offsets = (np.cumsum([0, *map(len, segments)]) // 160).tolist()
    # whole bins of 640 bp in each piece
    whole = [(i + len(p) // 160) // 4 - -(-i // 4) for p, i in zip(segments, offsets)]
    for (p, i), (q, j) in itertools.permutations(zip(segments, offsets), 2):
        part = f[i : i + len(p) // 160, j : j + len(q) // 160]
        part = part[:: 1 if p.strand == "+" else -1, :: 1 if q.strand == "+" else -1]
        if (p.chrom, q.chrom) in maps:
            maps[p.chrom, q.chrom][p.start // 160 : p.end // 160, q.start // 160 : q.end // 160] = (
                part
            )
    path = write_map(tmp_path / "m.cool", 160, maps)
    # `nearest` is a distance within chromosomes, and leaves out nothing between them
    options = {"nearest": 3, "seed": seed, "ceiling": False}
    result = score_model(
        engine, module, path, ["a", "b", "c"], levels="640", step=3200, trans=1, **options
    )
    (s,) = (s for s in result.scores if s.kind == "trans")
    assert s.r > 0.99
    assert s.metrics["model"].spearman > 0.98
    assert s.metrics["model"].windows == 1
    assert s.pixels == sum(x * y for x, y in itertools.combinations(whole, 2)) > 50
    assert np.isnan(s.metrics["model"].r_distance)
    assert all(abs(c.r) < 0.7 for c in result.scores if c.kind == "cis")
    # more inputs, at every level
    result = score_model(engine, module, path, ["a", "b", "c"], step=3200, trans=4, **options)
    assert {s.resolution for s in result.scores if s.kind == "trans"} == {160, 320, 640}
    assert (
        next(s for s in result.scores if (s.kind, s.resolution) == ("trans", 640))
        .metrics["model"]
        .windows
        == 4
    )


def test_a_zoom_into_concatenated_chromosomes_is_that_of_the_chromosome(engine):
    """At the top level; below it only the expected of the second strand differs, and not where the
    window is its own mirror image.
    """
    module = engine.spec.module("G")
    segments = concatenated_chromosomes("c", SIZES, 10_240, 160)
    zoom = engine.zoom(module, "c", 5120)
    starts = {m.resolution: m.start // m.resolution for m in zoom}
    assert starts == {640: 0, 320: 8, 160: 24}
    for one, two in zip(zoom, engine.zoom_concatenated(module, segments, starts)):
        np.testing.assert_array_equal(one.values, two.values)
        np.testing.assert_array_equal(one.expected, two.expected)
        assert (one.start, one.end, one.eps) == (two.start, two.end, two.eps)
    values, _ = engine.trans(module, Segment("a", 0, 5120), Segment("b", 0, 3200))
    (top, *_) = engine.zoom_concatenated(
        module,
        fill_with_chromosomes([Segment("a", 0, 5120), Segment("b", 0, 3200)], SIZES, 10_240, 160),
        starts,
    )
    np.testing.assert_allclose(top.values[:8, 8:13], values, atol=1e-5)


def test_a_multi_chromosome_module_is_scored_within_the_chromosome(engine, tmp_path):
    """Pixels of the chromosome's own part of the input alone, in whole bins; other chromosomes fill
    the rest.
    """
    path = write_map(
        tmp_path / "m.cool", 160, {("c", "c"): np.ones((57, 57)) * 0.01 + np.diag(np.ones(57))}
    )
    result = score_model(engine, engine.spec.module("G"), path, ["c"], step=1600, ceiling=False)
    top = next(s for s in result.scores if s.resolution == 640)
    assert top.pixels == 14 * 15 // 2  # 9,010 bp: 56 bins of 160 bp, 14 of 640
    fine = next(s for s in result.scores if s.resolution == 160)
    assert fine.pixels == fine.metrics["model"].windows * 136


def test_everything_is_scored_on_the_pixels_of_the_model():
    rng = np.random.default_rng(0)
    y, model, other = rng.normal(size=(3, 40, 40))
    y[4], model[9:12], other[20] = np.nan, np.nan, np.nan
    sums = LevelSums("a", 40, 40, ScoreSettings(nearest=0))
    sums.add(
        MeasuredWindow(y, other, (y, other)), {"model": model, "telomere": y}, np.zeros((40, 40))
    )
    found = sums.score().metrics
    count = np.triu(np.isfinite(y) & np.isfinite(model))
    assert {name: m.pixels for name, m in found.items()} == {
        "model": count.sum(),
        "distance": count.sum(),
        "telomere": count.sum(),
        "replicate": (count & np.isfinite(other)).sum(),
        "halves": (count & np.isfinite(other)).sum(),
    }
    assert found["telomere"].r == pytest.approx(1)
    assert found["halves"].r == found["replicate"].r  # of y and the other here


def test_a_replicate_is_scored_like_a_prediction(engine, tmp_path):
    module = engine.spec.module("S")
    maps = noise()
    path = write_map(tmp_path / "m.cool", 40, maps)
    again = write_map(
        tmp_path / "again.cool",
        40,
        {k: v * np.exp(np.random.default_rng(1).normal(0, 0.05)) for k, v in maps.items()},
    )
    options = {"step": 1280, "ceiling": False}
    for s in score_model(engine, module, path, ["a"], replicate=str(again), **options).scores:
        assert s.replicate == pytest.approx(1, abs=1e-3)
        assert s.metrics["replicate"].pixels == s.pixels
    other = write_map(tmp_path / "other.cool", 40, noise(2))
    assert (
        abs(
            score_model(engine, module, path, ["a"], replicate=str(other), **options)
            .scores[0]
            .replicate
        )
        < 0.3
    )


def test_halves_add_up_to_the_map(tmp_path):
    path = write_map(tmp_path / "m.cool", 40, noise())
    one, two = HalfMap(path, 40, 0), HalfMap(path, 40, 1)
    whole = cooler.Cooler(str(path)).matrix(balance=False)
    for place in ((("a", 0, 7680), ("a", 0, 7680)), (("a", 0, 400), ("b", 40, 800))):
        x, y = (
            one.cooler.matrix(balance=False).fetch(*place),
            two.cooler.matrix(balance=False).fetch(*place),
        )
        np.testing.assert_array_equal(x + y, whole.fetch(*place))
        assert (x != y).any() or x.sum() == 0
        np.testing.assert_array_equal(
            x, HalfMap(path, 40, 0).cooler.matrix(balance=False).fetch(*place)
        )
        if place[0] == place[1]:
            np.testing.assert_array_equal(x, x.T)
            assert (
                x != HalfMap(path, 40, 0, seed=2).cooler.matrix(balance=False).fetch(*place)
            ).any()
    # twice the half: the map's own frequency
    square = Segment("a", 0, 2000)
    assert np.nanmean(one.dense(square)) == pytest.approx(
        np.nanmean(ObservedMap(path, 40).dense(square)), rel=0.01
    )
    first, second = split_counts(np.full((300, 400), 9), np.random.default_rng(0), False)
    assert (first + second == 9).all()
    assert first.mean() == pytest.approx(4.5, abs=0.02)


def test_counts_that_are_no_counts_cannot_be_split(tmp_path):
    bins = cooler.binnify(pd.Series(SIZES), 40).assign(weight=1.0)
    cooler.create_cooler(
        str(tmp_path / "f.cool"),
        bins,
        pd.DataFrame({"bin1_id": [0], "bin2_id": [1], "count": [0.5]}),
        dtypes={"count": float},
    )
    options = EvaluationOptions(observed=str(tmp_path / "f.cool"), chroms=("a",))
    with pytest.raises(CoolerError, match=r"float64.*--no-ceiling"):
        MeasuredMaps.open(options, 40, 0.25)
    assert MeasuredMaps.open(replace(options, ceiling=False), 40, 0.25).halves is None


@pytest.mark.parametrize(
    ("start", "end", "resolution"),
    [(0, 2560, 40), (400, 6800, 80), (5120, 10240, 160), (8960, 11520, 160)],
)
def test_block_window_is_the_block_mean_of_the_whole(tmp_path, monkeypatch, start, end, resolution):
    """Strip by strip, at an end of the chromosome too, where what does not exist is not missing."""
    path = write_map(tmp_path / "m.cool", 40, noise(), masked=[("c", 33), ("c", 140), ("c", 141)])
    m = ObservedMap(path, 40)
    there = n_bins(9010, 40) - start // 40
    expected = block_mean(m.dense(Segment("c", start, end)), resolution // 40, 0.25, (there, there))
    monkeypatch.setattr("orca_cool.evaluate.maps.STRIP", 3 * (end - start) // 40 * resolution // 40)
    found = block_window(m, "c", start, end, resolution, 0.25)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found, found.T)
    assert np.isfinite(found).any()


def test_baselines_learn_position_from_the_training_chromosomes(engine, tmp_path):
    """The measured map is a function of the distance from the ends: baseline (a) finds it, the
    model does not.
    """
    maps = {}
    module = engine.spec.module("S")
    rng = np.random.default_rng(1)
    for c, size in SIZES.items():
        n = n_bins(size, 40)
        i = np.arange(n)
        end = np.minimum(i, n - 1 - i)
        d = np.abs(np.subtract.outer(i, i))
        y = np.where(np.minimum.outer(end, end) < 60, 1.0, 0.0) + rng.normal(0, 0.05, (n, n))
        maps[c, c] = np.exp(np.triu(y) + np.triu(y, 1).T) * 0.1 / (1.0 + d) ** 0.9
    path = write_map(tmp_path / "m.cool", 40, maps)
    (s,) = score_model(
        engine, module, path, ["a"], step=640, levels="40", train=("b", "c"), ceiling=False
    ).scores
    assert s.telomere > 0.9
    assert abs(s.r) < 0.4
    assert s.centromere is None


BAD = [
    (lambda p: {"step": 60}, RegionError, "--step 60 is not a multiple.*40 bp"),
    (lambda p: {"phase": 30}, RegionError, "--window-phase 30"),
    (lambda p: {"chroms": ["A"]}, RegionError, "'A' is not in .*did you mean 'a'"),
    (lambda p: {"train": ("b", "a")}, RegionError, "'a' is to be evaluated and to train"),
    (lambda p: {"levels": "60"}, ModelError, "no level '60'; it has: .*40"),
    (
        lambda p: {"base": 80, "observed": p["coarse"], "levels": "40"},
        ModelError,
        "80 bp .--base. cannot be averaged to level 40",
    ),
    (lambda p: {"base": 20}, CoolerError, "m.cool' has bins of 40 bp; 20 are needed"),
    (lambda p: {"base": 320, "observed": p["coarse"]}, ModelError, "no level is a multiple of 320"),
    (lambda p: {"trans": 2}, ModelError, "'S'.*--trans"),
    (
        lambda p: {"module": "G", "trans": 2, "base": 40},
        RegionError,
        "--trans 2 needs two chromosomes",
    ),
    (
        lambda p: {"observed": p["longer"]},
        RegionError,
        "'toy'.*longer.cool.*one assembly: a is 7,680 bp in the first, 7,780 bp",
    ),
    (lambda p: {"replicate": str(p["longer"])}, RegionError, "m.cool.*longer.cool.*one assembly"),
    (
        lambda p: {"replicate": str(p["coarse"])},
        CoolerError,
        "coarse.cool' has bins of 80 bp; 40 are needed",
    ),
    (lambda p: {"observed": p["raw"]}, CoolerError, "not balanced"),
    (lambda p: {"phase": 40_000}, RegionError, "no window"),
]


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("maps")
    found = {"observed": write_map(folder / "m.cool", 40, noise())}
    longer = SIZES | {"a": 7780}
    found["longer"] = write_map(folder / "longer.cool", 40, noise(0, longer), sizes=longer)
    found["coarse"] = write_map(folder / "coarse.cool", 80, {})
    bins = cooler.binnify(pd.Series(SIZES), 40)
    cooler.create_cooler(
        str(folder / "raw.cool"), bins, pd.DataFrame({"bin1_id": [0], "bin2_id": [1], "count": [1]})
    )
    return found | {"raw": folder / "raw.cool"}


@pytest.mark.parametrize(("changes", "error", "words"), BAD)
def test_bad_input_is_named(engine, paths, changes, error, words):
    options = {"observed": paths["observed"], "chroms": ["a"], "module": "S"} | changes(paths)
    module = engine.spec.module(options.pop("module"))
    with pytest.raises(error, match=words) as caught:
        score_model(engine, module, options.pop("observed"), options.pop("chroms"), **options)
    assert "\n" not in str(caught.value)


def test_sizes_that_differ_within_a_bin_are_one_assembly(caplog):
    check_sizes(["x"], {"x": 1999}, "map 'm'", {"x": 1994}, "genome 'g'", 1000)
    assert "x is 1999 bp in map 'm', 1994 bp in genome 'g'" in caplog.text
    with pytest.raises(RegionError, match=r"map 'm' and genome 'g'.*1,999 bp.*2,001 bp"):
        check_sizes(["x"], {"x": 1999}, "map 'm'", {"x": 2001}, "genome 'g'", 1000)
