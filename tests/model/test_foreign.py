"""Models of other people on the command line and in Python: a class or function of a Python file, or
the entry point of a package. Servers, configurations and stores take none.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cooler
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.errors import ModelError
from orca_cool.genome.source import reverse_complement
from orca_cool.maps.coolfile import read_log_ratio
from orca_cool.model.foreign import foreign_model
from orca_cool.model.named import absolute_name, described, is_foreign, open_named
from orca_cool.model.registry import resolve
from orca_cool.prediction.job import Job

EXAMPLE = Path(__file__).parents[2] / "examples" / "akita.py"

TOY = '''
import numpy as np
from orca_cool.maps.expected_model import ExpectedModel
from orca_cool.model.network_spec import ModuleSpec
from orca_cool.model.spec import ModelDescription
from beside import SCALE

BINS, BIN = 16, 4000


class Model:
    """Pairs of bins rich in G and C meet."""

    spec = ModelDescription("toy", BINS, (ModuleSpec("toy", (BIN,)),), licence="free")
    digest, context, capabilities = "0" * 64, 8000, frozenset()

    def expected(self, module):
        return ExpectedModel(BIN, 0.1 / (1.0 + np.arange(400)))

    def predict(self, codes):
        gc = (codes == 1) | (codes == 2)
        gc = gc[:, 8000:-8000].reshape(len(codes), BINS, -1).mean(axis=2) - 0.38
        return (gc[:, :, None] * gc[:, None, :] * SCALE).astype(np.float32)


def factory():
    return Model()


ready = Model()
number = 3
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the toy, in which the test runs."""
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "beside.py").write_text("SCALE = 40.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path])
    sys.modules.pop("beside", None)
    return tmp_path


def run(*arguments: object):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()[-1:]
    return line


def test_a_file_is_predicted_as_the_object_is(folder):
    words = ("-g", "example", "chrI", "--any-genome", "-q")
    done = run("predict", "--model", "toy.py:Model", *words, "-o", "a.mcool")
    assert done.exit_code == 0, done.output
    assert oc.check_mcool("a.mcool").valid
    found = read_log_ratio("a.mcool::resolutions/4000", "chrI")
    p = oc.Predictor("toy.py:factory", "example", any_genome=True, progress=False)
    again = p.predict("chrI", 4000).values
    known = np.isfinite(found)
    assert known.sum() > 300
    np.testing.assert_allclose(found[known], again[known], atol=2e-6)
    codes = oc.open_genome("example").source.fetch("chrI", 80_000, 84_000)
    gc = np.isin(codes, (1, 2)).mean() - 0.38
    assert again[20, 20] == pytest.approx(40 * gc * gc, abs=1e-5)
    about = cooler.Cooler("a.mcool::resolutions/4000").info["metadata"]
    assert (about["model"], about["licence"]) == ("toy", "free")
    assert about["model_digest"] == open_named("toy.py:ready").digest


def test_other_verbs_take_it(folder):
    model = ("--model", "toy.py:Model", "-g", "example", "--any-genome", "-q")
    edit = ("--edit", "chrI:100,000-101,000 del")  # shifts all bins behind it
    table = run("variants", *model, *edit, "-o", "-")
    assert table.exit_code == 0, table.output
    header, row = (line.split("\t") for line in table.stdout.splitlines() if line[0] != "#")
    assert float(row[header.index("mse")]) > 0
    drawn = run("plot", *model, *edit, "-o", "x.png")
    assert drawn.exit_code == 0, drawn.output
    edited = run("predict", *model, *edit, "-o", "e.mcool")
    assert edited.exit_code == 0, edited.output
    zoom = run("predict", *model, "--at", "chrI:101,000", "-o", "z.mcool")
    assert zoom.exit_code == 0, zoom.output
    screen = ("chrI:100,000-101,000", "--width", 500, "--per-sequence", 1, "--runs", 1)
    screened = run("screen", "local", *screen, *model, "-o", "s")
    assert screened.exit_code == 0, screened.output
    against = ("evaluate", "a.mcool", "--chrom", "chrI", "--no-ceiling", "--step", "16kb")
    assert run("predict", *model, "chrI", "-o", "a.mcool").exit_code == 0
    refusal = refused(*against, *model)  # windows of a model do not lie on a prediction's bins
    assert "was predicted by orca-cool" in refusal
    told = run("predict", *model, "chrI", "-o", "dry.mcool", "--dry-run")
    assert told.exit_code == 0, told.output
    assert "windows" in told.output


def test_it_is_evaluated_on_a_measured_map(folder):
    measured = Path(oc.__file__).parent / "data" / "maps" / "yeast.10kb.mcool"
    ten = TOY.replace("BINS, BIN = 16, 4000", "BINS, BIN = 16, 10_000")
    (folder / "ten.py").write_text(ten)
    model = ("--model", "ten.py:Model", "-g", "example", "--any-genome", "-q")
    words = ("evaluate", measured, "--chrom", "chrI", "--no-ceiling", "--step", "10kb", "--json")
    done = run(*words, *model)
    assert done.exit_code == 0, done.output
    scores = json.loads(done.stdout)
    assert scores["provenance"]["edges"] == "real"
    assert scores["scores"][0]["pixels"] > 100
    assert "edges 'zero-padded' means nothing" in refused(*words, *model, "--edges", "zero-padded")


def test_where_it_cannot_be_taken_is_said(folder):
    """Nothing else that opens a model runs a file's code."""
    (folder / "loud.py").write_text("raise SystemExit('run')\n")
    only = "here only a model's name or its folder is taken"
    assert only in refused("encode", "-m", "loud.py:M", "-g", "example", "-o", "x.h5")
    assert only in refused("serve", "-m", "loud.py:M", "-g", "example")
    assert only in refused("models", "info", "loud.py:M")
    with pytest.raises(ModelError, match=only):
        resolve("loud.py:M")
    why = ("chrI:100,000-100,010", "--objective", "insulation chrI:100,000")
    line = refused("attribute", *why, "-m", "toy.py:Model", "-g", "example", "-o", "x", "-q")
    assert "cannot be attributed: model 'toy' predicts whole windows by itself" in line
    for option, value in {"--device": "cuda:0", "--store": "x.h5", "--dtype": "bfloat16"}.items():
        words = ("-m", "toy.py:Model", "-g", "example", "chrI", "-o", "x.mcool", "-q")
        line = refused("predict", *words, option, value)
        assert "toy" in line or "cuda" in line
    assert sorted(p.suffix for p in folder.iterdir() if p.is_file()) == [".py"] * 3


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "", "names no class or function of the file; write broken.py:NAME"),
        ("x = 1", "Model", "has no 'Model'; it has: x"),
        ("Model = 3", "Model", "is 3, no class, factory or model"),
        ("def Model(:", "Model", r"cannot be read: SyntaxError: .*\(line 1 of .*broken.py\)"),
        ("\nimport nothing_such", "Model", r"ModuleNotFoundError: .*nothing_such.*\(line 2 of"),
        (
            "def Model():\n    raise SystemExit(1)",
            "Model",
            r"cannot be made: SystemExit: 1 \(line 2",
        ),
        ("class Model:\n    pass", "Model", "has no 'spec'; docs/python.md"),
        (TOY + "\nModel.spec = 'x'", "Model", "spec is 'x', expected one of type ModelDescription"),
        (TOY + "\nModel.context = -1", "Model", "context -1 must be 0 bp or more"),
        (TOY + "\nModel.digest = ''", "Model", "digest '' must say which weights"),
        (TOY + "\nModel.predict = None", "Model", "has no method 'predict'"),
        (TOY + "\nModel.expected = lambda s, m: 1", "Model", "is 1, not an ExpectedModel"),
        (
            TOY + "\nModel.expected = lambda s, m: ExpectedModel(4000, np.zeros(40))",
            "Model",
            "at 4000 bp must be frequencies above 0",
        ),
        (TOY.replace("BINS, BIN = 16", "BINS, BIN = 15"), "Model", "must be even, not 15"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(folder, text, name, message):
    (folder / "broken.py").write_text(text)
    given = f"broken.py:{name}" if name else "broken.py"
    line = refused("predict", "-m", given, "-g", "example", "-o", "x.mcool")
    assert re.search(message, line), line
    assert not (folder / "x.mcool").exists()


def test_a_failure_while_predicting_names_the_line(folder):
    text = TOY.replace("gc = (codes == 1)", "codes.nonsense()\n        gc = (codes == 1)")
    (folder / "broken.py").write_text(text)
    where = 1 + text.splitlines().index("        codes.nonsense()")
    words = ("-g", "example", "--any-genome", "chrI", "-q", "-o", "x.mcool")
    line = refused("predict", "-m", "broken.py:Model", *words)
    assert "predict failed: AttributeError: 'numpy.ndarray' object has no" in line
    assert f"(line {where} of " in line
    (folder / "broken.py").write_text(
        TOY + "\nModel.predict = lambda s, c: np.zeros((len(c), 3, 3))"
    )
    line = refused("predict", "-m", "broken.py:Model", *words)
    assert ", 16, 16) are needed" in line
    assert "no.py cannot be read: No such file" in refused("predict", "-m", "no.py:M", *words)


def test_another_code_is_another_model(folder):
    """Unfinished runs and stored windows of former code are not gone on with."""
    before = foreign_model("toy.py:Model")
    assert foreign_model("toy.py:Model") is before
    (folder / "toy.py").write_text(TOY.replace("0.38", "0.40"))
    after = foreign_model("toy.py:Model")
    assert after is not before
    assert after.digest != before.digest
    assert (after.name, after.levels, after.modules, after.cell_types) == (
        "toy",
        (4000,),
        ("toy",),
        (),
    )


def test_a_job_finds_it_from_another_folder(folder, tmp_path_factory):
    job = Job(model="toy.py:Model", genome="example", any_genome=True).standalone()
    assert job.model == f"{folder}/toy.py:Model"
    program = (
        "import sys\nfrom orca_cool.prediction.job import Job\n"
        "opened = Job.from_json(sys.argv[1]).open()\nprint(opened.model.digest)"
    )
    here = {**os.environ, "PYTHONPATH": str(Path(oc.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program, job.to_json()],
        capture_output=True,
        text=True,
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env=here,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == foreign_model("toy.py:Model").digest


@pytest.mark.long
def test_several_processes_share_it(folder):
    """Each loads the file by itself; the table and the map are those of one process."""
    model = ("--model", "toy.py:Model", "-g", "example", "--any-genome", "-q")
    (folder / "my.edits").write_text("a\tchrI:100,000-101,000 del\nb\tchrI:50,000-57,000 inv\n")
    for verb in (("variants", "my.edits", "-o"), ("predict", "chrI", "-o")):
        suffix = ".tsv" if verb[0] == "variants" else ".mcool"
        for name, more in (("one", ()), ("two", ("-p", 2))):
            done = run(*verb, f"{name}{suffix}", *model, *more)
            assert done.exit_code == 0, done.output
    assert (folder / "one.tsv").read_text() == (folder / "two.tsv").read_text()
    maps = [read_log_ratio(f"{name}.mcool::resolutions/4000", "chrI") for name in ("one", "two")]
    np.testing.assert_array_equal(*maps)
    with pytest.raises(ModelError, match="device 'cpu' means nothing to model 'toy'"):
        oc.Predictor("toy.py:Model", "example", any_genome=True, device="cpu")


def make_package(folder: Path, points: str) -> None:
    """An installed package, as pip leaves it, that brings the toy."""
    (folder / "toys").mkdir(parents=True)
    (folder / "toys" / "__init__.py").write_text(TOY.replace("from beside import", "SCALE = 40 #"))
    about = folder / "toys-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(points)


def test_a_package_brings_a_model(tmp_path, monkeypatch):
    points = "[orca_cool.models]\ntoy = toys:Model\nyeast-metaphase = toys:Model\nbad = toys:none\n"
    make_package(tmp_path / "site", points)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert is_foreign("toy")
    assert described("toy").licence == "free"
    assert absolute_name("toy") == "toy"
    done = run(
        *("predict", "-m", "toy", "-g", "example", "--any-genome", "chrI", "-q"),
        *("-o", tmp_path / "x.mcool"),
    )
    assert done.exit_code == 0, done.output
    assert not is_foreign("yeast-metaphase")  # a model folder's name cannot be taken by a package
    assert open_named("yeast-metaphase").levels == (2000, 4000, 8000)
    assert "cannot be imported: AttributeError" in refused(
        "predict", "-m", "bad", "-g", "example", "-o", tmp_path / "y.mcool"
    )
    assert "unknown model 'toy'" in refused("models", "info", "toy")
    listed = run("models", "list").stdout.splitlines()
    assert [line.split()[1:] for line in listed if line.startswith("toy ")] == [
        ["package", "toys:Model", "of", "package", "toys"]
    ]


def example():
    """The example's module, imported as anybody would."""
    spec = importlib.util.spec_from_file_location("akita_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_documented_example_runs(tmp_path):
    """chrI of yeast is shorter than a window; the map is the network's, both strands averaged."""
    assert len(EXAMPLE.read_text().splitlines()) < 75
    words = ("-g", "example", "--any-genome", "chrI", "-q", "-o", tmp_path / "akita.mcool")
    done = run("predict", "--model", f"{EXAMPLE}:Akita", *words)
    assert done.exit_code == 0, done.output
    assert oc.check_mcool(tmp_path / "akita.mcool").valid
    found = read_log_ratio(f"{tmp_path}/akita.mcool::resolutions/2048", "chrI")
    source = oc.open_genome("example").source
    flank = 32 * 2048
    codes = source.fetch("chrI", -flank, 2**20 - flank)
    akita = example().Akita()
    with torch.inference_mode():
        both = akita.predict(np.stack([codes, reverse_complement(codes)]))
    assert both.shape == (2, 448, 448)
    wanted = (both[0] + both[1][::-1, ::-1]) / 2
    n = len(found)
    assert n == 113
    known = np.isfinite(found)
    assert known.all()
    np.testing.assert_allclose(found, wanted[:n, :n], atol=1e-5)
    assert found.std() > 1e-3
