"""Training samples by the rules of the released training scripts, each rule written out here
independently: where windows lie, what they are compared with, and which of them count.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cooler
import numpy as np
import pytest
import torch
import yaml
from cooltools.lib.numutils import adaptive_coarsegrain
from hg38 import SIZES as HG38
from scipy.stats import chisquare
from toy_training import SIZES, toy_config, write_map

from orca_cool.errors import TrainingError
from orca_cool.genome.intervals import Interval
from orca_cool.genome.open import open_genome
from orca_cool.genome.segments import Segment
from orca_cool.train.batch import Sample, collate
from orca_cool.train.blacklist import Blacklist
from orca_cool.train.config import load_config, parse_config
from orca_cool.train.draw import centre_zoom, draw_by_length, draw_shifts, draw_zoom
from orca_cool.train.samples import TRAIN, VALIDATION, StageData
from orca_cool.train.settings import Stage
from orca_cool.train.setup import Run
from orca_cool.train.targets import with_common_eps

CONFIGS = Path(__file__).parents[2] / "orca_cool" / "data" / "configs"

#: What the released scripts do, stage by stage, where a configuration can say it.
PAPER: dict[str, dict[str, Any]] = {
    "h1esc-1M": {"batch": 16, "lr": 0.002, "shift": 100, "missing": 1.0, "validation": 2048,
                 "one_pass": 2, "schedule": "plateau", "factor": 0.9, "plateau": 10,
                 "threshold": 0.0, "average": "swa", "average_restart": True, "norms": "running",
                 "loss_over": "measured"},
    "h1esc-32M": {"batch": 4, "lr": 0.001, "shift": 1000, "missing": 0.5, "missing_of": "map",
                  "validation": 396, "schedule": "constant", "average": "none",
                  "validation_zoom": "centre", "validation_missing": 0.3, "loss_over": "measured"},
    "h1esc-256M": {"batch": 4, "lr": 0.001, "shift": 4000, "missing": 0.5, "missing_of": "map",
                   "validation": 396, "schedule": "constant", "average": "none",
                   "validation_zoom": "centre", "validation_missing": 0.3, "loss_over": "all",
                   "chromosomes": "by_length", "shift_each": True, "batch_eps": True},
}  # fmt: skip

#: Keys of a stage that do nothing in these three: what belongs to another optimiser, schedule or
#: average, to profiles alone, or to modules of another kind.
IDLE = {
    "h1esc-1M": {"microbatch", "norm_samples", "decay", "mix", "around", "fewer", "shift_each",
                 "chromosomes", "batch_eps", "validation_zoom"},
    "h1esc-32M": {"microbatch", "mix", "around", "fewer", "shift_each", "chromosomes", "batch_eps",
                  "one_pass", "profiles", "factor", "plateau", "threshold", "average_from",
                  "average_restart", "norms", "norm_samples", "decay"},
    "h1esc-256M": {"microbatch", "mix", "around", "dots", "overhang", "one_pass", "profiles",
                   "factor", "plateau", "threshold", "average_from", "average_restart", "norms",
                   "norm_samples", "decay"},
}  # fmt: skip

#: Digests, before keys were added, of the configurations that made the shipped models.
FORMER = {
    "extrusion-motifs-20": "83a97b674ab4a366",
    "extrusion-motifs-200": "1f93f2e646587d28",
    "extrusion": "bf8071208bdab37a",
    "yeast-deep-first": "0ded88e64d3e6de3",
    "yeast-deep": "cae33b31a8666b07",
    "yeast-g1": "00720f827f4ff612",
    "yeast-metaphase-first": "11d8f22298e9b558",
    "yeast-metaphase": "53d0a8678a8c4ca3",
}


def data_of(folder: Path, number: int, **changes: Any) -> StageData:
    """Samples of one of the toy stages; of ``changes`` those of the configuration are under
    ``config``.
    """
    config = toy_config(folder) | changes.pop("config", {})
    config["stages"][number].update(changes)
    source = open_genome(folder / "g.fa")
    return Run(parse_config(config, folder), folder / "run", source).data(number)


def pieces_of(where: str) -> list[Segment]:
    """The segments that a sample names."""
    found = []
    for part in where.partition(" shifted")[0].split(" ")[1:]:
        chrom, _, rest = part.partition(":")
        start, end = (int(x.replace(",", "")) for x in rest[: rest.index("(")].rsplit("-", 1))
        found.append(Segment(chrom, start, end, rest[-2]))
    return found


# -- configurations


@pytest.mark.parametrize("name", PAPER)
def test_human_configurations_spell_out_every_value_of_the_paper(name):
    config = load_config(CONFIGS / f"{name}.yaml")
    (stage,) = config.stages
    found = {key: getattr(stage, key) for key in PAPER[name]}
    assert found == PAPER[name]
    assert (stage.clip, stage.momentum, stage.optimizer) == (0.0, 0.98, "sgd")
    assert (stage.half_open, stage.weights, stage.score) == (True, "last", "window")
    assert (stage.validate, stage.patience, stage.weight_decay) == (2000, 0, 0.0)
    assert (config.precision, config.block_missing, config.cutoff) == ("32-true", 1.0, 5.0)
    assert config.coarse_graining == "windows"
    assert (config.test, config.validation) == (("chr9", "chr10"), ("chr8",))
    assert config.exclude == ("chrM",)
    assert bool(config.blacklist) == (name != "h1esc-256M")
    (written,) = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["stages"]
    fields = set(Stage.__dataclass_fields__)
    assert fields - set(written) == IDLE[name]  # no class default decides a number


def test_the_256M_module_of_the_paper_has_the_eps_of_each_window():
    config = load_config(CONFIGS / "h1esc-256M.yaml")
    spec = config.spec(["a"], {})
    assert [m.eps for m in spec.modules] == ["table", "window", "table"]


@pytest.mark.parametrize("name", FORMER)
def test_shipped_models_are_trained_as_they_were(name):
    """Checkpoints of their runs still belong to their configurations."""
    assert load_config(CONFIGS / f"{name}.yaml").digest() == FORMER[name]


def test_an_old_configuration_of_the_256M_module_keeps_its_eps(tmp_path):
    data = {**toy_config(tmp_path), "model": {"orca": "h1esc", "modules": ["32M", "256M"]}}
    spec = parse_config(data, tmp_path).spec(["a"], {})
    assert {m.eps for m in spec.modules} == {"table"}


# -- chromosomes of a 256M window


def test_chromosomes_are_drawn_by_length_with_replacement():
    """A window no longer than the shortest chromosome holds exactly one draw: 10,000 of them."""
    rng = np.random.default_rng(7)
    drawn = Counter(draw_by_length(rng, HG38, 40_000_000, 32_000)[0].chrom for _ in range(10_000))
    total = sum(HG38.values())
    expected = [10_000 * n / total for n in HG38.values()]
    assert chisquare([drawn[c] for c in HG38], expected).pvalue > 0.001
    even = [10_000 / len(HG38)] * len(HG38)  # what it was: each chromosome as likely as another
    assert chisquare([drawn[c] for c in HG38], even).pvalue < 1e-6


def released_window(rng: np.random.Generator, window: int, unit: int) -> list[tuple[str, int, int]]:
    """The released sampler's rule: by length, a start so that the rest fits if it can, whole bins."""
    names, sizes = list(HG38), np.array(list(HG38.values()))
    found, length = [], 0
    while length < window:
        k = rng.choice(len(names), p=sizes / sizes.sum())
        left = window - length
        start = rng.integers(0, max(1, sizes[k] - left))
        start -= start % unit
        end = sizes[k] if start + left > sizes[k] else start + left
        end -= end % unit
        found.append((names[k], int(start), int(end)))
        length += end - start
    return found


