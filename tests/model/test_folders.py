"""Where models are looked for, and how folders of them are added, forgotten and removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from orca_cool.cli import main
from orca_cool.model import folders, registry
from orca_cool.model.bundle import Model


@pytest.fixture(autouse=True)
def user_home(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("ORCA_COOL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ORCA_COOL_MODEL_PATH", raising=False)
    return tmp_path / "home"


def run(*args: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["models", *map(str, args)])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def lab(toy_bundle: Model, tmp_path: Path) -> Path:
    """A folder of a lab with a model "ours"."""
    registry.import_bundle(toy_bundle.path, tmp_path / "lab", "ours")
    return tmp_path / "lab"


def test_the_users_folder(tmp_path, monkeypatch):
    assert folders.home() == tmp_path / "home"
    monkeypatch.delenv("ORCA_COOL_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert folders.home() == tmp_path / "data" / "orca-cool"
    default = Path.home() / ".local" / "share" / "orca-cool"
    for ignored in ("", "relative/path"):  # as the XDG specification has it
        monkeypatch.setenv("XDG_DATA_HOME", ignored)
        assert folders.home() == default
    monkeypatch.delenv("XDG_DATA_HOME")
    assert folders.home() == default


def test_a_shared_folder(lab, toy_bundle, tmp_path, user_home):
    assert "ours" not in registry.known()
    assert run("add-path", lab) == f"ours\t{lab / 'ours'}\n"
    assert registry.known()["ours"].origin == "shared"
    assert registry.resolve("ours") == lab / "ours"
    assert "shared" in run("list")
    assert "is known already" in run("add-path", lab, code=2)
    second = tmp_path / "second"
    registry.import_bundle(toy_bundle.path, second, "ours")
    run("add-path", second)
    assert registry.resolve("ours") == lab / "ours"  # the first that was added
    registry.import_bundle(toy_bundle.path, registry.user_models(), "ours")
    assert registry.resolve("ours") == user_home / "models" / "ours"
    run("remove-path", lab)
    assert [p.name for p in lab.iterdir()] == ["ours"]
    assert folders.shared_folders() == [second]
    assert f"those are: {second}" in run("remove-path", lab, code=2)


def test_the_variable_of_a_machine(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("ORCA_COOL_MODEL_PATH", os.pathsep.join([str(tmp_path / "none"), str(lab)]))
    assert registry.known()["ours"].origin == "shared"


def test_what_is_no_folder_of_models(lab, toy_bundle, tmp_path, user_home):
    assert "is not a folder" in run("add-path", tmp_path / "none", code=2)
    assert "is a model, not a folder of models" in run("add-path", toy_bundle.path, code=2)
    (tmp_path / "empty").mkdir()
    assert "there is no model in" in run("add-path", tmp_path / "empty")
    (user_home / "model-paths.json").write_text("{}")
    assert "format is None" in run("list", code=2)


def test_a_model_is_removed(lab, toy_bundle, tmp_path, user_home):
    run("add-path", lab)
    registry.import_bundle(toy_bundle.path, registry.user_models(), "mine")
    said = run("remove", "mine", code=2)
    assert "nothing is deleted yet: --yes deletes" in said
    assert "mine" in registry.known()
    assert run("remove", "mine", "--yes").strip() == str(user_home / "models" / "mine")
    assert list((user_home / "models").iterdir()) == []
    for other in ("ours", "yeast-metaphase", "../models", "none"):
        said = run("remove", other, "--yes", code=2)
        assert "is not one of your models, which are: none" in said
    assert (lab / "ours").is_dir()


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o002, 0o664, 0o775), (0o077, 0o600, 0o700)]
)
def test_modes_follow_the_umask(toy_bundle, tmp_path, user_home, lab, umask, file, folder):
    before = os.umask(umask)
    try:
        run("import", toy_bundle.path, "--name", "mine")
        run("add-path", lab)
        run("export", "mine", "-o", tmp_path / "out.zip")
    finally:
        os.umask(before)
    made = [*user_home.rglob("*"), user_home, tmp_path / "out.zip"]
    assert len(made) == 7
    for path in made:
        wanted = folder if path.is_dir() else file
        assert oct(path.stat().st_mode & 0o777) == oct(wanted), path
