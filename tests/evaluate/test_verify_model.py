"""`orca-cool models verify`: its numbers against plain networks and against `evaluate`, and what it
says of files that do not fit.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model
from safetensors import safe_open
from test_evaluate_protocol import SIZES, noise, write_map

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.errors import ModelError, OutputError
from orca_cool.evaluate.verify_job import thinned
from orca_cool.genome.open import open_genome
from orca_cool.genome.source import one_hot
from orca_cool.model import verify
from orca_cool.model.bundle import load_bundle, save_bundle
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.windows import by_root, plan


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with the toy model, a genome and a measured map of it."""
    folder = tmp_path_factory.mktemp("verified")
    rng = np.random.default_rng(7)
    (folder / "toy.fa").write_text(
        "".join(f">{c}\n{''.join(rng.choice(list('ACGT'), n))}\n" for c, n in SIZES.items())
    )
    model = make_toy_model()
    save_bundle(folder / "toy", model, make_toy_expected(model.spec))
    write_map(folder / "measured.cool", 40, noise())
    return folder


@pytest.fixture(scope="module")
def found(place: Path):
    """The report on the whole of it, and its JSON."""
    output = place / "report.json"
    report = oc.verify_model(
        place / "toy",
        output,
        map=place / "measured.cool",
        genome=place / "toy.fa",
        chroms=["a", "b"],
        at="a:3,000",
        windows=1000,
        device="cpu",
        progress=False,
    )
    return report, json.loads(output.read_text())


def invoke(*arguments: object):
    return CliRunner().invoke(main, ["models", "verify", *map(str, arguments), "-q"])


def numbers(report: dict, part: str, dtype: str) -> dict[int | None, tuple[float, float]]:
    return {
        e["resolution"]: (e["r"], e["largest_sd"])
        for e in report["errors"]
        if (e["part"], e["dtype"]) == (part, dtype)
    }


def test_the_files_are_told(place: Path, found):
    report = found[1]
    weights = place / "toy" / "weights.safetensors"
    with safe_open(weights, "np") as file:
        names = [k for k in file.keys() if not k.startswith("expected")]
    assert (report["format"], report["version"]) == ("orca-cool-verification", 1)
    assert report["sound"] is True
    assert report["files"] == [
        {
            "name": "weights.safetensors",
            "bytes": weights.stat().st_size,
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "tensors": len(names) + 3,  # two expected tables, one of them with a trans value
        }
    ]
    assert report["tensors"]["found"] == report["tensors"]["wanted"] == len(names)
    assert report["architecture"]["released"] is None


def test_nothing_but_names_of_files_leaves_the_machine(place: Path, found):
    text = (place / "report.json").read_text()
    assert str(place) not in text
    assert report_strings(found[1])
    assert not any("/" in s for s in report_strings(found[1]))


