"""kill -9 at any moment, of any verb, again and again: repeated, it ends as if it had been left
alone.
"""

from __future__ import annotations

import dataclasses
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cooler
import numpy as np
import pandas as pd
import pytest
import runs
import toy_training
import yaml
from matplotlib.image import imread
from safetensors.numpy import load_file

from orca_cool.encodings.store import EncodingStore
from orca_cool.maps.expected_files import load_expected
from orca_cool.model.bundle import load_bundle

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

#: Kills of each verb.
KILLS = 8


@dataclasses.dataclass(frozen=True)
class Verb:
    """A command, what it means that two of its outputs are the same, and whether it is brief: done
    in seconds, so that it need not go on where a killed run was.
    """

    line: str
    output: str
    same: Callable[[Path, Path, Path], None]
    brief: bool = False


def same_bytes(one: Path, two: Path, place: Path) -> None:
    assert one.read_bytes() == two.read_bytes()


def same_prediction(one: Path, two: Path, place: Path) -> None:
    runs.assert_same(one, two)


def same_edited(one: Path, two: Path, place: Path) -> None:
    for kind in ("", ".lifted", ".diff", ".reference"):
        a, b = (p.with_name(f"{p.stem}{kind}.mcool") for p in (one, two))
        assert runs.contents(a) == runs.contents(b)


def same_tracks(one: Path, two: Path, place: Path) -> None:
    assert runs.contents(one) == runs.contents(two)
    for track in ("insulation", "e1", "a", "b"):
        a, b = (p.with_name(f"{p.stem}.{track}.bw") for p in (one, two))
        same_bytes(a, b, place)


def same_attribution(one: Path, two: Path, place: Path) -> None:
    for ending in (".tsv.gz", ".parquet", ".bw", *(f".{base}.bw" for base in "ACGT")):
        same_bytes(one.with_name(f"x{ending}"), two.with_name(f"x{ending}"), place)


def same_store(one: Path, two: Path, place: Path) -> None:
    engine = runs.engine(place)
    encoder = load_bundle(place / "toy").model.encoder
    with (
        EncodingStore.open(one, encoder, engine.source, read_only=True) as a,
        EncodingStore.open(two, encoder, engine.source, read_only=True) as b,
    ):
        for chrom in runs.SIZES:
            assert a.present(chrom).all()
            assert np.array_equal(a.checksums(chrom), b.checksums(chrom))


def same_training(one: Path, two: Path, place: Path) -> None:
    a, b = (load_file(p / "model" / "weights.safetensors") for p in (one, two))
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)


def same_expected(one: Path, two: Path, place: Path) -> None:
    a, b = load_expected(one), load_expected(two)
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[r].cis, b[r].cis, equal_nan=True) for r in a)


def same_scores(one: Path, two: Path, place: Path) -> None:
    same_bytes(one / "scores.tsv", two / "scores.tsv", place)


def same_pictures(one: Path, two: Path, place: Path) -> None:
    names = sorted(p.name for p in one.parent.glob("*.png"))
    assert names
    assert names == sorted(p.name for p in two.parent.glob("*.png"))
    assert all(np.array_equal(imread(one.parent / n), imread(two.parent / n)) for n in names)


MODEL = "-m {place}/toy -g {place}/toy.fa --device cpu"
VERBS = {
    "predict": Verb(
        f"predict -q {MODEL} --module S,G --levels {','.join(map(str, runs.LEVELS))} --trans "
        "--strand-difference -o {out}",
        "x.mcool",
        same_prediction,
    ),
    "predict edited": Verb(
        f"predict -q {MODEL} --edit a:3000-3400_del --lift-to-reference --diff -o {{out}}",
        "x.mcool",
        same_edited,
    ),
    "predict --tracks": Verb(
        f"predict -q {MODEL} --fill-distance 760 --tracks insulation,e1,profiles -o {{out}}",
        "x.mcool",
        same_tracks,
    ),
    "predict --at": Verb(
        f"predict -q {MODEL} --at a:4000 -o {{out}}",
        "x.mcool",
        lambda one, two, place: same_bytes(one.with_suffix(".npz"), two.with_suffix(".npz"), place),
        True,
    ),
    "variants": Verb(f"variants -q {{place}}/edits.txt {MODEL} -o {{out}}", "x.tsv", same_bytes),
    "attribute": Verb(
        f"attribute -q a:3990-4030 --objective pixel_a:3900_a:4100 --method ism {MODEL} -o {{out}}",
        "x",
        same_attribution,
        True,
    ),
    "encode": Verb(f"encode -q {MODEL} -o {{out}}", "x.h5", same_store),
    "train": Verb("train {place}/c.yaml -o {out} --resume", "run", same_training),
    "expected": Verb("expected -q {place}/m.mcool -o {out}", "x", same_expected, True),
    "evaluate": Verb(
        "evaluate -q {place}/p.mcool {place}/observed.cool --chrom a --levels 40 --base 40 -o {out}",
        "e",
        same_scores,
        True,
    ),
    "plot": Verb("plot {place}/p.mcool -o {out}", "x.png", same_pictures, True),
}


