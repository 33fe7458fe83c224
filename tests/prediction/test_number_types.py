"""Number types other than float32 are used where they are faster: timed once a run, kept where it
goes on, the same for all who share it.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import runs
import timers
import torch
from click.testing import CliRunner
from conftest import save_model_of_two_cell_types
from timers import FASTER, SLOWER

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.errors import DeviceError
from orca_cool.files import cache_folders
from orca_cool.maps.coolfile import read_layer
from orca_cool.model.bundle import load_bundle
from orca_cool.prediction import accuracy, kept_errors, number_types
from orca_cool.prediction import run as work
from orca_cool.prediction.device import resolve_device
from orca_cool.prediction.engine import make_engine
from orca_cool.prediction.number_types import chosen, compare
from orca_cool.prediction.regions_job import RegionsJob


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model, a genome, and its prediction in float32, ``exact.mcool``."""
    folder = runs.make_place(tmp_path_factory.mktemp("place"))
    done(folder, "exact.mcool")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def predict(place, output, *more):
    return CliRunner().invoke(main, [*runs.arguments(place, place / output), *more])


def done(place, output, *more):
    result = predict(place, output, *more)
    assert result.exit_code == 0, result.output
    return result.output


def types_in(path):
    """Number types by the metadata of a file: of decoders, asked for and not used."""
    about = read_layer(f"{path}::resolutions/640")[1]
    return about["dtype"], about.get("dtype_asked")


def is_exact(place, output):
    return runs.contents(place / output) == runs.contents(place / "exact.mcool")


def kill_after(monkeypatch, steps):
    """Predictions stop after so many steps."""
    add, seen = work.Merger.add, []

    def broken(self, step, found):
        seen.append(step)
        if len(seen) > steps:
            raise KeyboardInterrupt
        return add(self, step, found)

    monkeypatch.setattr(work.Merger, "add", broken)


