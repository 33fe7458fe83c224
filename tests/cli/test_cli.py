"""Bad input to the command line: one clear line that quotes it, exit code 2, nothing written."""

import json
import shutil
import signal
import subprocess
import sys
import time

import cooler
import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec

from orca_cool.cli import main
from orca_cool.model.bundle import save_bundle
from orca_cool.model.header import VERSION

SIZES = {"a": 3010, "b": 2100}


@pytest.fixture
def place(tmp_path):
    """A folder with model ``toy`` (trained on this genome's chromosome sizes) and genome
    ``toy.fa``.
    """
    rng = np.random.default_rng(5)
    with open(tmp_path / "toy.fa", "w") as out:
        out.write(
            "".join(f">{c}\n{''.join(rng.choice(list('ACGT'), n))}\n" for c, n in SIZES.items())
        )
    spec = make_toy_spec(assemblies={"toyAsm": SIZES})
    save_bundle(tmp_path / "toy", make_toy_model(spec), make_toy_expected(spec))
    return tmp_path


def call(place, *extra, model="toy", genome="toy.fa", output="out.mcool"):
    line = [
        "predict",
        "-q",
        "--model",
        str(place / model),
        "--genome",
        str(place / genome),
        "-o",
        str(place / output),
        "--levels",
        "40,80,160",
        *extra,
    ]
    return CliRunner().invoke(main, line)


def refused(place, result, *words):
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    message = result.output.strip().splitlines()[-1]
    assert message.startswith("Error: ")
    for word in words:
        assert word in message
    assert not (place / "out.mcool").exists()
    assert not list(place.glob("out.*"))


def test_one_command_writes_the_file_and_its_tables(place):
    result = call(place)
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in place.glob("out.*")) == [
        "out.expected.160.tsv",
        "out.expected.40.tsv",
        "out.expected.80.tsv",
        "out.mcool",
    ]
    clr = cooler.Cooler(f"{place / 'out.mcool'}::resolutions/40")
    assert clr.info["genome-assembly"] == "toyAsm"
    assert clr.chromsizes.to_dict() == SIZES
    checked = CliRunner().invoke(main, ["check", str(place / "out.mcool")])
    assert checked.exit_code == 0, checked.output


def test_zoom_series_from_the_command_line(place):
    result = call(place, "--at", "a:1,505")
    assert result.exit_code == 0, result.output
    with np.load(place / "out.npz", allow_pickle=False) as arrays:
        assert arrays["prediction_0.64k"].shape == (16, 16)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["c"], ["'c'", "a"]),
        (["a:10-9000"], ["a:10-9000", "3,010"]),
        (["a:900-100"], ["900", "100"]),
        (["a:x-y"], ["a:x-y"]),
        (["a:0-2000", "a:1000-3000"], ["overlap"]),
        (["--view", "missing.bed"], ["missing.bed"]),
        (["--levels", "1M"], ["'1M'", "40", "640"]),
        (["--module", "X"], ["'X'", "S, G, B"]),
        (["--module", "B", "--levels", "80"], ["80"]),
        (["--at", "a"], ["'a'"]),
        (["--at", "a:99999"], ["99999", "3,010"]),
        (["--at", "a:100", "b"], ["--at"]),
        (["--device", "gpu"], ["'gpu'"]),
        (["--chrom-names", "missing.tsv"], ["missing.tsv"]),
        (["--trans"], ["--trans"]),
    ],
)
def test_bad_choices(place, extra, words):
    refused(place, call(place, *extra), *words)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_asked_for_and_absent(place):
    refused(place, call(place, "--device", "cuda"), "'cuda'", "0 CUDA devices")


def test_output_that_exists_or_cannot_be(place):
    (place / "there.mcool").write_text("mine")
    result = call(place, output="there.mcool")
    assert result.exit_code == 2
    assert "--force" in result.output
    assert (place / "there.mcool").read_text() == "mine"
    assert call(place, "--force", output="there.mcool").exit_code == 0
    refused(place, call(place, output="no/where.mcool"), "no")
    refused(place, call(place, output="out.cool"), ".mcool")


def test_genomes_that_cannot_be_read(place):
    refused(place, call(place, genome="none.fa"), "none.fa")
    (place / "empty.fa").write_text("")
    refused(place, call(place, genome="empty.fa"), "empty.fa")
    (place / "noise.fa").write_bytes(bytes(range(256)) * 20)
    refused(place, call(place, genome="noise.fa"), "noise.fa")
    (place / "noise.2bit").write_bytes(bytes(range(256)) * 20)
    refused(place, call(place, genome="noise.2bit"), "noise.2bit")


def test_genome_of_another_assembly(place):
    letters = "ACGT" * 800
    (place / "other.fa").write_text(f">a\n{letters}\n>b\n{letters[:2100]}\n")
    refused(place, call(place, genome="other.fa"), "toyAsm", "3,200", "3,010", "--any-genome")
    result = call(place, "--any-genome", "b", genome="other.fa")
    assert result.exit_code == 0
    assert "warning" in result.output


def test_models_that_cannot_be_read(place):
    refused(place, call(place, model="none"), "none")
    shutil.copytree(place / "toy", place / "cut")
    weights = place / "cut" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    refused(place, call(place, model="cut"), "weights.safetensors")
    shutil.copytree(place / "toy", place / "new")
    header = json.loads((place / "new" / "model.json").read_text())
    (place / "new" / "model.json").write_text(json.dumps(header | {"version": VERSION + 1}))
    refused(place, call(place, model="new"), "version")
    (place / "new" / "model.json").write_text("{")
    refused(place, call(place, model="new"), "model.json")
    line = [
        "predict",
        "-q",
        "--model",
        "h2esc",
        "--genome",
        str(place / "toy.fa"),
        "-o",
        str(place / "out.mcool"),
    ]
    refused(place, CliRunner().invoke(main, line), "'h2esc'")


def test_check_of_what_is_no_mcool(place):
    (place / "noise.mcool").write_bytes(b"noise")
    result = CliRunner().invoke(main, ["check", str(place / "noise.mcool")])
    assert result.exit_code == 2
    assert "noise.mcool" in result.output


@pytest.mark.long  # like test_kills.py, which kills every verb
def test_killed_for_real_and_repeated(place):
    """kill -9 in the middle of a run, three times, then to the end: the same bytes in every dataset
    as in one go.
    """
    line = [
        sys.executable,
        "-m",
        "orca_cool",
        "predict",
        "-q",
        "--model",
        str(place / "toy"),
        "--genome",
        str(place / "toy.fa"),
        "--levels",
        "40,80,160",
    ]
    subprocess.run([*line, "-o", str(place / "one.mcool")], check=True, capture_output=True)
    work = place / "two.mcool.partial" / "journal.jsonl"
    killed = 0

    def reached():
        try:
            return len(work.read_text().splitlines()) - 1  # the first says what the others are of
        except FileNotFoundError:  # not begun, or done and gone
            return 0

    for step in (1, 3, 5):
        process = subprocess.Popen(
            [*line, "-o", str(place / "two.mcool")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and reached() < step:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        assert not (place / "two.mcool").exists() or process.returncode == 0
    assert killed
    if not (place / "two.mcool").exists():
        subprocess.run([*line, "-o", str(place / "two.mcool")], check=True)
    with h5py.File(place / "one.mcool") as one, h5py.File(place / "two.mcool") as two:
        names: list[str] = []
        one.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        for name in names:
            np.testing.assert_array_equal(one[name][()], two[name][()], err_msg=name)
