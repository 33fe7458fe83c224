"""Training: targets, configuration, the split, and that a toy model learns."""

from __future__ import annotations

from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from click.testing import CliRunner

from orca_cool.background import Background
from orca_cool.cli import main
from orca_cool.errors import CoolerError, TrainingError
from orca_cool.train.bank import Encoded, draw_zoom, flipped
from orca_cool.train.config import Transplants, load_config, parse_config
from orca_cool.train.sequence import Interval, ProfileSampler, TrainingGenome, read_bed
from orca_cool.train.targets import TargetMaps, block_mean, expected_by_distance, log_ratio

SHIPPED = Path(__file__).parents[1] / "orca_cool" / "data" / "configs" / "yeast-metaphase.yaml"
SIZES = {"c1": 96_000, "c2": 80_000, "c3": 72_000, "c4": 64_000}


class Source:
    """A genome in memory."""

    name = "toy"

    def __init__(self, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.chromsizes = SIZES
        self.codes = {c: rng.integers(0, 4, n, dtype=np.uint8) for c, n in SIZES.items()}
        self.read: list[str] = []

    def fetch(self, chrom: str, start: int, end: int) -> np.ndarray:
        self.read.append(chrom)
        return self.codes[chrom][start:end]


CENTROMERES = [Interval(c, n // 2, n // 2 + 118, "centromere", "-" if k % 2 else "+") for k, (c, n) in enumerate(SIZES.items())]


def toy_config(folder: Path) -> dict:
    """A toy run: genome, balanced map, features; c4 is the test, c3 the validation chromosome."""
    source = Source()
    letters = np.array(list("ACGTN"))
    (folder / "g.fa").write_text("".join(f">{c}\n{''.join(letters[v])}\n" for c, v in source.codes.items()))
    (folder / "f.bed").write_text("".join(f"{i.chrom}\t{i.start}\t{i.end}\tCEN\t0\t{i.strand}\tcentromere\n" for i in CENTROMERES))
    bins = cooler.binnify(pd.Series(SIZES), 2000)
    rows = []
    for _, b in bins.groupby("chrom", observed=True):
        at = b.index.to_numpy()
        i, j = np.triu_indices(len(at))
        rows.append(pd.DataFrame({"bin1_id": at[i], "bin2_id": at[j], "count": np.round(4000 / (j - i + 1)).astype(int)}))
    bins["weight"] = 0.01
    cooler.create_cooler(str(folder / "m.cool"), bins, pd.concat(rows), dtypes={"count": int})
    decoder = {"channels": 8, "width": 8, "bottleneck": 4, "dilations": [1, 2], "head": 3, "dropout": 0.0}
    return {
        "name": "toy", "genome": "g.fa", "maps": {"m": "m.cool"}, "target": "m", "features": "f.bed", "test": ["c4"], "validation": ["c3"],
        "feature_types": ["centromere"], "precision": "32-true", "threads": 1,
        "model": {
            "bins": 16,
            "encoder": {"widths": [4, 8, 8], "pools": [1, 20, 100], "kernel": 3, "block": 40_000, "flank": 10_000},
            "pyramids": {"p": {"steps": 1, "width": 8, "kernel": 3}},
            "profile_width": 8,
            "modules": [{"name": "64k", "resolutions": [4000, 2000], "pyramids": ["p"], "decoder": decoder}],
        },
        "stages": [
            {"kind": "profiles", "steps": 2, "batch": 2, "window": 16_000, "flank": 4000, "validate": 1},
            {"kind": "maps", "mix": {"m": 1.0}, "steps": 30, "batch": 2, "lr": 0.01, "bank": 4, "refresh": 0.2, "validate": 10},
        ],
    }  # fmt: skip


def test_block_means_by_hand():
    m = np.array([[1, 2, 3], [2, np.nan, 5], [3, 5, 7.0]])
    got = block_mean(m, 2, missing=0.5)
    assert got[0, 0] == pytest.approx(5 / 3)
    assert got[0, 1] == got[1, 0] == 4  # the column past the chromosome's end is not missing
    assert got[1, 1] == 7
    m[0, 0] = m[0, 1] = m[1, 0] = np.nan
    assert np.isnan(block_mean(m, 2, missing=0.5)[0, 0])


def test_log_ratio_by_hand():
    background = Background(2000, np.array([0.4, 0.2, 0.1, 0.05]))
    m = np.array([[0.4, 0.1, 0.3], [0.1, 0.4, 0.2], [0.3, 0.2, 0.4]])
    y = log_ratio(m, background, 2000, 2)
    assert y[0, 0] == pytest.approx(0)
    assert y[0, 1] == pytest.approx(np.log((0.1 + 0.2) / (0.2 + 0.2)), rel=1e-6)
    assert np.isnan(y[0, 2])


def test_background_is_the_mean_by_distance():
    a = np.array([[4.0, 2, 1], [2, 4, 2], [1, 2, np.nan]])
    table = expected_by_distance([a] * 20, 2000).cis
    assert table == pytest.approx([4, 2, 1])
    with pytest.raises(TrainingError, match="20 measured pixels"):
        expected_by_distance([a], 2000)


def test_shipped_config_is_valid_and_holds_out_the_test_chromosomes():
    config = load_config(SHIPPED)
    assert config.test == ("chrI", "chrII")
    assert config.validation == ("chrVIII",)
    assert config.spec(["centromere"], {}).resolutions == (2000, 4000, 8000)


def test_unknown_key_names_the_nearest(tmp_path):
    data = toy_config(tmp_path)
    with pytest.raises(TrainingError, match=r"'stepz'.*'steps'"):
        parse_config({**data, "stages": [{"kind": "profiles", "stepz": 3}]}, tmp_path)
    with pytest.raises(TrainingError, match=r"'genom'.*'genome'"):
        parse_config({**data, "genom": "x"}, tmp_path)
    with pytest.raises(TrainingError, match="steps must be int, not 'many'"):
        parse_config({**data, "stages": [{"kind": "profiles", "steps": "many"}]}, tmp_path)
    with pytest.raises(TrainingError, match="both under test"):
        parse_config({**data, "validation": ["c4"]}, tmp_path)
    with pytest.raises(TrainingError, match="unknown source 'g1'"):
        parse_config({**data, "stages": [{"kind": "maps", "mix": {"g1": 1}}]}, tmp_path)


def test_errors_on_the_command_line_are_one_line_and_exit_2(tmp_path):
    path = tmp_path / "c.yaml"
    data = toy_config(tmp_path)
    path.write_text(yaml.safe_dump({**data, "seeed": 1}))
    result = CliRunner().invoke(main, ["train", str(path), "-o", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "seeed" in result.output
    assert "'seed'" in result.output
    path.write_text(yaml.safe_dump({**data, "maps": {"m": "absent.cool"}}))
    result = CliRunner().invoke(main, ["train", str(path), "-o", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "absent.cool" in result.output
    result = CliRunner().invoke(main, ["train", str(tmp_path / "no.yaml")])
    assert result.exit_code == 2


def test_samplers_draw_nothing_of_held_out_chromosomes():
    source = Source()
    genome = TrainingGenome(source, ["c1", "c2"], CENTROMERES, Transplants())
    assert set(source.read) == {"c1", "c2"}
    assert set(genome.centromeres) == {"c1", "c2"}
    with pytest.raises(TrainingError, match="'c3', which is not a training chromosome"):
        ProfileSampler(genome, CENTROMERES, ["centromere"], 2000)


def test_read_bed_keeps_only_the_allowed_chromosomes(tmp_path):
    toy_config(tmp_path)
    found = read_bed(tmp_path / "f.bed", 6, "", ["c1"])
    assert [i.chrom for i in found] == ["c1"]


def test_target_maps_never_read_excluded_chromosomes(tmp_path):
    toy_config(tmp_path)
    maps = TargetMaps(tmp_path / "m.cool", 2000, 5.0, ["c4"], tmp_path / "cache")
    assert set(maps.maps) == {"c1", "c2", "c3"}
    again = TargetMaps(tmp_path / "m.cool", 2000, 5.0, ["c4"], tmp_path / "cache")
    np.testing.assert_array_equal(again.maps["c1"], maps.maps["c1"])
    with pytest.raises(CoolerError, match="bins of 2000 bp; 4000"):
        TargetMaps(tmp_path / "m.cool", 4000, 5.0, [], None)


def test_labels_follow_the_centromere():
    """An erased centromere is no centromere; a pasted one is, on either strand."""
    genome = TrainingGenome(Source(), ["c1"], CENTROMERES, Transplants(per_window=0, decoys=0, replace=1.0))
    sampler = ProfileSampler(genome, CENTROMERES[:1], ["centromere"], 2000)
    rng = np.random.default_rng(0)
    assert max(sampler.draw(rng, 32_000, 4000).labels.sum() for _ in range(50)) == 0
    genome = TrainingGenome(Source(), ["c1"], CENTROMERES, Transplants(per_window=2, decoys=0, replace=1.0))
    sampler = ProfileSampler(genome, CENTROMERES[:1], ["centromere"], 2000)
    assert np.mean([sampler.draw(rng, 32_000, 4000).labels.sum() for _ in range(50)]) > 0.5


def test_zoom_windows_hold_their_own_targets():
    n = 24
    y2 = np.add.outer(np.arange(2 * n) * 1000.0, np.arange(2 * n)).astype(np.float32)
    y4 = y2[::2, ::2].copy()
    x = torch.arange(2 * n, dtype=torch.float32)[None]
    item = Encoded(x, torch.full((1, 3), -1.0), torch.full((1, 3), -2.0), torch.full((1,), -9.0), {4000: y4, 2000: y2})
    rng = np.random.default_rng(0)
    for _ in range(50):
        base, starts, ys = draw_zoom(rng, item, (4000, 2000), 2000, 16)
        assert base.shape == (1, 32)
        for r in (4000, 2000):
            f = r // 2000
            own = base[0, starts[r] * f : (starts[r] + 16) * f : f].numpy()
            inside = own >= 0
            np.testing.assert_array_equal(np.isfinite(np.diagonal(ys[r])), inside)
            np.testing.assert_array_equal(np.diagonal(ys[r])[inside], np.diagonal(y2)[own[inside].astype(int)])
    twice = flipped(flipped(item.targets))
    np.testing.assert_array_equal(twice[2000], y2)


def test_toy_training_learns_resumes_and_writes_a_bundle(tmp_path):
    pytest.importorskip("lightning")
    from orca_cool.weights import load_bundle

    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(toy_config(tmp_path)))
    out = tmp_path / "run"
    result = CliRunner().invoke(main, ["train", str(path), "-o", str(out)])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out / "log.csv")
    loss = table[table.stage == "maps"].loss.to_numpy()
    assert loss[-1] < loss[0]
    bundle = load_bundle(out / "model")
    assert bundle.spec.profiles == ("centromere",)
    assert "c4" in bundle.spec.training_data
    again = CliRunner().invoke(main, ["train", str(path), "-o", str(out)])
    assert again.exit_code == 2
    assert "--resume" in again.output
    resumed = CliRunner().invoke(main, ["train", str(path), "-o", str(out), "--resume"])
    assert resumed.exit_code == 0, resumed.output
    other = CliRunner().invoke(main, ["train", str(path), "-o", str(out), "--resume", "--set", "seed=2"])
    assert other.exit_code == 2
    assert "another configuration" in other.output