def test_windows_of_several_chromosomes_are_those_of_the_released_rule():
    window, unit, rng = 256_000_000, 32_000, np.random.default_rng(3)
    mine = [draw_by_length(rng, HG38, window, unit) for _ in range(1500)]
    theirs = [released_window(rng, window, unit) for _ in range(1500)]
    for pieces in mine:
        assert sum(len(p) for p in pieces) == window
        assert all(p.start % unit == p.end % unit == 0 <= p.start for p in pieces)
        assert all(p.end <= HG38[p.chrom] for p in pieces)
        cut = [p for p in pieces if len(p) < HG38[p.chrom] // unit * unit]
        assert len(cut) <= 1
    counts = [np.array([len(w) for w in found]) for found in (mine, theirs)]
    sd = np.sqrt(sum(c.var() / len(c) for c in counts))
    assert abs(counts[0].mean() - counts[1].mean()) < 4 * sd
    twice = [np.mean([len({p[0] for p in w}) < len(w) for w in theirs]),
             np.mean([len({p.chrom for p in w}) < len(w) for w in mine])]  # fmt: skip
    assert abs(twice[0] - twice[1]) < 0.06
    assert twice[1] > 0.03  # a chromosome may come twice
    assert {p.strand for w in mine for p in w} == {"+", "-"}


def test_validation_of_by_length_has_validation_chromosomes_alone(tmp_path):
    data = data_of(tmp_path, 2, chromosomes="by_length")
    for k in range(2):
        pieces = pieces_of(data[VALIDATION, 0, k].where)
        assert {p.chrom for p in pieces} == {"c3"}
        assert sum(len(p) for p in pieces) == 128_000
    assert {p.chrom for k in range(8) for p in pieces_of(data[TRAIN, 0, k].where)} == {"c1", "c2"}


# -- shifts and zooms


@pytest.mark.parametrize(("half_open", "last"), [(False, 3), (True, 2)])
def test_shifts_reach_up_to_s_or_s_less_one(half_open, last):
    found = Counter(draw_shifts(np.random.default_rng(0), 3, 4000, half_open))
    assert sorted(found) == list(range(-3, last + 1))
    assert chisquare(list(found.values())).pvalue > 0.001
    assert draw_shifts(np.random.default_rng(0), 0, 2, half_open) == [0, 0]


@pytest.mark.parametrize(("half_open", "last"), [(False, 125), (True, 124)])
def test_zooms_begin_at_0_to_124_or_125(half_open, last):
    rng, inside = np.random.default_rng(1), (0, 32_000_000)
    starts = [
        draw_zoom(rng, (128_000, 64_000), 250, inside, half_open)[64_000] for _ in range(6000)
    ]
    found = Counter(s // 2 for s in starts)
    assert sorted(found) == list(range(last + 1))
    assert chisquare([found[k] for k in range(last + 1)]).pvalue > 0.001


def test_validation_zooms_into_the_middle():
    """Of 32 Mb the released starts, in bins of the level above: 63, 62, 62, 62, 62."""
    levels = [128_000 // 2**k for k in range(6)]
    starts = centre_zoom(levels, 250)
    inner = [starts[b] // 2 - starts[a] for a, b in zip(levels, levels[1:])]
    assert inner == [63, 62, 62, 62, 62]
    for r in levels:
        middle = (starts[r] + 125) * r
        assert abs(middle - 16_000_000) <= r  # half a bin of the level above


def test_each_segment_is_shifted_by_itself(tmp_path):
    one = data_of(tmp_path, 2, shift=300, half_open=True)
    each = data_of(tmp_path, 2, shift=300, half_open=True, shift_each=True)
    for data, several in ((one, False), (each, True)):
        found = set()
        for k in range(12):
            sample = data[TRAIN, 0, k]
            words = sample.where.partition(" shifted by ")[2]
            shifts = [int(w) for w in words.split(", ")] if words else []
            pieces, at = pieces_of(sample.where), 0
            source = open_genome(tmp_path / "g.fa")
            for p, shift in zip(pieces, shifts):
                plain = source.fetch(p.chrom, p.start + shift, p.end + shift)
                plain = plain if p.strand == "+" else np.array([3, 2, 1, 0, 4])[plain[::-1]]
                np.testing.assert_array_equal(sample.codes[at : at + len(p)], plain)
                at += len(p)
            found.add(len(set(shifts)) > 1)
        assert found == ({True} if several else {False})


# -- the blacklist


def test_windows_off_the_blacklist():
    black = Blacklist([Interval("a", 20_000, 20_100, "x"), Interval("b", 0, 5_000, "x")])
    assert not Blacklist()
    assert not black.overlaps(Segment("a", 0, 20_000))
    assert black.overlaps(Segment("a", 0, 20_001))
    assert black.overlaps(Segment("a", 20_099, 40_000))
    assert not black.overlaps(Segment("a", 20_100, 40_000))
    assert not black.overlaps(Segment("c", 0, 40_000))
    sizes = {"a": 50_000, "b": 16_000}
    found = [black.evenly_placed_window(k, 40, sizes, 8_000, 1_000) for k in range(40)]
    plain = {
        (c, s)
        for c, size in sizes.items()
        for s in range(0, size - 8_000 + 1, 1_000)
        if not black.overlaps(Segment(c, s, s + 8_000))
    }
    assert {(w.chrom, w.start) for w in found} == plain
    assert {w.strand for w in found} == {"+", "-"}
    with pytest.raises(TrainingError, match="every window of 17,000 bp on b overlaps"):
        black.evenly_placed_window(0, 1, {"b": 20_000}, 17_000, 1_000)


def test_no_sample_overlaps_the_blacklist(tmp_path):
    (tmp_path / "black.bed").write_text("c1\t40000\t40100\nc2\t10000\t10001\nc3\t30000\t30500\n")
    data = data_of(tmp_path, 0, config={"blacklist": "black.bed"}, shift=0)
    free = data_of(tmp_path, 0, shift=0)
    black = {"c1": (40_000, 40_100), "c2": (10_000, 10_001), "c3": (30_000, 30_500)}

    def hits(d: StageData, purpose: int) -> int:
        pieces = [pieces_of(d[purpose, 0, k].where)[0] for k in range(4 if purpose else 40)]
        return sum(p.start < black[p.chrom][1] and p.end > black[p.chrom][0] for p in pieces)

    assert hits(free, TRAIN) > 5
    assert hits(data, TRAIN) == hits(data, VALIDATION) == 0
    config = toy_config(tmp_path) | {"blacklist": "black.bed"}
    config["stages"] = config["stages"][2:]
    parsed, source = parse_config(config, tmp_path), open_genome(tmp_path / "g.fa")
    with pytest.raises(TrainingError, match=r"'black\.bed' is for stages with maps of one"):
        Run(parsed, tmp_path / "r", source)


# -- targets


def with_gaps(folder: Path, **config: Any) -> dict[str, Any]:
    """The toy configuration with a map of which every other bin is masked, and a stretch of c1."""
    weight = np.where(np.arange(sum(-(-n // 2000) for n in SIZES.values())) % 2, np.nan, 0.01)
    weight[4:10] = np.nan
    data = toy_config(folder)
    write_map(folder / "m.mcool", weight=weight)
    return data | config


def test_a_pixel_needs_one_measured_pixel_of_the_map(tmp_path):
    """Released: the mean of what there is, NaN only where there is nothing."""
    config = with_gaps(tmp_path, block_missing=1)
    source = open_genome(tmp_path / "g.fa")
    data = Run(parse_config(config, tmp_path), tmp_path / "r", source).data(1)
    half = Run(parse_config(with_gaps(tmp_path), tmp_path), tmp_path / "r", source).data(1)
    sample = next(s for k in range(40) if "(+)" in (s := data[TRAIN, 0, k]).where)
    (piece,) = pieces_of(sample.where)
    fine = data.observed["m"].assembled((piece,), 0, 64_000)
    blocks = fine.reshape(16, 2, 16, 2).swapaxes(1, 2).reshape(16, 16, 4)
    with np.errstate(invalid="ignore"):
        count = np.isfinite(blocks).sum(axis=2)
        plain = np.nansum(blocks, axis=2) / count
    known = np.isfinite(sample.targets[4000][0])
    np.testing.assert_array_equal(known, count >= 1)
    assert known.any()
    table = data.expected_tables["m"]
    e, eps = table.expected_matrix(4000, 16), table.eps(4000, 16)
    np.testing.assert_allclose(
        sample.targets[4000][0][known], np.log((plain + eps) / (e + eps))[known], rtol=1e-5
    )
    assert any(np.isnan(half[VALIDATION, 0, k].targets[4000]).all() for k in range(4))


@pytest.mark.parametrize("of", ["level", "map"])
def test_windows_are_rejected_by_the_pixels_of_level_or_map(tmp_path, of):
    """Where every other bin is masked, three quarters of the map's pixels are missing, and, if one
    is enough, none of the level's.
    """
    config = with_gaps(tmp_path, block_missing=1)
    config["stages"][1] |= {"missing": 0.5, "missing_of": of}
    source = open_genome(tmp_path / "g.fa")
    data = Run(parse_config(config, tmp_path), tmp_path / "r", source).data(1)
    sample = data[TRAIN, 0, 0]
    assert isinstance(sample, Sample) == (of == "level")
    config["stages"][1] |= {"validation_missing": 0.5}
    data = Run(parse_config(config, tmp_path), tmp_path / "r", source).data(1)
    counted = [bool(np.isfinite(data[VALIDATION, 0, k].targets[2000]).any()) for k in range(4)]
    assert any(counted) == (of == "level")


def test_the_eps_of_a_window_is_its_smallest_expected(tmp_path):
    """By hand: of windows between chromosomes that of such contacts, of others many times more."""
    config = toy_config(tmp_path)
    config["model"]["modules"][1]["eps"] = "window"
    config["stages"][2] |= {"chromosomes": "by_length"}
    source = open_genome(tmp_path / "g.fa")
    data = Run(parse_config(config, tmp_path), tmp_path / "r", source).data(2)
    table, inside, across = data.expected_tables["m"], 0, 0
    assert table.trans is not None
    for k in range(12):
        s = data[TRAIN, 0, k]
        pieces = pieces_of(s.where)
        for r in (8000, 4000):
            fine = data.observed["m"].assembled(pieces, s.starts[r] * r, (s.starts[r] + 16) * r)
            f = r // data.observed["m"].resolution
            o = np.nanmean(fine.reshape(16, f, 16, f).swapaxes(1, 2).reshape(16, 16, -1), axis=2)
            e = np.exp(s.expected[r][0].astype(float))
            eps = e.min()
            np.testing.assert_allclose(s.targets[r][0], np.log((o + eps) / (e + eps)), atol=2e-5)
            inside += eps > 2 * table.trans
            across += eps < 1.01 * table.trans
    assert inside
    assert across


def test_in_training_the_eps_is_the_smallest_of_the_batch():
    """Two windows of two pixels; the smallest expected is 0.1."""
    observed, expected = np.array([[0.4, 0.0]]), np.array([[0.8, 0.2]])
    other, its = np.array([[0.3, np.nan]]), np.array([[0.1, 0.5]])
    samples = [
        Sample(np.zeros(4, np.uint8), "w", None, {8: o[None].astype(np.float32)}, {8: 0},
               {8: np.log(e)[None].astype(np.float32)})
        for o, e in ((observed, expected), (other, its))
    ]  # fmt: skip
    batch = with_common_eps(collate(samples), lambda smallest: smallest)
    by_hand = [[0.5 / 0.9, 0.1 / 0.3], [0.4 / 0.2, np.nan]]
    np.testing.assert_allclose(batch.targets[8][:, 0, 0].numpy(), np.log(by_hand), rtol=1e-5)
    lower = with_common_eps(collate(samples), lambda smallest: smallest / 2)  # of another rank
    assert float(lower.targets[8][0, 0, 0, 1]) == pytest.approx(np.log(0.05 / 0.25), rel=1e-5)


def test_samples_of_batch_eps_bring_frequencies(tmp_path):
    config = toy_config(tmp_path)
    config["model"]["modules"][1]["eps"] = "window"
    config["stages"][2] |= {"batch_eps": True}
    source = open_genome(tmp_path / "g.fa")
    data = Run(parse_config(config, tmp_path), tmp_path / "r", source).data(2)
    plain = Run(
        parse_config(config | {"stages": [*config["stages"][:2], config["stages"][2] | {"batch_eps": False}]},
                     tmp_path), tmp_path / "r", source,
    ).data(2)  # fmt: skip
    batch = collate([data[TRAIN, 0, 0]])
    one = with_common_eps(batch, lambda smallest: smallest)
    alone = collate([plain[TRAIN, 0, 0]])
    for r in (8000, 4000):
        assert float(batch.targets[r].min()) >= 0
        torch.testing.assert_close(one.targets[r], alone.targets[r], atol=1e-5, rtol=0)
    held = data[VALIDATION, 0, 0]
    np.testing.assert_array_equal(held.targets[8000], plain[VALIDATION, 0, 0].targets[8000])
    config["model"]["modules"][1]["eps"] = "table"
    with pytest.raises(
        TrainingError, match="batch_eps: true, which is for modules with eps: window"
    ):
        Run(parse_config(config, tmp_path), tmp_path / "r", source).data(2)


# -- coarse-graining


def test_windows_are_coarse_grained_by_themselves(tmp_path):
    """Released: cooltools on each pair of segments, up to 12 times, padded to a square."""
    config = toy_config(tmp_path) | {"coarse_graining": "windows"}
    data = Run(parse_config(config, tmp_path), tmp_path / "r", open_genome(tmp_path / "g.fa")).data(
        1
    )
    m = data.observed["m"]
    clr = cooler.Cooler(f"{tmp_path / 'm.mcool'}::resolutions/2000")
    pieces = (Segment("c1", 6_000, 50_000), Segment("c2", 2_000, 30_000, "-"))
    whole = m.windows_anew(pieces)
    ranges = [(p.chrom, p.start, p.end) for p in pieces]
    for i, a in enumerate(ranges):
        for j, b in enumerate(ranges[i:], i):
            balanced = clr.matrix(balance=True).fetch(a, b)
            raw = clr.matrix(balance=False).fetch(a, b).astype(float)
            n = max(balanced.shape)
            padding = [(0, n - s) for s in balanced.shape]
            y = adaptive_coarsegrain(
                np.pad(balanced, padding, constant_values=np.nan), np.pad(raw, padding),
                cutoff=5, max_levels=12,
            )[: balanced.shape[0], : balanced.shape[1]]  # fmt: skip
            y = y[:, ::-1] if j and not i else y[::-1, ::-1] if i else y
            part = whole[22 * i : 22 * i + y.shape[0], 22 * j : 22 * j + y.shape[1]]
            np.testing.assert_allclose(part, y, rtol=1e-6)
    np.testing.assert_array_equal(whole, whole.T)
    sample, tiles = data[TRAIN, 0, 0], data_of(tmp_path, 1)[TRAIN, 0, 0]
    assert sample.where == tiles.where
    assert sample.targets[4000].shape == tiles.targets[4000].shape
    r = np.corrcoef(*(s.targets[4000][np.isfinite(tiles.targets[4000])] for s in (sample, tiles)))
    assert r[0, 1] > 0.9


def test_windows_that_begin_with_a_tile_are_as_the_tiles_are(tmp_path):
    """Both grids begin there, and more than eight poolings change nothing: each pixel has its
    contacts long before. So up to tiles of 2,048 bins the two are the same on such windows.
    """
    data = data_of(tmp_path, 1)
    m = data.observed["m"]
    whole = m.windows_anew((Segment("c1", 0, 96_000),))
    np.testing.assert_array_equal(whole, m.dense(Segment("c1", 0, 96_000)))
