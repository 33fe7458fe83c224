"""``orca-cool encode``: a store is made, filled up, verified, refused; bad input is one line and
exit code 2.
"""

import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from conftest import make_toy_expected, make_toy_model, make_toy_spec
from stores import coverage, has

from orca_cool.cli import main
from orca_cool.encodings.store import EncodingStore
from orca_cool.genome.open import open_genome
from orca_cool.genome.source import one_hot, reverse_complement
from orca_cool.model.bundle import load_bundle, save_bundle

SIZES = {"a": 9010, "b": 2100}
BLOCKS = {"a": 6, "b": 2}  # of 1600 bp, over [0, length + 400)


@pytest.fixture
def place(tmp_path):
    """A folder with models ``toy`` and ``other`` and genome ``toy.fa``."""
    random = np.random.default_rng(5)
    with open(tmp_path / "toy.fa", "w") as out:
        out.write(
            "".join(f">{c}\n{''.join(random.choice(list('ACGTN'), n))}\n" for c, n in SIZES.items())
        )
    for name, seed in {"toy": 1, "other": 2}.items():
        spec = make_toy_spec(name, assemblies={"toyAsm": SIZES})
        save_bundle(tmp_path / name, make_toy_model(spec, seed), make_toy_expected(spec))
    return tmp_path


def line(place, *extra, model="toy", genome="toy.fa", output="s.h5"):
    return [
        "encode",
        "-q",
        "--device",
        "cpu",
        "-m",
        str(place / model),
        "-g",
        str(place / genome),
        "-o",
        str(place / output),
        *extra,
    ]


def call(place, *extra, **changes):
    return CliRunner().invoke(main, line(place, *extra, **changes))


def refused(result, *words):
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    message = result.output.strip().splitlines()[-1]
    assert message.startswith("Error: ")
    for word in words:
        assert word in message


def open_store(place, genome="toy.fa"):
    return EncodingStore.open(
        place / "s.h5",
        load_bundle(place / "toy").model.encoder,
        open_genome(str(place / genome)),
        create=False,
    )


def test_the_store_holds_what_the_encoder_gives(place):
    result = call(place)
    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(place / "s.h5")
    encoder, source = load_bundle(place / "toy").model.encoder, open_genome(str(place / "toy.fa"))
    with open_store(place) as store:
        assert coverage(store) == {"a": 1.0, "b": 1.0}
        assert store.dtype == "float16"
        for chrom, blocks in BLOCKS.items():
            for reverse in (False, True):
                codes = source.fetch(chrom, -400, 1600 * blocks + 400)
                with torch.no_grad():
                    y = encoder(one_hot(reverse_complement(codes) if reverse else codes)[None])[
                        0, :, 10:-10
                    ]
                found = np.concatenate([store.read(chrom, k, reverse) for k in range(blocks)])
                expected = (y.flip(-1) if reverse else y).T.numpy()
                np.testing.assert_allclose(found, expected, rtol=2.0**-11, atol=1e-5)
    with h5py.File(place / "s.h5") as file:
        assert (file.attrs["model"], file.attrs["genome"]) == ("toy", "toy")


def test_regions_and_then_the_rest(place):
    assert call(place, "a:1700-3000", "b", "--dtype", "float32").exit_code == 0
    with open_store(place) as store:
        assert coverage(store) == {"a": 1 / 6, "b": 1.0}
        assert has(store, "a", 1, True)
        before = store.read("a", 1, True)
    refused(call(place, "--dtype", "float16"), "s.h5", "float32", "float16")
    assert call(place).exit_code == 0
    with open_store(place) as store:
        assert store.dtype == "float32"
        assert coverage(store) == {"a": 1.0, "b": 1.0}
        np.testing.assert_array_equal(store.read("a", 1, True), before)


def test_verify_tells_what_it_mends(place):
    assert call(place).exit_code == 0
    with open_store(place) as store:
        before = store.read("a", 3, True)
        at = store.header.encodings["a"] + (6 + 3) * store.header.block_bytes() + 100
    with open(place / "s.h5", "r+b") as file:
        file.seek(at)
        file.write(b"\xff\xff")
    result = call(place, "--verify")
    assert result.exit_code == 0, result.output
    assert "damaged: a:4,800-6,400, reverse strand\n1 damaged block\n" in result.output
    assert "0 damaged blocks" in call(place, "--verify").output
    with open_store(place) as store:
        np.testing.assert_array_equal(store.read("a", 3, True), before)


