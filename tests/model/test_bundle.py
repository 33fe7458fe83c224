"""Bundles: round trip, damage, versions; import of the released form."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_toy_expected, make_toy_model
from safetensors.torch import load_file, save_file

from orca_cool.errors import BundleError, ModelError, OutputError
from orca_cool.files import sha256
from orca_cool.model import import_orca as released
from orca_cool.model.bundle import Model, load_bundle, save_bundle
from orca_cool.model.header import FORMAT, VERSION, numbers_digest
from orca_cool.model.import_orca import import_released

ALL = {"h1esc", "hctnoc"}


def edit_header(folder: Path, **changes) -> None:
    """Change entries of ``model.json``, and keep its digest true, so that only they are wrong."""
    path = folder / "model.json"
    header = json.loads(path.read_text()) | changes
    with contextlib.suppress(TypeError, AttributeError):  # no header that has a digest
        header["digest"] = numbers_digest(header)
    path.write_text(json.dumps(header))


def edit_tensors(folder: Path, change) -> None:
    """Change the tensors, and keep size and checksum in the header true, so that only the tensors
    are wrong.
    """
    path = folder / "weights.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    edit_header(
        folder, weights={"file": path.name, "sha256": sha256(path), "bytes": path.stat().st_size}
    )


def test_round_trip(toy_bundle: Model):
    model = make_toy_model()
    for key, value in toy_bundle.model.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key
    assert not toy_bundle.model.training
    assert all(
        p.dtype == torch.float32 and p.device.type == "cpu" for p in toy_bundle.model.parameters()
    )
    assert toy_bundle.spec == model.spec
    assert toy_bundle.digest == sha256(toy_bundle.path / "weights.safetensors")
    for resolution, wanted in make_toy_expected().items():
        found = toy_bundle.expected_tables[resolution]
        np.testing.assert_array_equal(found.cis, wanted.cis)
        assert found.trans == wanted.trans
    header = json.loads((toy_bundle.path / "model.json").read_text())
    # what former versions can read is written as they did
    assert (header["format"], header["version"]) == (FORMAT, 2)


def test_same_model_same_bytes(toy_bundle: Model, tmp_path: Path):
    again = load_bundle(
        save_bundle(tmp_path / "again", toy_bundle.model, toy_bundle.expected_tables)
    )
    assert again.digest == toy_bundle.digest


def test_background_of_each_module(toy_bundle: Model):
    spec = toy_bundle.spec
    assert [toy_bundle.expected(m).resolution for m in spec.modules] == [40, 160, 40]
    assert toy_bundle.expected(spec.module("G")).trans == 2e-5
    del toy_bundle.expected_tables[160]
    with pytest.raises(BundleError, match=r"'G' needs a table with a trans value.*\[40\]"):
        toy_bundle.expected(spec.module("G"))


def test_only_some_modules(toy_bundle: Model):
    part = load_bundle(toy_bundle.path, modules=["B"])
    assert [m.name for m in part.spec.modules] == ["B"]
    assert not part.spec.pyramids
    assert {k.split(".")[0] for k in part.model.state_dict()} == {
        "encoder",
        "base_decoder",
        "final_1d",
    }
    x = torch.rand(1, 4, 640)
    with torch.inference_mode():
        assert torch.equal(
            part.model.base_decoder(part.model.encoder(x)),
            toy_bundle.model.base_decoder(toy_bundle.model.encoder(x)),
        )
    assert load_bundle(toy_bundle.path, modules=["G"]).model.base_decoder is None
    with pytest.raises(ModelError, match=r"no module 'X'.*S, G, B"):
        load_bundle(toy_bundle.path, modules=["X"])


def test_existing_folder_is_refused(toy_bundle: Model, tmp_path: Path):
    with pytest.raises(OutputError, match="exists; --force"):
        save_bundle(toy_bundle.path, toy_bundle.model, {})
    save_bundle(toy_bundle.path, make_toy_model(seed=2), toy_bundle.expected_tables, force=True)
    assert load_bundle(toy_bundle.path).digest != toy_bundle.digest
    assert [p.name for p in toy_bundle.path.parent.iterdir()] == ["toy"]
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(OutputError, match="is not a model bundle"):
        save_bundle(other, toy_bundle.model, {}, force=True)


def test_failed_write_leaves_nothing(toy_bundle: Model, tmp_path: Path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orca_cool.model.bundle.save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        save_bundle(tmp_path / "x" / "new", toy_bundle.model, {})
    assert list((tmp_path / "x").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"version": VERSION + 1},
            f"version {VERSION + 1}; this orca-cool reads up to version {VERSION}",
        ),
        ({"version": "1"}, "version is '1'"),
        ({"format": "other"}, "format is 'other'"),
        ({"weights": {"file": "../w", "sha256": "", "bytes": 1}}, "plain name"),
        ({"weights": 3}, "must hold file"),
        ({"spec": {"name": "x", "colour": 1}}, "colour"),
        ({"spec": []}, "not understood"),
        ({"expected": [{"resolution": "a"}]}, "an expected table must have resolution"),
    ],
)
def test_header_not_understood(toy_bundle: Model, changes, message):
    edit_header(toy_bundle.path, **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(toy_bundle.path)


def test_damaged_files(toy_bundle: Model, tmp_path: Path):
    weights = toy_bundle.path / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    with pytest.raises(
        BundleError,
        match=rf"weights.safetensors is truncated: {len(whole) - 100} bytes, expected {len(whole)}",
    ):
        load_bundle(toy_bundle.path)
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BundleError, match="is damaged: SHA-256"):
        load_bundle(toy_bundle.path)
    weights.write_bytes(whole[:1000])
    edit_header(
        toy_bundle.path, weights={"file": weights.name, "sha256": sha256(weights), "bytes": 1000}
    )
    with pytest.raises(BundleError, match="not a sound safetensors file"):
        load_bundle(toy_bundle.path)
    weights.unlink()
    with pytest.raises(BundleError, match=r"weights.safetensors cannot be read: No such file"):
        load_bundle(toy_bundle.path)
    (toy_bundle.path / "model.json").write_text("{")
    with pytest.raises(BundleError, match=r"model.json cannot be read"):
        load_bundle(toy_bundle.path)
    with pytest.raises(BundleError, match=r"has no model.json"):
        load_bundle(tmp_path / "absent")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("encoder.lconv1.0.weight"), "lacks tensors: encoder.lconv1.0.weight"),
        (lambda t: t.pop("expected.cis.40"), "lacks tensors: expected.cis.40"),
        (lambda t: t.update(extra=torch.zeros(1)), "unexpected tensors: extra"),
        (
            lambda t: t.update({"encoder.lconv1.0.bias": torch.zeros(9)}),
            r"encoder.lconv1.0.bias has shape \(9,\), expected \(8,\)",
        ),
        (
            lambda t: t.update({"encoder.lconv1.0.bias": torch.full((8,), torch.nan)}),
            "encoder.lconv1.0.bias holds values that are not finite",
        ),
        (
            lambda t: t.update({"encoder.lconv1.0.bias": torch.zeros(8, dtype=torch.bfloat16)}),
            "holds numbers of a type that no bundle has: .*bfloat16",
        ),
        (
            lambda t: t.update({"expected.cis.40": torch.zeros(3, dtype=torch.float64)}),
            r"expected.cis.40 has shape \(3,\)",
        ),
    ],
)
def test_tensors_that_do_not_fit(toy_bundle: Model, change, message):
    edit_tensors(toy_bundle.path, change)
    with pytest.raises(BundleError, match=message):
        load_bundle(toy_bundle.path)


def link_folder(source: Path, target: Path) -> Path:
    """A copy of the released form that costs nothing."""
    shutil.copytree(source, target, copy_function=lambda a, b: Path(b).symlink_to(a))
    return target


def test_import_of_the_released_form(reference_bundles: dict[str, Path]):
    """The networks' outputs are compared in test_golden_networks.py."""
    assert set(reference_bundles) == ALL
    h1esc = json.loads((reference_bundles["h1esc"] / "model.json").read_text())
    assert [m["name"] for m in h1esc["spec"]["modules"]] == ["32M", "256M", "1M"]
    assert len(h1esc["spec"]["profiles"]) == 32
    assert h1esc["spec"]["assemblies"]["hg38"]["chr1"] == 248_956_422
    assert "academic use only" in h1esc["spec"]["licence"]
    assert [(b["resolution"], b["trans"]) for b in h1esc["expected"]] == [
        (1000, False),
        (4000, False),
        (32000, True),
    ]
    hctnoc = load_bundle(reference_bundles["hctnoc"])
    assert [m.name for m in hctnoc.spec.modules] == ["32M"]
    assert hctnoc.model.base_decoder is None
    assert hctnoc.spec.modules[0].decoder.upsample == "nearest"


