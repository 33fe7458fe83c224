"""Files that version 0.1 made are read: its names of columns, attributes, keys and arrays."""

from __future__ import annotations

import shutil
from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.effects.read_maps import read_maps
from orca_cool.encodings.store import EncodingStore
from orca_cool.genome.open import open_genome
from orca_cool.maps.coolfile import read_layer
from orca_cool.maps.expected_files import load_expected
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.model.header import read_header
from orca_cool.train.config import parse_config

FORMER = Path(__file__).parent / "data" / "v0.1"


@pytest.fixture
def files(tmp_path):
    """A copy: indexes and locks are made beside files."""
    return Path(shutil.copytree(FORMER, tmp_path / "v0.1"))


def test_bundle(files, tmp_path):
    """`assembly` of modules, `backgrounds`, tensors called background: the same model as now."""
    assert '"assembly"' in (files / "toy" / "model.json").read_text()
    old = load_bundle(files / "toy")
    new = load_bundle(save_bundle(tmp_path / "new", old.model, old.expected_tables))
    assert '"multi_chromosome"' in (tmp_path / "new" / "model.json").read_text()
    assert read_header(tmp_path / "new")["version"] == 2
    assert new.spec == old.spec
    for resolution, table in old.expected_tables.items():
        np.testing.assert_array_equal(new.expected_tables[resolution].cis, table.cis)
        assert new.expected_tables[resolution].trans == table.trans


def test_predicted_file(files):
    """An .mcool with the column `spread`: valid, read, and what the same command predicts now."""
    assert oc.check_mcool(files / "toy.mcool").valid
    path = files / "toy.mcool"
    assert "spread" in cooler.Cooler(f"{path}::resolutions/40").pixels().columns
    metadata = read_layer(f"{path}::resolutions/40")[1]
    assert metadata["format_version"] == 1
    p = oc.Predictor(files / "toy", files / "toy.fa", device="cpu", progress=False)
    now = p.predict("a:1,000-3,000", 40)
    then = oc.open_map(path).fetch("a:1,000-3,000", 40)
    known = np.isfinite(then.values) & np.isfinite(now.values)
    assert known.sum() > 500
    np.testing.assert_allclose(then.values[known], now.values[known], atol=1e-3)


def test_lifted_file_is_valid(files):
    report = oc.check_mcool(files / "del.reference-frame.mcool")
    wrong = {(r.name, r.passed) for r in report.results if not r.passed and r.passed is not None}
    assert wrong == {("expected tables", False)}  # which are not kept beside it here


def test_matrices_of_a_variant_are_drawn(files, tmp_path):
    (path,) = (files / "maps").glob("*.npz")
    title, pages = read_maps(path)
    assert "4,000-4,600 del" in title
    assert [c.resolution for c in pages[0]] == [160, 80, 40]
    result = CliRunner().invoke(main, ["plot", str(path), "-o", str(tmp_path / "x.png")])
    assert result.exit_code == 0, result.output


def test_scores_are_the_same(files, tmp_path):
    result = CliRunner().invoke(
        main,
        ["variants", "-q", str(files / "vars.txt"), "-m", f"{files}/toy", "-g", f"{files}/toy.fa"]
        + ["--module", "S", "--device", "cpu", "-o", str(tmp_path / "scores.tsv")],
    )
    assert result.exit_code == 0, result.output
    old, new = (pd.read_csv(folder / "scores.tsv", sep="\t") for folder in (files, tmp_path))
    assert set(new.columns) - set(old.columns) == {"id", "pos", "ref", "alt", "scd", "ssd"}
    # of the same pixels on both sides, and without the main diagonal, since 0.2
    redefined = ["decay", "one_minus_scc"]
    kept = [name for name in old.columns if name not in redefined]
    pd.testing.assert_frame_equal(old[kept], new[kept], rtol=1e-4)
    assert not np.allclose(old[redefined], new[redefined], rtol=1e-4)


def test_store(files):
    model = load_bundle(files / "toy")
    genome = open_genome(files / "toy.fa")
    with EncodingStore.open(files / "store.h5", model.model.encoder, genome) as store:
        assert store.read("a", 0, False) is not None


def test_expected_tables(files):
    assert (files / "background" / "background.json").is_file()
    (table,) = load_expected(files / "background").values()
    assert table.resolution == 2000


def test_keys_of_a_training_configuration(tmp_path):
    data = yaml.safe_load((FORMER / "config.yaml").read_text())
    assert any("assembly" in m for m in data["model"]["modules"])
    config = parse_config({**data, "background": "background"}, tmp_path)
    assert config.expected == "background"
    spec = config.spec((), {})
    assert any(m.multi_chromosome for m in spec.modules)


def test_urls_of_edited_genomes():
    pytest.importorskip("flask")
    from higlass_plugin.registry.address import parse_url

    url = "orca://toy/toy?edit=a%3A4%2C000-4%2C600%20del"
    former, now = (parse_url(f"{url}&{key}=reference") for key in ("frame", "lift"))
    assert former == now
    assert former.lifted
