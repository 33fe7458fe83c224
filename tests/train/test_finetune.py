"""The configuration for fine-tuning, and the model that a run begins with, by its name or folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model

from orca_cool.cli import main
from orca_cool.errors import ModelError
from orca_cool.model.bundle import save_bundle
from orca_cool.train.config import load_config, trained_parts
from orca_cool.train.setup import start_folder


def test_the_model_to_begin_with(tmp_path: Path, monkeypatch):
    """A path goes before a name; a name that is known to be fetchable says how."""
    monkeypatch.setenv("ORCA_COOL_HOME", str(tmp_path / "home"))
    output = tmp_path / "mine.yaml"
    result = CliRunner().invoke(main, ["train", "init", "finetune", "-o", str(output)])
    assert result.exit_code == 0, result.output
    config = load_config(output)
    with pytest.raises(ModelError, match="models fetch h1esc"):
        start_folder(config)
    model = make_toy_model()
    named = save_bundle(tmp_path / "home/models/h1esc", model, make_toy_expected(model.spec))
    assert start_folder(config) == named
    assert start_folder(dataclasses.replace(config, start="none")) == tmp_path / "none"
    (tmp_path / "h1esc").mkdir()
    assert start_folder(config) == tmp_path / "h1esc"


def test_what_is_frozen(tmp_path: Path):
    """The decoders learn first, then Encoder2 more slowly; encoder and 1M decoder never."""
    output = tmp_path / "mine.yaml"
    CliRunner().invoke(main, ["train", "init", "finetune", "-o", str(output)])
    config = load_config(output)
    spec = config.spec([], {})
    parts = [trained_parts(s, spec.module(s.module), spec) for s in config.stages]
    assert [set(p) for p in parts] == [{"decoders"}, {"encoder2", "decoders"}]
    first, second = (s.lr for s in config.stages)
    assert 0.001 > first > second
