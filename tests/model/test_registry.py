"""Names, folders, archives of models, and the command line."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

from orca_cool.cli import main
from orca_cool.errors import BundleError, ModelError, OutputError
from orca_cool.model import registry
from orca_cool.model.bundle import Model, load_bundle, save_bundle


@pytest.fixture(autouse=True)
def user_home(tmp_path: Path, monkeypatch) -> Path:
    """No test reads or writes the models of whoever runs it."""
    monkeypatch.setenv("ORCA_COOL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["models", *map(str, args)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    if code:
        assert len(result.output.strip().splitlines()) == 1 or "licence" in result.output
    return result.output


def test_known_and_resolve(toy_bundle: Model, user_home: Path, monkeypatch):
    assert {"h1esc", "hff", "hctnoc"} <= set(registry.known())
    path = registry.import_bundle(toy_bundle.path, registry.user_models(), "mine")
    assert path == user_home / "models" / "mine"
    assert registry.known()["mine"].origin == "user"
    assert registry.resolve("mine") == path
    assert (
        registry.resolve(toy_bundle.path)
        == registry.resolve(str(toy_bundle.path))
        == toy_bundle.path
    )
    monkeypatch.chdir(toy_bundle.path.parent)
    assert registry.resolve("toy") == Path("toy")
    with pytest.raises(
        ModelError, match=r"unknown model 'mime'; did you mean 'mine'\? known models: .*h1esc.*mine"
    ):
        registry.resolve("mime")
    with pytest.raises(ModelError, match="models fetch h1esc"):
        registry.resolve("h1esc")
    with pytest.raises(BundleError, match="there is no such folder"):
        registry.resolve("./absent")
    with pytest.raises(BundleError, match=r"it has no model\.json"):
        registry.resolve(user_home)


def test_users_model_comes_before_a_shipped_one(toy_bundle: Model, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(registry, "DATA", tmp_path / "data")
    save_bundle(tmp_path / "data" / "models" / "toy", toy_bundle.model, {})
    assert registry.known()["toy"].origin == "shipped"
    registry.import_bundle(toy_bundle.path, registry.user_models())
    assert registry.known()["toy"].origin == "user"


@pytest.mark.parametrize("suffix", ["", ".zip"])
def test_export_and_import_again(toy_bundle: Model, tmp_path: Path, suffix):
    target = tmp_path / "out" / f"copy{suffix}"
    assert "MIT" in run("export", toy_bundle.path, "-o", target)
    assert "exists" in run("export", toy_bundle.path, "-o", target, code=2)
    run("export", toy_bundle.path, "-o", target, "--force")
    assert [p.name for p in target.parent.iterdir()] == [target.name]
    assert "modules S G B" in run("import", target, "--name", "again")
    assert load_bundle(registry.resolve("again")).digest == toy_bundle.digest
    assert "exists" in run("import", target, "--name", "again", code=2)
    run("import", target, "--name", "again", "--force")
    assert [p.name for p in registry.user_models().iterdir()] == ["again"]


def test_import_refuses_what_is_not_sound(toy_bundle: Model, tmp_path: Path):
    out = tmp_path / "models2"
    archive = registry.export_bundle(toy_bundle.path, tmp_path / "whole.zip")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(archive.read_bytes()[:2000])
    with pytest.raises(BundleError, match="not a sound zip"):
        registry.import_bundle(broken, out)
    with zipfile.ZipFile(broken, "w") as z:
        z.writestr("a/readme", "")
    with pytest.raises(BundleError, match=r"holds 0 model\.json"):
        registry.import_bundle(broken, out)
    with zipfile.ZipFile(
        broken, "w"
    ) as z:  # paths that leave the folder, and more bytes than the header says
        z.writestr("../../m/model.json", (toy_bundle.path / "model.json").read_text())
        z.writestr(
            "../../m/weights.safetensors",
            (toy_bundle.path / "weights.safetensors").read_bytes() + b"more",
        )
    with pytest.raises(BundleError, match=r"weights\.safetensors is damaged"):
        registry.import_bundle(broken, out)
    for name in ("../x", "", ".x", "a/b"):
        with pytest.raises(ModelError, match="letters, digits"):
            registry.import_bundle(archive, out, name or "..")
    assert list(out.iterdir()) == []
    (out / "notes").mkdir()
    with pytest.raises(OutputError, match="not a model bundle"):
        registry.import_bundle(archive, out, "notes", force=True)


def test_bundle_with_a_bad_name(tmp_path: Path):
    model = make_toy_model(make_toy_spec(name="../../evil"))
    source = save_bundle(tmp_path / "b", model, make_toy_expected())
    with pytest.raises(ModelError, match="evil"):
        registry.import_bundle(source, tmp_path / "models2")
    assert not (tmp_path.parent / "evil").exists()


def test_list_and_info(toy_bundle: Model):
    registry.import_bundle(toy_bundle.path, registry.user_models())
    (registry.user_models() / "bad").mkdir()
    (registry.user_models() / "bad" / "model.json").write_text("{")
    text = run("list")
    assert "toy " in text
    assert "fetchable" in text
    assert "DAMAGED" in text
    rows = {row["name"]: row for row in json.loads(run("list", "--json"))}
    assert rows["toy"]["origin"] == "user"
    assert rows["h1esc"]["path"] is None
    text = run("info", "toy", "--verify")
    assert "module S" in text
    assert "licence       MIT" in text
    assert "verified" in text
    assert json.loads(run("info", "toy", "--json"))["format"] == "orca-cool-model"
    assert "academic use only" in run("info", "h1esc")
    with open(registry.user_models() / "toy" / "weights.safetensors", "r+b") as file:
        file.truncate(100)
    assert "truncated" in run("info", "toy", "--verify", code=2)


def test_wrong_use_is_one_line_and_exit_2(tmp_path: Path, toy_bundle: Model):
    for verb in ("info", "fetch"):
        text = run(verb, "h1es", code=2)
        assert "did you mean 'h1esc'" in text
        assert "hctnoc" in text
    assert "no such file" in run("import", tmp_path / "absent", code=2)
    assert "lacks" in run("import", tmp_path, code=2)
    assert "unknown released model 'x'" in run("import", tmp_path, "--name", "x", code=2)
    assert "no SHA-256 is known" in run("fetch", "h1esc", code=2)
    assert "models fetch hff" in run("export", "hff", "-o", tmp_path / "x", code=2)
    assert not (tmp_path / "home" / "models").exists()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": "x", "version": 1}',
        '{"format": "orca-cool-registry", "version": 9, "models": {}}',
    ],
)
def test_registry_of_the_user_not_understood(user_home: Path, text):
    user_home.mkdir()
    (user_home / "registry.json").write_text(text)
    with pytest.raises(ModelError, match=r"registry\.json"):
        registry.known()
