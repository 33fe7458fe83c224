"""Specifications that cannot be, and bundles that were changed: each an error at once."""

from __future__ import annotations

import copy
import json
import re
import resource
import time
from pathlib import Path

import pytest
from conftest import make_toy_spec

from orca_cool.errors import BundleError, ModelError, OrcaCoolError
from orca_cool.model.bundle import Model, load_bundle
from orca_cool.model.header import PROSE, numbers_digest, read_header
from orca_cool.model.orca_spec import orca_spec
from orca_cool.model.registry import import_bundle, shipped_models
from orca_cool.model.spec import ModelSpec

#: Where in the specification of the toy model, what stands there instead, and how that is quoted.
BAD = [
    (("bins",), 0, "0"),
    (("bins",), -128, "-128"),
    (("bins",), 10**30, "1000000000000000000000000000000"),
    (("bins",), 2**20, "1048576"),
    (("bins",), 15, "15"),
    (("bins",), 16.5, "16.5"),
    (("bins",), True, "True"),
    (("bins",), "16", "'16'"),
    (("bins",), None, "None"),
    (("bins",), [16], r"\[16\]"),
    (("encoder", "kernel"), -9, "-9"),
    (("encoder", "kernel"), 4, "4"),
    (("encoder", "kernel"), 10**9 + 1, "1000000001"),
    (("encoder", "pools"), [1, 0, 8], "0"),
    (("encoder", "pools"), [0, 0, 0], "0"),
    (("encoder", "pools"), [1, 5, 10**12], "1000000000000"),
    (("encoder", "pools"), [1, 9999, 9999, 9999], "999700029999"),
    (("encoder", "pools"), [1, 5], r"\(1, 5\)"),
    (("encoder", "pools"), 5, "5"),
    (("encoder", "widths"), [8, 8, 10**9], "1000000000"),
    (("encoder", "widths"), [8] * 1000, "1,000"),
    (("encoder", "block"), -1600, "-1600"),
    (("encoder", "block"), 0, "0"),
    (("encoder", "flank"), 10**30, "1" + "0" * 30),
    (("encoder", "dropout"), 2, "2"),
    (("encoder", "dropout"), float("nan"), "nan"),
    (("encoder", "dropout"), "half", "'half'"),
    (("encoder",), 3, "not understood"),
    (("pyramids", "p1", "steps"), 10**9, "1000000000"),
    (("pyramids", "p1", "steps"), -1, "-1"),
    (("pyramids", "p1", "width"), 16, "16 channels, the encoder makes 8"),
    (("pyramids", "p1", "down"), 1, "1"),
    (("pyramids",), ["p1"], "not understood"),
    (("base_decoder", "one_shot"), False, "False"),
    (("base_decoder", "dilations"), [], "0"),
    (("profile_width",), 0, "0"),
    (("profiles",), [1], "1"),
    (("metrics",), 3, "3"),
    (("assemblies",), {"a": {"chr1": -5}}, "-5"),
    (("name",), 7, "7"),
    (("modules", 0, "name"), "a.b", "'a.b'"),
    (("modules", 0, "name"), "G", "'G' comes twice"),
    (("modules", 0, "resolutions"), [10**30], "1" + "0" * 30),
    (("modules", 0, "resolutions"), [0], "0"),
    (("modules", 0, "resolutions"), [], "0"),
    (("modules", 0, "resolutions"), [160, 80, 41], "160, 80, 41"),
    (("modules", 0, "pyramids"), ["none"], "'none'"),
    (("modules", 0, "decoder", "dilations"), [1, 10**9], "1000000000"),
    (("modules", 0, "decoder", "dilations"), [1] * 1024, r"\d"),
    (("modules", 0, "decoder", "channels"), 4, "4 channels, the encoder makes 8"),
    (("modules", 0, "decoder", "upsample"), "cubic", "'cubic'"),
    (("modules", 0, "multi_chromosome"), "yes", "'yes'"),
    (("modules", 2, "resolutions"), [80], "80"),
    (("modules", 2, "base_decoder"), False, "has no decoder"),
]