def report_strings(value) -> list[str]:
    """All texts of the report but the one that says what it holds and the processor's name."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in ("contains", "processor")}
        return [s for v in kept.values() for s in report_strings(v)]
    if isinstance(value, list):
        return [s for v in value for s in report_strings(v)]
    return [value] if isinstance(value, str) else []


def test_scores_are_those_of_evaluate(place: Path, found):
    wanted = oc.evaluate_model(
        str(place / "toy"),
        str(place / "toy.fa"),
        place / "measured.cool",
        ["a", "b"],
        ceiling=False,
        job={"device": "cpu"},
        progress=False,
    )
    scores = {(s["chrom"], s["resolution"]): (s["r"], s["pixels"]) for s in found[1]["scores"]}
    assert len(scores) == 9  # three levels of two chromosomes, and of both
    assert scores == {(s.chrom, s.resolution): (s.r, s.pixels) for s in wanted.scores}
    assert found[1]["published_r"] is None


def test_errors_of_decoders_are_those_that_predict_tells(place: Path, found):
    bundle, source = load_bundle(place / "toy"), open_genome(place / "toy.fa")
    engine = make_engine(bundle, source, "cpu", "bfloat16")
    module = bundle.spec.module("S")
    levels = plan(SIZES["a"], module.resolutions, 16, 3000, 3001)
    root = next(levels for levels in by_root(levels) if levels[-1])
    wanted = engine.approximation_error(module, "a", root)
    got = numbers(found[1], "decoders", "bfloat16")
    assert got.keys() == {160, 80, 40}
    for r, pair in got.items():
        assert pair == pytest.approx(wanted[str(r)], abs=1e-6)


def test_errors_of_float16_on_disk_are_those_of_plain_networks(place: Path, found):
    """Of the top level, from the sequence, without any of the fast networks."""
    report, bundle = found[1], load_bundle(place / "toy")
    module, source = bundle.spec.module("S"), open_genome(place / "toy.fa")
    seen, context = report["sequence"], bundle.context
    assert (seen["genome"], seen["chrom"]) == ("toy.fa", "a")
    assert seen["end"] - seen["start"] == 2560
    assert seen["start"] <= 3000 < seen["end"]
    codes = source.fetch("a", seen["start"] - context, seen["end"] + context)
    log = np.log(bundle.expected(module).expected_matrix(160, 16)).astype(np.float32)
    with torch.inference_mode():
        bases = bundle.model.encoder(one_hot(codes)[None])
        margin = context // 40
        bases = bases[..., margin:-margin]

        def decoded(x: torch.Tensor) -> np.ndarray:
            top = bundle.model.encodings(module, x)[160]
            return bundle.model.decode(module, 160, top, torch.from_numpy(log)[None, None], None)

        exact, rounded = decoded(bases).numpy(), decoded(bases.half().float()).numpy()
    for part, y in (
        ("stored encodings", rounded),
        ("stored windows", exact.astype(np.float16).astype(np.float32)),
    ):
        r, largest = numbers(report, part, "float16")[160]
        assert 0.999 < r < 1
        assert largest == pytest.approx(np.abs(exact - y).max() / exact.std(), rel=0.1)
        assert 0 < largest < 0.05


def test_what_this_device_cannot_measure_is_said(found):
    """A CPU has neither TF32 nor an encoder in float16."""
    assert found[1]["device"] == "cpu"
    missing = {(e["part"], e["dtype"]) for e in found[1]["not_measured"]}
    assert missing == {("decoders", "tf32"), ("encoder", "tf32"), ("encoder", "float16")}
    kinds = {(e["part"], e["dtype"]) for e in found[1]["errors"]}
    assert kinds == {
        ("decoders", "bfloat16"),
        ("encoder", "bfloat16"),
        ("stored encodings", "float16"),
        ("stored windows", "float16"),
    }


@pytest.mark.parametrize("lengths", [(100, 80), (10,), (7, 7, 7)])
@pytest.mark.parametrize("most", [1, 2, 5, 30, 1000])
def test_every_kth_window(lengths, most):
    def count(k: int) -> int:
        return sum(len({*range(0, n, k), n - 1}) for n in lengths)

    counts = {k: count(k) for k in range(1, count(1) + 1)}
    enough = [k for k, n in counts.items() if n <= most]
    fewest = min(counts.values())
    wanted = enough[0] if enough else next(k for k, n in counts.items() if n == fewest)
    assert thinned(count, most) == wanted


def test_few_windows_and_the_example(place: Path):
    """On the command line: a table, fewer windows; and the shipped example where no genome is
    given.
    """
    few, alone = place / "few.json", place / "alone.json"
    files = ("--map", place / "measured.cool", "--genome", place / "toy.fa")
    result = invoke(place / "toy", "-o", few, *files, "--chrom", "c", "--windows", 4)
    assert result.exit_code == 0, result.output
    report = json.loads(few.read_text())
    assert 2 <= max(s["windows"] for s in report["scores"]) <= 4
    assert report["protocol"]["step"] > 40
    for said in ("sound", "bfloat16", "Pearson's r, measured map measured.cool", "No sequence"):
        assert said in result.output
    result = invoke(place / "toy", "-o", alone, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(alone.read_text())
    assert report["sequence"]["genome"] == "example, repeated"
    assert report["scores"] == []
    assert all(e["r"] is not None for e in report["errors"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--map", "{}/measured.cool"), "needs --genome"),
        (("--at", "a:3,000"), "needs --genome"),
        (("--genome", "{}/toy.fa", "--map", "{}/measured.cool"), "no chromosome 'chr9'"),
        (("--genome", "{}/toy.fa", "--map", "{}/none.cool", "--chrom", "a"), "none.cool"),
        (("--genome", "{}/toy.fa", "--at", "a:9,000"), "9,000"),
        (("--module", "64M"), "64M"),
        (("--name", "h1esc"), "released files"),
    ],
)
def test_what_is_refused(place: Path, tmp_path: Path, arguments, message):
    output = tmp_path / "report.json"
    result = invoke(place / "toy", "-o", output, *(a.format(place) for a in arguments))
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_model_and_a_report_that_is_there(place: Path, tmp_path: Path):
    shutil.copytree(place / "toy", tmp_path / "toy")
    weights = tmp_path / "toy" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match="weights"):
        oc.verify_model(tmp_path / "toy", tmp_path / "report.json", progress=False)
    assert not (tmp_path / "report.json").exists()
    (tmp_path / "report.json").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        oc.verify_model(place / "toy", tmp_path / "report.json", progress=False)
    with pytest.raises(ModelError, match="float32"):
        oc.verify_model(place / "toy", tmp_path / "other.json", dtype="bfloat16", progress=False)
    assert (tmp_path / "report.json").read_text() == "mine"


def test_the_released_files_fit(released_folder: Path):
    found, modules = verify.verify_released(released_folder, "hctnoc")
    assert modules == ("32M",)
    assert found["architecture"] == {"released": "hctnoc", "differs": []}
    assert verify.is_sound(found)
    assert found["missing_files"] == []
    assert len(found["files"]) == 9
    about = found["files"][0]
    data = (released_folder / "models" / about["name"]).read_bytes()
    assert about["sha256"] == hashlib.sha256(data).hexdigest()


def test_what_does_not_fit_in_an_archive_is_reported(released_folder: Path, tmp_path: Path):
    """One tensor is missing, one of another shape: both are told, with the whole list of files."""
    names = verify.files_of("hctnoc")["32M"]
    file = "models/orca_hctnoc.d4.statedict"
    state = torch.load(released_folder / file, weights_only=True)
    first, second = [k for k in state if state[k].ndim == 4][:2]
    del state[first]
    state[second] = state[second][:1]
    torch.save(state, tmp_path / "odd.statedict")
    archive = tmp_path / "resources.tar"
    with tarfile.open(archive, "w") as tar:
        for name in names:
            source = tmp_path / "odd.statedict" if name == file else released_folder / name
            tar.add(source, f"orca/{name}")
    output = tmp_path / "report.json"
    result = invoke(archive, "-o", output)
    assert result.exit_code == 1, result.output
    report = json.loads(output.read_text())
    ours = "decoders.32M.16000."
    assert report["sound"] is False
    assert report["tensors"]["missing"] == [ours + first.removeprefix("module.")]
    assert list(report["tensors"]["shapes"]) == [ours + second.removeprefix("module.")]
    assert [f["name"] for f in report["files"]] == [Path(n).name for n in names]
    assert "NOT sound" in result.output
    assert invoke(archive, "-o", output, "--force", "--name", "hff").exit_code == 2
    assert json.loads(output.read_text()) == report
