"""Several models score the same sequences."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec, save_model_of_two_cell_types

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.model.bundle import save_bundle

REGION = "a:2,000-2,060"
SIZES = {"a": 6010, "b": 700}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models one (a single map), two (cell types x and y), far (of another assembly), wide (other
    windows), and a genome.
    """
    folder = tmp_path_factory.mktemp("models")
    ours = {"one": SIZES}
    spec = make_toy_spec("one", assemblies=ours)
    save_bundle(folder / "one", make_toy_model(spec), make_toy_expected(spec))
    save_model_of_two_cell_types(folder, assemblies=ours)
    spec = make_toy_spec("far", assemblies={"mars": {"a": 123}})
    save_bundle(folder / "far", make_toy_model(spec), make_toy_expected(spec))
    spec = dataclasses.replace(make_toy_spec("wide", assemblies=ours), placement="centred")
    save_bundle(folder / "wide", make_toy_model(spec), make_toy_expected(spec))
    letters = np.random.default_rng(5).choice(list("ACGT"), SIZES["a"])
    (folder / "g.fa").write_text(f">a\n{''.join(letters)}\n>b\n{''.join(letters[:700])}\n")
    return folder


def screen(here: Path, model, **options):
    options = {"module": "S", "per_sequence": 2, "runs": 2, "device": "cpu"} | options
    return oc.screen.local(REGION, model=model, genome=here / "g.fa", progress=False, **options)


def test_several_models_score_what_each_scores_alone(here, tmp_path):
    out = tmp_path / "o"
    found = screen(here, [here / "one", here / "two"], output=out)
    assert found.names == ["one", "two.x", "two.y"]
    one, two = (screen(here, here / name).table for name in ("one", "two"))
    assert one["score"].min() > 1e-3
    np.testing.assert_array_equal(found.table["one"], one["score"])
    for name in "xy":
        np.testing.assert_array_equal(found.table[f"two.{name}"], two[name])
    assert (found.table["one"] != found.table["two.x"]).all()
    assert {p.name for p in tmp_path.iterdir()} == {
        *(f"o.{n}.{e}" for n in found.names for e in ("bw", "bedgraph.gz")),
        *("o.json", "o.top.tsv", "o.top.fa"),
    }
    about = json.loads((tmp_path / "o.json").read_text())
    assert about["model"] == ["one", "two"]
    assert about["model_digest"] == [oc.load_model(here / n).digest for n in ("one", "two")]
    top = pd.read_csv(f"{out}.top.tsv", sep="\t")
    assert list(top.columns) == ["chrom", "start", "end", *found.names]


def test_one_cell_type_of_one_model_beside_another_and_deletions(here):
    options = {"per_sequence": 1, "runs": 1, "replace": "delete"}
    both = screen(here, [here / "two", here / "one"], **options)
    assert both.names == ["two.x", "two.y", "one"]
    for name, model in (("two.y", "two"), ("one", "one")):
        alone = screen(here, here / model, **options)
        column = "y" if model == "two" else "score"
        np.testing.assert_array_equal(both.table[name], alone.table[column])


@pytest.mark.parametrize(
    ("models", "more", "words"),
    [
        ("one far", "", "'one' (one) and 'far' (mars) are of different assemblies"),
        ("one wide", "", "'one' and 'wide' see different windows: 16 bins of"),
        ("one one", "", "are both called 'one'"),
        ("one two", "--cell-type x", "model 'one' has no cell type 'x'"),
        ("one two", "--store s.h5", "store 's.h5' holds the encodings of one model"),
    ],
)
def test_models_that_do_not_go_together(here, tmp_path, models, more, words):
    line = ["-q", "screen", "local", REGION, "-g", str(here / "g.fa"), "-o", str(tmp_path / "o")]
    for name in models.split():
        line += ["-m", str(here / name)]
    done = CliRunner().invoke(main, [*line, "--module", "S", "--device", "cpu", *more.split()])
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())


def test_the_command_line_takes_several(here, tmp_path):
    line = ["-q", "screen", "local", REGION, "-g", str(here / "g.fa"), "-o", str(tmp_path / "o")]
    line += ["-m", str(here / "one"), "-m", str(here / "two"), "--module", "S", "--runs", "1"]
    done = CliRunner().invoke(main, [*line, "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "o.two.y.bw") in done.stdout.splitlines()


@pytest.mark.parametrize("overwrite", [True, False])
def test_an_insertion_screen_of_several(here, tmp_path, overwrite):
    (tmp_path / "s.fa").write_text(
        ">s\nACGTTGCAAGGCTTAACCGGATATCGCGAT\n>r\nGGGCATTACCATTTTTTTACG\n"
    )
    (tmp_path / "sites.bed").write_text("a\t2000\t2001\na\t2611\t2612\n")

    def insert(model, **options):
        return oc.screen.insert(
            tmp_path / "s.fa",
            tmp_path / "sites.bed",
            model=model,
            genome=here / "g.fa",
            module="S",
            overwrite=overwrite,
            scores="row,ssd",
            device="cpu",
            progress=False,
            **options,
        )

    out = tmp_path / "o"
    found = insert([here / "one", here / "two"], output=out)
    assert list(found.columns) == [
        f"{s}.{n}" for n in ("one", "two.x", "two.y") for s in ("row", "ssd")
    ]
    one, two = (insert(here / name).table for name in ("one", "two"))
    assert len(found.table) == 4
    for score in ("row", "ssd"):
        np.testing.assert_array_equal(found.table[f"{score}.one"], one[score])
        for name in "xy":
            np.testing.assert_array_equal(
                found.table[f"{score}.two.{name}"], two[f"{score}.{name}"]
            )
    assert found.table["row.one"].min() > 1e-3
    assert (found.table["row.one"] != found.table["row.two.x"]).all()
    about = json.loads((tmp_path / "o.json").read_text())
    assert about["model"] == ["one", "two"]
    assert pd.read_csv(f"{out}.tsv", sep="\t")["row.two.y"].notna().all()


@pytest.mark.parametrize(
    ("models", "more", "words"),
    [
        ("one far", "", "'one' (one) and 'far' (mars) are of different assemblies"),
        ("one wide", "", "'one' and 'wide' see different windows: 16 bins of"),
        ("one two", "--store s.h5", "store 's.h5' holds the encodings of one model"),
    ],
)
def test_models_of_an_insertion_screen_that_do_not_go_together(here, tmp_path, models, more, words):
    (tmp_path / "s.fa").write_text(">s\nACGTTGCAAGGCTTAACCGGATATCGCGAT\n")
    line = ["-q", "screen", "insert", "-g", here / "g.fa", "-o", tmp_path / "o", "--module", "S"]
    line += ["--sources", tmp_path / "s.fa", "--sites", "background:0.4:1", "--device", "cpu"]
    line += [word for name in models.split() for word in ("-m", here / name)]
    if "--store" in more:
        line[line.index("background:0.4:1")] = tmp_path / "sites.bed"
        (tmp_path / "sites.bed").write_text("a\t2000\t2001\n")
    before = set(tmp_path.iterdir())
    done = CliRunner().invoke(main, [*map(str, line), *more.split()])
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.stderr.split())
    assert set(tmp_path.iterdir()) == before
