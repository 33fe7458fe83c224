"""The configuration for fine-tuning, and the model that a run begins with, by its name or folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model

from orca_cool.cli import main
from orca_cool.errors import ModelError, TrainingError
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.cascade import Orca
from orca_cool.train.checks import check_files
from orca_cool.train.config import load_config, trained_parts
from orca_cool.train.configs import known_configs
from orca_cool.train.kept_encodings import keeps_encodings
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


def test_a_name_of_start_is_no_missing_file(tmp_path: Path):
    """Where a run looks for its files, before anything is loaded."""
    output = tmp_path / "mine.yaml"
    CliRunner().invoke(main, ["train", "init", "yeast-finetune", "-o", str(output)])
    config = load_config(output)
    for name in ("sacCer3.2bit", "g1.mcool", "expected"):
        (tmp_path / name).touch()
    check_files(config)
    with pytest.raises(TrainingError, match=r"start .*yeast-meta' does not exist"):
        check_files(dataclasses.replace(config, start="yeast-meta"))


def test_the_yeast_configuration_goes_on_from_the_shipped_model():
    """All of its networks are those of `yeast-metaphase`, which never read its test chromosomes;
    the encoder is frozen, and sequence is encoded once.
    """
    config = load_config("yeast-finetune")
    spec = config.spec([], {})
    start = load_bundle(start_folder(config))
    mine = {k: t.shape for k, t in Orca(spec).state_dict().items()}
    theirs = {k: t.shape for k, t in start.model.state_dict().items()}
    assert len(mine) > 900
    assert mine == {k: theirs[k] for k in mine}
    assert spec.placement == start.spec.placement
    before = load_config("yeast-metaphase")
    assert (config.test, config.validation) == (before.test, before.validation)
    parts = [trained_parts(s, spec.module(s.module), spec) for s in config.stages]
    assert [set(p) for p in parts] == [{"decoders"}, {"encoder2", "decoders"}]
    for stage, trained in zip(config.stages, parts):
        assert keeps_encodings(stage, spec, trained, False, spec.base_bin)


def test_short_names(tmp_path: Path):
    output = tmp_path / "mine.yaml"
    result = CliRunner().invoke(main, ["train", "init", "yeast", "-o", str(output)])
    assert result.exit_code == 0, result.output
    assert output.read_bytes() == known_configs()["yeast-metaphase-first"].read_bytes()
    result = CliRunner().invoke(main, ["train", "init", "?", "-o", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "yeast, yeast-deep," in result.stderr
    for line in (["init", "mous", "-o", str(tmp_path / "none.yaml")], ["run", "mous"]):
        result = CliRunner().invoke(main, ["train", *line])
        assert result.exit_code == 2
        assert "did you mean 'mouse'? there are: extrusion" in result.stderr
