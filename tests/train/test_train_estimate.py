"""What `train run --dry-run` tells, held against what a training then does."""

import json
from pathlib import Path

import numpy as np
import yaml
from click.testing import CliRunner
from toy_training import SIZES, toy_config, write_map

from orca_cool.cli import main
from orca_cool.train.config import parse_config
from orca_cool.train.estimate import estimate_training
from orca_cool.train.loop import StageLoop
from orca_cool.train.run import train


def test_samples_are_exact_and_disk_is_near(tmp_path, monkeypatch):
    data = toy_config(tmp_path)
    seen, update, fixed = [0], StageLoop._update, StageLoop._fixed

    def counted(self, wrapped, optimizer, batch):
        seen[0] += len(batch)
        return update(self, wrapped, optimizer, batch)

    def validated(self, purpose, count):
        for batch in fixed(self, purpose, count):
            seen[0] += len(batch) if self.net.training is False else 0
            yield batch

    monkeypatch.setattr(StageLoop, "_update", counted)
    monkeypatch.setattr(StageLoop, "_fixed", validated)
    for stage in data["stages"]:  # norms are computed anew from further samples
        stage["average"] = "none"
    config = parse_config(data, tmp_path)
    before = {p.name for p in tmp_path.iterdir()}
    told = estimate_training(config, tmp_path / "run")
    assert {p.name for p in tmp_path.iterdir()} - before <= {"g.fa.fai"}
    train(config, tmp_path / "run")
    assert told.windows == seen[0]
    size = sum(
        p.stat().st_size
        for name in ("checkpoints", "model")
        for p in (tmp_path / "run" / name).rglob("*")
    )
    assert 0.5 < told.disk / size < 2
    assert told.memory > told.disk
    assert told.seconds > 0


def test_on_the_command_line(tmp_path):
    path = Path(tmp_path / "c.yaml")
    path.write_text(yaml.safe_dump(toy_config(tmp_path)))
    line = ["train", "run", str(path), "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(main, [*line, "--dry-run", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["windows"] > 0
    assert not (tmp_path / "run").exists()
    refused = CliRunner().invoke(main, [*line, "--json"])
    assert refused.exit_code == 2
    assert "--json: is about --dry-run" in refused.stderr


def test_samples_are_drawn_before_anything_is_started(tmp_path):
    """A map that is masked on the training chromosomes is told by the dry run, not after an hour."""
    data = toy_config(tmp_path)
    data["expected"] = str(tmp_path / "expected")  # of the map as it is before it is masked
    fit = ["expected", str(tmp_path / "m.mcool"), "-o", data["expected"], "--trans"]
    fit += ["--resolution", "2000", "--resolution", "4000", "--min-pixels", "1"]
    fitted = CliRunner().invoke(main, fit)
    assert fitted.exit_code == 0, fitted.output
    path = Path(tmp_path / "c.yaml")
    path.write_text(yaml.safe_dump(data))
    line = ["train", "run", str(path), "-o", str(tmp_path / "run"), "--dry-run"]
    good = CliRunner().invoke(main, line)
    assert good.exit_code == 0, good.output
    for name in ("one", "two", "three"):
        (told,) = (text for text in good.stdout.splitlines() if text.startswith(f"stage {name}:"))
        assert "s a step" in told
        assert "a sample drawn in" in told
    weight = np.full(sum(-(-n // 2000) for n in SIZES.values()), 0.01)
    first = sum(-(-SIZES[c] // 2000) for c in ("c1", "c2"))
    weight[: first - 4] = np.nan
    write_map(tmp_path / "m.mcool", weight=weight)
    bad = CliRunner().invoke(main, line)
    assert bad.exit_code == 2
    assert "none of 200 windows drawn from the training chromosomes (c1, c2)" in bad.stderr
    assert not (tmp_path / "run").exists()


def test_a_missing_file_is_told_with_its_key(tmp_path):
    data = toy_config(tmp_path) | {"genome": "hg38.fa"}
    path = Path(tmp_path / "c.yaml")
    path.write_text(yaml.safe_dump(data))
    for more in ([], ["--dry-run"]):
        result = CliRunner().invoke(
            main, ["train", "run", str(path), "-o", str(tmp_path / "run"), *more]
        )
        assert result.exit_code == 2
        assert "hg38.fa' does not exist" in result.stderr
        assert "--set genome=PATH" in result.stderr


def test_a_shipped_configuration_is_found_by_its_name(tmp_path, monkeypatch):
    """Its paths are relative to where one is; a file of that name goes before it."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["train", "run", "mouse", "-o", "run"])
    assert result.exit_code == 2
    assert "genome 'mm39.fa' does not exist" in result.stderr
    (tmp_path / "mouse").write_text(yaml.safe_dump(toy_config(tmp_path) | {"genome": "mine.fa"}))
    result = CliRunner().invoke(main, ["train", "run", "mouse", "-o", "run"])
    assert "genome 'mine.fa' does not exist" in result.stderr
