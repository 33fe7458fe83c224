"""What `train run --dry-run` tells, held against what a training then does."""

import json
from pathlib import Path

import yaml
from click.testing import CliRunner
from toy_training import toy_config

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
