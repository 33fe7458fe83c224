"""Models of several cell types: what the verbs write, and what Python gives."""

from __future__ import annotations

import json
from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.errors import ModelError
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.cascade import flip_map
from orca_cool.prediction.orca_engine import OrcaEngine

TYPES = ("a", "b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of two cell types, and a genome."""
    spec = make_toy_spec(cell_types=TYPES, cell_type="")
    tables = {}
    for k, name in enumerate(TYPES):
        tables[name] = {
            r: ExpectedModel(r, t.cis * (1 + k), t.trans)
            for r, t in make_toy_expected(spec).items()
        }
    save_bundle(tmp_path / "two", make_toy_model(spec), by_cell_type=tables)
    letters = np.random.default_rng(5).choice(list("ACGT"), 9_000)
    (tmp_path / "g.fa").write_text(">c1\n" + "".join(letters) + "\n")
    return tmp_path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_predict_writes_a_file_for_each_cell_type(folder, monkeypatch):
    made = []
    plain = OrcaEngine.__init__
    monkeypatch.setattr(
        OrcaEngine, "__init__", lambda self, *a, **k: made.append(self) or plain(self, *a, **k)
    )
    model, genome = folder / "two", folder / "g.fa"
    options = ["-m", model, "-g", genome, "--module", "S", "--any-genome"]
    run("-q", "predict", *options, "-o", folder / "X.mcool")
    run("-q", "predict", *options, "-o", folder / "one.mcool", "--cell-type", "b")
    assert len(made) == 2  # one that does both, and one
    written = {p.name for p in folder.glob("*.mcool")}
    assert written == {"X.a.mcool", "X.b.mcool", "one.mcool"}
    maps = {}
    for name in ("X.a", "X.b", "one"):
        clr = cooler.Cooler(f"{folder}/{name}.mcool::resolutions/80")
        maps[name] = clr.matrix(balance=True).fetch("c1")
        assert clr.info["metadata"]["cell_type"] == name[-1].replace("e", "b")
    np.testing.assert_array_equal(maps["X.b"], maps["one"])
    assert np.nanmax(np.abs(np.log(maps["X.a"] / maps["X.b"]))) > 0.05


@pytest.mark.parametrize("number", [0, 1])
def test_a_cell_type_is_its_map_of_the_plain_networks(folder, number):
    """Every level of a zoom against the networks, run plainly on both strands."""
    model = load_bundle(folder / "two")
    genome = oc.open_genome(str(folder / "g.fa"))
    engine = OrcaEngine(model.for_cell_type(TYPES[number]), genome.source, "cpu")
    module, spec = model.spec.module("S"), model.spec
    found = {m.resolution: m for m in engine.zoom(module, "c1", 4000)}
    origin = found[160].start
    codes = genome.source.fetch("c1", origin, origin + spec.window(160))

    def strand(codes: np.ndarray, starts: dict[int, int]) -> dict[int, torch.Tensor]:
        x = torch.nn.functional.one_hot(torch.from_numpy(codes).long(), 4).T[None].float()
        maps, above, before = {}, None, None
        with torch.no_grad():
            encodings = model.model.encodings(module, model.model.encoder(x))
            for r in module.resolutions:
                logs = [np.log(t[40].expected_matrix(r, 16)) for t in model.by_cell_type.values()]
                distance = torch.from_numpy(np.stack(logs).astype(np.float32))[None]
                coarse = None
                if above is not None:
                    k = starts[r] // 2 - starts[before]
                    coarse = above[..., k : k + 8, k : k + 8]
                cut = encodings[r][..., starts[r] : starts[r] + 16]
                above = maps[r] = model.model.decode(module, r, cut, distance, coarse)
                before = r
        return maps

    starts = {r: (found[r].start - origin) // r for r in module.resolutions}
    turned = {r: 16 * (160 // r) - s - 16 for r, s in starts.items()}
    forward, reverse = strand(codes, starts), strand(3 - codes[::-1].copy(), turned)
    for r in module.resolutions:
        plain = 0.5 * (forward[r] + flip_map(reverse[r]))[0, number]
        np.testing.assert_allclose(found[r].values, plain.numpy(), atol=2e-5)


def test_python_chooses_by_the_same_name(folder):
    model = oc.load_model(str(folder / "two"))
    assert model.cell_types == TYPES
    with pytest.raises(ModelError, match="has several cell types; choose one of: a, b"):
        oc.Predictor(model, str(folder / "g.fa"), any_genome=True, progress=False)
    with pytest.raises(ModelError, match="no cell type 'liver'; it has: a, b"):
        oc.Predictor(model, str(folder / "g.fa"), cell_type="liver", any_genome=True)
    values = {}
    for name in TYPES:
        p = oc.Predictor(
            model, str(folder / "g.fa"), cell_type=name, any_genome=True, progress=False
        )
        values[name] = p.predict("c1", 80).values
        (out, *_) = p.to_mcool(folder / f"{name}.mcool", levels="80")
        clr = cooler.Cooler(f"{out}::resolutions/80")
        assert clr.info["metadata"]["cell_type"] == name
    assert not np.allclose(values["a"], values["b"], equal_nan=True)


def test_variants_plot_and_evaluate(folder):
    options = ["-m", folder / "two", "-g", folder / "g.fa", "--any-genome"]
    edit = ["--edit", "c1:4,000-4,400 del"]
    run("-q", "variants", *options, *edit, "-o", folder / "v.tsv")
    tables = [pd.read_csv(folder / f"v.{name}.tsv", sep="\t", comment="#") for name in TYPES]
    assert len(tables[0]) == len(tables[1]) > 0
    assert (tables[0]["mse"] != tables[1]["mse"]).all()
    settings = json.loads((folder / "v.b.tsv.json").read_text())
    assert settings["cell_type"] == "b"
    run("-q", "plot", *options, *edit, "--cell-type", "a", "-o", folder / "p.png")
    assert (folder / "p.png").stat().st_size > 0
    result = CliRunner().invoke(
        main, ["variants", *map(str, options), *edit, "-o", "-"], catch_exceptions=False
    )
    assert result.exit_code == 2
    assert "choose one with --cell-type a" in result.output
    run("-q", "predict", *options, "--module", "S", "--cell-type", "a", "-o", folder / "m.mcool")
    result = CliRunner().invoke(
        main, ["evaluate", str(folder / "m.mcool"), "--chrom", "c1", *map(str, options)]
    )
    assert result.exit_code == 2
    assert "several cell types; choose one of: a, b" in result.output


def test_a_dry_run_counts_all_cell_types(folder):
    options = ["-m", folder / "two", "-g", folder / "g.fa", "--any-genome", "--module", "S"]
    both = json.loads(run("predict", *options, "-o", folder / "X.mcool", "--dry-run", "--json"))
    one = json.loads(
        run(
            "predict", *options, "-o", folder / "X.mcool", "--dry-run", "--json", "--cell-type", "a"
        )
    )
    assert both["windows"] == 2 * one["windows"]
    assert both["pixels"] == 2 * one["pixels"]
    assert list(folder.glob("*.mcool")) == []