def test_import_lists_what_is_missing(released_folder: Path, tmp_path: Path, caplog):
    with pytest.raises(BundleError, match=r"lacks 17 file\(s\).*models/orca_hff.d1.statedict"):
        import_released(released_folder, tmp_path / "out", ["hff"])
    with pytest.raises(
        ModelError, match="unknown released model 'k562'; known: h1esc, hff, hctnoc"
    ):
        import_released(released_folder, tmp_path / "out", ["k562"])
    with pytest.raises(BundleError, match="not a folder"):
        import_released(tmp_path / "absent", tmp_path / "out")
    folder = link_folder(released_folder, tmp_path / "part")
    (folder / "models" / "orca_h1esc.d16.statedict").unlink()
    (folder / "models" / "orca_h1esc_256m.d64.statedict").unlink()
    shutil.rmtree(folder / "resources", ignore_errors=True)
    (folder / "resources").mkdir()
    with pytest.raises(BundleError, match=r"models/orca_h1esc.d16.statedict"):
        import_released(folder, tmp_path / "out")
    np.save(
        folder / "resources" / "4DNFI9GMP2J8.rebinned.mcool.expected.res1000.npy",
        np.log(1 / np.arange(2.0, 1100)),
    )
    paths = import_released(folder, tmp_path / "out")
    assert "orca_h1esc_256m.d64.statedict" in caplog.text
    assert [m.name for m in load_bundle(paths[0]).spec.modules] == ["1M"]
    with pytest.raises(OutputError, match="exists"):
        import_released(folder, tmp_path / "out")