def changed(spec: dict, where: tuple, value: object) -> dict:
    spec = copy.deepcopy(spec)
    part = spec
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    return spec


@pytest.fixture(scope="module")
def spec() -> dict:
    return json.loads(json.dumps(make_toy_spec().to_json()))


@pytest.mark.parametrize(("where", "value", "quoted"), BAD)
def test_a_specification_that_cannot_be(spec, where, value, quoted):
    if value == [1] * 1024:  # which one decoder may have, and so many may not
        spec = copy.deepcopy(spec)
        module = spec["modules"][0]
        module["decoder"]["dilations"] = value
        spec["modules"] += [{**module, "name": f"S{k}"} for k in range(20)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(ModelError, match=quoted) as error:
        ModelSpec.from_json(changed(spec, where, value))
    assert time.process_time() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"format": "orca-cool-model", "version": ' + "9" * 5000 + "}",
        "NaN",
        "[]",
        "\x00",
        "",
    ],
)
def test_a_header_that_is_none(tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(BundleError, match=r"model\.json") as error:
        read_header(tmp_path)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("bad", [10**30, -1, 1.5, True, "40", None])
@pytest.mark.parametrize("key", ["resolution", "bins"])
def test_an_expected_table_that_cannot_be(toy_bundle: Model, key, bad):
    path = toy_bundle.path / "model.json"
    header = json.loads(path.read_text())
    header["expected"][0][key] = bad
    header["digest"] = numbers_digest(header)
    path.write_text(json.dumps(header))
    with pytest.raises(BundleError, match=f"an expected table must have.*{re.escape(repr(bad))}"):
        load_bundle(toy_bundle.path)


def test_the_released_specifications_are_within_the_bounds():
    for name in ("h1esc", "hctnoc"):
        orca_spec(name, modules=("32M",) if name == "hctnoc" else ("32M", "256M", "1M")).check()


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("modules", 0, "decoder", "dilations"), [1, 2, 8]),
        (("bins",), 32),
        (("encoder", "flank"), 800),
        (("modules", 0, "decoder", "upsample"), "nearest"),
        (("modules", 0, "base_decoder"), False),
        (("profiles",), ["b", "a"]),
    ],
)
def test_what_decides_numbers_cannot_be_changed_by_hand(toy_bundle: Model, where, value):
    """All of these are specifications that the weights fit."""
    path = toy_bundle.path / "model.json"
    header = json.loads(path.read_text())
    header["spec"] = changed(header["spec"], where, value)
    path.write_text(json.dumps(header))
    with pytest.raises(BundleError, match=r"model\.json was changed or damaged since"):
        load_bundle(toy_bundle.path)


def test_prose_may_be_edited(toy_bundle: Model):
    path = toy_bundle.path / "model.json"
    header = json.loads(path.read_text())
    for key in PROSE - {"metrics", "assemblies"}:
        header["spec"][key] = f"another {key}"
    header["spec"]["metrics"] = {"r": 0.5}
    header["spec"]["assemblies"] = {"toy1": {"a": 1000}}
    path.write_text(json.dumps(header, indent=4))
    bundle = load_bundle(toy_bundle.path)
    assert bundle.spec.notes == "another notes"
    assert bundle.digest == toy_bundle.digest


def test_bundles_that_ship_have_a_digest():
    for folder in shipped_models().iterdir():
        assert re.fullmatch("[0-9a-f]{64}", read_header(folder)["digest"]), folder


def test_import_adds_the_digest_that_former_versions_did_not_write(tmp_path):
    former = Path(__file__).resolve().parents[1] / "data" / "v0.1" / "toy"
    assert read_header(former)["digest"] is None
    new = import_bundle(former, tmp_path)
    header = json.loads((new / "model.json").read_text())
    assert header.pop("digest") == numbers_digest(header)
    assert header == json.loads((former / "model.json").read_text())
    path = new / "model.json"
    path.write_text(path.read_text().replace('"kernel": 5', '"kernel": 3'))
    with pytest.raises(OrcaCoolError, match="changed or damaged"):
        load_bundle(new)