def write_measured(path: Path, resolution: int) -> None:
    """A balanced map of the toy genome, whose contacts fall with distance."""
    bins = cooler.binnify(pd.Series(runs.SIZES), resolution).assign(weight=0.01)
    chrom = bins["chrom"].to_numpy(str)
    i, j = np.triu_indices(len(bins))
    mean = np.where(chrom[i] == chrom[j], 4000 / (j - i + 1), 1.0)
    count = np.random.default_rng(1).poisson(mean)
    pixels = pd.DataFrame({"bin1_id": i, "bin2_id": j, "count": count})
    cooler.create_cooler(str(path), bins, pixels[count > 0], dtypes={"count": int})


@pytest.fixture(scope="module")
def inputs(place) -> Path:
    """What the verbs read, beside the toy model and genome."""
    config = toy_training.toy_config(place)
    (place / "c.yaml").write_text(yaml.safe_dump(config))
    runs.write(place, place / "p.mcool")
    write_measured(place / "observed.cool", 40)
    text = [f"e{k}\ta:{1000 + 60 * k}-{1000 + 60 * k + 20} del\n" for k in range(100)]
    (place / "edits.txt").write_text("".join(text))
    return place


def command(verb: Verb, place: Path, output: Path, again: bool) -> list[str]:
    words = verb.line.format(place=place, out=output).split()
    if not again:
        words = [word for word in words if word != "--resume"]
    return [
        sys.executable,
        "-m",
        "orca_cool",
        *(word.replace("_del", " del").replace("_a:", " a:") for word in words),
    ]


def to_the_end(verb: Verb, place: Path, output: Path) -> None:
    """Run a verb, going on where it can.

    A run that was killed after the renaming of an output leaves it. The next one says so. All
    outputs must be there then, but for verbs that take seconds: these are run with --force.
    """
    begun = any((output / "checkpoints").glob("*.safetensors"))
    line = command(verb, place, output, begun)
    done = subprocess.run(line, env=runs.environment(), capture_output=True, text=True)
    if done.returncode == 2 and "exists" in done.stderr:
        assert "--force" in done.stderr
        if not verb.brief:
            return
        done = subprocess.run(
            [*line, "--force"], env=runs.environment(), capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", VERBS)
def test_killed_whenever(inputs, tmp_path, name):
    verb = VERBS[name]
    whole, output = tmp_path / "whole" / verb.output, tmp_path / "killed" / verb.output
    for path in (whole, output):
        path.parent.mkdir()
    begin = time.monotonic()
    to_the_end(verb, inputs, whole)
    lasts = time.monotonic() - begin
    rng = np.random.default_rng(len(name))
    kills = 0
    for _ in range(4 * KILLS):
        begun = any((output / "checkpoints").glob("*.safetensors"))
        process = subprocess.Popen(
            command(verb, inputs, output, begun),
            env=runs.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(float(rng.uniform(0.3, 1.0)) * lasts)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        if kills == KILLS:
            break
        if process.returncode in (0, 2):  # it is done, or was: from the beginning
            to_the_end(verb, inputs, output)
            verb.same(whole, output, inputs)
            shutil.rmtree(output.parent)
            output.parent.mkdir()
    assert kills == KILLS
    to_the_end(verb, inputs, output)
    verb.same(whole, output, inputs)
    locks = {p.name for p in output.parent.rglob("*") if "lock" in p.name}
    assert locks <= {"x.h5.lock"}
    print(f"{name}: {kills} kills")