class Clock:
    """A clock that calls of known seconds move on."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(number_types.time, "perf_counter", lambda: self.now)

    def call(self, *seconds):
        """A call that takes these seconds in turn, and then always the last."""
        rest = list(seconds)

        def run():
            self.now += rest.pop(0) if len(rest) > 1 else rest[0]
            run.calls += 1

        run.calls = 0
        return run


def test_calls_are_timed_after_a_first_one_and_in_turn(monkeypatch):
    clock, cpu = Clock(monkeypatch), torch.device("cpu")
    exact, other = clock.call(0.3, 0.02, 0.01, 0.02), clock.call(0.09, 0.004, 0.006)
    assert compare(exact, other, cpu) == pytest.approx((0.01, 0.004))
    assert exact.calls == other.calls
    assert 0.05 < clock.now - 0.3 - 0.02 - 0.09 < 0.1  # what is asked of a timing
    slow = clock.call(5.0)
    assert compare(clock.call(0.01), slow, cpu) == pytest.approx((0.01, 5.0))
    assert slow.calls == 1  # hopeless: no second time


def test_what_is_slower_gives_way_to_float32(place, monkeypatch):
    asked = timers.install(monkeypatch, SLOWER)
    said = done(place, "slow.mcool", "--dtype", "bfloat16")
    assert "bfloat16 decoding is slower here than float32 (1000 ms against 500 ms" in said
    assert "--force-dtype keeps bfloat16" in said
    assert "r 0.99" not in said
    assert len(asked) == 1
    assert types_in(place / "slow.mcool") == ("float32", "bfloat16")
    assert is_exact(place, "slow.mcool")
    # nothing asked for, or forced: nothing timed
    timers.install(monkeypatch)
    assert types_in(place / "exact.mcool") == ("float32", None)
    assert "slower" not in done(place, "forced.mcool", "--dtype", "bfloat16", "--force-dtype")
    assert types_in(place / "forced.mcool") == ("bfloat16", None)
    assert not is_exact(place, "forced.mcool")


def test_nothing_is_forced_where_nothing_approximates(place):
    refused = predict(place, "no.mcool", "--force-dtype")
    assert refused.exit_code == 2
    assert "both are 'float32'" in refused.output.strip().splitlines()[-1]


def test_what_is_faster_is_used_and_its_error_told(place, monkeypatch):
    timers.install(monkeypatch, FASTER)
    said = done(place, "fast.mcool", "--dtype", "bfloat16")
    assert "slower" not in said
    assert "bfloat16 decoders, 640 bp: r 0.99" in said
    assert types_in(place / "fast.mcool") == ("bfloat16", None)
    assert not is_exact(place, "fast.mcool")


@pytest.mark.parametrize(("found", "used"), [(SLOWER, "float32"), (FASTER, "bfloat16")])
def test_a_run_that_goes_on_keeps_its_types(place, monkeypatch, found, used):
    name = f"killed.{used}.mcool"
    timers.install(monkeypatch, found)
    with monkeypatch.context() as patch:
        kill_after(patch, 2)
        assert predict(place, name, "--dtype", "bfloat16").exit_code != 0
    timers.install(monkeypatch)
    wrong = predict(place, name)  # another run, whatever it would compute in
    assert wrong.exit_code == 2
    assert "dtype" in wrong.output.strip().splitlines()[-1]
    if used == "float32":
        wrong = predict(place, name, "--dtype", "bfloat16", "--force-dtype")
        assert wrong.exit_code == 2
    said = done(place, name, "--dtype", "bfloat16")
    assert ("going on in float32" in said) == (used == "float32")
    assert types_in(place / name)[0] == used
    forced = ["--dtype", used, "--force-dtype"] if used != "float32" else []
    done(place, f"{name[:-6]}.whole.mcool", *forced)
    assert runs.contents(place / name) == runs.contents(place / f"{name[:-6]}.whole.mcool")


def test_files_beside_a_finished_prediction_are_made_without_timing(tmp_path, monkeypatch):
    place = runs.make_place(tmp_path)
    edit = ["--edit", "a:4,001-4,400 del", "--lift-to-reference", "--dtype", "bfloat16"]
    line = ["predict", "-q", "-m", str(place / "toy"), "-g", str(place / "toy.fa"), "a"]
    line += ["--device", "cpu", "--module", "S", "-o", str(place / "x.mcool"), *edit]
    timers.install(monkeypatch, SLOWER)
    first = CliRunner().invoke(main, line)
    assert first.exit_code == 0, first.output
    (place / "x.lifted.mcool").unlink(missing_ok=True)
    for path in place.glob("x.reference-frame*"):
        path.unlink()
    timers.install(monkeypatch)
    again = CliRunner().invoke(main, line)
    assert again.exit_code == 0, again.output


def test_cell_types_are_of_one_choice(tmp_path, monkeypatch):
    save_model_of_two_cell_types(tmp_path)
    place = runs.make_place(tmp_path)
    asked = timers.install(monkeypatch, FASTER)
    line = ["predict", "-q", "-m", str(place / "two"), "-g", str(place / "toy.fa"), "a"]
    line += [
        "--device",
        "cpu",
        "--module",
        "S",
        "--dtype",
        "bfloat16",
        "-o",
        str(place / "x.mcool"),
    ]
    found = CliRunner().invoke(main, line)
    assert found.exit_code == 0, found.output
    assert len(asked) == 1
    for name in "xy":
        about = read_layer(f"{place}/x.{name}.mcool::resolutions/160")[1]
        assert about["dtype"] == "bfloat16"


def scores(place, output, *more):
    edits = [x for k in range(8) for x in ("--edit", f"a:{4001 + 10 * k}-{4005 + 10 * k} del")]
    line = ["variants", "-q", "-m", str(place / "toy"), "-g", str(place / "toy.fa"), *edits]
    line += ["--device", "cpu", "--module", "S", "--levels", "160", "-o", str(place / output)]
    return CliRunner().invoke(main, [*line, *more])


@pytest.mark.parametrize(("found", "used"), [(SLOWER, "float32"), (FASTER, "bfloat16")])
def test_a_table_that_goes_on_keeps_its_types(place, monkeypatch, found, used):
    from orca_cool.effects import table
    from orca_cool.effects.unfinished_table import UnfinishedTable

    add, name = UnfinishedTable.add, f"{used}.tsv"

    def broken(self, first, rows):
        add(self, first, rows)
        raise KeyboardInterrupt

    timers.install(monkeypatch, found)
    monkeypatch.setattr(table, "batch_size", lambda engine: 3)
    with monkeypatch.context() as patch:
        patch.setattr(UnfinishedTable, "add", broken)
        assert scores(place, name, "--dtype", "bfloat16").exit_code != 0
    timers.install(monkeypatch)
    result = scores(place, name, "--dtype", "bfloat16")
    assert result.exit_code == 0, result.output
    about = json.loads((place / f"{name}.json").read_text())
    assert about["dtype"] == used
    assert about.get("dtype_asked") == (None if used == "bfloat16" else "bfloat16")
    forced = ["--dtype", used, "--force-dtype"] if used != "float32" else []
    result = scores(place, f"whole.{name}", *forced)
    assert result.exit_code == 0, result.output
    assert (place / name).read_bytes() == (place / f"whole.{name}").read_bytes()


def screen(place, output, *more):
    line = ["screen", "local", "a:1,900-2,100", "--per-sequence", "3", "--runs", "2", "-q"]
    line += ["-m", str(place / "toy"), "-g", str(place / "toy.fa"), "--device", "cpu"]
    return [*line, "--module", "S", "-o", str(place / output), *more]


def test_a_screen_that_goes_on_keeps_its_types(place, monkeypatch):
    from orca_cool.prediction.item_journal import ItemJournal

    add = ItemJournal.add

    def broken(self, key, values):
        add(self, key, values)
        raise KeyboardInterrupt

    timers.install(monkeypatch, FASTER)
    with monkeypatch.context() as patch:
        patch.setattr(ItemJournal, "add", broken)
        assert CliRunner().invoke(main, screen(place, "s", "--dtype", "bfloat16")).exit_code != 0
    timers.install(monkeypatch)
    result = CliRunner().invoke(main, screen(place, "s", "--dtype", "bfloat16"))
    assert result.exit_code == 0, result.output
    more = ["--dtype", "bfloat16", "--force-dtype"]
    assert CliRunner().invoke(main, screen(place, "t", *more)).exit_code == 0
    assert files(place, "s") == files(place, "t")


def files(place, stem):
    """Bytes of the files of a screen, by what stands behind the stem."""
    return {p.name[len(stem) :]: p.read_bytes() for p in place.glob(f"{stem}.*") if p.is_file()}


TORCHRUN = "-m torch.distributed.run --nproc-per-node 2 --master-addr 127.0.0.1 --master-port"


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "verb"),
    [("torchrun", "predict"), ("torchrun", "screen"), ("nproc", "predict"), ("nproc", "screen")],
)
def test_those_who_share_a_run_compute_in_the_same_types(place, tmp_path, verb, how):
    """The first one that times says which: of the others, which would choose otherwise, none is
    asked.
    """
    if how == "nproc":
        pytest.importorskip("distributed")
    environment = timers.of_subprocesses(tmp_path, SLOWER, FASTER)
    name = f"{how}.{verb}.mcool" if verb == "predict" else f"{how}.{verb}"
    line = runs.arguments(place, place / name) if verb == "predict" else screen(place, name)
    line += ["--dtype", "bfloat16", *(["--nproc", "2"] if how == "nproc" else [])]
    port = str(29500 + os.getpid() % 1000)
    before = [*TORCHRUN.split(), port] if how == "torchrun" else []
    ran = subprocess.run(
        [sys.executable, *before, "-m", "orca_cool", *line],
        env=environment, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("bfloat16 decoding is slower here than float32") == 1
    assert (tmp_path / "timed").read_bytes().count(b"\n") == 1
    if verb == "predict":
        assert types_in(place / name) == ("float32", "bfloat16")
        assert is_exact(place, name)
    else:
        alone = CliRunner().invoke(main, screen(place, f"alone.{how}"))
        assert alone.exit_code == 0, alone.output
        found, exact = files(place, name), files(place, f"alone.{how}")
        about = json.loads(found.pop(".json"))
        assert about.pop("dtype_asked") == "bfloat16"
        assert about == json.loads(exact.pop(".json"))
        assert found == exact


def test_a_job_that_was_settled_elsewhere_times_nothing(place, monkeypatch):
    timers.install(monkeypatch)
    job = RegionsJob(
        model=str(place / "toy"), genome=str(place / "toy.fa"), device="cpu", dtype="bfloat16",
        settled=("float32", "float32"), regions=(("a", 0, 9010),), settings={}, assembly="toy",
        provenance={}, output=str(place / "never.mcool"),
    )  # fmt: skip
    found = RegionsJob.from_json(job.to_json()).open().engine.numerics
    assert (found["dtype"], found["dtype_asked"]) == ("float32", "bfloat16")


def test_python_has_the_same(place, monkeypatch):
    asked = timers.install(monkeypatch, SLOWER)
    where = {"device": "cpu", "progress": False, "any_genome": True}
    p = oc.Predictor(place / "toy", place / "toy.fa", dtype="bfloat16", **where)
    exact = oc.Predictor(place / "toy", place / "toy.fa", **where)
    region = "a:1-2,560"
    one, two = (x.predict(region, resolution=160).values for x in (p, exact))
    np.testing.assert_array_equal(one, two)
    p.edit("a:1,001-1,400 del").predict(region, resolution=160)
    assert len(asked) == 1
    forced = oc.Predictor(
        place / "toy", place / "toy.fa", dtype="bfloat16", force_dtype=True, **where
    )
    assert not np.array_equal(forced.predict(region, resolution=160).values, two)


def test_a_server_chooses_too(place, monkeypatch):
    from higlass_plugin.registry.served import engines_of
    from orca_cool.genome.open import open_genome

    model, source = load_bundle(place / "toy"), open_genome(place / "toy.fa")
    said: list[str] = []
    timers.install(monkeypatch, SLOWER, FASTER)
    kinds = [
        engines_of(model, source, device="cpu", dtype="bfloat16", say=said.append, **more)[""].dtype
        for more in ({}, {}, {"force_dtype": True})
    ]
    assert kinds == ["float32", "bfloat16", "bfloat16"]
    assert len(said) == 1


def test_errors_are_measured_once(place, monkeypatch):
    """For a model, types, levels and a processor; what is damaged is measured again."""
    measured, real = [], accuracy.approximation_error

    def noting(*arguments):
        measured.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(accuracy, "approximation_error", noting)
    more = ["--dtype", "bfloat16", "--force-dtype", "--force"]
    first = done(place, "errors.mcool", *more)
    again = done(place, "errors.mcool", *more)
    assert len(measured) == 1
    told = [line for line in first.splitlines() if "standard deviations" in line]
    assert told
    assert [line.replace(")", ", measured in an earlier run)") for line in told] == [
        line for line in again.splitlines() if "standard deviations" in line
    ]
    (kept,) = cache_folders("approximation")[0].glob("*.json")
    text = kept.read_text()
    for damaged in (text.replace("0.9", "0.8"), text[:50], "[]", '{"about": 1}'):
        kept.write_text(damaged)
        assert done(place, "errors.mcool", *more) == first
    assert len(measured) == 5
    monkeypatch.setattr(kept_errors, "processor", lambda: "another")
    done(place, "errors.mcool", *more)
    assert len(measured) == 6


@pytest.mark.long
def test_bfloat16_without_instructions_for_it_is_really_slower(tmp_path):
    """Convolutions held to AVX2, on a model that ships."""
    environment = runs.environment() | {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    line = "-m orca_cool predict -q -m yeast-metaphase -g example chrII:100,000-300,000".split()
    line += ["--device", "cpu", "--levels", "4000", "-o"]
    for more in (["exact.mcool"], ["asked.mcool", "--dtype", "bfloat16"]):
        ran = subprocess.run(
            [sys.executable, *line, *more],
            env=environment, cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("bfloat16 decoding is slower here than float32") == 1
    found = [runs.contents(tmp_path / name) for name in ("exact.mcool", "asked.mcool")]
    assert found[0] == found[1]


def test_parts_of_the_networks_can_be_timed(place):
    """On real ones; which is faster depends on the processor."""
    model = load_bundle(place / "toy")
    found = chosen(model, "cpu", "bfloat16", "float32")
    assert found.dtype in ("bfloat16", "float32")
    assert len(found.told) == (found.dtype == "float32")
    with pytest.raises(DeviceError, match="CUDA"):
        chosen(model, "cpu", "tf32", "float32")
    with pytest.raises(DeviceError, match="CUDA device, not 'cpu'; use float32 or bfloat16"):
        chosen(model, "cpu", "float32", "float16")
    both = chosen(model, "cpu", "bfloat16", "bfloat16")
    assert len(both.told) == [both.dtype, both.encoder_dtype].count("float32")


def test_an_apple_gpu_is_a_device(place, monkeypatch):
    if not torch.backends.mps.is_available():
        with pytest.raises(DeviceError, match="'mps' was asked for: no Apple GPU here"):
            resolve_device("mps")
        refused = predict(place, "mps.mcool", "--device", "mps", "--force")
        assert refused.exit_code == 2
        assert "no Apple GPU here" in refused.output.strip().splitlines()[-1]
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("mps") == torch.device("mps")
    with pytest.raises(DeviceError, match="not supported; use auto, cpu, cuda, cuda:N or mps"):
        resolve_device("xpu")


@pytest.mark.skipif(not torch.backends.mps.is_available(), reason="no Apple GPU")
def test_an_apple_gpu_computes_what_the_cpu_does(place):
    from orca_cool.genome.open import open_genome

    model, source = load_bundle(place / "toy"), open_genome(place / "toy.fa")
    module = model.spec.modules[0]
    maps = [make_engine(model, source, d).zoom(module, "a", 4000) for d in ("cpu", "mps")]
    for one, two in zip(*maps):
        np.testing.assert_allclose(one.values, two.values, atol=1e-3)
    with pytest.raises(DeviceError, match="Apple"):
        make_engine(model, source, "mps", "bfloat16")