def test_import_of_damaged_files(released_folder: Path, tmp_path: Path):
    folder = link_folder(released_folder, tmp_path / "bad")
    net0 = folder / "models" / "orca_hctnoc.net0.statedict"

    def replace(write) -> None:
        net0.unlink()
        write(net0)

    for write, message in [
        (
            lambda p: p.write_bytes(b"no weights"),
            "orca_hctnoc.net0.statedict is not a sound PyTorch state dict",
        ),
        (lambda p: torch.save([1, 2], p), "does not hold a state dict"),
        (lambda p: torch.save({"module.lconv1.0.weight": torch.zeros(3)}, p), "lacks tensors"),
        (lambda p: torch.save({"module.other": torch.zeros(3)}, p), "unexpected tensor: other"),
        (lambda p: torch.save(Evil(), p), "is not a sound PyTorch state dict"),
    ]:
        replace(write)
        with pytest.raises(BundleError, match=message):
            import_released(folder, tmp_path / "out", ["hctnoc"])
    assert not (tmp_path / "out" / "hctnoc").exists()
    assert not Evil.ran


class Evil:
    """A pickle that would run code."""

    ran = False

    def __reduce__(self):
        return (setattr, (Evil, "ran", True))


def test_tables(tmp_path: Path):
    logs = np.log([0.1, 0.01, 0.001])
    for stored in (logs, np.exp(logs), np.append(logs, -np.inf)[:3]):
        np.save(tmp_path / "t.npy", stored)
        np.testing.assert_allclose(released.read_table(tmp_path / "t.npy"), [0.1, 0.01, 0.001])
    np.save(tmp_path / "t.npy", np.array(-15.0))
    np.testing.assert_allclose(released.read_table(tmp_path / "t.npy"), [np.exp(-15.0)])
    for bad in (
        np.zeros((3, 3)),
        np.array([]),
        np.array([np.nan, 1.0]),
        np.array(["a"]),
        np.array([{}], dtype=object),
    ):
        np.save(tmp_path / "t.npy", bad)
        with pytest.raises(BundleError, match=r"t\.npy"):
            released.read_table(tmp_path / "t.npy")


def test_what_a_model_predicts(toy_bundle: Model):
    spec = toy_bundle.spec
    assert toy_bundle.name == spec.name
    assert toy_bundle.modules == tuple(m.name for m in spec.modules)
    assert toy_bundle.levels == tuple(sorted({r for m in spec.modules for r in m.resolutions}))
    assert toy_bundle.profiles == spec.profiles
    assert toy_bundle.assemblies == tuple(spec.assemblies)
    named = dataclasses.replace(
        toy_bundle, spec=dataclasses.replace(spec, cell_type="HFF", licence="MIT")
    )
    assert (named.cell_types, named.licence) == (("HFF",), "MIT")
    unnamed = dataclasses.replace(toy_bundle, spec=dataclasses.replace(spec, cell_type=""))
    assert unnamed.cell_types == ()


def test_a_bundle_is_as_public_as_the_umask_allows(toy_bundle: Model):
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(toy_bundle.path.stat().st_mode) == 0o777 & ~mask
    for file in toy_bundle.path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~mask


def test_a_bundle_without_a_digest_is_told(toy_bundle: Model, caplog):
    path = toy_bundle.path / "model.json"
    header = json.loads(path.read_text())
    load_bundle(toy_bundle.path)
    assert not caplog.records
    del header["digest"]
    path.write_text(json.dumps(header))
    load_bundle(toy_bundle.path)
    assert "without a digest" in caplog.text