def test_stores_of_others_are_refused(place):
    assert call(place, "b").exit_code == 0
    before = (place / "s.h5").read_bytes()
    refused(call(place, model="other"), "s.h5", "'toy'", "encoder", "--force")
    text = (place / "toy.fa").read_text()
    (place / "longer.fa").write_text(text.rstrip("\n") + "A\n")
    refused(call(place, "--any-genome", genome="longer.fa"), "s.h5", "'longer'", "2,100", "2,101")
    head, last = text.rstrip("\n")[:-1], text.rstrip("\n")[-1]
    (place / "edited.fa").write_text(head + ("A" if last != "A" else "C") + "\n")
    refused(call(place, genome="edited.fa"), "b of", "s.h5", "'edited'", "another sequence")
    assert call(place, "a", genome="edited.fa").exit_code == 0  # that chromosome is the same
    assert (place / "s.h5").read_bytes()[: 1 << 10] == before[: 1 << 10]
    assert call(place, "--force", model="other").exit_code == 0
    refused(call(place), "'other'", "'toy'")


def test_damaged_structure_is_told_and_force_replaces_it(place):
    assert call(place, "b").exit_code == 0
    for at in (2, 60):
        sound = (place / "s.h5").read_bytes()
        (place / "s.h5").write_bytes(sound[:at] + b"\xff" + sound[at + 1 :])
        refused(call(place, "b"), "s.h5", "damaged", "--force")
        assert call(place, "b", "--force").exit_code == 0
    with open_store(place) as store:
        assert coverage(store) == {"a": 0.0, "b": 1.0}


def test_force_deletes_no_other_file(place):
    refused(call(place, "--force", output="toy.fa"), "toy.fa", "not a store")
    assert (place / "toy.fa").read_text().startswith(">a\n")
    refused(call(place, "--force", output="toy"), "folder")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["c"], ["'c'", "a"]),
        (["a:10-9900"], ["a:10-9900", "9,010"]),
        (["--device", "gpu"], ["'gpu'"]),
        (["--chrom-names", "missing.tsv"], ["missing.tsv"]),
    ],
)
def test_bad_choices(place, extra, words):
    refused(call(place, *extra), *words)
    assert not list(place.glob("s.h5*"))


def test_bad_paths(place):
    refused(call(place, output="no/where.h5"), "no folder", "no")
    refused(call(place, genome="none.fa"), "none.fa")
    refused(call(place, model="none"), "none")
    text = (place / "toy.fa").read_text()
    (place / "longer.fa").write_text(text.rstrip("\n") + "A\n")
    refused(call(place, genome="longer.fa"), "toyAsm", "--any-genome")
    assert not list(place.glob("s.h5*"))


@pytest.mark.long  # like test_kills.py, which kills every verb
def test_killed_for_real_and_repeated(place):
    """kill -9 three times, then to the end, then beside a second one from the start: the same
    blocks as in one go.
    """
    random = np.random.default_rng(6)
    (place / "long.fa").write_text(
        f">a\n{''.join(random.choice(list('ACGT'), 2_000_000))}\n>b\n{''.join(random.choice(list('ACGT'), 2100))}\n"
    )

    def start(output):
        words = line(place, "--any-genome", genome="long.fa", output=output)
        return subprocess.Popen(
            [sys.executable, "-m", "orca_cool", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    assert start("one.h5").wait() == 0
    killed = 0
    for pause in (0.05, 0.3, 0.7):
        process = start("s.h5")
        while process.poll() is None and not (place / "s.h5").exists():
            time.sleep(0.01)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed
    assert start("s.h5").wait() == 0
    pair = [start("two.h5"), start("two.h5")]
    assert [process.wait() for process in pair] == [0, 0]
    with h5py.File(place / "one.h5") as one:
        for name in ("s.h5", "two.h5"):
            with h5py.File(place / name) as file:
                for chrom in ("a", "b"):
                    np.testing.assert_allclose(
                        file["encodings"][chrom][()],
                        one["encodings"][chrom][()],
                        rtol=1e-3,
                        atol=1e-5,
                    )
                    assert (file["checksums"][chrom][()] >> np.uint64(32) == 1).all()
    shutil.rmtree(place)
